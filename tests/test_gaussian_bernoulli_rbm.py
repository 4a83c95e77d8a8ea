"""Restricted Boltzmann machines: the mixture that they are, recovery, samples, and what has no answer."""

import itertools

import numpy as np
import pytest
from scipy.special import expit, logsumexp
from scipy.stats import multivariate_normal
from scorematch import GaussianBernoulliRBM

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


@pytest.mark.parametrize("noise_variance", ["fit", VARIANCE])
def test_recovery(noise_variance):
    """Up to the order of the hidden units, and which of their two states is called 1."""
    X = TRUE.sample(40_000, random_state=1)
    model = GaussianBernoulliRBM(2, noise_variance=noise_variance, n_init=3, random_state=0).fit(X)
    assert model.converged_
    assert model.noise_variance_ == pytest.approx(VARIANCE, rel=0.05)
    assert model.score(X) >= TRUE.score(X) - 1e-9
    x = X[:200]
    np.testing.assert_allclose(model.score_function(x), TRUE.score_function(x), atol=0.35)


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
            ).sample(2),
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
