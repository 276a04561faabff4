"""What the same data gives without a pretrained network: the majority, and classical features with a linear model."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from headstart.heads.linear import fit_head, own_folds

_STRENGTHS = (1.0, 10.0, 100.0)  # C of logistic regression on TF-IDF, 1 / alpha of ridge
_LOOK = 2000  # texts that the strength is chosen on
_WORDS = 200_000
_CELL, _DIRECTIONS = 8, 9
_AT_ONCE = 1000  # pictures


def majority(y: NDArray, n: int, *, task: str, classes: int) -> NDArray:
    """(n, c) shares of each class or label among the targets; for numbers their mean."""
    if task == "classes":
        return np.tile(np.bincount(y, minlength=classes) / len(y), (n, 1))
    return np.tile(np.reshape(y, (len(y), -1)).mean(0), (n, 1))


def text_baseline(
    train: Sequence[str], y: NDArray, test: Sequence[str], *, task: str, classes: int, balance: bool, seed: int
) -> NDArray:
    """(m, c) probabilities, or numbers: words and pairs of words, weighted by TF-IDF, with a linear model.

    Logistic regression or ridge; the strength that does best on a held-out third of at most 2,000 of the training
    texts. Texts without spaces (as Chinese) are taken by characters, up to three together.

    Args:
        train, test: n and m texts.
        y: targets of `train`, in the form of the task.
        task: classes, labels or numbers.
        classes: columns of the answer.
        balance: whether classes weigh the same.
        seed: of the held-out third.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    # no language that puts spaces between words has words of a dozen letters on average
    spaced = sum(len(text) for text in train) < 12 * sum(len(text.split()) for text in train)
    words = TfidfVectorizer(
        analyzer="word" if spaced else "char",
        ngram_range=(1, 2) if spaced else (1, 3),
        # one letter is a word too; the stub does not know that characters have no pattern
        token_pattern=r"\b\w+\b" if spaced else None,  # pyright: ignore[reportArgumentType]
        sublinear_tf=True,
        max_features=_WORDS,
    )
    try:
        a, b = words.fit_transform(train), words.transform(test)
    except ValueError:  # not one word in all texts
        return majority(y, len(test), task=task, classes=classes)
    few = np.random.default_rng([seed, len(y), 5]).permutation(len(y))[:_LOOK]
    learn, look = (few[part] for part in own_folds(y[few], seed)[0])
    best, least = _STRENGTHS[0], np.inf
    for strength in _STRENGTHS:
        loss = _loss(_linear(a[learn], y[learn], a[look], task, classes, balance, strength), y[look], task)
        if loss < least:
            best, least = strength, loss
    return _linear(a, y, b, task, classes, balance, best)


def _linear(a, y: NDArray, b, task: str, classes: int, balance: bool, strength: float) -> NDArray:
    """(m, c) answers for the rows b of a model of the rows a."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression, Ridge

    if task == "numbers":
        return Ridge(alpha=1 / strength).fit(a, y).predict(b).reshape(b.shape[0], -1)
    out = np.zeros((b.shape[0], classes))
    for place, column in enumerate([y] if task == "classes" else y.T.astype(int)):
        if len(np.unique(column)) < 2:
            out[:, column[0] if task == "classes" else place] = 1 if task == "classes" else column[0]
            continue
        model = LogisticRegression(C=strength, class_weight="balanced" if balance else None, max_iter=200, tol=1e-3)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            found = model.fit(a, column).predict_proba(b)
        if task == "classes":
            out[:, model.classes_] = found
        else:
            out[:, place] = found[:, 1]
    return out


def _loss(out: NDArray, y: NDArray, task: str) -> float:
    if task == "numbers":
        y = y.reshape(len(y), -1)
        return float(((out - y) ** 2 / np.maximum(y.var(0), 1e-12)).mean())
    true = out[np.arange(len(y)), y] if task == "classes" else np.where(y > 0, out, 1 - out)
    return float(-np.log(np.maximum(true, 1e-6)).mean())


def picture_baseline(
    train: NDArray, y: NDArray, test: NDArray, *, task: str, classes: int, balance: bool, seed: int
) -> NDArray:
    """(m, c) probabilities, or numbers: edges, colours and coarse pixels of thumbnails with a linear head.

    Args:
        train, test: (n, 32, 32) or (n, 32, 32, 3) uint8; n and m of them.
        y, task, classes, balance: as of `text_baseline`.
        seed: of the folds that choose the head's strength.
    """
    folds = own_folds(y, seed)
    head = fit_head(picture_features(train), y, task=task, folds=folds, balance=balance, classes=classes).head
    x = picture_features(test)
    return head.scores(x) if task == "numbers" else head.probabilities(x)


def picture_features(pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(n, s, s) or (n, s, s, 3) thumbnails, s a multiple of 8 -> (n, features).

    Edges (`hog`), the share of pixels in each of 16 greys or 4 x 4 x 4 colours (square roots), and 8 x 8 mean pixels.
    """
    # on the way to a picture's features its gradients take thirty times their room: not of all pictures at once
    parts = [_features_of(pictures[start : start + _AT_ONCE]) for start in range(0, len(pictures), _AT_ONCE)]
    return np.concatenate(parts) if parts else _features_of(pictures)


def _features_of(pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
    n, side = pictures.shape[:2]
    if pictures.ndim == 3:
        code, kinds = pictures.reshape(n, -1) // 16, 16
    else:
        code, kinds = (pictures // 64).reshape(n, -1, 3) @ np.array([16, 4, 1]), 64
    place = code.astype(np.int64) + kinds * np.arange(n)[:, None]
    shares = np.bincount(place.reshape(-1), minlength=n * kinds).reshape(n, kinds) / side**2
    step = side // 8
    coarse = pictures.reshape(n, 8, step, 8, step, -1).mean((2, 4), dtype=np.float32) / 255
    return np.concatenate([hog(pictures), np.sqrt(shares).astype(np.float32), coarse.reshape(n, -1)], axis=1)


def hog(pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Histograms of oriented gradients: (n, s, s) or (n, s, s, 3), s a multiple of 8 -> (n, (s/8 - 1)^2 * 36).

    Of the square root of each pixel; of colours the channel with the largest gradient counts. Directions without
    sign, each shared between the two nearest of 9; sums over cells of 8 x 8 pixels; blocks of 2 x 2 cells, each
    normalised, clipped at 0.2 and normalised again.

    Reference:
        Dalal and Triggs, 2005, doi:10.1109/CVPR.2005.177, section 6 (L2-Hys).
    """
    bright = np.sqrt(pictures.astype(np.float32) / 255)
    dy, dx = np.gradient(bright, axis=(1, 2))
    size = np.hypot(dx, dy)
    if pictures.ndim == 4:
        channel = size.argmax(3)[..., None]
        dx, dy, size = (np.take_along_axis(part, channel, 3)[..., 0] for part in (dx, dy, size))
    turn = np.arctan2(dy, dx) * (_DIRECTIONS / np.pi) % _DIRECTIONS
    low = np.minimum(turn.astype(np.int64), _DIRECTIONS - 1)  # % may round up to the full turn
    share = turn - low
    n, side = len(size), size.shape[1]
    cells = side // _CELL
    cell = np.arange(side) // _CELL
    base = ((np.arange(n)[:, None, None] * cells + cell[:, None]) * cells + cell) * _DIRECTIONS
    votes = sum(
        np.bincount((base + at % _DIRECTIONS).ravel(), (size * part).ravel(), n * cells * cells * _DIRECTIONS)
        for at, part in ((low, 1 - share), (low + 1, share))
    )
    table = np.reshape(votes, (n, cells, cells, _DIRECTIONS))
    near = [table[:, i : cells - 1 + i, j : cells - 1 + j] for i in (0, 1) for j in (0, 1)]
    blocks = np.minimum(_unit(np.concatenate(near, axis=-1)), 0.2)
    return _unit(blocks).reshape(n, -1).astype(np.float32)


def _unit(blocks: NDArray) -> NDArray:
    return blocks / np.sqrt((blocks**2).sum(-1, keepdims=True) + 1e-6)
