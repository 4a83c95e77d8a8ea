"""Peers for Langevin chains, x + ½·step·ψ + √step·z: from starting points (chains, d) to end points.

Of the ways to write it in JAX that were tried (all components unrolled; blocks of chains that stay in the cache; all
normal numbers, or those of ten steps, at once; the Box-Muller transform; the "rbg" generators, which are slower on a
CPU; a loop in place of the scan), the one below, features in rows and matrix products, is the fastest.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from peers.mixture_points import Doubles, MixturePoints

Chains = Callable[[], Doubles]


def numpy_plain(target: MixturePoints, start: Doubles, step_size: float, n_steps: int) -> Chains:
    """All chains at once, as one writes it."""
    random = np.random.default_rng(0)

    def run() -> Doubles:
        x = start
        for _ in range(n_steps):
            score = target.plain(np, x)[1]
            x = x + 0.5 * step_size * score + np.sqrt(step_size) * random.standard_normal(x.shape)
        return x

    return run


def numpy_tuned(target: MixturePoints, start: Doubles, step_size: float, n_steps: int) -> Chains:
    """By matrix products, features in rows, in arrays that are there already."""
    random, columns = np.random.default_rng(0), np.ascontiguousarray(start.T)
    d, n = columns.shape
    k, n_monomials = target.terms.shape
    monomials, terms, noise = np.ones((n_monomials, n)), np.empty((k, n)), np.empty((d, n))
    sums, product = np.empty((len(target.sums) + 1, n)), np.empty(n)
    by_row = np.vstack([target.sums, np.ones(k)])  # the last row sums the shares
    x = monomials[len(target.pairs) : -1]

    def run() -> Doubles:
        x[:] = columns
        for _ in range(n_steps):
            for place, (i, j) in enumerate(target.pairs):
                np.multiply(x[i], x[j], out=monomials[place])
            np.matmul(target.terms, monomials, out=terms)
            np.subtract(terms, terms.max(0, out=product), out=terms)
            np.exp(terms, out=terms)
            np.matmul(by_row, terms, out=sums)
            for place, (i, j) in enumerate(target.pairs, d):
                sums[i] += np.multiply(sums[place], x[j], out=product)
                if i != j:
                    sums[j] += np.multiply(sums[place], x[i], out=product)
            sums[:d] *= np.divide(0.5 * step_size, sums[-1], out=product)
            random.standard_normal(out=noise)
            np.multiply(noise, np.sqrt(step_size), out=noise)
            np.add(x, sums[:d], out=x)
            np.add(x, noise, out=x)
        return x.T.copy()

    return run


def jax_plain(target: MixturePoints, start: Doubles, step_size: float, n_steps: int) -> Chains:
    """A scan over the steps, as one writes it."""
    import jax.numpy as jnp

    return _scan(lambda x: target.plain(jnp, x)[1], start, step_size, n_steps)


def jax_tuned(target: MixturePoints, start: Doubles, step_size: float, n_steps: int) -> Chains:
    """The same by matrix products, features in rows."""
    import jax.numpy as jnp

    run = _scan(lambda x: target.tuned(jnp, x)[1], np.ascontiguousarray(start.T), step_size, n_steps)
    return lambda: run().T


def _scan(score: Callable[[Any], Any], start: Doubles, step_size: float, n_steps: int) -> Chains:
    import jax

    jax.config.update("jax_enable_x64", True)

    def run(start: Any, key: Any) -> Any:
        def step(x: Any, key: Any) -> tuple[Any, None]:
            noise = jax.random.normal(key, x.shape, dtype=x.dtype)
            return x + 0.5 * step_size * score(x) + np.sqrt(step_size) * noise, None

        return jax.lax.scan(step, start, jax.random.split(key, n_steps))[0]

    on_device, key, function = jax.device_put(start), jax.random.key(0), jax.jit(run)
    return lambda: np.asarray(function(on_device, key))
