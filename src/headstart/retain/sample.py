"""Which rows to keep of many."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from headstart.errors import DataError

Rows = NDArray[np.int64]


def reservoir(n: int, keep: int, *, seed: int) -> Rows:
    """`keep` of n rows that come one after another, all equally likely, without knowing n beforehand.

    The first `keep` rows fill the places; row i then takes a random one of 0..i, if that is a place. What is kept of
    the first rows is what a shorter stream would have kept, unless a later row took its place.

    Args:
        n: rows, at least 0.
        keep: at least 1; all rows where there are no more.

    Returns:
        (min(n, keep),) positions, ascending.

    Raises:
        DataError: keep below 1.

    Reference:
        Vitter, 1985, doi:10.1145/3147.3165, algorithm R.
    """
    _refuse_none(keep)
    places = np.arange(min(n, keep), dtype=np.int64)
    draws = np.random.default_rng([seed, 41]).integers(0, np.arange(keep + 1, max(n, keep) + 1))
    for row in np.flatnonzero(draws < keep):
        places[draws[row]] = keep + row
    return np.sort(places)


def balanced(y: NDArray, keep: int, *, seed: int) -> Rows:
    """`keep` random rows, as many of each class as can be; see `quotas`.

    Args:
        y: (n,) classes.
        keep: at least 1; all rows where there are no more.

    Returns:
        (min(n, keep),) positions, ascending.

    Raises:
        DataError: keep below 1, or targets that are not one class for each row.
    """
    draw = np.random.default_rng([seed, 42])
    chosen = [draw.permutation(rows)[:quota] for rows, quota in quotas(y, keep)]
    return np.sort(np.concatenate([np.empty(0, np.int64), *chosen]))


def herding(features: NDArray, y: NDArray, keep: int) -> Rows:
    """`keep` rows, as many of each class as can be, whose class means are near those of all rows; see `quotas`.

    For each class, one after another that row whose taking brings the mean of the rows taken nearest to the class
    mean. The first rows of a class are then the best choice of fewer. iCaRL brings features to length 1 before.

    Args:
        features: (n, d).
        y: (n,) classes.
        keep: at least 1; all rows where there are no more.

    Returns:
        (min(n, keep),) positions, class by class, each in the order of the choice.

    Raises:
        DataError: keep below 1, or targets that are not one class for each row.

    Reference:
        Welling, 2009, doi:10.1145/1553374.1553517; Rebuffi et al., 2017, arXiv:1611.07725, algorithm 4.
    """
    if len(features) != len(y):
        raise DataError(f"{len(features)} rows of features and {len(y)} classes were given; give one class each.")
    parts = [rows[_herd(np.asarray(features, np.float64)[rows], quota)] for rows, quota in quotas(y, keep)]
    return np.concatenate([np.empty(0, np.int64), *parts])


def quotas(y: NDArray, keep: int) -> list[tuple[Rows, int]]:
    """For each class in order: the positions of its rows, and how many of them to keep.

    All classes keep the same number; what small classes cannot fill goes to the others, and what does not divide goes
    to the first ones.

    Raises:
        DataError: keep below 1, or targets that are not one class for each row.
    """
    _refuse_none(keep)
    y = np.asarray(y)
    if y.ndim != 1 or y.dtype.kind == "f":
        raise DataError(f"targets are {y.dtype} of shape {y.shape}; rows are balanced over (n,) classes.")
    groups = [np.flatnonzero(y == label) for label in np.unique(y)]
    left, quota = min(keep, len(y)), np.zeros(len(groups), np.int64)
    size = np.array([len(rows) for rows in groups], np.int64)
    while left:
        open_ = np.flatnonzero(quota < size)
        each = max(1, left // len(open_))
        for group in open_:
            more = min(each, size[group] - quota[group], left)
            quota[group] += more
            left -= more
    return [(rows, int(count)) for rows, count in zip(groups, quota, strict=True)]


def _herd(x: NDArray[np.float64], count: int) -> Rows:
    """(count,) positions in the order of the choice."""
    mean, total = x.mean(0), np.zeros(x.shape[1])
    free, chosen = np.ones(len(x), bool), np.empty(count, np.int64)
    for k in range(count):
        gap = ((mean - (total + x) / (k + 1)) ** 2).sum(1)
        chosen[k] = np.argmin(np.where(free, gap, np.inf))
        free[chosen[k]] = False
        total += x[chosen[k]]
    return chosen


def _refuse_none(keep: int) -> None:
    if keep < 1:
        raise DataError(f"keep={keep} is below 1; give the number of rows to keep, 1 or more.")
