"""JAX, compiled: derivatives by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from workloads import Floats, Workload

from peers import Evaluation, formulas

jax.config.update("jax_enable_x64", True)


def plain(workload: Workload, X: Floats) -> Evaluation:
    """On whole arrays."""
    return _by_hand(formulas.plain(jnp, workload), X, len(X))


def tuned(workload: Workload, X: Floats) -> Evaluation:
    """In blocks of rows that stay in the cache, one after the other inside the compiled function."""
    steps = formulas.tuned(jnp, workload)
    return _by_hand(steps, X, steps.rows_per_block(steps.widest()))


def _by_hand(steps: formulas.Formulas, X: Floats, rows: int) -> Evaluation:
    def evaluate(theta: Any, X: Any) -> tuple[Any, Any]:
        parameters = steps.prepare(theta)
        as_data = tuple(parameter.astype(X.dtype) for parameter in parameters)
        totals = sum_over_blocks(lambda block: steps.sums(as_data, block), X, rows)
        return steps.finish(parameters, jax.tree.map(lambda total: total / len(X), totals))

    return compiled(evaluate, X)


def sum_over_blocks(sums: Callable[[Any], Any], X: Any, rows: int) -> Any:
    """The results of `sums`, added up over blocks of rows; over the last, shorter one as well."""
    n_blocks, rest = divmod(len(X), rows)
    if n_blocks <= 1 and rest == 0:
        return sums(X)

    def add(total: Any, block: Any) -> tuple[Any, None]:
        return jax.tree.map(jnp.add, total, sums(block)), None

    shapes = jax.eval_shape(sums, X[:rows])
    zero = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
    start = sums(X[n_blocks * rows :]) if rest else zero
    return jax.lax.scan(add, start, X[: n_blocks * rows].reshape(n_blocks, rows, X.shape[1]))[0]


def compiled(evaluate: Callable[[Any, Any], tuple[Any, Any]], X: Floats) -> Evaluation:
    """A callable of θ that returns when the result is there."""
    on_device, function = jax.device_put(X), jax.jit(evaluate)
    return lambda theta: jax.block_until_ready(function(theta, on_device))
