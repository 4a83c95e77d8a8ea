"""The distance to the complement of inequalities with or in their rule.

The complement is a union of sets in which some of the inequalities are all broken. The point nearest in such a set is
at least as far as the farthest of those nearest to break one of them; where that one breaks all the others too, it is
the solution. Elsewhere several boundaries meet at it.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from scorematch.domains._domain import Doubles

if TYPE_CHECKING:
    from scorematch.domains._inequalities import Inequalities, Inequality

# How far inside an inequality a point may be and count as on its boundary, relative to the sizes of its terms.
TOLERANCE = 1e-9
# The grid on which points are looked for that break several inequalities at once, and how many of them are starts.
N_DIRECTIONS, N_LENGTHS, N_SCANNED_STARTS = 200, 30, 4


def distance_to_joint_complement(domain: Inequalities, X: Doubles) -> tuple[Doubles, Doubles]:
    """The distance to the complement and its gradient, for any rule."""
    n, d = X.shape
    # The way along a coordinate is a bound.
    phi, slope = domain.coordinate_distance(X)
    rows, axis = np.arange(n), phi.argmin(axis=1)
    best = phi[rows, axis]
    gradient = np.zeros((n, d))
    gradient[rows, axis] = slope[rows, axis]
    alone = [inequality.distance(X) for inequality in domain.inequalities]
    terms = [sorted(term) for term in domain._rule().negated().terms()]
    unsolved = []
    for numbers in terms:
        ways = np.array([alone[k][0] for k in numbers])
        lead, way = ways.argmax(axis=0), ways.max(axis=0)
        for row in np.flatnonzero(way < best):
            normal = alone[numbers[lead[row]]][1][row]
            others = [domain.inequalities[k] for k in numbers if k != numbers[lead[row]]]
            if all(_is_broken(one, X[row] - way[row] * normal) for one in others):
                best[row], gradient[row] = way[row], normal
            else:
                unsolved.append((row, numbers, way[row]))
    for row, numbers, way in unsolved:
        if way >= best[row]:
            continue
        members = [domain.inequalities[k] for k in numbers]
        starts = [X[row] - alone[k][0][row] * alone[k][1][row] for k in numbers]
        starts += _scanned(members, X[row], best[row] if best[row] < np.inf else 4 * way)
        for point in _joint_points(members, X[row], starts):
            length = float(np.linalg.norm(X[row] - point))
            if 0 < length < best[row]:
                best[row], gradient[row] = length, (X[row] - point) / length
    if domain.nonnegative:
        column = X.argmin(axis=1)
        nearer = X[rows, column] < best
        best = np.where(nearer, X[rows, column], best)
        gradient = np.where(nearer[:, None], np.eye(d)[column], gradient)
    return best, gradient


def _scanned(members: list[Inequality], x: Doubles, reach: float) -> list[Doubles]:
    """Points that break all the inequalities, the nearest ones on a grid of directions and distances up to `reach`."""
    directions = np.random.default_rng(0).standard_normal((N_DIRECTIONS, len(x)))
    directions = np.vstack([np.eye(len(x)), -np.eye(len(x)), directions])
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    lengths = reach * np.linspace(0, 1, N_LENGTHS + 1)[1:]
    points = x + lengths[:, None, None] * directions
    broken = np.ones(points.shape[:2], dtype=bool)
    for one in members:
        broken &= ~one.contains(points.reshape(-1, len(x))).reshape(broken.shape)
    first = np.where(broken.any(axis=0), broken.argmax(axis=0), N_LENGTHS)
    nearest = np.argsort(first, kind="stable")[:N_SCANNED_STARTS]
    return [points[first[k], k] for k in nearest if first[k] < N_LENGTHS]


def _is_broken(inequality: Inequality, point: Doubles) -> bool:
    """Whether a point does not fulfil it, or is on its boundary."""
    if (point[inequality._one_sided()] <= 0).any():
        return True  # at 0, and then beyond
    excess = inequality._excess(point)
    return not excess < -TOLERANCE * (1 + abs(inequality.bound))


def _joint_points(members: list[Inequality], x: Doubles, starts: list[Doubles]) -> Iterator[Doubles]:
    """Points near x that break all the inequalities, by sequential quadratic programming from several starts."""
    from scipy.optimize import minimize

    scale = max(float(np.linalg.norm(start - x)) for start in starts)
    # An inequality is also broken where a coordinate that it keeps above 0 is not.
    for choice in product(*([None, *one._one_sided()] for one in members)):
        zeros = sorted({column for column in choice if column is not None})
        binding = [one for one in members if not set(one._one_sided()) & set(zeros)]
        if any(column is None and one not in binding for column, one in zip(choice, members, strict=True)):
            continue  # the same as another choice
        kept = {column for one in binding for column in one._one_sided()}
        bounds = [
            (None, 0.0) if j in zeros else (1e-12 * scale, None) if j in kept else (None, None) for j in range(len(x))
        ]
        constraints = [{"type": "ineq", "fun": one._excess, "jac": one._excess_slope} for one in binding]
        for start in (*starts, np.mean(starts, axis=0)):
            low = np.array([-np.inf if lower is None else lower for lower, _ in bounds])
            high = np.array([np.inf if upper is None else upper for _, upper in bounds])
            result = minimize(
                lambda y: float((y - x) @ (y - x)) / (2 * scale**2),
                np.clip(start, low, high),
                jac=lambda y: (y - x) / scale**2,
                bounds=bounds,
                constraints=constraints,
                method="SLSQP",
                options={"ftol": 1e-15, "maxiter": 200},
            )
            if np.isfinite(result.x).all() and all(_is_broken(one, result.x) for one in members):
                yield result.x
