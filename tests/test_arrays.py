"""However the data lie in memory and whatever holds them: the results are those of the plain contiguous array."""

import functools
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scorematch
from cases import EXAMPLES, examples_of, gaussian, ica, mixture, von_mises_fisher
from hypothesis import given, settings
from hypothesis import strategies as st
from scorematch import _core

# Hypothesis would call times of a busy machine flaky; derandomised, a failure comes back.
searching = settings(deadline=None, derandomize=True, max_examples=250)

# Around the number of lanes of a tile, and of a pack.
ROW_COUNTS = st.one_of(st.integers(1, 40), st.sampled_from([255, 256, 257, 511, 512, 513]))

MAKERS = {
    "gaussian": lambda d: gaussian("full", d),
    "gaussian-diag": lambda d: gaussian("diag", d),
    "mixture-full": lambda d: mixture("full", d),
    "mixture-diag": lambda d: mixture("diag", d),
    "mixture-tied": lambda d: mixture("tied", d),
    "ica": lambda d: ica("logcosh", d, d, centred=False),
    "ica-many": lambda d: ica("logistic", 2 * d, d),
    "von-mises-fisher": von_mises_fisher,
}


@functools.cache
def example_with(name, d):
    return examples_of(MAKERS[name](d))[0]


def misaligned(X):
    """The same numbers one byte off."""
    buffer = np.empty(X.nbytes + 1, dtype=np.uint8)
    view = buffer[1:].view(X.dtype).reshape(X.shape)
    view[...] = X
    assert not view.flags.aligned
    return view


def spread_by_half(X):
    """Strides that are no whole number of elements: a field of a packed record."""
    record = np.zeros(X.shape, dtype=np.dtype([("x", X.dtype), ("rest", np.uint8, X.itemsize // 2)], align=False))
    record["x"] = X
    assert record["x"].strides[1] % X.itemsize != 0
    return record["x"]


def read_only(X):
    X = X.copy()
    X.flags.writeable = False
    return X


# Arrays of the same numbers and type that lie differently in memory.
LAYOUTS = {
    "Fortran": np.asfortranarray,
    "every second row": lambda X: np.repeat(X, 2, axis=0)[::2],
    "every third column": lambda X: np.repeat(X, 3, axis=1)[:, ::3],
    "rows reversed": lambda X: X[::-1].copy()[::-1],
    "columns reversed": lambda X: X[:, ::-1].copy()[:, ::-1],
    "both reversed, Fortran": lambda X: np.asfortranarray(X[::-1, ::-1])[::-1, ::-1],
    "transposed": lambda X: X.T.copy().T,
    "part of a larger one": lambda X: np.pad(X, 3)[3:-3, 3:-3],
    "read-only": read_only,
    "one byte off": misaligned,
    "strides of half an element": spread_by_half,
    "big-endian": lambda X: X.astype(X.dtype.newbyteorder(">")),
    "list": lambda X: X.tolist(),
    "rows of stride 0": lambda X: np.broadcast_to(X[:1], X.shape),
}


def results(model, X, sample_weight=None):
    terms = model.score_matching_terms(X)
    loss, gradient = model.loss_and_grad(model.theta_, X, sample_weight)
    found = [model.score_function(X), model.hessian_trace(X), model.unnormalized_log_density(X), *terms]
    if not isinstance(model, scorematch.VonMisesFisher):
        found.append(model.hessian_diagonal(X))
    return [*found, np.float64(loss), gradient]


def assert_same_bits(got, want):
    assert len(got) == len(want)
    for ours, theirs in zip(got, want, strict=True):
        assert ours.dtype == theirs.dtype
        assert ours.shape == theirs.shape
        assert ours.tobytes() == theirs.tobytes()


@searching
@given(
    n=ROW_COUNTS,
    d=st.integers(1, 12),
    family=st.sampled_from(sorted(MAKERS)),
    layout=st.sampled_from(sorted(LAYOUTS)),
    dtype=st.sampled_from([np.float32, np.float64]),
    weighted=st.booleans(),
)
def test_layout_does_not_matter(n, d, family, layout, dtype, weighted):
    example = example_with(family, max(d, 2) if family == "von-mises-fisher" else d)
    X = example.data(n, seed=n).astype(dtype)
    other = LAYOUTS[layout](X)
    if layout == "list":  # Python's numbers are doubles
        X = X.astype(np.float64)
    if layout == "rows of stride 0":
        X = other.copy()
    weight = np.random.default_rng(n).uniform(0.5, 2, n) if weighted else None
    model = example.model()
    want = results(model, np.ascontiguousarray(X), weight)
    assert_same_bits(results(model, other, None if weight is None else weight[::-1].copy()[::-1]), want)
    assert all(np.isfinite(value).all() for value in want)


# Lists hold other numbers than float32, and equal rows have no variation.
@pytest.mark.parametrize("layout", sorted(LAYOUTS.keys() - {"list", "rows of stride 0"}))
@pytest.mark.parametrize(
    "name", ["gaussian-full", "gaussian-diag-log1p", "gaussian-mixture-full", "ica-logcosh", "von-mises-fisher-5"]
)
def test_layout_does_not_matter_to_fits(name, layout, dtype):
    example = next(example for example in EXAMPLES if example.name == name)
    X = example.data(300).astype(dtype)
    other = LAYOUTS[layout](X)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a few iterations are enough
        plain, fitted = example.unfitted().fit(X), example.unfitted().fit(other)
    # BLAS, which whitens, may sum in another order for another layout.
    if example.case.family == "ICA":
        np.testing.assert_allclose(fitted.theta_, plain.theta_, rtol=1e-9 if dtype == np.float64 else 1e-2)
    else:
        assert_same_bits([fitted.theta_], [plain.theta_])


@searching
@given(
    n=ROW_COUNTS,
    d=st.integers(1, 12),
    family=st.sampled_from(sorted(MAKERS)),
    dtype=st.sampled_from([np.float32, np.float64]),
)
def test_rows_do_not_depend_on_their_neighbours(n, d, family, dtype):
    """What is at the end of a tile or of the data is treated as everywhere."""
    example = example_with(family, max(d, 2) if family == "von-mises-fisher" else d)
    X = example.data(n, seed=n).astype(dtype)
    model = example.model()
    together = results(model, X)[:-2]
    for row in {0, n // 2, n - 1}:
        for ours, value in zip(results(model, X[row : row + 1])[:-2], together, strict=True):
            tolerance = 1e-12 if dtype == np.float64 else 2e-5
            np.testing.assert_allclose(ours[0], value[row], rtol=tolerance, atol=tolerance * np.abs(value).max())


@pytest.mark.parametrize("family", MAKERS)
def test_one_row(family, level, dtype):
    example = example_with(family, 3)
    X = example.data(1).astype(dtype)
    for value in results(example.model(n_jobs=3), X)[:-2]:
        assert value.shape[0] == 1
        assert np.isfinite(value).all()


@pytest.mark.parametrize("family", MAKERS)
def test_no_rows_are_an_error(family, dtype):
    example = example_with(family, 3)
    empty = np.empty((0, 3), dtype=dtype)
    for call in (
        example.model().score_function,
        example.model().score,
        example.unfitted().fit,
        lambda X: example.model().loss_and_grad(example.model().theta_, X),
    ):
        with pytest.raises(ValueError, match="0 sample"):
            call(empty)


# -- Other types of numbers, and other containers -------------------------------------------------------------------


@pytest.mark.parametrize("kind", [np.float16, np.int8, np.uint8, np.int32, np.int64, np.uint64, np.bool_, object])
@pytest.mark.parametrize("family", ["gaussian", "mixture-full", "ica"])
def test_other_numbers_become_doubles(family, kind):
    X = np.random.default_rng(0).integers(0, 2 if kind == np.bool_ else 5, (30, 3)).astype(kind)
    model = example_with(family, 3).model()
    assert_same_bits(results(model, X), results(model, X.astype(np.float64)))


FRAMES = {
    "pandas": lambda X: pd.DataFrame(X, columns=[f"column {j}" for j in range(X.shape[1])]),
    "pandas, a block a column": lambda X: pd.concat(
        [pd.Series(X[:, j], name=f"column {j}") for j in range(X.shape[1])], axis=1
    ),
    "polars": lambda X: pl.DataFrame({f"column {j}": X[:, j] for j in range(X.shape[1])}),
}


@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize("family", ["gaussian", "mixture-full", "ica", "von-mises-fisher"])
def test_frames(family, frame, dtype):
    example = example_with(family, 3)
    X = example.data(100).astype(dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a few iterations are enough
        plain, fitted = example.unfitted().fit(X), example.unfitted().fit(FRAMES[frame](X))
    assert list(fitted.feature_names_in_) == ["column 0", "column 1", "column 2"]
    np.testing.assert_allclose(fitted.theta_, plain.theta_, rtol=1e-9 if dtype == np.float64 else 1e-3)
    fitted._set_theta(plain.theta_)
    for ours, theirs in zip(results(fitted, FRAMES[frame](X)), results(plain, X), strict=True):
        assert ours.dtype == theirs.dtype
        assert ours.tobytes() == theirs.tobytes()


def test_columns_of_another_name_are_an_error():
    frame = FRAMES["pandas"](np.random.default_rng(0).normal(size=(50, 3)))
    model = scorematch.Gaussian().fit(frame)
    with pytest.raises(ValueError, match="feature names"):
        model.score(frame.rename(columns={"column 0": "another"}))


@pytest.mark.parametrize("family", ["gaussian", "mixture-diag", "ica", "von-mises-fisher"])
def test_memory_maps(family, dtype, tmp_path):
    example = example_with(family, 3)
    X = example.data(500).astype(dtype)
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    assert isinstance(mapped, np.memmap)
    model = example.model()
    assert_same_bits(results(model, mapped), results(model, X))
    if example.has_quadratic_form:
        assert_same_bits([example.unfitted().fit(mapped).theta_], [example.unfitted().fit(X).theta_])


class Subclass(np.ndarray):
    """Somebody's array with ideas of its own."""


def test_subclasses_of_arrays():
    example = example_with("gaussian", 3)
    X, model = example.data(20), example.model()
    found = results(model, X.view(Subclass))
    assert all(type(value) in (np.ndarray, np.float64) for value in found)
    assert_same_bits(found, results(model, X))


@pytest.mark.parametrize("bad", ["theta", "weight"])
def test_vectors_may_lie_anyhow(bad, dtype):
    """θ and the weights: strided, of other types, lists."""
    example = example_with("mixture-full", 3)
    X, model = example.data(30).astype(dtype), example.model()
    theta, weight = model.theta_, np.arange(1.0, 31)
    loss, gradient = model.loss_and_grad(theta, X, weight)
    forms = {
        "theta": [(np.repeat(theta, 2)[::2], weight), (theta.tolist(), weight), (theta.astype(">f8"), weight)],
        "weight": [(theta, weight.astype(np.int16)), (theta, weight.tolist()), (theta, np.repeat(weight, 2)[::2])],
    }
    for arguments in forms[bad]:
        other_loss, other_gradient = model.loss_and_grad(arguments[0], X, arguments[1])
        assert other_loss == loss
        assert_same_bits([other_gradient], [gradient])


# -- Huge and tiny numbers ------------------------------------------------------------------------------------------

SCALES = {np.float64: [2.0**332, 2.0**-332], np.float32: [2.0**50, 2.0**-50]}  # about 1e±100 and 1e±15


@pytest.mark.parametrize("covariance_type", ["full", "diag", "spherical"])
def test_scale_of_gaussians(covariance_type, dtype, level):
    """With parameters on the same scale. Powers of two, so that results are the same to the last bit."""
    example = examples_of(gaussian(covariance_type, 4))[0]
    X, model = example.data(100).astype(dtype), example.model()
    mean, covariance = example.case.parameters["mean"], example.case.parameters["covariance"]
    loss, gradient = model.loss_and_grad(model.theta_, X)
    for scale in SCALES[dtype]:
        scaled = scorematch.Gaussian.from_params(
            mean=scale * mean, covariance=scale**2 * covariance, covariance_type=covariance_type
        )
        Y = (scale * X.astype(np.float64)).astype(dtype)
        assert_same_bits([scaled.score_function(Y)], [model.score_function(X) / dtype(scale)])
        assert_same_bits([scaled.unnormalized_log_density(Y)], [model.unnormalized_log_density(X)])
        assert_same_bits([scaled.hyvarinen_score(Y)], [model.hyvarinen_score(X) / dtype(scale) / dtype(scale)])
        scaled_loss, scaled_gradient = scaled.loss_and_grad(scaled.theta_, Y)
        assert scaled_loss == loss / scale**2
        n_precision = len(gradient) - 4
        assert_same_bits([scaled_gradient[:n_precision]], [gradient[:n_precision]])
        assert_same_bits([scaled_gradient[n_precision:]], [gradient[n_precision:] / scale])


@pytest.mark.parametrize("covariance_type", ["full", "diag", "spherical"])
def test_scale_of_fitted_gaussians(covariance_type, dtype):
    X = example_with("gaussian", 4).data(400).astype(dtype)
    plain = scorematch.Gaussian(covariance_type).fit(X)
    for scale in SCALES[dtype]:
        fitted = scorematch.Gaussian(covariance_type).fit((scale * X.astype(np.float64)).astype(dtype))
        np.testing.assert_allclose(fitted.mean_ / scale, plain.mean_, rtol=1e-12)
        np.testing.assert_allclose(fitted.covariance_ / scale**2, plain.covariance_, rtol=1e-12)
        np.testing.assert_allclose(fitted.precision_ * scale**2, plain.precision_, rtol=1e-9)
        assert fitted.objective_ * scale**2 == pytest.approx(plain.objective_, rel=1e-9)


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "spherical"])
def test_scale_of_mixtures(covariance_type, dtype, level):
    """The logarithms in θ round, so that results are close and no more."""
    example = examples_of(mixture(covariance_type, 3))[0]
    X, model, parameters = example.data(100).astype(dtype), example.model(), example.case.parameters
    tolerance = {np.float64: 1e-10, np.float32: 1e-3}[dtype]
    for scale in SCALES[dtype]:
        scaled = scorematch.GaussianMixture.from_params(
            **{
                **parameters,
                "means": scale * parameters["means"],
                "covariances": scale**2 * parameters["covariances"],
            }
        )
        Y = (scale * X.astype(np.float64)).astype(dtype)
        for name, power in (("score_function", 1), ("hessian_trace", 2), ("hyvarinen_score", 2)):
            got, want = getattr(scaled, name)(Y).astype(np.float64) * scale**power, getattr(model, name)(X)
            assert np.abs(got - want).max() <= tolerance * np.abs(want).max()
        assert scaled.score(Y) * scale**2 == pytest.approx(model.score(X), rel=tolerance)


@pytest.mark.parametrize("isa", _core.supported_levels())
def test_data_far_from_the_origin(isa, dtype):
    """A mean of 10⁶ standard deviations costs the digits that the data themselves have lost, and no more."""
    before = _core.level()
    _core.use_level(isa)
    try:
        X = example_with("gaussian", 3).data(500)
        far = (X + 1e6).astype(dtype)
        fitted = scorematch.Gaussian().fit(far)
        exact = np.cov(far.astype(np.float64).T, bias=True)
        np.testing.assert_allclose(
            fitted.covariance_, exact, rtol=1e-9 if dtype == np.float64 else 1e-4, atol=1e-4 * (dtype == np.float32)
        )
    finally:
        _core.use_level(before)
