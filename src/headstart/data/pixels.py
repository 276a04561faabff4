"""Pixels of any depth and colour model as 8-bit RGB or grey."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def to_plain(picture: Image.Image) -> Image.Image:
    """The picture as 8-bit RGB, or as 8-bit grey where it has no colour, transparent parts over white.

    Raises:
        ValueError: a colour model that has no RGB.
    """
    mode = picture.mode
    if mode in ("I", "F") or mode.startswith("I;"):
        return Image.fromarray(to_bytes(np.asarray(picture)))
    if mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in picture.info:
        # Pillow has no way from grey with premultiplied transparency straight to colours
        clear = (picture.convert("LA") if mode == "La" else picture).convert("RGBA")
        white = Image.new("RGBA", clear.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, clear).convert("RGB")
    if mode in ("L", "RGB"):
        return picture  # grey stays grey: resampling one channel takes a quarter of the time
    return picture.convert("L" if mode == "1" else "RGB")


def to_bytes(pixels: NDArray, extent: tuple[float, float] | None = None) -> NDArray[np.uint8]:
    """Pixels of more than 8 bits as uint8.

    Values that fit 0..255 stay; others are scaled so that the darkest is 0 and the brightest 255. What is not
    finite becomes the darkest.

    Args:
        pixels: of any shape and type of number.
        extent: the darkest and the brightest value; None takes those of the pixels.
    """
    values = np.asarray(pixels, dtype=np.float64)
    finite = np.isfinite(values)
    if not finite.any():
        return np.zeros(values.shape, dtype=np.uint8)
    low, high = extent or (values[finite].min(), values[finite].max())
    values = np.where(finite, values, low)
    if low >= 0 and high <= 255 and (pixels.dtype.kind in "ui" or high > 1):
        return np.round(values).astype(np.uint8)
    return np.round((values - low) * (255 / max(high - low, np.finfo(np.float64).tiny))).astype(np.uint8)
