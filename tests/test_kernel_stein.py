"""The kernel Stein discrepancy: its sums against plain NumPy, the test's level and power, who may call it and how."""

import itertools
import subprocess
import sys

import numpy as np
import pytest
from cases import needs_jax
from scipy.integrate import quad
from scipy.spatial.distance import pdist, squareform
from scorematch import (
    BoundaryDistance,
    Box,
    Gaussian,
    MinPower,
    NonNegative,
    Polygon,
    Power,
    VonMisesFisher,
    _core,
    kernel_stein_test,
)
from scorematch.diagnostics import kernel_stein_discrepancy
from scorematch.diagnostics._operator import SteinOperator

KERNELS = ("imq", "gaussian")

# -- The formula, written out --------------------------------------------------------------------------------------


def radial(kernel, r, h):
    """κ(r) and two derivatives."""
    t = r / h**2
    if kernel == "gaussian":
        value = np.exp(-t / 2)
        return value, -value / (2 * h**2), value / (4 * h**4)
    return (1 + t) ** -0.5, -0.5 * (1 + t) ** -1.5 / h**2, 0.75 * (1 + t) ** -2.5 / h**4


def stein_kernel(kernel, h, x, s, A, y, t, B):
    """sᵀt k + sᵀB∇_y k + tᵀA∇_x k + tr(A ∇_x∇_yᵀ k B) of all pairs, with A and B as whole matrices."""
    delta = x[:, None] - y
    value, first, second = radial(kernel, (delta**2).sum(axis=-1), h)
    slope = 2 * first[..., None] * delta  # ∇_x k = −∇_y k
    mixed = -2 * first[..., None, None] * np.eye(x.shape[1])
    mixed = mixed - 4 * second[..., None, None] * delta[..., :, None] * delta[..., None, :]
    u = value * (s @ t.T) - np.einsum("ia,jab,ijb->ij", s, B, slope) + np.einsum("ja,iab,ijb->ij", t, A, slope)
    return u + np.einsum("iab,ijbc,jca->ij", A, mixed, B, optimize=True)


def signs(n, n_draws, seed):
    """Philox 4x32-10 in use 2: draw b has stream b, row i its bit i."""
    word, mask = np.uint64, np.uint64(0xFFFFFFFF)
    block, stream = np.meshgrid(np.arange((n + 127) // 128, dtype=word), np.arange(n_draws, dtype=word))
    c = [block, np.zeros_like(block), stream, np.full_like(block, 2)]
    low, high = seed & 0xFFFFFFFF, seed >> 32
    for _ in range(10):
        even, odd = word(0xD2511F53) * c[0], word(0xCD9E8D57) * c[2]
        c = [(odd >> word(32)) ^ c[1] ^ word(low), odd & mask, (even >> word(32)) ^ c[3] ^ word(high), even & mask]
        low, high = (low + 0x9E3779B9) & 0xFFFFFFFF, (high + 0xBB67AE85) & 0xFFFFFFFF
    words = np.stack(c, axis=-1).astype("<u4").reshape(n_draws, -1)
    return 2.0 * np.unpackbits(words.view(np.uint8), axis=1, bitorder="little")[:, :n] - 1


def operator(setting, n, d, seed=0):
    """Generic points, s, a, and A as matrices."""
    rng = np.random.default_rng(seed)
    X, s = rng.normal(size=(n, d)), rng.normal(size=(n, d))
    if setting == "space":
        return X, s, None, np.broadcast_to(np.eye(d), (n, d, d))
    if setting == "weighted":
        a = rng.uniform(size=(n, d))
        return X, s, a, a[:, :, None] * np.eye(d)
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    A = np.eye(d) - X[:, :, None] * X[:, None]
    return X, np.einsum("nij,nj->ni", A, s) - (d - 1) * X, None, A


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("setting", ["space", "weighted", "sphere"])
def test_sums_are_those_of_numpy(level, dtype, setting, kernel):
    h, n_draws, seed = 1.7, 20, 0x123456789ABCDEF
    for n, d in ((1, 3), (2, 2), (33, 10), (300, 5)):
        X, s, a, A = operator(setting, n, d)
        X, s, a = (None if array is None else array.astype(dtype) for array in (X, s, a))
        x, t = X.astype(float), s.astype(float)
        if setting == "weighted":
            A = a.astype(float)[:, :, None] * np.eye(d)
        u = stein_kernel(kernel, h, x, t, A, x, t, A)
        got = _core.kernel_stein(X, s, a, setting == "sphere", kernel, h, n_draws, seed, 1)
        upper = np.triu(u, 1)
        size = np.sqrt((upper**2).sum()) + np.abs(u).max()
        tolerance = 1e-13 if dtype == np.float64 else 3e-6
        assert got[0] == pytest.approx(np.trace(u), rel=max(tolerance, 1e-14 * n))
        assert got[1] == pytest.approx(upper.sum(), abs=tolerance * size)
        w = signs(n, n_draws, seed)
        np.testing.assert_allclose(got[2], np.einsum("bi,ij,bj->b", w, upper, w), rtol=0, atol=3e-6 * size)


@needs_jax
@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("setting", ["space", "weighted", "sphere"])
def test_the_formula_is_the_operator_applied_twice(setting, kernel):
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    h, d = 1.3, 3
    X, s, _, A = operator(setting, 2, d)

    def k(x, y):
        r = jnp.sum((x - y) ** 2) / h**2
        return jnp.exp(-r / 2) if kernel == "gaussian" else 1 / jnp.sqrt(1 + r)

    # Vector fields x ↦ T_y (k(x, y) e_i), i = 1 … d, and the operator at x on each.
    def field(x):
        return k(x, X[1]) * s[1] + A[1] @ jax.grad(k, argnums=1)(x, X[1])

    want = jnp.trace(A[0] @ jax.jacobian(field)(X[0])) + s[0] @ field(X[0])
    got = stein_kernel(kernel, h, X[:1], s[:1], A[:1], X[1:], s[1:], A[1:])
    assert got[0, 0] == pytest.approx(float(want), rel=1e-12)


def test_more_columns_than_tiles_are_kept_for(level):
    """Tiles of 2 x 6000 rows of 400 numbers, 38 MB in all, are made whenever they are looked at."""
    n, d = 400, 6000
    X = np.random.default_rng(0).normal(size=(n, d))
    h, s = np.sqrt(2.0 * d), -X
    value, first, second = radial("imq", r := squareform(pdist(X, "sqeuclidean")), h)
    # δᵀ(t − s) = r where s = −x
    u = value * (s @ s.T) + 2 * first * (r - d) - 4 * second * r
    got = _core.kernel_stein(X, s, None, False, "imq", h, 0, 0, 2)
    assert got[0] == pytest.approx(np.trace(u), rel=1e-12)
    assert got[1] == pytest.approx(np.triu(u, 1).sum(), abs=1e-12 * np.abs(u).sum())


# -- Models on their domains ---------------------------------------------------------------------------------------

SQUARE = Polygon([(0.0, 0.0), (2.0, 0.0), (2.0, 2.0), (0.0, 2.0)])
MODELS = {
    "space": Gaussian.from_params(mean=[1.0, -1.0], covariance=[[1.0, 0.4], [0.4, 2.0]]),
    "orthant": Gaussian.from_params(mean=[0.5, 0.0], covariance=np.eye(2), domain=NonNegative()),
    "box": Gaussian.from_params(mean=[0.5, 0.0], covariance=np.eye(2), domain=Box(0.0, 1.5), weight=Power(1.0)),
    "polygon": Gaussian.from_params(mean=[1.0, 1.0], covariance=np.eye(2), domain=SQUARE, weight=BoundaryDistance()),
    "sphere": VonMisesFisher.from_params(mean_direction=[0.0, 0.6, 0.8], concentration=2.0),
}
SHIFTED = {
    "space": Gaussian.from_params(mean=[1.6, -1.0], covariance=[[1.0, 0.4], [0.4, 2.0]]),
    "orthant": Gaussian.from_params(mean=[1.5, 0.0], covariance=np.eye(2), domain=NonNegative()),
    "box": Gaussian.from_params(mean=[3.0, 0.0], covariance=np.eye(2), domain=Box(0.0, 1.5), weight=Power(1.0)),
    "polygon": Gaussian.from_params(mean=[3.0, 1.0], covariance=np.eye(2), domain=SQUARE, weight=BoundaryDistance()),
    "sphere": VonMisesFisher.from_params(mean_direction=[0.6, 0.0, 0.8], concentration=2.0),
}


def matrices(op):
    """A of an operator, as matrices."""
    identity = np.eye(op.points.shape[1])
    if op.on_sphere:
        return identity - op.points[:, :, None] * op.points[:, None]
    return np.broadcast_to(identity if op.a is None else op.a[:, :, None] * identity, (*op.points.shape, len(identity)))


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize(
    ("model", "ends"),
    [
        (Gaussian.from_params(mean=[1.0], covariance=[[0.5]]), (-5.0, 7.0)),
        (Gaussian.from_params(mean=[0.2], covariance=[[1.0]], domain=NonNegative(), weight=Power(2.0)), (0.0, 9.0)),
        (Gaussian.from_params(mean=[0.2], covariance=[[1.0]], domain=NonNegative(), weight=MinPower(c=1.0)), (0, 9)),
        (Gaussian.from_params(mean=[0.2], covariance=[[1.0]], domain=Box(-1.0, 1.0), weight=Power(1.0)), (-1.0, 1.0)),
        (VonMisesFisher.from_params(mean_direction=[0.6, 0.8], concentration=2.0), (0.0, 2 * np.pi)),
    ],
    ids=["space", "half-line", "capped", "box", "circle"],
)
def test_mean_of_u_is_zero_under_the_model(model, ends, kernel):
    def points(t):
        return np.array([[np.cos(t), np.sin(t)]]) if model.n_features_in_ == 2 else np.array([[t]])

    middle = SteinOperator.of(model, points(0.3 * ends[0] + 0.7 * ends[1] if ends[1] < 2 else 0.7))

    def weighted(t, power=1):
        at = SteinOperator.of(model, points(t))
        u = stein_kernel(kernel, 0.8, middle.points, middle.s, matrices(middle), at.points, at.s, matrices(at))
        return u[0, 0] ** power * np.exp(model.unnormalized_log_density(at.points)[0])

    # Pieces that end where the weight has a kink.
    cuts = [ends[0], *(cut for cut in (0.0, 1.0) if ends[0] < cut < ends[1]), ends[1]]
    inner = [(low + 1e-12, high - 1e-12) for low, high in itertools.pairwise(cuts)]
    mean = sum(quad(weighted, low, high, limit=60)[0] for low, high in inner)
    size = sum(quad(lambda t: weighted(t, 2), low, high, limit=60)[0] for low, high in inner) ** 0.5
    assert abs(mean) < 1e-6 * size


@pytest.mark.parametrize("name", MODELS)
def test_sums_at_a_model(name):
    X = MODELS[name].sample(60, random_state=3)
    op = SteinOperator.of(SHIFTED[name], X)
    A = matrices(op)
    for kernel in KERNELS:
        u = stein_kernel(kernel, 0.9, X, op.s, A, X, op.s, A)
        result = kernel_stein_test(SHIFTED[name], X, kernel, 0.9, n_bootstrap=30, random_state=0)
        assert result.statistic == pytest.approx(u.mean(), rel=1e-12)
        assert result.statistic == kernel_stein_discrepancy(SHIFTED[name], X, kernel, 0.9)
        assert result.u_statistic == pytest.approx((u.sum() - np.trace(u)) / (60 * 59), rel=1e-12)
        assert result.p_value == (1 + np.count_nonzero(result.draws >= result.statistic)) / 31


@pytest.mark.parametrize("name", MODELS)
def test_level_and_power(name):
    """A p value is below 0.1 in one of ten samples of the model, within chance, and in most of another model."""
    model, n_samples, n_sets = MODELS[name], 80, 200
    X = model.sample(n_samples * n_sets, random_state=1).reshape(n_sets, n_samples, -1)
    level = np.mean(
        [kernel_stein_test(model, x, n_bootstrap=99, random_state=k).p_value <= 0.1 for k, x in enumerate(X)]
    )
    assert abs(level - 0.1) < 3.5 * np.sqrt(0.1 * 0.9 / n_sets)
    p_values = [kernel_stein_test(SHIFTED[name], x, n_bootstrap=99, random_state=0).p_value for x in X[:40]]
    assert np.mean(np.array(p_values) <= 0.1) > 0.8


def test_a_family_with_whatever_parameters():
    """Of models that were fitted to the same rows: the wild bootstrap's p values are too large, those of refits not."""
    rng, n_sets = np.random.default_rng(0), 20
    p_values = {False: [], True: []}
    for k in range(n_sets):
        X = rng.normal(size=(60, 1))
        model = Gaussian(n_jobs=1).fit(X)
        for composite, found in p_values.items():
            result = kernel_stein_test(model, X, n_bootstrap=19, random_state=k, composite=composite)
            assert result.composite == composite
            found.append(result.p_value)
    assert abs(np.mean(p_values[True]) - 0.5) < 3.5 * np.sqrt(1 / 12 / n_sets)
    assert np.mean(p_values[False]) > 0.75
    X = rng.standard_t(3, size=(200, 1))
    assert kernel_stein_test(Gaussian().fit(X), X, n_bootstrap=29, random_state=0, composite=True).p_value == 1 / 30
    with pytest.raises(ValueError, match="composite=True needs a model that can be fitted and drawn from"):
        kernel_stein_test(lambda x: -x, X, composite=True)


# -- What it does not depend on, and what it takes -----------------------------------------------------------------


@pytest.mark.parametrize("name", ["space", "orthant", "sphere"])
def test_number_of_threads_does_not_matter(level, dtype, name):
    X = MODELS[name].sample(1100, random_state=0).astype(dtype)
    one, *others = (kernel_stein_test(MODELS[name], X, random_state=5, n_jobs=n_jobs) for n_jobs in (1, 2, 5))
    for other in others:
        assert (other.statistic, other.p_value, other.bandwidth) == (one.statistic, one.p_value, one.bandwidth)
        np.testing.assert_array_equal(other.draws, one.draws)


def test_a_score_function_is_as_good_as_a_model():
    X = np.random.default_rng(0).normal(size=(50, 3))
    model = Gaussian.from_params(mean=np.zeros(3), covariance=np.eye(3))
    own, theirs = (kernel_stein_test(this, X, random_state=1) for this in (lambda x: -x, model))
    assert (own.statistic, own.p_value) == (theirs.statistic, theirs.p_value)


def test_float32_far_from_the_origin():
    X = np.random.default_rng(0).normal(size=(400, 2)).astype(np.float32) + np.float32(1000)
    model = Gaussian.from_params(mean=[1000.0, 1000.0], covariance=np.eye(2))
    single, double = (kernel_stein_test(model, X.astype(kind), random_state=0) for kind in (np.float32, np.float64))
    assert single.statistic == pytest.approx(double.statistic, rel=1e-4)
    assert single.p_value == pytest.approx(double.p_value, abs=0.002)


def test_units_do_not_matter(dtype):
    """Of data and weights however small, in a type whose range their squares leave."""
    X = np.random.default_rng(0).gamma(3.0, size=(100, 2)).astype(dtype)
    ours, theirs = (
        kernel_stein_test(
            Gaussian.from_params(
                mean=np.full(2, 2 * unit), covariance=3 * unit**2 * np.eye(2), domain=NonNegative(), weight=Power(2.0)
            ),
            X * dtype(unit),
            random_state=0,
        )
        for unit in (1.0, 2.0**-40)
    )
    assert theirs.statistic * 2.0**80 == pytest.approx(ours.statistic, rel=1e-5)
    assert theirs.p_value == ours.p_value


def test_median_bandwidth():
    X = np.random.default_rng(0).normal(size=(200, 2))
    model = MODELS["space"]
    assert kernel_stein_test(model, X, n_bootstrap=9).bandwidth == np.median(pdist(X))
    tied = np.repeat([[0.0, 0.0], [3.0, 4.0]], [18, 2], axis=0)
    assert kernel_stein_test(model, tied, n_bootstrap=9).bandwidth == 5.0
    many = np.random.default_rng(0).normal(size=(5000, 2))
    first, again = (kernel_stein_test(model, many, n_bootstrap=9, random_state=2).bandwidth for _ in range(2))
    assert first == again == pytest.approx(np.median(pdist(many[:1500])), rel=0.05)
    with pytest.raises(ValueError, match="all the same"):
        kernel_stein_test(model, np.ones((5, 2)))


def test_no_square_of_the_number_of_rows_in_memory():
    """6000 rows: an array of all pairs would take 144 MB in float32."""
    program = """
import resource, numpy as np
from scorematch.diagnostics import kernel_stein_test
X = np.random.default_rng(0).normal(size=(6000, 2))
kernel_stein_test(lambda x: -x, X[:500], n_bootstrap=200)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
kernel_stein_test(lambda x: -x, X, n_bootstrap=200, n_jobs=1)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 40_000  # kB


def test_what_it_says():
    result = kernel_stein_test(MODELS["space"], MODELS["space"].sample(100, random_state=0), random_state=0)
    assert "KernelSteinTest(statistic=" in repr(result)
    assert "draws" not in repr(result)
    assert f"p = {result.p_value:.3g}" in str(result)
    with pytest.raises(AttributeError):
        result.p_value = 0.0


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"X": [[1.0, 2.0]]}, "at least 2 rows of X; got 1"),
        ({"X": [[1.0], [2.0]]}, "2 features"),
        ({"X": [[1.0, np.nan], [2.0, 0.0]]}, "row 0, column 1"),
        ({"kernel": "laplace"}, "kernel must be 'imq' or 'gaussian'; got 'laplace'"),
        ({"bandwidth": 0}, "bandwidth must be 'median' or a positive number; got 0"),
        ({"bandwidth": "mean"}, "bandwidth must be 'median'"),
        ({"bandwidth": np.inf}, "bandwidth must be 'median'"),
        ({"n_bootstrap": 0}, "n_bootstrap must be an integer of at least 1"),
        ({"n_jobs": 0}, "n_jobs must be"),
        ({"model": lambda x: x[:, :1]}, r"model \(<lambda>\) must return an array of shape"),
        ({"model": lambda x: np.log(np.minimum(x, 0) + 1)[:, :1] * x / 0}, "model .* returned NaN or infinity"),
        ({"model": lambda x: x, "X": 1e200 * np.arange(6.0).reshape(3, 2)}, "distances .* out of the range of float64"),
        ({"model": lambda x: 1e200 * x}, "discrepancy is out of the range of float64"),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero", "ignore:invalid value")
def test_errors(options, says):
    arguments = {"model": MODELS["space"], "X": np.arange(12.0).reshape(6, 2), **options}
    with pytest.raises(ValueError, match=says):
        kernel_stein_test(arguments.pop("model"), arguments.pop("X"), **arguments)


def test_models_that_are_none():
    with pytest.raises(TypeError, match="model must be a fitted model"):
        kernel_stein_test("gaussian", np.eye(2))
    with pytest.raises(TypeError, match="model must be a fitted model"):
        kernel_stein_test(Gaussian, np.eye(2))
    with pytest.raises(ValueError, match="not fitted yet"):
        kernel_stein_test(Gaussian(), np.eye(2))
    with pytest.raises(ValueError, match="lies on the boundary"):
        kernel_stein_test(MODELS["orthant"], np.array([[1.0, 0.0], [1.0, 2.0]]))
