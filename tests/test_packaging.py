"""The installed package: what is in it, and what loading it leaves alone."""

import importlib.metadata
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import scorematch
from scorematch import _core

PACKAGE = Path(scorematch.__file__).parent


def test_version_is_that_of_the_distribution():
    assert scorematch.__version__ == importlib.metadata.version("scorematch")


def test_types_are_shipped():
    assert (PACKAGE / "py.typed").exists()
    assert (PACKAGE / "_core.pyi").exists()


def test_command_is_installed():
    (command,) = importlib.metadata.entry_points(group="console_scripts", name="scorematch")
    assert callable(command.load())


@pytest.mark.parametrize("name", scorematch.__all__)
def test_public_name_loads(name):
    assert getattr(scorematch, name) is not None
    assert name in dir(scorematch)


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Gausian'"):
        _ = scorematch.Gausian


def test_import_leaves_the_processor_as_it_was():
    # Code linked with -ffast-math would make the whole process flush subnormal numbers to zero.
    code = "import numpy as np, scorematch._core; print(np.array([5e-324, 1e-308]) / [1, 2])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(np.array([5e-324, 5e-309]))


def test_module_shows_nothing_but_its_entry():
    # Were more visible, another library's copy of an inline function could take the place of ours.
    nm = shutil.which("nm")
    if nm is None or not sys.platform.startswith("linux"):
        pytest.skip("needs binutils' nm, on Linux")
    command = [nm, "--dynamic", "--defined-only", "--format=posix", _core.__file__]
    listing = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert [line.split()[0] for line in listing.splitlines()] == ["PyInit__core"]
