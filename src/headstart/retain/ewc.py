"""Elastic weight consolidation: weights that earlier answers hang on stay near where they were."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from headstart.core.evaluate import evaluating, run_held
from headstart.core.examples import Examples
from headstart.core.stack import Stack, State
from headstart.core.step import Step
from headstart.core.task import Classify, Label, Regress, Task
from headstart.errors import DataError
from headstart.retain.l2sp import parameters
from headstart.retain.old_head import Of, OldHead, taps_in, task_of, temperature

EXACT = 16  # outputs up to which the expectation over answers is taken exactly
_ROWS = 64  # read at a time

Fisher = Mapping[str, Tensor]
"""BLOCK.NAME of a parameter -> how sharply answers change with each of its values, of its shape, at least 0."""


class EWC:
    """weight / 2 * sum over parameters i of F_i (w_i - w0_i)^2, w0 being what they are now.

    Args:
        fisher: of the earlier task, at the weights that the stack has now.
        stack: as it is before training.
        weight: at least 0; at 0 training is plain.

    Reference:
        Kirkpatrick et al., 2017, arXiv:1612.00796, equation 3.
    """

    def __init__(self, fisher: Fisher, stack: Stack, weight: float = 1.0) -> None:
        named = parameters(stack, len(stack), head=True)
        self.fisher = dict(fisher)
        # clone: a detached tensor would follow the weights, and the distance would stay 0
        self.start = {name: named[name].detach().clone() for name in fisher}
        self.weight = weight

    def __call__(self, step: Step) -> Tensor:
        """A scalar of at least 0."""
        zero = step.out.new_zeros(())
        if not self.weight:
            return zero
        named = parameters(step.stack, step.stack.depth, head=True)
        moved = (
            (self.fisher[name] * (p - self.start[name]).pow(2)).sum()
            for name, p in named.items()
            if name in self.fisher and p.requires_grad
        )
        return self.weight / 2 * sum(moved, zero)


def fisher(
    stack: Stack, data: Examples, of: Of, depth: int, *, given: bool = False, seed: int = 0
) -> dict[str, Tensor]:
    """The diagonal of the Fisher information of the last `depth` blocks, mean over the examples.

    F_i = E_x E_y (d log p(y | x) / d w_i)^2, a gradient for each example by itself in evaluation mode. Answers y come
    from the head's own distribution: exactly where it has up to EXACT outputs, else one is drawn per example. Labels
    are independent of each other, numbers are normal with a variance of 1; a task's label smoothing does not enter.
    The stack is left as it was, its gradients apart.

    Args:
        data: of the earlier task; new rows of its kind do as well, if their targets are not read.
        of: whose answers: the stack's own head for this task, or an old head.
        depth: of the training to come.
        given: whether y are the targets of the data (the empirical Fisher) instead.
        seed: of the answers that are drawn.

    Raises:
        DataError: no examples, no targets where they are to be read, or a task without a distribution of answers.
    """
    if not len(data) or (given and data.y is None):
        raise DataError(
            f"{len(data)} examples {'without targets ' if data.y is None else ''}were given; the Fisher information "
            f"needs at least one{', with targets' if given else ''}."
        )
    if not isinstance(task_of(of), Classify | Label | Regress):
        raise DataError(
            f"{type(task_of(of)).__name__} gives no probabilities of answers, which the Fisher information is made of; "
            "use Classify, Label or Regress."
        )
    learned, update = stack.depth, stack.update
    with evaluating(stack):
        stack.learn(depth)
        try:
            total = _squares(stack, data, of, given, np.random.default_rng([seed, 31]))
        finally:
            stack.learn(learned, update)
    return {name: each / len(data) for name, each in total.items()}


def _squares(stack: Stack, data: Examples, of: Of, given: bool, draw: np.random.Generator) -> dict[str, Tensor]:
    """Squared gradients, summed over the examples, of a stack at the depth of the training to come."""
    cut, task = stack.cut(stack.depth), task_of(of)
    named = parameters(stack, stack.depth, head=not isinstance(of, OldHead))
    total = {name: torch.zeros_like(p) for name, p in named.items()}
    for row, state in _singly(stack, data, cut):
        out = _logits(stack, state, of, row, cut)
        z = out.detach()
        pulls = [(1.0, _residual(task, z, _targets(data, row, z)))] if given else _pulls(task, z, draw)
        for share, pull in pulls:
            found = torch.autograd.grad(out, list(named.values()), pull, retain_graph=True, allow_unused=True)
            for name, gradient in zip(named, found, strict=True):
                if gradient is not None:
                    total[name] += share * gradient.pow(2)
    return total


def _singly(stack: Stack, data: Examples, cut: int) -> Iterator[tuple[NDArray[np.int64], State]]:
    """Each row by itself before block `cut`, and its position."""
    for start in range(0, len(data), _ROWS):
        rows = np.arange(start, min(start + _ROWS, len(data)))
        state = run_held(stack, data.read(rows), cut)
        for place in range(len(rows)):
            yield rows[place : place + 1], {name: tensor[place : place + 1] for name, tensor in state.items()}


def _logits(stack: Stack, state: State, of: Of, row: NDArray[np.int64], cut: int) -> Tensor:
    """(1, c) of the guarded head, with gradients down to block `cut`."""
    if not isinstance(of, OldHead):
        return stack(state, start=cut)["h"]
    return of(taps_in(stack(state, start=cut, stop=len(stack) - 1, hear=of.hears)), row) / temperature(of)


def _targets(data: Examples, row: NDArray[np.int64], z: Tensor) -> Tensor:
    assert data.y is not None
    return torch.from_numpy(data.y[row]).to(z.device)


def _residual(task: Task, z: Tensor, y: Tensor) -> Tensor:
    """(1, c) the gradient of -log p(y) for the logits z, or for numbers the means."""
    if isinstance(task, Classify):
        return z.softmax(1) - F.one_hot(y, z.shape[1])
    if isinstance(task, Label):
        return z.sigmoid() - y
    return z - y


def _pulls(task: Task, z: Tensor, draw: np.random.Generator) -> Iterator[tuple[float, Tensor]]:
    """Shares and (1, c) gradients for z whose squares, through the network, sum to the expectation over answers."""
    c = z.shape[1]
    if c > EXACT:
        yield 1.0, _residual(task, z, _drawn(task, z, draw))
    elif isinstance(task, Classify):
        for k, p in enumerate(z.softmax(1)[0].tolist()):
            yield p, _residual(task, z, torch.tensor([k], device=z.device))
    else:
        # outputs are independent of each other: products of two residuals are 0 in the mean
        p = z.sigmoid()
        spread = p * (1 - p) if isinstance(task, Label) else torch.ones_like(z)
        for k, share in enumerate(spread[0].tolist()):
            yield share, F.one_hot(torch.tensor([k], device=z.device), c).to(z.dtype)


def _drawn(task: Task, z: Tensor, draw: np.random.Generator) -> Tensor:
    """One answer out of the distribution of this row."""
    values = z.cpu().double()
    if isinstance(task, Classify):
        p = values.softmax(1).numpy()[0]
        return torch.tensor([draw.choice(len(p), p=p / p.sum())], device=z.device)
    if isinstance(task, Label):
        return torch.from_numpy(draw.random(z.shape) < values.sigmoid().numpy()).to(z)
    return z + torch.from_numpy(draw.normal(size=z.shape)).to(z)
