"""Song, Garg, Shi and Ermon (2019): sliced score matching, and what its random projections cost.

In place of tr ∇ψ the objective has vᵀ∇ψv along a random v with E[vvᵀ] = I: Rademacher, Gaussian, or uniform on the
sphere of radius √d. Each row has M vectors of its own. With or without *variance reduction*, that is ½‖ψ‖² in place of
½(vᵀψ)², a term is vᵀBv up to a constant, with B = ∇ψ, or ∇ψ + ½ψψᵀ without. So its variance over v is known,

    Rademacher 2(‖B‖² − Σ_i B_ii²),    Gaussian 2‖B‖²,    sphere 2d/(d + 2) · (‖B‖² − (tr B)²/d),

that of the objective is their mean over rows divided by nM, and that of its gradient the same with ∂B/∂θ_k for B. The
Rademacher distribution is never worse than the Gaussian one, and best where curvature is mostly on the diagonal.

1. The gradient, over random vectors alone, for an independent component analysis: found and by these formulas.
2. Estimates: the precision matrix P of N(0, I). Its exact estimate varies by 2/n on the diagonal and by 1/n beside it.
   The projections add, divided by M, what the formulas give of R_ij = vᵀBv with B = ∂/∂P_ij of the term:

                    with variance reduction            without
       Rademacher   0,  1                              d − 1,  d/2
       Gaussian     2,  1                              d + 3,  (d + 2)/2
       sphere       2(d − 1)/(d + 2),  d/(d + 2)       (d + 4)(d − 1)/(d + 2),  (d(d + 2) − 4)/(2(d + 2))

   With variance reduction at most what the data have; without, the more the more columns. Standard errors that the
   library reports know of the projections, since the vectors belong to the rows.
3. Time by number of columns. The paper's networks need a pass for each column to get the trace, so that slicing pays
   from a few columns on. The families here have their trace in closed form, at little more than the cost of the score
   function: there one projection takes about half as long again as the exact objective, at every d, and no lines
   cross. What a trace by d passes would cost is shown beside: the sliced objective with d vectors a row. Times are
   reported, and nothing is claimed of them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

import scorematch
from scorematch.papers._paper import CERTAINTY, Claim, Findings, Paper, Table
from scorematch.plotting._drawing import BLUE, INK, ORANGE, prepare, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Doubles = NDArray[np.float64]

GREEN = "#009E73"
DISTRIBUTIONS = {"rademacher": (BLUE, "o"), "gaussian": (ORANGE, "s"), "sphere": (GREEN, "D")}
COUNTS = (1, 4, 16)  # M
GRADIENT_ROWS, GRADIENT_COLUMNS = 100, 5
SEEDS, QUICK_SEEDS = 1000, 150
SAMPLES, COLUMNS = 5000, 4  # of which precision matrices are estimated
REPEATS, QUICK_REPEATS = 200, 15
REPORTED, QUICK_REPORTED = 50, 5  # fits of which the reported standard errors are averaged
TIMED_ROWS = 1000
TIMED_COLUMNS, QUICK_TIMED_COLUMNS = (2, 4, 8, 16, 32, 64, 128), (2, 8, 24)
MOST_PASSES = 64  # columns beyond which a pass a column takes too long to wait for
ROUNDS, QUICK_ROUNDS = 9, 3


@dataclass(frozen=True)
class Slicing:
    """How the trace is seen along random vectors."""

    distribution: str
    variance_reduction: bool

    @property
    def name(self) -> str:
        return self.distribution + ("" if self.variance_reduction else ", no variance reduction")

    def options(self, n_projections: int, seed: int) -> dict[str, Any]:
        return {
            "objective": "sliced",
            "projection": self.distribution,
            "variance_reduction": self.variance_reduction,
            "n_projections": n_projections,
            "random_state": seed,
        }

    def variance(self, B: Doubles) -> Doubles:
        """Of vᵀBv for symmetric B (…, d, d)."""
        d = B.shape[-1]
        squares, diagonal = (B**2).sum((-2, -1)), np.einsum("...ii->...i", B)
        if self.distribution == "rademacher":
            return np.asarray(2 * (squares - (diagonal**2).sum(-1)))
        if self.distribution == "gaussian":
            return np.asarray(2 * squares)
        return np.asarray(2 * d / (d + 2) * (squares - diagonal.sum(-1) ** 2 / d))

    def added_variance(self, d: int) -> float:
        """What projections add to n times the variance of the upper triangle of an estimate of I, summed, for M = 1."""
        diagonal, beside = {
            ("rademacher", True): (0.0, 1.0),
            ("gaussian", True): (2.0, 1.0),
            ("sphere", True): (2 * (d - 1) / (d + 2), d / (d + 2)),
            ("rademacher", False): (d - 1.0, d / 2),
            ("gaussian", False): (d + 3.0, (d + 2) / 2),
            ("sphere", False): ((d + 4) * (d - 1) / (d + 2), (d * (d + 2) - 4) / (2 * (d + 2))),
        }[self.distribution, self.variance_reduction]
        return d * diagonal + d * (d - 1) / 2 * beside


SLICINGS = tuple(Slicing(name, reduced) for reduced in (True, False) for name in DISTRIBUTIONS)


@dataclass(frozen=True)
class Found:
    """A variance relative to a unit: in theory, and in a simulation with its standard error."""

    slicing: Slicing
    n_projections: int
    theory: float
    found: float
    standard_error: float

    @property
    def errors(self) -> float:
        """By how many standard errors they differ."""
        return abs(self.found - self.theory) / self.standard_error


def experiment(seed: int, quick: bool) -> Findings:
    gradients, offsets = gradient_variances(seed, QUICK_SEEDS if quick else SEEDS)
    estimates, reported = estimate_variances(
        seed, QUICK_REPEATS if quick else REPEATS, QUICK_REPORTED if quick else REPORTED
    )
    times = list(measure_times(QUICK_TIMED_COLUMNS if quick else TIMED_COLUMNS, QUICK_ROUNDS if quick else ROUNDS))

    tables = [
        table_of(
            "variance of the gradient over the projections, in units of its value for Rademacher, M = 1", gradients
        ),
        table_of(
            f"variance that projections add to an estimated precision matrix, over the exact estimate's, d = {COLUMNS}",
            estimates,
        ),
        Table(
            f"objective and gradient for {TIMED_ROWS} rows, one thread, ms",
            {
                "family": [one.family for one in times],
                "d": [one.d for one in times],
                "exact": [f"{1e3 * one.exact:.3g}" for one in times],
                "sliced, M = 1": [f"{1e3 * one.sliced:.3g}" for one in times],
                "sliced/exact": [f"{one.sliced / one.exact:.2f}" for one in times],
                "sliced, M = d": [f"{1e3 * one.passes:.3g}" if one.passes else "–" for one in times],
            },
        ),
    ]
    claims = [
        Claim.at_most(
            "the sliced objective is the exact one in the mean over projections, largest difference in standard errors",
            max(offsets), CERTAINTY,
        ),
        *claims_of("variance of the gradient", gradients),
        *claims_of("variance added to estimates", estimates),
        *(
            Claim.near(
                f"squared standard errors that the library reports, over their value in theory, {slicing.name}",
                ratio, 1, 0.1,
            )
            for slicing, ratio in reported.items()
        ),
    ]  # fmt: skip

    def draw(figure: Figure) -> None:
        prepare(figure, 13, 4.6)
        left, middle, right = figure.subplots(1, 3)
        draw_variances(left, gradients, "variance of the gradient over projections")
        left.set(ylabel="in units of Rademacher, M = 1")
        draw_variances(middle, estimates, "variance that projections add to estimates")
        middle.axhline(1, color=INK, lw=0.8, ls=":")
        middle.set(ylabel=f"over the exact estimate's, precision matrix, d = {COLUMNS}")
        draw_times(right, times)

    return Findings(tables, claims, draw)


# -- the gradient --------------------------------------------------------------------------------------------------


def gradient_variances(seed: int, n_seeds: int) -> tuple[list[Found], list[float]]:
    """Of the gradient over projections; and how far the mean objective is from the exact one, in standard errors."""
    rng = np.random.default_rng([seed, 0])
    d = GRADIENT_COLUMNS
    W = rng.standard_normal((d, d)) / np.sqrt(d) + np.eye(d)
    X = rng.logistic(size=(GRADIENT_ROWS, d)) @ np.linalg.inv(W).T
    exact = scorematch.ICA.from_params(components=W, n_jobs=1)
    theta = exact.theta_
    value, gradient = exact.loss_and_grad(theta, X)
    seeds = rng.integers(2**31, size=(len(SLICINGS), len(COUNTS), n_seeds))
    found, offsets = [], []
    unit = gradient_variance(SLICINGS[0], W, X)
    for slicing, by_count in zip(SLICINGS, seeds, strict=True):
        theory = gradient_variance(slicing, W, X)
        for n_projections, row in zip(COUNTS, by_count, strict=True):
            values, squares = np.empty((2, n_seeds))
            for place, each in enumerate(row):
                options = slicing.options(n_projections, int(each))
                sliced, by_theta = scorematch.ICA.from_params(components=W, n_jobs=1, **options).loss_and_grad(theta, X)
                values[place], squares[place] = sliced, ((by_theta - gradient) ** 2).sum()
            squares /= unit
            found.append(
                Found(slicing, n_projections, theory / n_projections / unit, squares.mean(), error_of(squares))
            )
            offsets.append(abs(values.mean() - value) / error_of(values))
    return found, offsets


def gradient_variance(slicing: Slicing, W: Doubles, X: Doubles) -> float:
    """Of the gradient for M = 1, summed over the parameters, by the formulas; ∂B/∂θ_k by central differences."""

    def matrices(W: Doubles) -> Doubles:
        t = np.tanh(X @ W.T)
        score = -t @ W
        hessian = -np.einsum("nk,ki,kj->nij", 1 - t**2, W, W)
        outer = 0 if slicing.variance_reduction else 0.5 * score[:, :, None] * score[:, None]
        return np.asarray(hessian + outer)

    total, step = 0.0, 1e-5
    for k in range(W.size):
        shift = step * np.eye(1, W.size, k).reshape(W.shape)
        total += slicing.variance((matrices(W + shift) - matrices(W - shift)) / (2 * step)).sum()
    return float(total / len(X) ** 2)


def error_of(values: Doubles) -> float:
    return float(values.std(ddof=1) / np.sqrt(len(values)))


# -- estimates -----------------------------------------------------------------------------------------------------


def estimate_variances(seed: int, repeats: int, n_reported: int) -> tuple[list[Found], dict[Slicing, float]]:
    """What projections add, in units of the exact estimate's variance; and the reported one over theory, for M = 1.

    The added part is the squared distance from the exact estimate: given the data, that is the mean of the others.
    """
    d, n = COLUMNS, SAMPLES
    upper, exact = np.triu_indices(d), d * (d + 3) / 2
    squares = np.empty((len(SLICINGS), len(COUNTS), repeats))
    reported: dict[Slicing, list[float]] = {slicing: [] for slicing in SLICINGS}
    for repeat in range(repeats):
        rng = np.random.default_rng([seed, 1, repeat])
        X = rng.standard_normal((n, d))
        precision = scorematch.Gaussian(n_jobs=1).fit(X).precision_
        for i, slicing in enumerate(SLICINGS):
            for j, n_projections in enumerate(COUNTS):
                options = slicing.options(n_projections, int(rng.integers(2**31)))
                model = scorematch.Gaussian(n_jobs=1, **options).fit(X)
                squares[i, j, repeat] = ((model.precision_ - precision)[upper] ** 2).sum() * n / exact
                if n_projections == 1 and repeat < n_reported:
                    total = float((model.standard_errors_[: len(upper[0])] ** 2).sum() * n)
                    reported[slicing].append(total / (exact + slicing.added_variance(d)))
    found = [
        Found(
            slicing, n_projections, slicing.added_variance(d) / exact / n_projections,
            float(squares[i, j].mean()), error_of(squares[i, j]),
        )
        for i, slicing in enumerate(SLICINGS)
        for j, n_projections in enumerate(COUNTS)
    ]  # fmt: skip
    return found, {slicing: float(np.mean(ratios)) for slicing, ratios in reported.items()}


# -- time ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Times:
    """Seconds of an objective with its gradient."""

    family: str
    d: int
    exact: float
    sliced: float
    passes: float | None  # with as many vectors as columns


def ica(d: int, rng: np.random.Generator, **options: Any) -> Any:
    return scorematch.ICA.from_params(components=rng.standard_normal((d, d)) / np.sqrt(d), n_jobs=1, **options)


def rbm(d: int, rng: np.random.Generator, **options: Any) -> Any:
    return scorematch.GaussianBernoulliRBM.from_params(
        components=rng.standard_normal((d, d)) / np.sqrt(d),
        intercept_hidden=np.zeros(d), intercept_visible=np.zeros(d), noise_variance=1.0, n_jobs=1, **options,
    )  # fmt: skip


def mixture(d: int, rng: np.random.Generator, **options: Any) -> Any:
    root = rng.standard_normal((4, d, 2 * d))
    return scorematch.GaussianMixture.from_params(
        weights=np.full(4, 0.25),
        means=rng.standard_normal((4, d)) / np.sqrt(d),
        covariances=root @ root.swapaxes(1, 2) / (2 * d) + 0.3 * np.eye(d), n_jobs=1, **options,
    )  # fmt: skip


FAMILIES: dict[str, Callable[..., Any]] = {
    "ICA, m = d": ica, "RBM, m = d": rbm, "mixture of 4, full covariances": mixture,
}  # fmt: skip


def measure_times(columns: tuple[int, ...], rounds: int) -> Iterator[Times]:
    """Medians of rounds in which the contenders take turns."""
    for family, make in FAMILIES.items():
        for d in columns:
            X = np.random.default_rng(0).standard_normal((TIMED_ROWS, d))
            objectives: list[dict[str, Any]] = [{}, {"objective": "sliced", "random_state": 0}]
            if d <= MOST_PASSES:
                objectives.append({"objective": "sliced", "random_state": 0, "n_projections": d})
            models = [make(d, np.random.default_rng(1), **options) for options in objectives]
            seconds = [[time_of(model, X) for model in models] for _ in range(rounds + 1)][1:]
            exact, sliced, *passes = np.median(seconds, axis=0)
            yield Times(family, d, exact, sliced, passes[0] if passes else None)


def time_of(model: Any, X: Doubles) -> float:
    """Of the processor, so that neighbours count less; of a second call, since the first one warms caches up."""
    model.loss_and_grad(model.theta_, X)
    start = time.thread_time()
    model.loss_and_grad(model.theta_, X)
    return time.thread_time() - start


# -- tables, claims, panels ----------------------------------------------------------------------------------------


def table_of(title: str, variances: list[Found]) -> Table:
    columns = {
        "theory": [one.theory for one in variances],
        "simulation": [one.found for one in variances],
        "std. error": [one.standard_error for one in variances],
    }
    names: dict[str, Any] = {
        "projection": [one.slicing.name for one in variances],
        "M": [one.n_projections for one in variances],
    }
    return Table(title, names | columns, dict.fromkeys(columns, ".4f"))


def claims_of(what: str, variances: list[Found]) -> Iterator[Claim]:
    for one in variances:
        if one.n_projections == 1:
            sentence = f"{what}, M = 1, {one.slicing.name}"
            yield Claim.estimated(sentence, one.found, one.theory, one.standard_error)
    yield Claim.at_most(
        f"{what}: falls as 1/M, largest difference in standard errors",
        max(one.errors for one in variances if one.n_projections > 1), CERTAINTY,
    )  # fmt: skip


def draw_variances(ax: Axes, variances: list[Found], title: str) -> None:
    for slicing in SLICINGS:
        colour, marker = DISTRIBUTIONS[slicing.distribution]
        own = [one for one in variances if one.slicing == slicing]
        counts = [one.n_projections for one in own]
        style = "-" if slicing.variance_reduction else "--"
        ax.plot(counts, [one.theory for one in own], color=colour, lw=1.3, ls=style)
        ax.errorbar(
            counts, [one.found for one in own], [2 * one.standard_error for one in own], color=colour, lw=1.3, ls="",
            marker=marker, ms=5, mfc=colour if slicing.variance_reduction else "white", label=slicing.name,
        )  # fmt: skip
    ax.set(xscale="log", yscale="log", xlabel="M, projections a row")
    ax.set_xticks(COUNTS, [str(count) for count in COUNTS])
    ax.set_yticks((0.01, 0.1, 1, 10), ("0.01", "0.1", "1", "10"))
    ax.set_ylim(min(one.theory for one in variances) / 1.5, 2.5 * max(one.theory for one in variances))
    ax.minorticks_off()
    ax.set_title(title, fontsize="medium")
    ax.legend(frameon=False, fontsize="x-small", loc="upper right")
    tidy(ax)


def draw_times(ax: Axes, times: list[Times]) -> None:
    styles = {"exact": ("-", None), "sliced, M = 1": ("--", "white"), "sliced, M = d": (":", "white")}
    for family, (colour, marker) in zip(FAMILIES, DISTRIBUTIONS.values(), strict=True):
        own = [one for one in times if one.family == family]
        with_passes = [one for one in own if one.passes]
        curves = (
            [(one.d, one.exact) for one in own],
            [(one.d, one.sliced) for one in own],
            [(one.d, one.passes) for one in with_passes],
        )
        for curve, (style, face) in zip(curves, styles.values(), strict=True):
            d, seconds = np.array(curve).T
            ax.plot(d, 1e3 * seconds, color=colour, marker=marker, ms=4, mfc=face or colour, ls=style, lw=1.3)
    ax.set(xscale="log", yscale="log", xlabel="d, columns", ylabel=f"ms for {TIMED_ROWS} rows")
    ticks = sorted({one.d for one in times})
    ax.set_xticks(ticks, [str(d) for d in ticks])
    ax.set_yticks((0.01, 0.1, 1, 10, 100), ("0.01", "0.1", "1", "10", "100"))
    ax.minorticks_off()
    colours = [ax.plot([], [], color=colour, marker=marker, ls="")[0] for colour, marker in DISTRIBUTIONS.values()]
    lines = [ax.plot([], [], color=INK, lw=1.3, ls=style)[0] for style, _ in styles.values()]
    ax.legend(colours + lines, [*FAMILIES, *styles], frameon=False, fontsize="x-small", loc="upper left")
    ax.set_title("objective and gradient, one thread", fontsize="medium")
    tidy(ax)


PAPER = Paper(
    name="song2019-sliced",
    reference="Song, Garg, Shi and Ermon (2019), Sliced score matching, UAI; sections 3 and 4",
    description="sliced score matching against the exact objective: variance over projections, and time",
    experiment=experiment,
)
