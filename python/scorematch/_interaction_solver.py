"""The interaction matrix that minimises a quadratic form in its columns with an l1 penalty, at one penalty or a path.

The form is that of the pairwise interaction models (`_pairwise_form.py`), made ready for the solver by `column_form`:
the diagonal multiplied, the linear coefficients profiled out, the diagonal of K eliminated where its rows sum to 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from scorematch import _core
from scorematch._penalised import UnboundedError

if TYPE_CHECKING:
    from scorematch._pairwise_form import PairwiseForm, SimplexForm

Doubles = NDArray[np.float64]

# Sweeps and conjugate gradient steps, of which a path at 100 columns takes about ten a point.
MAX_ITER = 10_000
STEPS_TOGETHER = 20


@dataclass(frozen=True)
class ColumnForm:
    """Σ_j (½ c_jᵀ blocks[j] c_j − g[j]ᵀ c_j) [+ Σ_{j<d−1} c_jᵀ coupling[j] c_{d−1}] + constant.

    c_j is column j of K, and after it η_j where the last axis has d + 1 entries.
    """

    blocks: Doubles  # (d, m, m)
    g: Doubles  # (d, m)
    coupling: Doubles | None = None  # (d - 1, m, m)
    fixed_diagonal: bool = False
    constant: float = 0.0

    @property
    def n_columns(self) -> int:
        """D."""
        return len(self.g)

    @property
    def has_linear(self) -> bool:
        """Whether η is among the unknowns."""
        return bool(self.g.shape[1] > self.n_columns)

    def joined(self, K: Doubles, eta: Doubles | None) -> Doubles:
        """The columns c_j, one a row; without the diagonal of K where it is not among the unknowns."""
        columns = K.T.copy() if eta is None or not self.has_linear else np.column_stack([K.T, eta])
        if self.fixed_diagonal:
            np.fill_diagonal(columns, 0)
        return np.ascontiguousarray(columns)

    def value(self, columns: Doubles) -> float:
        """The form, without penalties, at the columns c_j (one a row)."""
        product = (self.blocks @ columns[:, :, None])[:, :, 0]
        total = float(np.vdot(columns, product / 2 - self.g)) + self.constant
        if self.coupling is not None:
            total += float(np.einsum("ji,jik,k", columns[:-1], self.coupling, columns[-1]))
        return total

    def gradient(self, columns: Doubles) -> Doubles:
        """Its derivatives, an entry of `columns` each."""
        slope = (self.blocks @ columns[:, :, None])[:, :, 0] - self.g
        if self.coupling is not None:
            slope[:-1] += self.coupling @ columns[-1]
            slope[-1] += np.einsum("ji,jik->k", columns[:-1], self.coupling)
        return slope


@dataclass(frozen=True)
class ColumnSolution:
    """A minimum."""

    K: Doubles  # (d, d)
    eta: Doubles | None  # (d,), where the form has it
    value: float  # of the form, without penalties
    # The largest distance of 0 from the subgradient. Where K is symmetric, K_ij = K_ji is one unknown, with penalty 2α.
    kkt_residual: float
    n_iter: int
    converged: bool


def column_form(
    form: PairwiseForm | SimplexForm,
    *,
    multiplier: float = 1.0,
    extra_diagonal: Doubles | None = None,
    fit_linear: bool,
    profile: bool,
    zero_row_sums: bool = False,
) -> ColumnForm:
    """The form of an interaction model as the solver wants it.

    The multiplier multiplies the diagonal of the blocks, that is of the part of Γ that belongs to K, before anything
    else; or else `extra_diagonal` (d, d) is added to it, block j's in row j. With `profile`, η takes its best value for
    every K and is no longer among the unknowns; `restore` gives it. With `zero_row_sums` K_jj is minus the sum of the
    rest of its column.
    """
    d = len(form.blocks)
    own = np.arange(d)
    coupling = getattr(form, "coupling", None)
    if coupling is not None and profile and fit_linear:
        raise ValueError("where columns are coupled, η cannot be profiled out column by column")
    diagonal = form.blocks[:, own, own] * multiplier
    if extra_diagonal is not None:
        diagonal += extra_diagonal
    g = form.g_interaction.T
    constant = 0.0
    if fit_linear and profile:
        known = form.linear > 0
        roots = np.sqrt(form.linear, out=np.ones(d), where=known)
        cross = np.where(known, form.cross / roots, 0.0)
        pull = np.where(known, form.g_linear / roots, 0.0)
        blocks = np.empty(form.blocks.shape)
        for block, whole, share in zip(blocks, form.blocks, cross.T, strict=True):
            np.multiply.outer(share, share, out=block)
            np.subtract(whole, block, out=block)
        blocks[:, own, own] = diagonal - cross.T**2
        g = g - (cross * pull).T
        constant = -0.5 * float(pull @ pull)
    elif fit_linear:
        blocks = np.empty((d, d + 1, d + 1))
        blocks[:, :d, :d] = form.blocks
        blocks[:, own, own] = diagonal
        blocks[:, :d, d] = blocks[:, d, :d] = form.cross.T
        blocks[:, d, d] = form.linear
        g = np.column_stack([g, form.g_linear])
    else:
        blocks = form.blocks.copy()
        blocks[:, own, own] = diagonal
    if zero_row_sums:
        # c_j = T_j k_j, T_j = I − e_j 1ᵀ on the entries of K.
        ones = (np.arange(g.shape[1]) < d).astype(float)
        blocks, g, coupling = _without_diagonal(blocks, g, coupling, ones)
    return ColumnForm(blocks, np.ascontiguousarray(g), coupling, zero_row_sums, constant)


def _without_diagonal(
    blocks: Doubles, g: Doubles, coupling: Doubles | None, ones: Doubles
) -> tuple[Doubles, Doubles, Doubles | None]:
    d = len(g)
    own = np.arange(d)
    rows = blocks[own, own]
    blocks = (
        blocks
        - ones[:, None] * rows[:, None, :]
        - rows[:, :, None] * ones
        + np.outer(ones, ones) * rows[own, own][:, None, None]
    )
    g = g - g[own, own][:, None] * ones
    if coupling is not None:
        first = own[:-1]
        coupling = coupling - ones[:, None] * coupling[first, first][:, None, :]
        coupling = coupling - coupling[:, :, d - 1][:, :, None] * ones
    return blocks, g, coupling


def restore(form: PairwiseForm | SimplexForm, K: Doubles) -> Doubles:
    """The best η for K, which `profile` left out; 0 where the form does not know of it."""
    pull = form.g_linear - np.einsum("ij,ij->j", form.cross, K)
    return np.asarray(np.divide(pull, form.linear, out=np.zeros(len(pull)), where=form.linear > 0))


def fill_diagonal(K: Doubles) -> Doubles:
    """K with the diagonal with which its columns sum to 0."""
    K = K.copy()
    np.fill_diagonal(K, 0)
    np.fill_diagonal(K, -K.sum(axis=0))
    return K


class _Solver:
    """The compiled solver on one form."""

    def __init__(self, form: ColumnForm, symmetric: bool) -> None:
        self.form = form
        self.problem = _core.InteractionProblem(form.blocks, form.g, form.coupling, symmetric, form.fixed_diagonal)

    def minimise(
        self, alphas: list[float], alpha_linears: list[float], tol: float, max_iter: int, n_threads: int
    ) -> Iterator[ColumnSolution]:
        found = self.problem.minimise(alphas, alpha_linears, tol, max_iter, n_threads)
        for alpha, (columns, gradient, outcome, n_iter, violation, column) in zip(alphas, found, strict=True):
            if outcome == "unbounded":
                raise UnboundedError(
                    columns,
                    f"with alpha={alpha:.6g} the penalised objective has no lower bound: it falls for ever along "
                    f"column {column} of the interaction matrix, since the quadratic form is not positive definite (as "
                    "with fewer rows than columns). Use diagonal_multiplier='auto' or a number above 1, or a larger "
                    "alpha",
                )
            d = self.form.n_columns
            value = self.form.constant + 0.5 * float(np.vdot(columns, gradient - self.form.g))
            K = np.ascontiguousarray(columns[:, :d].T)
            if self.form.fixed_diagonal:
                K = fill_diagonal(K)
            eta = columns[:, d].copy() if self.form.has_linear else None
            yield ColumnSolution(K, eta, value, violation, n_iter, outcome == "converged")


def solve_columns(
    form: ColumnForm,
    alpha: float,
    alpha_linear: float = 0.0,
    *,
    symmetric: bool = True,
    tol: float = 1e-8,
    max_iter: int = MAX_ITER,
    start: tuple[Doubles, Doubles | None] | None = None,
    support: NDArray[np.bool_] | None = None,
    n_threads: int = 1,
) -> ColumnSolution:
    """The minimum of the form with alpha Σ_{i≠j}|K_ij| + alpha_linear Σ_j|η_j|; UnboundedError where there is none.

    `tol` is how much the conditions of a minimum may be broken, absolutely, or as a part of the largest entry of g
    where that is below 1. Where rounding errors do not allow it, `tol` times the largest entry of g is enough.
    `start` is a pair K, η. `support` (d, m) says which entries of the columns, one a row, may be other than 0.
    """
    solver = _Solver(form, symmetric)
    if start is not None:
        solver.problem.start(form.joined(*start))
    if support is not None:
        solver.problem.restrict_to(support)
    [solution] = solver.minimise([alpha], [alpha_linear], tol, max_iter, n_threads)
    if solution.converged or start is not None or support is not None:
        return solution
    # From far away an ill-conditioned form takes very many steps; down a path it takes few at each penalty.
    highest = largest_alpha(form, alpha_linear, symmetric=symmetric)
    if not highest > alpha:
        return solution
    steps = [*np.geomspace(highest, max(alpha, 1e-4 * highest), 20)[:-1], alpha]
    *_, last = solve_path(
        form, steps, [alpha_linear] * 20, symmetric=symmetric, tol=tol, max_iter=max_iter, n_threads=n_threads
    )
    return last


def solve_path(
    form: ColumnForm,
    alphas: Iterable[float],
    alpha_linears: Iterable[float],
    *,
    symmetric: bool = True,
    tol: float = 1e-8,
    max_iter: int = MAX_ITER,
    n_threads: int = 1,
) -> Iterator[ColumnSolution]:
    """The minima one after another, each from the one before: fastest where alphas fall."""
    solver = _Solver(form, symmetric)
    pairs = list(zip(alphas, alpha_linears, strict=True))
    # Columns by themselves go down the path by themselves, some steps at a time: threads meet seldom, and between the
    # steps an interruption is heard.
    size = 1 if symmetric or n_threads == 1 else STEPS_TOGETHER
    for first in range(0, len(pairs), size):
        some = pairs[first : first + size]
        yield from solver.minimise([a for a, _ in some], [b for _, b in some], tol, max_iter, n_threads)


def values_at(form: ColumnForm, K: Doubles, eta: Doubles) -> Doubles:
    """The form, without penalties, at symmetric matrices (k, d, d) and linear coefficients (k, d).

    By the compiled gradient: threads of a BLAS get in the way of those of the core.
    """
    problem = _Solver(form, symmetric=True).problem
    values = np.empty(len(K))
    for position, (matrix, linear) in enumerate(zip(K, eta, strict=True)):
        columns = form.joined(matrix, linear)
        problem.start(columns)
        values[position] = form.constant + 0.5 * float(np.vdot(columns, problem.gradient() - form.g))
    return values


def largest_alpha(
    form: ColumnForm, alpha_linear: float = 0.0, *, linear_ratio: float | None = None, symmetric: bool = True
) -> float:
    """The smallest alpha from which on no entry of K off the diagonal is other than 0.

    The diagonal and η are then at their own minimum, and alpha is the largest slope in an entry of K. With
    `linear_ratio` the penalty of η is that times alpha.
    """
    solver = _Solver(form, symmetric)
    d = form.n_columns
    off_diagonal = ~np.eye(d, dtype=bool)

    def slope(penalty: float) -> float:
        list(solver.minimise([np.inf], [penalty], 0.0, MAX_ITER, 1))
        slopes = solver.problem.gradient()[:, :d]
        if symmetric:
            slopes = (slopes + slopes.T) / 2
        return float(np.abs(slopes[off_diagonal]).max(initial=0.0))

    if not (linear_ratio and form.has_linear):
        return slope(alpha_linear)

    # Between the alphas at which some η_j becomes 0, K_jj and η_j are linear in alpha and the slope is convex. So going
    # down from where all η are 0, the first of these alphas that is below its slope has the answer above it, alone.
    from scipy.optimize import brentq

    def excess(alpha: float) -> float:
        return slope(linear_ratio * alpha) - alpha

    own = np.arange(d)
    curvature = form.blocks[own, own, own]
    share = np.zeros(d) if form.fixed_diagonal else form.blocks[own, own, d] / np.where(curvature > 0, curvature, 1.0)
    knots = np.abs(form.g[:, d] - share * form.g[own, own]) / linear_ratio
    above = max(slope(np.inf), float(knots.max()))
    for knot in [*np.sort(knots)[::-1], 0.0]:
        if excess(knot) > 0:
            return float(brentq(excess, knot, above, xtol=1e-300, rtol=4 * np.finfo(float).eps))
        above = knot
    return 0.0


def auto_multiplier(n_samples: float, n_features: int) -> float:
    """The multiplier of the diagonal with which the objective of few rows has a minimum (Yu et al. 2019, section 4.2).

    1 + (1 − 1/(1 + 4e max(6 log d/n, √(6 log d/n)))): 1 in the limit of many rows, and below 2.
    """
    noise = 6 * np.log(n_features) / n_samples
    return float(2 - 1 / (1 + 4 * np.e * max(noise, np.sqrt(noise))))


def combined(K: Doubles, rule: str) -> Doubles:
    """The mean of K and Kᵀ on the edges that both have ("and"), or one of them ("or"); 0 elsewhere."""
    present = K != 0
    edges = present & present.T if rule == "and" else present | present.T
    return np.where(edges | np.eye(len(K), dtype=bool), (K + K.T) / 2, 0.0)
