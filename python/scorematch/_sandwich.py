"""The sandwich (Godambe) covariance of an estimate that solves Σ w φ(x; θ) = 0, and what it cannot tell."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, cholesky

Doubles = NDArray[np.float64]

NOT_DETERMINED = "the data do not determine it: the objective does not change in a direction that it has a part in"
NO_MINIMUM = "the estimate is no minimum: the objective falls in a direction that it has a part in"
# The part that an undetermined direction may have in a parameter, on the scale of its own curvature, squared.
LARGEST_SHARE = 1e-6


def errors_of(covariance: Doubles) -> Doubles:
    """Standard errors from a covariance matrix; what rounding makes of a variance of 0 is 0."""
    return np.asarray(np.sqrt(np.maximum(np.diagonal(covariance), 0.0)))


@dataclass(frozen=True)
class Bread:
    """The inverse of the mean Jacobian H of the estimating functions, on what H determines."""

    inverse: Doubles  # (q, q)
    undetermined: Doubles  # (q, m), orthonormal columns, in units in which H has a unit diagonal
    scale: Doubles  # (q,): those units
    reason: str  # why they are so

    @staticmethod
    def of(hessian: Doubles, accuracy: float) -> Bread:
        """`accuracy` is the relative error of the entries; parameters may differ in scale by many powers of ten."""
        diagonal = np.abs(np.diagonal(hessian))
        scale = np.divide(1.0, np.sqrt(diagonal), out=np.ones(len(diagonal)), where=diagonal > 0)
        scaled = hessian * scale[:, None] * scale
        nothing = np.empty((len(scale), 0))
        tolerance = len(scale) * accuracy
        if np.abs(scaled - scaled.T).max(initial=0.0) > 1e3 * tolerance:
            left, values, right = np.linalg.svd(scaled)
            kept = values > tolerance * values[0]
            inverse = (right[kept].T / values[kept]) @ left[:, kept].T
            return Bread(inverse * scale[:, None] * scale, right[~kept].T, scale, NOT_DETERMINED)
        scaled = (scaled + scaled.T) / 2
        try:
            factor = cholesky(scaled, lower=True)
        except np.linalg.LinAlgError:
            factor = None
        if factor is not None and np.diagonal(factor).min(initial=1.0) ** 2 > 10 * tolerance:
            inverse = cho_solve((factor, True), np.eye(len(scale)))
            return Bread(inverse * scale[:, None] * scale, nothing, scale, "")
        values, vectors = np.linalg.eigh(scaled)
        kept = values > tolerance * values[-1]
        inverse = (vectors[:, kept] / values[kept]) @ vectors[:, kept].T
        falls = bool(values[0] < -1e3 * tolerance * values[-1])
        return Bread(
            inverse * scale[:, None] * scale, vectors[:, ~kept], scale, NO_MINIMUM if falls else NOT_DETERMINED
        )

    def tells(self, directions: Doubles) -> NDArray[np.bool_]:
        """Whether each linear function of the unknowns, a row of (k, q), is determined."""
        scaled = directions * self.scale
        size = np.einsum("kq,kq->k", scaled, scaled)
        lost = np.square(scaled @ self.undetermined).sum(axis=1)
        return np.asarray(lost <= LARGEST_SHARE * size)


@dataclass(frozen=True)
class Sandwich:
    """The covariance of an estimate θ, with what it is made of.

    θ moves with q unknowns in which it was estimated, dθ = directions·dφ; mostly they are θ itself.
    """

    theta: Doubles  # (p,)
    hessian: Doubles  # (q, q), the mean Jacobian of the estimating functions
    products: Doubles  # (q, q), Σ w² φ φᵀ
    bread: Bread
    directions: Doubles | None  # (p, q); None is the identity
    fixed: dict[int, str]  # why a parameter has no error of its own
    total: float  # Σ w
    n_samples: int
    loss: float  # Σ w ρ / Σ w
    slope: Doubles  # (q,)  Σ w φ, which vanishes at an estimate but for penalties

    @property
    def misses(self) -> float:
        """By how many of its own standard errors the largest entry of the slope differs from 0."""
        errors = np.sqrt(np.diagonal(self.products))
        return float(np.divide(np.abs(self.slope), errors, out=np.zeros(len(errors)), where=errors > 0).max(initial=0))

    @property
    def influence_map(self) -> Doubles:
        """The matrix (p, q) that makes the change of θ of an estimating function that is added, but for the sign."""
        inverse = self.bread.inverse / self.total
        return inverse if self.directions is None else self.directions @ inverse

    @property
    def raw_covariance(self) -> Doubles:
        """The covariance on what is determined; elsewhere numbers that mean nothing."""
        bread = self.influence_map
        return np.asarray(bread @ self.products @ bread.T)

    @property
    def reasons(self) -> dict[int, str]:
        """Why a parameter has no standard error, by its index."""
        tells = self.tells(np.eye(len(self.theta)))
        found = {int(k): self.bread.reason for k in np.flatnonzero(~tells)}
        return found | self.fixed

    def tells(self, functions: Doubles) -> NDArray[np.bool_]:
        """Whether linear functions of θ, the rows of (k, p), are determined and do not depend on what is fixed."""
        inner = functions if self.directions is None else functions @ self.directions
        free = np.ones(len(functions), dtype=bool)
        if self.fixed:
            free = ~(functions[:, list(self.fixed)] != 0).any(axis=1)
        return free & self.bread.tells(inner)

    @property
    def covariance(self) -> Doubles:
        """The covariance of θ, NaN where there is no number."""
        covariance = self.raw_covariance
        without = list(self.reasons)
        covariance[without] = covariance[:, without] = np.nan
        return covariance

    @property
    def n_effective(self) -> float:
        """tr(S G⁻¹), the number of parameters that the objective's optimism counts."""
        return float(np.vdot(self.products, self.bread.inverse.T)) / self.total
