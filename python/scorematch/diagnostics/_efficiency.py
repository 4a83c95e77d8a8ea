"""What score matching loses against maximum likelihood."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scorematch._base import ScoreMatchingEstimator
from scorematch._estimating import BY_DIFFERENCES, blocks_of_rows, natural_scales
from scorematch._objectives import rows_from
from scorematch._sandwich import Bread
from scorematch._validation import Floats, check_count
from scorematch._warnings import warn
from scorematch.diagnostics._operator import in_doubles, settled

Doubles = NDArray[np.float64]

# Below it, the same precision takes ten times the data.
POOR = 0.1
# Rows that tell over which distance θ has an effect.
SCALE_ROWS = 1000
# A change of log p over that distance that is rounding.
NOTHING = 1e-9


@dataclass(frozen=True, eq=False)
class RelativeEfficiency:
    """Result of :func:`relative_efficiency`.

    Parameters
    ----------
    names : tuple of str
        The parameters that are unknown, entries of ``theta_``.
    efficiencies : ndarray of shape (n_names,)
        The variance of maximum likelihood over that of score matching, between 0 and 1, of each; NaN where there is
        none.
    overall : float
        The same for all of them together: the geometric mean over independent directions (D-efficiency); NaN where an
        efficiency is.
    reasons : dict
        Why a parameter has no efficiency, by its name.
    n_samples : int
        Number of rows from which they were worked out.
    remedy : str
        What to do where an efficiency is low.

    Examples
    --------
    >>> import scorematch
    >>> from scorematch.diagnostics import relative_efficiency
    >>> model = scorematch.StudentT.from_params(location=[0.0], scale=[[1.0]], df=3.0)
    >>> result = relative_efficiency(model, random_state=0)
    >>> result.names, result.efficiencies.round(1)
    (('location[0]', 'cholesky[0,0]'), array([0.6, 0.5]))
    """

    names: tuple[str, ...]
    efficiencies: Doubles
    overall: float
    reasons: dict[str, str]
    n_samples: int
    remedy: str = field(repr=False)

    @property
    def verdict(self) -> str:
        """What follows, in words."""
        known = np.isfinite(self.efficiencies)
        if not known.any():
            return "No parameter has an efficiency: " + "; ".join(sorted(set(self.reasons.values())))
        k = int(np.nanargmin(self.efficiencies))
        lowest = float(self.efficiencies[k])
        if lowest >= POOR:
            return (
                f"Score matching takes at most {1 / lowest:.3g} times the data that maximum likelihood does, for "
                f"{self.names[k]}."
            )
        poor = [name for name, value in zip(self.names, self.efficiencies, strict=True) if value < POOR]
        return (
            f"Score matching is the wrong way to estimate {', '.join(poor[:5])}{' …' * (len(poor) > 5)}: "
            f"{self.names[k]} takes {1 / lowest:.3g} times the data that maximum likelihood does. {self.remedy}"
        )

    def to_frame(self) -> Any:
        """Give the efficiencies as a pandas series.

        Returns
        -------
        pandas.DataFrame
            Column ``efficiency``, the index being the names.
        """
        import pandas as pd

        return pd.DataFrame({"efficiency": self.efficiencies}, index=list(self.names))

    def __str__(self) -> str:
        width = max(map(len, self.names))
        rows = (
            f"{name:<{width}}  {value:>10.4g}  {self.reasons.get(name, '')}".rstrip()
            for name, value in zip(self.names, self.efficiencies, strict=True)
        )
        head = "Efficiency against maximum likelihood"
        return "\n".join([head, *rows, f"{'overall':<{width}}  {self.overall:>10.4g}", self.verdict])


def relative_efficiency(
    model: ScoreMatchingEstimator,
    X: ArrayLike | None = None,
    parameters: Sequence[str] | str | None = None,
    *,
    n_samples: int = 50_000,
    random_state: Any = None,
    sample_weight: ArrayLike | None = None,
) -> RelativeEfficiency:
    r"""Estimate how much of the efficiency of maximum likelihood score matching has at a model.

    The asymptotic variance of score matching is the sandwich :math:`G^{-1} S G^{-\top}` with
    :math:`S = \mathrm{E}[\nabla\rho\,\nabla\rho^\top]`, that of maximum likelihood the inverse of the Fisher
    information :math:`I = \mathrm{E}[\ell\,\ell^\top]` with :math:`\ell = \nabla_\theta\log p`. The efficiency of a
    parameter is the ratio of their entries on the diagonal. If the model is right,
    :math:`G = \mathrm{E}[\nabla^2\rho] = -\mathrm{E}[\nabla\rho\,\ell^\top]`, which is used here: so estimates lie
    between 0 and 1, and for models where the two methods are the same, as the Gaussian, they are 1 to the last digit.

    The normalising constant is not needed: :math:`\ell = \nabla_\theta\log\tilde p -
    \mathrm{E}[\nabla_\theta\log\tilde p]`, and the mean is taken over draws of the model.

    Parameters
    ----------
    model : fitted model
        A model of any family whose log density is known up to a constant.
    X : array_like of shape (n_samples, n_features), optional
        Rows that follow the model. Where None, draws of it (``model.sample``), as is best: efficiency is a property of
        the model. Data that the model does not fit say little.
    parameters : str or sequence of str, optional
        The parameters that are unknown, all others being known: names in ``theta_names_``, or of a block such as
        ``"means"``. All where None.
    n_samples : int, default=50000
        How many draws; the relative error of an efficiency e is about :math:`2/\sqrt{n e}`.
    random_state : int, RandomState or None
        Seed of the draws.
    sample_weight : array_like of shape (n_samples,), optional
        Weights of the rows of `X`, such as those of a quadrature.

    Returns
    -------
    RelativeEfficiency
        One efficiency a parameter, and a verdict in words; prints as a table.

    Raises
    ------
    ValueError
        Where the model cannot be drawn from and `X` is None, or a name is not one of the model's.

    Warns
    -----
    UserWarning
        Where a parameter has less than a tenth of the efficiency of maximum likelihood: score matching is the wrong
        tool there.

    Notes
    -----
    Score matching compares slopes of log densities. What moves mass from one place to another that lies far away hardly
    changes them: the weight of 0.2 N(-m, 1) + 0.8 N(m, 1) has an efficiency of 0.65, 0.12 and 0.009 for m = 1, 2, 3.

    It is the efficiency of the objective itself, without penalties, and without the weights of a robust fit.

    References
    ----------
    Koehler, Heckett and Risteski (2023), "Statistical efficiency of score matching: the view from isoperimetry", ICLR.
    Godambe (1960), Annals of Mathematical Statistics 31.

    Examples
    --------
    >>> import scorematch
    >>> from scorematch.diagnostics import relative_efficiency
    >>> model = scorematch.Gaussian.from_params(mean=[0.0, 1.0], covariance=[[1.0, 0.3], [0.3, 2.0]])
    >>> round(relative_efficiency(model, n_samples=1000, random_state=0).overall, 6)
    1.0
    """
    if not isinstance(model, ScoreMatchingEstimator):
        raise TypeError(f"model must be a fitted model of scorematch; got {model!r}")
    model._check_is_fitted()
    chosen = _chosen(model, parameters)
    rows, weight = _rows(model, X, sample_weight, n_samples, random_state)
    moments = _Moments.of(settled(model, rows), rows, weight, chosen)
    efficiencies, overall, reasons = _efficiencies(moments, [model.theta_names_[k] for k in chosen])
    result = RelativeEfficiency(
        names=tuple(model.theta_names_[k] for k in chosen),
        efficiencies=efficiencies,
        overall=overall,
        reasons=reasons,
        n_samples=len(rows),
        remedy=_remedy(model),
    )
    if (efficiencies < POOR).any():
        warn(result.verdict)
    return result


@dataclass(frozen=True)
class _Moments:
    """Covariances of ∇ρ and ∇log p̃ over rows."""

    rho: Doubles  # S
    slopes: Doubles  # G = −E[∇ρ ℓᵀ]
    likelihood: Doubles  # the Fisher information
    moves: NDArray[np.bool_]  # whether a parameter changes log p at all

    @classmethod
    def of(cls, model: Any, rows: Floats, weight: Doubles | None, chosen: list[int]) -> _Moments:
        q = len(chosen)
        w = np.full(len(rows), 1 / len(rows)) if weight is None else weight / weight.sum()
        scales = _scales(model, rows, w)
        unknown = np.full(len(scales), np.nan)
        unknown[chosen] = scales[chosen]
        sums, squares = np.zeros(2 * q), np.zeros((2 * q, 2 * q))
        for block in blocks_of_rows(len(rows), 8 * len(model.theta_)):
            points = in_doubles(model, rows[block])
            slopes = model._log_density_slopes(points, unknown)
            with rows_from(block.start):
                both = np.hstack([model._gradient_rows(rows[block])[:, chosen], slopes[:, chosen]])
            sums += w[block] @ both
            squares += both.T @ (w[block, None] * both)
        squares -= np.outer(sums, sums)
        moves = np.sqrt(np.maximum(np.diagonal(squares)[q:], 0)) * scales[chosen] > NOTHING
        squares[q:][~moves] = squares[:, q:][:, ~moves] = 0
        return cls(squares[:q, :q], -squares[:q, q:], squares[q:, q:], moves)


def _scales(model: Any, rows: Floats, w: Doubles) -> Doubles:
    """By how much each parameter must change for the objective of some rows to change by its own size."""
    some = rows[np.random.default_rng(0).choice(len(rows), SCALE_ROWS, p=w)]
    squares = np.mean(model._gradient_rows(some) ** 2, axis=0)
    norm_term = float(np.mean(model._evaluate_rows(some, "norm_term")["norm_term"]))
    most = 1e6 * np.maximum(np.abs(model.theta_), 1)
    return np.asarray(np.minimum(natural_scales(model.theta_, norm_term, squares), most))


def _efficiencies(moments: _Moments, names: list[str]) -> tuple[Doubles, float, dict[str, str]]:
    information = Bread.of(moments.likelihood, BY_DIFFERENCES)
    slopes = Bread.of(moments.slopes, BY_DIFFERENCES)
    unit = np.eye(len(names))
    told = information.tells(unit) & moments.moves
    known = told & slopes.tells(unit)
    variance = slopes.inverse @ moments.rho @ slopes.inverse.T
    efficiencies = np.full(len(names), np.nan)
    efficiencies[known] = (np.diagonal(information.inverse)[known] / np.diagonal(variance)[known]).clip(max=1.0)
    reasons = {
        names[k]: f"{'score matching' if told[k] else 'the likelihood'} does not determine it"
        for k in np.flatnonzero(~known)
    }
    if not known.all():
        return efficiencies, float("nan"), reasons
    log_ratio = np.linalg.slogdet(information.inverse)[1] - np.linalg.slogdet(variance)[1]
    return efficiencies, float(min(np.exp(log_ratio / len(names)), 1.0)), reasons


def _rows(
    model: Any, X: ArrayLike | None, sample_weight: ArrayLike | None, n_samples: int, random_state: Any
) -> tuple[Floats, Doubles | None]:
    if X is not None:
        rows, weight = model._training_data(X, sample_weight)
        return rows, weight
    if sample_weight is not None:
        raise ValueError("sample_weight goes with X; pass both, or neither")
    if not callable(getattr(model, "sample", None)):
        raise ValueError(f"{type(model).__name__} has no sampler: pass X, rows that follow the model")
    return model.sample(check_count("n_samples", n_samples, 2), random_state=random_state), None


def _chosen(model: ScoreMatchingEstimator, parameters: Sequence[str] | str | None) -> list[int]:
    names = model.theta_names_
    if parameters is None:
        return list(range(len(names)))
    found: set[int] = set()
    for wanted in [parameters] if isinstance(parameters, str) else parameters:
        mine = [k for k, name in enumerate(names) if name == wanted or name.startswith(f"{wanted}[")]
        if not mine:
            shown = ", ".join(names[:20]) + " …" * (len(names) > 20)
            raise ValueError(f"parameters names {wanted!r}; parameters are {shown}")
        found.update(mine)
    if not found:
        raise ValueError("parameters must name at least one parameter; got none")
    return sorted(found)


def _remedy(model: ScoreMatchingEstimator) -> str:
    if type(model).__name__ == "GaussianMixture" and not model._has_boundary:
        return "Use maximum likelihood, scikit-learn's GaussianMixture, for these."
    return "Use maximum likelihood for these where it can be had, or fix them."
