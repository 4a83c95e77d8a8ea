"""Validates the docstrings of everything public with numpydoc, by the checks named in pyproject.toml."""

import inspect
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import numpydoc.validate
import scorematch

CONFIG = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())
CHECKS = set(CONFIG["tool"]["numpydoc_validation"]["checks"])
ONLY_FOR_CLASSES = {"EX01"}


def documented(name: str) -> Iterator[tuple[str, bool]]:
    """The import paths of a public name and, if a class, of its public methods, and whether each is a class."""
    thing = getattr(scorematch, name)
    if inspect.ismodule(thing):
        for inner in getattr(thing, "__all__", ()):
            if inner not in scorematch.__all__:
                yield from documented_in(thing.__name__, getattr(thing, inner))
    elif callable(thing):
        yield from documented_in("scorematch", thing)


def documented_in(where: str, thing: object) -> Iterator[tuple[str, bool]]:
    path = f"{where}.{thing.__name__}"
    yield path, inspect.isclass(thing)
    if not inspect.isclass(thing):
        return
    for name, member in inspect.getmembers(thing):
        function = getattr(member, "fget", None) or inspect.unwrap(member) if callable(member) else member
        ours = getattr(function, "__module__", None) or ""
        inherited = getattr(member, "__doc__", None) is None and inspect.getdoc(member)
        if not name.startswith("_") and ours.split(".")[0] == "scorematch" and not inherited:
            yield f"{path}.{name}", False


def main() -> int:
    seen = sorted({entry for name in scorematch.__all__ for entry in documented(name)})
    failures = [
        f"{path}: {code} {message}"
        for path, is_class in seen
        for code, message in numpydoc.validate.validate(path)["errors"]
        if code in CHECKS and (is_class or code not in ONLY_FOR_CLASSES)
    ]
    print("\n".join(failures) or f"{len(seen)} docstrings are as they should be")
    return bool(failures)


if __name__ == "__main__":
    sys.exit(main())
