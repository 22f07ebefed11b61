"""OBJECTIVES: metrics to score a trial by, in [0, 1], higher is better, from how often each class is recognised."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Evaluation:
    """Scores of a model on a split that has images of every class."""

    epoch: int
    """The training epoch, from 0; -1 for a finished model."""
    accuracy: float
    recall: tuple[float, ...]
    """For each class, the fraction of its images that is recognised."""

    def score(self, objective: str) -> float:
        """The value of an objective by its name, in [0, 1]."""
        return OBJECTIVES[objective](self)


OBJECTIVES: dict[str, Callable[[Evaluation], float]] = {
    "accuracy": lambda evaluation: evaluation.accuracy,
    "balanced_accuracy": lambda evaluation: float(np.nanmean(evaluation.recall)),
    "worst_class_recall": lambda evaluation: float(np.nanmin(evaluation.recall)),
}
"""Objectives by name. Balanced accuracy is the mean recall: each class counts the same, however rare it is."""


def spoken(objective: str) -> str:
    """The objective's name as people write it, such as "worst-class recall"."""
    return {"worst_class_recall": "worst-class recall"}.get(objective, objective.replace("_", " "))


def evaluation(predicted: NDArray[np.int64], labels: NDArray[np.int64], classes: int, epoch: int = -1) -> Evaluation:
    """predicted and labels (N,) of 0 .. classes - 1; a class without images has recall NaN and counts for nothing."""
    total = np.bincount(labels, minlength=classes)
    right = np.bincount(labels[predicted == labels], minlength=classes)
    recall = np.divide(right, total, out=np.full(classes, np.nan), where=total > 0)
    return Evaluation(epoch, float(right.sum() / total.sum()), tuple(recall.tolist()))
