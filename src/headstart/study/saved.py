"""How many labels a way saves against another: where the other's curve comes to the same score."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def labels_for(score: float, labels: Sequence[int], scores: Sequence[float], *, higher: bool = True) -> float:
    """Labels that a way needs for a score: on its curve, straight lines over the logarithm of the labels.

    Args:
        score: to be reached.
        labels: growing, above 0.
        scores: of the way with so many labels.
        higher: whether higher is better.

    Returns:
        The fewest labels with at least that score; the least of `labels` where that is enough, infinity where even
        the most are not.
    """
    sign = 1.0 if higher else -1.0
    best = np.maximum.accumulate(
        sign * np.asarray(scores, float)
    )  # noise may make a curve fall; what was reached stays
    wanted = sign * score
    if wanted <= best[0]:
        return float(labels[0])
    if wanted > best[-1]:
        return float("inf")
    above = int(np.argmax(best >= wanted))
    low, high = np.log(labels[above - 1]), np.log(labels[above])
    share = (wanted - best[above - 1]) / (best[above] - best[above - 1])
    return float(np.exp(low + share * (high - low)))
