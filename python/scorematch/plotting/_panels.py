"""What a picture shows: data, densities and score functions along lines, in planes and on the sphere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scorematch.domains import NonNegative

if TYPE_CHECKING:
    from scorematch._base import ScoreMatchingEstimator

Doubles = NDArray[np.float64]

# Regions of highest density are drawn at these probabilities.
PROBABILITIES = (0.95, 0.80, 0.50)
MAX_FEATURES = 5
GRID_LINE, GRID_PLANE, ARROWS_PER_SIDE = 1001, 201, 12


@dataclass(frozen=True)
class _Law:
    """A density of one or two coordinates, None where only its derivatives are known, and its score function."""

    log_density: Callable[[Doubles], Doubles] | None
    score: Callable[[Doubles], Doubles]


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
        The density, normalised on the range of `x`.
    score : ndarray of shape (n_grid,) or None
        The score function.
    """

    name: str
    points: Doubles
    weights: Doubles | None
    x: Doubles
    density: Doubles | None
    score: Doubles | None


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
        The density at ``(x[j], y[i])``, normalised on the range shown.
    levels : ndarray of shape (3,)
        The density on the rims of the regions of highest density of probability 95, 80 and 50 %.
    positions, scores : ndarray of shape (n_arrows, 2)
        Where arrows stand, and the score function there.
    """

    names: tuple[str, str]
    points: Doubles
    x: Doubles
    y: Doubles
    density: Doubles | None
    levels: Doubles
    positions: Doubles
    scores: Doubles


@dataclass(frozen=True)
class Hemisphere(Plane):
    """Half of the sphere in Lambert's equal-area projection, a disc of radius √2.

    Parameters
    ----------
    names, points, x, y, density, levels, positions, scores
        As of a plane: coordinates are those of the map, scores are pushed forward to it.
    poles : ndarray of shape (6, 2)
        Where the map shows the ends of the coordinate axes, the positive ones first; NaN for those of the other half.
    """

    poles: Doubles


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
        # A section along one line and a histogram of all data are not to be compared.
        if law is None or (len(self.names) > 1 and self.section):
            density = score = None
        else:
            density, score = None, law.score(x[:, None])[:, 0]
            if law.log_density is not None:
                density = _normalised(law.log_density(x[:, None]))
                density = density / (float(density.sum()) * (x[1] - x[0]))
        return Line(self.names[feature], self.X[:, feature], self.weights, x, density, score)

    def plane(self, first: int, second: int) -> Plane:
        x = np.linspace(*self.range(first), GRID_PLANE)
        y = np.linspace(*self.range(second), GRID_PLANE)
        law = self.law([first, second])
        points = self.points[:, [first, second]]
        names = (self.names[first], self.names[second])
        if law is None:
            nowhere = np.empty((0, 2))
            return Plane(names, points, x, y, None, np.full(3, np.nan), nowhere, nowhere)
        if law.log_density is None:
            positions = _crowded(points, x, y)
            return Plane(names, points, x, y, None, np.full(3, np.nan), positions, law.score(positions))
        density = _normalised(law.log_density(_grid(x, y))).reshape(len(y), len(x))
        density = density / (float(density.sum()) * (x[1] - x[0]) * (y[1] - y[0]))
        levels = _levels(density)
        positions = _grid(_midpoints(x), _midpoints(y))
        inside = _at(density, positions, x, y) >= _levels(density, (0.99,))[0]
        positions = positions[inside]
        scores = law.score(positions) if len(positions) else positions
        return Plane(names, points, x, y, density, levels, positions, scores)

    def range(self, feature: int) -> tuple[float, float]:
        """A little more than the range of the data, inside the domain."""
        low, high = float(self.X[:, feature].min()), float(self.X[:, feature].max())
        margin = 0.12 * (high - low) or 0.5 * abs(low) or 1.0
        low, high = low - margin, high + margin
        return (max(low, 0.0) if isinstance(self.model._domain(), NonNegative) else low), high


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
                np.where(poles[:, 2:] >= -1e-9, _to_map(poles), np.nan),
            )
        )
    return panels


def column_names(model: ScoreMatchingEstimator, given: Sequence[str] | None, n_columns: int) -> list[str]:
    """Names of the columns, of which the model may have seen none so far."""
    model._check_is_fitted()
    d = getattr(model, "n_features_in_", n_columns)
    if given is None:
        return [str(name) for name in getattr(model, "feature_names_in_", [f"x{i}" for i in range(d)])]
    if len(given) != d:
        raise ValueError(f"feature_names must have {d} entries, one for each column; got {len(given)}")
    return [str(name) for name in given]


def column_position(feature: int | str, names: Sequence[str]) -> int:
    """The column that a name or a number stands for."""
    if isinstance(feature, str):
        if feature not in names:
            raise ValueError(f"features: there is no column {feature!r}; columns are {', '.join(names)}")
        return names.index(feature)
    if not 0 <= feature < len(names):
        raise ValueError(f"features: there is no column {feature}; they are 0 to {len(names) - 1}")
    return int(feature)


# -- densities ---------------------------------------------------------------------------------------------------


def _law_of(model: ScoreMatchingEstimator) -> _Law:
    def inside(X: Doubles, method: Callable[[Any], Any], shape: tuple[int, ...], outside: float) -> Doubles:
        """What a method gives, at the points where the model is."""
        found = np.full(shape, outside)
        rows = model._domain().contains(X) if model._has_boundary else np.full(len(X), True)
        if rows.any():
            found[rows] = method(_as_seen(model, X[rows]))
        return found

    def values(X: Doubles) -> Doubles:
        return inside(X, model.unnormalized_log_density, X.shape[:1], -np.inf)

    def scores(X: Doubles) -> Doubles:
        return inside(X, model.score_function, X.shape, np.nan)

    return _Law(values if model._has_log_density() else None, scores)


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

    truncated = model._has_boundary
    both = np.ix_(features, features)
    # Truncation couples coordinates, unless they are independent before it and are each cut off by themselves.
    apart = isinstance(model._domain(), NonNegative) and getattr(model, "covariance_type", "full") != "full"
    if isinstance(model, Gaussian) and (apart or not truncated):
        kind = "full" if model.covariance_type == "full" else "diag"
        return Gaussian.from_params(
            mean=model.mean_[features], covariance=model.covariance_[both],
            covariance_type=kind, domain=model.domain, weight=model.weight,
        )  # fmt: skip
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
    return np.asarray(np.exp(log_density - log_density.max()))


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
