"""The only training loop of the project."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from headstart.core.examples import Examples
from headstart.core.plan import Plan, Run
from headstart.core.ragged import padded, trimmed
from headstart.core.stack import Stack, State
from headstart.core.store import Address, Store, Table
from headstart.core.task import Task
from headstart.errors import DataError, StoreError


@dataclass(frozen=True)
class Step:
    """What a penalty sees of one training step.

    Attributes:
        stack: being trained; not to be changed.
        state: what entered the first learning block.
        out: (b, ...) outputs of the head.
        y: (b, ...) targets.
        rows: (b,) positions in the training examples.
    """

    stack: Stack
    state: State
    out: Tensor
    y: Tensor
    rows: NDArray[np.int64]


class Penalty(Protocol):
    """A scalar that is added to the task's loss."""

    def __call__(self, step: Step) -> Tensor: ...


def fit(
    stack: Stack,
    data: Examples,
    task: Task,
    plan: Plan,
    *,
    penalties: Sequence[Penalty] = (),
    store: Store | None = None,
    on_epoch: Callable[[int, float], None] | None = None,
) -> Run:
    """Train the last `plan.depth` blocks of `stack` on `data`, in place.

    With a store the held blocks run once per example instead of once per example and epoch; the weights that
    come out are the same up to the store's number format.

    Raises:
        DepthError: plan.depth is outside 0..len(stack).
        SharedError: a parameter is on both sides of the cut.
        DataError: no targets.
        StoreError: a store together with examples that draw random views.
    """
    if data.y is None:
        raise DataError(f"{len(data)} examples without targets were given; fit needs one target per example.")
    cut = stack.cut(plan.depth)
    stack.learn(plan.depth).train()
    table = None if store is None or cut == 0 else fill(store, stack, data, cut)
    parameters = _parameters(stack, plan, cut)
    optimizer = torch.optim.AdamW(parameters, lr=plan.lr, weight_decay=plan.weight_decay) if parameters else None
    targets = torch.from_numpy(np.ascontiguousarray(data.y))
    order = np.random.default_rng([plan.seed, 0])
    losses: list[float] = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(plan.seed)  # dropout has no generator of its own: the fork gives the caller's back
        for epoch in range(plan.epochs if optimizer else 0):
            total = 0.0
            for rows in np.array_split(order.permutation(len(data)), max(1, -(-len(data) // plan.batch))):
                state = _held(stack, data, table, cut, rows)
                y = targets[torch.from_numpy(rows)]
                out = stack(state, start=cut)["h"]
                loss = task.loss(out, y)
                total += loss.item() * len(rows)
                for penalty in penalties:
                    loss = loss + penalty(Step(stack, state, out, y, rows))
                assert optimizer is not None
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                optimizer.step()
            losses.append(total / len(data))
            if on_epoch:
                on_epoch(epoch, losses[-1])
    learned = sum(p.numel() for p in stack.parameters() if p.requires_grad)
    held = sum(p.numel() for p in stack.parameters()) - learned
    return Run(plan, tuple(losses), learned, held, table is not None)


def fill(store: Store, stack: Stack, data: Examples, cut: int, *, chunk: int = 256) -> Table:
    """The table of blocks [0, cut) with a row for every example; computes what is missing, chunk by chunk.

    Raises:
        StoreError: examples that draw random views, or a disk that refuses.
    """
    if data.random_view:
        raise StoreError(
            "these examples draw a new random view at each read, and a stored row would freeze one view for ever. "
            "Pass store=None, or make a fixed set of views first."
        )
    table = store.table(Address(stack.fingerprint(cut), cut))
    missing = table.missing(data.keys)
    with _evaluating(stack):
        for start in range(0, len(missing), chunk):
            rows = missing[start : start + chunk]
            state = _held(stack, data, None, cut, rows)
            table.write([data.keys[row] for row in rows], trimmed(state))
    return table


def outputs(stack: Stack, data: Examples, *, batch: int = 256) -> Tensor:
    """(n, ...) outputs of the head for every example, in order; the stack is left as it was."""
    with _evaluating(stack):
        return torch.cat(
            [
                _held(stack, data, None, len(stack), np.arange(start, min(start + batch, len(data))))["h"]
                for start in range(0, len(data), batch)
            ]
        )


@contextmanager
def _evaluating(stack: Stack) -> Iterator[None]:
    """Evaluation mode inside, each module's own mode again after."""
    modes = [(module, module.training) for module in stack.modules()]
    stack.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


def _held(stack: Stack, data: Examples, table: Table | None, cut: int, rows: NDArray[np.int64]) -> State:
    """What enters block `cut` for these rows: read from the table, or computed without gradients."""
    if table is not None:
        return padded(table.read([data.keys[row] for row in rows]))
    # trimmed to the batch's longest row, as stored rows are: dropout draws one number per position
    read = {name: torch.from_numpy(np.ascontiguousarray(a)) for name, a in data.read(rows).items()}
    state = padded(trimmed(read))
    with torch.no_grad():
        return stack(state, stop=cut)


def _parameters(stack: Stack, plan: Plan, cut: int) -> list[dict]:
    groups = [
        {
            "params": [p for p in stack.blocks[name].parameters() if p.requires_grad],
            "lr": plan.lr * plan.lr_decay ** (len(stack) - 1 - index),
        }
        for index, name in enumerate(stack.names)
        if index >= cut
    ]
    return [group for group in groups if group["params"]]
