"""Peers for the kernel Stein discrepancy with the inverse multiquadric kernel, on all of space.

Written out with s = ψ(x), t = ψ(y), δ = x − y, r = ‖δ‖²/h² and q = 1/(1 + r), in units of h:
u = √q (sᵀt − q (δᵀ(t − s) − d) − 3q² r). All inner products are entries of matrix products.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]


def in_blocks(X: Doubles, s: Doubles, h: float, rows: int = 256) -> float:
    """Some rows against all, block after block."""
    X, s = X / h, s * h
    own, cross = (X**2).sum(axis=1), (X * s).sum(axis=1)
    total = 0.0
    for first in range(0, len(X), rows):
        block = slice(first, first + rows)
        r = own[block, None] + own - 2 * (X[block] @ X.T)
        inner = X[block] @ s.T + s[block] @ X.T - cross[block, None] - cross
        q = 1 / (1 + r)
        u = np.sqrt(q) * (s[block] @ s.T - q * (inner - X.shape[1]) - 3 * q**2 * r)
        total += float(u.sum())
    return total / len(X) ** 2 / h**2


def in_tiles(X: Doubles, s: Doubles, h: float, rows: int = 192) -> float:
    """Pairs of tiles that stay in the cache, each pair once, without temporary arrays."""
    return _sums_in_tiles(X, s, h, rows)[0]


def with_bootstrap(X: Doubles, s: Doubles, h: float, signs: Doubles, rows: int = 512) -> tuple[float, Doubles]:
    """The statistic and its draws: signs times u times signs, by matrix products, tile by tile."""
    return _sums_in_tiles(X, s, h, rows, signs)


def _sums_in_tiles(X: Doubles, s: Doubles, h: float, rows: int, signs: Doubles | None = None) -> tuple[float, Doubles]:
    X, s = X / h, s * h
    n, d = X.shape
    # r, the inner products and sᵀt are each one matrix product.
    left = np.hstack([X, s])
    own, cross = (X**2).sum(axis=1) + 1, (X * s).sum(axis=1) + d / 2
    room = [np.empty((rows, rows)) for _ in range(4)]
    swapped = np.hstack([s, X])
    total, draws = 0.0, np.zeros(0 if signs is None else len(signs))
    for first in range(0, n, rows):
        i = slice(first, min(first + rows, n))
        for second in range(first, n, rows):
            j = slice(second, min(second + rows, n))
            q, inner, u, root = (array[: i.stop - i.start, : j.stop - j.start] for array in room)
            np.matmul(X[i], X[j].T, out=q)
            q *= -2
            q += own[i, None]
            q += own[j] - 1
            np.reciprocal(q, out=q)
            np.matmul(left[i], swapped[j].T, out=inner)
            inner -= cross[i, None]
            inner -= cross[j]
            np.matmul(s[i], s[j].T, out=u)
            inner *= q
            u -= inner
            # 3q²r = 3q(1 − q)
            np.subtract(1, q, out=inner)
            inner *= q
            inner *= 3
            u -= inner
            np.sqrt(q, out=root)
            u *= root
            twice = 1 if second == first else 2
            total += twice * float(u.sum())
            if signs is not None:
                draws += twice * np.einsum("bj,bj->b", signs[:, i] @ u, signs[:, j])
    return total / n**2 / h**2, draws / n**2 / h**2


def in_jax(X: Doubles, s: Doubles, h: float, rows: int = 256) -> Callable[[], float]:
    """Blocks of rows against all, one after the other in a compiled function."""
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    n, d = X.shape
    n_blocks = -(-n // rows)

    def evaluate(X: Any, s: Any, counts: Any) -> Any:
        own, cross = (X**2).sum(axis=1), (X * s).sum(axis=1)

        def add(total: Any, block: Any) -> tuple[Any, None]:
            x, t, a, b, w = block
            r = a[:, None] + own - 2 * (x @ X.T)
            inner = x @ s.T + t @ X.T - b[:, None] - cross
            q = 1 / (1 + r)
            u = jnp.sqrt(q) * (t @ s.T - q * (inner - d) - 3 * q**2 * r)
            return total + w @ u @ counts, None

        arrays = (X, s, own, cross, counts)
        blocks = tuple(array.reshape(n_blocks, rows, *array.shape[1:]) for array in arrays)
        return jax.lax.scan(add, 0.0, blocks)[0] / n**2 / h**2

    padding = ((0, n_blocks * rows - n), (0, 0))
    arrays = np.pad(X / h, padding), np.pad(s * h, padding), (np.arange(n_blocks * rows) < n).astype(np.float64)
    on_device, function = jax.device_put(arrays), jax.jit(evaluate)
    return lambda: float(function(*on_device))
