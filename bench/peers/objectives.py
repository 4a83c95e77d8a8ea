"""Peers for objectives along random vectors: JAX, compiled, in blocks of rows that stay in the cache.

Score functions, log densities and vᵀ∇ψv are written out by hand, on rows (`formulas.py`): ∇ψv by `jvp` took the
mixture twice as long. Gradients are those of `value_and_grad`. All get the random vectors ready made, where ours are
drawn in each call.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from workloads import Floats, Workload

from peers import Evaluation, formulas
from peers.jax_peer import compiled, sum_over_blocks

Objective = Callable[[Any, Any, Any, Any], Any]  # (steps, parameters, X, v) to its value for each row


def sliced(variance_reduction: bool) -> Objective:
    """½(vᵀψ)² + vᵀ∇ψv, or ½‖ψ‖² + vᵀ∇ψv."""

    def values(steps: Any, parameters: Any, X: Any, v: Any) -> Any:
        score, curvature = steps.along(parameters, X, v)
        norm = (score * score).sum(1) if variance_reduction else (v * score).sum(1) ** 2
        return 0.5 * norm + curvature

    return values


def denoising(noise_scale: float, variance_reduction: bool) -> Objective:
    """½‖ψ(x̃) + z/σ‖² with x̃ = x + σz, or ½‖ψ(x̃)‖² + (ψ(x̃) − ψ(x))ᵀz/σ."""

    def values(steps: Any, parameters: Any, X: Any, z: Any) -> Any:
        score = steps.score(parameters, X + noise_scale * z)
        if not variance_reduction:
            return 0.5 * ((score + z / noise_scale) ** 2).sum(1)
        change = score - steps.score(parameters, X)
        return 0.5 * (score * score).sum(1) + (change * z).sum(1) / noise_scale

    return values


def finite_difference(step: float) -> Objective:
    """½((ℓ₊ − ℓ₋)/(2ε))² + (ℓ₊ + ℓ₋ − 2ℓ₀)/ε²."""

    def values(steps: Any, parameters: Any, X: Any, v: Any) -> Any:
        forth, back, here = (steps.log_densities(parameters, X + shift * v) for shift in (step, -step, 0))
        return 0.5 * ((forth - back) / (2 * step)) ** 2 + (forth + back - 2 * here) / step**2

    return values


def evaluation(workload: Workload, values: Objective, X: Floats, vectors: Floats) -> Evaluation:
    """θ to the mean over rows and vectors (n, m, d), and its gradient."""
    steps = formulas.plain(jnp, workload)
    rows = steps.rows_per_block(steps.widest())
    n, m, d = vectors.shape

    def evaluate(theta: Any, together: Any) -> tuple[Any, Any]:
        def total(parameters: Any, block: Any) -> Any:
            X, *directions = jnp.split(block, m + 1, axis=1)
            return sum(values(steps, parameters, X, v).sum() for v in directions)

        parameters, pull_back = jax.vjp(steps.prepare, theta)
        sums = sum_over_blocks(lambda block: jax.value_and_grad(total)(parameters, block), together, rows)
        loss, gradient = jax.tree.map(lambda total: total / (n * m), sums)
        return loss, pull_back(gradient)[0]

    return compiled(evaluate, np.hstack([X, vectors.reshape(n, m * d)]))
