"""Acquisition functions: which candidate to try next."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from skopt.acquisition import gaussian_ei, gaussian_lcb

from augsearch.search.surrogate import Batch


@dataclass(frozen=True)
class Acquisition:
    """An acquisition function with its settings, by scikit-optimize's names."""

    acq_func: str
    """"LCB", "EI", "PI" or "TS" (Thompson sampling)."""
    kappa: float
    """LCB's weight of the standard deviation."""
    xi: float
    """The improvement that EI and PI ask for, in standard deviations of the scores seen."""

    def best(self, batch: Batch, incumbent: float, free: NDArray[np.bool_], rng: np.random.Generator) -> int:
        """The number of the free candidate that comes first.

        PI is compared by its quantile, and so is EI where it is 0 for all candidates in floating point: far from the
        incumbent both have the same order.

        Args:
            incumbent: what EI and PI improve on, the lowest posterior mean at the trials seen: the lowest loss is only the
                luckiest one.
            free: mask (M,) of the candidates.
        """
        nothing = np.zeros((1, 1))  # scikit-optimize passes it on to predict, which knows its candidates
        if self.acq_func == "LCB":
            value = -gaussian_lcb(nothing, batch, kappa=self.kappa)
        elif self.acq_func == "TS":
            value = -batch.draw(rng)
        else:
            mean, deviation = batch.predict()
            xi = self.xi * batch.scale
            value = gaussian_ei(nothing, batch, y_opt=incumbent, xi=xi)
            if self.acq_func == "PI" or not value[free].any():
                value = (incumbent - xi - mean) / deviation
        return int(np.where(free, value, -np.inf).argmax())
