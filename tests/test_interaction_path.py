"""Paths of interaction models, choices of the penalty, stability selection and graphs: against formulas written out."""

import numpy as np
import pandas as pd
import pytest
import scorematch
from scipy.special import comb
from scipy.stats import truncnorm
from scorematch import (
    MinPower,
    NonNegative,
    PairwiseInteraction,
    PairwiseInteractionCV,
    PairwiseInteractionIC,
    Power,
    RealSpace,
    Simplex,
    interaction_path,
    stability_selection,
)
from scorematch._registry import families
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import KFold, ShuffleSplit
from sklearn.utils.estimator_checks import parametrize_with_checks


def chain(n, d, seed=0, strength=0.4):
    """A Gaussian chain truncated to the orthant, by Gibbs sampling."""
    random = np.random.default_rng(seed)
    K = np.eye(d) + strength * (np.eye(d, k=1) + np.eye(d, k=-1))
    X = np.ones((n, d))
    for _ in range(30):
        for j in range(d):
            mean = X[:, j] - X @ K[j] + K[j].sum()
            X[:, j] = truncnorm.rvs(-mean, np.inf, loc=mean, random_state=random)
    return X


@pytest.fixture(scope="module")
def X():
    return chain(300, 8)


def weighted(X, c=1.0):
    """The weight min(x, c) and its derivative."""
    return np.minimum(X, c), (c > X).astype(float)


def moments(X):
    """What J of the truncated Gaussian with that weight is made of, for each column: Γ over (K_j, η_j), and g."""
    n, d = X.shape
    h, slope = weighted(X)
    joined = np.column_stack([-X, np.ones(n)])
    gamma = np.stack([(joined * h[:, [j]]).T @ joined / n for j in range(d)])
    g = np.stack([-(joined * slope[:, [j]]).mean(axis=0) for j in range(d)])
    g[np.arange(d), np.arange(d)] += h.mean(axis=0)
    return gamma, g


def multiplier(n, d):
    noise = 6 * np.log(d) / n
    return 1 + (1 - 1 / (1 + 4 * np.e * max(noise, np.sqrt(noise))))


def multiplied(gamma, factor):
    gamma = gamma.copy()
    own = np.arange(len(gamma))
    for block in gamma:
        block[own, own] *= factor
    return gamma


def slopes(gamma, g, K, eta):
    columns = np.column_stack([K.T, eta])
    return np.einsum("jik,jk->ji", gamma, columns) - g


def loss(gamma, g, K, eta):
    columns = np.column_stack([K.T, eta])
    return float(np.einsum("ji,jik,jk", columns, gamma, columns) / 2 - np.vdot(g, columns))


def breach(values, slope, penalty):
    at_zero = np.maximum(np.abs(slope) - penalty, 0)
    return np.where(values != 0, np.abs(slope + penalty * np.sign(values)), at_zero)


@pytest.mark.parametrize("combine", ["symmetric", "and", "or"])
@pytest.mark.parametrize("scale", [None, "norm", "sd"])
@pytest.mark.parametrize("penalty", [{}, {"alpha_linear": 0.02}, {"linear_ratio": 0.5}, {"fit_linear": False}])
def test_every_point_of_a_path_is_a_minimum(X, combine, scale, penalty):
    n, d = X.shape
    path = interaction_path(X, weight=MinPower(c=1.0), combine=combine, scale=scale, n_alphas=25, **penalty)
    divisor = {
        None: np.ones(d),
        "norm": np.sqrt((X**2).sum(axis=0) / (n - 1)),
        "sd": X.std(axis=0, ddof=1),
    }[scale]
    np.testing.assert_allclose(path.scale, divisor, rtol=1e-12)
    plain, g = moments(X / divisor)
    gamma = multiplied(plain, multiplier(n, d))
    off = ~np.eye(d, dtype=bool)
    assert len(path) == len(path.alphas) == 25
    assert path.converged.all()
    assert path.alphas[-1] == pytest.approx(0.05 * path.alphas[0])
    np.testing.assert_allclose(np.diff(np.log(path.alphas)), np.log(0.05) / 24, rtol=1e-8)
    for position, alpha in enumerate(path.alphas):
        K, eta, linear = path.interactions[position], path.linears[position], path.alpha_linears[position]
        columns = K if combine == "symmetric" else path.columns[position]
        slope = slopes(gamma, g, columns, eta)
        worst = 0 if penalty.get("fit_linear") is False else breach(eta, slope[:, d], linear).max()
        if combine == "symmetric":
            np.testing.assert_array_equal(K, K.T)
            tied, weights = slope[:, :d] + slope[:, :d].T, 2 * alpha
            worst = max(worst, breach(K, tied, weights)[off].max(), np.abs(np.diagonal(slope)).max())
        else:
            worst = max(worst, breach(columns.T, slope[:, :d], alpha)[off].max(), np.abs(np.diagonal(slope)).max())
            present = columns != 0
            edges = present & present.T if combine == "and" else present | present.T
            np.testing.assert_array_equal(K[off], np.where(edges, (columns + columns.T) / 2, 0)[off])
        assert worst <= 1e-8
        assert path.kkt_residual[position] == pytest.approx(worst, abs=1e-11)
        assert path.n_edges[position] == np.count_nonzero(np.triu(K, 1))
        value = loss(gamma, g, columns, eta) + alpha * np.abs(columns[off]).sum() + linear * np.abs(eta).sum()
        if penalty.get("fit_linear") is False:
            assert not eta.any()
        assert path.objective[position] == pytest.approx(value, rel=1e-9)
        if combine == "symmetric" or penalty.get("alpha_linear", 0):
            assert path.loss()[position] == pytest.approx(loss(plain, g, K, eta), rel=1e-9)
    assert path.n_edges[0] == 0
    assert combine == "and" or path.n_edges[1] >= 1  # "and" waits for the second column
    assert path.n_edges[-1] > d


def test_the_first_alpha_is_exact(X):
    for options in ({}, {"combine": "or"}, {"linear_ratio": 1.0}, {"fit_linear": False}, {"scale": "sd"}):
        first = interaction_path(X, n_alphas=1, **options).alphas[0]
        path = interaction_path(X, alphas=first * np.array([2, 1 + 1e-9, 1 - 1e-6]), **options)
        np.testing.assert_array_equal(path.n_edges, [0, 0, 1])


def test_a_path_is_what_the_estimator_fits(X):
    options = {"weight": MinPower(quantile=0.6), "scale": "norm"}
    path = interaction_path(X, n_alphas=10, **options)
    for position in (2, 9):
        model = PairwiseInteraction(alpha=path.alphas[position], **options).fit(X)
        np.testing.assert_allclose(model.scaled_interaction_, path.interactions[position], atol=1e-6)
        np.testing.assert_allclose(model.scaled_linear_, path.linears[position], atol=1e-6)
        assert model.objective_ == pytest.approx(path.loss()[position], rel=1e-8)


def test_penalties_of_ones_own(X):
    path = interaction_path(X, alphas=[0.01, 0.1, 0.05])
    np.testing.assert_array_equal(path.alphas, [0.1, 0.05, 0.01])
    free = interaction_path(X, alphas=[0.0])
    assert free.n_edges[0] == 28
    # So many rows that smaller slopes are more than noise: the default goes further down.
    many = interaction_path(np.tile(X, (20, 1)), n_alphas=2)
    assert many.alphas[1] / many.alphas[0] == pytest.approx(np.sqrt(np.log(8) / 6000))


def test_sparse_matrices_and_threads_change_nothing(X):
    dense = interaction_path(X, n_alphas=10, combine="and", n_jobs=1)
    sparse = interaction_path(X, n_alphas=10, combine="and", n_jobs=2, sparse=True)
    for position in range(10):
        np.testing.assert_array_equal(sparse.interactions[position].toarray(), dense.interactions[position])
        np.testing.assert_array_equal(sparse.columns[position].toarray(), dense.columns[position])
    np.testing.assert_allclose(sparse.ebic(0.5), dense.ebic(0.5), rtol=1e-13)
    np.testing.assert_array_equal(sparse.linears, dense.linears)


def test_weights_of_rows(X):
    twice = interaction_path(np.vstack([X, X[:50]]), alphas=[0.05], diagonal_multiplier=1.2, weight=Power(1))
    weights = np.where(np.arange(300) < 50, 2.0, 1.0)
    weighted_path = interaction_path(X, alphas=[0.05], diagonal_multiplier=1.2, weight=Power(1), sample_weight=weights)
    np.testing.assert_allclose(weighted_path.interactions, twice.interactions, atol=1e-7)


def test_the_simplex():
    """Compositions; K with rows that sum to 0. Against the gradient of the form, of which it is made."""
    parts = np.random.default_rng(3).dirichlet([4.0, 3, 5, 6], size=400)[:, :3]
    for zero_row_sums in (True, False):
        path = interaction_path(parts, a=0, b=0, domain=Simplex(), zero_row_sums=zero_row_sums, n_alphas=8)
        assert path.interactions.shape == (8, 4, 4)
        assert path.converged.all()
        assert path.n_edges[0] == 0
        assert path.n_edges[-1] > 0
        if zero_row_sums:
            np.testing.assert_allclose(path.interactions.sum(axis=1), 0, atol=1e-10)
        form = PairwiseInteraction(0, 0, domain=Simplex()).quadratic_form(parts)
        for K, eta, value in zip(path.interactions, path.linears, path.loss(), strict=True):
            assert form.value(K, eta) == pytest.approx(value, rel=1e-9)


# -- criteria --------------------------------------------------------------------------------------------------------


def least_loss(gamma, g, K, eta_is_free):
    """J at its least over symmetric matrices with the edges of K, by one dense system."""
    d = len(K)
    pairs = [(i, j) for i in range(d) for j in range(i, d) if i == j or K[i, j]]
    spread = np.zeros((d, d + 1, len(pairs) + d))
    for number, (i, j) in enumerate(pairs):
        spread[j, i, number] = spread[i, j, number] = 1
    for j in range(d):
        spread[j, d, len(pairs) + j] = eta_is_free[j]
    whole = np.einsum("jiu,jik,jkv->uv", spread, gamma, spread)
    linear = np.einsum("jiu,ji->u", spread, g)
    return -0.5 * float(linear @ np.linalg.lstsq(whole, linear, rcond=None)[0])


@pytest.mark.parametrize("options", [{}, {"alpha_linear": 0.05}, {"linear_ratio": 0.8}, {"combine": "and"}])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0])
def test_the_criterion_by_hand(X, options, gamma):
    n, d = X.shape
    path = interaction_path(X, weight=MinPower(c=1.0), n_alphas=8, **options)
    form, g = moments(X)
    penalised = "combine" not in options and bool(options)
    for refit in (False, True):
        criterion = path.ebic(gamma, refit=refit)
        for position in range(8):
            K, eta = path.interactions[position], path.linears[position]
            m = np.count_nonzero(np.triu(K, 1))
            r = np.count_nonzero(eta) if penalised else 0
            J = least_loss(form, g, K, (eta != 0) if penalised else np.ones(d)) if refit else loss(form, g, K, eta)
            expected = 2 * n * J + (m + r) * np.log(n) + 2 * gamma * (np.log(comb(28, m)) + np.log(comb(d, r)))
            assert criterion[position] == pytest.approx(expected, rel=1e-8)


def test_a_graph_too_large_for_the_rows_has_no_criterion():
    X = chain(12, 20, seed=5)
    path = interaction_path(X, n_alphas=20, alpha_min_ratio=0.01)
    criterion = path.ebic(0.5, refit=True)
    assert np.isinf(criterion[-1])
    assert np.isfinite(criterion[0])
    assert np.isfinite(path.ebic(0.5)).all()


def test_the_choice_by_a_criterion(X):
    for options in ({}, {"criterion": "bic"}, {"refit": False, "gamma": 1.0, "scale": "norm"}):
        model = PairwiseInteractionIC(n_alphas=20, **options).fit(X)
        gamma = 0.0 if "criterion" in options else options.get("gamma", 0.5)
        criterion = model.path_.ebic(gamma, refit=options.get("refit", True))
        np.testing.assert_array_equal(model.criterion_, criterion)
        assert model.alpha_ == model.path_.alphas[np.argmin(criterion)]
        direct = PairwiseInteraction(alpha=model.alpha_, scale=options.get("scale")).fit(X)
        np.testing.assert_array_equal(model.interaction_, direct.interaction_)
        np.testing.assert_array_equal(model.linear_, direct.linear_)
    again = clone(model)
    assert not hasattr(again, "alpha_")
    assert again.get_params() == model.get_params()
    with pytest.raises(AttributeError, match="needs all rows"):
        model.partial_fit(X)
    assert not hasattr(model, "partial_fit")


def test_a_chain_is_found():
    """With many rows the criterion keeps all edges of the chain, and the strongest of the path are these."""
    X = chain(4000, 8, seed=1)
    truth = np.eye(8, k=1, dtype=bool)
    truth |= truth.T
    model = PairwiseInteractionIC(gamma=1.0).fit(X)
    assert model.adjacency_[truth].all()
    first_with_all = next(K for K in model.path_.interactions if (K != 0)[truth].all())
    np.testing.assert_array_equal((first_with_all != 0) & ~np.eye(8, dtype=bool), truth)


# -- cross-validation ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "cv", [4, KFold(3, shuffle=True, random_state=0), ShuffleSplit(3, test_size=0.3, random_state=0)]
)
def test_the_score_of_a_fold(X, cv):
    """By fitting each model to the training rows, and J of the rows left out; caps and scale are those of all rows."""
    model = PairwiseInteractionCV(cv=cv, n_alphas=6, weight=MinPower(quantile=0.7), scale="norm").fit(X)
    results = model.cv_results_
    scale = np.sqrt((X**2).sum(axis=0) / 299)
    scaled = X / scale
    weight = MinPower(quantile=0.7).fitted(scaled)
    splits = list((KFold(cv) if isinstance(cv, int) else cv).split(X))
    for number, (train, test) in enumerate(splits):
        form = PairwiseInteraction(weight=weight).quadratic_form(scaled[test])
        for position, alpha in enumerate(results["alphas"]):
            fitted = PairwiseInteraction(alpha=alpha, weight=weight).fit(scaled[train])
            expected = -form.value(fitted.interaction_, fitted.linear_)
            assert results[f"split{number}_score"][position] == pytest.approx(expected, rel=1e-6)
    scores = np.array([results[f"split{number}_score"] for number in range(len(splits))])
    np.testing.assert_allclose(results["mean_score"], scores.mean(axis=0))
    np.testing.assert_allclose(results["std_score"], scores.std(axis=0, ddof=1))
    assert model.alpha_ == results["alphas"][np.argmax(results["mean_score"])]
    direct = PairwiseInteraction(alpha=model.alpha_, weight=MinPower(quantile=0.7), scale="norm").fit(X)
    np.testing.assert_array_equal(model.interaction_, direct.interaction_)


def test_one_standard_error_gives_a_smaller_graph(X):
    best, smaller = (
        PairwiseInteractionCV(one_standard_error=flag, n_alphas=30, n_jobs=jobs).fit(X)
        for flag, jobs in ((False, 1), (True, 2))
    )
    for name, scores in best.cv_results_.items():
        np.testing.assert_array_equal(smaller.cv_results_[name], scores)
    assert smaller.alpha_ > best.alpha_
    results = best.cv_results_
    peak = np.argmax(results["mean_score"])
    within = results["mean_score"] >= results["mean_score"][peak] - results["std_score"][peak] / np.sqrt(5)
    assert smaller.alpha_ == results["alphas"][np.argmax(within)]


# On all of space, since the data of these checks lie on the boundary of the orthant.
@parametrize_with_checks(
    [PairwiseInteractionIC(n_alphas=4, domain=RealSpace()), PairwiseInteractionCV(n_alphas=4, cv=2, domain=RealSpace())]
)
@pytest.mark.filterwarnings("ignore")
def test_scikit_learns_conventions(estimator, check):
    check(estimator)


# -- stability -------------------------------------------------------------------------------------------------------


def test_stability_selection_counts_edges(X):
    """Against paths of the subsamples themselves."""
    options = {"diagonal_multiplier": 1.3, "weight": MinPower(c=1.0), "alphas": [0.2, 0.1, 0.06]}
    chosen = stability_selection(
        X, n_subsamples=6, max_false_edges=None, complementary=False, random_state=7, sample_fraction=0.4, **options
    )
    random = np.random.RandomState(7)
    subsamples = [np.sort(random.permutation(300)[:120]) for _ in range(6)]
    found = np.array([interaction_path(X[rows], **options).interactions != 0 for rows in subsamples])
    found &= ~np.eye(8, dtype=bool)
    np.testing.assert_allclose(chosen.frequencies, found.mean(axis=0))
    np.testing.assert_allclose(chosen.probabilities, found.mean(axis=0).max(axis=0))
    np.testing.assert_array_equal(chosen.adjacency, found.mean(axis=0).max(axis=0) >= 0.75 - 1e-9)
    assert chosen.n_selected == pytest.approx(np.triu(found.any(axis=1)).sum() / 6)
    assert chosen.expected_false_edges == pytest.approx(chosen.n_selected**2 / (0.5 * 28))


def test_stability_selection_finds_a_chain():
    X = chain(2000, 8, seed=2)
    truth = np.eye(8, k=1, dtype=bool)
    chosen = stability_selection(X, n_subsamples=30, random_state=0, max_false_edges=2.0)
    assert chosen.expected_false_edges <= 2.0
    assert not chosen.adjacency[~(truth | truth.T)].any()
    assert chosen.adjacency.sum() >= 8
    np.testing.assert_array_equal(chosen.probabilities, chosen.probabilities.T)
    again = stability_selection(X, n_subsamples=30, random_state=0, max_false_edges=2.0, n_jobs=2)
    np.testing.assert_array_equal(again.probabilities, chosen.probabilities)


def test_complementary_pairs_have_no_row_in_common():
    from scorematch._interaction_stability import _subsamples

    parts = list(_subsamples(101, 50, 5, True, np.random.RandomState(0)))
    assert [len(part) for part in parts] == [50] * 5
    assert not set(parts[0]) & set(parts[1])
    assert not set(parts[2]) & set(parts[3])


# -- graphs ----------------------------------------------------------------------------------------------------------


def test_the_graph_of_a_model(X):
    model = PairwiseInteraction(alpha=0.03).fit(X)
    np.testing.assert_array_equal(model.adjacency_, (model.interaction_ != 0) & ~np.eye(8, dtype=bool))
    with pytest.raises(Exception, match="not fitted"):
        _ = PairwiseInteraction().adjacency_


def test_networkx_and_graphml(X, tmp_path):
    networkx = pytest.importorskip("networkx")
    names = [f"gene {j}" for j in range(8)]
    model = PairwiseInteraction(alpha=0.03).fit(pd.DataFrame(X, columns=names))
    graph = model.to_networkx()
    assert list(graph.nodes) == names
    np.testing.assert_array_equal(networkx.to_numpy_array(graph, weight=None) != 0, model.adjacency_)
    assert graph["gene 0"]["gene 1"]["weight"] == model.interaction_[0, 1]
    model.to_graphml(tmp_path / "graph.graphml")
    read = networkx.read_graphml(tmp_path / "graph.graphml")
    assert {frozenset(edge) for edge in read.edges} == {frozenset(edge) for edge in graph.edges}
    assert read["gene 0"]["gene 1"]["weight"] == pytest.approx(model.interaction_[0, 1])
    assert list(PairwiseInteraction(alpha=0.03).fit(X).to_networkx().nodes) == list(range(8))


# -- bad input -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_alphas": 0}, "n_alphas must be an integer of at least 1"),
        ({"alpha_min_ratio": 0.0}, "alpha_min_ratio must be above 0"),
        ({"alpha_min_ratio": 2.0}, "alpha_min_ratio must be above 0 and at most 1"),
        ({"alphas": []}, "alphas must not be empty"),
        ({"alphas": [0.1, -0.2]}, "alphas must not be negative; entry 1 is -0.2"),
        ({"alphas": [np.nan]}, "alphas must be finite"),
        ({"alpha_linear": 0.1, "linear_ratio": 1.0}, "exclude each other"),
        ({"linear_ratio": -1.0}, "linear_ratio must be a finite number of at least 0"),
        ({"linear_ratio": 1.0, "fit_linear": False}, "no linear term"),
        ({"combine": "xor"}, "combine must be one of"),
        ({"scale": "max"}, "scale must be one of"),
        ({"a": -1}, "a must be a finite number"),
        ({"diagonal_multiplier": 0.5}, "diagonal_multiplier"),
        ({"sparse": "yes"}, "sparse must be True or False"),
        ({"sample_weight": [1.0, 2.0]}, "sample_weight must have shape"),
    ],
)
def test_bad_options_of_a_path(X, options, message):
    with pytest.raises(ValueError, match=message):
        interaction_path(X, **options)


def test_bad_data(X):
    with pytest.raises(ValueError, match="at least two columns"):
        interaction_path(X[:, :1])
    with pytest.raises(ValueError, match="row 3"):
        interaction_path(np.where(np.arange(300)[:, None] == 3, -1.0, X))
    with pytest.raises(ValueError, match=r"no lower bound.*column \d+.*diagonal_multiplier='auto'"):
        interaction_path(chain(6, 12), diagonal_multiplier=1.0, alpha_min_ratio=1e-3)
    with pytest.warns(ConvergenceWarning, match="increase max_iter"):
        interaction_path(X, max_iter=1, n_alphas=3)
    path = interaction_path(X, n_alphas=2)
    with pytest.raises(ValueError, match="gamma must be a finite number of at least 0"):
        path.ebic(-1.0)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (PairwiseInteractionIC(criterion="aic"), "criterion must be 'ebic' or 'bic'"),
        (PairwiseInteractionIC(gamma=-1), "gamma"),
        (PairwiseInteractionIC(refit=1), "refit must be True or False"),
        (PairwiseInteractionCV(one_standard_error=None), "one_standard_error must be True or False"),
        (PairwiseInteractionCV(cv=1), "n_splits"),
    ],
)
def test_bad_choices(X, model, message):
    with pytest.raises(ValueError, match=message):
        model.fit(X)
    assert not hasattr(model, "alpha_")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sample_fraction": 1.0}, "sample_fraction must be above 0 and below 1"),
        ({"sample_fraction": 0.001}, "leaves 0 of 300 rows"),
        ({"threshold": 0.5}, "threshold must be above 0.5 and at most 1"),
        ({"n_subsamples": 0}, "n_subsamples"),
        ({"max_false_edges": 0.0}, "max_false_edges must be positive"),
    ],
)
def test_bad_stability_selection(X, options, message):
    with pytest.raises(ValueError, match=message):
        stability_selection(X, **options)


def test_choices_are_no_families_of_their_own():
    assert not {PairwiseInteractionCV, PairwiseInteractionIC} & set(families())
    assert PairwiseInteraction in families()
    assert scorematch.InteractionPath is type(interaction_path(chain(50, 3), n_alphas=1))
    assert NonNegative() == PairwiseInteractionIC()._domain()
