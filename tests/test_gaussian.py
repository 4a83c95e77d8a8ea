"""The Gaussian: maximum likelihood on all of space, closed forms under truncation, and data that are hard on both."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import minimize
from scipy.stats import norm, truncnorm
from scorematch import Gaussian, Log1p, MinPower, NonNegative, Power
from scorematch._quadratic import MOST_DENSE_PARAMS

WEIGHTS = [MinPower(c=1.0), MinPower(c=2.0, p=2.0), Power(1.0), Power(2.0), Log1p()]
KINDS = ["full", "diag", "spherical"]
each_kind = pytest.mark.parametrize("kind", KINDS)
each_weight = pytest.mark.parametrize("weight", WEIGHTS, ids=repr)


def truncated(weight, kind="full", **options):
    return Gaussian(kind, domain=NonNegative(), weight=weight, **options)


def positive_data(n, d, seed=0):
    """Of a truncated Gaussian whose coordinates depend on each other."""
    rng = np.random.default_rng(seed)
    root = np.eye(d) + 0.3 * rng.normal(size=(d, d)) / np.sqrt(d)
    draws = 0.7 + rng.normal(size=(40 * n, d)) @ root.T
    kept = draws[(draws >= 0).all(axis=1)]
    return kept[:n] if len(kept) >= n else np.abs(draws[:n])


def maximum_likelihood(X, weight, kind):
    mean = np.average(X, axis=0, weights=weight)
    covariance = np.cov(X.T, aweights=weight, bias=True).reshape(X.shape[1], X.shape[1])
    if kind == "diag":
        return mean, np.diag(np.diagonal(covariance))
    return mean, covariance if kind == "full" else np.eye(len(mean)) * np.trace(covariance) / len(mean)


# -- All of space -------------------------------------------------------------------------------------------------


@each_kind
@pytest.mark.parametrize("d", [1, 2, 7, 50])
@pytest.mark.parametrize("weighted", [False, True], ids=["alike", "weighted"])
def test_equals_maximum_likelihood(kind, d, weighted):
    rng = np.random.default_rng(d)
    X = rng.normal(size=(d + 3, d)) @ rng.normal(size=(d, d)) + rng.normal(size=d)
    weight = rng.exponential(size=len(X)) if weighted else None
    model = Gaussian(kind).fit(X, sample_weight=weight)
    mean, covariance = maximum_likelihood(X, weight, kind)
    np.testing.assert_allclose(model.mean_, mean, atol=1e-12)
    np.testing.assert_allclose(model.covariance_, covariance, atol=1e-12)
    np.testing.assert_allclose(
        model.precision_ @ covariance, np.eye(d), atol=1e-13 * max(1e3, np.linalg.cond(covariance))
    )
    assert model.objective_ == pytest.approx(-np.trace(model.precision_) / 2, rel=1e-12)
    assert model.score(X, sample_weight=weight) == pytest.approx(-model.objective_, rel=1e-6)


@each_kind
def test_columns_of_very_different_scales(kind):
    """All but the spherical estimate turn with each column's scale, to the last digits."""
    rng = np.random.default_rng(0)
    Z = rng.normal(size=(500, 4)) @ rng.normal(size=(4, 4)) + 3
    scales = np.array([1e-8, 1e-3, 1.0, 1e8])
    model = Gaussian(kind).fit(Z * scales)
    mean, covariance = maximum_likelihood(Z, None, kind)
    np.testing.assert_allclose(model.mean_ / scales, mean, rtol=1e-12)
    if kind == "spherical":
        expected = np.mean(np.var(Z * scales, axis=0))
        np.testing.assert_allclose(np.diagonal(model.covariance_), expected, rtol=1e-12)
        return
    outer = np.outer(scales, scales)
    np.testing.assert_allclose(model.covariance_ / outer, covariance, rtol=1e-11)
    np.testing.assert_allclose(model.precision_ * outer, np.linalg.inv(covariance), rtol=1e-9)
    # The same model from its parameters, and draws from it.
    again = Gaussian.from_params(mean=model.mean_, covariance=model.covariance_, covariance_type=kind)
    np.testing.assert_allclose(again.precision_ * outer, model.precision_ * outer, rtol=1e-9)
    np.testing.assert_allclose(again.covariance_ / outer, model.covariance_ / outer, rtol=1e-9)
    spread = again.sample(4000, random_state=0).std(axis=0) / np.sqrt(np.diagonal(model.covariance_))
    np.testing.assert_allclose(spread, 1, atol=0.06)


def test_far_from_the_origin():
    rng = np.random.default_rng(0)
    X = 1e8 + rng.normal(size=(1000, 3))
    centred = X - 1e8  # exact
    model = Gaussian().fit(X)
    np.testing.assert_allclose(model.covariance_, maximum_likelihood(centred, None, "full")[1], atol=1e-13)


@each_kind
def test_float32(kind):
    X = np.random.default_rng(0).normal([100.0, -3.0], [1.0, 5.0], size=(5000, 2)).astype(np.float32)
    model = Gaussian(kind).fit(X)
    mean, covariance = maximum_likelihood(X.astype(np.float64), None, kind)
    np.testing.assert_allclose(model.mean_, mean, rtol=1e-6)
    np.testing.assert_allclose(model.covariance_, covariance, rtol=1e-5, atol=1e-4)
    assert model.score_function(X).dtype == np.float32


def test_many_columns():
    X = np.random.default_rng(0).normal(size=(1000, 200))
    model = Gaussian().fit(X)
    np.testing.assert_allclose(model.covariance_, np.cov(X.T, bias=True), atol=1e-12)


def test_a_file_larger_than_what_is_held_in_memory(tmp_path: Path):
    path = tmp_path / "x.npy"
    X = np.random.default_rng(0).normal(size=(400_000, 5))
    np.save(path, X)
    mapped = np.load(path, mmap_mode="r")
    Gaussian().fit(mapped[:1000])  # what is imported on the way is not counted
    tracemalloc.start()
    model = Gaussian().fit(mapped)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < X.nbytes / 10
    np.testing.assert_allclose(model.covariance_, np.cov(X.T, bias=True), atol=1e-12)


# -- Data that do not span the space ------------------------------------------------------------------------------


def test_fewer_rows_than_columns():
    X = np.random.default_rng(0).normal(size=(6, 10))
    with pytest.warns(UserWarning, match="6 rows for 10 columns.*span of the data"):
        model = Gaussian().fit(X)
    covariance = np.cov(X.T, bias=True)
    np.testing.assert_allclose(model.precision_, np.linalg.pinv(covariance, hermitian=True, rcond=1e-10), atol=1e-8)
    np.testing.assert_allclose(model.covariance_, covariance, atol=1e-12)
    # It is the minimum on that span: no gradient along it.
    gradient = model.loss_and_grad(model.theta_, X)[1]
    slope = np.zeros((10, 10))
    slope[np.triu_indices(10)] = gradient[:-10]
    slope = (slope + slope.T) / 2
    projection = model.precision_ @ covariance
    assert np.abs(projection @ slope @ projection.T).max() < 1e-8 * np.abs(slope).max()


def test_a_constant_column_leaves_the_others_alone():
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.normal(size=50), np.full(50, 1 / 3), 1e-6 * rng.normal(size=50)])
    for kind in ("full", "diag"):
        with pytest.warns(UserWarning, match="column 1 is constant"):
            model = Gaussian(kind).fit(X)
        assert not model.precision_[1].any()
        np.testing.assert_allclose(np.diagonal(model.precision_)[[0, 2]] * X[:, [0, 2]].var(axis=0), 1, rtol=0.2)
    assert Gaussian("spherical").fit(X).precision_[0, 0] > 0  # one variance for all: no warning


def test_duplicated_columns():
    x = np.random.default_rng(0).normal(size=(100, 2))
    with pytest.warns(UserWarning, match="linearly dependent"):
        model = Gaussian().fit(x[:, [0, 1, 0]])
    covariance = np.cov(x[:, [0, 1, 0]].T, bias=True)
    np.testing.assert_allclose(model.precision_, np.linalg.pinv(covariance, hermitian=True), atol=1e-9)


def test_nearly_duplicated_columns_are_no_duplicates():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 1))
    X = np.column_stack([x, x + 1e-5 * rng.normal(size=(300, 1))])
    model = Gaussian().fit(X)  # without a warning
    np.testing.assert_allclose(model.precision_ @ np.cov(X.T, bias=True), np.eye(2), atol=1e-4)


# -- Truncated to the non-negative orthant ------------------------------------------------------------------------


@each_weight
@each_kind
def test_closed_form_is_the_minimum(weight, kind):
    X = positive_data(400, 3)
    model = truncated(weight, kind).fit(X)
    loss, gradient = model.loss_and_grad(model.theta_, X)
    assert loss == pytest.approx(model.objective_, rel=1e-10)
    assert np.abs(gradient).max() < 1e-11 * max(1, np.abs(model.theta_).max())
    start = model.theta_ + 0.1
    best = minimize(lambda theta: model.loss_and_grad(theta, X), start, jac=True, method="BFGS", options={"gtol": 1e-9})
    np.testing.assert_allclose(best.x, model.theta_, rtol=1e-4, atol=1e-5)


@each_weight
def test_quadratic_form_is_the_objective(weight):
    X, rng = positive_data(300, 3), np.random.default_rng(1)
    counts = rng.exponential(size=len(X))
    for kind in KINDS:
        model = truncated(weight, kind).fit(X, sample_weight=counts)
        gamma, g = model.quadratic_form(X, sample_weight=counts)
        constant = model.loss_and_grad(np.zeros_like(g), X, sample_weight=counts)[0]
        theta = rng.normal(size=len(g))
        loss, gradient = model.loss_and_grad(theta, X, sample_weight=counts)
        assert loss == pytest.approx(theta @ gamma @ theta / 2 - g @ theta + constant, rel=1e-11)
        np.testing.assert_allclose(gradient, gamma @ theta - g, rtol=1e-10, atol=1e-11)
        np.testing.assert_allclose(np.linalg.solve(gamma, g), model.theta_, rtol=1e-8)


@each_weight
def test_recovers_the_gaussian_before_truncation(weight):
    """Over 30 samples, the mean of the estimates is the truth within three of its standard errors."""
    mean, covariance = np.array([0.5, 1.0]), np.array([[1.0, 0.4], [0.4, 0.8]])
    true = Gaussian.from_params(mean=mean, covariance=covariance, domain=NonNegative(), weight=weight)
    X = true.sample(30 * 4000, random_state=0).reshape(30, 4000, 2)
    # The natural parameters, which are less skewed than mean and covariance.
    estimates = np.array([truncated(weight).fit(part).theta_ for part in X])
    error = estimates.std(axis=0, ddof=1) / np.sqrt(len(X))
    off = (estimates.mean(axis=0) - true.theta_) / error
    assert np.abs(off).max() < 3.5
    # On the whole sample the estimates of mean and covariance are near the truth, which ignoring truncation is not.
    whole = truncated(weight).fit(X.reshape(-1, 2))
    np.testing.assert_allclose(whole.mean_, mean, atol=0.15)
    np.testing.assert_allclose(whole.covariance_, covariance, atol=0.15)
    assert np.abs(Gaussian().fit(X.reshape(-1, 2)).mean_ - mean).max() > 0.3


@pytest.mark.parametrize(
    ("weight", "variance"),
    [(Power(1.0), 1), (Power(2.0), 2), (MinPower(c=1.0), 1.582), (MinPower(c=3.0), 1.052), (Log1p(), 1.135)],
    ids=repr,
)
def test_rate_of_an_exponential(weight, variance):
    """With P = 0 the closed form gives the rate of an exponential, of the asymptotic variance known for each weight."""
    rng = np.random.default_rng(1)
    n, repeats = 500, 4000
    X = rng.exponential(size=(n * repeats, 1))
    h, dh = (value.reshape(repeats, n) for value in weight(X))
    rates = dh.mean(axis=1) / h.mean(axis=1)
    assert n * rates.var() == pytest.approx(variance, rel=0.12)
    # The library's Γ and g hold the same numbers.
    gamma, g = truncated(weight).quadratic_form(X[:n])
    assert -g[1] / gamma[1, 1] == pytest.approx(rates[0], rel=1e-9)


def test_truncation_far_away_changes_nothing():
    X = np.random.default_rng(0).normal([50.0, 60.0], [1.0, 2.0], size=(2000, 2))
    far = truncated(MinPower(c=10.0)).fit(X)
    np.testing.assert_allclose(far.mean_, X.mean(axis=0), rtol=1e-9)
    np.testing.assert_allclose(far.covariance_, np.cov(X.T, bias=True), rtol=1e-7, atol=1e-9)


def test_density_that_only_truncation_makes_integrable():
    """Rising at 0 and falling in no other way than the estimate of a precision below zero: said, not hidden."""
    X = np.random.default_rng(0).exponential(size=(300, 1)) ** 2
    with pytest.warns(UserWarning, match="negative eigenvalue.*formal"):
        model = truncated(Power(1.0)).fit(X)
    assert model.precision_[0, 0] < 0
    with pytest.raises(ValueError, match=r"precision must be positive on its diagonal; entry \(0,0\)"):
        model.sample(3)


def test_truncated_needs_enough_rows():
    X = np.abs(np.random.default_rng(0).normal(size=(3, 10)))
    with pytest.raises(ValueError, match=r"cannot be estimated from 3 rows.*covariance_type='diag'"):
        truncated(MinPower()).fit(X)
    X = positive_data(100, 3)
    with pytest.raises(ValueError, match="constant or duplicated columns"):
        truncated(MinPower()).fit(X[:, [0, 1, 0]])
    with pytest.raises(ValueError, match="constant or duplicated columns"):
        truncated(MinPower()).fit(np.column_stack([X, np.full(100, 0.5)]))


@pytest.mark.parametrize("rows", [35, 400])
def test_structured_solver_equals_the_dense_one(rows):
    """Blocks by conjugate gradients against Cholesky, with columns on different scales and hardly enough rows."""
    d = 20
    X = positive_data(rows, d) * 10.0 ** np.random.default_rng(1).uniform(-3, 3, d)
    model = truncated(MinPower(c=tuple(X.mean(axis=0))))
    form = model._blocks(model._moments_of(X, None, None))
    gamma, g = form.assembled()
    scale = 1 / np.sqrt(np.diagonal(gamma))
    dense = np.linalg.solve(gamma * scale[:, None] * scale, g * scale)
    found = form.solve_iteratively(np.finfo(float).eps) / scale
    assert np.abs(found - dense).max() < 1e-9 * np.abs(dense).max()


@pytest.mark.parametrize("d", [60, 90])
def test_truncated_with_many_columns(d):
    """More parameters than a dense Γ is made for; at the estimate the gradient vanishes all the same."""
    rng = np.random.default_rng(0)
    X = np.abs(1.5 + rng.normal(size=(4 * d, d)) @ (np.eye(d) + 0.3 * rng.normal(size=(d, d)) / np.sqrt(d)))
    assert d * (d + 3) // 2 > MOST_DENSE_PARAMS
    model = truncated(MinPower(c=2.0)).fit(X)
    gradient = model.loss_and_grad(model.theta_, X)[1]
    assert np.abs(gradient).max() < 1e-9 * np.abs(model.theta_).max()


# -- Blocks, one after the other ----------------------------------------------------------------------------------


@each_kind
@pytest.mark.parametrize("domain", ["space", "orthant"])
@pytest.mark.parametrize("weighted", [False, True], ids=["alike", "weighted"])
def test_partial_fit_equals_fit(kind, domain, weighted):
    X = positive_data(600, 3)
    X[200:] += 1.0  # blocks differ
    weight = np.random.default_rng(0).exponential(size=len(X)) * np.linspace(1, 9, len(X)) if weighted else None

    def fresh():
        return Gaussian(kind) if domain == "space" else truncated(MinPower(c=1.5), kind)

    whole, parts = fresh().fit(X, sample_weight=weight), fresh()
    for rows in (slice(0, 50), slice(50, 400), slice(400, 600)):
        parts.partial_fit(X[rows], sample_weight=None if weight is None else weight[rows])
    np.testing.assert_allclose(parts.theta_, whole.theta_, rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(parts.covariance_, whole.covariance_, rtol=1e-9, atol=1e-11)
    assert parts.objective_ == pytest.approx(whole.objective_, rel=1e-9)
    np.testing.assert_allclose(parts.fit(X[:100]).theta_, fresh().fit(X[:100]).theta_)  # fit starts anew


def test_partial_fit_that_fails_adds_nothing():
    X = np.random.default_rng(0).normal(size=(100, 2))
    model = Gaussian().partial_fit(X[:50])
    before = model.theta_.copy()
    with pytest.raises(ValueError, match="row 1, column 0"):
        model.partial_fit([[1.0, 2.0], [np.nan, 0.0]])
    model.set_params(covariance_type="diag")
    with pytest.raises(ValueError, match="options of Gaussian have changed"):
        model.partial_fit(X[50:])
    model.set_params(covariance_type="full")
    np.testing.assert_array_equal(model.theta_, before)
    np.testing.assert_allclose(model.partial_fit(X[50:]).theta_, Gaussian().fit(X).theta_, rtol=1e-10)


def test_blocks_under_different_weights_do_not_add_up():
    X = np.abs(np.random.default_rng(0).normal(size=(100, 2)))
    model = Gaussian(domain=NonNegative(), weight=MinPower()).partial_fit(X)
    model.set_params(weight=Log1p())
    with pytest.raises(ValueError, match="call fit to start anew"):
        model.partial_fit(X)


# -- Samples ------------------------------------------------------------------------------------------------------


@each_kind
def test_moments_of_samples(kind):
    covariance = {
        "full": np.array([[2.0, 0.6], [0.6, 0.5]]),
        "diag": np.diag([2.0, 0.5]),
        "spherical": 0.7 * np.eye(2),
    }[kind]
    model = Gaussian.from_params(mean=[1.0, -2.0], covariance=covariance, covariance_type=kind)
    draws = model.sample(40_000, random_state=0)
    np.testing.assert_allclose(draws.mean(axis=0), [1.0, -2.0], atol=5 * np.sqrt(2 / 40_000))
    np.testing.assert_allclose(np.cov(draws.T), covariance, atol=0.06)
    np.testing.assert_array_equal(draws, model.sample(40_000, random_state=0))


@each_kind
def test_moments_of_truncated_samples(kind):
    """Rejection, and coordinate by coordinate, against the half-normal and against rejection by hand."""
    covariance = np.array([[1.0, 0.5], [0.5, 1.0]]) if kind == "full" else np.eye(2)
    options = {"domain": NonNegative(), "weight": MinPower()}
    model = Gaussian.from_params(mean=[0.0, 0.3], covariance=covariance, covariance_type=kind, **options)
    draws = model.sample(40_000, random_state=0)
    assert draws.min() >= 0
    by_hand = np.random.default_rng(1).multivariate_normal([0.0, 0.3], covariance, size=200_000)
    by_hand = by_hand[(by_hand >= 0).all(axis=1)]
    np.testing.assert_allclose(draws.mean(axis=0), by_hand.mean(axis=0), atol=0.02)
    np.testing.assert_allclose(np.cov(draws.T), np.cov(by_hand.T), atol=0.02)


def test_far_outside_of_its_domain():
    """Where rejection keeps nothing it goes on by Gibbs sampling, and says so where exact draws were asked for."""
    options = {"domain": NonNegative(), "weight": MinPower()}
    far = Gaussian.from_params(mean=[-9.0, -9.0], covariance=[[1.0, 0.1], [0.1, 1.0]], **options)
    with pytest.raises(ValueError, match=r"kept 0 of 1\d* draws"):
        far.sample(1, random_state=0, method="exact")
    draws = far.sample(20_000, random_state=0)
    total, first, second = (quad(lambda x, k=k: x**k * marginal_far_out(x), 0, 5)[0] for k in (0, 1, 2))
    mean, variance = first / total, second / total - (first / total) ** 2
    np.testing.assert_allclose(draws.mean(axis=0), mean, atol=5 * np.sqrt(variance / 20_000))
    near = Gaussian.from_params(mean=[-9.0, -9.0], covariance=1.0, covariance_type="diag", **options)
    draws = near.sample(20_000, random_state=0, method="exact")
    np.testing.assert_allclose(draws.mean(axis=0), truncnorm.mean(9, np.inf) - 9, rtol=0.04)
    assert draws.min() >= 0


def marginal_far_out(x):
    """Of a column of the first model there, up to a factor: a normal density times the other's upper tail."""
    conditional = -9 + 0.1 * (x + 9)
    return np.exp(norm.logpdf(x, -9, 1) + norm.logcdf(conditional / np.sqrt(0.99)) + 85)


@pytest.mark.parametrize("count", [0, -1, 1.5, True, "3"])
def test_number_of_samples(count):
    with pytest.raises(ValueError, match="n_samples must be an integer of at least 1"):
        Gaussian.from_params(mean=[0.0], covariance=1.0).sample(count)


def test_no_features_are_refused():
    with pytest.raises(ValueError, match=r"mean must not be empty; got shape \(0,\)"):
        Gaussian.from_params(mean=[], covariance=np.empty((0, 0)))


def test_few_rows_of_weight_among_many_are_singular():
    # The point that sums are taken about lies where most rows are, which have no weight.
    for seed in range(100):
        random = np.random.default_rng(seed)
        X, weight = np.round(random.normal(5.0, 1.0, size=(60, 4)), 1), np.zeros(60)
        weight[random.choice(60, 4, replace=False)] = random.integers(1, 5, size=4)
        with pytest.warns(UserWarning, match="the covariance is singular"):
            model = Gaussian().fit(X, sample_weight=weight)
        assert np.abs(model.precision_).max() < 1e9
