"""Constraints on the rows of a matrix of components and on what follows it, for optimisers that know of none.

The optimiser sees a free matrix V; the components W are a function of it that meets the constraint, and the gradient
goes back through that function exactly. Both functions here take V and sV to the same W, so that V never has a reason
to grow or to shrink.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from scorematch._optimize import Variables

Doubles = NDArray[np.float64]
# From the gradient with respect to W to that with respect to V.
PullBack = Callable[[Doubles], Doubles]
# V to W and its pull-back.
RowConstraint = Callable[[Doubles], tuple[Doubles, PullBack]]


def unit_rows(rows: Doubles) -> tuple[Doubles, PullBack]:
    """Rows of length 1: w = v/‖v‖, so that dw = (dv − w wᵀdv)/‖v‖."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    unit = rows / lengths

    def pull_back(gradient: Doubles) -> Doubles:
        return np.asarray((gradient - unit * np.sum(unit * gradient, axis=1, keepdims=True)) / lengths)

    return unit, pull_back


def orthonormal_rows(rows: Doubles) -> tuple[Doubles, PullBack]:
    """Rows that are orthonormal: the polar factor W of V = SW, S = (VVᵀ)^½, the nearest to V of all such matrices.

    With dW = ΩW + N, Ω skew and NWᵀ = 0, the differential dV = dS W + S dW gives SΩ + ΩS = dV Wᵀ − W dVᵀ and
    N = S⁻¹ dV (I − WᵀW). Where V itself is orthonormal, what comes back is the gradient on the Stiefel manifold.
    """
    left, lengths, right = np.linalg.svd(rows, full_matrices=False)
    polar = left @ right

    def pull_back(gradient: Doubles) -> Doubles:
        along = gradient @ polar.T
        skew = left.T @ (along - along.T) @ left / (lengths[:, None] + lengths)
        across = (left.T @ (gradient - along @ polar)) / lengths[:, None]
        return np.asarray(left @ (skew @ (left.T @ polar) + across))

    return polar, pull_back


def constrained(constraint: RowConstraint, scale: Doubles, n_positive: int) -> Variables:
    """Free variables for a θ that begins with rows W, which meet a constraint in units of `scale`, (m, r).

    It ends with `n_positive` numbers that are positive, whose logarithms are free.
    """
    n_rows, length = scale.shape

    def split(vector: Doubles) -> tuple[Doubles, Doubles, Doubles]:
        rows, middle, last = np.split(vector, [n_rows * length, len(vector) - n_positive])
        return rows.reshape(n_rows, length), middle, last

    def of(theta: Doubles) -> Doubles:
        rows, middle, positive = split(theta)
        return np.concatenate([rows.ravel(), middle, np.log(positive)])

    def at(free: Doubles) -> tuple[Doubles, PullBack]:
        rows, middle, logarithms = split(free)
        rows, pull_rows_back = constraint(rows / scale)
        positive = np.exp(logarithms)

        def pull_back(gradient: Doubles) -> Doubles:
            by_rows, by_middle, by_positive = split(gradient)
            slopes = pull_rows_back(by_rows * scale) / scale
            return np.concatenate([slopes.ravel(), by_middle, by_positive * positive])

        return np.concatenate([(rows * scale).ravel(), middle, positive]), pull_back

    return Variables(of, at)
