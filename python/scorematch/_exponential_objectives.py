"""Objectives that are not exact, for exponential families whose statistics the user writes.

Each is ρ = ½ Σ_k (r_kᵀθ)² − lᵀθ + c for a row, with vectors r_k and l that its random vectors and the user's functions
make: Γ is the mean of Σ_k r_k r_kᵀ and g that of l. In MATH's notation D is the Jacobian of the statistics t, (p, d),
and v or z a random vector; means over the random vectors of a row are meant.

=================== ========================================== =====================================================
sliced              r = √A's columns in D, or DSv              l = −(Sv)ᵀ∇²t(Sv) − Db           u = Sv, A = SSᵀ
denoising           D(x̃)'s columns, x̃ = x + σz                 l = −(D(x̃) − D(x))z/σ, or −D(x̃)z/σ with c = ‖z‖²/2σ²
finite_difference   r = (t(x + εv) − t(x − εv))/2ε             l = −(t(x + εv) + t(x − εv) − 2t(x))/ε²
=================== ========================================== =====================================================

With variance reduction the first of two, without the second. Of uᵀ∇²t u, what the user gives is the diagonal of ∇²t
alone; it is taken from differences of D along u.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from scorematch._objectives import Objective, random_vectors

if TYPE_CHECKING:
    from scorematch._exponential_family import _Block

Doubles = NDArray[np.float64]

# The step of differences of D, as a part of a column's standard deviation or the distance to the boundary: with the
# formula's error of about step⁴ and that of rounding, 1e-16 over the step, both of the order of 1e-12.
STEP = 1e-3
_POINTS = ((-2, 1 / 12), (-1, -2 / 3), (1, 2 / 3), (2, -1 / 12))


@dataclass(frozen=True)
class RowForms:
    """What the objective is at some rows."""

    roots: Doubles  # (n, k, p)
    linear: Doubles  # (n, p)
    constant: Doubles  # (n,)

    def values(self, theta: Doubles) -> Doubles:
        """ρ of each row."""
        along = self.roots @ theta
        return np.asarray((along**2).sum(axis=1) / 2 - self.linear @ theta + self.constant)

    def gradients(self, theta: Doubles) -> Doubles:
        """The gradient of each row's ρ, (n, p)."""
        return np.asarray(np.einsum("nkp,nk->np", self.roots, self.roots @ theta) - self.linear)


def row_forms(block: _Block, objective: Objective, seed: int, step: float, scales: Doubles) -> RowForms:
    """The forms of the rows of a block; `scales` are the standard deviations of the columns."""
    n, d = block.rows.shape
    vectors = random_vectors(objective, seed, n, d)
    nothing = np.zeros(n)
    if objective.name == "sliced":
        return _sliced(block, objective, vectors, scales, nothing)
    if objective.name == "denoising":
        return _denoising(block, objective, vectors)
    here = block.at(block.rows, "statistic")
    roots, linear = [], np.zeros_like(here)
    for v in _each(vectors):
        ahead, behind = (block.at(block.rows + sign * step * v, "statistic") for sign in (1, -1))
        roots.append((ahead - behind) / (2 * step))
        linear -= (ahead + behind - 2 * here) / step**2
    m = len(roots)
    return RowForms(np.stack(roots, axis=1) / np.sqrt(m), linear / m, nothing)


def _each(vectors: Doubles) -> list[Doubles]:
    return [np.ascontiguousarray(vectors[:, k]) for k in range(vectors.shape[1])]


def _sliced(block: _Block, objective: Objective, vectors: Doubles, scales: Doubles, nothing: Doubles) -> RowForms:
    first = block.at(block.rows, "statistic_jacobian")
    root = None if block.h is None else np.sqrt(block.h)
    linear = np.zeros(first.shape[:2])
    roots: list[Any] = []
    room = np.broadcast_to(scales, block.rows.shape)
    if block.room is not None:  # all points of the differences lie inside
        room = np.minimum(room, 0.25 * block.room)
    for v in _each(vectors):
        u = v if root is None else root * v
        with np.errstate(divide="ignore"):
            step = STEP * np.min(np.where(u != 0, room / np.abs(u), np.inf), axis=1)
        step = np.where(np.isfinite(step), step, 0.0)[:, None]
        change = np.zeros_like(linear)
        for place, factor in _POINTS:
            there = block.at(block.rows + place * step * u, "statistic_jacobian")
            change += factor * np.einsum("npd,nd->np", there, u)
        linear -= np.divide(change, step, out=np.zeros_like(change), where=step > 0)
        if not objective.variance_reduction:
            roots.append(np.einsum("npd,nd->np", first, u))
    linear /= vectors.shape[1]
    if block.dh is not None:
        linear -= np.einsum("npd,nd->np", first, block.dh)
    if objective.variance_reduction:
        columns = first if root is None else first * root[:, None, :]
        return RowForms(np.ascontiguousarray(columns.transpose(0, 2, 1)), linear, nothing)
    return RowForms(np.stack(roots, axis=1) / np.sqrt(len(roots)), linear, nothing)


def _denoising(block: _Block, objective: Objective, vectors: Doubles) -> RowForms:
    n = len(block.rows)
    scales = np.asarray(objective.noise_scales)
    shares = scales**2 / np.sum(scales**2) / objective.n_projections
    here = block.at(block.rows, "statistic_jacobian").copy() if objective.variance_reduction else None
    roots, linear, constant = [], np.zeros((n, int(block.family.n_statistics))), np.zeros(n)
    for number, z in enumerate(_each(vectors)):  # level after level
        level = number // objective.n_projections
        sigma, share = scales[level], shares[level]
        there = block.at(block.rows + sigma * z, "statistic_jacobian")
        roots.append(np.sqrt(share) * there.transpose(0, 2, 1))
        change = there if here is None else there - here
        linear -= share / sigma * np.einsum("npd,nd->np", change, z)
        if here is None:
            constant += share / (2 * sigma**2) * (z**2).sum(axis=1)
    return RowForms(np.concatenate(roots, axis=1), linear, constant)
