"""How well estimated graphs recover a known one.

A graph is a square matrix, dense or sparse, whose nonzero entries off the diagonal are its edges: an interaction matrix
or an adjacency. Each unordered pair of variables counts once.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scorematch._validation import check_count

Doubles = NDArray[np.float64]

__all__ = [
    "EdgeROC",
    "PrecisionRecall",
    "edge_auc",
    "edge_average_precision",
    "edge_f1_score",
    "edge_matthews_corrcoef",
    "edge_precision_recall",
    "edge_roc",
    "mean_roc",
]


class EdgeROC(NamedTuple):
    """A receiver operating characteristic.

    Parameters
    ----------
    fpr : ndarray
        False positive rates, increasing from 0 to 1.
    tpr : ndarray
        The true positive rates that belong to them.

    Examples
    --------
    >>> from scorematch.metrics import EdgeROC
    >>> EdgeROC([0.0, 0.0, 1.0], [0.0, 1.0, 1.0]).auc
    1.0
    """

    fpr: Doubles
    tpr: Doubles

    @property
    def auc(self) -> float:
        """The area under the curve, by the trapezoidal rule."""
        from sklearn.metrics import auc

        return float(auc(self.fpr, self.tpr))


class PrecisionRecall(NamedTuple):
    """Precision against recall.

    Parameters
    ----------
    recall : ndarray
        Recalls, increasing, from 0 on.
    precision : ndarray
        The precisions that belong to them.

    Examples
    --------
    >>> import numpy as np
    >>> from scorematch.metrics import PrecisionRecall
    >>> PrecisionRecall(np.array([0.0, 0.5, 1.0]), np.array([1.0, 1.0, 0.5])).average_precision
    0.75
    """

    recall: Doubles
    precision: Doubles

    @property
    def average_precision(self) -> float:
        """The sum of the precisions, each times the gain in recall that it comes with."""
        return float(np.diff(self.recall) @ self.precision[1:])


def edge_roc(estimates: Any, true_adjacency: ArrayLike) -> EdgeROC:
    """False and true positive rates along a path of estimated graphs.

    Parameters
    ----------
    estimates : InteractionPath, array-like of shape (n_graphs, d, d) or iterable of matrices
        The graphs; of an object with an attribute ``interactions`` it is these. Matrices may be sparse.
    true_adjacency : array-like of shape (d, d)
        The known graph.

    Returns
    -------
    EdgeROC
        ``fpr`` and ``tpr``, with the area as ``auc``. Each graph is a point; points are ordered by false positive rate
        and, where equal, by true positive rate. The curve begins in (0, 0), the empty graph, and ends in (1, 1), the
        complete one, joined to the first and last point by straight lines: what choosing at random between the
        edges that the path has not told apart would give.

    Raises
    ------
    ValueError
        Where shapes differ, a graph is not symmetric, or the known graph has no edge or all of them.

    Examples
    --------
    >>> import numpy as np
    >>> from scorematch.metrics import edge_roc
    >>> truth = np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]])
    >>> first = np.array([[1.0, 0.3, 0.0], [0.3, 1.0, 0.0], [0.0, 0.0, 1.0]])
    >>> roc = edge_roc([first], truth)
    >>> roc.fpr, roc.tpr, roc.auc
    (array([0., 0., 1.]), array([0. , 0.5, 1. ]), 0.75)
    """
    found, truth = _edges(estimates, true_adjacency)
    n_edges = np.count_nonzero(truth)
    if n_edges in (0, truth.size):
        raise ValueError(f"true_adjacency must have some of the {truth.size} possible edges; it has {n_edges}")
    fpr, tpr = found[:, ~truth].mean(axis=1), found[:, truth].mean(axis=1)
    order = np.lexsort((tpr, fpr))
    return EdgeROC(np.concatenate([[0.0], fpr[order], [1.0]]), np.concatenate([[0.0], tpr[order], [1.0]]))


def edge_auc(estimates: Any, true_adjacency: ArrayLike) -> float:
    """Area under :func:`edge_roc`, 1 for a perfect path and 1/2 for one at random.

    Parameters
    ----------
    estimates : InteractionPath, array-like of shape (n_graphs, d, d) or iterable of matrices
        The graphs, as for :func:`edge_roc`.
    true_adjacency : array-like of shape (d, d)
        The known graph.

    Returns
    -------
    float
        The area.

    Examples
    --------
    >>> import numpy as np
    >>> from scorematch.metrics import edge_auc
    >>> truth = np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]])
    >>> edge_auc([truth], truth)
    1.0
    """
    return edge_roc(estimates, true_adjacency).auc


def edge_precision_recall(estimates: Any, true_adjacency: ArrayLike) -> PrecisionRecall:
    """Precision and recall along a path of estimated graphs.

    Parameters
    ----------
    estimates : InteractionPath, array-like of shape (n_graphs, d, d) or iterable of matrices
        The graphs, as for :func:`edge_roc`.
    true_adjacency : array-like of shape (d, d)
        The known graph.

    Returns
    -------
    PrecisionRecall
        ``recall`` and ``precision``, one point a graph with any edge, ordered by recall and, where equal, from the
        higher precision to the lower; before them (0, 1). ``average_precision`` is defined as by scikit-learn. The
        path is not continued beyond its last graph.

    Raises
    ------
    ValueError
        Where shapes differ, a graph is not symmetric, or the known graph has no edge.

    Examples
    --------
    >>> import numpy as np
    >>> from scorematch.metrics import edge_precision_recall
    >>> truth = np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]])
    >>> edge_precision_recall([truth, np.ones((3, 3))], truth)
    PrecisionRecall(recall=array([0., 1., 1.]), precision=array([1.        , 1.        , 0.66666667]))
    """
    found, truth = _edges(estimates, true_adjacency)
    if not truth.any():
        raise ValueError("true_adjacency must have an edge; it has none")
    found = found[found.any(axis=1)]
    recall, precision = found[:, truth].mean(axis=1), found[:, truth].sum(axis=1) / found.sum(axis=1)
    order = np.lexsort((-precision, recall))
    return PrecisionRecall(np.append(0.0, recall[order]), np.append(1.0, precision[order]))


def edge_average_precision(estimates: Any, true_adjacency: ArrayLike) -> float:
    """Average precision of :func:`edge_precision_recall`.

    Parameters
    ----------
    estimates : InteractionPath, array-like of shape (n_graphs, d, d) or iterable of matrices
        The graphs, as for :func:`edge_roc`.
    true_adjacency : array-like of shape (d, d)
        The known graph.

    Returns
    -------
    float
        Between 0 and 1; what the path does not reach counts as 0.

    Examples
    --------
    >>> import numpy as np
    >>> from scorematch.metrics import edge_average_precision
    >>> truth = np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]])
    >>> edge_average_precision([truth], truth)
    1.0
    """
    return edge_precision_recall(estimates, true_adjacency).average_precision


def mean_roc(curves: Iterable[tuple[ArrayLike, ArrayLike]], n_points: int = 101) -> EdgeROC:
    """The mean of several curves, true positive rates averaged at equal false positive rates.

    This is the vertical averaging of Fawcett (2006): each curve is interpolated linearly, and where it rises
    vertically its upper end counts.

    Parameters
    ----------
    curves : iterable of EdgeROC
        Curves from (0, 0) to (1, 1), such as those of several data sets.
    n_points : int, default=101
        False positive rates at which they are averaged, equally spaced from 0 to 1.

    Returns
    -------
    EdgeROC
        The mean curve, with (0, 0) before it.

    Raises
    ------
    ValueError
        Where there is no curve, or one does not go from 0 to 1 in order.

    References
    ----------
    Fawcett (2006), "An introduction to ROC analysis", Pattern Recognition Letters 27, section 8.1.

    Examples
    --------
    >>> import numpy as np
    >>> from scorematch.metrics import EdgeROC, mean_roc
    >>> perfect = EdgeROC(np.array([0.0, 0.0, 1.0]), np.array([0.0, 1.0, 1.0]))
    >>> guess = EdgeROC(np.array([0.0, 1.0]), np.array([0.0, 1.0]))
    >>> mean_roc([perfect, guess], n_points=3)
    EdgeROC(fpr=array([0. , 0. , 0.5, 1. ]), tpr=array([0.  , 0.5 , 0.75, 1.  ]))
    """
    grid = np.linspace(0, 1, check_count("n_points", n_points, 2))
    heights = [_height(k, fpr, tpr, grid) for k, (fpr, tpr) in enumerate(curves)]
    if not heights:
        raise ValueError("curves must hold at least one curve; got none")
    return EdgeROC(np.append(0.0, grid), np.append(0.0, np.mean(heights, axis=0)))


def _height(k: int, fpr: ArrayLike, tpr: ArrayLike, at: Doubles) -> Doubles:
    x, y = np.asarray(fpr, dtype=np.float64), np.asarray(tpr, dtype=np.float64)
    if x.ndim != 1 or x.shape != y.shape or len(x) < 2 or x[0] != 0 or x[-1] != 1 or not (np.diff(x) >= 0).all():
        raise ValueError(f"curve {k} must go from false positive rate 0 to 1 in increasing order; got {x!r}")
    # The last point that is not to the right: the upper end of a vertical piece.
    left = np.minimum(np.searchsorted(x, at, side="right") - 1, len(x) - 1)
    right = np.minimum(left + 1, len(x) - 1)
    width = np.where(right > left, x[right] - x[left], 1.0)
    return np.asarray(y[left] + (at - x[left]) / width * (y[right] - y[left]))


def edge_f1_score(estimate: Any, true_adjacency: ArrayLike) -> float:
    """F1 score of one estimated graph: the harmonic mean of precision and recall.

    Parameters
    ----------
    estimate : array-like or sparse matrix of shape (d, d)
        The graph.
    true_adjacency : array-like of shape (d, d)
        The known graph.

    Returns
    -------
    float
        Between 0 and 1; 0 where no edge is found that there is.

    Raises
    ------
    ValueError
        Where shapes differ or a graph is not symmetric.

    Examples
    --------
    >>> import numpy as np
    >>> from scorematch.metrics import edge_f1_score
    >>> truth = np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]])
    >>> edge_f1_score(np.ones((3, 3)), truth)
    0.8
    """
    from sklearn.metrics import f1_score

    found, truth = _edges([estimate], true_adjacency)
    return float(f1_score(truth, found[0], zero_division=0.0))


def edge_matthews_corrcoef(estimate: Any, true_adjacency: ArrayLike) -> float:
    """Matthews correlation of one estimated graph with the known one.

    Parameters
    ----------
    estimate : array-like or sparse matrix of shape (d, d)
        The graph.
    true_adjacency : array-like of shape (d, d)
        The known graph.

    Returns
    -------
    float
        From -1 to 1; 0 where one of the two has no edge or all.

    Raises
    ------
    ValueError
        Where shapes differ or a graph is not symmetric.

    Examples
    --------
    >>> import numpy as np
    >>> from scorematch.metrics import edge_matthews_corrcoef
    >>> truth = np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]])
    >>> edge_matthews_corrcoef(truth, truth)
    1.0
    """
    from sklearn.metrics import matthews_corrcoef

    found, truth = _edges([estimate], true_adjacency)
    return float(matthews_corrcoef(truth, found[0]))


def _edges(estimates: Any, true_adjacency: ArrayLike) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which of the pairs i < j are edges: (n_graphs, n_pairs), and (n_pairs,) of the known graph."""
    truth = _pairs("true_adjacency", true_adjacency, None)
    d = _shape_of(true_adjacency)[0]
    graphs = getattr(estimates, "interactions", estimates)
    if not hasattr(graphs, "__iter__") or (hasattr(graphs, "ndim") and graphs.ndim != 3):
        shape = getattr(graphs, "shape", None)
        raise ValueError(f"estimates must be matrices of shape ({d}, {d}), a list or a stack; got shape {shape}")
    found = [_pairs(f"graph {k} of estimates", graph, d) for k, graph in enumerate(graphs)]
    if not found:
        raise ValueError("estimates must hold at least one graph; got none")
    return np.array(found), truth


def _shape_of(graph: Any) -> tuple[int, ...]:
    return tuple(graph.shape) if hasattr(graph, "shape") else np.shape(graph)


def _pairs(name: str, graph: Any, d: int | None) -> NDArray[np.bool_]:
    matrix = np.asarray(graph.toarray() if hasattr(graph, "toarray") else graph)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or (d is not None and len(matrix) != d):
        wanted = "(d, d)" if d is None else f"({d}, {d})"
        raise ValueError(f"{name} must have shape {wanted}; got {matrix.shape}")
    if matrix.dtype.kind not in "biuf":
        raise ValueError(f"{name} must hold numbers; got type {matrix.dtype}")
    if not np.isfinite(matrix).all():
        raise ValueError(f"{name} must be finite")
    edges = matrix != 0
    wrong = edges != edges.T
    if wrong.any():
        i, j = np.argwhere(wrong)[0]
        raise ValueError(f"{name} must be symmetric; of ({i},{j}) and ({j},{i}) one is an edge")
    return np.asarray(edges[np.triu_indices(len(matrix), 1)])
