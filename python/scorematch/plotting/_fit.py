"""The picture of a fitted model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scorematch.domains import Sphere
from scorematch.plotting._drawing import (
    BLUE,
    INK,
    ORANGE,
    TINTS,
    draw_ends,
    draw_histogram,
    draw_plane,
    legend,
    legend_below,
    legend_handles,
    prepare,
    put_axes_title,
    put_title,
    tidy,
)
from scorematch.plotting._names import column_names, column_position, wrapped
from scorematch.plotting._panels import MAX_FEATURES, Frame, Hemisphere, Line, Plane, sphere_panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

    from scorematch._base import ScoreMatchingEstimator

Doubles = NDArray[np.float64]


class FitDisplay:
    """Picture of a fitted model beside its data.

    Make it with :meth:`from_estimator`. One column gives a histogram with the fitted density, and the score function
    below. Two give the data with the regions of highest fitted density and arrows of the score function. More give
    all pairs of up to five columns. On the sphere in two dimensions the picture is the circle, in three an equal-area
    map of both hemispheres, in more the pairs of coordinates with the mean direction.

    Densities are normalised numerically on the range shown. With more than two columns they are the exact marginals
    for Gaussians, mixtures of Gaussians and the Student t; where there are none in closed form, they are sections of
    the density, the other features at their means, and the picture says so. On a domain with a boundary nothing is
    drawn outside of it, which is grey.

    Arrows point along the score function of the coordinates as drawn: each component is multiplied by the width of its
    axis, so that arrows stand at right angles to the contours, whatever the units.

    Parameters
    ----------
    panels : sequence of Line or Plane
        What is drawn, evaluated.
    kind : {"line", "plane", "pairs", "circle", "hemispheres", "directions"}
        How it is laid out.
    features : sequence of int
        The columns that are shown.
    feature_names : sequence of str
        Names of all columns.
    title, caption : str
        The two lines above the picture.

    Attributes
    ----------
    figure_ : matplotlib Figure
        The figure.
    axes_ : ndarray of matplotlib Axes
        Its axes: of shape (n_shown, n_shown) for pairs of features, with None above the diagonal, else of shape
        (n_axes,).
    panels_ : list of Line or Plane
        What is drawn in each of the axes, row by row.
    features_ : list of int
        The columns that are shown.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> import scorematch
    >>> from scorematch.plotting import FitDisplay
    >>> model = scorematch.Gaussian.from_params(mean=[0.0, 1.0], covariance=[[2.0, 0.5], [0.5, 1.0]])
    >>> X = model.sample(200, random_state=0)
    >>> display = FitDisplay.from_estimator(model, X, feature_names=["height", "weight"])
    >>> display.axes_[0].get_xlabel(), display.axes_[0].get_ylabel()
    ('height', 'weight')
    >>> display.figure_.savefig("fit.png")  # doctest: +SKIP
    """

    figure_: Figure | SubFigure
    axes_: NDArray[Any]

    @property
    def ax_(self) -> Axes:
        """The axes; the first of them where there are several."""
        return cast("Axes", self.axes_.flat[0])

    def __init__(
        self,
        panels: Sequence[Line | Plane],
        *,
        kind: str,
        features: Sequence[int],
        feature_names: Sequence[str],
        title: str,
        caption: str,
    ) -> None:
        self.panels_ = list(panels)
        self.features_ = list(features)
        self.feature_names = list(feature_names)
        self.kind = kind
        self.title = title
        self.caption = caption

    @classmethod
    def from_estimator(
        cls,
        model: ScoreMatchingEstimator,
        X: ArrayLike,
        *,
        features: Sequence[int | str] | None = None,
        feature_names: Sequence[str] | None = None,
        sample_weight: ArrayLike | None = None,
        title: str | None = None,
        max_points: int = 2000,
        random_state: int | None = 0,
        figure: Figure | SubFigure | None = None,
        ax: Axes | None = None,
    ) -> Self:
        """Evaluate a fitted model around its data, and draw both.

        Parameters
        ----------
        model : estimator
            A fitted model of any family.
        X : array_like of shape (n_samples, n_features)
            The data.
        features : sequence of int or str, optional
            The columns to show, at most five; the first five where None. Not on the sphere in two and three dimensions,
            which needs all of them.
        feature_names : sequence of str, optional
            Names of the columns; those of the data frame that the model was fitted to, or ``x0``, ``x1``, ... where
            None.
        sample_weight : array_like of shape (n_samples,), optional
            Weights of the rows: in histograms, and as the chance of a row to be among those shown.
        title : str, optional
            The title; made from the model where None.
        max_points : int, default=2000
            How many rows to show at most, picked at random. Histograms use all.
        random_state : int or None
            Seed of that.
        figure : matplotlib Figure or SubFigure, optional
            Where to draw; a new figure of pyplot's where None.
        ax : matplotlib Axes, optional
            Where to draw, if the picture is a single one (two columns on all of space).

        Returns
        -------
        FitDisplay
            The display, drawn.
        """
        X = np.asarray(X)
        model._check_is_fitted()
        # Some models have seen no columns so far.
        names = column_names(model, feature_names, getattr(model, "n_features_in_", X.shape[-1] if X.ndim else 0))
        if max_points < 1:
            raise ValueError(f"max_points must be at least 1; got {max_points}")
        frame = Frame(model, X, names, sample_weight, max_points, random_state)
        on_sphere = isinstance(model._domain(), Sphere)
        if features is None:
            shown = list(range(min(len(names), MAX_FEATURES)))
        else:
            shown = [column_position(feature, names) for feature in features]
            if not 1 <= len(shown) <= MAX_FEATURES or len(set(shown)) < len(shown):
                raise ValueError(f"features must be 1 to {MAX_FEATURES} different columns; got {list(features)!r}")
        if on_sphere and len(names) <= 3 and features is not None:
            raise ValueError("features cannot be chosen on the sphere in two or three dimensions: it needs all of them")

        heading = title or f"{type(model).__name__} fitted by score matching"
        caption = [f"{len(X)} rows"]
        if len(frame.points) < len(X):
            caption.append(f"{len(frame.points)} of them shown")
        if len(shown) < len(names):
            caption.append(f"features {len(shown)} of {len(names)} shown")
        if on_sphere:
            kind, panels = sphere_panels(frame, shown)
            if kind == "hemispheres":
                caption.append("equal-area map of the sphere")
            elif kind == "directions":
                caption.append("arrow: mean direction; circle: rim of the sphere")
        elif len(names) == 1 or len(shown) == 1:
            kind, panels = "line", [frame.line(shown[0])]
        elif len(shown) == 2:
            kind, panels = "plane", [frame.plane(shown[0], shown[1])]
        else:
            kind, panels = "pairs", frame.pairs(shown)
        drawn = "density" if model._has_log_density() else "score function"
        if not on_sphere and len(names) > len(shown[:2]) and frame.section:
            caption.append(f"{drawn}: section with the other features at their means")
        elif kind in ("line", "plane", "pairs") and len(names) > min(len(shown), 2):
            caption.append("density: marginal over the other features")
        if not model._has_log_density():
            caption.append("no density drawn: the model knows only its derivatives")
        elif frame.no_density:
            caption.append("no density drawn where the fitted covariance is singular")
        if frame.nowhere:
            caption.append("no density drawn where the section lies outside of the domain")
        display = cls(panels, kind=kind, features=shown, feature_names=names, title=heading, caption="; ".join(caption))
        return display.plot(figure=figure, ax=ax)

    def plot(self, *, figure: Figure | SubFigure | None = None, ax: Axes | None = None) -> Self:
        """Draw, once more or elsewhere.

        Parameters
        ----------
        figure : matplotlib Figure or SubFigure, optional
            Where to draw; a new figure of pyplot's where None.
        ax : matplotlib Axes, optional
            Where to draw, if the picture is a single one.

        Returns
        -------
        FitDisplay
            This display.
        """
        draw = {
            "line": self._draw_line,
            "plane": self._draw_plane,
            "pairs": self._draw_pairs,
            "circle": self._draw_circle,
            "hemispheres": self._draw_hemispheres,
            "directions": self._draw_directions,
        }[self.kind]
        if ax is not None:
            if self.kind != "plane":
                raise ValueError("ax holds a single picture, and this display has several; pass figure in its place")
            if figure is not None:
                raise ValueError("pass figure or ax, not both")
            self.figure_ = cast("Figure", ax.get_figure())
            self.axes_ = np.array([ax], dtype=object)
            draw_plane(ax, cast(Plane, self.panels_[0]))
            put_axes_title(ax, self.title, self.caption)
            legend(ax, self.panels_)
            return self
        if figure is None:
            from matplotlib import pyplot

            figure = pyplot.figure()
        self.figure_ = figure
        draw(figure)
        return self

    # -- kinds of pictures ---------------------------------------------------------------------------------------

    def _draw_line(self, figure: Figure | SubFigure) -> None:
        line = cast(Line, self.panels_[0])
        prepare(figure, 6.4, 5.6 if line.score is not None else 3.8)
        if line.score is None:
            self.axes_ = np.array([figure.subplots()], dtype=object)
        else:
            self.axes_ = np.asarray(figure.subplots(2, 1, sharex=True, height_ratios=(3, 1.6)))
        top, bottom = self.axes_[0], self.axes_[-1]
        draw_histogram(top, line)
        low = -0.045 * top.get_ylim()[1]
        top.plot(line.points, np.full(len(line.points), low / 2), "|", color=INK, alpha=0.35, ms=7, clip_on=False)
        top.set_ylim(bottom=low)
        top.set_ylabel("density")
        top.legend(loc="best", frameon=True, framealpha=0.85, edgecolor="none")
        if line.score is not None:
            bottom.axhline(0, color="0.7", lw=0.8)
            bottom.plot(line.x, line.score, color=ORANGE, lw=1.8)
            draw_ends(bottom, line)
            bottom.set_ylabel("score function")
            tidy(bottom)
            figure.align_ylabels(list(self.axes_))
        bottom.set_xlabel(line.name)
        self._put_title(figure)

    def _draw_plane(self, figure: Figure | SubFigure) -> None:
        prepare(figure, 6.4, 6.9)
        ax = figure.subplots()
        self.axes_ = np.array([ax], dtype=object)
        draw_plane(ax, cast(Plane, self.panels_[0]))
        ax.set_box_aspect(1)
        self._put_title(figure)
        legend_below(figure, self.panels_)

    def _draw_pairs(self, figure: Figure | SubFigure) -> None:
        n = len(self.features_)
        prepare(figure, 1.8 * n + 0.6, 1.8 * n + 0.9)
        self.axes_ = np.full((n, n), None, dtype=object)
        grid = figure.add_gridspec(n, n)
        panels = iter(self.panels_)
        for row in range(n):
            for column in range(row + 1):
                above = self.axes_[column, column] if row > column else None
                ax = figure.add_subplot(grid[row, column], sharex=above)
                self.axes_[row, column] = ax
                panel = next(panels)
                if isinstance(panel, Line):
                    draw_histogram(ax, panel)
                    ax.set_yticks([])
                    ax.spines["left"].set_visible(False)
                else:
                    draw_plane(ax, panel, small=True)
                    ax.set_xlabel("")
                    ax.set_ylabel("")
                ax.set_box_aspect(1)
                ax.locator_params(axis="x", nbins=4)
                if isinstance(panel, Plane):
                    ax.locator_params(axis="y", nbins=4)
                ax.tick_params(labelbottom=row == n - 1, labelleft=column == 0 and row > 0, labelsize="small")
                name = panel.name if isinstance(panel, Line) else panel.names[0]
                if row == n - 1:
                    ax.set_xlabel(wrapped(name), fontsize="small")
                if column == 0 and isinstance(panel, Plane):
                    ax.set_ylabel(wrapped(panel.names[1]), fontsize="small")
        figure.align_labels(list(self.axes_[np.tril_indices(n)]))
        self._put_title(figure)
        # The upper triangle is free for the key.
        if n > 2:
            figure.legend(
                handles=legend_handles(self.panels_), loc="upper right", bbox_to_anchor=(0.98, 0.86), frameon=False
            )
        else:
            legend_below(figure, self.panels_)

    def _draw_circle(self, figure: Figure | SubFigure) -> None:
        from matplotlib.collections import LineCollection

        line = cast(Line, self.panels_[0])
        assert line.density is not None
        assert line.score is not None
        prepare(figure, 10, 5.4)
        ring, unrolled = figure.subplots(1, 2, width_ratios=(1, 1.15))
        self.axes_ = np.array([ring, unrolled], dtype=object)
        angle = np.radians(line.x)
        radius = 1 + 0.75 * line.density / line.density.max()
        ring.fill(
            np.append(radius * np.cos(angle), np.cos(angle[::-1])),
            np.append(radius * np.sin(angle), np.sin(angle[::-1])),
            color=TINTS[1],
            lw=0,
        )
        ring.plot(radius * np.cos(angle), radius * np.sin(angle), color=BLUE, lw=1.8)
        ring.plot(np.cos(angle), np.sin(angle), color="0.6", lw=0.8)
        points = np.radians(line.points)
        directions = np.column_stack([np.cos(points), np.sin(points)])
        ring.add_collection(
            LineCollection(np.stack([0.93 * directions, directions], axis=1).tolist(), color=INK, alpha=0.35, lw=0.8)
        )
        # Arrows along the circle, inside of it.
        chosen = np.linspace(0, len(angle) - 1, 24, endpoint=False).astype(int)
        tangent = np.column_stack([-np.sin(angle), np.cos(angle)])[chosen] * line.score[chosen, None]
        longest = np.abs(line.score[chosen]).max() or 1.0
        ring.quiver(
            0.8 * np.cos(angle[chosen]), 0.8 * np.sin(angle[chosen]), tangent[:, 0], tangent[:, 1],
            angles="xy", scale_units="xy", scale=longest / 0.25, color=ORANGE, width=0.007,
        )  # fmt: skip
        ring.set_aspect("equal")
        ring.set_xlabel(self.feature_names[0])
        ring.set_ylabel(self.feature_names[1])
        tidy(ring)
        draw_histogram(unrolled, line)
        unrolled.set_xlabel(line.name)
        unrolled.set_ylabel("density per degree")
        unrolled.set_xticks([-180, -90, 0, 90, 180])
        self._put_title(figure)
        legend_below(figure, self.panels_)

    def _draw_hemispheres(self, figure: Figure | SubFigure) -> None:
        from matplotlib.patheffects import withStroke

        prepare(figure, 10.5, 6.2)
        axes = figure.subplots(1, 2)
        self.axes_ = np.asarray(axes)
        for ax, panel, name in zip(
            axes, cast(list[Hemisphere], self.panels_), ("towards the mean direction", "away from it"), strict=True
        ):
            draw_plane(ax, panel)
            turn = np.linspace(0, 2 * np.pi, 361)
            ax.plot(np.sqrt(2) * np.cos(turn), np.sqrt(2) * np.sin(turn), color="0.4", lw=1)
            poles = [*self.feature_names, *(f"−{label}" for label in self.feature_names)]
            for label, (x, y) in zip(poles, panel.poles, strict=True):
                if np.isfinite(x):
                    ax.plot(x, y, "+", color="black", ms=9, mew=1.4, zorder=5)
                    ax.annotate(
                        label, (x, y), (5, 5), textcoords="offset points", fontsize="small", zorder=5
                    ).set_path_effects([withStroke(linewidth=2.5, foreground="white")])
            ax.set_aspect("equal")
            ax.set_xlim(-1.52, 1.52)
            ax.set_ylim(-1.52, 1.52)
            ax.set_axis_off()
            ax.set_title(name, fontsize="medium")
        self._put_title(figure)
        legend_below(figure, self.panels_)

    def _draw_directions(self, figure: Figure | SubFigure) -> None:
        from matplotlib.patches import Circle

        n = len(self.features_)
        side = max(1, n - 1)
        prepare(figure, 2.1 * side + 0.6, 2.1 * side + 0.9)
        self.axes_ = np.full((side, side), None, dtype=object)
        grid = figure.add_gridspec(side, side)
        panels = iter(cast(list[Plane], self.panels_))
        for row in range(side):
            for column in range(row + 1):
                panel = next(panels)
                ax = self.axes_[row, column] = figure.add_subplot(grid[row, column])
                draw_plane(ax, panel, small=True, arrows=False)
                ax.add_patch(Circle((0, 0), 1, fill=False, color="0.6", lw=0.8))
                x, y = panel.scores[0]
                ax.quiver(
                    [0], [0], [x], [y], angles="xy", scale_units="xy", scale=1, color=ORANGE, width=0.015, zorder=4
                )
                ax.set_aspect("equal")
                ax.set_xlim(-1.08, 1.08)
                ax.set_ylim(-1.08, 1.08)
                if row < side - 1:
                    ax.set_xlabel("")
                if column > 0:
                    ax.set_ylabel("")
                ax.locator_params(nbins=5)
                ax.tick_params(labelbottom=row == side - 1, labelleft=column == 0, labelsize="small")
        self._put_title(figure)

    def _put_title(self, figure: Figure | SubFigure) -> None:
        put_title(figure, self.title, self.caption)
