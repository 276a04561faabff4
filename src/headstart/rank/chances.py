"""How sure a choice among several networks is."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def chances(
    scores: NDArray, *, higher: bool = True, beyond: float = 0.0, seed: int = 0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The probability that each network is the best, and what choosing it is expected to cost.

    Args:
        scores: (draws, networks) of a paired bootstrap: a draw's rows are the same for all networks.
        higher: whether higher is better.
        beyond: deviation of what a trained network scores from what was foretold, which no number of rows takes away.
        seed: of that deviation.

    Returns:
        (networks,) probabilities that add up to 1; (networks,) expected regret, at least 0, in units of the score.
    """
    values = np.where(np.isfinite(scores), scores, -np.inf if higher else np.inf) * (1 if higher else -1)
    values = values + beyond * np.random.default_rng([seed, 11]).normal(size=values.shape)
    most = values.max(axis=1, keepdims=True)
    best = values == most
    probability = (best / best.sum(axis=1, keepdims=True)).mean(axis=0)
    lost = np.where(np.isfinite(values), most - values, np.inf)
    return probability, lost.mean(axis=0)


def alike(probability: NDArray, *, surely: float = 0.95) -> NDArray[np.int64]:
    """The fewest networks, likeliest first, among which the best is with this probability."""
    order = np.argsort(-probability, kind="stable")
    enough = int(np.searchsorted(np.cumsum(probability[order]), surely - 1e-12)) + 1
    return order[:enough]
