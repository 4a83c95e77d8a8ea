"""The experiments of papers on score matching, run anew with this library.

``scorematch paper`` lists them, ``scorematch paper NAME`` runs one; :func:`run` does the same from Python. A paper is a
module of this package that defines ``PAPER``, and nothing else lists it.
"""

from scorematch.papers._paper import Claim, Findings, Paper, Table
from scorematch.papers._run import Result, catalogue, find, run

__all__ = ["Claim", "Findings", "Paper", "Result", "Table", "catalogue", "find", "run"]
