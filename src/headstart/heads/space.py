"""Standardised features in as few columns as they need: the space that linear heads are fitted in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headstart.errors import DataError

LIMIT = 10.0  # deviations: a unit that rests in all rows learned from may be thousands out in the next one
_EXACT = 2_000_000  # products with the features up to which double precision costs little


@dataclass(frozen=True, eq=False)
class Space:
    """n rows of features, standardised and, where there are fewer rows than features, rotated.

    Every L2-penalised linear model has weights in the span of its training rows, and depends on the rows through
    their inner products alone. So with n < d the rows may be written in n orthogonal directions of their own span
    with nothing lost: weights found there are exactly those of the full features (`lift`).

    Attributes:
        mean, scale: (d,) float32 of the features as they came; scale is 1 where a feature is constant.
        u: (n, r) float64 or float32, r = min(n, d).
        gram: (r, r) u'u / n.
    """

    mean: NDArray[np.float32]
    scale: NDArray[np.float32]
    u: NDArray
    gram: NDArray
    _z: NDArray
    _root: NDArray | None

    def lift(self, weight: NDArray) -> NDArray:
        """(d, c) weights of the standardised features from (r, c) weights in this space."""
        if self._root is None:
            return weight
        return self._z.T @ np.linalg.solve(self._root.T, weight).astype(self._z.dtype)


def space_of(x: NDArray, columns: int = 1) -> Space:
    """The space of (n, d) features. Its mean and scale are those of all rows: they hold no labels.

    Args:
        x: (n, d) finite.
        columns: of scores that will be fitted; with many, or much data, the space is in single precision.

    Raises:
        DataError: fewer than two rows, no features, or values that are not finite.
    """
    x = np.asarray(x)
    if x.ndim != 2 or len(x) < 2 or not x.shape[1]:
        raise DataError(f"features have the shape {x.shape}; give (rows, features) with at least 2 rows and 1 feature.")
    mean, scale, z = standardise(x)
    n, d = z.shape
    kind = np.float64 if z.size * columns <= _EXACT else np.float32
    if n >= d:
        u = z.astype(kind, copy=False)
        return Space(mean, scale, u, u.T @ u / n, z, None)
    wide = z.astype(np.float64)
    inner = wide @ wide.T
    # the jitter is one more feature per row, seen by no other row: it changes no answer for other rows
    root = np.linalg.cholesky(inner + 1e-9 * (np.trace(inner) / n + 1e-12) * np.eye(n))
    u = root.astype(np.float64 if n * n * columns <= _EXACT else np.float32)
    return Space(mean, scale, u, u.T @ u / n, z, root)


def standardise(x: NDArray) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray]:
    """Mean, scale and the (n, d) features after both, within LIMIT; constant features become 0 with scale 1.

    Raises:
        DataError: values that are not finite.
    """
    x = x if x.dtype in (np.float32, np.float64) else x.astype(np.float64)
    # the mean is rounded before it is used, so that a stored head does the same arithmetic
    mean = x.mean(0, dtype=np.float64).astype(np.float32)
    if not np.isfinite(mean).all():
        raise DataError("some features are not finite numbers; look for NaN or infinite values and drop those rows.")
    z = x - mean
    scale = np.sqrt(np.einsum("ij,ij->j", z, z, dtype=np.float64) / len(x))
    # what a constant far from 0 leaves after its mean is taken off is rounding, not a signal
    constant = scale <= 4 * np.finfo(np.float32).eps * np.abs(mean)
    # a dead unit that trembles in its ninth digit would get a weight of millions
    constant |= scale < 1e-6 * np.median(scale)
    scale = np.where(constant | (scale < 1e-30), 1.0, scale).astype(np.float32)
    z /= scale
    z[:, constant] = 0
    np.clip(z, -LIMIT, LIMIT, out=z)
    return mean, scale, z
