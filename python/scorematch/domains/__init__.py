"""Domains: where the data live.

A domain says which points belong to it and, together with a weight (:mod:`scorematch.weights`), which objective is
right on it. Score matching needs the density, times the weight, to vanish at the boundary; where the density does not,
the weight must, and for that it needs the distance to the boundary.

A domain of your own is any object with two methods: ``contains(X)``, and ``coordinate_distance(X)`` with the two arrays
that :meth:`Domain.coordinate_distance` describes; for :class:`scorematch.weights.BoundaryDistance` also
``distance(X)``. It needs no base class.
"""

from scorematch.domains._ball import Ball, Simplex
from scorematch.domains._domain import Domain
from scorematch.domains._inequalities import Inequalities, Inequality
from scorematch.domains._intervals import Box, Intervals, NonNegative
from scorematch.domains._polygon import Polygon
from scorematch.domains._polytope import Polytope
from scorematch.domains._without_boundary import RealSpace, Sphere

__all__ = [
    "Ball",
    "Box",
    "Domain",
    "Inequalities",
    "Inequality",
    "Intervals",
    "NonNegative",
    "Polygon",
    "Polytope",
    "RealSpace",
    "Simplex",
    "Sphere",
]
