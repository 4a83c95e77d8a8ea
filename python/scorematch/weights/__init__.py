"""Weights of generalised score matching: functions h of the distance to the boundary, 0 on it.

Where a density does not vanish at the boundary of its domain, a weight must. With phi_j(x) the distance from x_j to the
boundary along coordinate j, and h_j = h(phi_j), the objective becomes (Hyvärinen 2007 for h(x) = x^2 on the
non-negative orthant; Yu, Drton and Shojaie 2019, equation 8; Yu, Drton and Shojaie 2022 for other domains)

    rho = sum_j h_j (psi_j^2 / 2 + d psi_j / d x_j) + (d h_j / d x_j) psi_j

Estimates are consistent for every such h. Those that grow at once, and are flat where most of the data are, are the
more efficient: :func:`default_weight` says what is used where none is given, why, and what was measured.

======================== ================================== ============ ============== ============================
weight                   h(x)                               quantile for bounded        flat from
======================== ================================== ============ ============== ============================
:class:`Power`           x^p                                             no
:class:`MinPower`        min(x, c)^p                        c            yes            c (kink)
:class:`Log1p`           log(1 + x)                                      no
:class:`MinLog1p`        min(log(1 + x), c)^p               c            yes            e^c - 1 (kink)
:class:`Tanh`            tanh(a x)                                       yes
:class:`Asinh`           min(asinh(a x), c)                 c            where capped   sinh(c) / a (kink)
:class:`SoftPlus`        min(log(1 + e^(a x)) - log 2, c)   c            where capped   log(2 e^c - 1) / a (kink)
:class:`MCP`             lam x - x^2 / (2 gamma)            lam          yes            gamma lam
:class:`SCAD`            lam x, then a parabola             lam          yes            gamma lam
:class:`TruncatedSine`   sin(min(a x, pi / 2))              a            yes            pi / (2 a)
======================== ================================== ============ ============== ============================

At a kink the derivative is that from the right, 0. The parameter in the third column may be a sequence, one number for
each coordinate; or ``quantile`` stands in its place, and the weight is flat from that quantile of the distances in each
column of the training data on: from the smallest distance that at least this share of the samples does not exceed.

:class:`BoundaryDistance` is of another kind: one weight for all coordinates, the Euclidean distance to the boundary
(Liu, Kanamori and Williams 2022).

A weight of the user's own is a pair of functions (h, h'): see :func:`as_weight`.
"""

from collections.abc import Callable
from typing import Any

from scorematch.weights._base import Weight
from scorematch.weights._boundary_distance import BoundaryDistance
from scorematch.weights._default import default_weight
from scorematch.weights._penalties import MCP, SCAD
from scorematch.weights._powers import Log1p, MinLog1p, MinPower, Power
from scorematch.weights._smooth import Asinh, SoftPlus, Tanh, TruncatedSine
from scorematch.weights._user import UserWeight, as_weight

# What an estimator's argument `weight` takes.
WeightLike = Weight | BoundaryDistance | tuple[Callable[..., Any], Callable[..., Any]]

__all__ = [
    "MCP",
    "SCAD",
    "Asinh",
    "BoundaryDistance",
    "Log1p",
    "MinLog1p",
    "MinPower",
    "Power",
    "SoftPlus",
    "Tanh",
    "TruncatedSine",
    "UserWeight",
    "Weight",
    "as_weight",
    "default_weight",
]
