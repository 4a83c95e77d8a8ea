"""Efficiency against maximum likelihood: known values, by quadrature and by draws."""

import numpy as np
import pytest
from scipy import stats
from scorematch import (
    Gaussian,
    GaussianMixture,
    MinPower,
    NonNegative,
    PolynomialExponentialFamily,
    Power,
    StudentT,
    VonMisesFisher,
)
from scorematch.diagnostics import relative_efficiency


def two_modes(m):
    return GaussianMixture.from_params(weights=[0.2, 0.8], means=[[-m], [m]], covariances=[[[1.0]], [[1.0]]])


@pytest.mark.filterwarnings("ignore:Score matching is the wrong way")
@pytest.mark.parametrize(("m", "ratio"), [(1, 1.55), (2, 8.04), (3, 115)])
def test_weight_of_two_modes(level, m, ratio):
    """Nothing but the weight unknown: the ratio of variances."""
    model, x = two_modes(m), np.linspace(-12, 12, 4001)[:, None]
    result = relative_efficiency(model, x, "log_weight_ratio", sample_weight=np.exp(model.unnormalized_log_density(x)))
    assert 1 / result.efficiencies[0] == pytest.approx(ratio, rel=0.004)
    assert result.overall == pytest.approx(result.efficiencies[0])
    drawn = relative_efficiency(model, parameters=["log_weight_ratio[0]"], random_state=0)
    assert 1 / drawn.efficiencies[0] == pytest.approx(ratio, rel=0.15)


@pytest.mark.parametrize(("df", "efficiency"), [(10, 0.814), (5, 0.629), (3, 0.480)])
def test_scale_of_student(df, efficiency):
    model = StudentT.from_params(location=[0.0], scale=[[1.0]], df=float(df))
    t = np.linspace(-12, 12, 8001)
    density = stats.t.pdf(np.sinh(t), df) * np.cosh(t)
    result = relative_efficiency(model, np.sinh(t)[:, None], "cholesky", sample_weight=density)
    assert result.efficiencies[0] == pytest.approx(efficiency, abs=6e-4)


@pytest.mark.parametrize(("kappa", "efficiency"), [(0.5, 0.946), (1, 0.851), (2, 0.777), (5, 0.940), (10, 0.990)])
def test_concentration_of_von_mises(kappa, efficiency):
    model = VonMisesFisher.from_params(mean_direction=[1.0, 0.0], concentration=kappa)
    t = np.arange(500) * 2 * np.pi / 500
    X = np.column_stack([np.cos(t), np.sin(t)])
    result = relative_efficiency(model, X, model.theta_names_[:1], sample_weight=np.exp(kappa * X[:, 0]))
    assert result.efficiencies[0] == pytest.approx(efficiency, abs=6e-4)


@pytest.mark.parametrize(("weight", "variance"), [(Power(1.0), 1.0), (Power(2.0), 2.0), (MinPower(c=1.0), 1.582)])
def test_rate_of_an_exponential(weight, variance):
    model = PolynomialExponentialFamily.from_params(coef=[-1.0], powers=[[1]], domain=NonNegative(), weight=weight)
    x = (np.arange(20_000) + 0.5) / 500
    result = relative_efficiency(model, x[:, None], sample_weight=np.exp(-x))
    assert 1 / result.efficiencies[0] == pytest.approx(variance, rel=1e-3)


@pytest.mark.parametrize("kind", ["full", "diag"])
def test_gaussian_is_maximum_likelihood(kind):
    X = np.random.default_rng(0).normal(size=(300, 3)) @ np.triu(np.ones((3, 3))) + 100
    result = relative_efficiency(Gaussian(kind).fit(X), random_state=0, n_samples=500)
    np.testing.assert_allclose(result.efficiencies, 1, rtol=1e-6)
    assert result.overall == pytest.approx(1, rel=1e-6)
    assert not result.reasons


def test_truncation_costs_something():
    model = Gaussian.from_params(mean=[0.0, 1.0], covariance=[[1.0, 0.3], [0.3, 2.0]], domain=NonNegative())
    result = relative_efficiency(model, random_state=0)
    assert (result.efficiencies > 0.9).all()
    assert (result.efficiencies < 1).all()


def test_a_warning_where_it_is_the_wrong_tool():
    with pytest.warns(UserWarning, match="wrong way to estimate .*scikit-learn's GaussianMixture"):
        result = relative_efficiency(two_modes(3.0), random_state=0, n_samples=20_000)
    assert result.efficiencies[0] < 0.03
    assert (result.efficiencies[1:] > 0.8).all()
    assert result.overall > result.efficiencies.min()
    assert str(result).splitlines()[-1] == result.verdict
    assert relative_efficiency(two_modes(0.5), random_state=0).verdict.startswith("Score matching takes at most 1.")


def test_what_is_not_determined():
    same = GaussianMixture.from_params(weights=[0.5, 0.5], means=[[0.0], [0.0]], covariances=[[[1.0]], [[1.0]]])
    result = relative_efficiency(same, random_state=0, n_samples=5000)
    assert np.isnan(result.efficiencies[0])
    assert result.reasons["log_weight_ratio[0]"] == "the likelihood does not determine it"
    assert np.isnan(result.overall)


def test_table():
    pytest.importorskip("pandas")
    result = relative_efficiency(two_modes(1.0), n_samples=2000, random_state=0)
    frame = result.to_frame()
    assert list(frame.index) == two_modes(1.0).theta_names_
    np.testing.assert_array_equal(frame["efficiency"], result.efficiencies)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"parameters": "weights"}, "parameters names 'weights'; parameters are log_weight_ratio"),
        ({"parameters": []}, "at least one parameter"),
        ({"n_samples": 1}, "n_samples must be an integer of at least 2"),
        ({"sample_weight": [1.0]}, "sample_weight goes with X"),
        ({"X": [[1.0, 2.0]]}, "1 features"),
    ],
)
def test_errors(options, says):
    with pytest.raises(ValueError, match=says):
        relative_efficiency(two_modes(1.0), **options)
    with pytest.raises(TypeError, match="model must be a fitted model"):
        relative_efficiency(lambda x: -x)
