"""Figures of the report and the README."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import peers

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.ticker import FuncFormatter, NullLocator

# Okabe and Ito's colours, which the colour-blind can tell apart, and other markers for print in grey.
COLOURS = ("#0072B2", "#56B4E9", "#D55E00", "#E69F00", "#CC79A7", "#009E73")


def draw_ratios(ratios: dict[str, dict[str, list[float]]], path: Path) -> None:
    """Ratios with their quartiles, a row for each workload."""
    styles = dict(zip(peers.NAMES, zip(COLOURS, "oossD^", strict=True), strict=True))
    names = list(ratios)[::-1]
    figure, axes = plt.subplots(figsize=(9, 0.62 * len(names) + 1.6), layout="constrained")
    for row, name in enumerate(names):
        axes.axhspan(row - 0.5, row + 0.5, color="#f4f4f4" if row % 2 else "white", zorder=0)
        for place, (peer, (colour, marker)) in enumerate(styles.items()):
            if peer in ratios[name]:
                lower, median, upper = ratios[name][peer]
                axes.errorbar(
                    median,
                    row + 0.12 * (len(styles) / 2 - 0.5 - place),
                    xerr=[[median - lower], [upper - median]],
                    fmt=marker,
                    color=colour,
                    mfc="white" if "tuned" in peer else colour,
                    ms=5.5,
                    capsize=2,
                )
    axes.axvline(1, color="black", lw=1)
    axes.set(xscale="log", yticks=range(len(names)), yticklabels=names, ylim=(-0.5, len(names) - 0.5))
    axes.set_xlabel("time of the peer ÷ time of scorematch (above 1×: scorematch is faster)")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}×"))
    axes.grid(axis="x", which="major", color="#bbbbbb", lw=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.tick_params(axis="y", length=0)
    handles = [
        plt.Line2D([], [], color=colour, marker=marker, ls="", mfc="white" if "tuned" in peer else colour, label=peer)
        for peer, (colour, marker) in styles.items()
        if any(peer in found for found in ratios.values())
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles), frameon=False)
    _save(figure, path)


def draw_scaling(scaling: dict[str, dict[str, float]], path: Path) -> None:
    """Time against the number of columns, a line for each contender; ours filled."""
    markers = "oDos^v"
    figure, axes = plt.subplots(figsize=(7.5, 5), layout="constrained")
    columns = sorted({int(d) for series in scaling.values() for d in series})
    for (name, series), colour, marker in zip(scaling.items(), COLOURS, markers, strict=False):
        d = sorted(map(int, series))
        ours = name.startswith("scorematch")
        axes.plot(
            d,
            [series[str(each)] for each in d],
            marker=marker,
            color=colour,
            ls="-" if ours else "--",
            mfc=colour if ours else "white",
            label=name,
        )
    axes.set(xscale="log", yscale="log", xticks=columns, xticklabels=columns)
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(_duration))
    axes.set_xlabel("columns d of 1000 rows")
    axes.set_ylabel("time, one thread")
    axes.grid(which="major", color="#bbbbbb", lw=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.legend(frameon=False)
    _save(figure, path)


def _duration(seconds: float, _: object = None) -> str:
    return f"{seconds:g} s" if seconds >= 1 else f"{1e3 * seconds:g} ms"


def _save(figure: plt.Figure, path: Path) -> None:
    figure.savefig(path, dpi=150)
    plt.close(figure)
