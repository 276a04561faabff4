"""GBC: how little the classes overlap, each taken for a Gaussian."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from headstart.errors import DataError
from headstart.rank.checks import class_means, one_hot, rows_and_classes
from headstart.rank.spectrum import principal

_COMPONENTS = 64
_FLOOR = 1e-4  # of the mean variance: a class of one row has none of its own


def gbc(features: NDArray, labels: NDArray, *, covariance: str = "spherical") -> float:
    """Minus the Bhattacharyya coefficients of all ordered pairs of classes, summed; higher transfers better.

    In the first 64 principal components each class is a Gaussian. With v the mean of two classes' variances v_1 and
    v_2, the distance is sum (m_1 - m_2)^2 / (8 v) + 1/2 sum log(v / sqrt(v_1 v_2)), the coefficient exp(-distance).

    Args:
        features: (n, d) float.
        labels: (n,) int in 0..c-1, at least two classes.
        covariance: spherical, one variance per class, or diagonal, one per class and component.

    Returns:
        From -c (c - 1), where all classes are the same, to 0, where none overlap.

    Raises:
        DataError: another covariance, or arrays that cannot be scored.

    Reference:
        Pándy et al., 2022, arXiv:2111.12780, equations 3 to 5.
    """
    x, y = rows_and_classes(features, labels)
    if covariance not in ("spherical", "diagonal"):
        raise DataError(f"covariance {covariance!r} is unknown; use spherical or diagonal.")
    x = principal(x, most=_COMPONENTS)
    means, count = class_means(x, y)
    variance = one_hot(y).T @ (x - means[y]) ** 2 / count[:, None]
    if covariance == "spherical":
        variance[:] = variance.mean(1, keepdims=True)
    variance = np.maximum(variance, _FLOOR * x.var(0).mean())
    total = 0.0
    for k in range(len(means)):
        both = (variance[k] + variance) / 2
        apart = ((means[k] - means) ** 2 / both).sum(1) / 8
        apart += np.log(both / np.sqrt(variance[k] * variance)).sum(1) / 2
        total += float(np.exp(-apart).sum()) - 1  # the class itself is at no distance
    return -total
