"""Curves and numbers that compare graphs, against scikit-learn's."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.sparse import csr_array
from scorematch.datasets import make_erdos_renyi_graph
from scorematch.metrics import (
    EdgeROC,
    edge_auc,
    edge_average_precision,
    edge_f1_score,
    edge_matthews_corrcoef,
    edge_precision_recall,
    edge_roc,
    mean_roc,
)
from sklearn.metrics import (
    average_precision_score,
    f1_score,
    matthews_corrcoef,
    precision_recall_curve,
    roc_auc_score,
    roc_curve,
)

D = 12
PAIRS = np.triu_indices(D, 1)


def thresholded(ties: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A known graph, scores that tell something of it, and the graphs that thresholds make of the scores."""
    rng = np.random.default_rng(3)
    truth = make_erdos_renyi_graph(D, n_edges=20, random_state=0) != 0
    scores = rng.normal(size=(D, D)) + truth
    scores = np.abs(scores + scores.T)
    if ties:
        scores = np.ceil(scores)
    levels = np.unique(scores[PAIRS])[::-1]
    return truth, scores, np.array([np.where(scores >= level, scores, 0) for level in levels])


@pytest.mark.parametrize("ties", [False, True])
def test_a_path_by_thresholds_is_as_scikit_learn_says(ties):
    truth, scores, path = thresholded(ties)
    y, s = truth[PAIRS], scores[PAIRS]
    assert edge_auc(path, truth) == pytest.approx(roc_auc_score(y, s), abs=1e-12)
    assert edge_average_precision(path, truth) == pytest.approx(average_precision_score(y, s), abs=1e-12)
    roc = edge_roc(path, truth)
    fpr, tpr, _ = roc_curve(y, s, drop_intermediate=False)
    np.testing.assert_allclose(roc.fpr[:-1], fpr)
    np.testing.assert_allclose(roc.tpr[:-1], tpr)
    precision, recall, _ = precision_recall_curve(y, s)
    curve = edge_precision_recall(path, truth)
    np.testing.assert_allclose(np.sort(curve.recall), np.sort(recall))
    assert {(round(r, 12), round(p, 12)) for r, p in zip(curve.recall, curve.precision, strict=True)} == {
        (round(r, 12), round(p, 12)) for r, p in zip(recall, precision, strict=True)
    }


def test_order_of_the_graphs_and_form_of_the_path_do_not_matter():
    truth, _, path = thresholded(False)
    want = edge_auc(path, truth)
    assert edge_auc(path[::-1], truth) == want
    assert edge_auc([csr_array(graph) for graph in path], truth) == want
    assert edge_auc(SimpleNamespace(interactions=path), truth) == want
    assert edge_auc(iter(path), make_erdos_renyi_graph(D, n_edges=20, random_state=0)) == want


def test_a_path_that_ends_early_is_closed_by_straight_lines():
    truth = np.zeros((4, 4))
    truth[0, 1] = truth[1, 0] = truth[2, 3] = truth[3, 2] = 1
    half = np.zeros((4, 4))
    half[0, 1] = half[1, 0] = half[0, 2] = half[2, 0] = 1  # one of two right, one of four wrong
    roc = edge_roc([half], truth)
    np.testing.assert_allclose(roc.fpr, [0, 0.25, 1])
    np.testing.assert_allclose(roc.tpr, [0, 0.5, 1])
    assert roc.auc == pytest.approx(0.25 * 0.5 / 2 + 0.75 * 0.75)
    assert edge_average_precision([half, np.zeros((4, 4))], truth) == pytest.approx(0.5 * 0.5)


def test_numbers_of_one_graph_are_scikit_learns():
    truth, _, path = thresholded(False)
    for graph in path[::7]:
        found = graph[PAIRS] != 0
        assert edge_f1_score(graph, truth) == pytest.approx(f1_score(truth[PAIRS], found))
        assert edge_matthews_corrcoef(graph, truth) == pytest.approx(matthews_corrcoef(truth[PAIRS], found))
    assert edge_f1_score(np.eye(D), truth) == 0
    assert edge_matthews_corrcoef(np.eye(D), truth) == 0


def test_mean_curve():
    step = EdgeROC(np.array([0, 0, 0.5, 0.5, 1]), np.array([0, 0.2, 0.4, 0.9, 1]))
    line = EdgeROC(np.array([0.0, 1.0]), np.array([0.0, 1.0]))
    mean = mean_roc([step, line], n_points=5)
    np.testing.assert_allclose(mean.fpr, [0, 0, 0.25, 0.5, 0.75, 1])
    np.testing.assert_allclose(mean.tpr, np.append(0, np.mean([[0.2, 0.3, 0.9, 0.95, 1], [0, 0.25, 0.5, 0.75, 1]], 0)))
    fine = mean_roc([step], n_points=100_001)
    assert fine.auc == pytest.approx(step.auc, abs=1e-5)


@pytest.mark.parametrize(
    ("estimates", "truth", "says"),
    [
        (np.eye(3), np.eye(3), r"estimates must be matrices of shape \(3, 3\)"),
        ([np.eye(2)], np.ones((3, 3)), r"graph 0 of estimates must have shape \(3, 3\); got \(2, 2\)"),
        (
            [np.triu(np.ones((3, 3)))],
            np.ones((3, 3)),
            r"graph 0 of estimates must be symmetric; of \(0,1\) and \(1,0\)",
        ),
        ([], np.ones((3, 3)), "at least one graph"),
        ([np.eye(3)], np.ones((3, 3)), "some of the 3 possible edges; it has 3"),
        ([np.eye(3)], np.eye(3), "some of the 3 possible edges; it has 0"),
        ([np.eye(3)], np.ones((2, 3)), r"true_adjacency must have shape \(d, d\); got \(2, 3\)"),
        ([np.full((3, 3), np.nan)], np.ones((3, 3)), "graph 0 of estimates must be finite"),
        ([np.array([["a"]])], np.ones((1, 1)), "must hold numbers"),
    ],
)
def test_errors(estimates, truth, says):
    with pytest.raises(ValueError, match=says):
        edge_roc(estimates, truth)


def test_errors_of_the_others():
    with pytest.raises(ValueError, match="must have an edge"):
        edge_precision_recall([np.eye(3)], np.eye(3))
    with pytest.raises(ValueError, match="at least one curve"):
        mean_roc([])
    with pytest.raises(ValueError, match="curve 1 must go from false positive rate 0 to 1"):
        mean_roc([([0, 1], [0, 1]), ([0, 0.5], [0, 1])])
