"""Summaries of documents of any length: of their parts first, then of those summaries, until one is left."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from headstart.data.talks import Turn
from headstart.errors import DataError, UsageError
from headstart.language.sentences import sentences
from headstart.sources.decoding import Decoding
from headstart.sources.speaker import Speaker
from headstart.sources.writer import Progress, Writer

ROUNDS = 8  # where each summary has a tenth of its text, enough for ten million windows
_TOGETHER = 8192  # tokens of the parts that are summarised at once: a window of that length takes much memory alone
_BATCH = 8  # most parts at once
_EMPTY_LINE = re.compile(r"\n[^\S\n]*\n\s*")
_LINE = re.compile(r"\n\s*")
_BLANK = re.compile(r"\s+")
_WORD = re.compile(r"\S+")

Span = tuple[int, int]


@dataclass(frozen=True)
class Digest:
    """The summary of a document.

    Attributes:
        text: without blanks around it.
        parts: of the document that were summarised apart; 1 where it fits the window.
        rounds: how often what there was was summarised; 1 where it fits the window.
    """

    text: str
    parts: int
    rounds: int


def summarized(
    writer: Writer,
    text: str,
    instruction: str,
    width: int,
    decoding: Decoding,
    *,
    progress: Progress | None = None,
) -> Digest:
    """A summary of a document that may be longer than the window.

    It is split into as few parts as fit, of about the same size, where paragraphs end; a paragraph that is too long
    where sentences do. The summaries of the parts are joined and summarised in turn, until one part is left.

    Args:
        instruction: said before each part; nothing where the network has learned to summarise what it is given.
        width: tokens of a prompt and its answer together, at most the window of the network.
        progress: told how many parts are done, and of how many; anew in each round.

    Raises:
        UsageError: a width beyond the window, or one that leaves a part no room.
        DataError: no text, no summary, or summaries that do not become shorter than what they summarise, or not in
            ROUNDS rounds.
    """
    if not text.strip():
        raise DataError("the document has no text; give one with something to summarise.")
    if writer.window is not None and width > writer.window:
        raise UsageError(f"width={width} is beyond the network's window of {writer.window} tokens; give at most that.")
    count, batch = 0, max(1, min(_BATCH, _TOGETHER // max(1, width)))
    for rounds in range(1, ROUNDS + 1):
        parts = _fitting(writer.speaker, text.strip(), instruction, width - decoding.max_new_tokens)
        count = count or len(parts)
        prompts = [_asked(instruction, part) for part in parts]
        written = writer.write(prompts, decoding, batch=batch, progress=progress)
        joined = "\n\n".join(said for each in written if (said := each.text.strip()))
        if not joined:
            raise DataError(f"the network wrote nothing about any of {len(parts)} parts; use another one.")
        if len(parts) == 1:
            return Digest(joined, count, rounds)
        _want_shorter(writer.speaker, text, joined, len(parts))
        text = joined
    raise DataError(
        f"after {ROUNDS} rounds the summaries are still longer than the width of {width} tokens; ask for shorter "
        "summaries (max_new_tokens)."
    )


def parted(text: str, speaker: Speaker, room: int) -> list[str]:
    """As few parts of at most `room` tokens as can be, of about the same size, that together are the text.

    They end where paragraphs do. A paragraph that is longer than the room ends where its sentences do, a sentence
    where its lines do, a line where its words do, and a word anywhere.

    Args:
        text: without blanks around it.
        room: at least 1.

    Returns:
        Without blanks around them.
    """
    starts = [start for start, _ in speaker.spans(text)]
    ends = [word.end() for word in _WORD.finditer(text)]

    def tokens(span: Span) -> int:
        begin, end = span
        end = ends[bisect_right(ends, end) - 1] if text[end - 1].isspace() else end  # blanks at the end fall away
        return bisect_left(starts, end) - bisect_left(starts, begin)

    def anywhere(part: str, begin: int) -> list[int]:
        here = starts[bisect_left(starts, begin) : bisect_left(starts, begin + len(part))]
        return [start - begin for start in here[room::room]]

    borders = (_after(_EMPTY_LINE), _sentence_borders, _after(_LINE), _after(_BLANK), anywhere)
    units = list(_units(text, (0, len(text)), borders, lambda span: tokens(span) <= room))
    fewest = len(_packed(units, tokens, room))
    # the least limit with which they are as few: a last part of one sentence would weigh as much as each of the others
    limit = bisect_left(range(room), True, key=lambda limit: len(_packed(units, tokens, limit)) <= fewest)
    return [text[begin:end].strip() for begin, end in _packed(units, tokens, limit)]


Borders = Callable[[str, int], list[int]]


def _units(text: str, span: Span, borders: Sequence[Borders], fits: Callable[[Span], bool]) -> Iterator[Span]:
    """Spans one behind the other: the largest that fit, by the first kind of borders that makes them so."""
    if fits(span) or not borders:
        yield span
        return
    begin, end = span
    inner = [begin + at for at in borders[0](text[begin:end], begin) if 0 < at < end - begin]
    edges = [begin, *sorted(set(inner)), end]
    for part in pairwise(edges):
        yield from _units(text, part, borders[1:], fits)


def _packed(units: Sequence[Span], tokens: Callable[[Span], int], limit: int) -> list[Span]:
    """Neighbouring units together, as long as they have at most `limit` tokens."""
    packed = [units[0]]
    for begin, end in units[1:]:
        together = (packed[-1][0], end)
        if tokens(together) <= limit:
            packed[-1] = together
        else:
            packed.append((begin, end))
    return packed


def _after(blank: re.Pattern[str]) -> Borders:
    return lambda part, _: [found.end() for found in blank.finditer(part)]


def _sentence_borders(part: str, _: int) -> list[int]:
    """Where sentences begin; what is none goes with the sentence before it."""
    at, borders = 0, []
    for sentence in sentences(part):
        at = part.index(sentence, at)
        borders.append(at)
        at += len(sentence)
    return borders[1:]


def _fitting(speaker: Speaker, text: str, instruction: str, room: int) -> list[str]:
    """Parts that fit with the instruction in a prompt of `room` tokens."""
    around = len(speaker.prompt(_asked(instruction, "a"))) - 1
    left = room - around
    while left >= 1:
        parts = parted(text, speaker, left)
        # a text in its prompt may have a few tokens more than by itself
        over = max(len(speaker.prompt(_asked(instruction, part))) for part in parts) - room
        if over <= 0:
            return parts
        left -= over
    raise UsageError(
        f"the instruction takes {around} of the {max(0, room)} tokens that a prompt may have, so that no text fits; "
        "ask for a shorter answer (max_new_tokens), or say less before each part."
    )


def _asked(instruction: str, part: str) -> tuple[Turn, ...]:
    return (Turn("user", f"{instruction}\n\n{part}" if instruction else part),)


def _want_shorter(speaker: Speaker, text: str, joined: str, parts: int) -> None:
    before, after = len(speaker.ids(text)), len(speaker.ids(joined))
    if after >= before:
        raise DataError(
            f"the summaries of {parts} parts have {after} tokens together, no fewer than the {before} of their text; "
            "ask for shorter ones (max_new_tokens)."
        )
