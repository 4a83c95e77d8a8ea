"""Restricted Boltzmann machines with Gaussian visible and binary hidden units."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from numbers import Real
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_random_state

from scorematch._linear_experts import LinearExperts
from scorematch._moments import Moments
from scorematch._objectives import ObjectiveName, ProjectionName
from scorematch._optimize import warn_unless_converged
from scorematch._sampling import ChainOptions, NoSamplerError, chain_draws
from scorematch._validation import Floats, check_count, check_parameter, check_positive
from scorematch._warnings import warn
from scorematch._windham import clustered_rows
from scorematch.domains import Domain
from scorematch.weights import Weight

Doubles = NDArray[np.float64]
# Hidden units whose states the exact sampler enumerates at most.
MOST_ENUMERATED = 16
# The logarithm of the noise variance is smaller in size, so that its square and the inverse of that do not overflow.
MOST_LOG_VARIANCE = 350.0
# A noise variance below this share of the data's variance has collapsed.
COLLAPSED = 1e-8


class GaussianBernoulliRBM(LinearExperts):
    r"""Restricted Boltzmann machine with Gaussian visible and binary hidden units, fitted by score matching.

    With the hidden units h summed out,

    .. math:: \log p(x) = -\frac{\|x-b\|^2}{2\sigma^2}
              + \sum_k \operatorname{softplus}\bigl(c_k + w_k^\top x/\sigma^2\bigr) + \text{const},

    a mixture of the :math:`2^m` Gaussians of variance :math:`\sigma^2` with means :math:`b + W^\top h`. With
    :math:`s_k = P(h_k = 1 | x) = \operatorname{sigmoid}(c_k + w_k^\top x/\sigma^2)` and the reconstruction
    :math:`\mu(x) = b + W^\top s`, the score function is :math:`(\mu(x) - x)/\sigma^2` and the Hessian trace
    :math:`\sum_k s_k(1-s_k)\|w_k\|^2/\sigma^4 - d/\sigma^2`. So the objective is that of an autoencoder: half the mean
    squared error of the reconstruction, over :math:`\sigma^4`, and a penalty on hidden units that are undecided.

    Parameters
    ----------
    n_components : int, default=16
        Number of hidden units m.
    noise_variance : float or "fit", default="fit"
        The variance :math:`\sigma^2` of the visible units given the hidden ones: estimated, or a number that is given.
        It is the same for all columns, so these should have about the same scale.
    domain : Domain, optional
        Where the data live, one of :mod:`scorematch.domains` or an object of your own with ``contains`` and
        ``coordinate_distance``; all of space where None.
    weight : Weight, optional
        On a domain with a boundary, one of :mod:`scorematch.weights` or a pair of functions h and h′; where None, the
        one that :func:`scorematch.weights.default_weight` chooses.
    n_init : int, default=1
        Number of random starts, of which the best is kept.
    tol : float, default=1e-6
        The gradient at which to stop, in units of the data's scale; on minibatches the least fall of the objective, in
        the same units, that counts as one.
    max_iter : int, default=1000
        Limit of the iterations of one start, where all rows are used at once.
    batch_size : int, optional
        Number of rows of a minibatch, for Adam; with None, L-BFGS on all rows at once. For many rows and components,
        some hundreds are several times as fast and differ by less than the statistical error.
    learning_rate_init : float, default=0.01
        The learning rate on minibatches, in units of the parameters on data of unit variance. It is kept until the
        objective has settled, and then falls to 0.
    max_epochs : int, default=100
        Limit of the passes over the rows of one start, on minibatches.
    early_stopping : bool, default=False
        Whether to hold out some rows of the minibatches' and keep the estimate with the best Hyvärinen score on them.
    validation_fraction : float, default=0.1
        Share of the rows that `early_stopping` holds out.
    n_iter_no_change : int, default=10
        How many epochs the objective (with `early_stopping`, the score of the rows held out) must not have fallen to
        have settled. It takes as many epochs again for the learning rate to fall to 0.
    robust : float, default=0.0
        Exponent c of Windham's weights: a row counts by the c-th power of the density that is fitted to it, which takes
        outliers out of the estimate; 0 is the ordinary fit. See the notes of :class:`Gaussian`. Not with `batch_size`.
    n_jobs : int, optional
        Number of threads; None and -1 mean all processors that the process may use. Results do not depend on it.
    random_state : int, RandomState or None
        Seed of the starts, of the order of the rows of minibatches, and of the random vectors of an `objective` that is
        not exact.
    verbose : int, default=0
        1 shows the progress: on minibatches by a bar, if tqdm is installed.
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
    components_ : ndarray of shape (n_components, n_features)
        The weights W.
    intercept_hidden_ : ndarray of shape (n_components,)
        The offsets c of the hidden units.
    intercept_visible_ : ndarray of shape (n_features,)
        The offsets b of the visible units.
    noise_variance_ : float
        The variance :math:`\sigma^2`, estimated or as given.
    theta_ : ndarray of shape (n_params,)
        ``components``, W row by row; ``intercept_hidden``; ``intercept_visible``; and where it is estimated
        ``log_noise_variance``.
    theta_names_ : list of str
        Names of the entries of ``theta_``.
    params_ : dict
        ``components``, ``intercept_hidden``, ``intercept_visible`` and ``noise_variance``, the arguments of
        :meth:`from_params`.
    objective_ : float
        The objective at the estimate.
    converged_ : bool
        Whether the best start converged.
    n_iter_ : int
        Its number of iterations, or of epochs.
    history_ : ndarray of shape (n_epochs,)
        The mean objective of the minibatches of each epoch of the best start, on the scale on which it is minimised;
        empty without minibatches, and absent where nothing was fitted. A file of the model does not hold it.
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
    A model from :meth:`from_params` takes the noise variance as given. Hand it over by its logarithm,
    ``log_noise_variance``, for one in which it belongs to ``theta_`` as after a fit.

    With a given noise variance the objective is at least :math:`-d/\sigma^2`. Where it is estimated, there is no lower
    bound if the hidden units can reproduce every row exactly, as with few distinct rows: the noise variance then goes
    to 0. Where every start runs into that, a warning says so, and the best start is returned.

    Data may lie anywhere: they are seen from b, and fitted about their mean. Only c speaks of x = 0, and balances
    :math:`Wx/\sigma^2`: where data are 10ᵏ standard deviations away, that takes about k of its sixteen digits, as
    many as the data themselves lose to rounding in float64. ``objective_`` is worked out before that loss.

    The exact sampler of :meth:`sample` draws the states of the hidden units by their probabilities, all of which it
    works out, then the visible units. With more than 16 hidden units it goes by block Gibbs sampling
    (:func:`scorematch.samplers.gibbs`), from rows of the training data where the model holds them.

    References
    ----------
    Swersky, Ranzato, Buchman, Marlin and de Freitas (2011), "On autoencoders and score matching for energy based
    models", ICML: the objective of this model, and its form as an autoencoder.

    Vincent (2011), "A connection between score matching and denoising autoencoders", Neural Computation 23: the same
    for an energy of this kind, in which :math:`1/\sigma^2` also multiplies the softplus.

    Examples
    --------
    >>> import numpy as np
    >>> import scorematch
    >>> true = scorematch.GaussianBernoulliRBM.from_params(
    ...     components=[[3.0, 1.0], [-1.0, 2.0]], intercept_hidden=[-2.0, -1.0], intercept_visible=[0.0, 1.0],
    ...     noise_variance=1.0,
    ... )
    >>> X = true.sample(20_000, random_state=0)
    >>> model = scorematch.GaussianBernoulliRBM(2, random_state=0).fit(X)
    >>> bool(np.isclose(model.noise_variance_, 1, atol=0.1)), bool(model.score(X) >= true.score(X))
    (True, True)
    >>> model.transform(X[:3]).shape
    (3, 2)
    """

    _family: ClassVar[str] = "gaussian_bernoulli_rbm"
    _required_params: ClassVar[tuple[str, ...]] = ("components", "intercept_hidden", "intercept_visible")
    _optional_params: ClassVar[tuple[str, ...]] = ("log_noise_variance",)

    intercept_hidden_: Doubles
    intercept_visible_: Doubles
    noise_variance_: float

    def __init__(
        self,
        n_components: int = 16,
        *,
        noise_variance: float | Literal["fit"] = "fit",
        domain: Domain | None = None,
        weight: Weight | None = None,
        n_init: int = 1,
        tol: float = 1e-6,
        max_iter: int = 1000,
        batch_size: int | None = None,
        learning_rate_init: float = 1e-2,
        max_epochs: int = 100,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
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
        self.noise_variance = noise_variance
        self.domain = domain
        self.weight = weight
        self.n_init = n_init
        self.tol = tol
        self.max_iter = max_iter
        self.batch_size = batch_size
        self.learning_rate_init = learning_rate_init
        self.max_epochs = max_epochs
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
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

    def transform(self, X: ArrayLike) -> Floats:
        """Conditional probabilities of the hidden units, P(hₖ = 1 | x).

        Parameters
        ----------
        X : array_like of shape (n_samples, n_features)
            The data.

        Returns
        -------
        ndarray of shape (n_samples, n_components)
            Of the float type of `X`.
        """
        from scipy.special import expit

        self._check_is_fitted()
        X = self._check_samples(X)
        # About a point near the data that X subtracts exactly, so that nothing is lost far from the origin.
        middle = self.intercept_visible_.astype(X.dtype)
        filters = self.components_ / self.noise_variance_
        at_middle = self.intercept_hidden_ + filters @ middle.astype(np.float64)
        return np.asarray(expit((X - middle) @ filters.T.astype(X.dtype) + at_middle.astype(X.dtype)))

    def _sampler(self, random: np.random.RandomState) -> Callable[[int], Doubles]:
        m, d = self.components_.shape
        if m > MOST_ENUMERATED:
            raise NoSamplerError(
                f"the exact sampler works out the probabilities of all states of the hidden units, 2^{m} of them for "
                f"{m} units; it does so for up to {MOST_ENUMERATED}"
            )
        states = (np.arange(2**m)[:, None] >> np.arange(m)) & 1
        probabilities = self._state_probabilities(states)

        def draw(n: int) -> Doubles:
            hidden = states[random.choice(len(states), size=n, p=probabilities)]
            noise = np.sqrt(self.noise_variance_) * random.standard_normal((n, d))
            return np.asarray(self.intercept_visible_ + hidden @ self.components_ + noise)

        return draw

    def _state_probabilities(self, states: NDArray[np.int_]) -> Doubles:
        """Of all states h on all of space: proportional to exp(cᵀh + (‖b + Wᵀh‖² − ‖b‖²)/2σ²)."""
        W, b, variance = self.components_, self.intercept_visible_, self.noise_variance_
        with np.errstate(over="ignore", invalid="ignore"):
            log_weights = states @ (self.intercept_hidden_ + W @ b / variance)
            log_weights += np.einsum("si,si->s", states @ (W @ W.T / (2 * variance)), states)
        if not np.isfinite(log_weights).all():
            raise ValueError("components_ are so large, or noise_variance_ so small, that probabilities overflow")
        weights = np.exp(log_weights - log_weights.max())
        return np.asarray(weights / weights.sum())

    def _gibbs_draws(self, n_samples: int, random: np.random.RandomState, options: ChainOptions) -> Doubles:
        if self._has_boundary:
            return super()._gibbs_draws(n_samples, random, options)
        return chain_draws(self, n_samples, random, "gibbs", options)

    # -- what the base asks for ----------------------------------------------------------------------------------

    def _size(self) -> int:
        return self.n_components or 0

    def _constants(self) -> list[float]:
        return [] if isinstance(self.noise_variance, str) else [float(self.noise_variance)]

    def _check_options(self) -> None:
        check_count("n_components", self.n_components)
        super()._check_options()
        given = self.noise_variance
        is_number = isinstance(given, Real) and not isinstance(given, bool) and 0 < float(given) < np.inf
        if not is_number and not (isinstance(given, str) and given == "fit"):
            raise ValueError(f"noise_variance must be 'fit' or a positive finite number; got {given!r}")

    def _theta_from_params(self, params: dict[str, Any]) -> tuple[int, Doubles]:
        if not isinstance(self.noise_variance, str):  # it may have come as an array
            given = check_parameter("noise_variance", self.noise_variance, ())
            self.noise_variance = float(check_positive("noise_variance", given))
        components = self._check_components(params["components"])
        m, d = components.shape
        hidden = check_parameter("intercept_hidden", params["intercept_hidden"], (m,))
        visible = check_parameter("intercept_visible", params["intercept_visible"], (d,))
        logarithm = params.get("log_noise_variance")
        if (logarithm is None) == (self.noise_variance == "fit"):
            raise TypeError(
                "GaussianBernoulliRBM.from_params() takes noise_variance, a number which is then given, or "
                "log_noise_variance, which is then part of theta_"
            )
        noise = 0.0 if logarithm is None else float(check_parameter("log_noise_variance", logarithm, ()))
        log_variance = noise if logarithm is not None else np.log(self.noise_variance)
        if not abs(log_variance) < MOST_LOG_VARIANCE:
            raise ValueError(
                f"the noise variance and its inverse must be finite, and their squares; got a variance of "
                f"exp({log_variance:.6g})"
            )
        return d, self._joined(components, hidden, visible, noise)

    def _set_params_from_theta(self) -> None:
        m, d = self._size(), self.n_features_in_
        components, self.intercept_hidden_, self.intercept_visible_, rest = np.split(
            self.theta_, [m * d, m * d + m, m * d + m + d]
        )
        self.components_ = components.reshape(m, d)
        self.noise_variance_ = float(np.exp(rest[0])) if len(rest) else self._constants()[0]
        self.params_ = {
            "components": self.components_,
            "intercept_hidden": self.intercept_hidden_,
            "intercept_visible": self.intercept_visible_,
            "noise_variance": np.asarray(self.noise_variance_),
        }

    # -- fitting -------------------------------------------------------------------------------------------------

    def _fit(self, X: Floats, sample_weight: Doubles | None) -> None:
        self._check_options()
        self._settings()
        self._check_rows(X, sample_weight)
        self._descend(X, sample_weight)

    def _refit(self, X: Floats, sample_weight: Doubles | None) -> None:
        self._descend(X, sample_weight, again=True)

    def _rows_to_begin_with(self, X: Floats) -> NDArray[np.bool_]:
        return clustered_rows(X, 2 ** min(self.n_components or 0, 5))

    def _descend(self, X: Floats, sample_weight: Doubles | None, again: bool = False) -> None:
        moments = Moments.of(X, sample_weight, diagonal=True, n_threads=self._threads())
        m, d = self._size(), X.shape[1]
        if len(moments.constant_columns()) == d:
            raise ValueError("X has no variation: every column is constant")
        variance = float(moments.covariance.mean())
        # Of data off the origin W and c are so correlated that the search creeps, and c has few digits left. On all of
        # space the model is closed under shifts, and the fit is about a point that X subtracts exactly.
        origin = np.zeros(d) if self._has_boundary else moments.mean.astype(X.dtype).astype(np.float64)
        estimated, random = not self._constants(), check_random_state(self.random_state)
        starts: Iterable[Doubles] = self._starts(moments.mean - origin, variance, random)
        if again:
            hidden = self.intercept_hidden_ + self.components_ @ origin / self.noise_variance_
            visible, log_variance = self.intercept_visible_ - origin, float(np.log(self.noise_variance_))
            starts = [self._joined(self.components_, hidden, visible, log_variance)]
        minimum = self._minimise(
            self._compiled(),
            X,
            sample_weight,
            starts,
            scale=self._joined(np.full((m, d), np.sqrt(variance)), np.ones(m), np.full(d, np.sqrt(variance)), 1.0),
            unit=d / variance,
            random=random,
            origin=None if self._has_boundary else origin,
            fault=lambda theta: _collapse(theta[-1], variance) if estimated else "",
        )
        self._set_theta(minimum.theta)
        hidden = self.intercept_hidden_ - self.components_ @ origin / self.noise_variance_
        self.theta_ = self._joined(
            self.components_, hidden, self.intercept_visible_ + origin, np.log(self.noise_variance_)
        )
        self.objective_ = minimum.objective
        if minimum.fault:
            warn(
                f"{minimum.fault}, and so from every start: the hidden units reproduce the rows ever more exactly, and "
                "there the objective has no lower bound. What is returned is the best start itself, random weights. "
                "Try fewer hidden units (n_components), more rows, or a number for noise_variance; look for duplicated "
                "or rounded values"
            )
            return
        warn_unless_converged("GaussianBernoulliRBM", minimum, f"{self._first_remedy()}, or more starts (n_init)")

    def _starts(self, mean: Doubles, variance: float, random: np.random.RandomState) -> Iterator[Doubles]:
        """Random weights, so small that the hidden units hardly do anything yet, and a Gaussian that fits the data."""
        m, d = self._size(), len(mean)
        for _ in range(self.n_init):
            components = 0.1 * np.sqrt(variance / d) * random.standard_normal((m, d))
            yield self._joined(components, np.zeros(m), mean, np.log(variance))

    def _joined(self, components: Doubles, hidden: Doubles, visible: Doubles, log_noise_variance: float) -> Doubles:
        """θ of its blocks; the last is left out where it is given."""
        blocks = [components.ravel(), hidden, visible]
        return np.concatenate(blocks if self._constants() else [*blocks, [log_noise_variance]])


def _collapse(log_noise_variance: float, variance: float) -> str:
    """In words, whether the noise variance is about to vanish beside that of the data; empty where it is not."""
    return "" if log_noise_variance > np.log(COLLAPSED * variance) else "the noise variance collapses"
