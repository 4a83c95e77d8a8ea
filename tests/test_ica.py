"""Independent component analysis: recovery of mixing matrices, whitening, coefficients, and what has no answer."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scorematch import ICA
from sklearn.exceptions import ConvergenceWarning

MIXING = np.array([[2.0, 1.0, 0.5, 0.0], [0.0, 1.0, -0.5, 0.3], [1.0, 0.0, 1.5, 0.2], [-0.5, 0.4, 0.0, 1.0]])


def mixed_logistic(n, seed=0, mixing=MIXING):
    """Logistic sources of unit variance."""
    rng = np.random.default_rng(seed)
    return rng.logistic(scale=np.sqrt(3) / np.pi, size=(n, mixing.shape[1])) @ mixing.T


def amari_error(components, mixing):
    """0 where the product is a permutation up to scales, about 1 where it is arbitrary."""
    product = np.abs(components @ mixing)
    d = len(product)
    rows = (product / product.max(axis=1, keepdims=True)).sum() - d
    columns = (product / product.max(axis=0, keepdims=True)).sum() - d
    return (rows + columns) / (2 * d * (d - 1))


@pytest.mark.parametrize("nonlinearity", ["logistic", "logcosh"])
@pytest.mark.parametrize(("n", "allowed"), [(2000, 0.08), (10_000, 0.035)])
def test_recovers_the_mixing_matrix(nonlinearity, n, allowed):
    errors = []
    for seed in range(4):
        model = ICA(nonlinearity=nonlinearity, random_state=0)
        errors.append(amari_error(model.fit(mixed_logistic(n, seed)).components_, MIXING))
        assert model.converged_
    assert np.mean(errors) < allowed


def test_recovers_without_whitening():
    X = mixed_logistic(2000)
    model = ICA(nonlinearity="logistic", whiten=False, random_state=0, n_init=2).fit(X - X.mean(axis=0))
    assert model.converged_
    assert amari_error(model.components_, MIXING) < 0.12


def test_scale_of_the_components():
    """For sources of the model's own density, W is the inverse of the mixing matrix, scales and all."""
    X = mixed_logistic(20_000)
    model = ICA(nonlinearity="logistic", random_state=0).fit(X)
    product = np.abs(model.components_ @ MIXING)
    np.testing.assert_allclose(np.sort(product, axis=1)[:, -1], 1, atol=0.04)


def test_within_a_factor_of_maximum_likelihood():
    """Squared error of the separating matrix against maximum likelihood of the same density, 12 samples of 2000."""

    def negative_log_likelihood(flat, X):
        W = flat.reshape(4, 4)
        u = X @ W.T * np.pi / (2 * np.sqrt(3))
        value = 2 * np.logaddexp(u, -u).sum(axis=1).mean() - np.linalg.slogdet(W)[1]
        slope = (np.pi / np.sqrt(3)) * np.tanh(u).T @ X / len(X) - np.linalg.inv(W).T
        return value, slope.ravel()

    true = np.linalg.inv(MIXING)
    errors = []
    for seed in range(12):
        X = mixed_logistic(2000, seed)
        likely = minimize(negative_log_likelihood, true.ravel(), args=(X,), jac=True, method="BFGS").x.reshape(4, 4)
        ours = ICA(nonlinearity="logistic", random_state=0).fit(X).components_
        product = ours @ MIXING
        order = np.abs(product).argmax(axis=0)
        assert sorted(order) == [0, 1, 2, 3]
        ours = ours[order] * np.sign(product[order, range(4)])[:, None]
        errors.append([((ours - true) ** 2).sum(), ((likely - true) ** 2).sum()])
    ours, likely = np.sum(errors, axis=0)
    assert 0.9 < ours / likely < 2.2


def test_coefficients():
    """Sources with density sech(s)^α: α and W are both found."""
    alpha = np.array([0.6, 1.0, 2.5])
    true = ICA.from_params(components=np.eye(3), coefficients=alpha)
    mixing = np.array([[1.0, 0.5, 0.0], [0.0, 1.0, 0.4], [0.3, 0.0, 1.0]])
    X = true.sample(60_000, random_state=0) @ mixing.T
    model = ICA(fit_coefficients=True, random_state=0, n_init=2).fit(X)
    assert amari_error(model.components_, mixing) < 0.03
    order = np.abs(model.components_ @ mixing).argmax(axis=0)
    np.testing.assert_allclose(model.coefficients_[order], alpha, rtol=0.35)
    assert len(model.theta_) == 12
    assert model.theta_names_[-1] == "coefficients[2]"


def test_centre_and_scale_of_the_data():
    """With whitening, an offset and the units of the columns change nothing but the units of W."""
    X = mixed_logistic(3000)
    scales, offset = np.array([1e-4, 1.0, 1e3, 10.0]), np.array([5.0, -3.0, 1e6, 0.0])
    plain = ICA(random_state=0).fit(X)
    moved = ICA(random_state=0).fit(X * scales + offset)
    np.testing.assert_allclose(moved.mean_, X.mean(axis=0) * scales + offset, rtol=1e-9)
    there = moved.components_ * scales
    agreement = np.abs(there @ np.linalg.inv(plain.components_))
    np.testing.assert_allclose(np.sort(agreement, axis=1), np.sort(np.eye(4), axis=1), atol=1e-3)
    np.testing.assert_allclose(moved.transform(X * scales + offset).mean(axis=0), 0, atol=1e-6)


def test_fewer_components_than_columns():
    """With whitening, those of the leading principal components."""
    mixing = np.random.default_rng(0).normal(size=(6, 2)) * 3
    X = mixed_logistic(5000, mixing=mixing) + 0.01 * np.random.default_rng(1).normal(size=(5000, 6))
    model = ICA(2, nonlinearity="logistic", random_state=0).fit(X)
    assert model.components_.shape == (2, 6)
    assert amari_error(model.components_, mixing) < 0.05
    assert model.transform(X).shape == (5000, 2)
    assert list(model.get_feature_names_out()) == ["ica0", "ica1"]
    with pytest.raises(ValueError, match=r"as many independent components as columns.*\(2, 6\)"):
        model.sample(3)


def test_more_components_than_columns():
    """Evaluation, with the formulas written out."""
    rng = np.random.default_rng(0)
    W, alpha, mean, X = rng.normal(size=(5, 2)), rng.uniform(0.5, 2, 5), np.array([1.0, -2.0]), rng.normal(size=(40, 2))
    model = ICA.from_params(components=W, coefficients=alpha, mean=mean)
    u = (X - mean) @ W.T
    np.testing.assert_allclose(model.unnormalized_log_density(X), -np.log(np.cosh(u)) @ alpha, rtol=1e-12)
    np.testing.assert_allclose(model.score_function(X), -(alpha * np.tanh(u)) @ W, rtol=1e-12)
    np.testing.assert_allclose(model.hessian_diagonal(X), -(alpha / np.cosh(u) ** 2) @ W**2, rtol=1e-12)
    np.testing.assert_allclose(model.transform(X), u, rtol=1e-12)


@pytest.mark.parametrize("nonlinearity", ["logistic", "logcosh"])
def test_samples(nonlinearity):
    W = np.array([[1.0, 0.5], [-0.3, 2.0]])
    model = ICA.from_params(components=W, mean=[3.0, -1.0], nonlinearity=nonlinearity)
    draws = model.sample(60_000, random_state=0)
    sources = model.transform(draws)
    variance = 1.0 if nonlinearity == "logistic" else np.pi**2 / 4
    np.testing.assert_allclose(np.cov(sources.T), variance * np.eye(2), atol=0.06 * variance)
    # Kurtosis: 1.2 in excess for the logistic, 2 for the hyperbolic secant.
    excess = (sources**4).mean(axis=0) / variance**2 - 3
    np.testing.assert_allclose(excess, 1.2 if nonlinearity == "logistic" else 2.0, atol=0.35)
    np.testing.assert_allclose(draws.mean(axis=0), [3.0, -1.0], atol=0.05)
    # Draws of the model have the model's score: E[ψ xᵀ] = −I.
    psi = model.score_function(draws)
    np.testing.assert_allclose(psi.T @ (draws - model.mean_) / len(draws), -np.eye(2), atol=0.03)


def test_the_same_answer_on_any_number_of_threads():
    X = mixed_logistic(3000)
    first, *others = (ICA(random_state=3, n_jobs=n_jobs, n_init=2).fit(X).theta_.tobytes() for n_jobs in (1, 2, 3))
    assert all(other == first for other in others)


def test_weights_count_rows():
    X = mixed_logistic(1500)
    counts = np.random.default_rng(0).integers(0, 4, len(X))
    weighted = ICA(random_state=0).fit(X, sample_weight=counts)
    repeated = ICA(random_state=0).fit(np.repeat(X, counts, axis=0))
    np.testing.assert_allclose(weighted.components_, repeated.components_, rtol=1e-4, atol=1e-5)


def test_float32():
    X = mixed_logistic(5000)
    model = ICA(random_state=0).fit(X.astype(np.float32))
    assert model.converged_
    assert amari_error(model.components_, MIXING) < 0.06
    assert model.transform(X[:3].astype(np.float32)).dtype == np.float32


# -- What has no answer -------------------------------------------------------------------------------------------


def test_dependent_columns():
    X = mixed_logistic(2000)
    dependent = np.column_stack([X, X[:, 0] - 2 * X[:, 1]])
    with pytest.warns(UserWarning, match="its rank is 4, and as many components are fitted"):
        model = ICA(random_state=0).fit(dependent)
    assert model.components_.shape == (4, 5)
    assert amari_error(model.components_, np.vstack([MIXING, MIXING[0] - 2 * MIXING[1]])) < 0.08
    with pytest.raises(ValueError, match=r"cannot be whitened to 5 dimensions.*rank is 4\. Pass n_components=4"):
        ICA(5, random_state=0).fit(dependent)
    with pytest.raises(ValueError, match=r"no lower bound.*rank is 4.*whiten=True with n_components=4"):
        ICA(whiten=False, random_state=0).fit(dependent)
    with pytest.raises(ValueError, match="every column is constant"):
        ICA().fit(np.ones((10, 2)))


def test_collapse_on_rows_that_agree():
    """Half of all rows are 0 in one source: the objective has no lower bound, and a warning says so."""
    rng = np.random.default_rng(0)
    sources = np.column_stack([rng.logistic(size=600), np.where(rng.random(600) < 0.6, 0.0, rng.normal(size=600))])
    with pytest.warns(UserWarning, match="too many rows agree in one direction.*best start itself"):
        model = ICA(random_state=0, whiten=False).fit(sources)
    assert not model.converged_
    assert np.abs(model.components_).max() < 10  # the start, not what the descent ran into


def test_limit_of_iterations():
    with pytest.warns(ConvergenceWarning, match=r"did not converge in 2 iterations: the limit max_iter=2.*Try"):
        model = ICA(random_state=0, max_iter=2).fit(mixed_logistic(500))
    assert not model.converged_
    assert model.n_iter_ == 2


def test_progress(capsys):
    ICA(random_state=0, n_init=2, verbose=1).fit(mixed_logistic(300))
    printed = capsys.readouterr().out
    assert "start 1: iteration 1, scaled objective" in printed
    assert printed.count("converged") == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_components": 0}, "n_components must be an integer of at least 1"),
        ({"n_components": 2.0}, "n_components must be an integer"),
        ({"nonlinearity": "cube"}, "nonlinearity must be one of"),
        ({"fit_coefficients": "yes"}, "fit_coefficients must be True or False"),
        ({"whiten": 1}, "whiten must be True or False"),
        ({"n_init": 0}, "n_init must be an integer of at least 1"),
        ({"tol": -1.0}, "tol must be a finite number of at least 0"),
        ({"tol": np.nan}, "tol must be a finite number"),
        ({"max_iter": 0}, "max_iter must be an integer of at least 1"),
        ({"verbose": -1}, "verbose must be 0 or a positive integer"),
        ({"n_jobs": 0}, "n_jobs must be None, -1 or a positive integer"),
        ({"random_state": "seed"}, "cannot be used to seed"),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(ValueError, match=message):
        ICA(**options).fit(mixed_logistic(50))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"components": [1.0, 2.0]}, "components must have shape"),
        ({"components": np.empty((0, 2))}, "components must not be empty"),
        ({"components": [[1.0, np.nan]]}, "components must be finite"),
        ({"components": [[1.0, 2.0]], "mean": [1.0]}, "mean must have shape"),
        ({"components": [[1.0, 2.0]], "coefficients": [1.0, 2.0]}, "coefficients must have shape"),
    ],
)
def test_wrong_parameters(parameters, message):
    with pytest.raises(ValueError, match=message):
        ICA.from_params(**parameters)
