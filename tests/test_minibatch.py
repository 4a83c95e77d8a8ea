"""Stochastic descent on minibatches: the steps themselves, for every family, and where they end."""

import sys
import threading
import time

import numpy as np
import pytest
from cases import FEW_EXAMPLES
from scipy.optimize import minimize
from scorematch import _core
from scorematch._minibatch import MinibatchSettings, minimise_in_minibatches
from scorematch._optimize import warn_unless_converged
from sklearn.exceptions import ConvergenceWarning

EUCLIDEAN = _core.Field.euclidean()


def settings(**changed):
    defaults = {
        "batch_size": 200,
        "learning_rate_init": 1e-2,
        "max_epochs": 100,
        "early_stopping": False,
        "validation_fraction": 0.1,
        "n_iter_no_change": 10,
        "tol": 1e-6,
        "verbose": 0,
    }
    return MinibatchSettings(**{**defaults, **changed})


# -- The steps ----------------------------------------------------------------------------------------------------


def philox(counter, key):
    """Philox 4x32-10, written from the paper."""
    c, k, mask = list(counter), list(key), 0xFFFFFFFF
    for _ in range(10):
        even, odd = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(odd >> 32) ^ c[1] ^ k[0], odd & mask, (even >> 32) ^ c[3] ^ k[1], even & mask]
        k = [(k[0] + 0x9E3779B9) & mask, (k[1] + 0xBB67AE85) & mask]
    return c


def shuffled(rows, seed, epoch):
    """The order of an epoch: Fisher and Yates, with 64 bits for each exchange."""
    rows, words = list(rows), []
    for block in range(len(rows) // 2 + 1):
        c = philox([block, 0, epoch, 0], [seed & 0xFFFFFFFF, seed >> 32])
        words += [c[0] | c[1] << 32, c[2] | c[3] << 32]
    for number, i in enumerate(range(len(rows) - 1, 0, -1)):
        j = words[number] * (i + 1) >> 64
        rows[i], rows[j] = rows[j], rows[i]
    return np.array(rows)


def plain_adam(gradient_at, theta, *, scale, unit, rows, batch_size, seed, rates, unit_rows=(0, 0), n_positive=0):
    """What `Minibatches` does, in NumPy; `gradient_at` gives a batch's objective and gradient."""
    first, second, step = 0.0, 0.0, 0
    objectives, block, behind = [], slice(0, unit_rows[0] * unit_rows[1]), len(theta) - n_positive
    phi = np.concatenate([theta[:behind] / scale[:behind], np.log(theta[behind:])])
    for epoch, (first_rate, last_rate) in enumerate(rates):
        rows = shuffled(rows, seed, epoch)
        batches = np.array_split(rows, -(-len(rows) // batch_size))
        total = 0.0
        for b, batch in enumerate(batches):
            factors = np.concatenate([scale[:behind], np.exp(phi[behind:])])  # dθ/dφ
            value, gradient = gradient_at(np.concatenate([phi[:behind] * scale[:behind], factors[behind:]]), batch)
            slope = gradient * factors / unit
            W, G = phi[block].reshape(unit_rows), slope[block].reshape(unit_rows)
            slope[block] = (G - W * np.sum(W * G, axis=1, keepdims=True)).ravel()
            step += 1
            first = 0.9 * first + 0.1 * slope
            second = 0.999 * second + 0.001 * slope**2
            rate = first_rate + (b + 0.5) / len(batches) * (last_rate - first_rate)
            phi = phi - rate * (first / (1 - 0.9**step)) / (np.sqrt(second / (1 - 0.999**step)) + 1e-8)
            W = phi[block].reshape(unit_rows)
            phi[block] = (W / np.linalg.norm(W, axis=1, keepdims=True)).ravel()
            total += len(batch) * value
        objectives.append(total / len(rows))
    return np.concatenate([phi[:behind] * scale[:behind], np.exp(phi[behind:])]), objectives, rows


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize(
    "example", [example for example in FEW_EXAMPLES if example.compiled], ids=lambda example: example.name
)
def test_steps_are_those_of_adam(example, dtype, level, weighted):
    """For any family and any field: batches in the generator's order, weights, rates and scales, over three epochs."""
    n, batch_size, seed, unit = 331, 60, 2**40 + 17, 2.5
    random = np.random.default_rng(0)
    model, X = example.model(), example.data(n).astype(dtype)
    weight = random.integers(0, 4, n) * random.uniform(0.5, 1.5, n) if weighted else None
    scale = random.uniform(0.5, 2.0, len(model.theta_))
    rates = [(0.01, 0.01), (0.01, 0.005), (0.005, 0.0)]
    rows = np.arange(n) if weight is None else np.flatnonzero(weight)

    def gradient_at(theta, batch):
        batch_weight = None if weight is None else weight[batch]
        value, gradient = _core.Loss(
            model._compiled(), X[batch], batch_weight, model._field(X[batch]), 1, model._origin()
        )(theta)
        factor = 1.0 if weight is None else weight[batch].mean() / weight[rows].mean()
        return value * factor, gradient * factor

    want, objectives, order = plain_adam(
        gradient_at, model.theta_, scale=scale, unit=unit, rows=rows, batch_size=batch_size, seed=seed, rates=rates
    )
    descent = _core.Minibatches(
        model._compiled(),
        X,
        weight,
        model._field(X),
        2,
        model.theta_,
        scale,
        unit,
        batch_size,
        seed,
        origin=model._origin(),
    )
    assert descent.theta.tobytes() == model.theta_.tobytes()
    found = [descent.epoch(*pair) for pair in rates]
    np.testing.assert_array_equal(descent.rows, order)
    assert descent.n_epochs == 3
    # A slope that is nothing but rounding is as good as any other to Adam, so that rounding is not all there is.
    tolerance = {np.float64: 1e-7, np.float32: 1e-3}[dtype]
    np.testing.assert_allclose(found, objectives, rtol=tolerance)
    assert np.abs((descent.theta - want) / scale).max() < tolerance
    assert np.abs((descent.theta - model.theta_) / scale).max() > 0.01


@pytest.mark.parametrize(("unit_rows", "n_positive"), [((5, 3), 0), ((0, 0), 5), ((5, 3), 5), ((2, 3), 1)])
def test_steps_under_constraints(level, unit_rows, n_positive):
    """Rows keep their unit length on their scale, and positive numbers go by their logarithms."""
    m, d, n = 5, 3, 200
    random = np.random.default_rng(7)
    X, family = random.laplace(size=(n, d)), _core.Family("ica", "logcosh+coefficients", d, m)
    scale = random.uniform(0.5, 2.0, m * d + m)
    W = random.normal(size=(m, d))
    W /= np.linalg.norm(W, axis=1, keepdims=True)
    start = np.concatenate([W.ravel() * scale[: m * d], random.uniform(0.5, 2.0, m)])
    rates = [(0.05, 0.05), (0.05, 0.01)]
    want, objectives, _ = plain_adam(
        lambda theta, batch: _core.Loss(family, X[batch], None, EUCLIDEAN, 1)(theta),
        start,
        scale=scale,
        unit=1.5,
        rows=np.arange(n),
        batch_size=30,
        seed=9,
        rates=rates,
        unit_rows=unit_rows,
        n_positive=n_positive,
    )
    descent = _core.Minibatches(
        family, X, None, EUCLIDEAN, 1, start, scale, 1.5, 30, 9, unit_rows=unit_rows, n_positive=n_positive
    )
    np.testing.assert_allclose([descent.epoch(*pair) for pair in rates], objectives, rtol=1e-9)
    np.testing.assert_allclose(descent.theta, want, rtol=1e-8)
    lengths = np.linalg.norm((descent.theta / scale)[: m * d].reshape(m, d), axis=1)
    np.testing.assert_allclose(lengths[: unit_rows[0]], 1, rtol=1e-14)
    assert (np.abs(lengths[unit_rows[0] :] - 1) > 1e-3).all()


class Problem:
    """Independent components of logistic sources, and everything that a descent needs."""

    def __init__(self, n=3000, d=4, seed=0, dtype=np.float64):
        random = np.random.default_rng(seed)
        self.mixing = np.linalg.qr(random.normal(size=(d, d)))[0]
        self.X = self.more_rows(n, random).astype(dtype)
        self.family = _core.Family("ica", "logistic", d, d)
        self.start = np.linalg.qr(random.normal(size=(d, d)))[0].ravel()
        self.scale, self.unit = np.ones(d * d), float(d)

    def more_rows(self, n, random):
        return random.logistic(scale=np.sqrt(3) / np.pi, size=(n, len(self.mixing))) @ self.mixing

    def minimise(self, sample_weight=None, X=None, n_threads=1, seed=1, fault=lambda _: "", **changed):
        return minimise_in_minibatches(
            self.family,
            self.X if X is None else X,
            sample_weight,
            EUCLIDEAN,
            self.start,
            scale=self.scale,
            unit=self.unit,
            settings=settings(**changed),
            seed=seed,
            n_threads=n_threads,
            fault=fault,
        )

    def descent(self, X=None, sample_weight=None, n_threads=1, batch_size=200, rows=None, seed=5):
        X = self.X if X is None else X
        return _core.Minibatches(
            self.family,
            X,
            sample_weight,
            EUCLIDEAN,
            n_threads,
            self.start,
            self.scale,
            self.unit,
            batch_size,
            seed,
            rows,
        )

    def loss(self, sample_weight=None):
        return _core.Loss(self.family, self.X, sample_weight, EUCLIDEAN, 1)

    def best(self, start, sample_weight=None):
        """The minimum that L-BFGS finds from somewhere."""
        options = {"maxiter": 2000, "gtol": 1e-8, "ftol": 1e-15}
        return minimize(self.loss(sample_weight), start, jac=True, method="L-BFGS-B", options=options)


def bits(descent, n_epochs=3):
    objectives = [descent.epoch(0.01, 0.01) for _ in range(n_epochs)]
    return np.array(objectives).tobytes() + descent.theta.tobytes()


def test_same_bits_on_any_number_of_threads(dtype, level):
    """With batches that are enough work for threads to start."""
    problem = Problem(4000, 16, dtype=dtype)
    first, *others = (bits(problem.descent(n_threads=n_threads, batch_size=2000)) for n_threads in (1, 2, 3))
    assert all(other == first for other in others)


def test_layout_of_the_data_does_not_matter(dtype, level):
    problem = Problem(500, 19, dtype=dtype)
    X = problem.X
    strided = np.repeat(np.repeat(X, 2, axis=0), 3, axis=1)[::2, ::3]
    reversed_twice = np.ascontiguousarray(X[::-1, ::-1])[::-1, ::-1]
    want = bits(problem.descent())
    for view in (np.asfortranarray(X), strided, reversed_twice):
        assert bits(problem.descent(view)) == want


def test_levels_agree_to_rounding(dtype, level):
    problem = Problem(1000, dtype=dtype)

    def theta():
        descent = problem.descent()
        for _ in range(3):
            descent.epoch(0.01, 0.01)
        return descent.theta

    there = theta()
    _core.use_level(_core.supported_levels()[0])
    np.testing.assert_allclose(there, theta(), atol={np.float64: 1e-10, np.float32: 1e-4}[dtype])


def test_rows_of_weight_zero_take_no_place():
    """As if they were not there, to the last bit, whatever stands in them."""
    problem = Problem(1000)
    weight = np.random.default_rng(3).integers(0, 3, 1000).astype(float)
    kept = weight > 0
    X = problem.X.copy()
    X[~kept] = 1e300
    want = bits(problem.descent(problem.X[kept], weight[kept]))
    assert bits(problem.descent(X, weight)) == want
    # Those that are left out by name, and both.
    rows = np.flatnonzero(kept)
    assert bits(problem.descent(X, rows=rows)) == bits(problem.descent(X[kept]))
    assert bits(problem.descent(X, weight, rows=np.arange(1000))) == want


def test_batches_are_unbiased_under_weights():
    """The mean of the batches' objectives is the objective, as long as θ hardly moves."""
    problem = Problem(1003)
    weight = np.random.default_rng(3).exponential(size=1003)
    for batch_size in (1, 7, 200, 1002, 1003, 5000):
        value = problem.descent(sample_weight=weight, batch_size=batch_size).epoch(1e-13, 1e-13)
        assert value == pytest.approx(problem.loss(weight)(problem.start)[0], rel=1e-9)


def test_order_is_new_each_epoch_and_depends_on_the_seed():
    problem = Problem(300)
    descent = problem.descent()
    orders = []
    for _ in range(3):
        descent.epoch(0.0, 0.0)
        orders.append(tuple(descent.rows))
    assert len(set(orders)) == 3
    assert all(sorted(order) == list(range(300)) for order in orders)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"theta": np.ones(3)}, r"theta must have shape \(16,\)"),
        ({"scale": np.ones(3)}, r"scale must have shape \(16,\)"),
        ({"unit": 0.0}, "unit must be positive"),
        ({"batch_size": 0}, "batch_size must be at least 1; got 0"),
        ({"rows": [0, 300]}, "rows must be positions from 0 to 299; got 300"),
        ({"rows": [[0, 1]]}, "rows must have one dimension"),
        ({"rows": []}, "no row has a positive weight"),
        ({"sample_weight": np.ones(3)}, r"sample_weight must have shape \(300,\)"),
        ({"n_threads": 0}, "n_threads must be at least 1"),
        ({"unit_rows": (5, 4)}, r"unit_rows must be the shape of a block of theta, which has 16 entries; got \(5, 4\)"),
        (
            {"unit_rows": (3, 4), "n_positive": 5},
            "n_positive must be a number of entries of theta behind unit_rows; got 5",
        ),
        ({"n_positive": 16}, "the last 16 entries of theta must be positive; entry"),
    ],
)
def test_wrong_arguments(changed, message):
    problem = Problem(300)
    arguments = {
        "family": problem.family,
        "X": problem.X,
        "sample_weight": None,
        "field": EUCLIDEAN,
        "n_threads": 1,
        "theta": problem.start,
        "scale": problem.scale,
        "unit": 1.0,
        "batch_size": 10,
        "seed": 0,
    }
    _core.Minibatches(**arguments)
    with pytest.raises(ValueError, match=message):
        _core.Minibatches(**{**arguments, **changed})


def test_one_thread_of_python_at_a_time():
    problem = Problem(200_000, 8)
    descent = problem.descent(batch_size=20)
    running = threading.Thread(target=lambda: descent.epoch(0.01, 0.01))
    running.start()
    refused = 0
    while running.is_alive():
        try:
            _ = descent.theta
        except RuntimeError as error:
            assert "another thread is running an epoch" in str(error)  # noqa: PT017
            refused += 1
        time.sleep(0.001)
    running.join()
    assert refused > 0
    assert np.isfinite(descent.theta).all()


# -- Where they end -----------------------------------------------------------------------------------------------


def statistical_error(problem, theta, sample_weight=None):
    """Standard errors of θ (the sandwich, by differences), and how much the objective varies because of them."""
    n, h, steps = len(problem.X), 1e-4, np.eye(len(theta))
    weight = np.ones(n) if sample_weight is None else sample_weight / sample_weight.mean()
    loss = problem.loss(sample_weight)
    hessian = np.array([(loss(theta + h * e)[1] - loss(theta - h * e)[1]) / (2 * h) for e in steps])

    def rho(theta):
        return sum(
            _core.evaluate(problem.family, theta, problem.X, EUCLIDEAN, ["norm_term", "hessian_term"], 1).values()
        )

    slopes = np.array([weight * (rho(theta + h * e) - rho(theta - h * e)) / (2 * h) for e in steps])
    inverse = np.linalg.inv((hessian + hessian.T) / 2)
    covariance = inverse @ (slopes @ slopes.T / n) @ inverse / n
    return np.sqrt(np.diagonal(covariance)), np.trace(hessian @ covariance) / 2


@pytest.mark.parametrize(("n", "d", "batch_size"), [(1000, 4, 64), (5000, 4, 1024), (20_000, 8, 256)])
def test_ends_at_the_minimum_within_statistical_error(n, d, batch_size):
    problem = Problem(n, d)
    minimum = problem.minimise(batch_size=batch_size)
    # From there, since the same components may come in another order.
    best = problem.best(minimum.theta)
    errors, excess = statistical_error(problem, best.x)
    assert best.fun == pytest.approx(problem.best(problem.start).fun, abs=1e-6)
    assert minimum.converged
    assert minimum.fault == minimum.reason == ""
    assert minimum.objective == problem.loss()(minimum.theta)[0]
    assert np.abs((minimum.theta - best.x) / errors).max() < 1
    assert 0 <= minimum.objective - best.fun < 0.3 * excess
    # A constant rate does not get there.
    descent = problem.descent(batch_size=batch_size)
    for _ in range(40):
        descent.epoch(0.03, 0.03)
    assert problem.loss()(descent.theta)[0] - best.fun > 3 * (minimum.objective - best.fun)


def test_weights_count_rows():
    """A row of weight 2 is two rows, up to the noise of the descent."""
    problem = Problem(2000)
    weight = np.random.default_rng(2).integers(0, 4, 2000).astype(float)
    minimum = problem.minimise(sample_weight=weight)
    best = problem.best(minimum.theta, weight)
    errors, _ = statistical_error(problem, best.x, weight)
    assert np.abs((minimum.theta - best.x) / errors).max() < 1
    problem.start = minimum.theta
    repeated = problem.minimise(X=np.repeat(problem.X, weight.astype(int), axis=0))
    assert np.abs((minimum.theta - repeated.theta) / errors).max() < 1


def test_same_seed_same_bits():
    problem = Problem(4000, 8, dtype=np.float32)
    for early_stopping in (False, True):
        kept = {"early_stopping": early_stopping, "batch_size": 1500, "max_epochs": 30}
        first, *others = (problem.minimise(n_threads=n_threads, **kept) for n_threads in (1, 1, 2, 3))
        for other in others:
            assert other.theta.tobytes() == first.theta.tobytes()
            assert other.history == first.history
        assert problem.minimise(seed=2, **kept).theta.tobytes() != first.theta.tobytes()


def test_history_and_number_of_epochs():
    problem = Problem(2000)
    minimum = problem.minimise()
    assert minimum.counted == "epoch"
    assert len(minimum.history) == minimum.n_iter < 100
    assert minimum.history[0] > minimum.history[-1]
    assert minimum.history[-1] == pytest.approx(minimum.objective, rel=1e-3)


def test_units_do_not_matter():
    """One learning rate for data in any units, by `scale` and `unit`."""
    problem = Problem(2000)
    plain = problem.minimise()
    factor = 2.0**-20
    problem.X = problem.X * factor
    problem.start, problem.scale, problem.unit = (
        problem.start / factor,
        problem.scale / factor,
        problem.unit / factor**2,
    )
    scaled = problem.minimise()
    np.testing.assert_allclose(scaled.theta * factor, plain.theta, rtol=1e-9)
    assert scaled.n_iter == plain.n_iter


def test_limit_of_epochs():
    problem = Problem(2000)
    minimum = problem.minimise(max_epochs=12, n_iter_no_change=5, learning_rate_init=1e-3)
    assert not minimum.converged
    assert minimum.n_iter == 12
    with pytest.warns(ConvergenceWarning, match=r"ICA did not converge in 12 epochs: the objective was still falling"):
        warn_unless_converged("ICA", minimum, "a larger max_epochs")
    one = problem.minimise(max_epochs=1)
    assert one.n_iter == 1
    with pytest.warns(ConvergenceWarning, match="max_epochs=1 is too few to tell whether the objective has settled"):
        warn_unless_converged("ICA", one, "a larger max_epochs")
    # What there was time for was used: it ends lower than where it began.
    assert minimum.objective < problem.loss()(problem.start)[0]


def test_objective_that_is_not_finite():
    """The last θ that made sense is kept."""
    problem = Problem(2000)
    minimum = problem.minimise(learning_rate_init=1e200)
    assert not minimum.converged
    assert minimum.reason == "the objective is not finite in epoch 1"
    assert minimum.theta.tobytes() == problem.start.tobytes()
    assert np.isfinite(minimum.objective)


def test_fault():
    """A descent that is found at fault is given up, and its start returned."""
    problem = Problem(2000)
    seen = []

    def fault(theta):
        seen.append(theta)
        return "component 1 collapses" if len(seen) == 3 else ""

    minimum = problem.minimise(fault=fault)
    assert (minimum.fault, minimum.n_iter, minimum.converged) == ("component 1 collapses", 3, False)
    assert minimum.theta.tobytes() == problem.start.tobytes()


# -- Early stopping -----------------------------------------------------------------------------------------------


def test_early_stopping_keeps_the_best():
    """With few rows and many parameters the score of other rows rises again, and the best θ is not the last."""
    problem = Problem(150, 12)
    options = {"batch_size": 20, "validation_fraction": 0.3, "learning_rate_init": 0.03}
    stopped = problem.minimise(early_stopping=True, **options)
    longer = problem.minimise(**options)
    others = problem.more_rows(20_000, np.random.default_rng(99))
    score = _core.Loss(problem.family, others, None, EUCLIDEAN, 1)
    assert stopped.n_iter < longer.n_iter
    assert score(stopped.theta)[0] < score(longer.theta)[0]


def test_held_out_rows_are_not_fitted():
    """They may be anything, as long as the descent never takes them."""
    problem = Problem(1000)
    held_out = np.random.RandomState(1).permutation(1000)[:100]
    X = problem.X.copy()
    X[held_out] *= 1e3
    thetas = []
    minimum = problem.minimise(X=X, early_stopping=True, fault=lambda theta: thetas.append(theta) or "")
    assert len(thetas) == minimum.n_iter
    descent = problem.descent(rows=np.setdiff1d(np.arange(1000), held_out), seed=1)
    descent.epoch(0.01, 0.01)
    assert descent.theta.tobytes() == thetas[0].tobytes()


@pytest.mark.parametrize("weight", [None, np.array([1.0, 0.0, 1.0])])
def test_too_few_rows_to_hold_any_out(weight):
    problem = Problem(3, 2)
    with pytest.raises(
        ValueError, match=r"early_stopping with validation_fraction=0\.9 holds out .* leaves none to fit"
    ):
        problem.minimise(sample_weight=weight, early_stopping=True, validation_fraction=0.9)


# -- Options and progress -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"batch_size": 0}, "batch_size must be an integer of at least 1; got 0"),
        ({"batch_size": 2.5}, "batch_size must be an integer"),
        ({"learning_rate_init": 0}, "learning_rate_init must be positive; got 0"),
        ({"learning_rate_init": np.inf}, "learning_rate_init must be a finite number"),
        ({"max_epochs": 0}, "max_epochs must be an integer of at least 1"),
        ({"early_stopping": 1}, "early_stopping must be True or False"),
        ({"validation_fraction": 1.0}, r"validation_fraction must be a number between 0 and 1; got 1\.0"),
        ({"validation_fraction": 0}, "validation_fraction must be a number between 0 and 1"),
        ({"validation_fraction": "half"}, "validation_fraction must be a number between 0 and 1; got 'half'"),
        ({"n_iter_no_change": 0}, "n_iter_no_change must be an integer of at least 1"),
        ({"tol": -1.0}, "tol must be a finite number of at least 0"),
        ({"verbose": -1}, "verbose must be 0 or a positive integer"),
    ],
)
def test_wrong_settings(changed, message):
    with pytest.raises(ValueError, match=message):
        settings(**changed)


def test_progress_in_lines(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm", None)  # as if it were not installed
    minimum = Problem(500).minimise(verbose=1, max_epochs=7)
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == minimum.n_iter == 7
    assert printed[0].startswith("start 1: epoch 1, objective ")
    assert float(printed[6].split()[-1]) == pytest.approx(minimum.history[6], rel=1e-8)


@pytest.mark.parametrize(("early_stopping", "what"), [(False, "objective"), (True, "held-out score")])
def test_progress_bar(capsys, early_stopping, what):
    pytest.importorskip("tqdm")
    Problem(500).minimise(verbose=1, max_epochs=7, early_stopping=early_stopping)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert f", {what} -" in printed.err
    assert "7/7" in printed.err


def test_silence(capsys):
    Problem(500).minimise(max_epochs=3)
    assert capsys.readouterr() == ("", "")


# -- Speed --------------------------------------------------------------------------------------------------------


def test_an_epoch_costs_little_more_than_all_rows_at_once():
    """Processor time on one thread; loose, since machines are busy."""
    problem = Problem(20_000, 48)
    descent, loss = problem.descent(batch_size=1000), problem.loss()
    ratios = []
    for _ in range(7):
        times = [time.thread_time()]
        for call in (lambda: loss(problem.start), lambda: descent.epoch(1e-3, 1e-3)):
            call()
            times.append(time.thread_time())
        ratios.append((times[2] - times[1]) / (times[1] - times[0]))
    assert np.median(ratios) < 3
