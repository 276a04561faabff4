"""How much of generated texts stands word for word in the training answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headstart.errors import DataError
from headstart.language.spread import Estimate, share
from headstart.language.texts import some_texts, words

_Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Run:
    """Words in a row of a generated text that stand in a training text too, and not in the prompt.

    Attributes:
        text: place of the generated text among those given.
        row: place of a training text that holds the words.
        words: the words, in small letters and without punctuation.
        length: their number.
        copy: whether the two texts are alike as a whole.
    """

    text: int
    row: int
    words: str
    length: int
    copy: bool


@dataclass(frozen=True)
class Memorised:
    """What generated texts have in common with training texts.

    Attributes:
        longest: (n,) words of the longest run that each shares with any training text, from its prompt or not.
        share: of the texts with a run of at least `least` words that does not also stand in the text's prompt, with
            Wilson's interval.
        copies: share of the texts that are a training text word for word; short answers are so by right, too.
        least: words that a run must have.
        found: the longest such run of each text that has one, longest first.
    """

    longest: NDArray[np.int64]
    share: Estimate
    copies: Estimate
    least: int
    found: tuple[Run, ...]


def memorised(
    texts: Sequence[str], training: Sequence[str], *, prompts: Sequence[str] | None = None, least: int = 12
) -> Memorised:
    """The longest common run of words of each text with any training text, by a suffix array of all of them.

    Capitals, punctuation and white space do not count. What is common by chance or by form shows in the same measure
    of reference answers that were not trained on.

    Args:
        texts: n generated texts.
        training: answers that were trained on.
        prompts: n, what each text answers; a run that stands in the text's own prompt is no recall.
        least: words in a row that count.

    Raises:
        DataError: no texts on one side, another number of prompts than texts, or least below 1.
    """
    if least < 1:
        raise DataError(f"least={least} is no length of a run; use 12 or another number of words above 0.")
    said, known = ([words(text) for text in some_texts(side, name)] for side, name in _named(texts, training))
    asked: list[list[str]] = [[] for _ in said]
    if prompts is not None:
        if isinstance(prompts, str) or len(prompts) != len(said):
            raise DataError(f"{len(prompts)} prompts and {len(said)} texts were given; give the prompt of each text.")
        asked = [words(prompt) for prompt in some_texts(prompts, "prompts")]
    lengths, rows = _shared(said, known)
    whole = {tuple(text): row for row, text in reversed(list(enumerate(known)))}
    copies = [whole.get(tuple(text)) if text else None for text in said]
    found = []
    for at, (text, prompt, length, row, copy) in enumerate(zip(said, asked, lengths, rows, copies, strict=True)):
        if length.max(initial=0) < least:
            continue
        fresh = np.where((length >= least) & (length > _in_prompt(text, prompt)), length, 0)
        if fresh.any():
            start = int(fresh.argmax())
            run = " ".join(text[start : start + fresh[start]])
            found.append(Run(at, int(row[start]) if copy is None else copy, run, int(fresh[start]), copy is not None))
    return Memorised(
        np.array([length.max(initial=0) for length in lengths], np.int64),
        share(len(found), len(said)),
        share(sum(copy is not None for copy in copies), len(said)),
        least,
        tuple(sorted(found, key=lambda run: -run.length)),
    )


def _named(texts: Sequence[str], training: Sequence[str]) -> tuple[tuple[Sequence[str], str], ...]:
    return (texts, "texts"), (training, "training texts")


def _shared(said: list[list[str]], known: list[list[str]]) -> tuple[list[_Ints], list[_Ints]]:
    """For every place of every text: words of the longest run from there on that is known, and a row that holds it."""
    numbers: dict[str, int] = {}
    both = [*known, *said]
    row = np.repeat(np.arange(len(both)), [len(text) + 1 for text in both])
    # each text ends with a number of its own, so that no run goes on into the next text
    flat = [number for text in both for number in (*(numbers.setdefault(word, len(numbers)) for word in text), -1)]
    codes = np.array(flat, np.int64)
    ends = np.flatnonzero(codes < 0)
    codes[ends] = len(numbers) + np.arange(len(both))
    levels = _ranks(codes)
    order = np.argsort(levels[-1])
    mine = row >= len(known)
    places = np.arange(len(order))
    trained = ~mine[order]
    # the neighbours among the training texts share the most with a place
    left = np.maximum.accumulate(np.where(trained, places, -1))
    right = np.minimum.accumulate(np.where(trained, places, len(order))[::-1])[::-1]
    at = np.flatnonzero(~trained)
    best, holder = np.zeros(len(order), np.int64), np.zeros(len(order), np.int64)
    for neighbour in (left[at], right[at]):
        there = (neighbour >= 0) & (neighbour < len(order))
        one, other = order[at[there]], order[neighbour[there]]
        length = _common(levels, one, other)
        longer = length > best[one]
        best[one[longer]], holder[one[longer]] = length[longer], row[other[longer]]
    cuts = [(ends[k - 1] + 1 if k else 0, ends[k]) for k in range(len(known), len(both))]
    return [best[a:b] for a, b in cuts], [holder[a:b] for a, b in cuts]


def _ranks(codes: _Ints) -> list[_Ints]:
    """Ranks of the runs of 1, 2, 4, ... codes from each place on, until no two are alike (prefix doubling).

    Reference:
        Manber and Myers, 1993, doi:10.1137/0222058.
    """
    levels = [codes]
    while True:
        rank, step = levels[-1], 1 << (len(levels) - 1)
        then = np.full(len(rank), -1, np.int64)
        then[: len(rank) - step] = rank[step:]
        unlike, rank = np.unique(rank * (len(rank) + 1) + then + 1, return_inverse=True)
        levels.append(rank)
        if len(unlike) == len(rank):
            return levels


def _common(levels: list[_Ints], one: _Ints, other: _Ints) -> _Ints:
    """Codes that are alike from two places on, by halves."""
    length = np.zeros(len(one), np.int64)
    for level in reversed(range(len(levels))):
        length += (levels[level][one + length] == levels[level][other + length]).astype(np.int64) << level
    return length


def _in_prompt(text: list[str], prompt: list[str]) -> _Ints:
    """Words of the longest run from each place of a text on that stands in its prompt."""
    found = np.zeros(len(text), np.int64)
    asked = np.array(prompt, dtype=object)
    after = np.zeros(len(prompt) + 1, np.int64)
    for at in reversed(range(len(text))):
        after[:-1] = np.where(asked == text[at], after[1:] + 1, 0)
        found[at] = after.max()
    return found
