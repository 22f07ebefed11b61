"""What the originals' rule would have claimed: the best test score of any epoch of any trial.

Tuun's article and others select so. Training is deterministic, so the same trials, judged on test instead of validation, say
what they would have reported. Tabulation alone asks for it (`table.originals_rule`), once every policy is fixed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from augsearch import policy
from augsearch.data.info import DatasetInfo
from augsearch.data.prepared import load_info, load_split
from augsearch.data.splits import Split
from augsearch.errors import SearchError
from augsearch.journal import Journal, fingerprint, read_records
from augsearch.policy import Augmentation
from augsearch.settings import Settings, override
from augsearch.training.training import train_on, training_fingerprint
from tasks import paths
from tasks.slots import Slots

_METHODS = ("tuun", "random")  # whose trials are trainings by themselves: each can run again alone


def claims(settings: Settings, slots: Sequence[str]) -> dict[str, float]:
    """The best test score over all epochs and trials of each search, in [0, 1]; trials that ran before are read."""
    info = load_info(paths.DATA / "dataset.json")
    mark = training_fingerprint(settings, info, kind="originals", objective=settings.search.objective)
    log = get_run_logger()
    with Journal.open(paths.ORIGINALS, mark, log.warning) as journal:
        known = {record["trial"]: record["best"] for record in journal.records}
        trials = {_key(method, record): (method, record) for method, record in _trials(settings)}
        running, left = Slots(original_task, slots), [key for key in trials if key not in known]
        for key in left:
            method, record = trials[key]
            running.add(key, _call(f"{method} {record['trial']} on test", record, settings))
        for done, (key, best) in enumerate(running.finished(), 1):
            if isinstance(best, BaseException):
                raise SearchError(f"table.originals_rule: {key[:8]}: {type(best).__name__}: {best}")
            journal.append({"trial": key, "best": best})
            known[key] = best
            log.info(f"originals' rule: {len(trials) - len(left) + done}/{len(trials)} trials")
    best_of: dict[str, float] = {}
    for key, (method, _) in trials.items():
        if known[key] is not None:
            best_of[method] = max(best_of.get(method, 0.0), known[key])
    return best_of


def _trials(settings: Settings) -> Iterator[tuple[str, dict[str, Any]]]:
    """(method, record of the search's journal) of every trial that has a score and took part in the choice."""
    searches = json.loads(paths.SEARCHES.read_text())
    for method in settings.search.methods:
        if method in _METHODS:
            scored = {trial["trial"] for trial in searches[method]["trials"] if trial["score"] is not None}
            records = read_records(paths.JOURNALS / f"{method}.jsonl")
            yield from ((method, record) for record in records if record.get("trial") in scored)


def _key(method: str, record: dict[str, Any]) -> str:
    """Of what the trial's training depends on besides the journal's fingerprint."""
    return fingerprint(method=method, policy=record["policy"], seed=record["seed"], settings=record["settings"])


def _call(name: str, record: dict[str, Any], settings: Settings) -> dict[str, Any]:
    found = record["policy"] and policy.from_dict(record["policy"])
    every_epoch = record["settings"] | {"train.evaluate_every": 1}
    return {"name": name, "policy": found, "seed": record["seed"], "settings": override(settings, every_epoch)}


@lru_cache(maxsize=1)
def _parts(fingerprint: str) -> tuple[Split, Split]:
    """Train and test, once for each process; the fingerprint keeps apart what lay in the folder one after the other."""
    return load_split(paths.DATA, "train"), load_split(paths.DATA, "test")


@task(name="original", task_run_name="{name}", cache_policy=NO_CACHE)
def original_task(name: str, policy: Augmentation | None, seed: int, settings: Settings, device: str) -> float | None:
    """The best test score of any epoch of one trial, trained again; None: it failed."""
    info: DatasetInfo = load_info(paths.DATA / "dataset.json")
    try:
        trained = train_on(*_parts(info.fingerprint), info, policy, seed, settings, device)
    except Exception:  # whatever failed a trial there fails it here: no claim, and the others go on
        return None
    return max(trained.scores(settings.search.objective))
