"""Pairwise interaction models: their quadratic form, their estimates, and what they refuse."""

import tracemalloc

import numpy as np
import pytest
import scorematch
from scipy.optimize import minimize
from scorematch import (
    BoundaryDistance,
    Box,
    ExponentialSquareRoot,
    GammaInteraction,
    Gaussian,
    MinPower,
    NonNegative,
    PairwiseInteraction,
    Power,
    RealSpace,
    Simplex,
    Tanh,
    TruncatedGaussian,
    _core,
)
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

POWERS = [(1, 1), (0.5, 0.5), (0.5, 0), (0, 0), (1.5, 0.7), (2, 1), (3, 2)]
DOMAINS = {
    "orthant": (None, MinPower(c=0.75, p=1.5)),
    "table": (Box(0.0, 40.0), Tanh(0.5)),
    "shared": (Box(0.0, 40.0), BoundaryDistance(cap=2.0)),
    "simplex": (Simplex(), MinPower(c=0.1, p=1.5)),
    "simplex, shared": (Simplex(), BoundaryDistance()),
}


def data(name, n, d, seed=0):
    """Points of a domain, with the weight's a and b from its definition; X, a (n, d), b (n, d)."""
    domain, weight = DOMAINS[name]
    random = np.random.default_rng(seed)
    X = (
        random.dirichlet(np.full(d + 1, 3.0), n)[:, :d]
        if isinstance(domain, Simplex)
        else random.gamma(2.0, 1.0, (n, d))
    )
    place = NonNegative() if domain is None else domain
    if isinstance(weight, BoundaryDistance):
        g, gradient = weight(*place.distance(X))
        return X, np.broadcast_to(np.reshape(g, (n, 1)), X.shape), gradient
    distance, slope = place.coordinate_distance(X)
    h, derivative = weight(distance)
    return X, h, derivative * slope


def chain(d, n, seed=0):
    """Positive data with the dependences of a chain."""
    random = np.random.default_rng(seed)
    Z = random.normal(size=(n, d))
    for j in range(1, d):
        Z[:, j] = 0.6 * Z[:, j - 1] + 0.8 * Z[:, j]
    return np.abs(Z + 0.7) + 0.01


def power(x, p):
    return np.log(x) if p == 0 else x**p


# -- The quadratic form -------------------------------------------------------------------------------------------


def true_form(X, h, dh, sample_weight, a, b, on_simplex):
    """Γ and g in all columns c_j = (K_j, η_j), one behind the other, from the definition of the objective.

    Each derivative of log p is written as a linear function of K and η, all of K's entries being unknowns.
    """
    n, m = X.shape
    Y = np.column_stack([X, 1 - X.sum(axis=1)]) if on_simplex else X
    d, factor = Y.shape[1], a if a > 0 else 1
    size = d * (d + 1)
    gamma, g = np.zeros((size, size)), np.zeros(size)
    for i in range(n):
        y, u = Y[i], power(Y[i], a)

        def first(j):
            out = np.zeros((d, d + 1))
            out[j, :d], out[j, d] = -(y[j] ** (a - 1)) * u, y[j] ** (b - 1)  # noqa: B023
            return out

        def second(j, k):
            out = np.zeros((d, d + 1))
            out[j, k] -= factor * y[j] ** (a - 1) * y[k] ** (a - 1)  # noqa: B023
            if j == k:
                out[j, :d] -= (a - 1) * y[j] ** (a - 2) * u  # noqa: B023
                out[j, d] += (b - 1) * y[j] ** (b - 2)  # noqa: B023
            return out

        for j in range(m):
            psi, curvature = first(j), second(j, j)
            if on_simplex:
                psi = psi - first(d - 1)
                curvature = curvature - second(j, d - 1) - second(d - 1, j) + second(d - 1, d - 1)
            gamma += sample_weight[i] * h[i, j] * np.outer(psi, psi)
            g -= sample_weight[i] * (h[i, j] * curvature + dh[i, j] * psi).ravel()
    return gamma / sample_weight.sum(), g / sample_weight.sum()


def all_columns(form):
    """The same of our form."""
    d = len(form.linear)
    gamma, g = np.zeros((d, d + 1, d, d + 1)), np.zeros((d, d + 1))
    for j in range(d):
        gamma[j, :d, j, :d], gamma[j, d, j, d] = form.blocks[j], form.linear[j]
        gamma[j, :d, j, d] = gamma[j, d, j, :d] = form.cross[:, j]
        g[j] = np.append(form.g_interaction[:, j], form.g_linear[j])
        if hasattr(form, "coupling") and j < d - 1:
            size = form.coupling.shape[1]
            gamma[j, :size, -1, :size] += form.coupling[j]
            gamma[-1, :size, j, :size] += form.coupling[j].T
    size = d * (d + 1)
    return gamma.reshape(size, size), g.ravel()


@pytest.mark.parametrize("name", DOMAINS)
@pytest.mark.parametrize(("a", "b"), POWERS)
def test_quadratic_form_by_its_definition(a, b, name, dtype, level):
    for d in (1, 2, 4, 7) if "simplex" not in name else (1, 2, 4):
        X, h, dh = data(name, 30, d)
        X = X.astype(dtype)
        weight = np.random.default_rng(1).uniform(0.2, 2.0, len(X))
        domain, used = DOMAINS[name]
        model = PairwiseInteraction(a, b, domain=domain, weight=used)
        gamma, g = true_form(X.astype(float), h, dh, weight, a, b, "simplex" in name)
        ours = all_columns(model.quadratic_form(X, weight))
        tolerance = {np.float64: 1e-11, np.float32: 3e-4}[dtype]
        np.testing.assert_allclose(ours[0], gamma, rtol=0, atol=tolerance * np.abs(gamma).max())
        np.testing.assert_allclose(ours[1], g, rtol=0, atol=tolerance * np.abs(g).max())


@pytest.mark.parametrize("name", DOMAINS)
def test_form_without_a_linear_term(name):
    X, h, dh = data(name, 50, 4)
    domain, weight = DOMAINS[name]
    form = PairwiseInteraction(1.5, 0, domain=domain, weight=weight, fit_linear=False).quadratic_form(X)
    gamma, g = true_form(X, h, dh, np.ones(50), 1.5, 0, "simplex" in name)
    d = len(form.linear)
    kept = np.flatnonzero(np.tile(np.arange(d + 1) < d, d))
    ours = all_columns(form)
    np.testing.assert_allclose(ours[0][np.ix_(kept, kept)], gamma[np.ix_(kept, kept)], rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(ours[1][kept], g[kept], rtol=1e-10, atol=1e-12)
    assert not form.cross.any()
    assert not form.linear.any()
    assert not form.g_linear.any()


@pytest.mark.parametrize("d", [31, 32, 33, 40, 50, 65])
def test_blocks_of_many_columns(d, dtype, level):
    """Where threads share pairs and not samples, and next to it; weighted products of matrices are the truth."""
    random = np.random.default_rng(d)
    X = random.gamma(2.0, 1.0, (700, d)).astype(dtype)
    weight = random.uniform(0.2, 2.0, len(X))
    field = _core.Field.coordinate("min_power", 1.0, [1.5])
    forms = [
        _core.pairwise_moments(X, weight, field, 0.5, 0.5, True, False, np.zeros(d), n_threads)
        for n_threads in (1, 2, 3)
    ]
    for other in forms[1:]:
        for name, value in forms[0].items():
            assert value.tobytes() == other[name].tobytes()
    x = X.astype(float)
    u, common = np.sqrt(x), weight[:, None] * np.minimum(x, 1.5) / x / weight.sum()
    truth = np.stack([(u * common[:, [j]]).T @ u for j in range(d)])
    tolerance = {np.float64: 1e-13, np.float32: 2e-6}[dtype]
    np.testing.assert_allclose(forms[0]["squares"], truth, rtol=0, atol=tolerance * np.abs(truth).max())
    np.testing.assert_allclose(forms[0]["cross"], -common.T @ u, rtol=tolerance * 10)


def test_many_rows_go_by_panels():
    """More rows than are turned at a time, and not a multiple of anything."""
    d, n = 36, 9001
    X = np.random.default_rng(0).gamma(2.0, 1.0, (n, d))
    field = _core.Field.coordinate("log1p")
    ours = _core.pairwise_moments(X, None, field, 1.0, 1.0, True, False, np.zeros(d), 2)["squares"]
    truth = np.stack([(X * np.log1p(X[:, [j]])).T @ X for j in range(d)]) / n
    np.testing.assert_allclose(ours, truth, rtol=1e-12)


def test_one_weight_for_all_columns_needs_one_block():
    X, g, _ = data("shared", 200, 5)
    form = PairwiseInteraction(domain=Box(0.0, 40.0), weight=BoundaryDistance(cap=2.0)).quadratic_form(X)
    for block in form.blocks:
        np.testing.assert_allclose(block, (X * g).T @ X / 200, rtol=1e-12)


def test_form_takes_no_more_memory_than_its_blocks():
    d = 128
    X = chain(d, 200)
    model = TruncatedGaussian(weight=MinPower(c=1.0), n_jobs=1)
    model.quadratic_form(X)
    tracemalloc.start()
    model.quadratic_form(X)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.1 * 8 * d**3


@pytest.mark.parametrize("name", ["orthant", "simplex"])
def test_value_of_the_form_is_the_objective(name):
    X, _, _ = data(name, 100, 3)
    domain, weight = DOMAINS[name]
    model = PairwiseInteraction(0, 0, domain=domain, weight=weight, diagonal_multiplier=1.0).fit(X)
    form = model.quadratic_form(X)
    assert form.value(model.interaction_, model.linear_) == pytest.approx(model.objective_, rel=1e-10)
    assert model.loss_and_grad(model.theta_, X)[0] == pytest.approx(model.objective_, rel=1e-10)
    gamma, g = form.assembled()
    assert model.theta_ @ gamma @ model.theta_ / 2 - g @ model.theta_ == pytest.approx(model.objective_, rel=1e-9)


# -- Estimates without penalty ------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:the estimated precision has a negative eigenvalue:UserWarning")
@pytest.mark.parametrize("weight", [MinPower(c=1.0), Power(2), Tanh(1.0), BoundaryDistance(cap=1.0)], ids=repr)
def test_truncated_gaussian_is_the_gaussian(weight):
    X = chain(5, 3000)
    theirs = Gaussian(domain=NonNegative(), weight=weight).fit(X)
    ours = TruncatedGaussian(weight=weight, diagonal_multiplier=1.0).fit(X)
    np.testing.assert_allclose(ours.interaction_, theirs.precision_, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(ours.linear_, theirs.precision_ @ theirs.mean_, rtol=1e-9, atol=1e-10)
    assert ours.objective_ == pytest.approx(theirs.objective_, rel=1e-10)
    assert ours.kkt_residual_ < 1e-10


def test_far_from_the_origin_no_digits_are_lost():
    """On all of space it is maximum likelihood: K is the inverse of the covariance, wherever the data lie."""
    random = np.random.default_rng(0)
    Z = random.normal(size=(500, 3)) @ np.array([[1.0, 0.5, 0.0], [0.0, 1.0, 0.3], [0.0, 0.0, 1.0]])
    for offset in (0.0, 2.0**20):
        model = PairwiseInteraction(domain=RealSpace(), diagonal_multiplier=1.0).fit(Z + offset)
        np.testing.assert_allclose(model.interaction_, np.linalg.inv(np.cov((Z + offset).T, bias=True)), rtol=1e-8)


def test_exponential_rates():
    """K diagonal, η = 0, a = 1/2: independent exponentials of rates K_jj. With h = x the estimate is 1/mean."""
    X = np.random.default_rng(0).exponential([0.5, 1.0, 4.0], (2000, 3))
    for j in range(3):
        model = ExponentialSquareRoot(weight=Power(1), fit_linear=False, diagonal_multiplier=1.0).fit(X[:, [j]])
        assert model.interaction_[0, 0] == pytest.approx(1 / X[:, j].mean(), rel=1e-10)
        assert model.diagonal_multiplier_ == 1


def test_gammas():
    X = np.random.default_rng(0).gamma([3.0, 6.0], [1.0, 0.5], (200_000, 2))
    model = GammaInteraction(diagonal_multiplier=1.0).fit(X)
    np.testing.assert_allclose(np.diag(model.interaction_), [1.0, 2.0], rtol=0.05)
    np.testing.assert_allclose(model.linear_, [2.0, 5.0], rtol=0.05)
    assert abs(model.interaction_[0, 1]) < 0.05


def test_log_normals():
    """With a = b = 0 on the orthant, log x is normal with precision K, and η = Kμ − 1."""
    random, mean = np.random.default_rng(0), np.array([0.3, -0.2, 0.1])
    K = np.array([[2.0, 0.6, 0.0], [0.6, 1.5, -0.4], [0.0, -0.4, 1.2]])
    X = np.exp(random.multivariate_normal(mean, np.linalg.inv(K), size=200_000))
    model = PairwiseInteraction(0, 0, weight=Power(2), diagonal_multiplier=1.0).fit(
        X
    )  # Power(2): log x's own objective
    np.testing.assert_allclose(model.interaction_, K, atol=0.03)
    np.testing.assert_allclose(model.linear_, K @ mean - 1, atol=0.03)
    # On the logarithms it is the Gaussian, by maximum likelihood: the objectives are the same.
    np.testing.assert_allclose(model.interaction_, np.linalg.inv(np.cov(np.log(X).T, bias=True)), rtol=1e-8)


def test_truncated_gaussian_is_recovered():
    K = np.array([[1.0, 0.5, 0.0], [0.5, 1.5, 0.3], [0.0, 0.3, 1.2]])
    mean = np.array([0.5, 0.2, 0.4])
    Z = np.random.default_rng(0).multivariate_normal(mean, np.linalg.inv(K), size=800_000)
    X = Z[(Z > 0).all(axis=1)]
    model = TruncatedGaussian(diagonal_multiplier=1.0).fit(X)
    np.testing.assert_allclose(model.interaction_, K, atol=0.05)
    np.testing.assert_allclose(model.linear_, K @ mean, atol=0.08)


@pytest.mark.parametrize("zero_row_sums", [True, False])
def test_additive_logistic_normal_is_recovered(zero_row_sums):
    random, d = np.random.default_rng(0), 4
    covariance, mean = np.array([[1.0, 0.3, 0.0], [0.3, 0.8, -0.2], [0.0, -0.2, 0.6]]), np.array([0.2, -0.3, 0.1])
    Z = np.column_stack([random.multivariate_normal(mean, covariance, size=200_000), np.zeros(200_000)])
    X = np.exp(Z) / np.exp(Z).sum(axis=1, keepdims=True)
    options = {"domain": Simplex(), "zero_row_sums": zero_row_sums, "diagonal_multiplier": 1.0}
    model = PairwiseInteraction(0, 0, **options).fit(X[:, : d - 1])
    ratios = np.column_stack([np.eye(d - 1), -np.ones(d - 1)])
    precision = np.linalg.inv(covariance)
    np.testing.assert_allclose(model.interaction_, ratios.T @ precision @ ratios, atol=0.1)
    np.testing.assert_allclose(model.linear_, ratios.T @ precision @ mean - 1, atol=0.25)
    assert model.n_features_in_ == d - 1
    if zero_row_sums:
        assert np.abs(model.interaction_.sum(axis=1)).max() < 1e-12
    # It is the minimum: the gradient vanishes along all changes that keep the rows' sums.
    _, gradient = model.loss_and_grad(model.theta_, X[:, : d - 1])
    n_pairs = d * (d + 1) // 2
    slope = np.zeros((d, d))
    slope[np.triu_indices(d)] = gradient[:n_pairs]
    if zero_row_sums:  # of K_ij, with K_ii and K_jj moved the other way
        slope -= np.add.outer(np.diag(slope), np.diag(slope))
        slope = np.triu(slope, 1)
    np.testing.assert_allclose(slope, 0, atol=1e-9)
    np.testing.assert_allclose(gradient[n_pairs:], 0, atol=1e-9)


def test_conditional_regressions_without_symmetry():
    """Each column by itself is a least-squares problem; on all of space that of a regression."""
    X = chain(4, 500) - 1.0
    model = PairwiseInteraction(domain=RealSpace(), combine="or", diagonal_multiplier=1.0).fit(X)
    precision = np.linalg.inv(np.cov(X.T, bias=True))
    np.testing.assert_allclose(model.interaction_, precision, rtol=1e-9)  # here the columns agree


# -- Penalties ----------------------------------------------------------------------------------------------------


def kkt_violation(model, X, weight=None):
    """How far 0 is from the subgradient, by plain NumPy from the form in K and η on the scaled data."""
    rows = X / model.scale_
    fresh = clone(model).set_params(scale=None)
    form = fresh.quadratic_form(rows, weight)
    d = len(form.linear)
    K, eta = model.scaled_interaction_, model.scaled_linear_
    slope = np.empty((d, d))
    for j in range(d):
        diagonal = (model.diagonal_multiplier_ - 1) * np.diag(form.blocks[j]) * K[:, j]
        slope[:, j] = form.blocks[j] @ K[:, j] + diagonal + eta[j] * form.cross[:, j] - form.g_interaction[:, j]
    slope_linear = np.einsum("ij,ij->j", form.cross, K) + form.linear * eta - form.g_linear
    violations = [_distance(slope_linear, eta, model.alpha_linear)] if model.fit_linear else []
    off = ~np.eye(d, dtype=bool)
    if model.zero_row_sums:
        own = np.diag(slope)
        slope = slope - own[None, :]  # of K_ij in column j, with K_jj moved the other way
    else:
        violations.append(np.abs(np.diag(slope)))
    if model.combine == "symmetric":
        slope = slope + slope.T
    violations.append(_distance(slope[off], K[off], model.alpha * (2 if model.combine == "symmetric" else 1)))
    return max(float(np.max(violation, initial=0)) for violation in violations)


def _distance(slope, values, penalty):
    return np.where(values != 0, np.abs(slope + penalty * np.sign(values)), np.maximum(np.abs(slope) - penalty, 0))


@pytest.mark.parametrize("scale", [None, "norm", "sd"])
@pytest.mark.parametrize(
    "options",
    [
        {"alpha": 0.1},
        {"alpha": 0.1, "alpha_linear": 0.2},
        {"alpha": 0.1, "fit_linear": False},
        {"alpha": 0.1, "diagonal_multiplier": 1.0},
        {"alpha": 0.05, "a": 0.5, "b": 0.5},
        {"alpha": 0.05, "a": 0.5, "b": 0.0},
        {"alpha": 0.05, "a": 0.0, "b": 0.0, "alpha_linear": 0.1},
        {"alpha": 0.02, "a": 1.5, "b": 0.7, "weight": Tanh(1.0)},
    ],
    ids=str,
)
def test_conditions_of_a_minimum(options, scale):
    X, weight = chain(8, 400), np.random.default_rng(3).uniform(0.5, 2.0, 400)
    model = PairwiseInteraction(**{"weight": MinPower(c=1.0), "scale": scale, **options}).fit(X, sample_weight=weight)
    assert model.converged_
    assert 0 < np.count_nonzero(np.triu(model.interaction_, 1)) < 28
    assert kkt_violation(model, X, weight) < 1e-8 * max(1, np.abs(model.scaled_interaction_).max())
    assert model.kkt_residual_ < 1e-8


def test_conditions_of_a_minimum_with_zero_row_sums():
    model = PairwiseInteraction(0, 0, weight=MinPower(c=1.0), alpha=0.05, zero_row_sums=True).fit(chain(8, 400))
    np.testing.assert_allclose(model.interaction_.sum(axis=1), 0, atol=1e-12)
    # The multiplier is on the blocks before the diagonal is eliminated, as in kkt_violation.
    assert kkt_violation(model, chain(8, 400)) < 1e-8
    assert 0 < np.count_nonzero(np.triu(model.interaction_, 1)) < 28


@pytest.mark.parametrize("fewer_rows", [False, True])
def test_penalised_minimum_by_a_general_optimiser(fewer_rows):
    """K = P − N with P, N ≥ 0 makes the penalty smooth: SciPy's bounded minimiser finds the same minimum."""
    d = 6
    X = chain(d, 5 if fewer_rows else 300)
    model = TruncatedGaussian(weight=MinPower(c=1.0), alpha=0.15, alpha_linear=0.05).fit(X)
    gamma, g = model.quadratic_form(X).assembled()
    form, n_pairs = model.quadratic_form(X), d * (d + 1) // 2
    rows, columns = np.triu_indices(d)
    for i, j, p in zip(rows, columns, range(n_pairs), strict=True):
        gamma[p, p] += (model.diagonal_multiplier_ - 1) * (
            form.blocks[j, i, i] + (form.blocks[i, j, j] if i != j else 0)
        )
    penalty = np.concatenate([np.where(rows == columns, 0, 2 * 0.15), np.full(d, 0.05)])
    gamma, g = (gamma + gamma.T) / 2, g

    def objective(split):
        theta = split[: len(g)] - split[len(g) :]
        slope = gamma @ theta - g
        value = theta @ (gamma @ theta / 2 - g) + penalty @ (split[: len(g)] + split[len(g) :])
        return value, np.concatenate([slope + penalty, penalty - slope])

    free = [(0, None)] * (2 * len(g))
    found = minimize(
        objective,
        np.zeros(2 * len(g)),
        jac=True,
        bounds=free,
        method="L-BFGS-B",
        options={"maxiter": 20_000, "maxfun": 50_000, "ftol": 1e-16, "gtol": 1e-10},
    )
    ours = np.concatenate([np.maximum(model.theta_, 0), np.maximum(-model.theta_, 0)])
    assert objective(ours)[0] <= found.fun + 1e-9
    np.testing.assert_allclose(model.theta_, found.x[: len(g)] - found.x[len(g) :], atol=2e-4)


def test_rules_that_combine_columns():
    X = chain(8, 300)
    options = {"weight": MinPower(c=1.0), "alpha": 0.12}
    both, either = (TruncatedGaussian(combine=rule, **options).fit(X).interaction_ for rule in ("and", "or"))
    off = ~np.eye(8, dtype=bool)
    edges_both, edges_either = (both != 0) & off, (either != 0) & off
    assert edges_both.sum() < edges_either.sum()
    assert (edges_either | ~edges_both).all()
    for K in (both, either):
        np.testing.assert_array_equal(K, K.T)
    # On the edges that both have, both are the mean of what the two columns say.
    np.testing.assert_array_equal(either[edges_both], both[edges_both])


def test_large_penalty_leaves_the_diagonal():
    model = TruncatedGaussian(weight=MinPower(c=1.0), alpha=100.0).fit(chain(5, 200))
    assert not model.interaction_[~np.eye(5, dtype=bool)].any()
    assert (np.diag(model.interaction_) > 0).all()


def test_penalty_on_the_simplex():
    random, d = np.random.default_rng(0), 6
    Z = np.column_stack([chain(d - 1, 500) * 0.5, np.zeros(500)]) + 0.3 * random.normal(size=(500, d))
    X = (np.exp(Z) / np.exp(Z).sum(axis=1, keepdims=True))[:, : d - 1]
    for zero_row_sums in (True, False):
        model = PairwiseInteraction(0, 0, domain=Simplex(), alpha=0.2, zero_row_sums=zero_row_sums).fit(X)
        assert model.converged_
        n_edges = np.count_nonzero(np.triu(model.interaction_, 1))
        assert 0 < n_edges < 15
        # Minimal among its neighbours, by the form's own value.
        form, K, eta = model.quadratic_form(X), model.interaction_, model.linear_
        off = ~np.eye(d, dtype=bool)

        def objective(K, eta, form=form, off=off, model=model):
            extra = sum(np.diag(block) @ column**2 for block, column in zip(form.blocks, K.T, strict=True))
            penalty = model.alpha * np.abs(K[off]).sum()
            return form.value(K, eta) + (model.diagonal_multiplier_ - 1) / 2 * extra + penalty

        least = objective(K, eta)
        for seed in range(40):
            random = np.random.default_rng(seed)
            change = random.normal(size=(d, d)) * 10.0 ** random.uniform(-4, -1) * (random.random((d, d)) < 0.3)
            change = change + change.T
            if zero_row_sums:
                np.fill_diagonal(change, 0)
                np.fill_diagonal(change, -change.sum(axis=0))
            assert objective(K + change, eta + 1e-2 * random.normal(size=d) * (seed % 2)) >= least - 1e-10


# -- Options ------------------------------------------------------------------------------------------------------


def test_multiplier():
    X = chain(6, 50)
    model = TruncatedGaussian(alpha=0.1).fit(X)
    ratio = 6 * np.log(6) / 50
    assert model.diagonal_multiplier_ == pytest.approx(1 + (1 - 1 / (1 + 4 * np.e * max(ratio, ratio**0.5))), rel=1e-14)
    assert TruncatedGaussian(alpha=0.1, diagonal_multiplier=1.3).fit(X).diagonal_multiplier_ == 1.3


@pytest.mark.parametrize(("a", "b"), [(1, 1), (0.5, 0), (0, 0), (1.5, 0.7)])
def test_scale(a, b):
    X = chain(4, 500) * np.array([1.0, 10.0, 0.1, 3.0])
    weights = np.random.default_rng(0).integers(1, 4, 500)
    repeated = np.repeat(X, weights, axis=0)
    truth = {
        "norm": np.sqrt((repeated**2).sum(axis=0) / (len(repeated) - 1)),
        "sd": repeated.std(axis=0, ddof=1),
    }
    for scale, expected in truth.items():
        options = {"weight": MinPower(c=1.0), "alpha": 0.05, "diagonal_multiplier": 1.1}
        model = PairwiseInteraction(a, b, scale=scale, **options).fit(X, sample_weight=weights)
        np.testing.assert_allclose(model.scale_, expected, rtol=1e-12)
        plain = PairwiseInteraction(a, b, **options).fit(X / expected, sample_weight=weights)
        np.testing.assert_allclose(model.scaled_interaction_, plain.interaction_, rtol=1e-7, atol=1e-9)
        np.testing.assert_allclose(model.scaled_linear_, plain.linear_, rtol=1e-7, atol=1e-8)
        assert model.objective_ == pytest.approx(plain.objective_, rel=1e-10)
        # The same density: log p differs by a constant.
        difference = model.unnormalized_log_density(X) - plain.unnormalized_log_density(X / expected)
        assert np.ptp(difference) < 1e-8 * np.abs(model.unnormalized_log_density(X)).max()


def test_caps_are_quantiles_of_scaled_data():
    X = chain(4, 500) * np.array([1.0, 10.0, 0.1, 3.0])
    options = {"alpha": 0.05, "diagonal_multiplier": 1.1, "weight": MinPower(quantile=0.8)}
    model = TruncatedGaussian(scale="sd", **options).fit(X)
    plain = TruncatedGaussian(**options).fit(X / model.scale_)
    np.testing.assert_allclose(model.scaled_interaction_, plain.interaction_, rtol=1e-6)
    np.testing.assert_allclose(model.weight_.c, np.multiply(plain.weight_.c, model.scale_), rtol=1e-10)


def test_blocks_add_up():
    X, weight = chain(6, 900), np.random.default_rng(0).uniform(0.5, 2.0, 900)
    options = {"alpha": 0.05, "weight": MinPower(c=1.0)}
    whole = TruncatedGaussian(**options).fit(X, sample_weight=weight)
    parts = TruncatedGaussian(**options)
    for begin, end in ((0, 100), (100, 101), (101, 900)):
        parts.partial_fit(X[begin:end], sample_weight=weight[begin:end])
    np.testing.assert_allclose(parts.theta_, whole.theta_, rtol=1e-6, atol=1e-9)
    with pytest.raises(ValueError, match="partial_fit needs scale=None"):
        TruncatedGaussian(scale="sd").partial_fit(X)


def test_weights_count_rows():
    X, counts = chain(6, 300), np.random.default_rng(0).integers(0, 3, 300)
    options = {"alpha": 0.05, "weight": MinPower(c=1.0), "diagonal_multiplier": 1.2, "scale": "sd"}
    weighted = TruncatedGaussian(**options).fit(X, sample_weight=counts)
    repeated = TruncatedGaussian(**options).fit(np.repeat(X, counts, axis=0))
    np.testing.assert_allclose(weighted.theta_, repeated.theta_, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("d", [10, 40])
def test_threads_change_no_bit(d, dtype):
    X = chain(d, 3000).astype(dtype)
    first, second, third = (
        TruncatedGaussian(alpha=0.05, weight=MinPower(c=1.0), n_jobs=n_jobs).fit(X) for n_jobs in (1, 2, 3)
    )
    assert first.theta_.tobytes() == second.theta_.tobytes() == third.theta_.tobytes()


def test_float32_fits_as_float64():
    X = chain(6, 2000).astype(np.float32)
    options = {"alpha": 0.05, "weight": MinPower(c=1.0)}
    single, double = TruncatedGaussian(**options).fit(X), TruncatedGaussian(**options).fit(X.astype(float))
    np.testing.assert_allclose(single.theta_, double.theta_, atol=1e-4)


def test_names_of_models():
    for made, a, b in ((TruncatedGaussian(), 1, 1), (ExponentialSquareRoot(), 0.5, 0.5), (GammaInteraction(), 0.5, 0)):
        assert (made.a, made.b) == (a, b)
        assert "a" not in made.get_params()
        copy = clone(made.set_params(alpha=0.3))
        assert (copy.a, copy.b, copy.alpha) == (a, b, 0.3)
        X = chain(3, 200)
        same = PairwiseInteraction(a, b, alpha=0.3).fit(X)
        np.testing.assert_array_equal(copy.fit(X).theta_, same.theta_)
        with pytest.raises(TypeError, match="has no parameter 'a'"):
            type(made).from_params(interaction=np.eye(2), a=2)


@pytest.mark.parametrize("powers", [(1, 1), (0.5, 0.5), (0.5, 0), (0, 0)])
def test_draws_have_the_parameters(powers):
    """A model drawn from, and fitted to the draws, is the model again."""
    K, eta = np.array([[1.5, 0.4], [0.4, 1.2]]), np.array([0.5, 0.8])
    X = PairwiseInteraction.from_params(interaction=K, linear=eta, a=powers[0], b=powers[1]).sample(20_000, 0)
    model = PairwiseInteraction(*powers, diagonal_multiplier=1.0).fit(X)
    np.testing.assert_allclose(model.interaction_, K, atol=0.25)
    np.testing.assert_allclose(model.linear_, eta, atol=0.25)
    parts = PairwiseInteraction.from_params(interaction=np.eye(3), a=0, b=0, domain=Simplex())
    with pytest.raises(ValueError, match="no Gibbs sampler on Simplex"):
        parts.sample(method="gibbs")


def test_parameters():
    K, eta = np.array([[2.0, -0.5], [-0.5, 1.0]]), np.array([0.3, 0.7])
    model = PairwiseInteraction.from_params(interaction=K, linear=eta, a=0.5, b=0)
    np.testing.assert_array_equal(model.interaction_, K)
    np.testing.assert_array_equal(model.linear_, eta)
    np.testing.assert_array_equal(model.scaled_interaction_, K)
    assert model.theta_names_ == ["interaction[0,0]", "interaction[0,1]", "interaction[1,1]", "linear[0]", "linear[1]"]
    x = np.array([[0.7, 1.9]])
    u = np.sqrt(x[0])
    assert model.unnormalized_log_density(x)[0] == pytest.approx(-u @ K @ u + eta @ np.log(x[0]))
    assert not PairwiseInteraction.from_params(interaction=K).linear_.any()
    without = PairwiseInteraction.from_params(interaction=K, fit_linear=False)
    assert len(without.theta_) == 3
    parts = PairwiseInteraction.from_params(interaction=np.eye(3), a=0, b=0, domain=Simplex())
    assert parts.n_features_in_ == 2
    assert parts.unnormalized_log_density([[0.2, 0.5]])[0] == pytest.approx(-np.sum(np.log([0.2, 0.5, 0.3]) ** 2) / 2)


def test_models_are_written_to_files(tmp_path):
    X = chain(4, 200)
    model = TruncatedGaussian(alpha=0.05, scale="norm").fit(X)
    scorematch.save_model(model, tmp_path / "model.json")
    again = scorematch.load_model(tmp_path / "model.json")
    np.testing.assert_array_equal(again.interaction_, model.interaction_)
    np.testing.assert_allclose(again.scaled_interaction_, model.scaled_interaction_, rtol=1e-12)


# -- Bad input ----------------------------------------------------------------------------------------------------

X0 = chain(4, 100)


def with_entry(value):
    X = X0.copy()
    X[7, 2] = value
    return X


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: PairwiseInteraction(-1).fit(X0), "a must be a finite number of at least 0"),
        (lambda: PairwiseInteraction(1, -0.5).fit(X0), "b must be a finite number of at least 0"),
        (lambda: PairwiseInteraction("1").fit(X0), "a must be a finite number"),
        (lambda: PairwiseInteraction(alpha=-1).fit(X0), "alpha must be a finite number of at least 0"),
        (lambda: PairwiseInteraction(alpha=np.nan).fit(X0), "alpha must be a finite number"),
        (lambda: PairwiseInteraction(alpha_linear=-1).fit(X0), "alpha_linear must be"),
        (lambda: PairwiseInteraction(alpha_linear=1, fit_linear=False).fit(X0), "no linear term to penalise"),
        (lambda: PairwiseInteraction(diagonal_multiplier=0.9).fit(X0), "diagonal_multiplier must be .* at least 1"),
        (lambda: PairwiseInteraction(diagonal_multiplier="none").fit(X0), "diagonal_multiplier must be"),
        (lambda: PairwiseInteraction(combine="xor").fit(X0), "combine must be one of 'symmetric', 'and', 'or'"),
        (lambda: PairwiseInteraction(scale="max").fit(X0), "scale must be one of None, 'norm', 'sd'"),
        (lambda: PairwiseInteraction(fit_linear=1).fit(X0), "fit_linear must be True or False"),
        (lambda: PairwiseInteraction(max_iter=0).fit(X0), "max_iter must be an integer"),
        (lambda: PairwiseInteraction(1, 2).fit(X0), "diagonal of K says what the linear term says"),
        (lambda: PairwiseInteraction(domain=Simplex()).fit(X0 / 20), "not identified on .*zero_row_sums=True"),
        (lambda: PairwiseInteraction(0, 1, domain=Simplex()).fit(X0 / 20), "moved by a constant; use fit_linear=False"),
        (lambda: PairwiseInteraction(0, 0, domain=Simplex(), combine="or").fit(X0 / 20), "use combine='symmetric'"),
        (lambda: PairwiseInteraction(domain=Box(0, 50), scale="sd").fit(X0), "would change the domain"),
        (lambda: PairwiseInteraction(0, 1, scale="sd").fit(X0), "it needs b=0 and fit_linear=True"),
        (lambda: PairwiseInteraction(zero_row_sums=True, scale="sd").fit(X0), "does not go with zero_row_sums"),
        (lambda: PairwiseInteraction().fit(with_entry(-0.25)), "row 7 does not: column 2 is -0.25"),
        (lambda: PairwiseInteraction().fit(with_entry(0.0)), "row 7 of X lies on the boundary .* column 2"),
        (lambda: PairwiseInteraction().fit(with_entry(np.nan)), "row 7, column 2"),
        (
            lambda: PairwiseInteraction(0, 0, domain=RealSpace()).fit(with_entry(0.0)),
            "X must be positive for a=0, .* row 7, column 2 is 0",
        ),
        (
            lambda: PairwiseInteraction(1, 0.5, domain=RealSpace()).fit(with_entry(-1.0)),
            "X must be positive for b=0.5, .* row 7, column 2 is -1",
        ),
        (
            lambda: PairwiseInteraction(2.5, fit_linear=False, domain=RealSpace()).fit(with_entry(-1.0)),
            "X must be at least 0 for a=2.5, .* row 7, column 2 is -1",
        ),
        (
            lambda: PairwiseInteraction(0, 0).fit(X0).score_function(with_entry(0.0)),
            "X must be positive for a=0, .* row 7, column 2 is 0",
        ),
        (
            lambda: PairwiseInteraction(0, 0, domain=Simplex()).fit([[0.2, 0.2], [0.3, 0.7]]),
            "(row 1 of X lies on the boundary|the last part)",
        ),
        (lambda: PairwiseInteraction(scale="sd").fit(np.ones((9, 2))), "column 0 of X is constant"),
        (
            lambda: PairwiseInteraction(scale="sd").fit(X0, sample_weight=np.full(100, 1e-3)),
            "their sum is 0.1 with n_samples = 100",
        ),
        (
            lambda: TruncatedGaussian(diagonal_multiplier=1.0).fit(chain(20, 8)),
            "cannot be estimated from 8 rows of 20 .*positive alpha, diagonal_multiplier='auto'",
        ),
        (
            lambda: TruncatedGaussian(diagonal_multiplier=1.0, alpha=1e-9, combine="or").fit(chain(20, 8)),
            "cannot be estimated from 8 rows .*no lower bound.*diagonal_multiplier='auto'",
        ),
        (
            lambda: TruncatedGaussian(diagonal_multiplier=1.0, alpha=1e-3).fit(chain(20, 15)),
            "cannot be estimated from 15 rows .*no lower bound.*diagonal_multiplier='auto'",
        ),
        (lambda: PairwiseInteraction.from_params(interaction=[[1.0, 2.0]]), "interaction must have shape"),
        (lambda: PairwiseInteraction.from_params(interaction=[[1.0, 2.0], [0.0, 1.0]]), "must be symmetric"),
        (lambda: PairwiseInteraction.from_params(interaction=np.eye(2), linear=[1.0]), "linear must have shape"),
        (
            lambda: PairwiseInteraction.from_params(interaction=np.eye(2), linear=[1.0, 0.0], fit_linear=False),
            "linear must be 0",
        ),
        (lambda: PairwiseInteraction.from_params(interaction=np.eye(2), zero_row_sums=True), "rows that sum to 0"),
        (lambda: PairwiseInteraction.from_params(interaction=[[1.0]], domain=Simplex()), "at least 2 rows"),
    ],
)
def test_bad_input(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_fewer_rows_than_columns():
    """The multiplier gives the problem a minimum, with a penalty or without."""
    X = chain(20, 8)
    for alpha in (0.0, 0.1):
        model = TruncatedGaussian(alpha=alpha).fit(X)
        assert model.converged_
        assert kkt_violation(model, X) < 1e-8 * np.abs(model.interaction_).max()


def test_whole_powers_take_any_sign():
    X = np.random.default_rng(0).uniform(-1.5, 1.5, (2000, 2))
    model = PairwiseInteraction(2, 1, domain=RealSpace(), diagonal_multiplier=1.0)
    assert np.isfinite(model.fit(X).theta_).all()
    step = 1e-5
    for e in np.eye(2):
        difference = model.unnormalized_log_density(X + step * e) - model.unnormalized_log_density(X - step * e)
        np.testing.assert_allclose(model.score_function(X) @ e, difference / (2 * step), atol=1e-7)


def test_too_few_iterations_are_told():
    X = chain(30, 60)
    with pytest.warns(ConvergenceWarning, match="increase max_iter"):
        model = TruncatedGaussian(alpha=0.01, max_iter=1).fit(X)
    assert not model.converged_
