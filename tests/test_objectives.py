"""Objectives that are not exact, as estimators have them: fits, closed forms, inference, and what is settled once.

That the compiled objectives follow their definitions is tested in `test_objectives_core.py`.
"""

import pickle
import warnings

import numpy as np
import pytest
import scorematch
from cases import FEW_EXAMPLES
from scipy.linalg import solve_continuous_lyapunov
from scorematch import (
    ICA,
    BoundaryDistance,
    Box,
    ExponentialFamily,
    Gaussian,
    GaussianMixture,
    MinPower,
    NonNegative,
    PairwiseInteraction,
    Polygon,
    PolynomialExponentialFamily,
    RealSpace,
    Simplex,
    StudentT,
    TruncatedGaussian,
    VonMisesFisher,
    _estimating,
    _field,
    _gaussian,
    _gradient_form,
)
from scorematch.__main__ import main
from scorematch._objectives import objective_of, random_vectors
from scorematch.weights import Tanh
from sklearn.exceptions import ConvergenceWarning

pytestmark = pytest.mark.filterwarnings("ignore:the polynomial is no log density:UserWarning")

SLICED = {"objective": "sliced"}
SLICED_PLAIN = {"objective": "sliced", "variance_reduction": False, "n_projections": 2, "projection": "sphere"}
DENOISING = {"objective": "denoising", "noise_scale": [0.2, 0.5]}
DENOISING_PLAIN = {"objective": "denoising", "noise_scale": 0.4, "variance_reduction": False, "n_projections": 2}
DIFFERENCES = {"objective": "finite_difference", "projection": "gaussian"}
ALL = {
    "sliced": SLICED,
    "sliced-plain": SLICED_PLAIN,
    "denoising": DENOISING,
    "denoising-plain": DENOISING_PLAIN,
    "finite-difference": DIFFERENCES,
}
each_objective = pytest.mark.parametrize("options", ALL.values(), ids=ALL)

MIXING = np.array([[1.0, 0.4, 0.0], [0.0, 1.2, -0.3], [0.5, 0.0, 0.8]])


def rows(n, seed=0):
    return np.random.default_rng(seed).normal(size=(n, 3)) @ MIXING + [0.5, -1.0, 2.0]


def second_moments(X):
    return np.cov(X.T, bias=True)


# -- Every family -------------------------------------------------------------------------------------------------


def in_space(example):
    orthant = issubclass(example.constructor, PairwiseInteraction)  # where it is not told
    return example.domain is None and not example.on_sphere and not orthant


SENSIBLE = [
    pytest.param(example, options, id=f"{example.name}-{name}")
    for example in FEW_EXAMPLES
    for name, options in ALL.items()
    if options["objective"] == "sliced" or in_space(example)
]


@pytest.mark.parametrize(("example", "options"), SENSIBLE)
def test_gradients(example, options):
    model = example.model(n_jobs=2, random_state=5, **options)
    X = example.data(33, seed=2)
    weight = np.random.default_rng(1).uniform(0.5, 1.5, len(X))
    theta = model.theta_ * (1 + 0.03 * np.random.default_rng(2).normal(size=len(model.theta_)))
    value, slope = model.loss_and_grad(theta, X, weight)
    along = np.random.default_rng(3).normal(size=len(theta)) * np.maximum(np.abs(theta), 0.1)
    step = 1e-4
    coarse, fine = (
        (model.loss_and_grad(theta + h * along, X, weight)[0] - model.loss_and_grad(theta - h * along, X, weight)[0])
        / (2 * h)
        for h in (step, step / 2)
    )
    want = (4 * fine - coarse) / 3
    size = np.abs(slope * along).sum()
    assert abs(slope @ along - want) <= 1e-6 * size + 1e-9 * abs(value) / step
    gradients = model.loss_gradients(X, theta)
    np.testing.assert_allclose(np.average(gradients, axis=0, weights=weight), slope, atol=1e-10 * np.abs(slope).max())
    # The density itself has no objective.
    exact = example.model(n_jobs=2)
    assert np.array_equal(model.score_function(X), exact.score_function(X))
    assert np.array_equal(model.hyvarinen_score(X), exact.hyvarinen_score(X))
    assert model.score(X) == exact.score(X)


def case(name):
    return next(example for example in FEW_EXAMPLES if example.name == name)


@pytest.mark.parametrize("options", [SLICED, DENOISING, DIFFERENCES], ids=["sliced", "denoising", "finite-difference"])
@pytest.mark.parametrize(
    "name",
    ["gaussian-mixture-diag", "student-t-estimated", "ica-logcosh", "product-of-student-t", "gaussian-bernoulli-rbm"],
)
def test_iterative_families_fit(name, options):
    example = case(name)
    X = example.data(150, seed=3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = example.unfitted(n_jobs=1, **options).set_params(max_iter=15, random_state=0).fit(X)
    assert model.loss_and_grad(model.theta_, X)[0] == pytest.approx(model.objective_, rel=1e-9)
    if options["objective"] == "sliced" and not getattr(model, "whiten", False):
        # The start of a descent is no better than its end.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            begun = example.unfitted(n_jobs=1, **options).set_params(max_iter=1, random_state=0).fit(X)
        assert model.objective_ < begun.objective_ + 1e-9 * abs(begun.objective_)


def test_a_mixture_is_recovered():
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(-2, 0.7, (3000, 1)), rng.normal(2, 1.0, (2000, 1))])
    for options, tolerance in ((SLICED, 0.1), ({"objective": "finite_difference", "difference_step": 0.01}, 0.35)):
        model = GaussianMixture(2, random_state=0, n_init=1, **options).fit(X)
        order = np.argsort(model.means_[:, 0])
        np.testing.assert_allclose(model.means_[order, 0], [-2, 2], atol=tolerance)
        np.testing.assert_allclose(model.covariances_[order].ravel(), [0.49, 1.0], atol=2 * tolerance)
        assert np.abs(model.loss_and_grad(model.theta_, X)[1]).max() < 1e-4
    # Of one column, v² = 1: sliced and exact are the same.
    exact = GaussianMixture(2, random_state=0, n_init=1).fit(X)
    sliced = GaussianMixture(2, random_state=0, n_init=1, **SLICED).fit(X)
    np.testing.assert_allclose(sliced.theta_, exact.theta_, atol=1e-5)
    # Data plus noise, as denoising sees them, have a variance that is larger by that of the noise.
    noisy = GaussianMixture(2, random_state=0, n_init=1, objective="denoising", noise_scale=0.5, n_projections=5).fit(X)
    order = np.argsort(noisy.means_[:, 0])
    np.testing.assert_allclose(noisy.covariances_[order].ravel(), [0.74, 1.25], atol=0.2)


def test_student_t_by_denoising_is_near_the_exact_fit_for_little_noise():
    X = StudentT.from_params(location=[0.0, 1.0], scale=np.eye(2), df=5.0).sample(3000, random_state=1)
    exact = StudentT(df=5).fit(X)
    model = StudentT(df=5, objective="denoising", noise_scale=0.02, n_projections=20, random_state=0).fit(X)
    np.testing.assert_allclose(model.scale_, exact.scale_, atol=0.05)
    np.testing.assert_allclose(model.location_, exact.location_, atol=0.05)


# -- The Gaussian -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("covariance_type", ["full", "diag", "spherical"])
@each_objective
def test_gaussian_is_at_the_minimum(options, covariance_type, level):
    X, weight = rows(300), np.random.default_rng(1).uniform(0, 2, 300)
    model = Gaussian(covariance_type, random_state=1, **options).fit(X, sample_weight=weight)
    value, slope = model.loss_and_grad(model.theta_, X, weight)
    assert value == pytest.approx(model.objective_, rel=1e-12)
    assert np.abs(slope).max() < 1e-10
    form = model.quadratic_form(X, weight)
    constant = model.loss_and_grad(np.zeros_like(model.theta_), X, weight)[0]
    theta = np.linspace(-1, 1, len(model.theta_))
    expected, slope = model.loss_and_grad(theta, X, weight)
    assert theta @ form.gamma @ theta / 2 - form.g @ theta + constant == pytest.approx(expected, rel=1e-10)
    np.testing.assert_allclose(form.gamma @ theta - form.g, slope, atol=1e-10 * np.abs(form.gamma).max())


def test_sliced_tends_to_exact():
    X = rows(100)
    exact = Gaussian().fit(X)
    for projection in ("rademacher", "gaussian", "sphere"):
        for variance_reduction in (True, False):
            model = Gaussian(
                n_projections=4000,
                projection=projection,
                variance_reduction=variance_reduction,
                random_state=0,
                **SLICED,
            ).fit(X)
            # 400 000 vectors: the entries of a mean of vvᵀ have errors of 1.4/√400 000 = 0.0022 at most, and those of
            # (vᵀψ)² about twice that.
            relative = np.linalg.cholesky(exact.covariance_)
            apart = np.linalg.inv(relative) @ (model.covariance_ - exact.covariance_) @ np.linalg.inv(relative.T)
            assert np.abs(apart).max() < (0.012 if variance_reduction else 0.03)


def test_sliced_gaussian_solves_its_lyapunov_equation():
    X = rows(400)
    model = Gaussian(random_state=0, **SLICED).fit(X)
    v = random_vectors(objective_of(model), model.noise_seed_, 400, 3)[:, 0]
    V = v.T @ v / 400
    np.testing.assert_allclose(model.precision_, solve_continuous_lyapunov(second_moments(X), 2 * V), rtol=1e-9)
    np.testing.assert_allclose(model.mean_, X.mean(axis=0), rtol=1e-12)


def test_denoising_gaussian_is_the_regression_on_its_noisy_points():
    X, sigma = rows(400), 0.4
    model = Gaussian(objective="denoising", noise_scale=sigma, variance_reduction=False, random_state=0).fit(X)
    z = random_vectors(objective_of(model), model.noise_seed_, 400, 3)[:, 0]
    noisy = X + sigma * z
    S = second_moments(noisy)
    C = (z - z.mean(axis=0)).T @ (noisy - noisy.mean(axis=0)) / 400 / sigma
    np.testing.assert_allclose(model.precision_, solve_continuous_lyapunov(S, C + C.T), rtol=1e-8)


@pytest.mark.parametrize("variance_reduction", [True, False])
def test_denoising_gaussian_fits_data_plus_noise(variance_reduction):
    n, m, sigma = 2000, 50, 0.7
    X = rows(n)
    model = Gaussian(
        objective="denoising",
        noise_scale=sigma,
        n_projections=m,
        variance_reduction=variance_reduction,
        random_state=0,
    ).fit(X)
    want = second_moments(X) + sigma**2 * np.eye(3)
    # Over 100 000 noisy points, an entry of P has an error of about σ⁻²·√(2/100 000) in units of the noise.
    error = sigma**-2 * np.sqrt(2 / (n * m)) * np.abs(want).max() ** 2
    assert np.abs(model.covariance_ - want).max() < 5 * error


def test_denoising_of_little_noise_is_sliced():
    X = rows(200)
    sliced = Gaussian(projection="gaussian", random_state=4, **SLICED).fit(X)
    apart = []
    for sigma in (1e-2, 1e-3):
        model = Gaussian(objective="denoising", noise_scale=sigma, random_state=4).fit(X)
        apart.append(np.abs(model.precision_ - sliced.precision_).max())
    assert apart[1] < 0.2 * apart[0] < 0.2 * 0.05
    exact_part = GaussianMixture.from_params(
        weights=[0.4, 0.6], means=[[0, 0, 0], [1, -1, 2]], covariances=[np.eye(3), np.eye(3)], random_state=4, **SLICED
    ).set_params(projection="gaussian")
    value = exact_part.loss_and_grad(exact_part.theta_, X)[0]
    exact_part.set_params(objective="denoising", noise_scale=1e-4)
    assert exact_part.loss_and_grad(exact_part.theta_, X)[0] == pytest.approx(value, abs=2e-3)


@pytest.mark.parametrize("step", [1e-2, 1.0, 30.0])
@pytest.mark.parametrize("projection", ["rademacher", "gaussian", "sphere"])
def test_differences_are_sliced_on_a_quadratic(step, projection):
    X = rows(200)
    options = {"projection": projection, "n_projections": 2, "random_state": 7}
    sliced = Gaussian(objective="sliced", variance_reduction=False, **options).fit(X)
    model = Gaussian(objective="finite_difference", difference_step=step, **options).fit(X)
    # What rounding leaves of second differences.
    tolerance = 1e-12 * (1 + 100 / step**2)
    np.testing.assert_allclose(model.theta_, sliced.theta_, rtol=10 * tolerance, atol=10 * tolerance)
    np.testing.assert_allclose(
        model.loss_and_grad(sliced.theta_, X)[0], sliced.objective_, rtol=tolerance, atol=tolerance
    )


@each_objective
def test_gaussian_far_from_the_origin(options):
    X, shift = rows(500), np.array([1e6, -3e6, 2e5])
    near = Gaussian(random_state=1, **options).fit(X)
    far = Gaussian(random_state=1, **options).fit(X + shift)
    np.testing.assert_allclose(far.covariance_, near.covariance_, atol=1e-8)
    np.testing.assert_allclose(far.mean_, near.mean_ + shift, rtol=1e-15, atol=2e-9)
    assert far.objective_ == pytest.approx(near.objective_, rel=1e-8)


def test_columns_of_very_different_scales():
    scale = np.array([1e-5, 1.0, 1e5])
    near, far = (
        Gaussian("diag", n_projections=3, random_state=1, **SLICED).fit(X) for X in (rows(300), rows(300) * scale)
    )
    np.testing.assert_allclose(far.covariance_, near.covariance_ * np.outer(scale, scale), rtol=1e-9)


@pytest.mark.parametrize("options", [SLICED, SLICED_PLAIN], ids=["sliced", "sliced-plain"])
@pytest.mark.parametrize(
    "setting",
    [
        {"domain": NonNegative(), "weight": MinPower(c=1.0)},
        {"domain": Box(0.0, 30.0), "weight": Tanh(0.5)},
        {"domain": scorematch.Ball(30.0), "weight": BoundaryDistance()},
    ],
    ids=["orthant", "box", "ball"],
)
def test_truncated_gaussian(setting, options):
    X = np.abs(rows(300)) + 0.01
    gaussian = Gaussian(random_state=2, **setting, **options).fit(X)
    assert np.abs(gaussian.loss_and_grad(gaussian.theta_, X)[1]).max() < 1e-9
    pairwise = TruncatedGaussian(diagonal_multiplier=1.0, random_state=2, **setting, **options).fit(X)
    np.testing.assert_allclose(pairwise.interaction_, gaussian.precision_, atol=1e-7)
    assert pairwise.objective_ == pytest.approx(gaussian.objective_, rel=1e-8)


def test_conjugate_gradients_find_what_a_matrix_does(monkeypatch):
    X = rows(400) * [1.0, 30.0, 0.1] + 100
    dense = Gaussian(random_state=0, n_projections=4, **DIFFERENCES).fit(X)
    monkeypatch.setattr(_gradient_form, "MOST_DENSE_PARAMS", 3)
    model = Gaussian(random_state=0, n_projections=4, **DIFFERENCES).fit(X)
    assert model.converged_
    assert model.n_iter_ > 1
    np.testing.assert_allclose(model.covariance_, dense.covariance_, rtol=1e-6)
    monkeypatch.setattr(_gradient_form, "MOST_STEPS", 7)
    with pytest.warns(ConvergenceWarning, match="conjugate gradients did not converge"):
        assert not Gaussian(random_state=0, n_projections=4, **DIFFERENCES).fit(X).converged_


def test_many_columns(monkeypatch):
    X = rows(400) * [1.0, 3.0, 0.1] + 100
    dense = Gaussian(random_state=0, **SLICED).fit(X)
    monkeypatch.setattr(_gaussian, "MOST_DENSE_PARAMS", 3)
    model = Gaussian(random_state=0, **SLICED).fit(X)
    np.testing.assert_allclose(model.theta_, dense.theta_, rtol=1e-10)
    assert model.objective_ == pytest.approx(dense.objective_, rel=1e-12)
    with pytest.raises(ValueError, match="nearly linearly dependent, or on very different scales"):
        Gaussian(random_state=0, **SLICED).fit(rows(400) * [1.0, 1e-5, 1e5])


@pytest.mark.parametrize(
    ("covariance_type", "X"),
    [
        ("full", rows(3) + 50),
        ("full", np.column_stack([rows(40)[:, :2], np.full(40, 7.0)])),
        ("diag", np.column_stack([rows(40)[:, :2], np.full(40, 7.0)])),
    ],
    ids=["few rows", "constant column", "constant column, diag"],
)
def test_sliced_on_the_span_of_the_data(covariance_type, X):
    with pytest.warns(UserWarning, match="precision_ is that on the span of the data"):
        exact = Gaussian(covariance_type).fit(X)
    with pytest.warns(UserWarning, match="precision_ is that on the span of the data") as warned:
        model = Gaussian(covariance_type, n_projections=20_000, random_state=0, **SLICED).fit(X)
    assert len(warned) == 1
    np.testing.assert_allclose(model.mean_, exact.mean_, rtol=1e-12)
    np.testing.assert_allclose(model.precision_, exact.precision_, atol=0.03 * np.abs(exact.precision_).max())


@pytest.mark.parametrize("options", [DIFFERENCES, SLICED_PLAIN])
@pytest.mark.parametrize("most", [2000, 3])
def test_small_units_lose_no_digits(options, most, monkeypatch):
    monkeypatch.setattr(_gradient_form, "MOST_DENSE_PARAMS", most)
    options = {**options, "n_projections": 4, "random_state": 0}
    near, tiny = (Gaussian(**options).fit(rows(300) * s) for s in (1.0, 1e-8))
    np.testing.assert_allclose(tiny.covariance_, near.covariance_ * 1e-16, rtol=1e-11 if most > 3 else 1e-7)


@pytest.mark.parametrize("options", [{}, SLICED, DENOISING], ids=["exact", "sliced", "denoising"])
def test_rows_of_weight_0_count_for_nothing(options):
    X = np.append(rows(300), [[1e9, 0.0, 0.0]], axis=0)
    model = Gaussian(random_state=0, **options).fit(X, sample_weight=np.append(np.ones(300), 0))
    np.testing.assert_allclose(model.theta_, Gaussian(random_state=0, **options).fit(X[:300]).theta_, atol=1e-12)


def test_too_few_rows_are_an_error():
    with pytest.raises(ValueError, match=r"objective='sliced' from 3 rows.*objective='exact'"):
        Gaussian(random_state=0, **SLICED_PLAIN).fit(rows(3))
    X = np.random.default_rng(0).normal(size=(4, 8))[1:, :5]
    with pytest.raises(ValueError, match="objective='finite_difference' from 3 rows"):  # singular, but for rounding
        Gaussian("diag", objective="finite_difference", n_projections=4, random_state=0).fit(X)


@pytest.mark.parametrize(
    ("options", "scale", "dtype", "message"),
    [
        (DIFFERENCES | {"difference_step": 1e-8}, 1.0, "f8", "difference_step=1e-08 is too small beside column"),
        (DIFFERENCES | {"difference_step": 1e-3}, 1.0, "f4", "in float32 rounding"),
        (DIFFERENCES | {"difference_step": None}, [1.0, 1e8, 1.0], "f8", "beside column 1, .* the same scale"),
        (DENOISING | {"noise_scale": [1.0, 1e-15]}, 1.0, "f8", "noise_scale=1e-15 is too small beside column"),
    ],
)
def test_points_that_rounding_would_move(options, scale, dtype, message):
    with pytest.raises(ValueError, match=message):
        Gaussian(random_state=0, **options).fit((rows(50) * scale).astype(dtype))


# -- Other closed forms -------------------------------------------------------------------------------------------


def gaussian_statistic(x):
    i, j = np.triu_indices(3)
    return np.concatenate([-x[:, i] * x[:, j] * np.where(i == j, 0.5, 1), x], axis=1)


def gaussian_jacobian(x):
    found = np.zeros((len(x), 9, 3))
    for k, (i, j) in enumerate(zip(*np.triu_indices(3), strict=True)):
        found[:, k, i] = -x[:, j]
        found[:, k, j] = -x[:, i]
    found[:, 6:] = np.eye(3)
    return found


def gaussian_hessian(x):
    found = np.zeros((len(x), 9, 3))
    for k, (i, j) in enumerate(zip(*np.triu_indices(3), strict=True)):
        if i == j:
            found[:, k, i] = -1
    return found


ORTHANT = {"domain": NonNegative(), "weight": MinPower(c=1.0)}


@pytest.mark.parametrize(
    ("options", "setting"),
    [
        *(pytest.param(options, {}, id=name) for name, options in ALL.items()),
        pytest.param(SLICED, ORTHANT, id="sliced-orthant"),
        pytest.param(SLICED_PLAIN, ORTHANT, id="sliced-plain-orthant"),
    ],
)
def test_own_statistics_are_as_compiled_ones(options, setting, level):
    X, weight = np.abs(rows(200)) + 0.05, np.random.default_rng(1).uniform(0.2, 2, 200)
    own = ExponentialFamily(
        gaussian_jacobian, gaussian_hessian, 9, gaussian_statistic, block_size=64, random_state=1, **options, **setting
    ).fit(X, sample_weight=weight)
    compiled = Gaussian(random_state=1, **options, **setting).fit(X, sample_weight=weight)
    np.testing.assert_allclose(own.theta_, compiled.theta_, rtol=1e-7, atol=1e-8)
    theta = compiled.theta_ + 0.1
    for mine, theirs in (
        (own.loss_and_grad(theta, X, weight)[0], compiled.loss_and_grad(theta, X, weight)[0]),
        (own.loss_gradients(X, theta), compiled.loss_gradients(X, theta)),
        (own.quadratic_form(X).gamma, compiled.quadratic_form(X).gamma),
        (own.objective_, compiled.objective_),
        (own.standard_errors_, compiled.standard_errors_),
    ):
        np.testing.assert_allclose(mine, theirs, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("weight", [scorematch.Power(2), MinPower(c=1.0)])
def test_own_statistics_next_to_the_boundary(weight):
    X = np.random.default_rng(0).gamma(3.0, 0.5, size=(300, 2))
    X[:2] = [[1e-7, 3.0], [1e-4, 1e-5]]

    def gamma_jacobian(x):
        return np.stack([1 / x, -np.ones_like(x)], axis=1)

    def gamma_hessian(x):
        return np.stack([-1 / x**2, np.zeros_like(x)], axis=1)

    # Statistics that are sums over the columns, and v² = 1: sliced and exact are the same.
    exact, sliced = (
        ExponentialFamily(gamma_jacobian, gamma_hessian, 2, domain=NonNegative(), weight=weight, **options).fit(X)
        for options in ({}, SLICED)
    )
    np.testing.assert_allclose(sliced.theta_, exact.theta_, rtol=1e-8)
    gradients = exact.loss_gradients(X)
    np.testing.assert_allclose(sliced.loss_gradients(X, exact.theta_), gradients, atol=1e-8 * np.abs(gradients).max())


def test_own_statistics_with_penalties_and_without_what_is_not_needed():
    X = rows(300)
    options = {"random_state": 1, "alpha": 0.2, "ridge": 0.01, **SLICED_PLAIN}
    model = ExponentialFamily(gaussian_jacobian, gaussian_hessian, 9, **options).fit(X)
    slope = model.loss_and_grad(model.theta_, X)[1] + 0.01 * model.theta_
    assert (model.theta_ == 0).any()
    np.testing.assert_allclose(slope[model.theta_ != 0], -0.2 * np.sign(model.theta_[model.theta_ != 0]), atol=1e-7)
    assert (np.abs(slope[model.theta_ == 0]) <= 0.2 + 1e-9).all()

    def never(x):
        raise AssertionError

    ExponentialFamily(gaussian_jacobian, never, 9, random_state=0, **DENOISING).fit(X)
    ExponentialFamily(never, never, 9, gaussian_statistic, random_state=0, **DIFFERENCES).fit(X)
    with pytest.raises(ValueError, match="pass statistic"):
        ExponentialFamily(gaussian_jacobian, gaussian_hessian, 9, **DIFFERENCES).fit(X)


@each_objective
def test_polynomials(options):
    shift = np.array([100.0, -3.0])
    X = np.random.default_rng(0).uniform(-1.2, 1.2, size=(500, 2)) + shift
    for ridge in (0.0, 1e-3):
        model = PolynomialExponentialFamily(4, ridge=ridge, random_state=1, **options).fit(X - shift)
        slope = model.loss_and_grad(model.theta_, X - shift)[1] + ridge * model.theta_
        assert np.abs(slope).max() < 1e-8
    quadratic = PolynomialExponentialFamily(2, random_state=1, **options).fit(X)
    gaussian = Gaussian(random_state=1, **options).fit(X)
    np.testing.assert_allclose(-2 * quadratic.coef_[[2, 4]], np.diagonal(gaussian.precision_), rtol=1e-7)
    form = PolynomialExponentialFamily(2, random_state=1, **options).quadratic_form(X[:100] - [100.0, 0.0])
    assert np.linalg.eigvalsh(form.gamma)[0] > 0


@pytest.mark.parametrize("options", [SLICED, SLICED_PLAIN], ids=["sliced", "sliced-plain"])
def test_von_mises_fisher(options):
    X = VonMisesFisher.from_params(mean_direction=[0.0, 0.6, 0.8], concentration=5.0).sample(4000, random_state=0)
    model = VonMisesFisher(random_state=0, **options).fit(X)
    assert np.abs(model.loss_and_grad(model.theta_, X)[1]).max() < 1e-12
    assert abs(model.concentration_ - 5) < 0.5
    exact = VonMisesFisher().fit(X)
    many = VonMisesFisher(random_state=0, **{**options, "n_projections": 100}).fit(X)
    np.testing.assert_allclose(many.theta_, exact.theta_, atol=0.05)
    with pytest.raises(ValueError, match="direction='mean' goes with objective='exact' alone"):
        VonMisesFisher("mean", **options).fit(X)


@each_objective
@pytest.mark.parametrize("extra", [{}, {"alpha": 0.05}, {"alpha": 0.05, "alpha_linear": 0.02}], ids=str)
def test_pairwise_in_space(options, extra):
    X = rows(400)
    model = PairwiseInteraction(domain=RealSpace(), diagonal_multiplier=1.0, random_state=1, **options, **extra).fit(X)
    value, slope = model.loss_and_grad(model.theta_, X)
    assert value == pytest.approx(model.objective_, rel=1e-8)
    penalty = np.zeros(9)
    off = [1, 2, 4]  # K_ij stands for K_ji too
    penalty[off], penalty[6:] = 2 * extra.get("alpha", 0), extra.get("alpha_linear", 0)
    free = model.theta_ != 0
    np.testing.assert_allclose(slope[free], -(penalty * np.sign(model.theta_))[free], atol=1e-6)
    assert (np.abs(slope) <= penalty + 1e-6)[~free].all()
    if not extra:
        gaussian = Gaussian(random_state=1, **options).fit(X)
        np.testing.assert_allclose(model.interaction_, gaussian.precision_, rtol=1e-6, atol=1e-8)
        np.testing.assert_allclose(model.standard_errors_, gaussian.standard_errors_, rtol=1e-6)


@pytest.mark.parametrize("options", [SLICED, SLICED_PLAIN], ids=["sliced", "sliced-plain"])
@pytest.mark.parametrize("scale", [None, "sd"])
def test_pairwise_on_domains(options, scale):
    X = np.random.default_rng(0).gamma(3.0, 0.5, size=(600, 3)) + 0.1
    model = TruncatedGaussian(alpha=0.05, scale=scale, random_state=0, n_projections=3, **SLICED).fit(X)
    assert model.converged_
    assert np.isfinite(model.standard_errors_[model.theta_ != 0]).all()
    zero = PairwiseInteraction(
        0, 0, zero_row_sums=True, fit_linear=False, diagonal_multiplier=1.0, random_state=0, **options
    ).fit(X)
    np.testing.assert_allclose(zero.interaction_.sum(axis=1), 0, atol=1e-10)
    slope = zero.loss_and_grad(zero.theta_, X)[1]
    # Along what keeps rows summing to 0 there is no slope: K_ij takes from K_ii and K_jj.
    inside = [slope[1] - slope[0] - slope[3], slope[2] - slope[0] - slope[5], slope[4] - slope[3] - slope[5]]
    np.testing.assert_allclose(inside, 0, atol=1e-8)
    parts = np.random.default_rng(0).dirichlet([5.0, 6.0, 7.0], 500)[:, :-1]
    simplex = PairwiseInteraction(0, 0, domain=Simplex(), diagonal_multiplier=1.0, random_state=0, **options).fit(parts)
    assert np.abs(simplex.loss_and_grad(simplex.theta_, parts)[1]).max() < 1e-7
    with pytest.raises(ValueError, match="combine='and' estimates columns"):
        TruncatedGaussian(combine="and", **options).fit(X)


def test_pairwise_multiplier_is_that_of_the_exact_form():
    X = rows(400)
    slack = []
    for options in (SLICED, SLICED_PLAIN):
        model = PairwiseInteraction(domain=RealSpace(), diagonal_multiplier=1.3, random_state=1, **options).fit(X)
        exact = PairwiseInteraction(domain=RealSpace()).quadratic_form(X)
        slope = model.loss_and_grad(model.theta_, X)[1]
        own = 0.3 * np.einsum("jaa->ja", exact.blocks)
        i, j = np.triu_indices(3)
        added = np.where(i == j, own[i, j], own[i, j] + own[j, i]) * model.interaction_[i, j]
        slack.append(np.abs(slope - np.append(-added, np.zeros(3))).max())
    assert max(slack) < 1e-8


# -- What is settled once -----------------------------------------------------------------------------------------


def test_random_vectors_are_settled_once():
    X = rows(200)
    one, two = (Gaussian(random_state=3, **SLICED_PLAIN).fit(X) for _ in range(2))
    assert np.array_equal(one.theta_, two.theta_)
    other = Gaussian(random_state=4, **SLICED_PLAIN).fit(X)
    assert not np.array_equal(one.theta_, other.theta_)
    free = Gaussian(**SLICED_PLAIN).fit(X)
    seed = free.noise_seed_
    assert free.loss_and_grad(free.theta_, X) != free.fit(X).loss_and_grad(one.theta_, X)
    assert free.noise_seed_ != seed
    # A model from parameters, at its first use: for every θ and every call the same.
    model = Gaussian.from_params(mean=np.zeros(3), covariance=np.eye(3), **DIFFERENCES)
    theta = model.theta_ + 0.1
    rows_there = model.loss_gradients(X, theta)
    np.testing.assert_allclose(rows_there.mean(axis=0), model.loss_and_grad(theta, X)[1], atol=1e-10)
    assert model.difference_step_ == pytest.approx(0.1 * X.std(axis=0).min())
    given = Gaussian(objective="finite_difference", difference_step=0.3).fit(X)
    assert given.difference_step_ == 0.3
    exact = Gaussian().fit(X)
    assert not hasattr(exact, "noise_seed_")


def test_files_and_pickles_keep_them(tmp_path):
    X = rows(200)
    model = StudentT(df=4, n_projections=10, **DIFFERENCES).fit(X)
    scorematch.save_model(model, tmp_path / "model.json")
    for again in (scorematch.load_model(tmp_path / "model.json"), pickle.loads(pickle.dumps(model))):
        value, slope = again.loss_and_grad(model.theta_, X)
        assert value == model.loss_and_grad(model.theta_, X)[0]
        assert np.array_equal(slope, model.loss_and_grad(model.theta_, X)[1])
    ladder = Gaussian(**DENOISING).fit(X)
    scorematch.save_model(ladder, tmp_path / "ladder.json")
    again = scorematch.load_model(tmp_path / "ladder.json")
    assert again.loss_and_grad(ladder.theta_, X)[0] == ladder.loss_and_grad(ladder.theta_, X)[0]


@each_objective
def test_threads_and_float_types(options):
    X = np.random.default_rng(0).normal(size=(20_000, 3))
    one, two = (Gaussian(random_state=0, n_jobs=n, **options).fit(X) for n in (1, 2))
    assert one.theta_.tobytes() == two.theta_.tobytes()
    single = Gaussian(random_state=0, **{**options, "difference_step": 0.1}).fit(X.astype(np.float32))
    double = Gaussian(random_state=0, **{**options, "difference_step": 0.1}).fit(X.astype(np.float32).astype(float))
    np.testing.assert_allclose(single.covariance_, double.covariance_, atol=2e-3)
    # As few as three rows of a million keep their vectors.
    part = Gaussian(random_state=0, **options).fit(X)
    whole = part.loss_gradients(X)
    np.testing.assert_allclose(part.loss_gradients(X[:7]), whole[:7], rtol=1e-12, atol=1e-12)


def test_diagnostics_take_rows_in_blocks(monkeypatch):
    model = Gaussian(random_state=0, **SLICED_PLAIN).fit(rows(300))
    whole = scorematch.stein_check(model)
    monkeypatch.setattr(_estimating, "BLOCK_NUMBERS", 500)
    np.testing.assert_allclose(scorematch.stein_check(model).standard_errors, whole.standard_errors, rtol=1e-9)


def test_rows_keep_their_vectors_in_blocks(monkeypatch):
    X = np.abs(rows(300)) + 0.05
    settings = (
        {"domain": Box(0.0, 30.0), "weight": Tanh(0.5)},
        {"domain": NonNegative(), "weight": MinPower(c=1.0)},
    )
    for setting in settings:
        wanted = []
        for _ in range(2):
            model = TruncatedGaussian(alpha=0.02, random_state=0, **SLICED, **setting).fit(X)
            gaussian = Gaussian(random_state=0, **SLICED, **setting).fit(X)
            wanted.append([model.covariance(), gaussian.covariance(), [[gaussian.smic(X)]]])
            monkeypatch.setattr(_field, "BLOCK", 70)
            monkeypatch.setattr(_estimating, "BLOCK_NUMBERS", 500)
        monkeypatch.undo()
        for whole, blocks in zip(*wanted, strict=True):
            np.testing.assert_allclose(whole, blocks, rtol=1e-9, atol=1e-14)
    wanted = []
    for _ in range(2):
        model = ICA(random_state=0, max_iter=5, **SLICED)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.fit(rows(300).astype(np.float32))
            wanted.append(model.covariance(X=rows(300).astype(np.float32)))
        monkeypatch.setattr(_estimating, "BLOCK_NUMBERS", 500)
    np.testing.assert_allclose(*wanted, rtol=1e-3)


def test_sandwich_and_bootstrap_count_the_vectors():
    X = rows(800)
    model = Gaussian(random_state=0, **SLICED_PLAIN).fit(X)
    sandwich = model.covariance(of="precision")
    bootstrap = model.covariance("bootstrap", of="precision", X=X, n_resamples=300, random_state=1)
    ratio = np.diagonal(bootstrap)[[0, 4, 8]] / np.diagonal(sandwich)[[0, 4, 8]]
    np.testing.assert_allclose(ratio, 1, atol=0.35)
    # Over other vectors of the same rows, and other rows: that is what the sandwich is of.
    estimates = [Gaussian(random_state=s, **SLICED_PLAIN).fit(rows(800, seed=s)).precision_[0, 0] for s in range(200)]
    assert np.var(estimates) == pytest.approx(sandwich[0, 0], rel=0.35)
    assert np.diagonal(Gaussian().fit(X).covariance(of="precision"))[0] < 0.7 * sandwich[0, 0]


def test_minibatches():
    X = np.random.default_rng(0).laplace(size=(2000, 3)) @ MIXING.T
    for options in (SLICED, DENOISING):
        models = [
            ICA(batch_size=100, max_epochs=25, random_state=0, n_jobs=n, early_stopping=True, **options) for n in (1, 2)
        ]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            one, two = (model.fit(X) for model in models)
            whole = ICA(random_state=0, **options).fit(X)
        assert np.array_equal(one.theta_, two.theta_)
        assert one.objective_ < whole.objective_ + 0.02 * abs(whole.objective_)


def test_held_out_rows_of_a_tabulated_field():
    X = np.abs(rows(300)) + 0.1
    model = scorematch.ProductOfStudentT(
        whiten=False, domain=Box(0.0, 60.0), weight=Tanh(0.5), batch_size=50, early_stopping=True, max_epochs=30
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert np.isfinite(model.set_params(random_state=0).fit(X).objective_)


# -- Errors -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"objective": "slices"}, "objective must be one of 'exact', 'sliced', 'denoising', 'finite_difference'; got"),
        ({"n_projections": 0}, "n_projections must be an integer of at least 1; got 0"),
        ({"projection": "uniform"}, "projection must be one of 'rademacher', 'gaussian', 'sphere'; got 'uniform'"),
        ({"variance_reduction": 1}, "variance_reduction must be True or False; got 1"),
        ({"noise_scale": -0.1}, "noise_scale must be a positive finite number; got -0.1"),
        ({"noise_scale": [0.1, np.inf]}, r"noise_scale\[1\] must be a positive finite number; got inf"),
        ({"noise_scale": []}, "noise_scale must not be empty"),
        ({"noise_scale": "small"}, "noise_scale must be a positive number or a sequence"),
        ({"difference_step": 0.0}, "difference_step must be a positive finite number; got 0.0"),
        ({"objective": "denoising"}, "needs noise_scale, the standard deviation of the noise in units of the data"),
        (
            {"objective": "sliced", "robust": 0.1},
            "robust=0.1 goes with objective='exact' alone; got objective='sliced'",
        ),
        (
            {**DENOISING, "domain": NonNegative()},
            "objective='denoising' adds noise to the rows, and so needs all of space.*objective='sliced'",
        ),
        (
            {**DIFFERENCES, "domain": Polygon([[0, 0], [9, 0], [0, 9]])},
            "objective='finite_difference' takes differences of the log density.*objective='sliced'",
        ),
    ],
)
def test_wrong_options(options, message):
    X = np.abs(rows(50))[:, :2]
    for model in (Gaussian(**options), StudentT(**options)):
        with pytest.raises(ValueError, match=message):
            model.fit(X)
    with pytest.raises(ValueError, match=message):
        Gaussian.from_params(mean=[1.0, 1.0], covariance=np.eye(2), **options)


def test_other_refusals():
    X = rows(50)
    models = {"noisy": Gaussian(**SLICED).fit(X), "exact": Gaussian().fit(X)}
    with pytest.raises(ValueError, match="noisy was fitted by another objective than the scores that are compared"):
        scorematch.compare(models, X)
    assert len(scorematch.compare(models, X, cv=3).to_frame()) == 2
    sphere = X / np.linalg.norm(X, axis=1, keepdims=True)
    for options in (DENOISING, DIFFERENCES):
        with pytest.raises(ValueError, match=r"Sphere\(\) has a boundary or is a surface.*objective='sliced'"):
            VonMisesFisher(**options).fit(sphere)
        with pytest.raises(ValueError, match=r"a=0\.5, b=0\.5 there is one at positive data alone"):
            scorematch.ExponentialSquareRoot(domain=RealSpace(), **options).fit(np.abs(X) + 0.1)
        with pytest.raises(ValueError, match="scale='sd' does not go with objective="):
            PairwiseInteraction(domain=RealSpace(), scale="sd", **options).fit(X)
    with pytest.raises(ValueError, match="partial_fit goes with objective='exact' alone; got objective='sliced'"):
        Gaussian(**SLICED).partial_fit(X)
    with pytest.raises(ValueError, match="every column is constant: pass a number"):
        Gaussian.from_params(mean=np.zeros(3), covariance=np.eye(3), **DIFFERENCES).loss_gradients(np.ones((5, 3)))


@pytest.mark.parametrize(
    "extra",
    [["--objective", "sliced", "--n-projections", "4"], ["--objective", "denoising", "--noise-scale", "[0.1, 0.5]"]],
)
def test_command_line(tmp_path, capsys, extra):
    path = tmp_path / "data.csv"
    np.savetxt(path, rows(100), delimiter=",", header="a,b,c", comments="")
    assert main(["fit", str(path), "--model", "gaussian", "--random-state", "1", *extra]) == 0
    said = capsys.readouterr().out
    assert "convergence  yes" in said
    assert f"minimised    {extra[1]}, " in said


def test_summary_tells_what_was_minimised():
    model = Gaussian(random_state=0, **SLICED_PLAIN).fit(rows(100))
    assert "sliced, sphere vectors, 2 a row, no variance reduction" in str(model.summary())
    assert "minimised" not in str(Gaussian().fit(rows(100)).summary())
