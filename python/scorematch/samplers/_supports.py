"""Domains as the compiled samplers know them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scorematch import _core
from scorematch._gibbs import region_of
from scorematch.domains import RealSpace, Sphere
from scorematch.domains._region import RegionDomain

Doubles = NDArray[np.float64]


def support_of(domain: Any, n_features: int) -> _core.Support:
    """Where chains may be: all of space where the domain is None."""
    if domain is None or isinstance(domain, RealSpace):
        return _core.Support.real_space()
    if isinstance(domain, Sphere):
        return _core.Support.sphere()
    region = region_of(domain, n_features)
    if region is not None and region.is_product:
        return _core.Support.intervals(region.intervals)
    if isinstance(domain, RegionDomain):
        return _core.Support.region(domain._region)
    return _core.Support.python(lambda points: inside(domain, points))


def always_rejects(domain: Any, n_features: int) -> bool:
    """Whether it has a boundary, and none that steps can be reflected at."""
    if domain is None or isinstance(domain, RealSpace | Sphere):
        return False
    region = region_of(domain, n_features)
    return region is None or not region.is_product


def inside(domain: Any, points: Doubles) -> NDArray[np.bool_]:
    """Which points lie in a domain, perhaps the user's own; all that are finite where it is None."""
    if domain is None:
        return np.asarray(np.isfinite(points).all(axis=1))
    found = np.asarray(domain.contains(points))
    if found.shape != (len(points),) or found.dtype != bool:
        raise TypeError(
            f"contains of {domain!r} must give a bool for each row; got type {found.dtype}, shape {found.shape}"
        )
    return found


def check_own_domain(domain: Any) -> None:
    """An error where it is no domain."""
    if domain is not None and (isinstance(domain, type) or not callable(getattr(domain, "contains", None))):
        raise TypeError(
            "domain must be one of scorematch.domains, such as NonNegative(), or an object of your own with a method "
            f"contains; got {domain!r}"
        )


def check_inside(points: Doubles, domain: Any) -> Doubles:
    """The same points; an error that names the first that is not finite, or outside. On the sphere of length 1."""
    finite = np.isfinite(points).all(axis=1)
    if not finite.all():
        row = int(np.argmin(finite))
        raise ValueError(f"initial must be finite; row {row} is {points[row]}")
    good = inside(domain, points)
    if not good.all():
        row = int(np.argmin(good))
        raise ValueError(f"initial must lie in {domain!r}; row {row} does not: it is {points[row]}")
    if isinstance(domain, Sphere):
        return np.asarray(points / np.linalg.norm(points, axis=1, keepdims=True))
    return points
