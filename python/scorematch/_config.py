"""What this installation is and what it runs on."""

import platform
import sys
from importlib.metadata import PackageNotFoundError, version

from scorematch import __version__, _core
from scorematch._threads import effective_threads


def config() -> dict[str, object]:
    """The configuration as a dict, in the order in which it is shown."""
    return {
        "scorematch": __version__,
        "python": platform.python_version(),
        "platform": f"{sys.platform}-{platform.machine()}",
        "instruction-set level": _core.level(),
        "levels this processor has": _core.supported_levels(),
        "vector bits": _core.vector_bits(),
        "threads (OpenMP)": effective_threads(None) if _core.has_threads() else "none: built without OpenMP",
        **{name: _version(name) for name in ("numpy", "scipy", "scikit-learn", "matplotlib", "pandas", "pyarrow")},
    }


def show_config() -> None:
    """Print the version, the instruction-set level in use, the number of threads, and the libraries found.

    The level is the highest that the processor has; the environment variable ``SCOREMATCH_ISA``, read at import,
    forces ``baseline``, ``v3`` (AVX2) or ``v4`` (AVX-512).

    Examples
    --------
    >>> import scorematch
    >>> scorematch.show_config()  # doctest: +ELLIPSIS
    scorematch: ...
    python: ...
    """
    for name, value in config().items():
        print(f"{name}: {', '.join(value) if isinstance(value, list) else value}")


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
