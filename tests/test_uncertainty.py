"""Standard errors, intervals, tests, influence and SMIC: closed forms, published numbers, simulations, refits."""

from __future__ import annotations

import itertools
import pickle
import warnings

import numpy as np
import pytest
import scorematch
from cases import FEW_EXAMPLES, Example
from scorematch import (
    ICA,
    Ball,
    Box,
    ExponentialFamily,
    Gaussian,
    GaussianMixture,
    Log1p,
    MinPower,
    NonNegative,
    PairwiseInteraction,
    PolynomialExponentialFamily,
    Power,
    ProductOfStudentT,
    StudentT,
    VonMisesFisher,
)


def every_family():
    return pytest.mark.parametrize("example", FEW_EXAMPLES, ids=lambda example: example.name)


# -- closed forms and published numbers ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sample():
    return np.random.default_rng(0).gamma(3.0, size=(4000, 1))


def test_gaussian_moments(sample, level):
    # The estimates are the sample mean and variance, whatever the data are: their errors are known.
    model, n = Gaussian().fit(sample), len(sample)
    variance = model.covariance_[0, 0]
    fourth = np.mean((sample - model.mean_) ** 4)
    assert np.allclose(model.covariance(of="mean"), variance / n, rtol=1e-9)
    assert np.allclose(model.covariance(of="covariance"), (fourth - variance**2) / n, rtol=1e-8)
    # v = 1/P: the delta method from the natural parameter is the same.
    assert np.allclose(model.standard_errors_[0], np.sqrt((fourth - variance**2) / n) / variance**2, rtol=1e-9)


def test_normal_data_have_the_errors_of_maximum_likelihood(level):
    X = np.random.default_rng(1).normal(2.0, 3.0, size=(200_000, 1))
    model = Gaussian().fit(X)
    v = 9.0
    assert np.isclose(model.covariance(of="mean")[0, 0] * len(X), v, rtol=0.02)
    assert np.isclose(model.covariance(of="covariance")[0, 0] * len(X), 2 * v**2, rtol=0.02)
    penalty = model.smic(X) - len(X) * model.objective_
    assert np.isclose(penalty, 3 / v, rtol=0.02)


def exponential_rate(weight):
    return ExponentialFamily(lambda x: -np.ones((len(x), 1, 1)), lambda x: np.zeros((len(x), 1, 1)), 1,
                             domain=NonNegative(), weight=weight)  # fmt: skip


@pytest.mark.parametrize(
    ("weight", "variance"),
    [(Power(1), 1.0), (Power(2), 2.0), (MinPower(c=1.0), 1.582), (MinPower(c=3.0), 1.052), (Log1p(), 1.135)],
    ids=["x", "x2", "min(x,1)", "min(x,3)", "log1p"],
)
def test_exponential_rate(weight, variance, level):
    X = np.random.default_rng(2).exponential(size=(400_000, 1))
    model = exponential_rate(weight).fit(X)
    assert np.isclose(model.covariance()[0, 0] * len(X), variance, rtol=0.02)


@pytest.mark.parametrize(("df", "efficiency"), [(10, 0.814), (5, 0.629), (3, 0.480)])
def test_efficiency_for_the_scale_of_a_student_t(df, efficiency, level):
    # For the logarithm of the scale, whose Fisher information is 2 df / (df + 3); location and scale are orthogonal.
    X = np.random.default_rng(3).standard_t(df, size=(200_000, 1))
    model = StudentT(df=df).fit(X)
    variance = model.covariance()[1, 1] * len(X)
    assert np.isclose((df + 3) / (2 * df) / variance, efficiency, rtol=0.03)


@pytest.mark.parametrize(
    ("concentration", "efficiency"), [(0.5, 0.946), (1, 0.851), (2, 0.777), (5, 0.940), (10, 0.990)]
)
def test_efficiency_for_the_concentration_of_a_von_mises(concentration, efficiency, level):
    from scipy.special import ive

    angles = np.random.default_rng(4).vonmises(0.0, concentration, size=400_000)
    X = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    model = VonMisesFisher.from_params(mean_direction=[1.0, 0.0], concentration=concentration)
    # With the mean direction known, the concentration is the one parameter, along the first axis.
    slopes = model.loss_gradients(X)[:, 0]
    gamma = model.quadratic_form(X).gamma[0, 0]
    ratio = ive(1, concentration) / ive(0, concentration)
    information = 1 - ratio / concentration - ratio**2
    assert np.isclose(gamma**2 / np.mean(slopes**2) / information, efficiency, rtol=0.02)


@pytest.mark.parametrize(("m", "ratio"), [(1.0, 1.55), (2.0, 8.04), (3.0, 115.0)])
def test_weight_of_separated_modes(m, ratio, level):
    # With all else known, the variance of the weight over that of maximum likelihood; expectations by quadrature.
    X = np.linspace(-m - 9, m + 9, 20_001)[:, None]
    small, large = 0.2 * np.exp(-((X[:, 0] + m) ** 2) / 2), 0.8 * np.exp(-((X[:, 0] - m) ** 2) / 2)
    density = (small + large) / np.sum(small + large)
    model = GaussianMixture.from_params(
        n_components=2, weights=[0.2, 0.8], means=[[-m], [m]], covariances=[[[1.0]], [[1.0]]]
    )
    slopes = model.loss_gradients(X)[:, 0]
    moved = model.theta_.copy()
    moved[0] += 1e-5
    curvature = (model.loss_gradients(X, moved)[:, 0] - slopes) @ density / 1e-5
    information = (small / (small + large) - 0.2) ** 2 @ density
    assert np.isclose(slopes**2 @ density / curvature**2 * information, ratio, rtol=0.004)


# -- every family --------------------------------------------------------------------------------------------------


def with_data(example: Example, n: int = 300):
    return example.model(), example.data(n)


@every_family()
def test_sandwich_is_made_of_gradients_and_hessian(example, level):
    model, X = with_data(example)
    weight = np.random.default_rng(0).uniform(0.5, 1.5, size=len(X))
    weight /= weight.mean()
    found = model._sandwich(X, weight)
    if type(model._estimating(X, weight)) is not scorematch._estimating.Stationary or found.directions is not None:
        return  # fitted otherwise: see below
    rows = model.loss_gradients(X) * weight[:, None]
    assert np.allclose(found.products, rows.T @ rows, rtol=1e-8, atol=1e-8 * np.abs(rows.T @ rows).max())
    loss, step = model.loss_and_grad, 1e-5
    for k in range(0, len(model.theta_), max(1, len(model.theta_) // 3)):
        unit = np.eye(len(model.theta_))[k] * step * max(1.0, abs(model.theta_[k]))
        ahead, behind = (loss(model.theta_ + sign * unit, X, weight)[1] for sign in (1, -1))
        column = (ahead - behind) / (2 * unit[k])
        size = np.abs(found.hessian[:, k]).max()
        assert np.allclose(found.hessian[:, k], column, rtol=1e-4, atol=1e-5 * size)
    if found.reasons:
        return
    bread = np.linalg.inv(len(X) * found.hessian)
    assert np.allclose(found.covariance, bread @ found.products @ bread, rtol=1e-4, atol=0)


@every_family()
def test_names_shapes_and_derived_parameters(example):
    model, X = with_data(example)
    p = len(model.theta_)
    assert model.loss_gradients(X).shape == model.influence(X).shape == (len(X), p)
    covariance = model.covariance(X=X)
    assert covariance.shape == (p, p)
    assert model.confidence_intervals(X=X).shape == (p, 2)
    for name in set(model.params_) & set(model._parameter_names()) - {"df"}:
        size = np.size(getattr(model, f"{name}_"))
        assert model.covariance(of=name, X=X).shape == (size, size), name
    assert np.isfinite(model.smic(X))


@every_family()
def test_influence_adds_up_to_the_sandwich(example):
    model, X = with_data(example)
    equations = model._estimating(X, None)
    if getattr(equations, "penalty", None) is not None:
        return  # about their mean, which at an estimate alone is the penalty's slope
    influence, covariance = model.influence(X), model.covariance(X=X)
    keep = ~np.isnan(np.diagonal(covariance))
    influence, covariance = influence[:, keep], covariance[np.ix_(keep, keep)]
    assert np.allclose(influence.T @ influence, covariance, rtol=1e-6, atol=1e-9 * np.abs(covariance).max(initial=0))


# -- against refits ------------------------------------------------------------------------------------------------


def leave_one_out(make, X, rows):
    """What leaving out a row changes, with the order and the signs of components those of the fit to all."""
    model = make().fit(X)
    influence = model.influence(X)
    for row in rows:
        without = make().fit(np.delete(X, row, axis=0)).theta_
        if isinstance(model, ICA):
            W, V = model.components_, without.reshape(model.components_.shape)
            V = V[np.abs(V @ np.linalg.inv(W)).argmax(axis=0)]
            without = (V * np.sign(np.sum(V * W, axis=1, keepdims=True))).ravel()
        yield model.theta_ - without, influence[row]


def correlated(n=400):
    """Logistic sources, mixed."""
    return np.random.default_rng(6).logistic(size=(n, 2)) @ np.array([[1.0, 0.5], [0.0, 1.0]])


@pytest.mark.parametrize(
    "make",
    [
        lambda: Gaussian(),
        lambda: Gaussian(covariance_type="diag"),
        lambda: StudentT(df=5, tol=1e-9),
        lambda: PolynomialExponentialFamily(4, interactions=False, domain=Box([-30.0, -30.0], [30.0, 30.0])),
        lambda: ICA(nonlinearity="logistic", random_state=0, tol=1e-9),
        lambda: ICA(nonlinearity="logistic", random_state=0, tol=1e-9, orthogonal=True),
        lambda: ICA(nonlinearity="logistic", random_state=0, tol=1e-9, whiten=False),
        lambda: PairwiseInteraction(domain=scorematch.RealSpace(), diagonal_multiplier=1.0),
    ],
    ids=["full", "diag", "t", "polynomial", "ica", "orthogonal", "unwhitened", "pairwise"],
)
def test_influence_is_that_of_leaving_a_row_out(make, level):
    for change, influence in leave_one_out(make, correlated(), [0, 7, 200]):
        assert np.allclose(change, influence, rtol=0.1, atol=0.02 * np.abs(influence).max())


@pytest.mark.parametrize(
    "options",
    [
        {"diagonal_multiplier": 1.0},
        {"diagonal_multiplier": 1.0, "combine": "or"},
        {"diagonal_multiplier": 1.2, "combine": "and", "fit_linear": False},
        {"diagonal_multiplier": 1.2, "zero_row_sums": True, "a": 0.5, "b": 1.0},
        {"diagonal_multiplier": 1.0, "alpha": 0.02},
        {"diagonal_multiplier": 1.0, "alpha": 0.02, "combine": "or"},
    ],
    ids=lambda options: " ".join(f"{name}={value}" for name, value in options.items()),
)
def test_influence_under_the_options_of_an_interaction_model(options, level):
    # Caps from a quantile would move with the rows.
    X = np.abs(correlated()) + 0.1
    for change, influence in leave_one_out(
        lambda: PairwiseInteraction(weight=MinPower(c=1.0), tol=1e-12, **options), X, [0, 7, 200]
    ):
        change = np.where(np.isnan(influence), np.nan, change)
        assert np.allclose(change, influence, rtol=0.1, atol=0.02 * np.nanmax(np.abs(influence)), equal_nan=True)


def test_influence_on_a_mixture(level):
    random = np.random.default_rng(6)
    X = random.normal(np.where(random.random((500, 1)) < 0.4, -1.5, 1.5))
    model = GaussianMixture(2, random_state=0, tol=1e-10).fit(X)
    influence = model.influence(X)
    for row in (0, 7, 200):
        without = GaussianMixture(2, random_state=0, tol=1e-10).fit(np.delete(X, row, axis=0)).theta_
        if np.sign(without[1] - without[2]) != np.sign(model.theta_[1] - model.theta_[2]):
            without = without[[0, 2, 1, 4, 3]] * [-1, 1, 1, 1, 1]
        change = model.theta_ - without
        assert np.allclose(change, influence[row], rtol=0.1, atol=0.1 * np.abs(influence[row]).max())


def test_influence_of_directions(level):
    X = VonMisesFisher.from_params(mean_direction=[0.6, 0.8, 0.0], concentration=3.0).sample(500, random_state=0)
    for direction in ("joint", "mean"):
        for change, influence in leave_one_out(lambda d=direction: VonMisesFisher(direction=d), X, [0, 3]):
            assert np.allclose(change, influence, rtol=0.05, atol=0.01 * np.abs(influence).max())


def coverage(fit, true, draw, of=None, n_sets=1000, level=0.95):
    """How often intervals hold the truth, and the least and the most that chance makes of the level."""
    held = []
    random = np.random.default_rng(7)
    for _ in range(n_sets):
        intervals = fit(draw(random)).confidence_intervals(level, of=of)
        held.append((intervals[:, 0] <= true) & (true <= intervals[:, 1]))
    spread = 4 * np.sqrt(level * (1 - level) / n_sets)
    return np.mean(held, axis=0), (level - spread - 0.005, level + spread)


def gamma_jacobian(x):
    return np.stack([1 / x, -np.ones_like(x)], axis=1)


def gamma_hessian_diagonal(x):
    return np.stack([-1 / x**2, np.zeros_like(x)], axis=1)


def truncated_normal(random):
    x = random.normal(0.5, 1.0, size=2000)
    return x[x > 0][:1000, None]


def two_normals(random):
    return random.normal([1.0, 2.0], [1.0, 3.0], size=(1000, 2))


def directions(random):
    return MEAN_DIRECTION.sample(600, random_state=int(random.integers(2**31)))


MEAN_DIRECTION = VonMisesFisher.from_params(mean_direction=[0.6, 0.8, 0.0], concentration=3.0)
GAMMA = ExponentialFamily(gamma_jacobian, gamma_hessian_diagonal, 2, domain=NonNegative(), weight=Power(2))


@pytest.mark.parametrize(
    ("model", "true", "draw", "of"),
    [
        (Gaussian(), [1.0, 2.0], two_normals, "mean"),
        (Gaussian(covariance_type="diag"), [1.0, 1 / 9, 1.0, 2 / 9], two_normals, None),
        (StudentT(df=6), [0.0, 0.0], lambda random: random.standard_t(6, size=(600, 1)), None),
        (VonMisesFisher(), [3.0], directions, "concentration"),
        (Gaussian(domain=NonNegative(), weight=MinPower(c=1.0)), [1.0, 0.5], truncated_normal, None),
        (GAMMA, [2.0, 2.0], lambda random: random.gamma(3.0, 0.5, size=(1000, 1)), None),
    ],
    ids=["mean", "precision", "student t", "concentration", "truncated", "gamma"],
)
def test_intervals_hold_the_truth_as_often_as_they_say(model, true, draw, of, level):
    found, (least, most) = coverage(model.fit, np.array(true), draw, of)
    assert (found >= least).all(), found
    assert (found <= most).all(), found


# -- what has no standard error ------------------------------------------------------------------------------------


def test_what_is_not_determined_is_nan_with_a_reason():
    X = np.random.default_rng(8).normal(size=(500, 2))
    X = np.column_stack([X, X[:, 0]])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = Gaussian().fit(X)
    errors, reasons = model.standard_errors_, model._sandwich().reasons
    names = np.array(model.theta_names_)
    # ψ = η − Px stays as it is along P + c vvᵀ with v = (1, 0, −1), and along nothing else.
    assert set(names[np.isnan(errors)]) == {"precision[0,0]", "precision[0,2]", "precision[2,2]"}
    assert all("do not determine" in reason for reason in reasons.values())
    assert np.isfinite(errors[list(names).index("precision[1,1]")])


def test_coefficients_at_zero_have_no_error():
    X = np.abs(np.random.default_rng(9).normal(size=(1000, 3)))
    model = PairwiseInteraction(alpha=0.2).fit(X)
    off = np.array(
        [name in ("interaction[0,1]", "interaction[0,2]", "interaction[1,2]") for name in model.theta_names_]
    )
    assert np.array_equal(np.isnan(model.standard_errors_), off & (model.theta_ == 0))
    assert np.isnan(model.confidence_intervals()[off & (model.theta_ == 0)]).all()
    with pytest.raises(ValueError, match=r"R uses interaction\[0,1\], which has no standard error"):
        model.wald_test("interaction[0,1]")


def test_degrees_of_freedom_at_their_limit():
    X = np.random.default_rng(10).uniform(size=(500, 2))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = StudentT().fit(X)
    assert np.isnan(model.standard_errors_[-1])
    assert "df_ has run to" in model._sandwich().reasons[len(model.theta_) - 1]
    assert np.isfinite(model.standard_errors_[:-1]).all()
    assert np.isfinite(model.covariance(of="location")).all()


def test_fit_that_did_not_converge_has_none():
    X = correlated()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = ICA(random_state=0, max_iter=1).fit(X)
    assert np.isnan(model.standard_errors_).all()
    assert set(model._sandwich().reasons.values()) == {"the fit has not converged"}


def test_kinks_have_no_derivative():
    X = np.random.default_rng(11).normal(size=(1000, 2))
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    model = VonMisesFisher.from_params(mean_direction=[1.0, 0.0], concentration=0.0)
    assert np.isnan(model.covariance(of="concentration", X=X)).all()
    assert np.isfinite(model.covariance(X=X)).all()


# -- data of the fit -----------------------------------------------------------------------------------------------


def test_data_of_the_fit_are_held_and_not_pickled():
    X = correlated()
    model = StudentT().fit(X)
    assert model._training[0] is X
    fresh = pickle.loads(pickle.dumps(model))
    with pytest.raises(ValueError, match="does not hold the data that it was fitted to"):
        fresh.covariance()
    assert np.array_equal(fresh.covariance(X=X), model.covariance())
    assert np.array_equal(pickle.loads(pickle.dumps(model)).standard_errors_, model.standard_errors_)


def test_changed_data_are_noticed():
    X = correlated()
    model = Gaussian().fit(X)
    X *= 2
    with pytest.raises(ValueError, match="have changed since"):
        model.covariance()


def test_blocks_are_not_held():
    X = correlated()
    model = Gaussian().partial_fit(X[:200]).partial_fit(X[200:])
    with pytest.raises(ValueError, match="pass X"):
        _ = model.standard_errors_
    assert np.allclose(model.covariance(X=X), Gaussian().fit(X).covariance(), rtol=1e-9)


def test_refit_forgets_the_old_errors():
    X = correlated()
    model = Gaussian().fit(X)
    first = model.standard_errors_
    assert not np.allclose(model.fit(X[:100]).standard_errors_, first)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("domain", [None, Box([-10.0, -10.0], [10.0, 10.0]), Ball(15.0)], ids=["space", "box", "ball"])
def test_float_types_agree(dtype, domain, level):
    X = correlated().astype(np.float32)
    reference = StudentT(domain=domain).fit(X.astype(np.float64)).covariance()
    found = StudentT(domain=domain).fit(X.astype(dtype)).covariance()
    assert np.allclose(found, reference, rtol=0.02, atol=0.02 * np.abs(reference).max())


def test_weights_are_shares():
    X, weight = correlated(), np.random.default_rng(0).uniform(0.5, 2.0, size=400)
    model = Gaussian().fit(X, sample_weight=weight)
    mean = np.average(X, axis=0, weights=weight)
    rows = weight[:, None] * (X - mean) / weight.sum()
    assert np.allclose(model.covariance(of="mean"), rows.T @ rows, rtol=1e-8)
    assert np.allclose(model.covariance(), Gaussian().fit(X, sample_weight=3 * weight).covariance())


# -- hypotheses ----------------------------------------------------------------------------------------------------


def test_wald_test_by_hand():
    model = Gaussian().fit(correlated())
    R, r = np.array([[1.0, 0, -1, 0, 0], [0, 1, 0, 0, 0]]), np.array([0.0, 0.1])
    found = model.wald_test(R, r)
    miss = R @ model.theta_ - r
    statistic = miss @ np.linalg.solve(R @ model.covariance() @ R.T, miss)
    assert np.isclose(found.statistic, statistic)
    assert found.df == 2
    from scipy.stats import chi2

    assert np.isclose(found.p_value, chi2.sf(statistic, 2))
    named = model.wald_test(["precision[0,1]", "linear[0]"])
    assert named.df == 2
    assert np.isclose(model.wald_test([1.0, -1.0], of="mean").df, 1)


def test_wald_test_has_its_size():
    random = np.random.default_rng(12)
    p_values = [
        Gaussian(covariance_type="diag").fit(random.normal(size=(300, 2))).wald_test(np.eye(4)[2:]).p_value
        for _ in range(400)
    ]
    assert abs(np.mean(np.array(p_values) < 0.1) - 0.1) < 4 * np.sqrt(0.09 / 400)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: m.covariance(kind="jackknife"), "kind must be one of"),
        (lambda m: m.covariance(of="nothing"), "of must name a parameter, one of covariance, mean, precision"),
        (lambda m: m.covariance(of="theta_names"), "of must name a parameter"),
        (lambda m: m.confidence_intervals(level=1.5), "level must lie between 0 and 1; got 1.5"),
        (lambda m: m.confidence_intervals(level="a"), "level"),
        (lambda m: m.covariance(kind="bootstrap"), "pass X"),
        (lambda m: m.covariance(sample_weight=[1.0]), "sample_weight goes with X"),
        (lambda m: m.wald_test(np.ones((2, 5))), "linearly independent"),
        (lambda m: m.wald_test(np.zeros(5)), "row 0 of R is all zeros"),
        (lambda m: m.wald_test(np.ones(3)), r"R must have 5 columns, one for each parameter; got shape \(1, 3\)"),
        (lambda m: m.wald_test("precision[9]"), r"R names 'precision\[9\]'; parameters are precision\[0,0\]"),
        (lambda m: m.loss_gradients([[np.nan, 1.0]]), "X contains NaN or infinity: row 0, column 0"),
        (lambda m: m.loss_gradients([[1.0, 1.0]], [1.0]), r"theta must have shape \(5,\)"),
        (lambda m: m.covariance(X=np.ones((3, 3))), "features"),
    ],
    ids=itertools.count(),
)  # fmt: skip
def test_errors(call, message):
    model = Gaussian().fit(correlated())
    with pytest.raises((ValueError, TypeError), match=message):
        call(model)


def test_powers_are_no_parameters():
    model = PolynomialExponentialFamily(2).fit(correlated())
    with pytest.raises(ValueError, match="of must name a parameter, one of coef; got 'powers'"):
        model.covariance(of="powers")
    assert np.allclose(model.covariance(of="coef"), model.covariance(), rtol=1e-8)


def test_unfitted_model():
    with pytest.raises(scorematch._base.NotFittedError):
        _ = Gaussian().standard_errors_


def test_components_that_have_collapsed_or_products():
    X = np.random.default_rng(13).standard_t(5, size=(2000, 2))
    model = ProductOfStudentT(unit_length=True, random_state=0).fit(X)
    assert np.isfinite(model.standard_errors_).sum() >= 2
