"""Which operations matter: found where the truth is known, and no surer than the intervals say."""

from typing import Any

import numpy as np
import pytest

from augsearch.evidence.importance import importance, strengths
from augsearch.policy import Operation, Policy, Schedule, Segment, SubPolicy, from_dict
from tests.report_samples import OPERATIONS, ROTATE, random_policy, random_search


def test_strength_is_probability_times_magnitude_over_a_policys_slots() -> None:
    a = Policy(
        (SubPolicy((Operation("Rotate", 0.5, 0.4), Operation("Invert", 0.7, 0.1))), SubPolicy((Operation("Rotate", 1.0, 0.1),)))
    )
    assert strengths(a) == pytest.approx({"Rotate": 0.3, "Invert": 0.7})  # Invert has no magnitude
    b = Policy((SubPolicy((Operation("Rotate", 1.0, 1.0),)),))
    assert strengths(Schedule((Segment(3, a), Segment(1, b)))) == pytest.approx({"Rotate": 0.475, "Invert": 0.525})


def policy_of(trial: dict[str, Any]) -> Policy:
    policy = from_dict(trial["policy"])
    assert isinstance(policy, Policy)
    return policy


def test_the_operation_that_helps_comes_first_and_no_other_is_taken_for_one() -> None:
    trials = [trial for trial in random_search(120, 5)["trials"] if trial["score"] is not None]
    effects = importance([strengths(policy_of(trial)) for trial in trials], [trial["score"] for trial in trials])
    assert {effect.operation for effect in effects} == set(OPERATIONS)
    first, *others = effects
    assert first.operation == "Rotate"
    assert first.low < ROTATE < first.high
    assert first.low > max(other.difference for other in others)
    assert first.using + first.others == 119  # the failed trial is not there


def test_intervals_cover_the_truth_as_often_as_they_say() -> None:
    rng = np.random.default_rng(0)
    hits = []
    for _ in range(250):
        used = [strengths(random_policy(rng)) for _ in range(40)]
        scores = [ROTATE * ("Rotate" in each) + rng.normal(0, 0.02) for each in used]
        rotate = next(effect for effect in importance(used, scores) if effect.operation == "Rotate")
        hits.append(rotate.low <= ROTATE <= rotate.high)
    assert np.mean(hits) == pytest.approx(0.95, abs=0.03)


def test_where_all_use_an_operation_the_stronger_half_is_compared() -> None:
    used = [{"Rotate": strength} for strength in (0.1, 0.2, 0.3, 0.7, 0.8, 0.9)]
    (effect,) = importance(used, [1.0, 2.0, 3.0, 11.0, 12.0, 13.0])
    assert (effect.difference, effect.using, effect.others) == (10.0, 3, 3)


def test_of_too_few_trials_nothing_is_said() -> None:
    assert importance([{"Rotate": 1.0}, {"Rotate": 1.0}, {}, {}, {}], [1.0, 1.0, 0.0, 0.0, 0.0]) == []
