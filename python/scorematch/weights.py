"""Weights of generalised score matching: functions h of one coordinate that vanish at the boundary.

The objective becomes, with h_j = h(x_j) (Hyvärinen 2007; Yu, Drton and Shojaie 2019, equation 8),

    rho = sum_j h_j (psi_j^2 / 2 + d psi_j / d x_j) + h_j' psi_j

Estimates are consistent for every such h. Slowly growing and bounded ones are the more efficient: in the estimation of
an exponential rate ``MinPower(c=3)`` has a variance 5 % above maximum likelihood, ``Power(2)`` twice that of it.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["Log1p", "MinPower", "Power", "Weight"]


def _positive(name: str, value: object, most_dimensions: int = 0) -> None:
    array = np.asarray(value)
    if array.dtype.kind not in "iuf" or array.ndim > most_dimensions or array.size == 0:
        wanted = "a number" if most_dimensions == 0 else "a number or a sequence of numbers"
        raise ValueError(f"{name} must be {wanted}; got {value!r}")
    if not (np.isfinite(array) & (array > 0)).all():
        raise ValueError(f"{name} must be positive and finite; got {value!r}")


@dataclass(frozen=True)
class Weight(ABC):
    """What all weights have in common.

    Examples
    --------
    >>> from scorematch.weights import MinPower
    >>> MinPower(c=2.0, p=1.0)([0.5, 3.0])
    (array([0.5, 2. ]), array([1., 0.]))
    """

    @abstractmethod
    def __call__(self, x: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Give h and its derivative.

        Parameters
        ----------
        x : array_like
            Coordinates, at least 0.

        Returns
        -------
        h, derivative : ndarray
            Of the shape of `x`.
        """


@dataclass(frozen=True)
class Power(Weight):
    """h(x) = x^p. With p = 2 the objective of Hyvärinen (2007) for non-negative data.

    Parameters
    ----------
    p : float, default=1.0
        The exponent, positive.

    Examples
    --------
    >>> from scorematch.weights import Power
    >>> Power(2)([3.0])
    (array([9.]), array([6.]))
    """

    p: float = 1.0

    def __post_init__(self) -> None:
        _positive("p", self.p)

    def __call__(self, x: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        values = np.asarray(x, dtype=np.float64)
        return values**self.p, self.p * values ** (self.p - 1)


@dataclass(frozen=True)
class MinPower(Weight):
    """h(x) = min(x, c)^p: it grows near the boundary and is flat beyond c (Yu, Drton and Shojaie 2019).

    Parameters
    ----------
    c : float or sequence of float, default=1.0
        The cap, positive, in the units of the data; one for each coordinate where a sequence is given.
    p : float, default=1.0
        The exponent, positive.

    Examples
    --------
    >>> from scorematch.weights import MinPower
    >>> MinPower(c=1.0, p=2.0)([0.5, 3.0])
    (array([0.25, 1.  ]), array([1., 0.]))
    """

    c: float | Sequence[float] = 1.0
    p: float = 1.0

    def __post_init__(self) -> None:
        _positive("c", self.c, most_dimensions=1)
        _positive("p", self.p)
        if np.ndim(self.c) > 0:  # a tuple can be compared, hashed and written to a file, whatever came
            object.__setattr__(self, "c", tuple(np.asarray(self.c, dtype=float).tolist()))

    def __call__(self, x: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        values = np.asarray(x, dtype=np.float64)
        capped = np.minimum(values, self.c)
        return capped**self.p, np.where(values < self.c, self.p * capped ** (self.p - 1), 0.0)


@dataclass(frozen=True)
class Log1p(Weight):
    """h(x) = log(1 + x): unbounded, but it grows slowly (Yu, Drton and Shojaie 2019).

    Examples
    --------
    >>> from scorematch.weights import Log1p
    >>> Log1p()([0.0])
    (array([0.]), array([1.]))
    """

    def __call__(self, x: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        values = np.asarray(x, dtype=np.float64)
        return np.log1p(values), 1 / (1 + values)
