"""Statistics stored in a network's batch norms against those of the target, layer by layer.

What a network saw is gone, but each batch norm keeps the mean and variance of its channels: the only trace of the
pretraining data that comes with the weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import digamma, polygamma

from headstart.errors import DataError
from headstart.mismatch import checks


@dataclass(frozen=True)
class Moved:
    """How far the channels of one layer have moved, each a mean over channels, less what chance alone would give.

    Without a difference they scatter around 0 and may fall below it.

    Attributes:
        shift: squared change of the mean, in stored variances.
        scale: squared log of the ratio of variances.
        distance: symmetric Kullback-Leibler divergence of the channel's Gaussians, both directions added, in nats.
        channels: of the layer.
    """

    shift: float
    scale: float
    distance: float
    channels: int


@dataclass(frozen=True)
class Depths:
    """Mean distance of the layers in each third of the network, input first.

    Attributes:
        first, middle, last: means of `Moved.distance`.
        where: name of the third that is farthest: first for mismatch of the input, last for that of meaning.
    """

    first: float
    middle: float
    last: float
    where: str


def moved(
    mean: ArrayLike,
    var: ArrayLike,
    target_mean: ArrayLike,
    target_var: ArrayLike,
    *,
    count: float,
    eps: float = 1e-5,
) -> Moved:
    """How far the target's channels are from the stored statistics of one batch norm.

    The corrections are exact in expectation for Gaussian activations whose variance is well above `eps`. Places of
    one map are alike, so `count` is nearer to the number of examples than to that of places.

    Args:
        mean, var: (c,) running mean and variance as stored.
        target_mean, target_var: (c,) of the target's activations before the norm, the variance unbiased.
        count: independent values behind each target mean, above 3.
        eps: of the norm: variances far below it make no difference to the network, and none here.

    Raises:
        DataError: shapes that do not fit, values that are not finite, negative variances, or too small a count.
    """
    stored, v, seen, u = _channels(mean, var, target_mean, target_var)
    if not count > 3 or not eps > 0:
        raise DataError(f"count={count} and eps={eps}; give a count above 3 and an eps above 0.")
    free = count - 1
    alive = u / (u + eps)  # share of the variance that is not eps, and so is noisy
    v, u, noise = v + eps, u + eps, u / count
    square = (seen - stored) ** 2
    shift = (square - noise) / v
    # log of a sample variance: biased and noisy as the log of a chi square over its degrees of freedom
    bias = alive**2 * (digamma(free / 2) - np.log(free / 2))
    scale = (np.log(u / v) - bias) ** 2 - alive**2 * polygamma(1, free / 2)
    inverse = 1 - 2 * alive**2 / free  # the mean of 1 / chi square is 1 / (free - 2)
    distance = (u / v + inverse * v / u - 2 + shift + inverse * square / u - alive / count) / 2
    return Moved(float(shift.mean()), float(scale.mean()), float(distance.mean()), len(v))


def by_depth(layers: Sequence[Moved]) -> Depths:
    """Where in the network the mismatch is.

    Args:
        layers: of one network, input first, at least three.

    Raises:
        DataError: fewer than three layers.
    """
    if len(layers) < 3:
        raise DataError(f"{len(layers)} layers were given; give at least 3, so that each third has one.")
    thirds = np.array_split([layer.distance for layer in layers], 3)
    first, middle, last = (float(part.mean()) for part in thirds)
    where = ("first", "middle", "last")[int(np.argmax([first, middle, last]))]
    return Depths(first, middle, last, where)


def _channels(mean: ArrayLike, var: ArrayLike, target_mean: ArrayLike, target_var: ArrayLike) -> list[NDArray]:
    given = {"mean": mean, "var": var, "target_mean": target_mean, "target_var": target_var}
    parts = {name: checks.numbers(part, name).astype(np.float64) for name, part in given.items()}
    shapes = {name: part.shape for name, part in parts.items()}
    if len(set(shapes.values())) > 1 or len(shapes["mean"]) != 1 or not parts["mean"].size:
        seen = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise DataError(f"the statistics have the shapes {seen}; give one number per channel in each.")
    for name in ("var", "target_var"):
        if parts[name].min() < 0:
            raise DataError(f"{name} has {parts[name].min():.4g} as its least; give variances of at least 0.")
    return list(parts.values())
