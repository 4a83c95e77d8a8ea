"""What families share whose fit needs all rows from the beginning to the end."""

from __future__ import annotations

from abc import abstractmethod
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scorematch._base import ScoreMatchingEstimator
from scorematch._validation import Floats, check_not_tiny, check_sample_weight


class WholeDataEstimator(ScoreMatchingEstimator):
    """Base of families that say with `_fit` how θ is found."""

    @abstractmethod
    def _fit(self, X: Floats, sample_weight: NDArray[np.float64] | None) -> None:
        """Estimate: set `theta_`, `objective_`, `converged_`, `n_iter_`, and whatever `_constants` needs."""

    def fit(self, X: ArrayLike, y: object = None, sample_weight: ArrayLike | None = None) -> Self:
        """Estimate the parameters by score matching. A fit that fails leaves the model as it was.

        Parameters
        ----------
        X : array_like of shape (n_samples, n_features)
            The data: anything scikit-learn takes, float32 and float64 without a copy.
        y : None
            Ignored; there for scikit-learn's pipelines.
        sample_weight : array_like of shape (n_samples,), optional
            Weights of the rows, not negative; a weight of 2 is the row twice. All 1 where None.

        Returns
        -------
        Self
            The fitted estimator.
        """
        with self._all_or_nothing():
            self._check_domain()
            X = self._check_samples(X, reset=True)
            check_not_tiny(X)
            weight = check_sample_weight(sample_weight, len(X))
            self._settle_weight(X, weight)
            self._fit(X, weight)
            self._set_theta(self.theta_)
            self._check_objective()
        return self
