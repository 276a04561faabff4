"""Data as the training loop reads it: token ids of chunks, or normalised pictures in fixed views."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from headstart.adapt.held import preparation_of
from headstart.core.examples import Arrays, Examples, Read
from headstart.data.dataset import Dataset
from headstart.data.pictures import Preparation, load
from headstart.data.tokens import Chunks, chunks, open_tokenizer, pad
from headstart.sources.card import Card
from headstart.sources.folder import tokenizer_of


def examples_of(
    data: Dataset, y: NDArray | None, card: Card, cache: Path, *, views: int = 1, threads: int = 0
) -> Examples:
    """The data for the training loop; a text longer than the window becomes several examples with one target.

    Args:
        y: targets, one per row of the data; None where there are none.
        views: fixed views of each picture, the plain one among them; texts have one.
    """
    if data.modality == "image":
        return pictures_of(data, card, y, views=views, threads=threads)
    examples, cut = texts_of(data, card, cache)
    return examples if y is None else replace(examples, y=y[cut.owner])


def texts_of(data: Dataset, card: Card, cache: Path) -> tuple[Examples, Chunks]:
    """One example for each chunk of the texts, and the chunks."""
    cut = chunks(open_tokenizer(tokenizer_of(card, cache), card.size), data.texts)

    def read(rows: NDArray[np.int64]) -> Arrays:
        batch = pad([cut.ids[row] for row in rows], max(len(cut.ids[row]) for row in rows))
        return {"ids": batch["ids"], "mask": batch["mask"].astype(bool)}

    keys = tuple(f"{data.keys[owner]}:{place}" for place, owner in enumerate(cut.owner))
    return Examples(keys, read, lengths=cut.lengths), cut


def live(data: Dataset, card: Card, y: NDArray, *, seed: int, threads: int = 0) -> Examples:
    """One example for each picture, in another square and sometimes mirrored at each reading; never stored."""
    preparation, draw = preparation_of(card), np.random.default_rng([seed, 5])

    def read(rows: NDArray[np.int64]) -> Arrays:
        return _pictures(data, preparation, card, draw.integers(1, 1 << 30, len(rows)), threads or 2)(rows)

    return Examples(data.keys, read, y, random=draw)


def pictures_of(data: Dataset, card: Card, y: NDArray | None = None, *, views: int = 1, threads: int = 0) -> Examples:
    """One example for each picture, normalised as the network wants it."""
    preparation = preparation_of(card)
    reads = [_pictures(data, preparation, card, view, threads or 2) for view in range(views)]
    return Examples(data.keys, reads[0], y, views=tuple(reads[1:]))


def _pictures(data: Dataset, preparation: Preparation, card: Card, view: int | NDArray[np.int64], threads: int) -> Read:
    """Reads pictures in one view, or each row of the call in its own."""
    normal, sources = _normaliser(card), data.pictures

    def read(rows: NDArray[np.int64]) -> Arrays:
        views = np.broadcast_to(np.asarray(view), len(rows))
        with ThreadPoolExecutor(threads) as pool:
            pixels = pool.map(lambda row, v: load(sources[row], preparation, view=int(v)), rows, views)
            return {"h": normal(np.stack(list(pixels)))}

    return read


def _normaliser(card: Card) -> Callable[[NDArray], NDArray]:
    mean, std = (np.array(value, np.float32).reshape(1, 3, 1, 1) * 255 for value in (card.mean, card.std))
    return lambda pixels: (pixels.transpose(0, 3, 1, 2).astype(np.float32) - mean) / std
