"""Von Mises-Fisher: recovery in many dimensions and concentrations, and rows that are no directions."""

import numpy as np
import pytest
from scipy.stats import vonmises_fisher
from scorematch import VonMisesFisher

each_direction = pytest.mark.parametrize("direction", ["joint", "mean"])


def pole(d):
    return np.eye(d)[-1]


def draws(d, concentration, n, seed=0):
    model = VonMisesFisher.from_params(mean_direction=pole(d), concentration=concentration)
    return model.sample(n, random_state=seed)


@each_direction
@pytest.mark.parametrize("d", [2, 3, 10])
@pytest.mark.parametrize("concentration", [0.1, 1.0, 5.0, 30.0, 200.0])
def test_recovers_the_natural_parameter(direction, d, concentration):
    """Over 40 samples, within three and a half standard errors of their mean; no single one far off."""
    X = draws(d, concentration, 40 * 1000).reshape(40, 1000, d)
    estimates = np.array([VonMisesFisher(direction).fit(part).theta_ for part in X])
    error = estimates.std(axis=0, ddof=1)
    # κ itself is estimated with a bias of order 1/n, as by maximum likelihood.
    bias = 3 * error**2 / max(concentration, 1.0)
    off = np.abs(estimates.mean(axis=0) - concentration * pole(d)) - bias
    assert (off < 3.5 * error / np.sqrt(len(X))).all()
    assert error.max() < 0.1 * concentration + 0.3


def test_efficiency_on_the_circle():
    """The variance of κ over that of maximum likelihood (mean direction known): .777 at κ = 2, .940 at 5."""
    from scipy.special import ive

    for concentration, efficiency in ((2.0, 0.777), (5.0, 0.940)):
        X = draws(2, concentration, 2000 * 500).reshape(2000, 500, 2)
        along = X[:, :, 1]
        estimates = along.mean(axis=1) / (1 - along**2).mean(axis=1)
        ratio = ive(1, concentration) / ive(0, concentration)
        information = 1 - ratio / concentration - ratio**2
        assert 1 / (500 * estimates.var() * information) == pytest.approx(efficiency, rel=0.08)
    # The library's formula is the same one, in the estimated direction.
    model = VonMisesFisher("mean").fit(X[0])
    along = X[0] @ model.mean_direction_
    assert model.concentration_ == pytest.approx(along.mean() / (1 - along**2).mean(), rel=1e-12)


@each_direction
def test_joint_is_the_minimum(direction):
    X = draws(4, 3.0, 500)
    weight = np.random.default_rng(0).exponential(size=500)
    model = VonMisesFisher(direction).fit(X, sample_weight=weight)
    loss, gradient = model.loss_and_grad(model.theta_, X, sample_weight=weight)
    assert loss == pytest.approx(model.objective_, rel=1e-12)
    gamma, g = model.quadratic_form(X, sample_weight=weight)
    np.testing.assert_allclose(gradient, gamma @ model.theta_ - g, atol=1e-12)
    if direction == "joint":
        assert np.abs(gradient).max() < 1e-12
    else:  # only along the direction
        assert abs(gradient @ model.mean_direction_) < 1e-12
        assert np.abs(gradient).max() > 1e-4


@each_direction
def test_partial_fit_equals_fit(direction):
    X, weight = draws(3, 2.0, 600), np.linspace(1, 9, 600)
    whole, parts = VonMisesFisher(direction).fit(X, sample_weight=weight), VonMisesFisher(direction)
    for rows in (slice(0, 50), slice(50, 400), slice(400, 600)):
        parts.partial_fit(X[rows], sample_weight=weight[rows])
    np.testing.assert_allclose(parts.theta_, whole.theta_, rtol=1e-12)
    np.testing.assert_allclose(parts.fit(X[:100]).theta_, VonMisesFisher(direction).fit(X[:100]).theta_)


def test_tangential_score_and_laplace_beltrami_operator():
    X, theta = draws(5, 2.0, 50), 2.0 * pole(5)
    model = VonMisesFisher.from_params(mean_direction=pole(5), concentration=2.0)
    score = model.score_function(X)
    np.testing.assert_allclose(score, theta - (X @ theta)[:, None] * X, atol=1e-12)
    np.testing.assert_allclose(np.einsum("ij,ij->i", score, X), 0, atol=1e-12)
    np.testing.assert_allclose(model.hessian_trace(X), -4 * X @ theta, atol=1e-12)
    norm_term, hessian_term = model.score_matching_terms(X)
    np.testing.assert_allclose(norm_term, (score**2).sum(axis=1) / 2, atol=1e-12)
    np.testing.assert_allclose(hessian_term, model.hessian_trace(X), atol=1e-12)
    with pytest.raises(ValueError, match=r"no meaning on the sphere.*Use hessian_trace"):
        model.hessian_diagonal(X)


@pytest.mark.parametrize("d", [2, 3, 7])
def test_samples(d):
    """Lengths 1, and the mean resultant length and the spread about it that SciPy's own distribution has."""
    X = draws(d, 4.0, 20_000)
    np.testing.assert_allclose(np.linalg.norm(X, axis=1), 1, atol=1e-12)
    reference = vonmises_fisher(pole(d), 4.0).rvs(20_000, random_state=7)
    np.testing.assert_allclose(X.mean(axis=0), np.asarray(reference).mean(axis=0), atol=0.03)
    assert (X[:, -1] ** 2).mean() == pytest.approx((reference[:, -1] ** 2).mean(), abs=0.02)
    uniform = draws(d, 0.0, 20_000)
    np.testing.assert_allclose(uniform.mean(axis=0), 0, atol=0.03)
    np.testing.assert_array_equal(draws(d, 4.0, 5), draws(d, 4.0, 5))
    assert draws(d, 4.0, 1).shape == (1, d)


# -- Rows that are no directions ----------------------------------------------------------------------------------


def test_rows_of_another_length_are_named():
    X = draws(3, 2.0, 20)
    X[4] *= 1.1
    X[9] *= 0.5
    with pytest.raises(ValueError, match=r"row 4 does not: its length is 1\.1.*normalize=True.*2 of 20 rows"):
        VonMisesFisher().fit(X)
    model = VonMisesFisher().fit(draws(3, 2.0, 20))
    with pytest.raises(ValueError, match="row 4"):
        model.score(X)
    rescaled = VonMisesFisher(normalize=True).fit(X * np.linspace(1e-200, 1e150, 20)[:, None])
    np.testing.assert_allclose(rescaled.theta_, model.theta_, rtol=1e-12)
    np.testing.assert_allclose(rescaled.score_function(5 * X[:3]), model.score_function(draws(3, 2.0, 20)[:3]))


def test_float32():
    X = draws(3, 5.0, 2000)
    exact = VonMisesFisher().fit(X)
    single = VonMisesFisher().fit(X.astype(np.float32))
    np.testing.assert_allclose(single.theta_, exact.theta_, rtol=1e-5, atol=1e-5)
    huge = (X * 1e30).astype(np.float32)
    np.testing.assert_allclose(VonMisesFisher(normalize=True).fit(huge).theta_, exact.theta_, rtol=1e-5, atol=1e-5)


def test_rows_of_zeros():
    X = draws(3, 2.0, 30)
    weight = np.linspace(1, 2, 30)
    spoilt = X.copy()
    spoilt[[3, 7]] = 0
    kept = np.delete(np.arange(30), [3, 7])
    with pytest.warns(UserWarning, match="2 of 30 rows of X are all zeros, such as row 3.*left out"):
        model = VonMisesFisher(normalize=True).fit(spoilt, sample_weight=weight)
    expected = VonMisesFisher().fit(X[kept], sample_weight=weight[kept])
    np.testing.assert_allclose(model.theta_, expected.theta_, rtol=1e-12)
    with pytest.raises(ValueError, match="row 3 of X is all zeros"):
        model.score_function(spoilt)
    with pytest.raises(ValueError, match="every row of X is all zeros"):
        VonMisesFisher(normalize=True).fit(np.zeros((5, 3)))


@each_direction
def test_one_column(direction):
    with pytest.raises(ValueError, match="at least 2 columns; got 1"):
        VonMisesFisher(direction).fit(np.ones((10, 1)))
    with pytest.raises(ValueError, match="at least 2 columns; got 1"):
        VonMisesFisher.from_params(mean_direction=[1.0], concentration=1.0)


@each_direction
def test_rows_that_are_all_the_same(direction):
    with pytest.raises(ValueError, match="concentration is infinite"):
        VonMisesFisher(direction).fit(np.tile([[0.6, 0.8]], (10, 1)))


def test_rows_that_are_all_on_one_line():
    X = np.tile([[0.6, 0.8], [-0.6, -0.8]], (5, 1))
    with pytest.raises(ValueError, match="opposite"):
        VonMisesFisher("joint").fit(X)
    assert VonMisesFisher("mean").fit(X).concentration_ == 0  # no mean, no concentration
    with pytest.raises(ValueError, match="concentration is infinite"):
        VonMisesFisher("mean").fit(np.concatenate([X, X[:2], X[:1]]))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"mean_direction": [1.0, 1.0], "concentration": 1.0}, "must have length 1; got 1.41421"),
        ({"mean_direction": [1.0, 0.0], "concentration": -1.0}, "must not be negative"),
        ({"mean_direction": [1.0, 0.0], "concentration": [1.0]}, "concentration must have shape"),
        ({"mean_direction": [[1.0, 0.0]], "concentration": 1.0}, "mean_direction must have shape"),
        ({"mean_direction": [1.0, 0.0], "concentration": np.inf}, "concentration must be finite"),
    ],
)
def test_wrong_parameters(parameters, message):
    with pytest.raises(ValueError, match=message):
        VonMisesFisher.from_params(**parameters)
