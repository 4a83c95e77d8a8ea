"""Gradients of single samples where the way back from ψ to θ is long: mixtures, Student t, linear experts.

Against what the same core gives for one sample at a time, and against differences of the objective of single samples.
In sizes around those at which kernels change, since tests/test_contract.py has every family in one size or two.
"""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scorematch import GaussianMixture, StudentT, _core

Doubles = NDArray[np.float64]
# Family, variant, features, components, constants. Mixtures have a floor, or none; others what is given.
FAMILIES = [
    ("gaussian_mixture", "full", 1, 1, [0.0]),
    ("gaussian_mixture", "full", 2, 8, [1e-6]),
    ("gaussian_mixture", "full", 11, 2, [0.3]),
    ("gaussian_mixture", "tied", 1, 3, [0.1]),
    ("gaussian_mixture", "tied", 7, 4, [0.0]),
    ("gaussian_mixture", "diag", 1, 2, [0.0]),
    ("gaussian_mixture", "diag", 9, 3, [0.2]),
    ("gaussian_mixture", "spherical", 1, 2, [0.0]),
    ("gaussian_mixture", "spherical", 5, 4, [0.2]),
    ("student_t", "", 1, 0, []),
    ("student_t", "", 3, 0, [4.0]),
    ("student_t", "", 17, 0, []),
    ("ica", "logcosh", 1, 1, []),
    ("ica", "logistic", 9, 9, []),
    ("ica", "logcosh", 4, 3, [0.5, 1.0, 2.0]),
    ("ica", "logistic+coefficients", 3, 8, []),
    ("product_of_student_t", "", 5, 2, []),
    ("product_of_student_t", "", 2, 9, []),
    ("gaussian_bernoulli_rbm", "", 6, 2, []),
    ("gaussian_bernoulli_rbm", "", 2, 7, [0.7]),
]
each_family = pytest.mark.parametrize("args", FAMILIES, ids=lambda args: f"{args[0]}-{args[1] or 'plain'}-{args[2:4]}")


def fields(n: int, d: int) -> dict[str, Any]:
    """One field for each form that A and b take; as functions of the rows, since tables have one row a sample."""
    random = np.random.default_rng(3)
    a, b = random.uniform(0.2, 2.0, (n, d)), random.normal(size=(n, d))
    return {
        "euclidean": lambda rows: _core.Field.euclidean(),
        "one weight": lambda rows: _core.Field.tabulated(a[rows, :1].copy(), b[rows]),
        "weights of coordinates": lambda rows: _core.Field.tabulated(a[rows], b[rows]),
        "raised": lambda rows: _core.Field.tabulated(a[rows], b[rows]).raised(1.5),
    }


def problem(args: tuple[Any, ...], n: int) -> tuple[_core.Family, Doubles, Doubles]:
    """The family, a θ without any symmetry, and samples that single precision holds too."""
    family = _core.Family(*args)
    random = np.random.default_rng(len(args[0]) + args[2])
    theta = random.normal(scale=0.4, size=family.n_params)
    return family, theta, (2 * random.normal(size=(n, args[2]))).astype(np.float32).astype(np.float64)


def one_by_one(family: _core.Family, theta: Doubles, X: NDArray[Any], field: Any) -> Doubles:
    rows = [slice(i, i + 1) for i in range(len(X))]
    return np.array([_core.Loss(family, X[row], None, field(row), 1)(theta)[1] for row in rows])


@pytest.mark.usefixtures("level")
@each_family
def test_rows_are_gradients_of_single_samples(args, dtype):
    n = 45  # some packs of lanes at any level, and a part of one
    family, theta, X = problem(args, n)
    for field in fields(n, args[2]).values():
        gradients = _core.loss_gradients(family, theta, X.astype(dtype), field(slice(None)), 1)
        expected = one_by_one(family, theta, X, field)
        scale = np.abs(expected).max(axis=1, keepdims=True)
        assert (np.abs(gradients - expected) <= (1e-12 if dtype == np.float64 else 1e-4) * scale).all()


@each_family
def test_rows_are_slopes_of_the_objective(args):
    family, theta, X = problem(args, 9)
    for field in fields(9, args[2]).values():

        def objective(theta, field=field):
            terms = _core.evaluate(family, theta, X, field(slice(None)), ["norm_term", "hessian_term"], 1)
            return terms["norm_term"] + terms["hessian_term"]

        def slope(step, h, objective=objective):
            return (objective(theta + h * step) - objective(theta - h * step)) / (2 * h)

        gradients = _core.loss_gradients(family, theta, X, field(slice(None)), 1)
        # Richardson: the error of h² cancels.
        expected = np.stack([(4 * slope(e, 5e-4) - slope(e, 1e-3)) / 3 for e in np.eye(len(theta))], axis=1)
        assert (np.abs(gradients - expected) <= 1e-8 * np.abs(expected).max()).all()


@pytest.mark.usefixtures("level")
@each_family
def test_products_are_those_of_the_rows(args):
    n = 700  # several tiles
    family, theta, X = problem(args, n)
    sample_weight = np.random.default_rng(1).uniform(0.0, 2.0, n)
    sample_weight[::7] = 0
    for make in fields(n, args[2]).values():
        field = make(slice(None))
        loss, gradient, products = _core.gradient_products(family, theta, X, sample_weight, field, 1)
        weighted = sample_weight[:, None] * _core.loss_gradients(family, theta, X, field, 1)
        np.testing.assert_allclose(products, weighted.T @ weighted, rtol=1e-11, atol=1e-12 * np.abs(products).max())
        mean_loss, mean_gradient = _core.Loss(family, X, sample_weight, field, 1)(theta)
        total = sample_weight.sum()
        assert loss == pytest.approx(total * mean_loss, rel=1e-12)
        scale = np.abs(weighted).sum(axis=0)  # of what may cancel
        assert (np.abs(gradient - total * mean_gradient) <= 1e-13 * scale).all()


@pytest.mark.usefixtures("level")
@pytest.mark.parametrize("df", [[], [3.0]], ids=["estimated", "given"])
def test_student_t_far_out(df):
    """ρ falls with the square of the distance, and so do its gradients, also where δᵀPδ is more than a number holds."""
    family = _core.Family("student_t", "", 2, 0, df)
    theta = np.random.default_rng(0).normal(scale=0.4, size=family.n_params)
    X = np.array([[1.0, -0.5]]) * np.array([[1e100], [1e160], [1e250]])
    gradients = _core.loss_gradients(family, theta, X, _core.Field.euclidean(), 1)
    np.testing.assert_allclose(gradients, 0, atol=1e-90)


@pytest.mark.usefixtures("level")
@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "spherical"])
def test_far_from_the_origin_nothing_is_lost(covariance_type, dtype):
    """Samples and means moved together by a number that both hold exactly: the same gradients."""
    family = _core.Family("gaussian_mixture", covariance_type, 2, 3, [0.1])
    random = np.random.default_rng(0)
    theta = random.normal(scale=0.4, size=family.n_params)
    theta[2:8] = [-2.0, 1.0, 0.5, -1.0, 2.0, 1.5]  # the means
    X = np.round(random.normal(size=(20, 2)) * 4) / 4
    moved = theta.copy()
    moved[2:8] += 2.0**16
    gradients = [
        _core.loss_gradients(family, at, data.astype(dtype), _core.Field.euclidean(), 1)
        for at, data in ((theta, X), (moved, X + 2.0**16))
    ]
    np.testing.assert_allclose(
        gradients[1], gradients[0], rtol=0, atol=1e3 * np.finfo(dtype).eps * np.abs(gradients[0]).max()
    )


def test_models_of_many_parameters():
    """More rows of θ than lanes, and matrices beyond the first-level cache."""
    random = np.random.default_rng(0)
    d = 50
    root = random.normal(size=(d, d)) / 10 + np.eye(d)
    scale = root @ root.T
    for model in (
        StudentT.from_params(location=np.zeros(d), scale=scale, df=5.0),
        GaussianMixture.from_params(
            weights=[0.4, 0.6], means=random.normal(size=(2, d)), covariances=np.stack([scale, np.eye(d)])
        ),
    ):
        X = random.normal(size=(20, d))
        family = model._compiled()
        gradients = _core.loss_gradients(family, model.theta_, X, _core.Field.euclidean(), 1)
        expected = one_by_one(family, model.theta_, X, lambda rows: _core.Field.euclidean())
        np.testing.assert_allclose(gradients, expected, rtol=0, atol=1e-12 * np.abs(expected).max())
