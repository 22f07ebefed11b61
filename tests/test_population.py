"""Population based training: its arithmetic, its oracle, and members that are trained side by side."""

import itertools

import numpy as np
import pytest
import torch
from torch import nn

from augsearch.data.prepare import prepare
from augsearch.data.settings import DatasetSettings
from augsearch.errors import SettingsError
from augsearch.policy import Policy
from augsearch.policy.augment import Augment, augment_together
from augsearch.policy.ops import PBA_OPERATIONS
from augsearch.search.population import PbaSpace, PopulationSearcher, quantile_size, schedule_of, truncation_selection
from augsearch.training.checkpoints import Checkpoint
from augsearch.training.networks import build
from augsearch.training.networks.grouped import Grouped, join, split
from augsearch.training.settings import NetworkSettings, TrainSettings
from augsearch.training.trainer import Member, NotFiniteError, train_members
from augsearch.training.training import new_network, normalisation

PARTS, CARD = prepare(DatasetSettings(name="digits"))
SPACE = PbaSpace(PBA_OPERATIONS)
SHORT = TrainSettings(epochs=4, schedule="cosine")


def some_policy(seed: int) -> Policy:
    rng = np.random.default_rng(seed)
    levels = SPACE.start()
    for _ in range(8):
        levels = SPACE.explore(levels, rng)
    return SPACE.policy(levels)


# --- selection and exploration -----------------------------------------------------------------------------------


def test_quantile_sizes() -> None:
    assert [quantile_size(n) for n in range(9)] == [0, 0, 1, 1, 1, 2, 2, 2, 2]
    assert quantile_size(16) == 4


def test_the_worst_quarter_copies_the_best_quarter_drawn_uniformly() -> None:
    scores: dict[int, float | None] = {member: (7 * member % 16) / 16 for member in range(16)}
    ranked = sorted(range(16), key=lambda member: scores[member] or 0.0)
    counts = dict.fromkeys(ranked[12:], 0)
    for seed in range(500):
        exchanged = truncation_selection(scores, np.random.default_rng(seed))
        assert sorted(exchanged) == sorted(ranked[:4])
        for source in exchanged.values():
            counts[source] += 1
    assert min(counts.values()) > 420  # 500 each if uniform, sd 19


def test_ties_exchange_and_failures_are_always_replaced() -> None:
    rng = np.random.default_rng(0)
    assert truncation_selection({0: 0.5, 1: 0.5}, rng) == {1: 0}
    assert truncation_selection({0: 0.5}, rng) == {}
    assert truncation_selection({0: None, 1: 0.5, 2: None}, rng) == {0: 1, 2: 1}
    assert truncation_selection({0: None, 1: None}, rng) == {}


def test_explore_stays_in_range_and_draws_a_fifth_anew() -> None:
    rng = np.random.default_rng(0)
    top = np.tile([10, 9], 30)
    middle = np.tile([5, 4], 30)
    drawn = np.array([SPACE.explore(middle, rng) for _ in range(2000)])
    assert drawn.min() == 0
    assert (drawn.max(0) == top).all()
    # only a fresh draw goes further than 3 levels: 4 of the 11 probabilities and 4 of the 10 magnitudes (0, 8, 9; 4 - 4 = 0)
    far = np.abs(drawn - middle) > 3
    assert far[:, ::2].mean() == pytest.approx(0.2 * 4 / 11, abs=0.005)
    assert far[:, 1::2].mean() == pytest.approx(0.2 * 3 / 10, abs=0.005)
    assert (SPACE.explore(SPACE.start(), rng) >= 0).all()


def toy(seed: int, rate: float, exploit: bool = True) -> float:
    """The PBT paper's toy: climb Q = 1.2 - theta^2 by gradients of a surrogate that two hyperparameters h distort."""
    rng = np.random.default_rng(seed)
    theta, h = np.full((2, 2), 0.9), np.eye(2)
    for step in range(1, 201):
        theta -= rate * 2 * h * theta
        if step % 5 == 0:
            quality = {k: float(1.2 - (theta[k] ** 2).sum()) for k in range(2)}
            for loser, source in truncation_selection(quality, rng).items() if exploit else ():
                theta[loser] = theta[source]
                h[loser] = np.maximum(h[source] + rng.normal(0, 0.1, 2), 0)
    return float(1.2 - (theta**2).sum(1).min())


@pytest.mark.parametrize("rate", [0.01, 0.05])
def test_the_toy_of_the_pbt_paper(rate: float) -> None:
    assert toy(0, rate, exploit=False) == pytest.approx(0.39, abs=0.001)  # grid search
    assert np.mean([toy(seed, rate) for seed in range(100)]) >= 1.19  # the optimum is 1.2


# --- the searcher ------------------------------------------------------------------------------------------------


def play(searcher: PopulationSearcher, seed: int = 0) -> None:
    rng = np.random.default_rng(seed)
    while trials := searcher.ask(searcher.population_size):
        for trial in trials:
            searcher.tell(trial.id, float(rng.random()))


def test_a_lineage_replays_and_makes_the_schedule() -> None:
    searcher = PopulationSearcher(SPACE, 0, population_size=8, epochs=20, perturbation_interval=3)
    play(searcher)
    assert len(searcher.trials) == 8 * 7  # the last round has 2 epochs
    best = searcher.ranking()[0]
    assert best // 8 == 6
    lineage = searcher.lineage(best)
    assert [trial.until for trial in lineage] == [3, 6, 9, 12, 15, 18, 20]
    assert all(later.parent == earlier.id for earlier, later in itertools.pairwise(lineage))
    found = schedule_of(lineage)
    assert found.epochs == 20
    for epoch in range(20):
        assert found.at(epoch) == lineage[epoch // 3].policy
    assert found.segments[0].policy == SPACE.policy(SPACE.start())  # all begin without augmentation


def test_only_copies_explore() -> None:
    searcher = PopulationSearcher(SPACE, 3, population_size=8, epochs=30, perturbation_interval=3)
    play(searcher)
    for trial in searcher.trials[8:]:
        done, member = divmod(trial.id, 8)
        source = searcher.exchanges[done].get(member)
        assert trial.parent == (trial.id - 8 if source is None else (done - 1) * 8 + source)
        assert trial.parent is not None
        same = np.array_equal(searcher.levels[trial.id], searcher.levels[trial.parent])
        assert same == (source is None)


def test_a_round_waits_for_the_one_before() -> None:
    searcher = PopulationSearcher(SPACE, 0, population_size=4, epochs=6, perturbation_interval=3)
    first = searcher.ask(3) + searcher.ask(3)
    assert [trial.id for trial in first] == [0, 1, 2, 3]
    for trial in first[:3]:
        searcher.tell(trial.id, 0.5)
    assert searcher.ask(4) == []
    searcher.tell(3, None)  # failed: replaced, by a copy of one that did not
    second = searcher.ask(4)
    assert second[3].parent in (0, 1, 2)


def test_members_that_all_failed_go_back_to_their_last_good_state() -> None:
    searcher = PopulationSearcher(SPACE, 0, population_size=2, epochs=9, perturbation_interval=3)
    for trial, score in zip(searcher.ask(2), (0.4, 0.6), strict=True):
        searcher.tell(trial.id, score)
    parents = [trial.parent for trial in searcher.ask(2)]
    for trial_id in (2, 3):
        searcher.tell(trial_id, None)
    assert [trial.parent for trial in searcher.ask(2)] == parents


# --- networks as one ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["small", "wrn-10-1", "resnet9"])
def test_grouped_networks_compute_what_each_does(name: str) -> None:
    torch.manual_seed(0)
    networks = [build(name, classes=5, channels=3, **({"width": 4} if name != "wrn-10-1" else {})) for _ in range(3)]
    one = Grouped(networks).train()
    x = torch.rand(6, 3, 3, 16, 16)  # (B, K, C, H, W)
    apart = torch.stack([network.train()(x[:, k]) for k, network in enumerate(networks)], 1)
    assert torch.allclose(one(x.flatten(1, 2)), apart, atol=1e-4)
    states = split(one.body.state_dict(), 3)  # BatchNorm's statistics have moved on, each member's its own
    for network, state in zip(networks, states, strict=True):
        for key, value in network.state_dict().items():
            assert torch.allclose(state[key].float(), value.float(), atol=1e-4), key
    again = join(states)
    assert all(torch.equal(again[key], value) for key, value in one.body.state_dict().items())


class Mixing(nn.Module):
    def __init__(self, classes: int, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, 4, 3)
        self.last = nn.Linear(8, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(x)
        return self.last(torch.cat([x.mean((2, 3)), x.amax((2, 3))], 1))


class Scaled(Mixing):
    def __init__(self, classes: int, channels: int) -> None:
        super().__init__(classes, channels)
        self.scale = nn.Parameter(torch.ones(1))


@pytest.mark.parametrize("network", [Mixing, Scaled])
def test_networks_that_cannot_be_grouped_say_so(network: type[nn.Module]) -> None:
    with pytest.raises(SettingsError, match=f"members_per_model: 2; {network.__name__} cannot be trained together: must be 1"):
        Grouped([network(3, 3), network(3, 3)])


# --- training ----------------------------------------------------------------------------------------------------


def test_images_are_augmented_together_as_each_alone() -> None:
    augments = [Augment((some_policy(9), some_policy(k)), seed=k) for k in range(3)]
    images = torch.from_numpy(PARTS["train"].images[:60])
    together = augment_together(augments, images.repeat(3, 1, 1, 1), [(2, 40, 50), (3, 0, 10)])
    for k in range(3):
        augment = Augment((some_policy(9), some_policy(k)), seed=k)
        alone = torch.cat([augment(images[:50], epoch=2, position=40), augment(images[50:], epoch=3, position=0)])
        assert torch.equal(together[60 * k : 60 * (k + 1)], alone)


def members(count: int, settings: TrainSettings = SHORT) -> list[Member]:
    return [Member(new_network(NetworkSettings(width=8), CARD, k), (some_policy(k),), k, None) for k in range(count)]


def trained(group: list[Member], until: int = 2, settings: TrainSettings = SHORT) -> list[Checkpoint]:
    torch.set_num_threads(1)
    ends = train_members(group, PARTS["train"], PARTS["val"], settings, normalisation(CARD), until=until)
    assert not any(isinstance(end, NotFiniteError) for end in ends)
    return [end for end in ends if not isinstance(end, NotFiniteError)]


FEW_STEPS = TrainSettings(epochs=4, batch_size=200, schedule="cosine")  # roundings have no time to grow


@pytest.mark.parametrize(
    "settings", [FEW_STEPS, FEW_STEPS.model_copy(update={"ema_decay": 0.9, "label_smoothing": 0.1})], ids=["plain", "ema"]
)
def test_members_together_learn_what_each_learns_alone(settings: TrainSettings) -> None:
    """Up to rounding; the second half goes on from states that were joined and split."""
    together = trained(members(3), 1, settings)
    together = trained(
        [Member(m.network, m.policies, 7 + m.seed, s) for m, s in zip(members(3), together, strict=True)], 2, settings
    )
    for k, member in enumerate(members(3)):
        alone = trained([member], 1, settings)[0]
        alone = trained([Member(member.network, member.policies, 7 + k, alone)], 2, settings)[0]
        assert together[k].epoch == 2
        assert together[k].loss == pytest.approx(alone.loss, rel=1e-4)
        for key, value in alone.model.items():
            assert torch.allclose(together[k].model[key].float(), value.float(), atol=1e-4), key
        assert together[k].averaged.keys() == alone.averaged.keys()


def test_one_member_that_fails_harms_no_other() -> None:
    broken = members(3)
    with torch.no_grad():
        next(broken[1].network.parameters()).fill_(torch.nan)
    ends = train_members(broken, PARTS["train"], PARTS["val"], SHORT, normalisation(CARD), until=1)
    assert isinstance(ends[1], NotFiniteError)
    whole = trained(members(3), 1)
    for k in (0, 2):
        end = ends[k]
        assert not isinstance(end, NotFiniteError)
        assert all(torch.equal(end.model[key], value) for key, value in whole[k].model.items())
