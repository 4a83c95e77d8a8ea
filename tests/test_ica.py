"""Independent component analysis: recovery of mixing matrices, whitening, coefficients, and what has no answer."""

import signal
import warnings

import numpy as np
import pytest
from scipy.linalg import sqrtm
from scipy.optimize import minimize
from scorematch import ICA, _core
from sklearn.datasets import load_sample_images
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


# -- Overcomplete bases -------------------------------------------------------------------------------------------


def drawn_in_the_plane(W, alpha, n, seed=0):
    """Draws from a density with any number of components of two dimensions, by a fine grid."""
    rng, axis, cell = np.random.default_rng(seed), *np.linspace(-14, 14, 1401, retstep=True)
    x = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2)
    u = x @ W.T
    density = np.exp(-np.logaddexp(u, -u) @ alpha)
    chosen = rng.choice(len(x), n, p=density / density.sum())
    return x[chosen] + rng.uniform(-cell / 2, cell / 2, (n, 2))


def drawn(W, alpha, n, seed=0, n_steps=250, step=0.5):
    """Draws from a density with any number of components, by Langevin moves with rejection, a chain for each draw."""
    rng = np.random.default_rng(seed)

    def density_and_slope(x):
        u = x @ W.T
        return -np.logaddexp(u, -u) @ alpha, -(alpha * np.tanh(u)) @ W

    x = rng.normal(size=(n, W.shape[1]))
    height, slope = density_and_slope(x)
    for _ in range(n_steps):
        noise = rng.normal(size=x.shape)
        there = x + step**2 / 2 * slope + step * noise
        height_there, slope_there = density_and_slope(there)
        back = (x - there - step**2 / 2 * slope_there) / step
        taken = np.log(rng.random(n)) < height_there - height + np.sum(noise**2 - back**2, axis=1) / 2
        x[taken], height[taken], slope[taken] = there[taken], height_there[taken], slope_there[taken]
    return x


def on_whitened_data(W, X):
    """W as it acts on whitened data, up to a rotation that is the same for all W."""
    return W @ np.real(sqrtm(np.cov(X.T, bias=True)))


def cosines(W, V):
    """Between the rows of two matrices, without signs."""
    W, V = (A / np.linalg.norm(A, axis=1, keepdims=True) for A in (W, V))
    return np.abs(W @ V.T)


def directions(m, d):
    if d == 2:
        angles = np.pi * np.arange(m) / m + 0.1 * np.sin(7 * np.arange(m))
        return np.column_stack([np.cos(angles), np.sin(angles)])
    golden = (1 + np.sqrt(5)) / 2  # the diagonals of an icosahedron
    corners = np.array(
        [[0, 1, golden], [0, 1, -golden], [1, golden, 0], [1, -golden, 0], [golden, 0, 1], [-golden, 0, 1]]
    )
    return corners[:m] / np.sqrt(1 + golden**2)


@pytest.mark.parametrize("batch_size", [None, 250])
@pytest.mark.parametrize(("m", "d"), [(4, 2), (5, 3), (6, 3)])
def test_finds_more_components_than_dimensions(m, d, batch_size):
    """Heavy-tailed ones, mixed, from random starts; every filter is found, and none twice."""
    W = 3 * directions(m, d)
    mixing = np.eye(d) + np.triu(np.ones((d, d)), 1) / 2
    X = (drawn_in_the_plane if d == 2 else drawn)(W, np.full(m, 0.5), 15_000) @ mixing.T
    model = ICA(m, fit_coefficients=True, random_state=0, batch_size=batch_size, n_jobs=1).fit(X)
    assert model.converged_
    true, found = (on_whitened_data(matrix, X) for matrix in (W @ np.linalg.inv(mixing), model.components_))
    agreement = cosines(true, found)
    assert agreement.max(axis=1).min() > 0.97
    assert set(agreement.argmax(axis=1)) == set(range(m))
    assert np.max(cosines(found, found) - np.eye(m)) < 0.95
    # What makes the coefficients identified.
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, rtol=1e-9)
    assert (model.coefficients_ > 0.1).all()
    assert np.ptp(model.transform(X).var(axis=0)) < 1e-9


def test_coefficients_of_an_overcomplete_basis():
    """Two on the axes of the plane and two on its diagonals, of such coefficients that all have unit variance."""
    angles, alpha = np.pi / 4 * np.arange(4), np.array([1.331, 0.3993, 1.331, 0.3993])
    W = np.column_stack([np.cos(angles), np.sin(angles)])
    X = drawn_in_the_plane(W, alpha, 100_000)
    np.testing.assert_allclose(np.cov(X.T), np.eye(2), atol=0.02)
    fits = [ICA(4, fit_coefficients=True, random_state=seed, n_jobs=1).fit(X) for seed in range(3)]
    for model in fits:
        assert model.converged_
        order = cosines(W, model.components_).argmax(axis=1)
        assert sorted(order) == [0, 1, 2, 3]
        np.testing.assert_allclose(model.coefficients_[order], alpha, atol=0.2)
        assert model.objective_ == pytest.approx(fits[0].objective_, abs=1e-6)  # every start ends at the same minimum


def test_overcomplete_optimum_is_stationary():
    """On the spheres of the rows, and for the coefficients."""
    X = drawn(3 * directions(5, 3), np.full(5, 0.5), 5000)
    for options in ({}, {"whiten": False}):
        model = ICA(5, fit_coefficients=True, random_state=0, n_jobs=1, **options).fit(X)
        root = np.diag(np.sqrt((X**2).mean(axis=0)))
        if model.whiten:
            root = np.real(sqrtm(np.cov(X.T, bias=True)))
        Z, W = (X - model.mean_) @ np.linalg.inv(root), model.components_ @ root
        np.testing.assert_allclose(np.linalg.norm(W, axis=1), 1, rtol=1e-9)
        if model.whiten:
            scaled = ICA.from_params(components=W, coefficients=model.coefficients_, fit_coefficients=True)
            _, gradient = scaled.loss_and_grad(scaled.theta_, Z)
            slope = gradient[:15].reshape(5, 3)
        else:
            _, gradient = model.loss_and_grad(model.theta_, X)
            slope = gradient[:15].reshape(5, 3) @ np.linalg.inv(root)
        along_the_sphere = slope - W * np.sum(W * slope, axis=1, keepdims=True)
        assert np.abs(along_the_sphere).max() < 1e-4
        assert np.abs(gradient[15:]).max() < 1e-4
        assert np.abs(slope).max() > 0.01  # which only the constraint holds


def test_filters_of_natural_images():
    """Twice as many as dimensions: none nearly equal, no coefficient near zero (Hyvärinen 2005, section 3.3)."""
    rng = np.random.default_rng(0)
    patches = []
    for image in load_sample_images().images:
        grey = image.mean(axis=2)
        rows, columns = (rng.integers(0, side - 8, 10_000) for side in grey.shape)
        patches += [grey[i : i + 8, j : j + 8].ravel() for i, j in zip(rows, columns, strict=True)]
    X = np.array(patches)
    X -= X.mean(axis=1, keepdims=True)
    with pytest.warns(UserWarning, match="rank is 63, and 126 components are fitted in as many dimensions"):
        model = ICA(126, fit_coefficients=True, batch_size=500, random_state=0, n_jobs=1).fit(X)
    assert model.converged_
    found = on_whitened_data(model.components_, X)
    assert np.max(cosines(found, found) - np.eye(126)) < 0.8
    assert model.coefficients_.min() > 0.5


def test_more_components_than_columns_without_coefficients():
    """As free as ever."""
    X = drawn_in_the_plane(3 * directions(4, 2), np.full(4, 0.5), 5000)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that some start collapses, or does not end, is not the point
        model = ICA(4, random_state=0, max_iter=50, n_jobs=1).fit(X)
    assert model.components_.shape == (4, 2)
    np.testing.assert_array_equal(model.coefficients_, np.ones(4))


# -- Orthogonal matrices ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fit_coefficients", [False, True])
@pytest.mark.parametrize(("n", "allowed"), [(2000, 0.08), (10_000, 0.035)])
def test_orthogonal_matrices_separate(n, allowed, fit_coefficients):
    errors = []
    for seed in range(4):
        X = mixed_logistic(n, seed)
        model = ICA(nonlinearity="logistic", orthogonal=True, fit_coefficients=fit_coefficients, random_state=0).fit(X)
        errors.append(amari_error(model.components_, MIXING))
        assert model.converged_
        sources = model.transform(X)
        np.testing.assert_allclose(sources.T @ sources / n, np.eye(4), atol=1e-9)
        assert (model.coefficients_ > 0).all()
    assert np.mean(errors) < allowed


def test_orthogonal_optimum_is_stationary():
    """On the orthogonal group: GWᵀ is symmetric at a minimum, G the gradient with respect to W on whitened data."""
    X = mixed_logistic(3000)
    model = ICA(orthogonal=True, fit_coefficients=True, random_state=0).fit(X)
    root = np.real(sqrtm(np.cov(X.T, bias=True)))
    whitened = ICA.from_params(
        components=model.components_ @ root, coefficients=model.coefficients_, fit_coefficients=True
    )
    W, Z = whitened.components_, (X - model.mean_) @ np.linalg.inv(root)
    np.testing.assert_allclose(W @ W.T, np.eye(4), atol=1e-10)
    value, gradient = whitened.loss_and_grad(whitened.theta_, Z)
    along = gradient[:16].reshape(4, 4) @ W.T
    np.testing.assert_allclose(along, along.T, atol=2e-5)
    np.testing.assert_allclose(gradient[16:], 0, atol=2e-5)
    assert np.abs(along).max() > 0.02
    # And a minimum it is: small rotations lead upwards.
    for seed in range(10):
        skew = np.random.default_rng(seed).normal(size=(4, 4))
        rotation = np.linalg.qr(np.eye(4) + 0.05 * (skew - skew.T))[0]
        rotated = np.concatenate([(rotation @ W).ravel(), whitened.coefficients_])
        assert whitened.loss_and_grad(rotated, Z)[0] > value


def test_orthogonal_with_fewer_components():
    mixing = np.random.default_rng(0).normal(size=(6, 2)) * 3
    X = mixed_logistic(5000, mixing=mixing) + 0.01 * np.random.default_rng(1).normal(size=(5000, 6))
    model = ICA(2, nonlinearity="logistic", orthogonal=True, random_state=0).fit(X)
    assert amari_error(model.components_, mixing) < 0.05


def test_orthogonal_is_better_where_rows_are_few():
    """Thrice as many as W has entries; with many, the free one has caught up."""

    def errors(n):
        found = []
        for seed in range(4):
            rng = np.random.default_rng(seed)
            mixing = rng.normal(size=(8, 8))
            X = rng.laplace(size=(n, 8)) @ mixing.T
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of the free one, that it does not converge
                fits = [ICA(orthogonal=orthogonal, random_state=0, n_jobs=1).fit(X) for orthogonal in (True, False)]
            found.append([amari_error(model.components_, mixing) for model in fits])
        return np.mean(found, axis=0)

    orthogonal, free = errors(200)
    assert orthogonal < 0.8 * free
    orthogonal, free = errors(2000)
    assert free < 1.2 * orthogonal


# -- Minibatches --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"fit_coefficients": True}, {"whiten": False}], ids=str)
def test_minibatches_agree_with_all_rows(options):
    """To much less than the two differ from the truth."""
    X = mixed_logistic(10_000)
    X -= X.mean(axis=0)
    kept = {"nonlinearity": "logistic", "n_jobs": 1, "n_init": 2, **options}
    all_rows = ICA(random_state=0, **kept).fit(X)
    batches = ICA(random_state=0, batch_size=256, max_epochs=200, **kept).fit(X)
    assert batches.converged_
    assert 0 < batches.n_iter_ == len(batches.history_) < 200
    assert len(all_rows.history_) == 0
    # The same matrix but for order and signs.
    agreement = np.abs(batches.components_ @ np.linalg.inv(all_rows.components_))
    np.testing.assert_allclose(np.sort(agreement, axis=1), np.sort(np.eye(4), axis=1), atol=0.04)
    assert amari_error(batches.components_, MIXING) < 0.05


def test_minibatches_give_the_same_bits():
    X = mixed_logistic(4000).astype(np.float32)
    kept = {"batch_size": 1000, "max_epochs": 8, "n_iter_no_change": 2, "random_state": 3, "n_init": 2}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        first, *others = (ICA(n_jobs=n_jobs, **kept).fit(X).theta_.tobytes() for n_jobs in (1, 2, 3, 1))
    assert all(other == first for other in others)


def test_minibatches_count_rows():
    X = mixed_logistic(5000)
    counts = np.random.default_rng(0).integers(0, 4, len(X))
    kept = {"batch_size": 200, "random_state": 0, "n_jobs": 1}
    weighted = ICA(**kept).fit(X, sample_weight=counts)
    repeated = ICA(**kept).fit(np.repeat(X, counts, axis=0))
    agreement = np.abs(weighted.components_ @ np.linalg.inv(repeated.components_))
    np.testing.assert_allclose(np.sort(agreement, axis=1), np.sort(np.eye(4), axis=1), atol=0.05)


def test_limit_of_epochs():
    with pytest.warns(
        ConvergenceWarning, match=r"did not converge in 3 epochs: max_epochs=3 is too few .* Try a larger max_ep"
    ):
        model = ICA(random_state=0, batch_size=100, max_epochs=3).fit(mixed_logistic(500))
    assert not model.converged_
    assert model.n_iter_ == 3


def test_collapse_on_minibatches():
    """What has no lower bound has none on minibatches either."""
    rng = np.random.default_rng(0)
    sources = np.column_stack([rng.logistic(size=600), np.where(rng.random(600) < 0.6, 0.0, rng.normal(size=600))])
    for options in ({}, {"learning_rate_init": 0.1, "max_epochs": 1000}):
        with pytest.warns(UserWarning, match="too many rows agree in one direction.*best start itself"):
            model = ICA(random_state=0, batch_size=200, whiten=False, n_jobs=1, **options).fit(sources)
        assert not model.converged_
        assert np.abs(model.components_).max() < 10


@pytest.mark.usefixtures("ctrl_c")
@pytest.mark.parametrize("fitted_before", [False, True])
def test_interruption_leaves_the_model_as_it_was(monkeypatch, fitted_before):
    """Ctrl-C goes through, between two epochs, and the model is not half another one."""
    model = ICA(random_state=0, batch_size=100, max_epochs=5, n_iter_no_change=1)
    other = mixed_logistic(400)[:, :3]
    if fitted_before:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.fit(other)
    before = {name: np.copy(value) for name, value in vars(model).items() if name.endswith("_") and name != "params_"}

    class Interrupted(_core.Minibatches):
        def epoch(self, first_rate, last_rate):
            value = super().epoch(first_rate, last_rate)
            if self.n_epochs == 2:
                signal.raise_signal(signal.SIGINT)
            return value

    monkeypatch.setattr(_core, "Minibatches", Interrupted)
    with pytest.raises(KeyboardInterrupt):
        model.fit(mixed_logistic(500))
    assert {name for name in vars(model) if name.endswith("_") and name != "params_"} == set(before)
    for name, value in before.items():
        np.testing.assert_array_equal(getattr(model, name), value)
    if fitted_before:
        assert np.isfinite(model.score(other))
    else:
        assert not hasattr(model, "n_features_in_")


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


@pytest.mark.parametrize(("dtype", "ratio"), [(np.float32, 3e4), (np.float64, 1e12)])
def test_columns_of_very_different_units(dtype, ratio):
    """Units are nothing that the data lack a dimension for, and the sources come back from any."""
    units = np.array([1.0, ratio, 1.0, 1 / ratio])
    X = mixed_logistic(4000) * units
    model = ICA(4, random_state=0).fit(X.astype(dtype))
    assert amari_error(model.components_ * units, MIXING) < 0.08
    # Without whitening, the column of the smallest units has most of the say; but there is a best model.
    assert ICA(4, whiten=False, random_state=0).fit(X.astype(dtype)).converged_


def test_principal_components_beyond_rounding():
    with pytest.raises(ValueError, match=r"principal component 1 of X .* drowns in rounding.* Standardise them"):
        ICA(2).fit(mixed_logistic(500)[:, :3] * [1.0, 1e12, 2.0])


@pytest.mark.filterwarnings("ignore:the 5 columns of X are linearly dependent")
def test_orthogonal_needs_as_many_dimensions():
    X = mixed_logistic(2000)
    with pytest.raises(ValueError, match=r"no more components than dimensions; got n_components=6.* have 4"):
        ICA(6, orthogonal=True).fit(np.column_stack([X, X[:, 0]]))


def test_more_components_than_samples():
    X = mixed_logistic(5)
    with pytest.raises(ValueError, match=r"ICA with n_components=6 needs at least 6 samples; got n_samples = 5"):
        ICA(6, fit_coefficients=True).fit(X)
    weight = np.array([1.0, 0.0, 1.0, 0.0, 1.0])
    with pytest.raises(
        ValueError, match=r"n_components=4 needs at least 4 samples of positive weight; got n_samples = 3"
    ):
        ICA(4).fit(X, sample_weight=weight)
    with pytest.raises(ValueError, match=r"ICA needs at least 2 samples of positive weight; got n_samples = 1"):
        ICA().fit(X, sample_weight=np.eye(5)[0])


def test_fewer_rows_than_columns():
    """Whitening goes as far as the rows reach."""
    X = np.random.default_rng(0).normal(size=(4, 6))
    with pytest.raises(ValueError, match=r"cannot be whitened to 4 dimensions.*too few rows; its rank is 3"):
        ICA(4).fit(X)
    with pytest.warns(UserWarning, match="too few rows: its rank is 3"):
        model = ICA(orthogonal=True, random_state=0).fit(X)
    assert model.components_.shape == (3, 6)


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
        ({"orthogonal": 1}, "orthogonal must be True or False"),
        ({"orthogonal": True, "whiten": False}, "orthogonal=True is for whitened data.*pass whiten=True"),
        ({"orthogonal": True, "batch_size": 10}, "orthogonal=True does not go with batch_size"),
        ({"orthogonal": True, "n_components": 5}, "no more components than dimensions; got n_components=5"),
        ({"batch_size": 0}, "batch_size must be an integer of at least 1"),
        ({"max_epochs": 0}, "max_epochs must be an integer of at least 1"),
        ({"batch_size": 10, "max_iter": -1}, "max_iter must be an integer of at least 1"),
        ({"batch_size": 10, "learning_rate_init": 0.0}, "learning_rate_init must be positive"),
        ({"batch_size": 10, "validation_fraction": 2}, "validation_fraction must be a number between 0 and 1"),
        ({"early_stopping": True}, "early_stopping=True is for minibatches: pass batch_size"),
        ({"early_stopping": 1}, "early_stopping must be True or False"),
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


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        (
            {"components": [[1.0, 0.0], [0.0, 1.0]], "coefficients": [2.0, -1.0]},
            r"coefficients_\[1\] is -1: .* nothing",
        ),
        ({"components": [[1.0, 2.0], [2.0, 4.0]]}, r"shape \(2, 2\) and rank 1"),
        ({"components": [[1.0, 2.0]]}, r"shape \(1, 2\) and rank 1"),
    ],
)
def test_no_exact_sampler(parameters, message):
    with pytest.raises(ValueError, match=message):
        ICA.from_params(**parameters).sample()


def test_batches_of_more_rows_than_there_are():
    X = mixed_logistic(200)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # ten epochs are few
        most, all_rows = (ICA(batch_size=size, max_epochs=10, random_state=0).fit(X) for size in (10**30, 200))
    np.testing.assert_array_equal(most.theta_, all_rows.theta_)
