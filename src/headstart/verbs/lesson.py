"""Talks as every verb that teaches a language model wants them: read, divided, in tokens, with a course."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from headstart.adapt.course import Course, course, has_room, window_of
from headstart.adapt.lessons import Lessons, lessons
from headstart.data.dataset import Options
from headstart.data.personal import Found, found, masked_talks
from headstart.data.talks import Talk, Talks
from headstart.data.talks_read import read_talks
from headstart.data.talks_split import Parts, parted
from headstart.engine.openvino import fast_precision
from headstart.errors import DataError, UsageError
from headstart.language.general import general_texts
from headstart.sources.card import Card
from headstart.sources.find import find
from headstart.sources.language import Language, open_language
from headstart.sources.speaker import Speaker, unknown_share
from headstart.sources.writer import Writer
from headstart.verbs.planfile import lined, options_of, same_network
from headstart.verbs.settings import NO_GUARD, Settings
from headstart.verbs.spoken import Judge, judge_of, kept_of, prose_of
from headstart.verbs.watch import Teller, Watch

DEFAULT = "smollm2-135m"
PROSE = 256  # tokens of a row of general prose
STRANGE = 0.05  # of tokens that stand for no whole character, from which on it is said
_LOOKED_AT = 200  # talks that say how long they are, and whether the network knows their script
_VAL = 0.1  # of the training talks that choose, where something is to be chosen
_MOST_VAL = 40
_SHOWN = 5  # problems that are told of
_FOR_LABELS = ("taps", "adapt_to", "scratch", "balance", "metric", "keep", "sample")  # that say nothing of writing
_WHOLE = 1 << 30  # a window that every talk fits


@dataclass(frozen=True, eq=False)
class Lesson:
    """Everything that is decided before a language model learns.

    Attributes:
        language: the network.
        talks: as they were read, personal data masked where it was asked for.
        personal: what was found of it.
        parts: who is learned from, and who judges.
        train: talks that are learned from.
        choosing: talks that choose what is kept; None where nothing is to be chosen.
        rows: of `train`, in tokens.
        window: tokens of a row.
        unknown: share of tokens that stand for no whole character.
        course: how it is taught.
        options, settings, cache: as given.
    """

    language: Language
    talks: Talks
    personal: Found
    parts: Parts
    train: Talks
    choosing: Talks | None
    rows: Lessons
    window: int
    unknown: float
    course: Course
    options: Options
    settings: Settings
    cache: Path

    @property
    def card(self) -> Card:
        """Of the network."""
        return self.language.card

    @property
    def seed(self) -> int:
        """Of every random draw."""
        return self.settings.seed or 0

    @property
    def fingerprint(self) -> str:
        """sha256 of the talks in their order."""
        return hashlib.sha256(json.dumps([self.talks.kind, self.talks.keys]).encode()).hexdigest()

    @property
    def judge(self) -> Judge:
        """By the held-out talks; texts that choose do not judge."""
        precision = self.course.plan.precision
        judge = judge_of(
            self.language, self.parts.test, self.window, precision=precision, seed=self.seed, cache=self.cache
        )
        return judge if self.choosing is None else replace(judge, prose=self.prose(0))

    def prose(self, half: int) -> Lessons:
        """Every second of the general texts, the first or the second of each two, in tokens."""
        return lessons(self.language.speaker, prose_of(general_texts()[half::2]), PROSE)


def lesson_of(data: str | Path, options: Options | None, settings: Settings, cache: Path, watch: Watch) -> Lesson:
    """Read, divided, in tokens, with a course; the network is open.

    Raises:
        UsageError: settings that say nothing of writing, a window beyond the network's, or another network than the
            plan's.
        DataError: talks that cannot be read, learned from or judged by.
        SourceError: a network that cannot be had, or writes nothing.
    """
    _refuse(settings)
    with lined(settings, "source"):
        card = find(settings.source or DEFAULT, cache)
        if card.beside:
            raise UsageError(f"{card.name} are networks side by side, of which none can write; name one of them.")
    options, say = options_of(settings, options), watch.teller.say
    with watch.stage("read the data"):
        talks, personal = _read(data, options, watch.teller)
        parts = parted(talks, seed=settings.seed or 0)
        say(parts.how)
    with watch.stage("open the network"):
        same_network(settings, card)
        language = open_language(card, cache, cuts=())
        if settings.device == "cuda":
            _to_cuda(language)
    with watch.stage("prepare"):
        some = _some(parts.train, settings.seed or 0)
        unknown = _unknown(language, some, watch.teller)
        window = _window(language, some, settings.window)
        train, choosing = _train(parts, settings)
        rows = lessons(language.speaker, train.talks, window, keep=kept_of(talks.kind))
        _tell(rows, window, kept_of(talks.kind), watch.teller)
        plan = _course(language, rows, settings, cache)
        say(plan.rule)
        language.stack.proved((language.stack.cut(plan.plan.depth),))
    return Lesson(
        language, talks, personal, parts, train, choosing, rows, window, unknown, plan, options, settings, cache
    )


def _refuse(settings: Settings) -> None:
    wrong = next((name for name in _FOR_LABELS if vars(settings)[name] not in (None, False, 0)), None)
    if wrong is not None:
        raise UsageError(f"--{wrong.replace('_', '-')} is for labels and this data is to be written; leave it out.")
    if not settings.remember:
        raise UsageError("--no-moments is for labels and this data is to be written; leave it out.")
    if settings.guard not in (None, NO_GUARD, "mix"):
        raise UsageError(
            f"guard {settings.guard} is for labels; a language model keeps what it knew by --forget-at-most 3%, which "
            "mixes what it learned with what it knew."
        )


def _to_cuda(language: Language) -> None:
    import torch

    if not torch.cuda.is_available():
        raise UsageError("--device cuda needs a GPU that PyTorch can use, and there is none; leave it out.")
    language.stack.to("cuda")
    language.network.to("cuda")  # pyright: ignore[reportArgumentType]


def _read(data: str | Path, options: Options, teller: Teller) -> tuple[Talks, Found]:
    named = {name: vars(options)[name] for name in ("system", "task", "prompt", "answer", "group")}
    talks = read_talks(data, **named)
    for name, reason in talks.because.items():
        if name != "kind":  # that was said already
            teller.say(reason)
    for problem in talks.problems[:_SHOWN]:
        teller.say(f"left out: {problem.name}: {problem.why}")
    if len(talks.problems) > _SHOWN:
        teller.say(f"left out: {len(talks.problems) - _SHOWN} more, all in the report")
    if options.mask:
        talks, personal = masked_talks(talks)
        if options.system and found([options.system]).texts:
            raise UsageError("--system holds personal data, which --mask-personal is to keep out; write it without.")
    else:
        personal = found(turn.text for talk in talks.talks for turn in talk.turns)
    counts = ", ".join(f"{count} {kind}" for kind, count in personal.counts.items() if count)
    if counts:
        how = "they were masked" if options.mask else "the model may repeat them: --mask-personal replaces them"
        teller.say(f"personal data was found ({counts}; names and addresses are not looked for); {how}")
    return talks, personal


def _some(talks: Talks, seed: int) -> list[Talk]:
    order = np.random.default_rng([seed, 9]).permutation(len(talks))
    return [talks.talks[row] for row in order[:_LOOKED_AT]]


def _unknown(language: Language, some: Sequence[Talk], teller: Teller) -> float:
    share = unknown_share(language.speaker, [turn.text for talk in some for turn in talk.turns])
    if share >= STRANGE:
        teller.say(
            f"warning: {100 * share:.0f} % of the tokens of this data stand for no whole character: "
            f"{language.card.name} hardly knows its script; a network of that language will do better"
        )
    return share


def _window(language: Language, some: Sequence[Talk], asked: int | None) -> int:
    most = Writer(language.network, language.speaker).window
    if asked is not None and most is not None and asked > most:
        raise UsageError(f"--window {asked} is more than the {most} tokens of {language.card.name}; give less.")
    if asked is not None:
        return asked
    return window_of([_length(language.speaker, talk) for talk in some], most)


def _length(speaker: Speaker, talk: Talk) -> int:
    """Tokens of a talk; 0 of one that cannot be told."""
    try:
        return sum(len(piece) for piece in speaker.spoken(talk, _WHOLE).pieces)
    except DataError:
        return 0


def _train(parts: Parts, settings: Settings) -> tuple[Talks, Talks | None]:
    """Talks to learn from, and those that choose where something is to be chosen."""
    train = parts.train
    if settings.forget_at_most is None:
        return train, None
    if parts.val is not None:
        return train, parts.val.take(np.arange(min(_MOST_VAL, len(parts.val))))
    if len(train) < 2:
        raise DataError("--forget-at-most needs two talks to learn from at least, of which one chooses; give more.")
    order = np.random.default_rng([settings.seed or 0, 10]).permutation(len(train))
    count = min(_MOST_VAL, max(1, round(_VAL * len(train))))
    return train.take(np.sort(order[count:])), train.take(order[:count])


def _tell(rows: Lessons, window: int, keep: str, teller: Teller) -> None:
    shortened, share = int((rows.cut > 0).sum()), 100 * rows.told.sum() / max(1, rows.tokens)
    teller.say(f"{rows.tokens:,} tokens in rows of {window}, {share:.0f} % of them answers to be told")
    if shortened:
        teller.say(
            f"{shortened} talks were longer than the window of {window} and lost {int(rows.cut.sum()):,} tokens: "
            f"oldest exchanges first, then all but the {keep} of the longest question or document"
        )
    for name, why in rows.left_out[:_SHOWN]:
        teller.say(f"left out: {name}: {why}")


def _course(language: Language, rows: Lessons, settings: Settings, cache: Path) -> Course:
    free = shutil.disk_usage(cache if cache.exists() else Path.cwd()).free
    fast = settings.device == "cuda" or fast_precision() == "bf16"
    return course(
        len(language.stack),
        rows.rows,
        depth=settings.depth,
        update=settings.update,
        rates=settings.rates,
        precision="bfloat16" if fast else "float32",
        seed=settings.seed or 0,
        room=has_room(rows.tokens, language.width, free),
    )
