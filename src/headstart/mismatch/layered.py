"""Whether two sets of rows differ in any of several layers: one test for all of them, right however alike they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from headstart.errors import DataError
from headstart.heads.metrics import wilson
from headstart.heads.space import standardise
from headstart.mismatch import checks
from headstart.mismatch.two_sample import held_out, proxy_distance

FOLDS = 5
LEAST = 2 * FOLDS  # rows of a side below which a fold may hold one row of it


@dataclass(frozen=True)
class Layer:
    """How well one layer's features tell the two sets apart.

    Attributes:
        name: of the layer.
        accuracy: share of held-out rows right; one half without a difference.
        low, high: 95 % of it (Wilson).
        distance: proxy A-distance, 0 (the same) to 2 (always told apart).
        shift: squared difference of the means in variances within a set, mean over features, less what chance gives:
            around 0, and as often below, without a difference.
        p: of this layer alone, by permutation.
    """

    name: str
    accuracy: float
    low: float
    high: float
    distance: float
    shift: float
    p: float


@dataclass(frozen=True)
class Layered:
    """The layers, input first, and the test of all of them.

    Attributes:
        layers: as they were given.
        p: that some layer differs, corrected for their number: below it with a chance of p where none does.
        rows: used of each side.
    """

    layers: tuple[Layer, ...]
    p: float
    rows: int


def layered(
    source: Mapping[str, ArrayLike],
    target: Mapping[str, ArrayLike],
    *,
    seed: int,
    permutations: int = 500,
    most: int = 500,
) -> Layered:
    """Cross-validated shrinkage discriminants on every layer, their answers compared under the same permutations.

    Of each layer the statistic is the correlation of held-out scores with the sides, in deviations of the permutations.
    The largest over the layers is compared with the largest of each permutation, so that layers that say the same
    count once. Constant layers are left out.

    Args:
        source, target: layer -> (n, d) and (m, d), the same rows in each layer, at least LEAST.
        seed: of the rows drawn, the folds and the permutations.
        permutations: 1 / (permutations + 1) is the least p.
        most: rows used of each side; fewer where the other side has fewer.

    Raises:
        DataError: features that cannot be compared, or all layers constant.

    Reference:
        Westfall and Young, Resampling-Based Multiple Testing, 1993, section 2.3 (single-step maximum); the classifier
        is of `two_sample`.
    """
    pairs = {name: checks.pair(source[name], target[name], LEAST) for name in source}
    counts = {(len(a), len(b)) for a, b in pairs.values()}
    if len(counts) != 1 or permutations < 1 or most < LEAST:
        raise DataError(
            f"layers of {sorted(counts)} rows, permutations={permutations} and most={most}; "
            f"give the same rows in every layer, at least 1 permutation and {LEAST} rows."
        )
    n, m = counts.pop()
    count = min(n, m, most)
    draw = np.random.default_rng([seed, 16])
    mine, theirs = draw.permutation(n)[:count], draw.permutation(m)[:count]
    fold = np.tile(np.arange(count) % FOLDS, 2)
    sides = _sides(count, fold, permutations, draw)
    kept: list[str] = []
    found: list[tuple[float, NDArray, float]] = []
    for name, (a, b) in pairs.items():
        a, b = a[mine], b[theirs]
        if not (np.concatenate([a, b]) == a[0]).all():
            kept.append(name)
            found.append((*_answers(a, b, sides, fold), _shift(a, b)))
    if not found:
        raise DataError(
            f"all {2 * count} rows are equal in every layer; give features that differ between rows: "
            "check that the inputs were read and differ."
        )
    return _told(kept, found, count)


def _sides(count: int, fold: NDArray, permutations: int, draw: np.random.Generator) -> NDArray[np.float64]:
    """(2 count, permutations + 1) of -1 and +1: the true sides, and sides permuted within each fold."""
    sides = np.repeat([-1.0, 1.0], count)[:, None].repeat(permutations + 1, axis=1)
    for k in range(FOLDS):
        rows = np.flatnonzero(fold == k)
        sides[rows, 1:] = draw.permuted(sides[rows, 1:], axis=0)
    return sides


def _answers(a: NDArray, b: NDArray, sides: NDArray, fold: NDArray) -> tuple[float, NDArray]:
    """Accuracy, and the (permutations + 1,) correlations of scores and sides."""
    z = standardise(np.concatenate([a, b]))[2]
    scores = held_out(z[:, z.any(0)], sides, fold)
    right = float(np.mean((scores[:, 0] > 0) == (sides[:, 0] > 0)))
    length = np.sqrt(np.einsum("ij,ij->j", scores, scores))
    return right, np.einsum("ij,ij->j", scores, sides) / np.maximum(length, 1e-300)


def _shift(a: NDArray, b: NDArray) -> float:
    a, b = a.astype(np.float64), b.astype(np.float64)
    within = (a.var(0, ddof=1) + b.var(0, ddof=1)) / 2
    moves = within > 1e-12 * np.maximum(1e-30, np.maximum(a.mean(0) ** 2, b.mean(0) ** 2))
    if not moves.any():
        return float("inf")
    squared = (a.mean(0) - b.mean(0))[moves] ** 2 / within[moves]
    return float(squared.mean() - 1 / len(a) - 1 / len(b))


def _told(names: Sequence[str], found: Sequence[tuple[float, NDArray, float]], count: int) -> Layered:
    values = np.stack([values for _, values, _ in found])
    # the true sides are among those that set the scale: only then is each way to divide the rows treated alike
    z = (values - values.mean(1, keepdims=True)) / np.maximum(values.std(1, keepdims=True), 1e-12)
    alone = (1 + np.sum(z[:, 1:] >= z[:, :1], axis=1)) / z.shape[1]
    most = z.max(0)
    layers = []
    for name, (right, _, shift), p in zip(names, found, alone, strict=True):
        low, high = wilson(round(right * 2 * count), 2 * count)
        layers.append(Layer(name, right, low, high, proxy_distance(1 - right), shift, float(p)))
    return Layered(tuple(layers), float((1 + np.sum(most[1:] >= most[0])) / len(most)), count)
