"""Smooth bounded vector fields for the identity E[tr(A∇f) + sᵀf] = 0: functions of a coordinate, in a direction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from scorematch._validation import Floats
from scorematch.diagnostics._operator import SteinOperator

Doubles = NDArray[np.float64]

# The standard deviation of a bump, in that of the column.
BUMP_WIDTH = 0.5
# The interquartile range of a normal distribution, in standard deviations.
NORMAL_RANGE = 1.3489795003921634


@dataclass(frozen=True)
class CoordinateFunctions:
    """Functions of one coordinate: a step tanh((x − centre)/scale), and bumps exp(−((x − c)/width)²/2)."""

    centre: float
    scale: float
    bumps: tuple[float, ...]

    @classmethod
    def of(cls, column: Floats, name: str, quantiles: Sequence[float]) -> CoordinateFunctions:
        """Placed by median, interquartile range and quantiles of the data."""
        lower, centre, upper, *bumps = np.quantile(column.astype(np.float64), [0.25, 0.5, 0.75, *quantiles])
        scale = (upper - lower) / NORMAL_RANGE or float(np.std(column, dtype=np.float64))
        if not scale > 0:
            raise ValueError(f"column {name} of X is constant: there is nothing to check. Drop it")
        return cls(float(centre), float(scale), tuple(map(float, bumps)))

    def at(self, x: Doubles) -> tuple[Doubles, Doubles]:
        """Values and derivatives at points, (n, 1 + number of bumps) each; the step first."""
        step = np.tanh((x - self.centre) / self.scale)
        width = BUMP_WIDTH * self.scale
        z = (x[:, None] - np.array(self.bumps)) / width
        bumps = np.exp(-(z**2) / 2)
        values = np.column_stack([step, bumps])
        return values, np.column_stack([(1 - step**2) / self.scale, -z * bumps / width])


@dataclass(frozen=True)
class VectorFields:
    """For each column its functions in its own direction; with `pairs`, its step in that of each other column too."""

    columns: tuple[CoordinateFunctions, ...]
    names: tuple[str, ...]
    quantiles: tuple[float, ...]
    pairs: bool

    @cached_property
    def _own(self) -> int:
        return 1 + len(self.quantiles)

    @cached_property
    def _crossed(self) -> list[tuple[int, int]]:
        """(of column, in direction of column)"""
        d = len(self.columns)
        return [(j, k) for j in range(d) for k in range(d) if j != k] if self.pairs else []

    def __len__(self) -> int:
        return len(self.columns) * self._own + len(self._crossed)

    def labels(self) -> list[tuple[str, str]]:
        """(name of the column in whose direction the field points, the function) of each field."""
        own = [
            (name, label)
            for name, functions in zip(self.names, self.columns, strict=True)
            for label in (
                f"step at {functions.centre:.4g}",
                *(f"bump at {c:.4g} ({q:.0%})" for c, q in zip(functions.bumps, self.quantiles, strict=True)),
            )
        ]
        return own + [
            (self.names[k], f"step of {self.names[j]} at {self.columns[j].centre:.4g}") for j, k in self._crossed
        ]

    @cached_property
    def directions(self) -> NDArray[np.intp]:
        """The coordinate that each field points along."""
        own = np.repeat(np.arange(len(self.columns)), self._own)
        return np.append(own, [k for _, k in self._crossed]).astype(np.intp)

    def at(self, operator: SteinOperator) -> tuple[Doubles, Doubles]:
        """Each field f along its direction, and tr(A∇f), at each row: (n, number of fields) both."""
        functions = [f.at(operator.points[:, j].astype(np.float64)) for j, f in enumerate(self.columns)]
        f, divergence = np.empty((2, len(operator.points), len(self)))
        for j, (value, slope) in enumerate(functions):
            own = slice(j * self._own, (j + 1) * self._own)
            f[:, own] = value
            divergence[:, own] = slope * np.reshape(operator.entries(j, j), (-1, 1))
        for place, (j, k) in enumerate(self._crossed, start=len(self.columns) * self._own):
            value, slope = functions[j]
            f[:, place] = value[:, 0]
            divergence[:, place] = slope[:, 0] * operator.entries(k, j)
        return f, divergence

    def values(self, operator: SteinOperator) -> Doubles:
        """T f at each row, (n, number of fields)."""
        f, divergence = self.at(operator)
        f *= operator.s[:, self.directions]
        f += divergence
        return f
