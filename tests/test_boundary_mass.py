"""Shares of rows near the boundary, and what is made of them."""

import numpy as np
import pytest
from scipy import stats
from scorematch import Ball, BoundaryDistance, Box, Gaussian, NonNegative, RealSpace, VonMisesFisher
from scorematch.diagnostics import boundary_mass


def test_shares_are_counted():
    X = np.random.default_rng(0).uniform(-1, 3, size=(500, 2))
    result = boundary_mass(Box(-1.0, 3.0), X, distances=(0.5, 0.1))
    np.testing.assert_array_equal(result.distances, [0.1, 0.5])
    for j in range(2):
        distance = np.minimum(X[:, j] + 1, 3 - X[:, j])
        for k, within in enumerate((0.1, 0.5)):
            assert result.shares[j, k] == np.mean(distance <= within * X[:, j].std())
    np.testing.assert_allclose(result.densities, result.shares / [0.1, 0.5])
    assert result.model_shares is None
    assert result.columns == ("x0", "x1")


def test_distance_to_the_nearest_point():
    X = np.random.default_rng(0).normal(size=(2000, 3))
    X = X[np.linalg.norm(X, axis=1) < 2]
    model = Gaussian(domain=Ball(2.0), weight=BoundaryDistance()).fit(X)
    result = boundary_mass(model, n_draws=0)
    assert result.columns == ("nearest",)
    scale = np.sqrt(np.mean(X.var(axis=0)))
    want = [np.mean(2 - np.linalg.norm(X, axis=1) <= within * scale) for within in result.distances]
    np.testing.assert_array_equal(result.shares[0], want)
    assert result.weights_matter.all()


def test_a_density_that_vanishes_at_the_boundary_and_one_that_does_not():
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.gamma(4.0, size=2000), rng.exponential(size=2000)])
    result = boundary_mass(NonNegative(), X)
    assert result.weights_matter.tolist() == [False, True]
    assert "does not vanish at the boundary along x1: without" in result.verdict
    assert result.densities[1, -1] == pytest.approx(stats.expon.cdf(0.2) / 0.2, rel=0.15)
    assert "matters little" in boundary_mass(NonNegative(), X[:, :1]).verdict


def test_the_model_is_compared():
    rng = np.random.default_rng(0)
    X = np.abs(rng.normal(size=(3000, 1)))
    right = Gaussian(domain=NonNegative()).fit(X)
    result = boundary_mass(right, random_state=0)
    assert "has as many there" in result.verdict
    z = (result.shares - result.model_shares) / result.standard_errors
    assert np.abs(z).max() < 4
    wrong = Gaussian.from_params(mean=[2.0], covariance=[[1.0]], domain=NonNegative())
    assert "has other shares there" in boundary_mass(wrong, X, random_state=0).verdict
    again = boundary_mass(wrong, X, random_state=0)
    np.testing.assert_array_equal(again.model_shares, boundary_mass(wrong, X, random_state=0).model_shares)


def test_without_a_boundary():
    X = np.random.default_rng(0).normal(size=(50, 2))
    assert boundary_mass(Gaussian().fit(X)).verdict.startswith("RealSpace() has no boundary")
    result = boundary_mass(RealSpace(), X)
    assert len(result.shares) == len(result.columns) == 0
    assert str(result) == result.verdict
    sphere = VonMisesFisher.from_params(mean_direction=[1.0, 0.0], concentration=1.0)
    assert "Sphere() has no boundary" in str(boundary_mass(sphere, sphere.sample(20, random_state=0)))


def test_table():
    pd = pytest.importorskip("pandas")
    X = pd.DataFrame(np.random.default_rng(0).exponential(size=(200, 2)), columns=["a", "b"])
    for model in (NonNegative(), Gaussian(domain=NonNegative(), covariance_type="diag").fit(X)):
        result = boundary_mass(model, X, n_draws=100, random_state=0)
        frame = result.to_frame()
        assert list(frame["column"]) == ["a"] * 5 + ["b"] * 5
        np.testing.assert_allclose(frame["absolute_distance"], frame["distance"] * np.repeat(X.std(ddof=0), 5).values)
        assert ("model_share" in frame) == (model != NonNegative())
        assert str(result).splitlines()[-1] == result.verdict


@pytest.mark.parametrize(
    ("model", "options", "error", "says"),
    [
        (NonNegative(), {"distances": ()}, ValueError, "distances must be positive numbers"),
        (NonNegative(), {"distances": (0.1, -1)}, ValueError, "distances must be positive numbers"),
        (NonNegative(), {"X": [[1.0], [-1.0]]}, ValueError, "row 1 does not"),
        (NonNegative(), {"X": [[1.0], [np.nan]]}, ValueError, "NaN or infinity: row 1"),
        (NonNegative(), {"X": [[1.0], [1.0]]}, ValueError, "column x0 of X is constant"),
        (NonNegative(), {"X": None}, ValueError, "pass X"),
        (NonNegative(), {"n_draws": -1}, ValueError, "n_draws must be an integer of at least 0"),
        (3, {}, TypeError, "model must be a fitted model of scorematch or a domain; got 3"),
    ],
)
def test_errors(model, options, error, says):
    arguments = {"X": [[1.0], [2.0]], **options}
    with pytest.raises(error, match=says):
        boundary_mass(model, arguments.pop("X"), **arguments)
