"""Reading tables of numbers: CSV, Parquet, .npy, and the data sets of scikit-learn.

A source knows its columns and loads those that are asked for; what is the same for all of them (columns by name, text
left out, missing values, weights) is done once, in `read_table`.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Protocol, TextIO

import numpy as np
from numpy.typing import NDArray

from scorematch._cli.messages import CommandError, did_you_mean, print_note

Floats = NDArray[np.floating]

DELIMITERS = (",", ";", "\t")
MISSING = frozenset({"", "na", "n/a", "#n/a", "<na>", "nan", "null", "none", "?"})
# Rows that are held as text at a time.
CHUNK = 10_000


@dataclass
class Table:
    """Numbers, and where they come from."""

    source: str
    values: Floats
    # None where the source has no names.
    names: list[str] | None
    # What to call each column: its name, or its number.
    labels: list[str]
    weights: NDArray[np.float64] | None
    # The positions of the rows in the source, where some were dropped.
    kept_rows: NDArray[np.intp] | None
    n_dropped: int
    left_out: list[str]


@dataclass
class Loaded:
    """Columns as they stand in a source."""

    values: Floats
    # Columns that hold no numbers: position among those asked for -> an entry; None for an empty column.
    unusable: dict[int, str | None] = field(default_factory=dict)
    # The line of the file that a row begins on, where that is known.
    lines: list[int] | None = None


class Source(Protocol):
    """A table that can load its columns."""

    names: list[str] | None
    n_columns: int

    def load(self, columns: Sequence[int]) -> Loaded:
        """The columns asked for."""
        ...


def read_table(
    path: str | None,
    dataset: str | None,
    *,
    columns: Sequence[str] | None = None,
    weights_column: str | None = None,
    header: bool | None = None,
    drop_missing: bool = False,
) -> Table:
    """The numbers that the command line asks for."""
    if (path is None) == (dataset is None):
        raise CommandError("give a file of data, or --dataset NAME" + ("; not both" if path is not None else ""))
    name = dataset if path is None else ("standard input" if path == "-" else path)
    assert name is not None
    source = _open_dataset(name) if path is None else _open_file(path, name, header)
    labels = source.names or [f"column {i}" for i in range(source.n_columns)]
    weights_at = None if weights_column is None else _find(weights_column, source, name, "--weights-column")
    chosen = _chosen(columns, source, name)
    if weights_at is not None and columns is not None and weights_at in chosen:
        raise CommandError(f"{labels[weights_at]!r} is in --columns and in --weights-column")
    chosen = [column for column in chosen if column != weights_at]

    wanted = chosen if weights_at is None else [*chosen, weights_at]
    loaded = source.load(wanted)
    explicit = set(range(len(wanted)) if columns is not None else range(len(chosen), len(wanted)))
    for position, example in loaded.unusable.items():
        if position in explicit:
            what = "is empty" if example is None else f"holds no numbers, but such as {example!r}"
            raise CommandError(f"column {labels[wanted[position]]!r} of {name} {what}")
    usable = [position for position in range(len(wanted)) if position not in loaded.unusable]
    if len(usable) == (weights_at is not None):
        raise CommandError(f"{name} has no column of numbers (fields are separated by comma, semicolon or tab)")
    left_out = [labels[wanted[position]] for position in loaded.unusable]
    if left_out:
        plural = "s" if len(left_out) > 1 else ""
        print_note(f"left out {len(left_out)} column{plural} without numbers: {', '.join(map(repr, left_out))}")
    values = loaded.values if not loaded.unusable else loaded.values[:, usable]
    columns_read = [labels[wanted[position]] for position in usable]
    n_rows = len(values)
    if n_rows == 0:
        raise CommandError(f"{name} has no rows of data")
    kept_rows = _rows_to_keep(values, loaded.lines, columns_read, name, drop_missing)
    if kept_rows is not None:
        values = values[kept_rows]
    n_dropped = n_rows - len(values)
    if n_dropped:
        print_note(f"dropped {n_dropped} of {n_rows} rows with missing values")

    weights = None
    if weights_at is not None:
        values, weights = values[:, :-1], values[:, -1].astype(np.float64)
        columns_read.pop()
    return Table(
        source=name,
        values=values,
        names=columns_read if source.names is not None else None,
        labels=columns_read,
        weights=weights,
        kept_rows=kept_rows,
        n_dropped=n_dropped,
        left_out=left_out,
    )


# -- choosing columns and rows -----------------------------------------------------------------------------------


def _chosen(columns: Sequence[str] | None, source: Source, name: str) -> list[int]:
    if columns is None:
        # pandas writes its row numbers to Parquet under such a name.
        names = source.names or [""] * source.n_columns
        return [i for i in range(source.n_columns) if not re.fullmatch(r"__index_level_\d+__", names[i])]
    # Names with commas in them can be quoted, as in the file.
    wanted = [item.strip() for row in csv.reader(columns, skipinitialspace=True) for item in row]
    chosen = [_find(item, source, name, "--columns") for item in wanted]
    if len(set(chosen)) < len(chosen):
        twice = next(item for item, count in Counter(wanted).items() if count > 1)
        raise CommandError(f"--columns names {twice!r} twice")
    return chosen


def _find(wanted: str, source: Source, name: str, flag: str) -> int:
    """The position of a column that was asked for by name, or by number where there are no names."""
    if source.names is None:
        if wanted.isdecimal() and int(wanted) < source.n_columns:
            return int(wanted)
        raise CommandError(
            f"{flag}: {name} has no column names; give a number from 0 to {source.n_columns - 1}, not {wanted!r}"
        )
    if wanted not in source.names:
        listed = ", ".join(source.names[:40]) + (", …" if len(source.names) > 40 else "")
        raise CommandError(
            f"{flag}: {name} has no column {wanted!r}{did_you_mean(wanted, source.names)} It has {listed}"
        )
    return source.names.index(wanted)


def _rows_to_keep(
    values: Floats, lines: list[int] | None, labels: Sequence[str], name: str, drop: bool
) -> NDArray[np.intp] | None:
    """Rows without NaN, None for all of them; an error that names the first value that may not be dropped."""
    bad_rows = _rows_not_finite(values)
    if not len(bad_rows):
        return None
    bad = np.asarray(values[bad_rows])
    for what, found in (("an infinite value", np.isinf(bad)), ("a missing value", np.isnan(bad))):
        rows = np.flatnonzero(found.any(axis=1))
        if not len(rows) or (drop and what == "a missing value"):
            continue
        row = int(bad_rows[rows[0]])
        column = labels[int(np.argmax(found[rows[0]]))]
        remedy = ""
        if what == "a missing value":
            remedy = f" ({len(rows)} of {len(values)} rows have one; --drop-missing leaves them out)"
        raise CommandError(f"{name} has {what} in {_place(row, lines)}, column {column!r}{remedy}")
    if len(bad_rows) == len(values):
        raise CommandError(f"every row of {name} has a missing value")
    return np.delete(np.arange(len(values)), bad_rows)


def _rows_not_finite(values: Floats) -> NDArray[np.intp]:
    """In blocks, since `values` may be a file larger than memory."""
    step = max(1, 1_000_000 // max(1, values.shape[1]))
    found = [
        start + np.flatnonzero(~np.isfinite(values[start : start + step]).all(axis=1))
        for start in range(0, len(values), step)
    ]
    return np.concatenate([np.empty(0, dtype=np.intp), *found])


def _place(row: int, lines: list[int] | None) -> str:
    return f"row {row + 1}" + (f" (line {lines[row]})" if lines is not None else "")


# -- sources -----------------------------------------------------------------------------------------------------


def _open_dataset(name: str) -> Source:
    import sklearn.datasets

    data = getattr(sklearn.datasets, f"load_{name}")()
    return _Array(np.asarray(data.data), list(data.feature_names))


def _open_file(path: str, name: str, header: bool | None) -> Source:
    if path == "-":
        return _Csv(name, sys.stdin.buffer.read(), header)
    with _reading(path), open(path, "rb") as file:
        start = file.read(6)
        if not Path(path).is_file():  # a pipe, which can be read only once
            return _Csv(name, start + file.read(), header)
    if start[:4] == b"PAR1":
        return _Parquet(path)
    if start == b"\x93NUMPY":
        return _open_npy(path)
    return _Csv(name, Path(path), header)


@contextmanager
def _reading(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise CommandError(f"cannot read {path}: {error.strerror or error}") from error


class _Array:
    """An array that is there already."""

    def __init__(self, values: NDArray[Any], names: list[str] | None) -> None:
        self.values, self.names, self.n_columns = values, names, values.shape[1]

    def load(self, columns: Sequence[int]) -> Loaded:
        values = self.values if list(columns) == list(range(self.n_columns)) else self.values[:, columns]
        kept = values.dtype.newbyteorder("=") in (np.float32, np.float64)
        return Loaded(values if kept else values.astype(np.float64))


def _open_npy(path: str) -> Source:
    try:
        # Mapped, not read: the file may be larger than memory.
        values = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise CommandError(f"cannot read {path}: {error}") from error
    names = None
    if values.dtype.names is not None:
        names = list(values.dtype.names)
        if values.ndim != 1 or any(values.dtype[name].kind not in "fiub" for name in names):
            raise CommandError(f"{path} holds records that are not plain numbers")
        values = np.column_stack([values[name].astype(np.float64) for name in names])
    if values.dtype.kind not in "fiub":
        raise CommandError(f"{path} holds {values.dtype.name}, not real numbers")
    if values.ndim == 1:
        values = values[:, None]
    if values.ndim != 2:
        raise CommandError(f"{path} must hold a table (rows, columns); its shape is {values.shape}")
    return _Array(values, names)


class _Parquet:
    """A Parquet file, of which only the columns asked for are read."""

    def __init__(self, path: str) -> None:
        try:
            import pyarrow
            from pyarrow import parquet
        except ImportError:
            raise CommandError(f'reading {path} needs pyarrow: pip install "scorematch[parquet]"') from None
        self.path = path
        self._pyarrow: Any = pyarrow
        try:
            self._file: Any = parquet.ParquetFile(path)
        except pyarrow.ArrowException as error:
            raise CommandError(f"cannot read {path}: {error}") from error
        self.names: list[str] | None = list(self._file.schema_arrow.names)
        self.n_columns = len(self._file.schema_arrow.names)

    def load(self, columns: Sequence[int]) -> Loaded:
        types, names = self._pyarrow.types, self._file.schema_arrow.names
        unusable: dict[int, str | None] = {}
        kinds = [self._file.schema_arrow.field(column).type for column in columns]
        for position, kind in enumerate(kinds):
            if not (types.is_floating(kind) or types.is_integer(kind) or types.is_decimal(kind)):
                unusable[position] = str(kind)
        single = all(types.is_float32(kind) for position, kind in enumerate(kinds) if position not in unusable)
        values = np.full((self._file.metadata.num_rows, len(columns)), np.nan, np.float32 if single else np.float64)
        for position, column in enumerate(columns):
            if position not in unusable:
                table = self._file.read(columns=[names[column]])
                values[:, position] = table.column(0).cast(self._pyarrow.float64()).to_numpy()
        return Loaded(values, unusable)


# -- CSV ---------------------------------------------------------------------------------------------------------


@dataclass
class _Cells:
    """What was met in a column of text."""

    n_numbers: int = 0
    n_others: int = 0
    # Row, line and text of the first entry that is neither a number nor missing.
    first_other: tuple[int, int, str] | None = None


class _Csv:
    """A CSV file: what separates fields, and whether the first line holds names, is found out from its beginning."""

    def __init__(self, name: str, contents: Path | bytes, header: bool | None) -> None:
        self.name, self._contents = name, contents
        with _reading(name):
            beginning = contents[:200_000] if isinstance(contents, bytes) else _beginning(contents, 200_000)
        self._encoding = self._find_encoding(beginning)
        text = beginning.decode(self._encoding, errors="ignore")
        lines = list(io.StringIO(text, newline=""))
        if len(beginning) == 200_000 and len(lines) > 1:
            lines.pop()  # which may be half a line
        self._delimiter = max(DELIMITERS, key=lambda delimiter: _fitness(lines, delimiter))
        reader = csv.reader(lines, delimiter=self._delimiter)
        sample: list[list[str]] = []
        self._first_line = 0
        for row in islice(reader, 1000):
            if _is_blank(row):
                continue
            if not sample:
                self._first_line = reader.line_num  # of the header's end, if it is one
            sample.append(row)
        if not sample:
            raise CommandError(f"{name} is empty")
        self.n_columns = len(sample[0])
        self._has_header = _has_header(sample) if header is None else header
        self.names: list[str] | None = _distinct(sample[0]) if self._has_header else None
        rows = sample[self._has_header :]
        self._looks_clean = bool(rows) and all(_is_number(cell) for row in rows for cell in row)

    def load(self, columns: Sequence[int]) -> Loaded:
        try:
            values = self._load_fast() if self._looks_clean else None
            if values is not None:
                return Loaded(values[:, columns] if list(columns) != list(range(self.n_columns)) else values)
            return self._load_carefully(columns)
        except UnicodeDecodeError as error:
            raise CommandError(f"{self.name} is not {self._encoding} text: {error.reason}") from error
        except csv.Error as error:
            raise CommandError(f"{self.name} is not a CSV file: {error}") from error

    def _open(self) -> TextIO:
        if isinstance(self._contents, bytes):
            return io.TextIOWrapper(io.BytesIO(self._contents), encoding=self._encoding, newline="")
        return open(self._contents, encoding=self._encoding, newline="")

    def _load_fast(self) -> Floats | None:
        """All columns, by NumPy's reader; None where something is not a finite number, or a row is too short."""
        with self._open() as file:
            for _ in range(self._first_line if self._has_header else 0):
                file.readline()
            try:
                values = np.loadtxt(file, delimiter=self._delimiter, comments=None, quotechar='"', ndmin=2)
            except UnicodeDecodeError:
                raise
            except ValueError:
                return None
        clean = values.shape[1] == self.n_columns and not len(_rows_not_finite(values))
        return values if clean else None

    def _load_carefully(self, columns: Sequence[int]) -> Loaded:
        """The columns asked for, with the place of everything that is not a number."""
        cells = [_Cells() for _ in columns]
        blocks: list[Floats] = [np.empty((0, len(columns)))]
        lines: list[int] = []
        for rows in self._rows(lines):
            start = len(lines) - len(rows)
            block = [
                _numbers([row[column] for row in rows], known, start, lines)
                for column, known in zip(columns, cells, strict=True)
            ]
            blocks.append(np.column_stack(block))
        unusable: dict[int, str | None] = {}
        for position, known in enumerate(cells):
            if known.n_others >= max(1, known.n_numbers):
                assert known.first_other is not None
                unusable[position] = known.first_other[2]
            elif not known.n_numbers and lines:
                unusable[position] = None
        for position, known in enumerate(cells):
            if known.first_other is not None and position not in unusable:
                row, _, text = known.first_other
                label = self.names[columns[position]] if self.names else f"column {columns[position]}"
                hint = " (decimal commas are not read)" if re.fullmatch(r"[+-]?\d+,\d+", text.strip()) else ""
                raise CommandError(
                    f"{self.name}: {_place(row, lines)}, column {label!r} is {text!r}, which is not a number{hint}"
                )
        return Loaded(np.concatenate(blocks), unusable, lines)

    def _rows(self, lines: list[int]) -> Iterator[list[list[str]]]:
        """Rows in chunks, their line numbers appended to `lines`."""
        with self._open() as file:
            reader = csv.reader(file, delimiter=self._delimiter)
            rows: list[list[str]] = []
            begins = 1
            for row in reader:
                line, begins = begins, reader.line_num + 1
                if _is_blank(row) or (self._has_header and reader.line_num <= self._first_line):
                    continue
                if len(row) != self.n_columns:
                    raise CommandError(
                        f"{self.name}: line {line} has {len(row)} fields where there should be {self.n_columns}"
                    )
                rows.append(row)
                lines.append(line)
                if len(rows) == CHUNK:
                    yield rows
                    rows = []
            if rows:
                yield rows

    def _find_encoding(self, beginning: bytes) -> str:
        if beginning.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return "utf-16"
        if b"\0" in beginning:
            raise CommandError(f"{self.name} is not a text file, nor Parquet or .npy")
        try:
            codecs.getincrementaldecoder("utf-8")().decode(beginning)
        except UnicodeDecodeError:
            print_note(f"{self.name} is not UTF-8 text; it is read as Windows-1252")
            return "cp1252"
        return "utf-8-sig"


def _beginning(path: Path, size: int) -> bytes:
    with path.open("rb") as file:
        return file.read(size)


def _is_blank(row: Sequence[str]) -> bool:
    return not row or (len(row) == 1 and not row[0].strip())


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _is_missing(cell: str) -> bool:
    return cell.strip().lower() in MISSING


def _fitness(lines: Sequence[str], delimiter: str) -> tuple[float, float]:
    """How well a delimiter fits: the share of rows with the commonest number of fields, then the share of numbers."""
    try:
        rows = [row for row in islice(csv.reader(lines, delimiter=delimiter), 200) if not _is_blank(row)]
    except csv.Error:
        return 0.0, 0.0
    widths = Counter(len(row) for row in rows if len(row) > 1)
    if not widths:
        return 0.0, 0.0
    cells = [cell for row in rows[1:] or rows for cell in row if not _is_missing(cell)]
    # A number with a decimal comma is one too; what is wrong with it is said later.
    numbers = sum(_is_number(cell if delimiter == "," else cell.replace(",", ".", 1)) for cell in cells)
    return widths.most_common(1)[0][1] / len(rows), numbers / max(1, len(cells))


def _has_header(sample: Sequence[Sequence[str]]) -> bool:
    """Whether the first row holds names: most of its entries above columns of numbers are no numbers."""
    first, rest = sample[0], [row for row in sample[1:] if len(row) == len(sample[0])]
    if not rest:
        return not any(_is_number(cell) for cell in first)
    above = []
    for position, cell in enumerate(first):
        below = [row[position] for row in rest if not _is_missing(row[position])]
        if below and sum(map(_is_number, below)) > len(below) / 2:
            above.append(not _is_number(cell) and not _is_missing(cell))
    return sum(above) > len(above) / 2 if above else not any(map(_is_number, first))


def _distinct(header: Sequence[str]) -> list[str]:
    """Column names, one that is empty or stands there twice made distinct by its number."""
    names = [name.strip() for name in header]
    return [
        f"{name or 'column'} {position}" if not name or name in names[:position] else name
        for position, name in enumerate(names)
    ]


def _numbers(cells: list[str], known: _Cells, start: int, lines: Sequence[int]) -> NDArray[np.float64]:
    """Numbers, NaN for what is none; `known` learns of that."""
    try:
        values = np.array(list(map(float, cells)))
    except ValueError:
        pass
    else:
        known.n_numbers += int(np.count_nonzero(~np.isnan(values)))
        return values
    values = np.full(len(cells), np.nan)
    for position, cell in enumerate(cells):
        if _is_missing(cell):
            continue
        try:
            values[position] = float(cell)
        except ValueError:
            known.n_others += 1
            known.first_other = known.first_other or (start + position, lines[start + position], cell)
        else:
            known.n_numbers += 1
    return values
