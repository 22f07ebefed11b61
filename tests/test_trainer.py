"""Training: it learns, it is the same for the same seed, and it stops when the loss is no number."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from augsearch.data.prepare import prepare
from augsearch.data.settings import DatasetSettings
from augsearch.data.splits import Split
from augsearch.errors import CheckpointError
from augsearch.evidence.arms import EXPERT
from augsearch.policy import Operation, Policy, Schedule, Segment, SubPolicy
from augsearch.policy.augment import Augment
from augsearch.training.checkpoints import Checkpoint
from augsearch.training.settings import NetworkSettings, TrainSettings
from augsearch.training.steps import learning_rates
from augsearch.training.trainer import Classifier, NotFiniteError, Trained, _batches, predict, train
from augsearch.training.training import mean_fill, new_network, normalisation

PARTS, CARD = prepare(DatasetSettings(name="digits"))
SHORT = TrainSettings(epochs=4)


def run(policy: Policy | Schedule | None, seed: int = 1, settings: TrainSettings = SHORT) -> Trained:
    torch.set_num_threads(1)
    model = new_network(NetworkSettings(width=8), CARD, seed)
    return train(model, PARTS["train"], PARTS["val"], policy, settings, normalisation(CARD), seed=seed)


def weights(trained: Trained) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in trained.model.parameters()])


def test_learns_the_digits() -> None:
    seen: list[tuple[int, float]] = []
    model = new_network(NetworkSettings(), CARD, 0)
    settings = TrainSettings(epochs=12)
    trained = train(
        model,
        PARTS["train"],
        PARTS["val"],
        None,
        settings,
        normalisation(CARD),
        seed=0,
        on_epoch=lambda e, a: seen.append((e, a)),
    )
    assert trained.accuracy[-1] > 0.6  # chance is 0.1
    assert seen == list(enumerate(trained.accuracy))
    predicted = predict(trained.model, PARTS["val"], settings, normalisation(CARD))
    assert np.mean(predicted == PARTS["val"].labels) == pytest.approx(trained.accuracy[-1])
    logits = Classifier(trained.model, normalisation(CARD)).eval()(torch.from_numpy(PARTS["val"].images))
    assert np.mean(logits.argmax(1).numpy() == predicted) > 0.999  # the same model, with its normalisation inside


def test_same_seed_same_weights_to_the_last_bit() -> None:
    policy = EXPERT["digits"]
    assert torch.equal(weights(run(policy)), weights(run(policy)))
    assert not torch.equal(weights(run(policy)), weights(run(policy, seed=2)))


def test_a_fixed_policy_is_a_schedule_of_one_segment_in_effect() -> None:
    policy = EXPERT["digits"]
    trained = run(Schedule((Segment(1, policy), Segment(1, policy))))
    assert len(trained.accuracy) == SHORT.epochs
    assert not torch.equal(weights(trained), weights(run(None)))


def test_building_a_network_leaves_the_global_generator_alone() -> None:
    before = torch.get_rng_state()
    new_network(NetworkSettings(), CARD, 5)
    assert torch.equal(before, torch.get_rng_state())


def test_a_loss_that_is_no_number_stops_the_training() -> None:
    with pytest.raises(NotFiniteError, match="in epoch 0 of 4; none before it was good"):
        run(None, settings=TrainSettings(epochs=4, lr=1e30, warmup_fraction=0.0))


def test_the_message_names_the_last_good_epoch() -> None:
    class Bursts(nn.Module):
        """Right for eight batches, two epochs of four, and infinite from then on."""

        def __init__(self) -> None:
            super().__init__()
            self.layer, self.calls = nn.Linear(3 * 16 * 16, 10), 0

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.calls += self.training
            out: torch.Tensor = self.layer(x.flatten(1)) * (1 if self.calls <= 8 else float("inf"))
            return out

    with pytest.raises(NotFiniteError, match=r"is nan in epoch 2 of 4; the last good one is epoch 1, loss \d"):
        train(Bursts(), PARTS["train"], None, None, SHORT, normalisation(CARD), seed=0)


# --- loss curves --------------------------------------------------------------------------------------

GOLDEN = json.loads((Path(__file__).parent / "golden" / "losses.json").read_text())


def ten_steps(name: str) -> tuple[float, ...]:
    """Losses of ten steps on the same fifty images, one step an epoch."""
    settings, policy = CURVES[name]
    network = NetworkSettings(name="wrn-10-1", options={"dropout": 0.2}) if name == "wrn" else NetworkSettings(width=8)
    part = Split(PARTS["train"].images[:50], PARTS["train"].labels[:50])
    model = new_network(network, CARD, 3)
    return train(model, part, None, policy, settings, normalisation(CARD), seed=3).losses


CURVES: dict[str, tuple[TrainSettings, Policy | None]] = {
    "one-cycle": (TrainSettings(epochs=10), None),
    "augmented": (TrainSettings(epochs=10), EXPERT["digits"]),
    "cosine": (TrainSettings(epochs=10, schedule="cosine", label_smoothing=0.1), None),
    "step": (TrainSettings(epochs=10, schedule="step", milestones=(3, 6), clip_grad_norm=0.5), None),
    "wrn": (TrainSettings(epochs=10, schedule="cosine"), None),
}


@pytest.mark.parametrize("name", CURVES)
def test_ten_steps_as_stored(name: str) -> None:
    """A refactor does not move a loss curve; where one is meant to move: `python -m tests.test_trainer` writes the file."""
    torch.set_num_threads(1)
    assert ten_steps(name) == pytest.approx(GOLDEN[name], rel=1e-4)  # another CPU may add up in another order


def test_a_policy_is_a_schedule_of_one_segment() -> None:
    """And both are what a user's own loop does with `Augment` in the same epochs."""
    settings, policy = TrainSettings(epochs=3, evaluate_every=3), EXPERT["digits"]
    schedule = Schedule((Segment(1, policy), Segment(2, policy)))
    losses = [
        train(
            new_network(NetworkSettings(width=4), CARD, 1), PARTS["train"], None, item, settings, normalisation(CARD), seed=1
        ).losses
        for item in (policy, schedule)
    ]
    assert losses[0] == losses[1]
    images, labels = PARTS["train"].tensors("cpu")
    batches = list(_batches(images, labels, [Augment(policy, seed=1, batch_size=50)], normalisation(CARD), 50, [1], 0, 3))
    augment, order = Augment(policy, seed=1, batch_size=50), torch.Generator().manual_seed(1)
    for epoch in range(3):
        index = torch.randperm(200, generator=order)
        for k in range(4):
            x, y = batches[4 * epoch + k]
            rows = index[50 * k : 50 * (k + 1)]
            assert torch.equal(y, labels[rows])
            assert torch.equal(x, normalisation(CARD)(augment(images[rows], epoch=epoch)))


def test_what_pba_fills_with_is_the_data_sets_mean() -> None:
    away = Policy((SubPolicy((Operation("TranslateX", 1.0, 9.0),)),) * 2, "pba", "count")
    image = torch.zeros(64, 3, 8, 8, dtype=torch.uint8)
    filled = Augment(away, fill=mean_fill(CARD))(image)
    colors = {tuple(pixel) for pixel in filled.permute(0, 2, 3, 1).reshape(-1, 3).tolist()}
    assert colors == {(0, 0, 0), tuple(round(255 * mean) for mean in CARD.mean)}
    tuun = Policy((SubPolicy((Operation("TranslateX", 1.0, 1.0),)),))
    assert 128 in Augment(tuun, fill=mean_fill(CARD))(image).unique()


# --- schedules and options ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "rates"),
    [
        (TrainSettings(epochs=4, lr=0.4, schedule="cosine"), [0.4 * (1 + np.cos(np.pi * t / 8)) / 2 for t in range(8)]),
        (TrainSettings(epochs=4, lr=0.4, schedule="step", milestones=(1, 3)), [0.4] * 2 + [0.04] * 4 + [0.004] * 2),
    ],
)
def test_learning_rate_of_every_step(settings: TrainSettings, rates: list[float]) -> None:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], settings.lr)
    schedule, seen = learning_rates(optimizer, settings, steps=2), []
    for _ in range(8):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert seen == pytest.approx(rates)


def test_clipping_bounds_a_step() -> None:
    """One step at momentum 0 and no decay moves the weights by at most lr * clip."""

    def moved(clip: float | None) -> float:
        model = new_network(NetworkSettings(width=8), CARD, 1)
        before = torch.cat([p.detach().flatten().clone() for p in model.parameters()])
        settings = TrainSettings(
            epochs=1, batch_size=200, schedule="cosine", lr=1.0, weight_decay=0.0, momentum=1e-12, clip_grad_norm=clip
        )
        trained = train(model, PARTS["train"], None, None, settings, normalisation(CARD), seed=1)
        return float((weights(trained) - before).norm())

    assert moved(None) > 0.5
    assert moved(0.01) == pytest.approx(0.01, rel=1e-3)


def test_ema_is_the_mean_of_the_weights_that_is_kept() -> None:
    """One step an epoch: average <- d * average + (1 - d) * weights, from the first weights on."""
    settings = TrainSettings(epochs=5, batch_size=200, ema_decay=0.5)
    states = []
    model = new_network(NetworkSettings(width=8), CARD, 1)
    trained = train(
        model, PARTS["train"], None, None, settings, normalisation(CARD), seed=1, on_checkpoint=lambda c: states.append(c.model)
    )
    average = states[0]["0.0.weight"]
    for state in states[1:]:
        average = 0.5 * average + 0.5 * state["0.0.weight"]
    assert torch.allclose(trained.model.state_dict()["0.0.weight"], average, atol=1e-6)
    assert trained.model is not model


def test_evaluations_every_so_many_epochs_and_after_the_last() -> None:
    seen: list[int] = []
    settings = TrainSettings(epochs=5, evaluate_every=2)
    model = new_network(NetworkSettings(width=8), CARD, 1)
    trained = train(
        model,
        PARTS["train"],
        PARTS["val"],
        None,
        settings,
        normalisation(CARD),
        seed=1,
        on_epoch=lambda epoch, score: seen.append(epoch),
    )
    assert seen == [1, 3, 4]
    assert [e.epoch for e in trained.evaluations] == seen
    assert torch.equal(weights(trained), weights(run(None, settings=TrainSettings(epochs=5))))  # looking changes nothing


def test_the_objective_is_what_is_reported() -> None:
    seen: list[float] = []
    trained = train(
        new_network(NetworkSettings(width=8), CARD, 1),
        PARTS["train"],
        PARTS["val"],
        None,
        SHORT,
        normalisation(CARD),
        seed=1,
        objective="worst_class_recall",
        on_epoch=lambda epoch, score: seen.append(score),
    )
    assert tuple(seen) == trained.scores("worst_class_recall") == tuple(min(e.recall) for e in trained.evaluations)
    predicted = predict(trained.model, PARTS["val"], SHORT, normalisation(CARD))
    of_class = [float((predicted[PARTS["val"].labels == c] == c).mean()) for c in range(10)]
    assert trained.evaluations[-1].recall == pytest.approx(of_class)


def test_bfloat16_learns_too() -> None:
    trained = run(None, settings=TrainSettings(epochs=12, precision="bfloat16"))
    assert trained.accuracy[-1] > 0.45  # chance is 0.1
    assert {p.dtype for p in trained.model.parameters()} == {torch.float32}


# --- checkpoints --------------------------------------------------------------------------------------

EVERYTHING = TrainSettings(epochs=5, ema_decay=0.9, clip_grad_norm=1.0, label_smoothing=0.1, evaluate_every=2)


def shaken(
    settings: TrainSettings, policy: Policy | Schedule | None, resume: Checkpoint | None = None
) -> tuple[Trained, list[Checkpoint]]:
    """A network that draws random numbers in training."""
    torch.set_num_threads(1)
    states: list[Checkpoint] = []
    model = new_network(NetworkSettings(name="shake-shake-8-2x4d"), CARD, 1 if resume is None else 9)
    trained = train(
        model,
        Split(PARTS["train"].images[:104], PARTS["train"].labels[:104]),
        PARTS["val"],
        policy,
        settings,
        normalisation(CARD),
        seed=1,
        on_checkpoint=states.append,
        resume=resume,
    )
    return trained, states


@pytest.mark.parametrize(
    ("settings", "policy"),
    [
        (EVERYTHING, EXPERT["digits"]),
        (EVERYTHING, Schedule((Segment(2, EXPERT["digits"]), Segment(3, EXPERT["digits"])))),
        (TrainSettings(epochs=5, schedule="cosine"), None),
        (TrainSettings(epochs=5, schedule="step", milestones=(2, 4)), None),
    ],
    ids=["everything", "schedule", "cosine", "step"],
)
def test_resumed_weights_are_the_same_to_the_last_bit(
    settings: TrainSettings, policy: Policy | Schedule | None, tmp_path: Path
) -> None:
    whole, states = shaken(settings, policy)
    states[2].save(tmp_path / "state.pt")
    resumed, later = shaken(settings, policy, Checkpoint.load(tmp_path / "state.pt"))
    assert torch.equal(weights(resumed), weights(whole))
    assert resumed.evaluations == whole.evaluations
    assert resumed.losses == whole.losses[3:]
    assert [c.epoch for c in later] == [4, 5]
    assert all(torch.equal(later[-1].model[name], value) for name, value in states[-1].model.items())


def test_checkpoints_that_do_not_fit(tmp_path: Path) -> None:
    _, states = shaken(SHORT, None)
    with pytest.raises(CheckpointError, match="has 4 epochs; train.epochs is 4"):
        shaken(SHORT, None, states[-1])
    with pytest.raises(CheckpointError, match="train.ema_decay is set in one"):
        shaken(TrainSettings(epochs=4, ema_decay=0.9), None, states[0])
    small = new_network(NetworkSettings(), CARD, 1)
    with pytest.raises(CheckpointError, match="is another network's"):
        train(small, PARTS["train"], None, None, SHORT, normalisation(CARD), seed=1, resume=states[0])


def test_files_that_are_no_checkpoints(tmp_path: Path) -> None:
    file = tmp_path / "state.pt"
    with pytest.raises(CheckpointError, match="no such file"):
        Checkpoint.load(file)
    file.write_bytes(b"nothing")
    with pytest.raises(CheckpointError, match="not a readable checkpoint"):
        Checkpoint.load(file)
    torch.save({"weights": torch.zeros(3)}, file)
    with pytest.raises(CheckpointError, match="not a checkpoint of version 2"):
        Checkpoint.load(file)
    torch.save({"checkpoint": 1, "code": Path}, file)  # a class: could run code
    with pytest.raises(CheckpointError, match="not a readable checkpoint"):
        Checkpoint.load(file)


if __name__ == "__main__":
    torch.set_num_threads(1)
    found = {name: [round(loss, 7) for loss in ten_steps(name)] for name in CURVES}
    (Path(__file__).parent / "golden" / "losses.json").write_text(json.dumps(found, indent=1) + "\n")
