"""Measure against peers, write `results/REPORT.md` and draw its figures; `speed.png` among them is the README's.

    python bench/report.py [--quick] [--only PATTERN] [--clock wall|cpu] [--threads N] [--output FOLDER]

Contenders take turns, one call of each a round, in one process on one processor with one thread; the ratio of two is
taken within each round, and the table shows medians and quartiles of those. So neighbours on the machine slow all
alike. On a machine that is never quiet ``--clock cpu`` counts the processor time of the process in place of the time on
the wall.

What is measured goes to `results.json` in the folder, in place of what it held of the same rows, and the report shows
all that is there, each row with the run that it comes from. ``--only nothing`` writes and draws what is there anew.
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
import platform
import re
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import contest_sections
import numpy as np
import peers
import probes
import sampler_sections
import scorematch
from record import Record
from scorematch import _core
from session import CLOCKS, Ratio, Session, bind, milliseconds, pin
from workloads import FORM, GRID, Workload, short

RESULTS = Path(__file__).parent / "results"

FULL_10 = Workload("GaussianMixture", 10, 100_000, 8, "full")
FULL_64 = Workload("GaussianMixture", 64, 100_000, 8, "full")
DIAGONAL_32 = Workload("GaussianMixture", 32, 100_000, 16, "diag")
ICA_64 = Workload("ICA", 64, 100_000, 64)
STUDENT_10 = Workload("StudentT", 10, 100_000)
PRODUCT_64 = Workload("ProductOfStudentT", 64, 100_000, 64)
RBM_64 = Workload("GaussianBernoulliRBM", 64, 100_000, 64)
RBM_128 = RBM_64.at(components=128)
PRODUCT_128 = PRODUCT_64.at(components=128)

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
    **{(workload, "jax"): 4 for workload in (PRODUCT_64, PRODUCT_128, RBM_64, RBM_128)},
    **{(workload, "jax autodiff"): 100 for workload in (PRODUCT_64, PRODUCT_128, RBM_64, RBM_128)},
    **{(workload.at(dtype="float32"), "jax"): 3 for workload in (PRODUCT_64, RBM_64, RBM_128)},
}
FIT_TARGET = 1 / 1.15  # of the speed of dsyrk
FLOAT32_TARGET = 1.9
THREADS_TARGET = 1.7
EVALUATOR_MICROSECONDS, PUBLIC_MICROSECONDS = 15, 60
MEMORY_MEBIBYTES = 64
PEAK_MEBIBYTES = 2048  # of a process that works on 500 columns

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


def compare_with_peers(session: Session) -> None:
    """The main table."""
    rows = []
    for workload in session.selected(GRID, "peers"):
        session.measure_peaks()
        found, ours, public = _race_peers(session, workload)
        session.record.ratios[workload.name] = {peer: list(ratio.quartiles) for peer, ratio in found.items()}
        seconds = ours / 1e3
        gigaflops = workload.flops / seconds / 1e9
        shares = {
            "FMA": gigaflops / session.peaks[f"FMA {workload.dtype}"],
            "exp": workload.exponentials / seconds / 1e9 / session.peaks[f"exp {workload.dtype}"],
        }
        bound = max(shares, key=shares.__getitem__)
        cells = [f"{ours:.3g}", f"{public:.3g}", f"{gigaflops:.3g}", f"{100 * shares[bound]:.0f} % {bound}"]
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
    title = "Against peers"
    session.table(title, columns, rows, "[^rows]: Both on fewer rows, so that a call takes seconds.")
    session.record.arrange(title, [workload.name for workload in GRID])


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
        calls = {name: bind(evaluation, theta) for name, evaluation in evaluations.items()}
        calls["public"] = bind(sized.model.loss_and_grad, theta, X)
        seconds = session.race(calls)
        found |= {name: Ratio(seconds[name] / seconds["ours"]) for name in contenders}
        if size == workload.n:
            ours, public = (milliseconds(seconds[name]) for name in ("ours", "public"))
    return found, ours, public


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
                "ours": bind(model.fit, X),
                "dsyrk": bind(dsyrk, 1.0, X.T),  # the transpose is what BLAS takes without a copy
                "sklearn": bind(EmpiricalCovariance().fit, X),
            }
        )
        dsyrk_ratio, sklearn_ratio = (Ratio(seconds[name] / seconds["ours"]) for name in ("dsyrk", "sklearn"))
        what = f"{workload.name}: fit against dsyrk"
        session.judge(what, f"≥ {FIT_TARGET:.2f}×", str(dsyrk_ratio), dsyrk_ratio.median >= FIT_TARGET)
        rows.append([workload.name, f"{milliseconds(seconds['ours']):.3g}", str(dsyrk_ratio), str(sklearn_ratio)])
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
            "ours": bind(model.quadratic_form, X),
            "definition": bind(peer.form_by_definition, X),
            "moments": bind(peer.form_by_moments, X, 1024),
        }
        ours = model.quadratic_form(X)
        for name in ("definition", "moments"):
            for mine, theirs in zip(ours, calls[name](), strict=True):
                np.testing.assert_allclose(theirs, mine, rtol=1e-9, atol=1e-9 * np.abs(mine).max())
        seconds = session.race(calls)
        n_params = len(ours.g)
        effective = workload.n * workload.d * n_params * (n_params + 1) / milliseconds(seconds["ours"]) / 1e6
        share = effective / session.peaks[f"FMA {workload.dtype}"]
        what = f"{workload.name}: Γ, in operations of its definition"
        session.judge(what, f"≥ {100 * FORM_TARGET:.0f} % of FMA peak", f"{100 * share:.0f} %", share >= FORM_TARGET)
        ratios = [str(Ratio(seconds[name] / seconds["ours"])) for name in ("definition", "moments")]
        rows.append(
            [
                workload.name,
                f"{milliseconds(seconds['ours']):.3g}",
                f"{effective:.3g}",
                f"{100 * share:.0f} % FMA",
                *ratios,
            ]
        )
    columns = ["Γ and g", "ours, ms", "GF/s of the definition", "of peak", "numpy, D·Dᵀ", "numpy, moments in blocks"]
    session.table("Quadratic form of a polynomial family", columns, rows)


def compare_float_types(session: Session) -> None:
    """Our own float32 against our own float64."""
    rows = []
    for workload in session.selected(FLOAT32, "float32"):
        evaluations = {}
        for dtype in ("float64", "float32"):
            typed = workload.at(dtype=dtype)
            evaluations[dtype] = bind(typed.evaluation(typed.data()), typed.theta())
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
        calls = {"evaluator": bind(model._loss(X, None), theta), "public": bind(model.loss_and_grad, theta, X)}
        seconds = session.race(calls)
        microseconds = {name: 1e3 * milliseconds(values) for name, values in seconds.items()}
        for name, limit in (("evaluator", EVALUATOR_MICROSECONDS), ("public", PUBLIC_MICROSECONDS)):
            met = microseconds[name] < limit
            session.judge(f"{workload.name}: {name}", f"< {limit} µs", f"{microseconds[name]:.3g} µs", met)
        rows.append([workload.name, *(f"{value:.3g}" for value in microseconds.values())])
    session.table("Ten rows", ["", "compiled evaluator, µs", "`loss_and_grad`, µs"], rows)


def measure_threads(session: Session) -> None:
    """Several threads against one; always by the clock on the wall."""
    if session.n_threads < 2:
        return
    rows = []
    for name in probes.THREADS:
        if session.wants("threads", name):
            pairs = np.array(session.probe("threads", name, session.n_threads, 7 if session.quick else 15))
            ratio = Ratio(pairs[:, 0] / pairs[:, 1])
            target = probes.THREADS_TARGETS.get(name, THREADS_TARGET)
            met = ratio.median >= target
            session.judge(f"{name}: {session.n_threads} threads against one", f"≥ {target}×", str(ratio), met)
            rows.append([name, f"{milliseconds(pairs[:, 0]):.3g}", str(ratio)])
    session.table(
        f"{session.n_threads} threads against one",
        ["", "one, ms", "gain"],
        rows,
        "By the clock on the wall. Where no more is said, objective and gradient.",
    )


def measure_memory(session: Session) -> None:
    """Peak memory above X for ten million rows, and that of a process with 500 columns."""
    rows = []
    for family, workload in probes.MEMORY.items():
        for call in ("loss_and_grad", "fit"):
            if session.wants("memory", f"{workload.name}: {call}"):
                mebibytes = session.probe("memory", family, call)
                what = f"{workload.name}: memory of {call}"
                met = mebibytes < MEMORY_MEBIBYTES
                session.judge(what, f"< {MEMORY_MEBIBYTES} MiB", f"{mebibytes:.1f} MiB", met)
                rows.append([f"{workload.name}: `{call}`", f"{mebibytes:.1f}"])
    session.table("Peak memory above X", ["", "MiB"], rows)
    rows = []
    for call in probes.PEAK:
        name = f"PairwiseInteraction, d={probes.WIDE.d}, n={short(probes.WIDE.n)}: {call}"
        if session.wants("memory", name):
            before, peak = session.probe("peak", call)
            session.judge(f"{name}: all memory", f"< {PEAK_MEBIBYTES} MiB", f"{peak:.0f} MiB", peak < PEAK_MEBIBYTES)
            rows.append([name, f"{before:.0f}", f"{peak:.0f}"])
    note = (
        f"The blocks of Γ alone, d³ numbers, take {8 * probes.WIDE.d**3 / 2**20:.0f} MiB. A fit holds them twice: as "
        "they are, and with η profiled out."
    )
    session.table("Peak memory of a process, pairwise model", ["", "MiB before", "MiB at the peak"], rows, note)


def describe_machine(session: Session, clock: str) -> list[str]:
    """What the figures were measured on."""
    model = platform.processor()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":")[1].strip()
            break
    packages = ("numpy", "scipy", "scikit-learn", "jax", "blackjax", "torch")
    peaks = ", ".join(
        f"{name} {peak:.3g} {'GF/s' if name.startswith('FMA') else '× 10⁹/s'}" for name, peak in session.peaks.items()
    )
    load = os.getloadavg()[0]
    return [
        f"{time.strftime('%Y-%m-%d')}, {model}, {len(session.processors)} processors, load {load:.1f}; one thread on "
        "one processor",
        f"level {_core.level()}, {_core.vector_bits()}-bit vectors; measured peaks: {peaks or 'not measured'}",
        f"scorematch {scorematch.__version__}, Python {platform.python_version()}, "
        + ", ".join(f"{package} {_version(package)}" for package in packages),
        f"clock: {'processor time of the process' if clock == 'cpu' else 'wall'}"
        + (", few rounds" if session.quick else ""),
    ]


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


INTRODUCTION = [
    "# Benchmarks",
    "",
    "Written by `python bench/report.py`. Times of a peer over ours, so that more is better for us: medians of paired "
    "rounds (quartiles). Everybody computes the same, objective and full gradient in the same parameters unless a "
    "section says otherwise, which is checked before anything is timed. `numpy` and `jax` are the derivatives written "
    "out by hand on whole arrays; `(tuned)` the fastest forms found: blocks of rows that stay in the cache, squares "
    "expanded into matrix products (which loses digits far from the origin), moments. Neither we nor they check X; our "
    "public method does, in the column beside.",
    "",
]


def write(record: Record, folder: Path) -> None:
    """The record, the report and its figures."""
    record.save(folder)
    (folder / "REPORT.md").write_text("\n".join([*INTRODUCTION, *record.lines()]) + "\n")
    if record.ratios or record.scaling:
        import figures

        if record.ratios:
            figures.draw_ratios(record.ratios, folder / "speed.png")
        if record.scaling:
            figures.draw_scaling(record.scaling, folder / "scaling.png")


def main() -> None:
    """Measure, write, draw."""
    parser = argparse.ArgumentParser(description="Measure against peers; write the report and draw its figures.")
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
    options.output.mkdir(parents=True, exist_ok=True)
    session = Session(
        CLOCKS[options.clock],
        re.compile(options.only),
        2 if options.quick else 10,
        processors,
        options.threads,
        Record.load(options.output),
    )
    for measure in (
        compare_with_peers,
        compare_fits,
        compare_quadratic_forms,
        compare_float_types,
        contest_sections.compare_forms,
        contest_sections.compare_paths,
        contest_sections.measure_scaling,
        contest_sections.compare_regions,
        contest_sections.compare_bootstraps,
        contest_sections.compare_gradient_products,
        contest_sections.compare_kernel_stein,
        sampler_sections.compare_langevin,
        sampler_sections.compare_hamiltonian,
        sampler_sections.compare_objectives,
        measure_latency,
        measure_threads,
        measure_memory,
    ):
        measure(session)
        session.record.save(options.output)  # lest a later section lose what took minutes
    session.record.close(describe_machine(session, options.clock))
    write(session.record, options.output)


if __name__ == "__main__":
    main()
