"""Where score matching is as good as maximum likelihood, and where it is not.

Both estimators are consistent and asymptotically normal; what is compared is their variance as n → ∞. Score matching
minimises the mean of ρ = ½ψ² + ψ′, so that its variance is that of the sandwich, S/G², with S = E[(∂ρ/∂θ)²] and
G = E[∂²ρ/∂θ²] = E[(∂ψ/∂θ)²]; that of maximum likelihood is 1/I, with I = E[(∂ log p/∂θ)²].

1. The scale of a normal, a logistic and Student t distributions: ψ_σ(x) = ψ(x/σ)/σ, and derivatives at σ = 1 are
   ∂ρ/∂σ = −(ψ² + 2ψ′ + x(ψψ′ + ψ″)), ∂ψ/∂σ = −(ψ + xψ′), ∂ log p/∂σ = −(1 + xψ).
2. The weight π of π N(−m, 1) + (1−π) N(m, 1), means and variances known: with the posterior γ(x) of the first
   component, v = γ(1−γ) and θ = log π/(1−π), ψ = −x + m(1−2γ), ψ′ = −1 + 4m²v, ∂γ/∂θ = v and ∂v/∂θ = v(1−2γ).
   Inside one mode, the slope of the log density hardly tells how heavy the other is: Koehler, Heckett and Risteski
   (2023) show that modes far apart are where score matching must do badly.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
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

Doubles = NDArray[np.float64]
Function = Callable[[Doubles], Doubles]

REPEATS, QUICK_REPEATS = 1000, 100
SCALE_SAMPLES = 1000  # a sample of those whose scale is estimated
WEIGHT = 0.2
# m: size of a sample, and the known ratio of variances. The further apart the modes, the more it takes until the
# weight that score matching finds varies little enough for a normal law.
MIXTURES = {1: (4000, 1.55), 2: (10_000, 8.04), 3: (100_000, 115.0)}


# -- the scale of a distribution -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Law:
    """A standard distribution, symmetric about 0: its score function with two derivatives, and how it is fitted."""

    name: str
    known: float
    distribution: Callable[[], Any]  # of scipy.stats
    psi: Function
    psi1: Function
    psi2: Function
    fit: Callable[[Doubles], float]  # the scale by score matching

    def mean(self, f: Function) -> float:
        """E f(x) of an even f."""
        from scipy.integrate import quad

        density = self.distribution().pdf
        return 2 * float(quad(lambda x: f(x) * density(x), 0, np.inf, epsabs=1e-11, epsrel=1e-9, limit=200)[0])

    def fisher(self) -> tuple[float, float]:
        """The information about location and scale."""
        return self.mean(lambda x: self.psi(x) ** 2), self.mean(lambda x: (1 + x * self.psi(x)) ** 2)

    def efficiency(self) -> float:
        """Variance of maximum likelihood over that of score matching, by quadrature: G²/(S I)."""

        def slope(x: Doubles) -> Doubles:
            psi, psi1 = self.psi(x), self.psi1(x)
            return psi**2 + 2 * psi1 + x * (psi * psi1 + self.psi2(x))

        curvature = self.mean(lambda x: (self.psi(x) + x * self.psi1(x)) ** 2)
        return curvature**2 / (self.mean(lambda x: slope(x) ** 2) * self.fisher()[1])

    def maximum_likelihood(self, X: Doubles) -> Doubles:
        """The scale that is likeliest for each row of X, along with a location, by Fisher's scoring."""
        fisher_location, fisher_scale = self.fisher()
        location = np.median(X, axis=1, keepdims=True)
        log_scale = np.log(np.mean(np.abs(X - location), axis=1, keepdims=True))
        for _ in range(100):
            z = (X - location) / np.exp(log_scale)
            psi = self.psi(z)
            step = -np.mean(psi, axis=1, keepdims=True) / fisher_location
            log_step = -np.mean(1 + z * psi, axis=1, keepdims=True) / fisher_scale
            location, log_scale = location + step * np.exp(log_scale), log_scale + log_step
            if max(np.abs(step).max(), np.abs(log_step).max()) < 1e-10:
                break
        return np.asarray(np.exp(log_scale[:, 0]))


def normal() -> Law:
    def distribution() -> Any:
        from scipy import stats

        return stats.norm()

    def fit(x: Doubles) -> float:
        return float(np.sqrt(scorematch.Gaussian(n_jobs=1).fit(x[:, None]).covariance_[0, 0]))

    return Law("normal", 1.0, distribution, lambda x: -x, lambda x: -np.ones_like(x), lambda x: 0 * x, fit)


def logistic() -> Law:
    c = np.pi / (2 * np.sqrt(3))  # unit variance

    def distribution() -> Any:
        from scipy import stats

        return stats.logistic(scale=1 / (2 * c))

    def fit(x: Doubles) -> float:
        model = scorematch.ICA(nonlinearity="logistic", random_state=0, n_jobs=1).fit(x[:, None])
        return float(1 / abs(model.components_[0, 0]))

    return Law(
        "logistic", 0.714, distribution,
        lambda x: -2 * c * np.tanh(c * x),
        lambda x: -2 * c**2 * (1 - np.tanh(c * x) ** 2),
        lambda x: 4 * c**3 * np.tanh(c * x) * (1 - np.tanh(c * x) ** 2),
        fit,
    )  # fmt: skip


def student(df: int, known: float) -> Law:
    def distribution() -> Any:
        from scipy import stats

        return stats.t(df)

    def fit(x: Doubles) -> float:
        return float(np.sqrt(scorematch.StudentT(df=df, n_jobs=1).fit(x[:, None]).scale_[0, 0]))

    return Law(
        f"Student t, {df} df", known, distribution,
        lambda x: -(df + 1) * x / (df + x**2),
        lambda x: -(df + 1) * (df - x**2) / (df + x**2) ** 2,
        lambda x: 2 * (df + 1) * x * (3 * df - x**2) / (df + x**2) ** 3,
        fit,
    )  # fmt: skip


LAWS = (normal(), student(10, 0.814), logistic(), student(5, 0.629), student(3, 0.480))


# -- the weight of a mixture ---------------------------------------------------------------------------------------


def mixture_variances(m: float) -> tuple[float, float]:
    """Variance, times n, of the estimated π, by score matching and by maximum likelihood, by quadrature."""
    from scipy.integrate import quad

    def mean(f: Callable[[float, float, float], float]) -> float:
        """E f(x, 1−2γ, v)."""

        def integrand(x: float) -> float:
            first, second = WEIGHT * np.exp(-((x + m) ** 2) / 2), (1 - WEIGHT) * np.exp(-((x - m) ** 2) / 2)
            total = first + second
            return float(f(x, (second - first) / total, first * second / total**2) * total / np.sqrt(2 * np.pi))

        return float(quad(integrand, -m - 12, m + 12, points=(-m, 0, m), epsabs=1e-13, epsrel=1e-11, limit=200)[0])

    slope = mean(lambda x, s, v: (4 * m**2 * v * s - 2 * m * v * (m * s - x)) ** 2)
    curvature = mean(lambda x, s, v: (2 * m * v) ** 2)
    fisher = mean(lambda x, s, v: ((1 - s) / 2 - WEIGHT) ** 2)
    per_logit = (WEIGHT * (1 - WEIGHT)) ** 2
    return per_logit * slope / curvature**2, per_logit / fisher


def draw_mixture(m: float, n: int, rng: np.random.Generator) -> Doubles:
    return np.where(rng.random(n) < WEIGHT, -m, m) + rng.standard_normal(n)


def weight_by_score_matching(x: Doubles, m: float) -> float:
    """Where the derivative of the objective with respect to log π/(1−π), the first entry of θ, is zero."""
    from scipy.optimize import brentq

    model = scorematch.GaussianMixture.from_params(
        weights=[WEIGHT, 1 - WEIGHT], means=[[-m], [m]], covariances=[[[1.0]], [[1.0]]], n_jobs=1
    )

    def slope(logit: float) -> float:
        theta = model.theta_.copy()
        theta[0] = logit
        return float(model.loss_and_grad(theta, x[:, None])[1][0])

    return float(1 / (1 + np.exp(-brentq(slope, -6, 6, xtol=1e-8))))


def weight_by_maximum_likelihood(x: Doubles, m: float) -> float:
    """The root of the mean of (p₁ − p₂)/p, by Newton's method: the log likelihood is concave in π."""
    ratio = np.exp(-2 * m * x) - 1  # p₁/p₂ − 1
    weight = WEIGHT
    for _ in range(50):
        slopes = ratio / (1 + weight * ratio)
        step = slopes.mean() / (slopes**2).mean()
        weight += step
        if abs(step) < 1e-10:
            break
    return float(weight)


# -- both ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Comparison:
    """A ratio of variances: the known value, by quadrature, and found in a simulation, with its standard error."""

    name: str
    known: float
    theory: float
    found: float
    standard_error: float

    @classmethod
    def of(cls, name: str, known: float, theory: float, over: Doubles, under: Doubles) -> Comparison:
        """From paired estimates: the variance of `over` over that of `under`, its error by the delta method."""
        ratio = over.var() / under.var()
        squares = [(estimates - estimates.mean()) ** 2 / estimates.var() for estimates in (over, under)]
        error = ratio * np.std(squares[0] - squares[1]) / np.sqrt(len(over))
        return cls(name, known, theory, float(ratio), float(error))


def experiment(seed: int, quick: bool) -> Findings:
    repeats = QUICK_REPEATS if quick else REPEATS
    scales = [compare_scales(law, repeats, np.random.default_rng([seed, 0, i])) for i, law in enumerate(LAWS)]
    weights = [compare_weights(m, repeats, np.random.default_rng([seed, 1, m])) for m in MIXTURES]
    scale, weight = "efficiency of the scale", "ratio of variances of the weight"
    claims = [
        Claim.at_most(
            f"{scale}: quadrature gives the digits of the known values, largest difference",
            max(abs(one.theory - one.known) for one in scales), 0.0005,
        ),
        Claim.at_most(
            f"{weight}: quadrature gives the digits of the known values, largest relative difference",
            max(abs(one.theory / one.known - 1) for one in weights), 0.005,
        ),
        # For a normal the two are the same estimate, and there is no error to speak of.
        Claim.near(f"{scale}, normal: the simulation gives", scales[0].found, 1, 1e-9),
        *(
            Claim.estimated(f"{what}, {one.name}: the simulation gives", one.found, one.theory, one.standard_error)
            for what, group in ((scale, scales[1:]), (weight, weights))
            for one in group
        ),
    ]  # fmt: skip
    tables = [
        table_of(
            f"{scale}: variance of maximum likelihood over score matching's, {repeats} samples of {SCALE_SAMPLES}",
            scales,
        ),
        table_of(
            f"{weight} of {WEIGHT}·N(−m, 1) + {1 - WEIGHT}·N(m, 1): score matching over maximum likelihood, {repeats} "
            f"samples of {', '.join(str(n) for n, _ in MIXTURES.values())}",
            weights,
        ),
    ]

    def draw(figure: Figure) -> None:
        prepare(figure, 11, 4.6)
        left, right = figure.subplots(1, 2)
        draw_scales(left, scales)
        draw_weights(right, weights)

    return Findings(tables, claims, draw)


def compare_scales(law: Law, repeats: int, rng: np.random.Generator) -> Comparison:
    X = law.distribution().rvs((repeats, SCALE_SAMPLES), random_state=rng)
    ours = np.array([law.fit(x) for x in X])
    return Comparison.of(law.name, law.known, law.efficiency(), law.maximum_likelihood(X), ours)


def compare_weights(m: int, repeats: int, rng: np.random.Generator) -> Comparison:
    n, known = MIXTURES[m]
    ours, likely = np.empty((2, repeats))
    for repeat in range(repeats):
        x = draw_mixture(m, n, rng)
        ours[repeat], likely[repeat] = weight_by_score_matching(x, m), weight_by_maximum_likelihood(x, m)
    variances = mixture_variances(m)
    return Comparison.of(f"m = {m}", known, variances[0] / variances[1], ours, likely)


def table_of(title: str, comparisons: Sequence[Comparison]) -> Table:
    columns = {
        "known value": [one.known for one in comparisons],
        "quadrature": [one.theory for one in comparisons],
        "simulation": [one.found for one in comparisons],
        "std. error": [one.standard_error for one in comparisons],
    }
    return Table(title, {"": [one.name for one in comparisons], **columns}, dict.fromkeys(columns, ".3f"))


def draw_scales(ax: Axes, scales: Sequence[Comparison]) -> None:
    rows = np.arange(len(scales))
    ax.barh(rows, [one.theory for one in scales], 0.6, color=TINTS[1], label="theory")
    ax.errorbar(
        [one.found for one in scales], rows, xerr=[2 * one.standard_error for one in scales],
        fmt="o", color=INK, ms=5, lw=1.4, label="simulation, ± 2 standard errors",
    )  # fmt: skip
    for row, one in zip(rows, scales, strict=True):
        ax.annotate(f"{one.theory:.3f}", (0, row), (6, 0), textcoords="offset points", va="center", color=BLUE)
    ax.set_yticks(rows, [one.name for one in scales])
    ax.set(xlim=(0, 1.1), ylim=(len(scales) - 0.4, -1.4), xlabel="efficiency (1: as good as maximum likelihood)")
    ax.set_title("scale of a distribution", fontsize="medium")
    ax.legend(frameon=False, fontsize="small", loc="upper left", ncols=2)
    tidy(ax)


def draw_weights(ax: Axes, weights: Sequence[Comparison]) -> None:
    grid = np.linspace(0.5, 3.3, 57)
    curve = [first / second for first, second in map(mixture_variances, grid)]
    ax.axhline(1, color=INK, lw=0.8, ls=":")
    ax.plot(grid, curve, color=BLUE, lw=1.8, label="theory")
    ax.errorbar(
        list(MIXTURES), [one.found for one in weights], yerr=[2 * one.standard_error for one in weights],
        fmt="o", color=ORANGE, ms=6, lw=1.4, label="simulation, ± 2 standard errors",
    )  # fmt: skip
    for m, one in zip(MIXTURES, weights, strict=True):
        ax.annotate(f"{one.theory:.3g}", (m, one.theory), (10, -10), textcoords="offset points", va="center")
    ax.set(yscale="log", xlabel="m, half the distance of the modes", ylabel="variance over maximum likelihood's")
    ax.set_yticks([1, 3, 10, 30, 100, 300], ["1", "3", "10", "30", "100", "300"])
    ax.minorticks_off()
    ax.set_title(f"weight of {WEIGHT}·N(−m, 1) + {1 - WEIGHT}·N(m, 1)", fontsize="medium")
    ax.legend(frameon=False, fontsize="small", loc="upper left")
    tidy(ax)


PAPER = Paper(
    name="efficiency",
    reference="Hyvärinen (2005), JMLR 6, by asymptotic theory; Koehler, Heckett and Risteski (2023), arXiv:2210.00726",
    description="variance of score matching against maximum likelihood: scales, and weights of mixtures",
    experiment=experiment,
)
