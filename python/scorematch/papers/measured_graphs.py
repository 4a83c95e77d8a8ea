"""Graphs of measurements that cannot be negative: the chemistry of wines, and the nuclei of cells of tumours.

Two data sets that scikit-learn ships: 13 constituents of 178 wines of three cultivars (Forina et al.), and the nuclei
of cells in 569 images of breast tumours (Street, Wolberg and Mangasarian 1993), the means over the nuclei of an image.
Of the latter the perimeter and the area are left out, since the radius gives them; and images with a concavity of 0 are
dropped, since they lie on the boundary, where a density gives no probability.

The model is the exponential square-root one, a = b = 1/2, which has a place for skewed columns:

    log p(x) = −√xᵀ K √x + 2 ηᵀ√x + const,        x ≥ 0.

Columns are divided by their standard deviations, and have the weight min(x, 1), so that all count alike, however far
from 0 they are. What is drawn is the strength −K_ij/√(K_ii K_jj), which for a Gaussian is the partial correlation:
positive where two columns rise together, all others given.

Which edges there are is answered twice: by the extended Bayesian information criterion, and by stability selection,
whose edges are found in three of four halves of the data, along a path so short that no more than a few of them are
false. Where the columns are shuffled, each by itself, there is no edge to find; so these are counted too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

import scorematch
from scorematch.papers._paper import CERTAINTY, Claim, Findings, Paper, Table
from scorematch.plotting._drawing import BLUE, INK, ORANGE, prepare

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Doubles = NDArray[np.float64]
Graph = NDArray[np.bool_]

SHUFFLES, QUICK_SHUFFLES = 40, 8
SUBSAMPLES, QUICK_SUBSAMPLES = 100, 40
FALSE_EDGES = 3.0  # how many false edges stability selection may find in the mean
STRONGEST = 12  # edges in the table
NEGLIGIBLE = 0.1  # strengths below are not drawn
OPTIONS: dict[str, Any] = {"a": 0.5, "b": 0.5, "scale": "sd", "diagonal_multiplier": 1.0, "alpha_min_ratio": 0.01}
# What is known: flavanoids are phenols and proanthocyanins are flavanoids, and OD280/OD315 measures their amount; a
# compact nucleus has no dents, which concavity and concave points measure by their depth and their number.
CHEMISTRY = (("flavanoids", "total phenols"), ("flavanoids", "proanthocyanins"), ("flavanoids", "OD280/OD315"))
SHAPES = (("compactness", "concavity"), ("concavity", "concave points"))


@dataclass(frozen=True)
class Measurements:
    """Rows inside the orthant, the names of the columns, and what is known of them."""

    title: str
    X: Doubles
    names: Sequence[str]
    n_dropped: int
    expected: Sequence[tuple[str, str]]

    @property
    def n_pairs(self) -> int:
        return len(self.names) * (len(self.names) - 1) // 2


@dataclass(frozen=True)
class Found:
    """What was found in measurements."""

    data: Measurements
    strength: Doubles  # (d, d), by the information criterion
    probability: Doubles  # (d, d), by stability selection
    stable: Graph
    residual: float  # of the conditions of a minimum
    in_other_units: float  # the largest change of a strength
    shuffled: Doubles  # (repeats, 2), edges where there are none, by both

    @property
    def n_edges(self) -> int:
        return int(np.count_nonzero(np.triu(self.strength, 1)))

    @property
    def n_stable(self) -> int:
        return int(np.count_nonzero(np.triu(self.stable)))

    def edges(self) -> Iterator[tuple[int, int]]:
        """Pairs of columns, the strongest first."""
        i, j = np.nonzero(np.triu(self.strength, 1))
        for k in np.argsort(-np.abs(self.strength[i, j])):
            yield int(i[k]), int(j[k])

    def table(self) -> Table:
        pairs = list(self.edges())[:STRONGEST]
        dropped = f", {self.data.n_dropped} rows with a 0 dropped" if self.data.n_dropped else ""
        return Table(
            f"{self.data.title} (n = {len(self.data.X)}, d = {len(self.data.names)}{dropped}): {self.n_edges} of "
            f"{self.data.n_pairs} pairs are edges, {self.n_stable} are stable; the strongest",
            {
                "edge": [f"{self.data.names[i]}, {self.data.names[j]}" for i, j in pairs],
                "strength": [f"{self.strength[pair]: .2f}" for pair in pairs],
                "part of the halves": [f"{self.probability[pair]:.2f}" for pair in pairs],
                "stable": ["yes" if self.stable[pair] else "" for pair in pairs],
            },
        )

    def claims(self) -> Iterator[Claim]:
        title = self.data.title
        at = {name: k for k, name in enumerate(self.data.names)}
        known = [(at[first], at[second]) for first, second in self.data.expected]
        yield Claim.at_most(f"{title}: all graphs of the path meet the conditions of a minimum", self.residual, 1e-8)
        yield Claim.at_most(
            f"{title}: units make no difference, largest change of a strength where each column has another",
            self.in_other_units, 1e-5,
        )  # fmt: skip
        yield Claim.at_least(
            f"{title}: what measures the same rises together, least strength among "
            + ", ".join(" and ".join(pair) for pair in self.data.expected),
            min(self.strength[pair] for pair in known), NEGLIGIBLE,
        )  # fmt: skip
        yield Claim.at_least(f"{title}: and these edges are stable, least part of the halves",
                             min(self.probability[pair] for pair in known), 0.75)  # fmt: skip
        mean, error = self.shuffled.mean(axis=0), standard_error(self.shuffled)
        yield Claim.at_most(
            f"{title}, shuffled: stability selection keeps its promise of at most {FALSE_EDGES:g} false edges in the "
            f"mean, less {CERTAINTY} standard errors of {error[1]:.2g}",
            mean[1] - CERTAINTY * error[1], FALSE_EDGES,
        )  # fmt: skip
        yield Claim.at_most(f"{title}, shuffled: false edges by the information criterion, part of those in the data",
                            mean[0] / self.n_edges, 0.1)  # fmt: skip


def experiment(seed: int, quick: bool) -> Findings:
    found = [study(data, seed, quick) for data in (wines(), nuclei())]
    summary = Table(
        "how many edges there are, and how many are found in shuffled columns, mean ± standard error",
        {
            "": [one.data.title for one in found],
            "pairs": [one.data.n_pairs for one in found],
            "criterion": [one.n_edges for one in found],
            "shuffled": [mean_and_error(one.shuffled[:, 0]) for one in found],
            "stable": [one.n_stable for one in found],
            "shuffled ": [mean_and_error(one.shuffled[:, 1]) for one in found],
        },
    )

    def draw(figure: Figure) -> None:
        prepare(figure, 13, 6)
        for ax, one in zip(figure.subplots(1, len(found)), found, strict=True):
            draw_graph(ax, one)
        figure.legend(handles=legend_handles(), loc="outside lower center", ncols=4, frameon=False, fontsize="small")

    return Findings(
        [*(one.table() for one in found), summary], [claim for one in found for claim in one.claims()], draw
    )


# -- the data ------------------------------------------------------------------------------------------------------


def wines() -> Measurements:
    from sklearn.datasets import load_wine

    data = load_wine()
    short = {
        "od280/od315_of_diluted_wines": "OD280/OD315",
        "alcalinity_of_ash": "alkalinity of ash",
        "color_intensity": "colour intensity",
    }
    names = [short.get(name, name.replace("_", " ")) for name in data.feature_names]
    return inside("wines", data.data, names, CHEMISTRY)


def nuclei() -> Measurements:
    from sklearn.datasets import load_breast_cancer

    data = load_breast_cancer()
    names = [name.removeprefix("mean ") for name in data.feature_names[:10]]
    kept = [k for k, name in enumerate(names) if name not in ("perimeter", "area")]
    return inside("nuclei of tumours", data.data[:, kept], [names[k] for k in kept], SHAPES)


def inside(title: str, X: Doubles, names: Sequence[str], expected: Sequence[tuple[str, str]]) -> Measurements:
    """Without the rows on the boundary."""
    kept = (X > 0).all(axis=1)
    return Measurements(title, X[kept], names, int(np.count_nonzero(~kept)), expected)


# -- the graphs ----------------------------------------------------------------------------------------------------


def study(data: Measurements, seed: int, quick: bool) -> Found:
    rng = np.random.default_rng([seed, len(data.names)])
    shuffles, subsamples = (QUICK_SHUFFLES, QUICK_SUBSAMPLES) if quick else (SHUFFLES, SUBSAMPLES)
    model, stable = by_criterion(data.X), by_stability(data.X, subsamples, rng)
    units = 10 ** rng.uniform(-3, 3, size=len(data.names))
    shuffled = []
    for _ in range(shuffles):
        Z = rng.permuted(data.X, axis=0)
        graphs = by_criterion(Z).adjacency_, by_stability(Z, subsamples, rng).adjacency
        shuffled.append([np.count_nonzero(np.triu(graph)) for graph in graphs])
    return Found(
        data,
        strengths(model),
        stable.probabilities,
        stable.adjacency,
        float(model.path_.kkt_residual.max()),
        float(np.abs(strengths(by_criterion(data.X * units)) - strengths(model)).max()),
        np.array(shuffled, dtype=np.float64),
    )


def weight() -> Any:
    return scorematch.MinPower(c=1.0)


def by_criterion(X: Doubles) -> Any:
    return scorematch.PairwiseInteractionIC(**OPTIONS, weight=weight(), gamma=1.0, n_jobs=1).fit(X)


def by_stability(X: Doubles, n_subsamples: int, rng: np.random.Generator) -> Any:
    return scorematch.stability_selection(
        X, **OPTIONS, weight=weight(), n_subsamples=n_subsamples, max_false_edges=FALSE_EDGES,
        random_state=int(rng.integers(2**31)), n_jobs=1,
    )  # fmt: skip


def strengths(model: Any) -> Doubles:
    """−K_ij/√(K_ii K_jj), and 0 on the diagonal."""
    K = model.interaction_
    size = np.sqrt(np.diagonal(K))
    strength = -K / np.outer(size, size)
    np.fill_diagonal(strength, 0)
    return np.asarray(strength)


def standard_error(values: Doubles) -> Doubles:
    return np.asarray(values.std(axis=0, ddof=1) / np.sqrt(len(values)))


def mean_and_error(values: Doubles) -> str:
    return f"{values.mean():.2f} ± {standard_error(values):.2f}"


# -- the figure ----------------------------------------------------------------------------------------------------


def around_a_circle(strength: Doubles) -> NDArray[np.intp]:
    """The columns in an order that puts near each other what is tied: by their angle in the graph's slowest modes."""
    size = np.abs(strength)
    degree = size.sum(axis=1)
    modes = np.linalg.eigh(np.eye(len(size)) - size / np.sqrt(np.outer(degree, degree)))[1]
    return np.argsort(np.arctan2(modes[:, 2], modes[:, 1]))


def draw_graph(ax: Axes, found: Found) -> None:
    names = found.data.names
    angle = np.empty(len(names))
    angle[around_a_circle(found.strength)] = np.pi / 2 - 2 * np.pi * np.arange(len(names)) / len(names)
    x, y = np.cos(angle), np.sin(angle)
    for i, j in reversed(list(found.edges())):  # the strongest on top
        strength = found.strength[i, j]
        if abs(strength) < NEGLIGIBLE:
            continue
        ax.plot(
            x[[i, j]], y[[i, j]], color=BLUE if strength > 0 else ORANGE, lw=width(strength), solid_capstyle="round",
            alpha=1.0 if found.stable[i, j] else 0.3, zorder=3 if found.stable[i, j] else 2,
        )  # fmt: skip
    ax.plot(x, y, "o", ms=11, color="white", mec=INK, mew=1.4, zorder=4)
    for k, name in enumerate(names):
        side = "center" if abs(x[k]) < 0.2 else "left" if x[k] > 0 else "right"
        level = "center" if abs(x[k]) >= 0.2 else "bottom" if y[k] > 0 else "top"
        ax.annotate(name, (1.1 * x[k], 1.1 * y[k]), ha=side, va=level, fontsize="medium")
    ax.set(xlim=(-1.7, 1.7), ylim=(-1.25, 1.25), aspect="equal")
    ax.set_axis_off()
    weak = sum(abs(found.strength[pair]) < NEGLIGIBLE for pair in found.edges())
    ax.set_title(
        f"{found.data.title}: {found.n_edges} edges, of which {found.n_stable} stable\n"
        f"({weak} weaker than {NEGLIGIBLE:g} are not drawn)",
        fontsize="medium",
    )


def width(strength: float) -> float:
    return 0.5 + 9 * abs(strength)


def legend_handles() -> list[Any]:
    from matplotlib.lines import Line2D

    return [
        Line2D([], [], color=BLUE, lw=width(0.4), label="rise together (0.4, stable)"),
        Line2D([], [], color=BLUE, lw=width(0.2), alpha=0.3, label="(0.2, not stable)"),
        Line2D([], [], color=ORANGE, lw=width(0.4), label="one rises as the other falls (−0.4, stable)"),
        Line2D([], [], color=ORANGE, lw=width(0.2), alpha=0.3, label="(−0.2, not stable)"),
    ]


PAPER = Paper(
    name="measured-graphs",
    reference="Yu, Drton and Shojaie (2019), JMLR 20; Shah and Samworth (2013), JRSS B 75; data of scikit-learn",
    description="which constituents of wines, and which shapes of nuclei of tumours, go together",
    experiment=experiment,
)
