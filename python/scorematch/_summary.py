"""The table of a fit: estimates, standard errors, tests and intervals."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri

from scorematch._objectives import objective_of
from scorematch._sandwich import errors_of
from scorematch._tables import Layout, ShownAsTable, decimals_for, number, p_text, short_repr
from scorematch.domains import RealSpace

if TYPE_CHECKING:
    from scorematch._base import ScoreMatchingEstimator
    from scorematch._sandwich import Sandwich

Doubles = NDArray[np.float64]

# Significant digits of a standard error; the estimate and the interval have as many decimals.
DIGITS_OF_ERROR = 3
# Significant digits of an estimate that has no standard error, and of numbers in the head.
DIGITS = 5
# Standard error of the logarithm of a ratio of a mixture's weights beyond which a note says so.
MOST_WEIGHT_ERROR = 0.5
PART_HAS_NONE = "it depends on parameters that have none themselves: {}"
NOT_SMOOTH = "it has no derivative with respect to the parameters at the estimate"
NOT_FITTED = "the parameters were given, not estimated: standard errors are those of an estimate that equals them"


@dataclass(frozen=True, eq=False, repr=False)
class Summary(ShownAsTable):
    """What ``summary()`` of a model gives: a row for each parameter.

    ``print`` shows it as text, a notebook as HTML; tables of more than 60 rows are shortened there, and only there.

    Parameters
    ----------
    title : str
        What the table shows.
    head : dict of str to str
        The model, its data and its fit, in words.
    names : list of str
        Names of the parameters.
    estimates : ndarray of shape (q,)
        The estimates.
    standard_errors : ndarray of shape (q,)
        Their standard errors, NaN where there is none.
    intervals : ndarray of shape (q, 2)
        Lower and upper ends of the confidence intervals.
    level : float
        Their level.
    reasons : dict of int to str
        Why a parameter has no standard error, by its number.
    notes : list of str
        What else should be known.

    Examples
    --------
    >>> import numpy as np
    >>> import scorematch
    >>> X = np.random.default_rng(0).normal([1.0, 0.0], [1.0, 2.0], size=(1000, 2))
    >>> table = scorematch.Gaussian().fit(X).summary(of="mean")
    >>> print(table)
              Score matching estimates: mean of Gaussian
    ═════════════════════════════════════════════════════════════
    samples      1000        objective J  -0.611482
    features     2           SMIC         -606.66
    parameters   5           converged    yes, 1 iteration
    std. errors  sandwich    intervals    95 %
    domain       RealSpace()
    ─────────────────────────────────────────────────────────────
             estimate  std. error      z       p    2.5 %  97.5 %
    ─────────────────────────────────────────────────────────────
    mean[0]    0.9701      0.0322  30.10  <0.001   0.9069  1.0332
    mean[1]   -0.0522      0.0620  -0.84   0.400  -0.1738  0.0694
    ═════════════════════════════════════════════════════════════
    >>> table.names
    ['mean[0]', 'mean[1]']
    >>> bool(table.p_values[0] < 0.001 < table.p_values[1])
    True
    """

    title: str
    head: Mapping[str, str]
    names: list[str]
    estimates: Doubles
    standard_errors: Doubles
    intervals: Doubles
    level: float
    reasons: Mapping[int, str]
    notes: Sequence[str]

    @property
    def z_values(self) -> Doubles:
        """Estimates in units of their standard errors."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(self.estimates / self.standard_errors)

    @property
    def p_values(self) -> Doubles:
        """Two-sided p values of the hypotheses that a parameter is 0, from the normal distribution.

        They say nothing of parameters that cannot be 0, such as variances.
        """
        return np.asarray(2 * ndtr(-np.abs(self.z_values)))

    @property
    def _row_names(self) -> list[str]:
        return self.names

    def _columns(self) -> dict[str, Doubles]:
        return {
            "estimate": self.estimates,
            "standard_error": self.standard_errors,
            "z": self.z_values,
            "p_value": self.p_values,
            "lower": self.intervals[:, 0],
            "upper": self.intervals[:, 1],
        }

    def _layout(self) -> Layout:
        tail = 50 * (1 - self.level)
        ends = [f"{percentage:.6g} %" for percentage in (tail, 100 - tail)]
        decimals = [
            decimals_for(error, DIGITS_OF_ERROR) if error > 0 else decimals_for(estimate, DIGITS)
            for estimate, error in zip(self.estimates, self.standard_errors, strict=True)
        ]

        def numbers(values: Doubles) -> list[str]:
            return [number(value, places) for value, places in zip(values.tolist(), decimals, strict=True)]

        return Layout(
            title=self.title,
            head=self.head,
            headings=["estimate", "std. error", "z", "p", *ends],
            labels=self.names,
            cells=[
                numbers(self.estimates),
                numbers(self.standard_errors),
                [number(z, 2) for z in self.z_values.tolist()],
                [p_text(p) for p in self.p_values.tolist()],
                *(numbers(end) for end in self.intervals.T),
            ],
            marks=self.reasons,
            notes=self.notes,
            rows="parameters",
        )


def summarise(
    model: ScoreMatchingEstimator,
    level: float = 0.95,
    of: str | None = None,
    kind: Literal["sandwich", "bootstrap"] = "sandwich",
    X: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    n_resamples: int = 1000,
    random_state: Any = None,
) -> Summary:
    """The table of a fitted model.

    Parameters
    ----------
    model : estimator
        A fitted model of any family.
    level : float, default=0.95
        The level of the intervals.
    of : str, optional
        A fitted attribute without its underscore, such as ``"mean"``; ``theta_`` where None.
    kind : {"sandwich", "bootstrap"}, default="sandwich"
        Where standard errors and intervals come from.
    X, sample_weight : array_like, optional
        The data; those of the fit where None.
    n_resamples : int, default=1000
        Resamples of the bootstrap.
    random_state : int, RandomState or None
        Seed of the bootstrap.

    Returns
    -------
    Summary
        The table.
    """
    from scorematch._uncertainty import KINDS, check_level

    level = check_level(level)
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {KINDS}; got {kind!r}")
    names = _names(model, of)
    rows, weight = model._training_data(X, sample_weight)
    found = model._sandwich(X, sample_weight)
    estimates = model._value_of(of)
    if kind == "sandwich":
        errors = errors_of(model._covariance_of(of, found))
        reach = float(ndtri((1 + level) / 2)) * errors
        intervals = np.stack([estimates - reach, estimates + reach], axis=1)
    else:
        from scorematch._bootstrap import bootstrap_intervals, covariance_of_resamples

        resamples = model._bootstrap(of, X, sample_weight, n_resamples, random_state)
        errors = errors_of(covariance_of_resamples(resamples))
        intervals = bootstrap_intervals(resamples, level)
    return Summary(
        title=f"Score matching estimates: {f'{of} of ' if of else ''}{type(model).__name__}",
        head=_head(model, found, level, kind, model._smic(found, rows, weight)),
        names=names,
        estimates=estimates,
        standard_errors=errors,
        intervals=intervals,
        level=level,
        reasons=_reasons(found, of, errors),
        notes=_notes(model, found),
    )


def _names(model: ScoreMatchingEstimator, of: str | None) -> list[str]:
    """Names of the entries of θ or of a derived parameter, with those of columns where they are known."""
    columns = getattr(model, "feature_names_in_", None)
    if columns is None:
        names: list[str] = model._names_of(of)
        return names
    if of is None:
        return model._names_of_theta([str(name) for name in columns])
    shape = model._attribute(of).shape
    places: list[Sequence[object]] = [range(length) for length in shape]
    from scorematch._cli.options import axes_of

    for axis, what in enumerate(axes_of(model, of, shape)):
        if what == "n_features" and shape[axis] == len(columns):
            places[axis] = list(columns)
    return [f"{of}[{','.join(map(str, place))}]" if place else of for place in itertools.product(*places)]


def _head(model: ScoreMatchingEstimator, found: Sandwich, level: float, kind: str, smic: float) -> dict[str, str]:
    domain = model._domain()
    head = {
        "samples": f"{found.n_samples}",
        "objective J": f"{found.loss:.{DIGITS + 1}g}",
        "features": f"{model.n_features_in_}",
        "SMIC": f"{smic:.{DIGITS + 1}g}",
        "parameters": f"{len(model.theta_)}",
        "converged": _convergence(model),
        "std. errors": kind,
        "intervals": f"{100 * level:.6g} %",
        "domain": short_repr(RealSpace() if domain is None else domain),
    }
    if model._has_boundary:
        head["weight"] = short_repr(getattr(model, "weight_", model._weight()))
    if not model._is_exact:
        head["minimised"] = str(objective_of(model))
    return head


def _convergence(model: ScoreMatchingEstimator) -> str:
    if not hasattr(model, "converged_"):
        return "not fitted"
    count = f"{model.n_iter_} {model._counted}{'' if model.n_iter_ == 1 else 's'}"
    return f"yes, {count}" if model.converged_ else f"no, stopped after {count}"


def _reasons(found: Sandwich, of: str | None, errors: Doubles) -> dict[int, str]:
    """Why there is no standard error, for each entry that has none."""
    without = [int(k) for k in np.flatnonzero(np.isnan(errors))]
    reasons = found.reasons
    if of is None:
        return {k: reasons.get(k, NOT_SMOOTH) for k in without}
    parts = "; ".join(dict.fromkeys(reasons.values()))
    return {k: PART_HAS_NONE.format(parts) if parts else NOT_SMOOTH for k in without}


def _notes(model: ScoreMatchingEstimator, found: Sandwich) -> list[str]:
    notes = []
    if not hasattr(model, "converged_"):
        notes.append(f"Note: {NOT_FITTED}.")
    elif not model.converged_:
        notes.append(
            "Note: the fit did not converge. Neither the estimates nor their standard errors are to be relied on."
        )
    error = _error_of_weights(model, found)
    if error > MOST_WEIGHT_ERROR:
        size = f"{error:.2g}" if np.isfinite(error) else "not finite"
        notes.append(
            "Note: the weights of the components are hardly determined: the standard error of the logarithm of a ratio "
            f"of two of them is {size}. Score matching sees slopes of the log density, and these do not tell the "
            "shares of components that hardly overlap. How much is lost, scorematch.diagnostics.relative_efficiency "
            "tells."
        )
    return notes


def _error_of_weights(model: ScoreMatchingEstimator, found: Sandwich) -> float:
    """The largest standard error of the logarithm of a ratio of a mixture's weights; 0 for other families."""
    errors = errors_of(found.covariance)
    logarithms = [k for k, name in enumerate(model.theta_names_) if name.startswith("log_weight_ratio")]
    return float(np.nan_to_num(errors[logarithms], nan=np.inf).max(initial=0.0))
