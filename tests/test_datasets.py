"""Known graphs, and data on them."""

import numpy as np
import pytest
from scorematch.datasets import (
    make_block_graph,
    make_chain_graph,
    make_erdos_renyi_graph,
    make_lattice_graph,
    make_pairwise_data,
    sample_pairwise,
)

GRAPHS = {
    "chain": lambda **kw: make_chain_graph(12, **kw),
    "lattice": lambda **kw: make_lattice_graph((3, 4), **kw),
    "erdos_renyi": lambda **kw: make_erdos_renyi_graph(12, edge_probability=0.3, **kw),
    "erdos_renyi_count": lambda **kw: make_erdos_renyi_graph(12, n_edges=9, **kw),
    "block": lambda **kw: make_block_graph(12, 5, **kw),
}


@pytest.mark.parametrize("make", GRAPHS.values(), ids=GRAPHS)
def test_matrices(make):
    for signs in ("positive", "negative", "random"):
        K = make(signs=signs, strength=(0.2, 0.7), smallest_eigenvalue=0.3, random_state=1)
        np.testing.assert_array_equal(K, K.T)
        edges = K[np.triu_indices(12, 1)]
        edges = edges[edges != 0]
        assert len(edges) > 5
        assert ((np.abs(edges) >= 0.2) & (np.abs(edges) <= 0.7)).all()
        assert np.ptp(np.abs(edges)) > 0.2
        assert (edges > 0).all() == (signs == "positive")
        assert (edges < 0).all() == (signs == "negative")
        assert np.linalg.eigvalsh(K)[0] == pytest.approx(0.3, abs=1e-12)
        assert np.ptp(np.diagonal(K)) == 0
        np.testing.assert_array_equal(
            K, make(signs=signs, strength=(0.2, 0.7), smallest_eigenvalue=0.3, random_state=1)
        )
    dominant = make(diagonal="dominant", smallest_eigenvalue=0.5, signs="random", random_state=2)
    off = np.abs(dominant).sum(axis=1) - np.diagonal(dominant)
    np.testing.assert_allclose(np.diagonal(dominant) - off, 0.5)
    constant = make(strength=0.25, random_state=0)
    assert set(np.unique(constant[np.triu_indices(12, 1)])) == {0.0, 0.25}


def test_edges_are_where_they_should_be():
    i, j = np.indices((7, 7))
    np.testing.assert_array_equal(make_chain_graph(7) != 0, abs(i - j) <= 1)
    np.testing.assert_array_equal(make_block_graph(7, 3) != 0, i // 3 == j // 3)
    lattice = make_lattice_graph((2, 3, 2)) != 0
    places = np.array(np.unravel_index(np.arange(12), (2, 3, 2))).T
    np.testing.assert_array_equal(lattice, np.abs(places[:, None] - places).sum(axis=2) <= 1)
    np.testing.assert_array_equal(make_lattice_graph((5,)) != 0, make_chain_graph(5) != 0)
    assert make_chain_graph(1) == pytest.approx(0.1)
    counts = [
        np.count_nonzero(np.triu(make_erdos_renyi_graph(30, edge_probability=0.2, random_state=s), 1))
        for s in range(40)
    ]
    # 435 pairs: 87 edges on average, with variance 69.6.
    assert abs(np.mean(counts) - 87) < 4 * np.sqrt(69.6 / 40)
    assert np.count_nonzero(np.triu(make_erdos_renyi_graph(5, n_edges=0), 1)) == 0
    assert np.count_nonzero(np.triu(make_erdos_renyi_graph(5, n_edges=10), 1)) == 10


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: make_chain_graph(0), "n_features must be an integer of at least 1; got 0"),
        (lambda: make_lattice_graph(()), "shape must be a sequence of integers"),
        (lambda: make_lattice_graph((3, -1)), r"shape\[1\] must be an integer of at least 1; got -1"),
        (lambda: make_erdos_renyi_graph(5), "one of edge_probability and n_edges must be given"),
        (lambda: make_erdos_renyi_graph(5, n_edges=1, edge_probability=0.1), "one of edge_probability and n_edges"),
        (lambda: make_erdos_renyi_graph(5, n_edges=11), "n_edges must be at most 10, all pairs of 5 variables; got 11"),
        (lambda: make_erdos_renyi_graph(5, edge_probability=1.5), "edge_probability must be at most 1; got 1.5"),
        (lambda: make_block_graph(5, 0), "block_size must be an integer of at least 1"),
        (lambda: make_chain_graph(5, strength=-1.0), "strength must be a positive number or an increasing pair"),
        (lambda: make_chain_graph(5, strength=(1.0, 0.5)), "strength must be a positive number or an increasing pair"),
        (lambda: make_chain_graph(5, strength="big"), "strength must be a positive number or an increasing pair"),
        (lambda: make_chain_graph(5, signs="both"), "signs must be 'positive', 'negative' or 'random'; got 'both'"),
        (lambda: make_chain_graph(5, diagonal="none"), "diagonal must be 'equal' or 'dominant'; got 'none'"),
        (lambda: make_chain_graph(5, smallest_eigenvalue=0), "smallest_eigenvalue must be positive"),
    ],
)
def test_errors(call, says):
    with pytest.raises(ValueError, match=says):
        call()


def test_data_are_the_samplers():
    K = make_chain_graph(20, random_state=0)
    X = make_pairwise_data(K, np.ones(20), n_samples=50, random_state=3, burn_in=20)
    np.testing.assert_array_equal(X, sample_pairwise(K, np.ones(20), n_samples=50, random_state=3, burn_in=20))
    assert X.shape == (50, 20)
    assert (X >= 0).all()
