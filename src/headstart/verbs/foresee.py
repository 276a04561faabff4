"""`plan` for talks, summaries and plain texts: what teaching a language model will take, measured in a rehearsal."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from headstart.adapt.below import Below
from headstart.adapt.foretell import Range, by_factors
from headstart.adapt.teach import PIECE, held_by, readied, seconds_of_batch
from headstart.core.feed import fill
from headstart.core.memory import free_memory, step_bytes
from headstart.core.store import Store
from headstart.data.dataset import Options
from headstart.data.talks import PLAIN, Turn
from headstart.errors import TrainingError, UsageError
from headstart.sources.decoding import Decoding
from headstart.sources.writer import Writer
from headstart.study.files import write_whole
from headstart.units import human
from headstart.verbs.course_of import course_of
from headstart.verbs.lesson import Lesson, lesson_of
from headstart.verbs.settings import Settings
from headstart.verbs.spoken import TRIED, Judge
from headstart.verbs.watch import Watch, peak_memory

_ROWS = 2  # that the rehearsal trains on and stores
_WRITTEN = 16  # tokens that it writes
_SPREAD = 0.25  # deviation of the log of what came over what was foretold
_IN_MEMORY = 0.15
_PROBES = 78 * 24  # tokens that the answers to the instructions have together, as of SmolLM2-135M


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
    data: str | Path,
    file: Path | None,
    options: Options | None,
    settings: Settings,
    cache: Path,
    watch: Watch,
    *,
    over: Callable[[Range, Range], str],
) -> Foreseen:
    """Open the network, rehearse on a few rows, and foretell the fit.

    Args:
        over: seconds and memory -> what is too much of them, in words; empty where nothing is.

    Raises:
        HeadstartError: what `fit` would refuse.
        UsageError: more than is allowed; no plan is written then.
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
    if much := over(seconds, room):
        raise UsageError(
            f"teaching {lesson.card.name} by this plan takes {much}; give more, or fewer talks, or fit with "
            "a smaller --depth."
        )
    plan = lesson.course.plan
    words = (
        f"{plan.epochs} epochs over {lesson.rows.tokens:,} tokens of {lesson.rows.count:,} talks take about "
        f"{_time(training)} at {rate.value:,.0f} tokens a second; with judging before and after "
        f"{_time(seconds.value)}, and {human(memory)} of memory."
    )
    toml = course_of(lesson, plan, {"seconds": seconds, "memory_mb": room})
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
    token = _seconds_of_token(lesson)
    heard = judged + token * len(judge.asked) * judge.decoding.max_new_tokens / 2
    probes = token * _PROBES if judge.probed else 0.0
    tried = token * TRIED * judge.decoding.max_new_tokens / 2 if lesson.talks.kind == "summaries" else 0.0
    parts = {
        "hear the network as it is": heard + tried + (0.0 if judge.knows else probes),
        "hear the network as it is now": heard + probes,
    }
    with tempfile.TemporaryDirectory() as folder, readied(lesson.language, plan, lesson.course.rank) as adapters:
        store = Store(Path(folder)) if lesson.course.stored else None
        held = held_by(lesson.language, few, plan, store)
        if store is not None:
            below: Below = held["prefix"]
            parts["store"] = share * _seconds(lambda: fill(store, stack, few, below.cut, prefix=below))
        steps = rows.rows / plan.batch * plan.epochs
        parts["learn"] = steps * seconds_of_batch(lesson.language, rows, few, plan, held)
        fixed, each = step_bytes(stack, few, rows.task, plan, few=1, **held)
    if adapters is not None:
        adapters.take_out()
    return parts, peak_memory() * 1e6 + fixed + max(1, PIECE // rows.width) * each


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _seconds_of_token(lesson: Lesson) -> float:
    """Of a written token, of eight answers at a time."""
    writer, prompt = Writer(lesson.language.network, lesson.language.speaker), (Turn("user", "Count to a hundred."),)
    if not lesson.language.speaker.tokenizer.chat_template:
        prompt = (Turn(PLAIN, "One, two, three,"),)
    writer.write([prompt], Decoding(max_new_tokens=1))  # what only the first answer takes is left out
    start = time.perf_counter()
    answers = writer.write([prompt] * 8, Decoding(max_new_tokens=_WRITTEN))
    return (time.perf_counter() - start) / max(1, sum(each.tokens for each in answers))


def _time(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
