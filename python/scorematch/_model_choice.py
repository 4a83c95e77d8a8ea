"""Which of several models: differences of Hyvärinen scores, SMIC, and weights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize

from scorematch._field import field_values, has_boundary
from scorematch._tables import Layout, ShownAsTable, decimals_for, number, short_repr
from scorematch._validation import Floats, check_sample_weight
from scorematch.domains import RealSpace

if TYPE_CHECKING:
    from scorematch._base import ScoreMatchingEstimator

Doubles = NDArray[np.float64]

# Significant digits of a standard error; differences have as many decimals.
DIGITS_OF_ERROR = 2
# On the data of the fit the objective may differ from that of the fit by this part of its terms.
SAME_DATA = 1e-3
SMALLEST_WEIGHT = 1e-8
# Score functions that are held at a time, in numbers.
BLOCK_NUMBERS = 2**21


@dataclass(frozen=True, eq=False, repr=False)
class Comparison(ShownAsTable):
    """What :func:`compare` gives: a row for each model, the best first.

    ``print`` shows it as text, a notebook as HTML; ``to_frame()`` and ``to_latex()`` give it as a table.

    Parameters
    ----------
    names : list of str
        Names of the models.
    objectives : ndarray of shape (n_models,)
        J: the mean Hyvärinen score of the rows, held out where there are folds. Lower is better.
    differences : ndarray of shape (n_models,)
        By how much a model is worse than the best, a row: of J where there are folds, else of SMIC / n.
    standard_errors : ndarray of shape (n_models,)
        Of the differences, from the differences of scores row by row.
    weights : ndarray of shape (n_models,)
        Shares of the models in the pool that has the best score.
    smic : ndarray of shape (n_models,) or None
        The score matching information criterion, where there are no folds.
    n_effective : ndarray of shape (n_models,) or None
        The penalty in it, tr(S G⁻¹).
    scores : ndarray of shape (n_rows, n_models)
        The Hyvärinen score of each row.
    head : dict of str to str
        Data, domain and weight, in words.
    notes : list of str
        What else should be known.

    Examples
    --------
    >>> import numpy as np
    >>> import scorematch
    >>> X = np.random.default_rng(0).standard_t(3, size=(2000, 1))
    >>> comparison = scorematch.compare([scorematch.Gaussian().fit(X), scorematch.StudentT(df=3).fit(X)], X)
    >>> comparison.names
    ['StudentT', 'Gaussian']
    >>> bool(comparison.differences[1] > 2 * comparison.standard_errors[1])
    True
    """

    names: list[str]
    objectives: Doubles
    differences: Doubles
    standard_errors: Doubles
    weights: Doubles
    smic: Doubles | None
    n_effective: Doubles | None
    scores: Doubles
    head: Mapping[str, str]
    notes: Sequence[str]

    @property
    def best(self) -> str:
        """The name of the best model."""
        return self.names[0]

    @property
    def _row_names(self) -> list[str]:
        return self.names

    def _columns(self) -> dict[str, Doubles]:
        columns = {"objective": self.objectives}
        if self.smic is not None and self.n_effective is not None:
            columns |= {"smic": self.smic, "n_effective": self.n_effective}
        return columns | {
            "difference": self.differences,
            "standard_error": self.standard_errors,
            "weight": self.weights,
        }

    def _layout(self) -> Layout:
        known = self.standard_errors[self.standard_errors > 0]
        finest = float(known.min(initial=np.inf)) if len(known) else float(np.abs(self.objectives).max() / 1e3)
        places = decimals_for(finest, DIGITS_OF_ERROR)
        headings, columns = ["objective J"], [[number(value, places) for value in self.objectives.tolist()]]
        if self.smic is not None and self.n_effective is not None:
            headings += ["SMIC", "tr(S G⁻¹)"]
            columns += [[number(value, 2) for value in values.tolist()] for values in (self.smic, self.n_effective)]
        headings += ["difference", "std. error", "weight"]
        columns += [
            [number(value, places) for value in values.tolist()] for values in (self.differences, self.standard_errors)
        ]
        columns.append([number(value, 3) for value in self.weights.tolist()])
        return Layout(
            title="Comparison of models by score matching, the best first",
            head=self.head,
            headings=headings,
            labels=self.names,
            cells=columns,
            marks={},
            notes=self.notes,
            rows="models",
        )


def compare(
    models: Iterable[ScoreMatchingEstimator] | Mapping[str, ScoreMatchingEstimator],
    X: ArrayLike,
    *,
    cv: Any = None,
    sample_weight: ArrayLike | None = None,
) -> Comparison:
    r"""Compare models of the same data by their Hyvärinen scores.

    Without folds the criterion is SMIC, :math:`nJ(\hat\theta) + \operatorname{tr}(S G^{-1})`, of models that were
    fitted to `X`: an estimate of n times J on new data. With folds it is J on the rows held out, of models that are
    fitted to the others.

    Parameters
    ----------
    models : list of estimators, or dict of str to estimator
        Two or more models of the same columns on the same domain with the same weight. Without `cv` they must have been
        fitted to `X`; with it copies of them are fitted, and whether they were fitted before does not matter.
    X : array_like of shape (n_samples, n_features)
        The data.
    cv : int, splitter or iterable, optional
        As in scikit-learn: a number of folds, in the order of the rows (where that order tells something, use
        ``KFold(5, shuffle=True, random_state=0)``), or what gives pairs of training and test rows.
    sample_weight : array_like of shape (n_samples,), optional
        Weights of the rows; all 1 where None.

    Returns
    -------
    Comparison
        A table, the best model first: J, SMIC and its penalty (where there are no folds), the difference to the best
        for each row with its standard error, and weights. Text by ``print``, HTML in a notebook; ``to_frame()``.

    Raises
    ------
    ValueError
        Where scores cannot be compared: domains, weights or numbers of columns differ, or a model was not fitted to
        `X`.

    Notes
    -----
    Hyvärinen scores have the unit of 1/x², and depend on domain and weight: they can only be compared for the same
    columns, in the same units, with the same weight. Where families have other weights by default, or caps that are
    quantiles of other data, give all models the same ``weight=``. With `cv`, caps that are quantiles are taken from all
    rows of `X`, once, and held in all folds.

    *Differences.* The standard error is that of a mean of paired differences, the standard deviation of the rows'
    differences over :math:`\sqrt n`. It takes the fits as given, and is too small where a difference comes from very
    few rows. Differences of less than about two standard errors decide nothing; nested models may well differ by as
    little.

    *Weights.* Since scores have a unit, exponentials of differences of SMIC (Akaike's weights) would change with the
    unit of x. The weights here do not: they are those of the pool
    :math:`\log p = \sum_k w_k \log p_k + \text{const}`, with :math:`w_k \ge 0` and :math:`\sum_k w_k = 1`, that has the
    best score. Its score function is the same mean of score functions, so no normaliser is needed, and its criterion is
    quadratic in w:

    .. math:: \tfrac12 w^\top \overline{\Psi^\top A \Psi}\, w + \sum_k w_k \big(\overline{\text{Hessian term}}_k
        + \operatorname{tr}(S_k G_k^{-1}) / n\big)

    with the score functions :math:`\psi_k` as columns of Ψ, on the rows held out where there are folds (and then
    without the traces). This is stacking by logarithmic pooling (Yao et al. 2023); the traces are to it what they are
    to SMIC, as in Mallows' criterion for averages (Hansen 2007). A weight is thus a part in the best combination, not
    the probability that a model is true: models that are much alike share theirs in any way.

    In scikit-learn's ``GridSearchCV`` and ``cross_val_score`` each fit takes caps that are quantiles from its own
    training rows. Candidates of one fold still share them if they share their weight, but folds are on slightly
    different scales; to have them all on one, give the weight in numbers, such as ``weight=model.weight_`` of a model
    fitted to all rows.

    References
    ----------
    Matsuda, Uehara and Hyvärinen (2021), "Information criteria for non-normalized models", JMLR 22.
    Shao, Jacob, Ding and Tarokh (2019), "Bayesian model comparison with the Hyvärinen score", JASA 114.
    Yao, Carvalho, Mesquita and McLatchie (2023), "Locking and quacking: stacking Bayesian model predictions by
    log-linear pooling and superposition", arXiv:2305.07334.
    Hansen (2007), "Least squares model averaging", Econometrica 75.

    Examples
    --------
    >>> import numpy as np
    >>> import scorematch
    >>> rng = np.random.default_rng(0)
    >>> X = np.concatenate([rng.normal(-1.5, 1, (600, 1)), rng.normal(1.5, 1, (600, 1))])
    >>> models = [scorematch.GaussianMixture(k, random_state=0) for k in (1, 2)]
    >>> folds = scorematch.compare(models, X[rng.permutation(1200)], cv=5)
    >>> folds.names
    ['GaussianMixture(n_components=2)', 'GaussianMixture(n_components=1)']
    """
    named = _named(models)
    found = _in_sample(named, X, sample_weight) if cv is None else _on_folds(named, X, sample_weight, cv)
    return _table(list(named), found)


# -- what is compared ----------------------------------------------------------------------------------------------


def _named(
    models: Iterable[ScoreMatchingEstimator] | Mapping[str, ScoreMatchingEstimator],
) -> dict[str, ScoreMatchingEstimator]:
    """Models by name, those of a list by their classes and what tells them apart."""
    from scorematch._base import ScoreMatchingEstimator

    if isinstance(models, ScoreMatchingEstimator):
        raise TypeError("models must be a list or a dict of estimators; got a single estimator")
    given = list(models.values()) if isinstance(models, Mapping) else list(models)
    for position, model in enumerate(given):
        if not isinstance(model, ScoreMatchingEstimator):
            hint = ""
            if hasattr(model, "steps"):
                hint = ". Scores depend on the scale of X: transform X first, and pass the estimators"
            raise TypeError(f"models must be estimators of scorematch; entry {position} is {_short(model)}{hint}")
    if len(given) < 2:
        raise ValueError(f"models must be two or more; got {len(given)}")
    if isinstance(models, Mapping):
        return {str(name): model for name, model in models.items()}
    return dict(zip(_labels(given), given, strict=True))


def _short(thing: object) -> str:
    text = repr(thing)
    return text if len(text) <= 60 else f"a {type(thing).__name__}"


def _labels(models: Sequence[ScoreMatchingEstimator]) -> list[str]:
    labels = []
    for model in models:
        options = [other.get_params(deep=False) for other in models if type(other) is type(model)]
        own = model.get_params(deep=False)
        telling = [name for name in own if any(repr(other[name]) != repr(own[name]) for other in options)]
        arguments = ", ".join(" ".join(f"{name}={own[name]!r}".split()) for name in telling)
        labels.append(f"{type(model).__name__}({arguments})" if arguments else type(model).__name__)
    for label in [label for label in dict.fromkeys(labels) if labels.count(label) > 1]:
        places = [place for place, other in enumerate(labels) if other == label]
        for count, place in enumerate(places, start=1):
            labels[place] = f"{label} #{count}"
    return labels


@dataclass(frozen=True)
class _Ground:
    """On what scores are compared."""

    domain: Any
    weight: Any

    @classmethod
    def of(cls, named: Mapping[str, ScoreMatchingEstimator], X: Floats, sample_weight: Doubles | None) -> _Ground:
        """What all models share; an error where they do not."""
        first, *others = named
        ground = cls._of_one(named[first], X, sample_weight)
        for name in others:
            own = cls._of_one(named[name], X, sample_weight)
            if own.domain != ground.domain:
                raise ValueError(
                    f"models must have the same domain for their scores to be comparable; {first} has "
                    f"{ground.domain!r}, {name} has {own.domain!r}"
                )
            if own.weight != ground.weight:
                raise ValueError(
                    f"models must have the same weight for their scores to be comparable; {first} has "
                    f"{ground.weight!r}, {name} has {own.weight!r}. Give all of them the same weight=, with caps that "
                    "are numbers, or quantiles of the same data"
                )
        return ground

    @classmethod
    def _of_one(cls, model: ScoreMatchingEstimator, X: Floats, sample_weight: Doubles | None) -> _Ground:
        domain = model._domain()
        return cls(RealSpace() if domain is None else domain, model._settled_weight(X, sample_weight))

    def words(self) -> dict[str, str]:
        weight = {"weight": short_repr(self.weight)} if has_boundary(self.domain) else {}
        return {"domain": short_repr(self.domain), **weight}


# -- scores --------------------------------------------------------------------------------------------------------


@dataclass
class _Scores:
    """The scores of all models on rows, and what their pool needs."""

    rows: Doubles  # (n, K): Hyvärinen scores
    products: Doubles  # (K, K): Σ w ψ_kᵀAψ_l
    linear: Doubles  # (K,): Σ w (Hessian term)
    total: float = 0.0  # Σ w

    @classmethod
    def of(
        cls,
        models: Sequence[ScoreMatchingEstimator],
        X: Floats,
        sample_weight: Doubles | None,
        ground: _Ground,
    ) -> _Scores:
        count = len(models)
        found = cls(np.empty((len(X), count)), np.zeros((count, count)), np.zeros(count))
        size = max(1, BLOCK_NUMBERS // (count * X.shape[1]))
        for first in range(0, len(X), size):
            block = slice(first, first + size)
            part = X[block]
            weight = np.ones(len(part)) if sample_weight is None else sample_weight[block]
            found.total += float(weight.sum())
            factor = np.sqrt(weight[:, None] * _diagonal(ground, part))
            scores = np.empty((count, part.size))
            for k, model in enumerate(models):
                terms = model._evaluate_rows(part, "score", "norm_term", "hessian_term")
                hessian_term = terms["hessian_term"].astype(np.float64)
                found.rows[block, k] = terms["norm_term"] + hessian_term
                found.linear[k] += weight @ hessian_term
                scores[k] = (factor * terms["score"]).ravel()
            found.products += scores @ scores.T
        return found

    def add(self, other: _Scores) -> None:
        """What the pool needs of further rows."""
        self.products += other.products
        self.linear += other.linear
        self.total += other.total


def _diagonal(ground: _Ground, X: Floats) -> Doubles:
    """The diagonal of A at each row, (n, d) or (n, 1); on the sphere score functions are tangential already."""
    return field_values(ground.domain, ground.weight, X)[0] if has_boundary(ground.domain) else np.ones((len(X), 1))


@dataclass(frozen=True)
class _Found:
    """What a table is made of, in the order of the models."""

    scores: _Scores
    sample_weight: Doubles | None  # of the rows of the scores
    ground: _Ground
    n_effective: Doubles | None
    head: dict[str, str]
    notes: list[str]


def _in_sample(named: Mapping[str, ScoreMatchingEstimator], X: ArrayLike, sample_weight: ArrayLike | None) -> _Found:
    rows: Floats | None = None
    for name, model in named.items():
        if not hasattr(model, "objective_"):
            raise ValueError(
                f"models must have been fitted to X, or cv be given; {name} was "
                + ("made from parameters" if hasattr(model, "theta_") else "not fitted")
            )
        if not model._is_exact:
            raise ValueError(
                f"{name} was fitted by another objective than the scores that are compared, and what it owes to the "
                "rows of its fit is not known: pass cv, whose rows are held out"
            )
        try:
            rows = model._check_samples(X)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error
    assert rows is not None
    weight = check_sample_weight(sample_weight, len(rows))
    ground = _Ground.of(named, rows, weight)
    models = list(named.values())
    scores = _Scores.of(models, rows, weight, ground)
    objectives = np.average(scores.rows, axis=0, weights=weight)
    n_effective = np.empty(len(models))
    for k, (name, model) in enumerate(named.items()):
        if _holds(model, X, sample_weight):
            smic = model.smic()
        else:
            _check_objective(name, model, objectives[k], scores.products[k, k] / len(rows))
            smic = model.smic(X, sample_weight)
        n_effective[k] = smic - len(rows) * objectives[k]
    stopped = [name for name, model in named.items() if not model.converged_]
    notes = [f"Note: the fits of {', '.join(stopped)} did not converge."] if stopped else []
    head = {"samples": str(len(rows)), "scores": "of the data of the fits"}
    return _Found(scores, weight, ground, n_effective, head, notes)


def _holds(model: ScoreMatchingEstimator, X: ArrayLike, sample_weight: ArrayLike | None) -> bool:
    """Whether these are the data that the model was fitted to, and still has."""
    if not hasattr(model, "_training"):
        return False
    rows, weight = model._training_data(X, sample_weight)
    held, held_weight = model._training
    ones = np.ones(len(held))
    return np.array_equal(rows, held) and np.allclose(
        ones if weight is None else weight, ones if held_weight is None else held_weight, rtol=1e-12
    )


def _check_objective(name: str, model: ScoreMatchingEstimator, objective: float, size: float) -> None:
    """An error where data cannot be those of the fit: rows in another order give the same objective."""
    if abs(objective - model.objective_) > SAME_DATA * (size + abs(objective)):
        raise ValueError(
            f"models must have been fitted to X (and sample_weight), or cv be given; the objective of {name} is "
            f"{objective:.6g} on X, and was {model.objective_:.6g} on the data of its fit"
        )


def _on_folds(
    named: Mapping[str, ScoreMatchingEstimator], X: ArrayLike, sample_weight: ArrayLike | None, cv: Any
) -> _Found:
    from sklearn.base import clone
    from sklearn.model_selection import check_cv

    fresh = {name: clone(model) for name, model in named.items()}
    for name, model in fresh.items():
        try:
            model._check_domain()
            rows = model._check_samples(X, reset=True)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error
    weight = check_sample_weight(sample_weight, len(rows))
    ground = _Ground.of(fresh, rows, weight)
    models = {name: _with_weight(clone(model), ground) for name, model in named.items()}

    count = len(models)
    pool = _Scores(np.zeros((len(rows), count)), np.zeros((count, count)), np.zeros(count))
    times = np.zeros(len(rows))
    stopped = np.zeros(count, dtype=int)
    splits = list(check_cv(cv).split(rows))
    for fold, (train, test) in enumerate(splits):
        own = None if weight is None else weight[train]
        fitted = []
        for name, model in models.items():
            try:
                fitted.append(clone(model).fit(rows[train], sample_weight=own))
            except ValueError as error:
                raise ValueError(f"{name} cannot be fitted without the rows of fold {fold}: {error}") from error
            fitted[-1].weight_ = ground.weight  # where a scale makes a weight of its own
        stopped += [not model.converged_ for model in fitted]
        held_out = None if weight is None else weight[test]
        found = _Scores.of(fitted, rows[test], held_out, ground)
        pool.add(found)
        np.add.at(pool.rows, test, found.rows)
        np.add.at(times, test, 1)
    kept = times > 0
    pool.rows = pool.rows[kept] / times[kept, None]
    left = int(len(rows) - np.count_nonzero(kept))
    head = {"samples": str(len(rows)), "scores": f"of rows held out, {len(splits)} folds"}
    notes = [f"Note: {left} rows were never held out, and do not count."] if left else []
    notes += [
        f"Note: {often} of {len(splits)} fits of {name} did not converge."
        for name, often in zip(named, stopped.tolist(), strict=True)
        if often
    ]
    return _Found(pool, None if weight is None else weight[kept], ground, None, head, notes)


def _with_weight(model: ScoreMatchingEstimator, ground: _Ground) -> ScoreMatchingEstimator:
    """With the weight that all folds share, but where the data are scaled: caps are in their units."""
    if has_boundary(ground.domain) and getattr(model, "scale", None) is None:
        model.set_params(weight=ground.weight)
    return model


# -- the table -----------------------------------------------------------------------------------------------------


def _table(names: list[str], found: _Found) -> Comparison:
    scores, weight = found.scores, found.sample_weight
    n_samples = len(scores.rows)
    objectives = np.average(scores.rows, axis=0, weights=weight)
    penalties = np.zeros(len(names)) if found.n_effective is None else found.n_effective / n_samples
    criteria = objectives + penalties
    if not np.isfinite(criteria).all():
        k = int(np.argmin(np.isfinite(criteria)))
        raise ValueError(f"{names[k]} cannot be compared: its criterion, a mean over the rows, is {criteria[k]}")
    order = np.argsort(criteria, kind="stable")
    best = order[0]
    total = scores.total
    shares = pool_weights(scores.products / total, scores.linear / total + penalties)
    return Comparison(
        names=[names[k] for k in order],
        objectives=objectives[order],
        differences=(criteria - criteria[best])[order],
        standard_errors=_standard_errors(scores.rows[:, order] - scores.rows[:, [best]], weight),
        weights=shares[order],
        smic=None if found.n_effective is None else (n_samples * criteria)[order],
        n_effective=None if found.n_effective is None else found.n_effective[order],
        scores=scores.rows[:, order],
        head={**found.head, **found.ground.words()},
        notes=found.notes,
    )


def _standard_errors(differences: Doubles, sample_weight: Doubles | None) -> Doubles:
    """Standard errors of the weighted means of columns."""
    weight = np.ones(len(differences)) if sample_weight is None else sample_weight
    n = np.count_nonzero(weight)
    if n < 2:
        return np.full(differences.shape[1], np.nan)
    deviations = weight[:, None] * (differences - np.average(differences, axis=0, weights=weight))
    return np.asarray(np.sqrt(n / (n - 1) * np.square(deviations).sum(axis=0)) / weight.sum())


def pool_weights(products: Doubles, linear: Doubles) -> Doubles:
    """The w on the simplex that minimises ½ wᵀ·products·w + linearᵀw, for positive semidefinite products."""
    count = len(linear)
    scale = max(float(np.abs(products).max()), float(np.abs(linear).max()), np.finfo(float).tiny)
    A, b = products / scale, linear / scale
    start = np.zeros(count)
    start[int(np.argmin(np.diagonal(A) / 2 + b))] = 1
    solution = minimize(
        lambda w: (w @ A @ w / 2 + b @ w, A @ w + b),
        start,
        jac=True,
        method="SLSQP",
        bounds=[(0, 1)] * count,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1, "jac": lambda w: np.ones(count)},
        options={"ftol": 1e-15, "maxiter": 1000},
    )
    shares = np.where(solution.x > SMALLEST_WEIGHT, solution.x, 0.0)
    return np.asarray(shares / shares.sum())
