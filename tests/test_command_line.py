"""The command line: what it reads, writes and refuses."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import scorematch
from scorematch.__main__ import main
from scorematch._cli import data, options, parser, tables
from scorematch._registry import families


class Outcome(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The one line of an error; fails where there is more, or less."""
        assert self.code == 2
        assert self.out == ""
        lines = [line for line in self.err.splitlines() if not line.startswith("scorematch: note: ")]
        assert len(lines) == 1
        assert lines[0].startswith("scorematch: error: ")
        return lines[0].removeprefix("scorematch: error: ")

    @property
    def json(self) -> Any:
        assert self.code == 0, self.err
        return json.loads(self.out)


@pytest.fixture
def run(capsys, monkeypatch, tmp_path):
    """Runs a command in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")

    def run(*arguments: str) -> Outcome:
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        return Outcome(code, *capsys.readouterr())

    return run


@pytest.fixture
def numbers():
    return np.random.default_rng(0).normal([1.0, -2.0, 3.0], [1.0, 2.0, 0.5], size=(60, 3))


def write(path: str, text: str, encoding: str = "utf-8") -> str:
    Path(path).write_bytes(text.encode(encoding))
    return path


def lines_of(values: np.ndarray, delimiter: str = ",") -> str:
    return "".join(delimiter.join(map(repr, row)) + "\n" for row in values.tolist())


def fitted_mean(outcome: Outcome) -> np.ndarray:
    return np.asarray(outcome.json["params"]["mean"])


GAUSSIAN = ("--model", "gaussian", "--json")


# -- reading ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("header", [True, False])
def test_delimiter_and_header_are_found_out(run, numbers, delimiter, header):
    names = delimiter.join(["first", "second", "third"]) + "\n" if header else ""
    result = run("fit", write("x.txt", names + lines_of(numbers, delimiter)), *GAUSSIAN)
    np.testing.assert_allclose(fitted_mean(result), numbers.mean(axis=0), rtol=1e-12)
    assert result.json["data"]["feature_names"] == (["first", "second", "third"] if header else None)
    assert result.json["data"]["n_samples"] == 60
    assert result.err == ""


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("\ufeffa,b\n1,2\n3,5\n4,4\n", "utf-8"),
        ("a,b\n1,2\n3,5\n4,4\n", "utf-16"),
        ("a,b\r\n1,2\r\n3,5\r\n4,4\r\n", "utf-8"),
        ('"a","b"\n"1","2"\n"3","5"\n"4","4"\n', "utf-8"),
        ("\n\na,b\n\n1,2\n   \n3,5\n4,4\n\n", "utf-8"),
        ("a , b\n 1, 2\n 3 ,5\n+4,.4e1", "utf-8"),
    ],
    ids=["byte-order mark", "UTF-16", "CRLF", "quotes", "blank lines", "spaces"],
)
def test_dialects(run, text, encoding):
    result = run("fit", write("x.csv", text, encoding), *GAUSSIAN)
    assert result.json["data"]["feature_names"] == ["a", "b"]
    np.testing.assert_allclose(fitted_mean(result), [8 / 3, 11 / 3])


def test_quoted_names_may_hold_delimiters_and_line_breaks(run):
    text = '"height, cm","wei\nght"\n1,2\n3,5\n4,4\n'
    result = run("fit", write("x.csv", text), "--columns", '"height, cm"', *GAUSSIAN)
    assert result.json["data"]["feature_names"] == ["height, cm"]
    assert run("fit", "x.csv", *GAUSSIAN).json["data"]["feature_names"] == ["height, cm", "wei\nght"]


def test_windows_text_is_read_with_a_note(run):
    result = run("fit", write("x.csv", "größe,b\n1,2\n3,5\n4,4\n", "cp1252"), *GAUSSIAN)
    assert result.json["data"]["feature_names"] == ["größe", "b"]
    assert result.err == "scorematch: note: x.csv is not UTF-8 text; it is read as Windows-1252\n"


def test_header_can_be_forced(run):
    write("x.csv", "1990,1991\n1,2\n3,5\n4,4\n")
    assert run("fit", "x.csv", *GAUSSIAN).json["data"]["n_samples"] == 4
    assert run("fit", "x.csv", "--header", *GAUSSIAN).json["data"]["feature_names"] == ["1990", "1991"]
    write("y.csv", "x,2\n3,5\n4,4\n")
    assert "'x', which is not a number" in run("fit", "y.csv", "--no-header", *GAUSSIAN).error


def test_names_that_are_empty_or_twice_are_made_distinct(run):
    result = run("fit", write("x.csv", ",a,a\n1,2,3\n3,5,1\n4,4,4\n9,1,0\n"), *GAUSSIAN)
    assert result.json["data"]["feature_names"] == ["column 0", "a", "a 2"]


def test_text_columns_are_left_out_with_a_note(run):
    text = "name,height,empty,weight\nAnn,1,,2\nBob,3,,5\nCy,4,,4\n"
    result = run("fit", write("x.csv", text), *GAUSSIAN)
    assert result.json["data"]["feature_names"] == ["height", "weight"]
    assert result.json["data"]["left_out_columns"] == ["name", "empty"]
    assert result.err == "scorematch: note: left out 2 columns without numbers: 'name', 'empty'\n"
    assert (
        "column 'name' of x.csv holds no numbers, but such as 'Ann'"
        in run("fit", "x.csv", "--columns", "name", *GAUSSIAN).error
    )
    assert "x.csv has no column of numbers" in run("fit", write("x.csv", "a b\nc d\ne f\n"), *GAUSSIAN).error


def test_headerless_text_columns(run):
    result = run("fit", write("x.csv", "1,2,setosa\n3,5,setosa\n4,4,virginica\n"), *GAUSSIAN)
    assert result.json["data"]["n_samples"] == 3
    assert result.json["data"]["feature_names"] is None
    assert result.json["data"]["left_out_columns"] == ["column 2"]


@pytest.mark.parametrize("missing", ["", "NA", "nan", "NULL", "?", " n/a "])
def test_missing_values(run, missing):
    write("x.csv", f"a,b\n1,2\n\n3,5\n4,{missing}\n9,9\n{missing},1\n")
    message = run("fit", "x.csv", *GAUSSIAN).error
    assert message.startswith("x.csv has a missing value in row 3 (line 5), column 'b'")
    assert "2 of 5 rows" in message
    assert "--drop-missing" in message
    result = run("fit", "x.csv", "--drop-missing", *GAUSSIAN)
    assert result.json["data"]["n_samples"] == 3
    assert result.json["data"]["dropped_rows"] == 2
    assert result.err == "scorematch: note: dropped 2 of 5 rows with missing values\n"
    np.testing.assert_allclose(fitted_mean(result), [13 / 3, 16 / 3])
    # A column that is not used does not matter.
    assert run("fit", write("x.csv", f"a,b,c\n1,2,\n3,5,{missing}\n4,4,7\n"), "--columns", "a,b", *GAUSSIAN).code == 0


def test_rows_that_are_all_missing(run):
    write("x.csv", "a,b\n1,\n,2\n")
    assert run("fit", "x.csv", "--drop-missing", *GAUSSIAN).error == "every row of x.csv has a missing value"


def test_bad_cells_are_named(run, numbers):
    # Far down, where the beginning of the file told nothing of it.
    rows = lines_of(np.tile(numbers, (100, 1))).splitlines()
    rows[4000] = "1.0,oops,2.0"
    message = run("fit", write("x.csv", "a,b,c\n" + "\n".join(rows)), *GAUSSIAN).error
    assert message == "x.csv: row 4001 (line 4002), column 'b' is 'oops', which is not a number"
    message = run("fit", write("x.csv", "1;2\n1,5;3\n4;4\n"), *GAUSSIAN).error
    assert (
        message
        == "x.csv: row 2 (line 2), column 'column 0' is '1,5', which is not a number (decimal commas are not read)"
    )
    assert "infinite value in row 2" in run("fit", write("x.csv", "1,2\n1,inf\n4,4\n"), *GAUSSIAN).error
    assert "infinite value" in run("fit", write("x.csv", "1,2\n1,inf\n4,4\n"), "--drop-missing", *GAUSSIAN).error


@pytest.mark.parametrize("text", ["a,b\n1,2\n3,5,6\n4,4\n", "a,b\n1,2\n3\n4,4\n", "a,b,t\n1,2,u\n1,2,3,v\n4,4,w\n"])
def test_ragged_rows(run, text):
    assert run("fit", write("x.csv", text), *GAUSSIAN).error.startswith("x.csv: line 3 has ")


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (b"", "x.csv is empty"),
        (b"\n\n", "x.csv is empty"),
        (b"a,b\n", "x.csv has no rows of data"),
        (b"\x00\x01\x02", "x.csv is not a text file"),
        (b"\x93NUMPY\x01", "cannot read x.csv"),
        (b"PAR1....", "cannot read x.csv"),
    ],
)
def test_unreadable_files(run, contents, message):
    Path("x.csv").write_bytes(contents)
    assert message in run("fit", "x.csv", *GAUSSIAN).error


def test_missing_files_and_folders(run):
    assert run("fit", "nowhere.csv", *GAUSSIAN).error == "cannot read nowhere.csv: No such file or directory"
    assert run("fit", ".", *GAUSSIAN).error == "cannot read .: Is a directory"
    assert run("terms", "nowhere.json", "x.csv").error == "cannot read nowhere.json: No such file or directory"
    assert "there is no folder" in run("fit", "x.csv", *GAUSSIAN, "--output", "nowhere/model.json").error
    assert "is a folder" in run("fit", "x.csv", *GAUSSIAN, "--output", ".").error


def test_careful_and_fast_reading_agree(run, numbers, monkeypatch):
    write("x.csv", "a,b,c\n" + lines_of(numbers))
    fast = data.read_table("x.csv", None)
    monkeypatch.setattr(data._Csv, "_load_fast", lambda self: None)
    careful = data.read_table("x.csv", None)
    np.testing.assert_array_equal(fast.values, numbers)
    np.testing.assert_array_equal(careful.values, numbers)


def test_careful_reading_joins_its_chunks(run, monkeypatch):
    monkeypatch.setattr(data, "CHUNK", 7)
    values = np.arange(50.0).reshape(25, 2)
    write("x.csv", "a,b,t\n" + "".join(f"{a},{b},t\n" for a, b in values))
    np.testing.assert_array_equal(data.read_table("x.csv", None).values, values)


def test_npy(run, numbers):
    np.save("x.npy", numbers)
    np.testing.assert_allclose(fitted_mean(run("fit", "x.npy", *GAUSSIAN)), numbers.mean(axis=0))
    table = data.read_table("x.npy", None)
    assert isinstance(table.values, np.memmap)  # read as it is used, not into memory
    np.save("x.npy", numbers.astype(np.float32))
    assert data.read_table("x.npy", None).values.dtype == np.float32
    np.save("x.npy", np.arange(6).reshape(3, 2))
    assert data.read_table("x.npy", None).values.dtype == np.float64
    np.save("x.npy", numbers[:, 0])
    assert data.read_table("x.npy", None).values.shape == (60, 1)
    np.save("x.npy", np.array([(1, 2.0), (3, 4.0)], dtype=[("a", int), ("b", float)]))
    assert data.read_table("x.npy", None).names == ["a", "b"]
    numbers[3, 1] = np.nan
    np.save("x.npy", numbers)
    assert "missing value in row 4, column 'column 1'" in run("fit", "x.npy", *GAUSSIAN).error
    assert run("fit", "x.npy", "--drop-missing", *GAUSSIAN).json["data"]["n_samples"] == 59


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.array(["a", "b"]), "not real numbers"),
        (np.ones(3, dtype=complex), "not real numbers"),
        (np.ones((2, 2, 2)), "its shape is (2, 2, 2)"),
        (np.array([{}], dtype=object), "cannot read x.npy"),
    ],
)
def test_npy_of_other_things(run, array, message):
    np.save("x.npy", array)
    assert message in run("fit", "x.npy", *GAUSSIAN).error


def test_parquet(run, numbers):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    frame = pandas.DataFrame(numbers, columns=["a", "b", "c"]).assign(name="x", when=pandas.Timestamp("2020-01-01"))
    frame["count"] = np.arange(60)
    frame[frame["a"] > -9].to_parquet("x.parquet")  # with an index of its own
    result = run("fit", "x.parquet", "--columns", "a,b,c", *GAUSSIAN)
    np.testing.assert_allclose(fitted_mean(result), numbers.mean(axis=0))
    result = run("fit", "x.parquet", *GAUSSIAN)
    assert result.json["data"]["feature_names"] == ["a", "b", "c", "count"]
    assert result.json["data"]["left_out_columns"] == ["name", "when"]
    frame.loc[5, "b"] = None
    frame.to_parquet("x.parquet")
    assert "missing value in row 6, column 'b'" in run("fit", "x.parquet", *GAUSSIAN).error
    frame[["a"]].astype("float32").to_parquet("x.parquet")
    assert data.read_table("x.parquet", None).values.dtype == np.float32


def test_parquet_without_pyarrow(run, monkeypatch):
    Path("x.parquet").write_bytes(b"PAR1")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert run("fit", "x.parquet", *GAUSSIAN).error == (
        'reading x.parquet needs pyarrow: pip install "scorematch[parquet]"'
    )


def test_csv_needs_neither_pandas_nor_pyarrow(run, numbers, monkeypatch):
    for name in ("pandas", "pyarrow"):
        monkeypatch.setitem(sys.modules, name, None)
    write("x.csv", lines_of(numbers))
    assert data.read_table("x.csv", None).values.shape == (60, 3)


@pytest.mark.parametrize("name", ["iris", "wine", "breast_cancer", "diabetes", "digits"])
def test_datasets(run, name):
    result = run("fit", "--dataset", name, "--model", "gaussian", "--covariance-type", "spherical", "--json")
    assert len(result.json["data"]["feature_names"]) == result.json["data"]["n_features"]


def test_standard_input(run, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a,b\n1,2\n3,5\n4,4\n")))
    result = run("fit", "-", *GAUSSIAN)
    assert result.json["data"]["source"] == "standard input"
    assert result.json["data"]["n_samples"] == 3


# -- columns, weights, scale -------------------------------------------------------------------------------------------


def test_columns(run):
    both = run("fit", "--dataset", "iris", "--columns", "petal width (cm),sepal length (cm)", *GAUSSIAN)
    repeated = run(
        "fit", "--dataset", "iris", "--columns", "petal width (cm)", "--columns", "sepal length (cm)", *GAUSSIAN
    )
    assert both.json["data"]["feature_names"] == ["petal width (cm)", "sepal length (cm)"]
    assert both.json["params"] == repeated.json["params"]
    message = run("fit", "--dataset", "iris", "--columns", "petal widht (cm)", *GAUSSIAN).error
    assert "did you mean 'petal width (cm)'?" in message
    assert "sepal length (cm), sepal width (cm), petal length (cm), petal width (cm)" in message
    assert "twice" in run("fit", "--dataset", "iris", "--columns", "sepal width (cm),sepal width (cm)", *GAUSSIAN).error


def test_columns_by_number_where_there_are_no_names(run, numbers):
    write("x.csv", lines_of(numbers))
    np.testing.assert_allclose(
        fitted_mean(run("fit", "x.csv", "--columns", "2,0", *GAUSSIAN)), numbers[:, [2, 0]].mean(axis=0)
    )
    for wrong in ("3", "-1", "a"):
        assert "give a number from 0 to 2" in run("fit", "x.csv", f"--columns={wrong}", *GAUSSIAN).error


def test_weights_are_rows_counted_more_than_once(run):
    write("x.csv", "a,b,w\n1,2,1\n3,5,2\n4,4,1\n7,0,0\n")
    write("y.csv", "a,b\n1,2\n3,5\n3,5\n4,4\n")
    weighted = run("fit", "x.csv", "--weights-column", "w", *GAUSSIAN).json
    repeated = run("fit", "y.csv", *GAUSSIAN).json
    np.testing.assert_allclose(weighted["theta"], repeated["theta"])
    assert weighted["score"] == pytest.approx(repeated["score"])
    assert weighted["data"]["feature_names"] == ["a", "b"]
    assert (
        "--columns and in --weights-column"
        in run("fit", "x.csv", "--weights-column", "w", "--columns", "a,w", *GAUSSIAN).error
    )
    assert (
        "must be finite and not negative"
        in run("fit", write("z.csv", "a,w\n1,-1\n2,3\n"), "--weights-column", "w", *GAUSSIAN).error
    )


def test_standardize(run):
    from sklearn.datasets import load_iris

    X = load_iris().data
    Z = (X - X.mean(axis=0)) / X.std(axis=0)
    result = run("fit", "--dataset", "iris", "--standardize", "--output", "model.json", *GAUSSIAN).json
    expected = scorematch.Gaussian().fit(Z)
    np.testing.assert_allclose(result["params"]["covariance"], expected.covariance_, rtol=1e-10, atol=1e-10)
    assert result["score"] == pytest.approx(expected.score(Z))
    assert result["score_scale"] == "standardized"

    contents = json.loads(Path("model.json").read_text())
    np.testing.assert_allclose(contents["preprocessing"]["standardize"]["mean"], X.mean(axis=0))
    np.testing.assert_allclose(contents["preprocessing"]["standardize"]["scale"], X.std(axis=0))
    loaded = scorematch.load_model("model.json")
    np.testing.assert_allclose(loaded.covariance_, expected.covariance_, rtol=1e-10, atol=1e-10)

    terms = run("terms", "model.json", "--dataset", "iris")
    assert "standardised" in terms.err
    norm_term, hessian_term = expected.score_matching_terms(Z)
    rows = np.loadtxt(io.StringIO(terms.out), delimiter=",", skiprows=1)
    np.testing.assert_allclose(rows, np.column_stack([norm_term, hessian_term, norm_term + hessian_term]), rtol=1e-9)

    table = run("fit", "--dataset", "iris", "--standardize", "--model", "gaussian").out
    assert "on standardised data" in table
    assert "on the data's own scale" in run("fit", "--dataset", "iris", "--model", "gaussian").out


def test_standardize_uses_the_weights(run):
    write("x.csv", "a,b,w\n1,2,1\n3,5,2\n4,4,1\n7,0,0\n")
    result = run("fit", "x.csv", "--weights-column", "w", "--standardize", *GAUSSIAN).json
    np.testing.assert_allclose(result["params"]["mean"], [0, 0], atol=1e-12)
    np.testing.assert_allclose(np.diagonal(result["params"]["covariance"]), [1, 1])


def test_standardize_is_refused_where_it_makes_no_sense(run):
    write("x.csv", "a,b\n1,2\n1,5\n1,4\n")
    assert "column 'a' is constant" in run("fit", "x.csv", "--standardize", *GAUSSIAN).error
    assert (
        "--standardize does not go with the domain non-negative"
        in run("fit", "x.csv", "--standardize", "--domain", "non-negative", "--weight", "log1p", *GAUSSIAN).error
    )
    assert (
        "--standardize does not go with the domain sphere"
        in run("fit", "x.csv", "--standardize", "--model", "von-mises-fisher").error
    )


# -- models and their options ----------------------------------------------------------------------------------------


def test_families_that_need_a_function_are_left_out(run):
    left_out = {family.__name__ for family in families()} - {family.__name__ for family in parser.models().values()}
    assert left_out == {"ExponentialFamily"}
    assert "exponential-family" not in run("models", "--json").json
    assert "unknown model 'exponential-family'" in run("fit", "x.csv", "--model", "exponential-family").error


@pytest.mark.parametrize("family", parser.models().values(), ids=lambda cls: cls.__name__)
def test_every_constructor_argument_is_an_option(run, family):
    """Listed with its default and help, and accepted by `fit`."""
    name = options.kebab(family.__name__)
    listed = {entry["flag"]: entry for entry in run("models", "--json").json[name]["options"]}
    parameters = {
        argument: parameter
        for argument, parameter in options.constructor(family).items()
        if argument not in ("n_jobs", "random_state", "verbose")
    }
    assert list(listed) == [f"--{argument.replace('_', '-')}" for argument in parameters]
    assert all(entry["help"] for entry in listed.values())
    text = run("models").out
    help_text = run("fit", "--model", name, "--help").out
    for flag in listed:
        assert flag in text
        assert flag in help_text


def test_options_reach_the_constructor(run):
    arguments = (
        "fit --dataset iris --model gaussian-mixture --n-components 2 --reg-covar 1e-3 --covariance-type diag "
        "--n-init 1 --n-jobs 1 --random-state 5 --json"
    )
    result = run(*arguments.split()).json
    expected = {"n_components": 2, "reg_covar": 1e-3, "covariance_type": "diag", "n_init": 1, "n_jobs": 1}
    assert expected.items() <= result["options"].items()
    assert result["options"]["random_state"] == 5
    assert np.shape(result["params"]["covariances"]) == (2, 4)


@pytest.mark.parametrize(("flag", "value"), [("--whiten", True), ("--no-whiten", False)])
def test_switches(run, flag, value):
    result = run("fit", "--dataset", "iris", "--model", "ica", flag, "--max-iter", "3", "--json").json
    assert result["options"]["whiten"] is value
    assert any("did not converge" in warning for warning in result["warnings"]) is not result["converged"]


def test_minibatches(run):
    result = run("fit", "--dataset", "iris", "--model", "ica", "--batch-size", "50", "--max-epochs", "300")
    assert "yes, " in result.out
    assert " epochs\n" in result.out
    assert run("fit", "--dataset", "iris", "--model", "ica", "--batch-size", "0").error.startswith(
        "--batch-size must be an integer of at least 1; got 0"
    )
    message = run("fit", "--dataset", "iris", "--model", "ica", "--orthogonal", "--no-whiten").error
    assert "--orthogonal is for whitened data" in message


def test_domains_and_weights(run):
    write("x.csv", lines_of(np.abs(np.random.default_rng(0).normal(size=(200, 2)))))
    for text, weight in {
        "min-power:c=2,p=1.5": scorematch.MinPower(c=2.0, p=1.5),
        "min-power:c=1,c=2": scorematch.MinPower(c=(1.0, 2.0)),
        "min-power": scorematch.MinPower(),
        "log1p": scorematch.Log1p(),
    }.items():
        assert (
            run("fit", "x.csv", "--domain", "non-negative", "--weight", text, "--output", "m.json", *GAUSSIAN).code == 0
        )
        loaded = scorematch.load_model("m.json")
        assert loaded.domain == scorematch.NonNegative()
        assert type(loaded.weight) is type(weight)
        assert np.all(loaded.weight([0.5, 3.0])[0] == weight([0.5, 3.0])[0])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--domain", "non-negativ"], "did you mean 'non-negative'?"),
        (["--weight", "min-power:q=1"], "min-power has no parameter 'q'; it takes c, p"),
        (["--weight", "min-power:c=x"], "c must be a number; got 'x'"),
        (["--weight", "min-power:c=-1"], "c must be positive"),
        (["--weight", "power:p=1,p=2"], "p is given 2 times"),
        (["--weight", "log1p:p=1"], "it takes none"),
        (["--covariance-type", "round"], "invalid choice: 'round'"),
        (["--n-components", "3"], "gaussian has no option --n-components. Its options are --covariance-type"),
        (["--covariance-typ", "full"], "did you mean '--covariance-type'?"),
        (["--n-jobs", "two"], "invalid int value: 'two'"),
        (["--n-jobs", "0"], "n_jobs must be"),
        (["more.csv"], "unknown argument 'more.csv'"),
    ],
)
def test_wrong_options(run, arguments, message):
    write("x.csv", "1,2\n3,5\n4,4\n")
    assert message in run("fit", "x.csv", "--model", "gaussian", *arguments).error


def test_wrong_values_of_model_options(run):
    arguments = ("fit", "--dataset", "iris", "--model", "gaussian-mixture", "--n-components")
    assert "'three' is not an integer" in run(*arguments, "three").error
    assert "--n-components must be an integer of at least 1" in run(*arguments, "0").error


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give a command"),
        (["fitt"], "invalid choice: 'fitt'"),
        (["fit"], "fit needs --model NAME; models are exponential-square-root, gamma-interaction, gaussian, "),
        (["fit", "--model"], "expected one argument"),
        (["fit", "--model", "gausian"], "did you mean 'gaussian'?"),
        (["fit", "--model", "gaussian"], "give a file of data, or --dataset NAME"),
        (["fit", "x.csv", "--dataset", "iris", "--model", "gaussian"], "not both"),
        (["fit", "--dataset", "irises", "--model", "gaussian"], "invalid choice: 'irises'"),
        (["terms"], "MODEL.json"),
        (["sample"], "MODEL.json"),
        (["info", "--wide"], "unknown option '--wide'"),
    ],
)
def test_wrong_use(run, arguments, message):
    assert message in run(*arguments).error


def test_help_and_version(run):
    assert run("--version").out == f"scorematch {scorematch.__version__}\n"
    assert "fit" in run("--help").out
    assert "scorematch models" in run("fit", "--help").out
    assert "--covariance-type" not in run("fit", "--help").out


def test_kebab_names():
    assert [options.kebab(name) for name in ("VonMisesFisher", "ICA", "GaussianBernoulliRBM", "Log1p", "StudentT")] == [
        "von-mises-fisher", "ica", "gaussian-bernoulli-rbm", "log1p", "student-t",
    ]  # fmt: skip


def test_messages_of_the_library_speak_of_flags():
    known = options.model_options(scorematch.Gaussian) + options.model_options(scorematch.ICA)
    for message, expected in {
        "domain=NonNegative() needs it": "--domain non-negative needs it",
        "pass weight=scorematch.MinPower(c=1.0)": "pass --weight min-power:c=1.0",
        "covariance_type='diag' or 'spherical'": "--covariance-type diag or 'spherical'",
        "whiten=False, or whiten=True": "--no-whiten, or --whiten",
        "n_components=3.": "--n-components 3.",
        "a larger max_iter, or more starts (n_init)": "a larger --max-iter, or more starts (--n-init)",
    }.items():
        assert options.in_flags(message, known) == expected


# -- what is printed and written -------------------------------------------------------------------------------------


def test_table(run):
    from sklearn.datasets import load_iris

    out = run("fit", "--dataset", "iris", "--model", "gaussian").out
    X = load_iris().data
    lines = out.splitlines()
    assert lines[0] == "gaussian"
    assert "150 rows × 4 columns of iris" in out
    assert "convergence  yes, 1 iteration" in out
    assert f"{scorematch.Gaussian().fit(X).score(X):.6g} on the data's own scale" in out
    mean = next(line for line in lines if line.startswith("  sepal length (cm)"))
    estimate, error = map(float, mean.split()[-2:])
    assert estimate == pytest.approx(X[:, 0].mean(), abs=5e-4)
    assert error == pytest.approx(X[:, 0].std() / np.sqrt(150), abs=5e-5)
    covariance = [line for line in lines if line.startswith("  petal width (cm)")][-1]
    np.testing.assert_allclose([float(text) for text in covariance.split()[-4:]], np.cov(X.T, bias=True)[3], atol=5e-4)
    assert max(map(len, lines)) <= 100


def test_standard_errors(run):
    from sklearn.datasets import load_iris

    X = load_iris().data
    arguments = ("fit", "--dataset", "iris", "--model", "gaussian")
    result = run(*arguments, "--json").json
    model = scorematch.Gaussian().fit(X)
    for name, errors in result["standard_errors"].items():
        assert np.shape(errors) == np.shape(result["params"][name])
        np.testing.assert_allclose(np.ravel(errors), np.sqrt(np.diagonal(model.covariance(of=name))))
    assert set(result["standard_errors"]) == {"mean", "covariance"}
    assert "std. error" in run(*arguments).out
    # A number has its own beside it.
    sphere = X[:, :2] / np.linalg.norm(X[:, :2], axis=1, keepdims=True)
    np.savetxt("sphere.csv", sphere, delimiter=",", header="a,b", comments="")
    out = run("fit", "sphere.csv", "--model", "von-mises-fisher").out
    assert re.search(r"^concentration  \d+\.?\d*  \(std\. error \d+\.?\d*\)$", out, re.MULTILINE)


def test_standard_errors_of_many_parameters_are_left_out(run):
    X = np.random.default_rng(0).normal(size=(40, 17))
    np.savetxt("wide.csv", X, delimiter=",")
    assert len(scorematch.Gaussian().fit(X).theta_) > 150
    arguments = ("fit", "wide.csv", "--model", "gaussian")
    assert run(*arguments, "--json").json["standard_errors"] == {}
    assert "std. error" not in run(*arguments).out


def test_a_fit_does_not_fail_for_its_standard_errors(run, monkeypatch):
    def refuse(self, **options):
        raise ValueError("too little is known")

    monkeypatch.setattr(scorematch.Gaussian, "covariance", refuse)
    result = run("fit", "--dataset", "iris", *GAUSSIAN)
    assert result.json["standard_errors"] == {}
    assert "note: there are no standard errors: too little is known" in result.err


def test_tables_fit_the_terminal(run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    out = run("fit", "--dataset", "breast_cancer", "--model", "gaussian", "--covariance-type", "diag").out
    covariance = out[out.index("covariance ") :].splitlines()
    assert max(map(len, covariance[:-1])) <= 60
    assert "… 15 more rows" in out


def test_number_texts():
    assert tables.number_texts(np.array([5.8433, -0.5, 12.25])) == ["5.84", "-0.50", "12.25"]
    assert tables.number_texts(np.array([1e-9, 2e-9])) == ["1.000e-09", "2.000e-09"]
    assert tables.number_texts(np.array([0.0, 0.0])) == ["0", "0"]
    assert tables.number_texts(np.array([-1e-6, 1.0])) == ["0.000", "1.000"]
    assert tables.number_texts(np.array([np.nan, 1.0])) == ["–", "1.000"]
    assert tables.number_texts(np.array([np.nan, np.inf])) == ["–", "inf"]
    assert tables.number_texts(np.array([np.inf, 1.0])) == ["inf", "1.000e+00"]


@pytest.mark.parametrize("kind", ["full", "tied", "diag", "spherical"])
def test_axes_are_told_apart_even_where_their_lengths_agree(kind):
    """With as many components as features only the documentation tells which axis is which."""
    shape = {"full": (2, 2, 2), "tied": (2, 2), "diag": (2, 2), "spherical": (2,)}[kind]
    model = scorematch.GaussianMixture(2, kind)
    assert (
        options.axes_of(model, "covariances", shape)
        == {
            "full": ("n_components", "n_features", "n_features"),
            "tied": ("n_features", "n_features"),
            "diag": ("n_components", "n_features"),
            "spherical": ("n_components",),
        }[kind]
    )
    assert options.axes_of(model, "means", (2, 2)) == ("n_components", "n_features")


def test_json_is_all_that_is_printed(run):
    result = run("fit", "--dataset", "iris", "--model", "gaussian-mixture", "--n-components", "2", "--n-init", "1",
                 "--verbose", "--json")  # fmt: skip
    assert result.json["model"] == "gaussian-mixture"
    assert result.json["score"] == pytest.approx(-result.json["objective"])
    assert len(result.json["theta"]) == len(result.json["theta_names"])
    assert "iteration" in result.err  # the progress
    assert "scorematch: read 150 rows and 4 columns" in result.err


def test_the_same_command_gives_the_same_result(run):
    arguments = ("fit", "--dataset", "iris", "--model", "ica", "--json")
    first, second = (run(*arguments).json for _ in range(2))
    del first["fit_seconds"], second["fit_seconds"]
    assert first == second
    assert run(*arguments, "--random-state", "1").json["params"] != first["params"]


def test_warnings_are_single_lines(run):
    result = run("fit", "--dataset", "iris", "--model", "ica", "--max-iter", "2")
    assert result.code == 0
    warning = [line for line in result.err.splitlines() if line.startswith("scorematch: warning: ")]
    assert len(warning) == len(result.err.splitlines())
    assert "did not converge" in warning[0]
    assert "no, stopped after 2 iterations" in result.out


def test_errors_of_the_library_speak_of_the_table(run):
    assert "row 1 does not" in run("fit", "--dataset", "iris", "--model", "von-mises-fisher").error
    assert "--normalize rescales" in run("fit", "--dataset", "iris", "--model", "von-mises-fisher").error
    write("x.csv", "u,v\n1,2\n,3\n4,-5\n6,7\n")
    message = run("fit", "x.csv", "--drop-missing", "--domain", "non-negative", "--weight", "log1p", *GAUSSIAN).error
    assert "row 3 does not: column 'v' is -5" in message
    constant = run("fit", "--dataset", "digits", *GAUSSIAN)
    assert "column 'pixel_0_0' is constant" in constant.json["warnings"][0]


def test_info(run):
    from scorematch._config import config

    out = run("info").out
    assert out.splitlines()[0].split() == ["scorematch", scorematch.__version__]
    assert list(run("info", "--json").json) == list(config())


# -- terms -----------------------------------------------------------------------------------------------------------


def test_terms_are_exact_and_columns_are_found_by_name(run, numbers):
    write("x.csv", "a,b,c\n" + lines_of(numbers))
    assert run("fit", "x.csv", "--columns", "c,a", "--output", "model.json", *GAUSSIAN).code == 0
    model = scorematch.Gaussian().fit(numbers[:, [2, 0]])
    norm_term, hessian_term = model.score_matching_terms(numbers[:, [2, 0]])
    write("shuffled.csv", "b,name,a,c\n" + "".join(f"{b!r},x,{a!r},{c!r}\n" for a, b, c in numbers.tolist()))
    for source in ("x.csv", "shuffled.csv"):
        result = run("terms", "model.json", source)
        assert result.err == ""
        rows = list(csv.DictReader(io.StringIO(result.out)))
        assert list(rows[0]) == ["norm_term", "hessian_term", "hyvarinen_score"]
        assert [float(row["norm_term"]) for row in rows] == norm_term.tolist()
        assert [float(row["hessian_term"]) for row in rows] == hessian_term.tolist()
        assert [float(row["hyvarinen_score"]) for row in rows] == (norm_term + hessian_term).tolist()
    assert run("terms", "model.json", "x.csv", "--output", "terms.csv") == (0, "", "")
    assert Path("terms.csv").read_text() == result.out
    assert list(scorematch.load_model("model.json").feature_names_in_) == ["c", "a"]


def test_terms_refuses_what_does_not_fit(run, numbers):
    write("x.csv", "a,b,c\n" + lines_of(numbers))
    run("fit", "x.csv", "--output", "model.json", *GAUSSIAN)
    assert "has no column 'a'" in run("terms", "model.json", write("y.csv", "u,v\n1,2\n3,4\n")).error
    write("y.csv", "1,2\n3,4\n")
    assert "has no column names" in run("terms", "model.json", "y.csv").error
    assert "a model of 3 columns; y.csv gives 2" in run("terms", "model.json", "y.csv", "--columns", "0,1").error
    assert "x.csv is not a model file" in run("terms", "x.csv", "x.csv").error
    assert "not a scorematch model" in run("terms", write("z.json", "{}"), "x.csv").error
    write("y.csv", "a,b,c\n1,2,3\n4,,6\n")
    assert "missing value in row 2" in run("terms", "model.json", "y.csv").error
    assert len(run("terms", "model.json", "y.csv", "--drop-missing").out.splitlines()) == 2


def test_sample_draws_what_the_library_does(run, numbers):
    write("x.csv", '"a,b",c,d\n' + lines_of(numbers))
    run("fit", "x.csv", "--output", "model.json", *GAUSSIAN)
    model = scorematch.load_model("model.json")
    result = run("sample", "model.json", "--n-samples", "50", "--random-state", "3")
    assert result.err == ""
    rows = list(csv.reader(io.StringIO(result.out)))
    assert rows[0] == ["a,b", "c", "d"]
    np.testing.assert_array_equal(np.array(rows[1:], dtype=float), model.sample(50, 3))
    options = ("--n-samples", "40", "--method", "hmc", "--n-chains", "10", "--n-warmup", "100", "--thin", "2")
    result = run("sample", "model.json", *options, "--output", "draws.csv")
    assert result == (0, "", "")
    draws = np.loadtxt("draws.csv", delimiter=",", skiprows=1)
    np.testing.assert_array_equal(draws, model.sample(40, 0, "hmc", n_chains=10, n_warmup=100, thin=2))
    assert "method='exact' has none" in run("sample", "model.json", "--method", "exact", "--thin", "2").error
    assert "n_samples must be an integer" in run("sample", "model.json", "--n-samples", "0").error
    assert "invalid choice: 'best'" in run("sample", "model.json", "--method", "best").error
    assert "cannot read" in run("sample", "nowhere.json").error


def test_sample_is_on_the_scale_of_the_data(run):
    from sklearn.datasets import load_iris

    run("fit", "--dataset", "iris", "--standardize", "--output", "model.json", *GAUSSIAN)
    result = run("sample", "model.json", "--n-samples", "4000")
    rows = np.loadtxt(io.StringIO(result.out), delimiter=",", skiprows=1)
    X = load_iris().data
    np.testing.assert_allclose(rows.mean(axis=0), X.mean(axis=0), atol=0.1)
    np.testing.assert_allclose(np.cov(rows.T), np.cov(X.T), atol=0.25)


def test_models_without_names_take_columns_in_order(run, numbers):
    np.save("x.npy", numbers)
    run("fit", "x.npy", "--output", "model.json", *GAUSSIAN)
    assert not hasattr(scorematch.load_model("model.json"), "feature_names_in_")
    rows = np.loadtxt(io.StringIO(run("terms", "model.json", "x.npy").out), delimiter=",", skiprows=1)
    np.testing.assert_array_equal(rows[:, 2], scorematch.Gaussian().fit(numbers).hyvarinen_score(numbers))


# -- plot ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("suffix", "start"), [("png", b"\x89PNG"), ("pdf", b"%PDF"), ("svg", b"<?xml")])
def test_plot(run, suffix, start):
    pytest.importorskip("matplotlib")
    result = run("fit", "--dataset", "iris", *GAUSSIAN, "--plot", f"fit.{suffix}")
    assert result.json["plot"] == f"fit.{suffix}"
    assert Path(f"fit.{suffix}").read_bytes().startswith(start)


def test_plot_labels_say_that_data_are_standardised(run):
    pytest.importorskip("matplotlib")
    run("fit", "--dataset", "iris", "--standardize", *GAUSSIAN, "--plot", "fit.svg")
    text = Path("fit.svg").read_text()
    assert "(standardised)" in text
    assert "gaussian fitted to iris" in text


def test_plot_is_checked_before_the_fit(run, monkeypatch):
    monkeypatch.setattr(scorematch.Gaussian, "fit", lambda *_, **__: pytest.fail("the fit has started"))
    arguments = ("fit", "--dataset", "iris", *GAUSSIAN, "--plot")
    assert "must end in one of .png, .pdf, .svg" in run(*arguments, "fit.jpeg").error
    assert "there is no folder nowhere" in run(*arguments, "nowhere/fit.png").error
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert run(*arguments, "fit.png").error == '--plot needs matplotlib: pip install "scorematch[plot]"'


# -- signals, pipes, speed -------------------------------------------------------------------------------------------


def command(*arguments: str, **keywords: Any) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "scorematch", *map(str, arguments)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, **keywords,
    )  # fmt: skip


def test_as_a_program(tmp_path):
    write(tmp_path / "x.csv", "a,b\n1,2\n3,5\n4,4\n")
    process = command("fit", tmp_path / "x.csv", "--model", "gaussian", "--json")
    out, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (0, b"")
    assert json.loads(out)["data"]["n_samples"] == 3
    process = command("fit", "--model", "nothing")
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out) == (2, b"")
    assert err.startswith(b"scorematch: error: unknown model 'nothing'")


def test_a_closed_pipe_is_quiet(tmp_path):
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(50_000, 1)))
    assert main(["fit", str(tmp_path / "x.npy"), "--model", "gaussian", "--output", str(tmp_path / "m.json")]) == 0
    process = command("terms", tmp_path / "m.json", tmp_path / "x.npy")
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline() == b"norm_term,hessian_term,hyvarinen_score\n"
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait(timeout=120) == 141
    process.stderr.close()


def test_a_pipe_closed_before_anything_is_written_is_quiet():
    # The output waits in a buffer, which the interpreter tries to write once more when it ends.
    process = command("info")
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait(timeout=120) == 141
    process.stderr.close()


@pytest.mark.usefixtures("ctrl_c")
def test_interrupt_is_quiet(tmp_path):
    # Waiting for data that never come.
    os.mkfifo(tmp_path / "pipe")
    process = command("fit", tmp_path / "pipe", "--model", "gaussian")
    with open(tmp_path / "pipe", "wb"):  # opens once the command reads
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=120)
    assert (process.returncode, out, err) == (130, b"", b"")


def test_interrupts_and_pipes_in_process(run, monkeypatch):
    from scorematch._cli import commands

    for exception, code in ((KeyboardInterrupt, 130), (BrokenPipeError, 141)):

        def fail(_: object, exception: type[BaseException] = exception) -> None:
            raise exception

        monkeypatch.setattr(commands, "run", fail)
        assert run("info") == (code, "", "")

    def full(_: object) -> None:
        raise OSError(28, "No space left on device", "m.json")

    monkeypatch.setattr(commands, "run", full)
    assert run("info").error == "m.json: No space left on device"


def test_a_terminal_without_the_characters_of_tables(tmp_path):
    write(tmp_path / "x.csv", "größe,b\n1,2\n3,5\n4,4\n")
    process = command("fit", tmp_path / "x.csv", "--model", "gaussian", env={**os.environ, "PYTHONIOENCODING": "ascii"})
    out, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (0, b"")
    assert b"3 rows ? 2 columns" in out


def test_help_loads_neither_scikit_learn_nor_numpy():
    program = (
        "import sys; from scorematch.__main__ import main; code = main(['--help']); "
        "sys.exit(code or sum(name in sys.modules for name in ('numpy', 'scipy', 'sklearn', 'matplotlib')))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
