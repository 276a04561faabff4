"""What can be seen of pictures and texts before any network: light, contrast, colour, sharpness; letters and signs."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

PICTURE = ("brightness", "contrast", "colour", "warmth", "fine detail", "coarse detail", "noise", "dark side")
TEXT = (
    "capitals",
    "digits",
    "punctuation",
    "markup",
    "foreign letters",
    "word length",
    "odd words",
    "no vowels",
    "broken words",
    "signs",
)

_GREY = np.array([0.299, 0.587, 0.114])
_FLOOR = 0.25  # grey levels below which detail is rounding
_MARKUP = re.compile(r"<[^<>]{1,60}>|&[a-z]{2,6};|https?://\S+|[{}|\\_*#@=^~]")
_WORD = re.compile(r"[^\W\d_]+(?:['\N{RIGHT SINGLE QUOTATION MARK}][^\W\d_]+)?")
_LONGEST = 5000  # characters of a text that are looked at


def of_pictures(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """What the eye sees first of each picture.

    Args:
        pixels: (n, h, w, 3), at least 8 by 8.

    Returns:
        (n, 8), columns as `PICTURE`: mean grey 0..1; its deviation; mean range of the channels; red less blue; log of
        the mean detail of one pixel, and of four; log of the median detail, which noise lifts everywhere and edges do
        not; how far the median lies above the mean, in deviations (an inverted picture changes its sign).
    """
    return np.stack([_of_picture(picture) for picture in pixels]) if len(pixels) else np.zeros((0, len(PICTURE)))


def _of_picture(picture: NDArray[np.uint8]) -> NDArray[np.float64]:
    x = picture.astype(np.float64)
    grey = x @ _GREY
    h, w = (side // 4 * 4 for side in grey.shape)
    coarse = grey[:h, :w].reshape(h // 4, 4, w // 4, 4).mean((1, 3))
    detail, wide = _detail(grey), _detail(coarse)
    spread = grey.std()
    logs = [np.log(_FLOOR + value) for value in (detail.mean(), wide.mean(), np.median(detail))]
    colour = (x.max(2) - x.min(2)).mean() / 255
    warmth = (x[:, :, 0] - x[:, :, 2]).mean() / 255
    skew = (np.median(grey) - grey.mean()) / (spread + 1)
    return np.array([grey.mean() / 255, spread / 255, colour, warmth, *logs, skew])


def _detail(grey: NDArray) -> NDArray[np.float64]:
    """Absolute second differences both ways, which even slopes do not have."""
    across = grey[:, :-2] - 2 * grey[:, 1:-1] + grey[:, 2:]
    return np.abs(across[:-2] - 2 * across[1:-1] + across[2:])


def of_texts(texts: Sequence[str], pieces: NDArray) -> NDArray[np.float64]:
    """What is seen of each text without reading it; its length is not among it.

    Args:
        pieces: (n, 2) shares of the tokenizer's pieces that go on with a word, and that hold no letter.

    Returns:
        (n, 10), columns as `TEXT`: shares of the characters that are capitals, digits, punctuation, parts of markup,
        letters beyond ASCII; mean letters of a word; share of words with a mix that words do not have (a capital or a
        digit inside); share of words of three letters or more without a vowel; the pieces.
    """
    signs = np.array([_of_text(text[:_LONGEST]) for text in texts]).reshape(-1, len(TEXT) - 2)
    return np.concatenate([signs, np.asarray(pieces, np.float64).reshape(-1, 2)], axis=1)


def _of_text(text: str) -> tuple[float, ...]:
    n = max(1, len(text))
    words = _WORD.findall(text)
    many = max(1, len(words))
    tokens = text.split()
    odd = sum(bool(re.search(r"[a-z][A-Z]|[A-Za-z]\d|\d[A-Za-z]", token)) for token in tokens)
    bare = sum(len(word) > 2 and not re.search(r"[aeiouy]", word.lower()) for word in words if word.isascii())
    return (
        sum(letter.isupper() for letter in text) / n,
        sum(letter.isdigit() for letter in text) / n,
        sum(letter in ".,;:!?'\"()-" for letter in text) / n,
        sum(len(part) for part in _MARKUP.findall(text)) / n,
        sum(letter.isalpha() and not letter.isascii() for letter in text) / n,
        sum(map(len, words)) / many,
        odd / max(1, len(tokens)),
        bare / many,
    )
