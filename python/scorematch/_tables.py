"""Tables of results as text, HTML and LaTeX: what they have in common, whatever they show."""

from __future__ import annotations

import math
import re
import textwrap
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]

WIDTH = 100
# Numbers that take more characters are written with an exponent.
LONGEST_NUMBER = 11
SMALLEST_P = 1e-3
# A longer table shows as many rows in text and HTML, most of them from its beginning.
MAX_ROWS, LAST_ROWS = 60, 10
GAP = "  "
ELLIPSIS = "…"
NOTHING = "–"


@dataclass(frozen=True)
class Layout:
    """What a table shows: texts, in the order in which they stand on the page.

    `marks` are footnotes of rows, by the row's number; rows with the same one share its number.
    """

    title: str
    head: Mapping[str, str]
    headings: Sequence[str]
    labels: Sequence[str]
    cells: Sequence[Sequence[str]]  # a sequence for each column
    marks: Mapping[int, str]
    notes: Sequence[str]
    rows: str = "rows"  # what the rows are called

    def text(self) -> str:
        """As text of a fixed width."""
        shown, n_hidden = shown_rows(len(self.labels))
        marks, footnotes = self._footnotes(shown)
        columns = [
            aligned([heading, *(cells[row] for row in shown)])
            for heading, cells in zip(self.headings, self.cells, strict=True)
        ]
        room = WIDTH - sum(len(GAP) + len(column[0]) for column in columns)
        labels = [_cut(self.labels[row], room - len(mark)) + mark for row, mark in zip(shown, marks, strict=True)]
        label_width = max(map(len, labels), default=0)
        body = [
            GAP.join([f"{label:<{label_width}}", *(column[number] for column in columns)]).rstrip()
            for number, label in enumerate(["", *labels])
        ]
        head = self._head()
        width = max(map(len, [self.title, *head, *body]))
        if n_hidden:
            body.insert(len(body) - LAST_ROWS, self._hidden(n_hidden))
        below = [line for note in [*footnotes, *self.notes] for line in textwrap.wrap(note, max(width, 60))]
        return "\n".join(
            [
                self.title.center(width).rstrip(),
                "═" * width,
                *head,
                *(["─" * width] if head else []),
                body[0],
                "─" * width,
                *body[1:],
                "═" * width,
                *below,
            ]
        )

    def html(self) -> str:
        """As HTML, with all texts escaped."""
        shown, n_hidden = shown_rows(len(self.labels))
        marks, footnotes = self._footnotes(shown)
        parts = ["<div>", f"<strong>{escape(self.title)}</strong>"]
        if self.head:
            pairs = (f"<tr><th>{escape(name)}</th><td>{escape(text)}</td></tr>" for name, text in self.head.items())
            parts += ['<table style="text-align: left">', *pairs, "</table>"]
        parts += ['<table style="text-align: right; font-variant-numeric: tabular-nums">']
        parts += ["<thead><tr><th></th>", *(f"<th>{escape(heading)}</th>" for heading in self.headings)]
        parts += ["</tr></thead>", "<tbody>"]
        for position, (row, mark) in enumerate(zip(shown, marks, strict=True)):
            if n_hidden and position == len(shown) - LAST_ROWS:
                parts.append(f'<tr><td colspan="{1 + len(self.headings)}">{escape(self._hidden(n_hidden))}</td></tr>')
            numbers = "".join(f"<td>{escape(cells[row])}</td>" for cells in self.cells)
            sup = f"<sup>{escape(mark.strip())}</sup>" if mark else ""
            parts.append(f'<tr><th style="text-align: left">{escape(self.labels[row])}{sup}</th>{numbers}</tr>')
        parts += ["</tbody>", "</table>"]
        parts += [f"<p>{escape(note)}</p>" for note in [*footnotes, *self.notes]]
        return "\n".join([*parts, "</div>"])

    def latex(self) -> str:
        """As a tabular with the rules of the package booktabs, all rows of it."""
        every = range(len(self.labels))
        marks, footnotes = self._footnotes(every)
        lines = [
            f"% {' '.join(self.title.split())}",
            rf"\begin{{tabular}}{{l{'r' * len(self.headings)}}}",
            r"\toprule",
            _latex_row(["", *map(latex_escape, self.headings)]),
            r"\midrule",
        ]
        for row, mark in zip(every, marks, strict=True):
            sup = rf"\textsuperscript{{{latex_escape(mark.strip())}}}" if mark else ""
            numbers = [_latex_number(cells[row]) for cells in self.cells]
            lines.append(_latex_row([latex_escape(self.labels[row]) + sup, *numbers]))
        lines.append(r"\bottomrule")
        below = [rf"\multicolumn{{{1 + len(self.headings)}}}{{l}}{{{latex_escape(note)}}}\\" for note in footnotes]
        return "\n".join([*lines, *below, r"\end{tabular}"]) + "\n"

    def _footnotes(self, shown: Sequence[int]) -> tuple[list[str], list[str]]:
        """The mark of each row, and the notes that they stand for."""
        numbers: dict[str, int] = {}
        marks = []
        for row in shown:
            reason = self.marks.get(row)
            marks.append("" if reason is None else f" [{numbers.setdefault(reason, len(numbers) + 1)}]")
        return marks, [f"[{number}] {reason}" for reason, number in numbers.items()]

    def _hidden(self, count: int) -> str:
        return f"{ELLIPSIS} {count} more {self.rows}: all of them are in to_frame()"

    def _head(self) -> list[str]:
        """Names and values, two pairs to a line where both are short."""
        if not self.head:
            return []
        width = max(map(len, self.head))
        lines: list[list[str]] = []
        room = 0  # for a second pair on the last line
        for name, text in self.head.items():
            pair = f"{name:<{width}}{GAP}{text}"
            if len(pair) <= room:
                lines[-1].append(pair)
                room = 0
            else:
                lines.append([pair])
                room = WIDTH // 2 - 2 if len(pair) <= WIDTH // 2 - 2 else 0
        left = max((len(line[0]) for line in lines if len(line) == 2), default=0)
        return [_cut((2 * GAP).join([f"{line[0]:<{left}}", *line[1:]]).rstrip(), WIDTH) for line in lines]


class ShownAsTable(ABC):
    """Base of results that print as a table."""

    @abstractmethod
    def _layout(self) -> Layout:
        """What it shows."""

    @abstractmethod
    def _columns(self) -> dict[str, Any]:
        """Heading to numbers, in full, for a data frame."""

    @property
    @abstractmethod
    def _row_names(self) -> Sequence[str]:
        """The index of the data frame."""

    def __str__(self) -> str:
        return self._layout().text()

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return self._layout().html()

    def to_latex(self) -> str:
        r"""The table as LaTeX, all rows of it.

        Returns
        -------
        str
            A ``tabular`` with the rules of the package booktabs (``\usepackage{booktabs}``).
        """
        return self._layout().latex()

    def to_frame(self) -> Any:
        """The table as a data frame, all rows of it and all digits.

        Returns
        -------
        pandas.DataFrame
            A row for each name, which is the index.

        Raises
        ------
        ImportError
            Where pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError as error:
            raise ImportError("to_frame() needs pandas: pip install pandas") from error
        return pd.DataFrame(self._columns(), index=pd.Index(list(self._row_names), name="name"))


def shown_rows(n_rows: int) -> tuple[list[int], int]:
    """Which rows a page shows, and how many it leaves out."""
    if n_rows <= MAX_ROWS:
        return list(range(n_rows)), 0
    first = list(range(MAX_ROWS - LAST_ROWS))
    return first + list(range(n_rows - LAST_ROWS, n_rows)), n_rows - MAX_ROWS


def decimals_for(size: float, digits: int) -> int:
    """How many decimals give a number of this size so many significant digits; 0 where they need none."""
    if not math.isfinite(size) or size == 0:
        return digits - 1
    return max(0, digits - 1 - math.floor(math.log10(abs(size))))


def number(value: float, decimals: int) -> str:
    """With so many decimals; with an exponent where that would be long; a dash for NaN."""
    if math.isnan(value):
        return NOTHING
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    plain = f"{value + 0.0:.{decimals}f}"
    if float(plain) == 0:
        plain = f"{0:.{decimals}f}"
    if len(plain) <= LONGEST_NUMBER:
        return plain
    return f"{value:.4e}"


def short_repr(thing: object) -> str:
    """An object as it prints, with no more digits of its numbers than tell anything."""
    return re.sub(r"\d+\.\d{6,}(?:e[+-]?\d+)?", lambda match: f"{float(match[0]):.5g}", repr(thing))


def p_text(value: float) -> str:
    """A p value."""
    if math.isnan(value):
        return NOTHING
    return f"<{SMALLEST_P:g}" if value < SMALLEST_P else f"{value:.3f}"


def aligned(texts: Sequence[str]) -> list[str]:
    """A heading and what stands below it, all of one width, with the decimal points of numbers below each other."""
    heading, *cells = texts
    tails = [len(cell) - _point(cell) for cell in cells]
    deepest = max(tails, default=0)
    padded = [cell + " " * (deepest - tail) for cell, tail in zip(cells, tails, strict=True)]
    if max(map(len, map(str.lstrip, padded)), default=0) > LONGEST_NUMBER + 2:
        padded = cells  # numbers of very different sizes: their points cannot be below each other
    width = max(map(len, [heading, *padded]))
    return [text.rjust(width) for text in (heading, *padded)]


def _point(text: str) -> int:
    """Where the decimal point stands, or would."""
    position = text.find(".")
    return len(text) if position < 0 else position


def _cut(text: str, width: int) -> str:
    """A text that is no wider; of name[row,column] both are kept apart."""
    if len(text) <= width:
        return text
    name, bracket, inside = text.removesuffix("]").partition("[")
    parts = inside.split(",")
    room = width - len(name) - 1 - len(parts)
    if not bracket or not text.endswith("]") or room < 4 * len(parts):
        return text[: max(0, width - 1)] + ELLIPSIS
    widest = max(map(len, parts))
    while sum(min(len(part), widest) for part in parts) > room:
        widest -= 1
    return f"{name}[{','.join(_cut(part, widest) for part in parts)}]"


_LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "−": "$-$",
    "∞": r"$\infty$",
    NOTHING: "--",
    ELLIPSIS: r"\ldots{}",
}


def latex_escape(text: str) -> str:
    """A text that LaTeX prints as it is."""
    return "".join(_LATEX.get(letter, letter) for letter in text)


def _latex_number(text: str) -> str:
    """A number with a minus in place of a hyphen."""
    return f"${text}$" if text[:1] in ("-", "<") else latex_escape(text)


def _latex_row(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"
