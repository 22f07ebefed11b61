"""Training: it learns, it is the same for the same seed, and it stops when the loss is no number."""

import numpy as np
import pytest
import torch

from augsearch.arms import EXPERT
from augsearch.config import DatasetSettings, NetworkSettings, TrainSettings
from augsearch.datasets import prepare
from augsearch.policy import Policy, Schedule, Segment
from augsearch.trainer import Classifier, NotFiniteError, Trained, predict, train
from augsearch.trials import new_network, normalisation

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
    with pytest.raises(NotFiniteError, match="in epoch 0 of 4"):
        run(None, settings=TrainSettings(epochs=4, lr=1e30, warmup=0.0))
