"""Names of models, columns and whatever else is written beside a picture."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scorematch._base import ScoreMatchingEstimator


def name_of(model: ScoreMatchingEstimator) -> str:
    return type(model).__name__


def check_names(given: Sequence[str], n: int, what: str = "feature_names") -> list[str]:
    if len(given) != n:
        raise ValueError(f"{what} must have {n} entries; got {len(given)}")
    return [str(name) for name in given]


def column_names(model: ScoreMatchingEstimator, given: Sequence[str] | None, n: int) -> list[str]:
    """Names of n columns: those given, those of the data frame that the model was fitted to, or x0, x1, ..."""
    model._check_is_fitted()
    if given is not None:
        return check_names(given, n)
    names = [str(name) for name in getattr(model, "feature_names_in_", ())]
    return names if len(names) == n else numbered(n)


def numbered(n: int) -> list[str]:
    return [f"x{i}" for i in range(n)]


def column_position(feature: int | str, names: Sequence[str]) -> int:
    """The column that a name or a number stands for."""
    if isinstance(feature, str):
        if feature not in names:
            raise ValueError(f"features: there is no column {feature!r}; columns are {', '.join(names)}")
        return names.index(feature)
    if not 0 <= feature < len(names):
        raise ValueError(f"features: there is no column {feature}; they are 0 to {len(names) - 1}")
    return int(feature)


def shortened(name: str, length: int = 28) -> str:
    """A name that fits beside a picture."""
    return name if len(name) <= length else name[: length - 1] + "…"


def wrapped(name: str) -> str:
    """A long name on two lines."""
    return "\n".join(textwrap.wrap(name, 22, break_long_words=False))


def title_lines(width: float, *texts: str) -> list[str]:
    """Texts broken into lines of a width in inches, at the size of a title."""
    return [line for text in texts if text for line in textwrap.wrap(text, max(20, int(12 * width)))]
