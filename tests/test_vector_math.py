"""The elementary functions of the core (cpp/include/scorematch/vector_math.hpp) at every level this machine can run.

The truth is mpmath's; errors are in units in the last place of the type, below the normal range in multiples of the
least subnormal number.
"""

import functools

import mpmath
import numpy as np
import pytest
from scorematch import _core

ALLOWED_ULP = 4

# Enough for log1p and for x - ln2; functions that cancel are written so that they do not.
mp = mpmath.mp.clone()
mp.prec = 120

FUNCTIONS = {
    "exp": mp.exp,
    "exp_nonpositive": mp.exp,
    "log": mp.log,
    "log1p": mp.log1p,
    "tanh": lambda x: mp.sign(x) * -mp.expm1(-2 * abs(x)) / (1 + mp.exp(-2 * abs(x))),
    "log_cosh": lambda x: (
        mp.log1p(2 * mp.sinh(x / 2) ** 2) if abs(x) < 1 else abs(x) - mp.ln2 + mp.log1p(mp.exp(-2 * abs(x)))
    ),
    "softplus": lambda x: max(x, mp.zero) + mp.log1p(mp.exp(-abs(x))),
    "sigmoid": lambda x: mp.exp(min(x, mp.zero)) / (1 + mp.exp(-abs(x))),
    "sqrt": mp.sqrt,
    "inverse_sqrt": lambda x: 1 / mp.sqrt(x),
    "sine_of_turns": lambda x: mp.sinpi(2 * x),
    "cosine_of_turns": lambda x: mp.cospi(2 * x),
}
DOMAINS = {
    "sine_of_turns": (-(2**20), 2**20),
    "cosine_of_turns": (-(2**20), 2**20),
    "exp_nonpositive": (-np.inf, 0),
    "log": (0, np.inf),
    "log1p": (-1, np.inf),
    "sqrt": (0, np.inf),
    "inverse_sqrt": (0, np.inf),
    "power": (0, np.inf),
}
EXPONENTS = [0.5, 1, 1.5, 2, 3, -1, -0.5, 0.1, 2.3, -3.25, 17.5]

levels = pytest.mark.usefixtures("level")
types = pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])


def arguments(name, dtype):
    """Random bit patterns (all magnitudes alike), and uniform numbers at the scales where the functions bend."""
    random = np.random.default_rng(3)
    word = np.uint32 if dtype == np.float32 else np.uint64
    patterns = random.integers(0, np.iinfo(word).max, 400, dtype=word, endpoint=True).view(dtype)
    edge = 110 if dtype == np.float32 else 760
    uniform = [random.uniform(-scale, scale, 150).astype(dtype) for scale in (edge, 20, 2, 0.1)]
    around_one = 1 + random.uniform(-0.5, 0.5, 150).astype(dtype)
    x = np.concatenate([patterns, *uniform, around_one])
    low, high = DOMAINS.get(name, (-np.inf, np.inf))
    return x[np.isfinite(x) & (x > low) & (x < high)]


@functools.cache
def truth(name, dtype, exponent=None):
    """The arguments, the true values rounded to dtype, the ulp there, and what the rounding left, in ulp."""
    function = FUNCTIONS[name] if exponent is None else lambda v: v ** mp.mpf(exponent)
    info = np.finfo(dtype)
    x = arguments(name, dtype)
    rounded, ulp, rest = np.empty_like(x), np.empty(x.size), np.zeros(x.size)
    for i, v in enumerate(x.tolist()):
        value = function(mp.mpf(v))
        exponent_of_value = mp.frexp(value)[1] if value else 0
        unit = max(int(exponent_of_value) - info.nmant - 1, info.minexp - info.nmant)
        if exponent_of_value > info.maxexp:
            rounded[i], ulp[i] = np.inf, 1
            continue
        steps = mp.nint(mp.ldexp(value, -unit))
        rounded[i] = np.ldexp(float(steps), unit)
        ulp[i] = np.ldexp(1.0, unit)
        rest[i] = float(mp.ldexp(value, -unit) - steps)
    return x, rounded, ulp, rest


def largest_error(got, rounded, ulp, rest):
    assert got.dtype == rounded.dtype
    finite = np.isfinite(rounded)
    np.testing.assert_array_equal(got[~finite], rounded[~finite])
    steps = (got[finite].astype(np.float64) - rounded[finite]) / ulp[finite]
    return np.max(np.abs(steps - rest[finite]))


@levels
@types
@pytest.mark.parametrize("name", FUNCTIONS)
def test_accuracy(name, dtype):
    x, *expected = truth(name, dtype)
    assert largest_error(_core.elementwise(name, x), *expected) <= ALLOWED_ULP


@levels
@types
@pytest.mark.parametrize("exponent", EXPONENTS)
def test_accuracy_of_power(exponent, dtype):
    exponent = float(dtype(exponent))  # what the core is given
    x, *expected = truth("power", dtype, exponent)
    assert largest_error(_core.elementwise("power", x, parameter=exponent), *expected) <= ALLOWED_ULP


def assert_same(got, expected):
    """Equal, with the zeros told apart."""
    np.testing.assert_array_equal(got, expected)
    numbers = ~np.isnan(expected)
    np.testing.assert_array_equal(np.signbit(got[numbers]), np.signbit(expected[numbers]))


inf, nan, ln2 = np.inf, np.nan, np.log(2)
SPECIAL_ARGUMENTS = [nan, -inf, -0.0, 0.0, inf]
SPECIAL_VALUES = {
    "exp": [nan, 0, 1, 1, inf],
    "log": [nan, nan, -inf, -inf, inf],
    "log1p": [nan, nan, -0.0, 0, inf],
    "tanh": [nan, -1, -0.0, 0, 1],
    "log_cosh": [nan, inf, 0, 0, inf],
    "softplus": [nan, 0, ln2, ln2, inf],
    "sigmoid": [nan, 0, 0.5, 0.5, 1],
    "sqrt": [nan, nan, -0.0, 0, inf],
    "inverse_sqrt": [nan, nan, -inf, inf, 0],
    "abs": [nan, inf, 0, 0, inf],
    "sine_of_turns": [nan, nan, -0.0, 0, nan],
    "cosine_of_turns": [nan, nan, 1, 1, nan],
}


@levels
@types
@pytest.mark.parametrize("name", SPECIAL_VALUES)
def test_special_values(name, dtype):
    got = _core.elementwise(name, np.array(SPECIAL_ARGUMENTS, dtype))
    assert_same(got, np.array(SPECIAL_VALUES[name], dtype))


@levels
@types
def test_extreme_arguments(dtype):
    info = np.finfo(dtype)
    tiny = np.array([info.smallest_subnormal, -info.smallest_subnormal, info.tiny, -info.tiny], dtype)
    huge = np.array([info.max, -info.max], dtype)
    for name in ("tanh", "log1p"):
        assert_same(_core.elementwise(name, tiny), tiny)
    assert_same(_core.elementwise("log_cosh", tiny), np.zeros(4, dtype))
    for name, values in {
        "exp": [inf, 0],
        "tanh": [1, -1],
        "sigmoid": [1, 0],
        "softplus": [info.max, 0],
        "log_cosh": [info.max, info.max],
    }.items():
        assert_same(_core.elementwise(name, huge), np.array(values, dtype))
    beyond = np.array([-1, -1 - info.eps, -2], dtype)
    assert_same(_core.elementwise("log1p", beyond), np.array([-inf, nan, nan], dtype))
    assert_same(_core.elementwise("log", beyond), np.full(3, nan, dtype))


@levels
@types
@pytest.mark.parametrize("exponent", [0.5, 1, 1.5, 2, 3, 0.7, 2.5, 1e30])
def test_limits_of_power(exponent, dtype):
    x = np.array([0, 1, inf, nan], dtype)
    for sign, values in ((1, [0, 1, inf, nan]), (-1, [inf, 1, 0, nan]), (0, [1, 1, 1, nan])):
        got = _core.elementwise("power", x, parameter=sign * exponent)
        assert_same(got, np.array(values, dtype))


@levels
@types
def test_values_do_not_depend_on_the_place_in_the_pack(dtype):
    x = np.linspace(-3, 3, 40, dtype=dtype)
    whole = _core.elementwise("tanh", x)
    for n in range(x.size):
        assert_same(_core.elementwise("tanh", x[:n].copy()), whole[:n])
        assert_same(_core.elementwise("tanh", x[n:].copy()), whole[n:])
