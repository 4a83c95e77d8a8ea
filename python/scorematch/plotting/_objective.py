"""The picture of the objective along a parameter."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scorematch.plotting._display import Display, as_doubles
from scorematch.plotting._drawing import BLUE, INK, ORANGE, tidy
from scorematch.plotting._names import name_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

    from scorematch._base import ScoreMatchingEstimator

Doubles = NDArray[np.float64]


class ObjectiveDisplay(Display):
    r"""The objective of score matching along one parameter, split into its two terms.

    .. math:: J(\theta) = \frac1n \sum_i \tfrac12 \psi^\top A \psi + \bigl(\operatorname{tr}(A \nabla\psi)
        + b^\top \psi\bigr)

    at the rows of the data: the norm term, which is least where the density is flat, and the Hessian term, which is
    least where it has its peaks at the data. Their sum has its minimum where the two are in balance. Make it with
    :meth:`from_estimator`.

    Parameters
    ----------
    values : array_like of shape (n_points,)
        The parameter, rising.
    norm_term, hessian_term : array_like of shape (n_points,)
        The means of the terms there; NaN where the model has no value.
    parameter : str
        The name of the parameter.
    estimate : float
        Its estimate.
    title, caption : str
        The two lines above the picture.

    Attributes
    ----------
    figure_ : matplotlib Figure
        The figure.
    ax_ : matplotlib Axes
        The axes.
    total : ndarray of shape (n_points,)
        The sum of the terms, which is the objective.
    minimum : tuple of float
        The value of the parameter at which it is least among `values`, and the objective there.

    References
    ----------
    Hyvärinen (2005), Estimation of non-normalized statistical models by score matching, JMLR 6,
    theorem 1.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> import numpy as np
    >>> import scorematch
    >>> from scorematch.plotting import ObjectiveDisplay
    >>> X = np.random.default_rng(0).normal(scale=2.0, size=(500, 1))
    >>> model = scorematch.Gaussian().fit(X)
    >>> display = ObjectiveDisplay.from_estimator(model, X, parameter="precision[0,0]")
    >>> display.ax_.get_xlabel()
    'precision[0,0]'
    >>> bool(np.isclose(display.minimum[0], model.precision_[0, 0]))
    True
    """

    def __init__(
        self,
        values: ArrayLike,
        norm_term: ArrayLike,
        hessian_term: ArrayLike,
        *,
        parameter: str,
        estimate: float,
        title: str = "Objective of score matching",
        caption: str = "",
    ) -> None:
        self.values = as_doubles("values", values, 1)
        self.norm_term = as_doubles("norm_term", norm_term, 1)
        self.hessian_term = as_doubles("hessian_term", hessian_term, 1)
        self.total = self.norm_term + self.hessian_term
        if not np.isfinite(self.total).any():
            raise ValueError("norm_term and hessian_term have no finite value in common")
        least = int(np.nanargmin(self.total))
        self.minimum = (float(self.values[least]), float(self.total[least]))
        self.parameter = parameter
        self.estimate = float(estimate)
        self.title = title
        self.caption = caption

    @classmethod
    def from_estimator(
        cls,
        model: ScoreMatchingEstimator,
        X: ArrayLike,
        *,
        parameter: int | str = 0,
        half_width: float | None = None,
        n_points: int = 101,
        sample_weight: ArrayLike | None = None,
        title: str | None = None,
        figure: Figure | SubFigure | None = None,
        ax: Axes | None = None,
    ) -> Self:
        """Evaluate the terms around the estimate, the other parameters fixed, and draw them.

        Parameters
        ----------
        model : estimator
            A fitted model of any family.
        X : array_like of shape (n_samples, n_features)
            The data.
        parameter : int or str, default=0
            Which entry of ``theta_``: its position, or its name in ``theta_names_``.
        half_width : float, optional
            How far to go to either side of the estimate. Where None, to where the objective would be 0 if it were a
            parabola: for an exponential family of one parameter that is twice the estimate, and 0.
        n_points : int, default=101
            How many values of the parameter, at least 3.
        sample_weight : array_like of shape (n_samples,), optional
            Weights of the rows; all 1 where None.
        title : str, optional
            The title; made from the model where None.
        figure : matplotlib Figure or SubFigure, optional
            Where to draw; a new figure of pyplot's where both are None.
        ax : matplotlib Axes, optional
            Where to draw.

        Returns
        -------
        ObjectiveDisplay
            The display, drawn.
        """
        from scorematch._validation import check_count, check_real, check_sample_weight

        position = parameter_position(model, parameter)
        n_points = check_count("n_points", n_points, lowest=3)
        X = model._check_samples(X)
        weights = check_sample_weight(sample_weight, len(X))
        if model._has_boundary:  # one weight for all of the curve, where it depends on data
            model = model._at(model.theta_)
            model.weight_ = model._settled_weight(X, weights)
        if half_width is None:
            half_width = _half_width(model, X, weights, position)
        elif check_real("half_width", half_width, lowest=0.0) == 0:
            raise ValueError(f"half_width must be above 0; got {half_width}")
        estimate = float(model.theta_[position])
        values = np.unique(np.append(np.linspace(estimate - half_width, estimate + half_width, n_points), estimate))
        terms = np.array([_mean_terms(model, X, weights, position, value) for value in values])
        caption = f"mean over {len(X)} rows"
        if len(model.theta_) > 1:
            caption += "; the other parameters at their estimates"
        return cls(
            values,
            *terms.T,
            parameter=model.theta_names_[position],
            estimate=estimate,
            title=title or f"Objective of {name_of(model)} along {model.theta_names_[position]}",
            caption=caption,
        ).plot(figure=figure, ax=ax)

    def _draw(self, axes: list[Axes]) -> None:
        (ax,) = axes
        ax.axhline(0, color="0.8", lw=0.8, zorder=0)
        ax.plot(self.values, self.norm_term, color=BLUE, lw=1.6, ls="--", label="norm term")
        ax.plot(self.values, self.hessian_term, color=ORANGE, lw=1.6, ls="-.", label="Hessian term")
        ax.plot(self.values, self.total, color=INK, lw=2.2, label="their sum, the objective")
        ax.axvline(self.estimate, color="0.55", lw=1, ls=":", label=f"estimate, {self.estimate:.4g}")
        ax.plot(*self.minimum, "o", color=INK, ms=7, mec="white", mew=1, label=f"minimum, at {self.minimum[0]:.4g}")
        ax.set_xlim(self.values[0], self.values[-1])
        ax.margins(y=0.08)
        ax.set_xlabel(self.parameter)
        ax.set_ylabel("mean over the rows")
        ax.legend(fontsize="small", framealpha=0.85, edgecolor="none")
        tidy(ax)


def parameter_position(model: ScoreMatchingEstimator, parameter: int | str) -> int:
    """The entry of θ that a name or a number stands for."""
    names = model.theta_names_
    if isinstance(parameter, str):
        if parameter not in names:
            shown = ", ".join(names[:10]) + (", …" if len(names) > 10 else "")
            raise ValueError(f"parameter: there is none called {parameter!r}; theta_names_ are {shown}")
        return names.index(parameter)
    if not 0 <= parameter < len(names):
        raise ValueError(f"parameter must be 0 to {len(names) - 1}, or a name in theta_names_; got {parameter}")
    return int(parameter)


def _mean_terms(
    model: ScoreMatchingEstimator, X: NDArray[np.floating], weights: Doubles | None, position: int, value: float
) -> tuple[float, float]:
    theta = model.theta_.copy()
    theta[position] = value
    # Away from the estimate a model may be no density, and warn of it or refuse; its objective often has a value.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            norm_term, hessian_term = model._at(theta).score_matching_terms(X)
        except (ValueError, ArithmeticError, np.linalg.LinAlgError):
            return np.nan, np.nan
    norm, hessian = (float(np.average(term.astype(np.float64), weights=weights)) for term in (norm_term, hessian_term))
    return norm, hessian


def _half_width(
    model: ScoreMatchingEstimator, X: NDArray[np.floating], weights: Doubles | None, position: int
) -> float:
    """To where a parabola with the objective's value and curvature at the estimate is 0."""
    loss = model._loss(X, weights)
    theta = model.theta_
    step = 1e-4 * max(1.0, abs(float(theta[position])))
    shifted = []
    for sign in (1, -1):
        moved = theta.copy()
        moved[position] += sign * step
        shifted.append(loss(moved)[1][position])
    curvature = (shifted[0] - shifted[1]) / (2 * step)
    width = float(np.sqrt(2 * abs(loss(theta)[0]) / curvature)) if curvature > 0 else 0.0
    return width if np.isfinite(width) and width > 0 else 0.5 * abs(float(theta[position])) or 1.0
