"""Weights that are known as penalties of regression: they rise with slope lam and are flat from gamma lam on."""

from dataclasses import dataclass
from typing import ClassVar

from scorematch.weights._base import ByColumn, Doubles, Function, QuantileWeight, set_positive


@dataclass(frozen=True, repr=False)
class MCP(QuantileWeight):
    """The minimax concave penalty (Zhang 2010): lam x - x^2 / (2 gamma) up to x = gamma lam, then flat.

    Its derivative, max(lam - x / gamma, 0), is continuous.

    Parameters
    ----------
    lam : float or sequence of float, optional
        The slope at 0, positive; one for each coordinate where a sequence is given. It is 1 where neither `lam` nor
        `quantile` is given.
    gamma : float, default=3.0
        How slowly the slope falls, positive. The weight is gamma lam^2 / 2 from gamma lam on.
    quantile : float, optional
        In place of `lam`: above 0 and at most 1. The weight is flat from this quantile of the distances in each column
        on: lam is the quantile over gamma. Then gamma changes the objective by a factor alone, and neither the estimate
        nor the influence of a column depends on the units of the columns.

    References
    ----------
    Zhang (2010), "Nearly unbiased variable selection under minimax concave penalty", Annals of Statistics 38, eq. 2.1.

    Examples
    --------
    >>> import numpy as np
    >>> from scorematch.weights import MCP
    >>> MCP(lam=1.0, gamma=2.0)([0.0, 1.0, 3.0])
    (array([0.  , 0.75, 1.  ]), array([1. , 0.5, 0. ]))
    >>> MCP(gamma=2.0, quantile=1.0).fitted(np.array([[1.0, 10.0], [2.0, 20.0]]))
    MCP(lam=(1.0, 10.0), gamma=2.0)
    """

    _function: ClassVar[Function] = "mcp"
    _parameter: ClassVar[str] = "gamma"
    _by_column: ClassVar[str] = "lam"
    _otherwise: ClassVar[float | None] = 1.0

    lam: ByColumn = None
    gamma: float = 3.0

    def _flat_from(self, places: Doubles) -> Doubles:
        return places / self.gamma


@dataclass(frozen=True, repr=False)
class SCAD(QuantileWeight):
    """The smoothly clipped absolute deviation (Fan and Li 2001): a line, a parabola, and then flat.

    It is lam x up to x = lam, then lam x - (x - lam)^2 / (2 (gamma - 1)) up to x = gamma lam, and lam^2 (gamma + 1) / 2
    from there on. Its derivative, lam min(1, max(gamma lam - x, 0) / ((gamma - 1) lam)), is continuous.

    Parameters
    ----------
    lam : float or sequence of float, optional
        The slope at 0, positive; one for each coordinate where a sequence is given. It is 1 where neither `lam` nor
        `quantile` is given.
    gamma : float, default=3.7
        Greater than 1: how slowly the slope falls. (Fan and Li call it a, take it greater than 2, and suggest 3.7.)
    quantile : float, optional
        In place of `lam`: above 0 and at most 1. The weight is flat from this quantile of the distances in each column
        on: lam is the quantile over gamma.

    References
    ----------
    Fan and Li (2001), "Variable selection via nonconcave penalized likelihood and its oracle properties", Journal of
    the American Statistical Association 96, eq. 2.7.

    Examples
    --------
    >>> from scorematch.weights import SCAD
    >>> SCAD(lam=1.0, gamma=3.0)([0.5, 2.0, 4.0])
    (array([0.5 , 1.75, 2.  ]), array([1. , 0.5, 0. ]))
    """

    _function: ClassVar[Function] = "scad"
    _parameter: ClassVar[str] = "gamma"
    _by_column: ClassVar[str] = "lam"
    _otherwise: ClassVar[float | None] = 1.0

    lam: ByColumn = None
    gamma: float = 3.7

    def __post_init__(self) -> None:
        super().__post_init__()
        set_positive(self, "gamma", above=1.0)

    def _flat_from(self, places: Doubles) -> Doubles:
        return places / self.gamma
