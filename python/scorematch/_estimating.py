"""The estimating equations of a fit, Σ w φ(x; θ) = 0, whose derivatives make its sandwich covariance.

Mostly φ = ∇ρ, the gradient of the objective, and all parameters are free. A family whose fit does otherwise (a penalty,
a constraint, data that are whitened first) says so by a class of its own.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from scorematch._differences import jacobian
from scorematch._field import blocks_of_field
from scorematch._objectives import rows_from
from scorematch._sandwich import Bread, Sandwich
from scorematch._validation import Floats

if TYPE_CHECKING:
    from scorematch._base import Loss
    from scorematch._uncertainty import InferentialEstimator

Doubles = NDArray[np.float64]

# Relative errors of Hessians: of sums in doubles, and of differences of gradients.
EXACT, BY_DIFFERENCES = 1e-14, 1e-9
# Why a coefficient has no standard error.
SET_TO_ZERO = "the l1 penalty has set it to 0"
# Rows whose gradients are held at a time, in numbers.
BLOCK_NUMBERS = 2**20


class Products(NamedTuple):
    """Sums over weighted rows."""

    loss: float  # Σ w ρ
    total: Doubles  # (q,)    Σ w φ
    squares: Doubles  # (q, q)  Σ w² φ φᵀ

    def __add__(self, other: Products) -> Products:  # type: ignore[override]
        return Products(self.loss + other.loss, self.total + other.total, self.squares + other.squares)


class EstimatingEquations(ABC):
    """What a family says of how its estimate was found."""

    # How θ moves with the unknowns, (p, q), or None where they are θ; parameters that have no error, and why.
    directions: Doubles | None
    fixed: dict[int, str]

    @abstractmethod
    def rows(self, X: Floats) -> Doubles:
        """φ of each row, (n, q)."""

    @abstractmethod
    def products(self, X: Floats, sample_weight: Doubles | None) -> Products:
        """Sums of φ and of its squares."""

    @abstractmethod
    def jacobian(self, X: Floats, sample_weight: Doubles | None) -> tuple[Doubles, float]:
        """The derivative of Σ w φ / Σ w by the unknowns, (q, q), and its relative error."""


def sandwich(equations: EstimatingEquations, theta: Doubles, X: Floats, sample_weight: Doubles | None) -> Sandwich:
    """The covariance of the estimate."""
    total = float(len(X)) if sample_weight is None else float(sample_weight.sum())
    products = equations.products(X, sample_weight)
    hessian, accuracy = equations.jacobian(X, sample_weight)
    return Sandwich(
        theta,
        hessian,
        products.squares,
        Bread.of(hessian, accuracy),
        equations.directions,
        equations.fixed,
        total,
        len(X),
        products.loss / total,
        products.total,
    )


@dataclass(frozen=True)
class Penalty:
    """What a fit minimises beside the objective, near the estimate."""

    curvature: Doubles  # (p, p), to be added to the Hessian of J
    directions: Doubles | None = None  # (p, q), where not all of θ is free
    fixed: dict[int, str] | None = None


class Stationary(EstimatingEquations):
    """∇J = 0 in θ; or, under a penalty, ∇J = −(the penalty's gradient) in those directions that it leaves free."""

    def __init__(self, model: InferentialEstimator, penalty: Penalty | None = None) -> None:
        self.model = model
        self.penalty = penalty
        bounds = model._at_bounds()
        directions = None if penalty is None else penalty.directions
        if bounds and directions is None:
            directions = np.delete(np.eye(len(model.theta_)), list(bounds), axis=1)
        self.directions = directions
        self.fixed = bounds | ((penalty and penalty.fixed) or {})

    def rows(self, X: Floats) -> Doubles:
        rows = self.model._gradient_rows(X)
        return rows if self.directions is None else rows @ self.directions

    def products(self, X: Floats, sample_weight: Doubles | None) -> Products:
        found = sum_products(self.model, X, sample_weight)
        if self.penalty is not None:  # the mean is not 0, but minus the gradient of the penalty
            weight = np.ones(len(X)) if sample_weight is None else sample_weight
            doubly = found.total if sample_weight is None else sum_products(self.model, X, weight**2).total
            found = about_mean(found, doubly, weight)
        if self.directions is None:
            return found
        to = self.directions
        return Products(found.loss, found.total @ to, to.T @ found.squares @ to)

    def jacobian(self, X: Floats, sample_weight: Doubles | None) -> tuple[Doubles, float]:
        hessian, accuracy = self.model._objective_hessian(X, sample_weight)
        if self.penalty is not None:
            hessian = hessian + self.penalty.curvature
        if self.directions is not None:
            hessian = self.directions.T @ hessian @ self.directions
        return hessian, accuracy


def sum_products(model: InferentialEstimator, X: Floats, sample_weight: Doubles | None) -> Products:
    """Sums of ∇ρ and of its squares at the model's θ, without an array of all rows."""
    domain, weight = model._domain(), model._settled_weight(X, sample_weight)
    found = None
    for block in blocks_of_field(domain, weight, len(X)):
        with rows_from(block.start):
            more = model._gradient_products(X[block], None if sample_weight is None else sample_weight[block])
        found = more if found is None else found + more
    assert found is not None
    return found


def about_mean(found: Products, doubly: Doubles, weight: Doubles) -> Products:
    """The same with the squares of φ less its mean; `doubly` is Σ w² φ."""
    mean = found.total / weight.sum()
    cross = np.outer(doubly, mean)
    return found._replace(squares=found.squares - cross - cross.T + np.sum(weight**2) * np.outer(mean, mean))


def products_of_rows(loss: float, rows: Doubles, sample_weight: Doubles | None) -> Products:
    """The same sums from the rows themselves, and Σ w ρ."""
    weighted = rows if sample_weight is None else rows * sample_weight[:, None]
    return Products(loss, weighted.sum(axis=0), weighted.T @ weighted)


def blocks_of_rows(n_samples: int, n_unknowns: int) -> Iterator[slice]:
    """Rows in blocks whose gradients take some MiB."""
    size = max(1, BLOCK_NUMBERS // max(1, n_unknowns))
    for first in range(0, n_samples, size):
        yield slice(first, first + size)


def hessian_by_differences(
    loss_on: Callable[[Floats, Doubles | None], Loss],
    point: Doubles,
    scales: Doubles,
    X: Floats,
    sample_weight: Doubles | None,
) -> Doubles:
    """The Hessian of an objective on given rows, from central differences of its gradient, worked out in doubles.

    Four gradients a parameter. In float32 differences would be all rounding: rows are turned to doubles block by block.
    """
    total = float(len(X)) if sample_weight is None else float(sample_weight.sum())
    hessian = np.zeros((len(point), len(point)))
    size = len(X) if X.dtype == np.float64 else max(1, BLOCK_NUMBERS // X.shape[1])
    for first in range(0, len(X), size):
        block = X[first : first + size].astype(np.float64, copy=False)
        weight = None if sample_weight is None else sample_weight[first : first + size]
        share = (float(len(block)) if weight is None else float(weight.sum())) / total
        if share > 0:
            with rows_from(first):
                loss = loss_on(block, weight)
            hessian += share * jacobian(lambda at, loss=loss: loss(at)[1], point, scales)[0]  # type: ignore[misc]
    return (hessian + hessian.T) / 2


def natural_scales(point: Doubles, norm_term: float, squares: Doubles) -> Doubles:
    """By how much a parameter must change for ρ to change by its own size.

    `norm_term` is its mean, `squares` the means of the squares of ρ's derivatives.
    """
    return np.divide(norm_term, np.sqrt(squares), out=np.maximum(np.abs(point), 1.0), where=squares > 0)
