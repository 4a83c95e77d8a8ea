"""Exponential families of the user's own statistics: equal to the families that are built in, and errors with names."""

import functools
import pickle
import tracemalloc
import warnings

import numpy as np
import pytest
from cases import own_hessian_diagonal, own_jacobian, own_statistic
from scipy.special import i0e, i1e
from scorematch import (
    ExponentialFamily,
    Gaussian,
    Log1p,
    MinPower,
    NonNegative,
    PolynomialExponentialFamily,
    Power,
    Sphere,
)
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.linear_model import Lasso
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.utils.estimator_checks import parametrize_with_checks

ORTHANT = [{"domain": NonNegative(), "weight": weight} for weight in (MinPower(1.0), Power(2.0), Log1p())]
each_setting = pytest.mark.parametrize(
    "setting", [{}, *ORTHANT], ids=lambda setting: repr(setting.get("weight", "space"))
)


def data(n, setting, seed=0):
    X = np.random.default_rng(seed).normal([0.3, 0.0, -0.2], [1.0, 0.8, 1.2], size=(n, 3))
    return np.abs(X) if setting else X


def own(**options):
    return ExponentialFamily(own_jacobian, own_hessian_diagonal, 5, own_statistic, **options)


# Statistics that any number of columns has: Σ x_j and −½ Σ x_j².


def sums_jacobian(x):
    return np.stack([np.ones_like(x), -x], axis=1)


def sums_hessian_diagonal(x):
    return np.stack([np.zeros_like(x), -np.ones_like(x)], axis=1)


def sums(**options):
    return ExponentialFamily(sums_jacobian, sums_hessian_diagonal, 2, **options)


class Named:
    """A function that is shown without its address: names of tests are to be the same in every process."""

    def __init__(self, function):
        self.function = function

    def __call__(self, x):
        return self.function(x)

    def __repr__(self):
        return self.function.__name__


@parametrize_with_checks([ExponentialFamily(Named(sums_jacobian), Named(sums_hessian_diagonal), 2, ridge=1e-3)])
def test_scikit_learn(estimator, check):
    check(estimator)


# -- Families that are built in, in their statistics ----------------------------------------------------------------


def monomial_derivatives(powers, order):
    def derivatives(x):
        out = np.zeros((len(x), *powers.shape))
        for j in range(powers.shape[1]):
            lower = powers.copy()
            lower[:, j] = np.maximum(lower[:, j] - order, 0)
            factor = powers[:, j] * (powers[:, j] - 1 if order == 2 else 1)
            out[:, :, j] = factor * np.prod(x[:, None, :] ** lower, axis=2)
        return out

    return derivatives


@each_setting
@pytest.mark.parametrize("weighted", [False, True], ids=["alike", "weighted"])
@pytest.mark.parametrize("degree", [2, 4])
@pytest.mark.filterwarnings("ignore:the polynomial is no log density:UserWarning")
def test_equals_polynomials_and_gaussians(setting, weighted, degree):
    X = data(600, setting)
    weight = np.random.default_rng(1).exponential(size=len(X)) if weighted else None
    polynomial = PolynomialExponentialFamily(degree, **setting).fit(X, sample_weight=weight)
    powers = polynomial.powers_
    own = ExponentialFamily(
        monomial_derivatives(powers, 1),
        monomial_derivatives(powers, 2),
        len(powers),
        lambda x: np.prod(x[:, None, :] ** powers, axis=2),
        block_size=97,
        **setting,
    ).fit(X, sample_weight=weight)
    np.testing.assert_allclose(own.theta_, polynomial.theta_, rtol=1e-7, atol=1e-7 * np.abs(polynomial.theta_).max())
    assert own.objective_ == pytest.approx(polynomial.objective_, rel=1e-9)
    own, built_in = own.from_params(theta=polynomial.theta_, **own.get_params()), polynomial
    for method in (
        "score_function",
        "hessian_diagonal",
        "hessian_trace",
        "hyvarinen_score",
        "unnormalized_log_density",
    ):
        expected = getattr(built_in, method)(X)
        np.testing.assert_allclose(getattr(own, method)(X), expected, rtol=1e-9, atol=1e-9 * np.abs(expected).max())
    ours, theirs = own.quadratic_form(X, weight), built_in.quadratic_form(X, weight)
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-10, atol=1e-11 * np.abs(other).max())
    if degree == 2:
        gaussian = Gaussian(**setting).fit(X, sample_weight=weight)
        np.testing.assert_allclose(own.theta_[:3], gaussian.precision_ @ gaussian.mean_, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize(
    ("weight", "variance"),
    [(Power(1.0), 1), (Power(2.0), 2), (MinPower(c=1.0), 1.582), (MinPower(c=3.0), 1.052), (Log1p(), 1.135)],
    ids=repr,
)
def test_rate_of_an_exponential(weight, variance):
    """With log p = −θx on the half-line: E[h′]/E[h], of the asymptotic variance known for each weight."""
    n, repeats = 500, 1500
    X = np.random.default_rng(1).exponential(size=(n * repeats, 1))
    model = ExponentialFamily(
        lambda x: -np.ones((len(x), 1, 1)), lambda x: np.zeros((len(x), 1, 1)), 1, domain=NonNegative(), weight=weight
    )
    rates = np.array([model.fit(part).theta_[0] for part in X.reshape(repeats, n, 1)])
    h, dh = (value.reshape(repeats, n) for value in weight(X))
    np.testing.assert_allclose(rates, dh.mean(axis=1) / h.mean(axis=1), rtol=1e-12)
    assert n * rates.var() == pytest.approx(variance, rel=0.2)


def test_gamma():
    """With a·log x − b·x on the half-line, over 40 samples."""
    options = {"domain": NonNegative(), "weight": Power(2.0)}
    model = ExponentialFamily(
        lambda x: np.stack([1 / x, -np.ones_like(x)], axis=1),
        lambda x: np.stack([-1 / x**2, np.zeros_like(x)], axis=1),
        2,
        **options,
    )
    X = np.random.default_rng(2).gamma(3.0, 0.5, size=(40, 4000, 1))
    estimates = np.array([model.fit(part).theta_ for part in X])
    error = estimates.std(axis=0, ddof=1) / np.sqrt(len(X))
    assert (np.abs(estimates.mean(axis=0) - [2.0, 2.0]) < 3.5 * error).all()
    assert error.max() < 0.03


def test_von_mises():
    """Angles with κ·cos(x − μ), where θ = κ(cos μ, sin μ)."""
    kappa, mu = 2.0, 0.7
    X = np.random.default_rng(3).vonmises(mu, kappa, size=(200_000, 1))
    model = ExponentialFamily(
        lambda x: np.stack([-np.sin(x), np.cos(x)], axis=1), lambda x: np.stack([-np.cos(x), -np.sin(x)], axis=1), 2
    ).fit(X)
    np.testing.assert_allclose(model.theta_, [kappa * np.cos(mu), kappa * np.sin(mu)], atol=0.03)
    # J at the truth is −κ A(κ)/2 in expectation, A = I₁/I₀.
    assert model.objective_ == pytest.approx(-kappa * i1e(kappa) / i0e(kappa) / 2, rel=0.02)


# -- Penalties ----------------------------------------------------------------------------------------------------


@each_setting
def test_ridge(setting):
    X = data(300, setting)
    for ridge in (0.1, 10.0):
        model = own(ridge=ridge, **setting).fit(X)
        gamma, g = model.quadratic_form(X)
        np.testing.assert_allclose(model.theta_, np.linalg.solve(gamma + ridge * np.eye(5), g), rtol=1e-11)
        loss, gradient = model.loss_and_grad(model.theta_, X)
        np.testing.assert_allclose(gradient, -ridge * model.theta_, rtol=1e-9, atol=1e-12)
        assert model.objective_ == pytest.approx(loss, rel=1e-12)


@each_setting
@pytest.mark.parametrize("ridge", [0.0, 0.3])
def test_l1(setting, ridge):
    """The conditions of a minimum, by the gradient of the objective itself."""
    X = data(300, setting)
    g = own(**setting).quadratic_form(X).g
    counts = set()
    for share in (1e-5, 0.03, 0.1, 0.5, 1.01):
        alpha = share * np.abs(g).max()
        model = own(ridge=ridge, alpha=alpha, **setting).fit(X)
        loss, gradient = model.loss_and_grad(model.theta_, X)
        slope = gradient + ridge * model.theta_
        zero = model.theta_ == 0
        np.testing.assert_allclose(slope[~zero], -alpha * np.sign(model.theta_[~zero]), atol=1e-10)
        assert (np.abs(slope[zero]) <= alpha + 1e-10).all()
        assert model.objective_ == pytest.approx(loss, rel=1e-10, abs=1e-13)
        assert model.converged_
        counts.add(int(np.count_nonzero(zero)))
    assert counts >= {0, 5}
    assert len(counts) > 2


def test_l1_equals_scikit_learn():
    """½‖Aθ − y‖²/n has the form of any regression: D = A as statistics of one variable."""
    random = np.random.default_rng(4)
    A, theta = random.normal(size=(200, 6)), np.array([1.0, 0.0, -2.0, 0.0, 0.0, 0.5])
    y = A @ theta + random.normal(size=200)
    gamma, g = A.T @ A / 200, A.T @ y / 200
    # The row number stands for x; the second derivatives −y_i A_i give g.
    X = np.arange(200.0)[:, None]
    own = functools.partial(
        ExponentialFamily,
        lambda x: A[x[:, 0].astype(int)][:, :, None],
        lambda x: -(y[:, None] * A)[x[:, 0].astype(int)][:, :, None],
        6,
    )
    form = own().quadratic_form(X)
    np.testing.assert_allclose(form.gamma, gamma, rtol=1e-12)
    np.testing.assert_allclose(form.g, g, rtol=1e-12)
    for alpha in (0.01, 0.1, 0.5):
        expected = Lasso(alpha=alpha, fit_intercept=False, tol=1e-14, max_iter=100_000).fit(A, y).coef_
        np.testing.assert_allclose(own(alpha=alpha).fit(X).theta_, expected, atol=1e-8)
    # A penalty for each coefficient.
    free = own(alpha=(0.0, 1e9, 0.0, 1e9, 1e9, 0.0)).fit(X).theta_
    kept = [0, 2, 5]
    np.testing.assert_allclose(free[kept], np.linalg.solve(gamma[np.ix_(kept, kept)], g[kept]), rtol=1e-10)
    assert not free[[1, 3, 4]].any()


def test_l1_without_a_minimum():
    X = data(1, {})
    X = np.concatenate([X, X])
    with pytest.raises(
        ValueError, match=r"no lower bound: with alpha=0.001 .*statistic \d .*larger alpha or a positive ridge"
    ):
        own(alpha=1e-3).fit(X)
    assert own(alpha=1e-3, ridge=1e-3).fit(X).converged_
    assert not own(alpha=1e3).fit(X).theta_.any()


def test_l1_that_does_not_converge():
    random = np.random.default_rng(5)
    A = np.cumsum(random.normal(size=(200, 60)), axis=1)
    y = A @ (random.normal(size=60) * (random.random(60) < 0.3)) + random.normal(size=200)
    X = np.arange(200.0)[:, None]
    model = ExponentialFamily(
        lambda x: A[x[:, 0].astype(int)][:, :, None], lambda x: -(y[:, None] * A)[x[:, 0].astype(int)][:, :, None], 60
    ).set_params(alpha=0.5)
    assert model.fit(X).converged_
    assert model.n_iter_ > 1
    with pytest.warns(ConvergenceWarning, match="did not converge: after 1 iterations.*larger max_iter"):
        model.set_params(max_iter=1).fit(X)
    assert not model.converged_


# -- Blocks -------------------------------------------------------------------------------------------------------


@each_setting
def test_block_size_does_not_matter(setting):
    X, weight = data(500, setting), np.random.default_rng(6).exponential(size=500)
    whole = own(**setting).fit(X, sample_weight=weight)
    for block_size in (1, 7, 499, 500, 10**9):
        parts = own(block_size=block_size, **setting).fit(X, sample_weight=weight)
        np.testing.assert_allclose(parts.theta_, whole.theta_, rtol=1e-11)
        np.testing.assert_allclose(parts.hyvarinen_score(X), whole.hyvarinen_score(X), rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(
            parts.loss_and_grad(whole.theta_, X, weight)[1], whole.loss_and_grad(whole.theta_, X, weight)[1], atol=1e-13
        )


@each_setting
@pytest.mark.parametrize("alpha", [0.0, 0.05])
def test_partial_fit_equals_fit(setting, alpha):
    X = data(600, setting)
    X[200:] += 1.0  # blocks differ
    weight = np.random.default_rng(0).exponential(size=len(X)) * np.linspace(1, 9, len(X))
    for sample_weight in (None, weight):
        whole, parts = own(alpha=alpha, **setting).fit(X, sample_weight=sample_weight), own(alpha=alpha, **setting)
        for rows in (slice(0, 50), slice(50, 400), slice(400, 600)):
            parts.partial_fit(X[rows], sample_weight=None if sample_weight is None else sample_weight[rows])
        np.testing.assert_allclose(parts.theta_, whole.theta_, rtol=1e-9)
        assert parts.objective_ == pytest.approx(whole.objective_, rel=1e-10)
    before = parts.theta_
    with pytest.raises(ValueError, match="row 1, column 0"):
        parts.partial_fit([[1.0, 2.0, 3.0], [np.nan, 0.0, 0.0]])
    with pytest.raises(ValueError, match="options of ExponentialFamily have changed"):
        parts.set_params(statistic_jacobian=lambda x: own_jacobian(x)).partial_fit(X[:50])
    np.testing.assert_array_equal(parts.theta_, before)
    once = own(alpha=alpha, **setting).fit(X[:100])
    parts.set_params(statistic_jacobian=own_jacobian)
    np.testing.assert_array_equal(parts.fit(X[:100]).theta_, once.theta_)  # fit starts anew


def test_memory_does_not_grow_with_the_rows():
    def peak(model, X, call):
        call(model, X[:100])  # what is loaded at the first use
        tracemalloc.start()
        try:
            call(model, X)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    X = np.random.default_rng(0).normal(size=(400_000, 3))
    one_array = 1000 * 5 * 3 * 8
    calls = {
        "fit": lambda model, X: clone(model).fit(X),
        "loss_and_grad": lambda model, X: model.loss_and_grad(model.theta_, X),
        "quadratic_form": lambda model, X: model.quadratic_form(X),
        "score": lambda model, X: model.hyvarinen_score(X),
    }
    for rows in (X, X.astype(np.float32)):
        model = own(block_size=1000).fit(rows[:1000])
        for name, call in calls.items():
            results = 8 * 4 * len(X) if name == "score" else 0
            assert peak(model, rows, call) < 12 * one_array + results
    # By default arrays of derivatives have 4 MiB.
    model = own().fit(X[:1000])
    assert peak(model, X, calls["fit"]) < 6 * 2**22 < X.size * 5 * 8


def test_functions_see_read_only_doubles():
    seen = []

    def jacobian(x):
        seen.append(x)
        return own_jacobian(x)

    X = data(30, {}).astype(np.float32)
    model = ExponentialFamily(jacobian, own_hessian_diagonal, 5, block_size=20)
    model.fit(X)
    assert [(block.shape, block.dtype, block.flags.writeable) for block in seen] == [
        ((20, 3), np.float64, False),
        ((10, 3), np.float64, False),
    ]
    doubles = X.astype(np.float64)
    before = doubles.copy()

    def spoils(x):
        x[:] = 0
        return own_jacobian(x)

    with pytest.raises(ValueError, match=r"statistic_jacobian \(spoils\) raised ValueError .*read-only"):
        ExponentialFamily(spoils, own_hessian_diagonal, 5).fit(doubles)
    np.testing.assert_array_equal(doubles, before)
    assert doubles.flags.writeable


# -- Functions that do not do what they should -----------------------------------------------------------------------


def changed(result):
    """A function that does this to the right derivatives of the second block."""

    def wrong(x):
        return result(own_jacobian(x)) if len(x) == 50 else own_jacobian(x)

    return wrong


def put(value):
    def into(D):
        D[17, 2, 1] = value
        return D

    return into


def fail(D):
    raise RuntimeError("out of luck")


WRONG = [
    (lambda D: D[:, :, :2], r"n_statistics, n_features\) = \(50, 5, 3\) for rows 100 to 149 of X; got \(50, 5, 2\)"),
    (lambda D: D.swapaxes(1, 2), r"= \(50, 5, 3\) .*got \(50, 3, 5\)"),
    (lambda D: D[:-1], r"got \(49, 5, 3\)"),
    (lambda D: D[0], r"got \(5, 3\)"),
    (lambda D: 1.0, r"got \(\)"),
    (lambda D: None, "array of real numbers; got NoneType of type object for rows 100 to 149"),
    (lambda D: D + 1j, "array of real numbers; got ndarray of type complex128"),
    (lambda D: D.astype(str), "array of real numbers; got ndarray of type <U"),
    (lambda D: [[1.0], [1.0, 2.0]], "must return an array; got list"),
    (put(np.nan), "returned NaN or infinity: row 117 of X, statistic 2, feature 1 is nan"),
    (put(-np.inf), "returned NaN or infinity: row 117 of X, statistic 2, feature 1 is -inf"),
    (fail, "raised RuntimeError for rows 100 to 149 of X: out of luck"),
]  # fmt: skip


@pytest.mark.parametrize(("result", "message"), WRONG)
@pytest.mark.parametrize("argument", ["statistic_jacobian", "statistic_hessian_diagonal"])
def test_wrong_functions_are_named(argument, result, message):
    X = data(150, {})
    wrong = own(block_size=100).set_params(**{argument: changed(result)})
    named = rf"^{argument} \(wrong\) .*{message}"
    with pytest.raises(ValueError, match=named):
        wrong.fit(X)
    with pytest.raises(ValueError, match=named):
        wrong.quadratic_form(X)
    made = ExponentialFamily.from_params(theta=np.ones(5), **wrong.get_params())
    with pytest.raises(ValueError, match=named):
        made.loss_and_grad(np.ones(5), X)
    with pytest.raises(ValueError, match=named):
        made.hyvarinen_score(X)


def test_wrong_statistics_are_named():
    X = data(10, {})
    model = own(block_size=4).fit(X)
    for statistic, message in (
        (
            lambda x: np.ones((len(x), 4)),
            r"statistic \(<lambda>\) .*\(n_rows, n_statistics\) = \(4, 5\) .*got \(4, 4\)",
        ),
        (lambda x: np.where(x[:, :1] == X[6, 0], np.inf, np.ones((len(x), 5))), "row 6 of X, statistic 0 is inf"),
        (functools.partial(np.reshape, shape=(3, 5)), r"statistic \(partial\) raised"),
    ):
        with pytest.raises(ValueError, match=message):
            model.set_params(statistic=statistic).unnormalized_log_density(X)
    with pytest.raises(ValueError, match=r"needs the statistics themselves.*pass statistic, a function"):
        model.set_params(statistic=None).unnormalized_log_density(X)
    assert np.isfinite(model.hyvarinen_score(X)).all()


def test_other_arrays_are_taken():
    """Whatever NumPy makes an array of numbers of."""
    X = data(60, {})
    expected = own().fit(X).theta_
    for turned in (lambda D: D.astype(np.float32), lambda D: D.tolist(), np.asfortranarray):
        model = own().set_params(statistic_jacobian=lambda x, turned=turned: turned(own_jacobian(x)))
        np.testing.assert_allclose(model.fit(X).theta_, expected, rtol=1e-5)
    whole = ExponentialFamily(lambda x: np.ones((len(x), 1, 1), int), lambda x: np.zeros((len(x), 1, 1), bool), 1)
    assert whole.fit(X[:, :1]).theta_ == 0


# -- Bad input ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"statistic_jacobian": 3}, "statistic_jacobian must be a function of a block of rows; got 3"),
        ({"statistic_hessian_diagonal": None}, "statistic_hessian_diagonal must be a function"),
        ({"statistic": "t"}, "statistic must be a function"),
        ({"n_statistics": 0}, "n_statistics must be an integer of at least 1"),
        ({"n_statistics": 2.5}, "n_statistics must be an integer"),
        ({"block_size": 0}, "block_size must be an integer of at least 1"),
        ({"ridge": -1.0}, "ridge must be a finite number of at least 0"),
        ({"alpha": -1.0}, "alpha must not be negative; got -1"),
        ({"alpha": (0.0, 1.0)}, r"alpha must have shape \(5,\)"),
        ({"alpha": np.nan}, "alpha must be finite"),
        ({"tol": -1.0}, "tol must be a finite number"),
        ({"max_iter": 0}, "max_iter must be an integer of at least 1"),
        ({"domain": Sphere()}, "no domain Sphere"),
        ({"weight": MinPower()}, "no boundary"),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(ValueError, match=message):
        own().set_params(**options).fit(data(20, {}))
    with pytest.raises(ValueError, match=message):
        ExponentialFamily.from_params(theta=np.ones(5), **{**own().get_params(), **options})


def test_bad_data():
    X = data(50, {})
    for spoil, message in (
        (np.where(np.arange(150).reshape(50, 3) == 22, np.nan, X), "row 7, column 1"),
        (X[:, 0], "2D array"),
        (X[:0], "0 sample"),
        (X.astype(complex), "[Cc]omplex"),
    ):
        with pytest.raises(ValueError, match=message):
            own().fit(spoil)
        with pytest.raises(ValueError, match=message):
            own().fit(X).score(spoil)
    with pytest.raises(ValueError, match=r"row 0 does not.*negative"):
        own(**ORTHANT[0]).fit(-np.abs(X))
    with pytest.raises(ValueError, match="at least 2 samples"):
        own().fit(X[:1])
    with pytest.raises(ValueError, match="expecting 3 features"):
        own().fit(X).score(X[:, :2])
    with pytest.raises(NotFittedError):
        own().score(X)
    with pytest.raises(ValueError, match=r"sample_weight must have shape \(50,\)"):
        own().fit(X, sample_weight=np.ones(3))
    huge = ExponentialFamily(lambda x: 1e300 * own_jacobian(x), own_hessian_diagonal, 5)
    with pytest.raises(ValueError, match="so large that their squares overflow"):
        huge.fit(X)


def test_statistics_that_cannot_be_told_apart():
    X = data(50, {})
    remedy = "drop statistics that are constant or depend on others, or pass a positive ridge or alpha"
    with pytest.raises(ValueError, match=f"2 rows of 3 columns do not tell the 8 statistics apart: .*{remedy}"):
        ExponentialFamily(
            lambda x: np.concatenate([own_jacobian(x), own_jacobian(x)[:, :3] ** 3], axis=1),
            lambda x: np.zeros((len(x), 8, 3)),
            8,
        ).fit(X[:2])
    twice = ExponentialFamily(
        lambda x: np.concatenate([own_jacobian(x), 2 * own_jacobian(x)[:, :1]], axis=1),
        lambda x: np.concatenate([own_hessian_diagonal(x), 2 * own_hessian_diagonal(x)[:, :1]], axis=1),
        6,
    )
    with pytest.raises(ValueError, match=remedy):
        twice.fit(X)
    # With a penalty there is a solution, and it is that of the statistic once.
    once = own(alpha=1e-9).fit(X).theta_
    theta = twice.set_params(alpha=1e-9).fit(X).theta_
    np.testing.assert_allclose(theta[0] + 2 * theta[5], once[0], rtol=1e-6)
    constant = ExponentialFamily(lambda x: np.zeros((len(x), 1, 3)), lambda x: np.zeros((len(x), 1, 3)), 1)
    with pytest.raises(ValueError, match=f"parameter 0 does not enter the objective at all.*{remedy}"):
        constant.fit(X)


def test_functions_may_share_an_array():
    X = data(60, {})
    shared = np.empty((20, 5, 3))

    def filled(function):
        def fill(x):
            shared[: len(x)] = function(x)
            return shared[: len(x)]

        return fill

    plain = own(block_size=20).fit(X)
    sharing = ExponentialFamily(filled(own_jacobian), filled(own_hessian_diagonal), 5, block_size=20).fit(X)
    np.testing.assert_array_equal(sharing.theta_, plain.theta_)
    np.testing.assert_array_equal(sharing.hyvarinen_score(X), plain.hyvarinen_score(X))
    value, slope = plain.loss_and_grad(np.ones(5), X)
    shared_value, shared_slope = sharing.loss_and_grad(np.ones(5), X)
    assert shared_value == value
    np.testing.assert_array_equal(shared_slope, slope)


def test_statistics_that_can_hardly_be_told_apart():
    X = np.random.default_rng(0).normal(size=(500, 1))

    def fitted(shift, centre=0.0, **options):
        def jacobian(x):
            y = x - centre
            return np.stack([0 * y + 1, 2 * y, 3 * y**2, 4 * y**3], axis=1)

        def hessian_diagonal(x):
            y = x - centre
            return np.stack([0 * y, 0 * y + 2, 6 * y, 12 * y**2], axis=1)

        return ExponentialFamily(jacobian, hessian_diagonal, 4, **options).fit(X + shift)

    with pytest.warns(UserWarning, match=r"nearly linearly dependent: .*relative error .*Centre and rescale") as seen:
        fitted(50.0)
    assert seen[0].filename == __file__
    with pytest.raises(ValueError, match=r"nearly linearly dependent: .*relative error .*positive ridge or alpha"):
        fitted(200.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fitted(200.0, centre=200.0)


def test_refused_calls_leave_the_number_of_columns_open():
    made = ExponentialFamily.from_params(theta=np.ones(5), **own().get_params())
    with pytest.raises(ValueError, match="NaN"):
        made.score_function([[np.nan, 0.0]])
    assert not hasattr(made, "n_features_in_")
    assert made.score_function(data(4, {})).shape == (4, 3)
    polynomial = PolynomialExponentialFamily(4)
    with pytest.raises(ValueError, match="sample_weight"):
        polynomial.quadratic_form(data(4, {}), sample_weight=[1.0])
    assert not hasattr(polynomial, "n_features_in_")


def test_models_from_parameters_have_no_sums_to_add_to():
    X = data(50, {})
    made = ExponentialFamily.from_params(theta=np.ones(5), **own().get_params())
    with pytest.raises(ValueError, match="does not hold the sums of its data; call fit to start anew"):
        made.partial_fit(X)
    np.testing.assert_array_equal(made.theta_, np.ones(5))
    np.testing.assert_array_equal(made.fit(X).theta_, own().fit(X).theta_)


# -- The rest of the library --------------------------------------------------------------------------------------


def test_model_selection():
    X = data(300, {})
    assert np.isfinite(cross_val_score(own(), X, cv=3)).all()
    search = GridSearchCV(own(), {"alpha": [0.0, 0.01, 1.0]}, cv=3).fit(X)
    assert search.best_score_ == max(search.cv_results_["mean_test_score"])


def test_models_from_parameters_learn_the_columns_from_data():
    X = data(20, {})
    made = ExponentialFamily.from_params(theta=np.ones(5), **own().get_params())
    assert not hasattr(made, "n_features_in_")
    assert made.score_function(X).shape == X.shape
    with pytest.raises(ValueError, match="expecting 3 features"):
        made.score(X[:, :2])
    known = ExponentialFamily.from_params(theta=np.ones(5), n_features=3, **own().get_params())
    with pytest.raises(ValueError, match="expecting 3 features"):
        known.score(X[:, :2])
    assert known.theta_names_ == [f"theta[{k}]" for k in range(5)]
    with pytest.raises(ValueError, match=r"theta must have shape \(5,\)"):
        ExponentialFamily.from_params(theta=np.ones(4), **own().get_params())
    with pytest.raises(ValueError, match="n_features must be an integer"):
        ExponentialFamily.from_params(theta=np.ones(5), n_features=0, **own().get_params())


def test_functions_of_no_module_cannot_be_pickled():
    model = ExponentialFamily(lambda x: own_jacobian(x), own_hessian_diagonal, 5).fit(data(50, {}))
    with pytest.raises((pickle.PicklingError, AttributeError), match="lambda"):
        pickle.dumps(model)


def test_pictures():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    from scorematch.plotting import FitDisplay

    X = np.random.default_rng(0).normal(size=(400, 3))
    for d in (1, 2, 3):
        with_density = FitDisplay.from_estimator(
            sums(statistic=lambda x: np.stack([x.sum(1), -(x**2).sum(1) / 2], axis=1)).fit(X[:, :d]), X[:, :d]
        )
        assert any(panel.density is not None for panel in with_density.panels_)
        assert "no density" not in with_density.caption
        without = FitDisplay.from_estimator(sums().fit(X[:, :d]), X[:, :d])
        assert all(panel.density is None for panel in without.panels_)
        assert "no density drawn: the model knows only its derivatives" in without.caption
        scores = without.panels_[0].score if d == 1 else without.panels_[1 if d == 3 else 0].scores
        assert len(scores) > 0
        assert np.isfinite(scores).all()
    # A model that has seen no data yet.
    made = ExponentialFamily.from_params(
        theta=[0.0, 1.0],
        statistic_jacobian=sums_jacobian,
        statistic_hessian_diagonal=sums_hessian_diagonal,
        n_statistics=2,
    )
    FitDisplay.from_estimator(made, X[:, :2])
