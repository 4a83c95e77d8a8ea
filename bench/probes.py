"""Measurements that need a process of their own; each prints one line of JSON.

``python probes.py memory FAMILY CALL``: peak memory above X, in MiB, of a call on ten million rows.
``python probes.py peak CALL``: memory of the process before a call on 500 columns, and at its peak, in MiB.
``python probes.py threads NAME THREADS ROUNDS``: times of a workload on one thread and on THREADS, round by round.
"""

from __future__ import annotations

import json
import re
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import graphs
import numpy as np
import samplers
import scorematch
from contests import Contest
from workloads import Workload

N_SAMPLES = 10_000_000
MEMORY = {
    "GaussianMixture": Workload("GaussianMixture", 2, N_SAMPLES, 3, "full"),
    "ICA": Workload("ICA", 2, N_SAMPLES, 2),
    "StudentT": Workload("StudentT", 2, N_SAMPLES),
    "Gaussian": Workload("Gaussian", 2, N_SAMPLES),
    "VonMisesFisher": Workload("VonMisesFisher", 3, N_SAMPLES),
}
THREADS: dict[str, Workload | Contest] = {
    workload.name: workload
    for workload in (
        Workload("GaussianMixture", 10, 400_000, 8, "full"),
        Workload("GaussianMixture", 32, 200_000, 16, "diag"),
        Workload("ICA", 64, 100_000, 64),
    )
} | {contest.name: contest for contest in (*graphs.FORMS, *graphs.COLUMN_PATHS, *samplers.LONG)}
# Where more is wanted than of the others.
THREADS_TARGETS = {contest.name: 1.8 for contest in samplers.LONG}
WIDE = graphs.Form(500, 1000)


def memory(family: str, call: str) -> float:
    """Peak memory above X, in MiB, of `loss_and_grad` or `fit`."""
    workload = MEMORY[family]
    few = workload.at(n=1000)
    X = np.empty((N_SAMPLES, workload.d))
    # Block by block, so that making X needs no more than X.
    for first in range(0, N_SAMPLES, 100_000):
        X[first : first + 100_000] = workload.at(n=100_000).model.sample(100_000, random_state=first)
    run = {"loss_and_grad": _loss_and_grad, "fit": _fit}[call]
    run(workload, few.data())  # modules are loaded when they are first used
    # Not getrusage: its peak counts what was freed before, and what the process that started us had.
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before = _mebibytes("VmRSS")
    run(workload, X)
    return _mebibytes("VmHWM") - before


def _mebibytes(name: str) -> float:
    """A line of the process's status."""
    found = re.search(rf"{name}:\s*(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) / 1024


def _loss_and_grad(workload: Workload, X: Any) -> None:
    workload.model.loss_and_grad(workload.theta(), X)


def _fit(workload: Workload, X: Any) -> None:
    options: dict[str, Any] = {"n_jobs": 1}
    if workload.family in ("GaussianMixture", "ICA"):
        options |= {"n_components": workload.components}
    if workload.family in ("GaussianMixture", "ICA", "StudentT"):  # a step of the optimiser needs what all others need
        options |= {"n_init": 1, "max_iter": 1, "random_state": 0}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it does not converge in one step
        type(workload.model)(**options).fit(X)


def _interaction_path(X: Any) -> Any:
    return scorematch.interaction_path(X, n_alphas=10, sparse=True, n_jobs=1)


PEAK: dict[str, Callable[[Any], Any]] = {
    "quadratic_form": scorematch.PairwiseInteraction(n_jobs=1).quadratic_form,
    "fit": scorematch.PairwiseInteraction(alpha=0.2, n_jobs=1).fit,
    "interaction_path": _interaction_path,
}


def peak(call: str) -> tuple[float, float]:
    """Memory of the process before a call and at its peak, in MiB."""
    X = WIDE.X
    before = _mebibytes("VmRSS")
    PEAK[call](X)
    return before, _mebibytes("VmHWM")


def threads(name: str, n_threads: int, rounds: int) -> list[tuple[float, float]]:
    """Pairs of seconds, (one thread, n_threads)."""
    calls = [_call(THREADS[name], n) for n in (1, n_threads)]
    for call in calls:
        call()
    pairs = []
    for _ in range(rounds):
        seconds = []
        for call in calls:
            start = time.perf_counter()
            call()
            seconds.append(time.perf_counter() - start)
        pairs.append((seconds[0], seconds[1]))
    return pairs


def _call(workload: Workload | Contest, n_threads: int) -> Callable[[], Any]:
    if not isinstance(workload, Workload):
        return next(iter(replace(workload, n_threads=n_threads).contenders().values()))
    theta = workload.theta()
    evaluation = workload.model.set_params(n_jobs=n_threads)._loss(workload.data(), None)
    return lambda: evaluation(theta)


PROBES: dict[str, Callable[..., Any]] = {
    "memory": memory,
    "peak": peak,
    "threads": lambda name, n_threads, rounds: threads(name, int(n_threads), int(rounds)),
}

if __name__ == "__main__":
    probe, *arguments = sys.argv[1:]
    print(json.dumps(PROBES[probe](*arguments)))
