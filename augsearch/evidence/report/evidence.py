"""What a report is made of: the scores, the searches, and what other tables say where they are there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from augsearch.data.info import DatasetInfo
from augsearch.evidence.results import Estimate, estimate
from augsearch.policy import Policy, Schedule
from augsearch.policy.pictures import Images
from augsearch.settings import Settings


@dataclass(frozen=True)
class Search:
    """One search method's trials, and what it found."""

    method: str
    scores: tuple[float | None, ...]
    """Of each trial in order, in percent; None where it failed."""
    seconds: tuple[float, ...]
    """That each trial kept its device busy."""
    policies: tuple[Policy | Schedule | None, ...]
    """Of each trial; None where the search was over settings alone."""
    found: Policy | Schedule | None


@dataclass(frozen=True)
class Evidence:
    """Everything a report says. The frames are the CSV files of reports/, with scores in percent."""

    info: DatasetInfo
    settings: Settings
    params: str
    """The settings as their file has them."""
    scores: pd.DataFrame
    """dataset, arm, repeat and test_ of each objective in [0, 1]: a row for each retrained model."""
    results: pd.DataFrame
    """dataset, arm, label and what the arm cost: a row for each arm."""
    searches: tuple[Search, ...]
    images: Images
    """Some of the training part, to show policies on."""
    origin: Mapping[str, str]
    differences: pd.DataFrame | None = None
    """dataset, arm, against, difference, low, high, p, p_holm, n, sentence; in points."""
    optimism: pd.DataFrame | None = None
    """dataset, method, best_validation, confirmed, test, optimism, and originals_rule where it is known."""
    confusion: pd.DataFrame | None = None
    """dataset, arm, true, predicted, count."""
    recall: pd.DataFrame | None = None
    """dataset, arm, class, recall, low, high."""

    def label(self, arm: str) -> str:
        """As the table prints it."""
        labels = dict(zip(self.results["arm"], self.results["label"], strict=True))
        return str(labels.get(arm, arm))

    def estimates(self, measure: str) -> dict[str, dict[str, Estimate]]:
        """{data set: {arm: the estimate of its test score}}, in the order of the table."""
        confidence = self.settings.table.confidence
        found: dict[str, dict[str, Estimate]] = {}
        for (dataset, arm), group in self.scores.groupby(["dataset", "arm"], sort=False):
            found.setdefault(str(dataset), {})[str(arm)] = estimate(list(group[f"test_{measure}"]), confidence)
        return found

    @property
    def best(self) -> str:
        """The arm with the highest mean of the objective."""
        means = self.estimates(self.settings.search.objective)[self.info.name]
        return max(means, key=lambda arm: means[arm].mean)

    def own(self, frame: pd.DataFrame | None) -> pd.DataFrame | None:
        """The rows of this data set; None where there are none."""
        if frame is None:
            return None
        rows = frame[frame["dataset"] == self.info.name]
        return rows if len(rows) else None
