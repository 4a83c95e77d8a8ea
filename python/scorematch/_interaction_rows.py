"""The rows that an interaction model is fitted to, on the scale of the fit, and the moments of parts of them."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone

from scorematch._interaction_problem import PathProblem
from scorematch._validation import Floats, check_not_tiny, check_real

if TYPE_CHECKING:
    from scorematch._pairwise_interaction import PairwiseInteraction
    from scorematch._pairwise_moments import PairwiseMoments

Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class ScaledRows:
    """Rows of data. The scale and the caps of the weight are those of all rows, so that parts can be compared."""

    model: PairwiseInteraction  # not fitted, but with scale and weight settled
    X: Floats
    sample_weight: Doubles | None
    linear_ratio: float | None

    @staticmethod
    def of(
        model: PairwiseInteraction, X: ArrayLike, sample_weight: ArrayLike | None, *, linear_ratio: float | None = None
    ) -> ScaledRows:
        """Checked, and divided by the scale; `model` itself is left alone."""
        model = clone(model)
        model._check_options()
        if linear_ratio is not None:
            linear_ratio = check_real("linear_ratio", linear_ratio, lowest=0.0)
            if model.alpha_linear:
                raise ValueError("alpha_linear and linear_ratio exclude each other; give one of them")
            if not model.fit_linear:
                raise ValueError("linear_ratio has no linear term to penalise: fit_linear is False")
        rows, weights = model._training_samples(X, sample_weight, reset=True)
        check_not_tiny(rows)
        if model._n_coordinates < 2:
            raise ValueError(f"X must have at least two columns for interactions; got n_features = {rows.shape[1]}")
        model._settle_weight(rows, weights)
        return ScaledRows(model, rows, weights, linear_ratio)

    def __len__(self) -> int:
        return len(self.X)

    def moments(
        self, rows: NDArray[np.intp] | None = None, like: PairwiseMoments | None = None, n_jobs: int | None = None
    ) -> PairwiseMoments:
        """Those of some of the rows, or of all; about the same point as `like`."""
        X, weights = self.X, self.sample_weight
        if rows is not None:
            X, weights = X[rows], None if weights is None else weights[rows]
            if weights is not None and not weights.any():
                raise ValueError(f"sample_weight is zero for all of the {len(rows)} rows of a part of the data")
        model = self.model if n_jobs is None else copy.copy(self.model)
        if n_jobs is not None:
            model.n_jobs = n_jobs
        found: PairwiseMoments = model._sums_in_blocks(X, weights, like)
        return found

    def problem(self, moments: PairwiseMoments, n_threads: int | None = None) -> PathProblem:
        """What is to be minimised over the rows of these moments."""
        return PathProblem(
            self.model, moments, self.linear_ratio, self.model._threads() if n_threads is None else n_threads
        )
