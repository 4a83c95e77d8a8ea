"""Block Gibbs sampling of restricted Boltzmann machines."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scorematch import _core
from scorematch.samplers._chains import Chains, Kernel
from scorematch.samplers._draws import Draws, SamplerState
from scorematch.samplers._run import Setup, result_of, run, set_up

Doubles = NDArray[np.float64]


class RBMKernel(Kernel):
    """Iterations of the compiled sampler."""

    def __init__(self, setup: Setup) -> None:
        self._setup, self._model = setup, setup.problem.model

    def advance(self, points: Doubles, iteration: int, n_iterations: int, thin: int) -> tuple[Doubles, Doubles]:
        model: Any = self._model
        found = _core.rbm_gibbs(
            model.components_,
            model.intercept_hidden_,
            model.intercept_visible_,
            model.noise_variance_,
            points,
            self._setup.seed,
            iteration,
            n_iterations,
            thin,
            self._setup.problem.n_threads,
        )
        return found["points"], found["draws"]


def gibbs(
    model: Any,
    n_chains: int | None = None,
    n_samples: int = 1000,
    n_warmup: int | None = None,
    thin: int = 1,
    initial: ArrayLike | SamplerState | None = None,
    random_state: Any = None,
    n_jobs: int | None = None,
    *,
    progress: bool = False,
) -> Draws:
    r"""Block Gibbs sampling of a restricted Boltzmann machine.

    An iteration draws all hidden units given the visible ones, then the visible ones given these:

    .. math:: P(h_k = 1 \mid x) = \frac{1}{1 + \exp(-c_k - w_k^\top x / \sigma^2)}, \qquad
        x \mid h \sim N(b + W^\top h, \sigma^2 I)

    It has no step to choose and rejects nothing. Chains pass slowly between modes that different states of the hidden
    units stand for, where these are far apart in units of σ.

    Parameters
    ----------
    model : GaussianBernoulliRBM
        A fitted machine, on all of space.
    n_chains : int, optional
        Number of chains; where None, as many as `initial` has rows, else 4.
    n_samples : int, default=1000
        Draws of each chain. All draws together take 8·n_chains·n_samples·n_features bytes.
    n_warmup : int, optional
        Iterations before the first draw; 1000 where None, and none for a run that goes on.
    thin : int, default=1
        Iterations from one draw to the next.
    initial : array_like of shape (n_features,) or (n_chains, n_features), or SamplerState, optional
        Where chains begin, as for :func:`langevin`. The ``state`` of earlier draws: go on with these.
    random_state : int, RandomState or None
        Seed or generator.
    n_jobs : int, optional
        Number of threads; None means that of the model, and for it None and -1 all processors that the process may
        use. Results do not depend on it.
    progress : bool, default=False
        Whether to show a progress bar, if tqdm is installed.

    Returns
    -------
    Draws
        With acceptance rates of 1, and steps of 1, which mean nothing here.

    Raises
    ------
    TypeError
        Where `model` is no machine. (Other families that have a Gibbs sampler offer it by ``sample(method="gibbs")``.)
    ValueError
        Where the model lives on a domain with a boundary, or an argument is not as above.

    References
    ----------
    Welling, Rosen-Zvi and Hinton (2005), "Exponential family harmoniums with an application to information retrieval",
    NIPS 17.

    Examples
    --------
    >>> import scorematch
    >>> model = scorematch.GaussianBernoulliRBM.from_params(
    ...     components=[[2.0, 0.0]], intercept_hidden=[-2.0], intercept_visible=[0.0, 1.0], noise_variance=1.0
    ... )
    >>> result = scorematch.samplers.gibbs(model, n_chains=50, random_state=0)
    >>> bool(abs(result.flatten().mean(axis=0) - [1, 1]).max() < 0.1)
    True
    """
    from scorematch._gaussian_bernoulli_rbm import GaussianBernoulliRBM

    if not isinstance(model, GaussianBernoulliRBM):
        raise TypeError(
            f"model must be a GaussianBernoulliRBM; got {model!r}. Other families with a Gibbs sampler offer it by "
            "sample(method='gibbs')"
        )
    model._check_is_fitted()
    if model._has_boundary:
        raise ValueError(f"the Gibbs sampler is for all of space, and this model lives on {model._domain()!r}: use hmc")
    setup = set_up(
        "gibbs",
        model,
        n_chains,
        n_samples,
        n_warmup,
        thin,
        None,
        initial,
        random_state,
        n_jobs,
        log_density=None,
        domain=None,
        boundary="reflect",
        scale=None,
        needs_log_density=False,
    )

    def warm_up(chains: Chains) -> None:
        chains.skip(setup.n_warmup)

    out, chains = run("gibbs", setup, RBMKernel(setup), warm_up, progress)
    n, d = setup.n_chains, setup.problem.n_features
    acceptance = np.full(n, float(setup.n_samples * setup.thin))
    return result_of("gibbs", setup, out, chains, acceptance, np.zeros(n, dtype=np.int64), np.ones(n), np.ones(d))
