"""Which operations matter: how much better trials scored whose policy used an operation than those whose did not."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from augsearch.policy import Policy, Schedule
from augsearch.policy.ops import find

Floats = NDArray[np.float64]

_FEWEST = 3  # trials on each side; the interval of fewer says nothing


@dataclass(frozen=True)
class Effect:
    """The effect of an operation: the mean score of trials that use it, less that of the others, with its interval."""

    operation: str
    difference: float
    low: float
    high: float
    using: int
    """Trials whose policy uses it ..."""
    others: int
    """... and whose does not."""


def strengths(item: Policy | Schedule) -> dict[str, float]:
    """{operation: probability x magnitude, summed over a policy}; for a schedule, the mean over its epochs.

    Magnitudes are in the policy's dialect; an operation without one counts with its probability alone.
    """
    total: defaultdict[str, float] = defaultdict(float)
    parts = [(item, 1.0)] if isinstance(item, Policy) else [(s.policy, s.epochs / item.epochs) for s in item.segments]
    for policy, weight in parts:
        for operation in (o for sub_policy in policy.sub_policies for o in sub_policy.operations):
            magnitude = operation.magnitude if find(operation.name).magnitude else 1.0
            total[operation.name] += weight * operation.probability * magnitude
    return dict(total)


def importance(used: Sequence[Mapping[str, float]], scores: Sequence[float], confidence: float = 0.95) -> list[Effect]:
    """The effect of each operation on the score, the best first.

    A trial uses an operation where its strength is above the median of all trials: where fewer than half hold it at
    all, holding it is enough. The interval is Welch's, each operation by itself. Only where policies were drawn at
    random is the difference the operation's doing; a search that learns tries what it takes for good together.

    Args:
        used: each trial's `strengths`.
        scores: each trial's score, in any unit; the effects have the same.
        confidence: each interval's.

    Returns:
        One for each operation that at least three trials use and at least three do not.
    """
    values = np.asarray(scores, np.float64)
    effects = []
    for name in sorted({name for trial in used for name in trial}):
        strength = np.array([trial.get(name, 0.0) for trial in used])
        uses = strength > np.median(strength)
        if _FEWEST <= uses.sum() <= len(values) - _FEWEST:
            effects.append(_welch(name, values[uses], values[~uses], confidence))
    return sorted(effects, key=lambda effect: -effect.difference)


def _welch(name: str, using: Floats, others: Floats, confidence: float) -> Effect:
    """The difference of two means with Welch's interval."""
    difference = float(using.mean() - others.mean())
    low = high = difference
    if np.ptp(using) or np.ptp(others):
        low, high = map(float, stats.ttest_ind(using, others, equal_var=False).confidence_interval(confidence))
    return Effect(name, difference, low, high, len(using), len(others))
