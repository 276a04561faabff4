"""Rows whose given class is probably wrong."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def suspicious(out: NDArray, y: NDArray, c: int, limit: int | None = None) -> NDArray[np.int64]:
    """Positions of the rows whose given class the probabilities contradict, the surest contradiction first.

    A class's threshold is the mean probability that rows given that class have of it. A row counts as of class j if
    its probability of j reaches j's threshold (the most probable one, if several do). Rows that count as of another
    class than the given one are suspicious; they are ranked by how much more probable that other class is.

    Args:
        out: (n, c) probabilities from models that did not learn from the row.
        y: (n,) int64 classes as given.
        c: classes.
        limit: positions at most; None gives all.

    Reference:
        Northcutt, Jiang and Chuang, 2021, arXiv:1911.00068, equations 1 and 2 (confident joint), and ranking by
        normalised margin.
    """
    out, y = np.asarray(out, np.float64)[:, :c], np.asarray(y)
    if not len(y):
        return np.zeros(0, np.int64)
    rows = np.arange(len(y))
    own = out[rows, y]
    count = np.bincount(y, minlength=c)
    # a class that no row is given has no threshold that could be reached
    threshold = np.where(count > 0, np.bincount(y, weights=own, minlength=c) / np.maximum(count, 1), np.inf)
    reached = out >= threshold - 1e-12
    likely = np.where(reached, out, -1).argmax(1)
    margin = out[rows, likely] - own
    doubted = np.flatnonzero(reached.any(1) & (likely != y) & (margin > 0))
    return doubted[np.argsort(-margin[doubted], kind="stable")][:limit]
