"""Moments of the data, as sums that add up over blocks, files and machines."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scorematch import _core
from scorematch._pairwise_form import symmetric_index
from scorematch._validation import Floats, check_finite

Doubles = NDArray[np.float64]


def near(X: Floats, sample_weight: Doubles | None = None) -> Doubles:
    """A point near the data, from a few hundred rows that count: sums are taken about it, so that nothing cancels.

    Of the float type of `X`, that the core may subtract it exactly.
    """
    rows = X[:: max(1, len(X) // 256)]
    counted = np.arange(0) if sample_weight is None else np.flatnonzero(sample_weight)
    if 0 < len(counted) < len(X):
        rows = X[counted[:: max(1, len(counted) // 256)]]
    with np.errstate(over="ignore", invalid="ignore"):
        middle = rows.mean(axis=0, dtype=np.float64).astype(X.dtype)
    return np.where(np.isfinite(middle), middle, 0).astype(np.float64)


def joined(*parts: float | Doubles) -> Doubles:
    """Numbers and arrays as one vector."""
    return np.concatenate([np.ravel(part) for part in parts])


def parted(vectors: Doubles, *shapes: tuple[int, ...]) -> list[Doubles]:
    """What was joined, arrays of these shapes; from many vectors, (n, n_numbers), arrays (n, *shape)."""
    ends = np.cumsum([math.prod(shape) for shape in shapes])
    parts = np.split(vectors, ends[:-1], axis=-1)
    return [part.reshape((*vectors.shape[:-1], *shape)) for part, shape in zip(parts, shapes, strict=True)]


@dataclass(frozen=True)
class Moments:
    """Sums over samples x with weights w, y = x − shift; or many of them, all arrays but `shift` with leading axes."""

    shift: Doubles  # (d,)
    total: Any  # Σ w, a number
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
        shift = near(X, sample_weight) if shift is None else shift
        first, second = _core.moments(X, sample_weight, shift, diagonal, n_threads)
        if not (np.isfinite(first).all() and np.isfinite(second).all()):
            check_finite(X)
            raise ValueError("X has entries so large that their squares overflow; rescale it")
        total = float(len(X)) if sample_weight is None else float(sample_weight.sum())
        return Moments(shift, total, len(X), first, second, float(np.finfo(X.dtype).eps))

    @staticmethod
    def of_blocks(
        X: Floats, sample_weight: Doubles | None, ends: NDArray[np.intp], *, like: Moments, n_threads: int
    ) -> Doubles:
        """The vectors of the moments between two ends about the point of `like`, (n_blocks, n_numbers); X is finite."""
        shift, diagonal, d = like.shift, like._is_diagonal, len(like.shift)
        totals = np.diff(ends).astype(np.float64)
        if sample_weight is not None:
            totals = np.add.reduceat(sample_weight, ends[:-1])
        firsts, seconds = np.empty((len(totals), d)), np.empty((len(totals), *like.second.shape))
        # Of few rows, the sums themselves take no longer than a call of Python: there is no more in the loop than them.
        for k, (begin, end) in enumerate(itertools.pairwise(ends.tolist())):
            weight = None if sample_weight is None else sample_weight[begin:end]
            firsts[k], seconds[k] = _core.moments(X[begin:end], weight, shift, diagonal, n_threads)
        if not diagonal:
            seconds = seconds.reshape(len(totals), -1)[:, _upper_triangle(d)]
        return np.concatenate([totals[:, None], firsts, seconds], axis=1)

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

    def as_vector(self) -> Doubles:
        """All that adds up; of a symmetric matrix its upper triangle."""
        second = self.second if self._is_diagonal else self.second.ravel()[_upper_triangle(len(self.shift))]
        return joined(self.total, self.first, second)

    def with_vector(self, vector: Doubles, n_samples: int) -> Moments:
        """Those of other rows about the same point, from their vector; or many of them, from (n, n_numbers)."""
        d = len(self.shift)
        n_second = d if self._is_diagonal else d * (d + 1) // 2
        total, first, second = parted(vector, (), (d,), (n_second,))
        if not self._is_diagonal:
            second = second[..., symmetric_index(d)]
        # The point may lie further from other rows, and sums of sums are rounded once more.
        eps = self.eps + 16 * float(np.finfo(np.float64).eps)
        return replace(self, total=total, n_samples=n_samples, first=first, second=second, eps=eps)

    @property
    def _is_diagonal(self) -> bool:
        return self.second.ndim == self.first.ndim

    @property
    def _offset(self) -> Doubles:
        return np.asarray(self.first / np.asarray(self.total)[..., None])

    @property
    def mean(self) -> Doubles:
        """The weighted mean, (d,)."""
        return self.shift + self._offset

    @property
    def covariance(self) -> Doubles:
        """The weighted covariance about the mean, divided by Σ w; of the shape of `second`."""
        offset = self._offset
        if self._is_diagonal:
            return np.asarray(self.second / np.asarray(self.total)[..., None] - offset**2)
        return np.asarray(self.second / np.asarray(self.total)[..., None, None] - _squares(offset))

    @property
    def _variances(self) -> Doubles:
        return self.covariance if self._is_diagonal else np.diagonal(self.covariance, axis1=-2, axis2=-1)

    @property
    def rounding(self) -> float:
        """The relative rounding error of the covariance: more than that of the rows where these are far from the shift.

        So they are where it was taken from others, which have no weight.
        """
        variances = self._variances
        far = np.divide(self._offset**2, variances, out=np.zeros(variances.shape), where=~self.is_constant)
        return self.eps * (1 + float(far.max()))

    @property
    def is_constant(self) -> NDArray[np.bool_]:
        """Of each column, whether its variance is no more than what rounding makes of a constant."""
        variances = self._variances
        # The shift is off by as much as the mean was rounded, and what is far from the shift cancels.
        return np.asarray(variances <= 16 * ((self.eps * self.mean) ** 2 + self.eps * self._offset**2))

    def constant_columns(self) -> NDArray[np.intp]:
        """The columns that are constant."""
        return np.flatnonzero(self.is_constant)

    @property
    def second_about_zero(self) -> Doubles:
        """The weighted mean of x xᵀ, (d, d)."""
        return self.covariance + _squares(self.mean)


@lru_cache(maxsize=8)
def _upper_triangle(d: int) -> NDArray[np.intp]:
    """Where the entries of the upper triangle stand in a matrix, row by row."""
    return np.ravel_multi_index(np.triu_indices(d), (d, d))


def _squares(vectors: Doubles) -> Doubles:
    """Products v vᵀ of each vector, (..., d, d)."""
    return vectors[..., :, None] * vectors[..., None, :]


@dataclass(frozen=True)
class WeightedMoments:
    """Sums under coordinate weights h_j and their derivatives, y = x − shift (see backend.hpp); or many, as Moments."""

    shift: Doubles
    total: Any  # Σ w, a number
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
        shift = near(X, sample_weight) if shift is None else shift
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

    def as_vector(self) -> Doubles:
        """All that adds up."""
        return joined(self.total, *self.sums.values())

    def with_vector(self, vector: Doubles, n_samples: int) -> WeightedMoments:
        """Those of other rows about the same point, from their vector; or many of them, from (n, n_numbers)."""
        total, *parts = parted(vector, (), *(value.shape for value in self.sums.values()))
        sums = dict(zip(self.sums, parts, strict=True))
        return replace(self, total=total, n_samples=n_samples, sums=sums)
