"""What the same rows are worth to the majority class and to classical features with a linear model."""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import NDArray

from headstart.adapt.probe import Ask
from headstart.data.dataset import Dataset
from headstart.data.split import Split
from headstart.heads.baselines import majority, picture_baseline, text_baseline
from headstart.verbs.record import Rival

_LARGE = 20_000  # rows beyond which the classical way learns from a part


def against(data: Dataset, parts: Split, ask: Ask, thumbnails: NDArray[np.uint8] | None) -> tuple[Rival, ...]:
    """The majority class and the classical way, learned from and asked about the same rows as the skill.

    Args:
        thumbnails: (n, 32, 32) of pictures; None for texts.
    """
    assert data.y is not None
    folds = parts.folds if parts.test is None else ((parts.train, parts.test),)
    start = time.perf_counter()
    answers = [classical(data, train, test, ask, thumbnails) for train, test in folds]
    seconds = time.perf_counter() - start
    most = [majority(data.y[train], len(test), task=data.task, classes=ask.columns) for train, test in folds]
    name = "TF-IDF and a linear model" if data.modality == "text" else "HOG and a linear model"
    what = "words and pairs of words, weighted" if data.modality == "text" else "edges of a 32-pixel thumbnail"
    least = "mean" if data.task == "numbers" else "most frequent answer"
    return (
        Rival(name, what, np.concatenate(answers), seconds),
        Rival(least, "the same answer for every row", np.concatenate(most), 0.0),
    )


def classical(
    data: Dataset, train: NDArray[np.int64], test: NDArray[np.int64], ask: Ask, thumbnails: NDArray[np.uint8] | None
) -> NDArray:
    """(test, c) answers of classical features with a linear model that learned from the rows of `train`."""
    assert data.y is not None
    if len(train) > _LARGE:
        train = np.sort(np.random.default_rng([ask.seed, 4]).permutation(train)[:_LARGE])
    asked = {"task": data.task, "classes": ask.columns, "balance": ask.balance, "seed": ask.seed}
    if thumbnails is None:
        texts = data.texts
        return text_baseline([texts[row] for row in train], data.y[train], [texts[row] for row in test], **asked)
    return picture_baseline(thumbnails[train], data.y[train], thumbnails[test], **asked)
