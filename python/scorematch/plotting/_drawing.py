"""How panels are drawn with matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from scorematch.plotting._names import title_lines
from scorematch.plotting._panels import ARROWS_PER_SIDE, PROBABILITIES, Line, Plane

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure


# Okabe and Ito's colours, which the colour-blind can tell apart; tints of the blue for the regions.
INK, BLUE, ORANGE = "#333333", "#0072B2", "#D55E00"
OUTSIDE = "#ECECEC"
ARROW: dict[str, Any] = {"color": ORANGE, "headwidth": 4, "headlength": 4.5, "headaxislength": 4}
# No arrow is longer than this many times the length that fills a cell.
LONGEST_ARROW = 1.5
CYCLE = (BLUE, ORANGE, "#009E73", "#CC79A7", "#E69F00", "#56B4E9", INK, "#8C6D1F")
TINTS = ("#DCEBF5", "#A9CFE6", "#6CADD3")


def draw_histogram(ax: Axes, line: Line) -> None:
    bins = np.histogram_bin_edges(line.points, "auto")
    if len(bins) > 61:
        bins = np.linspace(bins[0], bins[-1], 61)
    # No bar stands on both sides of a boundary.
    for end in line.boundary[(line.boundary > bins[0]) & (line.boundary < bins[-1])]:
        far = np.abs(bins - end) > (bins[1] - bins[0]) / 2
        far[[0, -1]] = True
        bins = np.sort(np.append(bins[far], end))
    ax.hist(line.points, bins=bins.tolist(), weights=line.weights, density=True, color="0.82", label="data")
    if line.density is not None:
        ax.fill_between(line.x, line.density, color=TINTS[1], alpha=0.35, lw=0)
        ax.plot(line.x, line.density, color=BLUE, lw=1.8, label="fitted density")
    draw_ends(ax, line)
    ax.set_xlim(line.x[0], line.x[-1])
    ax.set_ylim(bottom=0)
    tidy(ax)


def draw_ends(ax: Axes, line: Line) -> None:
    """What does not belong to the domain, and where it ends."""
    for low, high in line.outside:
        ax.axvspan(low, high, color=OUTSIDE, lw=0, zorder=0)
    for end in line.boundary:
        ax.axvline(end, color=INK, lw=1.2, zorder=1)


def draw_domain(ax: Axes, plane: Plane) -> list[Any]:
    """The domain, white on grey, with its boundary; gives its patches, at which to clip."""
    if plane.areas is None:
        return []
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    ax.set_facecolor(OUTSIDE)
    if not plane.areas:
        return []
    path = Path.make_compound_path(*(Path(vertices, codes) for vertices, codes in plane.areas))
    patch = ax.add_patch(PathPatch(path, facecolor="white", lw=0, zorder=0))
    for line in plane.boundary:
        ax.plot(*line.T, color=INK, lw=1.2, zorder=2.5, label="boundary")
    return [patch]


def continued(density: NDArray[np.float64]) -> NDArray[np.float64]:
    """A density on a grid, continued beyond the domain by its values next to it, so that contours end at no step."""
    from scipy.ndimage import distance_transform_edt

    i, j = distance_transform_edt(np.isnan(density), return_distances=False, return_indices=True)
    return np.asarray(density[i, j])


def draw_plane(ax: Axes, plane: Plane, *, small: bool = False, arrows: bool = True) -> None:
    domain = draw_domain(ax, plane)
    if plane.density is not None:
        density = plane.density if plane.areas is None else continued(plane.density)
        levels = [*plane.levels, max(float(np.nanmax(density)), float(np.nextafter(plane.levels[-1], np.inf)))]
        drawn_sets = [
            ax.contourf(plane.x, plane.y, density, levels=levels, colors=TINTS, zorder=1),
            ax.contour(
                plane.x, plane.y, density, levels=levels[:-1],
                colors=BLUE, linewidths=0.5 if small else 0.9, zorder=2,
            ),
        ]  # fmt: skip
        for drawn_set in drawn_sets:
            for patch in domain:
                drawn_set.set_clip_path(patch)
    crowded = min(1.0, (300 / max(1, len(plane.points))) ** 0.5)
    ax.plot(
        plane.points[:, 0], plane.points[:, 1], "o",
        ms=(2.2 if small else 3.4) * (0.5 + 0.5 * crowded), color=INK, mew=0, alpha=0.25 + 0.4 * crowded, zorder=3,
    )  # fmt: skip
    if len(plane.x):
        ax.set_xlim(plane.x[0], plane.x[-1])
        ax.set_ylim(plane.y[0], plane.y[-1])
    if arrows and len(plane.positions):
        widths = np.array([plane.x[-1] - plane.x[0], plane.y[-1] - plane.y[0]])
        # In units of the axes' widths, so that arrows are gradients of the picture as drawn.
        drawn = plane.scores * widths
        lengths = np.hypot(*drawn.T)
        longest = float(np.quantile(lengths, 0.95)) or 1.0
        drawn = drawn / np.maximum(1.0, lengths / (LONGEST_ARROW * longest))[:, None]
        scale = longest * ARROWS_PER_SIDE / 0.85
        # Arrows that would leave the domain end where others begin.
        leaves = _leaves(plane, domain, plane.positions + drawn / scale * widths)
        for pivot, rows in (("tail", ~leaves), ("tip", leaves)):
            if rows.any():
                arrows_drawn = ax.quiver(
                    *plane.positions[rows].T, *drawn[rows].T, pivot=pivot, scale=scale, scale_units="width",
                    angles="uv", width=0.006 if small else 0.004, zorder=4, **ARROW,
                )  # fmt: skip
                for patch in domain:
                    arrows_drawn.set_clip_path(patch)
    ax.set_xlabel(plane.names[0])
    ax.set_ylabel(plane.names[1])
    tidy(ax)


def _leaves(plane: Plane, domain: Sequence[Any], tips: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which of the points are outside of the domain."""
    if not domain:
        return np.full(len(tips), False)
    return ~np.asarray(domain[0].get_path().contains_points(tips))


def tidy(ax: Axes) -> None:
    ax.spines[["top", "right"]].set_visible(False)


def legend_handles(panels: Sequence[Line | Plane]) -> list[Any]:
    """The key to all that is drawn in the panels."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    planes = [panel for panel in panels if isinstance(panel, Plane)]
    lines = [panel for panel in panels if isinstance(panel, Line)]
    handles: list[Any] = []
    if planes:
        handles.append(Line2D([], [], marker="o", ls="", ms=4, color=INK, alpha=0.7, label="data"))
    if any(plane.density is not None for plane in planes):
        handles += [
            Patch(facecolor=tint, edgecolor=BLUE, lw=0.9, label=f"{start}{100 * probability:.0f} %")
            for tint, probability, start in zip(
                TINTS[::-1], PROBABILITIES[::-1], ("fitted density: ", "", ""), strict=True
            )
        ]
    if lines:
        handles.append(Patch(facecolor="0.82", label="histogram of the data"))
    if any(line.density is not None for line in lines):
        handles.append(Line2D([], [], color=BLUE, lw=1.8, label="fitted density"))
    if any(plane.boundary for plane in planes) or any(len(line.boundary) for line in lines):
        handles.append(Line2D([], [], color=INK, lw=1.2, label="boundary"))
    if any(len(plane.positions) and len(plane.x) for plane in planes) or any(
        line.score is not None for line in lines if not planes
    ):
        handles.append(Line2D([], [], marker=r"$\rightarrow$", ls="", ms=12, color=ORANGE, label="score function"))
    return handles


def legend(ax: Axes, panels: Sequence[Line | Plane]) -> None:
    ax.legend(handles=legend_handles(panels), fontsize="small", framealpha=0.85)


def legend_below(figure: Figure | SubFigure, panels: Sequence[Line | Plane]) -> None:
    handles = legend_handles(panels)
    n_rows = 1 if len(handles) < 6 or width_of(figure) > 8 else 2
    figure.legend(
        handles=handles,
        loc="outside lower center",
        ncols=-(-len(handles) // n_rows),
        frameon=False,
        fontsize="small",
        columnspacing=1.5,
    )


def width_of(figure: Figure | SubFigure) -> float:
    """In inches."""
    return float(figure.bbox.width / figure.dpi)


def put_title(figure: Figure | SubFigure, title: str, caption: str) -> None:
    """Two lines or more above a figure, no wider than it is."""
    figure.suptitle("\n".join(title_lines(width_of(figure), title, caption)), fontsize="medium")


def put_axes_title(ax: Axes, title: str, caption: str) -> None:
    """The same above axes."""
    figure = ax.get_figure()
    width = ax.get_position().width * (width_of(figure) if figure else 6.4)
    ax.set_title("\n".join(title_lines(width, title, caption)), fontsize="medium")


def spread_out(heights: NDArray[np.float64], gap: float) -> NDArray[np.float64]:
    """Falling heights, moved apart to at least `gap`, as little as may be: their places for labels."""
    from sklearn.isotonic import isotonic_regression

    steps = gap * np.arange(len(heights))
    # With the gaps added, what is asked for is that they fall.
    return np.asarray(isotonic_regression(heights + steps, increasing=False)) - steps if len(heights) else heights


def prepare(figure: Figure | SubFigure, width: float, height: float) -> None:
    """Size and layout of a figure that has not been given its own."""
    from matplotlib import rcParams
    from matplotlib.figure import Figure

    if isinstance(figure, Figure):
        if list(figure.get_size_inches()) == list(rcParams["figure.figsize"]):
            figure.set_size_inches(width, height)
        if figure.get_layout_engine() is None:
            figure.set_layout_engine("constrained")
