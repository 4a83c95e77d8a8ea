"""The exponential family of polynomials."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scorematch import _core
from scorematch._base import Loss
from scorematch._closed_form import ClosedFormEstimator
from scorematch._estimating import EstimatingEquations, Penalty, Products, Stationary
from scorematch._gradient_form import dense_form, minimum
from scorematch._leading_form import highest, in_words
from scorematch._moments import joined, parted
from scorematch._monomials import Monomials, coordinates, monomials, n_monomials
from scorematch._objectives import ObjectiveName, ProjectionName, objective_of
from scorematch._quadratic import BlockForm, QuadraticForm, SingularError, minima_from, solve
from scorematch._validation import (
    Floats,
    check_count,
    check_finite,
    check_flag,
    check_parameter,
    check_real,
    raw_sample_weight,
)
from scorematch._warnings import warn
from scorematch.domains import Domain, NonNegative
from scorematch.weights import Weight

Doubles = NDArray[np.float64]

# Blocks of Γ of more numbers than this (4 GiB) are refused.
MOST_NUMBERS = 2**29
# Below, the compiled objective is the faster.
MANY_ROWS = 20_000
# The origin so many times as far away as the data are spread: beyond, log p̃ is counted from their middle.
FAR = 16.0


class PolynomialExponentialFamily(ClosedFormEstimator):
    r"""Exponential family whose log density is a polynomial, fitted in closed form.

    .. math:: \log p(x) = \sum_{1 \le |\alpha| \le m} \theta_\alpha x^\alpha + \text{const}, \qquad
        x^\alpha = \prod_j x_j^{\alpha_j}

    with score function :math:`\psi_j = \sum_\alpha \theta_\alpha \alpha_j x^{\alpha - e_j}` and Hessian trace
    :math:`\sum_j \sum_\alpha \theta_\alpha \alpha_j (\alpha_j - 1) x^{\alpha - 2 e_j}`. The normaliser has no closed
    form beyond degree 2, the Gaussian. The objective is quadratic in :math:`\theta`, and all it needs are the moments
    of the data up to degree 2m − 2:

    .. math:: \Gamma_{\alpha\beta} = \sum_j \alpha_j \beta_j \, \mathrm{E}[x^{\alpha + \beta - 2 e_j}], \qquad
        g_\alpha = -\sum_j \alpha_j (\alpha_j - 1) \, \mathrm{E}[x^{\alpha - 2 e_j}]

    Parameters
    ----------
    degree : int, default=2
        The highest degree m. On all of space it must be even: of an odd degree, exp of the polynomial has no finite
        integral.
    interactions : bool, default=True
        Whether there are terms with more than one variable. Where False, coordinates are independent.
    domain : Domain, optional
        Where the data live, one of :mod:`scorematch.domains` or an object of your own with ``contains`` and
        ``coordinate_distance``; all of space where None.
    weight : Weight, optional
        On a domain with a boundary, one of :mod:`scorematch.weights` or a pair of functions h and h′; where None, the
        one that :func:`scorematch.weights.default_weight` chooses.
    ridge : float, default=0.0
        A penalty of ½·ridge·‖θ‖² in the objective, which makes the solution unique where the data alone do not.
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
    coef_ : ndarray of shape (n_params,)
        The coefficients :math:`\theta`, one for each row of ``powers_``.
    powers_ : ndarray of int, shape (n_params, n_features)
        The exponents :math:`\alpha`, in graded order, that of scikit-learn's ``PolynomialFeatures``: by degree, and
        within a degree higher powers of earlier variables first: x0, x1, x0², x0·x1, x1², … Where `interactions` is
        False, x0, x1, …, x0², x1², …
    theta_ : ndarray of shape (n_params,)
        The same as ``coef_``.
    theta_names_ : list of str
        The monomials, such as ``x0^2 x1``.
    params_ : dict
        ``coef`` and ``powers``, the arguments of :meth:`from_params`, which takes the terms in any order, and for 0
        those that are not given; `degree` is then the highest that occurs, unless it is given too.
    objective_ : float
        The objective at the estimate, without the penalty.
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

    Warns
    -----
    UserWarning
        Where the terms of highest degree are not negative in every direction: the estimate is then no density, since
        exp of it cannot be normalised. The score function and all that is made of it are those of the formula still.
        For degree 2, and without interactions, this is decided exactly; else by climbing from some hundred directions,
        which may miss a narrow one in many dimensions.

    Notes
    -----
    Γ is made of moments in coordinates in which the data are centred and of order 1, solved there, and the coefficients
    are mapped back: no digits are lost where data lie far from the origin or columns differ in scale. The fitted model
    evaluates the polynomial in those coordinates too. The origin is where the formula has its value 0; where it is more
    than 16 times as far from the data as these are spread, ``unnormalized_log_density`` is 0 at their middle instead,
    since no digits would be left of its differences.

    :meth:`sample` goes by Hamiltonian Monte Carlo; where the terms of highest degree are not negative in every
    direction, it is an error.

    Terms that cannot be told apart, as with fewer rows than coefficients or with constant or duplicated columns, are an
    error unless `ridge` is positive.

    References
    ----------
    Hyvärinen (2005), "Estimation of non-normalized statistical models by score matching", JMLR 6, section 2.
    Hyvärinen (2007), "Some extensions of score matching", Computational Statistics & Data Analysis 51 (exponential
    families in closed form; non-negative data).
    Yu, Drton and Shojaie (2019), "Generalized score matching for non-negative data", JMLR 20.

    Examples
    --------
    >>> import numpy as np
    >>> import scorematch
    >>> rng = np.random.default_rng(0)
    >>> X = rng.choice([-1.0, 1.0], size=(5000, 1)) + 0.5 * rng.normal(size=(5000, 1))
    >>> model = scorematch.PolynomialExponentialFamily(degree=4).fit(X)
    >>> model.powers_[:, 0], bool(model.coef_[1] > 0 > model.coef_[3])  # two modes
    (array([1, 2, 3, 4]), True)
    >>> quartic = scorematch.PolynomialExponentialFamily.from_params(coef=[1.0, -0.25], powers=[[2], [4]])
    >>> quartic.score_function([[1.0], [2.0]])  # 2x − x³
    array([[ 1.],
           [-4.]])
    """

    _family: ClassVar[str] = "polynomial_exponential_family"
    _required_params: ClassVar[tuple[str, ...]] = ("coef", "powers")
    _state: ClassVar[tuple[str, ...]] = ("_frame", "_solution")

    coef_: Doubles
    powers_: NDArray[np.int64]
    # The compiled family's coordinates y = (x − s)/c: s and c, (2, d).
    _frame: Doubles
    # What fit found: theta_ and the coefficients in y, which have digits that theta_ cannot hold. Empty without a fit.
    _solution: Doubles
    _local: Doubles

    def __init__(
        self,
        degree: int = 2,
        interactions: bool = True,
        *,
        domain: Domain | None = None,
        weight: Weight | None = None,
        ridge: float = 0.0,
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
        self.degree = degree
        self.interactions = interactions
        self.domain = domain
        self.weight = weight
        self.ridge = ridge
        self.robust = robust
        self.n_jobs = n_jobs
        self.objective = objective
        self.n_projections = n_projections
        self.projection = projection
        self.variance_reduction = variance_reduction
        self.noise_scale = noise_scale
        self.difference_step = difference_step
        self.random_state = random_state

    @classmethod
    def from_params(cls, **parameters: Any) -> Self:
        if "degree" not in parameters and "powers" in parameters:
            powers = check_parameter("powers", parameters["powers"], (None, None))
            parameters["degree"] = max(1, int(powers.sum(axis=1).max(initial=1)))
        return super().from_params(**parameters)

    def unnormalized_log_density(self, X: ArrayLike) -> Floats:
        """The logarithm of the density, up to a constant that does not depend on x.

        Parameters
        ----------
        X : array_like of shape (n_samples, n_features)
            The points.

        Returns
        -------
        ndarray of shape (n_samples,)
            Of the float type of `X`: the polynomial, less a constant where data lie far from the origin (see the
            notes).
        """
        values = super().unnormalized_log_density(X)
        if (np.abs(self._frame[0]) <= FAR * self._frame[1]).all():
            values -= coordinates(self._terms(), self._frame).at_origin(self._local)
        return values

    # -- what the base asks for ----------------------------------------------------------------------------------

    def _names_of_theta(self, columns: Sequence[str] | None) -> list[str]:
        terms = self._terms()
        return list(terms.names if columns is None else terms.names_in(columns))

    def _variant(self) -> str:
        return "interactions" if self.interactions else "powers"

    def _constants(self) -> list[float]:
        return [float(self.degree), *self._frame.ravel().tolist()]

    def _compiled_theta(self) -> Doubles:
        return self._local

    def _terms(self) -> Monomials:
        return monomials(self.n_features_in_, int(self.degree), bool(self.interactions))

    def _check_options(self) -> None:
        check_count("degree", self.degree)
        check_flag("interactions", self.interactions)
        check_real("ridge", self.ridge, lowest=0.0)
        self._check_domain()
        if self.degree % 2 and not self._has_boundary:
            raise ValueError(
                f"degree={self.degree} is odd: on all of space the terms of highest degree are then positive in one "
                "direction or its opposite, and exp of the polynomial has no finite integral. Choose an even degree, "
                "or a domain, such as NonNegative()"
            )

    def _check_size(self) -> None:
        d, degree = self.n_features_in_, int(self.degree)
        per_coordinate = n_monomials(d, degree - 1) if self.interactions else degree
        if d * per_coordinate**2 > MOST_NUMBERS:
            n_params = n_monomials(d, degree) - 1 if self.interactions else d * degree
            raise ValueError(
                f"degree={degree} makes {n_params} coefficients of {d} columns, and a quadratic form that does not fit "
                f"in {8 * MOST_NUMBERS >> 30} GiB. Choose a lower degree, fewer columns, or interactions=False"
            )

    def _theta_from_params(self, params: dict[str, Any]) -> tuple[int, Doubles]:
        self._check_options()
        powers = check_parameter("powers", params["powers"], (None, None))
        coef = check_parameter("coef", params["coef"], (len(powers),))
        d = powers.shape[1]
        bad = (powers < 0).any(axis=1) | (powers != np.rint(powers)).any(axis=1)
        total = powers.sum(axis=1)
        for wrong, what in (
            (bad, "must hold whole numbers that are not negative"),
            (total < 1, "must not hold the constant, which no derivative sees"),
            (total > self.degree, f"must not exceed degree={self.degree}"),
            (
                ~bad & ((powers > 0).sum(axis=1) > 1) & (not self.interactions),
                "must be of one variable, as interactions=False",
            ),
        ):
            if wrong.any():
                row = int(np.argmax(wrong))
                raise ValueError(f"powers {what}; row {row} is {powers[row].tolist()}")
        self.n_features_in_ = d
        self._check_size()
        place = {row: number for number, row in enumerate(map(tuple, self._terms().powers.tolist()))}
        theta = np.zeros(len(place))
        seen: dict[int, int] = {}
        for number, row in enumerate(powers.astype(int).tolist()):
            position = place[tuple(row)]
            if position in seen:
                raise ValueError(f"powers must be different; rows {seen[position]} and {number} are both {row}")
            seen[position] = number
            theta[position] = coef[number]
        self._frame = np.stack([np.zeros(d), np.ones(d)])
        self._solution = np.empty((0, len(theta)))
        self._warn_unless_integrable(theta, self._frame)
        return d, theta

    def _set_params_from_theta(self) -> None:
        self._local = self._in_frame(self.theta_)
        self.coef_ = self.theta_
        self.powers_ = self._terms().powers.copy()
        self.params_ = {"coef": self.coef_, "powers": self.powers_}  # type: ignore[dict-item]

    def _in_frame(self, theta: Doubles) -> Doubles:
        if len(self._solution) == 2 and np.array_equal(theta, self._solution[0]):
            return np.asarray(self._solution[1])
        return coordinates(self._terms(), self._frame).of_y(theta)

    # -- fitting -------------------------------------------------------------------------------------------------

    def _training_samples(
        self, X: ArrayLike, sample_weight: ArrayLike | None, *, reset: bool
    ) -> tuple[Floats, Doubles | None]:
        # On all of space the sums themselves tell whether X is finite, at no cost.
        X = self._check_samples(X, reset=reset, finite=self._has_boundary)
        self._check_size()
        return X, raw_sample_weight(sample_weight, len(X))

    def _sums(self, X: Floats, sample_weight: Doubles | None, earlier: Any) -> _Moments:
        return self._moments_of(X, sample_weight, _frame_of(X, sample_weight) if earlier is None else earlier.frame)

    def _form(self, X: Floats, sample_weight: Doubles | None) -> QuadraticForm:
        if hasattr(self, "theta_") or self._is_exact:
            return super()._form(X, sample_weight)
        # Before a fit there is no frame yet.
        own = self._copy()
        own._frame, own._solution = np.stack([np.zeros(X.shape[1]), np.ones(X.shape[1])]), np.empty((0, 0))
        self._settle_objective(X, sample_weight)
        return dense_form(objective_of(self), self._exact_form(X, sample_weight), own._loss(X, sample_weight))

    def _exact_form(self, X: Floats, sample_weight: Doubles | None) -> QuadraticForm:
        self._check_size()
        frame = _frame_of(X, sample_weight)
        frame[0] = 0
        form = self._blocks(self._moments_of(X, sample_weight, frame)).assembled()
        # In y = x/c with powers of 2 for c, so that the scaling is exact.
        scale = coordinates(self._terms(), frame).of_y(np.ones(len(form.g)))
        return QuadraticForm(form.gamma * scale[:, None] * scale, form.g * scale)

    def _estimate(self, sums: _Moments) -> None:
        local, self.objective_ = self._minimum(sums)
        self._set_local(sums, local)

    def _estimate_by_objective(self, X: Floats, sample_weight: Doubles | None) -> None:
        sums = self._sums_in_blocks(X, sample_weight, None)
        self._frame = sums.frame  # in which the compiled family is
        loss = self._loss_about(None, X, sample_weight)
        ridge = self.ridge * coordinates(self._terms(), sums.frame).square_of_x() if self.ridge else None
        try:
            found = minimum(objective_of(self), self._blocks(sums), loss, sums.n_samples, sums.eps, ridge)
        except SingularError as error:
            raise self._not_told_apart(sums, error) from error
        self._set_minimum(found)
        self._set_local(sums, found.theta)

    def _set_local(self, sums: _Moments, local: Doubles) -> None:
        """Set θ from the coefficients in y."""
        with np.errstate(over="ignore", invalid="ignore"):
            theta = coordinates(self._terms(), sums.frame).of_x(local)
        if not np.isfinite(theta).all():
            raise ValueError("coefficients overflow on the scale of X; rescale its columns")
        self._frame, self._solution = sums.frame, np.stack([theta, local])
        self._set_theta(theta)
        self._warn_unless_integrable(local, sums.frame)

    def _estimates(self, vectors: Doubles, like: _Moments, n_samples: int) -> Doubles | None:
        if self.ridge:
            return None
        local = minima_from(lambda some: self._blocks(like.with_vector(some, n_samples)), vectors, n_samples, like.eps)
        with np.errstate(over="ignore", invalid="ignore"):
            return None if local is None else coordinates(self._terms(), like.frame).of_x(local)

    def _moments_of(self, X: Floats, weight: Doubles | None, frame: Doubles) -> _Moments:
        """One pass over X; an error that names the first entry which is not finite."""
        sums, slope_sums = _core.polynomial_moments(
            X,
            weight,
            self._unraised_field(X, weight),
            int(self.degree),
            bool(self.interactions),
            frame[0],
            frame[1],
            self._threads(),
        )
        if not (np.isfinite(sums).all() and np.isfinite(slope_sums).all()):
            check_finite(X)
            raise ValueError("X has entries so large that their powers overflow; rescale it")
        total = float(len(X)) if weight is None else float(weight.sum())
        kind = (self.degree, self.interactions)
        return _Moments(kind, frame, total, len(X), sums, slope_sums)

    def _blocks(self, moments: _Moments) -> BlockForm:
        """Γ and g in the coordinates y of the moments, a block for each coordinate; many of many moments.

        Coordinate j has ψ_j = Σ_b q_b y^b with q_b = (b_j + 1)/c_j times an entry of θ, and adds
        ½ E[h_j ψ_j²] + E[h_j ∂ψ_j/∂x_j + h_j′ ψ_j].
        """
        terms = self._terms()
        inverse = 1 / moments.frame[1][:, None]
        factor = (terms.powers_of_own + 1) * inverse
        total = np.asarray(moments.total)[..., None, None]
        sums = moments.sums / total
        blocks = factor[:, :, None] * factor[:, None, :] * sums[..., terms.hankel]
        row = np.arange(len(factor))[:, None] if sums.shape[-2] > 1 else 0
        linear = -factor * terms.powers_of_own * inverse * sums[..., row, terms.derivative]
        if moments.slope_sums.size:
            linear -= factor * moments.slope_sums / total
        return BlockForm(terms.index, blocks, linear).raised(self._power)

    def _minimum(self, moments: _Moments) -> tuple[Doubles, float]:
        """The coefficients in y, and the objective there."""
        form = self._blocks(moments)
        try:
            if not self.ridge:
                return form.minimum(moments.n_samples, moments.eps)
            dense = form.assembled()
            penalty = self.ridge * coordinates(self._terms(), moments.frame).square_of_x()
            local = solve(QuadraticForm(dense.gamma + penalty, dense.g), moments.eps)
            return local, form.value_and_slope(local)[0]
        except SingularError as error:
            raise self._not_told_apart(moments, error) from error

    def _not_told_apart(self, moments: _Moments, error: SingularError) -> ValueError:
        constant = moments.constant_columns(self._terms())
        reason = f"column {constant[0]} is constant" if len(constant) else str(error)
        rows = "rows" if self._is_exact else "rows or n_projections"
        return ValueError(
            f"{moments.n_samples} rows do not tell the {self._terms().n_params} coefficients apart: {reason}. Use "
            f"more {rows} or a lower degree, drop constant or duplicated columns, or pass a positive ridge"
        )

    def _rise(self, local: Doubles, frame: Doubles) -> str:
        """Why exp of the polynomial cannot be normalised; empty where it can, or nothing is known of it."""
        orthant = isinstance(self.domain, NonNegative)
        if self._has_boundary and not orthant:
            return ""  # on a bounded domain every polynomial will do; of others nothing is known
        terms = self._terms()
        leading = np.where(terms.leading, local, 0.0)
        value, direction = highest(terms, leading, orthant)
        if value < -1e-12 * np.abs(leading).max():
            return ""
        direction = direction * frame[1]
        names = getattr(self, "feature_names_in_", [f"x{j}" for j in range(terms.n_features)])
        words = in_words(direction / np.linalg.norm(direction), [str(name) for name in names])
        return (
            f"the polynomial is no log density: its terms of degree {self.degree} are not negative in the direction "
            f"{words}, so that exp of it cannot be normalised"
        )

    def _warn_unless_integrable(self, local: Doubles, frame: Doubles) -> None:
        reason = self._rise(local, frame)
        if reason:
            warn(
                f"{reason}. Score function, Hyvärinen scores and gradients are those of the formula all the same. More "
                "rows, another degree or interactions=False may mend it"
            )

    def _check_density(self) -> None:
        reason = self._rise(self._local, self._frame)
        if reason:
            raise ValueError(f"{reason}: there is nothing to draw from")

    def _loss(self, X: Floats, sample_weight: Doubles | None) -> Loss:
        own = coordinates(self._terms(), self._frame)
        if not self._moments_pay(X):
            compiled = super()._loss(X, sample_weight)

            def loss(theta: Doubles) -> tuple[float, Doubles]:
                value, slope = compiled(self._in_frame(theta))
                return value, own.slope_of_x(slope)

            return loss
        frame = self._frame
        if not own.moved:  # a scale costs nothing, and keeps powers from overflowing
            frame = np.stack([self._frame[0], _frame_of(X, sample_weight)[1]])
        form = self._blocks(self._moments_of(X, sample_weight, frame))
        there = coordinates(self._terms(), frame)

        def loss_by_moments(theta: Doubles) -> tuple[float, Doubles]:
            value, slope = form.value_and_slope(self._in_frame(theta) if own.moved else there.of_y(theta))
            return value, there.slope_of_x(slope)

        return loss_by_moments

    def _gradient_rows(self, X: Floats, theta: Doubles | None = None) -> Doubles:
        own = coordinates(self._terms(), self._frame)
        return own.slope_of_x(super()._gradient_rows(X, theta).T).T

    def _gradient_products(self, X: Floats, sample_weight: Doubles | None) -> Products:
        own = coordinates(self._terms(), self._frame)
        loss, total, squares = super()._gradient_products(X, sample_weight)
        return Products(loss, own.slope_of_x(total), own.slope_of_x(own.slope_of_x(squares).T))

    def _estimating(self, X: Floats, sample_weight: Doubles | None) -> EstimatingEquations:
        n_params = len(self.theta_)
        return Stationary(self, Penalty(self.ridge * np.eye(n_params)) if self.ridge else None)

    def _moments_pay(self, X: Floats) -> bool:
        """Whether moments take less time than one pass of scores and their way back.

        They do where there are many rows and not many more moments than entries in the matrix that makes the scores.
        (Not in float32: moments are taken in doubles.)
        """
        if len(X) < MANY_ROWS or X.dtype != np.float64 or self._has_boundary or not self._is_exact:
            return False
        terms = self._terms()
        d, highest_power = terms.n_features, 2 * terms.degree - 2
        n_moments = n_monomials(d, highest_power) if self.interactions else d * (highest_power + 1)
        return n_moments <= 1.75 * terms.index.size


@dataclass(frozen=True)
class _Moments:
    """Sums of monomials over samples (PolynomialMoments of backend.hpp)."""

    kind: tuple[Any, ...]  # the options that they are moments for
    frame: Doubles  # (2, d): y = (x − frame[0]) / frame[1]
    total: Any  # Σ w, a number
    n_samples: int
    sums: Doubles  # (1 or d, n)
    slope_sums: Doubles  # (d, n), or nothing on all of space
    # Of doubles, whatever the float type of the data.
    eps: ClassVar[float] = float(np.finfo(np.float64).eps)

    def __add__(self, other: _Moments) -> _Moments:
        return replace(
            self,
            total=self.total + other.total,
            n_samples=self.n_samples + other.n_samples,
            sums=self.sums + other.sums,
            slope_sums=self.slope_sums + other.slope_sums,
        )

    def times(self, factor: float) -> _Moments:
        """The same with all weights multiplied."""
        return replace(self, total=self.total * factor, sums=self.sums * factor, slope_sums=self.slope_sums * factor)

    def as_vector(self) -> Doubles:
        """All that adds up."""
        return joined(self.total, self.sums, self.slope_sums)

    def with_vector(self, vector: Doubles, n_samples: int) -> _Moments:
        """Those of other rows in the same frame, from their vector; or many of them, from (n, n_numbers)."""
        total, sums, slope_sums = parted(vector, (), self.sums.shape, self.slope_sums.shape)
        return replace(self, total=total, n_samples=n_samples, sums=sums, slope_sums=slope_sums)

    def constant_columns(self, terms: Monomials) -> NDArray[np.intp]:
        """The columns whose variance is no more than what rounding makes of a constant."""
        if terms.degree == 1:
            return np.empty(0, dtype=np.intp)
        each = np.arange(terms.n_features)
        rows = each if len(self.sums) > 1 else 0
        one = terms.index[:, 0] + 1 if terms.interactions else 1  # the number of x_j
        two = np.diagonal(terms.hankel[one][:, one]) if terms.interactions else 2
        total = self.sums[rows, 0]
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = self.sums[rows, one] / total
            variance = self.sums[rows, two] / total - mean**2
        rounding = self.eps * mean**2 + (self.eps * self.frame[0] / self.frame[1]) ** 2
        return np.flatnonzero(~(variance > 16 * rounding))


def _frame_of(X: Floats, sample_weight: Doubles | None) -> Doubles:
    """Where the data lie and how far they are spread, (2, d), from about a hundred rows that count."""
    if sample_weight is None:
        rows, weight = X[:: max(1, len(X) // 64)], None
    else:
        counted = np.flatnonzero(sample_weight)
        counted = counted[:: max(1, len(counted) // 64)]
        rows, weight = X[counted], sample_weight[counted]
    frame = np.empty((2, X.shape[1]))
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        mean = np.average(rows.astype(np.float64), axis=0, weights=weight)
        spread = np.sqrt(np.average((rows - mean) ** 2, axis=0, weights=weight))
        size = np.where(spread > 1e-12 * np.abs(mean), spread, np.abs(mean))
        frame[0] = mean.astype(X.dtype)  # that the core may subtract it exactly
        frame[1] = 2.0 ** np.rint(np.log2(size))  # that scaling is exact
    good = np.isfinite(frame).all(axis=0) & (frame[1] > 0)
    return np.where(good, frame, [[0.0], [1.0]])
