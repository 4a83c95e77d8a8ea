"""Powers, logarithms, and both with a cap."""

from dataclasses import dataclass
from typing import ClassVar

from scorematch.weights._base import ByColumn, CompiledWeight, Function, QuantileWeight


@dataclass(frozen=True, repr=False)
class Power(CompiledWeight):
    """h(x) = x^p. With p = 2 the objective of Hyvärinen (2007) for non-negative data.

    Its capped form is :class:`MinPower`.

    Parameters
    ----------
    p : float, default=1.0
        The exponent, positive. Below 1 the derivative is infinite at 0, and no data may lie on the boundary.

    Examples
    --------
    >>> from scorematch.weights import Power
    >>> Power(2)([3.0])
    (array([9.]), array([6.]))
    """

    _function: ClassVar[Function] = "identity"

    p: float = 1.0


@dataclass(frozen=True, repr=False)
class Log1p(CompiledWeight):
    """h(x) = log(1 + x): unbounded, but it grows slowly (Yu, Drton and Shojaie 2019).

    Its capped form is :class:`MinLog1p`.

    Examples
    --------
    >>> from scorematch.weights import Log1p
    >>> Log1p()([0.0])
    (array([0.]), array([1.]))
    """

    _function: ClassVar[Function] = "log1p"


@dataclass(frozen=True, repr=False)
class MinPower(QuantileWeight):
    """h(x) = min(x, c)^p: it grows near the boundary and is flat beyond c (Yu, Drton and Shojaie 2019).

    Parameters
    ----------
    c : float or sequence of float, optional
        The cap, positive, in the units of the data; one for each coordinate where a sequence is given. It is 1 where
        neither `c` nor `quantile` is given.
    p : float, default=1.0
        The exponent, positive. Below 1 the derivative is infinite at 0, and no data may lie on the boundary.
    quantile : float, optional
        In place of `c`: above 0 and at most 1. The cap is this quantile of the distances in each column.

    Examples
    --------
    >>> import numpy as np
    >>> from scorematch.weights import MinPower
    >>> MinPower(c=1.0, p=2.0)([0.5, 3.0])
    (array([0.25, 1.  ]), array([1., 0.]))
    >>> MinPower(quantile=0.5).fitted(np.array([[1.0, 10.0], [2.0, 20.0], [3.0, 30.0]]))
    MinPower(c=(2.0, 20.0), p=1.0)
    """

    _function: ClassVar[Function] = "identity"
    _otherwise: ClassVar[float | None] = 1.0

    c: ByColumn = None
    p: float = 1.0


@dataclass(frozen=True, repr=False)
class MinLog1p(QuantileWeight):
    """h(x) = min(log(1 + x), c)^p: the logarithm, flat from x = e^c - 1 on.

    Parameters
    ----------
    c : float or sequence of float, optional
        The cap of the logarithm, positive; one for each coordinate where a sequence is given. It is 1 where neither `c`
        nor `quantile` is given.
    p : float, default=1.0
        The exponent, positive. Below 1 the derivative is infinite at 0, and no data may lie on the boundary.
    quantile : float, optional
        In place of `c`: above 0 and at most 1. The weight is flat from this quantile of the distances in each column
        on: c is log(1 + quantile).

    Examples
    --------
    >>> import numpy as np
    >>> from scorematch.weights import MinLog1p
    >>> h, slope = MinLog1p(c=1.0)([0.0, 1.0, 3.0])
    >>> np.round(h, 3), np.round(slope, 3)
    (array([0.   , 0.693, 1.   ]), array([1. , 0.5, 0. ]))
    """

    _function: ClassVar[Function] = "log1p"
    _otherwise: ClassVar[float | None] = 1.0

    c: ByColumn = None
    p: float = 1.0
