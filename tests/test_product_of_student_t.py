"""Products of Student-t experts: recovery, samples, minibatches, and what has no answer."""

import numpy as np
import pytest
from scorematch import MinPower, NonNegative, ProductOfStudentT
from scorematch._product_of_student_t import _by_precisions

MIXING = np.array([[2.0, 1.0, 0.0], [0.5, 1.5, 0.3], [-0.4, 0.2, 1.0]])
EXPONENTS = np.array([1.8, 2.5, 4.0])
TRUE = ProductOfStudentT.from_params(components=np.linalg.inv(MIXING), exponents=EXPONENTS, mean=[1.0, -2.0, 0.5])


def matched(model):
    """How filters of the model, in the order and with the signs that fit best, are those of the truth, (m, d)."""
    product = model.components_ @ MIXING
    order = np.abs(product / np.linalg.norm(product, axis=1, keepdims=True)).argmax(axis=0)
    assert sorted(order) == [0, 1, 2]
    return order, product[order]


@pytest.mark.parametrize("whiten", [True, False])
def test_recovers_filters_and_exponents(whiten):
    X = TRUE.sample(40_000, random_state=1) - (0.0 if whiten else TRUE.mean_)
    model = ProductOfStudentT(whiten=whiten, random_state=0, n_init=2).fit(X)
    assert model.converged_
    order, product = matched(model)
    lengths = np.linalg.norm(product, axis=1, keepdims=True)
    np.testing.assert_allclose(np.abs(product / lengths), np.eye(3), atol=0.05)
    # The precision at the centre is what the data tell best.
    curvature = model.exponents_[order] * lengths[:, 0] ** 2
    np.testing.assert_allclose(curvature, EXPONENTS, rtol=0.15)
    np.testing.assert_allclose(model.exponents_[order], EXPONENTS, rtol=0.5)


def test_samples_are_those_of_independent_student_t():
    """(1 + ½s²)^−α is the density of a Student t with 2α − 1 degrees of freedom, in units that make s² = 2t²/ν."""
    from scipy.stats import kstest, t

    model = ProductOfStudentT.from_params(components=np.eye(2), exponents=[1.5, 3.0])
    draws = model.sample(20_000, random_state=0)
    for column, alpha in zip(draws.T, model.exponents_, strict=True):
        df = 2 * alpha - 1
        assert kstest(column * np.sqrt(df / 2), t(df).cdf).pvalue > 1e-3
    assert abs(np.corrcoef(np.sign(draws).T)[0, 1]) < 0.03


def test_same_estimate_on_minibatches():
    """Within a fraction of the statistical error of the objective, and with the same bits again on other threads."""
    X = TRUE.sample(20_000, random_state=2)
    exact = ProductOfStudentT(random_state=0).fit(X)
    fits = [ProductOfStudentT(batch_size=256, random_state=0, n_jobs=n_jobs).fit(X) for n_jobs in (1, 2)]
    assert fits[0].theta_.tobytes() == fits[1].theta_.tobytes()
    assert len(fits[0].history_) == fits[0].n_iter_
    error = exact.hyvarinen_score(X).std() / np.sqrt(len(X))
    assert abs(fits[0].objective_ - exact.objective_) < 0.3 * error


def test_more_experts_than_dimensions():
    """Two directions in the plane, each with heavy tails, and a third: more filters fit such data better."""
    random = np.random.default_rng(0)
    directions = np.array([[1.0, 0.0], [0.5, np.sqrt(0.75)], [-0.5, np.sqrt(0.75)]])
    X = random.standard_t(2.5, size=(8000, 3)) @ directions
    few, many = (ProductOfStudentT(m, random_state=0, n_init=3).fit(X) for m in (2, 3))
    assert many.components_.shape == (3, 2)
    assert many.objective_ < few.objective_


def test_variables_of_the_search():
    """(w√α, t) stand for θ, there and back, with exact gradients, and exponents keep within their limits."""
    variables, random = _by_precisions(3), np.random.default_rng(0)
    theta = np.concatenate([random.normal(size=12), np.log([0.01, 2.0, 500.0])])
    phi = variables.of(theta)
    np.testing.assert_allclose(variables.theta(phi), theta, rtol=1e-12)
    curvature = random.normal(size=(15, 15))
    loss = variables.loss(lambda at: (at @ curvature @ at / 2, (curvature + curvature.T) @ at / 2))
    step = 1e-6
    differences = [(loss(phi + step * e)[0] - loss(phi - step * e)[0]) / (2 * step) for e in np.eye(15)]
    np.testing.assert_allclose(loss(phi)[1], differences, rtol=1e-6, atol=1e-6)
    phi[-3:] = [-1e3, 0.0, 1e3]
    assert np.isfinite(variables.theta(phi)).all()


def test_gaussian_data_have_no_best_exponent():
    """They end at finite numbers all the same."""
    model = ProductOfStudentT(random_state=0).fit(np.random.default_rng(0).normal(size=(2000, 3)))
    assert np.isfinite(model.exponents_).all()
    assert np.isfinite(model.components_).all()


def test_unit_length():
    """On rounded data in clusters a free fit collapses; with components of unit length there is a minimum."""
    from sklearn.datasets import load_iris

    iris = load_iris().data
    with pytest.warns(UserWarning, match="Try unit_length=True"):
        ProductOfStudentT(random_state=0).fit(iris)
    model = ProductOfStudentT(unit_length=True, random_state=0).fit(iris)
    assert model.converged_
    covariance = np.cov(iris.T, bias=True)
    spread = np.einsum("ki,ij,kj->k", model.components_, covariance, model.components_)
    np.testing.assert_allclose(spread, 1, rtol=1e-9)
    small = ProductOfStudentT(unit_length=True, batch_size=50, max_epochs=400, random_state=0).fit(iris)
    assert small.objective_ == pytest.approx(model.objective_, rel=0.02)


def test_sampling_refuses_what_it_cannot_do():
    with pytest.raises(ValueError, match=r"exponents_\[1\] is 0.4.*above 0.5"):
        ProductOfStudentT.from_params(components=np.eye(2), exponents=[1.0, 0.4]).sample(3)
    with pytest.raises(ValueError, match=r"as many independent components as columns.*shape \(3, 2\)"):
        ProductOfStudentT.from_params(components=np.ones((3, 2)), exponents=np.ones(3)).sample(3)


X = TRUE.sample(200, random_state=0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: ProductOfStudentT.from_params(components=np.eye(2), exponents=[1.0, 0.0]),
            "exponents must be positive",
        ),
        (
            lambda: ProductOfStudentT.from_params(components=np.eye(2), exponents=[1.0]),
            r"exponents must have shape \(2,\)",
        ),
        (lambda: ProductOfStudentT.from_params(components=[[]], exponents=[1.0]), "components must not be empty"),
        (lambda: ProductOfStudentT(0).fit(X), "n_components must be an integer of at least 1"),
        (lambda: ProductOfStudentT(300).fit(X), "n_components=300 needs at least 300 samples"),
        (lambda: ProductOfStudentT(3).fit(np.column_stack([X[:, :2], X[:, 0]])), "its rank is 2"),
        (lambda: ProductOfStudentT(early_stopping=True).fit(X), "pass batch_size"),
        (lambda: ProductOfStudentT(batch_size=0).fit(X), "batch_size must be an integer of at least 1"),
        (
            lambda: ProductOfStudentT(domain=NonNegative(), weight=MinPower()).fit(np.abs(X)),
            "whiten=True has no place on NonNegative",
        ),
    ],
)
def test_wrong_options_and_parameters(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    "rows",
    [
        np.random.default_rng(0).normal(size=(10, 8)),
        np.concatenate([np.zeros((60, 2)), np.random.default_rng(0).normal(size=(20, 2))]),
    ],
    ids=["hardly more rows than columns", "many rows in one point"],
)
def test_collapse_is_told(rows):
    with pytest.warns(UserWarning, match="collapses.*it singles out a few rows.*no lower bound"):
        ProductOfStudentT(random_state=0).fit(rows)
