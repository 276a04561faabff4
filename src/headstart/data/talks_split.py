"""Which talks are learned from, and which judge."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from headstart.data.talks import PLAIN, Talk, Talks, Turn
from headstart.errors import DataError

_SHARE = 0.2  # of the talks that judge
_MOST = 500  # talks that judge where the data does not say which
_FEW = 10  # texts below which each is divided itself
_LAST = 0.9  # of a text, from where on it judges
_NEAR = (0.8, 0.95)  # of a text, between which a paragraph's or a sentence's end is looked for
_BLANK = re.compile(r"\s+")
_ENDS = (re.compile(r"\n[^\S\n]*\n\s*"), re.compile(r"[.!?\u2026][\"'\u201d\u2019)\]]*\s+|[\u3002\uff01\uff1f]\s*"))


@dataclass(frozen=True, eq=False)
class Parts:
    """Talks by what they are for.

    Attributes:
        train, test: no talk, and no group, is in both.
        val: that the data sets aside for choices; None where it does not.
        how: in words, how they were divided.
    """

    train: Talks
    test: Talks
    val: Talks | None
    how: str


def parted(talks: Talks, *, seed: int = 0) -> Parts:
    """As the data says, else a fifth of the talks at random, whole groups; equal talks are a group too.

    Few long texts are divided themselves: the last tenth of each judges, from a paragraph or a sentence on.

    Raises:
        DataError: there is nothing to judge by, or nothing to learn from.
    """
    if talks.part is not None and {"train"} < set(talks.part.tolist()):
        return _given(talks, talks.part)
    if talks.kind == "text" and len(talks) < _FEW:
        return _by_ends(talks)
    groups = _groups(talks)
    order = np.random.default_rng([seed, 7]).permutation(np.unique(groups))
    wanted, judging, count = min(_MOST, max(1, round(_SHARE * len(talks)))), [], 0
    sizes = np.bincount(groups)
    for group in order[:-1]:  # one at least is learned from
        if count >= wanted:
            break
        judging.append(group)
        count += int(sizes[group])
    if not judging:
        together = "one talk" if len(talks) == 1 else f"{len(talks)} talks that belong together"
        raise DataError(
            f"'{talks.path}' holds {together}, so that none can judge what was learned; give at least two that differ."
        )
    test = np.isin(groups, judging)
    apart = " of other groups" if talks.groups is not None else ""
    return Parts(
        talks.take(~test),
        talks.take(test),
        None,
        f"{int(test.sum())} of {len(talks)} talks{apart}, drawn by seed {seed}, {'judges' if count == 1 else 'judge'}",
    )


def _given(talks: Talks, part: NDArray) -> Parts:
    named = {name: talks.take(part == name) for name in ("train", "val", "test")}
    judge = "test" if len(named["test"]) else "val"
    val = named["val"] if judge == "test" and len(named["val"]) else None
    first = "1 talk" if len(named["train"]) == 1 else f"{len(named['train'])} talks"
    how = f"{first} for training and {len(named[judge])} of the part {judge} to judge, as given"
    return Parts(named["train"], named[judge], val, how)


def _groups(talks: Talks) -> NDArray[np.int64]:
    """(n,) which talks stay together: those of one group, and equal ones."""
    names = talks.keys if talks.groups is None else [g or key for g, key in zip(talks.groups, talks.keys, strict=True)]
    return np.unique(np.asarray(names), return_inverse=True)[1]


def _by_ends(talks: Talks) -> Parts:
    heads, tails = [], []
    for talk in talks.talks:
        text = talk.turns[0].text
        at = _border(text)
        if 0 < at < len(text):
            heads.append(Talk((Turn(PLAIN, text[:at].strip()),), talk.name))
            tails.append(Talk((Turn(PLAIN, text[at:].strip()),), f"the end of {talk.name}"))
    if not heads:
        raise DataError(f"'{talks.path}' holds too little text to learn from a part and judge by the rest; give more.")

    def of(some: list[Talk]) -> Talks:
        return replace(talks, talks=tuple(some), part=None, groups=None, references=None)

    return Parts(of(heads), of(tails), None, "the last tenth of each text judges")


def _border(text: str) -> int:
    """Where the part of a text begins that judges, or 0 where it has no blank to be divided at.

    It is where a paragraph ends in the range that `_NEAR` says, else a sentence, else the blank nearest to `_LAST`.
    """
    low, high = (int(share * len(text)) for share in _NEAR)
    for ends in _ENDS:
        if borders := [found.end() for found in ends.finditer(text, low, high)]:
            return min(borders, key=lambda border: abs(border - _LAST * len(text)))
    borders = (found.end() for found in _BLANK.finditer(text))
    return min(borders, key=lambda border: abs(border - _LAST * len(text)), default=0)
