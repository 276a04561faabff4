"""One head in place of several of the same kind: the mean of what they compute."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from headstart.errors import DataError
from headstart.heads.linear import Linear


def average(heads: Sequence[Linear]) -> Linear:
    """The head whose scores, each divided by its temperature, are the mean of those of these heads.

    Each head is s_i(x) = ((x - m_i) / d_i) W_i + b_i, so the mean of s_i / t_i is linear in x with the slope
    A = mean(W_i / d_i / t_i). It is written around the mean m and the deviation d of rows of all heads in equal shares,
    d^2 = mean(d_i^2 + (m_i - m)^2), as W = t d A and b = t mean((b_i + ((m - m_i) / d_i) W_i) / t_i), t the mean of
    t_i. For inputs that no head clips this is exact; beyond, inputs are clipped at the largest limit of the heads, in
    deviations d. The mean of logits is the geometric mean of the probabilities, scaled to sum to 1.

    Args:
        heads: at least one; of one task, with the same features and the same classes in the same order.

    Raises:
        DataError: heads of different tasks or shapes.

    Reference:
        Wortsman et al., 2022, arXiv:2203.05482, section 2 (uniform soups), for the head alone.
    """
    kinds = {(head.task, head.weight.shape) for head in heads}
    if len(kinds) != 1:
        raise DataError(f"heads of {len(kinds)} kinds cannot be averaged ({sorted(kinds)}); give heads of one kind.")
    means, scales, weights, biases = (
        np.stack([np.asarray(part, np.float64) for part in parts])
        for parts in zip(*((head.mean, head.scale, head.weight, head.bias) for head in heads), strict=True)
    )
    hot = np.array([head.temperature for head in heads])
    temperature = float(hot.mean())
    share = (temperature / hot)[:, None]
    mean = means.mean(0)
    scale = np.sqrt((scales**2 + (means - mean) ** 2).mean(0))
    slope = (share[:, :, None] * weights / scales[:, :, None]).mean(0)
    shift = np.einsum("nd,ndc->nc", (mean - means) / scales, weights)
    first, limit = heads[0], max(head.limit for head in heads)
    return Linear(
        mean.astype(first.mean.dtype),
        scale.astype(first.scale.dtype),
        (scale[:, None] * slope).astype(first.weight.dtype, order="C"),
        (share * (biases + shift)).mean(0),
        temperature,
        first.task,
        limit,
    )


def ordered(head: Linear, columns: Sequence[int]) -> Linear:
    """The head with these of its columns, in this order."""
    wanted = list(columns)
    weight = np.ascontiguousarray(head.weight[:, wanted])  # in one order, products round in one way
    return Linear(head.mean, head.scale, weight, head.bias[wanted], head.temperature, head.task, head.limit)
