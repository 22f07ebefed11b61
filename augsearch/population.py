"""A round of a population: members trained from one exchange to the next, which is what a slot runs.

States lie in the memory of the process that made them, and on the disk for other processes and for a search that
was killed.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from augsearch.data.info import DatasetInfo
from augsearch.data.prepared import load_info
from augsearch.data.splits import Split, counts_of, stratified, take
from augsearch.policy import Policy, Schedule
from augsearch.settings import Settings
from augsearch.training.checkpoints import Checkpoint
from augsearch.training.metrics import Evaluation
from augsearch.training.trainer import Member, NotFiniteError, train_members
from augsearch.training.training import TrialResult, new_network, normalisation, visible_parts

if TYPE_CHECKING:  # searchers load scikit-optimize, which a slot's process does not need
    from augsearch.search.searcher import Trial

_MEMORY: dict[Path, Checkpoint] = {}
"""The latest round's states, of the members that this process trained."""


@dataclass(frozen=True)
class MemberRound:
    """One member in one round: a trial of the population search."""

    id: int
    policy: Policy
    seed: int
    parent: int | None
    """The trial whose state it goes on from; None: the beginning."""
    since: int
    until: int
    """The epochs that it is trained from and to."""


def member_round(trial: Trial, trials: Sequence[Trial]) -> MemberRound:
    """A population searcher's trial, given all that it has asked for."""
    assert trial.policy is not None
    assert trial.until is not None
    since = 0 if trial.parent is None else trials[trial.parent].until or 0
    return MemberRound(trial.id, trial.policy, trial.seed, trial.parent, since, trial.until)


@dataclass(frozen=True)
class Surroundings:
    """What all rounds of a population share."""

    settings: Settings
    """As `Settings.population` gives them."""
    expert: tuple[Policy | Schedule, ...]
    """Applied before a member's own policy."""
    data: Path
    states: Path
    """A folder of this search alone."""

    def state_file(self, trial_id: int) -> Path:
        return self.states / f"{trial_id}.pt"


def run_round(groups: Sequence[Sequence[MemberRound]], where: Surroundings, device: str) -> list[TrialResult]:
    """Train groups of members to the end of their round; the results in the order of the trials.

    Their states are on the disk when this returns. A member whose loss is no longer a number has failed.
    """
    if torch.device(device).type == "cpu":
        torch.set_num_threads(1)  # groups run side by side; two busy threads each would fight over the cores
    made: dict[Path, Checkpoint] = {}
    results: list[TrialResult] = []
    for group in groups:
        started, clock = time.time(), time.perf_counter()
        ends = _train(group, where, device)
        seconds = (time.perf_counter() - clock) / len(group)
        for trial, end in zip(group, ends, strict=True):
            results.append(_result(end, trial, where.settings.search.objective, seconds, started))
            if isinstance(end, Checkpoint):
                made[where.state_file(trial.id)] = end
                end.save(where.state_file(trial.id))
    _MEMORY.clear()
    _MEMORY.update(made)
    return results


def _train(group: Sequence[MemberRound], where: Surroundings, device: str) -> list[Checkpoint | NotFiniteError]:
    info = load_info(where.data / "dataset.json")
    members = [_member(trial, where, info) for trial in group]
    if len({trial.since for trial in group}) > 1:  # one of them begins anew, for all its ancestors failed
        return [end for trial in group for end in _train([trial], where, device)]
    settings = where.settings
    part, validation = visible_parts(where.data, info.fingerprint)
    if settings.search.pba.validation is not None:
        validation = _some(where.data, info.fingerprint, settings.search.pba.validation, settings.seed)
    return train_members(members, part, validation, settings.train, normalisation(info), until=group[0].until, device=device)


def _member(trial: MemberRound, where: Surroundings, info: DatasetInfo) -> Member:
    policies = (*where.expert, trial.policy)
    network = new_network(where.settings.network, info, trial.seed)
    return Member(network, policies, trial.seed, None if trial.parent is None else _state(where.state_file(trial.parent)))


def _state(file: Path) -> Checkpoint:
    return _MEMORY[file] if file in _MEMORY else Checkpoint.load(file)


@lru_cache(maxsize=1)
def _some(folder: Path, fingerprint: str, images: int, seed: int) -> Split:
    """So many images of the validation part, each class in its proportion; the same in every round."""
    _, validation = visible_parts(folder, fingerprint)
    quota = stratified(counts_of(validation, 0), images, "search.pba.validation")
    return take(validation, quota, seed)[0]


def _result(
    end: Checkpoint | NotFiniteError, trial: MemberRound, objective: str, seconds: float, started: float
) -> TrialResult:
    epochs = trial.until - trial.since
    if isinstance(end, NotFiniteError):
        return TrialResult(None, (), seconds, started, f"{type(end).__name__}: {end}", epochs=epochs)
    epoch, accuracy, recall = end.evaluations[-1]
    score = Evaluation(epoch, accuracy, tuple(recall)).score(objective)
    return TrialResult(score, (accuracy,), seconds, started, recall=tuple(recall), epochs=epochs)
