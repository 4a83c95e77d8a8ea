"""The Stein operator of a model at the data, on which the diagnostics rest."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scorematch._base import ScoreMatchingEstimator
from scorematch._field import field_values
from scorematch._threads import effective_threads
from scorematch._user_functions import UserFunction
from scorematch._validation import Floats, check_finite
from scorematch.domains import RealSpace
from scorematch.domains._domain import as_points

Doubles = NDArray[np.float64]
# A score function of the user's own, from rows of points on all of space to the gradient of log p at each.
ScoreFunction = Callable[[Any], ArrayLike]


@dataclass(frozen=True, eq=False)
class SteinOperator:
    """T f = tr(A∇f) + sᵀf at each row, with s = Aψ + b; its mean is 0 where rows follow the model.

    A is diag(a); the identity where a is None, and on the sphere I − xxᵀ. Where there is a weight, s and a are doubles,
    whatever the points: weights may be small.
    """

    points: Floats
    s: Floats
    a: Doubles | None
    on_sphere: bool

    @classmethod
    def of(cls, model: ScoreMatchingEstimator | ScoreFunction, X: ArrayLike) -> SteinOperator:
        """That of a fitted model, or of a score function on all of space."""
        if isinstance(model, ScoreMatchingEstimator):
            model._check_is_fitted()
            rows = model._check_samples(X)
            return cls.at_rows(model, rows)
        if isinstance(model, type) or not callable(model):
            raise TypeError(
                "model must be a fitted model of scorematch, or a score function from an array of shape (n_samples, "
                f"n_features) to one of the same shape; got {model!r}"
            )
        points = as_points(RealSpace(), X)
        check_finite(points)
        values = UserFunction("model", model, (("n_features", points.shape[1]),))(cast(Doubles, points), 0)
        return cls(points, values.astype(points.dtype, copy=False), None, False)

    @classmethod
    def at_rows(cls, model: ScoreMatchingEstimator, points: Floats) -> SteinOperator:
        """That of a fitted model at rows that are checked."""
        score = model._evaluate_rows(points, "score")["score"]
        if model._on_sphere:
            # Aψ is the tangential score function, which is what the model gives.
            return cls(points, score - (points.shape[1] - 1) * points, None, True)
        if not model._has_boundary:
            return cls(points, score, None, False)
        a, b = field_values(model._domain(), model._settled_weight(points), points)
        return cls(points, a * score + b, np.broadcast_to(a, points.shape), False)

    def entries(self, row: int, column: int) -> Doubles | float:
        """A_{row, column} at each point."""
        if self.on_sphere:
            product = self.points[:, row].astype(np.float64) * self.points[:, column]
            return np.asarray(float(row == column) - product)
        if row != column:
            return 0.0
        return 1.0 if self.a is None else self.a[:, row]


def n_threads_of(model: object, n_jobs: int | None) -> int:
    """What `n_jobs` asks for; where that is None, what the model does."""
    return effective_threads(getattr(model, "n_jobs", None) if n_jobs is None else n_jobs)


def settled(model: ScoreMatchingEstimator, rows: Floats) -> Any:
    """The same model, with a weight that all of the rows have settled, to be called with some of them."""
    own: Any = copy.copy(model)
    if own._has_boundary:
        own.weight_ = own._settled_weight(rows)
    return own


def column_names(model: ScoreMatchingEstimator) -> list[str]:
    """Those that the data had when the model was fitted, else x0, x1, ..."""
    given = getattr(model, "feature_names_in_", None)
    return [f"x{j}" for j in range(model.n_features_in_)] if given is None else [str(name) for name in given]


def in_doubles(model: ScoreMatchingEstimator, rows: Floats) -> Doubles:
    """Rows as doubles; on the sphere of length 1 in doubles too."""
    points = rows.astype(np.float64)
    if model._on_sphere:
        points /= np.linalg.norm(points, axis=1, keepdims=True)
    return points
