"""Minimising objectives that have no closed form, from several starts, with analytic gradients.

L-BFGS-B does most fits in a few dozen iterations. Where it has not converged by then, the objective is ill-conditioned
(mixtures with components that overlap, or that a handful of rows decide), and it may creep for thousands more. Then,
if the parameters are few enough, a trust-region Newton method finishes in a few steps; its Hessian comes from
central differences of the gradient.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh
from scipy.optimize import OptimizeResult, brentq, minimize
from sklearn.exceptions import ConvergenceWarning

from scorematch._threads import one_blas_thread
from scorematch._validation import check_count, check_real, check_verbose
from scorematch._warnings import warn

Doubles = NDArray[np.float64]
Loss = Callable[[Doubles], tuple[float, Doubles]]

# A Newton step costs two gradients a parameter, and p³ for its factorisations.
MOST_NEWTON_PARAMS = 400
# Iterations of L-BFGS-B before Newton's method takes over.
PATIENCE = 150
# A gradient above this, from where no step leads down, tells of an objective without a lower bound.
STUCK = 1.0
# How often a descent is checked for a fault.
CHECK_EVERY = 5


@dataclass(frozen=True)
class Minimum:
    """Where one start ended."""

    theta: Doubles
    objective: float
    converged: bool
    n_iter: int
    reason: str
    # What the descent ran into, so that the start stands here; empty where it is sound.
    fault: str
    # What `n_iter` counts, and the objective of each where that costs nothing.
    counted: str = "iteration"
    history: tuple[float, ...] = ()


@dataclass(frozen=True)
class Variables:
    """Other variables φ than θ in which to search: where they make the objective rounder, or meet a constraint."""

    of: Callable[[Doubles], Doubles]  # φ that stands for a θ
    # θ of φ, and what takes the gradient with respect to θ to that with respect to φ.
    at: Callable[[Doubles], tuple[Doubles, Callable[[Doubles], Doubles]]]

    def theta(self, phi: Doubles) -> Doubles:
        """The θ that φ stands for."""
        return self.at(phi)[0]

    def loss(self, loss: Loss) -> Loss:
        """An objective of θ as one of φ."""

        def transformed(phi: Doubles) -> tuple[float, Doubles]:
            theta, pull_back = self.at(phi)
            value, gradient = loss(theta)
            return value, pull_back(gradient)

        return transformed


@dataclass(frozen=True)
class Settings:
    """What the user asked of the optimiser."""

    tol: float
    max_iter: int
    verbose: int

    def __post_init__(self) -> None:
        check_real("tol", self.tol, lowest=0.0)
        check_count("max_iter", self.max_iter)
        check_verbose(self.verbose)


def minimise(
    loss: Loss,
    starts: Iterable[Doubles],
    *,
    scale: Doubles,
    unit: float,
    eps: float,
    settings: Settings,
    fault: Callable[[Doubles], str] = lambda _: "",
    n_anchored: int = 0,
) -> Minimum:
    """The best minimum over all starts; a sound one is better than any that `fault` finds fault with.

    θ = scale·φ and J/unit are what the optimiser sees: of order 1, whatever units the data have. `eps` is the rounding
    error of the data's float type. A descent that runs into a fault is given up, and its start returned: from there on
    it would only follow the objective to minus infinity.

    The first `n_anchored` parameters are those that may not enter the objective at all, to working precision. A pull
    towards the start, no stronger than `tol`, keeps them from drifting.
    """
    descents = (
        _Descent(loss, scale, unit, eps, settings, fault, n_anchored, number).run(start)
        for number, start in enumerate(starts)
    )
    with one_blas_thread():
        return best_of(descents, settings.verbose)


def best_of(minima: Iterable[Minimum], verbose: int) -> Minimum:
    """The best of all starts; a sound one is better than any with a fault."""
    best: Minimum | None = None
    for number, minimum in enumerate(minima):
        if verbose:
            ending = minimum.fault or ("converged" if minimum.converged else minimum.reason)
            print(f"start {number + 1}: objective {minimum.objective:.8g} after {_duration(minimum)}, {ending}")
        if best is None or _rank(minimum) < _rank(best):
            best = minimum
    assert best is not None
    return best


def _duration(minimum: Minimum) -> str:
    return f"{minimum.n_iter} {minimum.counted}{'' if minimum.n_iter == 1 else 's'}"


def _rank(minimum: Minimum) -> tuple[bool, bool, float]:
    return not np.isfinite(minimum.objective), bool(minimum.fault), minimum.objective


def warn_unless_converged(estimator: str, minimum: Minimum, remedies: str) -> None:
    """A ConvergenceWarning with the reason and what to try."""
    if minimum.converged:
        return
    warn(f"{estimator} did not converge in {_duration(minimum)}: {minimum.reason}. Try {remedies}", ConvergenceWarning)


def trust_region_step(eigenvalues: Doubles, slope: Doubles, radius: float) -> Doubles:
    """The s with ‖s‖ ≤ radius that minimises slopeᵀs + ½ Σ λ s², eigenvalues λ in ascending order."""
    if eigenvalues[0] > 0:
        step = -slope / eigenvalues
        if np.linalg.norm(step) <= radius:
            return step
    # Else s = −slope/(λ + μ) of length `radius`, with the μ ≥ 0 that makes all λ + μ positive. The unknown is the
    # least of these, λ₀ + μ: as a small difference of μ and λ₀ it would have no digits left.
    gaps = eigenvalues - eigenvalues[0]
    least = max(float(eigenvalues[0]), 1e-14 * float(np.abs(eigenvalues).max()), 1e-300)
    most = 2 * (least + float(np.linalg.norm(slope)) / radius)

    def excess(lowest: float) -> float:
        return float(np.linalg.norm(slope / (gaps + lowest))) / radius - 1

    if excess(least) <= 0:  # no slope along the lowest direction: any length along it will do
        step = -slope / (gaps + least)
        step[0] = np.sqrt(max(0.0, radius**2 - step[1:] @ step[1:]))
        return np.asarray(step)
    # In the logarithm, in which it spans many powers of ten.
    exponent = brentq(lambda e: excess(np.exp(e)), np.log(least), np.log(most), xtol=1e-6, rtol=1e-12)
    return np.asarray(-slope / (gaps + np.exp(exponent)))


class _Descent:
    """One start, in the optimiser's own variables φ = θ/scale."""

    def __init__(
        self,
        loss: Loss,
        scale: Doubles,
        unit: float,
        eps: float,
        settings: Settings,
        fault: Callable[[Doubles], str],
        n_anchored: int,
        number: int,
    ) -> None:
        self.loss, self.scale, self.unit, self.eps, self.settings = loss, scale, unit, eps, settings
        self.fault, self.n_anchored, self.number = fault, n_anchored, number
        self.anchor, self.highest = np.empty(0), 0.0
        self.n_iter, self.last_report, self.found = 0, time.monotonic(), ""

    def run(self, start: Doubles) -> Minimum:
        self.anchor = (start / self.scale)[: self.n_anchored]
        newton = len(start) <= MOST_NEWTON_PARAMS
        limit = self.settings.max_iter
        result = self._lbfgs(start / self.scale, min(limit, PATIENCE) if newton else limit)
        if newton and not self.found and self._steepest(result) > self.settings.tol and self.n_iter < limit:
            result = self._newton(result, limit - self.n_iter)
        self.found = self.found or self.fault(result.x * self.scale)
        if not self.found and self.n_iter < limit and self._steepest(result) > STUCK:
            self.found = "the objective falls ever more steeply"
        reason = self._reason(result)
        theta = start if self.found else result.x * self.scale
        return Minimum(theta, float(self.loss(theta)[0]), not reason, self.n_iter, reason, self.found)

    def __call__(self, phi: Doubles) -> tuple[float, Doubles]:
        """J and its gradient in φ, with the pull towards the anchor."""
        # A step that is far too long may overflow on the way to θ, or in the kernel.
        with np.errstate(over="ignore", invalid="ignore"):
            value, gradient = self.loss(phi * self.scale)
        if not (np.isfinite(value) and np.isfinite(gradient).all()):
            # The line search turns back, by a length that it works out from this: infinity would stop it.
            return self.highest + 1, np.zeros_like(gradient)
        gradient = gradient * self.scale / self.unit
        drift = phi[: self.n_anchored] - self.anchor
        gradient[: self.n_anchored] += self.settings.tol * drift
        value = float(value / self.unit + self.settings.tol / 2 * drift @ drift)
        self.highest = max(self.highest, value)
        return value, gradient

    def _lbfgs(self, phi: Doubles, limit: int) -> Any:
        return minimize(
            self,
            phi,
            jac=True,
            method="L-BFGS-B",
            callback=self._after_iteration,
            # Half a hundred corrections, where ten are usual, halve the iterations and more.
            options={"maxiter": limit, "maxfun": 20 * limit, "gtol": self.settings.tol, "ftol": 1e-15, "maxcor": 50},
        )

    def _newton(self, earlier: Any, limit: int) -> OptimizeResult:
        """Newton's method in a trust region (Nocedal and Wright, "Numerical Optimization", algorithm 4.1)."""
        now = OptimizeResult(x=earlier.x, fun=earlier.fun, jac=earlier.jac)
        radius = 1.0
        while limit > 0 and radius > 1e-9 and self._steepest(now) > self.settings.tol and not self.found:
            eigenvalues, vectors = eigh(self._hessian(now.x))
            slope = vectors.T @ now.jac
            improved = False
            while not improved and radius > 1e-9:
                step = trust_region_step(eigenvalues, slope, radius)
                expected = -(slope @ step + step @ (eigenvalues * step) / 2)
                there = now.x + vectors @ step
                value, gradient = self(there)
                gain = (now.fun - value) / expected if expected > 0 else -np.inf
                length = float(np.linalg.norm(step))
                # A step that reaches the border and does as well as expected may be longer next time.
                if not gain > 0.25:
                    radius = min(radius, length) / 4
                elif gain > 0.75 and length > 0.8 * radius:
                    radius *= 2
                improved = gain > 0.01
            if not improved:
                break
            now = OptimizeResult(x=there, fun=value, jac=gradient)
            limit -= 1
            self._report(now)
            self.found = self.fault(now.x * self.scale)
        return now

    def _hessian(self, phi: Doubles) -> Doubles:
        step = self.eps ** (1 / 3)
        hessian = np.empty((len(phi), len(phi)))
        for i in range(len(phi)):
            ahead, behind = phi.copy(), phi.copy()
            ahead[i] += step
            behind[i] -= step
            hessian[i] = (self(ahead)[1] - self(behind)[1]) / (ahead[i] - behind[i])
        return (hessian + hessian.T) / 2

    def _after_iteration(self, intermediate_result: Any) -> None:
        self._report(intermediate_result)
        if self.n_iter % CHECK_EVERY == 0:
            self.found = self.fault(intermediate_result.x * self.scale)
            if self.found:
                raise StopIteration

    def _report(self, result: Any) -> None:
        """Counts an iteration, and prints it if it is one of the first ten; later one a second."""
        self.n_iter += 1
        now = time.monotonic()
        if self.settings.verbose and (self.n_iter <= 10 or now - self.last_report > 1):
            self.last_report = now
            print(f"start {self.number + 1}: iteration {self.n_iter}, scaled objective {result.fun:.10g}", flush=True)

    def _steepest(self, result: Any) -> float:
        return float(np.abs(result.jac).max(initial=0.0))

    def _reason(self, result: Any) -> str:
        """Why the descent has not converged; empty where it has."""
        if not np.isfinite(result.fun):
            return "the objective is not finite"
        steepest, size = self._steepest(result), max(1.0, abs(float(result.fun)))
        if self.found:
            cause = "the descent was given up"
        elif steepest <= self.settings.tol:
            return ""
        elif self.n_iter >= self.settings.max_iter:
            cause = f"the limit max_iter={self.settings.max_iter} was reached"
        # Below this, differences of the objective drown in rounding: that of its double, and that of the data's type,
        # in which the terms of a row are worked out by some tens of operations.
        elif steepest <= float(np.sqrt(size * max(1e4 * np.finfo(float).eps, 64 * self.eps))):
            return ""
        else:
            cause = "no step leads further down"
        return f"{cause} (gradient {steepest:.2g}, tol {self.settings.tol:g})"
