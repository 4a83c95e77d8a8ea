"""Gibbs sampling of pairwise interaction models, with many chains at once, in the compiled core.

The model is handed over in y = xᵃ (y = log x for a = 0), in which it is a quadratic form with at most two further terms
a coordinate, a multiple of log y and one of a power or exponential of y.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scorematch import _core

Doubles = NDArray[np.float64]
# Draws of one coordinate of one chain in a call of the core: some tenths of a second, for Ctrl-C to be heard.
DRAWS_A_CALL = 10_000_000
# Below so many, threads cost more than they save.
FEW_DRAWS = 20_000
# No density has anything beyond.
FARTHEST = 1e100


@dataclass(frozen=True)
class Pairwise:
    r"""The density :math:`-\tfrac1{2a}(x^a)^\top K x^a + \tfrac1b \eta^\top x^b`, checked by whoever makes it."""

    interaction: Doubles
    linear: Doubles
    a: float
    b: float

    @property
    def n_features(self) -> int:
        return len(self.linear)

    @property
    def is_gaussian(self) -> bool:
        return self.a == self.b == 1

    @property
    def has_exact_independent_coordinates(self) -> bool:
        """Whether no coordinate depends on another, and each is drawn by rejection (coordinate_draws.hpp)."""
        terms = self.in_y()
        exact = not terms["extra"].any() and (terms["log_factor"] >= 0).all()
        return bool(exact and not np.triu(self.interaction, 1).any())

    def log_density(self, X: Doubles) -> Doubles:
        """Up to a constant, for rows where the powers and logarithms are defined."""
        xa = _power(X, self.a)
        quadratic = np.einsum("ij,ij->i", xa @ self.interaction, xa) / (2 * (self.a or 1))
        return np.asarray(_power(X, self.b) @ self.linear / (self.b or 1) - quadratic)

    def to_y(self, X: Doubles) -> Doubles:
        return _power(X, self.a)

    def to_x(self, Y: Doubles) -> Doubles:
        if self.a == 1:
            return Y
        return np.asarray(np.exp(Y) if self.a == 0 else Y ** (1 / self.a))

    def in_y(self) -> dict[str, Any]:
        """The terms of the density of y: what the core calls precision, linear, log_factor, extra, exponent."""
        a, b, d = self.a, self.b, self.n_features
        precision = self.interaction / (a or 1)
        linear, log_factor, extra = np.zeros(d), np.zeros(d), np.zeros(d)
        if a == 0:  # dx = e^y dy
            linear += 1
        else:  # dx is a multiple of y^(1/a − 1) dy
            log_factor += 1 / a - 1
        if b == 0 and a == 0:
            linear += self.linear
        elif b == 0:
            log_factor += self.linear / a
        elif b == a:
            linear += self.linear / b
        elif b == 2 * a:
            precision = precision - np.diag(2 * self.linear / b)
        else:
            extra += self.linear / b
        return {
            "precision": precision,
            "linear": linear,
            "log_factor": log_factor,
            "extra": extra,
            "exponent": b if a == 0 else b / a,
            "exponential": a == 0,
        }


def _power(X: Doubles, p: float) -> Doubles:
    if p == 1:
        return X
    if p == 0:
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(X))
    return np.asarray(np.sqrt(X) if p == 0.5 else X**p)


@dataclass(frozen=True)
class Region:
    """A domain as the sampler knows it (gibbs_problem.hpp), in x: intervals of coordinates, and what else must hold."""

    intervals: list[Doubles]  # one (m, 2) a coordinate
    constraints: Doubles | None = None  # constraints @ x <= bounds
    bounds: Doubles | None = None
    norm: int = 0  # 1 or 2: that norm of x is at most the radius
    radius: float = 0.0
    vertices: Doubles | None = None

    @property
    def is_product(self) -> bool:
        """Whether the intervals are all."""
        return self.constraints is None and not self.norm and self.vertices is None

    @property
    def is_bounded(self) -> bool:
        """Whether it is known to be; with constraints it may be all the same."""
        finite = bool(np.isfinite(np.concatenate(self.intervals)).all())
        return finite or self.norm > 0 or self.vertices is not None

    @property
    def is_nonnegative(self) -> bool:
        return all(ends[0, 0] >= 0 for ends in self.intervals)


def region_of(domain: Any, d: int) -> Region | None:
    """The domain in d columns as a region; None where it is of a kind that the sampler does not know."""
    from scorematch.domains import Ball, Box, Intervals, NonNegative, Polygon, Polytope, RealSpace, Simplex

    low = 0.0 if getattr(domain, "nonnegative", False) or isinstance(domain, Simplex) else -np.inf
    whole = [np.array([[low, np.inf]])] * d
    if isinstance(domain, RealSpace):
        return Region(whole)
    if isinstance(domain, NonNegative | Box | Intervals):
        unions = [np.array(pairs) for pairs in domain._unions()]
        return Region(unions * d if len(unions) == 1 else unions)
    if isinstance(domain, Ball) and domain.norm == np.inf:
        return Region([np.array([[max(low, -domain.radius), domain.radius]])] * d)
    if isinstance(domain, Ball):
        return Region(whole, norm=int(domain.norm), radius=domain.radius)
    if isinstance(domain, Simplex):
        return Region(whole, norm=1, radius=1.0)
    if isinstance(domain, Polytope):
        return Region(whole, np.array(domain.A), np.array(domain.b))
    if isinstance(domain, Polygon):
        return Region(whole, vertices=np.array(domain.vertices))
    return None


class Chains:
    """Gibbs chains that go on from call to call."""

    def __init__(self, model: Pairwise, region: Region, start: Doubles, seed: int, n_threads: int) -> None:
        self._model = model
        self._seed, self._n_threads = seed, n_threads
        self._sampler = _core.GibbsSampler(
            **model.in_y(),
            intervals=[model.to_y(ends) for ends in region.intervals],
            root=0.0 if model.a == 0 else 1 / model.a,
            constraints=np.zeros((0, model.n_features)) if region.constraints is None else region.constraints,
            bounds=np.zeros(0) if region.bounds is None else region.bounds,
            norm=region.norm,
            radius=region.radius,
            vertices=np.zeros((0, 2)) if region.vertices is None else region.vertices,
        )
        self._states = model.to_y(start)
        self._positions = np.zeros(len(start), dtype=np.uint64)

    def sweep(self, n_sweeps: int) -> Doubles:
        """Where the chains are after so many sweeps over all coordinates."""
        at_once = max(1, DRAWS_A_CALL // self._states.size)
        while n_sweeps > 0:
            now = min(n_sweeps, at_once)
            n_threads = self._n_threads if now * self._states.size > FEW_DRAWS else 1
            self._states, self._positions = self._sampler.sweep(
                self._states, self._positions, now, self._seed, n_threads
            )
            n_sweeps -= now
        if not (np.abs(self._states) < FARTHEST).all():
            raise ValueError("the chains run to infinity: these parameters have no density on this domain")
        return self._model.to_x(self._states)
