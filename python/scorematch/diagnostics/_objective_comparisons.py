"""What is compared by a check of an objective: found with expected, a verdict, and what may have gone wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scorematch._tables import NOTHING, Layout, ShownAsTable

Doubles = NDArray[np.float64]

# How far everything may be from what an explanation says, for it to be given.
EXPLAINED = 1e-3
# Differences with an error above this part of what is expected decide nothing.
ROUGH = 1e-2
# What is smaller than this part of its natural size is 0.
VANISHING = 1e-6
# By how many times the error of what is expected the two may differ, beside the tolerance.
MARGIN = 10.0

# A ratio of found to expected, and what it tells.
Ratios = Sequence[tuple[float, str]]


@dataclass(frozen=True)
class CheckedItem:
    """One comparison of an :class:`ObjectiveCheck`.

    Parameters
    ----------
    name : str
        What was checked.
    ok : bool or None
        Whether the two agree; None where it could not be found out.
    n_compared : int
        How many numbers were compared.
    error : float
        The largest difference, as a part of the size of what was expected.
    place : str
        Where that is: row, column, statistic or parameter.
    found, expected : float
        The numbers there.
    diagnosis : str
        What is wrong, where the ratio of the two tells it; why nothing was found out where `ok` is None.

    Examples
    --------
    See :func:`check_objective`.
    """

    name: str
    ok: bool | None
    n_compared: int = 0
    error: float = np.nan
    place: str = ""
    found: float = np.nan
    expected: float = np.nan
    diagnosis: str = ""

    def __str__(self) -> str:
        if self.ok is None:
            return f"{self.name}: not checked, {self.diagnosis}"
        if self.ok:
            return f"{self.name}: right to {self.error:.1g}"
        where = f" at {self.place}" if self.place else ""
        text = f"{self.name} is wrong: worst{where}, where it is {self.found:.6g} and should be {self.expected:.6g}"
        return f"{text}. {self.diagnosis}" if self.diagnosis else text


def skipped(name: str, why: str) -> CheckedItem:
    """What could not be compared."""
    return CheckedItem(name, None, diagnosis=why)


def compared(
    name: str,
    found: ArrayLike,
    expected: ArrayLike,
    *,
    tol: float,
    places: Callable[[tuple[int, ...]], str] = lambda _: "",
    errors: ArrayLike = 0.0,
    size: ArrayLike | None = None,
    natural: ArrayLike = 0.0,
    ratios: Ratios = (),
    instead: Sequence[tuple[ArrayLike, str]] = (),
    otherwise: str = "",
    rough: float = ROUGH,
) -> CheckedItem:
    """The verdict on numbers `found`, and the first explanation that fits if they are wrong.

    They may be off by `tol` times their `size` (that of all where None; `natural` is the one that they would have if
    they did not happen to vanish) and `MARGIN` times the `errors` of what is
    expected. `instead` holds what they could be in place of what is expected, and what is to be said of it; `otherwise`
    is said where nothing explains them. Where errors are above `rough`, as a part of the size, nothing is compared.
    """
    got, want = np.asarray(found, dtype=np.float64), np.asarray(expected, dtype=np.float64)
    if got.shape != want.shape:
        return CheckedItem(name, False, diagnosis=f"It has the shape {got.shape}, and should have {want.shape}.")
    error = np.broadcast_to(np.asarray(errors, dtype=np.float64), want.shape)
    own = float(np.abs(want[np.isfinite(want)]).max(initial=0.0)) or 1.0
    unit = np.maximum(own if size is None else np.asarray(size), VANISHING * np.asarray(natural))
    unit = np.broadcast_to(np.maximum(unit, 1e-300), want.shape)
    decided = np.isfinite(want) & (error <= rough * unit)
    if not decided.any():
        return skipped(name, "differences are too rough here to tell anything")
    off = np.where(np.isfinite(got), np.abs(got - want), np.inf)
    excess = np.where(decided, off - MARGIN * error, -np.inf) / unit
    worst = tuple(int(i) for i in np.unravel_index(int(np.argmax(excess)), excess.shape))
    ok = bool(excess[worst] <= tol)
    # A wrong number of a small size is worst where the numbers are large.
    if not ok and np.isfinite(off[decided]).all():
        worst = tuple(int(i) for i in np.unravel_index(int(np.argmax(np.where(decided, off, -1.0))), off.shape))
    others = [(np.broadcast_to(values, want.shape)[decided], text) for values, text in instead]
    return CheckedItem(
        name,
        ok,
        int(np.count_nonzero(decided)),
        float((np.where(decided, off, 0) / unit).max()),
        places(worst),
        float(got[worst]),
        float(want[worst]),
        "" if ok else _explained(got[decided], want[decided], others, ratios) or otherwise,
    )


def _explained(got: Doubles, want: Doubles, instead: Sequence[tuple[Doubles, str]], ratios: Ratios) -> str:
    if not np.isfinite(got).all():
        return "It has NaN or infinity."
    length = float(np.linalg.norm(want))
    for values, text in instead:
        if np.linalg.norm(got - values) <= EXPLAINED * float(np.linalg.norm(values)):
            return text
    if length == 0:
        return ""
    if np.linalg.norm(got) <= 1e-12 * length:
        return "It is 0 everywhere: it has been forgotten."
    ratio = float(got @ want) / length**2
    if np.linalg.norm(got - ratio * want) <= EXPLAINED * abs(ratio) * length:
        for known, text in ratios:
            if abs(ratio - known) <= EXPLAINED * abs(known):
                return text
        return f"Everywhere it is {ratio:.6g} times what it should be."
    return ""


@dataclass(frozen=True, eq=False, repr=False)
class ObjectiveCheck(ShownAsTable):
    """Result of :func:`check_objective`: prints as a table with a verdict.

    Parameters
    ----------
    checks : tuple of CheckedItem
        One for each comparison: ``name``, ``ok``, ``error``, ``place``, ``found``, ``expected``, ``diagnosis``.
    model : str
        The name of the model's class.
    n_samples : int
        How many rows were looked at.
    objective : str
        The name of the objective that the model is fitted by.

    Examples
    --------
    >>> import numpy as np
    >>> import scorematch
    >>> X = np.random.default_rng(0).normal(size=(100, 2))
    >>> check = scorematch.check_objective(scorematch.Gaussian().fit(X), X, verbose=False)
    >>> check.ok, check.checks[0].name
    (True, 'score function')
    """

    checks: tuple[CheckedItem, ...]
    model: str
    n_samples: int
    objective: str = field(default="exact")

    @property
    def ok(self) -> bool:
        """Whether nothing that was checked is wrong."""
        return all(item.ok is not False for item in self.checks)

    @property
    def verdict(self) -> str:
        """What follows, in words."""
        wrong = [item for item in self.checks if item.ok is False]
        unknown = [item.name for item in self.checks if item.ok is None]
        left = f" Not checked: {', '.join(unknown)}." if unknown else ""
        if not wrong:
            return f"All {len(self.checks) - len(unknown)} checks passed.{left}"
        # What is wrong first is often the cause of what follows.
        return f"{len(wrong)} of {len(self.checks) - len(unknown)} checks failed. First of them: {wrong[0]}{left}"

    def _layout(self) -> Layout:
        marks = {row: str(item) for row, item in enumerate(self.checks) if item.ok is False or (item.ok is None)}
        cells = [
            ["–" if item.ok is None else "yes" if item.ok else "NO" for item in self.checks],
            [_short(item.error, 1) for item in self.checks],
            [_short(item.found, 5) for item in self.checks],
            [_short(item.expected, 5) for item in self.checks],
        ]
        return Layout(
            f"Check of {self.model}, objective {self.objective!r}, {self.n_samples} rows",
            {},
            ("right", "error", "found", "expected"),
            [item.name for item in self.checks],
            cells,
            marks,
            [self.verdict],
            "checks",
        )

    def _columns(self) -> dict[str, Any]:
        names = ("ok", "n_compared", "error", "place", "found", "expected", "diagnosis")
        return {name: [getattr(item, name) for item in self.checks] for name in names}

    @property
    def _row_names(self) -> Sequence[str]:
        return [item.name for item in self.checks]


def _short(value: float, digits: int) -> str:
    return NOTHING if np.isnan(value) else f"{value:.{digits}g}"
