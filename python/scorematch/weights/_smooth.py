"""Weights that bend smoothly: hyperbolic tangent and area sine, softplus, sine."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from scorematch.weights._base import ByColumn, CompiledWeight, Doubles, Function, QuantileWeight


@dataclass(frozen=True, repr=False)
class Tanh(CompiledWeight):
    """h(x) = tanh(a x): bounded and smooth.

    Parameters
    ----------
    a : float, default=1.0
        How fast it grows, positive; 1/a is in the units of the data.

    Examples
    --------
    >>> import numpy as np
    >>> from scorematch.weights import Tanh
    >>> h, slope = Tanh(a=2.0)([0.0, 1.0])
    >>> np.round(h, 3), np.round(slope, 3)
    (array([0.   , 0.964]), array([2.   , 0.141]))
    """

    _function: ClassVar[Function] = "tanh"
    _parameter: ClassVar[str] = "a"

    a: float = 1.0


@dataclass(frozen=True, repr=False)
class Asinh(QuantileWeight):
    """h(x) = min(asinh(a x), c), the inverse of the hyperbolic sine: a x near 0, and then log(2 a x).

    Parameters
    ----------
    a : float, default=1.0
        How fast it grows, positive; 1/a is in the units of the data.
    c : float or sequence of float, optional
        The cap, positive: h is flat from sinh(c) / a on. One for each coordinate where a sequence is given. Without `c`
        and `quantile` there is no cap.
    quantile : float, optional
        In place of `c`: above 0 and at most 1. The weight is flat from this quantile of the distances in each column
        on.

    Examples
    --------
    >>> import numpy as np
    >>> from scorematch.weights import Asinh
    >>> h, slope = Asinh(a=1.0, c=1.0)([0.0, 1.0, 3.0])
    >>> np.round(h, 3), np.round(slope, 3)
    (array([0.   , 0.881, 1.   ]), array([1.   , 0.707, 0.   ]))
    """

    _function: ClassVar[Function] = "asinh"
    _parameter: ClassVar[str] = "a"

    a: float = 1.0
    c: ByColumn = None


@dataclass(frozen=True, repr=False)
class SoftPlus(QuantileWeight):
    """h(x) = min(log(1 + e^(a x)) - log 2, c): a x / 2 near 0, then a x.

    Parameters
    ----------
    a : float, default=1.0
        How fast it grows, positive; 1/a is in the units of the data.
    c : float or sequence of float, optional
        The cap, positive: h is flat from log(2 e^c - 1) / a on. One for each coordinate where a sequence is given.
        Without `c` and `quantile` there is no cap.
    quantile : float, optional
        In place of `c`: above 0 and at most 1. The weight is flat from this quantile of the distances in each column
        on.

    Examples
    --------
    >>> import numpy as np
    >>> from scorematch.weights import SoftPlus
    >>> h, slope = SoftPlus(a=1.0, c=1.0)([0.0, 1.0, 3.0])
    >>> np.round(h, 3), np.round(slope, 3)
    (array([0.  , 0.62, 1.  ]), array([0.5  , 0.731, 0.   ]))
    """

    _function: ClassVar[Function] = "softplus"
    _parameter: ClassVar[str] = "a"

    a: float = 1.0
    c: ByColumn = None


@dataclass(frozen=True, repr=False)
class TruncatedSine(QuantileWeight):
    """h(x) = sin(min(a x, pi / 2)): bounded, with a continuous derivative.

    Parameters
    ----------
    a : float or sequence of float, optional
        How fast it grows, positive: h is 1 from pi / (2 a) on. One for each coordinate where a sequence is given. It is
        1 where neither `a` nor `quantile` is given.
    quantile : float, optional
        In place of `a`: above 0 and at most 1. The weight is flat from this quantile of the distances in each column
        on.

    Examples
    --------
    >>> import numpy as np
    >>> from scorematch.weights import TruncatedSine
    >>> h, slope = TruncatedSine(a=1.0)([0.0, 1.0, 3.0])
    >>> np.round(h, 3), np.round(slope, 3)
    (array([0.   , 0.841, 1.   ]), array([1.  , 0.54, 0.  ]))
    """

    _function: ClassVar[Function] = "sine"
    _by_column: ClassVar[str] = "a"
    _otherwise: ClassVar[float | None] = 1.0

    a: ByColumn = None

    def _flat_from(self, places: Doubles) -> Doubles:
        return np.pi / 2 / places
