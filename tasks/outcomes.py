"""What searches found, and the files that the next stages read it from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE

from augsearch import policy
from augsearch.files import write_text
from augsearch.policy import Policy, Schedule
from tasks import paths


@dataclass
class Outcome:
    """What a search found, and what it cost."""

    policy: Policy | Schedule | None
    settings: dict[str, Any]
    chosen: int
    trials: list[dict[str, Any]]
    confirmations: dict[int, list[float]] = field(default_factory=dict)
    confirming: dict[str, float] = field(default_factory=lambda: {"trainings": 0, "epochs": 0, "seconds": 0.0})
    """What the confirmations cost."""
    rounds: list[dict[str, Any]] = field(default_factory=list)
    """Of a population: until which epoch, the members' scores, who copied whom."""


@task(cache_policy=NO_CACHE)
def save_searches(outcomes: Mapping[str, Outcome]) -> None:
    """The found policies and settings, and the scores that the search curve is drawn from."""
    for folder in (paths.JOURNALS, paths.POLICIES):
        folder.mkdir(parents=True, exist_ok=True)  # DVC wants every output, if only an empty one
    found = {method: outcome.policy for method, outcome in outcomes.items() if outcome.policy is not None}
    for method, best in found.items():
        policy.save(best, paths.POLICIES / f"{method}.json")
    for file in paths.POLICIES.glob("*.json"):
        if file.stem not in found:
            file.unlink()
    settings = {method: outcome.settings for method, outcome in outcomes.items()}
    write_text(paths.FOUND_SETTINGS, json.dumps(settings, indent=1) + "\n")
    summary = {method: _summary(outcome) for method, outcome in outcomes.items()}
    write_text(paths.SEARCHES, json.dumps(summary, indent=1) + "\n")


def _summary(outcome: Outcome) -> dict[str, Any]:
    summary: dict[str, Any] = {
        "chosen": outcome.chosen,
        "trials": outcome.trials,
        "confirmations": {str(i): scores for i, scores in outcome.confirmations.items()},
        "confirming": outcome.confirming,
    }
    return summary | ({"rounds": outcome.rounds} if outcome.rounds else {})
