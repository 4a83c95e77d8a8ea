"""Finding the papers, and running one."""

from __future__ import annotations

import difflib
import pkgutil
import textwrap
import time
from dataclasses import dataclass
from importlib import import_module
from numbers import Integral
from os import PathLike
from pathlib import Path
from typing import Any

import scorematch.papers
from scorematch.papers._paper import Findings, Paper

DOTS_PER_INCH = 150
SEEDS = 2**32  # as many as scikit-learn takes


@dataclass(frozen=True)
class Result(Findings):
    """What a run gave; ``str`` and ``print`` give it as text.

    Parameters
    ----------
    tables : sequence of Table
        The numbers.
    claims : sequence of Claim
        What is claimed of them.
    draw : callable
        Draws the figure into an empty matplotlib ``Figure``.
    paper : Paper
        What was run.
    seed : int
        The seed it was run with.
    quick : bool
        Whether it was the shorter run.
    figure : Path or None
        Where the figure was written.
    seconds : float
        How long the experiment took, without the figure.

    Examples
    --------
    >>> from scorematch.papers import run
    >>> result = run("andy-jones")
    >>> result.holds, len(result.claims), result.figure is None
    (True, 5, True)
    >>> list(result.tables[0].columns)
    ['variance', 'Hessian term', 'norm term', 'total']
    """

    paper: Paper
    seed: int
    quick: bool
    figure: Path | None
    seconds: float

    @property
    def holds(self) -> bool:
        """Whether all claims hold.

        Returns
        -------
        bool
            True if they do.
        """
        return all(claim.holds for claim in self.claims)

    def to_dict(self) -> dict[str, Any]:
        """Everything but the drawing, as what JSON knows.

        Returns
        -------
        dict
            ``paper``, ``reference``, ``description``, ``seed``, ``quick``, ``tables`` (title and columns), ``claims``
            (sentence, found, expected and holds), ``holds``, ``figure`` and ``seconds``.
        """
        return {
            "paper": self.paper.name,
            "reference": self.paper.reference,
            "description": self.paper.description,
            "seed": self.seed,
            "quick": self.quick,
            "tables": [
                {
                    "title": table.title,
                    "columns": {
                        heading: [_plain(entry) for entry in column] for heading, column in table.columns.items()
                    },
                }
                for table in self.tables
            ],
            "claims": [vars(claim) for claim in self.claims],
            "holds": self.holds,
            "figure": None if self.figure is None else str(self.figure),
            "seconds": self.seconds,
        }

    def report(self, width: int = 100) -> str:
        """Tables and claims as text.

        Parameters
        ----------
        width : int, default=100
            Where sentences are broken. Tables take what they need.

        Returns
        -------
        str
            What the command line prints.
        """

        def fill(text: str, indent: int) -> str:
            return textwrap.fill(text, width, initial_indent=2 * " ", subsequent_indent=indent * " ")

        failed = sum(not claim.holds for claim in self.claims)
        verdict = f"{failed} of {len(self.claims)} claims FAILED" if failed else f"all {len(self.claims)} claims hold"
        run = f"{'quick run, ' if self.quick else ''}seed {self.seed}, {self.seconds:.2g} s"
        parts = [
            f"{self.paper.name}: {self.paper.description}\n{self.paper.reference}",
            *map(str, self.tables),
            "\n".join(["claims", *(fill(str(claim), 7) for claim in self.claims)]),
            f"{verdict} ({run})" + ("" if self.figure is None else f"; figure: {self.figure}"),
        ]
        return "\n\n".join(parts)

    def __str__(self) -> str:
        return self.report()


def catalogue() -> dict[str, Paper]:
    """The papers there are.

    Returns
    -------
    dict of str to Paper
        By their names, in alphabetical order.

    Examples
    --------
    >>> from scorematch.papers import catalogue
    >>> "andy-jones" in catalogue()
    True
    """
    modules = [info.name for info in pkgutil.iter_modules(scorematch.papers.__path__)]
    papers = [import_module(f"scorematch.papers.{name}").PAPER for name in modules if not name.startswith("_")]
    return {paper.name: paper for paper in sorted(papers, key=lambda paper: paper.name)}


def find(name: str) -> Paper:
    """A paper by its name.

    Parameters
    ----------
    name : str
        The name; an error says which there are.

    Returns
    -------
    Paper
        The paper.

    Examples
    --------
    >>> from scorematch.papers import find
    >>> find("andy-jones").reference.partition(",")[0]
    'Andy Jones'
    """
    papers = catalogue()
    if name not in papers:
        close = difflib.get_close_matches(name, papers, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else "."
        raise ValueError(f"unknown paper {name!r}{hint} Papers are {', '.join(papers)}")
    return papers[name]


def run(name: str, *, output: str | PathLike[str] | None = None, seed: int = 0, quick: bool = False) -> Result:
    """Run a paper's experiment.

    Parameters
    ----------
    name : str
        Name of the paper.
    output : path, optional
        Folder for the figure ``NAME.png``; made if it is not there. No figure is drawn where None.
    seed : int, default=0
        Seed of everything random.
    quick : bool, default=False
        A shorter run, with claims that hold for it, where the whole one takes more than a few seconds.

    Returns
    -------
    Result
        Tables, claims, and where the figure is; nothing is raised where a claim fails.

    Examples
    --------
    >>> from scorematch.papers import run
    >>> print(run("andy-jones").claims[0])  # doctest: +ELLIPSIS
    yes  ...
    """
    import scipy.linalg  # noqa: F401 (limits hold for what is loaded)
    from threadpoolctl import threadpool_limits  # scikit-learn needs it too

    paper = find(name)
    if not isinstance(seed, Integral) or isinstance(seed, bool) or not 0 <= seed < SEEDS:
        raise ValueError(f"seed must be an integer from 0 to {SEEDS - 1}; got {seed!r}")
    path = None if output is None else _figure_path(Path(output), name)
    began = time.perf_counter()
    # Products and vectors are so small that threads of BLAS would mostly wait for each other, for seconds at a time.
    with threadpool_limits(1, user_api="blas"):
        findings = paper.experiment(int(seed), bool(quick))
    seconds = time.perf_counter() - began
    if path is not None:
        _draw(findings, path)
    return Result(
        findings.tables, findings.claims, findings.draw,
        paper=paper, seed=int(seed), quick=bool(quick), figure=path, seconds=seconds,
    )  # fmt: skip


def _figure_path(folder: Path, name: str) -> Path:
    """Where the figure goes; an error now rather than after the experiment."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise ImportError('figures need matplotlib: pip install "scorematch[plot]"') from None
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{name}.png"


def _draw(findings: Findings, path: Path) -> None:
    from matplotlib.figure import Figure  # not pyplot: no window, whatever the backend

    figure = Figure(layout="constrained")
    findings.draw(figure)
    figure.savefig(path, dpi=DOTS_PER_INCH)


def _plain(entry: Any) -> Any:
    """A number of NumPy's as one of Python's."""
    return entry.item() if hasattr(entry, "item") else entry
