"""A Gaussian process that is fitted in milliseconds: Matern-5/2, one lengthscale, fitted noise.

The marginal likelihood has three parameters: lengthscale, amplitude and noise. For a given lengthscale one
eigendecomposition of the correlation matrix gives the likelihood for every noise level, with the amplitude in
closed form (Rasmussen and Williams, Gaussian Processes for Machine Learning, eq. 2.30 and 5.8), so a grid over
both finds the global optimum, the same one every time, at the price of a few decompositions.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve, eigh
from scipy.spatial.distance import cdist

from augsearch.ops import Floats

_LENGTHSCALES = np.geomspace(0.15, 12.0, 18)  # in units of the median distance between observations
_NOISE = np.geomspace(1e-4, 9.0, 36)  # noise variance over signal variance: at most 90 % of the total is noise


def matern(distance: Floats) -> Floats:
    """Matern-5/2 correlation of distances already divided by the lengthscale."""
    r = np.sqrt(5.0) * distance
    correlation: Floats = (1.0 + r + r * r / 3.0) * np.exp(-r)
    return correlation


class GaussianProcess:
    """Fitted to x (N, F) and y (N,) on construction; y may have any offset and scale."""

    def __init__(self, x: Floats, y: Floats) -> None:
        self.x = x
        self.offset = float(y.mean())
        self.scale = float(y.std()) or 1.0
        z = (y - self.offset) / self.scale
        distance = cdist(x, x)
        positive = distance[distance > 0]
        unit = float(np.median(positive)) if len(positive) else 1.0
        self.lengthscale, self.noise, self.amplitude = _most_likely(distance, z, unit)
        kernel = matern(distance / self.lengthscale)
        kernel[np.diag_indices_from(kernel)] += self.noise
        self._factor = cho_factor(kernel, lower=True)
        self._weights = cho_solve(self._factor, z)

    def predict(self, x: Floats) -> tuple[Floats, Floats]:
        """Mean and standard deviation of the noiseless function at x (M, F), each (M,)."""
        mean, variance, _ = self._posterior(x)
        return self.offset + self.scale * mean, self.scale * np.sqrt(variance)

    def _posterior(self, x: Floats) -> tuple[Floats, Floats, Floats]:
        cross = matern(cdist(x, self.x) / self.lengthscale)  # (M, N)
        solved = cho_solve(self._factor, cross.T)  # (N, M)
        variance = self.amplitude * np.clip(1.0 - np.einsum("mn,nm->m", cross, solved), 1e-12, None)
        return cross @ self._weights, variance, solved

    def batch(self, x: Floats) -> Batch:
        """Candidates (M, F) from which several points are chosen one after the other."""
        return Batch(self, x)


class Batch:
    """Posterior over candidates while points are being chosen and believed.

    Believing that a chosen point will score its posterior mean leaves every mean as it is and takes the point's
    share from every variance, so no refit is needed (Desautels, Krause, Burdick: GP-BUCB, JMLR 2014).
    """

    def __init__(self, process: GaussianProcess, x: Floats) -> None:
        self._process = process
        self._x = x
        mean, self._variance, self._solved = process._posterior(x)
        self._believed: list[tuple[Floats, float]] = []
        self._mean = process.offset + process.scale * mean

    def predict(self, _: object = None, return_std: bool = True) -> tuple[Floats, Floats]:
        """As scikit-optimize's acquisition functions ask a fitted model."""
        return self._mean, self._process.scale * np.sqrt(self._variance)

    def believe(self, index: int) -> None:
        """Candidate `index` is being tried."""
        process = self._process
        near = matern(cdist(self._x, self._x[index : index + 1]) / process.lengthscale)[:, 0]
        cross = matern(cdist(self._x[index : index + 1], process.x) / process.lengthscale)[0]
        covariance = process.amplitude * (near - cross @ self._solved)
        for column, variance in self._believed:
            covariance = covariance - column * (column[index] / variance)
        total = float(self._variance[index] + process.amplitude * process.noise)
        self._believed.append((covariance, total))
        self._variance = np.clip(self._variance - covariance**2 / total, 1e-12, None)


def _most_likely(distance: Floats, z: Floats, unit: float) -> tuple[float, float, float]:
    """(lengthscale, noise over signal variance, signal variance) of the highest marginal likelihood."""
    best: tuple[float, float, float, float] = (np.inf, unit, 1.0, 1.0)
    for lengthscale in _LENGTHSCALES * unit:
        values, vectors = eigh(matern(distance / lengthscale), check_finite=False)
        d = np.clip(values, 0.0, None)[None, :] + _NOISE[:, None]  # (noise levels, N)
        amplitude: NDArray[np.float64] = ((vectors.T @ z) ** 2 / d).mean(1)
        loss = len(z) / 2 * np.log(amplitude) + 0.5 * np.log(d).sum(1)
        k = int(loss.argmin())
        if loss[k] < best[0]:
            best = (float(loss[k]), float(lengthscale), float(_NOISE[k]), float(amplitude[k]))
    return best[1:]
