"""Pictures of uncertainty, diagnostics, graphs and samplers: what is drawn, held against what it should show."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import scorematch

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")

from matplotlib import pyplot  # noqa: E402
from matplotlib.collections import LineCollection  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402
from scorematch._summary import Summary  # noqa: E402
from scorematch.plotting import (  # noqa: E402
    GraphDisplay,
    InfluenceDisplay,
    IntervalsDisplay,
    ObjectiveDisplay,
    PathDisplay,
    SteinDisplay,
    TraceDisplay,
)


@pytest.fixture(autouse=True)
def close_figures():
    yield
    pyplot.close("all")


def rng():
    return np.random.default_rng(0)


def draw(display):
    display.figure_.canvas.draw()
    return display


def curve(ax, label):
    (line,) = [line for line in ax.lines if line.get_label() == label]
    return line.get_xydata()


def texts(artists):
    return [text.get_text() for text in artists]


# -- objective ----------------------------------------------------------------------------------------------------


def test_objective_of_a_gaussian_is_two_known_curves():
    X = rng().normal(scale=2.0, size=(300, 1))
    X -= X.mean()
    model = scorematch.Gaussian().fit(X)
    display = draw(ObjectiveDisplay.from_estimator(model, X, parameter="precision[0,0]"))
    ax = display.ax_
    P = curve(ax, "norm term")[:, 0]
    # At mean 0: P² E[x²] / 2 and -P (Hyvärinen 2005); least at 1 / E[x²], and 0 at twice that.
    square = float((X**2).mean())
    np.testing.assert_allclose(curve(ax, "norm term")[:, 1], P**2 * square / 2, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(curve(ax, "Hessian term")[:, 1], -P, atol=1e-12)
    np.testing.assert_allclose(curve(ax, "their sum, the objective")[:, 1], P**2 * square / 2 - P, atol=1e-12)
    np.testing.assert_allclose(display.minimum, [1 / square, -1 / (2 * square)], rtol=1e-9)
    np.testing.assert_allclose([P[0], P[-1]], [0, 2 / square], atol=1e-5 / square)
    marked = [line.get_xydata()[0] for line in ax.lines if line.get_label().startswith("minimum")]
    np.testing.assert_array_equal(marked, [display.minimum])
    assert ax.get_xlabel() == "precision[0,0]"
    assert "300 rows" in display.figure_.get_suptitle()


def family_and_data(name):
    random = rng()
    return {
        "GaussianMixture": lambda: (
            scorematch.GaussianMixture.from_params(
                weights=[0.4, 0.6], means=[[0.0, 0.0], [2.0, 1.0]], covariances=[np.eye(2), 2 * np.eye(2)]
            ),
            random.normal(size=(50, 2)),
        ),
        "VonMisesFisher": lambda: (
            scorematch.VonMisesFisher.from_params(mean_direction=[1.0, 0.0, 0.0], concentration=3.0),
            (lambda Z: Z / np.linalg.norm(Z, axis=1, keepdims=True))(random.normal(size=(50, 3))),
        ),
        "GammaInteraction": lambda: (
            scorematch.GammaInteraction.from_params(interaction=[[1.0, 0.2], [0.2, 1.0]], linear=[1.0, 0.5]),
            random.gamma(2.0, size=(50, 2)),
        ),
        "ICA": lambda: (
            scorematch.ICA.from_params(components=[[1.0, 0.3], [0.0, 1.0]]),
            random.laplace(size=(50, 2)).astype(np.float32),
        ),
        "StudentT": lambda: (
            scorematch.StudentT.from_params(location=[0.0, 1.0], scale=np.eye(2), df=5.0),
            random.normal(size=(50, 2)),
        ),
    }[name]()


@pytest.mark.parametrize("name", ["GaussianMixture", "VonMisesFisher", "GammaInteraction", "ICA", "StudentT"])
def test_objective_is_the_loss_of_any_family(name):
    model, X = family_and_data(name)
    weight = rng().uniform(size=len(X))
    for parameter in (0, len(model.theta_) - 1):
        display = ObjectiveDisplay.from_estimator(model, X, parameter=parameter, n_points=5, sample_weight=weight)
        assert display.parameter == model.theta_names_[parameter]
        assert model.theta_[parameter] in display.values
        for value, total in zip(display.values, display.total, strict=True):
            theta = model.theta_.copy()
            theta[parameter] = value
            loss = model.loss_and_grad(theta, X, sample_weight=weight)[0]
            assert total == pytest.approx(loss, rel=1e-5 if X.dtype == np.float32 else 1e-10)


def test_objective_marks_the_estimate_apart_from_the_minimum():
    X = rng().normal(size=(100, 1))
    model = scorematch.Gaussian.from_params(mean=[0.0], covariance=[[0.5]])
    display = ObjectiveDisplay.from_estimator(model, X, half_width=2.0)
    assert display.estimate == pytest.approx(2)
    np.testing.assert_allclose(display.values[[0, -1]], [0, 4], atol=1e-12)
    assert display.minimum[0] == pytest.approx(1 / (X**2).mean(), abs=0.03)
    labels = texts(display.ax_.get_legend().get_texts())
    assert "estimate, 2" in labels
    assert any(label.startswith("minimum, at ") for label in labels)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"parameter": "variance"}, r"none called 'variance'; theta_names_ are precision\[0,0\], linear\[0\]"),
        ({"parameter": 2}, "parameter must be 0 to 1"),
        ({"n_points": 2}, "n_points"),
        ({"half_width": 0.0}, "half_width must be above 0"),
        ({"half_width": -1.0}, "half_width"),
    ],
)
def test_objective_refuses(options, message):
    model = scorematch.Gaussian.from_params(mean=[0.0], covariance=[[1.0]])
    with pytest.raises(ValueError, match=message):
        ObjectiveDisplay.from_estimator(model, [[0.0], [1.0]], **options)


# -- intervals ----------------------------------------------------------------------------------------------------


def bars(ax):
    return np.array([segment for lines in ax.collections for segment in lines.get_segments()])


def test_intervals_are_those_of_the_model():
    X = rng().normal(size=(200, 2)) @ [[1.0, 0.5], [0.0, 1.0]]
    model = scorematch.Gaussian().fit(X)
    display = draw(IntervalsDisplay.from_estimator(model, level=0.9))
    precision, linear = display.axes_
    intervals = model.confidence_intervals(level=0.9)
    np.testing.assert_allclose(bars(precision)[:, :, 0], intervals[:3])
    np.testing.assert_allclose(bars(linear)[:, :, 0], intervals[3:])
    np.testing.assert_allclose(precision.lines[0].get_xdata(), model.theta_[:3])
    assert texts(precision.get_yticklabels()) == ["precision[0,0]", "precision[0,1]", "precision[1,1]"]
    assert [ax.get_xlabel() for ax in display.axes_] == ["precision", "linear"]
    assert "90 % confidence intervals" in display.figure_.get_suptitle()
    assert display.ax_ is precision


def test_intervals_of_a_derived_parameter_have_the_names_of_columns():
    pandas = pytest.importorskip("pandas")
    X = pandas.DataFrame(rng().normal(size=(200, 2)), columns=["height", "weight"])
    model = scorematch.Gaussian().fit(X)
    display = draw(IntervalsDisplay.from_estimator(model, of="mean"))
    assert texts(display.ax_.get_yticklabels()) == ["mean[height]", "mean[weight]"]
    expected = model.mean_[:, None] + 1.959964 * np.sqrt(np.diagonal(model.covariance_) / 200)[:, None] * [-1, 1]
    np.testing.assert_allclose(bars(display.ax_)[:, :, 0], expected, rtol=1e-5)
    # A symmetric matrix has each entry once.
    names = IntervalsDisplay.from_estimator(model, of="precision").names
    assert names == ["precision[height,height]", "precision[height,weight]", "precision[weight,weight]"]


def test_intervals_that_are_not_determined_and_the_choice_of_many():
    names = [f"mean[{i}]" for i in range(4)]
    intervals = np.array([[0.5, 1.5], [np.nan, np.nan], [-1.0, 1.2], [-3.0, -1.0]])
    display = draw(IntervalsDisplay([1.0, 2.0, 0.1, -2.0], intervals, names, level=0.95).plot())
    ax = display.ax_
    assert len(bars(ax)) == 3
    (cross,) = [line for line in ax.lines if line.get_label() == "not determined"]
    assert cross.get_xydata().tolist() == [[2.0, 1.0]]
    assert texts(ax.texts) == ["not determined"]

    summary = Summary(
        title="Estimates", head={}, names=names, estimates=np.array([1.0, 2.0, 0.1, -2.0]), level=0.95,
        standard_errors=np.array([0.25, np.nan, 0.55, 0.5]), intervals=intervals, reasons={1: "why not"}, notes=[],
    )  # fmt: skip
    display = IntervalsDisplay.from_summary(summary, max_shown=2)
    assert display.names == ["mean[0]", "mean[3]"]  # furthest from 0 in standard errors
    assert "2 of 4 parameters" in display.caption
    assert IntervalsDisplay.from_summary(summary).caption.endswith("; not determined: why not")


# -- graphs -------------------------------------------------------------------------------------------------------


K = np.array([[2.0, -0.5, 0.0, 0.0], [-0.5, 1.0, 0.3, 0.0], [0.0, 0.3, 4.0, 0.0], [0.0, 0.0, 0.0, 1.0]])


def test_graph_draws_each_edge_by_strength_and_sign():
    model = scorematch.TruncatedGaussian.from_params(interaction=K, linear=np.zeros(4))
    display = draw(GraphDisplay.from_estimator(model, feature_names=["ash", "beech", "cedar", "elder"]))
    assert display.edges.tolist() == [[1, 2], [0, 1]]
    np.testing.assert_allclose(display.strengths, [0.3 / 2, 0.5 / np.sqrt(2)])
    together, apart = [lines for lines in display.ax_.collections if isinstance(lines, LineCollection)]
    for lines, edge in ((together, [0, 1]), (apart, [1, 2])):
        np.testing.assert_array_equal(lines.get_segments(), display.positions[[edge]])
    assert together.get_linewidths()[0] > apart.get_linewidths()[0]
    # A negative entry, as in a precision matrix, pulls to the same side: solid, the other one broken.
    assert together.get_linestyles()[0][1] is None
    assert apart.get_linestyles()[0][1] is not None
    assert not np.array_equal(together.get_colors(), apart.get_colors())
    assert texts(display.ax_.texts) == ["ash", "beech", "cedar", "elder"]
    np.testing.assert_allclose(np.linalg.norm(display.positions, axis=1), 1)
    joined, alone = display.ax_.lines[:2]
    assert (len(joined.get_xdata()), len(alone.get_xdata())) == (3, 1)
    assert "2 of 6 pairs interact" in display.figure_.get_suptitle()


def test_graph_of_a_precision_and_of_many_edges():
    X = rng().normal(size=(100, 20))
    model = scorematch.Gaussian().fit(X)
    display = draw(GraphDisplay.from_estimator(model, layout="circular", max_edges=10))
    P = model.precision_
    partial = np.abs(P) / np.sqrt(np.outer(np.diagonal(P), np.diagonal(P)))
    np.testing.assert_allclose(display.strengths, np.sort(partial[np.triu_indices(20, 1)])[-10:])
    assert "190 of 190 pairs interact, the 10 strongest drawn" in display.figure_.get_suptitle()
    with pytest.raises(ValueError, match="has no interaction matrix"):
        GraphDisplay.from_estimator(scorematch.ICA.from_params(components=np.eye(2)))
    with pytest.raises(ValueError, match="layout must be"):
        GraphDisplay.from_estimator(model, layout="tree")


def test_graph_in_the_spring_layout():
    pytest.importorskip("networkx")
    model = scorematch.TruncatedGaussian.from_params(interaction=K, linear=np.zeros(4))
    display = draw(GraphDisplay.from_estimator(model, layout="spring"))
    gap = np.linalg.norm(display.positions[:, None] - display.positions, axis=-1)
    assert gap[0, 1] < gap[0, 3]


# -- paths --------------------------------------------------------------------------------------------------------


def positive_data():
    X = np.abs(rng().normal(size=(300, 4)))
    X[:, 1] += X[:, 0]
    X[:, 3] += 0.5 * X[:, 2]
    return X


def test_path_draws_the_coefficients_of_all_pairs():
    path = scorematch.interaction_path(positive_data(), n_alphas=15)
    display = draw(PathDisplay.from_path(path, feature_names=list("abcd"), alpha=float(path.alphas[7]), n_labels=2))
    ax = display.ax_
    upper = np.triu_indices(4, 1)
    coefficients = np.stack([path.interaction(k)[upper] for k in range(15)])
    there = coefficients.any(axis=0)
    drawn = [line for line in ax.lines if len(line.get_xdata()) == 15]
    assert len(drawn) == there.sum()
    for line in drawn:
        np.testing.assert_array_equal(line.get_xdata(), path.alphas)
    in_any_order = sorted(tuple(line.get_ydata()) for line in drawn)
    assert in_any_order == sorted(map(tuple, coefficients[:, there].T))
    strongest = np.argsort(-np.abs(coefficients[-1]))[:2]
    names = {f"{'abcd'[upper[0][k]]} – {'abcd'[upper[1][k]]}" for k in strongest}
    assert {display.names[k] for k in display.labelled} == names <= set(texts(ax.texts))
    assert ax.get_xscale() == "log"
    assert ax.get_xlim() == (path.alphas[0], path.alphas[-1])
    (chosen,) = [line for line in ax.lines if line.get_linestyle() == "--"]
    assert chosen.get_xdata()[0] == path.alphas[7]
    (above,) = ax.child_axes
    counts = dict(zip(path.alphas, path.n_edges, strict=True))
    assert [int(label.get_text()) for label in above.get_xticklabels()] == [counts[at] for at in above.get_xticks()]


def test_path_of_a_chosen_penalty():
    pandas = pytest.importorskip("pandas")
    X = pandas.DataFrame(positive_data(), columns=["ash", "beech", "cedar", "elder"])
    model = scorematch.PairwiseInteractionIC(n_alphas=10).fit(X)
    display = draw(PathDisplay.from_estimator(model))
    assert display.alpha == model.alpha_
    assert "ash – beech" in display.names
    with pytest.raises(ValueError, match="has no path_"):
        PathDisplay.from_estimator(scorematch.TruncatedGaussian(alpha=0.1).fit(X))


def test_sparse_paths_and_penalties_down_to_zero():
    dense, sparse = (
        scorematch.interaction_path(positive_data(), alphas=[0.3, 0.1, 0.0], sparse=kept) for kept in (False, True)
    )
    first, second = (PathDisplay.from_path(path) for path in (dense, sparse))
    np.testing.assert_array_equal(first.coefficients, second.coefficients)
    assert draw(first).ax_.get_xscale() == "linear"


def test_labels_are_moved_apart_as_little_as_may_be():
    from scorematch.plotting._drawing import spread_out

    np.testing.assert_allclose(spread_out(np.array([5.0, 3.0, 1.0]), 1.0), [5, 3, 1])
    np.testing.assert_allclose(spread_out(np.array([5.0, 1.0, 1.0, 1.0]), 1.0), [5, 2, 1, 0])
    assert len(spread_out(np.empty(0), 1.0)) == 0


# -- Stein check --------------------------------------------------------------------------------------------------


def stein_result(n_columns=2):
    random = rng()
    fields = ["step at 1.2", "bump at 0.3 (25%)", "bump at 0.9 (50%)"]
    columns = [f"column {j}" for j in range(n_columns) for _ in fields]
    errors = random.uniform(0.5, 2.0, len(columns)) / 100
    means = errors * random.uniform(-1.9, 1.9, len(columns))
    means[4], means[1], errors[1] = -5 * errors[4], 0.0, 0.0  # one far off, and one that the fit has made 0
    return SimpleNamespace(
        columns=columns, fields=fields * n_columns, means=means, standard_errors=errors, verdict="A verdict."
    )  # fmt: skip


def test_stein_check_by_column_and_field():
    result = stein_result()
    display = draw(SteinDisplay.from_result(result))
    assert [ax.get_title() for ax in display.axes_] == ["column 0", "column 1"]
    for panel, ax in enumerate(display.axes_):
        assert texts(ax.get_yticklabels()) == result.fields[:3]
        found = {}
        for container in ax.containers:
            colour = matplotlib.colors.to_hex(container.lines[0].get_color()).upper()
            points = container.lines[0].get_xydata()
            for (mean, row), ends in zip(points, container.lines[2][0].get_segments(), strict=True):
                found[int(row)] = (mean, (ends[1, 0] - ends[0, 0]) / 4, colour)
        for row in range(3):
            number = 3 * panel + row
            assert found[row][0] == result.means[number]
            assert found[row][1] == pytest.approx(result.standard_errors[number])
            assert (found[row][2] == "#D55E00") == (number == 4)
    assert "A verdict." in display.figure_.get_suptitle()


def test_stein_check_in_given_axes_and_of_many_columns():
    _, ax = pyplot.subplots(layout="constrained")
    result = stein_result()
    draw(SteinDisplay.from_result(result, ax=ax))
    values = {int(row): z for container in ax.containers for z, row in container.lines[0].get_xydata()}
    with np.errstate(invalid="ignore"):
        expected = np.nan_to_num(result.means / result.standard_errors)
    np.testing.assert_allclose([values[row] for row in range(6)], expected)
    assert ax.get_xlabel() == "mean / standard error"
    assert texts(ax.get_yticklabels())[4] == "column 1: bump at 0.3 (25%)"

    display = draw(SteinDisplay.from_result(stein_result(14), max_columns=5))
    assert len(display.axes_) == 5
    assert "column 1" in display.columns  # the one that is far off
    assert "5 of 14 columns are shown" in display.caption


# -- influence ----------------------------------------------------------------------------------------------------


def test_influence_is_a_squared_change_in_standard_errors():
    X = np.append(rng().normal(size=(80, 2)), [[6.0, -5.0]], axis=0)
    model = scorematch.Gaussian().fit(X)
    display = draw(InfluenceDisplay.from_estimator(model, X, n_labels=3))
    influence = model.influence(X)
    expected = np.einsum("ni,ij,nj->n", influence, np.linalg.inv(model.covariance()), influence) / len(model.theta_)
    np.testing.assert_allclose(display.distances, expected, rtol=1e-6)
    assert display.distances.sum() == pytest.approx(1)
    assert display.labelled[0] == 80
    assert texts(display.ax_.texts) == [str(row) for row in display.labelled]
    others, named = display.ax_.lines[:2]
    np.testing.assert_array_equal(np.sort(named.get_xdata()), np.sort(display.labelled))
    assert len(others.get_xdata()) == 78
    np.testing.assert_array_equal(display.ax_.lines[2].get_ydata(), 1 / 81)
    # In the direction that leaving the row out confirms.
    without = scorematch.Gaussian().fit(X[:-1])
    change = model.theta_ - without.theta_
    assert np.corrcoef(change, influence[-1])[0, 1] > 0.95


def test_influence_leaves_out_what_is_not_determined():
    model = SimpleNamespace(
        influence=lambda X: np.column_stack([np.asarray(X)[:, 0], np.full(len(X), np.nan)]),
        covariance=lambda X=None: np.diag([4.0, np.nan]),
    )
    display = draw(InfluenceDisplay.from_estimator(model, [[2.0], [4.0]], rows=["first", "second"], n_labels=1))
    np.testing.assert_allclose(display.distances, [1, 4])
    assert texts(display.ax_.texts) == ["second"]
    assert "1 of 2 parameters" in display.figure_.get_suptitle()
    model.covariance = lambda X=None: np.full((2, 2), np.nan)
    with pytest.raises(ValueError, match="no parameter whose variance is determined"):
        InfluenceDisplay.from_estimator(model, [[2.0]])
    with pytest.raises(ValueError, match="rows must have 2 entries"):
        InfluenceDisplay([1.0, 2.0], rows=["a"])


# -- traces -------------------------------------------------------------------------------------------------------


def test_traces_and_histograms_of_chains():
    draws = rng().normal(size=(3, 400, 2))
    draws[0, :, 1] += 3
    display = draw(TraceDisplay.from_draws(draws, feature_names=["height", "weight"]))
    assert display.axes_.shape == (2, 2)
    for column, (trace, marginal) in enumerate(display.axes_):
        for chain, line in enumerate(trace.lines):
            np.testing.assert_array_equal(line.get_ydata(), draws[chain, :, column])
        assert len(marginal.patches) == 3
        for patch in marginal.patches:
            width, height = np.diff(patch.get_xy()[:, 0]), patch.get_xy()[:, 1]
            assert (width != 0).any()
            assert height.min() >= draws[:, :, column].min() - 1e-9
    assert [row[0].get_ylabel() for row in display.axes_] == ["height", "weight"]
    assert texts(display.figure_.legends[0].get_texts()) == ["chain 0", "chain 1", "chain 2"]
    # By the formula of Gelman et al. (2013), written out once more.
    halves = draws.reshape(6, 200, 2)
    within, between = halves.var(axis=1, ddof=1).mean(axis=0), 200 * halves.mean(axis=1).var(axis=0, ddof=1)
    np.testing.assert_allclose(display.r_hat, np.sqrt((199 / 200 * within + between / 200) / within))
    assert display.r_hat[0] < 1.02 < 1.5 < display.r_hat[1]
    assert "1." in display.axes_[0, 1].get_title(loc="right")


def test_traces_of_one_chain_and_of_many():
    draws = rng().normal(size=(30, 7))
    display = draw(TraceDisplay.from_draws(draws, features=[6, "x0"]))
    assert [row[0].get_ylabel() for row in display.axes_] == ["x6", "x0"]
    np.testing.assert_array_equal(display.ax_.lines[0].get_ydata(), draws[:, 6])
    assert "features 2 of 7 shown" in display.figure_.get_suptitle()
    display = draw(TraceDisplay.from_draws(rng().normal(size=(12, 3, 1))))
    assert len(display.ax_.lines) == 12
    assert np.isnan(display.r_hat).all()
    for wrong, message in ((np.ones(3), "draws must have shape"), (np.full((1, 4, 1), np.nan), "chain 0, draw 0")):
        with pytest.raises(ValueError, match=message):
            TraceDisplay.from_draws(wrong)
    with pytest.raises(ValueError, match="ax holds a single picture"):
        display.plot(ax=pyplot.subplots()[1])


# -- all ----------------------------------------------------------------------------------------------------------


DISPLAYS = [
    lambda: ObjectiveDisplay([0.0, 1.0], [0.0, 1.0], [0.0, -2.0], parameter="a", estimate=1.0, title="Title"),
    lambda: IntervalsDisplay([1.0, 2.0], [[0.0, 2.0], [1.0, 3.0]], ["a[0]", "b[0]"], level=0.9, title="Title"),
    lambda: GraphDisplay(K, [[0.0, 1.0], [1.0, 0.0], [0.0, -1.0], [-1.0, 0.0]], list("abcd"), title="Title"),
    lambda: PathDisplay([0.2, 0.1], [[0.0, 0.0], [1.0, -1.0]], [0, 2], ["a – b", "a – c"], title="Title"),
    lambda: SteinDisplay([0.0, 1.0], [1.0, 1.0], columns=["a", "a"], fields=["f", "g"], title="Title"),
    lambda: InfluenceDisplay([0.5, 0.2, 0.3], title="Title"),
]


@pytest.mark.parametrize("make", DISPLAYS, ids=lambda make: type(make()).__name__)
def test_where_to_draw(make):
    display = make()
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(9, 4), layout="constrained")
    assert display.plot(ax=right) is display
    assert display.ax_ is right
    assert display.figure_ is figure
    assert right.get_title().startswith("Title")
    assert not left.lines
    figure.canvas.draw()
    own = Figure()
    assert display.plot(figure=own).figure_ is own
    assert own.get_suptitle().startswith("Title")
    own.canvas.draw()
    with pytest.raises(ValueError, match="figure or ax, not both"):
        display.plot(right, figure=own)
    assert draw(display.plot()).figure_ is not own


def test_matplotlib_is_loaded_when_first_drawn():
    import subprocess
    import sys

    code = (
        "import sys, numpy, scorematch; from scorematch.plotting import GraphDisplay;"
        "GraphDisplay(numpy.eye(2), numpy.eye(2), ['a', 'b']); assert 'matplotlib' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
