"""What the contract tests know of each family: generic models, data on the right domain, and the formula of log p.

The formulas are written from the documented layout of θ, not from the library's code, and for any array module: with
NumPy they give values, with JAX all derivatives. They are the independent truth of `test_contract.py`.

A new family adds its cases here; `test_contract.py` fails where one is missing.
"""

from __future__ import annotations

import functools
import importlib.util
import itertools
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import scorematch
from scorematch import Ball, BoundaryDistance, Box, Log1p, MinPower, NonNegative, Power, Simplex, Tanh

# Of what has no wheel of JAX, derivatives are checked by differences alone.
needs_jax = pytest.mark.skipif(
    importlib.util.find_spec("jax") is None, reason="JAX, the independent truth, is not installed"
)

Formula = Callable[[Any, Any, Any], Any]  # (array module, θ, points (..., d)) -> log p (...)


@dataclass(frozen=True, eq=False)
class Case:
    """A family in one variant, with generic parameters."""

    name: str
    family: str
    n_features: int
    parameters: dict[str, Any]  # arguments of from_params
    formula: Formula
    draw: Callable[[np.random.Generator, int], np.ndarray]
    settings: tuple[dict[str, Any], ...] = ({},)  # constructor arguments: domain and weight
    n_rows_for_threads: int = 100_000  # enough work for the engine to start threads
    fit_options: dict[str, Any] = field(default_factory=dict)
    attributes: dict[str, Any] = field(default_factory=dict)  # of a fitted model, beyond what from_params sets


@dataclass(frozen=True, eq=False)
class Example:
    """A case on one of its domains, with one weight."""

    case: Case
    setting: dict[str, Any]
    name: str

    def model(self, **options: Any) -> Any:
        model = self.constructor.from_params(**self.case.parameters, **self.setting, **self._taken(options))
        for name, value in self.case.attributes.items():
            setattr(model, name, value)
        model._set_theta(model.theta_)
        return model

    def unfitted(self, **options: Any) -> Any:
        own = {
            name: value for name, value in self.case.parameters.items() if name in self.constructor._get_param_names()
        }
        return self.constructor(**{**own, **self.setting, **self.case.fit_options, **self._taken(options)})

    def _taken(self, options: dict[str, Any]) -> dict[str, Any]:
        """Less the number of threads where the family has none of its own."""
        return {name: value for name, value in options.items() if self.compiled or name != "n_jobs"}

    @property
    def constructor(self) -> Any:
        return getattr(scorematch, self.case.family)

    @property
    def compiled(self) -> bool:
        """Whether its derivatives are those of a compiled family."""
        return bool(self.constructor._family)

    @property
    def weight(self) -> Any:
        return self.setting.get("weight")

    @property
    def domain(self) -> Any:
        return self.setting.get("domain")

    @property
    def on_sphere(self) -> bool:
        return self.case.family == "VonMisesFisher"

    @property
    def has_quadratic_form(self) -> bool:
        return hasattr(self.constructor, "quadratic_form")

    def data(self, n: int, seed: int = 0) -> np.ndarray:
        """`n` points in the domain, float64.

        But for the sphere they are numbers that float32 holds too, so that both float types see the same points.
        """
        X = self.case.draw(np.random.default_rng(seed), n)
        if self.on_sphere:
            return X
        X = X.astype(np.float32).astype(np.float64)
        if not isinstance(self.domain, NonNegative):
            return X
        X = np.abs(X)
        if n > 2 and self.case.n_features > 1:
            # Next to the boundary, and the kink of a capped weight.
            if getattr(self.weight, "p", 1.0) >= 1:
                X[0, 0] = 2.0**-20
            if isinstance(self.weight, MinPower):
                X[1, 1] = np.broadcast_to(self.weight.c, self.case.n_features)[1]
        return X

    def h(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The weight of each coordinate and its derivative along it; 1 and 0 where there is none."""
        if self.weight is None:
            return np.ones_like(X), np.zeros_like(X)
        if isinstance(self.weight, BoundaryDistance):
            g, gradient = self.weight(*self.domain.distance(X))
            return np.broadcast_to(g, X.shape), gradient
        distance, sign = self.domain.coordinate_distance(X)
        h, derivative = self.weight(distance)
        return h, derivative * sign


# -- Gaussian -----------------------------------------------------------------------------------------------------


def symmetric_index(d: int) -> np.ndarray:
    """Where entry (i, j) of a symmetric matrix stands among those of its upper triangle, taken row by row."""
    index = np.zeros((d, d), dtype=int)
    counter = 0
    for i in range(d):
        for j in range(i, d):
            index[i, j] = index[j, i] = counter
            counter += 1
    return index


def gaussian_formula(covariance_type: str) -> Formula:
    def log_density(xp: Any, theta: Any, x: Any) -> Any:
        d = x.shape[-1]
        upper, linear = theta[:-d], theta[-d:]
        precision = upper[symmetric_index(d)] if covariance_type == "full" else xp.eye(d) * upper  # (d,) or (1,)
        return xp.sum(x * (linear - x @ precision / 2), axis=-1)

    return log_density


def generic_covariance(random: np.random.Generator, d: int, kind: str) -> np.ndarray:
    """A covariance of order 1 in the shape that `kind` asks for: "full", "diag" or "spherical"."""
    if kind == "spherical":
        return np.asarray(random.uniform(0.5, 1.5))
    if kind == "diag":
        return random.uniform(0.4, 1.6, d)
    root = random.normal(size=(d, d)) / np.sqrt(d)
    return root @ root.T + 0.4 * np.eye(d)


def orthant_settings(d: int) -> tuple[dict[str, Any], ...]:
    caps = tuple(float(c) for c in np.linspace(0.5, 1.5, d).astype(np.float32))
    weights = (MinPower(c=1.0, p=1.0), MinPower(c=caps, p=1.5), Power(2.0), Power(0.5), Log1p())
    return tuple({"domain": NonNegative(), "weight": weight} for weight in weights)


# Large enough for all data of the cases.
REGIONS = (
    {"domain": Box(-60.0, 80.0), "weight": Tanh(0.01)},
    {"domain": Box(-np.inf, 50.0), "weight": MinPower(c=40.0, p=0.5)},
    {"domain": Ball(90.0), "weight": BoundaryDistance()},
    {"domain": Ball(90.0, norm=1), "weight": BoundaryDistance(cap=50.0)},
)


def gaussian(covariance_type: str, d: int) -> Case:
    random = np.random.default_rng(17 * d)
    parameters = {
        "covariance_type": covariance_type,
        "mean": random.normal(size=d),
        "covariance": generic_covariance(random, d, covariance_type),
    }
    mixing, shift = random.normal(size=(d, d)) / np.sqrt(d), random.normal(size=d)
    return Case(
        f"gaussian-{covariance_type}",
        "Gaussian",
        d,
        parameters,
        gaussian_formula(covariance_type),
        lambda random, n: random.normal(size=(n, d)) @ mixing + random.normal(size=(n, d)) / 2 + shift,
        ({}, *REGIONS, *orthant_settings(d)),
        n_rows_for_threads=200_000,
    )


def indefinite_gaussian(d: int) -> Case:
    """What the truncation alone makes a density."""
    random = np.random.default_rng(23)
    precision = np.eye(d)
    precision[0, 1] = precision[1, 0] = 1.2
    case = gaussian("full", d)
    return Case(
        "gaussian-indefinite",
        "Gaussian",
        d,
        {"mean": random.normal(size=d), "precision": precision},
        case.formula,
        case.draw,
        orthant_settings(d)[:1],
    )


# -- Gaussian mixture ---------------------------------------------------------------------------------------------


def inverse_and_log_determinant(xp: Any, matrices: Any) -> tuple[Any, Any]:
    """Gauss-Jordan elimination of a stack of positive definite matrices.

    JAX takes many times as long to compile the derivatives of its own.
    """
    d = matrices.shape[-1]
    augmented = xp.concatenate([matrices, np.eye(d) * np.ones((len(matrices), 1, 1))], axis=-1)
    rows = [augmented[:, i] for i in range(d)]
    log_determinant = 0.0
    for k in range(d):
        pivot = rows[k][:, k : k + 1]
        log_determinant = log_determinant + xp.log(pivot[:, 0])
        rows[k] = rows[k] / pivot
        rows = [row if i == k else row - row[:, k : k + 1] * rows[k] for i, row in enumerate(rows)]
    return xp.stack([row[:, d:] for row in rows], axis=1), log_determinant


def mixture_formula(covariance_type: str, n_components: int, floor: float) -> Formula:
    def log_density(xp: Any, theta: Any, x: Any) -> Any:
        d = x.shape[-1]
        ratio, theta = theta[: n_components - 1], theta[n_components - 1 :]
        means, spread = theta[: n_components * d].reshape(n_components, d), theta[n_components * d :]
        if covariance_type in ("full", "tied"):
            position = symmetric_index(d)  # that of the lower triangle follows from counting its rows
            for i in range(d):
                position[i, : i + 1] = i * (i + 1) // 2 + np.arange(i + 1)
            packed = spread.reshape(-1, d * (d + 1) // 2)[:, position]
            lower = np.tri(d, k=-1)
            root = xp.where(lower, packed, 0.0) + xp.where(np.eye(d), xp.exp(packed * np.eye(d)), 0.0)
            covariances = root @ xp.swapaxes(root, -1, -2) + floor * np.eye(d)
        else:
            variances = xp.exp(spread.reshape(n_components, -1)) ** 2 + floor
            covariances = variances[:, :, None] * np.eye(d)
        precisions, log_determinants = inverse_and_log_determinant(xp, covariances * np.ones((n_components, 1, 1)))
        delta = x[..., None, :] - means
        distance = xp.einsum("...ki,kij,...kj->...k", delta, precisions, delta)
        log_weights = xp.concatenate([ratio, np.zeros(1)])
        terms = log_weights - log_determinants / 2 - distance / 2
        largest = xp.max(terms, axis=-1, keepdims=True)
        return largest[..., 0] + xp.log(xp.sum(xp.exp(terms - largest), axis=-1))

    return log_density


def mixture(covariance_type: str, d: int, n_components: int = 3, floor: float = 0.0) -> Case:
    random = np.random.default_rng(1000 * n_components + d)
    means = random.normal(scale=1.5, size=(n_components, d))
    kind = "full" if covariance_type == "tied" else covariance_type
    covariances = np.stack([generic_covariance(random, d, kind) for _ in range(n_components)])
    weights = random.uniform(0.5, 1.5, n_components)
    parameters = {
        "covariance_type": covariance_type,
        "weights": weights / weights.sum(),
        "means": means,
        "covariances": covariances[0] if covariance_type == "tied" else covariances,
    }

    def draw(random: np.random.Generator, n: int) -> np.ndarray:
        # Further apart than the model's, so that fits do not end in a collapse.
        return 2 * means[random.integers(n_components, size=n)] + random.normal(size=(n, d))

    return Case(
        f"gaussian-mixture-{covariance_type}" + ("-floor" if floor else ""),
        "GaussianMixture",
        d,
        parameters,
        mixture_formula(covariance_type, n_components, floor),
        draw,
        ({}, *(() if floor else REGIONS), *(orthant_settings(d)[:1] if floor else orthant_settings(d))),
        n_rows_for_threads=16_000,
        fit_options={"n_components": n_components, "n_init": 2, "max_iter": 4, "random_state": 0},
        attributes={"_floor": floor},
    )


# -- Independent components ---------------------------------------------------------------------------------------


def ica_formula(
    nonlinearity: str, shape: tuple[int, int], mean: np.ndarray, coefficients: np.ndarray | None
) -> Formula:
    m, d = shape

    def log_density(xp: Any, theta: Any, x: Any) -> Any:
        alpha = theta[m * d :] if coefficients is None else coefficients
        power, rate = (1.0, 1.0) if nonlinearity == "logcosh" else (2.0, np.pi / (2 * np.sqrt(3)))
        s = rate * ((x - mean) @ theta[: m * d].reshape(m, d).T)
        log_cosh = xp.logaddexp(s, -s) - np.log(2)
        return -power * xp.sum(alpha * log_cosh, axis=-1)

    return log_density


def ica(
    nonlinearity: str,
    m: int,
    d: int,
    *,
    fit_coefficients: bool = False,
    centred: bool = True,
    name: str = "",
    **fit_options: Any,
) -> Case:
    random = np.random.default_rng(100 * m + d)
    components = random.normal(size=(m, d)) / np.sqrt(d) + 0.7 * np.eye(m, d)
    coefficients = random.uniform(0.5, 1.5, m)
    mean = np.zeros(d) if centred else random.normal(size=d)
    parameters = {
        "nonlinearity": nonlinearity,
        "fit_coefficients": fit_coefficients,
        "components": components,
        "coefficients": coefficients,
        "mean": mean,
    }
    mixing = np.linalg.pinv(0.7 * np.eye(d) + random.normal(size=(d, d)) / 3)
    return Case(
        f"ica-{nonlinearity}{name}",
        "ICA",
        d,
        parameters,
        ica_formula(nonlinearity, (m, d), mean, None if fit_coefficients else coefficients),
        lambda random, n: random.laplace(scale=np.sqrt(0.5), size=(n, d)) @ mixing.T + mean,
        n_rows_for_threads=32_000,
        fit_options={"n_components": m, "max_iter": 8, "random_state": 0, "whiten": m <= d, **fit_options},
    )


# -- Von Mises-Fisher ---------------------------------------------------------------------------------------------


def von_mises_fisher(d: int) -> Case:
    direction = np.random.default_rng(d).normal(size=d)
    direction /= np.linalg.norm(direction)

    def draw(random: np.random.Generator, n: int) -> np.ndarray:
        X = random.normal(size=(n, d)) + direction
        return X / np.linalg.norm(X, axis=1, keepdims=True)

    return Case(
        f"von-mises-fisher-{d}",
        "VonMisesFisher",
        d,
        {"mean_direction": direction, "concentration": 2.3},
        lambda xp, theta, x: x @ theta,
        draw,
        n_rows_for_threads=300_000,
    )


# -- Polynomials --------------------------------------------------------------------------------------------------


def graded_powers(d: int, degree: int, interactions: bool) -> np.ndarray:
    """The exponents in the documented order, by counting: (p, d)."""
    rows = []
    for total in range(1, degree + 1):
        for chosen in itertools.combinations_with_replacement(range(d), total):
            if interactions or len(set(chosen)) == 1:
                rows.append([chosen.count(j) for j in range(d)])
    return np.array(rows)


def polynomial_formula(powers: np.ndarray) -> Formula:
    d = powers.shape[1]
    # Each monomial as a list of columns, filled up with a column of ones: JAX has trouble with 0 to the power of 0.
    factors = [[j for j in range(d) for _ in range(power[j])] for power in powers]
    degree = max(map(len, factors))
    columns = np.array([[*chosen, *[d] * (degree - len(chosen))] for chosen in factors])

    def log_density(xp: Any, theta: Any, x: Any) -> Any:
        padded = xp.concatenate([x, xp.ones_like(x[..., :1])], axis=-1)
        value = theta
        for position in range(degree):
            value = value * padded[..., columns[:, position]]
        return xp.sum(value, axis=-1)

    return log_density


def polynomial(degree: int, d: int, *, interactions: bool = True, orthant: bool = False) -> Case:
    random = np.random.default_rng(1000 * degree + d)
    powers = graded_powers(d, degree, interactions)
    coef = random.normal(size=len(powers)) / len(powers) ** 0.5 / 2
    # It falls in every direction: of higher degree than all mixed terms together.
    coef[powers.max(axis=1) == degree] -= 1.5

    def draw(random: np.random.Generator, n: int) -> np.ndarray:
        # Lighter tails than a normal's, so that estimates mostly fall in every direction too.
        return random.uniform(-1.2, 1.2, size=(n, d)) + random.uniform(-0.8, 0.8, size=(n, d))

    settings = orthant_settings(d)
    return Case(
        f"polynomial-{degree}" + ("" if interactions else "-powers"),
        "PolynomialExponentialFamily",
        d,
        {"degree": degree, "interactions": interactions, "coef": coef, "powers": powers},
        polynomial_formula(powers),
        draw,
        settings if orthant else ({}, *REGIONS, *settings),
        n_rows_for_threads=100_000 if degree > 1 else 420_000,
    )


# -- The user's own statistics: x0, x1·x2, −½Σx², log(1 + x0²), sin(x1) ----------------------------------------------


def own_statistic(x: np.ndarray) -> np.ndarray:
    return np.stack([x[:, 0], x[:, 1] * x[:, 2], -np.sum(x**2, 1) / 2, np.log1p(x[:, 0] ** 2), np.sin(x[:, 1])], axis=1)


def own_jacobian(x: np.ndarray) -> np.ndarray:
    D = np.zeros((len(x), 5, 3))
    D[:, 0, 0] = 1
    D[:, 1, 1], D[:, 1, 2] = x[:, 2], x[:, 1]
    D[:, 2] = -x
    D[:, 3, 0] = 2 * x[:, 0] / (1 + x[:, 0] ** 2)
    D[:, 4, 1] = np.cos(x[:, 1])
    return D


def own_hessian_diagonal(x: np.ndarray) -> np.ndarray:
    H = np.zeros((len(x), 5, 3))
    H[:, 2] = -1
    H[:, 3, 0] = 2 * (1 - x[:, 0] ** 2) / (1 + x[:, 0] ** 2) ** 2
    H[:, 4, 1] = -np.sin(x[:, 1])
    return H


def own_formula(xp: Any, theta: Any, x: Any) -> Any:
    first, second, third = x[..., 0], x[..., 1], x[..., 2]
    squares = first**2 + second**2 + third**2
    return (
        theta[0] * first
        + theta[1] * second * third
        - theta[2] * squares / 2
        + theta[3] * xp.log1p(first**2)
        + theta[4] * xp.sin(second)
    )


def exponential_family() -> Case:
    parameters = {
        "statistic_jacobian": own_jacobian,
        "statistic_hessian_diagonal": own_hessian_diagonal,
        "n_statistics": 5,
        "statistic": own_statistic,
        "block_size": 1000,
        "theta": np.array([0.4, -0.3, 1.2, 0.5, 0.8]),
    }
    return Case(
        "exponential-family",
        "ExponentialFamily",
        3,
        parameters,
        own_formula,
        lambda random, n: random.normal(size=(n, 3)) * [1.0, 0.8, 1.2] + [0.3, 0.0, -0.2],
        ({}, *REGIONS, *orthant_settings(3)),
        n_rows_for_threads=2000,
    )


# -- Products of Student-t ----------------------------------------------------------------------------------------


def product_formula(shape: tuple[int, int], mean: np.ndarray) -> Formula:
    m, d = shape

    def log_density(xp: Any, theta: Any, x: Any) -> Any:
        s = (x - mean) @ theta[: m * d].reshape(m, d).T
        return -xp.sum(xp.exp(theta[m * d :]) * xp.log1p(s * s / 2), axis=-1)

    return log_density


def product_of_student_t(m: int, d: int, *, centred: bool = True, orthant: bool = False, name: str = "") -> Case:
    random = np.random.default_rng(100 * m + d)
    mean = np.zeros(d) if centred else random.normal(size=d)
    parameters = {
        "components": random.normal(size=(m, d)) / np.sqrt(d) + 0.7 * np.eye(m, d),
        "exponents": random.uniform(0.6, 3.0, m),
        "mean": mean,
    }
    mixing = np.linalg.pinv(0.7 * np.eye(d) + random.normal(size=(d, d)) / 3)
    return Case(
        f"product-of-student-t{name}",
        "ProductOfStudentT",
        d,
        parameters,
        product_formula((m, d), mean),
        lambda random, n: random.standard_t(5.0, size=(n, d)) @ mixing.T + mean,
        ({}, *orthant_settings(d)) if orthant else ({},),
        n_rows_for_threads=32_000,
        fit_options={"n_components": m, "max_iter": 8, "random_state": 0, "whiten": m <= d and not orthant},
    )


# -- Restricted Boltzmann machines --------------------------------------------------------------------------------


def rbm_formula(shape: tuple[int, int], noise_variance: float | None) -> Formula:
    m, d = shape

    def log_density(xp: Any, theta: Any, x: Any) -> Any:
        weights, hidden, visible = theta[: m * d], theta[m * d : m * d + m], theta[m * d + m : m * d + m + d]
        variance = xp.exp(theta[m * d + m + d]) if noise_variance is None else noise_variance
        activation = hidden + x @ weights.reshape(m, d).T / variance
        base = xp.sum((x - visible) ** 2, axis=-1) / (2 * variance)
        return xp.sum(xp.logaddexp(activation, 0.0), axis=-1) - base

    return log_density


def gaussian_bernoulli_rbm(m: int, d: int, *, given: bool = False, orthant: bool = False, name: str = "") -> Case:
    random = np.random.default_rng(100 * m + d)
    noise_variance = 0.7
    parameters = {
        "components": random.normal(size=(m, d)),
        "intercept_hidden": random.normal(size=m),
        "intercept_visible": random.normal(size=d),
        **({"noise_variance": noise_variance} if given else {"log_noise_variance": np.log(noise_variance)}),
    }
    centres = 2 * random.normal(size=(4, d))
    return Case(
        f"gaussian-bernoulli-rbm{name}",
        "GaussianBernoulliRBM",
        d,
        parameters,
        rbm_formula((m, d), noise_variance if given else None),
        lambda random, n: centres[random.integers(4, size=n)] + random.normal(size=(n, d)),
        ({}, *orthant_settings(d)) if orthant else ({},),
        n_rows_for_threads=32_000,
        fit_options={"n_components": m, "max_iter": 8, "random_state": 0},
    )


# -- Student t ----------------------------------------------------------------------------------------------------


def student_t_formula(df: float | None) -> Formula:
    def log_density(xp: Any, theta: Any, x: Any) -> Any:
        d = x.shape[-1]
        nu = xp.exp(theta[-1]) if df is None else df
        packed = theta[d : d + d * (d + 1) // 2]
        # q = ‖y‖² with Cy = x − μ, solved from the first row of C on.
        y: list[Any] = []
        for i in range(d):
            row = packed[i * (i + 1) // 2 :]
            rest = x[..., i] - theta[i] - sum(row[j] * y[j] for j in range(i))
            y.append(rest / xp.exp(row[i]))
        return -(nu + d) / 2 * xp.log1p(sum(value**2 for value in y) / nu)

    return log_density


def student_t(d: int, df: float, *, estimated: bool) -> Case:
    random = np.random.default_rng(31 * d)
    location, scale = random.normal(size=d), generic_covariance(random, d, "full")
    parameters = {"location": location, "scale": scale, "df": df}
    # Parameters make a model with df given: one of which it is estimated has a longer θ.
    theta = np.append(scorematch.StudentT.from_params(**parameters).theta_, np.log(df))
    factor = np.linalg.cholesky(scale)

    def draw(random: np.random.Generator, n: int) -> np.ndarray:
        noise = random.normal(size=(n, d)) @ factor.T
        return 0.5 * location + noise / np.sqrt(random.chisquare(4, size=(n, 1)) / 4)

    return Case(
        f"student-t-{'estimated' if estimated else 'given'}",
        "StudentT",
        d,
        parameters,
        student_t_formula(None if estimated else df),
        draw,
        ({}, *REGIONS, *orthant_settings(d)),
        n_rows_for_threads=100_000,
        fit_options={"df": None} if estimated else {},
        attributes={"df": None, "theta_": theta} if estimated else {},
    )


# -- Pairwise interactions ----------------------------------------------------------------------------------------


def pairwise_formula(a: float, b: float, fit_linear: bool, on_simplex: bool) -> Formula:
    def power(xp: Any, x: Any, exponent: float) -> Any:
        return xp.log(x) if exponent == 0 else x**exponent / exponent

    def log_density(xp: Any, theta: Any, x: Any) -> Any:
        if on_simplex:
            x = xp.concatenate([x, 1 - xp.sum(x, axis=-1, keepdims=True)], axis=-1)
        d = x.shape[-1]
        n_pairs = d * (d + 1) // 2
        interaction = theta[:n_pairs][symmetric_index(d)]
        u = power(xp, x, a)
        value = -max(a, 1.0 if a == 0 else a) / 2 * xp.sum(u * (u @ interaction), axis=-1)
        return value + xp.sum(theta[n_pairs:] * power(xp, x, b), axis=-1) if fit_linear else value

    return log_density


def pairwise(
    a: float,
    b: float,
    d: int = 4,
    *,
    family: str = "",
    fit_linear: bool = True,
    on_simplex: bool = False,
    **options: Any,
) -> Case:
    random = np.random.default_rng(int(100 * a + 10 * b) + d)
    size = d + on_simplex
    root = random.normal(size=(size, size)) / np.sqrt(size)
    parameters: dict[str, Any] = {"interaction": root @ root.T + 0.3 * np.eye(size)}
    if fit_linear:
        parameters["linear"] = random.normal(size=size)
    else:
        parameters["fit_linear"] = False
    if not family:
        parameters |= {"a": a, "b": b}

    def draw(random: np.random.Generator, n: int) -> np.ndarray:
        if on_simplex:
            return random.dirichlet(np.full(size, 40.0), n)[:, :-1]
        return random.gamma(4.0, 0.3, size=(n, d)) + 0.6

    orthant = orthant_settings(d)
    settings = [orthant[1], {"domain": Box(0.0, 50.0), "weight": Tanh(0.5)}, orthant[2]]
    if on_simplex:
        settings = [{"domain": Simplex(), "weight": weight} for weight in (MinPower(c=0.2, p=1.5), BoundaryDistance())]
    return Case(
        f"pairwise-{a:g}-{b:g}" + ("" if fit_linear else "-interaction") + ("-simplex" if on_simplex else "") + family,
        family or "PairwiseInteraction",
        d,
        parameters,
        pairwise_formula(a, b, fit_linear, on_simplex),
        draw,
        tuple(settings),
        n_rows_for_threads=100_000,
        fit_options={"diagonal_multiplier": 1.0, **options},
    )


# -- All of them --------------------------------------------------------------------------------------------------

CASES = (
    *(gaussian(covariance_type, d=4) for covariance_type in ("full", "diag", "spherical")),
    indefinite_gaussian(d=3),
    *(mixture(covariance_type, d=3) for covariance_type in ("full", "tied", "diag", "spherical")),
    # The floor is the same code for all matrices, and for all variances.
    *(mixture(covariance_type, d=3, floor=0.3) for covariance_type in ("full", "diag")),
    # Fewer than twice as many components as features go by their Gram matrix, the others by the score function.
    ica("logcosh", 4, 4),
    ica("logistic", 4, 4, centred=False, name="-off-centre"),
    ica("logcosh", 2, 4, name="-fewer"),
    ica("logistic", 9, 4, name="-many"),
    ica("logcosh", 6, 4, fit_coefficients=True, centred=False, name="-coefficients"),
    ica("logistic", 9, 4, fit_coefficients=True, name="-many-coefficients"),
    # These differ in how they are fitted, and in nothing else.
    ica("logcosh", 4, 4, fit_coefficients=True, name="-orthogonal", orthogonal=True),
    ica("logistic", 4, 4, name="-minibatches", batch_size=100, early_stopping=True, max_epochs=5),
    ica("logcosh", 6, 4, fit_coefficients=True, name="-overcomplete-minibatches", batch_size=64, max_epochs=5),
    von_mises_fisher(2),
    von_mises_fisher(5),
    polynomial(2, d=3),
    polynomial(4, d=3),
    polynomial(4, d=3, interactions=False),
    # An odd degree is for the orthant alone, and of degree 1 nothing but its slope is left.
    polynomial(3, d=2, orthant=True),
    polynomial(1, d=2, orthant=True),
    exponential_family(),
    product_of_student_t(4, 4, orthant=True),
    product_of_student_t(4, 4, centred=False, name="-off-centre"),
    product_of_student_t(2, 4, centred=False, name="-fewer"),
    product_of_student_t(9, 4, name="-many"),
    gaussian_bernoulli_rbm(4, 4, orthant=True),
    gaussian_bernoulli_rbm(4, 4, given=True, orthant=True, name="-given"),
    gaussian_bernoulli_rbm(2, 4, given=True, name="-fewer-given"),
    gaussian_bernoulli_rbm(8, 4, name="-twice"),
    gaussian_bernoulli_rbm(9, 4, name="-many"),
    gaussian_bernoulli_rbm(11, 4, given=True, name="-many-given"),
    *(pairwise(a, b) for a, b in ((1, 1), (0.5, 0.5), (0.5, 0), (0, 0), (1.5, 0.7), (2, 3))),
    pairwise(1, 1, fit_linear=False),
    pairwise(0, 1, fit_linear=False),
    pairwise(0, 0, 2, on_simplex=True),
    pairwise(0, 0, 2, on_simplex=True, fit_linear=False),
    pairwise(1, 1, family="TruncatedGaussian"),
    pairwise(0.5, 0.5, family="ExponentialSquareRoot"),
    pairwise(0.5, 0, family="GammaInteraction"),
    student_t(4, 3.5, estimated=True),
    student_t(4, 3.5, estimated=False),
)


@functools.cache
def examples_of(case: Case) -> list[Example]:
    found = []
    for setting in case.settings:
        weight = setting.get("weight")
        name = "" if weight is None else f"{type(weight).__name__.lower()}{getattr(weight, 'p', '')}"
        found.append(Example(case, setting, f"{case.name}-{name}" if name else case.name))
    return found


EXAMPLES = [example for case in CASES for example in examples_of(case)]
# The first and the last domain of each case, for tests where all would tell no more.
FEW_EXAMPLES = [example for case in CASES for example in dict.fromkeys([examples_of(case)[0], examples_of(case)[-1]])]
# Fits that go by iteration to where the gradient with respect to all of θ vanishes: those without constraints.
ITERATIVE = [
    "gaussian-mixture-full",
    "gaussian-mixture-tied",
    "gaussian-mixture-diag",
    "gaussian-mixture-spherical",
    "ica-logcosh",
    "ica-logistic-off-centre",
    "ica-logcosh-fewer",
]


# -- The truth, by automatic differentiation ----------------------------------------------------------------------


@dataclass(frozen=True)
class Truth:
    """Compiled functions of one formula."""

    derivatives: Callable[..., Any]  # (θ, X) -> log p (n,), ∇ (n, d), diagonal of the Hessian (n, d)
    objective: Callable[..., Any]  # (θ, X, h, h′, sample weights) -> J, its gradient


@functools.cache
def truth(formula: Formula, on_sphere: bool) -> Truth:
    """By JAX, in double precision.

    On the sphere log p is extended to x ↦ log p(x/|x|). Its gradient at |x| = 1 is then the tangential gradient and its
    Laplacian the Laplace-Beltrami operator: a way that shares nothing with the one the library goes.
    """
    # Compiling takes longer than everything else; the code it makes runs for milliseconds. Read at the first use.
    os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)

    def log_density(theta: Any, x: Any) -> Any:
        return formula(jnp, theta, x / jnp.linalg.norm(x) if on_sphere else x)

    gradient = jax.grad(log_density, argnums=1)

    def hessian_diagonal(theta: Any, x: Any) -> Any:
        return jnp.diagonal(jax.hessian(log_density, argnums=1)(theta, x))

    def hyvarinen_score(theta: Any, x: Any, h: Any, dh: Any) -> Any:
        psi = gradient(theta, x)
        return jnp.sum(h * (psi**2 / 2 + hessian_diagonal(theta, x)) + dh * psi)

    def objective(theta: Any, X: Any, h: Any, dh: Any, sample_weight: Any) -> Any:
        rho = jax.vmap(hyvarinen_score, (None, 0, 0, 0))(theta, X, h, dh)
        return jnp.sum(sample_weight * rho) / jnp.sum(sample_weight)

    def derivatives(theta: Any, x: Any) -> Any:
        return log_density(theta, x), gradient(theta, x), hessian_diagonal(theta, x)

    return Truth(jax.jit(jax.vmap(derivatives, (None, 0))), jax.jit(jax.value_and_grad(objective)))
