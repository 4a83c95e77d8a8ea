"""The estimating equations of the pairwise interaction model: penalties, scales, and columns that are combined."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from scorematch._estimating import (
    EXACT,
    SET_TO_ZERO,
    EstimatingEquations,
    Penalty,
    Products,
    Stationary,
    about_mean,
    blocks_of_rows,
    products_of_rows,
)
from scorematch._field import field_values
from scorematch._objectives import rows_from
from scorematch._pairwise_form import PairwiseForm, SimplexForm, symmetric_index
from scorematch._pairwise_moments import power
from scorematch._validation import Floats

if TYPE_CHECKING:
    from scorematch._pairwise_interaction import PairwiseInteraction

Doubles = NDArray[np.float64]

DROPPED = "the rule that combines the columns has set it to 0"


def estimating(model: PairwiseInteraction, X: Floats, sample_weight: Doubles | None) -> EstimatingEquations:
    """The equations that a fit to these rows, on their own scale, has solved."""
    if model.scale is None:
        return _unscaled(model, X, sample_weight)
    inner = model._on_scale_of_fit(X, sample_weight)
    rows = X / model.scale_.astype(X.dtype)
    return Scaled(model, inner, _unscaled(inner, rows, sample_weight))


def _unscaled(model: PairwiseInteraction, X: Floats, sample_weight: Doubles | None) -> EstimatingEquations:
    return Symmetric(model, len(X)) if model.combine == "symmetric" else Columns(model, X, sample_weight)


class Symmetric(Stationary):
    """K_ij = K_ji is one unknown; those at 0 under a penalty stay there."""

    model: PairwiseInteraction

    def __init__(self, model: PairwiseInteraction, n_samples: int) -> None:
        self.multiplier = model._multiplier(n_samples)
        d, n_params = model._n_coordinates, len(model.theta_)
        index = symmetric_index(d)
        upper = np.triu_indices(d, 1)
        pairs, linear = index[upper], np.arange(d * (d + 1) // 2, n_params)
        zero = pairs[(model.theta_[pairs] == 0) & (model.alpha > 0)]
        zero = np.concatenate([zero, linear[(model.theta_[linear] == 0) & (model.alpha_linear > 0)]])
        directions = None
        if model.zero_row_sums or len(zero):
            directions = np.eye(n_params)
            if model.zero_row_sums:  # an entry takes from the diagonal, in its row and in its column
                for end in upper:
                    directions[index[end, end], pairs] = -1
                directions = np.delete(directions, np.append(zero, np.diagonal(index)), axis=1)
            else:
                directions = np.delete(directions, zero, axis=1)
        fixed = dict.fromkeys(zero.tolist(), SET_TO_ZERO)
        super().__init__(model, Penalty(np.zeros((0, 0)), directions, fixed))

    def rows(self, X: Floats) -> Doubles:
        rows = self.model._gradient_rows(X)
        if self.multiplier > 1:
            own = _multiplied(self.model, X, self.model.interaction_) * (self.multiplier - 1)
            i, j = np.triu_indices(own.shape[1])
            rows[:, : len(i)] += np.where(i == j, own[:, i, j], own[:, i, j] + own[:, j, i])
        return rows if self.directions is None else rows @ self.directions

    def products(self, X: Floats, sample_weight: Doubles | None) -> Products:
        if self.multiplier == 1:
            return super().products(X, sample_weight)
        return centred_products(self, X, sample_weight)

    def jacobian(self, X: Floats, sample_weight: Doubles | None) -> tuple[Doubles, float]:
        hessian, accuracy = self.model._objective_hessian(X, sample_weight)
        # The multiplier is that of the exact form, whatever the objective.
        form = self.model._exact_form(X, sample_weight)
        d = len(form.linear)
        own = np.einsum("jaa->ja", form.blocks) * (self.multiplier - 1)
        upper = np.triu_indices(d)
        pairs = np.arange(len(upper[0]))
        hessian[pairs, pairs] += np.where(upper[0] == upper[1], own[upper], own[upper] + own.T[upper])
        if self.directions is not None:
            hessian = self.directions.T @ hessian @ self.directions
        return hessian, accuracy


class Columns(EstimatingEquations):
    """Each column of K, with its η, by itself; K is their mean on the edges that the rule keeps."""

    def __init__(self, model: PairwiseInteraction, X: Floats, sample_weight: Doubles | None) -> None:
        self.model, self.multiplier = model, model._multiplier(len(X))
        moments = model._sums_in_blocks(X, sample_weight, None)
        form, columns = model._forms(moments)
        solution = model._solve(columns, moments)
        self.K, self.eta = model._restored(solution, form, moments.shift)
        d = len(self.K)
        self.size = d + bool(model.fit_linear)
        place = np.arange(d * self.size).reshape(d, self.size)  # of entry a of column j, at [j, a]
        free = np.ones((d, self.size), dtype=bool)
        free[:, :d] = (self.K.T != 0) | (model.alpha == 0) | np.eye(d, dtype=bool)
        if model.fit_linear:
            free[:, d:] = (self.eta[:, None] != 0) | (model.alpha_linear == 0)
        basis = np.eye(d * self.size)
        if model.zero_row_sums:
            for j in range(d):
                basis[place[j, j], place[j, :d]] = -1
            free[np.arange(d), np.arange(d)] = False
        self.basis = basis[:, free.ravel()]
        self.directions = self._combining(place) @ self.basis
        index = symmetric_index(d)
        off = np.triu_indices(d, 1)
        dropped = index[off][model.interaction_[off] == 0]
        self.fixed = dict.fromkeys(dropped.tolist(), DROPPED)
        if model.fit_linear:
            zero = len(self.directions) - d + np.flatnonzero(~free[:, d])
            self.fixed |= dict.fromkeys(zero.tolist(), SET_TO_ZERO)

    def _combining(self, place: NDArray[np.intp]) -> Doubles:
        """How θ moves with the columns."""
        d = len(self.K)
        combining = np.zeros((len(self.model.theta_), place.size))
        for k, (i, j) in enumerate(zip(*np.triu_indices(d), strict=True)):
            combining[k, place[j, i]] += 0.5
            combining[k, place[i, j]] += 0.5
        if self.model.fit_linear:
            combining[-d:][np.arange(d), place[:, d]] = 1
        return combining

    def rows(self, X: Floats) -> Doubles:
        """By ψ_j = −p_j uᵀK_j + q_j η_j with u = xᵃ, p = xᵃ⁻¹, q = xᵇ⁻¹, which column j alone enters."""
        model, d = self.model, len(self.K)
        values = X.astype(np.float64, copy=False)
        h, dh = field_values(model._domain(), model._settled_weight(X), values) if model._has_boundary else (1.0, 0.0)
        a, b = float(model.a), float(model.b)
        u, p, slope = power(values, a), values ** (a - 1), (a - 1) * values ** (a - 2)
        q, q_slope = values ** (b - 1), (b - 1) * values ** (b - 2)
        score = -p * (u @ self.K) + q * self.eta
        cotangent = model._power * h * score + dh
        found = np.empty((len(X), d, self.size))
        found[:, :, :d] = -(cotangent * p + h * slope)[:, :, None] * u[:, None, :]
        own = np.arange(d)
        found[:, own, own] -= h * (a or 1.0) * p**2
        if self.multiplier > 1:
            found[:, :, :d] += (self.multiplier - 1) * _multiplied(model, X, self.K)
        if model.fit_linear:
            found[:, :, d] = cotangent * q + h * q_slope
        return found.reshape(len(X), -1) @ self.basis

    def products(self, X: Floats, sample_weight: Doubles | None) -> Products:
        return centred_products(self, X, sample_weight)

    def jacobian(self, X: Floats, sample_weight: Doubles | None) -> tuple[Doubles, float]:
        form: PairwiseForm | SimplexForm = self.model._form(X, sample_weight)
        d, size = len(self.K), self.size
        own = np.arange(d)
        blocks = form.blocks.copy()
        blocks[:, own, own] *= self.multiplier
        whole = np.zeros((d, size, d, size))
        whole[own, :d, own, :d] = blocks
        if self.model.fit_linear:
            whole[own, :d, own, d] = whole[own, d, own, :d] = form.cross.T
            whole[own, d, own, d] = form.linear
        square = whole.reshape(d * size, d * size)
        return self.basis.T @ square @ self.basis, EXACT


def centred_products(equations: Symmetric | Columns, X: Floats, sample_weight: Doubles | None) -> Products:
    """Sums of φ and of its squares about its mean, from rows: the mean is minus the slope of the penalty."""
    weight = np.ones(len(X)) if sample_weight is None else sample_weight
    parts, doubly = [], []
    for block in blocks_of_rows(len(X), len(equations.model.theta_)):
        with rows_from(block.start):
            rows, loss = equations.rows(X[block]), equations.model._summed_objective(X[block], weight[block])
        parts.append(products_of_rows(loss, rows, weight[block]))
        doubly.append(weight[block] ** 2 @ rows)
    return about_mean(functools.reduce(Products.__add__, parts), np.sum(doubly, axis=0), weight)


def _multiplied(model: PairwiseInteraction, X: Floats, K: Doubles) -> Doubles:
    """What the multiplier, less 1, is multiplied by in ∂J/∂K: h_j p_j² u_a² K_aj for each row, (n, d, d) at [j, a].

    On the simplex, where columns are coupled, nothing: there the part of the multiplier counts as known.
    """
    d = len(K)
    if model._on_simplex:
        return np.zeros((len(X), d, d))
    values = X.astype(np.float64, copy=False)
    h = field_values(model._domain(), model._settled_weight(X), values)[0] if model._has_boundary else 1.0
    squares = model._power * h * values ** (2 * model.a - 2)
    return np.asarray(squares[:, :, None] * (power(values, model.a) ** 2)[:, None, :] * K.T)


class Scaled(EstimatingEquations):
    """The equations of columns that were divided by their scale first; θ is on their own."""

    def __init__(self, model: PairwiseInteraction, inner: PairwiseInteraction, equations: EstimatingEquations) -> None:
        self.scale, self.equations, self.fixed = model.scale_, equations, equations.fixed
        unit = np.eye(len(model.theta_))
        back = np.stack([model._pack(*model._rescaled(*inner._unpack(row), 1 / model.scale_)) for row in unit], axis=1)
        self.directions = back if equations.directions is None else back @ equations.directions

    def _scaled(self, X: Floats) -> Floats:
        return X / self.scale.astype(X.dtype)

    def rows(self, X: Floats) -> Doubles:
        return self.equations.rows(self._scaled(X))

    def products(self, X: Floats, sample_weight: Doubles | None) -> Products:
        return self.equations.products(self._scaled(X), sample_weight)

    def jacobian(self, X: Floats, sample_weight: Doubles | None) -> tuple[Doubles, float]:
        return self.equations.jacobian(self._scaled(X), sample_weight)
