"""Domains against their own definition: what `contains` says decides what the distances must be."""

import copy
import json
import math
import pickle

import numpy as np
import pytest
import scorematch
from numpy import inf
from scipy import stats
from scorematch._cli.messages import CommandError
from scorematch._cli.options import Option, _parse_object, kebab
from scorematch._model_files import _plain, _revived
from scorematch.domains import (
    Ball,
    Box,
    Domain,
    Inequalities,
    Inequality,
    Intervals,
    NonNegative,
    Polygon,
    Polytope,
    RealSpace,
    Simplex,
    Sphere,
)
from scorematch.domains._polytope import hit_and_run
from scorematch.domains._rules import parse_rule

POINTED = [(0, 0.5), (1, 1), (1, 2), (4, 1), (2, 0)]
NOTCHED = [(-1, -1), (2, -1), (2, 2), (0.5, 0.5), (-1, 2)]
COMB = [(0, 0), (5, 0), (5, 3), (4, 3), (4, 1), (3, 1), (3, 3), (2, 3), (2, 1), (1, 1), (1, 3), (0, 3)]
ANGLES = np.linspace(0, 2 * np.pi, 301)[:-1]
STAR = np.column_stack([np.cos(ANGLES), np.sin(ANGLES)]) * (1 + 0.6 * np.sin(7 * ANGLES))[:, None]
DISC, RING_HOLE = Inequality([1, 1], 2, "<=", 4), Inequality([1, 1], 2, ">=", 0.5)
ELLIPSE, UPRIGHT = Inequality([1, 4], 2, "<=", 4), Inequality([4, 1], 2, "<=", 4)

# Name -> (domain, number of columns).
CASES = {
    "orthant": (NonNegative(), 3),
    "box": (Box(0, 1), 3),
    "box-open": (Box([-1, 0, -inf], [1, inf, 2]), 3),
    "intervals": (Intervals([(1, 2), (-3, -1)]), 2),
    "intervals-each": (Intervals([[(0, 1), (1.5, 4)], [(-inf, -2), (3, 4)]]), 2),
    "ball": (Ball(2), 3),
    "ball-l1": (Ball(2, norm=1), 3),
    "ball-maximum": (Ball(2, norm=inf), 3),
    "ball-orthant": (Ball(2, 2, nonnegative=True), 3),
    "ball-l1-orthant": (Ball(2, 1, nonnegative=True), 3),
    "simplex": (Simplex(), 3),
    "polytope": (Polytope([[1, 1, 0], [1, -1, 2], [-1, -2, -1]], [1, 2, 3], nonnegative=True), 3),
    "polytope-open": (Polytope([[1, 2], [0, 0], [-3, 1]], [1, 1, 2]), 2),
    "polygon": (Polygon(POINTED), 2),
    "polygon-clockwise": (Polygon([*POINTED[::-1], POINTED[-1]]), 2),
    "polygon-orthant": (Polygon(NOTCHED, nonnegative=True), 2),
    "polygon-comb": (Polygon(COMB), 2),
    "polygon-star": (Polygon(STAR), 2),
    "ellipse": (ELLIPSE, 2),
    "outside-ellipse": (Inequality([1, 4], 2, ">=", 4), 2),
    "quartic": (Inequality([1, 2, 1], 4, "<=", 1), 3),
    "quartic-outside": (Inequality([1, 2, 1], 4, ">=", 1), 3),
    "cubic": (Inequality([1, -1, 1], 3, "<=", 1), 3),
    "roots": (Inequality([1, 2], 0.5, "<=", 1), 2),
    "roots-outside": (Inequality([1, 2], 0.5, ">=", 1), 2),
    "power-1.5": (Inequality([1, 2], 1.5, "<=", 1), 2),
    "abs": (Inequality([1, 2], "abs", "<=", 1), 2),
    "abs-outside": (Inequality([1, 2], "abs", ">=", 1), 2),
    "log": (Inequality([1, 2], "log", "<=", 1), 2),
    "log-above": (Inequality([1, 2], "log", ">=", 0.5), 2),
    "reciprocal": (Inequality([1, 1], -1, "<=", 3), 2),
    "reciprocal-above": (Inequality([1, 2], -2, ">=", 3), 2),
    "exp": (Inequality([1, 0.5], "exp", "<=", 5), 2),
    "exp-above": (Inequality([1, 0.5], "exp", ">=", 0.5), 2),
    "hyperbola": (Inequality([1, -1], 2, "<=", 1), 2),
    "mixed": (Inequality([1, 0, 2], [2, "log", "abs"], "<=", 1), 3),
    "mixed-one-sided": (Inequality([1, 0.5, -1], ["log", 2, "exp"], "<=", 1), 3),
    "ring": (Inequalities([DISC, RING_HOLE]), 2),
    "ring-orthant": (Inequalities([DISC, Inequality([1, 1], "abs", ">=", 1)], nonnegative=True), 2),
    "either-ellipse": (Inequalities([ELLIPSE, UPRIGHT], "or"), 2),
    "either-half": (Inequalities([Inequality([1, 0], 1, "<=", 0), Inequality([0, 1], 1, "<=", 0)], "or"), 2),
    "rule": (
        Inequalities([Inequality([1, 1], 2, "<=", 1), Inequality([1, -1], 1, ">=", 0), DISC], "0 or (1 and 2)"),
        2,
    ),
    "rule-repeats": (
        Inequalities(
            [Inequality([1, 1], [1, "log"], "<=", 1), DISC, Inequality([1, 1], 1, ">=", -2)],
            "0 and 1 or 1 and 2",
            nonnegative=True,
        ),
        2,
    ),
}
FINITE = [name for name, (domain, _) in CASES.items() if not isinstance(domain, NonNegative) and name not in {
    "box-open", "intervals-each", "polytope-open", "outside-ellipse", "quartic-outside", "cubic", "roots-outside",
    "abs-outside", "log", "log-above", "reciprocal", "reciprocal-above", "exp", "exp-above", "hyperbola", "mixed",
    "mixed-one-sided", "either-half",
}]  # fmt: skip


@pytest.fixture(params=CASES, scope="module")
def case(request):
    """A domain, and 80 points in it."""
    domain, d = CASES[request.param]
    return domain, points_in(domain, d, 80)


def points_in(domain, d, n, seed=0):
    random = np.random.default_rng(seed)
    points = random.normal(size=(200 * n, d)) * random.uniform(0.1, 2, size=(200 * n, 1)) + random.choice([0, 0.2])
    inside = points[domain.contains(points)][:n]
    assert len(inside) == n
    return inside


# ---------------------------------------------------------------------------------------------------------- distances


def test_coordinate_distance_is_where_the_section_ends(case):
    domain, X = case
    phi, slope = domain.coordinate_distance(X)
    assert phi.shape == slope.shape == X.shape
    assert phi.dtype == slope.dtype == np.float64
    assert np.all(phi >= 0)
    assert np.all(slope[np.isinf(phi)] == 0)
    assert np.all(np.abs(slope[np.isfinite(phi)]) == 1)
    reach = np.where(np.isinf(phi), 50.0, phi)
    for column in range(X.shape[1]):
        direction = np.eye(X.shape[1])[column]
        for share in np.linspace(-1, 1, 41) * (1 - 1e-9):
            assert domain.contains(X + (share * reach[:, column])[:, None] * direction).all()
        # The end lies against the slope: x grows away from a lower end. Not far beyond, since it may be a thin gap.
        finite = np.isfinite(phi[:, column])
        beyond = X - (slope * (np.where(np.isinf(phi), 0, phi) + 1e-7))[:, column, None] * direction
        assert not domain.contains(beyond[finite]).any()


def test_slope_is_the_derivative(case):
    domain, X = case
    _, slope = domain.coordinate_distance(X)
    step = 1e-6
    for column in range(X.shape[1]):
        shift = step * np.eye(X.shape[1])[column]
        before, after = (domain.coordinate_distance(X + sign * shift)[0][:, column] for sign in (-1, 1))
        finite = np.isfinite(before) & np.isfinite(after)
        difference = (after[finite] - before[finite]) / (2 * step)
        smooth = np.abs(np.abs(difference) - 1) < 1e-3  # not across the middle of a section
        assert smooth.mean() > 0.95 if len(smooth) else True
        np.testing.assert_allclose(difference[smooth], slope[finite, column][smooth], atol=1e-4)


def test_distance_is_that_of_the_nearest_point_outside(case):
    domain, X = case
    X = X[:40]
    g, gradient = domain.distance(X)
    assert g.shape == X.shape[:1]
    assert gradient.shape == X.shape
    assert np.all((g >= 0) & np.isfinite(g))
    np.testing.assert_allclose(np.linalg.norm(gradient, axis=1), 1, rtol=1e-12)
    # No point outside is nearer ...
    directions = np.random.default_rng(1).normal(size=(20_000, X.shape[1]))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    for share in (1 - 1e-6, 0.99, 0.8):
        for row, radius in zip(X, share * g, strict=True):
            assert domain.contains(row + radius * directions).all()
    # ... and one is so near.
    for nearest in X - g[:, None] * gradient:
        assert not domain.contains(nearest + 1e-6 * directions).all()


def test_gradient_is_the_derivative_of_the_distance(case):
    domain, X = case
    X = X[:40]
    _, gradient = domain.distance(X)
    step = 1e-6
    differences = np.column_stack(
        [(domain.distance(X + step * e)[0] - domain.distance(X - step * e)[0]) / (2 * step) for e in np.eye(X.shape[1])]
    )
    smooth = np.abs(np.linalg.norm(differences, axis=1) - 1) < 1e-3  # elsewhere two points are equally near
    assert smooth.mean() > 0.9
    np.testing.assert_allclose(differences[smooth], gradient[smooth], atol=1e-3)


@pytest.mark.parametrize("seed", range(18))
def test_random_inequalities(seed):
    """Functions, signs and rules at random."""
    random = np.random.default_rng(seed)
    choices = [1, 2, 3, 4, 0.5, 1.5, 2.5, -1, -2, -0.5, "log", "exp", "abs"]

    def inequality(inside):
        while True:
            picked = random.integers(len(choices), size=3)
            functions = [choices[k] for k in picked]
            coefficients = random.normal(size=3) * (random.uniform(size=3) < 0.8)
            if not coefficients.any():
                continue
            wide = Inequality(coefficients, functions, "<=", 1e3)
            value = 1e3 + wide._excess(inside)
            sense = random.choice(["<=", ">="])
            return Inequality(coefficients, functions, str(sense), value + (0.5 if sense == "<=" else -0.5))

    centre = random.uniform(0.3, 1.5, size=3)
    rule = ["and", "or", "0 and (1 or 2)"][seed % 3]
    domain = Inequalities([inequality(centre) for _ in range(3)], rule)
    X = np.array(list(filter(lambda x: domain.contains(x[None])[0], centre + 0.2 * random.normal(size=(30, 3)))))[:8]
    phi, slope = domain.coordinate_distance(X)
    reach = np.where(np.isinf(phi), 50.0, phi)
    directions = random.normal(size=(20_000, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    g, gradient = domain.distance(X)
    assert np.all(g <= phi.min(axis=1) * (1 + 1e-9))
    for k, row in enumerate(X):
        for column in range(3):
            e = np.eye(3)[column]
            assert domain.contains(row + np.linspace(-1, 1, 2001)[:, None] * (1 - 1e-9) * reach[k, column] * e).all()
            if np.isfinite(phi[k, column]):
                assert not domain.contains((row - slope[k, column] * (phi[k, column] + 1e-7) * e)[None])[0]
        if np.isfinite(g[k]):
            assert domain.contains(row + g[k] * (1 - 1e-5) * directions).all()
            assert not domain.contains(row - g[k] * gradient[k] + 1e-6 * directions).all()


def test_many_dimensions():
    """The nearest point of surfaces that have many local minima, where it is known."""
    d = 40
    x = np.random.default_rng(0).uniform(-0.3, 0.3, size=(50, d))
    # From the inside of Σ x⁴ ≤ 1, near the centre, no axis end is nearer than the best local minimum.
    quartic = Inequality(np.ones(d), 4, "<=", 1)
    g, gradient = quartic.distance(x)
    assert np.all(g <= quartic.coordinate_distance(x)[0].min(axis=1) + 1e-12)
    nearest = x - g[:, None] * gradient
    np.testing.assert_allclose((nearest**4).sum(axis=1), 1, rtol=1e-9)
    normal = nearest**3 / np.linalg.norm(nearest**3, axis=1, keepdims=True)
    np.testing.assert_allclose(gradient, -normal, atol=1e-7)
    # A ball written as an inequality is a ball, outside too.
    for sense, sign in (("<=", 1), (">=", -1)):
        ball = Inequality(np.ones(d), 2, sense, 9)
        points = x * (1 if sense == "<=" else 40)
        length = np.linalg.norm(points, axis=1)
        g, gradient = ball.distance(points)
        np.testing.assert_allclose(g, sign * (3 - length), rtol=1e-9)
        np.testing.assert_allclose(gradient, -sign * points / length[:, None], atol=1e-7)
    ellipsoid = Inequality(np.r_[100.0, np.ones(d - 1)], 2, "<=", 1)  # the short axis is the way out of the centre
    np.testing.assert_allclose(ellipsoid.distance(np.zeros((1, d)))[0], 0.1)


def test_the_same_domain_said_in_two_ways(dtype):
    X = np.random.default_rng(0).uniform(size=(500, 3)).astype(dtype)
    square = [(0, 0), (1, 0), (1, 1), (0, 1)]
    octahedron = np.array(np.meshgrid([-1, 1], [-1, 1], [-1, 1])).reshape(3, -1).T
    pairs = [
        (Simplex(), Polytope(np.ones((1, 3)), [1], nonnegative=True)),
        (Simplex(), Ball(1, 1, nonnegative=True)),
        (Ball(2, 1), Polytope(octahedron, np.full(8, 2.0))),
        (Ball(1, inf), Box(-1, 1)),
        (Ball(1.2), Inequality([1, 1, 1], 2, "<=", 1.44)),
        (Ball(1.2, 1), Inequality([1, 1, 1], "abs", "<=", 1.2)),
        (NonNegative(), Box(0, inf)),
        (Box(0, 1), Polytope(np.vstack([np.eye(3), -np.eye(3)]), [1, 1, 1, 0, 0, 0])),
        (Box(0, 0.9), Intervals([(0, 0.9), (5, 6)])),
        (
            Polytope([[1, 2, 3], [-1, 1, -1]], [2, 1]),
            Inequalities([Inequality([1, 2, 3], 1, "<=", 2), Inequality([1, -1, 1], 1, ">=", -1)]),
        ),
    ]
    for first, second in [*pairs, (Polygon(square), Box([0, 0], [1, 1]))]:
        points = X[:, : first.n_features or 3]
        inside = first.contains(points)
        assert inside.any()
        np.testing.assert_array_equal(inside, second.contains(points))
        for one, other in zip(first.coordinate_distance(points[inside]), second.coordinate_distance(points[inside]),
                              strict=True):  # fmt: skip
            np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-14)
        np.testing.assert_allclose(
            first.distance(points[inside])[0], second.distance(points[inside])[0], rtol=1e-9, atol=1e-14
        )


def test_liu_kanamori_and_williams_by_hand():
    """The unit disc: g = 1 - |x| and its gradient -x/|x|."""
    x = np.array([[0.3, 0.4], [0.0, 0.0]])
    g, gradient = Ball(1).distance(x)
    np.testing.assert_allclose(g, [0.5, 1])
    np.testing.assert_allclose(gradient, [[-0.6, -0.8], [0, 0]], atol=1e-15)


def test_on_the_boundary():
    square = Polygon([(0, 0), (2, 0), (2, 2), (0, 2)])
    edge_points = np.array([[0, 1], [2, 1], [1, 0], [1, 2], [0, 0], [2, 2], [0, 2], [2, 0]], dtype=float)
    assert square.contains(edge_points).all()
    phi, slope = square.coordinate_distance(edge_points[:4])
    assert [phi[0, 0], phi[1, 0], phi[2, 1], phi[3, 1]] == [0, 0, 0, 0]
    assert [slope[0, 0], slope[1, 0], slope[2, 1], slope[3, 1]] == [1, -1, 1, -1]
    g, gradient = square.distance(edge_points[:4])
    np.testing.assert_array_equal(g, 0)
    np.testing.assert_array_equal(gradient, [[1, 0], [-1, 0], [0, 1], [0, -1]])
    for domain, point in [
        (Box(0, 1), [0.0, 1.0]),
        (Ball(1), [0.6, 0.8]),
        (Simplex(), [0.25, 0.75]),
        (Polytope([[1, 1]], [1]), [0.5, 0.5]),
        (Inequality([1, 1], 2, "<=", 1), [0.0, 1.0]),
    ]:
        row = np.array([point])
        assert domain.contains(row)[0]
        assert domain.coordinate_distance(row)[0].min() == 0
        assert domain.distance(row)[0][0] == pytest.approx(0, abs=1e-15)
    assert not Inequality([1, 1], "log", "<=", 1).contains([[0.0, 0.5]])[0]


def test_close_to_the_boundary_no_digits_are_lost():
    x = np.array([[1 - 1e-12, 1e-7]])
    exact = 1e-12 - 0.5e-14  # 1 - |x|, by hand
    assert Ball(1).coordinate_distance(x)[0][0, 0] == pytest.approx(exact, rel=1e-3)
    # One term is 1e20 times the others, and does not blot them out.
    domain = Inequality([-1, 1], ["exp", 1], "<=", 0)
    assert domain.coordinate_distance([[46.0, 3.0]])[0][0, 0] == pytest.approx(46 - math.log(3.0), rel=1e-14)


# ------------------------------------------------------------------------------------------------------------- arrays


@pytest.mark.parametrize("name", CASES)
def test_arrays(name, dtype):
    domain, d = CASES[name]
    X = np.vstack([points_in(domain, d, 150), np.random.default_rng(1).normal(size=(150, d))]).astype(dtype)
    inside = domain.contains(X)
    wide = np.zeros((600, 2 * d), dtype=dtype)
    wide[::2, ::2] = X
    views = {"strided": wide[::2, ::2], "columns first": np.asfortranarray(X), "reversed": X[::-1][::-1]}
    unaligned = np.frombuffer(b"\0" + X.tobytes(), dtype=np.uint8)[1:].view(dtype).reshape(X.shape)
    views["unaligned"] = unaligned
    views["big-endian"] = X.astype(X.dtype.newbyteorder(">"))
    exact = X.astype(np.float64)
    expected = [domain.contains(exact), *domain.coordinate_distance(exact[inside]), *domain.distance(exact[inside][:9])]
    for view in views.values():
        results = [domain.contains(view), *domain.coordinate_distance(view[inside]), *domain.distance(view[inside][:9])]
        for result, wanted in zip(results, expected, strict=True):
            np.testing.assert_array_equal(result, wanted)
    np.testing.assert_array_equal(domain.contains(X.tolist()), inside)


@pytest.mark.parametrize("name", CASES)
def test_rows_that_are_no_points(name):
    domain, d = CASES[name]
    for bad in (np.nan, inf, -inf):
        for column in range(d):
            X = points_in(domain, d, 3)
            X[1, column] = bad
            np.testing.assert_array_equal(domain.contains(X), [True, False, True])
            domain.coordinate_distance(X)  # means nothing for that row, and comes back
            assert f"column {column} is {bad}" in domain.explain(X[1])
    assert domain.contains(np.empty((0, d))).shape == (0,)
    assert [part.shape for part in domain.coordinate_distance(np.empty((0, d)))] == [(0, d)] * 2
    assert [part.shape for part in domain.distance(np.empty((0, d)))] == [(0,), (0, d)]
    with pytest.raises(ValueError, match="two dimensions"):
        domain.contains(np.zeros(d))
    with pytest.raises(TypeError, match="real numbers"):
        domain.contains(np.zeros((2, d), dtype=complex))
    if domain.n_features is not None:
        with pytest.raises(ValueError, match=f"X must have {d} columns.*shape"):
            domain.coordinate_distance(np.zeros((2, d + 1)))


@pytest.mark.parametrize("name", ["box", "ball", "polytope", "polygon-star", "mixed", "rule"])
def test_threads_change_nothing(name):
    domain, d = CASES[name]
    X = np.tile(points_in(domain, d, 64), (200, 1)) * np.linspace(0.9, 1, 12800)[:, None]
    region = domain._region
    for method in (region.contains, region.coordinate_distance):
        one, three = (np.asarray(method(X, n_threads)) for n_threads in (1, 3))
        np.testing.assert_array_equal(one, three)
    with pytest.raises(ValueError, match="n_threads"):
        region.contains(X, 0)


# ------------------------------------------------------------------------------------------------------------ objects


@pytest.mark.parametrize("domain", [*(domain for domain, _ in CASES.values()), RealSpace(), Sphere()], ids=repr)
def test_printed_copied_pickled_and_written(domain):
    if "..." not in repr(domain):
        assert eval(repr(domain), {**vars(scorematch.domains), "inf": inf}) == domain
    domain.contains(np.full((1, domain.n_features or 2), 0.5))  # what is kept for speed must not hinder
    for twin in (pickle.loads(pickle.dumps(domain)), copy.deepcopy(domain), copy.copy(domain)):
        assert twin == domain
        assert hash(twin) == hash(domain)
        np.testing.assert_array_equal(twin.contains([[0.4] * (domain.n_features or 2)]),
                                      domain.contains([[0.4] * (domain.n_features or 2)]))  # fmt: skip
    written = json.loads(json.dumps(_plain(domain), allow_nan=False))
    assert _revived(written) == domain
    with pytest.raises(AttributeError):
        domain.radius = 3
    assert isinstance(domain, Domain)
    assert getattr(scorematch, type(domain).__name__) is type(domain)
    assert domain.has_boundary is (not isinstance(domain, RealSpace | Sphere))


def test_arrays_are_kept_as_tuples():
    a, b = np.array([[1.0, 2.0]]), np.array([3.0])
    domain = Polytope(a, b)
    assert domain == Polytope([[1, 2]], [3])
    a[0, 0] = 7
    assert domain.A == ((1.0, 2.0),)
    assert domain != Polytope([[1, 2]], [4])
    assert Box(-inf, inf).has_boundary is False
    assert len(repr(Polygon(STAR))) < 300


def test_domains_without_boundary():
    for domain in (RealSpace(), Sphere()):
        phi, slope = domain.coordinate_distance(np.ones((2, 3)))
        g, gradient = domain.distance(np.ones((2, 3), dtype=np.float32))
        assert np.isinf(phi).all()
        assert not slope.any()
        assert np.isinf(g).all()
        assert gradient.shape == (2, 3)
        assert not gradient.any()


@pytest.mark.parametrize(
    ("domain", "row", "message"),
    [
        (NonNegative(), [1, -0.5], "column 1 is -0.5, which is negative"),
        (Box(1, 2), [1.5, 2.5], "column 1 is 2.5, which is above 2 by 0.5"),
        (Box(1, 2), [0.5, 2.5], "column 0 is 0.5, which is below 1 by 0.5"),
        (Intervals([(0, 1), (2, 3)]), [1.5], "column 0 is 1.5, which is between the intervals that end at 1 and begin"),
        (Ball(2), [3, 4], "its l2 norm is 5, which is above 2 by 3"),
        (Ball(2, inf), [3, 4], "its largest absolute value is 4, which is above 2 by 2"),
        (Ball(2, nonnegative=True), [1, -1], "column 1 is -1, which is negative"),
        (Simplex(), [0.5, 0.75], "its sum is 1.25, which is above 1 by 0.25"),
        (Simplex(), [0.5, 0.5 + 2e-16], "are these all the parts"),
        (Polytope([[1, 0], [1, 1]], [3, 1]), [1, 1], "row 1 of A times x is 2, which is above 1 by 1"),
        (Polygon(POINTED), [-3, 0.5], "(-3, 0.5) is outside the polygon by 3"),
        (ELLIPSE, [3, 0], "the sum of its terms is 9, which is above 4 by 5"),
        (Inequality([1], "log", ">=", 1), [1], "the sum of its terms is 0, which is below 1 by 1"),
        (Inequality([1], "log", ">=", 1), [-1], "column 0 is -1, where log is not defined"),
        (
            Inequalities([ELLIPSE, RING_HOLE]),
            [0, 0],
            "inequality 1 is broken: the sum of its terms is 0, which is below",
        ),
        (Sphere(), [3, 4], "its length is 5, not 1"),
        (RealSpace(), [3, np.nan], "column 1 is nan"),
    ],
)
def test_explanations(domain, row, message):
    assert not domain.contains([row])[0]
    assert message in domain.explain(row)


# ----------------------------------------------------------------------------------------------------------- sampling


@pytest.mark.parametrize("name", FINITE)
def test_samples_are_uniform(name):
    """The counts in the cells of a grid, against the share of the domain that each cell holds."""
    domain, d = CASES[name]
    X = domain.sample_uniform(20_000, random_state=1, n_features=d)
    assert X.shape == (20_000, d)
    assert domain.contains(X).all()
    np.testing.assert_array_equal(X, domain.sample_uniform(20_000, random_state=1, n_features=d))
    low, high = X.min(axis=0), X.max(axis=0)
    proposals = stats.qmc.Sobol(d, seed=2).random_base2(18) * (high - low) + low
    proposals = proposals[domain.contains(proposals)]
    edges = [np.linspace(lower, upper, 6) for lower, upper in zip(low, high, strict=True)]
    observed = np.histogramdd(X, edges)[0].ravel()
    expected = np.histogramdd(proposals, edges)[0].ravel()
    used = expected > 0.0005 * expected.sum()
    assert observed[~used].sum() < 0.02 * len(X)
    expected = expected[used] / expected[used].sum() * observed[used].sum()
    assert stats.chisquare(observed[used], expected).pvalue > 1e-3


@pytest.mark.parametrize("norm", [1, 2, inf])
@pytest.mark.parametrize("nonnegative", [False, True])
def test_samples_of_balls(norm, nonnegative):
    d, n = 7, 5000
    X = Ball(3, norm, nonnegative).sample_uniform(n, 0, n_features=d)
    size = (np.linalg.norm(X, norm, axis=1) / 3) ** d
    assert stats.kstest(size, "uniform").pvalue > 1e-3
    positive = (X > 0).mean(axis=0)
    np.testing.assert_allclose(positive, 1 if nonnegative else 0.5, atol=0.03)


def test_samples_of_the_simplex_the_sphere_and_intervals():
    X = Simplex().sample_uniform(5000, 0, n_features=4)
    for part in (*X.T, 1 - X.sum(axis=1)):
        assert stats.kstest(part, stats.beta(1, 4).cdf).pvalue > 1e-3
    X = Sphere().sample_uniform(5000, 0, n_features=3)
    assert stats.kstest(X[:, 2], stats.uniform(-1, 2).cdf).pvalue > 1e-3  # Archimedes
    X = Intervals([(10, 13), (0, 1)]).sample_uniform(4000, 0, n_features=2)
    np.testing.assert_allclose((X > 5).mean(axis=0), 0.75, atol=0.03)
    assert stats.kstest(np.where(X > 5, (X - 9) / 4, X / 4).ravel(), "uniform").pvalue > 1e-3


def test_samples_of_a_polygon_have_its_centre():
    X = Polygon(COMB).sample_uniform(40_000, 0)
    teeth = X[:, 1] > 1
    assert teeth.mean() == pytest.approx(6 / 11, abs=0.01)
    assert X[~teeth].mean(axis=0) == pytest.approx([2.5, 0.5], abs=0.04)
    assert stats.kstest(X[teeth][:, 1], stats.uniform(1, 2).cdf).pvalue > 1e-3


def test_samples_of_thin_polytopes():
    """A parallelepiped that fills next to nothing of its box: y = Mx is uniform on a cube."""
    random = np.random.default_rng(3)
    d = 6
    matrix = np.linalg.inv(np.eye(d) * 0.02 + np.linalg.qr(random.normal(size=(d, d)))[0][:, :1] @ np.ones((1, d)))
    polytope = Polytope(np.vstack([matrix, -matrix]), np.r_[np.ones(d), np.zeros(d)])
    X = polytope.sample_uniform(2000, 0)
    assert X.shape == (2000, d)
    assert polytope.contains(X).all()
    for column in (X @ matrix.T).T:
        assert stats.kstest(column, "uniform").pvalue > 1e-3
    cube = hit_and_run(Polytope(np.eye(3), np.ones(3), nonnegative=True), 2000, np.random.RandomState(0))
    assert all(stats.kstest(column, "uniform").pvalue > 1e-3 for column in cube.T)


def test_samples_need_a_finite_volume_and_a_number_of_columns():
    for name in set(CASES) - set(FINITE):
        domain, d = CASES[name]
        with pytest.raises(ValueError, match="infinite"):
            domain.sample_uniform(10, 0, n_features=d)
    with pytest.raises(ValueError, match="infinite volume"):
        RealSpace().sample_uniform(3, n_features=2)
    with pytest.raises(ValueError, match="n_features is needed"):
        Ball(1).sample_uniform(3)
    with pytest.raises(ValueError, match=r"n_features must be 2, as in Polygon.*got 3"):
        Polygon(POINTED).sample_uniform(3, n_features=3)
    with pytest.raises(ValueError, match="n must be an integer"):
        Ball(1).sample_uniform(-1, n_features=2)
    assert Ball(1).sample_uniform(0, n_features=2).shape == (0, 2)


# ------------------------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Box(1, 1), "lower must be below upper, or the box is empty; got 1 and 1"),
        (lambda: Box([0, 2], [1, 1]), "in column 1.*got 2 and 1"),
        (lambda: Box([0, 0], [1, 1, 1]), "equal length; got 2 and 3"),
        (lambda: Box(np.nan, 1), "lower must not be NaN"),
        (lambda: Box("a", 1), "lower must be a number or a sequence"),
        (lambda: Box(inf, inf), "is empty"),
        (lambda: Intervals([]), "intervals must be a list of pairs"),
        (lambda: Intervals([(1, 0)]), r"lower < upper.*got \(1, 0\)"),
        (lambda: Intervals([(0, 2), (1, 3)]), r"must not meet; got \(0, 2\) and \(1, 3\)"),
        (lambda: Intervals([[(0, 2)], [(0, 1), (1, 3)]]), "intervals of column 1 must not meet"),
        (lambda: Intervals([(0, np.nan)]), "lower < upper"),
        (lambda: Intervals([(0, 1, 2)]), "list of pairs"),
        (lambda: Ball(0), "radius must be a positive, finite number; got 0"),
        (lambda: Ball(inf), "radius must be"),
        (lambda: Ball("1"), "radius must be"),
        (lambda: Ball(1, 3), "norm must be 1, 2 or inf; got 3"),
        (lambda: Ball(1, 2, "yes"), "nonnegative must be True or False"),
        (lambda: Polytope([[1], [-1]], [0, -1]), "is empty, or has no interior"),
        (lambda: Polytope([[1], [-1]], [1, -1]), "is empty, or has no interior"),
        (lambda: Polytope([[1, 1]], [0], nonnegative=True), "is empty, or has no interior"),
        (lambda: Polytope([[0, 0], [1, 0]], [-1, 1]), "is empty"),
        (lambda: Polytope([[1, 2]], [1, 2]), r"b must have shape \(1,\)"),
        (lambda: Polytope([1, 2], [1]), "A must have shape"),
        (lambda: Polytope([[0, 0]], [1]), "A must have an entry other than 0"),
        (lambda: Polytope([[np.nan, 0]], [1]), "A must be finite"),
        (lambda: Polygon([(0, 0), (1, 1)]), "at least 3 different points; got 2"),
        (lambda: Polygon([(0, 0), (1, 1), (0, 0)]), "at least 3 different points; got 2"),
        (lambda: Polygon([(0, 0), (1, 1), (3, 3)]), "must enclose an area"),
        (lambda: Polygon([(0, 0), (2, 2), (2, 0), (0, 3)]), "edges from vertex 0 and from vertex 2 cross or touch"),
        (lambda: Polygon([(0, 0), (4, 0), (4, 2), (2, 0), (0, 2)]), "cross or touch"),
        (lambda: Polygon([(0, 0), (4, 0), (2, 0), (2, 2)]), "cross or touch"),
        (lambda: Polygon([(0, 0), (1, 0), (1, 0), (0, 1)]), "vertex 1 and the next are the same"),
        (lambda: Polygon([(0, 0), (1, 0), (0, np.nan)]), "vertices must be finite"),
        (lambda: Polygon([(0, 0, 0), (1, 0, 0), (0, 1, 0)]), "vertices must have shape"),
        (lambda: Polygon([(-3, -1), (-1, -1), (-2, -2)], nonnegative=True), "it is empty"),
        (lambda: Inequality([1, 1], 2, "<=", -1), "is empty: no point fulfils it"),
        (lambda: Inequality([1, 1], 2, "<=", 0), "is empty"),
        (lambda: Inequality([1, 1], "exp", "<=", 0), "is empty"),
        (lambda: Inequality([0, 0], 2, "<=", 1), "coefficients must not all be 0"),
        (lambda: Inequality([1, 1], 0, "<=", 1), "functions must be powers other than 0, 'log'.*got 0"),
        (lambda: Inequality([1, 1], "sin", "<=", 1), "functions must be.*'sin'"),
        (lambda: Inequality([1, 1], [1], "<=", 1), "one for each of the 2 coefficients; got 1"),
        (lambda: Inequality([1, 1], 1, "<", 1), "sense must be '<=' or '>='; got '<'"),
        (lambda: Inequality([1, 1], 1, "<=", np.nan), "bound must be finite"),
        (lambda: Inequalities([]), "must be a list of Inequality"),
        (lambda: Inequalities([DISC, 3]), "must be a list of Inequality"),
        (lambda: Inequalities([DISC, Inequality([1], 1, "<=", 1)]), r"as many coefficients; got \[1, 2\]"),
        (lambda: Inequalities([DISC, Inequality([1, 1], 2, ">=", 5)]), "is empty"),
        (lambda: Inequalities([Inequality([1, 1], 1, "<=", -1)], nonnegative=True), "is empty"),
        (lambda: Inequalities([DISC, ELLIPSE], "xor"), "rule must be 'and', 'or' or an expression"),
        (lambda: Inequalities([DISC, ELLIPSE], "0 and"), "rule must be"),
        (lambda: Inequalities([DISC, ELLIPSE], "0 and not 1"), "rule must be"),
        (lambda: Inequalities([DISC, ELLIPSE], 1), "rule must be"),
        (
            lambda: Inequalities([DISC, ELLIPSE], "0 or 2"),
            "each of the 2 inequalities, 0 to 1, and no other; 1 is missing",
        ),
        (lambda: Inequalities([DISC, ELLIPSE], "0 or 1 or 2"), "2 is too many"),
    ],
)
def test_errors(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_large_polygons():
    """A coast of 20 000 vertices: checked, and sampled, without comparing each edge with each."""
    angles = np.linspace(0, 2 * np.pi, 20_001)[:-1]
    radius = 1 + 0.3 * np.sin(40 * angles) + 0.01 * np.random.default_rng(0).uniform(size=len(angles))
    vertices = np.column_stack([np.cos(angles), np.sin(angles)]) * radius[:, None]
    coast = Polygon(vertices)
    X = coast.sample_uniform(2000, 0)
    assert coast.contains(X).all()
    angle = np.arctan2(X[:, 1], X[:, 0]) % (2 * np.pi)
    assert np.all(np.linalg.norm(X, axis=1) <= np.interp(angle, angles, radius) + 1e-3)
    vertices[[500, 9000]] = vertices[[9000, 500]]
    with pytest.raises(ValueError, match="cross or touch"):
        Polygon(vertices)


def test_rules():
    """Every expression against Python's own reading of it."""
    for text in (
        "0 or (1 and 2)",
        "0 or 1 and 2",
        "(0 or 1) and 2",
        "0 and 1 or 1 and 2 or 0",
        "and",
        "or",
        "2 and (1 or 0)",
    ):
        rule = parse_rule(text, 3)
        spelled = {"and": "0 and 1 and 2", "or": "0 or 1 or 2"}.get(text, text)
        for states in np.ndindex(2, 2, 2):
            code = "".join(f"bool(states[{c}])" if c.isdigit() else c for c in spelled)
            wanted = eval(code, {"states": states, "bool": bool})
            assert any(all(states[k] for k in term) for term in rule.terms()) == wanted
            broken = [not state for state in states]
            assert any(all(broken[k] for k in term) for term in rule.negated().terms()) == (not wanted)
            domain = Inequalities([Inequality(row, 1, "<=", 0.5) for row in np.eye(3)], text)
            assert domain.contains([[1.0 - state for state in states]])[0] == wanted


# ------------------------------------------------------------------------------------------------------- command line


@pytest.mark.parametrize(
    ("text", "domain"),
    [
        ("non-negative", NonNegative()),
        ("box:lower=0,upper=1,upper=inf", Box(0, (1, inf))),
        ("box:lower=-inf,upper=2", Box(-inf, 2)),
        ("ball:radius=2", Ball(2)),
        ("ball:radius=2,norm=inf,nonnegative=yes", Ball(2, inf, nonnegative=True)),
        ("simplex", Simplex()),
    ],
)
def test_on_a_command_line(text, domain):
    assert _parse_object("--domain", text, on_the_command_line()) == domain


def on_the_command_line():
    option = Option("domain", Domain, None, "")
    assert not {"polytope", "polygon", "intervals", "inequality", "inequalities", "domain"} & set(option.objects)
    assert all(kebab(cls.__name__) == name for name, cls in option.objects.items())
    return option.objects


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ball", "ball needs radius. Write ball:radius=NUMBER[,norm=2,nonnegative=no]"),
        ("ball:radius=1,nonnegative=maybe", "nonnegative must be yes or no; got 'maybe'"),
        ("ball:radius=1,radius=2", "radius is given 2 times; ball takes it once"),
        ("box:lower=1,upper=0", "lower must be below upper"),
        ("box:lower=1", "box needs upper"),
        ("polygon", "unknown name 'polygon'"),
    ],
)
def test_errors_on_a_command_line(text, message):
    with pytest.raises(CommandError) as caught:
        _parse_object("--domain", text, on_the_command_line())
    assert message in str(caught.value)
