"""What weights have in common: the interface, checks of parameters, and caps."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scorematch import _core

Doubles = NDArray[np.float64]
# A number for all coordinates, or one for each; None where a quantile takes its place.
ByColumn = float | Sequence[float] | None
# What the core calls the functions f.
Function = Literal["identity", "log1p", "tanh", "asinh", "softplus", "mcp", "scad", "sine"]


class Shown:
    """Base of dataclasses that show the fields that are in use: ``MinPower(c=1.0, p=2.0)`` has no quantile."""

    def __repr__(self) -> str:
        values = ((entry.name, getattr(self, entry.name)) for entry in fields(self))  # type: ignore[arg-type]
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in values if value is not None)})"


@dataclass(frozen=True, repr=False)
class Weight(Shown, ABC):
    """What all weights have in common: a function h of a coordinate's distance to the boundary, with h(0) = 0.

    A class of the user's own needs `__call__` alone, and to be a frozen dataclass.

    Examples
    --------
    >>> from scorematch.weights import MinPower
    >>> MinPower(c=2.0, p=1.0)([0.5, 3.0])
    (array([0.5, 2. ]), array([1., 0.]))
    """

    @abstractmethod
    def __call__(self, x: ArrayLike) -> tuple[Doubles, Doubles]:
        """Give h and its derivative.

        Parameters
        ----------
        x : array_like
            Distances to the boundary, at least 0; infinite where there is no boundary.

        Returns
        -------
        h, derivative : ndarray
            Of the shape of `x`. At an infinite distance h is its limit, and the derivative is 0.
        """

    @property
    def bounded(self) -> bool:
        """Whether h has a finite limit, as it needs where a coordinate has no boundary."""
        return bool(np.isfinite(self(np.inf)[0]))

    @property
    def smooth_at_zero(self) -> bool:
        """Whether the derivative at 0 is finite."""
        return bool(np.isfinite(self(0.0)[1]))

    def fitted(self, phi: NDArray[np.floating], sample_weight: Doubles | None = None) -> Self:
        """Turn a quantile into the parameters that it gives on data.

        Parameters
        ----------
        phi : ndarray of shape (n_samples, n_features)
            Distances of the training data to the boundary. The quantile is over the finite ones of each column; where a
            column has none, the distance 1 is taken for it.
        sample_weight : ndarray of shape (n_samples,), optional
            Weights of the samples; a weight of 2 counts like two samples.

        Returns
        -------
        Self
            The weight itself where it has no quantile; else the same with one number for each column in its place.
        """
        del phi, sample_weight
        return self


@dataclass(frozen=True, repr=False)
class CompiledWeight(Weight):
    """Base of the weights of the core (cpp/include/scorematch/weights.hpp), f(x)^p.

    A derived class names f and the field that is its parameter. Where it has no field `p` the exponent is 1.
    """

    _function: ClassVar[Function]
    _parameter: ClassVar[str] = ""

    def __post_init__(self) -> None:
        set_positive(self, *(name for name in (self._parameter, "p") if hasattr(self, name)))

    def __call__(self, x: ArrayLike) -> tuple[Doubles, Doubles]:
        return self._evaluate(np.asarray(x, dtype=np.float64), (np.inf,), getattr(self, "p", 1.0))

    def _evaluate(self, x: Doubles, column_values: Sequence[float], exponent: float) -> tuple[Doubles, Doubles]:
        return _core.weight(self._function, x, getattr(self, self._parameter, 0.0), column_values, exponent)


@dataclass(frozen=True, repr=False)
class QuantileWeight(CompiledWeight):
    """Base of those with a field that may differ from column to column, and be found from a quantile of the data.

    That field says where the weight becomes flat; a derived class names it, and says how.
    """

    _by_column: ClassVar[str] = "c"
    # What the field is where neither it nor the quantile is given; None: the weight does not become flat.
    _otherwise: ClassVar[float | None] = None

    quantile: float | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_quantile(self, self._by_column)
        if self._value is None and self.quantile is None:
            object.__setattr__(self, self._by_column, self._otherwise)
        if self._value is not None:
            set_positive_by_column(self, self._by_column)

    def _flat_from(self, places: Doubles) -> Doubles:
        """What the field must be for the weight to be flat from here on: f itself, of which it is the cap."""
        return self._evaluate(places, (np.inf,), 1.0)[0]

    @property
    def _value(self) -> float | tuple[float, ...] | None:
        value: float | tuple[float, ...] | None = getattr(self, self._by_column)
        return value

    @property
    def bounded(self) -> bool:
        return self._value is not None or self.quantile is not None

    @property
    def smooth_at_zero(self) -> bool:
        return bool(getattr(self, "p", 1.0) >= 1)

    def __call__(self, x: ArrayLike) -> tuple[Doubles, Doubles]:
        distances = np.asarray(x, dtype=np.float64)
        return self._evaluate(distances, self._column_values(distances.shape), getattr(self, "p", 1.0))

    def _column_values(self, shape: tuple[int, ...]) -> tuple[float, ...]:
        """One number, or as many as an array of this shape has columns."""
        value, name = self._value, self._by_column
        if self.quantile is not None:
            raise ValueError(f"{self!r} has no {name} yet: fitted(phi) finds it from the distances of the data")
        if not isinstance(value, tuple):
            return (np.inf if value is None else value,)
        if shape[-1:] != (len(value),):
            raise ValueError(
                f"{type(self).__name__} has {len(value)} numbers {name}, one for each coordinate; got an array of "
                f"shape {shape}"
            )
        return value

    def fitted(self, phi: NDArray[np.floating], sample_weight: Doubles | None = None) -> Self:
        if self.quantile is None:
            return self
        found = self._flat_from(column_quantiles(phi, self.quantile, sample_weight))
        values: dict[str, Any] = {self._by_column: tuple(found.tolist())}
        return replace(self, quantile=None, **values)


def column_quantiles(phi: NDArray[np.floating], quantile: float, sample_weight: Doubles | None) -> Doubles:
    """A quantile of the finite entries of each column; 1 where a column has none."""
    phi = np.asarray(phi, dtype=np.float64)
    if phi.ndim != 2 or len(phi) == 0:
        raise ValueError(f"phi must have shape (n_samples, n_features) with at least one row; got {phi.shape}")
    if sample_weight is not None and sample_weight.shape != phi.shape[:1]:
        raise ValueError(f"sample_weight must have shape ({len(phi)},), one for each row; got {sample_weight.shape}")
    found = np.array([_quantile(column, quantile, sample_weight) for column in phi.T])
    if not (found > 0).all():
        j = int(np.argmin(found > 0))
        raise ValueError(
            f"the {quantile:g} quantile of the distances to the boundary must be positive to be a cap; in column {j} "
            f"it is {found[j]:g}: {np.count_nonzero(phi[:, j] == 0)} of {len(phi)} samples lie on the boundary. "
            "Use a higher quantile, or a cap in its place"
        )
    return found


def _quantile(values: Doubles, quantile: float, sample_weight: Doubles | None) -> float:
    """The smallest value that at least this share of the finite ones does not exceed.

    It is one of the values, so that a row of weight 2 counts like the same row twice, and one of weight 0 not at all.
    """
    counted = np.isfinite(values) if sample_weight is None else np.isfinite(values) & (sample_weight > 0)
    values = values[counted]
    if len(values) == 0:
        return 1.0
    share = quantile * (1 - 1e-12)  # lest rounding make of 0.9 of 10 a little more than 9
    if sample_weight is None:
        position = int(np.ceil(share * len(values))) - 1
        return float(np.partition(values, position)[position])
    order = np.argsort(values)
    below = np.cumsum(sample_weight[counted][order])
    return float(values[order[np.searchsorted(below, share * below[-1])]])


def set_positive(weight: Any, *names: str, above: float = 0.0) -> None:
    """Check that fields are finite numbers above a bound, and keep plain numbers in place of NumPy's."""
    for name in names:
        value = getattr(weight, name)
        if np.ndim(value) > 0 or not _are_numbers(value):
            raise ValueError(f"{name} must be a number; got {value!r}")
        if not above < value < np.inf:
            wanted = "positive" if above == 0 else f"greater than {above:g}"
            raise ValueError(f"{name} must be {wanted} and finite; got {value!r}")
        object.__setattr__(weight, name, np.asarray(value).item())


def set_positive_by_column(weight: Any, name: str) -> None:
    """Check a number or a sequence of numbers, and keep a tuple: it can be compared, hashed, and written to a file."""
    value = getattr(weight, name)
    if np.ndim(value) == 0:
        set_positive(weight, name)
        return
    if np.ndim(value) != 1 or np.size(value) == 0 or not _are_numbers(value):
        raise ValueError(f"{name} must be a number or a sequence of numbers; got {value!r}")
    numbers = np.asarray(value, dtype=np.float64)
    good = np.isfinite(numbers) & (numbers > 0)
    if not good.all():
        entry = int(np.argmin(good))
        raise ValueError(f"{name} must be positive and finite; entry {entry} is {numbers[entry]:g} in {value!r}")
    object.__setattr__(weight, name, tuple(numbers.tolist()))


def check_quantile(weight: Any, cap: str) -> None:
    """Check a field `quantile`, which may stand in place of another but not beside it."""
    quantile = weight.quantile
    if quantile is None:
        return
    if np.ndim(quantile) > 0 or not _are_numbers(quantile) or not 0 < quantile <= 1:
        raise ValueError(f"quantile must be a number above 0 and at most 1; got {quantile!r}")
    if getattr(weight, cap) is not None:
        raise ValueError(
            f"{type(weight).__name__} takes one of {cap} and quantile; got {cap}={getattr(weight, cap)!r} and "
            f"quantile={quantile!r}"
        )
    object.__setattr__(weight, "quantile", float(quantile))


def _are_numbers(value: object) -> bool:
    try:
        return np.asarray(value).dtype.kind in "iuf"
    except ValueError:  # rows of unequal length
        return False
