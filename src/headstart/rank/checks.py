"""What the estimators ask of their arrays, and the form in which they read them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from headstart.errors import DataError

METRIC = {"classes": "accuracy", "labels": "auc", "numbers": "r2"}  # what answers are judged by


def rows_and_classes(features: NDArray, labels: NDArray) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Features in double precision and classes numbered without gaps.

    Args:
        features: (n, d) numbers, of which not all columns are constant.
        labels: (n,) int in 0..c-1; a class may be without rows.

    Raises:
        DataError: shapes, kinds or values that cannot be scored.
    """
    x = _features(features)
    return x, classes_of(labels, len(x))


def rows_and_targets(features: NDArray, labels: NDArray) -> tuple[NDArray[np.float64], NDArray, str]:
    """Features in double precision, targets and their task.

    Whole numbers (n,) are classes, 0 and 1 in (n, c) are several labels, floats (n,) or (n, t) are numbers. Labels
    and numbers that do not vary over the rows are left out: no feature can tell anything about them.

    Args:
        features: (n, d) numbers, of which not all columns are constant.
        labels: classes (n,), labels (n, c) or numbers (n, t).

    Returns:
        (n, d) float64; classes (n,) int64 numbered without gaps, or (n, c) float64; classes, labels or numbers.

    Raises:
        DataError: shapes, kinds or values that cannot be scored.
    """
    x = _features(features)
    y = np.asarray(labels)
    if y.ndim == 1 and y.dtype.kind != "f":
        return x, classes_of(y, len(x)), "classes"
    if y.ndim not in (1, 2) or y.dtype.kind not in "biuf":
        raise DataError(
            f"labels are {y.dtype} of shape {y.shape}; give classes (n,) int, labels (n, c) of 0 and 1 or "
            "numbers (n, t) float."
        )
    _same_length(len(x), len(y))
    y = y.astype(np.float64).reshape(len(y), -1)
    if not np.isfinite(y).all():
        wrong = int((~np.isfinite(y)).any(1).sum())
        raise DataError(f"{wrong} of {len(y)} rows of numbers hold NaN or infinite values; drop those rows.")
    binary = np.asarray(labels).ndim == 2 and bool(np.isin(y, (0, 1)).all())
    if not binary and np.asarray(labels).dtype.kind != "f":
        raise DataError(
            f"labels (n, c) hold whole numbers from {y.min():.0f} to {y.max():.0f}; give 0 and 1 for several labels, "
            "or convert numbers to float."
        )
    vary = (y != y[0]).any(0)
    if not vary.any():
        raise DataError(
            f"none of the {y.shape[1]} columns of labels varies over the {len(y)} rows; add rows with other values."
        )
    return x, y[:, vary], "labels" if binary else "numbers"


def classes_of(labels: NDArray, n: int, name: str = "labels") -> NDArray[np.int64]:
    """(n,) classes numbered without gaps.

    Args:
        labels: (n,) int in 0..c-1.
        n: rows that they belong to.
        name: of the labels in messages.

    Raises:
        DataError: labels that are not n classes, of which at least two have rows and one has two.
    """
    y = whole_numbers(labels, n, name)
    if int(y.max()) >= n:
        raise DataError(
            f"{name} go up to {y.max()}, which makes {int(y.max()) + 1} classes for {n} rows; number the classes "
            "0..c-1 and give more rows than classes."
        )
    present, y = np.unique(y, return_inverse=True)
    if len(present) < 2:
        raise DataError(f"all {n} rows are of class {present[0]}; give rows of at least 2 classes.")
    if len(present) == n:
        raise DataError(f"each of the {n} rows is the only one of its class; give at least 2 rows of some class.")
    return y.astype(np.int64)


def whole_numbers(labels: NDArray, n: int, name: str) -> NDArray[np.int64]:
    """(n,) labels as int64, none below 0.

    Raises:
        DataError: another shape, length or kind, or a label below 0.
    """
    y = np.asarray(labels)
    if y.ndim != 1 or y.dtype.kind not in "biu":
        raise DataError(f"{name} are {y.dtype} of shape {y.shape}; give a whole number 0..c-1 for each row, (n,) int.")
    _same_length(n, len(y), name)
    if int(y.min()) < 0:
        raise DataError(f"{name} go down to {y.min()}; classes are 0..c-1: drop rows without a class.")
    return y.astype(np.int64)


def one_hot(y: NDArray[np.int64]) -> NDArray[np.float64]:
    """(n, c) of 0 and 1 from classes without gaps."""
    return np.eye(int(y.max()) + 1)[y]


def class_means(x: NDArray, y: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(c, d) means and (c,) counts of classes without gaps."""
    on = one_hot(y)
    count = on.sum(0)
    return on.T @ x / count[:, None], count


def finite_rows(array: NDArray, name: str) -> NDArray[np.float64]:
    """(n, d) in double precision.

    Raises:
        DataError: not two axes, fewer than 2 rows, no columns, no numbers, or values that are not finite.
    """
    x = np.asarray(array)
    if x.ndim != 2 or len(x) < 2 or not x.shape[1] or x.dtype.kind not in "biuf":
        raise DataError(
            f"{name} are {x.dtype} of shape {x.shape}; give numbers (rows, columns) with at least 2 rows and 1 column."
        )
    x = x.astype(np.float64)
    if not np.isfinite(x).all():
        wrong = int((~np.isfinite(x)).any(1).sum())
        raise DataError(f"{wrong} of {len(x)} rows of {name} hold NaN or infinite values; drop those rows.")
    return x


def _features(features: NDArray) -> NDArray[np.float64]:
    x = finite_rows(features, "features")
    if (x == x[0]).all():
        raise DataError(
            f"all {len(x)} rows of features are the same; give features that differ between examples, from another "
            "layer or network."
        )
    return x


def _same_length(n: int, given: int, name: str = "labels") -> None:
    if given != n:
        raise DataError(f"there are {n} rows and {given} {name}; give one for each row.")
