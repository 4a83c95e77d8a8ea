"""Robust fits by Windham's weights: against plain NumPy, known variances, and data with outliers."""

import json
import pickle
import warnings

import numpy as np
import pytest
import scorematch
from scorematch import (
    ICA,
    ExponentialFamily,
    Gaussian,
    GaussianBernoulliRBM,
    GaussianMixture,
    MinPower,
    NonNegative,
    PairwiseInteraction,
    PolynomialExponentialFamily,
    Power,
    ProductOfStudentT,
    RealSpace,
    StudentT,
    TruncatedGaussian,
    VonMisesFisher,
    _exponential_family,
    _windham,
)
from scorematch._registry import families
from sklearn.exceptions import ConvergenceWarning

# -- families, and data from them ---------------------------------------------------------------------------------


def logarithms(x):
    return np.stack([np.log(x).sum(axis=1), -x.sum(axis=1)], axis=1)


def slopes(x):
    return np.stack([1 / x, -np.ones_like(x)], axis=1)


def curvatures(x):
    return np.stack([-1 / x**2, np.zeros_like(x)], axis=1)


def gammas(**options):
    """Independent gammas; θ is their shape less 1, and their rate."""
    return ExponentialFamily(slopes, curvatures, 2, logarithms, domain=NonNegative(), weight=Power(2), **options)


def quartic(random, n):
    """Draws from exp(x² − x⁴/4), by rejection."""
    x = random.uniform(-3.5, 3.5, size=8 * n)
    return x[np.log(random.uniform(size=8 * n)) < x**2 - x**4 / 4 - 1][:n, None]


def positive_normal(random, n):
    X = random.multivariate_normal([1.0, 1.0], np.linalg.inv(PRECISION), size=2 * n)
    return X[(X > 0).all(axis=1)][:n]


def two_clusters(random, n):
    return random.normal(size=(n, 1)) + random.choice([-2.0, 2.0], size=(n, 1))


def sources(random, n):
    return random.logistic(scale=np.sqrt(3) / np.pi, size=(n, 2)) @ MIXING.T


PRECISION = np.array([[1.0, 0.3], [0.3, 1.5]])
MIXING = np.array([[2.0, 1.0], [1.0, 1.0]])
STUDENT = StudentT.from_params(location=[1.0, 0.0], scale=[[1.0, 0.5], [0.5, 1.0]], df=5.0)
DIRECTIONS = VonMisesFisher.from_params(mean_direction=[0.0, 0.6, 0.8], concentration=4.0)
MACHINE = GaussianBernoulliRBM.from_params(
    components=[[3.0, 1.0]], intercept_hidden=[-2.0], intercept_visible=[0.0, 1.0], noise_variance=1.0
)
STUDENT_EXPERTS = ProductOfStudentT.from_params(components=np.linalg.inv(MIXING), exponents=[2.5, 2.5])

# name: the model, what draws from it, and the true θ; None where components come in any order.
CASES = {
    "gaussian": (
        Gaussian,
        lambda random, n: random.multivariate_normal([1.0, 1.0], np.linalg.inv(PRECISION), size=n),
        [1.0, 0.3, 1.5, 1.3, 1.8],
    ),
    "truncated gaussian": (
        lambda **options: Gaussian(domain=NonNegative(), weight=MinPower(), **options),
        positive_normal,
        [1.0, 0.3, 1.5, 1.3, 1.8],
    ),
    "pairwise": (
        lambda **options: TruncatedGaussian(diagonal_multiplier=1.0, **options),
        positive_normal,
        [1.0, 0.3, 1.5, 1.3, 1.8],
    ),
    "polynomial": (lambda **options: PolynomialExponentialFamily(4, **options), quartic, [0.0, 1.0, 0.0, -0.25]),
    "gammas": (gammas, lambda random, n: random.gamma(3.0, 0.5, size=(n, 1)), [2.0, 2.0]),
    "sphere": (VonMisesFisher, lambda random, n: DIRECTIONS.sample(n, random), DIRECTIONS.theta_),
    "mean direction": (
        lambda **options: VonMisesFisher("mean", **options),
        lambda random, n: DIRECTIONS.sample(n, random),
        DIRECTIONS.theta_,
    ),
    "student t": (
        StudentT,
        lambda random, n: STUDENT.sample(n, random),
        [*STUDENT.theta_, np.log(5.0)],
    ),
    "mixture": (lambda **options: GaussianMixture(2, random_state=0, **options), two_clusters, None),
    "ica": (lambda **options: ICA(nonlinearity="logistic", random_state=0, **options), sources, None),
    "experts": (
        lambda **options: ProductOfStudentT(random_state=0, **options),
        lambda random, n: STUDENT_EXPERTS.sample(n, random),
        None,
    ),
    "machine": (
        lambda **options: GaussianBernoulliRBM(1, random_state=0, **options),
        lambda random, n: MACHINE.sample(n, random),
        None,
    ),
}
each_case = pytest.mark.parametrize("name", CASES)
# Those that the library draws.
SAMPLED = ("sphere", "mean direction", "student t", "experts", "machine")


def drawn(name, n, seed=0):
    return CASES[name][1](np.random.RandomState(seed) if name in SAMPLED else np.random.default_rng(seed), n)


def distance_from_truth(name, model, errors):
    """The largest error of an estimate, in standard errors that are given."""
    truth, estimate = CASES[name][2], model.theta_
    if name == "mixture":
        order = np.argsort(model.means_[:, 0])
        estimate, errors = model.means_[order].ravel(), errors[1:3][order]
        truth = [-2.0, 2.0]
    elif truth is None:
        truth = {"ica": np.linalg.inv(MIXING), "experts": np.linalg.inv(MIXING), "machine": MACHINE.components_}[name]
        size = truth.size
        estimate, errors = model.components_, errors[:size].reshape(truth.shape)
        if name == "machine" and estimate[0, 0] < 0:  # the hidden unit is 0 where the other is 1
            estimate = -estimate
        if name != "machine":  # the order that fits, with its signs
            product = estimate @ np.linalg.inv(truth)
            order = np.argmax(np.abs(product), axis=0)
            signs = np.sign(product[order, np.arange(len(order))])
            estimate, errors = estimate[order] * signs[:, None], errors[order]
        estimate, errors, truth = estimate.ravel(), errors.ravel(), truth.ravel()
    return float(np.max(np.abs(estimate - truth) / errors))


# -- what they are ------------------------------------------------------------------------------------------------


def test_every_family_has_the_option():
    for family in families():
        assert "robust" in family._get_param_names(), family


@each_case
def test_clean_data_give_the_truth(name):
    X = drawn(name, 8000)
    model = CASES[name][0](robust=0.2).fit(X)
    assert model.converged_
    assert model.n_reweightings_ < 30
    assert model.robust_weights_.shape == (len(X),)
    np.testing.assert_allclose(model.robust_weights_.mean(), 1)
    assert distance_from_truth(name, model, model.standard_errors_) < 4


@each_case
def test_it_is_a_fixed_point(name):
    """The gradient of the raised objective under the density's own weights vanishes, by differences of its terms."""
    exponent = 0.2
    X = drawn(name, 3000)
    model = CASES[name][0](robust=exponent).fit(X)
    log_density = model.unnormalized_log_density(X)
    weights = np.exp(exponent * (log_density - log_density.max()))
    np.testing.assert_allclose(model.robust_weights_, weights / weights.mean(), rtol=1e-3, atol=1e-6)

    def objective(theta):
        norm_term, hessian_term = model._at(theta).score_matching_terms(X)
        return np.average((1 + exponent) * norm_term + hessian_term, weights=weights)

    assert model.objective_ == pytest.approx(objective(model.theta_), rel=1e-3)
    if name in ("mean direction", "ica", "experts"):
        return  # which minimise something else, the objective along the mean or of whitened data
    step = 1e-4
    slope = [objective(model.theta_ + one) - objective(model.theta_ - one) for one in step * np.eye(len(model.theta_))]
    curvature = [
        objective(model.theta_ + one) + objective(model.theta_ - one) - 2 * objective(model.theta_)
        for one in step * np.eye(len(model.theta_))
    ]
    # By how much θ is off, in standard errors or so.
    off = np.array(slope) / (2 * step) / (np.array(curvature) / step**2)
    assert np.abs(off).max() < 1e-2 * np.nanmax(model.standard_errors_)


@pytest.mark.parametrize("name", ["gaussian", "truncated gaussian", "pairwise", "polynomial", "gammas", "sphere"])
def test_a_small_exponent_is_the_plain_fit(name):
    X = drawn(name, 1000)
    make = CASES[name][0]
    np.testing.assert_allclose(make(robust=1e-9).fit(X).theta_, make().fit(X).theta_, rtol=1e-6, atol=1e-6)


def test_against_plain_numpy(level, dtype):
    random = np.random.default_rng(3)
    X = random.normal([1.0, -1.0], [1.0, 2.0], size=(400, 2))
    X[:20] = [30.0, 0.0]
    X = X.astype(dtype)
    exponent = 0.5
    model = Gaussian(robust=exponent).fit(X)
    mean, covariance = np.median(X, axis=0), np.diag(np.var(X[20:], axis=0))
    for _ in range(200):
        y = X.astype(float) - mean
        weights = np.exp(-exponent / 2 * np.einsum("ni,ij,nj->n", y, np.linalg.inv(covariance), y))
        mean = weights @ X / weights.sum()
        y = X - mean
        covariance = (1 + exponent) * (weights[:, None] * y).T @ y / weights.sum()
    tolerance = 1e-7 if dtype == np.float64 else 1e-3
    np.testing.assert_allclose(model.mean_, mean, rtol=tolerance)
    np.testing.assert_allclose(model.covariance_, covariance, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(model.robust_weights_, weights / weights.mean(), rtol=100 * tolerance, atol=tolerance)


# -- outliers -----------------------------------------------------------------------------------------------------

ON_SPHERE = ("sphere", "mean direction")
HEAVY_TAILED = ("student t", "experts")  # far rows are no outliers, unless they are very far
POSITIVE = ("truncated gaussian", "pairwise", "gammas")


def spoilt(name, X, share):
    """The data with outliers, and which rows these are."""
    random = np.random.default_rng(1)
    rows = np.arange(0, len(X), round(1 / share))
    shape = (len(rows), X.shape[1])
    X = X.copy()
    if name in ON_SPHERE:
        X[rows] = -DIRECTIONS.mean_direction_
        return X, rows
    far = random.uniform(30, 60, size=shape) * (100 if name in HEAVY_TAILED else 1)
    X[rows] = far if name in POSITIVE else far * random.choice([-1, 1], size=shape)
    return X, rows


@pytest.mark.parametrize(
    ("name", "share"), [*((name, 0.1) for name in CASES), ("gaussian", 0.05), ("polynomial", 0.05)]
)
def test_outliers_hardly_count(name, share):
    X, rows = spoilt(name, drawn(name, 2000), share)
    make = CASES[name][0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that a polynomial fitted to all of it is no density, ...
        plain = make().fit(X)
    robust = make(robust=0.5 if name in ON_SPHERE else 0.3).fit(X)
    assert robust.converged_
    errors = robust.standard_errors_
    far, near = (distance_from_truth(name, model, errors) for model in (plain, robust))
    assert near < 3.5
    assert far > 2 * near or name == "student t"  # which is robust by itself
    assert robust.robust_weights_[rows].max() < (0.1 if name in ON_SPHERE or name in HEAVY_TAILED else 1e-6)


def test_a_cluster_of_its_own_is_no_outlier():
    random = np.random.default_rng(0)
    X = random.normal(size=(2000, 1)) + np.where(random.uniform(size=(2000, 1)) < 0.8, 6.0, -6.0)
    X[::40] = random.uniform(100, 1000, size=(50, 1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that slopes do not tell the weights of clusters so far apart
        model = GaussianMixture(2, robust=0.2, random_state=0).fit(X)
    np.testing.assert_allclose(np.sort(model.means_.ravel()), [-6, 6], atol=0.3)
    np.testing.assert_allclose(model.covariances_.ravel(), 1, atol=0.3)


def test_influence_is_bounded():
    X = np.random.default_rng(0).normal(size=(1000, 1))
    points = np.array([[1.0], [10.0], [100.0], [1e4]])
    plain, robust = (Gaussian(robust=c).fit(X).influence(points) for c in (0.0, 0.3))
    assert np.abs(plain[3]).max() > 1e3 * np.abs(plain[1]).max()
    assert np.abs(robust[1:]).max() < 1e-3 * np.abs(robust[0]).max()
    # And it says what comes of leaving a row out.
    model = Gaussian(robust=0.3).fit(X)
    without = Gaussian(robust=0.3).fit(X[1:])
    np.testing.assert_allclose(model.theta_ - without.theta_, model.influence(X[:1])[0], rtol=0.02, atol=1e-6)
    far = Gaussian(robust=0.3).fit(np.append(X, [[1e6]], axis=0))
    np.testing.assert_allclose(far.theta_, model.theta_, rtol=1e-6, atol=1e-6)
    assert far.robust_weights_[-1] == 0


# -- precision ----------------------------------------------------------------------------------------------------


def test_standard_errors_of_a_normal_mean(level):
    """(1 + c²/(1 + 2c))^(d/2 + 1) times the variance of the plain mean (Basu, Harris, Hjort and Jones 1998, d = 1)."""
    X = np.random.default_rng(0).normal(size=(200_000, 2)) * [1.0, 3.0]
    c = 0.4
    variance = Gaussian(robust=c).fit(X).covariance(of="mean")
    expected = (1 + c**2 / (1 + 2 * c)) ** 2 * np.array([1.0, 9.0])
    np.testing.assert_allclose(np.diagonal(variance) * len(X), expected, rtol=0.02)


@pytest.mark.parametrize("name", ["gammas", "mean direction"])
def test_standard_errors_against_simulations(name):
    make, exponent, n = CASES[name][0], 0.4, 400
    fits = [make(robust=exponent).fit(drawn(name, n, seed)) for seed in range(200)]
    spread = np.std([model.theta_ for model in fits], axis=0)
    told = np.median([model.standard_errors_ for model in fits[:30]], axis=0)
    # The standard deviation of 200 draws is off by 5 %; errors that take the weights as given by 30 %.
    np.testing.assert_allclose(told, spread, rtol=0.15)


def test_standard_errors_under_a_penalty():
    X, random = drawn("gammas", 500), np.random.default_rng(0)
    fits = [gammas(robust=0.3, ridge=0.1).fit(X[random.integers(500, size=500)]) for _ in range(120)]
    errors = gammas(robust=0.3, ridge=0.1).fit(X).standard_errors_
    np.testing.assert_allclose(errors, np.std([model.theta_ for model in fits], axis=0), rtol=0.2)


# -- options ------------------------------------------------------------------------------------------------------


def test_sample_weight_multiplies():
    X, _ = spoilt("gaussian", drawn("gaussian", 500), 0.1)
    weight = np.random.default_rng(0).integers(0, 3, size=len(X))
    weighted = Gaussian(robust=0.3).fit(X, sample_weight=weight)
    repeated = Gaussian(robust=0.3).fit(np.repeat(X, weight, axis=0))
    np.testing.assert_allclose(weighted.theta_, repeated.theta_, rtol=1e-7, atol=1e-7)
    np.testing.assert_allclose(
        np.repeat(weighted.robust_weights_, weight), repeated.robust_weights_, rtol=1e-6, atol=1e-9
    )
    np.testing.assert_allclose(weighted.robust_weights_ @ weight, weight.sum())


def test_rows_of_weight_zero_are_left_out():
    X = drawn("gammas", 300)
    weight = np.append(np.ones(300), np.zeros(500))  # most of all rows, far away
    model = gammas(robust=0.3).fit(np.append(X, np.full((500, 1), 1e3), axis=0), sample_weight=weight)
    np.testing.assert_allclose(model.theta_, gammas(robust=0.3).fit(X).theta_, rtol=1e-8)


@pytest.mark.parametrize("options", [{"ridge": 0.1}, {"alpha": 0.3}, {"alpha": [0.0, 0.5], "ridge": 0.05}])
def test_penalties(options):
    """θ minimises the objective of the weighted rows, norm term times 1 + c, with the penalties added."""
    exponent, X = 0.4, drawn("gammas", 1000)
    model = gammas(robust=exponent, **options).fit(X)
    weights = np.exp(exponent * model.unnormalized_log_density(X))
    gamma, g = gammas().quadratic_form(X, sample_weight=weights)
    slope = (1 + exponent) * gamma @ model.theta_ - g + options.get("ridge", 0) * model.theta_
    np.testing.assert_allclose(slope, -np.broadcast_to(options.get("alpha", 0), 2) * np.sign(model.theta_), atol=1e-6)


@pytest.mark.parametrize(
    "options",
    [
        {"alpha": 0.05, "diagonal_multiplier": 1.3},
        {"alpha": 0.05, "scale": "norm"},
        {"scale": "sd", "weight": None, "diagonal_multiplier": 1.0},
        {"combine": "and", "alpha": 0.02},
        {"a": 0.5, "b": 0.0},
        {"domain": RealSpace()},
    ],
    ids=str,
)
def test_pairwise_options(options):
    X = drawn("pairwise", 3000)
    X[::20] = np.random.default_rng(0).uniform(50, 100, size=X[::20].shape)
    clean = np.delete(X, np.arange(0, len(X), 20), axis=0)
    # The default weight has caps that are quantiles of all rows.
    options = {"weight": None if "domain" in options else MinPower(), "robust": 0.3, **options}
    model, without = (PairwiseInteraction(**options).fit(rows) for rows in (X, clean))
    # The multiplier knows of the number of rows, and a scale takes in those that are not far.
    np.testing.assert_allclose(model.theta_, without.theta_, rtol=0.05, atol=0.03)
    assert model.robust_weights_[::20].max() < 1e-6
    # The weights are those of the model on the data's own scale.
    weights = np.exp(0.3 * model.unnormalized_log_density(X))
    np.testing.assert_allclose(model.robust_weights_, weights / weights.mean(), rtol=1e-5, atol=1e-9)
    assert np.isfinite(model.standard_errors_[model.theta_ != 0]).all()


def test_rows_without_a_direction():
    X = drawn("sphere", 200)
    with_zeros = np.insert(X, 100, 0.0, axis=0)
    with pytest.warns(UserWarning, match="all zeros"):
        model = VonMisesFisher(normalize=True, robust=0.3).fit(with_zeros)
    expected = VonMisesFisher(robust=0.3).fit(X)
    np.testing.assert_allclose(model.theta_, expected.theta_, rtol=1e-9)
    np.testing.assert_allclose(model.robust_weights_, np.insert(expected.robust_weights_, 100, 0.0), rtol=1e-7)


def test_functions_are_called_once(monkeypatch):
    X, calls = drawn("gammas", 1000), []

    def counting(function):
        def counted(x):
            calls.append(len(x))
            return function(x)

        return counted

    functions = [counting(function) for function in (slopes, curvatures)]
    options = {"domain": NonNegative(), "weight": Power(2), "robust": 0.3, "block_size": 300}
    model = ExponentialFamily(*functions, 2, counting(logarithms), **options).fit(X)
    assert sorted(calls) == [100] * 3 + [300] * 9
    np.testing.assert_allclose(model.theta_, gammas(robust=0.3).fit(X).theta_, rtol=1e-9)
    # Where there is no room for all, some are called again, for the same result.
    monkeypatch.setattr(_exponential_family, "MOST_KEPT_NUMBERS", 2500)
    calls.clear()
    again = ExponentialFamily(*functions, 2, counting(logarithms), **options).fit(X)
    assert len(calls) > 12
    np.testing.assert_array_equal(again.theta_, model.theta_)


def test_a_function_may_fill_the_same_array():
    X, filled = drawn("gammas", 1000), {}

    def filling(function):
        def into_one(x):
            values = function(x)
            filled.setdefault((function, values.shape), np.empty_like(values))[:] = values
            return filled[function, values.shape]

        return into_one

    functions = [filling(function) for function in (slopes, curvatures)]
    model = ExponentialFamily(
        *functions, 2, filling(logarithms), domain=NonNegative(), weight=Power(2), robust=0.3, block_size=250
    )
    np.testing.assert_allclose(model.fit(X).theta_, gammas(robust=0.3).fit(X).theta_, rtol=1e-9)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda X: Gaussian(robust=-0.1).fit(X), "robust must be a finite number of at least 0.0; got -0.1"),
        (lambda X: StudentT(robust=np.inf).fit(X), "robust must be a finite number"),
        (lambda X: Gaussian(robust=0.1).partial_fit(X), "partial_fit does not go with robust=0.1.*all are needed"),
        (lambda X: ICA(robust=0.1, batch_size=10).fit(X), "robust weighs rows.*leave batch_size=None"),
        (lambda X: ICA(robust=0.1, orthogonal=True).fit(X), "orthogonal=True does not go with robust"),
        (
            lambda X: ExponentialFamily(slopes, curvatures, 2, domain=NonNegative(), robust=0.1).fit(np.abs(X)),
            "robust=0.1 weights rows by their density.*pass statistic",
        ),
    ],
)
def test_what_does_not_go(make, message):
    X = np.random.default_rng(0).normal(size=(100, 2))
    with pytest.raises(ValueError, match=message):
        make(X)


def test_too_large_an_exponent():
    """Weights run together on a single row of the sphere, where concentrations end."""
    X = drawn("truncated gaussian", 200)
    model = CASES["truncated gaussian"][0](robust=50.0)
    with pytest.raises(ValueError, match=r"the fit under the weights that robust=50 gives.*of about .* of 200 rows"):
        model.fit(X)
    assert not hasattr(model, "theta_")
    assert not hasattr(model, "_power") or model._power == 1


def test_a_fit_that_does_not_settle_says_so(monkeypatch):
    X, _ = spoilt("gaussian", drawn("gaussian", 300), 0.1)
    model = Gaussian(robust=0.5)
    monkeypatch.setattr(_windham, "MOST_REWEIGHTINGS", 2)
    with pytest.warns(ConvergenceWarning, match=r"Gaussian with robust=0.5 did not converge: after 2 reweightings"):
        model.fit(X)
    assert not model.converged_
    assert model.n_reweightings_ == 2


def test_warnings_are_those_of_the_last_fit():
    X = np.random.default_rng(0).normal(size=(300, 2))
    with pytest.warns(UserWarning, match="covariance is singular") as caught:
        Gaussian(robust=0.1).fit(np.column_stack([X, X[:, 0]]))
    assert len(caught) == 1
    assert caught[0].filename == __file__


def test_afterwards_the_model_is_an_ordinary_one(tmp_path):
    X, _ = spoilt("truncated gaussian", drawn("truncated gaussian", 1000), 0.1)
    robust = CASES["truncated gaussian"][0](robust=0.3).fit(X)
    same = Gaussian.from_params(
        mean=robust.mean_, precision=robust.precision_, domain=NonNegative(), weight=robust.weight_
    )
    np.testing.assert_allclose(robust.hyvarinen_score(X), same.hyvarinen_score(X), rtol=1e-8)
    np.testing.assert_allclose(
        robust.loss_and_grad(robust.theta_, X)[0], same.loss_and_grad(same.theta_, X)[0], rtol=1e-8
    )
    scorematch.save_model(robust, tmp_path / "model.json")
    for copy in (scorematch.load_model(tmp_path / "model.json"), pickle.loads(pickle.dumps(robust))):
        assert copy.robust == 0.3
        assert copy.n_reweightings_ == robust.n_reweightings_
        np.testing.assert_array_equal(copy.theta_, robust.theta_)
        np.testing.assert_allclose(copy.covariance(X=X), robust.covariance(), rtol=1e-8)
    robust.set_params(robust=0.0).fit(drawn("truncated gaussian", 1000))
    assert not hasattr(robust, "robust_weights_")
    assert not hasattr(robust, "n_reweightings_")


def test_command_line(tmp_path, capsys):
    from scorematch.__main__ import main

    X, _ = spoilt("gaussian", drawn("gaussian", 300), 0.1)
    np.save(tmp_path / "data.npy", X)
    assert main(["fit", str(tmp_path / "data.npy"), "--model", "gaussian", "--robust", "0.3", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    np.testing.assert_allclose(told["params"]["mean"], Gaussian(robust=0.3).fit(X).mean_)
    assert main(["fit", str(tmp_path / "data.npy"), "--model", "gaussian", "--robust", "0.3"]) == 0
    assert "reweightings; 30 of 300 rows have a weight below 1 % of the mean" in capsys.readouterr().out
