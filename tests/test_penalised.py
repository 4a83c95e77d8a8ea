"""The l1-penalised minimum of quadratic forms: against the conditions of a minimum, scikit-learn, and brute force."""

import itertools
import warnings

import numpy as np
import pytest
from scipy.optimize import linprog
from scorematch import _core
from scorematch._penalised import UnboundedError, minimise_penalised
from scorematch._quadratic import QuadraticForm
from sklearn.linear_model import Lasso, lars_path_gram


def solve(gamma, g, penalties, **options):
    penalties = np.broadcast_to(np.asarray(penalties, dtype=float), g.shape)
    return minimise_penalised(QuadraticForm(gamma, g), penalties, **{"tol": 1e-12, "max_iter": 100, **options})


def objective(gamma, g, penalties, theta):
    return theta @ gamma @ theta / 2 - g @ theta + np.sum(penalties * np.abs(theta))


def assert_minimum(gamma, g, penalties, theta, tolerance=1e-11):
    """The conditions of a minimum (Karush, Kuhn and Tucker), each on the scale of its coefficient."""
    residual, scale = g - gamma @ theta, 1 / np.sqrt(np.diagonal(gamma))
    penalties = np.broadcast_to(penalties, g.shape)
    breach = np.where(theta != 0, np.abs(residual - penalties * np.sign(theta)), np.abs(residual) - penalties)
    # Where θ is large, so are the rounding errors of the residual.
    rounding = 1e-14 * (np.abs(gamma) @ np.abs(theta) * scale).max()
    assert (breach * scale).max() <= tolerance * (np.abs(g) * scale).max() + rounding


def least_squares(random, n, p, *, collinear=False):
    """Γ and g of a regression with columns on very different scales."""
    A = random.normal(size=(n, p))
    A = (np.cumsum(A, axis=1) if collinear else A) * 10.0 ** random.uniform(-3, 3, p)
    y = random.normal(size=n) + A @ (random.normal(size=p) * (random.random(p) < 0.3) / np.sqrt(np.mean(A**2, axis=0)))
    return A, y, A.T @ A / n, A.T @ y / n


@pytest.mark.parametrize("seed", range(100))
def test_conditions_of_a_minimum(seed):
    """With more rows than columns and fewer, columns that are nearly dependent, and a penalty for each coefficient."""
    random = np.random.default_rng(seed)
    p, n = int(random.integers(1, 40)), int(random.integers(1, 60))
    _, _, gamma, g = least_squares(random, n, p, collinear=seed % 3 == 0)
    scale = 1 / np.sqrt(np.diagonal(gamma))
    penalties = np.abs(g * scale).max() * 10.0 ** random.uniform(-4, 0.1) / scale
    if seed % 2:
        penalties *= random.uniform(0.5, 2, p)
    minimum = solve(gamma, g, penalties)
    assert minimum.converged
    assert minimum.violation <= 1e-6
    assert_minimum(gamma, g, penalties, minimum.theta)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("share", [0.5, 0.1, 0.01])
def test_equals_scikit_learn(seed, share):
    random = np.random.default_rng(seed)
    A = random.normal(size=(80, 20)) @ (np.eye(20) + 0.2 * random.normal(size=(20, 20)))
    y = A[:, :5] @ random.normal(size=5) + random.normal(size=80)
    gamma, g = A.T @ A / 80, A.T @ y / 80
    alpha = share * np.abs(g).max()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = Lasso(alpha=alpha, fit_intercept=False, tol=1e-15, max_iter=100_000).fit(A, y).coef_
    theta = solve(gamma, g, alpha).theta
    np.testing.assert_allclose(theta, expected, atol=1e-7)
    np.testing.assert_array_equal(theta != 0, np.abs(expected) > 1e-9)


@pytest.mark.parametrize("seed", range(10))
def test_equals_brute_force(seed):
    """The best over all patterns of signs, each solved as a linear system."""
    random = np.random.default_rng(seed)
    p = 5
    root = random.normal(size=(p, p))
    gamma, g, penalties = root @ root.T, random.normal(size=p), random.uniform(0, 0.8, p)
    best = np.zeros(p)
    for signs in itertools.product((-1, 0, 1), repeat=p):
        signs = np.array(signs)
        support = np.flatnonzero(signs)
        theta = np.zeros(p)
        theta[support] = np.linalg.solve(gamma[np.ix_(support, support)], (g - penalties * signs)[support])
        if objective(gamma, g, penalties, theta) < objective(gamma, g, penalties, best):
            best = theta
    np.testing.assert_allclose(solve(gamma, g, penalties).theta, best, atol=1e-10)


def test_extremes_of_the_penalty():
    random = np.random.default_rng(0)
    _, _, gamma, g = least_squares(random, 50, 8)
    np.testing.assert_array_equal(solve(gamma, g, np.abs(g).max()).theta, 0)
    free = solve(gamma, g, 0.0).theta
    np.testing.assert_allclose(gamma @ free, g, rtol=1e-8)
    # An infinite one holds a coefficient, and the others are as without it.
    held = solve(gamma, g, np.where(np.arange(8) == 3, np.inf, 0.0)).theta
    others = np.delete(np.arange(8), 3)
    assert held[3] == 0
    np.testing.assert_allclose(held[others], np.linalg.solve(gamma[np.ix_(others, others)], g[others]), rtol=1e-8)


def test_warm_starts_along_a_path():
    random = np.random.default_rng(1)
    A = random.normal(size=(100, 30)) @ (np.eye(30) + 0.2 * random.normal(size=(30, 30)))
    y = A[:, :5] @ random.normal(size=5) + random.normal(size=100)
    gamma, g = A.T @ A / 100, A.T @ y / 100
    alphas, _, coefs = lars_path_gram(100 * g, 100 * gamma, n_samples=100, method="lasso")
    theta, n_cold, n_warm = np.zeros(30), 0, 0
    for alpha in np.geomspace(alphas[0], alphas[-2], 40):
        cold, warm = solve(gamma, g, alpha), solve(gamma, g, alpha, start=theta)
        n_cold, n_warm = n_cold + cold.n_iter, n_warm + warm.n_iter
        np.testing.assert_allclose(warm.theta, cold.theta, atol=1e-12)
        # Between knots the path is linear.
        after = np.searchsorted(-alphas, -alpha)
        before = max(after - 1, 0)
        width = alphas[before] - alphas[after]
        part = (alphas[before] - alpha) / width if width else 0.0
        np.testing.assert_allclose(warm.theta, (1 - part) * coefs[:, before] + part * coefs[:, after], atol=1e-8)
        theta = warm.theta
    assert n_warm <= n_cold
    again = solve(gamma, g, alpha, start=theta)
    assert again.n_iter == 1


def test_dependent_columns_share_a_minimum():
    """Of duplicated columns any share is a minimum: one is found, and its value is right."""
    random = np.random.default_rng(2)
    A = random.normal(size=(50, 4))
    y = A @ [1.0, -1.0, 0.5, 0.0] + random.normal(size=50)
    doubled = np.column_stack([A, A, A[:, 0] + A[:, 1]])
    for alpha in (0.01, 0.1):
        once = solve(A.T @ A / 50, A.T @ y / 50, alpha)
        gamma, g = doubled.T @ doubled / 50, doubled.T @ y / 50
        minimum = solve(gamma, g, alpha, start=random.normal(size=9))
        assert minimum.converged
        assert_minimum(gamma, g, alpha, minimum.theta)
        value = objective(gamma, g, alpha, minimum.theta)
        assert value <= objective(A.T @ A / 50, A.T @ y / 50, alpha, once.theta) + 1e-12


def test_unbounded_objectives_are_named_and_no_others():
    """Against linear programming, which finds the steepest fall where Γ vanishes."""
    random = np.random.default_rng(3)
    found = {True: 0, False: 0}
    for _ in range(400):
        A, g = random.normal(size=(3, 6)), random.normal(size=6)
        alpha = 0.7 * abs(random.normal())
        fall = linprog(
            np.concatenate([alpha - g, alpha + g]), A_eq=np.hstack([A, -A]), b_eq=np.zeros(3), bounds=[(0, 1)] * 12
        )
        unbounded = -fall.fun > 1e-9
        found[unbounded] += 1
        if not unbounded:
            minimum = solve(A.T @ A, g, alpha)
            assert minimum.converged
            assert_minimum(A.T @ A, g, alpha, minimum.theta, 1e-9)
            continue
        with pytest.raises(UnboundedError) as caught:
            solve(A.T @ A, g, alpha)
        direction = caught.value.direction
        assert np.abs(A @ direction).max() < 1e-6 * np.abs(direction).max()
        assert g @ direction > alpha * np.abs(direction).sum()
    assert min(found.values()) > 50


def test_coefficients_that_the_form_does_not_know():
    gamma, g = np.diag([1.0, 0.0]), np.array([1.0, 0.5])
    np.testing.assert_allclose(solve(gamma, g, 0.6).theta, [0.4, 0.0])
    with pytest.raises(UnboundedError) as caught:
        solve(gamma, g, 0.4)
    np.testing.assert_array_equal(caught.value.direction, [0.0, 1.0])


def test_an_ill_conditioned_form_takes_few_iterations():
    """Coordinate descent alone would take some 10⁸."""
    p = 40
    random = np.random.default_rng(4)
    vectors = np.linalg.qr(random.normal(size=(p, p)))[0]
    gamma = vectors * np.geomspace(1e-8, 1, p) @ vectors.T
    gamma = (gamma + gamma.T) / 2
    g = gamma @ np.where(np.arange(p) % 4 == 0, random.normal(size=p), 0)
    for penalty in (1e-2, 1e-5, 1e-9):
        minimum = solve(gamma, g, penalty)
        assert minimum.converged
        assert minimum.n_iter < 50
        assert_minimum(gamma, g, penalty, minimum.theta)


def test_a_limit_of_iterations():
    random = np.random.default_rng(5)
    for _ in range(50):
        _, _, gamma, g = least_squares(random, 200, 60, collinear=True)
        minimum = solve(gamma, g, 1e-3 * np.abs(g).max(), max_iter=1)
        if not minimum.converged:
            assert minimum.n_iter == 1
            assert minimum.violation > 1e-12
            return
    pytest.fail("one iteration was always enough")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"gamma": np.eye(3)}, r"gamma must have shape \(2, 2\)"),
        ({"gamma": -np.eye(2)}, "negative on its diagonal; entry 0"),
        ({"gamma": np.array([[1.0, np.nan], [np.nan, 1.0]])}, "gamma must be finite; entry 1"),
        ({"linear": np.array([0.0, np.nan])}, "linear must be finite; entry 1"),
        ({"start": np.array([np.inf, 0.0])}, "start must be finite; entry 0"),
        ({"penalty": np.array([np.nan, 0.0])}, "penalty must not be negative; entry 0"),
        ({"penalty": np.ones(3)}, r"penalty must have shape \(2,\)"),
        ({"penalty": np.array([0.0, -1.0])}, "penalty must not be negative; entry 1"),
        ({"start": np.ones(3)}, r"start must have shape \(2,\)"),
    ],
)
def test_bad_input(changes, message):
    arguments = {"gamma": np.eye(2), "linear": np.ones(2), "penalty": np.ones(2), "start": np.zeros(2)}
    with pytest.raises(ValueError, match=message):
        _core.minimise_penalised(**arguments | changes, tol=1e-10, max_iter=10)
