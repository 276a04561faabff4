"""A language model whose last blocks learn to tell the answers of talks."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.adapt.below import Below
from headstart.adapt.halved import halved
from headstart.adapt.interrupted import Interrupted, Unfinished
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
from headstart.sources.decoder import Decoder
from headstart.sources.language import Language
from headstart.sources.load import LORA_B, lay_over

_RECOMPUTED = 3  # layers' worth of memory of a step whose layers run again

Tail = dict[str, NDArray]
Progress = Callable[[int, int], None]

PIECE = (
    512  # tokens of a batch that are in work at a time: twice as many are a tenth faster, and take a third more memory
)


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
    stack = language.stack
    stack.head.dtype = _products(plan.precision)
    adapters = Adapters(stack, plan.depth, rank=rank, seed=plan.seed) if plan.update == "lora" else None
    before = {} if adapters else tail_of(stack, plan.depth, head=True)
    stack.learn(plan.depth, plan.update)
    part = (
        interrupted.tail(language.card.digest, lessons.examples().fingerprint, repr((plan, rank)))
        if interrupted
        else None
    )
    # an encoder-decoder stays as it is: its norms and masks are no mixture of 16 and 32 bits
    fast = adapters is not None and plan.precision == "bfloat16" and isinstance(stack, Decoder)
    with halved(stack) if fast else nullcontext():
        learner = _Learner(language, lessons, penalties, beside or {}, store, part, progress)
        run, told = learner.learn(plan, time.perf_counter() + budget)
    stack.eval()
    return Taught(language, run, told, adapters, before, {} if adapters else tail_of(stack, plan.depth, head=True))


@dataclass(frozen=True, eq=False)
class _Learner:
    """One learning's fixed parts."""

    language: Language
    lessons: Lessons
    penalties: tuple[Penalty, ...]
    beside: dict[str, Examples]
    store: Store | None
    part: Unfinished | None
    progress: Progress | None

    def learn(self, plan: Plan, end: float) -> tuple[Run, Told]:
        """Learn by this plan, or by less of it that comes to its end by then."""
        stack, lessons, examples = self.language.stack, self.lessons, self.lessons.examples()
        held = self._held(examples, plan)
        step = partial(seconds_per_step, stack, task=lessons.task, **held)
        examples, plan = decided(self.part, examples, lambda: within(end, examples, plan, step))
        pieces = self._pieces(examples, plan, held)
        began, ends = time.perf_counter(), []

        def ended(epoch: int, _: float) -> None:
            ends.append(time.perf_counter())
            if self.progress:
                self.progress(epoch + 1, plan.epochs)

        run = fit(
            stack,
            examples,
            lessons.task,
            plan,
            penalties=self.penalties,
            beside=self.beside,
            on_epoch=ended,
            checkpoint=self.part.checkpoint if self.part else None,
            pieces=min(pieces, plan.batch),
            **held,
        )
        seconds = time.perf_counter() - began
        return run, Told(seconds, _storing([began, *ends]) if held else 0.0, _tokens(lessons, examples, run))

    def _held(self, examples: Examples, plan: Plan) -> dict[str, Any]:
        """Where what enters the learning blocks is kept, and what computes it."""
        stack, cut = self.language.stack, self.language.stack.cut(plan.depth)
        if self.store is None or not cut:
            return {}
        some = examples.read(np.arange(min(2, len(examples))))
        below = Below(stack, cut, self.language.card.digest, plan.precision, some)
        return {"store": self.store, "prefix": below}

    def _pieces(self, examples: Examples, plan: Plan, held: dict[str, Any]) -> int:
        """That a batch is divided into; layers run again for their gradients where one row alone has no room."""
        stack = self.language.stack
        fixed, each = step_bytes(stack, examples, self.lessons.task, plan, few=1, **held)
        free = free_memory()
        stack.recompute = free is not None and fixed + each > free
        if stack.recompute:  # what enters each layer is kept, and of one layer at a time all that its gradients need
            each *= _RECOMPUTED / max(1, plan.depth - 1)
        enough = -(-plan.batch * self.lessons.width // PIECE)
        return max(enough, pieces_that_fit(fixed, each, plan, free, divisible=True))


def _storing(ends: list[float]) -> float:
    """Seconds that the first epoch took longer than the others."""
    if len(ends) < 3:
        return 0.0
    later = (ends[-1] - ends[1]) / (len(ends) - 2)
    return max(0.0, ends[1] - ends[0] - later)


def _tokens(lessons: Lessons, examples: Examples, run: Run) -> int:
    return int(lessons.tokens * len(examples) / lessons.rows * run.plan.epochs)


def _products(precision: str):
    import torch

    return torch.bfloat16 if precision == "bfloat16" else None
