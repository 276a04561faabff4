"""Directions in which rows spread, from one decomposition of the smaller of their two Gram matrices."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def spectrum(z: NDArray) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Squared singular values and left singular vectors of rows, the largest first.

    Directions with less than a rounding error of the largest squared value are left out, that is singular values
    below about 1e-6 of the largest: they are not told from 0 in a Gram matrix, which is several times as fast to
    decompose as the rows themselves.

    Args:
        z: (n, d) float64, not all 0.

    Returns:
        (r,) values above 0 and (n, r) vectors, r at most min(n, d).
    """
    n, d = z.shape
    wide = n <= d
    values, vectors = np.linalg.eigh(z @ z.T if wide else z.T @ z)
    values, vectors = values[::-1], vectors[:, ::-1]
    kept = values > max(n, d) * np.finfo(np.float64).eps * values[0]
    values, vectors = values[kept], vectors[:, kept]
    return values, vectors if wide else z @ vectors / np.sqrt(values)


def principal(x: NDArray, *, share: float = 1.0, most: int | None = None) -> NDArray[np.float64]:
    """Principal components: the fewest with `share` of the variance, and at most `most`.

    Args:
        x: (n, d) float64, not constant.
        share: of the variance, above 0 and at most 1.
        most: components; None is no limit.

    Returns:
        (n, r) coordinates of mean 0, those of the largest variance first; the sign of each is arbitrary.
    """
    values, vectors = spectrum(x - x.mean(0))
    # rounding must not ask for one more component where the last one completes the share
    reached = np.cumsum(values) / values.sum() >= share - 1e-12
    count = min(int(np.argmax(reached)) + 1, len(values) if most is None else most)
    return vectors[:, :count] * np.sqrt(values[:count])
