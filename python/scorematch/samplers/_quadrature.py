"""Differences of a log density of which the score function alone is known.

log p(y) − log p(x) is the integral of ψ along any way from x to y. Each iteration begins anew where the chains are, and
goes from point to point of the trajectory by Gauss–Legendre quadrature along straight lines, on the sphere along great
circles. The nodes are the same there and back, so that the approximate difference has exactly the opposite sign on the
way back, as Metropolis' choice needs.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]

# Exact for a score function that is a polynomial of degree 15 along the line.
N_NODES = 8
# Below this angle a great circle is straight to all digits.
STRAIGHT = 1e-7


class IntegratedScore:
    """A score function together with the log density that it implies, up to a constant a chain and an iteration."""

    def __init__(
        self,
        score: Callable[[Doubles], Doubles],
        contains: Callable[[Doubles], NDArray[np.bool_]],
        on_sphere: bool,
    ) -> None:
        self._score, self._contains, self._on_sphere = score, contains, on_sphere
        nodes, weights = np.polynomial.legendre.leggauss(N_NODES)
        self._places, self._weights = (nodes + 1) / 2, weights / 2
        self.begin()

    def begin(self, *, trials: bool = False) -> None:
        """The next points are where an iteration begins, or trials, each of which begins there."""
        self._last: Doubles | None = None
        self._trials = trials

    def __call__(self, points: Doubles) -> tuple[Doubles, Doubles]:
        """Log density and score of the chains, which come in the same order every time."""
        score = self._score(points)
        if self._last is None:
            self._log_density = np.zeros(len(points))
        elif self._trials:
            return self._rise(self._last, points), score
        else:
            self._log_density = self._log_density + self._rise(self._last, points)
        self._last = points.copy()
        return self._log_density, score

    def _rise(self, start: Doubles, end: Doubles) -> Doubles:
        way, velocity = (_great_circles if self._on_sphere else _lines)(start, end, self._places)
        nodes = way.reshape(-1, start.shape[1])
        along = self._score(nodes).reshape(way.shape)
        rise = np.einsum("m,mnd,mnd->n", self._weights, along, velocity)
        # There is no density on the way, and no way then: so it is on the way back.
        inside = self._contains(nodes).reshape(way.shape[:2]).all(axis=0)
        return np.where(inside, rise, -np.inf)


def _lines(start: Doubles, end: Doubles, places: Doubles) -> tuple[Doubles, Doubles]:
    step = end - start
    way = start + places[:, None, None] * step
    return way, np.broadcast_to(step, way.shape)


def _great_circles(start: Doubles, end: Doubles, places: Doubles) -> tuple[Doubles, Doubles]:
    """Points and velocities; (m, n, d) each."""
    # Of nearly opposite points the way is undetermined, and Metropolis takes either; of near ones the chord is enough.
    angle = 2 * np.arctan2(np.linalg.norm(end - start, axis=1), np.linalg.norm(end + start, axis=1))
    near = angle < STRAIGHT
    safe = np.where(near, 1.0, angle)
    t = places[:, None]
    towards = [np.sin(share * safe) / np.sin(safe) for share in (1 - t, t)]
    speeds = [safe * np.cos(share * safe) / np.sin(safe) for share in (1 - t, t)]
    way = towards[0][..., None] * start + towards[1][..., None] * end
    velocity = speeds[1][..., None] * end - speeds[0][..., None] * start
    lines, steps = _lines(start, end, places)
    return np.where(near[:, None], lines, way), np.where(near[:, None], steps, velocity)
