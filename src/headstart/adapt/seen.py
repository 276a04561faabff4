"""Rows of a data set as they are compared: what the eye sees first, and the pooled outputs of a held network."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from headstart.adapt.held import Held, Progress, preparation_of
from headstart.core.store import Address, Store, Table
from headstart.data.dataset import Dataset
from headstart.data.encoding import mended
from headstart.data.pictures import batches
from headstart.data.tokens import open_tokenizer
from headstart.mismatch import surface
from headstart.sources.folder import tokenizer_of

SURFACE = "surface"
_VERSION = 1  # of what is measured on the surface; another number measures anew
_BATCH = 32
_COLUMNS = {"image": surface.PICTURE, "text": surface.TEXT}


@dataclass(frozen=True, eq=False)
class Seen:
    """Examples that could be read, and what was seen of them.

    Attributes:
        data: the examples.
        layers: name -> (n, d), the surface first, then the network's taps, nearest the input first.
    """

    data: Dataset
    layers: dict[str, NDArray]

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the surface's columns."""
        return _COLUMNS[self.data.modality]


def seen(held: Held, data: Dataset, store: Store, progress: Progress | None = None) -> Seen:
    """Every example through the network, but for those in the store; pictures that cannot be read are left out."""
    if data.modality == "image":
        on_surface, data = _pictures(held, data, store)
    else:
        on_surface = _texts(held, data)
    table = held.fill(data, held.table(store), progress=progress)
    return Seen(data, {SURFACE: on_surface, **{tap: table.matrix(data.keys, tap) for tap in held.taps}})


def _pictures(held: Held, data: Dataset, store: Store) -> tuple[NDArray, Dataset]:
    """The surface of the pictures as the network gets them, and the data without those that cannot be read."""
    preparation = preparation_of(held.card)
    address = Address(SURFACE, 0, preparation.digest, engine=f"{SURFACE} {_VERSION}", compute_dtype="float64")
    table: Table = store.table(address)
    missing = table.missing(data.keys)
    broken: set[int] = set()
    for rows, pixels in batches(
        [data.pictures[row] for row in missing],
        preparation,
        batch=_BATCH,
        threads=held.threads or 2,
        broken=lambda row, _: broken.add(int(missing[row])),
    ):
        table.write([data.keys[missing[row]] for row in rows], {SURFACE: surface.of_pictures(pixels)})
    lost = {data.keys[row] for row in broken}
    if lost:
        data = data.take([row for row, key in enumerate(data.keys) if key not in lost])
    return table.matrix(data.keys, SURFACE), data


def _texts(held: Held, data: Dataset) -> NDArray:
    """The surface of the texts; pieces are those of the network's tokenizer, up to its window."""
    tokenizer = open_tokenizer(tokenizer_of(held.card, held.cache), held.card.size)
    # capitals that the network does not see are none of its surface
    uncased = all(tokenizer.encode(each).ids == tokenizer.encode(each.lower()).ids for each in "AQZ")
    pieces = np.zeros((len(data), 2))
    for row, whole in enumerate(tokenizer.encode_batch([mended(text) for text in data.texts])):
        # tokens without a word are the tokenizer's own: beginning and end
        words = [(word, token) for word, token in zip(whole.word_ids, whole.tokens, strict=True) if word is not None]
        if words:
            going_on = sum(one[0] == two[0] for one, two in pairwise(words))
            pieces[row] = going_on, sum(not any(map(str.isalpha, token)) for _, token in words)
            pieces[row] /= len(words)
    return surface.of_texts([text.lower() for text in data.texts] if uncased else data.texts, pieces)
