"""Positive definite systems with NumPy's own linear algebra alone.

NumPy and SciPy wheels each bring a BLAS with threads of its own. Called in turn, the idle threads of one wait
actively for work on the cores that the other needs: on two cores a step of 0.6 ms took 7 ms. So heads use one of them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_SMALL = 64


def inverse_root(a: NDArray) -> NDArray:
    """Lower triangular R with R'R the inverse of the positive definite (r, r) `a`, so that a^-1 b = R'(R b)."""
    return _inverse(np.linalg.cholesky(a))


def _inverse(lower: NDArray) -> NDArray:
    """Inverse of a lower triangular matrix, by halves, so that nearly all of it is matrix products."""
    r = len(lower)
    if r <= _SMALL:
        return np.tril(np.linalg.inv(lower))
    half = r // 2
    out = np.zeros_like(lower)
    out[:half, :half] = _inverse(lower[:half, :half])
    out[half:, half:] = _inverse(lower[half:, half:])
    out[half:, :half] = -out[half:, half:] @ (lower[half:, :half] @ out[:half, :half])
    return out
