"""Lin, Drton and Shojaie (2016), Yu, Drton and Shojaie (2019): finding the edges of a graph from non-negative data.

Data are Gaussians truncated to the non-negative orthant, log p = −½ (x−μ)ᵀK(x−μ), where K is that of a chain of 100
variables: 99 of 4950 pairs are edges. The means μ before truncation are all 0, or drawn from N(0, ½). Of a path of
estimates, from no edge downwards, every graph is a point of a receiver operating characteristic; the area under the
curve (AUC) says how well edges are found before false ones. Columns are divided by their norms, as in the papers, and
the linear term is estimated too.

Compared are weights, from x² on, that of Hyvärinen (2007), and the graphical lasso of scikit-learn, which takes the
data for a Gaussian that is not truncated: on the correlations, with as many penalties over the same range. With means 0
and many samples the two are as good; with few, or with means that differ, score matching is a little better.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

import scorematch
from scorematch.papers._paper import Claim, Findings, Paper, Table
from scorematch.plotting._drawing import BLUE, INK, ORANGE, TINTS, prepare, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from scorematch.metrics import EdgeROC

Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class Size:
    """Of an experiment."""

    n_features: int
    few: int  # samples
    many: int
    data_sets: int
    lacking: float  # of the area, what counts as no worse


FULL, QUICK = Size(100, 80, 1000, 30, 0.005), Size(30, 200, 1000, 12, 0.03)
SPREADS = {"means 0": 0.0, "means from N(0, ½)": 0.5}  # variance of the means before truncation
N_ALPHAS, LOWEST = 30, 0.03  # penalties of a path, and the lowest as a part of the highest
TOLERANCE = 1e-6  # of our paths
# Of scikit-learn's, whose default takes some twenty times as long, and moves no area by more than 0.001.
LASSO_TOLERANCE = 1e-2
CLEAR = 2.0  # standard errors by which a difference in the mean must stand out
SQUARE, DEFAULT, LASSO = "x²", "MCP, q₀.₉₅: default", "graphical lasso"


def weights() -> dict[str, Any]:
    """The weights that are compared, of columns that have norm √(n−1)."""
    return {
        SQUARE: scorematch.Power(2),
        "x": scorematch.Power(1),
        "min(x, 1)": scorematch.MinPower(c=1),
        "min(x, 2)": scorematch.MinPower(c=2),
        "log(1+x)": scorematch.Log1p(),
        "tanh x": scorematch.Tanh(1),
        "MCP, γ = 3": scorematch.MCP(lam=1, gamma=3),
        "min(x, q₀.₉)": scorematch.MinPower(quantile=0.9),
        DEFAULT: None,
    }


METHODS = (*weights(), LASSO)


@dataclass(frozen=True)
class Recovery:
    """Curves of all methods, data set by data set, for one setting and number of samples."""

    setting: str
    n: int
    curves: Sequence[Sequence[EdgeROC]]  # data sets, methods
    residual: float  # of the conditions of a minimum, the largest of our paths

    @property
    def shifted(self) -> bool:
        return SPREADS[self.setting] > 0

    @property
    def title(self) -> str:
        return f"{self.setting}, n = {self.n}"

    @property
    def areas(self) -> dict[str, Doubles]:
        """Of each method, a data set each."""
        table = np.array([[curve.auc for curve in row] for row in self.curves])
        return dict(zip(METHODS, table.T, strict=True))

    def excess(self, method: str, other: str) -> float:
        """By how many standard errors the mean area of a method is above that of another, on the same data."""
        return clearness(self.areas[method] - self.areas[other])


def experiment(seed: int, quick: bool) -> Findings:
    size = QUICK if quick else FULL
    cells = [
        recover(setting, spread, n, size, seed) for setting, spread in SPREADS.items() for n in (size.few, size.many)
    ]
    pairs = list(zip(cells[::2], cells[1::2], strict=True))
    claims = [
        Claim.at_most("all our paths meet the conditions of a minimum, largest breach",
                      max(cell.residual for cell in cells), TOLERANCE),
        *(
            Claim.at_least(
                f"{few.setting}: more samples, larger area, for every method; smallest difference of means in "
                "standard errors",
                min(gain(few.areas[method], many.areas[method]) for method in METHODS), CLEAR,
            )
            for few, many in pairs
        ),
        Claim.at_least(
            "all data sets together: the default weight beats x², difference of means in standard errors",
            clearness(np.concatenate([cell.areas[DEFAULT] - cell.areas[SQUARE] for cell in cells])), CLEAR,
        ),
        *(claim for cell in cells for claim in claims_about(cell, size)),
    ]  # fmt: skip
    if size is FULL:
        differences = np.concatenate([few.areas[DEFAULT] - few.areas[LASSO] for few, _ in pairs])
        claims.append(
            Claim.at_least(
                f"n = {size.few}, both kinds of means: the default weight is better than the graphical lasso, "
                "difference in standard errors",
                clearness(differences), CLEAR,
            )
        )  # fmt: skip
    tables = [
        Table(
            f"area under the curve of a chain of {size.n_features}, mean of {size.data_sets} data sets ± standard "
            "error",
            {"h(x)": METHODS, **{cell.title: [texts(cell.areas[method]) for method in METHODS] for cell in cells}},
        ),
        Table(
            "difference from the graphical lasso on the same data",
            {
                "h(x)": METHODS[:-1],
                **{
                    cell.title: [texts(cell.areas[method] - cell.areas[LASSO], "+") for method in METHODS[:-1]]
                    for cell in cells
                },
            },
        ),
    ]

    def draw(figure: Figure) -> None:
        prepare(figure, 13, 3.9)
        for ax, cell in zip(figure.subplots(1, len(cells), sharey=True), cells, strict=True):
            draw_curves(ax, cell)
        figure.axes[0].set_ylabel("edges found, part of all")

    return Findings(tables, claims, draw)


def claims_about(cell: Recovery, size: Size) -> Iterator[Claim]:
    if size is FULL:
        yield Claim.at_least(
            f"{cell.title}: every weight that grows more slowly beats x², smallest difference of means in standard "
            "errors",
            min(cell.excess(method, SQUARE) for method in METHODS if method not in (SQUARE, LASSO)), CLEAR,
        )  # fmt: skip
    difference = float((cell.areas[DEFAULT] - cell.areas[LASSO]).mean())
    yield Claim.at_least(f"{cell.title}: the default weight is no worse than the graphical lasso, difference of means",
                         difference, -size.lacking)  # fmt: skip
    if size is FULL and cell.shifted and cell.n == size.many:
        yield Claim.at_least(f"{cell.title}: it is better, difference in standard errors",
                             cell.excess(DEFAULT, LASSO), CLEAR)  # fmt: skip


# -- paths ---------------------------------------------------------------------------------------------------------


def recover(setting: str, spread: float, n: int, size: Size, seed: int) -> Recovery:
    """All data sets, on all processors: no result depends on how many there are."""
    from joblib import Parallel, delayed
    from sklearn.exceptions import ConvergenceWarning

    from scorematch._threads import effective_threads

    with warnings.catch_warnings():
        # The lasso's: what it has by then is as good.
        warnings.simplefilter("ignore", ConvergenceWarning)
        found = Parallel(n_jobs=effective_threads(None), prefer="threads")(
            delayed(one_data_set)(spread, n, size.n_features, [seed, number, n, int(2 * spread)])
            for number in range(size.data_sets)
        )
    return Recovery(setting, n, [curves for curves, _ in found], max(residual for _, residual in found))


def one_data_set(spread: float, n: int, d: int, seed: list[int]) -> tuple[list[EdgeROC], float]:
    """Curves of all methods, and the largest breach of the conditions of a minimum."""
    from scorematch.datasets import make_chain_graph, make_pairwise_data
    from scorematch.metrics import edge_roc

    rng = np.random.default_rng(seed)
    K = make_chain_graph(d, random_state=int(rng.integers(2**31)))
    mean = np.sqrt(spread) * rng.standard_normal(d)
    X = make_pairwise_data(K, K @ mean, n_samples=n, random_state=int(rng.integers(2**31)), burn_in=300, n_jobs=1)
    paths = [
        scorematch.interaction_path(
            X, weight=weight, scale="norm", n_alphas=N_ALPHAS, alpha_min_ratio=LOWEST, tol=TOLERANCE, n_jobs=1
        )
        for weight in weights().values()
    ]
    curves = [edge_roc(path, K) for path in paths]
    return [*curves, edge_roc(lasso_path(X), K)], max(float(path.kkt_residual.max()) for path in paths)


def lasso_path(X: Doubles) -> list[Doubles]:
    """Precisions by the graphical lasso, down to where it fails, if it does."""
    from sklearn.covariance import graphical_lasso

    correlation = np.corrcoef(X.T)
    highest = np.abs(correlation - np.diag(np.diagonal(correlation))).max()
    found = []
    for alpha in highest * np.geomspace(1, LOWEST, N_ALPHAS):
        try:
            found.append(graphical_lasso(correlation, alpha, tol=LASSO_TOLERANCE)[1])
        except FloatingPointError:  # too ill-conditioned for it
            break
    return found


# -- statistics ----------------------------------------------------------------------------------------------------


def standard_error(values: Doubles) -> float:
    return float(values.std(ddof=1) / np.sqrt(len(values)))


def clearness(differences: Doubles) -> float:
    return float(differences.mean() / standard_error(differences))


def gain(few: Doubles, many: Doubles) -> float:
    """By how many standard errors the mean grows; samples are not the same."""
    return float((many.mean() - few.mean()) / np.hypot(standard_error(few), standard_error(many)))


def texts(values: Doubles, sign: str = "") -> str:
    return f"{values.mean():{sign}.3f} ± {standard_error(values):.3f}"


# -- the figure ----------------------------------------------------------------------------------------------------


def draw_curves(ax: Axes, cell: Recovery) -> None:
    from scorematch.metrics import mean_roc

    styles = {LASSO: (INK, "--"), SQUARE: (ORANGE, "-"), "log(1+x)": (TINTS[2], "-"), DEFAULT: (BLUE, "-")}
    for method, (colour, style) in styles.items():
        mean = mean_roc([row[METHODS.index(method)] for row in cell.curves])
        area = cell.areas[method].mean()
        ax.plot(mean.fpr, mean.tpr, color=colour, ls=style, lw=1.8, label=f"{method}: {area:.3f}")
    ax.plot([0, 1], [0, 1], color="0.6", lw=0.8, ls=":")
    ax.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal", xlabel="false edges, part of all others")
    ax.set_title(cell.title, fontsize="medium")
    ax.legend(frameon=False, fontsize="small", loc="lower right", title="area under the curve", title_fontsize="small")
    tidy(ax)


PAPER = Paper(
    name="yu2019-edge-recovery",
    reference="Lin, Drton and Shojaie (2016), EJS 10, section 4; Yu, Drton and Shojaie (2019), JMLR 20, section 5",
    description="edges of a chain from truncated Gaussian data, by weights and by the graphical lasso",
    experiment=experiment,
)
