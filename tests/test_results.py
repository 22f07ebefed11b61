"""The table's numbers."""

import numpy as np
import pytest

from augsearch.results import estimate, markdown_table, search_curves


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
