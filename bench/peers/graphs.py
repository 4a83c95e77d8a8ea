"""Peers for sparse graphical models: the pairwise model's quadratic form in NumPy, scikit-learn's graphical lasso.

The form, written out for a = b = 1 with weights h_j and their derivatives: blocks_j = E[h_j xxᵀ],
cross_j = −E[h_j x], linear_j = E[h_j], g_j = E[h_j′ x] + E[h_j]e_j, and for η −E[h_j′].
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]

# Of the smallest penalty to the largest one: the graphical lasso then ends with about as many edges as our path, which
# goes to 0.05.
ALPHA_RATIO = 0.02


def form_by_products(X: Doubles, h: Doubles, slope: Doubles) -> tuple[Doubles, ...]:
    """A weighted matrix product for each column."""
    blocks = np.stack([(X * h[:, [j]]).T @ X for j in range(X.shape[1])])
    return _with_the_rest(blocks, X, h, slope)


def form_by_symmetric_products(X: Doubles, h: Doubles, slope: Doubles) -> tuple[Doubles, ...]:
    """The same with half the operations: NumPy knows that a matrix times its transpose is symmetric."""
    n, d = X.shape
    blocks, roots, scaled = np.empty((d, d, d)), np.sqrt(h), np.empty((n, d))
    for j in range(d):
        np.multiply(X, roots[:, [j]], out=scaled)
        np.matmul(scaled.T, scaled, out=blocks[j])
    return _with_the_rest(blocks, X, h, slope)


def _with_the_rest(blocks: Doubles, X: Doubles, h: Doubles, slope: Doubles) -> tuple[Doubles, ...]:
    n = len(X)
    blocks /= n
    linear = h.mean(axis=0)
    return blocks, -(X.T @ h) / n, linear, X.T @ slope / n + np.diag(linear), -slope.mean(axis=0)


def graphical_lasso_path(X: Doubles, n_alphas: int, **options: float) -> list[Doubles]:
    """Precision matrices at falling penalties, each from the one before, as in GraphicalLassoCV."""
    # Not public, but what the estimator runs; the public function takes no start.
    from sklearn.covariance._graph_lasso import graphical_lasso_path

    covariance = np.cov(X.T, bias=True)
    highest = np.abs(covariance - np.diag(np.diag(covariance))).max()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it does not always converge in its 100 sweeps
        precisions: Any = graphical_lasso_path(X, highest * np.geomspace(1, ALPHA_RATIO, n_alphas), **options)[1]
    return list(precisions)


def breach_of_minimum(form: Any, n: int, alpha: float, K: Doubles, eta: Doubles) -> float:
    """How far 0 is from the subgradient of J + α Σ|K_ij| in a symmetric K and η, as the default options have it."""
    d = len(K)
    ratio = 6 * np.log(d) / n
    multiplier = 2 - 1 / (1 + 4 * np.e * max(ratio, np.sqrt(ratio)))
    own = np.arange(d)
    slope = np.einsum("jab,bj->aj", form.blocks, K) + form.cross * eta - form.g_interaction
    slope += (multiplier - 1) * form.blocks[:, own, own].T * K
    of_eta = np.einsum("aj,aj->j", form.cross, K) + form.linear * eta - form.g_linear
    # K_ij and K_ji are one unknown, which the penalty counts twice.
    slope, penalty = slope + slope.T, 2 * alpha
    slope[own, own] /= 2
    at_zero = np.maximum(np.abs(slope) - penalty, 0)
    elsewhere = np.abs(slope + penalty * np.sign(K))
    breach = np.where(K == 0, at_zero, elsewhere)
    breach[own, own] = np.abs(slope[own, own])
    return float(max(breach.max(), np.abs(of_eta).max()))
