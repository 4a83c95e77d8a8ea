"""Minimising on minibatches, by Adam: for so many rows that one look at all of them is worth hundreds of steps.

The learning rate stays as it is for as long as the objective falls. A constant rate makes θ wander about the minimum,
at a distance that goes with the rate; so once the objective has settled, the rate falls to zero, in a straight line and
over as many epochs as it took to see that it had settled. That brings θ much nearer to the minimum than the minimum is
to the truth, whatever rate one began with, and needs no guess of how many epochs there will be.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from numbers import Real

import numpy as np
from numpy.typing import NDArray

from scorematch import _constraints, _core
from scorematch._optimize import STUCK, Minimum
from scorematch._progress import progress_bar
from scorematch._validation import Floats, check_count, check_flag, check_real, check_verbose

Doubles = NDArray[np.float64]
# Called after each epoch with its objective.
Report = Callable[[float], None]


@dataclass(frozen=True)
class MinibatchSettings:
    """What the user asked of the optimiser."""

    batch_size: int
    learning_rate_init: float
    max_epochs: int
    early_stopping: bool
    validation_fraction: float
    n_iter_no_change: int
    tol: float
    verbose: int

    def __post_init__(self) -> None:
        check_count("batch_size", self.batch_size)
        if not check_real("learning_rate_init", self.learning_rate_init, lowest=0.0) > 0:
            raise ValueError(f"learning_rate_init must be positive; got {self.learning_rate_init!r}")
        check_count("max_epochs", self.max_epochs)
        check_flag("early_stopping", self.early_stopping)
        fraction = self.validation_fraction
        if not isinstance(fraction, Real) or isinstance(fraction, bool) or not 0 < float(fraction) < 1:
            raise ValueError(f"validation_fraction must be a number between 0 and 1; got {fraction!r}")
        check_count("n_iter_no_change", self.n_iter_no_change)
        check_real("tol", self.tol, lowest=0.0)
        check_verbose(self.verbose)


def minimise_in_minibatches(
    family: _core.Family,
    X: Floats,
    sample_weight: Doubles | None,
    field: _core.Field,
    start: Doubles,
    *,
    scale: Doubles,
    unit: float,
    settings: MinibatchSettings,
    seed: int,
    n_threads: int,
    origin: Doubles | None = None,
    fault: Callable[[Doubles], str] = lambda _: "",
    number: int = 0,
    unit_rows: tuple[int, int] = (0, 0),
    n_positive: int = 0,
    rows_apart: bool = True,
) -> Minimum:
    """Where Adam ends from one start.

    θ = scale·φ and J/unit are what the optimiser sees, so that one learning rate suits data in any units. A descent
    that runs into a `fault` is given up, and its start returned. The same seed gives the same bits, on any number of
    threads. The family sees X − `origin`. `number` tells starts apart in the progress. `unit_rows` is the shape of a
    matrix with which θ/scale begins and whose rows have length 1 and keep it; the last `n_positive` entries of θ are
    positive, and φ is their logarithm. `rows_apart` says whether the field is right for some of the rows by themselves:
    one with a table of all rows, or with random vectors by their numbers, is not.
    """
    rows, held_out = _split(len(X), sample_weight, settings, seed)
    batches = _core.Minibatches(
        family,
        X,
        sample_weight,
        field,
        n_threads,
        start,
        scale,
        unit,
        min(settings.batch_size, len(X)),
        seed,
        rows,
        origin,
        unit_rows,
        n_positive,
    )
    loss = _core.Loss(family, X, sample_weight, field, n_threads, origin)
    score = None
    if held_out is not None and rows_apart:
        score = _held_out_score(family, X, sample_weight, field, held_out, n_threads, origin)
    elif held_out is not None:
        score = _held_out_loss(family, X, sample_weight, field, held_out, n_threads, origin)
    rates = _LearningRates(settings)
    theta, best_theta, best_score = start, start, math.inf
    history: list[float] = []
    reason = found = ""
    with _progress(settings, number) as report:
        while not rates.done:
            objective = batches.epoch(*rates.of_next_epoch())
            reached = batches.theta
            if not (math.isfinite(objective) and np.isfinite(reached).all()):
                reason = f"the objective is not finite in epoch {len(history) + 1}"
                break
            theta = reached
            history.append(objective)
            found = fault(theta)
            if found:
                reason = "the descent was given up"
                break
            value = objective if score is None else score(theta)
            if score is not None and value < best_score:
                best_theta, best_score = theta, value
            rates.note(value / unit)
            report(value)
    if score is not None and best_score < math.inf:
        theta = best_theta
    if not reason and not rates.settled:
        what = "the objective" if score is None else "the score of the held-out rows"
        limit = f"max_epochs={settings.max_epochs}"
        reason = f"{what} was still falling when the limit {limit} came near"
        if not rates.can_settle:
            reason = (
                f"{limit} is too few to tell whether {what} has settled: it takes more than "
                f"n_iter_no_change={settings.n_iter_no_change} epochs, and some for the learning rate to fall"
            )

    def steepest(theta: Doubles) -> float:
        return _steepest(theta, loss(theta)[1] * scale / unit, scale, unit_rows, n_positive)

    # Where there is no lower bound, it takes short steps very long to get anywhere near infinity.
    if not found and steepest(theta) > max(STUCK, steepest(start)):
        found, reason = "the objective falls ever more steeply", "the descent was given up"
    if found:
        theta = start
    return Minimum(theta, float(loss(theta)[0]), not reason, len(history), reason, found, "epoch", tuple(history))


def _steepest(theta: Doubles, slopes: Doubles, scale: Doubles, row_shape: tuple[int, int], n_positive: int) -> float:
    """The steepest slope, of those with respect to θ/scale, that the constraints leave."""
    n_linear = len(theta) - n_positive
    slopes[n_linear:] *= theta[n_linear:] / scale[n_linear:]
    block = slice(0, math.prod(row_shape))
    pull_back = _constraints.unit_rows((theta / scale)[block].reshape(row_shape))[1]
    slopes[block] = pull_back(slopes[block].reshape(row_shape)).ravel()
    return float(np.abs(slopes).max())


class _LearningRates:
    """Constant until the objective has settled, or until there is just enough time left; then down to zero."""

    def __init__(self, settings: MinibatchSettings) -> None:
        self.settings = settings
        self.n_falling = min(settings.n_iter_no_change, -(-settings.max_epochs // 2))
        self.last = settings.max_epochs  # the epoch with which it ends
        self.epoch = 0
        self.best, self.n_no_change = math.inf, 0
        self.settled = False

    @property
    def can_settle(self) -> bool:
        """Whether there is time enough to find that out. (The first epoch has nothing to be compared with.)"""
        return self.settings.n_iter_no_change < self.settings.max_epochs - self.n_falling

    @property
    def done(self) -> bool:
        return self.epoch == self.last

    def of_next_epoch(self) -> tuple[float, float]:
        """The rates at its beginning and its end."""
        left = self.last - self.epoch
        rates = (min(1.0, left / self.n_falling), min(1.0, (left - 1) / self.n_falling))
        return self.settings.learning_rate_init * rates[0], self.settings.learning_rate_init * rates[1]

    def note(self, value: float) -> None:
        """How an epoch ended; in units in which `tol` is meant."""
        self.epoch += 1
        if value < self.best - self.settings.tol:
            self.best, self.n_no_change = value, 0
        else:
            self.n_no_change += 1
        if not self.settled and self.epoch <= self.last - self.n_falling:
            self.settled = self.n_no_change >= self.settings.n_iter_no_change
            if self.settled:
                self.last = self.epoch + self.n_falling


def _split(
    n_samples: int, sample_weight: Doubles | None, settings: MinibatchSettings, seed: int
) -> tuple[NDArray[np.intp] | None, NDArray[np.intp] | None]:
    """The rows to fit, and those to hold out, each in ascending order; None and None where all are fitted."""
    if not settings.early_stopping:
        return None, None
    rows = np.arange(n_samples) if sample_weight is None else np.flatnonzero(sample_weight)
    n_held_out = math.ceil(settings.validation_fraction * len(rows))
    if n_held_out >= len(rows):
        weighted = "" if sample_weight is None else " of positive weight"
        raise ValueError(
            f"early_stopping with validation_fraction={settings.validation_fraction:g} holds out {n_held_out} of "
            f"{len(rows)} rows{weighted}, which leaves none to fit"
        )
    chosen = np.random.RandomState(seed).permutation(len(rows))
    return np.sort(rows[chosen[n_held_out:]]), np.sort(rows[chosen[:n_held_out]])


def _held_out_score(
    family: _core.Family,
    X: Floats,
    sample_weight: Doubles | None,
    field: _core.Field,
    rows: NDArray[np.intp],
    n_threads: int,
    origin: Doubles | None,
) -> Callable[[Doubles], float]:
    """The mean Hyvärinen score of some rows, as a function of θ."""
    some = X[rows]
    weight = None if sample_weight is None else sample_weight[rows]

    def score(theta: Doubles) -> float:
        terms = _core.evaluate(family, theta, some, field, ["norm_term", "hessian_term"], n_threads, origin)
        rho = terms["norm_term"].astype(np.float64) + terms["hessian_term"]
        return float(np.average(rho, weights=weight))

    return score


def _held_out_loss(
    family: _core.Family,
    X: Floats,
    sample_weight: Doubles | None,
    field: _core.Field,
    rows: NDArray[np.intp],
    n_threads: int,
    origin: Doubles | None,
) -> Callable[[Doubles], float]:
    """The mean objective of some rows, by weights of 0 for all others."""
    weight = np.zeros(len(X))
    weight[rows] = 1.0 if sample_weight is None else sample_weight[rows]
    loss = _core.Loss(family, X, weight, field, n_threads, origin)
    return lambda theta: float(loss(theta)[0])


@contextmanager
def _progress(settings: MinibatchSettings, number: int) -> Iterator[Report]:
    """What shows the progress: nothing, a bar where tqdm is installed, or a line an epoch."""
    what = "held-out score" if settings.early_stopping else "objective"
    if not settings.verbose:
        yield lambda _: None
        return
    bar = progress_bar(f"start {number + 1}", settings.max_epochs, "epoch")
    if bar is None:
        epochs = iter(range(1, settings.max_epochs + 1))
        yield lambda value: print(f"start {number + 1}: epoch {next(epochs)}, {what} {value:.10g}", flush=True)
        return
    with bar:

        def report(value: float) -> None:
            bar.set_postfix_str(f"{what} {value:.6g}", refresh=False)
            bar.update()

        yield report
