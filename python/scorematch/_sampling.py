"""Exact samplers that several families share."""

from collections.abc import Callable
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_random_state

from scorematch.domains import Domain

Doubles = NDArray[np.float64]


def check_sample_arguments(n_samples: int, random_state: Any) -> np.random.RandomState:
    """The generator; an error where `n_samples` is no count."""
    if not isinstance(n_samples, Integral) or isinstance(n_samples, bool) or n_samples < 1:
        raise ValueError(f"n_samples must be a positive integer; got {n_samples!r}")
    return check_random_state(random_state)


def reject(draw: Callable[[int], Doubles], domain: Domain, n_samples: int) -> Doubles:
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
                f"{domain!r}, and no exact sampler is at hand for it"
            )
    return np.concatenate(kept)[:n_samples]


def truncated_normal(mean: Doubles, scale: Doubles, n_samples: int, random: np.random.RandomState) -> Doubles:
    """Independent normals, each cut off below 0."""
    from scipy.stats import truncnorm

    draws = truncnorm.rvs(
        -mean / scale, np.inf, loc=mean, scale=scale, size=(n_samples, len(mean)), random_state=random
    )
    return np.asarray(np.maximum(draws, 0))  # rounding can leave a draw a hair below
