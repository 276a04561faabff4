"""Squared distances between all rows of two sets, by one matrix product."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def squared_distances(a: NDArray, b: NDArray) -> NDArray[np.float64]:
    """(n, m) squared Euclidean distances between rows of `a` (n, d) and of `b` (m, d), at least 0."""
    # |a|^2 + |b|^2 - 2ab loses what features far from 0 have in common; around their middle little is lost
    centre = b.mean(0, dtype=np.float64)
    a, b = a - centre, b - centre
    out = a @ b.T
    out *= -2
    out += np.einsum("ij,ij->i", a, a)[:, None]
    out += np.einsum("ij,ij->i", b, b)
    return np.maximum(out, 0, out=out)
