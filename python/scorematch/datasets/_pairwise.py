"""Data of the pairwise interaction model."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scorematch._truncated_sampling import sample_pairwise
from scorematch.domains import Domain

Doubles = NDArray[np.float64]


def make_pairwise_data(
    interaction: ArrayLike,
    linear: ArrayLike | None = None,
    *,
    a: float = 1.0,
    b: float = 1.0,
    domain: Domain | None = None,
    n_samples: int = 100,
    burn_in: int = 500,
    random_state: Any = None,
    n_jobs: int | None = None,
) -> Doubles:
    r"""Independent rows of the pairwise interaction model.

    .. math:: \log p(x) = -\tfrac1{2a} (x^a)^\top K x^a + \tfrac1b \eta^\top x^b + \text{const}, \qquad x \in D

    Parameters
    ----------
    interaction : array-like of shape (d, d)
        K, as from :func:`make_chain_graph`.
    linear : array-like of shape (d,), optional
        :math:`\eta`; zeros where None.
    a, b : float, default=1
        Powers, not negative; 0 stands for the logarithm. a = b = 1 is the truncated Gaussian with mean
        :math:`K^{-1}\eta`, a = b = 1/2 the exponential square-root model, a = 1/2 and b = 0 the gamma model.
    domain : Domain, optional
        ``NonNegative()`` where None.
    n_samples : int, default=100
        How many rows.
    burn_in : int, default=500
        Sweeps of the Gibbs sampler, where it is used: each row is the end of a chain of its own.
    random_state : int, RandomState or None
        Seed or generator.
    n_jobs : int, optional
        Number of threads; None and -1 mean all processors that the process may use. Results do not depend on it.

    Returns
    -------
    ndarray of shape (n_samples, d)
        The rows; by rejection where it keeps enough, which is exact, else by Gibbs sampling, whose distribution is
        right once `burn_in` is long enough (:func:`sample_truncated_gaussian`).

    Raises
    ------
    ValueError
        Where an argument is not as above, or the parameters have no density on the domain.

    Examples
    --------
    >>> from scorematch.datasets import make_chain_graph, make_pairwise_data
    >>> K = make_chain_graph(10, random_state=0)
    >>> X = make_pairwise_data(K, n_samples=80, random_state=0)
    >>> X.shape, bool(X.min() >= 0)
    ((80, 10), True)
    """
    return sample_pairwise(interaction, linear, a, b, domain, n_samples, random_state, burn_in=burn_in, n_jobs=n_jobs)
