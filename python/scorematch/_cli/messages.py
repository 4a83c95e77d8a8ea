"""What the command line says on standard error."""

from __future__ import annotations

import difflib
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager


class CommandError(Exception):
    """Wrong use, or data that cannot be used: its message is the one line that the user sees."""


def print_error(message: str) -> None:
    _print("error", message)


def print_note(message: str) -> None:
    _print("note", message)


def _print(kind: str, message: str) -> None:
    print(f"scorematch: {kind}: {' '.join(message.split())}", file=sys.stderr, flush=True)


def did_you_mean(wrong: str, known: Iterable[str]) -> str:
    """The end of a sentence in an error message: a question where something is close, else a full stop."""
    close = difflib.get_close_matches(wrong, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else "."


@contextmanager
def warnings_as_lines(translate: Callable[[str], str]) -> Iterator[list[str]]:
    """Print each different warning as one line; gives the list of those printed."""
    printed: list[str] = []

    def show(message: Warning | str, category: type[Warning], *_: object) -> None:
        text = translate(" ".join(str(message).split()))
        if text not in printed:
            printed.append(text)
            _print("warning", text)

    with warnings.catch_warnings():
        warnings.resetwarnings()
        warnings.simplefilter("always")
        # These speak to programmers, not to users.
        for category in (DeprecationWarning, PendingDeprecationWarning, FutureWarning, ResourceWarning, ImportWarning):
            warnings.simplefilter("ignore", category)
        warnings.showwarning = show  # type: ignore[assignment]
        yield printed
