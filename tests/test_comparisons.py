"""What the table claims, and how often such claims are wrong."""

import numpy as np
import pytest
from scipy import stats

from augsearch.evidence.comparisons import Difference, compare, difference, holm
from augsearch.evidence.scores import PLAIN, Estimate

ARMS = ("none", "etp", "random", "tuun", "tuun+etp")


def test_difference_is_the_paired_t_test() -> None:
    rng = np.random.default_rng(0)
    scores = {"tuun": rng.normal(0.8, 0.02, 10).tolist(), "etp": rng.normal(0.79, 0.02, 10).tolist()}
    d = difference("tuun", "etp", scores)
    theirs = stats.ttest_rel(scores["tuun"], scores["etp"])
    low, high = theirs.confidence_interval(0.95)
    assert (d.p, d.estimate.low, d.estimate.high) == pytest.approx((theirs.pvalue, low, high))


def test_scores_that_never_differ_are_no_difference() -> None:
    scores = {"tuun": [0.5, 0.6], "etp": [0.5, 0.6], "none": [0.25, 0.35]}
    assert (difference("tuun", "etp", scores).p, difference("tuun", "none", scores).estimate.mean) == (1.0, 0.25)


def test_every_pair_is_asked_about_once() -> None:
    scores = {arm: [0.1 * i, 0.1 * i + 0.01, 0.2] for i, arm in enumerate(reversed(ARMS))}
    pairs = [(d.arm, d.against) for d in compare(scores)]
    assert set(pairs) == {
        ("etp", "none"), ("random", "none"), ("random", "etp"),
        ("tuun", "none"), ("tuun", "etp"), ("tuun", "random"),
        ("tuun+etp", "none"), ("tuun+etp", "etp"), ("tuun+etp", "random"),
    }  # fmt: skip
    assert len(pairs) == 9
    assert compare({"tuun": [0.1, 0.2]}) == []


def test_holm_by_hand() -> None:
    assert holm([0.04, 0.01, 0.03, 0.5]) == pytest.approx([0.09, 0.04, 0.09, 0.5])
    assert holm([0.9, 0.8]) == pytest.approx([1.0, 1.0])


@pytest.mark.parametrize(
    ("mean", "low", "high", "p", "words"),
    [
        (0.019, 0.011, 0.027, 0.001, "Tuun beats ETP by 1.9 points [1.1, 2.7], n = 10"),
        (-0.019, -0.027, -0.011, 0.001, "Tuun falls behind ETP by 1.9 points [1.1, 2.7], n = 10"),
        (
            0.019, 0.001, 0.037, 0.12,
            "no difference found between Tuun and ETP (1.9 points [0.1, 3.7], n = 10; p = 0.12 after Holm's correction)",
        ),
    ],
)  # fmt: skip
def test_sentences(mean: float, low: float, high: float, p: float, words: str) -> None:
    assert Difference("tuun", "etp", Estimate(mean, low, high, 10), 0.001, p).sentence() == words


def test_a_sentence_in_a_scripts_own_unit_and_about_another_measure() -> None:
    d = Difference("tuun", "etp", Estimate(1.25, 0.5, 2.0, 4), 0.001, 0.001)
    assert d.sentence(unit=PLAIN) == "Tuun beats ETP by 1.25 [0.5, 2], n = 4"
    assert d.sentence(measure="worst-class recall").startswith("Tuun beats ETP by 125.0 points of worst-class recall [50.0,")


def simulated(rng: np.random.Generator, effects: dict[str, float], n: int = 10) -> dict[str, list[float]]:
    """Trainings of every arm on the same seeds: a part of each score is the seed's, the rest the training's own."""
    seeds = rng.normal(0, 0.01, n)
    return {arm: (0.8 + effect + seeds + rng.normal(0, 0.008, n)).tolist() for arm, effect in effects.items()}


def test_intervals_cover_and_holm_holds_its_level() -> None:
    """2,000 tables: 95 % ± 2 of the intervals hold the truth; at most 5 % (+ 1.5 of chance) of the tables find what is not."""
    rng = np.random.default_rng(0)
    truth = dict.fromkeys(ARMS, 0.0) | {"none": -0.05}
    covered, wrong, uncorrected = [], [], []
    for _ in range(2000):
        found = compare(simulated(rng, truth))
        true = {(d.arm, d.against): truth[d.arm] - truth[d.against] for d in found}
        covered += [d.estimate.low <= true[d.arm, d.against] <= d.estimate.high for d in found]
        alike = [d for d in found if true[d.arm, d.against] == 0]
        wrong.append(any(d.significant() for d in alike))
        uncorrected.append(any(d.p < 0.05 for d in alike))
    assert np.mean(covered) == pytest.approx(0.95, abs=0.02)
    assert np.mean(wrong) <= 0.065
    assert np.mean(uncorrected) > 0.1  # what Holm's correction is for


def test_a_real_difference_is_found() -> None:
    rng = np.random.default_rng(1)
    truth = dict.fromkeys(ARMS, 0.0) | {"tuun": 0.02}
    found = [{(d.arm, d.against): d for d in compare(simulated(rng, truth))}["tuun", "etp"] for _ in range(300)]
    assert np.mean([d.significant() for d in found]) > 0.9
