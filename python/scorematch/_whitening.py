"""Data on which filters are best sought: centred and of unit covariance, or as they are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh, qr

from scorematch._moments import Moments
from scorematch._validation import Floats
from scorematch._warnings import warn

Doubles = NDArray[np.float64]
# Numbers that are mapped at a time.
BLOCK_NUMBERS = 2**20


@dataclass(frozen=True)
class Prepared:
    """What filters are fitted to, and what that has to do with the data."""

    data: Floats  # (n, r), matrix·(x − mean)
    mean: Doubles  # (d,)
    matrix: Doubles  # (r, d)
    second: Doubles  # (r, r), the mean of data dataᵀ
    scales: Doubles  # (r,), the square roots of its diagonal
    some_rows: Floats  # (1000 or so, r) of the data, those of weight 0 left out

    def starts(self, n_components: int, random: np.random.RandomState) -> Doubles:
        """Random orthonormal rows (as far as there can be), for data of unit variance."""
        r = len(self.scales)
        rows = [qr(random.standard_normal((r, r)))[0] for _ in range(-(-n_components // r))]
        return np.asarray(np.concatenate(rows)[:n_components] / self.scales)

    def spread(self, components: Doubles) -> Doubles:
        """The root mean square of each component."""
        return np.asarray(np.sqrt(np.einsum("ki,ij,kj->k", components, self.second, components)))


def prepare(
    X: Floats, sample_weight: Doubles | None, n_components: int | None, *, whiten: bool, n_threads: int
) -> Prepared:
    """Whitened data, with fewer components than columns their first principal components; or the data as they are.

    The objective has no lower bound where the data do not span the space: an error or a warning says so.
    """
    moments = Moments.of(X, sample_weight, diagonal=False, n_threads=n_threads)
    if whiten:
        matrix = _whitening(moments, n_components)
        data = _mapped(X, moments.mean.astype(X.dtype), matrix.astype(X.dtype))
        second, scales = np.eye(len(matrix)), np.ones(len(matrix))
        return Prepared(data, moments.mean, matrix, second, scales, _some_rows(data, sample_weight))
    second = moments.second_about_zero
    d = len(second)
    scales = np.sqrt(np.diagonal(second))
    rank = _rank(_over_scales(second, scales), moments)
    if rank < d:
        raise ValueError(
            f"the objective has no lower bound: the {d} columns of X are linearly dependent, or there are too few "
            f"rows; the rank is {rank}. Pass whiten=True with n_components={max(rank, 1)}, or drop columns"
        )
    return Prepared(X, np.zeros(d), np.eye(d), second, scales, _some_rows(X, sample_weight))


def _mapped(X: Floats, mean: Floats, matrix: Floats) -> Floats:
    """matrix·(x − mean) for each row; block by block, so that it takes no more memory than the result."""
    out = np.empty((len(X), len(matrix)), dtype=X.dtype)
    step = max(1, BLOCK_NUMBERS // X.shape[1])
    for first in range(0, len(X), step):
        out[first : first + step] = (X[first : first + step] - mean) @ matrix.T
    return out


def _some_rows(X: Floats, sample_weight: Doubles | None) -> Floats:
    rows = np.arange(len(X)) if sample_weight is None else np.flatnonzero(sample_weight)
    return X[rows[:: max(1, len(rows) // 1000)]]


def _whitening(moments: Moments, n_components: int | None) -> Doubles:
    """The matrix that makes the covariance of the first principal components the identity."""
    covariance = moments.covariance
    d = len(covariance)
    spreads = np.sqrt(np.maximum(np.diagonal(covariance), 0))
    spreads[moments.constant_columns()] = 0
    # Units are no matter for how many dimensions there are: correlations tell.
    correlation = _over_scales(covariance, spreads)
    rank = _rank(correlation, moments)
    if rank == 0:
        raise ValueError("X has no variation: every column is constant")
    wanted = d if n_components is None else min(n_components, d)
    # More components than columns do not ask for a dimension each; as many as there are will do.
    named = n_components is not None and n_components <= d
    if wanted > rank and named:
        raise ValueError(
            f"X cannot be whitened to {wanted} dimensions: its columns are linearly dependent, or there are too "
            f"few rows; its rank is {rank}. Pass n_components={rank}, or drop columns"
        )
    if wanted > rank:
        fitted, remedy = "as many components are fitted", f"Pass n_components={rank}"
        if n_components is not None:
            fitted, remedy = f"{n_components} components are fitted in as many dimensions", "Drop columns"
        warn(
            f"the {d} columns of X are linearly dependent, or there are too few rows: its rank is {rank}, and "
            f"{fitted}. {remedy} to say that this is meant"
        )
    kept = min(wanted, rank)
    if kept == rank:  # nothing is left out, and whatever makes the covariance the identity will do
        values, vectors = _principal(correlation, kept)
        return np.asarray((vectors / np.sqrt(values)).T * _inverse(spreads))
    values, vectors = _principal(covariance, kept)
    if values[-1] <= d * np.finfo(float).eps * values[0]:
        raise ValueError(
            f"principal component {kept - 1} of X is so much smaller than the first that it drowns in rounding: the "
            "columns have very different scales. Standardise them, or take fewer components"
        )
    return np.asarray((vectors / np.sqrt(values)).T)


def _principal(matrix: Doubles, n: int) -> tuple[Doubles, Doubles]:
    """The n largest eigenvalues in descending order, and their eigenvectors as columns."""
    values, vectors = eigh(matrix)
    values, vectors = values[::-1][:n], vectors[:, ::-1][:, :n]
    # Signs that rounding cannot turn, so that the starts depend on the data alone.
    return values, vectors * np.sign(vectors[np.abs(vectors).argmax(axis=0), np.arange(n)])


def _inverse(scales: Doubles) -> Doubles:
    """One over each; 0 for 0."""
    return np.divide(1.0, scales, out=np.zeros_like(scales), where=scales > 0)


def _over_scales(second: Doubles, scales: Doubles) -> Doubles:
    """The matrix with rows and columns over their scales, 0 where these are 0."""
    inverse = _inverse(scales)
    return second * inverse * inverse[:, None]


def _rank(second: Doubles, moments: Moments) -> int:
    """How many dimensions the data span, to working precision."""
    eigenvalues = np.linalg.eigvalsh(second)
    return int(np.count_nonzero(eigenvalues > len(second) * moments.eps * eigenvalues[-1]))
