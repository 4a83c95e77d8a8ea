"""Does the model fit, and was score matching the right way to fit it?

=================================== ==================================================================================
:func:`kernel_stein_test`           One p value for the whole of the fit (the kernel Stein discrepancy)
:func:`kernel_stein_discrepancy`    Its statistic alone
:func:`stein_check`                 Which columns depart from the model, and where, with errors and p values
:func:`boundary_mass`               How many rows lie near the boundary of the domain, so that weights matter
:func:`relative_efficiency`         What score matching loses against maximum likelihood, parameter by parameter
:func:`check_objective`             Whether score function, Hessian and objective of a model of your own are right
=================================== ==================================================================================

The first three rest on the Stein identity: where the data follow the model, E[tr(A∇f) + (Aψ + b)ᵀf] = 0 for every
smooth f, with the score function ψ and the weights A, b of the objective. None of them needs the normalising constant.
"""

from scorematch.diagnostics._boundary import BoundaryMass, boundary_mass
from scorematch.diagnostics._check_objective import check_objective
from scorematch.diagnostics._efficiency import RelativeEfficiency, relative_efficiency
from scorematch.diagnostics._kernel_stein import KernelSteinTest, kernel_stein_discrepancy, kernel_stein_test
from scorematch.diagnostics._objective_comparisons import CheckedItem, ObjectiveCheck
from scorematch.diagnostics._stein_check import SteinCheck, stein_check

__all__ = [
    "BoundaryMass",
    "CheckedItem",
    "KernelSteinTest",
    "ObjectiveCheck",
    "RelativeEfficiency",
    "SteinCheck",
    "boundary_mass",
    "check_objective",
    "kernel_stein_discrepancy",
    "kernel_stein_test",
    "relative_efficiency",
    "stein_check",
]
