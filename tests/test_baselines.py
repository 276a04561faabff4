"""Classical rivals: the gradients against a plain loop, and what they reach on known data."""

import numpy as np
from sklearn.datasets import load_digits

from headstart.heads.baselines import hog, majority, picture_baseline, picture_features, text_baseline


def hog_by_hand(picture):
    """One grey picture, pixel by pixel, cell by cell, block by block."""
    bright = np.sqrt(picture / 255)
    s = len(picture)
    cells = np.zeros((s // 8, s // 8, 9))
    for i in range(s):
        for j in range(s):
            up, down = bright[max(i - 1, 0), j], bright[min(i + 1, s - 1), j]
            left, right = bright[i, max(j - 1, 0)], bright[i, min(j + 1, s - 1)]
            dy = (down - up) / (min(i + 1, s - 1) - max(i - 1, 0))
            dx = (right - left) / (min(j + 1, s - 1) - max(j - 1, 0))
            turn = np.degrees(np.arctan2(dy, dx)) % 180 / 20
            low = int(turn) % 9
            size = np.sqrt(dx * dx + dy * dy)
            cells[i // 8, j // 8, low] += size * (1 - turn % 1)
            cells[i // 8, j // 8, (low + 1) % 9] += size * (turn % 1)
    blocks = []
    for i in range(s // 8 - 1):
        for j in range(s // 8 - 1):
            block = np.concatenate([cells[i, j], cells[i, j + 1], cells[i + 1, j], cells[i + 1, j + 1]])
            block = np.minimum(block / np.sqrt(block @ block + 1e-6), 0.2)
            blocks.append(block / np.sqrt(block @ block + 1e-6))
    return np.concatenate(blocks)


def test_hog_equals_a_plain_loop():
    draw = np.random.default_rng(0)
    smooth = np.add.outer(np.arange(32) * 3, np.arange(32) * 5)[None] % 200
    noise = draw.integers(0, 256, (2, 32, 32))
    pictures = np.concatenate([noise, smooth]).astype(np.uint8)
    np.testing.assert_allclose(hog(pictures), [hog_by_hand(p.astype(float)) for p in pictures], atol=2e-4)


def test_hog_of_a_colour_is_that_of_the_channel_with_the_edge():
    edge = np.zeros((1, 32, 32), np.uint8)
    edge[:, :, 13:] = 180
    flat = np.full_like(edge, 90)
    np.testing.assert_allclose(hog(np.stack([flat, edge, flat], axis=-1)), hog(edge), atol=1e-6)


def test_hog_does_not_see_brightness_but_the_features_do():
    draw = np.random.default_rng(0)
    dim = draw.integers(0, 64, (3, 32, 32)).astype(np.uint8)
    np.testing.assert_allclose(hog(dim * 4), hog(dim), atol=2e-3)
    assert np.abs(picture_features(dim * 4) - picture_features(dim)).max() > 0.3


def test_colour_shares_and_coarse_pixels():
    red = np.zeros((1, 32, 32, 3), np.uint8)
    red[..., 0] = 255
    shares, coarse = np.split(picture_features(red)[0, 9 * 36 :], [64])
    assert shares.argmax() == 3 * 16
    assert shares[48] == 1
    np.testing.assert_allclose(coarse.reshape(64, 3), [[1, 0, 0]] * 64)
    grey = np.full((1, 32, 32), 40, np.uint8)
    assert picture_features(grey)[0, 9 * 36 + 40 // 16] == 1


def test_digits_are_told_apart():
    x, y = load_digits(return_X_y=True)
    pictures = np.kron(x.reshape(-1, 8, 8), np.ones((4, 4))).clip(0, 15).astype(np.uint8) * 16
    rows = np.random.default_rng(0).permutation(len(y))[:900]
    train, test = rows[:600], rows[600:]
    out = picture_baseline(pictures[train], y[train], pictures[test], task="classes", classes=10, balance=False, seed=0)
    assert (out.argmax(1) == y[test]).mean() > 0.9
    np.testing.assert_allclose(out.sum(1), 1)


def reviews(n, seed):
    """Sentences whose class hangs on a word, and for every third on a pair of words."""
    draw = np.random.default_rng(seed)
    y = draw.integers(2, size=n)
    filler = [" ".join(draw.choice([f"word{k}" for k in range(40)], size=8)) for _ in range(n)]
    said = [(("not good", "good indeed"), ("dull", "bright"), ("slow", "fast"))[k % 3][c] for k, c in enumerate(y)]
    return [f"{text} {word}" for text, word in zip(filler, said, strict=True)], y


def test_texts_are_told_apart_by_words_and_pairs():
    train, y = reviews(300, 0)
    test, truth = reviews(200, 1)
    out = text_baseline(train, y, test, task="classes", classes=2, balance=False, seed=0)
    assert (out.argmax(1) == truth).mean() > 0.95
    np.testing.assert_allclose(out.sum(1), 1)


def test_texts_without_spaces_are_read_by_characters():
    draw = np.random.default_rng(0)
    letters = list("天地玄黃宇宙洪荒日月盈昃辰宿列張")
    y = np.arange(120) % 2
    texts = ["".join(draw.permutation(letters)[:12]) + ("好壞"[c]) for c in y]
    out = text_baseline(texts[:80], y[:80], texts[80:], task="classes", classes=2, balance=False, seed=0)
    assert (out.argmax(1) == y[80:]).mean() > 0.9


def test_texts_with_several_labels_and_with_numbers():
    train, y = reviews(200, 0)
    test, truth = reviews(100, 1)
    labels = np.stack([y, 1 - y, np.ones_like(y)], axis=1).astype(np.float32)
    out = text_baseline(train, labels, test, task="labels", classes=3, balance=True, seed=0)
    assert ((out[:, :2] > 0.5) == np.stack([truth, 1 - truth], axis=1)).mean() > 0.95
    np.testing.assert_array_equal(out[:, 2], 1)
    numbers = text_baseline(train, 5.0 + 10 * y[:, None], test, task="numbers", classes=1, balance=False, seed=0)
    assert np.abs(numbers[:, 0] - 5 - 10 * truth).mean() < 2.5


def test_a_class_without_training_texts_gets_nothing():
    train, y = reviews(60, 0)
    out = text_baseline(train, y, train[:5], task="classes", classes=4, balance=False, seed=0)
    assert out.shape == (5, 4)
    np.testing.assert_array_equal(out[:, 2:], 0)


def test_texts_without_a_word_fall_back_to_the_majority():
    out = text_baseline(
        ["! ?", "...", "- -"], np.array([0, 0, 1]), ["?"], task="classes", classes=2, balance=False, seed=0
    )
    np.testing.assert_allclose(out, [[2 / 3, 1 / 3]])


def test_the_seed_decides():
    train, y = reviews(80, 0)
    a, b = (text_baseline(train, y, train[:9], task="classes", classes=2, balance=False, seed=7) for _ in range(2))
    np.testing.assert_array_equal(a, b)


def test_majority_is_the_prior():
    y = np.array([0, 0, 0, 2])
    np.testing.assert_allclose(majority(y, 2, task="classes", classes=4), [[0.75, 0, 0.25, 0]] * 2)
    np.testing.assert_allclose(majority(np.array([[1.0, 0], [0, 0]]), 1, task="labels", classes=2), [[0.5, 0]])
    np.testing.assert_allclose(majority(np.array([[1.0], [4.0]]), 3, task="numbers", classes=1), [[2.5]] * 3)


def test_features_of_many_pictures_are_those_of_each():
    pictures = np.random.default_rng(0).integers(0, 256, (1003, 32, 32)).astype(np.uint8)
    every = picture_features(pictures)
    for row in (0, 999, 1000, 1002):
        np.testing.assert_array_equal(every[row], picture_features(pictures[row : row + 1])[0])
