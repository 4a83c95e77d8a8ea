"""What the commands do."""

from __future__ import annotations

import argparse
import json
import math
import re
import shutil
import sys
import textwrap
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from scorematch._cli import tables
from scorematch._cli.data import Table, read_table
from scorematch._cli.messages import CommandError, print_note, warnings_as_lines
from scorematch._cli.options import (
    Option,
    axes_of,
    constructor,
    destination,
    in_flags,
    kebab,
    model_options,
    summary,
)
from scorematch._cli.parser import PLOT_FORMATS, REPORT_FORMATS, models

if TYPE_CHECKING:
    from scorematch._base import ScoreMatchingEstimator

Floats = NDArray[np.floating]
Doubles = NDArray[np.float64]

CLAIM_FAILED = 1  # the exit code where a paper's claim does not hold
# Standard errors stand beside estimates of so many parameters at most: of models with a closed form, and of others,
# whose standard errors take the time of many steps of their fit.
MOST_WITH_ERRORS = {True: 150, False: 30}
TERMS = ("norm_term", "hessian_term", "hyvarinen_score")


def run(arguments: argparse.Namespace) -> int:
    """Do what the command line asks for, and give the exit code."""
    if arguments.command == "paper":
        return paper(arguments)
    {"fit": fit, "terms": terms, "sample": sample, "models": list_models, "info": info}[arguments.command](arguments)
    return 0


# -- fit -----------------------------------------------------------------------------------------------------------


def fit(arguments: argparse.Namespace) -> None:
    _check_can_write(arguments.output)
    _check_can_plot(arguments.plot)
    _check_can_report(arguments.report)
    options = model_options(arguments.family)
    model = _make_model(arguments, options)
    say = _progress(arguments.verbose)

    began = time.perf_counter()
    table = read_table(
        arguments.data,
        arguments.dataset,
        columns=arguments.columns,
        weights_column=arguments.weights_column,
        header=arguments.header,
        drop_missing=arguments.drop_missing,
    )
    n, d = table.values.shape
    say(f"read {n} rows and {d} columns in {time.perf_counter() - began:.2g} s")
    scaling = None
    if arguments.standardize:
        scaling = _Scaling.of(table, model)
        table.values = scaling.apply(table.values)

    with _library_errors(options, table) as warned:
        began = time.perf_counter()
        model.fit(table.values, sample_weight=table.weights)
        seconds = time.perf_counter() - began
        say(f"fitted in {seconds:.2g} s")
        score = model.score(table.values, sample_weight=table.weights)
        errors = _standard_errors(model)
        if arguments.plot:
            began = time.perf_counter()
            _plot(model, table, scaling, arguments)
            say(f"drew {arguments.plot} in {time.perf_counter() - began:.2g} s")
        if arguments.report:
            began = time.perf_counter()
            _write_report(model, table, scaling, score, seconds, warned, arguments)
            say(f"wrote {arguments.report} in {time.perf_counter() - began:.2g} s")
    if arguments.output:
        _save(model, table, scaling, arguments.output)
        say(f"wrote {arguments.output}")

    if arguments.json:
        _print_json(_result(model, table, scaling, score, errors, seconds, warned, arguments))
    else:
        print("\n".join(_report(model, table, scaling, score, errors, seconds, arguments)))


def _make_model(arguments: argparse.Namespace, options: Sequence[Option]) -> ScoreMatchingEstimator:
    given = vars(arguments)
    keywords = {option.name: given[destination(option.name)] for option in options if destination(option.name) in given}
    common = {
        "n_jobs": arguments.n_jobs,
        "random_state": arguments.random_state,
        "verbose": int(arguments.verbose),
    }
    known = constructor(arguments.family)
    model: ScoreMatchingEstimator = arguments.family(
        **keywords, **{name: value for name, value in common.items() if name in known}
    )
    return model


class _Scaling:
    """Standardisation: each column less its mean, over its standard deviation."""

    def __init__(self, mean: Doubles, scale: Doubles) -> None:
        self.mean, self.scale = mean, scale

    @classmethod
    def of(cls, table: Table, model: ScoreMatchingEstimator) -> _Scaling:
        from scorematch.domains import RealSpace

        domain = model._domain()
        if domain is not None and not isinstance(domain, RealSpace):
            raise CommandError(
                f"--standardize does not go with the domain {kebab(type(domain).__name__)}: subtracting the mean "
                "moves the data out of it"
            )
        values = table.values.astype(np.float64)
        weights = None if table.weights is None else table.weights / table.weights.sum()
        mean = np.average(values, axis=0, weights=weights)
        scale = np.sqrt(np.average((values - mean) ** 2, axis=0, weights=weights))
        # Rounding leaves a constant column a little deviation.
        constant = np.flatnonzero(scale <= 1e-14 * np.abs(mean))
        if len(constant):
            raise CommandError(
                f"--standardize: column {table.labels[constant[0]]!r} is constant; leave it out by --columns"
            )
        return cls(mean, scale)

    def apply(self, values: Floats) -> Floats:
        return ((values - self.mean) / self.scale).astype(values.dtype)

    def undo(self, values: Doubles) -> Doubles:
        return np.asarray(values * self.scale + self.mean)

    @classmethod
    def from_file(cls, contents: Mapping[str, Any]) -> _Scaling | None:
        entry = contents.get("preprocessing", {}).get("standardize")
        return None if entry is None else cls(np.asarray(entry["mean"]), np.asarray(entry["scale"]))

    def to_file(self) -> dict[str, Any]:
        """What stands in a model file beside the model: x becomes (x - mean) / scale before the model sees it."""
        return {"standardize": {"mean": self.mean.tolist(), "scale": self.scale.tolist()}}


def _standard_errors(model: ScoreMatchingEstimator) -> dict[str, Doubles]:
    """Those of the parameters, by name and in their shapes; nothing where they would take longer than the fit."""
    if len(model.theta_) > MOST_WITH_ERRORS[hasattr(model, "quadratic_form")]:
        return {}
    try:
        return {
            name: np.sqrt(np.diagonal(model.covariance(of=name))).reshape(np.shape(value))
            for name, value in model.params_.items()
            if np.asarray(value).dtype.kind == "f"
        }
    except ValueError as error:  # the fit itself has succeeded
        print_note(f"there are no standard errors: {error}")
        return {}


def _save(model: ScoreMatchingEstimator, table: Table, scaling: _Scaling | None, path: str) -> None:
    from scorematch._model_files import to_dict

    contents = to_dict(model)
    contents["feature_names"] = table.names or []
    if scaling is not None:
        contents["preprocessing"] = scaling.to_file()
    Path(path).write_text(json.dumps(contents, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def _plot(model: ScoreMatchingEstimator, table: Table, scaling: _Scaling | None, arguments: argparse.Namespace) -> None:
    from matplotlib.figure import Figure  # not pyplot: no window, whatever the backend

    from scorematch.plotting import FitDisplay

    labels = [f"{label} (standardised)" if scaling else label for label in table.labels]
    title = f"{kebab(type(model).__name__)} fitted to {Path(table.source).name}"
    figure = Figure()
    FitDisplay.from_estimator(
        model,
        table.values,
        feature_names=labels,
        sample_weight=table.weights,
        title=title,
        random_state=arguments.random_state,
        figure=figure,
    )
    figure.savefig(arguments.plot, dpi=150)


def _result(
    model: ScoreMatchingEstimator,
    table: Table,
    scaling: _Scaling | None,
    score: float,
    errors: Mapping[str, Doubles],
    seconds: float,
    warned: Sequence[str],
    arguments: argparse.Namespace,
) -> dict[str, Any]:
    from scorematch._model_files import to_dict

    contents = to_dict(model)
    return {
        "model": kebab(type(model).__name__),
        "options": contents["options"],
        "data": {
            "source": table.source,
            "n_samples": len(table.values),
            "n_features": len(table.labels),
            "feature_names": table.names,
            "weights_column": arguments.weights_column,
            "dropped_rows": table.n_dropped,
            "left_out_columns": table.left_out,
        },
        "preprocessing": None if scaling is None else scaling.to_file(),
        "score": score,
        "score_scale": "data" if scaling is None else "standardized",
        "objective": model.objective_,
        "converged": bool(model.converged_),
        "n_iter": int(model.n_iter_),
        "fit_seconds": seconds,
        "params": contents["params"],
        "standard_errors": {name: value.tolist() for name, value in errors.items()},
        "theta": contents["theta"],
        "theta_names": model.theta_names_,
        "warnings": list(warned),
        "output": arguments.output,
        "plot": arguments.plot,
        "report": arguments.report,
    }


def _write_report(
    model: ScoreMatchingEstimator,
    table: Table,
    scaling: _Scaling | None,
    score: float,
    seconds: float,
    warned: Sequence[str],
    arguments: argparse.Namespace,
) -> None:
    from scorematch._cli.report import Fit, page

    fit = Fit(
        model=model,
        X=table.values,
        sample_weight=table.weights,
        columns=[f"{label} (standardised)" if scaling else label for label in table.labels],
        source=Path(table.source).name,
        facts=_facts(model, table, scaling, score, seconds, arguments),
        warned=list(warned),
        seed=arguments.random_state,
    )
    Path(arguments.report).write_text(page(fit), encoding="utf-8")


def _facts(
    model: ScoreMatchingEstimator,
    table: Table,
    scaling: _Scaling | None,
    score: float,
    seconds: float,
    arguments: argparse.Namespace,
) -> dict[str, str]:
    """What a fit came to, in words."""
    n, d = table.values.shape
    scale = "standardised data" if scaling else "the data's own scale"
    threads = model._threads()
    iterations = f"{model.n_iter_} {model._counted}{'' if model.n_iter_ == 1 else 's'}"
    weighted = f", weighted by {arguments.weights_column!r}" if table.weights is not None else ""
    facts = {
        "data": f"{n} rows × {d} column{'' if d == 1 else 's'} of {table.source}{weighted}",
        "score": f"{score:.6g} on {scale} (minus the mean Hyvärinen score; higher is better)",
        "convergence": f"yes, {iterations}" if model.converged_ else f"no, stopped after {iterations}",
        "time": f"{seconds:.2g} s, {threads} thread{'' if threads == 1 else 's'}",
    }
    if not model._is_exact:
        from scorematch._objectives import objective_of  # with SciPy, which lists of names do not need

        facts["minimised"] = str(objective_of(model))
    if hasattr(model, "robust_weights_"):
        few = f"{np.count_nonzero(model.robust_weights_ < 0.01)} of {n} rows have a weight below 1 % of the mean"
        facts["robust"] = f"{model.n_reweightings_} reweightings; {few}"
    return facts


def _report(
    model: ScoreMatchingEstimator,
    table: Table,
    scaling: _Scaling | None,
    score: float,
    errors: Mapping[str, Doubles],
    seconds: float,
    arguments: argparse.Namespace,
) -> list[str]:
    rows = _facts(model, table, scaling, score, seconds, arguments)
    for name, path in (("model file", arguments.output), ("plot", arguments.plot), ("report", arguments.report)):
        if path:
            rows[name] = path
    params = {name: np.asarray(value) for name, value in model.params_.items()}
    lines = [kebab(type(model).__name__), *tables.pairs(rows)]
    if scaling:
        lines += ["", "parameters of the standardised data, (x - mean) / standard deviation"]
    axes = {name: axes_of(model, name, value.shape) for name, value in params.items()}
    names = {"n_features": table.labels, "n_params": model.theta_names_}
    return lines + tables.parameters(params, axes, names, _width(), errors)


# -- terms ---------------------------------------------------------------------------------------------------------


def terms(arguments: argparse.Namespace) -> None:
    _check_can_write(arguments.output)
    model, names, scaling = _load(arguments.model)
    columns = arguments.columns
    if columns is None and names:
        columns = [_quoted(name) for name in names]
    table = read_table(
        arguments.data,
        arguments.dataset,
        columns=columns,
        header=arguments.header,
        drop_missing=arguments.drop_missing,
    )
    d = table.values.shape[1]
    if d != model.n_features_in_:
        raise CommandError(
            f"{arguments.model} is a model of {model.n_features_in_} columns; {table.source} gives {d}. Choose them "
            "by --columns"
        )
    if hasattr(model, "n_jobs"):
        model.set_params(n_jobs=arguments.n_jobs)
    values = table.values
    if scaling is not None:
        values = scaling.apply(values)
        print_note("the terms are those of standardised data, the scale on which the model was fitted")
    with _library_errors(model_options(type(model)), table):
        norm_term, hessian_term = (term.astype(np.float64) for term in model.score_matching_terms(values))
    _write_rows(TERMS, np.column_stack([norm_term, hessian_term, norm_term + hessian_term]), arguments.output)


def _load(path: str) -> tuple[ScoreMatchingEstimator, list[str], _Scaling | None]:
    """The model, the names of its columns, and what is to be done to data first."""
    from scorematch._model_files import load_model

    try:
        model = load_model(path)
        contents = json.loads(Path(path).read_text(encoding="utf-8"))
        scaling = _Scaling.from_file(contents)
    except OSError as error:
        raise CommandError(f"cannot read {path}: {error.strerror or error}") from error
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise CommandError(f"{error} ('scorematch fit --output' writes model files)") from error
    names = list(getattr(model, "feature_names_in_", []))
    if names:  # columns are found by name here; what the model is given are bare arrays
        del model.feature_names_in_
    return model, names, scaling


def _quoted(name: str) -> str:
    """A name as --columns takes it."""
    return '"' + name.replace('"', '""') + '"'


# -- sample --------------------------------------------------------------------------------------------------------


def sample(arguments: argparse.Namespace) -> None:
    _check_can_write(arguments.output)
    model, names, scaling = _load(arguments.model)
    if hasattr(model, "n_jobs"):
        model.set_params(n_jobs=arguments.n_jobs)
    with _library_errors(model_options(type(model)), None):
        rows = model.sample(
            arguments.n_samples,
            arguments.random_state,
            arguments.method,
            n_chains=arguments.n_chains,
            n_warmup=arguments.n_warmup,
            thin=arguments.thin,
            step_size=arguments.step_size,
        )
    if scaling is not None:
        rows = scaling.undo(rows)
    _write_rows(names or [f"x{column}" for column in range(rows.shape[1])], rows, arguments.output)


# -- tables of numbers -----------------------------------------------------------------------------------------------


def _write_rows(names: Sequence[str], values: Doubles, output: str | None) -> None:
    """As CSV to a file or standard output; reading it gives the same bits."""
    if output is None:
        sys.stdout.writelines(_rows_of_text(names, values))
        return
    with open(output, "w", encoding="utf-8") as file:
        file.writelines(_rows_of_text(names, values))


def _rows_of_text(names: Sequence[str], values: Doubles) -> Iterator[str]:
    yield ",".join(_quoted(name) if set(name) & set(',"\r\n') else name for name in names) + "\n"
    for start in range(0, len(values), 10_000):
        block = values[start : start + 10_000].tolist()
        yield "".join(",".join(map(repr, row)) + "\n" for row in block)


# -- models and info -----------------------------------------------------------------------------------------------


def list_models(arguments: argparse.Namespace) -> None:
    if arguments.json:
        _print_json(
            {
                name: {
                    "class": cls.__name__,
                    "summary": summary(cls),
                    "options": [
                        {
                            "flag": option.flag,
                            "takes": option.metavar or "yes or no",
                            "default": option.default_text,
                            "help": option.help,
                        }
                        for option in model_options(cls)
                    ],
                }
                for name, cls in models().items()
            }
        )
        return
    width = _width()
    for name, cls in models().items():
        print(f"{name}: {summary(cls)}")
        for option in model_options(cls):
            print(f"  {option.flags} {option.metavar}".rstrip() + f"  (default: {option.default_text})")
            takes = f" One of {', '.join(option.objects)}." if option.objects else ""
            print(textwrap.indent(textwrap.fill(_first_sentence(option.help) + takes, width - 6), " " * 6))
        print()
    print("All take the options in 'scorematch fit --help' too. More on one: 'scorematch fit --model NAME --help'.")


def info(arguments: argparse.Namespace) -> None:
    from scorematch._config import config

    configuration = config()
    if arguments.json:
        _print_json(configuration)
        return
    rows = {name: ", ".join(value) if isinstance(value, list) else str(value) for name, value in configuration.items()}
    print("\n".join(tables.pairs(rows, indent="")))


# -- papers ----------------------------------------------------------------------------------------------------------


def paper(arguments: argparse.Namespace) -> int:
    from scorematch.papers import catalogue, run

    if arguments.name is None:
        known = catalogue()
        if arguments.json:
            _print_json(
                {name: {"description": one.description, "reference": one.reference} for name, one in known.items()}
            )
        else:
            print("\n".join(tables.pairs({name: one.description for name, one in known.items()}, indent="")))
        return 0
    try:
        with warnings_as_lines(str):
            result = run(arguments.name, output=arguments.output, seed=arguments.seed, quick=arguments.quick)
    except (ValueError, ImportError) as error:
        raise CommandError(str(error)) from error
    if arguments.json:
        _print_json(result.to_dict())
    else:
        print(result.report(_width()))
    return 0 if result.holds else CLAIM_FAILED


# -- shared --------------------------------------------------------------------------------------------------------


@contextmanager
def _library_errors(options: Sequence[Option], table: Table | None) -> Iterator[list[str]]:
    """Errors and warnings of the library as the command line's; what it prints goes to standard error."""

    def translate(message: str) -> str:
        in_words = in_flags(message, options)
        return in_words if table is None else _in_the_tables_words(in_words, table)

    with warnings_as_lines(translate) as warned, redirect_stdout(sys.stderr):
        try:
            yield warned
        except (ValueError, TypeError) as error:
            raise CommandError(translate(str(error))) from error


def _in_the_tables_words(message: str, table: Table) -> str:
    """The library counts rows from 0 and does not know of those dropped; here they count from 1, as in the data."""

    def row(match: re.Match[str]) -> str:
        number = int(match[1])
        if table.kept_rows is not None and number < len(table.kept_rows):
            number = int(table.kept_rows[number])
        return f"row {number + 1}"

    def column(match: re.Match[str]) -> str:
        number = int(match[1])
        return f"column {table.names[number]!r}" if table.names and number < len(table.names) else match[0]

    return re.sub(r"\bcolumn (\d+)\b", column, re.sub(r"\brow (\d+)\b", row, message))


def _check_can_write(path: str | None) -> None:
    """An error now rather than after a long fit."""
    if path is None:
        return
    if Path(path).is_dir():
        raise CommandError(f"cannot write {path}: it is a folder")
    if not Path(path).resolve().parent.is_dir():
        raise CommandError(f"cannot write {path}: there is no folder {Path(path).parent}")


def _check_can_plot(path: str | None) -> None:
    if path is None:
        return
    _check_can_write(path)
    if Path(path).suffix.lower() not in PLOT_FORMATS:
        raise CommandError(f"--plot {path}: the name must end in one of {', '.join(PLOT_FORMATS)}")
    _check_matplotlib("--plot")


def _check_can_report(path: str | None) -> None:
    if path is None:
        return
    _check_can_write(path)
    if Path(path).suffix.lower() not in REPORT_FORMATS:
        raise CommandError(f"--report {path}: the name must end in one of {', '.join(REPORT_FORMATS)}")
    _check_matplotlib("--report")


def _check_matplotlib(flag: str) -> None:
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise CommandError(f'{flag} needs matplotlib: pip install "scorematch[plot]"') from None


def _progress(verbose: bool) -> Callable[[str], None]:
    return (lambda message: print(f"scorematch: {message}", file=sys.stderr)) if verbose else (lambda message: None)


def _print_json(contents: Any) -> None:
    print(json.dumps(_finite(contents), indent=1, allow_nan=False))


def _finite(contents: Any) -> Any:
    """JSON knows no infinities: None in their place."""
    if isinstance(contents, dict):
        return {key: _finite(value) for key, value in contents.items()}
    if isinstance(contents, list | tuple):
        return [_finite(value) for value in contents]
    return None if isinstance(contents, float) and not math.isfinite(contents) else contents


def _first_sentence(text: str) -> str:
    return re.split(r"(?<=[.])\s", text, maxsplit=1)[0]


def _width() -> int:
    return max(40, shutil.get_terminal_size((100, 24)).columns)
