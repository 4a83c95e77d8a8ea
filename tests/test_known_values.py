"""Published numbers and closed forms that estimates must reproduce."""

import numpy as np
import pytest
import scorematch


@pytest.mark.parametrize("variance", [0.2, 1.0, 5.0])
def test_terms_of_a_gaussian_of_known_mean(variance):
    """Hessian term -1/v, norm term x²/(2v²), lowest at v = mean x² with the value -1/(2v)."""
    x = np.random.default_rng(0).normal(size=(100, 1))
    model = scorematch.Gaussian.from_params(mean=[0.0], covariance=[[variance]])
    norm_term, hessian_term = model.score_matching_terms(x)
    np.testing.assert_allclose(hessian_term, -1 / variance, rtol=1e-14)
    np.testing.assert_allclose(norm_term, x[:, 0] ** 2 / (2 * variance**2), rtol=1e-13)

    best = np.mean(x**2)
    objective = {v: -scorematch.Gaussian.from_params(mean=[0.0], covariance=[[v]]).score(x) for v in (best, variance)}
    assert objective[best] == pytest.approx(-1 / (2 * best), rel=1e-12)
    assert objective[best] <= objective[variance]


@pytest.mark.parametrize("offset", [0.0, 1e4, 1e8])
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize("d", [1, 3, 20])
def test_gaussian_equals_maximum_likelihood(d, scale, offset):
    """On all of space, for full, diagonal and spherical covariances, to 1e-10 for any sample."""
    rng = np.random.default_rng(d)
    X = scale * (rng.normal(size=(d + 30, d)) @ rng.normal(size=(d, d)) + offset)
    mean = X.mean(axis=0)
    covariance = (X - mean).T @ (X - mean) / len(X)
    size = np.abs(covariance).max()
    for kind, expected in (
        ("full", covariance),
        ("diag", np.diag(np.diagonal(covariance))),
        ("spherical", np.eye(d) * np.trace(covariance) / d),
    ):
        model = scorematch.Gaussian(kind).fit(X)
        # What rounding of the mean itself, of size eps·|mean|, leaves.
        np.testing.assert_allclose(model.mean_, mean, rtol=1e-14, atol=1e-10 * scale)
        np.testing.assert_allclose(model.covariance_, expected, rtol=1e-10, atol=1e-10 * size)


def test_concentration_given_the_mean_direction():
    """κ̂ = (d − 1) Σ μᵀx / Σ (1 − (μᵀx)²)."""
    true = scorematch.VonMisesFisher.from_params(mean_direction=[0.6, 0.0, 0.8], concentration=3.0)
    X = true.sample(500, random_state=0)
    model = scorematch.VonMisesFisher(direction="mean").fit(X)
    mean = X.mean(axis=0) / np.linalg.norm(X.mean(axis=0))
    along = X @ mean
    np.testing.assert_allclose(model.mean_direction_, mean, atol=1e-14)
    assert model.concentration_ == pytest.approx(2 * along.sum() / (1 - along**2).sum(), rel=1e-12)


def test_whole_data_and_moments_give_one_objective():
    """Large samples are evaluated by their moments, small ones row by row: both are the same function."""
    rng = np.random.default_rng(0)
    X = rng.normal([1.0, 2.0, 3.0], size=(8000, 3))
    S = X / np.linalg.norm(X, axis=1, keepdims=True)
    weight = rng.random(8000)
    models = [(scorematch.Gaussian(kind).fit(X), X) for kind in ("full", "diag", "spherical")]
    models.append((scorematch.VonMisesFisher().fit(S), S))
    for model, data in models:
        theta = model.theta_ * rng.uniform(0.5, 1.5, len(model.theta_))
        by_moments, slope = model.loss_and_grad(theta, data, weight)
        parts = [model.loss_and_grad(theta, data[i : i + 1000], weight[i : i + 1000]) for i in range(0, 8000, 1000)]
        shares = weight.reshape(8, 1000).sum(axis=1) / weight.sum()
        assert by_moments == pytest.approx(sum(s * part[0] for s, part in zip(shares, parts, strict=True)), rel=1e-12)
        expected = sum(s * part[1] for s, part in zip(shares, parts, strict=True))
        np.testing.assert_allclose(slope, expected, rtol=1e-10, atol=1e-12 * np.abs(expected).max())
