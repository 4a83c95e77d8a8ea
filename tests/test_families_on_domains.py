"""Families on parts of space: domains of the library and of the user's own, with any weight."""

import pickle
import tracemalloc

import numpy as np
import pytest
import scorematch
from scorematch import (
    MCP,
    Ball,
    BoundaryDistance,
    Box,
    ExponentialFamily,
    Gaussian,
    GaussianBernoulliRBM,
    GaussianMixture,
    MinPower,
    NonNegative,
    Polygon,
    PolynomialExponentialFamily,
    Polytope,
    Power,
    ProductOfStudentT,
    RealSpace,
    StudentT,
    Tanh,
)
from scorematch.weights import Log1p

CORNERS = [(0.0, 0.5), (1.0, 1.0), (1.0, 2.0), (4.0, 1.0), (2.0, 0.0)]
MEAN, COVARIANCE = np.array([2.0, 1.0]), np.array([[1.0, 0.3], [0.3, 0.5]])


class Square:
    """−3 ≤ x_j ≤ 3, as a user writes it: no base class."""

    def contains(self, X):
        return np.all(np.abs(X) <= 3, axis=1)

    def coordinate_distance(self, X):
        return 3 - np.abs(X.astype(float)), -np.sign(X.astype(float))

    def distance(self, X):
        distance, slope = self.coordinate_distance(X)
        nearest = np.arange(X.shape[1]) == distance.argmin(axis=1)[:, None]
        return distance.min(axis=1), slope * nearest


def in_square(n, d=2, seed=0):
    X = np.random.default_rng(seed).normal(0.7, 1.5, size=(6 * n, d))
    return X[Square().contains(X)][:n]


def own_family(**options):
    """Independent normals: the statistics x_j and −x_j²/2 of two coordinates."""

    def jacobian(x):
        D = np.zeros((len(x), 4, 2))
        D[:, [0, 1], [0, 1]], D[:, [2, 3], [0, 1]] = 1, -x
        return D

    def hessian_diagonal(x):
        H = np.zeros((len(x), 4, 2))
        H[:, [2, 3], [0, 1]] = -1
        return H

    return ExponentialFamily(jacobian, hessian_diagonal, 4, **options)


FAMILIES = {
    "gaussian": Gaussian,
    "student t": lambda **options: StudentT(200.0, **options),
    "mixture": lambda **options: GaussianMixture(1, **options),
    "polynomial": lambda **options: PolynomialExponentialFamily(2, **options),
    "exponential": own_family,
    "product": lambda **options: ProductOfStudentT(whiten=False, max_iter=5, random_state=0, **options),
    "machine": lambda **options: GaussianBernoulliRBM(1, max_iter=5, random_state=0, **options),
}
each_family = pytest.mark.parametrize("make", FAMILIES.values(), ids=FAMILIES.keys())
WEIGHTS = (None, Tanh(1.0), MinPower(c=1.5, p=2.0), BoundaryDistance(), (np.tanh, lambda x: 1 / np.cosh(x) ** 2))
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


# -- One domain, said in several ways --------------------------------------------------------------------------------


@each_family
@pytest.mark.parametrize("weight", WEIGHTS, ids=["default", "tanh", "min power", "boundary distance", "functions"])
def test_own_domain_is_as_good_as_the_librarys(make, weight):
    X = in_square(2000)
    ours, own = make(domain=Box(-3, 3), weight=weight).fit(X), make(domain=Square(), weight=weight).fit(X)
    np.testing.assert_allclose(own.theta_, ours.theta_, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(own.hyvarinen_score(X), ours.hyvarinen_score(X), rtol=1e-12, atol=1e-10)
    loss, _ = own.loss_and_grad(own.theta_, X)
    assert loss == pytest.approx(own.objective_, rel=1e-10)
    assert -own.score(X) == pytest.approx(loss, rel=1e-10)


@each_family
def test_table_equals_the_compiled_weight(make):
    """A domain that is NonNegative() by another name goes through tables, on minibatches too."""
    X = np.abs(in_square(1500)) + 1e-3
    for weight in (MinPower(c=(1.0, 0.5), p=1.5), Power(2.0), Log1p(), MCP((1.0, 0.5), 2.0)):
        compiled = make(domain=NonNegative(), weight=weight).fit(X)
        table = make(domain=Box(0.0, np.inf), weight=weight).fit(X)
        np.testing.assert_allclose(table.theta_, compiled.theta_, rtol=1e-5, atol=1e-7)
        np.testing.assert_allclose(
            table.loss_and_grad(compiled.theta_, X)[1], compiled.loss_and_grad(compiled.theta_, X)[1], atol=1e-9
        )


@pytest.mark.parametrize("weight", [MinPower(c=0.7, p=2.0), BoundaryDistance(cap=1.0)], ids=repr)
@pytest.mark.parametrize("weighted", [False, True])
def test_minibatches(weight, weighted):
    """One batch of all rows is a step on all of them: the rows of the table are those of the batch."""
    X = np.abs(in_square(300)) + 1e-3
    rows = np.random.default_rng(1).uniform(0.5, 2, len(X)) if weighted else None

    def fitted(domain):
        model = GaussianBernoulliRBM(1, domain=domain, weight=weight, batch_size=64, max_epochs=3, random_state=0)
        return model.fit(X, sample_weight=rows)

    box = fitted(Box(0.0, np.inf))
    np.testing.assert_allclose(box.theta_, fitted(NonNegative()).theta_, rtol=1e-9)
    assert box.history_[-1] < box.history_[0]


# -- Estimates -------------------------------------------------------------------------------------------------------


def truncated_normal(domain, n, seed=0):
    random, kept = np.random.default_rng(seed), []
    while sum(map(len, kept)) < n:
        X = random.multivariate_normal(MEAN, COVARIANCE, 4 * n)
        kept.append(X[domain.contains(X)])
    return np.concatenate(kept)[:n]


@pytest.mark.parametrize(
    "domain",
    [
        Polygon(CORNERS),
        Polygon([(0, 0), (4, 0), (4, 3), (2, 1), (0, 3)]),  # not convex
        Box([0.0, -np.inf], [3.0, 1.5]),
        Ball(2.5),
        Ball(3.0, norm=1, nonnegative=True),
        Polytope([[1.0, 1.0], [-1.0, 0.5]], [3.0, 0.5]),
    ],
    ids=repr,
)
@pytest.mark.parametrize("weight", [None, BoundaryDistance(), MinPower(quantile=0.8)], ids=repr)
def test_truncated_gaussian(domain, weight):
    X = truncated_normal(domain, 40_000)
    model = Gaussian(domain=domain, weight=weight).fit(X)
    # The naive estimate is far off; ours is within some standard errors.
    naive = np.abs(np.cov(X.T) - COVARIANCE).max()
    assert np.abs(model.mean_ - MEAN).max() < 0.15
    assert np.abs(model.covariance_ - COVARIANCE).max() < 0.15 < naive
    # The Student t with many degrees of freedom and the polynomial are the same model.
    square = PolynomialExponentialFamily(2, domain=domain, weight=weight).fit(X)
    np.testing.assert_allclose(square.score_function(X[:50]), model.score_function(X[:50]), rtol=1e-6, atol=1e-8)


def test_mean_of_unit_normal_in_a_polygon():
    """With the covariance known to be I the estimate is (Σ g x − Σ ∇g) / Σ g (Liu, Kanamori and Williams 2022)."""
    domain = Polygon(CORNERS)
    X = domain.sample_uniform(500, random_state=0)
    g, gradient = domain.distance(X)
    gamma, linear = Gaussian(domain=domain, weight=BoundaryDistance()).quadratic_form(X)
    known = np.array([1.0, 0.0, 1.0])
    eta = np.linalg.solve(gamma[3:, 3:], linear[3:] - gamma[3:, :3] @ known)
    np.testing.assert_allclose(eta, (g @ X - gradient.sum(axis=0)) / g.sum(), rtol=1e-12)


@pytest.mark.parametrize("kind", ["full", "diag", "spherical"])
def test_shared_weight_in_the_closed_form(kind):
    """Sums that all coordinates share, against the objective itself."""
    domain = Polygon(CORNERS)
    X = truncated_normal(domain, 3000)
    model = Gaussian(kind, domain=domain, weight=BoundaryDistance()).fit(X)
    _, gradient = model.loss_and_grad(model.theta_, X)
    assert np.abs(gradient).max() < 1e-11


# -- Weights that are settled on the data -----------------------------------------------------------------------------


def test_default_weight_goes_with_the_scale():
    X = np.abs(in_square(3000))
    one = Gaussian(domain=NonNegative()).fit(X)
    other = Gaussian(domain=NonNegative()).fit(X * [1000.0, 1e-3])
    np.testing.assert_allclose(other.mean_, one.mean_ * [1000.0, 1e-3], rtol=1e-8)
    assert one.weight is None
    assert np.shape(one.weight_.lam) == (2,)


def test_caps_are_those_of_the_training_data():
    X = in_square(2000)
    model = Gaussian(domain=Box(-3, 3), weight=MinPower(quantile=0.5)).fit(X)
    caps = np.quantile(3 - np.abs(X), 0.5, axis=0, method="inverted_cdf")
    assert model.weight_ == MinPower(c=tuple(caps))
    fixed = Gaussian(domain=Box(-3, 3), weight=MinPower(c=tuple(caps))).fit(X)
    np.testing.assert_array_equal(model.theta_, fixed.theta_)
    np.testing.assert_array_equal(model.hyvarinen_score(X[:10]), fixed.hyvarinen_score(X[:10]))
    # Blocks after the first are seen with the caps of the first.
    first = Gaussian(domain=Box(-3, 3), weight=MinPower(quantile=0.5)).partial_fit(X[:1000])
    caps = first.weight_
    assert first.partial_fit(X[1000:]).weight_ == caps


def test_many_rows_are_seen_in_blocks():
    X = in_square(150_000)
    model = Gaussian(domain=Square(), weight=BoundaryDistance(), n_jobs=1)
    tracemalloc.start()
    model.fit(X)
    model.hyvarinen_score(X)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5 * X.nbytes  # the table alone of all rows would be 1.5 times X, its making three times as much
    half = Gaussian(domain=Square(), weight=BoundaryDistance()).partial_fit(X[:70_000]).partial_fit(X[70_000:])
    np.testing.assert_allclose(half.theta_, model.theta_, rtol=1e-10)
    score = model.hyvarinen_score(X)
    np.testing.assert_array_equal(score[140_000:], model.hyvarinen_score(X[140_000:]))


# ExponentialFamily has no threads of its own.
@pytest.mark.parametrize("make", [make for make in FAMILIES.values() if make is not own_family])
def test_threads_change_no_bit(make):
    X = in_square(70_000 if make is Gaussian else 9000)
    models = [make(domain=Box(-3, 3), weight=BoundaryDistance(), n_jobs=n).fit(X) for n in (1, 2)]
    np.testing.assert_array_equal(models[0].theta_, models[1].theta_)


def test_files_and_pickles(tmp_path):
    X = in_square(500)
    for domain, weight in [(Box(-3, np.inf), None), (Ball(9.0), BoundaryDistance(quantile=0.5)), (Box(-3, 3), Tanh(2))]:
        model = Gaussian(domain=domain, weight=weight).fit(X)
        scorematch.save_model(model, tmp_path / "m.json")
        for other in (scorematch.load_model(tmp_path / "m.json"), pickle.loads(pickle.dumps(model))):
            assert other.domain == domain
            assert other.weight_ == model.weight_
            np.testing.assert_array_equal(other.hyvarinen_score(X), model.hyvarinen_score(X))
    model = Gaussian(domain=Square()).fit(X)
    with pytest.raises(ValueError, match="its option domain is an object of your own"):
        scorematch.save_model(model, tmp_path / "m.json")


def test_samples_lie_in_the_domain():
    domain = Polygon(CORNERS)
    model = Gaussian.from_params(mean=MEAN, covariance=COVARIANCE, domain=domain)
    X = model.sample(4000, random_state=0)
    assert domain.contains(X).all()
    wanted = truncated_normal(domain, 40_000, seed=5).mean(axis=0)
    assert np.abs(X.mean(axis=0) - wanted).max() < 0.05


# -- What is asked of the density alone needs no weight ---------------------------------------------------------------


def test_density_on_the_boundary():
    model = Gaussian.from_params(mean=[0.0, 0.0], covariance=np.eye(2), domain=Box(0, 1))
    corner = np.array([[0.0, 1.0]])
    np.testing.assert_array_equal(model.score_function(corner), [[0.0, -1.0]])
    assert model.unnormalized_log_density(corner) == pytest.approx(-0.5)
    with pytest.raises(ValueError, match="row 0 of X lies on the boundary"):
        model.hyvarinen_score(corner)


# -- Bad input --------------------------------------------------------------------------------------------------------


class Wrong(Square):
    def __init__(self, distance=None, contains=None):
        self.pair, self.inside = distance, contains

    def contains(self, X):
        return super().contains(X) if self.inside is None else self.inside

    def coordinate_distance(self, X):
        return self.pair(X)


class WithoutDistance:
    contains, coordinate_distance = Square.contains, Square.coordinate_distance


X = in_square(50)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: Gaussian(domain=Box(-1, 1)).fit(X), ValueError, r"must lie in Box.*row \d+ does not: .*column"),
        (lambda: Gaussian(domain=Box(-3, 3)).fit(np.vstack([X, [3.0, 0]])), ValueError, "row 50 of X lies on the bou"),
        (lambda: Gaussian(domain=NonNegative()).fit(np.vstack([np.abs(X), [1.0, 0]])), ValueError, "row 50.*column 1"),
        (lambda: Gaussian(domain=Polygon(CORNERS)).fit(np.ones((5, 3))), ValueError, "must have 2 columns"),
        (lambda: Gaussian(domain=Box(-np.inf, np.inf), weight=BoundaryDistance()).fit(X), ValueError, "no boundary"),
        (lambda: Gaussian(domain=Box([-3, -np.inf], [3, np.inf]), weight=Power()).fit(X), ValueError, "along column 1"),
        (lambda: Gaussian(domain=RealSpace(), weight=MinPower()).fit(X), ValueError, "no boundary"),
        (lambda: Gaussian(domain=Square).fit(X), TypeError, "domain must be one of.*methods contains and coord"),
        (lambda: Gaussian(domain="box").fit(X), TypeError, "domain must be one of.*'box'"),
        (lambda: Gaussian(domain=Box(-3, 3), weight="tanh").fit(X), TypeError, "'tanh'"),
        (
            lambda: Gaussian(domain=WithoutDistance(), weight=BoundaryDistance()).fit(X),
            TypeError,
            "needs a domain that has the method distance",
        ),
        (lambda: Gaussian(domain=Wrong(contains=np.ones(3, bool))).fit(X), TypeError, "a bool for each row"),
        (
            lambda: Gaussian(domain=Wrong(lambda X: (np.ones(len(X)), np.ones(X.shape)))).fit(X),
            ValueError,
            r"arrays of shapes \(50, 2\)",
        ),
        (
            lambda: Gaussian(domain=Wrong(lambda X: (-np.ones(X.shape), np.ones(X.shape)))).fit(X),
            ValueError,
            "distances of at least 0",
        ),
        (
            lambda: Gaussian(domain=Wrong(lambda X: (np.ones(X.shape), np.full(X.shape, np.nan)))).fit(X),
            ValueError,
            "finite derivatives",
        ),
    ],
)
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call()
