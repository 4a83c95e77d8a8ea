"""What is measured of sparse graphical models: the quadratic form of the pairwise model, and paths of penalties.

The model is a Gaussian truncated to the non-negative orthant, whose graph is a chain. The classes are contests, see
`contests.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import scorematch
from contests import Call
from numpy.typing import NDArray
from peers import graphs as peers
from scorematch import _core
from scorematch._pairwise_form import PairwiseForm
from scorematch.datasets import make_chain_graph, make_pairwise_data
from workloads import short

Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class Form:
    """Γ and g of d columns and n rows: d matrices of size d×d, each Σ_i h_ij x_i x_iᵀ.

    "kernel" is our compiled code with the weights at hand, as the peers have them; "scorematch" the public method,
    which checks X and works the weights out.
    """

    d: int
    n: int
    n_threads: int = 1

    @property
    def name(self) -> str:
        return f"Pairwise Γ, d={self.d}, n={short(self.n)}"

    @property
    def flops(self) -> float:
        """Additions and multiplications of the symmetric half of every matrix."""
        return float(self.n) * self.d * self.d * (self.d + 1)

    @cached_property
    def interaction(self) -> Doubles:
        """K: well conditioned, so that nobody is slow for want of digits."""
        return make_chain_graph(self.d, smallest_eigenvalue=1.0, random_state=0)

    @cached_property
    def X(self) -> Doubles:
        return make_pairwise_data(self.interaction, n_samples=self.n, burn_in=50, random_state=0, n_jobs=1)

    @cached_property
    def model(self) -> scorematch.PairwiseInteraction:
        return scorematch.PairwiseInteraction(n_jobs=self.n_threads)

    @cached_property
    def weights(self) -> tuple[Doubles, Doubles]:
        """h(x_j) and its derivative, for the weight that is used by default."""
        X, domain = self.X, scorematch.NonNegative()
        distance, slope = domain.coordinate_distance(X)
        h, derivative = scorematch.weights.default_weight(domain).fitted(distance)(distance)
        return h, derivative * slope

    @property
    def names(self) -> tuple[str, ...]:
        return ("scorematch", "kernel", "numpy", "numpy (tuned)")

    def contenders(self) -> dict[str, Call]:
        h, slope = self.weights
        field = _core.Field.tabulated(np.asfortranarray(h), np.asfortranarray(slope))
        nothing = np.zeros(self.d)

        def kernel() -> dict[str, Doubles]:
            return _core.pairwise_moments(self.X, None, field, 1.0, 1.0, True, False, nothing, self.n_threads)

        return {
            "kernel": kernel,
            "scorematch": lambda: self.model.quadratic_form(self.X),
            "numpy": lambda: peers.form_by_products(self.X, h, slope),
            "numpy (tuned)": lambda: peers.form_by_symmetric_products(self.X, h, slope),
        }

    def check(self, results: dict[str, Any]) -> None:
        ours: PairwiseForm = results["scorematch"]
        for name, theirs in results.items():
            if name == "kernel":
                _assert_close(theirs["squares"], ours.blocks)
                continue
            for mine, other in zip(ours, theirs, strict=True):
                _assert_close(other, mine)


def _assert_close(actual: Any, desired: Doubles) -> None:
    np.testing.assert_allclose(actual, desired, rtol=1e-9, atol=1e-11 * np.abs(desired).max())


@dataclass(frozen=True)
class PenaltyPath:
    """Estimates at `n_alphas` penalties, each from the one before; the peer's on Gaussian data of the same size.

    The peer estimates another model, so that its numbers are not ours: its path begins with no edge as ours does, and
    goes to a penalty at which it has about as many edges.
    """

    d: int
    n: int = 1000
    n_alphas: int = 100
    combine: str = "symmetric"
    n_threads: int = 1

    @property
    def name(self) -> str:
        parts = [f"Path, d={self.d}", f"n={short(self.n)}", f"{self.n_alphas} penalties"]
        if self.combine != "symmetric":
            parts.append(f'"{self.combine}"')
        return ", ".join(parts)

    @cached_property
    def form(self) -> Form:
        return Form(self.d, self.n)

    @cached_property
    def gaussian_data(self) -> Doubles:
        covariance = np.linalg.inv(self.form.interaction)
        return np.random.default_rng(1).multivariate_normal(np.zeros(self.d), covariance, size=self.n)

    def ours(self) -> Any:
        return scorematch.interaction_path(
            self.form.X, n_alphas=self.n_alphas, combine=self.combine, tol=1e-8, n_jobs=self.n_threads
        )

    @property
    def names(self) -> tuple[str, ...]:
        return ("scorematch", *GRAPHICAL_LASSO)

    def contenders(self) -> dict[str, Call]:
        return {"scorematch": self.ours} | {
            name: lambda options=options: peers.graphical_lasso_path(self.gaussian_data, self.n_alphas, **options)
            for name, options in GRAPHICAL_LASSO.items()
        }

    def check(self, results: dict[str, Any]) -> None:
        """Ours must be minima by the conditions written out, and edges about as many."""
        path, form = results["scorematch"], self.form.model.quadratic_form(self.form.X)
        for alpha, K, eta in zip(path.alphas, path.interactions, path.linears, strict=True):
            breach = peers.breach_of_minimum(form, self.n, float(alpha), K, eta)
            if not breach <= 1e-7:
                raise AssertionError(f"{self.name}: conditions of a minimum are broken by {breach:.2g} at {alpha:.3g}")
        for name in set(results) - {"scorematch"}:
            n_edges = [int(np.count_nonzero(np.triu(precision, 1))) for precision in results[name]]
            if n_edges[0] > self.d or not 1 / 3 < n_edges[-1] / path.n_edges[-1] < 3:
                raise AssertionError(f"{name} has from {n_edges[0]} to {n_edges[-1]} edges; ours {path.n_edges[-1]}")


GRAPHICAL_LASSO: dict[str, dict[str, float]] = {
    "graphical lasso": {},
    "graphical lasso (tuned)": {"enet_tol": 1e-6},  # inner problems solved well: then fewer of them are needed
}

FORMS = tuple(Form(d, 5000) for d in (50, 100, 200))
PATHS = (PenaltyPath(100),)
SCALING = tuple(PenaltyPath(d) for d in (25, 50, 100, 200, 400))
COLUMN_PATHS = (PenaltyPath(100, combine="and"), PenaltyPath(100, combine="or"))
