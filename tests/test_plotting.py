"""Pictures of fitted models: what is in them, rather than how it looks."""

from __future__ import annotations

import numpy as np
import pytest
import scorematch

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")

from cases import EXAMPLES  # noqa: E402
from matplotlib import pyplot  # noqa: E402
from matplotlib.collections import LineCollection  # noqa: E402
from matplotlib.contour import QuadContourSet  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402
from matplotlib.patches import Rectangle  # noqa: E402
from matplotlib.quiver import Quiver  # noqa: E402
from scorematch.plotting import FitDisplay, Hemisphere, Line, Plane  # noqa: E402


@pytest.fixture(autouse=True)
def close_figures():
    yield
    pyplot.close("all")


def rng():
    return np.random.default_rng(0)


COVARIANCE = np.array([[2.0, 0.6, 0.3], [0.6, 1.0, -0.2], [0.3, -0.2, 0.5]])
MEAN = np.array([1.0, -2.0, 30.0])


def gaussian(d):
    model = scorematch.Gaussian.from_params(mean=MEAN[:d], covariance=COVARIANCE[:d, :d])
    return model, model.sample(400, random_state=0)


def mixture():
    model = scorematch.GaussianMixture.from_params(
        weights=[0.3, 0.7], means=[MEAN, MEAN + 3], covariances=[COVARIANCE, np.diag([1.0, 2.0, 3.0])]
    )
    return model, model.sample(300, random_state=0)


def student_t():
    model = scorematch.StudentT.from_params(location=MEAN, scale=COVARIANCE, df=6.0)
    return model, model.sample(300, random_state=0)


def sphere(d, n=300):
    direction = np.ones(d) / np.sqrt(d)
    model = scorematch.VonMisesFisher.from_params(mean_direction=direction, concentration=4.0)
    return model, model.sample(n, random_state=0)


def only(ax, kind):
    found = [child for child in ax.get_children() if isinstance(child, kind)]
    assert found
    return found


def draw(display):
    """Everything laid out and painted, which is where matplotlib notices what is wrong."""
    display.figure_.canvas.draw()
    return display


def test_line():
    model, X = gaussian(1)
    display = draw(FitDisplay.from_estimator(model, X, feature_names=["height"]))
    (line,) = display.panels_
    assert isinstance(line, Line)
    top, bottom = display.axes_
    assert bottom.get_xlabel() == "height"
    assert (top.get_ylabel(), bottom.get_ylabel()) == ("density", "score function")
    assert np.trapezoid(line.density, line.x) == pytest.approx(1, abs=1e-2)
    np.testing.assert_allclose(line.score, (MEAN[0] - line.x) / COVARIANCE[0, 0])
    np.testing.assert_array_equal(bottom.lines[-1].get_ydata(), line.score)
    assert sum(patch.get_height() * patch.get_width() for patch in top.patches) == pytest.approx(1)
    assert {text.get_text() for text in top.get_legend().get_texts()} == {"data", "fitted density"}
    assert "400 rows" in display.figure_.get_suptitle()


def test_plane():
    model, X = gaussian(2)
    display = draw(FitDisplay.from_estimator(model, X, feature_names=["height", "weight"], title="People"))
    (plane,) = display.panels_
    (ax,) = display.axes_
    assert isinstance(plane, Plane)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("height", "weight")
    assert display.figure_.get_suptitle().startswith("People\n")
    np.testing.assert_array_equal(ax.lines[0].get_xydata(), X)
    step = (plane.x[1] - plane.x[0]) * (plane.y[1] - plane.y[0])
    assert plane.density.sum() * step == pytest.approx(1)

    (quiver,) = only(ax, Quiver)
    np.testing.assert_array_equal(quiver.get_offsets(), plane.positions)
    np.testing.assert_allclose(plane.scores, model.score_function(plane.positions))
    widths = [np.ptp(ax.get_xlim()), np.ptp(ax.get_ylim())]
    np.testing.assert_allclose(np.column_stack([quiver.U, quiver.V]), plane.scores * widths)
    assert 20 < len(plane.positions) <= 144

    legend = [text.get_text() for text in display.figure_.legends[0].get_texts()]
    assert legend == ["data", "fitted density: 50 %", "80 %", "95 %", "score function"]


def test_contours_hold_their_probability():
    model, X = gaussian(2)
    display = FitDisplay.from_estimator(model, X)
    (plane,) = display.panels_
    filled, lines = only(display.axes_[0], QuadContourSet)
    np.testing.assert_array_equal(filled.levels[:-1], plane.levels)
    np.testing.assert_array_equal(lines.levels, plane.levels)
    # The densities of a Gaussian's ellipses are known: exp(-chi2 / 2) below the peak, and chi2 = -2 log(1 - p).
    np.testing.assert_allclose(plane.levels / plane.density.max(), [0.05, 0.2, 0.5], rtol=0.1)
    many = model.sample(20_000, random_state=1)
    centred = many - MEAN[:2]
    relative = np.exp(-0.5 * np.einsum("ij,jk,ik->i", centred, np.linalg.inv(COVARIANCE[:2, :2]), centred))
    held = [(relative > level / plane.density.max()).mean() for level in plane.levels]
    np.testing.assert_allclose(held, [0.95, 0.8, 0.5], atol=0.02)


@pytest.mark.parametrize(
    "make", [lambda: gaussian(3), mixture, student_t], ids=["Gaussian", "GaussianMixture", "StudentT"]
)
def test_pairs_show_exact_marginals(make):
    model, X = make()
    display = draw(FitDisplay.from_estimator(model, X, feature_names=["a", "b", "c"]))
    assert display.axes_.shape == (3, 3)
    assert [[ax is not None for ax in row] for row in display.axes_] == [
        [True, False, False],
        [True, True, False],
        [True] * 3,
    ]
    assert [ax.get_xlabel() for ax in display.axes_[2]] == ["a", "b", "c"]
    assert [display.axes_[row, 0].get_ylabel() for row in (1, 2)] == ["b", "c"]
    assert "marginal over the other features" in display.figure_.get_suptitle()
    kinds = [type(panel) for panel in display.panels_]
    assert kinds == [Line, Plane, Line, Plane, Plane, Line]

    # The marginal of (a, c), integrated by hand over b.
    plane = display.panels_[3]
    assert plane.names == ("a", "c")
    b = np.linspace(-300, 300, 40_001)
    for position, score in list(zip(plane.positions, plane.scores, strict=True))[:: len(plane.positions) // 4]:
        points = np.column_stack([np.full_like(b, position[0]), b, np.full_like(b, position[1])])
        log_density = model.unnormalized_log_density(points)
        density = np.exp(log_density - log_density.max())
        expected = density @ model.score_function(points)[:, [0, 2]] / density.sum()
        np.testing.assert_allclose(score, expected, rtol=1e-6, atol=1e-9)


def test_sections_where_marginals_have_no_closed_form():
    X = rng().laplace(size=(300, 3)) @ np.array([[1.0, 0.4, 0.0], [0.0, 1.0, 0.3], [0.2, 0.0, 1.0]])
    model = scorematch.ICA.from_params(components=np.array([[1.0, 0.2, 0.0], [0.0, 1.0, 0.5], [0.3, 0.0, 1.0]]))
    display = draw(FitDisplay.from_estimator(model, X))
    assert "section with the other features at their means" in display.figure_.get_suptitle()
    line, plane = display.panels_[0], display.panels_[1]
    assert line.density is None  # a section along a line is nothing to hold against a histogram
    points = np.column_stack([plane.positions, np.full(len(plane.positions), X[:, 2].mean())])
    np.testing.assert_allclose(plane.scores, model.score_function(points)[:, :2])


def test_choice_of_features():
    model, X = mixture()
    names = ["a", "b", "c"]
    two = FitDisplay.from_estimator(model, X, features=["c", 0], feature_names=names)
    assert two.features_ == [2, 0]
    assert (two.axes_[0].get_xlabel(), two.axes_[0].get_ylabel()) == ("c", "a")
    assert "features 2 of 3 shown" in two.figure_.get_suptitle()
    one = FitDisplay.from_estimator(model, X, features=["b"], feature_names=names)
    assert one.axes_[-1].get_xlabel() == "b"
    assert np.trapezoid(one.panels_[0].density, one.panels_[0].x) == pytest.approx(1, abs=1e-2)
    for wrong, message in ((["z"], "no column 'z'"), ([3], "no column 3"), ([], "1 to 5"), ([0, 0], "different")):
        with pytest.raises(ValueError, match=message):
            FitDisplay.from_estimator(model, X, features=wrong, feature_names=names)


def test_the_first_five_of_many():
    X = rng().normal(size=(50, 8))
    display = FitDisplay.from_estimator(scorematch.Gaussian().fit(X), X)
    assert display.features_ == [0, 1, 2, 3, 4]
    assert display.axes_.shape == (5, 5)
    assert "features 5 of 8 shown" in display.figure_.get_suptitle()


@pytest.mark.parametrize("kind", ["full", "diag"])
def test_truncated_domain(kind):
    X = np.abs(rng().normal(size=(300, 3)))
    model = scorematch.Gaussian(kind, domain=scorematch.NonNegative(), weight=scorematch.MinPower()).fit(X)
    display = draw(FitDisplay.from_estimator(model, X))
    for panel in display.panels_:
        assert panel.x[0] < 0  # the boundary is shown, and nothing beyond it
        if isinstance(panel, Line):
            np.testing.assert_allclose(panel.boundary, [0], atol=1e-12)
            assert panel.outside == [(panel.x[0], panel.boundary[0])]
        else:
            xy = np.concatenate(panel.boundary)
            np.testing.assert_allclose(xy.min(axis=1), 0, atol=1e-12)
            assert np.isnan(panel.density[panel.y < 0]).all()
            assert np.isnan(panel.density[:, panel.x < 0]).all()
            assert np.isfinite(panel.density[np.ix_(panel.y > 0, panel.x > 0)]).all()
    # Independent coordinates stay so when they are truncated; others do not.
    assert ("marginal" if kind == "diag" else "section") in display.figure_.get_suptitle()
    if kind == "diag":
        line = display.panels_[0]
        inside = line.x >= line.boundary[0]
        assert np.isnan(line.score[~inside]).all()
        expected = model.precision_[0, 0] * (model.mean_[0] - line.x[inside])
        np.testing.assert_allclose(line.score[inside], expected, rtol=1e-9)
        mass = np.trapezoid(line.density[inside], line.x[inside])
        assert mass == pytest.approx(1)


STAR = [
    (radius * np.cos(angle), radius * np.sin(angle))
    for angle, radius in zip(np.arange(10) * np.pi / 5, [1.4, 3.2] * 5, strict=True)
]


@pytest.mark.parametrize(
    "domain",
    [
        scorematch.Ball(2.5),
        scorematch.Box([-1.0, -np.inf], [2.0, 1.5]),
        scorematch.Polygon(STAR),
        scorematch.Intervals([(-2.0, -0.5), (0.5, 2.0)]),
        scorematch.Simplex(),
    ],
    ids=lambda domain: type(domain).__name__,
)
def test_nothing_is_drawn_outside_of_the_domain(domain):
    points = rng().normal(size=(4000, 2))
    X = points[domain.contains(points)][:100]
    model = scorematch.Gaussian.from_params(mean=[0.2, 0.1], covariance=np.eye(2), domain=domain)
    display = draw(FitDisplay.from_estimator(model, X))
    (plane,) = display.panels_
    (ax,) = display.axes_
    grid = np.stack(np.meshgrid(plane.x, plane.y), axis=-1).reshape(-1, 2)
    np.testing.assert_array_equal(np.isfinite(plane.density).ravel(), domain.contains(grid))
    # The lines lie on the boundary, and are drawn as they are; all else is cut off at the domain.
    lines = [line for line in ax.lines if line.get_label() == "boundary"]
    assert len(lines) == len(plane.boundary) > 0
    for drawn, line in zip(lines, plane.boundary, strict=True):
        np.testing.assert_array_equal(drawn.get_xydata(), line)
        np.testing.assert_allclose(domain.distance(line)[0], 0, atol=1e-9)
    (patch,) = [patch for patch in ax.patches if patch.get_facecolor() == (1, 1, 1, 1)]
    agree = patch.get_path().contains_points(grid) == domain.contains(grid)
    assert agree.mean() > 0.995  # corners are cut, by less than a cell
    for kind in (QuadContourSet, Quiver):
        for artist in only(ax, kind):
            clip = artist.get_clip_path().get_fully_transformed_path()
            np.testing.assert_allclose(
                clip.vertices, patch.get_transform().transform_path(patch.get_path()).vertices, rtol=1e-9
            )
    assert "boundary" in [text.get_text() for text in display.figure_.legends[0].get_texts()]


def test_two_intervals():
    domain = scorematch.Intervals([(-3.0, -1.0), (1.0, 3.0)])
    model = scorematch.Gaussian.from_params(mean=[0.5], covariance=[[1.0]], domain=domain)
    X = model.sample(500, random_state=0)
    display = draw(FitDisplay.from_estimator(model, X))
    (line,) = display.panels_
    np.testing.assert_allclose(line.boundary, [-3, -1, 1, 3], atol=1e-9)
    np.testing.assert_allclose(line.outside, [(line.x[0], -3), (-1, 1), (3, line.x[-1])], atol=1e-9)
    np.testing.assert_array_equal(np.isnan(line.density), ~domain.contains(line.x[:, None]))
    for bar in display.axes_[0].patches:
        if isinstance(bar, Rectangle) and bar.get_height() > 0 and bar.get_label() == "_nolegend_":
            middle = bar.get_x() + bar.get_width() / 2
            assert domain.contains([[middle]])
            assert domain.contains([[middle - 0.49 * bar.get_width()], [middle + 0.49 * bar.get_width()]]).all()


def test_a_section_that_lies_outside_of_the_domain():
    domain = scorematch.Intervals([(-3.0, -1.0), (1.0, 3.0)])
    covariance = [[1.0, 0.3, 0.0], [0.3, 1.0, 0.0], [0.0, 0.0, 1.0]]
    model = scorematch.Gaussian.from_params(mean=np.zeros(3), covariance=covariance, domain=domain)
    X = rng().uniform(1.0, 3.0, size=(200, 3)) * np.where(rng().uniform(size=(200, 3)) < 0.5, -1, 1)
    display = draw(FitDisplay.from_estimator(model, X))  # the means are about 0, which is in none of the intervals
    planes = [panel for panel in display.panels_ if isinstance(panel, Plane)]
    assert all(plane.density is None and len(plane.positions) == 0 for plane in planes)
    assert all(len(plane.points) == 200 for plane in planes)
    assert "the section lies outside of the domain" in display.figure_.get_suptitle().replace("\n", " ")


def test_marginals_of_a_box_whose_sides_differ():
    box = scorematch.Box([0.0, -1.0, 0.0], [1.0, 2.0, np.inf])
    model = scorematch.Gaussian.from_params(
        mean=[0.2, 0.5, 1.0], covariance=[1.0, 0.5, 2.0], covariance_type="diag", domain=box
    )
    X = model.sample(200, random_state=0)
    line = FitDisplay.from_estimator(model, X, features=[1]).panels_[0]
    np.testing.assert_allclose(line.boundary, [-1, 2], atol=1e-9)
    inside = np.isfinite(line.density)
    expected = np.exp(-((line.x - 0.5) ** 2) / (2 * 0.5))
    np.testing.assert_allclose(line.density[inside] / line.density[inside].max(), (expected / expected.max())[inside])


@pytest.mark.parametrize("model", ["GammaInteraction", "ExponentialSquareRoot"])
def test_densities_that_have_no_value_on_the_boundary(model):
    X = rng().gamma(1.5, size=(200, 3))
    display = draw(FitDisplay.from_estimator(getattr(scorematch, model)().fit(X), X))
    planes = [panel for panel in display.panels_ if isinstance(panel, Plane)]
    assert all(np.isfinite(plane.density[np.ix_(plane.y > 0, plane.x > 0)]).all() for plane in planes)


# One example of each family on each kind of domain.
ON_DOMAINS = {
    (example.case.family, type(example.domain).__name__): example for example in EXAMPLES if example.domain is not None
}.values()


@pytest.mark.parametrize("example", ON_DOMAINS, ids=lambda example: example.name)
def test_every_family_on_every_domain(example):
    X = example.data(60)
    display = FitDisplay.from_estimator(example.model(), X, features=[0, 1], figure=Figure())
    (plane,) = display.panels_
    assert np.isfinite(plane.density).any()
    assert np.isfinite(plane.scores).all()
    # In a section the other features are at their means.
    for points, inside in (
        (plane.positions, np.full(len(plane.positions), True)),
        (np.stack(np.meshgrid(plane.x, plane.y), axis=-1).reshape(-1, 2), np.isfinite(plane.density).ravel()),
    ):
        rows = np.tile(X.mean(axis=0), (len(points), 1))
        rows[:, :2] = points
        np.testing.assert_array_equal(example.domain.contains(rows), inside)


def test_circle():
    model, X = sphere(2)
    display = draw(FitDisplay.from_estimator(model, X, feature_names=["east", "north"]))
    (line,) = display.panels_
    ring, unrolled = display.axes_
    assert (ring.get_xlabel(), ring.get_ylabel()) == ("east", "north")
    assert unrolled.get_xlabel() == "angle (degrees)"
    assert ring.get_aspect() == 1
    assert np.trapezoid(line.density, line.x) == pytest.approx(1)
    # The derivative of κ cos(angle - 45°).
    np.testing.assert_allclose(line.score, -4 * np.sin(np.radians(line.x - 45)), atol=1e-9)
    assert line.x[np.argmax(line.density)] == pytest.approx(45, abs=0.5)
    (ticks,) = only(ring, LineCollection)
    assert len(ticks.get_segments()) == len(X)


def test_hemispheres():
    model, X = sphere(3)
    display = draw(FitDisplay.from_estimator(model, X, feature_names=["x", "y", "z"]))
    front, back = display.panels_
    assert isinstance(front, Hemisphere)
    assert len(front.points) + len(back.points) == len(X)
    assert all((np.hypot(*panel.points.T) <= np.sqrt(2) + 1e-12).all() for panel in (front, back))
    step = (front.x[1] - front.x[0]) ** 2
    assert (np.nansum(front.density) + np.nansum(back.density)) * step == pytest.approx(1)
    assert np.nanmax(front.density) > np.nanmax(back.density)
    # Equal areas: a quarter of a turn holds the analytic share of a von Mises-Fisher distribution.
    share = np.nansum(front.density) * step
    assert share == pytest.approx((1 - np.exp(-4.0)) / (1 - np.exp(-8.0)), abs=0.01)
    # All axes' positive ends are near the mean direction, their negative ends opposite.
    assert np.isfinite(front.poles).all(axis=1).tolist() == [True] * 3 + [False] * 3
    assert np.isfinite(back.poles).all(axis=1).tolist() == [False] * 3 + [True] * 3
    texts = {text.get_text() for text in display.axes_[0].texts}
    assert texts == {"x", "y", "z"}


def test_arrows_on_the_sphere_are_derivatives_on_the_map():
    from scorematch.plotting._panels import _from_map, _push_to_map, _to_map

    flat = rng().uniform(-0.9, 0.9, size=(20, 2))
    points = _from_map(flat)
    np.testing.assert_allclose(np.linalg.norm(points, axis=1), 1)
    np.testing.assert_allclose(_to_map(points), flat)
    tangents = rng().normal(size=points.shape)
    tangents -= np.einsum("ij,ij->i", tangents, points)[:, None] * points
    step = 1e-6
    moved = points + step * tangents
    moved /= np.linalg.norm(moved, axis=1, keepdims=True)
    back = points - step * tangents
    back /= np.linalg.norm(back, axis=1, keepdims=True)
    np.testing.assert_allclose(_push_to_map(points, tangents), (_to_map(moved) - _to_map(back)) / (2 * step), atol=1e-8)


def test_arrows_of_hemispheres_point_to_the_mean_direction():
    model, X = sphere(3, 3000)
    front = FitDisplay.from_estimator(model, X).panels_[0]
    # The map is centred on the mean direction of the data, which is about the model's.
    inward = -np.einsum("ij,ij->i", front.positions, front.scores)
    lengths = np.hypot(*front.positions.T) * np.hypot(*front.scores.T)
    far = np.hypot(*front.positions.T) > 0.4
    assert (inward[far] > 0.95 * lengths[far]).all()


def test_directions():
    model, X = sphere(4)
    display = draw(FitDisplay.from_estimator(model, X, feature_names=list("abcd")))
    assert display.axes_.shape == (3, 3)
    assert [panel.names for panel in display.panels_] == [
        ("a", "b"), ("a", "c"), ("b", "c"), ("a", "d"), ("b", "d"), ("c", "d"),
    ]  # fmt: skip
    (arrow,) = only(display.axes_[2, 0], Quiver)
    np.testing.assert_allclose([arrow.U[0], arrow.V[0]], model.mean_direction_[[0, 3]])
    assert "mean direction" in display.figure_.get_suptitle()


def test_rows_are_rescaled_where_the_model_does_so():
    model, X = sphere(3)
    model.set_params(normalize=True)
    display = FitDisplay.from_estimator(model, 7 * X)
    np.testing.assert_allclose(
        display.panels_[0].density, FitDisplay.from_estimator(sphere(3)[0], X).panels_[0].density, rtol=1e-9
    )


def test_points_are_thinned_and_weighted():
    model, X = gaussian(2)
    first, second = (FitDisplay.from_estimator(model, X, max_points=50).panels_[0].points for _ in range(2))
    assert len(first) == 50
    np.testing.assert_array_equal(first, second)
    assert "50 of them shown" in FitDisplay.from_estimator(model, X, max_points=50).figure_.get_suptitle()
    weight = np.where(np.arange(len(X)) < 10, 1.0, 0.0)
    np.testing.assert_array_equal(FitDisplay.from_estimator(model, X, sample_weight=weight).panels_[0].points, X[:10])
    with pytest.raises(ValueError, match="max_points"):
        FitDisplay.from_estimator(model, X, max_points=0)

    model, X = gaussian(1)
    weight = np.where(X[:, 0] > MEAN[0], 3.0, 1.0)
    top = FitDisplay.from_estimator(model, X, sample_weight=weight).axes_[0]
    edges = [patch.get_x() for patch in top.patches] + [X.max()]
    expected = np.histogram(X[:, 0], edges, weights=weight, density=True)[0]
    np.testing.assert_allclose([patch.get_height() for patch in top.patches], expected)
    assert not np.allclose(expected, np.histogram(X[:, 0], edges, density=True)[0])


def test_where_to_draw():
    model, X = gaussian(2)
    figure = Figure()
    assert FitDisplay.from_estimator(model, X, figure=figure).figure_ is figure
    figure, axes = pyplot.subplots(1, 2, figsize=(9, 4))
    display = FitDisplay.from_estimator(model, X, ax=axes[1])
    assert display.axes_.tolist() == [axes[1]]
    assert not axes[0].lines
    assert axes[1].get_legend() is not None
    assert figure.get_size_inches().tolist() == [9, 4]
    again = display.plot()
    assert again.figure_ is not figure
    halves = Figure(layout="constrained").subfigures(1, 2)
    assert FitDisplay.from_estimator(model, X, figure=halves[0]).figure_ is halves[0]
    model, X = gaussian(3)
    with pytest.raises(ValueError, match="ax holds a single picture"):
        FitDisplay.from_estimator(model, X, ax=axes[0])


def test_singular_covariance_draws_what_there_is():
    X = rng().normal(size=(50, 3))
    X[:, 2] = X[:, 0] + X[:, 1]
    with pytest.warns(UserWarning, match="singular"):
        model = scorematch.Gaussian().fit(X)
    X = np.column_stack([X, np.ones(50)])
    with pytest.warns(UserWarning, match="singular"):
        model = scorematch.Gaussian().fit(X)
    display = draw(FitDisplay.from_estimator(model, X))
    assert "singular" in display.figure_.get_suptitle()
    with_density = [panel.density is not None for panel in display.panels_]
    assert any(with_density)
    assert not all(with_density)


def test_names_of_frames():
    pandas = pytest.importorskip("pandas")
    _, X = gaussian(2)
    frame = pandas.DataFrame(X, columns=["height", "weight"])
    model = scorematch.Gaussian().fit(frame)
    display = FitDisplay.from_estimator(model, frame)
    assert display.axes_[0].get_xlabel() == "height"
    plane = display.panels_[0]
    np.testing.assert_allclose(
        plane.scores, model.score_function(pandas.DataFrame(plane.positions, columns=frame.columns))
    )


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.ones((3, 3)), r"X must have shape \(n_samples, 2\)"),
        (np.array([[1.0, np.nan]]), "NaN"),
        (np.empty((0, 2)), "at least one row"),
    ],
)
def test_wrong_data(X, message):
    with pytest.raises(ValueError, match=message):
        FitDisplay.from_estimator(gaussian(2)[0], X)


def test_wrong_models_and_names():
    from sklearn.exceptions import NotFittedError

    model, X = gaussian(2)
    with pytest.raises(ValueError, match="feature_names must have 2 entries"):
        FitDisplay.from_estimator(model, X, feature_names=["a"])
    with pytest.raises(NotFittedError):
        FitDisplay.from_estimator(scorematch.Gaussian(), X)
    with pytest.raises(ValueError, match="features cannot be chosen on the sphere"):
        FitDisplay.from_estimator(*sphere(3), features=[0, 1])


def test_constant_column_and_single_row():
    model = scorematch.Gaussian.from_params(mean=[0.0, 5.0], covariance=np.eye(2))
    draw(FitDisplay.from_estimator(model, [[0.0, 5.0]]))
    model = scorematch.Gaussian.from_params(mean=[0.0], covariance=[[1.0]])
    draw(FitDisplay.from_estimator(model, [[0.0], [0.0]]))
