"""Domain and weight to the field that the compiled objective uses."""

from typing import cast

import numpy as np
from numpy.typing import NDArray

from scorematch import _core
from scorematch.domains import Domain, NonNegative, RealSpace, Sphere
from scorematch.weights import Log1p, MinPower, Power, Weight


def make_field(domain: Domain | None, weight: Weight | None) -> _core.Field:
    """The field of a domain and a weight; an error where the two do not make a valid objective."""
    domain = RealSpace() if domain is None else domain
    if not isinstance(domain, Domain):
        raise TypeError(f"domain must be one of scorematch.domains, such as NonNegative(); got {domain!r}")
    if weight is not None and not isinstance(weight, Weight):
        raise TypeError(f"weight must be one of scorematch.weights, such as MinPower(); got {weight!r}")
    if isinstance(domain, NonNegative):
        if weight is None:
            raise ValueError(
                f"domain={domain!r} needs a weight: where the density is positive at the boundary, the unweighted "
                "objective is wrong (its integration by parts leaves a term there) and estimates are nonsense. "
                "Pass a weight that vanishes at the boundary, for example weight=scorematch.MinPower(c=1.0)"
            )
        return _coordinate_field(weight)
    if weight is not None:
        raise ValueError(f"weight={weight!r} has no place on {domain!r}, which has no boundary; leave weight=None")
    return _core.Field.sphere() if isinstance(domain, Sphere) else _core.Field.euclidean()


def _coordinate_field(weight: Weight) -> _core.Field:
    if isinstance(weight, Power):
        return _core.Field.coordinate("power", float(weight.p))
    if isinstance(weight, MinPower):
        return _core.Field.coordinate("min_power", float(weight.p), np.atleast_1d(weight.c).astype(float).tolist())
    if isinstance(weight, Log1p):
        return _core.Field.coordinate("log1p")
    raise TypeError(f"weight must be one of Power, MinPower, Log1p; got {weight!r}")


def check_inside(X: NDArray[np.floating], domain: Domain | None, weight: Weight | None) -> None:
    """Raise an error that names the first row outside the domain, or where the weight is not differentiable."""
    if domain is None or isinstance(domain, RealSpace):
        return
    inside = domain.contains(X)
    if not inside.all():
        row = int(np.argmin(inside))
        n_outside = int(np.size(inside) - np.count_nonzero(inside))
        raise ValueError(
            f"X must lie in {domain!r}; row {row} does not: {domain.explain(X[row])} "
            f"({n_outside} of {len(X)} rows lie outside)"
        )
    if isinstance(domain, NonNegative) and cast(float, getattr(weight, "p", 1.0)) < 1:
        zero = np.asarray(X == 0).any(axis=1)
        if zero.any():
            raise ValueError(
                f"weight={weight!r} has an infinite derivative at 0, and row {int(np.argmax(zero))} of X has a 0; "
                "use an exponent p of at least 1"
            )
