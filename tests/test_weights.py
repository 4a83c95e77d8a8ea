"""Weights: their values and derivatives, caps and quantiles, and everything that makes an object of them.

The truth is mpmath's: each weight once more, as its formula is written, in 200 digits, and its derivative by
differences.
"""

import dataclasses
import itertools
import json
import pickle

import mpmath
import numpy as np
import pytest
import scorematch
from scorematch._cli.messages import CommandError
from scorematch._cli.options import Option
from scorematch._model_files import _plain, _revived
from scorematch.weights import (
    MCP,
    SCAD,
    Asinh,
    BoundaryDistance,
    Log1p,
    MinLog1p,
    MinPower,
    Power,
    SoftPlus,
    Tanh,
    TruncatedSine,
    UserWeight,
    Weight,
    WeightLike,
    as_weight,
    default_weight,
)

mp = mpmath.mp.clone()
mp.dps = 200


def _scad(x, lam, gamma):
    if x <= lam:
        return lam * x
    if x <= gamma * lam:
        return (2 * gamma * lam * x - x**2 - lam**2) / (2 * (gamma - 1))
    return lam**2 * (gamma + 1) / 2


FORMULAS = {
    Power: lambda x, p: x**p,
    MinPower: lambda x, c, p: min(x, c) ** p,
    Log1p: lambda x: mp.log(1 + x),
    MinLog1p: lambda x, c, p: min(mp.log(1 + x), c) ** p,
    Tanh: lambda x, a: mp.tanh(a * x),
    Asinh: lambda x, a, c=mp.inf: min(mp.asinh(a * x), c),
    SoftPlus: lambda x, a, c=mp.inf: min(mp.log((1 + mp.exp(a * x)) / 2), c),
    MCP: lambda x, lam, gamma: lam * x - x**2 / (2 * gamma) if x <= gamma * lam else gamma * lam**2 / 2,
    SCAD: _scad,
    TruncatedSine: lambda x, a: mp.sin(min(a * x, mp.pi / 2)),
}

WEIGHTS = [
    Power(),
    Power(2),
    Power(0.5),
    Power(1.25),
    Power(3.7),
    MinPower(),
    MinPower(2.5),
    MinPower(c=0.3, p=2),
    MinPower(c=0.3, p=0.7),
    MinPower(c=4.0, p=1.5),
    Log1p(),
    MinLog1p(),
    MinLog1p(c=0.25, p=1.5),
    MinLog1p(c=3.0, p=0.5),
    Tanh(),
    Tanh(a=0.01),
    Tanh(a=30),
    Asinh(),
    Asinh(a=20.0),
    Asinh(a=0.5, c=1.0),
    SoftPlus(),
    SoftPlus(a=50.0),
    SoftPlus(a=2.0, c=1.5),
    MCP(),
    MCP(lam=0.3, gamma=2.5),
    MCP(lam=2.0, gamma=0.5),
    SCAD(),
    SCAD(lam=0.3, gamma=2.5),
    TruncatedSine(),
    TruncatedSine(a=0.2),
]
each_weight = pytest.mark.parametrize("weight", WEIGHTS, ids=repr)
BOUNDED = (MinPower, MinLog1p, Tanh, MCP, SCAD, TruncatedSine)


def parameters(weight):
    fields = {field.name: getattr(weight, field.name) for field in dataclasses.fields(weight)}
    return {name: value for name, value in fields.items() if value is not None}


def exact(weight):
    """The formula of a weight, of one mpmath number."""
    given = {name: mp.mpf(value) for name, value in parameters(weight).items()}
    return lambda x: FORMULAS[type(weight)](mp.mpf(x), **given)


def kinks(weight):
    """Where the derivative jumps or bends."""
    if isinstance(weight, MCP | SCAD):
        return [weight.lam, weight.gamma * weight.lam] if isinstance(weight, SCAD) else [weight.gamma * weight.lam]
    if isinstance(weight, TruncatedSine):
        return [np.pi / 2 / weight.a]
    if getattr(weight, "c", None) is None:
        return []
    inverses = {
        MinPower: lambda c: c,
        MinLog1p: np.expm1,
        Asinh: np.sinh,
        SoftPlus: lambda c: np.log(2 * np.exp(c) - 1),
    }
    return [inverses[type(weight)](weight.c) / getattr(weight, "a", 1)]


def points(weight):
    """Distances of all magnitudes, and near the kinks, but not at them."""
    random = np.random.default_rng(0)
    x = np.concatenate([10 ** random.uniform(-9, 4, 40), random.uniform(0, 3, 20), random.uniform(3, 30, 10)])
    near = [kink * (1 + delta) for kink in kinks(weight) for delta in (-0.3, -1e-3, -1e-6, 1e-6, 1e-3, 0.3)]
    return np.sort(np.concatenate([x, near]))


# -- values -----------------------------------------------------------------------------------------------------------


@each_weight
def test_values_and_derivatives_to_the_last_digits(weight, level):
    x = points(weight)
    h, slope = weight(x)
    formula = exact(weight)
    true_h = np.array([float(formula(v)) for v in x])
    true_slope = np.array([float(mp.diff(formula, mp.mpf(v), h=mp.mpf(10) ** -60 * mp.mpf(v))) for v in x])
    np.testing.assert_allclose(h, true_h, rtol=2e-15, atol=1e-300)
    relative, absolute = np.full(len(x), 4e-15), 1e-100
    if isinstance(weight, Tanh):  # its slope falls as e^(−2ax), and ax is rounded
        relative += 2e-16 * weight.a * x
    elif isinstance(weight, MCP | SCAD | TruncatedSine):  # a difference near the end, relative to the slope at 0
        absolute = 4e-16 * slope.max()
    assert (np.abs(slope - true_slope) <= relative * np.abs(true_slope) + absolute).all()


@each_weight
def test_at_the_boundary_and_at_infinity(weight):
    h, slope = weight([0.0, 1e308, np.inf])
    assert h[0] == 0
    assert slope[2] == 0
    assert weight.bounded == isinstance(weight, BOUNDED) or "c" in parameters(weight)
    if weight.bounded:
        assert h[1] == h[2] == pytest.approx(float(exact(weight)(1e300)), rel=1e-15)
    else:
        assert h[2] == np.inf
    assert weight.smooth_at_zero == np.isfinite(slope[0]) == (getattr(weight, "p", 1) >= 1)
    if weight.smooth_at_zero:
        expected = mp.diff(exact(weight), 0, direction=1, h=mp.mpf(10) ** -20)
        assert slope[0] == pytest.approx(float(expected), rel=1e-12, abs=1e-4)


@each_weight
def test_large_distances_do_not_overflow_early(weight):
    x = np.array([1e3, 1e100, 1e160, 1e300])
    with np.errstate(over="raise", invalid="raise"):
        h, slope = weight(x[:1])
    if not (isinstance(weight, Power) and weight.p > 1):
        h, slope = weight(x)
        np.testing.assert_allclose(h, [float(exact(weight)(v)) for v in x], rtol=1e-14)
        assert (np.diff(slope) <= 0).all()


@each_weight
def test_derivative_at_a_kink_is_that_from_the_right(weight):
    for kink in kinks(weight):
        right, left = np.nextafter(kink, np.inf), np.nextafter(kink, 0)
        slope = weight([left * (1 - 1e-9), left, kink, right, right * (1 + 1e-9)])[1]
        jumps = weight.bounded and not isinstance(weight, MCP | SCAD | TruncatedSine)
        if jumps:
            assert slope[0] > 0
            assert slope[-1] == 0
            # The place of the kink is itself rounded, unless it is the cap.
            assert set(np.unique(slope[1:4] > 0)) <= {False, True}
        else:
            assert np.abs(np.diff(slope)).max() < 1e-8 * max(1, getattr(weight, "a", 1))
    if isinstance(weight, MinPower):
        assert weight(weight.c)[1] == 0


@each_weight
def test_shapes_and_types(weight):
    x = np.random.default_rng(0).exponential(size=(3, 4, 5))
    h, slope = weight(x)
    assert h.shape == slope.shape == x.shape
    for other in (x[::2, ::-1], np.asfortranarray(x), x.astype(np.float32), x.tolist(), 0.5, np.zeros((0, 3))):
        h, slope = weight(other)
        want_h, want_slope = weight(np.array(other, dtype=np.float64, order="C"))
        assert h.dtype == slope.dtype == np.float64
        np.testing.assert_array_equal(h, want_h)
        np.testing.assert_array_equal(slope, want_slope)
    before = x.copy()
    weight(x)[0][...] = -1
    np.testing.assert_array_equal(x, before)


@each_weight
def test_missing_values_stay_missing(weight):
    h, slope = weight([1.0, np.nan])
    assert np.isfinite([h[0], slope[0]]).all()
    assert np.isnan(h[1])


# -- what they are for ------------------------------------------------------------------------------------------------

# The asymptotic variance of an exponential's rate: h = x, x², min(x, 1), min(x, 3), log(1 + x) are published.
RATES = {
    Power(1): 1.0,
    Power(2): 2.0,
    MinPower(1.0): 1.582,
    MinPower(3.0): 1.052,
    Log1p(): 1.135,
    MinLog1p(c=1.0): None,
    MinLog1p(c=2.0, p=1.5): None,
    MinPower(c=3.0, p=1.5): None,
    Tanh(0.5): None,
    Asinh(1.0): None,
    Asinh(1.0, 2.0): None,
    SoftPlus(1.0): None,
    SoftPlus(1.0, 2.0): None,
    MCP(1.0, 4.0): None,
    SCAD(1.0, 3.7): None,
    TruncatedSine(0.5): None,
}


@pytest.mark.parametrize("weight", RATES, ids=repr)
def test_variance_of_an_exponential_rate(weight):
    """The estimate is E[h′]/E[h]; at rate 1 its asymptotic variance is E[(h′ − h)²]/E[h]²."""
    formula = exact(weight)
    edges = np.sort([0.0, *kinks(weight), 60.0])
    with mp.workdps(40):

        def mean(f):
            return mp.quad(lambda x: f(x) * mp.exp(-x), edges)

        expected = mean(lambda x: (mp.diff(formula, x, h=x * mp.mpf(10) ** -15) - formula(x)) ** 2) / mean(formula) ** 2
    if RATES[weight] is not None:
        assert float(expected) == pytest.approx(RATES[weight], abs=5e-4)
    # The library's functions by a rule of its own: Gauss-Legendre between the kinks.
    nodes, lengths = np.polynomial.legendre.leggauss(60)
    h_mean = square_mean = 0.0
    edges = np.unique(np.concatenate([np.linspace(a, b, 30) for a, b in itertools.pairwise(edges)]))
    for a, b in itertools.pairwise(edges):
        x, dx = (a + b) / 2 + (b - a) / 2 * nodes, (b - a) / 2 * lengths
        h, slope = weight(x)
        h_mean += np.sum(h * np.exp(-x) * dx)
        square_mean += np.sum((slope - h) ** 2 * np.exp(-x) * dx)
    assert square_mean / h_mean**2 == pytest.approx(float(expected), rel=1e-6)


# -- caps by quantiles ------------------------------------------------------------------------------------------------

BY_QUANTILE = [
    MinPower(quantile=0.5),
    MinPower(p=2, quantile=0.9),
    MinLog1p(quantile=0.75),
    MinLog1p(p=1.5, quantile=1),
    Asinh(a=2.0, quantile=0.5),
    SoftPlus(a=0.5, quantile=0.9),
    MCP(quantile=0.9),
    SCAD(gamma=2.5, quantile=0.75),
    TruncatedSine(quantile=1),
]
by_quantile = pytest.mark.parametrize("weight", BY_QUANTILE, ids=repr)


@by_quantile
def test_caps_by_quantile(weight):
    """Flat from the quantile of each column on, over its finite entries, and the formula below."""
    phi = np.random.default_rng(0).exponential([1.0, 10.0, 0.1, 1.0], size=(501, 4))
    phi[::3, 2] = np.inf
    phi[:, 3] = np.inf
    fitted = weight.fitted(phi)
    assert fitted.quantile is None
    name = weight._by_column
    numbers = getattr(fitted, name)
    assert len(numbers) == 4
    finite = [column[np.isfinite(column)] for column in phi.T[:3]]
    places = [np.quantile(column, weight.quantile, method="inverted_cdf") for column in finite]
    for j, place in enumerate(places):
        alone = dataclasses.replace(fitted, **{name: numbers[j]})
        np.testing.assert_array_equal(fitted(phi)[0][:, j], alone(phi[:, j])[0])
        np.testing.assert_array_equal(fitted(phi)[1][:, j], alone(phi[:, j])[1])
        end = float(exact(alone)(place))
        h, slope = fitted(np.full((1, 4), place) * [[0.99], [1.01]])
        assert h[0, j] < h[1, j] == pytest.approx(end, rel=1e-14)
        assert slope[0, j] > slope[1, j] == 0
    h, slope = fitted(phi)
    assert np.isfinite(h).all()
    assert (slope[~np.isfinite(phi)] == 0).all()
    assert weight.bounded
    assert weight.smooth_at_zero


@pytest.mark.parametrize(
    ("weight", "power"),
    [
        (MinPower(quantile=0.8), 1),
        (MinPower(p=1.5, quantile=0.8), 1.5),
        (MinPower(p=2, quantile=0.8), 2),
        (MCP(quantile=0.8), 2),
        (SCAD(quantile=0.8), 2),
        (TruncatedSine(quantile=0.8), 0),
    ],
    ids=repr,
)
def test_units_of_the_columns(weight, power):
    """In other units it is the same function times a power; with the square the objective itself stays the same."""
    phi = np.random.default_rng(0).exponential(size=(200, 2))
    unit = np.array([1e-6, 1e5])
    h, slope = weight.fitted(phi)(phi)
    scaled_h, scaled_slope = weight.fitted(phi * unit)(phi * unit)
    np.testing.assert_allclose(scaled_h, h * unit**power, rtol=1e-12)
    expected = slope * unit ** (power - 1.0)
    assert (np.abs(scaled_slope - expected) <= 1e-12 * expected.max(axis=0)).all()


@by_quantile
def test_weighted_quantiles(weight):
    """Weight 2 is the row twice, weight 0 the row left out, and no scale of the weights matters."""
    random = np.random.default_rng(1)
    phi = random.exponential(size=(60, 3))
    phi[4, 1] = np.inf
    counts = random.integers(0, 4, 60)
    repeated = weight.fitted(np.repeat(phi, counts, axis=0))
    for scale in (1.0, 1 / 3, 1e-9):
        assert weight.fitted(phi, counts * scale) == repeated
    shuffled = random.permutation(60)
    assert weight.fitted(phi[shuffled], counts[shuffled] / 7) == repeated
    distance = BoundaryDistance(quantile=0.5)
    assert distance.fitted(phi[:, 0], counts / 7) == distance.fitted(np.repeat(phi[:, 0], counts))
    with pytest.raises(ValueError, match=r"sample_weight must have shape \(60,\)"):
        weight.fitted(phi, np.ones(59))


@each_weight
def test_fitted_without_a_quantile_is_the_weight_itself(weight):
    assert weight.fitted(np.ones((3, 2))) is weight


def test_quantiles_that_make_no_cap():
    phi = np.ones((10, 2))
    phi[:6, 1] = 0
    with pytest.raises(
        ValueError, match=r"the 0\.5 quantile .* in column 1 it is 0: 6 of 10 samples lie on the boundary"
    ):
        MinPower(quantile=0.5).fitted(phi)
    with pytest.raises(ValueError, match=r"MinPower\(quantile=0.5, p=1.0\) has no c yet: fitted\(phi\)"):
        MinPower(quantile=0.5)([1.0])
    with pytest.raises(ValueError, match=r"phi must have shape \(n_samples, n_features\)"):
        MinPower(quantile=0.5).fitted(np.ones(3))
    with pytest.raises(
        ValueError, match=r"MinPower has 2 numbers c, one for each coordinate; got an array of shape \(4, 3\)"
    ):
        MinPower((1.0, 2.0))(np.ones((4, 3)))


# -- the distance to the boundary -------------------------------------------------------------------------------------


def test_boundary_distance():
    distance = np.array([0.0, 0.2, 1.0, 3.0, np.inf])
    gradient = np.random.default_rng(0).normal(size=(5, 3))
    a, b = BoundaryDistance()(distance[:4], gradient[:4])
    np.testing.assert_array_equal(a, distance[:4, None])
    np.testing.assert_array_equal(b, gradient[:4])
    a, b = BoundaryDistance(cap=1.0)(distance, gradient)
    np.testing.assert_array_equal(a[:, 0], [0, 0.2, 1, 1, 1])
    np.testing.assert_array_equal(b, gradient * np.array([1, 1, 0, 0, 0])[:, None])
    assert BoundaryDistance()(distance, gradient)[1][4].tolist() == [0, 0, 0]
    assert BoundaryDistance(quantile=0.5).fitted(distance) == BoundaryDistance(cap=0.2)
    assert BoundaryDistance(2.0).fitted(distance) == BoundaryDistance(cap=2.0)
    assert (BoundaryDistance().bounded, BoundaryDistance(1.0).bounded) == (False, True)
    assert BoundaryDistance(quantile=0.5).bounded
    with pytest.raises(ValueError, match="has no cap yet"):
        BoundaryDistance(quantile=0.5)(distance, gradient)


# -- as objects -------------------------------------------------------------------------------------------------------

OBJECTS = [
    *WEIGHTS,
    *BY_QUANTILE,
    MinPower((1, 2.5), 1.5),
    Asinh(c=(0.5, 1)),
    BoundaryDistance(),
    BoundaryDistance(2),
    BoundaryDistance(quantile=0.5),
]


@pytest.mark.parametrize("weight", OBJECTS, ids=repr)
def test_objects(weight):
    again = [pickle.loads(pickle.dumps(weight)), _revived(_plain(weight)), eval(repr(weight))]
    for other in again:
        assert other == weight
        assert hash(other) == hash(weight)
        assert repr(other) == repr(weight)
    assert "None" not in repr(weight)
    for name in parameters(weight):
        assert dataclasses.replace(weight, **{name: 0.17 if name == "quantile" else 17.0}) != weight
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(weight, name, 3)


def test_parameters_become_plain_numbers():
    for weight in (MinPower(np.float32(0.5), np.int64(2)), MinPower(np.array([0.5, 2.0])), MinPower([1, 2])):
        assert all(type(value) in (int, float, tuple) for value in parameters(weight).values())
    assert MinPower([1, 2]) == MinPower((1.0, 2.0))
    assert repr(MinPower(np.float64(2))) == "MinPower(c=2.0, p=1.0)"


def test_weights_in_model_files(tmp_path):
    model = scorematch.Gaussian.from_params(mean=[0.0, 1.0], covariance=np.eye(2))
    for weight in OBJECTS:
        text = json.dumps(_plain(weight), allow_nan=False)
        assert _revived(json.loads(text)) == weight
    model.weight = as_weight((np.expm1, np.exp))
    with pytest.raises(ValueError, match=r"its option weight holds a function, expm1\. Pickle the model"):
        scorematch.save_model(model, tmp_path / "m.json")
    model.weight = (np.expm1, np.exp)
    with pytest.raises(ValueError, match=r"its option weight holds a function, expm1\. Pickle the model"):
        scorematch.save_model(model, tmp_path / "m.json")


OPTION = Option("weight", WeightLike, None, "The weight.")


@pytest.mark.parametrize(
    ("text", "weight"),
    [
        ("power:p=2", Power(2.0)),
        ("min-power", MinPower()),
        ("min-power:c=0.5,c=2,p=2", MinPower((0.5, 2.0), 2.0)),
        ("min-power:quantile=0.9", MinPower(quantile=0.9)),
        ("log1p", Log1p()),
        ("min-log1p:c=2", MinLog1p(2.0)),
        ("tanh:a=2", Tanh(2.0)),
        ("asinh:a=2,c=3", Asinh(2.0, 3.0)),
        ("soft-plus:quantile=0.5", SoftPlus(quantile=0.5)),
        ("mcp:lam=2,gamma=3", MCP(2.0, 3.0)),
        ("scad", SCAD()),
        ("truncated-sine:a=3", TruncatedSine(3.0)),
        ("boundary-distance:cap=2", BoundaryDistance(2.0)),
        ("boundary-distance:quantile=0.5", BoundaryDistance(quantile=0.5)),
    ],
)
def test_on_the_command_line(text, weight):
    parsed = OPTION.parse(text)
    assert parsed == weight
    assert type(parsed) is type(weight)
    assert text.partition(":")[0] in OPTION.full_help


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("min-powr", "did you mean 'min-power'?"),
        ("user-weight", "unknown name 'user-weight'"),
        ("weight", "unknown name 'weight'"),
        ("scad:gamma=1", "gamma must be greater than 1"),
        ("asinh:q=1", "it takes a, c, quantile. Write asinh[:a=1,c=NUMBER,quantile=NUMBER]"),
        ("min-power:c=1,quantile=0.5", "takes one of c and quantile"),
        ("tanh:a=1,a=2", "a is given 2 times"),
    ],
)
def test_wrong_weights_on_the_command_line(text, message):
    with pytest.raises(CommandError) as raised:
        OPTION.parse(text)
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Power(0), "p must be positive and finite; got 0"),
        (lambda: Power(np.nan), "p must be positive and finite; got nan"),
        (lambda: Power("2"), "p must be a number; got '2'"),
        (lambda: Power(True), "p must be a number; got True"),
        (lambda: Power([1.0]), r"p must be a number; got \[1.0\]"),
        (lambda: MinPower(-1.0), "c must be positive and finite; got -1.0"),
        (lambda: MinPower((1.0, 0.0)), r"c must be positive and finite; entry 1 is 0 in \(1.0, 0.0\)"),
        (lambda: MinPower(()), r"c must be a number or a sequence of numbers; got \(\)"),
        (lambda: MinPower([[1.0]]), "c must be a number or a sequence of numbers"),
        (lambda: MinPower("x"), "c must be a number; got 'x'"),
        (lambda: MinPower(p=np.inf), "p must be positive and finite"),
        (lambda: MinPower(1.0, quantile=0.5), r"MinPower takes one of c and quantile; got c=1.0 and quantile=0.5"),
        (lambda: MinPower(quantile=0.0), "quantile must be a number above 0 and at most 1; got 0.0"),
        (lambda: MinPower(quantile=90), "quantile must be a number above 0 and at most 1; got 90"),
        (lambda: MinPower(quantile=np.nan), "quantile must be a number above 0 and at most 1; got nan"),
        (lambda: Asinh(a=0.0), "a must be positive"),
        (lambda: SoftPlus(c=-1), "c must be positive"),
        (lambda: Tanh(None), "a must be a number; got None"),
        (lambda: MCP(lam=0), "lam must be positive"),
        (lambda: MCP(gamma=-1), "gamma must be positive"),
        (lambda: SCAD(gamma=1.0), "gamma must be greater than 1 and finite; got 1.0"),
        (lambda: TruncatedSine(a=np.inf), "a must be positive and finite"),
        (lambda: BoundaryDistance(cap=0), "cap must be positive"),
        (lambda: BoundaryDistance(1.0, quantile=0.5), "BoundaryDistance takes one of cap and quantile"),
    ],
)
def test_wrong_parameters(make, message):
    with pytest.raises(ValueError, match=message):
        make()


# -- functions of the user's own --------------------------------------------------------------------------------------


@each_weight
def test_a_pair_of_functions(weight):
    """Made of a weight's two halves, it is that weight."""
    own = as_weight((lambda x: weight(x)[0], lambda x: weight(x)[1]))
    assert isinstance(own, UserWeight)
    x = np.random.default_rng(0).exponential(size=(20, 3))
    x[3, 1] = np.inf
    if weight.bounded:
        np.testing.assert_array_equal(own(x), weight(x))
    assert own.bounded == weight.bounded
    assert own.smooth_at_zero == weight.smooth_at_zero


def test_a_limit_that_the_function_itself_does_not_reach():
    own = as_weight((lambda x: x / (1 + x), lambda x: 1 / (1 + x) ** 2))
    assert own.bounded
    assert own([[np.inf, 1.0]])[0].tolist() == [[1.0, 0.5]]
    assert not as_weight((lambda x: x**2 / (1 + x), lambda x: x * (2 + x) / (1 + x) ** 2)).bounded


def test_functions_of_the_column():
    caps = np.array([1.0, 2.0, 3.0])
    pair = (lambda x: np.minimum(x, caps), lambda x: np.where(x < caps, 1.0, 0.0))
    own = as_weight(pair, n_features=3)
    h, slope = own([[0.5, 0.5, 5.0], [np.inf, np.inf, np.inf]])
    assert h.tolist() == [[0.5, 0.5, 3], [1, 2, 3]]
    assert slope.tolist() == [[1, 1, 0], [0, 0, 0]]
    assert own.bounded
    assert own.smooth_at_zero
    with pytest.raises(ValueError, match=r"an array of the shape of its argument"):
        as_weight(pair)


def test_pairs_as_objects():
    pair = (np.expm1, np.exp)
    assert as_weight(pair) == as_weight(list(pair)) == UserWeight(*pair)
    assert pickle.loads(pickle.dumps(as_weight(pair))) == as_weight(pair)
    assert len({as_weight(pair), as_weight(pair)}) == 1


def test_weights_pass():
    for weight in (*OBJECTS, as_weight((np.expm1, np.exp))):
        assert as_weight(weight) is weight


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        (None, TypeError, r"weight must be one of scorematch\.weights"),
        (MinPower, TypeError, r"did you mean MinPower\(\)\?"),
        ("min-power", TypeError, "weight must be one of"),
        (np.tanh, TypeError, "or a pair of functions"),
        ((np.tanh,), TypeError, "or a pair of functions"),
        ((np.tanh, 1.0), TypeError, "or a pair of functions"),
        ((np.tanh, np.tanh), ValueError, "does not agree with its function: at 0.0013 it gave 0.0013, but .* 0.999998"),
        ((lambda x: x**2, lambda x: x), ValueError, "the derivative of a weight does not agree"),
        (
            (lambda x: np.minimum(x, 1), np.ones_like),
            ValueError,
            "does not agree with its function: at 1.931 it gave 1, ",
        ),
        ((np.exp, np.exp), ValueError, "must be 0 at the boundary; the function h gave 1 at 0"),
        (
            (lambda x: -x, lambda x: -np.ones_like(x)),
            ValueError,
            "must be finite and not negative; .* gave -0.0013 at ",
        ),
        ((lambda x: x, lambda x: np.full_like(x, np.nan)), ValueError, "the derivative of a weight must be finite"),
        ((lambda x: 0 * x, lambda x: 0 * x), ValueError, "must not be 0 everywhere"),
        ((lambda x: x.sum(), np.ones_like), ValueError, "of the shape of its argument"),
        ((lambda x: "a", np.ones_like), TypeError, "must give an array of numbers; got 'a'"),
    ],
)
def test_wrong_pairs(given, error, message):
    with pytest.raises(error, match=message):
        as_weight(given)


def test_functions_are_watched_on_the_data_too():
    own = as_weight((lambda x: np.where(x < 1e4, x, np.nan), np.ones_like))
    with pytest.raises(ValueError, match="must be finite and not negative; the function h gave nan at 20000"):
        own([1.0, 2e4])
    with pytest.raises(ValueError, match="the function h gave nan at nan"):
        own([1.0, np.inf, np.nan])


def test_a_class_of_the_users_own():
    @dataclasses.dataclass(frozen=True)
    class Saturating(Weight):
        half: float = 1.0

        def __call__(self, x):
            values = np.asarray(x, dtype=float)
            ratio = self.half / (self.half + values)
            return 1 - ratio, ratio**2 / self.half

    weight = Saturating(2.0)
    assert as_weight(weight) is weight
    assert weight.bounded
    assert weight.smooth_at_zero
    assert weight.fitted(np.ones((2, 2))) is weight


# -- defaults ---------------------------------------------------------------------------------------------------------


def test_defaults():
    for domain in (None, scorematch.RealSpace(), scorematch.Sphere()):
        assert default_weight(domain) is None
    weight = default_weight(scorematch.NonNegative())
    assert weight.bounded
    assert weight.smooth_at_zero
    # It is found from the data, so that their units do not matter.
    assert weight.quantile is not None

    class Own:
        def contains(self, X):
            return X[:, 0] > 0

        def coordinate_distance(self, X):
            return X, np.ones_like(X)

    assert default_weight(Own()) == weight
    assert default_weight(Own(), unbounded_score=True) == MinPower(p=1.5, quantile=0.95)
    assert default_weight(None, unbounded_score=True) is None


@pytest.mark.parametrize(
    "domain",
    [
        scorematch.NonNegative(),
        scorematch.Box([0, -1], [3, 1]),
        scorematch.Intervals([(0, 1), (2, 5)]),
        scorematch.Simplex(),
        scorematch.Ball(2.0),
        scorematch.Polytope([[1.0, 2.0], [-1.0, 0.0], [0.0, -1.0]], [2.0, 0.0, 0.0]),
        scorematch.Polygon([[0, 0], [3, 0], [3, 1], [1, 1], [1, 3], [0, 3]]),
    ],
    ids=lambda domain: type(domain).__name__,
)
def test_defaults_on_every_domain(domain):
    """What score matching rests on: no boundary term is left when h G p is integrated by parts, p the density."""
    if isinstance(domain, scorematch.NonNegative):
        X, psi = np.random.default_rng(0).exponential(size=(40_000, 2)), -1.0
    else:
        X, psi = domain.sample_uniform(40_000, random_state=0, n_features=2), 0.0
    phi, slope = domain.coordinate_distance(X)
    h, derivative = default_weight(domain).fitted(phi)(phi)
    # The derivative of h_j G p in x_j, over p: its mean is 0. Here G = sin(x₀ + 2x₁ + 1).
    frequencies = np.array([1.0, 2.0])
    angle = (X @ frequencies + 1)[:, None]
    terms = (derivative * slope + h * psi) * np.sin(angle) + h * np.cos(angle) * frequencies
    error = terms.std(axis=0) / np.sqrt(len(X))
    assert (np.abs(terms.mean(axis=0)) < 4 * error).all()
