"""Draws of a model by the sampler that suits it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.special import fdtri

from scorematch._log_ratios import InLogRatios, from_rows, to_parts
from scorematch._validation import check_count
from scorematch._warnings import warn

if TYPE_CHECKING:
    from scorematch._base import ScoreMatchingEstimator
    from scorematch.domains import Domain

Doubles = NDArray[np.float64]
Draw = Callable[[int], Doubles]
Method = Literal["auto", "exact", "gibbs", "langevin", "mala", "hmc"]

# Draws that tell how many of them rejection would keep, and the share that it must keep to be chosen.
PILOT = 5000
WORTH_REJECTING = 0.002
# Of samplers that move step by step: chains, iterations before the first row of a chain, and between two.
LEAST_CHAINS, MOST_CHAINS = 32, 256
SCHEDULE = {"slice": (200, 20), "gibbs": (500, 10), "hmc": (1000, 20), "mala": (2000, 100), "langevin": (2000, 100)}
# Points that tell slice samplers the width of the density.
STARTS_FOR_STEPS = 100
# Of "hmc" here: tails in which longer steps diverge are passed at little more cost.
TARGET_ACCEPT = 0.9
# Chains, and draws of each, from which it can be told whether they have mixed, and the R-hat of those that have not.
ENOUGH_CHAINS, ENOUGH_DRAWS, LARGE_RHAT = 20, 4, 1.1
# How probable such an R-hat of any column must be at most, if draws were independent and normal.
FALSE_ALARM = 1e-3


class NoSamplerError(ValueError):
    """There is a density, but a sampler of this kind is not for it."""


@dataclass(frozen=True)
class ChainOptions:
    """What `sample` takes for chains; None where it is to choose."""

    n_chains: int | None = None
    n_warmup: int | None = None
    thin: int | None = None
    step_size: Any = None

    def checked(self, method: str) -> ChainOptions:
        """The same; an error where one of them is not as it should be, or has no place."""
        for name, lowest in (("n_chains", 1), ("n_warmup", 0), ("thin", 1)):
            if getattr(self, name) is not None:
                check_count(name, getattr(self, name), lowest)
        given = [name for name, value in vars(self).items() if value is not None]
        if method == "exact" and given:
            raise ValueError(f"{given[0]} is for chains, and method='exact' has none")
        if method == "gibbs" and self.step_size is not None:
            raise ValueError("step_size has no place with method='gibbs', which has no step")
        return self

    def schedule(self, method: str, n_samples: int) -> tuple[int, int, int]:
        """Chains, iterations before the first row of each, and between two rows."""
        warmup, thin = SCHEDULE[method]
        return (
            min(max(n_samples, LEAST_CHAINS), MOST_CHAINS) if self.n_chains is None else self.n_chains,
            warmup if self.n_warmup is None else self.n_warmup,
            thin if self.thin is None else self.thin,
        )

    @staticmethod
    def draws_of_each(n_samples: int, n_chains: int) -> int:
        """How many there are to be: a few more than asked for, where that lets them tell whether chains have mixed."""
        needed = -(-n_samples // n_chains)
        return needed if n_chains < ENOUGH_CHAINS else max(needed, ENOUGH_DRAWS)


def draw(
    model: ScoreMatchingEstimator,
    n_samples: int,
    random: np.random.RandomState,
    method: str,
    options: ChainOptions,
) -> Doubles:
    """So many rows of a fitted model."""
    if method not in get_args(Method):
        raise ValueError(f"method must be one of {', '.join(map(repr, get_args(Method)))}; got {method!r}")
    options = options.checked(method)
    if not hasattr(model, "n_features_in_"):
        raise ValueError(
            f"this {type(model).__name__} does not know how many columns it has: pass n_features to from_params"
        )
    model._check_density()
    if method == "exact":
        return exact_draws(model, n_samples, random)
    if method == "auto":
        rows = likely_exact_draws(model, n_samples, random)
        if rows is not None:
            return rows
    if method in ("auto", "gibbs"):
        try:
            return model._gibbs_draws(n_samples, random, options)
        except NoSamplerError:
            if method == "gibbs":
                raise
    if method == "auto":
        rows = _slice_draws(model, n_samples, random, options)
        if rows is not None:
            return rows
    return chain_draws(model, n_samples, random, "hmc" if method == "auto" else method, options)


def exact_draws(model: ScoreMatchingEstimator, n_samples: int, random: np.random.RandomState) -> Doubles:
    """Independent draws, by rejection on a domain with a boundary; an error where there is no way to have them."""
    truncated = model._truncated_sampler(random)
    if truncated is not None:
        return truncated(n_samples)
    propose = model._sampler(random)
    return reject(propose, model._domain(), n_samples) if model._has_boundary else propose(n_samples)


def likely_exact_draws(model: ScoreMatchingEstimator, n_samples: int, random: np.random.RandomState) -> Doubles | None:
    """The same; None where there is no exact sampler, or rejection would keep too few."""
    truncated = model._truncated_sampler(random)
    if truncated is not None:
        return truncated(n_samples)
    try:
        propose = model._sampler(random)
    except NoSamplerError:
        return None
    if not model._has_boundary:
        return propose(n_samples)
    return reject(propose, model._domain(), n_samples) if keeps_enough(propose, model._domain()) else None


def keeps_enough(propose: Draw, domain: Any) -> bool:
    """Whether rejection is worth while."""
    return bool(np.count_nonzero(domain.contains(propose(PILOT))) >= WORTH_REJECTING * PILOT)


def _slice_draws(
    model: ScoreMatchingEstimator, n_samples: int, random: np.random.RandomState, options: ChainOptions
) -> Doubles | None:
    """By slice sampling, on domains that may have several parts; None on others.

    Chains that follow the score stay in the part where they begin, and its share of the draws would be that of the
    starting points. Slices cross gaps.
    """
    from scorematch._gibbs import region_of
    from scorematch._slice_sampling import SliceChains
    from scorematch.samplers._starts import starting_points

    domain = model._domain()
    if not (model._has_boundary and model._has_log_density()):
        return None
    region = region_of(domain, model.n_features_in_)
    if region is not None and all(len(ends) == 1 for ends in region.intervals):
        return None
    n_chains, n_warmup, thin = options.schedule("slice", n_samples)
    start = starting_points(model, max(n_chains, STARTS_FOR_STEPS), random)
    deviation = start.std(axis=0)
    steps = 2 * np.where(deviation > 0, deviation, 1.0)
    chains = SliceChains(_log_density_of(model), domain, start[:n_chains], steps, random)
    sweeps = [n_warmup + thin] + [thin] * (options.draws_of_each(n_samples, n_chains) - 1)
    return _in_turns(np.stack([chains.sweep(n_sweeps) for n_sweeps in sweeps], axis=1), n_samples, "slice")


def _log_density_of(model: ScoreMatchingEstimator) -> Callable[[Doubles], Doubles]:
    """At any points, as far as the formula is defined there."""
    if not model._family:
        return model._log_density_in_python
    return lambda points: np.asarray(model._evaluate_rows(points, "log_density")["log_density"], dtype=np.float64)


def chain_draws(
    model: ScoreMatchingEstimator,
    n_samples: int,
    random: np.random.RandomState,
    method: str,
    options: ChainOptions,
) -> Doubles:
    """By the chains of `scorematch.samplers`."""
    from scorematch import samplers
    from scorematch.domains import Simplex
    from scorematch.samplers._starts import starting_points
    from scorematch.samplers._supports import always_rejects

    n_chains, n_warmup, thin = options.schedule(method, n_samples)
    more: dict[str, Any] = {}
    target: Any = model
    in_ratios = isinstance(model._domain(), Simplex) and method in ("mala", "hmc") and model._has_log_density()
    if in_ratios:
        ratios = InLogRatios(model)
        start = starting_points(model, n_chains, random)
        target = ratios.score
        more |= {"log_density": ratios.log_density, "initial": from_rows(start)}
    if method != "gibbs":
        more["step_size"] = options.step_size
    if method == "hmc" and (in_ratios or not always_rejects(model._domain(), model.n_features_in_)):
        more["target_accept"] = TARGET_ACCEPT
    # A quarter of the warm-up of all chains tells the columns' scale, if chains are many.
    if method in ("mala", "hmc") and not model._on_sphere and n_chains * n_warmup >= 1000 and n_warmup >= 100:
        more["scale"] = "auto"
    result = getattr(samplers, method)(
        target,
        n_chains=n_chains,
        n_samples=options.draws_of_each(n_samples, n_chains),
        n_warmup=n_warmup,
        thin=thin,
        random_state=random,
        **more,
    )
    rows = _in_turns(result.draws, n_samples, method)
    return np.ascontiguousarray(to_parts(rows)[:, :-1]) if in_ratios else rows


def _in_turns(draws: Doubles, n_samples: int, method: str) -> Doubles:
    """Rows of (n_chains, n_draws, d): those that come first are of different chains."""
    _warn_unless_mixed(draws, method)
    return np.ascontiguousarray(draws.transpose(1, 0, 2).reshape(-1, draws.shape[2])[:n_samples])


def _warn_unless_mixed(draws: Doubles, method: str) -> None:
    """A warning where draws of a chain are more alike than those of different ones (Gelman and Rubin 1992)."""
    n_chains, n_draws, d = draws.shape
    if n_chains < ENOUGH_CHAINS or n_draws < ENOUGH_DRAWS:
        return
    within = draws.var(axis=1, ddof=1).mean(axis=0)
    between = draws.mean(axis=1).var(axis=0, ddof=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = between / within
    rhat = np.sqrt((n_draws - 1) / n_draws + ratio)
    by_chance = fdtri(n_chains - 1, n_chains * (n_draws - 1), 1 - FALSE_ALARM / d) / n_draws
    if not ((rhat < LARGE_RHAT) | (ratio < by_chance)).all():
        j = int(np.argmax(rhat))
        warn(
            f"the chains of method={method!r} have not forgotten where they began: of column {j}, the variance between "
            f"them is {ratio[j]:.3g} of that within, {1 / n_draws:.3g} if draws were independent (R-hat "
            f"{rhat[j]:.2f}). Where modes are far apart, their shares are those of the starting points. Try a larger "
            "n_warmup and thin, or look closer with scorematch.samplers"
        )


def reject(draw: Draw, domain: Domain, n_samples: int) -> Doubles:
    """Draws from `draw` that lie in the domain; an error where fewer than one in 100 000 does."""
    kept: list[Doubles] = []
    n_kept = n_drawn = 0
    while n_kept < n_samples:
        # As many again as before, so that a small share in the domain takes few rounds.
        batch = draw(min(max(1000, 2 * (n_samples - n_kept), n_drawn), 100_000))
        n_drawn += len(batch)
        batch = batch[domain.contains(batch)]
        kept.append(batch)
        n_kept += len(batch)
        if n_drawn > 1_000_000 and n_kept < 1e-5 * n_drawn:
            raise ValueError(
                f"rejection sampling kept {n_kept} of {n_drawn} draws: almost all of the distribution lies outside "
                f"{domain!r}. method='auto' goes on by Markov chains"
            )
    return np.concatenate(kept)[:n_samples]
