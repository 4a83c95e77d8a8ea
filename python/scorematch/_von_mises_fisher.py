"""The von Mises-Fisher distribution on the unit sphere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scorematch._base import Loss
from scorematch._closed_form import ClosedFormEstimator
from scorematch._estimating import (
    EXACT,
    EstimatingEquations,
    Products,
    Stationary,
    blocks_of_rows,
    products_of_rows,
)
from scorematch._field import check_inside
from scorematch._moments import Moments
from scorematch._objectives import ObjectiveName, ProjectionName
from scorematch._quadratic import QuadraticForm, SingularError, solutions, solve
from scorematch._validation import Floats, check_parameter, check_samples, raw_sample_weight
from scorematch._warnings import warn
from scorematch.domains import Domain, Sphere

Doubles = NDArray[np.float64]
DIRECTIONS = ("joint", "mean")
# Below, the compiled objective is the faster.
FEW_NUMBERS = 10_000


class VonMisesFisher(ClosedFormEstimator):
    r"""Von Mises-Fisher distribution on the unit sphere in any dimension, fitted in closed form.

    .. math:: \log p(x) = \kappa\,\mu^\top x + \text{const}, \qquad \|x\| = 1

    No Bessel function is needed. With :math:`\theta = \kappa\mu`, :math:`\Gamma = \mathrm{E}[I - xx^\top]` and
    :math:`g = (d-1)\,\mathrm{E}[x]`; the tangential score function is :math:`(I - xx^\top)\theta`, the
    Laplace-Beltrami operator of log p is :math:`-(d-1)\,\theta^\top x`.

    Parameters
    ----------
    direction : {"joint", "mean"}, default="joint"
        "joint" solves for :math:`\theta` at once. "mean" takes the direction of the sample mean (the maximum
        likelihood estimate) and estimates the concentration given it,
        :math:`\hat\kappa = (d-1)\sum\mu^\top x / \sum(1-(\mu^\top x)^2)`.
    normalize : bool, default=False
        Whether to rescale rows to length 1. A row of zeros has no direction: ``fit`` leaves it out with a warning, and
        elsewhere it is an error. Where False, a row of another length is an error that names it.
    robust : float, default=0.0
        Exponent c of Windham's weights: a row counts by the c-th power of the density that is fitted to it, which takes
        outliers out of the estimate; 0 is the ordinary fit. See the notes of :class:`Gaussian`.
    n_jobs : int, optional
        Number of threads; None and -1 mean all processors that the process may use. Results do not depend on it.
    objective : {"exact", "sliced", "denoising", "finite_difference"}, default="exact"
        What is minimised: the objective with the exact Hessian trace, or one that does without it by random vectors
        (sliced score matching), noise (denoising score matching) or differences of the log density. See the notes of
        :class:`Gaussian`.
    n_projections, projection, variance_reduction, noise_scale, difference_step : optional
        Options of an `objective` that is not exact: how many random vectors a row has, their law ("rademacher",
        "gaussian" or "sphere"), whether what has a known mean is taken by that, the standard deviation of the noise
        (several for several levels), and the step of differences (where None, a tenth of the smallest standard
        deviation of a column). See the notes of :class:`Gaussian`.
    random_state : int, RandomState or None
        Seed of the random vectors of an `objective` that is not exact.

    Attributes
    ----------
    mean_direction_ : ndarray of shape (n_features,)
        The unit vector :math:`\mu`.
    concentration_ : float
        The concentration :math:`\kappa`, at least 0.
    theta_ : ndarray of shape (n_features,)
        The natural parameter :math:`\kappa\mu`.
    theta_names_ : list of str
        Names of the entries of ``theta_``.
    params_ : dict
        ``mean_direction`` and ``concentration``, the arguments of :meth:`from_params`.
    objective_ : float
        The objective at the estimate.
    converged_, n_iter_ : bool, int
        Always True and 1.
    robust_weights_, n_reweightings_ : ndarray of shape (n_samples,), int
        With `robust`: Windham's weights at the estimate, of mean 1, and how many times they were made anew.
    noise_seed_, difference_step_ : int, float
        With an `objective` that is not exact: the seed of its random vectors, and with "finite_difference" its step.
    n_features_in_ : int
        Number of columns seen by ``fit``.

    References
    ----------
    Mardia, Kent and Laha (2016), "Score matching estimators for directional distributions", arXiv:1604.08470,
    sections 3 and 4.

    Examples
    --------
    >>> import scorematch
    >>> true = scorematch.VonMisesFisher.from_params(mean_direction=[0.0, 0.0, 1.0], concentration=5.0)
    >>> X = true.sample(5000, random_state=0)
    >>> model = scorematch.VonMisesFisher().fit(X)
    >>> bool(abs(model.concentration_ - 5) < 0.3)
    True
    """

    _family: ClassVar[str] = "von_mises_fisher"
    _required_params: ClassVar[tuple[str, ...]] = ("mean_direction", "concentration")
    _on_sphere: ClassVar[bool] = True

    mean_direction_: Doubles
    concentration_: float

    def __init__(
        self,
        direction: Literal["joint", "mean"] = "joint",
        *,
        normalize: bool = False,
        robust: float = 0.0,
        n_jobs: int | None = None,
        objective: ObjectiveName = "exact",
        n_projections: int = 1,
        projection: ProjectionName = "rademacher",
        variance_reduction: bool = True,
        noise_scale: float | Sequence[float] | None = None,
        difference_step: float | None = None,
        random_state: Any = None,
    ) -> None:
        self.direction = direction
        self.normalize = normalize
        self.robust = robust
        self.n_jobs = n_jobs
        self.objective = objective
        self.n_projections = n_projections
        self.projection = projection
        self.variance_reduction = variance_reduction
        self.noise_scale = noise_scale
        self.difference_step = difference_step
        self.random_state = random_state

    def hessian_diagonal(self, X: ArrayLike) -> Floats:
        """Not defined on the sphere.

        Parameters
        ----------
        X : array_like of shape (n_samples, n_features)
            The points.

        Raises
        ------
        ValueError
            Always: coordinates of the surrounding space are no coordinates of the sphere, so that single second
            derivatives have no meaning there. Use :meth:`hessian_trace`, the Laplace-Beltrami operator.
        """
        raise ValueError(
            "hessian_diagonal has no meaning on the sphere: coordinates of the surrounding space are no coordinates "
            "of the sphere. Use hessian_trace, the Laplace-Beltrami operator of log p"
        )

    def _sampler(self, random: np.random.RandomState) -> Callable[[int], Doubles]:
        from scipy.stats import uniform_direction, vonmises_fisher

        law = (
            uniform_direction(self.n_features_in_)
            if self.concentration_ == 0
            else vonmises_fisher(self.mean_direction_, self.concentration_)
        )
        return lambda n: np.asarray(law.rvs(n, random_state=random)).reshape(n, self.n_features_in_)

    # -- what the base asks for ----------------------------------------------------------------------------------

    def _domain(self) -> Domain:
        return Sphere()

    def _check_samples(self, X: ArrayLike, *, reset: bool = False, finite: bool = True) -> Floats:
        X = check_samples(self, X, reset=reset, finite=finite)
        if self.normalize:
            directed = (X != 0).any(axis=1)
            if not directed.all():
                raise ValueError(f"row {int(np.argmin(directed))} of X is all zeros and cannot be rescaled to length 1")
            X = _rescaled(X)
        check_inside(X, self._domain())
        return X

    def _training_samples(
        self, X: ArrayLike, sample_weight: ArrayLike | None, *, reset: bool
    ) -> tuple[Floats, Doubles | None]:
        """Unit vectors and their weights, less the rows that have no direction."""
        if not self.normalize:
            X = self._check_samples(X, reset=reset)
            return X, raw_sample_weight(sample_weight, len(X))
        rows = check_samples(self, X, reset=reset)
        weight = raw_sample_weight(sample_weight, len(rows))
        directed = (rows != 0).any(axis=1)
        if not directed.any():
            raise ValueError("every row of X is all zeros: there are no directions to fit")
        if not directed.all():
            n_left_out = len(rows) - int(np.count_nonzero(directed))
            warn(
                f"{n_left_out} of {len(rows)} rows of X are all zeros, such as row {int(np.argmin(directed))}: they "
                "have no direction and are left out"
            )
            rows, weight = rows[directed], None if weight is None else weight[directed]
            self._directed = directed
        return _rescaled(rows), weight

    def _add(self, X: ArrayLike, sample_weight: ArrayLike | None) -> None:
        super()._add(X, sample_weight)
        directed = self.__dict__.pop("_directed", None)
        if directed is not None and hasattr(self, "robust_weights_"):
            weights, self.robust_weights_ = self.robust_weights_, np.zeros(len(directed))
            self.robust_weights_[directed] = weights

    def _theta_from_params(self, params: dict[str, Any]) -> tuple[int, Doubles]:
        mean = check_parameter("mean_direction", params["mean_direction"], (None,))
        concentration = float(check_parameter("concentration", params["concentration"], ()))
        _check_dimension(len(mean))
        length = float(np.linalg.norm(mean))
        if abs(length - 1) > 1e-6:
            raise ValueError(f"mean_direction must have length 1; got {length:.6g}")
        if concentration < 0:
            raise ValueError(f"concentration must not be negative; got {concentration}")
        return len(mean), concentration * mean / length

    def _set_params_from_theta(self) -> None:
        self.concentration_ = float(np.linalg.norm(self.theta_))
        if self.concentration_ > 0:
            self.mean_direction_ = self.theta_ / self.concentration_
        else:  # no direction is meant; any will do
            self.mean_direction_ = np.eye(len(self.theta_))[0]
        self.params_ = {
            "mean_direction": self.mean_direction_,
            "concentration": np.asarray(self.concentration_),
        }

    def _loss(self, X: Floats, sample_weight: Doubles | None) -> Loss:
        if X.size < FEW_NUMBERS or not self._is_exact:
            return super()._loss(X, sample_weight)
        # Moments tell everything, and take one pass.
        gamma, g = _quadratic_form(self._moments_of(X, sample_weight)).raised(self._power)

        def loss(theta: Doubles) -> tuple[float, Doubles]:
            slope = gamma @ theta
            return float(theta @ (slope / 2 - g)), slope - g

        return loss

    # -- precision -----------------------------------------------------------------------------------------------

    def _estimating(self, X: Floats, sample_weight: Doubles | None) -> EstimatingEquations:
        if self.direction == "joint":
            return Stationary(self)
        return _AlongMean(self, self._moments_of(X, sample_weight))

    # -- fitting -------------------------------------------------------------------------------------------------

    def _moments_of(self, X: Floats, weight: Doubles | None) -> Moments:
        return Moments.of(X, weight, diagonal=False, n_threads=self._threads(), shift=np.zeros(X.shape[1]))

    def _rows_to_begin_with(self, X: Floats) -> NDArray[np.bool_]:
        return np.ones(len(X), dtype=bool)  # none is far from the others on a sphere

    def _check_options(self) -> None:
        if self.direction not in DIRECTIONS:
            raise ValueError(f"direction must be one of {DIRECTIONS}; got {self.direction!r}")
        super()._check_options()
        if self.direction != "joint" and not self._is_exact:
            raise ValueError(
                f"direction={self.direction!r} goes with objective='exact' alone; got objective={self.objective!r}. "
                "Use direction='joint'"
            )

    def _sums(self, X: Floats, sample_weight: Doubles | None, earlier: Any) -> Moments:
        _check_dimension(X.shape[1])
        return self._moments_of(X, sample_weight)

    def _sums_of_blocks(
        self, X: Floats, sample_weight: Doubles | None, ends: NDArray[np.intp], like: Moments
    ) -> Doubles:
        return Moments.of_blocks(X, sample_weight, ends, like=like, n_threads=self._threads())

    def _exact_form(self, X: Floats, sample_weight: Doubles | None) -> QuadraticForm:
        return _quadratic_form(self._moments_of(X, sample_weight)).raised(self._power)

    def _estimates(self, vectors: Doubles, like: Moments, n_samples: int) -> Doubles | None:
        if self.direction != "joint":
            return None
        moments = like.with_vector(vectors, n_samples)
        return solutions(_quadratic_form(moments), moments.eps)

    def _estimate(self, sums: Moments) -> None:
        form = _quadratic_form(sums).raised(self._power)
        theta = _joint(form, sums) if self.direction == "joint" else _along_mean(form, sums)
        self._set_estimate(form, theta)

    def _estimate_by_objective(self, X: Floats, sample_weight: Doubles | None) -> None:
        _check_dimension(X.shape[1])
        form = self._form(X, sample_weight)
        self._set_estimate(form, _joint(form, self._moments_of(X, sample_weight)))

    def _set_estimate(self, form: QuadraticForm, theta: Doubles) -> None:
        self.objective_ = float(0.5 * theta @ form.gamma @ theta - form.g @ theta)
        self._set_theta(theta)


def _rescaled(X: Floats) -> Floats:
    """Rows of length 1; the largest entries first become 1, so that no square overflows."""
    X = X / np.abs(X).max(axis=1, keepdims=True)
    return np.asarray(X / np.linalg.norm(X, axis=1, keepdims=True))


def _check_dimension(d: int) -> None:
    if d < 2:
        raise ValueError(f"VonMisesFisher needs at least 2 columns; got {d} (n_features = {d})")


def _quadratic_form(moments: Moments) -> QuadraticForm:
    d = len(moments.shift)
    return QuadraticForm(np.eye(d) - moments.second_about_zero, (d - 1) * moments.mean)


def _joint(form: QuadraticForm, moments: Moments) -> Doubles:
    try:
        return solve(form, moments.eps)
    except SingularError as error:
        raise ValueError(
            "the concentration is infinite or not identified: the rows of X are all the same direction, or opposite "
            "ones"
        ) from error


def _along_mean(form: QuadraticForm, moments: Moments) -> Doubles:
    length = float(np.linalg.norm(moments.mean))
    if length <= len(form.g) * moments.eps:
        return np.zeros(len(form.g))  # the mean vanishes: no direction, and a concentration of 0
    direction = moments.mean / length
    curvature = float(direction @ form.gamma @ direction)
    if curvature <= len(form.g) * moments.eps:
        raise ValueError("the concentration is infinite: the rows of X are all the same direction")
    return np.asarray(direction * (form.g @ direction) / curvature)


class _AlongMean(EstimatingEquations):
    """The estimate along the mean direction, κ(x̄, M) m with m = x̄/‖x̄‖ and M the second moments, as a function of these.

    φ of a row is minus what its moments, in place of their means, add to θ in first order.
    """

    def __init__(self, model: VonMisesFisher, moments: Moments) -> None:
        self.model, self.mean, self.second = model, moments.mean, moments.second_about_zero
        self.directions, self.fixed = None, {}
        if model.concentration_ == 0:
            self.fixed = dict.fromkeys(range(len(self.mean)), "the mean of the rows vanishes, and has no direction")

    def rows(self, X: Floats) -> Doubles:
        d = len(self.mean)
        length = float(np.linalg.norm(self.mean)) or 1.0
        m = self.mean / length
        q = float(m @ self.second @ m)
        offset = X.astype(np.float64, copy=False) - self.mean
        turned = (offset - np.outer(offset @ m, m)) / length  # dm
        along = 2 * turned @ (self.second @ m) + (X @ m) ** 2 - q  # dq
        concentration = (d - 1) / self.model._power * (offset @ m / (1 - q) + length * along / (1 - q) ** 2)
        return np.asarray(-(np.outer(concentration, m) + self.model.concentration_ * turned))

    def products(self, X: Floats, sample_weight: Doubles | None) -> Products:
        d = len(self.mean)
        found = Products(0.0, np.zeros(d), np.zeros((d, d)))
        for block in blocks_of_rows(len(X), d):
            weight = None if sample_weight is None else sample_weight[block]
            loss = self.model._summed_objective(X[block], weight)
            found += products_of_rows(loss, self.rows(X[block]), weight)
        return found

    def jacobian(self, X: Floats, sample_weight: Doubles | None) -> tuple[Doubles, float]:
        return np.eye(len(self.mean)), EXACT
