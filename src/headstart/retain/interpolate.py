"""Weights between those before and those after training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from headstart.errors import DataError

Values = TypeVar("Values", NDArray, Tensor)


def between(old: Mapping[str, Values], new: Mapping[str, Values], share: float) -> dict[str, Values]:
    """(1 - share) * old + share * new, name by name; share 0 gives old and share 1 gives new, bit for bit.

    Only weights of one origin may be mixed: new must have been trained from old. Statistics of batch norms are mixed
    like weights. In between, what is no floating number (counters) is that of new.

    Args:
        old, new: by name, the same names and shapes.
        share: of the new, 0..1.

    Raises:
        DataError: other names or shapes on one side, or a share outside of 0..1.

    Reference:
        Wortsman et al., 2022, arXiv:2109.01903, equation 1.
    """
    if not 0 <= share <= 1:
        raise DataError(f"share={share} is outside 0..1; 0 keeps the old weights, 1 takes the new ones.")
    return average([old, new], [1 - share, share])


def average(many: Sequence[Mapping[str, Values]], weights: Sequence[float] | None = None) -> dict[str, Values]:
    """The mean of several sets of weights, name by name, computed in double precision.

    What is no floating number is that of the last set. A set of weight 0 does not count at all.

    Args:
        many: by name, the same names and shapes.
        weights: of each set, at least 0; brought to sum 1. None is equal weights.

    Raises:
        DataError: no sets, other names or shapes in one of them, or weights of which none is above 0.

    Reference:
        Wortsman et al., 2022, arXiv:2203.05482, section 2 (uniform soup).
    """
    shares = np.ones(len(many)) if weights is None else np.asarray(weights, np.float64)
    if len(shares) != len(many) or not np.isfinite(shares).all() or (shares < 0).any() or not shares.any():
        raise DataError(
            f"{len(many)} sets of weights and the shares {shares.tolist()} were given; give at least one set, and for "
            "each a share of at least 0, not all of them 0."
        )
    for each in many[1:]:
        _refuse_others(many[0], each)
    kept = [(each, share / shares.sum()) for each, share in zip(many, shares, strict=True) if share]
    if len(kept) == 1:
        return {name: _copy(values) for name, values in kept[0][0].items()}
    return {name: _mean([each[name] for each, _ in kept], [share for _, share in kept]) for name in many[0]}


def _refuse_others(one: Mapping[str, Values], other: Mapping[str, Values]) -> None:
    odd = sorted(one.keys() ^ other.keys())
    if odd:
        raise DataError(f"{', '.join(odd[:3])} are in one set of weights only; mix weights of one network.")
    for name, values in one.items():
        if values.shape != other[name].shape:
            raise DataError(
                f"{name} has the shapes {tuple(values.shape)} and {tuple(other[name].shape)}; mix weights of one "
                "network, heads of other classes left out."
            )


def _copy(values: Values) -> Values:
    return values.detach().clone() if isinstance(values, Tensor) else values.copy()


def _mean(parts: Sequence[Values], shares: Sequence[float]) -> Values:
    last = parts[-1]
    if isinstance(last, Tensor):
        if not last.is_floating_point():
            return last.detach().clone()
        tensors = torch.stack([torch.as_tensor(part).detach().double() for part in parts])
        return torch.tensordot(tensors.new_tensor(shares), tensors, 1).to(last.dtype)
    if not np.issubdtype(last.dtype, np.floating):
        return last.copy()
    return np.tensordot(shares, np.stack([np.asarray(part, np.float64) for part in parts]), 1).astype(last.dtype)
