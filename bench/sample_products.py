"""What is measured of uncertainty: sums of outer products of single samples' gradients, beside the objective.

The class is a contest, see `contests.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from contests import Call
from numpy.typing import NDArray
from peers import sample_gradients as peers
from scorematch import _core
from workloads import Workload

Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class GradientProducts:
    """Σ ρ, Σ ∂ρ/∂θ and Σ ∂ρ/∂θ ∂ρ/∂θᵀ; "objective" is what a step of a fit takes, J and its gradient."""

    workload: Workload
    n: int

    @property
    def name(self) -> str:
        return f"{self.workload.at(n=self.n).name}: p={self.n_params}"

    @property
    def names(self) -> tuple[str, ...]:
        return ("scorematch", "objective", "numpy")

    @property
    def n_params(self) -> int:
        return len(self.workload.model.theta_)

    @property
    def flops(self) -> float:
        """Of the symmetric half of the products alone."""
        return float(self.n * self.n_params * (self.n_params + 1))

    @cached_property
    def X(self) -> Doubles:
        return self.workload.at(n=self.n).data()

    def contenders(self) -> dict[str, Call]:
        model, theta = self.workload.model, self.workload.theta()
        family, field, origin = model._compiled(), model._field(self.X, None), model._origin()
        objective = _core.Loss(family, self.X, None, field, 1, origin)
        return {
            "scorematch": lambda: _core.gradient_products(family, theta, self.X, None, field, 1, origin),
            "objective": lambda: objective(theta),
            "numpy": lambda: peers.gradient_products(self.workload, theta, self.X),
        }

    def check(self, results: dict[str, Any]) -> None:
        loss, *sums = results["scorematch"]
        if "objective" in results:
            mean_loss, mean_gradient = results["objective"]
            np.testing.assert_allclose(loss, len(self.X) * mean_loss, rtol=1e-9)
            np.testing.assert_allclose(sums[0], len(self.X) * mean_gradient, rtol=1e-8, atol=1e-9 * len(self.X))
        if "numpy" in results:
            for ours, theirs in zip(sums, results["numpy"], strict=True):
                np.testing.assert_allclose(theirs, ours, rtol=1e-8, atol=1e-10 * np.abs(ours).max())


# Of each family a small one, which the smoke test runs too, and one with about a hundred parameters or fewer.
GRADIENT_PRODUCTS = tuple(
    GradientProducts(workload, 50_000)
    for workload in (
        Workload("Gaussian", 4, 0),
        Workload("Gaussian", 12, 0),
        Workload("GaussianMixture", 2, 0, 3, "full"),
        Workload("GaussianMixture", 5, 0, 4, "full"),
        Workload("StudentT", 5, 0),
        Workload("StudentT", 12, 0),
        Workload("ICA", 4, 0, 4),
        Workload("ICA", 10, 0, 10),
        Workload("VonMisesFisher", 3, 0),
        Workload("VonMisesFisher", 100, 0),
    )
)
