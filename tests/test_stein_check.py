"""The Stein identity, field by field: means against the formula written out, errors against repeated samples."""

import numpy as np
import pytest
from cases import FEW_EXAMPLES
from scorematch import (
    BoundaryDistance,
    Box,
    Gaussian,
    GaussianMixture,
    NonNegative,
    Polygon,
    Power,
    StudentT,
    VonMisesFisher,
    kernel_stein_test,
    stein_check,
)
from scorematch.diagnostics._stein_check import holm
from scorematch.diagnostics._vector_fields import BUMP_WIDTH, CoordinateFunctions

SQUARE = Polygon([(0.0, 0.0), (2.0, 0.0), (2.0, 2.0), (0.0, 2.0)])
MODELS = {
    "space": Gaussian.from_params(mean=[1.0, -1.0], covariance=[[1.0, 0.4], [0.4, 2.0]]),
    "mixture": GaussianMixture.from_params(weights=[0.3, 0.7], means=[[-1.0], [2.0]], covariances=[[[1.0]], [[0.5]]]),
    "orthant": Gaussian.from_params(mean=[0.5, 0.0], covariance=np.eye(2), domain=NonNegative(), weight=Power(2.0)),
    "box": Gaussian.from_params(mean=[0.5, 0.0], covariance=np.eye(2), domain=Box(0.0, 1.5), weight=Power(1.0)),
    "polygon": Gaussian.from_params(mean=[1.0, 1.0], covariance=np.eye(2), domain=SQUARE, weight=BoundaryDistance()),
    "sphere": VonMisesFisher.from_params(mean_direction=[0.0, 0.6, 0.8], concentration=2.0),
}


def weights(name, X):
    """A as matrices and b, from the definitions."""
    n, d = X.shape
    identity = np.eye(d) * np.ones((n, 1, 1))
    if name in ("space", "mixture"):
        return identity, np.zeros((n, d))
    if name == "orthant":
        return X[:, :, None] ** 2 * identity, 2 * X
    if name == "box":
        return np.minimum(X, 1.5 - X)[:, :, None] * identity, np.where(X < 0.75, 1.0, -1.0)
    if name == "polygon":
        sides = np.column_stack([X, 2 - X])
        nearest = sides.argmin(axis=1)
        inward = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]])[nearest]
        return sides.min(axis=1)[:, None, None] * identity, inward
    return identity - X[:, :, None] * X[:, None], -(d - 1) * X


@pytest.mark.parametrize("name", MODELS)
def test_means_are_those_of_the_formula(level, name):
    model = MODELS[name]
    X = model.sample(500, random_state=0)
    n, d = X.shape
    quantiles = (0.2, 0.6)
    check = stein_check(model, X, quantiles=quantiles, pairs=True)
    A, b = weights(name, X)
    s = np.einsum("nij,nj->ni", A, model.score_function(X)) + b
    want = []
    for j in range(d):
        low, middle, high = np.quantile(X[:, j], [0.25, 0.5, 0.75])
        scale = (high - low) / (2 * 0.6744897501960817)
        want.append(((j, j), lambda x, m=middle, c=scale: np.tanh((x - m) / c)))
        for q in np.quantile(X[:, j], quantiles):
            want.append(((j, j), lambda x, q=q, c=BUMP_WIDTH * scale: np.exp(-(((x - q) / c) ** 2) / 2)))
    for j in range(d):
        steps = [function for (column, _), function in want if column == j][:1]
        want += [((j, k), steps[0]) for k in range(d) if k != j]
    assert len(want) == len(check.means) == 3 * d + d * (d - 1)
    for place, ((j, k), function) in enumerate(want):
        x, step = X[:, j], 1e-5
        slope = (function(x + step) - function(x - step)) / (2 * step)
        rows = A[:, k, j] * slope + s[:, k] * function(x)
        assert check.means[place] == pytest.approx(rows.mean(), abs=1e-8)
        assert check.standard_errors[place] == pytest.approx(np.std(rows) / np.sqrt(n), rel=1e-6)
        assert check.columns[place] == f"x{k}"


FITS = {
    "gaussian": (Gaussian(), lambda rng, n: rng.normal(size=(n, 2)) @ [[1.0, 0.5], [0.0, 1.0]] + 3),
    "robust": (Gaussian(robust=0.2), lambda rng, n: rng.normal(size=(n, 1))),
    "student": (StudentT(df=5), lambda rng, n: rng.standard_t(5, size=(n, 1))),
    "truncated": (Gaussian(domain=NonNegative()), lambda rng, n: np.abs(rng.normal(size=(n, 1)))),
    "sphere": (VonMisesFisher(), lambda rng, n: MODELS["sphere"].sample(n, random_state=rng.integers(2**31))),
}


@pytest.mark.parametrize("name", FITS)
def test_errors_take_account_of_the_estimate(name):
    """Over many samples z has variance 1; without the correction it is too small."""
    model, draw = FITS[name]
    rng, n_sets = np.random.default_rng(0), 30 if name == "student" else 120
    checks = [stein_check(model.fit(draw(rng, 400))) for _ in range(n_sets)]
    spread = np.std([check.z for check in checks], axis=0)
    assert (np.abs(spread - 1) < 4 / np.sqrt(2 * n_sets)).all()
    for p_values in ([check.p_value for check in checks], [check.adjusted_p_values.min() for check in checks]):
        assert np.mean(np.array(p_values) <= 0.05) < 0.05 + 3.5 * np.sqrt(0.05 * 0.95 / n_sets)
    plain = [stein_check(model.fit(draw(rng, 400)), estimated=False).z for _ in range(n_sets // 4)]
    assert np.std(plain, axis=0).min() < 0.8


@pytest.mark.parametrize("name", ["orthant", "polygon", "sphere"])
def test_errors_at_a_known_model(name):
    X = MODELS[name].sample(200 * 1000, random_state=1).reshape(200, 1000, -1)
    checks = [stein_check(MODELS[name], x) for x in X]
    assert not checks[0].estimated
    assert (np.abs(np.std([check.z for check in checks], axis=0) - 1) < 0.22).all()
    assert np.mean([check.p_value <= 0.05 for check in checks]) < 0.11


@pytest.mark.parametrize("example", FEW_EXAMPLES, ids=lambda example: example.name)
def test_every_family(example):
    """On data that are not its own: numbers all the same, and the same for all weights of one size."""
    model, X = example.model(n_jobs=1), example.data(80)
    check = stein_check(model, X, sample_weight=np.full(80, 3.0))
    assert np.isfinite(check.z).all()
    assert (check.standard_errors > 0).all()
    np.testing.assert_allclose(stein_check(model, X).means, check.means, rtol=1e-10)
    result = kernel_stein_test(model, X, n_bootstrap=19, random_state=0)
    assert 0 < result.statistic < np.inf
    assert np.ptp(result.draws) > 0


def test_heavy_tails_are_found():
    X = np.random.default_rng(0).standard_t(3, size=(2000, 1))
    check = stein_check(Gaussian().fit(X))
    assert not check.fits
    assert check.p_value < 1e-6
    assert "The model does not fit" in check.verdict
    assert "column x0" in check.verdict
    assert stein_check(StudentT(df=3).fit(X)).fits


def test_pairs_see_dependence():
    X = np.random.default_rng(0).normal(size=(1000, 2)) @ [[1.0, 0.5], [0.0, 1.0]]
    model = Gaussian("diag").fit(X)
    assert stein_check(model).fits
    check = stein_check(model, pairs=True)
    assert not check.fits
    assert check.fields[-1].startswith("step of x1 at")
    assert check.columns[-1] == "x0"
    assert stein_check(Gaussian().fit(X), pairs=True).fits


def test_data_of_the_fit_are_known_again():
    X = np.random.default_rng(0).normal(size=(300, 1))
    model = Gaussian().fit(X)
    own = stein_check(model)
    assert own.estimated
    np.testing.assert_array_equal(stein_check(model, X.copy()).standard_errors, own.standard_errors)
    assert not stein_check(model, X[:200]).estimated
    assert stein_check(model, X[:200], estimated=True).estimated


def test_a_weight_of_two_is_the_row_twice():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 1))
    model = Gaussian.from_params(mean=[0.1], covariance=[[1.2]])
    plain = stein_check(model, X)
    twice = stein_check(model, X, sample_weight=np.full(300, 2.0))
    np.testing.assert_allclose(twice.means, plain.means, rtol=1e-12)
    np.testing.assert_allclose(twice.standard_errors, plain.standard_errors, rtol=1e-12)
    some = rng.integers(1, 4, size=300)
    weighted = stein_check(model, X, sample_weight=some)
    columns = CoordinateFunctions.of(X[:, 0], "x0", ())
    step, slope = columns.at(X[:, 0])
    rows = slope[:, 0] + model.score_function(X)[:, 0] * step[:, 0]
    assert weighted.means[0] == pytest.approx(np.average(rows, weights=some), rel=1e-12)


def test_float32_says_the_same():
    X = np.random.default_rng(0).gamma(2.0, size=(500, 2)).astype(np.float32)
    double, single = (stein_check(Gaussian(domain=NonNegative()).fit(x)) for x in (X.astype(float), X))
    np.testing.assert_allclose(single.z, double.z, atol=0.01)


def test_a_field_that_the_fit_sets_to_zero():
    """The mean of a step is all that is known of the location: not a number, but no reason for alarm."""
    X = np.random.default_rng(0).normal(size=(200, 1))
    check = stein_check(Gaussian().fit(X), quantiles=())
    assert len(check.means) == 1
    assert np.isfinite(check.p_value)


def test_holm():
    np.testing.assert_allclose(holm(np.array([0.01, 0.04, 0.03, 0.5])), [0.04, 0.09, 0.09, 0.5])
    np.testing.assert_allclose(holm(np.array([0.9, 0.8])), [1.0, 1.0])


def test_table():
    pd = pytest.importorskip("pandas")
    X = pd.DataFrame(np.random.default_rng(0).normal(size=(300, 2)), columns=["height", "weight"])
    check = stein_check(Gaussian().fit(X), quantiles=[0.5])
    np.testing.assert_allclose(stein_check(Gaussian().fit(X), X, quantiles=[0.5]).z, check.z, rtol=1e-12)
    frame = check.to_frame()
    assert list(frame["column"]) == ["height", "height", "weight", "weight"]
    np.testing.assert_array_equal(frame["mean"], check.means)
    lines = str(check).splitlines()
    assert len(lines) == 2 + 4 + 1
    assert "estimated" in lines[0]
    assert lines[-1] == check.verdict


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"quantiles": [0.0, 0.5]}, "quantiles must be numbers between 0 and 1"),
        ({"X": np.column_stack([np.arange(5.0), np.ones(5)])}, "column x1 of X is constant"),
        ({"X": np.ones((1, 2))}, "at least 2 rows of X; got 1"),
        ({"X": None}, "does not hold the data"),
    ],
)
def test_errors(options, says):
    arguments = {"X": np.random.default_rng(0).normal(size=(9, 2)), **options}
    with pytest.raises(ValueError, match=says):
        stein_check(MODELS["space"], arguments.pop("X"), **arguments)


def test_models_that_are_none():
    with pytest.raises(TypeError, match="model must be a fitted model of scorematch"):
        stein_check(lambda x: -x, np.eye(2))
    with pytest.raises(ValueError, match="not fitted yet"):
        stein_check(Gaussian(), np.eye(2))
