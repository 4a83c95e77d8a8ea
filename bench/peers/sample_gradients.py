"""Peers for gradients of single samples: formulas on arrays of rows, and NumPy's product of the gradients.

A function a family: (workload, θ, X) to the gradients of ρ by θ, (n, p). ψ is the score function.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from workloads import Workload

Doubles = NDArray[np.float64]


def gradient_products(workload: Workload, theta: Doubles, X: Doubles) -> tuple[Doubles, Doubles]:
    """Σ g and Σ g gᵀ, in blocks of rows whose gradients stay in a cache of the second level."""
    rows = max(64, 2**17 // len(theta))
    gradient, products = np.zeros(len(theta)), np.zeros((len(theta), len(theta)))
    for first in range(0, len(X), rows):
        block = GRADIENTS[workload.family](workload, theta, X[first : first + rows])
        gradient += block.sum(axis=0)
        products += block.T @ block  # which NumPy takes as a symmetric product
    return gradient, products


def gaussian(workload: Workload, theta: Doubles, X: Doubles) -> Doubles:
    """ρ = ½‖ψ‖² − tr P, ψ = η − Px."""
    rows, columns = np.triu_indices(workload.d)
    precision = np.empty((workload.d, workload.d))
    precision[rows, columns] = precision[columns, rows] = theta[: len(rows)]
    psi = theta[len(rows) :] - X @ precision
    by_precision = psi[:, rows] * X[:, columns] + psi[:, columns] * X[:, rows]
    by_precision[:, rows == columns] /= 2
    return np.hstack([-by_precision - (rows == columns), psi])


def von_mises_fisher(workload: Workload, theta: Doubles, X: Doubles) -> Doubles:
    """ρ = ½(‖θ‖² − u²) − (d − 1)u, u = θᵀx."""
    return theta - (X @ theta + (workload.d - 1))[:, None] * X


def ica(workload: Workload, theta: Doubles, X: Doubles) -> Doubles:
    """ρ = ½‖ψ‖² − Σ_k (1 − t_k²)‖w_k‖², ψ = −Wᵀt, t = tanh Wx."""
    w = theta.reshape(workload.components, workload.d)
    t = np.tanh(X @ w.T)
    slope, psi = 1 - t * t, -(t @ w)
    through_u = slope * (2 * np.sum(w * w, axis=1) * t - psi @ w.T)
    by_w = through_u[:, :, None] * X[:, None, :] - t[:, :, None] * psi[:, None, :] - 2 * slope[:, :, None] * w
    return by_w.reshape(len(X), -1)


def student_t(workload: Workload, theta: Doubles, X: Doubles) -> Doubles:
    """ρ = ½‖ψ‖² + (2/λ)‖ψ‖² − ω tr P, ψ = −ωs, s = Pδ, ω = λ/(ν + δᵀs), λ = ν + d."""
    d, df = workload.d, workload.df
    power = df + d
    factor = _factor(theta[d:], d)
    precision = np.linalg.inv(factor @ factor.T)
    delta = X - theta[:d]
    s = delta @ precision
    omega = power / (df + np.sum(delta * s, axis=1))
    square = np.sum(s * s, axis=1)
    # ρ = (½ + 2/λ) ω²‖s‖² − ω tr P; ∂ω/∂q = −ω²/λ, and s and q go by δ and by P.
    by_q = -(omega**2 / power) * ((1 + 4 / power) * omega * square - np.trace(precision))
    by_s = ((1 + 4 / power) * omega**2)[:, None] * s
    through_s = by_s @ precision
    by_location = -through_s - 2 * by_q[:, None] * s
    # By Σ: −½(P u sᵀ + s uᵀP) − b s sᵀ + ω P², for u and b the derivatives by s and by q.
    by_factor = _by_factor(through_s + by_q[:, None] * s, s, factor)
    return np.hstack([by_location, by_factor + omega[:, None] * _by_factor_of_square(precision, factor)])


def gaussian_mixture(workload: Workload, theta: Doubles, X: Doubles) -> Doubles:
    """ρ = Σ_k r_k (‖s_k‖² − tr P_k) − ½‖ψ‖², ψ = Σ_k r_k s_k, s_k = −P_k δ_k; full covariances."""
    d, k = workload.d, workload.components
    logits, means, packed = np.append(theta[: k - 1], 0), theta[k - 1 :][: k * d].reshape(k, d), theta[k - 1 + k * d :]
    factors = [_factor(each, d) for each in packed.reshape(k, -1)]
    precisions = [np.linalg.inv(factor @ factor.T) for factor in factors]
    s = np.stack([-(X - mean) @ precision for mean, precision in zip(means, precisions, strict=True)])
    logs = np.stack(
        [logits[j] - np.log(np.diag(factors[j])).sum() + 0.5 * np.sum((X - means[j]) * s[j], axis=1) for j in range(k)]
    )
    r = np.exp(logs - logs.max(axis=0))
    r /= r.sum(axis=0)
    psi = np.einsum("kn,knd->nd", r, s)
    inner = np.sum(s * (s - psi), axis=2) - np.array([np.trace(precision) for precision in precisions])[:, None]
    by_log = r * (inner - np.sum(r * inner, axis=0))
    by_mean, by_factor = [], []
    for j in range(k):
        through_s = (r[j][:, None] * (2 * s[j] - psi)) @ precisions[j]
        by_mean.append(through_s - by_log[j][:, None] * s[j])
        # By Σ_k: ½ l (s sᵀ − P) − ½(P u sᵀ + s uᵀP) + r P², for u and l the derivatives by s_k and by ℓ_k.
        rank_two = _by_factor(through_s - 0.5 * by_log[j][:, None] * s[j], s[j], factors[j])
        level = -by_log[j][:, None] * _packed(precisions[j] @ factors[j], factors[j])
        by_factor.append(rank_two + level + r[j][:, None] * _by_factor_of_square(precisions[j], factors[j]))
    return np.hstack([by_log[:-1].T, *by_mean, *by_factor])


def _factor(packed: Doubles, d: int) -> Doubles:
    """Lower triangular C from its rows, the diagonal given by its logarithm."""
    factor = np.zeros((d, d))
    factor[np.tril_indices(d)] = packed
    np.fill_diagonal(factor, np.exp(np.diag(factor)))
    return factor


def _packed(by_entry: Doubles, factor: Doubles) -> Doubles:
    """Derivatives by the entries of C to those by the packed ones; for the diagonal by the logarithm."""
    return by_entry[np.tril_indices(len(factor))] * _scale(factor)


def _scale(factor: Doubles) -> Doubles:
    rows, columns = np.tril_indices(len(factor))
    return np.where(rows == columns, np.diag(factor)[rows], 1.0)


def _by_factor(a: Doubles, b: Doubles, factor: Doubles) -> Doubles:
    """From −½(a bᵀ + b aᵀ), by Σ = CCᵀ, of each row to the packed entries of C."""
    rows, columns = np.tril_indices(len(factor))
    return -(a[:, rows] * (b @ factor)[:, columns] + b[:, rows] * (a @ factor)[:, columns]) * _scale(factor)


def _by_factor_of_square(precision: Doubles, factor: Doubles) -> Doubles:
    """From P², by Σ, to the packed entries of C."""
    return _packed(2 * precision @ precision @ factor, factor)


GRADIENTS: dict[str, Callable[[Workload, Doubles, Doubles], Doubles]] = {
    "Gaussian": gaussian,
    "GaussianMixture": gaussian_mixture,
    "ICA": ica,
    "StudentT": student_t,
    "VonMisesFisher": von_mises_fisher,
}
