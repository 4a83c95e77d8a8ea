"""How much of the data lies near the boundary of the domain, where the unweighted objective goes wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scorematch._base import ScoreMatchingEstimator
from scorematch._field import check_inside, has_boundary
from scorematch._validation import Floats, check_count, check_finite
from scorematch.diagnostics._operator import column_names
from scorematch.domains import RealSpace
from scorematch.domains._domain import Domain, as_points
from scorematch.weights import BoundaryDistance

Doubles = NDArray[np.float64]

DISTANCES = (0.01, 0.02, 0.05, 0.1, 0.2)
# A density at the boundary, in rows per standard deviation, above which it is not to be neglected: that of a normal
# distribution whose mean is 1.7 standard deviations away.
MUCH = 0.1
# Standard errors by which a share differs from the model's for certain.
CERTAIN = 4.0


@dataclass(frozen=True, eq=False)
class BoundaryMass:
    """Result of :func:`boundary_mass`.

    Parameters
    ----------
    columns : tuple of str
        The coordinate along which distances are taken, or "nearest" for the distance to the nearest point of the
        boundary; empty where the domain has none.
    scales : ndarray of shape (n_columns,)
        The standard deviation of each, the unit of its distances.
    distances : ndarray of shape (n_distances,)
        Distances, in that unit.
    shares : ndarray of shape (n_columns, n_distances)
        The share of the rows that lie within each distance of the boundary.
    model_shares : ndarray of shape (n_columns, n_distances) or None
        The same of draws from the model, where there are any.
    standard_errors : ndarray of shape (n_columns, n_distances)
        Of `shares`, or of their difference from `model_shares`, under the model's share or else their own.
    n_samples : int
        Number of rows.
    domain : Domain
        The domain.

    Examples
    --------
    >>> import numpy as np
    >>> import scorematch
    >>> from scorematch.diagnostics import boundary_mass
    >>> X = np.random.default_rng(0).exponential(size=(1000, 1))
    >>> bool(boundary_mass(scorematch.NonNegative(), X).densities.max() > 0.5)
    True
    """

    columns: tuple[str, ...]
    scales: Doubles = field(repr=False)
    distances: Doubles
    shares: Doubles = field(repr=False)
    model_shares: Doubles | None = field(repr=False)
    standard_errors: Doubles = field(repr=False)
    n_samples: int
    domain: Any

    @property
    def densities(self) -> Doubles:
        """Shares over distances: the density near the boundary, in rows per standard deviation."""
        return np.asarray(self.shares / self.distances)

    @property
    def weights_matter(self) -> NDArray[np.bool_]:
        """By column, whether the density at the boundary is certainly not small."""
        if not self.columns:
            return np.zeros(0, dtype=bool)
        own = np.sqrt(self.shares * (1 - self.shares) / self.n_samples)
        return np.asarray(((self.shares - 2 * own) / self.distances > MUCH).any(axis=1))

    @property
    def verdict(self) -> str:
        """What follows, in words."""
        if not self.columns:
            return f"{self.domain!r} has no boundary: the plain objective is right, and no weight has a place."
        matter = [name for name, much in zip(self.columns, self.weights_matter, strict=True) if much]
        if matter:
            first = (
                f"The density does not vanish at the boundary along {', '.join(matter[:5])}{' …' * (len(matter) > 5)}: "
                "without a weight the objective would be wrong there."
            )
        else:
            first = "Hardly any rows are near the boundary: the weight matters little."
        if self.model_shares is None:
            return first
        z = np.abs(self.shares - self.model_shares) / self.standard_errors
        if not (z > CERTAIN).any():
            return f"{first} The fitted model has as many there."
        j, k = np.unravel_index(int(np.argmax(z)), z.shape)
        return (
            f"{first} The fitted model has other shares there: {self.model_shares[j, k]:.3g} within "
            f"{self.distances[k]:g} standard deviations along {self.columns[j]}, where the data have "
            f"{self.shares[j, k]:.3g}."
        )

    def to_frame(self) -> Any:
        """Give the table as a pandas frame, a row for each column and distance.

        Returns
        -------
        pandas.DataFrame
            Columns ``column``, ``distance`` (in standard deviations), ``absolute_distance``, ``share``, ``density``,
            and ``model_share`` where there are draws of the model.
        """
        import pandas as pd

        n = len(self.distances)
        table = {
            "column": np.repeat(self.columns, n),
            "distance": np.tile(self.distances, len(self.columns)),
            "absolute_distance": np.outer(self.scales, self.distances).ravel(),
            "share": self.shares.ravel(),
            "density": self.densities.ravel(),
        }
        if self.model_shares is not None:
            table["model_share"] = self.model_shares.ravel()
        return pd.DataFrame(table)

    def __str__(self) -> str:
        if not self.columns:
            return self.verdict
        width = max(map(len, ("column", *self.columns)))
        lines = [
            f"Share of {self.n_samples} rows within so many standard deviations of the boundary",
            f"{'column':<{width}}  " + "  ".join(f"{distance:>8g}" for distance in self.distances),
        ]
        for j, name in enumerate(self.columns):
            lines.append(f"{name:<{width}}  " + "  ".join(f"{share:>8.2%}" for share in self.shares[j]))
            if self.model_shares is not None:
                lines.append(f"{'model':>{width}}  " + "  ".join(f"{share:>8.2%}" for share in self.model_shares[j]))
        return "\n".join([*lines, self.verdict])


def boundary_mass(
    model: ScoreMatchingEstimator | Domain,
    X: ArrayLike | None = None,
    *,
    distances: Sequence[float] = DISTANCES,
    n_draws: int = 10_000,
    random_state: Any = None,
) -> BoundaryMass:
    r"""Tell how many rows lie near the boundary of the domain, and how many the fitted model puts there.

    The plain objective of score matching comes from an integration by parts without a term for the boundary. Where the
    density does not vanish there it is wrong, by about the density at the boundary times the score function; weights
    that are 0 on the boundary repair it. Shares that fall in proportion to the distance mean a density that does not
    vanish; those that fall faster one that does.

    Parameters
    ----------
    model : fitted model or Domain
        A fitted model, or a domain to look at before anything is fitted.
    X : array_like of shape (n_samples, n_features), optional
        The data; those of the fit where None.
    distances : sequence of float, default=(0.01, 0.02, 0.05, 0.1, 0.2)
        Distances, in standard deviations of each column. They are taken along each coordinate, as those of the weights;
        where the model's weight is :class:`BoundaryDistance`, to the nearest point of the boundary, in the root mean
        square of the columns' standard deviations.
    n_draws : int, default=10000
        Draws of the model to compare with; 0 for none. A model without a sampler is not compared.
    random_state : int, RandomState or None
        Seed of the draws.

    Returns
    -------
    BoundaryMass
        Shares by column and distance, and a verdict in words; prints as a table. Without rows where the domain has no
        boundary.

    Raises
    ------
    ValueError
        Where X does not lie in the domain, or distances are not positive.

    References
    ----------
    Hyvärinen (2007), "Some extensions of score matching", Computational Statistics & Data Analysis 51, section 3.
    Yu, Drton and Shojaie (2019), "Generalized score matching for non-negative data", JMLR 20, section 2.

    Examples
    --------
    >>> import numpy as np
    >>> import scorematch
    >>> from scorematch.diagnostics import boundary_mass
    >>> X = np.random.default_rng(0).gamma(5.0, size=(1000, 1))
    >>> boundary_mass(scorematch.NonNegative(), X).verdict
    'Hardly any rows are near the boundary: the weight matters little.'
    """
    at = np.sort(np.asarray(distances, dtype=np.float64))
    if at.ndim != 1 or not len(at) or not (np.isfinite(at) & (at > 0)).all():
        raise ValueError(f"distances must be positive numbers; got {distances!r}")
    n_draws = check_count("n_draws", n_draws, 0)
    rows, domain, names = _given(model, X)
    if not has_boundary(domain):
        nothing = np.empty((0, len(at)))
        return BoundaryMass((), np.empty(0), at, nothing, None, nothing, len(rows), domain or RealSpace())
    nearest = isinstance(getattr(model, "weight_", getattr(model, "weight", None)), BoundaryDistance)
    spread = np.std(rows, axis=0, dtype=np.float64)
    scales = np.sqrt(np.mean(spread**2, keepdims=True)) if nearest else spread
    if not (scales > 0).all():
        raise ValueError(f"column {names[int(np.argmin(scales > 0))]} of X is constant: it gives no unit of distance")
    limits = np.outer(scales, at)
    shares = _shares(domain, rows, limits, nearest)
    draws = _draws(model, n_draws, random_state)
    model_shares = None if draws is None else _shares(domain, draws, limits, nearest)
    expected = shares if model_shares is None else (len(rows) * shares + n_draws * model_shares) / (len(rows) + n_draws)
    # A share of 0 or 1 is known to about half a row.
    expected = np.clip(expected, 0.5 / len(rows), 1 - 0.5 / len(rows))
    one_over_n = 1 / len(rows) + (0 if model_shares is None else 1 / n_draws)
    return BoundaryMass(
        columns=("nearest",) if nearest else tuple(names),
        scales=scales,
        distances=at,
        shares=shares,
        model_shares=model_shares,
        standard_errors=np.sqrt(expected * (1 - expected) * one_over_n),
        n_samples=len(rows),
        domain=domain,
    )


def _given(model: Any, X: ArrayLike | None) -> tuple[Floats, Any, list[str]]:
    """Checked rows, the domain, and the names of the columns."""
    if isinstance(model, ScoreMatchingEstimator):
        rows, _ = model._training_data(X, None)
        return rows, model._domain(), column_names(model)
    if not isinstance(model, Domain):
        raise TypeError(f"model must be a fitted model of scorematch or a domain; got {model!r}")
    if X is None:
        raise ValueError("a domain has no data of its own: pass X")
    names = [str(name) for name in getattr(X, "columns", ())]
    rows = as_points(model, X)
    check_finite(rows)
    check_inside(rows, model)
    return rows, model, names or [f"x{j}" for j in range(rows.shape[1])]


def _shares(domain: Any, rows: Floats, limits: Doubles, nearest: bool) -> Doubles:
    distance = domain.distance(rows)[0][:, None] if nearest else domain.coordinate_distance(rows)[0]
    return np.asarray((distance[:, :, None] <= limits).mean(axis=0))


def _draws(model: Any, n_draws: int, random_state: Any) -> Floats | None:
    """Draws of the model, where it can be drawn from."""
    if n_draws == 0 or isinstance(model, Domain) or not hasattr(model, "sample"):
        return None
    try:
        return np.asarray(model.sample(n_draws, random_state=random_state))
    except ValueError:  # no sampler for these parameters, or on this domain
        return None
