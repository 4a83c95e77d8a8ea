"""Interaction models whose penalty is chosen by cross-validation, or by an information criterion."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scorematch._interaction_path import InteractionPath, chosen_alphas, path_of, warn_unless_converged
from scorematch._interaction_rows import ScaledRows
from scorematch._interaction_solver import MAX_ITER
from scorematch._pairwise_interaction import PairwiseInteraction
from scorematch._pairwise_moments import PairwiseMoments
from scorematch._threads import effective_threads
from scorematch._validation import check_flag, check_real

Doubles = NDArray[np.float64]


class _ChosenPenalty(PairwiseInteraction):
    """Base of the models that choose alpha along a path."""

    _is_family: ClassVar[bool] = False
    # No option: paths know no weights that depend on the estimate.
    robust: ClassVar[float] = 0.0  # type: ignore[misc]

    alphas: Any
    n_alphas: int
    alpha_min_ratio: float | None

    alpha_: float
    path_: InteractionPath

    @property
    def alpha(self) -> float:  # type: ignore[override]
        """What the fit takes for its penalty."""
        return getattr(self, "alpha_", 0.0)

    @property
    def partial_fit(self) -> Any:
        """There is none: a choice needs all rows."""
        raise AttributeError(f"{type(self).__name__} has no partial_fit: the choice of alpha needs all rows")

    @abstractmethod
    def _choose(self, rows: ScaledRows, moments: PairwiseMoments, path: InteractionPath) -> int:
        """Which of the penalties of the path; sets what the choice came from."""

    def _check_choice(self) -> None:
        """Raise an error where an option of the choice is wrong."""

    def fit(self, X: ArrayLike, y: object = None, sample_weight: ArrayLike | None = None) -> Self:
        """Choose alpha, and estimate the parameters at it. A fit that fails changes nothing.

        Parameters
        ----------
        X : array_like of shape (n_samples, n_features)
            The data, inside the domain.
        y : None
            Ignored; there for scikit-learn's pipelines.
        sample_weight : array_like of shape (n_samples,), optional
            Weights of the rows, not negative. All 1 where None.

        Returns
        -------
        Self
            The fitted estimator.
        """
        with self._all_or_nothing():
            self.__dict__.pop("alpha_", None)
            self._check_choice()
            shared = set(self._get_param_names()) & set(PairwiseInteraction._get_param_names())
            options = {name: getattr(self, name) for name in shared}
            rows = ScaledRows.of(PairwiseInteraction(**options), X, sample_weight)
            moments = rows.moments()
            problem = rows.problem(moments)
            path = path_of(problem, chosen_alphas(problem, self.alphas, self.n_alphas, self.alpha_min_ratio))
            warn_unless_converged(path)
            position = self._choose(rows, moments, path)
            self.path_, self.alpha_ = path, float(path.alphas[position])
            super().fit(X, sample_weight=sample_weight)
        return self


class PairwiseInteractionIC(_ChosenPenalty):
    r"""Pairwise interactions with the penalty that an information criterion chooses.

    The model is that of :class:`scorematch.PairwiseInteraction`, fitted along the path of
    :func:`scorematch.interaction_path`; alpha is where the extended Bayesian information criterion

    .. math:: 2nJ + (m + r) \log n + 2\gamma \Big[\log\binom{N}{m} + \log\binom{d}{r}\Big]

    is least, for m edges out of N pairs of columns and r linear coefficients other than 0 (counted where they are
    under a penalty). The estimate itself is the penalised one at that alpha.

    Parameters
    ----------
    a, b : float, default=1.0
        The powers of the interactions and of the linear term, not negative; 0 is the logarithm.
    criterion : {"ebic", "bic"}, default="ebic"
        "bic" is "ebic" with `gamma` = 0.
    gamma : float, default=0.5
        How much large graphs are held back for being many.
    refit : bool, default=True
        Whether J is that of the graph, minimised again without penalty and multiplier, in place of that of the
        estimate, which the penalty shrinks.
    alphas : array_like, optional
        The penalties to choose from; see :func:`scorematch.interaction_path`, as for the next two.
    n_alphas : int, default=100
        How many.
    alpha_min_ratio : float, optional
        The lowest as a part of the highest.
    domain : Domain, optional
        ``NonNegative()`` where None.
    weight : Weight, optional
        The weight that vanishes at the boundary; that of :func:`scorematch.weights.default_weight` where None.
    fit_linear : bool, default=True
        Whether there is a linear term.
    alpha_linear : float, default=0.0
        The penalty of the linear coefficients, the same all along the path; 0 leaves them free.
    diagonal_multiplier : "auto" or float, default="auto"
        By what the diagonal of the quadratic form is multiplied; see :class:`scorematch.PairwiseInteraction`.
    combine : {"symmetric", "and", "or"}, default="symmetric"
        Whether K_ij and K_ji are one unknown, or columns are estimated by themselves and then combined.
    scale : {None, "norm", "sd"}, default=None
        By what columns are divided before the fit.
    zero_row_sums : bool, default=False
        Whether K1 = 0.
    tol : float, default=1e-8
        How much the conditions of a minimum may be broken.
    max_iter : int, default=10000
        Steps of the solver for each alpha.
    n_jobs : int, optional
        Number of threads; all processors that the process may use where None.

    Attributes
    ----------
    alpha_ : float
        The penalty that was chosen.
    criterion_ : ndarray of shape (n_alphas,)
        The criterion along the path.
    path_ : InteractionPath
        The path.
    interaction_, linear_, adjacency_ : ndarray
        The estimate, and what else is in :class:`scorematch.PairwiseInteraction`.

    References
    ----------
    Chen and Chen (2008), "Extended Bayesian information criteria for model selection with large model spaces",
    Biometrika 95.
    Yu, Drton and Shojaie (2019), "Generalized score matching for non-negative data", JMLR 20.

    Examples
    --------
    >>> import numpy as np
    >>> import scorematch
    >>> random = np.random.default_rng(0)
    >>> K = np.array([[1.0, 0.6, 0.0], [0.6, 1.5, 0.0], [0.0, 0.0, 1.0]])
    >>> X = random.multivariate_normal([1.0, 1.0, 1.0], np.linalg.inv(K), size=20_000)
    >>> X = X[(X > 0).all(axis=1)]
    >>> model = scorematch.PairwiseInteractionIC().fit(X)
    >>> bool(model.adjacency_[0, 1])
    True
    """

    criterion_: Doubles

    def __init__(
        self,
        a: float = 1.0,
        b: float = 1.0,
        *,
        criterion: Literal["ebic", "bic"] = "ebic",
        gamma: float = 0.5,
        refit: bool = True,
        alphas: ArrayLike | None = None,
        n_alphas: int = 100,
        alpha_min_ratio: float | None = None,
        domain: Any = None,
        weight: Any = None,
        fit_linear: bool = True,
        alpha_linear: float = 0.0,
        diagonal_multiplier: Literal["auto"] | float = "auto",
        combine: Literal["symmetric", "and", "or"] = "symmetric",
        scale: Literal["norm", "sd"] | None = None,
        zero_row_sums: bool = False,
        tol: float = 1e-8,
        max_iter: int = MAX_ITER,
        n_jobs: int | None = None,
    ) -> None:
        self.a = a
        self.b = b
        self.criterion = criterion
        self.gamma = gamma
        self.refit = refit
        self.alphas = alphas
        self.n_alphas = n_alphas
        self.alpha_min_ratio = alpha_min_ratio
        self.domain = domain
        self.weight = weight
        self.fit_linear = fit_linear
        self.alpha_linear = alpha_linear
        self.diagonal_multiplier = diagonal_multiplier
        self.combine = combine
        self.scale = scale
        self.zero_row_sums = zero_row_sums
        self.tol = tol
        self.max_iter = max_iter
        self.n_jobs = n_jobs

    def _check_choice(self) -> None:
        if self.criterion not in ("ebic", "bic"):
            raise ValueError(f"criterion must be 'ebic' or 'bic'; got {self.criterion!r}")
        check_real("gamma", self.gamma, lowest=0.0)
        check_flag("refit", self.refit)

    def _choose(self, rows: ScaledRows, moments: PairwiseMoments, path: InteractionPath) -> int:
        gamma = 0.0 if self.criterion == "bic" else float(self.gamma)
        self.criterion_ = path.ebic(gamma, refit=bool(self.refit))
        return int(np.argmin(self.criterion_))


class PairwiseInteractionCV(_ChosenPenalty):
    """Pairwise interactions with the penalty that cross-validation chooses.

    The model is that of :class:`scorematch.PairwiseInteraction`. Each fold is left out in turn, a path of models is
    fitted to the others, and scored by the objective J on the rows left out, without penalties and multiplier. The
    penalties are those of the path of all rows, and so are the scale and the caps of the weight.

    Parameters
    ----------
    a, b : float, default=1.0
        The powers of the interactions and of the linear term, not negative; 0 is the logarithm.
    cv : int, splitter or iterable, default=5
        As in scikit-learn: a number of folds, in the order of the rows, or what gives pairs of training and test rows.
    one_standard_error : bool, default=False
        Whether to take the highest alpha whose score is within a standard error of the best, which gives a smaller
        graph.
    alphas : array_like, optional
        The penalties to choose from; see :func:`scorematch.interaction_path`, as for the next two.
    n_alphas : int, default=100
        How many.
    alpha_min_ratio : float, optional
        The lowest as a part of the highest.
    domain : Domain, optional
        ``NonNegative()`` where None.
    weight : Weight, optional
        The weight that vanishes at the boundary; that of :func:`scorematch.weights.default_weight` where None.
    fit_linear : bool, default=True
        Whether there is a linear term.
    alpha_linear : float, default=0.0
        The penalty of the linear coefficients, the same all along the path; 0 leaves them free.
    diagonal_multiplier : "auto" or float, default="auto"
        By what the diagonal of the quadratic form is multiplied; see :class:`scorematch.PairwiseInteraction`.
    combine : {"symmetric", "and", "or"}, default="symmetric"
        Whether K_ij and K_ji are one unknown, or columns are estimated by themselves and then combined.
    scale : {None, "norm", "sd"}, default=None
        By what columns are divided before the fit.
    zero_row_sums : bool, default=False
        Whether K1 = 0.
    tol : float, default=1e-8
        How much the conditions of a minimum may be broken.
    max_iter : int, default=10000
        Steps of the solver for each alpha.
    n_jobs : int, optional
        Number of threads, each for a fold; all processors that the process may use where None.

    Attributes
    ----------
    alpha_ : float
        The penalty that was chosen.
    cv_results_ : dict of ndarray
        ``alphas``, ``split0_score``, ``split1_score`` ..., ``mean_score`` and ``std_score``: minus J on the rows left
        out, so that higher is better, and its mean and standard deviation over the folds.
    path_ : InteractionPath
        The path of all rows.
    interaction_, linear_, adjacency_ : ndarray
        The estimate, and what else is in :class:`scorematch.PairwiseInteraction`.

    Notes
    -----
    Where folds are complements of each other, the moments of the training rows are those of all rows less those left
    out: the data are gone through twice, whatever the number of folds. Prediction asks for more edges than there are;
    for the graph itself, use :class:`scorematch.PairwiseInteractionIC` or :func:`scorematch.stability_selection`.

    Examples
    --------
    >>> import numpy as np
    >>> import scorematch
    >>> random = np.random.default_rng(0)
    >>> K = np.array([[1.0, 0.6, 0.0], [0.6, 1.5, 0.0], [0.0, 0.0, 1.0]])
    >>> X = random.multivariate_normal([1.0, 1.0, 1.0], np.linalg.inv(K), size=20_000)
    >>> X = X[(X > 0).all(axis=1)]
    >>> model = scorematch.PairwiseInteractionCV(one_standard_error=True).fit(X)
    >>> bool(model.adjacency_[0, 1])
    True
    """

    cv_results_: dict[str, Doubles]

    def __init__(
        self,
        a: float = 1.0,
        b: float = 1.0,
        *,
        cv: Any = 5,
        one_standard_error: bool = False,
        alphas: ArrayLike | None = None,
        n_alphas: int = 100,
        alpha_min_ratio: float | None = None,
        domain: Any = None,
        weight: Any = None,
        fit_linear: bool = True,
        alpha_linear: float = 0.0,
        diagonal_multiplier: Literal["auto"] | float = "auto",
        combine: Literal["symmetric", "and", "or"] = "symmetric",
        scale: Literal["norm", "sd"] | None = None,
        zero_row_sums: bool = False,
        tol: float = 1e-8,
        max_iter: int = MAX_ITER,
        n_jobs: int | None = None,
    ) -> None:
        self.a = a
        self.b = b
        self.cv = cv
        self.one_standard_error = one_standard_error
        self.alphas = alphas
        self.n_alphas = n_alphas
        self.alpha_min_ratio = alpha_min_ratio
        self.domain = domain
        self.weight = weight
        self.fit_linear = fit_linear
        self.alpha_linear = alpha_linear
        self.diagonal_multiplier = diagonal_multiplier
        self.combine = combine
        self.scale = scale
        self.zero_row_sums = zero_row_sums
        self.tol = tol
        self.max_iter = max_iter
        self.n_jobs = n_jobs

    def _check_choice(self) -> None:
        check_flag("one_standard_error", self.one_standard_error)

    def _choose(self, rows: ScaledRows, moments: PairwiseMoments, path: InteractionPath) -> int:
        from joblib import Parallel, delayed
        from sklearn.model_selection import check_cv

        splits = list(check_cv(self.cv).split(rows.X))
        found = Parallel(n_jobs=min(effective_threads(self.n_jobs), len(splits)), prefer="threads")(
            delayed(_held_out_scores)(rows, moments, path.alphas, train, test) for train, test in splits
        )
        scores = np.array(found)
        mean = scores.mean(axis=0)
        spread = scores.std(axis=0, ddof=1) if len(scores) > 1 else np.zeros(len(mean))
        self.cv_results_ = {
            "alphas": path.alphas,
            **{f"split{number}_score": score for number, score in enumerate(scores)},
            "mean_score": mean,
            "std_score": spread,
        }
        best = int(np.argmax(mean))
        if not self.one_standard_error:
            return best
        return int(np.argmax(mean >= mean[best] - spread[best] / np.sqrt(len(scores))))


def _held_out_scores(
    rows: ScaledRows, moments: PairwiseMoments, alphas: Doubles, train: NDArray[np.intp], test: NDArray[np.intp]
) -> Doubles:
    """Minus J on the test rows, of the models that the training rows give, a penalty each."""
    left_out = rows.moments(test, like=moments, n_jobs=1)
    complementary = len(train) + len(test) == len(rows) and not np.isin(train, test).any()
    kept = moments.less(left_out) if complementary else rows.moments(train, like=moments, n_jobs=1)
    path = path_of(rows.problem(kept, n_threads=1), alphas)
    return -rows.problem(left_out, n_threads=1).losses(np.asarray(path.interactions), path.linears)
