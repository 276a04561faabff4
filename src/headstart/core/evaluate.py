"""What a stack answers, and how right it is; the stack is left as it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from headstart.core.examples import Arrays, Examples
from headstart.core.ragged import padded, trimmed
from headstart.core.stack import Stack, State
from headstart.core.task import Task
from headstart.errors import DataError


def evaluate(stack: Stack, data: Examples, task: Task, *, batch: int = 256) -> float:
    """The task's score on these examples; higher is better.

    Raises:
        DataError: no targets.
    """
    if data.y is None:
        raise DataError(f"{len(data)} examples without targets were given; a score needs one target per example.")
    return task.score(outputs(stack, data, batch=batch), torch.from_numpy(np.ascontiguousarray(data.y)))


def outputs(stack: Stack, data: Examples, *, batch: int = 256) -> Tensor:
    """(n, ...) outputs of the head for every example, in order; the stack is left as it was."""
    with evaluating(stack):
        return torch.cat(
            [
                run_held(stack, data.read(np.arange(start, min(start + batch, len(data)))), len(stack))["h"].cpu()
                for start in range(0, len(data), batch)
            ]
        )


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Evaluation mode inside, each module's own mode again after."""
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


def run_held(stack: Stack, arrays: Arrays, cut: int) -> State:
    """Blocks [0, cut) without gradients."""
    # trimmed to the batch's longest row, as stored rows are: dropout draws one number per position
    read = {name: torch.from_numpy(np.ascontiguousarray(a)) for name, a in arrays.items()}
    device = device_of(stack)
    state = {name: tensor.to(device) for name, tensor in padded(trimmed(read)).items()}
    with torch.no_grad():
        return stack(state, stop=cut)


def device_of(stack: Stack) -> torch.device:
    """Where the weights of the stack are."""
    return next(stack.parameters()).device


@contextmanager
def settled(stack: Stack) -> Iterator[None]:
    """Batch norms by their running statistics inside, which do not move; each in its own mode again after."""
    moving = [module for module in stack.modules() if isinstance(module, _BatchNorm) and module.training]
    for module in moving:
        module.eval()
    try:
        yield
    finally:
        for module in moving:
            module.train()
