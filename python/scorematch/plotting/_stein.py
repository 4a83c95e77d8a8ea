"""The picture of a Stein check."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scorematch.plotting._display import Display, as_doubles
from scorematch.plotting._drawing import BLUE, ORANGE, tidy
from scorematch.plotting._names import check_names, shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

    from scorematch.diagnostics import SteinCheck

Doubles = NDArray[np.float64]

# So many panels side by side at most.
ACROSS = 3


class SteinDisplay(Display):
    """The means of a Stein check, with two standard errors to either side.

    Where the data follow the model they are 0 but for chance: about one bar in twenty misses the line. Each column of
    the data has a panel with a scale of its own, and each of its test fields a row; in given axes all share one, and
    means are in units of their standard errors. Make it with :meth:`from_result`.

    Parameters
    ----------
    means, standard_errors : array_like of shape (n_fields,)
        The means of the fields over the rows, and their standard errors; 0 where a mean is 0 by the fit itself.
    columns, fields : sequence of str
        The column and the name of each field.
    title, caption : str
        The two lines above the picture.

    Attributes
    ----------
    figure_ : matplotlib Figure
        The figure.
    axes_ : ndarray of matplotlib Axes
        The panels, one for each column.
    ax_ : matplotlib Axes
        The first of them.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> import numpy as np
    >>> import scorematch
    >>> from scorematch.plotting import SteinDisplay
    >>> X = np.random.default_rng(0).normal(size=(1000, 2))
    >>> display = SteinDisplay.from_result(scorematch.stein_check(scorematch.Gaussian().fit(X)))
    >>> [ax.get_title() for ax in display.axes_]
    ['x0', 'x1']
    """

    def __init__(
        self,
        means: ArrayLike,
        standard_errors: ArrayLike,
        *,
        columns: Sequence[str],
        fields: Sequence[str],
        title: str = "Stein check",
        caption: str = "",
    ) -> None:
        self.means = as_doubles("means", means, 1)
        n = len(self.means)
        self.standard_errors = as_doubles("standard_errors", standard_errors, 1)
        if len(self.standard_errors) != n:
            raise ValueError(f"standard_errors must have {n} entries; got {len(self.standard_errors)}")
        self.columns = check_names(columns, n, "columns")
        self.fields = check_names(fields, n, "fields")
        self.title = title
        self.caption = caption

    @classmethod
    def from_result(
        cls,
        result: SteinCheck,
        *,
        max_columns: int = 9,
        title: str | None = None,
        figure: Figure | SubFigure | None = None,
        ax: Axes | None = None,
    ) -> Self:
        """Draw what :func:`scorematch.stein_check` gives.

        Parameters
        ----------
        result : SteinCheck
            The result.
        max_columns : int, default=9
            How many columns of the data to show at most: those with the means that are furthest from 0 in units of
            their standard errors.
        title : str, optional
            The title.
        figure : matplotlib Figure or SubFigure, optional
            Where to draw; a new figure of pyplot's where both are None.
        ax : matplotlib Axes, optional
            Where to draw.

        Returns
        -------
        SteinDisplay
            The display, drawn.
        """
        from scorematch._validation import check_count

        max_columns = check_count("max_columns", max_columns)
        furthest: dict[str, float] = {}
        for column, z in zip(result.columns, _z(result.means, result.standard_errors), strict=True):
            furthest[column] = max(furthest.get(column, 0.0), abs(z))
        shown = set(sorted(furthest, key=lambda column: -furthest[column])[:max_columns])
        rows = [position for position, column in enumerate(result.columns) if column in shown]
        caption = result.verdict
        if len(shown) < len(furthest):
            caption += f" {len(shown)} of {len(furthest)} columns are shown, those furthest from 0."
        return cls(
            result.means[rows],
            result.standard_errors[rows],
            columns=[result.columns[row] for row in rows],
            fields=[result.fields[row] for row in rows],
            title=title or "Stein check: means ± 2 standard errors",
            caption=caption,
        ).plot(figure=figure, ax=ax)

    def _rows(self) -> dict[str, list[int]]:
        """The rows of each column."""
        rows: dict[str, list[int]] = {}
        for row, column in enumerate(self.columns):
            rows.setdefault(column, []).append(row)
        return rows

    def _grid(self) -> tuple[int, int]:
        n = len(self._rows())
        across = n if n <= ACROSS else 2 if n == 4 else ACROSS
        return -(-n // across), across

    def _size(self) -> tuple[float, float]:
        down, across = self._grid()
        tallest = max(map(len, self._rows().values()))
        return max(6.4, 0.6 + 3.1 * across), 1.2 + down * (0.65 + 0.21 * tallest)

    def _subplots(self, figure: Figure | SubFigure) -> NDArray[Any]:
        panels = np.atleast_1d(figure.subplots(*self._grid())).ravel()
        for ax in panels[len(self._rows()) :]:
            ax.remove()
        return np.asarray(panels[: len(self._rows())])

    def _draw(self, axes: list[Axes]) -> None:
        if self._in_given_axes:
            names = [f"{column}: {field}" for column, field in zip(self.columns, self.fields, strict=True)]
            z = _z(self.means, self.standard_errors)
            self._draw_panel(axes[0], list(range(len(z))), z, (self.standard_errors > 0).astype(float), names)
            axes[0].set_xlabel("mean / standard error", fontsize="small")
            return
        for ax, (column, rows) in zip(axes, self._rows().items(), strict=True):
            names = [self.fields[row] for row in rows]
            self._draw_panel(ax, rows, self.means[rows], self.standard_errors[rows], names)
            ax.set_title(shortened(column, 34), fontsize="small")

    def _draw_panel(self, ax: Axes, rows: list[int], means: Doubles, errors: Doubles, names: list[str]) -> None:
        misses = np.abs(_z(self.means, self.standard_errors)[rows]) > 2
        heights = np.arange(len(rows))
        for there, colour, marker in ((~misses, BLUE, "o"), (misses, ORANGE, "D")):
            ax.errorbar(
                means[there], heights[there], xerr=2 * errors[there], fmt=marker, ms=4.5, lw=1.8, color=colour,
                mec="white", mew=0.7,
            )  # fmt: skip
        ax.axvline(0, color="0.6", lw=0.8, zorder=0)
        ax.set_yticks(heights, [shortened(name, 30) for name in names], fontsize="x-small")
        ax.set_ylim(len(rows) - 0.4, -0.6)
        ax.tick_params(axis="y", length=0)
        ax.tick_params(axis="x", labelsize="x-small")
        ax.locator_params(axis="x", nbins=4)
        ax.grid(axis="y", color="0.92", lw=0.8)
        ax.set_axisbelow(True)
        ax.margins(x=0.12)
        tidy(ax)


def _z(means: Doubles, errors: Doubles) -> Doubles:
    """Means in units of their standard errors; 0 where the fit has made them 0."""
    return np.divide(means, errors, out=np.zeros(len(means)), where=errors > 0)
