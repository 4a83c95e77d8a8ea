"""Domain and weight to the field that the objective uses: A = diag(a) and b at each sample."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from scorematch import _core
from scorematch._validation import Floats
from scorematch.domains import NonNegative, RealSpace, Sphere
from scorematch.weights import MCP, BoundaryDistance, Log1p, MinPower, Power, as_weight, default_weight

Doubles = NDArray[np.float64]

# Rows whose field is worked out together, where that may be done block by block.
BLOCK = 65536
# Weights that the compiled objective works out itself on NonNegative(), without a table.
COMPILED = (MCP, Power, MinPower, Log1p)


def has_boundary(domain: Any) -> bool:
    """Whether the objective needs a weight; a domain of the user's own has a boundary."""
    return domain is not None and bool(getattr(domain, "has_boundary", True))


def check_domain(domain: Any, weight: Any) -> None:
    """Raise an error where the two are no domain and no weight, or do not go together."""
    if domain is not None:
        for method in ("contains", "coordinate_distance"):
            if isinstance(domain, type) or not callable(getattr(domain, method, None)):
                raise TypeError(
                    "domain must be one of scorematch.domains, such as NonNegative(), or an object of your own with "
                    f"the methods contains and coordinate_distance; got {domain!r}"
                )
    if not has_boundary(domain):
        if weight is not None:
            where = RealSpace() if domain is None else domain
            raise ValueError(f"weight={weight!r} has no place on {where!r}, which has no boundary; leave weight=None")
    elif isinstance(weight, BoundaryDistance) and not callable(getattr(domain, "distance", None)):
        raise TypeError(f"weight={weight!r} needs a domain that has the method distance; {domain!r} has none")
    elif weight is not None and not isinstance(weight, tuple | list):
        as_weight(weight)  # a pair of functions is checked where the number of columns is known


def settled_weight(
    domain: Any, weight: Any, X: Floats, sample_weight: Doubles | None = None, *, unbounded_score: bool = False
) -> Any:
    """The weight to use: the default where None, with caps that are quantiles taken from the data, if there are any."""
    if not has_boundary(domain):
        return None
    chosen: Any = (
        default_weight(domain, unbounded_score=unbounded_score)
        if weight is None
        else as_weight(weight, n_features=X.shape[1])
    )
    if getattr(chosen, "quantile", None) is None:
        return chosen
    distance = _distance if isinstance(chosen, BoundaryDistance) else _coordinate_distance
    blocks = [distance(domain, X[first : first + BLOCK], first)[0] for first in range(0, len(X), BLOCK)]
    return chosen.fitted(np.concatenate(blocks), sample_weight)


def compiled_field(domain: Any, weight: Any, X: Floats) -> _core.Field:
    """The field at samples that lie in the domain, for a weight that is settled."""
    if not has_boundary(domain):
        return _core.Field.sphere() if isinstance(domain, Sphere) else _core.Field.euclidean()
    if not is_tabulated(domain, weight):
        for first in range(0, len(X), BLOCK):
            rows = X[first : first + BLOCK]
            _check_off_boundary(domain, rows, rows, first)
        if isinstance(weight, Power):
            return _core.Field.coordinate("power", float(weight.p))
        if isinstance(weight, Log1p):
            return _core.Field.coordinate("log1p")
        if isinstance(weight, MCP):
            return _core.Field.coordinate("mcp", float(weight.gamma), _by_column(weight.lam))
        return _core.Field.coordinate("min_power", float(weight.p), _by_column(weight.c))
    return _core.Field.tabulated(*field_values(domain, weight, X))


def is_tabulated(domain: Any, weight: Any) -> bool:
    """Whether the field takes memory for each sample."""
    if not has_boundary(domain):
        return False
    return type(domain) is not NonNegative or type(weight) not in COMPILED


def blocks_of_field(domain: Any, weight: Any, n_samples: int) -> list[slice]:
    """All rows, or where the field takes memory for each of them, some at a time."""
    size = BLOCK if is_tabulated(domain, weight) else max(1, n_samples)
    return [slice(first, first + size) for first in range(0, n_samples, size)]


def field_values(domain: Any, weight: Any, X: Floats) -> tuple[Doubles, Doubles]:
    """The diagonal a of A and b at samples that lie in the domain, for a weight that is settled.

    (n, d) each, a (n, 1) where all coordinates share it; both feature after feature in memory.
    """
    shared = isinstance(weight, BoundaryDistance)
    a = np.empty((len(X), 1 if shared else X.shape[1]), order="F")
    b = np.empty(X.shape, order="F")
    for first in range(0, len(X), BLOCK):
        block = slice(first, first + BLOCK)
        rows = X[block]
        if shared:
            distance, slope = _distance(domain, rows, first)
            a[block], b[block] = weight(distance, slope)
        else:
            distance, slope = _coordinate_distance(domain, rows, first)
            a[block], derivative = weight(distance)
            np.multiply(derivative, slope, out=b[block])
        finite = np.isfinite(a[block]).all(axis=0)
        if not finite.all():
            where = "" if shared else f" along column {int(np.argmin(finite))}"
            raise ValueError(
                f"weight={weight!r} has no bound, and the boundary of {domain!r} is infinitely far away{where}: use a "
                "weight with a cap, such as MinPower(c=1.0), or BoundaryDistance(cap=1.0)"
            )
        if not np.isfinite(b[block]).all():
            row = int(np.argmin(np.isfinite(b[block]).all(axis=1)))
            raise ValueError(f"weight={weight!r} has no finite derivative at row {first + row} of X")
    return a, b


def check_inside(X: Floats, domain: Any) -> None:
    """Raise an error that names the first row outside the domain."""
    if domain is None or isinstance(domain, RealSpace):
        return
    n_features = getattr(domain, "n_features", None)
    if n_features is not None and X.shape[1] != n_features:
        raise ValueError(f"X must have {n_features} columns to lie in {domain!r}; got {X.shape[1]}")
    inside = np.asarray(domain.contains(X))
    if inside.shape != (len(X),) or inside.dtype != bool:
        raise TypeError(
            f"contains of {domain!r} must give a bool for each row; got type {inside.dtype}, shape {inside.shape}"
        )
    if not inside.all():
        row = int(np.argmin(inside))
        n_outside = int(np.size(inside) - np.count_nonzero(inside))
        explain = getattr(domain, "explain", None)
        reason = f"it is {X[row]}" if explain is None else explain(X[row])
        raise ValueError(
            f"X must lie in {domain!r}; row {row} does not: {reason} ({n_outside} of {len(X)} rows lie outside)"
        )


def _by_column(value: Any) -> list[float]:
    return list(value) if isinstance(value, tuple) else [float(value)]


def _coordinate_distance(domain: Any, X: Floats, first: int = 0) -> tuple[Doubles, Doubles]:
    distance, slope = _checked_pair(domain, "coordinate_distance", X, (X.shape, X.shape))
    _check_off_boundary(domain, X, distance, first)
    return distance, slope


def _distance(domain: Any, X: Floats, first: int = 0) -> tuple[Doubles, Doubles]:
    distance, slope = _checked_pair(domain, "distance", X, (X.shape[:1], X.shape))
    _check_off_boundary(domain, X, distance[:, None], first)
    return distance, slope


def _checked_pair(
    domain: Any, method: str, X: Floats, shapes: tuple[tuple[int, ...], tuple[int, ...]]
) -> tuple[Doubles, Doubles]:
    """What a domain, perhaps the user's own, says of distances."""
    pair = tuple(np.asarray(array, dtype=np.float64) for array in getattr(domain, method)(X))
    if tuple(array.shape for array in pair) != shapes:
        raise ValueError(
            f"{method} of {domain!r} must give arrays of shapes {shapes[0]} and {shapes[1]}; got "
            + " and ".join(str(array.shape) for array in pair)
        )
    distance, slope = pair
    bad = ~(distance >= 0).reshape(len(X), -1).all(axis=1) | ~np.isfinite(slope).all(axis=1)
    if bad.any():
        row = int(np.argmax(bad))
        raise ValueError(
            f"{method} of {domain!r} must give distances of at least 0 and finite derivatives; for the point {X[row]} "
            f"it gives {distance[row]} and {slope[row]}"
        )
    return cast(tuple[Doubles, Doubles], pair)


def _check_off_boundary(domain: Any, X: Floats, distance: Floats, first: int = 0) -> None:
    """Raise an error that names the first row on the boundary: a density gives it no probability."""
    on = np.asarray(distance == 0).any(axis=1)
    if on.any():
        row = int(np.argmax(on))
        column = "" if distance.shape[1] != X.shape[1] else f" along column {int(np.argmax(distance[row] == 0))}"
        raise ValueError(
            f"row {first + row} of X lies on the boundary of {domain!r}{column}: it is {X[row]}. The objective is not "
            "defined there, where a density has no probability. Drop such rows, or move them inside, as zeros that "
            "stand for values below a limit of detection"
        )
