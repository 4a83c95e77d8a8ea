"""Quadratic forms of which a closed form is not known, but the gradient: J(θ) = ½ θᵀΓθ − gᵀθ + constant.

An objective that is quadratic in the scores of the density is so in the parameters of an exponential family, whatever
random vectors it has. Then g = −∇J(0) and Γu = ∇J(u) − ∇J(0): Γ takes a gradient for each parameter, and a solution
by conjugate gradients one for each step.

Both are right to rounding in parameters that are of the size of their effect, `sizes`, and about a point near the data;
those are up to the caller.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning

from scorematch._objectives import Objective
from scorematch._quadratic import (
    MOST_DENSE_PARAMS,
    BlockForm,
    QuadraticForm,
    SingularError,
    form_from_gradients,
    solve,
)
from scorematch._warnings import warn

Doubles = NDArray[np.float64]
Loss = Callable[[Doubles], tuple[float, Doubles]]

# What is left of the residual where conjugate gradients may stop, more where gradients are rounded more; and steps.
TOLERANCE, MOST_STEPS = 1e-10, 2000
# Where it is larger than this after all steps, and after many more, there is no solution.
FAR = 1e-2


class FormMinimum(NamedTuple):
    """Where a form is least."""

    theta: Doubles
    value: float
    converged: bool = True
    n_iter: int = 1


def dense_form(objective: Objective, exact: QuadraticForm, loss: Loss) -> QuadraticForm:
    """Γ and g of an objective, from those of the exact one and its own loss in the same parameters."""
    if objective.keeps_quadratic_part:
        return QuadraticForm(exact.gamma, -loss(np.zeros(len(exact.g)))[1])
    return form_from_gradients(loss, len(exact.g), sizes_of(np.diagonal(exact.gamma)))


def minimum(
    objective: Objective, exact: BlockForm, loss: Loss, n_samples: int, eps: float, ridge: Doubles | None = None
) -> FormMinimum:
    """The minimum of an objective, from the form of the exact one and its own loss in the same parameters.

    A `ridge` (p, p) is added to Γ, and not to the value. SingularError where the minimum is not unique.
    """
    eps *= objective.rounding
    if objective.keeps_quadratic_part:
        form = exact.with_linear(-loss(np.zeros(exact.n_params))[1])
        if ridge is None:
            return FormMinimum(*form.minimum(n_samples, eps))
        dense = form.assembled()
    elif exact.n_params > MOST_DENSE_PARAMS and ridge is None:
        return by_conjugate_gradients(loss, sizes_of(exact.diagonal), eps)
    else:
        dense = form_from_gradients(loss, exact.n_params, sizes_of(exact.diagonal))
    theta = solve(dense if ridge is None else QuadraticForm(dense.gamma + ridge, dense.g), 16 * eps)
    return FormMinimum(theta, loss(theta)[0])


def sizes_of(diagonal: Doubles) -> Doubles:
    """The sizes of parameters that change the objective by 1, where the diagonal of Γ tells them."""
    sound = np.isfinite(diagonal) & (diagonal > 0)
    return np.asarray(np.where(sound, 1 / np.sqrt(np.where(sound, diagonal, 1.0)), 1.0))


def by_conjugate_gradients(loss: Loss, sizes: Doubles, eps: float) -> FormMinimum:
    """The minimum by conjugate gradients in θ/sizes, which is to say preconditioned by the squares of the sizes."""
    from scipy.sparse.linalg import LinearOperator, cg

    slope = loss(np.zeros(len(sizes)))[1]
    g = -sizes * slope
    n_passes, size = 0, max(1.0, float(np.abs(g).max(initial=0.0)))

    def apply(u: Doubles) -> Doubles:
        nonlocal n_passes
        n_passes += 1
        # Γ applied to something so large that it is not lost beside ∇J(0).
        length = (float(np.abs(u).max()) or 1.0) / size
        return np.asarray((sizes * loss(sizes * (u / length))[1] + g) * length)

    shape = (len(sizes), len(sizes))
    tolerance = max(TOLERANCE, 100 * eps)
    with np.errstate(all="ignore"):
        gamma = LinearOperator(shape, matvec=apply, dtype=np.float64)
        u, _ = cg(gamma, g, rtol=tolerance, atol=0.0, maxiter=MOST_STEPS)
    reached = float(np.linalg.norm(apply(u) - g) / max(np.linalg.norm(g), np.finfo(float).tiny))
    if not reached <= FAR:
        raise SingularError("conjugate gradients found no solution; the quadratic form is singular or nearly so")
    converged = reached <= 10 * tolerance
    if not converged:
        warn(
            f"conjugate gradients did not converge in {n_passes} steps: the gradient is still {reached:.2g} of that at "
            f"0 (tolerance {tolerance:.2g}). Use more rows or n_projections, or variance_reduction=True",
            ConvergenceWarning,
        )
    theta = sizes * u
    return FormMinimum(theta, loss(theta)[0], converged, n_passes)
