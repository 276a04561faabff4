"""One number that makes scores into honest probabilities."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from headstart.heads.logistic import ABSENT, sigmoid, softmax

_WIDEST = 8.0  # of |log temperature|


def temperature(scores: NDArray, y: NDArray, task: str, weight: NDArray | None = None) -> tuple[float, float]:
    """The temperature at which scores / temperature has the least log loss, and that log loss.

    The loss is convex in 1 / temperature, so its slope crosses 0 once: bisection with Newton steps. One row in n + 1
    counts as of unknown class (Platt's smoothing), so that n rows without a mistake are not taken for certainty.

    Args:
        scores: (n, c) of rows that the scores were not fitted on.
        y: (n,) int64 classes, or (n, c) of 0 and 1.
        task: classes or labels.
        weight: (n,), for labels (n, c); None weighs all alike.

    Returns:
        The temperature, in exp(-8)..exp(8), and the mean loss in nats per row (per answer for labels).

    Reference:
        Guo et al., 2017, arXiv:1706.04599, section 4.2; Platt, 1999, Probabilistic outputs for support vector
        machines, section 2.2.
    """
    if not len(scores):
        return 1.0, float("nan")
    z = np.asarray(scores, np.float64)
    shape = z.shape if task == "labels" else (len(z),)
    share = np.ones(shape) if weight is None else np.broadcast_to(weight, shape)
    share = share / share.sum()
    unknown = 1 / (len(z) + 1)
    if task == "labels":
        truth = y * (1 - unknown) + unknown / 2
        right = truth * z
    else:
        there = z > ABSENT / 2
        right = (1 - unknown) * z[np.arange(len(z)), y] + unknown * np.where(there, z, 0).sum(1) / np.maximum(
            there.sum(1), 1
        )
    low, high = -_WIDEST, _WIDEST
    at = 0.0
    for _ in range(60):
        _, slope, bend = _loss(z, right, task, share, np.exp(-at))
        low, high = (at, high) if slope > 0 else (low, at)  # a positive slope by 1/t asks for a larger t
        # by log t: the slope is -slope/t, its own derivative (bend/t + slope)/t
        newton = at + slope / max(bend * np.exp(-at) + slope, 1e-12)
        before, at = at, newton if low < newton < high else (low + high) / 2
        if abs(at - before) < 1e-7:
            break
    return float(np.exp(at)), _loss(z, right, task, share, np.exp(-at))[0]


def _loss(z: NDArray, right: NDArray, task: str, share: NDArray, beta: float) -> tuple[float, float, float]:
    """Mean log loss of beta * z, its slope and its bend by beta; `right` is the score of the truth."""
    hot = beta * z
    if task == "labels":
        p = sigmoid(hot)
        loss, slope, bend = np.logaddexp(0, hot) - beta * right, p * z - right, p * (1 - p) * z * z
        return float((share * loss).sum()), float((share * slope).sum()), float((share * bend).sum())
    p = softmax(hot)
    mean = np.einsum("nc,nc->n", p, z)
    # log of the sum of exponentials, from the share of the largest, which is 1 / that sum
    loss = hot.max(1) - np.log(p.max(1)) - beta * right
    spread = np.einsum("nc,nc,nc->n", p, z, z) - mean**2
    return float(share @ loss), float(share @ (mean - right)), float(share @ np.maximum(spread, 0))
