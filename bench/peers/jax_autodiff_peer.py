"""JAX, compiled: from the log density alone.

The score function is its gradient and the Hessian trace that of `jax.hessian` (forward over reverse), a sample at a
time under `vmap`; the gradient with respect to the parameters is `jax.value_and_grad` of their sum. Rows go in blocks,
one after the other inside the compiled function: at once, the Hessians of all rows would not fit in memory, and in the
cache they are faster as well. What depends on θ alone (inverse, determinants) is computed once, and differentiated
once.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from workloads import Floats, Workload

from peers import Evaluation, formulas
from peers.jax_peer import compiled, sum_over_blocks


def autodiff(workload: Workload, X: Floats) -> Evaluation:
    """Everything but the log density left to autodiff."""
    steps = formulas.plain(jnp, workload)
    rows = steps.rows_per_block(steps.widest() * workload.d)

    def objective(parameters: Any, x: Any) -> Any:
        def log_density(x: Any) -> Any:
            return steps.log_density(parameters, x)

        score = jax.grad(log_density)(x)
        return 0.5 * score @ score + jnp.trace(jax.hessian(log_density)(x))

    def evaluate(theta: Any, X: Any) -> tuple[Any, Any]:
        def prepare(theta: Any) -> tuple[Any, ...]:
            return tuple(parameter.astype(X.dtype) for parameter in steps.prepare(theta))

        def total(parameters: Any, block: Any) -> Any:
            return jax.vmap(objective, in_axes=(None, 0))(parameters, block).sum()

        parameters, pull_back = jax.vjp(prepare, theta)
        loss, gradient = sum_over_blocks(lambda block: jax.value_and_grad(total)(parameters, block), X, rows)
        return loss / len(X), pull_back(gradient)[0] / len(X)

    return compiled(evaluate, X)
