"""How panels are drawn with matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from scorematch.plotting._panels import ARROWS_PER_SIDE, PROBABILITIES, Line, Plane

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure


# Okabe and Ito's colours, which the colour-blind can tell apart; tints of the blue for the regions.
INK, BLUE, ORANGE = "#333333", "#0072B2", "#D55E00"
TINTS = ("#DCEBF5", "#A9CFE6", "#6CADD3")


def draw_histogram(ax: Axes, line: Line) -> None:
    bins = np.histogram_bin_edges(line.points, "auto")
    if len(bins) > 61:
        bins = np.linspace(bins[0], bins[-1], 61)
    ax.hist(line.points, bins=bins.tolist(), weights=line.weights, density=True, color="0.82", label="data")
    if line.density is not None:
        ax.fill_between(line.x, line.density, color=TINTS[1], alpha=0.35, lw=0)
        ax.plot(line.x, line.density, color=BLUE, lw=1.8, label="fitted density")
    ax.set_xlim(line.x[0], line.x[-1])
    ax.set_ylim(bottom=0)
    tidy(ax)


def draw_plane(ax: Axes, plane: Plane, *, small: bool = False, arrows: bool = True) -> None:
    if plane.density is not None:
        levels = [*plane.levels, max(float(np.nanmax(plane.density)), float(np.nextafter(plane.levels[-1], np.inf)))]
        ax.contourf(plane.x, plane.y, plane.density, levels=levels, colors=TINTS, zorder=1)
        ax.contour(
            plane.x, plane.y, plane.density, levels=levels[:-1],
            colors=BLUE, linewidths=0.5 if small else 0.9, zorder=2,
        )  # fmt: skip
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
        ax.quiver(
            plane.positions[:, 0], plane.positions[:, 1], drawn[:, 0], drawn[:, 1],
            angles="uv", scale_units="width", scale=longest * ARROWS_PER_SIDE / 0.85,
            color=ORANGE, width=0.006 if small else 0.004, headwidth=4, headlength=4.5, headaxislength=4, zorder=4,
        )  # fmt: skip
    ax.set_xlabel(plane.names[0])
    ax.set_ylabel(plane.names[1])
    tidy(ax)


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
    if any(len(plane.positions) and len(plane.x) for plane in planes) or any(
        line.score is not None for line in lines if not planes
    ):
        handles.append(Line2D([], [], marker=r"$\rightarrow$", ls="", ms=12, color=ORANGE, label="score function"))
    return handles


def legend(ax: Axes, panels: Sequence[Line | Plane]) -> None:
    ax.legend(handles=legend_handles(panels), fontsize="small", framealpha=0.85)


def legend_below(figure: Figure | SubFigure, panels: Sequence[Line | Plane]) -> None:
    handles = legend_handles(panels)
    figure.legend(
        handles=handles,
        loc="outside lower center",
        ncols=len(handles),
        frameon=False,
        fontsize="small",
        columnspacing=1.5,
    )


def wrapped(name: str) -> str:
    """A long name on two lines."""
    import textwrap

    return "\n".join(textwrap.wrap(name, 22, break_long_words=False))


def prepare(figure: Figure | SubFigure, width: float, height: float) -> None:
    """Size and layout of a figure that has not been given its own."""
    from matplotlib import rcParams
    from matplotlib.figure import Figure

    if isinstance(figure, Figure):
        if list(figure.get_size_inches()) == list(rcParams["figure.figsize"]):
            figure.set_size_inches(width, height)
        if figure.get_layout_engine() is None:
            figure.set_layout_engine("constrained")
