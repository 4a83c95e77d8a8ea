"""The means over samples that the pairwise interaction model needs; they add up over blocks, files and machines."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from scorematch import _core
from scorematch._moments import joined, parted
from scorematch._pairwise_form import PairwiseForm, SimplexForm, symmetric_index
from scorematch._validation import Floats

Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class PairwiseMoments:
    """Means of the quadratic objective (see backend.hpp), u less a shift. Means, not sums, so that they need no copy.

    Where a = b, the score function depends on u − s as it does on u, with η − Ks in place of η. Then means are taken
    about a point near the data, and nothing cancels however far these are from the origin.
    """

    a: float
    b: float
    fit_linear: bool
    on_simplex: bool
    shift: Doubles
    total: float  # Σ w
    n_samples: int
    means: dict[str, Doubles]
    eps: float  # relative rounding error of the samples

    @property
    def kind(self) -> object:
        """Only sums of one kind add up."""
        return type(self), self.a, self.b, self.fit_linear, self.on_simplex, self.means["squares"].shape

    @staticmethod
    def of(
        X: Floats,
        sample_weight: Doubles | None,
        field: _core.Field,
        *,
        a: float,
        b: float,
        fit_linear: bool,
        on_simplex: bool,
        n_threads: int,
        shift: Doubles | None = None,
    ) -> PairwiseMoments:
        """One pass over X, which must be finite and inside the domain."""
        if shift is None:
            shift = _middle(X, a, on_simplex) if a == b and fit_linear else np.zeros(X.shape[1] + on_simplex)
        means = _core.pairwise_moments(X, sample_weight, field, a, b, fit_linear, on_simplex, shift, n_threads)
        for name in ("linear", "g_interaction", "g_linear", "squares"):
            # A sum that is not finite makes the sum of all so, without a mask of d³ entries.
            if not np.isfinite(means[name].sum()):
                raise ValueError(
                    f"powers of X are out of the range of {X.dtype} (a={a:g}, b={b:g}): X is too large, or too near 0. "
                    "Rescale it, or drop the rows that are too near"
                )
        total = float(len(X)) if sample_weight is None else float(sample_weight.sum())
        eps = float(np.finfo(X.dtype).eps)
        return PairwiseMoments(a, b, fit_linear, on_simplex, shift, total, len(X), means, eps)

    def __add__(self, other: PairwiseMoments) -> PairwiseMoments:
        total = self.total + other.total
        share, rest = self.total / total, other.total / total
        return replace(
            self,
            total=total,
            n_samples=self.n_samples + other.n_samples,
            means={name: share * value + rest * other.means[name] for name, value in self.means.items()},
            eps=max(self.eps, other.eps),
        )

    def less(self, part: PairwiseMoments) -> PairwiseMoments:
        """Those of the rows that are left when some are taken out."""
        return self + replace(part, total=-part.total, n_samples=-part.n_samples)

    def times(self, factor: float) -> PairwiseMoments:
        """The same with all weights multiplied."""
        return replace(self, total=self.total * factor)

    def as_vector(self) -> Doubles:
        """All that adds up: sums, not means."""
        return joined(self.total, *(self.total * value for value in self.means.values()))

    def with_vector(self, vector: Doubles, n_samples: int) -> PairwiseMoments:
        """Those of other rows about the same point, from their vector."""
        total, *sums = parted(vector, (), *(value.shape for value in self.means.values()))
        means = [value / total for value in sums]
        return replace(self, total=float(total), n_samples=n_samples, means=dict(zip(self.means, means, strict=True)))

    def raised(self, power: float) -> PairwiseMoments:
        """Those of the density to a power, over the power: what is quadratic in the parameters, times it."""
        if power == 1:
            return self
        linear = ("g_interaction", "g_linear")
        means = {name: value if name in linear else power * value for name, value in self.means.items()}
        return replace(self, means=means)

    def with_linear(self, g: Doubles) -> PairwiseMoments:
        """Those of an objective that differs in the linear term alone: `g` in θ, the upper triangle of K and η."""
        d = len(self.shift)
        n_pairs = d * (d + 1) // 2
        own = np.eye(d, dtype=bool)
        g_interaction = g[:n_pairs][symmetric_index(d)] / np.where(own, 1, 2)  # K_ij and K_ji share theirs
        means = {**self.means, "g_interaction": g_interaction}
        if self.fit_linear:
            means["g_linear"] = g[n_pairs:].copy()
            means["g_interaction"] = g_interaction + g[n_pairs:, None] * self.shift
        return replace(self, means=means)

    def copied(self) -> PairwiseMoments:
        """The same, with squares of its own."""
        return replace(self, means={**self.means, "squares": self.means["squares"].copy()})

    def centred_form(self) -> PairwiseForm | SimplexForm:
        """The form in K and η − Kᵀs, with s the shift."""
        d = len(self.shift)
        mean = self.means
        nothing = np.zeros(d)
        parts = (
            mean["squares"][:d],
            np.ascontiguousarray(mean["cross"].T) if self.fit_linear else np.zeros((d, d)),
            mean["linear"] if self.fit_linear else nothing,
            np.ascontiguousarray(mean["g_interaction"].T),
            mean["g_linear"] if self.fit_linear else nothing,
        )
        if not self.on_simplex:
            return PairwiseForm(*parts)
        coupling = mean["squares"][d:]
        if self.fit_linear:
            with_eta = np.empty((d - 1, d + 1, d + 1))
            with_eta[:, :d, :d] = coupling
            with_eta[:, :d, d], with_eta[:, d, :d] = mean["coupling_cross"]
            with_eta[:, d, d] = mean["coupling_linear"]
            coupling = with_eta
        return SimplexForm(*parts, coupling)

    def form(self) -> PairwiseForm | SimplexForm:
        """The form in K and η. It takes the place of the means, which are of no use afterwards."""
        form, s, d = self.centred_form(), self.shift, len(self.shift)
        if not s.any():
            return form
        # With M the matrix of (K_j, η_j) ↦ (K_j, η_j − sᵀK_j), the blocks of the two become MᵀΓM and g becomes Mᵀg.
        blocks = form.blocks
        pull = form.cross.T - form.linear[:, None] * s / 2
        for block, row in zip(blocks, pull, strict=True):
            correction = np.multiply.outer(s, row)
            block -= correction
            block -= correction.T
        changed = (
            blocks,
            form.cross - s[:, None] * form.linear,
            form.linear,
            form.g_interaction - s[:, None] * form.g_linear,
            form.g_linear,
        )
        if not isinstance(form, SimplexForm):
            return PairwiseForm(*changed)
        M = np.eye(d + 1)
        M[d, :d] = -s
        return SimplexForm(*changed, M.T @ form.coupling @ M)

    def diagonals(self) -> Doubles:
        """The diagonal of each block of the form in K and η, (d, d): block j's in row j."""
        form = self.centred_form()
        s = self.shift
        return np.asarray(np.einsum("jaa->ja", form.blocks) - 2 * s * form.cross.T + form.linear[:, None] * s**2)


def power(X: NDArray[np.floating], exponent: float) -> Doubles:
    """The power of x that the exponent says, the logarithm for 0."""
    values = np.asarray(X, dtype=np.float64)
    return np.asarray(np.log(values) if exponent == 0 else values**exponent)


def with_remainder(X: NDArray[np.floating]) -> Doubles:
    """All parts of points of the simplex, the last one included."""
    return np.column_stack([X, 1 - X.sum(axis=1, dtype=np.float64)])


def _middle(X: Floats, a: float, on_simplex: bool) -> Doubles:
    """A point near the data's u, of the float type of X, from a few hundred rows."""
    rows = X[:: max(1, len(X) // 256)]
    with np.errstate(all="ignore"):
        middle = power(with_remainder(rows) if on_simplex else rows, a).mean(axis=0).astype(X.dtype)
    return np.where(np.isfinite(middle), middle, 0).astype(np.float64)
