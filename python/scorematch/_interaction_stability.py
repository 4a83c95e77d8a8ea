"""Stability selection: edges that are found again and again in parts of the data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_random_state

from scorematch._interaction_path import chosen_alphas
from scorematch._interaction_rows import ScaledRows
from scorematch._interaction_solver import MAX_ITER
from scorematch._pairwise_moments import PairwiseMoments
from scorematch._threads import effective_threads
from scorematch._validation import check_count, check_flag, check_real

Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class StabilitySelection:
    """How often edges were found in parts of the data; made by :func:`stability_selection`.

    Parameters
    ----------
    probabilities : ndarray of shape (n_features, n_features)
        The part of the subsamples in which a pair of columns had an edge, at the penalty where that is most; 0 on the
        diagonal.
    adjacency : ndarray of bool, shape (n_features, n_features)
        The stable graph: where the probability is at least `threshold`.
    alphas : ndarray
        The penalties that were used, the highest first.
    frequencies : ndarray of shape (len(alphas), n_features, n_features)
        The part of the subsamples in which a pair had an edge, at each of them.
    n_selected : float
        The mean number of edges that a subsample selects at any of these penalties.
    threshold : float
        As it was given.

    Examples
    --------
    >>> import numpy as np, scorematch
    >>> X = np.abs(np.random.default_rng(0).normal(size=(500, 4)))
    >>> X[:, 1] += X[:, 0]
    >>> stable = scorematch.stability_selection(X, n_subsamples=20, random_state=0)
    >>> round(stable.expected_false_edges, 2) <= 1.0
    True
    """

    probabilities: Doubles
    adjacency: NDArray[np.bool_]
    alphas: Doubles
    frequencies: Doubles
    n_selected: float
    threshold: float

    @property
    def expected_false_edges(self) -> float:
        """The bound of Meinshausen and Bühlmann (2010), theorem 1, on the mean number of false edges.

        q² / ((2·threshold − 1) N), with q = ``n_selected`` and N pairs of columns. It holds for thresholds above 1/2
        and halves of the data, where false edges are exchangeable and a subsample is better than a guess.
        """
        d = len(self.adjacency)
        return self.n_selected**2 / ((2 * self.threshold - 1) * (d * (d - 1) / 2))


def stability_selection(
    X: ArrayLike,
    *,
    n_subsamples: int = 100,
    sample_fraction: float = 0.5,
    threshold: float = 0.75,
    max_false_edges: float | None = 1.0,
    complementary: bool = True,
    random_state: Any = None,
    a: float = 1.0,
    b: float = 1.0,
    domain: Any = None,
    weight: Any = None,
    fit_linear: bool = True,
    alphas: ArrayLike | None = None,
    n_alphas: int = 50,
    alpha_min_ratio: float | None = None,
    alpha_linear: float = 0.0,
    linear_ratio: float | None = None,
    diagonal_multiplier: Literal["auto"] | float = "auto",
    combine: Literal["symmetric", "and", "or"] = "symmetric",
    scale: Literal["norm", "sd"] | None = None,
    zero_row_sums: bool = False,
    sample_weight: ArrayLike | None = None,
    tol: float = 1e-6,
    max_iter: int = MAX_ITER,
    n_jobs: int | None = None,
) -> StabilitySelection:
    """The graph of the edges that paths of random parts of the data have in common.

    Parameters
    ----------
    X : array_like of shape (n_samples, n_features)
        The data, inside the domain.
    n_subsamples : int, default=100
        How many parts.
    sample_fraction : float, default=0.5
        Their size, in (0, 1), as a part of the rows; drawn without replacement.
    threshold : float, default=0.75
        In (0.5, 1]: in what part of the subsamples an edge must be found.
    max_false_edges : float, optional
        The mean number of false edges allowed. The path is followed downwards only as far as the bound on it
        (``StabilitySelection.expected_false_edges``) permits; one penalty is always taken. With None, to its end.
    complementary : bool, default=True
        Whether subsamples come in pairs without a row in common, as far as `sample_fraction` permits (at most 0.5).
    random_state : int, RandomState or None
        Seed or generator.
    a, b : float, default=1.0
        The powers of the interactions and of the linear term, not negative; 0 is the logarithm.
    domain : Domain, optional
        ``NonNegative()`` where None.
    weight : Weight, optional
        The weight that vanishes at the boundary; that of :func:`scorematch.weights.default_weight` where None.
    fit_linear : bool, default=True
        Whether there is a linear term.
    alphas : array_like of shape (n_alphas,), optional
        The penalties. Where None, those of the path of all rows, see :func:`scorematch.interaction_path`.
    n_alphas : int, default=50
        How many, where `alphas` is None.
    alpha_min_ratio : float, optional
        The lowest as a part of the highest.
    alpha_linear : float, default=0.0
        The penalty of the linear coefficients, the same all along the path.
    linear_ratio : float, optional
        In place of `alpha_linear`: their penalty as a multiple of alpha.
    diagonal_multiplier : "auto" or float, default="auto"
        By what the diagonal of the quadratic form is multiplied; see :class:`scorematch.PairwiseInteraction`.
    combine : {"symmetric", "and", "or"}, default="symmetric"
        Whether K_ij and K_ji are one unknown, or columns are estimated by themselves and then combined.
    scale : {None, "norm", "sd"}, default=None
        By what columns are divided; it is that of all rows, as are the caps of the weight.
    zero_row_sums : bool, default=False
        Whether K1 = 0.
    sample_weight : array_like of shape (n_samples,), optional
        Weights of the rows. All 1 where None.
    tol : float, default=1e-6
        As in :func:`scorematch.interaction_path`; less than there, since only the edges matter.
    max_iter : int, default=10000
        Steps of the solver for each alpha.
    n_jobs : int, optional
        How many subsamples at a time; as many as there are processors where None. The result does not depend on it.

    Returns
    -------
    StabilitySelection
        Probabilities of selection, and the stable graph.

    References
    ----------
    Meinshausen and Bühlmann (2010), Stability selection, JRSS B 72; Shah and Samworth (2013), Variable selection with
    error control: another look at stability selection, JRSS B 75 (complementary pairs).

    Examples
    --------
    >>> import numpy as np, scorematch
    >>> X = np.abs(np.random.default_rng(0).normal(size=(500, 4)))
    >>> X[:, 1] += X[:, 0]
    >>> stable = scorematch.stability_selection(X, n_subsamples=20, random_state=0)
    >>> np.argwhere(np.triu(stable.adjacency)).tolist()
    [[0, 1]]
    """
    from joblib import Parallel, delayed

    from scorematch._pairwise_interaction import PairwiseInteraction

    n_subsamples = check_count("n_subsamples", n_subsamples)
    check_flag("complementary", complementary)
    for name, value, lowest, highest in (
        ("sample_fraction", sample_fraction, 0.0, 1.0),
        ("threshold", threshold, 0.5, np.nextafter(1.0, 2.0)),
    ):
        if not lowest < check_real(name, value, lowest) < highest:
            raise ValueError(
                f"{name} must be above {lowest:g} and {'at most' if highest > 1 else 'below'} 1; got {value}"
            )
    if max_false_edges is not None and not check_real("max_false_edges", max_false_edges, 0.0) > 0:
        raise ValueError(f"max_false_edges must be positive; got {max_false_edges}")
    model = PairwiseInteraction(
        a,
        b,
        domain=domain,
        weight=weight,
        fit_linear=fit_linear,
        alpha_linear=alpha_linear,
        diagonal_multiplier=diagonal_multiplier,
        combine=combine,
        scale=scale,
        zero_row_sums=zero_row_sums,
        tol=tol,
        max_iter=max_iter,
        n_jobs=n_jobs,
    )
    rows = ScaledRows.of(model, X, sample_weight, linear_ratio=linear_ratio)
    moments = rows.moments()
    penalties = chosen_alphas(rows.problem(moments), alphas, n_alphas, alpha_min_ratio)
    d = rows.model._n_coordinates
    size = int(np.floor(sample_fraction * len(rows)))
    if size < 2:
        raise ValueError(f"sample_fraction={sample_fraction} leaves {size} of {len(rows)} rows; take more")
    limit = np.inf
    if max_false_edges is not None:
        limit = np.sqrt(max_false_edges * (2 * threshold - 1) * (d * (d - 1) / 2))
    subsamples = _subsamples(len(rows), size, n_subsamples, complementary, check_random_state(random_state))
    # Lists of the edges at each penalty: few, where matrices would be many.
    found = Parallel(n_jobs=effective_threads(n_jobs), prefer="threads")(
        delayed(_edges_along_path)(rows, moments, penalties, subsample, limit) for subsample in subsamples
    )
    # As far as all subsamples went, which is further than the limit of their mean.
    n_steps = min(len(edges) for edges in found)
    n_selected = np.zeros(n_steps)
    frequencies = np.zeros((n_steps, d * d))
    for edges in found:
        seen = np.zeros(d * d, dtype=bool)
        for step in range(n_steps):
            frequencies[step, edges[step]] += 1 / n_subsamples
            seen[edges[step]] = True
            n_selected[step] += np.count_nonzero(seen) / n_subsamples
    n_kept = max(1, int(np.count_nonzero(n_selected <= limit)))
    upper = frequencies[:n_kept].reshape(n_kept, d, d)
    frequencies = np.minimum(upper + upper.transpose(0, 2, 1), 1.0)
    probabilities = frequencies.max(axis=0)
    return StabilitySelection(
        probabilities=probabilities,
        adjacency=probabilities >= threshold - 1e-12,
        alphas=penalties[:n_kept],
        frequencies=frequencies,
        n_selected=float(n_selected[n_kept - 1]),
        threshold=float(threshold),
    )


def _subsamples(
    n: int, size: int, count: int, complementary: bool, random: np.random.RandomState
) -> Iterator[NDArray[np.intp]]:
    """Rows of so many subsamples, drawn without replacement."""
    paired = complementary and 2 * size <= n
    for _ in range((count + 1) // 2 if paired else count):
        order = random.permutation(n)
        yield np.sort(order[:size])
        if paired:
            count -= 1
            if count > 0:
                yield np.sort(order[size : 2 * size])
                count -= 1


def _edges_along_path(
    rows: ScaledRows, moments: PairwiseMoments, alphas: Doubles, subsample: NDArray[np.intp], limit: float
) -> list[NDArray[np.intp]]:
    """The edges above the diagonal, as positions in the matrix laid out row by row, at each penalty.

    It ends early where so many edges were found that the mean over subsamples is sure to be beyond the limit.
    """
    problem = rows.problem(rows.moments(subsample, like=moments, n_jobs=1), n_threads=1)
    found = []
    for solution in problem.minima(alphas):
        found.append(np.flatnonzero(np.triu(problem.combined(solution.K), 1)))
        if len(found[-1]) > 10 * limit:
            break
    return found
