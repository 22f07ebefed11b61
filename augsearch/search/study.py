"""The search without the pipeline: any black box, any space, ask and tell.

    result = minimize(lambda p: (p["x"] - 0.3) ** 2, {"x": {"_type": "uniform", "_value": [0, 1]}}, trials=30)
    result.best_params, result.best_value

    study = Study(space, direction="maximize")
    for trial in study.ask(8):
        study.tell(trial, score_of(trial.params))
    study.save("study.json")  # and on another day: Study.load("study.json")

Spaces: NNI's dict or file, scikit-optimize's dimensions or shorthand (`augsearch.search.notation`), or a `Space`.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from augsearch.errors import SearchError, SettingsError
from augsearch.search import study_file
from augsearch.search.bayesian import BayesianSearcher
from augsearch.search.outcomes import Outcomes, Result
from augsearch.search.random import RandomSearcher
from augsearch.search.searcher import Trial
from augsearch.search.space import PolicyBlock, Space, read_space

Function = Callable[[dict[str, Any]], Any]
"""Takes the parameters of a trial, by name, and gives its value."""
Caught = type[Exception] | tuple[type[Exception], ...]

_log = logging.getLogger(__name__)


def usual_acquisition(space: Space) -> str:
    """LCB for policies; EI for general spaces, where it did better on seeds that no benchmark reports (docs/search.md)."""
    return "LCB" if any(isinstance(block, PolicyBlock) for block in space.blocks) else "EI"


class Study(Outcomes):
    """A search over any space. The caller runs the trials, in any order and any number at a time.

    Args:
        space: see the module.
        direction: "maximize" or "minimize".
        method: "tuun" (Bayesian optimisation) or "random".
        seed: the same seed and the same values give the same proposals.
        n_initial_points: random trials before the surrogate proposes; known points count.
        acq_func: "EI", "LCB", "PI" or "TS" (Thompson sampling); None: `usual_acquisition`.
        kappa: LCB's weight of the standard deviation.
        xi: the improvement that EI and PI ask for, in standard deviations of the values seen.

    Raises:
        SettingsError: a space, direction, method, acquisition function or number that is none.
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
        known = read_space(space)
        acq_func = acq_func or usual_acquisition(known)
        _one_of("direction", direction, ("maximize", "minimize"))
        _one_of("method", method, ("tuun", "random"))
        _one_of("acq_func", acq_func, ("EI", "LCB", "PI", "TS"))
        _at_least(0, seed=seed)
        _at_least(1, n_initial_points=n_initial_points)
        _at_least(0.0, kappa=kappa, xi=xi)
        tuun: dict[str, Any] = {
            "n_initial_points": int(n_initial_points),
            "acq_func": acq_func,
            "kappa": float(kappa),
            "xi": float(xi),
        }
        self._settings = {"direction": direction, "method": method, "seed": int(seed), **tuun}
        searcher = RandomSearcher(known, seed) if method == "random" else BayesianSearcher(known, seed, **tuun)
        super().__init__(searcher, direction)

    def ask(self, n: int = 1) -> list[Trial]:
        """Propose n trials to run; those without a value yet count as running.

        Fewer than n, in the end none, once every point of a finite space has been asked for (`exhausted`).
        """
        _at_least(0, n=n)
        return self._searcher.ask(n)

    def optimize(self, f: Function, trials: int, *, batch: int = 1, catch: Caught = ArithmeticError) -> Result:
        """Run `trials` trials of f, first those that were asked for and have no value yet.

        Args:
            f: takes the parameters as a dict and gives a number; None or NaN is a failed trial.
            batch: trials that are proposed together.
            catch: exceptions of f that make a failed trial. Any other, too, is kept as a failed trial's reason, and then
                raised; the study can go on from there.

        Raises:
            SearchError: no trial has a value.
        """
        _at_least(1, trials=trials, batch=batch)
        left = trials
        while left > 0 and (waiting := self.running[:left] or self.ask(min(batch, left))):
            for trial in waiting:
                _run(self, f, trial, catch)
            left -= len(waiting)
        return self.result

    def save(self, path: str | Path) -> None:
        """Write the space, the settings and every trial as JSON; `load` goes on from there.

        Raises:
            SearchError: an option or a parameter that JSON cannot hold, or a file with something else in it, which is kept.
        """
        trials = []
        for trial, row in zip(self._searcher.trials, self._searcher.rows, strict=True):
            over = self._over.get(trial.id)
            outcome = {} if over is None else {"value": over.value, "failure": over.failure}
            trials.append({"params": trial.params, "row": row.tolist(), **outcome})
        study_file.write(Path(path), self._searcher.space.describe(), self._settings, trials)

    @classmethod
    def load(cls, path: str | Path) -> Study:
        """The study of a file that `save` wrote; it proposes what the saved one would have.

        Raises:
            SearchError: no such file, or not one of these.
        """
        data = study_file.read(Path(path))
        try:
            study = cls(data["space"], **data["settings"])
            for entry in data["trials"]:
                trial = study._searcher.add(np.array(entry["row"]), study_file.params(entry))
                if "value" in entry:
                    study.tell(trial, entry["value"], entry["failure"])
        except (KeyError, TypeError, ValueError) as error:
            raise SearchError(f"{path}: damaged: {error}") from None
        return study


def _run(study: Study, f: Function, trial: Trial, catch: Caught) -> None:
    """One trial of `Study.optimize`."""
    try:
        value = f(copy.deepcopy(trial.params))  # f may take it apart
    except Exception as error:
        evaluation = study.tell(trial, None, f"{type(error).__name__}: {error}")
        if not isinstance(error, catch):
            raise
    else:
        evaluation = study.tell(trial, value)
    if evaluation.failure is not None:
        _log.warning("trial %d failed: %s", trial.id, evaluation.failure)


def _one_of(name: str, value: object, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise SettingsError(f"{name}: {value!r}; must be {', '.join(allowed[:-1])} or {allowed[-1]}")


def _at_least(lowest: float, **numbers: Any) -> None:
    """Raise SettingsError for a number below `lowest`, and, where that is a whole number, for one that is not."""
    whole = isinstance(lowest, int)
    for name, number in numbers.items():
        if not isinstance(number, (int, np.integer) if whole else (int, float, np.number)) or not number >= lowest:
            raise SettingsError(f"{name}: {number!r}; must be {'a whole number, ' if whole else ''}{lowest:g} or more")


def minimize(
    f: Function,
    space: object,
    *,
    trials: int,
    batch: int = 1,
    seed: int = 0,
    n_initial_points: int = 10,
    method: Literal["tuun", "random"] = "tuun",
    acq_func: str | None = None,
    kappa: float = 1.96,
    xi: float = 0.01,
    catch: Caught = ArithmeticError,
    known: Iterable[tuple[Mapping[str, Any], float | None]] = (),
) -> Result:
    """Find parameters where f is small: a `Study`, optimised. A finite space may be used up before `trials` are done.

    Args:
        f, trials, batch, catch: as in `Study.optimize`.
        known: (parameters, value) of points that are known already; they do not count as trials.
        space, method, seed and the others: as in `Study`.

    Raises:
        SearchError: every trial failed.
        Exception: whatever f raised and `catch` does not name, or an interruption; its `study` holds all trials so far.
    """
    study = Study(space, "minimize", method, seed, n_initial_points=n_initial_points, acq_func=acq_func, kappa=kappa, xi=xi)
    for point in known:
        if not isinstance(point, Sequence) or len(point) != 2 or not isinstance(point[0], Mapping):
            raise SearchError(f"known: {point!r}; must be (parameters, value)")
        study.add(*point)
    try:
        return study.optimize(f, trials, batch=batch, catch=catch)
    except BaseException as error:
        error.study = study  # type: ignore[attr-defined]  # exceptions take any attribute
        error.add_note("The trials so far are in this exception's attribute `study`, whose `optimize` goes on.")
        raise
