"""Warnings that point at the user's line, however deep in the package they arise."""

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

PACKAGE = str(Path(__file__).parent)

_HELD: ContextVar[list[tuple[str, type[Warning]]] | None] = ContextVar("held", default=None)


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn at the first line outside of the package."""
    held = _HELD.get()
    if held is not None:
        held.append((message, category))
        return
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_code.co_filename.startswith(PACKAGE):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)


@contextmanager
def held_back() -> Iterator[list[tuple[str, type[Warning]]]]:
    """The warnings of the package that arise inside, for a caller who will say which of them matter."""
    token = _HELD.set([])
    try:
        held = _HELD.get()
        assert held is not None
        yield held
    finally:
        _HELD.reset(token)
