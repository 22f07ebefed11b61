"""What a report is made of, made up: searches whose truth is known, a schedule, and names that would run as a script."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from augsearch.data.info import DatasetInfo
from augsearch.evidence.tables import Counts
from augsearch.evidence.tabulation import Published, publish
from augsearch.policy import Operation, Policy, Schedule, Segment, SubPolicy, save, to_dict
from augsearch.settings import load, settings_from
from augsearch.workspace import Workspace

ROOT = Path(__file__).parent.parent
EVIL = "<script>alert(1)</script>"
CLASSES = ("bolt", EVIL, "$x_0$ \x1b 螺", "a class with a name that is rather longer than any chart can show")
ARMS = {"none": 0.80, "random": 0.84, "tuun": 0.87, "pba": 0.83, "file:<b>mine": 0.81}
OPERATIONS = ("Rotate", "Invert", "Equalize", "Color", "ShearX", "Posterize", "Solarize", "Contrast", "Brightness")
ROTATE = 0.04  # what a policy with Rotate gains
ENVIRONMENT = {"commit": "0123456789ab", "hardware": "an abacus", "versions": "Python 3.11", "device": "cpu"}
INFO = DatasetInfo(
    name="parts & bolts",
    source="made up",
    classes=CLASSES,
    channels=3,
    height=12,
    width=12,
    mean=(0.5,) * 3,
    std=(0.2,) * 3,
    counts={"train": (9,) * 4, "val": (9,) * 4, "test": (100,) * 4},
    fingerprint="0123456789abcdef" * 4,
)


def random_policy(rng: np.random.Generator) -> Policy:
    slots = [Operation(str(name), float(rng.uniform(0.1, 1)), float(rng.uniform(0.1, 1))) for name in rng.choice(OPERATIONS, 4)]
    return Policy((SubPolicy((slots[0], slots[1])), SubPolicy((slots[2], slots[3]))))


def trial(k: int, score: float | None, policy: Policy | None = None) -> dict[str, Any]:
    data = None if policy is None else to_dict(policy)
    return {"trial": k, "score": score, "seconds": 1.5, "epochs": 4, "failure": None, "policy": data, "settings": {}}


def search(trials: Sequence[dict[str, Any]], chosen: int, **more: Any) -> dict[str, Any]:
    """As models/search.json has it."""
    confirming = {"trainings": 2, "epochs": 8, "seconds": 3.0}
    return {"chosen": chosen, "trials": list(trials), "confirmations": {}, "confirming": confirming, **more}


def random_search(trials: int, seed: int) -> dict[str, Any]:
    """Trials whose score is 80 %, plus `ROTATE` with Rotate, plus noise; the second one failed."""
    rng = np.random.default_rng(seed)
    policies = [random_policy(rng) for _ in range(trials)]
    rotated = [any(o.name == "Rotate" for s in p.sub_policies for o in s.operations) for p in policies]
    scores: list[float | None] = [0.80 + ROTATE * used + float(rng.normal(0, 0.02)) for used in rotated]
    scores[1] = None
    return search([trial(k, *pair) for k, pair in enumerate(zip(scores, policies))], 0, confirmations={"0": [0.81, 0.83]})


def population_search() -> dict[str, Any]:
    """Three members over three rounds; the last goes back to the first."""
    rounds = [
        {"until": 2, "scores": [0.5, 0.4, 0.3], "exchanges": {}, "seconds": 9.0},
        {"until": 4, "scores": [0.7, 0.6, 0.8], "exchanges": {"2": 0}, "seconds": 9.0},
        {"until": 6, "scores": [0.8, None, 0.9], "exchanges": {}, "seconds": 9.0},
    ]
    return search([trial(k, score) for k, score in enumerate((0.8, None, 0.9))], 2, rounds=rounds)


def trainings(arms: dict[str, float], column: str, n: int = 5) -> list[dict[str, Any]]:
    """As models/retrain.json has them; on validation every arm scores what it scores on test."""
    return [
        {"arm": arm, "repeat": k, "seed": k, "key": f"{arm} {k}", column: mean + 0.01 * (k - 2)}
        | {"epochs": 4, "seconds": 2.5, "settings": {}, "environment": ENVIRONMENT}
        for k in range(n)
        for arm, mean in arms.items()
    ]


def counts(accuracy: float) -> Counts:
    """Of 100 images of each class so many are recognised, and all others taken for the next class."""
    right = round(100 * accuracy)
    return np.diag([right] * 4) + np.roll(np.diag([100 - right] * 4), 1, axis=1)


def workspace(root: Path, searches: dict[str, Any]) -> Workspace:
    """The files that tabulation reads."""
    rng = np.random.default_rng(0)
    place = Workspace(root)
    place.data.mkdir(parents=True)
    np.save(place.data / "train_images.npy", rng.integers(0, 256, (36, 3, 12, 12), np.uint8))
    np.save(place.data / "train_labels.npy", np.repeat(np.arange(4), 9))
    place.info.write_text(json.dumps(asdict(INFO)))
    place.policies.mkdir(parents=True)
    for method in searches:
        policies = [random_policy(rng) for _ in range(3)]
        save(
            Schedule(tuple(Segment(2, p) for p in policies)) if method == "pba" else policies[0],
            place.policies / f"{method}.json",
        )
    place.searches.write_text(json.dumps(searches))
    return place


def published(root: Path, *, searched: bool = True, rows: list[dict[str, Any]] | None = None) -> Published:
    """A whole run, tabulated."""
    searches = {"tuun": random_search(30, 1), "random": random_search(30, 2), "pba": population_search()} if searched else {}
    place = workspace(root, searches)
    rows = trainings(ARMS, "val_accuracy") if rows is None else rows
    place.retrained.write_text(json.dumps(rows))
    confusions = [counts(row["val_accuracy"]) for row in rows]
    return publish(place, load(ROOT / "params.yaml"), f"seed: 0  # {EVIL}\n", INFO, rows, confusions)


def published_script(root: Path) -> Published:
    """A run of a user's own script, whose scores are around 1,234."""
    trials = [trial(k, 1200 + 3.0 * k, random_policy(np.random.default_rng(k))) for k in range(8)]
    place = workspace(root, {"tuun": search(trials, 7, confirmations={"7": [1234.0, 1238.0]})})
    rows = trainings({"none": 1234.5, "tuun": 1240.5}, "val_score")
    settings = settings_from(
        {"search": {"objective": "tests.own_script:train"}, "retrain": {"seeds": 5, "arms": ["none", "tuun"]}}, "a test"
    )
    return publish(place, settings, "seed: 0\n", None, rows, [])
