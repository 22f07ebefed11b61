"""The table's numbers."""

import numpy as np
import pytest

from augsearch.evidence.results import (
    confusion,
    confusion_frame,
    estimate,
    markdown_table,
    optimism_frame,
    recall_frame,
    search_curves,
)


def test_interval_is_students() -> None:
    # by hand: mean 3, s = sqrt(2.5), t(.975, 4) = 2.776445
    e = estimate([1.0, 2.0, 3.0, 4.0, 5.0])
    assert (e.mean, e.n) == (3.0, 5)
    assert e.high - e.mean == pytest.approx(2.776445 * np.sqrt(2.5 / 5), rel=1e-6)


def test_interval_covers_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    hits = [e.low <= 0.8 <= e.high for e in (estimate(rng.normal(0.8, 0.02, 6)) for _ in range(4000))]
    assert np.mean(hits) == pytest.approx(0.95, abs=0.015)


def test_table_marks_the_best_and_leaves_gaps() -> None:
    low, high = estimate([0.1, 0.1]), estimate([0.5, 0.5])
    table = markdown_table({"a": {"No Aug": low, "Tuun": high}, "b": {"Tuun": low}})
    assert table.splitlines()[2:] == ["| a | 10.0 ± 0.0 | **50.0 ± 0.0** |", "| b |  | **10.0 ± 0.0** |"]


def test_curve_is_the_best_so_far_and_skips_failures() -> None:
    frame = search_curves({"tuun": {"trials": [{"score": None}, {"score": 0.5}, {"score": 0.4}, {"score": 0.6}]}})
    assert frame["best"].tolist()[1:] == [50.0, 50.0, 60.0]
    assert frame["best"].isna().tolist() == [True, False, False, False]


def test_optimism_is_what_validation_promised_and_test_did_not_keep() -> None:
    trials = [{"score": 0.7}, {"score": None}, {"score": 0.9}, {"score": 0.8}]
    searches = {
        "tuun": {"trials": trials, "chosen": 3, "confirmations": {"2": [0.7, 0.8], "3": [0.84, 0.86]}},
        "random": {"trials": trials, "chosen": 2, "confirmations": {}},
    }
    frame = optimism_frame("digits", searches, {"tuun": estimate([0.81, 0.83])}, {"tuun": 0.95}).set_index("method")
    columns = ["best_validation", "confirmed", "test", "optimism", "originals_rule"]
    assert frame.loc["tuun", columns].tolist() == pytest.approx([90.0, 85.0, 82.0, 8.0, 95.0])
    assert frame.loc["random", columns].isna().tolist() == [False, True, True, True, True]  # it is no arm


def test_confusion_and_recall_are_of_each_class() -> None:
    labels = np.array([0, 0, 0, 0, 1, 1])
    each = np.stack([confusion(np.array(predicted), labels, 2) for predicted in ([0, 0, 1, 1, 1, 0], [0, 0, 0, 1, 1, 0])])
    counts = confusion_frame("d", ["cat", "dog"], {"none": each}).set_index(["true", "predicted"])["count"]
    assert counts.to_dict() == {("cat", "cat"): 5, ("cat", "dog"): 3, ("dog", "cat"): 2, ("dog", "dog"): 2}
    recall = recall_frame("d", ["cat", "dog"], {"none": each}, 0.5).set_index("class")
    assert recall["recall"].tolist() == [62.5, 50.0]  # cat: 50 and 75 %
    assert recall.loc["cat", "high"] - 62.5 == pytest.approx(12.5, rel=1e-4)  # t(.75, 1) = 1
    wide = recall_frame("d", ["cat", "dog"], {"none": each}, 0.95).set_index("class")
    assert wide.loc["cat", ["low", "high"]].tolist() == [0.0, 100.0]  # no recall lies beyond
    assert recall.loc["dog", "low"] == recall.loc["dog", "high"] == 50.0
