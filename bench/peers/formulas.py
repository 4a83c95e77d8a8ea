"""The derivatives written out by hand, for any namespace that looks like NumPy: NumPy itself, jax.numpy, torch.

A class a family, in three steps: `prepare` does once an evaluation what depends on θ alone; `sums` goes through the
rows, and its results add up over blocks of rows; `finish` makes of them the objective and the gradient with respect to
θ. `objective` is the first half of `sums`: the objective alone, for those who leave the rest to autodiff. `log_density`
of one sample is for those who leave everything to it.

ℓ_k is the logarithm of the k-th term of a mixture, r_k its responsibility, δ_k = x − μ_k, s_k = −P_k δ_k.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from workloads import Workload


class Formulas:
    """Steps of one family in one array namespace."""

    def __init__(self, xp: Any, workload: Workload) -> None:
        self.xp, self.workload = xp, workload
        self.d, self.k, self.dtype = workload.d, workload.components, getattr(xp, workload.dtype)

    def rows_per_block(self, entries_per_row: int) -> int:
        """How many rows to take at a time for the widest temporary array to stay in a cache of the second level."""
        return int(np.clip(2**18 / (entries_per_row * np.dtype(self.workload.dtype).itemsize), 64, 4096))

    def widest(self) -> int:
        """Entries a row of the widest temporary array."""
        return max(self.d, self.k)


class Gaussian(Formulas):
    """Natural parameters: the upper triangle of P, then η. ψ = η − Px."""

    def prepare(self, theta: Any) -> tuple[Any, ...]:
        d = self.d
        place = np.zeros((d, d), dtype=np.int64)
        place[np.triu_indices(d)] = np.arange(d * (d + 1) // 2)
        place = np.maximum(place, place.T)
        return theta[: -self.d][place], theta[-self.d :]

    def objective(self, parameters: tuple[Any, ...], X: Any) -> Any:
        return self._score_and_objective(parameters, X)[1]

    def _score_and_objective(self, parameters: tuple[Any, ...], X: Any) -> tuple[Any, Any]:
        precision, linear = parameters
        score = linear - X @ precision
        return score, 0.5 * (score * score).sum() - len(X) * self.xp.einsum("jj->", precision)

    def sums(self, parameters: tuple[Any, ...], X: Any) -> tuple[Any, ...]:
        score, objective = self._score_and_objective(parameters, X)
        return objective, score.sum(0), score.T @ X

    def finish(self, parameters: tuple[Any, ...], means: tuple[Any, ...]) -> tuple[Any, Any]:
        objective, score, outer = means
        return objective, self._pack(outer, score)

    def _pack(self, outer: Any, score: Any) -> Any:
        xp = self.xp
        by_entry = -(outer + outer.T) * (1 - 0.5 * np.eye(self.d)) - np.eye(self.d)
        return xp.concatenate([by_entry[np.triu_indices(self.d)], score])

    def log_density(self, parameters: tuple[Any, ...], x: Any) -> Any:
        precision, linear = parameters
        return linear @ x - 0.5 * x @ precision @ x


class GaussianByMoments(Gaussian):
    """The same from E[x] and E[xxᵀ], which NumPy takes as one symmetric product."""

    def sums(self, parameters: tuple[Any, ...], X: Any) -> tuple[Any, ...]:
        return X.sum(0), X.T @ X

    def finish(self, parameters: tuple[Any, ...], means: tuple[Any, ...]) -> tuple[Any, Any]:
        precision, linear = parameters
        first, second = means
        score = linear - precision @ first
        outer = self.xp.outer(linear, first) - precision @ second  # E[ψxᵀ]
        norm = linear @ score - self.xp.einsum("ij,ij->", outer, precision)  # E‖ψ‖²
        return 0.5 * norm - self.xp.einsum("jj->", precision), self._pack(outer, score)


class VonMisesFisher(Formulas):
    """θ = κμ. ρ = ½(‖θ‖² − u²) − (d − 1)u with u = θᵀx."""

    def prepare(self, theta: Any) -> tuple[Any, ...]:
        return (theta,)

    def objective(self, parameters: tuple[Any, ...], X: Any) -> Any:
        return self._projection_and_objective(parameters, X)[1]

    def _projection_and_objective(self, parameters: tuple[Any, ...], X: Any) -> tuple[Any, Any]:
        (theta,) = parameters
        u = X @ theta
        return u, 0.5 * (len(X) * (theta @ theta) - u @ u) - (self.d - 1) * u.sum()

    def sums(self, parameters: tuple[Any, ...], X: Any) -> tuple[Any, ...]:
        u, objective = self._projection_and_objective(parameters, X)
        return objective, X.T @ (u + (self.d - 1))

    def finish(self, parameters: tuple[Any, ...], means: tuple[Any, ...]) -> tuple[Any, Any]:
        objective, pull = means
        return objective, parameters[0] - pull

    def log_density(self, parameters: tuple[Any, ...], x: Any) -> Any:
        # Constant along rays: then gradient and Laplacian in space are those on the sphere.
        return parameters[0] @ x / self.xp.sqrt(x @ x)


class Ica(Formulas):
    """W row by row, G = −log cosh. With t = tanh u, u = Wx: ψ = −Wᵀt, tr∇ψ = −Σ_k (1 − t_k²)‖w_k‖²."""

    def prepare(self, theta: Any) -> tuple[Any, ...]:
        return (theta.reshape(self.k, self.d),)

    def objective(self, parameters: tuple[Any, ...], X: Any) -> Any:
        return self._forward(parameters, X)[-1]

    def _forward(self, parameters: tuple[Any, ...], X: Any) -> tuple[Any, ...]:
        (w,) = parameters
        t = self.xp.tanh(X @ w.T)
        slope, norm = 1 - t * t, (w * w).sum(1)
        score = -(t @ w)
        return t, slope, norm, score, 0.5 * (score * score).sum() - (slope @ norm).sum()

    def sums(self, parameters: tuple[Any, ...], X: Any) -> tuple[Any, ...]:
        (w,) = parameters
        t, slope, norm, score, objective = self._forward(parameters, X)
        through_u = slope * (2 * norm * t - score @ w.T)
        return objective, through_u.T @ X - t.T @ score - 2 * slope.sum(0)[:, None] * w

    def finish(self, parameters: tuple[Any, ...], means: tuple[Any, ...]) -> tuple[Any, Any]:
        objective, gradient = means
        return objective, gradient.reshape(-1)

    def score(self, parameters: tuple[Any, ...], X: Any) -> Any:
        return self._forward(parameters, X)[3]

    def along(self, parameters: tuple[Any, ...], X: Any, v: Any) -> tuple[Any, Any]:
        """ψ, and vᵀ∇ψv = −Σ_k (1 − t_k²)(w_kᵀv)²."""
        (w,) = parameters
        t = self.xp.tanh(X @ w.T)
        return -(t @ w), -((1 - t * t) * (v @ w.T) ** 2).sum(1)

    def log_densities(self, parameters: tuple[Any, ...], X: Any) -> Any:
        u = abs(X @ parameters[0].T)
        return -(u + self.xp.log1p(self.xp.exp(-2 * u)) - np.log(2.0)).sum(1)

    def log_density(self, parameters: tuple[Any, ...], x: Any) -> Any:
        u = parameters[0] @ x
        return -(self.xp.logaddexp(u, -u) - np.log(2.0)).sum()


class IcaByGram(Ica):
    """The same with WWᵀ in place of ψ: four products of which one is symmetric, not five."""

    def sums(self, parameters: tuple[Any, ...], X: Any) -> tuple[Any, ...]:
        (w,) = parameters
        t = self.xp.tanh(X @ w.T)
        slope, norm = 1 - t * t, (w * w).sum(1)
        through = t @ (w @ w.T)
        objective = 0.5 * (t * through).sum() - (slope @ norm).sum()
        through_u = slope * (2 * norm * t + through)
        return objective, through_u.T @ X + (t.T @ t) @ w - 2 * slope.sum(0)[:, None] * w


class ProductOfStudentT(Formulas):
    """W row by row, then log α. With r = 1/(1 + ½u²), u = Wx: G′ = −ur, G″ = r − 2r², G‴ = G′r(1 − 4r)."""

    def prepare(self, theta: Any) -> tuple[Any, ...]:
        size = self.k * self.d
        return theta[:size].reshape(self.k, self.d), self.xp.exp(theta[size:])

    def objective(self, parameters: tuple[Any, ...], X: Any) -> Any:
        return self._forward(parameters, X)[-1]

    def _slopes(self, parameters: tuple[Any, ...], X: Any) -> tuple[Any, ...]:
        w, _ = parameters
        u = X @ w.T
        r = 1 / (1 + 0.5 * u * u)
        first, norm = -u * r, (w * w).sum(1)
        return r, first, r - 2 * r * r, norm

    def _forward(self, parameters: tuple[Any, ...], X: Any) -> tuple[Any, ...]:
        w, exponents = parameters
        r, first, second, norm = self._slopes(parameters, X)
        score = (exponents * first) @ w
        return r, first, second, norm, score, 0.5 * (score * score).sum() + (second @ (exponents * norm)).sum()

    def sums(self, parameters: tuple[Any, ...], X: Any) -> tuple[Any, ...]:
        w, _ = parameters
        r, first, second, norm, score, objective = self._forward(parameters, X)
        z, curvature = score @ w.T, second.sum(0)
        through_u = z * second + norm * (first * r * (1 - 4 * r))
        by_w = first.T @ score + through_u.T @ X + 2 * curvature[:, None] * w
        return objective, by_w, (z * first).sum(0) + norm * curvature

    def finish(self, parameters: tuple[Any, ...], means: tuple[Any, ...]) -> tuple[Any, Any]:
        exponents = parameters[1]
        objective, by_w, by_exponents = means
        return objective, self.xp.concatenate([(exponents[:, None] * by_w).reshape(-1), exponents * by_exponents])

    def log_density(self, parameters: tuple[Any, ...], x: Any) -> Any:
        u = parameters[0] @ x
        return -(parameters[1] * self.xp.log1p(0.5 * u * u)).sum()


class ProductOfStudentTByGram(ProductOfStudentT):
    """The same with WWᵀ in place of ψ."""

    def sums(self, parameters: tuple[Any, ...], X: Any) -> tuple[Any, ...]:
        w, exponents = parameters
        r, first, second, norm = self._slopes(parameters, X)
        z, curvature = first @ (exponents[:, None] * (w @ w.T)), second.sum(0)
        objective = 0.5 * ((exponents * first) * z).sum() + (second @ (exponents * norm)).sum()
        through_u = z * second + norm * (first * r * (1 - 4 * r))
        by_w = (first.T @ first) @ (exponents[:, None] * w) + through_u.T @ X + 2 * curvature[:, None] * w
        return objective, by_w, (z * first).sum(0) + norm * curvature


class GaussianBernoulliRBM(Formulas):
    """W, c, b, log σ². With p = 1/σ², V = pW, s = sigmoid(Vx + c): ψ = Vᵀs − p(x − b), tr∇ψ = Σ_k s(1−s)‖v_k‖² − pd."""

    def prepare(self, theta: Any) -> tuple[Any, ...]:
        m, d = self.k, self.d
        precision = self.xp.exp(-theta[-1])
        filters = precision * theta[: m * d].reshape(m, d)
        return filters, theta[m * d : m * d + m], theta[m * d + m : m * d + m + d], precision

    def objective(self, parameters: tuple[Any, ...], X: Any) -> Any:
        return self._forward(parameters, X)[-1]

    def _hidden(self, parameters: tuple[Any, ...], X: Any) -> tuple[Any, ...]:
        v, hidden, _, _ = parameters
        u = X @ v.T + hidden
        s = 1 / (1 + self.xp.exp(-u))
        return u, s, s * (1 - s), (v * v).sum(1)

    def _forward(self, parameters: tuple[Any, ...], X: Any) -> tuple[Any, ...]:
        v, _, visible, precision = parameters
        _, s, slope, norm = self._hidden(parameters, X)
        off = X - visible
        score = s @ v - precision * off
        trace = (slope @ norm).sum() - len(X) * self.d * precision
        return s, slope, norm, off, score, 0.5 * (score * score).sum() + trace

    def sums(self, parameters: tuple[Any, ...], X: Any) -> tuple[Any, ...]:
        v = parameters[0]
        s, slope, norm, off, score, objective = self._forward(parameters, X)
        through_u = slope * (score @ v.T + norm * (1 - 2 * s))
        by_v = s.T @ score + through_u.T @ X + 2 * slope.sum(0)[:, None] * v
        return objective, by_v, through_u.sum(0), score.sum(0), -(score * off).sum() - len(X) * self.d

    def finish(self, parameters: tuple[Any, ...], means: tuple[Any, ...]) -> tuple[Any, Any]:
        v, _, _, precision = parameters
        objective, by_v, by_hidden, by_centre, by_precision = means
        by_log = -(precision * by_precision + (v * by_v).sum())
        blocks = [(precision * by_v).reshape(-1), by_hidden, precision * by_centre, by_log.reshape(1)]
        return objective, self.xp.concatenate(blocks)

    def log_density(self, parameters: tuple[Any, ...], x: Any) -> Any:
        v, hidden, visible, precision = parameters
        off = x - visible
        return self.xp.logaddexp(v @ x + hidden, self.xp.zeros_like(hidden)).sum() - 0.5 * precision * off @ off


class GaussianBernoulliRBMByGram(GaussianBernoulliRBM):
    """The same with VVᵀ in place of ψ, unless there are so many units that it takes more work."""

    def sums(self, parameters: tuple[Any, ...], X: Any) -> tuple[Any, ...]:
        if 2 * self.k >= 3 * self.d:
            return super().sums(parameters, X)
        v, hidden, visible, precision = parameters
        u, s, slope, norm = self._hidden(parameters, X)
        off, lift = X - visible, u - (hidden + v @ visible)
        q = s @ (v @ v.T) - precision * lift  # Vψ
        energy = precision * (off * off).sum() - (s * lift).sum()  # −Σ ψᵀ(x − b)
        objective = 0.5 * (precision * energy + (s * q).sum()) + (slope @ norm).sum() - len(X) * self.d * precision
        through_u = slope * (q + norm * (1 - 2 * s))
        total = s.sum(0)
        by_v = (s.T @ s) @ v + (through_u - precision * s).T @ X
        by_v = by_v + (precision * total)[:, None] * visible + 2 * slope.sum(0)[:, None] * v
        by_centre = total @ v - precision * off.sum(0)
        return objective, by_v, through_u.sum(0), by_centre, energy - len(X) * self.d


class Polynomial(Formulas):
    """The terms of θ in graded order. ψ = B m and tr∇ψ = tᵀm, with the monomials m of less than the degree."""

    def __init__(self, xp: Any, workload: Workload) -> None:
        super().__init__(xp, workload)
        d, degree = self.d, self.k
        factors = [c for total in range(degree + 1) for c in itertools.combinations_with_replacement(range(d), total)]
        place = {chosen: number for number, chosen in enumerate(factors)}
        self.lower = [chosen for chosen in factors if len(chosen) < degree]
        self.padded = np.array([[*chosen, *[d] * (degree - len(chosen))] for chosen in factors[1:]])
        # The monomial without its first variable, times that.
        self.made_of = [(place[chosen[1:]], chosen[0]) for chosen in self.lower[1:]]
        m, p = len(self.lower), len(factors) - 1
        self.m_curvature = sum(len(chosen) < degree - 1 for chosen in factors)
        # θ to the entries of B and t; transposed, back.
        self.slope, self.curvature = np.zeros((d * m, p)), np.zeros((self.m_curvature, p))
        for number, chosen in enumerate(self.lower):
            for j in range(d):
                power = chosen.count(j)
                self.slope[j * m + number, place[tuple(sorted((*chosen, j)))] - 1] = power + 1
                if number < self.m_curvature:
                    twice = place[tuple(sorted((*chosen, j, j)))] - 1
                    self.curvature[number, twice] += (power + 1) * (power + 2)

    def widest(self) -> int:
        return len(self.lower)

    def prepare(self, theta: Any) -> tuple[Any, ...]:
        slope, curvature = self.xp.asarray(self.slope), self.xp.asarray(self.curvature)
        return (slope @ theta).reshape(self.d, -1), curvature @ theta, theta

    def _monomials(self, X: Any) -> Any:
        xp = self.xp
        columns = X.T
        rows = [xp.ones_like(columns[0])]
        for tail, variable in self.made_of:
            rows.append(columns[variable] * rows[tail])
        return xp.stack(rows)

    def objective(self, parameters: tuple[Any, ...], X: Any) -> Any:
        return self._forward(parameters, X)[-1]

    def _forward(self, parameters: tuple[Any, ...], X: Any) -> tuple[Any, ...]:
        slope, curvature, _ = parameters
        monomials = self._monomials(X)
        score, total = slope @ monomials, monomials.sum(1)
        return monomials, score, total, 0.5 * (score * score).sum() + curvature @ total[: self.m_curvature]

    def sums(self, parameters: tuple[Any, ...], X: Any) -> tuple[Any, ...]:
        monomials, score, total, objective = self._forward(parameters, X)
        return objective, score @ monomials.T, total

    def finish(self, parameters: tuple[Any, ...], means: tuple[Any, ...]) -> tuple[Any, Any]:
        objective, outer, total = means
        return objective, self.slope.T @ outer.reshape(-1) + self.curvature.T @ total[: self.m_curvature]

    def form_by_definition(self, X: Any) -> tuple[Any, Any]:
        """Γ and g: D (d·n, p) as a whole, and its symmetric product."""
        monomials = self._monomials(X)
        m, p = len(self.lower), self.slope.shape[1]
        stacked = [monomials.T @ self.slope[j * m : (j + 1) * m] for j in range(self.d)]
        D = self.xp.concatenate(stacked)
        return D.T @ D / len(X), self._linear(monomials.sum(1) / len(X)).reshape(p)

    def form_by_moments(self, X: Any, rows: int) -> tuple[Any, Any]:
        """The same through E[m mᵀ], which holds all moments that are needed; in blocks of rows."""
        m = len(self.lower)
        moments = 0.0
        for first in range(0, len(X), rows):
            monomials = self._monomials(X[first : first + rows])
            moments = moments + monomials @ monomials.T
        moments = moments / len(X)
        parts = [self.slope[j * m : (j + 1) * m] for j in range(self.d)]
        return sum(part.T @ moments @ part for part in parts), self._linear(moments[0])

    def _linear(self, means: Any) -> Any:
        return -self.curvature.T @ means[: self.m_curvature]

    def log_density(self, parameters: tuple[Any, ...], x: Any) -> Any:
        padded = self.xp.concatenate([x, self.xp.ones(1, dtype=x.dtype)])
        return self.xp.prod(padded[self.padded], 1) @ parameters[2]


class WithFactor(Formulas):
    """What matrices Σ = CCᵀ have in common that θ holds by their Cholesky factors."""

    def _factor(self, packed: Any, leading: tuple[int, ...]) -> Any:
        """Lower triangular C from its rows, the diagonal given by its logarithm."""
        d = self.d
        place = np.zeros((d, d), dtype=np.int64)
        place[np.tril_indices(d)] = np.arange(d * (d + 1) // 2)
        entries = packed.reshape(*leading, d * (d + 1) // 2)[..., place]
        below, one = self.xp.asarray(np.tril(np.ones((d, d)), -1)), self.xp.asarray(np.eye(d))
        # exp of the diagonal alone: elsewhere entries of any size may stand.
        return entries * below + one * self.xp.exp(entries * one)

    def _factor_gradient(self, precision: Any, outer: Any, share: Any, factor: Any) -> Any:
        """From −∂J/∂P = H − ½(Σ ℓ̂)Σ, H as its symmetric part, to the packed entries of C: ∂J/∂Σ = PHP − ½(Σ ℓ̂)P."""
        xp, d = self.xp, self.d
        symmetric = 0.5 * (outer + xp.swapaxes(outer, -1, -2))
        by_covariance = precision @ symmetric @ precision - 0.5 * share * precision
        by_factor = 2 * by_covariance @ factor
        by_factor = by_factor * (1 - np.eye(d) + factor * np.eye(d))  # the diagonal is an exponential
        rows, columns = np.tril_indices(d)
        return by_factor[..., rows, columns].reshape(-1)


class StudentT(WithFactor):
    """Location, factor of the scale, degrees of freedom given. With s = Pδ, w = 1/(ν + δᵀs), λ = ν + d: ψ = −λws."""

    def prepare(self, theta: Any) -> tuple[Any, ...]:
        factor = self._factor(theta[self.d :], ())
        return theta[: self.d], self.xp.linalg.inv(factor @ factor.T), factor

    def objective(self, parameters: tuple[Any, ...], X: Any) -> Any:
        return self._forward(parameters, X)[-1]

    def _forward(self, parameters: tuple[Any, ...], X: Any) -> tuple[Any, ...]:
        location, precision, _ = parameters
        power = self.workload.df + self.d
        delta = X - location
        s = delta @ precision
        w = 1 / (self.workload.df + (delta * s).sum(1))
        norm, trace = (s * s).sum(1), self.xp.einsum("jj->", precision)
        return delta, s, w, norm, trace, power * (w * ((0.5 * power + 2) * w * norm - trace)).sum()

    def sums(self, parameters: tuple[Any, ...], X: Any) -> tuple[Any, ...]:
        power = self.workload.df + self.d
        delta, s, w, norm, trace, objective = self._forward(parameters, X)
        along_s = (power * (power + 4) * w * w)[:, None] * s
        along_delta = (-power * w * w * ((power + 4) * w * norm - trace))[:, None] * delta
        pull = along_s + along_delta
        return objective, power * w.sum(), pull.T @ delta, (pull + along_delta).sum(0)

    def finish(self, parameters: tuple[Any, ...], means: tuple[Any, ...]) -> tuple[Any, Any]:
        _, precision, factor = parameters
        objective, curvature, outer, step = means
        by_factor = self._factor_gradient(precision, curvature * np.eye(self.d) - outer, 0.0, factor)
        return objective, self.xp.concatenate([-(precision @ step), by_factor])

    def log_density(self, parameters: tuple[Any, ...], x: Any) -> Any:
        location, precision, _ = parameters
        delta = x - location
        return -0.5 * (self.workload.df + self.d) * self.xp.log1p(delta @ precision @ delta / self.workload.df)


class Mixture(WithFactor):
    """What the shapes of covariance have in common."""

    def _unpack(self, theta: Any) -> tuple[Any, Any, Any]:
        xp, k, d = self.xp, self.k, self.d
        logits = xp.concatenate([theta[: k - 1], xp.zeros(1, dtype=xp.float64)])
        log_weights = logits - xp.log(xp.exp(logits - xp.amax(logits)).sum()) - xp.amax(logits)
        return log_weights, theta[k - 1 : k - 1 + k * d].reshape(k, d), theta[k - 1 + k * d :]

    def _responsibilities(self, terms: Any) -> Any:
        xp = self.xp
        weights = xp.exp(terms - xp.amax(terms, 1)[:, None])
        return weights / weights.sum(1)[:, None]

    def _log_sum(self, terms: Any) -> Any:
        most = self.xp.amax(terms)
        return most + self.xp.log(self.xp.exp(terms - most).sum())


class FullMixture(Mixture):
    """A covariance each: s_k for all k is one product of X, and Σ a_k xᵀ for all k is another."""

    def widest(self) -> int:
        return self.k * self.d

    def prepare(self, theta: Any) -> tuple[Any, ...]:
        xp = self.xp
        log_weights, means, packed = self._unpack(theta)
        factor = self._factor(packed, (self.k,))
        precision = xp.linalg.inv(factor @ xp.swapaxes(factor, -1, -2))
        constant = log_weights - xp.log(xp.einsum("kjj->kj", factor)).sum(1)
        return constant, means, precision, factor

    def objective(self, parameters: tuple[Any, ...], X: Any) -> Any:
        return self._forward(parameters, X)[-1]

    def _forward(self, parameters: tuple[Any, ...], X: Any) -> tuple[Any, ...]:
        xp, precision = self.xp, parameters[2]
        delta, s, terms = self._terms(parameters, X)
        r = self._responsibilities(terms)
        score = xp.einsum("nk,nkj->nj", r, s)
        trace = xp.einsum("nkj,nkj->nk", s, s) - xp.einsum("kjj->k", precision)
        return delta, s, r, score, trace, (r * trace).sum() - 0.5 * (score * score).sum()

    def _terms(self, parameters: tuple[Any, ...], X: Any) -> tuple[Any, ...]:
        xp, k, d = self.xp, self.k, self.d
        constant, means, precision, _ = parameters
        side_by_side = xp.swapaxes(precision, 0, 1).reshape(d, k * d)
        offset = xp.einsum("kij,kj->ki", precision, means).reshape(k * d)
        s = (offset - X @ side_by_side).reshape(-1, k, d)
        delta = X[:, None] - means
        return delta, s, constant + 0.5 * xp.einsum("nkj,nkj->nk", delta, s)

    def score(self, parameters: tuple[Any, ...], X: Any) -> Any:
        return self._forward(parameters, X)[3]

    def along(self, parameters: tuple[Any, ...], X: Any, v: Any) -> tuple[Any, Any]:
        """ψ, and vᵀ∇ψv = Σ_k r_k((s_kᵀv)² − vᵀP_k v) − (ψᵀv)²."""
        xp, k, d = self.xp, self.k, self.d
        _, s, terms = self._terms(parameters, X)
        r = self._responsibilities(terms)
        score = xp.einsum("nk,nkj->nj", r, s)
        by_precision = (v @ xp.swapaxes(parameters[2], 0, 1).reshape(d, k * d)).reshape(-1, k, d)
        terms = xp.einsum("nkj,nj->nk", s, v) ** 2 - xp.einsum("nkj,nj->nk", by_precision, v)
        return score, (r * terms).sum(1) - (score * v).sum(1) ** 2

    def log_densities(self, parameters: tuple[Any, ...], X: Any) -> Any:
        terms = self._terms(parameters, X)[-1]
        most = self.xp.amax(terms, 1)
        return most + self.xp.log(self.xp.exp(terms - most[:, None]).sum(1))

    def sums(self, parameters: tuple[Any, ...], X: Any) -> tuple[Any, ...]:
        xp, k, d = self.xp, self.k, self.d
        delta, s, r, score, trace, objective = self._forward(parameters, X)
        m = trace - xp.einsum("nj,nkj->nk", score, s)
        share = r * (m - (r * m).sum(1)[:, None])
        pull = r[:, :, None] * (2 * s - score[:, None]) + (0.5 * share)[:, :, None] * delta
        outer = (pull.reshape(-1, k * d).T @ X).reshape(k, d, d)
        return objective, share.sum(0), r.sum(0), share.T @ X, pull.sum(0), outer

    def finish(self, parameters: tuple[Any, ...], means: tuple[Any, ...]) -> tuple[Any, Any]:
        xp = self.xp
        _, centre, precision, factor = parameters
        objective, share, r, shared_x, pull, outer = means
        step = pull + 0.5 * (shared_x - share[:, None] * centre)
        outer = outer - pull[:, :, None] * centre[:, None] + r[:, None, None] * np.eye(self.d)
        by_factor = self._factor_gradient(precision, outer, share[:, None, None], factor)
        by_mean = xp.einsum("kij,kj->ki", precision, step).reshape(-1)
        return objective, xp.concatenate([share[:-1], by_mean, by_factor])

    def log_density(self, parameters: tuple[Any, ...], x: Any) -> Any:
        constant, means, precision, _ = parameters
        delta = x - means
        return self._log_sum(constant - 0.5 * self.xp.einsum("ki,kij,kj->k", delta, precision, delta))


class TiedMixture(Mixture):
    """One covariance: s_k = q_k − y with y = Px and q_k = Pμ_k, so that nothing of size n×K×d is needed."""

    def prepare(self, theta: Any) -> tuple[Any, ...]:
        xp = self.xp
        log_weights, means, packed = self._unpack(theta)
        factor = self._factor(packed, ())
        precision = xp.linalg.inv(factor @ factor.T)
        linear = means @ precision
        return log_weights - 0.5 * (means * linear).sum(1), means, precision, linear, factor

    def objective(self, parameters: tuple[Any, ...], X: Any) -> Any:
        return self._forward(parameters, X)[-1]

    def _forward(self, parameters: tuple[Any, ...], X: Any) -> tuple[Any, ...]:
        constant, _, precision, linear, _ = parameters
        y = X @ precision
        r = self._responsibilities(constant + X @ linear.T)
        score = r @ linear - y
        norm = (linear * linear).sum(1) - 2 * y @ linear.T + (y * y).sum(1)[:, None]
        trace = norm - self.xp.einsum("jj->", precision)
        return y, r, score, trace, (r * trace).sum() - 0.5 * (score * score).sum()

    def sums(self, parameters: tuple[Any, ...], X: Any) -> tuple[Any, ...]:
        _, means, _, linear, _ = parameters
        y, r, score, trace, objective = self._forward(parameters, X)
        m = trace - score @ linear.T  # + ψᵀy, which is the same for all k and falls out
        share = r * (m - (r * m).sum(1)[:, None])
        # Σ_k a_k = ψ + ½ Σ_k ℓ̂_k δ_k, and Σ_k ℓ̂_k = 0.
        outer = (score - 0.5 * share @ means).T @ X
        return objective, share.sum(0), r.sum(0), share.T @ X, r.T @ (2 * y + score), outer

    def finish(self, parameters: tuple[Any, ...], means: tuple[Any, ...]) -> tuple[Any, Any]:
        _, centre, precision, linear, factor = parameters
        objective, share, r, shared_x, scored, outer = means
        shared = 0.5 * (shared_x - share[:, None] * centre)
        pull = 2 * r[:, None] * linear - scored + shared
        outer = outer - pull.T @ centre + np.eye(self.d)
        by_factor = self._factor_gradient(precision, outer, 0.0, factor)
        by_mean = ((pull + shared) @ precision).reshape(-1)
        return objective, self.xp.concatenate([share[:-1], by_mean, by_factor])

    def log_density(self, parameters: tuple[Any, ...], x: Any) -> Any:
        constant, _, precision, linear, _ = parameters
        return self._log_sum(constant + linear @ x) - 0.5 * x @ precision @ x


class DiagonalMixture(Mixture):
    """Diagonal covariances, and spherical ones as such: entry by entry."""

    def widest(self) -> int:
        return self.k * self.d

    def prepare(self, theta: Any) -> tuple[Any, ...]:
        xp = self.xp
        log_weights, means, packed = self._unpack(theta)
        one = xp.ones((self.k, self.d), dtype=xp.float64)
        log_scale = packed.reshape(self.k, -1) * one
        return log_weights - log_scale.sum(1), means, xp.exp(-2 * log_scale)

    def objective(self, parameters: tuple[Any, ...], X: Any) -> Any:
        return self._forward(parameters, X)[-1]

    def _forward(self, parameters: tuple[Any, ...], X: Any) -> tuple[Any, ...]:
        xp = self.xp
        constant, means, precision = parameters
        delta = X[:, None] - means
        s = -precision * delta
        r = self._responsibilities(constant + 0.5 * xp.einsum("nkj,nkj->nk", delta, s))
        score = xp.einsum("nk,nkj->nj", r, s)
        trace = xp.einsum("nkj,nkj->nk", s, s) - precision.sum(1)
        return delta, s, r, score, trace, (r * trace).sum() - 0.5 * (score * score).sum()

    def sums(self, parameters: tuple[Any, ...], X: Any) -> tuple[Any, ...]:
        xp = self.xp
        delta, s, r, score, trace, objective = self._forward(parameters, X)
        m = trace - xp.einsum("nj,nkj->nk", score, s)
        share = r * (m - (r * m).sum(1)[:, None])
        pull = r[:, :, None] * (2 * s - score[:, None]) + (0.5 * share)[:, :, None] * delta
        squares = xp.einsum("nkj,nkj->kj", pull, delta)
        return objective, share.sum(0), r.sum(0), xp.einsum("nk,nkj->kj", share, delta), pull.sum(0), squares

    def finish(self, parameters: tuple[Any, ...], means: tuple[Any, ...]) -> tuple[Any, Any]:
        precision = parameters[2]
        objective, share, r, shared, pull, squares = means
        by_scale = 2 * precision * (squares + r[:, None]) - share[:, None]
        if self.workload.variant == "spherical":
            by_scale = by_scale.sum(1)
        by_mean = precision * (pull + 0.5 * shared)
        return objective, self.xp.concatenate([share[:-1], by_mean.reshape(-1), by_scale.reshape(-1)])

    def log_density(self, parameters: tuple[Any, ...], x: Any) -> Any:
        constant, means, precision = parameters
        return self._log_sum(constant - 0.5 * (precision * (x - means) ** 2).sum(1))


class DiagonalMixtureByProducts(DiagonalMixture):
    """The same with all squares expanded, so that every pass is a matrix product and nothing has size n×K×d."""

    def widest(self) -> int:
        return max(self.d, self.k)

    def sums(self, parameters: tuple[Any, ...], X: Any) -> tuple[Any, ...]:
        constant, means, precision = parameters
        linear = precision * means
        squared = X * X
        terms = constant - 0.5 * (linear * means).sum(1) - 0.5 * squared @ precision.T + X @ linear.T
        r = self._responsibilities(terms)
        score = r @ linear - X * (r @ precision)
        scored = score * X
        norm = squared @ (precision * precision).T - 2 * X @ (precision * linear).T + (linear * linear).sum(1)
        trace = norm - precision.sum(1)
        m = trace - score @ linear.T + scored @ precision.T
        share = r * (m - (r * m).sum(1)[:, None])
        objective = (r * trace).sum() - 0.5 * (score * score).sum()

        share_sum, share_x, share_square = share.sum(0), share.T @ X, share.T @ squared
        r_sum, r_x, r_square = r.sum(0), r.T @ X, r.T @ squared
        r_score, r_scored = r.T @ score, r.T @ scored
        shared = share_x - means * share_sum[:, None]
        pull = 2 * (linear * r_sum[:, None] - precision * r_x) - r_score + 0.5 * shared
        squares = (
            -2 * precision * (r_square - 2 * means * r_x + means * means * r_sum[:, None])
            - (r_scored - means * r_score)
            + 0.5 * (share_square - 2 * means * share_x + means * means * share_sum[:, None])
        )
        return objective, share_sum, r_sum, shared, pull, squares


_PLAIN = {
    ("Gaussian", ""): Gaussian,
    ("VonMisesFisher", ""): VonMisesFisher,
    ("ICA", ""): Ica,
    ("ProductOfStudentT", ""): ProductOfStudentT,
    ("GaussianBernoulliRBM", ""): GaussianBernoulliRBM,
    ("PolynomialExponentialFamily", ""): Polynomial,
    ("StudentT", ""): StudentT,
    ("GaussianMixture", "full"): FullMixture,
    ("GaussianMixture", "tied"): TiedMixture,
    ("GaussianMixture", "diag"): DiagonalMixture,
    ("GaussianMixture", "spherical"): DiagonalMixture,
}
_TUNED = _PLAIN | {
    ("Gaussian", ""): GaussianByMoments,
    ("ICA", ""): IcaByGram,
    ("ProductOfStudentT", ""): ProductOfStudentTByGram,
    ("GaussianBernoulliRBM", ""): GaussianBernoulliRBMByGram,
    ("GaussianMixture", "diag"): DiagonalMixtureByProducts,
    ("GaussianMixture", "spherical"): DiagonalMixtureByProducts,
}


def plain(xp: Any, workload: Workload) -> Formulas:
    """The formulas as they stand."""
    return _PLAIN[workload.family, workload.variant](xp, workload)


def tuned(xp: Any, workload: Workload) -> Formulas:
    """The formulas rearranged for speed."""
    return _TUNED[workload.family, workload.variant](xp, workload)
