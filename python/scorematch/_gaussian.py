"""The Gaussian, on all of space and truncated to a domain."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import cho_solve, cholesky, eigh, solve_triangular

from scorematch._base import Loss
from scorematch._closed_form import ClosedFormEstimator
from scorematch._gibbs import Pairwise
from scorematch._gradient_form import FormMinimum, minimum
from scorematch._moments import Moments, WeightedMoments
from scorematch._objectives import ObjectiveName, ProjectionName, objective_of
from scorematch._pairwise_form import symmetric_index
from scorematch._quadratic import MOST_DENSE_PARAMS, BlockForm, QuadraticForm, SingularError, inverses, minima_from
from scorematch._sampling import ChainOptions, Draw, NoSamplerError
from scorematch._truncated_sampling import gibbs_draws, independent_sampler
from scorematch._validation import (
    Floats,
    check_parameter,
    check_positive_definite,
    check_symmetric,
    raw_sample_weight,
)
from scorematch._warnings import warn
from scorematch.domains import Domain
from scorematch.weights import Weight

Doubles = NDArray[np.float64]
COVARIANCE_TYPES = ("full", "diag", "spherical")
# Below, the compiled objective is the faster.
FEW_NUMBERS = 20_000


class Gaussian(ClosedFormEstimator):
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
        outliers out of the estimate; 0 is the ordinary fit. See the notes.
    n_jobs : int, optional
        Number of threads; None and -1 mean all processors that the process may use. Results do not depend on it.
    objective : {"exact", "sliced", "denoising", "finite_difference"}, default="exact"
        What is minimised: the objective with the exact Hessian trace, or one that does without it by random vectors
        (sliced score matching), noise (denoising score matching) or differences of the log density. See the notes.
    n_projections, projection, variance_reduction, noise_scale, difference_step : optional
        Options of an `objective` that is not exact: how many random vectors a row has, their law ("rademacher",
        "gaussian" or "sphere"), whether what has a known mean is taken by that, the standard deviation of the noise
        (several for several levels), and the step of differences (where None, a tenth of the smallest standard
        deviation of a column). See the notes.
    random_state : int, RandomState or None
        Seed of the random vectors of an `objective` that is not exact.

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
    noise_seed_, difference_step_ : int, float
        With an `objective` that is not exact: the seed of its random vectors, and with "finite_difference" its step.
    n_features_in_ : int
        Number of columns seen by ``fit``.

    Notes
    -----
    Where the data span fewer dimensions than there are columns, as with fewer rows than columns or a constant column,
    the precision on all of space does not exist. On all of space the estimate is then the precision on the span of
    the data (the pseudo-inverse of the covariance), with a warning; so it is with ``objective="sliced"`` and variance
    reduction. On a domain with a boundary and with other objectives it is an error.

    On a domain with a boundary :meth:`sample` draws by rejection; where the precision is diagonal and the domain a
    product of intervals, one coordinate at a time, which rejects nothing. Where almost all would be rejected, it goes
    on by Gibbs sampling, as :func:`scorematch.datasets.sample_truncated_gaussian` describes.

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

    With an `objective` that is not "exact", each row has m = `n_projections` random vectors v (z where they are noise),
    and what is minimised is the mean over rows and vectors of

    ===================  ==============================================================================================
    "sliced"             :math:`\tfrac12\|\psi\|^2 + v^\top\nabla\psi\,v`; without variance reduction
                         :math:`\tfrac12(v^\top\psi)^2 + v^\top\nabla\psi\,v`
    "denoising"          :math:`\tfrac12\|\psi(\tilde x)\|^2 + (\psi(\tilde x) - \psi(x))^\top z/\sigma` at
                         :math:`\tilde x = x + \sigma z`; without variance reduction
                         :math:`\tfrac12\|\psi(\tilde x) + z/\sigma\|^2`
    "finite_difference"  :math:`\tfrac12\big(\tfrac{\ell_+ - \ell_-}{2\varepsilon}\big)^2 +
                         \tfrac{\ell_+ + \ell_- - 2\ell_0}{\varepsilon^2}` with
                         :math:`\ell_\pm = \log p(x \pm \varepsilon v)`
    ===================  ==============================================================================================

    The mean of "sliced" over v is the exact objective, with :math:`\mathrm{E}[vv^\top] = I` for each `projection`:
    entries ±1, standard normal ones, or uniform on the sphere of radius :math:`\sqrt d`. On a domain with a weight,
    with :math:`A = SS^\top` and b as in the exact objective, ½‖ψ‖² becomes ½ψᵀAψ, v becomes Sv, and bᵀψ is added.
    "denoising" takes normal z, and fits the density of the data plus noise, covariance Σ + σ²I for a Gaussian; both of
    its forms have the same minimum on average, but for σ → 0 the variance of the second grows as 1/σ² and that of the
    first does not. Of several σ in `noise_scale` it is the mean, weighted by σ². "finite_difference" tends to "sliced"
    without variance reduction for ε → 0, and is that for any ε where log p is quadratic. These two need all of space,
    and columns of about the same scale: σ and ε are those of every column, and it is an error where rounding takes more
    than a hundredth of what they do in the widest.

    The vectors are a function of ``noise_seed_`` and of the row's number alone: the objective is the same function of θ
    at every step of an optimiser, for all threads and minibatches, and standard errors count the vectors as part of the
    rows. So does the bootstrap. ``noise_seed_`` is drawn from `random_state` by ``fit``, or when a model from
    parameters is first used. :meth:`loss_and_grad`, :meth:`loss_gradients`, ``objective_`` and :meth:`quadratic_form`
    are those of the objective that was chosen; :meth:`score_matching_terms`, :meth:`hyvarinen_score` and :meth:`score`
    are exact. Families whose objective has no lower bound collapse the more easily the more noise it has: with few rows
    use more `n_projections`. A fit to whitened or scaled data takes vectors, noise and steps in units of those, and
    what is asked of the model afterwards in units of the data. The exact objective has no such noise, and in most
    families takes less time too, but not for mixtures of many columns: of thirty, "sliced" with one vector took 0.3
    times as long.

    References
    ----------
    Hyvärinen (2005), "Estimation of non-normalized statistical models by score matching", JMLR 6, section 3.1.
    Song, Garg, Shi and Ermon (2019), "Sliced score matching", UAI, equations 7 and 8.
    Vincent (2011), "A connection between score matching and denoising autoencoders", Neural Computation 23, equation 9;
    Song and Ermon (2019), "Generative modeling by estimating gradients of the data distribution", NeurIPS, equation 6:
    several levels of noise.
    Pang, Xu, Li, Song, Ermon and Zhu (2020), "Efficient learning of generative models via finite-difference score
    matching", NeurIPS, section 3.
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
        objective: ObjectiveName = "exact",
        n_projections: int = 1,
        projection: ProjectionName = "rademacher",
        variance_reduction: bool = True,
        noise_scale: float | Sequence[float] | None = None,
        difference_step: float | None = None,
        random_state: Any = None,
    ) -> None:
        self.covariance_type = covariance_type
        self.domain = domain
        self.weight = weight
        self.robust = robust
        self.n_jobs = n_jobs
        self.objective = objective
        self.n_projections = n_projections
        self.projection = projection
        self.variance_reduction = variance_reduction
        self.noise_scale = noise_scale
        self.difference_step = difference_step
        self.random_state = random_state

    def _check_density(self) -> None:
        if not self._has_boundary and _scaled_cholesky(self.precision_, float(np.finfo(float).eps)) is None:
            raise ValueError("the precision is not positive definite: there is no distribution to draw from")

    def _truncated_sampler(self, random: np.random.RandomState) -> Draw | None:
        return independent_sampler(self._as_pairwise(), "precision", self.domain, random, self.n_jobs)

    def _gibbs_draws(self, n_samples: int, random: np.random.RandomState, options: ChainOptions) -> Doubles:
        return gibbs_draws(self._as_pairwise(), "precision", self.domain, n_samples, random, options, self.n_jobs)

    def _as_pairwise(self) -> Pairwise:
        precision, linear = self._unpack(self.theta_)
        return Pairwise(precision, linear, 1.0, 1.0)

    def _sampler(self, random: np.random.RandomState) -> Callable[[int], Doubles]:
        # P = S⁻¹LLᵀS⁻¹ with S a diagonal: columns may differ in scale by many powers of ten.
        scaled = _scaled_cholesky(self.precision_, float(np.finfo(float).eps))
        if scaled is None:
            raise NoSamplerError("the precision is not positive definite: the exact sampler has nothing to draw from")
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

    def _exact_form(self, X: Floats, sample_weight: Doubles | None) -> QuadraticForm:
        return self._blocks(self._moments_of(X, sample_weight, np.zeros(X.shape[1]))).assembled()

    def _moments_of(self, X: Floats, weight: Doubles | None, shift: Doubles | None) -> Moments | WeightedMoments:
        diagonal = self.covariance_type != "full"
        if self._has_boundary:
            return WeightedMoments.of(
                X, weight, self._unraised_field(X, weight), diagonal=diagonal, n_threads=self._threads(), shift=shift
            )
        return Moments.of(X, weight, diagonal=diagonal, n_threads=self._threads(), shift=shift)

    def _loss(self, X: Floats, sample_weight: Doubles | None) -> Loss:
        if self._has_boundary or X.size < FEW_NUMBERS or not self._is_exact:
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
        self._set_about(moments.shift, theta)

    def _estimate_by_objective(self, X: Floats, sample_weight: Doubles | None) -> None:
        moments = self._sums_in_blocks(X, sample_weight, None)
        loss = self._loss_of_shifted(moments.shift, X, sample_weight)
        try:
            found = self._by_lyapunov(moments, loss)
            if found is None:
                found = minimum(objective_of(self), self._blocks(moments), loss, moments.n_samples, moments.eps)
        except SingularError as error:
            raise ValueError(
                f"the Gaussian cannot be estimated by objective={self.objective!r} from {moments.n_samples} rows: "
                f"{error}. Use more rows or n_projections, variance_reduction=True or objective='exact', drop constant "
                "or duplicated columns, or choose covariance_type='diag' or 'spherical'"
            ) from error
        self._set_minimum(found)
        self._set_about(moments.shift, found.theta)

    def _by_lyapunov(self, moments: Moments | WeightedMoments, loss: Loss) -> FormMinimum | None:
        """About the mean, J = ½ tr PSP − tr PV with S the covariance and V a mean of vvᵀ: PS + SP = 2V.

        For so many columns that a block for each takes long, and on the span of the data where that is not all of
        space; None elsewhere, and where J is another.
        """
        if isinstance(moments, WeightedMoments) or self.covariance_type == "spherical":
            return None
        if not objective_of(self).keeps_quadratic_part:
            return None
        covariance, factor = self._factored(moments)
        n_params = len(self._pack(covariance, moments.mean))
        if factor is not None and (self.covariance_type == "diag" or n_params <= MOST_DENSE_PARAMS):
            return None
        V, _ = self._unpack(-loss(np.zeros(n_params))[1])
        V = (V + np.diag(np.diagonal(V))) / 2  # an entry off the diagonal stands twice in P
        eigenvalues, vectors = eigh(covariance)
        kept = _is_not_zero(eigenvalues, moments.rounding)
        if factor is not None and not kept.all():
            raise SingularError("the columns are nearly linearly dependent, or on very different scales")
        eigenvalues, vectors = eigenvalues[kept], vectors[:, kept]
        inside = 2 * (vectors.T @ V @ vectors) / np.add.outer(eigenvalues, eigenvalues)
        precision = vectors @ inside @ vectors.T
        precision = (precision + precision.T) / 2
        theta = self._pack(precision, precision @ (moments.mean - moments.shift))
        return FormMinimum(theta, loss(theta)[0])

    def _loss_of_shifted(self, shift: Doubles, X: Floats, sample_weight: Doubles | None) -> Loss:
        """The objective as a function of θ of the Gaussian of x − shift."""
        if not self._has_boundary:
            return self._loss_about(shift, X, sample_weight)
        own = self._loss_about(None, X, sample_weight)

        def loss(theta: Doubles) -> tuple[float, Doubles]:
            precision, linear = self._unpack(theta)
            value, slope = own(self._pack(precision, linear + precision @ shift))
            by_linear = slope[-len(shift) :]
            through = self._pack_slope((np.outer(by_linear, shift) + np.outer(shift, by_linear)) / 2, 0 * by_linear)
            return value, slope + through

        return loss

    def _set_about(self, shift: Doubles, theta: Doubles) -> None:
        """Set θ from what it is in x − shift, and warn where it makes no Gaussian on all of space."""
        precision, linear = self._unpack(theta)
        self._set_theta(self._pack(precision, linear + precision @ shift))
        if not self._has_boundary:  # not by way of η, in which digits are lost where data are far from the origin
            self.mean_ = self.params_["mean"] = shift + self.covariance_ @ linear
        eigenvalues = np.linalg.eigvalsh(precision)
        smallest = float(eigenvalues[0])
        if smallest < -len(precision) * np.finfo(float).eps * np.abs(eigenvalues).max():
            remedies = ["more data"]
            if self._has_boundary:
                remedies.append("another weight")
            if not self._is_exact:
                remedies.append("more n_projections")
            only = "is integrable only if the truncation makes it so" if self._has_boundary else "cannot be normalised"
            warn(
                f"the estimated precision has a negative eigenvalue ({smallest:.3g}): the density {only}, and mean_ "
                f"and covariance_ are formal. {', or '.join(remedies).capitalize()} may mend it"
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
        """The precision on the span of the data."""
        covariance, factor = self._factored(moments)
        return _inverse_on_span(covariance, moments.rounding) if factor is None else _inverse_of_scaled(*factor)

    def _factored(self, moments: Moments) -> tuple[Doubles, tuple[Doubles, Doubles] | None]:
        """The covariance and its factor; a warning, and none, where the span of the data is not all of space."""
        covariance = self._shaped(moments.covariance)
        d = len(covariance)
        constant = moments.constant_columns()
        if len(constant) == d:
            raise ValueError("X has no variation: every column is constant")
        if not len(constant) or self.covariance_type == "spherical":
            factor = _scaled_cholesky(covariance, moments.rounding)
            if factor is not None:
                return covariance, factor
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
        return covariance, None


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
    kept = _is_not_zero(eigenvalues, eps)
    return np.asarray((vectors[:, kept] / eigenvalues[kept]) @ vectors[:, kept].T)


def _is_not_zero(eigenvalues: Doubles, eps: float) -> NDArray[np.bool_]:
    """Those of a matrix beside its rounding; with a margin, for it may be on another scale that it is singular."""
    return np.asarray(np.abs(eigenvalues) > 16 * len(eigenvalues) * eps * np.abs(eigenvalues).max())
