"""What enters each batch norm of a network, example by example: the mean and the mean square of every channel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from headstart.adapt.held import Progress
from headstart.adapt.norms import batch_norms
from headstart.core.evaluate import device_of, evaluating, run_held
from headstart.core.examples import Examples
from headstart.core.stack import Stack

_BATCH = 16


@dataclass(frozen=True, eq=False)
class Entering:
    """One batch norm.

    Attributes:
        name: block and module.
        mean, var: (c,) that it keeps of the data that the network was trained on.
        eps: that it adds to the variance.
        first, second: (n, c) mean and mean square of each channel over the places of each example.
        places: of one example.
    """

    name: str
    mean: NDArray[np.float64]
    var: NDArray[np.float64]
    eps: float
    first: NDArray[np.float64]
    second: NDArray[np.float64]
    places: int


def entering(stack: Stack, examples: Examples, progress: Progress | None = None) -> list[Entering]:
    """Every batch norm below the head that keeps statistics, in the order in which they are entered.

    The network runs as it is, with the statistics that it keeps: what enters a norm is what it would enter with in use.
    """
    norms = {norm: name for name, norm in batch_norms(stack).items()}
    found: dict[nn.Module, list[tuple[NDArray, NDArray, int]]] = {}

    def note(norm: nn.Module, given: tuple[Tensor, ...]) -> None:
        x = given[0].detach().double().flatten(2) if given[0].ndim > 2 else given[0].detach().double().unsqueeze(2)
        found.setdefault(norm, []).append((x.mean(2).cpu().numpy(), x.pow(2).mean(2).cpu().numpy(), x.shape[2]))

    hooks = [norm.register_forward_pre_hook(note) for norm in norms]
    try:
        with evaluating(stack), torch.no_grad(), torch.autocast(device_of(stack).type, enabled=False):
            for start in range(0, len(examples), _BATCH):
                rows = np.arange(start, min(start + _BATCH, len(examples)))
                run_held(stack, examples.read(rows), len(stack) - 1)
                if progress:
                    progress(int(rows[-1]) + 1, len(examples))
    finally:
        for hook in hooks:
            hook.remove()
    return [_entering(norm, norms, parts) for norm, parts in found.items()]


def _entering(norm: nn.Module, names: Mapping[_BatchNorm, str], parts: list[tuple[NDArray, NDArray, int]]) -> Entering:
    assert isinstance(norm, _BatchNorm)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    mean, var = (buffer.double().cpu().numpy() for buffer in (norm.running_mean, norm.running_var))
    first, second = (np.concatenate([part[k] for part in parts]) for k in (0, 1))
    return Entering(names[norm], mean, var, norm.eps, first, second, parts[0][2])
