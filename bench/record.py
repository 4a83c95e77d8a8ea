"""What was measured, kept from run to run: a run replaces what it measures anew, and the report shows all there is."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

FILE = "results.json"


@dataclass
class Table:
    """Rows by their first cell, each with the run that it comes from."""

    columns: list[str]
    rows: dict[str, dict[str, Any]] = field(default_factory=dict)  # {"cells": list of str, "run": int}
    note: str = ""


@dataclass
class Record:
    """Tables, targets and what figures are drawn from. Run 0 is the one under way."""

    runs: dict[int, list[str]] = field(default_factory=dict)  # under what conditions
    tables: dict[str, Table] = field(default_factory=dict)
    targets: dict[str, dict[str, Any]] = field(default_factory=dict)
    ratios: dict[str, dict[str, list[float]]] = field(default_factory=dict)  # by workload and peer: quartiles
    scaling: dict[str, dict[str, float]] = field(default_factory=dict)  # by contender and d: seconds

    @staticmethod
    def load(folder: Path) -> Record:
        """The one in a folder, or an empty one."""
        path = folder / FILE
        if not path.exists():
            return Record()
        given = json.loads(path.read_text())
        given["tables"] = {title: Table(**table) for title, table in given["tables"].items()}
        given["runs"] = {int(number): conditions for number, conditions in given["runs"].items()}
        return Record(**given)

    def save(self, folder: Path) -> None:
        (folder / FILE).write_text(json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n")

    def add_rows(self, title: str, columns: list[str], rows: list[list[str]], note: str) -> None:
        """To a table; it is begun anew where the columns are others."""
        table = self.tables.get(title)
        if table is None or table.columns != columns:
            table = self.tables[title] = Table(columns)
        table.note = note or table.note
        table.rows.update({row[0]: {"cells": row, "run": 0} for row in rows})

    def arrange(self, title: str, names: list[str]) -> None:
        """Put rows of a table, and ratios, in the order of their names; others follow."""
        place = {name: position for position, name in enumerate(names)}

        def arranged(items: dict[str, Any]) -> dict[str, Any]:
            return dict(sorted(items.items(), key=lambda item: place.get(item[0], len(place))))

        if title in self.tables:
            self.tables[title].rows = arranged(self.tables[title].rows)
        self.ratios = arranged(self.ratios)

    def add_target(self, what: str, wanted: str, measured: str, met: bool) -> None:
        self.targets[what] = {"wanted": wanted, "measured": measured, "met": met, "run": 0}

    def close(self, conditions: list[str]) -> None:
        """Number runs from 1, the oldest first, without those of which nothing is left."""
        self.runs[max(self.runs, default=0) + 1] = conditions
        last = max(self.runs)
        kept = [row for table in self.tables.values() for row in table.rows.values()] + list(self.targets.values())
        for item in kept:
            item["run"] = item["run"] or last
        numbers = {old: new for new, old in enumerate(sorted({item["run"] for item in kept}), 1)}
        for item in kept:
            item["run"] = numbers[item["run"]]
        self.runs = {new: self.runs[old] for old, new in numbers.items()}

    def lines(self) -> list[str]:
        """The report below its introduction: runs, targets, tables."""
        lines = ["## Runs", ""]
        for number, conditions in self.runs.items():
            lines += [f"{number}. {conditions[0]}", *(f"   - {condition}" for condition in conditions[1:])]
        if self.targets:
            rows = [
                [what, each["wanted"], each["measured"], "yes" if each["met"] else "**no**", str(each["run"])]
                for what, each in self.targets.items()
            ]
            lines += ["", "## Targets", "", *markdown(["", "target", "measured", "met", "run"], rows)]
        for title, table in self.tables.items():
            rows = [[*row["cells"], str(row["run"])] for row in table.rows.values()]
            lines += ["", f"## {title}", "", *markdown([*table.columns, "run"], rows)]
            if table.note:
                lines += ["", table.note]
        return lines


def markdown(columns: list[str], rows: list[list[str]]) -> list[str]:
    """A table, numbers to the right."""
    rule = ["---"] + ["---:"] * (len(columns) - 1)
    return [f"| {' | '.join(line)} |" for line in (columns, rule, *rows)]
