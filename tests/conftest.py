"""Fixtures that several test files share."""

import signal

import numpy as np
import pytest
from scorematch import _core


@pytest.fixture(params=_core.supported_levels())
def level(request):
    """Each instruction-set level that this processor has, in use during the test."""
    before = _core.level()
    _core.use_level(request.param)
    yield request.param
    _core.use_level(before)


@pytest.fixture(params=[np.float32, np.float64], ids=["float32", "float64"])
def dtype(request):
    return request.param


@pytest.fixture
def ctrl_c():
    """Python's own handler, which it does not install in a process that a shell started in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
