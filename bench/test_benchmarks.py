"""We and our peers: ``pytest bench --benchmark-only``; in brief with ``-k smoke``.

Each contender first shows that it computes the same; all have one thread on one processor. For ratios that bear
neighbours on the machine, see `report.py`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import graphs
import numpy as np
import objectives
import peers
import pytest
import regions
import resamples
import sample_products
import samplers
import stein
from contests import Contest
from peers.formulas import Polynomial
from session import pin
from threadpoolctl import threadpool_limits
from workloads import FORM, GRID, Workload

pytest.importorskip("pytest_benchmark", reason="pytest-benchmark is not installed")

SECONDS = 0.5  # to spend on one contender, beyond the least number of rounds
SUITE = tuple(workload.at(n=20_000) for workload in GRID)
# The first of each family.
SMOKE = tuple({workload.family: workload.at(n=1000) for workload in reversed(GRID)}.values())

CONTESTS: dict[str, tuple[Contest, ...]] = {
    "smoke": (
        graphs.Form(6, 600),
        graphs.PenaltyPath(10, 300, 20),
        *(replace(contest, n=600) for contest in regions.REGIONS),
        *(replace(contest, n=600) for contest in resamples.BOOTSTRAPS),
        *(replace(contest, n=600) for contest in sample_products.GRADIENT_PRODUCTS[::2]),
        *(replace(contest, n=600) for contest in stein.KERNEL_STEIN),
        *(replace(contest, n=300) for contest in objectives.OBJECTIVES[::3]),
        *(replace(contest, n=600, n_steps=20) for contest in samplers.LANGEVIN),
        *(replace(contest, n=600, n_draws=10) for contest in samplers.HAMILTONIAN),
    ),
    "suite": (
        *graphs.FORMS,
        *graphs.PATHS,
        *regions.REGIONS,
        *resamples.BOOTSTRAPS,
        *sample_products.GRADIENT_PRODUCTS,
        *stein.KERNEL_STEIN,
        *objectives.OBJECTIVES,
        *samplers.LANGEVIN,
        *samplers.HAMILTONIAN,
    ),
}


def _cases() -> list[object]:
    cases = []
    for prefix, workloads in (("smoke", SMOKE), ("suite", SUITE)):
        for workload in workloads:
            for contender in ("scorematch", *peers.NAMES):
                cases.append(pytest.param(workload, contender, id=f"{prefix}: {workload.name}: {contender}"))
    return cases


def _contests() -> list[object]:
    return [
        pytest.param(contest, contender, id=f"{prefix}: {contest.name}: {contender}")
        for prefix, contests in CONTESTS.items()
        for contest in contests
        for contender in contest.names
    ]


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    processors = os.sched_getaffinity(0)
    pin(processors)
    with threadpool_limits(1):
        yield
    os.sched_setaffinity(0, processors)


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
    _time(benchmark, group, lambda: evaluation(theta))


@pytest.mark.parametrize("contender", ["scorematch", "definition", "moments"])
@pytest.mark.parametrize("n", [pytest.param(600, id="smoke"), pytest.param(20_000, id="suite")])
def test_polynomial_form(benchmark, n: int, contender: str) -> None:
    workload = FORM.at(n=n)
    X, peer = workload.data(), Polynomial(np, workload)
    calls = {
        "scorematch": lambda: workload.model.quadratic_form(X),
        "definition": lambda: peer.form_by_definition(X),
        "moments": lambda: peer.form_by_moments(X, 1024),
    }
    for ours, theirs in zip(calls["scorematch"](), calls[contender](), strict=True):
        np.testing.assert_allclose(theirs, ours, rtol=1e-9, atol=1e-9 * np.abs(ours).max())
    _time(benchmark, f"Γ and g, {workload.name}", calls[contender])


@pytest.mark.parametrize(("contest", "contender"), _contests())
def test_contests(benchmark, contest: Contest, contender: str) -> None:
    calls = contest.contenders()
    contest.check({name: calls[name]() for name in ("scorematch", contender)})
    _time(benchmark, contest.name, calls[contender])


def _time(benchmark: Any, group: str, call: Callable[[], Any]) -> None:
    benchmark.group = group
    call()
    start = time.perf_counter()
    call()
    once = time.perf_counter() - start
    rounds = min(max(3, int(SECONDS / once)), 100)
    benchmark.pedantic(call, rounds=rounds, iterations=max(1, int(1e-3 / once)))
