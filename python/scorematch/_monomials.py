"""Monomials x^α in graded order, the tables that their moments are read by, and polynomials in moved coordinates.

The order is by degree; within one degree those with x0 first, higher powers before lower ones, then those that begin
with x1, and so on: that of scikit-learn's ``PolynomialFeatures``, and of `monomials.hpp`. The constant 1 is number 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, lru_cache
from math import comb
from typing import Any

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]
Integers = NDArray[np.int64]


def n_monomials(n_features: int, degree: int) -> int:
    """How many there are of at most that degree, the constant among them."""
    return comb(n_features + degree, n_features)


def graded_powers(n_features: int, degree: int) -> Integers:
    """The exponents α of all monomials of at most that degree, (n, d)."""
    levels = [np.zeros((1, n_features), dtype=np.int64)]
    # Where within the last level the monomials begin that have no variable before x_k.
    starts = [0] * n_features
    for _ in range(degree):
        tails = [levels[-1][start:] for start in starts]
        for k, tail in enumerate(tails):
            tails[k] = tail.copy()
            tails[k][:, k] += 1
        starts = np.concatenate([[0], np.cumsum([len(tail) for tail in tails])[:-1]]).tolist()
        levels.append(np.concatenate(tails))
    return np.concatenate(levels)


def position(exponents: Sequence[Integers]) -> Integers:
    """The number of the monomial with these exponents, given one variable after the other, as arrays of one shape."""
    d = len(exponents)
    left = np.sum(exponents, axis=0)
    highest = int(left.max(initial=0))
    # of_degree[v, r + 1]: monomials of degree r in v variables; none of degree −1
    of_degree = np.array([[0, *(comb(r + v - 1, r) if v else 0 for r in range(highest + 1))] for v in range(d + 1)])
    below = np.array([comb(d + r - 1, d) for r in range(highest + 1)])
    number = below[left]
    for j, power in enumerate(exponents):
        # Before it come those with a higher power of x_j and the same of all variables before.
        number = number + of_degree[d - j, left - power]
        left = left - power
    return np.asarray(number, dtype=np.int64)


class Monomials:
    """Those of a family, and how ψ_j = Σ_b factor_jb θ_(index_jb) x^b is made of them, with b of less than the degree.

    With `interactions` b goes over all monomials; without, θ has the powers x_j^k alone, and ψ_j those of x_j.
    """

    def __init__(self, n_features: int, degree: int, interactions: bool) -> None:
        self.n_features, self.degree, self.interactions = n_features, degree, interactions

    @property
    def n_params(self) -> int:
        """Length of θ."""
        if not self.interactions:
            return self.n_features * self.degree
        return n_monomials(self.n_features, self.degree) - 1

    @cached_property
    def powers(self) -> Integers:
        """The exponents of the terms of θ, (p, d)."""
        if self.interactions:
            return graded_powers(self.n_features, self.degree)[1:]
        each = np.eye(self.n_features, dtype=np.int64)
        return np.concatenate([k * each for k in range(1, self.degree + 1)])

    @cached_property
    def leading(self) -> NDArray[np.bool_]:
        """Which terms are of the highest degree."""
        return np.asarray(self.powers.sum(axis=1) == self.degree)

    @cached_property
    def names(self) -> list[str]:
        """Such as ``x0^2 x1``."""
        return self.names_in([f"x{j}" for j in range(self.n_features)])

    def names_in(self, columns: Sequence[str]) -> list[str]:
        """The same with other names of the columns."""
        return [
            " ".join(columns[j] if power[j] == 1 else f"{columns[j]}^{power[j]}" for j in range(len(power)) if power[j])
            for power in self.powers.tolist()
        ]

    @cached_property
    def _lower(self) -> Integers:
        """The exponents of the b: (m, d), or (m, 1) where coordinates are apart."""
        return graded_powers(self.n_features if self.interactions else 1, self.degree - 1)

    @cached_property
    def index(self) -> Integers:
        """Which term of θ stands before x^b in ψ_j: that of x_j x^b. (d, m)."""
        each = np.arange(self.n_features)
        if not self.interactions:
            return each[:, None] + self.n_features * np.arange(self.degree)
        return np.stack([position(list((self._lower + np.eye(self.n_features, dtype=int)[j]).T)) - 1 for j in each])

    @cached_property
    def powers_of_own(self) -> Integers:
        """The power of x_j in x^b, (d, m)."""
        powers = self._lower.T
        return np.asarray(powers if self.interactions else np.broadcast_to(powers, (self.n_features, self.degree)))

    @cached_property
    def hankel(self) -> Integers:
        """Where the moments of x^b x^b′ stand among those of up to twice the degree, (m, m)."""
        return position([power[:, None] + power for power in self._lower.T])

    @cached_property
    def derivative(self) -> Integers:
        """Where the moment of x^b / x_j stands; 0 where x_j is not in it. (d, m)."""
        if not self.interactions:
            return np.broadcast_to(np.maximum(np.arange(self.degree) - 1, 0), (self.n_features, self.degree))
        each = np.eye(self.n_features, dtype=int)
        return np.stack([position(list(np.maximum(self._lower - one, 0).T)) * (self._lower @ one > 0) for one in each])


@lru_cache(maxsize=64)
def monomials(n_features: int, degree: int, interactions: bool) -> Monomials:
    """The tables, made once for each family."""
    return Monomials(n_features, degree, interactions)


class Coordinates:
    """Polynomials in y = (x − shift)/scale: coefficients of the same function, its value at the origin left out."""

    def __init__(self, terms: Monomials, frame: Doubles) -> None:
        self.terms, (self.shift, self.scale) = terms, frame
        self.moved = bool(self.shift.any())

    @cached_property
    def _powers_of_scale(self) -> Doubles:
        return np.asarray(np.prod(self.scale**self.terms.powers, axis=1))

    @cached_property
    def _outward(self) -> Doubles:
        return np.asarray(_expansion(self.terms, self.shift, self.scale))

    @cached_property
    def _inward(self) -> Doubles:
        return _expansion(self.terms, -self.shift / self.scale, 1 / self.scale)

    def of_y(self, theta: Doubles) -> Doubles:
        """Coefficients in y from those in x."""
        return np.asarray(theta @ self._outward if self.moved else theta * self._powers_of_scale)

    def of_x(self, local: Doubles) -> Doubles:
        """Coefficients in x from those in y."""
        return np.asarray(local @ self._inward if self.moved else local / self._powers_of_scale)

    def slope_of_x(self, slope: Doubles) -> Doubles:
        """Derivatives by coefficients in x, along the first axis, from those by coefficients in y."""
        return np.asarray(self._outward @ slope if self.moved else (slope.T * self._powers_of_scale).T)

    def square_of_x(self) -> Doubles:
        """The matrix Q with ‖θ‖² = localᵀ Q local."""
        if not self.moved:
            return np.diag(self._powers_of_scale**-2.0)
        return np.asarray(self._inward @ self._inward.T)

    def at_origin(self, local: Doubles) -> float:
        """The polynomial in y, which has no constant, at x = 0."""
        return float(np.prod((-self.shift / self.scale) ** self.terms.powers, axis=1) @ local)


def _expansion(terms: Monomials, shift: Doubles, scale: Doubles) -> Doubles:
    """The matrix M with (shift + scale·y)^α = Σ_β M_αβ y^β + a constant."""
    matrix: Any = 1.0
    each = range(terms.degree + 1)
    for j, powers in enumerate(terms.powers.T):
        one = np.array(
            [[comb(a, b) * shift[j] ** (a - b) * scale[j] ** b if b <= a else 0.0 for b in each] for a in each]
        )
        matrix = matrix * one[powers[:, None], powers]
    return np.asarray(matrix)


@lru_cache(maxsize=16)
def _cached_coordinates(n_features: int, degree: int, interactions: bool, frame: bytes) -> Coordinates:
    return Coordinates(monomials(n_features, degree, interactions), np.frombuffer(frame).reshape(2, n_features))


def coordinates(terms: Monomials, frame: Doubles) -> Coordinates:
    """The coordinates of a frame (shift, scale), (2, d); their matrices are made once."""
    return _cached_coordinates(terms.n_features, terms.degree, terms.interactions, frame.tobytes())
