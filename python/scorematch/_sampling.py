"""Exact samplers."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_random_state

from scorematch._base import ScoreMatchingEstimator
from scorematch._validation import check_count
from scorematch.domains import Domain

Doubles = NDArray[np.float64]


class ExactSampler(ScoreMatchingEstimator):
    """Base, beside another, of families that can be drawn from."""

    @abstractmethod
    def _sampler(self, random: np.random.RandomState) -> Callable[[int], Doubles]:
        """What gives n draws, before any truncation; an error where these parameters have no exact sampler."""

    def sample(self, n_samples: int = 1, random_state: Any = None) -> Doubles:
        """Draw from the fitted distribution.

        Parameters
        ----------
        n_samples : int, default=1
            How many rows.
        random_state : int, RandomState or None
            Seed or generator.

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            Exact, independent draws. On a domain with a boundary by rejection, unless the class says otherwise.

        Raises
        ------
        ValueError
            Where the model has no exact sampler, as the class explains, or where rejection would keep fewer than one
            draw in 100 000.
        """
        self._check_is_fitted()
        return self._draw(check_count("n_samples", n_samples), check_random_state(random_state))

    def _draw(self, n_samples: int, random: np.random.RandomState) -> Doubles:
        """So many draws, in the domain."""
        draw, domain = self._sampler(random), self._domain()
        return reject(draw, domain, n_samples) if self._has_boundary else draw(n_samples)


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
