"""A mean and a covariance that can be inverted, however few the rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headstart.errors import DataError


@dataclass(frozen=True, eq=False)
class Gaussian:
    """What is known of some rows by their first two moments.

    Attributes:
        mean: (d,).
        covariance: (d, d), shrunk.
        shrink: share of the sphere in it, 0..1.
    """

    mean: NDArray[np.float64]
    covariance: NDArray[np.float64]
    shrink: float


def gaussian(x: NDArray, shrink: float | None = None) -> Gaussian:
    """Mean and covariance of (n, d) rows, (1 - s) C + s tr(C)/d I with C the unbiased covariance.

    Args:
        x: (n, d), at least two rows.
        shrink: s in 0..1; None takes the s of least expected squared error (Ledoit and Wolf).

    Raises:
        DataError: a share outside 0..1.

    Reference:
        Ledoit and Wolf, 2004, doi:10.1016/S0047-259X(03)00096-4, section 3.
    """
    if shrink is not None and not 0 <= shrink <= 1:
        raise DataError(f"shrink={shrink} is outside 0..1; use 0 for the plain covariance, None to have it measured.")
    n, d = x.shape
    mean = x.mean(0, dtype=np.float64)
    z = x - mean
    covariance = z.T @ z / (n - 1)
    trace = float(np.trace(covariance))
    if shrink is None:
        lengths = np.einsum("ij,ij->i", z, z)
        shrink = shrinkage(lengths, float(np.sum(covariance**2)) * (n - 1) ** 2, d)
    covariance *= 1 - shrink
    covariance.flat[:: d + 1] += shrink * trace / d
    return Gaussian(mean, covariance, shrink)


def shrinkage(lengths: NDArray, inner: float, d: int) -> float:
    """Ledoit and Wolf's share of the sphere, from inner products alone.

    With S = sum of x x' / n: the error of S, sum |x x' - S|^2 / n^2, as a share of its distance from the sphere.

    Args:
        lengths: (n,) squared lengths of the centred rows.
        inner: sum of the squared inner products of all pairs of centred rows (each row with itself included).
        d: features.

    Returns:
        0..1; 1 where nothing but the sphere can be told.
    """
    n = len(lengths)
    far = inner / n**2 - lengths.sum() ** 2 / (n**2 * d)
    error = (np.sum(lengths**2) / n - inner / n**2) / n
    return float(np.clip(error / far, 0, 1)) if far > 0 else 1.0


def root_of(covariance: NDArray, power: float) -> NDArray[np.float64]:
    """The symmetric power (1/2 or -1/2) of a (d, d) covariance.

    Raises:
        DataError: a negative power of a covariance without full rank.
    """
    values, basis = np.linalg.eigh(covariance)
    floor = rounding(values)
    if power < 0 and values[0] <= floor:
        raise DataError(
            f"{int(np.sum(values <= floor))} of {len(values)} directions have no variance; "
            "give more rows than features, or a shrink above 0."
        )
    return (basis * np.where(values > floor, np.maximum(values, floor), 0) ** power) @ basis.T


def rounding(values: NDArray) -> float:
    """What eigenvalues of a positive semidefinite matrix may be by rounding where they are 0."""
    return float(len(values) * np.finfo(np.float64).eps * np.abs(values).max(initial=0))
