"""What is compared apart from objectives and their gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

Call = Callable[[], Any]


class Contest(Protocol):
    """Calls that do the same."""

    n: int  # rows

    @property
    def name(self) -> str:
        """How tables call it."""
        ...

    @property
    def names(self) -> tuple[str, ...]:
        """Of the contenders, "scorematch" the first; no data are made for them."""
        ...

    def contenders(self) -> dict[str, Call]:
        """By name; data are made, and all that needs no more than doing once is done."""
        ...

    def check(self, results: dict[str, Any]) -> None:
        """Raise an error unless what the contenders gave, or some of them, is the same as what "scorematch" did."""
        ...
