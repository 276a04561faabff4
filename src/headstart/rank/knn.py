"""Nearest neighbours: how often the rows around a row tell its label."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from headstart.errors import DataError
from headstart.heads import metrics
from headstart.rank.checks import METRIC, one_hot, rows_and_targets

_ROWS = 256  # compared with all others at once


def knn(features: NDArray, labels: NDArray, *, k: int = 5) -> float:
    """How well the k nearest other rows tell each row's label; higher transfers better.

    Near is the cosine between rows from which the mean of all was taken: the length of a row follows contrast or
    text length more than content, and an offset that all rows share would make all angles alike. Rotating, scaling
    or shifting all features changes nothing.

    Classes: the most frequent class among the neighbours, of equally frequent ones the class with the larger sum of
    cosines. Labels and numbers: the mean of the neighbours.

    Args:
        features: (n, d) float.
        labels: classes (n,) int in 0..c-1, labels (n, c) of 0 and 1, or numbers (n, t) float.
        k: neighbours, at least 1; with n - 1 or fewer other rows, all of them.

    Returns:
        Classes: share of rows told right, in 0..1. Labels: area under the ROC curve, mean over labels, in 0..1.
        Numbers: share of the variance told, mean over targets, at most 1 and below 0 where the mean does better.

    Raises:
        DataError: k below 1, or arrays that cannot be scored.

    Reference:
        Cover and Hart, 1967, doi:10.1109/TIT.1967.1053964; Wu et al., 2018, arXiv:1805.01978, section 3.4 (cosine).
    """
    x, y, task = rows_and_targets(features, labels)
    if k < 1:
        raise DataError(f"k={k} is below 1; give the number of neighbours, 1 or more.")
    near, cosine = _neighbours(x, min(k, len(x) - 1))
    if task == "classes":
        # cosines over 4k add less than half a vote in all, so that they part ties and nothing else
        vote = one_hot(y)[near] * (1 + cosine / (4 * near.shape[1]))[:, :, None]
        out = vote.sum(1)
    else:
        out = y[near].mean(1)
    return metrics.score(METRIC[task], out, y, task)


def _neighbours(x: NDArray, k: int) -> tuple[NDArray[np.int64], NDArray]:
    """(n, k) positions of the rows with the largest cosines, in no order, and those cosines."""
    z = x - x.mean(0)
    length = np.linalg.norm(z, axis=1, keepdims=True)
    z = (z / np.where(length > 0, length, 1)).astype(np.float32)
    near = np.empty((len(z), k), np.int64)
    cosine = np.empty((len(z), k), np.float32)
    for start in range(0, len(z), _ROWS):
        some = np.arange(start, min(start + _ROWS, len(z)))
        block = z[some] @ z.T
        block[some - start, some] = -np.inf
        near[some] = np.argpartition(block, -k, axis=1)[:, -k:]
        cosine[some] = np.take_along_axis(block, near[some], axis=1)
    return near, cosine
