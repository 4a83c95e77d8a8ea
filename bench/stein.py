"""What is measured of the kernel Stein discrepancy: the statistic, and the test with its wild bootstrap.

The classes are contests, see `contests.py`.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import scorematch
from contests import Call
from numpy.typing import NDArray
from peers import stein as peers
from scorematch.diagnostics import kernel_stein_discrepancy
from workloads import short

Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class KernelStein:
    """Of d columns of standard normal data and a Gaussian with other moments; with `n_draws`, the whole test."""

    n: int
    d: int = 10
    n_draws: int = 0

    @property
    def name(self) -> str:
        what = f"test, {self.n_draws} draws" if self.n_draws else "statistic"
        return f"Kernel Stein, d={self.d}, n={short(self.n)}: {what}"

    @property
    def names(self) -> tuple[str, ...]:
        if self.n_draws:
            return ("scorematch", "numpy (tuned)")
        jax = ("jax",) if importlib.util.find_spec("jax") else ()
        return ("scorematch", "numpy", "numpy (tuned)", *jax)

    @cached_property
    def X(self) -> Doubles:
        return np.random.default_rng(0).standard_normal((self.n, self.d))

    def contenders(self) -> dict[str, Call]:
        X, h = self.X, float(np.sqrt(2 * self.d))
        model = scorematch.Gaussian.from_params(mean=np.full(self.d, 0.1), covariance=1.2 * np.eye(self.d), n_jobs=1)
        s = model.score_function(X)
        if self.n_draws:
            signs = np.random.default_rng(1).choice([-1.0, 1.0], size=(self.n_draws, self.n))
            test = lambda: scorematch.kernel_stein_test(model, X, "imq", h, self.n_draws, random_state=0)  # noqa: E731
            return {"scorematch": test, "numpy (tuned)": lambda: peers.with_bootstrap(X, s, h, signs)}
        calls: dict[str, Call] = {
            "scorematch": lambda: kernel_stein_discrepancy(model, X, "imq", h),
            "numpy": lambda: peers.in_blocks(X, s, h),
            "numpy (tuned)": lambda: peers.in_tiles(X, s, h),
        }
        if "jax" in self.names:
            calls["jax"] = peers.in_jax(X, s, h)
        return calls

    def check(self, results: dict[str, Any]) -> None:
        ours = results["scorematch"]
        if not self.n_draws:
            for theirs in results.values():
                np.testing.assert_allclose(theirs, ours, rtol=1e-9)
            return
        for name in set(results) - {"scorematch"}:
            statistic, draws = results[name]
            np.testing.assert_allclose(statistic, ours.statistic, rtol=1e-9)
            # Other draws, of the same distribution.
            spread = float(ours.draws.std())
            assert abs(draws.mean() - ours.draws.mean()) < 6 * spread / np.sqrt(self.n_draws)
            assert 0.5 < draws.std() / spread < 2


KERNEL_STEIN = (KernelStein(10_000), KernelStein(10_000, n_draws=1000))
