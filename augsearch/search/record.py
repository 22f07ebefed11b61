"""models/search.json and beside it: what the searches chose, and every trial that led to it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from augsearch.files import write_text
from augsearch.outcome import Failure
from augsearch.policy import save, to_dict
from augsearch.search.loop import Ended, SearchOutcome
from augsearch.workspace import Workspace


def save_searches(outcomes: Mapping[str, SearchOutcome], workspace: Workspace) -> None:
    """Write the chosen policies and settings, and the scores that the search curve is drawn from."""
    workspace.policies.mkdir(parents=True, exist_ok=True)  # DVC wants every output, if only an empty one
    chosen = {method: outcome.augmentation for method, outcome in outcomes.items() if outcome.augmentation is not None}
    for method, augmentation in chosen.items():
        save(augmentation, workspace.policies / f"{method}.json")
    for file in workspace.policies.glob("*.json"):
        if file.stem not in chosen:
            file.unlink()
    settings = {method: outcome.settings for method, outcome in outcomes.items()}
    write_text(workspace.found_settings, json.dumps(settings, indent=1) + "\n")
    summaries = {method: summary(outcome) for method, outcome in outcomes.items()}
    write_text(workspace.searches, json.dumps(summaries, indent=1) + "\n")


def summary(outcome: SearchOutcome) -> dict[str, Any]:
    """A search as plain JSON data: the choice, the trials, the confirmations; a population's members and rounds."""
    rounds = outcome.searcher.rounds()
    common = {
        "confirmations": {str(i): scores for i, scores in outcome.confirmations.items() if scores},
        "confirming": outcome.confirming,
    }
    if not rounds:
        return {"chosen": outcome.chosen, "trials": [_trial(ended) for ended in outcome.trials], **common}
    ended = {e.trial.id: e for e in outcome.trials}
    size = len(rounds[0].trials)
    members = [[ended[r.trials[member]] for r in rounds] for member in range(size)]
    return {
        "chosen": outcome.chosen % size,
        "trials": [_member(member, history) for member, history in enumerate(members)],
        **common,
        "rounds": [
            {
                "until": r.until,
                "scores": [ended[i].score for i in r.trials],
                "exchanges": {str(member): source for member, source in r.exchanges.items()},
                "seconds": sum(ended[i].outcome.seconds for i in r.trials),
            }
            for r in rounds
        ],
    }


def _trial(ended: Ended) -> dict[str, Any]:
    trial, outcome = ended.trial, ended.outcome
    return {
        "trial": trial.id,
        "score": ended.score,
        "seconds": outcome.seconds,
        "epochs": outcome.epochs,
        "failure": outcome.message if isinstance(outcome, Failure) else None,
        "policy": None if trial.policy is None else to_dict(trial.policy),
        "settings": trial.settings,
    }


def _member(member: int, history: Sequence[Ended]) -> dict[str, Any]:
    """A member's place in the population through all rounds, whoever's weights it had."""
    last = history[-1].outcome
    return {
        "trial": member,
        "score": history[-1].score,
        "seconds": sum(e.outcome.seconds for e in history),
        "epochs": history[-1].trial.until,
        "failure": last.message if isinstance(last, Failure) else None,
        "policy": None,
        "settings": {},
    }
