"""The scale of the coordinates, learnt from chains."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scorematch.samplers._chains import Chains

Doubles = NDArray[np.float64]

# Points of each chain that the scale is learnt from, and of all chains together at least.
MOST_POINTS, LEAST_POINTS = 100, 10


def learn_scale(chains: Chains, n_warmup: int) -> Doubles:
    """Standard deviations over all chains and the second quarter of the warm-up, at the end of which they stand.

    The first half alone: what follows with the new scale must be warmed up too, which is up to the caller where its
    steps adapt to it.
    """
    first = n_warmup // 4
    chains.skip(first)
    n_points = min(MOST_POINTS, max(1, n_warmup // 4))
    thin = max(1, (n_warmup // 4) // n_points)
    points = np.empty((len(chains.points), n_points, chains.points.shape[1]))
    if points.shape[0] * n_points < LEAST_POINTS:
        raise ValueError(
            f"scale='auto' needs at least {LEAST_POINTS} points to learn from, chains times a quarter of n_warmup; got "
            f"{points.shape[0] * n_points}"
        )
    chains.draw(points, thin)
    deviation = points.reshape(-1, points.shape[2]).std(axis=0)
    if not (deviation > 0).all():
        j = int(np.argmin(deviation > 0))
        raise ValueError(f"scale='auto' finds no movement in column {j} during the warm-up; give a scale")
    return np.asarray(deviation)
