"""A language model whose last blocks learn to tell the answers of talks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
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
from headstart.core.store import Store
from headstart.retain.interpolate import between
from headstart.sources.decoder import Decoder
from headstart.sources.language import Language
from headstart.sources.load import LORA_B, lay_over

Tail = dict[str, NDArray]
Held = dict[str, Any]  # store and prefix, as of `core.fit.fit`
Progress = Callable[[int, int], None]

# tokens of a batch that are in work at a time: twice as many are a tenth faster, and take a third more memory
PIECE = 512
_RECOMPUTED = 3  # layers' worth of memory of a step whose layers run again


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
    interrupted: Interrupted | None = None,
    progress: Progress | None = None,
) -> Taught:
    """The last `plan.depth` blocks of a language model learn from talks, in place.

    Args:
        rank: of adapters, where plan.update is lora.
        store: where what enters the learning blocks is kept; None computes it in every epoch.
        budget: seconds; where the plan would take longer, fewer epochs or fewer rows are used.
        interrupted: where points to go on from are kept, and perhaps are.
        progress: told epochs.

    Raises:
        TrainingError: a loss that is no number, or a row that has no room in the memory.
        UsageError: adapters that nothing here can have.
    """
    stack, end = language.stack, time.perf_counter() + budget
    before = {} if plan.update == "lora" else tail_of(stack, plan.depth, head=True)
    part = None
    if interrupted is not None:
        what = repr((plan, rank))
        part = interrupted.tail(language.card.digest, lessons.examples().fingerprint, what)
    with readied(language, plan, rank) as adapters:
        run, told = _learned(language, lessons, plan, store, part, end, progress)
    after = {} if adapters else tail_of(stack, plan.depth, head=True)
    return Taught(language, run, told, adapters, before, after)


@contextmanager
def readied(language: Language, plan: Plan, rank: int) -> Iterator[Adapters | None]:
    """Inside, the network is as it learns: with adapters where these do, and what is held in 16 bits beside them.

    After, it is in evaluation mode, with its adapters, what was held as it was bit for bit.
    """
    stack = language.stack
    stack.head.dtype = torch.bfloat16 if plan.precision == "bfloat16" else None
    adapters = Adapters(stack, plan.depth, rank=rank, seed=plan.seed) if plan.update == "lora" else None
    stack.learn(plan.depth, plan.update)
    # an encoder-decoder stays as it is: its norms and masks are no mixture of 16 and 32 bits
    fast = adapters is not None and plan.precision == "bfloat16" and isinstance(stack, Decoder)
    with halved(stack) if fast else nullcontext():
        yield adapters
    stack.eval()


def held_by(language: Language, examples: Examples, plan: Plan, store: Store | None) -> Held:
    """Where what enters the learning blocks is kept, and what computes it; nothing where it is not kept."""
    stack, cut = language.stack, language.stack.cut(plan.depth)
    if store is None or not cut:
        return {}
    some = examples.read(np.arange(min(2, len(examples))))
    return {"store": store, "prefix": Below(stack, cut, language.card.digest, plan.precision, some)}


def seconds_of_batch(language: Language, lessons: Lessons, examples: Examples, plan: Plan, held: Held) -> float:
    """What a step takes, from one piece of it: so many rows are in work at a time."""
    rows = min(plan.batch, max(1, PIECE // lessons.width))
    piece = replace(plan, batch=rows)
    return seconds_per_step(language.stack, examples, lessons.task, piece, **held) * plan.batch / rows


def _learned(
    language: Language,
    lessons: Lessons,
    plan: Plan,
    store: Store | None,
    part: Unfinished | None,
    end: float,
    progress: Progress | None,
) -> tuple[Run, Told]:
    """What was learned by this plan, or by less of it that comes to its end by then."""
    examples = lessons.examples()
    held = held_by(language, examples, plan, store)

    def step(data: Examples, plan: Plan) -> float:
        return seconds_of_batch(language, lessons, data, plan, held)

    examples, plan = decided(part, examples, lambda: within(end, examples, plan, step))
    pieces = _pieces(language, lessons, examples, plan, held)
    began, ends = time.perf_counter(), []

    def ended(epoch: int, _: float) -> None:
        ends.append(time.perf_counter())
        if progress:
            progress(epoch + 1, plan.epochs)

    run = fit(
        language.stack,
        examples,
        lessons.task,
        plan,
        on_epoch=ended,
        checkpoint=part.checkpoint if part else None,
        pieces=min(pieces, plan.batch),
        **held,
    )
    seconds = time.perf_counter() - began
    return run, Told(seconds, _storing([began, *ends]) if held else 0.0, _tokens(lessons, examples, run))


def _pieces(language: Language, lessons: Lessons, examples: Examples, plan: Plan, held: Held) -> int:
    """That a batch is divided into; layers run again for their gradients where one row alone has no room."""
    stack = language.stack
    fixed, each = step_bytes(stack, examples, lessons.task, plan, few=1, **held)
    free = free_memory()
    stack.recompute = free is not None and fixed + each > free
    if stack.recompute:  # what enters each layer is kept, and of one layer at a time all that its gradients need
        each *= _RECOMPUTED / max(1, plan.depth - 1)
    enough = -(-plan.batch * lessons.width // PIECE)
    return max(enough, pieces_that_fit(fixed, each, plan, free, divisible=True))


def _storing(ends: list[float]) -> float:
    """Seconds that the first epoch took longer than the others."""
    if len(ends) < 3:
        return 0.0
    later = (ends[-1] - ends[1]) / (len(ends) - 2)
    return max(0.0, ends[1] - ends[0] - later)


def _tokens(lessons: Lessons, examples: Examples, run: Run) -> int:
    return int(lessons.tokens * len(examples) / lessons.rows * run.plan.epochs)
