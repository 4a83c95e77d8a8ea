"""Moments of the data, as sums that add up over blocks, files and machines."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from scorematch import _core
from scorematch._validation import Floats, check_finite

Doubles = NDArray[np.float64]


def near(X: Floats) -> Doubles:
    """A point near the data, from a few hundred rows: sums are taken about it, so that nothing cancels.

    Of the float type of `X`, that the core may subtract it exactly.
    """
    rows = X[:: max(1, len(X) // 256)]
    with np.errstate(over="ignore", invalid="ignore"):
        middle = rows.mean(axis=0, dtype=np.float64).astype(X.dtype)
    return np.where(np.isfinite(middle), middle, 0).astype(np.float64)


@dataclass(frozen=True)
class Moments:
    """Sums over samples x with weights w, y = x − shift."""

    shift: Doubles  # (d,)
    total: float  # Σ w
    n_samples: int
    first: Doubles  # (d,)    Σ w y
    second: Doubles  # (d, d)  Σ w y yᵀ, or (d,) its diagonal
    eps: float  # relative rounding error

    @property
    def kind(self) -> object:
        """Only sums of one kind add up."""
        return type(self), self.second.shape

    @staticmethod
    def of(
        X: Floats,
        sample_weight: Doubles | None,
        *,
        diagonal: bool,
        n_threads: int,
        shift: Doubles | None = None,
    ) -> Moments:
        """One pass over X; an error that names the first entry which is not finite."""
        shift = near(X) if shift is None else shift
        first, second = _core.moments(X, sample_weight, shift, diagonal, n_threads)
        if not (np.isfinite(first).all() and np.isfinite(second).all()):
            check_finite(X)
            raise ValueError("X has entries so large that their squares overflow; rescale it")
        total = float(len(X)) if sample_weight is None else float(sample_weight.sum())
        return Moments(shift, total, len(X), first, second, float(np.finfo(X.dtype).eps))

    def __add__(self, other: Moments) -> Moments:
        return replace(
            self,
            total=self.total + other.total,
            n_samples=self.n_samples + other.n_samples,
            first=self.first + other.first,
            second=self.second + other.second,
            eps=max(self.eps, other.eps),
        )

    def times(self, factor: float) -> Moments:
        """The same with all weights multiplied."""
        return replace(self, total=self.total * factor, first=self.first * factor, second=self.second * factor)

    @property
    def mean(self) -> Doubles:
        """The weighted mean, (d,)."""
        return self.shift + self.first / self.total

    @property
    def covariance(self) -> Doubles:
        """The weighted covariance about the mean, divided by Σ w; of the shape of `second`."""
        offset = self.first / self.total
        square = np.outer(offset, offset) if self.second.ndim == 2 else offset**2
        return np.asarray(self.second / self.total - square)

    def constant_columns(self) -> NDArray[np.intp]:
        """The columns whose variance is no more than what rounding makes of a constant."""
        variances = self.covariance if self.second.ndim == 1 else np.diagonal(self.covariance)
        # The shift is off by as much as the mean was rounded, and what is far from the shift cancels.
        offset = self.first / self.total
        return np.flatnonzero(variances <= 16 * ((self.eps * self.mean) ** 2 + self.eps * offset**2))

    @property
    def second_about_zero(self) -> Doubles:
        """The weighted mean of x xᵀ, (d, d)."""
        mean = self.mean
        return self.covariance + np.outer(mean, mean)


@dataclass(frozen=True)
class WeightedMoments:
    """Sums under coordinate weights h_j and their derivatives, y = x − shift (see backend.hpp)."""

    shift: Doubles
    total: float
    n_samples: int
    sums: dict[str, Doubles]  # h (q,), dh (d,), first (q, d), cross (d, d), second (q, d, d) or (d,)
    eps: float

    @property
    def kind(self) -> object:
        """Only sums of one kind add up."""
        return type(self), self.sums["second"].shape

    @staticmethod
    def of(
        X: Floats,
        sample_weight: Doubles | None,
        field: _core.Field,
        *,
        diagonal: bool,
        n_threads: int,
        shift: Doubles | None = None,
    ) -> WeightedMoments:
        """One pass over X, which must be finite and inside the domain."""
        shift = near(X) if shift is None else shift
        sums = _core.weighted_moments(X, sample_weight, field, shift, diagonal, n_threads)
        if not all(np.isfinite(value).all() for value in sums.values()):
            raise ValueError("X has entries so large that their squares overflow; rescale it")
        total = float(len(X)) if sample_weight is None else float(sample_weight.sum())
        return WeightedMoments(shift, total, len(X), sums, float(np.finfo(X.dtype).eps))

    def __add__(self, other: WeightedMoments) -> WeightedMoments:
        return replace(
            self,
            total=self.total + other.total,
            n_samples=self.n_samples + other.n_samples,
            sums={name: value + other.sums[name] for name, value in self.sums.items()},
            eps=max(self.eps, other.eps),
        )

    def times(self, factor: float) -> WeightedMoments:
        """The same with all weights multiplied."""
        sums = {name: value * factor for name, value in self.sums.items()}
        return replace(self, total=self.total * factor, sums=sums)
