"""Random search: the baseline that every other search has to beat at the same budget."""

from __future__ import annotations

from augsearch.search.searcher import Trial
from augsearch.search.space_searcher import SpaceSearcher


class RandomSearcher(SpaceSearcher):
    """Every trial is drawn uniformly from the space."""

    def ask(self, n: int) -> list[Trial]:
        """Draw up to n trials."""
        return self._random_trials(n)
