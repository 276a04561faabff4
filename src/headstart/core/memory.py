"""How much memory a step of training takes, before it is taken, and how much there is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from headstart.errors import TrainingError
from headstart.units import human

if TYPE_CHECKING:
    from torch import Tensor

    from headstart.core.examples import Examples
    from headstart.core.feed import Prefix
    from headstart.core.plan import Plan
    from headstart.core.stack import Stack
    from headstart.core.store import Store
    from headstart.core.task import Task

_STATES = 4  # numbers beside each learning weight: its gradient, two moments of AdamW, and the last good point
_AROUND = 1.5  # what a step takes over what it keeps for the gradients: buffers of convolutions, gradients of states


def free_memory() -> int | None:
    """Bytes that a new process may take without others being moved out; None where the system does not tell."""
    info = Path("/proc/meminfo")
    if not info.is_file():
        return None
    said = next((line for line in info.read_text("utf8").splitlines() if line.startswith("MemAvailable:")), "")
    free = int(said.split()[1]) * 1024 if said else None
    limit, used = (_number(Path("/sys/fs/cgroup") / name) for name in ("memory.max", "memory.current"))
    if limit is None or used is None:
        return free
    return min(limit - used, free) if free is not None else limit - used


def step_bytes(
    stack: Stack,
    data: Examples,
    task: Task,
    plan: Plan,
    *,
    few: int = 2,
    store: Store | None = None,
    prefix: Prefix | None = None,
) -> tuple[float, float]:
    """Bytes that training takes whatever the batch, and bytes for each example of a batch, the longest one.

    What a forward pass keeps for the gradients is counted for a few examples and for twice as many, or for one alone;
    the stack is left as it was.

    Args:
        few: examples; 1 is one alone, of which all is counted as its own: where one is large, as a row of tokens is.
            At least 2 where norms look at the whole batch.
        store, prefix: as of `core.fit.fit`.
    """
    import torch

    from headstart.core.evaluate import evaluating
    from headstart.core.feed import feed
    from headstart.core.fit import through

    lengths = np.zeros(len(data)) if data.lengths is None else data.lengths
    some = replace(data.take(np.argsort(-lengths, kind="stable")[: 2 * few]), views=())
    depth, update, cut, kept = stack.depth, stack.update, stack.cut(plan.depth), []
    held, draw = feed(stack, some, cut, store, prefix), np.random.default_rng(0)
    with evaluating(stack):
        stack.learn(plan.depth, plan.update)
        weights = {parameter.untyped_storage().data_ptr() for parameter in stack.parameters()}
        learning = sum(p.numel() * p.element_size() for p in stack.parameters() if p.requires_grad)
        for rows in (few, 2 * few) if few > 1 else (1,):
            seen: dict[int, int] = {}

            def note(tensor: Tensor, seen: dict[int, int] = seen) -> Tensor:
                storage = tensor.untyped_storage()
                if storage.data_ptr() not in weights:
                    seen[storage.data_ptr()] = storage.nbytes()
                return tensor.detach()  # the tensor itself would hold what made it, which holds the tensor: for ever

            drawn = held(np.arange(min(rows, len(some))), draw)
            assert drawn.y is not None
            with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
                loss = task.loss(through(stack, drawn.state, cut, plan.precision).out, drawn.y)
            del loss
            kept.append(sum(seen.values()))
        stack.learn(depth, update)
    each = max(0.0, kept[1] - kept[0]) / few if few > 1 else float(kept[0])
    return _STATES * learning + _AROUND * max(0.0, kept[0] - few * each), _AROUND * each


def pieces_that_fit(fixed: float, each: float, plan: Plan, free: int | None, *, divisible: bool) -> int:
    """Pieces, a power of two, that a batch must be divided into to have room; 1 where it has room whole.

    On a CPU the system kills whoever takes too much: what has no room is refused before it is begun.

    Args:
        fixed, each: as `step_bytes` tells.
        free: bytes; None refuses nothing.
        divisible: whether a divided batch gives the same step, as without norms over the batch it does.

    Raises:
        TrainingError: it does not fit, or not whole where it may not be divided.
    """
    pieces = 1
    while free is not None and fixed + -(-plan.batch // pieces) * each > free:
        if pieces >= plan.batch or not divisible:
            why = "" if divisible else ", and its batches cannot be divided, as the network norms over them"
            raise TrainingError(
                f"training {plan.depth} blocks in batches of {plan.batch} needs about "
                f"{human(fixed + plan.batch * each)} of memory and {human(free)} are free{why}; "
                "use a smaller depth or a smaller batch, or close other programs."
            )
        pieces *= 2
    return pieces


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text("utf8"))
    except (OSError, ValueError):  # not a container, or one without a limit
        return None
