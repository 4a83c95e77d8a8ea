"""Interaction models at many penalties, from the one at which the graph has no edges downwards."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammaln

from scorematch._interaction_problem import PathProblem
from scorematch._interaction_rows import ScaledRows
from scorematch._interaction_solver import MAX_ITER
from scorematch._validation import check_count, check_flag, check_parameter, check_real

if TYPE_CHECKING:
    from scipy.sparse import csc_array

Doubles = NDArray[np.float64]


def _kept(matrices: list[Doubles], sparse: bool) -> Any:
    if not sparse:
        return np.stack(matrices)
    from scipy.sparse import csc_array

    return [csc_array(matrix) for matrix in matrices]


@dataclass(frozen=True)
class InteractionPath:
    """Interaction models at falling penalties; made by :func:`interaction_path`.

    Parameters
    ----------
    alphas : ndarray of shape (n_alphas,)
        The penalties of the interactions, the highest first.
    alpha_linears : ndarray of shape (n_alphas,)
        The penalties of the linear coefficients beside them.
    interactions : ndarray of shape (n_alphas, n_features, n_features), or list of csc_array
        The interaction matrices K of the scaled data, combined where columns are problems by themselves.
    columns : ndarray of shape (n_alphas, n_features, n_features), list of csc_array, or None
        What the columns came to by themselves, before they were combined; None with ``combine="symmetric"``.
    linears : ndarray of shape (n_alphas, n_features)
        The linear coefficients η of the scaled data; zeros with ``fit_linear=False``.
    n_edges : ndarray of shape (n_alphas,)
        How many pairs of columns interact.
    objective : ndarray of shape (n_alphas,)
        What was minimised: with the diagonal multiplier and the penalties, which count K_ij and K_ji.
    kkt_residual : ndarray of shape (n_alphas,)
        The largest breach of the conditions of a minimum: how far 0 is from the subgradient in an unknown. With
        ``combine="symmetric"`` K_ij = K_ji is one unknown, and its penalty is twice alpha.
    n_iter : ndarray of shape (n_alphas,)
        Sweeps of coordinate descent, and products of conjugate gradients; of the column that took most.
    converged : ndarray of shape (n_alphas,)
        Whether `tol` was met.
    scale : ndarray of shape (n_features,)
        What the columns of the data were divided by.
    problem : object
        What was minimised; :meth:`loss` and :meth:`ebic` come from it.

    Examples
    --------
    >>> import numpy as np, scorematch
    >>> X = np.abs(np.random.default_rng(0).normal(size=(500, 4)))
    >>> X[:, 1] += X[:, 0]
    >>> path = scorematch.interaction_path(X, n_alphas=20)
    >>> int(path.n_edges[0]), bool(path.interactions[1][0, 1] != 0)
    (0, True)
    """

    alphas: Doubles
    alpha_linears: Doubles
    interactions: Doubles | list[csc_array]
    columns: Doubles | list[csc_array] | None
    linears: Doubles
    n_edges: NDArray[np.intp]
    objective: Doubles
    kkt_residual: Doubles
    n_iter: NDArray[np.intp]
    converged: NDArray[np.bool_]
    scale: Doubles
    problem: PathProblem = field(repr=False)

    def __len__(self) -> int:
        return len(self.alphas)

    def interaction(self, position: int) -> Doubles:
        """The interaction matrix at one of the penalties, dense.

        Parameters
        ----------
        position : int
            Which of ``alphas``.

        Returns
        -------
        ndarray of shape (n_features, n_features)
            Of the scaled data.
        """
        matrix = self.interactions[position]
        return np.asarray(matrix if isinstance(matrix, np.ndarray) else matrix.toarray())

    def loss(self, *, refit: bool = False) -> Doubles:
        """The objective J of score matching along the path, without penalties and without the diagonal multiplier.

        The multiplier is a means to a minimum where rows are few, as a penalty is, and no part of the fit to the data.

        Parameters
        ----------
        refit : bool, default=False
            Minimised again over symmetric matrices with the same edges (and over the same linear coefficients, where
            these are under a penalty), instead of at the estimate. Minus infinity where it has no lower bound.

        Returns
        -------
        ndarray of shape (n_alphas,)
            Of the scaled data.
        """
        matrices = [self.interaction(position) for position in range(len(self))]
        if not refit:
            return self.problem.losses(np.stack(matrices), self.linears)
        values: list[float] = []
        before = b""
        for K, eta in zip(matrices, self.linears, strict=True):
            # Neighbours on the path often have the same edges.
            support = np.packbits(np.column_stack([K, eta]) != 0).tobytes()
            values.append(values[-1] if support == before else self.problem.loss_on_support(K, eta))
            before = support
        return np.array(values)

    def ebic(self, gamma: float = 0.5, *, refit: bool = False) -> Doubles:
        """The extended Bayesian information criterion along the path; lower is better.

        2n·J + (m + r) log n + 2γ(log C(N, m) + log C(d, r)), with m edges out of N pairs of columns, and r linear
        coefficients other than 0 out of d, where they are under a penalty (r = 0 elsewhere).

        Parameters
        ----------
        gamma : float, default=0.5
            How much large graphs are held back for being many, from 0 (the Bayesian information criterion) to 1.
        refit : bool, default=False
            Take J at its least for the same edges, not at the estimate, which the penalty shrinks.

        Returns
        -------
        ndarray of shape (n_alphas,)
            Infinite where J, minimised again, has no lower bound: such a graph is too large for the rows.

        References
        ----------
        Chen and Chen (2008), Extended Bayesian information criteria for model selection with large model spaces,
        Biometrika 95; Yu, Drton and Shojaie (2019), Generalized score matching for non-negative data, JMLR 20,
        section 4.3.
        """
        gamma = check_real("gamma", gamma, lowest=0.0)
        n, d = self.problem.n_samples, self.problem.n_features
        n_linear = np.array([self.problem.n_linear(eta) for eta in self.linears])
        losses = self.loss(refit=refit)
        criterion = (
            2 * n * losses
            + (self.n_edges + n_linear) * np.log(n)
            + 2 * gamma * (_log_choose(d * (d - 1) // 2, self.n_edges) + _log_choose(d, n_linear))
        )
        return np.where(np.isfinite(losses), criterion, np.inf)


def path_of(problem: PathProblem, alphas: Doubles, *, sparse: bool = False) -> InteractionPath:
    """The minima at penalties that fall."""
    solutions = list(problem.minima(alphas))
    linear_penalties = problem.linear_penalties(alphas)
    # Columns by themselves have their η by themselves, from before they are combined.
    found = [problem.combined(solution.K) for solution in solutions]
    return InteractionPath(
        alphas=alphas,
        alpha_linears=linear_penalties,
        interactions=_kept(found, sparse),
        columns=None if problem.symmetric else _kept([solution.K for solution in solutions], sparse),
        linears=np.stack([problem.linear_of(solution) for solution in solutions]),
        n_edges=np.array([(np.count_nonzero(K) - np.count_nonzero(np.diagonal(K))) // 2 for K in found]),
        objective=np.array(
            [problem.objective(*each) for each in zip(solutions, alphas, linear_penalties, strict=True)]
        ),
        kkt_residual=np.array([solution.kkt_residual for solution in solutions]),
        n_iter=np.array([solution.n_iter for solution in solutions]),
        converged=np.array([solution.converged for solution in solutions]),
        scale=problem.model.scale_,
        problem=problem,
    )


def _log_choose(n: int, k: NDArray[np.intp]) -> Doubles:
    return np.asarray(gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1))


def interaction_path(
    X: ArrayLike,
    *,
    a: float = 1.0,
    b: float = 1.0,
    domain: Any = None,
    weight: Any = None,
    fit_linear: bool = True,
    alphas: ArrayLike | None = None,
    n_alphas: int = 100,
    alpha_min_ratio: float | None = None,
    alpha_linear: float = 0.0,
    linear_ratio: float | None = None,
    diagonal_multiplier: Literal["auto"] | float = "auto",
    combine: Literal["symmetric", "and", "or"] = "symmetric",
    scale: Literal["norm", "sd"] | None = None,
    zero_row_sums: bool = False,
    sparse: bool = False,
    sample_weight: ArrayLike | None = None,
    tol: float = 1e-8,
    max_iter: int = MAX_ITER,
    n_jobs: int | None = None,
) -> InteractionPath:
    r"""Pairwise interaction models at falling penalties, each found from the one before.

    At each alpha the minimum of the objective J of :class:`PairwiseInteraction`, with the diagonal of its quadratic
    form multiplied, plus

    .. math:: \mathrm{alpha} \sum_{i \ne j} |K_{ij}| + \mathrm{alpha\_linear} \sum_j |\eta_j|.

    The first alpha is the smallest at which no columns interact, exactly: the diagonal of K and η are then at their own
    minimum, and alpha equals the largest slope of J in an entry of K (half that in K_ij = K_ji).

    Parameters
    ----------
    X : array_like of shape (n_samples, n_features)
        The data, inside the domain.
    a, b : float, default=1.0
        The powers of the interactions and of the linear term, not negative; 0 is the logarithm.
    domain : Domain, optional
        ``NonNegative()`` where None.
    weight : Weight, optional
        The weight that vanishes at the boundary; that of :func:`scorematch.weights.default_weight` where None.
    fit_linear : bool, default=True
        Whether there is a linear term.
    alphas : array_like of shape (n_alphas,), optional
        The penalties, not negative; they are taken from the highest down. Where None, `n_alphas` of them from the
        first with an edge to `alpha_min_ratio` times that, in equal steps of their logarithm.
    n_alphas : int, default=100
        How many, where `alphas` is None.
    alpha_min_ratio : float, optional
        In (0, 1]. By default 0.05, or sqrt(log(n_features) / n_samples) where that is less: slopes far smaller are
        noise, and so are the edges that they bring.
    alpha_linear : float, default=0.0
        The penalty of the linear coefficients, the same all along the path. With 0 these are profiled out.
    linear_ratio : float, optional
        In place of `alpha_linear`: their penalty as a multiple of alpha, so that both fall together.
    diagonal_multiplier : "auto" or float, default="auto"
        By what the diagonal of the quadratic form is multiplied; see :class:`scorematch.PairwiseInteraction`.
    combine : {"symmetric", "and", "or"}, default="symmetric"
        Whether K_ij and K_ji are one unknown, or columns are estimated by themselves and then combined.
    scale : {None, "norm", "sd"}, default=None
        By what columns are divided before the fit.
    zero_row_sums : bool, default=False
        Whether K1 = 0.
    sparse : bool, default=False
        Whether to keep the matrices as ``scipy.sparse.csc_array``, which for many columns saves memory.
    sample_weight : array_like of shape (n_samples,), optional
        Weights of the rows; a weight of 2 is the row twice. All 1 where None.
    tol : float, default=1e-8
        How much the conditions of a minimum may be broken (``kkt_residual``): absolutely, or as a part of the largest
        entry of the linear term g where that is below 1. Where rounding does not allow it, `tol` times the largest
        entry of g counts as converged.
    max_iter : int, default=10000
        Sweeps and steps for each alpha.
    n_jobs : int, optional
        Threads; all processors that the process may use where None. The result does not depend on it.

    Returns
    -------
    InteractionPath
        The matrices, and what belongs to them, with criteria for a choice.

    Raises
    ------
    ValueError
        Where data or options are wrong, or the objective has no lower bound, as with fewer rows than columns and
        ``diagonal_multiplier=1``: the error names the column and the remedy.

    References
    ----------
    Yu, Drton and Shojaie (2019), Generalized score matching for non-negative data, JMLR 20, sections 4 and 5;
    Tibshirani et al. (2012), Strong rules for discarding predictors in lasso-type problems, JRSS B 74.

    Examples
    --------
    >>> import numpy as np, scorematch
    >>> X = np.abs(np.random.default_rng(0).normal(size=(500, 4)))
    >>> X[:, 1] += X[:, 0]
    >>> path = scorematch.interaction_path(X, n_alphas=20)
    >>> best = int(np.argmin(path.ebic(0.5, refit=True)))
    >>> np.argwhere(np.triu(path.interactions[best], 1)).tolist()
    [[0, 1]]
    """
    from scorematch._pairwise_interaction import PairwiseInteraction

    model = PairwiseInteraction(
        a,
        b,
        domain=domain,
        weight=weight,
        fit_linear=fit_linear,
        alpha_linear=alpha_linear,
        diagonal_multiplier=diagonal_multiplier,
        combine=combine,
        scale=scale,
        zero_row_sums=zero_row_sums,
        tol=tol,
        max_iter=max_iter,
        n_jobs=n_jobs,
    )
    check_flag("sparse", sparse)
    rows = ScaledRows.of(model, X, sample_weight, linear_ratio=linear_ratio)
    problem = rows.problem(rows.moments())
    path = path_of(problem, chosen_alphas(problem, alphas, n_alphas, alpha_min_ratio), sparse=sparse)
    warn_unless_converged(path)
    return path


def chosen_alphas(
    problem: PathProblem, alphas: ArrayLike | None, n_alphas: int, alpha_min_ratio: float | None
) -> Doubles:
    """The penalties of a path, checked, the highest first."""
    if alphas is None:
        count = check_count("n_alphas", n_alphas)
        if alpha_min_ratio is not None:
            alpha_min_ratio = check_real("alpha_min_ratio", alpha_min_ratio, lowest=0.0)
            if not 0 < alpha_min_ratio <= 1:
                raise ValueError(f"alpha_min_ratio must be above 0 and at most 1; got {alpha_min_ratio}")
        return problem.alphas(count, alpha_min_ratio)
    given = check_parameter("alphas", alphas, (None,))
    if (given < 0).any():
        raise ValueError(f"alphas must not be negative; entry {int(np.argmax(given < 0))} is {given.min()}")
    return np.sort(given)[::-1]


def warn_unless_converged(path: InteractionPath) -> None:
    """Say at which penalty `tol` was not met first."""
    if not path.converged.all():
        from sklearn.exceptions import ConvergenceWarning

        first = int(np.argmin(path.converged))
        warnings.warn(
            f"at alpha={path.alphas[first]:.6g}, after {path.n_iter[first]} steps, the conditions of a minimum are "
            f"broken by {path.kkt_residual[first]:.3g}; increase max_iter (or tol), or scale the data",
            ConvergenceWarning,
            stacklevel=3,
        )
