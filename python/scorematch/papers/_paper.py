"""What an experiment is made of: tables, claims and a figure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CERTAINTY = 4  # standard errors that an estimate may be off


@dataclass(frozen=True)
class Table:
    """Columns under a title; ``str`` gives it as aligned text.

    Parameters
    ----------
    title : str
        What the table shows.
    columns : mapping of str to sequence
        Heading to entries, numbers or text; all columns of the same length.
    formats : mapping of str to str, optional
        Heading to the format specification of its numbers. Without one, whole numbers are written in full, and others
        with four significant digits for the largest of the column.

    Examples
    --------
    >>> from scorematch.papers import Table
    >>> print(Table("squares", {"name": ["two", "three"], "square": [4, 9], "root": [2**0.5, 3**0.5]}))
    squares
      name   square   root
      two         4  1.414
      three       9  1.732
    """

    title: str
    columns: Mapping[str, Sequence[Any] | NDArray[Any]]
    formats: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        columns = [self._texts(heading, list(entries)) for heading, entries in self.columns.items()]
        return "\n".join([self.title, *("  " + "  ".join(row).rstrip() for row in zip(*columns, strict=True))])

    def _texts(self, heading: str, entries: list[Any]) -> list[str]:
        """Heading and entries, all of the same width: numbers to the right, words to the left."""
        if any(isinstance(entry, str) for entry in entries):
            texts, align = [str(entry) for entry in entries], "<"
        else:
            texts, align = self._numbers(heading, entries), ">"
        width = max(map(len, (heading, *texts)))
        return [f"{text:{align}{width}}" for text in (heading, *texts)]

    def _numbers(self, heading: str, entries: list[Any]) -> list[str]:
        from scorematch._cli.tables import number_texts

        if heading in self.formats:
            return [f"{entry:{self.formats[heading]}}" for entry in entries]
        if all(isinstance(entry, int | np.integer) for entry in entries):
            return [str(entry) for entry in entries]
        return number_texts(np.asarray(entries, dtype=np.float64))


@dataclass(frozen=True)
class Claim:
    """A sentence about what was found, and whether it holds.

    The class methods compare a number with what is expected of it; a NaN never holds.

    Parameters
    ----------
    sentence : str
        What is claimed.
    found : float or str
        What was found.
    expected : str
        What was expected.
    holds : bool
        Whether they agree.

    Examples
    --------
    >>> from scorematch.papers import Claim
    >>> claim = Claim.at_most("the estimates are equal", 3e-13, 1e-10)
    >>> claim.holds
    True
    >>> print(claim)
    yes  the estimates are equal: found 3e-13, expected at most 1e-10
    """

    sentence: str
    found: float | str
    expected: str
    holds: bool

    @classmethod
    def at_most(cls, sentence: str, found: float, limit: float) -> Claim:
        """A number that must not exceed a limit.

        Parameters
        ----------
        sentence : str
            What is claimed.
        found : float
            The number.
        limit : float
            The largest that it may be.

        Returns
        -------
        Claim
            The claim.
        """
        return cls(sentence, float(found), f"at most {limit:g}", bool(found <= limit))

    @classmethod
    def at_least(cls, sentence: str, found: float, limit: float) -> Claim:
        """A number that must not fall below a limit.

        Parameters
        ----------
        sentence : str
            What is claimed.
        found : float
            The number.
        limit : float
            The smallest that it may be.

        Returns
        -------
        Claim
            The claim.
        """
        return cls(sentence, float(found), f"at least {limit:g}", bool(found >= limit))

    @classmethod
    def near(cls, sentence: str, found: float, value: float, tolerance: float) -> Claim:
        """A number that must lie within a tolerance of a value.

        Parameters
        ----------
        sentence : str
            What is claimed.
        found : float
            The number.
        value : float
            What it should be.
        tolerance : float
            How far from that it may be.

        Returns
        -------
        Claim
            The claim.
        """
        expected = f"{value:.4g} ± {tolerance:.2g}" if tolerance else f"{value:.4g}"
        return cls(sentence, float(found), expected, bool(abs(found - value) <= tolerance))

    @classmethod
    def estimated(cls, sentence: str, found: float, value: float, standard_error: float) -> Claim:
        """An estimate that must lie within four standard errors of a value: chance fails one in some ten thousand.

        Parameters
        ----------
        sentence : str
            What is claimed.
        found : float
            The estimate.
        value : float
            What it should be.
        standard_error : float
            Its standard error.

        Returns
        -------
        Claim
            The claim.
        """
        expected = f"{value:.4g} ± {CERTAINTY} standard errors of {standard_error:.2g}"
        return cls(sentence, float(found), expected, bool(abs(found - value) <= CERTAINTY * standard_error))

    def __str__(self) -> str:
        found = self.found if isinstance(self.found, str) else f"{self.found:.4g}"
        return f"{'yes' if self.holds else 'no '}  {self.sentence}: found {found}, expected {self.expected}"


@dataclass(frozen=True)
class Findings:
    """What an experiment found.

    Parameters
    ----------
    tables : sequence of Table
        The numbers.
    claims : sequence of Claim
        What is claimed of them.
    draw : callable
        Draws the figure into an empty matplotlib ``Figure``.

    Examples
    --------
    >>> from scorematch.papers import find
    >>> findings = find("andy-jones").experiment(0, False)
    >>> all(claim.holds for claim in findings.claims)
    True
    """

    tables: Sequence[Table]
    claims: Sequence[Claim]
    draw: Callable[[Figure], None]


@dataclass(frozen=True)
class Paper:
    """An experiment and where it comes from.

    Parameters
    ----------
    name : str
        How the command line calls it.
    reference : str
        The paper and its section.
    description : str
        What is done, in a line.
    experiment : callable
        ``experiment(seed, quick)`` runs it and returns its :class:`Findings`; with `quick` on less data or with fewer
        repeats, where it would take more than a few seconds.

    Examples
    --------
    >>> from scorematch.papers import find
    >>> find("andy-jones").description
    'the two terms of the objective as the variance of a Gaussian varies'
    """

    name: str
    reference: str
    description: str
    experiment: Callable[[int, bool], Findings]
