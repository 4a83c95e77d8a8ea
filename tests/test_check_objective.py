"""`check_objective`: right models pass, and models that are wrong on purpose are told what is wrong."""

import warnings

import numpy as np
import pytest
import scorematch
from cases import FEW_EXAMPLES
from scorematch import Ball, Box, ExponentialFamily, Gaussian, MinPower, NonNegative, UserWeight, check_objective
from scorematch._base import ScoreMatchingEstimator
from scorematch.weights import Tanh

X = np.random.default_rng(0).normal([0.5, -1.0, 2.0], [1.0, 2.0, 0.5], size=(200, 3))
POSITIVE = np.abs(X) + 0.05


@pytest.mark.parametrize("example", FEW_EXAMPLES, ids=lambda example: example.name)
def test_right_models_pass(example):
    check = check_objective(example.model(n_jobs=1), example.data(40, seed=4), n_rows=12)
    assert check.ok, str(check)
    # A weight is not smooth everywhere, and differences may all meet a kink.
    assert [item.name for item in check.checks if item.ok is None] == [], str(check)


@pytest.mark.parametrize("objective", ["sliced", "denoising", "finite_difference"])
@pytest.mark.parametrize("variance_reduction", [True, False])
def test_objectives_that_are_not_exact(objective, variance_reduction):
    model = Gaussian(
        objective=objective, noise_scale=[0.1, 0.3], variance_reduction=variance_reduction, random_state=3
    ).fit(X)
    check = check_objective(model, X)
    assert check.ok, str(check)
    assert check.checks[-1].name == f"{objective} objective on average"
    assert check.objective == objective


def test_sliced_objective_on_a_domain():
    model = Gaussian(domain=Box(0.0, 20.0), weight=Tanh(0.5), objective="sliced", random_state=0).fit(POSITIVE)
    assert check_objective(model, POSITIVE).ok


class _Sliced(Gaussian):
    """Its objective is right for one vector of length √d only: a factor is wrong."""

    def loss_and_grad(self, theta, X, sample_weight=None):
        value, slope = super().loss_and_grad(theta, X, sample_weight)
        factor = 1.0 if self.objective == "exact" else 2.0
        return factor * value, factor * slope


def test_a_wrong_factor_of_an_objective_on_average():
    model = _Sliced(objective="sliced", random_state=3).fit(X)
    item = check_objective(model, X).checks[-1]
    assert item.ok is False
    assert "factor of two" in item.diagnosis


# -- The user's own statistics: x, −½x² ---------------------------------------------------------------------------


def statistic(x):
    return np.concatenate([x, -(x**2) / 2], axis=1)


def jacobian(x):
    n, d = x.shape
    found = np.zeros((n, 2 * d, d))
    each = np.arange(d)
    found[:, each, each] = 1
    found[:, d + each, each] = -x
    return found


def hessian_diagonal(x):
    n, d = x.shape
    found = np.zeros((n, 2 * d, d))
    each = np.arange(d)
    found[:, d + each, each] = -1
    return found


def family(jac=jacobian, hess=hessian_diagonal, stat=statistic, **options):
    return ExponentialFamily.from_params(
        statistic_jacobian=jac,
        statistic_hessian_diagonal=hess,
        n_statistics=6,
        statistic=stat,
        theta=[0.3, -0.2, 0.9, 1.0, 0.4, 2.0],
        **options,
    )


def failed(model, points=X, **options):
    """What is wrong, by name."""
    check = check_objective(model, points, **options)
    assert not check.ok
    return {item.name: item for item in check.checks if item.ok is False}


def test_own_statistics_that_are_right():
    assert check_objective(family(), X).ok
    check = check_objective(family(stat=None), X)
    assert check.ok
    assert {item.name for item in check.checks if item.ok is None} == {"statistic_jacobian", "score function"}


def test_statistics_of_the_energy():
    wrong = failed(family(lambda x: -jacobian(x), lambda x: -hessian_diagonal(x)))
    assert "sign is reversed" in wrong["statistic_jacobian"].diagnosis
    assert "not ∇ₓ of the energy" in wrong["score function"].diagnosis
    assert "statistic_hessian_diagonal" not in wrong  # it is the derivative of the jacobian


def test_sign_of_the_hessian_alone():
    wrong = failed(family(hess=lambda x: -hessian_diagonal(x)))
    assert "statistic_jacobian" not in wrong
    assert "sign is reversed" in wrong["statistic_hessian_diagonal"].diagnosis.lower()
    assert "negative near a mode" in wrong["hessian trace"].diagnosis


def test_forgotten_laplacian():
    wrong = failed(family(hess=lambda x: np.zeros((len(x), 6, 3))))
    assert "forgotten" in wrong["statistic_hessian_diagonal"].diagnosis
    assert "forgotten" in wrong["hessian trace"].diagnosis


def test_factor_of_two_in_the_jacobian():
    wrong = failed(family(lambda x: 2 * jacobian(x), lambda x: 2 * hessian_diagonal(x)))
    assert "factor of two" in wrong["statistic_jacobian"].diagnosis
    assert "factor of two" in wrong["score function"].diagnosis


def test_one_wrong_entry_is_named():
    def wrong_jacobian(x):
        found = jacobian(x)
        found[:, 4, 1] *= 1.5
        return found

    item = failed(family(wrong_jacobian))["statistic_jacobian"]
    assert "statistic 4, column 1" in item.place
    assert item.found == pytest.approx(1.5 * item.expected)
    row = int(item.place.split(",")[0].removeprefix("row "))
    assert item.expected == pytest.approx(-X[row, 1])


def products(x):
    return np.stack([x[:, 0] * x[:, 1] ** 2, x[:, 1] * x[:, 2], np.sin(x[:, 0]) * x[:, 2]], axis=1)


def products_jacobian(x):
    found = np.zeros((len(x), 3, 3))
    found[:, 0, 0], found[:, 0, 1] = x[:, 1] ** 2, 2 * x[:, 0] * x[:, 1]
    found[:, 1, 1], found[:, 1, 2] = x[:, 2], x[:, 1]
    found[:, 2, 0], found[:, 2, 2] = np.cos(x[:, 0]) * x[:, 2], np.sin(x[:, 0])
    return found


def products_hessian(x):
    found = np.zeros((len(x), 3, 3))
    found[:, 0, 1], found[:, 2, 0] = 2 * x[:, 0], -np.sin(x[:, 0]) * x[:, 2]
    return found


@pytest.mark.parametrize("with_statistic", [True, False])
def test_transposed_jacobian(with_statistic):
    arguments = {
        "n_statistics": 3,
        "statistic": products if with_statistic else None,
        "theta": [0.5, -0.7, 0.3],
        "statistic_hessian_diagonal": products_hessian,
    }
    right = ExponentialFamily.from_params(statistic_jacobian=products_jacobian, **arguments)
    assert check_objective(right, X).ok
    transposed = ExponentialFamily.from_params(
        statistic_jacobian=lambda x: products_jacobian(x).transpose(0, 2, 1), **arguments
    )
    wrong = failed(transposed)
    assert "transposed" in wrong["score function is a gradient"].diagnosis
    if with_statistic:
        assert "transposed" in wrong["statistic_jacobian"].diagnosis


# -- Families whose author overrides what the library asks for ----------------------------------------------------


class _Wrong(Gaussian):
    """A Gaussian whose results are changed."""

    change = staticmethod(lambda model, name, value: value)

    def _evaluate_rows(self, X, *wanted):
        found = super()._evaluate_rows(X, *wanted)
        return {name: self.change(found, name, value) for name, value in found.items()}


def wrong_gaussian(change, points=X, **options):
    model = type("Changed", (_Wrong,), {"change": staticmethod(change)})(**options)
    model.__class__ = Gaussian  # the fit is that of the Gaussian
    model.fit(points)
    model.__class__ = type("Changed", (_Wrong,), {"change": staticmethod(change)})
    return model


def only(name, factor):
    return lambda _, own, value: factor * value if own == name else value


@pytest.mark.parametrize(
    ("name", "factor", "where", "text"),
    [
        ("score", -1, "score function", "not ∇ₓ of the energy"),
        ("score", 2, "score function", "factor of two"),
        ("hessian_trace", 1 / 3, "hessian trace", "mean over the columns"),
        ("hessian_trace", 0, "hessian trace", "forgotten"),
        ("hessian_diagonal", 0.5, "hessian diagonal", "factor of two"),
        ("norm_term", 2, "norm term", "the norm term is ½‖ψ‖²"),
        ("norm_term", 2, "hyvarinen score", "the norm term is ½‖ψ‖²"),
        ("hessian_term", 0, "hessian term", "forgotten"),
        ("hessian_term", 0, "hyvarinen score", "The Hessian term has been forgotten"),
        ("hessian_term", -1, "hyvarinen score", "sign is reversed in the Hessian term"),
        ("log_density", 3, "score function", "0.333333 times"),
    ],
)
def test_diagnosis(name, factor, where, text):
    item = failed(wrong_gaussian(only(name, factor)))[where]
    assert text.lower() in item.diagnosis.lower()
    assert item.place.startswith("row ")


class _WrongLoss(Gaussian):
    value, slope = 1.0, 1.0

    def loss_and_grad(self, theta, X, sample_weight=None):
        value, slope = super().loss_and_grad(theta, X, sample_weight)
        return self.value * value, self.slope * slope


@pytest.mark.parametrize(
    ("slope", "text"), [(-1.0, "sign"), (2.0, "factor of two"), (60.0, "sum over the rows"), (0.0, "forgotten")]
)
def test_gradient_that_does_not_belong_to_the_objective(slope, text):
    model = _WrongLoss().fit(X)
    model.slope = slope
    wrong = failed(model)
    assert "objective" not in wrong
    assert text in wrong["gradient"].diagnosis.lower()
    model.value = slope
    assert text in failed(model)["objective"].diagnosis.lower()


def test_a_single_wrong_derivative_names_the_parameter():
    model = _WrongLoss().fit(X)
    factors = np.ones(9)
    factors[4] = 1.1
    model.slope = factors
    assert failed(model)["gradient"].place == model.theta_names_[4]


def test_weight_whose_derivative_is_wrong():
    right = UserWeight(lambda t: np.minimum(t, 30.0) ** 2, lambda t: np.where(t < 30.0, 2 * t, 0.0))
    wrong = UserWeight(lambda t: np.minimum(t, 30.0) ** 2, lambda t: np.where(t < 30.0, t, 0.0))
    model = Gaussian(domain=NonNegative(), weight=right).fit(POSITIVE)
    assert check_objective(model, POSITIVE).ok
    model = Gaussian(domain=NonNegative(), weight=wrong).fit(POSITIVE)
    assert "factor of two" in failed(model, POSITIVE)["derivative of the weight"].diagnosis


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda a, b, s, h: (b * s).sum(1), "Laplacian has been forgotten"),
        (lambda a, b, s, h: (a * h).sum(1), "derivative of the weight"),
        (lambda a, b, s, h: h.sum(1), "weight of the domain is missing"),
    ],
)
def test_terms_on_a_domain(change, text):
    weight = MinPower(c=1.0)
    model = Gaussian(domain=NonNegative(), weight=weight).fit(POSITIVE)

    class Changed(Gaussian):
        def score_matching_terms(self, X):
            a, b = weight(X)
            return super().score_matching_terms(X)[0], change(a, b, self.score_function(X), self.hessian_diagonal(X))

    model.__class__ = Changed
    assert text in failed(model, POSITIVE)["hessian term"].diagnosis


class Laplacian(ScoreMatchingEstimator):
    """A family of somebody's own, in plain NumPy: log p = −θ Σ log cosh x_j."""

    _required_params = ("rate",)
    trace_factor = 1.0

    def _layout(self):
        return [("rate", "dense", ())]

    def _set_params_from_theta(self):
        self.rate_ = float(self.theta_[0])
        self.params_ = {"rate": np.asarray(self.rate_)}

    def _theta_from_params(self, params):
        return 3, np.array([params["rate"]])

    def fit(self, X, y=None, sample_weight=None):
        raise AssertionError("models here are made from parameters")

    def _terms(self, X, rate):
        tanh = np.tanh(X)
        return -rate * tanh, -rate * (1 - tanh**2)

    def _evaluate_rows(self, X, *wanted):
        score, second = self._terms(X, self.rate_)
        found = {
            "log_density": -self.rate_ * np.log(np.cosh(X)).sum(axis=1),
            "score": score,
            "hessian_diagonal": second,
            "hessian_trace": second.sum(axis=1),
            "norm_term": (score**2).sum(axis=1) / 2,
            "hessian_term": self.trace_factor * second.sum(axis=1),
        }
        return {name: found[name] for name in wanted}

    def _loss(self, X, sample_weight):
        def loss(theta):
            score, second = self._terms(X, 1.0)
            norm = np.average((score**2).sum(axis=1) / 2, weights=sample_weight)
            trace = np.average(second.sum(axis=1), weights=sample_weight)
            return theta[0] ** 2 * norm + theta[0] * trace, np.array([2 * theta[0] * norm + trace])

        return loss


def test_a_family_of_somebody_elses_is_drawn_from():
    # Without code for it: its score function and log density are all that chains need.
    model = Laplacian.from_params(rate=1.3)
    grid = np.linspace(-30, 30, 20_001)
    density = np.cosh(grid) ** -1.3
    variance = np.average(grid**2, weights=density)
    rows = model.sample(4000, 0, method="hmc")
    assert rows.shape == (4000, 3)
    # Five standard errors of independent draws, of a kurtosis below 6.
    assert np.abs(rows.mean(axis=0)).max() < 5 * np.sqrt(variance / 4000)
    assert np.abs(rows.var(axis=0) / variance - 1).max() < 5 * np.sqrt(5 / 4000)


def test_a_family_of_somebody_elses():
    model = Laplacian.from_params(rate=1.3)
    check = check_objective(model, X, sample_weight=np.linspace(0.5, 2, len(X)))
    assert check.ok, str(check)
    model.trace_factor = -1.0
    wrong = failed(model)
    assert "sign" in wrong["hessian term"].diagnosis.lower()
    assert "sign is reversed in the Hessian term" in wrong["hyvarinen score"].diagnosis.lower().replace(
        "hessian", "Hessian"
    )


# -- How it is asked and what it shows ----------------------------------------------------------------------------


def test_result():
    check = check_objective(family(lambda x: -jacobian(x), lambda x: -hessian_diagonal(x)), X)
    text = str(check)
    assert text == repr(check)
    assert "First of them: statistic_jacobian is wrong: worst at row" in check.verdict
    assert "should be" in text
    assert "<table" in check._repr_html_()
    frame = check.to_frame()
    assert not frame.loc["statistic_jacobian", "ok"]
    assert list(frame.columns) == ["ok", "n_compared", "error", "place", "found", "expected", "diagnosis"]
    assert "passed" in check_objective(Gaussian().fit(X), X).verdict


def test_float32_frames_and_far_data():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(X.astype(np.float32), columns=["a", "b", "c"])
    assert check_objective(Gaussian().fit(frame), frame).ok
    far = X * [1e-3, 1.0, 1e3] + [1.0, 1e4, -1e6]
    check = check_objective(Gaussian().fit(far), far)
    assert check.ok, str(check)


def test_narrow_components():
    rng = np.random.default_rng(0)
    points = np.concatenate([rng.normal(0, 1e-3, (100, 2)), rng.normal(5, 1, (100, 2))])
    model = scorematch.GaussianMixture.from_params(
        weights=[0.5, 0.5], means=[[0.0, 0.0], [5.0, 5.0]], covariances=[1e-6, 1.0], covariance_type="spherical"
    )
    check = check_objective(model, points)
    assert check.ok, str(check)


@pytest.mark.parametrize(
    ("seed", "options"),
    [
        (1, {"objective": "finite_difference"}),  # a mean that does not enter
        (19, {"objective": "sliced", "variance_reduction": False}),
    ],
)
def test_a_component_that_has_collapsed_is_no_mistake(seed, options):
    heavy = np.random.default_rng(seed).standard_t(3, size=(200, 2))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = scorematch.GaussianMixture(2, random_state=seed, **options).fit(heavy)
    check = check_objective(model, heavy, random_state=seed, verbose=False)
    assert check.ok, str(check)


def test_components_narrower_than_the_step():
    model = scorematch.GaussianMixture.from_params(
        weights=[0.5, 0.5], means=[[0.0], [1.0]], covariances=[1e-6, 1.0], covariance_type="spherical",
        objective="finite_difference", random_state=0,
    )  # fmt: skip
    points = np.concatenate([3e-4 * np.arange(20.0), np.linspace(0.5, 3, 20)])[:, None]
    check = check_objective(model, points, verbose=False)
    assert check.ok, str(check)
    assert "changes altogether within the smallest step" in check.checks[-1].diagnosis


def test_input():
    model = Gaussian().fit(X)
    with pytest.raises(TypeError, match="model must be a fitted model"):
        check_objective(lambda x: x, X)
    with pytest.raises(ValueError, match="n_rows must be an integer"):
        check_objective(model, X, n_rows=0)
    with pytest.raises(ValueError, match="not fitted"):
        check_objective(Gaussian(), X)
    with pytest.raises(ValueError, match="tol must be"):
        check_objective(model, X, tol=-1.0)
    domain = Ball(30.0)
    assert check_objective(Gaussian(domain=domain).fit(POSITIVE), POSITIVE, sample_weight=np.arange(200.0)).ok
