"""Benchmarks compare like with like: every peer gives our objective and our gradient."""

import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).resolve().parents[1] / "bench"
sys.path.insert(0, str(BENCH))

import peers  # noqa: E402
from workloads import GRID, Workload  # noqa: E402

# Small, since compiling takes the most; but more rows than one block has, and a last block that is not full.
SMALL = {workload.at(n=603, d=min(workload.d, 5), components=min(workload.components, 5)) for workload in GRID}


@pytest.mark.parametrize("peer", peers.NAMES)
@pytest.mark.parametrize("workload", sorted(SMALL, key=str), ids=lambda workload: workload.name)
def test_peer_agrees(workload: Workload, peer: str) -> None:
    if reason := peers.missing(peer):
        pytest.skip(reason)
    X = workload.data()
    ours = workload.evaluation(X)
    peers.check_agreement(workload, workload.theta(), ours, peers.make(peer, workload, X), peer)
