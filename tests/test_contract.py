"""What every family promises, tested for all of them: see `cases.py` for the models, the data and the truth.

Errors are measured against the largest entry of what is expected.
"""

import functools
import itertools
import pickle
import tracemalloc
import warnings
from dataclasses import replace

import cases
import numpy as np
import pytest
import scorematch
from cases import EXAMPLES, FEW_EXAMPLES, ITERATIVE, Case, Example, needs_jax
from scorematch import RealSpace, Simplex, _core
from scorematch._quadratic import QuadraticForm
from scorematch._registry import families
from scorematch.weights import Log1p, MinPower, Power
from sklearn.base import clone

# Whether the estimate from a few rows can be normalised is not the point here.
pytestmark = pytest.mark.filterwarnings("ignore:the polynomial is no log density:UserWarning")

# Odd, so that the last tile is not full at any level.
N_ROWS = 77

ROUNDING = {np.float64: 1e-12, np.float32: 2e-5}


@pytest.fixture(params=EXAMPLES, ids=lambda example: example.name)
def example(request):
    return request.param


@pytest.fixture(params=FEW_EXAMPLES, ids=lambda example: example.name)
def some_example(request):
    return request.param


def assert_close(got, want, tolerance):
    got, want = np.asarray(got, dtype=np.float64), np.asarray(want, dtype=np.float64)
    assert got.shape == want.shape
    error = np.abs(got - want).max()
    assert error <= tolerance * np.abs(want).max(), f"error {error:.3g} of {np.abs(want).max():.3g}"


def assert_same_bits(got, want):
    got, want = np.asarray(got), np.asarray(want)
    assert got.dtype == want.dtype
    assert got.shape == want.shape
    assert got.tobytes() == want.tobytes()


def model_of(example: Example, **options):
    """The model; results do not depend on the number of threads, so it goes round."""
    return example.model(n_jobs=1 + EXAMPLES.index(example) % 3, **options)


def row_weights(n, seed=1):
    return np.random.default_rng(seed).uniform(0.1, 2.0, n)


def perturbed(theta, size=0.2):
    return theta + size * np.random.default_rng(2).normal(size=len(theta))


def per_sample(model, X):
    """All results that have a row for each sample, by name."""
    names = ["score_function", "hessian_trace", "hyvarinen_score", "unnormalized_log_density"]
    if not isinstance(model, scorematch.VonMisesFisher):
        names.append("hessian_diagonal")
    results = {name: getattr(model, name)(X) for name in names}
    results["norm_term"], results["hessian_term"] = model.score_matching_terms(X)
    return results


def outcome(model, X, sample_weight=None):
    """All results of a model, per sample and of the objective away from its minimum."""
    loss, gradient = model.loss_and_grad(perturbed(model.theta_), X, sample_weight)
    return {**per_sample(model, X), "loss": np.float64(loss), "gradient": gradient}


# -- The list of families -----------------------------------------------------------------------------------------


def test_python_and_compiled_families_agree():
    # A model with a name of its own, of a family with some options given, is no family.
    compiled = [family for family in families() if family._family and "_family" in vars(family)]
    assert sorted(family._family for family in compiled) == sorted(_core.families())
    for family in compiled:
        snake = "".join(
            f"_{letter}" if letter.isupper() and before.islower() else letter
            for before, letter in zip("A" + family.__name__, family.__name__, strict=False)
        ).lower()
        assert family._family == snake


def test_every_family_has_a_case():
    assert {family.__name__ for family in families()} == {case.family for case in cases.CASES}


@pytest.mark.parametrize("family", families(), ids=lambda family: family.__name__)
def test_every_option_with_alternatives_has_a_case(family):
    """Each compiled variant that the constructor's choices can reach is among the cases."""
    module = __import__(family.__module__, fromlist=["*"])
    choices = {
        option: getattr(module, constant)
        for option, constant in (("covariance_type", "COVARIANCE_TYPES"), ("nonlinearity", "NONLINEARITIES"))
        if hasattr(module, constant)
    }
    for option, values in choices.items():
        tested = {case.parameters.get(option) for case in cases.CASES if case.family == family.__name__}
        assert set(values) <= tested


def test_theta_has_the_documented_layout(example):
    model = example.model()
    assert len(model.theta_names_) == len(model.theta_) == len(set(model.theta_names_))
    assert model.theta_.dtype == np.float64


# -- Derivatives with respect to x --------------------------------------------------------------------------------


@functools.cache
def true_derivatives(example: Example):
    X, theta = example.data(N_ROWS), example.model().theta_
    return [np.asarray(value) for value in cases.truth(example.case.formula, example.on_sphere).derivatives(theta, X)]


@needs_jax
def test_derivatives_are_those_of_the_formula(example, dtype, level):
    model, X = model_of(example), example.data(N_ROWS).astype(dtype)
    log_density, gradient, diagonal = true_derivatives(example)
    tolerance = ROUNDING[dtype]
    assert_close(model.score_function(X), gradient, tolerance)
    assert_close(model.hessian_trace(X), diagonal.sum(axis=1), tolerance)
    ours = model.unnormalized_log_density(X).astype(np.float64)
    assert_close(ours - ours[0], log_density - log_density[0], tolerance)
    if example.on_sphere:
        with pytest.raises(ValueError, match="Laplace-Beltrami"):
            model.hessian_diagonal(X)
    else:
        assert_close(model.hessian_diagonal(X), diagonal, tolerance)


def slope(function, step):
    """The derivative of a function of one number at 0, to fourth order."""
    near, far = function(step) - function(-step), function(2 * step) - function(-2 * step)
    return (8 * near.astype(np.float64) - far) / (12 * step)


def curves(X, on_sphere):
    """Curves through each row in orthogonal directions, t -> (points, velocities): lines, or great circles."""
    n, d = X.shape
    if not on_sphere:
        for j in range(d):
            direction = np.broadcast_to(np.eye(d)[j], X.shape)
            yield lambda t, direction=direction: (X + t * direction, direction)
        return
    frames = np.linalg.qr(np.concatenate([X[:, :, None], np.broadcast_to(np.eye(d), (n, d, d))], axis=2))[0]
    for j in range(1, d):
        direction = frames[:, :, j]
        yield lambda t, direction=direction: (
            np.cos(t) * X + np.sin(t) * direction,
            np.cos(t) * direction - np.sin(t) * X,
        )


def test_derivatives_are_finite_differences(example, dtype, level):
    step, tolerance = {np.float64: (2e-3, 1e-8), np.float32: (0.05, 5e-3)}[dtype]
    if isinstance(example.domain, Simplex):  # which is small
        step /= 2
    model, X = model_of(example), example.data(N_ROWS)
    if example.weight is not None:
        domain = scorematch.NonNegative() if example.domain is None else example.domain
        X = X[domain.coordinate_distance(X)[0].min(axis=1) > 2 * step]
    assert len(X) > 10
    gradient, seconds = np.zeros_like(X), []
    for curve in curves(X, example.on_sphere):
        along = slope(lambda t, curve=curve: model.unnormalized_log_density(curve(t)[0].astype(dtype)), step)
        gradient += along[:, None] * curve(0.0)[1]

        def speed(t, curve=curve):
            points, velocity = curve(t)
            return np.sum(velocity * model.score_function(points.astype(dtype)), axis=1)

        seconds.append(slope(speed, step))
    X = X.astype(dtype)
    assert_close(model.score_function(X), gradient, tolerance)
    assert_close(model.hessian_trace(X), np.sum(seconds, axis=0), tolerance)
    if not example.on_sphere:
        assert_close(model.hessian_diagonal(X), np.stack(seconds, axis=1), tolerance)


# -- The objective ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "weight", [MinPower(), MinPower((0.5, 1.0, 2.0), 1.5), Power(0.5), Power(2), Log1p()], ids=repr
)
def test_derivative_of_weights(weight):
    x = np.random.default_rng(0).uniform(0.05, 3.0, (50, 3))
    h, derivative = weight(x)
    assert_close(derivative, slope(lambda t: weight(x + t)[0], 1e-4), 1e-8)
    # The closed forms once more, in words of their own.
    if isinstance(weight, MinPower):
        assert_close(h, np.where(x < np.asarray(weight.c), x, np.asarray(weight.c)) ** weight.p, 1e-15)
    elif isinstance(weight, Power):
        assert_close(h, np.exp(weight.p * np.log(x)), 1e-14)
    else:
        assert_close(h, np.log(1 + x), 1e-14)


def test_terms_follow_from_the_derivatives(example, dtype, level):
    model, X = model_of(example), example.data(N_ROWS).astype(dtype)
    norm_term, hessian_term = model.score_matching_terms(X)
    psi = model.score_function(X).astype(np.float64)
    h, derivative = example.h(X.astype(np.float64))
    second = model.hessian_trace(X) if example.on_sphere else np.sum(h * model.hessian_diagonal(X), axis=1)
    tolerance = ROUNDING[dtype]
    assert_close(norm_term, np.sum(h * psi**2, axis=1) / 2, tolerance)
    assert_close(hessian_term, second + np.sum(derivative * psi, axis=1), tolerance)
    assert_same_bits(model.hyvarinen_score(X), norm_term + hessian_term)


def test_loss_is_the_weighted_mean_of_the_terms(example, dtype, level):
    model, X, weight = model_of(example), example.data(N_ROWS).astype(dtype), row_weights(N_ROWS)
    rho = model.hyvarinen_score(X).astype(np.float64)
    scale = np.abs(rho).max()
    for sample_weight in (None, weight):
        mean = np.average(rho, weights=sample_weight)
        loss, _ = model.loss_and_grad(model.theta_, X, sample_weight)
        assert isinstance(loss, float)
        assert abs(loss - mean) <= ROUNDING[dtype] * scale
        assert abs(-model.score(X, sample_weight=sample_weight) - mean) <= 1e-12 * scale


@functools.cache
def true_objective(example: Example):
    """(θ, J, gradient) at the model's θ and near it, the rows weighted."""
    X, theta = example.data(N_ROWS), example.model().theta_
    truth = cases.truth(example.case.formula, example.on_sphere)
    results = []
    for point in (theta, perturbed(theta)):
        loss, gradient = truth.objective(point, X, *example.h(X), row_weights(N_ROWS))
        results.append((point, float(loss), np.asarray(gradient)))
    return results


@needs_jax
def test_objective_is_that_of_the_formula(example, dtype, level):
    model, X = model_of(example), example.data(N_ROWS).astype(dtype)
    scale = np.abs(model.hyvarinen_score(X)).max()
    for theta, loss, gradient in true_objective(example):
        our_loss, our_gradient = model.loss_and_grad(theta, X, row_weights(N_ROWS))
        assert abs(our_loss - loss) <= ROUNDING[dtype] * scale
        assert our_gradient.dtype == np.float64
        assert_close(our_gradient, gradient, ROUNDING[dtype])


def test_gradient_is_a_finite_difference(example, dtype, level):
    step, tolerance = {np.float64: (3e-4, 1e-8), np.float32: (0.01, 5e-3)}[dtype]
    model, X, weight = model_of(example), example.data(N_ROWS).astype(dtype), row_weights(N_ROWS)
    for theta in (model.theta_, perturbed(model.theta_)):
        _, gradient = model.loss_and_grad(theta, X, weight)
        directions = np.eye(len(theta))
        differences = [
            slope(lambda t, e=e: np.float64(model.loss_and_grad(theta + t * e, X, weight)[0]), step)  # noqa: B023
            for e in directions
        ]
        assert_close(gradient, differences, tolerance)


# Pairs of a family and a field that the core can do and no estimator offers.
KERNELS = [
    pytest.param(example, field, id=f"{example.name}-{field}")
    for example in FEW_EXAMPLES
    for field in (["sphere"] if example.case.family == "Gaussian" else ["min_power", "log1p"])
    # The core moves the origin on all of space alone.
    if example.weight is None and example.case.family in ("Gaussian", "ICA") and example.model()._origin() is None
]


@needs_jax
@pytest.mark.parametrize(("example", "field"), KERNELS)
def test_kernels_on_other_fields(example, field, dtype, level):
    model, X = example.model(), example.data(N_ROWS)
    X = X / np.linalg.norm(X, axis=1, keepdims=True) if field == "sphere" else np.abs(X) + 0.01
    weight = {"min_power": MinPower(0.75, 1.5), "log1p": Log1p()}.get(field)
    h, derivative = (np.ones_like(X), np.zeros_like(X)) if weight is None else weight(X)
    compiled_field = _core.Field.sphere() if weight is None else _core.Field.coordinate(field, 1.5, [0.75])
    rows = row_weights(N_ROWS)
    rows /= rows.mean()

    theta = perturbed(model.theta_)
    truth = cases.truth(example.case.formula, field == "sphere")
    _, psi, diagonal = (np.asarray(value) for value in truth.derivatives(theta, X))
    loss, gradient = truth.objective(theta, X, h, derivative, rows)
    ours = _core.evaluate(model._compiled(), theta, X.astype(dtype), compiled_field, ["norm_term", "hessian_term"], 2)
    tolerance = ROUNDING[dtype]
    assert_close(ours["norm_term"], np.sum(h * psi**2, axis=1) / 2, tolerance)
    assert_close(ours["hessian_term"], np.sum(h * diagonal + derivative * psi, axis=1), tolerance)
    our_loss, our_gradient = _core.Loss(model._compiled(), X.astype(dtype), rows, compiled_field, 2)(theta)
    assert abs(our_loss - loss) <= tolerance * np.abs(ours["hessian_term"]).max()
    assert_close(our_gradient, gradient, tolerance)


# -- Gradients of single samples ------------------------------------------------------------------------------------

compiled = pytest.mark.parametrize(
    "example", [example for example in EXAMPLES if example.compiled], ids=lambda example: example.name
)


def core_problem(example, X, size=0.05):
    """What the core's functions of one θ take: (family, θ, X, field), and the origin behind the number of threads."""
    model = example.model()
    theta = perturbed(np.asarray(model._compiled_theta(), dtype=np.float64), size)
    return (model._compiled(), theta, X, model._field(X, None)), model._origin()


@functools.cache
def differentiated_terms(example: Example):
    """Finite differences of the two terms of every row by the parameters, (n, p) each, in double precision."""
    (family, theta, X, field), origin = core_problem(example, example.data(N_ROWS))

    def terms(at):
        results = _core.evaluate(family, at, X, field, ["norm_term", "hessian_term"], 1, origin)
        return np.stack([results["norm_term"], results["hessian_term"]])

    columns = [slope(lambda t, e=e: terms(theta + t * e), 3e-4) for e in np.eye(len(theta))]
    return np.stack(columns, axis=-1)


@compiled
def test_gradients_of_samples_are_finite_differences(example, dtype, level):
    norm, hessian = differentiated_terms(example)
    (family, theta, X, field), origin = core_problem(example, example.data(N_ROWS).astype(dtype))
    tolerance = max(1e-8, ROUNDING[dtype])
    # In a field that is raised to a power the norm term counts so many times, in the objective as in its gradients.
    for power, there in ((1, field), (1.5, field.raised(1.5))):
        gradients = _core.loss_gradients(family, theta, X, there, 2, origin)
        assert gradients.dtype == np.float64
        assert_close(gradients, power * norm + hessian, tolerance)
        loss, gradient = _core.Loss(family, X, None, there, 1, origin)(theta)
        assert_close(gradient, gradients.mean(axis=0), 10 * ROUNDING[dtype])
        terms = _core.evaluate(family, theta, X, there, ["norm_term", "hessian_term"], 1, origin)
        rho = terms["norm_term"].astype(np.float64) + terms["hessian_term"]
        assert abs(loss - rho.mean()) <= ROUNDING[dtype] * np.abs(rho).max()
    plain = _core.evaluate(family, theta, X, field, ["norm_term", "hessian_term"], 1, origin)
    assert_close(terms["norm_term"], 1.5 * plain["norm_term"], ROUNDING[dtype])
    assert_close(terms["hessian_term"], plain["hessian_term"], ROUNDING[dtype])


@compiled
def test_gradient_products_are_those_of_the_gradients(example, dtype, level):
    (family, theta, X, field), origin = core_problem(example, example.data(N_ROWS).astype(dtype))
    weight = row_weights(N_ROWS)
    weight[5] = 0
    gradients = _core.loss_gradients(family, theta, X, field, 1, origin)
    for sample_weight in (None, weight):
        rows = gradients if sample_weight is None else weight[:, None] * gradients
        total = float(N_ROWS if sample_weight is None else weight.sum())
        loss, gradient, products = _core.gradient_products(family, theta, X, sample_weight, field, 3, origin)
        mean_loss, mean_gradient = _core.Loss(family, X, sample_weight, field, 1, origin)(theta)
        assert loss == pytest.approx(total * mean_loss, rel=ROUNDING[dtype])
        largest = np.abs(rows).sum(axis=0).max()
        assert np.abs(gradient - total * mean_gradient).max() <= ROUNDING[dtype] * largest
        assert_same_bits(products, products.T.copy())
        assert_close(products, rows.T @ rows, ROUNDING[dtype])


@pytest.mark.parametrize(
    "example", [example for example in FEW_EXAMPLES if example.compiled], ids=lambda example: example.name
)
def test_gradient_products_have_the_same_bits_on_any_number_of_threads(example, dtype):
    X, weight = many_rows(example)
    (family, theta, X, field), origin = core_problem(example, X.astype(dtype))
    first, other = (_core.gradient_products(family, theta, X, weight, field, n, origin) for n in (1, 3))
    for one, another in zip(first, other, strict=True):
        assert_same_bits(another, one)
    first, other = (_core.loss_gradients(family, theta, X, field, n, origin) for n in (1, 3))
    assert_same_bits(other, first)


def test_gradient_products_of_many_parameters(dtype, level):
    """More than go by chunks, and rows for more than one round."""
    example = next(iter(cases.examples_of(cases.gaussian("full", 24))))
    (family, theta, X, field), _ = core_problem(example, example.data(5000).astype(dtype), 0.01)
    weight = row_weights(len(X))
    rows = weight[:, None] * _core.loss_gradients(family, theta, X, field, 2)
    mean_loss, mean_gradient = _core.Loss(family, X, weight, field, 2)(theta)
    first, other = (_core.gradient_products(family, theta, X, weight, field, n) for n in (1, 3))
    for one, another in zip(first, other, strict=True):
        assert_same_bits(another, one)
    loss, gradient, products = first
    assert loss == pytest.approx(weight.sum() * mean_loss, rel=ROUNDING[dtype])
    assert np.abs(gradient - weight.sum() * mean_gradient).max() <= ROUNDING[dtype] * np.abs(rows).sum(axis=0).max()
    assert_close(products, rows.T @ rows, ROUNDING[dtype])


@pytest.mark.parametrize("field", ["sphere", "log1p"])
def test_gradients_of_samples_on_other_fields(field, dtype, level):
    """A full Gaussian where vᵀ∇ψv enters, and where each coordinate has a weight."""
    example = next(iter(cases.examples_of(cases.gaussian("full", 3))))
    X = np.random.default_rng(0).normal(size=(N_ROWS, 3))
    X = X / np.linalg.norm(X, axis=1, keepdims=True) if field == "sphere" else np.abs(X) + 0.01
    X = X.astype(dtype)
    there = _core.Field.sphere() if field == "sphere" else _core.Field.coordinate("log1p")
    (family, theta, _, _), _ = core_problem(example, X)
    gradients = _core.loss_gradients(family, theta, X, there, 1)
    for row in (0, 17, N_ROWS - 1):
        _, gradient = _core.Loss(family, X[[row]], None, there, 1)(theta)
        assert_close(gradients[row], gradient, ROUNDING[dtype])


def test_gradients_of_samples_about_an_origin(dtype, level):
    example = next(iter(cases.examples_of(cases.gaussian("full", 3))))
    (family, theta, X, field), _ = core_problem(example, example.data(N_ROWS).astype(dtype))
    origin = np.array([256.0, -512.0, 1024.0])
    about = _core.loss_gradients(family, theta, (X + origin).astype(dtype), field, 1, origin)
    shifted = ((X + origin).astype(dtype) - origin).astype(dtype)
    assert_close(about, _core.loss_gradients(family, theta, shifted, field, 1), ROUNDING[dtype])


@pytest.mark.parametrize("power", [0.0, -1.0, np.inf, np.nan])
def test_fields_are_raised_to_positive_powers(power):
    with pytest.raises(ValueError, match="power must be a positive, finite number; got"):
        _core.Field.euclidean().raised(power)


def test_moments_know_of_no_power():
    X, one = np.ones((3, 2)), np.zeros(2)
    raised = _core.Field.coordinate("log1p").raised(2.0)
    for call in (
        lambda: _core.weighted_moments(X, None, raised, one, False, 1),
        lambda: _core.polynomial_moments(X, None, raised, 2, True, one, one + 1, 1),
        lambda: _core.pairwise_moments(X, None, raised, 1.0, 1.0, True, False, one, 1),
    ):
        with pytest.raises(ValueError, match="not raised to a power"):
            call()


def dense_form(model, *data):
    """Γ and g, which a family of many parameters has block by block."""
    form = model.quadratic_form(*data)
    return form if isinstance(form, QuadraticForm) else form.assembled(model.fit_linear)


quadratic = pytest.mark.parametrize(
    "example", [example for example in EXAMPLES if example.has_quadratic_form], ids=lambda example: example.name
)


@quadratic
def test_quadratic_form_is_the_objective(example, dtype, level):
    model, X = model_of(example), example.data(N_ROWS).astype(dtype)
    for weight in (None, row_weights(N_ROWS)):
        gamma, g = dense_form(model, X, weight)
        assert_same_bits(gamma, gamma.T.copy())
        assert np.linalg.eigvalsh(gamma)[0] >= -ROUNDING[dtype] * np.abs(gamma).max()
        for seed in range(3):
            theta = np.random.default_rng(seed).normal(size=len(g))
            loss, gradient = model.loss_and_grad(theta, X, weight)
            terms = [theta @ gamma @ theta / 2, g @ theta]
            assert abs(loss - (terms[0] - terms[1])) <= ROUNDING[dtype] * np.abs(terms).sum()
            assert_close(gradient, gamma @ theta - g, 10 * ROUNDING[dtype])


@quadratic
def test_closed_form_minimises_the_objective(example, dtype):
    X, weight = example.data(200).astype(dtype), row_weights(200)
    model = example.unfitted().fit(X, sample_weight=weight)
    loss, gradient = model.loss_and_grad(model.theta_, X, weight)
    gamma, g = dense_form(model, X, weight)
    size = np.abs(gamma) @ np.abs(model.theta_) + np.abs(g)
    assert (np.abs(gradient) <= 50 * ROUNDING[dtype] * size).all()
    assert abs(model.objective_ - loss) <= 50 * ROUNDING[dtype] * np.abs(g @ model.theta_)


@pytest.mark.parametrize(
    "example",
    [example for example in EXAMPLES if example.name in ITERATIVE],
    ids=lambda example: example.name,
)
def test_iterative_fit_is_stationary(example, dtype):
    """At the estimate the gradient vanishes, for the weighted rows and for no others."""
    X, weight = example.data(2000).astype(dtype), row_weights(2000)
    options = {"max_iter": 1000, "n_init": 1} | (
        {"whiten": False} if "whiten" in example.unfitted().get_params() else {}
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # how well the data determine the estimate is not the point
        model = example.unfitted(**options).fit(X, sample_weight=weight)
    loss, gradient = model.loss_and_grad(model.theta_, X, weight)
    _, unweighted = model.loss_and_grad(model.theta_, X)
    assert np.abs(gradient).max() <= {np.float64: 1e-3, np.float32: 0.05}[dtype] * np.abs(unweighted).max()
    assert loss == pytest.approx(model.objective_, rel=1e-6)


# -- Rows and their weights ---------------------------------------------------------------------------------------


def assert_same_objective(model, first, second, tolerance):
    theta = perturbed(model.theta_)
    loss, gradient = model.loss_and_grad(theta, *first)
    other_loss, other_gradient = model.loss_and_grad(theta, *second)
    assert abs(loss - other_loss) <= tolerance * np.abs(model.hyvarinen_score(first[0])).max()
    assert_close(other_gradient, gradient, tolerance)


def test_weights_count_rows(example, dtype, level):
    """Weight 2 is the row twice, weight 0 the row left out."""
    model, X = model_of(example), example.data(N_ROWS).astype(dtype)
    counts = np.random.default_rng(4).integers(0, 4, N_ROWS)
    assert set(counts) == {0, 1, 2, 3}
    repeated = np.repeat(X, counts, axis=0)
    assert_same_objective(model, (X, counts), (repeated, None), ROUNDING[dtype])
    assert model.score(X, sample_weight=counts) == pytest.approx(model.score(repeated), rel=ROUNDING[dtype])


def test_many_rows_are_as_few(example, dtype, level):
    """The same rows over and over have the objective of one copy, whichever way many rows are treated."""
    model, X, weight = model_of(example), example.data(N_ROWS).astype(dtype), row_weights(N_ROWS)
    n_times = 300
    many = np.tile(X, (n_times, 1)), np.tile(weight, n_times)
    assert_same_objective(model, (X, weight), many, ROUNDING[dtype])
    assert_same_objective(model, (X, None), (many[0], None), ROUNDING[dtype])


def test_weight_zero_hides_anything(example, level):
    """Whatever stands in a row of weight 0: here one so large that its share would drown all others."""
    model, X = model_of(example), example.data(N_ROWS)
    spoilt = X.copy()
    spoilt[5] = 1e6
    if example.on_sphere or not (example.domain is None or example.domain.contains(spoilt[5:6])[0]):
        spoilt[5] = X[5]
    kept = np.ones(N_ROWS)
    kept[5] = 0
    theta = model.theta_
    loss, gradient = model.loss_and_grad(theta, np.delete(X, 5, axis=0))
    hidden_loss, hidden_gradient = model.loss_and_grad(theta, spoilt, kept)
    assert hidden_loss == pytest.approx(loss, rel=1e-11)
    assert_close(hidden_gradient, gradient, 1e-11)


def test_order_of_rows_does_not_matter(example, dtype, level):
    model, X, weight = model_of(example), example.data(N_ROWS).astype(dtype), row_weights(N_ROWS)
    order = np.random.default_rng(5).permutation(N_ROWS)
    assert_same_objective(model, (X, weight), (X[order], weight[order]), ROUNDING[dtype])
    ordered, shuffled = per_sample(model, X), per_sample(model, X[order])
    for name, value in ordered.items():
        assert_close(shuffled[name], value[order], ROUNDING[dtype])


def test_scale_of_weights_does_not_matter(some_example, dtype):
    model, X, weight = some_example.model(), some_example.data(N_ROWS).astype(dtype), row_weights(N_ROWS)
    theta = perturbed(model.theta_)
    loss, gradient = model.loss_and_grad(theta, X, weight)
    for factor in (2.0**-900, 0.25, 2.0**900):
        scaled_loss, scaled_gradient = model.loss_and_grad(theta, X, factor * weight)
        assert scaled_loss == loss
        assert_same_bits(scaled_gradient, gradient)
    for factor in (3.0, 1e-300, 1e300):
        scaled_loss, scaled_gradient = model.loss_and_grad(theta, X, factor * weight)
        assert scaled_loss == pytest.approx(loss, rel=ROUNDING[dtype])
        assert_close(scaled_gradient, gradient, ROUNDING[dtype])
    assert_same_bits(model.loss_and_grad(theta, X, np.full(N_ROWS, 0.5))[1], model.loss_and_grad(theta, X)[1])


def test_objective_adds_up_over_blocks(some_example, dtype):
    """Over more rows than a tile holds, and more tiles than there are chunks."""
    model = model_of(some_example)
    X, weight = some_example.data(70_001).astype(dtype), row_weights(70_001)
    theta = perturbed(model.theta_)
    edges = [0, 1, 300, 30_000, len(X)]
    parts = [
        (weight[a:b].sum(), *model.loss_and_grad(theta, X[a:b], weight[a:b])) for a, b in itertools.pairwise(edges)
    ]
    total = sum(part[0] for part in parts)
    loss, gradient = model.loss_and_grad(theta, X, weight)
    assert loss == pytest.approx(sum(part[0] * part[1] for part in parts) / total, rel=ROUNDING[dtype])
    assert_close(gradient, sum(part[0] * part[2] for part in parts) / total, ROUNDING[dtype])
    rows = [0, 255, 256, 511, 512, 30_000, 70_000]
    few = per_sample(model, X[rows])
    for name, value in per_sample(model, X).items():
        assert_close(value[rows], few[name], ROUNDING[dtype])


@quadratic
def test_closed_form_adds_up_over_blocks(example, dtype):
    X, weight = example.data(400).astype(dtype), row_weights(400)
    edges = [0, 3, 150, 400]
    blocks = [(X[a:b], None, weight[a:b]) for a, b in itertools.pairwise(edges)]
    whole = example.unfitted().fit(X, sample_weight=weight)
    parts = example.unfitted()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # three rows alone have a singular covariance
        for block in blocks[::-1]:
            parts.partial_fit(*block)
    assert_close(parts.theta_, whole.theta_, 500 * ROUNDING[dtype])
    forms = [dense_form(example.unfitted(), block[0], block[2]) for block in blocks]
    shares = np.array([block[2].sum() for block in blocks]) / weight.sum()
    gamma, g = dense_form(example.unfitted(), X, weight)
    assert_close(sum(share * form.gamma for share, form in zip(shares, forms, strict=True)), gamma, ROUNDING[dtype])
    assert_close(sum(share * form.g for share, form in zip(shares, forms, strict=True)), g, ROUNDING[dtype])


@quadratic
def test_closed_form_counts_rows(example, dtype):
    X, counts = example.data(400).astype(dtype), np.random.default_rng(6).integers(0, 4, 400)
    weighted = example.unfitted().fit(X, sample_weight=counts)
    repeated = example.unfitted().fit(np.repeat(X, counts, axis=0))
    assert_close(weighted.theta_, repeated.theta_, 500 * ROUNDING[dtype])


# -- Threads and instruction-set levels ---------------------------------------------------------------------------


@functools.cache
def many_rows(example: Example):
    """Enough for threads to start (`test_threads.py` makes sure that they do)."""
    n = example.case.n_rows_for_threads + 13
    return example.data(n), row_weights(n)


def test_results_have_the_same_bits_on_any_number_of_threads(some_example, dtype, level):
    X, weight = many_rows(some_example)
    X = X.astype(dtype)
    first, *others = (outcome(some_example.model(n_jobs=n_jobs), X, weight) for n_jobs in (1, 2, 3))
    for other in others:
        for name, value in first.items():
            assert_same_bits(other[name], value)


@pytest.mark.parametrize(
    "example",
    # A fit by iteration calls the objective, whose bits are tested for each field, and nothing else runs on threads.
    [example for example in FEW_EXAMPLES if example.has_quadratic_form or example.name in ITERATIVE],
    ids=lambda example: example.name,
)
def test_fits_have_the_same_bits_on_any_number_of_threads(example, dtype):
    X, weight = many_rows(example)
    X = X.astype(dtype)
    fitted = []
    for n_jobs in (1, 2, 3):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a few iterations are enough
            fitted.append(example.unfitted(n_jobs=n_jobs).fit(X, sample_weight=weight))
    for model in fitted[1:]:
        assert_same_bits(model.theta_, fitted[0].theta_)
        assert model.objective_ == fitted[0].objective_
        assert model.n_iter_ == fitted[0].n_iter_
        for name, value in model.params_.items():
            assert_same_bits(value, fitted[0].params_[name])


def test_levels_agree_to_rounding(example, dtype, level):
    model, X = model_of(example), example.data(1000).astype(dtype)
    there = outcome(model, X)
    _core.use_level(_core.supported_levels()[0])
    lowest = outcome(model, X)
    for name, value in lowest.items():
        assert_close(there[name], value, ROUNDING[dtype])


# -- Float types and memory ---------------------------------------------------------------------------------------


def test_results_keep_the_float_type(example, dtype):
    model, X = model_of(example), example.data(N_ROWS)
    results = per_sample(model, X.astype(dtype))
    assert {value.dtype for value in results.values()} == {np.dtype(dtype)}
    for name, value in per_sample(model, X).items():
        assert_close(results[name], value, ROUNDING[dtype])
    loss, gradient = model.loss_and_grad(model.theta_, X.astype(dtype))
    assert type(loss) is float
    assert gradient.dtype == np.float64


LAYOUTS = {
    "C": lambda X: X,
    "Fortran": np.asfortranarray,
    "strided": lambda X: np.repeat(np.repeat(X, 2, axis=0), 2, axis=1)[::2, ::2],
    "reversed": lambda X: X[::-1, ::-1],
}


def peak_memory(call):
    call()  # what is made once and kept
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    "some_example",
    # On the circle the lengths of the rows, which are checked, are as much as the data. Functions of the user's make
    # arrays of their own.
    [
        example
        for example in FEW_EXAMPLES
        if example.compiled
        and not (example.on_sphere and example.case.n_features == 2)
        # Distances to the boundary are kept, a number for each of X.
        and not isinstance(example.domain, Simplex)
    ],
    ids=lambda example: example.name,
)
def test_data_are_not_copied(some_example, dtype, layout):
    n = 50_000
    X = LAYOUTS[layout](some_example.data(n).astype(dtype))
    model = some_example.model(n_jobs=1)
    copy = X.size * X.itemsize
    # Checking the domain takes a mask, or the lengths of the rows.
    allowed = 0.02 * copy if some_example.setting == {} and not some_example.on_sphere else 0.75 * copy
    if some_example.has_quadratic_form:  # whatever n is: Γ, and what it is made of
        allowed += 4 * 8 * len(model.theta_) ** 2
    assert peak_memory(lambda: model.loss_and_grad(model.theta_, X)) < allowed
    assert peak_memory(lambda: model.hyvarinen_score(X)) < allowed + 4 * n * X.itemsize
    if some_example.has_quadratic_form:
        assert peak_memory(lambda: some_example.unfitted(n_jobs=1).fit(X)) < allowed + 0.1 * copy
        assert peak_memory(lambda: model.quadratic_form(X)) < allowed + 0.1 * copy


# -- The same model again -----------------------------------------------------------------------------------------


@functools.cache
def fitted_or_made(example: Example):
    """The model from parameters, and one that was fitted."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted = example.unfitted().fit(example.data(300))
    return example.model(), fitted


def test_params_make_the_same_model(example):
    X = example.data(N_ROWS)
    for model in fitted_or_made(example):
        # An option such as "estimate it" gives way to the estimate.
        again = type(model).from_params(**{**model.get_params(), **model.params_})
        before, after = per_sample(model, X), per_sample(again, X)
        for name, value in before.items():
            assert_close(after[name], value, 1e-10)
        assert set(again.params_) == set(model.params_)
        for name, value in model.params_.items():
            assert_close(again.params_[name], value, 1e-12)
            assert_close(getattr(again, f"{name}_"), value, 1e-12)


def assert_same_model(again, model, X):
    assert type(again) is type(model)
    assert again.get_params() == model.get_params()
    assert_same_bits(again.theta_, model.theta_)
    assert again.theta_names_ == model.theta_names_
    before, after = outcome(model, X), outcome(again, X)
    for name, value in before.items():
        assert_same_bits(after[name], value)
    for name in ("objective_", "converged_", "n_iter_"):
        assert getattr(again, name, None) == getattr(model, name, None)


def test_files_hold_the_model_to_the_last_bit(example, tmp_path):
    for model in fitted_or_made(example):
        if not example.compiled:
            with pytest.raises(ValueError, match=r"cannot be written to a model file.*is a function, own_"):
                scorematch.save_model(model, tmp_path / "model.json")
            continue
        scorematch.save_model(model, tmp_path / "model.json")
        assert_same_model(scorematch.load_model(tmp_path / "model.json"), model, example.data(N_ROWS))


def test_pickles_hold_the_model_to_the_last_bit(example):
    for model in fitted_or_made(example):
        assert_same_model(pickle.loads(pickle.dumps(model)), model, example.data(N_ROWS))


def test_clones_have_the_options_and_nothing_else(example):
    for model in fitted_or_made(example):
        again = clone(model)
        assert again.get_params() == model.get_params()
        assert not [name for name in vars(again) if name.endswith("_")]


def test_refitting_forgets(some_example):
    """A model that was fitted before fits as a new one does."""
    X, other = some_example.data(300), some_example.data(200, seed=9)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        again = some_example.unfitted().fit(other).fit(X)
        once = some_example.unfitted().fit(X)
    assert_same_model(again, once, X)


# -- Sizes: kernels work in blocks of features, components and lanes ------------------------------------------------


def sized_cases() -> list[Case]:
    found = []
    for d in (1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 15, 16, 17, 23, 33):
        k = 1 + (d * 5) % 9
        found += [cases.gaussian(kind, d) for kind in ("full", "diag", "spherical")]
        found += [cases.mixture(kind, d, k) for kind in ("full", "tied", "diag", "spherical")]
        found += [cases.ica("logcosh", d, d), cases.ica("logistic", 2 * d + 1, d, fit_coefficients=True)]
        found += [cases.ica("logcosh", (d + 1) // 2, d, centred=False)]
        found += [cases.product_of_student_t(d, d, orthant=True), cases.product_of_student_t(2 * d + 1, d)]
        found += [cases.gaussian_bernoulli_rbm(m, d, orthant=True) for m in ((d + 1) // 2, 2 * d, 2 * d + 1)]
        found += [cases.student_t(d, 2.5, estimated=d % 2 == 0)]
        found += [cases.von_mises_fisher(d)] if d > 1 else []
        # Away from 0, next to which finite differences of powers are none.
        found += [
            replace(case, settings=case.settings[1:2]) for case in (cases.pairwise(0.5, 0, d), cases.pairwise(2, 3, d))
        ]
        found += [cases.polynomial(4 if d < 7 else 2, d), cases.polynomial(6, d, interactions=False)]
    return found


@pytest.mark.parametrize(
    "example",
    [
        Example(case, setting, f"{case.name}-d{case.n_features}-{setting.get('weight', '')}")
        for case in sized_cases()
        for setting in case.settings[:2]
    ],
    ids=lambda example: example.name,
)
def test_all_sizes(example, level):
    """Against the formula itself, by finite differences along random directions."""
    n, d, step = 21, example.case.n_features, 1e-3
    model, X = example.model(n_jobs=1), example.data(n)
    if example.weight is not None:
        X += np.float32(4 * step)
    theta, random = perturbed(model.theta_, 0.2 / np.sqrt(d)), np.random.default_rng(8)
    model._set_theta(theta)

    def log_density(points):
        if example.on_sphere:
            points = points / np.linalg.norm(points, axis=1, keepdims=True)
        return example.case.formula(np, theta, points)

    psi = model.score_function(X)
    direction = random.normal(size=(n, d)) / np.sqrt(d)
    along = slope(lambda t: log_density(X + t * direction), step)
    assert_close(np.sum(psi * direction, axis=1), along, 1e-7)
    ours, theirs = model.unnormalized_log_density(X), log_density(X)
    assert_close(ours - ours[0], theirs - theirs[0], 1e-11)
    if not example.on_sphere:
        diagonal = np.stack(
            [slope(lambda t, e=e: model.score_function(X + t * e) @ e, step) for e in np.eye(d)], axis=1
        )
        assert_close(model.hessian_diagonal(X), diagonal, 1e-7)
        assert_close(model.hessian_trace(X), diagonal.sum(axis=1), 1e-7)
    rho = model.hyvarinen_score(X)
    loss, gradient = model.loss_and_grad(theta, X)
    assert abs(loss - rho.mean()) <= 1e-12 * np.abs(rho).max()
    for _ in range(3):
        change = random.normal(size=len(theta)) / np.sqrt(len(theta))
        expected = slope(lambda t: np.float64(model.loss_and_grad(theta + t * change, X)[0]), step)  # noqa: B023
        assert abs(gradient @ change - expected) <= 1e-7 * np.linalg.norm(gradient)


def test_domain_alone_changes_nothing_on_all_of_space():
    X = np.random.default_rng(0).normal(size=(20, 2))
    plain = scorematch.Gaussian().fit(X)
    assert_same_bits(scorematch.Gaussian(domain=RealSpace()).fit(X).theta_, plain.theta_)
