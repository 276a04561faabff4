"""A language model whose last blocks learn to tell the answers of talks."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray

from headstart.adapt.below import Below
from headstart.adapt.interrupted import Interrupted
from headstart.adapt.lessons import Lessons
from headstart.adapt.lora import Adapters
from headstart.adapt.tune import decided, tail_of, within
from headstart.core.examples import Examples
from headstart.core.fit import fit, seconds_per_step
from headstart.core.memory import free_memory, pieces_that_fit, step_bytes
from headstart.core.plan import Plan, Run
from headstart.core.step import Penalty
from headstart.core.store import Store
from headstart.retain.interpolate import between
from headstart.sources.language import Language
from headstart.sources.load import LORA_B, lay_over

_RECOMPUTED = 3  # layers' worth of memory of a step whose layers run again

Tail = dict[str, NDArray]
Progress = Callable[[int, int], None]

PIECE = 1024  # tokens of a batch that are in work at a time: more take memory and no less time


@dataclass(frozen=True)
class Told:
    """What a learning took.

    Attributes:
        seconds: of the training, storing included.
        storing: seconds of that for what enters the learning blocks; 0 where nothing was stored.
        tokens: that were passed through in all epochs.
    """

    seconds: float
    storing: float
    tokens: int


@dataclass(eq=False)
class Taught:
    """A language model that has learned, at any share of the way.

    Attributes:
        language: whose stack it is, in evaluation mode.
        run: of the loop.
        told: what it took.
    """

    language: Language
    run: Run
    told: Told
    _adapters: Adapters | None = None
    _before: Tail = field(default_factory=dict)
    _after: Tail = field(default_factory=dict)
    _share: float = 1.0

    def at(self, share: float) -> None:
        """Put the network at this share of the way, 0..1; 0 is as it was, bit for bit."""
        if share == self._share:
            return
        if self._adapters is not None:
            self._adapters.scale(share)
        else:
            lay_over(self.language.stack, between(self._before, self._after, share))
        self._share = share

    def taken_out(self, share: float) -> Tail:
        """What a skill keeps of it: adapters, or the values that changed. The network is then as it was before."""
        self.at(1.0)
        if self._adapters is None:
            self.at(0.0)
            there = between(self._before, self._after, share)
            return {name: values for name, values in there.items() if not np.array_equal(values, self._before[name])}
        learned, self._adapters = self._adapters.take_out(), None
        self._share = 0.0
        return {name: share * x if name.endswith(LORA_B) else x for name, x in learned.items()}


def teach(
    language: Language,
    lessons: Lessons,
    plan: Plan,
    *,
    rank: int,
    store: Store | None,
    budget: float = float("inf"),
    penalties: tuple[Penalty, ...] = (),
    beside: dict[str, Examples] | None = None,
    interrupted: Interrupted | None = None,
    progress: Progress | None = None,
) -> Taught:
    """The last `plan.depth` blocks of a language model learn from talks, in place.

    Args:
        rank: of adapters, where plan.update is lora.
        store: where what enters the learning blocks is kept; None computes it in every epoch.
        budget: seconds; where the plan would take longer, fewer epochs or fewer rows are used.
        penalties, beside: as of `core.fit.fit`.
        interrupted: where points to go on from are kept, and perhaps are.
        progress: told epochs.

    Raises:
        TrainingError: a loss that is no number, or a row that has no room in the memory.
        UsageError: adapters that nothing here can have.
    """
    start, stack, examples = time.perf_counter(), language.stack, lessons.examples()
    cut = stack.cut(plan.depth)
    stack.head.dtype = _products(plan.precision)
    adapters = Adapters(stack, plan.depth, rank=rank, seed=plan.seed) if plan.update == "lora" else None
    before = {} if adapters else tail_of(stack, plan.depth, head=True)
    held = {}
    if store is not None and cut:
        some = examples.read(np.arange(min(2, len(examples))))
        held = {"store": store, "prefix": Below(stack, cut, language.card.digest, plan.precision, some)}
    step = partial(seconds_per_step, stack, task=lessons.task, **held)
    part = interrupted.tail(language.card.digest, examples.fingerprint, repr((plan, rank))) if interrupted else None
    examples, plan = decided(part, examples, lambda: within(start + budget, examples, plan, step))
    fixed, each = step_bytes(stack, examples, lessons.task, plan, few=1, **held)
    free = free_memory()
    stack.recompute = free is not None and fixed + each > free
    if stack.recompute:  # what enters each layer is kept, and of one layer at a time all that its gradients need
        each *= _RECOMPUTED / max(1, plan.depth - 1)
    pieces = max(
        pieces_that_fit(fixed, each, plan, free, divisible=True),
        -(-plan.batch * lessons.width // PIECE),
    )
    began, ends = time.perf_counter(), []

    def ended(epoch: int, _: float) -> None:
        ends.append(time.perf_counter())
        if progress:
            progress(epoch + 1, plan.epochs)

    run = fit(
        stack,
        examples,
        lessons.task,
        plan,
        penalties=penalties,
        beside=beside,
        on_epoch=ended,
        checkpoint=part.checkpoint if part else None,
        pieces=min(pieces, plan.batch),
        **held,
    )
    stack.eval()
    told = Told(time.perf_counter() - began, _storing([began, *ends]) if held else 0.0, _tokens(lessons, examples, run))
    return Taught(language, run, told, adapters, before, {} if adapters else tail_of(stack, plan.depth, head=True))


def _storing(ends: list[float]) -> float:
    """Seconds that the first epoch took longer than the others."""
    if len(ends) < 3:
        return 0.0
    later = (ends[-1] - ends[1]) / (len(ends) - 2)
    return max(0.0, ends[1] - ends[0] - later)


def _tokens(lessons: Lessons, examples: Examples, run: Run) -> int:
    return int(lessons.tokens * len(examples) / len(lessons.arrays["ids"]) * run.plan.epochs)


def _products(precision: str):
    import torch

    return torch.bfloat16 if precision == "bfloat16" else None
