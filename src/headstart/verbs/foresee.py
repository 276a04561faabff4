"""`plan` for talks, summaries and plain texts: what teaching a language model will take, measured in a rehearsal."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from headstart.adapt.below import Below
from headstart.adapt.foretell import Range, by_factors
from headstart.adapt.halved import halved
from headstart.adapt.lora import Adapters
from headstart.adapt.teach import PIECE
from headstart.core.feed import fill
from headstart.core.fit import seconds_per_step
from headstart.core.memory import free_memory, step_bytes
from headstart.core.store import Store
from headstart.data.dataset import Options
from headstart.data.talks import Turn
from headstart.errors import TrainingError
from headstart.sources.decoder import Decoder
from headstart.sources.decoding import Decoding
from headstart.sources.writer import Writer
from headstart.study.files import write_whole
from headstart.units import human
from headstart.verbs.lesson import Lesson, lesson_of
from headstart.verbs.planfile import FORMAT, RATES, Reason, written
from headstart.verbs.settings import NO_GUARD, Settings
from headstart.verbs.spoken import Judge
from headstart.verbs.watch import Watch, peak_memory

_ROWS = 2  # that the rehearsal trains on and stores
_WRITTEN = 12  # tokens that it writes
_SPREAD = 0.25  # deviation of the log of what came over what was foretold
_IN_MEMORY = 0.15
_PROBES = 78 * 24  # tokens that the answers to the instructions mostly have together


@dataclass(frozen=True)
class Foreseen:
    """What a fit will take.

    Attributes:
        path, kind: of the data.
        talks: that are learned from.
        tokens: of them in one epoch; told: of these the ones to be told.
        tokens_per_second: of training, storing included.
        seconds: of the whole fit, judging included.
        memory: MB at the peak.
        parts: what of the seconds goes where.
        rule: how deep, and why.
        words: one sentence.
        toml: the plan.
        file: where it was written; None where it was not.
        spent: seconds that planning took.
    """

    path: str
    kind: str
    talks: int
    tokens: int
    told: int
    tokens_per_second: Range
    seconds: Range
    memory: Range
    parts: dict[str, float]
    rule: str
    words: str
    toml: str
    file: Path | None
    spent: float


def foresee(
    data: str | Path, file: Path | None, options: Options | None, settings: Settings, cache: Path, watch: Watch
) -> Foreseen:
    """Open the network, rehearse on a few rows, and foretell the fit.

    Raises:
        HeadstartError: what `fit` would refuse.
        TrainingError: a row that has no room in the memory.
    """
    lesson = lesson_of(data, options, settings, cache, watch)
    with watch.stage("rehearse"):
        parts, memory = _rehearsed(lesson, lesson.judge)
    parts = {stage.name: stage.seconds for stage in watch.stages if stage.name != "rehearse"} | parts
    seconds = by_factors(sum(parts.values()), _SPREAD, "measured on a few rows of this data on this machine")
    training = parts["learn"] + parts.get("store", 0.0)
    rate = by_factors(lesson.rows.tokens * lesson.course.plan.epochs / training, _SPREAD, seconds.origin)
    room = by_factors(memory / 1e6, _IN_MEMORY, "what this process has, and what the largest piece of a step takes")
    free = free_memory()
    if free is not None and memory - peak_memory() * 1e6 > free:
        raise TrainingError(
            f"teaching {lesson.card.name} by this plan needs about {human(memory)} of memory and {human(free)} are "
            "free beside what is taken; use a smaller --depth or --window."
        )
    plan = lesson.course.plan
    words = (
        f"{plan.epochs} epochs over {lesson.rows.tokens:,} tokens of {lesson.rows.count:,} talks take about "
        f"{_time(training)} at {rate.value:,.0f} tokens a second; with judging before and after "
        f"{_time(seconds.value)}, and {human(memory)} of memory."
    )
    toml = _toml(lesson, seconds, room)
    if file:
        write_whole(file, toml)
    talks, told = lesson.rows.count, int(lesson.rows.told.sum())
    return Foreseen(
        str(data), lesson.talks.kind, talks, lesson.rows.tokens, told, rate, seconds, room, parts,
        lesson.course.rule, words, toml, file, watch.seconds,
    )  # fmt: skip


def _rehearsed(lesson: Lesson, judge: Judge) -> tuple[dict[str, float], float]:
    """Seconds of what is still to come by part, and bytes of memory at the peak."""
    stack, plan, rows = lesson.language.stack, lesson.course.plan, lesson.rows
    few = rows.examples().take(np.arange(min(_ROWS, rows.rows)))
    share = rows.rows / len(few)
    judged = _seconds(lambda: judge.prose.judged(stack, precision=plan.precision))
    judged *= 1 + judge.held.tokens / judge.prose.tokens
    writing = _writing(lesson) * (len(judge.asked) * judge.decoding.max_new_tokens / 2 + _PROBES)
    parts = {"hear the network as it is": judged + writing, "hear the network as it is now": judged + writing}
    adapters = Adapters(stack, plan.depth, rank=lesson.course.rank) if plan.update == "lora" else None
    stack.learn(plan.depth, plan.update)
    fast = adapters is not None and plan.precision == "bfloat16" and isinstance(stack, Decoder)
    with tempfile.TemporaryDirectory() as folder, halved(stack) if fast else nullcontext():
        held = {}
        if lesson.course.stored:
            below = Below(stack, stack.cut(plan.depth), lesson.card.digest, plan.precision, few.read(np.arange(1)))
            held = {"store": Store(Path(folder)), "prefix": below}
            parts["store"] = share * _seconds(lambda: fill(held["store"], stack, few, below.cut, prefix=below))
        parts["learn"] = share * plan.epochs * seconds_per_step(stack, few, rows.task, plan, **held)
        fixed, each = step_bytes(stack, few, rows.task, plan, few=1, **held)
    if adapters:
        adapters.take_out()
    return parts, peak_memory() * 1e6 + fixed + max(1, PIECE // rows.width) * each


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _writing(lesson: Lesson) -> float:
    """Seconds of a written token, of eight answers at a time."""
    writer, prompt = Writer(lesson.language.network, lesson.language.speaker), (Turn("user", "Count to a hundred."),)
    if not lesson.language.speaker.tokenizer.chat_template:
        prompt = (Turn("text", "One, two, three,"),)
    start = time.perf_counter()
    answers = writer.write([prompt] * 8, Decoding(max_new_tokens=_WRITTEN))
    return (time.perf_counter() - start) / max(1, sum(each.tokens for each in answers))


def _toml(lesson: Lesson, seconds: Range, memory: Range) -> str:
    plan, settings = lesson.course.plan, lesson.settings
    values: dict[str, object] = {
        "format": FORMAT,
        "data": lesson.fingerprint,
        "source": lesson.card.name,
        "source_digest": lesson.card.digest,
        "task": lesson.talks.kind,
        "prompt": lesson.options.prompt,
        "answer": lesson.options.answer,
        "system": lesson.options.system,
        "depth": plan.depth,
        "update": plan.update,
        "window": lesson.window,
        "guard": NO_GUARD if settings.forget_at_most is None else "mix",
        "forget_at_most": settings.forget_at_most,
        "seed": plan.seed,
        **{name: vars(plan)[name] for name in RATES},
        "seconds": round(seconds.value, 1),
        "memory_mb": round(memory.value),
    }
    because = {
        "source": Reason("default" if settings.source is None else "user", "a language model that writes"),
        "depth": Reason("default", lesson.course.rule),
        "window": Reason("data", "nearly all talks fit it as they are"),
        **{name: Reason("default", "what such a network took on other talks") for name in RATES},
        "seconds": Reason("machine", seconds.origin, round(seconds.low, 1), round(seconds.high, 1)),
        "memory_mb": Reason("machine", memory.origin, round(memory.low), round(memory.high)),
    }
    return written(values, because, {})


def _time(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
