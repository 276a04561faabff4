"""How far two sets of rows are as Gaussians."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from headstart.errors import DataError
from headstart.mismatch import checks
from headstart.mismatch.covariance import Gaussian, gaussian, root_of, rounding


def frechet(source: ArrayLike, target: ArrayLike) -> float:
    """Squared Frechet distance between the Gaussians fitted to two sets of rows.

    A side with more rows than features takes its plain unbiased covariance; with fewer, the one that
    `gaussian` shrinks towards a sphere. Covariances are never known exactly, so matched data stay above 0, the
    more so the fewer the rows: compare values of equal numbers of rows only.

    Args:
        source, target: (n, d) and (m, d), at least two rows each.

    Returns:
        At least 0, in squared units of the features.

    Raises:
        DataError: features that cannot be compared.

    Reference:
        Heusel et al., 2017, arXiv:1706.08500, equation 6.
    """
    source, target = checks.pair(source, target)
    one, two = _fitted(source), _fitted(target)
    return frechet_of(one.mean, one.covariance, two.mean, two.covariance)


def _fitted(x: NDArray) -> Gaussian:
    return gaussian(x, 0.0 if len(x) > x.shape[1] else None)


def frechet_of(mean: ArrayLike, covariance: ArrayLike, mean2: ArrayLike, covariance2: ArrayLike) -> float:
    """Squared Frechet distance between two Gaussians, |m - m2|^2 + tr(C + C2 - 2 (C^1/2 C2 C^1/2)^1/2).

    Args:
        mean, mean2: (d,).
        covariance, covariance2: (d, d), symmetric without negative eigenvalues.

    Returns:
        At least 0; 0 for equal ones.

    Raises:
        DataError: shapes that do not fit, values that are not finite, or a covariance that is uneven or has
            negative variances.

    Reference:
        Dowson and Landau, 1982, doi:10.1016/0047-259X(82)90077-X.
    """
    mean, c = _moments(mean, covariance, "the first")
    mean2, c2 = _moments(mean2, covariance2, "the second")
    if len(mean) != len(mean2):
        raise DataError(
            f"the first mean has {len(mean)} features and the second has {len(mean2)}; "
            "give both from the same layer of the same network."
        )
    root = root_of(c, 0.5)
    inner = root @ c2 @ root
    values = np.linalg.eigvalsh((inner + inner.T) / 2)
    # the root of what is 0 but for rounding is not small
    shared = np.sqrt(values[values > rounding(values)]).sum()
    return max(0.0, float(np.sum((mean - mean2) ** 2) + np.trace(c) + np.trace(c2) - 2 * shared))


def _moments(mean: ArrayLike, covariance: ArrayLike, which: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    mean = checks.numbers(mean, f"{which} mean").astype(np.float64)
    covariance = checks.numbers(covariance, f"{which} covariance").astype(np.float64)
    d = mean.size
    if mean.shape != (d,) or not d or covariance.shape != (d, d):
        raise DataError(
            f"{which} mean has the shape {mean.shape} and its covariance {covariance.shape}; give (d,) and (d, d)."
        )
    size = np.abs(covariance).max()
    uneven = np.abs(covariance - covariance.T).max()
    if uneven > 1e-5 * size or np.diag(covariance).min() < 0:
        raise DataError(
            f"{which} covariance is uneven by {uneven:.3g} and has {covariance.diagonal().min():.3g} on its diagonal; "
            "give a symmetric one with variances of at least 0."
        )
    return mean, (covariance + covariance.T) / 2
