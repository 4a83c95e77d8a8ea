"""Domains: where the data live.

A domain says which points belong to it and, together with a weight (:mod:`scorematch.weights`), which objective is
right on it. Score matching needs the density, times the weight, to vanish at the boundary; where the density does not,
the weight must.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

# Rows that are looked at together, so that checks of large data take little memory.
BLOCK = 65536

__all__ = ["Domain", "NonNegative", "RealSpace", "Sphere"]


@dataclass(frozen=True)
class Domain(ABC):
    """What all domains have in common: one class each, its methods documented here.

    Examples
    --------
    >>> import numpy as np
    >>> from scorematch.domains import NonNegative
    >>> NonNegative().contains(np.array([[0.5, 2.0], [-0.1, 1.0]]))
    array([ True, False])
    """

    has_boundary: ClassVar[bool] = False

    @abstractmethod
    def contains(self, X: NDArray[np.floating]) -> NDArray[np.bool_]:
        """Tell which rows lie in the domain.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_features)
            The points.

        Returns
        -------
        ndarray of bool, shape (n_samples,)
            True for each row inside.
        """

    @abstractmethod
    def explain(self, row: NDArray[np.floating]) -> str:
        """Say in words what is wrong with a row that the domain does not contain.

        Parameters
        ----------
        row : ndarray of shape (n_features,)
            A point outside.

        Returns
        -------
        str
            The reason, to stand at the end of an error message.
        """


@dataclass(frozen=True)
class RealSpace(Domain):
    """All of space, where the plain objective of Hyvärinen (2005) holds.

    Examples
    --------
    >>> import scorematch
    >>> scorematch.RealSpace()
    RealSpace()
    """

    def contains(self, X: NDArray[np.floating]) -> NDArray[np.bool_]:
        return np.asarray(np.isfinite(X).all(axis=1))

    def explain(self, row: NDArray[np.floating]) -> str:
        column = int(np.flatnonzero(~np.isfinite(row))[0])
        return f"column {column} is {row[column]}"


@dataclass(frozen=True)
class NonNegative(Domain):
    """The non-negative orthant: every coordinate is at least 0.

    Densities rarely vanish at its boundary, so a weight that does is needed (Hyvärinen 2007; Yu, Drton and Shojaie
    2019), such as :class:`scorematch.MinPower`.

    Examples
    --------
    >>> import numpy as np
    >>> import scorematch
    >>> rng = np.random.default_rng(0)
    >>> X = np.abs(rng.normal(size=(20000, 1)))
    >>> model = scorematch.Gaussian(domain=scorematch.NonNegative(), weight=scorematch.MinPower()).fit(X)
    >>> bool(abs(model.precision_[0, 0] - 1) < 0.1)
    True
    """

    has_boundary: ClassVar[bool] = True

    def contains(self, X: NDArray[np.floating]) -> NDArray[np.bool_]:
        return np.asarray(np.asarray(X >= 0).all(axis=1))

    def explain(self, row: NDArray[np.floating]) -> str:
        column = int(np.flatnonzero(~(row >= 0))[0])
        return f"column {column} is {row[column]:.6g}, which is negative"


@dataclass(frozen=True)
class Sphere(Domain):
    """The unit sphere: rows of length 1, to within 1e-6 (1e-3 in float32).

    On it ``score_function`` is the tangential gradient and ``hessian_trace`` the Laplace-Beltrami operator of log p
    (Mardia, Kent and Laha 2016). It has no boundary and takes no weight.

    Examples
    --------
    >>> import numpy as np
    >>> import scorematch
    >>> scorematch.Sphere().contains(np.array([[0.6, 0.8], [1.0, 1.0]]))
    array([ True, False])
    """

    def contains(self, X: NDArray[np.floating]) -> NDArray[np.bool_]:
        tolerance = 1e-3 if X.dtype == np.float32 else 1e-6
        inside = np.empty(len(X), dtype=bool)
        for first in range(0, len(X), BLOCK):
            rows = X[first : first + BLOCK]
            inside[first : first + BLOCK] = np.abs(np.einsum("ij,ij->i", rows, rows) - 1) <= 2 * tolerance
        return inside

    def explain(self, row: NDArray[np.floating]) -> str:
        return f"its length is {np.linalg.norm(row):.6g}, not 1 (normalize=True rescales the rows)"
