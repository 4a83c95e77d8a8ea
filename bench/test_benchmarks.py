"""The objective and its gradient, by us and by peers: ``pytest bench --benchmark-only``; in brief with ``-k smoke``.

Each contender first shows that it computes the same. For ratios that bear neighbours on the machine, see `report.py`.
"""

from __future__ import annotations

import time

import peers
import pytest
from workloads import GRID, Workload

pytest.importorskip("pytest_benchmark", reason="pytest-benchmark is not installed")

SECONDS = 0.5  # to spend on one contender, beyond the least number of rounds
SUITE = tuple(workload.at(n=20_000) for workload in GRID)
# The first of each family.
SMOKE = tuple({workload.family: workload.at(n=1000) for workload in reversed(GRID)}.values())


def _cases() -> list[object]:
    cases = []
    for prefix, workloads in (("smoke", SMOKE), ("suite", SUITE)):
        for workload in workloads:
            for contender in ("scorematch", *peers.NAMES):
                cases.append(pytest.param(workload, contender, id=f"{prefix}: {workload.name}: {contender}"))
    return cases


@pytest.mark.parametrize(("workload", "contender"), _cases())
def test_loss_and_gradient(benchmark, workload: Workload, contender: str) -> None:
    group = workload.name
    if contender == "jax autodiff" and (n := workload.autodiff_n // 5) < workload.n:
        workload = workload.at(n=n)
        group += f" (jax autodiff alone: {n} rows)"  # that a call take a second or two
    X, theta = workload.data(), workload.theta()
    ours = evaluation = workload.evaluation(X)
    if contender != "scorematch":
        if reason := peers.missing(contender):
            pytest.skip(reason)
        evaluation = peers.make(contender, workload, X)
        peers.check_agreement(workload, theta, ours, evaluation, contender)
    benchmark.group = group
    evaluation(theta)
    start = time.perf_counter()
    evaluation(theta)
    once = time.perf_counter() - start
    rounds = min(max(3, int(SECONDS / once)), 100)
    benchmark.pedantic(evaluation, args=(theta,), rounds=rounds, iterations=max(1, int(1e-3 / once)))
