"""What all domains have in common."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scorematch._validation import Floats, check_count

Doubles = NDArray[np.float64]
# Gives so many points, most of them in the domain.
Proposal = Callable[[int], Doubles]

# Tuples of more numbers than this are shortened where a domain is printed, to so many at either end.
LONGEST_IN_FULL = 60
EDGE_ITEMS = 3
# Points that are proposed at once in sampling.
BATCH = 1 << 17


@dataclass(frozen=True, repr=False)
class Domain(ABC):
    """What all domains have in common: one class each, its methods documented here.

    Domains cannot be changed, can be compared and pickled, and print as the call that makes them. Arrays are kept as
    tuples. Large data are shared among the processors that this process may use (OMP_NUM_THREADS is respected); the
    results do not depend on their number.

    Examples
    --------
    >>> import numpy as np
    >>> from scorematch.domains import NonNegative
    >>> NonNegative().contains(np.array([[0.5, 2.0], [-0.1, 1.0]]))
    array([ True, False])
    """

    has_boundary: ClassVar[bool] = True

    @property
    def n_features(self) -> int | None:
        """How many columns its points have; None where it is the same domain in any number of dimensions."""
        return None

    @abstractmethod
    def contains(self, X: ArrayLike) -> NDArray[np.bool_]:
        """Tell which rows lie in the domain.

        Parameters
        ----------
        X : array_like of shape (n_samples, n_features)
            The points.

        Returns
        -------
        ndarray of bool, shape (n_samples,)
            True for each row inside or on the boundary; False for rows with NaN or infinity.
        """

    @abstractmethod
    def coordinate_distance(self, X: ArrayLike) -> tuple[Doubles, Doubles]:
        """Give the distance to the boundary along each coordinate.

        With all coordinates but one fixed, the domain is an interval or a union of intervals. The distance is that of
        the coordinate to the nearest end of the interval which it lies in.

        Parameters
        ----------
        X : array_like of shape (n_samples, n_features)
            Points of the domain. For others the result means nothing.

        Returns
        -------
        phi : ndarray of shape (n_samples, n_features)
            The distances, infinite where there is no boundary in either direction.
        slope : ndarray of shape (n_samples, n_features)
            The derivative of each with respect to its own coordinate: 1, -1, or 0 where the distance is infinite.
            Halfway between two ends it is one of the two.
        """

    @abstractmethod
    def distance(self, X: ArrayLike) -> tuple[Doubles, Doubles]:
        """Give the Euclidean distance to the boundary.

        Parameters
        ----------
        X : array_like of shape (n_samples, n_features)
            Points of the domain. For others the result means nothing.

        Returns
        -------
        g : ndarray of shape (n_samples,)
            The distances, infinite where there is no boundary.
        gradient : ndarray of shape (n_samples, n_features)
            Their gradients: unit vectors that point inwards, 0 where the distance is infinite. Where several points of
            the boundary are nearest, it is that of one of them.
        """

    def explain(self, row: ArrayLike) -> str:
        """Say in words what is wrong with a row that the domain does not contain.

        Parameters
        ----------
        row : array_like of shape (n_features,)
            A point outside.

        Returns
        -------
        str
            The reason, to stand at the end of an error message.
        """
        point = np.asarray(row, dtype=np.float64)
        if not np.isfinite(point).all():
            column = int(np.argmin(np.isfinite(point)))
            return f"column {column} is {point[column]}"
        if getattr(self, "nonnegative", False) and (point < 0).any():
            return negative(point)
        return self._reason(point)

    @abstractmethod
    def _reason(self, point: Doubles) -> str:
        """Why a finite point is outside."""

    def sample_uniform(self, n: int, random_state: Any = None, n_features: int | None = None) -> Doubles:
        """Draw points that are uniform on the domain.

        Parameters
        ----------
        n : int
            How many.
        random_state : int, RandomState or None
            Seed or generator.
        n_features : int or None
            The number of columns, where the domain does not fix it.

        Returns
        -------
        ndarray of shape (n, n_features)
            Independent points, exactly uniform unless the class says otherwise.

        Raises
        ------
        ValueError
            Where the volume of the domain is infinite, or `n_features` is missing or contradicts the domain.
        """
        from sklearn.utils import check_random_state

        n = check_count("n", n, lowest=0)
        d = self._resolved_features(n_features)
        random = check_random_state(random_state)
        propose = self._proposal(d, random)
        kept: list[Doubles] = [np.empty((0, d))]
        n_kept = n_drawn = 0
        while n_kept < n:
            share = max(n_kept, 1) / n_drawn if n_drawn else 1.0
            batch = propose(min(BATCH, int((n - n_kept) / share * 1.1) + 10 if n_drawn else n))
            n_drawn += len(batch)
            kept.append(batch[self.contains(batch)])
            n_kept += len(kept[-1])
            if n_drawn > 1_000_000 and n_kept < 1e-5 * n_drawn:
                return self._sample_where_rejection_fails(n, random)
        return np.concatenate(kept)[:n]

    def _resolved_features(self, n_features: int | None) -> int:
        known = self.n_features
        if n_features is None:
            if known is None:
                raise ValueError(f"n_features is needed: {self!r} is a domain in any number of dimensions")
            return known
        given = check_count("n_features", n_features)
        if known is not None and given != known:
            raise ValueError(f"n_features must be {known}, as in {self!r}; got {given}")
        return given

    @abstractmethod
    def _proposal(self, d: int, random: np.random.RandomState) -> Proposal:
        """Uniform points of a set that contains the domain; an error where its volume is infinite."""

    def _sample_where_rejection_fails(self, n: int, random: np.random.RandomState) -> Doubles:
        raise ValueError(f"{self!r} is so small a part of every box around it that no point was hit: cannot sample it")

    def _infinite(self) -> ValueError:
        return ValueError(f"{self!r} has infinite volume: no distribution is uniform on it")

    def _store(self, **values: object) -> None:
        """Set fields to what they were checked and converted to."""
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def __getstate__(self) -> dict[str, Any]:
        # What is kept for speed does not travel.
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def __repr__(self) -> str:
        arguments = (f"{field.name}={in_short(getattr(self, field.name))}" for field in fields(self))
        return f"{type(self).__name__}({', '.join(arguments)})"


def in_short(value: Any) -> str:
    """How a field is printed: as Python reads it, with the middle of long tuples left out."""
    return repr(value) if _n_leaves(value) <= LONGEST_IN_FULL else _without_middle(value)


def _n_leaves(value: Any) -> int:
    return sum(map(_n_leaves, value)) if isinstance(value, tuple) else 1


def _without_middle(value: Any) -> str:
    if not isinstance(value, tuple):
        return f"{value:.6g}" if isinstance(value, float) else repr(value)
    if len(value) <= 2 * EDGE_ITEMS:
        entries = [*map(_without_middle, value)]
    else:
        entries = [*map(_without_middle, value[:EDGE_ITEMS]), "...", *map(_without_middle, value[-EDGE_ITEMS:])]
    return f"({', '.join(entries)}{',' if len(entries) == 1 else ''})"


def negative(point: Doubles) -> str:
    """The first negative coordinate."""
    column = int(np.argmax(point < 0))
    return f"column {column} is {point[column]:.6g}, which is negative"


def as_points(domain: Domain, X: ArrayLike) -> Floats:
    """X as a matrix of float32 or float64, with the domain's number of columns."""
    points = np.asarray(X)
    if points.dtype not in (np.float32, np.float64) or not points.dtype.isnative:
        if points.dtype.kind not in "biuf":
            raise TypeError(f"X must hold real numbers; got type {points.dtype}")
        points = points.astype(np.float64)
    if points.ndim != 2:
        raise ValueError(f"X must have two dimensions, (n_samples, n_features); got shape {points.shape}")
    if points.shape[1] < 1 or domain.n_features not in (None, points.shape[1]):
        wanted = domain.n_features or "at least 1"
        raise ValueError(f"X must have {wanted} columns, as {domain!r} has; got shape {points.shape}")
    return points


def tuples(array: NDArray[Any]) -> tuple[Any, ...]:
    """An array as nested tuples of Python's own numbers: it can be compared, hashed, printed and written to a file."""

    def frozen(value: Any) -> Any:
        return tuple(map(frozen, value)) if isinstance(value, list) else value

    return tuple(frozen(array.tolist()))
