"""An interaction model's objective under penalties: what a path, a criterion and a fold have in common."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from scorematch._interaction_solver import (
    ColumnForm,
    ColumnSolution,
    column_form,
    combined,
    fill_diagonal,
    largest_alpha,
    solve_columns,
    solve_path,
    values_at,
)
from scorematch._pairwise_form import PairwiseForm, SimplexForm
from scorematch._pairwise_moments import PairwiseMoments
from scorematch._penalised import UnboundedError

if TYPE_CHECKING:
    from scorematch._pairwise_interaction import PairwiseInteraction

Doubles = NDArray[np.float64]

# The lowest penalty of a path by default, as a part of the highest: this, or less where there are so many rows that
# slopes which are smaller are more than noise.
ALPHA_MIN_RATIO = 0.05


@dataclass(frozen=True)
class PathProblem:
    """Moments of data, and the model whose options say what is to be minimised."""

    model: PairwiseInteraction
    moments: PairwiseMoments
    linear_ratio: float | None  # α_η as a multiple of α; else it is the model's
    n_threads: int

    @property
    def n_features(self) -> int:
        """D."""
        return len(self.moments.shift)

    @property
    def n_samples(self) -> int:
        """Rows behind the moments."""
        return self.moments.n_samples

    @property
    def symmetric(self) -> bool:
        """Whether K_ij and K_ji are one unknown."""
        return self.model.combine == "symmetric"

    @property
    def penalises_linear(self) -> bool:
        """Whether η may be 0."""
        return (self.model.alpha_linear if self.linear_ratio is None else self.linear_ratio) > 0

    def _model(self, **options: object) -> PairwiseInteraction:
        """A model that forms are asked of, which writes down what multiplier it used."""
        model = copy.copy(self.model)
        if self.linear_ratio is not None:
            model.alpha_linear = self.linear_ratio  # only whether it is 0 matters
        for name, value in options.items():
            setattr(model, name, value)
        return model

    @cached_property
    def form(self) -> PairwiseForm | SimplexForm:
        """J in K and η − Kᵀs, with s the shift of the moments."""
        return self.moments.centred_form()

    @cached_property
    def penalised(self) -> ColumnForm:
        """J in the unknowns, with the multiplier."""
        return self._model()._forms(self.moments)[1]

    @cached_property
    def plain(self) -> ColumnForm:
        """J in the unknowns, without it."""
        return self._model(diagonal_multiplier=1.0)._forms(self.moments)[1]

    # -- penalties -----------------------------------------------------------------------------------------------

    def alphas(self, n_alphas: int, ratio: float | None) -> Doubles:
        """Penalties from where the first edge comes in downwards, in equal steps of their logarithm."""
        if ratio is None:
            ratio = min(ALPHA_MIN_RATIO, float(np.sqrt(np.log(self.n_features) / self.n_samples)))
        highest = largest_alpha(
            self.penalised, self.model.alpha_linear, linear_ratio=self.linear_ratio, symmetric=self.symmetric
        )
        # A hair above, so that rounding errors bring in no edge.
        return np.asarray(highest * (1 + 1e-13) * np.geomspace(1, ratio, n_alphas))

    def linear_penalties(self, alphas: Doubles) -> Doubles:
        """The penalty of η beside each."""
        return (
            np.full(len(alphas), float(self.model.alpha_linear))
            if self.linear_ratio is None
            else self.linear_ratio * alphas
        )

    # -- minima --------------------------------------------------------------------------------------------------

    def minima(self, alphas: Doubles) -> Iterator[ColumnSolution]:
        """The minimum at each of the penalties, one after another."""
        return solve_path(
            self.penalised,
            alphas.tolist(),
            self.linear_penalties(alphas).tolist(),
            symmetric=self.symmetric,
            tol=float(self.model.tol),
            max_iter=int(self.model.max_iter),
            n_threads=self.n_threads,
        )

    def combined(self, K: Doubles) -> Doubles:
        """The symmetric matrix that columns by themselves are combined to; one that is symmetric is as it was."""
        if self.symmetric:
            return K
        found = combined(K, self.model.combine)
        return fill_diagonal(found) if self.model.zero_row_sums else found

    def linear_of(self, solution: ColumnSolution) -> Doubles:
        """The η of a minimum."""
        return self._model()._restored(solution, self.form, self.moments.shift)[1]

    def objective(self, solution: ColumnSolution, alpha: float, alpha_linear: float) -> float:
        """The penalised objective, with the multiplier."""
        K = solution.K
        total = solution.value + alpha * float(np.abs(K).sum() - np.abs(np.diagonal(K)).sum())
        return total if solution.eta is None else total + alpha_linear * float(np.abs(solution.eta).sum())

    def losses(self, K: Doubles, eta: Doubles) -> Doubles:
        """J of symmetric matrices (k, d, d) and linear coefficients (k, d): without penalties and multiplier."""
        fit_linear = bool(self.model.fit_linear)
        return values_at(
            column_form(self.form, fit_linear=fit_linear, profile=False),
            K,
            eta - np.einsum("kij,i->kj", K, self.moments.shift),
        )

    def loss_on_support(self, K: Doubles, eta: Doubles) -> float:
        """The least J of a symmetric matrix with edges where K has them; minus infinity where there is none."""
        allowed = K != 0
        np.fill_diagonal(allowed, True)
        if self.plain.has_linear:
            allowed = np.column_stack([allowed, eta != 0 if self.penalises_linear else np.ones(len(eta), dtype=bool)])
        try:
            solution = solve_columns(
                self.plain,
                0.0,
                support=allowed,
                start=None if self.plain.has_linear else (K, None),
                tol=float(self.model.tol),
                max_iter=int(self.model.max_iter),
                n_threads=self.n_threads,
            )
        except UnboundedError:
            return -np.inf
        # Where rounding makes up for rows that there are not, the least value is so far down that it is not found.
        return solution.value if solution.converged else -np.inf

    def n_linear(self, eta: Doubles) -> int:
        """How many η count among the parameters that were chosen."""
        return int(np.count_nonzero(eta)) if self.penalises_linear else 0
