"""Benchmarks compare like with like: every peer computes what we do."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

BENCH = Path(__file__).resolve().parents[1] / "bench"
sys.path.insert(0, str(BENCH))

import graphs  # noqa: E402
import objectives  # noqa: E402
import peers  # noqa: E402
import regions  # noqa: E402
import resamples  # noqa: E402
import sample_products  # noqa: E402
import samplers  # noqa: E402
import stein  # noqa: E402
from contests import Contest  # noqa: E402
from record import Record  # noqa: E402
from workloads import GRID, Workload  # noqa: E402

# Small, since compiling takes the most; but more rows than one block has, and a last block that is not full; and with
# more components than columns where there are.
SMALL = {
    workload.at(
        n=603, d=min(workload.d, 5), components=min(workload.components, 5 if workload.components <= workload.d else 7)
    )
    for workload in GRID
}
CONTESTS = (
    graphs.Form(7, 603),
    graphs.Form(40, 603),
    graphs.PenaltyPath(12, 300, 20),
    *(replace(contest, n=603) for contest in (*regions.REGIONS, *stein.KERNEL_STEIN)),
    *(replace(contest, n=6003, d=4) for contest in resamples.BOOTSTRAPS),
    *(replace(contest, n=603) for contest in sample_products.GRADIENT_PRODUCTS),
    # Of one block, and not all of the first family, since compiling takes the most.
    *(replace(contest, n=300) for contest in (objectives.OBJECTIVES[0], *objectives.OBJECTIVES[3:])),
    *(replace(contest, n=1003) for contest in samplers.LANGEVIN),
    *(replace(contest, n=1003, n_draws=50) for contest in samplers.HAMILTONIAN),
)


@pytest.mark.parametrize("peer", peers.NAMES)
@pytest.mark.parametrize("workload", sorted(SMALL, key=str), ids=lambda workload: workload.name)
def test_peer_agrees(workload: Workload, peer: str) -> None:
    if reason := peers.missing(peer):
        pytest.skip(reason)
    X = workload.data()
    ours = workload.evaluation(X)
    peers.check_agreement(workload, workload.theta(), ours, peers.make(peer, workload, X), peer)


@pytest.mark.parametrize("contest", CONTESTS, ids=lambda contest: contest.name)
def test_contenders_agree(contest: Contest) -> None:
    calls = contest.contenders()
    assert set(calls) == set(contest.names)
    contest.check({name: call() for name, call in calls.items()})


def test_a_check_finds_a_wrong_form() -> None:
    contest = graphs.Form(7, 603)
    results = {name: call() for name, call in contest.contenders().items()}
    results["numpy"][0][3, 1, 2] *= 1 + 1e-6
    with pytest.raises(AssertionError):
        contest.check(results)


def test_a_check_finds_what_is_no_minimum() -> None:
    contest = graphs.PenaltyPath(12, 300, 20)
    path = contest.ours()
    path.interactions[10, 4, 4] += 1e-4
    with pytest.raises(AssertionError, match="conditions of a minimum"):
        contest.check({"scorematch": path})


def test_a_check_finds_another_step_size() -> None:
    contest = samplers.Langevin(n=3000)
    other = replace(contest, step_size=2 * contest.step_size)
    results = {
        "scorematch": contest.contenders()["scorematch"](),
        "numpy (tuned)": other.contenders()["numpy (tuned)"](),
    }
    with pytest.raises(AssertionError, match="standard errors"):
        contest.check(results)


def test_a_check_finds_other_chains() -> None:
    contest = samplers.Hamiltonian(n_draws=50)
    ours = contest.contenders()["scorematch"]()
    other = replace(contest, step_size=1.5 * contest.step_size).contenders()["scorematch"]()
    with pytest.raises(AssertionError, match="standard errors"):
        contest.check({"scorematch": ours, "blackjax": other})


def test_a_run_replaces_its_rows_alone(tmp_path: Path) -> None:
    columns = ["", "ms"]
    first = Record()
    first.add_rows("Speed", columns, [["a", "1"], ["b", "2"]], "a note")
    first.add_target("a", "< 2 ms", "1 ms", True)
    first.close(["a machine"])
    first.save(tmp_path)

    second = Record.load(tmp_path)
    second.add_rows("Speed", columns, [["b", "3"]], "")
    second.close(["another"])
    lines = second.lines()
    assert lines[:4] == ["## Runs", "", "1. a machine", "2. another"]
    assert {"| a | 1 | 1 |", "| b | 3 | 2 |", "a note", "| a | < 2 ms | 1 ms | yes | 1 |"} <= set(lines)

    # A run of which nothing is left goes.
    second.add_rows("Speed", columns, [["a", "4"]], "")
    second.add_target("a", "< 2 ms", "4 ms", False)
    second.close(["a third"])
    assert second.lines()[2:4] == ["1. another", "2. a third"]
