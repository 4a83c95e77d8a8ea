"""Checks of what users pass in. Errors name the argument, what was expected, what came, and the first bad row."""

from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scorematch import _core

Floats = NDArray[np.floating]


def check_samples(estimator: Any, X: ArrayLike, *, reset: bool = False, finite: bool = True) -> Floats:
    """X as an array of float32 or float64 that the core can read where it lies.

    An array that is already right is returned as it is, at the cost of one look at its type; everything else goes
    through scikit-learn. `finite` = False leaves the search for NaN and infinity to the caller.
    """
    if not _is_ready(estimator, X, reset):
        from sklearn.utils.validation import validate_data

        # Asked for a list of float types, it would turn other byte orders and frames of polars to the first of them.
        X = np.asarray(validate_data(estimator, X, reset=reset, dtype="numeric", ensure_all_finite=False))
        if X.dtype.kind not in "fiub":
            raise ValueError(f"X must hold real numbers; got type {X.dtype}")
        if X.dtype not in (np.float64, np.float32) or not _is_readable(X):
            # A copy even where the type is right already: what is not aligned has to move.
            X = X.astype(np.float32 if X.dtype.newbyteorder("=") == np.float32 else np.float64, order="C")
    assert isinstance(X, np.ndarray)
    if finite:
        check_finite(X)
    return X


def check_finite(X: Floats) -> None:
    """Raise an error that names the first entry that is not finite."""
    position = _core.first_nonfinite(X)
    if position is not None:
        row, column = position
        raise ValueError(f"X contains NaN or infinity: row {row}, column {column} is {X[row, column]}")


def raw_sample_weight(sample_weight: ArrayLike | None, n_samples: int) -> NDArray[np.float64] | None:
    """Weights as a vector of doubles, on their own scale."""
    if sample_weight is None:
        return None
    weight = np.asarray(sample_weight)
    if np.iscomplexobj(weight):
        raise ValueError("sample_weight must be real; got complex numbers")
    try:
        weight = weight.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"sample_weight must hold numbers; got type {weight.dtype}") from error
    if weight.ndim == 0:
        weight = np.full(n_samples, float(weight))
    if weight.shape != (n_samples,):
        raise ValueError(f"sample_weight must have shape ({n_samples},), one for each row of X; got {weight.shape}")
    bad = ~(np.isfinite(weight) & (weight >= 0))
    if bad.any():
        row = int(np.argmax(bad))
        raise ValueError(f"sample_weight must be finite and not negative; row {row} is {weight[row]}")
    if not weight.any():
        raise ValueError("sample_weight must not be zero for every row")
    return np.asarray(weight)


def check_sample_weight(sample_weight: ArrayLike | None, n_samples: int) -> NDArray[np.float64] | None:
    """Weights as a vector of doubles with mean 1, so that their scale can neither overflow nor vanish in float32."""
    weight = raw_sample_weight(sample_weight, n_samples)
    if weight is None:
        return None
    weight = weight / weight.max()
    return np.asarray(weight / weight.mean())


def check_theta(theta: ArrayLike, n_params: int) -> NDArray[np.float64]:
    """Working parameters as a vector of doubles."""
    vector = _as_doubles("theta", theta)
    if vector.shape != (n_params,):
        raise ValueError(f"theta must have shape ({n_params},); got {vector.shape}")
    if not np.isfinite(vector).all():
        raise ValueError(f"theta must be finite; entry {int(np.argmin(np.isfinite(vector)))} is not")
    return vector


def check_parameter(name: str, value: ArrayLike, shape: tuple[int | None, ...]) -> NDArray[np.float64]:
    """A parameter of `from_params` as an array of doubles; None in `shape` stands for any length."""
    array = _as_doubles(name, value)
    fits = array.ndim == len(shape) and all(
        want is None or want == got for want, got in zip(shape, array.shape, strict=True)
    )
    if not fits:
        wanted = ", ".join("any" if want is None else str(want) for want in shape)
        raise ValueError(f"{name} must have shape ({wanted}{',' if len(shape) == 1 else ''}); got {array.shape}")
    if None in shape and not array.size:
        raise ValueError(f"{name} must not be empty; got shape {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite; got {array!r}")
    return array


def check_positive(name: str, value: NDArray[np.float64]) -> NDArray[np.float64]:
    """Numbers above 0; the error tells the first that is not."""
    wrong = ~(np.atleast_1d(value) > 0)
    if wrong.any():
        entry = f"entry {int(np.argmax(wrong))} is " if value.ndim else "got "
        raise ValueError(f"{name} must be positive; {entry}{np.atleast_1d(value)[wrong][0]:.6g}")
    return value


def _as_doubles(name: str, value: ArrayLike) -> NDArray[np.float64]:
    try:
        array = np.asarray(value)
        if array.dtype.kind in "biuf" or array.dtype == object:
            return array.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be an array of numbers; got {value!r}") from error
    raise ValueError(f"{name} must be an array of real numbers; got type {array.dtype}")


def check_symmetric(name: str, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """A symmetric matrix, exactly; an error where the two halves differ by more than rounding."""
    difference = np.abs(matrix - matrix.T)
    i, j = np.unravel_index(int(np.argmax(difference)), difference.shape) if difference.size else (0, 0)
    if (difference > 1e-8 * np.abs(matrix).max(initial=0)).any():
        raise ValueError(f"{name} must be symmetric; entries ({i},{j}) and ({j},{i}) differ by {difference[i, j]:.3g}")
    return (matrix + matrix.T) / 2


def check_positive_definite(name: str, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """A symmetric positive definite matrix; the error tells the smallest eigenvalue."""
    matrix = check_symmetric(name, matrix)
    diagonal = np.diagonal(matrix)
    if not (diagonal > 0).all():
        j = int(np.argmin(diagonal > 0))
        raise ValueError(f"{name} must be positive definite; entry ({j},{j}) of its diagonal is {diagonal[j]:.6g}")
    # Columns may differ in scale by many powers of ten: only after scaling to a unit diagonal can it be told what is 0.
    scale = 1 / np.sqrt(diagonal)
    smallest = float(np.linalg.eigvalsh(matrix * scale[:, None] * scale)[0])
    if smallest <= len(matrix) * np.finfo(float).eps:
        raise ValueError(
            f"{name} must be positive definite; scaled to a unit diagonal, its smallest eigenvalue is {smallest:.6g}"
        )
    return matrix


def check_not_tiny(X: Floats) -> None:
    """An error where a column varies so little, on some rows, that its squares underflow in the float type of X."""
    rows = X[:: max(1, len(X) // 256)]
    with np.errstate(over="ignore", invalid="ignore"):
        ranges = np.ptp(rows, axis=0)
    tiny = (ranges > 0) & (ranges < 100 * np.sqrt(np.finfo(X.dtype).tiny))
    if tiny.any():
        column = int(np.argmax(tiny))
        raise ValueError(
            f"column {column} of X varies by {ranges[column]:.3g}, so little that its squares underflow in {X.dtype}; "
            "rescale it"
        )


def check_count(name: str, value: object, lowest: int = 1) -> int:
    """An integer not below `lowest`."""
    if not isinstance(value, Integral) or isinstance(value, bool) or int(value) < lowest:
        raise ValueError(f"{name} must be an integer of at least {lowest}; got {value!r}")
    return int(value)


def check_real(name: str, value: object, lowest: float) -> float:
    """A finite number not below `lowest`."""
    if not isinstance(value, Real) or isinstance(value, bool) or not lowest <= float(value) < float("inf"):
        raise ValueError(f"{name} must be a finite number of at least {lowest}; got {value!r}")
    return float(value)


def check_verbose(value: object) -> None:
    """An integer or a bool, not negative."""
    if not isinstance(value, Integral) or int(value) < 0:
        raise ValueError(f"verbose must be 0 or a positive integer; got {value!r}")


def check_flag(name: str, value: object) -> None:
    """A bool."""
    if not isinstance(value, bool | np.bool_):
        raise ValueError(f"{name} must be True or False; got {value!r}")


def _is_readable(X: NDArray[Any]) -> bool:
    return bool(X.flags.aligned and X.dtype.isnative and all(stride % X.itemsize == 0 for stride in X.strides))


def _is_ready(estimator: Any, X: object, reset: bool) -> bool:
    return (
        type(X) is np.ndarray
        and not reset
        and X.ndim == 2
        and X.dtype in (np.float64, np.float32)
        and X.shape[0] > 0
        and X.shape[1] == estimator.n_features_in_
        and not hasattr(estimator, "feature_names_in_")
        and _is_readable(X)
    )
