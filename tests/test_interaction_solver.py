"""The l1-penalised minimum over interaction matrices: against dense solvers, and the conditions of a minimum."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.optimize import minimize
from scorematch import _core
from scorematch._interaction_solver import (
    ColumnForm,
    column_form,
    largest_alpha,
    restore,
    solve_columns,
    solve_path,
)
from scorematch._penalised import UnboundedError, minimise_penalised
from scorematch._quadratic import QuadraticForm


def random_form(random, d, *, n=None, linear=False, coupled=False, fixed=False, correlated=0.0):
    """A form whose blocks are second moments of n random rows; coupled, of pairs of columns, so that it is convex."""
    m, n = d + linear, n or 4 * d
    mix = np.eye(m) + correlated * np.ones((m, m))
    roots = random.normal(size=(d, n, m)) @ mix
    blocks = np.einsum("jni,jnk->jik", roots, roots) / n
    coupling = None
    if coupled:
        # ½ Σ_j ‖R_j c_j + S_j c_last‖²: the couplings are R_jᵀS_j, and S_jᵀS_j add to the last block.
        last = random.normal(size=(d - 1, n, m)) / np.sqrt(d)
        coupling = np.einsum("jni,jnk->jik", roots[:-1], last) / n
        blocks[-1] += np.einsum("jni,jnk->ik", last, last) / n
    return ColumnForm(blocks, random.normal(size=(d, m)), coupling, fixed)


def unknowns(form, symmetric):
    """A matrix that turns the vector of all unknowns into the columns, and how often each counts in the penalty."""
    d, m = form.g.shape
    rows, weights = [], []
    for j in range(d):
        for i in range(m):
            if (i == j and form.fixed_diagonal) or (symmetric and j < i < d):
                continue
            row = np.zeros((d, m))
            row[j, i] = 1
            if symmetric and i < d:
                row[i, j] = 1
            rows.append(row.ravel())
            weights.append((0, 0) if i == j else (0, 1) if i == d else (2 if symmetric else 1, 0))
    return np.array(rows).T, np.array(weights, dtype=float)


def assembled(form, symmetric):
    """The form as one dense quadratic form in its unknowns."""
    d, m = form.g.shape
    gamma = np.zeros((d * m, d * m))
    for j in range(d):
        gamma[j * m : (j + 1) * m, j * m : (j + 1) * m] = form.blocks[j]
    if form.coupling is not None:
        for j in range(d - 1):
            gamma[j * m : (j + 1) * m, (d - 1) * m :] = form.coupling[j]
            gamma[(d - 1) * m :, j * m : (j + 1) * m] = form.coupling[j].T
    spread, weights = unknowns(form, symmetric)
    return QuadraticForm(spread.T @ gamma @ spread, spread.T @ form.g.ravel()), spread, weights


def breach(form, solution, alpha, alpha_linear, symmetric):
    """The largest breach of the conditions of a minimum, from the formulas."""
    columns = form.joined(*split(form, solution))
    spread, weights = unknowns(form, symmetric)
    slope = spread.T @ form.gradient(columns).ravel()
    theta = (spread.T @ columns.ravel()) / spread.sum(axis=0)
    penalty = weights @ [alpha, alpha_linear]
    return np.where(theta != 0, np.abs(slope + penalty * np.sign(theta)), np.maximum(np.abs(slope) - penalty, 0)).max()


def split(form, solution):
    K = solution.K.copy()
    if form.fixed_diagonal:
        np.fill_diagonal(K, 0)
    return K, solution.eta


CASES = [
    {"symmetric": symmetric, "linear": linear, "fixed": fixed, "coupled": coupled}
    for symmetric in (True, False)
    for linear in (False, True)
    for fixed in (False, True)
    for coupled in (False, True)
    if symmetric or not coupled
]


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("d", [2, 5, 9])
def test_equals_a_dense_solver(case, d):
    """Along a path, with η under a penalty and without one."""
    random = np.random.default_rng(d)
    options = dict(case)
    symmetric = options.pop("symmetric")
    form = random_form(random, d, **options)
    dense, spread, weights = assembled(form, symmetric)
    for alpha_linear in (0.0, 0.3) if case["linear"] else (0.0,):
        alphas = largest_alpha(form, alpha_linear, symmetric=symmetric) * np.array([1.1, 0.9, 0.5, 0.2, 0.05, 0.0])
        linears = np.full(len(alphas), alpha_linear)
        for alpha, solution in zip(alphas, solve_path(form, alphas, linears, symmetric=symmetric), strict=True):
            theta = minimise_penalised(dense, weights @ [alpha, alpha_linear], tol=1e-13, max_iter=1000).theta
            K, eta = split(form, solution)
            np.testing.assert_allclose(form.joined(K, eta).ravel(), spread @ theta, atol=1e-7)
            assert solution.converged
            assert solution.kkt_residual <= 1e-8
            assert breach(form, solution, alpha, alpha_linear, symmetric) <= 1e-8
            if symmetric:
                np.testing.assert_array_equal(solution.K, solution.K.T)


@pytest.mark.parametrize("symmetric", [True, False])
def test_equals_l_bfgs_with_split_unknowns(symmetric):
    random = np.random.default_rng(1)
    form = random_form(random, 6)
    dense, spread, weights = assembled(form, symmetric)
    alpha = 0.3 * largest_alpha(form, symmetric=symmetric)
    penalty = weights @ [alpha, 0.0]

    def split_objective(parts):
        up, down = np.split(parts, 2)
        slope = dense.gamma @ (up - down) - dense.g
        value = (up - down) @ (slope - dense.g) / 2 + penalty @ (up + down)
        return value, np.concatenate([slope + penalty, penalty - slope])

    found = minimize(
        split_objective,
        np.zeros(2 * len(dense.g)),
        jac=True,
        bounds=[(0, None)] * (2 * len(dense.g)),
        options={"ftol": 1e-15, "gtol": 1e-9, "maxiter": 10_000, "maxfun": 100_000},
    )
    up, down = np.split(found.x, 2)
    solution = solve_columns(form, alpha, symmetric=symmetric)
    np.testing.assert_allclose(form.joined(solution.K, None).ravel(), spread @ (up - down), atol=1e-5)
    assert solution.value + penalty @ np.abs(up - down) == pytest.approx(found.fun, abs=1e-6)


@pytest.mark.parametrize(
    ("case", "linear_ratio"),
    # A ratio is one of the penalty of linear coefficients.
    [(case, ratio) for case in CASES for ratio in (None, 0.4, 3.0) if case["linear"] or ratio is None],
)
def test_the_largest_alpha_is_exact(case, linear_ratio):
    options = dict(case)
    symmetric = options.pop("symmetric")
    for seed in range(5):
        form = random_form(np.random.default_rng(seed), 6, **options)
        highest = largest_alpha(form, 0.1, linear_ratio=linear_ratio, symmetric=symmetric)

        def n_edges(alpha, form=form):
            penalty = 0.1 if linear_ratio is None else linear_ratio * alpha
            K, _ = split(form, solve_columns(form, alpha, penalty, symmetric=symmetric, tol=1e-13))
            np.fill_diagonal(K, 0)
            return np.count_nonzero(K) // (2 if symmetric else 1)

        assert n_edges(highest * (1 + 1e-10)) == 0
        assert n_edges(highest * 4) == 0
        assert n_edges(highest * (1 - 1e-6)) == 1


@pytest.mark.parametrize("correlated", [0.0, 0.5, 3.0])
@pytest.mark.parametrize("symmetric", [True, False])
def test_conditions_of_a_minimum_along_a_path(symmetric, correlated):
    """Of a size and condition at which sweeps alone would take very many."""
    d = 40
    form = random_form(np.random.default_rng(3), d, n=60, linear=True, correlated=correlated)
    alphas = largest_alpha(form, symmetric=symmetric) * np.geomspace(1.01, 1e-3, 30)
    for alpha, solution in zip(alphas, solve_path(form, alphas, 0 * alphas, symmetric=symmetric), strict=True):
        assert solution.converged
        assert breach(form, solution, alpha, 0.0, symmetric) <= 1e-8
        assert solution.kkt_residual == pytest.approx(breach(form, solution, alpha, 0.0, symmetric), abs=1e-10)
    # Started from 0, it is the same; and from afar, where that is not too far.
    cold = solve_columns(form, alphas[-1], symmetric=symmetric)
    assert cold.converged
    np.testing.assert_allclose(solution.K, cold.K, atol=1e-5 * np.abs(cold.K).max())
    if correlated == 0 or not symmetric:
        start = np.random.default_rng(4).normal(size=(d, d))
        other = solve_columns(form, alphas[-1], symmetric=symmetric, start=(start + start.T, np.ones(d)))
        assert other.converged
        np.testing.assert_allclose(solution.K, other.K, atol=1e-5 * np.abs(other.K).max())


@pytest.mark.parametrize("symmetric", [True, False])
def test_the_same_bits_whatever_the_number_of_threads(symmetric):
    form = random_form(np.random.default_rng(5), 30, linear=True)
    alphas = largest_alpha(form, symmetric=symmetric) * np.geomspace(1, 0.05, 10)
    paths = [list(solve_path(form, alphas, alphas, symmetric=symmetric, n_threads=n)) for n in (1, 2, 5)]
    for one, *others in zip(*paths, strict=True):
        for other in others:
            np.testing.assert_array_equal(one.K, other.K)
            np.testing.assert_array_equal(one.eta, other.eta)
            assert one.kkt_residual == other.kkt_residual


def test_every_level_finds_the_minimum(level):
    form = random_form(np.random.default_rng(6), 21, linear=True)
    for alpha in largest_alpha(form) * np.array([0.5, 0.05]):
        assert breach(form, solve_columns(form, alpha, 0.1), alpha, 0.1, True) <= 1e-8


def test_a_support():
    form = random_form(np.random.default_rng(7), 8)
    K = solve_columns(form, 0.3 * largest_alpha(form)).K
    allowed = K != 0
    free = solve_columns(form, 0.0, support=allowed)
    assert not free.K[~allowed].any()
    dense, spread, _ = assembled(form, True)
    keep = (allowed.ravel() @ spread) > 0
    theta = np.linalg.solve(dense.gamma[np.ix_(keep, keep)], dense.g[keep])
    np.testing.assert_allclose(form.joined(free.K, None).ravel(), spread[:, keep] @ theta, atol=1e-7)


@pytest.mark.parametrize("symmetric", [True, False])
def test_unbounded_problems_are_named(symmetric):
    """Fewer rows than columns: below some alpha there is no minimum, as the dense solver says too; no hang."""
    d, found = 12, {True: 0, False: 0}
    for seed in range(20):
        random = np.random.default_rng(seed)
        form = random_form(random, d, n=3)
        form = ColumnForm(form.blocks, random.normal(size=(d, d)))
        dense, _, weights = assembled(form, symmetric)
        for alpha in (0.05, 0.3, 0.6, 1.0, 3.0):
            try:
                minimise_penalised(dense, weights @ [alpha, 0.0], tol=1e-10, max_iter=1000)
                bounded = True
            except UnboundedError:
                bounded = False
            found[bounded] += 1
            if bounded:
                solution = solve_columns(form, alpha, symmetric=symmetric)
                assert breach(form, solution, alpha, 0.0, symmetric) <= 1e-7
            else:
                with pytest.raises(UnboundedError, match=r"column \d+ of the interaction matrix.*diagonal_multiplier"):
                    solve_columns(form, alpha, symmetric=symmetric)
    assert min(found.values()) > 4


def test_an_entry_that_the_form_does_not_know():
    blocks = np.stack([np.diag([1.0, 0.0]), np.eye(2)])
    form = ColumnForm(blocks, np.array([[1.0, 0.5], [0.2, 1.0]]))
    assert solve_columns(form, 0.6, symmetric=False).K[1, 0] == 0
    with pytest.raises(UnboundedError, match="column 0"):
        solve_columns(form, 0.4, symmetric=False)


def test_the_limit_of_iterations_is_told():
    form = random_form(np.random.default_rng(8), 30, n=32, correlated=2.0)
    solution = solve_columns(form, 1e-3 * largest_alpha(form), max_iter=3)
    assert not solution.converged
    assert solution.n_iter <= 3
    assert solution.kkt_residual > 1e-8


# -- forms -----------------------------------------------------------------------------------------------------------


def pairwise(random, d, n=50):
    """A form with linear coefficients, from random moments."""
    roots = random.normal(size=(d, n, d + 1))
    joint = np.einsum("jni,jnk->jik", roots, roots) / n
    return SimpleNamespace(
        blocks=np.ascontiguousarray(joint[:, :d, :d]),
        cross=np.ascontiguousarray(joint[:, :d, d].T),
        linear=np.ascontiguousarray(joint[:, d, d]),
        g_interaction=random.normal(size=(d, d)),
        g_linear=random.normal(size=d),
    )


def test_profiling_changes_nothing():
    form = pairwise(np.random.default_rng(9), 7)
    profiled = column_form(form, multiplier=1.3, fit_linear=True, profile=True)
    joint = column_form(form, multiplier=1.3, fit_linear=True, profile=False)
    alpha = 0.2 * largest_alpha(profiled)
    assert largest_alpha(joint) == pytest.approx(largest_alpha(profiled), rel=1e-10)
    one, other = solve_columns(profiled, alpha), solve_columns(joint, alpha)
    np.testing.assert_allclose(one.K, other.K, atol=1e-7)
    np.testing.assert_allclose(restore(form, one.K), other.eta, atol=1e-7)
    assert one.value == pytest.approx(other.value, abs=1e-9)
    assert joint.value(joint.joined(other.K, other.eta)) == pytest.approx(other.value, abs=1e-12)
    np.testing.assert_array_equal(profiled.blocks, profiled.blocks.transpose(0, 2, 1))
    # An extra diagonal is another way to say the multiplier.
    extra = 0.3 * np.einsum("jaa->ja", form.blocks)
    again = column_form(form, extra_diagonal=extra, fit_linear=True, profile=True)
    np.testing.assert_allclose(again.blocks, profiled.blocks, rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize("fit_linear", [True, False])
def test_rows_that_sum_to_zero(fit_linear):
    form = pairwise(np.random.default_rng(10), 6)
    columns = column_form(form, fit_linear=fit_linear, profile=False, zero_row_sums=True)
    solution = solve_columns(columns, 0.3 * largest_alpha(columns), 0.1)
    np.testing.assert_allclose(solution.K.sum(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(solution.K.sum(axis=1), 0, atol=1e-12)
    eta = solution.eta if fit_linear else np.zeros(6)
    K = solution.K
    whole = sum(
        K[:, j] @ form.blocks[j] @ K[:, j] / 2
        - form.g_interaction[:, j] @ K[:, j]
        + fit_linear
        * (eta[j] * form.cross[:, j] @ K[:, j] + form.linear[j] * eta[j] ** 2 / 2 - form.g_linear[j] * eta[j])
        for j in range(6)
    )
    assert solution.value == pytest.approx(whole, abs=1e-12)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"blocks": np.ones((3, 2, 2))}, r"blocks must have shape \(2, 2, 2\)"),
        ({"blocks": np.full((2, 2, 2), np.nan)}, "blocks must be finite; entry 0"),
        ({"blocks": -np.ones((2, 2, 2))}, "blocks must not be negative on their diagonals; entry 0 of block 0"),
        ({"g": np.ones((2, 4))}, r"g must have shape \(d, d\) or \(d, d \+ 1\)"),
        ({"g": np.array([[0.0, np.inf], [0, 0]])}, "g must be finite; entry 1"),
        ({"coupling": np.ones((2, 2, 2))}, r"coupling must have shape \(1, 2, 2\)"),
        ({"coupling": np.ones((1, 2, 2)), "symmetric": False}, "coupled"),
    ],
)
def test_bad_forms(changes, message):
    arguments = {
        "blocks": np.stack([np.eye(2)] * 2),
        "g": np.ones((2, 2)),
        "coupling": None,
        "symmetric": True,
        "fixed_diagonal": False,
    }
    with pytest.raises(ValueError, match=message):
        _core.InteractionProblem(**arguments | changes)
    problem = _core.InteractionProblem(**arguments)
    for call, text in (
        (lambda: problem.minimise([np.nan], [0.0], 1e-8, 10, 1), "penalties must not be negative"),
        (lambda: problem.minimise([0.1], [0.0], 1e-8, 10, 0), "n_threads"),
        (lambda: problem.start(np.ones((3, 2))), r"start must have shape \(2, 2\)"),
        (lambda: problem.restrict_to(np.ones((3, 2))), r"allowed must have shape \(2, 2\)"),
    ):
        with pytest.raises(ValueError, match=text):
            call()
