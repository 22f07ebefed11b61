"""Every arm trained on fresh seeds: policies in, weights and validation scores out."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from prefect import get_run_logger

from augsearch import policy
from augsearch.data.info import DatasetInfo
from augsearch.data.prepared import load_info, load_split
from augsearch.errors import SearchError
from augsearch.evidence import arms
from augsearch.files import write_text
from augsearch.journal import Journal, fingerprint
from augsearch.policy import Augmentation, Policy, Schedule
from augsearch.policy.pictures import describe, example_images, picture
from augsearch.script import command
from augsearch.script.run import script_fingerprint
from augsearch.search.searcher import training_seed
from augsearch.settings import METHODS, Settings, override
from augsearch.training.metrics import OBJECTIVES
from augsearch.training.trainer import Classifier
from augsearch.training.training import new_network, normalisation, training_fingerprint
from tasks import paths
from tasks.search import curve
from tasks.slots import Slots
from tasks.tracking import Tracker
from tasks.trials import policy_file, retrain_script_task, retrain_task, weights_file

_RETRAINING = 2_000_000  # in the path of a training seed: no search has used these


@contextmanager
def open_retraining(settings: Settings, slots: Sequence[str]) -> Iterator[Retraining]:
    own = settings.search.own_script
    info = None if own else load_info(paths.DATA / "dataset.json")
    mark = training_fingerprint(settings, info, kind="retrain") if info else script_fingerprint(settings, kind="retrain")
    name = info.name if info else command.name(settings.search.objective)
    with Journal.open(paths.RETRAIN_JOURNAL, mark, get_run_logger().warning) as journal:
        tracker = Tracker(name, "retrain", mark, {"kind": "retrain"})
        task = Slots(retrain_script_task if own else retrain_task, slots)
        try:
            yield Retraining(settings, info, journal, tracker, task, paths.LOGS / mark[:8])
        except BaseException:  # an interruption too is noted, and goes on its way
            tracker.interrupted()
            raise


class Retraining:
    """All trainings of all arms. With one's own script there is no info, and no weights: both are the script's business."""

    def __init__(
        self, settings: Settings, info: DatasetInfo | None, journal: Journal, tracker: Tracker, slots: Slots, logs: Path
    ) -> None:
        self.settings = settings
        self.info = info
        self.logs = logs
        self.journal = journal
        self.tracker = tracker
        self.slots = slots
        found = json.loads(paths.FOUND_SETTINGS.read_text())
        self.changes = {arm: _merged(found.get(part, {}) for part in arm.split("+")) for arm in settings.retrain.arms}
        self.measure = f"val_{settings.search.measure}"
        self.measures = tuple(f"val_{objective}" for objective in OBJECTIVES) if info else (self.measure,)
        self.policies = {arm: policy.joined(arms.parts_of(arm, self._part)) for arm in settings.retrain.arms}
        self.marks = {
            arm: fingerprint(policy=p and policy.to_dict(p), settings=self.changes[arm]) for arm, p in self.policies.items()
        }
        self.records = {
            (r["arm"], r["repeat"]): r
            for r in journal.records
            if self.marks.get(r["arm"]) == r["policy"] and (info is None or weights_file(r["arm"], r["repeat"]).exists())
        }
        self._log = get_run_logger()

    def _part(self, name: str) -> Augmentation | None:
        if name == "etp":
            return arms.expert_policy(self.settings.dataset.name if self.info else None, self.settings.retrain.etp)
        if name in arms.ABLATIONS:
            found = self._part(name.partition(":")[0])
            assert isinstance(found, Schedule)  # as a population's search finds them
            return arms.ABLATIONS[name](found, np.random.default_rng(self.settings.seed))
        if name not in METHODS:
            sides = (self.info.height, self.info.width) if self.info else (0, 0)  # one's own script has only files
            return arms.fixed(name, self.settings.dataset.name, sides)
        file = paths.POLICIES / f"{name}.json"
        if not file.exists() and name in json.loads(paths.FOUND_SETTINGS.read_text()):
            return None  # that search was over settings alone
        return policy.load_policy(file)

    def run(self) -> None:
        """Train what is not in the journal yet, track it, and write the summary."""
        wanted = [(arm, k) for k in range(self.settings.retrain.seeds) for arm in self.policies]
        new = [pair for pair in wanted if pair not in self.records]
        for arm, k in new:
            self.slots.add((arm, k), self._call(arm, k))
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
                f"retrain {so_far}/{len(wanted)}: {arm} {k} {self._shown(result[self.measure])}; "
                f"{int(left // 60)}:{int(left % 60):02d} left"
            )
        for arm, k in wanted:
            self._track(arm, k)
        self._save(wanted)

    def _call(self, arm: str, repeat: int) -> dict[str, Any]:
        call = {"arm": arm, "repeat": repeat, "policy": self.policies[arm], "seed": self._seed(repeat)}
        if self.info is not None:
            return call | {"settings": override(self.settings, self.changes[arm])}
        if not isinstance(self.policies[arm], Policy | None):
            raise SearchError(f"retrain.arms: {arm!r} is no single policy, which is what your own script is given")
        log = self.logs / f"{arm}-{repeat}-{self.marks[arm][:8]}.log"
        return call | {"settings": self.settings, "params": self.changes[arm], "log": log}

    def _shown(self, score: float) -> str:
        return f"{100 * score:.1f} %" if self.info else f"{score:.4g}"

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
            params={"arm": arm, "seed": record["seed"], "policy": describe(found)},
            metrics={key: record[key] for key in (*self.measures, "seconds")},
            curves=curve(record["accuracy"], self.settings),
            tags={"arm": arm, "kind": "retrain"},
        )

    def _save(self, wanted: list[tuple[str, int]]) -> None:
        epochs = () if self.info is None else ("epochs",)
        keys = ("arm", "repeat", "seed", *self.measures, *epochs, "seconds")
        rows = [{key: self.records[pair][key] for key in keys} | {"settings": self.changes[pair[0]]} for pair in wanted]
        write_text(paths.RETRAINED, json.dumps(rows, indent=1) + "\n")
        for folder in (paths.WEIGHTS, paths.ARMS):
            folder.mkdir(parents=True, exist_ok=True)  # DVC wants every output, if only an empty one
        for file in paths.WEIGHTS.glob("*.pt"):
            if self.info is None or file not in {weights_file(*pair) for pair in wanted}:
                file.unlink()
        for arm, found in self.policies.items():
            if found is not None:
                policy.save(found, policy_file(arm))
        for file in paths.ARMS.glob("*.json"):
            if file not in {policy_file(arm) for arm, found in self.policies.items() if found is not None}:
                file.unlink()

    def register_champion(self) -> None:
        """Log and register a model of the arm that is best on the validation part; the test part stays sealed.

        Of one's own script only the arm is noted: it keeps its own weights.
        """
        means = {
            arm: float(np.mean([r[self.measure] for (a, _), r in self.records.items() if a == arm])) for arm in self.policies
        }
        arm = max(means, key=lambda a: means[a])
        mark = f"{arm} {self.marks[arm][:8]}"
        if self.info is not None and self.tracker.tag("champion") != mark:
            name = f"augsearch-{self.info.name}"
            network = new_network(override(self.settings, self.changes[arm]).network, self.info, 0)
            network.load_state_dict(torch.load(weights_file(arm, 0), weights_only=True))
            classifier = Classifier(network, normalisation(self.info)).eval()
            example = load_split(paths.DATA, "val").images[:4]
            version = self.tracker.register(classifier, example, name, {"arm": arm})
            self._log.info(f"registered {name} version {version} as champion: a model of {arm}, the best on validation")
        found = self.policies[arm]
        if found is not None:
            images = load_split(paths.DATA, "train").images[:8] if self.info else example_images(8)
            self.tracker.image(picture(found, images, side=48), "policy.png")
        self.tracker.finish(metrics={f"{self.measure}_{a}": m for a, m in means.items()}, tags={"champion": mark})


def _merged(changes: Iterable[dict[str, Any]]) -> dict[str, Any]:
    return {name: value for change in changes for name, value in change.items()}
