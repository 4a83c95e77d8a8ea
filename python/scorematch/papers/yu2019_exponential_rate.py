"""Yu, Drton and Shojaie (2019): what the weight costs, for the rate of an exponential distribution.

For log p = −λx on the non-negative half-line, with a weight h, ρ = ½hλ² − h′λ. So the estimate is

    λ̂ = Σ h′(x) / Σ h(x),        n Var λ̂ → E(λh − h′)² / (E h)²,

and maximum likelihood, 1/x̄, is that of h(x) = x, with n Var λ̂ → λ². No other weight is as good. For h = min(x, c) the
variance is that over 1 − exp(−λc): the part of the data below the cap. So a cap in the units of the data is good for
some rates and bad for others, whereas one at the quantile q of the data costs 1/q at any rate. The default, MCP that is
flat from the quantile 0.95 on, is of this kind. (That caps are estimated makes no difference to the variance as n → ∞,
since every cap gives an estimating equation with the same root.)

The variance is found twice: by quadrature, and from estimates of the library on simulated samples, compared sample by
sample with those of maximum likelihood.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

import scorematch
from scorematch.papers._paper import CERTAINTY, Claim, Findings, Paper, Table
from scorematch.papers.efficiency import Comparison
from scorematch.plotting._drawing import BLUE, INK, ORANGE, TINTS, prepare, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Doubles = NDArray[np.float64]

N_SAMPLES = 1000
REPEATS, QUICK_REPEATS = 1000, 100
KNOWN = {"x": 1.0, "x²": 2.0, "min(x, 1)": 1.582, "min(x, 3)": 1.052, "log(1+x)": 1.135}
CAPPED, DEFAULT = "min(x, q₀.₉)", "MCP, q₀.₉₅: default"
RATES = (0.1, 3.0)  # beside 1, for the weights whose variance is drawn against the rate


def weights() -> dict[str, Any]:
    """Weights to compare; None stands for the default."""
    sm = scorematch
    return {
        "x": sm.Power(1),
        "x²": sm.Power(2),
        "min(x, 1)": sm.MinPower(c=1),
        "min(x, 3)": sm.MinPower(c=3),
        "log(1+x)": sm.Log1p(),
        CAPPED: sm.MinPower(quantile=0.9),
        DEFAULT: None,
        "min(log(1+x), q₀.₉)": sm.MinLog1p(quantile=0.9),
        "tanh x": sm.Tanh(1),
        "tanh x/2": sm.Tanh(0.5),
        "asinh x": sm.Asinh(1),
        "softplus x": sm.SoftPlus(1),
        "MCP, γ = 3": sm.MCP(lam=1, gamma=3),
        "SCAD, γ = 3.7": sm.SCAD(lam=1, gamma=3.7),
        "sin min(x, π/2)": sm.TruncatedSine(1),
        "sine, q₀.₉": sm.TruncatedSine(quantile=0.9),
    }


def against_the_rate() -> dict[str, Any]:
    """Those that are drawn against the rate."""
    return {name: weights()[name] for name in ("x²", "min(x, 1)", "log(1+x)", "tanh x", CAPPED, DEFAULT)}


def experiment(seed: int, quick: bool) -> Findings:
    repeats = QUICK_REPEATS if quick else REPEATS
    compared = [
        compare(name, weight, 1.0, repeats, np.random.default_rng([seed, k]))
        for k, (name, weight) in enumerate(weights().items())
    ]
    elsewhere = {
        rate: [
            compare(name, weight, rate, repeats, np.random.default_rng([seed, 100 + r, k]))
            for k, (name, weight) in enumerate(against_the_rate().items())
        ]
        for r, rate in enumerate(RATES)
    }
    by_name = {one.name: one for one in compared}
    efficient = by_name["x"]
    claims = [
        Claim.at_most(
            "quadrature gives the digits of the known values, largest difference",
            max(abs(by_name[name].theory - known) for name, known in KNOWN.items()), 0.0005,
        ),
        Claim.near("x: the estimate is that of maximum likelihood, ratio of variances", efficient.found, 1, 1e-9),
        Claim.at_least(
            "no weight has a lower variance than maximum likelihood, the lowest by quadrature",
            min(one.theory for one in compared), 1 - 1e-4,
        ),
        *(
            Claim.near(f"{CAPPED}: at rate {rate:g} quadrature gives 1/0.9",
                       variance(weights()[CAPPED], rate), 1 / 0.9, 1e-3)
            for rate in sorted((*RATES, 1.0))
        ),
        *(
            Claim.near(f"{DEFAULT}: at rate {rate:g} quadrature gives the same as at rate 1",
                       variance(None, rate), by_name[DEFAULT].theory, 1e-3)
            for rate in RATES
        ),
        *(
            Claim.at_most(f"rate {rate:g}: simulation and quadrature agree for {len(group)} weights, largest "
                          "difference in standard errors", deviation(group), CERTAINTY)
            for rate, group in sorted({**elsewhere, 1.0: compared[1:]}.items())
        ),
    ]  # fmt: skip
    order = sorted(compared, key=lambda one: one.theory)
    tables = [
        Table(
            f"rate 1: variance of score matching over maximum likelihood's, {repeats} samples of {N_SAMPLES}; the best "
            "weight first",
            {
                "h(x)": [one.name for one in order],
                "known value": [f"{one.known:.3f}" if np.isfinite(one.known) else "" for one in order],
                "quadrature": [one.theory for one in order],
                "simulation": [one.found for one in order],
                "std. error": [one.standard_error for one in order],
            },
            dict.fromkeys(("quadrature", "simulation", "std. error"), ".3f"),
        ),
        Table(
            "the same at other rates",
            {
                "h(x)": [one.name for one in elsewhere[RATES[0]]],
                **{f"rate {rate:g}, quadrature": [one.theory for one in group] for rate, group in elsewhere.items()},
                **{f"rate {rate:g}, simulation": [one.found for one in group] for rate, group in elsewhere.items()},
            },
            {f"rate {rate:g}, {how}": ".3f" for rate in RATES for how in ("quadrature", "simulation")},
        ),
    ]

    def draw(figure: Figure) -> None:
        prepare(figure, 12, 5)
        left, right = figure.subplots(1, 2, width_ratios=(1, 1.1))
        draw_weights(left, order)
        draw_rates(right, compared, elsewhere)

    return Findings(tables, claims, draw)


def deviation(group: Sequence[Comparison]) -> float:
    """Of simulations from theory, the largest in standard errors."""
    return max(abs(one.found - one.theory) / one.standard_error for one in group)


# -- the variance by quadrature ------------------------------------------------------------------------------------


def variance(weight: Any, rate: float) -> float:
    """That of λ̂, times n, over maximum likelihood's λ²."""
    # Of λx, on short intervals, since weights have kinks.
    u = (np.arange(60_000) + 0.5) / 2000
    chance = np.exp(-u)
    chance /= chance.sum()
    h, slope = (values[:, 0] for values in settled(weight, rate)(u[:, None] / rate))
    return float(chance @ (rate * h - slope) ** 2 / (chance @ h) ** 2 / rate**2)


def settled(weight: Any, rate: float) -> Any:
    """The weight, with its caps at the quantiles of the distribution."""
    chosen: Any = scorematch.weights.default_weight(scorematch.NonNegative()) if weight is None else weight
    probabilities = (np.arange(100_000) + 0.5) / 100_000
    return chosen.fitted(-np.log1p(-probabilities)[:, None] / rate)


# -- and by simulation ---------------------------------------------------------------------------------------------


def compare(name: str, weight: Any, rate: float, repeats: int, rng: np.random.Generator) -> Comparison:
    X = rng.exponential(1 / rate, size=(repeats, N_SAMPLES))
    ours = np.array([estimate(x, weight) for x in X])
    known = KNOWN.get(name, np.nan) if rate == 1 else np.nan
    return Comparison.of(name, known, variance(weight, rate), ours, 1 / X.mean(axis=1))


def estimate(x: Doubles, weight: Any) -> float:
    """The rate by the library: that of an exponential family with the statistic −x."""
    model = scorematch.ExponentialFamily(jacobian, hessian_diagonal, 1, domain=scorematch.NonNegative(), weight=weight)
    return float(model.fit(x[:, None]).theta_[0])


def jacobian(x: Doubles) -> Doubles:
    return np.full((len(x), 1, 1), -1.0)


def hessian_diagonal(x: Doubles) -> Doubles:
    return np.zeros((len(x), 1, 1))


# -- the figure ----------------------------------------------------------------------------------------------------


def draw_weights(ax: Axes, order: Sequence[Comparison]) -> None:
    rows = np.arange(len(order))
    colours = [BLUE if one.name == DEFAULT else TINTS[1] for one in order]
    ax.barh(rows, [one.theory for one in order], 0.64, color=colours)
    ax.barh([0], [0], color=TINTS[1], label="quadrature (dark: the default)")
    ax.errorbar(
        [one.found for one in order], rows, xerr=[2 * one.standard_error for one in order],
        fmt="o", color=INK, ms=3.5, lw=1.2, label="simulation, ± 2 standard errors",
    )  # fmt: skip
    for row, one in zip(rows, order, strict=True):
        end = (max(one.theory, one.found + 2 * one.standard_error), row)
        ax.annotate(f"{one.theory:.3f}", end, (5, 0), textcoords="offset points", va="center", fontsize="small")
    ax.axvline(1, color=INK, lw=0.8, ls=":")
    ax.set_yticks(rows, [one.name for one in order], fontsize="small")
    ax.set(xlim=(0, 2.45), ylim=(len(order) - 0.4, -0.6))
    ax.set_xlabel("variance over maximum likelihood's")
    ax.set_title("weights at rate 1", fontsize="medium")
    ax.legend(frameon=False, fontsize="small", loc="upper right")
    tidy(ax)


def draw_rates(ax: Axes, at_one: Sequence[Comparison], elsewhere: dict[float, list[Comparison]]) -> None:
    grid = np.geomspace(0.03, 30, 61)
    styles = {"x²": (INK, "--"), "min(x, 1)": (ORANGE, "-"), "log(1+x)": (INK, "-"), "tanh x": (ORANGE, "--"),
              CAPPED: (TINTS[2], "-"), DEFAULT: (BLUE, "-")}  # fmt: skip
    for name, weight in against_the_rate().items():
        colour, style = styles[name]
        ax.plot(grid, [variance(weight, rate) for rate in grid], color=colour, ls=style, lw=1.8, label=name)
        for rate, group in {1.0: at_one, **elsewhere}.items():
            one = next(one for one in group if one.name == name)
            ax.errorbar(rate, one.found, 2 * one.standard_error, fmt="o", color=colour, ms=5, lw=1.2)
    ax.axhline(1, color=INK, lw=0.8, ls=":")
    ax.set(xscale="log", yscale="log", ylim=(0.9, 14), xlabel="rate λ, per unit of x",
           ylabel="variance over maximum likelihood's")  # fmt: skip
    ax.set_xticks([0.1, 1, 10], ["0.1", "1", "10"])
    ax.set_yticks([1, 2, 5, 10], ["1", "2", "5", "10"])
    ax.minorticks_off()
    ax.set_title("a cap in units of x, and one at a quantile", fontsize="medium")
    ax.legend(frameon=False, fontsize="small", loc="upper right", title="h(x)")
    tidy(ax)


PAPER = Paper(
    name="yu2019-exponential-rate",
    reference="Yu, Drton and Shojaie (2019), JMLR 20, on the choice of the weight; by asymptotic theory",
    description="the rate of an exponential distribution: what each weight costs against maximum likelihood",
    experiment=experiment,
)
