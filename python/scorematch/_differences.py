"""Derivatives by differences, for what has no formula of its own."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]

# The first step, in units of the parameter's own scale, for functions worked out in doubles. The five points below have
# a relative error of about step⁴/30 by their formula and eps/step by rounding: both of the order of 1e-12.
STEP = 2e-3
# The two inner points alone have one of about step²/6. Where that is larger than this, the scale was not that of the
# function, and the step is made smaller; the five points are then right to about its square, 1e-9.
LARGEST_ERROR = 3e-5
SMALLER, MOST_STEPS = 1 / 4, 6
# Where no step brings it below this, there is no derivative.
KINK = 1e-2

_POINTS = ((-2, 1 / 12), (-1, -2 / 3), (1, 2 / 3), (2, -1 / 12))


def jacobian(function: Callable[[Doubles], Doubles], point: Doubles, scales: Doubles) -> tuple[Doubles, Doubles]:
    """The Jacobian of a vector function by central differences, (m, p), and the errors of a difference of two points.

    `scales` are the sizes over which the function changes in each parameter; NaN leaves a column 0. The errors, (m, p),
    are far too large where the function is smooth, and of the size of the derivative at a kink.
    """
    size = len(function(point))
    slopes, errors = np.zeros((size, len(point))), np.zeros((size, len(point)))
    for k in np.flatnonzero(np.isfinite(scales)).tolist():
        step, least = STEP * scales[k], np.inf
        for _ in range(MOST_STEPS):
            slope, error = _slope(function, point, k, step)
            relative = error.max(initial=0.0) / max(np.abs(slope).max(initial=0.0), np.finfo(float).tiny)
            if relative < least:
                slopes[:, k], errors[:, k], least = slope, error, relative
            if relative <= LARGEST_ERROR:
                break
            step *= SMALLER
    return slopes, errors


def _slope(function: Callable[[Doubles], Doubles], point: Doubles, k: int, step: float) -> tuple[Doubles, Doubles]:
    values = {}
    for place, _ in _POINTS:
        moved = point.copy()
        moved[k] += place * step
        values[place] = function(moved)
    slope = np.asarray(sum(factor * values[place] for place, factor in _POINTS) / step)
    return slope, np.abs(slope - (values[1] - values[-1]) / (2 * step))
