"""Weights of the user's own: a pair of functions."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from scorematch.weights._base import Doubles, Weight
from scorematch.weights._boundary_distance import BoundaryDistance

Function = Callable[[Doubles], Any]

# Where a derivative is compared with differences of its function, and by which step, relative.
_POINTS = np.array([0.0013, 0.0171, 0.0937, 0.371, 0.847, 1.931, 4.73, 13.9, 47.1, 311.0])
_STEP = 1e-5


@dataclass(frozen=True, repr=False)
class UserWeight(Weight):
    """A weight from two functions: h and its derivative.

    :func:`as_weight` makes one of a pair and checks it; estimators do so with what they are given as `weight`. It can
    be pickled where its functions can, and not be written to a model file.

    Parameters
    ----------
    h : callable
        The weight: an array of distances to the boundary, all at least 0 and finite, to an array of the same shape. It
        is 0 at 0, and not negative.
    derivative : callable
        The derivative of `h`.

    Examples
    --------
    >>> from scorematch.weights import UserWeight
    >>> saturating = UserWeight(lambda x: x / (1 + x), lambda x: 1 / (1 + x) ** 2)
    >>> saturating([0.0, 1.0])
    (array([0. , 0.5]), array([1.  , 0.25]))
    >>> saturating.bounded
    True
    """

    h: Function
    derivative: Function

    def __post_init__(self) -> None:
        for name in ("h", "derivative"):
            if not callable(getattr(self, name)):
                raise TypeError(f"{name} must be a function; got {getattr(self, name)!r}")

    def __call__(self, x: ArrayLike) -> tuple[Doubles, Doubles]:
        values = np.asarray(x, dtype=np.float64)
        far = np.isinf(values)
        if not far.any():
            return self._values(values)
        h, slope = self._values(np.where(far, 1.0, values))
        limits = self._limits(values.shape[-1] if values.ndim else 1)
        return np.where(far, limits if values.ndim else limits[0], h), np.where(far, 0.0, slope)

    # Both with one column, which functions of the column spread to all.

    @property
    def bounded(self) -> bool:
        return bool(np.isfinite(self._limits(1)).all())

    @property
    def smooth_at_zero(self) -> bool:
        with np.errstate(divide="ignore"):
            return bool(np.isfinite(self.derivative(np.zeros((1, 1)))).all())

    def _values(self, x: Doubles) -> tuple[Doubles, Doubles]:
        """Both functions, checked: what they gave wrongly would otherwise come out as a wrong estimate."""
        h, slope = self._evaluated("h", x), self._evaluated("derivative", x)
        bad = ~(np.isfinite(h) & (h >= 0))
        if bad.any():
            at = x[bad].flat[0]
            raise ValueError(
                f"a weight must be finite and not negative; the function h gave {h[bad].flat[0]:g} at {at:g}"
            )
        wrong = np.isnan(slope) | (np.isinf(slope) & (x > 0))
        if wrong.any():
            at = x[wrong].flat[0]
            raise ValueError(f"the derivative of a weight must be finite; it gave {slope[wrong].flat[0]:g} at {at:g}")
        return h, slope

    def _evaluated(self, name: str, x: Doubles) -> Doubles:
        with np.errstate(divide="ignore"):  # a derivative that is infinite at 0
            given = getattr(self, name)(x)
        try:
            values = np.asarray(given, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise TypeError(f"the function {name} of a weight must give an array of numbers; got {given!r}") from error
        if values.shape != x.shape:
            raise ValueError(
                f"the function {name} of a weight must give an array of the shape of its argument, {x.shape}; got "
                f"{values.shape}"
            )
        return values

    def _limits(self, n_columns: int) -> Doubles:
        """What h tends to: its value at infinity or, if it has none there, at very large numbers where these agree."""
        with np.errstate(all="ignore"):
            values = (self.h(np.full((1, n_columns), x)) for x in (np.inf, 1e150, 1e300))
            at_infinity, large, larger = (np.asarray(row, dtype=np.float64).ravel() for row in values)
        limits = np.where(np.isclose(large, larger, rtol=1e-6), larger, np.inf)
        return np.where(np.isnan(at_infinity), limits, at_infinity)


def as_weight(given: Any, *, n_features: int = 1) -> Weight | BoundaryDistance:
    """Take what is given for a weight, and make a :class:`UserWeight` of a pair of functions.

    Parameters
    ----------
    given : Weight, BoundaryDistance or pair of callables
        A weight, which is returned as it is; or (h, derivative), which are checked: h must be finite, not negative and
        0 at 0, and the derivative agree with differences of h at some points.
    n_features : int, default=1
        How many columns the array has with which functions are checked; for those that depend on the column.

    Returns
    -------
    Weight or BoundaryDistance
        A weight.

    Examples
    --------
    >>> import numpy as np
    >>> from scorematch.weights import as_weight
    >>> weight = as_weight((np.expm1, np.exp))
    >>> weight([0.0])
    (array([0.]), array([1.]))
    """
    if isinstance(given, Weight | BoundaryDistance):
        return given
    if not (isinstance(given, tuple | list) and len(given) == 2 and all(map(callable, given))):
        hint = f"; did you mean {given.__name__}()?" if isinstance(given, type) else ""
        raise TypeError(
            "weight must be one of scorematch.weights, such as MinPower(), or a pair of functions (h, derivative); got "
            f"{given!r}{hint}"
        )
    weight = UserWeight(*given)
    _check(weight, n_features)
    return weight


def _check(weight: UserWeight, n_features: int) -> None:
    """What a pair of functions must fulfil; the commonest mistake is a derivative that is not that of h."""
    at_zero = weight(np.zeros((1, n_features)))[0]
    points = np.tile(_POINTS[:, None], n_features)
    step = _STEP * points
    h, slope = weight(points)
    if not (at_zero <= 1e-6 * h[0]).all():
        raise ValueError(f"a weight must be 0 at the boundary; the function h gave {at_zero.max():g} at 0")
    if not h.any():
        raise ValueError("a weight must not be 0 everywhere; the function h gave 0 at all points where it was checked")
    above, below = weight(points + step)[0], weight(points - step)[0]
    # On both sides too, for a kink may lie between.
    differences = np.stack([(above - below) / (2 * step), (above - h) / step, (h - below) / step])
    error = np.abs(differences - slope).min(axis=0)
    # The second term: what rounding and curvature leave of a difference, with some room.
    wrong = error > 1e-3 * np.abs(slope) + 1e-4 * h / points
    if wrong.any():
        i, j = np.argwhere(wrong)[0]
        raise ValueError(
            f"the derivative of a weight does not agree with its function: at {points[i, j]:g} it gave "
            f"{slope[i, j]:g}, but differences of h give {differences[0, i, j]:g}"
        )
