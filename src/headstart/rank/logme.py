"""LogME: the evidence of labels under a Bayesian linear model."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from headstart.rank.checks import one_hot, rows_and_targets
from headstart.rank.spectrum import spectrum

_STEPS = 200
_TOLERANCE = 1e-5  # relative change of the ratio of precisions; the evidence is flat there, so its error is far less


def logme(features: NDArray, labels: NDArray) -> float:
    """Log evidence per row of a Bayesian linear model on the features as they are; higher transfers better.

    Per target y: y = F w + noise, w ~ N(0, I / alpha), noise ~ N(0, I / beta), at the alpha and beta of most
    evidence. Classes become 0 and 1 columns; there is no bias. Comparable between sources on the same rows only.

    Args:
        features: (n, d) float, not normalised.
        labels: classes (n,) int in 0..c-1, labels (n, c) of 0 and 1, or numbers (n, t) float.

    Returns:
        Mean over classes, labels or numbers, in nats per row; any sign.

    Raises:
        DataError: arrays that cannot be scored.

    Reference:
        You et al., 2021, arXiv:2102.11005, equation 2 and Algorithm 1; You et al., 2021, arXiv:2110.10545,
        Algorithm 3 (fixed point after one decomposition).
    """
    x, y, task = rows_and_targets(features, labels)
    target = one_hot(y) if task == "classes" else y
    values, vectors = spectrum(x)
    along = (vectors.T @ target) ** 2
    # what no direction of the features reaches; rounding must not make it negative
    beyond = np.maximum((target**2).sum(0) - along.sum(0), 0)
    ratio = _ratio(values, along, beyond, len(x))
    return float(_evidence(ratio, values, along, beyond, len(x)).mean()) / len(x)


def _ratio(values: NDArray, along: NDArray, beyond: NDArray, n: int) -> NDArray[np.float64]:
    """(t,) alpha / beta per target, by MacKay's fixed point from alpha = beta.

    gamma = sum s^2 / (s^2 + ratio), alpha = gamma / |m|^2, beta = (n - gamma) / |F m - y|^2, m the mean of w. The
    ratio stays within 1e-12 and 1e12 of the mean squared singular value: labels without noise ask for 0, labels
    without signal for infinity, and the evidence has a limit at both.
    """
    level = float(values.mean())
    ratio = np.ones(along.shape[1])
    todo = np.arange(along.shape[1])
    for _ in range(_STEPS):
        now = ratio[todo]
        total = values[:, None] + now
        effective = (values[:, None] / total).sum(0)
        length = (values[:, None] * along[:, todo] / total**2).sum(0)
        error = (along[:, todo] * (now / total) ** 2).sum(0) + beyond[todo]
        left = np.maximum(n - effective, 1e-300)
        new = np.clip(effective * error / np.maximum(left * length, 1e-300), 1e-12 * level, 1e12 * level)
        ratio[todo] = new
        todo = todo[np.abs(new - now) > _TOLERANCE * now]
        if not len(todo):
            break
    return ratio


def _evidence(ratio: NDArray, values: NDArray, along: NDArray, beyond: NDArray, n: int) -> NDArray[np.float64]:
    """(t,) log p(y) at these ratios, with the noise of most evidence: y ~ N(0, (I + F F' / ratio) / beta)."""
    total = values[:, None] + ratio
    error = (along * ratio / total).sum(0) + beyond
    noise = np.maximum(error, 1e-300) / n
    return -0.5 * (n * np.log(2 * np.pi * noise) + n + np.log1p(values[:, None] / ratio).sum(0))
