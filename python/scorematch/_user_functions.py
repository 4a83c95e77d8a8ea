"""Functions that users pass in, called on blocks of rows; errors name the function, what it should return, the row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Doubles = NDArray[np.float64]
# A block of rows to an array with an entry for each row.
RowFunction = Callable[[Doubles], ArrayLike]


@dataclass(frozen=True)
class UserFunction:
    """A function that was passed as the argument `argument`, and the shape of what it gives for one row."""

    argument: str
    function: RowFunction
    # Names and lengths of the axes behind that of the rows.
    axes: tuple[tuple[str, int], ...]
    # Whether NaN and infinity are an error.
    finite: bool = True

    def __call__(self, block: Doubles, first_row: int) -> Doubles:
        """The values at a block of rows, the first of which is row `first_row` of X."""
        rows = f"rows {first_row} to {first_row + len(block) - 1} of X"
        try:
            result = self.function(block)
        except Exception as error:
            raise ValueError(f"{self} raised {type(error).__name__} for {rows}: {error}") from error
        try:
            values = np.asarray(result)
        except Exception as error:
            raise ValueError(f"{self} must return an array; got {type(result).__name__} ({error})") from error
        if values.dtype.kind not in "fiub":
            got = f"{type(result).__name__} of type {values.dtype}"
            raise ValueError(f"{self} must return an array of real numbers; got {got} for {rows}")
        shape = (len(block), *(length for _, length in self.axes))
        if values.shape != shape:
            names = ", ".join(["n_rows", *(name for name, _ in self.axes)])
            raise ValueError(f"{self} must return an array of shape ({names}) = {shape} for {rows}; got {values.shape}")
        values = values.astype(np.float64, copy=False)
        if self.finite and not np.isfinite(values).all():
            position = np.unravel_index(int(np.argmin(np.isfinite(values))), shape)
            place = ", ".join(
                f"{name.removeprefix('n_').removesuffix('s')} {number}"
                for (name, _), number in zip(self.axes, position[1:], strict=True)
            )
            raise ValueError(
                f"{self} returned NaN or infinity: row {first_row + position[0]} of X, {place} is {values[position]}"
            )
        return values

    def __str__(self) -> str:
        name = getattr(self.function, "__name__", None) or type(self.function).__name__
        return f"{self.argument} ({name})"


def check_callable(name: str, value: object) -> None:
    """Something that can be called."""
    if not callable(value):
        raise ValueError(f"{name} must be a function of a block of rows; got {value!r}")
