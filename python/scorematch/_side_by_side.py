"""Estimates from resamples, made side by side: those that there are, and why there are no others."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scorematch._progress import progress_bar
from scorematch._threads import one_blas_thread
from scorematch._warnings import held_back, warn

Doubles = NDArray[np.float64]


class Estimates:
    """θ from each resample, NaN from those that gave none."""

    def __init__(self, n_resamples: int, n_params: int, n_threads: int) -> None:
        self.thetas = np.full((n_resamples, n_params), np.nan)
        self.reasons: dict[int, str] = {}
        self._n_threads = n_threads
        self._bar: Any = None
        self._lock = threading.Lock()
        self._stopped = False

    @property
    def n_resamples(self) -> int:
        return len(self.thetas)

    def shown(self, verbose: int) -> ExitStack:
        """A context in which the progress is seen, if that is asked for."""
        stack = ExitStack()
        self._bar = progress_bar("bootstrap", self.n_resamples, "resample") if verbose else None
        if self._bar is not None:
            stack.enter_context(self._bar)
        return stack

    def take(self, numbers: range, thetas: Doubles | None) -> list[int]:
        """Keep estimates of these resamples; those that have none are returned."""
        if thetas is None:
            return list(numbers)
        found = np.asarray(np.isfinite(thetas).all(axis=1))
        self.thetas[numbers.start : numbers.stop][found] = thetas[found]
        self._count(int(np.count_nonzero(found)))
        return [number for number, one in zip(numbers, found, strict=True) if not one]

    def run(self, estimate: Callable[[Any], Any], inputs: Iterable[tuple[int, Any]]) -> None:
        """Fitted models, made by a function of what there is for each resample, several at a time.

        On threads and not in processes: the objective lets others run while it computes, nothing is copied, and
        functions that the user gave need not be pickled.
        """
        from joblib import Parallel, delayed

        attempt = delayed(self._attempt)
        try:
            with one_blas_thread():
                Parallel(n_jobs=self._n_threads, require="sharedmem")(attempt(estimate, *one) for one in inputs)
        except BaseException:
            self._stopped = True  # those that have not begun
            raise

    def _attempt(self, estimate: Callable[[Any], Any], number: int, given: Any) -> None:
        if self._stopped:
            return
        with held_back() as messages:
            try:
                model = estimate(given)
                if model.converged_:
                    self.thetas[number] = model.theta_
                else:
                    self.reasons[number] = _reason(model, messages)
            except Exception as error:
                self.reasons[number] = f"{type(error).__name__}: {error}"
        self._count(1)

    def _count(self, n: int) -> None:
        if self._bar is not None:
            with self._lock:
                self._bar.update(n)

    def tell_of_failures(self, name: str) -> None:
        """A warning of resamples without an estimate, an error where there are hardly any others."""
        if not self.reasons:
            return
        n_failed, first = len(self.reasons), min(self.reasons)
        message = f"{n_failed} of {self.n_resamples} bootstrap resamples gave no estimate of {name}"
        reason = f"the first of them, number {first}: {self.reasons[first]}"
        if self.n_resamples - n_failed < 2:
            raise ValueError(f"{message}; {reason}")
        warn(f"{message}, and are left out; {reason}")


def _reason(model: Any, messages: list[tuple[str, type[Warning]]]) -> str:
    """Why a fit is no estimate, though it raised no error."""
    said = "; ".join(message for message, _ in messages)
    return said or f"the fit did not converge (n_iter_={model.n_iter_})"
