"""Whether two sets of rows have one distribution: the distance of their means in the space of a kernel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from headstart.errors import DataError
from headstart.mismatch import checks
from headstart.mismatch.distances import squared_distances


@dataclass(frozen=True)
class Mmd:
    """The distance and how surprising it would be without a difference.

    Attributes:
        squared: unbiased squared distance; about 0, and as often below as above, without a difference; at most 2.
        p: share of permutations that are as far, 1 / (permutations + 1) at the least.
        bandwidth: median distance between two rows, the middle of the three widths.
        rows: used of the source and of the target.
    """

    squared: float
    p: float
    bandwidth: float
    rows: tuple[int, int]


def mmd(source: ArrayLike, target: ArrayLike, *, seed: int, permutations: int = 500, most: int = 1000) -> Mmd:
    """Unbiased squared maximum mean discrepancy, with a p value by permutation.

    Args:
        source, target: (n, d) and (m, d), at least two rows each; features of larger variance count for more.
        seed: of the rows drawn and of the permutations.
        permutations: of the p value; 0 leaves it at 1.
        most: rows used of each side; memory grows as 160 most^2 bytes.

    Raises:
        DataError: features that cannot be compared, or all rows equal.

    Reference:
        Gretton et al., 2012, A Kernel Two-Sample Test, JMLR 13:723-773, equation 3 and section 8.
    """
    if most < 2 or permutations < 0:
        raise DataError(f"most={most} and permutations={permutations}; give at least 2 and at least 0.")
    source, target = checks.pair(source, target)
    draw = np.random.default_rng([seed, 11])
    source, target = (part[draw.permutation(len(part))[:most]] for part in (source, target))
    checks.varied(source, target, name="source and target")
    n, m = len(source), len(target)
    both = np.concatenate([source, target]).astype(np.float64)
    kernel, bandwidth = rbf(both)
    side = np.zeros((n + m, permutations + 1))
    side[:n, 0] = 1
    for column in range(1, permutations + 1):
        side[draw.permutation(n + m)[:n], column] = 1
    values = squared_mmds(kernel, side)
    # a permutation that gives the same two sets counts as as far, whatever its rounding
    as_far = int(np.sum(values[1:] >= values[0] - 1e-12))
    return Mmd(float(values[0]), (1 + as_far) / (permutations + 1), bandwidth, (n, m))


def rbf(x: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """(n, n) mean of three Gaussian kernels of the rows, and the median distance between two rows.

    exp(-|x - x'|^2 / (2 w^2)) with w half, once and twice the median distance (of rows that differ).
    """
    squared = squared_distances(x, x)
    pairs = squared[np.triu_indices(len(x), 1)]
    middle = float(np.median(pairs))
    if middle <= 1e-12 * pairs.max():  # most rows are copies of each other
        middle = float(np.median(pairs[pairs > 1e-12 * pairs.max()]))
    wide = np.exp(squared / (-8 * middle))
    once = wide**4
    return (wide + once + once**4) / 3, float(np.sqrt(middle))


def squared_mmds(kernel: NDArray, side: NDArray) -> NDArray[np.float64]:
    """(k,) unbiased squared distances of k ways to divide the rows in two.

    Args:
        kernel: (n, n) symmetric.
        side: (n, k) 1 for the rows of the one set, 0 for the other; at least two rows in each.
    """
    # the unbiased estimate leaves out each row with itself
    diagonal = np.diag(kernel)
    of_row = kernel.sum(1) - diagonal
    within = np.einsum("ik,ik->k", side, kernel @ side) - diagonal @ side
    touching = of_row @ side
    count = side.sum(0)
    other = len(kernel) - count
    outside = of_row.sum() - 2 * touching + within
    return within / (count * (count - 1)) + outside / (other * (other - 1)) - 2 * (touching - within) / (count * other)
