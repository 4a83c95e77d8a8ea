"""Standard errors, tests and influence: what every fitted model can say of its own precision."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

from scorematch import _core
from scorematch._base import ScoreMatchingEstimator
from scorematch._differences import KINK, jacobian
from scorematch._estimating import (
    BY_DIFFERENCES,
    EstimatingEquations,
    Products,
    Stationary,
    blocks_of_rows,
    hessian_by_differences,
    natural_scales,
    sandwich,
    sum_products,
)
from scorematch._objectives import rows_from
from scorematch._reweighted_equations import ReweightedEquations
from scorematch._sandwich import Sandwich, errors_of
from scorematch._validation import Floats, check_real, check_sample_weight, check_theta
from scorematch._wald import WaldTest, wald_test
from scorematch._warnings import warn
from scorematch._windham import exponent_of

if TYPE_CHECKING:
    from scorematch._summary import Summary

Doubles = NDArray[np.float64]
Kind = Literal["sandwich", "bootstrap"]
KINDS = ("sandwich", "bootstrap")
# A fit that has not converged is no estimate where its slope, in standard errors, is larger.
FAR = 0.1
# Beyond so many parameters a covariance takes more than some GiB.
MOST_PARAMS = 6000


class InferentialEstimator(ScoreMatchingEstimator):
    """Base of all families that can say of their precision, which is to say of all.

    A family says where its fit is not simply the minimum of the objective in θ: `_estimating` gives the equations that
    were solved, `_at_bounds` the parameters that ran to a limit.
    """

    # X as the fit saw it and its weights. The data are not copied, and not part of what is pickled.
    _training: tuple[Floats, Doubles | None]
    _cached_sandwich: Sandwich

    # -- what a family may provide -------------------------------------------------------------------------------

    def _estimating(self, X: Floats, sample_weight: Doubles | None) -> EstimatingEquations:
        """The equations that the estimate solves."""
        return Stationary(self)

    def _at_bounds(self) -> dict[int, str]:
        """Parameters that have run to a limit, by their index in θ, and in words why they have no standard error."""
        return {}

    def _gradient_rows(self, X: Floats, theta: Doubles | None = None) -> Doubles:
        """∇ρ of each row in θ, (n, p)."""
        field = self._field(X)  # first: what it settles is for all θ
        model = self if theta is None else self._at(theta)
        return _core.loss_gradients(
            model._compiled(), model._compiled_theta(), X, field, model._threads(), model._origin()
        )

    def _gradient_products(self, X: Floats, sample_weight: Doubles | None) -> Products:
        """Σ wρ, Σ w∇ρ and Σ w²∇ρ∇ρᵀ, (p, p)."""
        field = self._field(X, sample_weight)
        return Products(
            *_core.gradient_products(
                self._compiled(), self._compiled_theta(), X, sample_weight, field, self._threads(), self._origin()
            )
        )

    def _objective_hessian(self, X: Floats, sample_weight: Doubles | None) -> tuple[Doubles, float]:
        """The Hessian of J at θ, (p, p), and its relative error."""
        norm_term = float(np.average(self._evaluate_rows(X, "norm_term")["norm_term"], weights=sample_weight))
        squares = np.diagonal(sum_products(self, X, sample_weight).squares) / len(X)
        scales = natural_scales(self.theta_, norm_term, squares)
        scales[list(self._at_bounds())] = np.nan
        return hessian_by_differences(self._loss, self.theta_, scales, X, sample_weight), BY_DIFFERENCES

    # -- machinery -----------------------------------------------------------------------------------------------

    def __getstate__(self) -> Any:
        state = super().__getstate__().copy()
        state.pop("_training", None)
        return state

    def _at(self, theta: Doubles) -> Self:
        """The same model at another θ."""
        other = self._copy()
        other._set_theta(theta)
        return other

    def _training_data(self, X: ArrayLike | None, sample_weight: ArrayLike | None) -> tuple[Floats, Doubles | None]:
        """What is given, checked, or the data of the fit."""
        self._check_is_fitted()
        if X is not None:
            rows, weight = self._training_rows(X, sample_weight)
            return rows, check_sample_weight(weight, len(rows))
        if sample_weight is not None:
            raise ValueError("sample_weight goes with X; pass both, or neither for the data of the fit")
        if not hasattr(self, "_training"):
            raise ValueError(
                f"this {type(self).__name__} does not hold the data that it was fitted to, as after partial_fit, "
                "from_params, load_model or unpickling: pass X (and sample_weight)"
            )
        return self._training

    def _equations(self, X: Floats, sample_weight: Doubles | None) -> EstimatingEquations:
        """Those of the family, or what becomes of them in a robust fit."""
        if exponent_of(self) > 0:
            return ReweightedEquations(self, X, sample_weight)
        return self._estimating(X, sample_weight)

    def _log_density_slopes(self, X: Floats, scales: Doubles) -> Doubles:
        """The derivatives of the log density at each row by θ, (n, p), whose entries have the sizes `scales`."""

        def log_density(theta: Doubles) -> Doubles:
            there = self._at(theta)
            return there._log_density(X, there._compiled_theta())

        return jacobian(log_density, self.theta_, scales)[0]

    def _sandwich(self, X: ArrayLike | None = None, sample_weight: ArrayLike | None = None) -> Sandwich:
        """The sandwich covariance and what it is made of; that of the fit's own data is kept."""
        if X is None and hasattr(self, "_cached_sandwich"):
            return self._cached_sandwich
        rows, weight = self._training_data(X, sample_weight)
        if len(self.theta_) > MOST_PARAMS:
            raise ValueError(
                f"the covariance of {len(self.theta_)} parameters would take {len(self.theta_) ** 2 * 8 / 2**30:.1f} "
                f"GiB; at most {MOST_PARAMS} parameters are supported. Use kind='bootstrap' with `of`"
            )
        found = sandwich(self._equations(rows, weight), self.theta_, rows, weight)
        if X is None:
            self._check_unchanged(found)
            if not getattr(self, "converged_", True):
                found = self._of_unfinished_fit(found)
            self._cached_sandwich = found
        return found

    def _of_unfinished_fit(self, found: Sandwich) -> Sandwich:
        """Without standard errors where the fit ended far from a minimum, and with a warning where it did not."""
        if not found.misses < FAR:
            return replace(found, fixed=dict.fromkeys(range(len(self.theta_)), "the fit has not converged"))
        warn(
            f"{type(self).__name__} has not converged: its slope is off by {found.misses:.2g} of its standard error, "
            "and so are standard errors that take it for a minimum"
        )
        return found

    def _check_unchanged(self, found: Sandwich) -> None:
        """An error where the data of the fit are no longer what they were: they are held, and not copied."""
        fitted = getattr(self, "objective_", np.nan)
        if abs(found.loss - fitted) > 0.01 * (abs(found.loss) + abs(fitted)):
            raise ValueError(
                f"the data that the model was fitted to have changed since: their objective was {fitted:.6g} and is "
                f"{found.loss:.6g}. Pass the data as X, or fit again"
            )

    def _derived(self, of: str, theta: Doubles) -> Doubles:
        """A fitted attribute at a θ, as a vector."""
        return np.asarray(getattr(self._at(theta), f"{of}_"), dtype=np.float64).ravel()

    def _attribute(self, of: str) -> Doubles:
        """A fitted attribute that is a number or an array of them, by its name without the underscore."""
        value = getattr(self, f"{of}_", None) if isinstance(of, str) else None
        array = np.asarray(value) if value is not None else np.empty(0, dtype=object)
        if array.dtype.kind not in "fiu" or of in _NO_PARAMETERS:
            raise ValueError(f"of must name a parameter, one of {', '.join(self._parameter_names())}; got {of!r}")
        return array.astype(np.float64)

    def _parameter_names(self) -> list[str]:
        """What `of` may name: fitted attributes that depend on θ alone."""
        annotations = {name for parent in type(self).__mro__ for name in vars(parent).get("__annotations__", {})}
        fitted = {name[:-1] for name in annotations if name.endswith("_")}
        return sorted({*self.params_, *fitted} - _NO_PARAMETERS)

    def _slopes(self, of: str, found: Sandwich) -> tuple[Doubles, NDArray[np.bool_]]:
        """The Jacobian of a derived parameter by θ, (q, p), and which of its rows can be had."""
        raw = np.sqrt(np.maximum(np.diagonal(found.raw_covariance), 0) * found.n_samples)
        # What one row tells is the size over which θ has an effect.
        scales = np.where(np.isfinite(raw) & (raw > 0), raw, np.maximum(np.abs(self.theta_), 1e-3))
        scales[list(found.fixed)] = 1e-3  # only whether they enter at all matters
        slopes, errors = jacobian(lambda theta: self._derived(of, theta), self.theta_, scales)
        smooth = (errors <= KINK * np.abs(slopes).max(axis=1, initial=0.0)[:, None]).all(axis=1)
        slopes[np.abs(slopes) * scales <= 1e-9 * (np.abs(slopes) * scales).max(axis=1, initial=0.0)[:, None]] = 0
        return slopes, smooth & found.tells(slopes)

    def _covariance_of(self, of: str | None, found: Sandwich) -> Doubles:
        """The sandwich covariance of θ, or of a derived parameter by the delta method."""
        if of is None:
            return found.covariance
        self._attribute(of)
        slopes, known = self._slopes(of, found)
        covariance = np.asarray(slopes @ found.raw_covariance @ slopes.T)
        covariance[~known] = covariance[:, ~known] = np.nan
        return covariance

    def _bootstrap(
        self, of: str | None, X: ArrayLike | None, sample_weight: ArrayLike | None, n_resamples: int, random_state: Any
    ) -> Doubles:
        """θ, or a derived parameter, of each resample, (n_resamples, q)."""
        from scorematch._bootstrap import bootstrap_thetas

        if X is None:
            raise ValueError("kind='bootstrap' fits resamples of the data: pass X")
        size = len(self.theta_) if of is None else self._attribute(of).size
        jobs, verbose = getattr(self, "n_jobs", None), int(getattr(self, "verbose", 0))
        thetas = bootstrap_thetas(self, X, sample_weight, n_resamples, random_state, jobs, verbose)
        if of is None:
            return thetas
        nothing = np.full(size, np.nan)
        return np.stack([self._derived(of, theta) if np.isfinite(theta).all() else nothing for theta in thetas])

    def _names_of(self, of: str | None) -> list[str]:
        """Names of the entries of θ or of a derived parameter."""
        if of is None:
            return self.theta_names_
        shape = self._attribute(of).shape
        places = itertools.product(*(range(length) for length in shape))
        return [f"{of}[{','.join(map(str, place))}]" if place else of for place in places]

    def _value_of(self, of: str | None) -> Doubles:
        return self.theta_ if of is None else self._attribute(of).ravel()

    # -- what it gives -------------------------------------------------------------------------------------------

    def loss_gradients(self, X: ArrayLike, theta: ArrayLike | None = None) -> Doubles:
        r"""The gradient with respect to θ of what each row adds to the objective: of its Hyvärinen score, if exact.

        Parameters
        ----------
        X : array_like of shape (n_samples, n_features)
            The points.
        theta : array_like of shape (n_params,), optional
            Working parameters in the order of ``theta_names_``; those of the model where None.

        Returns
        -------
        ndarray of shape (n_samples, n_params)
            :math:`\nabla_\theta\rho(x_i; \theta)`, float64. Their weighted mean is the gradient that
            :meth:`loss_and_grad` gives.

        Examples
        --------
        >>> import scorematch
        >>> model = scorematch.Gaussian.from_params(mean=[0.0], covariance=[[1.0]])
        >>> model.loss_gradients([[0.0], [2.0]])  # of the precision and of precision times mean
        array([[-1.,  0.],
               [ 3., -2.]])
        """
        self._check_is_fitted()
        X = self._check_samples(X)
        return self._gradient_rows(X, None if theta is None else check_theta(theta, len(self.theta_)))

    def covariance(
        self,
        kind: Kind = "sandwich",
        of: str | None = None,
        X: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        n_resamples: int = 1000,
        random_state: Any = None,
    ) -> Doubles:
        r"""The covariance matrix of the estimate.

        The sandwich (Godambe) covariance is :math:`G^{-1} S G^{-1}` with :math:`G = \sum_i w_i \nabla^2\rho_i` and
        :math:`S = \sum_i w_i^2\, \nabla\rho_i \nabla\rho_i^\top`, right for independent rows whether the model is or
        not. Those of derived parameters follow by the delta method.

        Parameters
        ----------
        kind : {"sandwich", "bootstrap"}, default="sandwich"
            The sandwich covariance, or that of estimates from resamples of the rows.
        of : str, optional
            A fitted attribute without its underscore, such as ``"mean"`` or ``"concentration"``; ``theta_`` where None.
        X : array_like of shape (n_samples, n_features), optional
            The data of the fit. The sandwich takes those that ``fit`` saw where None (held by the model, not copied);
            the bootstrap needs them.
        sample_weight : array_like of shape (n_samples,), optional
            Weights of the rows of `X`.
        n_resamples : int, default=1000
            Resamples of the bootstrap.
        random_state : int, RandomState or None
            Seed of the bootstrap.

        Returns
        -------
        ndarray of shape (q, q)
            In the order of ``theta_names_``, or of the derived parameter's entries row by row. NaN for what the data do
            not determine, and for parameters at a bound; :meth:`summary` says why.

        Notes
        -----
        The Hessian is exact for families with a closed form; for others it is made of differences of the analytic
        gradient, with a relative error of less than 1e-9. Derivatives of derived parameters are differences too, with
        a relative error of about 1e-10. Coefficients that an l1 penalty has set to zero have no standard error; that of
        the others takes the selection for granted. Whitening and scales that were taken from the data count as known;
        the bootstrap counts their variation in. Caps of `weight_` count as known either way.

        The bootstrap draws as many rows as there are, each with its weight, and is the same for a seed whatever
        `n_jobs` is. Families with a closed form are estimated from sums of rows, or where there are many rows, from
        sums of a thousand blocks of them or more, chosen at random, which adds a relative error of about 4 % to each
        variance, or less. Others are fitted again, from the estimate on, with components in its order. Resamples that
        give no estimate are left out, with a warning that says how many and why.

        References
        ----------
        Godambe (1960), "An optimum property of regular maximum likelihood estimation", Annals of Mathematical
        Statistics 31.

        Song, Garg, Shi and Ermon (2019), "Sliced score matching", UAI (asymptotic normality of score matching).

        Examples
        --------
        >>> import numpy as np
        >>> import scorematch
        >>> X = np.random.default_rng(0).normal(size=(10_000, 1))
        >>> model = scorematch.Gaussian().fit(X)
        >>> bool(np.allclose(model.covariance(of="mean"), model.covariance_ / 10_000))
        True
        """
        if kind not in KINDS:
            raise ValueError(f"kind must be one of {KINDS}; got {kind!r}")
        if kind == "sandwich":
            return self._covariance_of(of, self._sandwich(X, sample_weight))
        from scorematch._bootstrap import covariance_of_resamples

        return covariance_of_resamples(self._bootstrap(of, X, sample_weight, n_resamples, random_state))

    @property
    def standard_errors_(self) -> Doubles:
        """Standard errors of ``theta_``, from the sandwich covariance; NaN where there is none."""
        return errors_of(self._sandwich().covariance)

    def confidence_intervals(
        self,
        level: float = 0.95,
        of: str | None = None,
        kind: Kind = "sandwich",
        X: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        n_resamples: int = 1000,
        random_state: Any = None,
    ) -> Doubles:
        """Confidence intervals, one a parameter.

        With the sandwich covariance the estimate plus and minus normal quantiles of the standard error (Wald's
        intervals); with the bootstrap the quantiles of the resamples.

        Parameters
        ----------
        level : float, default=0.95
            The probability that an interval holds the truth.
        of : str, optional
            A fitted attribute without its underscore; ``theta_`` where None.
        kind : {"sandwich", "bootstrap"}, default="sandwich"
            As in :meth:`covariance`.
        X, sample_weight : array_like, optional
            The data, as in :meth:`covariance`.
        n_resamples : int, default=1000
            Resamples of the bootstrap.
        random_state : int, RandomState or None
            Seed of the bootstrap.

        Returns
        -------
        ndarray of shape (q, 2)
            Lower and upper ends, NaN where there is no standard error.

        Examples
        --------
        >>> import numpy as np
        >>> import scorematch
        >>> X = np.random.default_rng(0).normal(size=(10_000, 1))
        >>> np.round(scorematch.Gaussian().fit(X).confidence_intervals(of="mean"), 2) + 0.0
        array([[-0.01,  0.03]])
        """
        level = check_level(level)
        if kind not in KINDS:
            raise ValueError(f"kind must be one of {KINDS}; got {kind!r}")
        if kind == "bootstrap":
            from scorematch._bootstrap import bootstrap_intervals

            return bootstrap_intervals(self._bootstrap(of, X, sample_weight, n_resamples, random_state), level)
        errors = errors_of(self._covariance_of(of, self._sandwich(X, sample_weight)))
        reach = float(ndtri((1 + level) / 2)) * errors
        estimate = self._value_of(of)
        return np.stack([estimate - reach, estimate + reach], axis=1)

    def wald_test(
        self,
        R: ArrayLike | str | Sequence[str],
        r: ArrayLike = 0.0,
        of: str | None = None,
        X: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> WaldTest:
        r"""Wald test of the linear hypothesis :math:`R\theta = r`.

        Parameters
        ----------
        R : array_like of shape (k, n_params) or (n_params,), str or list of str
            The hypothesis, a row for each; or names of parameters, which stand for rows of the identity.
        r : array_like of shape (k,) or float, default=0.0
            What it says they are.
        of : str, optional
            A fitted attribute without its underscore; ``theta_`` where None.
        X, sample_weight : array_like, optional
            The data, as in :meth:`covariance`.

        Returns
        -------
        WaldTest
            A named tuple ``(statistic, df, p_value)``: the statistic
            :math:`(R\hat\theta - r)^\top (R C R^\top)^{-1} (R\hat\theta - r)` with the sandwich covariance C, the
            number of hypotheses, and the tail of the chi-squared distribution.

        Examples
        --------
        >>> import numpy as np
        >>> import scorematch
        >>> X = np.random.default_rng(0).normal([0.0, 1.0], size=(10_000, 2))
        >>> test = scorematch.Gaussian().fit(X).wald_test("precision[0,1]")
        >>> test.df, test.p_value > 0.05
        (1, True)
        """
        covariance = self._covariance_of(of, self._sandwich(X, sample_weight))
        return wald_test(R, r, self._value_of(of), covariance, self._names_of(of))

    def influence(self, X: ArrayLike) -> Doubles:
        r"""The influence of single rows on the estimate.

        :math:`-G^{-1}\nabla_\theta\rho(x_i; \hat\theta)` with G the sum of the Hessians of the rows of the fit. It
        approximates what a row adds to the estimate, which is minus the change when the row is left out.

        Parameters
        ----------
        X : array_like of shape (n_samples, n_features)
            The rows; those of the fit, or others that might be added to them.

        Returns
        -------
        ndarray of shape (n_samples, n_params)
            In the units of ``theta_``; rows of weight other than 1 count in proportion. NaN for parameters that have no
            standard error.

        References
        ----------
        Hampel (1974), "The influence curve and its role in robust estimation", JASA 69.

        Examples
        --------
        >>> import numpy as np
        >>> import scorematch
        >>> X = np.random.default_rng(0).normal(size=(1000, 1))
        >>> model = scorematch.Gaussian().fit(X)
        >>> without = scorematch.Gaussian().fit(X[1:])
        >>> bool(np.allclose(model.theta_ - without.theta_, model.influence(X)[0], atol=1e-5))
        True
        """
        self._check_is_fitted()
        rows = self._check_samples(X)
        held = hasattr(self, "_training") or hasattr(self, "_cached_sandwich")
        found = self._sandwich(None if held else X)
        equations = self._equations(*(self._training if hasattr(self, "_training") else (rows, None)))
        influence = -equations.rows(rows) @ found.influence_map.T
        influence[:, list(found.reasons)] = np.nan
        return np.asarray(influence)

    def smic(self, X: ArrayLike | None = None, sample_weight: ArrayLike | None = None) -> float:
        r"""Score matching information criterion: lower is better.

        :math:`n J(\hat\theta) + \operatorname{tr}(S G^{-1})`, an estimate of n times the objective on new data. Compare
        only models of the same data on the same scale, domain and weight.

        Parameters
        ----------
        X : array_like of shape (n_samples, n_features), optional
            The data of the fit; those that ``fit`` saw where None.
        sample_weight : array_like of shape (n_samples,), optional
            Weights of the rows of `X`.

        Returns
        -------
        float
            The criterion; n is the number of rows, weights count as shares.

        References
        ----------
        Matsuda, Uehara and Hyvärinen (2021), "Information criteria for non-normalized models", JMLR 22.

        Examples
        --------
        >>> import numpy as np
        >>> import scorematch
        >>> X = np.random.default_rng(0).standard_t(3, size=(2000, 1))
        >>> scorematch.StudentT(df=3).fit(X).smic(X) < scorematch.Gaussian().fit(X).smic(X)
        True
        """
        return self._smic(self._sandwich(X, sample_weight), *self._training_data(X, sample_weight))

    def _smic(self, found: Sandwich, X: Floats, sample_weight: Doubles | None) -> float:
        """SMIC on the rows that a sandwich is of."""
        equations = self._equations(X, sample_weight)
        if type(equations) is Stationary and equations.penalty is None:
            return found.total * found.loss + found.n_effective
        return self._optimism(equations, found, X, sample_weight)

    def _optimism(
        self, equations: EstimatingEquations, found: Sandwich, X: Floats, sample_weight: Doubles | None
    ) -> float:
        """NJ less Σ w² ∇ρᵀ(influence): what the estimate owes to each row, whatever equations it solves."""
        weight = np.ones(len(X)) if sample_weight is None else sample_weight
        value = self._summed_objective(X, weight)
        for block in blocks_of_rows(len(X), len(self.theta_)):
            with rows_from(block.start):
                own = self._gradient_rows(X[block])
                pulled = equations.rows(X[block]) @ found.influence_map.T
            value += float(np.einsum("np,np,n->", own, pulled, weight[block] ** 2))
        return value

    def _summed_objective(self, X: Floats, sample_weight: Doubles | None) -> float:
        """Σ wρ."""
        if not self._is_exact:
            total = float(len(X)) if sample_weight is None else float(sample_weight.sum())
            return total * self._loss(X, sample_weight)(self.theta_)[0]
        terms = self._evaluate_rows(X, "norm_term", "hessian_term")
        rho = self._power * terms["norm_term"].astype(np.float64) + terms["hessian_term"]
        return float(rho.sum() if sample_weight is None else rho @ sample_weight)

    def summary(
        self,
        level: float = 0.95,
        of: str | None = None,
        kind: Kind = "sandwich",
        X: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        n_resamples: int = 1000,
        random_state: Any = None,
    ) -> Summary:
        """A table of the estimates with standard errors, tests against zero and confidence intervals.

        Parameters
        ----------
        level : float, default=0.95
            Of the intervals.
        of : str, optional
            A fitted attribute without its underscore; ``theta_`` where None.
        kind : {"sandwich", "bootstrap"}, default="sandwich"
            As in :meth:`covariance`.
        X, sample_weight : array_like, optional
            The data, as in :meth:`covariance`.
        n_resamples : int, default=1000
            Resamples of the bootstrap.
        random_state : int, RandomState or None
            Seed of the bootstrap.

        Returns
        -------
        Summary
            Text by ``print``, HTML in a notebook; ``to_frame()`` and ``to_latex()``.

        Examples
        --------
        >>> import numpy as np
        >>> import scorematch
        >>> X = np.random.default_rng(0).normal(size=(1000, 2))
        >>> table = scorematch.Gaussian().fit(X).summary(of="mean")
        >>> table.names
        ['mean[0]', 'mean[1]']
        """
        from scorematch._summary import summarise

        return summarise(self, level, of, kind, X, sample_weight, n_resamples, random_state)


def check_level(level: Any) -> float:
    """A probability between 0 and 1."""
    value = check_real("level", level, lowest=0.0)
    if not 0 < value < 1:
        raise ValueError(f"level must lie between 0 and 1; got {level!r}")
    return float(value)


# Fitted attributes that are no parameters.
_NO_PARAMETERS = frozenset(
    [
        "theta",
        "theta_names",
        "params",
        "weight",
        "objective",
        "converged",
        "n_iter",
        "n_features_in",
        "n_reweightings",
        "history",
        "kkt_residual",
        "diagonal_multiplier",
        "standard_errors",
        "robust_weights",
        "powers",
        "noise_seed",
        "difference_step",
    ]
)
