"""What is measured: an objective and its full gradient, for a family at a size, on data drawn from the model."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
import scorematch
from numpy.typing import NDArray

Floats = NDArray[np.floating]


def short(count: int) -> str:
    """A number of rows as tables have it."""
    mantissa, exponent = f"{count:.0e}".split("e")
    exact = count >= 1000 and count == float(f"{count:.0e}")
    return f"{mantissa}e{int(exponent)}" if exact else str(count)


@dataclass(frozen=True)
class Workload:
    """One evaluation of J(θ) and its gradient.

    `components` is K of a mixture, m of linear experts, the degree of a polynomial. Everything that a contender needs
    is made here, so that all of them get the same.
    """

    family: str
    d: int
    n: int
    components: int = 0
    variant: str = ""
    dtype: str = "float64"

    @property
    def df(self) -> float:
        """Degrees of freedom of a Student t."""
        return 5.0

    @property
    def name(self) -> str:
        """How tables and figures call it."""
        letter = _LETTERS.get(self.family, "m" if self.components else "")
        parts = [f"{self.family} {self.variant}".strip(), f"d={self.d}"]
        if letter:
            parts.append(f"{letter}={self.components}")
        parts.append(f"n={short(self.n)}")
        if self.dtype != "float64":
            parts.append(self.dtype)
        return ", ".join(parts)

    def at(self, **changes: Any) -> Self:
        """The same with another size or float type."""
        return replace(self, **changes)

    @cached_property
    def model(self) -> scorematch._base.ScoreMatchingEstimator:
        """The model that the data come from, on one thread."""
        return _MODELS[self.family](self, np.random.default_rng(1))

    def data(self) -> Floats:
        """A sample of the model, or of something like it where there is no sampler."""
        draw = _SAMPLERS.get(self.family) or type(self.model).sample
        return np.ascontiguousarray(draw(self.model, self.n, 2), dtype=self.dtype)

    def theta(self) -> NDArray[np.float64]:
        """A point near the truth, where the gradient is not zero."""
        truth = self.model.theta_
        return truth + 0.05 * np.random.default_rng(3).standard_normal(truth.shape)

    def evaluation(self, X: Floats) -> Callable[[NDArray[np.float64]], tuple[float, NDArray[np.float64]]]:
        """θ to objective and gradient, all of it: what some families work out once from X is done anew in each call."""
        return lambda theta: self.model._loss(X, None)(theta)

    @property
    def flops(self) -> float:
        """Additions and multiplications of one evaluation, in the form that needs the fewest of the forms in use.

        Symmetric products count half. Exponentials count apart.
        """
        return self.n * _FLOPS[self.family](self)

    @property
    def autodiff_n(self) -> int:
        """Rows for which a Hessian a row, and its derivative, take no more than some seconds."""
        affordable = 4e10 / (3 * self.d * self.flops / self.n)
        return min(self.n, max(1000, int(float(f"{affordable:.0e}"))))

    @property
    def exponentials(self) -> float:
        """Exponentials of one evaluation."""
        has_none = self.family in ("PolynomialExponentialFamily", "ProductOfStudentT")
        return 0.0 if has_none else float(self.n * self.components)


def _gaussian(workload: Workload, random: np.random.Generator) -> Any:
    d = workload.d
    root = random.standard_normal((d, 2 * d))
    return scorematch.Gaussian.from_params(
        mean=random.standard_normal(d), covariance=root @ root.T / (2 * d) + 0.3 * np.eye(d), n_jobs=1
    )


def _gaussian_mixture(workload: Workload, random: np.random.Generator) -> Any:
    k, d = workload.components, workload.d
    root = random.standard_normal((k, d, 2 * d))
    covariances = root @ root.swapaxes(1, 2) / (2 * d) + 0.3 * np.eye(d)
    shaped = {
        "full": covariances,
        "tied": covariances[0],
        "diag": np.einsum("kjj->kj", covariances),
        "spherical": covariances[:, 0, 0],
    }
    return scorematch.GaussianMixture.from_params(
        weights=random.dirichlet(np.full(k, 5.0)),
        # Components overlap at every d: otherwise responsibilities are 0 and 1, and there is nothing to mix.
        means=2 * random.standard_normal((k, d)) / np.sqrt(d),
        covariances=shaped[workload.variant],
        covariance_type=workload.variant,
        n_jobs=1,
    )


def _ica(workload: Workload, random: np.random.Generator) -> Any:
    components = random.standard_normal((workload.components, workload.d)) / np.sqrt(workload.d)
    return scorematch.ICA.from_params(components=components, n_jobs=1)


def _student_t(workload: Workload, random: np.random.Generator) -> Any:
    d = workload.d
    root = random.standard_normal((d, 2 * d))
    return scorematch.StudentT.from_params(
        location=random.standard_normal(d),
        scale=root @ root.T / (2 * d) + 0.3 * np.eye(d),
        df=workload.df,
        n_jobs=1,
    )


def _product_of_student_t(workload: Workload, random: np.random.Generator) -> Any:
    components = random.standard_normal((workload.components, workload.d)) / np.sqrt(workload.d)
    return scorematch.ProductOfStudentT.from_params(
        components=components, exponents=random.uniform(2, 4, workload.components), n_jobs=1
    )


def _student_draws(model: Any, n: int, seed: int) -> Floats:
    """Of the model where it is square; with more experts than columns, of something with tails like it."""
    m, d = model.components_.shape
    return model.sample(n, seed) if m == d else np.random.default_rng(seed).standard_t(4, (n, d))


def _gaussian_bernoulli_rbm(workload: Workload, random: np.random.Generator) -> Any:
    m, d = workload.components, workload.d
    components = 1.5 * random.standard_normal((m, d)) / np.sqrt(d)
    return scorematch.GaussianBernoulliRBM.from_params(
        components=components,
        intercept_hidden=-components.sum(axis=1) - (components**2).sum(axis=1) / 2,
        intercept_visible=np.ones(d),
        log_noise_variance=0.0,
        n_jobs=1,
    )


def _gibbs(model: Any, n: int, seed: int) -> Floats:
    """A few sweeps of Gibbs sampling, for more hidden units than can be enumerated: near enough for the speed."""
    random = np.random.default_rng(seed)
    X = model.intercept_visible_ + random.standard_normal((n, model.n_features_in_))
    for _ in range(5):
        hidden = random.random((n, len(model.components_))) < model.transform(X)
        noise = np.sqrt(model.noise_variance_) * random.standard_normal(X.shape)
        X = model.intercept_visible_ + hidden @ model.components_ + noise
    return X


def _von_mises_fisher(workload: Workload, random: np.random.Generator) -> Any:
    direction = random.standard_normal(workload.d)
    return scorematch.VonMisesFisher.from_params(
        mean_direction=direction / np.linalg.norm(direction), concentration=5.0, n_jobs=1
    )


def _polynomial(workload: Workload, random: np.random.Generator) -> Any:
    d, degree = workload.d, workload.components
    falling = scorematch.PolynomialExponentialFamily.from_params(coef=-np.ones(d), powers=degree * np.eye(d), n_jobs=1)
    coef = falling.coef_ + 0.05 * random.standard_normal(len(falling.coef_))
    return scorematch.PolynomialExponentialFamily.from_params(coef=coef, powers=falling.powers_, n_jobs=1)


def _bounded_draws(model: Any, n: int, seed: int) -> Floats:
    random, shape = np.random.default_rng(seed), (n, model.n_features_in_)
    return random.uniform(-1.2, 1.2, shape) + 0.3 * random.standard_normal(shape)


_MODELS = {
    "Gaussian": _gaussian,
    "GaussianMixture": _gaussian_mixture,
    "GaussianBernoulliRBM": _gaussian_bernoulli_rbm,
    "ICA": _ica,
    "PolynomialExponentialFamily": _polynomial,
    "ProductOfStudentT": _product_of_student_t,
    "StudentT": _student_t,
    "VonMisesFisher": _von_mises_fisher,
}

# Those without a sampler of their own, or with one that would take too long.
_SAMPLERS = {
    "GaussianBernoulliRBM": _gibbs,
    "PolynomialExponentialFamily": _bounded_draws,
    "ProductOfStudentT": _student_draws,
}
_LETTERS = {"GaussianMixture": "K", "PolynomialExponentialFamily": "degree"}


def _mixture_flops(workload: Workload) -> float:
    d, k = workload.d, workload.components
    if workload.variant == "full":  # P_k δ_k and Σ a_k δ_kᵀ, and what is done to each entry of δ_k and s_k
        return k * (4 * d * d + 15 * d)
    if workload.variant == "tied":
        return 4 * d * d + 14 * k * d
    return 20 * k * d


def _linear_experts_flops(workload: Workload) -> float:
    d, m = workload.d, workload.components
    return min(10 * m * d, 4 * m * d + 3 * m * m)  # with ψ, or with W Wᵀ and the symmetric E[φφᵀ] in its place


def _polynomial_flops(workload: Workload) -> float:
    d, degree = workload.d, workload.components
    n_slope, n_curvature = (math.comb(d + degree - less, d) for less in (1, 2))
    by_scores = n_slope * (1 + 4 * d) + n_curvature * 3
    return min(by_scores, 2 * math.comb(d + 2 * degree - 2, d))  # or through the moments of all monomials


_FLOPS = {
    "Gaussian": lambda workload: workload.d**2,  # through Σ x xᵀ
    "GaussianMixture": _mixture_flops,
    "GaussianBernoulliRBM": _linear_experts_flops,
    "ICA": _linear_experts_flops,
    "PolynomialExponentialFamily": _polynomial_flops,
    "ProductOfStudentT": _linear_experts_flops,
    "StudentT": lambda workload: 4 * workload.d**2 + 10 * workload.d,  # Pδ and Σ (a + bδ)δᵀ
    "VonMisesFisher": lambda workload: 4 * workload.d,
}

# The first one of each family is also what the smoke test runs.
GRID = (
    Workload("GaussianMixture", 2, 100_000, 3, "full"),
    Workload("GaussianMixture", 10, 100_000, 8, "full"),
    Workload("GaussianMixture", 64, 100_000, 8, "full"),
    Workload("GaussianMixture", 10, 100_000, 8, "tied"),
    Workload("GaussianMixture", 32, 100_000, 16, "diag"),
    Workload("GaussianMixture", 10, 100_000, 8, "spherical"),
    Workload("ICA", 16, 100_000, 16),
    Workload("ICA", 64, 100_000, 64),
    Workload("ICA", 64, 100_000, 64, dtype="float32"),
    Workload("StudentT", 10, 100_000),
    Workload("StudentT", 64, 100_000),
    Workload("ProductOfStudentT", 64, 100_000, 64),
    Workload("ProductOfStudentT", 64, 100_000, 128),
    Workload("ProductOfStudentT", 64, 100_000, 64, dtype="float32"),
    Workload("GaussianBernoulliRBM", 64, 100_000, 64),
    Workload("GaussianBernoulliRBM", 64, 100_000, 128),
    Workload("GaussianBernoulliRBM", 64, 100_000, 64, dtype="float32"),
    Workload("GaussianBernoulliRBM", 64, 100_000, 128, dtype="float32"),
    Workload("Gaussian", 10, 100_000),
    Workload("Gaussian", 50, 100_000),
    Workload("PolynomialExponentialFamily", 4, 100_000, 4),
    Workload("VonMisesFisher", 3, 100_000),
    Workload("VonMisesFisher", 10, 100_000),
)

# Of the quadratic form of an exponential family.
FORM = Workload("PolynomialExponentialFamily", 4, 100_000, 4)
