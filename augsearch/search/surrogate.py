"""A Gaussian process that is fitted in milliseconds: Matern-5/2, a lengthscale for each group, fitted noise.

With one group of features (a policy's), the marginal likelihood has three parameters. For a given lengthscale
one eigendecomposition of the correlation matrix gives the likelihood for every noise level, with the amplitude
in closed form (Rasmussen and Williams, Gaussian Processes for Machine Learning, eq. 2.30 and 5.8), so a grid over
both finds the global optimum, the same one every time, at the price of a few decompositions.

With several groups (a general space), lengthscales and noise are found by gradient under a prior that expects
lengthscales to grow with the square root of the number of groups (Hvarfner, Hellsten, Nardi: Vanilla Bayesian
Optimization Performs Great in High Dimensions, ICML 2024), which keeps dozens of dimensions workable.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve, eigh, solve_triangular
from scipy.optimize import minimize
from scipy.spatial.distance import cdist

from augsearch.policy.ops import Floats

_LENGTHSCALES = np.geomspace(0.15, 12.0, 18)  # in units of the median distance between observations
_NOISE = np.geomspace(1e-4, 9.0, 36)  # noise variance over signal variance: at most 90 % of the total is noise
_DRAWN = 400  # candidates among which Thompson sampling draws a function


def matern(distance: Floats) -> Floats:
    """Matern-5/2 correlation of distances already divided by the lengthscale."""
    r = np.sqrt(5.0) * distance
    correlation: Floats = (1.0 + r + r * r / 3.0) * np.exp(-r)
    return correlation


class GaussianProcess:
    """Fitted to x (N, F) and y (N,) on construction; y may have any offset and scale.

    groups: how many consecutive features share each lengthscale; all of them when absent.
    """

    def __init__(self, x: Floats, y: Floats, groups: Sequence[int] | None = None) -> None:
        self.offset = float(y.mean())
        self.scale = float(y.std()) or 1.0
        z = (y - self.offset) / self.scale
        sizes = groups or [x.shape[1]]
        if len(sizes) == 1:
            lengthscale, self.noise, self.amplitude = _most_likely(cdist(x, x), z)
            self._inverse = np.full(x.shape[1], 1 / lengthscale)
        else:
            lengthscales, self.noise, self.amplitude = _most_probable(x, z, sizes)
            self._inverse = np.repeat(1 / lengthscales, sizes)
        self._x = x * self._inverse
        kernel = matern(cdist(self._x, self._x))
        kernel[np.diag_indices_from(kernel)] += self.noise
        self._factor = cho_factor(kernel, lower=True)
        self._weights = cho_solve(self._factor, z)

    def correlation(self, a: Floats, b: Floats | None = None) -> Floats:
        """Prior correlation of a (M, F) with b (K, F), or with the observations: (M, K)."""
        return matern(cdist(a * self._inverse, self._x if b is None else b * self._inverse))

    def predict(self, x: Floats) -> tuple[Floats, Floats]:
        """Mean and standard deviation of the noiseless function at x (M, F), each (M,)."""
        cross = self.correlation(x)  # (M, N)
        white = solve_triangular(self._factor[0], cross.T, lower=True, check_finite=False)  # half of what `posterior` solves
        variance = self.amplitude * np.clip(1.0 - np.einsum("nm,nm->m", white, white), 1e-12, None)
        return self.offset + self.scale * (cross @ self._weights), self.scale * np.sqrt(variance)

    def posterior(self, x: Floats) -> tuple[Floats, Floats, Floats]:
        """Standardised mean and variance (M,), and the correlation solved against the observations (N, M)."""
        cross = self.correlation(x)  # (M, N)
        solved = cho_solve(self._factor, cross.T)  # (N, M)
        variance = self.amplitude * np.clip(1.0 - np.einsum("mn,nm->m", cross, solved), 1e-12, None)
        return cross @ self._weights, variance, solved

    def batch(self, x: Floats) -> Batch:
        """Candidates (M, F) from which several points are chosen one after the other."""
        return Batch(self, x)


class Batch:
    """Posterior over candidates while points are chosen one after the other.

    A chosen point is fantasized to score its posterior mean, which leaves every mean as it is and takes the point's
    share from every variance, so no refit is needed (Desautels, Krause, Burdick: GP-BUCB, JMLR 2014).
    """

    def __init__(self, process: GaussianProcess, x: Floats) -> None:
        self.scale = process.scale
        self._process = process
        self._x = x
        self._standard, self._variance, self._solved = process.posterior(x)
        self._fantasies: list[tuple[Floats, float]] = []

    def predict(self, _: object = None, return_std: bool = True) -> tuple[Floats, Floats]:
        """Posterior mean and standard deviation (M,), in the form that scikit-optimize's acquisition functions expect."""
        process = self._process
        return process.offset + process.scale * self._standard, process.scale * np.sqrt(self._variance)

    def fantasize(self, index: int) -> None:
        """Count candidate `index` as tried, with its posterior mean as the outcome."""
        covariance = self._covariance(np.array([index]))[0]
        total = float(self._variance[index] + self._process.amplitude * self._process.noise)
        self._fantasies.append((covariance, total))
        self._variance = np.clip(self._variance - covariance**2 / total, 1e-12, None)

    def _covariance(self, index: NDArray[np.int64]) -> Floats:
        """Posterior covariance of some candidates with all, (K, M)."""
        process, some = self._process, self._x[index]
        covariance = process.amplitude * (process.correlation(some, self._x) - process.correlation(some) @ self._solved)
        for column, total in self._fantasies:
            covariance = covariance - np.outer(column[index], column / total)
        return covariance

    def draw(self, rng: np.random.Generator) -> Floats:
        """One function drawn from the posterior at the most promising candidates, (M,); infinite elsewhere."""
        promising = np.argsort(self._standard - 1.96 * np.sqrt(self._variance), kind="stable")[:_DRAWN]
        covariance = self._covariance(promising)[:, promising]
        values, vectors = np.linalg.eigh((covariance + covariance.T) / 2)
        drawn = np.full(len(self._x), np.inf)
        noise = np.sqrt(np.clip(values, 0, None)) * rng.normal(size=len(promising))
        drawn[promising] = self._standard[promising] + vectors @ noise
        return drawn


def _most_likely(distance: Floats, z: Floats) -> tuple[float, float, float]:
    """(lengthscale, noise over signal variance, signal variance) of the highest marginal likelihood."""
    positive = distance[distance > 0]
    unit = float(np.median(positive)) if len(positive) else 1.0
    best: tuple[float, float, float, float] = (np.inf, unit, 1.0, 1.0)
    for lengthscale in _LENGTHSCALES * unit:
        values, vectors = eigh(matern(distance / lengthscale), check_finite=False)
        d = np.clip(values, 0.0, None)[None, :] + _NOISE[:, None]  # (noise levels, N)
        amplitude: NDArray[np.float64] = np.maximum(((vectors.T @ z) ** 2 / d).mean(1), 1e-12)
        loss = len(z) / 2 * np.log(amplitude) + 0.5 * np.log(d).sum(1)
        k = int(loss.argmin())
        if loss[k] < best[0]:
            best = (float(loss[k]), float(lengthscale), float(_NOISE[k]), float(amplitude[k]))
    return best[1:]


def _most_probable(x: Floats, z: Floats, sizes: Sequence[int]) -> tuple[Floats, float, float]:
    """(lengthscales (G,), noise over signal variance, signal variance): the best of a few gradient climbs."""
    ends = np.cumsum([0, *sizes])
    squared = np.stack([cdist(x[:, a:b], x[:, a:b], "sqeuclidean") for a, b in pairwise(ends)])
    centre = np.sqrt(2) + 0.5 * np.log(len(sizes))
    bounds = [(-3.0, 6.0)] * len(sizes) + [(np.log(1e-6), np.log(9.0))]
    best = None
    for lengthscale, noise in ((centre - 1.5, 1e-3), (np.log(0.5), 1e-2)):
        start = np.r_[np.full(len(sizes), lengthscale), np.log(noise)]
        fit = minimize(_loss, start, (squared, z, centre), jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 60})
        if best is None or fit.fun < best.fun:
            best = fit
    assert best is not None
    lengthscales, noise = np.exp(best.x[:-1]), float(np.exp(best.x[-1]))
    kernel = matern(np.sqrt(np.tensordot(lengthscales**-2.0, squared, 1))) + noise * np.eye(len(z))
    amplitude = max(float(z @ np.linalg.solve(kernel, z)) / len(z), 1e-12)
    return lengthscales, noise, amplitude


def _loss(theta: Floats, squared: Floats, z: Floats, centre: float) -> tuple[float, Floats]:
    """Negative log posterior and its gradient in (log lengthscales, log noise), the amplitude in closed form."""
    weight, noise = np.exp(-2 * theta[:-1]), float(np.exp(theta[-1]))
    r = np.sqrt(5 * np.tensordot(weight, squared, 1))
    decay = np.exp(-r)
    kernel = (1 + r + r * r / 3) * decay + noise * np.eye(len(z))
    factor = cho_factor(kernel, lower=True, check_finite=False)
    inverse = cho_solve(factor, np.eye(len(z)), check_finite=False)
    alpha = inverse @ z
    amplitude = max(float(z @ alpha) / len(z), 1e-12)
    spread = 0.5 * (inverse - np.outer(alpha, alpha) / amplitude)
    slope = spread * (5 / 3) * (1 + r) * decay
    gradient = np.r_[weight * np.tensordot(squared, slope, 2), noise * np.trace(spread)]
    value = len(z) / 2 * np.log(amplitude) + np.log(np.diag(factor[0])).sum()
    # log-normal priors: Hvarfner et al., section 4, for lengthscales; a wide one around small noise
    away, noisy = theta[:-1] - centre, theta[-1] - np.log(1e-2)
    value += float((away**2).sum() / 6 + noisy**2 / 18)
    return float(value), gradient + np.r_[away / 3, noisy / 9]
