"""What is measured of samplers: many short chains on a mixture of Gaussians.

The classes are contests, see `contests.py`. Random numbers differ from one contender to the next, so what is checked
is that chains from the same starting points have the same distribution. "scorematch" is the compiled core, and "public"
the function of `scorematch.samplers` with its checks.
"""

from __future__ import annotations

import importlib.util
import warnings
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from contests import Call
from numpy.typing import NDArray
from peers import hamiltonian as hamiltonian_peers
from peers import langevin as langevin_peers
from peers.mixture_points import MixturePoints
from scorematch import _core
from scorematch.samplers import hmc, langevin, mala
from workloads import Workload, short

Doubles = NDArray[np.float64]

CERTAINTY = 5  # standard errors that the means of two contenders may be apart
HIGHEST = 2**31


@dataclass(frozen=True)
class MixtureChains:
    """`n` chains on a mixture with full covariances, each from its own row of `start`, which subclasses define."""

    n: int = 10_000
    d: int = 2
    components: int = 8
    n_threads: int = 1

    @cached_property
    def model(self) -> Any:
        return Workload("GaussianMixture", self.d, self.n, self.components, "full").model

    @cached_property
    def points(self) -> MixturePoints:
        return MixturePoints(self.model)

    @property
    def size(self) -> str:
        return f"d={self.d}, K={self.components}, {short(self.n)} chains"

    def compiled(self) -> tuple[Any, Any]:
        """Target and support."""
        target = _core.Target.family(self.model._compiled(), self.model.theta_, self.model._origin())
        return target, _core.Support.real_space()

    def run_options(self, seeds: np.random.Generator) -> dict[str, Any]:
        """Of the public functions: no warm-up, and other random numbers in each call."""
        return {
            "n_warmup": 0,
            "initial": self.start,
            "random_state": int(seeds.integers(HIGHEST)),
            "n_jobs": self.n_threads,
        }


@dataclass(frozen=True)
class Langevin(MixtureChains):
    """Unadjusted Langevin; from points all over the place, so that step sizes show."""

    n_steps: int = 100
    step_size: float = 0.01

    @property
    def name(self) -> str:
        return f"Langevin, {self.size}, {self.n_steps} steps"

    @property
    def names(self) -> tuple[str, ...]:
        jax = ("jax", "jax (tuned)") if importlib.util.find_spec("jax") else ()
        return ("scorematch", "public", "numpy", "numpy (tuned)", *jax)

    @cached_property
    def start(self) -> Doubles:
        return np.random.default_rng(0).uniform(-4, 4, (self.n, self.d))

    def contenders(self) -> dict[str, Call]:
        target, support = self.compiled()
        steps, scale = np.full(self.n, self.step_size), np.ones(self.d)
        seeds = np.random.default_rng(0)

        def ours() -> Doubles:
            seed = int(seeds.integers(HIGHEST))
            found = _core.run_langevin(
                target, support, self.start, steps, scale, seed, 0, self.n_steps, self.n_steps, False, self.n_threads
            )
            return found["points"]

        def public() -> Doubles:
            options = {"thin": self.n_steps, "step_size": self.step_size, **self.run_options(seeds)}
            return langevin(self.model, n_samples=1, **options).draws[:, 0]

        peers = {
            "numpy": langevin_peers.numpy_plain,
            "numpy (tuned)": langevin_peers.numpy_tuned,
            "jax": langevin_peers.jax_plain,
            "jax (tuned)": langevin_peers.jax_tuned,
        }
        calls: dict[str, Call] = {"scorematch": ours, "public": public}
        for name in self.names[2:]:
            calls[name] = peers[name](self.points, self.start, self.step_size, self.n_steps)
        return calls

    def check(self, results: dict[str, Any]) -> None:
        ours = self._statistics(results["scorematch"])
        for name in set(results) - {"scorematch"}:
            check_means(ours, self._statistics(results[name]), f"{name}, {self.name}")

    def _statistics(self, end: Doubles) -> Doubles:
        """Of each chain: where it ends, its square, and how much of where it began is left."""
        assert end.shape == self.start.shape
        return np.hstack([end, _products(end, end), _products(end, self.start)])


@dataclass(frozen=True)
class Hamiltonian(MixtureChains):
    """Hamiltonian Monte Carlo without adaptation, MALA where a draw is one leapfrog step; from draws of the model."""

    n: int = 1000
    n_draws: int = 200
    n_leapfrog: int = 10
    step_size: float = 0.5  # of the leapfrog

    @property
    def name(self) -> str:
        method = "MALA" if self.n_leapfrog == 1 else f"HMC of {self.n_leapfrog} leapfrog steps"
        return f"{method}, {self.size}, {self.n_draws} draws"

    @property
    def names(self) -> tuple[str, ...]:
        blackjax = ("blackjax", "blackjax (tuned)") if importlib.util.find_spec("blackjax") else ()
        return ("scorematch", "public", *blackjax)

    @cached_property
    def start(self) -> Doubles:
        return self.model.sample(self.n, random_state=0)

    def contenders(self) -> dict[str, Call]:
        target, support = self.compiled()
        steps, scale = np.full(self.n, self.step_size), np.ones(self.d)
        seeds = np.random.default_rng(0)

        def ours() -> tuple[Doubles, Doubles]:
            found = _core.run_hamiltonian(
                target,
                support,
                self.start,
                steps,
                scale,
                np.zeros((self.n, 4)),
                int(seeds.integers(HIGHEST)),
                0,
                self.n_draws,
                1,
                False,
                self.n_leapfrog,
                0.0,  # every trajectory has the same length
                0.0,  # steps stay as they are
                self.n_threads,
            )
            return found["draws"], found["acceptance"] / self.n_draws

        def public() -> tuple[Doubles, Doubles]:
            options = {"n_samples": self.n_draws, **self.run_options(seeds)}
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # of single chains that happen to accept little
                if self.n_leapfrog == 1:
                    found = mala(self.model, step_size=self.step_size**2, **options)
                else:
                    found = hmc(self.model, step_size=self.step_size, n_leapfrog=self.n_leapfrog, jitter=0.0, **options)
            return found.draws, found.acceptance_rates

        peers = {"blackjax": hamiltonian_peers.blackjax_plain, "blackjax (tuned)": hamiltonian_peers.blackjax_tuned}
        calls: dict[str, Call] = {"scorematch": ours, "public": public}
        for name in self.names[2:]:
            calls[name] = peers[name](self.points, self.start, self.step_size, self.n_leapfrog, self.n_draws)
        return calls

    def check(self, results: dict[str, Any]) -> None:
        ours = self._statistics(*results["scorematch"])
        for name in set(results) - {"scorematch"}:
            check_means(ours, self._statistics(*results[name]), f"{name}, {self.name}")

    def _statistics(self, draws: Doubles, acceptance: Doubles) -> Doubles:
        """Of each chain: acceptance, first and second moments, and second moments of one draw and the next."""
        assert draws.shape == (self.n, self.n_draws, self.d)
        return np.hstack(
            [
                acceptance[:, None],
                draws.mean(axis=1),
                _products(draws, draws).mean(axis=1),
                _products(draws[:, 1:], draws[:, :-1]).mean(axis=1),
            ]
        )


def effective_share(draws: Doubles) -> float:
    """Effective draws by draw, of the coordinate that has fewest."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of what will be in its next version
        import arviz

    effective = [arviz.ess(np.ascontiguousarray(draws[:, :, j])) for j in range(draws.shape[2])]
    return float(min(effective)) / (draws.shape[0] * draws.shape[1])


def check_means(ours: Doubles, theirs: Doubles, what: str) -> None:
    """Raise an error unless the means of two contenders are the same, chains that start at the same point in pairs."""
    difference = theirs - ours
    error = difference.mean(axis=0) / (difference.std(axis=0, ddof=1) / np.sqrt(len(difference)))
    if not np.abs(error).max() < CERTAINTY:
        raise AssertionError(f"{what}: means of the chains differ from ours by {np.round(error, 1)} standard errors")


def _products(a: Doubles, b: Doubles) -> Doubles:
    """All products of a coordinate of a and one of b."""
    return (a[..., :, None] * b[..., None, :]).reshape(*a.shape[:-1], -1)


LANGEVIN = (Langevin(),)
HAMILTONIAN = (Hamiltonian(n_leapfrog=1, step_size=1.4), Hamiltonian())
# Long enough for threads to be worth starting.
LONG = (Langevin(n_steps=1000), Hamiltonian(n_leapfrog=1, step_size=1.4, n_draws=2000), Hamiltonian(n_draws=1000))
