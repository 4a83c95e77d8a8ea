"""Samplers of truncated models, against distribution functions, quadrature and rejection."""

import numpy as np
import pytest
from scipy.stats import kstest, norm, truncnorm
from scorematch import Gaussian, _core
from scorematch._copositive import grows_without_end, is_copositive
from scorematch._gibbs import Chains, Pairwise, Region
from scorematch.datasets import make_chain_graph, sample_pairwise, sample_truncated_gaussian
from scorematch.domains import (
    Ball,
    Box,
    Inequalities,
    Inequality,
    Intervals,
    NonNegative,
    Polygon,
    Polytope,
    RealSpace,
    Simplex,
    Sphere,
)

INF = np.inf
MEAN = np.array([0.5, -0.3, 0.2])
PRECISION = np.array([[2.0, 0.9, -0.5], [0.9, 1.5, 0.3], [-0.5, 0.3, 1.0]])


def one_sweep(model: Pairwise, region: Region, n_chains: int, seed: int = 0) -> np.ndarray:
    start = np.array([np.clip(1.0, *ends[0]) for ends in region.intervals])
    return Chains(model, region, np.tile(start, (n_chains, 1)), seed, 1).sweep(1)


def same_moments(X: np.ndarray, Y: np.ndarray) -> None:
    """Means and second moments of two independent samples of independent rows, within 4 standard errors."""
    for a, b in [
        (X, Y),
        (np.einsum("ni,nj->nij", X, X).reshape(len(X), -1), np.einsum("ni,nj->nij", Y, Y).reshape(len(Y), -1)),
    ]:
        error = np.sqrt(a.var(axis=0) / len(a) + b.var(axis=0) / len(b))
        assert (np.abs(a.mean(axis=0) - b.mean(axis=0)) < 4 * error).all()


@pytest.mark.parametrize(
    ("mean", "low", "high"),
    [
        (0, 0, INF),
        (2, 0, INF),
        (-3, 0, INF),
        (-18, 0, INF),
        (0.3, -1, 2),
        (0, -INF, -5),
        (0, 5, 5.1),
        (0.2, 0, 1e-9),
        (0, -INF, INF),
        (7, -INF, 3),
        (1, 0.99, 1.02),
    ],
)
def test_one_truncated_normal(mean, low, high):
    model = Pairwise(np.array([[4.0]]), np.array([4.0 * mean]), 1.0, 1.0)
    draws = one_sweep(model, Region([np.array([[low, high]])]), 100_000, seed=5)[:, 0]
    assert ((draws >= low) & (draws <= high)).all()
    assert kstest(draws, truncnorm((low - mean) * 2, (high - mean) * 2, mean, 0.5).cdf).pvalue > 1e-4


def test_far_in_the_tail_it_is_exponential():
    model = Pairwise(np.array([[1.0]]), np.array([-1e9]), 1.0, 1.0)
    draws = one_sweep(model, Region([np.array([[0.0, INF]])]), 100_000)[:, 0]
    assert kstest(draws * 1e9, "expon").pvalue > 1e-4


def test_one_normal_on_a_union_of_intervals():
    ends = np.array([[-INF, -2.5], [-2, -1], [-0.2, 0.3], [0.5, 0.51], [3, INF]])
    mean = 0.1
    model = Pairwise(np.array([[1.0]]), np.array([mean]), 1.0, 1.0)
    draws = one_sweep(model, Region([ends]), 200_000)[:, 0]
    masses = norm.cdf(ends[:, 1] - mean) - norm.cdf(ends[:, 0] - mean)

    def cdf(x):
        parts = norm.cdf(np.clip(x[:, None], *ends.T) - mean) - norm.cdf(ends[:, 0] - mean)
        return parts.sum(axis=1) / masses.sum()

    assert kstest(draws, cdf).pvalue > 1e-4


def test_gibbs_against_rejection():
    X = sample_truncated_gaussian(MEAN, PRECISION, n_samples=100_000, random_state=0, method="rejection")
    Y = sample_truncated_gaussian(MEAN, PRECISION, n_samples=100_000, random_state=1, method="gibbs", burn_in=60)
    assert (X >= 0).all()
    assert (Y >= 0).all()
    same_moments(X, Y)


def test_one_long_chain_has_the_same_moments():
    X = sample_truncated_gaussian(MEAN, PRECISION, n_samples=100_000, random_state=0, method="rejection")
    Y = sample_truncated_gaussian(
        MEAN, PRECISION, n_samples=100_000, random_state=1, method="gibbs", n_chains=10, burn_in=50, thin=1
    )
    batches = Y.reshape(100, 1000, 3).mean(axis=1)
    error = np.sqrt(batches.var(axis=0, ddof=1) / 100 + X.var(axis=0) / len(X))
    assert (np.abs(batches.mean(axis=0) - X.mean(axis=0)) < 4 * error).all()


def test_joint_draws_of_mean_and_data_agree():
    """Geweke (2004): where η has a prior and x its density given η, a chain that alternates keeps the joint density.

    Here log p(η, x) = −½xᵀKx + ηᵀx − ½ c‖η‖² on x >= 0: given x, η is N(x/c, 1/c); together x has the precision
    K − I/c, whose draws come by rejection.
    """
    c, n, d = 4.0, 40_000, 3
    rng = np.random.default_rng(0)
    X = sample_truncated_gaussian(
        np.zeros(d), PRECISION - np.eye(d) / c, n_samples=n, random_state=2, method="rejection"
    )
    eta = X / c + rng.normal(size=X.shape) / np.sqrt(c)
    joint = Pairwise(np.block([[PRECISION, -np.eye(d)], [-np.eye(d), c * np.eye(d)]]), np.zeros(2 * d), 1.0, 1.0)
    region = Region([np.array([[0.0, INF]])] * d + [np.array([[-INF, INF]])] * d)
    after = Chains(joint, region, np.column_stack([X, eta]), 7, 1).sweep(3)
    same_moments(np.column_stack([X, eta])[: n // 2], after[n // 2 :])


def test_threads_chunks_and_neighbours_do_not_show():
    K = make_chain_graph(30, random_state=0) + 0.01
    one = sample_pairwise(K, n_samples=300, random_state=0, burn_in=5, method="gibbs", n_jobs=1)
    two = sample_pairwise(K, n_samples=300, random_state=0, burn_in=5, method="gibbs", n_jobs=2)
    np.testing.assert_array_equal(one, two)
    model, region = Pairwise(K, np.zeros(30), 1.0, 1.0), Region([np.array([[0.0, INF]])] * 30)
    start = np.ones((37, 30))
    chains = Chains(model, region, start, 9, 1)
    chains.sweep(3)
    whole = Chains(model, region, start, 9, 1).sweep(7)
    np.testing.assert_array_equal(chains.sweep(4), whole)
    np.testing.assert_array_equal(Chains(model, region, start[:5], 9, 1).sweep(7), whole[:5])


def test_rejection_is_chosen_where_it_keeps_enough():
    easy = sample_truncated_gaussian(MEAN, PRECISION, n_samples=50, random_state=0)
    np.testing.assert_array_equal(
        easy.mean(), sample_truncated_gaussian(MEAN, PRECISION, n_samples=50, random_state=0, n_jobs=1).mean()
    )
    hard = sample_truncated_gaussian(np.full(3, -5.0), PRECISION, n_samples=50, random_state=0)
    assert (hard >= 0).all()
    with pytest.raises(ValueError, match="rejection sampling kept"):
        sample_truncated_gaussian(np.full(3, -5.0), PRECISION, n_samples=5, random_state=0, method="rejection")
    real = sample_truncated_gaussian(
        MEAN, PRECISION, RealSpace(), n_samples=100_000, random_state=0, method="gibbs", burn_in=60
    )
    exact = np.random.default_rng(0).multivariate_normal(MEAN, np.linalg.inv(PRECISION), size=100_000)
    same_moments(real, exact)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: sample_pairwise([[1.0, 2.0]]), r"interaction must have shape \(1, 1\); got \(1, 2\)"),
        (lambda: sample_pairwise([[1.0, 2.0], [0.0, 1.0]]), "interaction must be symmetric"),
        (lambda: sample_pairwise([[0.0]]), r"interaction must be positive on its diagonal; entry \(0,0\) is 0"),
        (lambda: sample_truncated_gaussian([0.0], [[-1.0]]), r"precision must be positive on its diagonal"),
        (lambda: sample_pairwise(np.eye(2), [1.0]), r"linear must have shape \(2,\); got \(1,\)"),
        (lambda: sample_pairwise(np.eye(2), a=-1), "a must be a finite number of at least 0.0; got -1"),
        (
            lambda: sample_pairwise(np.eye(2), method="best"),
            "method must be 'auto', 'rejection' or 'gibbs'; got 'best'",
        ),
        (lambda: sample_pairwise(np.eye(2), start=[1.0]), r"start must have shape \(2,\) or \(1, 2\); got \(1,\)"),
        (
            lambda: sample_pairwise(np.eye(2), start=[1.0, -1.0], method="gibbs"),
            r"start must lie in NonNegative\(\); row 0 is outside",
        ),
        (lambda: sample_pairwise(np.eye(2), n_samples=0), "n_samples must be an integer of at least 1; got 0"),
        (lambda: sample_pairwise(np.eye(2), burn_in=-1), "burn_in must be an integer of at least 0; got -1"),
    ],
)
def test_errors(call, says):
    with pytest.raises(ValueError, match=says):
        call()


def test_domain_is_part_of_what_is_drawn():
    assert NonNegative().contains(sample_pairwise(np.eye(4) + 0.3, n_samples=200, random_state=0)).all()


# -- any powers ------------------------------------------------------------------------------------------------------

POWERS = {
    "square root": (0.5, 0.5, [0.7, -0.4]),
    "gamma, log-concave": (0.5, 0.0, [0.5, -0.3]),
    "gamma, by slices": (0.5, 0.0, [-0.8, -0.95]),
    "a=1, b=0": (1.0, 0.0, [-0.5, 1.0]),
    "a=1, b=1/2": (1.0, 0.5, [1.0, -1.0]),
    "a=3/2, b=1/2": (1.5, 0.5, [1.0, -1.0]),
    "a=b=3/2": (1.5, 1.5, [1.0, -1.0]),
    "a=1, b=2": (1.0, 2.0, [0.5, -1.0]),
    "a=1/2, b=2": (0.5, 2.0, [-0.5, -0.1]),
    "a=2, b=1": (2.0, 1.0, [1.0, -1.0]),
    "logarithms": (0.0, 0.0, [0.5, -1.0]),
    "logarithms and b=1": (0.0, 1.0, [-0.5, -1.0]),
}
INTERACTION = np.array([[1.6, 0.5], [0.5, 1.2]])


def log_density(X, K, eta, a, b):
    """From the formula."""
    xa, xb = (np.log(X) if p == 0 else X**p for p in (a, b))
    return -((xa @ K) * xa).sum(axis=-1) / (2 * (a or 1)) + (xb @ eta) / (b or 1)


@pytest.mark.parametrize(
    "domain", [NonNegative(), Box(0.3, 1.5), Intervals([(0, 0.2), (0.5, 0.6), (1, INF)])], ids=repr
)
@pytest.mark.parametrize(("a", "b", "eta"), POWERS.values(), ids=POWERS)
def test_one_coordinate_of_any_powers(a, b, eta, domain):
    for j in (0, 1):
        K, linear = INTERACTION[j : j + 1, j : j + 1], np.array(eta[j : j + 1])
        z = np.linspace(-400, 8, 400_001)
        x = np.exp(z)[:, None]
        with np.errstate(over="ignore"):
            density = np.exp(log_density(x, K, linear, a, b) + z) * domain.contains(x)
        cdf = np.append(0.0, np.cumsum((density[1:] + density[:-1]) / 2))
        draws = sample_pairwise(K, linear, a, b, domain, 20_000, random_state=j, method="gibbs", burn_in=40)
        assert domain.contains(draws).all()
        assert kstest(np.log(draws[:, 0]), lambda v, z=z, cdf=cdf: np.interp(v, z, cdf / cdf[-1])).pvalue > 1e-4


@pytest.mark.parametrize(
    ("domain", "sign"),
    [(NonNegative(), 1), (NonNegative(), -1), (Simplex(), 1), (Polytope([[1, -2]], [0.5], nonnegative=True), -1)],
    ids=repr,
)
@pytest.mark.parametrize(("a", "b", "eta"), POWERS.values(), ids=POWERS)
def test_two_coordinates_of_any_powers(a, b, eta, domain, sign):
    """Moments of powers and logarithms against quadrature on a grid of logarithms."""
    K = INTERACTION * [[1, sign], [sign, 1]]
    eta = np.maximum(eta, -0.8)
    # Towards 0 the density of log x falls as x itself, or slower.
    slowest = 1 + eta.min() if a > 0 and b == 0 and eta.min() < 0 else 1.0
    z = np.linspace(-12 / slowest, 2.5 if a > 0 else 7.0, 900)
    X = np.exp(np.stack(np.meshgrid(z, z, indexing="ij"), axis=-1)).reshape(-1, 2)
    with np.errstate(over="ignore"):
        density = np.exp(log_density(X, K, eta, a, b) + np.log(X).sum(axis=1)) * domain.contains(X)
    n = 10_000
    draws = sample_pairwise(K, eta, a, b, domain, n, random_state=3, method="gibbs", burn_in=60)
    assert domain.contains(draws).all()
    for moment in (
        lambda x: x[:, 0],
        lambda x: x[:, 1],
        lambda x: np.sqrt(x[:, 0] * x[:, 1]),
        lambda x: np.log(x[:, 1]),
    ):
        want, got = moment(X) @ density / density.sum(), moment(draws)
        # The grid's cells at the boundary are in or out as a whole.
        grid = 5e-3 * got.std()
        assert abs(got.mean() - want) < 4 * got.std() / np.sqrt(n) + grid


# -- domains ---------------------------------------------------------------------------------------------------------

DOMAINS = [
    Box(-1, [0.5, INF]),
    Intervals([(-2, -1), (-0.5, 0.2), (1, 3)]),
    Ball(1.0),
    Ball(1.0, norm=1),
    Ball(0.7, norm=INF),
    Ball(1.0, nonnegative=True),
    Simplex(),
    Polytope([[1, 1], [-1, 2]], [1, 1]),
    Polytope([[1, 1]], [1], nonnegative=True),
    Polygon([(0, 0), (2, 1), (0, 2), (1, 1)]),
    Polygon([(-1, -1), (2, -1), (0, 0), (2, 1), (-1, 1), (-0.5, 0)]),
    Polygon([(-1, -1), (2, -1), (0.2, 0.3), (2, 1), (-1, 1)], nonnegative=True),
]


@pytest.mark.parametrize("domain", DOMAINS, ids=repr)
def test_gaussian_on_domains(domain):
    mean, precision = MEAN[:2], PRECISION[:2, :2]
    X = sample_truncated_gaussian(mean, precision, domain, 40_000, 0, method="rejection")
    Y = sample_truncated_gaussian(mean, precision, domain, 40_000, 1, method="gibbs", burn_in=100)
    assert domain.contains(Y).all()
    same_moments(X, Y)


class Crescent:
    """A domain of one's own that only tells what it contains."""

    def contains(self, X):
        return (X**2).sum(axis=1) * 0.25 + X[:, 0] < 1


def test_a_domain_of_ones_own():
    mean, precision = MEAN[:2], PRECISION[:2, :2]
    X = sample_truncated_gaussian(mean, precision, Crescent(), 20_000, 0, method="rejection")
    Y = sample_truncated_gaussian(mean, precision, Crescent(), 20_000, 1, method="gibbs", burn_in=50, start=[0, 0])
    assert Crescent().contains(Y).all()
    same_moments(X, Y)
    Y = sample_truncated_gaussian(mean, precision, Crescent(), 20_000, 2, method="gibbs", burn_in=50)
    same_moments(X, Y)


class Nowhere:
    """A domain that nobody meets by chance."""

    def contains(self, X):
        return (X > 1e9).all(axis=1)


def test_where_no_start_is_found_one_is_asked_for():
    with pytest.raises(ValueError, match="start is needed, a point of"):
        sample_truncated_gaussian([0.0], [[1.0]], Nowhere(), 5, 0)


class Line:
    """A domain without a volume."""

    def contains(self, X):
        return X[:, 0] == X[:, 1]


def test_domains_without_a_volume():
    with pytest.raises(ValueError, match=r"domain must have a volume; Sphere\(\) has none"):
        sample_truncated_gaussian([0.0, 0.0], np.eye(2), Sphere())
    with pytest.raises(ValueError, match="no chain can move along the axes"):
        sample_truncated_gaussian([0.0, 0.0], np.eye(2), Line(), start=[0.3, 0.3])


def test_inequalities():
    ring = Inequalities([Inequality([1, 1], 2, "<=", 4), Inequality([1, 1], 2, ">=", 1)])
    draws = sample_pairwise(
        INTERACTION, [1.0, 0.5], domain=ring, n_samples=5000, random_state=0, method="gibbs", burn_in=60
    )
    want = sample_pairwise(INTERACTION, [1.0, 0.5], domain=ring, n_samples=5000, random_state=1, method="rejection")
    same_moments(draws, want)
    cut = Inequalities([Inequality([1, 1], "log", ">=", -1), Inequality([1, 1], 1, "<=", 3)])
    K, eta = INTERACTION, np.array([0.7, -0.4])
    draws = sample_pairwise(K, eta, 0.5, 0.5, cut, 5000, random_state=0, burn_in=60)
    X = cut.sample_uniform(400_000, random_state=0)
    density = np.exp(log_density(X, K, eta, 0.5, 0.5))
    for moment in (lambda x: x[:, 0], lambda x: x[:, 0] * x[:, 1]):
        got = moment(draws)
        assert abs(got.mean() - moment(X) @ density / density.sum()) < 4.5 * got.std() / np.sqrt(5000)


def test_many_constraints():
    """Ordered columns: x_1 <= x_2 <= ... of independent normals are their order statistics."""
    d, n = 6, 20_000
    A = np.eye(d)[:-1] - np.eye(d)[1:]
    domain = Polytope(A, np.zeros(d - 1))
    draws = sample_truncated_gaussian(np.zeros(d), np.eye(d), domain, n, 0, method="gibbs", burn_in=200)
    ordered = np.sort(np.random.default_rng(0).normal(size=(n, d)), axis=1)
    assert domain.contains(draws).all()
    same_moments(draws, ordered)


@pytest.mark.parametrize(("a", "b", "eta"), [(1, 1, [-60.0, 3.0]), (0.5, 0.5, [-60.0, 3.0]), (0.5, 0, [0.1, 9.0])])
def test_independent_coordinates_need_no_burn_in(a, b, eta):
    """Rows of one sweep are independent and exact, however far they are from where it starts."""
    K = np.diag([2.0, 0.5])
    draws = sample_pairwise(K, eta, a, b, n_samples=20_000, random_state=0, n_chains=1)
    z = np.linspace(-30, 6, 200_001)
    for j in (0, 1):
        density = np.exp(log_density(np.exp(z)[:, None], K[j : j + 1, j : j + 1], np.array(eta[j : j + 1]), a, b) + z)
        cdf = np.cumsum(density)
        assert kstest(np.log(draws[:, j]), lambda v, cdf=cdf: np.interp(v, z, cdf / cdf[-1])).pvalue > 1e-4
    assert abs(np.corrcoef(draws[:-1, 0], draws[1:, 0])[0, 1]) < 4 / np.sqrt(20_000)


def test_what_the_gaussian_family_calls():
    model = Gaussian.from_params(mean=MEAN, precision=PRECISION, domain=NonNegative())
    X = model.sample(30_000, random_state=0, method="gibbs", n_warmup=60)
    Y = sample_truncated_gaussian(MEAN, PRECISION, n_samples=30_000, random_state=1, method="gibbs", burn_in=60)
    same_moments(X, Y)


# -- parameters that need the domain ---------------------------------------------------------------------------------


def test_copositive_precision():
    precision = np.array([[1.0, 2.0], [2.0, 1.0]])
    draws = sample_truncated_gaussian([0.3, 0.3], precision, n_samples=50_000, random_state=0, burn_in=200)
    grid = (np.arange(800) + 0.5) / 800 * 6
    X = np.stack(np.meshgrid(grid, grid, indexing="ij"), axis=-1).reshape(-1, 2)
    density = np.exp(-np.einsum("ij,ij->i", (X - 0.3) @ precision, X - 0.3) / 2)
    for moment in (lambda x: x[:, 0], lambda x: x[:, 0] ** 2, lambda x: x[:, 0] * x[:, 1]):
        got = moment(draws)
        assert abs(got.mean() - moment(X) @ density / density.sum()) < 4 * got.std() / np.sqrt(50_000)
    for wrong in ([[1.0, -2.0], [-2.0, 1.0]], [[1.0, -1.0], [-1.0, 1.0]]):
        with pytest.raises(ValueError, match="precision gives no density on this domain"):
            sample_truncated_gaussian([0.0, 0.0], wrong)
    with pytest.raises(ValueError, match="precision gives no density on this domain"):
        sample_truncated_gaussian([0.0, 0.0], precision, RealSpace())
    sample_truncated_gaussian([0.0, 0.0], [[1.0, -2.0], [-2.0, 1.0]], Ball(3.0), 10, 0)


def test_copositivity_against_a_search():
    rng = np.random.default_rng(0)
    V = rng.dirichlet(np.full(4, 0.4), size=20_000)
    V[: len(V) // 2] *= rng.uniform(size=(len(V) // 2, 4)) < 0.6
    seen = set()
    for _ in range(200):
        M = rng.normal(size=(4, 4)) * 0.8
        M = (M + M.T) / 2
        np.fill_diagonal(M, 1.0)
        least = np.einsum("ij,ij->i", V @ M, V).min()
        answer = is_copositive(M)
        seen.add(answer)
        assert answer == (least > 0) or abs(least) < 2e-3
        both = grows_without_end(M, np.array([True, True, False, True]), np.array([True, False, False, True]))
        rest = M[np.ix_([0, 3, 1], [0, 3, 1])]
        W = rng.normal(size=(20_000, 3)) * [1, 1, 0.5]
        W[:, 2] = np.abs(W[:, 2])
        least = (np.einsum("ij,ij->i", W @ rest, W) / (W**2).sum(axis=1)).min()
        assert both == (least > 0) or abs(least) < 2e-2
    assert seen == {True, False}
    assert is_copositive(np.eye(20) - 0.2 * np.ones((20, 20)) + 0.2 * np.eye(20)) is None


def test_a_large_matrix_that_has_no_density_is_found_out_by_the_chains():
    K = np.eye(20) - 0.2 * (np.ones((20, 20)) - np.eye(20))
    with pytest.raises(ValueError, match="chains run to infinity"):
        sample_pairwise(K, n_samples=3, random_state=0, burn_in=2000)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: sample_pairwise(np.eye(2), a=0.5, domain=RealSpace()), "domain must lie in the non-negative orthant"),
        (lambda: sample_pairwise(np.eye(2), [0.0, -1.0], b=0), "linear must be above -1 .* entry 1 is -1"),
        (
            lambda: sample_pairwise(np.eye(2), [0.0, 1.0], b=3),
            "linear must not be positive where b > 2a.* entry 1 is 1",
        ),
        (lambda: sample_pairwise(np.eye(2), [0.0, 1.0], a=0, b=1), "linear must not be positive where b > 2a"),
        (
            lambda: sample_pairwise(np.eye(2), [0.0, 2.0], b=2),
            r"positive on its diagonal; entry \(1,1\) is 1, less what",
        ),
        (lambda: sample_pairwise(np.eye(3), domain=Polytope([[1, 1]], [1])), "domain has 2 columns .* have 3"),
        (lambda: sample_pairwise(np.eye(2), a=0.5, method="rejection"), "method='rejection' needs a = b = 1"),
        (lambda: sample_pairwise(INTERACTION, a=0.5, start=[0.0, 1.0]), "start must be positive unless a = b = 1"),
    ],
)
def test_errors_of_densities(call, says):
    with pytest.raises(ValueError, match=says):
        call()


def test_not_a_domain():
    with pytest.raises(TypeError, match="domain must be a domain"):
        sample_pairwise(np.eye(2), domain="box")


@pytest.mark.parametrize("level", _core.supported_levels())
def test_levels_agree(level):
    """What a level draws are the same numbers, but for rounding."""
    K = make_chain_graph(5, random_state=0)
    used = _core.level()
    want = sample_pairwise(K, n_samples=50, random_state=0, burn_in=3, method="gibbs")
    try:
        _core.use_level(level)
        got = sample_pairwise(K, n_samples=50, random_state=0, burn_in=3, method="gibbs")
    finally:
        _core.use_level(used)
    np.testing.assert_allclose(got, want, rtol=1e-9)
