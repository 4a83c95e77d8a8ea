"""Restricted Boltzmann machines: the mixture that they are, recovery, samples, and what has no answer."""

import itertools
import tracemalloc

import numpy as np
import pytest
from scipy.special import expit, logsumexp
from scipy.stats import multivariate_normal
from scorematch import GaussianBernoulliRBM
from sklearn.exceptions import ConvergenceWarning

W = np.array([[3.0, 1.0], [-1.0, 2.0]])
C, B, VARIANCE = np.array([-2.0, -1.0]), np.array([0.0, 1.0]), 0.8
TRUE = GaussianBernoulliRBM.from_params(components=W, intercept_hidden=C, intercept_visible=B, noise_variance=VARIANCE)


def mixture():
    """Weights and means of the 2^m Gaussians that the machine is."""
    states = np.array(list(itertools.product([0, 1], repeat=2)))
    means = B + states @ W
    log_weights = states @ C + ((means**2).sum(axis=1) - (B**2).sum()) / (2 * VARIANCE)
    return np.exp(log_weights - logsumexp(log_weights)), means


def test_density_is_that_of_the_mixture():
    weights, means = mixture()
    x = np.random.default_rng(0).normal(scale=2.0, size=(50, 2))
    terms = [
        np.log(w) + multivariate_normal(m, VARIANCE * np.eye(2)).logpdf(x) for w, m in zip(weights, means, strict=True)
    ]
    difference = TRUE.unnormalized_log_density(x) - logsumexp(terms, axis=0)
    np.testing.assert_allclose(difference, difference[0], rtol=1e-12)


def test_samples_have_the_moments_of_the_mixture():
    weights, means = mixture()
    draws = TRUE.sample(200_000, random_state=0)
    mean = weights @ means
    covariance = VARIANCE * np.eye(2) + np.einsum("k,ki,kj->ij", weights, means - mean, means - mean)
    np.testing.assert_allclose(draws.mean(axis=0), mean, atol=0.02)
    np.testing.assert_allclose(np.cov(draws.T), covariance, atol=0.06)


def aligned(model):
    """Filters and both intercepts with the hidden units, and the names of their states, as in the true model.

    log(1 + eᵘ) = u + log(1 + e⁻ᵘ): the machine is the same with −w, −c and b + w in the place of w, c and b.
    """

    def renamed(order, signs):
        components, hidden = model.components_[list(order)], model.intercept_hidden_[list(order)]
        visible = model.intercept_visible_ + components[signs < 0].sum(axis=0)
        return signs[:, None] * components, signs * hidden, visible

    names = itertools.product(itertools.permutations(range(2)), map(np.array, itertools.product([1, -1], repeat=2)))
    return min((renamed(*name) for name in names), key=lambda found: np.abs(found[0] - W).max())


@pytest.mark.parametrize("noise_variance", ["fit", VARIANCE])
def test_recovery(noise_variance):
    """Up to the order of the hidden units, and which of their two states is called 1."""
    X = TRUE.sample(200_000, random_state=1)
    model = GaussianBernoulliRBM(2, noise_variance=noise_variance, n_init=3, random_state=0).fit(X)
    assert model.converged_
    assert model.noise_variance_ == pytest.approx(VARIANCE, rel=0.05)
    assert model.score(X) >= TRUE.score(X) - 1e-9
    for found, true in zip(aligned(model), (W, C, B), strict=True):
        np.testing.assert_allclose(found, true, atol=0.1)


def test_the_best_of_several_starts_is_kept():
    """The starts are those that the same random numbers give one by one, of which only the second finds the best."""
    X = TRUE.sample(3000, random_state=0)
    random = np.random.RandomState(4)
    ones = [GaussianBernoulliRBM(2, random_state=random).fit(X) for _ in range(3)]
    assert ones[1].objective_ < min(ones[0].objective_, ones[2].objective_) - 0.01
    best = GaussianBernoulliRBM(2, n_init=3, random_state=4).fit(X)
    assert best.theta_.tobytes() == ones[1].theta_.tobytes()
    assert (best.objective_, best.n_iter_) == (ones[1].objective_, ones[1].n_iter_)


@pytest.mark.parametrize("unit", [1e-4, 1e4])
@pytest.mark.parametrize(
    ("options", "tolerance"),
    [({}, 1e-4), ({"batch_size": 256, "max_epochs": 20, "n_iter_no_change": 3}, 1e-12)],
    ids=["all-rows", "minibatches"],
)
def test_units_do_not_matter(options, tolerance, unit):
    """Nor for how long the search takes: what the optimiser sees is the same, up to rounding."""
    X = TRUE.sample(3000, random_state=0)
    one, other = (GaussianBernoulliRBM(2, random_state=0, **options).fit(rows) for rows in (X, unit * X))
    np.testing.assert_allclose(other.components_ / unit, one.components_, atol=tolerance)
    np.testing.assert_allclose(other.intercept_hidden_, one.intercept_hidden_, atol=tolerance)
    np.testing.assert_allclose(other.intercept_visible_ / unit, one.intercept_visible_, atol=tolerance)
    assert other.noise_variance_ / unit**2 == pytest.approx(one.noise_variance_, abs=tolerance)
    assert abs(other.n_iter_ - one.n_iter_) <= 0.1 * one.n_iter_


def test_transform_gives_the_conditional_probabilities():
    x = np.random.default_rng(0).normal(size=(20, 2))
    np.testing.assert_allclose(TRUE.transform(x), expit(C + x @ W.T / VARIANCE), rtol=1e-13)
    assert TRUE.transform(x.astype(np.float32)).dtype == np.float32
    assert list(TRUE.get_feature_names_out()) == ["gaussianbernoullirbm0", "gaussianbernoullirbm1"]


def test_a_given_noise_variance_is_not_estimated():
    X = TRUE.sample(2000, random_state=3)
    given, fitted = (GaussianBernoulliRBM(2, noise_variance=v, random_state=0).fit(X) for v in (0.5, "fit"))
    assert given.noise_variance_ == 0.5
    assert "log_noise_variance" in fitted.theta_names_
    assert "log_noise_variance" not in given.theta_names_
    assert fitted.objective_ < given.objective_


def test_same_estimate_on_minibatches():
    X = TRUE.sample(20_000, random_state=2)
    exact = GaussianBernoulliRBM(2, random_state=0).fit(X)
    fits = [GaussianBernoulliRBM(2, batch_size=256, random_state=0, n_jobs=n_jobs).fit(X) for n_jobs in (1, 2)]
    assert fits[0].theta_.tobytes() == fits[1].theta_.tobytes()
    error = exact.hyvarinen_score(X).std() / np.sqrt(len(X))
    assert abs(fits[0].objective_ - exact.objective_) < 0.5 * error


def test_far_from_the_origin():
    """Data are centred before the fit, and the intercepts speak of where they were."""
    X = TRUE.sample(5000, random_state=4)
    near = GaussianBernoulliRBM(2, random_state=0).fit(X)
    far = GaussianBernoulliRBM(2, random_state=0).fit(X + 1e4)
    np.testing.assert_allclose(far.intercept_visible_ - 1e4, near.intercept_visible_, atol=1e-3)
    np.testing.assert_allclose(far.score_function(X[:50] + 1e4), near.score_function(X[:50]), atol=1e-3)


@pytest.mark.parametrize("offset", [1e3, 1e4])
def test_float32_loses_nothing_far_from_the_origin(offset):
    """All that is worked out of float32 data is as exact as near the origin."""
    X = (TRUE.sample(500, random_state=0) + offset).astype(np.float32)
    far = GaussianBernoulliRBM.from_params(
        components=W,
        intercept_hidden=C - W.sum(axis=1) * offset / VARIANCE,
        intercept_visible=B + offset,
        noise_variance=VARIANCE,
    )
    near = X.astype(np.float64) - offset
    for method in ("score_function", "hessian_diagonal", "hyvarinen_score", "unnormalized_log_density", "transform"):
        found, expected = getattr(far, method)(X), getattr(TRUE, method)(near)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6 * np.abs(expected).max(), err_msg=method)
    loss, gradient = far.loss_and_grad(far.theta_, X)
    expected_loss, expected_gradient = TRUE.loss_and_grad(TRUE.theta_, near)
    # With c held in its place at the origin, w pulls at it with a lever of the length of the offset.
    expected_gradient[: W.size] += np.repeat(expected_gradient[W.size : W.size + len(C)], 2) * offset / VARIANCE
    assert loss == pytest.approx(expected_loss, rel=1e-6)
    np.testing.assert_allclose(gradient, expected_gradient, rtol=0, atol=1e-6 * np.abs(expected_gradient).max())


@pytest.mark.parametrize("options", [{"max_iter": 3}, {"batch_size": 1000, "max_epochs": 3}])
def test_fit_does_not_copy_the_data(options):
    X = np.asarray(TRUE.sample(200_000, random_state=0) + 10.0)
    model = GaussianBernoulliRBM(2, random_state=0, n_jobs=1, **options)
    with pytest.warns(ConvergenceWarning):
        model.fit(X[:100])  # what is imported on the way is not counted
    tracemalloc.start()
    try:
        with pytest.warns(ConvergenceWarning):
            model.fit(X)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < 0.1 * X.nbytes


def test_collapse_is_told():
    rows = np.repeat([[0.0, 0.0], [1.0, 3.0]], 20, axis=0)
    with pytest.warns(UserWarning, match="noise variance collapses.*a number for noise_variance"):
        GaussianBernoulliRBM(1, random_state=0).fit(rows)


X = TRUE.sample(200, random_state=0)
PARAMS = {"components": W, "intercept_hidden": C, "intercept_visible": B}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: GaussianBernoulliRBM(2, noise_variance=0.0).fit(X), "noise_variance must be 'fit' or a positive"),
        (lambda: GaussianBernoulliRBM(2, noise_variance="given").fit(X), "noise_variance must be 'fit' or a positive"),
        (lambda: GaussianBernoulliRBM.from_params(**PARAMS, noise_variance=-1.0), "noise_variance must be positive"),
        (
            lambda: GaussianBernoulliRBM.from_params(**PARAMS | {"intercept_hidden": [1.0]}, noise_variance=1.0),
            r"intercept_hidden must have shape \(2,\)",
        ),
        (lambda: GaussianBernoulliRBM(0).fit(X), "n_components must be an integer of at least 1"),
        (lambda: GaussianBernoulliRBM(300).fit(X), "n_components=300 needs at least 300 samples"),
        (lambda: GaussianBernoulliRBM(2).fit(np.ones((50, 2))), "every column is constant"),
        (lambda: GaussianBernoulliRBM.from_params(**PARAMS, noise_variance=1e-320), "variance and its inverse"),
        (lambda: GaussianBernoulliRBM.from_params(**PARAMS, log_noise_variance=800.0), r"a variance of exp\(800\)"),
        (
            lambda: GaussianBernoulliRBM.from_params(
                **PARAMS | {"components": 1e200 * np.eye(2)}, noise_variance=1.0
            ).sample(),
            "components_ are so large",
        ),
        (
            lambda: GaussianBernoulliRBM.from_params(
                components=np.ones((17, 2)), intercept_hidden=np.zeros(17), intercept_visible=B, noise_variance=1.0
            ).sample(2, method="exact"),
            "2\\^17",
        ),
    ],
)
def test_wrong_options_and_parameters(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_from_params_takes_one_kind_of_noise_variance():
    with pytest.raises(TypeError, match=r"takes noise_variance.*or log_noise_variance"):
        GaussianBernoulliRBM.from_params(**PARAMS)
    with pytest.raises(TypeError, match=r"takes noise_variance.*or log_noise_variance"):
        GaussianBernoulliRBM.from_params(**PARAMS, noise_variance=1.0, log_noise_variance=0.0)


@pytest.mark.parametrize("seed", range(6))
def test_float32_converges_where_no_step_can_be_told_from_rounding(seed):
    rng = np.random.default_rng(seed)
    X = (rng.standard_t(5, size=(3000, 3)) @ rng.normal(size=(3, 3))).astype(np.float32)
    model = GaussianBernoulliRBM(3, random_state=0).fit(X)
    assert model.converged_
    _, gradient = model.loss_and_grad(model.theta_, X.astype(np.float64))
    assert np.abs(gradient).max() < 1e-3 * X.shape[1] / X.var()
