"""Texts as token ids: cut into chunks where they are longer than the network's window, batched by length."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from headstart.data.encoding import mended

if TYPE_CHECKING:
    from tokenizers import Tokenizer


@dataclass(frozen=True)
class Chunks:
    """Token ids of some texts, each text in one chunk or several.

    Attributes:
        ids: one (t,) int64 array per chunk, special tokens included.
        owner: (chunks,) position of the text that each chunk is of, ascending.
        texts: how many texts there are.
        window: most tokens that the network takes at once; None where that is not known.
    """

    ids: tuple[NDArray[np.int64], ...]
    owner: NDArray[np.int64]
    texts: int
    window: int | None = None

    @property
    def lengths(self) -> NDArray[np.int64]:
        """(chunks,) tokens in each chunk."""
        return np.array([len(chunk) for chunk in self.ids], np.int64)

    def batches(self, *, tokens: int, multiple: int = 8) -> Iterator[tuple[NDArray[np.int64], dict[str, NDArray]]]:
        """Chunks of like length together, so that little padding is computed.

        Args:
            tokens: about how many a batch holds, padding included.
            multiple: lengths are padded to a multiple of it, but not beyond the window: few distinct shapes, which
                the engine prepares once each.

        Yields:
            positions of the chunks, and `ids` (b, t) int64 and `mask` (b, t) int64.
        """
        lengths = self.lengths
        order = np.argsort(-lengths, kind="stable")  # longest first: the largest memory need shows at once
        start = 0
        while start < len(order):
            longest = max(1, int(lengths[order[start]]))
            width = min(-(-longest // multiple) * multiple, max(self.window or tokens, longest))
            rows = order[start : start + max(1, tokens // width)]
            yield rows, pad([self.ids[row] for row in rows], width)
            start += len(rows)

    def pooled(self, values: NDArray) -> NDArray:
        """(chunks, d) -> (texts, d): mean over a text's chunks, weighted by their tokens.

        A text without any token, as of signs that a tokenizer drops, has one chunk, which counts whole.
        """
        weight = np.maximum(self.lengths, 1).astype(np.float64)
        total = np.zeros((self.texts, values.shape[1]))
        np.add.at(total, self.owner, values * weight[:, None])
        return (total / np.bincount(self.owner, weight, self.texts)[:, None]).astype(np.float32)


def pad(ids: Sequence[NDArray[np.int64]], width: int) -> dict[str, NDArray]:
    """`ids` and `mask`, (n, width) int64 each, zeros on the right."""
    batch = np.zeros((len(ids), width), np.int64)
    mask = np.zeros((len(ids), width), np.int64)
    for row, chunk in enumerate(ids):
        batch[row, : len(chunk)] = chunk
        mask[row, : len(chunk)] = 1
    return {"ids": batch, "mask": mask}


def open_tokenizer(path: Path, window: int) -> Tokenizer:
    """The tokenizer of this file, cutting at `window` tokens, special tokens included, and padding nothing."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_length=window)
    return tokenizer


def chunks(tokenizer: Tokenizer, texts: Sequence[str]) -> Chunks:
    """Every token of every text: what does not fit the window goes on in further chunks."""
    ids: list[NDArray[np.int64]] = []
    owner: list[int] = []
    for row, whole in enumerate(tokenizer.encode_batch([mended(text) for text in texts])):
        for part in (whole, *whole.overflowing):
            ids.append(np.array(part.ids, np.int64))
            owner.append(row)
    return Chunks(tuple(ids), np.array(owner, np.int64), len(texts), (tokenizer.truncation or {}).get("max_length"))
