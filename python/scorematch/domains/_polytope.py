"""Polytopes, given as half-spaces."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from scorematch import _core
from scorematch._validation import check_flag, check_parameter
from scorematch.domains._domain import Doubles, Proposal, tuples
from scorematch.domains._region import RegionDomain


@dataclass(frozen=True, repr=False)
class Polytope(RegionDomain):
    """A convex polytope: the points x with Ax <= b. It need not be bounded.

    ``sample_uniform`` draws from the smallest box around it and keeps what lies inside. Where fewer than one draw in
    100 000 does, as in thin polytopes of many dimensions, it takes hit-and-run chains (Smith 1984) instead, one for
    each point: independent points, and uniform but for what a chain of finite length (see `hit_and_run_steps`)
    remembers of its start at the centre.

    Parameters
    ----------
    A : array_like of shape (n_sides, n_features)
        The outward normals of the sides, of any length.
    b : array_like of shape (n_sides,)
        The offsets.
    nonnegative : bool, default=False
        Whether all coordinates must be at least 0 besides.

    Raises
    ------
    ValueError
        Where the polytope is empty or has no interior.

    References
    ----------
    R. L. Smith (1984). Efficient Monte Carlo procedures for generating points uniformly distributed over bounded
    regions. Operations Research 32(6), 1296-1308.

    Examples
    --------
    >>> from scorematch.domains import Polytope
    >>> triangle = Polytope([[1, 1]], [1], nonnegative=True)
    >>> triangle
    Polytope(A=((1.0, 1.0),), b=(1.0,), nonnegative=True)
    >>> triangle.coordinate_distance([[0.25, 0.5]])
    (array([[0.25, 0.25]]), array([[ 1., -1.]]))
    """

    A: ArrayLike
    b: ArrayLike
    nonnegative: bool = False

    def __post_init__(self) -> None:
        a = check_parameter("A", self.A, (None, None))
        b = check_parameter("b", self.b, (len(a),))
        check_flag("nonnegative", self.nonnegative)
        if not a.any():
            raise ValueError(f"A must have an entry other than 0; got shape {a.shape}")
        self._store(A=tuples(a), b=tuples(b), nonnegative=bool(self.nonnegative))
        _, radius = self._largest_ball
        if not radius > 0:
            raise ValueError(f"{self!r} is empty, or has no interior: no ball fits into it")

    @property
    def n_features(self) -> int:
        """How many columns A has."""
        return len(self.A[0])  # type: ignore[index, arg-type]

    def _make_region(self) -> _core.Region:
        a, b = np.array(self.A), np.array(self.b)
        binding = a.any(axis=1)  # a row of zeros is no side
        return _core.Region.half_spaces(a[binding], b[binding], nonnegative=self.nonnegative)

    def _reason(self, point: Doubles) -> str:
        excess = np.array(self.A) @ point - np.array(self.b)
        side = int(np.argmax(excess))
        bound = np.array(self.b)[side]
        return (
            f"row {side} of A times x is {excess[side] + bound:.6g}, which is above {bound:.6g} by {excess[side]:.3g}"
        )

    def _linear_programme(self, objective: Doubles) -> Any:
        """Minimise objective'(x, r) over the balls of centre x and radius 0 <= r <= 1 in the polytope."""
        from scipy.optimize import linprog

        a, b = np.array(self.A), np.array(self.b)
        if self.nonnegative:
            a, b = np.vstack([a, -np.eye(self.n_features)]), np.concatenate([b, np.zeros(self.n_features)])
        balls = np.column_stack([a, np.linalg.norm(a, axis=1)])
        bounds = [(None, None)] * self.n_features + [(0, None)]
        return linprog(objective, A_ub=balls, b_ub=b, bounds=bounds)

    @cached_property
    def _largest_ball(self) -> tuple[Doubles, float]:
        """Centre and radius of a ball inside, the largest if there is one."""
        d = self.n_features
        result = self._linear_programme(np.append(np.zeros(d), -1.0))
        if result.status == 3:  # balls of any size fit
            result = self._linear_programme(np.append(np.zeros(d), 0.0))
            return result.x[:d], np.inf
        return (result.x[:d], float(result.x[d])) if result.status == 0 else (np.zeros(d), 0.0)

    @cached_property
    def _bounding_box(self) -> tuple[Doubles, Doubles]:
        ends = np.empty((2, self.n_features))
        for j in range(self.n_features):
            for end, sign in enumerate((1.0, -1.0)):
                objective = np.zeros(self.n_features + 1)
                objective[j] = sign
                result = self._linear_programme(objective)
                if result.status != 0:
                    raise self._infinite()
                ends[end, j] = result.x[j]
        return ends[0], ends[1]

    def _proposal(self, d: int, random: np.random.RandomState) -> Proposal:
        lower, upper = self._bounding_box
        return lambda n: random.uniform(lower, upper, size=(n, d))

    def _sample_where_rejection_fails(self, n: int, random: np.random.RandomState) -> Doubles:
        return hit_and_run(self, n, random)


def hit_and_run_steps(d: int) -> int:
    """How many steps a chain takes: mixing takes of the order of d² of them once the polytope is rounded."""
    return 100 + 10 * d * d


def hit_and_run(polytope: Polytope, n: int, random: np.random.RandomState) -> Doubles:
    """Points at the ends of hit-and-run chains, one each, that start at the centre of the largest ball inside."""
    a, b = np.array(polytope.A), np.array(polytope.b)
    d = polytope.n_features
    if polytope.nonnegative:
        a, b = np.vstack([a, -np.eye(d)]), np.concatenate([b, np.zeros(d)])
    centre, _ = polytope._largest_ball

    def run(points: Doubles, factor: Doubles, n_steps: int) -> Doubles:
        for _ in range(n_steps):
            directions = random.standard_normal(points.shape) @ factor.T
            slack, speed = b - points @ a.T, directions @ a.T
            with np.errstate(divide="ignore", invalid="ignore"):
                ways = np.maximum(slack, 0) / speed
            up = np.where(speed > 0, ways, np.inf).min(axis=1)
            down = np.where(speed < 0, ways, -np.inf).max(axis=1)
            points = points + directions * random.uniform(down, up)[:, None]
        return points

    # A pilot run finds the shape; directions drawn with that covariance make a thin polytope a round one.
    factor: Doubles = np.eye(d)
    for _ in range(4):
        pilot = run(np.tile(centre, (20 * d, 1)), factor, hit_and_run_steps(d) // 2)
        factor = np.asarray(np.linalg.cholesky(np.cov(pilot.T).reshape(d, d)))
    return run(np.tile(centre, (n, 1)), factor, hit_and_run_steps(d))
