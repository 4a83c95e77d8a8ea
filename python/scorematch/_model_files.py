"""Models as JSON files: readable, without pickle, and exact to the last bit."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import scorematch
from scorematch import domains, weights
from scorematch._registry import families
from scorematch._validation import check_parameter, check_theta

if TYPE_CHECKING:
    from scorematch._base import ScoreMatchingEstimator

FORMAT = "scorematch model"
VERSION = 1


def save_model(model: ScoreMatchingEstimator, path: str | os.PathLike[str]) -> None:
    """Write a fitted model to a JSON file.

    The file holds the class, its options, ``theta_`` and ``params_``; numbers are written so that reading them gives
    the same bits. A model with functions among its options cannot be written.

    Parameters
    ----------
    model : estimator
        A fitted model of any family.
    path : path-like
        Where to write; an existing file is replaced.

    Examples
    --------
    >>> import os, tempfile
    >>> import scorematch
    >>> model = scorematch.Gaussian.from_params(mean=[0.0], covariance=[[2.0]])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "model.json")
    ...     scorematch.save_model(model, path)
    ...     scorematch.load_model(path).covariance_
    array([[2.]])
    """
    Path(path).write_text(json.dumps(to_dict(model), indent=1, allow_nan=False) + "\n", encoding="utf-8")


def load_model(path: str | os.PathLike[str]) -> ScoreMatchingEstimator:
    """Read a model that :func:`save_model` or the command line wrote.

    Parameters
    ----------
    path : path-like
        The JSON file.

    Returns
    -------
    estimator
        The model, equal to the one that was saved.

    Examples
    --------
    See :func:`save_model`.
    """
    try:
        contents = json.loads(Path(path).read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"{os.fspath(path)} is not a model file: {error}") from error
    try:
        return from_dict(contents)
    except ValueError as error:
        raise ValueError(f"{os.fspath(path)}: {error}") from error


def to_dict(model: ScoreMatchingEstimator) -> dict[str, Any]:
    """A fitted model as plain data."""
    model._check_is_fitted()
    for name, value in model.get_params(deep=False).items():
        own = _own_code_in(value)
        if own is not None:
            verb = "is" if own is value else "holds"
            what = "a function" if hasattr(own, "__name__") else "an object of your own"
            raise ValueError(
                f"{type(model).__name__} cannot be written to a model file: its option {name} {verb} {what}, "
                f"{getattr(own, '__name__', own)}. Pickle the model, or keep theta_ and use from_params() later"
            )
        if hasattr(value, "contains") and type(value) not in _OBJECTS.values():
            raise ValueError(
                f"{type(model).__name__} cannot be written to a model file: its option {name} is an object of your "
                f"own, {value!r}. Pickle the model, or keep theta_ and use from_params() later"
            )
    return {
        "format": FORMAT,
        "version": VERSION,
        "scorematch": scorematch.__version__,
        "class": type(model).__name__,
        "options": {name: _plain(value) for name, value in model.get_params(deep=False).items()},
        "n_features": model.n_features_in_,
        "feature_names": getattr(model, "feature_names_in_", np.empty(0)).tolist(),
        "fit": {
            name: _plain(getattr(model, f"{name}_"))
            for name in ("objective", "converged", "n_iter", "n_reweightings", "noise_seed", "difference_step")
            if hasattr(model, f"{name}_")
        },
        "params": {name: _plain(value) for name, value in model.params_.items()},
        "state": {name: _plain(getattr(model, name)) for name in model._state},
        "weight": _plain(getattr(model, "weight_", None)),
        "theta": model.theta_.tolist(),
    }


def from_dict(contents: Any) -> ScoreMatchingEstimator:
    """The model that `to_dict` wrote down."""
    if not isinstance(contents, dict) or contents.get("format") != FORMAT:
        raise ValueError("this is not a scorematch model")
    if contents.get("version") != VERSION:
        raise ValueError(f"model files of version {contents.get('version')!r} cannot be read, only of {VERSION}")
    classes = {cls.__name__: cls for cls in families()}
    if contents.get("class") not in classes:
        raise ValueError(f"there is no model class {contents.get('class')!r}; classes are {', '.join(classes)}")
    try:
        cls = classes[contents["class"]]
        model = cls(**{name: _revived(value) for name, value in contents["options"].items()})
        model.n_features_in_ = int(contents["n_features"])
        if contents["feature_names"]:
            model.feature_names_in_ = np.asarray(contents["feature_names"], dtype=object)
        for name in model._state:
            value = contents["state"][name]
            setattr(model, name, np.asarray(value, dtype=np.float64) if isinstance(value, list) else value)
        model._check_domain()
        if contents.get("weight") is not None:
            model.weight_ = _revived(contents["weight"])
        theta = check_theta(contents["theta"], model._compiled().n_params)
        for name, value in contents["fit"].items():
            setattr(model, f"{name}_", value)
        model._set_theta(theta)
        # What follows from θ may do so with other rounding than when it was estimated.
        for name, current in model.params_.items():
            value = check_parameter(name, contents["params"][name], current.shape).astype(current.dtype)
            setattr(model, f"{name}_", value if value.ndim else float(value))
            model.params_[name] = value
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"the model is incomplete: {type(error).__name__} {error}") from error
    return model


# Domains and weights stand in a file as {"type": name, field: value, ...}.
_OBJECTS = {
    name: getattr(module, name) for module in (domains, weights) for name in module.__all__ if name[0].isupper()
}


def _own_code_in(value: Any) -> Any:
    """The first function or object of the user's in an option, which may be a pair or have fields; None without one."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        if type(value) is not _OBJECTS.get(type(value).__name__):
            return value
        value = [getattr(value, field.name) for field in dataclasses.fields(value)]
    if isinstance(value, list | tuple):
        return next((own for own in map(_own_code_in, value) if own is not None), None)
    return value if callable(value) or callable(getattr(value, "contains", None)) else None


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return {"type": type(value).__name__, **fields}
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if isinstance(value, float) and not np.isfinite(value):
        return {"type": "float", "value": str(value)}  # JSON has no infinity
    return value if isinstance(value, bool | int | float | str) else None


def _revived(value: Any) -> Any:
    if isinstance(value, list):
        return [_revived(entry) for entry in value]
    if isinstance(value, dict) and value.get("type") == "float":
        return float(value["value"])
    if isinstance(value, dict) and value.get("type") in _OBJECTS:
        fields = {name: _revived(field) for name, field in value.items() if name != "type"}
        return _OBJECTS[value["type"]](**fields)
    return [_revived(entry) for entry in value] if isinstance(value, list) else value
