"""Closed forms: objectives that are quadratic in θ, J(θ) = ½ θᵀΓθ − gᵀθ."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

Doubles = NDArray[np.float64]


class QuadraticForm(NamedTuple):
    """Γ and g of J(θ) = ½ θᵀΓθ − gᵀθ (+ a constant), both means over the samples."""

    gamma: Doubles
    g: Doubles

    def raised(self, power: float) -> "QuadraticForm":
        """That of the density to a power, over the power: Γ times it, g as it is."""
        return self if power == 1 else QuadraticForm(power * self.gamma, self.g)


# Beyond so many parameters a block form is solved without making Γ, which would take longer (and, at 20 000, 3 GB).
MOST_DENSE_PARAMS = 600
# Numbers in all forms that are solved at once.
MOST_DENSE_NUMBERS = 2**22


class SingularError(ValueError):
    """Γ has no inverse."""


def solve(form: QuadraticForm, eps: float) -> Doubles:
    """The θ that minimises the form; SingularError where it is not unique.

    `eps` is the relative rounding error of the entries. Parameters may differ in scale by many powers of ten, so Γ is
    scaled to a unit diagonal first: its condition is then about the best that any scaling gives.
    """
    diagonal = np.diagonal(form.gamma)
    if not (diagonal > 0).all():
        raise SingularError(f"parameter {int(np.argmin(diagonal > 0))} does not enter the objective at all")
    scale = 1 / np.sqrt(diagonal)
    scaled = form.gamma * scale[:, None] * scale
    try:
        factor = cho_factor(scaled, lower=True)
    except np.linalg.LinAlgError as error:
        raise SingularError("the quadratic form is not positive definite") from error
    if np.diagonal(factor[0]).min() ** 2 <= len(scaled) * eps:
        raise SingularError("the quadratic form is singular to working precision")
    solution = scale * cho_solve(factor, scale * form.g)
    # One step of iterative refinement: it costs little and mends what the scaling did not.
    solution += scale * cho_solve(factor, scale * (form.g - form.gamma @ solution))
    return np.asarray(solution)


def solutions(forms: QuadraticForm, eps: float) -> Doubles:
    """The minima of many forms, Γ (n, p, p) and g (n, p), at once: (n, p).

    Rows of NaN where `solve` would raise an error; it may be that there are more.
    """
    scale, scaled = _scaled(forms.gamma, eps)
    return np.asarray(scale * np.linalg.solve(scaled, (scale * forms.g)[:, :, None])[:, :, 0])


def inverses(matrices: Doubles, eps: float) -> Doubles:
    """The inverses of many symmetric matrices, (n, p, p); NaN where they are not positive definite, or hardly."""
    scale, scaled = _scaled(matrices, eps)
    inverse = np.linalg.inv(scaled)
    return np.asarray((inverse + np.swapaxes(inverse, 1, 2)) / 2 * scale[:, :, None] * scale[:, None, :])


def _scaled(matrices: Doubles, eps: float) -> tuple[Doubles, Doubles]:
    """Vectors s, (n, p), and matrices diag(s)·M·diag(s) of unit diagonal, (n, p, p).

    Where M is not positive definite to working precision, s is NaN and the matrix is the identity, so that it does not
    spoil what is done with the others.
    """
    diagonal = np.diagonal(matrices, axis1=1, axis2=2)
    sound = np.asarray((diagonal > 0).all(axis=1))
    scale = 1 / np.sqrt(np.where(sound[:, None], diagonal, np.nan))
    scaled = matrices * scale[:, :, None] * scale[:, None, :]
    scaled[~sound] = np.eye(matrices.shape[1])
    try:
        pivots = np.diagonal(np.linalg.cholesky(scaled), axis1=1, axis2=2).min(axis=1) ** 2
    except np.linalg.LinAlgError:  # it does not tell which; the least eigenvalue is no more than the least pivot
        pivots = np.linalg.eigvalsh(scaled)[:, 0]
    sound &= pivots > scaled.shape[1] * eps
    scaled[~sound] = np.eye(matrices.shape[1])
    scale[~sound] = np.nan
    return scale, scaled


def relative_error(form: QuadraticForm, eps: float) -> float:
    """About how far rounding of the entries, eps of each, moves the minimum: eps times the condition of Γ.

    Of Γ scaled to a unit diagonal, as in `solve`; infinite where it is not positive definite.
    """
    scale = 1 / np.sqrt(np.diagonal(form.gamma))
    eigenvalues = np.linalg.eigvalsh(form.gamma * scale[:, None] * scale)
    return float(eps * eigenvalues[-1] / eigenvalues[0]) if eigenvalues[0] > 0 else float("inf")


def form_from_gradients(
    loss: Callable[[Doubles], tuple[float, Doubles]], n_params: int, sizes: Doubles | None = None
) -> QuadraticForm:
    """Γ and g of any exponential family from its compiled gradient ∇J(θ) = Γθ − g, at n_params + 1 passes.

    The short way to a closed form for a family of few parameters; one with many reaches Γ by its moments. `sizes` are
    those of parameters that change the objective by about 1; 1 where None.
    """
    g = -loss(np.zeros(n_params))[1]
    units = np.ones(n_params) if sizes is None else sizes
    # So large that Γu is not lost beside g: the form is as right far out.
    units = units * max(1.0, float(np.abs(units * g).max(initial=0.0)))
    columns = [(loss(unit)[1] + g) / unit.max() for unit in np.diag(units)]
    gamma = np.stack(columns, axis=1)
    return QuadraticForm((gamma + gamma.T) / 2, g)


@dataclass(frozen=True)
class BlockForm:
    """A quadratic form that is a sum over blocks, Γ = Σ_j S_jᵀA_jS_j and g = Σ_j S_jᵀb_j; S_j picks entries of θ.

    Blocks share entries: of a symmetric matrix, row i and row j share the entry (i, j).
    """

    index: NDArray[np.intp]  # (n_blocks, size): which entries of θ a block picks
    blocks: Doubles  # (n_blocks, size, size); of many forms, with a leading axis
    linear: Doubles  # (n_blocks, size)

    def raised(self, power: float) -> "BlockForm":
        """That of the density to a power, over the power: Γ times it, g as it is."""
        return self if power == 1 else replace(self, blocks=power * self.blocks)

    @property
    def n_params(self) -> int:
        """Length of θ."""
        return int(self.index.max()) + 1

    @property
    def is_apart(self) -> bool:
        """Whether no two blocks share an entry."""
        return self.index.size == self.n_params

    @property
    def diagonal(self) -> Doubles:
        """That of Γ, (n_params,)."""
        return self.gathered(np.einsum("jaa->ja", self.blocks))

    def with_linear(self, g: Doubles) -> "BlockForm":
        """The form with another g, of which every block has an equal share."""
        share = g / np.bincount(self.index.ravel(), minlength=self.n_params)
        return replace(self, linear=share[self.index])

    def gathered(self, values: Doubles) -> Doubles:
        """The sum over blocks of what each has for its entries, (n_params,)."""
        return np.bincount(self.index.ravel(), values.ravel(), self.n_params).astype(np.float64, copy=False)

    def assembled(self) -> QuadraticForm:
        """Γ and g."""
        gamma = np.zeros((self.n_params, self.n_params))
        for index, block in zip(self.index, self.blocks, strict=True):
            np.add.at(gamma, np.ix_(index, index), block)
        return QuadraticForm(gamma, self.gathered(self.linear))

    def minimum(self, n_samples: int, eps: float) -> tuple[Doubles, float]:
        """The θ that minimises the form, and its least value; SingularError where it is not unique."""
        if n_samples * len(self.blocks) < self.n_params:
            raise SingularError(f"there are {self.n_params} parameters")
        if self.is_apart:
            theta, g = self.solve_apart(eps), self.gathered(self.linear)
        elif self.n_params <= MOST_DENSE_PARAMS:
            form = self.assembled()
            theta, g = solve(form, eps), form.g
        else:
            theta, g = self.solve_iteratively(eps), self.gathered(self.linear)
        return theta, -float(g @ theta) / 2

    def minima(self, n_samples: int, eps: float) -> Doubles:
        """The θ that minimise many forms, (n, n_params); rows of NaN where `minimum` has to tell."""
        n, n_blocks, size = self.linear.shape
        if n_samples * n_blocks < self.n_params:
            return np.full((n, self.n_params), np.nan)
        if not self.is_apart:
            return solutions(self._assembled_many(), eps)
        apart = QuadraticForm(self.blocks.reshape(-1, size, size), self.linear.reshape(-1, size))
        found = np.empty((n, self.n_params))
        found[:, self.index.ravel()] = solutions(apart, eps).reshape(n, -1)
        return found

    def _assembled_many(self) -> QuadraticForm:
        """Γ and g of many forms, (n, n_params, n_params) and (n, n_params)."""
        n = len(self.blocks)
        gamma, g = np.zeros((n, self.n_params, self.n_params)), np.zeros((n, self.n_params))
        for j, index in enumerate(self.index):  # no block has an entry twice
            gamma[:, index[:, None], index] += self.blocks[:, j]
            g[:, index] += self.linear[:, j]
        return QuadraticForm(gamma, g)

    def value_and_slope(self, theta: Doubles) -> tuple[float, Doubles]:
        """½ θᵀΓθ − gᵀθ and its gradient, without making Γ."""
        picked = theta[self.index]
        product = (self.blocks @ picked[:, :, None])[:, :, 0]
        value = float(np.vdot(picked, product / 2 - self.linear))
        return value, self.gathered(product - self.linear)

    def solve_apart(self, eps: float) -> Doubles:
        """The same θ where blocks share no entries: each block by itself."""
        diagonal = np.einsum("jaa->ja", self.blocks)
        if not (diagonal > 0).all():
            block, entry = np.argwhere(~(diagonal > 0))[0]
            raise SingularError(f"parameter {self.index[block, entry]} does not enter the objective at all")
        scale = 1 / np.sqrt(diagonal)
        scaled = self.blocks * scale[:, :, None] * scale[:, None, :]
        try:
            pivots = np.einsum("jaa->ja", np.linalg.cholesky(scaled)).min(axis=1) ** 2
        except np.linalg.LinAlgError as error:
            raise SingularError("the quadratic form is not positive definite") from error
        if pivots.min() <= scaled.shape[1] * eps:
            raise SingularError(
                f"the quadratic form of block {int(np.argmin(pivots))} is singular to working precision"
            )
        target = (scale * self.linear)[:, :, None]
        solution = np.linalg.solve(scaled, target)
        solution += np.linalg.solve(scaled, target - scaled @ solution)
        return self.gathered(scale * solution[:, :, 0])

    def solve_iteratively(self, eps: float) -> Doubles:
        """The same θ by conjugate gradients, which never make Γ.

        The preconditioner solves each block by itself, with its share of the right-hand side, and averages what blocks
        say of the entries that they share (a Neumann-Neumann method; shares are those of the diagonal of Γ).
        """
        from scipy.sparse.linalg import LinearOperator, cg

        diagonal = self.diagonal
        if not (diagonal > 0).all():
            raise SingularError(f"parameter {int(np.argmin(diagonal > 0))} does not enter the objective at all")
        scale = 1 / np.sqrt(diagonal)
        scaled = self.blocks * scale[self.index][:, :, None] * scale[self.index][:, None, :]
        share = np.einsum("jaa->ja", scaled).copy()

        def apply(x: Doubles) -> Doubles:
            return self.gathered((scaled @ x[self.index][:, :, None])[:, :, 0])

        # A block by itself may be singular where their sum is not.
        own = np.arange(scaled.shape[1])
        ridged = scaled.copy()
        ridged[:, own, own] *= 1 + np.sqrt(eps)
        inverse = np.linalg.inv(ridged)

        def precondition(x: Doubles) -> Doubles:
            return self.gathered(share * (inverse @ (share * x[self.index])[:, :, None])[:, :, 0])

        shape = (self.n_params, self.n_params)
        gamma = LinearOperator(shape, matvec=apply, dtype=np.float64)
        preconditioner = LinearOperator(shape, matvec=precondition, dtype=np.float64)
        target = scale * self.gathered(self.linear)
        solution, residual = np.zeros(self.n_params), target
        # Started anew from the true residual, it mends what the first run lost to rounding.
        for _ in range(2):
            with np.errstate(all="ignore"):
                step, _ = cg(gamma, residual, rtol=1e-8, atol=0.0, maxiter=500, M=preconditioner)
            solution = solution + step
            residual = target - apply(solution)
        if not np.linalg.norm(residual) <= 1e-9 * np.linalg.norm(target):
            raise SingularError("conjugate gradients found no solution; the quadratic form is singular or nearly so")
        return np.asarray(scale * solution)


def minima_from(
    form_of: Callable[[Doubles], BlockForm], vectors: Doubles, n_samples: int, eps: float
) -> Doubles | None:
    """The θ that minimise the forms made of many vectors of sums, (n, n_params), as many at a time as memory allows.

    Rows of NaN where `BlockForm.minimum` has to tell; None where forms are so large that it has a better way.
    """
    one = form_of(vectors[:1])
    if one.is_apart:
        numbers = one.blocks.size
    elif one.n_params <= MOST_DENSE_PARAMS:
        numbers = max(one.blocks.size, one.n_params**2)
    else:
        return None
    step = max(1, MOST_DENSE_NUMBERS // numbers)
    parts = [vectors[first : first + step] for first in range(0, len(vectors), step)]
    return np.concatenate([form_of(part).minima(n_samples, eps) for part in parts])
