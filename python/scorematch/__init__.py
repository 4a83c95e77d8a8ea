"""Fit models whose normalising constant is unknown, by score matching, with a C++ core.

Names are loaded when they are first used, so that ``import scorematch`` costs little more than ``import numpy``.
"""

from importlib import import_module as _import_module
from typing import TYPE_CHECKING as _TYPE_CHECKING

__version__ = "0.1.0"

# Public name -> the module that holds it. A new family needs one line here, and one below for type checkers.
_EXPORTS = {
    "ExponentialFamily": "_exponential_family",
    "ExponentialSquareRoot": "_pairwise_interaction",
    "GammaInteraction": "_pairwise_interaction",
    "Gaussian": "_gaussian",
    "GaussianBernoulliRBM": "_gaussian_bernoulli_rbm",
    "GaussianMixture": "_gaussian_mixture",
    "ICA": "_ica",
    "PairwiseInteraction": "_pairwise_interaction",
    "PolynomialExponentialFamily": "_polynomial_exponential_family",
    "ProductOfStudentT": "_product_of_student_t",
    "StudentT": "_student_t",
    "TruncatedGaussian": "_pairwise_interaction",
    "VonMisesFisher": "_von_mises_fisher",
    "Ball": "domains",
    "Box": "domains",
    "Inequalities": "domains",
    "Inequality": "domains",
    "Intervals": "domains",
    "Asinh": "weights",
    "BoundaryDistance": "weights",
    "Log1p": "weights",
    "MCP": "weights",
    "MinLog1p": "weights",
    "MinPower": "weights",
    "NonNegative": "domains",
    "Polygon": "domains",
    "Polytope": "domains",
    "Power": "weights",
    "RealSpace": "domains",
    "Simplex": "domains",
    "SCAD": "weights",
    "SoftPlus": "weights",
    "Sphere": "domains",
    "Tanh": "weights",
    "TruncatedSine": "weights",
    "UserWeight": "weights",
    "InteractionPath": "_interaction_path",
    "PairwiseInteractionCV": "_interaction_selection",
    "PairwiseInteractionIC": "_interaction_selection",
    "StabilitySelection": "_interaction_stability",
    "check_objective": "diagnostics",
    "compare": "_model_choice",
    "interaction_path": "_interaction_path",
    "kernel_stein_test": "diagnostics",
    "load_model": "_model_files",
    "save_model": "_model_files",
    "show_config": "_config",
    "stability_selection": "_interaction_stability",
    "stein_check": "diagnostics",
}
_SUBMODULES = ("datasets", "diagnostics", "domains", "metrics", "weights", "papers", "plotting", "samplers")

__all__ = ["__version__", *sorted(_EXPORTS), *_SUBMODULES]

if _TYPE_CHECKING:
    from scorematch import datasets, diagnostics, domains, metrics, papers, plotting, samplers, weights
    from scorematch._config import show_config
    from scorematch._exponential_family import ExponentialFamily
    from scorematch._gaussian import Gaussian
    from scorematch._gaussian_bernoulli_rbm import GaussianBernoulliRBM
    from scorematch._gaussian_mixture import GaussianMixture
    from scorematch._ica import ICA
    from scorematch._interaction_path import InteractionPath, interaction_path
    from scorematch._interaction_selection import PairwiseInteractionCV, PairwiseInteractionIC
    from scorematch._interaction_stability import StabilitySelection, stability_selection
    from scorematch._model_choice import compare
    from scorematch._model_files import load_model, save_model
    from scorematch._pairwise_interaction import (
        ExponentialSquareRoot,
        GammaInteraction,
        PairwiseInteraction,
        TruncatedGaussian,
    )
    from scorematch._polynomial_exponential_family import PolynomialExponentialFamily
    from scorematch._product_of_student_t import ProductOfStudentT
    from scorematch._student_t import StudentT
    from scorematch._von_mises_fisher import VonMisesFisher
    from scorematch.diagnostics import check_objective, kernel_stein_test, stein_check
    from scorematch.domains import (
        Ball,
        Box,
        Inequalities,
        Inequality,
        Intervals,
        NonNegative,
        Polygon,
        Polytope,
        RealSpace,
        Simplex,
        Sphere,
    )
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
    )


def __getattr__(name: str) -> object:
    if name in _EXPORTS:
        value = getattr(_import_module(f"scorematch.{_EXPORTS[name]}"), name)
    elif name in _SUBMODULES:
        value = _import_module(f"scorematch.{name}")
    else:
        raise AttributeError(f"module 'scorematch' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
