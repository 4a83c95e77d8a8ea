"""Whether a quadratic form grows in every direction that a domain goes on for ever in."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]
# All subsets of the columns are looked at, up to so many of them.
MOST_COLUMNS = 12


def grows_without_end(matrix: Doubles, downwards: NDArray[np.bool_], upwards: NDArray[np.bool_]) -> bool | None:
    """Whether v'Mv > 0 for all v != 0 that are 0, or of one sign, where coordinates cannot go on, or only one way.

    None where that cannot be told.
    """
    free = downwards & upwards
    bound = downwards ^ upwards
    sign = np.where(downwards, -1.0, 1.0)[bound]
    rest = matrix[np.ix_(bound, bound)] * np.outer(sign, sign)
    if free.any():
        inner, across = matrix[np.ix_(free, free)], matrix[np.ix_(free, bound)] * sign
        if not _is_positive_definite(inner):
            return False
        # What is left when the free ones are where the form is least.
        rest = rest - across.T @ np.linalg.solve(inner, across)
    return is_copositive(rest)


def is_copositive(matrix: Doubles) -> bool | None:
    """Whether v'Mv > 0 for all v >= 0 but 0; None for large matrices of which no simple criterion tells it.

    The least value on the simplex is taken at a v whose entries on its support S solve M_SS v = λ·1, λ = v'Mv. So
    it is not positive if and only if M_SS z = −1 has a positive solution for some S (or, at the border, M_SS is
    singular; M is made a little smaller for that).
    """
    d = len(matrix)
    if d == 0 or _is_positive_definite(matrix):
        return True
    diagonal = np.diagonal(matrix)
    if not (diagonal > 0).all():
        return False
    scaled = matrix / np.sqrt(np.outer(diagonal, diagonal))
    if (scaled >= 0).all():
        return True
    for i, j in combinations(range(d), 2):
        if scaled[i, j] <= -1:
            return False
    if d > MOST_COLUMNS:
        return None
    shifted = scaled - 1e-9 * np.eye(d)
    for size in range(2, d + 1):
        subsets = np.array(list(combinations(range(d), size)))
        blocks = shifted[subsets[:, :, None], subsets[:, None, :]]
        solutions = np.linalg.solve(blocks, np.full((len(subsets), size, 1), -1.0))
        if (solutions > 0).all(axis=(1, 2)).any():
            return False
    return True


def _is_positive_definite(matrix: Doubles) -> bool:
    diagonal = np.diagonal(matrix)
    if not (diagonal > 0).all():
        return False
    scale = 1 / np.sqrt(diagonal)
    smallest = np.linalg.eigvalsh(matrix * scale[:, None] * scale)[0] if len(matrix) else 1.0
    return bool(smallest > len(matrix) * np.finfo(float).eps)
