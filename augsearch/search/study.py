"""The search without the pipeline: any black box, any space, ask and tell.

    result = minimize(lambda p: (p["x"] - 0.3) ** 2, {"x": {"_type": "uniform", "_value": [0, 1]}}, trials=30)
    result.best_params, result.best_value

    study = Study(space, direction="maximize")
    for trial in study.ask(8):
        study.tell(trial.id, score_of(trial.params))

Spaces: NNI's dict or file, named scikit-optimize dimensions, or `augsearch.search.space.Space`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from augsearch.errors import SearchError, SettingsError
from augsearch.search.bayesian import BayesianSearcher
from augsearch.search.random import RandomSearcher
from augsearch.search.searcher import Trial
from augsearch.search.space import PolicyBlock, Space, read_space
from augsearch.search.space_searcher import SpaceSearcher


@dataclass(frozen=True)
class Told:
    """A trial and what came of it."""

    params: dict[str, Any]
    value: float | None
    """None: it failed."""


@dataclass(frozen=True)
class Result:
    best_params: dict[str, Any]
    best_value: float
    trials: tuple[Told, ...]
    exhausted: bool
    """Every point of a finite space has been tried."""


def usual_acquisition(space: Space) -> str:
    """LCB for policies; EI for general spaces, where it did better on seeds that no benchmark reports (docs/search.md)."""
    return "LCB" if any(isinstance(block, PolicyBlock) for block in space.blocks) else "EI"


class Study:
    """A search over any space, told by whoever runs the trials, in any order and however many at a time.

    Args:
        space: see the module.
        direction: "maximize" or "minimize".
        method: "tuun" (Bayesian optimisation) or "random".
        seed: the same seed and the same told scores give the same proposals.
        n_initial_points: random trials before the surrogate proposes.
        acq_func: "EI", "LCB", "PI" or "TS" (Thompson sampling); None: `usual_acquisition`.
        kappa: LCB's weight of the standard deviation.
        xi: the improvement that EI and PI ask for, in standard deviations of the values seen.

    Raises:
        SettingsError: a space, direction, method or acquisition that is none.
    """

    def __init__(
        self,
        space: object,
        direction: Literal["maximize", "minimize"] = "maximize",
        method: Literal["tuun", "random"] = "tuun",
        seed: int = 0,
        *,
        n_initial_points: int = 10,
        acq_func: str | None = None,
        kappa: float = 1.96,
        xi: float = 0.01,
    ) -> None:
        if direction not in ("maximize", "minimize"):
            raise SettingsError(f"direction: {direction!r}; must be 'maximize' or 'minimize'")
        if acq_func not in ("EI", "LCB", "PI", "TS", None):
            raise SettingsError(f"acq_func: {acq_func!r}; must be EI, LCB, PI or TS")
        self.direction = direction
        known = read_space(space)
        acq_func = acq_func or usual_acquisition(known)
        self._searcher: SpaceSearcher
        if method == "tuun":
            self._searcher = BayesianSearcher(
                known, seed, n_initial_points=n_initial_points, acq_func=acq_func, kappa=kappa, xi=xi
            )
        elif method == "random":
            self._searcher = RandomSearcher(known, seed)
        else:
            raise SettingsError(f"method: {method!r}; must be 'tuun' or 'random'")
        self._asked: dict[int, Trial] = {}
        self._values: dict[int, float | None] = {}

    def ask(self, n: int = 1) -> list[Trial]:
        """n trials to run; those asked for earlier and not yet told count as running.

        Fewer than n, in the end none, once every point of a finite space has been asked for (`exhausted`).
        """
        trials = self._searcher.ask(n)
        self._asked.update({trial.id: trial for trial in trials})
        return trials

    def tell(self, trial_id: int, score: float | None) -> None:
        """A trial's value; None or NaN: it failed. Raises SearchError for a trial that was never asked for."""
        if trial_id not in self._asked:
            raise SearchError(f"trial {trial_id}: never asked for; {len(self._asked)} were")
        value = None if score is None or not math.isfinite(score) else float(score)
        self._values[trial_id] = value
        self._searcher.tell(trial_id, value if value is None or self.direction == "maximize" else -value)

    @property
    def exhausted(self) -> bool:
        """Whether every point of a finite space has been asked for."""
        return self._searcher.exhausted

    @property
    def best(self) -> Trial:
        """The trial with the best value told. Raises SearchError while there is none."""
        known = {i: value for i, value in self._values.items() if value is not None}
        if not known:
            raise SearchError(f"no trial has a value yet; {len(self._values)} were told as failed")
        choose = max if self.direction == "maximize" else min
        return self._asked[choose(known, key=lambda i: known[i])]

    @property
    def result(self) -> Result:
        best = self._values[self.best.id]
        assert best is not None
        trials = tuple(Told(self._asked[i].params, value) for i, value in sorted(self._values.items()))
        return Result(self.best.params, best, trials, self.exhausted)


def minimize(
    f: Callable[[Mapping[str, Any]], float | None],
    space: object,
    *,
    trials: int,
    batch: int = 1,
    seed: int = 0,
    n_initial_points: int = 10,
    method: Literal["tuun", "random"] = "tuun",
    acq_func: str | None = None,
) -> Result:
    """Find parameters where f is small.

    f takes the parameters as a dict and gives a number; None or NaN is a failed trial, and so is an
    ArithmeticError. `batch` trials are proposed together. A finite space may be used up before `trials` are done.

    Raises:
        SearchError: every trial failed.
    """
    study = Study(space, "minimize", method, seed, n_initial_points=n_initial_points, acq_func=acq_func)
    done = 0
    while done < trials and (asked := study.ask(min(batch, trials - done))):
        for trial in asked:
            try:
                value = f(trial.params)
            except ArithmeticError:
                value = None
            study.tell(trial.id, value)
            done += 1
    return study.result
