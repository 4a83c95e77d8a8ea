"""What models of linear experts share: log p = base + Σ αₖ G(uₖ) with u = Vx + c (see linear_experts.hpp)."""

from __future__ import annotations

import itertools
from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_random_state

from scorematch import _core
from scorematch._estimating import EstimatingEquations, Stationary
from scorematch._iterative import IterativeEstimator
from scorematch._objectives import RELATIVE_STEP
from scorematch._optimize import Loss, Variables, warn_unless_converged
from scorematch._sampling import NoSamplerError
from scorematch._validation import Floats, check_count, check_flag, check_parameter
from scorematch._warnings import warn
from scorematch._whitened_equations import WhitenedEquations
from scorematch._whitening import Prepared, prepare
from scorematch.domains import NonNegative

Doubles = NDArray[np.float64]
# A root mean square of a component, or a coefficient, that no data ask for.
RUN_OFF = 1e4
# Subsets of components that are looked at, of which one sees as little of a direction as can be.
MOST_SUBSETS = 5000


@dataclass(frozen=True)
class Search:
    """Where components are looked for: in θ itself, or somewhere better (see `IterativeEstimator._minimise`)."""

    variables: Variables | None = None
    # Whether each component has length 1 on whitened data, and how many of the last entries of θ are positive.
    unit_rows: bool = False
    n_positive: int = 0


class LinearExperts(ClassNamePrefixFeaturesOutMixin, TransformerMixin, IterativeEstimator):
    """Base of those that are fitted by iteration from several starts, and turn data into components."""

    components_: Doubles

    # Options that all of their constructors have, beside those of IterativeEstimator.
    n_components: int | None
    n_init: int
    random_state: Any

    @property
    def _n_features_out(self) -> int:
        return len(self.components_)

    def _check_options(self) -> None:
        if self.n_components is not None:
            check_count("n_components", self.n_components)
        check_count("n_init", self.n_init)

    def _check_components(self, components: ArrayLike) -> Doubles:
        """The parameter of that name, which says how many there are."""
        matrix = check_parameter("components", components, (None, None))
        if 0 in matrix.shape:
            raise ValueError(f"components must not be empty; got shape {matrix.shape}")
        self.n_components = len(matrix)
        self._check_options()
        return matrix

    def _check_rows(self, X: Floats, sample_weight: Doubles | None) -> None:
        """An error where there are fewer rows than components."""
        n = len(X) if sample_weight is None else int(np.count_nonzero(sample_weight))
        needed = max(2, self.n_components or 0)
        if n < needed:
            given = f" with n_components={self.n_components}" if needed > 2 else ""
            weighted = "" if sample_weight is None else " of positive weight"
            raise ValueError(
                f"{type(self).__name__}{given} needs at least {needed} samples{weighted}; got n_samples = {n}"
            )


class IndependentExperts(LinearExperts):
    """Base of those without offsets, which look for directions: log p = Σ αₖ G(wₖᵀ(x − m)).

    A family says what of θ there is behind the components and where it starts (`_start_of_the_rest`).
    """

    whiten: bool
    mean_: Doubles

    # Why a component that collapses does so, and what helps against it alone.
    _why_collapse: ClassVar[str] = "too many rows agree in one direction"
    _remedy_of_collapse: ClassVar[str] = ""

    def transform(self, X: ArrayLike) -> Floats:
        """Components of the data, W(x − m).

        Parameters
        ----------
        X : array_like of shape (n_samples, n_features)
            The data.

        Returns
        -------
        ndarray of shape (n_samples, n_components)
            Of the float type of `X`.
        """
        self._check_is_fitted()
        X = self._check_samples(X)
        return np.asarray((X - self.mean_.astype(X.dtype)) @ self.components_.T.astype(X.dtype))

    @abstractmethod
    def _start_of_the_rest(self, n_components: int) -> Doubles:
        """What of θ follows the components, at the start; sets what `_constants` needs."""

    def _check_square(self) -> None:
        """An error where components are not sources that can be drawn one by one."""
        m, d = self.components_.shape
        if m != d:
            raise NoSamplerError(
                f"an exact sampler of {type(self).__name__} needs as many independent components as columns; "
                f"components_ is of shape ({m}, {d})"
            )

    def _check_density(self) -> None:
        if self._has_boundary and not isinstance(self._domain(), NonNegative):
            return  # on a bounded domain everything will do; of others nothing is known
        m, d = self.components_.shape
        rank = int(np.linalg.matrix_rank(self.components_))
        if rank < d:
            raise ValueError(
                f"a density of {type(self).__name__} needs as many independent components as columns: it is constant "
                "in directions that no component sees, and has no finite integral. components_ is of shape "
                f"({m}, {d}) and rank {rank}"
            )
        if not self._has_boundary:
            self._check_tails(unseen_directions(self.components_))

    def _check_tails(self, directions: Doubles) -> None:
        """An error where the density falls too slowly along one of the directions, or altogether.

        Without it, experts are held to fall steeply enough whatever their parameters are.
        """
        return

    def _collapse(self, components: Doubles, rest: Doubles, prepared: Prepared) -> str:
        """Which component is about to run off to infinity, in words; empty where none is."""
        with np.errstate(over="ignore", invalid="ignore"):
            spread = np.nan_to_num(prepared.spread(components), nan=np.inf)
        # Sources that fit the model have a spread of 1 or so, those with heavy tails one of some hundreds.
        k = int(np.argmax(spread))
        return "" if spread[k] < RUN_OFF else f"component {k} collapses"

    def _search(self, n_components: int, prepared: Prepared) -> Search:
        """Where components are looked for."""
        return Search()

    def _better_start(self, start: Doubles, loss: Loss, search: Search) -> Doubles:
        """A start, improved by a look at the objective."""
        return start

    def _origin(self) -> Doubles | None:
        return self.mean_ if self.mean_.any() else None

    def _check_options(self) -> None:
        super()._check_options()
        check_flag("whiten", self.whiten)

    def _check_mean(self, mean: ArrayLike | None, n_features: int) -> Doubles:
        """The parameter of that name; 0 where it is not given."""
        return np.zeros(n_features) if mean is None else check_parameter("mean", mean, (n_features,))

    def _estimating(self, X: Floats, sample_weight: Doubles | None) -> EstimatingEquations:
        if self.whiten and self._has_boundary:
            return Stationary(self)  # of given parameters: no fit does that
        m = len(self.components_)
        prepared = prepare(X, sample_weight, self.n_components, whiten=self.whiten, n_threads=self._threads())
        search = self._search(m, prepared)
        if not self.whiten and search.variables is None:
            return Stationary(self)
        return WhitenedEquations(self, prepared, search.variables)

    def _field_of_fit(self, X: Floats) -> _core.Field:
        if self._is_exact or not self.whiten:
            return self._field(X)
        # Columns of whitened data have the standard deviation 1.
        return self._objective_field(self._exact_field(X), X, step=RELATIVE_STEP)

    def _fit(self, X: Floats, sample_weight: Doubles | None) -> None:
        self._check_options()
        self._settings()
        if self.whiten and self._has_boundary:
            raise ValueError(
                f"whiten=True has no place on {self._domain()!r}: whitened data do not lie in it. Pass whiten=False"
            )
        self._check_rows(X, sample_weight)
        self._descend(X, sample_weight)

    def _refit(self, X: Floats, sample_weight: Doubles | None) -> None:
        self._descend(X, sample_weight, again=True)

    def _descend(self, X: Floats, sample_weight: Doubles | None, again: bool = False) -> None:
        prepared = prepare(X, sample_weight, self.n_components, whiten=self.whiten, n_threads=self._threads())
        r = len(prepared.scales)
        m = len(self.components_) if again else r if self.n_components is None else self.n_components
        search = self._search(m, prepared)
        rest = self.theta_[self.components_.size :] if again else self._start_of_the_rest(m)
        random = check_random_state(self.random_state)
        family = _core.Family(self._family, self._variant(), r, m, self._constants())
        loss = _core.Loss(family, prepared.data, sample_weight, self._field_of_fit(prepared.data), self._threads())

        def joined(components: Doubles, behind: Doubles) -> Doubles:
            return np.concatenate([components.ravel(), behind])

        starts: Iterable[Doubles]
        if again:
            starts = [joined(self.components_ @ np.linalg.pinv(prepared.matrix), rest)]
        else:
            anywhere = (joined(prepared.starts(m, random), rest) for _ in range(self.n_init))
            starts = (self._better_start(start, loss, search) for start in anywhere)
        minimum = self._minimise(
            family,
            prepared.data,
            sample_weight,
            starts,
            scale=joined(np.broadcast_to(1 / prepared.scales, (m, r)), np.ones_like(rest)),
            unit=float(np.sum(prepared.scales**-2.0)),
            random=random,
            fault=lambda theta: self._collapse(theta[: m * r].reshape(m, r), theta[m * r :], prepared),
            variables=search.variables,
            unit_rows=(m, r) if search.unit_rows else (0, 0),
            n_positive=search.n_positive,
        )
        components, rest = np.split(minimum.theta, [m * r])
        self.theta_ = joined(components.reshape(m, r) @ prepared.matrix, rest)
        self.mean_ = prepared.mean
        self.objective_ = self._loss(X, sample_weight)(self.theta_)[0]
        if minimum.fault:
            warn(
                f"{minimum.fault}, and so from every start: {self._why_collapse}, and there the objective has no lower "
                f"bound. What is returned is the best start itself, a random rotation. Try {self._remedy_of_collapse}"
                "fewer components (n_components), more rows, or more starts (n_init); look for duplicated or rounded "
                "values"
            )
            return
        whitening = "" if self.whiten or self._has_boundary else "whiten=True, "
        remedies = f"{self._first_remedy()}, {whitening}or more starts (n_init)"
        warn_unless_converged(type(self).__name__, minimum, remedies)


def best_common_coefficient(loss: Loss, at_one: Doubles, n_components: int) -> float:
    """The coefficient that is best if all experts have the same, from a θ where it is 1; 1 if none is best.

    In it the objective is a parabola through zero, aα²/2 + bα, of which the value and the slope at 1 tell all. (The
    slope in log α is the same there.)
    """
    value, gradient = loss(at_one)
    slope = float(gradient[-n_components:].sum())
    a, b = 2 * (slope - value), 2 * value - slope
    return -b / a if a > 0 > b else 1.0


def unseen_directions(components: Doubles) -> Doubles:
    """Unit vectors (n, d) that d − 1 independent components do not see, where a density falls most slowly.

    log p is piecewise linear far out (or logarithmic), with edges where components are 0, and its slope is extreme on
    them. Of many components, the first subsets alone.
    """
    m, d = components.shape
    if d == 1:
        return np.ones((1, 1))
    unit = components / np.maximum(np.linalg.norm(components, axis=1, keepdims=True), np.finfo(float).tiny)
    subsets = np.array(list(itertools.islice(itertools.combinations(range(m), d - 1), MOST_SUBSETS)))
    _, singular, right = np.linalg.svd(unit[subsets], full_matrices=True)
    independent = singular[:, -1] > 1e-9
    return np.asarray(right[independent, -1])
