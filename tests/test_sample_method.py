"""`sample` of every family: the sampler that it chooses has the right moments, and what cannot be drawn is said.

Moments are compared with those of the formula of the density, integrated on a grid. Seeds are fixed; thresholds are 4.5
standard errors of independent draws, times 1.5 for what chains are short of that: a right sampler fails for less than
one in ten thousand seeds.
"""

import functools
import inspect

import numpy as np
import pytest
import scorematch
from scipy import special
from scorematch import (
    ICA,
    Ball,
    BoundaryDistance,
    Box,
    ExponentialFamily,
    Gaussian,
    GaussianBernoulliRBM,
    GaussianMixture,
    Intervals,
    MinPower,
    NonNegative,
    PairwiseInteraction,
    Polygon,
    PolynomialExponentialFamily,
    Power,
    ProductOfStudentT,
    Simplex,
    StudentT,
    VonMisesFisher,
)
from scorematch._registry import families

RANDOM = np.random.default_rng(0)
COVARIANCE = np.array([[1.0, 0.6], [0.6, 2.0]])
TRIANGLE = Polygon([(1.0, 1.0), (4.0, 1.0), (1.0, 4.0)])
W = np.array([[1.0, 0.2], [-0.3, 1.2], [0.8, -0.8]])
HIDDEN = 0.4 * RANDOM.normal(size=(17, 2))


def quadratic(mean, precision):
    return lambda x: -np.einsum("ni,ij,nj->n", x - mean, precision, x - mean) / 2


def moments(log_density, lower, upper, domain, n=400):
    """Mean and covariance by the midpoint rule."""
    axes = [low + (np.arange(n) + 0.5) / n * (high - low) for low, high in zip(lower, upper, strict=True)]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(axes))
    if domain is not None:
        points = points[domain.contains(points)]
    values = log_density(points)
    share = np.exp(values - values.max())
    share /= share.sum()
    mean = share @ points
    return mean, ((points - mean).T * share) @ (points - mean), (share * ((points - mean) ** 4).T).sum(axis=1)


def jacobian(x):
    return np.stack([1 / x, -np.ones_like(x)], axis=1)


def hessian_diagonal(x):
    return np.stack([-1 / x**2, np.zeros_like(x)], axis=1)


def statistic(x):
    return np.stack([np.log(x).sum(axis=1), -x.sum(axis=1)], axis=1)


def gammas(given):
    return ExponentialFamily.from_params(
        theta=[2.0, 2.0],
        n_features=2,
        statistic_jacobian=jacobian,
        statistic_hessian_diagonal=hessian_diagonal,
        n_statistics=2,
        statistic=statistic if given else None,
        domain=NonNegative(),
        weight=Power(2),
    )


def pairwise(a, b, domain=None):
    return PairwiseInteraction.from_params(
        interaction=[[1.5, 0.4], [0.4, 1.2]], linear=[0.5, 0.8], a=a, b=b, domain=domain
    )


def pairwise_density(a, b):
    K, eta = np.array([[1.5, 0.4], [0.4, 1.2]]), np.array([0.5, 0.8])

    def log_density(x):
        xa = x**a if a else np.log(x)
        xb = x**b if b else np.log(x)
        return -np.einsum("ni,ij,nj->n", xa, K, xa) / (2 * (a or 1)) + xb @ eta / (b or 1)

    return log_density


RATIOS = np.array([[2.5, 0.5], [0.5, 1.5]])  # precision of the log ratios of an additive logistic normal
CONTRAST = np.column_stack([np.eye(2), -np.ones(2)])
QUARTIC = {"coef": [1.0, 0.5, 0.4, -0.25, -0.2, -0.1], "powers": [[2, 0], [0, 1], [1, 1], [4, 0], [0, 4], [2, 2]]}


def quartic(x):
    return sum(c * np.prod(x ** np.array(p), axis=1) for c, p in zip(QUARTIC["coef"], QUARTIC["powers"], strict=True))


def logistic_normal(x):
    y = np.log(x) - np.log1p(-x.sum(axis=1, keepdims=True))
    return quadratic([0.3, -0.2], RATIOS)(y) - np.log(x).sum(axis=1) - np.log1p(-x.sum(axis=1))


BOX = Box([-1.0, 0.0], [1.0, 2.0])
# Name: the model, log p, and a box that holds all of it but a millionth.
MODELS = {
    "gaussian": (
        Gaussian.from_params(mean=[1, -1], covariance=COVARIANCE),
        quadratic([1, -1], np.linalg.inv(COVARIANCE)),
        (-9, 9),
    ),
    "gaussian-orthant": (
        Gaussian.from_params(mean=[1, -1], covariance=COVARIANCE, domain=NonNegative(), weight=MinPower()),
        quadratic([1, -1], np.linalg.inv(COVARIANCE)),
        (0, 8),
    ),
    "gaussian-far-out": (
        Gaussian.from_params(mean=[-9, -9], covariance=COVARIANCE, domain=NonNegative(), weight=MinPower()),
        quadratic([-9, -9], np.linalg.inv(COVARIANCE)),
        (0, 4),
    ),
    "gaussian-ball": (
        Gaussian.from_params(mean=[0.5, 0], covariance=COVARIANCE, domain=Ball(1.0, 2), weight=BoundaryDistance()),
        quadratic([0.5, 0], np.linalg.inv(COVARIANCE)),
        (-1, 1),
    ),
    "gaussian-rising": (
        Gaussian.from_params(mean=[0, 0], precision=-np.eye(2), domain=Box(-1.0, 1.0)),
        quadratic([0, 0], -np.eye(2)),
        (-1, 1),
    ),
    "mixture": (
        GaussianMixture.from_params(weights=[0.3, 0.7], means=[[-1, 0], [1, 1]], covariances=[np.eye(2), COVARIANCE]),
        lambda x: np.logaddexp(
            np.log(0.3) + quadratic([-1, 0], np.eye(2))(x),
            np.log(0.7 / np.sqrt(np.linalg.det(COVARIANCE))) + quadratic([1, 1], np.linalg.inv(COVARIANCE))(x),
        ),
        (-8, 9),
    ),
    "mixture-box-far-out": (
        GaussianMixture.from_params(
            weights=[0.3, 0.7], means=[[-1, 0], [1, 1]], covariances=[np.eye(2)] * 2, domain=Box(6.0, 8.0)
        ),
        lambda x: np.logaddexp(
            np.log(0.3) + quadratic([-1, 0], np.eye(2))(x), np.log(0.7) + quadratic([1, 1], np.eye(2))(x)
        ),
        (6, 8),
    ),
    "student-t": (
        StudentT.from_params(location=[0.5, 0], scale=np.eye(2), df=30.0),
        lambda x: -16 * np.log1p(((x - [0.5, 0]) ** 2).sum(axis=1) / 30),
        (-10, 10),
    ),
    "student-t-polygon": (
        StudentT.from_params(location=[0, 0], scale=np.eye(2), df=3.0, domain=TRIANGLE, weight=BoundaryDistance()),
        lambda x: -2.5 * np.log1p((x**2).sum(axis=1) / 3),
        (1, 4),
    ),
    "ica": (ICA.from_params(components=W[:2]), lambda x: -np.log(np.cosh(x @ W[:2].T)).sum(axis=1), (-20, 20)),
    "ica-overcomplete": (
        ICA.from_params(components=W, coefficients=[1.0, 2.0, 0.5]),
        lambda x: -np.log(np.cosh(x @ W.T)) @ [1.0, 2.0, 0.5],
        (-14, 14),
    ),
    "product-of-student-t": (
        ProductOfStudentT.from_params(components=W, exponents=[4.0, 5.0, 3.0], mean=[1, 1]),
        lambda x: -np.log1p(((x - 1) @ W.T) ** 2 / 2) @ [4.0, 5.0, 3.0],
        (-12, 14),
    ),
    "rbm": (
        GaussianBernoulliRBM.from_params(
            components=HIDDEN[:5], intercept_hidden=np.zeros(5), intercept_visible=[0, 1], noise_variance=0.5
        ),
        lambda x: -((x - [0, 1]) ** 2).sum(axis=1) + np.logaddexp(0, x @ HIDDEN[:5].T / 0.5).sum(axis=1),
        (-8, 9),
    ),
    "rbm-large": (
        GaussianBernoulliRBM.from_params(
            components=HIDDEN, intercept_hidden=np.full(17, -1.0), intercept_visible=[0, 1], noise_variance=0.5
        ),
        lambda x: -((x - [0, 1]) ** 2).sum(axis=1) + np.logaddexp(0, x @ HIDDEN.T / 0.5 - 1).sum(axis=1),
        (-8, 9),
    ),
    "rbm-large-box": (
        GaussianBernoulliRBM.from_params(
            components=HIDDEN,
            intercept_hidden=np.full(17, -1.0),
            intercept_visible=[0, 1],
            noise_variance=0.5,
            domain=BOX,
        ),
        lambda x: -((x - [0, 1]) ** 2).sum(axis=1) + np.logaddexp(0, x @ HIDDEN.T / 0.5 - 1).sum(axis=1),
        (-1, 2),
    ),
    "pairwise-gaussian": (pairwise(1, 1), pairwise_density(1, 1), (0, 7)),
    "pairwise-gamma": (pairwise(0.5, 0), pairwise_density(0.5, 0), (0, 16)),
    "pairwise-space": (pairwise(2, 1, scorematch.RealSpace()), pairwise_density(2, 1), (-4, 4)),
    "pairwise-simplex": (
        PairwiseInteraction.from_params(
            interaction=CONTRAST.T @ RATIOS @ CONTRAST,
            linear=CONTRAST.T @ RATIOS @ [0.3, -0.2] - 1,
            a=0,
            b=0,
            domain=Simplex(),
        ),
        logistic_normal,
        (0, 0.99999),
    ),
    "polynomial": (PolynomialExponentialFamily.from_params(**QUARTIC), quartic, (-5, 5)),
    "polynomial-orthant": (
        PolynomialExponentialFamily.from_params(
            coef=[1.0, -0.3, -0.2], powers=[[1, 0], [3, 0], [0, 3]], domain=NonNegative(), weight=MinPower()
        ),
        lambda x: x[:, 0] - 0.3 * x[:, 0] ** 3 - 0.2 * x[:, 1] ** 3,
        (0, 6),
    ),
    "exponential": (gammas(True), lambda x: statistic(x) @ [2, 2], (0, 12)),
    "exponential-score": (gammas(False), lambda x: statistic(x) @ [2, 2], (0, 12)),
}
# Chains of functions in Python are shorter.
SLOW = {"exponential", "exponential-score", "pairwise-simplex"}
OTHERS = [
    *(("gaussian", method) for method in ("exact", "gibbs", "langevin", "mala", "hmc")),
    *(("gaussian-orthant", method) for method in ("exact", "gibbs", "mala", "hmc")),
    *(("gaussian-ball", method) for method in ("exact", "gibbs", "mala", "hmc")),
    ("student-t-polygon", "mala"),
    ("student-t-polygon", "hmc"),
    ("rbm", "exact"),
    ("rbm", "gibbs"),
    ("rbm", "hmc"),
    ("pairwise-gaussian", "exact"),
    ("pairwise-gaussian", "hmc"),
    ("polynomial", "mala"),
    ("ica-overcomplete", "mala"),
]


@functools.cache
def moments_of(name):
    model, log_density, (low, high) = MODELS[name]
    return moments(log_density, [low] * 2, [high] * 2, model._domain())


@pytest.mark.parametrize(("name", "method"), [*((name, "auto") for name in MODELS), *OTHERS])
def test_moments(name, method):
    model = MODELS[name][0]
    n = 1000 if name in SLOW else 4000
    X = model.sample(n, 0, method, **({"n_warmup": 100} if name in SLOW else {}))
    assert X.shape == (n, 2)
    assert X.dtype == np.float64
    domain = model._domain()
    if domain is not None:
        assert domain.contains(X).all()
    mean, covariance, fourth = moments_of(name)
    variance = np.diagonal(covariance)
    bias = 0.03 if method == "langevin" else 0.0
    error = 1.5 * 4.5 / np.sqrt(n)
    assert (np.abs(X.mean(axis=0) - mean) < error * np.sqrt(variance)).all()
    spread = error * np.sqrt(fourth - variance**2) + bias * variance
    assert (np.abs(((X - mean) ** 2).mean(axis=0) - variance) < spread).all()
    covariance_error = error * np.sqrt(np.prod(variance) + covariance[0, 1] ** 2 + np.prod(np.sqrt(fourth)))
    assert abs(np.prod(X - mean, axis=1).mean() - covariance[0, 1]) < covariance_error


@pytest.mark.parametrize("method", ["auto", "exact", "langevin", "mala", "hmc"])
def test_on_the_sphere(method):
    """The mean resultant length of a von Mises–Fisher distribution in three dimensions is coth κ − 1/κ."""
    model = VonMisesFisher.from_params(mean_direction=[0.6, 0.0, 0.8], concentration=3.0)
    X = model.sample(6000, 0, method)
    np.testing.assert_allclose(np.linalg.norm(X, axis=1), 1, rtol=1e-12)
    length = 1 / np.tanh(3.0) - 1 / 3
    along = X @ [0.6, 0.0, 0.8]
    assert abs(along.mean() - length) < 1.5 * 4.5 * along.std() / np.sqrt(6000) + 0.01 * (method == "langevin")
    np.testing.assert_allclose(X.mean(axis=0), length * np.array([0.6, 0.0, 0.8]), atol=0.04)


def test_every_family_has_one():
    tested = {type(model) for model, _, _ in MODELS.values()} | {VonMisesFisher}
    assert [family for family in families() if not issubclass(family, tuple(tested))] == []
    for family in families():
        assert "method" in inspect.signature(family.sample).parameters


@pytest.mark.parametrize(
    "name", ["gaussian", "gaussian-far-out", "mixture-box-far-out", "ica-overcomplete", "rbm-large"]
)
def test_the_seed_decides(name):
    model = MODELS[name][0]
    one, two, three = (model.sample(20, seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, two)
    assert (one != three).any()
    np.testing.assert_array_equal(one, model.sample(20, np.random.RandomState(0)))


def test_which_sampler_is_chosen(monkeypatch):
    chosen = []
    from scorematch import samplers

    for name in ("gibbs", "hmc", "mala", "langevin"):
        original = getattr(samplers, name)
        monkeypatch.setattr(samplers, name, lambda *a, f=original, n=name, **k: chosen.append(n) or f(*a, **k))
    for name, wanted in {
        "gaussian": [],
        "gaussian-far-out": [],
        "student-t-polygon": [],
        "mixture-box-far-out": ["hmc"],
        "rbm": [],
        "rbm-large": ["gibbs"],
        "rbm-large-box": ["hmc"],
        "ica-overcomplete": ["hmc"],
        "pairwise-gamma": [],
        "pairwise-space": ["hmc"],
        "polynomial": ["hmc"],
        "gaussian-rising": ["hmc"],
    }.items():
        chosen.clear()
        MODELS[name][0].sample(3, 0, n_warmup=50)
        assert chosen == wanted, name


def test_a_fitted_model_begins_at_its_data():
    """Modes that no chain would find from elsewhere have the shares that they have in the data."""
    data = np.where(RANDOM.uniform(size=(4000, 1)) < 0.25, -1, 1) * 3 + 0.3 * RANDOM.normal(size=(4000, 1))
    model = PolynomialExponentialFamily(degree=4).fit(data)
    with pytest.warns(UserWarning, match="have not forgotten where they began"):
        X = model.sample(8000, 0)
    assert np.mean(X < 0) == pytest.approx(0.25, abs=0.12)


def test_warns_where_chains_have_not_mixed():
    model = GaussianMixture.from_params(weights=[0.5, 0.5], means=[[-20.0], [20.0]], covariances=[[[1.0]], [[1.0]]])
    with pytest.warns(UserWarning, match=r"method='hmc' have not forgotten.*R-hat \d+"):
        model.sample(2000, 0, method="hmc")
    model.sample(2000, 0)
    # Of many columns some R-hat is large by chance where there are few chains.
    wide = Gaussian.from_params(mean=np.zeros(100), covariance=np.eye(100))
    for seed in range(3):
        wide.sample(32, seed, method="mala", n_warmup=500)


def polynomial(coef, powers, **options):
    with pytest.warns(UserWarning, match="no log density"):
        return PolynomialExponentialFamily.from_params(coef=coef, powers=powers, **options)


MODEL = MODELS["gaussian"][0]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: MODEL.sample(2, method="best"), r"method must be one of 'auto', 'exact', .*; got 'best'"),
        (lambda: MODEL.sample(0), "n_samples must be an integer of at least 1"),
        (lambda: MODEL.sample(2, method="exact", thin=2), "thin is for chains, and method='exact' has none"),
        (lambda: MODEL.sample(2, method="gibbs", step_size=1.0), "step_size has no place with method='gibbs'"),
        (lambda: MODEL.sample(2, method="hmc", n_chains=0), "n_chains must be an integer of at least 1"),
        (lambda: MODEL.sample(2, method="hmc", n_warmup=-1), "n_warmup must be an integer of at least 0"),
        (lambda: MODEL.sample(2, method="hmc", thin=0), "thin must be an integer of at least 1"),
        (lambda: MODEL.sample(2, method="hmc", step_size=-1), "step_size must be positive"),
        (lambda: Gaussian().sample(), "not fitted"),
        (
            lambda: ExponentialFamily.from_params(
                theta=[2.0, 2.0],
                statistic_jacobian=jacobian,
                statistic_hessian_diagonal=hessian_diagonal,
                n_statistics=2,
            ).sample(),
            "does not know how many columns it has: pass n_features",
        ),
        (lambda: MODELS["polynomial"][0].sample(method="exact"), "PolynomialExponentialFamily has no exact sampler"),
        (lambda: MODELS["polynomial"][0].sample(method="gibbs"), "PolynomialExponentialFamily has no Gibbs sampler"),
        (lambda: MODELS["pairwise-gamma"][0].sample(method="exact"), "exact draws need a = b = 1"),
        (lambda: MODELS["rbm-large"][0].sample(method="exact"), r"2\^17"),
        (lambda: MODELS["rbm-large-box"][0].sample(method="gibbs"), r"has no Gibbs sampler on Box"),
        (lambda: MODELS["ica-overcomplete"][0].sample(method="exact"), r"as many independent components as columns"),
        (lambda: MODELS["polynomial"][0].sample(method="langevin"), "step_size is needed"),
        (
            lambda: polynomial([1.0, -0.25, 0.1], [[2, 0], [4, 0], [0, 4]]).sample(),
            r"no log density: .* direction 1.00·x1.*nothing to draw from",
        ),
        (
            lambda: scorematch.samplers.hmc(polynomial([0.25], [[4]])),
            r"no log density.*nothing to draw from",
        ),
        (
            lambda: ICA.from_params(components=W, coefficients=[1.0, 1.0, -3.0]).sample(),
            r"coefficients_\[2\] is -3: there is nothing to draw from",
        ),
        (lambda: ICA.from_params(components=W[:1]).sample(), r"constant in directions that no component sees"),
        (
            lambda: ProductOfStudentT.from_params(components=W, exponents=[0.3, 0.3, 0.3]).sample(),
            r"exponents_ add up to 0.9: .* 2 dimensions unless they add up to above 1",
        ),
        (
            lambda: ProductOfStudentT.from_params(components=W, exponents=[0.1, 0.2, 3.0]).sample(),
            r"exponents_\[0\] is 0.1: .* above 0.5",
        ),
    ],
)
def test_what_cannot_be_drawn(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_overcomplete_components_of_negative_coefficient():
    """It is a density as long as the others outweigh it in every direction."""
    model = ICA.from_params(components=W, coefficients=[2.0, 2.0, -0.4])
    X = model.sample(4000, 0)
    mean, covariance, _ = moments(lambda x: -np.log(np.cosh(x @ W.T)) @ [2.0, 2.0, -0.4], [-12] * 2, [12] * 2, None)
    np.testing.assert_allclose(X.mean(axis=0), mean, atol=0.1)
    np.testing.assert_allclose(np.cov(X.T), covariance, atol=0.12 * covariance.max())


def test_truncated_mean_by_the_error_function():
    """Coordinate by coordinate, exactly: E[x] of N(μ, 1) on x ≥ 0 is μ + φ(μ)/Φ(μ)."""
    mean = np.array([-6.0, 0.5])
    model = Gaussian.from_params(mean=mean, covariance=np.eye(2), domain=NonNegative(), weight=MinPower())
    X = model.sample(20_000, 0, method="exact")
    ratio = np.exp(-(mean**2) / 2 - special.log_ndtr(mean)) / np.sqrt(2 * np.pi)
    np.testing.assert_allclose(X.mean(axis=0), mean + ratio, rtol=0.04)


class TwoSquares:
    """A domain of the user's own, in two parts, far out in the tail of the model."""

    def contains(self, X):
        return (np.abs(np.abs(X[:, 0]) - 4.5) <= 0.5) & (np.abs(X[:, 1]) <= 0.5)

    def coordinate_distance(self, X):
        raise AssertionError("who draws asks for nothing but what the domain contains")

    def sample_uniform(self, n, random_state=None, n_features=None):
        random = np.random.RandomState(random_state) if isinstance(random_state, int) else random_state
        points = random.uniform(-0.5, 0.5, size=(n, 2))
        points[:, 0] += random.choice([-4.5, 4.5], size=n)
        return points


def test_parts_of_a_domain_that_only_tells_what_it_contains():
    model = GaussianMixture.from_params(
        weights=[0.5, 0.5], means=[[-0.5, 0.0], [0.5, 0.0]], covariances=[np.eye(2)] * 2, domain=TwoSquares()
    )
    X = model.sample(400, 0, thin=40, n_warmup=60)
    assert TwoSquares().contains(X).all()
    assert abs(np.mean(X[:, 0] > 0) - 0.5) < 4.5 * 0.5 / 20
    points = 4.0 + (np.arange(4000) + 0.5) / 4000
    density = np.exp(-((points - 0.5) ** 2) / 2) + np.exp(-((points + 0.5) ** 2) / 2)
    mean = points @ density / density.sum()
    deviation = np.sqrt((points - mean) ** 2 @ density / density.sum())
    assert abs(np.abs(X[:, 0]).mean() - mean) < 1.5 * 4.5 * deviation / 20


def test_parts_of_a_line():
    """A polynomial with most of its mass in a part where few of the starting points are."""
    parts = Intervals([(-3.0, -1.0), (0.0, 0.5)])
    model = PolynomialExponentialFamily.from_params(
        coef=[4.0, -0.25], powers=[[1], [4]], domain=parts, weight=BoundaryDistance()
    )
    X = model.sample(1000, 0)
    assert parts.contains(X).all()
    grid = np.linspace(-3, 0.5, 35_001)
    density = np.exp(4 * grid - grid**4 / 4) * parts.contains(grid[:, None])
    share = density[grid >= 0].sum() / density.sum()
    assert abs(np.mean(X >= 0) - share) < 1.5 * 4.5 * np.sqrt(share * (1 - share) / 1000)
    assert X.mean() == pytest.approx(grid @ density / density.sum(), abs=0.03)
