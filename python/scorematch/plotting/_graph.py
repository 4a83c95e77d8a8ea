"""Pictures of interaction graphs: one of them, and how edges come in as the penalty falls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scorematch.plotting._display import Display, as_doubles
from scorematch.plotting._drawing import BLUE, INK, ORANGE
from scorematch.plotting._names import check_names, column_names, name_of, shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

    from scorematch._base import ScoreMatchingEstimator

Doubles = NDArray[np.float64]
Layout = Literal["auto", "circular", "spring"]

THINNEST, THICKEST = 0.6, 5.0
MOST_ON_CIRCLE = 60
LONGEST_NAME = 26


class GraphDisplay(Display):
    """The graph of an interaction matrix: columns that interact are joined.

    Edges are as wide as the interaction is strong, relative to the two diagonal entries: |K_ij| / √(K_ii K_jj), which
    does not depend on the units of the columns. A negative entry draws two columns to the same side, as in a precision
    matrix: its edge is solid and blue; that of a positive one is broken and orange. Make it with
    :meth:`from_estimator`.

    Parameters
    ----------
    interaction : array_like of shape (n_features, n_features)
        The matrix K, symmetric.
    positions : array_like of shape (n_features, 2)
        Where the nodes stand; in a circle around the origin with radius 1, or anywhere.
    names : sequence of str
        Their names.
    max_edges : int, default=300
        How many edges to draw at most, the strongest.
    title, caption : str
        The two lines above the picture.

    Attributes
    ----------
    figure_ : matplotlib Figure
        The figure.
    ax_ : matplotlib Axes
        The axes.
    edges : ndarray of shape (n_edges, 2)
        The pairs of nodes that are joined, the weakest first.
    strengths : ndarray of shape (n_edges,)
        How strong they are: in absolute value, relative to the diagonal.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> import numpy as np
    >>> import scorematch
    >>> from scorematch.plotting import GraphDisplay
    >>> X = np.abs(np.random.default_rng(0).normal(size=(500, 4)))
    >>> X[:, 1] += X[:, 0]
    >>> model = scorematch.TruncatedGaussian(alpha=0.1).fit(X)
    >>> GraphDisplay.from_estimator(model, feature_names=["ash", "beech", "cedar", "elder"]).edges
    array([[0, 1]])
    """

    def __init__(
        self,
        interaction: ArrayLike,
        positions: ArrayLike,
        names: Sequence[str],
        *,
        max_edges: int = 300,
        title: str = "Interaction graph",
        caption: str = "",
    ) -> None:
        K = as_doubles("interaction", interaction, 2)
        d = len(K)
        if K.shape != (d, d):
            raise ValueError(f"interaction must be square; got shape {K.shape}")
        self.interaction = K
        self.positions = as_doubles("positions", positions, 2)
        if self.positions.shape != (d, 2):
            raise ValueError(f"positions must have shape ({d}, 2); got {self.positions.shape}")
        self.names = check_names(names, d, "names")
        rows, columns = np.nonzero(np.triu(K, 1))
        strengths = np.abs(K[rows, columns]) / _scale(K)[rows, columns]
        order = np.argsort(strengths, kind="stable")
        self.n_edges = len(order)
        order = order[max(0, len(order) - max_edges) :]
        self.edges = np.column_stack([rows, columns])[order]
        self.strengths = strengths[order]
        self.title = title
        self.caption = caption

    @classmethod
    def from_estimator(
        cls,
        model: ScoreMatchingEstimator,
        *,
        feature_names: Sequence[str] | None = None,
        layout: Layout = "auto",
        max_edges: int = 300,
        title: str | None = None,
        figure: Figure | SubFigure | None = None,
        ax: Axes | None = None,
    ) -> Self:
        """Draw the graph of a fitted model.

        Parameters
        ----------
        model : estimator
            A fitted model that has ``interaction_``, or else a matrix ``precision_``.
        feature_names : sequence of str, optional
            Names of the columns; those of the data frame that the model was fitted to, or ``x0``, ``x1``, ... where
            None.
        layout : {"auto", "circular", "spring"}, default="auto"
            "circular" puts the nodes on a circle, neighbours of the graph near each other. "spring" is networkx's
            spring layout, which needs networkx. "auto" is "spring" where networkx is installed and there are more than
            60 nodes, whose names a circle has no room for.
        max_edges : int, default=300
            How many edges to draw at most, the strongest.
        title : str, optional
            The title; made from the model where None.
        figure : matplotlib Figure or SubFigure, optional
            Where to draw; a new figure of pyplot's where both are None.
        ax : matplotlib Axes, optional
            Where to draw.

        Returns
        -------
        GraphDisplay
            The display, drawn.
        """
        from scorematch._validation import check_count

        max_edges = check_count("max_edges", max_edges)
        model._check_is_fitted()
        K = np.asarray(getattr(model, "interaction_", getattr(model, "precision_", 0.0)), dtype=np.float64)
        if K.ndim != 2:
            raise ValueError(
                f"{name_of(model)} has no interaction matrix: neither interaction_ nor a matrix precision_"
            )
        names = column_names(model, feature_names, len(K))
        n_edges = int(np.count_nonzero(np.triu(K, 1)))
        shown = f", the {max_edges} strongest drawn" if n_edges > max_edges else ""
        pairs = len(K) * (len(K) - 1) // 2
        return cls(
            K,
            _positions(K, layout),
            names,
            max_edges=max_edges,
            title=title or f"Interaction graph of {name_of(model)}",
            caption=f"{n_edges} of {pairs} pairs interact{shown}",
        ).plot(figure=figure, ax=ax)

    def _size(self) -> tuple[float, float]:
        return 6.4, 6.9

    def _draw(self, axes: list[Axes]) -> None:
        from matplotlib.collections import LineCollection
        from matplotlib.lines import Line2D

        (ax,) = axes
        signs = np.sign(self.interaction[self.edges[:, 0], self.edges[:, 1]])
        strongest = float(self.strengths.max(initial=0.0))
        widths = THINNEST + (THICKEST - THINNEST) * self.strengths / (strongest or 1.0)
        handles = []
        for sign, colour, style, label in (
            (-1, BLUE, "-", "to the same side (K < 0)"), (1, ORANGE, (0, (3, 1.2)), "to opposite sides (K > 0)"),
        ):  # fmt: skip
            rows = signs == sign
            if rows.any():
                segments = self.positions[self.edges[rows]]
                ax.add_collection(
                    LineCollection(
                        segments.tolist(), linewidths=widths[rows], colors=colour, linestyles=style, alpha=0.75,
                        capstyle="butt", zorder=1, label=label,
                    )
                )  # fmt: skip
                handles.append(Line2D([], [], color=colour, ls=style, lw=2.2, label=label))
        if len(self.edges):
            strength = "|K_ij|/√(K_ii K_jj)" if (np.diagonal(self.interaction) > 0).all() else "|K_ij|"
            handles.append(Line2D([], [], color="0.4", lw=THICKEST, label=f"the widest: {strength} = {strongest:.2g}"))
        self._draw_nodes(ax)
        ax.set_aspect("equal")
        ax.set_axis_off()
        if handles:
            ax.legend(
                handles=handles, loc="upper center", bbox_to_anchor=(0.5, 0.0), ncols=1 if len(handles) < 3 else 2,
                fontsize="small", frameon=False,
            )  # fmt: skip

    def _draw_nodes(self, ax: Axes) -> None:
        joined = np.isin(np.arange(len(self.names)), self.edges)
        for rows, colour in ((joined, INK), (~joined, "0.65")):
            ax.plot(*self.positions[rows].T, "o", ms=8 if len(rows) <= 40 else 5, color=colour, mec="white", zorder=3)
        on_circle = bool(np.allclose(np.linalg.norm(self.positions, axis=1), 1))
        along_radius = on_circle and len(self.names) > 12
        size = 9.0 if len(self.names) <= 30 else 7.0 if len(self.names) <= 60 else 5.5
        away = self.positions if on_circle else self.positions - self._neighbours()
        self._write_names(ax, away, size, joined, along_radius=along_radius)
        # Room for the names, which axes do not know of.
        low, high = self.positions.min(axis=0), self.positions.max(axis=0)
        width = float((high - low).max()) or 1.0
        longest = max(len(shortened(name, LONGEST_NAME)) for name in self.names)
        margin = (0.08 + 0.019 * longest * size / 9) * width
        tall = margin if along_radius else 0.12 * width
        ax.set_xlim(low[0] - margin, high[0] + margin)
        ax.set_ylim(low[1] - tall, high[1] + tall)

    def _write_names(
        self, ax: Axes, away: Doubles, size: float, joined: NDArray[np.bool_], *, along_radius: bool
    ) -> None:
        """The name of each node in the direction `away`; turned into it, or level and beside the node."""
        from matplotlib.patheffects import withStroke

        for name, position, (right, up), active in zip(self.names, self.positions, away, joined, strict=True):
            angle = float(np.arctan2(up, right))
            leftwards = abs(angle) > np.pi / 2
            place: dict[str, Any] = {"ha": "right" if leftwards else "left", "va": "center"}
            if along_radius:  # and never upside down
                turn = np.degrees(angle)
                place |= {"rotation": turn + 180 if leftwards else turn, "rotation_mode": "anchor"}
            elif abs(np.sin(angle)) >= 0.6:
                place = {"ha": "center", "va": "bottom" if angle > 0 else "top"}
            ax.annotate(
                shortened(name, LONGEST_NAME), tuple(position), (9 * np.cos(angle), 9 * np.sin(angle)),
                textcoords="offset points", fontsize=size, color=INK if active else "0.55", zorder=4, **place,
            ).set_path_effects([withStroke(linewidth=2.5, foreground="white")])  # fmt: skip

    def _neighbours(self) -> Doubles:
        """The middle of each node's neighbours, from which its name is to keep away; of all nodes where it has none."""
        middles = np.tile(self.positions.mean(axis=0), (len(self.names), 1))
        for node in range(len(self.names)):
            others = self.edges[(self.edges == node).any(axis=1)]
            if len(others):
                middles[node] = self.positions[others[others != node]].mean(axis=0)
        return middles


def _scale(K: Doubles) -> Doubles:
    """√(K_ii K_jj); 1 where a diagonal entry is not positive, as happens in models that live by truncation."""
    diagonal = np.diagonal(K)
    return np.asarray(np.sqrt(np.outer(diagonal, diagonal))) if (diagonal > 0).all() else np.ones_like(K)


def _positions(K: Doubles, layout: Layout) -> Doubles:
    if layout not in ("auto", "circular", "spring"):
        raise ValueError(f"layout must be 'auto', 'circular' or 'spring'; got {layout!r}")
    if layout == "spring" or (layout == "auto" and len(K) > MOST_ON_CIRCLE):
        try:
            return _spring(K)
        except ImportError as error:
            if layout == "spring":
                raise ImportError("layout='spring' needs networkx: pip install 'scorematch[graph]'") from error
    return _circle(K)


def _circle(K: Doubles) -> Doubles:
    """Around a circle from the top, in an order that keeps neighbours close (reverse Cuthill-McKee)."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import reverse_cuthill_mckee

    order = reverse_cuthill_mckee(csr_array(K != 0), symmetric_mode=True)
    angle = np.empty(len(K))
    angle[order] = np.pi / 2 - 2 * np.pi * np.arange(len(K)) / len(K)
    return np.column_stack([np.cos(angle), np.sin(angle)])


def _spring(K: Doubles) -> Doubles:
    import networkx

    graph = networkx.Graph()
    graph.add_nodes_from(range(len(K)))
    strengths = np.abs(K) / _scale(K)
    graph.add_weighted_edges_from((i, j, strengths[i, j]) for i, j in zip(*np.nonzero(np.triu(K, 1)), strict=True))
    placed = networkx.spring_layout(graph, seed=0, k=2 / np.sqrt(len(K)), iterations=200)
    return np.array([placed[i] for i in range(len(K))])
