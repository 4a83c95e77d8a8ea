"""Mixtures of Gaussians: recovery, starts, the covariance floor."""

import tracemalloc
import warnings

import numpy as np
import pytest
from scorematch import Gaussian, GaussianMixture
from sklearn.exceptions import ConvergenceWarning

WEIGHTS = np.array([0.4, 0.6])
MEANS = np.array([[-1.5, 0.0], [1.5, 1.0]])
COVARIANCES = {
    "full": np.array([[[1.0, 0.5], [0.5, 1.0]], [[0.6, -0.2], [-0.2, 0.9]]]),
    "tied": np.array([[1.0, 0.4], [0.4, 0.8]]),
    "diag": np.array([[1.0, 0.5], [0.6, 0.9]]),
    "spherical": np.array([1.0, 0.6]),
}


def ordered(model):
    order = np.argsort(model.means_[:, 0])
    tied = model.covariance_type == "tied"
    return model.weights_[order], model.means_[order], model.covariances_ if tied else model.covariances_[order]


@pytest.mark.parametrize("kind", COVARIANCES)
def test_recovery(kind):
    true = GaussianMixture.from_params(
        weights=WEIGHTS, means=MEANS, covariances=COVARIANCES[kind], covariance_type=kind
    )
    model = GaussianMixture(2, kind, random_state=0).fit(true.sample(20_000, random_state=1))
    assert model.converged_
    for estimate, truth in zip(ordered(model), (WEIGHTS, MEANS, COVARIANCES[kind]), strict=True):
        np.testing.assert_allclose(estimate, truth, atol=0.12)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_units_of_single_columns_do_not_hinder_the_optimiser(scale):
    true = GaussianMixture.from_params(weights=WEIGHTS, means=MEANS, covariances=COVARIANCES["full"])
    X = true.sample(3000, random_state=1) * [1.0, scale]
    model = GaussianMixture(2, random_state=0, n_init=1).fit(X)
    assert model.converged_
    _, slope = model.loss_and_grad(model.theta_, X)
    assert np.isfinite(slope).all()
    assert -model.score(X) == pytest.approx(model.objective_, rel=1e-9)


def test_one_component_is_the_gaussian():
    X = np.random.default_rng(0).normal(size=(500, 3)) @ [[1.0, 0.5, 0.0], [0.0, 1.0, 0.3], [0.0, 0.0, 2.0]]
    mixture = GaussianMixture(random_state=0, reg_covar=0.0).fit(X)
    np.testing.assert_allclose(mixture.means_[0], Gaussian().fit(X).mean_, atol=1e-5)
    np.testing.assert_allclose(mixture.covariances_[0], Gaussian().fit(X).covariance_, atol=1e-4)


@pytest.mark.parametrize("init_params", ["kmeans", "random"])
def test_same_seed_same_answer_on_any_number_of_threads(init_params):
    true = GaussianMixture.from_params(weights=WEIGHTS, means=MEANS, covariances=COVARIANCES["full"])
    X = true.sample(20_000, random_state=1)
    thetas = [
        GaussianMixture(2, random_state=3, n_init=1, init_params=init_params, n_jobs=n).fit(X).theta_ for n in (1, 2, 3)
    ]
    assert thetas[0].tobytes() == thetas[1].tobytes() == thetas[2].tobytes()


def test_precisions_in_place_of_covariances():
    for kind, covariances in COVARIANCES.items():
        inverse = np.linalg.inv(covariances) if kind in ("full", "tied") else 1 / covariances
        options = {"weights": WEIGHTS, "means": MEANS, "covariance_type": kind}
        one = GaussianMixture.from_params(covariances=covariances, **options)
        other = GaussianMixture.from_params(precisions=inverse, **options)
        np.testing.assert_allclose(one.theta_, other.theta_, atol=1e-12)
        np.testing.assert_allclose(other.precisions_, inverse, atol=1e-12)


def test_collapse_is_told():
    X = np.repeat(np.random.default_rng(0).normal(size=(6, 2)), 10, axis=0)
    with pytest.warns(UserWarning, match="no lower bound"):
        GaussianMixture(3, random_state=0).fit(X)


def test_convergence_warning_says_what_to_try(capsys):
    X = np.random.default_rng(0).normal(size=(500, 2))
    with pytest.warns(ConvergenceWarning, match="limit max_iter=2 was reached.*Try"):
        model = GaussianMixture(2, random_state=0, n_init=1, max_iter=2, verbose=1).fit(X)
    assert not model.converged_
    assert model.n_iter_ == 2
    assert "start 1: iteration 1" in capsys.readouterr().out


def test_samples_have_the_moments_of_the_mixture():
    true = GaussianMixture.from_params(weights=WEIGHTS, means=MEANS, covariances=COVARIANCES["full"])
    X = true.sample(200_000, random_state=0)
    mean = WEIGHTS @ MEANS
    second = np.einsum("k,kij->ij", WEIGHTS, COVARIANCES["full"] + MEANS[:, :, None] * MEANS[:, None])
    np.testing.assert_allclose(X.mean(axis=0), mean, atol=0.02)
    np.testing.assert_allclose(np.cov(X.T), second - np.outer(mean, mean), atol=0.04)


@pytest.mark.parametrize(("kind", "n_components", "d"), [("diag", 64, 512), ("spherical", 64, 512), ("full", 8, 128)])
def test_many_components_and_features(kind, n_components, d):
    rng = np.random.default_rng(0)
    covariances = {
        "diag": np.ones((n_components, d)),
        "spherical": np.ones(n_components),
        "full": np.tile(np.eye(d), (n_components, 1, 1)),
    }[kind]
    model = GaussianMixture.from_params(
        weights=np.full(n_components, 1 / n_components),
        means=rng.normal(size=(n_components, d)),
        covariances=covariances,
        covariance_type=kind,
    )
    X = model.sample(40, random_state=0)
    loss, slope = model.loss_and_grad(model.theta_, X)
    direction = rng.normal(size=slope.shape) / np.sqrt(slope.size)
    ahead, behind = (model.loss_and_grad(model.theta_ + step * direction, X)[0] for step in (1e-5, -1e-5))
    assert np.isfinite(loss)
    assert slope @ direction == pytest.approx((ahead - behind) / 2e-5, rel=1e-5, abs=1e-6 * abs(loss))


@pytest.mark.parametrize("init_params", ["kmeans", "random"])
def test_fitting_many_rows_takes_little_memory(init_params):
    """Neither starts nor the check of the weights hold anything for each row."""
    true = GaussianMixture.from_params(weights=WEIGHTS, means=MEANS, covariances=COVARIANCES["full"])
    X = true.sample(3_000_000, random_state=1)
    model = GaussianMixture(2, init_params=init_params, n_init=1, max_iter=1, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # one iteration is not enough
        model.fit(X[:1000])
        tracemalloc.start()
        model.fit(X)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 0.5 * X.nbytes


def test_starts_of_large_data_are_among_the_rows_that_count():
    """k-means sees a part of large data; rows of weight zero are never in it."""
    random = np.random.default_rng(0)
    rows = np.concatenate([random.normal(100.0, 1.0, (300_000, 1)), random.normal(size=(2000, 1))])
    weight = np.repeat([0.0, 1.0], [300_000, 2000])
    model = GaussianMixture(n_init=1, random_state=0).fit(rows, sample_weight=weight)
    np.testing.assert_allclose(model.means_[0], rows[300_000:].mean(axis=0), atol=1e-5)
