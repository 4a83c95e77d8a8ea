"""Song and Ermon (2019): Langevin dynamics does not find out how heavy two modes are; annealed, it nearly does.

The density is 0.8 N((5, 5), I) + 0.2 N((−5, −5), I), the score function exact. 1280 chains begin uniformly in the
square [−8, 8]² and take 1000 steps of unadjusted Langevin dynamics, x ← x + ½αψ(x) + √α z with α = ε = 0.1. Hardly
any of them crosses the ridge between the modes, so that about half of them end in the minor one. Annealed, the standard
deviation σ of the components falls from 20, where there is but one hill, to 1 in ten levels of a geometric sequence
with 100 steps each of α = εσ²: then about a fifth do.

How many are to be expected can be worked out. The means lie on the diagonal, so that a chain's place along it, s, is
a chain of its own, in one dimension, with the modes at ±5√2; a step takes the density of s to its integral against a
normal one, which the trapezoid rule gives to seven digits. So every simulated share is held against an exact one, and
it can be seen what the annealing lacks: at each level the chains come near the shares that the two sides of the ridge
have there, until σ is so small that none crosses any more. What they have learnt by then is what remains. Many levels
are needed to follow these shares, and beyond that many steps; more levels with the same steps in all change little.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

import scorematch
from scorematch.papers._paper import Claim, Findings, Paper, Table
from scorematch.plotting._drawing import BLUE, CYCLE, INK, ORANGE, prepare, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Doubles = NDArray[np.float64]

MEAN = 5.0  # in each coordinate, of the major mode; −5 of the minor
MINOR = 0.2  # its weight
N_CHAINS, SIDE = 1280, 8.0
STEP, N_STEPS = 0.1, 1000
LARGEST, LEVELS = 20.0, 10
SEEDS, QUICK_SEEDS = 20, 4
# Known shares of chains in the minor mode (to how many digits), and what else is annealed: numbers of levels and of
# steps in all.
PLAIN, ANNEALED = (0.49, 0.005), (0.217, 0.001)
MORE_LEVELS, QUICK_LEVELS = (2, 3, 5, 10, 20, 50), (2, 10, 50)
TOTALS, QUICK_TOTALS = (200, 500, 1000, 2000, 5000), (200, 1000)
SIMULATED, QUICK_SIMULATED = ((2, 1000), (3, 1000), (5, 1000), (10, 200), (10, 5000)), ((2, 1000), (10, 200))


@dataclass(frozen=True)
class Schedule:
    """Standard deviations of the components from level to level, and the steps at each."""

    n_levels: int
    total: int  # steps in all

    @property
    def sigmas(self) -> Doubles:
        return np.geomspace(LARGEST, 1, self.n_levels) if self.n_levels > 1 else np.ones(1)

    @property
    def n_steps(self) -> int:
        return self.total // self.n_levels

    @property
    def name(self) -> str:
        return "plain" if self.n_levels == 1 else f"{self.n_levels} levels of {self.n_steps} steps"


@cache
def mixture(sigma: float) -> scorematch.GaussianMixture:
    """The density, with components of standard deviation σ."""
    return scorematch.GaussianMixture.from_params(
        weights=[1 - MINOR, MINOR],
        means=[[MEAN, MEAN], [-MEAN, -MEAN]],
        covariances=[sigma**2, sigma**2],
        covariance_type="spherical",
    )


# -- simulated -----------------------------------------------------------------------------------------------------


def simulate(schedule: Schedule, seed: Sequence[int]) -> tuple[Doubles, Doubles]:
    """Where chains begin, and where they end."""
    from scorematch.samplers import annealed_langevin, langevin

    rng = np.random.default_rng([*seed, schedule.n_levels, schedule.total])
    begin, random_state = rng.uniform(-SIDE, SIDE, (N_CHAINS, 2)), int(rng.integers(2**31))
    if schedule.n_levels == 1:
        draws = langevin(
            mixture(1), n_chains=N_CHAINS, n_samples=1, n_warmup=0, thin=schedule.n_steps, step_size=STEP,
            initial=begin, random_state=random_state,
        )  # fmt: skip
    else:
        draws = annealed_langevin(
            [mixture(sigma) for sigma in schedule.sigmas], schedule.sigmas, begin, STEP, schedule.n_steps,
            random_state=random_state,
        )  # fmt: skip
    return begin, draws.draws[:, -1]


def in_minor_mode(points: Doubles) -> NDArray[np.bool_]:
    return np.asarray(points.sum(axis=1) < 0)


@dataclass(frozen=True)
class Runs:
    """A schedule with several seeds, and the share of chains in the minor mode that is to be expected."""

    schedule: Schedule
    exact: float
    begin: Doubles  # (seeds, chains, 2)
    end: Doubles

    @classmethod
    def of(cls, schedule: Schedule, seed: int, n_seeds: int) -> Runs:
        runs = [simulate(schedule, (seed, k)) for k in range(n_seeds)]
        begin, end = (np.array(points) for points in zip(*runs, strict=True))
        return cls(schedule, minor_share(schedule), begin, end)

    @property
    def shares(self) -> Doubles:
        return np.array([in_minor_mode(points).mean() for points in self.end])

    @property
    def share(self) -> float:
        return float(self.shares.mean())

    @property
    def standard_error(self) -> float:
        """Of the share, from how it varies over the seeds."""
        return float(self.shares.std(ddof=1) / np.sqrt(len(self.shares)))

    def claim(self) -> Claim:
        # Chains are independent: their number is binomial, whose error is known better than from a few seeds.
        error = np.sqrt(self.exact * (1 - self.exact) / (N_CHAINS * len(self.end)))
        return Claim.estimated(
            f"{self.schedule.name}: the share of chains in the minor mode is that by quadrature",
            self.share, self.exact, error,
        )  # fmt: skip


# -- exact ---------------------------------------------------------------------------------------------------------


def score_along(s: Doubles, sigma: float) -> Doubles:
    """Of s, the place along the diagonal."""
    mode = np.sqrt(2) * MEAN
    return np.asarray((mode * np.tanh(mode * s / sigma**2 + np.log(1 / MINOR - 1) / 2) - s) / sigma**2)


def transition(before: Doubles, after: Doubles, sigma: float) -> Any:
    """What takes the density of s on one even grid to that on another, after a step: a sparse matrix."""
    from scipy.sparse import coo_array

    step = STEP * sigma**2
    mean, deviation = before + step / 2 * score_along(before, sigma), np.sqrt(step)
    spacing = after[1] - after[0]
    reach = 8.5 * deviation  # beyond which a normal density is nothing beside 1
    rows = np.floor((mean - reach - after[0]) / spacing).astype(int)[:, None] + np.arange(int(2 * reach / spacing) + 2)
    columns = np.broadcast_to(np.arange(len(before))[:, None], rows.shape)
    density = np.exp(-(((after[0] + spacing * rows - mean[:, None]) / deviation) ** 2) / 2)
    weights = density * (before[1] - before[0]) / (np.sqrt(2 * np.pi) * deviation)
    inside = (rows >= 0) & (rows < len(after))
    return coo_array((weights[inside], (rows[inside], columns[inside])), shape=(len(after), len(before))).tocsr()


def minor_share(schedule: Schedule) -> float:
    """The expected share of chains in the minor mode at the end."""
    from itertools import pairwise

    def grid(spacing: float, largest: float) -> Doubles:
        n = int((np.sqrt(2) * MEAN + 7 * largest + 4) / spacing)
        return np.asarray(spacing * np.arange(-n, n + 1), dtype=np.float64)

    # A quarter of the noise of a step, so that the trapezoid rule hardly errs, though near the ridge a step spreads the
    # density out.
    spacings = np.sqrt(STEP) / 4 * schedule.sigmas
    corner = np.sqrt(2) * SIDE
    s = np.linspace(-corner, corner, 4001)
    density = (corner - np.abs(s)) / corner**2
    levels = zip(schedule.sigmas, pairwise([*spacings, spacings[-1]]), strict=True)
    largest = corner / 7
    for sigma, (spacing, next_spacing) in levels:
        largest = max(sigma, largest)
        here, there = grid(spacing, largest), grid(next_spacing, largest)
        density = transition(s, here, sigma) @ density
        between = transition(here, here, sigma)
        for _ in range(schedule.n_steps - 2):
            density = between @ density
        density = transition(here, there, sigma) @ density
        s, largest = there, sigma
    return float((density[s < 0].sum() + density[s == 0].sum() / 2) * (s[1] - s[0]))


# -- both ----------------------------------------------------------------------------------------------------------


def experiment(seed: int, quick: bool) -> Findings:
    n_seeds, levels = (QUICK_SEEDS, QUICK_LEVELS) if quick else (SEEDS, MORE_LEVELS)
    totals, simulated = (QUICK_TOTALS, QUICK_SIMULATED) if quick else (TOTALS, SIMULATED)
    plain = Runs.of(Schedule(1, N_STEPS), seed, n_seeds)
    annealed = Runs.of(Schedule(LEVELS, N_STEPS), seed, n_seeds)
    others = [Runs.of(Schedule(*each), seed, n_seeds) for each in simulated]
    exact = {n: [minor_share(Schedule(n, total)) for total in totals] for n in levels}

    methods = plain, annealed
    by_totals = zip(totals, zip(*exact.values(), strict=True), strict=True)
    tables = [
        Table(
            f"share of {N_CHAINS} chains that end in the minor mode, of weight {MINOR}, over {n_seeds} seeds",
            {
                "Langevin dynamics": [one.schedule.name for one in methods],
                "simulation": [one.share for one in methods],
                "std. error": [one.standard_error for one in methods],
                "quadrature": [one.exact for one in methods],
                "known value": [PLAIN[0], ANNEALED[0]],
            },
            {"simulation": ".4f", "std. error": ".4f", "quadrature": ".4f", "known value": ".3f"},
        ),
        Table(
            "the same by quadrature, over the number of steps in all",
            {"levels": list(exact)} | {f"{n} steps": list(column) for n, column in by_totals},
            {f"{total} steps": ".4f" for total in totals},
        ),
        Table(
            f"some of these simulated, over {n_seeds} seeds",
            {
                "schedule": [one.schedule.name for one in others],
                "simulation": [one.share for one in others],
                "std. error": [one.standard_error for one in others],
                "quadrature": [one.exact for one in others],
            },
            {"simulation": ".4f", "std. error": ".4f", "quadrature": ".4f"},
        ),
    ]  # fmt: skip

    def draw(figure: Figure) -> None:
        prepare(figure, 11, 7.4)
        halves: Any = figure.subfigures(2, 1, height_ratios=(1.25, 1))
        panels = halves[0].subplots(1, 3, sharex=True, sharey=True)
        data = mixture(1).sample(N_CHAINS, random_state=seed)
        for ax, points, title in zip(
            panels, (data, plain.end[0], annealed.end[0]), ("data", "Langevin", "annealed Langevin"), strict=True
        ):
            draw_points(ax, points, title)
        draw_shares(halves[1].subplots(), exact, totals, [annealed, *others])

    return Findings(tables, claims_of(plain, annealed, others, exact, totals), draw)


def claims_of(
    plain: Runs, annealed: Runs, others: Sequence[Runs], exact: dict[int, list[float]], totals: Sequence[int]
) -> list[Claim]:
    # Across the diagonal there is but a normal density, in which a chain is an autoregression of known variance.
    across, variance = annealed.end.reshape(-1, 2) @ [1, -1] / np.sqrt(2), 1 / (1 - STEP / 4)
    stayed = in_minor_mode(plain.begin.reshape(-1, 2)) == in_minor_mode(plain.end.reshape(-1, 2))
    few, many = min(exact), max(exact)
    at = totals.index(N_STEPS)
    return [
        Claim.near("plain: quadrature gives the known share of the minor mode", plain.exact, *PLAIN),
        Claim.near("annealed: quadrature gives the known share of the minor mode", annealed.exact, *ANNEALED),
        *(one.claim() for one in (plain, annealed, *others)),
        Claim.at_least("plain: chains that end in the mode on whose side they began", float(stayed.mean()), 0.95),
        Claim.estimated("annealed: the variance across is that of unadjusted steps, 1/(1 − ε/4)",
                        float(np.mean(across**2)), variance, variance * np.sqrt(2 / len(across))),
        Claim.at_least(f"with {few} levels no number of steps helps, the least share over all of them",
                       min(exact[few]), 0.41),
        Claim.at_most(f"with {N_STEPS} steps in all, {many} levels differ little from {LEVELS}, share less theirs",
                      abs(exact[many][at] - exact[LEVELS][at]), 0.005),
        Claim.at_most(f"with {LEVELS} levels the share falls towards {MINOR} with the number of steps, that of "
                      f"{totals[-1]} less {MINOR}, over that of {totals[0]} less {MINOR}",
                      (exact[LEVELS][-1] - MINOR) / (exact[LEVELS][0] - MINOR), 0.3),
    ]  # fmt: skip


def draw_points(ax: Axes, points: Doubles, title: str) -> None:
    minor = in_minor_mode(points)
    for chosen, colour in ((~minor, BLUE), (minor, ORANGE)):
        ax.plot(*points[chosen].T, ".", color=colour, ms=3, alpha=0.6, mew=0)
    for side, share, colour in ((1, 1 - minor.mean(), BLUE), (-1, minor.mean(), ORANGE)):
        ax.text(0, side * MEAN, f"{share:.1%}", ha="center", va="center", color=colour)
    ax.set(xlim=(-9, 9), ylim=(-9, 9), aspect="equal", xticks=(-5, 0, 5), yticks=(-5, 0, 5))
    ax.set_title(title, fontsize="medium")
    tidy(ax)


def draw_shares(ax: Axes, exact: dict[int, list[float]], totals: Sequence[int], runs: Sequence[Runs]) -> None:
    """Over the steps in all: exact ones as lines, simulated ones as points."""
    colours = dict(zip(exact, CYCLE, strict=False))
    for n, shares in exact.items():
        ax.plot(totals, shares, color=colours[n], lw=1.6, label=f"{n} levels")
    for one in runs:
        ax.errorbar(one.schedule.total, one.share, 2 * one.standard_error, fmt="o", ms=5, lw=1.4,
                    color=colours[one.schedule.n_levels])  # fmt: skip
    ax.axhline(MINOR, color=INK, lw=0.8, ls=":")
    ax.set(xscale="log", xlabel="steps in all", ylabel="share in the minor mode")
    ax.set_xticks(totals, [str(total) for total in totals])
    ax.minorticks_off()
    ax.set_title(
        "annealed Langevin: by quadrature (lines) and simulated (± 2 standard errors)", fontsize="medium", loc="left"
    )
    ax.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    tidy(ax)


PAPER = Paper(
    name="song-ermon2019-two-modes",
    reference='Song and Ermon (2019), "Generative modeling by estimating gradients of the data distribution", '
    "NeurIPS, figure 3",
    description="Langevin dynamics on two modes of unequal weight, plain and annealed",
    experiment=experiment,
)
