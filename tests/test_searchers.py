"""The conformance suite that every searcher passes, and what the Bayesian one adds."""

import numpy as np
import pytest

from augsearch.policy import Policy
from augsearch.search import methods
from augsearch.search.methods import SEARCHERS
from augsearch.search.searcher import Searcher
from augsearch.search.settings import TUUN_OPERATIONS, PopulationSettings, SearchSettings
from augsearch.search.space import policy_space
from augsearch.search.surrogate import GaussianProcess
from augsearch.settings import Settings

POPULATION = PopulationSettings(population_size=4, perturbation_interval=1, train={"epochs": 20})
SETTINGS = SearchSettings(trials=40, n_initial_points=8, sub_policies=2, batch=4, pba=POPULATION)


def score(policy: Policy) -> float:
    """Geometric operations help, the more the stronger; inverting hurts."""
    good = {"Rotate", "ShearX", "ShearY", "TranslateX", "TranslateY"}
    operations = [o for sub_policy in policy.sub_policies for o in sub_policy.operations]
    return float(np.mean([o.probability * ((o.name in good) * o.magnitude - (o.name == "Invert")) for o in operations]))


def play(searcher: Searcher, batches: int, order: int = 1) -> list[float]:
    """Ask and tell; `order` -1 tells each batch backwards."""
    scores = []
    for _ in range(batches):
        trials = searcher.ask(SETTINGS.batch)
        for trial in trials[::order]:
            searcher.tell(trial.id, score(trial.policy))
        scores += [score(trial.policy) for trial in trials]
    return scores


@pytest.fixture(params=SEARCHERS)
def method(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def make(method: str, seed: int = 0) -> Searcher:
    return methods.make(method, Settings(search=SETTINGS, seed=seed))


def test_ids_count_up_and_policies_and_seeds_differ(method: str) -> None:
    searcher = make(method)
    play(searcher, 4)
    trials = searcher.ask(3)
    assert [trial.id for trial in trials] == [16, 17, 18]
    assert len({trial.seed for trial in trials}) == 3
    if method != "pba":  # whose members keep their policies until they are exchanged
        assert len({str(trial.params) for trial in trials}) == 3


def test_same_seed_same_proposals(method: str) -> None:
    """Whatever the order in which a batch ends; and another seed, other proposals."""
    one, two, other = make(method), make(method), make(method, 1)
    for searcher, order in ((one, 1), (two, -1), (other, 1)):
        play(searcher, 4, order)
    assert one.ask(4) == two.ask(4)
    assert one.ask(4) != other.ask(4)


def test_ranking_is_best_first_without_failures(method: str) -> None:
    searcher = make(method)
    play(searcher, 2)
    for trial in searcher.ask(4):
        searcher.tell(trial.id, None)
    ranking = searcher.ranking()
    assert sorted(ranking) == list(range(8))


def test_goes_on_when_everything_fails(method: str) -> None:
    searcher = make(method)
    for _ in range(4):
        for trial in searcher.ask(4):
            searcher.tell(trial.id, None)
    assert len(searcher.ask(4)) == 4
    assert searcher.ranking() == []


def test_refuses_a_score_that_is_no_number(method: str) -> None:
    searcher = make(method)
    searcher.ask(1)
    with pytest.raises(ValueError, match="must be finite"):
        searcher.tell(0, float("nan"))
    with pytest.raises(KeyError):
        searcher.tell(1, 0.5)


@pytest.mark.parametrize("acq_func", ["LCB", "EI", "PI", "TS"])
def test_bayesian_search_beats_random_search(acq_func: str) -> None:
    gains = []
    for seed in range(3):
        settings = SETTINGS.model_copy(update={"acq_func": acq_func})
        bayesian = play(methods.make("tuun", Settings(search=settings, seed=seed)), 10)
        gains.append(max(bayesian) - max(play(make("random", seed), 10)))
    assert np.mean(gains) > 0.05


def test_a_batch_spreads() -> None:
    """Fantasizing each chosen point keeps the rest of the batch from being its copies."""
    searcher = make("tuun")
    play(searcher, 4)
    space = policy_space(TUUN_OPERATIONS, 2)
    searcher.ask(8)
    x = space.features(np.array(searcher.rows[-8:]))  # type: ignore[attr-defined]
    distances = np.linalg.norm(x[:, None] - x[None], axis=2)[np.triu_indices(8, 1)]
    assert distances.min() > 0.05


def test_features_ignore_the_order_of_slots() -> None:
    space = policy_space(TUUN_OPERATIONS)
    rows = space.sample(3, np.random.default_rng(0))
    shuffled = rows.reshape(3, 10, 3)[:, np.random.default_rng(1).permutation(10)].reshape(3, 30)
    assert np.allclose(space.features(rows), space.features(shuffled))


def test_process_finds_the_function_and_the_noise() -> None:
    rng = np.random.default_rng(0)
    x = rng.random((120, 2))
    truth = np.sin(4 * x[:, 0]) + x[:, 1]
    process = GaussianProcess(x, truth + rng.normal(0, 0.2, 120))
    fresh = rng.random((200, 2))
    mean, deviation = process.predict(fresh)
    error = mean - (np.sin(4 * fresh[:, 0]) + fresh[:, 1])
    assert np.sqrt(np.mean(error**2)) < 0.12
    assert np.mean(np.abs(error) < 1.96 * deviation) > 0.85
    fitted = process.scale * np.sqrt(process.noise * process.amplitude)
    assert 0.13 < fitted < 0.3


def test_fantasizing_equals_refitting_with_the_fantasized_point() -> None:
    """The rank-one update against the posterior computed from scratch, at the same hyperparameters."""
    rng = np.random.default_rng(1)
    x, y, candidates = rng.random((20, 3)), rng.normal(size=20), rng.random((30, 3))
    process = GaussianProcess(x, y)
    batch = process.batch(candidates)
    for index in (3, 17):
        batch.fantasize(index)
    seen = np.vstack([x, candidates[[3, 17]]])

    def kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return process.amplitude * process.correlation(a, b)

    inverse = np.linalg.inv(kernel(seen, seen) + process.amplitude * process.noise * np.eye(22))
    cross = kernel(candidates, seen)
    variance = process.amplitude - np.einsum("mi,ij,mj->m", cross, inverse, cross)
    assert np.allclose(batch.predict()[1], process.scale * np.sqrt(variance), rtol=1e-6)
