"""Between padded batches, as networks take them, and rows of their own length, as the store keeps them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from headstart.core.stack import State
from headstart.errors import DataError


def trimmed(state: State) -> dict[str, NDArray | list[NDArray]]:
    """Rows without their padding: what goes into a table.

    Args:
        state: tensors (b, t, ...) with a `mask` (b, t) that is true on the first positions of each row, or any
            tensors without a mask, which are kept whole.

    Raises:
        DataError: a mask with a hole, or padding on the left; a length could not stand for it.
    """
    arrays = {name: tensor.numpy() for name, tensor in state.items()}
    if "mask" not in arrays:
        return dict(arrays)
    mask = arrays["mask"].astype(bool)
    lengths = mask.sum(1)
    if not np.array_equal(mask, np.arange(mask.shape[1]) < lengths[:, None]):
        raise DataError("a mask with a hole or with padding on the left was given; pad each row on its right only.")
    return {name: [row[:length] for row, length in zip(array, lengths, strict=True)] for name, array in arrays.items()}


def padded(rows: Mapping[str, Sequence[NDArray] | NDArray]) -> State:
    """A batch out of rows of their own lengths: zeros on the right, the mask false there."""
    if "mask" not in rows:
        return {name: torch.from_numpy(np.stack(list(values))) for name, values in rows.items()}
    longest = max(len(row) for row in rows["mask"])
    state: State = {}
    for name, values in rows.items():
        batch = np.zeros((len(values), longest, *values[0].shape[1:]), values[0].dtype)
        for row, value in enumerate(values):
            batch[row, : len(value)] = value
        state[name] = torch.from_numpy(batch)
    return state
