"""The only training loop of the project."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from headstart.core.checkpoint import Checkpoint
from headstart.core.evaluate import device_of, evaluating
from headstart.core.examples import Examples
from headstart.core.feed import Beside, Feed, Order, Prefix, Rows, feed
from headstart.core.plan import Plan, Run
from headstart.core.stack import HEARD, Stack, State
from headstart.core.step import Drawn, Hearer, Owner, Passed, Penalty, Step
from headstart.core.store import Store
from headstart.core.task import Task
from headstart.errors import DataError, TrainingError


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
    checkpoint: Checkpoint | None = None,
    pieces: int = 1,
) -> Run:
    """Train the last `plan.depth` blocks of `stack` on `data`, in place, on the device that the stack is on.

    With a store the held blocks run once per example and view instead of once per example and epoch; the weights
    that come out are the same up to the store's number format. With a checkpoint a run that was killed goes on where
    it was, and ends in the same weights, bit for bit, on a CPU with as many threads. Where a device has too little
    memory for a batch it is divided and its gradients are added up: the same step as long as norms are held.

    Args:
        beside: further sets of examples that penalties draw rows of, by name; they need targets only for those that
            read them.
        prefix: a faster way to run the held blocks for the store; None runs the stack itself.
        checkpoint: where points to go on from are kept. The last one stays: whoever resumes a run that is over has its
            weights at once. A run that was too short for one leaves none.
        pieces: that each batch is divided into from the start.

    Raises:
        DepthError: plan.depth is outside 0..len(stack).
        SharedError: a parameter is on both sides of the cut.
        DataError: no targets, or a penalty that draws from a set that is not beside.
        StoreError: a store together with examples that draw random views.
        PlanError: a checkpoint of another run.
        TrainingError: a loss that is no number (the weights are then those of the last whole epoch), or a single
            example that is too large for the memory.
    """
    if data.y is None:
        raise DataError(f"{len(data)} examples without targets were given; fit needs one target per example.")
    cut = stack.cut(plan.depth)
    stack.learn(plan.depth, plan.update).train()
    held = feed(stack, data, cut, store, prefix)
    sets = {name: feed(stack, each, cut, store, prefix) for name, each in (beside or {}).items()}
    parameters = _parameters(stack, plan, cut)
    parameters += [_group(list(p.parameters()), plan.lr) for p in penalties if parameters and isinstance(p, Owner)]
    losses, resumed = (), 0
    if parameters:
        optimizer = torch.optim.AdamW(parameters, lr=plan.lr, weight_decay=plan.weight_decay)
        training = _Training(stack, held, Beside(sets, plan.batch, plan.seed), task, plan, tuple(penalties), optimizer)
        training.pieces = pieces
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(plan.seed)  # dropout has no generator of its own: the fork gives the caller's back
            resumed = training.run(checkpoint, on_epoch)
        losses, pieces = tuple(training.losses), training.pieces
    learned = sum(p.numel() for p in stack.parameters() if p.requires_grad)
    rest = sum(p.numel() for p in stack.parameters()) - learned
    return Run(plan, losses, learned, rest, bool(held.tables), pieces, resumed)


@dataclass
class _Training:
    """A run on its way: what is fixed, and what its next step depends on."""

    stack: Stack
    held: Feed
    beside: Beside
    task: Task
    plan: Plan
    penalties: tuple[Penalty, ...]
    optimizer: torch.optim.Optimizer
    pieces: int = 1
    losses: list[float] = field(default_factory=list)
    total: float = 0.0

    def __post_init__(self) -> None:
        self.draw = np.random.default_rng([self.plan.seed, 0])
        self.order = Order(self.held.data, self.plan.batch, self.draw)
        self.hears = tuple({name: None for p in self.penalties if isinstance(p, Hearer) for name in p.hears})

    def run(self, checkpoint: Checkpoint | None, on_epoch: Callable[[int, float], None] | None) -> int:
        """Train to the end; how many steps were done before."""
        point = checkpoint.load(self._identity()) if checkpoint else None
        if point:
            self._restore(*point)
        if checkpoint:
            checkpoint.start()
        resumed = self._place()
        good, saved = self._weights(), bool(point)  # good: where a loss that is no number leads back to
        while len(self.losses) < self.plan.epochs:
            self._one(good)
            if self.order.place == self.order.steps:
                self.losses.append(self.total / len(self.held.data))
                self.total, good = 0.0, self._weights()
                if on_epoch:
                    on_epoch(len(self.losses) - 1, self.losses[-1])
            over = len(self.losses) == self.plan.epochs
            if checkpoint and (checkpoint.due or (over and saved)):
                checkpoint.save(*self._point())
                saved = True
        return resumed

    def _place(self) -> int:
        """Steps that are behind."""
        return len(self.losses) * self.order.steps + self.order.place % self.order.steps

    def _one(self, good: Mapping[str, Tensor]) -> None:
        """One step of the optimizer."""
        steps, place = self.plan.epochs * self.order.steps, self._place()
        rows = self.order.next()
        for group in self.optimizer.param_groups:
            group["lr"] = group["full"] * self.plan.rate(place, steps)
        loss, whole = self._backward(self.held(rows, self.draw), place / steps)
        if not math.isfinite(whole):
            for name, tensor in self._named().items():
                tensor.data.copy_(good[name])
            raise TrainingError(_diverged(whole, len(self.losses), place % self.order.steps, rows, self.plan))
        self.total += loss * len(rows)
        self.optimizer.step()

    def _backward(self, drawn: Drawn, done: float) -> tuple[float, float]:
        """Gradients of a step in as many pieces as fit the memory; the task's loss, and that with all penalties."""
        sides = _Sides(self.beside)
        while True:
            before = _dice(self.stack)
            try:
                return self._in_pieces(drawn, sides, done)
            except torch.OutOfMemoryError:
                if self.pieces >= len(drawn.rows):
                    raise TrainingError(
                        "one example alone needs more memory than the device has; use a smaller depth."
                    ) from None
            # outside of the handler: while it runs, the traceback keeps the tensors of the step alive
            self.pieces *= 2
            _throw_again(self.stack, before)
            if device_of(self.stack).type == "cuda":
                torch.cuda.empty_cache()

    def _in_pieces(self, drawn: Drawn, sides: _Sides, done: float) -> tuple[float, float]:
        self.optimizer.zero_grad(set_to_none=True)
        parts = np.array_split(np.arange(len(drawn.rows)), min(self.pieces, len(drawn.rows)))
        pull, loss, whole = None, 0.0, 0.0
        if self.task.paired and len(parts) > 1:
            pull, loss = self._pull(drawn, parts)
            whole = loss
        for place, part in enumerate(parts):
            share = len(part) / len(drawn.rows)
            step = self._step(_part(drawn, part), sides.of(place, len(parts)), done)
            if pull is None:
                own = share * self.task.loss(step.out, step.y)
                loss, whole = loss + own.item(), whole + own.item()
            else:
                own = (step.out * pull[part]).sum()
            beyond = sum((share * penalty(step) for penalty in self.penalties), own.new_zeros(()))
            (own + beyond).backward()
            whole += beyond.item()
        return loss, whole

    def _pull(self, drawn: Drawn, parts: Sequence[Rows]) -> tuple[Tensor, float]:
        """What each output is pulled by, for a loss that looks at all examples of the batch together; and that loss.

        The outputs are computed piece by piece without gradients; each piece is then run again with its pull.

        Reference:
            Gao et al., 2021, arXiv:2101.06983 (gradient caching).
        """
        before = _dice(self.stack)
        with torch.no_grad():
            out = torch.cat([self.through(_part(drawn, part).state).out for part in parts])
        _throw_again(self.stack, before)
        out.requires_grad_()
        assert drawn.y is not None
        loss = self.task.loss(out, drawn.y)
        (pull,) = torch.autograd.grad(loss, out)
        return pull, loss.item()

    def _step(self, drawn: Drawn, draw: Callable[[str], Drawn], done: float) -> Step:
        passed = self.through(drawn.state)
        assert drawn.y is not None
        return Step(
            self.stack, drawn.state, passed.out, drawn.y, drawn.rows, passed.features, passed.taps, draw, self.through,
            done,
        )  # fmt: skip

    def through(self, state: State) -> Passed:
        """What the learning blocks make of a state."""
        return through(self.stack, state, self.held.cut, self.plan.precision, self.hears)

    def _named(self) -> dict[str, Tensor]:
        """Everything that training moves: of the learning blocks, and of penalties that own weights."""
        named = {}
        for block in self.stack.names[self.held.cut :]:
            still = {k for k, p in self.stack.blocks[block].named_parameters() if not p.requires_grad}
            state = self.stack.blocks[block].state_dict()
            named |= {f"{block}.{k}": tensor for k, tensor in state.items() if k not in still}
        for place, penalty in enumerate(self.penalties):
            if isinstance(penalty, Owner):
                named |= {f"penalty{place}.{k}": p.data for k, p in enumerate(penalty.parameters())}
        return named

    def _weights(self) -> dict[str, Tensor]:
        return {name: tensor.detach().clone() for name, tensor in self._named().items()}

    def _identity(self) -> dict[str, Any]:
        return {"plan": asdict(self.plan), "examples": self.held.data.fingerprint, "moves": sorted(self._named())}

    def _point(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Everything that the next step depends on."""
        state, random = self.optimizer.state_dict()["state"], self.held.data.random
        tensors = {f"weights.{name}": tensor for name, tensor in self._named().items()}
        tensors |= {f"optimizer.{k}.{name}": t for k, each in state.items() for name, t in each.items()}
        tensors |= {f"dice.{k}": t for k, t in enumerate(_dice(self.stack))}
        return tensors, {
            "run": self._identity(),
            "losses": self.losses,
            "total": self.total,
            "pieces": self.pieces,
            "order": self.order.state(),
            "beside": self.beside.state(),
            "random": random.bit_generator.state if random else None,
            "threads": torch.get_num_threads(),
        }

    def _restore(self, tensors: Mapping[str, Tensor], said: Mapping[str, Any]) -> None:
        for name, tensor in self._named().items():
            tensor.data.copy_(tensors[f"weights.{name}"])
        state: dict[int, dict[str, Tensor]] = {}
        for name, tensor in tensors.items():
            if name.startswith("optimizer."):
                _, place, what = name.split(".")
                state.setdefault(int(place), {})[what] = tensor
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": state})
        _throw_again(self.stack, [tensors[f"dice.{k}"] for k in range(sum(n.startswith("dice.") for n in tensors))])
        self.losses, self.total, self.pieces = list(said["losses"]), said["total"], said["pieces"]
        self.order.restore(said["order"])
        self.beside.restore(said["beside"])
        if self.held.data.random is not None:
            self.held.data.random.bit_generator.state = said["random"]


class _Sides:
    """Batches of the sets beside for one step: every piece of the step gets its part of the same batches."""

    def __init__(self, beside: Beside) -> None:
        self._beside = beside
        self._drawn: dict[tuple[str, int], Drawn] = {}

    def of(self, place: int, pieces: int) -> Callable[[str], Drawn]:
        """What draws for this piece."""
        asked: dict[str, int] = {}

        def draw(name: str) -> Drawn:
            key = name, asked.get(name, 0)
            asked[name] = key[1] + 1
            if key not in self._drawn:
                self._drawn[key] = self._beside(name)
            whole = self._drawn[key]
            parts = np.array_split(np.arange(len(whole.rows)), pieces)
            return whole if pieces == 1 else _part(whole, parts[place] if len(parts[place]) else parts[0])

        return draw


def _part(drawn: Drawn, part: Rows) -> Drawn:
    if len(part) == len(drawn.rows):
        return drawn
    state = {name: tensor[part] for name, tensor in drawn.state.items()}
    return Drawn(state, None if drawn.y is None else drawn.y[part], drawn.rows[part])


def through(stack: Stack, state: State, cut: int, precision: str, hears: tuple[str, ...] = ()) -> Passed:
    """What the head reads, and what it gives, for what enters block `cut`.

    The head itself is computed in float32: a fitted one has large weights whose sum nearly cancels, and the three
    digits of bfloat16 are not enough for that.
    """
    head = max(cut, len(stack) - 1)
    with torch.autocast(device_of(stack).type, torch.bfloat16, enabled=precision == "bfloat16"):
        state = stack(state, start=cut, stop=head, hear=hears)
    features = state["h"].float()
    taps = {name: state[HEARD + name].float() for name in hears if HEARD + name in state}
    return Passed(features, stack({**state, "h": features}, start=head)["h"], taps)


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
    depth, update, cut, taken = stack.depth, stack.update, stack.cut(plan.depth), []
    held = feed(stack, few, cut, store, prefix)
    with evaluating(stack):
        stack.learn(plan.depth, plan.update)
        for _ in range(2):
            start = time.perf_counter()
            drawn = held(np.arange(len(few)), draw)
            assert drawn.y is not None
            task.loss(through(stack, drawn.state, cut, plan.precision).out, drawn.y).backward()
            stack.zero_grad(set_to_none=True)
            taken.append(time.perf_counter() - start)
        stack.learn(depth, update)
    return min(taken)


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


def _dice(stack: Stack) -> list[Tensor]:
    """The state of every generator that dropout draws from."""
    device = device_of(stack)
    return [torch.get_rng_state(), *([torch.cuda.get_rng_state(device)] if device.type == "cuda" else [])]


def _throw_again(stack: Stack, dice: Sequence[Tensor]) -> None:
    torch.set_rng_state(dice[0])
    if len(dice) > 1:
        torch.cuda.set_rng_state(dice[1], device_of(stack))


def _diverged(loss: float, epoch: int, batch: int, rows: Rows, plan: Plan) -> str:
    few = ", ".join(str(row) for row in rows[:5]) + (", …" if len(rows) > 5 else "")
    back = f"of the end of epoch {epoch}" if epoch else "from before the first step"
    return (
        f"the loss became {loss} in epoch {epoch + 1}, batch {batch + 1} (examples at the positions {few}); the "
        f"weights are those {back}. Use a lower rate than lr = {plan.lr:g}, or look at these examples."
    )
