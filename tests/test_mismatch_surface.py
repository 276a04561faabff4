"""What the eye sees first: each column moves with what it is named after."""

import numpy as np
import pytest

from headstart.mismatch.surface import PICTURE, TEXT, of_pictures, of_texts

NAME = {name: k for k, name in enumerate(PICTURE)}
WORD = {name: k for k, name in enumerate(TEXT)}


def scene(seed=0):
    """A bright disc with some texture on a dark ground, reddish."""
    y, x = np.mgrid[:64, :64]
    grey = np.where((x - 32) ** 2 + (y - 32) ** 2 < 300, 180, 60) + np.random.default_rng(seed).integers(
        -6, 6, (64, 64)
    )
    return np.stack([grey + 20, grey, grey - 20], axis=2).astype(np.uint8)


def seen(picture):
    return of_pictures(picture[None])[0]


def test_light_contrast_and_colour_are_as_defined():
    plain = scene()
    found, grey = seen(plain), plain.astype(float) @ [0.299, 0.587, 0.114]
    assert found[NAME["brightness"]] == pytest.approx(grey.mean() / 255)
    assert found[NAME["contrast"]] == pytest.approx(grey.std() / 255)
    assert found[NAME["colour"]] == pytest.approx(40 / 255)
    assert found[NAME["warmth"]] == pytest.approx(40 / 255)
    flat = seen(np.full((16, 16, 3), 90, np.uint8))
    assert flat[[NAME["contrast"], NAME["colour"], NAME["dark side"]]] == pytest.approx(0)


def test_each_change_moves_its_column():
    from PIL import Image, ImageFilter

    plain = scene()
    noisy = np.clip(plain + np.random.default_rng(1).normal(0, 25, plain.shape), 0, 255).astype(np.uint8)
    blurred = np.asarray(Image.fromarray(plain).filter(ImageFilter.GaussianBlur(3)))
    assert seen(noisy)[NAME["noise"]] > seen(plain)[NAME["noise"]] + 1
    assert seen(blurred)[NAME["fine detail"]] < seen(plain)[NAME["fine detail"]] - 1
    assert seen(blurred)[NAME["coarse detail"]] < seen(plain)[NAME["coarse detail"]]
    assert seen(255 - plain)[NAME["dark side"]] == pytest.approx(-seen(plain)[NAME["dark side"]])
    assert of_pictures(np.zeros((0, 8, 8, 3), np.uint8)).shape == (0, len(PICTURE))


def test_signs_of_texts_are_shares():
    row = of_texts(["AB cd 12."], np.array([[0.25, 0.5]]))[0]
    assert row[WORD["capitals"]] == 2 / 9
    assert row[WORD["digits"]] == 2 / 9
    assert row[WORD["punctuation"]] == 1 / 9
    assert row[WORD["word length"]] == 2
    assert (row[WORD["broken words"]], row[WORD["signs"]]) == (0.25, 0.5)
    marked = of_texts(["<b>word</b>"], np.zeros((1, 2)))[0]
    assert marked[WORD["markup"]] == pytest.approx(7 / 11)
    assert of_texts(["h3llo gr8"], np.zeros((1, 2)))[0][WORD["odd words"]] == 1
    assert of_texts(["naïve"], np.zeros((1, 2)))[0][WORD["foreign letters"]] == 0.2
