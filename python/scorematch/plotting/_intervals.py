"""The picture of estimates with their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scorematch.plotting._display import Display, as_doubles
from scorematch.plotting._drawing import BLUE, ORANGE, tidy
from scorematch.plotting._names import check_names, name_of, shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

    from scorematch._base import ScoreMatchingEstimator
    from scorematch._summary import Summary

Doubles = NDArray[np.float64]

LONGEST_LABEL = 24


class IntervalsDisplay(Display):
    """Estimates with their confidence intervals.

    Parameters of one name, such as all entries of a precision matrix, share a panel with a scale of its own; in given
    axes all share one. Make it with :meth:`from_estimator`.

    Parameters
    ----------
    estimates : array_like of shape (n,)
        The estimates.
    intervals : array_like of shape (n, 2)
        Their lower and upper ends; NaN where there are none.
    names : sequence of str
        Their names; those that agree up to the first bracket share a panel.
    level : float
        The level of confidence.
    title, caption : str
        The two lines above the picture.

    Attributes
    ----------
    figure_ : matplotlib Figure
        The figure.
    axes_ : ndarray of matplotlib Axes
        The panels, from the top down.
    ax_ : matplotlib Axes
        The first of them.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from scorematch.plotting import IntervalsDisplay
    >>> display = IntervalsDisplay([1.0, -0.5], [[0.8, 1.2], [-1.1, 0.1]], ["mean[0]", "mean[1]"], level=0.95).plot()
    >>> display.ax_.get_xlabel()
    'mean'
    """

    def __init__(
        self,
        estimates: ArrayLike,
        intervals: ArrayLike,
        names: Sequence[str],
        *,
        level: float,
        title: str = "Estimates",
        caption: str = "",
    ) -> None:
        self.estimates = as_doubles("estimates", estimates, 1)
        self.intervals = as_doubles("intervals", intervals, 2)
        if self.intervals.shape != (len(self.estimates), 2):
            raise ValueError(f"intervals must have shape ({len(self.estimates)}, 2); got {self.intervals.shape}")
        self.names = check_names(names, len(self.estimates), "names")
        self.level = level
        self.title = title
        self.caption = caption

    @classmethod
    def from_estimator(
        cls,
        model: ScoreMatchingEstimator,
        *,
        level: float = 0.95,
        of: str | None = None,
        max_shown: int = 30,
        title: str | None = None,
        figure: Figure | SubFigure | None = None,
        ax: Axes | None = None,
        **options: Any,
    ) -> Self:
        """Work out the intervals of a fitted model, and draw them.

        Parameters
        ----------
        model : estimator
            A fitted model of any family.
        level : float, default=0.95
            The level of confidence, in (0, 1).
        of : str, optional
            Which fitted attribute, without the underscore at its end, such as ``"mean"``; the working parameters
            ``theta_`` where None.
        max_shown : int, default=30
            How many to show at most: those that are furthest from 0 in units of their standard errors.
        title : str, optional
            The title; made from the model where None.
        figure : matplotlib Figure or SubFigure, optional
            Where to draw; a new figure of pyplot's where both are None.
        ax : matplotlib Axes, optional
            Where to draw.
        **options
            Whatever else the model's ``summary`` takes, such as ``X`` and ``kind="bootstrap"``.

        Returns
        -------
        IntervalsDisplay
            The display, drawn.
        """
        summary = model.summary(level=level, of=of, **options)
        return cls.from_summary(
            summary,
            max_shown=max_shown,
            title=title or f"{of or 'Working parameters'} of {name_of(model)}",
            figure=figure,
            ax=ax,
        )

    @classmethod
    def from_summary(
        cls,
        summary: Summary,
        *,
        max_shown: int = 30,
        title: str | None = None,
        figure: Figure | SubFigure | None = None,
        ax: Axes | None = None,
    ) -> Self:
        """Draw the intervals of a summary.

        Parameters
        ----------
        summary : Summary
            What ``summary()`` of a model gives. Entries of a symmetric matrix that are there twice are drawn once.
        max_shown : int, default=30
            How many to show at most: those that are furthest from 0 in units of their standard errors.
        title : str, optional
            The title; that of the summary where None.
        figure : matplotlib Figure or SubFigure, optional
            Where to draw; a new figure of pyplot's where both are None.
        ax : matplotlib Axes, optional
            Where to draw.

        Returns
        -------
        IntervalsDisplay
            The display, drawn.
        """
        from scorematch._validation import check_count

        max_shown = check_count("max_shown", max_shown)
        distinct = distinct_rows(summary)
        chosen = distinct[_furthest_from_zero(summary.z_values[distinct], max_shown)]
        caption = f"{100 * summary.level:g} % confidence intervals"
        if len(chosen) < len(distinct):
            caption += f"; {len(chosen)} of {len(distinct)} parameters, the furthest from 0 in standard errors"
        reasons = {summary.reasons[int(row)] for row in chosen if int(row) in summary.reasons}
        if len(reasons) == 1:
            caption += f"; not determined: {reasons.pop()}"
        return cls(
            summary.estimates[chosen],
            summary.intervals[chosen],
            [summary.names[row] for row in chosen],
            level=summary.level,
            title=title or summary.title,
            caption=caption,
        ).plot(figure=figure, ax=ax)

    def _blocks(self) -> list[tuple[str, list[int]]]:
        """Positions of the parameters of one name."""
        blocks: dict[str, list[int]] = {}
        for position, name in enumerate(self.names):
            blocks.setdefault(name.partition("[")[0], []).append(position)
        return list(blocks.items())

    def _size(self) -> tuple[float, float]:
        return 6.4, 1.3 + 0.22 * len(self.estimates) + 0.55 * len(self._blocks())

    def _subplots(self, figure: Figure | SubFigure) -> NDArray[Any]:
        blocks = self._blocks()
        heights = [len(positions) + 0.6 for _, positions in blocks]
        return np.atleast_1d(figure.subplots(len(blocks), 1, height_ratios=heights))

    def _draw(self, axes: list[Axes]) -> None:
        blocks = self._blocks()
        if len(axes) < len(blocks):
            blocks = [("estimate", list(range(len(self.estimates))))]
        for ax, (name, positions) in zip(axes, blocks, strict=True):
            self._draw_block(ax, name, positions)

    def _draw_block(self, ax: Axes, name: str, positions: list[int]) -> None:
        rows = np.arange(len(positions))
        estimates, intervals = self.estimates[positions], self.intervals[positions]
        known = np.isfinite(intervals).all(axis=1)
        ax.hlines(rows[known], *intervals[known].T, color=BLUE, lw=2)
        ax.plot(estimates[known], rows[known], "o", ms=5, color=BLUE, mec="white", mew=0.8)
        if not known.all():
            ax.plot(estimates[~known], rows[~known], "x", ms=6, mew=1.6, color=ORANGE, label="not determined")
            for row in rows[~known]:
                ax.annotate(
                    "not determined", (estimates[row], row), (8, 0), textcoords="offset points", va="center",
                    fontsize="x-small", color=ORANGE,
                )  # fmt: skip
        low, high = ax.get_xlim()
        if low <= 0 <= high:
            ax.axvline(0, color="0.6", lw=0.8, zorder=0)
        ax.set_yticks(rows, _labels([self.names[position] for position in positions]), fontsize="small")
        ax.set_ylim(len(rows) - 0.4, -0.6)
        ax.tick_params(axis="y", length=0)
        ax.tick_params(axis="x", labelsize="small")
        ax.set_xlabel(name, fontsize="small")
        ax.grid(axis="y", color="0.92", lw=0.8)
        ax.set_axisbelow(True)
        tidy(ax)


def distinct_rows(summary: Summary) -> NDArray[np.intp]:
    """Rows of a summary, those of entries (i, j) and (j, i) of a matrix, or of a stack of them, that agree once."""
    places: dict[str, int] = {}
    kept = []
    for row, name in enumerate(summary.names):
        block, _, index = name.partition("[")
        *leading, last = index[:-1].split(",")
        other = places.get(f"{block}[{','.join([*leading[:-1], last, *leading[-1:]])}]")
        places[name] = row
        if other is None or summary.estimates[other] != summary.estimates[row]:
            kept.append(row)
    return np.array(kept, dtype=np.intp)


def _labels(names: Sequence[str]) -> list[str]:
    """Names in full where they are short, else what is in their brackets: the panel's axis says what they are of."""
    if max(map(len, names)) <= LONGEST_LABEL or not all("[" in name for name in names):
        return [shortened(name, LONGEST_LABEL) for name in names]
    inner = [name.partition("[")[2].rstrip("]").split(",") for name in names]
    return [", ".join(shortened(part, 18) for part in parts) for parts in inner]


def _furthest_from_zero(z_values: Doubles, max_shown: int) -> NDArray[np.intp]:
    """Which to show, in their own order; those without a standard error come last."""
    order = np.argsort(-np.nan_to_num(np.abs(z_values), nan=-1.0, posinf=np.inf), kind="stable")
    return np.sort(order[:max_shown])
