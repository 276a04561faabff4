"""Mismatches that are made, so that the truth is known: ways to change pictures, texts and the shares of classes.

Every strength is one that a person sees at a glance beside the original.
"""

import io
import re

import numpy as np
from PIL import Image, ImageFilter


def noisy(picture, draw, strength):
    """Gaussian noise; strength: deviation in grey levels, the same in all channels of a grey picture."""
    grey = (picture[..., 0] == picture[..., 1]).all() and (picture[..., 1] == picture[..., 2]).all()
    shape = (*picture.shape[:2], 1 if grey else 3)
    return np.clip(picture + draw.normal(0, strength, shape), 0, 255).astype(np.uint8)


def blurred(picture, draw, strength):
    """strength: deviation of the Gaussian, in per cent of the shorter side."""
    radius = strength / 100 * min(picture.shape[:2])
    return np.asarray(Image.fromarray(picture).filter(ImageFilter.GaussianBlur(radius)))


def pale(picture, draw, strength):
    """Less contrast around the picture's mean; strength: what is left of it, 0..1."""
    mean = picture.mean()
    return np.clip(mean + strength * (picture - mean), 0, 255).astype(np.uint8)


def grey(picture, draw, strength):
    """Without colour."""
    return np.asarray(Image.fromarray(picture).convert("L").convert("RGB"))


def inverted(picture, draw, strength):
    """A negative."""
    return 255 - picture


def dark(picture, draw, strength):
    """Underexposed; strength: the power that grey levels are raised to."""
    return (255 * (picture / 255.0) ** strength).astype(np.uint8)


def jpeg(picture, draw, strength):
    """Saved with a low quality."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=strength)
    return np.asarray(Image.open(buffer))


def coarse(picture, draw, strength):
    """Of few pixels, enlarged; strength: pixels of a side."""
    size = picture.shape[1::-1]
    small = Image.fromarray(picture).resize((strength, strength), Image.Resampling.BOX)
    return np.asarray(small.resize(size, Image.Resampling.NEAREST))


def tinted(picture, draw, strength):
    """Under a warm lamp; strength: what is left of blue."""
    return (picture * np.array([1.0, (1 + strength) / 2, strength])).astype(np.uint8)


PICTURES = {
    "noise": (noisy, (20, 50)),
    "blur": (blurred, (1.0, 2.5)),
    "contrast": (pale, (0.5, 0.25)),
    "greyscale": (grey, (1,)),
    "inverted": (inverted, (1,)),
    "dark": (dark, (2.0, 3.0)),
    "jpeg": (jpeg, (12, 5)),
    "few pixels": (coarse, (56, 28)),
    "tinted": (tinted, (0.6,)),
}
COLOUR_ONLY = ("greyscale", "tinted")
LETTERS = "abcdefghijklmnopqrstuvwxyz"


def typos(text, draw, strength):
    """Letters lost, doubled, replaced or swapped; strength: share of the letters."""
    letters = list(text)
    for place in np.flatnonzero(draw.random(len(letters)) < strength):
        if letters[place].isalpha():
            kind = draw.integers(4)
            if kind == 3 and place + 1 < len(letters):
                letters[place], letters[place + 1] = letters[place + 1], letters[place]
            else:
                letters[place] = ("", letters[place] * 2, LETTERS[draw.integers(26)])[kind % 3]
    return "".join(letters)


def marked_up(text, draw, strength):
    """HTML around words, as a page's source has it; strength: share of the words."""
    tags = ("b", "i", "span class=c1", "a href=/p?id=7", "font color=#333")
    words = []
    for word in text.split():
        if draw.random() < strength:
            tag = tags[draw.integers(len(tags))]
            word = f"<{tag}>{word}</{tag.split()[0]}>"
        words.append(word)
    return "<p>" + " ".join(words) + "</p>"


def disguised(text, draw, strength):
    """Digits and signs for letters; strength: share of the letters that have such a sign."""
    signs = dict(zip("aeiostl", "@310571", strict=True))
    return "".join(signs[c.lower()] if c.lower() in signs and draw.random() < strength else c for c in text)


def run_on(text, draw, strength):
    """Blanks lost, as a bad scan loses them; strength: share of the blanks."""
    return re.sub(r"\s+", lambda found: "" if draw.random() < strength else found[0], text)


TEXTS = {
    "typos": (typos, (0.15, 0.3)),
    "markup": (marked_up, (0.5,)),
    "signs for letters": (disguised, (0.5, 1.0)),
    "blanks lost": (run_on, (0.5, 1.0)),
}


def shifted(y, shares, count, draw):
    """Rows of some of y with these shares of the classes, as many as `count` or as the rarest class allows.

    Args:
        y: (n,) classes.
        shares: (c,) wanted, summing to 1.
        count: rows wanted.
    """
    there = np.bincount(y, minlength=len(shares))
    most = min(count, *(int(n / s) for n, s in zip(there, shares, strict=True) if s > 0))
    wanted = np.floor(most * np.asarray(shares) + draw.random()).astype(int)
    rows = [draw.permutation(np.flatnonzero(y == k))[:n] for k, n in enumerate(wanted)]
    return np.concatenate(rows)
