"""A mixture of Gaussians as samplers see it: log density and score of a point, for any namespace that looks like NumPy.

*Plain* is the definition: δ_k = x − μ_k, s_k = −P_k δ_k, ψ = Σ_k r_k s_k. *Tuned* multiplies the squares out: with the
monomials of degree up to two in a column, the logarithms of all terms are one matrix product, and Σ_k r_k P_k and
Σ_k r_k P_k μ_k another, so that nothing larger than a number for each component and point is needed. That loses digits
where components lie far from the origin; here they do not.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]


class MixturePoints:
    """Constants of a `GaussianMixture`, and its log density (unnormalised) and score in two forms."""

    def __init__(self, model: Any) -> None:
        self.means, self.precisions = model.means_, np.linalg.inv(model.covariances_)
        self.constants = np.log(model.weights_) + 0.5 * np.linalg.slogdet(self.precisions)[1]
        d = self.means.shape[1]
        linear = np.einsum("kij,kj->ki", self.precisions, self.means)
        constant = self.constants - 0.5 * np.einsum("kj,kj->k", linear, self.means)
        self.pairs = [(i, j) for i in range(d) for j in range(i, d)]
        entries = np.stack([self.precisions[:, i, j] for i, j in self.pairs], axis=1)
        twice = np.array([0.5 if i == j else 1.0 for i, j in self.pairs])
        self.d = d
        self.terms = np.hstack([-twice * entries, linear, constant[:, None]])  # (K, monomials)
        self.sums = np.hstack([linear, -entries]).T  # (d + pairs, K)

    def plain(self, xp: Any, x: Any) -> tuple[Any, Any]:
        """Of points (n, d): (n,) and (n, d)."""
        delta = x[:, None] - self.means
        s = -xp.einsum("kij,nkj->nki", self.precisions, delta)
        terms = self.constants + 0.5 * xp.einsum("nkj,nkj->nk", delta, s)
        top = terms.max(1)
        r = xp.exp(terms - top[:, None])
        total = r.sum(1)
        return top + xp.log(total), xp.einsum("nk,nkj->nj", r / total[:, None], s)

    def tuned(self, xp: Any, x: Any) -> tuple[Any, Any]:
        """Of points in columns (d, n), or of a single one (d,): (n,) and (d, n), or a number and (d,)."""
        monomials = [x[i] * x[j] for i, j in self.pairs] + [x[i] for i in range(self.d)] + [xp.ones_like(x[0])]
        terms = self.terms @ xp.stack(monomials)
        top = terms.max(0)
        r = xp.exp(terms - top)
        total = r.sum(0)
        sums = self.sums @ r
        score = [sums[i] for i in range(self.d)]
        for place, (i, j) in enumerate(self.pairs, self.d):
            score[i] = score[i] + sums[place] * x[j]
            if i != j:
                score[j] = score[j] + sums[place] * x[i]
        return top + xp.log(total), xp.stack(score) / total
