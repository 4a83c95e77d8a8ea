"""One weight for all coordinates: the distance to the boundary."""

from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scorematch.weights._base import Doubles, Shown, check_quantile, column_quantiles, set_positive


@dataclass(frozen=True, repr=False)
class BoundaryDistance(Shown):
    """The weight g(x) = min(dist(x, boundary), cap), the same for all coordinates (Liu, Kanamori and Williams 2022).

    The distance is Euclidean, :meth:`~scorematch.domains.Domain.distance` of the domain. The objective is then

        rho = g (|psi|^2 / 2 + tr(d psi / d x)) + grad(g)'psi

    Parameters
    ----------
    cap : float, optional
        Beyond this distance the weight is flat; positive, in the units of the data. Without `cap` and `quantile` it is
        the distance itself.
    quantile : float, optional
        In place of `cap`: above 0 and at most 1. The cap is this quantile of the distances of the training data.

    References
    ----------
    Liu, Kanamori and Williams (2022), "Estimating density models with truncation boundaries using score matching",
    Journal of Machine Learning Research 23 (186).

    Examples
    --------
    >>> import numpy as np
    >>> from scorematch.weights import BoundaryDistance
    >>> BoundaryDistance(cap=0.5)(np.array([0.25, 2.0]), np.array([[0.0, 1.0], [1.0, 0.0]]))
    (array([[0.25],
           [0.5 ]]), array([[0., 1.],
           [0., 0.]]))
    """

    cap: float | None = None
    quantile: float | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        check_quantile(self, "cap")
        if self.cap is not None:
            set_positive(self, "cap")

    @property
    def bounded(self) -> bool:
        """Whether g is bounded, as it needs where there are points without a boundary near."""
        return self.cap is not None or self.quantile is not None

    def __call__(self, distance: ArrayLike, gradient: ArrayLike) -> tuple[Doubles, Doubles]:
        """Give the weight and its gradient.

        Parameters
        ----------
        distance : array_like of shape (n_samples,)
            Distances to the boundary.
        gradient : array_like of shape (n_samples, n_features)
            Their gradients.

        Returns
        -------
        g : ndarray of shape (n_samples, 1)
            The weight.
        gradient : ndarray of shape (n_samples, n_features)
            Its gradient: 0 from the cap on, and where the distance is infinite.
        """
        distances = np.asarray(distance, dtype=np.float64)
        if self.cap is None and self.quantile is not None:
            raise ValueError(f"{self!r} has no cap yet: fitted(distances) finds it from the distances of the data")
        cap = np.inf if self.cap is None else self.cap
        below = distances < cap
        return np.minimum(distances, cap)[:, None], np.where(below[:, None], gradient, 0.0)

    def fitted(self, distances: NDArray[np.floating], sample_weight: Doubles | None = None) -> Self:
        """Turn a quantile into the cap that it gives on data.

        Parameters
        ----------
        distances : ndarray of shape (n_samples,)
            Distances of the training data to the boundary.
        sample_weight : ndarray of shape (n_samples,), optional
            Weights of the samples; a weight of 2 counts like two samples.

        Returns
        -------
        Self
            The weight itself where it has no quantile; else the same with a `cap`.
        """
        if self.quantile is None:
            return self
        (cap,) = column_quantiles(np.asarray(distances).reshape(-1, 1), self.quantile, sample_weight)
        return replace(self, quantile=None, cap=float(cap))
