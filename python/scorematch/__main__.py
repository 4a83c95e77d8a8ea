"""The command line: ``scorematch`` or ``python -m scorematch``."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from io import TextIOWrapper

# Exit codes of a shell for a program that a signal ended, 128 + its number.
INTERRUPTED = 130
BROKEN_PIPE = 141
FAILED = 2


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments; those of the process where None.

    Returns
    -------
    int
        The exit code: 0; 1 where a paper's claim fails; 2 with one line on standard error.

    Examples
    --------
    >>> from scorematch.__main__ import main
    >>> main(["--version"])  # doctest: +ELLIPSIS
    scorematch ...
    0
    """
    # What is imported here is light: scikit-learn and SciPy wait until a command needs them.
    from scorematch._cli.messages import CommandError, print_error
    from scorematch._cli.parser import parse

    if argv is None:  # the terminal may lack a character of a table
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, TextIOWrapper):
                stream.reconfigure(errors="replace")
    code = 0
    try:
        arguments = parse(sys.argv[1:] if argv is None else list(argv))
        if arguments is not None:
            from scorematch._cli import commands

            code = commands.run(arguments)
        sys.stdout.flush()
    except CommandError as error:
        print_error(str(error))
        return FAILED
    except BrokenPipeError:
        _silence_standard_output()
        return BROKEN_PIPE
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print_error(f"{where}{error.strerror or error}")
        return FAILED
    except MemoryError as error:
        print_error(f"not enough memory: {error}" if str(error) else "not enough memory")
        return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
    return code


def _silence_standard_output() -> None:
    """Let the interpreter flush its last output into nothing, instead of complaining about the closed pipe."""
    with suppress(OSError, ValueError):  # standard output may be no file at all
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, sys.stdout.fileno())
        os.close(nothing)


if __name__ == "__main__":
    sys.exit(main())
