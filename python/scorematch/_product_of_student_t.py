"""Products of Student-t experts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from scorematch._constraints import constrained, unit_rows
from scorematch._linear_experts import IndependentExperts, Search, best_common_coefficient
from scorematch._objectives import ObjectiveName, ProjectionName
from scorematch._optimize import Loss, Variables
from scorematch._validation import check_flag, check_parameter, check_positive
from scorematch._whitening import Prepared
from scorematch.domains import Domain
from scorematch.weights import Weight

Doubles = NDArray[np.float64]
# The mean of 1/(1 + ½u²) below which a component has collapsed, and the spread above which.
LEAST_SHARE, MOST_SPREAD = 0.005, 1e4
# The range of estimated exponents: beyond, an expert is flat, or Gaussian, to all digits that matter.
LEAST_EXPONENT, MOST_EXPONENT = 1e-3, 1e6


class ProductOfStudentT(IndependentExperts):
    r"""Product of Student-t experts: a density of directions with heavy tails, fitted by score matching.

    .. math:: \log p(x) = -\sum_k \alpha_k \log\bigl(1 + \tfrac12 (w_k^\top (x - m))^2\bigr) + \text{const}

    with exponents :math:`\alpha_k > 0`. With :math:`u = W(x-m)` and :math:`r_k = 1/(1 + \tfrac12 u_k^2)` the score
    function is :math:`-\sum_k \alpha_k r_k u_k w_k` and the Hessian trace
    :math:`\sum_k \alpha_k r_k (1 - 2 r_k)\|w_k\|^2`. There may be fewer components than columns, as many (then they are
    independent sources, each a scaled Student t of :math:`2\alpha_k - 1` degrees of freedom), or more.

    Parameters
    ----------
    n_components : int, optional
        Number of components m; as many as there are columns where None, or, with `whiten` and linearly dependent
        columns, as many as their rank, with a warning. With `whiten` and fewer components than columns, the data are
        reduced to their first principal components.
    whiten : bool, default=True
        Whether to fit to centred and whitened data. Score matching is not invariant to linear maps, and whitened data
        are where it does best. Results are given on the data's own scale all the same. Where False, the data are taken
        as they are, with m = 0.
    unit_length : bool, optional
        Whether each :math:`w_k` is of length 1 on whitened data, so that exponents alone make the difference between
        components: the objective then has a lower bound, see the notes. Where None, only with more components than
        dimensions.
    domain : Domain, optional
        Where the data live, one of :mod:`scorematch.domains` or an object of your own with ``contains`` and
        ``coordinate_distance``; all of space where None. One with a boundary needs ``whiten=False``.
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
        some hundreds are several times as fast and differ by less than the statistical error, but for components that
        are nearly Gaussian, see the notes.
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
        by weighted moments. Not with `batch_size`.
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
        The directions W, for data on their own scale.
    exponents_ : ndarray of shape (n_components,)
        The exponents :math:`\alpha`.
    mean_ : ndarray of shape (n_features,)
        The centre m: the mean of the data with `whiten`, else 0.
    theta_ : ndarray of shape (n_params,)
        ``components``, W row by row; then ``log_exponents``, the logarithms of :math:`\alpha`.
    theta_names_ : list of str
        Names of the entries of ``theta_``.
    params_ : dict
        ``components``, ``exponents`` and ``mean``, the arguments of :meth:`from_params`; the last may be left out there
        and is then 0.
    objective_ : float
        The objective on the data's own scale. With `whiten` the one minimised is that of the whitened data.
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
    In a direction in which the data are Gaussian, or have lighter tails than that, there is no best exponent: the
    larger it is (and the shorter :math:`w_k`), the better. It ends at a large number then, from where on nothing is to
    be gained.

    In two dimensions and more the objective has no lower bound: an ever longer :math:`w_k` at right angles to a row or
    a few sends it to minus infinity. What is sought is a minimum apart from that, which there is as long as components
    have sources of their own to explain. Components beyond that, rounded values, and columns of very different scales
    without `whiten` make a collapse likely. Where every start runs into it, a warning says so, and the best start is
    returned. `unit_length` rules it out: then the width of the centre is the same for all components, and exponents
    tell how peaked they are.

    The exact sampler of :meth:`sample` is for as many components as columns: then the sources have densities
    proportional to :math:`(1+\tfrac12 s^2)^{-\alpha_k}`. With more it goes by Hamiltonian Monte Carlo, which passes
    into heavy tails slowly. Where the exponents of the components that see a direction do not add up to more than ½,
    the density has no finite integral, and it is an error.

    On minibatches the rows come in a new random order in each epoch, and Adam (Kingma and Ba 2015) goes on until the
    objective has settled, see :class:`ICA`. The same `random_state` gives the same bits on any number of threads. Where
    a component is nearly Gaussian, the way to a large exponent is long and hardly slopes: Adam takes it to have settled
    at some tens, which costs a little more of the objective than its statistical error. L-BFGS goes all the way.

    References
    ----------
    Welling, Hinton and Osindero (2003), "Learning sparse topographic representations with products of Student-t
    distributions", NIPS 15: the density.

    Hyvärinen (2005), "Estimation of non-normalized statistical models by score matching", JMLR 6, sections 3.2 and 3.3:
    score matching of such models, with as many components as dimensions and with more.

    Kingma and Ba (2015), "Adam: a method for stochastic optimization", ICLR, algorithm 1.

    Examples
    --------
    >>> import numpy as np
    >>> import scorematch
    >>> sources = np.random.default_rng(0).standard_t(4.0, size=(20_000, 2))
    >>> mixing = np.array([[2.0, 1.0], [1.0, 1.0]])
    >>> model = scorematch.ProductOfStudentT(random_state=0).fit(sources @ mixing.T)
    >>> bool(np.allclose(model.exponents_, 2.5, rtol=0.25))  # four degrees of freedom
    True
    >>> unmixed = np.abs(model.components_ @ mixing)  # a signed permutation, up to scales, if all is well
    >>> bool(np.allclose(np.sort(unmixed, axis=1)[:, 0], 0, atol=0.05))
    True
    """

    _family: ClassVar[str] = "product_of_student_t"
    _required_params: ClassVar[tuple[str, ...]] = ("components", "exponents")
    _optional_params: ClassVar[tuple[str, ...]] = ("mean",)
    _state: ClassVar[tuple[str, ...]] = ("exponents_", "mean_")

    _why_collapse: ClassVar[str] = "it singles out a few rows"
    _remedy_of_collapse: ClassVar[str] = "unit_length=True, "

    exponents_: Doubles

    def __init__(
        self,
        n_components: int | None = None,
        *,
        whiten: bool = True,
        unit_length: bool | None = None,
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
        self.whiten = whiten
        self.unit_length = unit_length
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

    def _sampler(self, random: np.random.RandomState) -> Callable[[int], Doubles]:
        self._check_square()

        def draw(n: int) -> Doubles:
            # Given a Gamma variable γ of shape α − ½, a normal of variance 1/γ: integrated, (1 + ½s²)^(−α).
            precision = random.standard_gamma(self.exponents_ - 0.5, size=(n, len(self.exponents_)))
            sources = random.standard_normal(precision.shape) / np.sqrt(precision)
            return np.asarray(self.mean_ + np.linalg.solve(self.components_, sources.T).T)

        return draw

    def _check_tails(self, directions: Doubles) -> None:
        # Along a direction the density falls as |x|^(−2Σα), over the components that see it; and as |x|^(−2Σα) over all
        # in most directions, of which there are d dimensions.
        sees = np.abs(directions @ self.components_.T) > 1e-9 * np.linalg.norm(self.components_, axis=1)
        powers = 2 * sees @ self.exponents_
        if not (powers > 1).all():
            seeing = np.flatnonzero(sees[int(np.argmin(powers))])
            k = int(seeing[np.argmin(self.exponents_[seeing])])
            raise ValueError(
                f"exponents_[{k}] is {self.exponents_[k]:.6g}: there is nothing to draw from, since the density has no "
                "finite integral unless the exponents of the components that see a direction add up to above 0.5"
            )
        d = directions.shape[1]
        if not 2 * self.exponents_.sum() > d:
            raise ValueError(
                f"exponents_ add up to {self.exponents_.sum():.6g}: there is nothing to draw from, since the density "
                f"has no finite integral in {d} dimensions unless they add up to above {d / 2:g}"
            )

    # -- what the base asks for ----------------------------------------------------------------------------------

    def _size(self) -> int:
        return len(self.exponents_)

    def _theta_from_params(self, params: dict[str, Any]) -> tuple[int, Doubles]:
        components = self._check_components(params["components"])
        m, d = components.shape
        self.exponents_ = check_positive("exponents", check_parameter("exponents", params["exponents"], (m,)))
        self.mean_ = self._check_mean(params.get("mean"), d)
        return d, np.concatenate([components.ravel(), np.log(self.exponents_)])

    def _start_of_the_rest(self, n_components: int) -> Doubles:
        # The square of a component of four degrees of freedom and ‖w‖ = 1 has the mean 1.
        self.exponents_ = np.full(n_components, 2.5)
        return np.log(self.exponents_)

    def _check_options(self) -> None:
        super()._check_options()
        if self.unit_length is not None:
            check_flag("unit_length", self.unit_length)

    def _search(self, n_components: int, prepared: Prepared) -> Search:
        r = len(prepared.scales)
        if n_components > r if self.unit_length is None else self.unit_length:
            scale = np.broadcast_to(1 / prepared.scales, (n_components, r))
            return Search(constrained(unit_rows, scale, n_positive=0), unit_rows=True)
        return Search(_by_precisions(n_components))

    def _better_start(self, start: Doubles, loss: Loss, search: Search) -> Doubles:
        if not search.unit_rows:
            return start
        m = len(self.exponents_)
        at_one = np.concatenate([start[:-m], np.zeros(m)])
        best = best_common_coefficient(loss, at_one, m)
        return np.concatenate([start[:-m], np.full(m, np.log(best))])

    def _collapse(self, components: Doubles, rest: Doubles, prepared: Prepared) -> str:
        # A component that the data support has a fair share of the rows near its centre; one that runs off keeps the
        # few that it has singled out. (Its spread alone does not tell: sources may be without a variance.)
        with np.errstate(over="ignore", invalid="ignore"):
            share = np.mean(1 / (1 + (prepared.some_rows @ components.T) ** 2 / 2), axis=0)
            sound = (share > LEAST_SHARE) & (prepared.spread(components) < MOST_SPREAD)
        return "" if sound.all() else f"component {int(np.argmin(sound))} collapses"

    def _set_params_from_theta(self) -> None:
        m = len(self.exponents_)
        components, log_exponents = np.split(self.theta_, [m * self.n_features_in_])
        self.components_, self.exponents_ = components.reshape(m, self.n_features_in_), np.exp(log_exponents)
        self.params_ = {"components": self.components_, "exponents": self.exponents_, "mean": self.mean_}


def _by_precisions(m: int) -> Variables:
    """(w√α, t): the squares of the former are the precisions at the centre, which the data tell whatever α is.

    The more Gaussian a source, the less do exponents beyond some size matter, while α‖w‖² stays as it is: in θ that is
    a long bent valley. α = (least + eᵗ)/(1 + eᵗ/most) keeps within its limits.
    """

    def of(theta: Doubles) -> Doubles:
        components = theta[:-m].reshape(m, -1)
        # An estimate that has run to a limit is within rounding of it.
        exponents = np.clip(np.exp(theta[-m:]), LEAST_EXPONENT * (1 + 1e-9), MOST_EXPONENT * (1 - 1e-9))
        t = np.log((exponents - LEAST_EXPONENT) / (1 - exponents / MOST_EXPONENT))
        return np.concatenate([(components * np.sqrt(exponents)[:, None]).ravel(), t])

    def at(phi: Doubles) -> tuple[Doubles, Callable[[Doubles], Doubles]]:
        rows, e = phi[:-m].reshape(m, -1), np.exp(np.clip(phi[-m:], -300, 300))
        exponents = (LEAST_EXPONENT + e) / (1 + e / MOST_EXPONENT)
        slopes = e / (LEAST_EXPONENT + e) - e / (MOST_EXPONENT + e)  # of log α in t
        factor = 1 / np.sqrt(exponents)[:, None]

        def pull_back(gradient: Doubles) -> Doubles:
            by_rows = gradient[:-m].reshape(m, -1) * factor
            along = np.sum(by_rows * rows, axis=1) / 2
            return np.concatenate([by_rows.ravel(), slopes * (gradient[-m:] - along)])

        return np.concatenate([(rows * factor).ravel(), np.log(exponents)]), pull_back

    return Variables(of, at)
