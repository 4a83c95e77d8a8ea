"""Exponential families whose sufficient statistics the user writes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg.blas import dsyrk
from sklearn.exceptions import ConvergenceWarning

from scorematch._base import Loss
from scorematch._closed_form import ClosedFormEstimator
from scorematch._estimating import (
    SET_TO_ZERO,
    EstimatingEquations,
    Penalty,
    Products,
    Stationary,
    products_of_rows,
)
from scorematch._exponential_objectives import RowForms, row_forms
from scorematch._field import field_values
from scorematch._moments import joined, parted
from scorematch._objectives import ObjectiveName, ProjectionName, objective_of, rows_from
from scorematch._penalised import UnboundedError, minimise_penalised
from scorematch._quadratic import QuadraticForm, SingularError, relative_error, solve
from scorematch._user_functions import RowFunction, UserFunction, check_callable
from scorematch._validation import (
    Floats,
    check_count,
    check_parameter,
    check_real,
)
from scorematch._warnings import warn
from scorematch.domains import Domain
from scorematch.weights import Weight

Doubles = NDArray[np.float64]

# Numbers in an array of derivatives, where the user does not say how many rows go together: 4 MiB.
BLOCK_NUMBERS = 2**19
# Numbers that a robust fit keeps of what the functions gave, between reweightings: 256 MiB.
MOST_KEPT_NUMBERS = 2**25
# What rounding may leave of relative error in the coefficients, before it is said and before the fit is refused.
SMALL_ERROR, LARGE_ERROR = 1e-6, 1e-2


class ExponentialFamily(ClosedFormEstimator):
    r"""Exponential family of your own sufficient statistics, fitted in closed form.

    .. math:: \log p(x) = \theta^\top t(x) + \text{const}

    All that is needed of the statistics t are the derivatives D with :math:`D_{kj} = \partial t_k / \partial x_j`, and
    the diagonal of the second derivatives. The score function is :math:`D^\top\theta`, the Hessian trace
    :math:`\sum_{kj} \theta_k\, \partial^2 t_k / \partial x_j^2`, and

    .. math:: \Gamma = \mathrm{E}[D\,\mathrm{diag}(h)\,D^\top], \qquad
        g = -\mathrm{E}\Big[D h' + \sum_j h_j\, \partial^2 t / \partial x_j^2\Big]

    with the weight h of the coordinates (h = 1 and h′ = 0 on all of space). The estimate minimises
    :math:`\tfrac12\theta^\top\Gamma\theta - g^\top\theta + \tfrac12\,\mathtt{ridge}\,\|\theta\|^2 +
    \mathtt{alpha}\,\|\theta\|_1`.

    Parameters
    ----------
    statistic_jacobian : callable
        Gives ∂t/∂x at a block of rows: from an array of shape (n_rows, n_features), float64 and read-only, an array of
        shape (n_rows, n_statistics, n_features).
    statistic_hessian_diagonal : callable
        The same with ∂²t/∂x_j² in place of ∂t/∂x_j.
    n_statistics : int
        How many statistics there are.
    statistic : callable, optional
        Gives t itself, (n_rows, n_statistics). Only ``unnormalized_log_density`` needs it.
    domain : Domain, optional
        Where the data live, one of :mod:`scorematch.domains` or an object of your own with ``contains`` and
        ``coordinate_distance``; all of space where None.
    weight : Weight, optional
        On a domain with a boundary, one of :mod:`scorematch.weights` or a pair of functions h and h′; where None, the
        one that :func:`scorematch.weights.default_weight` chooses.
    ridge : float, default=0.0
        A penalty of ½·ridge·‖θ‖² in the objective, which makes the solution unique where the data alone do not.
    alpha : float or sequence of float, default=0.0
        A penalty of alpha·‖θ‖₁ in the objective, which sets some coefficients to 0 exactly; one number for each
        statistic where a sequence is given.
    block_size : int, optional
        How many rows the functions are called with at a time; where None, as many as make an array of derivatives of 4
        MiB. Memory is that of some such arrays, however many rows there are.
    tol : float, default=1e-10
        With `alpha`, how far the conditions of a minimum may be missed, as a part of the largest entry of g.
    max_iter : int, default=1000
        With `alpha`, the largest number of iterations.
    robust : float, default=0.0
        Exponent c of Windham's weights: a row counts by the c-th power of the density that is fitted to it, which takes
        outliers out of the estimate; 0 is the ordinary fit. Needs `statistic`. See the notes of :class:`Gaussian`.
    objective : {"exact", "sliced", "denoising", "finite_difference"}, default="exact"
        What is minimised: the objective with the exact Hessian trace, or one that does without it by random vectors
        (sliced score matching), noise (denoising score matching) or differences of the log density. See the notes of
        :class:`Gaussian`.
    n_projections, projection, variance_reduction, noise_scale, difference_step : optional
        Options of an `objective` that is not exact: how many random vectors a row has, their law ("rademacher",
        "gaussian" or "sphere"), whether what has a known mean is taken by that, the standard deviation of the noise
        (several for several levels), and the step of differences (where None, a tenth of the smallest standard
        deviation of a column). See the notes of :class:`Gaussian`.
    random_state : int, RandomState or None
        Seed of the random vectors of an `objective` that is not exact.

    Attributes
    ----------
    theta_ : ndarray of shape (n_statistics,)
        The natural parameters.
    theta_names_ : list of str
        Names of the entries of ``theta_``.
    params_ : dict
        ``theta``, the argument of :meth:`from_params`, which also takes ``n_features``; without it, the number of
        columns is that of the first data that the model meets.
    objective_ : float
        The objective at the estimate, without the penalties.
    converged_, n_iter_ : bool, int
        Whether the minimum was found, and in how many iterations; True and 1 without `alpha`.
    weight_ : Weight or None
        The weight that was used, with its caps in numbers.
    robust_weights_, n_reweightings_ : ndarray of shape (n_samples,), int
        With `robust`: Windham's weights at the estimate, of mean 1, and how many times they were made anew.
    noise_seed_, difference_step_ : int, float
        With an `objective` that is not exact: the seed of its random vectors, and with "finite_difference" its step.
    n_features_in_ : int
        Number of columns seen by ``fit``.

    Warns
    -----
    sklearn.exceptions.ConvergenceWarning
        With `alpha`, where `max_iter` iterations did not find the minimum.
    UserWarning
        Without `alpha`, where the statistics are so nearly dependent that rounding may leave a relative error of more
        than 1e-6 in ``theta_``. Beyond 1e-2, ``fit`` raises a ValueError.

    Notes
    -----
    Whether exp of the estimate can be normalised is not checked: nothing is known of t.

    :meth:`sample` goes by Hamiltonian Monte Carlo, and calls the functions with all chains, inside the domain alone;
    with `statistic` it is several times as fast as without, where differences of the log density are integrals of the
    score.

    With ``objective="sliced"``, the second derivatives along a random vector u are those of `statistic_jacobian` by
    differences along u, of five points within 0.002 standard deviations, with a relative error of about 1e-12 for
    smooth statistics; ``fit`` then does without `statistic_hessian_diagonal`. "denoising" needs `statistic_jacobian`
    alone, "finite_difference" `statistic` alone, each at points beside the rows.

    The functions are called on one thread, in the order of the rows; BLAS, which multiplies what they return, has
    threads of its own. A model can be pickled if its functions can, as those at the top of a module; it cannot be
    written to a model file.

    References
    ----------
    Hyvärinen (2005), "Estimation of non-normalized statistical models by score matching", JMLR 6, section 2.
    Hyvärinen (2007), "Some extensions of score matching", Computational Statistics & Data Analysis 51 (exponential
    families in closed form; non-negative data).
    Yu, Drton and Shojaie (2019), "Generalized score matching for non-negative data", JMLR 20 (weights, and the l1
    penalty).

    Examples
    --------
    Independent gamma distributions with one shape and one rate, log p = a Σ log x_j − b Σ x_j:

    >>> import numpy as np
    >>> import scorematch
    >>> def jacobian(x):
    ...     return np.stack([1 / x, -np.ones_like(x)], axis=1)
    >>> def hessian_diagonal(x):
    ...     return np.stack([-1 / x**2, np.zeros_like(x)], axis=1)
    >>> X = np.random.default_rng(0).gamma(3.0, 0.5, size=(20000, 2))
    >>> model = scorematch.ExponentialFamily(
    ...     jacobian, hessian_diagonal, 2, domain=scorematch.NonNegative(), weight=scorematch.Power(2)
    ... ).fit(X)
    >>> np.round(model.theta_, 1)  # shape − 1 and rate
    array([2., 2.])
    """

    _required_params: ClassVar[tuple[str, ...]] = ("theta",)
    _optional_params: ClassVar[tuple[str, ...]] = ("n_features",)

    def __init__(
        self,
        statistic_jacobian: RowFunction,
        statistic_hessian_diagonal: RowFunction,
        n_statistics: int,
        statistic: RowFunction | None = None,
        *,
        domain: Domain | None = None,
        weight: Weight | None = None,
        ridge: float = 0.0,
        alpha: float | Sequence[float] = 0.0,
        block_size: int | None = None,
        tol: float = 1e-10,
        max_iter: int = 1000,
        robust: float = 0.0,
        objective: ObjectiveName = "exact",
        n_projections: int = 1,
        projection: ProjectionName = "rademacher",
        variance_reduction: bool = True,
        noise_scale: float | Sequence[float] | None = None,
        difference_step: float | None = None,
        random_state: Any = None,
    ) -> None:
        self.statistic_jacobian = statistic_jacobian
        self.statistic_hessian_diagonal = statistic_hessian_diagonal
        self.n_statistics = n_statistics
        self.statistic = statistic
        self.domain = domain
        self.weight = weight
        self.ridge = ridge
        self.alpha = alpha
        self.block_size = block_size
        self.tol = tol
        self.max_iter = max_iter
        self.robust = robust
        self.objective = objective
        self.n_projections = n_projections
        self.projection = projection
        self.variance_reduction = variance_reduction
        self.noise_scale = noise_scale
        self.difference_step = difference_step
        self.random_state = random_state

    def unnormalized_log_density(self, X: ArrayLike) -> Floats:
        """The logarithm of the density, up to a constant that does not depend on x.

        Parameters
        ----------
        X : array_like of shape (n_samples, n_features)
            The points.

        Returns
        -------
        ndarray of shape (n_samples,)
            Of the float type of `X`.

        Raises
        ------
        ValueError
            Where the model was made without `statistic`: the derivatives alone do not give it.
        """
        return super().unnormalized_log_density(X)

    # -- what the base asks for ----------------------------------------------------------------------------------

    def _has_log_density(self) -> bool:
        return self.statistic is not None

    def _layout(self) -> list[tuple[str, Literal["dense", "symmetric", "lower"], tuple[int, ...]]]:
        return [("theta", "dense", (len(self.theta_),))]

    def _check_samples(self, X: ArrayLike, *, reset: bool = False, finite: bool = True) -> Floats:
        # A model from parameters learns from the first data how many columns there are.
        with self._all_or_nothing():
            return super()._check_samples(X, reset=reset or not hasattr(self, "n_features_in_"), finite=finite)

    def _theta_from_params(self, params: dict[str, Any]) -> tuple[int | None, Doubles]:
        self._check_options()
        n_features = params.get("n_features")
        if n_features is not None:
            check_count("n_features", n_features)
        return n_features, check_parameter("theta", params["theta"], (self.n_statistics,))

    def _set_params_from_theta(self) -> None:
        self.params_ = {"theta": self.theta_}

    def _check_options(self) -> None:
        check_callable("statistic_jacobian", self.statistic_jacobian)
        check_callable("statistic_hessian_diagonal", self.statistic_hessian_diagonal)
        check_count("n_statistics", self.n_statistics)
        if self.statistic is not None:
            check_callable("statistic", self.statistic)
        if self.block_size is not None:
            check_count("block_size", self.block_size)
        check_real("ridge", self.ridge, lowest=0.0)
        self._penalties()
        check_real("tol", self.tol, lowest=0.0)
        check_count("max_iter", self.max_iter)
        self._check_domain()

    def _penalties(self) -> Doubles:
        """The l1 penalty of each coefficient."""
        given = check_parameter("alpha", self.alpha, () if np.ndim(self.alpha) == 0 else (self.n_statistics,))
        if not (given >= 0).all():
            raise ValueError(f"alpha must not be negative; got {self.alpha!r}")
        return np.array(np.broadcast_to(given, (self.n_statistics,)))

    # -- block by block ------------------------------------------------------------------------------------------

    def _blocks(self, X: Floats, sample_weight: Doubles | None = None) -> Iterator[_Block]:
        p, d = int(self.n_statistics), X.shape[1]
        field_weight = self._settled_weight(X, sample_weight)
        size = max(1, BLOCK_NUMBERS // (p * d))
        if not self._is_exact:  # with arrays for each of the random vectors of a row
            size = max(1, size // objective_of(self).n_copies)
        size = size if self.block_size is None else int(self.block_size)
        for first in range(0, len(X), size):
            rows = X[first : first + size].astype(np.float64, copy=False).view()
            rows.flags.writeable = False  # they may be the caller's own
            h, dh, room = (None, None, None)
            if self._has_boundary:
                a, dh = field_values(self.domain, field_weight, rows)
                h = np.broadcast_to(a, rows.shape)
                if not self._is_exact:
                    room = self._domain().coordinate_distance(rows)[0]
            weight = None if sample_weight is None else sample_weight[first : first + size]
            yield _Block(self, first, rows, h, dh, weight, room)

    @contextmanager
    def _reusing(self) -> Iterator[None]:
        self._kept = _Kept()
        try:
            yield
        finally:
            del self._kept

    def _log_density(self, X: Floats, theta: Doubles) -> Doubles:
        return np.concatenate([block.statistic() @ theta for block in self._blocks(X)])

    def _log_density_slopes(self, X: Floats, scales: Doubles) -> Doubles:
        return np.concatenate([block.statistic() for block in self._blocks(X)])

    def _function(self, argument: str, *, finite: bool = True) -> UserFunction:
        axes = (("n_statistics", int(self.n_statistics)), ("n_features", self.n_features_in_))
        own = axes[:1] if argument == "statistic" else axes
        return UserFunction(argument, getattr(self, argument), own, finite)

    # What samplers call: trajectories that diverge come to points where nothing is finite, and are refused for it.
    def _score_in_python(self, points: Doubles) -> Doubles:
        return np.asarray(
            np.einsum("npd,p->nd", self._function("statistic_jacobian", finite=False)(points, 0), self.theta_)
        )

    def _log_density_in_python(self, points: Doubles) -> Doubles:
        return np.asarray(self._function("statistic", finite=False)(points, 0) @ self.theta_)

    def _evaluate_rows(self, X: Floats, *wanted: str) -> dict[str, Floats]:
        if "log_density" in wanted and self.statistic is None:
            raise ValueError(
                "unnormalized_log_density needs the statistics themselves, not only their derivatives: pass "
                "statistic, a function from a block of rows to an array of shape (n_rows, n_statistics)"
            )
        n, d = X.shape
        columns = {"score": (n, d), "hessian_diagonal": (n, d)}
        results = {name: np.empty(columns.get(name, (n,)), dtype=X.dtype) for name in wanted}
        for block in self._blocks(X):
            for name, values in block.evaluate(self.theta_, wanted).items():
                results[name][block.first : block.first + len(values)] = values
        return results

    def _row_forms(self, block: _Block) -> RowForms:
        """What an objective that is not exact is at the rows of a block."""
        step = getattr(self, "difference_step_", 1.0)
        with rows_from(block.first):
            return row_forms(block, objective_of(self), self.noise_seed_, step, self._column_scales)

    def _settle_rest_of_objective(self, X: Floats, sample_weight: Doubles | None) -> None:
        super()._settle_rest_of_objective(X, sample_weight)
        if not hasattr(self, "_column_scales"):
            spread = X.std(axis=0, dtype=np.float64)
            size = np.abs(X).max(axis=0).astype(np.float64)
            self._column_scales = np.where(spread > 1e-8 * size, spread, np.where(size > 0, size, 1.0))

    def _settle_objective(self, X: Floats, sample_weight: Doubles | None) -> None:
        if not self._keeps_objective:
            self.__dict__.pop("_column_scales", None)
        super()._settle_objective(X, sample_weight)

    def _loss(self, X: Floats, sample_weight: Doubles | None) -> Loss:
        if not self._is_exact:
            self._settle_rest_of_objective(X, sample_weight)
        total = float(len(X)) if sample_weight is None else float(sample_weight.sum())

        def loss(theta: Doubles) -> tuple[float, Doubles]:
            value, gradient = 0.0, np.zeros_like(theta)
            for block in self._blocks(X, sample_weight):
                more, slope = block.loss_and_gradient(theta)
                value += more
                gradient += slope
            return value / total, gradient / total

        return loss

    # -- precision -----------------------------------------------------------------------------------------------

    def _estimating(self, X: Floats, sample_weight: Doubles | None) -> EstimatingEquations:
        penalties = self._penalties()
        if not penalties.any() and not self.ridge:
            return Stationary(self)
        zero = np.flatnonzero((self.theta_ == 0) & (penalties > 0))
        free = np.delete(np.eye(len(self.theta_)), zero, axis=1)
        fixed = dict.fromkeys(zero.tolist(), SET_TO_ZERO)
        return Stationary(self, Penalty(self.ridge * np.eye(len(self.theta_)), free, fixed))

    def _gradient_rows(self, X: Floats, theta: Doubles | None = None) -> Doubles:
        if not self._is_exact:
            self._settle_rest_of_objective(X, None)
        theta = self.theta_ if theta is None else theta
        return np.concatenate([block.gradients(theta)[1] for block in self._blocks(X)])

    def _gradient_products(self, X: Floats, sample_weight: Doubles | None) -> Products:
        found = None
        if not self._is_exact:
            self._settle_rest_of_objective(X, sample_weight)
        for block in self._blocks(X, sample_weight):
            rho, rows = block.gradients(self.theta_)
            value = float(rho.sum() if block.weight is None else rho @ block.weight)
            more = products_of_rows(value, rows, block.weight)
            found = more if found is None else found + more
        assert found is not None
        return found

    # -- fitting -------------------------------------------------------------------------------------------------

    # While the same rows come again and again.
    _kept: _Kept | None = None

    def _moments_of(self, X: Floats, sample_weight: Doubles | None) -> _Moments:
        if not self._is_exact:
            self._settle_rest_of_objective(X, sample_weight)
        p = int(self.n_statistics)
        gamma, g = np.zeros((p, p), order="F"), np.zeros(p)
        for block in self._blocks(X, sample_weight):
            gamma, more = block.add_form(gamma)
            g += more
        lower = np.tril_indices(p, -1)
        gamma[lower] = gamma.T[lower]
        if not (np.isfinite(gamma).all() and np.isfinite(g).all()):
            raise ValueError("the statistics have derivatives so large that their squares overflow; rescale them")
        gamma *= self._power
        total = float(len(X)) if sample_weight is None else float(sample_weight.sum())
        kind = (self.n_statistics, self.statistic_jacobian, self.statistic_hessian_diagonal)
        return _Moments(kind, total, X.shape, gamma, g)

    def _sums(self, X: Floats, sample_weight: Doubles | None, earlier: Any) -> _Moments:
        return self._moments_of(X, sample_weight)

    def _form(self, X: Floats, sample_weight: Doubles | None) -> QuadraticForm:
        # Of any objective: rows make forms, whichever it is.
        moments: _Moments = self._sums_in_blocks(X, sample_weight, None)
        return moments.form

    _exact_form = _form

    def _estimate_by_objective(self, X: Floats, sample_weight: Doubles | None) -> None:
        self._estimate(self._sums_in_blocks(X, sample_weight, None))
        self.objective_ = self._loss(X, sample_weight)(self.theta_)[0]  # with what does not depend on θ

    def _estimate(self, sums: _Moments) -> None:
        form = sums.form
        theta = self._minimum(sums)
        self.objective_ = float(theta @ (form.gamma @ theta / 2 - form.g))
        self._set_theta(theta)

    def _minimum(self, moments: _Moments) -> Doubles:
        form, penalties = moments.form, self._penalties()
        ridged = QuadraticForm(form.gamma + self.ridge * np.eye(len(form.g)), form.g)
        if not penalties.any():
            eps = float(np.finfo(np.float64).eps)
            try:
                theta = solve(ridged, eps)
            except SingularError as error:
                n, d = moments.shape
                raise ValueError(
                    f"{n} rows of {d} columns do not tell the {self.n_statistics} statistics apart: {error}. Use more "
                    "rows, drop statistics that are constant or depend on others, or pass a positive ridge or alpha"
                ) from error
            self._check_accuracy(relative_error(ridged, eps))
            return theta
        try:
            minimum = minimise_penalised(ridged, penalties, tol=self.tol, max_iter=self.max_iter)
        except UnboundedError as error:
            largest = int(np.argmax(np.abs(error.direction)))
            raise ValueError(
                f"{error}: with alpha={self.alpha} it falls for ever in a direction that the data do not bound "
                f"(statistic {largest} has the largest part in it). Pass a larger alpha or a positive ridge, or use "
                "more rows"
            ) from error
        self.converged_, self.n_iter_ = minimum.converged, minimum.n_iter
        if not minimum.converged:
            warn(
                f"ExponentialFamily did not converge: after {minimum.n_iter} iterations the conditions of a minimum "
                f"are missed by {minimum.violation:.2g} of the largest entry of g (tol={self.tol:g}). Try a larger "
                "max_iter, or a positive ridge",
                ConvergenceWarning,
            )
        return minimum.theta

    def _check_accuracy(self, error: float) -> None:
        """An error or a warning where the statistics are so nearly dependent that rounding decides theta."""
        if error <= SMALL_ERROR:
            return
        message = (
            f"the statistics are nearly linearly dependent: rounding leaves a relative error of about {error:.1g} "
            "in theta. Centre and rescale the data or the statistics, drop those that depend on others, or pass a "
            "positive ridge or alpha"
        )
        if error > LARGE_ERROR:
            raise ValueError(message)
        warn(message)


@dataclass(frozen=True)
class _Block:
    """Some rows, their weights, and what the objective makes of the statistics there."""

    family: ExponentialFamily
    first: int
    rows: Doubles
    h: Doubles | None  # None: 1
    dh: Doubles | None
    weight: Doubles | None
    room: Doubles | None  # the distances to the boundary, where they matter

    def at(self, points: Doubles, argument: str) -> Doubles:
        """What one of the user's functions gives at the rows, or at points in their place."""
        return self.family._function(argument)(points, self.first)

    def _call(self, argument: str) -> Doubles:
        return self.at(self.rows, argument)

    def _weighted(self, values: Doubles) -> Doubles:
        """A row for each sample, times its weight."""
        return values if self.weight is None else values * self.weight[:, None]

    def evaluate(self, theta: Doubles, wanted: tuple[str, ...]) -> dict[str, Doubles]:
        """Results for each row, by name."""
        found: dict[str, Doubles] = {}
        if "log_density" in wanted:
            found["log_density"] = self.statistic() @ theta
        terms = {"norm_term", "hessian_term"} & set(wanted)
        if terms or "score" in wanted:
            found["score"] = np.einsum("npd,p->nd", self._call("statistic_jacobian"), theta)
        if terms or {"hessian_diagonal", "hessian_trace"} & set(wanted):
            found["hessian_diagonal"] = np.einsum("npd,p->nd", self._call("statistic_hessian_diagonal"), theta)
            found["hessian_trace"] = found["hessian_diagonal"].sum(axis=1)
        if terms:
            found["norm_term"], found["hessian_term"] = self._terms(found["score"], found["hessian_diagonal"])
        return {name: found[name] for name in wanted}

    def _terms(self, score: Doubles, second: Doubles) -> tuple[Doubles, Doubles]:
        if self.h is None or self.dh is None:
            return (score**2).sum(axis=1) / 2, second.sum(axis=1)
        return (self.h * score**2).sum(axis=1) / 2, (self.h * second + self.dh * score).sum(axis=1)

    def gradients(self, theta: Doubles) -> tuple[Doubles, Doubles]:
        """ρ of each row, without its weight, and the gradient of each by θ, (n_rows, p)."""
        if not self.family._is_exact:
            forms = self.family._row_forms(self)
            return forms.values(theta), forms.gradients(theta)
        second = self._call("statistic_hessian_diagonal")
        curvature = np.einsum("npd,p->nd", second, theta)
        by_second = second.sum(axis=2) if self.h is None else np.einsum("npd,nd->np", second, self.h)
        first = self._call("statistic_jacobian")
        score = np.einsum("npd,p->nd", first, theta)
        norm_term, hessian_term = self._terms(score, curvature)
        rho = self.family._power * norm_term + hessian_term
        return rho, np.einsum("npd,nd->np", first, self._cotangent(score)) + by_second

    def loss_and_gradient(self, theta: Doubles) -> tuple[float, Doubles]:
        """Sums over the rows."""
        if not self.family._is_exact:
            rho, rows = self.gradients(theta)
            weight = np.ones(len(rho)) if self.weight is None else self.weight
            return float(rho @ weight), weight @ rows
        # Each array is used up before the next call: functions may give the same one every time, filled anew.
        second = self._call("statistic_hessian_diagonal")
        curvature, second_sums = np.einsum("npd,p->nd", second, theta), self._second_sums(second)
        first = self._call("statistic_jacobian")
        score = np.einsum("npd,p->nd", first, theta)
        norm_term, hessian_term = self._terms(score, curvature)
        rho = self.family._power * norm_term + hessian_term
        value = float(rho.sum() if self.weight is None else rho @ self.weight)
        gradient = np.einsum("npd,nd->p", first, self._weighted(self._cotangent(score))) + second_sums
        return value, gradient

    def _cotangent(self, score: Doubles) -> Doubles:
        """The derivative of ρ by ψ."""
        raised = self.family._power * score
        return raised if self.h is None or self.dh is None else self.h * raised + self.dh

    def _second_sums(self, second: Doubles) -> Doubles:
        """Σ w h_j ∂²t/∂x_j²."""
        if self.h is None and self.weight is None:
            return np.asarray(second.sum(axis=(0, 2)))
        factor = self._weighted(np.ones_like(self.rows) if self.h is None else self.h)
        return np.asarray(np.einsum("npd,nd->p", second, factor))

    def statistic(self) -> Doubles:
        """The statistics of each row, (n, p)."""
        return self._kept_or("t", lambda: (self._call("statistic"),))[0]

    def add_form(self, gamma: Doubles) -> tuple[Doubles, Doubles]:
        """The upper triangle of Γ with that of the rows added, and their g; sums."""
        roots, linear = self._kept_or("form", self._forms)
        if self.weight is not None:
            roots = roots * np.sqrt(self.weight)[:, None, None]
        columns = roots.reshape(-1, roots.shape[2]).T  # (p, n·d), as BLAS has matrices
        g = linear.sum(axis=0) if self.weight is None else self.weight @ linear
        return cast(Doubles, dsyrk(1.0, columns, beta=1.0, c=gamma, overwrite_c=1)), g

    def _forms(self) -> tuple[Doubles, Doubles]:
        """Of each row √h D transposed, (n, d, p), of which Γ is the product with itself, and g, (n, p)."""
        if not self.family._is_exact:
            forms = self.family._row_forms(self)
            return forms.roots, forms.linear
        # The second derivatives are used up before the next call, which may fill the same array anew.
        second = self._call("statistic_hessian_diagonal")
        linear = -(second.sum(axis=2) if self.h is None else np.einsum("npd,nd->np", second, self.h))
        first = self._call("statistic_jacobian")
        if self.h is None or self.dh is None:
            return np.ascontiguousarray(first.transpose(0, 2, 1)), linear
        linear -= np.einsum("npd,nd->np", first, self.dh)
        return np.ascontiguousarray(first.transpose(0, 2, 1)) * np.sqrt(self.h)[:, :, None], linear

    def _kept_or(self, name: str, make: Callable[[], tuple[Doubles, ...]]) -> tuple[Doubles, ...]:
        kept = self.family._kept
        return make() if kept is None else kept.get((name, self.first), make)


class _Kept:
    """What was made of the user's functions, for when the rows come again; as much as there is room for."""

    def __init__(self) -> None:
        self.known: dict[tuple[str, int], tuple[Doubles, ...]] = {}
        self.room = MOST_KEPT_NUMBERS

    def get(self, key: tuple[str, int], make: Callable[[], tuple[Doubles, ...]]) -> tuple[Doubles, ...]:
        """What is known by this key, or else made."""
        if key in self.known:
            return self.known[key]
        made = make()
        size = sum(array.size for array in made)
        if size <= self.room:
            self.room -= size
            # A function may fill the same array at its next call.
            self.known[key] = made = tuple(array.copy() for array in made)
        return made


@dataclass(frozen=True)
class _Moments:
    """Sums over samples: Γ and g, times the sum of the weights."""

    kind: tuple[Any, ...]  # what they are moments of
    total: float
    shape: tuple[int, ...]  # of X
    gamma: Doubles
    g: Doubles

    @property
    def n_samples(self) -> int:
        """How many rows they are of."""
        return self.shape[0]

    @property
    def form(self) -> QuadraticForm:
        """Γ and g as means."""
        return QuadraticForm(np.ascontiguousarray(self.gamma) / self.total, self.g / self.total)

    def __add__(self, other: _Moments) -> _Moments:
        return replace(
            self,
            total=self.total + other.total,
            shape=(self.shape[0] + other.shape[0], self.shape[1]),
            gamma=self.gamma + other.gamma,
            g=self.g + other.g,
        )

    def times(self, factor: float) -> _Moments:
        """The same with all weights multiplied."""
        return replace(self, total=self.total * factor, gamma=self.gamma * factor, g=self.g * factor)

    def as_vector(self) -> Doubles:
        """All that adds up."""
        return joined(self.total, self.gamma, self.g)

    def with_vector(self, vector: Doubles, n_samples: int) -> _Moments:
        """Those of other rows, from their vector."""
        total, gamma, g = parted(vector, (), self.gamma.shape, self.g.shape)
        return replace(self, total=float(total), shape=(n_samples, *self.shape[1:]), gamma=gamma, g=g)
