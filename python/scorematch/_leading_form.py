"""Whether a polynomial falls in every direction: the largest value of its leading form on the unit sphere.

exp of a polynomial has a finite integral where its terms of highest degree are negative in all directions of the
domain; where they are positive in one, it has not.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scorematch import _core
from scorematch._monomials import Monomials

Doubles = NDArray[np.float64]

# Directions to start from, beside the axes and the diagonals between two of them.
N_RANDOM = 64
MOST_DIAGONALS = 400
N_STEPS = 60


def highest(terms: Monomials, leading: Doubles, orthant: bool) -> tuple[float, Doubles]:
    """The largest value of Σ leading_α v^α that was found over unit vectors v, in the orthant v ≥ 0 or anywhere; and v.

    Exact for forms of degree 2 in all of space and for those without mixed terms. For others it climbs from many
    directions, the same in each call: the value is one that is taken, but a narrow rise may be missed in many
    dimensions.
    """
    d, degree = terms.n_features, terms.degree
    pure = leading[terms.powers.max(axis=1) == degree]  # those of x_j^degree, in the order of j
    best = int(np.argmax(pure))
    if degree == 1 or not leading[(terms.powers.max(axis=1) < degree) & terms.leading].any():
        # The value at v is at most the largest coefficient times Σ v_j^degree, which is 1 on the axes; and where all
        # are negative, it is negative everywhere.
        return float(pure[best]), np.eye(d)[best]
    if degree == 2 and not orthant:
        hessian = np.zeros((d, d))
        for power, coefficient in zip(terms.powers[terms.leading], leading[terms.leading], strict=True):
            i, j = np.repeat(np.arange(d), power)
            hessian[i, j] += coefficient / 2
            hessian[j, i] += coefficient / 2
        eigenvalues, vectors = np.linalg.eigh(hessian)
        return float(eigenvalues[-1]), vectors[:, -1]
    return _climb(terms, leading, orthant)


def _climb(terms: Monomials, leading: Doubles, orthant: bool) -> tuple[float, Doubles]:
    family = _core.Family(
        "polynomial_exponential_family",
        "interactions" if terms.interactions else "powers",
        terms.n_features,
        0,
        [float(terms.degree)],
    )

    def form(points: Doubles) -> tuple[Doubles, Doubles]:
        found = _core.evaluate(family, leading, points, _core.Field.euclidean(), ["score", "log_density"], 1)
        return found["log_density"].astype(np.float64, copy=False), found["score"].astype(np.float64, copy=False)

    points = _starts(terms.n_features, orthant)
    values, slopes = form(points)
    steps = np.full(len(points), 1 / max(float(np.linalg.norm(slopes, axis=1).max()), 1e-300))
    for _ in range(N_STEPS):
        # Along the sphere alone: the slope has degree·value of itself along v.
        along = slopes - terms.degree * values[:, None] * points
        trials = points + steps[:, None] * along
        if orthant:
            trials = np.maximum(trials, 0)
        length = np.linalg.norm(trials, axis=1)
        trials = np.where(length[:, None] > 0, trials / np.where(length > 0, length, 1)[:, None], points)
        trial_values, trial_slopes = form(trials)
        better = trial_values > values
        points = np.where(better[:, None], trials, points)
        values = np.where(better, trial_values, values)
        slopes = np.where(better[:, None], trial_slopes, slopes)
        steps *= np.where(better, 2.0, 0.25)
    best = int(np.argmax(values))
    return float(values[best]), points[best]


def _starts(d: int, orthant: bool) -> Doubles:
    axes = np.eye(d)
    first, second = np.triu_indices(d, 1)
    first, second = first[:MOST_DIAGONALS], second[:MOST_DIAGONALS]
    random = np.random.default_rng(0).standard_normal((N_RANDOM, d))
    starts = [axes, axes[first] + axes[second], np.ones((1, d)), np.abs(random) if orthant else random]
    if not orthant:  # odd degrees are for the orthant alone, so that −v is as v
        starts.append(axes[first] - axes[second])
    points = np.concatenate(starts)
    return np.asarray(points / np.linalg.norm(points, axis=1, keepdims=True))


def in_words(direction: Doubles, names: list[str]) -> str:
    """Such as ``0.80·x0 − 0.60·x2``: the largest few of its components."""
    order = np.argsort(-np.abs(direction).round(6), kind="stable")  # rounding must not decide which comes first
    shown = [j for j in order[:4] if abs(direction[j]) > 0.005]
    direction = direction * np.sign(direction[shown[0]])
    words = ""
    for j in shown:
        sign = "−" if direction[j] < 0 else "+" if words else ""
        words += f" {sign} " if words else sign
        words += f"{abs(direction[j]):.2f}·{names[j]}"
    return words + (" + …" if np.count_nonzero(np.abs(direction) > 0.005) > len(shown) else "")
