"""The picture of how much single rows move an estimate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scorematch.plotting._display import Display, as_doubles
from scorematch.plotting._drawing import BLUE, INK, ORANGE, tidy
from scorematch.plotting._names import check_names, name_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

    from scorematch._base import ScoreMatchingEstimator

Doubles = NDArray[np.float64]

# Stems are drawn for no more rows than this; beyond, they would be one block.
MOST_STEMS = 250


class InfluenceDisplay(Display):
    r"""How much single rows move the estimate.

    The distance of a row is, with the change :math:`I_i` of :math:`\theta` that it brings (``model.influence``) and
    the covariance V of the estimate,

    .. math:: D_i = I_i^\top V^{-1} I_i / p,

    the square of the change in units of standard errors, as Cook's distance is for a regression. With the sandwich
    covariance of the same rows the :math:`D_i` sum to 1, and are 1/n on average. Make it with :meth:`from_estimator`.

    Parameters
    ----------
    distances : array_like of shape (n_samples,)
        The distances.
    rows : sequence of str, optional
        Names of the rows; their numbers, from 0, where None.
    average : float, optional
        What they are on average over the rows of the fit; 1/n of the rows at hand where None.
    n_labels : int, default=5
        How many rows to name: those with the largest distances.
    title, caption : str
        The two lines above the picture.

    Attributes
    ----------
    figure_ : matplotlib Figure
        The figure.
    ax_ : matplotlib Axes
        The axes.
    labelled : ndarray of shape (n_labels,)
        The rows that are named, the largest distance first.

    References
    ----------
    Cook (1977), Detection of influential observation in linear regression, Technometrics 19.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> import numpy as np
    >>> import scorematch
    >>> from scorematch.plotting import InfluenceDisplay
    >>> X = np.append(np.random.default_rng(0).normal(size=99), 6.0)[:, None]
    >>> display = InfluenceDisplay.from_estimator(scorematch.Gaussian().fit(X), X, n_labels=1)
    >>> int(display.labelled[0])
    99
    """

    def __init__(
        self,
        distances: ArrayLike,
        *,
        rows: Sequence[str] | None = None,
        average: float | None = None,
        n_labels: int = 5,
        title: str = "Influence of single rows",
        caption: str = "",
    ) -> None:
        self.distances = as_doubles("distances", distances, 1)
        n = len(self.distances)
        self.average = 1 / n if average is None else average
        self.rows = None if rows is None else check_names(rows, n, "rows")
        self.labelled = np.argsort(-self.distances, kind="stable")[:n_labels]
        self.title = title
        self.caption = caption

    @classmethod
    def from_estimator(
        cls,
        model: ScoreMatchingEstimator,
        X: ArrayLike,
        *,
        rows: Sequence[str] | None = None,
        n_labels: int = 5,
        title: str | None = None,
        figure: Figure | SubFigure | None = None,
        ax: Axes | None = None,
    ) -> Self:
        """Work out the influence of the rows on a fitted model, and draw it.

        Parameters
        ----------
        model : estimator
            A fitted model of any family.
        X : array_like of shape (n_samples, n_features)
            The data.
        rows : sequence of str, optional
            Names of the rows; their numbers, from 0, where None.
        n_labels : int, default=5
            How many rows to name: those with the largest distances.
        title : str, optional
            The title; made from the model where None.
        figure : matplotlib Figure or SubFigure, optional
            Where to draw; a new figure of pyplot's where both are None.
        ax : matplotlib Axes, optional
            Where to draw.

        Returns
        -------
        InfluenceDisplay
            The display, drawn. Parameters whose variance is not determined are left out.
        """
        from scorematch._validation import check_count

        n_labels = check_count("n_labels", n_labels, lowest=0)
        influence = np.asarray(model.influence(X), dtype=np.float64)
        # That of the rows of the fit, if the model still holds them; X may be others.
        own = hasattr(model, "_training")
        covariance = np.asarray(model.covariance(X=None if own else X), dtype=np.float64)
        determined = np.isfinite(np.diagonal(covariance)) & np.isfinite(influence).all(axis=0)
        if not determined.any():
            raise ValueError(f"{name_of(model)} has no parameter whose variance is determined: no distance to draw")
        influence, covariance = influence[:, determined], covariance[np.ix_(determined, determined)]
        distances = _distances(influence, covariance)
        caption = f"{len(distances)} rows"
        if not determined.all():
            caption += f"; {int((~determined).sum())} of {len(determined)} parameters, not determined, left out"
        return cls(
            distances,
            rows=rows,
            average=1 / len(model._training[0]) if own else None,
            n_labels=n_labels,
            title=title or f"Influence of single rows on {name_of(model)}",
            caption=caption,
        ).plot(figure=figure, ax=ax)

    def _size(self) -> tuple[float, float]:
        return 7.2, 4.2

    def _draw(self, axes: list[Axes]) -> None:
        (ax,) = axes
        n = len(self.distances)
        numbers = np.arange(n)
        named = np.isin(numbers, self.labelled)
        for rows, colour in ((~named & (n <= MOST_STEMS), BLUE), (named, ORANGE)):
            ax.vlines(numbers[rows], 0, self.distances[rows], color=colour, lw=1)
        size = 4.0 if n <= 200 else 2.5 if n <= 5000 else 1.2
        ax.plot(numbers[~named], self.distances[~named], "o", ms=size, color=BLUE, mew=0, rasterized=n > 5000)
        ax.plot(numbers[named], self.distances[named], "D", ms=5, color=ORANGE, mec="white", mew=0.6)
        ax.axhline(self.average, color="0.5", lw=1, ls="--", label="average, 1/n")
        highest = float(np.nanmax(self.distances)) or 1.0
        ax.set_ylim(0, 1.14 * highest)
        ax.set_xlim(-0.02 * n - 0.5, 1.02 * n)
        self._name_rows(ax, highest)
        ax.set_xlabel("row")
        ax.set_ylabel("squared change of the estimate,\nin standard errors, per parameter")
        ax.legend(fontsize="small", framealpha=0.85, edgecolor="none")
        tidy(ax)

    def _name_rows(self, ax: Axes, highest: float) -> None:
        placed: list[tuple[float, float]] = []
        n = len(self.distances)
        line = {"arrowstyle": "-", "color": "0.6", "lw": 0.6, "shrinkA": 0, "shrinkB": 3}
        for row in self.labelled:
            start = height = self.distances[row] / highest
            # Names that would lie on one another are moved up.
            while any(abs(row - x) < 0.055 * n and abs(height - y) < 0.045 for x, y in placed):
                height += 0.045
            placed.append((float(row), float(height)))
            ax.annotate(
                str(row) if self.rows is None else self.rows[row], (row, start * highest),
                (row + 0.012 * n, (height + 0.006) * highest), fontsize="small", color=INK, va="bottom",
                arrowprops=line if height > start else None,
            )  # fmt: skip


def _distances(influence: Doubles, covariance: Doubles) -> Doubles:
    """IᵀV⁻¹I / p, on the directions in which V is not singular."""
    values, vectors = np.linalg.eigh(covariance)
    kept = values > len(values) * np.finfo(float).eps * values[-1]
    scaled = influence @ (vectors[:, kept] / np.sqrt(values[kept]))
    return np.asarray(np.einsum("ij,ij->i", scaled, scaled) / kept.sum())
