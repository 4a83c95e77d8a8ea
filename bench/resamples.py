"""What is measured of the bootstrap: resamples of a family with a closed form, beside a single fit.

The class is a contest, see `contests.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import scorematch
from contests import Call
from numpy.typing import NDArray
from scorematch.domains import NonNegative
from sklearn.base import clone
from workloads import short

Doubles = NDArray[np.float64]

MODELS: dict[str, Any] = {
    "Gaussian": scorematch.Gaussian(n_jobs=1),
    "von Mises-Fisher": scorematch.VonMisesFisher(n_jobs=1),
    "Gaussian on the orthant": scorematch.Gaussian(domain=NonNegative(), n_jobs=1),
}


@dataclass(frozen=True)
class Bootstrap:
    """The covariance of the estimate from resamples; a fit is there to be compared with, and for the truth."""

    family: str
    n: int
    d: int = 10
    n_resamples: int = 1000

    @property
    def name(self) -> str:
        return f"{self.family}, n={short(self.n)}, d={self.d}: {self.n_resamples} resamples"

    @property
    def names(self) -> tuple[str, ...]:
        return ("scorematch", "fit")

    @cached_property
    def X(self) -> Doubles:
        X = np.random.default_rng(0).normal(1.0, 1.0, size=(self.n, self.d))
        if self.family == "von Mises-Fisher":
            return X / np.linalg.norm(X, axis=1, keepdims=True)
        return np.abs(X) if self.family == "Gaussian on the orthant" else X

    @cached_property
    def model(self) -> Any:
        return clone(MODELS[self.family]).fit(self.X)

    def contenders(self) -> dict[str, Call]:
        model, X = self.model, self.X
        return {
            "scorematch": lambda: model.covariance("bootstrap", X=X, n_resamples=self.n_resamples, random_state=0),
            "fit": lambda: model.fit(X),
        }

    def check(self, results: dict[str, Any]) -> None:
        """Standard errors are those of the sandwich, but for the noise of resamples and blocks and terms in 1/n."""
        expected = self.model.standard_errors_
        found = np.sqrt(np.diagonal(results["scorematch"]))
        noise = np.sqrt(2 * 2 / self.n_resamples) / 2
        np.testing.assert_allclose(found / expected, 1, atol=5 * noise + 2 * len(expected) / self.n)


BOOTSTRAPS = tuple(Bootstrap(family, 100_000) for family in MODELS)
