"""Robust fits by Windham's weights: rows count by a power of the density that is fitted to them.

Where data follow p, data weighted by p^c follow p^(1+c) but for its normaliser. So at a θ, rows are weighted by
p(x; θ)^c, the density p^(1+c) is fitted to them, which gives a new θ, and so on until nothing changes. Outliers are
where the density is low, and count for next to nothing; where there are none, the estimate tends to the truth all the
same. The objective of p^(1+c), over 1 + c, is that of p with the norm term multiplied by 1 + c (`Field.raised`): right
for every family, closed under powers or not, and in closed form where the family's own objective is.

How fast it goes: differentiate E_θ[p_θ^c ∇ρ(x; θ)] = 0 in θ, with ρ the raised objective, and what comes out is that,
at the model, one step takes the distance to the fixed point to c/(1+c) of it, in every direction and for every family.
Steps that are 1 + c times as long are therefore Newton steps, and near the fixed point such are taken.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning

from scorematch._validation import Floats, check_finite, check_real
from scorematch._warnings import held_back, warn

if TYPE_CHECKING:
    from scorematch._base import ScoreMatchingEstimator

Doubles = NDArray[np.float64]

MOST_REWEIGHTINGS = 500
# How much weights, whose mean is 1, may change on average at a fixed point: this, or what the solver's `tol` leaves.
LEAST_CHANGE = 1e-9
# Below this change, steps are lengthened.
NEAR = 0.1
# Rows further than so many robust standard deviations from the medians are left out of the fit that is begun with.
FAR = 5.0
# Rows that tell medians, and those that neighbours are sought among.
SOME_ROWS = 5000
SOME_NEIGHBOURS = 500
# Rows that distances are worked out for at a time.
BLOCK = 4096


def exponent_of(model: ScoreMatchingEstimator) -> float:
    """The option `robust`, checked, where the model can be fitted so; 0 for a family that does not have it."""
    exponent = check_real("robust", getattr(model, "robust", 0.0), lowest=0.0)
    if exponent > 0 and not model._has_log_density():
        raise ValueError(
            f"robust={exponent:g} weights rows by their density, and the derivatives alone do not give that: pass "
            "statistic, a function from a block of rows to an array of shape (n_rows, n_statistics)"
        )
    return exponent


class Estimate(Protocol):
    """What fits a model to weighted rows: from the beginning, or again, from where it stands."""

    def __call__(self, weight: Doubles | None, again: bool = False) -> None: ...


def fit_weighted(model: ScoreMatchingEstimator, X: Floats, sample_weight: Doubles | None, estimate: Estimate) -> None:
    """Fit to rows that are checked: once, or robustly where the option `robust` says so."""
    forget(model)
    if exponent_of(model) == 0:
        estimate(sample_weight)
    else:
        fit_robustly(model, X, sample_weight, estimate)


def forget(model: ScoreMatchingEstimator) -> None:
    """Drop what an earlier robust fit left behind."""
    for name in ("robust_weights_", "n_reweightings_"):
        model.__dict__.pop(name, None)


def fit_robustly(model: ScoreMatchingEstimator, X: Floats, sample_weight: Doubles | None, estimate: Estimate) -> None:
    """Fit by reweighting rows until nothing changes.

    The model is left as the last fit left it, with its weights in `robust_weights_`, the number of fits but the first
    in `n_reweightings_`, and their iterations together in `n_iter_`.
    """
    exponent, name = exponent_of(model), type(model).__name__
    check_finite(X)
    # Which rows may have weight: none of those that are far off, before the fit to the others is about right.
    admitted: NDArray[np.bool_] | None = rows_to_begin_with(model, X, sample_weight)
    with held_back():
        estimate(product(sample_weight, admitted))
    n_iter, tolerance = model.n_iter_, _tolerance(model, X)
    here = model._compiled_theta().copy()
    weights = density_weights(model, X, sample_weight, here, exponent, admitted)
    residual, step, settled = np.inf, 1.0, False
    with model._raised(1 + exponent):
        for number in range(1, MOST_REWEIGHTINGS + 1):
            with held_back() as warnings:
                try:
                    estimate(product(sample_weight, weights), again=True)
                except ValueError as error:
                    raise ValueError(
                        f"the fit under the weights that robust={exponent:g} gives, which are those of about "
                        f"{effective_rows(weights):.3g} of {len(X)} rows, fails: {error}. Try a smaller robust"
                    ) from error
            n_iter += model.n_iter_
            reached = model._compiled_theta().copy()
            there = _lengthened(here, reached, step)
            ahead = density_weights(model, X, sample_weight, there, exponent, admitted)
            change = float(np.average(np.abs(ahead - weights), weights=sample_weight))
            if getattr(model, "verbose", 0):
                print(f"reweighting {number}: weights change by {change:.3g} on average", flush=True)
            settled = admitted is None and change <= tolerance
            if settled:
                break
            before, residual = residual, change / step
            if residual < NEAR and admitted is not None:
                admitted, there, step, residual = None, reached, 1.0, np.inf
                ahead = density_weights(model, X, sample_weight, there, exponent)
            elif residual < min(NEAR, before):
                step = 1 + exponent
            elif step > 1:  # too far: back to what is sure
                step, there = 1.0, reached
                ahead = density_weights(model, X, sample_weight, there, exponent)
            here, weights = there, ahead
    for message, category in warnings:
        warn(message, category)
    if not settled:
        warn(
            f"{name} with robust={exponent:g} did not converge: after {number} reweightings, weights of rows still "
            f"change by {change:.2g} on average, where {tolerance:.2g} is allowed. Try a smaller robust",
            ConvergenceWarning,
        )
    model.robust_weights_, model.n_reweightings_ = weights, number
    model.converged_, model.n_iter_ = model.converged_ and settled, n_iter


def density_weights(
    model: ScoreMatchingEstimator,
    X: Floats,
    sample_weight: Doubles | None,
    theta: Doubles,
    exponent: float,
    admitted: NDArray[np.bool_] | None = None,
) -> Doubles:
    """p(x; θ)^exponent for each row, over its mean; 0 for rows that are not admitted.

    θ is in the coordinates of the compiled family.
    """
    log_density = model._log_density(X, theta)
    if sample_weight is not None:  # a row that does not count must not make all others look improbable
        counts = sample_weight > 0
        log_density = np.where(counts, log_density, np.minimum(log_density, log_density[counts].max()))
    if admitted is not None:
        log_density = np.where(admitted, log_density, -np.inf)
    powers = density_powers(log_density, exponent)
    return np.asarray(powers / np.average(powers, weights=sample_weight))


def density_powers(log_density: Doubles, exponent: float) -> Doubles:
    """exp(exponent·log p), over the largest."""
    unknown = ~(log_density < np.inf)  # minus infinity is a density of 0
    if unknown.any():
        row = int(np.argmax(unknown))
        raise ValueError(
            f"the log density of the fit so far is {log_density[row]} at row {row} of X, which gives no weight. Drop "
            "the row, or fit with robust=0"
        )
    highest = log_density.max()
    if highest == -np.inf:
        raise ValueError("the density of the fit so far is 0 at every row of X, which gives no weights. Try robust=0")
    return np.asarray(np.exp(exponent * (log_density - highest)))


def effective_rows(weights: Doubles) -> float:
    """How many rows of equal weight tell as much (Kish)."""
    return float(weights.sum() ** 2 / (weights @ weights))


def rows_to_begin_with(model: ScoreMatchingEstimator, X: Floats, sample_weight: Doubles | None) -> NDArray[np.bool_]:
    """Which rows are surely no outliers among those that count; the others are not asked."""
    if sample_weight is None or sample_weight.all():
        return model._rows_to_begin_with(X)
    counts = sample_weight > 0
    counts[counts] = model._rows_to_begin_with(X[counts])
    return counts


def central_rows(X: Floats) -> NDArray[np.bool_]:
    """Which rows to begin with: those that are not far from the medians of the columns; at least half of them.

    Families that can take many shapes, polynomials and mixtures among them, would give outliers a mode of their own if
    they were begun with, and there these would keep their weight.
    """
    middle, spread = _middle_and_spread(X)
    spread[spread == 0] = np.inf  # more than half of the column is one number
    distance = np.empty(len(X))
    for first in range(0, len(X), BLOCK):
        block = slice(first, first + BLOCK)
        np.max(np.abs(X[block] - middle) / spread, axis=1, out=distance[block])
    return np.asarray(distance <= max(FAR, 2 * float(np.median(distance))))


def clustered_rows(X: Floats, n_clusters: int) -> NDArray[np.bool_]:
    """The same for data that may come in clusters: rows with company, at least half of them.

    Company is a fifth of what each cluster would have if all were equal. How near it is, is compared with what it is in
    a single Gaussian, as a multiple of the median, so that what is the tail of a cluster is in.
    """
    from sklearn.neighbors import NearestNeighbors

    middle, spread = _middle_and_spread(X)
    kept = spread > 0
    rows = (X[:, kept] - middle[kept]) / spread[kept]

    def to_company(points: Floats, share: float) -> Doubles:
        some = points[:: -(-len(points) // SOME_NEIGHBOURS)]
        nearest = NearestNeighbors(n_neighbors=max(2, int(share * len(some)))).fit(some)
        return np.asarray(nearest.kneighbors(points)[0][:, -1])

    if not kept.any() or len(X) < 10 * n_clusters:
        return np.ones(len(X), dtype=bool)
    gaussian = to_company(np.random.default_rng(0).normal(size=(SOME_NEIGHBOURS, rows.shape[1])), 0.2)
    distance = to_company(rows, 0.2 / n_clusters)
    return np.asarray(distance <= 2 * gaussian.max() / np.median(gaussian) * np.median(distance))


def _middle_and_spread(X: Floats) -> tuple[Doubles, Doubles]:
    """Medians of the columns, and what is the standard deviation of normal ones."""
    some = X[:: -(-len(X) // SOME_ROWS)].astype(np.float64)
    middle = np.median(some, axis=0)
    return middle, np.asarray(1.4826 * np.median(np.abs(some - middle), axis=0))


def product(sample_weight: Doubles | None, factor: Doubles | NDArray[np.bool_] | None) -> Doubles | None:
    """Of the two, with mean 1; `sample_weight` itself where nothing were left."""
    if factor is None:
        return sample_weight
    product = factor.astype(np.float64) if sample_weight is None else sample_weight * factor
    return np.asarray(product / product.mean()) if product.any() else sample_weight


def _tolerance(model: ScoreMatchingEstimator, X: Floats) -> float:
    """The change of weights that counts as none; log densities in the float type of X are rounded."""
    return max(LEAST_CHANGE, 100 * float(np.finfo(X.dtype).eps), float(getattr(model, "tol", 0.0)))


def _lengthened(here: Doubles, there: Doubles, factor: float) -> Doubles:
    """The point at `factor` times the way from here to there."""
    return there if factor == 1 or here.shape != there.shape else np.asarray(here + factor * (there - here))
