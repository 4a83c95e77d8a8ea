# The compiled core, cpp/bindings. Arrays of samples keep their float type, float32 or float64; all sums are float64.

from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

_Floats: TypeAlias = NDArray[np.floating[Any]]
_WeightFunction: TypeAlias = Literal["power", "min_power", "log1p", "mcp"]
_Sums: TypeAlias = NDArray[np.float64]
_Packing: TypeAlias = Literal["dense", "symmetric", "lower"]

class Family:
    def __init__(
        self,
        name: str,
        variant: str,
        n_features: int,
        n_components: int = 0,
        constants: Sequence[float] = ...,
    ) -> None: ...
    @property
    def n_params(self) -> int: ...
    @property
    def n_features(self) -> int: ...
    def layout(self) -> list[tuple[str, _Packing, tuple[int, ...]]]: ...

class Field:
    @staticmethod
    def euclidean() -> Field: ...
    @staticmethod
    def sphere() -> Field: ...
    @staticmethod
    def tabulated(a: _Sums, b: _Sums) -> Field: ...
    @staticmethod
    def coordinate(function: _WeightFunction, exponent: float = 1.0, caps: Sequence[float] = ...) -> Field: ...
    def raised(self, power: float) -> Field: ...
    def sliced(
        self, projection: str, n_projections: int, variance_reduction: bool, seed: int, first_row: int = 0
    ) -> Field: ...
    def denoising(
        self, noise_scales: list[float], n_projections: int, variance_reduction: bool, seed: int, first_row: int = 0
    ) -> Field: ...
    def finite_difference(
        self, step: float, projection: str, n_projections: int, seed: int, first_row: int = 0
    ) -> Field: ...

class Region:
    @staticmethod
    def intervals(intervals: Sequence[Sequence[tuple[float, float]]], nonnegative: bool = False) -> Region: ...
    @staticmethod
    def ball(radius: float, norm: int, nonnegative: bool = False) -> Region: ...
    @staticmethod
    def half_spaces(A: ArrayLike, b: ArrayLike, nonnegative: bool = False) -> Region: ...
    @staticmethod
    def polygon(vertices: ArrayLike, nonnegative: bool = False) -> Region: ...
    @staticmethod
    def inequalities(
        inequalities: Sequence[tuple[Sequence[float], Sequence[str], Sequence[float], float]],
        rule: Sequence[int],
        nonnegative: bool = False,
    ) -> Region: ...
    def cost(self, n_features: int) -> float: ...
    def contains(self, X: _Floats, n_threads: int = 1) -> NDArray[np.bool_]: ...
    def coordinate_distance(self, X: _Floats, n_threads: int = 1) -> tuple[_Sums, _Sums]: ...
    def distance(self, X: _Floats, n_threads: int = 1) -> tuple[_Sums, _Sums]: ...

class Loss:
    def __init__(
        self,
        family: Family,
        X: _Floats,
        sample_weight: ArrayLike | None,
        field: Field,
        n_threads: int,
        origin: ArrayLike | None = None,
    ) -> None: ...
    def __call__(self, theta: ArrayLike) -> tuple[float, _Sums]: ...

class Minibatches:
    def __init__(
        self,
        family: Family,
        X: _Floats,
        sample_weight: ArrayLike | None,
        field: Field,
        n_threads: int,
        theta: ArrayLike,
        scale: ArrayLike,
        unit: float,
        batch_size: int,
        seed: int,
        rows: ArrayLike | None = None,
        origin: ArrayLike | None = None,
        unit_rows: tuple[int, int] = (0, 0),
        n_positive: int = 0,
    ) -> None: ...
    def epoch(self, first_rate: float, last_rate: float) -> float: ...
    @property
    def theta(self) -> _Sums: ...
    @property
    def rows(self) -> NDArray[np.intp]: ...
    @property
    def n_epochs(self) -> int: ...

class GibbsSampler:
    def __init__(
        self,
        precision: ArrayLike,
        linear: ArrayLike,
        log_factor: ArrayLike,
        extra: ArrayLike,
        exponent: float,
        exponential: bool,
        intervals: Sequence[ArrayLike],
        root: float,
        constraints: ArrayLike,
        bounds: ArrayLike,
        norm: int,
        radius: float,
        vertices: ArrayLike,
    ) -> None: ...
    def sweep(
        self, states: ArrayLike, positions: NDArray[np.uint64], n_sweeps: int, seed: int, n_threads: int
    ) -> tuple[_Sums, NDArray[np.uint64]]: ...

class Target:
    """What is sampled: a log density and its score."""

    @staticmethod
    def family(family: Family, theta: ArrayLike, origin: ArrayLike | None = None) -> Target: ...
    # function(points (n, d)) gives the scores (n, d), or (log densities (n,), scores), which Hamiltonian chains need.
    # It is called with all chains at once; its exceptions end the run and pass to the caller.
    @staticmethod
    def python(n_features: int, function: Callable[[_Sums], ArrayLike | tuple[ArrayLike, ArrayLike]]) -> Target: ...
    @property
    def n_features(self) -> int: ...

class Support:
    """Where chains may be."""

    @staticmethod
    def real_space() -> Support: ...
    @staticmethod
    def sphere() -> Support: ...
    # Disjoint intervals in order, (m, 2): one array for each coordinate, or one for all.
    @staticmethod
    def intervals(intervals: Sequence[ArrayLike]) -> Support: ...
    @staticmethod
    def region(region: Region, nonnegative: bool = False) -> Support: ...
    @staticmethod
    def python(function: Callable[[_Sums], ArrayLike]) -> Support: ...

# Runs of n_chains chains, from `points`, (n_chains, d); nothing that is given is changed. Random numbers are a function
# of the seed and of the numbers of the chain and of the iteration, of which `iteration` is the first: a run may be cut
# into calls, at multiples of `thin`. `reflect` is for intervals; elsewhere what leaves the support is rejected.
#
# points (n_chains, d), draws (n_chains, n_iterations // thin, d), accepted (n_chains,): so many steps were kept.
def run_langevin(
    target: Target,
    support: Support,
    points: ArrayLike,
    step_sizes: ArrayLike,
    scale: ArrayLike,
    seed: int,
    iteration: int,
    n_iterations: int,
    thin: int,
    reflect: bool,
    n_threads: int,
) -> dict[str, _Sums]: ...

# Step sizes are those of leapfrog, each time times 1 + jitter·(2u − 1). Where target_acceptance is not 0, dual
# averaging goes on from `adaptation`, (n_chains, 4): mu, log of the mean step size, error, count; zeros begin anew from
# `step_sizes`. When warm-up ends, the caller takes exp(adaptation[:, 1]) for the step sizes and goes on without.
#
# points, draws, step_sizes (n_chains,): the last ones, adaptation, acceptance (n_chains,): sums of the probabilities of
# acceptance, divergent (n_chains,): how many trajectories had an energy that was not finite or rose by more than 1000.
def run_hamiltonian(
    target: Target,
    support: Support,
    points: ArrayLike,
    step_sizes: ArrayLike,
    scale: ArrayLike,
    adaptation: ArrayLike,
    seed: int,
    iteration: int,
    n_iterations: int,
    thin: int,
    reflect: bool,
    n_leapfrog: int,
    jitter: float,
    target_acceptance: float,
    n_threads: int,
) -> dict[str, _Sums]: ...

# Leapfrog step sizes to begin with, (n_chains,), by powers of 2.
def reasonable_step_sizes(
    target: Target, support: Support, points: ArrayLike, scale: ArrayLike, seed: int, n_threads: int
) -> _Sums: ...
def rbm_gibbs(
    components: ArrayLike,
    intercept_hidden: ArrayLike,
    intercept_visible: ArrayLike,
    noise_variance: float,
    points: ArrayLike,
    seed: int,
    iteration: int,
    n_iterations: int,
    thin: int,
    n_threads: int,
) -> dict[str, _Sums]: ...
def evaluate(
    family: Family,
    theta: ArrayLike,
    X: _Floats,
    field: Field,
    wanted: Sequence[str],
    n_threads: int,
    origin: ArrayLike | None = None,
) -> dict[str, _Floats]: ...
def loss_gradients(
    family: Family,
    theta: ArrayLike,
    X: _Floats,
    field: Field,
    n_threads: int,
    origin: ArrayLike | None = None,
) -> _Sums: ...
def gradient_products(
    family: Family,
    theta: ArrayLike,
    X: _Floats,
    sample_weight: ArrayLike | None,
    field: Field,
    n_threads: int,
    origin: ArrayLike | None = None,
) -> tuple[float, _Sums, _Sums]: ...
def moments(
    X: _Floats, sample_weight: ArrayLike | None, shift: ArrayLike, diagonal: bool, n_threads: int
) -> tuple[_Sums, _Sums]: ...
def weighted_moments(
    X: _Floats, sample_weight: ArrayLike | None, field: Field, shift: ArrayLike, diagonal: bool, n_threads: int
) -> dict[str, _Sums]: ...
def polynomial_moments(
    X: _Floats,
    sample_weight: ArrayLike | None,
    field: Field,
    degree: int,
    interactions: bool,
    shift: ArrayLike,
    scale: ArrayLike,
    n_threads: int,
) -> tuple[_Sums, _Sums]: ...
def pairwise_moments(
    X: _Floats,
    sample_weight: ArrayLike | None,
    field: Field,
    a: float,
    b: float,
    has_linear: bool,
    on_simplex: bool,
    shift: ArrayLike,
    n_threads: int,
) -> dict[str, _Sums]: ...
def first_nonfinite(X: _Floats) -> tuple[int, int] | None: ...
def minimise_penalised(
    gamma: ArrayLike, linear: ArrayLike, penalty: ArrayLike, start: ArrayLike, tol: float, max_iter: int
) -> tuple[_Sums, Literal["converged", "stopped", "unbounded"], int, float]: ...

class InteractionProblem:
    def __init__(
        self, blocks: ArrayLike, g: ArrayLike, coupling: ArrayLike | None, symmetric: bool, fixed_diagonal: bool
    ) -> None: ...
    def start(self, columns: ArrayLike) -> None: ...
    def restrict_to(self, allowed: ArrayLike) -> None: ...
    def minimise(
        self, alphas: ArrayLike, alpha_linears: ArrayLike, tol: float, max_iter: int, n_threads: int
    ) -> list[tuple[_Sums, _Sums, Literal["converged", "stopped", "unbounded"], int, float, int]]: ...
    def gradient(self) -> _Sums: ...

def kernel_stein(
    X: _Floats,
    score: _Floats,
    multiplier: _Floats | None,
    on_sphere: bool,
    kernel: str,
    bandwidth: float,
    n_draws: int,
    seed: int,
    n_threads: int,
) -> tuple[float, float, _Sums]: ...
def families() -> list[str]: ...
def random_vectors(field: Field, n_samples: int, n_features: int) -> NDArray[np.float64]: ...
def level() -> str: ...
def supported_levels() -> list[str]: ...
def use_level(name: str) -> None: ...
def vector_bits() -> int: ...
def has_threads() -> bool: ...
def weight(
    function: Literal["identity", "log1p", "tanh", "asinh", "softplus", "mcp", "scad", "sine"],
    x: ArrayLike,
    parameter: float,
    column_values: Sequence[float],
    exponent: float,
) -> tuple[_Sums, _Sums]: ...
def elementwise(name: str, values: _Floats, parameter: float = 0.0) -> _Floats: ...
def fma_peak(single_precision: bool = False) -> float: ...
