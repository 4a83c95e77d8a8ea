"""The bootstrap: its draws, both ways to estimate from them, and what goes wrong on the way."""

import _thread
import itertools
import threading
import warnings
from collections.abc import Iterator

import numpy as np
import pytest
import scorematch
from cases import CASES, examples_of
from scipy.optimize import linear_sum_assignment
from scorematch import NonNegative, _bootstrap, _quadratic, _resamples
from scorematch._bootstrap import bootstrap_intervals, bootstrap_thetas
from scorematch._resamples import draws
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

FIRST_EXAMPLES = [examples_of(case)[0] for case in CASES]
CLOSED_FORMS = [example for example in FIRST_EXAMPLES if example.has_quadratic_form]
# Those whose fit ends where the gradient of the objective vanishes: without whitening and constraints.
STATIONARY = [
    example
    for example in FIRST_EXAMPLES
    if example.case.family in ("GaussianMixture", "StudentT", "GaussianBernoulliRBM")
    and not example.name.endswith(("-many", "-many-given", "-twice"))
]


def fitted(example, X):
    model = example.unfitted(n_jobs=1)
    if "max_iter" in model.get_params():  # the cases make do with fewer
        model.set_params(max_iter=3000)
    return quiet(model.fit, X)


def quiet(function, *arguments, **keywords):
    """What a function gives, without its warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function(*arguments, **keywords)


def counts_of(seed: int, n: int) -> Iterator[np.ndarray]:
    """The draws that a seed gives where each row is drawn by itself."""
    random = _bootstrap._generator(seed)
    random.integers(2**31 - 1)  # the seed of the fits
    return draws(random, n)


def gaussian_influences(X: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """What each row adds to the mean and to the entries of the covariance, to first order: (n, d + d·d)."""
    share = weight / weight.sum()
    deviations = X - share @ X
    products = np.einsum("ni,nj->nij", deviations, deviations).reshape(len(X), -1)
    return share[:, None] * np.column_stack([deviations, products - share @ products])


# -- What is drawn -----------------------------------------------------------------------------------------------


def test_draws_are_multinomial():
    n, n_resamples = 40, 4000
    counts = np.stack(list(itertools.islice(draws(np.random.default_rng(0), n), n_resamples)))
    assert (counts.sum(axis=1) == n).all()
    # Each count has mean 1 and variance 1 − 1/n, two of them covariance −1/n.
    covariance = np.cov(counts.T)
    assert np.abs(counts.mean(axis=0) - 1).max() < 5 / np.sqrt(n_resamples)
    assert abs(np.diagonal(covariance).mean() - (1 - 1 / n)) < 0.02
    assert abs(covariance[~np.eye(n, dtype=bool)].mean() + 1 / n) < 0.002
    # More of them than a short number can count are drawn too.
    large = next(draws(np.random.default_rng(0), 70_000))
    assert len(large) == large.sum() == 70_000


# -- The same as fits under the counts ---------------------------------------------------------------------------


@pytest.mark.parametrize("example", CLOSED_FORMS, ids=lambda example: example.name)
@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
def test_closed_form_is_fit_under_counts(example, weighted):
    X = example.data(60, seed=3)
    weight = np.random.default_rng(1).uniform(0.5, 2, len(X)) if weighted else None
    model = fitted(example, X)
    thetas = quiet(bootstrap_thetas, model, X, weight, n_resamples=3, random_state=5, n_jobs=1)
    for theta, counts in zip(thetas, counts_of(5, len(X)), strict=False):
        one = clone(model)
        if "weight" in one.get_params():
            one.weight = model.weight_
        quiet(one.fit, X, sample_weight=counts if weight is None else counts * weight)
        assert np.allclose(theta, one.theta_, rtol=1e-8, atol=1e-8 * np.abs(theta).max())


@pytest.mark.parametrize("example", STATIONARY, ids=lambda example: example.name)
def test_iterative_is_minimum_under_counts(example):
    X = example.data(1500, seed=4)
    model = fitted(example, X)
    thetas = bootstrap_thetas(model, X, n_resamples=2, random_state=5, n_jobs=1)
    for theta, counts in zip(thetas, counts_of(5, len(X)), strict=False):
        objectives = [model.loss_and_grad(at, X, counts) for at in (theta, model.theta_)]
        slope, slope_before = (np.linalg.norm(gradient) for _, gradient in objectives)
        assert slope < 1e-4 * slope_before
        assert objectives[0][0] < objectives[1][0]


@pytest.mark.parametrize(
    "model",
    [
        scorematch.ICA(nonlinearity="logistic", random_state=0),
        scorematch.ICA(fit_coefficients=True, orthogonal=True, random_state=0),
        scorematch.ProductOfStudentT(random_state=0),
        scorematch.ProductOfStudentT(unit_length=True, random_state=0),
    ],
    ids=["ica", "ica-orthogonal", "product", "product-unit-length"],
)
def test_components_stay_what_they_are(model):
    """A fit from scratch finds the same components in another order; the bootstrap finds them in that of the model."""
    random = np.random.default_rng(0)
    X = random.standard_t(5, size=(3000, 3)) @ random.normal(size=(3, 3)) + [1.0, 0.0, -2.0]
    quiet(model.fit, X)
    size = model.components_.size
    thetas = bootstrap_thetas(model, X, n_resamples=3, random_state=5, n_jobs=1)
    for theta, counts in zip(thetas, counts_of(5, len(X)), strict=False):
        components = theta[:size].reshape(3, 3)
        agreement = components @ np.linalg.inv(model.components_)
        assert np.abs(agreement - np.eye(3)).max() < 0.5
        scratch = clone(model).set_params(random_state=7)
        quiet(scratch.fit, X, sample_weight=counts)
        product = components @ np.linalg.inv(scratch.components_)
        order = linear_sum_assignment(-np.abs(product))[1]
        assert np.allclose(np.abs(product[:, order]), np.eye(3), atol=2e-3)
        assert np.allclose(theta[size:], scratch.theta_[size:][order[: len(theta) - size]], rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("covariance_type", ["full", "diag"])
def test_some_resamples_are_singular(covariance_type):
    """Of so few rows, many resamples do not span the space: theirs is the precision on the span, as in a fit."""
    X = np.round(np.random.default_rng(0).normal(size=(7, 3)))
    model = quiet(scorematch.Gaussian(covariance_type).fit, X)
    thetas = bootstrap_thetas(model, X, n_resamples=60, random_state=2)
    n_singular = 0
    for theta, counts in zip(thetas, counts_of(2, len(X)), strict=False):
        covariance = np.cov(X.T, aweights=counts, bias=True)
        if covariance_type == "diag":
            covariance = np.diag(np.diagonal(covariance))
        expected = np.linalg.pinv(covariance, rcond=1e-9, hermitian=True)
        n_singular += np.linalg.matrix_rank(covariance, tol=1e-9, hermitian=True) < 3
        precision, linear = model._unpack(theta)
        size = np.abs(expected).max()
        assert np.allclose(precision, expected, rtol=1e-9, atol=1e-9 * size)
        assert np.allclose(linear, expected @ np.average(X, axis=0, weights=counts), rtol=1e-9, atol=1e-9 * size)
    assert 0 < n_singular < 60


@pytest.mark.parametrize(
    "model",
    [
        scorematch.Gaussian(robust=0.2),
        scorematch.StudentT(4.0, robust=0.1),
        scorematch.ICA(nonlinearity="logistic", robust=0.1, random_state=0),
    ],
    ids=["gaussian", "student-t", "ica"],
)
def test_robust_fits(model):
    """Each resample has Windham's weights of its own."""
    X = np.random.default_rng(0).logistic(size=(600, 2))
    X[:20] += 30
    model.set_params(n_jobs=1).fit(X)
    thetas = bootstrap_thetas(model, X, n_resamples=2, random_state=4)
    for theta, counts in zip(thetas, counts_of(4, len(X)), strict=False):
        one = clone(model).fit(X, sample_weight=counts)
        if isinstance(model, scorematch.ICA):
            product = np.abs(theta.reshape(2, 2) @ np.linalg.inv(one.components_))
            assert np.allclose(np.sort(product, axis=1), [[0, 1], [0, 1]], atol=2e-3)
        else:
            assert np.allclose(theta, one.theta_, rtol=1e-4, atol=1e-4)


def test_scale_is_part_of_the_fit():
    """The rows of each resample are put on a scale of their own, which sums over the rows do not tell."""
    X = np.random.default_rng(0).gamma(3.0, 1.0, size=(200, 3))
    model = scorematch.TruncatedGaussian(scale="sd", alpha=0.01, n_jobs=1).fit(X)
    thetas = bootstrap_thetas(model, X, n_resamples=3, random_state=1, n_jobs=1)
    for theta, counts in zip(thetas, counts_of(1, len(X)), strict=False):
        assert np.allclose(theta, clone(model).fit(X, sample_weight=counts).theta_, rtol=1e-8)


def test_caps_stay_what_they_are():
    X = np.random.default_rng(0).gamma(3.0, 1.0, size=(80, 2))
    model = scorematch.Gaussian("diag", domain=NonNegative(), n_jobs=1).fit(X)
    other = clone(model).set_params(weight=model.weight_).fit(X)
    of_default, of_given = (bootstrap_thetas(one, X, n_resamples=5, random_state=0) for one in (model, other))
    assert np.array_equal(of_default, of_given)


# -- What it estimates -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
def test_gaussian_agrees_with_delta_method(level, weighted):
    """In blocks: what the influences of the rows say of the covariance of mean and covariance."""
    random = np.random.default_rng(0)
    n, d, n_resamples = 20_000, 3, 3000
    X = random.standard_t(9, size=(n, d)) @ random.normal(size=(d, d)) + 5
    X = X[np.argsort(X[:, 0])]  # blocks of neighbours would tell too much
    weight = random.exponential(size=n) if weighted else np.ones(n)
    model = scorematch.Gaussian(n_jobs=1).fit(X, sample_weight=weight)
    thetas = bootstrap_thetas(model, X, weight, n_resamples=n_resamples, random_state=1, n_jobs=1)
    upper, precisions = np.triu_indices(d), np.zeros((n_resamples, d, d))
    precisions[:, upper[0], upper[1]] = precisions[:, upper[1], upper[0]] = thetas[:, : len(upper[0])]
    covariances = np.linalg.inv(precisions)
    means = (covariances @ thetas[:, len(upper[0]) :, None])[:, :, 0]
    found = np.cov(np.column_stack([means, covariances.reshape(n_resamples, -1)]).T)
    influences = gaussian_influences(X, weight)
    expected = influences.T @ influences
    size = np.sqrt(np.outer(np.diagonal(expected), np.diagonal(expected)))
    # Standard errors of 1/√n_resamples from resamples and as much from as many blocks.
    assert np.abs((found - expected) / size).max() < 5 * np.sqrt(2 * 2 / n_resamples)


def cluster_data(random: np.random.Generator) -> np.ndarray:
    return random.normal(size=(600, 1)) * 0.8 + random.choice([-1.0, 1.0], size=(600, 1))


AGREEING = {
    "von-mises-fisher": (
        scorematch.VonMisesFisher(),
        lambda random: (rows := random.normal(1.0, 1.0, size=(2000, 3))) / np.linalg.norm(rows, axis=1, keepdims=True),
        "concentration",
    ),
    "truncated-gaussian": (
        scorematch.Gaussian(domain=NonNegative()),
        lambda random: np.abs(random.normal(1.0, 1.0, size=(3000, 2))),
        "mean",
    ),
    "gamma": (
        scorematch.GammaInteraction(diagonal_multiplier=1.0),
        lambda random: random.gamma(6.0, 0.4, size=(3000, 2)),
        "linear",
    ),
    "polynomial": (
        scorematch.PolynomialExponentialFamily(4),
        lambda random: random.uniform(-1.2, 1.2, size=(2000, 1)) + random.uniform(-0.8, 0.8, size=(2000, 1)),
        None,
    ),
    "student-t": (
        scorematch.StudentT(5.0),
        lambda random: random.standard_t(5, size=(600, 1)),
        "scale",
    ),
    "mixture": (scorematch.GaussianMixture(2, covariance_type="tied", random_state=0), cluster_data, "means"),
}


@pytest.mark.parametrize("name", AGREEING)
def test_agrees_with_sandwich(name):
    """By the public door, for parameters and what is derived of them."""
    model, draw, of = AGREEING[name]
    X = draw(np.random.default_rng(2))
    model.set_params(n_jobs=1).fit(X)
    n_resamples = 1000 if hasattr(model, "quadratic_form") else 150
    for which in dict.fromkeys([None, of]):
        found = model.covariance("bootstrap", of=which, X=X, n_resamples=n_resamples, random_state=3)
        expected = model.covariance(of=which)
        size = np.sqrt(np.outer(np.diagonal(expected), np.diagonal(expected)))
        # Both are approximations, and at this n they differ by some percent.
        assert np.abs((found - expected) / size).max() < 5 * np.sqrt(2 / n_resamples) + 0.07


def test_blocks_and_rows_agree(monkeypatch):
    """The covariance is the same whether rows are drawn or blocks of them."""
    X = np.random.default_rng(0).normal(size=(2000, 2)) ** 3
    model = scorematch.Gaussian("diag", n_jobs=1).fit(X)
    by_rows = np.cov(bootstrap_thetas(model, X, n_resamples=2000, random_state=0).T)
    monkeypatch.setattr(_resamples, "FEW_ROWS_PER_BLOCK", 0)
    monkeypatch.setattr(_resamples, "MOST_BLOCKS", 1024)
    by_blocks = np.cov(bootstrap_thetas(model, X, n_resamples=2000, random_state=0).T)
    size = np.sqrt(np.outer(np.diagonal(by_rows), np.diagonal(by_rows)))
    # Heavy tails leave more of the noise than √(2/n_blocks).
    assert 0 < np.abs((by_blocks - by_rows) / size).max() < 0.35


def test_forms_are_solved_some_at_a_time(monkeypatch):
    X = np.random.default_rng(0).uniform(-2, 2, size=(300, 2))
    model = scorematch.PolynomialExponentialFamily(4, n_jobs=1).fit(X)
    thetas = bootstrap_thetas(model, X, n_resamples=10, random_state=0)
    monkeypatch.setattr(_quadratic, "MOST_DENSE_NUMBERS", 700)
    assert np.allclose(bootstrap_thetas(model, X, n_resamples=10, random_state=0), thetas, rtol=1e-12)
    # As where they are so large that each takes the family's own way.
    monkeypatch.setattr(_quadratic, "MOST_DENSE_PARAMS", 3)
    assert np.allclose(bootstrap_thetas(model, X, n_resamples=10, random_state=0), thetas, rtol=1e-6)


def test_too_many_sums_take_passes(monkeypatch):
    """Where the sums of all blocks do not fit in memory, each resample takes a pass, and is the same."""
    X = np.random.default_rng(0).normal(size=(300, 3))
    model = scorematch.Gaussian(n_jobs=1).fit(X)
    thetas = bootstrap_thetas(model, X, n_resamples=10, random_state=0)
    monkeypatch.setattr(_resamples, "MOST_NUMBERS", 100)
    assert np.allclose(bootstrap_thetas(model, X, n_resamples=10, random_state=0), thetas, rtol=1e-9)


def concentrated_data(seed: int) -> np.ndarray:
    true = scorematch.VonMisesFisher.from_params(mean_direction=[1.0, 0.0, 0.0], concentration=3.0)
    return true.sample(300, random_state=seed)


@pytest.mark.parametrize(
    ("model", "draw", "value", "truth"),
    [
        (
            scorematch.Gaussian(n_jobs=1),
            lambda seed: np.random.default_rng(seed).normal(0.5, 1.0, size=(300, 1)),
            lambda thetas: thetas[:, 1] / thetas[:, 0],
            0.5,
        ),
        (scorematch.VonMisesFisher(n_jobs=1), concentrated_data, lambda thetas: np.linalg.norm(thetas, axis=1), 3.0),
    ],
    ids=["mean", "concentration"],
)
def test_coverage(model, draw, value, truth):
    """Percentile intervals hold the truth as often as they say, over many samples."""
    n_sets, misses = 300, 0
    for seed in range(n_sets):
        X = draw(seed)
        thetas = bootstrap_thetas(model.fit(X), X, n_resamples=200, random_state=seed, n_jobs=1)
        lower, upper = bootstrap_intervals(value(thetas)[:, None], 0.9)[0]
        misses += not lower <= truth <= upper
    # Three and a half standard errors, and what n and the number of resamples leave to be desired.
    assert abs(misses / n_sets - 0.1) < 3.5 * np.sqrt(0.1 * 0.9 / n_sets) + 0.02


# -- Seeds, threads, weights -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "model",
    [
        scorematch.Gaussian(),
        scorematch.Gaussian(domain=NonNegative()),
        scorematch.StudentT(df=4.0),
        scorematch.ICA(batch_size=100, max_epochs=40, random_state=np.random.RandomState(0)),
    ],
    ids=["gaussian", "truncated", "student-t", "minibatches"],
)
def test_threads_and_seeds(model):
    X = np.abs(np.random.default_rng(0).laplace(size=(1000, 2))) + 0.1
    quiet(model.fit, X)

    def resampled(seed, n_jobs, weight=None, rows=X):
        return quiet(bootstrap_thetas, model, rows, weight, n_resamples=6, random_state=seed, n_jobs=n_jobs)

    once = resampled(0, 1)
    assert np.isfinite(once).any(axis=1).sum() >= 2
    assert np.array_equal(once, resampled(0, 3), equal_nan=True)
    assert np.array_equal(once, resampled(np.random.RandomState(0), 1), equal_nan=True)
    assert not np.allclose(once, resampled(1, 1), equal_nan=True)
    # Their scale does not matter, and a row of weight 0 is as good as none.
    assert np.allclose(once, resampled(0, 1, np.full(len(X), 3.0)), rtol=1e-6, atol=1e-6, equal_nan=True)
    if not hasattr(model, "batch_size"):  # else it has a place in the order of the rows
        more, weight = np.concatenate([X, X[:7] + 1]), np.repeat([1.0, 0.0], [len(X), 7])
        assert np.allclose(once, resampled(0, 1, weight, more), rtol=1e-6, atol=1e-6)


def test_model_is_not_changed():
    X = np.random.default_rng(0).standard_t(4, size=(400, 2))
    for model in (scorematch.StudentT(n_jobs=2), scorematch.Gaussian(n_jobs=2)):
        model.fit(X)
        before = dict(vars(model))
        bootstrap_thetas(model, X, n_resamples=3, random_state=0)
        assert vars(model).keys() == before.keys()
        assert all(vars(model)[name] is before[name] for name in before)


def test_model_from_parameters():
    """It has no weight yet: caps are those of the data at hand."""
    X = np.abs(np.random.default_rng(0).normal(size=(200, 2)))
    options = {"domain": NonNegative(), "n_jobs": 1}
    given = scorematch.Gaussian.from_params(mean=[0.0, 0.0], covariance=np.eye(2), **options)
    thetas = bootstrap_thetas(given, X, n_resamples=4, random_state=0)
    assert np.array_equal(
        thetas, bootstrap_thetas(scorematch.Gaussian(**options).fit(X), X, n_resamples=4, random_state=0)
    )


# -- What goes wrong ---------------------------------------------------------------------------------------------


def test_resamples_without_an_estimate():
    """All rows but one are the same direction, of infinite concentration where that one is not drawn."""
    X = np.array([[1.0, 0.0]] * 10 + [[0.0, 1.0]])
    model = scorematch.VonMisesFisher().fit(X)
    with pytest.warns(UserWarning, match=r"of 50 bootstrap resamples gave no estimate of VonMisesFisher.*infinite"):
        thetas = bootstrap_thetas(model, X, n_resamples=50, random_state=0)
    missing = np.isnan(thetas).all(axis=1)
    assert (np.isnan(thetas).any(axis=1) == missing).all()
    expected = [counts[-1] == 0 for counts in itertools.islice(counts_of(0, len(X)), 50)]
    assert 0 < missing.sum() < 50
    assert missing.tolist() == expected


def test_singular_forms_among_others():
    """A quadratic form that is singular in some resamples, which are told apart from the others."""
    X = np.abs(np.random.default_rng(0).normal(size=(6, 2))) + 0.5
    model = scorematch.Gaussian(domain=NonNegative()).fit(X)
    with pytest.warns(UserWarning, match=r"of 60 bootstrap resamples.*the truncated Gaussian cannot be estimated"):
        thetas = bootstrap_thetas(model, X, n_resamples=60, random_state=0)
    n_distinct = np.array([np.count_nonzero(counts) for counts in itertools.islice(counts_of(0, len(X)), 60)])
    missing = np.isnan(thetas).all(axis=1)
    # Each coordinate has three coefficients of its own.
    assert missing[n_distinct < 3].all()
    assert not missing[n_distinct > 3].any()
    assert 0 < missing.sum() < 60


def test_fits_that_do_not_converge():
    X = np.random.default_rng(0).standard_t(4, size=(500, 3))
    model = scorematch.StudentT(n_jobs=1).fit(X).set_params(max_iter=1)
    with pytest.raises(ValueError, match=r"4 of 4 .* did not converge in 1 iteration.*max_iter"):
        bootstrap_thetas(model, X, n_resamples=4, random_state=0)


@pytest.mark.usefixtures("ctrl_c")
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_interruption(n_jobs, monkeypatch):
    """What comes to the main thread, as by Ctrl-C, ends it all, and soon."""
    fit, calls = scorematch.StudentT._refit, []

    def interrupted(self, X, sample_weight):
        calls.append(threading.get_ident())
        if len(calls) == 5:
            _thread.interrupt_main()
        fit(self, X, sample_weight)

    X = np.random.default_rng(0).normal(size=(100, 1))
    model = scorematch.StudentT(5.0, n_jobs=1).fit(X)
    monkeypatch.setattr(scorematch.StudentT, "_refit", interrupted)
    with pytest.raises(KeyboardInterrupt):
        bootstrap_thetas(model, X, n_resamples=100_000, random_state=0, n_jobs=n_jobs)
    assert len(calls) < 1000


def test_functions_of_the_user_stay_on_one_thread():
    threads = set()

    def jacobian(x):
        threads.add(threading.get_ident())
        return np.stack([np.ones_like(x), x], axis=1)

    def second(x):
        return np.stack([np.zeros_like(x), np.ones_like(x)], axis=1)

    X = np.random.default_rng(0).normal(size=(50, 1))
    model = scorematch.ExponentialFamily(jacobian, second, 2).fit(X)
    assert np.isfinite(bootstrap_thetas(model, X, n_resamples=20, random_state=0, n_jobs=4)).all()
    assert threads == {threading.get_ident()}


def test_bad_arguments():
    X = np.random.default_rng(0).normal(size=(50, 2))
    model = scorematch.Gaussian().fit(X)
    with pytest.raises(ValueError, match="n_resamples must be an integer of at least 2; got 1"):
        bootstrap_thetas(model, X, n_resamples=1)
    with pytest.raises(ValueError, match=r"sample_weight must have shape \(50,\)"):
        bootstrap_thetas(model, X, np.ones(3))
    with pytest.raises(ValueError, match="X has 3 features"):
        bootstrap_thetas(model, np.ones((5, 3)))
    with pytest.raises(ValueError, match="verbose must be"):
        bootstrap_thetas(model, X, verbose=-1)
    many = np.random.default_rng(0).normal(size=(5000, 2))
    many[4321, 1] = np.nan
    for bad in (scorematch.Gaussian(), scorematch.PolynomialExponentialFamily(2), scorematch.StudentT(4.0)):
        bad.fit(X)
        with pytest.raises(ValueError, match="NaN or infinity: row 4321, column 1"):
            bootstrap_thetas(bad, many)
    with pytest.raises(NotFittedError):
        bootstrap_thetas(scorematch.Gaussian(), X)


def test_progress(capsys):
    X = np.random.default_rng(0).normal(size=(300, 2))
    bootstrap_thetas(scorematch.Gaussian().fit(X), X, n_resamples=12, random_state=0)
    assert capsys.readouterr().err == ""
    for model in (scorematch.Gaussian(), scorematch.Gaussian(covariance_type="diag"), scorematch.StudentT(4.0)):
        bootstrap_thetas(model.fit(X), X, n_resamples=12, random_state=0, verbose=1)
        assert "12/12" in capsys.readouterr().err


# -- Intervals ---------------------------------------------------------------------------------------------------


def test_intervals():
    thetas = np.stack([np.arange(101.0), -np.arange(101.0)], axis=1)
    expected = [[5.0, 95.0], [-95.0, -5.0]]
    assert np.allclose(bootstrap_intervals(thetas, 0.9), expected)
    gaps = np.insert(thetas, 7, np.nan, axis=0)
    assert np.allclose(bootstrap_intervals(gaps, 0.9), expected)
    with pytest.raises(ValueError, match=r"level must lie between 0 and 1; got 1\.5"):
        bootstrap_intervals(thetas, 1.5)
    with pytest.raises(ValueError, match="at least 2 resamples"):
        bootstrap_intervals(gaps[7:9], 0.9)
