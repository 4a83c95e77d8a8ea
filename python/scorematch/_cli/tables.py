"""Tables for people: aligned, no wider than the terminal, long ones abbreviated."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[Any]

# A table of more rows than the first shows as many as the second.
MAX_ROWS, SHOWN_ROWS = 20, 15
MAX_MATRICES = 6
MAX_LABEL = 28
# Headings are cut to the first of these lengths at which all columns fit.
HEADING_LENGTHS = (28, 20, 14, 10)
ELLIPSIS = "…"
NOTHING = "–"
ERRORS = "std. error"


def pairs(rows: Mapping[str, str], indent: str = "  ") -> list[str]:
    """A heading and a text a line."""
    width = max(map(len, rows))
    return [f"{indent}{heading:<{width}}  {text}" for heading, text in rows.items()]


def parameters(
    params: Mapping[str, Numbers],
    axes: Mapping[str, tuple[str, ...]],
    names: Mapping[str, Sequence[str]],
    width: int,
    errors: Mapping[str, Numbers] | None = None,
) -> list[str]:
    """The fitted parameters; `axes` says what the axes of each mean, `names` what stands along those with names.

    Standard errors, of those parameters that `errors` has, stand beside numbers and vectors; those of matrices would
    take as much room again, and do not.
    """
    errors = errors or {}
    lines: list[str] = []
    vectors: dict[str, list[tuple[str, Numbers]]] = {}
    for name, value in params.items():
        if value.ndim == 0:
            error = f"  ({ERRORS} {number_texts(errors[name].reshape(1))[0]})" if name in errors else ""
            lines += ["", f"{name}  {number_texts(value.reshape(1))[0]}{error}"]
        elif value.ndim == 1:  # vectors along the same axis share a table
            vectors.setdefault(axes[name][0], []).append((name, value))
            if name in errors:
                vectors[axes[name][0]].append((ERRORS, errors[name]))
    for axis, group in vectors.items():
        rows = _labels(axis, len(group[0][1]), names)
        title = _singular(axis) if axis else ""
        headings, columns = zip(*group, strict=True)
        lines += ["", *matrix(title, rows, headings, np.column_stack(columns), width)]
    for name, value in params.items():
        if value.ndim < 2:
            continue
        *leading, row_axis, column_axis = axes[name]
        matrices = value.reshape(-1, *value.shape[-2:])
        # Features go down the page: their names are long, and there is room for many.
        if column_axis == "n_features" and row_axis != "n_features":
            row_axis, column_axis, matrices = column_axis, row_axis, np.swapaxes(matrices, 1, 2)
        for number, one in enumerate(matrices[:MAX_MATRICES]):
            title = f"{name}, {_singular(leading[0])} {number}" if leading else name
            rows = _labels(row_axis, one.shape[0], names)
            lines += ["", *matrix(title, rows, _labels(column_axis, one.shape[1], names), one, width)]
        if len(matrices) > MAX_MATRICES:
            lines += ["", f"{ELLIPSIS} {len(matrices) - MAX_MATRICES} more {name}"]
    return lines


def matrix(title: str, rows: Sequence[str], columns: Sequence[str], values: Numbers, width: int) -> list[str]:
    """A table of numbers under a title, with as many rows and columns as there is room for."""
    n_rows, n_columns = values.shape
    shown_rows = n_rows if n_rows <= MAX_ROWS else SHOWN_ROWS
    row_labels = [_cut(label, MAX_LABEL) for label in rows[:shown_rows]]
    title = _cut(title, width)
    first_width = max(2 + max(map(len, row_labels)), min(len(title), MAX_LABEL))
    cells = [number_texts(values[:shown_rows, position]) for position in range(n_columns)]
    for length in HEADING_LENGTHS:
        texts = _columns([_cut(column, length) for column in columns], cells, width - first_width)
        if len(texts) == n_columns:
            break
    hidden_columns = n_columns - len(texts)
    if hidden_columns:
        texts.append([ELLIPSIS] * (shown_rows + 1))
    head = "  ".join(column[0] for column in texts)
    # A title too long to share a line with the headings has its own.
    own_line = len(title) > first_width
    lines = [title] if own_line else []
    lines.append(f"{'' if own_line else title:<{first_width}}  {head}")
    for number, label in enumerate(row_labels, start=1):
        lines.append(f"  {label:<{first_width - 2}}  " + "  ".join(column[number] for column in texts))
    hidden = [
        f"{count} more {what}" for count, what in ((n_rows - shown_rows, "rows"), (hidden_columns, "columns")) if count
    ]
    if hidden:
        lines.append(f"  {ELLIPSIS} {' and '.join(hidden)}: all of them are in --output and --json")
    return [line.rstrip() for line in lines]


def _columns(headings: Sequence[str], cells: Sequence[Sequence[str]], room: int) -> list[list[str]]:
    """As many columns as fit, each a list of texts of the same width."""
    texts: list[list[str]] = []
    for position, (heading, column) in enumerate(zip(headings, cells, strict=True)):
        width = max(len(heading), *map(len, column))
        reserve = 0 if position == len(headings) - 1 else 2 + len(ELLIPSIS)
        if texts and 2 + width > room - reserve:
            break
        texts.append([text.rjust(width) for text in (heading, *column)])
        room -= 2 + width
    return texts


def number_texts(values: Numbers) -> list[str]:
    """Numbers of one column with four significant digits for the largest, their points aligned; or whole numbers.

    NaN, of which there is no number, is a dash.
    """
    if values.dtype.kind in "iu":
        return [str(value) for value in values.tolist()]
    known = values[~np.isnan(values)]
    largest = float(np.abs(known).max(initial=0.0))
    exponent = math.floor(math.log10(largest)) if 0 < largest < math.inf else 99 * (largest > 0)
    # Adding 0 turns a rounded -0 into 0.
    decimals = max(0, 3 - exponent) if largest > 0 else 0
    fixed = -4 <= exponent < 7

    def text(value: float) -> str:
        if math.isnan(value):
            return NOTHING
        return f"{round(value, decimals) + 0.0:.{decimals}f}" if fixed else f"{value:.3e}"

    return [text(value) for value in values.tolist()]


def _labels(axis: str, length: int, names: Mapping[str, Sequence[str]]) -> list[str]:
    if len(names.get(axis, ())) == length:
        return list(names[axis])
    prefix = f"{_singular(axis)} " if axis else ""
    return [f"{prefix}{number}" for number in range(length)]


def _singular(axis: str) -> str:
    """What an axis counts: "component" of "n_components"."""
    return axis.removeprefix("n_").removesuffix("s")


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + ELLIPSIS
