"""What families with a closed form share: one pass over the data for sums, which add up over blocks."""

from __future__ import annotations

import itertools
from abc import abstractmethod
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scorematch._estimating import EXACT
from scorematch._field import blocks_of_field
from scorematch._gradient_form import FormMinimum, dense_form
from scorematch._objectives import check_fits_in_blocks, objective_of, rows_from
from scorematch._quadratic import QuadraticForm
from scorematch._uncertainty import InferentialEstimator
from scorematch._validation import Floats, check_not_tiny, check_sample_weight, raw_sample_weight
from scorematch._windham import exponent_of, fit_robustly, forget

Doubles = NDArray[np.float64]


class Sums(Protocol):
    """What a family needs of the data, as sums over weighted samples."""

    @property
    def n_samples(self) -> int:
        """How many rows they are of."""
        ...

    @property
    def kind(self) -> object:
        """What they are sums of, but for domain and weight: only those of one kind add up."""
        ...

    def __add__(self, other: Any) -> Self: ...

    def times(self, factor: float) -> Self:
        """The same with all weights multiplied."""
        ...

    def as_vector(self) -> Doubles:
        """All that adds up, Σ w first, (n_numbers,): vectors of one kind and about one point may be added."""
        ...

    def with_vector(self, vector: Doubles, n_samples: int) -> Self:
        """Sums of the same kind about the same point over other rows."""
        ...


class ClosedFormEstimator(InferentialEstimator):
    """Base of the families whose objective is a quadratic form in θ.

    A family says which sums it needs (`_sums`), what it estimates from them (`_estimate`) and what their quadratic form
    is (`_form`).
    """

    # The sums of all blocks so far, and what they are sums of.
    _moments: Any
    _kind: tuple[object, ...]

    # -- what a family provides ----------------------------------------------------------------------------------

    @abstractmethod
    def _sums(self, X: Floats, sample_weight: Doubles | None, earlier: Any) -> Sums:
        """The sums over X, to be added to `earlier` ones unless that is None."""

    @abstractmethod
    def _estimate(self, sums: Any) -> None:
        """Set `theta_` and what follows from it, and `objective_`."""

    def _estimates(self, vectors: Doubles, like: Any, n_samples: int) -> Doubles | None:
        """θ from each of many sums, given by their vectors, (n, n_numbers), and sums about the same point.

        (n, n_params), rows of NaN where only `_estimate` can tell what is to be done. None from a family that takes
        them one by one.
        """
        return None

    @abstractmethod
    def _exact_form(self, X: Floats, sample_weight: Doubles | None) -> QuadraticForm:
        """Γ and g of the exact objective."""

    @abstractmethod
    def _estimate_by_objective(self, X: Floats, sample_weight: Doubles | None) -> None:
        """The same as `_estimate` for an objective that is not exact, whose quadratic form is not one of sums."""

    def _form(self, X: Floats, sample_weight: Doubles | None) -> QuadraticForm:
        """Γ and g of the objective."""
        exact = self._exact_form(X, sample_weight)
        return exact if self._is_exact else dense_form(objective_of(self), exact, self._loss(X, sample_weight))

    def _set_minimum(self, found: FormMinimum) -> None:
        """Note how good the minimum of a form is that an objective which is not exact has led to."""
        self.objective_, self.converged_, self.n_iter_ = found.value, found.converged, found.n_iter

    def _check_options(self) -> None:
        """Raise an error where an option of the constructor is wrong."""
        self._check_domain()

    def _training_samples(
        self, X: ArrayLike, sample_weight: ArrayLike | None, *, reset: bool
    ) -> tuple[Floats, Doubles | None]:
        """The rows to fit, checked, and their weights on their own scale."""
        X = self._check_samples(X, reset=reset)
        return X, raw_sample_weight(sample_weight, len(X))

    # -- what it gives -------------------------------------------------------------------------------------------

    def fit(self, X: ArrayLike, y: object = None, sample_weight: ArrayLike | None = None) -> Self:
        """Estimate the parameters by score matching, in one pass over the data. A fit that fails changes nothing.

        Parameters
        ----------
        X : array_like of shape (n_samples, n_features)
            The data: anything scikit-learn takes, float32 and float64 without a copy; a ``numpy.memmap`` may be
            larger than memory.
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
            self.__dict__.pop("_moments", None)
            self._add(X, sample_weight)
        return self

    def partial_fit(self, X: ArrayLike, y: object = None, sample_weight: ArrayLike | None = None) -> Self:
        """Add a block of data to what was fitted before: blocks one after the other equal all of them at once.

        A block that is refused leaves the model, and what it had seen, as it was.

        Parameters
        ----------
        X : array_like of shape (n_samples, n_features)
            The block. The first one should have some rows: sums are taken about a point near them.
        y : None
            Ignored; there for scikit-learn's pipelines.
        sample_weight : array_like of shape (n_samples,), optional
            Weights of the rows, on one scale for all blocks. All 1 where None.

        Returns
        -------
        Self
            The estimator, fitted on all blocks so far.

        Raises
        ------
        ValueError
            Also where the model is from a file, from parameters or from a robust fit: it does not hold the sums of its
            data; and with `robust` or an `objective` that is not exact, which need all rows at once.
        """
        check_fits_in_blocks(self)
        if exponent_of(self) > 0:
            raise ValueError(
                f"partial_fit does not go with robust={self.robust:g}: the weights of earlier rows depend on later "
                "ones, so that all are needed at once. Call fit, or choose robust=0"
            )
        if hasattr(self, "theta_") and not hasattr(self, "_moments"):
            raise ValueError(
                "a model from a file, from parameters or from a robust fit does not hold the sums of its data; call "
                "fit to start anew"
            )
        with self._all_or_nothing():
            self._add(X, sample_weight)
        return self

    def quadratic_form(self, X: ArrayLike, sample_weight: ArrayLike | None = None) -> QuadraticForm:
        r"""Γ and g of the objective :math:`J(\theta) = \tfrac12\theta^\top\Gamma\theta - g^\top\theta` (+ a constant).

        It is the objective that the option `objective` names, with its random vectors.

        Parameters
        ----------
        X : array_like of shape (n_samples, n_features)
            The data. The model need not be fitted.
        sample_weight : array_like of shape (n_samples,), optional
            Weights of the rows; all 1 where None.

        Returns
        -------
        gamma : ndarray of shape (n_params, n_params)
            In the order of ``theta_``, without penalties.
        g : ndarray of shape (n_params,)
            The linear term.
        """
        self._check_options()
        with self._all_or_nothing():
            X = self._check_samples(X, reset=not hasattr(self, "n_features_in_"))
            return self._form(X, check_sample_weight(sample_weight, len(X)))

    def _objective_hessian(self, X: Floats, sample_weight: Doubles | None) -> tuple[Doubles, float]:
        return self._form(X, sample_weight).gamma, self._form_accuracy(X)

    def _form_accuracy(self, X: Floats) -> float:
        """The relative error of Γ: that of gradients, in the float type of X, where it is not one of moments."""
        return EXACT if self._is_exact else 16 * float(np.finfo(X.dtype).eps)

    def _training_rows(self, X: ArrayLike, sample_weight: ArrayLike | None) -> tuple[Floats, Doubles | None]:
        return self._training_samples(X, sample_weight, reset=False)

    def _estimates_from_sums(self) -> bool:
        return self._is_exact and exponent_of(self) == 0

    def _estimate_from(self, sums: Any) -> None:
        """Set all that a fit gives."""
        self.converged_, self.n_iter_ = True, 1
        self._estimate(sums)
        self._check_objective()

    def _sums_in_blocks(self, X: Floats, sample_weight: Doubles | None, earlier: Any) -> Any:
        sums = None
        for block in blocks_of_field(self._domain(), self._settled_weight(X, sample_weight), len(X)):
            weight = None if sample_weight is None else sample_weight[block]
            with rows_from(block.start):
                more = self._sums(X[block], weight, earlier if sums is None else sums)
            sums = more if sums is None else sums + more
        return sums

    def _sums_of_blocks(self, X: Floats, sample_weight: Doubles | None, ends: NDArray[np.intp], like: Any) -> Doubles:
        """The vectors of the sums over the rows between two ends, (n_blocks, n_numbers), about the point of `like`."""
        sums = np.empty((len(ends) - 1, like.as_vector().size))
        for vector, (begin, end) in zip(sums, itertools.pairwise(ends.tolist()), strict=True):
            weight = None if sample_weight is None else sample_weight[begin:end]
            vector[:] = self._sums_in_blocks(X[begin:end], weight, like).as_vector()
        return sums

    def _add(self, X: ArrayLike, sample_weight: ArrayLike | None) -> None:
        name = type(self).__name__
        self._check_options()
        earlier = getattr(self, "_moments", None)
        X, raw_weight = self._training_samples(X, sample_weight, reset=earlier is None)
        if self._family:  # others have their statistics from the user, of a size of their own
            check_not_tiny(X)
        weight = check_sample_weight(raw_weight, len(X))
        if earlier is None:
            self._settle_weight(X, weight)
            self._settle_objective(X, weight)
        if len(X) + (0 if earlier is None else earlier.n_samples) < 2:
            raise ValueError(f"{name} needs at least 2 samples; got n_samples = 1")
        forget(self)
        if exponent_of(self) > 0:
            self._fit_robustly(X, weight)
            self._training = X, weight
            return
        if not self._is_exact:
            self.converged_, self.n_iter_ = True, 1
            self._estimate_by_objective(X, weight)
            self._check_objective()
            self._training = X, weight
            return
        sums = self._sums_in_blocks(X, weight, earlier)
        if raw_weight is not None:  # the checked ones have mean 1
            sums = sums.times(float(np.mean(raw_weight)))
        kind = (sums.kind, self._domain(), self._weight())
        if earlier is not None:
            if kind != self._kind:
                raise ValueError(f"options of {name} have changed since the last block; call fit to start anew")
            sums = earlier + sums
        self._estimate_from(sums)
        self._moments, self._kind = sums, kind
        if earlier is None:
            self._training = X, weight
        else:  # earlier blocks are not held
            self.__dict__.pop("_training", None)

    def _fit_robustly(self, X: Floats, sample_weight: Doubles | None) -> None:
        sums: Any = None

        def estimate(weight: Doubles | None, again: bool = False) -> None:
            nonlocal sums
            sums = self._sums_in_blocks(X, weight, sums)  # about the same point as the ones before
            self.converged_, self.n_iter_ = True, 1
            self._estimate(sums)

        with self._reusing():
            fit_robustly(self, X, sample_weight, estimate)
        self._check_objective()

    def _reusing(self) -> AbstractContextManager[None]:
        """Inside, the same rows come again and again with other weights."""
        return nullcontext()
