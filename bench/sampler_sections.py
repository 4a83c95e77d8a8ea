"""Sections of the report on samplers and on objectives with random vectors."""

from __future__ import annotations

import importlib.util

from contest_sections import race
from objectives import OBJECTIVES
from samplers import HAMILTONIAN, LANGEVIN, effective_share
from session import Ratio, Session, milliseconds

LANGEVIN_TARGETS = {"numpy": 50, "jax": 6, "jax (tuned)": 6}  # times the peer
HAMILTONIAN_TARGET = 10  # times blackjax


def compare_langevin(session: Session) -> None:
    """Unadjusted Langevin chains."""
    rows, peers = [], ("numpy", "numpy (tuned)", "jax", "jax (tuned)")
    for contest in session.selected(LANGEVIN, "langevin"):
        seconds = race(session, contest)
        ratios = {name: Ratio(seconds[name] / seconds["scorematch"]) for name in contest.names[2:]}
        for name, target in LANGEVIN_TARGETS.items():
            if name in ratios:
                met = ratios[name].median >= target
                session.judge(f"{contest.name}, against {name}", f"≥ {target}×", str(ratios[name]), met)
        time = milliseconds(seconds["scorematch"])
        per_step = f"{1e6 * time / contest.n / contest.n_steps:.3g}"
        cells = [f"{time:.3g}", f"{milliseconds(seconds['public']):.3g}", per_step]
        rows.append([contest.name, *cells, *(str(ratios.get(name, "–")) for name in peers)])
    session.table(
        "Langevin chains",
        ["", "ours, ms", "public function, ms", "ns a step of a chain", *peers],
        rows,
        "All in float64, with normal numbers of their own, ready compiled; the mixture has full covariances. `tuned` "
        "has the exponents of all components as one matrix product with monomials, and the score as another.",
    )


def compare_hamiltonian(session: Session) -> None:
    """MALA and Hamiltonian Monte Carlo."""
    rows, peers = [], ("blackjax", "blackjax (tuned)")
    has_ess = importlib.util.find_spec("arviz") is not None
    for contest in session.selected(HAMILTONIAN, "hamiltonian"):
        calls = contest.contenders()
        results = {name: call() for name, call in calls.items()}
        contest.check(results)
        seconds = session.race(calls)
        ratios = {name: Ratio(seconds[name] / seconds["scorematch"]) for name in contest.names[2:]}
        shares = {name: effective_share(draws) for name, (draws, _) in results.items()} if has_ess else {}
        for name, ratio in ratios.items():
            met = ratio.median >= HAMILTONIAN_TARGET
            session.judge(f"{contest.name}, against {name}", f"≥ {HAMILTONIAN_TARGET}×", str(ratio), met)
            if has_ess:
                effective = Ratio(ratio.values * shares["scorematch"] / shares[name])
                met = effective.median >= HAMILTONIAN_TARGET
                what = f"{contest.name}, effective draws against {name}"
                session.judge(what, f"≥ {HAMILTONIAN_TARGET}×", str(effective), met)
        time = milliseconds(seconds["scorematch"])
        per_second = contest.n * contest.n_draws / time / 1e3
        effective_rate = f"{per_second * shares['scorematch']:.3g}" if has_ess else "–"
        acceptance = f"{results['scorematch'][1].mean():.3f}"
        times = [f"{time:.3g}", f"{milliseconds(seconds['public']):.3g}"]
        cells = [*times, f"{per_second:.3g}", effective_rate, acceptance]
        rows.append([contest.name, *cells, *(str(ratios.get(name, "–")) for name in peers)])
    session.table(
        "MALA and Hamiltonian Monte Carlo",
        ["", "ours, ms", "public function, ms", "10⁶ draws/s", "10⁶ effective draws/s", "acceptance", *peers],
        rows,
        "Same starting points, step size and number of leapfrog steps, no adaptation; acceptance and moments of the "
        "chains agree. Effective draws are ArviZ's, of the coordinate that has fewest. blackjax runs all chains under "
        "`vmap`, in one compiled scan; `tuned` with log density and score by hand as above, else by autodiff.",
    )


def compare_objectives(session: Session) -> None:
    """Sliced, denoising, finite differences."""
    rows = []
    for contest in session.selected(OBJECTIVES, "objectives"):
        seconds = race(session, contest)
        in_exact = Ratio(seconds["scorematch"] / seconds["exact"])
        jax = str(Ratio(seconds["jax"] / seconds["scorematch"])) if "jax" in seconds else "–"
        rows.append([contest.name, f"{milliseconds(seconds['scorematch']):.3g}", str(in_exact), jax])
    session.table(
        "Objectives along random vectors",
        ["objective and gradient", "ours, ms", "in times of the exact one", "jax"],
        rows,
        "One vector a row. JAX has ψ and vᵀ∇ψv by hand, gradients by `value_and_grad`, blocks of rows that stay in "
        "the cache, and the random vectors ready made; ours draws them anew in each call.",
    )
