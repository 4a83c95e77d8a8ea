"""Liu, Kanamori and Williams (2022): the mean of a Gaussian of which only what falls into a polygon is seen.

1000 points are drawn from N(μ, I) with μ = (2, 2), and those that lie in a polygon are kept, about a quarter. The
polygon is not convex, and μ is not in it, so that the mean of what is kept is far off. The normaliser would be an
integral over the polygon. With a weight g that vanishes at the boundary, score matching has a closed form without it,

    μ̂ = (Σ g(x) x − Σ ∇g(x)) / Σ g(x),

where g is the distance to the boundary. In the plane the integral can still be done, by quadrature: so there is a
maximum likelihood estimate to compare with, and the variance that asymptotic theory gives, that of g (x−μ) − ∇g over
n (E g)². Other weights are compared too, one for each coordinate: functions of the distance to the boundary along it.
Last, mean and covariance are estimated together; then the natural parameters P = Σ⁻¹ and η = Pμ are nearly unbiased,
but μ = P⁻¹η has heavy tails, since a quarter of a thousand points hardly tell how far away it is.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

import scorematch
from scorematch.papers._paper import CERTAINTY, Claim, Findings, Paper, Table
from scorematch.plotting._drawing import BLUE, INK, ORANGE, TINTS, prepare, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Doubles = NDArray[np.float64]

MEAN = np.array([2.0, 2.0])
VERTICES = ((0.0, 0.5), (1.0, 1.0), (1.0, 2.0), (4.0, 1.0), (2.0, 0.0))
N_DRAWN = 1000
RUNS, QUICK_RUNS = 500, 100
# What the paper's experiment gives.
RMSE, NAIVE_BIAS = 0.25, np.array([-0.07, -0.91])
NATURAL = {"P₁₁": 1.0, "P₁₂": 0.0, "P₂₂": 1.0, "η₁": 2.0, "η₂": 2.0}  # θ of the truth, as `Gaussian` orders it
N_PRECISION = 3  # how many of them belong to P
TOLERANCE = 1e-10
BOUNDARY, DEFAULT, LIKELIHOOD, NAIVE = "distance to the boundary", "default weight", "maximum likelihood", "naive mean"


def weights() -> dict[str, Any]:
    """The weights that are compared; a quarter of the largest distance is a cap that matters."""
    return {
        BOUNDARY: scorematch.BoundaryDistance(),
        "the same, at most 0.2": scorematch.BoundaryDistance(cap=0.2),
        DEFAULT: None,
        "coordinate, min(x, q₀.₉)": scorematch.MinPower(quantile=0.9),
        "coordinate, x": scorematch.Power(1),
        "coordinate, x²": scorematch.Power(2),
        "coordinate, tanh 2x": scorematch.Tanh(2.0),
    }


def polygon() -> scorematch.Polygon:
    return scorematch.Polygon(VERTICES)


@dataclass(frozen=True)
class Estimates:
    """Of the mean, one a run, by one method."""

    name: str
    values: Doubles

    @property
    def bias(self) -> Doubles:
        return np.asarray(self.values.mean(axis=0) - MEAN)

    @property
    def bias_error(self) -> Doubles:
        return np.asarray(self.values.std(axis=0, ddof=1) / np.sqrt(len(self.values)))

    @property
    def rmse(self) -> float:
        """Root of the mean squared distance to the true mean."""
        return float(np.sqrt(self._squares.mean()))

    @property
    def rmse_error(self) -> float:
        return float(self._squares.std(ddof=1) / np.sqrt(len(self._squares)) / (2 * self.rmse))

    @property
    def _squares(self) -> Doubles:
        return np.asarray(((self.values - MEAN) ** 2).sum(axis=1))

    def unbiased(self) -> list[Claim]:
        return [
            Claim.estimated(f"{self.name}: the bias of μ{i} is 0", self.bias[k], 0, self.bias_error[k])
            for k, i in enumerate("₁₂")
        ]


def experiment(seed: int, quick: bool) -> Findings:
    samples = [draw_sample(np.random.default_rng([seed, run])) for run in range(QUICK_RUNS if quick else RUNS)]
    weighted = {
        name: Estimates(name, np.array([mean_alone(X, weight) for X in samples])) for name, weight in weights().items()
    }
    likely = Estimates(LIKELIHOOD, np.array([maximum_likelihood(X) for X in samples]))
    naive = Estimates(NAIVE, np.array([X.mean(axis=0) for X in samples]))
    together = {name: mean_and_covariance(samples, weights()[name]) for name in (BOUNDARY, DEFAULT)}

    ours = weighted[BOUNDARY]
    by_hand = np.array([closed_form(X) for X in samples])
    limit, likely_limit, truncated_bias = theory()
    per_run = np.mean([1 / len(X) for X in samples])  # variances are of one sample, and samples differ in size
    claims = [
        Claim.at_most(f"{BOUNDARY}: the library gives the closed form, largest difference",
                      np.abs(ours.values - by_hand).max(), TOLERANCE),
        *ours.unbiased(),
        *weighted[DEFAULT].unbiased(),
        Claim.near(f"{BOUNDARY}: the root mean squared error is about the paper's", ours.rmse, RMSE, 0.04),
        Claim.estimated(f"{BOUNDARY}: it is that of asymptotic theory", ours.rmse, np.sqrt(limit * per_run),
                        ours.rmse_error),
        Claim.estimated(f"{LIKELIHOOD}: it is that of asymptotic theory", likely.rmse, np.sqrt(likely_limit * per_run),
                        likely.rmse_error),
        Claim.at_most("the mean of a Gaussian within the polygon, by quadrature, is off as the paper says, largest "
                      "difference", np.abs(truncated_bias - NAIVE_BIAS).max(), 0.005),
        *(
            Claim.estimated(f"{NAIVE}: its bias in coordinate {k + 1} is the one by quadrature", naive.bias[k],
                            truncated_bias[k], naive.bias_error[k])
            for k in range(2)
        ),
        *(
            Claim.at_most(f"{name}, mean and covariance together: the natural parameters are unbiased, largest bias in "
                          "standard errors", np.abs(found.bias / found.bias_error).max(), CERTAINTY)
            for name, found in together.items()
        ),
    ]  # fmt: skip

    sizes = [len(X) for X in samples]
    estimates = [*weighted.values(), likely, naive]
    tables = [
        Table(
            f"covariance known: estimates of the mean, {len(samples)} runs of {N_DRAWN} draws, of which "
            f"{min(sizes)} to {max(sizes)} fell into the polygon",
            {
                "": [one.name for one in estimates],
                "bias μ₁": [one.bias[0] for one in estimates],
                "std. error": [one.bias_error[0] for one in estimates],
                "bias μ₂": [one.bias[1] for one in estimates],
                "std. error ": [one.bias_error[1] for one in estimates],
                "RMSE": [one.rmse for one in estimates],
                "std. error  ": [one.rmse_error for one in estimates],
            },
            dict.fromkeys(("bias μ₁", "std. error", "bias μ₂", "std. error ", "RMSE", "std. error  "), ".3f"),
        ),
        *(found.table(name) for name, found in together.items()),
    ]

    def draw(figure: Figure) -> None:
        prepare(figure, 14, 4.6)
        left, middle, right = figure.subplots(1, 3, width_ratios=(1.1, 1.1, 1))
        draw_data(left, np.random.default_rng([seed, 0]))
        draw_estimates(middle, weighted[BOUNDARY], naive)
        draw_errors(right, [one for one in estimates if one is not naive])

    return Findings(tables, claims, draw)


def draw_sample(rng: np.random.Generator) -> Doubles:
    X = rng.normal(MEAN, size=(N_DRAWN, 2))
    return X[polygon().contains(X)]


# -- estimates -----------------------------------------------------------------------------------------------------


def mean_alone(X: Doubles, weight: Any) -> Doubles:
    """The mean where the covariance is known: the part of Γθ = g that belongs to η, with P = I in place."""
    gamma, g = scorematch.Gaussian(domain=polygon(), weight=weight, n_jobs=1).quadratic_form(X)
    identity = list(NATURAL.values())[:N_PRECISION]
    at, beside = slice(N_PRECISION, None), slice(None, N_PRECISION)
    return np.asarray(np.linalg.solve(gamma[at, at], g[at] - gamma[at, beside] @ identity))


def closed_form(X: Doubles) -> Doubles:
    """The formula above."""
    g, gradient = polygon().distance(X)
    return np.asarray((g @ X - gradient.sum(axis=0)) / g.sum())


def maximum_likelihood(X: Doubles) -> Doubles:
    """The μ at which the mean within the polygon is the sample's, by Newton's method."""
    wanted, mu = X.mean(axis=0), MEAN
    for _ in range(100):
        moment, covariance = truncated_moments(mu)
        step = np.linalg.solve(covariance, wanted - moment)
        mu = mu + step
        if np.abs(step).max() < 1e-10:
            break
    return mu


@dataclass(frozen=True)
class Together:
    """Estimates of mean and covariance: natural parameters, one row a run, and means and variances."""

    natural: Doubles
    means: Doubles
    variances: Doubles
    n_indefinite: int

    @property
    def bias(self) -> Doubles:
        return np.asarray(self.natural.mean(axis=0) - list(NATURAL.values()))

    @property
    def bias_error(self) -> Doubles:
        return np.asarray(self.natural.std(axis=0, ddof=1) / np.sqrt(len(self.natural)))

    def table(self, name: str) -> Table:
        low, median, high = np.quantile(
            np.column_stack([self.natural, self.means, self.variances]), (0.25, 0.5, 0.75), axis=0
        )
        return Table(
            f"mean and covariance together, {name}: {self.n_indefinite} of {len(self.natural)} precisions are not "
            "positive definite",
            {
                "": [*NATURAL, "μ₁", "μ₂", "Σ₁₁", "Σ₂₂"],
                "truth": [*NATURAL.values(), *MEAN, 1.0, 1.0],
                "lower quartile": low,
                "median": median,
                "upper quartile": high,
                "bias": [f"{bias: .3f} ± {error:.3f}" for bias, error in zip(self.bias, self.bias_error, strict=True)]
                + ["no mean"] * 4,
            },
            {"truth": ".0f", **dict.fromkeys(("lower quartile", "median", "upper quartile"), ".3f")},
        )


def mean_and_covariance(samples: list[Doubles], weight: Any) -> Together:
    model = scorematch.Gaussian(domain=polygon(), weight=weight, n_jobs=1)
    natural, means, variances, n_indefinite = [], [], [], 0
    for X in samples:
        with warnings.catch_warnings():
            # Counted instead.
            warnings.filterwarnings("ignore", "the estimated precision has a negative eigenvalue")
            model.fit(X)
        natural.append(model.theta_)
        means.append(model.mean_)
        variances.append(np.diagonal(model.covariance_))
        n_indefinite += int(np.linalg.eigvalsh(model.precision_)[0] <= 0)
    return Together(np.array(natural), np.array(means), np.array(variances), n_indefinite)


# -- by quadrature -------------------------------------------------------------------------------------------------


# Points of a row: few do for densities, which are smooth, and many it takes where g has its ridges.
FEW, MANY = 12, 100


@cache
def nodes(n: int) -> tuple[Doubles, Doubles]:
    """Points of the polygon and their weights, Gauss and Legendre's in both coordinates.

    Between the abscissas of its corners the polygon lies between two straight lines.
    """
    at, weight = np.polynomial.legendre.leggauss(n)
    at, weight = (at + 1) / 2, weight / 2
    points, areas = [], []
    for left, right in ((0, 1), (1, 2), (2, 4)):
        x = left + (right - left) * at
        lower = np.interp(x, [0, 2, 4], [0.5, 0, 1])
        upper = np.interp(x, [0, 1], [0.5, 1]) if right == 1 else np.interp(x, [1, 4], [2, 1])
        y = lower[:, None] + (upper - lower)[:, None] * at
        points.append(np.column_stack([np.repeat(x, len(at)), y.ravel()]))
        areas.append(((right - left) * weight * (upper - lower))[:, None] * weight)
    return np.concatenate(points), np.concatenate([area.ravel() for area in areas])


def truncated(mu: Doubles, n: int) -> tuple[Doubles, Doubles]:
    """Points of the polygon, and the probabilities with which they stand for N(mu, I) within it."""
    points, areas = nodes(n)
    density = areas * np.exp(-((points - mu) ** 2).sum(axis=1) / 2)
    return points, density / density.sum()


def truncated_moments(mu: Doubles) -> tuple[Doubles, Doubles]:
    """Mean and covariance of N(mu, I) within the polygon."""
    points, chance = truncated(mu, FEW)
    mean = chance @ points
    return mean, (points - mean).T * chance @ (points - mean)


def theory() -> tuple[float, float, Doubles]:
    """Squared errors, times n, of score matching and maximum likelihood as n → ∞, and the bias of the naive mean."""
    points, chance = truncated(MEAN, MANY)
    g, gradient = polygon().distance(points)
    slope = g[:, None] * (points - MEAN) - gradient
    mean, fisher = truncated_moments(MEAN)
    ours = chance @ (slope**2).sum(axis=1) / (chance @ g) ** 2
    return float(ours), float(np.trace(np.linalg.inv(fisher))), mean - MEAN


# -- the figure ----------------------------------------------------------------------------------------------------


def draw_polygon(ax: Axes) -> None:
    ax.fill(*np.transpose(VERTICES), facecolor=TINTS[0], edgecolor=INK, lw=1.2, zorder=1)
    ax.plot(*MEAN, "*", ms=14, color=INK, mec="white", mew=0.8, zorder=5, label="true mean (2, 2)")
    ax.set(xlabel="x₁", ylabel="x₂", aspect="equal")
    tidy(ax)


def draw_data(ax: Axes, rng: np.random.Generator) -> None:
    X = rng.normal(MEAN, size=(N_DRAWN, 2))
    inside = polygon().contains(X)
    draw_polygon(ax)
    ax.plot(*X[~inside].T, "o", ms=2.5, color="0.75", mew=0, zorder=2, label=f"not seen: {np.sum(~inside)}")
    ax.plot(*X[inside].T, "o", ms=3, color=BLUE, mew=0, zorder=3, label=f"seen: {np.sum(inside)}")
    ax.set(xlim=(-1.7, 5.7), ylim=(-1.4, 6.0))
    ax.set_title(f"one run: {N_DRAWN} draws from N((2, 2), I)", fontsize="medium")
    ax.legend(frameon=False, fontsize="small", loc="upper left")


def draw_estimates(ax: Axes, ours: Estimates, naive: Estimates) -> None:
    draw_polygon(ax)
    for one, colour, label in ((ours, BLUE, "score matching"), (naive, ORANGE, "mean of what is seen")):
        ax.plot(*one.values.T, "o", ms=3, color=colour, mew=0, alpha=0.35, zorder=3, label=label)
    ax.set(xlim=(-0.2, 4.3), ylim=(-0.3, 4.2))
    ax.set_title(f"estimates of the mean, {len(ours.values)} runs", fontsize="medium")
    legend = ax.legend(frameon=False, fontsize="small", loc="upper left")
    for handle in legend.legend_handles:
        if handle is not None:
            handle.set_alpha(1)


def draw_errors(ax: Axes, estimates: list[Estimates]) -> None:
    rows = np.arange(len(estimates))
    colours = [INK if one.name == LIKELIHOOD else BLUE if one.name == BOUNDARY else TINTS[2] for one in estimates]
    ax.barh(rows, [one.rmse for one in estimates], 0.62, color=colours)
    ax.errorbar(
        [one.rmse for one in estimates], rows, xerr=[2 * one.rmse_error for one in estimates],
        fmt="none", ecolor=ORANGE, lw=1.6, capsize=3,
    )  # fmt: skip
    for row, one in zip(rows, estimates, strict=True):
        end = (one.rmse + 2 * one.rmse_error, row)
        ax.annotate(f"{one.rmse:.3f}", end, (6, 0), textcoords="offset points", va="center", fontsize="small")
    ax.set_yticks(rows, [one.name for one in estimates])
    ax.set_xlim(right=1.25 * max(one.rmse + 2 * one.rmse_error for one in estimates))
    ax.invert_yaxis()
    ax.set_xlabel("RMSE, ± 2 standard errors")
    ax.set_title("root mean squared error by weight", fontsize="medium")
    tidy(ax)


PAPER = Paper(
    name="liu2022-polygon",
    reference="Liu, Kanamori and Williams (2022), JMLR 23 (186), on truncated Gaussians in a polygon",
    description="the mean of a Gaussian that is only seen within a polygon",
    experiment=experiment,
)
