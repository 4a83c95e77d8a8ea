"""Domains that are products of unions of intervals: the orthant, boxes, and unions of intervals themselves."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from scorematch import _core
from scorematch.domains._domain import Doubles, Proposal, tuples
from scorematch.domains._region import RegionDomain

Pairs = tuple[tuple[float, float], ...]


@dataclass(frozen=True, repr=False)
class _ProductOfIntervals(RegionDomain):
    @abstractmethod
    def _unions(self) -> tuple[Pairs, ...]:
        """A union of intervals for each coordinate, or one that holds for all."""

    @property
    def has_boundary(self) -> bool:  # type: ignore[override]
        """Whether any end is finite."""
        return bool(np.isfinite(np.concatenate(self._unions())).any())

    def _make_region(self) -> _core.Region:
        return _core.Region.intervals(self._unions())

    def _reason(self, point: Doubles) -> str:
        unions = self._unions()
        for column, value in enumerate(point):
            intervals = np.array(unions[column % len(unions)])
            if not ((value >= intervals[:, 0]) & (value <= intervals[:, 1])).any():
                return f"column {column} is {value:.6g}, {_where(value, intervals)}"
        raise ValueError(f"the point {point} lies in {self!r}")

    def _proposal(self, d: int, random: np.random.RandomState) -> Proposal:
        unions = [np.array(pairs) for pairs in self._unions()]
        if not all(np.isfinite(pairs).all() for pairs in unions):
            raise self._infinite()

        def propose(n: int) -> Doubles:
            points = random.uniform(size=(n, d))
            for column in range(d):
                pairs = unions[column % len(unions)]
                # The intervals laid end to end, and a place on that.
                ends = np.concatenate([[0.0], np.cumsum(pairs[:, 1] - pairs[:, 0])])
                place = points[:, column] * ends[-1]
                which = np.minimum(np.searchsorted(ends, place, side="right") - 1, len(pairs) - 1)
                points[:, column] = np.minimum(pairs[which, 0] + (place - ends[which]), pairs[which, 1])
            return points

        return propose


def _where(value: float, intervals: Doubles) -> str:
    """Where a number lies that is in none of the intervals."""
    below, above = intervals[intervals[:, 1] < value, 1], intervals[intervals[:, 0] > value, 0]
    if not len(above):
        return f"which is above {below[-1]:.6g} by {value - below[-1]:.3g}"
    if not len(below):
        end = above[0]
        return "which is negative" if end == 0 else f"which is below {end:.6g} by {end - value:.3g}"
    return f"which is between the intervals that end at {below[-1]:.6g} and begin at {above[0]:.6g}"


@dataclass(frozen=True, repr=False)
class NonNegative(_ProductOfIntervals):
    """The non-negative orthant: every coordinate is at least 0.

    Densities rarely vanish at its boundary, so a weight that does is needed (Hyvärinen 2007; Yu, Drton and Shojaie
    2019), such as :class:`scorematch.MinPower`.

    Examples
    --------
    >>> import numpy as np
    >>> import scorematch
    >>> rng = np.random.default_rng(0)
    >>> X = np.abs(rng.normal(size=(20000, 1)))
    >>> model = scorematch.Gaussian(domain=scorematch.NonNegative(), weight=scorematch.MinPower()).fit(X)
    >>> bool(abs(model.precision_[0, 0] - 1) < 0.1)
    True
    """

    def _unions(self) -> tuple[Pairs, ...]:
        return (((0.0, np.inf),),)


@dataclass(frozen=True, repr=False)
class Box(_ProductOfIntervals):
    """A box: lower <= x <= upper in every coordinate, where ends may be infinite.

    Parameters
    ----------
    lower : float or sequence of float
        The lower ends: one for each coordinate, or one that holds for all. ``-inf`` where there is none.
    upper : float or sequence of float
        The upper ends, above the lower ones. ``inf`` where there is none.

    Examples
    --------
    >>> import numpy as np
    >>> from scorematch.domains import Box
    >>> Box(0, [1, np.inf])
    Box(lower=0.0, upper=(1.0, inf))
    >>> Box(0, [1, np.inf]).coordinate_distance([[0.9, 7.0]])
    (array([[0.1, 7. ]]), array([[-1.,  1.]]))
    """

    lower: float | Sequence[float]
    upper: float | Sequence[float]

    def __post_init__(self) -> None:
        lower, upper = _ends("lower", self.lower), _ends("upper", self.upper)
        if lower.ndim and upper.ndim and lower.shape != upper.shape:
            raise ValueError(f"lower and upper must be of equal length; got {len(lower)} and {len(upper)}")
        wrong = np.atleast_1d(lower >= upper)
        if wrong.any():
            column = int(np.argmax(wrong))
            ends = [np.broadcast_to(end, wrong.shape)[column] for end in (lower, upper)]
            where = f" in column {column}" if lower.ndim or upper.ndim else ""
            raise ValueError(f"lower must be below upper{where}, or the box is empty; got {ends[0]:g} and {ends[1]:g}")
        self._store(lower=_frozen(lower), upper=_frozen(upper))

    @property
    def n_features(self) -> int | None:
        """How many ends it has; None where one lower and one upper end hold for every coordinate."""
        return next((len(ends) for ends in (self.lower, self.upper) if isinstance(ends, Sequence)), None)

    def _unions(self) -> tuple[Pairs, ...]:
        lower, upper = np.broadcast_arrays(np.atleast_1d(self.lower), np.atleast_1d(self.upper))
        return tuple((pair,) for pair in zip(lower.tolist(), upper.tolist(), strict=True))


@dataclass(frozen=True, repr=False)
class Intervals(_ProductOfIntervals):
    """A union of intervals for each coordinate.

    Parameters
    ----------
    intervals : sequence of (float, float), or a sequence of such sequences
        The intervals (lower, upper), which hold for every coordinate; or one such list for each coordinate. They may
        come in any order and must not meet. Ends may be infinite.

    Examples
    --------
    >>> from scorematch.domains import Intervals
    >>> two = Intervals([(-3, -1), (1, 3)])
    >>> two.contains([[1.5], [0.0]])
    array([ True, False])
    >>> two.coordinate_distance([[1.4]])
    (array([[0.4]]), array([[1.]]))
    """

    intervals: Sequence[Any]

    def __post_init__(self) -> None:
        given = self.intervals
        if not isinstance(given, Sequence | np.ndarray) or isinstance(given, str) or not len(given):
            raise ValueError(f"intervals must be a list of pairs, or a list of such lists; got {given!r}")
        if _is_pair(given[0]):
            self._store(intervals=_union("intervals", given))
        else:
            unions = (_union(f"intervals of column {column}", union) for column, union in enumerate(given))
            self._store(intervals=tuple(unions))

    @property
    def n_features(self) -> int | None:
        """How many lists of intervals it has; None where one holds for every coordinate."""
        return None if _is_pair(self.intervals[0]) else len(self.intervals)

    def _unions(self) -> tuple[Pairs, ...]:
        return (tuple(self.intervals),) if self.n_features is None else tuple(self.intervals)


def _is_pair(value: Any) -> bool:
    return np.ndim(value) == 1 and len(value) == 2 if not _is_nested(value) else False


def _is_nested(value: Any) -> bool:
    return isinstance(value, Sequence | np.ndarray) and any(np.ndim(entry) for entry in value)


def _union(name: str, given: Any) -> Pairs:
    """Intervals in order; an error where they are reversed, or meet."""
    try:
        pairs = np.array(given, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be a list of pairs (lower, upper); got {given!r}") from error
    if pairs.ndim != 2 or pairs.shape[1] != 2 or not len(pairs):
        raise ValueError(f"{name} must be a list of pairs (lower, upper); got {given!r}")
    for lower, upper in pairs:
        if not lower < upper:
            raise ValueError(
                f"{name} must have lower < upper, or there is nothing in between; got ({lower:g}, {upper:g})"
            )
    pairs = pairs[np.argsort(pairs[:, 0])]
    for first, second in pairwise(pairs):
        if first[1] >= second[0]:
            raise ValueError(
                f"{name} must not meet; got ({first[0]:g}, {first[1]:g}) and ({second[0]:g}, {second[1]:g}): join them"
            )
    return tuples(pairs)


def _ends(name: str, value: object) -> Doubles:
    array = np.asarray(value)
    if array.dtype.kind not in "iuf" or array.ndim > 1 or array.size == 0:
        raise ValueError(f"{name} must be a number or a sequence of numbers; got {value!r}")
    if np.isnan(array).any():
        raise ValueError(f"{name} must not be NaN; got {value!r}")
    return array.astype(np.float64)


def _frozen(ends: Doubles) -> float | tuple[float, ...]:
    return tuples(ends) if ends.ndim else float(ends)
