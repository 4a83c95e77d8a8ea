"""What a picture shows: data, densities and score functions along lines, in planes and on the sphere."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scorematch.domains import Intervals
from scorematch.domains._intervals import _ProductOfIntervals
from scorematch.plotting._boundary import ends, outline

if TYPE_CHECKING:
    from scorematch._base import ScoreMatchingEstimator

Doubles = NDArray[np.float64]

# Regions of highest density are drawn at these probabilities.
PROBABILITIES = (0.95, 0.80, 0.50)
MAX_FEATURES = 5
GRID_LINE, GRID_PLANE, ARROWS_PER_SIDE = 1001, 201, 12


@dataclass(frozen=True)
class _Law:
    """A density of one or two coordinates, None where only its derivatives are known, its score function, its domain.

    At points that are not inside, log densities and scores are NaN.
    """

    log_density: Callable[[Doubles], Doubles] | None
    score: Callable[[Doubles], Doubles]
    inside: Callable[[Doubles], NDArray[np.bool_]]


@dataclass(frozen=True)
class Line:
    """Data and model along one coordinate.

    Parameters
    ----------
    name : str
        The label of the coordinate.
    points : ndarray of shape (n_points,)
        Data.
    weights : ndarray of shape (n_points,) or None
        Their weights.
    x : ndarray of shape (n_grid,)
        Where the model was evaluated.
    density : ndarray of shape (n_grid,) or None
        The density, normalised on the range of `x`; NaN outside of the domain.
    score : ndarray of shape (n_grid,) or None
        The score function; NaN outside of the domain.
    boundary : ndarray of shape (n_ends,)
        Where the domain begins and ends, in the range of `x`.
    outside : list of (float, float)
        The intervals between them, and from the ends of the range, that do not belong to the domain.
    """

    name: str
    points: Doubles
    weights: Doubles | None
    x: Doubles
    density: Doubles | None
    score: Doubles | None
    boundary: Doubles = field(default_factory=lambda: np.empty(0))
    outside: list[tuple[float, float]] = field(default_factory=list)


@dataclass(frozen=True)
class Plane:
    """Data and model in a plane of two coordinates.

    Parameters
    ----------
    names : tuple of str
        Labels of the two coordinates.
    points : ndarray of shape (n_points, 2)
        The data shown.
    x, y : ndarray of shape (n_grid,)
        Where the model was evaluated.
    density : ndarray of shape (n_grid, n_grid) or None
        The density at ``(x[j], y[i])``, normalised on the range shown; NaN outside of the domain.
    levels : ndarray of shape (3,)
        The density on the rims of the regions of highest density of probability 95, 80 and 50 %.
    positions, scores : ndarray of shape (n_arrows, 2)
        Where arrows stand, and the score function there.
    areas : list of (ndarray, ndarray), or None
        Vertices and codes of matplotlib Paths around the domain; None where all that is shown belongs to it.
    boundary : list of ndarray of shape (n, 2)
        The lines at which the domain ends.
    """

    names: tuple[str, str]
    points: Doubles
    x: Doubles
    y: Doubles
    density: Doubles | None
    levels: Doubles
    positions: Doubles
    scores: Doubles
    areas: list[tuple[Doubles, Doubles]] | None = None
    boundary: list[Doubles] = field(default_factory=list)


@dataclass(frozen=True)
class Hemisphere(Plane):
    """Half of the sphere in Lambert's equal-area projection, a disc of radius √2.

    Parameters
    ----------
    names, points, x, y, density, levels, positions, scores, areas, boundary
        As of a plane: coordinates are those of the map, scores are pushed forward to it.
    poles : ndarray of shape (6, 2)
        Where the map shows the ends of the coordinate axes, the positive ones first; NaN for those of the other half.
    """

    poles: Doubles = field(kw_only=True)


class Frame:
    """A model and its data; makes the panels."""

    def __init__(
        self,
        model: ScoreMatchingEstimator,
        X: NDArray[Any],
        names: Sequence[str],
        sample_weight: ArrayLike | None,
        max_points: int,
        random_state: int | None,
    ) -> None:
        from scorematch._validation import check_sample_weight

        if X.ndim != 2 or X.shape[1] != len(names):
            raise ValueError(f"X must have shape (n_samples, {len(names)}); got {X.shape}")
        self.model, self.names = model, list(names)
        self.X = np.asarray(X, dtype=np.float64)
        if not len(self.X) or not np.isfinite(self.X).all():
            raise ValueError("X must have at least one row, and hold no NaN and no infinity")
        if getattr(model, "normalize", False):
            self.X = self.X / np.linalg.norm(self.X, axis=1, keepdims=True)
        self.weights = check_sample_weight(sample_weight, len(self.X))
        self.mean = np.average(self.X, axis=0, weights=self.weights)
        self.points = self.X if self.weights is None else self.X[self.weights > 0]
        if len(self.points) > max_points:
            chance = None if self.weights is None else self.weights[self.weights > 0] / self.weights.sum()
            random = np.random.default_rng(random_state)
            rows = random.choice(len(self.points), max_points, replace=False, p=chance)
            self.points = self.points[np.sort(rows)]
        # Whether densities are sections, because marginals have no closed form.
        self.section = False
        self.no_density = False
        self.nowhere = False

    def law(self, features: Sequence[int]) -> _Law | None:
        """The model of these features alone: itself, its marginal, or its section; None where it has no density."""
        chosen = list(features)
        if chosen == list(range(len(self.names))):
            return _law_of(self.model)
        try:
            marginal = _marginal(self.model, chosen)
        except (ValueError, np.linalg.LinAlgError):
            self.no_density = True
            return None
        if marginal is not None:
            return _law_of(marginal)
        self.section = True
        whole = _law_of(self.model)

        def filled(points: Doubles) -> Doubles:
            rows = np.tile(self.mean, (len(points), 1))
            rows[:, chosen] = points
            return rows

        log_density = whole.log_density
        return _Law(
            None if log_density is None else lambda points: log_density(filled(points)),
            lambda points: whole.score(filled(points))[:, chosen],
            lambda points: whole.inside(filled(points)),
        )

    def pairs(self, features: Sequence[int]) -> list[Line | Plane]:
        """The lower triangle, row by row: lines on the diagonal, planes below."""
        return [
            self.line(row) if row == column else self.plane(column, row)
            for position, row in enumerate(features)
            for column in features[: position + 1]
        ]

    def line(self, feature: int) -> Line:
        x = np.linspace(*self.range(feature), GRID_LINE)
        law = self.law([feature])
        section = len(self.names) > 1 and self.section
        boundary, outside = np.empty(0), []
        # Where the domain is no product, the others decide how far it reaches.
        if law is not None and (not section or isinstance(self.model._domain(), _ProductOfIntervals)):
            mask = law.inside(x[:, None])
            boundary = ends(law.inside, x, mask)
            outside = _gaps(x, mask, boundary)
            x = np.unique(np.concatenate([x, boundary]))
        density = score = None
        # A section along one line and a histogram of all data are not to be compared.
        if law is not None and not section:
            score = law.score(x[:, None])[:, 0]
            if law.log_density is not None:
                density = _normalised(law.log_density(x[:, None]))
                pieces = (density[1:] + density[:-1]) / 2 * np.diff(x)
                density = density / np.nansum(pieces)
        return Line(self.names[feature], self.X[:, feature], self.weights, x, density, score, boundary, outside)

    def plane(self, first: int, second: int) -> Plane:
        x = np.linspace(*self.range(first), GRID_PLANE)
        y = np.linspace(*self.range(second), GRID_PLANE)
        law = self.law([first, second])
        points = self.points[:, [first, second]]
        names = (self.names[first], self.names[second])
        nothing = (None, np.full(3, np.nan), np.empty((0, 2)), np.empty((0, 2)))
        if law is None:
            return Plane(names, points, x, y, *nothing)
        grid = _grid(x, y)
        mask = law.inside(grid).reshape(len(y), len(x))
        areas, boundary = (None, []) if mask.all() else outline(law.inside, x, y, mask)
        if not mask.any():
            self.nowhere = True
            return Plane(names, points, x, y, *nothing, areas, boundary)
        if law.log_density is None:
            positions = _crowded(points, x, y)
            positions = positions[law.inside(positions)]
            scores = law.score(positions)
            return Plane(names, points, x, y, None, np.full(3, np.nan), positions, scores, areas, boundary)
        density = _normalised(law.log_density(grid)).reshape(len(y), len(x))
        density = density / (float(np.nansum(density)) * (x[1] - x[0]) * (y[1] - y[0]))
        levels = _levels(density)
        positions = _grid(_midpoints(x), _midpoints(y))
        likely = _at(density, positions, x, y) >= _levels(density, (0.99,))[0]
        positions = positions[likely & law.inside(positions)]
        scores = law.score(positions) if len(positions) else positions
        return Plane(names, points, x, y, density, levels, positions, scores, areas, boundary)

    def range(self, feature: int) -> tuple[float, float]:
        """A little more than the range of the data."""
        low, high = float(self.X[:, feature].min()), float(self.X[:, feature].max())
        margin = 0.12 * (high - low) or 0.5 * abs(low) or 1.0
        return low - margin, high + margin


def sphere_panels(frame: Frame, shown: Sequence[int]) -> tuple[str, list[Line | Plane]]:
    d = len(frame.names)
    law = _law_of(frame.model)
    assert law.log_density is not None  # all models on the sphere have one
    if d == 2:
        degrees = np.linspace(-180, 180, GRID_LINE)
        angle = np.radians(degrees)
        circle = np.column_stack([np.cos(angle), np.sin(angle)])
        density = _normalised(law.log_density(circle))
        density = density / (float(density[:-1].sum()) * (degrees[1] - degrees[0]))
        along = np.einsum("ij,ij->i", law.score(circle), np.column_stack([-np.sin(angle), np.cos(angle)]))
        points = np.degrees(np.arctan2(frame.X[:, 1], frame.X[:, 0]))
        return "circle", [Line("angle (degrees)", points, frame.weights, degrees, density, along)]
    if d == 3:
        return "hemispheres", cast(list[Line | Plane], _hemispheres(frame, law))
    # The mean direction: the model's where it has one, else the data's.
    direction = np.asarray(getattr(frame.model, "mean_direction_", _direction(frame.mean)))
    nowhere = np.empty(0)
    return "directions", [
        Plane(
            (frame.names[column], frame.names[row]),
            frame.points[:, [column, row]],
            nowhere,
            nowhere,
            None,
            np.full(3, np.nan),
            np.zeros((1, 2)),
            direction[[column, row]][None],
        )
        for position, row in enumerate(shown)
        for column in shown[:position]
    ]


def _hemispheres(frame: Frame, law: _Law) -> list[Hemisphere]:
    """Lambert's equal-area maps of the halves of the sphere around the mean direction and opposite to it."""
    assert law.log_density is not None
    centre = _direction(frame.mean)
    # An orthonormal basis with the centre as its last vector, right-handed, from the least aligned axis.
    first = np.eye(3)[np.argmin(np.abs(centre))]
    first = _direction(first - (first @ centre) * centre)
    front = np.stack([first, np.cross(centre, first), centre])
    back = front * np.array([[1.0], [-1.0], [-1.0]])
    side = np.sqrt(2)
    x = np.linspace(-side, side, GRID_PLANE)
    flat = _grid(x, x)
    inside = np.einsum("ij,ij->i", flat, flat) <= 2
    log_density = np.full((2, len(flat)), -np.inf)
    for half, basis in enumerate((front, back)):
        log_density[half, inside] = law.log_density(_from_map(flat[inside]) @ basis)
    density = _normalised(log_density)
    density = density / (float(density.sum()) * (x[1] - x[0]) ** 2)
    levels, rim = _levels(density), _levels(density, (0.99,))[0]
    panels: list[Hemisphere] = []
    for half, basis in enumerate((front, back)):
        points = frame.points @ basis.T
        points = points[points[:, 2] >= 0]
        positions = _grid(_midpoints(x), _midpoints(x))
        positions = positions[np.einsum("ij,ij->i", positions, positions) < 1.9]
        positions = positions[_at(density[half].reshape(len(x), len(x)), positions, x, x) >= rim]
        arrows = positions
        if len(positions):
            at = _from_map(positions)
            arrows = _push_to_map(at, law.score(at @ basis) @ basis.T)
        poles = np.concatenate([basis.T, -basis.T])
        panels.append(
            Hemisphere(
                ("", ""),
                _to_map(points),
                x,
                x,
                np.where(inside, density[half], np.nan).reshape(len(x), len(x)),
                levels,
                positions,
                arrows,
                poles=np.where(poles[:, 2:] >= -1e-9, _to_map(poles), np.nan),
            )
        )
    return panels


# -- densities ---------------------------------------------------------------------------------------------------


def _law_of(model: ScoreMatchingEstimator) -> _Law:
    domain = model._domain()

    def inside(X: Doubles) -> NDArray[np.bool_]:
        """Whether points are in the domain, and not on its boundary, where some densities are infinite."""
        rows = np.full(len(X), True)
        if model._has_boundary:
            rows = np.array(domain.contains(X))
            rows[rows] = (domain.coordinate_distance(X[rows])[0] > 0).all(axis=1)
        return rows

    def at(X: Doubles, method: Callable[[Any], Any], shape: tuple[int, ...]) -> Doubles:
        """What a method gives, at the points where the model is."""
        found = np.full(shape, np.nan)
        rows = inside(X)
        if rows.any():
            found[rows] = method(_as_seen(model, X[rows]))
        return found

    def values(X: Doubles) -> Doubles:
        return at(X, model.unnormalized_log_density, X.shape[:1])

    def scores(X: Doubles) -> Doubles:
        return at(X, model.score_function, X.shape)

    return _Law(values if model._has_log_density() else None, scores, inside)


def _gaps(x: Doubles, mask: NDArray[np.bool_], boundary: Doubles) -> list[tuple[float, float]]:
    """The intervals of the range of `x` that `mask` leaves out; between them the domain begins or ends."""
    stops = [x[0], *boundary, x[-1]]
    return [
        (float(low), float(high))
        for number, (low, high) in enumerate(itertools.pairwise(stops))
        if bool(mask[0]) == bool(number % 2)
    ]


def _as_seen(model: ScoreMatchingEstimator, X: Doubles) -> Any:
    """A frame where the model was fitted to one: scikit-learn warns of bare arrays then."""
    names = getattr(model, "feature_names_in_", None)
    if names is None:
        return X
    import pandas

    return pandas.DataFrame(X, columns=names)


def _marginal(model: ScoreMatchingEstimator, features: Sequence[int]) -> ScoreMatchingEstimator | None:
    """The exact law of some features as a model of its own; None where it has no closed form."""
    from scorematch._gaussian import Gaussian
    from scorematch._gaussian_mixture import GaussianMixture
    from scorematch._student_t import StudentT

    truncated, domain = model._has_boundary, model._domain()
    both = np.ix_(features, features)
    # Truncation couples coordinates, unless they are independent before it and are each cut off by themselves.
    product = isinstance(domain, _ProductOfIntervals)
    apart = product and getattr(model, "covariance_type", "full") != "full"
    if isinstance(model, Gaussian) and (apart or not truncated):
        kind = "full" if model.covariance_type == "full" else "diag"
        if product and domain.n_features is not None:
            unions = domain._unions()
            domain = Intervals([unions[feature % len(unions)] for feature in features])
        # Where truncation alone makes a density, it is the precision that has a meaning.
        spread = {"precision": model.precision_[both]} if apart else {"covariance": model.covariance_[both]}
        return Gaussian.from_params(
            mean=model.mean_[features], covariance_type=kind, domain=domain if truncated else None, **spread
        )
    if isinstance(model, GaussianMixture) and not truncated:
        covariances = model._full(model.covariances_)[:, features][:, :, features]
        return GaussianMixture.from_params(
            weights=model.weights_, means=model.means_[:, features], covariances=covariances
        )
    if isinstance(model, StudentT) and not truncated:
        return StudentT.from_params(location=model.location_[features], scale=model.scale_[both], df=model.df_)
    return None


def _normalised(log_density: Doubles) -> Doubles:
    """exp(log p), 1 at its largest."""
    return np.asarray(np.exp(log_density - np.nanmax(log_density)))


def _levels(density: Doubles, probabilities: Sequence[float] = PROBABILITIES) -> Doubles:
    """The densities above which the given parts of the probability lie."""
    values = np.sort(density[density > 0], axis=None)[::-1]
    held = np.cumsum(values)
    levels = values[np.minimum(np.searchsorted(held, np.asarray(probabilities) * held[-1]), len(values) - 1)]
    for later in range(1, len(levels)):  # where the density is flat, contours need distinct levels all the same
        levels[later] = max(levels[later], np.nextafter(levels[later - 1], np.inf))
    return np.asarray(levels)


def _grid(x: Doubles, y: Doubles) -> Doubles:
    """All (x[j], y[i]), i outermost."""
    return np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)


def _midpoints(x: Doubles) -> Doubles:
    """Where arrows stand: the middles of equal cells."""
    return np.asarray(x[0] + (x[-1] - x[0]) * (np.arange(ARROWS_PER_SIDE) + 0.5) / ARROWS_PER_SIDE)


def _crowded(points: Doubles, x: Doubles, y: Doubles) -> Doubles:
    """The middles of the cells for arrows that hold data."""
    counts, _, _ = np.histogram2d(
        points[:, 1], points[:, 0], ARROWS_PER_SIDE, range=((y[0], y[-1]), (x[0], x[-1]))
    )  # fmt: skip
    return _grid(_midpoints(x), _midpoints(y))[counts.ravel() > 0]


def _at(values: Doubles, positions: Doubles, x: Doubles, y: Doubles) -> Doubles:
    """The values on a grid at the nodes nearest to the positions."""
    j = np.rint((positions[:, 0] - x[0]) / (x[1] - x[0])).astype(int)
    i = np.rint((positions[:, 1] - y[0]) / (y[1] - y[0])).astype(int)
    return np.asarray(values[i, j])


# -- the sphere --------------------------------------------------------------------------------------------------


def _direction(vector: Doubles) -> Doubles:
    """A vector at length 1; the last axis where it has none."""
    length = float(np.linalg.norm(vector))
    return np.asarray(vector / length) if length > 1e-12 else np.eye(len(vector))[-1]


def _to_map(points: Doubles) -> Doubles:
    """Lambert's azimuthal equal-area map around the last axis: the half of the sphere fills a disc of radius √2."""
    return points[:, :2] * np.sqrt(2 / np.maximum(1 + points[:, 2:], 1e-12))


def _from_map(flat: Doubles) -> Doubles:
    """The points of the unit sphere that the map shows at `flat`."""
    squared = np.einsum("ij,ij->i", flat, flat)[:, None]
    return np.hstack([flat * np.sqrt(1 - squared / 4), 1 - squared / 2])


def _push_to_map(points: Doubles, tangents: Doubles) -> Doubles:
    """Tangent vectors as the map shows them: its derivative along them."""
    height = 1 + points[:, 2:]
    return np.sqrt(2 / height) * (tangents[:, :2] - points[:, :2] * tangents[:, 2:] / (2 * height))
