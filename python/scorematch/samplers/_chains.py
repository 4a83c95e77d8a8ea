"""Chains that go on from call to call of the core."""

from __future__ import annotations

import os
import time
from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scorematch._progress import progress_bar

Doubles = NDArray[np.float64]

# Seconds that a call of the core should take, for Ctrl-C to be heard and the progress to be seen.
CALL_SECONDS = 0.2
# Bytes of draws that a call may give: so few that the same memory serves every call, and is in the cache when copied.
CALL_BYTES = 4 << 20


class Kernel(ABC):
    """One step of all chains, repeated."""

    # How many iterations a call may have; None for any number.
    most_iterations: int | None = None

    @abstractmethod
    def advance(self, points: Doubles, iteration: int, n_iterations: int, thin: int) -> tuple[Doubles, Doubles]:
        """The last points, and those after every `thin` iterations; `iteration` is the number of the first."""


class Chains:
    """Points, and how far they are."""

    def __init__(self, kernel: Kernel, points: Doubles, iteration: int, progress: Any) -> None:
        self.kernel, self.points, self.iteration = kernel, points, iteration
        self._progress = progress
        self._size = 1  # iterations of a call

    def skip(self, n_iterations: int) -> None:
        """Go on, and keep nothing."""
        while n_iterations > 0:
            now = min(self._size, n_iterations)
            self._advance(now, now)
            n_iterations -= now

    def draw(self, out: Doubles, thin: int) -> None:
        """Fill (n_chains, n_draws, d) with the points after every `thin` iterations."""
        n_kept = since = 0
        most = max(1, CALL_BYTES // self.points.nbytes)
        while n_kept < out.shape[1]:
            if since == 0 and self._size >= thin:
                n = min(self._size // thin, out.shape[1] - n_kept, most)
                out[:, n_kept : n_kept + n] = self._advance(n * thin, thin)
                n_kept += n
                continue
            now = min(self._size, thin - since)
            self._advance(now, now)
            since += now
            if since == thin:
                out[:, n_kept] = self.points
                n_kept, since = n_kept + 1, 0

    def _advance(self, n_iterations: int, thin: int) -> Doubles:
        start = time.perf_counter()
        self.points, draws = self.kernel.advance(self.points, self.iteration, n_iterations, thin)
        self.iteration += n_iterations
        if self._progress is not None:
            self._progress.update(n_iterations)
        # How a run is cut does not show in its results.
        wanted = n_iterations * CALL_SECONDS / max(time.perf_counter() - start, 1e-9)
        most = self.kernel.most_iterations or max(4 * self._size, 64)
        self._size = int(max(1, min(wanted, most)))
        return draws


def bar_of(progress: bool, method: str, total: int) -> Any:
    """A progress bar, if it is wanted and tqdm is there."""
    return progress_bar(f"scorematch: {method}", total, "iteration") if progress else None


def room_for(n_chains: int, n_draws: int, n_features: int) -> Doubles:
    """Memory for the draws; an error where this machine does not have it, which may else be noticed too late."""
    size = 8 * n_chains * n_draws * n_features
    if size > _memory_of_this_machine():
        raise MemoryError(
            f"{n_chains} chains of {n_draws} draws of {n_features} features take {size / 2**30:.3g} GiB, which do not "
            "fit in memory: ask for fewer, or go on from a run's state and keep less of each"
        )
    return np.empty((n_chains, n_draws, n_features))


def _memory_of_this_machine() -> float:
    try:
        return float(os.sysconf("SC_PHYS_PAGES")) * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return np.inf
