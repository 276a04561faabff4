"""A fixed, ordered, fingerprinted set of inputs and targets, read lazily."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from headstart.errors import DataError

Arrays = dict[str, NDArray]
Read = Callable[[NDArray[np.int64]], Arrays]


@dataclass(frozen=True)
class Examples:
    """A fixed, ordered set of examples that knows what it is.

    Attributes:
        keys: one hex digest per example, of its content as prepared; equal keys mean equal inputs.
        read: rows (positions, int64) -> named batch-first arrays for those rows, in that order.
        y: (n, ...) targets, or None where there are none.
        random: what `read` draws a new view from at each call, where it does; such examples are never stored, and a
            checkpoint keeps the state of this generator.
        views: further fixed views of the same examples, each like `read`; training draws one of all views per row.
        lengths: (n,) of ragged examples; training then batches like lengths together.

    Raises:
        DataError: there are as many targets as examples only if the lengths agree.
    """

    keys: tuple[str, ...]
    read: Read
    y: NDArray | None = None
    random: np.random.Generator | None = None
    views: tuple[Read, ...] = ()
    lengths: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        if self.y is not None and len(self.y) != len(self.keys):
            raise DataError(
                f"{len(self.keys)} inputs and {len(self.y)} targets were given; pass one target for each input."
            )

    def __len__(self) -> int:
        return len(self.keys)

    @cached_property
    def fingerprint(self) -> str:
        """sha256 of the inputs in their order, and of the targets."""
        digest = hashlib.sha256("\n".join(self.keys).encode())
        if self.y is not None:
            digest.update(f"{self.y.dtype}:{self.y.shape}".encode())
            digest.update(np.ascontiguousarray(self.y).tobytes())
        return digest.hexdigest()

    def take(self, rows: Sequence[int] | NDArray[np.int64]) -> Examples:
        """The examples at these positions, in this order."""
        chosen = np.asarray(rows, dtype=np.int64)
        return Examples(
            tuple(self.keys[row] for row in chosen),
            _of(self.read, chosen),
            None if self.y is None else self.y[chosen],
            self.random,
            tuple(_of(view, chosen) for view in self.views),
            None if self.lengths is None else self.lengths[chosen],
        )


def _of(read: Read, chosen: NDArray[np.int64]) -> Read:
    return lambda rows: read(chosen[rows])


def from_arrays(x: NDArray | Arrays, y: NDArray | None = None, *, preparation: str = "") -> Examples:
    """Examples held in memory.

    Args:
        x: (n, ...) inputs, taken as `h`, or several named arrays of n rows each.
        y: (n, ...) targets.
        preparation: what was done to the inputs; part of every key, so that another preparation of the
            same bytes is another example.

    Raises:
        DataError: arrays of different lengths.
    """
    arrays = x if isinstance(x, dict) else {"h": x}
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) != 1:
        raise DataError(f"the inputs have {lengths} rows; pass arrays of one length, one row per example.")
    keys = tuple(
        _key(preparation, [array[row] for array in arrays.values()]) for row in range(len(next(iter(arrays.values()))))
    )
    return Examples(keys, lambda rows: {name: array[rows] for name, array in arrays.items()}, y)


def _key(preparation: str, row: list[NDArray]) -> str:
    digest = hashlib.sha256(preparation.encode())
    for array in row:
        digest.update(f"|{array.dtype}:{array.shape}|".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
