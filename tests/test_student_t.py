"""The Student t: recovery, its limits, far samples, starts, efficiency."""

import numpy as np
import pytest
import scipy.stats
from scorematch import Gaussian, MinPower, NonNegative, StudentT
from sklearn.exceptions import ConvergenceWarning

LOCATION = np.array([1.0, -2.0, 0.5])
SCALE = np.array([[2.0, 0.6, 0.3], [0.6, 1.0, -0.2], [0.3, -0.2, 0.5]])


def student_t(d=3, df=5.0, **options):
    return StudentT.from_params(location=LOCATION[:d], scale=SCALE[:d, :d], df=df, **options)


# -- What it computes ---------------------------------------------------------------------------------------------


def test_density_is_that_of_scipy():
    X = student_t().sample(50, random_state=0)
    ours = student_t(df=3.5).unnormalized_log_density(X)
    theirs = scipy.stats.multivariate_t(LOCATION, SCALE, 3.5).logpdf(X)
    np.testing.assert_allclose(ours - ours[0], theirs - theirs[0], rtol=1e-12, atol=1e-12)


def test_many_degrees_of_freedom_are_a_gaussian():
    gaussian = Gaussian.from_params(mean=LOCATION, covariance=SCALE)
    X = gaussian.sample(200, random_state=0)
    for df, tolerance in ((1e8, 1e-6), (1e12, 1e-10)):
        model = student_t(df=df)
        for name in ("score_function", "hessian_diagonal", "hyvarinen_score"):
            expected = getattr(gaussian, name)(X)
            np.testing.assert_allclose(getattr(model, name)(X), expected, atol=tolerance * np.abs(expected).max())
            single = getattr(model, name)(X.astype(np.float32))
            np.testing.assert_allclose(single, expected, atol=1e-5 * np.abs(expected).max())


def test_fit_with_many_degrees_of_freedom_is_that_of_a_gaussian():
    X = student_t(df=20.0).sample(500, random_state=0)
    model, gaussian = StudentT(1e8).fit(X), Gaussian().fit(X)
    assert model.converged_
    np.testing.assert_allclose(model.location_, gaussian.mean_, atol=1e-5)
    np.testing.assert_allclose(model.scale_, gaussian.covariance_, atol=1e-5)
    assert model.objective_ == pytest.approx(gaussian.objective_, rel=1e-6)


@pytest.mark.parametrize("df", [1e4, 1e7])
def test_slope_in_many_degrees_of_freedom_keeps_its_digits(df):
    """It is of the order of 1/df, a difference of terms of order 1; to that order it is known.

    With κ = 1/ν, dJ/dκ = E[2‖s‖² − (q − d)(‖s‖² − tr P)] at κ = 0, and d/d log ν = −κ d/dκ.
    """
    X = student_t().sample(1000, random_state=0)
    model = StudentT(tol=1.0).fit(X)
    theta = np.append(student_t().theta_, np.log(df))
    s = (X - LOCATION) @ np.linalg.inv(SCALE)
    q, norm = np.einsum("ij,ij->i", s, X - LOCATION), np.einsum("ij,ij->i", s, s)
    expected = np.mean(2 * norm - (q - 3) * (norm - np.trace(np.linalg.inv(SCALE))))
    _, gradient = model.loss_and_grad(theta, X)
    assert gradient[-1] == pytest.approx(-expected / df, rel=1e3 / df + 1e-9)


def test_nothing_is_lost_far_from_the_origin(dtype):
    far = {np.float64: 1e9, np.float32: 1e4}[dtype]
    X = (student_t().sample(500, random_state=0) + far).astype(dtype)
    near = X.astype(np.float64) - far
    model, there = student_t(), StudentT.from_params(location=LOCATION + far, scale=SCALE, df=5.0)
    tolerance = {np.float64: 1e-6, np.float32: 1e-5}[dtype]  # 1e9 itself has seven digits behind the point
    np.testing.assert_allclose(there.hyvarinen_score(X), model.hyvarinen_score(near), rtol=tolerance, atol=tolerance)
    loss, gradient = model.loss_and_grad(model.theta_, near)
    far_loss, far_gradient = there.loss_and_grad(there.theta_, X)
    assert far_loss == pytest.approx(loss, rel=tolerance)
    np.testing.assert_allclose(far_gradient, gradient, atol=tolerance * np.abs(gradient).max())


def test_samples_so_far_out_that_squares_overflow(dtype, level):
    X = student_t().sample(100, random_state=0).astype(dtype)
    with_far = X.copy()
    with_far[7] = {np.float64: 1e200, np.float32: 1e30}[dtype]
    for domain in ({}, {"domain": NonNegative(), "weight": MinPower()}):
        model, shift = student_t(**domain), 0 if domain == {} else 10
        assert not model.score_function(with_far + shift)[7].any()
        assert not model.hessian_diagonal(with_far + shift)[7].any()
        assert model.hyvarinen_score(with_far + shift)[7] == 0
        # The mean of a hundred rows, of which one adds nothing.
        others = model.loss_and_grad(model.theta_, np.delete(X, 7, axis=0) + shift)
        for ours, expected in zip(model.loss_and_grad(model.theta_, with_far + shift), others, strict=True):
            np.testing.assert_allclose(ours, 0.99 * np.asarray(expected), rtol=1e-4, atol=1e-5)


def test_not_a_number_is_told():
    X = student_t().sample(10, random_state=0)
    X[3, 1] = np.nan
    with pytest.raises(ValueError, match="row 3, column 1"):
        StudentT().fit(X)


# -- Fits ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("df", [2.0, 5.0, 12.0])
@pytest.mark.parametrize("d", [1, 3])
def test_recovery(d, df):
    X = student_t(d, df).sample(40_000, random_state=1)
    for given in (df, None):
        model = StudentT(given).fit(X)
        assert model.converged_
        np.testing.assert_allclose(model.location_, LOCATION[:d], atol=0.05)
        np.testing.assert_allclose(model.scale_, SCALE[:d, :d], atol=0.08)
        assert model.df_ == pytest.approx(df, rel=1e-15 if given else 0.2)
        np.testing.assert_allclose(model.scale_ @ model.precision_, np.eye(d), atol=1e-12)


@pytest.mark.parametrize("given", [5.0, None])
def test_recovery_of_a_truncated_distribution(given):
    domain = {"domain": NonNegative(), "weight": MinPower(c=2.0)}
    true = StudentT.from_params(location=[0.8, 0.5], scale=[[1.0, 0.3], [0.3, 1.0]], df=5.0, **domain)
    model = StudentT(given, **domain).fit(true.sample(60_000, random_state=0))
    assert model.converged_
    np.testing.assert_allclose(model.location_, true.location_, atol=0.1)
    np.testing.assert_allclose(model.scale_, true.scale_, atol=0.1)
    assert model.df_ == pytest.approx(5, rel=0.15)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e4])
def test_neither_units_nor_correlations_hinder_the_optimiser(scale):
    mixing = np.array([[1.0, 0.0], [0.9999, 0.01]]) * [[1.0], [scale]]
    true = StudentT.from_params(location=mixing @ [3.0, -1.0], scale=mixing @ mixing.T, df=4.0)
    X = true.sample(20_000, random_state=1)
    model = StudentT(4.0).fit(X)
    assert model.converged_
    assert model.n_iter_ < 100
    # Score matching is not invariant to linear maps: what is wide here is estimated with large errors.
    whitened = np.linalg.solve(mixing, model.location_ - true.location_)
    np.testing.assert_allclose(whitened, 0, atol=0.15)
    np.testing.assert_allclose(model.scale_ / true.scale_, 1, atol=0.3)
    finer = StudentT(4.0, tol=1e-9).fit(X)
    np.testing.assert_allclose(model.scale_ / finer.scale_, 1, atol=1e-3)


def test_fit_far_from_the_origin():
    X = student_t().sample(3000, random_state=1)
    near = StudentT().fit(X)
    for dtype, far, tolerance in ((np.float64, 1e8, 1e-5), (np.float32, 1e3, 1e-2)):
        model = StudentT().fit((X + far).astype(dtype))
        assert model.converged_
        np.testing.assert_allclose(model.location_ - far, near.location_, atol=tolerance)
        np.testing.assert_allclose(model.scale_, near.scale_, atol=tolerance)


def test_outliers_do_not_matter_much():
    X = student_t().sample(3000, random_state=1)
    spoilt = np.concatenate([X, np.full((30, 3), 1e12)])
    for given in (4.0, None):
        np.testing.assert_allclose(StudentT(given).fit(spoilt).location_, StudentT(given).fit(X).location_, atol=0.05)


@pytest.mark.parametrize("draw", ["normal", "uniform"])
def test_light_tails_run_to_the_gaussian(draw):
    X = getattr(np.random.default_rng(0), draw)(size=(5000, 2))
    with pytest.warns(UserWarning, match="df_ has run to .*Gaussian is the model to fit, or GaussianMixture"):
        model = StudentT().fit(X)
    assert model.converged_
    assert model.n_iter_ < 100
    assert 1e3 < model.df_ <= 1e8
    gaussian = Gaussian().fit(X)
    np.testing.assert_allclose(model.location_, gaussian.mean_, atol=1e-3)
    np.testing.assert_allclose(model.scale_, gaussian.covariance_, atol=1e-3)
    assert model.objective_ == pytest.approx(gaussian.objective_, rel=1e-4)


def test_peaked_data_run_to_the_other_limit():
    # A density of 1/(1 + |x|) up to 99: a cusp, and tails as those of df = 0.
    random = np.random.default_rng(0)
    X = random.choice([-1.0, 1.0], size=(4000, 1)) * (100 ** random.uniform(size=(4000, 1)) - 1)
    with pytest.warns(UserWarning, match="df_ has run to .*more peaked"):
        model = StudentT().fit(X)
    assert model.converged_
    assert model.n_iter_ < 100
    assert 0.02 <= model.df_ < 0.03


def test_rows_and_their_weights():
    X = student_t().sample(2000, random_state=1)
    counts = np.random.default_rng(0).integers(0, 4, len(X))
    weighted, repeated = StudentT().fit(X, sample_weight=counts), StudentT().fit(np.repeat(X, counts, axis=0))
    np.testing.assert_allclose(weighted.theta_, repeated.theta_, atol=1e-4)
    spoilt = X.copy()
    spoilt[counts == 0] = 1e100
    np.testing.assert_allclose(StudentT().fit(spoilt, sample_weight=counts).theta_, weighted.theta_, atol=1e-4)


def test_same_seed_same_answer_on_any_number_of_threads():
    X = student_t().sample(30_000, random_state=1)
    thetas = [StudentT(n_init=3, random_state=7, n_jobs=n).fit(X).theta_ for n in (1, 2, 3)]
    assert thetas[0].tobytes() == thetas[1].tobytes() == thetas[2].tobytes()
    np.testing.assert_allclose(StudentT().fit(X).theta_, thetas[0], atol=1e-4)


def test_convergence_warning_says_what_to_try(capsys):
    X = student_t().sample(500, random_state=1)
    with pytest.warns(ConvergenceWarning, match="limit max_iter=1 was reached.*Try"):
        model = StudentT(max_iter=1, verbose=1).fit(X)
    assert not model.converged_
    assert model.n_iter_ == 1
    assert "start 1: iteration 1" in capsys.readouterr().out


# -- How well it estimates ----------------------------------------------------------------------------------------

EFFICIENCIES = pytest.mark.parametrize(("df", "efficiency"), [(10.0, 0.814), (5.0, 0.629), (3.0, 0.480)])


@EFFICIENCIES
def test_efficiency_of_the_scale(df, efficiency):
    """The variance of maximum likelihood over that of score matching, G⁻¹SG⁻¹, for log σ, in simulated data.

    The information of maximum likelihood is 2ν/(ν + 3). Twenty blocks tell the standard error.
    """
    X = scipy.stats.t(df).rvs((400_000, 1), random_state=0)
    step, at = 1e-3, np.linspace(-1, 1, 3)
    below, middle, above = (
        StudentT.from_params(location=[0.0], scale=[[np.exp(2 * step * h)]], df=df).hyvarinen_score(X) for h in at
    )
    squares = ((above - below) / (2 * step)) ** 2
    curvature = (above - 2 * middle + below) / step**2
    s, g = squares.reshape(20, -1).mean(axis=1), curvature.reshape(20, -1).mean(axis=1)
    blocks = g**2 / s * (df + 3) / (2 * df)
    error = blocks.std(ddof=1) / np.sqrt(20)
    assert error < 0.01
    assert blocks.mean() == pytest.approx(efficiency, abs=4 * error + 0.0005)


def test_spread_of_estimates():
    """The estimates themselves have that efficiency, for 3 degrees of freedom; a sample variance is off by √(2/R)."""
    df, efficiency, n_samples, n_fits = 3.0, 0.480, 500, 250
    random = np.random.default_rng(0)
    logs = [
        np.log(StudentT(df, n_jobs=1).fit(random.standard_t(df, size=(n_samples, 1))).scale_[0, 0]) / 2
        for _ in range(n_fits)
    ]
    found = (df + 3) / (2 * df) / (n_samples * np.var(logs, ddof=1))
    assert found == pytest.approx(efficiency, rel=4 * np.sqrt(2 / n_fits))


# -- Draws --------------------------------------------------------------------------------------------------------


def test_draws_are_exact():
    model = student_t(df=3.0)
    X = model.sample(20_000, random_state=0)
    for j in range(3):
        marginal = scipy.stats.t(3.0, loc=LOCATION[j], scale=np.sqrt(SCALE[j, j]))
        assert scipy.stats.kstest(X[:, j], marginal.cdf).pvalue > 1e-3
    # q/d has the F distribution with d and ν degrees of freedom.
    q = np.einsum("ij,jk,ik->i", X - LOCATION, np.linalg.inv(SCALE), X - LOCATION)
    assert scipy.stats.kstest(q / 3, scipy.stats.f(3, 3).cdf).pvalue > 1e-3
    np.testing.assert_array_equal(model.sample(5, random_state=3), model.sample(5, random_state=3))


def test_draws_of_a_truncated_distribution():
    model = StudentT.from_params(location=[-0.5], scale=[[1.0]], df=4.0, domain=NonNegative(), weight=MinPower())
    X = model.sample(20_000, random_state=0)
    whole = scipy.stats.t(4.0, loc=-0.5)
    assert X.min() >= 0
    assert scipy.stats.kstest(X[:, 0], lambda x: (whole.cdf(x) - whole.cdf(0)) / whole.sf(0)).pvalue > 1e-3


def test_draws_of_few_degrees_of_freedom_are_finite():
    assert np.isfinite(student_t(df=0.01).sample(10_000, random_state=0)).all()


# -- Bad input ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("given", [5.0, None])
def test_collapse_is_told(given):
    X = student_t().sample(300, random_state=0)
    for spoilt in (np.round(X / 4), np.where(np.arange(300)[:, None] < 100, 0.0, X), X[:3], X[[0, 1, 2] * 20]):
        with pytest.warns(UserWarning, match="no lower bound.*more than 3 different"):
            model = StudentT(given).fit(spoilt)
        assert not model.converged_
        assert np.isfinite(model.theta_).all()
        assert model.objective_ == pytest.approx(-model.score(spoilt), rel=1e-9)


X = np.random.default_rng(0).standard_t(5, size=(100, 3))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: StudentT(0.0).fit(X), "df must be a positive number of at most 1e\\+12, or None; got 0.0"),
        (lambda: StudentT(-1).fit(X), "df must be"),
        (lambda: StudentT(np.inf).fit(X), "df must be"),
        (lambda: StudentT(np.nan).fit(X), "df must be"),
        (lambda: StudentT("five").fit(X), "df must be"),
        (lambda: StudentT(True).fit(X), "df must be"),
        (lambda: StudentT(n_init=0).fit(X), "n_init must be"),
        (lambda: StudentT(tol=-1).fit(X), "tol must be"),
        (lambda: StudentT(max_iter=0).fit(X), "max_iter must be"),
        (lambda: StudentT(weight=MinPower()).fit(X), "no boundary"),
        (lambda: StudentT(domain=NonNegative(), weight=MinPower()).fit(X), "negative"),
        (lambda: StudentT().fit(X[:1]), "at least 2 samples; got n_samples = 1"),
        (lambda: StudentT().fit(X, sample_weight=np.eye(100)[0]), "at least 2 samples of positive weight"),
        (lambda: StudentT().fit(np.column_stack([X, np.full(100, 0.1)])), "column 3 of X is constant, or all but"),
        (lambda: StudentT().fit(np.column_stack([X, X[:, 1]])), r"columns \[1, 3\] of X are linearly dependent"),
        (lambda: StudentT().fit(np.column_stack([X, X[:, 0] - X[:, 1]])), r"columns \[0, 1, 3\] of X are"),
        (lambda: StudentT.from_params(location=[0.0], scale=[[-1.0]], df=5), "scale must be positive definite"),
        (
            lambda: StudentT.from_params(location=[0.0, 0.0], precision=[[1.0, 2.0], [2.0, 1.0]], df=5),
            "precision must be positive definite",
        ),
        (lambda: StudentT.from_params(location=[0.0, 0.0], scale=[[1.0]], df=5), r"scale must have shape \(2, 2\)"),
        (lambda: StudentT.from_params(location=[0.0], scale=[[np.nan]], df=5), "scale must be finite"),
        (lambda: StudentT.from_params(location=[0.0], scale=[[1.0]], df=-5), "df must be"),
        (lambda: StudentT.from_params(location=[0.0], scale=[[1.0]], df=[5, 6]), "df must have shape"),
    ],
)
def test_wrong_options_and_parameters(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_sphere_is_no_domain():
    from scorematch import Sphere

    with pytest.raises(ValueError, match="no domain Sphere"):
        StudentT(domain=Sphere()).fit(X / np.linalg.norm(X, axis=1, keepdims=True))


def test_parameters():
    one = student_t()
    other = StudentT.from_params(location=LOCATION, precision=np.linalg.inv(SCALE), df=5)
    np.testing.assert_allclose(one.theta_, other.theta_, atol=1e-12)
    assert one.theta_names_ == [f"location[{j}]" for j in range(3)] + [
        f"cholesky[{i},{j}]" for i in range(3) for j in range(i + 1)
    ]
    assert StudentT(tol=1.0).fit(X).theta_names_ == [*one.theta_names_, "log_df"]
    assert one.df == one.df_ == 5
    with pytest.raises(TypeError, match="one of scale and precision"):
        StudentT.from_params(location=LOCATION, scale=SCALE, precision=SCALE, df=5)
    with pytest.raises(TypeError, match="needs 'df'"):
        StudentT.from_params(location=LOCATION, scale=SCALE)
