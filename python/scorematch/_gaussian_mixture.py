"""Mixtures of Gaussians."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_random_state

from scorematch import _core
from scorematch._moments import Moments
from scorematch._objectives import ObjectiveName, ProjectionName, rows_from
from scorematch._optimize import Settings, minimise, warn_unless_converged
from scorematch._validation import Floats, check_count, check_parameter, check_positive_definite, check_real
from scorematch._warnings import warn
from scorematch._whole_data import WholeDataEstimator
from scorematch._windham import clustered_rows
from scorematch.domains import Domain
from scorematch.weights import Weight

Doubles = NDArray[np.float64]
COVARIANCE_TYPES = ("full", "tied", "diag", "spherical")
# A component whose variance in some direction is below this share of the data's has collapsed.
COLLAPSED = 1e-8
REMEDIES_OF_COLLAPSE = (
    "Try fewer components, a larger reg_covar, covariance_type='tied', 'diag' or 'spherical', or more starts (n_init); "
    "look for duplicated or rounded values"
)
# Standard error of the logarithm of a ratio of weights beyond which a warning says that it is hardly determined.
MOST_WEIGHT_ERROR = 0.5
# What k-means looks at, in numbers: of more rows a random part, which tells as much of where to start.
MOST_CLUSTERED_NUMBERS = 200_000
# Rows whose terms are held at a time.
BLOCK = 65536


class GaussianMixture(WholeDataEstimator):
    r"""Mixture of Gaussians, fitted by score matching from several starts.

    .. math:: \log p(x) = \log \sum_k \pi_k\, N(x; \mu_k, \Sigma_k)

    With responsibilities :math:`r_k(x)` and :math:`s_k = -\Sigma_k^{-1}(x-\mu_k)`, the score function is
    :math:`\psi = \sum_k r_k s_k` and the Hessian trace
    :math:`\sum_k r_k (\|s_k\|^2 - \operatorname{tr}\Sigma_k^{-1}) - \|\psi\|^2`.

    The normaliser of a mixture on all of space is known, so maximum likelihood (scikit-learn's ``GaussianMixture``) is
    at hand there. Score matching is for what it cannot do: truncated domains, other objectives, and the score function
    itself.

    Parameters
    ----------
    n_components : int, default=1
        Number of components.
    covariance_type : {"full", "tied", "diag", "spherical"}, default="full"
        One covariance a component; one for all; diagonal ones; multiples of the identity.
    n_init : int, default=3
        Number of starts, of which the best is kept.
    init_params : {"kmeans", "random"}, default="kmeans"
        Starts from the clusters of k-means, or from rows of the data picked at random as means. Of large data (more
        than 200 000 numbers, and 100 rows a component) k-means sees a random part.
    reg_covar : float, default=1e-10
        Covariance floor, as a share of the smallest variance of a column: that much is part of the diagonal of every
        covariance. The objective has no lower bound without it: a component that collapses on one point, or on a few
        that agree in one direction, sends it to minus infinity. A warning says so where a component ends on the floor.
    domain : Domain, optional
        Where the data live, one of :mod:`scorematch.domains` or an object of your own with ``contains`` and
        ``coordinate_distance``; all of space where None.
    weight : Weight, optional
        On a domain with a boundary, one of :mod:`scorematch.weights` or a pair of functions h and h′; where None, the
        one that :func:`scorematch.weights.default_weight` chooses.
    tol : float, default=1e-6
        The gradient at which to stop, in units of the data's scale.
    max_iter : int, default=1000
        Limit of the iterations of one start.
    robust : float, default=0.0
        Exponent c of Windham's weights: a row counts by the c-th power of the density that is fitted to it, which takes
        outliers out of the estimate; 0 is the ordinary fit. See the notes of :class:`Gaussian`. Here it is begun
        without rows that stand alone; outliers that form a cluster of some size are one to a mixture.
    n_jobs : int, optional
        Number of threads; None and -1 mean all processors that the process may use. Results do not depend on it.
    random_state : int, RandomState or None
        Seed of the starts, and of the random vectors of an `objective` that is not exact.
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
    weights_ : ndarray of shape (n_components,)
        Weights, which add up to 1.
    means_ : ndarray of shape (n_components, n_features)
        Means.
    covariances_, precisions_ : ndarray
        Covariances and their inverses, shaped as in scikit-learn: (n_components, n_features, n_features),
        (n_features, n_features), (n_components, n_features) or (n_components,) by `covariance_type`.
    theta_ : ndarray of shape (n_params,)
        ``log_weight_ratio`` (n_components - 1,), the logarithms of weights over the last one; ``means``; ``cholesky``,
        the lower Cholesky factors, with the logarithm of their diagonal, of the covariances less the floor (for
        "diag" and "spherical" half the logarithm of the variances less the floor).
    theta_names_ : list of str
        Names of the entries of ``theta_``.
    params_ : dict
        ``weights``, ``means`` and ``covariances``, the arguments of :meth:`from_params`, which also takes
        ``precisions`` in place of ``covariances``.
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
    Score matching compares slopes of log densities, and the slope inside one mode hardly tells the weight of another
    that lies far away: for two modes three standard deviations to either side of their middle, the variance of an
    estimated weight is over a hundred times that of maximum likelihood. A warning says where weights are hardly
    determined; those that are not at all stay as they were at the start, the shares of the clusters of k-means.

    The exact sampler of :meth:`sample` draws a component, then a point of it.

    A fit takes L-BFGS-B, and where that is slow and there are no more than 400 parameters, a Newton method at the end.

    References
    ----------
    Hyvärinen (2005), "Estimation of non-normalized statistical models by score matching", JMLR 6.

    Examples
    --------
    >>> import numpy as np
    >>> import scorematch
    >>> rng = np.random.default_rng(0)
    >>> X = np.concatenate([rng.normal(-2, 1, (4000, 1)), rng.normal(2, 1, (4000, 1))])
    >>> model = scorematch.GaussianMixture(2, random_state=0).fit(X)
    >>> bool(np.allclose(np.sort(model.means_.ravel()), [-2, 2], atol=0.2))
    True
    """

    _family: ClassVar[str] = "gaussian_mixture"
    _required_params: ClassVar[tuple[str, ...]] = ("weights", "means")
    _optional_params: ClassVar[tuple[str, ...]] = ("covariances", "precisions")
    _state: ClassVar[tuple[str, ...]] = ("_floor",)

    weights_: Doubles
    means_: Doubles
    covariances_: Doubles
    precisions_: Doubles

    def __init__(
        self,
        n_components: int = 1,
        covariance_type: Literal["full", "tied", "diag", "spherical"] = "full",
        *,
        n_init: int = 3,
        init_params: Literal["kmeans", "random"] = "kmeans",
        reg_covar: float = 1e-10,
        domain: Domain | None = None,
        weight: Weight | None = None,
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
        self.n_components = n_components
        self.covariance_type = covariance_type
        self.n_init = n_init
        self.init_params = init_params
        self.reg_covar = reg_covar
        self.domain = domain
        self.weight = weight
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
        factors = np.linalg.cholesky(self._full(self.covariances_))

        def draw(n: int) -> Doubles:
            labels = random.choice(len(self.weights_), size=n, p=self.weights_)
            noise = random.standard_normal((n, self.n_features_in_))
            draws = np.empty_like(noise)
            for k, (mean, factor) in enumerate(zip(self.means_, factors, strict=True)):
                draws[labels == k] = mean + noise[labels == k] @ factor.T
            return draws

        return draw

    # -- what the base asks for ----------------------------------------------------------------------------------

    # The floor in the parametrisation of a fitted model; one made from parameters has none.
    _floor: float = 0.0

    def _variant(self) -> str:
        return self.covariance_type

    def _size(self) -> int:
        return self.n_components

    def _constants(self) -> list[float]:
        return [self._floor]

    def _check_options(self) -> None:
        check_count("n_components", self.n_components)
        check_count("n_init", self.n_init)
        check_real("reg_covar", self.reg_covar, lowest=0.0)
        if self.covariance_type not in COVARIANCE_TYPES:
            raise ValueError(f"covariance_type must be one of {COVARIANCE_TYPES}; got {self.covariance_type!r}")
        if self.init_params not in ("kmeans", "random"):
            raise ValueError(f"init_params must be 'kmeans' or 'random'; got {self.init_params!r}")

    def _theta_from_params(self, params: dict[str, Any]) -> tuple[int, Doubles]:
        weights = check_parameter("weights", params["weights"], (None,))
        self.n_components = n_components = len(weights)
        self._check_options()
        if (weights <= 0).any() or abs(weights.sum() - 1) > 1e-6:
            raise ValueError(f"weights must be positive and add up to 1; got {weights!r}")
        means = check_parameter("means", params["means"], (n_components, None))
        d = means.shape[1]
        given = [name for name in ("covariances", "precisions") if params.get(name) is not None]
        if len(given) != 1:
            raise TypeError("GaussianMixture.from_params() takes one of covariances and precisions")
        shape: dict[str, tuple[int | None, ...]] = {
            "full": (n_components, d, d),
            "tied": (d, d),
            "diag": (n_components, d),
            "spherical": (n_components,),
        }
        matrices = check_parameter(given[0], params[given[0]], shape[self.covariance_type])
        covariances = self._check_positive(given[0], matrices)
        if given[0] == "precisions":
            covariances = self._invert(covariances)
        return d, self._pack(weights / weights.sum(), means, covariances)

    def _check_positive(self, name: str, matrices: Doubles) -> Doubles:
        if self.covariance_type == "full":
            return np.stack([check_positive_definite(f"{name}[{k}]", matrix) for k, matrix in enumerate(matrices)])
        if self.covariance_type == "tied":
            return check_positive_definite(name, matrices)
        if (matrices <= 0).any():
            raise ValueError(f"{name} must be positive; got {matrices.min():.6g}")
        return matrices

    def _invert(self, matrices: Doubles) -> Doubles:
        return np.asarray(np.linalg.inv(matrices) if self.covariance_type in ("full", "tied") else 1 / matrices)

    def _full(self, covariances: Doubles) -> Doubles:
        """Covariances as (n_components, n_features, n_features), whatever their type."""
        d = self.n_features_in_
        if self.covariance_type == "full":
            return covariances
        if self.covariance_type == "tied":
            return np.broadcast_to(covariances, (self.n_components, d, d))
        variances = covariances if self.covariance_type == "diag" else covariances[:, None]
        return variances[:, :, None] * np.eye(d)

    def _pack(self, weights: Doubles, means: Doubles, covariances: Doubles) -> Doubles:
        """θ of weights, means and covariances; the latter must lie above the floor."""
        if self.covariance_type in ("full", "tied"):
            d = means.shape[1]
            factors = np.linalg.cholesky(covariances - self._floor * np.eye(d))
            diagonal = np.arange(d)
            factors[..., diagonal, diagonal] = np.log(factors[..., diagonal, diagonal])
            spread = factors[..., *np.tril_indices(d)].ravel()
        else:
            spread = np.log(covariances - self._floor).ravel() / 2
        return np.concatenate([np.log(weights[:-1] / weights[-1]), means.ravel(), spread])

    def _unpack(self, theta: Doubles) -> tuple[Doubles, Doubles, Doubles]:
        """Weights, means and covariances of θ."""
        n_components, d = self.n_components, self.n_features_in_
        ratios, means, spread = np.split(theta, [n_components - 1, n_components - 1 + n_components * d])
        logits = np.append(ratios, 0.0)
        weights = np.exp(logits - logits.max())
        if self.covariance_type in ("full", "tied"):
            leading = (n_components,) if self.covariance_type == "full" else ()
            factors = np.zeros((*leading, d, d))
            factors[..., *np.tril_indices(d)] = spread.reshape(*leading, -1)
            diagonal = np.arange(d)
            factors[..., diagonal, diagonal] = np.exp(factors[..., diagonal, diagonal])
            covariances = factors @ np.swapaxes(factors, -1, -2) + self._floor * np.eye(d)
        else:
            covariances = np.exp(2 * spread) + self._floor
            if self.covariance_type == "diag":
                covariances = covariances.reshape(n_components, d)
        return weights / weights.sum(), means.reshape(n_components, d), covariances

    def _set_params_from_theta(self) -> None:
        self.weights_, self.means_, self.covariances_ = self._unpack(self.theta_)
        self.precisions_ = self._invert(self.covariances_)
        self.params_ = {"weights": self.weights_, "means": self.means_, "covariances": self.covariances_}

    def _at_bounds(self) -> dict[int, str]:
        # Half the logarithm of a variance above the floor; nothing is known of it where there is nothing above.
        n_spread = len(self.theta_) - (self.n_components - 1) - self.means_.size
        first = len(self.theta_) - n_spread
        spread = self.theta_[first:]
        if self.covariance_type in ("full", "tied"):
            d = self.n_features_in_
            rows, columns = np.tril_indices(d)
            on_diagonal = np.tile(rows == columns, n_spread // len(rows))
        else:
            on_diagonal = np.ones(n_spread, dtype=bool)
        floored = on_diagonal & (2 * np.where(on_diagonal, spread, 0) <= np.log(0.1 * max(self._floor, 1e-300)))
        return dict.fromkeys((first + np.flatnonzero(floored)).tolist(), "it is at the covariance floor, reg_covar")

    # -- fitting -------------------------------------------------------------------------------------------------

    def _fit(self, X: Floats, sample_weight: Doubles | None) -> None:
        self._check_options()
        Settings(self.tol, self.max_iter, self.verbose)  # so that slips are seen before the starts, which take time
        n = len(X) if sample_weight is None else int(np.count_nonzero(sample_weight))
        needed = max(2, self.n_components)
        if n < needed:
            raise ValueError(
                f"GaussianMixture with n_components={self.n_components} needs at least {needed} samples"
                f"{'' if sample_weight is None else ' of positive weight'}; got n_samples = {n}"
            )
        moments = Moments.of(X, sample_weight, diagonal=True, n_threads=self._threads())
        variances = moments.covariance
        constant = moments.constant_columns()
        if len(constant):
            raise ValueError(
                f"column {constant[0]} of X is constant: a mixture has no density in that direction. Drop the column"
            )
        self._floor = float(self.reg_covar * variances.min())
        self._descend(X, sample_weight, variances, self._starts(X, sample_weight, variances))

    def _refit(self, X: Floats, sample_weight: Doubles | None) -> None:
        # The floor stays, and with it the meaning of θ.
        variances = Moments.of(X, sample_weight, diagonal=True, n_threads=self._threads()).covariance
        self._descend(X, sample_weight, variances, [self.theta_])

    def _descend(self, X: Floats, sample_weight: Doubles | None, variances: Doubles, starts: Iterable[Doubles]) -> None:
        scales = np.sqrt(variances)
        minimum = minimise(
            self._loss(X, sample_weight),
            starts,
            scale=self._theta_scale(scales),
            unit=float(np.sum(1 / variances)),
            eps=float(np.finfo(X.dtype).eps),
            settings=Settings(self.tol, self.max_iter, self.verbose),
            fault=lambda theta: self._collapse(theta, scales),
            n_anchored=self.n_components - 1,
        )
        self.theta_, self.objective_ = minimum.theta, minimum.objective
        self.converged_, self.n_iter_ = minimum.converged, minimum.n_iter
        if minimum.fault:
            warn(
                f"{minimum.fault}, and so from every start: a few rows agree in a point or in a direction, and there "
                "the objective has no lower bound. What is returned is the best start itself, not a minimum. "
                f"{REMEDIES_OF_COLLAPSE}"
            )
            return
        warn_unless_converged(
            "GaussianMixture", minimum, "a larger max_iter, fewer components, or rescaling the columns"
        )
        k, share = self._thinnest(minimum.theta, scales)
        if share <= 1.1 * self.reg_covar:
            warn(
                f"component {k} sits on the covariance floor reg_covar={self.reg_covar:g}: without it, the component "
                f"would collapse. {REMEDIES_OF_COLLAPSE}"
            )
        elif self.n_components > 1:
            self._warn_of_weights(X, sample_weight, minimum.theta)

    def _rows_to_begin_with(self, X: Floats) -> NDArray[np.bool_]:
        return clustered_rows(X, self.n_components)

    def _warn_of_weights(self, X: Floats, sample_weight: Doubles | None, theta: Doubles) -> None:
        """Say so where the data, seen through slopes, do not tell the weights."""
        errors = self._weight_errors(X, sample_weight, theta)
        k = int(np.argmax(errors))
        if errors[k] <= MOST_WEIGHT_ERROR:
            return
        size = f"is about {errors[k]:.2g}, if not more" if np.isfinite(errors[k]) else "is not finite"
        warn(
            f"weights_ are hardly determined: the standard error of log(weights_[{k}] / weights_[-1]) {size}. Score "
            "matching sees slopes of the log density, and these do not tell the shares of components that hardly "
            "overlap. means_ and covariances_ do not suffer. Where weights matter, estimate them by maximum likelihood"
        )

    def _weight_errors(self, X: Floats, sample_weight: Doubles | None, theta: Doubles) -> Doubles:
        """Standard errors of the logarithms of the ratios of weights, all else taken as known: too small, if anything.

        From derivatives of each sample's term and of the gradient, by differences.
        """
        n_ratios, step = self.n_components - 1, 1e-2
        family, loss = self._compiled(), self._loss(X, sample_weight)
        steps = step * np.eye(n_ratios, len(theta))

        def slopes(rows: slice) -> Doubles:
            if not self._is_exact:
                with rows_from(rows.start):
                    field = self._field(X[rows])
                every = _core.loss_gradients(family, theta, X[rows], field, self._threads(), None)
                return every[:, :n_ratios].T * (1.0 if sample_weight is None else sample_weight[rows])
            differences, field = [], self._field(X[rows])
            for one in steps:
                ahead, behind = (
                    _core.evaluate(family, moved, X[rows], field, ["norm_term", "hessian_term"], self._threads(), None)
                    for moved in (theta + one, theta - one)
                )
                differences.append(sum(ahead[term].astype(np.float64) - behind[term] for term in ahead))
            weight = 1.0 if sample_weight is None else sample_weight[rows]
            return np.stack(differences) * (weight / (2 * step))

        curvature = np.stack([loss(theta + one)[1] - loss(theta - one)[1] for one in steps])[:, :n_ratios] / (2 * step)
        squares = np.zeros((n_ratios, n_ratios))
        for first in range(0, len(X), BLOCK):
            block = slopes(slice(first, first + BLOCK))
            squares += block @ block.T
        eigenvalues, vectors = np.linalg.eigh((curvature + curvature.T) / 2)
        undetermined = eigenvalues <= 1e-9 * np.abs(eigenvalues).max()
        # The sandwich H⁻¹SH⁻¹/n², with H⁻¹ = VΛ⁻¹Vᵀ.
        inverse = (vectors / np.where(undetermined, np.inf, eigenvalues)) @ vectors.T
        errors = np.sqrt(np.einsum("ij,jk,ik->i", inverse, squares, inverse)) / len(X)
        return np.where((vectors[:, undetermined] ** 2).sum(axis=1) > 1e-6, np.inf, errors)

    def _theta_scale(self, scales: Doubles) -> Doubles:
        """The natural size of each entry of θ."""
        d = len(scales)
        if self.covariance_type in ("full", "tied"):
            rows, columns = np.tril_indices(d)
            one = np.where(rows == columns, 1.0, scales[rows])
            spread = np.tile(one, self.n_components if self.covariance_type == "full" else 1)
        else:
            spread = np.ones(self.n_components * (d if self.covariance_type == "diag" else 1))
        return np.concatenate([np.ones(self.n_components - 1), np.tile(scales, self.n_components), spread])

    def _starts(self, X: Floats, sample_weight: Doubles | None, variances: Doubles) -> Iterator[Doubles]:
        random = check_random_state(self.random_state)
        # A single cluster is the same from every start.
        for _ in range(1 if self.n_components == 1 and self.init_params == "kmeans" else self.n_init):
            seed = int(random.randint(np.iinfo(np.int32).max))
            if self.init_params == "kmeans":
                yield self._start_from_clusters(X, sample_weight, variances, seed)
            else:
                yield self._start_from_rows(X, sample_weight, variances, seed)

    def _start_from_rows(self, X: Floats, sample_weight: Doubles | None, variances: Doubles, seed: int) -> Doubles:
        chance = None if sample_weight is None else sample_weight / sample_weight.sum()
        rows = np.random.default_rng(seed).choice(len(X), self.n_components, replace=False, p=chance)
        spread = np.tile(np.diag(variances), (self.n_components, 1, 1))
        return self._start(np.full(self.n_components, 1 / self.n_components), X[rows].astype(np.float64), spread)

    def _start_from_clusters(self, X: Floats, sample_weight: Doubles | None, variances: Doubles, seed: int) -> Doubles:
        from sklearn.cluster import KMeans

        most = max(MOST_CLUSTERED_NUMBERS // X.shape[1], 100 * self.n_components)
        positive = None if sample_weight is None else np.flatnonzero(sample_weight)
        n_rows = len(X if positive is None else positive)
        if n_rows > most:
            # A row that is drawn twice counts once: a permutation of all rows would take as much memory as a column.
            drawn = np.unique(np.random.default_rng(seed).integers(n_rows, size=most))
            rows = drawn if positive is None else positive[drawn]
            X, sample_weight = X[rows], None if sample_weight is None else sample_weight[rows]
        scale = np.sqrt(variances).astype(X.dtype)
        with warnings.catch_warnings():  # fewer distinct rows than clusters: the floor's warning will tell
            warnings.simplefilter("ignore")
            clusters = KMeans(self.n_components, n_init=1, random_state=seed).fit(
                X / scale, sample_weight=sample_weight
            )
        d = X.shape[1]
        weights = np.empty(self.n_components)
        means = np.empty((self.n_components, d))
        covariances = np.empty((self.n_components, d, d))
        for k in range(self.n_components):
            mine = clusters.labels_ == k
            weight = np.ones(np.count_nonzero(mine)) if sample_weight is None else sample_weight[mine]
            total = float(weight.sum())
            weights[k] = total + 1e-3 * len(X) / self.n_components
            covariances[k] = np.diag(variances)
            means[k] = clusters.cluster_centers_[k] * scale
            if total > 0:
                moments = Moments.of(X[mine], weight, diagonal=False, n_threads=1)
                means[k] = moments.mean
                # Small clusters tell little about their shape: lean on that of all the data.
                trust = total / (total + d)
                covariances[k] = trust * moments.covariance + (1 - trust) * covariances[k]
        return self._start(weights / weights.sum(), means, covariances)

    def _start(self, weights: Doubles, means: Doubles, covariances: Doubles) -> Doubles:
        """θ from weights, means and (n_components, n_features, n_features) covariances, lifted above the floor."""
        d = means.shape[1]
        lift = self._floor + 1e-3 * np.einsum("kii->k", covariances) / d
        covariances = covariances + lift[:, None, None] * np.eye(d)
        variances = np.einsum("kii->ki", covariances)
        shaped = {
            "full": covariances,
            "tied": np.average(covariances, axis=0, weights=weights),
            "diag": variances,
            "spherical": variances.mean(axis=1),
        }
        return self._pack(weights, means, shaped[self.covariance_type])

    def _collapse(self, theta: Doubles, scales: Doubles) -> str:
        """Which component collapses, in words; empty where none does. None can where the floor is higher."""
        k, share = self._thinnest(theta, scales)
        return f"component {k} collapses" if not share > COLLAPSED else ""

    def _thinnest(self, theta: Doubles, scales: Doubles) -> tuple[int, float]:
        """The component with the smallest variance in any direction, and that, as a share of the data's."""
        with np.errstate(over="ignore", invalid="ignore"):
            smallest = np.nan_to_num(self._smallest_variances(self._unpack(theta)[2], scales), nan=0.0)
        k = int(np.argmin(smallest))
        return k, float(smallest[k])

    def _smallest_variances(self, covariances: Doubles, scales: Doubles) -> Doubles:
        """The smallest variance of each component in any direction, in units of the data's scale."""
        if self.covariance_type in ("full", "tied"):
            shares = (covariances / np.outer(scales, scales)).reshape(-1, len(scales), len(scales))
            finite = np.isfinite(shares).all(axis=(1, 2))
            smallest = np.full(len(shares), np.nan)
            smallest[finite] = np.linalg.eigvalsh(shares[finite])[:, 0]
            return smallest
        if self.covariance_type == "diag":
            return np.asarray((covariances / scales**2).min(axis=1))
        return np.asarray(covariances / scales.min() ** 2)
