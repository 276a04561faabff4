"""Below the head: the last blocks of a network learn, then a head is fitted on what they give."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from headstart.adapt.costs import Costs
from headstart.adapt.guards import Guard
from headstart.adapt.held import Progress
from headstart.adapt.inputs import examples_of, live, pictures_of, texts_of
from headstart.adapt.interrupted import Interrupted, Unfinished
from headstart.adapt.lora import Adapters
from headstart.adapt.recipes import Recipe
from headstart.adapt.states import Before
from headstart.adapt.toward import TARGET, Toward
from headstart.core.examples import Examples
from headstart.core.fit import fit, seconds_per_step
from headstart.core.memory import free_memory, pieces_that_fit, step_bytes
from headstart.core.plan import Plan, Run
from headstart.core.skill import TAIL
from headstart.core.stack import Stack, on_h
from headstart.core.store import Store
from headstart.core.task import Classify, Contrast, Label, Regress, Task
from headstart.data.dataset import Dataset
from headstart.heads.linear import Linear
from headstart.retain.interpolate import between
from headstart.sources.card import Card
from headstart.sources.load import LORA_B, Pretrained, lay_over, load

Tail = dict[str, NDArray]
Rows = NDArray[np.int64]
_STILL = 0.01  # of the median deviation


@dataclass(frozen=True)
class Tuned:
    """A network whose last blocks have learned.

    Attributes:
        stack: in evaluation mode.
        before, after: the values of those blocks before and after they learned, as `tail_of` gives them.
        run: of the loop.
        adapters: what was learned where adapters learned; `after` has it in the weights.
    """

    stack: Pretrained
    before: Tail
    after: Tail
    run: Run
    adapters: Tail = field(default_factory=dict)

    def lay(self, share: float) -> Tail:
        """Put the stack at this share of the way, and give the tail as a skill keeps it: of what has changed alone."""
        there = between(self.before, self.after, share)
        lay_over(self.stack, there)
        if self.adapters:
            return {name: share * x if name.endswith(LORA_B) else x for name, x in self.adapters.items()}
        return {name: values for name, values in there.items() if not np.array_equal(values, self.before[name])}


def tune(
    card: Card,
    data: Dataset,
    y: NDArray,
    recipe: Recipe,
    cache: Path,
    *,
    head: Linear | None = None,
    threads: int = 0,
    budget: float = float("inf"),
    weights: bool = True,
    toward: Toward | None = None,
    guard: Guard | None = None,
    interrupted: Interrupted | None = None,
    progress: Progress | None = None,
) -> Tuned:
    """A pretrained network whose last `recipe.plan.depth` blocks have learned from the data.

    Args:
        y: targets, one per row of the data.
        head: where the network's own head starts, on its last pooled output; None starts at random.
        threads: of the CPU; 0 takes all.
        budget: seconds, loading included; where the plan would take longer, fewer epochs or fewer rows are used.
        weights: whether the network is pretrained; without it is the same architecture from scratch.
        toward: a set without labels that the features are brought near to.
        guard: of what the network could do before.
        interrupted: where points to go on from are kept, and perhaps are.
        progress: told epochs.

    Raises:
        TrainingError: a loss that is no number, or a step that has no room in the memory.
    """
    start = time.perf_counter()
    if threads:
        torch.set_num_threads(threads)
    costs, depth = Costs.of(cache, card.digest, threads), recipe.plan.depth
    with costs.timed(f"load {depth}"):
        stack = load(card, cache, outputs=len(data.classes), seed=recipe.plan.seed, weights=weights)
    beside, penalties = {}, ()
    if toward is not None:
        beside = {TARGET: examples_of(toward.data, None, card, cache, threads=threads)}
        penalties = (toward.penalty(stack.head_linear.in_features, recipe.plan.seed),)
        budget /= 2  # a step then takes as many rows of the target
    _begin(stack, card, recipe, head)
    before = tail_of(stack, depth)
    adapters = Adapters(stack, depth, seed=recipe.plan.seed) if recipe.plan.update == "lora" else None
    if card.modality == "image" and not recipe.stored:
        examples = live(data, card, y, seed=recipe.plan.seed, threads=threads)
    else:
        examples = examples_of(data, y, card, cache, views=recipe.views, threads=threads)
    task, held = _task(recipe, data.task), {}
    if recipe.stored and card.modality == "image":
        prefix = Before(stack, card, stack.cut(depth), cache, threads=threads)
        held = {"store": Store(cache / "store"), "prefix": prefix}
    step = partial(seconds_per_step, stack, task=task, **held)
    how = repr((recipe, weights, toward and toward.by, guard and (guard.name, guard.strength)))
    part = interrupted.tail(card.digest, data.fingerprint, how) if interrupted else None
    examples, plan = decided(part, examples, lambda: within(start + budget, examples, recipe.plan, step))
    if guard is not None:
        more, sets = guard.made(stack, examples, depth)
        penalties, beside = (*penalties, *more), {**beside, **sets}
    fixed, each = step_bytes(stack, examples, task, plan, **held)
    ends = [time.perf_counter()]

    def told(epoch: int, _: float) -> None:
        ends.append(time.perf_counter())
        if progress:
            progress(epoch + 1, plan.epochs)

    run = fit(
        stack,
        examples,
        task,
        plan,
        penalties=penalties,
        beside=beside,
        on_epoch=told,
        checkpoint=part.checkpoint if part else None,
        pieces=pieces_that_fit(fixed, each, plan, free_memory(), divisible=not _norms_over_batches(stack, depth)),
        **held,
    )
    _note(costs, depth, ends, examples, ordinary=weights and not penalties and not run.resumed)
    if adapters is None:
        return Tuned(stack.eval(), before, tail_of(stack, depth), run)
    learned = adapters.take_out()
    lay_over(stack, learned)
    return Tuned(stack.eval(), before, tail_of(stack, depth), run, learned)


def decided(
    part: Unfinished | None, examples: Examples, decide: Callable[[], tuple[Rows | None, Plan]]
) -> tuple[Examples, Plan]:
    """The examples and the plan of an interrupted run where there is one, else those that this machine has time for."""
    if part is not None and part.decided:
        plan, rows = part.decided
    else:
        rows, plan = decide()
        if part is not None:
            part.decide(plan, rows)
    return examples if rows is None else examples.take(rows), plan


def _norms_over_batches(stack: Pretrained, depth: int) -> bool:
    """Whether a batch norm is among the blocks that learn: it looks at all examples of a batch."""
    blocks = (stack.blocks[name] for name in stack.names[stack.cut(depth) :])
    return any(isinstance(module, nn.BatchNorm2d) for block in blocks for module in block.modules())


def _begin(stack: Pretrained, card: Card, recipe: Recipe, head: Linear | None) -> None:
    """Norms that follow, the head where it starts, and memory as convolutions want it."""
    for module in stack.modules():
        if isinstance(module, nn.BatchNorm2d):
            # at their published pace the statistics of a short run would still be at 0 and 1
            module.momentum = 0.1
    if recipe.objective == "contrast":
        stack.blocks["head"] = on_h(nn.Identity())
    elif head is not None:
        _start_head(stack.head_linear, head)
    if card.modality == "image":
        stack.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]


def _note(costs: Costs, depth: int, ends: Sequence[float], examples: Examples, *, ordinary: bool) -> None:
    """What an epoch took, and what the first took beyond that: the held blocks, where their outputs are stored.

    Args:
        ends: when the epochs ended, the start before them.
        ordinary: whether it was such a run as plans foretell.
    """
    if len(ends) < 3 or not ordinary:
        return
    epoch = (ends[-1] - ends[1]) / (len(ends) - 2)
    beyond = max(0.0, ends[1] - ends[0] - epoch)
    costs.note(**{f"step {depth}": epoch / _size(examples), f"fill {depth}": beyond / len(examples)})


def _size(examples: Examples) -> float:
    """What an epoch's time grows with: tokens of texts, else examples."""
    return float(len(examples) if examples.lengths is None else examples.lengths.sum())


def within(end: float, examples: Examples, plan: Plan, step: Callable[..., float]) -> tuple[Rows | None, Plan]:
    """The rows (None is all) and the plan that come to their end by then, as steps of this machine foretell.

    Fewer epochs first; where even one takes too long, a random part of the rows.

    Args:
        end: on the clock of `time.perf_counter`.
        step: gives the seconds of one step, of `data` and `plan`.
    """
    per_epoch = -(-len(examples) // plan.batch)
    if end == float("inf") or not plan.epochs:
        return None, plan
    seconds = step(data=examples, plan=plan)
    budget = end - time.perf_counter()
    epochs = int(budget / (seconds * per_epoch))
    if epochs >= 1:
        return None, replace(plan, epochs=min(plan.epochs, epochs))
    rows = max(plan.batch, int(budget / seconds) * plan.batch)
    chosen = np.sort(np.random.default_rng([plan.seed, 3]).permutation(len(examples))[:rows])
    return chosen, replace(plan, epochs=1)


def tail_of(stack: Stack, depth: int, *, head: bool = False) -> Tail:
    """TAIL + name -> values of every parameter and statistic of the blocks that learned.

    Args:
        head: whether that of the head is among them.
    """
    named = {}
    for block in stack.names[stack.cut(depth) : len(stack) if head else -1]:
        for name, tensor in stack.blocks[block].state_dict().items():
            named[f"{TAIL}{block}.{name}"] = tensor.detach().cpu().contiguous().numpy().copy()
    return named


def features(
    stack: Pretrained, data: Dataset, card: Card, cache: Path, *, precision: str = "float32", threads: int = 0
) -> NDArray:
    """(n, d) what the head sees of each example, through PyTorch."""
    if data.modality == "image":
        return pooled(stack, pictures_of(data, card, threads=threads), precision=precision)
    examples, cut = texts_of(data, card, cache)
    return cut.pooled(pooled(stack, examples, precision=precision))


def pooled(stack: Pretrained, examples: Examples, *, batch: int = 32, precision: str = "float32") -> NDArray:
    """(n, d) what the head sees of each row of the examples; rows of like length go together."""
    n = len(examples)
    order = np.arange(n) if examples.lengths is None else np.argsort(-examples.lengths, kind="stable")
    out: NDArray | None = None
    stack.eval()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
        for start in range(0, n, batch):
            rows = order[start : start + batch]
            state = {name: torch.from_numpy(array) for name, array in examples.read(rows).items()}
            values = stack(state, stop=len(stack) - 1)["h"].float().numpy()
            out = np.empty((n, values.shape[1]), np.float32) if out is None else out
            out[rows] = values
    assert out is not None
    return out


def _task(recipe: Recipe, task: str) -> Task:
    if recipe.objective == "contrast":
        return Contrast()
    kinds: dict[str, Callable[[], Task]] = {
        "classes": Classify,
        "labels": Label,
        "numbers": Regress,
    }
    return kinds[task]()


def _start_head(linear: nn.Linear, head: Linear) -> None:
    """The fitted head in the network's own units: standardisation and temperature are folded into weight and bias."""
    weight = head.weight / head.scale[:, None] / head.temperature
    # units that hardly move have weights so large that the first step would throw all answers over
    weight[head.scale < _STILL * np.median(head.scale)] = 0
    with torch.no_grad():
        linear.weight.copy_(torch.from_numpy(np.ascontiguousarray(weight.T)))
        linear.bias.copy_(torch.from_numpy(head.bias / head.temperature - head.mean @ weight))
