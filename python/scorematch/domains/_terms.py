"""Functions of one coordinate in inequalities, on intervals: what bounds and boxes are derived from."""

import math
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

Function = int | float | str
Range = tuple[float, float]
NAMED = ("log", "exp", "abs")


def as_function(value: Any) -> Function:
    """A function of an inequality: a power other than 0, or a name."""
    if isinstance(value, str):
        if value in NAMED:
            return value
    elif isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value) and value != 0:
        power = float(value)
        return int(power) if power.is_integer() else power
    raise ValueError(f"functions must be powers other than 0, 'log', 'exp' or 'abs'; got {value!r}")


def is_one_sided(function: Function) -> bool:
    """Whether it is defined on positive numbers alone, or on those and 0."""
    return function == "log" or (not isinstance(function, str) and (function < 0 or isinstance(function, float)))


def is_even(function: Function) -> bool:
    return function == "abs" or (isinstance(function, int) and function > 0 and function % 2 == 0)


def apply(function: Function, x: NDArray[np.float64]) -> NDArray[np.float64]:
    """f(x); NaN where it is not defined."""
    with np.errstate(all="ignore"):
        if isinstance(function, str):
            values = {"log": np.log, "exp": np.exp, "abs": np.abs}[function](x)
        else:
            values = np.power(x, float(function))
    if is_one_sided(function):
        undefined = x <= 0 if function == "log" or float(function) < 0 else x < 0
        values = np.where(undefined, np.nan, values)
    return np.asarray(values)


def derivative(function: Function, x: NDArray[np.float64]) -> NDArray[np.float64]:
    """f'(x)."""
    with np.errstate(all="ignore"):
        if function == "log":
            return np.asarray(1 / x)
        if isinstance(function, str):
            return np.asarray({"exp": np.exp, "abs": np.sign}[function](x))
        power = float(function)
        return np.asarray(power * np.power(x, power - 1))


def range_on(coefficient: float, function: Function, interval: Range) -> Range:
    """The least and the largest value of c f(t) for t in an interval where f is defined, ends included as limits."""
    if coefficient == 0:
        return 0.0, 0.0
    lower, upper = interval
    ends = [_limit(function, lower), _limit(function, upper)]
    if is_even(function) and lower < 0 < upper:
        ends.append(0.0)
    values = [coefficient * end for end in ends]
    return min(values), max(values)


def solve(coefficient: float, function: Function, most: float, interval: Range) -> Range | None:
    """The smallest interval that holds all t in `interval` with c f(t) <= most; None where there is none."""
    lower, upper = interval
    if coefficient == 0:
        return interval if most >= 0 else None
    v = most / coefficient
    if is_even(function):
        if coefficient > 0:
            if v < 0:
                return None
            root = _inverse(function, v)
            found = (max(lower, -root), min(upper, root))
        else:
            root = _inverse(function, max(v, 0.0))
            left, right = (lower, min(upper, -root)), (max(lower, root), upper)
            parts = [part for part in (left, right) if part[0] <= part[1]]
            if not parts:
                return None
            found = (parts[0][0], parts[-1][1])
    else:
        rises = isinstance(function, str) or function > 0
        least, greatest = sorted((_limit(function, -math.inf), _limit(function, math.inf)))
        below = coefficient > 0  # f(t) <= v, or else f(t) >= v
        if v < least if below else v > greatest:
            return None
        if v >= greatest if below else v <= least:
            return interval
        end = _inverse(function, v)
        found = (lower, min(upper, end)) if below == rises else (max(lower, end), upper)
    return found if found[0] <= found[1] else None


def _limit(function: Function, t: float) -> float:
    """The value of f at t, or its limit there; one-sided functions start at 0."""
    if is_one_sided(function):
        t = max(t, 0.0)
    if function == "log":
        return -math.inf if t == 0 else math.log(t)
    if function == "exp":
        return math.inf if t > 700 else math.exp(t)
    if function == "abs":
        return abs(t)
    power = float(function)
    if t == 0 and power < 0:
        return math.inf
    try:
        return math.copysign(abs(t) ** power, t if isinstance(function, int) and function % 2 else 1.0)
    except OverflowError:
        return math.copysign(math.inf, t)


def _inverse(function: Function, v: float) -> float:
    """The t with f(t) = v, the one that is not negative of two."""
    if function == "log":
        return math.inf if v > 700 else math.exp(v)
    if function == "exp":
        return -math.inf if v <= 0 else math.log(v)
    if function == "abs":
        return v
    power = float(function)
    if v == 0:
        return math.inf if power < 0 else 0.0
    try:
        return math.copysign(abs(v) ** (1 / power), v)
    except OverflowError:
        return math.copysign(math.inf, v)
