"""What families share that have no closed form and may have very many rows: L-BFGS on all of them, or minibatches."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from scorematch import _core
from scorematch._field import is_tabulated
from scorematch._minibatch import MinibatchSettings, minimise_in_minibatches
from scorematch._optimize import Loss, Minimum, Settings, Variables, best_of, minimise
from scorematch._validation import Floats
from scorematch._whole_data import WholeDataEstimator
from scorematch._windham import exponent_of

Doubles = NDArray[np.float64]


class IterativeEstimator(WholeDataEstimator):
    """Base of families that are fitted by iteration, from several starts.

    The options are arguments of the family's constructor, under the names and with the defaults that ICA has.
    """

    # Attributes of the fit that are not part of the model.
    history_: Doubles

    tol: float
    max_iter: int
    batch_size: int | None
    learning_rate_init: float
    max_epochs: int
    early_stopping: bool
    validation_fraction: float
    n_iter_no_change: int
    verbose: int

    @property
    def _counted(self) -> str:
        return "iteration" if self.batch_size is None else "epoch"

    def _settings(self) -> Settings | MinibatchSettings:
        """The options of the optimiser, checked."""
        # Those of the optimiser that is not used are checked too: a slip in them is a slip.
        all_rows = Settings(self.tol, self.max_iter, self.verbose)
        minibatches = MinibatchSettings(
            1 if self.batch_size is None else self.batch_size,
            self.learning_rate_init,
            self.max_epochs,
            self.early_stopping,
            self.validation_fraction,
            self.n_iter_no_change,
            self.tol,
            self.verbose,
        )
        if self.batch_size is not None:
            if exponent_of(self) > 0:
                raise ValueError(
                    "robust weighs rows against all others, and so needs them at once: leave batch_size=None"
                )
            return minibatches
        if self.early_stopping:
            raise ValueError(
                "early_stopping=True is for minibatches: pass batch_size. Without it, all rows are used at once, and "
                "none are held out"
            )
        return all_rows

    def _field_of_fit(self, X: Floats) -> _core.Field:
        """The field at the rows that the optimiser sees, which need not be on the data's own scale."""
        return self._field(X)

    def _first_remedy(self) -> str:
        """What to try first where a fit has not converged."""
        return "a larger max_iter" if self.batch_size is None else "a larger max_epochs, another learning_rate_init"

    def _minimise(
        self,
        family: _core.Family,
        X: Floats,
        sample_weight: Doubles | None,
        starts: Iterable[Doubles],
        *,
        scale: Doubles,
        unit: float,
        random: np.random.RandomState,
        origin: Doubles | None = None,
        fault: Callable[[Doubles], str] = lambda _: "",
        variables: Variables | None = None,
        unit_rows: tuple[int, int] = (0, 0),
        n_positive: int = 0,
    ) -> Minimum:
        """The best minimum over all starts, by L-BFGS or on minibatches as the options say.

        Sets `converged_`, `n_iter_` and `history_`. The arguments are those of `minimise`. `random` gives the order of
        the rows of minibatches; starts may draw from it too. The family sees X − `origin`, without a copy. L-BFGS goes
        in `variables`; minibatches go in θ itself and keep what `unit_rows` and `n_positive` say of it (see
        `minimise_in_minibatches`).
        """
        settings, field, n_threads = self._settings(), self._field_of_fit(X), self._threads()
        if isinstance(settings, Settings):
            loss: Loss = _core.Loss(family, X, sample_weight, field, n_threads, origin)
            theta_of: Callable[[Doubles], Doubles] = np.asarray
            if variables is not None:
                loss, theta_of, starts = variables.loss(loss), variables.theta, map(variables.of, starts)
            minimum = minimise(
                loss,
                starts,
                scale=scale,
                unit=unit,
                eps=float(np.finfo(X.dtype).eps),
                settings=settings,
                fault=lambda phi: fault(theta_of(phi)),
            )
            minimum = replace(minimum, theta=theta_of(minimum.theta))
        else:
            minibatches = functools.partial(
                minimise_in_minibatches,
                family,
                X,
                sample_weight,
                field,
                scale=scale,
                unit=unit,
                settings=settings,
                n_threads=n_threads,
                origin=origin,
                fault=fault,
                unit_rows=unit_rows,
                n_positive=n_positive,
                rows_apart=self._is_exact and not is_tabulated(self._domain(), self._settled_weight(X)),
            )
            seeds = iter(lambda: int(random.randint(np.iinfo(np.int32).max)), None)
            numbered = enumerate(zip(starts, seeds, strict=False))
            minimum = best_of(
                (minibatches(start, seed=seed, number=number) for number, (start, seed) in numbered), settings.verbose
            )
        self.converged_, self.n_iter_ = minimum.converged, minimum.n_iter
        self.history_ = np.array(minimum.history)
        return minimum
