"""What is measured of bounded domains: distances to the boundary, and a Gaussian truncated to a polygon.

The classes are contests, see `contests.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import scorematch
from contests import Call
from numpy.typing import NDArray
from peers import regions as peers
from scorematch.domains import Polygon, Polytope
from scorematch.weights import BoundaryDistance
from workloads import short

Doubles = NDArray[np.float64]

VERTICES = ((0, 0.5), (1, 1), (1, 2), (4, 1), (2, 0))  # not convex at (1, 1)


class WithNumpy:
    """We and NumPy, with pairs of arrays for results."""

    @property
    def names(self) -> tuple[str, ...]:
        return ("scorematch", "numpy")

    def check(self, results: dict[str, Any]) -> None:
        for theirs in results.values():
            for ours, each in zip(results["scorematch"], theirs, strict=True):
                np.testing.assert_allclose(each, ours, rtol=1e-8, atol=1e-11)


@dataclass(frozen=True)
class Distances(WithNumpy):
    """Distances to the boundary and their slopes: along each coordinate, or to its nearest point.

    A polygon of five corners, or a polytope of `n_sides` sides in `d` dimensions.
    """

    n: int
    d: int = 2
    n_sides: int = 0
    nearest: bool = False

    @property
    def name(self) -> str:
        shape = f"Polytope, {self.n_sides} sides, d={self.d}" if self.n_sides else "Polygon, 5 corners"
        return f"{shape}, n={short(self.n)}: {'distance' if self.nearest else 'coordinate_distance'}"

    @cached_property
    def sides(self) -> tuple[Doubles, Doubles]:
        """A and b: sides that touch a ball of radius 1, so that 0 is inside."""
        normals = np.random.default_rng(0).standard_normal((self.n_sides, self.d))
        return normals, np.linalg.norm(normals, axis=1)

    @cached_property
    def domain(self) -> Polygon | Polytope:
        return Polytope(*self.sides) if self.n_sides else Polygon(VERTICES)

    @cached_property
    def X(self) -> Doubles:
        if not self.n_sides:
            return self.domain.sample_uniform(self.n, random_state=0)
        # In a ball that the sides touch.
        random = np.random.default_rng(1)
        X = random.standard_normal((self.n, self.d))
        return X * (0.999 * random.random(self.n) ** (1 / self.d) / np.linalg.norm(X, axis=1))[:, None]

    def contenders(self) -> dict[str, Call]:
        if self.nearest:
            return {
                "scorematch": lambda: self.domain.distance(self.X),
                "numpy": lambda: peers.polygon_distance(np.array(VERTICES), self.X),
            }
        if self.n_sides:
            return {
                "scorematch": lambda: self.domain.coordinate_distance(self.X),
                "numpy": lambda: peers.polytope_coordinate_distance(*self.sides, self.X),
            }
        return {
            "scorematch": lambda: self.domain.coordinate_distance(self.X),
            "numpy": lambda: peers.polygon_coordinate_distance(np.array(VERTICES), self.X),
        }


@dataclass(frozen=True)
class PolygonFit(WithNumpy):
    """A Gaussian truncated to a polygon, weighted by the distance to its boundary."""

    n: int

    @property
    def name(self) -> str:
        return f"Gaussian on a polygon, n={short(self.n)}: fit"

    @cached_property
    def X(self) -> Doubles:
        X = np.random.default_rng(0).normal(2.0, 1.0, size=(6 * self.n, 2))
        return X[Polygon(VERTICES).contains(X)][: self.n]

    def contenders(self) -> dict[str, Call]:
        model = scorematch.Gaussian(domain=Polygon(VERTICES), weight=BoundaryDistance(), n_jobs=1)

        def fit() -> tuple[Doubles, Doubles]:
            model.fit(self.X)
            return model.mean_, model.precision_

        return {"scorematch": fit, "numpy": lambda: peers.gaussian_on_polygon(np.array(VERTICES), self.X)}


REGIONS = (
    Distances(1_000_000, d=5, n_sides=12),
    Distances(1_000_000),
    Distances(1_000_000, nearest=True),
    PolygonFit(100_000),
)
