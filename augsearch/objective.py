"""Objectives: scores by this project's trainer or by a user's own training script. Only this module knows which it is."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from augsearch.data.info import DatasetInfo
from augsearch.data.prepared import load_info
from augsearch.errors import SettingsError
from augsearch.job import Job, Outcome, Work
from augsearch.outcome import Result
from augsearch.policy import Augmentation, Chain, Policy
from augsearch.script import command
from augsearch.script.run import ScriptRun
from augsearch.search.searcher import Trial
from augsearch.settings import Settings, override
from augsearch.training.metrics import OBJECTIVES, Evaluation
from augsearch.training.training import Training, as_one
from augsearch.workspace import Workspace


@dataclass(frozen=True)
class Unit:
    """The form in which a score is printed."""

    percent: bool

    def show(self, score: float) -> str:
        """The score for people, such as "84.0 %"."""
        return f"{100 * score:.1f} %" if self.percent else f"{score:.4g}"


class Objective(Protocol):
    """Turns proposals into jobs, and their outcomes into scores."""

    @property
    def name(self) -> str:
        """The data set or the script, for people and as the name of the MLflow experiment."""
        ...

    @property
    def measure(self) -> str:
        """Name of the score: accuracy or another metric; "score" for a user's script."""
        ...

    @property
    def unit(self) -> Unit:
        """The form in which a score is printed."""
        ...

    def job(
        self, augmentation: Augmentation | None, settings: Mapping[str, Any], seed: int, *, keeps: str | None = None
    ) -> Job:
        """The job that trains with an augmentation and searched settings."""
        ...

    def score(self, outcome: Outcome) -> float | None:
        """The score of an outcome, higher is better; None for a failure."""
        ...

    def scores(self, result: Result) -> dict[str, float]:
        """Every measure of a result by name."""
        ...

    def works(self, trials: Sequence[Trial], name: str) -> list[tuple[list[Trial], Work]]:
        """The work that evaluates trials which were asked for together."""
        ...


@dataclass(frozen=True)
class TrainerObjective:
    """Trains a network of this project on the prepared data set; the score is measured on its validation split."""

    settings: Settings
    info: DatasetInfo
    platform: str
    unit: Unit = Unit(percent=True)

    @property
    def name(self) -> str:
        """The data set's name."""
        return self.info.name

    @property
    def measure(self) -> str:
        """The metric that `search.objective` names."""
        return self.settings.search.objective

    def job(
        self, augmentation: Augmentation | None, settings: Mapping[str, Any], seed: int, *, keeps: str | None = None
    ) -> Training:
        """The training of the settings' network, with searched settings in place of theirs."""
        changed = override(self.settings, settings) if settings else self.settings
        return Training(
            data=self.info.fingerprint,
            network=changed.network,
            recipe=changed.train,
            augmentation=augmentation,
            seed=seed,
            epochs=changed.train.epochs,
            platform=self.platform,
            keeps=keeps,
        )

    def score(self, outcome: Outcome) -> float | None:
        """The metric after the last epoch, in [0, 1]; None for a failure."""
        return _score(outcome, self.measure)

    def scores(self, result: Result) -> dict[str, float]:
        """Every metric after the last epoch, in [0, 1], by name."""
        return _scores(result)

    def works(self, trials: Sequence[Trial], name: str) -> list[tuple[list[Trial], Work]]:
        """One training for each trial."""
        return [([t], Work(f"{name} {t.id}", (self.job(t.policy, t.settings, t.seed),))) for t in trials]


@dataclass(frozen=True)
class PopulationObjective:
    """Trains a population's members from one exchange to the next, each from its parent's checkpoint."""

    settings: Settings
    info: DatasetInfo
    platform: str
    expert: Policy | None
    """Applied before a member's own policy."""
    unit: Unit = Unit(percent=True)
    keys: dict[int, str] = field(default_factory=dict)
    """The key of each trial's training."""

    @property
    def name(self) -> str:
        """The data set's name."""
        return self.info.name

    @property
    def measure(self) -> str:
        """The metric that `search.objective` names."""
        return self.settings.search.objective

    def job(
        self, augmentation: Augmentation | None, settings: Mapping[str, Any], seed: int, *, keeps: str | None = None
    ) -> Training:
        """A member's training in its first round."""
        if self.expert is not None and augmentation is not None:
            assert not isinstance(augmentation, Chain)  # a searcher proposes policies
            augmentation = Chain((self.expert, augmentation))
        train = self.settings.population_train
        return Training(
            data=self.info.fingerprint,
            network=self.settings.population_network,
            recipe=train,
            augmentation=augmentation,
            seed=seed,
            epochs=train.epochs,
            platform=self.platform,
            keeps=keeps,
            validation=self.settings.search.pba.validation,
        )

    def score(self, outcome: Outcome) -> float | None:
        """The metric at the end of the round, in [0, 1]; None for a failure."""
        return _score(outcome, self.measure)

    def scores(self, result: Result) -> dict[str, float]:
        """Every metric at the end of the round, in [0, 1], by name."""
        return _scores(result)

    def works(self, trials: Sequence[Trial], name: str) -> list[tuple[list[Trial], Work]]:
        """One unit of work for `members_per_model` neighbours, computed as one network, whatever the number of workers."""
        size = self.settings.search.pba.members_per_model
        works = []
        for group in (list(trials[i : i + size]) for i in range(0, len(trials), size)):
            trainings = as_one([self._round(trial) for trial in group])
            self.keys.update({trial.id: training.key for trial, training in zip(group, trainings, strict=True)})
            works.append((group, Work(f"{name} {group[0].id} to epoch {group[0].until}", trainings)))
        return works

    def _round(self, trial: Trial) -> Training:
        assert trial.until is not None
        training = self.job(trial.policy, {}, trial.seed, keeps="checkpoint")
        parent = None if trial.parent is None else self.keys[trial.parent]
        return replace(training, epochs=trial.until, resume=parent)


@dataclass(frozen=True)
class ScriptObjective:
    """Runs the user's own training script, which reports its score."""

    settings: Settings
    platform: str
    unit: Unit = Unit(percent=False)
    measure: str = command.MEASURE

    @property
    def name(self) -> str:
        """The function's module, or the script's file."""
        return command.name(self.settings.search.objective)

    def job(
        self, augmentation: Augmentation | None, settings: Mapping[str, Any], seed: int, *, keeps: str | None = None
    ) -> ScriptRun:
        """One run of the script. Raises SettingsError for a schedule or a chain."""
        if not isinstance(augmentation, Policy | None):
            raise SettingsError("retrain.arms: your own script is given a single policy; this arm is a schedule or a chain")
        params = json.dumps(dict(settings))
        return ScriptRun(self.settings.search.objective, params, augmentation, seed, self.platform)

    def score(self, outcome: Outcome) -> float | None:
        """The number that the script reported; None for a failure."""
        return outcome.score if isinstance(outcome, Result) else None

    def scores(self, result: Result) -> dict[str, float]:
        """The number that the script reported, by its name `score`."""
        assert result.score is not None  # a run without one is a failure
        return {self.measure: result.score}

    def works(self, trials: Sequence[Trial], name: str) -> list[tuple[list[Trial], Work]]:
        """One run of the script for each trial."""
        return [([t], Work(f"{name} {t.id}", (self.job(t.policy, t.settings, t.seed),))) for t in trials]


def objective_of(settings: Settings, workspace: Workspace, platform: str) -> Objective:
    """The objective that the settings name."""
    if settings.search.own_script:
        return ScriptObjective(settings, platform)
    return TrainerObjective(settings, load_info(workspace.info), platform)


def _score(outcome: Outcome, measure: str) -> float | None:
    return _scores(outcome)[measure] if isinstance(outcome, Result) else None


def _scores(result: Result) -> dict[str, float]:
    epoch, accuracy = result.curve[-1]
    evaluation = Evaluation(epoch - 1, accuracy, result.recall)
    return {name: evaluation.score(name) for name in OBJECTIVES}
