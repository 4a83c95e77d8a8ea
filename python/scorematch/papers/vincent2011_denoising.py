"""Vincent (2011): denoising, and what noise, control variate and noises a row do to the estimates.

To a sample x noise σz is added, and the score function at x̃ = x + σz is fitted to −z/σ, the direction back. It takes
no derivative of the score function, and what it finds is the density of x̃: for a Gaussian N(μ, Σ + σ²I), for a mixture
the same with every covariance larger by σ²I. As σ → 0 the objective tends to that of score matching, but its noise
grows without bound, unless the part that vanishes in the mean is taken off: (ψ(x̃) − ψ(x))ᵀz/σ in place of ψ(x̃)ᵀz/σ, a
control variate, whose limit is sliced score matching with Gaussian directions.

Two cases can be worked out. First, N(μ, v) with μ unknown, of which the inverse of V = v + σ² is estimated. With one z
a row, n times the relative variance of that is, as n → ∞,

    without the control variate  v/σ²,      with it  4v/V,      score matching without noise  2,

so that the control variate helps as long as σ² < v/3. With K noises a row, what they share, 2v²/V², remains, and the
rest is divided by K. Second, the weight π of π N(−m, 1) + (1−π) N(m, 1), all else known: score matching hardly learns
it where the modes are far apart, since within a mode ψ hardly depends on it. Noise makes one hill of the two modes, and
the weight can be read from it. At last, as σ → ∞, it is read from the mean of the sample, with the variance
π(1−π) + 1/4m² over n.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

import scorematch
from scorematch.papers._paper import CERTAINTY, Claim, Findings, Paper, Table
from scorematch.papers.efficiency import WEIGHT, draw_mixture, mixture_variances
from scorematch.plotting._drawing import BLUE, CYCLE, INK, ORANGE, prepare, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Doubles = NDArray[np.float64]

VARIANCE, N_SAMPLES = 1.0, 4000
REPEATS, QUICK_REPEATS = 500, 50
SIGMAS, QUICK_SIGMAS = (0.1, 0.2, 0.4, 0.8, 1.5, 3.0), (0.2, 0.8, 3.0)
MANY = 10  # noises a row
NO_NOISE = 1e-3  # where the limit is

HALF_DISTANCE, MIXTURE_SAMPLES = 3, 10_000
MIXTURE_REPEATS, QUICK_MIXTURE_REPEATS = 200, 25
MIXTURE_SIGMAS, QUICK_MIXTURE_SIGMAS = (1.0, 2.0, 4.0), (2.0,)

SMOOTHED_SAMPLES, SMOOTHING = 20_000, 0.7


@dataclass(frozen=True)
class Method:
    """How the objective is estimated."""

    name: str
    variance_reduction: bool
    n_noises: int = 1

    def options(self, sigma: float) -> dict[str, Any]:
        return {
            "objective": "denoising",
            "noise_scale": sigma,
            "variance_reduction": self.variance_reduction,
            "n_projections": self.n_noises,
        }

    def relative_variance(self, sigma: float) -> float:
        """Of the estimated precision of N(μ, v), times n, as n → ∞."""
        V = VARIANCE + sigma**2
        shared = 2 * (VARIANCE / V) ** 2
        of_one = 4 * VARIANCE / V if self.variance_reduction else VARIANCE / sigma**2
        return shared + (of_one - shared) / self.n_noises


PLAIN, CONTROLLED = Method("without control variate", False), Method("with control variate", True)
METHODS = PLAIN, CONTROLLED, Method(f"with it, {MANY} noises a row", True, MANY)


@dataclass(frozen=True)
class Variance:
    """Of an estimate, times n: found in a simulation, and by theory."""

    method: str
    sigma: float
    estimates: Doubles
    n: int
    theory: float
    unit: float = 1.0  # by which estimates are divided

    @property
    def found(self) -> float:
        return float(self.n * np.var(self.estimates / self.unit, ddof=1))

    @property
    def standard_error(self) -> float:
        """Of estimates that are nearly normal, as means of so many samples are."""
        return self.theory * float(np.sqrt(2 / len(self.estimates)))

    @property
    def deviation(self) -> float:
        """In standard errors."""
        return abs(self.found - self.theory) / self.standard_error

    def deviation_of_mean(self, mean: float) -> float:
        """From a value, in standard errors."""
        error = self.unit * np.sqrt(self.theory / self.n / len(self.estimates))
        return float(abs(self.estimates.mean() - mean) / error)


# -- a Gaussian ----------------------------------------------------------------------------------------------------


def estimate_precisions(options: dict[str, Any], repeats: int, seed: Sequence[int]) -> Doubles:
    rng = np.random.default_rng(seed)
    estimates = np.empty(repeats)
    for repeat in range(repeats):
        X = np.sqrt(VARIANCE) * rng.standard_normal((N_SAMPLES, 1))
        model = scorematch.Gaussian(**options, random_state=int(rng.integers(2**31)), n_jobs=1)
        estimates[repeat] = model.fit(X).precision_[0, 0]
    return estimates


def precisions(method: Method, sigma: float, repeats: int, seed: Sequence[int]) -> Variance:
    estimates = estimate_precisions(method.options(sigma), repeats, seed)
    theory, unit = method.relative_variance(sigma), 1 / (VARIANCE + sigma**2)
    return Variance(method.name, sigma, estimates, N_SAMPLES, theory, unit)


def expected_precision(method: Method, sigma: float) -> float:
    """With one noise a row: exactly without the control variate, else up to 1/n²."""
    V = VARIANCE + sigma**2
    return (1 + (1 + 2 * VARIANCE / V) / N_SAMPLES * method.variance_reduction) / V


def limits(repeats: int, seed: int) -> list[Variance]:
    """What the control variate tends to without noise, and score matching itself."""
    sliced = {"objective": "sliced", "projection": "gaussian"}
    near, limit = CONTROLLED.options(NO_NOISE), CONTROLLED.relative_variance(0)
    return [
        Variance(name, sigma, estimate_precisions(options, repeats, [seed, 1, i]), N_SAMPLES, theory, 1 / VARIANCE)
        for i, (name, sigma, options, theory) in enumerate(
            [
                (CONTROLLED.name, NO_NOISE, near, limit),
                ("sliced, Gaussian directions", 0.0, sliced, limit),
                ("score matching", 0.0, {}, 2.0),
            ]
        )
    ]


# -- the weight of a mixture ---------------------------------------------------------------------------------------


def mixture(sigma: float, method: Method, seed: int) -> Any:
    """The density of data plus noise, to be fitted to the data."""
    V = 1 + sigma**2
    return scorematch.GaussianMixture.from_params(
        weights=[WEIGHT, 1 - WEIGHT], means=[[-HALF_DISTANCE], [HALF_DISTANCE]], covariances=[[[V]], [[V]]],
        **method.options(sigma), random_state=seed, n_jobs=1,
    )  # fmt: skip


def estimate_weight(x: Doubles, model: Any) -> float:
    """Where the derivative of the objective with respect to log π/(1−π), the first entry of θ, is zero."""
    from scipy.optimize import brentq

    def slope(logit: float) -> float:
        theta = model.theta_.copy()
        theta[0] = logit
        return float(model.loss_and_grad(theta, x[:, None])[1][0])

    return float(1 / (1 + np.exp(-brentq(slope, -6, 6, xtol=1e-6))))


def weights(method: Method, sigma: float, repeats: int, seed: Sequence[int]) -> Variance:
    rng = np.random.default_rng(seed)
    estimates = np.empty(repeats)
    for repeat in range(repeats):
        x = draw_mixture(HALF_DISTANCE, MIXTURE_SAMPLES, rng)
        estimates[repeat] = estimate_weight(x, mixture(sigma, method, int(rng.integers(2**31))))
    return Variance(method.name, sigma, estimates, MIXTURE_SAMPLES, weight_variance(method, sigma))


def weight_variance(method: Method, sigma: float) -> float:
    """Of π, times n, with one noise a row: the sandwich S/G² by the trapezoid rule in x and z."""
    V, m = 1 + sigma**2, HALF_DISTANCE
    normal, step = np.linspace(-8, 8, 201, retstep=True)
    mass = step * np.exp(-(normal**2) / 2) / np.sqrt(2 * np.pi)

    def mean(f: Callable[[Doubles, Doubles], Doubles]) -> float:
        at = [mass @ f(mode + normal[:, None], normal) @ mass for mode in (-m, m)]
        return float(WEIGHT * at[0] + (1 - WEIGHT) * at[1])

    def psi(x: Doubles) -> tuple[Doubles, Doubles]:
        """The score function of data plus noise, and its derivative with respect to log π/(1−π)."""
        balance = np.tanh(m * x / V - np.log(WEIGHT / (1 - WEIGHT)) / 2)  # 1 − 2γ
        return (m * balance - x) / V, -m * (1 - balance**2) / (2 * V)

    def slope(x: Doubles, z: Doubles) -> Doubles:
        there, by_logit = psi(x + sigma * z)
        control = psi(x)[1] if method.variance_reduction else 0
        return np.asarray(there * by_logit + (by_logit - control) * z / sigma)

    curvature = mean(lambda x, z: psi(x + sigma * z)[1] ** 2)
    return (WEIGHT * (1 - WEIGHT)) ** 2 * mean(lambda x, z: slope(x, z) ** 2) / curvature**2


# -- all parameters ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Recovered:
    """Parameters of one fit, and those of the density of data plus noise."""

    model: str
    names: Sequence[str]
    found: Doubles
    expected: Doubles
    errors: Doubles

    @property
    def deviation(self) -> float:
        """The largest, in standard errors."""
        return float(np.abs((self.found - self.expected) / self.errors).max())


def recover_gaussian(seed: int) -> Recovered:
    covariance = np.array([[1.0, 0.5], [0.5, 2.0]])
    X = np.random.default_rng([seed, 3]).multivariate_normal([1, -1], covariance, SMOOTHED_SAMPLES)
    model = scorematch.Gaussian(**CONTROLLED.options(SMOOTHING), random_state=seed, n_jobs=1).fit(X)
    upper, errors = np.triu_indices(2), np.sqrt(np.diag(model.covariance(of="covariance"))).reshape(2, 2)
    smoothed = covariance + SMOOTHING**2 * np.eye(2)
    return Recovered("Gaussian", ["Σ₁₁", "Σ₁₂", "Σ₂₂"], model.covariance_[upper], smoothed[upper], errors[upper])


def recover_mixture(seed: int) -> Recovered:
    rng = np.random.default_rng([seed, 4])
    x = np.where(rng.random(SMOOTHED_SAMPLES) < 0.3, -2, 2) + rng.standard_normal(SMOOTHED_SAMPLES)
    model = scorematch.GaussianMixture(2, **CONTROLLED.options(SMOOTHING), random_state=seed, n_jobs=1)
    model.fit(x[:, None])
    order = np.argsort(model.means_[:, 0])
    blocks = {"weights": model.weights_, "means": model.means_[:, 0], "covariances": model.covariances_[:, 0, 0]}
    found = np.concatenate([block[order] for block in blocks.values()])
    errors = np.concatenate([np.sqrt(np.diag(model.covariance(of=name)))[order] for name in blocks])
    V = 1 + SMOOTHING**2
    names = ["π₁", "π₂", "μ₁", "μ₂", "σ₁²", "σ₂²"]
    return Recovered("mixture", names, found, np.array([0.3, 0.7, -2, 2, V, V]), errors)


# -- all of it -----------------------------------------------------------------------------------------------------


def experiment(seed: int, quick: bool) -> Findings:
    repeats, sigmas = (QUICK_REPEATS, QUICK_SIGMAS) if quick else (REPEATS, SIGMAS)
    gaussians = [
        precisions(method, sigma, repeats, [seed, 0, i, j])
        for i, method in enumerate(METHODS)
        for j, sigma in enumerate(sigmas)
    ]
    at_limit = limits(repeats, seed)
    mixture_repeats = QUICK_MIXTURE_REPEATS if quick else MIXTURE_REPEATS
    mixtures = [
        weights(method, sigma, mixture_repeats, [seed, 2, i, j])
        for i, method in enumerate((PLAIN, CONTROLLED))
        for j, sigma in enumerate(QUICK_MIXTURE_SIGMAS if quick else MIXTURE_SIGMAS)
    ]
    recovered = [recover_gaussian(seed), recover_mixture(seed)]
    exact, likely = mixture_variances(HALF_DISTANCE)
    tables = [
        variance_table(f"precision of N(μ, {VARIANCE:g}): n times its relative variance, n = {N_SAMPLES}",
                       [*gaussians, *at_limit]),
        variance_table(f"weight of {WEIGHT} N(−{HALF_DISTANCE}, 1) + {1 - WEIGHT} N({HALF_DISTANCE}, 1): n times its "
                       f"variance, n = {MIXTURE_SAMPLES}; score matching {exact:.3g}, maximum likelihood {likely:.3g}",
                       mixtures),
        Table(
            f"parameters with noise of σ = {SMOOTHING}, and those of the density of data plus noise, "
            f"n = {SMOOTHED_SAMPLES}",
            {
                "model": [one.model for one in recovered for _ in one.names],
                "parameter": [name for one in recovered for name in one.names],
                "found": np.concatenate([one.found for one in recovered]),
                "smoothed": np.concatenate([one.expected for one in recovered]),
                "std. error": np.concatenate([one.errors for one in recovered]),
            },
            dict.fromkeys(("found", "smoothed", "std. error"), ".3f"),
        ),
    ]  # fmt: skip

    def draw(figure: Figure) -> None:
        prepare(figure, 11, 4.8)
        left, right = figure.subplots(1, 2)
        draw_precisions(left, [*gaussians, *at_limit])
        draw_weights(right, mixtures, exact, likely)

    return Findings(tables, claims_of(gaussians, at_limit, mixtures, recovered), draw)


def claims_of(
    gaussians: Sequence[Variance],
    at_limit: Sequence[Variance],
    mixtures: Sequence[Variance],
    recovered: Sequence[Recovered],
) -> list[Claim]:
    def largest(sentence: str, deviations: Sequence[float]) -> Claim:
        return Claim.at_most(f"{sentence}, largest deviation in standard errors", max(deviations), CERTAINTY)

    plain, controlled = (
        {one.sigma: one for one in gaussians if one.method == method.name} for method in (PLAIN, CONTROLLED)
    )
    # At the ends, far from where the two are equal: between them the errors of the ratios would matter.
    least, most = min(plain), max(plain)
    ratios = {sigma: plain[sigma].found / controlled[sigma].found for sigma in (least, most)}
    exact, likely = mixture_variances(HALF_DISTANCE)
    of_mean = WEIGHT * (1 - WEIGHT) + 1 / (4 * HALF_DISTANCE**2)
    return [
        *(
            largest(f"precision, {method.name}: its mean is 1/(v + σ²)",
                    [one.deviation_of_mean(expected_precision(method, one.sigma)) for one in group.values()])
            for method, group in ((PLAIN, plain), (CONTROLLED, controlled))
        ),
        largest("precision: its variances are those of theory", [one.deviation for one in gaussians]),
        largest("precision: so are those without noise, with the control variate as sliced",
                [one.deviation for one in at_limit]),
        Claim.at_least(f"precision: the control variate helps where σ² < v/3, ratio of variances at σ = {least:g}",
                       ratios[least], 2),
        Claim.at_most(f"precision: and does not where σ² > v/3, ratio of variances at σ = {most:g}", ratios[most], 0.7),
        *(
            largest(f"{one.model}: the parameters are those of the density of data plus noise", [one.deviation])
            for one in recovered
        ),
        largest("weight: its mean is that of the mixture", [one.deviation_of_mean(WEIGHT) for one in mixtures]),
        largest("weight: its variances are those of theory", [one.deviation for one in mixtures]),
        Claim.at_most("weight: with noise of σ = 2, the variance over that of score matching",
                      max(one.found for one in mixtures if one.sigma == 2) / exact, 0.1),
        Claim.near("weight: with ever more noise the plain objective reads it from the mean, variance at σ = 100",
                   weight_variance(PLAIN, 100.0), of_mean, 1e-3),
        Claim.at_least("weight: and that is more than maximum likelihood's, ratio", of_mean / likely, 1),
    ]  # fmt: skip


def variance_table(title: str, variances: Sequence[Variance]) -> Table:
    return Table(
        title,
        {
            "objective": [one.method for one in variances],
            "σ": [f"{one.sigma:g}" for one in variances],
            "simulation": [one.found for one in variances],
            "std. error": [one.standard_error for one in variances],
            "theory": [one.theory for one in variances],
        },
        dict.fromkeys(("simulation", "std. error", "theory"), ".3f"),
    )


def draw_points(ax: Axes, variances: Sequence[Variance], colours: dict[str, str]) -> None:
    for one in variances:
        if one.sigma > 0.05:
            ax.errorbar(one.sigma, one.found, 2 * one.standard_error, fmt="o", ms=5, lw=1.4, color=colours[one.method])


def draw_precisions(ax: Axes, variances: Sequence[Variance]) -> None:
    grid = np.geomspace(0.07, 4, 100)
    colours = dict(zip([method.name for method in METHODS], CYCLE, strict=False))
    for method in METHODS:
        theory = [method.relative_variance(sigma) for sigma in grid]
        ax.plot(grid, theory, color=colours[method.name], lw=1.6, label=method.name)
    draw_points(ax, variances, colours)
    ax.axhline(2, color=INK, lw=0.8, ls=":", label="score matching, without noise")
    ax.axvline(np.sqrt(VARIANCE / 3), color=INK, lw=0.6, ls="--")
    ax.annotate("σ² = v/3", (np.sqrt(VARIANCE / 3), 60), (4, 0), textcoords="offset points", fontsize="small")
    ax.set(xscale="log", yscale="log", xlabel="σ", ylabel="n × relative variance", ylim=(0.03, 250))
    ax.set_title("precision of a Gaussian of unit variance", fontsize="medium")
    ax.legend(frameon=False, fontsize="small", loc="lower left")
    tidy(ax)


def draw_weights(ax: Axes, variances: Sequence[Variance], exact: float, likely: float) -> None:
    grid = np.geomspace(0.15, 12, 40)
    colours = {PLAIN.name: BLUE, CONTROLLED.name: ORANGE}
    for method in (PLAIN, CONTROLLED):
        theory = [weight_variance(method, sigma) for sigma in grid]
        ax.plot(grid, theory, color=colours[method.name], lw=1.6, label=method.name)
    draw_points(ax, variances, colours)
    for value, style, name in ((exact, ":", "score matching, without noise"), (likely, "--", "maximum likelihood")):
        ax.axhline(value, color=INK, lw=0.8, ls=style, label=name)
    ax.set(xscale="log", yscale="log", xlabel="σ", ylabel="n × variance")
    ax.set_title(f"weight of {WEIGHT}·N(−{HALF_DISTANCE}, 1) + {1 - WEIGHT}·N({HALF_DISTANCE}, 1)", fontsize="medium")
    ax.legend(frameon=False, fontsize="small", loc="upper right")
    tidy(ax)


PAPER = Paper(
    name="vincent2011-denoising",
    reference='Vincent (2011), "A connection between score matching and denoising autoencoders", Neural Computation 23',
    description="denoising score matching over the noise: what it finds, and how exactly",
    experiment=experiment,
)
