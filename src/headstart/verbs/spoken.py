"""What a language model says before and after it has learned, on talks, prose and instructions that it never saw."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from headstart.adapt.lessons import Lessons, lessons
from headstart.data.talks import PLAIN, Talk, Talks, Turn
from headstart.errors import UsageError
from headstart.language import instructions
from headstart.language.general import general_texts
from headstart.language.rouge import KINDS, rouge
from headstart.sources.decoding import Decoding
from headstart.sources.frames import Framed
from headstart.sources.language import Language
from headstart.sources.speaker import Speaker
from headstart.sources.writer import Writer

GENERATED = {"chat": 40, "summaries": 60, "text": 20}  # held-out talks that are answered in words
_TOKENS = 40_000  # of held-out talks whose answers are judged by perplexity
_PROBED = Decoding(max_new_tokens=48)
_GENERAL = 256  # tokens of a row of general prose
_LONGEST = 200  # tokens of an answer, at most
_HALF = 0.5  # of a plain text is the prompt of its sample
INSTRUCTIONS = (
    "Summarize the following text in one sentence:",
    "Write a one-sentence summary of this abstract:",
    "TL;DR:",
)
_OF_DOCUMENTS = 12  # on which the untuned network's instruction is chosen
TRIED = len(INSTRUCTIONS) * _OF_DOCUMENTS  # summaries that this takes

Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class Asked:
    """One held-out talk up to an answer, and that answer."""

    name: str
    turns: tuple[Turn, ...]
    references: tuple[str, ...]

    @property
    def prompt(self) -> str:
        """What stands last before the answer."""
        return self.turns[-1].text


@dataclass(frozen=True, eq=False)
class Heard:
    """What one network said.

    Attributes:
        nats: (talks,) summed -log probability of the answers of each held-out talk.
        general: (texts,) the same of general prose.
        texts: generated, one for each of the judge's `asked`.
        answers: to the instructions of the probe; empty where they were not asked.
    """

    nats: NDArray
    general: NDArray
    texts: tuple[str, ...]
    answers: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Judge:
    """Held-out talks and all else that a language model is asked before and after.

    Attributes:
        language: whose stack answers, as it is at the moment.
        held: rows of the held-out talks.
        prose: rows of general texts.
        asked: held-out prompts that are answered in words.
        decoding: of those answers.
        probed: whether the instructions are asked: of networks that have a chat template.
        precision: of what is judged by perplexity.
        cache: keeps the answers of untuned networks to the instructions.
    """

    language: Language
    held: Lessons
    prose: Lessons
    asked: tuple[Asked, ...]
    decoding: Decoding
    probed: bool
    precision: str
    cache: Path

    def hear(self, progress: Progress, *, untuned: bool = False, instruction: str = "") -> Heard:
        """What the network says now.

        Args:
            untuned: whether it is as its card says, so that what it answers to the probe may be known already.
            instruction: said before each document, for summaries by a network that has not learned to make them.
        """
        stack, writer = self.language.stack, Writer(self.language.network, self.language.speaker)
        nats = self.held.judged(stack, precision=self.precision)
        general = self.prose.judged(stack, precision=self.precision)
        prompts = [_told(each.turns, instruction) for each in self.asked]
        texts = tuple(each.text.strip() for each in writer.write(prompts, self.decoding, progress=progress))
        answers: tuple[str, ...] = ()
        if self.probed:
            known = self._known() if untuned else None
            answers = known or self._answers(writer, progress)
            if untuned and known is None:
                self._keep(answers)
        return Heard(nats, general, texts, answers)

    @property
    def knows(self) -> bool:
        """Whether the untuned network's answers to the instructions were heard before."""
        return self._known() is not None

    def _answers(self, writer: Writer, progress: Progress) -> tuple[str, ...]:
        prompts = [(Turn("user", each.prompt),) for each in instructions.probe()]
        return tuple(each.text for each in writer.write(prompts, _PROBED, batch=16, progress=progress))

    @property
    def _file(self) -> Path:
        asked = hashlib.sha256(json.dumps([each.prompt for each in instructions.probe()]).encode()).hexdigest()
        return self.cache / "networks" / f"{self.language.card.digest}-probe" / f"{asked[:16]}.json"

    def _known(self) -> tuple[str, ...] | None:
        try:
            said = json.loads(self._file.read_text("utf8"))
        except (OSError, ValueError):
            return None
        fits = isinstance(said, list) and len(said) == len(instructions.probe())
        return tuple(said) if fits and all(isinstance(each, str) for each in said) else None

    def _keep(self, answers: Sequence[str]) -> None:
        with suppress(OSError):  # a cache that may not be written: they are asked again
            self._file.parent.mkdir(parents=True, exist_ok=True)
            partial = self._file.with_suffix(".partial")
            partial.write_text(json.dumps(list(answers)), "utf8")
            partial.replace(self._file)


def judge_of(language: Language, test: Talks, width: int, *, precision: str, seed: int, cache: Path) -> Judge:
    """The judge by these held-out talks.

    Args:
        width: of the rows.

    Raises:
        UsageError: plain texts for an encoder-decoder.
    """
    framed = isinstance(language.speaker, Framed)
    if framed and test.kind == PLAIN:
        raise UsageError(
            f"{language.card.name} reads a text and answers it, and goes on with none; use a causal network for plain "
            "texts, such as smollm2-135m."
        )
    draw = np.random.default_rng([seed, 8])
    mixed = test.take(draw.permutation(len(test)))
    held = lessons(language.speaker, few(language.speaker, mixed, width).talks, width, keep=kept_of(test.kind))
    prose = lessons(language.speaker, prose_of(general_texts()), _GENERAL)
    asked = tuple(_asked(mixed, GENERATED[test.kind], draw))
    lengths = [len(language.speaker.ids(reference)) for each in asked for reference in each.references]
    longest = int(min(_LONGEST, max(16, 2 * np.median(lengths or [32]))))
    window = Writer(language.network, language.speaker).window
    longest = longest if window is None else min(longest, window // 2)
    probed = bool(language.speaker.tokenizer.chat_template) and not framed
    return Judge(language, held, prose, asked, Decoding(max_new_tokens=longest), probed, precision, cache)


def kept_of(kind: str) -> str:
    """What is kept of a question that is too long: of a talk how it ends, of a document how it begins."""
    return "beginning" if kind == "summaries" else "end"


def few(speaker: Speaker, talks: Talks, width: int) -> Talks:
    """The first talks, of as many tokens as are judged in a moment."""
    total, count = 0, 0
    for talk in talks.talks:
        total += min(width, sum(len(speaker.ids(turn.text)) for turn in talk.turns))
        if count and total > _TOKENS:
            break
        count += 1
    return talks.take(np.arange(count))


def prose_of(texts: Sequence[str]) -> tuple[Talk, ...]:
    """Plain texts as talks."""
    return tuple(Talk((Turn(PLAIN, text),), f"text {k}") for k, text in enumerate(texts, 1))


def chosen_instruction(judge: Judge, documents: Talks, progress: Progress) -> str:
    """Of three instructions, that with which the untuned network summarises some training documents best.

    An encoder-decoder may also be told what its own settings say, which may be nothing.

    Args:
        documents: summaries that are learned from.
    """
    writer = Writer(judge.language.network, judge.language.speaker)
    some = [Asked(t.name, t.turns[:-1], r) for t, r in zip(documents.talks, documents.references or (), strict=True)]
    speaker = judge.language.speaker
    tried = (speaker.asks, *INSTRUCTIONS) if isinstance(speaker, Framed) else INSTRUCTIONS
    best, most = tried[0], -math.inf
    for told in tried:
        prompts = [_told(each.turns, told) for each in some[:_OF_DOCUMENTS]]
        texts = [each.text for each in writer.write(prompts, judge.decoding, progress=progress)]
        found = rouge(texts, [each.references for each in some[:_OF_DOCUMENTS]])
        score = sum(found.means[kind].value for kind in KINDS)
        if score > most:
            best, most = told, score
    return best


def _told(turns: tuple[Turn, ...], instruction: str) -> tuple[Turn, ...]:
    if not instruction:
        return turns
    return (*turns[:-1], replace(turns[-1], text=f"{instruction}\n\n{turns[-1].text}"))


def _asked(talks: Talks, most: int, draw: np.random.Generator) -> list[Asked]:
    """A prompt of each of the first talks: one of its answers, drawn; of a plain text its first half."""
    found = []
    for row, talk in enumerate(talks.talks):
        if len(found) == most:
            break
        if talk.turns[0].role == PLAIN:
            text = talk.turns[0].text
            at = text.find(" ", int(_HALF * len(text)))
            if at > 0:
                found.append(Asked(talk.name, (Turn(PLAIN, text[:at]),), (text[at:].strip(),)))
            continue
        places = [at for at, turn in enumerate(talk.turns) if turn.role == "assistant" and turn.told]
        if places:
            at = places[int(draw.integers(len(places)))]
            several = talks.references[row] if talks.references is not None else (talk.turns[at].text,)
            found.append(Asked(talk.name, talk.turns[:at], several))
    return found
