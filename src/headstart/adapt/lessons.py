"""Talks as rows of tokens that a language model learns from or is judged by."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from headstart.adapt.pairs import Pairs, pairs
from headstart.core.evaluate import device_of, evaluating
from headstart.core.examples import Examples
from headstart.core.task import Generate
from headstart.data.packing import NOTHING, Piece, laid_out, packed
from headstart.data.talks import Talk
from headstart.errors import DataError
from headstart.sources.frames import Framed, exchange
from headstart.sources.language import LanguageStack
from headstart.sources.speaker import Speaker

_JUDGED = 8  # rows that are judged at a time


@dataclass(frozen=True, eq=False)
class Packed:
    """Rows of tokens, several talks in each.

    Attributes:
        arrays: ids, doc and next, each (rows, width) int64; see `laid_out`.
        talk: (rows, documents at most) which talk each document of a row is of; -1 where there is none.
        count: talks.
        cut: tokens of each talk that were left out so that it fits.
        left_out: talks that cannot be learned from, and why.
    """

    arrays: dict[str, NDArray[np.int64]]
    talk: NDArray[np.int64]
    count: int
    cut: NDArray[np.int64]
    left_out: tuple[tuple[str, str], ...]

    @property
    def rows(self) -> int:
        """How many there are."""
        return len(self.arrays["ids"])

    @property
    def width(self) -> int:
        """Tokens of a row, padding included."""
        return self.arrays["ids"].shape[1]

    @property
    def tokens(self) -> int:
        """Without padding."""
        return int((self.arrays["doc"] > 0).sum())

    @property
    def told(self) -> NDArray[np.int64]:
        """(talks,) tokens of each that are to be told."""
        return self._by_talk((self.arrays["next"] != NOTHING).astype(np.float64)).astype(np.int64)

    @property
    def task(self) -> Generate:
        """The task of these rows."""
        return Generate(max(1.0, float((self.arrays["next"] != NOTHING).sum(1).mean())))

    def examples(self) -> Examples:
        """The rows, with the number of tokens that each has to tell as its target."""
        arrays = self.arrays
        raw = np.stack([arrays[name] for name in sorted(arrays)], axis=1)
        keys = tuple(hashlib.sha256(np.ascontiguousarray(row).tobytes()).hexdigest() for row in raw)
        y = (arrays["next"] != NOTHING).sum(1)
        return Examples(keys, lambda rows: {name: array[rows] for name, array in arrays.items()}, y)

    def judged(
        self, stack: LanguageStack, *, precision: str = "float32", done: Callable[[int], None] | None = None
    ) -> NDArray:
        """(talks,) -log probability of all that each talk has to tell, in nats.

        Args:
            precision: of the arithmetic: float32 or bfloat16.
            done: told after each batch how many rows were judged in it.
        """
        device, out = device_of(stack), np.zeros(self.arrays["ids"].shape)
        fast, before = precision == "bfloat16", stack.head.dtype
        stack.head.dtype = torch.bfloat16 if fast else None
        with evaluating(stack), torch.no_grad(), torch.autocast(device.type, torch.bfloat16, enabled=fast):
            for start in range(0, len(out), _JUDGED):
                part = slice(start, start + _JUDGED)
                state = {name: torch.from_numpy(array[part]).to(device) for name, array in self.arrays.items()}
                out[part] = stack(state)["h"].float().cpu().numpy()
                if done:
                    done(len(out[part]))
        stack.head.dtype = before
        return self._by_talk(out)

    def _by_talk(self, values: NDArray) -> NDArray:
        """(talks,) sums of (rows, width) values over the documents of each talk."""
        doc = self.arrays["doc"]
        row, place = np.nonzero(doc)
        of = self.talk[row, doc[row, place] - 1]
        return np.bincount(of, weights=values[row, place], minlength=self.count)


Lessons = Packed | Pairs


def lessons(speaker: Speaker, talks: Sequence[Talk], width: int, *, keep: str | None = None) -> Lessons:
    """All these talks in rows of `width` tokens; for an encoder-decoder the last exchange of each in a row of its own.

    An encoder-decoder reads the first half of a plain text, and tells the second.

    Args:
        width: for an encoder-decoder of a document at most; its answer has room beside it.
        keep: what is kept of a question that is too long: its end or its beginning; None is its end, and the beginning
            of an encoder-decoder's document.

    Raises:
        DataError: no talk can be learned from.
        SourceError: the network has no chat template and the talks are no plain texts.
    """
    if isinstance(speaker, Framed):
        last, most = [exchange(talk) for talk in talks], min(width, speaker.side)
        return pairs(speaker, last, most, speaker.side, begin=speaker.begin, keep=keep or "beginning")
    return _packed(speaker, talks, width, keep or "end")


def _packed(speaker: Speaker, talks: Sequence[Talk], width: int, keep: str) -> Packed:
    pieces: list[Piece] = []
    owner: list[int] = []
    cut, left_out = np.zeros(len(talks), np.int64), []
    for at, talk in enumerate(talks):
        try:
            spoken = speaker.spoken(talk, width, keep=keep)
        except DataError as error:
            left_out.append((talk.name, str(error)))
            continue
        kept = [piece for piece in spoken.pieces if piece.told[1:].any()]
        pieces += kept
        owner += [at] * len(kept)
        cut[at] = spoken.cut
    if not pieces:
        why = left_out[0][1] if left_out else "there are no talks; give at least one."
        raise DataError(why)
    rows = packed([len(piece) for piece in pieces], width)
    talk_of = np.full((len(rows), max(len(row) for row in rows)), -1, np.int64)
    for row, members in enumerate(rows):
        talk_of[row, : len(members)] = [owner[at] for at in members]
    return Packed(laid_out(pieces, width), talk_of, len(talks), cut, tuple(left_out))
