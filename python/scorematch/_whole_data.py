"""What families share whose fit needs all rows from the beginning to the end."""

from __future__ import annotations

from abc import abstractmethod
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scorematch._uncertainty import InferentialEstimator
from scorematch._validation import Floats, check_not_tiny, check_sample_weight
from scorematch._windham import fit_weighted


class WholeDataEstimator(InferentialEstimator):
    """Base of families that say with `_fit` how θ is found."""

    @abstractmethod
    def _fit(self, X: Floats, sample_weight: NDArray[np.float64] | None) -> None:
        """Estimate: set `theta_`, `objective_`, `converged_`, `n_iter_`, and whatever `_constants` needs."""

    def _refit(self, X: Floats, sample_weight: NDArray[np.float64] | None) -> None:
        """Estimate anew, beginning at the model as it is; for families that begin anywhere, the same as `_fit`."""
        self._fit(X, sample_weight)

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
            self._fit_rows(X, check_sample_weight(sample_weight, len(X)))
        return self

    def _fit_again(self, X: Floats, sample_weight: NDArray[np.float64]) -> None:
        self._fit_rows(X, check_sample_weight(sample_weight, len(X)), begun=True)

    def _fit_rows(self, X: Floats, sample_weight: NDArray[np.float64] | None, begun: bool = False) -> None:
        """Fit to rows that are checked: from the beginning, or from the model as it is."""
        self._settle_weight(X, sample_weight)
        if not begun:
            self._settle_objective(X, sample_weight)

        def estimate(weight: NDArray[np.float64] | None, again: bool = begun) -> None:
            (self._refit if again else self._fit)(X, weight)
            self._set_theta(self.theta_)

        fit_weighted(self, X, sample_weight, estimate)
        self._check_objective()
        self._training = X, sample_weight
