"""The estimators as scikit-learn sees them, and what they say of bad input."""

import doctest
import importlib
import pkgutil
import warnings

import numpy as np
import pytest
import scipy.sparse
import scorematch
from scorematch import (
    ICA,
    Gaussian,
    GaussianBernoulliRBM,
    GaussianMixture,
    MinPower,
    NonNegative,
    PairwiseInteraction,
    PolynomialExponentialFamily,
    ProductOfStudentT,
    RealSpace,
    Sphere,
    StudentT,
    TruncatedGaussian,
    VonMisesFisher,
)
from scorematch._base import ScoreMatchingEstimator
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

RNG = np.random.default_rng(0)
X = RNG.normal([0.0, 1.0, 2.0], size=(200, 3))
S = X / np.linalg.norm(X, axis=1, keepdims=True)
MIXTURE = {"weights": [0.5, 0.5], "means": [[0.0], [1.0]], "covariances": [[[1.0]], [[2.0]]]}

# One of each family, and data for it.
MODELS = {
    "gaussian": (Gaussian(), X),
    "truncated": (Gaussian(domain=NonNegative(), weight=MinPower()), np.abs(X)),
    "mixture": (GaussianMixture(2, random_state=0), X),
    "sphere": (VonMisesFisher(), S),
    "ica": (ICA(random_state=0), X),
    "polynomial": (PolynomialExponentialFamily(), X),
    "student t": (StudentT(5), X),
    "pairwise": (PairwiseInteraction(0.5, 0, alpha=0.05), np.abs(X)),
    "product": (ProductOfStudentT(random_state=0), X),
    "machine": (GaussianBernoulliRBM(2, random_state=0), X),
}
METHODS = (
    "score_function",
    "hessian_trace",
    "score_matching_terms",
    "hyvarinen_score",
    "score",
    "unnormalized_log_density",
)
each_model = pytest.mark.parametrize(("model", "data"), MODELS.values(), ids=MODELS.keys())


@parametrize_with_checks(
    [
        Gaussian(),
        Gaussian("diag"),
        Gaussian(robust=0.2),
        GaussianMixture(),
        VonMisesFisher(normalize=True),
        ICA(random_state=0),
        PolynomialExponentialFamily(ridge=1e-3),
        StudentT(),
        StudentT(5),
        ProductOfStudentT(random_state=0),
        GaussianBernoulliRBM(2, random_state=0),
        TruncatedGaussian(domain=RealSpace(), alpha=0.1),  # the checks' positive data lie on the boundary
        ICA(orthogonal=True, random_state=0),
        ICA(batch_size=20, early_stopping=True, random_state=0),
        StudentT(5, objective="denoising", noise_scale=0.3),
        Gaussian(objective="sliced", random_state=0),
    ],
    expected_failed_checks=lambda estimator: (
        # Equal in expectation, as test_minibatch.py makes sure.
        {"check_sample_weight_equivalence_on_dense_data": "rows come in other batches"}
        if getattr(estimator, "batch_size", None)
        else dict.fromkeys(["check_fit_score_takes_y", "check_n_features_in_after_fitting"], "no partial_fit then")
        if estimator.robust or (isinstance(estimator, Gaussian) and estimator.objective != "exact")
        else {}
    ),
)
@pytest.mark.filterwarnings("ignore::UserWarning")  # its data are often too few, and so we say
def test_scikit_learn(estimator, check):
    check(estimator)


def test_model_selection():
    search = GridSearchCV(Gaussian(), {"covariance_type": ["full", "diag", "spherical"]}, cv=3).fit(X)
    assert search.best_score_ == max(search.cv_results_["mean_test_score"])
    pipeline = make_pipeline(StandardScaler(), GaussianMixture(2, random_state=0, n_init=1))
    assert np.isfinite(cross_val_score(pipeline, X, cv=3)).all()


@pytest.mark.parametrize(
    "name",
    [
        module.name
        for module in pkgutil.walk_packages(scorematch.__path__, "scorematch.")
        if not module.name.endswith("_core")
    ],
)
def test_examples_in_docstrings(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0


@each_model
@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda x: _with(x, np.nan), "row 7, column 1"),
        (lambda x: _with(x, np.inf), "row 7, column 1"),
        (lambda x: x.astype(complex), "[Cc]omplex"),
        (lambda x: np.full(x.shape, "a"), "strings"),
        (scipy.sparse.csr_array, "[Ss]parse"),
        (lambda x: x[:0], "0 sample"),
        (lambda x: x[:, 0], "2D array"),
        (lambda x: x[None], "dim 3"),
    ],
    ids=["nan", "infinity", "complex", "strings", "sparse", "empty", "1-d", "3-d"],
)
def test_bad_data(model, data, spoil, message):
    fitted = type(model)(**model.get_params()).fit(data)
    with pytest.raises((ValueError, TypeError), match=message):
        type(model)(**model.get_params()).fit(spoil(data))
    for method in METHODS:
        with pytest.raises((ValueError, TypeError), match=message):
            getattr(fitted, method)(spoil(data))
    with pytest.raises((ValueError, TypeError), match=message):
        fitted.loss_and_grad(fitted.theta_, spoil(data))


def _with(x, value):
    spoilt = x.copy()
    spoilt[7, 1] = value
    return spoilt


@each_model
@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (np.zeros(200), "zero for every row"),
        (np.where(np.arange(200) == 5, -1.0, 1.0), "row 5 is -1"),
        (np.where(np.arange(200) == 5, np.nan, 1.0), "row 5 is nan"),
        (np.ones(199), r"shape \(200,\)"),
    ],
)
def test_bad_weights(model, data, weight, message):
    with pytest.raises(ValueError, match=message):
        type(model)(**model.get_params()).fit(data, sample_weight=weight)


@pytest.mark.parametrize(("dtype", "size"), [(np.float32, 1e-25), (np.float64, 1e-160)])
# Rows on the sphere have length 1, and are not small.
@pytest.mark.parametrize("name", [name for name in MODELS if name != "sphere"])
def test_columns_whose_squares_underflow(name, dtype, size):
    model, data = MODELS[name]
    fresh = type(model)(**model.get_params())
    with pytest.raises(ValueError, match=f"column 0 of X varies by .*underflow in {np.dtype(dtype)}; rescale"):
        fresh.fit((data * size).astype(dtype))


@each_model
def test_a_fit_that_fails_leaves_the_model_as_it_was(model, data):
    fitted = type(model)(**model.get_params()).fit(data)
    before = fitted.loss_and_grad(fitted.theta_, data)
    attributes = set(vars(fitted))
    narrower = np.abs(data[:, :2]) / np.linalg.norm(data[:, :2], axis=1, keepdims=True)  # in every domain
    tries = [("fit", narrower)]
    if hasattr(fitted, "partial_fit"):
        tries.append(("partial_fit", data))
    for name, rows in tries:
        with pytest.raises(ValueError, match="zero for every row"):  # of which it hears when it has looked at the rows
            getattr(fitted, name)(rows, sample_weight=np.zeros(200))
        assert set(vars(fitted)) == attributes
        after = fitted.loss_and_grad(fitted.theta_, data)
        assert after[0] == before[0]
        np.testing.assert_array_equal(after[1], before[1])
    if len(tries) == 2:  # what it had seen is still there too
        both = type(model)(**model.get_params()).fit(np.concatenate([data, data]))
        np.testing.assert_allclose(fitted.partial_fit(data).theta_, both.theta_, rtol=1e-9, atol=1e-12)


@each_model
def test_bad_calls(model, data):
    fresh = type(model)(**model.get_params())
    for method in METHODS:
        with pytest.raises(NotFittedError, match="not fitted"):
            getattr(fresh, method)(data)
    fitted = fresh.fit(data)
    with pytest.raises(ValueError, match="theta must have shape"):
        fitted.loss_and_grad(fitted.theta_[:-1], data)
    with pytest.raises(ValueError, match="theta must be finite"):
        fitted.loss_and_grad(np.full(len(fitted.theta_), np.nan), data)
    with pytest.raises(ValueError, match=r"features, but \w+ is expecting 3 features"):
        fitted.score(data[:, :2])
    with pytest.raises(ValueError, match=r"1 sample|n_samples = 1|at least 2"):
        type(model)(**model.get_params()).fit(data[:1])
    with pytest.raises(ValueError, match="n_jobs must be"):
        type(model)(**{**model.get_params(), "n_jobs": 0}).fit(data)
    with pytest.raises(TypeError, match="has no parameter 'nonsense'"):
        type(model).from_params(**fitted.params_, nonsense=1)
    with pytest.raises(TypeError, match="needs"):
        type(model).from_params()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Gaussian.from_params(mean=[0, 0], covariance=[[1, 2], [2, 1]]), "positive definite"),
        (lambda: Gaussian.from_params(mean=[0, 0], covariance=[[1, 0.5], [0, 1]]), "symmetric"),
        (lambda: Gaussian.from_params(mean=[0, 0], covariance=np.eye(3)), "shape"),
        (lambda: Gaussian.from_params(mean=[0, np.nan], covariance=np.eye(2)), "finite"),
        (lambda: Gaussian("square").fit(X), "covariance_type must be one of"),
        (lambda: Gaussian(domain=Sphere()).fit(S), r"Gaussian has no domain Sphere\(\); VonMisesFisher lives on it"),
        (lambda: GaussianMixture.from_params(**MIXTURE, domain=Sphere()), r"GaussianMixture has no domain Sphere"),
        (lambda: Gaussian(domain=RealSpace(), weight=MinPower()).fit(X), "no boundary"),
        (lambda: Gaussian(domain=NonNegative(), weight=MinPower()).fit(X - 5), "row 0 does not.*negative"),
        (lambda: MinPower(c=-1.0), "c must be positive"),
        (
            lambda: GaussianMixture.from_params(weights=[0.5, 0.6], means=[[0], [1]], covariances=[[[1]], [[1]]]),
            "add up to 1",
        ),
        (
            lambda: GaussianMixture.from_params(weights=[0.5, 0.5], means=[[0], [1]], covariances=[[[1]], [[-1]]]),
            r"covariances\[1\] must be positive definite",
        ),
        (lambda: GaussianMixture(0).fit(X), "n_components must be an integer of at least 1"),
        (lambda: GaussianMixture(300).fit(X), "at least 300 samples"),
        (lambda: GaussianMixture(reg_covar=-1).fit(X), "reg_covar"),
        (lambda: VonMisesFisher().fit(X), "row 0 does not.*length"),
        (lambda: VonMisesFisher().fit(np.ones((5, 1))), "at least 2 columns"),
        (lambda: VonMisesFisher(normalize=True).fit(np.zeros((5, 2))), "every row of X is all zeros"),
        (lambda: VonMisesFisher().fit(np.tile(S[:1], (5, 1))), "infinite"),
        (lambda: VonMisesFisher().fit(S).hessian_diagonal(S), "Laplace-Beltrami"),
        (lambda: VonMisesFisher.from_params(mean_direction=[1.0, 1.0], concentration=1.0), "length 1"),
        (lambda: ICA(nonlinearity="cube").fit(X), "nonlinearity must be one of"),
        (lambda: ICA(4).fit(np.column_stack([X, X[:, 0]])), "rank is 3.*n_components=3"),
        (lambda: ICA.from_params(components=[[1.0, 2.0]], coefficients=[1.0, 2.0]), "coefficients must have shape"),
    ],
)
def test_wrong_options_and_parameters(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Gaussian(domain="positive").fit(X), "domain must be one of scorematch.domains.*'positive'"),
        (lambda: Gaussian(domain=NonNegative(), weight="log1p").fit(X), "weight must be one of .*weights.*'log1p'"),
        # What all domains, weights and families share is none itself.
        (scorematch.domains.Domain, "abstract class Domain"),
        (scorematch.weights.Weight, "abstract class Weight"),
        (ScoreMatchingEstimator, "abstract class ScoreMatchingEstimator"),
    ],
)
def test_wrong_kinds_of_things(make, message):
    with pytest.raises(TypeError, match=message):
        make()


def test_data_that_do_not_span_the_space():
    with pytest.warns(UserWarning, match="2 rows for 3 columns"):
        few = Gaussian().fit(X[:2])
    np.testing.assert_allclose(few.precision_, np.linalg.pinv(np.cov(X[:2].T, bias=True)), rtol=1e-8)
    with pytest.warns(UserWarning, match="column 3 is constant"):
        Gaussian().fit(np.column_stack([X, np.ones(200)]))
    with pytest.warns(UserWarning, match="linearly dependent"):
        Gaussian().fit(np.column_stack([X, X[:, 0]]))
    with pytest.raises(ValueError, match="every column is constant"):
        Gaussian().fit(np.ones((5, 2)))


# -- Warnings -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call",
    [
        lambda: Gaussian().fit(np.column_stack([X, X])),
        lambda: Gaussian().partial_fit(np.column_stack([X, X])),
        lambda: PolynomialExponentialFamily.from_params(coef=[1.0], powers=[[2]]),
        lambda: GaussianMixture(2, max_iter=1, random_state=0).fit(X),
        lambda: ICA(max_iter=1, random_state=0).fit(X),
        lambda: StudentT().fit(RNG.uniform(size=(300, 2))),
    ],
)
def test_warnings_point_at_the_callers_line(call):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call()
    assert caught
    assert {warning.filename for warning in caught} == {__file__}
