"""Domains given by inequalities between sums of functions of the coordinates."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from scorematch import _core
from scorematch._validation import check_flag, check_parameter
from scorematch.domains import _terms
from scorematch.domains._bounding import bounding_box, is_empty
from scorematch.domains._domain import Doubles, Proposal, tuples
from scorematch.domains._nearest import distance_to_joint_complement
from scorematch.domains._region import RegionDomain
from scorematch.domains._rules import AND, Rule, parse_rule
from scorematch.domains._terms import Function

# What the core calls a function, and its exponent.
_IN_CORE = {"log": ("log", 0.0), "exp": ("exp", 0.0), "abs": ("abs", 1.0)}


class _ByInequalities(RegionDomain):
    """What one inequality and several of them have in common: both are a rule over a list."""

    nonnegative: bool = False

    @abstractmethod
    def _list(self) -> "tuple[Inequality, ...]":
        """The inequalities."""

    @abstractmethod
    def _rule(self) -> Rule:
        """Which of them must hold."""

    @property
    def _all_must_hold(self) -> bool:
        return all(step >= 0 or step == AND for step in self._rule().postfix())

    def _make_region(self) -> _core.Region:
        if self._all_must_hold and all(set(one._each_function) == {1} for one in self._list()):  # a polytope
            sides = [one._at_most for one in self._list()]
            a, b = np.array([side for side, _ in sides]), np.array([bound for _, bound in sides])
            return _core.Region.half_spaces(a, b, nonnegative=self.nonnegative)
        return _core.Region.inequalities(
            [inequality._for_core() for inequality in self._list()], self._rule().postfix(), self.nonnegative
        )

    def _check_not_empty(self) -> None:
        if is_empty(self._list(), self._rule().terms(), self.nonnegative):
            raise ValueError(f"{self!r} is empty: no point fulfils it")

    def _proposal(self, d: int, random: np.random.RandomState) -> Proposal:
        box = bounding_box(self._list(), self._rule().terms(), self.nonnegative)
        if box is None or not np.isfinite(box).all():
            raise ValueError(
                f"no finite box was found around {self!r}: its volume is infinite, or its inequalities bound a "
                "coordinate only together. If it is bounded, add inequalities that bound each coordinate"
            )
        return lambda n: random.uniform(box[0], box[1], size=(n, d))


@dataclass(frozen=True, repr=False)
class Inequality(_ByInequalities):
    r"""The points with :math:`\sum_j c_j f_j(x_j) \le C`, or with :math:`\ge`.

    Logarithms and negative powers are defined on x > 0, other powers that are not integers on x >= 0, and the domain
    reaches no further in those coordinates: 0 is a boundary. A coefficient of 0 leaves its coordinate free.

    Parameters
    ----------
    coefficients : sequence of float, shape (n_features,)
        The coefficients c, not all 0.
    functions : float, {'log', 'exp', 'abs'}, or a sequence of these
        The functions f: powers, by their exponents (not 0), or names. One holds for every coordinate.
    sense : {'<=', '>='}
        Which way.
    bound : float
        The bound C.

    Raises
    ------
    ValueError
        Where no point fulfils it.

    Notes
    -----
    ``distance`` is exact to rounding where the sum is linear (or of absolute values with positive coefficients), and
    where the points that break the inequality are a convex set, as for x outside of an ellipsoid. Else
    it is the smallest of several local minima, each exact to about 1e-10 of itself, and no larger than the least
    distance along a coordinate. It is never too small; a nearer point that all starts miss would make it too large.

    Examples
    --------
    >>> from scorematch.domains import Inequality
    >>> ellipse = Inequality([1, 4], 2, "<=", 4)
    >>> ellipse
    Inequality(coefficients=(1.0, 4.0), functions=2, sense='<=', bound=4.0)
    >>> phi, slope = ellipse.coordinate_distance([[1.0, 0.0]])
    >>> phi.round(3), slope
    (array([[1.   , 0.866]]), array([[-1.,  1.]]))
    >>> ellipse.distance([[0.0, 0.5]])[0]
    array([0.5])
    """

    coefficients: Sequence[float]
    functions: Function | Sequence[Function]
    sense: Literal["<=", ">="]
    bound: float

    def __post_init__(self) -> None:
        coefficients = check_parameter("coefficients", self.coefficients, (None,))
        if not coefficients.any():
            raise ValueError(f"coefficients must not all be 0; got {self.coefficients!r}")
        functions: Any = self.functions
        if isinstance(functions, Sequence | np.ndarray) and not isinstance(functions, str):
            functions = tuple(map(_terms.as_function, np.asarray(functions, dtype=object).tolist()))
            if len(functions) != len(coefficients):
                raise ValueError(
                    f"functions must be one, or one for each of the {len(coefficients)} coefficients; "
                    f"got {len(functions)}"
                )
        else:
            functions = _terms.as_function(functions)
        if self.sense not in ("<=", ">="):
            raise ValueError(f"sense must be '<=' or '>='; got {self.sense!r}")
        bound = float(check_parameter("bound", self.bound, ()))
        self._store(coefficients=tuples(coefficients), functions=functions, bound=bound)
        self._check_not_empty()

    @property
    def n_features(self) -> int:
        """How many coefficients it has."""
        return len(self.coefficients)

    @property
    def _each_function(self) -> tuple[Function, ...]:
        """The function of each coordinate."""
        return self.functions if isinstance(self.functions, tuple) else (self.functions,) * self.n_features  # type: ignore[return-value]

    @property
    def _at_most(self) -> tuple[Doubles, float]:
        """Coefficients and bound of the same inequality with <=."""
        sign = 1.0 if self.sense == "<=" else -1.0
        return sign * np.array(self.coefficients), sign * self.bound

    def _for_core(self) -> tuple[list[float], list[str], list[float], float]:
        coefficients, bound = self._at_most
        names, exponents = zip(
            *(_IN_CORE[f] if isinstance(f, str) else ("power", float(f)) for f in self._each_function), strict=True
        )
        return coefficients.tolist(), list(names), list(exponents), bound

    def _list(self) -> "tuple[Inequality, ...]":
        return (self,)

    def _rule(self) -> Rule:
        return Rule(0)

    def _excess(self, point: Doubles) -> float:
        """By how much a point breaks the inequality; NaN where it is not defined."""
        coefficients, bound = self._at_most
        terms = [c * _terms.apply(f, x) for c, f, x in zip(coefficients, self._each_function, point, strict=True) if c]
        return float(np.sum(terms)) - bound

    def _excess_slope(self, point: Doubles) -> Doubles:
        """The gradient of `_excess`."""
        functions = self._each_function
        slopes = [
            c * _terms.derivative(f, x) if c else 0.0
            for c, f, x in zip(self._at_most[0], functions, point, strict=True)
        ]
        return np.array(slopes, dtype=np.float64)

    def _one_sided(self) -> list[int]:
        """The coordinates that its functions keep above 0."""
        pairs = zip(self.coefficients, self._each_function, strict=True)
        return [j for j, (c, f) in enumerate(pairs) if c and _terms.is_one_sided(f)]

    def _reason(self, point: Doubles) -> str:
        excess = self._excess(point)
        if np.isnan(excess):
            column = next(j for j in self._one_sided() if np.isnan(_terms.apply(self._each_function[j], point[j])))
            function = self._each_function[column]
            power = function if isinstance(function, str) else f"the power {function}"
            return f"column {column} is {point[column]:.6g}, where {power} is not defined"
        side = "above" if self.sense == "<=" else "below"
        value = self.bound + (excess if self.sense == "<=" else -excess)
        return f"the sum of its terms is {value:.6g}, which is {side} {self.bound:.6g} by {excess:.3g}"


@dataclass(frozen=True, repr=False)
class Inequalities(_ByInequalities):
    """Several inequalities, joined by and, or, or an expression of both.

    ``sample_uniform`` draws from a box around the domain and keeps what lies inside.

    Parameters
    ----------
    inequalities : sequence of Inequality
        The inequalities, all with the same number of coefficients.
    rule : str, default='and'
        ``'and'``: all must hold; ``'or'``: at least one; or an expression of their numbers, from 0, with and, or, and
        parentheses, such as ``'0 or (1 and 2)'``. As in Python, and binds closer than or.
    nonnegative : bool, default=False
        Whether all coordinates must be at least 0 besides.

    Raises
    ------
    ValueError
        Where it can be told that no point fulfils the rule.

    Notes
    -----
    ``distance`` is as exact as that of each :class:`Inequality` where all must hold. With or in the rule, a nearest
    point at which several boundaries meet is found by sequential quadratic programming from several starts, to about
    1e-6; that takes some milliseconds a row. It is never too small by more than that, but a sliver outside that all
    starts miss makes it too large.

    Examples
    --------
    >>> from scorematch.domains import Inequalities, Inequality
    >>> ring = Inequalities([Inequality([1, 1], 2, "<=", 4), Inequality([1, 1], 2, ">=", 1)])
    >>> ring.contains([[1.5, 0.0], [0.5, 0.0]])
    array([ True, False])
    >>> ring.coordinate_distance([[1.25, 0.0]])[0]
    array([[0.25     , 1.5612495]])
    """

    inequalities: Sequence[Inequality]
    rule: str = "and"
    nonnegative: bool = False

    def __post_init__(self) -> None:
        given = tuple(self.inequalities) if isinstance(self.inequalities, Sequence) else ()
        if not given or not all(isinstance(entry, Inequality) for entry in given):
            raise ValueError(f"inequalities must be a list of Inequality; got {self.inequalities!r}")
        lengths = {inequality.n_features for inequality in given}
        if len(lengths) > 1:
            raise ValueError(f"inequalities must all have as many coefficients; got {sorted(lengths)}")
        check_flag("nonnegative", self.nonnegative)
        self._store(inequalities=given, nonnegative=bool(self.nonnegative))
        parse_rule(self.rule, len(given))
        self._check_not_empty()

    @property
    def n_features(self) -> int:
        """How many coefficients each inequality has."""
        return self.inequalities[0].n_features

    def _list(self) -> tuple[Inequality, ...]:
        return tuple(self.inequalities)

    def _rule(self) -> Rule:
        return parse_rule(self.rule, len(self.inequalities))

    def distance(self, X: ArrayLike) -> tuple[Doubles, Doubles]:
        if self._all_must_hold:
            return super().distance(X)
        return distance_to_joint_complement(self, np.asarray(self._readable(X), dtype=np.float64))

    def _reason(self, point: Doubles) -> str:
        broken = [k for k, one in enumerate(self.inequalities) if not one.contains(point[None, :])[0]]
        reasons = (f"inequality {k} is broken: {self.inequalities[k]._reason(point)}" for k in broken)
        return f"{'; '.join(reasons)} (rule {self.rule!r})"
