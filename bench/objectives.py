"""What is measured of objectives that see the trace along random vectors, or not at all: beside the exact one, and JAX.

The class is a contest, see `contests.py`.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import peers
from contests import Call
from scorematch import _core
from session import bind
from workloads import Floats, Workload

NOISE_SCALE, STEP = 0.1, 0.1
# Options of `_core.Field` after those that all have, by what the table calls it.
KINDS = ("sliced", "sliced, without variance reduction", "denoising", "finite differences")


@dataclass(frozen=True)
class RandomObjective:
    """An objective and its full gradient with one random vector a row; "exact" is the exact one."""

    workload: Workload
    kind: str
    n: int

    @property
    def name(self) -> str:
        return f"{self.workload.at(n=self.n).name}: {self.kind}"

    @property
    def names(self) -> tuple[str, ...]:
        return ("scorematch", "exact", *(("jax",) if importlib.util.find_spec("jax") else ()))

    @cached_property
    def X(self) -> Floats:
        return self.workload.at(n=self.n).data()

    def field(self, exact: _core.Field) -> _core.Field:
        """That of the objective, made of the exact one."""
        if self.kind == "denoising":
            return exact.denoising([NOISE_SCALE], 1, True, 0)
        if self.kind == "finite differences":
            return exact.finite_difference(STEP, "rademacher", 1, 0)
        return exact.sliced("rademacher", 1, self.kind == "sliced", 0)

    def contenders(self) -> dict[str, Call]:
        model, theta = self.workload.model, self.workload.theta()
        family, exact, origin = model._compiled(), model._field(self.X, None), model._origin()
        field = self.field(exact)
        calls: dict[str, Call] = {
            "scorematch": bind(_core.Loss(family, self.X, None, field, 1, origin), theta),
            "exact": bind(_core.Loss(family, self.X, None, exact, 1, origin), theta),
        }
        if "jax" in self.names:
            calls["jax"] = bind(self._jax(_core.random_vectors(field, *self.X.shape)), theta)
        return calls

    def _jax(self, vectors: Floats) -> peers.Evaluation:
        from peers import objectives

        values = {
            "sliced": objectives.sliced(True),
            "sliced, without variance reduction": objectives.sliced(False),
            "denoising": objectives.denoising(NOISE_SCALE, True),
            "finite differences": objectives.finite_difference(STEP),
        }
        return objectives.evaluation(self.workload, values[self.kind], self.X, vectors)

    def check(self, results: dict[str, Any]) -> None:
        # Differences of log densities lose digits: at ε = 0.1, some hundred units in the last place.
        tolerance = 1e-8 if self.kind == "finite differences" else 1e-9
        if "jax" in results:
            for ours, theirs in zip(results["scorematch"], results["jax"], strict=True):
                np.testing.assert_allclose(theirs, ours, rtol=tolerance, atol=tolerance * np.abs(ours).max())


OBJECTIVES = tuple(
    RandomObjective(workload, kind, 100_000)
    for workload in (Workload("GaussianMixture", 10, 0, 8, "full"), Workload("ICA", 16, 0, 16))
    for kind in KINDS
)
