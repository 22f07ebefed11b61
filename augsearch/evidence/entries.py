"""Entries for a tracker, one for each training: its parameters, scores, curve and policy, ready to be logged anywhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PIL import Image

from augsearch.data.prepared import load_split
from augsearch.evidence.importance import strengths
from augsearch.evidence.retraining import Model
from augsearch.job import Outcome
from augsearch.objective import Objective
from augsearch.outcome import Failure, Result
from augsearch.policy import to_dict
from augsearch.policy.pictures import Images, describe, example_images, picture, policy_grid
from augsearch.search.loop import Ended, SearchOutcome
from augsearch.workspace import Workspace


@dataclass(frozen=True)
class Entry:
    """One training, or one member of a population, as it is tracked."""

    key: str
    """Names it within its search: what is logged under it already is not logged again."""
    name: str
    started: float
    """Unix time."""
    seconds: float
    params: Mapping[str, object]
    metrics: Mapping[str, float]
    curves: Mapping[str, Mapping[int, float]]
    """{name: {epoch: value}}"""
    tags: Mapping[str, str]
    documents: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """{file: JSON data}"""
    image: Image.Image | None = None
    """The policy on images."""


def trial_entry(ended: Ended, objective: Objective, method: str, operations: Sequence[str], images: Images) -> Entry:
    """A trial of a search.

    Args:
        operations: those whose strength is logged: numbers, so that trials can be compared as parallel coordinates.
        images: (N, C, H, W) uint8, to show the policy on.
    """
    trial, outcome, policy = ended.trial, ended.outcome, ended.trial.policy
    fixed = {"policy": describe(policy), "seed": trial.seed, "trial": trial.id, "method": method}
    searched = {f"params.{name}" if name in fixed else name: value for name, value in trial.settings.items()}
    used = {} if policy is None else strengths(policy)
    strength = {f"strength.{n.replace(':', '.')}": round(used.get(n, 0.0), 3) for n in operations if policy is not None}
    scores = objective.scores(outcome) if isinstance(outcome, Result) else {}
    return Entry(
        key=str(trial.id),
        name=f"{method} {trial.id}",
        started=outcome.started,
        seconds=outcome.seconds,
        params=fixed | searched | strength,
        metrics={"seconds": outcome.seconds, "epochs": outcome.epochs} | {f"val_{k}": v for k, v in scores.items()},
        curves=_curve(outcome),
        tags={"method": method, "kind": "trial"} | _reason(outcome),
        documents={} if policy is None else {"policy.json": to_dict(policy)},
        image=None if policy is None else policy_grid(policy, images, side=48),
    )


def member_entries(outcome: SearchOutcome, objective: Objective, images: Images) -> Iterator[Entry]:
    """Each member of a population: its scores over the rounds, and the history of the weights that it ended with."""
    rounds, searcher, method = outcome.searcher.rounds(), outcome.searcher, outcome.method
    ended = {e.trial.id: e for e in outcome.trials}
    measure = f"val_{objective.measure}"
    for member in range(len(rounds[0].trials)):
        history = [ended[r.trials[member]] for r in rounds]
        first, last = history[0], history[-1]
        lineage, schedule = searcher.lineage(last.trial.id), searcher.augmentation(last.trial.id)
        assert schedule is not None  # a population's members have one
        steps = [{"until": t.until, "member": t.id % len(rounds[0].trials), "seed": t.seed} for t in lineage]
        exploits = sum(member in r.exchanges for r in rounds)
        yield Entry(
            key=f"member {member}",
            name=f"{method} member {member}",
            started=first.outcome.started,
            seconds=last.outcome.started + last.outcome.seconds - first.outcome.started,
            params={"member": member, "method": method, "policy": describe(lineage[-1].policy), "exploits": exploits},
            metrics={"seconds": sum(e.outcome.seconds for e in history)}
            | ({} if last.score is None else {measure: last.score}),
            curves={f"epoch_{measure}": {e.trial.until or 0: e.score for e in history if e.score is not None}},
            tags={"method": method, "kind": "member"} | _reason(last.outcome),
            documents={"policy.json": to_dict(schedule), "lineage.json": {"lineage": steps}},
            image=picture(schedule, images, columns=8),
        )


def model_entry(model: Model, objective: Objective) -> Entry:
    """A model of the final table."""
    result = model.result
    return Entry(
        key=model.job.key,
        name=f"retrain {model.arm} {model.repeat}",
        started=result.started,
        seconds=result.seconds,
        params={"arm": model.arm, "seed": model.seed, "policy": describe(model.augmentation)},
        metrics={f"val_{k}": v for k, v in objective.scores(result).items()} | {"seconds": result.seconds},
        curves=_curve(result),
        tags={"arm": model.arm, "kind": "retrain"},
    )


def _curve(outcome: Outcome) -> dict[str, dict[int, float]]:
    """Validation accuracy by epoch, or what a user's script reported, one after the other."""
    if not isinstance(outcome, Result):
        return {}
    return {"epoch_val_score" if outcome.score is not None else "epoch_val_accuracy": dict(outcome.curve)}


def _reason(outcome: Outcome) -> dict[str, str]:
    """Tags of a failed trial."""
    if not isinstance(outcome, Failure):
        return {}
    output = {"output": "\n".join(outcome.output)} if outcome.output else {}
    return {"failure": outcome.message, "failure.kind": outcome.kind} | output


def examples(workspace: Workspace) -> Images:
    """Images to show policies on: the data set's own, or drawn ones where only a user's script knows them."""
    return np.array(load_split(workspace.data, "train").images[:8]) if workspace.info.exists() else example_images(8)
