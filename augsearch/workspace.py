"""Paths: one folder with params.yaml, the data, what was made of them, and the store."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Workspace:
    """The paths of one workspace; dvc.yaml names the same places.

    Args:
        root: the folder that holds params.yaml; made absolute.
    """

    root: Path = field(default_factory=Path.cwd)

    def __post_init__(self) -> None:
        object.__setattr__(self, "root", Path(self.root).absolute())

    def resolve(self, path: str | Path) -> Path:
        """A path from the settings: relative to the workspace, unless it is absolute."""
        return self.root / path

    @property
    def data(self) -> Path:
        """The prepared data set."""
        return self.root / "data"

    @property
    def info(self) -> Path:
        """The prepared data set's description, a `DatasetInfo`."""
        return self.data / "dataset.json"

    @property
    def policies(self) -> Path:
        """Policies that the searches chose, METHOD.json."""
        return self.root / "models/policies"

    @property
    def found_settings(self) -> Path:
        """Settings that the searches chose, by method."""
        return self.root / "models/settings.json"

    @property
    def searches(self) -> Path:
        """Every trial of every search, and what was chosen."""
        return self.root / "models/search.json"

    @property
    def retrained(self) -> Path:
        """A row for each training of the final table."""
        return self.root / "models/retrain.json"

    @property
    def weights(self) -> Path:
        """The final table's weights, KEY.pt."""
        return self.root / "models/weights"

    @property
    def arms(self) -> Path:
        """The augmentation of each arm, as policy files."""
        return self.root / "models/arms"

    @property
    def reports(self) -> Path:
        """Tables, figures and the page."""
        return self.root / "reports"

    @property
    def store(self) -> Path:
        """The folder of the results store; DVC does not know it."""
        return self.root / ".augsearch"

    @property
    def logs(self) -> Path:
        """The output of users' scripts."""
        return self.store / "logs"
