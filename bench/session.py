"""How contenders are timed: in turns, and by ratios within each round."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import numpy as np
import probes
from record import Record
from scorematch import _core

CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


class Named(Protocol):
    """What has a name in tables."""

    @property
    def name(self) -> str: ...


SomeNamed = TypeVar("SomeNamed", bound=Named)


@dataclass(frozen=True)
class Ratio:
    """Paired ratios of times, a round each."""

    values: np.ndarray

    @property
    def quartiles(self) -> tuple[float, float, float]:
        lower, median, upper = np.percentile(self.values, [25, 50, 75])
        return float(lower), float(median), float(upper)

    @property
    def median(self) -> float:
        return self.quartiles[1]

    def __str__(self) -> str:
        lower, median, upper = (f"{value:.3g}" for value in self.quartiles)
        return f"{median}× ({lower}–{upper})"


@dataclass
class Session:
    """Options, and what is written in the end."""

    clock: Callable[[], float]
    pattern: re.Pattern[str]
    seconds: float  # for one race
    processors: set[int]
    n_threads: int
    record: Record
    peaks: dict[str, float] = field(default_factory=dict)

    @property
    def quick(self) -> bool:
        """Whether rounds are few."""
        return self.seconds < 5

    def selected(self, workloads: Iterable[SomeNamed], section: str) -> list[SomeNamed]:
        return [workload for workload in workloads if self.wants(section, workload.name)]

    def wants(self, section: str, name: str) -> bool:
        return self.pattern.search(f"{section}: {name}") is not None

    def table(self, title: str, columns: list[str], rows: list[list[str]], note: str = "") -> None:
        """Add rows to a section of the report, in place of those with the same first cell."""
        if rows:
            self.record.add_rows(title, columns, rows, note)
            print("", title, " | ".join(columns), *(" | ".join(row) for row in rows), sep="\n", flush=True)

    def judge(self, what: str, wanted: str, measured: str, met: bool) -> None:
        self.record.add_target(what, wanted, measured, met)

    def measure_peaks(self) -> None:
        """The highest seen so far: neighbours only ever lower it."""
        for dtype in ("float64", "float32"):
            found = {f"FMA {dtype}": _core.fma_peak(dtype == "float32"), f"exp {dtype}": self._exponentials(dtype)}
            for name, peak in found.items():
                self.peaks[name] = max(peak, self.peaks.get(name, 0))

    def _exponentials(self, dtype: str) -> float:
        """10^9 exponentials a second on arrays in the first-level cache, the cost of the call taken out."""
        seconds = []
        for size in (512, 2048):
            values = np.linspace(-5, 0, size, dtype=dtype)
            seconds.append(min(self._time(lambda: _core.elementwise("exp", values), 200) for _ in range(20)))  # noqa: B023
        return (2048 - 512) / (seconds[1] - seconds[0]) / 1e9

    def _time(self, call: Callable[[], Any], repeats: int) -> float:
        start = self.clock()
        for _ in range(repeats):
            call()
        return (self.clock() - start) / repeats

    def race(self, calls: dict[str, Callable[[], Any]], least_rounds: int = 3) -> dict[str, np.ndarray]:
        """Seconds a call by contender, a round each, the contenders in turn."""
        once = {name: min(self._time(call, 1) for _ in range(2)) for name, call in calls.items()}
        repeats = {name: max(1, int(5e-3 / max(seconds, 1e-7))) for name, seconds in once.items()}
        a_round = sum(repeats[name] * once[name] for name in calls)
        rounds = int(np.clip(self.seconds / a_round, least_rounds, 25))
        measured = [[self._time(call, repeats[name]) for name, call in calls.items()] for _ in range(rounds)]
        return dict(zip(calls, np.array(measured).T, strict=True))

    def probe(self, *arguments: object) -> Any:
        """A probe in a process of its own, on all processors and with all threads."""
        environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
        os.sched_setaffinity(0, self.processors)
        try:
            command = [sys.executable, probes.__file__, *map(str, arguments)]
            done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
        finally:
            pin(self.processors)
        return json.loads(done.stdout)


def bind(function: Callable[..., Any], *arguments: Any) -> Callable[[], Any]:
    """A call without arguments."""
    return lambda: function(*arguments)


def milliseconds(seconds: np.ndarray) -> float:
    """The median."""
    return 1e3 * float(np.median(seconds))


def pin(processors: set[int]) -> None:
    """Keep to one processor, the last: the first one often has the interrupts."""
    os.sched_setaffinity(0, {max(processors)})
