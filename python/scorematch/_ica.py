"""Independent component analysis."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from scorematch._constraints import constrained, orthonormal_rows, unit_rows
from scorematch._linear_experts import RUN_OFF, IndependentExperts, Search, best_common_coefficient
from scorematch._objectives import ObjectiveName, ProjectionName
from scorematch._optimize import Loss
from scorematch._validation import check_flag, check_parameter
from scorematch._whitening import Prepared
from scorematch._windham import exponent_of

Doubles = NDArray[np.float64]
NONLINEARITIES = ("logcosh", "logistic")


class ICA(IndependentExperts):
    r"""Independent component analysis as an unnormalised density, fitted by score matching.

    .. math:: \log p(x) = \sum_k \alpha_k\, G(w_k^\top (x - m)) + \text{const}

    with :math:`G(s) = -\log\cosh s` ("logcosh") or :math:`G(s) = -2\log\cosh\frac{\pi s}{2\sqrt3}` ("logistic", the
    logistic density of unit variance). With :math:`u = W(x-m)` the score function is
    :math:`W^\top(\alpha\circ G'(u))` and the Hessian trace :math:`\sum_k \alpha_k G''(u_k)\|w_k\|^2`. The determinant
    of W, which maximum likelihood needs and which does not exist where there are more components than dimensions, does
    not enter.

    Parameters
    ----------
    n_components : int, optional
        Number of components m; as many as there are columns where None, or, with `whiten` and linearly dependent
        columns, as many as their rank, with a warning. With `whiten` and fewer components than columns, the data are
        reduced to their first principal components. More than the data have dimensions make an overcomplete basis, for
        which `fit_coefficients` is meant; more than there are rows are an error.
    nonlinearity : {"logcosh", "logistic"}, default="logcosh"
        The log density G of a component.
    fit_coefficients : bool, default=False
        Whether to estimate the coefficients :math:`\alpha`; all 1 where False. With more components than dimensions,
        where the length of :math:`w_k` could stand in for :math:`\alpha_k`, each :math:`w_k` is then of length 1 on
        whitened data, so that every component has unit variance, and each :math:`\alpha_k` is positive.
    whiten : bool, default=True
        Whether to fit to centred and whitened data. Score matching is not invariant to linear maps, and whitened data
        are where it does best. Results are given on the data's own scale all the same. Where False, the data are taken
        as they are, with m = 0.
    orthogonal : bool, default=False
        Whether the separating matrix is orthogonal on whitened data, so that the components of the data are
        uncorrelated and of unit variance: better than a free one where there are few rows, see the notes. Needs
        `whiten`, no more components than dimensions, and all rows at once (no `batch_size`).
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
        The learning rate on minibatches, in units of W on whitened data. It is kept until the objective has settled,
        and then falls to 0.
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
        outliers out of the estimate; 0 is the ordinary fit. See the notes of :class:`Gaussian`. Data are then whitened
        by weighted moments. Not with `orthogonal` or `batch_size`.
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
        The separating matrix W, for data on their own scale.
    coefficients_ : ndarray of shape (n_components,)
        The coefficients :math:`\alpha`.
    mean_ : ndarray of shape (n_features,)
        The centre m: the mean of the data with `whiten`, else 0.
    theta_ : ndarray of shape (n_params,)
        W row by row, then :math:`\alpha` with `fit_coefficients`.
    theta_names_ : list of str
        Names of the entries of ``theta_``.
    params_ : dict
        ``components``, ``coefficients`` and ``mean``, the arguments of :meth:`from_params`; the last two may be left
        out there and are then 1 and 0.
    objective_ : float
        The objective on the data's own scale. With `whiten` the one minimised is that of the whitened data.
    converged_ : bool
        Whether the best start converged.
    n_iter_ : int
        Its number of iterations, or of epochs.
    history_ : ndarray of shape (n_epochs,)
        The mean objective of the minibatches of each epoch of the best start, on the scale on which it is minimised;
        empty without minibatches, and absent where nothing was fitted. A file of the model does not hold it.
    robust_weights_, n_reweightings_ : ndarray of shape (n_samples,), int
        With `robust`: Windham's weights at the estimate, of mean 1, and how many times they were made anew.
    noise_seed_, difference_step_ : int, float
        With an `objective` that is not exact: the seed of its random vectors, and with "finite_difference" its step.
    n_features_in_ : int
        Number of columns seen by ``fit``.

    Notes
    -----
    The objective has no lower bound where more than about a third of the rows agree in one direction, as when there
    are hardly more rows than columns: a component with ever longer :math:`w_k` then sends it to minus infinity. Where
    every start runs into that, a warning says so, and the best start is returned.

    The free separating matrix is the estimate of the model: scales are fitted too, and with many rows it separates
    about as well as an orthogonal one and is the better density. An orthogonal one has half as many parameters, cannot
    run off to infinity, and never finds the same component twice. Prefer it where there are less than about ten rows
    for each entry of W, and where the purpose is to separate and not the density. It takes the sample covariance for
    the truth, which limits how exact it can be.

    The exact sampler of :meth:`sample` is for as many components as columns: then components are independent, with
    density proportional to :math:`\exp(\alpha_k G)`. With more it goes by Hamiltonian Monte Carlo. With fewer, or where
    components of negative :math:`\alpha` outweigh the others in some direction, there is no density to draw from, and
    it is an error.

    On minibatches the rows come in a new random order in each epoch, and batches are as equal as can be. Adam
    (Kingma and Ba 2015) goes at `learning_rate_init` until the objective has not fallen by `tol` for `n_iter_no_change`
    epochs; then its rate goes down to 0 in a straight line, over as many epochs, which takes the noise of the batches
    out of the estimate. Where `max_epochs` comes before the objective has settled, a ConvergenceWarning says so. The
    same `random_state` gives the same bits on any number of threads.

    References
    ----------
    Hyvärinen (2005), "Estimation of non-normalized statistical models by score matching", JMLR 6, section 3.2,
    and 3.3 for overcomplete bases.

    Kingma and Ba (2015), "Adam: a method for stochastic optimization", ICLR, algorithm 1.

    Examples
    --------
    >>> import numpy as np
    >>> import scorematch
    >>> rng = np.random.default_rng(0)
    >>> sources = rng.logistic(scale=np.sqrt(3) / np.pi, size=(5000, 2))
    >>> mixing = np.array([[2.0, 1.0], [1.0, 1.0]])
    >>> model = scorematch.ICA(nonlinearity="logistic", random_state=0).fit(sources @ mixing.T)
    >>> unmixed = np.abs(model.components_ @ mixing)  # a signed permutation, if all is well
    >>> bool(np.allclose(np.sort(unmixed, axis=1), [[0, 1], [0, 1]], atol=0.15))
    True
    """

    _family: ClassVar[str] = "ica"
    _required_params: ClassVar[tuple[str, ...]] = ("components",)
    _optional_params: ClassVar[tuple[str, ...]] = ("coefficients", "mean")
    _state: ClassVar[tuple[str, ...]] = ("coefficients_", "mean_")

    coefficients_: Doubles

    def __init__(
        self,
        n_components: int | None = None,
        *,
        nonlinearity: Literal["logcosh", "logistic"] = "logcosh",
        fit_coefficients: bool = False,
        whiten: bool = True,
        orthogonal: bool = False,
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
        self.nonlinearity = nonlinearity
        self.fit_coefficients = fit_coefficients
        self.whiten = whiten
        self.orthogonal = orthogonal
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

    def _sampler(self, random: np.random.RandomState) -> Callable[[int], Doubles]:
        m = len(self.components_)
        self._check_square()
        # If y ~ Beta(a, a), then ½ log(y / (1 − y)) has a density proportional to cosh(s)^(−2a).
        power, rate = (1.0, 1.0) if self.nonlinearity == "logcosh" else (2.0, np.pi / (2 * np.sqrt(3)))

        def draw(n: int) -> Doubles:
            y, complement = random.standard_gamma(power * self.coefficients_ / 2, size=(2, n, m))
            sources = (np.log(y) - np.log(complement)) / (2 * rate)
            return np.asarray(self.mean_ + np.linalg.solve(self.components_, sources.T).T)

        return draw

    def _check_tails(self, directions: Doubles) -> None:
        # G(s) is −|s| far out, but for a factor.
        slopes = np.abs(directions @ self.components_.T) * self.coefficients_
        falls = slopes.sum(axis=1) > 1e-9 * np.abs(slopes).sum(axis=1)
        if not falls.all():
            k = int(np.argmin(slopes[np.argmin(falls)]))
            raise ValueError(
                f"coefficients_[{k}] is {self.coefficients_[k]:.6g}: there is nothing to draw from, since in some "
                "direction the components of positive coefficients do not outweigh it, and the density has no finite "
                "integral"
            )

    # -- what the base asks for ----------------------------------------------------------------------------------

    def _variant(self) -> str:
        return self.nonlinearity + ("+coefficients" if self.fit_coefficients else "")

    def _size(self) -> int:
        return len(self.coefficients_)

    def _constants(self) -> list[float]:
        return [] if self.fit_coefficients else self.coefficients_.tolist()

    def _check_options(self) -> None:
        super()._check_options()
        if self.nonlinearity not in NONLINEARITIES:
            raise ValueError(f"nonlinearity must be one of {NONLINEARITIES}; got {self.nonlinearity!r}")
        check_flag("fit_coefficients", self.fit_coefficients)
        check_flag("orthogonal", self.orthogonal)
        if self.orthogonal and not self.whiten:
            raise ValueError(
                "orthogonal=True is for whitened data, where components are uncorrelated; pass whiten=True"
            )
        if self.orthogonal and self.batch_size is not None:
            raise ValueError("orthogonal=True does not go with batch_size: it is fitted on all rows at once")
        if self.orthogonal and exponent_of(self) > 0:
            raise ValueError(
                "orthogonal=True does not go with robust: it takes the covariance of all rows alike, outliers among "
                "them, for the truth"
            )

    def _theta_from_params(self, params: dict[str, Any]) -> tuple[int, Doubles]:
        components = self._check_components(params["components"])
        m, d = components.shape
        coefficients = params.get("coefficients")
        self.coefficients_ = np.ones(m) if coefficients is None else check_parameter("coefficients", coefficients, (m,))
        self.mean_ = self._check_mean(params.get("mean"), d)
        return d, np.concatenate([components.ravel(), self.coefficients_ if self.fit_coefficients else np.empty(0)])

    def _start_of_the_rest(self, n_components: int) -> Doubles:
        self.coefficients_ = np.ones(n_components)
        return self.coefficients_ if self.fit_coefficients else np.empty(0)

    def _set_params_from_theta(self) -> None:
        m, d = len(self.coefficients_), self.n_features_in_
        self.components_ = self.theta_[: m * d].reshape(m, d)
        if self.fit_coefficients:
            self.coefficients_ = self.theta_[m * d :]
        self.params_ = {"components": self.components_, "coefficients": self.coefficients_, "mean": self.mean_}

    # -- fitting -------------------------------------------------------------------------------------------------

    def _search(self, n_components: int, prepared: Prepared) -> Search:
        r = len(prepared.scales)
        overcomplete = n_components > r
        if self.orthogonal and overcomplete:
            raise ValueError(
                f"orthogonal=True allows no more components than dimensions; got n_components={n_components}, and the "
                f"whitened data have {r}"
            )
        # Where there are more components than dimensions, α_k and ‖w_k‖ can stand in for one another; and two that come
        # together with opposite coefficients make the objective fall for ever, as they grow.
        unit = self.fit_coefficients and overcomplete
        if not (unit or self.orthogonal):
            return Search()
        constraint = orthonormal_rows if self.orthogonal else unit_rows
        scale = np.broadcast_to(1 / prepared.scales, (n_components, r))
        n_positive = n_components if self.fit_coefficients else 0
        return Search(constrained(constraint, scale, n_positive), unit, n_positive)

    def _better_start(self, start: Doubles, loss: Loss, search: Search) -> Doubles:
        m = search.n_positive
        if m == 0:
            return start
        return np.concatenate([start[:-m], np.full(m, best_common_coefficient(loss, start, m))])

    def _collapse(self, components: Doubles, rest: Doubles, prepared: Prepared) -> str:
        size = np.nan_to_num(np.abs(rest), nan=np.inf)
        k = int(np.argmax(size)) if len(size) else 0
        grows = f"coefficient {k} grows without bound" if len(size) and not size[k] < RUN_OFF else ""
        return super()._collapse(components, rest, prepared) or grows
