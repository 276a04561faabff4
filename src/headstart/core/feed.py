"""What enters the first learning block: rows in random batches, stored or computed, and further sets beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from headstart.core.evaluate import device_of, evaluating, run_held
from headstart.core.examples import Arrays, Examples, Read
from headstart.core.ragged import padded, trimmed
from headstart.core.stack import Stack, State
from headstart.core.step import Drawn
from headstart.core.store import Address, Store, Table
from headstart.errors import DataError, StoreError

Rows = NDArray[np.int64]


class Prefix(Protocol):
    """Held blocks as a fast engine runs them: raw arrays in, what crosses the cut out, as the store takes it.

    The properties are the store's address of what it computes.
    """

    @property
    def weights(self) -> str: ...
    @property
    def preparation(self) -> str: ...
    @property
    def engine(self) -> str: ...
    @property
    def precision(self) -> str: ...
    @property
    def store_dtype(self) -> str: ...
    def __call__(self, arrays: Arrays) -> Mapping[str, NDArray | Sequence[NDArray]]: ...


@dataclass(frozen=True)
class Feed:
    """Examples as the first learning block gets them: from the tables, one per view, or computed where there are none.

    Attributes:
        stack: whose held blocks run.
        data: the examples.
        cut: number of held blocks.
        tables: of their outputs.
        y: targets, on the stack's device; None where there are none.
    """

    stack: Stack
    data: Examples
    cut: int
    tables: tuple[Table, ...]
    y: Tensor | None

    def __call__(self, rows: Rows, draw: np.random.Generator) -> Drawn:
        """These rows, each in a view of its own."""
        y = None if self.y is None else self.y[torch.from_numpy(rows).to(self.y.device)]
        return Drawn(self._state(rows, draw), y, rows)

    def _state(self, rows: Rows, draw: np.random.Generator) -> State:
        reads = (self.data.read, *self.data.views)
        # no draw where there is one view: its order of batches is then the same as without views
        views = draw.integers(len(reads), size=len(rows)) if len(reads) > 1 else np.zeros(len(rows), np.int64)
        if not self.tables:
            return run_held(self.stack, _of_views(reads, rows, views), self.cut)
        parts = [self.tables[view].read([self.data.keys[row]]) for view, row in zip(views, rows, strict=True)]
        state = padded({name: [part[name][0] for part in parts] for name in parts[0]})
        device = device_of(self.stack)
        return {name: t.to(device, torch.float32 if t.is_floating_point() else t.dtype) for name, t in state.items()}


def feed(stack: Stack, data: Examples, cut: int, store: Store | None = None, prefix: Prefix | None = None) -> Feed:
    """The examples for a stack of which blocks [0, cut) are held; what the store lacks is computed here."""
    tables: tuple[Table, ...] = ()
    if store is not None and cut:
        tables = tuple(fill(store, stack, data, cut, view=view, prefix=prefix) for view in range(1 + len(data.views)))
    y = None if data.y is None else torch.from_numpy(np.ascontiguousarray(data.y)).to(device_of(stack))
    return Feed(stack, data, cut, tables, y)


class Order:
    """The batches of one pass after another, and where in them a run is.

    Args:
        data: the examples; like lengths go together.
        batch: rows of a batch.
        draw: of the order.
    """

    def __init__(self, data: Examples, batch: int, draw: np.random.Generator) -> None:
        self._data, self._batch, self._draw = data, batch, draw
        self._parts: list[Rows] = []
        self.place = 0

    @property
    def steps(self) -> int:
        """Batches of a pass."""
        return max(1, -(-len(self._data) // self._batch))

    def next(self) -> Rows:
        """The rows of the next batch; a pass that is over is followed by another in a new order."""
        if self.place == len(self._parts):
            self._parts = batches(len(self._data), self._batch, self._draw, self._data.lengths)
            self.place = 0
        self.place += 1
        return self._parts[self.place - 1]

    def state(self) -> dict[str, Any]:
        """Everything that `restore` needs, as JSON."""
        parts = [part.tolist() for part in self._parts]
        return {"parts": parts, "place": self.place, "draw": self._draw.bit_generator.state}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on where that state was taken."""
        self._parts = [np.array(part, np.int64) for part in state["parts"]]
        self.place = state["place"]
        self._draw.bit_generator.state = state["draw"]


class Beside:
    """Random batches of the sets beside the training examples: every row of a set once, then in a new order.

    Each set has a generator of its own, so that the order of the training examples is that of a run without it.
    """

    def __init__(self, sets: Mapping[str, Feed], batch: int, seed: int) -> None:
        self._feeds = dict(sorted(sets.items()))
        self._draws = {name: np.random.default_rng([seed, 4, place]) for place, name in enumerate(self._feeds)}
        self._orders = {name: Order(each.data, batch, self._draws[name]) for name, each in self._feeds.items()}

    def __call__(self, name: str) -> Drawn:
        """The next batch of this set."""
        if name not in self._feeds:
            there = ", ".join(self._feeds) or "none"
            raise DataError(
                f"a penalty draws rows of {name!r} and the sets beside are: {there}; "
                f"pass beside={{{name!r}: examples}} to fit."
            )
        if not len(self._feeds[name].data):
            raise DataError("a set beside the training examples has 0 rows; give at least one, or leave the set out.")
        return self._feeds[name](self._orders[name].next(), self._draws[name])

    def state(self) -> dict[str, Any]:
        """Everything that `restore` needs, as JSON."""
        return {name: order.state() for name, order in self._orders.items()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on where that state was taken."""
        for name, order in self._orders.items():
            order.restore(state[name])


def batches(n: int, batch: int, draw: np.random.Generator, lengths: Rows | None = None) -> list[Rows]:
    """Every row once, in random batches of nearly equal size.

    Args:
        lengths: (n,) of ragged rows; each batch then holds rows of like length out of a random pool of many
            batches, and the batches come in random order: little padding, and still other company in each epoch.
    """
    order = draw.permutation(n)
    if lengths is not None:
        pool = 16 * batch
        pools = [order[start : start + pool] for start in range(0, n, pool)]
        order = np.concatenate([rows[np.argsort(lengths[rows], kind="stable")] for rows in pools])
    parts = np.array_split(order, max(1, -(-n // batch)))
    return parts if lengths is None else [parts[index] for index in draw.permutation(len(parts))]


def fill(
    store: Store,
    stack: Stack,
    data: Examples,
    cut: int,
    *,
    view: int = 0,
    prefix: Prefix | None = None,
    chunk: int = 256,
) -> Table:
    """The table of blocks [0, cut) with a row for every example; computes what is missing, chunk by chunk.

    Args:
        view: 0 is `data.read`, further ones are `data.views`.

    Raises:
        StoreError: examples that draw random views, or a disk that refuses.
    """
    if data.random is not None:
        raise StoreError(
            "these examples draw a new random view at each read, and a stored row would freeze one view for ever. "
            "Pass store=None, or make a fixed set of views first."
        )
    read = (data.read, *data.views)[view]
    if prefix is None:
        address = Address(stack.fingerprint(cut), cut, view=view)
    else:
        address = Address(
            prefix.weights, cut, prefix.preparation, view, prefix.engine, prefix.precision, prefix.store_dtype
        )
    table = store.table(address)
    missing = table.missing(data.keys)
    with evaluating(stack):
        for start in range(0, len(missing), chunk):
            rows = missing[start : start + chunk]
            state = prefix(read(rows)) if prefix else trimmed(_on_cpu(run_held(stack, read(rows), cut)))
            table.write([data.keys[row] for row in rows], state)
    return table


def _of_views(reads: Sequence[Read], rows: Rows, views: Rows) -> Arrays:
    """The inputs of these rows, each in its view, in their order."""
    if len(reads) == 1:
        return reads[0](rows)
    parts = [reads[view](rows[views == view]) for view in np.unique(views)]
    place = np.argsort(np.argsort(views, kind="stable"), kind="stable")
    return {name: np.concatenate([part[name] for part in parts])[place] for name in parts[0]}


def _on_cpu(state: State) -> State:
    return {name: tensor.cpu() for name, tensor in state.items()}
