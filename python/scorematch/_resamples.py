"""Resamples of rows, and estimates from them: by sums of blocks of rows, or by weights of all rows.

What either is for, and why they estimate the same, is said in `_bootstrap.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scorematch._side_by_side import Estimates
from scorematch._validation import Floats

Doubles = NDArray[np.float64]
Rows = NDArray[np.intp]

# Blocks of which resamples are drawn where there are many rows; few enough rows are drawn one by one.
FEWEST_BLOCKS, MOST_BLOCKS, FEW_ROWS_PER_BLOCK = 1024, 8192, 2
# Numbers in the sums of all blocks: with more, a pass over the data for each resample takes less memory.
MOST_NUMBERS = 2**27
# Numbers in the sums of the resamples that are worked on at a time.
GROUP_NUMBERS = 2**22
# Numbers that are drawn at a time. (Others would draw other rows of the same seed.)
DRAWN_NUMBERS = 2**16
# Rows that are brought together at a time.
GATHERED_NUMBERS = 2**17


def draws(random: np.random.Generator, n: int) -> Iterator[NDArray[np.intp]]:
    """How often each of n things is drawn when n are drawn with replacement, (n,); one resample after the other."""
    kind = np.uint16 if n <= 2**16 else np.int64  # the short ones take half the time
    while True:  # and so do several resamples at a time
        for drawn in random.integers(n, size=(max(1, DRAWN_NUMBERS // n), n), dtype=kind):
            yield np.bincount(drawn, minlength=n)


def _positive(n_rows: int, weight: Doubles | None) -> Rows:
    return np.arange(n_rows) if weight is None else np.flatnonzero(weight)


# -- Sums of blocks ------------------------------------------------------------------------------------------------


def sums_of_blocks(
    model: Any, X: Floats, weight: Doubles | None, n_resamples: int, random: np.random.Generator
) -> tuple[Doubles, Any, int] | None:
    """The sums of each block, (n_blocks, n_numbers), what they are sums of, and how many rows there are.

    None where the family does not estimate from sums, or these take too much memory.
    """
    if not model._estimates_from_sums():
        return None
    positive = _positive(len(X), weight)
    n_blocks = int(np.clip(n_resamples, FEWEST_BLOCKS, MOST_BLOCKS))
    if len(positive) <= FEW_ROWS_PER_BLOCK * n_blocks:
        n_blocks = len(positive)
    else:
        positive = random.permutation(positive)
    some = positive[:: max(1, len(positive) // 256)]
    like = model._sums(X[some], None if weight is None else weight[some], None)
    if n_blocks * like.as_vector().size > MOST_NUMBERS:
        return None
    ends = np.linspace(0, len(positive), n_blocks + 1).astype(int)
    return _added_up(model, X, weight, positive, ends, like), like, len(X)


def _added_up(model: Any, X: Floats, weight: Doubles | None, order: Rows, ends: Rows, like: Any) -> Doubles:
    """The sums over the rows between two ends of an order, (n_blocks, n_numbers)."""
    sums = np.empty((len(ends) - 1, like.as_vector().size))
    # Some blocks at a time are brought together; one by one, that would take longer than their sums.
    step = max(1, GATHERED_NUMBERS * len(sums) // (len(order) * X.shape[1]))
    for first in range(0, len(sums), step):
        mine = ends[first : first + step + 1]
        chosen = order[mine[0] : mine[-1]]
        rows = X.take(chosen, axis=0)
        own = None if weight is None else weight[chosen]
        sums[first : first + step] = model._sums_of_blocks(rows, own, mine - mine[0], like)
    return sums


def estimate_from_sums(
    model: Any, sums: Doubles, like: Any, n_samples: int, random: np.random.Generator, estimates: Estimates
) -> None:
    """Estimates from sums: all at once where the family can, and one by one where it cannot."""

    def estimate(vector: Doubles) -> Any:
        own = model._copy()
        own._estimate_from(like.with_vector(vector, n_samples))
        return own

    drawn = draws(random, len(sums))
    step = max(1, GROUP_NUMBERS // max(sums.shape))
    for first in range(0, estimates.n_resamples, step):
        numbers = range(first, min(first + step, estimates.n_resamples))
        counts = np.empty((len(numbers), len(sums)))
        for row, one in zip(counts, drawn, strict=False):
            row[:] = one
        vectors = counts @ sums
        rest = estimates.take(numbers, model._estimates(vectors, like, n_samples))
        if rest:
            estimates.run(estimate, ((number, vectors[number - first]) for number in rest))


# -- Weights of rows -----------------------------------------------------------------------------------------------


def estimate_from_rows(
    model: Any, X: Floats, weight: Doubles | None, random: np.random.Generator, estimates: Estimates
) -> None:
    """Estimates from all rows, under weights that say how often each was drawn."""
    positive = _positive(len(X), weight)

    def fit(counts: NDArray[np.intp]) -> Any:
        weights = np.zeros(len(X))
        weights[positive] = counts if weight is None else counts * weight[positive]
        own = model._copy()
        own._fit_again(X, weights)
        return own

    estimates.run(fit, zip(range(estimates.n_resamples), draws(random, len(positive)), strict=False))
