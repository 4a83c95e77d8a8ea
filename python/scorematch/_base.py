"""What every estimator shares: the calls on a fitted model, and the way from parameters to a model."""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, DensityMixin
from sklearn.exceptions import NotFittedError
from sklearn.utils import check_random_state

from scorematch import _core
from scorematch._field import (
    blocks_of_field,
    check_domain,
    check_inside,
    compiled_field,
    has_boundary,
    settled_weight,
)
from scorematch._objectives import check_resolution, default_step, is_exact, objective_of
from scorematch._sampling import ChainOptions, Draw, NoSamplerError, draw
from scorematch._threads import effective_threads
from scorematch._validation import (
    Floats,
    check_count,
    check_sample_weight,
    check_samples,
    check_theta,
    raw_sample_weight,
)
from scorematch._windham import central_rows
from scorematch.domains import Sphere

# θ to J(θ) and its gradient.
Loss = Callable[[NDArray[np.float64]], tuple[float, NDArray[np.float64]]]


class ScoreMatchingEstimator(DensityMixin, BaseEstimator, ABC):
    """Base of all families.

    A family says which compiled family it is (`_family`, `_variant`, `_size`, `_constants`), how θ and its public
    parameters turn into each other (`_set_params_from_theta`, `_theta_from_params`). How it is fitted is up to the
    classes between: `WholeDataEstimator`, `IterativeEstimator` and `ClosedFormEstimator`.
    """

    # The name in the compiled registry; empty where a family has its derivatives from elsewhere, and overrides
    # `_layout`, `_evaluate_rows` and `_loss`.
    _family: ClassVar[str] = ""
    # False where it is another family that chooses one of its options by itself.
    _is_family: ClassVar[bool] = True
    # Parameters that from_params needs, and those that it may be given.
    _required_params: ClassVar[tuple[str, ...]]
    _optional_params: ClassVar[tuple[str, ...]] = ()
    # Whether it lives on the sphere, and not in space or a part of it.
    _on_sphere: ClassVar[bool] = False
    # Attributes that, beside theta_, make the fitted model: what a file must hold.
    _state: ClassVar[tuple[str, ...]] = ()

    n_features_in_: int
    theta_: NDArray[np.float64]
    params_: dict[str, NDArray[np.float64]]
    weight_: Any
    objective_: float
    converged_: bool
    n_iter_: int
    # Of a fit by Windham's weights: the final ones, of mean 1, and how often they were made anew (see _windham.py).
    robust_weights_: NDArray[np.float64]
    n_reweightings_: int
    # Of an objective that is not exact: what its random vectors come from, and the step of its differences.
    noise_seed_: int
    difference_step_: float

    # What the norm term of the objective is multiplied by: more than 1 while a density to that power is fitted.
    _power: float = 1.0
    # Whether a fit keeps the random vectors and the step of the one before: those of resamples do.
    _keeps_objective: bool = False

    # -- what a family provides ----------------------------------------------------------------------------------

    @abstractmethod
    def _set_params_from_theta(self) -> None:
        """Set `params_` and the fitted attributes from `theta_`."""

    @abstractmethod
    def _theta_from_params(self, params: dict[str, Any]) -> tuple[int | None, NDArray[np.float64]]:
        """The number of features and θ from what `from_params` was given; errors name the parameter.

        None where the parameters do not tell how many features there are.
        """

    def _layout(self) -> list[tuple[str, Literal["dense", "symmetric", "lower"], tuple[int, ...]]]:
        """The blocks of θ, in order: name, how it is stored, shape."""
        return self._compiled().layout()

    def _has_log_density(self) -> bool:
        """Whether log p̃ itself can be worked out, not only its derivatives."""
        return True

    def _variant(self) -> str:
        return ""

    def _size(self) -> int:
        """Number of components of the compiled family; 0 where it has none."""
        return 0

    def _constants(self) -> list[float]:
        """Parameters of the compiled family that are given, not estimated."""
        return []

    def _origin(self) -> NDArray[np.float64] | None:
        """The point that the compiled family takes for the origin; None for zero."""
        return None

    def _compiled_theta(self) -> NDArray[np.float64]:
        """θ in the coordinates of the compiled family."""
        return self.theta_

    def _log_density(self, X: Floats, theta: NDArray[np.float64]) -> NDArray[np.float64]:
        """The log density less a constant, at rows that are checked and any θ of the compiled family."""
        field = _core.Field.sphere() if self._on_sphere else _core.Field.euclidean()
        found = _core.evaluate(self._compiled(), theta, X, field, ["log_density"], self._threads(), self._origin())
        return found["log_density"].astype(np.float64, copy=False)

    def _check_density(self) -> None:
        """An error where exp of the log density is known to have no finite integral: there is nothing to draw from."""

    def _sampler(self, random: np.random.RandomState) -> Draw:
        """What gives n exact draws, before any truncation; `NoSamplerError` where these parameters have no such."""
        raise NoSamplerError(f"{type(self).__name__} has no exact sampler")

    def _truncated_sampler(self, random: np.random.RandomState) -> Draw | None:
        """What gives n exact draws on the domain and rejects none; None where there is no such."""
        return None

    def _gibbs_draws(self, n_samples: int, random: np.random.RandomState, options: ChainOptions) -> NDArray[np.float64]:
        """Draws by Gibbs sampling; `NoSamplerError` where there is no such."""
        where = "" if self._domain() is None else f" on {self._domain()!r}"
        raise NoSamplerError(f"{type(self).__name__} has no Gibbs sampler{where}")

    def _score_in_python(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """ψ at points of the domain, of a family that is not compiled; not finite where it overflows."""
        return self._evaluate_rows(points, "score")["score"].astype(np.float64, copy=False)

    def _log_density_in_python(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Log p̃ there."""
        return self._evaluate_rows(points, "log_density")["log_density"].astype(np.float64, copy=False)

    @property
    def _counted(self) -> str:
        """What `n_iter_` counts."""
        return "iteration"

    def _check_samples(self, X: ArrayLike, *, reset: bool = False, finite: bool = True) -> Floats:
        """X, checked, and in the domain."""
        X = check_samples(self, X, reset=reset, finite=finite)
        check_inside(X, self._domain())
        return X

    def _domain(self) -> Any:
        return getattr(self, "domain", None)

    def _weight(self) -> Any:
        return getattr(self, "weight", None)

    # -- construction --------------------------------------------------------------------------------------------

    @classmethod
    def from_params(cls, **parameters: Any) -> Self:
        """Make a ready model from known parameters, without data.

        Parameters
        ----------
        **parameters
            The fitted attributes without the trailing underscore, as the class documents them (the keys of
            ``params_``), and any option of the constructor beside them.

        Returns
        -------
        Self
            A model on which everything but refitting works as if it had been fitted.

        Examples
        --------
        >>> import scorematch
        >>> model = scorematch.Gaussian.from_params(mean=[0.0], covariance=[[4.0]])
        >>> model.score_function([[2.0]])
        array([[-0.5]])
        """
        options = {name: parameters.pop(name) for name in cls._get_param_names() if name in parameters}
        known = (*cls._required_params, *cls._optional_params)
        unknown = [name for name in parameters if name not in known]
        if unknown:
            raise TypeError(
                f"{cls.__name__}.from_params() has no parameter {unknown[0]!r}; parameters are {', '.join(known)}, "
                f"options {', '.join(cls._get_param_names())}"
            )
        missing = [name for name in cls._required_params if name not in parameters]
        if missing:
            raise TypeError(f"{cls.__name__}.from_params() needs {missing[0]!r}")
        model = cls(**options)
        n_features, theta = model._theta_from_params(parameters)
        if n_features is not None:
            model.n_features_in_ = n_features
        model._check_domain()
        model._set_theta(theta)
        return model

    @abstractmethod
    def fit(self, X: ArrayLike, y: object = None, sample_weight: ArrayLike | None = None) -> Self:
        """Estimate the parameters by score matching; a fit that fails leaves the model as it was."""

    # -- fitting again -------------------------------------------------------------------------------------------

    def _copy(self) -> Self:
        # scikit-learn's own way takes as long as the estimate of a few rows.
        model = object.__new__(type(self))
        model.__dict__.update(self.__dict__)
        return model

    def _for_refits(self, seed: int) -> Self:
        """A copy to be fitted again to other rows: on one thread, silent, with the weight that this fit settled."""
        model = self._copy()
        fixed = {"n_jobs": 1, "verbose": 0, "random_state": seed}
        if hasattr(self, "weight_"):
            fixed["weight"] = self.weight_
        model._keeps_objective = True
        for name in fixed.keys() & set(self._get_param_names()):
            setattr(model, name, fixed[name])
        return model

    def _training_rows(
        self, X: ArrayLike, sample_weight: ArrayLike | None
    ) -> tuple[Floats, NDArray[np.float64] | None]:
        """The rows that a fit to X would see, and their weights on their own scale."""
        X = self._check_samples(X)
        return X, raw_sample_weight(sample_weight, len(X))

    def _fit_again(self, X: Floats, sample_weight: NDArray[np.float64]) -> None:
        """Fit to rows that are much like those of the fit; from its θ on, where a fit needs a start."""
        self.fit(X, sample_weight=sample_weight)

    def _estimates_from_sums(self) -> bool:
        """Whether the estimate is a function of sums over rows, and it is `ClosedFormEstimator` that it comes from."""
        return False

    # -- the model at its θ --------------------------------------------------------------------------------------

    @property
    def theta_names_(self) -> list[str]:
        """Names of the entries of ``theta_``, such as ``precision[0,1]``."""
        self._check_is_fitted()
        return self._names_of_theta(None)

    def _names_of_theta(self, columns: Sequence[str] | None) -> list[str]:
        """The same with names of columns, where these are given, in place of their numbers."""
        names: list[str] = []
        for name, packing, shape in self._layout():
            labels: list[Sequence[object]] = [range(length) for length in shape]
            for axis in self._axes_of_features(packing, shape) if columns is not None else ():
                labels[axis] = columns or ()
            for position in itertools.product(*(range(length) for length in shape)):
                row, column = position[-2:] if packing != "dense" else (0, 0)
                if (packing == "symmetric" and column < row) or (packing == "lower" and column > row):
                    continue
                place = ",".join(str(label[i]) for label, i in zip(labels, position, strict=True))
                names.append(f"{name}[{place}]" if position else name)
        return names

    def _axes_of_features(self, packing: str, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Which axes of a block of θ run over the columns of X, as far as its shape tells."""
        d, n_axes = self.n_features_in_, len(shape)
        if packing != "dense":
            return (n_axes - 2, n_axes - 1) if shape[-1] == d else ()
        # A vector of a family with components may be one of them.
        sure = n_axes > 1 or (bool(self._family) and self._size() != d)
        return (n_axes - 1,) if n_axes and shape[-1] == d and sure else ()

    def score_function(self, X: ArrayLike) -> Floats:
        """The score function, the gradient of log p with respect to x.

        Parameters
        ----------
        X : array_like of shape (n_samples, n_features)
            The points.

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            Of the float type of `X`. On the sphere the tangential gradient.
        """
        return self._evaluate(X, "score")["score"]

    def hessian_diagonal(self, X: ArrayLike) -> Floats:
        """The diagonal of the Hessian of log p with respect to x.

        Parameters
        ----------
        X : array_like of shape (n_samples, n_features)
            The points.

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            Of the float type of `X`.
        """
        return self._evaluate(X, "hessian_diagonal")["hessian_diagonal"]

    def hessian_trace(self, X: ArrayLike) -> Floats:
        """The trace of the Hessian of log p with respect to x.

        Parameters
        ----------
        X : array_like of shape (n_samples, n_features)
            The points.

        Returns
        -------
        ndarray of shape (n_samples,)
            Of the float type of `X`. On the sphere the Laplace-Beltrami operator of log p.
        """
        return self._evaluate(X, "hessian_trace")["hessian_trace"]

    def score_matching_terms(self, X: ArrayLike) -> tuple[Floats, Floats]:
        """The two terms of the exact objective, a row at a time, whatever `objective` the model is fitted by.

        On all of space they are half the squared norm of the score function and the Hessian trace; on other domains
        the weighted ones that take their place, the derivative of the weight with the second.

        Parameters
        ----------
        X : array_like of shape (n_samples, n_features)
            The points.

        Returns
        -------
        norm_term, hessian_term : ndarray of shape (n_samples,)
            Of the float type of `X`.
        """
        terms = self._evaluate(X, "norm_term", "hessian_term")
        return terms["norm_term"], terms["hessian_term"]

    def hyvarinen_score(self, X: ArrayLike) -> Floats:
        """The Hyvärinen score: the sum of the two terms of the objective, a row at a time. Lower is better.

        Parameters
        ----------
        X : array_like of shape (n_samples, n_features)
            The points.

        Returns
        -------
        ndarray of shape (n_samples,)
            Of the float type of `X`.
        """
        norm_term, hessian_term = self.score_matching_terms(X)
        return norm_term + hessian_term

    def score(self, X: ArrayLike, y: object = None, sample_weight: ArrayLike | None = None) -> float:
        """Minus the mean Hyvärinen score, so that higher is better, as scikit-learn's model selection expects.

        Not to be confused with :meth:`score_function`. It is that of the exact objective, whatever `objective` the
        model is fitted by. It depends on the scale of the data: compare only models of
        the same data on the same scale, domain and weight.

        Parameters
        ----------
        X : array_like of shape (n_samples, n_features)
            The data.
        y : None
            Ignored; there for scikit-learn's pipelines.
        sample_weight : array_like of shape (n_samples,), optional
            Weights of the rows; all 1 where None.

        Returns
        -------
        float
            The mean over the rows.
        """
        self._check_is_fitted()
        values = self.hyvarinen_score(X).astype(np.float64, copy=False)
        return -float(np.average(values, weights=check_sample_weight(sample_weight, len(values))))

    def unnormalized_log_density(self, X: ArrayLike) -> Floats:
        """The logarithm of the density, up to a constant that does not depend on x.

        Parameters
        ----------
        X : array_like of shape (n_samples, n_features)
            The points.

        Returns
        -------
        ndarray of shape (n_samples,)
            Of the float type of `X`.
        """
        return self._evaluate(X, "log_density")["log_density"]

    def loss_and_grad(
        self, theta: ArrayLike, X: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> tuple[float, NDArray[np.float64]]:
        """The objective J(θ) at any θ, and its gradient: the one that the option `objective` names.

        Parameters
        ----------
        theta : array_like of shape (n_params,)
            Working parameters, in the order of ``theta_names_``.
        X : array_like of shape (n_samples, n_features)
            The data.
        sample_weight : array_like of shape (n_samples,), optional
            Weights of the rows; all 1 where None.

        Returns
        -------
        loss : float
            The weighted mean over the rows of the objective at `theta`: of the Hyvärinen score where it is exact.
        gradient : ndarray of shape (n_params,)
            Its derivatives with respect to `theta`.
        """
        self._check_is_fitted()
        X = self._check_samples(X)
        vector = check_theta(theta, len(self.theta_))
        return self._loss(X, check_sample_weight(sample_weight, len(X)))(vector)

    def sample(
        self,
        n_samples: int = 1,
        random_state: Any = None,
        method: Literal["auto", "exact", "gibbs", "langevin", "mala", "hmc"] = "auto",
        *,
        n_chains: int | None = None,
        n_warmup: int | None = None,
        thin: int | None = None,
        step_size: float | None = None,
    ) -> NDArray[np.float64]:
        """Draw from the fitted distribution.

        Parameters
        ----------
        n_samples : int, default=1
            How many rows.
        random_state : int, RandomState or None
            Seed or generator.
        method : {"auto", "exact", "gibbs", "langevin", "mala", "hmc"}, default="auto"
            "exact" gives independent draws by the family's exact sampler, by rejection on a domain with a boundary.
            "auto" does so where there is one and rejection keeps one draw in 500. Else it takes the family's Gibbs
            sampler, if it has one; else slice sampling, on domains that may have several parts, ``Intervals``,
            ``Inequalities`` and those of your own; and else "hmc". "langevin", "mala" and "hmc" are those of
            :mod:`scorematch.samplers`; "langevin" is biased by its step. On ``Simplex()`` "mala" and "hmc" move in the
            logarithms of the ratios of its parts.
        n_chains : int, optional
            Markov chains to take the rows from in turn. Where None, 32 to 256, and one for each row by the Gibbs
            samplers of :mod:`scorematch.datasets`. Rows of different chains are independent of each other.
        n_warmup : int, optional
            Iterations before the first row of a chain; where None, 200 of slice sampling, 500 of "gibbs", 1000 of
            "hmc", 2000 of "mala" and "langevin".
        thin : int, optional
            Iterations from one row of a chain to its next; where None, 20, 10, 20 and 100.
        step_size : float, optional
            Of "langevin", "mala" and "hmc"; found where None, as these say.

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            The draws. By "exact" they are independent; by chains they follow the distribution as far as the chains have
            forgotten where they began. For diagnostics of that, call the functions of :mod:`scorematch.samplers`.

        Raises
        ------
        ValueError
            Where the density is known to have no finite integral, where the model has no sampler of the kind that was
            asked for, and where rejection, asked for by "exact", keeps fewer than one draw in 100 000.
        """
        self._check_is_fitted()
        options = ChainOptions(n_chains, n_warmup, thin, step_size)
        random = check_random_state(random_state)
        return draw(self, check_count("n_samples", n_samples), random, method, options)

    # -- machinery -----------------------------------------------------------------------------------------------

    def _check_is_fitted(self) -> None:
        # scikit-learn's own check takes longer than the objective of a small sample.
        if not hasattr(self, "theta_"):
            name = type(self).__name__
            raise NotFittedError(
                f"This {name} instance is not fitted yet. Call 'fit' first, or make a model with {name}.from_params()."
            )

    @contextmanager
    def _all_or_nothing(self) -> Iterator[None]:
        """Whatever goes wrong inside, an interruption among them: the model is what it was, and not half another."""
        before = self.__dict__.copy()
        try:
            yield
        except BaseException:
            self.__dict__.clear()
            self.__dict__.update(before)
            raise

    def _check_objective(self) -> None:
        """An error where data are of a size with which it cannot be worked out."""
        if not np.isfinite(self.objective_):
            raise ValueError(
                f"the objective at the estimate is {self.objective_}: it is of the size of 1/X², which is out of the "
                "range of the float type for columns that are so small or so large. Rescale X"
            )

    def _set_theta(self, theta: NDArray[np.float64]) -> None:
        self.__dict__.pop("_cached_sandwich", None)
        self.theta_ = np.ascontiguousarray(theta, dtype=np.float64)
        self._set_params_from_theta()

    def _compiled(self) -> _core.Family:
        return _core.Family(self._family, self._variant(), self.n_features_in_, self._size(), self._constants())

    def _check_domain(self) -> None:
        """Raise an error where domain, weight and objective are none, or do not go together or with this family."""
        domain = self._domain()
        check_domain(domain, self._weight())
        if isinstance(domain, Sphere) != self._on_sphere:
            where = "it lives on the sphere" if self._on_sphere else "VonMisesFisher lives on it"
            raise ValueError(f"{type(self).__name__} has no domain {domain!r}; {where}")
        objective_of(self)

    @property
    def _has_boundary(self) -> bool:
        return has_boundary(self._domain())

    def _has_unbounded_score(self) -> bool:
        """Whether the score function grows without bounds towards the boundary: other weights suit it."""
        return False

    def _settle_weight(self, X: Floats, sample_weight: NDArray[np.float64] | None) -> None:
        """Set `weight_`: the default where the user gives none, and caps that are quantiles of the training data."""
        self.weight_ = self._weight_on(X, sample_weight)

    def _weight_on(self, X: Floats, sample_weight: NDArray[np.float64] | None) -> Any:
        unbounded = self._has_unbounded_score()
        return settled_weight(self._domain(), self._weight(), X, sample_weight, unbounded_score=unbounded)

    def _settled_weight(self, X: Floats, sample_weight: NDArray[np.float64] | None = None) -> Any:
        """That of the fit; a model without one takes quantiles from the data at hand."""
        return self.weight_ if hasattr(self, "weight_") else self._weight_on(X, sample_weight)

    def _field(self, X: Floats, sample_weight: NDArray[np.float64] | None = None) -> _core.Field:
        """Domain and weight at samples, as the objective sees them."""
        field = self._exact_field(X, sample_weight)
        return field if self._is_exact else self._objective_field(field, X, sample_weight)

    def _exact_field(self, X: Floats, sample_weight: NDArray[np.float64] | None = None) -> _core.Field:
        """The same for the objective with the exact Hessian trace."""
        field = self._unraised_field(X, sample_weight)
        return field if self._power == 1 else field.raised(self._power)

    @property
    def _is_exact(self) -> bool:
        return is_exact(self)

    def _objective_field(
        self,
        field: _core.Field,
        X: Floats,
        sample_weight: NDArray[np.float64] | None = None,
        step: float | None = None,
    ) -> _core.Field:
        """The field with an objective that is not exact; `step` in place of the one that the data have settled."""
        objective = objective_of(self)
        self._settle_rest_of_objective(X, sample_weight)
        if step is None or objective.difference_step is not None:
            step = getattr(self, "difference_step_", 1.0)
        return objective.field(field, self.noise_seed_, step)

    def _settle_objective(self, X: Floats, sample_weight: NDArray[np.float64] | None) -> None:
        """Choose the random vectors and the step of the objective, for this fit and all that is asked of it."""
        if not self._keeps_objective:
            for name in ("noise_seed_", "difference_step_"):
                self.__dict__.pop(name, None)
        if self._is_exact:
            return
        self._settle_rest_of_objective(X, sample_weight)
        if not (self._keeps_objective or getattr(self, "whiten", False)):
            step = getattr(self, "difference_step_", 1.0)
            check_resolution(objective_of(self), X, sample_weight, step, self._threads())

    def _settle_rest_of_objective(self, X: Floats, sample_weight: NDArray[np.float64] | None) -> None:
        """Choose what is not chosen yet: a model from parameters does so at its first use."""
        objective = objective_of(self)
        if not hasattr(self, "noise_seed_"):
            self.noise_seed_ = int(check_random_state(getattr(self, "random_state", None)).randint(2**31 - 1))
        if objective.name == "finite_difference" and not hasattr(self, "difference_step_"):
            given = objective.difference_step
            self.difference_step_ = default_step(X, sample_weight, self._threads()) if given is None else given

    def _unraised_field(self, X: Floats, sample_weight: NDArray[np.float64] | None = None) -> _core.Field:
        """Domain and weight at samples, of which moments are taken: those know no power."""
        return compiled_field(self._domain(), self._settled_weight(X, sample_weight), X)

    def _rows_to_begin_with(self, X: Floats) -> NDArray[np.bool_]:
        """What a robust fit is begun with: the rows that are surely no outliers."""
        return central_rows(X)

    @contextmanager
    def _raised(self, power: float) -> Iterator[None]:
        """Inside, the objective is that of the density to this power, over the power."""
        self._power = power
        try:
            yield
        finally:
            del self._power

    def _threads(self) -> int:
        return effective_threads(getattr(self, "n_jobs", None))

    def _evaluate(self, X: ArrayLike, *wanted: str) -> dict[str, Floats]:
        self._check_is_fitted()
        return self._evaluate_rows(self._check_samples(X), *wanted)

    def _evaluate_rows(self, X: Floats, *wanted: str) -> dict[str, Floats]:
        """The same on rows that are checked: those of the fit come without the names of their columns."""
        # Weights belong to the objective; what is asked of the density itself holds on the boundary too.
        weighted = self._has_boundary and not {"norm_term", "hessian_term"}.isdisjoint(wanted)
        if not weighted:
            field = _core.Field.sphere() if self._on_sphere else _core.Field.euclidean()
            return self._evaluate_in(field, X, wanted)
        domain, weight = self._domain(), self._settled_weight(X)
        results = [
            self._evaluate_in(compiled_field(domain, weight, X[block]), X[block], wanted)
            for block in blocks_of_field(domain, weight, len(X))
        ]
        if len(results) == 1:
            return results[0]
        return {name: np.concatenate([result[name] for result in results]) for name in wanted}

    def _evaluate_in(self, field: _core.Field, X: Floats, wanted: Iterable[str]) -> dict[str, Floats]:
        return _core.evaluate(
            self._compiled(), self._compiled_theta(), X, field, list(wanted), self._threads(), self._origin()
        )

    def _loss(self, X: Floats, sample_weight: NDArray[np.float64] | None) -> Loss:
        """The objective on fixed data, compiled: what the optimisers call."""
        return self._loss_about(self._origin(), X, sample_weight)

    def _loss_about(
        self, origin: NDArray[np.float64] | None, X: Floats, sample_weight: NDArray[np.float64] | None
    ) -> Loss:
        """The same with the compiled family seeing X − origin."""
        field = self._field(X, sample_weight)
        return _core.Loss(self._compiled(), X, sample_weight, field, self._threads(), origin)
