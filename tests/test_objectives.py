"""Objectives other than plain accuracy."""

import numpy as np
import pytest

from augsearch.training.metrics import evaluation


def test_scores_of_a_rare_class_that_is_missed() -> None:
    labels = np.array([0] * 8 + [1] * 2)
    predicted = np.array([0] * 8 + [0, 1])
    found = evaluation(predicted, labels, 2)
    assert found.recall == (1.0, 0.5)
    assert found.score("accuracy") == pytest.approx(0.9)
    assert found.score("balanced_accuracy") == pytest.approx(0.75)
    assert found.score("worst_class_recall") == pytest.approx(0.5)


def test_a_class_without_images_counts_for_nothing() -> None:
    found = evaluation(np.array([0, 2]), np.array([0, 0]), 3)
    assert (found.score("balanced_accuracy"), found.score("worst_class_recall")) == (0.5, 0.5)
