"""What is minimised: the objective with the exact Hessian trace, or one of those that do without it.

Families only store the options. Here they are checked, and turned into the field that the core evaluates; what has to
be the same at every call, the seed of the random vectors and the step of differences, is settled once and kept by the
model (`ScoreMatchingEstimator._settle_objective`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from scorematch import _core
from scorematch._field import has_boundary
from scorematch._moments import Moments
from scorematch._validation import Floats, check_count, check_flag

if TYPE_CHECKING:
    from scorematch._base import ScoreMatchingEstimator

Doubles = NDArray[np.float64]

ObjectiveName = Literal["exact", "sliced", "denoising", "finite_difference"]
ProjectionName = Literal["rademacher", "gaussian", "sphere"]
OBJECTIVES = ("exact", "sliced", "denoising", "finite_difference")
PROJECTIONS = ("rademacher", "gaussian", "sphere")
# Those that see the density at other points than the rows, and so need all of space.
BESIDE_THE_ROWS = ("denoising", "finite_difference")

# The step of differences, as a part of the smallest standard deviation of a column.
RELATIVE_STEP = 0.1

# The relative error by rounding, of differences between a row and a point beside it, that is too large.
MOST_ROUNDING = 1e-2

# The number in the whole data of the first of the rows that are being worked on.
_FIRST_ROW: ContextVar[int] = ContextVar("first_row", default=0)


@contextmanager
def rows_from(first: int) -> Iterator[None]:
    """Inside, row 0 of what is evaluated is row `first` of what was: rows keep their random vectors by their number."""
    token = _FIRST_ROW.set(_FIRST_ROW.get() + first)
    try:
        yield
    finally:
        _FIRST_ROW.reset(token)


def is_exact(model: ScoreMatchingEstimator) -> bool:
    """Whether the model's objective is the exact one, as it is for families without the option."""
    return bool(getattr(model, "objective", "exact") == "exact")


@dataclass(frozen=True)
class Objective:
    """The options, checked."""

    name: str
    n_projections: int
    projection: str
    variance_reduction: bool
    noise_scales: tuple[float, ...]
    difference_step: float | None

    def __str__(self) -> str:
        words = [self.name]
        if self.name == "denoising":
            words.append(f"noise of {', '.join(f'{scale:g}' for scale in self.noise_scales)}")
        if self.name in ("sliced", "finite_difference"):
            words.append(f"{self.projection} vectors")
        words.append(f"{self.n_projections} a row")
        if self.name in ("sliced", "denoising") and not self.variance_reduction:
            words.append("no variance reduction")
        return ", ".join(words)

    @property
    def keeps_quadratic_part(self) -> bool:
        """Whether it has the ½ψᵀAψ of the exact one, and differs in the rest alone, which is linear in ψ."""
        return self.name == "exact" or (self.name == "sliced" and self.variance_reduction)

    @property
    def rounding(self) -> float:
        """The rounding error of its gradient in units of that of the log density's."""
        return RELATIVE_STEP**-2 if self.name == "finite_difference" else 1.0

    @property
    def n_copies(self) -> int:
        """How many random vectors there are for a row."""
        return self.n_projections * (len(self.noise_scales) if self.name == "denoising" else 1)

    def field(self, base: _core.Field, seed: int, step: float) -> _core.Field:
        """The field with which the core works it out, from that of domain and weight."""
        first = _FIRST_ROW.get()
        if self.name == "sliced":
            return base.sliced(self.projection, self.n_projections, self.variance_reduction, seed, first)
        if self.name == "denoising":
            return base.denoising(list(self.noise_scales), self.n_projections, self.variance_reduction, seed, first)
        return base.finite_difference(step, self.projection, self.n_projections, seed, first)


def objective_of(model: ScoreMatchingEstimator) -> Objective:
    """The options of a model, each checked, whether its objective needs it or not, and whether they go together."""
    name = getattr(model, "objective", "exact")
    if name not in OBJECTIVES:
        raise ValueError(f"objective must be one of {', '.join(map(repr, OBJECTIVES))}; got {name!r}")
    projection = getattr(model, "projection", "rademacher")
    if projection not in PROJECTIONS:
        raise ValueError(f"projection must be one of {', '.join(map(repr, PROJECTIONS))}; got {projection!r}")
    variance_reduction = getattr(model, "variance_reduction", True)
    check_flag("variance_reduction", variance_reduction)
    step = getattr(model, "difference_step", None)
    if step is not None:
        _check_positive("difference_step", step)
    found = Objective(
        name,
        check_count("n_projections", getattr(model, "n_projections", 1)),
        projection,
        bool(variance_reduction),
        _noise_scales(getattr(model, "noise_scale", None)),
        None if step is None else float(step),
    )
    if not is_exact(model):
        _check_together(model, found)
    return found


def check_fits_in_blocks(model: ScoreMatchingEstimator) -> None:
    """An error where blocks of data cannot be added up."""
    if not is_exact(model):
        raise ValueError(
            f"partial_fit goes with objective='exact' alone; got objective={getattr(model, 'objective', '')!r}, whose "
            "random vectors belong to rows by their number. Call fit with all rows"
        )


def default_step(X: Floats, sample_weight: Doubles | None, n_threads: int) -> float:
    """A tenth of the smallest standard deviation of a column that is not constant."""
    if len(X) < 2:
        raise ValueError(
            "difference_step=None takes the step from the standard deviations of the columns of X, and needs at least "
            "2 samples; got n_samples = 1"
        )
    moments = Moments.of(X, sample_weight, diagonal=True, n_threads=n_threads)
    varying = ~moments.is_constant
    if not varying.any():
        raise ValueError(
            "difference_step=None takes the step from the standard deviations of the columns of X, and every column is "
            "constant: pass a number"
        )
    return RELATIVE_STEP * float(np.sqrt(moments.covariance[varying].min()))


def check_resolution(
    objective: Objective, X: Floats, sample_weight: Doubles | None, step: float, n_threads: int
) -> None:
    """An error where rounding leaves too little of the way from the rows to the points beside them."""
    if objective.name not in BESIDE_THE_ROWS:
        return
    is_noise = objective.name == "denoising"
    length = min(objective.noise_scales) if is_noise else step
    covariance = Moments.of(X, sample_weight, diagonal=True, n_threads=n_threads).covariance
    largest = float(np.sqrt(covariance.max()))
    relative = largest / length
    error = float(np.finfo(X.dtype).eps) * relative * (1.0 if is_noise else relative)  # of second differences
    if error > MOST_ROUNDING:
        name = "noise_scale" if is_noise else "difference_step"
        raise ValueError(
            f"{name}={length:g} is too small beside column {int(np.argmax(covariance))}, of standard deviation "
            f"{largest:.3g}: in {X.dtype} rounding makes a relative error of {error:.1g} of it. Use a larger "
            f"{name}, or bring the columns to the same scale"
        )


def random_vectors(objective: Objective, seed: int, n_samples: int, n_features: int) -> Doubles:
    """The random vectors of rows, (n_samples, n_copies, n_features)."""
    # They do not depend on domain, weight or step.
    return _core.random_vectors(objective.field(_core.Field.euclidean(), seed, 1.0), n_samples, n_features)


def _check_together(model: ScoreMatchingEstimator, objective: Objective) -> None:
    """An error where the options do not go with each other or with the model."""
    name, domain = objective.name, model._domain()
    if name in BESIDE_THE_ROWS and (model._on_sphere or has_boundary(domain)):
        why = "adds noise to the rows" if name == "denoising" else "takes differences of the log density"
        raise ValueError(
            f"objective={name!r} {why}, and so needs all of space; {domain!r} has a boundary or is a surface. Use "
            "objective='sliced', which is right on every domain"
        )
    if name == "denoising" and not objective.noise_scales:
        raise ValueError(
            "objective='denoising' needs noise_scale, the standard deviation of the noise in units of the data (or "
            "several). What is fitted is the density of data plus noise: choose it small beside the structure of "
            "interest, say a tenth of the smallest standard deviation of a column, or as large as the noise that is "
            "to be removed"
        )
    if name == "finite_difference" and not model._has_log_density():
        raise ValueError(
            "objective='finite_difference' takes differences of the log density, and the derivatives alone do not give "
            "that: pass statistic, a function from a block of rows to an array of shape (n_rows, n_statistics)"
        )
    robust = getattr(model, "robust", 0.0)
    if isinstance(robust, Real) and float(robust) > 0:
        raise ValueError(f"robust={robust:g} goes with objective='exact' alone; got objective={name!r}")


def _noise_scales(given: Any) -> tuple[float, ...]:
    if given is None:
        return ()
    if isinstance(given, str) or not (np.ndim(given) == 0 or isinstance(given, Sequence | np.ndarray)):
        raise ValueError(f"noise_scale must be a positive number or a sequence of them; got {given!r}")
    scales = [given] if np.ndim(given) == 0 else list(given)
    if not scales:
        raise ValueError("noise_scale must not be empty")
    for position, scale in enumerate(scales):
        _check_positive("noise_scale" if np.ndim(given) == 0 else f"noise_scale[{position}]", scale)
    return tuple(map(float, scales))


def _check_positive(name: str, value: object) -> None:
    if not isinstance(value, Real) or isinstance(value, bool) or not 0 < float(value) < float("inf"):
        raise ValueError(f"{name} must be a positive finite number; got {value!r}")
