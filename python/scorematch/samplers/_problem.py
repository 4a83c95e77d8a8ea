"""What is sampled: a fitted model, or a score function of the user's own, on a domain."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from scorematch import _core
from scorematch._base import ScoreMatchingEstimator
from scorematch._threads import effective_threads
from scorematch._user_functions import RowFunction, UserFunction
from scorematch.domains import RealSpace, Sphere
from scorematch.samplers._quadrature import IntegratedScore
from scorematch.samplers._supports import check_own_domain, inside, support_of

Doubles = NDArray[np.float64]
Score = Callable[[Doubles], Doubles]


class Called(Protocol):
    """A function of the user's, as the core calls it: score, or log density and score, of all chains."""

    def __call__(self, points: Doubles, /) -> Any: ...


@dataclass(frozen=True)
class Problem:
    """Target and support, and what else is known of them."""

    n_features: int
    domain: Any
    target: _core.Target
    score: Score  # ψ at rows; on the sphere tangential
    model: ScoreMatchingEstimator | None
    n_threads: int
    watch: CallWatch | None = None  # of a function that the core calls
    quadrature: IntegratedScore | None = None  # where it stands in for a log density

    @property
    def support(self) -> _core.Support:
        return support_of(self.domain, self.n_features)

    @property
    def on_sphere(self) -> bool:
        return isinstance(self.domain, Sphere)


class CallWatch:
    """Passes calls on, and keeps an error of the function apart from errors of the sampler."""

    def __init__(self, function: Called) -> None:
        self._function = function
        self.raised = False

    def __call__(self, points: Doubles) -> Any:
        self.raised = True
        # Trajectories that diverge overflow wherever they lead; the sampler sees what comes of it.
        with np.errstate(all="ignore"):
            result = self._function(points)
        self.raised = False
        return result


def problem_of(
    model_or_score: Any,
    n_features: int | None,
    *,
    log_density: RowFunction | None,
    domain: Any,
    n_jobs: int | None,
    needs_log_density: bool,
) -> Problem:
    """Checked. `n_features` is that of the points that were given, if any."""
    if isinstance(model_or_score, ScoreMatchingEstimator):
        if log_density is not None:
            raise ValueError("log_density goes with a score function of your own; a model has its own")
        if domain is not None:
            raise ValueError(
                "domain goes with a score function of your own; this model has its own, "
                f"{model_or_score._domain() or RealSpace()!r}"
            )
        return _of_model(model_or_score, n_features, n_jobs, needs_log_density)
    if isinstance(model_or_score, type) or not callable(model_or_score):
        raise TypeError(
            "model_or_score must be a fitted model of scorematch, or a score function from an array of shape (n, "
            f"n_features) to one of the same shape; got {model_or_score!r}"
        )
    if log_density is not None and not callable(log_density):
        raise TypeError(f"log_density must be a function of an array of points; got {log_density!r}")
    check_own_domain(domain)
    if n_features is None:
        raise ValueError("initial is needed with a score function of your own: nothing else tells where chains begin")
    _check_width(domain, n_features)
    score = UserFunction("score", model_or_score, (("n_features", n_features),), finite=False)
    density = None if log_density is None else UserFunction("log_density", log_density, (), finite=False)
    return _of_functions(
        n_features,
        domain,
        # Copies: what a function does to its argument must not reach the chains.
        lambda points: score(points.copy(), 0),
        None if density is None else lambda points: density(points.copy(), 0),
        None,
        effective_threads(n_jobs),
        needs_log_density,
    )


def _check_width(domain: Any, n_features: int) -> None:
    width = getattr(domain, "n_features", None)
    if width not in (None, n_features):
        raise ValueError(f"initial must have {width} columns to lie in {domain!r}; got {n_features}")


def _of_model(
    model: ScoreMatchingEstimator, n_features: int | None, n_jobs: int | None, needs_log_density: bool
) -> Problem:
    model._check_is_fitted()
    model._check_density()
    known = getattr(model, "n_features_in_", n_features)
    if known is None:
        raise ValueError(
            f"this {type(model).__name__} does not know how many columns it has: pass n_features to from_params, or "
            "initial"
        )
    if n_features not in (None, known):
        raise ValueError(f"initial must have {known} columns, as the model has; got {n_features}")
    domain = model._domain()
    n_threads = effective_threads(getattr(model, "n_jobs", None) if n_jobs is None else n_jobs)
    if model._family:

        def score(points: Doubles) -> Doubles:
            return np.asarray(model._evaluate_rows(points, "score")["score"], dtype=np.float64)

        target = _core.Target.family(model._compiled(), model._compiled_theta(), model._origin())
        return Problem(known, domain, target, score, model, n_threads)
    density = model._log_density_in_python if model._has_log_density() else None
    return _of_functions(
        known,
        domain,
        model._score_in_python,
        density,
        model,
        n_threads,
        needs_log_density,
    )


def _within(function: Score, domain: Any, shape: tuple[int, ...], elsewhere: float) -> Score:
    """The function in the domain alone: it need not be defined everywhere that a trajectory passes.

    `shape` is that of the value at one point.
    """
    if domain is None or isinstance(domain, RealSpace | Sphere):
        return function

    def guarded(points: Doubles) -> Doubles:
        rows = inside(domain, points)
        found = np.full((len(points), *shape), elsewhere)
        if rows.any():
            found[rows] = function(points[rows])
        return found

    return guarded


def _of_functions(
    n_features: int,
    domain: Any,
    score: Score,
    log_density: Score | None,
    model: ScoreMatchingEstimator | None,
    n_threads: int,
    needs_log_density: bool,
) -> Problem:
    on_sphere = isinstance(domain, Sphere)
    score = _within(score, domain, (n_features,), 0.0)
    log_density = None if log_density is None else _within(log_density, domain, (), -np.inf)
    quadrature = None
    called: Called

    def contains(points: Doubles) -> NDArray[np.bool_]:
        return np.ones(len(points), dtype=bool) if on_sphere or domain is None else inside(domain, points)

    if not needs_log_density:
        called = score
    elif log_density is not None:
        density = log_density

        def called(points: Doubles) -> tuple[Doubles, Doubles]:
            return density(points), score(points)
    else:
        called = quadrature = IntegratedScore(score, contains, on_sphere)
    watch = CallWatch(called)

    def tangential(points: Doubles) -> Doubles:
        values = score(points)
        return values - np.einsum("ij,ij->i", values, points)[:, None] * points if on_sphere else values

    target = _core.Target.python(n_features, watch)
    return Problem(n_features, domain, target, tangential, model, n_threads, watch, quadrature)
