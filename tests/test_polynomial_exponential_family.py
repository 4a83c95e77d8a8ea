"""Polynomial log densities: exact closed forms, on any scale and far from the origin; whether there is a density."""

import functools
import itertools
import warnings

import mpmath
import numpy as np
import pytest
import scorematch
from scorematch import Gaussian, Log1p, MinPower, NonNegative, PolynomialExponentialFamily, Power, Sphere
from scorematch._leading_form import highest, in_words
from scorematch._monomials import coordinates, monomials
from sklearn.preprocessing import PolynomialFeatures

ORTHANT = [{"domain": NonNegative(), "weight": weight} for weight in (MinPower(1.0), Power(2.0), Log1p())]
each_setting = pytest.mark.parametrize(
    "setting", [{}, *ORTHANT], ids=lambda setting: repr(setting.get("weight", "space"))
)
any_shape = pytest.mark.filterwarnings("ignore:the polynomial is no log density:UserWarning")


def data(n, d, setting, seed=0):
    X = np.random.default_rng(seed).uniform(-1.3, 1.3, size=(n, d)) + np.random.default_rng(1).normal(size=(n, d)) / 3
    return np.abs(X) if setting else X


def statistics(X, powers):
    """∂t/∂x and the diagonal of ∂²t/∂x² of the monomials, (n, p, d) each, from their definition."""
    n, d = X.shape
    first, second = np.empty((n, len(powers), d)), np.empty((n, len(powers), d))
    for j in range(d):
        lower, twice = powers.copy(), powers.copy()
        lower[:, j] = np.maximum(lower[:, j] - 1, 0)
        twice[:, j] = np.maximum(twice[:, j] - 2, 0)
        own = powers[:, j]
        first[:, :, j] = own * np.prod(X[:, None, :] ** lower, axis=2)
        second[:, :, j] = own * (own - 1) * np.prod(X[:, None, :] ** twice, axis=2)
    return first, second


# -- The terms ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("d", "degree"), [(1, 6), (2, 4), (3, 4), (5, 2)])
def test_terms_are_in_the_documented_order(d, degree):
    model = PolynomialExponentialFamily(degree, ridge=1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(data(200, d, {}))
    features = PolynomialFeatures(degree, include_bias=False).fit(np.zeros((1, d)))
    np.testing.assert_array_equal(model.powers_, features.powers_)
    assert model.theta_names_ == features.get_feature_names_out().tolist()
    assert model.powers_.dtype.kind == "i"
    assert model.coef_ is model.theta_


def test_powers_alone():
    model = PolynomialExponentialFamily.from_params(coef=[-1.0, -2.0], powers=[[4, 0], [0, 4]], interactions=False)
    assert model.powers_.tolist() == [[1, 0], [0, 1], [2, 0], [0, 2], [3, 0], [0, 3], [4, 0], [0, 4]]


# -- Closed forms -------------------------------------------------------------------------------------------------


@each_setting
@pytest.mark.parametrize("weighted", [False, True], ids=["alike", "weighted"])
def test_degree_2_is_the_gaussian(setting, weighted):
    X = data(400, 3, setting) @ np.array([[1.0, 0.3, 0.0], [0.0, 1.0, 0.4], [0.0, 0.0, 1.0]])
    weight = np.random.default_rng(2).exponential(size=len(X)) if weighted else None
    polynomial = PolynomialExponentialFamily(2, **setting).fit(X, sample_weight=weight)
    gaussian = Gaussian(**setting).fit(X, sample_weight=weight)
    coef = dict(zip(map(tuple, polynomial.powers_.tolist()), polynomial.coef_, strict=True))
    each = np.eye(3, dtype=int)
    # −½ x'Px has P_ij x_i x_j off the diagonal once, and ½ P_jj x_j² on it.
    precision = [[-coef[tuple(a + b)] * (2 if i == j else 1) for j, b in enumerate(each)] for i, a in enumerate(each)]
    np.testing.assert_allclose(precision, gaussian.precision_, rtol=1e-10, atol=1e-10)
    linear = [coef[tuple(a)] for a in each]
    np.testing.assert_allclose(linear, gaussian.precision_ @ gaussian.mean_, rtol=1e-10, atol=1e-10)
    assert polynomial.objective_ == pytest.approx(gaussian.objective_, rel=1e-10)


@each_setting
@pytest.mark.parametrize(("d", "degree", "interactions"), [(1, 4, True), (3, 4, True), (4, 2, True), (3, 6, False)])
def test_quadratic_form_by_its_definition(setting, d, degree, interactions):
    X = data(300, d, setting)
    weight = np.random.default_rng(2).exponential(size=len(X))
    model = PolynomialExponentialFamily(degree, interactions, **setting)
    gamma, g = model.quadratic_form(X, sample_weight=weight)
    first, second = statistics(X, model._terms().powers)
    h, dh = setting["weight"](X) if setting else (np.ones_like(X), np.zeros_like(X))
    shares = weight / weight.sum()
    expected = np.einsum("i,ij,iaj,ibj->ab", shares, h, first, first)
    np.testing.assert_allclose(gamma, expected, rtol=1e-11, atol=1e-11 * np.abs(expected).max())
    expected = -np.einsum("i,iaj->a", shares, dh[:, None] * first + h[:, None] * second)
    np.testing.assert_allclose(g, expected, rtol=1e-11, atol=1e-11 * np.abs(expected).max())


def monomial(row, exponents):
    return mpmath.fprod(mpmath.mpf(float(x)) ** e for x, e in zip(row, exponents, strict=True))


def exact_coefficients(X, powers):
    """Γ⁻¹g from moments with 120 digits."""
    with mpmath.workdps(120):

        @functools.cache
        def moment(*exponents):
            return mpmath.fsum(monomial(row, exponents) for row in X) / len(X)

        p, d = powers.shape
        gamma, g = mpmath.zeros(p, p), mpmath.zeros(p, 1)
        for a, alpha in enumerate(powers.tolist()):
            for j in range(d):
                if alpha[j] > 1:
                    lower = [e - 2 * (i == j) for i, e in enumerate(alpha)]
                    g[a] -= alpha[j] * (alpha[j] - 1) * moment(*lower)
                for b, beta in enumerate(powers.tolist()):
                    if alpha[j] and beta[j]:
                        both = [e + f - 2 * (i == j) for i, (e, f) in enumerate(zip(alpha, beta, strict=True))]
                        gamma[a, b] += alpha[j] * beta[j] * moment(*both)
        return [*mpmath.lu_solve(gamma, g)]


PLACES = {
    "near": ([0.0, 0.0], [1.0, 1.0]),
    "off": ([3.0, -2.0], [1.0, 1.0]),
    "far": ([1e5, -3e4], [1.0, 1.0]),
    "small": ([0.0, 0.0], [1e-9, 1e-5]),
    "large": ([0.0, 0.0], [1e8, 1e3]),
    "odd scales, far": ([-3e7, 2e-3], [1e4, 1e-6]),
}


@any_shape
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(("d", "interactions"), [(1, True), (2, True), (2, False)])
def test_no_digits_are_lost(place, d, interactions):
    """Coefficients, scores and objective against 120 digits, wherever the data lie."""
    shift, scale = (np.array(values)[:d] for values in PLACES[place])
    X = data(40, d, {}) * scale + shift
    model = PolynomialExponentialFamily(4, interactions).fit(X)
    exact = exact_coefficients(X, model.powers_)
    off = [abs((mpmath.mpf(float(ours)) - theirs) / theirs) for ours, theirs in zip(model.coef_, exact, strict=True)]
    assert max(off) < 1e-9

    # In the formula itself all digits but a few would cancel.
    score = np.full(X.shape, mpmath.mpf(0))
    with mpmath.workdps(120):
        for theta, alpha in zip(exact, model.powers_.tolist(), strict=True):
            for j in np.flatnonzero(alpha):
                lower = [e - (i == j) for i, e in enumerate(alpha)]
                score[:, j] += [theta * alpha[j] * monomial(row, lower) for row in X]
    score = score.astype(np.float64)
    np.testing.assert_allclose(model.score_function(X) * scale, score * scale, atol=1e-9 * np.abs(score * scale).max())
    assert model.score(X) == pytest.approx(-model.objective_, rel=1e-9)
    assert model.loss_and_grad(model.theta_, X)[0] == pytest.approx(model.objective_, rel=1e-9)
    many = np.tile(X, (1000, 1))  # by moments
    assert model.loss_and_grad(model.theta_, many)[0] == pytest.approx(model.objective_, rel=1e-9)


@any_shape
def test_log_density_far_from_the_origin():
    X = data(200, 2, {})
    near, far = (PolynomialExponentialFamily(4).fit(X + shift) for shift in (0.0, 2.0**20))
    values = [model.unnormalized_log_density(X + shift) for model, shift in ((near, 0.0), (far, 2.0**20))]
    np.testing.assert_allclose(values[1] - values[1][0], values[0] - values[0][0], atol=1e-6)
    # Where digits allow it, the formula to its constant.
    formula = np.prod(X[:, None, :] ** near.powers_, axis=2) @ near.coef_
    np.testing.assert_allclose(values[0], formula, atol=1e-12)


@any_shape
def test_float32_is_summed_in_doubles():
    X = (data(3000, 3, {}) + 2).astype(np.float32)
    single, double = PolynomialExponentialFamily(4).fit(X), PolynomialExponentialFamily(4).fit(X.astype(np.float64))
    np.testing.assert_allclose(single.coef_, double.coef_, rtol=1e-9, atol=1e-9)
    score = single.score_function(X)
    assert score.dtype == np.float32
    expected = double.score_function(X.astype(np.float64))
    np.testing.assert_allclose(score, expected, atol=1e-5 * np.abs(expected).max())


def test_two_modes():
    """exp(2x² − x⁴/2), sampled on a grid: over 30 samples the mean of the estimates is the truth."""
    grid = np.linspace(-4, 4, 200_001)
    held = np.cumsum(np.exp(2 * grid**2 - grid**4 / 2))
    estimates = []
    for seed in range(30):
        random = np.random.default_rng(seed)
        X = np.interp(random.uniform(size=20_000), held / held[-1], grid)[:, None]
        estimates.append(PolynomialExponentialFamily(4).fit(X).coef_)
    error = np.std(estimates, axis=0, ddof=1) / np.sqrt(30)
    assert (np.abs(np.mean(estimates, axis=0) - [0, 2, 0, -0.5]) < 3.5 * error).all()
    assert error.max() < 0.01


@pytest.mark.parametrize("weight", [MinPower(1.0), Power(1.0)], ids=repr)
def test_rate_of_an_exponential(weight):
    """Degree 1 on the orthant: the rate is E[h′]/E[h]."""
    X = np.random.default_rng(0).exponential(1 / np.array([1.0, 3.0]), size=(4000, 2))
    model = PolynomialExponentialFamily(1, domain=NonNegative(), weight=weight).fit(X)
    h, dh = weight(X)
    np.testing.assert_allclose(-model.coef_, dh.mean(axis=0) / h.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(-model.coef_, [1.0, 3.0], rtol=0.1)


# -- Blocks -------------------------------------------------------------------------------------------------------


@any_shape
@each_setting
@pytest.mark.parametrize("interactions", [True, False])
def test_partial_fit_equals_fit(setting, interactions):
    X = data(600, 2, setting)
    X[200:] += 1.0  # blocks differ
    weight = np.random.default_rng(0).exponential(size=len(X)) * np.linspace(1, 9, len(X))
    for sample_weight in (None, weight):
        whole = PolynomialExponentialFamily(4, interactions, **setting).fit(X, sample_weight=sample_weight)
        parts = PolynomialExponentialFamily(4, interactions, **setting)
        for rows in (slice(0, 50), slice(50, 400), slice(400, 600)):
            parts.partial_fit(X[rows], sample_weight=None if sample_weight is None else sample_weight[rows])
        np.testing.assert_allclose(parts.theta_, whole.theta_, rtol=1e-8, atol=1e-8)
        assert parts.objective_ == pytest.approx(whole.objective_, rel=1e-9)
    once = PolynomialExponentialFamily(4, interactions, **setting).fit(X[:100])
    np.testing.assert_array_equal(parts.fit(X[:100]).theta_, once.theta_)  # fit starts anew


def test_partial_fit_that_fails_adds_nothing():
    X = data(100, 2, {})
    model = PolynomialExponentialFamily(2).partial_fit(X[:50])
    before = model.theta_.copy()
    with pytest.raises(ValueError, match="row 1, column 0"):
        model.partial_fit([[1.0, 2.0], [np.nan, 0.0]])
    model.set_params(degree=4)
    with pytest.raises(ValueError, match="options of PolynomialExponentialFamily have changed"):
        model.partial_fit(X[50:])
    model.set_params(degree=2)
    np.testing.assert_array_equal(model.theta_, before)
    np.testing.assert_allclose(
        model.partial_fit(X[50:]).theta_, PolynomialExponentialFamily(2).fit(X).theta_, rtol=1e-10
    )


# -- Whether there is a density -----------------------------------------------------------------------------------


def test_odd_degrees_are_refused_in_all_of_space():
    X = data(100, 2, {})
    for degree in (1, 3):
        with pytest.raises(ValueError, match=f"degree={degree} is odd.*no finite integral.*even degree.*NonNegative"):
            PolynomialExponentialFamily(degree).fit(X)
    with pytest.raises(ValueError, match="degree=3 is odd"):
        PolynomialExponentialFamily.from_params(coef=[-1.0], powers=[[3]])
    options = {"domain": NonNegative(), "weight": MinPower()}
    assert PolynomialExponentialFamily.from_params(coef=[-1.0], powers=[[3]], **options).degree == 3


RISING = [
    ("saddle", [[2, 0], [0, 2]], [-1.0, 1.0], {}, "1.00·x1"),
    ("flat", [[2, 0]], [-1.0], {}, "1.00·x1"),
    ("diagonal", [[2, 0], [1, 1], [0, 2]], [-1.0, -2.5, -1.0], {}, "0.71·x0 − 0.71·x1"),
    ("quartic", [[4, 0], [2, 2], [0, 4]], [-1.0, 2.1, -1.0], {}, "0.71·x0 . 0.71·x1"),
    ("powers", [[4, 0], [0, 4]], [-1.0, 1e-6], {"interactions": False}, "1.00·x1"),
    ("orthant", [[2, 0], [1, 1], [0, 2]], [-1.0, 2.1, -1.0], ORTHANT[0], r"0.71·x0 \+ 0.71·x1"),
    ("cubic", [[3, 0], [2, 1], [0, 3]], [-1.0, 5.0, -1.0], ORTHANT[0], r"0.\d\d·x\d \+ 0.\d\d·x\d"),
]
FALLING = [
    ("ellipse", [[2, 0], [1, 1], [0, 2]], [-1.0, 1.9, -1.0], {}),
    ("quartic", [[4, 0], [2, 2], [0, 4]], [-1.0, 1.9, -1.0], {}),
    ("two modes", [[4], [2]], [-1.0, 50.0], {}),
    ("powers", [[4, 0], [0, 4]], [-1.0, -1e-9], {"interactions": False}),
    # In the orthant alone: elsewhere it rises.
    ("orthant", [[2, 0], [1, 1], [0, 2]], [-1.0, -5.0, -1.0], ORTHANT[0]),
    ("cubic", [[3, 0], [1, 2], [0, 3]], [-1.0, -5.0, -1.0], ORTHANT[0]),
]


@pytest.mark.parametrize(("name", "powers", "coef", "options", "direction"), RISING, ids=[case[0] for case in RISING])
def test_rising_polynomials_are_named(name, powers, coef, options, direction):
    with pytest.warns(UserWarning, match=f"no log density.*direction {direction}.*cannot be normalised.*gradients are"):
        model = PolynomialExponentialFamily.from_params(coef=coef, powers=powers, **options)
    assert np.isfinite(model.score_function(np.ones((1, len(powers[0]))))).all()


@pytest.mark.parametrize(("name", "powers", "coef", "options"), FALLING, ids=[case[0] for case in FALLING])
def test_falling_polynomials_are_not(name, powers, coef, options):
    PolynomialExponentialFamily.from_params(coef=coef, powers=powers, **options)  # warnings are errors


def test_estimates_that_rise_are_named():
    heavy = np.random.default_rng(0).standard_t(3, size=(300, 1))
    with pytest.warns(UserWarning, match=r"terms of degree 4 are not negative in the direction 1.00·x0"):
        model = PolynomialExponentialFamily(4).fit(heavy)
    assert model.coef_[3] > 0
    # The direction is that of x, on whatever scale the columns are.
    X = np.column_stack([1e3 * data(300, 1, {}), np.zeros(300)])
    X[:, 1] = np.random.default_rng(1).standard_t(3, size=300)
    with pytest.warns(UserWarning, match="not negative in the direction"):
        PolynomialExponentialFamily(4).fit(X)


@pytest.mark.parametrize("orthant", [False, True])
@pytest.mark.parametrize("degree", [2, 4, 6])
def test_highest_value_of_forms(orthant, degree):
    """Against a fine grid of directions in two and three dimensions, for random forms."""
    angle = np.linspace(0, np.pi / 2 if orthant else np.pi, 721)
    circle = np.column_stack([np.cos(angle), np.sin(angle)])
    second = np.linspace(0, np.pi / 2 if orthant else np.pi, 361)
    polar, azimuth = np.meshgrid(second, angle * (1 if orthant else 2))
    ball = np.stack([np.sin(polar) * np.cos(azimuth), np.sin(polar) * np.sin(azimuth), np.cos(polar)], axis=-1)
    for d, directions in ((2, circle), (3, ball.reshape(-1, 3))):
        terms = monomials(d, degree, True)
        values = np.prod(directions[:, None, :] ** terms.powers[terms.leading], axis=2)
        for seed in range(20):
            leading = np.zeros(terms.n_params)
            leading[terms.leading] = np.random.default_rng(seed).normal(size=np.count_nonzero(terms.leading))
            value, direction = highest(terms, leading, orthant)
            assert np.linalg.norm(direction) == pytest.approx(1)
            assert np.prod(direction**terms.powers, axis=1) @ leading == pytest.approx(value, abs=1e-12)
            assert value >= (values @ leading[terms.leading]).max() - 1e-6 * np.abs(leading).max()
            if orthant:
                assert direction.min() >= 0


def test_a_narrow_rise_is_found():
    """−‖v‖⁴ + c(uᵀv)⁴ rises for c > 1 around u alone, in six dimensions."""
    d = 6
    terms = monomials(d, 4, True)
    for seed in range(10):
        u = np.random.default_rng(seed).normal(size=d)
        u /= np.linalg.norm(u)
        leading = np.zeros(terms.n_params)
        place = {tuple(power): number for number, power in enumerate(terms.powers.tolist())}
        each = np.eye(d, dtype=int)
        for i, j in itertools.product(range(d), repeat=2):
            leading[place[tuple(2 * each[i] + 2 * each[j])]] -= 1
        for chosen in itertools.product(range(d), repeat=4):
            leading[place[tuple(each[list(chosen)].sum(axis=0))]] += 1.05 * np.prod(u[list(chosen)])
        value, direction = highest(terms, leading, False)
        assert value == pytest.approx(0.05, rel=1e-3)
        assert abs(direction @ u) > 0.999


def test_directions_in_words():
    assert in_words(np.array([0.0, 1.0]), ["a", "b"]) == "1.00·b"
    assert in_words(np.array([-0.6, 0.8]), ["a", "b"]) == "0.80·b − 0.60·a"
    assert in_words(np.full(9, 1 / 3), list("abcdefghi")) == "0.33·a + 0.33·b + 0.33·c + 0.33·d + …"


# -- Data that do not determine the estimate ----------------------------------------------------------------------


def test_singular_data_are_named_with_a_remedy():
    X = data(200, 2, {})
    fit = PolynomialExponentialFamily(4).fit
    remedy = "lower degree.*duplicated columns.*positive ridge"
    for constant in (0.0, 1 / 3, 1e7 / 3):
        with pytest.raises(ValueError, match=f"200 rows do not tell the 34 .*column 1 is constant.*{remedy}"):
            fit(np.column_stack([X[:, 0], np.full(200, constant), X[:, 1]]))
    for copy in (X[:, 0], 3 * X[:, 0] + 1e3):
        with pytest.raises(ValueError, match=f"do not tell the 34 coefficients apart: .*{remedy}"):
            fit(np.column_stack([X, copy]))
    with pytest.raises(ValueError, match=f"6 rows do not tell the 14 coefficients.*{remedy}"):
        fit(X[:6])
    with pytest.raises(ValueError, match=f"column 1 is constant.*{remedy}"):
        PolynomialExponentialFamily(4, interactions=False).fit(np.column_stack([X[:, 0], np.ones(200)]))
    with pytest.raises(ValueError, match="column 1 is constant"):
        PolynomialExponentialFamily(2, **ORTHANT[0]).fit(np.column_stack([np.abs(X[:, 0]), np.full(200, 2.0)]))


@any_shape
@each_setting
@pytest.mark.parametrize("interactions", [True, False])
def test_ridge(setting, interactions):
    """The penalty is that of the coefficients in x, whatever coordinates the solution goes by."""
    X = 2 * data(200, 2, setting) + (1.5 if setting else -1.0)
    for rows, ridge in ((200, 0.3), (5, 0.01)):
        model = PolynomialExponentialFamily(4, interactions, ridge=ridge, **setting).fit(X[:rows])
        gamma, g = model.quadratic_form(X[:rows])
        expected = np.linalg.solve(gamma + ridge * np.eye(len(g)), g)
        np.testing.assert_allclose(model.coef_, expected, rtol=1e-7, atol=1e-9)
        loss, gradient = model.loss_and_grad(model.theta_, X[:rows])
        np.testing.assert_allclose(gradient, -ridge * model.coef_, atol=1e-9)
        assert model.objective_ == pytest.approx(loss, rel=1e-9)


def test_extreme_data():
    X = data(100, 1, {})
    with pytest.raises(ValueError, match="so large that their powers overflow"):
        PolynomialExponentialFamily(4).fit(np.concatenate([X, [[1e300]]]))
    with pytest.raises(ValueError, match="coefficients overflow"):
        PolynomialExponentialFamily(4).fit(1e-100 * X)
    with pytest.raises(ValueError, match="row 100, column 0"):
        PolynomialExponentialFamily(4).fit(np.concatenate([X, [[np.inf]]]))


# -- Bad input ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda X: PolynomialExponentialFamily(0).fit(X), "degree must be an integer of at least 1"),
        (lambda X: PolynomialExponentialFamily(2.0).fit(X), "degree must be an integer"),
        (lambda X: PolynomialExponentialFamily(interactions="no").fit(X), "interactions must be True or False"),
        (lambda X: PolynomialExponentialFamily(ridge=-1.0).fit(X), "ridge must be a finite number of at least 0"),
        (lambda X: PolynomialExponentialFamily(domain=Sphere()).fit(X), "no domain Sphere"),
        (
            lambda X: PolynomialExponentialFamily(40).quadratic_form(np.tile(X, 20)),
            "does not fit in 4 GiB.*lower degree",
        ),
        (lambda X: PolynomialExponentialFamily().fit(X[:1]), "at least 2 samples"),
    ],
)
def test_wrong_options(make, message):
    with pytest.raises(ValueError, match=message):
        make(data(50, 2, {}))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"coef": [1.0], "powers": [[2, 0], [0, 2]]}, r"coef must have shape \(2,\)"),
        ({"coef": [1.0], "powers": [2]}, "powers must have shape"),
        ({"coef": [-1.0, 1.0], "powers": [[2, 0], [0.5, 0]]}, "powers must hold whole numbers.*row 1"),
        ({"coef": [-1.0], "powers": [[3, -1]]}, "powers must hold whole numbers"),
        ({"coef": [-1.0, 1.0], "powers": [[2, 0], [0, 0]]}, "constant.*row 1"),
        ({"coef": [-1.0], "powers": [[4, 0]], "degree": 2}, "exceed degree=2; row 0"),
        ({"coef": [-1.0], "powers": [[1, 1]], "interactions": False}, "one variable.*row 0"),
        ({"coef": [-1.0, 1.0], "powers": [[2, 0], [2, 0]]}, "rows 0 and 1 are both"),
        ({"coef": [np.nan], "powers": [[2]]}, "coef must be finite"),
    ],
)
def test_wrong_parameters(parameters, message):
    with pytest.raises(ValueError, match=message):
        PolynomialExponentialFamily.from_params(**parameters)


def test_parameters_in_any_order():
    model = PolynomialExponentialFamily.from_params(coef=[-1.0, 3.0, -2.0], powers=[[0, 4], [1, 1], [4, 0]])
    assert model.degree == 4
    assert {tuple(power): value for power, value in zip(model.powers_.tolist(), model.coef_, strict=True) if value} == {
        (0, 4): -1.0,
        (1, 1): 3.0,
        (4, 0): -2.0,
    }
    np.testing.assert_allclose(model.score_function([[1.0, 2.0]]), [[3 * 2 - 8, 3 * 1 - 32]])


# -- The rest of the library --------------------------------------------------------------------------------------


@any_shape
def test_files_keep_the_digits_of_a_fit_far_away(tmp_path):
    X = data(300, 2, {}) + 1e6
    model = PolynomialExponentialFamily(4).fit(X)
    scorematch.save_model(model, tmp_path / "model.json")
    again = scorematch.load_model(tmp_path / "model.json")
    np.testing.assert_array_equal(again.score_function(X), model.score_function(X))
    assert again.powers_.dtype == model.powers_.dtype
    assert again.score(X) == pytest.approx(-model.objective_, rel=1e-9)


def test_coordinates_turn_into_each_other():
    random = np.random.default_rng(0)
    for d, degree, interactions in ((1, 5, True), (3, 4, True), (2, 6, False)):
        terms = monomials(d, degree, interactions)
        moved = coordinates(terms, np.stack([random.normal(size=d), 2.0 ** random.integers(-3, 3, size=d)]))
        theta, slope = random.normal(size=(2, terms.n_params))
        local = moved.of_y(theta)
        np.testing.assert_allclose(moved.of_x(local), theta, rtol=1e-10, atol=1e-10)
        assert moved.slope_of_x(slope) @ theta == pytest.approx(slope @ local)
        assert local @ moved.square_of_x() @ local == pytest.approx(theta @ theta)


def test_picture():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    from scorematch.plotting import FitDisplay

    random = np.random.default_rng(0)
    X = random.choice([-1.0, 1.0], size=(4000, 1)) + 0.4 * random.normal(size=(4000, 1)) + 1e5
    display = FitDisplay.from_estimator(PolynomialExponentialFamily(4).fit(X), X)
    (line,) = display.panels_
    peaks = line.x[np.flatnonzero(np.diff(np.sign(np.diff(line.density))) < 0) + 1]
    np.testing.assert_allclose(peaks, [1e5 - 1, 1e5 + 1], atol=0.15)
