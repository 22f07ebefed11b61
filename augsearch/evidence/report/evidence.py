"""The inputs of a report: the tables, the searches, and their provenance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from augsearch.data.info import DatasetInfo
from augsearch.evidence.origin import Facts
from augsearch.evidence.scores import Estimate, Unit, best, estimates
from augsearch.evidence.tables import Searches, Tables, measures_of, table_rows, unit_of
from augsearch.policy import Policy, Schedule
from augsearch.policy.pictures import Images
from augsearch.settings import Settings


@dataclass(frozen=True)
class Evidence:
    """Everything that a page says, about one run or about the cases of an experiment."""

    title: str
    """The data set's name, the user's script's, or the experiment's."""
    tables: Tables
    """The tables; with several cases, the column `dataset` names the case."""
    settings: Settings
    params: str
    """The settings, or the experiment, as the file has them."""
    facts: Facts
    info: DatasetInfo | None = None
    searches: Searches = field(default_factory=dict)
    policies: Mapping[str, Policy | Schedule] = field(default_factory=dict)
    """The policy that each search chose; none for a search over settings alone."""
    images: Images | None = None
    """(N, C, H, W) uint8, to show policies on."""

    @property
    def unit(self) -> Unit:
        """The unit in which scores are written."""
        return unit_of(self.settings)

    @property
    def objective(self) -> str:
        """The objective of the searches."""
        return measures_of(self.settings)[-1]

    @property
    def confidence(self) -> float:
        """The intervals' confidence."""
        return self.settings.table.confidence

    @property
    def interval(self) -> str:
        """The name of an interval."""
        return f"{100 * self.confidence:g} % interval"

    def rows(self) -> dict[str, dict[str, Estimate]]:
        """{row of the table: {arm: estimate}}."""
        return table_rows(self.tables.scores, self.unit, measures_of(self.settings), self.confidence)

    def by_dataset(self) -> dict[str, dict[str, Estimate]]:
        """{data set: {arm: the estimate of its objective}}."""
        return estimates(self.tables.scores, self.unit.column(self.objective), self.confidence)

    @property
    def best(self) -> str:
        """The arm of a run with the highest mean of the objective."""
        return best(self.by_dataset()[self.title])
