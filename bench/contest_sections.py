"""Sections of the report on sparse graphical models, bounded domains, and what standard errors are made of."""

from __future__ import annotations

import numpy as np
from contests import Contest
from graphs import FORMS, GRAPHICAL_LASSO, PATHS, SCALING
from regions import REGIONS
from resamples import BOOTSTRAPS
from sample_products import GRADIENT_PRODUCTS
from session import Ratio, Session, milliseconds
from stein import KERNEL_STEIN
from workloads import short

FORM_SHARE = 0.45  # of FMA peak
FORM_TARGET = 5  # times a NumPy loop of weighted products
PATH_FORMS = 6  # times the time of Γ
PATH_TARGET = 10  # times the graphical lasso
BOOTSTRAP_FITS = 30  # times a fit
PRODUCTS_OBJECTIVES = 4  # times an objective with its gradient
STEIN_TARGETS = {"numpy": 15, "jax": 8}  # times the peer, of the statistic alone
GRAPHICAL_LASSO_LARGEST = 200  # columns, beyond which it takes minutes


def race(session: Session, contest: Contest) -> dict[str, np.ndarray]:
    """Times of all contenders, which must agree."""
    calls = contest.contenders()
    contest.check({name: call() for name, call in calls.items()})
    return session.race(calls)


def compare_forms(session: Session) -> None:
    """Γ of the pairwise model."""
    rows = []
    for contest in session.selected(FORMS, "pairwise form"):
        session.measure_peaks()
        seconds = race(session, contest)
        gigaflops = contest.flops / milliseconds(seconds["kernel"]) / 1e6
        session.measure_peaks()
        share = gigaflops / session.peaks["FMA float64"]
        ratios = {name: Ratio(seconds[name] / seconds["kernel"]) for name in ("numpy", "numpy (tuned)")}
        wanted = f"≥ {100 * FORM_SHARE:.0f} % of FMA peak"
        session.judge(f"{contest.name}: symmetric half", wanted, f"{100 * share:.0f} %", share >= FORM_SHARE)
        met = ratios["numpy"].median >= FORM_TARGET
        session.judge(f"{contest.name}, against a numpy loop", f"≥ {FORM_TARGET}×", str(ratios["numpy"]), met)
        times = [f"{milliseconds(seconds[name]):.3g}" for name in ("kernel", "scorematch")]
        limit = f"{ratios['numpy'].median / share:.3g}×"
        gains = [*map(str, ratios.values()), limit]
        rows.append([contest.name, *times, f"{gigaflops:.3g}", f"{100 * share:.0f} % FMA", *gains])
    session.table(
        "Quadratic form of the pairwise model",
        ["Γ and g", "ours, ms", "`quadratic_form`, ms", "GF/s", "of peak", "numpy loop", "numpy loop (tuned)", "limit"],
        rows,
        "Operations are those of the symmetric half of each of the d matrices, n·d·d(d + 1) in all. Ours and the "
        "loops have the weights at hand; `quadratic_form` checks X and works them out. The loop is "
        "`(X * w[:, [j]]).T @ X` for each j; tuned, the product of `X * sqrt(w[:, [j]])` with itself, of which NumPy "
        "computes half. The limit is the gain over the loop that these operations would have at peak.",
    )


def compare_paths(session: Session) -> None:
    """A path of penalties, beside its Γ and the graphical lasso."""
    rows = []
    for contest in session.selected(PATHS, "path"):
        calls = contest.contenders()
        results = {name: call() for name, call in calls.items()}
        contest.check(results)
        own = session.race({"scorematch": calls["scorematch"], "Γ": contest.form.contenders()["scorematch"]})
        in_forms = Ratio(own["scorematch"] / own["Γ"])
        seconds = session.race(calls)
        ratios = {name: Ratio(seconds[name] / seconds["scorematch"]) for name in GRAPHICAL_LASSO}
        session.judge(
            f"{contest.name}: times of its Γ", f"≤ {PATH_FORMS}×", str(in_forms), in_forms.median <= PATH_FORMS
        )
        for name, ratio in ratios.items():
            met = ratio.median >= PATH_TARGET
            session.judge(f"{contest.name}, against the {name}", f"≥ {PATH_TARGET}×", str(ratio), met)
        path = results["scorematch"]
        last = np.count_nonzero(np.triu(results["graphical lasso"][-1], 1))
        residual = f"{path.kkt_residual.max():.1e}"
        edges = [str(path.n_edges[-1]), str(last)]
        time = f"{milliseconds(own['scorematch']):.3g}"
        rows.append([contest.name, time, str(in_forms), residual, *map(str, ratios.values()), *edges])
    session.table(
        "Paths of the truncated Gaussian",
        ["path", "ours, ms", "in times of Γ", "KKT residual", *GRAPHICAL_LASSO, "edges at the end", "theirs"],
        rows,
        "Ours is `interaction_path` at its defaults, from X to the last estimate, Γ included; Γ is `quadratic_form`. "
        "The graphical lasso is scikit-learn's path, each estimate from the one before, on Gaussian data with the same "
        "chain for a graph, from no edge to about as many as ours; tuned, with `enet_tol=1e-6`, where it is fastest. "
        "It stops at a duality gap of 1e-4, or unconverged after 100 sweeps; ours at conditions of a minimum "
        "met to 1e-8.",
    )


def measure_scaling(session: Session) -> None:
    """Time by number of columns, for a figure."""
    rows = []
    for contest in session.selected(SCALING, "scaling"):
        forms = contest.form.contenders()
        calls = {
            "scorematch: Γ": forms["kernel"],
            "scorematch: path of 100 penalties": contest.ours,
            "numpy loop: Γ": forms["numpy"],
        }
        seconds = session.race(calls)
        if contest.d <= GRAPHICAL_LASSO_LARGEST:
            lasso = {"graphical lasso: path of 100 penalties": contest.contenders()["graphical lasso"]}
            seconds |= session.race(lasso, least_rounds=1)
        for name, values in seconds.items():
            series = session.record.scaling.setdefault(name, {})
            series[str(contest.d)] = float(np.median(values))
        cells = [f"{milliseconds(values):.3g}" for values in seconds.values()]
        rows.append([f"d={contest.d}, n={short(contest.n)}", *cells, *["–"] * (4 - len(cells))])
    session.table(
        "Cost by number of columns",
        ["ms", "ours: Γ", "ours: path of 100", "numpy loop: Γ", "graphical lasso: path of 100"],
        rows,
        "Γ with the weights at hand, as above; the path from X on.\n\n![Time by number of columns](scaling.png)",
    )


def compare_regions(session: Session) -> None:
    """Bounded domains."""
    rows = []
    for contest in session.selected(REGIONS, "regions"):
        seconds = race(session, contest)
        ratio = Ratio(seconds["numpy"] / seconds["scorematch"])
        rows.append([contest.name, f"{milliseconds(seconds['scorematch']):.3g}", str(ratio)])
    session.table("Bounded domains", ["", "ours, ms", "numpy"], rows)


def compare_bootstraps(session: Session) -> None:
    """Resamples, beside a fit."""
    rows = []
    for contest in session.selected(BOOTSTRAPS, "bootstrap"):
        seconds = race(session, contest)
        in_fits = Ratio(seconds["scorematch"] / seconds["fit"])
        session.judge(
            f"{contest.name}, in fits", f"≤ {BOOTSTRAP_FITS}×", str(in_fits), in_fits.median <= BOOTSTRAP_FITS
        )
        times = [f"{milliseconds(seconds[name]):.3g}" for name in contest.names]
        rows.append([contest.name, *times, str(in_fits)])
    session.table("Bootstrap of closed forms", ["", "ours, ms", "a fit, ms", "in fits"], rows)


def compare_gradient_products(session: Session) -> None:
    """Outer products of the gradients of single samples."""
    rows = []
    for contest in session.selected(GRADIENT_PRODUCTS, "gradient products"):
        session.measure_peaks()
        seconds = race(session, contest)
        in_objectives = Ratio(seconds["scorematch"] / seconds["objective"])
        gain = Ratio(seconds["numpy"] / seconds["scorematch"])
        gigaflops = contest.flops / milliseconds(seconds["scorematch"]) / 1e6
        session.measure_peaks()
        share = f"{100 * gigaflops / session.peaks['FMA float64']:.0f} % FMA"
        met = in_objectives.median <= PRODUCTS_OBJECTIVES
        session.judge(
            f"{contest.name}: in times of the objective", f"≤ {PRODUCTS_OBJECTIVES}×", str(in_objectives), met
        )
        time = f"{milliseconds(seconds['scorematch']):.3g}"
        rows.append([contest.name, time, str(in_objectives), f"{gigaflops:.3g}", share, str(gain)])
    session.table(
        "Outer products of gradients",
        ["Σ g gᵀ", "ours, ms", "in times of objective and gradient", "GF/s", "of peak", "numpy"],
        rows,
        "Operations are those of the symmetric product alone, n·p(p + 1); the time is that of all. A Gaussian's "
        "objective takes about 4d² operations a row and the product p², d⁴/4: there the ratio is one of operations. "
        "NumPy has the gradients of blocks of rows by formulas, and their product with `block.T @ block`.",
    )


def compare_kernel_stein(session: Session) -> None:
    """The kernel Stein discrepancy and its test."""
    rows, peers = [], ("numpy", "numpy (tuned)", "jax")
    for contest in session.selected(KERNEL_STEIN, "kernel stein"):
        seconds = race(session, contest)
        ratios = {name: Ratio(seconds[name] / seconds["scorematch"]) for name in contest.names[1:]}
        for name, target in STEIN_TARGETS.items():
            if name in ratios and not contest.n_draws:
                met = ratios[name].median >= target
                session.judge(f"{contest.name}, against {name}", f"≥ {target}×", str(ratios[name]), met)
        time = f"{milliseconds(seconds['scorematch']):.3g}"
        rows.append([contest.name, time, *(str(ratios.get(name, "–")) for name in peers)])
    session.table(
        "Kernel Stein discrepancy",
        ["", "ours, ms", *peers],
        rows,
        "Ours are the public functions, score function and all; the peers have it at hand. NumPy works in blocks of "
        "rows against all; tuned, in pairs of tiles that stay in the cache, each pair once; the bootstrap by matrix "
        "products of a tile with all signs.",
    )
