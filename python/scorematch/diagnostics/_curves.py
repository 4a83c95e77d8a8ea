"""Curves through points along which functions are differentiated: straight lines, and great circles on the sphere."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]

# The first step in units of the data's spread, and by what it is made smaller.
STEP, SMALLER = 0.02, (1.0, 1 / 8, 1 / 64)
# Part of the distance to the boundary that a step may take.
PART = 0.2
POINTS = ((-2, 1 / 12), (-1, -2 / 3), (1, 2 / 3), (2, -1 / 12))


@dataclass(frozen=True)
class Curves:
    """Curves k = 1..K through each of n points, of unit speed, and how far one may go along them."""

    points: Doubles  # (n, d)
    directions: Doubles  # (K, n, d)
    steps: Doubles  # (K, n)
    on_sphere: bool

    @staticmethod
    def through(points: Doubles, spread: Doubles, domain: Any, on_sphere: bool) -> Curves:
        """Along the coordinates of space, or along orthogonal tangents of the sphere."""
        n, d = points.shape
        if on_sphere:
            # The reflection that takes the first unit vector to a point takes the others to tangents.
            mirror = points.copy()
            sign = np.where(points[:, 0] > 0, 1.0, -1.0)
            mirror[:, 0] += sign
            mirror /= np.linalg.norm(mirror, axis=1, keepdims=True)
            tangents = [np.eye(d)[k] - 2 * mirror * mirror[:, k : k + 1] for k in range(1, d)]
            size = STEP * min(1.0, float(np.sqrt(np.sum(spread**2))))
            return Curves(points, np.stack(tangents), np.full((d - 1, n), size), True)
        directions = np.broadcast_to(np.eye(d)[:, None, :], (d, n, d))
        steps = np.repeat(STEP * spread[:, None], n, axis=1)
        if domain is not None and getattr(domain, "has_boundary", True):
            room = np.asarray(domain.coordinate_distance(points)[0]).T
            steps = np.minimum(steps, PART * room)
        return Curves(points, directions, steps, False)

    def __len__(self) -> int:
        return len(self.directions)

    def at(self, k: int, lengths: Doubles) -> tuple[Doubles, Doubles]:
        """Points along curve k, and the velocity there."""
        along, length = self.directions[k], lengths[:, None]
        if not self.on_sphere:
            return self.points + length * along, along
        cosine, sine = np.cos(length), np.sin(length)
        return cosine * self.points + sine * along, cosine * along - sine * self.points

    def slopes(self, function: Callable[[Doubles, Doubles], Doubles]) -> tuple[Doubles, Doubles]:
        """Derivatives along all curves of a function of points and velocities, (n, K, …), and their errors.

        By five points at three steps: of two estimates in turn that agree best, the one of the larger step, with their
        difference for its error, and what rounding adds.
        """
        found, errors = zip(*(self._slope(function, k) for k in range(len(self))), strict=True)
        return np.stack(found, axis=1), np.stack(errors, axis=1)

    def _slope(self, function: Callable[[Doubles, Doubles], Doubles], k: int) -> tuple[Doubles, Doubles]:
        n = len(self.points)
        lengths = [place * factor * self.steps[k] for factor in SMALLER for place, _ in POINTS]
        places = [self.at(k, length) for length in lengths]
        values = function(np.concatenate([p for p, _ in places]), np.concatenate([v for _, v in places]))
        values = values.reshape(len(SMALLER), len(POINTS), n, *values.shape[1:])
        return best_slope(values, [factor * self.steps[k] for factor in SMALLER])


def best_slope(values: Doubles, steps: list[Any]) -> tuple[Doubles, Doubles]:
    """The derivative from values (n_steps, 4, …) at the five-point rule's places for several steps, and its error."""
    factors = [factor for _, factor in POINTS]
    estimates, rounding = [], []
    for some, step in zip(values, steps, strict=True):
        size = np.reshape(step, np.shape(step) + (1,) * (some.ndim - 1 - np.ndim(step)))
        estimates.append(sum(factor * value for factor, value in zip(factors, some, strict=True)) / size)
        rounding.append(4 * np.finfo(float).eps * np.abs(some).max(axis=0) / size)
    differences = np.stack([np.abs(a - b) for a, b in itertools.pairwise(estimates)])
    differences = np.where(np.isfinite(differences), differences, np.inf)
    best = np.argmin(differences, axis=0)[None]
    chosen = np.take_along_axis(np.stack(estimates[:-1]), best, axis=0)[0]
    error = np.take_along_axis(differences, best, axis=0)[0] + np.take_along_axis(np.stack(rounding[:-1]), best, 0)[0]
    return chosen, error
