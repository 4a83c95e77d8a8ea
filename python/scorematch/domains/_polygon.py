"""Polygons in the plane."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scorematch import _core
from scorematch._validation import check_flag, check_parameter
from scorematch.domains._domain import Doubles, Proposal, tuples
from scorematch.domains._region import RegionDomain

# Pairs of edges that are compared at once.
PAIRS_AT_ONCE = 1 << 20


@dataclass(frozen=True, repr=False)
class Polygon(RegionDomain):
    """The inside of a polygon in the plane, convex or not.

    Parameters
    ----------
    vertices : array_like of shape (n_vertices, 2)
        Its corners in order, in either direction. The first may be repeated at the end.
    nonnegative : bool, default=False
        Whether only the part of the polygon with both coordinates at least 0 belongs to it.

    Raises
    ------
    ValueError
        Where there are fewer than 3 different vertices, the area is zero, or edges cross or touch.

    Examples
    --------
    >>> from scorematch.domains import Polygon
    >>> arrow = Polygon([(0, 0), (2, 1), (0, 2), (1, 1)])
    >>> arrow.contains([[1.5, 1.0], [0.5, 1.0]])
    array([ True, False])
    >>> arrow.distance([[1.1, 1.0]])[0].round(3)  # the corner at (1, 1) points inwards
    array([0.1])
    """

    vertices: ArrayLike
    nonnegative: bool = False

    def __post_init__(self) -> None:
        vertices = check_parameter("vertices", self.vertices, (None, 2))
        check_flag("nonnegative", self.nonnegative)
        if len(vertices) > 1 and (vertices[0] == vertices[-1]).all():
            vertices = vertices[:-1]
        n_different = len(np.unique(vertices, axis=0))
        if n_different < 3:
            raise ValueError(f"vertices must be at least 3 different points; got {n_different}")
        repeated = (vertices == np.roll(vertices, -1, axis=0)).all(axis=1)
        if repeated.any():
            vertex = int(np.argmax(repeated))
            raise ValueError(f"vertices must differ from one to the next; vertex {vertex} and the next are the same")
        _check_area(vertices)
        _check_simple(vertices)
        if self.nonnegative and not area(_in_orthant(vertices)):
            raise ValueError("vertices: no part of the polygon has coordinates that are not negative: it is empty")
        self._store(vertices=tuples(vertices), nonnegative=bool(self.nonnegative))

    @property
    def n_features(self) -> int:
        """A polygon lies in the plane: 2."""
        return 2

    def _make_region(self) -> _core.Region:
        vertices = np.array(self.vertices)
        counter_clockwise = vertices if area(vertices) > 0 else vertices[::-1]
        return _core.Region.polygon(counter_clockwise, nonnegative=self.nonnegative)

    def _reason(self, point: Doubles) -> str:
        # Of a point outside, too, the core tells the distance to the nearest edge.
        away = float(self._region.distance(point[None, :])[0][0])
        return f"({point[0]:.6g}, {point[1]:.6g}) is outside the polygon by {away:.3g}"

    def _proposal(self, d: int, random: np.random.RandomState) -> Proposal:
        trapezoids = _trapezoids(np.array(self.vertices))
        bottom, top, left_bottom, right_bottom, left_top, right_top = trapezoids
        width_bottom, width_top = right_bottom - left_bottom, right_top - left_top
        areas = np.cumsum((top - bottom) * (width_bottom + width_top))

        def propose(n: int) -> Doubles:
            k = np.minimum(np.searchsorted(areas, random.uniform(0, areas[-1], n), side="right"), len(areas) - 1)
            u, v = random.uniform(size=(2, n))
            below, above = width_bottom[k], width_top[k]
            # The width grows linearly from below to above, so that the height's distribution function is quadratic.
            height = u * (below + above) / (below + np.sqrt(below**2 + u * (above**2 - below**2)))
            left = left_bottom[k] + height * (left_top[k] - left_bottom[k])
            width = below + height * (above - below)
            return np.column_stack([left + v * width, bottom[k] + height * (top[k] - bottom[k])])

        return propose


def area(vertices: Doubles) -> float:
    """The signed area of a polygon, positive where it is counter-clockwise."""
    if not len(vertices):
        return 0.0
    x, y = (vertices - vertices[0]).T
    return float(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2


def _check_area(vertices: Doubles) -> None:
    extent = float(np.prod(np.ptp(vertices, axis=0)))
    if abs(area(vertices)) <= 8 * len(vertices) * np.finfo(float).eps * extent:
        raise ValueError(f"vertices must enclose an area; got one of {abs(area(vertices)):.3g}")


def _check_simple(vertices: Doubles) -> None:
    """Raise an error that names two edges that cross or touch."""
    n = len(vertices)
    ends = np.roll(vertices, -1, axis=0)
    lower, upper = np.minimum(vertices, ends), np.maximum(vertices, ends)
    # In the order of their left ends, an edge can only meet those that begin before its right end.
    order = np.argsort(lower[:, 0], kind="stable")
    counts = np.searchsorted(lower[order, 0], upper[order, 0], side="right") - np.arange(n) - 1
    stops = np.cumsum(counts)
    first = 0
    while first < n:
        last = max(first + 1, int(np.searchsorted(stops, (stops[first - 1] if first else 0) + PAIRS_AT_ONCE)))
        rows = np.arange(first, min(last, n))
        i = np.repeat(rows, counts[rows])
        j = i + 1 + np.arange(len(i)) - np.repeat(np.cumsum(counts[rows]) - counts[rows], counts[rows])
        _check_pairs(vertices, ends, lower, upper, order[i], order[j])
        first = last


def _check_pairs(
    p: Doubles, q: Doubles, lower: Doubles, upper: Doubles, i: NDArray[np.intp], j: NDArray[np.intp]
) -> None:
    close = (lower[i, 1] <= upper[j, 1]) & (lower[j, 1] <= upper[i, 1])
    i, j = i[close], j[close]

    def side(a: Doubles, b: Doubles, c: Doubles) -> Doubles:
        return np.asarray(
            np.sign((b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (c[:, 0] - a[:, 0]) * (b[:, 1] - a[:, 1]))
        )

    met = (side(p[i], q[i], p[j]) * side(p[i], q[i], q[j]) <= 0) & (
        side(p[j], q[j], p[i]) * side(p[j], q[j], q[i]) <= 0
    )
    # Neighbours share a vertex; they are wrong only where one runs back along the other.
    n = len(p)
    next_to = ((i + 1) % n == j) | ((j + 1) % n == i)
    before, after = np.where((i + 1) % n == j, i, j), np.where((i + 1) % n == j, j, i)
    along, onward = q[before] - p[before], q[after] - p[after]
    backwards = (side(p[before], q[before], q[after]) == 0) & ((along * onward).sum(axis=1) < 0)
    wrong = np.where(next_to, backwards, met)
    if wrong.any():
        first, second = sorted((int(i[np.argmax(wrong)]), int(j[np.argmax(wrong)])))
        raise ValueError(
            f"vertices must describe a polygon whose edges meet at their common ends alone; the edges from vertex "
            f"{first} and from vertex {second} cross or touch"
        )


def _in_orthant(vertices: Doubles) -> Doubles:
    """The polygon cut at 0, with edges there and back on the axes where it falls into parts (Sutherland-Hodgman)."""
    for axis in (0, 1):
        kept = []
        for p, q in zip(vertices, np.roll(vertices, -1, axis=0), strict=True):
            if p[axis] >= 0:
                kept.append(p)
            if (p[axis] >= 0) != (q[axis] >= 0):
                crossing = p + (q - p) * (p[axis] / (p[axis] - q[axis]))
                crossing[axis] = 0.0
                kept.append(crossing)
        vertices = np.array(kept).reshape(-1, 2)
    return vertices


def _trapezoids(vertices: Doubles) -> tuple[Doubles, ...]:
    """The polygon in trapezoids between the heights of its vertices: bottom, top, and where their sides meet these."""
    p, q = vertices, np.roll(vertices, -1, axis=0)
    slanted = p[:, 1] != q[:, 1]
    p, q = p[slanted], q[slanted]
    low, high = np.where(p[:, 1:] < q[:, 1:], p, q), np.where(p[:, 1:] < q[:, 1:], q, p)
    heights = np.unique(vertices[:, 1])
    first, last = np.searchsorted(heights, low[:, 1]), np.searchsorted(heights, high[:, 1])
    # Each edge, once for each layer that it crosses.
    spans = last - first
    edge = np.repeat(np.arange(len(p)), spans)
    layer = np.repeat(first - np.cumsum(spans) + spans, spans) + np.arange(len(edge))

    def crossing(height: Doubles) -> Doubles:
        share = (height - low[edge, 1]) / (high[edge, 1] - low[edge, 1])
        return np.asarray((1 - share) * low[edge, 0] + share * high[edge, 0])

    bottom, top = crossing(heights[layer]), crossing(heights[layer + 1])
    # From left to right in each layer, the inside is between the first and the second, the third and the fourth, ...
    order = np.lexsort((bottom + top, layer))
    layer, bottom, top = layer[order][::2], bottom[order], top[order]
    return heights[layer], heights[layer + 1], bottom[::2], bottom[1::2], top[::2], top[1::2]
