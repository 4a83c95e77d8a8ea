"""Andy Jones, "Score matching": the two terms of the objective as the variance of a Gaussian varies.

For x ~ N(0, σ²) the score function is ψ = −x/σ², so that the objective of a sample is

    J(σ²) = −1/σ² + mean x² / (2σ⁴),

Hessian term plus norm term. The first falls as the variance falls, the second rises; their sum is lowest at
σ² = mean x², the estimate of maximum likelihood, where it is −1/(2 mean x²).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

import scorematch
from scorematch.papers._paper import Claim, Findings, Paper, Table
from scorematch.plotting._drawing import BLUE, INK, ORANGE, prepare, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Doubles = NDArray[np.float64]

N_SAMPLES = 100
VARIANCES = np.linspace(0.2, 5.0, 50)


def experiment(seed: int, quick: bool) -> Findings:
    x = np.random.default_rng(seed).standard_normal((N_SAMPLES, 1))
    norm, hessian = np.array([terms(variance, x) for variance in VARIANCES]).T
    total = norm + hessian

    # J is quadratic in the natural parameters 1/σ² and μ/σ², of which the second is known: 0.
    gamma, g = scorematch.Gaussian("spherical").quadratic_form(x)
    best = float(gamma[0, 0] / g[0])
    lowest = sum(terms(best, x))

    second_moment = float(np.mean(x**2))
    formula = -1 / VARIANCES + second_moment / (2 * VARIANCES**2)
    chosen = int(np.argmin(total))
    shown = sorted({*range(0, len(VARIANCES), 7), len(VARIANCES) - 1, chosen})
    table = Table(
        f"terms of the objective, means over n = {N_SAMPLES} samples of N(0, 1)",
        {
            "variance": VARIANCES[shown],
            "Hessian term": hessian[shown],
            "norm term": norm[shown],
            "total": total[shown],
        },
        {"variance": ".3f", "Hessian term": ".4f", "norm term": ".4f", "total": ".4f"},
    )
    claims = [
        Claim.at_most("the argmin is the mean of x², difference", abs(best - second_moment), 1e-12),
        Claim.at_most("the minimum is −1/(2 mean x²), difference", abs(lowest + 1 / (2 * second_moment)), 1e-12),
        Claim.at_most("the curve is −1/σ² + mean x²/(2σ⁴), largest difference", np.abs(total - formula).max(), 1e-12),
        Claim.near("the best of the 50 variances is the one where the formula is lowest", VARIANCES[chosen],
                   VARIANCES[np.argmin(formula)], 0),
        Claim.near("at the variance 0.2 the Hessian term is −5", hessian[0], -5, 0),
    ]  # fmt: skip

    def draw(figure: Figure) -> None:
        prepare(figure, 11, 4.6)
        left, right = figure.subplots(1, 2, width_ratios=(1, 1.4))
        draw_densities(left, x[:, 0], best)
        draw_terms(right, norm, hessian, best, lowest)

    return Findings([table], claims, draw)


def terms(variance: float, x: Doubles) -> tuple[float, float]:
    """Means of the norm term and of the Hessian term of N(0, variance)."""
    model = scorematch.Gaussian.from_params(mean=[0.0], precision=[[1 / variance]])
    norm_term, hessian_term = model.score_matching_terms(x)
    return float(norm_term.mean()), float(hessian_term.mean())


def draw_densities(ax: Axes, x: Doubles, best: float) -> None:
    grid = np.linspace(-4, 4, 401)

    def density(variance: float) -> Doubles:
        return np.asarray(np.exp(-(grid**2) / (2 * variance)) / np.sqrt(2 * np.pi * variance))

    ax.plot(grid, density(VARIANCES[0]), color="0.55", ls="--", lw=1.4, label=f"σ² = {VARIANCES[0]:.3g}")
    ax.plot(grid, density(best), color=BLUE, lw=2, label=f"σ² = {best:.3g}, the estimate")
    ax.plot(grid, density(VARIANCES[-1]), color="0.55", ls=":", lw=1.4, label=f"σ² = {VARIANCES[-1]:.3g}")
    ax.plot(x, np.full(len(x), -0.03), "|", color=INK, alpha=0.5, ms=9, label="samples")
    ax.set(xlim=(-4, 4), ylim=(-0.06, 1.15), xlabel="x", ylabel="density")
    ax.set_title(f"{len(x)} samples of N(0, 1), and densities N(0, σ²)", fontsize="medium")
    ax.legend(frameon=False, fontsize="small", loc="upper left")
    tidy(ax)


def draw_terms(ax: Axes, norm: Doubles, hessian: Doubles, best: float, lowest: float) -> None:
    draw_bars(ax, norm, hessian)
    ax.set(xlim=(0.1, 5.1), xlabel="variance σ²", ylabel="mean over the samples")
    ax.set_title("terms of the objective against the variance", fontsize="medium")
    ax.legend(frameon=False, fontsize="small", loc="lower right", ncols=3)
    tidy(ax)

    # The lowest point is flat, beside what happens at small variances.
    near = ax.inset_axes((0.2, 0.58, 0.78, 0.4))
    draw_bars(near, norm, hessian)
    near.plot(best, lowest, "v", color=INK, mec="white", ms=9)
    near.annotate(
        f"lowest at σ² = mean x² = {best:.3g}: {lowest:.3g}".replace("-", "−"), (best, lowest), (best + 0.6, -0.95),
        va="center", fontsize="small", arrowprops={"arrowstyle": "-", "color": INK},
    )  # fmt: skip
    near.set(xlim=(0.4, 5.1), ylim=(-1.2, 0.6))
    near.tick_params(labelsize="small")
    ax.indicate_inset_zoom(near, edgecolor="0.6")


def draw_bars(ax: Axes, norm: Doubles, hessian: Doubles) -> None:
    width = VARIANCES[1] - VARIANCES[0]
    ax.bar(VARIANCES, hessian, 0.9 * width, color=BLUE, label="Hessian term, −1/σ²")
    ax.bar(VARIANCES, norm, 0.9 * width, color=ORANGE, label="norm term, mean x²/(2σ⁴)")
    ax.bar(VARIANCES, norm + hessian, 0.4 * width, color=INK, label="total")
    ax.axhline(0, color=INK, lw=0.8)


PAPER = Paper(
    name="andy-jones",
    reference='Andy Jones, "Score matching", https://andrewcharlesjones.github.io/journal/21-score-matching.html',
    description="the two terms of the objective as the variance of a Gaussian varies",
    experiment=experiment,
)
