"""Interaction matrices of known graphs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from numbers import Real
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_random_state

from scorematch._validation import check_count, check_real

Doubles = NDArray[np.float64]
# Entries of the upper triangle: rows and columns.
Edges = tuple[NDArray[np.intp], NDArray[np.intp]]
Strength = float | tuple[float, float]
Signs = Literal["positive", "negative", "random"]
Diagonal = Literal["equal", "dominant"]


def make_chain_graph(
    n_features: int,
    *,
    strength: Strength = (0.5, 1.0),
    signs: Signs = "positive",
    diagonal: Diagonal = "equal",
    smallest_eigenvalue: float = 0.1,
    random_state: Any = None,
) -> Doubles:
    """Interaction matrix of a chain: each variable is tied to the one before and the one after.

    Parameters
    ----------
    n_features : int
        Number of variables, d.
    strength : float or (float, float), default=(0.5, 1.0)
        Size of the entries of the edges: one number, or the ends of a uniform distribution from which each is drawn.
    signs : {"positive", "negative", "random"}, default="positive"
        Signs of these entries; "random" draws each with equal chances. A positive entry of K is a negative dependence.
    diagonal : {"equal", "dominant"}, default="equal"
        "equal": the same number on all of the diagonal, such that the smallest eigenvalue is `smallest_eigenvalue`
        (Lin, Drton and Shojaie 2016; Yu, Drton and Shojaie 2019). "dominant": each entry exceeds the sum of the sizes
        of its row's others by `smallest_eigenvalue`, which no eigenvalue is then below.
    smallest_eigenvalue : float, default=0.1
        A positive number, see `diagonal`.
    random_state : int, RandomState or None
        Seed or generator for what is random.

    Returns
    -------
    ndarray of shape (n_features, n_features)
        K, symmetric and positive definite; (i, j) is an edge where its entry off the diagonal is not 0.

    Raises
    ------
    ValueError
        Where an argument is not as above.

    Examples
    --------
    >>> from scorematch.datasets import make_chain_graph
    >>> make_chain_graph(4, strength=1.0, diagonal="dominant")
    array([[1.1, 1. , 0. , 0. ],
           [1. , 2.1, 1. , 0. ],
           [0. , 1. , 2.1, 1. ],
           [0. , 0. , 1. , 1.1]])
    """
    d = check_count("n_features", n_features)
    edges = np.arange(d - 1), np.arange(1, d)
    return _interaction(d, edges, strength, signs, diagonal, smallest_eigenvalue, check_random_state(random_state))


def make_lattice_graph(
    shape: Sequence[int],
    *,
    strength: Strength = (0.5, 1.0),
    signs: Signs = "positive",
    diagonal: Diagonal = "equal",
    smallest_eigenvalue: float = 0.1,
    random_state: Any = None,
) -> Doubles:
    """Interaction matrix of a rectangular lattice in any number of dimensions: neighbours along an axis are tied.

    Parameters
    ----------
    shape : sequence of int
        Lengths of the sides, such as (10, 10); variables are numbered in C order.
    strength : float or (float, float), default=(0.5, 1.0)
        Size of the entries of the edges, or the ends of a uniform distribution, as for :func:`make_chain_graph`.
    signs : {"positive", "negative", "random"}, default="positive"
        Signs of these entries.
    diagonal : {"equal", "dominant"}, default="equal"
        How the diagonal is chosen, as for :func:`make_chain_graph`.
    smallest_eigenvalue : float, default=0.1
        A positive number, see `diagonal`.
    random_state : int, RandomState or None
        Seed or generator for what is random.

    Returns
    -------
    ndarray of shape (d, d)
        K, symmetric and positive definite; d is the product of `shape`.

    Raises
    ------
    ValueError
        Where an argument is not as above.

    Examples
    --------
    >>> import numpy as np
    >>> from scorematch.datasets import make_lattice_graph
    >>> K = make_lattice_graph((3, 3), strength=0.5)
    >>> np.flatnonzero(K[4])  # the one in the middle, and its four neighbours
    array([1, 3, 4, 5, 7])
    """
    if isinstance(shape, str) or not hasattr(shape, "__len__") or len(shape) == 0:
        raise ValueError(f"shape must be a sequence of integers, the lengths of the sides; got {shape!r}")
    sides = [check_count(f"shape[{k}]", side) for k, side in enumerate(shape)]
    number = np.arange(np.prod(sides)).reshape(sides)
    starts, ends = [], []
    for axis, side in enumerate(sides):
        starts.append(np.take(number, range(side - 1), axis).ravel())
        ends.append(np.take(number, range(1, side), axis).ravel())
    edges = np.concatenate(starts), np.concatenate(ends)
    random = check_random_state(random_state)
    return _interaction(number.size, edges, strength, signs, diagonal, smallest_eigenvalue, random)


def make_erdos_renyi_graph(
    n_features: int,
    *,
    edge_probability: float | None = None,
    n_edges: int | None = None,
    strength: Strength = (0.5, 1.0),
    signs: Signs = "positive",
    diagonal: Diagonal = "equal",
    smallest_eigenvalue: float = 0.1,
    random_state: Any = None,
) -> Doubles:
    """Interaction matrix of a random graph: each pair of variables is tied alike likely (Erdős and Rényi 1959).

    Parameters
    ----------
    n_features : int
        Number of variables, d.
    edge_probability : float, optional
        Each pair is an edge with this probability, independently of the others.
    n_edges : int, optional
        In its place: all graphs of so many edges are equally likely. Exactly one of the two is given.
    strength : float or (float, float), default=(0.5, 1.0)
        Size of the entries of the edges, or the ends of a uniform distribution, as for :func:`make_chain_graph`.
    signs : {"positive", "negative", "random"}, default="positive"
        Signs of these entries.
    diagonal : {"equal", "dominant"}, default="equal"
        How the diagonal is chosen, as for :func:`make_chain_graph`.
    smallest_eigenvalue : float, default=0.1
        A positive number, see `diagonal`.
    random_state : int, RandomState or None
        Seed or generator for what is random.

    Returns
    -------
    ndarray of shape (n_features, n_features)
        K, symmetric and positive definite.

    Raises
    ------
    ValueError
        Where an argument is not as above.

    Examples
    --------
    >>> import numpy as np
    >>> from scorematch.datasets import make_erdos_renyi_graph
    >>> K = make_erdos_renyi_graph(20, n_edges=30, random_state=0)
    >>> int(np.count_nonzero(np.triu(K, 1)))
    30
    >>> round(float(np.linalg.eigvalsh(K)[0]), 10)
    0.1
    """
    d = check_count("n_features", n_features)
    random = check_random_state(random_state)
    upper = np.triu_indices(d, 1)
    n_pairs = len(upper[0])
    if (edge_probability is None) == (n_edges is None):
        raise ValueError(
            "one of edge_probability and n_edges must be given; "
            f"got edge_probability={edge_probability!r}, n_edges={n_edges!r}"
        )
    if n_edges is None:
        chosen = np.flatnonzero(random.uniform(size=n_pairs) < _probability("edge_probability", edge_probability))
    else:
        if check_count("n_edges", n_edges, 0) > n_pairs:
            raise ValueError(f"n_edges must be at most {n_pairs}, all pairs of {d} variables; got {n_edges}")
        chosen = np.sort(random.permutation(n_pairs)[:n_edges])
    edges = upper[0][chosen], upper[1][chosen]
    return _interaction(d, edges, strength, signs, diagonal, smallest_eigenvalue, random)


def make_block_graph(
    n_features: int,
    block_size: int,
    *,
    edge_probability: float = 1.0,
    strength: Strength = (0.5, 1.0),
    signs: Signs = "positive",
    diagonal: Diagonal = "equal",
    smallest_eigenvalue: float = 0.1,
    random_state: Any = None,
) -> Doubles:
    """Interaction matrix of small blocks that are not tied to each other.

    Parameters
    ----------
    n_features : int
        Number of variables, d.
    block_size : int
        Variables in a block; neighbouring columns make one, and the last is smaller where d is no multiple of it.
    edge_probability : float, default=1.0
        Each pair within a block is an edge with this probability, independently of the others.
    strength : float or (float, float), default=(0.5, 1.0)
        Size of the entries of the edges, or the ends of a uniform distribution, as for :func:`make_chain_graph`.
    signs : {"positive", "negative", "random"}, default="positive"
        Signs of these entries.
    diagonal : {"equal", "dominant"}, default="equal"
        How the diagonal is chosen, as for :func:`make_chain_graph`.
    smallest_eigenvalue : float, default=0.1
        A positive number, see `diagonal`.
    random_state : int, RandomState or None
        Seed or generator for what is random.

    Returns
    -------
    ndarray of shape (n_features, n_features)
        K, symmetric and positive definite.

    Raises
    ------
    ValueError
        Where an argument is not as above.

    References
    ----------
    Lin, Drton and Shojaie (2016), "Estimation of high-dimensional graphical models using regularized score matching",
    Electronic Journal of Statistics 10, section 4.2, which takes 10 blocks of 10 variables.

    Examples
    --------
    >>> from scorematch.datasets import make_block_graph
    >>> make_block_graph(4, 2, strength=0.5, diagonal="dominant")
    array([[0.6, 0.5, 0. , 0. ],
           [0.5, 0.6, 0. , 0. ],
           [0. , 0. , 0.6, 0.5],
           [0. , 0. , 0.5, 0.6]])
    """
    d = check_count("n_features", n_features)
    size = check_count("block_size", block_size)
    random = check_random_state(random_state)
    pairs = np.array(list(_pairs_of_blocks(d, size)), dtype=np.intp).reshape(-1, 2)
    pairs = pairs[random.uniform(size=len(pairs)) < _probability("edge_probability", edge_probability)]
    return _interaction(d, (pairs[:, 0], pairs[:, 1]), strength, signs, diagonal, smallest_eigenvalue, random)


def _pairs_of_blocks(d: int, size: int) -> Iterator[tuple[int, int]]:
    for first in range(0, d, size):
        block = range(first, min(first + size, d))
        yield from ((i, j) for i, j in product(block, block) if i < j)


def _probability(name: str, value: object) -> float:
    if check_real(name, value, 0.0) > 1:
        raise ValueError(f"{name} must be at most 1; got {value!r}")
    return float(value)  # type: ignore[arg-type]


def _interaction(
    d: int,
    edges: Edges,
    strength: Strength,
    signs: Signs,
    diagonal: Diagonal,
    smallest_eigenvalue: float,
    random: np.random.RandomState,
) -> Doubles:
    """The matrix with these edges."""
    low, high = (strength, strength) if isinstance(strength, Real) else _pair(strength)
    if not (0 < low <= high < np.inf):
        raise ValueError(f"strength must be a positive number or an increasing pair of them; got {strength!r}")
    if check_real("smallest_eigenvalue", smallest_eigenvalue, 0.0) == 0:
        raise ValueError("smallest_eigenvalue must be positive; got 0")
    if signs not in ("positive", "negative", "random"):
        raise ValueError(f"signs must be 'positive', 'negative' or 'random'; got {signs!r}")
    if diagonal not in ("equal", "dominant"):
        raise ValueError(f"diagonal must be 'equal' or 'dominant'; got {diagonal!r}")
    values = random.uniform(low, high, size=len(edges[0])) if low < high else np.full(len(edges[0]), float(low))
    if signs == "negative":
        values = -values
    elif signs == "random":
        values = np.where(random.uniform(size=len(values)) < 0.5, -values, values)
    matrix = np.zeros((d, d))
    matrix[edges] = values
    matrix += matrix.T
    own = np.abs(matrix).sum(axis=1) if diagonal == "dominant" else -np.linalg.eigvalsh(matrix)[0]
    matrix[np.diag_indices(d)] = own + smallest_eigenvalue
    return matrix


def _pair(strength: Any) -> tuple[float, float]:
    try:
        low, high = strength
        return float(low), float(high)
    except (TypeError, ValueError):
        raise ValueError(
            f"strength must be a positive number or an increasing pair of them; got {strength!r}"
        ) from None
