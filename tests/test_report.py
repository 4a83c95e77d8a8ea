"""The report of a fit: one page of HTML that holds what it should, and needs nothing beside it."""

from __future__ import annotations

import base64
import io
import re
import warnings
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
import scorematch
from scorematch.__main__ import main

matplotlib = pytest.importorskip("matplotlib")

from scorematch._cli import report  # noqa: E402

SVG = "{http://www.w3.org/2000/svg}svg"


class Page:
    """A report, read as XML, which is stricter than HTML: every tag closed, every text escaped."""

    def __init__(self, html: str) -> None:
        doctype, _, rest = html.partition("\n")
        assert doctype == "<!DOCTYPE html>"
        self.html = html
        self.root = ElementTree.fromstring(rest)

    @property
    def headings(self) -> list[str]:
        return ["".join(heading.itertext()) for heading in self.root.iter("h2")]

    def section(self, heading: str) -> ElementTree.Element:
        (found,) = [section for section in self.root.iter("section") if section.findtext("h2") == heading]
        return found

    def text(self, heading: str) -> str:
        return " ".join(" ".join(self.section(heading).itertext()).split())

    def images(self, heading: str) -> list[bytes]:
        sources = [image.attrib["src"] for image in self.section(heading).iter("img")]
        assert all(source.startswith(("data:image/png;base64,", "data:image/svg+xml;base64,")) for source in sources)
        return [base64.b64decode(source.partition(",")[2], validate=True) for source in sources]

    def check(self) -> None:
        """Nothing from elsewhere, no name twice, and pictures that can be read."""
        tags = {element.tag for element in self.root.iter()}
        assert not tags & {"script", "link", "iframe", "object"}
        outside = [re.sub(r'src="data:[^"]*"', "", self.html), *re.findall(r"url\(([^)]*)\)", self.html)]
        assert not any("://" in text for text in outside)
        names = [element.attrib["id"] for element in self.root.iter() if "id" in element.attrib]
        assert len(names) == len(set(names))
        images = [image for heading in self.headings for image in self.images(heading)]
        assert images
        for image in images:
            if image.startswith(b"\x89PNG"):
                assert matplotlib.image.imread(io.BytesIO(image)).std() > 0
            else:
                assert ElementTree.fromstring(image).tag == SVG
        for image in self.root.iter("img"):
            assert image.attrib["alt"]


@pytest.fixture
def run(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> Page:
        assert main(["fit", *arguments, "--report", "report.html"]) == 0, capsys.readouterr().err
        return Page((tmp_path / "report.html").read_text(encoding="utf-8"))

    return run


def write(name: str, columns: list[str], X: np.ndarray) -> str:
    np.savetxt(name, X, delimiter=",", header=",".join(columns), comments="")
    return name


def rng():
    return np.random.default_rng(0)


def test_report_of_the_iris(run):
    page = run("--dataset", "iris", "--columns", "sepal length (cm),petal width (cm)", "--model", "gaussian")
    page.check()
    assert page.headings == [
        "Fit", "Data and model", "Parameters", "Objective", "Stein check", "Kernel Stein test",
        "Efficiency against maximum likelihood", "Influence of single rows",
    ]  # fmt: skip
    assert page.root.findtext("head/title") == "gaussian fitted to iris"
    assert "150 rows × 2 columns of iris" in page.text("Fit")

    from sklearn.datasets import load_iris

    X = load_iris().data[:, [0, 3]]
    model = scorematch.Gaussian().fit(X)
    table = model.summary(of="mean")
    cells = [
        ["".join(cell.itertext()) for cell in row] for row in page.section("Parameters").iter("tr") if len(row) == 7
    ]
    rows = {row[0]: row[1:] for row in cells}
    for j, name in enumerate(["sepal length (cm)", "petal width (cm)"]):
        shown = [float(number) for number in rows[f"mean[{name}]"][:2]]
        np.testing.assert_allclose(shown, [model.mean_[j], table.standard_errors[j]], rtol=5e-3)
    # Entries of a symmetric matrix stand there once.
    assert sum(name.startswith("covariance[") for name in rows) == 3
    assert "precision[sepal length (cm),sepal length (cm)]" in rows
    assert len(page.images("Parameters")) == 3

    check = scorematch.stein_check(model, X)
    assert f"{check.means[0]:.4g}" in page.text("Stein check")
    assert "sepal length (cm)" in page.text("Stein check")
    test = scorematch.kernel_stein_test(model, X, random_state=0)
    assert f"p = {test.p_value:.3g}" in page.text("Kernel Stein test")
    # For a Gaussian on all of space the two methods are one.
    assert re.search(r"overall +1\b", page.text("Efficiency against maximum likelihood"))


def test_report_on_the_orthant_with_weights_and_odd_names(run):
    X = rng().gamma(2.0, size=(120, 3))
    data = write("data.csv", ['"<b>width & ""height"""', "naïve", "w"], X)
    page = run(data, "--model", "gamma-interaction", "--weights-column", "w", "--alpha", "0.01")
    page.check()
    assert f"Share of {len(X)} rows within" in page.text("Boundary")
    assert "naïve" in page.text("Boundary")
    assert "Interaction graph" in page.headings
    assert '<b>width & "height"' in page.text("Stein check")
    assert "alpha=0.01" in page.text("Fit")
    assert "weights of the rows are not taken into account" in page.text("Kernel Stein test")
    assert "weighted by 'w'" in page.text("Fit")
    assert len(page.images("Objective")) == 1


def test_report_on_the_sphere(run):
    X = rng().normal([0.0, 0.0, 1.5], size=(80, 3))
    data = write("data.csv", ["x", "y", "z"], X / np.linalg.norm(X, axis=1, keepdims=True))
    page = run(data, "--model", "von-mises-fisher")
    page.check()
    assert "Boundary" not in page.headings
    assert "mean_direction[z]" in page.text("Parameters")
    assert "concentration" in page.text("Parameters")
    assert not any("Not available" in page.text(heading) for heading in page.headings)


def fit_of(X: np.ndarray, sample_weight: np.ndarray | None = None) -> report.Fit:
    model = scorematch.Gaussian().fit(X, sample_weight=sample_weight)
    return report.Fit(
        model=model, X=X, sample_weight=sample_weight, columns=["a"], source="data.csv", facts={"data": "some"},
        warned=["<careful>"], seed=0,
    )  # fmt: skip


def test_many_rows_are_represented_by_some(monkeypatch):
    monkeypatch.setattr(report, "KERNEL_ROWS", 100)
    monkeypatch.setattr(report, "CURVE_ROWS", 50)
    monkeypatch.setattr(report, "INFLUENCE_ROWS", 150)
    page = Page(report.page(fit_of(rng().normal(size=(200, 1)))))
    page.check()
    assert "On 100 of the 200 rows, picked at random." in page.text("Kernel Stein test")
    assert "100 rows" in page.text("Kernel Stein test")
    assert "On 50 of the 200 rows" in page.text("Objective")
    assert "On 150 of the 200 rows" in page.text("Influence of single rows")
    assert "<careful>" in page.text("Fit")


def test_a_part_that_cannot_be_made_is_a_sentence():
    fit = fit_of(rng().normal(size=(20, 1)))

    def fails(fit):
        raise ValueError("X <must> be larger")

    section = ElementTree.fromstring(report.section("Heading", fails, fit))
    assert section.findtext("p") == "Not available: X <must> be larger"

    def warns(fit):
        warnings.warn("not so sure & so", UserWarning, stacklevel=2)
        return "<p>body</p>"

    section = ElementTree.fromstring(report.section("Heading", warns, fit))
    assert [paragraph.text for paragraph in section.iter("p")] == ["not so sure & so", "body"]
    assert report.section("Heading", lambda fit: "", fit) == ""


def test_reports_that_cannot_be_written(monkeypatch, tmp_path, capsys):
    import sys

    monkeypatch.chdir(tmp_path)
    arguments = ["fit", "--dataset", "iris", "--model", "gaussian", "--report"]
    assert main([*arguments, "report.pdf"]) == 2
    assert "the name must end in one of .html, .htm" in capsys.readouterr().err
    assert main([*arguments, "nowhere/report.html"]) == 2
    assert "there is no folder nowhere" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert main([*arguments, "report.html"]) == 2
    assert '--report needs matplotlib: pip install "scorematch[plot]"' in capsys.readouterr().err
