"""The estimating equations of filters that were sought on whitened data, perhaps under a constraint."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import block_diag

from scorematch import _core
from scorematch._differences import jacobian
from scorematch._estimating import (
    BY_DIFFERENCES,
    EstimatingEquations,
    Products,
    blocks_of_rows,
    hessian_by_differences,
    natural_scales,
    products_of_rows,
)
from scorematch._objectives import rows_from
from scorematch._optimize import Loss, Variables
from scorematch._validation import Floats
from scorematch._whitening import Prepared

if TYPE_CHECKING:
    from scorematch._linear_experts import IndependentExperts

Doubles = NDArray[np.float64]


class WhitenedEquations(EstimatingEquations):
    """∇J = 0 in the variables of the search, with J the objective of the whitened data; and the whitening's own.

    The whitened data are z = A(x − m). As others would have come out they are z ↦ (I − ½E)(z − s): E is what their
    second moments differ from the identity, s their mean, and both are unknowns beside the variables φ, with
    equations E − (zzᵀ − I) = 0 and s − z = 0. Of a principal subspace that was chosen before it counts as known.
    """

    def __init__(self, model: IndependentExperts, prepared: Prepared, variables: Variables | None) -> None:
        self.model, self.prepared, self.variables = model, prepared, variables
        self.fixed = {}
        m, r = len(model.components_), len(prepared.matrix)
        self.family = _core.Family(model._family, model._variant(), r, m, model._constants())
        rest = model.theta_[model.components_.size :]
        filters = model.components_ @ np.linalg.pinv(prepared.matrix)
        self.theta = np.concatenate([filters.ravel(), rest])
        self.point = self.theta if variables is None else variables.of(self.theta)
        self.inward = np.eye(len(self.theta))  # dθ of the whitened data by the variables
        if variables is not None:
            pull_back = variables.at(self.point)[1]
            self.inward = np.stack([pull_back(unit) for unit in self.inward])
        outward = block_diag(np.kron(np.eye(m), prepared.matrix.T), np.eye(len(rest)))
        self.pairs = np.triu_indices(r) if model.whiten else (np.empty(0, dtype=int),) * 2
        self.n_shifts = r if model.whiten else 0
        moved = [np.append((filters @ E @ prepared.matrix).ravel() / -2, 0 * rest) for E in self._symmetric(r)]
        self.directions: Doubles = np.column_stack(
            [outward @ self.inward, *moved, np.zeros((len(outward), self.n_shifts))]
        )

    def _symmetric(self, r: int) -> list[Doubles]:
        """A basis of the symmetric matrices E."""
        found = []
        for i, j in zip(*self.pairs, strict=True):
            E = np.zeros((r, r))
            E[i, j] = E[j, i] = 1
            found.append(E)
        return found

    def _whitened(self, X: Floats) -> Floats:
        prepared = self.prepared
        if not self.model.whiten:
            return X
        return np.asarray((X - prepared.mean.astype(X.dtype)) @ prepared.matrix.T.astype(X.dtype))

    def rows(self, X: Floats) -> Doubles:
        data = self._whitened(X)
        field, threads = self.model._field_of_fit(data), self.model._threads()
        slopes = _core.loss_gradients(self.family, self.theta, data, field, threads, None) @ self.inward
        i, j = self.pairs
        z = data.astype(np.float64, copy=False)
        return np.column_stack([slopes, (i == j) - z[:, i] * z[:, j], -z[:, : self.n_shifts]])

    def products(self, X: Floats, sample_weight: Doubles | None) -> Products:
        q = self.directions.shape[1]
        found = Products(0.0, np.zeros(q), np.zeros((q, q)))
        for block in blocks_of_rows(len(X), q):
            weight = None if sample_weight is None else sample_weight[block]
            # The loss is that on the data's own scale, as objective_ is.
            with rows_from(block.start):
                rows, loss = self.rows(X[block]), self.model._summed_objective(X[block], weight)
            found += products_of_rows(loss, rows, weight)
        return found

    def jacobian(self, X: Floats, sample_weight: Doubles | None) -> tuple[Doubles, float]:
        data, n = self._whitened(X), len(self.point)
        threads, field = self.model._threads(), self.model._exact_field(data)
        terms = _core.evaluate(self.family, self.theta, data, field, ["norm_term"], threads, None)
        norm_term = float(np.average(terms["norm_term"], weights=sample_weight))
        squares = np.diagonal(self.products(X, sample_weight).squares)[:n] / len(X)
        scales = natural_scales(self.point, norm_term, squares)
        whole = np.eye(self.directions.shape[1])
        whole[:n, :n] = hessian_by_differences(self._loss, self.point, scales, data, sample_weight)
        if self.n_shifts:
            z = data.astype(np.float64, copy=False)
            basis, r = self._symmetric(z.shape[1]), z.shape[1]

            def slope(change: Doubles) -> Doubles:
                """The gradient on data that are whitened otherwise."""
                E = sum((c * E for c, E in zip(change, basis, strict=False)), np.zeros((r, r)))
                moved = (z - change[len(basis) :]) @ (np.eye(r) - E / 2)
                return self._loss(np.ascontiguousarray(moved), sample_weight)(self.point)[1]

            start = np.zeros(len(basis) + r)
            whole[:n, n:] = jacobian(slope, start, np.ones(len(start)))[0]
        return whole, BY_DIFFERENCES

    def _loss(self, rows: Floats, weight: Doubles | None) -> Loss:
        field = self.model._field_of_fit(rows)
        loss: Loss = _core.Loss(self.family, rows, weight, field, self.model._threads(), None)
        return loss if self.variables is None else self.variables.loss(loss)
