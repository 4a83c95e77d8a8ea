"""Chains on the simplex, in the logarithms of the ratios of its parts.

Near the faces of the simplex densities of logarithms are steep without bound, and steps that are long enough elsewhere
leave it. In y_j = log(x_j / x_d) there are no faces: chains of log p(x(y)) + Σ log x_i, the sum over all d parts, which
is the logarithm of the determinant of ∂x/∂y, are smooth in all of space (Aitchison 1982).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from scorematch._base import ScoreMatchingEstimator

Doubles = NDArray[np.float64]


def to_parts(y: Doubles) -> Doubles:
    """All d parts, (n, d), of d − 1 log ratios."""
    logits = np.column_stack([y, np.zeros(len(y))])
    parts = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(parts / parts.sum(axis=1, keepdims=True))


def from_rows(X: Doubles) -> Doubles:
    """The log ratios of rows of the simplex, which lack the last part."""
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(X) - np.log1p(-X.sum(axis=1, keepdims=True)))


@dataclass(frozen=True)
class InLogRatios:
    """A model on the simplex as a density in log ratios."""

    model: ScoreMatchingEstimator

    def score(self, y: Doubles) -> Doubles:
        parts = to_parts(y)
        x = parts[:, :-1]
        slope = np.asarray(self.model._evaluate_rows(np.ascontiguousarray(x), "score")["score"], dtype=np.float64)
        slope = slope - np.einsum("ij,ij->i", x, slope)[:, None]
        return np.asarray(x * slope + 1 - parts.shape[1] * x)

    def log_density(self, y: Doubles) -> Doubles:
        parts = to_parts(y)
        x = np.ascontiguousarray(parts[:, :-1])
        value = np.asarray(self.model._evaluate_rows(x, "log_density")["log_density"], dtype=np.float64)
        return np.asarray(value + np.log(parts).sum(axis=1))
