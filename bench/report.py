"""Measure against peers, write `results/REPORT.md` and draw the README's figure, `results/speed.png`.

    python bench/report.py [--quick] [--only PATTERN] [--clock wall|cpu] [--threads N] [--output FOLDER]

Contenders take turns, one call of each a round, in one process on one processor with one thread; the ratio of two is
taken within each round, and the table shows medians and quartiles of those. So neighbours on the machine slow all
alike. On a machine that is never quiet ``--clock cpu`` counts the processor time of the process in place of the time on
the wall.
"""
# ruff: noqa: E402 (what is imported below reads the environment)

from __future__ import annotations

import os
import sys

# Libraries read these when they are loaded. The last two would make a BLAS take another processor for this one.
_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
    "OPENBLAS_CORETYPE": None,
    "OPENBLAS_L2_SIZE": None,
}
if __name__ == "__main__" and any(os.environ.get(name) != value for name, value in _ENVIRONMENT.items()):
    kept = {name: value for name, value in os.environ.items() if name not in _ENVIRONMENT}
    wanted = {name: value for name, value in _ENVIRONMENT.items() if value is not None}
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], kept | wanted)

import argparse
import json
import platform
import re
import subprocess
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import peers
import probes
import scorematch
from scorematch import _core
from workloads import GRID, Workload

RESULTS = Path(__file__).parent / "results"
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}

FULL_10 = Workload("GaussianMixture", 10, 100_000, 8, "full")
FULL_64 = Workload("GaussianMixture", 64, 100_000, 8, "full")
DIAGONAL_32 = Workload("GaussianMixture", 32, 100_000, 16, "diag")
ICA_64 = Workload("ICA", 64, 100_000, 64)
STUDENT_10 = Workload("StudentT", 10, 100_000)
PRODUCT_64 = Workload("ProductOfStudentT", 64, 100_000, 64)
RBM_64 = Workload("GaussianBernoulliRBM", 64, 100_000, 64)
RBM_128 = RBM_64.at(components=128)

# How many times faster than a peer we mean to be.
TARGETS = {
    (FULL_10, "jax"): 25,
    (FULL_10, "numpy"): 18,
    (FULL_10, "jax autodiff"): 250,
    (DIAGONAL_32, "jax"): 12,
    (FULL_64, "jax"): 4,
    (ICA_64, "jax"): 4,
    (ICA_64.at(dtype="float32"), "jax"): 3,
    (STUDENT_10, "jax"): 10,
    **{(workload, "jax"): 4 for workload in (PRODUCT_64, RBM_64, RBM_128)},
    **{(workload, "jax autodiff"): 100 for workload in (PRODUCT_64, RBM_64, RBM_128)},
    (RBM_64.at(dtype="float32"), "jax"): 3,
}
FIT_TARGET = 1 / 1.15  # of the speed of dsyrk
FLOAT32_TARGET = 1.9
THREADS_TARGET = 1.7
EVALUATOR_MICROSECONDS, PUBLIC_MICROSECONDS = 15, 60
MEMORY_MEBIBYTES = 64

FORM = Workload("PolynomialExponentialFamily", 4, 100_000, 4)
FORM_TARGET = 0.5  # of FMA peak, counting n·d·p(p+1) operations
FITS = tuple(Workload("Gaussian", d, 100_000) for d in (10, 50, 200))
FLOAT32 = (FULL_10, FULL_64, DIAGONAL_32, ICA_64)
LATENCY = (
    Workload("GaussianMixture", 2, 10, 3, "full"),
    Workload("ICA", 4, 10, 4),
    Workload("Gaussian", 4, 10),
    Workload("VonMisesFisher", 3, 10),
    Workload("PolynomialExponentialFamily", 4, 10, 4),
)


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
    lines: list[str] = field(default_factory=list)
    targets: list[tuple[str, str, str, bool]] = field(default_factory=list)
    peaks: dict[str, float] = field(default_factory=dict)

    def selected(self, workloads: Iterable[Workload], section: str) -> list[Workload]:
        return [workload for workload in workloads if self.pattern.search(f"{section}: {workload.name}")]

    def table(self, title: str, columns: list[str], rows: list[list[str]]) -> None:
        if rows:
            lines = [columns, ["---"] + ["---:"] * (len(columns) - 1), *rows]
            self.lines += ["", f"## {title}", "", *(f"| {' | '.join(line)} |" for line in lines)]
            print(*self.lines[-len(rows) - 4 :], sep="\n", flush=True)

    def judge(self, what: str, wanted: str, measured: str, met: bool) -> None:
        self.targets.append((what, wanted, measured, met))

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

    def race(self, calls: dict[str, Callable[[], Any]]) -> dict[str, np.ndarray]:
        """Seconds a call by contender, a round each, the contenders in turn."""
        once = {name: min(self._time(call, 1) for _ in range(2)) for name, call in calls.items()}
        repeats = {name: max(1, int(5e-3 / max(seconds, 1e-7))) for name, seconds in once.items()}
        a_round = sum(repeats[name] * once[name] for name in calls)
        rounds = int(np.clip(self.seconds / a_round, 3, 25))
        measured = [[self._time(call, repeats[name]) for name, call in calls.items()] for _ in range(rounds)]
        return dict(zip(calls, np.array(measured).T, strict=True))


def compare_with_peers(session: Session) -> dict[str, dict[str, Ratio]]:
    """The main table."""
    rows, ratios = [], {}
    for workload in session.selected(GRID, "peers"):
        session.measure_peaks()
        found, milliseconds, public = _race_peers(session, workload)
        ratios[workload.name] = found
        seconds = milliseconds / 1e3
        gigaflops = workload.flops / seconds / 1e9
        shares = {
            "FMA": gigaflops / session.peaks[f"FMA {workload.dtype}"],
            "exp": workload.exponentials / seconds / 1e9 / session.peaks[f"exp {workload.dtype}"],
        }
        bound = max(shares, key=shares.__getitem__)
        cells = [f"{milliseconds:.3g}", f"{public:.3g}", f"{gigaflops:.3g}", f"{100 * shares[bound]:.0f} % {bound}"]
        for peer in peers.NAMES:
            note = " [^rows]" if peer == "jax autodiff" and workload.autodiff_n < workload.n else ""
            cells.append(f"{found[peer]}{note}" if peer in found else "–")
            if (workload, peer) in TARGETS and peer in found:
                target = TARGETS[workload, peer]
                met = found[peer].median >= target
                session.judge(f"{workload.name}, against {peer}", f"≥ {target}×", str(found[peer]), met)
        rows.append([workload.name, *cells])
        print(rows[-1], flush=True)
    columns = ["objective and gradient", "ours, ms", "with checks of X, ms", "GF/s", "of peak", *peers.NAMES]
    session.table("Against peers", columns, rows)
    if any("[^rows]" in cell for row in rows for cell in row):
        session.lines += ["", "[^rows]: Both on fewer rows, so that a call takes seconds."]
    return ratios


def _race_peers(session: Session, workload: Workload) -> tuple[dict[str, Ratio], float, float]:
    """Ratios by peer, and our time in milliseconds, bare and through the public method."""
    slow = {"jax autodiff"} if workload.autodiff_n < workload.n else set()
    found: dict[str, Ratio] = {}
    ours = public = float("nan")
    for size, names in ((workload.n, set(peers.NAMES) - slow), (workload.autodiff_n, slow)):
        contenders = [name for name in peers.NAMES if name in names and not peers.missing(name)]
        if not names:
            continue
        sized = workload.at(n=size)
        X, theta = sized.data(), sized.theta()
        evaluations = {"ours": sized.evaluation(X)}
        for name in contenders:
            evaluations[name] = peers.make(name, sized, X)
            peers.check_agreement(sized, theta, evaluations["ours"], evaluations[name], name)
        calls = {name: _bind(evaluation, theta) for name, evaluation in evaluations.items()}
        calls["public"] = _bind(sized.model.loss_and_grad, theta, X)
        seconds = session.race(calls)
        found |= {name: Ratio(seconds[name] / seconds["ours"]) for name in contenders}
        if size == workload.n:
            ours, public = (1e3 * float(np.median(seconds[name])) for name in ("ours", "public"))
    return found, ours, public


def _bind(function: Callable[..., Any], *arguments: Any) -> Callable[[], Any]:
    return lambda: function(*arguments)


def compare_fits(session: Session) -> None:
    """Gaussian.fit beside the one symmetric product that it cannot do without."""
    from scipy.linalg.blas import dsyrk
    from sklearn.covariance import EmpiricalCovariance

    rows = []
    for workload in session.selected(FITS, "fit"):
        X = workload.data()
        model = scorematch.Gaussian(n_jobs=1)
        seconds = session.race(
            {
                "ours": _bind(model.fit, X),
                "dsyrk": _bind(dsyrk, 1.0, X.T),  # the transpose is what BLAS takes without a copy
                "sklearn": _bind(EmpiricalCovariance().fit, X),
            }
        )
        dsyrk_ratio, sklearn_ratio = (Ratio(seconds[name] / seconds["ours"]) for name in ("dsyrk", "sklearn"))
        what = f"{workload.name}: fit against dsyrk"
        session.judge(what, f"≥ {FIT_TARGET:.2f}×", str(dsyrk_ratio), dsyrk_ratio.median >= FIT_TARGET)
        milliseconds = 1e3 * float(np.median(seconds["ours"]))
        rows.append([workload.name, f"{milliseconds:.3g}", str(dsyrk_ratio), str(sklearn_ratio)])
    columns = ["fit", "ours, ms", "SciPy's dsyrk alone", "sklearn's EmpiricalCovariance"]
    session.table("Closed form: Gaussian.fit", columns, rows)


def compare_quadratic_forms(session: Session) -> None:
    """Γ and g of a polynomial family: moments take far fewer operations than the definition, which is what counts."""
    from peers.formulas import Polynomial

    rows = []
    for workload in session.selected((FORM,), "form"):
        session.measure_peaks()
        X, model, peer = workload.data(), workload.model, Polynomial(np, workload)
        calls = {
            "ours": _bind(model.quadratic_form, X),
            "definition": _bind(peer.form_by_definition, X),
            "moments": _bind(peer.form_by_moments, X, 1024),
        }
        ours = model.quadratic_form(X)
        for name in ("definition", "moments"):
            for mine, theirs in zip(ours, calls[name](), strict=True):
                np.testing.assert_allclose(theirs, mine, rtol=1e-9, atol=1e-9 * np.abs(mine).max())
        seconds = session.race(calls)
        n_params = len(ours.g)
        effective = workload.n * workload.d * n_params * (n_params + 1) / float(np.median(seconds["ours"])) / 1e9
        share = effective / session.peaks[f"FMA {workload.dtype}"]
        what = f"{workload.name}: Γ, in operations of its definition"
        session.judge(what, f"≥ {100 * FORM_TARGET:.0f} % of FMA peak", f"{100 * share:.0f} %", share >= FORM_TARGET)
        milliseconds = 1e3 * float(np.median(seconds["ours"]))
        ratios = [str(Ratio(seconds[name] / seconds["ours"])) for name in ("definition", "moments")]
        rows.append([workload.name, f"{milliseconds:.3g}", f"{effective:.3g}", f"{100 * share:.0f} % FMA", *ratios])
    columns = ["Γ and g", "ours, ms", "GF/s of the definition", "of peak", "numpy, D·Dᵀ", "numpy, moments in blocks"]
    session.table("Quadratic form of a polynomial family", columns, rows)


def compare_float_types(session: Session) -> None:
    """Our own float32 against our own float64."""
    rows = []
    for workload in session.selected(FLOAT32, "float32"):
        evaluations = {}
        for dtype in ("float64", "float32"):
            typed = workload.at(dtype=dtype)
            evaluations[dtype] = _bind(typed.evaluation(typed.data()), typed.theta())
        seconds = session.race(evaluations)
        ratio = Ratio(seconds["float64"] / seconds["float32"])
        met = ratio.median >= FLOAT32_TARGET
        session.judge(f"{workload.name}: float32 against float64", f"≥ {FLOAT32_TARGET}×", str(ratio), met)
        rows.append([workload.name, str(ratio)])
    session.table("float32 against float64", ["objective and gradient", "gain"], rows)


def measure_latency(session: Session) -> None:
    """A call on ten rows."""
    rows = []
    for workload in session.selected(LATENCY, "latency"):
        X, theta = workload.data(), workload.theta()
        model = workload.model.set_params(n_jobs=None)
        calls = {"evaluator": _bind(model._loss(X, None), theta), "public": _bind(model.loss_and_grad, theta, X)}
        seconds = session.race(calls)
        microseconds = {name: 1e6 * float(np.median(values)) for name, values in seconds.items()}
        for name, limit in (("evaluator", EVALUATOR_MICROSECONDS), ("public", PUBLIC_MICROSECONDS)):
            met = microseconds[name] < limit
            session.judge(f"{workload.name}: {name}", f"< {limit} µs", f"{microseconds[name]:.3g} µs", met)
        rows.append([workload.name, *(f"{value:.3g}" for value in microseconds.values())])
    session.table("Ten rows", ["", "compiled evaluator, µs", "`loss_and_grad`, µs"], rows)


def _probe(session: Session, *arguments: object) -> Any:
    """A probe in a process of its own, on all processors and with all threads."""
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    os.sched_setaffinity(0, session.processors)
    try:
        command = [sys.executable, probes.__file__, *map(str, arguments)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    finally:
        pin(session.processors)
    return json.loads(done.stdout)


def measure_threads(session: Session) -> None:
    """Several threads against one; always by the clock on the wall."""
    selected = session.selected(probes.THREADS, "threads")
    if not selected or session.n_threads < 2:
        return
    measured = _probe(session, "threads", session.n_threads, 5 if session.seconds < 5 else 15)
    rows = []
    for workload in selected:
        pairs = np.array(measured[workload.name])
        ratio = Ratio(pairs[:, 0] / pairs[:, 1])
        met = ratio.median >= THREADS_TARGET
        what = f"{workload.name}: {session.n_threads} threads against one"
        session.judge(what, f"≥ {THREADS_TARGET}×", str(ratio), met)
        rows.append([workload.name, f"{1e3 * np.median(pairs[:, 0]):.3g}", str(ratio)])
    session.table(f"{session.n_threads} threads against one", ["objective and gradient", "one, ms", "gain"], rows)


def measure_memory(session: Session) -> None:
    """Peak memory above X for ten million rows."""
    rows = []
    for family, workload in probes.MEMORY.items():
        for call in ("loss_and_grad", "fit"):
            if session.pattern.search(f"memory: {workload.name}: {call}"):
                mebibytes = _probe(session, "memory", family, call)
                what = f"{workload.name}: memory of {call}"
                met = mebibytes < MEMORY_MEBIBYTES
                session.judge(what, f"< {MEMORY_MEBIBYTES} MiB", f"{mebibytes:.1f} MiB", met)
                rows.append([workload.name, f"`{call}`", f"{mebibytes:.1f}"])
    session.table("Peak memory above X", ["", "call", "MiB"], rows)


def pin(processors: set[int]) -> None:
    """Keep to one processor, the last: the first one often has the interrupts."""
    os.sched_setaffinity(0, {max(processors)})


def describe_machine(session: Session, clock: str) -> list[str]:
    """What the figures were measured on."""
    model = platform.processor()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":")[1].strip()
            break
    packages = ("numpy", "scipy", "scikit-learn", "jax", "torch")
    peaks = ", ".join(
        f"{name} {peak:.3g} {'GF/s' if name.startswith('FMA') else '× 10⁹/s'}" for name, peak in session.peaks.items()
    )
    load = os.getloadavg()[0]
    return [
        f"- {model}, {len(session.processors)} processors, load {load:.1f}; one thread on one processor",
        f"- level {_core.level()}, {_core.vector_bits()}-bit vectors; measured peaks: {peaks or 'not measured'}",
        f"- scorematch {scorematch.__version__}, Python {platform.python_version()}, "
        + ", ".join(f"{package} {_version(package)}" for package in packages),
        f"- clock: {'processor time of the process' if clock == 'cpu' else 'wall'}",
    ]


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def write(session: Session, clock: str, folder: Path) -> None:
    """The report, the targets first."""
    head = [
        "# Benchmarks",
        "",
        "Written by `python bench/report.py`. Times of a peer over ours, so that more is better for us: medians of "
        "paired rounds (quartiles). Everybody computes the same objective and the full gradient in the same "
        "parameters, which is checked before anything is timed. `numpy` and `jax` are the derivatives written out by "
        "hand on whole arrays; `(tuned)` the fastest forms found: blocks of rows that stay in the cache, squares "
        "expanded into matrix products (which loses digits far from the origin), moments. Neither we nor they check X; "
        "our public method does, in the column beside.",
        "",
        *describe_machine(session, clock),
    ]
    if session.targets:
        head += ["", "## Targets", "", "| | target | measured | met |", "|---|---:|---:|---|"]
        head += [
            f"| {what} | {wanted} | {measured} | {'yes' if met else '**no**'} |"
            for what, wanted, measured, met in session.targets
        ]
    (folder / "REPORT.md").write_text("\n".join([*head, *session.lines]) + "\n")


def draw(ratios: dict[str, dict[str, Ratio]], folder: Path) -> None:
    """Ratios with their quartiles, a row for each workload."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from matplotlib.ticker import FuncFormatter

    # Okabe and Ito's colours, which the colour-blind can tell apart, and other markers for print in grey.
    colours = ("#0072B2", "#56B4E9", "#D55E00", "#E69F00", "#CC79A7", "#009E73")
    styles = dict(zip(peers.NAMES, zip(colours, "oossD^", strict=True), strict=True))
    names = list(ratios)[::-1]
    figure, axes = plt.subplots(figsize=(9, 0.62 * len(names) + 1.6), layout="constrained")
    for row, name in enumerate(names):
        axes.axhspan(row - 0.5, row + 0.5, color="#f4f4f4" if row % 2 else "white", zorder=0)
        for place, (peer, (colour, marker)) in enumerate(styles.items()):
            if peer in ratios[name]:
                lower, median, upper = ratios[name][peer].quartiles
                axes.errorbar(
                    median,
                    row + 0.12 * (len(styles) / 2 - 0.5 - place),
                    xerr=[[median - lower], [upper - median]],
                    fmt=marker,
                    color=colour,
                    mfc="white" if "tuned" in peer else colour,
                    ms=5.5,
                    capsize=2,
                )
    axes.axvline(1, color="black", lw=1)
    axes.set(xscale="log", yticks=range(len(names)), yticklabels=names, ylim=(-0.5, len(names) - 0.5))
    axes.set_xlabel("time of the peer ÷ time of scorematch (above 1×: scorematch is faster)")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}×"))
    axes.grid(axis="x", which="major", color="#bbbbbb", lw=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.tick_params(axis="y", length=0)
    handles = [
        plt.Line2D([], [], color=colour, marker=marker, ls="", mfc="white" if "tuned" in peer else colour, label=peer)
        for peer, (colour, marker) in styles.items()
        if any(peer in found for found in ratios.values())
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles), frameon=False)
    figure.savefig(folder / "speed.png", dpi=150)


def main() -> None:
    """Measure, write, draw."""
    parser = argparse.ArgumentParser(description="Measure against peers; write the report and draw the figure.")
    parser.add_argument("--quick", action="store_true", help="few rounds")
    parser.add_argument("--only", default="", metavar="PATTERN", help="only rows whose 'section: name' matches")
    parser.add_argument("--clock", choices=CLOCKS, default="wall", help="what to time by")
    parser.add_argument("--threads", type=int, default=2, metavar="N", help="threads of the comparison with one")
    parser.add_argument("--output", type=Path, default=RESULTS, metavar="FOLDER", help="where to write")
    options = parser.parse_args()
    processors = os.sched_getaffinity(0)
    pin(processors)
    if not peers.missing("torch"):
        import torch

        torch.set_num_threads(1)
    for reason in filter(None, map(peers.missing, peers.NAMES)):
        print("left out:", reason)
    session = Session(
        CLOCKS[options.clock], re.compile(options.only), 2 if options.quick else 10, processors, options.threads
    )
    options.output.mkdir(parents=True, exist_ok=True)
    ratios = compare_with_peers(session)
    compare_fits(session)
    compare_quadratic_forms(session)
    compare_float_types(session)
    measure_latency(session)
    measure_threads(session)
    measure_memory(session)
    write(session, options.clock, options.output)
    if ratios:
        draw(ratios, options.output)


if __name__ == "__main__":
    main()
