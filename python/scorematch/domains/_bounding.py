"""A box around what inequalities describe."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from scorematch.domains import _terms
from scorematch.domains._domain import Doubles
from scorematch.domains._rules import Terms
from scorematch.domains._terms import Function

if TYPE_CHECKING:
    from scorematch.domains._inequalities import Inequality

# Ends that move by less than this part of the box are left.
TOLERANCE = 1e-9
MOST_SWEEPS = 100


def bounding_box(inequalities: Sequence[Inequality], terms: Terms, nonnegative: bool) -> Doubles | None:
    """Lower and upper ends of a box that holds every point of the domain; None where that is found to be empty.

    Of each alternative, a set of inequalities that must all hold, those of the same functions bound the coordinates by
    linear programmes; and each inequality bounds each coordinate by what the others can at most leave to it, until
    nothing moves.
    """
    boxes = [_box_of([inequalities[k] for k in sorted(term)], nonnegative) for term in terms]
    found = [box for box in boxes if box is not None]
    if not found:
        return None
    return np.array([np.min([box[0] for box in found], axis=0), np.max([box[1] for box in found], axis=0)])


def is_empty(inequalities: Sequence[Inequality], terms: Terms, nonnegative: bool) -> bool:
    """Whether it can be told, without finding the box, that the domain has no inside."""
    return all(_has_no_inside([inequalities[k] for k in sorted(term)], nonnegative) for term in terms)


def _has_no_inside(inequalities: Sequence[Inequality], nonnegative: bool) -> bool:
    box = _propagate(inequalities, _widest_box(inequalities, nonnegative))
    return box is None or not all(
        _strictly_feasible(group, box) for group in _of_the_same_functions(inequalities) if len(group) > 1
    )


def _box_of(inequalities: Sequence[Inequality], nonnegative: bool) -> Doubles | None:
    box = _propagate(inequalities, _widest_box(inequalities, nonnegative))
    for group in _of_the_same_functions(inequalities):
        if box is not None and (len(group) > 1 or not np.isfinite(box).all()):
            box = _by_linear_programmes(group, box)
    return None if box is None else _propagate(inequalities, box)


def _widest_box(inequalities: Sequence[Inequality], nonnegative: bool) -> Doubles:
    """Where the functions are defined."""
    d = inequalities[0].n_features
    box = np.array([[0.0 if nonnegative else -np.inf] * d, [np.inf] * d])
    for inequality in inequalities:
        box[0, inequality._one_sided()] = 0.0
    return box


def _of_the_same_functions(inequalities: Sequence[Inequality]) -> list[list[Inequality]]:
    groups: dict[tuple[Function, ...], list[Inequality]] = {}
    for inequality in inequalities:
        groups.setdefault(inequality._each_function, []).append(inequality)
    return list(groups.values())


def _propagate(inequalities: Sequence[Inequality], box: Doubles) -> Doubles | None:
    box = box.copy()
    for _ in range(MOST_SWEEPS):
        before = box.copy()
        for inequality in inequalities:
            coefficients, bound = inequality._at_most
            functions = inequality._each_function
            least = np.array(
                [_terms.range_on(c, f, (lo, hi))[0] for c, f, lo, hi in zip(coefficients, functions, *box, strict=True)]
            )
            # On the boundary alone the domain has no volume. What is lost to rounding must not make it empty.
            if not least.sum() < bound:
                return None
            n_infinite = np.isneginf(least).sum()
            for j, (c, f) in enumerate(zip(coefficients, functions, strict=True)):
                if c == 0 or n_infinite - np.isneginf(least[j]) > 0:
                    continue
                others = np.delete(least, j)
                slack = 1e-12 * (np.abs(others).sum() + abs(bound))
                found = _terms.solve(c, f, bound - others.sum() + slack, (box[0, j], box[1, j]))
                if found is None or not found[0] < found[1]:
                    return None
                box[:, j] = found
                least[j] = _terms.range_on(c, f, found)[0]
        with np.errstate(invalid="ignore"):
            moved = np.abs(box - before) > TOLERANCE * (box[1] - box[0])
        if not (moved & (box != before) | (np.isfinite(box) != np.isfinite(before))).any():
            break
    return box


def _as_linear(group: Sequence[Inequality], box: Doubles) -> tuple[Doubles, Doubles, list[tuple[float | None, ...]]]:
    """Inequalities of the same functions as Az <= b in z_j = f_j(x_j), and the range of each z_j."""
    a = np.array([inequality._at_most[0] for inequality in group])
    b = np.array([inequality._at_most[1] for inequality in group])
    functions = group[0]._each_function
    ranges = [_terms.range_on(1.0, f, (lo, hi)) for f, lo, hi in zip(functions, *box, strict=True)]
    return a, b, [tuple(end if np.isfinite(end) else None for end in ends) for ends in ranges]


def _strictly_feasible(group: Sequence[Inequality], box: Doubles) -> bool:
    """Whether some z fulfils all of them with something to spare, which is made as large as 1."""
    from scipy.optimize import linprog

    a, b, bounds = _as_linear(group, box)
    spare = np.append(np.zeros(a.shape[1]), -1.0)
    result = linprog(spare, A_ub=np.column_stack([a, np.ones(len(a))]), b_ub=b, bounds=[*bounds, (0.0, 1.0)])
    return not (result.status == 2 or (result.status == 0 and not result.x[-1] > 0))


def _by_linear_programmes(group: Sequence[Inequality], box: Doubles) -> Doubles | None:
    """Bounds on each z_j = f_j(x_j), in which inequalities of the same functions are linear, and so on x_j."""
    from scipy.optimize import linprog

    a, b, bounds = _as_linear(group, box)
    box = box.copy()
    for j, f in enumerate(group[0]._each_function):
        for sign in (1.0, -1.0):
            result = linprog(-sign * np.eye(a.shape[1])[j], A_ub=a, b_ub=b, bounds=bounds)
            if result.status == 2:
                return None
            if result.status != 0:
                continue
            # What rounding took off must not make it empty, nor smaller than it is.
            most = sign * result.x[j] + 1e-9 * (1 + abs(result.x[j]))
            found = _terms.solve(sign, f, most, (box[0, j], box[1, j]))
            if found is None or not found[0] < found[1]:
                return None
            box[:, j] = found
    return box
