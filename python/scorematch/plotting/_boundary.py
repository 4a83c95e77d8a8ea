"""Where the boundary of a domain runs through a picture."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]
Inside = Callable[[Doubles], NDArray[np.bool_]]

HALVINGS = 40


def crossing(inside: Inside, within: Doubles, beyond: Doubles) -> Doubles:
    """The last points of a domain on the ways from points inside to points outside, (n, d)."""
    within, beyond = within.copy(), beyond.copy()
    for _ in range(HALVINGS):
        middle = (within + beyond) / 2
        rows = inside(middle)
        within[rows], beyond[~rows] = middle[rows], middle[~rows]
    return within


def ends(inside: Inside, x: Doubles, mask: NDArray[np.bool_]) -> Doubles:
    """The points of a domain of one dimension that are next to its boundary, in the range of the grid `x`."""
    last = np.flatnonzero(mask[1:] != mask[:-1])
    within, beyond = np.where(mask[last], x[last], x[last + 1]), np.where(mask[last], x[last + 1], x[last])
    return crossing(inside, within[:, None], beyond[:, None])[:, 0]


def outline(
    inside: Inside, x: Doubles, y: Doubles, mask: NDArray[np.bool_]
) -> tuple[list[tuple[Doubles, Doubles]], list[Doubles]]:
    """A domain of two dimensions in the frame of a grid, and its boundary there.

    Marching squares on `mask`, which says which nodes are inside; each vertex is then moved along the edge of the grid
    that it lies on, to where the boundary crosses that edge. Corners of the domain are cut by less than a cell.

    Parameters
    ----------
    inside : callable
        Points of shape (n, 2) to whether they are inside.
    x, y : ndarray of shape (n_x,), (n_y,)
        The grid.
    mask : ndarray of bool, shape (n_y, n_x)
        ``inside`` at its nodes.

    Returns
    -------
    areas : list of (vertices, codes)
        What makes matplotlib Paths of the parts that are inside, holes among them.
    lines : list of ndarray of shape (n, 2)
        The boundary, without the edges of the frame.
    """
    from contourpy import FillType, LineType, contour_generator

    columns, rows = np.arange(len(x), dtype=float), np.arange(len(y), dtype=float)
    generator = contour_generator(
        columns, rows, mask.astype(float), fill_type=FillType.OuterCode, line_type=LineType.Separate
    )
    polygons, codes = generator.filled(0.5, np.inf)[:2]

    def placed(vertices: Doubles) -> Doubles:
        """Vertices in steps of the grid, on the boundary where they lie between nodes, in the grid's own units."""
        low, high = np.floor(vertices).astype(int), np.ceil(vertices).astype(int)
        low_points = np.column_stack([x[low[:, 0]], y[low[:, 1]]])
        high_points = np.column_stack([x[high[:, 0]], y[high[:, 1]]])
        between = (low != high).any(axis=1)
        starts = mask[low[:, 1], low[:, 0]][:, None]
        within, beyond = np.where(starts, low_points, high_points), np.where(starts, high_points, low_points)
        within[between] = crossing(inside, within[between], beyond[between])
        return within

    areas = [(placed(np.asarray(polygon)), np.asarray(code)) for polygon, code in zip(polygons, codes, strict=True)]
    return areas, [placed(np.asarray(line)) for line in generator.lines(0.5)]
