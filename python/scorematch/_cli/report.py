"""The report of a fit: one page of HTML with tables, diagnostics and pictures, that needs nothing beside it."""

from __future__ import annotations

import base64
import io
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

import scorematch
from scorematch._cli.options import COMMON, constructor, kebab

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from scorematch._base import ScoreMatchingEstimator
    from scorematch._summary import Summary

Floats = NDArray[np.floating]
Doubles = NDArray[np.float64]

LEVEL = 0.95
# Draws of the model that its data, or its likelihood, are compared with.
DRAWS = 2000
# More rows than these are represented by some of them, picked at random.
KERNEL_ROWS, CURVE_ROWS, INFLUENCE_ROWS = 2000, 20_000, 20_000
# Beyond so many entries a parameter has no table and no picture of its own.
MOST_ENTRIES = 400
MOST_CURVES = 3
# Longer tables are folded.
OPEN_ROWS = 20

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #222; max-width: 62rem; margin: 2rem auto; padding: 0 1.5rem }
h1 { font-size: 1.7rem; margin-bottom: 0.2rem }
h3 { font-size: 1rem; margin-bottom: 0 }
h2 { font-size: 1.25rem; margin-top: 2.4rem; border-bottom: 1px solid #ddd; padding-bottom: 0.2rem }
table { border-collapse: collapse; margin: 0.8rem 0; font-size: 0.92rem }
th, td { padding: 0.15rem 0.7rem; vertical-align: top }
thead th { border-bottom: 1px solid #999 }
tbody tr:hover { background: #f3f7fa }
th { font-weight: 600 }
table.pairs th { text-align: left; white-space: nowrap }
figure { margin: 1rem 0 }
img { max-width: 100%; height: auto }
pre { background: #f6f6f6; padding: 0.7rem 1rem; overflow-x: auto }
.note { color: #555 }
.warning { border-left: 4px solid #d55e00; background: #fdf3ec; padding: 0.4rem 0.9rem }
.wide { overflow-x: auto }
"""


@dataclass
class Fit:
    """A fitted model with its data, and what the command line knows of them."""

    model: ScoreMatchingEstimator
    X: Floats
    sample_weight: Doubles | None
    columns: Sequence[str]
    source: str
    facts: dict[str, str]
    warned: Sequence[str]
    seed: int | None

    @cached_property
    def named_model(self) -> ScoreMatchingEstimator:
        """The model as if it had been fitted to a frame: tables of its own data have the names of columns then."""
        with suppress(ValueError):  # an error is for whoever asks for standard errors
            self.model._sandwich()  # which takes longest, and is kept for both of them
        named = object.__new__(type(self.model))
        named.__dict__.update(self.model.__dict__)
        named.feature_names_in_ = np.array(self.columns, dtype=object)
        return named

    def summary(self, of: str | None) -> Summary:
        """With the names of columns, and entries of symmetric matrices once."""
        from scorematch.plotting._intervals import distinct_rows

        found: Summary = self.named_model.summary(level=LEVEL, of=of)
        rows = distinct_rows(found)
        return replace(
            found,
            names=[found.names[row] for row in rows],
            estimates=found.estimates[rows],
            standard_errors=found.standard_errors[rows],
            intervals=found.intervals[rows],
            reasons={place: found.reasons[row] for place, row in enumerate(rows.tolist()) if row in found.reasons},
        )

    def some_rows(self, most: int) -> tuple[Floats, Doubles | None, str]:
        """No more than so many rows, their weights, and a sentence where they are not all."""
        n = len(self.X)
        if n <= most:
            return self.X, self.sample_weight, ""
        rows = np.sort(np.random.default_rng(self.seed).choice(n, most, replace=False))
        weight = None if self.sample_weight is None else self.sample_weight[rows]
        return self.X[rows], weight, note(f"On {most} of the {n} rows, picked at random.")


def page(fit: Fit) -> str:
    """The whole report."""
    name = kebab(type(fit.model).__name__)
    title = f"{name} fitted to {fit.source}"
    sections = [
        ("Fit", overview),
        ("Data and model", picture),
        ("Parameters", parameters),
        ("Objective", objective),
        ("Stein check", stein),
        ("Kernel Stein test", kernel_stein),
        ("Boundary", boundary),
        ("Efficiency against maximum likelihood", efficiency),
        ("Influence of single rows", influence),
        ("Interaction graph", graph),
    ]
    body = "\n".join(section(heading, make, fit) for heading, make in sections)
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8" />\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1" />\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        f"<h1>{escape(title)}</h1>\n"
        f'<p class="note">Score matching by scorematch {escape(scorematch.__version__)}</p>\n'
        f"{body}\n</body>\n</html>\n"
    )


def section(heading: str, make: Callable[[Fit], str], fit: Fit) -> str:
    """A part of the page; empty where it has nothing to say of this model, a sentence where it cannot be made."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        try:
            body = make(fit)
        except (ValueError, ImportError, MemoryError) as error:  # what the library says; anything else is a fault
            body = note(f"Not available: {error}")
    said = dict.fromkeys(" ".join(str(one.message).split()) for one in caught if issubclass(one.category, UserWarning))
    if not body:
        return ""
    return "\n".join([f"<section>\n<h2>{escape(heading)}</h2>", *map(warning, said), body, "</section>"])


# -- sections ------------------------------------------------------------------------------------------------------


def overview(fit: Fit) -> str:
    defaults = constructor(type(fit.model))
    options = [
        f"{name}={value!r}"
        for name, value in fit.model.get_params(deep=False).items()
        if name not in COMMON and repr(value) != repr(defaults[name].default)
    ]
    facts = {**fit.facts, "options": ", ".join(options) or "all defaults", "seed": str(fit.seed)}
    return "\n".join([pairs(facts), *map(warning, fit.warned)])


def picture(fit: Fit) -> str:
    from scorematch.plotting import FitDisplay

    return drawn(
        lambda figure: FitDisplay.from_estimator(
            fit.model, fit.X, feature_names=fit.columns, sample_weight=fit.sample_weight, random_state=fit.seed,
            figure=figure,
        ),
        "The data, the fitted density and its score function.",
        many=True,
    )  # fmt: skip


def parameters(fit: Fit) -> str:
    """The parameters that people speak of, then the working ones: tables and pictures."""
    parts: list[str] = []
    head = True  # what holds for all is said once
    estimated = fit.model._parameter_names()
    for of in [*(name for name in fit.model.params_ if name in estimated), None]:
        name = of or "working parameters"
        size = len(fit.model.theta_) if of is None else np.size(fit.model.params_[of])
        if size > MOST_ENTRIES:
            body = note(f"No table: it would have {size} rows. They are in --output and --json.")
        else:
            try:
                body = estimates(fit.summary(of), name, head=head, fold=of is not None)
                head = False
            except ValueError as error:
                body = note(f"Not available: {error}")
        parts.append(
            f"<h3>{escape(name)}</h3>\n{body}"
            if of
            else f"<details><summary>Working parameters</summary>\n{body}</details>"
        )
    return "\n".join(parts)


def estimates(summary: Summary, name: str, *, head: bool, fold: bool) -> str:
    """The table and the picture of one of the parameters."""
    from scorematch.plotting import IntervalsDisplay

    # What is true of the whole fit stands above the first table alone.
    head_and_notes = (summary.head, summary.notes) if head else ({}, [])
    table = shown(replace(summary, title="", head=head_and_notes[0], notes=head_and_notes[1]))
    if fold and len(summary.names) > OPEN_ROWS:
        table = f"<details><summary>Table</summary>{table}</details>"
    return table + drawn(
        lambda figure: IntervalsDisplay.from_summary(summary, title=name, figure=figure),
        f"Estimates of {name} with intervals.",
    )


def objective(fit: Fit) -> str:
    from scorematch.plotting import ObjectiveDisplay

    X, weight, which = fit.some_rows(CURVE_ROWS)
    # The first parameter of each kind.
    kinds: dict[str, int] = {}
    for position, name in enumerate(fit.model.theta_names_):
        kinds.setdefault(name.partition("[")[0], position)
    chosen = list(kinds.values())[:MOST_CURVES]

    def draw(figure: Figure) -> None:
        figure.set_size_inches(6.4, 4.6 * len(chosen))
        figure.set_layout_engine("constrained")
        for ax, position in zip(np.atleast_1d(figure.subplots(len(chosen), 1)), chosen, strict=True):
            ObjectiveDisplay.from_estimator(fit.model, X, parameter=position, sample_weight=weight, n_points=61, ax=ax)

    return which + drawn(draw, "The two terms of the objective along single parameters, and their sum.")


def stein(fit: Fit) -> str:
    from scorematch.diagnostics import stein_check
    from scorematch.plotting import SteinDisplay

    result = stein_check(fit.named_model)
    image = drawn(
        lambda figure: SteinDisplay.from_result(result, figure=figure),
        "Means of the check with two standard errors to either side.",
    )
    table = f"<details><summary>Table of the check</summary>{shown(result)}</details>"
    return "\n".join(["" if result.fits else warning(result.verdict), image, table])


def kernel_stein(fit: Fit) -> str:
    from scorematch.diagnostics import kernel_stein_test

    X, weight, which = fit.some_rows(KERNEL_ROWS)
    if weight is not None:
        which += note("The weights of the rows are not taken into account.")
    which += note(
        "The model was fitted to these rows, which the test does not know: its p value is too large, if anything."
    )
    return which + shown(kernel_stein_test(fit.model, X, random_state=fit.seed))


def boundary(fit: Fit) -> str:
    if not fit.model._has_boundary:
        return ""
    from scorematch.diagnostics import boundary_mass

    return shown(boundary_mass(fit.named_model, n_draws=DRAWS, random_state=fit.seed))


def efficiency(fit: Fit) -> str:
    from scorematch.diagnostics import relative_efficiency

    if len(fit.model.theta_) > MOST_ENTRIES:
        return note(f"Not worked out for more than {MOST_ENTRIES} parameters.")
    result = relative_efficiency(fit.model, n_samples=DRAWS, random_state=fit.seed)
    table = f"<details><summary>Table of the efficiencies</summary>{shown(result)}</details>"
    return f"<p>{escape(result.verdict)}</p>\n{table}"


def influence(fit: Fit) -> str:
    from scorematch.plotting import InfluenceDisplay

    X, _, which = fit.some_rows(INFLUENCE_ROWS)
    n_labels = 0 if which else 5  # numbers of some rows would be misread for those of all
    return which + drawn(
        lambda figure: InfluenceDisplay.from_estimator(fit.model, X, n_labels=n_labels, figure=figure),
        "How far single rows move the estimate; they count from 0.",
        many=len(X) > 500,
    )


def graph(fit: Fit) -> str:
    if not hasattr(fit.model, "interaction_"):
        return ""
    from scorematch.plotting import GraphDisplay

    names: list[str] = list(fit.columns)
    if len(fit.model.interaction_) > len(names):
        names.append("the last part")  # of a composition, which is no column
    return drawn(
        lambda figure: GraphDisplay.from_estimator(fit.model, feature_names=names, figure=figure),
        "Columns that interact.",
    )


# -- HTML ----------------------------------------------------------------------------------------------------------


def pairs(rows: dict[str, str]) -> str:
    cells = (f"<tr><th>{escape(name)}</th><td>{escape(text)}</td></tr>" for name, text in rows.items())
    return "\n".join(['<table class="pairs"><tbody>', *cells, "</tbody></table>"])


def note(text: str) -> str:
    return f'<p class="note">{escape(text)}</p>'


def warning(text: str) -> str:
    return f'<p class="warning">{escape(text)}</p>'


def shown(result: Any) -> str:
    """A result as it shows itself."""
    if hasattr(result, "_repr_html_"):
        return f'<div class="wide">{result._repr_html_()}</div>'
    text = str(result)
    return f"<pre>{escape(text)}</pre>" if "\n" in text else f"<p>{escape(text)}</p>"


def drawn(draw: Callable[[Figure], Any], text: str, *, many: bool = False) -> str:
    """A picture inside the page: drawn as lines, or as points where there are many of them."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure  # not pyplot: no window, whatever the backend

    file = io.BytesIO()
    # The same picture is the same file: no date, and no names drawn at random.
    with rc_context({"svg.hashsalt": "scorematch"}):
        figure = Figure()
        draw(figure)
        kind, options = ("png", {"dpi": 130}) if many else ("svg", {"metadata": {"Date": None}})
        figure.savefig(file, format=kind, bbox_inches="tight", **options)
    mime = "image/png" if many else "image/svg+xml"
    data = base64.b64encode(file.getvalue()).decode("ascii")
    return (
        f'<figure><img alt="{escape(text)}" src="data:{mime};base64,{data}" />\n'
        f'<figcaption class="note">{escape(text)}</figcaption></figure>'
    )
