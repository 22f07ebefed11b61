"""What a report is made of, made up: two searches whose truth is known, a schedule, and names that would run as a script."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from augsearch.data.info import DatasetInfo
from augsearch.evidence.experiments import Case, Experiment
from augsearch.evidence.report.evidence import Evidence, Search
from augsearch.evidence.report.joint import Joint
from augsearch.policy import Operation, Policy, Schedule, Segment, SubPolicy
from augsearch.settings import load

ROOT = Path(__file__).parent.parent
EVIL = "<script>alert(1)</script>"
CLASSES = ("bolt", EVIL, "0", "a class with a name that is rather longer than any chart can show")
OPERATIONS = ("Rotate", "Invert", "Equalize", "Color", "ShearX", "Posterize", "Solarize", "Contrast", "Brightness")
CASES = ("small", "large")
ROTATE = 4.0  # points that a policy with Rotate gains


def random_policy(rng: np.random.Generator) -> Policy:
    slots = [Operation(str(name), float(rng.uniform(0.1, 1)), float(rng.uniform(0.1, 1))) for name in rng.choice(OPERATIONS, 4)]
    return Policy((SubPolicy((slots[0], slots[1])), SubPolicy((slots[2], slots[3]))))


def search(method: str, trials: int, seed: int) -> Search:
    """Trials whose score is 80 %, plus `ROTATE` with Rotate, plus noise; the second one failed."""
    rng = np.random.default_rng(seed)
    policies = [random_policy(rng) for _ in range(trials)]
    rotated = [any(o.name == "Rotate" for s in p.sub_policies for o in s.operations) for p in policies]
    scores: list[float | None] = [80 + ROTATE * used + float(rng.normal(0, 2)) for used in rotated]
    scores[1] = None
    return Search(method, tuple(scores), tuple(rng.uniform(1, 2, trials).tolist()), tuple(policies), policies[0])


def evidence(*, whole: bool = True) -> Evidence:
    """whole: with the tables that other parts of the tabulation make."""
    rng = np.random.default_rng(0)
    info = DatasetInfo(
        name="parts & bolts",
        source="made up",
        classes=CLASSES,
        channels=3,
        height=12,
        width=12,
        mean=(0.5,) * 3,
        std=(0.2,) * 3,
        counts={"train": (9,) * 4, "val": (9,) * 4, "test": (9,) * 4},
        fingerprint="0123456789abcdef" * 4,
    )
    arms = {"none": ("No Aug", 0.80), "random": ("Random search", 0.84), "tuun": (f"Tuun {EVIL}", 0.87)}
    rows = [(arm, k, mean + 0.01 * (k - 2)) for arm, (_, mean) in arms.items() for k in range(5)]
    scores = pd.DataFrame([{"dataset": info.name, "arm": arm, "repeat": k, "test_accuracy": score} for arm, k, score in rows])
    results = pd.DataFrame(
        [
            {"dataset": info.name, "arm": arm, "label": label, "n": 5, "search_trials": 30, "search_seconds": 4321.0}
            for arm, (label, _) in arms.items()
        ]
    )
    policies = [random_policy(rng) for _ in range(3)]
    schedule = Schedule(tuple(Segment(4, policy) for policy in policies))
    return Evidence(
        info=info,
        settings=load(ROOT / "params.yaml"),
        params=f"seed: 0  # {EVIL}\n",
        scores=scores,
        results=results,
        searches=(
            search("tuun", 30, 1),
            search("random", 30, 2),
            Search("pba", (81.0, 83.0), (30.0, 31.0), (None, None), schedule),
        ),
        images=rng.integers(0, 256, (8, 3, 12, 12), np.uint8),
        origin={"commit": "0123456789ab", "hardware": "an abacus"},
        **(_tables(info) if whole else {}),
    )


def joint() -> Joint:
    """Two cases of the same run."""
    whole = evidence()
    doubled = {
        name: pd.concat([getattr(whole, name).assign(dataset=case) for case in CASES], ignore_index=True)
        for name in ("scores", "results", "differences", "optimism")
    }
    cases = {case: Case(params="", settings=whole.settings) for case in CASES}
    return Joint(
        Experiment("both", "a bolt in two sizes", "an hour", cases),
        replace(whole, searches=(), params=f"about: {EVIL}\n", **doubled),
        reports={case: f"experiments/runs/both/{case}/reports/index.html" for case in CASES},
        data=dict.fromkeys(CASES, "made up; SHA-256 0123456789abcdef"),
    )


def _tables(info: DatasetInfo) -> dict[str, pd.DataFrame]:
    base = {"dataset": info.name}
    points = [
        ("random", "none", 4.0, 3.0, 5.0, 0.001),
        ("tuun", "none", 7.0, 6.0, 8.0, 0.001),
        ("tuun", "random", 0.3, -1, 2, 0.6),
    ]
    differences = [
        {**base, "arm": a, "against": b, "difference": d, "low": low, "high": high, "p_holm": p, "measure": "accuracy"}
        | {"sentence": f"{a} and {b} differ by {d} points, n = 5"}
        for a, b, d, low, high, p in points
    ]
    optimism = [{**base, "method": "tuun", "best_validation": 89.0, "confirmed": 88.0, "test": 87.1, "optimism": 1.9}]
    optimism[0]["originals_rule"] = float("nan")  # nobody asked for it
    confusion = [
        {**base, "arm": arm, "true": a, "predicted": b, "count": 30 if a == b else 5}
        for arm in ("none", "tuun")
        for a in CLASSES
        for b in CLASSES
    ]
    recall = [
        {**base, "arm": arm, "class": name, "recall": 60.0 + gain, "low": 55.0 + gain, "high": 65.0 + gain}
        for arm, gain in (("none", 0.0), ("tuun", 9.0))
        for name in CLASSES
    ]
    frames = {"differences": differences, "optimism": optimism, "confusion": confusion, "recall": recall}
    return {name: pd.DataFrame(rows) for name, rows in frames.items()}
