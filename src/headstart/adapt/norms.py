"""A network's batch norms with the statistics of the rows that it is to read (AdaBN)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from headstart.core.evaluate import device_of, evaluating, run_held
from headstart.core.examples import Examples
from headstart.core.skill import TAIL
from headstart.core.stack import Stack
from headstart.errors import DataError

_MOST = 512  # rows from which on more of them move the statistics by less than another draw of the rows would
_MOMENTS = ("running_mean", "running_var")


def norms_of(
    stack: Stack,
    examples: Examples,
    *,
    most: int = _MOST,
    batch: int = 64,
    rounds: int = 2,
    precision: str = "float32",
    seed: int = 0,
) -> dict[str, NDArray]:
    """The statistics that the network's batch norms would have if these rows were all it had seen.

    The first round normalises each batch by itself and pools the moments of all batches exactly; each further one
    measures them again with the pooled statistics in place. With all rows in one batch the first round is exact; in
    any batches the first k norms are exact after k further rounds, and nearly all of the way is made by the second.
    All but the norms is in evaluation mode, and the stack is left as it was.

    Args:
        examples: without labels, at least two.
        most: rows that are read; of more a random part.
        batch: rows at a time, at least 2.
        rounds: passes over the rows, at least 1.
        precision: of the arithmetic, float32 or bfloat16 (autocast): channels that hardly move are divided by next to
            nothing, and what bfloat16 rounds off is then as large as what is left.
        seed: of the random part.

    Returns:
        TAIL + block.name -> (c,) means and unbiased variances, as `adapt.held.open_tuned` takes them; empty where the
        network has no batch norm with statistics.

    Raises:
        DataError: fewer than two rows.

    Reference:
        Li et al., 2016, arXiv:1603.04779, algorithm 1.
    """
    if len(examples) < 2 or batch < 2:
        raise DataError(
            f"{len(examples)} rows in batches of {batch} have no variance; give 2 of each, better some hundreds."
        )
    norms = batch_norms(stack)
    if not norms:
        return {}
    rows = np.sort(np.random.default_rng([seed, 15]).permutation(len(examples))[:most])
    # no batch of a single row: some norms would have one value to a channel
    parts = np.array_split(rows, max(1, min(-(-len(rows) // batch), len(rows) // 2)))
    before = [(buffer, buffer.clone()) for norm in norms.values() for buffer in norm.buffers()]
    try:
        with evaluating(stack):
            for turn in range(rounds):
                for norm in norms.values():
                    norm.training = turn == 0
                for norm, moments in _measured(stack, norms, examples, parts, precision).items():
                    moments.into(norm)
        return {name: values.cpu().numpy().copy() for name, values in _places(norms).items()}
    finally:
        for buffer, values in before:
            buffer.copy_(values)


def swap_(stack: Stack, arrays: Mapping[str, NDArray]) -> dict[str, NDArray]:
    """Put statistics into the norms of the stack; what was there comes back, so that a second call undoes the first.

    Args:
        arrays: as `norms_of` gives them.

    Raises:
        DataError: a name that no norm of the stack has.
    """
    places = _places(batch_norms(stack))
    unknown = [name for name in arrays if name not in places]
    if unknown:
        raise DataError(f"{unknown[0]} is no statistic of this network; give those that norms_of made of it.")
    before = {name: places[name].cpu().numpy().copy() for name in arrays}
    for name, values in arrays.items():
        places[name].copy_(torch.from_numpy(values))
    return before


@dataclass
class _Moments:
    """Count, mean and squared deviations of each channel, pooled over batches in double precision."""

    count: int = 0
    mean: Tensor | float = 0.0
    squares: Tensor | float = 0.0

    def add(self, x: Tensor) -> None:
        """(b, c, ...) values before the norm."""
        flat = x.detach().double().transpose(0, 1).flatten(1)
        count, mean = flat.shape[1], flat.mean(1)
        far, total = mean - self.mean, self.count + count
        self.squares = self.squares + (flat - mean[:, None]).pow(2).sum(1) + far**2 * (self.count * count / total)
        self.mean = self.mean + far * (count / total)
        self.count = total

    def into(self, norm: _BatchNorm) -> None:
        """Make these the statistics of the norm."""
        assert norm.running_mean is not None
        assert norm.running_var is not None
        norm.running_mean.copy_(torch.as_tensor(self.mean))
        norm.running_var.copy_(torch.as_tensor(self.squares) / max(1, self.count - 1))


def _measured(
    stack: Stack, norms: Mapping[str, _BatchNorm], examples: Examples, parts: list[NDArray[np.int64]], precision: str
) -> dict[_BatchNorm, _Moments]:
    """Moments of what enters each norm, over all the parts."""
    found: dict[_BatchNorm, _Moments] = {norm: _Moments() for norm in norms.values()}

    def note(norm: nn.Module, given: tuple[Tensor, ...]) -> None:
        assert isinstance(norm, _BatchNorm)
        found[norm].add(given[0])

    hooks = [norm.register_forward_pre_hook(note) for norm in found]
    try:
        with torch.autocast(device_of(stack).type, torch.bfloat16, enabled=precision == "bfloat16"):
            for rows in parts:
                run_held(stack, examples.read(rows), len(stack) - 1)
    finally:
        for hook in hooks:
            hook.remove()
    return {norm: moments for norm, moments in found.items() if moments.count}


def batch_norms(stack: Stack) -> dict[str, _BatchNorm]:
    """Block.name -> norm, for every batch norm below the head that keeps statistics."""
    return {
        f"{block}.{name}" if name else block: module
        for block in stack.names[:-1]
        for name, module in stack.blocks[block].named_modules()
        if isinstance(module, _BatchNorm) and module.running_mean is not None
    }


def _places(norms: Mapping[str, _BatchNorm]) -> dict[str, Tensor]:
    """TAIL + block.name of each statistic -> where it is."""
    return {
        f"{TAIL}{name}.{moment}": buffer
        for name, norm in norms.items()
        for moment, buffer in norm.named_buffers()
        if moment in _MOMENTS
    }
