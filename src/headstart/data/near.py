"""Near duplicates among many pictures or texts without comparing each with each."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from headstart.data.dataset import Dataset
from headstart.data.encoding import mended
from headstart.errors import DataError

SIDE = 32  # of a thumbnail
BITS_APART = 4  # difference hashes of 64 bits this close are looked at again
BANDS = 5  # one more than the bits that may differ: one band at least is equal
PIXELS_APART = 0.15  # root mean square of standardised thumbnails of the same picture
FLAT = 4.0  # grey levels of standard deviation; flatter thumbnails tell nothing
NEIGHBOURS = 32  # compared with each in one bucket, so that a bucket of thousands stays cheap
GRAM = 5  # bytes of a shingle
SHINGLES_SHARED = 0.9  # Jaccard similarity of the same text
LONGEST = 2000  # bytes of a text that are hashed
TEXT_BANDS, TEXT_ROWS = 6, 4  # a pair at .9 is met with probability 1 - (1 - .9^4)^6 = .998
SKETCH_SHARED = 0.7  # of the 24 hashes; at a similarity of .9 fewer agree once in a thousand times
CHUNK = 500_000  # bytes of text that are hashed at once

Rows = NDArray[np.int64]
Pairs = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Look:
    """A first look at pictures.

    Attributes:
        thumbnails: (n, 32, 32) uint8 grey, the whole picture squeezed into a square.
        sizes: (n, 2) int64, width and height in pixels; 0 where unreadable.
        broken: position -> why it cannot be read.
    """

    thumbnails: NDArray[np.uint8]
    sizes: NDArray[np.int64]
    broken: dict[int, str]


def look(sources: Sequence[Path | NDArray], *, threads: int = 2) -> Look:
    """Thumbnails of pictures, and which of them cannot be read."""
    from headstart.data.pictures import load_grey, reason

    thumbnails = np.zeros((len(sources), SIDE, SIDE), dtype=np.uint8)
    sizes = np.zeros((len(sources), 2), dtype=np.int64)
    broken: dict[int, str] = {}

    def one(row: int) -> None:
        try:
            thumbnails[row], sizes[row] = load_grey(sources[row], SIDE)
        except DataError as error:
            broken[row] = reason(error)

    with ThreadPoolExecutor(max(1, threads)) as pool:
        for _ in pool.map(one, range(len(sources))):
            pass
    return Look(thumbnails, sizes, broken)


def readable(data: Dataset, *, threads: int = 2) -> Dataset:
    """The examples without pictures that cannot be read."""
    if data.modality != "image":
        return data
    broken = look(data.pictures, threads=threads).broken
    return data.take([row for row in range(len(data)) if row not in broken]) if broken else data


def difference_hash(thumbnails: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """64 bits per picture: on a 9 x 8 grey reduction, whether each cell is darker than its right neighbour.

    Args:
        thumbnails: (n, 32, 32) uint8.
    """
    tall = thumbnails.reshape(len(thumbnails), 8, SIDE // 8, SIDE).mean(axis=2, dtype=np.float32)
    edges = np.linspace(0, SIDE, 10).round().astype(int)
    cells = np.add.reduceat(tall, edges[:-1], axis=2) / np.diff(edges)
    bits = (cells[:, :, :-1] < cells[:, :, 1:]).reshape(len(thumbnails), 64)
    return np.packbits(bits, axis=1).view(np.uint64)[:, 0]


def picture_twins(thumbnails: NDArray[np.uint8]) -> Pairs:
    """Pairs (m, 2) of rows, the smaller first, that show the same picture re-saved, scaled or a little brighter.

    Difference hashes within 4 of 64 bits are candidates; the standardised thumbnails confirm them. In a bucket of
    more than 32 equal hash bands only neighbours in order of hash are compared, so a few twins among thousands of
    pictures of one scene may be missed.
    """
    if len(thumbnails) < 2:
        return np.zeros((0, 2), dtype=np.int64)
    hashes = difference_hash(thumbnails)
    cuts = np.linspace(0, 64, BANDS + 1).round().astype(int)
    found = []
    for low, high in pairwise(cuts):
        band = (hashes >> np.uint64(low)) & np.uint64((1 << int(high - low)) - 1)
        found.append(_neighbours(band, hashes, lambda a, b: _bits(hashes[a] ^ hashes[b]) <= BITS_APART))
    candidates = np.unique(np.concatenate(found), axis=0)
    return candidates[_same_picture(thumbnails, candidates)]


def _same_picture(thumbnails: NDArray[np.uint8], pairs: Pairs) -> NDArray[np.bool_]:
    same = np.zeros(len(pairs), dtype=bool)
    for first in range(0, len(pairs), 4096):
        rows = pairs[first : first + 4096]
        a, b = (thumbnails[rows[:, side]].reshape(len(rows), -1).astype(np.float32) for side in (0, 1))
        spread = np.minimum(a.std(axis=1), b.std(axis=1))
        a, b = ((x - x.mean(axis=1, keepdims=True)) / (x.std(axis=1, keepdims=True) + 1e-6) for x in (a, b))
        apart = np.sqrt(((a - b) ** 2).mean(axis=1))
        same[first : first + 4096] = (spread >= FLAT) & (apart <= PIXELS_APART)
    return same


def _bits(words: NDArray[np.uint64]) -> NDArray[np.int64]:
    """How many bits of each word are set."""
    return np.unpackbits(words.view(np.uint8).reshape(len(words), 8), axis=1).sum(axis=1, dtype=np.int64)


def _neighbours(
    bucket: NDArray[np.uint64], order: NDArray[np.uint64], close: Callable[[Rows, Rows], NDArray[np.bool_]]
) -> Pairs:
    """Close pairs of one bucket, at most NEIGHBOURS places apart when sorted by `order` within it."""
    rows = np.lexsort((order, bucket))
    ranked = bucket[rows]
    pairs = [np.zeros((0, 2), dtype=np.int64)]
    for step in range(1, min(NEIGHBOURS, len(rows) - 1) + 1):
        equal = np.flatnonzero(ranked[step:] == ranked[:-step])
        if not len(equal):
            break
        a, b = rows[equal], rows[equal + step]
        pairs.append(np.stack([a, b], axis=1)[close(a, b)])
    return np.sort(np.concatenate(pairs), axis=1)


def plain(text: str) -> str:
    """A text without case, punctuation and runs of blanks."""
    return re.sub(r"[\W_]+", " ", text.casefold()).strip()


def text_twins(texts: Sequence[str]) -> Pairs:
    """Pairs (m, 2) of rows, the smaller first, that are equal once plain or share nine tenths of their shingles.

    Of texts that are equal once plain, each is paired with the first of them, and that one stands for all of them.
    Candidates come from MinHash bands over 5-byte shingles of the first 2,000 bytes; the Jaccard similarity of the
    shingles confirms them. Plain texts without letters or digits are not compared.
    """
    plains = [plain(mended(text)) for text in texts]
    first: dict[str, int] = {}
    equal = [(first.setdefault(text, row), row) for row, text in enumerate(plains) if text]
    pairs = [(a, b) for a, b in equal if a != b]
    different = np.array([row for text, row in first.items() if len(text.encode()) > GRAM], dtype=np.int64)
    if len(different) > 1:
        sketches = _sketches([plains[row].encode()[:LONGEST] for row in different])
        bands = sketches.reshape(TEXT_BANDS, TEXT_ROWS, -1)
        mixed = (bands * np.array([1, 3, 5, 7], dtype=np.uint64)[:, None]).sum(axis=1, dtype=np.uint64)
        candidates = [
            _neighbours(
                band, sketches[0], lambda a, b: (sketches[:, a] == sketches[:, b]).mean(axis=0) >= SKETCH_SHARED
            )
            for band in mixed
        ]
        near = different[np.unique(np.concatenate(candidates), axis=0)]
        sets = {int(row): _shingles(plains[row]) for row in np.unique(near)}
        pairs += [(a, b) for a, b in np.sort(near, axis=1).tolist() if _overlap(sets[a], sets[b]) >= SHINGLES_SHARED]
    return np.array(sorted(pairs), dtype=np.int64).reshape(-1, 2)


def jaccard(a: str, b: str) -> float:
    """Shared 5-byte shingles as a part of all, in [0, 1]."""
    return _overlap(_shingles(a), _shingles(b))


def _shingles(text: str) -> NDArray[np.uint64]:
    """The different 5-byte shingles of a text, sorted; the whole text where it is shorter."""
    letters = np.frombuffer(text.encode(), dtype=np.uint8).astype(np.uint64)
    gram = min(GRAM, len(letters))
    grams = np.zeros(len(letters) - gram + 1, dtype=np.uint64)
    for at in range(gram):
        grams |= letters[at : at + len(grams)] << np.uint64(8 * at)
    return np.unique(grams)


def _overlap(a: NDArray[np.uint64], b: NDArray[np.uint64]) -> float:
    """Shared members of two sets as a part of all."""
    both = np.sort(np.concatenate([a, b]))
    shared = int(np.count_nonzero(both[1:] == both[:-1]))
    return shared / (len(both) - shared)


def _sketches(raws: list[bytes]) -> NDArray[np.uint64]:
    """(24, n) uint64 MinHashes: two texts agree in each with the probability of their Jaccard similarity."""
    draw = np.random.default_rng(20)
    factors = draw.integers(1, 2**63, TEXT_BANDS * TEXT_ROWS, dtype=np.uint64) | np.uint64(1)
    result = np.zeros((len(factors), len(raws)), dtype=np.uint64)
    start = 0
    while start < len(raws):
        stop, total = start, 0
        while stop < len(raws) and (total < CHUNK or stop == start):
            total += len(raws[stop])
            stop += 1
        result[:, start:stop] = _sketch(raws[start:stop], factors)
        start = stop
    return result


def _sketch(raws: list[bytes], factors: NDArray[np.uint64]) -> NDArray[np.uint64]:
    lengths = np.array([len(raw) for raw in raws])
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    letters = np.frombuffer(b"".join(raws), dtype=np.uint8).astype(np.uint64)
    grams = np.zeros(len(letters), dtype=np.uint64)
    for at in range(GRAM):
        grams[: len(letters) - at] |= letters[at:] << np.uint64(8 * at)
    for at in range(1, GRAM):  # shingles that would run into the next text repeat the first one
        grams[starts + lengths - at] = grams[starts]
    least = np.empty((len(factors), len(raws)), dtype=np.uint64)
    for place, factor in enumerate(factors):
        mixed = grams * factor
        mixed ^= mixed >> np.uint64(32)
        mixed *= np.uint64(0x9E3779B97F4A7C15)
        least[place] = np.minimum.reduceat(mixed, starts)
    return least
