"""Interaction matrices from a quadratic form that couples all of their columns.

An objective whose quadratic part is not that of the exact one, as sliced score matching without variance reduction,
has no blocks. Its Γ in θ, the upper triangle of K and η, is taken for a matrix, which limits how many columns there
can be, and minimised by the means for those.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scorematch._pairwise_form import symmetric_index
from scorematch._penalised import minimise_penalised
from scorematch._quadratic import QuadraticForm, solve

Doubles = NDArray[np.float64]

# 50 columns; Γ takes as many gradients as there are parameters.
MOST_PARAMS = 1325


@dataclass(frozen=True)
class DenseSolution:
    """A minimum, in θ."""

    theta: Doubles
    kkt_residual: float  # the largest distance of 0 from the subgradient
    n_iter: int
    converged: bool


def minimise_dense(
    form: QuadraticForm,
    d: int,
    *,
    alpha: float,
    alpha_linear: float,
    zero_row_sums: bool,
    tol: float,
    max_iter: int,
    eps: float,
) -> DenseSolution:
    """The minimum of ½ θᵀΓθ − gᵀθ + alpha Σ_{i≠j}|K_ij| + alpha_linear Σ_j|η_j|; errors as of what it calls."""
    index = symmetric_index(d)
    n_pairs = d * (d + 1) // 2
    diagonal = np.diagonal(index)
    penalties = np.full(len(form.g), float(alpha_linear))
    penalties[:n_pairs] = 2 * alpha  # K_ij and K_ji
    penalties[diagonal] = 0
    basis = np.eye(len(form.g))
    if zero_row_sums:  # an entry takes from the diagonal, in its row and in its column
        rows, columns = np.triu_indices(d, 1)
        for end in (rows, columns):
            basis[index[end, end], index[rows, columns]] = -1
        basis, penalties = np.delete(basis, diagonal, axis=1), np.delete(penalties, diagonal)
    free = QuadraticForm(basis.T @ form.gamma @ basis, basis.T @ form.g)
    if not penalties.any():
        phi, n_iter, converged = solve(free, eps), 1, True
    else:
        largest = float(np.abs(free.g).max(initial=0.0)) or 1.0
        # The tolerance of the one is a part of the largest entry of g, that of the other is absolute.
        found = minimise_penalised(free, penalties, tol=tol / max(largest, 1.0), max_iter=max_iter)
        phi, n_iter, converged = found.theta, found.n_iter, found.converged
    slope = free.gamma @ phi - free.g
    off = np.where(phi == 0, np.maximum(np.abs(slope) - penalties, 0), np.abs(slope + penalties * np.sign(phi)))
    return DenseSolution(basis @ phi, float(off.max(initial=0.0)), n_iter, converged)
