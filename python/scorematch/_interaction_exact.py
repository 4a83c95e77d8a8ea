"""The interaction matrix that minimises a quadratic form in its columns without penalty, by linear algebra."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scorematch._interaction_solver import ColumnForm, ColumnSolution, fill_diagonal, solve_columns
from scorematch._pairwise_form import symmetric_index
from scorematch._quadratic import BlockForm, QuadraticForm, solve

Doubles = NDArray[np.float64]

# Where columns are coupled, more unknowns than this go by iteration: there is no block form.
MOST_COUPLED = 2500


def minimise(
    form: ColumnForm, *, symmetric: bool, n_samples: int, eps: float, n_threads: int, max_iter: int
) -> ColumnSolution:
    """The minimum; SingularError or UnboundedError where it is not unique or does not exist.

    `n_samples` tells how many terms each block is the mean of; `eps` is the relative rounding error of its entries.
    """
    d = form.n_columns
    where = symmetric_index(d) if symmetric else np.arange(d * d).reshape(d, d)
    if form.fixed_diagonal:  # the other entries, numbered anew
        off = ~np.eye(d, dtype=bool)
        used = np.unique(where[off])
        where = np.searchsorted(used, where)
        kept = np.argwhere(off)[:, 1].reshape(d, d - 1)
    else:
        kept = np.tile(np.arange(d), (d, 1))
    index = np.take_along_axis(where, kept, axis=1)
    n_interactions = int(index.max(initial=-1)) + 1
    if form.has_linear:
        kept = np.column_stack([kept, np.full(d, d)])
        index = np.column_stack([index, n_interactions + np.arange(d)])
    n_params = n_interactions + (d if form.has_linear else 0)
    if n_params == 0:  # one column whose row sum is 0
        return ColumnSolution(np.zeros((d, d)), None, form.constant, 0.0, 1, True)
    if form.coupling is not None and n_params > MOST_COUPLED:
        return solve_columns(form, 0.0, symmetric=symmetric, max_iter=max_iter, n_threads=n_threads)

    whole = kept.shape[1] == form.g.shape[1]
    blocks = form.blocks if whole else _picked(form.blocks, kept, kept)
    system = BlockForm(index, blocks, np.take_along_axis(form.g, kept, axis=1))
    if form.coupling is None:
        theta, _ = system.minimum(n_samples, eps)
    else:
        gamma, g = system.assembled()
        for j, coupling in enumerate(_picked(form.coupling, kept[:-1], np.tile(kept[-1], (d - 1, 1)))):
            np.add.at(gamma, np.ix_(index[j], index[-1]), coupling)
            np.add.at(gamma, np.ix_(index[-1], index[j]), coupling.T)
        theta = solve(QuadraticForm(gamma, g), eps)
    columns = np.zeros(form.g.shape)
    np.put_along_axis(columns, kept, theta[index], axis=1)
    slope = form.gradient(columns)
    K, eta = np.ascontiguousarray(columns[:, :d].T), columns[:, d].copy() if form.has_linear else None
    residual = np.abs(system.gathered(np.take_along_axis(slope, kept, axis=1))).max()
    K = fill_diagonal(K) if form.fixed_diagonal else K
    return ColumnSolution(K, eta, form.value(columns), float(residual), 1, True)


def _picked(matrices: Doubles, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> Doubles:
    each = np.arange(len(matrices))[:, None, None]
    return np.asarray(matrices[each, rows[:, :, None], columns[:, None, :]])
