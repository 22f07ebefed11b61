"""Every arm trained on fresh seeds: policies in, weights and validation scores out."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from prefect import get_run_logger

from augsearch import arms, datasets, policy
from augsearch.config import Settings, override
from augsearch.datasets import Card
from augsearch.errors import SearchError
from augsearch.files import write_text
from augsearch.journal import Journal, fingerprint
from augsearch.objectives import OBJECTIVES
from augsearch.pictures import describe, policy_grid
from augsearch.policy import Policy
from augsearch.searchers.base import training_seed
from augsearch.trainer import Classifier
from augsearch.trials import new_network, normalisation, training_fingerprint
from tasks import paths
from tasks.slots import Slots
from tasks.tracking import Tracker
from tasks.trials import retrain_task, weights_file

_MEASURES = tuple(f"val_{objective}" for objective in OBJECTIVES)
_RETRAINING = 2_000_000  # in the path of a training seed: no search has used these


@contextmanager
def open_retraining(settings: Settings, slots: Sequence[str]) -> Iterator[Retraining]:
    card = datasets.load_card(paths.DATA / "card.json")
    mark = training_fingerprint(settings, card, kind="retrain")
    with Journal.open(paths.RETRAIN_JOURNAL, mark, get_run_logger().warning) as journal:
        tracker = Tracker(card.name, "retrain", mark, {"kind": "retrain"})
        try:
            yield Retraining(settings, card, journal, tracker, Slots(retrain_task, slots))
        except BaseException:
            tracker.interrupted()
            raise


class Retraining:
    def __init__(self, settings: Settings, card: Card, journal: Journal, tracker: Tracker, slots: Slots) -> None:
        self.settings = settings
        self.card = card
        self.journal = journal
        self.tracker = tracker
        self.slots = slots
        found = json.loads(paths.FOUND_SETTINGS.read_text())
        self.changes = {arm: _merged(found.get(part, {}) for part in arm.split("+")) for arm in settings.retrain.arms}
        self.measure = f"val_{settings.search.objective}"
        self.policies = {arm: arms.policy_of(arm, self._part) for arm in settings.retrain.arms}
        self.marks = {
            arm: fingerprint(policy=p and policy.to_dict(p), settings=self.changes[arm]) for arm, p in self.policies.items()
        }
        self.records = {
            (r["arm"], r["repeat"]): r
            for r in journal.records
            if self.marks.get(r["arm"]) == r["policy"] and weights_file(r["arm"], r["repeat"]).exists()
        }
        self._log = get_run_logger()

    def _part(self, name: str) -> Policy | None:
        if name == "etp":
            return arms.expert_policy(self.settings.dataset.name, self.settings.retrain.etp)
        file = paths.POLICIES / f"{name}.json"
        if not file.exists() and name in json.loads(paths.FOUND_SETTINGS.read_text()):
            return None  # that search was over settings alone
        found = policy.load_policy(file)
        assert isinstance(found, Policy)  # these searches find policies
        return found

    def run(self) -> None:
        """Train what is not in the journal yet, track it, and write the summary."""
        wanted = [(arm, k) for k in range(self.settings.retrain.seeds) for arm in self.policies]
        new = [pair for pair in wanted if pair not in self.records]
        for arm, k in new:
            settings = override(self.settings, self.changes[arm])
            call = {"arm": arm, "repeat": k, "policy": self.policies[arm], "seed": self._seed(k), "settings": settings}
            self.slots.add((arm, k), call)
        started = time.perf_counter()
        for done, ((arm, k), result) in enumerate(self.slots.finished(), 1):
            if isinstance(result, BaseException):
                raise SearchError(f"retraining {arm} {k} failed: {type(result).__name__}: {result}")
            record = {"arm": arm, "repeat": k, "seed": self._seed(k), "policy": self.marks[arm], **result}
            self.journal.append(record)
            self.records[arm, k] = record
            left = (len(new) - done) * (time.perf_counter() - started) / done
            so_far = len(wanted) - len(new) + done
            self._log.info(
                f"retrain {so_far}/{len(wanted)}: {arm} {k} {100 * result[self.measure]:.1f} %; "
                f"{int(left // 60)}:{int(left % 60):02d} left"
            )
        for arm, k in wanted:
            self._track(arm, k)
        self._save(wanted)

    def _seed(self, repeat: int) -> int:
        """The same for every arm: differences between arms are paired."""
        return training_seed(self.settings.seed, _RETRAINING, repeat)

    def _track(self, arm: str, repeat: int) -> None:
        record, found = self.records[arm, repeat], self.policies[arm]
        self.tracker.child(
            f"{arm} {repeat} {self.marks[arm][:8]}",
            name=f"retrain {arm} {repeat}",
            started=record["started"],
            seconds=record["seconds"],
            params={"arm": arm, "seed": record["seed"], "policy": describe(found) if found else "none"},
            metrics={key: record[key] for key in (*_MEASURES, "seconds")},
            curves={"epoch_val_accuracy": record["accuracy"]},
            tags={"arm": arm, "kind": "retrain"},
        )

    def _save(self, wanted: list[tuple[str, int]]) -> None:
        keys = ("arm", "repeat", "seed", *_MEASURES, "seconds")
        rows = [{key: self.records[pair][key] for key in keys} | {"settings": self.changes[pair[0]]} for pair in wanted]
        write_text(paths.RETRAINED, json.dumps(rows, indent=1) + "\n")
        for file in paths.WEIGHTS.glob("*.pt"):
            if file not in {weights_file(*pair) for pair in wanted}:
                file.unlink()
        for arm, found in self.policies.items():
            if found is not None:
                policy.save(found, paths.ARMS / f"{arm}.json")
        for file in paths.ARMS.glob("*.json"):
            if self.policies.get(file.stem) is None:
                file.unlink()

    def register_champion(self) -> None:
        """Log and register a model of the arm that is best on the validation part; the test part stays sealed."""
        means = {
            arm: float(np.mean([r[self.measure] for (a, _), r in self.records.items() if a == arm])) for arm in self.policies
        }
        arm = max(means, key=lambda a: means[a])
        name, mark = f"augsearch-{self.card.name}", f"{arm} {self.marks[arm][:8]}"
        if self.tracker.tag("champion") != mark:
            network = new_network(override(self.settings, self.changes[arm]).network, self.card, 0)
            network.load_state_dict(torch.load(weights_file(arm, 0), weights_only=True))
            classifier = Classifier(network, normalisation(self.card)).eval()
            example = datasets.load_part(paths.DATA, "val").images[:4]
            version = self.tracker.register(classifier, example, name, {"arm": arm})
            self._log.info(f"registered {name} version {version} as champion: a model of {arm}, the best on validation")
        found = self.policies[arm]
        if found is not None:
            self.tracker.image(policy_grid(found, datasets.load_part(paths.DATA, "train").images[:8], side=48), "policy.png")
        self.tracker.finish(metrics={f"{self.measure}_{a}": m for a, m in _safe(means).items()}, tags={"champion": mark})


def _merged(changes: Iterable[dict[str, Any]]) -> dict[str, Any]:
    return {name: value for change in changes for name, value in change.items()}


def _safe(means: dict[str, float]) -> dict[str, float]:
    """MLflow allows no + in a metric's name."""
    return {arm.replace("+", "_and_"): mean for arm, mean in means.items()}
