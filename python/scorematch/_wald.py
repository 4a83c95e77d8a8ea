"""Wald tests of linear hypotheses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import chdtrc

from scorematch._validation import check_parameter

Doubles = NDArray[np.float64]


class WaldTest(NamedTuple):
    """The Wald test of a linear hypothesis Rθ = r."""

    statistic: float  # (Rθ − r)ᵀ (R C Rᵀ)⁻¹ (Rθ − r), with C the covariance
    df: int  # the rank of R
    p_value: float  # of a chi-squared distribution with that many degrees of freedom


def wald_test(
    R: ArrayLike | str | Sequence[str], r: ArrayLike, estimate: Doubles, covariance: Doubles, names: Sequence[str]
) -> WaldTest:
    """The test for any estimate with that covariance and those names; NaN where it has none."""
    matrix = _hypotheses(R, names)
    k = len(matrix)
    target = np.broadcast_to(check_parameter("r", r, () if np.ndim(r) == 0 else (k,)), (k,))
    used = (matrix != 0).any(axis=0)
    unknown = used & np.isnan(np.diagonal(covariance))
    if unknown.any():
        raise ValueError(
            f"R uses {names[int(np.argmax(unknown))]}, which has no standard error; summary() says why. Test others"
        )
    spread = matrix[:, used] @ covariance[np.ix_(used, used)] @ matrix[:, used].T
    scale = 1 / np.sqrt(np.diagonal(spread))
    values, vectors = np.linalg.eigh(spread * scale[:, None] * scale)
    if values[0] <= k * 1e-12 * values[-1]:
        raise ValueError(
            "the rows of R must be linearly independent, and so must be what they say of the estimate; "
            f"got {k} hypotheses of rank {int(np.count_nonzero(values > k * 1e-12 * values[-1]))}"
        )
    part = vectors.T @ (scale * (matrix @ estimate - target))
    statistic = float(np.sum(part**2 / values))
    return WaldTest(statistic, k, float(chdtrc(k, statistic)))


def _hypotheses(R: ArrayLike | str | Sequence[str], names: Sequence[str]) -> Doubles:
    """R as a matrix; names stand for the rows of the identity."""
    given = [R] if isinstance(R, str) else R
    if isinstance(given, list | tuple) and given and all(isinstance(name, str) for name in given):
        unknown = [name for name in given if name not in names]
        if unknown:
            raise ValueError(
                f"R names {unknown[0]!r}; parameters are {', '.join(names[:20])}{' …' * (len(names) > 20)}"
            )
        return np.eye(len(names))[[list(names).index(name) for name in given]]
    matrix = np.atleast_2d(check_parameter("R", R, (None,) if np.ndim(R) == 1 else (None, None)))
    if matrix.shape[1] != len(names):
        raise ValueError(f"R must have {len(names)} columns, one for each parameter; got shape {matrix.shape}")
    empty = ~matrix.any(axis=1)
    if empty.any():
        raise ValueError(f"row {int(np.argmax(empty))} of R is all zeros")
    return matrix
