"""The commands and their options."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

import scorematch
from scorematch._cli.messages import CommandError, did_you_mean

if TYPE_CHECKING:
    from scorematch._base import ScoreMatchingEstimator

    Family = type[ScoreMatchingEstimator]

DATASETS = ("iris", "wine", "breast_cancer", "diabetes", "digits")
SAMPLERS = ("auto", "exact", "gibbs", "langevin", "mala", "hmc")
PLOT_FORMATS = (".png", ".pdf", ".svg")
REPORT_FORMATS = (".html", ".htm")


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, like all others."""

    def _get_formatter(self) -> argparse.HelpFormatter:
        return _Formatter(prog=self.prog)

    def error(self, message: str) -> NoReturn:
        raise CommandError(f"{message} (see '{self.prog} --help')")


class _Formatter(argparse.HelpFormatter):
    """Leaves names with hyphens in one piece."""

    def _split_lines(self, text: str, width: int) -> list[str]:
        return textwrap.wrap(text, width, break_on_hyphens=False)


def parse(argv: Sequence[str]) -> argparse.Namespace | None:
    """What to do; None where it was to print the help or the version and that is done."""
    family = _named_model(argv[1:]) if argv[:1] == ["fit"] else None
    parser = _build(family)
    try:
        arguments, unknown = parser.parse_known_args(argv)
    except SystemExit:
        return None
    if unknown:
        _refuse(unknown, family)
    if arguments.command is None:
        raise CommandError("give a command: fit, terms, sample, models, info or paper (see 'scorematch --help')")
    arguments.family = family
    return arguments


def models() -> dict[str, Family]:
    """The families by their names on the command line; those that need a function have no place there."""
    from scorematch._cli.options import fits_on_a_line, kebab
    from scorematch._registry import families

    return {kebab(cls.__name__): cls for cls in families() if fits_on_a_line(cls)}


def _named_model(argv: Sequence[str]) -> Family | None:
    """The family that --model names: its options must be known before the rest can be read."""
    early = Parser(prog="scorematch fit", add_help=False, allow_abbrev=False)
    early.add_argument("--model")
    name = early.parse_known_args(argv)[0].model
    if name is None:
        if {"-h", "--help"} & set(argv):
            return None
        raise CommandError(f"fit needs --model NAME; models are {', '.join(models())}")
    known = models()
    if name not in known:
        raise CommandError(f"unknown model {name!r}{did_you_mean(name, known)} Models are {', '.join(known)}")
    return known[name]


def _build(family: Family | None) -> Parser:
    parser = Parser(
        prog="scorematch",
        description="Fit models whose normalising constant is unknown, by score matching.",
        epilog="Example: scorematch fit --dataset iris --model gaussian-mixture --n-components 3 --plot iris.png",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"scorematch {scorematch.__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands", parser_class=Parser)
    _add_fit(commands, family)
    _add_terms(commands)
    _add_sample(commands)
    listing = commands.add_parser("models", help="list the models and their options", allow_abbrev=False)
    listing.add_argument("--json", action="store_true", help="print JSON")
    info = commands.add_parser("info", help="show what this installation is and runs on", allow_abbrev=False)
    info.add_argument("--json", action="store_true", help="print JSON")
    _add_paper(commands)
    return parser


def _add_fit(commands: argparse._SubParsersAction[Parser], family: Family | None) -> None:
    fit = commands.add_parser(
        "fit",
        help="fit a model to a table of numbers",
        usage="scorematch fit (DATA | --dataset NAME) --model NAME [options] [options of the model]",
        description="Fit a model to a table of numbers.",
        epilog="Options of a model: 'scorematch fit --model NAME --help', or of all of them: 'scorematch models'."
        if family is None
        else None,
        allow_abbrev=False,
    )
    fit.add_argument(
        "--model", metavar="NAME", help="the model, such as gaussian-mixture; 'scorematch models' lists all"
    )
    _add_data_options(fit)
    fit.add_argument("--weights-column", metavar="NAME", help="the column that holds the weights of the rows")
    fit.add_argument(
        "--standardize",
        action="store_true",
        help="subtract each column's mean and divide by its standard deviation before fitting; parameters, score and "
        "plot are then on that scale, and the model file carries it",
    )
    fit.add_argument(
        "--random-state", metavar="SEED", type=int, default=0, help="seed of everything random (default: 0)"
    )
    fit.add_argument("--plot", metavar="FILE", help="draw data and model: a .png, .pdf or .svg file")
    fit.add_argument(
        "--report",
        metavar="FILE",
        help="write a page of HTML that needs nothing beside it: estimates with intervals, diagnostics and pictures",
    )
    fit.add_argument("--output", metavar="FILE", help="write the model to a JSON file, for 'scorematch terms'")
    fit.add_argument("--json", action="store_true", help="print the result as JSON, and nothing else")
    fit.add_argument("--verbose", action="store_true", help="show the progress on standard error")
    if family is not None:
        from scorematch._cli.options import kebab, model_options

        group = fit.add_argument_group(f"options of {kebab(family.__name__)}")
        for option in model_options(family):
            option.add_to(group)


def _add_terms(commands: argparse._SubParsersAction[Parser]) -> None:
    terms = commands.add_parser(
        "terms",
        help="write the terms of the objective, a row at a time, as CSV",
        usage="scorematch terms MODEL.json (DATA | --dataset NAME) [options]",
        description="Write the terms of the objective for each row of a table, as CSV with the columns norm_term, "
        "hessian_term and hyvarinen_score. Columns are found by the names that the model file holds.",
        allow_abbrev=False,
    )
    terms.add_argument("model", metavar="MODEL.json", help="a file that 'scorematch fit --output' wrote")
    _add_data_options(terms)
    terms.add_argument("--output", metavar="FILE", help="where to write (default: standard output)")


def _add_sample(commands: argparse._SubParsersAction[Parser]) -> None:
    sample = commands.add_parser(
        "sample",
        help="draw from a fitted model, as CSV",
        usage="scorematch sample MODEL.json [options]",
        description="Draw rows from a fitted model, as CSV with the columns of the data that it was fitted to.",
        allow_abbrev=False,
    )
    sample.add_argument("model", metavar="MODEL.json", help="a file that 'scorematch fit --output' wrote")
    sample.add_argument("--n-samples", metavar="N", type=int, default=1000, help="how many rows (default: 1000)")
    sample.add_argument(
        "--method",
        choices=SAMPLERS,
        default="auto",
        help="exact draws, or those of Markov chains; auto takes exact ones where it can (default: auto)",
    )
    sample.add_argument("--n-chains", metavar="N", type=int, help="number of chains (default: up to 256)")
    sample.add_argument("--n-warmup", metavar="N", type=int, help="iterations before the first row of a chain")
    sample.add_argument("--thin", metavar="N", type=int, help="iterations from one row of a chain to its next")
    sample.add_argument("--step-size", metavar="STEP", type=float, help="of langevin, mala and hmc (default: found)")
    sample.add_argument(
        "--random-state", metavar="SEED", type=int, default=0, help="seed of everything random (default: 0)"
    )
    sample.add_argument("--output", metavar="FILE", help="where to write (default: standard output)")
    sample.add_argument("--n-jobs", metavar="N", type=int, help="number of threads (default: all processors)")


def _add_paper(commands: argparse._SubParsersAction[Parser]) -> None:
    paper = commands.add_parser(
        "paper",
        help="run a paper's experiment, or list the papers",
        usage="scorematch paper [NAME] [options]",
        description="Run a paper's experiment: print its tables, check its claims, draw its figure; the exit code is 1 "
        "where a claim fails. Without a name, list the papers.",
        allow_abbrev=False,
    )
    paper.add_argument("name", metavar="NAME", nargs="?", help="the paper (default: list them all)")
    paper.add_argument(
        "--output", metavar="DIR", default=".", help="where to write the figure, NAME.png (default: the current folder)"
    )
    paper.add_argument("--seed", metavar="SEED", type=int, default=0, help="seed of everything random (default: 0)")
    paper.add_argument("--quick", action="store_true", help="a shorter run, of papers that take more than some seconds")
    paper.add_argument("--json", action="store_true", help="print the result as JSON, and nothing else")


def _add_data_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "data",
        metavar="DATA",
        nargs="?",
        help="CSV (comma, semicolon or tab), Parquet or .npy file; - reads CSV from standard input",
    )
    parser.add_argument("--dataset", choices=DATASETS, help="data that scikit-learn ships, in place of a file")
    parser.add_argument(
        "--columns",
        metavar="A,B,...",
        action="append",
        help="the columns to use, by name, or by number from 0 where there are no names; may be repeated "
        "(default: all columns of numbers)",
    )
    parser.add_argument(
        "--header",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="whether the first line of a CSV file holds names (default: found out)",
    )
    parser.add_argument("--drop-missing", action="store_true", help="leave out rows with missing values")
    parser.add_argument("--n-jobs", metavar="N", type=int, help="number of threads (default: all processors)")


def _refuse(unknown: Sequence[str], family: Family | None) -> NoReturn:
    wrong = next((argument for argument in unknown if argument.startswith("-")), unknown[0]).partition("=")[0]
    if family is None or not wrong.startswith("-"):
        kind = "option" if wrong.startswith("-") else "argument"
        raise CommandError(f"unknown {kind} {wrong!r} (see --help)")
    from scorematch._cli.options import kebab, model_options

    name = kebab(family.__name__)
    flags = [option.flag for option in model_options(family)]
    raise CommandError(
        f"{name} has no option {wrong}{did_you_mean(wrong, flags)} Its options are {', '.join(flags)}; "
        f"those of every model are in 'scorematch fit --help'"
    )
