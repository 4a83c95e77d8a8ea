"""The samplers: what they leave as it is, where they lead, how they go on, and what they refuse.

Tests of distributions have fixed seeds. Their thresholds are such that a right sampler would fail one of them for one
in about a thousand seeds, and a wrong one practically always; that they do find a wrong one is tested too.
"""

import pickle
import signal
import warnings

import numpy as np
import pytest
import scorematch
from scipy import integrate, stats
from scorematch import (
    Ball,
    BoundaryDistance,
    Box,
    Gaussian,
    MinPower,
    NonNegative,
    Polygon,
    Sphere,
    StudentT,
    _core,
    samplers,
)

MEAN, COVARIANCE = np.array([1.0, -1.0]), np.array([[1.0, 0.6], [0.6, 2.0]])
NORMAL = Gaussian.from_params(mean=MEAN, covariance=COVARIANCE)
TRIANGLE = Polygon([(-1.0, -1.0), (2.0, -1.0), (-1.0, 2.0)])
TARGETS = {
    "space": NORMAL,
    "orthant": Gaussian.from_params(mean=MEAN, covariance=COVARIANCE, domain=NonNegative(), weight=MinPower()),
    "box": StudentT.from_params(
        location=[0.0, 0.5], scale=np.eye(2), df=3.0, domain=Box([-1.0, 0.0], [0.5, np.inf]), weight=MinPower()
    ),
    "polygon": Gaussian.from_params(mean=[0.0, 0.0], covariance=np.eye(2), domain=TRIANGLE, weight=BoundaryDistance()),
    "sphere": scorematch.VonMisesFisher.from_params(mean_direction=[0.6, 0.0, 0.8], concentration=2.0),
    "mixture": scorematch.GaussianMixture.from_params(
        weights=[0.3, 0.7], means=[[-1.0, 0.0], [2.0, 1.0]], covariances=[np.eye(2), 0.5 * np.eye(2)]
    ),
}
SAMPLERS = {"langevin": samplers.langevin, "mala": samplers.mala, "hmc": samplers.hmc}
# Steps at which a fair share of the proposals is rejected.
STEPS = {"mala": {"step_size": 1.5}, "hmc": {"step_size": 1.0, "n_leapfrog": 3}}


def rank_test(run, draw, n_chains=8000, length=9):
    """The p value of uniform ranks (Gandy and Scott 2020, "Unit testing for MCMC", section 3).

    A state of the target in the middle of a reversible chain at stationarity, begun with it and run both ways: its rank
    among all states is uniform if the chain leaves the target as it is.
    """
    random = np.random.RandomState(0)
    start = draw(n_chains, random)
    ways = np.stack([run(start, seed).draws[..., 0] for seed in (1, 2)])
    n_forward = random.randint(length + 1, size=n_chains)
    steps = np.arange(length)
    states = np.where(steps < n_forward[:, None], ways[0], ways[1][:, ::-1])
    rank = (states < start[:, :1]).sum(axis=1)
    ties = (states == start[:, :1]).sum(axis=1)
    rank += random.randint(ties + 1)
    return stats.chisquare(np.bincount(rank, minlength=length + 1)).pvalue


def exact(model):
    return lambda n, random: model.sample(n, random, method="exact")


@pytest.mark.parametrize(
    ("name", "boundary"), [*((name, "reflect") for name in TARGETS), ("orthant", "reject"), ("box", "reject")]
)
@pytest.mark.parametrize("method", ["mala", "hmc"])
def test_leaves_the_target_as_it_is(method, name, boundary):
    model = TARGETS[name]

    def run(start, seed):
        with warnings.catch_warnings():  # single chains may well be stuck
            warnings.simplefilter("ignore")
            return SAMPLERS[method](
                model,
                n_samples=9,
                n_warmup=0,
                initial=start,
                random_state=seed,
                boundary=boundary,
                **STEPS[method] | ({"scale": [0.5, 1.5]} if name == "orthant" else {}),
            )

    assert rank_test(run, exact(model)) > 1e-4
    assert 0.05 < run(model.sample(500, 0), 3).acceptance_rate < 0.97


def test_the_rank_test_finds_a_wrong_sampler(level):
    def run(start, seed):
        return samplers.langevin(NORMAL, n_samples=9, n_warmup=0, initial=start, random_state=seed, step_size=1.0)

    assert rank_test(run, exact(NORMAL)) < 1e-8


@pytest.mark.parametrize("method", ["mala", "hmc"])
@pytest.mark.parametrize("given", [True, False], ids=["density", "quadrature"])
@pytest.mark.parametrize("where", ["space", "orthant", "sphere"])
def test_a_function_leaves_its_target_as_it_is(where, given, method):
    """With a density, and with differences of it from the score, in two modes that are no polynomial."""
    model = {"space": TARGETS["mixture"]}.get(where, TARGETS[where])

    def run(start, seed):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return SAMPLERS[method](
                model.score_function if where != "sphere" else lambda x: np.broadcast_to(model.theta_, x.shape),
                n_samples=9,
                n_warmup=0,
                initial=start,
                random_state=seed,
                domain=model._domain(),
                log_density=model.unnormalized_log_density if given else None,
                **STEPS[method],
            )

    assert rank_test(run, exact(model), n_chains=3000 if given else 1000) > 1e-4


def test_quadrature_is_that_of_the_density():
    """The same proposals, and with a polynomial the same choices."""

    def score(x):
        return 2 * x - x**3

    options = {"n_samples": 200, "initial": np.linspace(-2, 2, 20)[:, None], "random_state": 0, "step_size": 1.0}
    by_score = samplers.mala(score, **options)
    by_density = samplers.mala(score, log_density=lambda x: (x**2 - x**4 / 4).sum(axis=1), **options)
    np.testing.assert_allclose(by_score.draws, by_density.draws, rtol=1e-9, atol=1e-9)
    sharp = samplers.hmc(lambda x: -np.tanh(20 * x), initial=np.zeros((200, 1)), random_state=0, n_samples=200)
    # log cosh(20x)/20 is the density; its mean square follows by quadrature.
    square, total = (
        integrate.quad(lambda x, k=k: x**k * np.exp(-np.logaddexp(20 * x, -20 * x) / 20), -40, 40, points=[0.0])[0]
        for k in (2, 0)
    )
    assert abs((sharp.draws**2).mean() - square / total) < 5 * (sharp.draws**2).mean(axis=1).std() / np.sqrt(200)


@pytest.mark.parametrize("method", ["mala", "hmc"])
def test_detailed_balance(method):
    """As many transitions from a bin to another as back, from exact draws; not so where steps are not adjusted."""
    model = StudentT.from_params(location=[0.0], scale=[[1.0]], df=4.0)
    start = model.sample(200_000, 0)
    edges = stats.t.ppf(np.linspace(0, 1, 9)[1:-1], 4.0)

    def p_value(sampler, **options):
        after = sampler(model, n_samples=1, n_warmup=0, initial=start, random_state=1, **options).draws[:, 0]
        counts = np.zeros((8, 8))
        np.add.at(counts, (np.searchsorted(edges, start[:, 0]), np.searchsorted(edges, after[:, 0])), 1)
        upper = np.triu_indices(8, 1)
        there, back = counts[upper], counts.T[upper]
        seen = there + back > 20
        return stats.chi2.sf(((there - back) ** 2 / (there + back))[seen].sum(), seen.sum())

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # chains of one step
        options = {"mala": {"step_size": 3.0}, "hmc": {"step_size": 1.5, "n_leapfrog": 2}}[method]
        assert p_value(SAMPLERS[method], **options) > 1e-3
    if method == "mala":
        assert p_value(samplers.langevin, step_size=3.0) < 1e-8


@pytest.mark.parametrize("method", ["mala", "hmc"])
def test_gewekes_joint_test(method):
    """Geweke (2004), "Getting it right": θ ~ N(0, 1), y | θ ~ N(θ, 1), and transitions of θ given y in between."""
    random = np.random.default_rng(0)
    n = 20_000
    theta = random.standard_normal((n, 1))
    for sweep in range(15):
        y = theta + random.standard_normal((n, 1))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # chains of one step
            result = SAMPLERS[method](
                lambda t, y=y: y - 2 * t,
                log_density=lambda t, y=y: (-(t**2) / 2 - (y - t) ** 2 / 2)[:, 0],
                n_samples=1,
                n_warmup=0,
                initial=theta,
                random_state=sweep,
                **STEPS[method],
            )
        theta = result.draws[:, 0]
    assert 0.2 < result.acceptance_rate < 0.95
    y = theta + random.standard_normal((n, 1))
    other = random.standard_normal((n, 1))
    pairs = [(theta, y), (other, other + random.standard_normal((n, 1)))]
    for function in (lambda t, y: t, lambda t, y: t**2, lambda t, y: t * y, lambda t, y: y**2, lambda t, y: t**4):
        one, two = (function(*pair) for pair in pairs)
        assert abs(one.mean() - two.mean()) < 4 * np.sqrt((one.var() + two.var()) / n)


@pytest.mark.parametrize("step", [0.5, 1.5])
def test_the_bias_of_langevin_is_the_documented_one(step):
    """A Gaussian of variance v comes out with v / (1 − step/4v)."""
    v = 2.0
    model = Gaussian.from_params(mean=[3.0], covariance=[[v]])
    result = samplers.langevin(model, n_chains=20_000, n_samples=1, n_warmup=60, step_size=step, random_state=0)
    wanted = v / (1 - step / (4 * v))
    assert result.flatten().var() == pytest.approx(wanted, rel=4 * np.sqrt(2 / 20_000))
    assert result.flatten().mean() == pytest.approx(3.0, abs=4 * np.sqrt(wanted / 20_000))


@pytest.mark.parametrize("name", ["space", "orthant", "sphere", "box"])
def test_langevin_chooses_a_step_whose_bias_is_small(name):
    model = TARGETS[name]
    result = samplers.langevin(model, n_chains=2000, n_samples=5, thin=50, random_state=0)
    wanted = model.sample(50_000, 0)
    np.testing.assert_allclose(result.flatten().mean(axis=0), wanted.mean(axis=0), atol=0.06)
    np.testing.assert_allclose(result.flatten().std(axis=0), wanted.std(axis=0), rtol=0.06)
    if name == "space":
        finest = np.linalg.eigvalsh(COVARIANCE)[0]
        assert result.step_size == pytest.approx(0.1 * finest, rel=0.1)


# -- going on --------------------------------------------------------------------------------------------------------


def go(method, model, **options):
    more = {"step_size": 0.1} if method == "langevin" else {}
    if "initial" in options and isinstance(options["initial"], samplers.SamplerState):
        more = {}
    return SAMPLERS[method](model, **more, **options)


@pytest.mark.parametrize("name", ["space", "orthant", "sphere"])
@pytest.mark.parametrize("method", SAMPLERS)
def test_goes_on_with_the_same_bits(method, name):
    model = TARGETS[name]
    options = {"thin": 3}
    whole = go(method, model, n_chains=7, n_samples=30, n_warmup=50, random_state=5, **options)
    first = go(method, model, n_chains=7, n_samples=11, n_warmup=50, random_state=5, **options)
    state = pickle.loads(pickle.dumps(first.state))
    rest = go(method, model, n_samples=19, initial=state, **options)
    np.testing.assert_array_equal(np.concatenate([first.draws, rest.draws], axis=1), whole.draws)
    np.testing.assert_array_equal(rest.step_sizes, whole.step_sizes)
    assert rest.state.iteration == whole.state.iteration == 140
    assert len(pickle.dumps(first.state)) < 2000


def test_a_function_goes_on_with_the_same_bits():
    options = {"n_leapfrog": 4}
    start = np.zeros((3, 2))
    whole = samplers.hmc(lambda x: -x, n_samples=20, n_warmup=30, initial=start, random_state=0, **options)
    first = samplers.hmc(lambda x: -x, n_samples=9, n_warmup=30, initial=start, random_state=0, **options)
    rest = samplers.hmc(lambda x: -x, n_samples=11, initial=first.state, **options)
    np.testing.assert_array_equal(rest.draws, whole.draws[:, 9:])


@pytest.mark.parametrize("method", SAMPLERS)
def test_thin_takes_every_other_draw(method):
    all_of_them = go(method, NORMAL, n_samples=20, n_warmup=30, random_state=1)
    some = go(method, NORMAL, n_samples=4, n_warmup=30, thin=5, random_state=1)
    np.testing.assert_array_equal(some.draws, all_of_them.draws[:, 4::5])


@pytest.mark.parametrize("method", SAMPLERS)
def test_threads_do_not_show(method):
    one, two = (go(method, TARGETS["mixture"], n_chains=900, n_samples=20, random_state=0, n_jobs=n) for n in (1, 2))
    np.testing.assert_array_equal(one.draws, two.draws)


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("method", SAMPLERS)
def test_a_function_gives_the_draws_of_the_model(method, name):
    """To rounding, over a few steps."""
    model = TARGETS[name]
    step = 0.01 if name == "polygon" else 0.1  # of a model, trajectories see the score outside too
    options = {"n_samples": 5, "n_warmup": 0, "initial": model.sample(6, 0), "random_state": 0, "step_size": step}
    more = {} if method == "langevin" else {"log_density": model.unnormalized_log_density}
    compiled = SAMPLERS[method](model, **options)
    called = SAMPLERS[method](model.score_function, domain=model._domain(), **options, **more)
    np.testing.assert_allclose(called.draws, compiled.draws, rtol=1e-7, atol=1e-7)


def test_how_a_run_is_cut_does_not_show(monkeypatch):
    whole = samplers.hmc(NORMAL, n_samples=50, n_warmup=40, thin=2, random_state=0)
    from scorematch.samplers import _chains

    monkeypatch.setattr(_chains, "CALL_SECONDS", 1e-9)
    np.testing.assert_array_equal(
        samplers.hmc(NORMAL, n_samples=50, n_warmup=40, thin=2, random_state=0).draws, whole.draws
    )


@pytest.mark.parametrize("method", ["mala", "hmc"])
def test_a_learnt_scale(method):
    """Columns of very different scale, which one step for all of them would hardly explore."""
    deviation = np.array([1e-3, 1.0, 100.0])
    model = Gaussian.from_params(mean=[0.0, 5.0, -50.0], covariance=np.diag(deviation**2))
    result = SAMPLERS[method](model, n_chains=40, n_samples=250, scale="auto", random_state=0)
    np.testing.assert_allclose(result.scale, deviation, rtol=0.3)
    np.testing.assert_allclose(result.flatten().std(axis=0), deviation, rtol=0.08)
    assert len(set(result.step_sizes)) == 1
    wanted = {"mala": 0.574, "hmc": 0.8}[method]
    assert result.acceptance_rate == pytest.approx(wanted, abs=0.12)


def test_starts():
    """Exact draws, else rows of the training data, else points spread out; and what is given."""
    tiny = {"n_samples": 1, "n_warmup": 0, "n_chains": 300, "step_size": 1e-20, "random_state": 0}
    draws = samplers.mala(NORMAL, **tiny).flatten()
    np.testing.assert_allclose(draws.mean(axis=0), MEAN, atol=4 * np.sqrt(2 / 300))
    data = np.random.default_rng(0).laplace(size=(400, 2))
    fitted = scorematch.ICA(3, whiten=False, random_state=0).fit(data)
    begun = samplers.mala(fitted, **tiny).flatten()
    assert np.abs(begun[:, None] - data[None]).sum(axis=2).min(axis=1).max() < 1e-6
    made = scorematch.ICA.from_params(components=fitted.components_)
    spread = samplers.mala(made, **tiny).flatten()
    assert (spread.std(axis=0) > data.std(axis=0)).all()
    np.testing.assert_allclose(samplers.mala(NORMAL, initial=[1.0, 2.0], **tiny).flatten(), [[1.0, 2.0]] * 300)


# -- annealing, Gibbs ------------------------------------------------------------------------------------------------

SIGMAS = np.geomspace(20.0, 1.0, 10)


def two_modes(sigma):
    return scorematch.GaussianMixture.from_params(
        weights=[0.8, 0.2], means=[[5.0, 5.0], [-5.0, -5.0]], covariances=[sigma**2 * np.eye(2)] * 2
    )


def test_annealing_finds_the_weights_of_two_modes():
    """0.217 in the smaller mode, of 0.2 (Song and Ermon 2019, figure 3); plain dynamics leave half there."""
    start = np.random.default_rng(0).uniform(-8, 8, size=(5000, 2))
    models = [two_modes(sigma) for sigma in SIGMAS]
    result = samplers.annealed_langevin(models, SIGMAS, start, step_size=0.1, random_state=0)
    assert result.draws.shape == (5000, 1, 2)
    assert np.mean(result.flatten()[:, 0] < 0) == pytest.approx(0.217, abs=0.02)
    plain = samplers.langevin(models[-1], n_samples=1, n_warmup=1000, step_size=0.1, initial=start, random_state=0)
    assert np.mean(plain.flatten()[:, 0] < 0) == pytest.approx(0.49, abs=0.025)


def test_annealing_by_a_function_and_what_it_keeps():
    start = np.random.default_rng(0).uniform(-8, 8, size=(50, 2))
    options = {"step_size": 0.1, "n_steps": 8, "random_state": 3}
    models = [two_modes(sigma) for sigma in SIGMAS]
    compiled = samplers.annealed_langevin(models, SIGMAS, start, keep_levels=True, **options)
    called = samplers.annealed_langevin(
        lambda x, sigma: two_modes(sigma).score_function(x), SIGMAS, start, keep_levels=True, **options
    )
    np.testing.assert_allclose(called.draws, compiled.draws, rtol=1e-7, atol=1e-7)
    assert compiled.draws.shape == (50, 10, 2)
    last = samplers.annealed_langevin(models, SIGMAS, start, **options)
    np.testing.assert_array_equal(last.draws[:, 0], compiled.draws[:, -1])
    denoised = samplers.annealed_langevin(models, SIGMAS, start, final_denoising=True, **options)
    x = last.draws[:, 0]
    np.testing.assert_allclose(denoised.draws[:, 0], x + models[-1].score_function(x), rtol=1e-12)
    shorter = samplers.annealed_langevin(
        models[:4], SIGMAS[:4], start, step_size=0.1 * (SIGMAS[3] / SIGMAS[-1]) ** 2, n_steps=8, random_state=3
    )
    np.testing.assert_allclose(shorter.draws[:, 0], compiled.draws[:, 3], rtol=1e-9)


RBM = scorematch.GaussianBernoulliRBM.from_params(
    components=[[1.5, 0.0], [-1.0, 1.0], [0.5, -1.0]],
    intercept_hidden=[-0.5, 0.2, 0.0],
    intercept_visible=[0.5, -0.5],
    noise_variance=0.8,
)


def test_gibbs():
    result = samplers.gibbs(RBM, n_chains=500, n_samples=40, n_warmup=200, thin=5, random_state=0)
    wanted = RBM.sample(200_000, 0, method="exact")
    error = result.draws.mean(axis=1).std(axis=0) / np.sqrt(500)
    assert (
        np.abs(result.flatten().mean(axis=0) - wanted.mean(axis=0)) < 4.5 * error + 4 * wanted.std(axis=0) / 447
    ).all()
    np.testing.assert_allclose(np.cov(result.flatten().T), np.cov(wanted.T), atol=0.05)
    first = samplers.gibbs(RBM, n_chains=500, n_samples=15, n_warmup=200, thin=5, random_state=0)
    rest = samplers.gibbs(RBM, n_samples=25, thin=5, initial=first.state)
    np.testing.assert_array_equal(rest.draws, result.draws[:, 15:])
    assert result.acceptance_rate == 1


# -- results ---------------------------------------------------------------------------------------------------------


def test_results():
    result = samplers.hmc(NORMAL, n_chains=3, n_samples=40, thin=2, random_state=0)
    assert isinstance(result.acceptance_rate, np.float64)
    assert result.acceptance_rates.shape == result.step_sizes.shape == result.divergences.shape == (3,)
    assert result.n_divergent == 0
    np.testing.assert_array_equal(result.flatten()[40:80], result.draws[1])
    assert repr(result).startswith(
        "<Draws by hmc: 3 chains of 40 draws of 2 features (warm-up 1000, thin 2); acceptance"
    )
    assert repr(result.state) == "<SamplerState of hmc, 3 chains after 1080 iterations>"
    again = pickle.loads(pickle.dumps(result))
    np.testing.assert_array_equal(again.draws, result.draws)


def test_arviz():
    az = pytest.importorskip("arviz")
    result = samplers.hmc(NORMAL, n_chains=4, n_samples=400, random_state=0)
    data = result.to_arviz()
    posterior = data["posterior"]
    assert posterior["x"].dims == ("chain", "draw", "feature")
    np.testing.assert_array_equal(posterior["x"].values, result.draws)
    assert result.ess().shape == result.rhat().shape == (2,)
    np.testing.assert_allclose(result.ess()[0], float(np.asarray(az.ess(result.draws[..., 0], method="bulk"))))
    assert (result.rhat() < 1.02).all()
    assert (result.ess() > 400).all()
    apart = samplers.mala(NORMAL, n_samples=50, n_warmup=0, step_size=1e-6, random_state=0)
    assert (apart.rhat() > 1.5).all()
    text = str(result.summary())
    assert "rhat" in text
    assert f"{result.acceptance_rate:.3f}" in text
    with pytest.raises(ValueError, match="at least 4 draws"):
        samplers.hmc(NORMAL, n_samples=3, random_state=0).ess()
    alone = samplers.hmc(NORMAL, n_chains=1, n_samples=20, random_state=0)
    with pytest.raises(ValueError, match="rhat compares chains, and needs at least 2"):
        alone.rhat()
    assert "rhat needs at least 2 chains" in str(alone.summary())


def test_without_arviz(monkeypatch):
    import sys

    from scorematch.samplers import _summary

    monkeypatch.setitem(sys.modules, "arviz", None)
    monkeypatch.setattr(_summary, "has_arviz", lambda: False)
    result = samplers.hmc(NORMAL, n_samples=10, random_state=0)
    for call in (result.to_arviz, result.ess, result.rhat):
        with pytest.raises(ImportError, match=r'pip install "scorematch\[arviz\]"'):
            call()
    assert "need ArviZ" in str(result.summary())


def test_progress(capsys):
    pytest.importorskip("tqdm")
    samplers.hmc(NORMAL, n_samples=20, random_state=0, progress=True)
    assert "scorematch: hmc" in capsys.readouterr().err


# -- what goes wrong -------------------------------------------------------------------------------------------------


class Disc:
    """A domain of the user's own, which can only tell what it contains."""

    def contains(self, X):
        return (X**2).sum(axis=1) <= 1


def test_a_domain_of_ones_own():
    result = samplers.hmc(
        lambda x: np.zeros_like(x),
        initial=np.zeros((200, 2)),
        domain=Disc(),
        random_state=0,
        n_samples=20,
        n_warmup=200,
        thin=5,
    )
    assert Disc().contains(result.flatten()).all()
    error = (result.draws**2).sum(axis=2).mean(axis=1).std() / np.sqrt(200)
    assert abs((result.flatten() ** 2).sum(axis=1).mean() - 0.5) < 4 * error  # of the uniform


@pytest.mark.parametrize("threads", [1, 2])
def test_a_step_that_blows_up(threads):
    quartic = {"initial": [2.0], "step_size": 5.0, "n_jobs": threads, "random_state": 0}
    with pytest.raises(
        ValueError, match=r"chain \d+ became infinite or NaN at iteration \d+.*step_size=5\).*smaller step_size"
    ):
        samplers.langevin(lambda x: -(x**3), **quartic)
    with pytest.raises(ValueError, match=r"chain \d+ .*step_size=100\)"):
        samplers.langevin(NORMAL, step_size=100.0, n_warmup=10_000, random_state=0, n_jobs=threads)


def test_metropolis_refuses_what_blows_up():
    with pytest.warns(UserWarning, match=r"hmc: \d+ of 400 trajectories diverged.*a smaller step_size"):
        result = samplers.hmc(
            lambda x: -(x**3), initial=[1.0], step_size=4.0, n_samples=100, n_warmup=0, random_state=0
        )
    assert np.isfinite(result.draws).all()
    with pytest.warns(UserWarning, match=r"mala: chain \d accepts 0% of its proposals"):
        samplers.mala(NORMAL, step_size=1e4, n_warmup=0, random_state=0)


def test_draws_behind_the_adaptation_have_the_distribution():
    """Steps that follow where a chain is draw it to where they are short, here to the faces of a Dirichlet density."""
    alpha = np.array([2.0, 3.0, 1.5])

    def score(x):
        return (alpha[:2] - 1) / x - ((alpha[2] - 1) / (1 - x.sum(axis=1)))[:, None]

    def log_density(x):
        return np.log(np.column_stack([x, 1 - x.sum(axis=1)])) @ (alpha - 1)

    start = np.random.default_rng(3).dirichlet(alpha, 2000)[:, :2]
    domain = scorematch.domains.Simplex()
    result = samplers.hmc(
        score, log_density=log_density, domain=domain, initial=start, n_samples=1, n_warmup=300, random_state=1
    )
    for j in range(2):
        marginal = stats.beta(alpha[j], alpha.sum() - alpha[j])
        assert stats.kstest(result.draws[:, 0, j], marginal.cdf).pvalue > 5e-4


def test_few_iterations_tell_nothing_of_acceptance():
    """Of a thousand chains some reject the only proposal that each of them has."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = samplers.mala(NORMAL, n_chains=1000, n_samples=1, n_warmup=100, random_state=0)
    assert result.acceptance_rates.min() < 0.1


def test_functions_may_spoil_their_argument():
    def score(x):
        return MEAN - x

    def log_density(x):
        return -0.5 * np.sum((x - MEAN) ** 2, axis=1)

    def spoilt(function):
        def call(x):
            result = function(x)
            x[:] = np.nan
            return result

        return call

    options = {"initial": [0.0, 0.0], "step_size": 0.5, "n_samples": 20, "n_warmup": 0, "random_state": 0}
    for density, spoilt_density in ((None, None), (log_density, spoilt(log_density))):
        right = samplers.mala(score, log_density=density, **options)
        result = samplers.mala(spoilt(score), log_density=spoilt_density, **options)
        np.testing.assert_array_equal(result.draws, right.draws)


def test_warns_where_a_step_does_not_suit_all_of_the_density():
    """One that becomes ten times as narrow when the warm-up is over."""
    calls = []

    def score(x):
        calls.append(1)
        return -x if len(calls) < 500 else -100 * x

    with pytest.warns(UserWarning, match=r"mala: \d+% of the proposals are accepted, and 57% were aimed at.*n_warmup"):
        samplers.mala(
            score,
            log_density=lambda x: (score(x) * x)[:, 0] / 2,
            initial=[0.0],
            n_samples=200,
            n_warmup=200,
            random_state=0,
        )


@pytest.mark.usefixtures("ctrl_c")
@pytest.mark.parametrize("where", ["function", "core"])
def test_interruption(monkeypatch, where):
    """Ctrl-C goes through: out of a function of the user's, and between two calls of the core."""
    calls = []
    original = _core.run_hamiltonian

    def count(argument):
        calls.append(1)
        if len(calls) == 3:
            signal.raise_signal(signal.SIGINT)
        return argument

    if where == "core":
        monkeypatch.setattr(_core, "run_hamiltonian", lambda *arguments: original(*count(arguments)))
    score = (lambda x: -count(x)) if where == "function" else NORMAL
    with pytest.raises(KeyboardInterrupt):
        samplers.hmc(score, initial=[0.0, 0.0], n_samples=10**6, random_state=0)
    assert len(calls) == 3


def boom(x):
    raise RuntimeError("my own fault")


ONE = {"initial": [0.0, 0.0]}
SCORE = {"step_size": 0.1, **ONE}


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: samplers.mala("model"), TypeError, "model_or_score must be a fitted model"),
        (lambda: samplers.mala(Gaussian), TypeError, "model_or_score must be a fitted model"),
        (lambda: samplers.mala(Gaussian()), ValueError, "not fitted"),
        (lambda: samplers.mala(lambda x: -x), ValueError, "initial is needed with a score function"),
        (lambda: samplers.mala(NORMAL, n_chains=0), ValueError, "n_chains must be an integer of at least 1; got 0"),
        (lambda: samplers.mala(NORMAL, n_samples=1.5), ValueError, "n_samples must be an integer"),
        (lambda: samplers.mala(NORMAL, n_warmup=-1), ValueError, "n_warmup must be an integer of at least 0"),
        (lambda: samplers.mala(NORMAL, n_warmup=5), ValueError, "step_size is needed where n_warmup is below 20"),
        (lambda: samplers.mala(NORMAL, thin=0), ValueError, "thin must be an integer of at least 1"),
        (lambda: samplers.mala(NORMAL, step_size=0.0), ValueError, "step_size must be positive"),
        (lambda: samplers.mala(NORMAL, step_size=[0.1, 0.2]), ValueError, r"step_size must have shape \(4,\)"),
        (lambda: samplers.mala(NORMAL, step_size="big"), ValueError, "step_size must be an array of real numbers"),
        (lambda: samplers.mala(NORMAL, initial=[0.0]), ValueError, "initial must have 2 columns, as the model"),
        (lambda: samplers.mala(NORMAL, initial=[[0.0, np.nan]]), ValueError, "initial must be finite"),
        (lambda: samplers.mala(NORMAL, 3, initial=np.zeros((2, 2))), ValueError, "a row for each of the 3 chains"),
        (
            lambda: samplers.mala(TARGETS["orthant"], initial=[[1.0, 1.0], [1.0, -2.0]]),
            ValueError,
            r"initial must lie in NonNegative\(\); row 1 does not",
        ),
        (lambda: samplers.mala(TARGETS["sphere"], initial=[1.0, 1.0, 1.0]), ValueError, r"initial must lie in Sphere"),
        (lambda: samplers.mala(TARGETS["sphere"], scale=2.0), ValueError, "scale has no place on the sphere"),
        (lambda: samplers.mala(NORMAL, scale=[1.0, -1.0]), ValueError, "scale must be positive; entry 1 is -1"),
        (lambda: samplers.mala(NORMAL, scale="best"), ValueError, "scale must be None, 'auto' or an array"),
        (lambda: samplers.mala(NORMAL, 1, scale="auto", n_warmup=20), ValueError, "at least 10 points to learn from"),
        (lambda: samplers.mala(NORMAL, scale="auto", n_warmup=0, step_size=1), ValueError, "needs n_warmup > 0"),
        (lambda: samplers.mala(NORMAL, boundary="stop"), ValueError, "boundary must be 'reflect' or 'reject'"),
        (lambda: samplers.mala(NORMAL, domain=NonNegative()), ValueError, "domain goes with a score function"),
        (lambda: samplers.mala(NORMAL, log_density=boom), ValueError, "log_density goes with a score function"),
        (lambda: samplers.mala(NORMAL, target_accept=1.0), ValueError, "target_accept must be a number above 0"),
        (lambda: samplers.mala(NORMAL, n_jobs=0), ValueError, "n_jobs must be None"),
        (lambda: samplers.mala(NORMAL, progress=1), ValueError, "progress must be True or False"),
        (lambda: samplers.hmc(NORMAL, n_leapfrog=0), ValueError, "n_leapfrog must be an integer of at least 1"),
        (lambda: samplers.hmc(NORMAL, jitter=1.0), ValueError, "jitter must be a number from 0 and below 1"),
        (lambda: samplers.mala(boom, **SCORE), ValueError, r"score \(boom\) raised RuntimeError.*my own fault"),
        (lambda: samplers.mala(lambda x: x[:, 0], **SCORE), ValueError, r"score .* must return an array of shape"),
        (lambda: samplers.mala(lambda x: "no", **SCORE), ValueError, "must return an array of real numbers"),
        (lambda: samplers.mala(lambda x: -x, log_density=lambda x: x, **SCORE), ValueError, "log_density .* of shape"),
        (lambda: samplers.mala(lambda x: -x, log_density=1, **SCORE), TypeError, "log_density must be a function"),
        (lambda: samplers.mala(lambda x: np.full_like(x, np.nan), **SCORE), ValueError, "finite where chains start"),
        (lambda: samplers.mala(lambda x: -x, domain="here", **SCORE), TypeError, "domain must be one of"),
        (lambda: samplers.mala(lambda x: -x, domain=Sphere(), **SCORE), ValueError, r"initial must lie in Sphere"),
        (lambda: samplers.mala(lambda x: -x, domain=Box([0], [1]), **SCORE), ValueError, "initial must have 1 columns"),
        (lambda: samplers.mala(lambda x: -x, domain=Ball(1.0, 2), initial=[3.0, 0.0]), ValueError, "initial must lie"),
        (lambda: samplers.langevin(lambda x: -x, **ONE), ValueError, "step_size is needed: nothing tells the scale"),
        (lambda: samplers.gibbs(NORMAL), TypeError, "model must be a GaussianBernoulliRBM"),
    ],
)  # fmt: skip
def test_wrong_arguments(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"random_state": 1}, "random_state is held by the state"),
        ({"step_size": 1.0}, "step_size is held by the state"),
        ({"scale": 1.0}, "scale is held by the state"),
        ({"n_warmup": 10}, "a run that goes on has no warm-up"),
        ({"n_chains": 5}, "n_chains is 4 in the state"),
    ],
)
def test_wrong_arguments_beside_a_state(options, message):
    state = samplers.hmc(NORMAL, n_samples=5, n_warmup=30, random_state=0).state
    with pytest.raises(ValueError, match=message):
        samplers.hmc(NORMAL, initial=state, **options)
    with pytest.raises(ValueError, match="a state of hmc, and mala cannot"):
        samplers.mala(NORMAL, initial=state)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"sigmas": [1.0, 2.0]}, ValueError, r"sigmas must decrease; entries 0 and 1"),
        ({"sigmas": [1.0, 0.0]}, ValueError, "sigmas must be positive"),
        ({"sigmas": []}, ValueError, "sigmas must"),
        ({"initial": samplers.gibbs(RBM, n_samples=1).state}, TypeError, "pass initial=state.points"),
        ({"score": [NORMAL]}, ValueError, "a model for each of the 2 levels; got 1"),
        ({"score": [NORMAL, TARGETS["orthant"]]}, ValueError, "must live on the same domain; that of level 1"),
        ({"score": [NORMAL, "b"]}, TypeError, "score must be a function of points and a level"),
        ({"score": NORMAL}, TypeError, "score must be a function of points and a level"),
        ({"step_size": -1.0}, ValueError, "step_size must be positive"),
        ({"n_steps": 0}, ValueError, "n_steps must be an integer of at least 1"),
        ({"initial": [1.0, 2.0]}, ValueError, r"initial must have shape \(any, any\)"),
        ({"domain": NonNegative()}, ValueError, "models have theirs"),
        ({"keep_levels": 2}, ValueError, "keep_levels must be True or False"),
        ({"score": [TARGETS["orthant"]] * 2, "final_denoising": True}, ValueError, "final_denoising is for all of"),
    ],
)  # fmt: skip
def test_wrong_arguments_of_annealing(options, error, message):
    right = {"score": [NORMAL, NORMAL], "sigmas": [2.0, 1.0], "initial": [[1.0, 1.0]], "step_size": 0.1, "n_steps": 3}
    samplers.annealed_langevin(**right, random_state=0)
    with pytest.raises(error, match=message):
        samplers.annealed_langevin(**right | options, random_state=0)


def test_draws_that_do_not_fit_in_memory():
    with pytest.raises(MemoryError, match=r"4 chains of 1000000000000000 draws of 2 features take 5.96e\+07 GiB"):
        samplers.hmc(NORMAL, n_samples=10**15)


def test_runs_to_infinity():
    with pytest.raises(ValueError, match=r"chain 0 runs to infinity: this log density has no finite integral"):
        samplers.langevin(lambda x: x, initial=[1.0], step_size=1.0, n_samples=1000, n_warmup=0, random_state=0)
