"""The Stein identity, field by field: which column departs from the model, and where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import fdtrc, ndtr

from scorematch._base import ScoreMatchingEstimator
from scorematch._differences import jacobian
from scorematch._estimating import blocks_of_rows
from scorematch._objectives import rows_from
from scorematch._sandwich import Sandwich
from scorematch._validation import Floats
from scorematch.diagnostics._operator import SteinOperator, column_names, in_doubles, settled
from scorematch.diagnostics._vector_fields import CoordinateFunctions, VectorFields

Doubles = NDArray[np.float64]

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
# Rows from which the derivative of the means by θ is taken: it need not be known to more than some percent. Fewer of
# them, down to the first number, where their product with the number of parameters is above the last.
LEAST_ROWS, MOST_ROWS, SLOPE_NUMBERS = 1000, 5000, 1_000_000
MOST_PARAMS = 2000
# Below this share of the variance that it would have at a known θ, a mean is 0 by the equations of the fit.
SET_BY_FIT = 1e-9
# Eigenvalues of the correlation of the means that count, as a share of the largest. Those of what fields nearly share
# are smaller, and their estimates so skewed that the overall test would reject too often (12 % at a level of 5 % for
# 500 rows; 6 % without them).
SMALLEST_EIGENVALUE = 0.03
# Rows for each field that the overall test needs.
ROWS_PER_FIELD = 10
SIGNIFICANT = 0.05


@dataclass(frozen=True, eq=False)
class SteinCheck:
    r"""Result of :func:`stein_check`: a row for each test field.

    Parameters
    ----------
    columns : tuple of str
        The column in whose direction the field points.
    fields : tuple of str
        The field: "step at 1.2" is tanh, "bump at 0.3 (25%)" a Gaussian bump at that quantile.
    means : ndarray of shape (n_fields,)
        The mean of :math:`\operatorname{tr}(A\nabla f) + (A\psi + b)^\top f` over the rows: 0 but for chance where
        the model is right. Positive where the log density of the model rises more, or falls less, than that of the
        data.
    standard_errors : ndarray of shape (n_fields,)
        Of the means; 0 where the fit makes a mean 0 by itself.
    z : ndarray of shape (n_fields,)
        Means over standard errors.
    p_values, adjusted_p_values : ndarray of shape (n_fields,)
        Two-sided, of each field alone and adjusted for their number (Holm).
    covariance : ndarray of shape (n_fields, n_fields)
        Of the means.
    statistic : float
        The Wald statistic of all means together.
    df : int
        How many directions of the means it takes account of.
    p_value : float
        Of the hypothesis that the model is right, by an F distribution with `df` and n − `df` degrees of freedom.
    n_samples : int
        Number of rows.
    estimated : bool
        Whether errors take account of the estimation of θ from the same rows.

    Examples
    --------
    >>> import numpy as np
    >>> import scorematch
    >>> X = np.random.default_rng(0).normal(size=(1000, 1))
    >>> check = scorematch.stein_check(scorematch.Gaussian().fit(X))
    >>> len(check.means), check.estimated, check.fits
    (6, True, True)
    """

    columns: tuple[str, ...]
    fields: tuple[str, ...]
    means: Doubles = field(repr=False)
    standard_errors: Doubles = field(repr=False)
    z: Doubles = field(repr=False)
    p_values: Doubles = field(repr=False)
    adjusted_p_values: Doubles = field(repr=False)
    covariance: Doubles = field(repr=False)
    statistic: float
    df: int
    p_value: float
    n_samples: int
    estimated: bool

    @property
    def fits(self) -> bool:
        """Whether neither the overall test nor any field speaks against the model at 5 %."""
        return min(self.p_value, float(self.adjusted_p_values.min())) > SIGNIFICANT

    @property
    def verdict(self) -> str:
        """What follows, in words."""
        found = np.flatnonzero(self.adjusted_p_values <= SIGNIFICANT)
        overall = f"overall p = {self.p_value:.3g}"
        if not len(found):
            smallest = f"the smallest adjusted p of {len(self.means)} fields is {self.adjusted_p_values.min():.3g}"
            if self.fits:
                return f"Nothing speaks against the model: {smallest}, {overall}."
            return f"The model does not fit, though no single field tells where: {smallest}, {overall}."
        worst = found[np.argmax(np.abs(self.z[found]))]
        way = "more" if self.means[worst] > 0 else "less"
        return (
            f"The model does not fit: {len(found)} of {len(self.means)} fields differ from 0 ({overall}), most of all "
            f"column {self.columns[worst]}, {self.fields[worst]} (z = {self.z[worst]:.3g}, adjusted p = "
            f"{self.adjusted_p_values[worst]:.3g}): there the model's log density rises {way} than that of the data."
        )

    def to_frame(self) -> Any:
        """Give the table as a pandas frame, a row for each field.

        Returns
        -------
        pandas.DataFrame
            Columns ``column``, ``field``, ``mean``, ``standard_error``, ``z``, ``p_value``, ``adjusted_p_value``.
        """
        import pandas as pd

        return pd.DataFrame(
            {
                "column": self.columns,
                "field": self.fields,
                "mean": self.means,
                "standard_error": self.standard_errors,
                "z": self.z,
                "p_value": self.p_values,
                "adjusted_p_value": self.adjusted_p_values,
            }
        )

    def __str__(self) -> str:
        widths = [max(map(len, ("column", *self.columns))), max(map(len, ("field", *self.fields)))]
        head = (
            f"{'column':<{widths[0]}}  {'field':<{widths[1]}}  {'mean':>10}  {'std. error':>10}  {'z':>7}  adjusted p"
        )
        rows = (
            f"{column:<{widths[0]}}  {name:<{widths[1]}}  {mean:>10.4g}  {error:>10.4g}  {z:>7.2f}  {p:>10.4g}"
            for column, name, mean, error, z, p in zip(
                self.columns,
                self.fields,
                self.means,
                self.standard_errors,
                self.z,
                self.adjusted_p_values,
                strict=True,
            )
        )
        known = "errors take account of the estimated θ" if self.estimated else "θ taken for known"
        return "\n".join([f"Stein check, {self.n_samples} rows, {known}", head, *rows, self.verdict])


def stein_check(
    model: ScoreMatchingEstimator,
    X: ArrayLike | None = None,
    *,
    quantiles: Sequence[float] = QUANTILES,
    pairs: bool = False,
    estimated: bool | None = None,
    sample_weight: ArrayLike | None = None,
) -> SteinCheck:
    r"""Check by the Stein identity where a model departs from data.

    If the rows follow the model, :math:`\mathrm{E}[\operatorname{tr}(A\nabla f) + (A\psi + b)^\top f] = 0` for every
    smooth vector field f, with the score function :math:`\psi` and the weights of the objective: A = I and b = 0 on all
    of space, :math:`A = I - xx^\top` on the sphere, weights that are 0 on the boundary elsewhere. The fields are
    bounded functions of one column in its direction: a step tanh at the median, and Gaussian bumps (half a standard
    deviation wide) at some quantiles. The equations of a fit set none of them to 0 by themselves, as they do for f = x.
    What the mean of a field estimates is :math:`\mathrm{E}[f^\top A(\psi - \psi_{\text{data}})]`: by how much the slope
    of the model's log density exceeds that of the data, where f is not 0.

    Parameters
    ----------
    model : fitted model
        Any family, or a model made by ``from_params``.
    X : array_like of shape (n_samples, n_features), optional
        The data; those of the fit where None.
    quantiles : sequence of float, default=(0.05, 0.25, 0.5, 0.75, 0.95)
        Where each column has its bumps, between 0 and 1.
    pairs : bool, default=False
        Whether to add the step of each column in the direction of each other one: fields that see dependence which
        the model lacks.
    estimated : bool, optional
        Whether θ was estimated from these rows. Then the means are closer to 0 than at a known θ, and their errors take
        account of it: to what a row adds to a mean comes what it adds through θ, the derivative of the mean by θ times
        the influence of the row. Where None, it is found out whether X are the data of the fit.
    sample_weight : array_like of shape (n_samples,), optional
        Weights of the rows of `X`.

    Returns
    -------
    SteinCheck
        Means, standard errors, z and p values by field, an overall test, and a verdict in words; prints as a table.

    Raises
    ------
    ValueError
        Where X does not suit the model, a column is constant, or ``estimated=True`` and the model has too many
        parameters for it.

    See Also
    --------
    kernel_stein_test : A single test that sees every departure.

    Notes
    -----
    Errors are those of independent rows; no property of the model enters them. The overall statistic leaves out
    directions of the means that fields nearly share, and is limited to one for every ten rows.

    References
    ----------
    Hyvärinen (2005), JMLR 6, theorem 1, for the identity; Gorham and Mackey (2015), "Measuring sample quality with
    Stein's method", NeurIPS; Pierce (1982), Annals of Statistics 10, for statistics with estimated parameters; Holm
    (1979), Scandinavian Journal of Statistics 6.

    Examples
    --------
    >>> import numpy as np
    >>> import scorematch
    >>> X = np.random.default_rng(0).standard_t(3, size=(2000, 1))
    >>> print(scorematch.stein_check(scorematch.Gaussian().fit(X)).verdict[:23])
    The model does not fit:
    >>> scorematch.stein_check(scorematch.StudentT(df=3).fit(X)).fits
    True
    """
    if not isinstance(model, ScoreMatchingEstimator):
        raise TypeError(f"model must be a fitted model of scorematch; got {model!r}")
    levels = _checked_quantiles(quantiles)
    rows, weight = model._training_data(X, sample_weight)
    if len(rows) < 2:
        raise ValueError(f"stein_check needs at least 2 rows of X; got {len(rows)}")
    if estimated is None:
        estimated = X is None or _are_training_rows(model, rows)
    names = column_names(model)
    fields = VectorFields(
        tuple(CoordinateFunctions.of(rows[:, j], name, levels) for j, name in enumerate(names)),
        tuple(names),
        levels,
        bool(pairs),
    )
    own = settled(model, rows)
    w = np.full(len(rows), 1 / len(rows)) if weight is None else weight / weight.sum()
    means = np.zeros(len(fields))
    for block in blocks_of_rows(len(rows), len(fields)):
        means += w[block] @ fields.values(SteinOperator.at_rows(own, rows[block]))
    response = None
    if estimated:
        if len(model.theta_) > MOST_PARAMS:
            raise ValueError(
                f"errors that take account of {len(model.theta_)} estimated parameters would take too long (at most "
                f"{MOST_PARAMS}); pass estimated=False, which makes p values too large"
            )
        response = _Response.of(own, fields, rows, weight, model._sandwich(X, sample_weight))
    covariance, variances = _covariance(own, fields, rows, w, means, response)
    return _result(fields, means, covariance, variances, len(rows), estimated)


@dataclass(frozen=True)
class _Response:
    """How the means move with the estimating functions of the rows: Σ w φ shifts them by −matrix·(Σ w φ)/Σ w."""

    matrix: Doubles  # (number of fields, q)
    slope: Doubles  # (q,) the mean of φ, 0 but for penalties
    equations: Any

    @classmethod
    def of(cls, model: Any, fields: VectorFields, rows: Floats, weight: Doubles | None, found: Sandwich) -> _Response:
        chosen: Any = slice(None)
        n_rows = min(max(SLOPE_NUMBERS // len(model.theta_), LEAST_ROWS), MOST_ROWS)
        if len(rows) > n_rows:
            chosen = np.random.default_rng(0).choice(len(rows), n_rows, replace=False)
        points = in_doubles(model, rows[chosen])
        w = np.ones(len(points)) if weight is None else weight[chosen]
        w = w / w.sum()
        errors = np.sqrt(np.maximum(np.diagonal(found.raw_covariance), 0) * found.n_samples)
        scales = np.where(errors > 0, errors, np.nan)  # what has no error does not move

        f = fields.at(SteinOperator.at_rows(model, points))[0] * w[:, None]
        along = [np.flatnonzero(fields.directions == k) for k in range(points.shape[1])]
        parts = [np.ascontiguousarray(f[:, mine]) for mine in along]

        def inner_means(theta: Doubles) -> Doubles:
            """The part of the means that θ moves, Σ w sᵀf."""
            s = SteinOperator.at_rows(model._at(theta), points).s
            found = np.empty(len(fields))
            for k, (mine, part) in enumerate(zip(along, parts, strict=True)):
                found[mine] = s[:, k] @ part
            return found

        slopes, _ = jacobian(inner_means, model.theta_, scales)
        return cls(
            slopes @ found.influence_map * found.total, found.slope / found.total, model._equations(rows, weight)
        )

    def shifts(self, rows: Floats) -> Doubles:
        """What each row adds to the means by its part in θ."""
        return np.asarray((self.equations.rows(rows) - self.slope) @ -self.matrix.T)


def _covariance(
    model: ScoreMatchingEstimator,
    fields: VectorFields,
    rows: Floats,
    w: Doubles,
    means: Doubles,
    response: _Response | None,
) -> tuple[Doubles, Doubles]:
    """The covariance of the means, and their variances at a known θ."""
    covariance, variances = np.zeros((len(fields), len(fields))), np.zeros(len(fields))
    for block in blocks_of_rows(len(rows), len(fields)):
        parts = fields.values(SteinOperator.at_rows(model, rows[block])) - means
        variances += w[block] ** 2 @ parts**2
        if response is not None:
            with rows_from(block.start):
                parts += response.shifts(rows[block])
        parts *= w[block, None]
        covariance += parts.T @ parts
    return covariance, variances


def _result(
    fields: VectorFields, means: Doubles, covariance: Doubles, variances: Doubles, n: int, estimated: bool
) -> SteinCheck:
    own = np.diagonal(covariance)
    free = own > SET_BY_FIT * variances
    errors = np.where(free, np.sqrt(own), 0.0)
    z = np.divide(means, errors, out=np.zeros(len(means)), where=free)
    p_values = 2 * ndtr(-np.abs(z))
    statistic, df = _wald(z[free], covariance[np.ix_(free, free)], errors[free], n)
    # Hotelling's, for a covariance that is estimated from n rows.
    p_value = float(fdtrc(df, n - df, statistic * (n - df) / (df * (n - 1)))) if df else 1.0
    columns, names = zip(*fields.labels(), strict=True)
    return SteinCheck(
        columns=columns,
        fields=names,
        means=means,
        standard_errors=errors,
        z=z,
        p_values=p_values,
        adjusted_p_values=holm(p_values),
        covariance=covariance,
        statistic=statistic,
        df=df,
        p_value=p_value,
        n_samples=n,
        estimated=estimated,
    )


def _wald(z: Doubles, covariance: Doubles, errors: Doubles, n: int) -> tuple[float, int]:
    """The statistic on the leading directions of the correlation of the means, and their number."""
    if not len(z):
        return 0.0, 0
    eigenvalues, vectors = np.linalg.eigh(covariance / np.outer(errors, errors))
    order = np.argsort(eigenvalues)[::-1][: max(1, n // ROWS_PER_FIELD)]
    order = order[eigenvalues[order] > SMALLEST_EIGENVALUE * eigenvalues[order[0]]]
    return float(np.sum((vectors[:, order].T @ z) ** 2 / eigenvalues[order])), len(order)


def holm(p_values: Doubles) -> Doubles:
    """P values adjusted for their number: with those below a level rejected, any false rejection is no likelier."""
    order = np.argsort(p_values)
    factors = np.arange(len(p_values), 0, -1)
    adjusted = np.empty(len(p_values))
    adjusted[order] = np.minimum(np.maximum.accumulate(factors * p_values[order]), 1)
    return adjusted


def _are_training_rows(model: Any, rows: Floats) -> bool:
    held = getattr(model, "_training", None)
    return held is not None and held[0].shape == rows.shape and bool(np.array_equal(held[0], rows))


def _checked_quantiles(quantiles: Sequence[float]) -> tuple[float, ...]:
    levels = np.asarray(quantiles, dtype=np.float64)
    if levels.ndim != 1 or not ((levels > 0) & (levels < 1)).all():
        raise ValueError(f"quantiles must be numbers between 0 and 1; got {quantiles!r}")
    return tuple(levels.tolist())
