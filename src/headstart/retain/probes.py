"""A small set of texts and of pictures that comes with the package: what a network answers on it before and after it
learns tells how far it has moved where none of the user's data is.

The texts were written for this project. Most pictures are cut from the two sample photos of scikit-learn, both CC BY
2.0: china.jpg by danielbuechele (flickr.com/photos/danielbuechele/6061409035) and flower.jpg by vultilion
(flickr.com/photos/vultilion/6056698931); they are cut, turned and coloured here. The other pictures are drawn.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

COUNT = 64  # texts, and pictures
SIZE = 224  # pixels of a side
DRAWN = 20  # of the pictures; the others are cut from photos
_FILE = Path(__file__).parent / "probes" / "texts.json"
_LEAST = 96  # pixels of a side that is cut from a photo
_GREY = 7  # of so many cut pictures one has no colour

Pixels = NDArray[np.float64]


def probe_texts() -> tuple[str, ...]:
    """The texts: of very different kinds, one word to three sentences; English but for a few lines of code."""
    return tuple(json.loads(_FILE.read_text("utf8")))


def probe_pictures() -> NDArray[np.uint8]:
    """(COUNT, SIZE, SIZE, 3) pictures in red, green and blue, the same at every call."""
    from sklearn.datasets import load_sample_images

    photos = load_sample_images().images
    out = np.empty((COUNT, SIZE, SIZE, 3), np.uint8)
    for k in range(COUNT):
        draw = np.random.default_rng([k, 64])
        place = k - (COUNT - DRAWN)
        values = _DRAWINGS[place % len(_DRAWINGS)](draw) if place >= 0 else _cut(photos[k % len(photos)], k, draw)
        out[k] = np.rint(np.clip(values, 0, 255))
    return out


def resized(pixels: NDArray, size: int) -> Pixels:
    """(size, size, 3) of (h, w, 3), between the four nearest pixels; pixels are areas, their centres are mapped."""
    for axis in (0, 1):
        at = (np.arange(size) + 0.5) * pixels.shape[axis] / size - 0.5
        at = np.clip(at, 0, pixels.shape[axis] - 1)
        low = np.floor(at).astype(np.int64)
        high = np.minimum(low + 1, pixels.shape[axis] - 1)
        share = (at - low).reshape((-1, 1, 1) if axis == 0 else (1, -1, 1))
        pixels = (1 - share) * pixels.take(low, axis) + share * pixels.take(high, axis)
    return pixels


def _cut(photo: NDArray[np.uint8], k: int, draw: np.random.Generator) -> Pixels:
    """A square of a photo, perhaps mirrored, every other one turned, in other colours."""
    most = min(photo.shape[:2])
    side = round(_LEAST * (most / _LEAST) ** draw.random())  # small ones as often as large ones
    top, left = (int(draw.integers(0, length - side + 1)) for length in photo.shape[:2])
    values = resized(photo[top : top + side, left : left + side], SIZE)
    if draw.random() < 0.5:
        values = values[:, ::-1]
    values = np.rot90(values, int(draw.integers(0, 4)) if k % 2 else 0)
    if k % _GREY == _GREY - 1:
        values = np.repeat(values.mean(2, keepdims=True), 3, axis=2)
    mean = values.mean((0, 1))
    contrast, light, tint = draw.uniform(0.6, 1.3), draw.uniform(-35, 35), draw.uniform(0.8, 1.2, 3)
    return (mean + contrast * (values - mean)) * tint + light


def _stripes(draw: np.random.Generator) -> Pixels:
    """Waves in one direction, between two colours."""
    x, y = _places()
    turn, width = draw.uniform(0, np.pi), draw.uniform(6, 60)
    wave = np.sin(2 * np.pi * (x * np.cos(turn) + y * np.sin(turn)) / width)
    return _between((wave + 1) / 2, draw)


def _noise(draw: np.random.Generator) -> Pixels:
    """Random values on a grid, coarse or fine, with smooth ways between them."""
    cells = int(draw.choice([4, 12, 32, SIZE]))
    return resized(draw.uniform(0, 255, (cells, cells, 3)), SIZE)


def _gradient(draw: np.random.Generator) -> Pixels:
    """One colour that becomes another: from side to side, or from a point outwards."""
    x, y = _places()
    if draw.random() < 0.5:
        turn = draw.uniform(0, 2 * np.pi)
        way = x * np.cos(turn) + y * np.sin(turn)
    else:
        way = np.hypot(x - draw.uniform(0, SIZE), y - draw.uniform(0, SIZE))
    return _between((way - way.min()) / np.ptp(way), draw)


def _shapes(draw: np.random.Generator) -> Pixels:
    """Discs and bars of plain colours on a plain ground."""
    x, y = _places()
    values = np.tile(draw.uniform(0, 255, 3), (SIZE, SIZE, 1))
    for k in range(int(draw.integers(3, 9))):
        middle, half = draw.uniform(0, SIZE, 2), draw.uniform(8, 60, 2)
        far = (x - middle[0]) / half[0], (y - middle[1]) / half[1]
        inside = np.hypot(*far) < 1 if k % 2 else np.maximum(*np.abs(far)) < 1
        values[inside] = draw.uniform(0, 255, 3)
    return values


_DRAWINGS = (_stripes, _noise, _gradient, _shapes)


def _places() -> tuple[Pixels, Pixels]:
    """(SIZE, SIZE) of every pixel: from the left, from the top."""
    across = np.arange(SIZE, dtype=np.float64) + 0.5
    return np.tile(across, (SIZE, 1)), np.tile(across[:, None], (1, SIZE))


def _between(share: Pixels, draw: np.random.Generator) -> Pixels:
    """(SIZE, SIZE, 3): the first of two random colours where the share is 0, the second where it is 1."""
    one, two = draw.uniform(0, 255, (2, 3))
    return one + share[..., None] * (two - one)
