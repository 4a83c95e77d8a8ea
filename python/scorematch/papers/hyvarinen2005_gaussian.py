"""Hyvärinen (2005), section 3.1: for the Gaussian, score matching is maximum likelihood.

With q(x) = exp(−½ (x−μ)ᵀM(x−μ)) (5) the objective is

    J̃(M, μ) = mean[−tr M + ½ (x−μ)ᵀMM(x−μ)]                                                            (6)

Its gradient vanishes where μ is the sample mean and M the inverse of the sample covariance, for any sample: no matter
how few, how correlated, how heavy-tailed, or whether the data have a density at all. The same goes for a diagonal M and
for a multiple of the identity.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

import scorematch
from scorematch.papers._paper import Claim, Findings, Paper, Table
from scorematch.plotting._drawing import BLUE, INK, ORANGE, TINTS, prepare, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Doubles = NDArray[np.float64]
Kind = Literal["full", "diag", "spherical"]

SIZES = ((1, 12), (1, 1000), (2, 14), (2, 1000), (5, 20), (5, 1000), (20, 50), (20, 1000))  # (dimensions, samples)
KINDS: tuple[Kind, ...] = ("full", "diag", "spherical")
MEASURES = ("mean", "covariance", "M S = I", "minimum of (6)")
TOLERANCE = 1e-10


def normal(rng: np.random.Generator, n: int, d: int) -> Doubles:
    return rng.standard_normal((n, d))


def mixing(rng: np.random.Generator, d: int) -> Doubles:
    """A matrix that correlates columns, of condition number 10: what rounding leaves grows with its square."""
    rotation, _ = np.linalg.qr(rng.standard_normal((d, d)))
    return np.asarray(rotation * np.logspace(0, 1, d) @ np.linalg.qr(rng.standard_normal((d, d)))[0])


def correlated(rng: np.random.Generator, n: int, d: int) -> Doubles:
    return rng.standard_normal((n, d)) @ mixing(rng, d)


def tiny(rng: np.random.Generator, n: int, d: int) -> Doubles:
    return 1e-6 * correlated(rng, n, d)


def unequal(rng: np.random.Generator, n: int, d: int) -> Doubles:
    return correlated(rng, n, d) * np.logspace(-3, 3, d)


def student(rng: np.random.Generator, n: int, d: int) -> Doubles:
    return rng.standard_t(2, (n, d)) @ mixing(rng, d)


def cauchy(rng: np.random.Generator, n: int, d: int) -> Doubles:
    return rng.standard_cauchy((n, d))


def lognormal(rng: np.random.Generator, n: int, d: int) -> Doubles:
    return np.exp(correlated(rng, n, d) / 10)


def three_values(rng: np.random.Generator, n: int, d: int) -> Doubles:
    return rng.integers(0, 3, (n, d)).astype(np.float64)


SAMPLES: dict[str, Callable[[np.random.Generator, int, int], Doubles]] = {
    "normal": normal,
    "correlated normal": correlated,
    "the same, times 1e-6": tiny,
    "columns of scales 1e-3 to 1e3": unequal,
    "correlated Student t, 2 df": student,
    "Cauchy": cauchy,
    "lognormal": lognormal,
    "integers 0, 1, 2": three_values,
}


def experiment(seed: int, quick: bool) -> Findings:
    found = np.empty((len(SAMPLES), len(KINDS), len(SIZES), len(MEASURES)))
    for row, draw_sample in enumerate(SAMPLES.values()):
        for column, (d, n) in enumerate(SIZES):
            X = draw_sample(np.random.default_rng([seed, row, column]), n, d)
            found[row, :, column] = [differences(X, kind) for kind in KINDS]

    worst = found.max(axis=(1, 2))
    table = Table(
        f"largest difference from maximum likelihood, over {len(SIZES)} samples of d = 1 to 20 and n = 12 to 1000 and "
        f"{', '.join(KINDS)} covariances",
        {"sample": list(SAMPLES), **dict(zip(MEASURES, worst.T, strict=True))},
        dict.fromkeys(MEASURES, ".1e"),
    )
    sentences = (
        "the means are equal, largest difference in standard deviations",
        "the covariances are equal, largest difference as correlations",
        "M is the inverse of the sample covariance S, largest entry of MS − I",
        "the minimum of (6), solved by NumPy, is there too, largest difference",
    )
    claims = [Claim.at_most(*pair, TOLERANCE) for pair in zip(sentences, worst.max(axis=0), strict=True)]

    def draw(figure: Figure) -> None:
        prepare(figure, 11, 4.8)
        left, right = figure.subplots(1, 2, width_ratios=(1, 1.25))
        draw_sample_and_fit(left, student(np.random.default_rng(seed), 300, 2))
        draw_differences(right, found)

    return Findings([table], claims, draw)


def differences(X: Doubles, kind: Kind) -> list[float]:
    """Of score matching from maximum likelihood, columns in units of their standard deviations."""
    mean, covariance = maximum_likelihood(X, kind)
    deviation = np.sqrt(np.diagonal(covariance))
    as_correlation = np.outer(deviation, deviation)
    model = scorematch.Gaussian(kind).fit(X)
    inverse = (model.precision_ * as_correlation) @ (covariance / as_correlation)

    # Γθ = g, by hand: θ is the natural parameter (M, Mμ).
    gamma, g = model.quadratic_form(X)
    scale = 1 / np.sqrt(np.diagonal(gamma))
    theta = scale * np.linalg.solve(gamma * np.outer(scale, scale), scale * g)
    likely = scorematch.Gaussian.from_params(mean=mean, covariance=covariance, covariance_type=kind)
    size = np.abs(likely.theta_).max()
    return [
        float(np.abs((model.mean_ - mean) / deviation).max()),
        float(np.abs((model.covariance_ - covariance) / as_correlation).max()),
        float(np.abs(inverse - np.eye(len(mean))).max()),
        float(np.abs(theta - likely.theta_).max() / size),
    ]


def maximum_likelihood(X: Doubles, kind: Kind) -> tuple[Doubles, Doubles]:
    """The sample mean, and the sample covariance (sums divided by n) as far as the kind allows for it."""
    mean = X.mean(axis=0)
    covariance = (X - mean).T @ (X - mean) / len(X)
    if kind == "full":
        return mean, covariance
    variances = np.diagonal(covariance)
    return mean, np.diag(variances if kind == "diag" else np.full(len(mean), variances.mean()))


def draw_sample_and_fit(ax: Axes, X: Doubles) -> None:
    mean, covariance = maximum_likelihood(X, "full")
    model = scorematch.Gaussian().fit(X)
    turn = np.linspace(0, 2 * np.pi, 361)
    circle = np.stack([np.cos(turn), np.sin(turn)])
    ax.plot(*X.T, "o", ms=3, color=INK, mew=0, alpha=0.4, label="sample")
    for radius in (1, 2):
        ours = model.mean_[:, None] + radius * np.linalg.cholesky(model.covariance_) @ circle
        theirs = mean[:, None] + radius * np.linalg.cholesky(covariance) @ circle
        ax.plot(*ours, color=TINTS[2], lw=5, label="score matching" if radius == 1 else None)
        ax.plot(*theirs, color=INK, lw=1.2, ls="--", label="maximum likelihood" if radius == 1 else None)
    reach = 3.2 * np.sqrt(np.diagonal(covariance))
    ax.set(xlim=mean[0] + reach[0] * np.array([-1, 1]), ylim=mean[1] + reach[1] * np.array([-1, 1]))
    ax.set(xlabel="x₁", ylabel="x₂")
    ax.set_title("300 samples of Student t, 1 and 2 standard deviations", fontsize="medium")
    ax.legend(frameon=False, fontsize="small")
    tidy(ax)


def draw_differences(ax: Axes, found: Doubles) -> None:
    lowest = 1e-17  # in place of 0
    for shift, kind, colour in zip((-0.22, 0, 0.22), range(len(KINDS)), (BLUE, ORANGE, INK), strict=True):
        values = np.maximum(found[:, kind].reshape(len(SAMPLES), -1), lowest)
        rows = np.broadcast_to(np.arange(len(SAMPLES))[:, None] + shift, values.shape)
        ax.plot(values.ravel(), rows.ravel(), "o", ms=4, mew=0, alpha=0.55, color=colour, label=KINDS[kind])
    ax.axvline(TOLERANCE, color=INK, lw=1, ls="--")
    ax.annotate("claimed", (TOLERANCE, -0.75), (5, 0), textcoords="offset points", va="center", fontsize="small")
    ax.set_yticks(range(len(SAMPLES)), list(SAMPLES))
    ax.set(
        xscale="log",
        xlim=(lowest / 2, 1e-7),
        ylim=(len(SAMPLES) - 0.4, -1.1),
        xlabel="difference (0 is drawn at 1e-17)",
    )
    ax.set_title("score matching against maximum likelihood", fontsize="medium")
    ax.legend(frameon=False, fontsize="small", loc="lower right", title="covariance")
    tidy(ax)


PAPER = Paper(
    name="hyvarinen2005-gaussian",
    reference="Hyvärinen (2005), JMLR 6, section 3.1",
    description="score matching of a Gaussian equals maximum likelihood, for any sample",
    experiment=experiment,
)
