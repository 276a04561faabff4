"""A linear probe: how well a linear model does on rows that it did not learn from."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from headstart.errors import DataError
from headstart.heads import metrics
from headstart.heads.choose import choose, trials
from headstart.heads.linear import own_folds
from headstart.heads.paths import DiscriminantPath, Path, RidgePath
from headstart.heads.space import space_of
from headstart.rank.checks import METRIC, rows_and_targets


def probe(features: NDArray, labels: NDArray, *, folds: int = 3, seed: int = 0, strength: float | None = None) -> float:
    """Cross-validated score of a linear model in closed form; higher transfers better.

    Shrinkage discriminants for classes and labels, ridge for numbers, on features standardised by all rows.

    Args:
        features: (n, d) float.
        labels: classes (n,) int in 0..c-1, labels (n, c) of 0 and 1, or numbers (n, t) float.
        folds: that the rows are shuffled into, 2..n; classes in proportion, a class of one row always learned from.
        seed: of the shuffle.
        strength: shrinkage in 0..1, or for numbers ridge's penalty above 0 against half the mean squared error in
            units of each target's variance; None lets the same folds choose, which flatters all sources alike.

    Returns:
        Mean over the folds. Classes: share of rows answered right, in 0..1. Labels: area under the ROC curve, mean
        over labels, in 0..1. Numbers: share of the variance explained, mean over targets, at most 1.

    Raises:
        DataError: folds or strength outside their range, arrays that cannot be scored, or rows so few that no fold
            has a score.

    Reference:
        Alain and Bengio, 2016, arXiv:1610.01644 (linear probes); Friedman, 1989, doi:10.1080/01621459.1989.10478752
        (shrinkage discriminants).
    """
    x, y, task = rows_and_targets(features, labels)
    _check(folds, strength, len(x), task)
    c = int(y.max()) + 1 if task == "classes" else y.shape[1]
    parts = own_folds(y, seed, folds)
    space, metric = space_of(x, c), METRIC[task]
    path: Path = RidgePath(space, y, parts) if task == "numbers" else DiscriminantPath(space, y, parts, c, False)
    if strength is None:
        value = choose(trials(path, y, parts, task=task, metric=metric, c=c, balance=False), metric).value
    else:
        held = zip(path.held_out(strength), parts, strict=True)
        values = np.array([metrics.score(metric, out, y[test], task) for out, (_, test) in held])
        known = values[np.isfinite(values)]
        value = float(known.mean()) if len(known) else float("nan")
    if not np.isfinite(value):
        raise DataError(f"no fold of {len(x)} rows has a score; give more rows, or fewer than {folds} folds.")
    return value


def _check(folds: int, strength: float | None, n: int, task: str) -> None:
    if not 2 <= folds <= n:
        raise DataError(f"folds={folds} is outside 2..{n}; give at least 2 and at most one per row.")
    if strength is None:
        return
    if task == "numbers" and not strength > 0:
        raise DataError(f"strength={strength} is not above 0; give ridge's penalty, or None to have it chosen.")
    if task != "numbers" and not 0 <= strength <= 1:
        raise DataError(f"strength={strength} is outside 0..1; give a shrinkage, or None to have it chosen.")
