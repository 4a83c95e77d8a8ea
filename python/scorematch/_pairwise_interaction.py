"""Pairwise interactions of powers: sparse graphical models on the orthant, on boxes, on the simplex."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.exceptions import ConvergenceWarning

from scorematch import _interaction_exact
from scorematch._closed_form import ClosedFormEstimator
from scorematch._estimating import EstimatingEquations
from scorematch._gibbs import Pairwise
from scorematch._gradient_form import dense_form
from scorematch._interaction_dense import MOST_PARAMS, minimise_dense
from scorematch._interaction_graph import InteractionGraph
from scorematch._interaction_solver import (
    MAX_ITER,
    ColumnForm,
    ColumnSolution,
    auto_multiplier,
    column_form,
    combined,
    fill_diagonal,
    restore,
    solve_columns,
)
from scorematch._objectives import BESIDE_THE_ROWS, ObjectiveName, ProjectionName, objective_of
from scorematch._pairwise_equations import estimating
from scorematch._pairwise_form import PairwiseForm, SimplexForm, symmetric_index
from scorematch._pairwise_moments import PairwiseMoments
from scorematch._penalised import UnboundedError
from scorematch._quadratic import QuadraticForm, SingularError
from scorematch._sampling import ChainOptions, Draw, NoSamplerError
from scorematch._validation import (
    Floats,
    check_count,
    check_flag,
    check_parameter,
    check_real,
    check_symmetric,
)
from scorematch._warnings import warn
from scorematch._windham import exponent_of, product, rows_to_begin_with
from scorematch.domains import NonNegative, RealSpace, Simplex

Doubles = NDArray[np.float64]
COMBINATIONS = ("symmetric", "and", "or")
SCALES = (None, "norm", "sd")


class PairwiseInteraction(InteractionGraph, ClosedFormEstimator):
    r"""Graphical model of pairwise interactions of powers, with an l1 penalty on its edges.

    .. math:: \log p(x) = -\frac{1}{2a} (x^a)^\top K x^a + \frac1b \eta^\top x^b + \text{const}

    on its domain, with a, b >= 0. At a = 0 the first term is :math:`-\tfrac12 (\log x)^\top K \log x`, at b = 0 the
    second one is :math:`\eta^\top \log x`. The score function is
    :math:`\psi_j = -x_j^{a-1} (K x^a)_j + \eta_j x_j^{b-1}`. Where :math:`K_{ij} = 0`, coordinates i and j are
    independent given all others, so that the entries other than 0 are the edges of a graph.

    With a = b = 1 it is the truncated Gaussian, with a = b = 1/2 the exponential square-root graphical model, with
    a = 1/2 and b = 0 a model whose conditionals are like gammas, and with a = b = 0 on the simplex, where
    K1 = 0, the additive logistic normal.

    The objective is quadratic in K and η, so the estimate is the minimum of

    .. math:: J(K, \eta) + \alpha \sum_{i \ne j} |K_{ij}| + \alpha_\text{linear} \sum_j |\eta_j|

    Parameters
    ----------
    a, b : float, default=1.0
        The powers of the interactions and of the linear term, not negative; 0 is the logarithm.
    domain : Domain, optional
        ``NonNegative()`` where None.
    weight : Weight, optional
        The weight that vanishes at the boundary; that of :func:`scorematch.weights.default_weight` where None.
    fit_linear : bool, default=True
        Whether there is a linear term; where False, η is 0.
    alpha : float, default=0.0
        Strength of the penalty. It counts (i, j) and (j, i), and leaves the diagonal free.
    alpha_linear : float, default=0.0
        The same for η. Where 0, η takes its best value for every K.
    diagonal_multiplier : "auto" or float, default="auto"
        A number of at least 1 by which the diagonal of the quadratic form's interaction blocks is multiplied before
        anything else (Yu, Drton and Shojaie 2019, section 4.1). Without it (1.0) the penalised objective may have no
        minimum with fewer rows than columns. "auto" is
        :math:`2 - 1/(1 + 4e \max(6 \log d / n, \sqrt{6 \log d / n}))` for n rows and d columns. It tends to 1, but
        slowly (1.2 for 10 000 rows of 3 columns), and it shrinks K: good for finding edges among many columns, where
        the numbers themselves are wanted choose 1.0.
    combine : {"symmetric", "and", "or"}, default="symmetric"
        "symmetric" estimates a symmetric K, and is all there is on ``Simplex()``. The others estimate each column of K
        by itself, and take for edges those that both columns have ("and") or one of them ("or"); on these, K is the
        mean of the two.
    scale : {None, "norm", "sd"}, default=None
        By what columns are divided before the fit: "norm" is :math:`\sqrt{\sum_i x_{ij}^2 / (n - 1)}`, "sd" the
        standard deviation (divided by n − 1). The weight, the penalty and the objective are then those of scaled data.
    zero_row_sums : bool, default=False
        Whether K1 = 0. The diagonal then follows from the other entries.
    tol : float, default=1e-8
        How far from the conditions of a minimum the estimate may be, in units of the objective's gradient.
    max_iter : int, default=10000
        The largest number of steps of the solver.
    robust : float, default=0.0
        Exponent c of Windham's weights: a row counts by the c-th power of the density that is fitted to it, which takes
        outliers out of the estimate; 0 is the ordinary fit. See the notes of :class:`Gaussian`. A `scale` is then that
        of the rows near the medians.
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
    interaction_ : ndarray of shape (d, d)
        The symmetric K, on the data's own scale; d is the number of columns, and one more on the simplex.
    linear_ : ndarray of shape (d,)
        η, on the data's own scale; zeros where `fit_linear` is False.
    scaled_interaction_, scaled_linear_, scale_ : ndarray
        The estimate of the scaled data, to which `alpha` and the objective belong, and by what columns were divided
        (ones where `scale` is None).
    theta_ : ndarray of shape (n_params,)
        The upper triangle of ``interaction_`` row by row, then ``linear_`` where `fit_linear`.
    theta_names_ : list of str
        Names of the entries of ``theta_``.
    params_ : dict
        ``interaction`` and, where `fit_linear`, ``linear``: the arguments of :meth:`from_params`.
    objective_ : float
        J at the estimate for the scaled data, without penalty and multiplier.
    kkt_residual_ : float
        The largest distance of 0 from the subgradient of what was minimised.
    diagonal_multiplier_ : float
        The multiplier that was used.
    weight_ : Weight
        The weight that the methods use on the data's own scale, with caps that were quantiles of the training data.
    converged_, n_iter_ : bool, int
        Whether `tol` was met, and the steps of the solver; 1 where the minimum is that of a linear system.
    robust_weights_, n_reweightings_ : ndarray of shape (n_samples,), int
        With `robust`: Windham's weights at the estimate, of mean 1, and how many times they were made anew.
    noise_seed_, difference_step_ : int, float
        With an `objective` that is not exact: the seed of its random vectors, and with "finite_difference" its step.
    n_features_in_ : int
        Number of columns seen by ``fit``.

    Warns
    -----
    ConvergenceWarning
        Where `max_iter` steps did not lead to `tol`.

    Notes
    -----
    :meth:`sample` goes as :func:`scorematch.datasets.sample_pairwise` does: by rejection for a = b = 1 where that
    keeps enough; one coordinate at a time, exactly, where they are independent; and else by Gibbs sampling. On the
    simplex, and where a domain reaches beyond the orthant with other powers than a = b = 1, it goes by Hamiltonian
    Monte Carlo, on the simplex in the logarithms of the ratios of its parts.

    The power 0 and powers between 0 and 2 other than 1 need positive data, other broken powers data that are not
    negative; whole powers from 1 on take any.

    With `scale`, :meth:`score` and :meth:`loss_and_grad` are those of the estimate on the data's own scale, and not of
    the objective that was minimised. :meth:`partial_fit` needs ``scale=None``, since the scale is that of all data.
    A scale needs a domain that it leaves as it is, ``NonNegative()`` or ``RealSpace()``.

    On ``Simplex()`` X has d − 1 columns, the last of d parts being what is missing to 1, and K and η are those of all d
    parts. There :math:`\sum x = 1` makes some of them equivalent: with a = 1/2, K and K + cI; with a = 1, K and
    K + c·11ᵀ; with b = 1, η and η + c·1. So these powers need ``zero_row_sums=True`` and ``fit_linear=False``, and so
    does b = 2a on every domain, where η and the diagonal of K are one. With any other powers, as with a = b = 0, K
    and η are identified, whether K1 = 0 or not. The additive logistic normal, where the logarithms of the ratios
    :math:`x_i / x_d` are N(μ, Σ), has :math:`K = A^\top \Sigma^{-1} A` and
    :math:`\eta = A^\top \Sigma^{-1} \mu - 1` with :math:`A = (I, -1)`.

    References
    ----------
    Yu, Drton and Shojaie (2019), "Generalized score matching for non-negative data", JMLR 20, section 4.
    Yu, Drton and Shojaie (2022), "Generalized score matching for general domains", Information and Inference 11.
    Lin, Drton and Shojaie (2016), "Estimation of high-dimensional graphical models using regularized score matching",
    Electronic Journal of Statistics 10.

    Examples
    --------
    >>> import numpy as np
    >>> import scorematch
    >>> random = np.random.default_rng(0)
    >>> K = np.array([[1.0, 0.6, 0.0], [0.6, 1.5, 0.0], [0.0, 0.0, 1.0]])
    >>> X = random.multivariate_normal([1.0, 1.0, 1.0], np.linalg.inv(K), size=20_000)
    >>> X = X[(X > 0).all(axis=1)]
    >>> model = scorematch.PairwiseInteraction(alpha=0.05, diagonal_multiplier=1.0).fit(X)
    >>> np.argwhere(np.triu(model.interaction_, 1)).tolist()  # the edges
    [[0, 1]]
    >>> bool(np.abs(model.interaction_ - K).max() < 0.4)
    True
    """

    _family: ClassVar[str] = "pairwise_interaction"
    _required_params: ClassVar[tuple[str, ...]] = ("interaction",)
    _optional_params: ClassVar[tuple[str, ...]] = ("linear",)
    _state: ClassVar[tuple[str, ...]] = ("scale_",)

    a: float
    b: float
    interaction_: Doubles
    linear_: Doubles
    scaled_interaction_: Doubles
    scaled_linear_: Doubles
    scale_: Doubles
    _weight_of_fit: Any  # that of scaled data
    kkt_residual_: float
    diagonal_multiplier_: float

    def __init__(
        self,
        a: float = 1.0,
        b: float = 1.0,
        *,
        domain: Any = None,
        weight: Any = None,
        fit_linear: bool = True,
        alpha: float = 0.0,
        alpha_linear: float = 0.0,
        diagonal_multiplier: Literal["auto"] | float = "auto",
        combine: Literal["symmetric", "and", "or"] = "symmetric",
        scale: Literal["norm", "sd"] | None = None,
        zero_row_sums: bool = False,
        tol: float = 1e-8,
        max_iter: int = MAX_ITER,
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
        self.a = a
        self.b = b
        self.domain = domain
        self.weight = weight
        self.fit_linear = fit_linear
        self.alpha = alpha
        self.alpha_linear = alpha_linear
        self.diagonal_multiplier = diagonal_multiplier
        self.combine = combine
        self.scale = scale
        self.zero_row_sums = zero_row_sums
        self.tol = tol
        self.max_iter = max_iter
        self.robust = robust
        self.n_jobs = n_jobs
        self.objective = objective
        self.n_projections = n_projections
        self.projection = projection
        self.variance_reduction = variance_reduction
        self.noise_scale = noise_scale
        self.difference_step = difference_step
        self.random_state = random_state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = not isinstance(self._domain(), RealSpace)
        return tags

    def quadratic_form(  # type: ignore[override]
        self, X: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> PairwiseForm | SimplexForm:
        r"""The objective as a quadratic form in the columns of K and the entries of η.

        .. math:: J = \sum_j \tfrac12 K_j^\top \mathrm{blocks}_j K_j - \mathrm{g\_interaction}_{\cdot j}^\top K_j
            + \eta_j \mathrm{cross}_{\cdot j}^\top K_j + \tfrac12 \mathrm{linear}_j \eta_j^2
            - \mathrm{g\_linear}_j \eta_j

        Parameters
        ----------
        X : array_like of shape (n_samples, n_features)
            The data, on their own scale whatever `scale` is. The model need not be fitted.
        sample_weight : array_like of shape (n_samples,), optional
            Weights of the rows; all 1 where None.

        Returns
        -------
        blocks : ndarray of shape (d, d, d)
            Block j multiplies column j of K.
        cross : ndarray of shape (d, d)
            Column j couples column j of K with :math:`\eta_j`; zeros without a linear term.
        linear : ndarray of shape (d,)
            What multiplies the squares of η; zeros without a linear term.
        g_interaction : ndarray of shape (d, d)
            Column j belongs to column j of K.
        g_linear : ndarray of shape (d,)
            The same for η.
        coupling : ndarray of shape (d - 1, d + 1, d + 1)
            On the simplex alone: it adds :math:`\sum_{j<d} c_j^\top \mathrm{coupling}_j c_d` to J, with
            :math:`c_j = (K_j, \eta_j)`; of shape (d - 1, d, d), with :math:`c_j = K_j`, without a linear term.

        Notes
        -----
        A named tuple of means over the samples, without multiplier and penalty. Its ``value(interaction, linear)`` is
        J; ``assembled(fit_linear)`` is Γ and g in the order of ``theta_``, for few columns. Where an `objective` that
        is not exact couples all columns, as each but "sliced" with variance reduction does, it is Γ and g themselves.
        """
        return super().quadratic_form(X, sample_weight)  # type: ignore[return-value]

    def _as_pairwise(self) -> Pairwise:
        return Pairwise(self.interaction_, self.linear_, float(self.a), float(self.b))

    def _sampler(self, random: np.random.RandomState) -> Draw:
        from scorematch._truncated_sampling import gaussian_draws

        draw = gaussian_draws(self._as_pairwise(), random) if self.a == self.b == 1 and not self._on_simplex else None
        if draw is None:
            raise NoSamplerError("exact draws need a = b = 1 and a positive definite interaction_, off the simplex")
        return draw

    def _truncated_sampler(self, random: np.random.RandomState) -> Draw | None:
        from scorematch._truncated_sampling import independent_sampler

        if self._on_simplex:
            return None
        return independent_sampler(self._as_pairwise(), "interaction", self._domain(), random, self.n_jobs)

    def _gibbs_draws(self, n_samples: int, random: np.random.RandomState, options: ChainOptions) -> Doubles:
        from scorematch._truncated_sampling import gibbs_draws

        if self._on_simplex:
            return super()._gibbs_draws(n_samples, random, options)
        pairwise, domain = self._as_pairwise(), self._domain()
        return gibbs_draws(pairwise, "interaction", domain, n_samples, random, options, self.n_jobs)

    # -- what the base asks for ----------------------------------------------------------------------------------

    def _domain(self) -> Any:
        return NonNegative() if self.domain is None else self.domain

    def _has_unbounded_score(self) -> bool:
        return self.a < 1 or (self.b < 1 and bool(self.fit_linear))

    @property
    def _on_simplex(self) -> bool:
        return isinstance(self.domain, Simplex)

    @property
    def _n_coordinates(self) -> int:
        return self.n_features_in_ + self._on_simplex

    def _variant(self) -> str:
        return ("simplex " if self._on_simplex else "") + ("linear" if self.fit_linear else "interaction")

    def _constants(self) -> list[float]:
        return [float(self.a), float(self.b)]

    def _check_options(self) -> None:
        for name in ("a", "b", "alpha", "alpha_linear", "tol"):
            check_real(name, getattr(self, name), lowest=0.0)
        check_flag("fit_linear", self.fit_linear)
        check_flag("zero_row_sums", self.zero_row_sums)
        check_count("max_iter", self.max_iter)
        if self.diagonal_multiplier != "auto":
            check_real("diagonal_multiplier", self.diagonal_multiplier, lowest=1.0)
        for name, known in (("combine", COMBINATIONS), ("scale", SCALES)):
            if getattr(self, name) not in known:
                raise ValueError(f"{name} must be one of {', '.join(map(repr, known))}; got {getattr(self, name)!r}")
        if self.alpha_linear > 0 and not self.fit_linear:
            raise ValueError(f"alpha_linear={self.alpha_linear} has no linear term to penalise: fit_linear is False")
        super()._check_options()
        if not self._is_exact:  # the choosers of a penalty have no other
            self._check_objective_options(self.objective)

    def _check_objective_options(self, objective: str) -> None:
        if self.combine != "symmetric":
            raise ValueError(
                f"combine={self.combine!r} estimates columns of K apart from each other, and objective={objective!r} "
                "does not come apart into them: use combine='symmetric' or objective='exact'"
            )
        if objective in BESIDE_THE_ROWS and self._broken_powers():
            raise ValueError(
                f"objective={objective!r} needs a density on all of space; with a={self.a:g}, b={self.b:g} there is "
                "one at positive data alone. Use objective='sliced'"
            )
        if objective in BESIDE_THE_ROWS and self.scale is not None:
            raise ValueError(
                f"scale={self.scale!r} does not go with objective={objective!r}, whose noise or step is in units of "
                "the data: use scale=None, or scale the data yourself"
            )

    def _check_fit(self) -> None:
        """Raise an error where options do not go together in a fit."""
        if self._on_simplex and self.combine != "symmetric":
            raise ValueError(
                f"combine={self.combine!r} estimates columns of K apart from each other; on {self.domain!r} they hang "
                "together by the last part: use combine='symmetric'"
            )
        reason = self._not_identified()
        if reason:
            raise ValueError(f"a={self.a:g}, b={self.b:g} are not identified on {self._domain()!r}: {reason}")
        if self.scale is None:
            return
        if not isinstance(self._domain(), NonNegative | RealSpace):
            raise ValueError(
                f"scale={self.scale!r} would change the domain {self.domain!r}; use scale=None there, or scale the "
                "data and the domain yourself"
            )
        if self.a == 0 and not (self.b == 0 and self.fit_linear):
            raise ValueError(
                f"scale={self.scale!r} with a=0 makes a term in the logarithms of x on their own scale: it needs b=0 "
                "and fit_linear=True"
            )
        if self.zero_row_sums and self.a > 0:
            raise ValueError(
                f"scale={self.scale!r} does not go with zero_row_sums=True: rows that sum to 0 on one scale do not on "
                "the other"
            )

    def _not_identified(self) -> str:
        """Why K and η are not unique, and what makes them so; empty where they are."""
        if self.fit_linear and self.b == 2 * self.a > 0 and not self.zero_row_sums:
            return (
                "x^b is the square of x^a, so that the diagonal of K says what the linear term says; use "
                "fit_linear=False, or other powers"
            )
        if self._on_simplex and self.a in (0.5, 1) and not self.zero_row_sums:
            return (
                "parts sum to 1, so that K can be moved by a multiple of "
                + ("the identity" if self.a == 0.5 else "ones everywhere")
                + "; use zero_row_sums=True, or other powers, such as a=0"
            )
        if self._on_simplex and self.fit_linear and self.b == 1:
            return "parts sum to 1, so that η can be moved by a constant; use fit_linear=False, or other powers"
        return ""

    def _check_samples(self, X: ArrayLike, *, reset: bool = False, finite: bool = True) -> Floats:
        X = super()._check_samples(X, reset=reset, finite=finite)
        for name, exponent in self._broken_powers().items():
            self._check_sign(X, f"{name}={exponent:g}", zero=exponent > 2)
        return X

    def _broken_powers(self) -> dict[str, float]:
        """Those of a and b that only data of one sign can be raised to."""
        used = {"a": self.a, "b": self.b} if self.fit_linear else {"a": self.a}
        return {name: power for name, power in used.items() if power < 1 or not float(power).is_integer()}

    def _check_sign(self, X: Floats, reason: str, *, zero: bool) -> None:
        """An error that names the first entry which is negative, or 0 unless that is allowed."""

        def check(values: Floats, what: str) -> None:
            smallest = values.min()
            if smallest > 0 or (zero and smallest == 0):
                return
            position = np.unravel_index(int(np.argmax(values < 0 if zero else values <= 0)), values.shape)
            where = f"row {position[0]}" + (f", column {position[1]}" if len(position) > 1 else "")
            raise ValueError(
                f"{what} must be {'at least 0' if zero else 'positive'} for {reason}, whose derivatives are not "
                f"defined elsewhere; {where} is {values[position]:.6g}"
            )

        check(X, "X")
        if self._on_simplex:
            check(1 - X.sum(axis=1), "the last part, 1 minus the sum of a row of X,")

    def _theta_from_params(self, params: dict[str, Any]) -> tuple[int, Doubles]:
        self._check_options()
        interaction = check_parameter("interaction", params["interaction"], (None, None))
        d = len(interaction)
        interaction = check_symmetric("interaction", check_parameter("interaction", interaction, (d, d)))
        given = params.get("linear")
        linear = np.zeros(d) if given is None else check_parameter("linear", given, (d,))
        if linear.any() and not self.fit_linear:
            raise ValueError("linear must be 0 with fit_linear=False")
        if self.zero_row_sums and np.abs(interaction.sum(axis=1)).max() > 1e-8 * np.abs(interaction).max():
            raise ValueError("interaction must have rows that sum to 0 with zero_row_sums=True")
        n_features = d - 1 if self._on_simplex else d
        if n_features < 1:
            raise ValueError(f"interaction must have at least 2 rows on {self.domain!r}; got {d}")
        self.scale_ = np.ones(d)
        return n_features, self._pack(interaction, linear)

    def _pack(self, interaction: Doubles, linear: Doubles) -> Doubles:
        upper = interaction[np.triu_indices(len(linear))]
        return np.concatenate([upper, linear]) if self.fit_linear else upper

    def _unpack(self, theta: Doubles) -> tuple[Doubles, Doubles]:
        d = self._n_coordinates
        n_pairs = d * (d + 1) // 2
        K = np.zeros((d, d))
        K[np.triu_indices(d)] = theta[:n_pairs]
        return K + np.triu(K, 1).T, theta[n_pairs:].copy() if self.fit_linear else np.zeros(d)

    def _set_params_from_theta(self) -> None:
        self.interaction_, self.linear_ = self._unpack(self.theta_)
        self.params_ = {"interaction": self.interaction_}
        if self.fit_linear:
            self.params_["linear"] = self.linear_
        self.scaled_interaction_, self.scaled_linear_ = self._rescaled(self.interaction_, self.linear_, self.scale_)

    def _rescaled(self, K: Doubles, eta: Doubles, scale: Doubles) -> tuple[Doubles, Doubles]:
        """K and η of x, as those of x divided by the scale."""
        factor = scale**self.a  # 1 for the logarithm, which is moved instead
        moved = eta - K @ np.log(scale) if self.a == 0 else eta
        return K * factor[:, None] * factor, moved * scale**self.b

    # -- precision -----------------------------------------------------------------------------------------------

    def _estimating(self, X: Floats, sample_weight: Doubles | None) -> EstimatingEquations:
        return estimating(self, X, sample_weight)

    def _objective_hessian(self, X: Floats, sample_weight: Doubles | None) -> tuple[Doubles, float]:
        form = self._form(X, sample_weight)
        dense = form if isinstance(form, QuadraticForm) else form.assembled(bool(self.fit_linear))
        return dense.gamma, self._form_accuracy(X)

    def _on_scale_of_fit(self, X: Floats, sample_weight: Doubles | None) -> PairwiseInteraction:
        """The model of the scaled data: the one whose objective was minimised."""
        inner = copy.copy(self)
        inner.scale, inner.scale_ = None, np.ones(self._n_coordinates)
        if hasattr(self, "_weight_of_fit"):
            inner.weight_ = self._weight_of_fit
        else:  # a model from a file
            inner.weight_ = self._weight_on(X / self.scale_.astype(X.dtype), sample_weight)
        inner._set_theta(self._pack(self.scaled_interaction_, self.scaled_linear_))
        return inner

    # -- fitting -------------------------------------------------------------------------------------------------

    def partial_fit(self, X: ArrayLike, y: object = None, sample_weight: ArrayLike | None = None) -> Self:
        """Add a block of data to what was fitted before: blocks one after the other equal all of them at once.

        A block that is refused leaves the model, and what it had seen, as it was.

        Parameters
        ----------
        X : array_like of shape (n_samples, n_features)
            The block. Caps that are quantiles of the data are those of the first one.
        y : None
            Ignored; there for scikit-learn's pipelines.
        sample_weight : array_like of shape (n_samples,), optional
            Weights of the rows, on one scale for all blocks. All 1 where None.

        Returns
        -------
        Self
            The estimator, fitted on all blocks so far.
        """
        if self.scale is not None:
            raise ValueError(f"partial_fit needs scale=None, since the scale is that of all data; got {self.scale!r}")
        return super().partial_fit(X, y, sample_weight)

    def _training_samples(
        self, X: ArrayLike, sample_weight: ArrayLike | None, *, reset: bool
    ) -> tuple[Floats, Doubles | None]:
        self._check_fit()
        X, weight = super()._training_samples(X, sample_weight, reset=reset)
        self.scale_ = np.ones(self._n_coordinates)
        if self.scale is not None:
            self._own_weight, self._own_rows = self._weight_on(X, weight), X
            rows = product(weight, rows_to_begin_with(self, X, weight)) if exponent_of(self) > 0 else weight
            self.scale_ = _scale_of(X, rows, self.scale)
            X = X / self.scale_.astype(X.dtype)
        return X, weight

    def _add(self, X: ArrayLike, sample_weight: ArrayLike | None) -> None:
        super()._add(X, sample_weight)
        if self.scale is not None:
            self._weight_of_fit, self.weight_ = self.weight_, self.__dict__.pop("_own_weight")
            self._training = self.__dict__.pop("_own_rows"), self._training[1]

    def _training_rows(self, X: ArrayLike, sample_weight: ArrayLike | None) -> tuple[Floats, Doubles | None]:
        # Before they are scaled.
        return super(ClosedFormEstimator, self)._training_rows(X, sample_weight)

    def _estimates_from_sums(self) -> bool:
        return self.scale is None and super()._estimates_from_sums()

    def _for_refits(self, seed: int) -> Self:
        model = super()._for_refits(seed)
        if self.scale is not None:  # caps that are quantiles are those of the scaled data, which weight_ does not tell
            model.weight = self.weight
        return model

    def _log_density(self, X: Floats, theta: Doubles) -> Doubles:
        # In the middle of a fit, rows are scaled, and the parameters are those of the data's own scale.
        own = X * self.scale_.astype(X.dtype) if hasattr(self, "_own_weight") and self.scale is not None else X
        return super()._log_density(own, theta)

    def _sums(self, X: Floats, sample_weight: Doubles | None, earlier: Any) -> PairwiseMoments:
        return PairwiseMoments.of(
            X,
            sample_weight,
            self._unraised_field(X, sample_weight),
            a=float(self.a),
            b=float(self.b),
            fit_linear=bool(self.fit_linear),
            on_simplex=self._on_simplex,
            n_threads=self._threads(),
            shift=None if earlier is None else earlier.shift,
        ).raised(self._power)

    def _exact_form(self, X: Floats, sample_weight: Doubles | None) -> Any:
        return self._sums_in_blocks(X, sample_weight, None).form()

    def _form(self, X: Floats, sample_weight: Doubles | None) -> Any:
        if self._is_exact:
            return self._exact_form(X, sample_weight)
        if objective_of(self).keeps_quadratic_part:
            return self._moments_of_objective(X, sample_weight).form()
        exact = self._exact_form(X, sample_weight).assembled(bool(self.fit_linear))
        return dense_form(objective_of(self), exact, self._loss(X, sample_weight))

    def _moments_of_objective(self, X: Floats, sample_weight: Doubles | None) -> PairwiseMoments:
        """Moments of an objective that has the quadratic part of the exact one."""
        slope = self._loss(X, sample_weight)(np.zeros(self._compiled().n_params))[1]
        moments: PairwiseMoments = self._sums_in_blocks(X, sample_weight, None)
        return moments.with_linear(-slope)

    def _estimate_by_objective(self, X: Floats, sample_weight: Doubles | None) -> None:
        if objective_of(self).keeps_quadratic_part:
            self._estimate(self._moments_of_objective(X, sample_weight))
            return
        moments = self._sums_in_blocks(X, sample_weight, None)
        n_params = self._compiled().n_params
        if n_params > MOST_PARAMS:
            raise ValueError(
                f"objective={self.objective!r} couples all columns of K, and its quadratic form of {n_params} "
                f"parameters takes too long (at most {MOST_PARAMS}). Use objective='exact', or 'sliced' with "
                "variance_reduction=True"
            )
        # About a point near the data where the family is closed under shifts, as K and η + Ks.
        shift = moments.shift if self.a == self.b == 1 and not self._has_boundary else np.zeros_like(moments.shift)
        loss = self._loss_about(shift if shift.any() else None, X, sample_weight)
        multiplier = self._multiplier(moments.n_samples)
        self.diagonal_multiplier_ = multiplier
        extra = (multiplier - 1) * moments.diagonals()
        extent = moments.centred_form() if shift.any() else moments.copied().form()
        exact = extent.assembled(bool(self.fit_linear))
        form = dense_form(objective_of(self), exact, loss)
        to_shift = self._shifted(shift, n_params)
        back = 2 * np.eye(n_params) - to_shift  # its inverse: what is beside the identity has a square of 0
        if extra.any():
            form = QuadraticForm(form.gamma + to_shift.T @ self._on_diagonal(extra, n_params) @ to_shift, form.g)
        try:
            found = minimise_dense(
                # A penalty of η is on η itself.
                QuadraticForm(back.T @ form.gamma @ back, back.T @ form.g) if self.alpha_linear else form,
                self._n_coordinates,
                alpha=float(self.alpha),
                alpha_linear=float(self.alpha_linear),
                zero_row_sums=bool(self.zero_row_sums),
                tol=float(self.tol),
                max_iter=int(self.max_iter),
                eps=16 * moments.eps * objective_of(self).rounding,
            )
        except (SingularError, UnboundedError) as error:
            raise ValueError(self._no_minimum(moments.n_samples, error)) from error
        theta, about_shift = to_shift @ found.theta, found.theta
        if self.alpha_linear:
            theta, about_shift = found.theta, back @ found.theta
        self.objective_ = loss(about_shift)[0]
        self.kkt_residual_, self.converged_, self.n_iter_ = found.kkt_residual, found.converged, found.n_iter
        K, eta = self._unpack(theta)
        self._set_theta(self._pack(*self._rescaled(K, eta, 1 / self.scale_)))
        self.scaled_interaction_, self.scaled_linear_ = K, eta
        if not found.converged:
            self._warn_of_steps(found.kkt_residual, found.n_iter)

    def _shifted(self, shift: Doubles, n_params: int) -> Doubles:
        """What makes θ of what it is for x − shift: η = η′ + K·shift."""
        matrix = np.eye(n_params)
        d = len(shift)
        n_pairs = d * (d + 1) // 2
        for j, row in enumerate(symmetric_index(d) if self.fit_linear else ()):
            matrix[n_pairs + j, row] = shift
        return matrix

    def _on_diagonal(self, extra: Doubles, n_params: int) -> Doubles:
        """What is added to the diagonals of blocks, (d, d), as a matrix in θ."""
        diagonal = np.zeros(n_params)
        np.add.at(diagonal, symmetric_index(len(extra)), extra)
        return np.diag(diagonal)

    def _estimate(self, moments: PairwiseMoments) -> None:
        form, columns = self._forms(moments)
        try:
            solution = self._solve(columns, moments)
        except (SingularError, UnboundedError) as error:
            raise ValueError(self._no_minimum(moments.n_samples, error)) from error
        if self._runs_away(solution, columns):
            raise ValueError(self._no_minimum(moments.n_samples, UnboundedError(solution.K)))
        K, eta = self._restored(solution, form, moments.shift)
        if self.combine != "symmetric":
            K = combined(solution.K, self.combine)
            if self.zero_row_sums:
                K = fill_diagonal(K)
        self.objective_ = form.value(K, eta - K.T @ moments.shift)
        self.kkt_residual_, self.converged_, self.n_iter_ = solution.kkt_residual, solution.converged, solution.n_iter
        self._set_theta(self._pack(*self._rescaled(K, eta, 1 / self.scale_)))
        self.scaled_interaction_, self.scaled_linear_ = K, eta
        if not solution.converged:
            self._warn_of_steps(solution.kkt_residual, solution.n_iter)

    def _warn_of_steps(self, kkt_residual: float, n_iter: int) -> None:
        warn(
            f"the conditions of a minimum are met to {kkt_residual:.2g} and not to tol={self.tol:g} after {n_iter} "
            "steps; increase max_iter or tol",
            ConvergenceWarning,
        )

    def _forms(self, moments: PairwiseMoments) -> tuple[PairwiseForm | SimplexForm, ColumnForm]:
        """The form about the moments' shift, and what of it the solver minimises."""
        multiplier = self._multiplier(moments.n_samples)
        self.diagonal_multiplier_ = multiplier
        options: dict[str, Any] = {"fit_linear": self.fit_linear, "zero_row_sums": self.zero_row_sums}
        form = moments.centred_form()
        if self.alpha_linear > 0:  # the penalty is on η itself
            return form, column_form(moments.copied().form(), multiplier=multiplier, profile=False, **options)
        # What is multiplied is the diagonal of the form in K and η, and not of that about the shift.
        extra = (multiplier - 1) * moments.diagonals() if multiplier > 1 else None
        return form, column_form(form, extra_diagonal=extra, profile=not self._on_simplex, **options)

    def _multiplier(self, n: int) -> float:
        if self.diagonal_multiplier != "auto":
            return float(self.diagonal_multiplier)
        return auto_multiplier(n, self._n_coordinates)

    def _solve(self, form: ColumnForm, moments: PairwiseMoments) -> ColumnSolution:
        symmetric, max_iter, n_threads = self.combine == "symmetric", int(self.max_iter), self._threads()
        if self.alpha > 0 or self.alpha_linear > 0:
            return solve_columns(
                form,
                float(self.alpha),
                float(self.alpha_linear),
                symmetric=symmetric,
                tol=float(self.tol),
                max_iter=max_iter,
                n_threads=n_threads,
            )
        # The multiplier makes up for rows that there are not.
        n_samples = moments.n_samples if self.diagonal_multiplier_ == 1 else len(form.blocks) ** 2 + 1
        return _interaction_exact.minimise(
            form, symmetric=symmetric, n_samples=n_samples, eps=moments.eps, n_threads=n_threads, max_iter=max_iter
        )

    def _restored(
        self, solution: ColumnSolution, form: PairwiseForm | SimplexForm, shift: Doubles
    ) -> tuple[Doubles, Doubles]:
        """K and η, whichever form the solver had."""
        K = solution.K
        if not self.fit_linear:
            return K, np.zeros(len(K))
        if self.alpha_linear > 0:
            assert solution.eta is not None
            return K, solution.eta
        about_shift = restore(form, K) if solution.eta is None else solution.eta
        return K, about_shift + K.T @ shift

    def _runs_away(self, solution: ColumnSolution, form: ColumnForm) -> bool:
        """Whether the solver gave up far from a minimum, though it found no direction in which the objective falls.

        So it does where the form is singular and rounding hides that direction.
        """
        if solution.converged or solution.n_iter >= self.max_iter or self.diagonal_multiplier_ > 1:
            return False
        return solution.kkt_residual > 1e-3 * float(np.abs(form.g).max())

    def _no_minimum(self, n_samples: int, error: Exception) -> str:
        if isinstance(error, UnboundedError):
            reason = "the penalised objective has no lower bound"
        else:
            reason = f"the objective has no unique minimum: {error}"
        remedies = ["more rows", "fewer columns"]
        if self.diagonal_multiplier_ == 1:
            remedies.insert(0, "diagonal_multiplier='auto' (or a number above 1)")
        if self.alpha == 0:
            remedies.insert(0, "a positive alpha")
        return (
            f"{type(self).__name__} cannot be estimated from {n_samples} rows of {self._n_coordinates} coordinates "
            f"with alpha={self.alpha:g} and diagonal_multiplier={self.diagonal_multiplier_:g}: {reason}. Use "
            + ", ".join(remedies)
        )


class _WithGivenPowers(PairwiseInteraction):
    """Base of the models that have a name of their own: their powers are no options."""

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        if cls.__doc__ and PairwiseInteraction.__doc__:  # which are not there under python -OO
            options = PairwiseInteraction.__doc__
            options = options[options.index("    domain : ") : options.index("    Attributes\n")]
            cls.__doc__ = cls.__doc__.replace("    [its options]\n\n", options)

    def __init__(
        self,
        *,
        domain: Any = None,
        weight: Any = None,
        fit_linear: bool = True,
        alpha: float = 0.0,
        alpha_linear: float = 0.0,
        diagonal_multiplier: Literal["auto"] | float = "auto",
        combine: Literal["symmetric", "and", "or"] = "symmetric",
        scale: Literal["norm", "sd"] | None = None,
        zero_row_sums: bool = False,
        tol: float = 1e-8,
        max_iter: int = MAX_ITER,
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
        self.domain = domain
        self.weight = weight
        self.fit_linear = fit_linear
        self.alpha = alpha
        self.alpha_linear = alpha_linear
        self.diagonal_multiplier = diagonal_multiplier
        self.combine = combine
        self.scale = scale
        self.zero_row_sums = zero_row_sums
        self.tol = tol
        self.max_iter = max_iter
        self.robust = robust
        self.n_jobs = n_jobs
        self.objective = objective
        self.n_projections = n_projections
        self.projection = projection
        self.variance_reduction = variance_reduction
        self.noise_scale = noise_scale
        self.difference_step = difference_step
        self.random_state = random_state


class TruncatedGaussian(_WithGivenPowers):
    r"""Gaussian truncated to its domain, with an l1 penalty on its precision: a = b = 1.

    .. math:: \log p(x) = -\tfrac12 x^\top K x + \eta^\top x + \text{const}

    Everything else is as in :class:`scorematch.PairwiseInteraction`. :class:`scorematch.Gaussian` on the same domain is
    the same model without penalty, by its mean and covariance.

    Parameters
    ----------
    [its options]

    Examples
    --------
    >>> import numpy as np
    >>> import scorematch
    >>> X = np.abs(np.random.default_rng(0).normal(size=(50_000, 2)))
    >>> model = scorematch.TruncatedGaussian(alpha=0.02, diagonal_multiplier=1.0).fit(X)
    >>> np.round(model.interaction_, 1) + 0.0
    array([[1., 0.],
           [0., 1.]])
    """

    a, b = 1.0, 1.0


class ExponentialSquareRoot(_WithGivenPowers):
    r"""Exponential square-root graphical model: a = b = 1/2.

    .. math:: \log p(x) = -\sqrt{x}^\top K \sqrt{x} + 2 \eta^\top \sqrt{x} + \text{const}

    With K diagonal and η = 0, coordinates are independent exponentials of rates :math:`K_{jj}`. Everything else is as
    in :class:`scorematch.PairwiseInteraction`.

    Parameters
    ----------
    [its options]

    References
    ----------
    Inouye, Ravikumar and Dhillon (2016), "Square root graphical models", ICML.

    Examples
    --------
    >>> import numpy as np
    >>> import scorematch
    >>> X = np.random.default_rng(0).exponential([0.5, 2.0], size=(50_000, 2))
    >>> model = scorematch.ExponentialSquareRoot(fit_linear=False, diagonal_multiplier=1.0).fit(X)
    >>> np.round(np.diag(model.interaction_), 1)
    array([2. , 0.5])
    """

    a, b = 0.5, 0.5


class GammaInteraction(_WithGivenPowers):
    r"""Gamma-like model of pairwise interactions: a = 1/2, b = 0.

    .. math:: \log p(x) = -\sqrt{x}^\top K \sqrt{x} + \eta^\top \log x + \text{const}

    With K diagonal, coordinates are independent gammas of rates :math:`K_{jj}` and shapes :math:`\eta_j + 1`.
    Everything else is as in :class:`scorematch.PairwiseInteraction`.

    Parameters
    ----------
    [its options]

    References
    ----------
    Yu, Drton and Shojaie (2019), "Generalized score matching for non-negative data", JMLR 20, section 4.2.

    Examples
    --------
    >>> import numpy as np
    >>> import scorematch
    >>> X = np.random.default_rng(0).gamma([2.0, 5.0], [1.0, 0.5], size=(100_000, 2))
    >>> model = scorematch.GammaInteraction(alpha=0.05, diagonal_multiplier=1.0).fit(X)
    >>> np.round(np.diag(model.interaction_)), np.round(model.linear_)
    (array([1., 2.]), array([1., 4.]))
    """

    a, b = 0.5, 0.0


def _scale_of(X: Floats, sample_weight: Doubles | None, scale: str) -> Doubles:
    """By what columns are divided."""
    total = float(len(X)) if sample_weight is None else float(sample_weight.sum())
    if not total > 1:
        raise ValueError(
            f"scale={scale!r} takes the weights of rows as how often they occur, and needs more than one; their sum "
            f"is {total:.6g} with n_samples = {len(X)}"
        )
    middle = np.zeros(X.shape[1])
    if scale == "sd":
        middle = np.average(X, axis=0, weights=sample_weight).astype(np.float64)
    squares = np.zeros(X.shape[1])
    for first in range(0, len(X), 4096):  # so that no copy of X is needed
        deviations = X[first : first + 4096].astype(np.float64) - middle
        weights = np.ones(len(deviations)) if sample_weight is None else sample_weight[first : first + 4096]
        squares += weights @ deviations**2
    found = np.sqrt(squares / (total - 1))
    if not (found > 0).all():
        column = int(np.argmin(found > 0))
        raise ValueError(f"scale={scale!r} cannot be worked out: column {column} of X is constant")
    return np.asarray(found)
