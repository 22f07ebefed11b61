"""Tuun's search: Bayesian optimisation.

Whose part is whose: the acquisition functions EI and LCB are scikit-optimize's, and its dimensions are understood
as spaces. The features, the Gaussian process, the breeding of candidates and the choice of a batch
are this project's, because scikit-optimize's own surrogates on the 30 raw dimensions of a policy cost seconds to
minutes for each batch and are little better than random search there.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import spearmanr

from augsearch.policy.ops import Floats
from augsearch.search.acquisition import Acquisition
from augsearch.search.candidates import breed
from augsearch.search.searcher import Trial
from augsearch.search.space import Space
from augsearch.search.space_searcher import SpaceSearcher
from augsearch.search.surrogate import GaussianProcess

_CANDIDATE_STREAM = 1
_GATE, _AGREEMENT = 8, 0.4  # trials with a result, and rank correlation, before a source's observations are used


class BayesianSearcher(SpaceSearcher):
    """`n_initial_points` random trials, then batches chosen by an acquisition function.

    Args:
        acq_func, kappa, xi: as in `Acquisition`.
        first: rows to try before anything else, such as the best of an earlier search; they count as initial.
        source: rows (M, D) and scores (M,) of an earlier search. Once `_GATE` trials have a result, and as long as a
            surrogate of the source ranks them much as they turned out, its scores join the observations on this
            search's scale; an unrelated source is thus left out.
    """

    def __init__(
        self,
        space: Space,
        seed: int,
        *,
        n_initial_points: int = 20,
        acq_func: str = "LCB",
        kappa: float = 1.96,
        xi: float = 0.01,
        first: Sequence[Floats] = (),
        source: tuple[Floats, Floats] | None = None,
    ) -> None:
        super().__init__(space, seed)
        self.n_initial_points = n_initial_points
        self._acquisition = Acquisition(acq_func, kappa, xi)
        self._first = list(first)
        self._source = source

    def ask(self, n: int) -> list[Trial]:
        """Propose up to n trials: first random ones, then a batch chosen by the acquisition function."""
        before = len(self.trials)
        fitted = len(self.finished()) >= 2  # or there is nothing to fit a surrogate to
        new = self._random_trials(min(n, max(self.n_initial_points - before, 0)) if fitted else n)
        if fitted and len(new) < n and not self.exhausted:
            new += [self.add(row) for row in self._propose(n - len(new), before)]
        return new

    def _random_row(self) -> Floats | None:
        i = len(self.rows)
        return self._first[i] if i < len(self._first) else super()._random_row()

    def ranking(self) -> list[int]:
        """Rank by the surrogate's mean, which averages the noise of single trainings away."""
        done = self.finished()
        if len(done) < self.n_initial_points:
            return super().ranking()
        rows, loss = self._observed()
        mean, _ = self._fit(rows, loss).predict(self.space.features(rows))
        scored = {i: mean[k] for k, i in enumerate(sorted(self.told))}
        return sorted(done, key=lambda i: (scored[i], i))

    def _fit(self, rows: Floats, loss: Floats) -> GaussianProcess:
        if self._source is not None and len(rows) >= _GATE:
            borrowed = self._borrowed(*self._source, rows, loss)
            if borrowed is not None:
                rows, loss = np.vstack([rows, self._source[0]]), np.r_[loss, borrowed]
        return GaussianProcess(self.space.features(rows), loss, self.space.groups)

    def _borrowed(self, theirs: Floats, scores: Floats, rows: Floats, loss: Floats) -> Floats | None:
        """The source's losses (M,) on this search's scale; None if it ranks this search's trials otherwise.

        A line through (what the source's surrogate expects of this search's trials, how they turned out) gives
        the scale: the source saw other policies than this search, so their means cannot simply be matched.
        """
        process = GaussianProcess(self.space.features(theirs), -scores, self.space.groups)
        expected, _ = process.predict(self.space.features(rows))
        if np.ptp(expected) == 0 or np.ptp(loss) == 0 or spearmanr(expected, loss).statistic < _AGREEMENT:
            return None
        slope, offset = np.polyfit(expected, loss, 1)
        borrowed: Floats = offset + slope * -scores
        return borrowed

    def _observed(self) -> tuple[Floats, Floats]:
        """Every trial that ended with its loss, minus the score up to a power of two; a failed one counts as the worst seen."""
        ids = sorted(self.told)
        scores = [self.told[i] for i in ids]
        worst = min(score for score in scores if score is not None)
        loss = -np.array([worst if score is None else score for score in scores])
        # a power of two changes no digit, and keeps the squares of very large and very small scores from overflow and underflow
        return np.array([self.rows[i] for i in ids]), np.ldexp(loss, -np.frexp(np.abs(loss).max())[1])

    def _propose(self, n: int, before: int) -> Floats:
        """At most n rows, chosen one after the other. before: how many trials there were when this batch was asked for."""
        rows, loss = self._observed()
        process = self._fit(rows, loss)
        rng = np.random.default_rng(np.random.SeedSequence([self.seed, _CANDIDATE_STREAM, len(self.told), before]))
        if self.space.every_row is None:
            bred = breed(self.space, process, rows, loss, self._acquisition.kappa, rng)
            fresh = self._unseen(bred)
            if len(fresh) < n:  # at the edge of a space, many are alike
                fresh = self._unseen(np.vstack([bred, self.space.sample(10 * n, rng)]))
        else:
            fresh = self._unseen(self.space.every_row)
        running = [self.rows[trial.id] for trial in self.trials if trial.id not in self.told]
        candidates = np.vstack([*running, fresh])
        batch = process.batch(self.space.features(candidates))
        free = np.arange(len(candidates)) >= len(running)
        for i in range(len(running)):
            batch.fantasize(i)
        incumbent = float(process.predict(self.space.features(rows))[0].min())
        chosen: list[int] = []
        for _ in range(min(n, len(fresh))):
            chosen.append(self._acquisition.best(batch, incumbent, free, rng))
            free[chosen[-1]] = False
            batch.fantasize(chosen[-1])
        return candidates[chosen]
