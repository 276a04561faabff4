"""How much generated texts repeat, themselves and one another, and how long they are, beside the references' own."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from headstart.errors import DataError
from headstart.language.texts import some_texts, words

LEAST = 16  # characters said again, at least, that make a loop
_RUN = 4  # words of the runs that are looked for twice in a text


@dataclass(frozen=True)
class Spread:
    """Where most lengths lie: the median, and the 5 % and 95 % points."""

    median: float
    low: float
    high: float


@dataclass(frozen=True)
class Loop:
    """The end of a text that says the same again and again.

    Attributes:
        unit: what is repeated, as the text ends with it; in small letters, white space as one space.
        length: characters from the first time on; the last time may be cut off.
    """

    unit: str
    length: int


@dataclass(frozen=True)
class Repeats:
    """How texts repeat.

    Attributes:
        n: texts.
        distinct_1, distinct_2: different words, and pairs of words, as a share of all in all texts; NaN without any.
            It falls with the amount of text, so compare it at as many words: `compared` does.
        repeated: share of a text's runs of four words that it said before, mean over texts with such runs; NaN
            without one.
        looping: share of texts that end in a loop.
        longest_loop: characters of the longest of these loops.
        characters, words: lengths, empty texts included.
        empty: share of texts without anything but white space.
    """

    n: int
    distinct_1: float
    distinct_2: float
    repeated: float
    looping: float
    longest_loop: int
    characters: Spread
    words: Spread
    empty: float


@dataclass(frozen=True)
class Compared:
    """Generated texts beside the references' own.

    Attributes:
        generated, references: as of `repeats`.
        distinct_1, distinct_2: (generated, references) as of `Repeats`, each on as many words.
    """

    generated: Repeats
    references: Repeats
    distinct_1: tuple[float, float]
    distinct_2: tuple[float, float]


def repeats(texts: Sequence[str]) -> Repeats:
    """How much these texts repeat, and how long they are.

    Raises:
        DataError: no texts.

    Reference:
        Li et al., 2016, arXiv:1510.03055 (distinct); Welleck et al., 2019, arXiv:1908.04319 (runs said before).
    """
    texts = some_texts(texts, "texts")
    said = [words(text) for text in texts]
    ends = [found.length for found in map(loop, texts) if found]
    again = [repeated_runs(of) for of in said if len(of) >= _RUN]
    return Repeats(
        n=len(texts),
        distinct_1=distinct(said, 1),
        distinct_2=distinct(said, 2),
        repeated=float(np.mean(again)) if again else math.nan,
        looping=len(ends) / len(texts),
        longest_loop=max(ends, default=0),
        characters=_spread([len(text) for text in texts]),
        words=_spread([len(of) for of in said]),
        empty=sum(not text.strip() for text in texts) / len(texts),
    )


def compared(generated: Sequence[str], references: Sequence[str]) -> Compared:
    """Generated texts beside reference texts, of which there may be another number.

    For the shares of different words the side that has more words is read, in the given order, until it has given as
    many as the other; texts whose order has a meaning should be mixed before.

    Raises:
        DataError: no texts on one side.
    """
    own, theirs = repeats(generated), repeats(references)
    sides = [[words(text) for text in texts] for texts in (generated, references)]
    most = min(sum(map(len, side)) for side in sides)
    sides = [_first(side, most) for side in sides]
    one, two = ([distinct(side, n) for side in sides] for n in (1, 2))
    return Compared(own, theirs, (one[0], one[1]), (two[0], two[1]))


def distinct(texts: Sequence[Sequence[str]], n: int) -> float:
    """Different runs of n words over all of them, 0..1; no run crosses texts; NaN where there is none.

    Raises:
        DataError: n below 1.
    """
    if n < 1:
        raise DataError(f"n={n} is no length of a run of words; use 1, 2 or more.")
    runs = [tuple(text[at : at + n]) for text in texts for at in range(len(text) - n + 1)]
    return len(set(runs)) / len(runs) if runs else math.nan


def repeated_runs(text: Sequence[str]) -> float:
    """Share of the runs of four words of a text that it said before, 0..1; NaN with fewer than four words."""
    return 1 - distinct([text], _RUN)


def loop(text: str) -> Loop | None:
    """The longest end of a text that is one unit over and over; None where there is none.

    The unit stands there at least twice in full, and what is said again has at least LEAST characters: a doubled word
    is none. The end may be cut off inside of the unit. Lists that count on (1., 2., 3.) are no loop.
    """
    tail = " ".join(text.lower().split())[::-1]
    alike = _alike(tail)
    best = (0, 0)
    for period in range(1, len(tail) // 2 + 1):
        if alike[period] >= max(period, LEAST) and alike[period] + period > best[0]:
            best = alike[period] + period, period
    return Loop(tail[: best[1]][::-1], best[0]) if best[0] else None


def _alike(text: str) -> list[int]:
    """How many characters from each place on are those of the start, in time linear in the length (the Z array)."""
    found = [0] * len(text)
    left = right = 0
    for at in range(1, len(text)):
        length = min(right - at, found[at - left]) if at < right else 0
        while at + length < len(text) and text[length] == text[at + length]:
            length += 1
        found[at] = length
        if at + length > right:
            left, right = at, at + length
    return found


def _first(texts: list[list[str]], most: int) -> list[list[str]]:
    """The texts until they have given so many words; the last may be cut."""
    kept = []
    for text in texts:
        kept.append(text[:most])
        most -= len(kept[-1])
    return kept


def _spread(lengths: list[int]) -> Spread:
    low, median, high = np.percentile(lengths, (5, 50, 95))
    return Spread(float(median), float(low), float(high))
