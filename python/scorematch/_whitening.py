"""Data on which filters are best sought: centred and of unit covariance, or as they are."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh, qr

from scorematch._moments import Moments
from scorematch._validation import Floats

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
    rank = _rank(second, moments)
    if rank < d:
        raise ValueError(
            f"the objective has no lower bound: the {d} columns of X are linearly dependent, or there are too few "
            f"rows; the rank is {rank}. Pass whiten=True with n_components={max(rank, 1)}, or drop columns"
        )
    scales = np.sqrt(np.diagonal(second))
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
    eigenvalues, vectors = eigh(covariance)
    eigenvalues, vectors = eigenvalues[::-1], vectors[:, ::-1]
    # Signs that rounding cannot turn, so that the starts depend on the data alone.
    vectors = vectors * np.sign(vectors[np.abs(vectors).argmax(axis=0), np.arange(len(vectors))])
    rank, d = _rank(covariance, moments), len(covariance)
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
        warnings.warn(
            f"the {d} columns of X are linearly dependent, or there are too few rows: its rank is {rank}, and "
            f"{fitted}. {remedy} to say that this is meant",
            UserWarning,
            stacklevel=6,
        )
    kept = min(wanted, rank)
    return np.asarray((vectors[:, :kept] / np.sqrt(eigenvalues[:kept])).T)


def _rank(second: Doubles, moments: Moments) -> int:
    """How many dimensions the data span, to working precision."""
    eigenvalues = np.linalg.eigvalsh(second)
    return int(np.count_nonzero(eigenvalues > len(second) * moments.eps * eigenvalues[-1]))
