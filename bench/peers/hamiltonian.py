"""Peers for MALA and Hamiltonian Monte Carlo: blackjax, all chains under `vmap`, a scan over the draws.

Each gives the draws (chains, draws, d) and the mean acceptance probability of each chain. *Plain* leaves the gradient
of the log density to autodiff; *tuned* multiplies squares out and has the gradient written out by hand. Both compile
before they are timed, with the default generator, since "rbg" is slower on a CPU.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from peers.mixture_points import Doubles, MixturePoints

Draws = tuple[Doubles, Doubles]


def blackjax_plain(
    target: MixturePoints, start: Doubles, step_size: float, n_leapfrog: int, n_draws: int
) -> Callable[[], Draws]:
    """The log density as one writes it."""
    import jax.numpy as jnp

    return _scan(lambda x: target.plain(jnp, x[None])[0][0], start, step_size, n_leapfrog, n_draws)


def blackjax_tuned(
    target: MixturePoints, start: Doubles, step_size: float, n_leapfrog: int, n_draws: int
) -> Callable[[], Draws]:
    """Log density and score at once, by hand."""
    import jax
    import jax.numpy as jnp

    @jax.custom_vjp
    def log_density(x: Any) -> Any:
        return target.tuned(jnp, x)[0]

    log_density.defvjp(lambda x: target.tuned(jnp, x), lambda score, cotangent: (cotangent * score,))
    return _scan(log_density, start, step_size, n_leapfrog, n_draws)


def _scan(
    log_density: Callable[[Any], Any], start: Doubles, step_size: float, n_leapfrog: int, n_draws: int
) -> Callable[[], Draws]:
    import blackjax
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    n, d = start.shape
    if n_leapfrog == 1:
        # Its steps are x + ε·ψ + √(2ε)·z: the leapfrog of length √(2ε).
        kernel = blackjax.mala(log_density, step_size**2 / 2)
    else:
        kernel = blackjax.hmc(log_density, step_size, jnp.ones(d), n_leapfrog)

    def run(start: Any, key: Any) -> Any:
        def step(state: Any, key: Any) -> Any:
            state, info = jax.vmap(kernel.step)(jax.random.split(key, n), state)
            return state, (state.position, info.acceptance_rate)

        state = jax.vmap(kernel.init)(start)
        draws, rates = jax.lax.scan(step, state, jax.random.split(key, n_draws))[1]
        return draws, rates.mean(0)

    on_device, key, function = jax.device_put(start), jax.random.key(0), jax.jit(run)

    def call() -> Draws:
        draws, rates = jax.block_until_ready(function(on_device, key))
        return np.asarray(draws).swapaxes(0, 1), np.asarray(rates)

    return call
