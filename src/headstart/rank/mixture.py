"""A mixture of Gaussians with diagonal covariances, fitted by expectation maximisation."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_STEPS = 100
_GAIN = 1e-4  # of the log likelihood per row, below which the fit ends
_FLOOR = 1e-3  # of the mean variance: a component on one row must not become infinitely dense


def responsibilities(x: NDArray, k: int, *, seed: int) -> NDArray[np.float64]:
    """Probability of each component of a mixture given each row.

    Begins at k rows drawn far from each other (k-means++), each row belonging to the nearest.

    Args:
        x: (n, d) float64, not constant.
        k: components, at least 1; fewer where there are fewer distinct rows.
        seed: of the rows to begin with.

    Returns:
        (n, at most k) in 0..1, rows sum to 1.

    Reference:
        Dempster, Laird and Rubin, 1977, doi:10.1111/j.2517-6161.1977.tb01600.x; Arthur and Vassilvitskii, 2007,
        k-means++ (SODA).
    """
    begin = _spread_rows(x, k, np.random.default_rng([seed, len(x), 11]))
    belongs = np.eye(len(begin))[_distances(x, x[begin]).argmin(1)]
    floor = _FLOOR * float(x.var(0).mean())
    last = -np.inf
    for _ in range(_STEPS):
        joint = _log_joint(x, belongs, floor)
        top = joint.max(1, keepdims=True)
        weight = np.exp(joint - top)
        total = weight.sum(1, keepdims=True)
        belongs = weight / total
        likelihood = float((top + np.log(total)).mean())
        if likelihood - last < _GAIN:
            break
        last = likelihood
    return belongs


def _spread_rows(x: NDArray, k: int, draw: np.random.Generator) -> list[int]:
    """Positions of rows, each drawn with the squared distance from the nearest one before."""
    rows = [int(draw.integers(len(x)))]
    nearest = ((x - x[rows[0]]) ** 2).sum(1)
    while len(rows) < k and nearest.max() > 0:
        rows.append(int(draw.choice(len(x), p=nearest / nearest.sum())))
        nearest = np.minimum(nearest, ((x - x[rows[-1]]) ** 2).sum(1))
    return rows


def _distances(x: NDArray, centres: NDArray) -> NDArray[np.float64]:
    """(n, k) squared distances, up to what is the same for all centres."""
    return (centres**2).sum(1) - 2 * x @ centres.T


def _log_joint(x: NDArray, belongs: NDArray, floor: float) -> NDArray[np.float64]:
    """(n, k) log of weight times density, of the components that these shares of rows make."""
    count = belongs.sum(0) + 1e-10
    means = belongs.T @ x / count[:, None]
    variance = np.maximum(belongs.T @ x**2 / count[:, None] - means**2, floor)
    square = x**2 @ (1 / variance).T - 2 * x @ (means / variance).T + (means**2 / variance).sum(1)
    return np.log(count / len(x)) - 0.5 * (square + np.log(2 * np.pi * variance).sum(1))
