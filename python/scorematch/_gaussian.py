"""The Gaussian, on all of space and truncated to a domain."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import cho_solve, cholesky, eigh, solve_triangular

from scorematch._base import Loss
from scorematch._closed_form import ClosedFormEstimator
from scorematch._moments import Moments, WeightedMoments
from scorematch._pairwise_form import symmetric_index
from scorematch._quadratic import BlockForm, QuadraticForm, SingularError, inverses, minima_from
from scorematch._sampling import ExactSampler, truncated_normal
from scorematch._validation import (
    Floats,
    check_parameter,
    check_positive_definite,
    check_symmetric,
    raw_sample_weight,
)
from scorematch._warnings import warn
from scorematch.domains import Domain, NonNegative
from scorematch.weights import Weight

Doubles = NDArray[np.float64]
COVARIANCE_TYPES = ("full", "diag", "spherical")
# Below, the compiled objective is the faster.
FEW_NUMBERS = 20_000


class Gaussian(ExactSampler, ClosedFormEstimator):
    r"""Gaussian distribution, fitted in closed form.

    .. math:: \log p(x) = -\tfrac12 x^\top P x + \eta^\top x + \text{const}, \qquad \eta = P\mu

    with score function :math:`\psi = \eta - Px` and Hessian trace :math:`-\operatorname{tr} P`. On all of space the
    estimate equals maximum likelihood for each `covariance_type`. On a domain with a boundary it is the truncated
    Gaussian, whose normaliser maximum likelihood cannot compute beyond a few dimensions.

    Parameters
    ----------
    covariance_type : {"full", "diag", "spherical"}, default="full"
        Any symmetric precision, a diagonal one, or a multiple of the identity.
    domain : Domain, optional
        Where the data live, one of :mod:`scorematch.domains` or an object of your own with ``contains`` and
        ``coordinate_distance``; all of space where None.
    weight : Weight, optional
        On a domain with a boundary, one of :mod:`scorematch.weights` or a pair of functions h and h′; where None, the
        one that :func:`scorematch.weights.default_weight` chooses.
    robust : float, default=0.0
        Exponent c of Windham's weights: a row counts by the c-th power of the density that is fitted to it, which takes
        outliers out of the estimate; 0 is the ordinary fit. See the notes of :class:`Gaussian`.
    n_jobs : int, optional
        Number of threads; None and -1 mean all processors that the process may use. Results do not depend on it.

    Attributes
    ----------
    mean_ : ndarray of shape (n_features,)
        The mean; on a domain with a boundary that of the Gaussian before truncation.
    covariance_, precision_ : ndarray of shape (n_features, n_features)
        The covariance (sums divided by n) and its inverse, for every `covariance_type`.
    theta_ : ndarray of shape (n_params,)
        Natural parameters: the upper triangle of the precision row by row (its diagonal for "diag", one number for
        "spherical"), then :math:`\eta`.
    theta_names_ : list of str
        Names of the entries of ``theta_``.
    params_ : dict
        ``mean`` and ``covariance``, the arguments of :meth:`from_params`, which also takes ``precision`` in place of
        ``covariance`` (and is given it where a truncated density has a precision that is not positive definite).
    objective_ : float
        The objective at the estimate.
    converged_, n_iter_ : bool, int
        Always True and 1.
    weight_ : Weight or None
        The weight that was used, with its caps in numbers.
    robust_weights_, n_reweightings_ : ndarray of shape (n_samples,), int
        With `robust`: Windham's weights at the estimate, of mean 1, and how many times they were made anew.
    n_features_in_ : int
        Number of columns seen by ``fit``.

    Notes
    -----
    Where the data span fewer dimensions than there are columns, as with fewer rows than columns or a constant column,
    the precision on all of space does not exist. On all of space the estimate is then the precision on the span of
    the data (the pseudo-inverse of the covariance), with a warning; on a domain with a boundary it is an error.

    On a domain with a boundary :meth:`sample` draws by rejection, but for "diag" and "spherical" on ``NonNegative()``:
    there it draws one coordinate at a time, which rejects nothing. Where almost all would be rejected,
    :func:`scorematch.datasets.sample_truncated_gaussian` goes on by Gibbs sampling.

    With `robust` = c > 0, rows are weighted by the fitted density to the power c, and the density to the power 1 + c is
    fitted to them, which is what data of the model follow when they are weighted so; that again and again until
    weights, of mean 1, change by less than 1e-9 on average (less than `tol` in families that have it). It is begun with
    rows near the medians of the columns. Gross outliers end with a weight of 0; without outliers the estimate is
    consistent, and some tenths of c cost little: the variance of the mean of a normal column is
    :math:`(1 + c^2/(1+2c))^{3/2}` times as large, 1.04 for c = 0.2 and 1.19 for c = 0.5. A power of the density is the
    more selective the more columns there are: of many, choose a smaller c. ``objective_`` is what was minimised, the
    objective of weighted rows with the norm term times 1 + c, to which penalties are added; ``n_iter_`` counts the
    iterations of all refits. :meth:`score` and the other methods are those of the density itself. Standard errors count
    in that the weights depend on the estimate.

    References
    ----------
    Hyvärinen (2005), "Estimation of non-normalized statistical models by score matching", JMLR 6, section 3.1.
    Windham (1995), "Robustifying model fitting", JRSS B 57; Scealy, Hingee, Kent and Wood (2024), "Robust score
    matching for compositional data", Statistics and Computing 34: robust fits.
    Yu, Drton and Shojaie (2019), "Generalized score matching for non-negative data", JMLR 20, section 3.

    Examples
    --------
    >>> import numpy as np
    >>> import scorematch
    >>> X = np.random.default_rng(0).normal([1.0, -1.0], [1.0, 2.0], size=(1000, 2))
    >>> model = scorematch.Gaussian().fit(X)
    >>> bool(np.allclose(model.mean_, X.mean(axis=0), atol=1e-12))
    True
    >>> bool(np.allclose(model.covariance_, np.cov(X.T, bias=True), atol=1e-12))
    True
    """

    _family: ClassVar[str] = "gaussian"
    _required_params: ClassVar[tuple[str, ...]] = ("mean",)
    _optional_params: ClassVar[tuple[str, ...]] = ("covariance", "precision")

    mean_: Doubles
    covariance_: Doubles
    precision_: Doubles

    def __init__(
        self,
        covariance_type: Literal["full", "diag", "spherical"] = "full",
        *,
        domain: Domain | None = None,
        weight: Weight | None = None,
        robust: float = 0.0,
        n_jobs: int | None = None,
    ) -> None:
        self.covariance_type = covariance_type
        self.domain = domain
        self.weight = weight
        self.robust = robust
        self.n_jobs = n_jobs

    def _draw(self, n_samples: int, random: np.random.RandomState) -> Doubles:
        if not isinstance(self.domain, NonNegative) or self.covariance_type == "full":
            return super()._draw(n_samples, random)
        variances = np.diagonal(self.covariance_)
        if not (variances > 0).all():
            raise ValueError("the precision is not positive definite, and there is no exact sampler for it")
        return truncated_normal(self.mean_, np.sqrt(variances), n_samples, random)

    def _sampler(self, random: np.random.RandomState) -> Callable[[int], Doubles]:
        # P = S⁻¹LLᵀS⁻¹ with S a diagonal: columns may differ in scale by many powers of ten.
        scaled = _scaled_cholesky(self.precision_, float(np.finfo(float).eps))
        if scaled is None:
            raise ValueError("the precision is not positive definite: there is no distribution to draw from")
        scale, factor = scaled

        def draw(n: int) -> Doubles:
            noise = random.standard_normal((len(scale), n))
            return np.asarray(self.mean_ + solve_triangular(factor, noise, lower=True, trans="T").T * scale)

        return draw

    # -- what the base asks for ----------------------------------------------------------------------------------

    def _variant(self) -> str:
        return self.covariance_type

    def _check_covariance_type(self) -> None:
        if self.covariance_type not in COVARIANCE_TYPES:
            raise ValueError(f"covariance_type must be one of {COVARIANCE_TYPES}; got {self.covariance_type!r}")

    def _theta_from_params(self, params: dict[str, Any]) -> tuple[int, Doubles]:
        self._check_covariance_type()
        mean = check_parameter("mean", params["mean"], (None,))
        d = len(mean)
        given = [name for name in ("covariance", "precision") if params.get(name) is not None]
        if len(given) != 1:
            raise TypeError("Gaussian.from_params() takes one of covariance and precision")
        name = given[0]
        matrix = _as_matrix(name, params[name], d)
        # Truncation makes a density of more precisions than the positive definite ones.
        if self._has_boundary and name == "precision":
            matrix = check_symmetric(name, matrix)
        else:
            matrix = check_positive_definite(name, matrix)
        precision = matrix if name == "precision" else _inverse_on_span(matrix)
        off_diagonal = precision - np.diag(np.diagonal(precision))
        if self.covariance_type != "full" and off_diagonal.any():
            raise ValueError(f"{name} must be diagonal for covariance_type={self.covariance_type!r}")
        if self.covariance_type == "spherical" and np.ptp(np.diagonal(precision)) > 1e-12 * abs(precision[0, 0]):
            raise ValueError(f"{name} must be a multiple of the identity for covariance_type='spherical'")
        return d, self._pack(precision, precision @ mean)

    def _pack(self, precision: Doubles, linear: Doubles) -> Doubles:
        upper = {
            "full": precision[np.triu_indices(len(linear))],
            "diag": np.diagonal(precision),
            "spherical": precision[:1, 0],
        }
        return np.concatenate([upper[self.covariance_type], linear])

    def _unpack(self, theta: Doubles) -> tuple[Doubles, Doubles]:
        d = self.n_features_in_
        upper, linear = theta[:-d], theta[-d:]
        if self.covariance_type != "full":
            return np.diag(np.broadcast_to(upper, d)), linear
        precision = np.zeros((d, d))
        precision[np.triu_indices(d)] = upper
        return precision + np.triu(precision, 1).T, linear

    def _set_params_from_theta(self) -> None:
        self.precision_, linear = self._unpack(self.theta_)
        self.covariance_ = _inverse_on_span(self.precision_)
        self.mean_ = self.covariance_ @ linear
        # What the truncation alone makes a density has no covariance to speak of.
        proper = not self._has_boundary or np.linalg.eigvalsh(self.precision_)[0] > 0
        spread = {"covariance": self.covariance_} if proper else {"precision": self.precision_}
        self.params_ = {"mean": self.mean_, **spread}

    # -- fitting -------------------------------------------------------------------------------------------------

    def _check_options(self) -> None:
        self._check_covariance_type()
        super()._check_options()

    def _training_samples(
        self, X: ArrayLike, sample_weight: ArrayLike | None, *, reset: bool
    ) -> tuple[Floats, Doubles | None]:
        # On all of space the sums themselves tell whether X is finite, at no cost.
        X = self._check_samples(X, reset=reset, finite=self._has_boundary)
        return X, raw_sample_weight(sample_weight, len(X))

    def _sums(self, X: Floats, sample_weight: Doubles | None, earlier: Any) -> Moments | WeightedMoments:
        return self._moments_of(X, sample_weight, None if earlier is None else earlier.shift)

    def _sums_of_blocks(self, X: Floats, sample_weight: Doubles | None, ends: NDArray[np.intp], like: Any) -> Doubles:
        if isinstance(like, WeightedMoments):
            return super()._sums_of_blocks(X, sample_weight, ends, like)
        return Moments.of_blocks(X, sample_weight, ends, like=like, n_threads=self._threads())

    def _form(self, X: Floats, sample_weight: Doubles | None) -> QuadraticForm:
        return self._blocks(self._moments_of(X, sample_weight, np.zeros(X.shape[1]))).assembled()

    def _moments_of(self, X: Floats, weight: Doubles | None, shift: Doubles | None) -> Moments | WeightedMoments:
        diagonal = self.covariance_type != "full"
        if self._has_boundary:
            return WeightedMoments.of(
                X, weight, self._unraised_field(X, weight), diagonal=diagonal, n_threads=self._threads(), shift=shift
            )
        return Moments.of(X, weight, diagonal=diagonal, n_threads=self._threads(), shift=shift)

    def _loss(self, X: Floats, sample_weight: Doubles | None) -> Loss:
        if self._has_boundary or X.size < FEW_NUMBERS:
            return super()._loss(X, sample_weight)
        # On all of space moments tell everything, at a quarter of the products of scores and their way back.
        moments = self._moments_of(X, sample_weight, None)
        assert isinstance(moments, Moments)
        mean, covariance, power = moments.mean, moments.covariance, self._power

        def loss(theta: Doubles) -> tuple[float, Doubles]:
            precision, linear = self._unpack(theta)
            residual = linear - precision @ mean  # the mean of ψ
            if covariance.ndim == 2:
                product = precision @ covariance
                slope = (product + product.T - np.outer(residual, mean) - np.outer(mean, residual)) / 2
                spread = float(np.vdot(product, precision))
            else:
                diagonal = np.diagonal(precision)
                slope = np.diag(diagonal * covariance - residual * mean)
                spread = float(diagonal**2 @ covariance)
            slope = power * slope - np.eye(len(mean))
            value = power * (spread + residual @ residual) / 2 - np.trace(precision)
            return float(value), self._pack_slope(slope, power * residual)

        return loss

    def _pack_slope(self, slope: Doubles, linear: Doubles) -> Doubles:
        """The gradient in θ of one in P, a symmetric matrix, and η."""
        if self.covariance_type == "spherical":
            return np.append(np.trace(slope), linear)
        doubled = 2 * slope - np.diag(np.diagonal(slope))  # an entry off the diagonal stands twice in P
        return self._pack(doubled if self.covariance_type == "full" else slope, linear)

    def _blocks(self, moments: Moments | WeightedMoments) -> BlockForm:
        """Γ and g, block by block, about the moments' shift s, in the parameters P and η − Ps; many of many moments.

        Coordinate j has ψ_j = η_j − Σ_i P_ji y_i = q_jᵀz with z = (−y, 1), and adds ½ q_jᵀA_jq_j + c_jᵀq_j with
        A_j = E[h_j z zᵀ] and c_j = E[h_j′ z] − E[h_j] e_j. What is left is to say where the entries of q_j stand in θ.
        """
        d = len(moments.shift)
        diagonal = self.covariance_type != "full"
        each = np.arange(d)
        total = np.asarray(moments.total)
        if isinstance(moments, WeightedMoments):
            # Where all coordinates share their weight, so do they these sums.
            lead = total.ndim
            sums = moments.sums | {
                name: np.broadcast_to(value, (*total.shape, d, *value.shape[lead + 1 :]))
                for name, value in moments.sums.items()
                if name in ("h", "first", "second")
            }
        else:
            sums = {
                "h": np.full(d, moments.total),
                "dh": np.zeros(d),
                "first": np.broadcast_to(moments.first, (d, d)),
                "cross": np.zeros((d, d)),
                "second": moments.second if diagonal else np.broadcast_to(moments.second, (d, d, d)),
            }
        if diagonal:
            precision_index = each if self.covariance_type == "diag" else np.zeros(d, dtype=int)
            index = np.stack([precision_index, precision_index.max() + 1 + each], axis=1)
            own = np.zeros(d, dtype=int)  # the place of y_j among the entries that enter ψ_j
            for name in ("first", "cross"):
                sums[name] = np.diagonal(sums[name], axis1=-2, axis2=-1)[..., None]
            sums["second"] = sums["second"][..., None, None]
        else:
            index = np.column_stack([symmetric_index(d), d * (d + 1) // 2 + each])
            own = each
        blocks = np.empty((*total.shape, d, index.shape[1], index.shape[1]))
        blocks[..., :-1, :-1] = sums["second"]
        blocks[..., :-1, -1] = blocks[..., -1, :-1] = -sums["first"]
        blocks[..., -1, -1] = sums["h"]
        linear = np.concatenate([sums["cross"], -sums["dh"][..., None]], axis=-1)
        linear[..., each, own] += sums["h"]
        blocks /= total[..., None, None, None]
        return BlockForm(index, blocks, linear / total[..., None, None]).raised(self._power)

    def _estimate(self, moments: Moments | WeightedMoments) -> None:
        if isinstance(moments, Moments):
            # Of weighted data, which follow the density to the power.
            precision = self._invert(moments) / self._power
            mean = moments.mean
            self.objective_ = -float(np.trace(precision)) / 2
            self._set_theta(self._pack(precision, precision @ mean))
            # What was measured, not the inverse of its inverse.
            self.mean_, self.covariance_ = mean, self._power * self._shaped(moments.covariance)
            self.params_ = {"mean": self.mean_, "covariance": self.covariance_}
            return
        try:
            theta, self.objective_ = self._blocks(moments).minimum(moments.n_samples, moments.eps)
        except SingularError as error:
            raise ValueError(
                f"the truncated Gaussian cannot be estimated from {moments.n_samples} rows: {error}. Use more rows, "
                "drop constant or duplicated columns, or choose covariance_type='diag' or 'spherical'"
            ) from error
        precision, linear = self._unpack(theta)
        self._set_theta(self._pack(precision, linear + precision @ moments.shift))
        smallest = float(np.linalg.eigvalsh(precision)[0])
        if smallest <= 0:
            warn(
                f"the estimated precision has a negative eigenvalue ({smallest:.3g}): the density is integrable only "
                "if the truncation makes it so, and mean_ and covariance_ are formal. More data, or another weight, "
                "may mend it"
            )

    def _estimates(self, vectors: Doubles, like: Moments | WeightedMoments, n_samples: int) -> Doubles | None:
        if isinstance(like, WeightedMoments):
            return self._estimates_in_domain(vectors, like, n_samples)
        moments = like.with_vector(vectors, n_samples)
        mean, covariance = moments.mean, moments.covariance
        if self.covariance_type == "full":
            precision = inverses(covariance, moments.eps)
            upper = precision[:, *np.triu_indices(mean.shape[1])]
            linear = (precision @ mean[:, :, None])[:, :, 0]
        else:
            if self.covariance_type == "spherical":
                covariance = covariance.mean(axis=1, keepdims=True)
            upper = 1 / np.where(covariance > 0, covariance, np.nan)
            linear = upper * mean
        thetas = np.concatenate([upper, linear], axis=1)
        thetas[moments.is_constant.any(axis=1)] = np.nan
        return thetas

    def _estimates_in_domain(self, vectors: Doubles, like: WeightedMoments, n_samples: int) -> Doubles | None:
        thetas = minima_from(lambda some: self._blocks(like.with_vector(some, n_samples)), vectors, n_samples, like.eps)
        if thetas is None:
            return None
        d = len(like.shift)
        precision = thetas[:, :-d]
        full = self.covariance_type == "full"
        thetas[:, -d:] += precision[:, symmetric_index(d)] @ like.shift if full else precision * like.shift
        return thetas

    def _shaped(self, covariance: Doubles) -> Doubles:
        """The covariance in the shape that `covariance_type` asks for, (d, d)."""
        if self.covariance_type == "full":
            return covariance
        if self.covariance_type == "spherical":
            return np.asarray(np.eye(len(covariance)) * covariance.mean())
        return np.diag(covariance)

    def _invert(self, moments: Moments) -> Doubles:
        """The precision on the span of the data, with a warning where that is not all of space."""
        covariance = self._shaped(moments.covariance)
        d = len(covariance)
        constant = moments.constant_columns()
        if len(constant) == d:
            raise ValueError("X has no variation: every column is constant")
        if not len(constant) or self.covariance_type == "spherical":
            scaled = _scaled_cholesky(covariance, moments.rounding)
            if scaled is not None:
                return _inverse_of_scaled(*scaled)
            reason = "columns are linearly dependent"
            if moments.n_samples <= d:
                reason = f"there are {moments.n_samples} rows for {d} columns"
        else:
            reason = f"column {constant[0]} is constant"
            covariance[constant] = covariance[:, constant] = 0
        remedy = "Drop the dependent columns, or choose covariance_type='diag' or 'spherical'"
        if self.covariance_type == "diag":
            remedy = "Drop the constant columns"
        warn(f"the covariance is singular ({reason}): precision_ is that on the span of the data. {remedy}")
        return _inverse_on_span(covariance, moments.rounding)


def _as_matrix(name: str, value: ArrayLike, d: int) -> Doubles:
    """A (d, d) matrix; a vector stands for a diagonal, a number for a multiple of the identity."""
    dimensions = np.ndim(value)
    if dimensions == 2:
        return check_parameter(name, value, (d, d))
    if dimensions == 1:
        return np.diag(check_parameter(name, value, (d,)))
    return np.eye(d) * check_parameter(name, value, ())


def _scaled_cholesky(matrix: Doubles, eps: float) -> tuple[Doubles, Doubles] | None:
    """Vector s and factor L with diag(s)·M·diag(s) = LLᵀ of unit diagonal; None where M is not positive definite.

    Columns may differ in scale by many powers of ten, and so may the entries of M: only after scaling can it be told
    what is small, compared with the rounding error `eps`.
    """
    diagonal = np.diagonal(matrix)
    if not (diagonal > 0).all():
        return None
    scale = 1 / np.sqrt(diagonal)
    scaled = matrix * scale[:, None] * scale
    try:
        factor = cholesky(scaled, lower=True)
    except np.linalg.LinAlgError:
        return None
    # Pivots tell at no cost of a matrix that is far from singular, but not exactly how near another is.
    least, smallest = len(matrix) * eps, float(np.diagonal(factor).min() ** 2)
    if smallest <= min(1e6 * least, 1e-3):
        smallest = min(smallest, float(np.linalg.eigvalsh(scaled)[0]))
    return (scale, factor) if smallest > least else None


def _inverse_of_scaled(scale: Doubles, factor: Doubles) -> Doubles:
    inverse = cho_solve((factor, True), np.eye(len(scale))) * scale[:, None] * scale
    return np.asarray((inverse + inverse.T) / 2)


def _inverse_on_span(matrix: Doubles, eps: float = float(np.finfo(float).eps)) -> Doubles:
    """The inverse of a symmetric matrix, on the span of its eigenvectors with eigenvalues other than 0."""
    scaled = _scaled_cholesky(matrix, eps)
    if scaled is not None:
        return _inverse_of_scaled(*scaled)
    eigenvalues, vectors = eigh(matrix)
    # A margin, since it was on another scale that the matrix was found to be singular.
    kept = np.abs(eigenvalues) > 16 * len(matrix) * eps * np.abs(eigenvalues).max()
    return np.asarray((vectors[:, kept] / eigenvalues[kept]) @ vectors[:, kept].T)
