"""Whether a linear classifier can tell two sets of rows apart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from headstart.errors import DataError
from headstart.heads.metrics import wilson
from headstart.heads.space import standardise
from headstart.mismatch import checks
from headstart.mismatch.covariance import shrinkage


@dataclass(frozen=True)
class TwoSample:
    """How well rows that the classifier did not learn from are told apart.

    Attributes:
        accuracy: share of held-out rows right; one half without a difference.
        low, high: 95 % interval of the accuracy (Wilson), as if held-out rows were independent.
        p: share of permutations of the sides that are told apart as well, 1 / (permutations + 1) at the least.
        distance: proxy A-distance, 0 (the same) to 2 (always told apart).
        rows: used of each side.
    """

    accuracy: float
    low: float
    high: float
    p: float
    distance: float
    rows: int


def two_sample(
    source: ArrayLike,
    target: ArrayLike,
    *,
    seed: int,
    folds: int = 5,
    permutations: int = 500,
    most: int = 1000,
) -> TwoSample:
    """Classifier two-sample test: a shrinkage discriminant, cross-validated, on as many rows of each side.

    Folds share training rows, so their errors are not independent and a binomial test rejects too often; the p value
    permutes sides within folds instead, which is exact for any number of rows and features. Nothing in the classifier
    but its answers depends on the sides, so a permutation costs one product.

    Args:
        source, target: (n, d) and (m, d), at least two rows per fold each.
        seed: of the rows drawn, the folds and the permutations.
        folds: of the cross-validation.
        permutations: of the p value; 0 leaves it at 1.
        most: rows used of each side; fewer where the other side has fewer.

    Raises:
        DataError: features that cannot be compared, or all rows equal.

    Reference:
        Lopez-Paz and Oquab, 2017, arXiv:1610.06545, section 3; Ben-David et al., 2007, Analysis of Representations
        for Domain Adaptation, NIPS 19 (proxy A-distance).
    """
    if folds < 2 or permutations < 0 or most < 2 * folds:
        raise DataError(
            f"folds={folds}, permutations={permutations} and most={most}; "
            "give at least 2 folds, 0 permutations and two rows per fold."
        )
    source, target = checks.pair(source, target, 2 * folds)
    n = min(len(source), len(target), most)
    draw = np.random.default_rng([seed, 12])
    source, target = (part[draw.permutation(len(part))[:n]] for part in (source, target))
    checks.varied(source, target, name="source and target")
    # rows come in random order, so row i of either side goes to fold i modulo folds
    fold = np.tile(np.arange(n) % folds, 2)
    sides = np.repeat([-1.0, 1.0], n)[:, None].repeat(permutations + 1, axis=1)
    for k in range(folds):
        rows = np.flatnonzero(fold == k)
        sides[rows, 1:] = draw.permuted(sides[rows, 1:], axis=0)
    # the mean and scale of all rows hold no sides; constant features would only widen the sphere
    z = standardise(np.concatenate([source, target]))[2]
    scores = held_out(z[:, z.any(0)], sides, fold)
    right = np.sum((scores > 0) == (sides > 0), axis=0)
    accuracy = float(right[0]) / (2 * n)
    low, high = wilson(int(right[0]), 2 * n)
    p = (1 + int(np.sum(right[1:] >= right[0]))) / (permutations + 1)
    return TwoSample(accuracy, low, high, p, proxy_distance(1 - accuracy), n)


def held_out(z: NDArray, sides: NDArray, fold: NDArray) -> NDArray[np.float64]:
    """Scores of each row by the discriminant of the other folds; above 0 for the side +1.

    With C the covariance of the rows learned from and s its Ledoit-Wolf share, the score of x is
    (x - mean)' ((1 - s) C + s tr(C)/d I)^-1 (mean of +1 - mean of -1), up to a factor, written in inner products.

    Args:
        z: (n, d) features.
        sides: (n, k) of -1 and +1, as many of each in every fold, for k ways to divide the rows.
        fold: (n,) which fold holds a row out.

    Returns:
        (n, k).
    """
    d = z.shape[1]
    z = z.astype(np.float64)
    products = z @ z.T
    out = np.empty(sides.shape)
    for k in np.unique(fold):
        learn, held = np.flatnonzero(fold != k), np.flatnonzero(fold == k)
        # inner products around the mean of the rows learned from
        to_mean = products[:, learn].mean(1)
        centred = products[:, learn] - to_mean[:, None] - to_mean[learn] + to_mean[learn].mean()
        inner, across = centred[learn], centred[held]
        lengths = np.diag(inner).copy()
        share = shrinkage(lengths, float(np.sum(inner**2)), d)
        inner = (1 - share) * inner
        # a little more than nothing, so that copies of rows and rows fewer than features can be solved for
        inner.flat[:: len(learn) + 1] += max(share, 1e-9) * lengths.sum() / d
        out[held] = np.linalg.solve(inner, across.T).T @ sides[learn]
    return out


def proxy_distance(error: float) -> float:
    """2 (1 - 2 error), in 0..2; an error above one half tells nothing apart."""
    return max(0.0, 2 * (1 - 2 * error))
