"""Balls and the simplex."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from scorematch import _core
from scorematch._validation import check_flag
from scorematch.domains._domain import Doubles, Proposal, negative
from scorematch.domains._region import RegionDomain


def _unit_l1(n: int, d: int, random: np.random.RandomState) -> Doubles:
    """Uniform on x >= 0, sum x <= 1: all but the last of d + 1 exponentials, divided by their sum."""
    exponentials = random.standard_exponential((n, d + 1))
    return np.asarray(exponentials[:, :d] / exponentials.sum(axis=1, keepdims=True))


def _unit_l2(n: int, d: int, random: np.random.RandomState) -> Doubles:
    """Uniform on x >= 0, |x| <= 1: a uniform direction, and a length whose d-th power is uniform."""
    normal = np.abs(random.standard_normal((n, d)))
    length = random.uniform(size=(n, 1)) ** (1 / d)
    return np.asarray(normal * (length / np.linalg.norm(normal, axis=1, keepdims=True)))


def _unit_maximum(n: int, d: int, random: np.random.RandomState) -> Doubles:
    return random.uniform(size=(n, d))


_UNIT_BALLS: dict[float, Callable[[int, int, np.random.RandomState], Doubles]] = {
    1: _unit_l1,
    2: _unit_l2,
    np.inf: _unit_maximum,
}


@dataclass(frozen=True, repr=False)
class Ball(RegionDomain):
    """A ball about the origin: the points whose norm is at most the radius, in any number of dimensions.

    Parameters
    ----------
    radius : float
        The radius, positive.
    norm : {1, 2, inf}, default=2
        Which norm: sum of absolute values, Euclidean, or the largest absolute value.
    nonnegative : bool, default=False
        Whether only the part of the ball with all coordinates at least 0 belongs to it.

    Examples
    --------
    >>> from scorematch.domains import Ball
    >>> Ball(5).distance([[0.0, 3.0]])
    (array([2.]), array([[-0., -1.]]))
    >>> Ball(5, norm=1).coordinate_distance([[1.0, 3.0]])
    (array([[1., 1.]]), array([[-1., -1.]]))
    """

    radius: float
    norm: float = 2
    nonnegative: bool = False

    def __post_init__(self) -> None:
        radius = np.asarray(self.radius)
        if radius.dtype.kind not in "iuf" or radius.ndim or not 0 < radius < np.inf:
            raise ValueError(f"radius must be a positive, finite number; got {self.radius!r}")
        if isinstance(self.norm, str) or np.ndim(self.norm) or self.norm not in _UNIT_BALLS:
            raise ValueError(f"norm must be 1, 2 or inf; got {self.norm!r}")
        check_flag("nonnegative", self.nonnegative)
        norm = int(self.norm) if self.norm < np.inf else np.inf
        self._store(radius=float(radius), norm=norm, nonnegative=bool(self.nonnegative))

    def _make_region(self) -> _core.Region:
        if self.norm == np.inf:
            return _core.Region.intervals([[(-self.radius, self.radius)]], nonnegative=self.nonnegative)
        return _core.Region.ball(self.radius, int(self.norm), nonnegative=self.nonnegative)

    def _reason(self, point: Doubles) -> str:
        length = float(np.linalg.norm(point, self.norm))
        name = "largest absolute value" if self.norm == np.inf else f"l{self.norm} norm"
        return f"its {name} is {length:.6g}, which is above {self.radius:.6g} by {length - self.radius:.3g}"

    def _proposal(self, d: int, random: np.random.RandomState) -> Proposal:
        def propose(n: int) -> Doubles:
            points = self.radius * _UNIT_BALLS[self.norm](n, d, random)
            return points if self.nonnegative else points * random.choice([-1.0, 1.0], size=points.shape)

        return propose


@dataclass(frozen=True, repr=False)
class Simplex(RegionDomain):
    """Proportions: positive parts that sum to 1, of which the last is left out.

    Points are rows of all parts but the last, which are not negative and sum to at most 1; the last part is what is
    missing to 1. So compositions of d parts are matrices of d - 1 columns, and the boundary is where a part vanishes,
    the last one included.

    Examples
    --------
    >>> from scorematch.domains import Simplex
    >>> parts = [[0.2, 0.5, 0.3]]
    >>> phi, slope = Simplex().coordinate_distance([row[:-1] for row in parts])
    >>> phi.round(3), slope  # the first part can fall by 0.2, the second grow by 0.3
    (array([[0.2, 0.3]]), array([[ 1., -1.]]))
    """

    def _make_region(self) -> _core.Region:
        return _core.Region.ball(1.0, 1, nonnegative=True)

    def _reason(self, point: Doubles) -> str:
        if (point < 0).any():
            return negative(point)
        total = float(point.sum())
        reason = f"its sum is {total:.6g}, which is above 1 by {total - 1:.3g}"
        if total < 1 + 1e-6:
            reason += "; are these all the parts? The last one is to be left out: it is what is missing to 1"
        return reason

    def _proposal(self, d: int, random: np.random.RandomState) -> Proposal:
        return lambda n: _unit_l1(n, d, random)
