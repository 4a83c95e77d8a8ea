"""The compiled objectives, for every family on every domain: against their definitions, written out in NumPy.

The random vectors themselves come from the core, so that a definition can be followed to the last digit; that they are
what they should be is tested here too.
"""

from typing import Any

import cases
import numpy as np
import pytest
from cases import EXAMPLES, Example
from numpy.typing import NDArray
from scipy import stats
from scorematch import _core
from scorematch._field import compiled_field
from scorematch.domains import Sphere

Doubles = NDArray[np.float64]

COMPILED = [example for example in EXAMPLES if example.compiled]
IN_SPACE = [example for example in COMPILED if example.domain is None and not example.on_sphere]
N_ROWS = 37
SEED = 2024
EUCLIDEAN = _core.Field.euclidean()

each_example = pytest.mark.parametrize("example", COMPILED, ids=lambda example: example.name)
each_example_in_space = pytest.mark.parametrize("example", IN_SPACE, ids=lambda example: example.name)


class Setting:
    """A compiled family at some rows, and its derivatives there."""

    def __init__(self, example: Example) -> None:
        self.model = example.model(n_jobs=1)
        self.X = example.data(N_ROWS, seed=3)
        self.family, self.origin = self.model._compiled(), self.model._origin()
        theta = self.model._compiled_theta()
        self.theta = theta * (1 + 0.02 * np.random.default_rng(5).normal(size=len(theta)))
        self.field = compiled_field(self.model._domain(), self.model._settled_weight(self.X), self.X)
        self.on_sphere = example.on_sphere
        self.a, self.b = example.h(self.X)

    def score(self, X: Doubles) -> Doubles:
        """∇ log p̃ in the space around."""
        return _core.evaluate(self.family, self.theta, X, EUCLIDEAN, ["score"], 1, self.origin)["score"]

    def log_density(self, X: Doubles) -> Doubles:
        return _core.evaluate(self.family, self.theta, X, EUCLIDEAN, ["log_density"], 1, self.origin)["log_density"]

    def loss(self, field: Any, weight: Doubles | None = None) -> Any:
        return _core.Loss(self.family, self.X, weight, field, 1, self.origin)

    def curvature_along(self, u: Doubles) -> Doubles:
        """uᵀ∇ψu, by differences of the score function (error of order step⁴)."""
        step = 1e-3 * np.minimum(1, 0.1 / np.abs(u).max(axis=1, keepdims=True))
        if not self.on_sphere and self.a is not None and (self.b != 0).any():
            room = np.where(u != 0, np.abs(self.X) / np.maximum(np.abs(u), 1e-300), np.inf).min(axis=1, keepdims=True)
            step = np.minimum(step, 1e-2 * room)
        one, two = (
            (self.score(self.X + k * step * u) - self.score(self.X - k * step * u)) / (2 * k * step) for k in (1, 2)
        )
        return np.einsum("ij,ij->i", (4 * one - two) / 3, u)

    def along_field(self, v: Doubles) -> tuple[Doubles, Doubles, Doubles]:
        """Sv with A = SSᵀ, ψᵀAψ, and bᵀψ."""
        psi = self.score(self.X)
        if self.on_sphere:
            tangent = psi - self.X * np.einsum("ij,ij->i", self.X, psi)[:, None]
            u = v - self.X * np.einsum("ij,ij->i", self.X, v)[:, None]
            return u, (tangent**2).sum(axis=1), -(self.X.shape[1] - 1) * np.einsum("ij,ij->i", self.X, psi)
        return np.sqrt(self.a) * v, (self.a * psi**2).sum(axis=1), (self.b * psi).sum(axis=1)


def differences(loss: Any, theta: Doubles, indices: NDArray[np.intp]) -> Doubles:
    """Some entries of the gradient, by central differences with an error of order step⁴."""
    found = np.empty(len(indices))
    for k, i in enumerate(indices):
        step = 1e-3 * max(1.0, abs(theta[i]))
        values = []
        for factor in (1, 2):
            ahead, behind = theta.copy(), theta.copy()
            ahead[i] += factor * step
            behind[i] -= factor * step
            values.append((loss(ahead)[0] - loss(behind)[0]) / (ahead[i] - behind[i]))
        found[k] = (4 * values[0] - values[1]) / 3
    return found


def check_gradient(loss: Any, theta: Doubles, tolerance: float = 1e-6) -> None:
    indices = np.random.default_rng(1).permutation(len(theta))[:12]
    gradient = loss(theta)[1]
    error = np.abs(differences(loss, theta, indices) - gradient[indices]).max()
    assert error <= tolerance * max(1.0, np.abs(gradient).max())


@each_example
@pytest.mark.parametrize("variance_reduction", [True, False], ids=["reduced", "plain"])
def test_sliced_follows_its_definition(example, variance_reduction):
    setting = Setting(example)
    field = setting.field.sliced("rademacher", 2, variance_reduction, SEED)
    expected = np.zeros(N_ROWS)
    for v in _core.random_vectors(field, *setting.X.shape).swapaxes(0, 1):
        u, norm, linear = setting.along_field(v)
        if not variance_reduction:
            norm = np.einsum("ij,ij->i", u, setting.score(setting.X)) ** 2
        expected += (norm / 2 + setting.curvature_along(u) + linear) / 2
    weight = np.random.default_rng(2).uniform(0.1, 2, N_ROWS)
    loss = setting.loss(field, weight)
    found, _ = loss(setting.theta)
    size = np.average(np.abs(expected), weights=weight)
    assert found == pytest.approx(np.average(expected, weights=weight), abs=1e-6 * size)
    check_gradient(loss, setting.theta)


@each_example_in_space
@pytest.mark.parametrize("variance_reduction", [True, False], ids=["reduced", "plain"])
def test_denoising_follows_its_definition(example, variance_reduction):
    setting = Setting(example)
    scales, n_vectors = [0.3, 0.05], 2
    field = EUCLIDEAN.denoising(scales, n_vectors, variance_reduction, SEED)
    vectors = _core.random_vectors(field, *setting.X.shape)
    expected = np.zeros(N_ROWS)
    for i, z in enumerate(vectors.swapaxes(0, 1)):
        sigma = scales[i // n_vectors]
        share = sigma**2 / (n_vectors * np.square(scales).sum())
        psi = setting.score(setting.X + sigma * z)
        if variance_reduction:
            change = psi - setting.score(setting.X)
            expected += share * ((psi**2).sum(axis=1) / 2 + np.einsum("ij,ij->i", change, z) / sigma)
        else:
            expected += share * ((psi + z / sigma) ** 2).sum(axis=1) / 2
    loss = setting.loss(field)
    assert loss(setting.theta)[0] == pytest.approx(expected.mean(), rel=1e-11, abs=1e-11 * np.abs(expected).max())
    check_gradient(loss, setting.theta)


@each_example_in_space
def test_finite_differences_follow_their_definition(example):
    setting = Setting(example)
    step = 0.1
    field = EUCLIDEAN.finite_difference(step, "sphere", 2, SEED)
    middle, expected = setting.log_density(setting.X), np.zeros(N_ROWS)
    for v in _core.random_vectors(field, *setting.X.shape).swapaxes(0, 1):
        ahead, behind = setting.log_density(setting.X + step * v), setting.log_density(setting.X - step * v)
        slope, curvature = (ahead - behind) / (2 * step), (ahead - 2 * middle + behind) / step**2
        expected += (slope**2 / 2 + curvature) / 2
    loss = setting.loss(field)
    assert loss(setting.theta)[0] == pytest.approx(expected.mean(), rel=1e-9, abs=1e-9 * np.abs(expected).max())
    check_gradient(loss, setting.theta)


@each_example_in_space
def test_denoising_with_little_noise_is_sliced(example):
    """With variance reduction, along the same Gaussian vectors."""
    setting = Setting(example)
    denoising = setting.loss(EUCLIDEAN.denoising([1e-5], 1, True, SEED))
    sliced = setting.loss(EUCLIDEAN.sliced("gaussian", 1, True, SEED))
    (found, gradient), (expected, other) = denoising(setting.theta), sliced(setting.theta)
    assert found == pytest.approx(expected, rel=1e-3, abs=1e-3)
    np.testing.assert_allclose(gradient, other, rtol=1e-3, atol=1e-3 * np.abs(other).max())


@each_example
def test_gradients_of_samples_add_up(example):
    setting = Setting(example)
    fields = [setting.field.sliced("gaussian", 2, True, SEED)]
    if example in IN_SPACE:
        fields += [EUCLIDEAN.denoising([0.2], 1, True, SEED), EUCLIDEAN.finite_difference(0.1, "gaussian", 1, SEED)]
    for field in fields:
        loss, gradient = setting.loss(field)(setting.theta)
        rows = _core.loss_gradients(setting.family, setting.theta, setting.X, field, 1, setting.origin)
        np.testing.assert_allclose(rows.mean(axis=0), gradient, rtol=1e-9, atol=1e-9 * np.abs(gradient).max())
        total, sums, products = _core.gradient_products(
            setting.family, setting.theta, setting.X, None, field, 1, setting.origin
        )
        assert total == pytest.approx(N_ROWS * loss, rel=1e-10)
        np.testing.assert_allclose(sums, rows.sum(axis=0), rtol=1e-9, atol=1e-9 * np.abs(sums).max())
        np.testing.assert_allclose(products, rows.T @ rows, rtol=1e-9, atol=1e-9 * np.abs(products).max())


@pytest.mark.parametrize("kind", ["sliced", "denoising", "finite_difference"])
def test_objectives_on_every_level_and_any_number_of_threads(kind, level, dtype):
    family = _core.Family("gaussian_mixture", "full", 3, 2, [0.0])
    random = np.random.default_rng(0)
    X = random.normal(size=(30_000, 3)).astype(dtype)
    theta = 1 + 0.3 * random.normal(size=family.n_params)
    field = {
        "sliced": EUCLIDEAN.sliced("rademacher", 1, True, SEED),
        "denoising": EUCLIDEAN.denoising([0.5], 1, True, SEED),
        "finite_difference": EUCLIDEAN.finite_difference(0.5, "gaussian", 1, SEED),
    }[kind]
    one, gradient = _core.Loss(family, X, None, field, 1, None)(theta)
    for n_threads in (2, 3):
        other, same = _core.Loss(family, X, None, field, n_threads, None)(theta)
        assert other == one
        assert gradient.tobytes() == same.tobytes()
    _core.use_level("baseline" if "baseline" in _core.supported_levels() else level)
    exact, reference = _core.Loss(family, X.astype(np.float64), None, field, 1, None)(theta)
    tolerance = 1e-9 if dtype == np.float64 else 1e-4
    assert one == pytest.approx(exact, rel=tolerance)
    np.testing.assert_allclose(gradient, reference, atol=tolerance * np.abs(reference).max())


@pytest.mark.parametrize("projection", ["rademacher", "gaussian", "sphere"])
@pytest.mark.parametrize("d", [1, 2, 5, 130])
def test_random_vectors_are_isotropic(projection, d, level):
    n, n_vectors = 4000, 3
    v = _core.random_vectors(EUCLIDEAN.sliced(projection, n_vectors, True, SEED), n, d)
    assert v.shape == (n, n_vectors, d)
    flat = v.reshape(-1, d)
    # Each entry of the mean and of E[vvᵀ]: five standard errors of 12 000 draws with E[v⁴] ≤ 3.
    assert np.abs(flat.mean(axis=0)).max() < 5 / np.sqrt(len(flat))
    assert np.abs(flat.T @ flat / len(flat) - np.eye(d)).max() < 5 * np.sqrt(3 / len(flat))
    across = np.einsum("ijk,ilk->jl", v, v) / (n * d)  # the vectors of a row do not go together
    assert np.abs(across - np.eye(n_vectors))[~np.eye(n_vectors, dtype=bool)].max() < 5 / np.sqrt(n * d)
    if projection == "rademacher":
        assert set(np.unique(v)) == {-1.0, 1.0}
    elif projection == "gaussian":
        assert stats.kstest(flat[:, 0], "norm").pvalue > 1e-4
    else:
        np.testing.assert_allclose((flat**2).sum(axis=1), d, rtol=1e-12)


def test_random_vectors_belong_to_rows():
    field = EUCLIDEAN.sliced("gaussian", 2, True, SEED)
    all_rows = _core.random_vectors(field, 50, 3)
    np.testing.assert_array_equal(
        _core.random_vectors(EUCLIDEAN.sliced("gaussian", 2, True, SEED, 30), 20, 3), all_rows[30:]
    )
    assert not (_core.random_vectors(EUCLIDEAN.sliced("gaussian", 2, True, SEED + 1), 50, 3) == all_rows).any()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda field: field.sliced("cube", 1, True, 0),
            "projection must be 'rademacher', 'gaussian' or 'sphere'; got 'cube'",
        ),
        (lambda field: field.sliced("sphere", 0, True, 0), "n_projections must be at least 1; got 0"),
        (lambda field: field.denoising([], 1, True, 0), "noise_scales must not be empty"),
        (lambda field: field.denoising([1.0, -1.0], 1, True, 0), "noise_scales must be positive"),
        (lambda field: field.finite_difference(0.0, "sphere", 1, 0), "step must be a positive, finite number"),
        (lambda field: field.sliced("sphere", 1, True, 0, -1), "first_row must not be negative; got -1"),
        (
            lambda field: field.denoising([1.0], 1, True, 0).raised(2.0),
            "a power is for the exact and the sliced objective",
        ),
    ],
)
def test_wrong_objectives_are_refused(make, message):
    with pytest.raises(ValueError, match=message.replace("'", ".")):
        make(EUCLIDEAN)


def test_where_an_objective_has_no_place():
    sphere = _core.Field.sphere()
    for make in (lambda: sphere.denoising([1.0], 1, True, 0), lambda: sphere.finite_difference(1.0, "sphere", 1, 0)):
        with pytest.raises(ValueError, match="is for all of real space"):
            make()
    with pytest.raises(ValueError, match="the exact objective has no random vectors"):
        _core.random_vectors(sphere, 1, 1)


def test_the_cases_have_every_family():
    assert {example.case.family for example in COMPILED} == {
        family.family for family in cases.CASES if getattr(__import__("scorematch"), family.family)._family
    }
    assert any(isinstance(example.model()._domain(), Sphere) or example.on_sphere for example in COMPILED)
