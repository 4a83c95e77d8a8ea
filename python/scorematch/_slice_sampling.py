"""Slice sampling of any density on any domain that can tell which points it contains."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]
# The log density of (n, d) points; -inf or NaN where there is none.
LogDensity = Callable[[Doubles], Doubles]
MOST_STEPS = 1000


class SliceChains:
    """Chains that take each coordinate in turn (Neal 2003, "Slice sampling", stepping out and shrinkage).

    The interval is found by the density alone, and points outside the domain are turned down as those below the level
    are: so a chain crosses gaps of the domain where the density does, and nothing but ``contains`` is asked for. The
    density on the domain stays as it is, exactly, whatever its shape.
    """

    def __init__(
        self, log_density: LogDensity, domain: Any, start: Doubles, steps: Doubles, random: np.random.RandomState
    ) -> None:
        self._log_density, self._domain = log_density, domain
        self._points, self._steps, self._random = start.copy(), steps, random

    def sweep(self, n_sweeps: int) -> Doubles:
        """Where the chains are after so many sweeps over all coordinates."""
        before = self._points.copy()
        for _ in range(n_sweeps):
            for j in range(self._points.shape[1]):
                self._move(j)
        if n_sweeps > 0 and (self._points == before).all():
            raise ValueError(f"no chain can move along the axes in {self._domain!r}: it has no volume where they are")
        return self._points.copy()

    def _at(self, j: int, values: Doubles, rows: NDArray[np.intp]) -> Doubles:
        points = self._points[rows]
        points[:, j] = values
        return points

    def _density(self, points: Doubles) -> Doubles:
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            values = self._log_density(points)
        return np.where(np.isnan(values), -np.inf, values)

    def _move(self, j: int) -> None:
        n, step = len(self._points), self._steps[j]
        everybody = np.arange(n)
        now = self._points[:, j].copy()
        level = self._density(self._points) - self._random.standard_exponential(n)
        left = now - step * self._random.uniform(size=n)
        right = left + step
        for end, by in ((left, -step), (right, step)):
            rows = everybody
            for _ in range(MOST_STEPS):
                rows = rows[self._density(self._at(j, end[rows], rows)) > level[rows]]
                if not len(rows):
                    break
                end[rows] += by
            else:
                raise ValueError(
                    f"the density does not fall along column {j}: it is constant or grows over {MOST_STEPS} steps of "
                    f"{step:.3g}, and slice sampling finds no end"
                )
        rows = everybody
        while len(rows):
            values = left[rows] + self._random.uniform(size=len(rows)) * (right[rows] - left[rows])
            points = self._at(j, values, rows)
            accepted = (self._density(points) > level[rows]) & self._domain.contains(points)
            # Where nothing is left of the interval, the chain stays.
            stuck = ~accepted & (right[rows] - left[rows] <= 1e-15 * (np.abs(now[rows]) + 1e-9 * step))
            self._points[rows[accepted], j] = values[accepted]
            below = values < now[rows]
            left[rows[below]] = values[below]
            right[rows[~below]] = values[~below]
            rows = rows[~accepted & ~stuck]
