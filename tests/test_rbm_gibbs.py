"""Block Gibbs sampling of the Gaussian-Bernoulli RBM in the compiled core."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import chi2, kstest, norm
from scorematch import GaussianBernoulliRBM, _core

CERTAINTY = 5  # standard errors


def machine(m, d, seed=0, noise_variance=0.7):
    random = np.random.default_rng(seed)
    return {
        "components": random.normal(size=(m, d)),
        "intercept_hidden": random.normal(size=m),
        "intercept_visible": random.normal(size=d),
        "noise_variance": noise_variance,
    }


def run(rbm, points, n_iterations=1, *, seed=3, iteration=0, thin=1, n_threads=1):
    return _core.rbm_gibbs(**rbm, points=points, seed=seed, iteration=iteration, n_iterations=n_iterations, thin=thin,
                           n_threads=n_threads)  # fmt: skip


# -- the formula, with the same random numbers -----------------------------------------------------------------------


def philox(counter, key):
    """Blocks of four words, of counters (4, ...), as Salmon et al. (2011) define them."""
    c = [np.asarray(word, dtype=np.uint64) for word in counter]
    low_half, shift = np.uint64(0xFFFFFFFF), np.uint64(32)
    low, high = np.uint64(key) & low_half, np.uint64(key) >> shift
    for _ in range(10):
        even, odd = np.uint64(0xD2511F53) * c[0], np.uint64(0xCD9E8D57) * c[2]
        c = [(odd >> shift) ^ c[1] ^ low, odd & low_half, (even >> shift) ^ c[3] ^ high, even & low_half]
        low, high = (low + np.uint64(0x9E3779B9)) & low_half, (high + np.uint64(0xBB67AE85)) & low_half
    return np.array(c)


def by_the_formula(rbm, points, n_iterations, *, seed, iteration, use=7):
    """All states of all chains, with the sampler's random numbers."""
    W, b, variance = rbm["components"], rbm["intercept_visible"], rbm["noise_variance"]
    m, d = W.shape
    n, n_hidden = len(points), -(-m // 4)
    x, states = points, []
    for i in range(iteration, iteration + n_iterations):
        position = i * (n_hidden + (d + 1) // 2) + np.arange(n_hidden + (d + 1) // 2, dtype=np.uint64)[None, :]
        chain = np.arange(n, dtype=np.uint64)[:, None]
        words = philox(
            np.broadcast_arrays(position & np.uint64(0xFFFFFFFF), position >> np.uint64(32), chain, np.uint64(use)),
            seed,
        )
        uniform = np.moveaxis((words[:, :, :n_hidden] + 0.5) / 2**32, 0, -1).reshape(n, -1)[:, :m]
        hidden = uniform < expit(rbm["intercept_hidden"] + x @ W.T / variance)
        pairs = words[:, :, n_hidden:]
        u, v = ((((pairs[k] | pairs[k + 1] << np.uint64(32)) >> np.uint64(12)) + 0.5) / 2**52 for k in (0, 2))
        radius = np.sqrt(-2 * np.log(u))
        z = np.stack([radius * np.cos(2 * np.pi * v), radius * np.sin(2 * np.pi * v)], axis=-1).reshape(n, -1)[:, :d]
        x = b + hidden @ W + np.sqrt(variance) * z
        states.append(x)
    return np.stack(states, axis=1)


@pytest.mark.parametrize(("m", "d", "n"), [(1, 1, 1), (4, 2, 7), (5, 3, 8), (3, 8, 33), (13, 17, 70), (40, 9, 300)])
def test_is_the_formula_with_these_random_numbers(level, m, d, n):
    rbm = machine(m, d, seed=m)
    points = np.random.default_rng(1).normal(size=(n, d))
    seed, iteration = 0x123456789ABCDEF0, 2**33 - 2
    want = by_the_formula(rbm, points, 4, seed=seed, iteration=iteration)
    found = run(rbm, points, 4, seed=seed, iteration=iteration)
    np.testing.assert_allclose(found["draws"], want, rtol=1e-11, atol=1e-11)
    np.testing.assert_array_equal(found["points"], found["draws"][:, -1])


# -- what it draws -------------------------------------------------------------------------------------------------


def test_hidden_units_given_the_visible(level):
    """With far apart filters x tells h, and from a given x each unit is on as often as its logistic says."""
    m, n = 6, 200_000
    activations = np.array([-20.0, -6.0, -1.0, 0.0, 2.0, 5.0])
    rbm = {
        "components": 100 * np.eye(m), "intercept_hidden": activations, "intercept_visible": np.zeros(m),
        "noise_variance": 1.0,
    }  # fmt: skip
    hidden = run(rbm, np.zeros((n, m)))["points"] > 50
    probability = expit(activations)
    error = np.sqrt(probability * (1 - probability) / n)
    assert (np.abs(hidden.mean(axis=0) - probability) <= CERTAINTY * error + 1e-12).all()
    # Units are independent of each other.
    correlation = np.corrcoef(hidden[:, 1:].T)
    assert np.abs(correlation - np.eye(m - 1)).max() < CERTAINTY / np.sqrt(n)


def test_visible_units_given_the_hidden(level):
    """Where all hidden units are certainly on, x is normal with mean b + Wᵀ1 and variance σ²."""
    rbm = machine(5, 3) | {"intercept_hidden": np.full(5, 1e3)}
    n = 100_000
    x = run(rbm, np.zeros((n, 3)))["points"]
    z = (x - rbm["intercept_visible"] - rbm["components"].sum(axis=0)) / np.sqrt(rbm["noise_variance"])
    for column in z.T:
        assert kstest(column, norm.cdf).pvalue > 1e-5
    assert np.abs(np.cov(z.T) - np.eye(3)).max() < CERTAINTY * np.sqrt(2 / n)
    # Normals of different chains and of one chain's iterations do not repeat.
    assert len(np.unique(run(rbm, np.zeros((50, 3)), 40)["draws"])) == 50 * 40 * 3


def test_the_stationary_distribution(level):
    """Chains that begin anywhere come to the mixture of 2^m Gaussians: shares of the states, and moments."""
    m, d, n = 3, 2, 60_000
    rbm = machine(m, d, seed=4, noise_variance=1.0)
    rbm["components"] *= 1.5
    model = GaussianBernoulliRBM.from_params(**rbm)
    states = (np.arange(2**m)[:, None] >> np.arange(m)) & 1
    probability = model._state_probabilities(states)
    means = rbm["intercept_visible"] + states @ rbm["components"]
    x = run(rbm, np.full((n, d), 3.0), 120, thin=120)["points"]
    mean = probability @ means
    covariance = (means - mean).T @ (probability[:, None] * (means - mean)) + rbm["noise_variance"] * np.eye(d)
    centred = x - mean
    statistic = n * centred.mean(axis=0) @ np.linalg.solve(covariance, centred.mean(axis=0))
    assert chi2.sf(statistic, d) > 1e-5
    squares = centred[:, :, None] * centred[:, None, :]
    assert (np.abs(squares.mean(axis=0) - covariance) < CERTAINTY * squares.std(axis=0) / np.sqrt(n)).all()
    # The whole distribution function, along some directions.
    for direction in np.random.default_rng(0).normal(size=(4, d)):
        deviation = np.sqrt(rbm["noise_variance"]) * np.linalg.norm(direction)

        def cdf(t, direction=direction, deviation=deviation):
            return norm.cdf((t[:, None] - means @ direction) / deviation) @ probability

        assert kstest(x @ direction, cdf).pvalue > 1e-5


def test_it_leaves_the_distribution_as_it_is(level):
    """Pairs of an exact draw and its successor: both have the law, and the pair is exchangeable (detailed balance)."""
    rbm = machine(4, 2, seed=2)
    n = 40_000
    before = GaussianBernoulliRBM.from_params(**rbm).sample(n, random_state=0)
    after = run(rbm, before)["points"]
    for f in (
        lambda x, y: x[:, 0] * y[:, 1],
        lambda x, y: x[:, 0] ** 2 * y[:, 0],
        lambda x, y: np.sin(x[:, 1]) + 0 * y[:, 0],
    ):
        difference = f(before, after) - f(after, before)
        assert abs(difference.mean()) < CERTAINTY * difference.std() / np.sqrt(n)


# -- how it is asked ------------------------------------------------------------------------------------------------


def test_threads_tiles_and_cuts_do_not_show(level):
    rbm, n = machine(37, 21), 1000
    points = np.random.default_rng(1).normal(size=(n, 21))
    whole = run(rbm, points, 12, thin=3)
    assert whole["draws"].shape == (n, 4, 21)
    every = run(rbm, points, 12)["draws"]
    np.testing.assert_array_equal(whole["draws"], every[:, 2::3])
    for n_threads in (2, 5):
        other = run(rbm, points, 12, thin=3, n_threads=n_threads)
        np.testing.assert_array_equal(other["draws"], whole["draws"])
        np.testing.assert_array_equal(other["points"], whole["points"])
    np.testing.assert_array_equal(run(rbm, points[:9], 12, thin=3)["draws"], whole["draws"][:9])
    first = run(rbm, points, 5)
    second = run(rbm, first["points"], 7, iteration=5, n_threads=2)
    np.testing.assert_array_equal(np.concatenate([first["draws"], second["draws"]], axis=1), every)
    np.testing.assert_array_equal(second["points"], whole["points"])
    assert not np.isin(run(rbm, points, 1, seed=4)["points"], every).any()


def test_cuts_do_not_show_where_b_is_far_away():
    """The sampler works with x − b, which is rounded where b is large or small beside x."""
    rbm = machine(6, 5) | {"intercept_visible": np.array([1e9, -1e-9, 0.1, 1e5, 3.0])}
    points = rbm["intercept_visible"] + np.random.default_rng(1).normal(size=(20, 5))
    rbm["intercept_hidden"] = -rbm["components"] @ rbm["intercept_visible"] / rbm["noise_variance"]
    whole = run(rbm, points, 10)
    first = run(rbm, points, 4)
    second = run(rbm, first["points"], 6, iteration=4)
    np.testing.assert_array_equal(np.concatenate([first["draws"], second["draws"]], axis=1), whole["draws"])


def test_no_iterations_and_none_that_is_kept():
    rbm, points = machine(3, 2), np.ones((5, 2))
    none = run(rbm, points, 0)
    assert none["draws"].shape == (5, 0, 2)
    np.testing.assert_array_equal(none["points"], points)
    short = run(rbm, points, 3, thin=4)
    assert short["draws"].shape == (5, 0, 2)
    np.testing.assert_array_equal(short["points"], run(rbm, points, 3)["points"])
    assert (points == 1).all()


def test_activations_of_any_size():
    """Units that are certain to be on or off, by activations far beyond where exp overflows."""
    rbm = {
        "components": np.diag([1e200, 1e200]), "intercept_hidden": np.array([1e300, -1e300]),
        "intercept_visible": np.zeros(2), "noise_variance": 1e250,
    }  # fmt: skip
    x = run(rbm, np.zeros((100, 2)), 3)["points"]
    np.testing.assert_allclose(x[:, 0], 1e200)
    assert (np.abs(x[:, 1]) < 1e126).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"components": np.ones(3)}, r"components must have shape \(n_hidden, n_features\).*got shape \(3,\)"),
        ({"components": np.ones((0, 3))}, r"components must have shape"),
        ({"components": np.array([[1, np.nan, 1]] * 2)}, r"components must be finite; entry \(0, 1\) is nan"),
        ({"components": np.full((2, 3), 1e308)}, "so large that sums overflow"),
        ({"components": np.full((2, 3), 1e200)}, "activations of hidden units overflow"),
        ({"noise_variance": 5e-324}, "activations of hidden units overflow"),
        ({"intercept_hidden": np.ones(3)}, r"intercept_hidden must have shape \(2,\); got \(3,\)"),
        ({"intercept_hidden": np.array([0, np.inf])}, "intercept_hidden must be finite; entry 1 is inf"),
        ({"intercept_visible": np.ones(2)}, r"intercept_visible must have shape \(3,\); got \(2,\)"),
        ({"intercept_visible": np.array([0, 0, -np.inf])}, "intercept_visible must be finite; entry 2 is -inf"),
        ({"noise_variance": 0.0}, "noise_variance must be positive and finite"),
        ({"noise_variance": np.nan}, "noise_variance must be positive and finite"),
        ({"points": np.ones((4, 2))}, r"points must have shape \(n_chains, 3\).*got shape \(4, 2\)"),
        ({"points": np.ones((0, 3))}, "with a chain at least"),
        ({"points": np.array([[0, 0, 0], [0, 0, np.nan]])}, r"points must be finite; entry \(1, 2\) is nan"),
        ({"n_iterations": -1}, "n_iterations must not be negative; got -1"),
        ({"thin": 0}, "thin must be at least 1; got 0"),
        ({"n_threads": 0}, "n_threads must be at least 1; got 0"),
    ],
)
def test_errors(change, message):
    call = {
        **machine(2, 3), "points": np.zeros((4, 3)), "seed": 0, "iteration": 0, "n_iterations": 1, "thin": 1,
        "n_threads": 1,
    }  # fmt: skip
    with pytest.raises(ValueError, match=message):
        _core.rbm_gibbs(**(call | change))
