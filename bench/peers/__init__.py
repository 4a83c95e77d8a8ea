"""Peers: the same objective and gradient, in the same working parameters, by other means.

Each module here defines contenders: functions that take a workload and its data and return a callable of θ that gives
(loss, gradient). Whatever can be done once for fixed data (moving it to the device, compiling) is done before. θ comes
as a NumPy array, and results are complete when the callable returns.

"numpy" and "jax" are the derivatives written out by hand, on whole arrays. "… (tuned)" are the fastest forms that
could be found: in blocks of rows that stay in the cache, mixtures with diagonal covariances and ICA rearranged into
fewer or into matrix products (which loses digits where data lie far from the origin), the Gaussian through its
moments.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray
from workloads import Floats, Workload

Evaluation = Callable[[NDArray[np.float64]], tuple[Any, Any]]

# Name of the contender: (module, function).
_PEERS = {
    "numpy": ("numpy_peer", "plain"),
    "numpy (tuned)": ("numpy_peer", "tuned"),
    "jax": ("jax_peer", "plain"),
    "jax (tuned)": ("jax_peer", "tuned"),
    "jax autodiff": ("jax_autodiff_peer", "autodiff"),
    "torch": ("torch_peer", "autograd"),
}
NAMES = tuple(_PEERS)


@cache
def missing(name: str) -> str:
    """Why a peer cannot run here; empty if it can."""
    try:
        import_module(f"peers.{_PEERS[name][0]}")
    except ImportError as error:
        return f"{name}: {error}"
    return ""


def make(name: str, workload: Workload, X: Floats) -> Evaluation:
    """The peer at work on this data."""
    module, function = _PEERS[name]
    return getattr(import_module(f"peers.{module}"), function)(workload, X)


def check_agreement(
    workload: Workload, theta: NDArray[np.float64], ours: Evaluation, peer: Evaluation, name: str
) -> None:
    """Raise an error unless the peer's objective and gradient are ours."""
    tolerance = 1e-9 if workload.dtype == "float64" else 1e-3
    loss, gradient = ours(theta)
    peer_loss, peer_gradient = (np.asarray(result, dtype=np.float64) for result in peer(theta))
    loss_error = abs(float(peer_loss) - loss) / abs(loss)
    gradient_error = float(np.abs(peer_gradient - gradient).max() / np.abs(gradient).max())
    if not (peer_gradient.shape == gradient.shape and max(loss_error, gradient_error) <= tolerance):
        raise AssertionError(
            f"{name} does not agree with ours on {workload.name}: relative error of the objective {loss_error:.2g}, "
            f"of the gradient {gradient_error:.2g}"
        )
