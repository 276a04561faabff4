"""The formulas of the metrics, for many weightings of the same rows at once: a bootstrap draw is a row of counts.

Every function takes answers `out` (n, c), targets `y`, the task and weights `w` (k, n), and gives (k,) values.
NaN where a value is not defined for the rows that have weight.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_LEAST = 1e-15  # of a probability, so that log loss stays finite
_BLOCK = 512  # rows compared with all others at once


def accuracy(out: NDArray, y: NDArray, task: str, w: NDArray) -> NDArray:
    """Share of rows answered right."""
    return _mean((out.argmax(1) == y).astype(float), w)


def balanced_accuracy(out: NDArray, y: NDArray, task: str, w: NDArray) -> NDArray:
    """Share answered right within a class, mean over the classes that have rows."""
    on = np.eye(out.shape[1])[y]
    right = w @ (on * (out.argmax(1) == y)[:, None])
    return _known_mean(_share(right, w @ on))


def macro_f1(out: NDArray, y: NDArray, task: str, w: NDArray) -> NDArray:
    """2 right / (said + true) per class, mean over classes; a class neither said nor true is left out."""
    right, both = _f1_counts(out, y, task, w)
    if task == "labels":  # a label neither said nor true counts as 0, as scikit-learn has it
        return np.nan_to_num(_share(2 * right, both)).mean(1)
    return _known_mean(_share(2 * right, both))


def micro_f1(out: NDArray, y: NDArray, task: str, w: NDArray) -> NDArray:
    """2 right / (said + true), of all yes-or-no answers together; 0 without any."""
    right, both = _f1_counts(out, y, task, w)
    return np.nan_to_num(_share(2 * right.sum(1), both.sum(1)))


def auc(out: NDArray, y: NDArray, task: str, w: NDArray) -> NDArray:
    """Chance that a positive scores above a negative, ties half; two classes: of class 1, more: mean of each
    against the rest.

    Reference:
        Hanley and McNeil, 1982, doi:10.1148/radiology.143.1.7063747.
    """
    if task == "classes" and out.shape[1] == 2:
        # rises with the probability of class 1, and is finer where both are near 0 or 1
        return _auc(out[:, 1] - out[:, 0], y > 0, w)
    if task == "classes":
        return _known_mean(_auc_against_rest(out, y, w))
    return _known_mean(np.stack([_auc(s, on, w) for s, on in zip(out.T, (y > 0).T, strict=True)], axis=1))


def average_precision(out: NDArray, y: NDArray, task: str, w: NDArray) -> NDArray:
    """Mean over positives of the precision among all rows that score as high, mean over labels with positives."""
    return _known_mean(np.stack([_average_precision(s, on, w) for s, on in zip(out.T, (y > 0).T, strict=True)], axis=1))


def log_loss(out: NDArray, y: NDArray, task: str, w: NDArray) -> NDArray:
    """Mean of -log of the probability of what is true, in nats per row (per answer for labels)."""
    true = np.where(y > 0, out, 1 - out) if task == "labels" else out[np.arange(len(y)), y][:, None]
    return _mean(-np.log(np.clip(true, _LEAST, 1)).mean(1), w)


def r2(out: NDArray, y: NDArray, task: str, w: NDArray) -> NDArray:
    """1 - squared error / squared distance from the mean, mean over targets; NaN where a target is constant."""
    rest = y - y.mean(0)
    total = w.sum(1, keepdims=True)
    spread = w @ rest**2 - (w @ rest) ** 2 / total
    spread = np.where(spread > 1e-12 * total * (rest**2).max(0), spread, np.nan)
    return (1 - (w @ (out - y) ** 2) / spread).mean(1)


def mae(out: NDArray, y: NDArray, task: str, w: NDArray) -> NDArray:
    """Mean absolute error, mean over targets."""
    return _mean(np.abs(out - y).mean(1), w)


def rmse(out: NDArray, y: NDArray, task: str, w: NDArray) -> NDArray:
    """Root of the mean squared error of each target, mean over targets."""
    return np.sqrt(w @ (out - y) ** 2 / w.sum(1, keepdims=True)).mean(1)


def spearman(out: NDArray, y: NDArray, task: str, w: NDArray) -> NDArray:
    """Correlation of ranks, mean over targets where neither side is constant."""
    values = []
    for a, b in zip(out.T, y.T, strict=True):
        a, b = _centred_ranks(a, w), _centred_ranks(b, w)
        size = np.sqrt((w * a * a).sum(1) * (w * b * b).sum(1))
        values.append(_share((w * a * b).sum(1), size))
    return _known_mean(np.stack(values, axis=1))


def _mean(values: NDArray, w: NDArray) -> NDArray:
    return w @ values / w.sum(1)


def _share(part: NDArray, whole: NDArray) -> NDArray:
    """NaN where the whole is 0."""
    return np.divide(part, whole, out=np.full(np.shape(whole), np.nan), where=whole > 0)


def _known_mean(values: NDArray) -> NDArray:
    """(k,) means over the columns of (k, m) that are not NaN; NaN where all are."""
    known = np.isfinite(values)
    return _share(np.where(known, values, 0).sum(1), known.sum(1).astype(float))


def _f1_counts(out: NDArray, y: NDArray, task: str, w: NDArray) -> tuple[NDArray, NDArray]:
    """(k, c) each: right positives, and positives said plus positives true."""
    if task == "labels":
        said, true = (out >= 0.5).astype(float), (y > 0).astype(float)
    else:
        each = np.eye(out.shape[1])
        said, true = each[out.argmax(1)], each[y]
    return w @ (said * true), w @ (said + true)


def _ties(values: NDArray) -> tuple[NDArray, NDArray, NDArray]:
    """The rows in order of value, where each run of equal values starts, and the run of each ordered row."""
    order = np.argsort(values, kind="stable")
    new = np.diff(values[order]) != 0
    return order, np.r_[0, np.flatnonzero(new) + 1], np.r_[0, np.cumsum(new)]


def _auc(scores: NDArray, on: NDArray, w: NDArray) -> NDArray:
    order, starts, _ = _ties(scores)
    up = np.add.reduceat(w[:, order] * on[order], starts, axis=1)
    down = np.add.reduceat(w[:, order] * ~on[order], starts, axis=1)
    below = np.cumsum(down, axis=1) - down
    return _share((up * (below + down / 2)).sum(1), up.sum(1) * down.sum(1))


def _auc_against_rest(out: NDArray, y: NDArray, w: NDArray) -> NDArray:
    """(k, c) of each class against the rest. Each row is compared with all rows in its own class's column only, so
    that the weightings meet the comparisons in one product, whatever the number of classes.
    """
    on = np.eye(out.shape[1], dtype=np.float32)[y]
    # sums of halves stay far below 2^23, so single precision is exact
    light = w.astype(np.float32) if (w == np.round(w)).all() else w
    above = np.zeros((len(w), on.shape[1]))
    for start in range(0, len(y), _BLOCK):
        some = slice(start, start + _BLOCK)
        own, other = out[some][np.arange(len(y[some])), y[some]][:, None], out[:, y[some]].T
        wins = (own > other).astype(light.dtype) + (own == other).astype(light.dtype) / 2
        wins[y[some][:, None] == y] = 0
        above += (w[:, some] * (light @ wins.T)) @ on[some]
    size = w @ on
    return _share(above, size * (w.sum(1, keepdims=True) - size))


def _average_precision(scores: NDArray, on: NDArray, w: NDArray) -> NDArray:
    order, starts, _ = _ties(-scores)
    up = np.add.reduceat(w[:, order] * on[order], starts, axis=1)
    seen = np.cumsum(np.add.reduceat(w[:, order], starts, axis=1), axis=1)
    precision = np.cumsum(up, axis=1) / np.maximum(seen, 1e-300)
    return _share((up * precision).sum(1), up.sum(1))


def _centred_ranks(values: NDArray, w: NDArray) -> NDArray:
    """(k, n) ranks of each row among the rows of each weighting, equal values share their mean, minus their mean."""
    order, starts, run = _ties(values)
    size = np.add.reduceat(w[:, order], starts, axis=1)
    rank = np.empty_like(w)
    rank[:, order] = (np.cumsum(size, axis=1) - size / 2)[:, run]
    return rank - w.sum(1, keepdims=True) / 2
