"""The kernel Stein discrepancy, and its test of goodness of fit."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from numbers import Real
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone
from sklearn.utils import check_random_state

from scorematch import _core
from scorematch._base import ScoreMatchingEstimator
from scorematch._validation import Floats, check_count
from scorematch.diagnostics._operator import ScoreFunction, SteinOperator, n_threads_of

Doubles = NDArray[np.float64]
Kernel = Literal["imq", "gaussian"]

# Rows of which the median distance is taken; of more, a random part.
MEDIAN_ROWS = 1000


@dataclass(frozen=True, eq=False)
class KernelSteinTest:
    """Result of :func:`kernel_stein_test`.

    Parameters
    ----------
    statistic : float
        The squared kernel Stein discrepancy as a V-statistic, the mean of u over all pairs of rows, each with itself
        among them. Never negative; 0 for a perfect fit in an infinite sample.
    p_value : float
        Of the hypothesis that the rows are independent draws of the model.
    u_statistic : float
        The mean over pairs of different rows, an estimate without bias that may be negative.
    kernel : str
        "imq" or "gaussian".
    bandwidth : float
        The kernel's, in the units of the data.
    n_samples : int
        Number of rows.
    composite : bool
        Whether the draws are of refitted models.
    draws : ndarray of shape (n_bootstrap,)
        What the bootstrap says `statistic` might have been under the hypothesis.

    Examples
    --------
    >>> import numpy as np
    >>> from scorematch.diagnostics import kernel_stein_test
    >>> X = np.random.default_rng(0).normal(size=(200, 1))
    >>> result = kernel_stein_test(lambda x: -x, X, random_state=0)
    >>> result.n_samples, len(result.draws), result.p_value > 0.05
    (200, 1000, True)
    """

    statistic: float
    p_value: float
    u_statistic: float
    kernel: Kernel
    bandwidth: float
    n_samples: int
    composite: bool
    draws: Doubles = field(repr=False)

    def __str__(self) -> str:
        critical = float(np.quantile(self.draws, 0.95))
        return (
            f"Kernel Stein test: squared discrepancy {self.statistic:.4g} (under the model, 95 % lie below "
            f"{critical:.4g}), p = {self.p_value:.3g}; {self.n_samples} rows, {self.kernel} kernel of bandwidth "
            f"{self.bandwidth:.4g}, {len(self.draws)} {'refits' if self.composite else 'draws of the wild bootstrap'}"
        )


def kernel_stein_test(
    model: ScoreMatchingEstimator | ScoreFunction,
    X: ArrayLike,
    kernel: Kernel = "imq",
    bandwidth: float | Literal["median"] = "median",
    n_bootstrap: int = 1000,
    random_state: Any = None,
    n_jobs: int | None = None,
    *,
    composite: bool = False,
) -> KernelSteinTest:
    r"""Test whether data come from a model whose normalising constant is unknown.

    The statistic is the squared kernel Stein discrepancy, as a V-statistic

    .. math:: \frac{1}{n^2} \sum_{i,j} u(x_i, x_j), \qquad u(x, y) = T_x T_y\, k(x, y),

    where T is the Stein operator of the model, :math:`T f = \operatorname{tr}\nabla f + \psi^\top f` on all of space
    with the score function :math:`\psi`. Written out,
    :math:`u = \psi(x)^\top\psi(y)\,k + \psi(x)^\top\nabla_y k + \psi(y)^\top\nabla_x k +
    \operatorname{tr}\nabla_x\nabla_y^\top k`. Where the data follow the model, the mean of :math:`u(x, \cdot)` is 0 for
    every x.

    On a domain with a boundary the operator is that of the model's objective,
    :math:`T f = \operatorname{tr}(A\nabla f) + (A\psi + b)^\top f` with the weights A = diag(a), which are 0 on the
    boundary, and their derivatives b: so the identity holds there too, without a term for the boundary. On the sphere
    A is :math:`I - xx^\top` and b is :math:`-(d-1)x`.

    The distribution of the statistic under the hypothesis is that of :math:`\frac{1}{n^2}\sum_{i,j} w_i w_j u(x_i,
    x_j)` with independent signs :math:`w_i` (the wild bootstrap, right for degenerate V-statistics of independent
    rows). Since :math:`w_i^2 = 1`, U- and V-statistic give the same p value.

    Parameters
    ----------
    model : fitted model or callable
        A fitted model of any family, or one made by ``from_params``; or a score function of your own on all of space,
        from an array of shape (n_samples, n_features) to one of the same shape.
    X : array_like of shape (n_samples, n_features)
        The data, independent rows, at least two. In float32 u is worked out in float32; sums are in double.
    kernel : {"imq", "gaussian"}, default="imq"
        The inverse multiquadric :math:`(1 + \|x-y\|^2/h^2)^{-1/2}`, which also sees mass that escapes to infinity
        (Gorham and Mackey 2017), or :math:`\exp(-\|x-y\|^2/2h^2)`. Both are isotropic: columns of very different
        scales should be standardised before the model is fitted.
    bandwidth : float or "median", default="median"
        h, in the units of the data. "median" is the median of the pairwise distances that are not 0, of all rows or of
        1000 of them at random.
    n_bootstrap : int, default=1000
        Number of draws. The p value is (1 + the number of draws that are no smaller) / (1 + their number).
    random_state : int, RandomState or None
        Seed of the bootstrap, and of the rows for the median.
    n_jobs : int, optional
        Number of threads; None means as many as the model has, -1 all processors. The result is the same, to the last
        bit, for any number.
    composite : bool, default=False
        Whether the hypothesis is the family, with whatever parameters, and the model was fitted to X. Then the draws
        are those of a parametric bootstrap: samples of the model as large as X, each with the discrepancy of a model
        that is fitted to it. It takes a model with a sampler, and `n_bootstrap` fits.

    Returns
    -------
    KernelSteinTest
        ``statistic``, ``p_value`` and how they came about.

    Raises
    ------
    ValueError
        Where X does not suit the model, its rows are all the same, or the discrepancy is out of the range of its type.

    See Also
    --------
    kernel_stein_discrepancy : The statistic alone.
    stein_check : Which column departs from the model, and how.

    Notes
    -----
    Where the parameters were estimated from the same data, the statistic is smaller than under a fixed model, and the
    p value too large: a small one still speaks against the model. Rows that were left out of the fit give an exact
    level, and so does ``composite=True``.

    Time grows with the square of the number of rows, n² (d + n_bootstrap / 8) operations; memory does not.

    References
    ----------
    Liu, Lee and Jordan (2016), "A kernelized Stein discrepancy for goodness-of-fit tests", ICML.
    Chwialkowski, Strathmann and Gretton (2016), "A kernel test of goodness of fit", ICML, section 3.
    Gorham and Mackey (2017), "Measuring sample quality with kernels", ICML, section 4.

    Examples
    --------
    >>> import numpy as np
    >>> import scorematch
    >>> X = np.random.default_rng(0).normal(size=(500, 2))
    >>> model = scorematch.Gaussian.from_params(mean=[0.0, 0.0], covariance=np.eye(2))
    >>> bool(scorematch.kernel_stein_test(model, X, random_state=0).p_value > 0.05)
    True
    >>> bool(scorematch.kernel_stein_test(model, X + 0.3, random_state=0).p_value < 0.01)
    True
    """
    n_draws = check_count("n_bootstrap", n_bootstrap)
    random = check_random_state(random_state)
    operator = SteinOperator.of(model, X)
    h = _checked_bandwidth(bandwidth, operator.points, random)
    seed = int(random.randint(np.iinfo(np.int64).max, dtype=np.int64))
    n, n_threads = len(operator.points), n_threads_of(model, n_jobs)
    diagonal, pairs, signed = _sums(operator, kernel, h, 0 if composite else n_draws, seed, n_threads)
    statistic = (diagonal + 2 * pairs) / n**2
    draws = _of_refits(model, n, kernel, h, n_draws, random, n_threads) if composite else (diagonal + 2 * signed) / n**2
    return KernelSteinTest(
        statistic=statistic,
        p_value=(1 + int(np.count_nonzero(draws >= statistic))) / (1 + n_draws),
        u_statistic=2 * pairs / (n * (n - 1)),
        kernel=kernel,
        bandwidth=h,
        n_samples=n,
        composite=composite,
        draws=draws,
    )


def kernel_stein_discrepancy(
    model: ScoreMatchingEstimator | ScoreFunction,
    X: ArrayLike,
    kernel: Kernel = "imq",
    bandwidth: float | Literal["median"] = "median",
    random_state: Any = None,
    n_jobs: int | None = None,
) -> float:
    """Give the squared kernel Stein discrepancy between data and a model, a V-statistic.

    How far a sample is from a model, for comparing samplers or approximations; :func:`kernel_stein_test` says what it
    is, and whether it is larger than chance makes it.

    Parameters
    ----------
    model : fitted model or callable
        As for :func:`kernel_stein_test`.
    X : array_like of shape (n_samples, n_features)
        The data, at least two rows.
    kernel : {"imq", "gaussian"}, default="imq"
        The kernel. Values of different kernels or bandwidths cannot be compared.
    bandwidth : float or "median", default="median"
        Its bandwidth, in the units of the data.
    random_state : int, RandomState or None
        Seed of the rows for the median.
    n_jobs : int, optional
        Number of threads; None means as many as the model has, -1 all processors.

    Returns
    -------
    float
        The mean of u over all pairs of rows; not negative but for rounding.

    Examples
    --------
    >>> import numpy as np
    >>> from scorematch.diagnostics import kernel_stein_discrepancy
    >>> X = np.random.default_rng(0).normal(size=(500, 2))
    >>> near, far = (kernel_stein_discrepancy(lambda x: -x, X + shift, bandwidth=1.0) for shift in (0.0, 1.0))
    >>> near < far
    True
    """
    operator = SteinOperator.of(model, X)
    h = _checked_bandwidth(bandwidth, operator.points, check_random_state(random_state))
    diagonal, pairs, _ = _sums(operator, kernel, h, 0, 0, n_threads_of(model, n_jobs))
    return (diagonal + 2 * pairs) / len(operator.points) ** 2


def _sums(
    operator: SteinOperator, kernel: Kernel, bandwidth: float, n_draws: int, seed: int, n_threads: int
) -> tuple[float, float, Doubles]:
    """Sums of u over i = j and over i < j, and draws of the latter."""
    X, s, unit = operator.points, operator.s, 1.0
    a: Floats | None = operator.a
    if a is not None:  # u has the size of the square of the weights, which might leave the range of float32
        unit = float(a.max())
        s, a = (s / unit).astype(X.dtype), (a / unit).astype(X.dtype)
    diagonal, pairs, draws = _core.kernel_stein(
        X, s, a, operator.on_sphere, kernel, bandwidth, n_draws, seed, n_threads
    )
    diagonal, pairs, draws = unit**2 * diagonal, unit**2 * pairs, unit**2 * draws
    if not (unit**2 > 0 and np.isfinite([diagonal, pairs]).all() and np.isfinite(draws).all()):
        raise ValueError(
            f"the kernel Stein discrepancy is out of the range of {operator.points.dtype} for columns of this size and "
            f"bandwidth={bandwidth:.4g}: rescale X, or pass another bandwidth"
        )
    return diagonal, pairs, draws


def _of_refits(
    model: Any, n: int, kernel: Kernel, bandwidth: float, n_draws: int, random: np.random.RandomState, n_threads: int
) -> Doubles:
    """The statistic at samples of the model, each with a model of its own fitted to it."""
    if not isinstance(model, ScoreMatchingEstimator) or not callable(getattr(model, "sample", None)):
        raise ValueError(f"composite=True needs a model that can be fitted and drawn from; {model!r} cannot")
    statistics = np.empty(n_draws)
    for draw in range(n_draws):
        X = model.sample(n, random_state=random)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what was to be said of the fit has been said of the first
            operator = SteinOperator.of(clone(model).fit(X), X)
        diagonal, pairs, _ = _sums(operator, kernel, bandwidth, 0, 0, n_threads)
        statistics[draw] = (diagonal + 2 * pairs) / n**2
    return statistics


def _checked_bandwidth(bandwidth: object, X: Floats, random: np.random.RandomState) -> float:
    if len(X) < 2:
        raise ValueError(f"a kernel Stein discrepancy needs at least 2 rows of X; got {len(X)}")
    if isinstance(bandwidth, str) and bandwidth == "median":
        bandwidth = median_distance(X, random)
        if not np.isfinite(bandwidth):
            raise ValueError("distances between rows of X are out of the range of float64: rescale X")
        return bandwidth
    if isinstance(bandwidth, Real) and not isinstance(bandwidth, bool) and 0 < float(bandwidth) < np.inf:
        return float(bandwidth)
    raise ValueError(f"bandwidth must be 'median' or a positive number; got {bandwidth!r}")


def median_distance(X: Floats, random: np.random.RandomState) -> float:
    """The median distance between different rows, of all of them or of a random part.

    Pairs of equal rows are left out: were half of them equal, the median would be 0, and no bandwidth.
    """
    from scipy.spatial.distance import pdist

    rows = X if len(X) <= MEDIAN_ROWS else X[random.choice(len(X), MEDIAN_ROWS, replace=False)]
    distances = pdist(rows.astype(np.float64))
    distances = distances[distances > 0]
    if not len(distances):
        raise ValueError(
            f"bandwidth='median' needs rows that differ; the {len(rows)} rows of X that were looked at are all the "
            "same. Pass a number"
        )
    return float(np.median(distances))
