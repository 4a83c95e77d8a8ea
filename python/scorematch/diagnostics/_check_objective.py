"""Is a model's objective what it should be? Comparisons with differences, formulas and closed forms."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scorematch._base import ScoreMatchingEstimator
from scorematch._estimating import natural_scales
from scorematch._field import field_values
from scorematch._objectives import RELATIVE_STEP, objective_of, random_vectors
from scorematch._validation import check_count, check_flag, check_real, check_sample_weight
from scorematch.diagnostics._curves import POINTS, SMALLER, STEP, Curves, best_slope
from scorematch.diagnostics._objective_comparisons import CheckedItem, ObjectiveCheck, compared, skipped
from scorematch.diagnostics._operator import in_doubles, settled

Doubles = NDArray[np.float64]

N_ROWS, TOLERANCE = 60, 1e-5
# Parameters whose derivatives are compared, and parameters of which a quadratic form is made, at most.
MOST_DERIVATIVES, MOST_DENSE = 150, 400
# Numbers in the Hessians of all rows, at most: 64 MiB.
MOST_NUMBERS = 2**23
# How often random vectors are drawn anew, and by how many standard errors their mean may be off.
N_DRAWS, MOST_ERRORS = 200, 5.0
# How far from the model's θ the objective is looked at, in units of what changes it by its own size: at a minimum a
# gradient is 0, and 0 is right whatever its factor.
AWAY = 0.03
# By how many times its own size it may grow on the way there: near a density that has collapsed it soon overflows.
MOST_GROWTH = 100.0
# How far a parameter may go, in units of its own size or 1.
MOST_SCALE = 1e8

SIGN = "The sign is reversed"
HALF = "A factor of two is wrong"
SCORE_RATIOS = (
    (-1.0, f"{SIGN}: ψ = ∇ₓ log p, not ∇ₓ of the energy −log p."),
    (2.0, f"{HALF}: ψ = ∇ₓ log p, without another factor."),
    (0.5, f"{HALF}: is a ½ in log p that its derivative takes away?"),
)
TRACE_RATIOS = (
    (-1.0, f"{SIGN}: it is tr ∇ψ, negative near a mode."),
    (2.0, f"{HALF}: it is the sum of ∂ψ_j/∂x_j."),
    (0.5, f"{HALF}: it is the sum of ∂ψ_j/∂x_j."),
)


def check_objective(
    model: ScoreMatchingEstimator,
    X: ArrayLike,
    sample_weight: ArrayLike | None = None,
    *,
    n_rows: int = N_ROWS,
    tol: float = TOLERANCE,
    random_state: int = 0,
    verbose: bool = True,
) -> ObjectiveCheck:
    r"""Check a model's score function, Hessian trace, objective and gradient, and say what is wrong.

    For families of your own, be it an :class:`ExponentialFamily` with your functions or a subclass of the library's
    base class: signs and factors are where mistakes are made. Compared are

    * the score function with differences of the log density, and whether it is a gradient at all;
    * the diagonal and the trace of the Hessian with differences of the score function;
    * the terms of the objective, and their sum, with :math:`\tfrac12\psi^\top A\psi` and
      :math:`\operatorname{tr}(A\nabla\psi) + b^\top\psi` made of these and the weight of the domain; and the
      weight with its derivative;
    * the objective with the mean of that, its gradient with differences of the objective, and the gradients of rows
      with the gradient;
    * the objective with what is known of it: the quadratic form of families that have one, and :math:`-\tfrac12
      \operatorname{tr} P` for a Gaussian at its maximum likelihood estimate;
    * an `objective` that is not exact, on average over random vectors, with the exact one within its standard error
      (for "denoising" with the exact one at the noisy rows, and without variance reduction :math:`d/2\sigma^2` more).

    Parameters
    ----------
    model : fitted model
        A fitted model of any family, or one made by ``from_params``.
    X : array_like of shape (n_samples, n_features)
        Points at which to look, such as the data.
    sample_weight : array_like of shape (n_samples,), optional
        Weights of the rows in the objective.
    n_rows : int, default=60
        How many rows of `X` to look at, evenly spread over all; fewer where there are more than some hundred columns.
    tol : float, default=1e-5
        By how much two numbers may differ, as a part of the size of what is expected, beside the error of differences.
    random_state : int, default=0
        Seed of the θ away from the model's at which the gradient is looked at, and of fresh random vectors.
    verbose : bool, default=True
        Whether to print the table and the verdict.

    Returns
    -------
    ObjectiveCheck
        ``ok``, ``checks`` and ``verdict``; prints as a table.

    Notes
    -----
    Differences are of five points at three steps, of which those that agree best are taken, and points stay inside the
    domain. Where differences have an error of more than 1 % nothing is concluded from them. All is worked out in
    float64.

    References
    ----------
    Hyvärinen (2005), "Estimation of non-normalized statistical models by score matching", JMLR 6, equation 4.

    Examples
    --------
    A Gaussian whose author took the gradient of the energy for that of log p:

    >>> import numpy as np
    >>> import scorematch
    >>> wrong = scorematch.ExponentialFamily.from_params(
    ...     statistic=lambda x: -x**2 / 2, statistic_jacobian=lambda x: x[:, :, None],
    ...     statistic_hessian_diagonal=lambda x: -np.ones((len(x), 1, 1)), n_statistics=1, theta=[1.0],
    ... )
    >>> check = scorematch.check_objective(wrong, np.random.default_rng(0).normal(size=(100, 1)), verbose=False)
    >>> check.ok
    False
    >>> print(check.checks[0].diagnosis)
    The sign is reversed: the statistics' derivatives are those of −t.
    """
    if not isinstance(model, ScoreMatchingEstimator):
        raise TypeError(f"model must be a fitted model of scorematch; got {model!r}")
    check_count("n_rows", n_rows)
    check_real("tol", tol, lowest=0.0)
    check_flag("verbose", verbose)
    model._check_is_fitted()
    rows = model._check_samples(X)
    weight = check_sample_weight(sample_weight, len(rows))
    most = max(1, min(n_rows, len(rows), MOST_NUMBERS // rows.shape[1] ** 2))
    numbers = np.unique(np.linspace(0, len(rows) - 1, most).astype(int))
    if weight is not None:
        numbers = numbers[weight[numbers] > 0]
    own = settled(model, rows)
    # What is asked has no names of columns.
    own.__dict__.pop("feature_names_in_", None)
    if not own._is_exact:
        own._settle_rest_of_objective(rows, weight)
    spread = _spread(rows.astype(np.float64))
    points = in_doubles(own, rows[numbers])
    look = _Look(own, points, numbers, None if weight is None else weight[numbers], spread, float(tol), random_state)
    with warnings.catch_warnings():  # parameters away from the estimate need not make a density
        warnings.simplefilter("ignore")
        checks = tuple(look.all())
    found = ObjectiveCheck(checks, type(model).__name__, len(points), objective_of(own).name)
    if verbose:
        print(found)
    return found


def _spread(rows: Doubles) -> Doubles:
    spread, size = rows.std(axis=0), np.abs(rows).max(axis=0)
    return np.asarray(np.where(spread > 1e-12 * size, spread, np.where(size > 0, size, 1.0)))


@dataclass(frozen=True)
class _Look:
    """A model at some rows."""

    model: Any
    points: Doubles
    numbers: NDArray[np.intp]  # of the rows in X
    weight: Doubles | None
    spread: Doubles
    tol: float
    seed: int

    def all(self) -> Iterator[CheckedItem]:
        """Causes first."""
        if hasattr(self.model, "statistic_jacobian"):
            yield from self.statistics()
        yield from self.score_function()
        yield from self.curvature()
        yield from self.terms()
        yield from self.objective()
        yield from self.closed_forms()
        if not self.model._is_exact:
            yield self.over_random_vectors()

    # -- what the model says ---------------------------------------------------------------------------------------

    @cached_property
    def curves(self) -> Curves:
        return Curves.through(self.points, self.spread, self.model._domain(), self.model._on_sphere)

    @cached_property
    def score(self) -> Doubles:
        return np.asarray(self.model.score_function(self.points), dtype=np.float64)

    @cached_property
    def along(self) -> Doubles:
        """The score function along the curves, (n, K)."""
        return np.asarray(np.einsum("knd,nd->nk", self.curves.directions, self.score))

    @property
    def natural_curvature(self) -> float:
        """What second derivatives are like where the score function changes over the spread of the data."""
        return float(np.abs(self.score).max()) / float(1.0 if self.model._on_sphere else self.spread.min())

    @cached_property
    def hessian(self) -> tuple[Doubles, Doubles]:
        """∇ψ by differences, (n, d, d), and its errors; on the sphere the second derivatives along great circles."""
        if self.model._on_sphere:
            return self.curves.slopes(lambda x, v: (self.model.score_function(x) * v).sum(axis=1))
        return self.curves.slopes(lambda x, _: np.asarray(self.model.score_function(x), dtype=np.float64))

    @cached_property
    def second(self) -> tuple[Doubles, Doubles]:
        """The second derivatives along the curves by differences, (n, K), and their errors."""
        values, errors = self.hessian
        if self.model._on_sphere:
            return values, errors
        return np.diagonal(values, axis1=1, axis2=2), np.diagonal(errors, axis1=1, axis2=2)

    @cached_property
    def field(self) -> tuple[Doubles, Doubles]:
        """The diagonal of A, and b, (n, d) each; on the sphere A is that of tangents."""
        n, d = self.points.shape
        if not self.model._has_boundary:
            return np.ones((n, d)), np.zeros((n, d))
        a, b = field_values(self.model._domain(), self.model.weight_, self.points)
        return np.broadcast_to(a, (n, d)), b

    def mean(self, values: Doubles) -> float:
        """Over the rows, by their weights."""
        return float(np.average(values, weights=self.weight))

    def place(self, *axes: str) -> Callable[[tuple[int, ...]], str]:
        """Words for a position: the row by its number in X, then the axes."""

        def words(position: tuple[int, ...]) -> str:
            parts = [f"row {self.numbers[position[0]]}"]
            return ", ".join([*parts, *(f"{axis} {i}" for axis, i in zip(axes, position[1:], strict=True))])

        return words

    # -- the comparisons ---------------------------------------------------------------------------------------------

    def statistics(self) -> Iterator[CheckedItem]:
        """The user's functions of an exponential family, one by one."""
        first = self.called("statistic_jacobian")
        place = self.place("statistic", "column")
        size = self.sizes_of_statistics(first)
        ratios = (
            (-1.0, f"{SIGN}: the statistics' derivatives are those of −t."),
            (2.0, f"{HALF} in the derivatives of the statistics."),
            (0.5, f"{HALF} in the derivatives of the statistics."),
        )
        square = first.shape[1] == first.shape[2]
        text = "Statistics and columns are transposed: entry [row, k, j] is ∂t_k/∂x_j."
        name = "statistic_jacobian"
        if self.model._has_log_density():
            found, errors = self.curves.slopes(lambda x, _: self.called("statistic", x))
            want, errors = found.transpose(0, 2, 1), errors.transpose(0, 2, 1)
            instead = [(want.transpose(0, 2, 1), text)] if square else []
            options: dict[str, Any] = {"tol": self.tol, "places": place, "size": size, "ratios": ratios}
            yield compared(name, first, want, errors=errors, instead=instead, **options)
        else:
            yield skipped(name, "the model has no statistic to take differences of")
        values, errors = self.curves.slopes(lambda x, _: self.called("statistic_jacobian", x))
        want = np.einsum("njkj->nkj", values)
        yield compared(
            "statistic_hessian_diagonal",
            self.called("statistic_hessian_diagonal"),
            want,
            errors=np.einsum("njkj->nkj", errors),
            tol=self.tol,
            places=place,
            size=self.sizes_of_statistics(want),
            ratios=ratios,
            instead=[(want.transpose(0, 2, 1), text)] if square else [],
            otherwise="It is not the derivative of statistic_jacobian: one of the two is wrong.",
        )

    def called(self, argument: str, points: Doubles | None = None) -> Doubles:
        """What one of the user's functions gives."""
        found = self.model._function(argument)(self.points if points is None else points, 0)
        return np.array(found)  # it may fill the same array anew at the next call

    def sizes_of_statistics(self, values: Doubles) -> Doubles:
        """Of each statistic by itself: they may differ by many powers of ten."""
        sizes = np.maximum(np.abs(values).max(axis=(0, 2)), 1e-8 * np.abs(values).max())
        return np.asarray(sizes[:, None])

    def score_function(self) -> Iterator[CheckedItem]:
        """With differences of the log density; and whether it is a gradient."""
        name = "score function"
        place = self.place("tangent" if self.model._on_sphere else "column")
        if self.model._has_log_density():
            want, errors = self.curves.slopes(
                lambda x, _: np.asarray(self.model.unnormalized_log_density(x), dtype=np.float64)
            )
            yield compared(
                name,
                self.along,
                want,
                errors=errors,
                tol=self.tol,
                places=place,
                size=_row_sizes(want),
                ratios=SCORE_RATIOS,
                otherwise="It is not the gradient of unnormalized_log_density: one of the two is wrong.",
            )
        else:
            yield skipped(name, "the model has no log density to take differences of")
        if self.model._on_sphere:
            yield compared(
                "score function is tangential",
                (self.score * self.points).sum(axis=1) + np.linalg.norm(self.score, axis=1),
                np.linalg.norm(self.score, axis=1),
                tol=self.tol,
                places=self.place(),
                otherwise="The score function on the sphere is (I − xxᵀ)∇ₓ log p.",
            )
            return
        values, errors = self.hessian
        d = values.shape[1]
        if d > 1:
            i, j = np.triu_indices(d, 1)
            yield compared(
                "score function is a gradient",
                values[:, i, j],
                values[:, j, i],
                errors=errors[:, i, j] + errors[:, j, i],
                tol=self.tol,
                size=np.abs(values).max(axis=(1, 2), keepdims=True)[:, :, 0],
                natural=self.natural_curvature,
                places=lambda at: f"row {self.numbers[at[0]]}, columns {i[at[1]]} and {j[at[1]]}",
                otherwise="∂ψ_i/∂x_j and ∂ψ_j/∂x_i differ, so that ψ is the gradient of nothing. Is a Jacobian or a "
                "matrix transposed, or not symmetric?",
            )

    def curvature(self) -> Iterator[CheckedItem]:
        """The Hessian with differences of the score function."""
        want, errors = self.second
        if not self.model._on_sphere:
            yield compared(
                "hessian diagonal",
                self.model.hessian_diagonal(self.points),
                want,
                errors=errors,
                tol=self.tol,
                places=self.place("column"),
                size=_row_sizes(want),
                natural=self.natural_curvature,
                ratios=TRACE_RATIOS,
                otherwise="It is not the derivative of the score function: one of the two is wrong.",
            )
        trace = want.sum(axis=1)
        d = want.shape[1]
        ratios = (*TRACE_RATIOS, (1 / d, "It is a mean over the columns, and should be their sum."))
        yield compared(
            "hessian trace",
            self.model.hessian_trace(self.points),
            trace,
            errors=errors.sum(axis=1),
            tol=self.tol,
            places=self.place(),
            size=np.abs(want).sum(axis=1),
            natural=d * self.natural_curvature,
            ratios=ratios if d > 1 else TRACE_RATIOS,
            otherwise="It is not the sum of the second derivatives of log p.",
        )

    def terms(self) -> Iterator[CheckedItem]:
        """With the formula, from score function and Hessian as the model gives them; and the weight."""
        (a, b), s = self.field, self.score
        on_sphere = self.model._on_sphere
        if on_sphere:
            curvature = np.asarray(self.model.hessian_trace(self.points), dtype=np.float64)
            unweighted = curvature
        else:
            diagonal = np.asarray(self.model.hessian_diagonal(self.points), dtype=np.float64)
            curvature, unweighted = (a * diagonal).sum(axis=1), diagonal.sum(axis=1)
        norm, through = (a * s**2).sum(axis=1) / 2, (b * s).sum(axis=1)
        hessian = curvature + through
        found_norm, found_hessian = (np.asarray(term) for term in self.model.score_matching_terms(self.points))
        weighted = self.model._has_boundary
        place = self.place()
        missing = "The weight of the domain is missing."
        yield compared(
            "norm term",
            found_norm,
            norm,
            tol=self.tol,
            places=place,
            ratios=((2.0, f"{HALF}: the norm term is ½‖ψ‖²."), (0.5, f"{HALF}: the norm term is ½‖ψ‖², once.")),
            instead=[((s**2).sum(axis=1) / 2, missing), ((s**2).sum(axis=1), missing)] if weighted else [],
        )
        no_slope = "The derivative of the weight, bᵀψ, is missing."
        yield compared(
            "hessian term",
            found_hessian,
            hessian,
            tol=self.tol,
            size=np.abs(curvature) + np.abs(through),
            places=place,
            ratios=TRACE_RATIOS,
            instead=[
                (through, "The Laplacian has been forgotten."),
                (curvature, no_slope),
                (unweighted, missing),
                (curvature - through, f"{SIGN} in bᵀψ: b is the derivative of the weight, positive going inward."),
            ]
            if weighted
            else [],
        )
        yield compared(
            "hyvarinen score",
            self.model.hyvarinen_score(self.points),
            norm + hessian,
            tol=self.tol,
            size=norm + np.abs(hessian),
            places=place,
            ratios=((-1.0, f"{SIGN}: it is minimised."), (2.0, f"{HALF}."), (0.5, f"{HALF}.")),
            instead=_mistakes(norm, hessian),
        )
        if weighted:
            yield self.weight_and_slope()

    def weight_and_slope(self) -> CheckedItem:
        """The vector b with differences of a: of a_j along x_j."""
        domain, weight = self.model._domain(), self.model.weight_

        def values(x: Doubles, _: Doubles) -> Doubles:
            return np.broadcast_to(field_values(domain, weight, x)[0], x.shape)

        slopes, errors = self.curves.slopes(values)
        return compared(
            "derivative of the weight",
            self.field[1],
            np.diagonal(slopes, axis1=1, axis2=2),
            errors=np.diagonal(errors, axis1=1, axis2=2),
            tol=self.tol,
            natural=float(self.field[0].max()) / float(self.spread.min()),
            places=self.place("column"),
            ratios=((-1.0, f"{SIGN}: it is the derivative along x_j."), (2.0, f"{HALF}."), (0.5, f"{HALF}.")),
            otherwise="The second function of the weight is not the derivative of the first.",
        )

    # -- the objective -----------------------------------------------------------------------------------------------

    def loss(self, theta: Doubles, model: Any = None) -> tuple[float, Doubles]:
        """J and its gradient."""
        value, slope = (self.model if model is None else model).loss_and_grad(theta, self.points, self.weight)
        return float(value), np.asarray(slope, dtype=np.float64)

    @cached_property
    def size(self) -> float:
        """That of the objective: its norm term."""
        return self.mean((self.field[0] * self.score**2).sum(axis=1) / 2)

    def rounding(self, step: float) -> float:
        """What rounding makes of the second differences of the log density."""
        size = float(np.abs(np.asarray(self.model.unnormalized_log_density(self.points))).max())
        return 16 * float(np.finfo(float).eps) * size / step**2

    @cached_property
    def scales(self) -> Doubles:
        """By how much each parameter must change for the objective to change by its own size."""
        theta = self.model.theta_
        try:
            squares = (self.model.loss_gradients(self.points) ** 2).mean(axis=0)
        except AttributeError:  # a family that cannot say of its precision
            squares = np.zeros(len(theta))
        scales = natural_scales(theta, self.size, squares)
        sound = np.isfinite(scales) & (scales > 0)
        own = np.maximum(np.abs(theta), 1.0)
        # The slope by a parameter that hardly enters is rounding.
        return np.asarray(np.where(sound, np.minimum(scales, MOST_SCALE * own), own))

    @cached_property
    def theta(self) -> Doubles:
        """A θ a little away from that of the model, which may be a minimum."""
        step = AWAY * self.scales * np.random.default_rng(self.seed).standard_normal(len(self.scales))
        most = MOST_GROWTH * (self.size + abs(self.loss(self.model.theta_)[0]))
        for factor in (1.0, 0.1, 0.01):
            theta = np.asarray(self.model.theta_ + factor * step)
            value, slope = self.loss(theta)
            if abs(value) <= most and np.isfinite(slope).all():
                return theta
        return np.asarray(self.model.theta_)

    def objective(self) -> Iterator[CheckedItem]:
        """Its value with the mean of the rows, its gradient with differences."""
        n = len(self.points)
        as_sum = (float(n), "It is a sum over the rows, and should be their mean.")
        if self.model._is_exact:
            norm, hessian = (self.mean(np.asarray(term)) for term in self.model.score_matching_terms(self.points))
            yield compared(
                "objective",
                self.loss(self.model.theta_)[0],
                norm + hessian,
                tol=self.tol,
                size=norm + abs(hessian),
                ratios=((-1.0, f"{SIGN}: the objective is minimised."), (2.0, f"{HALF}."), (0.5, f"{HALF}."), as_sum),
                instead=_mistakes(np.asarray(norm), np.asarray(hessian)),
            )
        slope = self.loss(self.theta)[1]
        chosen = np.arange(len(slope))
        if len(chosen) > MOST_DERIVATIVES:
            chosen = np.sort(np.random.default_rng(self.seed).choice(chosen, MOST_DERIVATIVES, replace=False))
        want, errors = np.transpose([self.slope(k) for k in chosen.tolist()])
        names = self.model.theta_names_
        scales = self.scales[chosen]
        ratios = ((-1.0, f"{SIGN}."), (2.0, f"{HALF}."), (0.5, f"{HALF}."), as_sum)
        options: dict[str, Any] = {"tol": self.tol, "places": lambda at: names[chosen[at[0]]]}
        # In units of the parameters: the largest entry says nothing of the others, on other scales.
        size = np.abs(want * scales).max(initial=0.0) / scales
        yield compared("gradient", slope[chosen], want, errors=errors, size=size, ratios=ratios, **options)
        if hasattr(self.model, "loss_gradients"):
            rows = np.asarray(self.model.loss_gradients(self.points, self.theta))
            of_rows = np.average(rows, axis=0, weights=self.weight)
            size = np.abs(slope * self.scales).max(initial=0.0) / self.scales
            by_differences = objective_of(self.model).name == "finite_difference"
            errors = (self.rounding(self.model.difference_step_) if by_differences else 0.0) / self.scales
            options = {"tol": self.tol, "places": lambda at: names[at[0]]}
            yield compared("gradients of rows", of_rows, slope, errors=errors, size=size, ratios=ratios, **options)

    def slope(self, k: int) -> tuple[float, float]:
        """The derivative of the objective by θ_k, by differences, and its error."""
        steps = [factor * STEP * self.scales[k] for factor in SMALLER]
        values = np.empty((len(steps), len(POINTS)))
        for row, step in enumerate(steps):
            for column, (place, _) in enumerate(POINTS):
                moved = self.theta.copy()
                moved[k] += place * step
                values[row, column] = self.loss(moved)[0]
        slope, error = best_slope(values, steps)
        return float(slope), float(error)

    def closed_forms(self) -> Iterator[CheckedItem]:
        """The objective with what is known of it."""
        theta, n_params = self.theta, len(self.theta)
        if hasattr(self.model, "quadratic_form") and n_params <= MOST_DENSE:
            form = self.model.quadratic_form(self.points, self.weight)
            if hasattr(form, "assembled"):
                form = form.assembled(bool(self.model.fit_linear))
            constant = self.loss(np.zeros(n_params))[0]
            product = form.gamma @ theta
            size = np.abs(theta) @ np.abs(form.gamma) @ np.abs(theta) / 2 + np.abs(form.g) @ np.abs(theta)
            yield compared(
                "quadratic form",
                [theta @ (product / 2 - form.g), *(product - form.g)],
                [self.loss(theta)[0] - constant, *self.loss(theta)[1]],
                tol=min(self.tol, 1e-8),
                size=[size, *(np.abs(form.gamma) @ np.abs(theta) + np.abs(form.g))],
                places=lambda at: (
                    "the value" if at[0] == 0 else f"the derivative by {self.model.theta_names_[at[0] - 1]}"
                ),
                ratios=((-1.0, f"{SIGN}."), (2.0, f"{HALF}: J = ½ θᵀΓθ − gᵀθ."), (0.5, f"{HALF}: J = ½ θᵀΓθ − gᵀθ.")),
            )
        if type(self.model).__name__ == "Gaussian" and self.model._is_exact and not self.model._has_boundary:
            n, d = self.points.shape
            if n > d + 1:
                yield self.gaussian()

    def gaussian(self) -> CheckedItem:
        """At the maximum likelihood estimate the objective is −½ tr P."""
        estimate = type(self.model)(self.model.covariance_type).fit(self.points, sample_weight=self.weight)
        covariance = np.cov(self.points.T, bias=True, aweights=self.weight).reshape(2 * (self.points.shape[1],))
        variances = np.diagonal(covariance)
        traces = {
            "full": float(np.trace(np.linalg.pinv(covariance))),
            "diag": float((1 / variances).sum()),
            "spherical": len(variances) / float(variances.mean()),
        }
        want = -traces[self.model.covariance_type] / 2
        found = self.loss(estimate.theta_)[0]
        return compared("objective at the maximum likelihood estimate", found, want, tol=self.tol)

    # -- objectives that are not exact ---------------------------------------------------------------------------------

    def over_random_vectors(self) -> CheckedItem:
        """Their mean over fresh random vectors with the exact objective."""
        name = objective_of(self.model).name
        if name == "finite_difference" and not np.abs(self.second[0]).max() * self.difference**2 <= 1:
            return skipped(f"{name} objective on average", "the density changes altogether within the smallest step")
        exact = copy.copy(self.model)
        exact.objective = "exact"
        draws = {"sliced": self.sliced, "denoising": self.denoising, "finite_difference": self.finite_difference}
        want, found, errors = draws[name](exact)
        error = float(found.std(ddof=1) / np.sqrt(len(found)))
        return compared(
            f"{name} objective on average",
            float(found.mean()),
            want,
            errors=(MOST_ERRORS * error + errors) / 10,
            tol=self.tol,
            size=abs(want) + error,
            rough=np.inf,
            ratios=((-1.0, f"{SIGN}."), (2.0, f"{HALF}."), (0.5, f"{HALF}.")),
            otherwise=f"It is off by {abs(found.mean() - want) / max(error, 1e-300):.3g} of its standard errors.",
        )

    def drawn(self, step: float | None = None) -> Iterator[Any]:
        """The model with other random vectors."""
        for number in range(N_DRAWS):
            other = copy.copy(self.model)
            other.noise_seed_ = self.seed + number
            if step is not None:
                other.difference_step_ = step
            yield other

    def sliced(self, exact: Any) -> tuple[float, Doubles, float]:
        """The exact objective, those of fresh vectors, and how far off their mean may be beside chance."""
        found = np.array([self.loss(self.theta, other)[0] for other in self.drawn()])
        return self.loss(self.theta, exact)[0], found, 0.0

    def denoising(self, exact: Any) -> tuple[float, Doubles, float]:
        """The same with the exact objective at the noisy rows, subtracted draw by draw, which leaves less to chance."""
        objective = objective_of(self.model)
        scales = np.asarray(objective.noise_scales)
        share = scales**2 / np.sum(scales**2)
        n, d = self.points.shape
        want = sum(share / scales**2) * d / 2 if not objective.variance_reduction else 0.0
        at_noisy, found = [], []
        for other in self.drawn():
            z = random_vectors(objective, other.noise_seed_, n, d).reshape(n, len(scales), -1, d)
            value = 0.0
            for level, sigma in enumerate(scales):
                for m in range(z.shape[2]):
                    noisy = self.points + sigma * z[:, level, m]
                    value += share[level] / z.shape[2] * exact.loss_and_grad(self.theta, noisy, self.weight)[0]
            at_noisy.append(value)
            found.append(self.loss(self.theta, other)[0] - value)
        middle = float(np.mean(at_noisy))
        return middle + want, np.array(found) + middle, 0.0

    @property
    def difference(self) -> float:
        """A small step of differences of the log density."""
        return 0.2 * RELATIVE_STEP * float(self.spread.min())

    def finite_difference(self, exact: Any) -> tuple[float, Doubles, float]:
        """The same, from two steps extrapolated to 0."""
        step = self.difference
        coarse, fine = (
            np.array([self.loss(self.theta, other)[0] for other in self.drawn(h)]) for h in (step, step / 2)
        )
        found = (4 * fine - coarse) / 3
        # With what the extrapolation may leave.
        error = self.rounding(step) + 0.1 * abs(float(np.mean(fine - coarse)))
        return self.loss(self.theta, exact)[0], found, error


def _mistakes(norm: Doubles, hessian: Doubles) -> list[tuple[Doubles, str]]:
    """What the sum of the terms is when it is not what it should be."""
    return [
        (norm, "The Hessian term has been forgotten."),
        (norm - hessian, f"{SIGN} in the Hessian term: the objective is ½‖ψ‖² + tr ∇ψ."),
        (2 * norm + hessian, f"{HALF}: the norm term is ½‖ψ‖²."),
        (norm / 2 + hessian, f"{HALF}: the norm term is ½‖ψ‖²."),
        (norm + 2 * hessian, f"{HALF} in the Hessian term: the objective is ½‖ψ‖² + tr ∇ψ."),
        (norm + hessian / 2, f"{HALF} in the Hessian term: the objective is ½‖ψ‖² + tr ∇ψ."),
        (hessian, "The norm term has been forgotten."),
    ]


def _row_sizes(values: Doubles) -> Doubles:
    """The size of each row's entries, that of the usual row where they happen to be small, (n, 1)."""
    own = np.abs(values).max(axis=1, keepdims=True)
    return np.asarray(np.maximum(own, np.median(own)))
