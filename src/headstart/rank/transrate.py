"""TransRate: how many more bits all rows need than the rows of each class."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from headstart.errors import DataError
from headstart.rank.checks import rows_and_classes


def transrate(features: NDArray, labels: NDArray, *, distortion: float = 1e-4) -> float:
    """Coding rate of all rows minus the mean coding rate within a class; higher transfers better.

    R(Z) = 1/2 log det(I + Z'Z / (n e)) of the rows with the mean of all taken off; TransRate is R of all rows minus
    the mean over classes, weighted by their rows, of R of the rows of each. It grows with the number of features and
    with their scale against the distortion e.

    Args:
        features: (n, d) float.
        labels: (n,) int in 0..c-1, at least two classes.
        distortion: e, the squared error allowed per feature, above 0.

    Returns:
        In nats, at least 0; 0 where every class has the same second moments about the common mean.

    Raises:
        DataError: a distortion of 0 or below, or arrays that cannot be scored.

    Reference:
        Huang et al., 2022, arXiv:2106.09362, equations 3 to 5.
    """
    x, y = rows_and_classes(features, labels)
    if not distortion > 0:
        raise DataError(f"distortion={distortion} is not above 0; give the squared error allowed, such as 1e-4.")
    z = (x - x.mean(0)) / np.sqrt(distortion)
    within = sum((y == k).mean() * _rate(z[y == k]) for k in range(int(y.max()) + 1))
    return float(_rate(z) - within)


def _rate(z: NDArray) -> float:
    """Half the log determinant of I + Z'Z / n, from the smaller of the two Gram matrices."""
    n, d = z.shape
    gram = (z @ z.T if n < d else z.T @ z) / n
    gram[np.diag_indices(len(gram))] += 1
    return float(np.log(np.diagonal(np.linalg.cholesky(gram))).sum())
