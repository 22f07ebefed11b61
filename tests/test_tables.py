"""The table's numbers, and where they say that they come from."""

import csv
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, balanced_accuracy_score, confusion_matrix, recall_score

from augsearch.environment import commit
from augsearch.evidence.origin import commands, environments
from augsearch.evidence.scores import PERCENT, PLAIN, estimate
from augsearch.evidence.tables import held_out_scores, markdown, optimism, recall, search_curves
from augsearch.settings import Settings, settings_from
from tests.report_samples import ENVIRONMENT, published, published_script, search, trainings, trial


def test_interval_is_students() -> None:
    # by hand: mean 3, s = sqrt(2.5), t(.975, 4) = 2.776445
    e = estimate([1.0, 2.0, 3.0, 4.0, 5.0])
    assert (e.mean, e.n) == (3.0, 5)
    assert e.high - e.mean == pytest.approx(2.776445 * np.sqrt(2.5 / 5), rel=1e-6)
    assert estimate([0.5, 0.5]).low == 0.5


def test_interval_covers_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    hits = [e.low <= 0.8 <= e.high for e in (estimate(rng.normal(0.8, 0.02, 6).tolist()) for _ in range(4000))]
    assert np.mean(hits) == pytest.approx(0.95, abs=0.015)


def test_the_table_marks_the_best_and_leaves_gaps() -> None:
    rows = [("a", "none", 0.1), ("a", "tuun", 0.5), ("b", "tuun", 0.1)]
    scores = pd.DataFrame(
        [
            {"dataset": d, "arm": a, "repeat": k, "test_accuracy": s, "test_worst_class_recall": 0.25}
            for d, a, s in rows
            for k in (0, 1)
        ]
    )
    assert markdown(scores, PERCENT, ("accuracy", "worst_class_recall"), 0.95).splitlines() == [
        "| | No Aug | Tuun |",
        "|---|---|---|",
        "| a | 10.0 ± 0.0 | **50.0 ± 0.0** |",
        "| b |  | **10.0 ± 0.0** |",
        "| a, worst-class recall | **25.0 ± 0.0** | 25.0 ± 0.0 |",
        "| b, worst-class recall |  | **25.0 ± 0.0** |",
    ]


def test_a_curve_is_the_best_so_far_and_skips_failures() -> None:
    searches = {"tuun": search([trial(k, score) for k, score in enumerate((None, 0.5, 0.4, 0.6))], 3)}
    frame = search_curves(searches, PERCENT)
    assert frame["best"].tolist()[1:] == [50.0, 50.0, 60.0]
    assert frame["best"].isna().tolist() == [True, False, False, False]
    assert search_curves(searches, PLAIN)["best"].tolist()[1:] == [0.5, 0.5, 0.6]
    assert search_curves({}, PERCENT).empty


def settings(**sections: Any) -> Settings:
    arms = {"arms": ["none", "etp"]}
    return settings_from({"search": {"methods": ["tuun", "random", "pba"]}, "retrain": arms, **sections}, "a test")


TRIALS = [trial(k, score) for k, score in enumerate((0.7, None, 0.9, 0.8))]
TESTED = {arm: estimate([mean - 0.01, mean + 0.01]) for arm, mean in {"tuun": 0.82, "pba": 0.85, "etp+pba": 0.84}.items()}


def test_optimism_is_what_validation_promised_and_test_did_not_keep() -> None:
    searches = {
        "tuun": search(TRIALS, 3, confirmations={"2": [0.7, 0.8], "3": [0.84, 0.86]}),
        "random": search(TRIALS, 2),
    }
    frame = optimism("digits", searches, TESTED, settings()).set_index("method")
    columns = ["best_validation", "confirmed", "test", "optimism"]
    assert frame.loc["tuun", columns].tolist() == pytest.approx([90.0, 85.0, 82.0, 8.0])
    assert frame.loc["random", columns].isna().tolist() == [False, True, True, True]  # it is no arm
    assert frame["note"].tolist() == ["", ""]


@pytest.mark.parametrize(
    ("pba", "test", "difference", "note"),
    [
        ({}, 85.0, 5.0, ""),  # trained as the arm is
        ({"expert": True}, 84.0, 6.0, ""),  # behind the expert policy, as the arm pba+etp is
        ({"train": {"epochs": 120, "lr": 0.1}}, 85.0, math.nan, "trained otherwise than the arm (epochs 120, lr 0.1)"),
        ({"network": {"name": "wrn-16-1"}}, 85.0, math.nan, "trained otherwise than the arm (network wrn-16-1)"),
    ],
)
def test_a_population_is_compared_with_its_arm_only_where_both_train_alike(
    pba: dict[str, Any], test: float, difference: float, note: str
) -> None:
    own = settings(search={"methods": ["pba"], "pba": pba}, train={"epochs": 40, "lr": 0.05})
    frame = optimism("digits", {"pba": search(TRIALS, 2)}, TESTED, own)
    row = frame.iloc[0]
    assert (row["best_validation"], row["test"], row["optimism"]) == pytest.approx((90.0, test, difference), nan_ok=True)
    assert note in row["note"]
    assert bool(note) == bool(row["note"])


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1))
def test_every_objective_follows_from_the_counts(pairs: list[tuple[int, int]]) -> None:
    """The classes 0 to 3 are all there at least once, as every test set has them."""
    true, predicted = np.array([*pairs, *((k, k) for k in range(4))]).T
    scores = held_out_scores(confusion_matrix(true, predicted))
    assert scores == pytest.approx(
        {
            "accuracy": accuracy_score(true, predicted),
            "balanced_accuracy": balanced_accuracy_score(true, predicted),
            "worst_class_recall": recall_score(true, predicted, average=None).min(),
        }
    )


def test_recall_is_each_classs_with_its_interval() -> None:
    each = {"none": np.array([[[2, 2], [1, 1]], [[3, 1], [1, 1]]])}
    frame = recall("d", ["cat", "dog"], each, 0.5).set_index("class")
    assert frame["recall"].tolist() == [62.5, 50.0]  # cat: 50 and 75 %
    assert frame.loc["cat", "high"] - 62.5 == pytest.approx(12.5, rel=1e-4)  # t(.75, 1) = 1
    wide = recall("d", ["cat", "dog"], each, 0.95).set_index("class")
    assert wide.loc["cat", ["low", "high"]].tolist() == [0.0, 100.0]  # no recall lies beyond
    assert frame.loc["dog", "low"] == frame.loc["dog", "high"] == 50.0


def table(folder: Path, name: str) -> list[dict[str, str]]:
    with (folder / f"reports/{name}.csv").open() as file:
        return list(csv.DictReader(file))


def test_a_run_is_published_with_all_its_tables(tmp_path: Path) -> None:
    stale = tmp_path / "reports/figures/policy-of-a-search-that-is-no-more.png"
    stale.parent.mkdir(parents=True)
    stale.touch()
    done = published(tmp_path)
    assert {str(file.relative_to(tmp_path / "reports").parent) for file in done.files} == {".", "figures"}
    assert {file for file in (tmp_path / "reports").rglob("*") if file.is_file()} == set(done.files)  # and none left behind
    assert {f"policy-{method}.png" for method in ("tuun", "random", "pba")} <= {file.name for file in done.files}
    assert done.table.splitlines()[2] == (
        "| parts & bolts | 80.0 ± 2.0 | 84.0 ± 2.0 | **87.0 ± 2.0** | 83.0 ± 2.0 | 81.0 ± 2.0 |"
    )
    assert done.lead.replace("\u00a0", " ") == (
        "Tuun has the highest mean test accuracy: 87.0 ± 2.0 %, against 80.0 ± 2.0 % without augmentation."
    )
    assert done.metrics["test_accuracy_tuun"] == pytest.approx(0.87)
    assert json.loads((tmp_path / "reports/metrics.json").read_text())["tuun"]["n"] == 5
    results = table(tmp_path, "results")
    assert [float(row["test_accuracy"]) for row in results] == [80.0, 84.0, 87.0, 83.0, 81.0]
    assert [row["label"] for row in done.summary] == [row["label"] for row in results]
    tuun = {key: float(value) for key, value in results[2].items() if key.startswith("search_")}
    assert tuun == {"search_trials": 30, "search_confirmations": 2, "search_epochs": 128, "search_seconds": 48.0}
    assert float(table(tmp_path, "scores")[0]["test_balanced_accuracy"]) == pytest.approx(0.78)
    confusion = {
        (row["true"], row["predicted"]): int(row["count"]) for row in table(tmp_path, "confusion") if row["arm"] == "none"
    }
    assert (confusion["bolt", "bolt"], sum(confusion.values())) == (400, 2000)
    assert len(table(tmp_path, "recall")) == 5 * 4
    words = (tmp_path / "reports/results.md").read_text()
    assert "- Tuun beats No Aug by 7.0 points [7.0, 7.0], n = 5." in words
    assert "- hardware: an abacus (cpu)" in words
    assert "- PBA: its population was trained otherwise than the arm (epochs 120, schedule cosine, lr 0.1)" in words


def test_a_users_own_script_has_the_same_tables_in_its_own_unit(tmp_path: Path) -> None:
    done = published_script(tmp_path)
    assert done.table.splitlines() == [
        "| the script's own score | No Aug | Tuun |",
        "|---|---|---|",
        "| tests.own_script | 1234 ± 0.02 | **1240 ± 0.02** |",
    ]
    assert [float(row["val_score"]) for row in table(tmp_path, "results")] == pytest.approx([1234.5, 1240.5])
    (difference,) = table(tmp_path, "differences")
    assert (float(difference["difference"]), difference["measure"]) == (pytest.approx(6.0), "score")
    (promised,) = table(tmp_path, "optimism")
    assert (promised["best_validation"], promised["confirmed"], promised["test"]) == ("1221.0", "1236.0", "")
    assert float(table(tmp_path, "search")[-1]["best"]) == 1221.0
    assert table(tmp_path, "confusion") == table(tmp_path, "recall") == []
    assert "the script tests.own_script:train gave itself" in (tmp_path / "reports/results.md").read_text()
    assert done.metrics == pytest.approx({"val_score_none": 1234.5, "val_score_tuun": 1240.5})


def test_one_environment_is_named_once_and_the_tables_commit_where_it_is_another() -> None:
    rows = trainings({"none": 0.8}, "val_accuracy")
    facts = environments({"No Aug": rows})
    assert facts == {
        "commit": "0123456789ab",
        "hardware": "an abacus (cpu)",
        "versions": "Python 3.11",
        "tabulated at": commit(),
    }
    assert commands(facts, "search").startswith("git checkout 0123456789ab\n")
    here = [row | {"environment": ENVIRONMENT | {"commit": commit()}} for row in rows]
    assert "tabulated at" not in environments({"No Aug": here})


def test_environments_that_differ_say_which_trainings_are_theirs() -> None:
    gpu = ENVIRONMENT | {"commit": "ba9876543210", "hardware": "a GPU", "device": "cuda"}
    tuun = trainings({"tuun": 0.9}, "val_accuracy")
    moved = [row | {"environment": gpu} if row["repeat"] > 2 else row for row in tuun]
    facts = environments({"No Aug": trainings({"none": 0.8}, "val_accuracy"), "Tuun": moved})
    assert facts == {
        "versions": "Python 3.11",
        "environment 1": "0123456789ab; an abacus (cpu); trained there: No Aug, 3 of 5 Tuun",
        "environment 2": "ba9876543210; a GPU (cuda); trained there: 2 of 5 Tuun",
        "tabulated at": commit(),
    }
    assert "git checkout" not in commands(facts, "search")
