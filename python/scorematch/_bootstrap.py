"""The bootstrap: θ estimated anew from resamples of the rows, to see how far it varies.

A resample has as many rows as the data, drawn from them with replacement. What is drawn are rows, each with the weight
that it has: a row of weight 2 is one observation that counts twice, as in the sandwich covariance, and not two that
happen to agree. Rows of weight 0 are not there at all. What the fit has settled once and for all, as the caps of a
weight that are quantiles of the data, stays as it is.

There are two ways. Families with a closed form see the data through sums alone, and these add up: the sums of a
resample are a linear combination of the sums of its rows, or of blocks of rows, so that the data are read once, and all
resamples together take one product of matrices (`estimate_from_sums`). All others are fitted to all rows under weights
that say how often each was drawn, from the θ of the model on, so that components keep their order and their signs
(`estimate_from_rows`). Either way the same seed draws the same rows, on any number of threads.

Blocks are made of rows chosen at random. To first order, θ of a resample less that of the data is a sum of terms G⁻¹gᵢ
with mean 0, over what was drawn. Of independent rows, the sums of gᵢ over blocks are independent too, and the sum of
their squares estimates what the sum of the squares of the rows does: the covariance is the same whether rows are drawn
or blocks. It comes from n_blocks terms in place of n, which gives each variance a relative error of about
√(2/n_blocks), beside that of √(2/n_resamples) from the number of resamples. So there are at least as many blocks as
resamples, and 1024 or more; and where the rows are not many more than that, each is a block, and the bootstrap is that
of rows.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scorematch._resamples import estimate_from_rows, estimate_from_sums, sums_of_blocks
from scorematch._side_by_side import Estimates
from scorematch._threads import effective_threads
from scorematch._validation import check_count, check_finite, check_verbose

Doubles = NDArray[np.float64]


def bootstrap_thetas(
    model: Any,
    X: ArrayLike,
    sample_weight: ArrayLike | None = None,
    n_resamples: int = 1000,
    random_state: Any = None,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> Doubles:
    """θ estimated anew from resamples of the rows.

    Parameters
    ----------
    model : ScoreMatchingEstimator
        A fitted model; it is not changed.
    X : array_like of shape (n_samples, n_features)
        The data of the fit.
    sample_weight : array_like of shape (n_samples,), optional
        Weights of the rows, which go with them when they are drawn; all 1 where None.
    n_resamples : int, default=1000
        How many resamples.
    random_state : int, RandomState or None
        Seed or generator of the draws.
    n_jobs : int, optional
        Number of threads, on which estimates are made side by side; None and -1 mean all processors that the process
        may use. Results do not depend on it.
    verbose : int, default=0
        1 shows the progress by a bar, if tqdm is installed.

    Returns
    -------
    ndarray of shape (n_resamples, n_params)
        A row of NaN where a resample gave no estimate: where the fit raised an error or did not converge.

    Raises
    ------
    ValueError
        Where fewer than two resamples gave an estimate.

    Warns
    -----
    UserWarning
        Where some resamples gave no estimate: how many, and why the first did not.

    References
    ----------
    Efron (1979), "Bootstrap methods: another look at the jackknife", Annals of Statistics 7, section 2.
    """
    model._check_is_fitted()
    check_count("n_resamples", n_resamples, lowest=2)
    check_verbose(verbose)
    n_threads = effective_threads(n_jobs)
    if not model._family:
        n_threads = 1  # functions of the user's need not bear to be called by several threads
    random = _generator(random_state)
    estimates = Estimates(int(n_resamples), len(model.theta_), n_threads)
    model = model._for_refits(int(random.integers(2**31 - 1)))
    rows, weight = model._training_rows(X, sample_weight)
    check_finite(rows)  # which a family may leave to its sums; those of blocks would not tell the row
    if not hasattr(model, "weight_"):  # a model from parameters
        model._settle_weight(rows, weight)
    # The package's own warnings are held back, a thread at a time; filters, which are the process's, catch all others.
    with warnings.catch_warnings(), estimates.shown(verbose):
        warnings.simplefilter("ignore")
        blocks = sums_of_blocks(model, rows, weight, int(n_resamples), random)
        if blocks is None:
            estimate_from_rows(model, rows, weight, random, estimates)
        else:
            estimate_from_sums(model, *blocks, random, estimates)
    estimates.tell_of_failures(type(model).__name__)
    return estimates.thetas


def bootstrap_intervals(thetas: Doubles, level: float = 0.95) -> Doubles:
    """Percentile intervals of each parameter.

    Parameters
    ----------
    thetas : ndarray of shape (n_resamples, n_params)
        What resamples gave, as from :func:`bootstrap_thetas`, or a function of each row of it; rows with NaN are left
        out.
    level : float, default=0.95
        The share of the resamples within each interval.

    Returns
    -------
    ndarray of shape (n_params, 2)
        The lower and the upper end. Any monotone function of a parameter has the function of these ends for its
        interval.

    References
    ----------
    Efron and Tibshirani (1993), "An introduction to the bootstrap", section 13.3.
    """
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1; got {level!r}")
    found = thetas[np.isfinite(thetas).all(axis=1)]
    if len(found) < 2:
        raise ValueError(f"intervals need at least 2 resamples that gave an estimate; got {len(found)}")
    return np.quantile(found, [(1 - level) / 2, (1 + level) / 2], axis=0).T


def covariance_of_resamples(thetas: Doubles) -> Doubles:
    """The covariance matrix of what resamples gave, (q, q); rows with NaN are left out."""
    found = thetas[np.isfinite(thetas).all(axis=1)]
    return np.atleast_2d(np.cov(found, rowvar=False))


def _generator(random_state: Any) -> np.random.Generator:
    from sklearn.utils import check_random_state

    return np.random.default_rng(check_random_state(random_state).randint(2**31 - 1, size=4))
