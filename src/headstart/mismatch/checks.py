"""What every distance asks of the arrays it is given."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from headstart.errors import DataError


def features(x: ArrayLike, name: str, least: int = 2) -> NDArray:
    """(n, d) features as they came, integers and half precision as double.

    Args:
        x: (n, d) numbers.
        name: what the message calls them.
        least: rows needed.

    Raises:
        DataError: no numbers, not two axes, fewer rows than `least`, no features, or values that are not finite.
    """
    x = numbers(x, name)
    if x.ndim != 2 or not x.shape[1]:
        raise DataError(f"{name} has the shape {x.shape}; give (rows, features) with at least 1 feature.")
    if len(x) < least:
        raise DataError(f"{name} has {len(x)} rows; give at least {least}.")
    return x


def pair(source: ArrayLike, target: ArrayLike, least: int = 2) -> tuple[NDArray, NDArray]:
    """(n, d) and (m, d) features, checked one by one and against each other.

    Raises:
        DataError: as `features`, or different numbers of features.
    """
    a, b = features(source, "source", least), features(target, "target", least)
    if a.shape[1] != b.shape[1]:
        raise DataError(
            f"source has {a.shape[1]} features and target has {b.shape[1]}; "
            "give both from the same layer of the same network."
        )
    return a, b


def varied(*parts: NDArray, name: str) -> None:
    """Nothing, if some feature differs between some rows of (n, d) parts: single constant features do no harm.

    Raises:
        DataError: all rows of all parts are equal.
    """
    first = parts[0][0]
    if all((part == first).all() for part in parts):
        rows = sum(len(part) for part in parts)
        raise DataError(
            f"all {rows} rows of {name} are equal; give features that differ between rows: "
            "check that the inputs were read and that the layer is not dead."
        )


def numbers(x: ArrayLike, name: str) -> NDArray:
    """An array of finite numbers in single or double precision.

    Raises:
        DataError: another type, or values that are not finite.
    """
    x = np.asarray(x)
    if x.dtype.kind not in "biuf":
        raise DataError(f"{name} is of type {x.dtype}; give real numbers.")
    x = x if x.dtype in (np.float32, np.float64) else x.astype(np.float64)
    wrong = int(x.size - np.isfinite(x).sum())
    if wrong:
        raise DataError(
            f"{name} holds {wrong} of {x.size} values that are not finite; "
            "look for NaN or infinite values and drop those rows."
        )
    return x


def probabilities(x: ArrayLike, name: str) -> NDArray[np.float64]:
    """(n, c) probabilities, rows summing to 1 exactly.

    Raises:
        DataError: as `features`; fewer than two classes; values below 0; rows that do not sum to 1 within 0.001.
    """
    x = features(x, name, 1).astype(np.float64)
    if x.shape[1] < 2:
        raise DataError(f"{name} has 1 class; give probabilities of at least 2.")
    total = x.sum(1, keepdims=True)
    if x.min() < 0 or np.abs(total - 1).max() > 1e-3:
        raise DataError(
            f"{name} holds values from {x.min():.4g} and rows that sum to {total.min():.4g}..{total.max():.4g}; "
            "give probabilities of at least 0 that sum to 1, not scores."
        )
    return x / total


def classes(y: ArrayLike, n: int, c: int) -> NDArray[np.int64]:
    """(n,) classes in 0..c-1, each there.

    Raises:
        DataError: another shape, classes outside 0..c-1, or a class without a row.
    """
    y = np.asarray(y)
    if y.shape != (n,) or y.dtype.kind not in "iu":
        raise DataError(f"classes have the shape {y.shape} and the type {y.dtype}; give {n} whole numbers.")
    if y.min() < 0 or y.max() >= c:
        raise DataError(f"classes run from {y.min()} to {y.max()}; give 0..{c - 1}, as the probabilities have columns.")
    missing = np.flatnonzero(np.bincount(y, minlength=c) == 0)
    if len(missing):
        raise DataError(f"class {missing[0]} has no held-out row; give at least one row of each of the {c} classes.")
    return y.astype(np.int64)
