"""Where chains begin, and how fine the density is there."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scorematch._base import ScoreMatchingEstimator
from scorematch._gibbs import region_of
from scorematch._sampling import likely_exact_draws
from scorematch._truncated_sampling import within
from scorematch._validation import check_parameter
from scorematch.samplers._problem import Problem, problem_of
from scorematch.samplers._supports import check_inside, inside

Doubles = NDArray[np.float64]

DEFAULT_CHAINS = 4
# Points that tell of the scale of a density.
PILOT = 1000
# Sizes among which an overdispersed start is chosen.
SIZES = 2.0 ** np.arange(-30, 31)


def given_points(initial: ArrayLike, n_chains: int | None) -> Doubles:
    """`initial` as a row for each chain: a matrix, or one point for all of them."""
    array = np.asarray(initial)
    if array.ndim == 1:
        point = check_parameter("initial", initial, (None,))
        return np.array(np.broadcast_to(point, (DEFAULT_CHAINS if n_chains is None else n_chains, len(point))))
    points = check_parameter("initial", initial, (None, None))
    if n_chains is not None and len(points) != n_chains:
        raise ValueError(
            f"initial must have a row for each of the {n_chains} chains, or be one point; got {len(points)}"
        )
    return points


def found_points(problem: Problem, n: int, random: np.random.RandomState) -> tuple[Doubles, bool]:
    """Points of a model: exact draws, else rows of its training data, else spread out in its domain.

    And whether they are as the density is, so that they tell of its scale.
    """
    model = problem.model
    assert model is not None
    points = likely_exact_draws(model, n, random)
    if points is None:
        points = _training_rows(model, n, random)
    if points is not None:
        return check_inside(points, problem.domain), True
    return check_inside(spread_out(problem, n, random), problem.domain), False


def starting_points(model: ScoreMatchingEstimator, n: int, random: np.random.RandomState) -> Doubles:
    """The same of a model."""
    problem = problem_of(model, None, log_density=None, domain=None, n_jobs=None, needs_log_density=True)
    return found_points(problem, n, random)[0]


def _training_rows(model: Any, n: int, random: np.random.RandomState) -> Doubles | None:
    if not hasattr(model, "_training"):
        return None
    rows, weight = model._training
    share = None if weight is None else np.asarray(weight, dtype=np.float64) / np.sum(weight)
    possible = len(rows) if share is None else int(np.count_nonzero(share))
    chosen = random.choice(len(rows), size=n, replace=n > possible, p=share)
    return np.asarray(rows[chosen], dtype=np.float64)


def spread_out(problem: Problem, n: int, random: np.random.RandomState) -> Doubles:
    """Uniform on a domain of finite volume; elsewhere normal about 0, or near the ends of intervals.

    Their size is the smallest power of two r at which r·|ψ| exceeds 2 a coordinate, in root mean square: twice the
    standard deviation of a Gaussian. Where none does, it is 1.
    """
    domain, d = problem.domain, problem.n_features
    try:
        return np.asarray(domain.sample_uniform(n, random_state=random, n_features=d), dtype=np.float64)
    except (AttributeError, TypeError, ValueError):
        pass  # it has no finite volume, or does not know how
    noise = random.standard_normal((max(n, PILOT), d))
    for size in [_size(problem, noise[:PILOT], random), 1.0, *SIZES[::4]]:
        points = _of_size(problem, size, noise, random)
        if len(points):
            return points[random.randint(len(points), size=n)] if len(points) < n else points[:n]
    raise ValueError(f"initial is needed, points of {domain!r}: none was found")


def _of_size(problem: Problem, size: float, noise: Doubles, random: np.random.RandomState) -> Doubles:
    region = None if problem.domain is None else region_of(problem.domain, problem.n_features)
    if region is None or not region.is_product:
        points = size * noise
        return points[inside(problem.domain, points)]
    columns = []
    for ends, column in zip(region.intervals, noise.T, strict=True):
        endless = not np.isfinite(ends).any()
        columns.append(size * column if endless else within(ends, size, len(noise), random))
    return np.column_stack(columns)


def _size(problem: Problem, noise: Doubles, random: np.random.RandomState) -> float:
    for size in SIZES:
        points = _of_size(problem, size, noise, random)
        if not len(points):
            continue
        with np.errstate(all="ignore"):
            score = problem.score(points)
            product = size * np.sqrt(np.median(np.mean(score**2, axis=1)))
        if product > 2:
            return float(size)
    return 1.0


def finest_scale(problem: Problem, points: Doubles, scale: Doubles, *, cap: bool) -> float:
    r"""The standard deviation of the density in its narrowest direction, in units of `scale`, from points of it.

    :math:`\mathrm{E}[\psi\psi^\top]` is the precision of a Gaussian, and of any density in all of space at least as
    large as that. On a domain it may be 0, as of a uniform density; so it is no more than the points' own deviation
    where `cap`. NaN where the points do not tell.
    """
    with np.errstate(all="ignore"):
        score = problem.score(points) * scale
        information = score.T @ score / len(points)
    if not np.isfinite(information).all():
        return np.nan
    largest = float(np.linalg.eigvalsh(information)[-1])
    finest = 1 / np.sqrt(largest) if largest > 0 else np.inf
    if cap and len(points) > 2 * problem.n_features:
        # The sphere has no extent along its radius, where points of a cap have little.
        own = np.linalg.eigvalsh(np.atleast_2d(np.cov((points / scale).T, bias=True)))
        spread = np.sqrt(own.sum() / len(own)) if problem.on_sphere else np.sqrt(max(own[0], 0.0))
        finest = min(finest, float(spread))
    return finest if np.isfinite(finest) and finest > 0 else np.nan
