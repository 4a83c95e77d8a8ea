"""The picture of an interaction graph's path: coefficients over the penalty."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scorematch.plotting._display import Display, as_doubles
from scorematch.plotting._drawing import CYCLE, INK, spread_out, tidy
from scorematch.plotting._names import check_names, column_names, numbered, shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

    from scorematch._base import ScoreMatchingEstimator
    from scorematch._interaction_path import InteractionPath

Doubles = NDArray[np.float64]


class PathDisplay(Display):
    """How interactions come in as the penalty falls.

    A line for each pair of columns that interacts anywhere on the path: its coefficient K_ij, over the penalty alpha,
    which falls from left to right. The axis above counts the edges. Make it with :meth:`from_path` or, of a model that
    chose its penalty on a path, with :meth:`from_estimator`.

    Parameters
    ----------
    alphas : array_like of shape (n_alphas,)
        The penalties, falling.
    coefficients : array_like of shape (n_alphas, n_pairs)
        The interactions of the pairs.
    n_edges : array_like of shape (n_alphas,)
        How many pairs interact, those that are not drawn among them.
    names : sequence of str
        The names of the pairs.
    alpha : float, optional
        The penalty that was chosen.
    n_labels : int, default=8
        How many lines have a colour and a name: those that end furthest from 0. The others are grey.
    title, caption : str
        The two lines above the picture.

    Attributes
    ----------
    figure_ : matplotlib Figure
        The figure.
    ax_ : matplotlib Axes
        The axes.
    labelled : ndarray of shape (n_labelled,)
        The pairs with names, from the top down.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> import numpy as np
    >>> import scorematch
    >>> from scorematch.plotting import PathDisplay
    >>> X = np.abs(np.random.default_rng(0).normal(size=(500, 3)))
    >>> X[:, 1] += X[:, 0]
    >>> path = scorematch.interaction_path(X, n_alphas=20)
    >>> display = PathDisplay.from_path(path, feature_names=["ash", "beech", "cedar"])
    >>> display.ax_.get_xlabel()
    'penalty alpha'
    """

    def __init__(
        self,
        alphas: ArrayLike,
        coefficients: ArrayLike,
        n_edges: ArrayLike,
        names: Sequence[str],
        *,
        alpha: float | None = None,
        n_labels: int = 8,
        title: str = "Path of interactions",
        caption: str = "",
    ) -> None:
        self.alphas = as_doubles("alphas", alphas, 1)
        self.coefficients = as_doubles("coefficients", coefficients, 2)
        if len(self.coefficients) != len(self.alphas):
            raise ValueError(f"coefficients must have {len(self.alphas)} rows; got {len(self.coefficients)}")
        self.n_edges = np.asarray(n_edges)
        self.names = check_names(names, self.coefficients.shape[1], "names")
        self.alpha = alpha
        last = self.coefficients[-1]
        strongest = np.argsort(-np.abs(last), kind="stable")[: min(n_labels, len(CYCLE))]
        self.labelled = strongest[np.argsort(-last[strongest], kind="stable")]
        self.title = title
        self.caption = caption

    @classmethod
    def from_path(
        cls,
        path: InteractionPath,
        *,
        feature_names: Sequence[str] | None = None,
        alpha: float | None = None,
        n_labels: int = 8,
        max_lines: int = 300,
        title: str | None = None,
        figure: Figure | SubFigure | None = None,
        ax: Axes | None = None,
    ) -> Self:
        """Draw what :func:`scorematch.interaction_path` gives.

        Parameters
        ----------
        path : InteractionPath
            The path.
        feature_names : sequence of str, optional
            Names of the columns; ``x0``, ``x1``, ... where None.
        alpha : float, optional
            A penalty to mark, such as the one that was chosen.
        n_labels : int, default=8
            How many lines have a colour and a name, at most 8: those that end furthest from 0.
        max_lines : int, default=300
            How many lines to draw at most: those that end, or where they end at 0 reach, furthest from 0.
        title : str, optional
            The title.
        figure : matplotlib Figure or SubFigure, optional
            Where to draw; a new figure of pyplot's where both are None.
        ax : matplotlib Axes, optional
            Where to draw.

        Returns
        -------
        PathDisplay
            The display, drawn.
        """
        from scorematch._validation import check_count

        n_labels = check_count("n_labels", n_labels, lowest=0)
        max_lines = check_count("max_lines", max_lines)
        d = path.interaction(0).shape[0]
        columns = numbered(d) if feature_names is None else check_names(feature_names, d)
        upper = np.triu_indices(d, 1)
        coefficients = np.stack([path.interaction(position)[upper] for position in range(len(path))])
        drawn = np.flatnonzero(coefficients.any(axis=0))
        furthest = np.lexsort((np.abs(coefficients).max(axis=0)[drawn], np.abs(coefficients[-1, drawn])))
        chosen = np.sort(drawn[furthest[::-1][:max_lines]])
        caption = f"{len(drawn)} of {len(upper[0])} pairs of columns interact somewhere on it; scaled data"
        if len(chosen) < len(drawn):
            caption += f"; the {len(chosen)} strongest drawn"
        return cls(
            path.alphas,
            coefficients[:, chosen],
            path.n_edges,
            [f"{columns[upper[0][pair]]} – {columns[upper[1][pair]]}" for pair in chosen],
            alpha=alpha,
            n_labels=n_labels,
            title=title or "Interactions as the penalty falls",
            caption=caption,
        ).plot(figure=figure, ax=ax)

    @classmethod
    def from_estimator(
        cls, model: ScoreMatchingEstimator, *, feature_names: Sequence[str] | None = None, **options: Any
    ) -> Self:
        """Draw the path on which a fitted model chose its penalty.

        Parameters
        ----------
        model : PairwiseInteractionIC or PairwiseInteractionCV
            A fitted model that has ``path_`` and ``alpha_``.
        feature_names : sequence of str, optional
            Names of the columns; those of the data frame that the model was fitted to, or ``x0``, ``x1``, ... where
            None.
        **options
            As of :meth:`from_path`.

        Returns
        -------
        PathDisplay
            The display, drawn.
        """
        model._check_is_fitted()
        path = getattr(model, "path_", None)
        if path is None:
            raise ValueError(f"{type(model).__name__} has no path_; pass what interaction_path gives to from_path")
        names = column_names(model, feature_names, path.interaction(0).shape[0])
        return cls.from_path(path, feature_names=names, **{"alpha": model.alpha_, **options})

    def _size(self) -> tuple[float, float]:
        return 7.6, 5.2

    def _draw(self, axes: list[Axes]) -> None:
        from matplotlib.patheffects import withStroke
        from matplotlib.ticker import LogLocator

        (ax,) = axes
        others = np.setdiff1d(np.arange(len(self.names)), self.labelled)
        if len(others):
            ax.plot(self.alphas, self.coefficients[:, others], color="0.78", lw=0.8, zorder=1)
        for pair, colour in zip(self.labelled, CYCLE, strict=False):
            ax.plot(self.alphas, self.coefficients[:, pair], color=colour, lw=1.8, zorder=2, label=self.names[pair])
        ax.axhline(0, color="0.6", lw=0.8, zorder=0)
        if self.alphas.min() > 0:
            ax.set_xscale("log")
            ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=50))
            ax.xaxis.set_major_formatter("{x:g}")
            ax.minorticks_off()
        if len(self.alphas) > 1:
            ax.set_xlim(self.alphas[0], self.alphas[-1])
        if self.alpha is not None:
            ax.axvline(self.alpha, color=INK, lw=1.2, ls="--", zorder=3)
            ax.annotate(
                f"chosen, {self.alpha:.3g}", (self.alpha, 0.02), (-4, 0), xycoords=("data", "axes fraction"),
                textcoords="offset points", rotation=90, ha="right", va="bottom", fontsize="small", color=INK,
                path_effects=[withStroke(linewidth=2.5, foreground="white")],
            )  # fmt: skip
        ax.margins(y=0.08)
        ax.set_xlabel("penalty alpha")
        ax.set_ylabel("interaction $K_{ij}$")
        self._name_lines(ax)
        self._count_edges(ax)
        tidy(ax)

    def _name_lines(self, ax: Axes) -> None:
        low, high = ax.get_ylim()
        heights = spread_out(self.coefficients[-1, self.labelled], 0.052 * (high - low))
        for pair, height, colour in zip(self.labelled, heights, CYCLE, strict=False):
            ax.annotate(
                shortened(self.names[pair], 36), (1, self.coefficients[-1, pair]), (1.03, height),
                xycoords=("axes fraction", "data"), textcoords=("axes fraction", "data"), va="center",
                fontsize="small", color=colour, annotation_clip=False,
                arrowprops={"arrowstyle": "-", "color": colour, "lw": 0.7, "shrinkA": 1, "shrinkB": 0},
            )  # fmt: skip

    def _count_edges(self, ax: Axes) -> None:
        """An axis above, with the number of edges at some of the penalties."""
        above = ax.secondary_xaxis("top")
        ticks = np.unique(np.linspace(0, len(self.alphas) - 1, min(8, len(self.alphas))).astype(int))
        above.set_xticks(self.alphas[ticks], [str(count) for count in self.n_edges[ticks]], fontsize="small")
        above.minorticks_off()
        above.set_xlabel("number of edges", fontsize="small")
