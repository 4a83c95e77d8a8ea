"""Domains whose distances are computed in the compiled core."""

from abc import abstractmethod
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scorematch import _core
from scorematch._threads import effective_threads
from scorematch._validation import Floats
from scorematch.domains._domain import Domain, Doubles, as_points

# Below so many nanoseconds of work, starting threads costs more than they save.
LEAST_PARALLEL_WORK = 2e6


@dataclass(frozen=True, repr=False)
class RegionDomain(Domain):
    """Base of domains that the compiled core knows as a region."""

    @abstractmethod
    def _make_region(self) -> _core.Region:
        """The domain as the core sees it."""

    @cached_property
    def _region(self) -> _core.Region:
        return self._make_region()

    def contains(self, X: ArrayLike) -> NDArray[np.bool_]:
        points = self._readable(X)
        return self._region.contains(points, self._threads(points)) if len(points) else np.empty(0, dtype=bool)

    def coordinate_distance(self, X: ArrayLike) -> tuple[Doubles, Doubles]:
        points = self._readable(X)
        if not len(points):
            return np.empty(points.shape), np.empty(points.shape)
        return self._region.coordinate_distance(points, self._threads(points))

    def distance(self, X: ArrayLike) -> tuple[Doubles, Doubles]:
        points = self._readable(X)
        if not len(points):
            return np.empty(0), np.empty(points.shape)
        return self._region.distance(points, self._threads(points))

    def _readable(self, X: ArrayLike) -> Floats:
        points = as_points(self, X)
        whole = all(stride % points.itemsize == 0 for stride in points.strides)
        return points if points.flags.aligned and whole else points.copy()

    def _threads(self, points: Floats) -> int:
        work = len(points) * self._region.cost(points.shape[1])
        return 1 if work < LEAST_PARALLEL_WORK else effective_threads(None)
