"""The only training loop of the project."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from headstart.core.evaluate import device_of, evaluating, run_held
from headstart.core.examples import Arrays, Examples, Read
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
        features: (b, d) what the head read to give `out`.
        draw: name of a set beside the training examples -> the state of a random batch of it, at the same cut.
        through: such a state -> (features, outputs) of the learning blocks, with gradients.
        done: share of the steps that are behind, 0 <= done < 1.
    """

    stack: Stack
    state: State
    out: Tensor
    y: Tensor
    rows: NDArray[np.int64]
    features: Tensor
    draw: Callable[[str], State]
    through: Callable[[State], tuple[Tensor, Tensor]]
    done: float


class Penalty(Protocol):
    """A scalar that is added to the task's loss."""

    def __call__(self, step: Step) -> Tensor: ...


@runtime_checkable
class Owner(Protocol):
    """A penalty with weights of its own, which the optimizer moves at the head's rate."""

    def parameters(self) -> Iterator[nn.Parameter]: ...


class Prefix(Protocol):
    """Held blocks as a fast engine runs them: raw arrays in, what crosses the cut out, as the store takes it.

    The properties are the store's address of what it computes.
    """

    @property
    def weights(self) -> str: ...
    @property
    def preparation(self) -> str: ...
    @property
    def engine(self) -> str: ...
    @property
    def precision(self) -> str: ...
    @property
    def store_dtype(self) -> str: ...
    def __call__(self, arrays: Arrays) -> Mapping[str, NDArray | Sequence[NDArray]]: ...


def fit(
    stack: Stack,
    data: Examples,
    task: Task,
    plan: Plan,
    *,
    penalties: Sequence[Penalty] = (),
    beside: Mapping[str, Examples] | None = None,
    store: Store | None = None,
    prefix: Prefix | None = None,
    on_epoch: Callable[[int, float], None] | None = None,
) -> Run:
    """Train the last `plan.depth` blocks of `stack` on `data`, in place, on the device that the stack is on.

    With a store the held blocks run once per example and view instead of once per example and epoch; the weights
    that come out are the same up to the store's number format.

    Args:
        beside: further sets of examples that penalties draw rows of, by name; they need no targets.
        prefix: a faster way to run the held blocks for the store; None runs the stack itself.

    Raises:
        DepthError: plan.depth is outside 0..len(stack).
        SharedError: a parameter is on both sides of the cut.
        DataError: no targets, or a penalty that draws from a set that is not beside.
        StoreError: a store together with examples that draw random views.
    """
    if data.y is None:
        raise DataError(f"{len(data)} examples without targets were given; fit needs one target per example.")
    cut = stack.cut(plan.depth)
    stack.learn(plan.depth).train()
    held = _Held(stack, data, cut, _tables(store, stack, data, cut, prefix))
    parameters = _parameters(stack, plan, cut)
    parameters += [_group(list(p.parameters()), plan.lr) for p in penalties if parameters and isinstance(p, Owner)]
    aside = _Beside(
        plan,
        {
            name: _Held(stack, examples, cut, _tables(store, stack, examples, cut, prefix))
            for name, examples in (beside or {}).items()
        },
    )
    optimizer = torch.optim.AdamW(parameters, lr=plan.lr, weight_decay=plan.weight_decay) if parameters else None
    device = device_of(stack)
    targets = torch.from_numpy(np.ascontiguousarray(data.y)).to(device)
    draw = np.random.default_rng([plan.seed, 0])
    through = partial(_through, stack, cut=cut, precision=plan.precision)
    losses: list[float] = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(plan.seed)  # dropout has no generator of its own: the fork gives the caller's back
        for epoch in range(plan.epochs if optimizer else 0):
            assert optimizer is not None
            total = 0.0
            order = batches(len(data), plan.batch, draw, data.lengths)
            for index, rows in enumerate(order):
                place, steps = epoch * len(order) + index, plan.epochs * len(order)
                rate = plan.rate(place, steps)
                for group in optimizer.param_groups:
                    group["lr"] = group["full"] * rate
                state = held(rows, draw)
                y = targets[torch.from_numpy(rows).to(device)]
                features, out = through(state)
                loss = task.loss(out, y)
                total += loss.item() * len(rows)
                for penalty in penalties:
                    step = Step(stack, state, out, y, rows, features, aside, through, place / steps)
                    loss = loss + penalty(step)
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                optimizer.step()
            losses.append(total / len(data))
            if on_epoch:
                on_epoch(epoch, losses[-1])
    learned = sum(p.numel() for p in stack.parameters() if p.requires_grad)
    rest = sum(p.numel() for p in stack.parameters()) - learned
    return Run(plan, tuple(losses), learned, rest, bool(held.tables))


def _through(stack: Stack, state: State, cut: int, precision: str) -> tuple[Tensor, Tensor]:
    """What the head reads, and what it gives, for what enters block `cut`.

    The head itself is computed in float32: a fitted one has large weights whose sum nearly cancels, and the three
    digits of bfloat16 are not enough for that.
    """
    head = max(cut, len(stack) - 1)
    with torch.autocast(device_of(stack).type, torch.bfloat16, enabled=precision == "bfloat16"):
        state = stack(state, start=cut, stop=head)
    features = state["h"].float()
    return features, stack({**state, "h": features}, start=head)["h"]


def seconds_per_step(
    stack: Stack, data: Examples, task: Task, plan: Plan, *, store: Store | None = None, prefix: Prefix | None = None
) -> float:
    """What one step of `fit` takes on this machine: the faster of two, the optimizer's part left out.

    The stack is left as it was: no weight moves, and in evaluation mode no statistics and no generator either.

    Args:
        store, prefix: as of `fit`; what they compute of a batch stays, and `fit` finds it there.
    """
    draw = np.random.default_rng([plan.seed, 1])
    few = replace(data.take(draw.permutation(len(data))[: plan.batch]), views=())
    assert few.y is not None
    y = torch.from_numpy(np.ascontiguousarray(few.y)).to(device_of(stack))
    depth, cut, taken = stack.depth, stack.cut(plan.depth), []
    held = _Held(stack, few, cut, _tables(store, stack, few, cut, prefix))
    with evaluating(stack):
        stack.learn(plan.depth)
        for _ in range(2):
            start = time.perf_counter()
            state = held(np.arange(len(few)), draw)
            task.loss(_through(stack, state, cut, plan.precision)[1], y).backward()
            stack.zero_grad(set_to_none=True)
            taken.append(time.perf_counter() - start)
        stack.learn(depth)
    return min(taken)


def batches(
    n: int, batch: int, draw: np.random.Generator, lengths: NDArray[np.int64] | None = None
) -> list[NDArray[np.int64]]:
    """Every row once, in random batches of nearly equal size.

    Args:
        lengths: (n,) of ragged rows; each batch then holds rows of like length out of a random pool of many
            batches, and the batches come in random order: little padding, and still other company in each epoch.
    """
    order = draw.permutation(n)
    if lengths is not None:
        pool = 16 * batch
        pools = [order[start : start + pool] for start in range(0, n, pool)]
        order = np.concatenate([rows[np.argsort(lengths[rows], kind="stable")] for rows in pools])
    parts = np.array_split(order, max(1, -(-n // batch)))
    return parts if lengths is None else [parts[index] for index in draw.permutation(len(parts))]


def fill(
    store: Store,
    stack: Stack,
    data: Examples,
    cut: int,
    *,
    view: int = 0,
    prefix: Prefix | None = None,
    chunk: int = 256,
) -> Table:
    """The table of blocks [0, cut) with a row for every example; computes what is missing, chunk by chunk.

    Args:
        view: 0 is `data.read`, further ones are `data.views`.

    Raises:
        StoreError: examples that draw random views, or a disk that refuses.
    """
    if data.random_view:
        raise StoreError(
            "these examples draw a new random view at each read, and a stored row would freeze one view for ever. "
            "Pass store=None, or make a fixed set of views first."
        )
    read = (data.read, *data.views)[view]
    if prefix is None:
        address = Address(stack.fingerprint(cut), cut, view=view)
    else:
        address = Address(
            prefix.weights, cut, prefix.preparation, view, prefix.engine, prefix.precision, prefix.store_dtype
        )
    table = store.table(address)
    missing = table.missing(data.keys)
    with evaluating(stack):
        for start in range(0, len(missing), chunk):
            rows = missing[start : start + chunk]
            state = prefix(read(rows)) if prefix else trimmed(_on_cpu(run_held(stack, read(rows), cut)))
            table.write([data.keys[row] for row in rows], state)
    return table


@dataclass(frozen=True)
class _Held:
    """What enters the first learning block: from the tables, one per view, or computed where there are none."""

    stack: Stack
    data: Examples
    cut: int
    tables: tuple[Table, ...]

    def __call__(self, rows: NDArray[np.int64], draw: np.random.Generator) -> State:
        """The state for these rows, each in a view of its own."""
        reads = (self.data.read, *self.data.views)
        # no draw where there is one view: its order of batches is then the same as without views
        views = draw.integers(len(reads), size=len(rows)) if len(reads) > 1 else np.zeros(len(rows), np.int64)
        if not self.tables:
            return run_held(self.stack, _of_views(reads, rows, views), self.cut)
        parts = [self.tables[view].read([self.data.keys[row]]) for view, row in zip(views, rows, strict=True)]
        state = padded({name: [part[name][0] for part in parts] for name in parts[0]})
        device = device_of(self.stack)
        return {name: t.to(device, torch.float32 if t.is_floating_point() else t.dtype) for name, t in state.items()}


class _Beside:
    """Random batches of the sets beside the training examples: every row of a set once, then in a new order.

    Each set has a generator of its own, so that the order of the training examples is that of a run without it.
    """

    def __init__(self, plan: Plan, sets: Mapping[str, _Held]) -> None:
        self._streams = {
            name: _endless(held, plan.batch, np.random.default_rng([plan.seed, 4, place]))
            for place, (name, held) in enumerate(sorted(sets.items()))
        }

    def __call__(self, name: str) -> State:
        """The state of the next batch of this set."""
        if name not in self._streams:
            there = ", ".join(self._streams) or "none"
            raise DataError(
                f"a penalty draws rows of {name!r} and the sets beside are: {there}; "
                f"pass beside={{{name!r}: examples}} to fit."
            )
        return next(self._streams[name])


def _endless(held: _Held, batch: int, draw: np.random.Generator) -> Iterator[State]:
    if not len(held.data):
        raise DataError("a set beside the training examples has 0 rows; give at least one, or leave the set out.")
    while True:
        for rows in batches(len(held.data), batch, draw, held.data.lengths):
            yield held(rows, draw)


def _tables(store: Store | None, stack: Stack, data: Examples, cut: int, prefix: Prefix | None) -> tuple[Table, ...]:
    if store is None or cut == 0:
        return ()
    return tuple(fill(store, stack, data, cut, view=view, prefix=prefix) for view in range(1 + len(data.views)))


def _of_views(reads: Sequence[Read], rows: NDArray[np.int64], views: NDArray[np.int64]) -> Arrays:
    """The inputs of these rows, each in its view, in their order."""
    if len(reads) == 1:
        return reads[0](rows)
    parts = [reads[view](rows[views == view]) for view in np.unique(views)]
    place = np.argsort(np.argsort(views, kind="stable"), kind="stable")
    return {name: np.concatenate([part[name] for part in parts])[place] for name in parts[0]}


def _on_cpu(state: State) -> State:
    return {name: tensor.cpu() for name, tensor in state.items()}


def _parameters(stack: Stack, plan: Plan, cut: int) -> list[dict]:
    groups = [
        _group(
            [p for p in stack.blocks[name].parameters() if p.requires_grad],
            plan.lr * plan.lr_decay ** (len(stack) - 1 - index),
        )
        for index, name in enumerate(stack.names)
        if index >= cut
    ]
    return [group for group in groups if group["params"]]


def _group(parameters: list[nn.Parameter], rate: float) -> dict:
    return {"params": parameters, "full": rate}  # full: before the schedule
