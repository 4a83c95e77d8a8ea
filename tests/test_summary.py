"""The table of a fit: its numbers against closed forms, and how it looks as text, HTML and LaTeX."""

import re
import sys
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from cases import FEW_EXAMPLES
from scipy.stats import norm
from scorematch import ICA, Gaussian, GaussianMixture, NonNegative, StudentT, TruncatedGaussian, VonMisesFisher
from scorematch._tables import MAX_ROWS, aligned, decimals_for, latex_escape, number, p_text

# Families that have an example each, to see that all of them can be shown.
FAMILIES = {example.case.family: example for example in FEW_EXAMPLES}


def normal(n=400, d=2, seed=0):
    return np.random.default_rng(seed).normal([1.0, -2.0, 0.0, 5.0][:d], [1.0, 3.0, 0.1, 2.0][:d], size=(n, d))


# -- Numbers -------------------------------------------------------------------------------------------------------


def test_numbers_of_the_gaussian(level, dtype):
    """The mean's standard error is that of the textbook, the variance's that of fourth moments."""
    X = normal().astype(dtype)
    model = Gaussian().fit(X)
    mean = model.summary(level=0.9, of="mean")
    deviations = X - X.mean(axis=0)
    errors = np.sqrt(np.square(deviations).mean(axis=0) / len(X))
    tolerance = 1e-4 if dtype == np.float32 else 1e-8
    np.testing.assert_allclose(mean.estimates, X.mean(axis=0), rtol=tolerance)
    np.testing.assert_allclose(mean.standard_errors, errors, rtol=tolerance)
    np.testing.assert_allclose(mean.z_values, mean.estimates / mean.standard_errors)
    np.testing.assert_allclose(mean.p_values, 2 * norm.sf(np.abs(mean.z_values)), rtol=1e-10, atol=1e-300)
    reach = norm.ppf(0.95) * mean.standard_errors
    np.testing.assert_allclose(mean.intervals, np.stack([mean.estimates - reach, mean.estimates + reach], axis=1))

    spread = model.summary(of="covariance")
    fourth = np.square(np.square(deviations) - np.square(deviations).mean(axis=0)).mean(axis=0)
    np.testing.assert_allclose(spread.standard_errors[[0, 3]], np.sqrt(fourth / len(X)), rtol=10 * tolerance)


@pytest.mark.parametrize("example", FAMILIES.values(), ids=FAMILIES)
def test_the_table_says_what_the_model_does(example):
    model, X = example.model(), example.data(80)
    table = model.summary(X=X)
    assert table.names == model.theta_names_
    np.testing.assert_array_equal(table.estimates, model.theta_)
    np.testing.assert_array_equal(table.standard_errors, np.sqrt(np.diagonal(model.covariance(X=X))))
    np.testing.assert_array_equal(table.intervals, model.confidence_intervals(X=X))
    assert set(table.reasons) == set(np.flatnonzero(np.isnan(table.standard_errors)))
    for page in (str(table), *(str(model.summary(of=name, X=X)) for name in parameters(model))):
        assert max(map(len, page.splitlines())) <= 100
        assert "nan" not in page
    assert f"{model.smic(X):.6g}" in str(table)
    # The parameters were given: the table says so.
    assert "the parameters were given, not estimated" in " ".join(str(table).split())


def parameters(model):
    """Names of the parameters that may have standard errors."""
    return [name for name in model.params_ if name not in ("powers", "theta")]


def test_weights_of_rows_go_with_X():
    X, weight = normal(100), np.random.default_rng(1).uniform(0.5, 2, 100)
    model = Gaussian().fit(X, sample_weight=weight)
    own, given = model.summary(of="mean"), model.summary(of="mean", X=X, sample_weight=weight)
    np.testing.assert_allclose(given.standard_errors, own.standard_errors, rtol=1e-12)
    deviations = (weight / weight.sum())[:, None] * (X - model.mean_)
    np.testing.assert_allclose(own.standard_errors, np.sqrt(np.square(deviations).sum(axis=0)), rtol=1e-8)


def test_bootstrap():
    X = normal(150)
    model = Gaussian().fit(X)
    options = {"of": "mean", "kind": "bootstrap", "X": X, "n_resamples": 400, "random_state": 0}
    table = model.summary(level=0.8, **options)
    np.testing.assert_allclose(table.standard_errors, np.sqrt(np.diagonal(model.covariance(**options))))
    np.testing.assert_allclose(table.intervals, model.confidence_intervals(level=0.8, **options))
    np.testing.assert_allclose(table.standard_errors, model.summary(of="mean").standard_errors, rtol=0.15)
    assert table.head["std. errors"] == "bootstrap"


def test_wrong_arguments():
    model = Gaussian().fit(normal())
    for level in (0, 1, -0.5, "0.95"):
        with pytest.raises(ValueError, match="level must"):
            model.summary(level=level)
    with pytest.raises(ValueError, match="of must name a parameter"):
        model.summary(of="median")
    with pytest.raises(ValueError, match="kind must be one of"):
        model.summary(kind="jackknife")
    with pytest.raises(ValueError, match="pass X"):
        Gaussian.from_params(mean=[0.0], covariance=[[1.0]]).summary()


# -- What is said beside the numbers -------------------------------------------------------------------------------


def test_head():
    X = np.abs(normal(200)) + 0.1
    model = Gaussian("diag", domain=NonNegative()).fit(X)
    head = model.summary(level=0.99).head
    assert head["samples"] == "200"
    assert head["features"] == "2"
    assert head["parameters"] == "4"
    assert head["converged"] == "yes, 1 iteration"
    assert head["intervals"] == "99 %"
    assert head["domain"] == "NonNegative()"
    assert head["weight"] == re.sub(r"\d+\.\d{6,}", lambda found: f"{float(found[0]):.5g}", repr(model.weight_))
    assert float(head["objective J"]) == pytest.approx(model.objective_, rel=1e-5)
    assert float(head["SMIC"]) == pytest.approx(model.smic(X), rel=1e-5)
    headings = str(model.summary(level=0.9999)).splitlines()[-7].split()
    assert headings[-4:] == ["0.005", "%", "99.995", "%"]
    assert "weight" not in Gaussian().fit(X).summary().head


def test_a_fit_that_stopped_early_says_so():
    X = np.random.default_rng(0).standard_t(3, size=(300, 2)) * [1.0, 5.0]
    with pytest.warns(match="did not converge"):
        model = StudentT(df=3, max_iter=1, n_init=1).fit(X)
    table = str(model.summary())
    assert "no, stopped after 1" in table
    assert "the fit did not converge" in table


def test_weights_of_far_components_are_said_to_be_hardly_determined():
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(-4.5, 1, size=(100, 1)), rng.normal(4.5, 1, size=(400, 1))])
    with pytest.warns(match="hardly determined"):
        model = GaussianMixture(2, random_state=0).fit(X)
    table = model.summary()
    assert "weights of the components are hardly determined" in " ".join(str(table).split())
    # The other parameters do not suffer: the means have about the errors of two samples by themselves.
    means = model.summary(of="means")
    known = np.sort([1 / np.sqrt(100), 1 / np.sqrt(400)])
    np.testing.assert_allclose(np.sort(means.standard_errors), known, rtol=0.25)


def test_reasons_stand_below_the_table():
    X = np.random.default_rng(0).normal(2.0, 1.0, size=(500, 3))
    table = TruncatedGaussian(alpha=0.05).fit(X[(X > 0).all(axis=1)]).summary()
    without = np.flatnonzero(np.isnan(table.standard_errors))
    assert len(without)  # what the penalty has set to 0
    assert set(table.reasons) == set(without)
    text = str(table)
    for row in without:
        assert f"{table.names[row]} [1]" in text
    assert text.count("[1] ") >= 1
    joined = " ".join(text.split())
    assert all(" ".join(f"[1] {reason}".split()) in joined for reason in set(table.reasons.values()))
    assert "<sup>[1]</sup>" in table._repr_html_()
    assert r"\textsuperscript{[1]}" in table.to_latex()


def test_names_of_columns():
    frame = pd.DataFrame(normal(), columns=["height", "weight"])
    model = Gaussian().fit(frame)
    assert model.summary(of="mean").names == ["mean[height]", "mean[weight]"]
    assert model.summary(of="covariance").names[1] == "covariance[height,weight]"
    mixture = GaussianMixture(1).fit(frame)
    assert mixture.summary(of="means").names == ["means[0,height]", "means[0,weight]"]
    assert mixture.summary(of="weights").names == ["weights[0]"]
    sphere = normal(100)
    sphere /= np.linalg.norm(sphere, axis=1, keepdims=True)
    direction = VonMisesFisher().fit(pd.DataFrame(sphere, columns=["east", "north"]))
    assert direction.summary(of="mean_direction").names == ["mean_direction[east]", "mean_direction[north]"]
    assert direction.summary(of="concentration").names == ["concentration"]


# -- Pages ---------------------------------------------------------------------------------------------------------


class Balanced(HTMLParser):
    """Fails where tags are not closed in order."""

    def __init__(self):
        super().__init__()
        self.open, self.texts = [], []

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def test_html_is_escaped_and_balanced():
    frame = pd.DataFrame(normal(), columns=["<b>bold", "a & b"])
    table = Gaussian().fit(frame).summary(of="mean")
    page = table._repr_html_()
    parser = Balanced()
    parser.feed(page)
    parser.close()
    assert not parser.open
    assert "mean[<b>bold]" in parser.texts
    assert "mean[a & b]" in parser.texts


def test_latex_is_escaped():
    frame = pd.DataFrame(normal(), columns=["100%_x", "a&b"])
    latex = Gaussian().fit(frame).summary(of="mean").to_latex()
    assert r"mean[100\%\_x] &" in latex
    assert r"mean[a\&b] &" in latex
    rows = [line for line in latex.splitlines() if line.endswith(r"\\")]
    assert {len(re.findall(r"(?<!\\)&", row)) for row in rows} == {6}
    assert latex_escape(r"\ ~ ^ { } $ #") == (r"\textbackslash{} \textasciitilde{} \textasciicircum{} \{ \} \$ \#")


def test_long_tables_are_shortened_on_the_page_alone():
    d = 15
    X = np.random.default_rng(0).normal(size=(300, d))
    table = Gaussian().fit(X).summary()
    count = d * (d + 1) // 2 + d
    text = str(table)
    shown = [line for line in text.splitlines() if line.startswith(("precision[", "linear["))]
    assert len(shown) == MAX_ROWS
    assert shown[0].startswith("precision[0,0] ")
    assert shown[-1].startswith(f"linear[{d - 1}] ")
    assert f"{count - MAX_ROWS} more parameters: all of them are in to_frame()" in text
    assert f"{count - MAX_ROWS} more parameters" in table._repr_html_()
    assert len(table.to_frame()) == count
    assert table.to_latex().count("precision[") == count - d


def test_frame():
    table = Gaussian().fit(normal()).summary(of="mean")
    frame = table.to_frame()
    assert list(frame.index) == table.names
    assert list(frame.columns) == ["estimate", "standard_error", "z", "p_value", "lower", "upper"]
    np.testing.assert_array_equal(frame["p_value"], table.p_values)
    np.testing.assert_array_equal(frame[["lower", "upper"]], table.intervals)


def test_frame_without_pandas(monkeypatch):
    table = Gaussian().fit(normal()).summary()
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match="to_frame\\(\\) needs pandas: pip install pandas"):
        table.to_frame()
    assert "precision[0,0]" in str(table)


def test_points_stand_below_each_other():
    X = normal() * [1.0, 300.0]
    lines = str(Gaussian().fit(X).summary(of="mean")).splitlines()
    rows = [line for line in lines if line.startswith("mean")]
    points = {row.index(".") for row in rows}
    assert len(points) == 1


@pytest.mark.parametrize(
    ("value", "decimals", "text"),
    [
        (1.23456, 2, "1.23"),
        (-0.0001, 2, "0.00"),
        (np.nan, 3, "–"),
        (np.inf, 3, "∞"),
        (-np.inf, 3, "−∞"),
        (1.5e-9, 11, "1.5000e-09"),
        (123456789.0, 4, "1.2346e+08"),
    ],
)
def test_number(value, decimals, text):
    assert number(value, decimals) == text


def test_decimals():
    assert [decimals_for(size, 3) for size in (0.0321, 0.999, 1.0, 45.0, 1e5)] == [4, 3, 2, 1, 0]
    assert decimals_for(np.nan, 3) == decimals_for(0.0, 3) == 2


def test_p_values_as_text():
    assert [p_text(p) for p in (0.0, 9e-4, 1e-3, 0.5, np.nan)] == ["<0.001", "<0.001", "0.001", "0.500", "–"]


def test_columns_are_aligned():
    assert aligned(["x", "1.5", "-10.25", "–"]) == ["     x", "  1.5 ", "-10.25", "  –   "]
    sizes = aligned(["x", "1.0000e-12", "123456.7", "0.00000012"])
    assert len({len(text) for text in sizes}) == 1


def test_parameters_are_named_by_columns():
    X = pd.DataFrame(np.random.default_rng(0).normal(size=(200, 2)), columns=["length", "width"])
    names = Gaussian().fit(X).summary().names
    assert names[1:4] == ["precision[length,width]", "precision[width,width]", "linear[length]"]
    mixture = GaussianMixture.from_params(
        n_components=2, weights=[0.5, 0.5], means=np.zeros((2, 2)), covariances=[np.eye(2)] * 2
    )._names_of_theta(["length", "width"])
    assert "means[1,width]" in mixture
    assert "cholesky[0,width,length]" in mixture
    # As many components as columns: a vector may be of either.
    model = ICA(fit_coefficients=True, random_state=0).fit(X)
    assert "coefficients[1]" in model._names_of_theta(["length", "width"])


def test_long_names_stay_apart():
    X = np.random.default_rng(0).normal(size=(200, 2))
    columns = ["a column with a name of some length", "another column with a name of that length"]
    model = Gaussian().fit(X)
    model.feature_names_in_ = np.array(columns, dtype=object)
    lines = str(model.summary()).splitlines()
    assert max(map(len, lines)) <= 100
    assert any("precision[a column" in line and ",another" in line for line in lines)
