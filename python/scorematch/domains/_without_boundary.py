"""Domains without a boundary: all of space, and the sphere."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scorematch.domains._domain import Domain, Doubles, Proposal, as_points

# Rows that are looked at together, so that checks of large data take little memory.
BLOCK = 65536


@dataclass(frozen=True, repr=False)
class _WithoutBoundary(Domain):
    has_boundary: ClassVar[bool] = False

    def coordinate_distance(self, X: ArrayLike) -> tuple[Doubles, Doubles]:
        shape = as_points(self, X).shape
        return np.full(shape, np.inf), np.zeros(shape)

    def distance(self, X: ArrayLike) -> tuple[Doubles, Doubles]:
        shape = as_points(self, X).shape
        return np.full(shape[0], np.inf), np.zeros(shape)


@dataclass(frozen=True, repr=False)
class RealSpace(_WithoutBoundary):
    """All of space, where the plain objective of Hyvärinen (2005) holds.

    Examples
    --------
    >>> import scorematch
    >>> scorematch.RealSpace()
    RealSpace()
    """

    def contains(self, X: ArrayLike) -> NDArray[np.bool_]:
        return np.asarray(np.isfinite(as_points(self, X)).all(axis=1))

    def _reason(self, point: Doubles) -> str:
        raise ValueError(f"the point {point} is finite, and so lies in {self!r}")

    def _proposal(self, d: int, random: np.random.RandomState) -> Proposal:
        raise self._infinite()


@dataclass(frozen=True, repr=False)
class Sphere(_WithoutBoundary):
    """The unit sphere: rows of length 1, to within 1e-6 (1e-3 in float32).

    On it ``score_function`` is the tangential gradient and ``hessian_trace`` the Laplace-Beltrami operator of log p
    (Mardia, Kent and Laha 2016). It has no boundary and takes no weight.

    Examples
    --------
    >>> import numpy as np
    >>> import scorematch
    >>> scorematch.Sphere().contains(np.array([[0.6, 0.8], [1.0, 1.0]]))
    array([ True, False])
    """

    def contains(self, X: ArrayLike) -> NDArray[np.bool_]:
        points = as_points(self, X)
        tolerance = 1e-3 if points.dtype == np.float32 else 1e-6
        inside = np.empty(len(points), dtype=bool)
        for first in range(0, len(points), BLOCK):
            rows = points[first : first + BLOCK]
            inside[first : first + BLOCK] = np.abs(np.einsum("ij,ij->i", rows, rows) - 1) <= 2 * tolerance
        return inside

    def _reason(self, point: Doubles) -> str:
        return f"its length is {np.linalg.norm(point):.6g}, not 1 (normalize=True rescales the rows)"

    def _proposal(self, d: int, random: np.random.RandomState) -> Proposal:
        def propose(n: int) -> Doubles:
            normal = random.standard_normal((n, d))
            return np.asarray(normal / np.linalg.norm(normal, axis=1, keepdims=True))

        return propose
