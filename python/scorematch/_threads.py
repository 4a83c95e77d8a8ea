"""How many threads to use."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from numbers import Integral
from typing import Any


def effective_threads(n_jobs: int | None) -> int:
    """The number of threads that `n_jobs` asks for.

    None and -1 mean every processor that this process may use: affinity and container limits are respected, and so is
    OMP_NUM_THREADS, which joblib and Dask set in their workers.
    """
    if n_jobs is None or (isinstance(n_jobs, Integral) and n_jobs == -1):
        return _usable_processors()
    if not isinstance(n_jobs, Integral) or isinstance(n_jobs, bool) or n_jobs < 1:
        raise ValueError(f"n_jobs must be None, -1 or a positive integer; got {n_jobs!r}")
    return int(n_jobs)


def _usable_processors() -> int:
    processors = _processors_of_this_machine()
    if hasattr(os, "sched_getaffinity"):
        processors = min(processors, len(os.sched_getaffinity(0)))
    asked = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    return min(processors, int(asked)) if asked.isdigit() and int(asked) > 0 else processors


@cache
def _processors_of_this_machine() -> int:
    # joblib, a dependency of scikit-learn, knows containers' limits. It reads them from files, so ask it once.
    from joblib import cpu_count

    return int(cpu_count())


_limiting = threading.Lock()


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Inside, BLAS has no threads of its own.

    On the few numbers of an optimiser they do nothing but wait for each other: where processors are busy, SciPy's
    L-BFGS-B takes a hundred times as long with them. The limit is one of the whole process. Whoever finds it set, by
    another thread or by itself, leaves it alone: limits that overlap would not be lifted in the order that they need.
    """
    if not _limiting.acquire(blocking=False):
        yield
        return
    try:
        with _blas().limit(limits=1, user_api="blas"):
            yield
    finally:
        _limiting.release()


@cache
def _blas() -> Any:
    # Looks for libraries, which takes a while. Those of NumPy and SciPy are loaded by now.
    import scipy.linalg  # noqa: F401
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
