"""A Gaussian process for few samples of many columns, most of which do not matter.

The kernel is Matérn 5/2 with one length for each group of columns. Lengths, signal and noise maximise the posterior;
the lengths expected beforehand grow with the root of the number of groups, as Hvarfner, Hellsten and Nardi (2024,
"Vanilla Bayesian optimization performs great in high dimensions") propose: no group matters before data says so.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.optimize import minimize

Floats = npt.NDArray[np.float64]
ROOT5 = 5**0.5
LENGTH = (0.5, 1.0)
"""Mean, besides half the logarithm of the number of groups, and spread of the logarithm of a length; narrower and
shorter than the source's, which left eight samples almost unexplained."""
SIGNAL = (0.0, 1.0)
"""Mean and spread of the logarithm of the signal's variance; values have unit variance."""
NOISE = (-3.0, 1.5)
"""The same of the noise's variance; between two trainings of one network it is a few hundredths."""
ITERATIONS = 40


class GaussianProcess:
    """Fits [N, D] -> [N, K], the K values by one kernel, and predicts mean and deviation of what is free of noise."""

    def __init__(self, groups: npt.NDArray[np.int64]) -> None:
        """``groups`` [D] numbers from 0 the group of each column."""
        self._groups = groups
        self._count = int(groups.max()) + 1

    def fit(self, inputs: Floats, values: Floats) -> GaussianProcess:
        """Learn from ``values`` [N, K], each of about zero mean and unit variance."""
        self._inputs = inputs
        squares = self._squares(inputs, inputs)
        start = self._priors()[0]
        found = minimize(
            self._loss, start, (squares, values), method="L-BFGS-B", jac=True,
            bounds=[(mean - 6, mean + 6) for mean in start], options={"maxiter": ITERATIONS},
        )  # fmt: skip
        self._parameters = np.asarray(found.x, np.float64)
        self._factor = _factor(self._kernel(squares, self._parameters)[0], self._parameters)
        self._weights = cho_solve((self._factor, True), values)
        return self

    def predict(self, inputs: Floats) -> tuple[Floats, Floats]:
        """Return means [M, K] and the standard deviation [M] that they share."""
        cross, _ = self._kernel(self._squares(inputs, self._inputs), self._parameters)
        shrunk = solve_triangular(self._factor, cross.T, lower=True)
        variance = np.exp(self._parameters[-2]) - (shrunk**2).sum(axis=0)
        return cross @ self._weights, np.sqrt(np.maximum(variance, 1e-12))

    def _priors(self) -> tuple[Floats, Floats]:
        """Return means and spreads of the logarithms of lengths, signal and noise."""
        length = LENGTH[0] + 0.5 * np.log(self._count)
        means = [length] * self._count + [SIGNAL[0], NOISE[0]]
        return np.array(means), np.array([LENGTH[1]] * self._count + [SIGNAL[1], NOISE[1]])

    def _squares(self, first: Floats, second: Floats) -> Floats:
        """Return the squared distances within each group, [G, N, M]."""
        squares = np.empty((self._count, len(first), len(second)))
        for group in range(self._count):
            a, b = first[:, self._groups == group], second[:, self._groups == group]
            squares[group] = (a**2).sum(1)[:, None] + (b**2).sum(1)[None] - 2 * a @ b.T
        return np.maximum(squares, 0.0)

    def _kernel(self, squares: Floats, parameters: Floats) -> tuple[Floats, Floats]:
        """Return the covariance [N, M] and what its slope by a length has in common for all groups."""
        scales = np.exp(-2 * parameters[: self._count])
        distance = np.sqrt(np.tensordot(scales, squares, axes=1))
        decay = np.exp(parameters[-2] - ROOT5 * distance)
        return decay * (1 + ROOT5 * distance + 5 / 3 * distance**2), decay * (1 + ROOT5 * distance) * 5 / 3

    def _loss(self, parameters: Floats, squares: Floats, values: Floats) -> tuple[float, Floats]:
        """Return the negative log posterior and its gradient."""
        kernel, slope = self._kernel(squares, parameters)
        factor = _factor(kernel, parameters)
        weights = cho_solve((factor, True), values)
        count = values.shape[1]
        pull = (count * cho_solve((factor, True), np.eye(len(values))) - weights @ weights.T) / 2
        means, spreads = self._priors()
        deviation = (parameters - means) / spreads
        lengths = np.einsum("gij,ij->g", squares, pull * slope) * np.exp(-2 * parameters[: self._count])
        gradient = np.append(lengths, [(pull * kernel).sum(), np.trace(pull) * np.exp(parameters[-1])])
        fit = (values * weights).sum() / 2 + count * np.log(np.diag(factor)).sum()
        return float(fit + (deviation**2).sum() / 2), gradient + deviation / spreads


def _factor(kernel: Floats, parameters: Floats) -> Floats:
    """Return the lower Cholesky factor of the covariance with noise."""
    noise = np.exp(parameters[-1]) + 1e-8
    return np.asarray(cholesky(kernel + noise * np.eye(len(kernel)), lower=True), np.float64)
