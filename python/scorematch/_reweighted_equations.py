"""The estimating equations of a robust fit, whose weights depend on the estimate."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from scorematch._estimating import (
    BY_DIFFERENCES,
    EstimatingEquations,
    Products,
    blocks_of_rows,
    natural_scales,
    sum_products,
)
from scorematch._validation import Floats
from scorematch._windham import exponent_of, product

if TYPE_CHECKING:
    from scorematch._uncertainty import InferentialEstimator

Doubles = NDArray[np.float64]


class ReweightedEquations(EstimatingEquations):
    """Σ w r(x; θ) φ(x; θ) = 0: Windham's weights r, the density to a power, and the family's φ for the power raised.

    r has mean 1 over the rows of the fit. Its own derivative is c φ (∂ log p / ∂θ)ᵀ r, and the Jacobian is no Hessian.
    """

    def __init__(self, model: InferentialEstimator, X: Floats, sample_weight: Doubles | None) -> None:
        self.model, self.exponent = model, exponent_of(model)
        self.raised = model._at(model.theta_)
        self.raised._power = 1 + self.exponent
        log_density = self._log_density(X)
        highest = float(log_density.max())
        self.log_mean = highest + self._log_mean_power(log_density - highest, sample_weight)
        self.inner = self.raised._estimating(X, product(sample_weight, self._weights(X)))
        self.directions, self.fixed = self.inner.directions, self.inner.fixed

    def _log_density(self, X: Floats) -> Doubles:
        return self.model._log_density(X, self.model._compiled_theta())

    def _log_mean_power(self, log_density: Doubles, sample_weight: Doubles | None) -> float:
        """The logarithm of the mean of the powers, over the exponent."""
        powers = np.exp(self.exponent * log_density)
        return float(np.log(np.average(powers, weights=sample_weight))) / self.exponent

    def _weights(self, X: Floats, sample_weight: Doubles | None = None) -> Doubles:
        weights = np.exp(self.exponent * (self._log_density(X) - self.log_mean))
        return np.asarray(weights if sample_weight is None else sample_weight * weights)

    def rows(self, X: Floats) -> Doubles:
        return self.inner.rows(X) * self._weights(X)[:, None]

    def products(self, X: Floats, sample_weight: Doubles | None) -> Products:
        return self.inner.products(X, self._weights(X, sample_weight))

    def jacobian(self, X: Floats, sample_weight: Doubles | None) -> tuple[Doubles, float]:
        weights = self._weights(X, sample_weight)
        hessian, accuracy = self.inner.jacobian(X, weights)
        p, q = len(self.model.theta_), len(hessian)
        mean, scales = self.inner.products(X, weights).total / weights.sum(), self._scales(X, weights)
        changes = np.zeros((q, p))
        for block in blocks_of_rows(len(X), p + q):
            rows = X[block].astype(np.float64, copy=False)
            slopes = self.model._log_density_slopes(rows, scales)
            changes += (self.inner.rows(rows) - mean).T @ (weights[block, None] * slopes)
        changes *= self.exponent / weights.sum()
        hessian = hessian + (changes if self.directions is None else changes @ self.directions)
        return hessian, max(accuracy, BY_DIFFERENCES)

    def _scales(self, X: Floats, weights: Doubles) -> Doubles:
        """The sizes of the entries of θ; NaN for those that do not move."""
        model = self.raised
        norm_term = float(np.average(model._evaluate_rows(X, "norm_term")["norm_term"], weights=weights))
        squares = np.diagonal(sum_products(model, X, weights).squares) / len(X)
        scales = natural_scales(model.theta_, norm_term, squares)
        scales[list(self.fixed)] = np.nan
        return scales
