"""Learned blocks of several skills averaged, value by value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from headstart.errors import SkillError


def soup(tails: Sequence[Mapping[str, NDArray]]) -> dict[str, NDArray]:
    """The mean of tails that began at the same weights; of counters the largest.

    What the paper finds of whole networks: where fine-tuned weights lie in one basin, their mean does about as well as
    the best of them, and often better on other data. Nothing ensures it for these: measure. Statistics of batch norms
    are averaged too, which is only about what the averaged network would have.

    Args:
        tails: TAIL + parameter name -> values; at least one, all with the same names and shapes.

    Raises:
        SkillError: other tails.

    Reference:
        Wortsman et al., 2022, arXiv:2203.05482, section 2 (the uniform soup).
    """
    shapes = [{name: values.shape for name, values in tail.items()} for tail in tails]
    if any(shape != shapes[0] for shape in shapes):
        raise SkillError("tails that learned other blocks, or of another network, cannot be averaged; use --stack.")
    return {name: _mean([tail[name] for tail in tails]) for name in tails[0]}


def _mean(values: Sequence[NDArray]) -> NDArray:
    if values[0].dtype.kind != "f":
        return np.maximum.reduce(list(values))
    return np.mean([np.asarray(each, np.float64) for each in values], axis=0).astype(values[0].dtype)
