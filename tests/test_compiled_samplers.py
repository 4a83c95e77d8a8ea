"""Compiled Langevin and Hamiltonian chains: steps against their formulas, chains against known distributions."""

import itertools

import numpy as np
import pytest
import scorematch
from cases import EXAMPLES
from scipy.special import ive
from scipy.stats import kstest, norm, truncnorm
from scorematch import _core

INF = np.inf
PRECISION = np.array([[2.0, 0.5], [0.5, 1.0]])
MEAN = np.array([1.0, -2.0])
REAL_SPACE = _core.Support.real_space()


def target_of(model):
    return _core.Target.family(model._compiled(), model._compiled_theta(), model._origin())


def gaussian(mean=MEAN, precision=PRECISION):
    return target_of(scorematch.Gaussian.from_params(mean=mean, precision=precision))


def gaussian_in_python(points):
    score = -(points - MEAN) @ PRECISION
    return ((points - MEAN) * score).sum(axis=1) / 2, score


def langevin(target, points, step, n_iterations, support=REAL_SPACE, **options):
    c, d = np.shape(points)
    given = {"scale": np.ones(d), "seed": 7, "iteration": 0, "thin": 1, "reflect": True, "n_threads": 1} | options
    return _core.run_langevin(target, support, points, np.full(c, step), n_iterations=n_iterations, **given)


def hamiltonian(target, points, step, n_iterations, support=REAL_SPACE, **options):
    c, d = np.shape(points)
    given = {
        "scale": np.ones(d),
        "adaptation": np.zeros((c, 4)),
        "seed": 7,
        "iteration": 0,
        "thin": 1,
        "reflect": True,
        "n_leapfrog": 5,
        "jitter": 0.1,
        "target_acceptance": 0,
        "n_threads": 1,
    } | options
    return _core.run_hamiltonian(target, support, points, np.broadcast_to(step, c), n_iterations=n_iterations, **given)


def flat(points):
    return np.zeros(len(points)), np.zeros_like(points)


def normals_of(sampler, c, d, n_iterations=1, **options):
    """The normals that it draws, (c, n_iterations, d): on a flat density nothing else moves a chain."""
    points = np.zeros((c, d))
    options |= {} if sampler is langevin else {"n_leapfrog": 1, "jitter": 0}
    draws = sampler(_core.Target.python(d, flat), points, 1.0, n_iterations, **options)["draws"]
    return np.diff(draws, axis=1, prepend=0)


def same_moments(X, mean, covariance):
    """Means and second moments of independent rows, within 4.5 standard errors."""
    centred = X - mean
    products = np.einsum("ni,nj->nij", centred, centred)
    for values, expected in ((X, mean), (products, covariance)):
        error = values.std(axis=0) / np.sqrt(len(X))
        np.testing.assert_array_less(np.abs(values.mean(axis=0) - expected), 4.5 * error)


def assert_same_bits(first, second):
    assert first.keys() == second.keys()
    for name in first:
        assert first[name].tobytes() == second[name].tobytes(), name


# ----------------------------------------------------------------------------------------------------------- formulas


@pytest.mark.parametrize("d", [1, 2, 3, 8, 11])
@pytest.mark.parametrize("sampler", [langevin, hamiltonian])
def test_normals_are_independent_and_normal(sampler, d, level):
    z = normals_of(sampler, 500, d, 40)
    assert kstest(z.ravel(), "norm").pvalue > 1e-3
    flat = z.reshape(500, -1)  # of one chain, in the order in which they are drawn
    correlations = flat.T @ flat / 500 - np.eye(40 * d)
    assert np.abs(correlations).max() < 6 * np.sqrt(2 / 500)
    assert np.abs(flat @ flat.T / (40 * d) - np.eye(500)).max() < 6 * np.sqrt(2 / (40 * d))


@pytest.mark.parametrize("d", [1, 2, 3, 8])
def test_langevin_step(d, level):
    random = np.random.default_rng(d)
    mean, scale, points = random.normal(size=d), random.uniform(0.5, 2, size=d), random.normal(size=(21, d))
    precision = np.eye(d) + 0.3
    draws = langevin(gaussian(mean, precision), points, 0.3, 4, scale=scale)["draws"]
    z = normals_of(langevin, 21, d, 4)
    x = points
    for k in range(4):
        x = x - 0.15 * scale**2 * ((x - mean) @ precision) + np.sqrt(0.3) * scale * z[:, k]
        np.testing.assert_allclose(draws[:, k], x, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("d", [1, 2, 3, 8])
def test_leapfrog(d, level):
    random = np.random.default_rng(d)
    mean, scale, points = random.normal(size=d), random.uniform(0.5, 2, size=d), random.normal(size=(21, d))
    precision = np.eye(d) + 0.3
    result = hamiltonian(gaussian(mean, precision), points, 0.3, 1, scale=scale, jitter=0, n_leapfrog=3)
    p = start = normals_of(hamiltonian, 21, d)[:, 0]
    x = points
    for _ in range(3):
        p = p - 0.15 * scale * ((x - mean) @ precision)
        x = x + 0.3 * scale * p
        p = p - 0.15 * scale * ((x - mean) @ precision)

    def energy(x, p):
        return (np.einsum("ni,ij,nj->n", x - mean, precision, x - mean) + (p**2).sum(axis=1)) / 2

    probability = np.exp(np.minimum(energy(points, start) - energy(x, p), 0))
    np.testing.assert_allclose(result["acceptance"], probability, rtol=1e-12)
    moved = (result["points"] != points).any(axis=1)
    assert moved.any()
    np.testing.assert_allclose(result["points"][moved], x[moved], rtol=1e-13, atol=1e-13)


def test_one_leapfrog_step_is_the_metropolis_adjusted_langevin_step(level):
    step, points = 0.4, np.random.default_rng(0).normal(size=(50, 2))
    result = hamiltonian(gaussian(), points, np.sqrt(step), 1, jitter=0, n_leapfrog=1)
    z = normals_of(hamiltonian, 50, 2)[:, 0]
    log_density, score = gaussian_in_python(points)
    proposal = points + step / 2 * score + np.sqrt(step) * z
    log_density_there, score_there = gaussian_in_python(proposal)

    def log_kernel(start, score, end):
        return -((end - start - step / 2 * score) ** 2).sum(axis=1) / (2 * step)

    back, forth = log_kernel(proposal, score_there, points), log_kernel(points, score, proposal)
    ratio = np.exp(log_density_there + back - log_density - forth)
    np.testing.assert_allclose(result["acceptance"], np.minimum(ratio, 1), rtol=1e-12)
    moved = (result["points"] != points).any(axis=1)
    np.testing.assert_allclose(result["points"][moved], proposal[moved], rtol=1e-13, atol=1e-13)
    assert (result["points"][~moved] == points[~moved]).all()
    assert (ratio[~moved] < 1).all()


def test_dual_averaging(level):
    """Hoffman and Gelman (2014), section 3.2, written out for the acceptances that the chains report."""
    c, n, wanted = 11, 30, 0.8
    points, step = np.random.default_rng(0).normal(size=(c, 2)), np.full(c, 0.7)
    adaptation = np.zeros((c, 4))
    mu, error, log_mean = np.log(10 * step), np.zeros(c), np.zeros(c)
    for m in range(1, n + 1):
        result = hamiltonian(
            gaussian(), points, step, 1, adaptation=adaptation, iteration=m - 1, target_acceptance=wanted
        )
        points, step, adaptation = result["points"], result["step_sizes"], result["adaptation"]
        error = (1 - 1 / (m + 10)) * error + (wanted - result["acceptance"]) / (m + 10)
        log_step = mu - np.sqrt(m) / 0.05 * error
        log_mean = m**-0.75 * log_step + (1 - m**-0.75) * log_mean
        np.testing.assert_allclose(step, np.exp(log_step), rtol=1e-10)
    expected = np.column_stack([mu, log_mean, error, np.full(c, n)])
    np.testing.assert_allclose(adaptation, expected, rtol=1e-10, atol=1e-12)


def test_adaptation_finds_the_step_size(level):
    c = 200
    start = np.random.default_rng(0).normal(size=(c, 2))
    warm = hamiltonian(gaussian(), start, 0.1, 600, target_acceptance=0.8)
    steps = np.exp(warm["adaptation"][:, 1])
    result = hamiltonian(gaussian(), warm["points"], steps, 400, iteration=600)
    assert abs(result["acceptance"].mean() / 400 - 0.8) < 0.1
    assert (result["step_sizes"] == steps).all()
    assert (result["adaptation"] == 0).all()


def test_reasonable_step_sizes(level):
    for size in (1e-6, 1.0, 1e6):
        target = gaussian(np.zeros(2), np.eye(2) / size**2)
        points = size * np.random.default_rng(0).normal(size=(40, 2))
        steps = _core.reasonable_step_sizes(target, REAL_SPACE, points, np.ones(2), 3, 1)
        assert (np.log2(steps) == np.round(np.log2(steps))).all()
        assert ((steps > 0.2 * size) & (steps < 20 * size)).all()
        # A scale of that size brings them back to order 1.
        steps = _core.reasonable_step_sizes(target, REAL_SPACE, points, np.full(2, size), 3, 1)
        assert ((steps > 0.2) & (steps < 20)).all()
    # A flat density on an interval: not much longer than it.
    inside = _core.Support.intervals([[[0, 0.01]]])
    target = _core.Target.python(1, flat)
    steps = _core.reasonable_step_sizes(target, inside, np.full((40, 1), 0.005), np.ones(1), 3, 1)
    assert (steps < 1).all()


# ------------------------------------------------------------------------------------------------------ distributions


@pytest.mark.parametrize(("step", "n_leapfrog"), [(0.9, 1), (0.6, 4)])
def test_hamiltonian_is_exact(step, n_leapfrog, level):
    start = np.zeros((4000, 2))
    result = hamiltonian(gaussian(), start, step, 60, n_leapfrog=n_leapfrog, jitter=0.2, scale=[0.7, 1.2])
    same_moments(result["points"], MEAN, np.linalg.inv(PRECISION))
    assert result["divergent"].sum() == 0


def test_bias_of_langevin(level):
    """The variance v of its stationary distribution solves v = (1 - step/2)² v + step for a unit variance."""
    step = 0.8
    x = langevin(gaussian([0.0], [[1.0]]), np.zeros((8000, 1)), step, 40)["points"]
    same_moments(x, np.zeros(1), np.full((1, 1), 1 / (1 - step / 4)))


@pytest.mark.parametrize("n_leapfrog", [1, 3])
def test_detailed_balance(n_leapfrog, level):
    """Pairs of a point, drawn from the target, and the next are exchangeable."""
    weights, means, scales = np.array([0.3, 0.7]), np.array([-1.5, 1.0]), np.array([0.5, 0.8])
    model = scorematch.GaussianMixture.from_params(
        weights=weights, means=means[:, None], covariances=scales[:, None, None] ** 2
    )
    random, n = np.random.default_rng(1), 100_000
    k = random.choice(2, size=n, p=weights)
    before = random.normal(means[k], scales[k])
    result = hamiltonian(target_of(model), before[:, None], 0.9, 1, n_leapfrog=n_leapfrog, jitter=0)
    after = result["points"][:, 0]
    assert 0.3 < result["acceptance"].mean() < 0.97
    cells = np.array([-INF, -1.5, -0.5, 0.5, 1.2, INF])
    flows = np.histogram2d(np.digitize(before, cells), np.digitize(after, cells), bins=np.arange(0.5, 6))[0]
    for i, j in itertools.combinations(range(5), 2):
        assert abs(flows[i, j] - flows[j, i]) < 4.5 * np.sqrt(flows[i, j] + flows[j, i] + 1)
    counts = flows.sum(axis=0) - flows.sum(axis=1)
    assert (np.abs(counts) < 4.5 * np.sqrt(flows.sum(axis=1))).all()


def test_adaptation_on_a_flat_density(level):
    """All is accepted, and the step size grows until steps are reflected too often to know where they end."""
    box, start = _core.Support.intervals([[[0, 1]]]), np.full((300, 2), 0.5)
    result = hamiltonian(_core.Target.python(2, flat), start, 0.5, 300, box, target_acceptance=0.8)
    assert np.isfinite(result["step_sizes"]).all()
    assert (result["step_sizes"] > 1000).all()
    assert kstest(result["points"].ravel(), "uniform").pvalue > 1e-3


@pytest.mark.parametrize("reflect", [True, False])
@pytest.mark.parametrize(("low", "high"), [(0.5, 2.0), (-INF, 0.3), (-0.2, INF), (1.0, 1.01)])
def test_interval(low, high, reflect, level):
    start = np.full((3000, 1), np.clip(0.0, low, high) if np.isinf(high - low) else (low + high) / 2)
    width = min(high - low, 2)
    result = hamiltonian(
        gaussian([0.0], [[1.0]]),
        start,
        0.45 * width,
        30 if reflect else 80,
        support=_core.Support.intervals([[[low, high]]]),
        reflect=reflect,
        jitter=0.3,
    )
    x = result["points"][:, 0]
    assert ((x >= low) & (x <= high)).all()
    assert kstest(x, truncnorm(low, high).cdf).pvalue > 1e-3
    if reflect:
        assert result["acceptance"].mean() / 30 > 0.75


def test_long_steps_are_reflected_many_times(level):
    """On a flat density all is accepted; the positions are those of a ball between two walls."""
    low, high, c = -0.3, 0.2, 40
    start = np.random.default_rng(0).uniform(low, high, size=(c, 1))
    support = _core.Support.intervals([[[low, high]]])
    result = hamiltonian(_core.Target.python(1, flat), start, 20.0, 1, support=support, jitter=0, n_leapfrog=2)
    z = normals_of(hamiltonian, c, 1)[:, 0]
    around = np.mod(start + 40.0 * z - low, 2 * (high - low))
    expected = low + np.minimum(around, 2 * (high - low) - around)
    np.testing.assert_allclose(result["points"], expected, atol=1e-12)
    assert (result["acceptance"] == 1).all()


def test_langevin_at_the_ends_of_an_interval(level):
    step, c = 0.5, 60
    points = np.random.default_rng(0).uniform(0, 1, size=(c, 2))
    support = _core.Support.intervals([[[0, 1]], [[0, INF]]])
    free = langevin(gaussian(), points, step, 1)["points"]
    inside = ((free >= 0) & (free <= [1, INF])).all(axis=1)
    assert 5 < inside.sum() < 55
    reflected = langevin(gaussian(), points, step, 1, support)
    around = np.mod(free[:, 0], 2)
    np.testing.assert_allclose(reflected["points"][:, 0], np.minimum(around, 2 - around), atol=1e-14)
    np.testing.assert_allclose(reflected["points"][:, 1], np.abs(free[:, 1]), atol=1e-14)
    assert (reflected["accepted"] == 1).all()
    rejected = langevin(gaussian(), points, step, 1, support, reflect=False)
    assert (rejected["points"] == np.where(inside[:, None], free, points)).all()
    assert (rejected["accepted"] == inside).all()


def test_unions_of_intervals(level):
    """Reflection stays in the interval; rejection lets a step jump over the gap."""
    ends = np.array([[-2.0, -0.5], [0.4, INF]])
    support, target = _core.Support.intervals([ends]), gaussian([0.0], [[1.0]])
    start = np.tile([[-1.0], [1.0]], (1500, 1))
    x = hamiltonian(target, start, 0.4, 25, support)["points"][:, 0]
    assert kstest(x[::2], truncnorm(-2, -0.5).cdf).pvalue > 1e-3
    assert kstest(x[1::2], truncnorm(0.4, INF).cdf).pvalue > 1e-3
    x = hamiltonian(target, start, 0.8, 60, support, reflect=False, jitter=0.5)["points"][:, 0]
    assert ((x >= -2) & (x <= -0.5) | (x >= 0.4)).all()
    left, right = norm.cdf(-0.5) - norm.cdf(-2), norm.sf(0.4)
    share = left / (left + right)
    assert abs(np.mean(x < 0) - share) < 4.5 * np.sqrt(share * (1 - share) / len(x))


def test_regions(level):
    """A disc, compiled and in Python: the same bits, and the truncated distribution."""
    disc = _core.Support.region(_core.Region.ball(1.5, 2))
    start = np.zeros((3000, 2))
    options = {"jitter": 0.3, "n_leapfrog": 2}
    mean = np.array([0.5, 0.0])
    target = gaussian(mean, np.eye(2))
    result = hamiltonian(target, start, 0.7, 40, disc, **options)
    in_python = _core.Support.python(lambda points: (points**2).sum(axis=1) <= 1.5**2)
    assert_same_bits(result, hamiltonian(target, start, 0.7, 40, in_python, **options))
    assert ((result["points"] ** 2).sum(axis=1) <= 1.5**2).all()
    exact = np.random.default_rng(0).normal(size=(200_000, 2)) + mean
    exact = exact[(exact**2).sum(axis=1) <= 1.5**2]
    same_moments(result["points"] - exact.mean(axis=0), np.zeros(2), np.cov(exact.T))
    moves = langevin(target, start, 0.7, 40, disc)
    assert_same_bits(moves, langevin(target, start, 0.7, 40, in_python))
    assert ((moves["points"] ** 2).sum(axis=1) <= 1.5**2).all()
    assert (moves["accepted"] < 40).any()
    quarter = _core.Support.region(_core.Region.ball(1.5, 2), nonnegative=True)
    assert (langevin(target, start, 0.7, 40, quarter)["points"] >= 0).all()


@pytest.mark.parametrize(("d", "kappa"), [(2, 1.5), (3, 4.0), (6, 9.0)])
def test_sphere(d, kappa, level):
    """The mean of μ'x under von Mises and Fisher's distribution is a ratio of Bessel functions."""
    direction = np.ones(d) / np.sqrt(d)
    model = scorematch.VonMisesFisher.from_params(mean_direction=direction, concentration=kappa)
    start = np.tile(np.eye(d)[0], (3000, 1))
    sphere = _core.Support.sphere()
    result = hamiltonian(target_of(model), start, 1.2 / np.sqrt(kappa), 30, sphere, n_leapfrog=3)
    np.testing.assert_allclose((result["draws"] ** 2).sum(axis=2), 1, atol=1e-14)
    along = result["points"] @ direction
    expected = ive(d / 2, kappa) / ive(d / 2 - 1, kappa)
    assert abs(along.mean() - expected) < 4.5 * along.std() / np.sqrt(len(along))
    across = result["points"] - np.outer(along, direction)
    assert (np.abs(across.mean(axis=0)) < 4.5 * across.std(axis=0) / np.sqrt(len(along))).all()
    assert result["acceptance"].mean() / 30 > 0.6
    draws = langevin(target_of(model), start, 0.02 / kappa, 900, sphere, thin=300)["draws"]
    np.testing.assert_allclose((draws**2).sum(axis=2), 1, atol=1e-14)
    along = draws[:, -1] @ direction
    assert abs(along.mean() - expected) < 4.5 * along.std() / np.sqrt(len(along)) + 0.01


def test_sphere_leapfrog_conserves_energy(level):
    model = scorematch.VonMisesFisher.from_params(mean_direction=[0.0, 0.6, 0.8], concentration=5.0)
    start = np.tile([1.0, 0, 0], (100, 1))
    errors = []
    for n_leapfrog in (10, 20):
        result = hamiltonian(
            target_of(model), start, 2.0 / n_leapfrog, 1, _core.Support.sphere(), n_leapfrog=n_leapfrog, jitter=0
        )
        errors.append(-np.log(result["acceptance"]).mean())
    assert 3 < errors[0] / errors[1] < 5.5  # of second order


# ------------------------------------------------------------------------------------------------- the same numbers


@pytest.mark.parametrize("d", [2, 3])
def test_cuts_threads_and_other_chains_do_not_show(d, level):
    random = np.random.default_rng(0)
    target = gaussian(np.zeros(d), np.eye(d) + 0.2)
    points = random.normal(size=(701, d))
    for sampler in (langevin, hamiltonian):
        whole = sampler(target, points, 0.3, 90, thin=3)
        for n_threads in (2, 3):
            assert_same_bits(whole, sampler(target, points, 0.3, 90, thin=3, n_threads=n_threads))
        for c in (1, 5, 64, 700):
            part = sampler(target, points[:c], 0.3, 90, thin=3)
            assert part["draws"].tobytes() == whole["draws"][:c].tobytes()
        first = sampler(target, points, 0.3, 33, thin=3)
        second = sampler(target, first["points"], 0.3, 57, thin=3, iteration=33)
        assert np.concatenate([first["draws"], second["draws"]], axis=1).tobytes() == whole["draws"].tobytes()
        assert second["points"].tobytes() == whole["points"].tobytes()
        each = sampler(target, points, 0.3, 90)
        assert each["draws"][:, 2::3].tobytes() == whole["draws"].tobytes()
        assert sampler(target, points, 0.3, 4, seed=8)["points"].tobytes() != each["draws"][:, 3].tobytes()


def test_adaptation_may_be_cut(level):
    points = np.random.default_rng(0).normal(size=(30, 2))
    whole = hamiltonian(gaussian(), points, 0.3, 40, target_acceptance=0.7)
    first = hamiltonian(gaussian(), points, 0.3, 13, target_acceptance=0.7)
    second = hamiltonian(
        gaussian(),
        first["points"],
        first["step_sizes"],
        27,
        adaptation=first["adaptation"],
        iteration=13,
        target_acceptance=0.7,
    )
    for name in ("points", "step_sizes", "adaptation"):
        assert second[name].tobytes() == whole[name].tobytes()


@pytest.mark.parametrize(
    "example", {e.case.name: e for e in EXAMPLES if e.compiled}.values(), ids=lambda example: example.case.name
)
def test_every_family(example):
    """Chains of every family depend neither on the chains beside them nor on threads; and they go where ψ says."""
    model, points, step = example.model(), example.data(300), 1e-8
    target = target_of(model)
    is_positive = points.min() > 0
    support = _core.Support.intervals([[[0, INF]]]) if is_positive else REAL_SPACE
    support = _core.Support.sphere() if example.on_sphere else support
    for sampler in (langevin, hamiltonian):
        whole = sampler(target, points, step, 3, support)
        for c in (1, 9, 77):
            part = sampler(target, points[:c], step, 3, support)
            assert part["draws"].tobytes() == whole["draws"][:c].tobytes()
        assert_same_bits(whole, sampler(target, points, step, 3, support, n_threads=2))
    if not example.on_sphere:
        z = normals_of(langevin, *points.shape)[:, 0]
        expected = points + step / 2 * model.score_function(points) + np.sqrt(step) * z
        expected = np.abs(expected) if is_positive else expected
        found = langevin(target, points, step, 1, support)["points"]
        np.testing.assert_allclose(found, expected, atol=1e-15 * np.abs(points).max())


def test_functions_of_python(level):
    points = np.random.default_rng(0).normal(size=(37, 2))
    target = _core.Target.python(2, gaussian_in_python)
    for sampler in (langevin, hamiltonian):
        compiled, in_python = sampler(gaussian(), points, 0.4, 30), sampler(target, points, 0.4, 30)
        np.testing.assert_allclose(in_python["draws"], compiled["draws"], rtol=1e-12, atol=1e-12)
    alone = _core.Target.python(2, lambda points: gaussian_in_python(points)[1].tolist())
    assert_same_bits(langevin(alone, points, 0.4, 30), langevin(target, points, 0.4, 30))
    seen = []

    def remember(points):
        seen.append(points)
        return gaussian_in_python(points)

    draws = langevin(_core.Target.python(2, remember), points, 0.4, 3)["draws"]
    assert all(x.shape == (37, 2) and x.dtype == np.float64 and x.flags.c_contiguous for x in seen)
    assert (seen[0] == points).all()
    assert (seen[2] == draws[:, 1]).all()


# ------------------------------------------------------------------------------------------------------------- errors


def test_a_chain_that_runs_away():
    points = np.random.default_rng(0).normal(size=(300, 2))
    steps = np.full(300, 0.1)
    steps[[123, 200]] = 50.0
    with pytest.raises(ValueError, match=r"chain 123 became infinite or NaN at iteration 1\d+.*: the step size is too"):
        _core.run_langevin(gaussian(), REAL_SPACE, points, steps, np.ones(2), 1, 1000, 500, 1, True, 2)
    far = _core.Target.python(2, lambda x: np.where(np.abs(x) < 5, 0.0, np.nan))
    with pytest.raises(
        ValueError, match=r"at iteration \d+, its score not being finite: the step size .* or the score"
    ):
        langevin(far, points, 1.0, 1000)
    box = _core.Support.intervals([[[-9, 9]]])  # at whose ends a step of any length would be folded
    with pytest.raises(ValueError, match=r"became infinite or NaN at iteration 0: the step size is too large"):
        langevin(gaussian(), points, 1e40, 5, box)
    # Hamiltonian chains reject what diverges.
    result = hamiltonian(gaussian(), points, 50.0, 20)
    assert (result["divergent"] == 20).all()
    assert (result["points"] == points).all()
    assert (result["acceptance"] == 0).all()


def test_densities_that_are_not_finite_everywhere(level):
    """The density x·exp(-x) of the positive numbers: where it is NaN, steps are rejected."""

    def target(points):
        with np.errstate(all="ignore"):
            return (np.log(points) - points)[:, 0], 1 / points - 1

    result = hamiltonian(_core.Target.python(1, target), np.ones((2000, 1)), 1.0, 60, n_leapfrog=2, jitter=0.4)
    assert (result["points"] > 0).all()
    assert kstest(result["points"][:, 0], "gamma", args=(2,)).pvalue > 1e-3
    with pytest.raises(ValueError, match="must be finite where chains start; those of chain 1 are not"):
        hamiltonian(_core.Target.python(1, target), [[1.0], [-1.0]], 1.0, 1)
    with pytest.raises(ValueError, match="must be finite where chains start; those of chain 1 are not"):
        langevin(_core.Target.python(1, target), [[1.0], [0.0]], 1.0, 1)
    # A call that goes on begins where the chain has come to.
    with pytest.raises(ValueError, match="chain 1 became infinite or NaN at iteration 7, its score not being finite"):
        langevin(_core.Target.python(1, target), [[1.0], [0.0]], 1.0, 1, iteration=7)


@pytest.mark.parametrize(
    ("function", "error", "message"),
    [
        (lambda x: (x[:, 0], x[:1]), ValueError, r"lambda> must return scores of shape \(3, 2\); got shape \(1, 2\)"),
        (lambda x: (x[:, 0], "no"), TypeError, r"must return scores of shape \(3, 2\); got type <U2"),
        (lambda x: (x[:, :1], x), ValueError, r"must return log densities of shape \(3,\); got shape \(3, 1\)"),
        (
            lambda x: x,
            TypeError,
            r"must return the two arrays \(log_density, score\).* an object of type numpy.ndarray",
        ),
        (lambda x: (x[:, 0], x + 1j), TypeError, "must return scores of .* got type complex128"),
        (lambda x: 1 / 0, ZeroDivisionError, "division by zero"),
    ],
)
def test_errors_of_functions(function, error, message):
    with pytest.raises(error, match=message):
        hamiltonian(_core.Target.python(2, function), np.ones((3, 2)), 0.1, 5)


def test_interruption_passes_through():
    n_calls = 0

    def target(points):
        nonlocal n_calls
        n_calls += 1
        if n_calls == 5:
            raise KeyboardInterrupt
        return gaussian_in_python(points)

    for sampler in (langevin, hamiltonian):
        n_calls = 0
        with pytest.raises(KeyboardInterrupt):
            sampler(_core.Target.python(2, target), np.ones((3, 2)), 0.1, 100)
        assert n_calls == 5

    def contains(points):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        langevin(gaussian(), np.ones((3, 2)), 0.1, 5, _core.Support.python(contains))


@pytest.mark.parametrize(
    ("support", "points"),
    [
        (_core.Support.intervals([[[0, 1]]]), [[0.5, 0.5], [0.5, 1.5]]),
        (_core.Support.sphere(), [[1, 0], [1, 1]]),
        (_core.Support.region(_core.Region.ball(1.0, 2)), [[0, 0], [2, 0]]),
        (_core.Support.python(lambda x: x[:, 0] < 1), [[0, 0], [2, 0]]),
    ],
)
def test_starts_outside_the_support(support, points):
    for sampler in (langevin, hamiltonian):
        with pytest.raises(ValueError, match="chain 1 starts outside the support"):
            sampler(gaussian(), points, 0.1, 1, support)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"points": np.ones((3, 1))}, r"points must have shape \(3, 2\); got \(3, 1\)"),
        ({"points": np.ones((0, 2))}, r"points must have two dimensions and at least one row; got shape \(0, 2\)"),
        ({"points": [[0, 0], [np.nan, 0]], "step_sizes": np.ones(2)}, "points must be finite; row 1 is not"),
        ({"step_sizes": np.ones(2)}, r"step_sizes must have shape \(3,\); got \(2,\)"),
        ({"step_sizes": [1, 0, 1]}, "step_sizes must be positive and finite; entry 1 is"),
        ({"scale": [1, -1]}, "scale must be positive and finite; entry 1 is -1"),
        ({"n_iterations": -1}, "n_iterations must not be negative; got -1"),
        ({"thin": 0}, "thin must be at least 1; got 0"),
        ({"n_threads": 0}, "n_threads must be at least 1; got 0"),
        ({"support": _core.Support.sphere(), "scale": [1, 2]}, "scale must be 1 in all coordinates on the sphere"),
        ({"support": _core.Support.intervals([[[0, 2]]] * 3)}, "intervals for one coordinate or for all 2; got 3"),
        (
            {"support": _core.Support.region(_core.Region.half_spaces(np.ones((1, 3)), [1.0]))},
            "the support has 3 coordinates and the target 2",
        ),
    ],
)
def test_bad_arguments(change, message):
    arguments = {
        "target": gaussian(),
        "support": REAL_SPACE,
        "points": np.ones((3, 2)),
        "step_sizes": np.ones(3),
        "scale": np.ones(2),
        "seed": 0,
        "iteration": 0,
        "n_iterations": 1,
        "thin": 1,
        "reflect": True,
        "n_threads": 1,
    } | change
    with pytest.raises(ValueError, match=message):
        _core.run_langevin(**arguments)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_leapfrog": 0}, "n_leapfrog must be at least 1; got 0"),
        ({"jitter": 1.0}, "jitter must be at least 0 and less than 1; got 1"),
        ({"target_acceptance": 1.0}, "target_acceptance must be at least 0 and less than 1"),
        ({"adaptation": np.zeros((3, 3))}, r"adaptation must have shape \(3, 4\); got \(3, 3\)"),
    ],
)
def test_bad_arguments_of_hamiltonian_chains(change, message):
    with pytest.raises(ValueError, match=message):
        hamiltonian(gaussian(), np.ones((3, 2)), 0.1, 1, **change)


@pytest.mark.parametrize(
    "ends", [[], [[1.0, 0.0]], [[0.0, 2.0], [1.0, 3.0]], [[0.0, np.nan]], [[0.0, 1.0], [1.0, 2.0]], [1.0, 2.0]]
)
def test_bad_intervals(ends):
    with pytest.raises(ValueError, match="intervals must"):
        _core.Support.intervals([np.array(ends)])


def test_bad_targets():
    family = _core.Family("gaussian", "full", 2)
    with pytest.raises(ValueError, match=r"theta must have shape \(5,\); got \(4,\)"):
        _core.Target.family(family, np.ones(4))
    with pytest.raises(ValueError, match="theta must be finite"):
        _core.Target.family(family, np.full(5, np.nan))
    with pytest.raises(TypeError, match="function must be callable; got 3"):
        _core.Target.python(2, 3)
    with pytest.raises(ValueError, match="n_features must be at least 1; got 0"):
        _core.Target.python(0, flat)
    with pytest.raises(TypeError, match="function must be callable; got None"):
        _core.Support.python(None)
