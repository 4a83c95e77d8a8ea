"""The multivariate Student t, on all of space and truncated to a domain."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular
from scipy.special import gammaln
from sklearn.utils import check_random_state

from scorematch import _core
from scorematch._base import Loss
from scorematch._moments import Moments
from scorematch._objectives import ObjectiveName, ProjectionName
from scorematch._optimize import Settings, minimise, warn_unless_converged
from scorematch._validation import Floats, check_count, check_parameter, check_positive_definite
from scorematch._warnings import warn
from scorematch._whole_data import WholeDataEstimator
from scorematch.domains import Domain
from scorematch.weights import Weight

Doubles = NDArray[np.float64]

# The largest df that may be given: a Gaussian to all digits that matter.
LARGEST_DF = 1e12
# The range of estimates of df, and that outside of which they have run towards a limit of the model.
ESTIMATES_OF_DF, SENSIBLE_DF = (0.02, 1e8), (0.03, 1e3)
# Degrees of freedom that a start chooses among, from the one in the middle on.
START_DFS = np.array([0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 4.0, 6.0, 9.0, 14.0, 25.0, 50.0, 100.0])
# A scale that is below this share of the start's in some direction has collapsed, both taken where densities are
# highest; a start that shrinks so far on its way stops there.
COLLAPSED = 0.01
# Starts look at no more rows, and improve so many times.
START_ROWS, START_ROUNDS = 20_000, 20


class StudentT(WholeDataEstimator):
    r"""Multivariate Student t distribution, with degrees of freedom given or estimated.

    .. math:: \log p(x) = -\tfrac12(\nu+d) \log\bigl(1 + q/\nu\bigr) + \text{const},
        \qquad q = (x-\mu)^\top \Sigma^{-1} (x-\mu)

    With :math:`s = \Sigma^{-1}(x-\mu)` and :math:`\omega = (\nu+d)/(\nu+q)`, the score function is
    :math:`\psi = -\omega s` and the Hessian trace
    :math:`\tfrac{2}{\nu+d}\,\omega^2\|s\|^2 - \omega\operatorname{tr}\Sigma^{-1}`.

    The normaliser is known on all of space, and maximum likelihood is more efficient there: the variance of its
    estimate of the scale is 81, 63 and 48 % of that of score matching for 10, 5 and 3 degrees of freedom. Score
    matching is for what it cannot do: truncated domains, and models of which this one is a part.

    Parameters
    ----------
    df : float, optional
        Degrees of freedom :math:`\nu`, positive; estimated where None.
    domain : Domain, optional
        Where the data live, one of :mod:`scorematch.domains` or an object of your own with ``contains`` and
        ``coordinate_distance``; all of space where None.
    weight : Weight, optional
        On a domain with a boundary, one of :mod:`scorematch.weights` or a pair of functions h and h′; where None, the
        one that :func:`scorematch.weights.default_weight` chooses.
    n_init : int, default=1
        Number of starts, of which the best is kept. One is enough unless the data are few or far from the model.
    tol : float, default=1e-6
        The gradient at which to stop, in units of the data's scale.
    max_iter : int, default=1000
        Limit of the iterations of one start.
    robust : float, default=0.0
        Exponent c of Windham's weights: a row counts by the c-th power of the density that is fitted to it, which takes
        outliers out of the estimate; 0 is the ordinary fit. See the notes of :class:`Gaussian`.
    n_jobs : int, optional
        Number of threads; None and -1 mean all processors that the process may use. Results do not depend on it.
    random_state : int, RandomState or None
        Seed of the starts beyond the first, which is not random, and of the random vectors of an `objective` that is
        not exact.
    verbose : int, default=0
        1 prints the progress.
    objective : {"exact", "sliced", "denoising", "finite_difference"}, default="exact"
        What is minimised: the objective with the exact Hessian trace, or one that does without it by random vectors
        (sliced score matching), noise (denoising score matching) or differences of the log density. See the notes of
        :class:`Gaussian`.
    n_projections, projection, variance_reduction, noise_scale, difference_step : optional
        Options of an `objective` that is not exact: how many random vectors a row has, their law ("rademacher",
        "gaussian" or "sphere"), whether what has a known mean is taken by that, the standard deviation of the noise
        (several for several levels), and the step of differences (where None, a tenth of the smallest standard
        deviation of a column). See the notes of :class:`Gaussian`.

    Attributes
    ----------
    location_ : ndarray of shape (n_features,)
        The centre :math:`\mu`; on a domain with a boundary that of the distribution before truncation.
    scale_, precision_ : ndarray of shape (n_features, n_features)
        The scale matrix :math:`\Sigma` and its inverse. The covariance is :math:`\Sigma\,\nu/(\nu-2)` for
        :math:`\nu > 2`.
    df_ : float
        The degrees of freedom, given or estimated.
    theta_ : ndarray of shape (n_params,)
        ``location`` (n_features,); ``cholesky``, the lower Cholesky factor of the scale matrix, row by row, with the
        logarithm of its diagonal; and, where it is estimated, ``log_df``.
    theta_names_ : list of str
        Names of the entries of ``theta_``.
    params_ : dict
        ``location``, ``scale`` and ``df``, the arguments of :meth:`from_params`, which also takes ``precision`` in
        place of ``scale``. A model made from parameters takes ``df`` as given.
    objective_ : float
        The objective at the estimate.
    converged_ : bool
        Whether the best start converged.
    n_iter_ : int
        Its number of iterations.
    weight_ : Weight or None
        The weight that was used, with its caps in numbers.
    robust_weights_, n_reweightings_ : ndarray of shape (n_samples,), int
        With `robust`: Windham's weights at the estimate, of mean 1, and how many times they were made anew.
    noise_seed_, difference_step_ : int, float
        With an `objective` that is not exact: the seed of its random vectors, and with "finite_difference" its step.
    n_features_in_ : int
        Number of columns seen by ``fit``.

    Notes
    -----
    Estimates of `df` lie between 0.02 and 1e8. Where the tails of the data are no heavier than those of a Gaussian,
    the estimate runs to the upper end, where the objective hardly depends on it, and a warning says so: then
    :class:`Gaussian` is the model, which needs no iterations.

    Tails decide what `df` is, and `robust` takes their weight: of less than some thousand rows give `df`, which makes a
    robust model by itself, or leave ``robust=0``.

    The exact sampler of :meth:`sample` divides a Gaussian by the root of a chi-squared variable.

    The objective has no lower bound when a scale collapses on a row, or on rows that agree in one direction. The
    estimate is the minimum next to the start, which is that of maximum likelihood on all of space, of up to 20 000
    rows. Where the descent leads to a collapse all the same, as it may with few rows and many columns, a warning says
    so.

    References
    ----------
    Hyvärinen (2005), "Estimation of non-normalized statistical models by score matching", JMLR 6, equation 4.
    Kotz and Nadarajah (2004), "Multivariate t distributions and their applications", equation 1.1.
    Lange, Little and Taylor (1989), "Robust statistical modeling using the t distribution", JASA 84: the starts.

    Examples
    --------
    >>> import numpy as np
    >>> import scorematch
    >>> true = scorematch.StudentT.from_params(location=[1.0, -1.0], scale=[[1.0, 0.5], [0.5, 2.0]], df=4.0)
    >>> X = true.sample(20_000, random_state=0)
    >>> model = scorematch.StudentT().fit(X)
    >>> np.round(model.location_, 1), bool(abs(model.df_ - 4) < 0.5)
    (array([ 1., -1.]), True)
    """

    _family: ClassVar[str] = "student_t"
    _required_params: ClassVar[tuple[str, ...]] = ("location",)
    # And df, which is an option as well.
    _optional_params: ClassVar[tuple[str, ...]] = ("scale", "precision")

    location_: Doubles
    scale_: Doubles
    precision_: Doubles
    df_: float

    def __init__(
        self,
        df: float | None = None,
        *,
        domain: Domain | None = None,
        weight: Weight | None = None,
        n_init: int = 1,
        tol: float = 1e-6,
        max_iter: int = 1000,
        robust: float = 0.0,
        n_jobs: int | None = None,
        random_state: Any = None,
        verbose: int = 0,
        objective: ObjectiveName = "exact",
        n_projections: int = 1,
        projection: ProjectionName = "rademacher",
        variance_reduction: bool = True,
        noise_scale: float | Sequence[float] | None = None,
        difference_step: float | None = None,
    ) -> None:
        self.df = df
        self.domain = domain
        self.weight = weight
        self.n_init = n_init
        self.tol = tol
        self.max_iter = max_iter
        self.robust = robust
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose
        self.objective = objective
        self.n_projections = n_projections
        self.projection = projection
        self.variance_reduction = variance_reduction
        self.noise_scale = noise_scale
        self.difference_step = difference_step

    def _sampler(self, random: np.random.RandomState) -> Callable[[int], Doubles]:
        factor = np.linalg.cholesky(self.scale_)

        def draw(n: int) -> Doubles:
            noise = random.standard_normal((n, len(factor))) @ factor.T
            # Of few degrees of freedom, draws may be too small for a double.
            shrink = np.maximum(random.chisquare(self.df_, size=n) / self.df_, np.finfo(float).tiny)
            return np.asarray(self.location_ + noise / np.sqrt(shrink)[:, None])

        return draw

    # -- what the base asks for ----------------------------------------------------------------------------------

    def _constants(self) -> list[float]:
        return [] if self.df is None else [float(self.df)]

    def _check_options(self) -> None:
        check_count("n_init", self.n_init)
        if self.df is not None:
            _check_df(self.df)

    def _theta_from_params(self, params: dict[str, Any]) -> tuple[int, Doubles]:
        if self.df is None:
            raise TypeError("StudentT.from_params() needs 'df'")
        self.df = float(check_parameter("df", self.df, ()))
        self._check_options()
        location = check_parameter("location", params["location"], (None,))
        d = len(location)
        given = [name for name in ("scale", "precision") if params.get(name) is not None]
        if len(given) != 1:
            raise TypeError("StudentT.from_params() takes one of scale and precision")
        matrix = check_positive_definite(given[0], check_parameter(given[0], params[given[0]], (d, d)))
        scale = matrix if given[0] == "scale" else _inverse_from_factor(_cholesky(matrix))
        return d, _pack(location, _cholesky(scale))

    def _set_params_from_theta(self) -> None:
        d = self.n_features_in_
        self.location_, factor = _unpack(self.theta_, d)
        self.scale_ = factor @ factor.T
        self.precision_ = _inverse_from_factor(factor)
        self.df_ = float(np.exp(self.theta_[-1])) if self.df is None else float(self.df)
        self.params_ = {"location": self.location_, "scale": self.scale_, "df": np.asarray(self.df_)}

    def _at_bounds(self) -> dict[int, str]:
        lowest, highest = SENSIBLE_DF
        if self.df is not None or lowest <= self.df_ <= highest:
            return {}
        return {len(self.theta_) - 1: f"df_ has run to {self.df_:.3g}, where the objective hardly depends on it"}

    # -- fitting -------------------------------------------------------------------------------------------------

    def _fit(self, X: Floats, sample_weight: Doubles | None) -> None:
        self._check_options()
        Settings(self.tol, self.max_iter, self.verbose)  # so that slips are seen before the start, which takes time
        n = len(X) if sample_weight is None else int(np.count_nonzero(sample_weight))
        if n < 2:
            raise ValueError(
                f"StudentT needs at least 2 samples{'' if sample_weight is None else ' of positive weight'}; "
                f"got n_samples = {n}"
            )
        frame = _Frame(*self._start(*_some_rows(X, sample_weight)), self.df is None)
        self._descend(X, sample_weight, frame, self._starts(frame))

    def _refit(self, X: Floats, sample_weight: Doubles | None) -> None:
        location, factor = _unpack(self.theta_, X.shape[1])
        # At its limits, an estimate of df would stay there.
        df = self.df_ if self.df is not None else float(np.clip(self.df_, START_DFS[0], START_DFS[-1]))
        frame = _Frame(location, factor, df, self.df is None)
        self._descend(X, sample_weight, frame, [frame.start(np.zeros(len(factor)), np.eye(len(factor)), df)])

    def _descend(self, X: Floats, sample_weight: Doubles | None, frame: _Frame, starts: Iterable[Doubles]) -> None:
        minimum = minimise(
            frame.loss(self._loss(X, sample_weight)),
            starts,
            scale=frame.sizes(),
            unit=frame.unit(),
            eps=float(np.finfo(X.dtype).eps),
            settings=Settings(self.tol, self.max_iter, self.verbose),
            fault=frame.collapse,
        )
        self.theta_, self.objective_ = frame.theta(minimum.theta), minimum.objective
        self.converged_, self.n_iter_ = minimum.converged, minimum.n_iter
        if minimum.fault:
            warn(
                f"{minimum.fault}, and so from every start: rows that agree in a point or in a direction, or that form "
                "clusters, draw the density to themselves, and there the objective has no lower bound. What is "
                "returned is the best start (the first is about that of maximum likelihood on all of space), not a "
                f"minimum. Try more rows (there must be more than {X.shape[1]} different ones), a larger df, Gaussian, "
                "or GaussianMixture if there are clusters; look for duplicated or rounded values"
            )
            return
        warn_unless_converged("StudentT", minimum, "a larger max_iter, df given, or rescaling the columns")
        if self.df is None:
            _warn_of_df(float(np.exp(self.theta_[-1])))

    def _starts(self, frame: _Frame) -> Iterator[Doubles]:
        """The frame itself, and others about it."""
        random = check_random_state(self.random_state)
        d = len(frame.location)
        yield frame.start(np.zeros(d), np.eye(d), frame.df)
        for _ in range(1, self.n_init):
            eta, scale = random.standard_normal(d) / 2, np.exp(random.uniform(-0.7, 0.7))
            yield frame.start(eta, scale * np.eye(d), np.exp(random.uniform(0, np.log(30))))

    def _start(self, rows: Floats, weight: Doubles | None) -> tuple[Doubles, Doubles, float]:
        """Location, factor of the scale and df by maximum likelihood on all of space, but for the last digits.

        By iteratively reweighted moments (Lange, Little and Taylor 1989), from medians and median absolute deviations.
        """
        d, eps = rows.shape[1], float(np.finfo(rows.dtype).eps)
        location, deviations = _centre_and_deviations(rows)
        factor, first = np.diag(deviations), None
        df = float(START_DFS[len(START_DFS) // 2] if self.df is None else self.df)
        for _ in range(START_ROUNDS):
            ratio = self._distances(rows, location, factor, df) / df
            share = 1 / (1 + ratio)
            moments = Moments.of(
                rows,
                share if weight is None else weight * share,
                diagonal=False,
                n_threads=self._threads(),
                shift=location.astype(rows.dtype).astype(np.float64),
            )
            better = _factor(moments.covariance, rows, d * eps)
            first = better if first is None else first
            if np.linalg.norm(solve_triangular(first, better, lower=True), -2) < COLLAPSED:
                break
            step = solve_triangular(better, moments.mean - location, lower=True)
            location, factor = moments.mean, better
            before = df
            if self.df is None:
                df = _likeliest_df(self._distances(rows, location, factor, df), weight, d)
            if df == before and np.abs(step).max() < 0.01:
                break
        return location, factor, df

    def _distances(self, rows: Floats, location: Doubles, factor: Doubles, df: float) -> Doubles:
        """The quadratic form q of each row, made of the log density, -(df + d)/2 log(1 + q/df)."""
        d = len(location)
        log_density = _core.evaluate(
            _core.Family(self._family, "", d, 0, [df]),
            _pack(location, factor),
            rows,
            _core.Field.euclidean(),
            ["log_density"],
            self._threads(),
            None,
        )["log_density"].astype(np.float64)
        with np.errstate(over="ignore"):
            return np.asarray(df * np.expm1(-2 / (df + d) * log_density))


@dataclass(frozen=True)
class _Frame:
    """The optimiser's own parameters φ: location and factor as seen from a start, and a root in place of df.

    With the start's m and L, μ = m + Lη and C = LK, so that η = 0 and K = I there and neither the units of the columns
    nor their correlations matter.

    The root r is that of 1/df, bent so that 1/df stays between its bounds: 1/df = a + b sin²(r/√b). Where the data ask
    for df = ∞ the objective has an ordinary minimum at r = 0, while in log df it would fall for ever, ever more slowly.
    """

    location: Doubles
    factor: Doubles
    df: float
    estimates_df: bool

    def start(self, eta: Doubles, kappa: Doubles, df: float) -> Doubles:
        """φ from η, K and df."""
        a, b = _bounds_of_inverse()
        root = [np.sqrt(b) * np.arcsin(np.sqrt(max(1 / df - a, 0) / b))] if self.estimates_df else []
        return np.concatenate([_pack(eta, kappa), root])

    def inverse_df(self, phi: Doubles) -> tuple[float, float]:
        """1/df and its derivative by the root."""
        a, b = _bounds_of_inverse()
        angle = phi[-1] / np.sqrt(b)
        return float(a + b * np.sin(angle) ** 2), float(np.sqrt(b) * np.sin(2 * angle))

    def theta(self, phi: Doubles) -> Doubles:
        """θ from φ."""
        d = len(self.location)
        rows, columns = np.tril_indices(d)
        eta, kappa = _unpack(phi, d)
        factor = (self.factor @ kappa)[rows, columns]
        # Not by way of the entries, which may be too small for a double.
        factor[rows == columns] = np.log(np.diagonal(self.factor)) + phi[d : d + len(rows)][rows == columns]
        log_df = [-np.log(self.inverse_df(phi)[0])] if self.estimates_df else []
        return np.concatenate([self.location + self.factor @ eta, factor, log_df])

    def loss(self, loss: Loss) -> Loss:
        """The objective in φ."""
        d = len(self.location)
        rows, columns = np.tril_indices(d)
        on_diagonal = rows == columns

        def in_frame(phi: Doubles) -> tuple[float, Doubles]:
            theta = self.theta(phi)
            value, slope = loss(theta)
            by_factor = np.zeros((d, d))
            by_factor[rows, columns] = slope[d : d + len(rows)]
            _, kappa = _unpack(phi, d)
            diagonal = np.arange(d)
            by_factor[diagonal, diagonal] /= np.diagonal(self.factor) * np.diagonal(kappa)
            by_kappa = (self.factor.T @ by_factor)[rows, columns]
            by_kappa[on_diagonal] *= np.diagonal(kappa)
            by_root: list[float] = []
            if self.estimates_df:
                inverse, by_inverse = self.inverse_df(phi)
                by_root = [-slope[-1] / inverse * by_inverse]
            return value, np.concatenate([self.factor.T @ slope[:d], by_kappa, by_root])

        return in_frame

    def shares(self) -> Doubles:
        """What each coordinate of η adds to the objective, which is the squared length of L⁻ᵀ times its gradient."""
        squares = np.sum(solve_triangular(self.factor, np.eye(len(self.factor)), lower=True) ** 2, axis=1)
        return np.asarray(squares)

    def unit(self) -> float:
        """The size of the objective."""
        return float(self.shares().sum())

    def sizes(self) -> Doubles:
        """The size of each entry of φ that changes the objective by one unit."""
        share = self.shares() / self.unit()
        rows, columns = np.tril_indices(len(share))
        curvature = np.concatenate([share, share[rows] + share[columns], [1.0] if self.estimates_df else []])
        return np.asarray(np.maximum(curvature, 1e-6) ** -0.5)

    def collapse(self, phi: Doubles) -> str:
        """In words, that the scale vanishes in some direction; empty where it does not."""
        d = len(self.location)
        with np.errstate(over="ignore", invalid="ignore"):
            _, kappa = _unpack(phi, d)
            df = 1 / self.inverse_df(phi)[0] if self.estimates_df else self.df
            # At the centre the density has the curvature (1 + d/ν)Σ⁻¹, whatever ν is.
            widening = np.sqrt((1 + d / self.df) / (1 + d / df))
            sound = np.isfinite(kappa).all() and widening * np.linalg.norm(kappa, -2) > COLLAPSED
        return "" if sound else "the scale collapses"


def _bounds_of_inverse() -> tuple[float, float]:
    """The least 1/df that is estimated, and the span of all."""
    least, most = 1 / ESTIMATES_OF_DF[1], 1 / ESTIMATES_OF_DF[0]
    return least, most - least


def _check_df(df: object) -> None:
    if not isinstance(df, Real) or isinstance(df, bool) or not 0 < float(df) <= LARGEST_DF:
        raise ValueError(f"df must be a positive number of at most {LARGEST_DF:g}, or None; got {df!r}")


def _warn_of_df(df: float) -> None:
    """Say so where the degrees of freedom have run to a limit."""
    lowest, highest = SENSIBLE_DF
    if df > highest:
        warn(
            f"df_ has run to {df:.3g}: the tails of the data are no heavier than those of a Gaussian, the limit of the "
            "model for large df, and the objective hardly depends on df there. Gaussian is the model to fit, or "
            "GaussianMixture if there is more than one cluster"
        )
    elif df < lowest:
        warn(
            f"df_ has run to {df:.3g}: the data are more peaked, and their tails heavier, than those of any Student t. "
            "Give df, and look for duplicated or rounded values"
        )


def _some_rows(X: Floats, sample_weight: Doubles | None) -> tuple[Floats, Doubles | None]:
    """Rows for a start, evenly spread over those of positive weight, and their weights."""
    if sample_weight is None:
        return X[:: -(-len(X) // START_ROWS)], None
    positive = np.flatnonzero(sample_weight)
    chosen = positive[:: -(-len(positive) // START_ROWS)]
    return X[chosen], sample_weight[chosen]


def _centre_and_deviations(rows: Floats) -> tuple[Doubles, Doubles]:
    """Medians and deviations of the columns; an error that names the first column which is constant."""
    location = np.median(rows, axis=0).astype(np.float64)
    distances = np.abs(rows - location).astype(np.float64)
    constant = distances.max(axis=0) <= 4 * np.finfo(rows.dtype).eps * np.abs(location)
    if constant.any():
        raise ValueError(
            f"column {int(np.argmax(constant))} of X is constant, or all but constant: the scale in that direction is "
            "0. Drop the column"
        )
    deviations = 1.4826 * np.median(distances, axis=0)
    unknown = deviations == 0  # more than half of the column is the same number
    deviations[unknown] = np.sqrt(np.mean(distances[:, unknown] ** 2, axis=0))
    return location, deviations


def _likeliest_df(distances: Doubles, weight: Doubles | None, d: int) -> float:
    """The df among those of a start under which the distances are likeliest."""
    half, distances = START_DFS / 2, np.minimum(distances, 1e300)
    logs = [np.average(np.log1p(distances / df), weights=weight) for df in START_DFS]
    likelihood = gammaln(half + d / 2) - gammaln(half) - d / 2 * np.log(half) - (half + d / 2) * np.asarray(logs)
    return float(START_DFS[np.argmax(likelihood)])


def _factor(covariance: Doubles, rows: Floats, rounding: float) -> Doubles:
    """The Cholesky factor; an error that names the columns where these are linearly dependent.

    Too few rows to span the space are made to do: a descent from there will tell what is wrong.
    """
    d = len(covariance)
    scale = np.sqrt(np.maximum(np.diagonal(covariance), np.finfo(float).tiny))
    correlation = covariance / scale[:, None] / scale
    eigenvalues, vectors = np.linalg.eigh(correlation)
    if eigenvalues[0] <= 4 * rounding:
        if len(np.unique(rows, axis=0)) > d:
            columns = np.flatnonzero(np.abs(vectors[:, 0]) > 0.1).tolist()
            raise ValueError(
                f"columns {columns} of X are linearly dependent: the scale in that direction is 0. Drop one of them"
            )
        correlation = (correlation + np.eye(d)) / 2
    return np.asarray(scale[:, None] * np.linalg.cholesky(correlation))


def _pack(location: Doubles, factor: Doubles) -> Doubles:
    """θ without the degrees of freedom."""
    packed = factor.copy()
    diagonal = np.arange(len(location))
    packed[diagonal, diagonal] = np.log(packed[diagonal, diagonal])
    return np.concatenate([location, packed[np.tril_indices(len(location))]])


def _unpack(theta: Doubles, d: int) -> tuple[Doubles, Doubles]:
    """Location and factor of θ, whatever follows them."""
    rows, columns = np.tril_indices(d)
    factor = np.zeros((d, d))
    factor[rows, columns] = theta[d : d + len(rows)]
    diagonal = np.arange(d)
    factor[diagonal, diagonal] = np.exp(factor[diagonal, diagonal])
    return theta[:d], factor


def _cholesky(matrix: Doubles) -> Doubles:
    return np.asarray(np.linalg.cholesky(matrix), dtype=np.float64)


def _inverse_from_factor(factor: Doubles) -> Doubles:
    inverse = solve_triangular(factor, np.eye(len(factor)), lower=True)
    return np.asarray(inverse.T @ inverse)
