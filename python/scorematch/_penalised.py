"""Quadratic forms with an l1 penalty: ½ θᵀΓθ − gᵀθ + Σ_k λ_k |θ_k|."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scorematch import _core
from scorematch._quadratic import QuadraticForm

Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class PenalisedMinimum:
    """Where the descent ended."""

    theta: Doubles
    n_iter: int
    converged: bool
    # The largest breach of the conditions of a minimum, as a part of the largest entry of g, both in units of √Γ_kk.
    violation: float


class UnboundedError(ValueError):
    """The penalised objective falls for ever, in the direction `direction`."""

    def __init__(self, direction: Doubles, message: str = "the penalised objective has no lower bound") -> None:
        super().__init__(message)
        self.direction = direction


def minimise_penalised(
    form: QuadraticForm, penalties: Doubles, *, tol: float, max_iter: int, start: Doubles | None = None
) -> PenalisedMinimum:
    """The minimum, from the minimum for other penalties or from 0.

    A penalty of infinity keeps a coefficient at 0, one of 0 leaves it free. Where Γ is singular the minimum may not be
    unique: one of them is found. Where there is none, UnboundedError.
    """
    start = np.zeros(len(form.g)) if start is None else start
    theta, outcome, n_iter, violation = _core.minimise_penalised(form.gamma, form.g, penalties, start, tol, max_iter)
    if outcome == "unbounded":
        raise UnboundedError(theta)
    return PenalisedMinimum(theta, n_iter, outcome == "converged", violation)
