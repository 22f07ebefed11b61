"""The screening rung: every trial in a complete schedule of fewer epochs, the best of each batch at full length.

A training that is stopped on the way says little about its end, least of all under strong augmentation, which starts
slowly; a complete schedule of half the epochs ranks policies much as the whole one does (docs/search.md). Screening
scores and full-length scores are two fidelities and are never mixed: a surrogate sees the first alone, of every trial;
the choice goes by the second, of those promoted.
"""

from __future__ import annotations

from collections.abc import Mapping

from augsearch.search.searcher import Trial, training_seed
from augsearch.settings import Settings

_SCREENING = 3_000_000  # in the path of a training seed


def shortened(settings: Settings) -> Settings:
    """The settings with a complete schedule of `search.screen.epochs` epochs; a step schedule's steps keep their places."""
    epochs, train = settings.search.screen.epochs, settings.train
    assert epochs is not None  # only a search that screens asks
    milestones = sorted({max(round(m * epochs / train.epochs), 1) for m in train.milestones})
    return settings.model_copy(update={"train": train.model_copy(update={"epochs": epochs, "milestones": tuple(milestones)})})


def screening_seed(trial: Trial) -> int:
    """Another than the full-length training's, so that luck in one is no luck in the other."""
    return training_seed(trial.seed, _SCREENING)


def promoted(scores: Mapping[int, float | None], share: float) -> set[int]:
    """Of a batch's screening scores by trial (None: failed), the best `share`, at least one that has a score."""
    ranked = sorted((-score, i) for i, score in scores.items() if score is not None)
    return {i for _, i in ranked[: max(round(share * len(scores)), 1)]}
