"""PyTorch on the processor: score function and Hessian trace by hand, the gradient by autograd.

Whole arrays: blocks of rows would pay for the calls of autograd once a block.
"""

from __future__ import annotations

from typing import Any

import torch
from workloads import Floats, Workload

from peers import Evaluation, formulas


def autograd(workload: Workload, X: Floats) -> Evaluation:
    """The objective of the formulas, differentiated by torch."""
    steps = formulas.plain(torch, workload)
    data = torch.from_numpy(X)

    def evaluate(theta: Floats) -> tuple[Any, Any]:
        parameters = torch.from_numpy(theta).requires_grad_()
        as_data = tuple(parameter.to(data.dtype) for parameter in steps.prepare(parameters))
        loss = steps.objective(as_data, data) / len(X)
        (gradient,) = torch.autograd.grad(loss, parameters)
        return loss.detach(), gradient

    return evaluate
