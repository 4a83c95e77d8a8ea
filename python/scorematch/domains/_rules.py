"""Rules that join inequalities: 'and', 'or', or an expression such as '0 or (1 and 2)'."""

import ast
from dataclasses import dataclass
from functools import reduce

# Rules are multiplied out for sampling and for distances; more terms than this take too long.
MOST_TERMS = 1000
AND, OR = -1, -2

Terms = tuple[frozenset[int], ...]


@dataclass(frozen=True)
class Rule:
    """A rule that has been read: the number of an inequality, or two or more rules joined."""

    operation: int  # the number of an inequality, AND or OR
    parts: "tuple[Rule, ...]" = ()

    def postfix(self) -> list[int]:
        """The rule as a program for a stack: numbers, AND and OR, which join the two before."""
        if not self.parts:
            return [self.operation]
        first, *rest = self.parts
        return first.postfix() + [step for part in rest for step in (*part.postfix(), self.operation)]

    def negated(self) -> "Rule":
        """What holds where the rule does not, when each number stands for the opposite of its inequality."""
        if not self.parts:
            return self
        return Rule(OR if self.operation == AND else AND, tuple(part.negated() for part in self.parts))

    def terms(self) -> Terms:
        """Sets of numbers; the rule holds where all of any one set do."""
        if not self.parts:
            return (frozenset([self.operation]),)
        alternatives = [part.terms() for part in self.parts]
        if self.operation == OR:
            return _irredundant(tuple(term for terms in alternatives for term in terms))
        return reduce(_both, alternatives)


def parse_rule(text: object, n: int) -> Rule:
    """Read a rule for `n` inequalities; 'and' binds closer than 'or'."""
    if not isinstance(text, str):
        raise ValueError(f"rule must be 'and', 'or' or an expression such as '0 or (1 and 2)'; got {text!r}")
    if text in ("and", "or"):
        parts = tuple(Rule(k) for k in range(n))
        return parts[0] if n == 1 else Rule(AND if text == "and" else OR, parts)
    try:
        rule = _read(ast.parse(text.strip(), mode="eval").body)
    except (SyntaxError, ValueError, RecursionError) as error:
        raise ValueError(
            f"rule must be 'and', 'or' or an expression of numbers, and, or, and parentheses, such as "
            f"'0 or (1 and 2)'; got {text!r}"
        ) from error
    named = {step for step in rule.postfix() if step >= 0}
    if named != set(range(n)):
        wrong = min(named ^ set(range(n)))
        raise ValueError(
            f"rule {text!r} must name each of the {n} inequalities, 0 to {n - 1}, and no other; "
            f"{wrong} is {'too many' if wrong >= n else 'missing'}"
        )
    return rule


def _read(node: ast.expr) -> Rule:
    if isinstance(node, ast.BoolOp):
        return Rule(AND if isinstance(node.op, ast.And) else OR, tuple(map(_read, node.values)))
    if isinstance(node, ast.Constant) and type(node.value) is int:
        return Rule(node.value)
    raise ValueError("neither a number nor a combination")


def _both(first: Terms, second: Terms) -> Terms:
    return _irredundant(tuple(one | other for one in first for other in second))


def _irredundant(terms: Terms) -> Terms:
    """Without those that ask for more than another."""
    if len(terms) > MOST_TERMS:
        raise ValueError(f"rule has more than {MOST_TERMS} alternatives when it is multiplied out")
    ordered = sorted(set(terms), key=len)
    return tuple(term for k, term in enumerate(ordered) if not any(other <= term for other in ordered[:k]))
