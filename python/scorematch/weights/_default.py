"""The weight that is used where the user gives none."""

from typing import Any

from scorematch.weights._base import Weight
from scorematch.weights._penalties import MCP
from scorematch.weights._powers import MinPower


def default_weight(domain: Any, *, unbounded_score: bool = False) -> Weight | None:
    """Choose the weight for a domain where the user gives none.

    It is ``MCP(quantile=0.95)``: in each column a parabola that rises from the boundary and is flat from the 95 %
    quantile of the distances on. It grows at once, which makes estimates efficient. It is flat, with a continuous
    derivative, where most data are far from the boundary: half-way between two ends of a domain the distance turns from
    growing to falling, and a weight that still has a slope makes the objective jump there. The quantile is not the
    largest distance, lest one outlier decide. And in other units of a column it is the same function times the square
    of the unit: the objective, and with it the estimate, is the same.

    Where the score function itself is unbounded at the boundary, as with logarithms and roots of x, that weight lets it
    grow too much, and the choice is ``MinPower(p=1.5, quantile=0.95)``.

    Parameters
    ----------
    domain : domain or None
        One of :mod:`scorematch.domains`, or an object of the user's own with `contains` and `coordinate_distance`.
    unbounded_score : bool, default=False
        Whether the score function of the model grows without bounds towards the boundary.

    Returns
    -------
    Weight or None
        None where there is no boundary, and no weight is needed.

    Notes
    -----
    The choice was made by measurement. For each model the table gives the efficiency, the asymptotic variance of
    maximum likelihood over that of score matching, of the parameter that fares worst, from samples of 60 000 to
    200 000.

    ================================= ======== ======== ============= ============= ============= ===========
    model                             Power(2) Power(1) MinPower,     MCP,          MinPower,     Boundary-
                                                        quantile .9   quantile .95  p=1.5, .95    Distance
    ================================= ======== ======== ============= ============= ============= ===========
    exponential, rate                 .51      1.00     .91           .86           .78
    N(-1, 1) on x > 0                 .27      .90      .94           .93           .68
    N(0, 1) on x > 0                  .27      .86      .94           .98           .62
    N(1, 1) on x > 0                  .27      .78      .86           .96           .56
    N(3, 1) on x > 0                  .39      .74      .78           .88           .60
    5-d Gaussian on the orthant       .31      .78      .88           .93           .64
    N(0.3, 0.5^2) on [0, 1]           .37      .91      .91           1.00          .60
    2-d Gaussian on a box             .28      .73      .77           .98           .49           .70
    3-d Gaussian on a ball            .29      .71      .75           .90           .49           .85
    N(mean, I) on a pentagon, mean    .25      .62      .65           .73           .44           .54
    2-d Gaussian on a hexagon         .30      .71      .75           .92           .49           .76
    N(mean, I) on an L, mean          .28      .63      .67           .71           .47           .29
    gamma of shape 1.5                .49      .10      .10           .09           .90
    gamma of shape 3                  .69      .77      .73           .59           .96
    exponential square root           .38      .38      .34           .26           .85
    Dirichlet(2.5, 3, 4)              .58      .63      .63           .54           .76
    ================================= ======== ======== ============= ============= ============= ===========

    The quantile 0.95 is a compromise between 1, which is better still for the exponential, and 0.75, which is so for
    N(1, 1). With 2 % of gross errors, ten times too large, among n = 1000 exponential numbers, the error of the rate is
    1.6 / sqrt(n) with it, and 4.0 / sqrt(n) with the quantile 1.

    Where the density itself is unbounded, as that of a gamma of shape below 1, the variance is infinite with p = 1.5,
    and ``MinPower(p=2, quantile=0.75)`` does better.

    Examples
    --------
    >>> import scorematch
    >>> from scorematch.weights import default_weight
    >>> default_weight(scorematch.NonNegative())
    MCP(quantile=0.95, gamma=3.0)
    >>> default_weight(scorematch.NonNegative(), unbounded_score=True)
    MinPower(quantile=0.95, p=1.5)
    """
    if domain is None or not getattr(domain, "has_boundary", True):
        return None
    return MinPower(p=1.5, quantile=0.95) if unbounded_score else MCP(quantile=0.95)
