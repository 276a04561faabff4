"""What the held blocks output, computed once and kept on disk under the content that decided it.

A table is a folder of chunks. A chunk is one `.npy` per tensor and a JSON file with its row keys, written last
and renamed into place: a chunk without it does not exist for a reader. Chunks have random names and never change,
so that two processes that fill one table write the same rows twice at worst, and a killed one leaves whole chunks.
"""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from headstart.errors import StoreError

CHUNKS = "*.json"


@dataclass(frozen=True)
class Address:
    """Everything that a stored row depends on, beside the example itself.

    Attributes:
        weights: fingerprint of blocks [0, cut).
        cut: number of blocks that were run.
        preparation: of the input, with its decoder, as the source card words it.
        view: which fixed view of each example; 0 is the plain one.
        engine: what computed it, with its version.
        compute_dtype: number format of the computation.
        store_dtype: number format on disk, a numpy name.
    """

    weights: str
    cut: int
    preparation: str = ""
    view: int = 0
    engine: str = "eager"
    compute_dtype: str = "float32"
    store_dtype: str = "float32"

    @property
    def digest(self) -> str:
        """sha256 of all fields."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Store:
    """Tables of activations under one folder."""

    root: Path

    def table(self, address: Address) -> Table:
        """The table at this address, as it is on disk now; empty where there is none."""
        return Table(self.root / address.digest, np.dtype(address.store_dtype), address)


class Table:
    """Rows of named tensors, one row per example key; rows may be ragged in their first dimension."""

    def __init__(self, folder: Path, dtype: np.dtype, address: Address) -> None:
        self.folder = folder
        self.dtype = dtype
        self.address = address
        self._where: dict[str, tuple[str, int]] = {}
        self._chunks: dict[str, dict] = {}
        self._maps: dict[tuple[str, str], NDArray] = {}
        self._refresh()
        if self._chunks:
            with suppress(OSError):  # a cache that may not be written can still be read
                os.utime(folder)  # the folder's time is when the table was last used: the longest unused go first

    def __len__(self) -> int:
        return len(self._where)

    def has(self, keys: Sequence[str]) -> bool:
        """Whether every one of these rows can be read; what other processes wrote meanwhile is not looked for."""
        return all(key in self._where for key in keys)

    def missing(self, keys: Sequence[str]) -> NDArray[np.int64]:
        """Positions in `keys` whose rows are not on disk, each key once."""
        self._refresh()
        absent = {key: row for row, key in reversed(list(enumerate(keys))) if key not in self._where}
        return np.array(sorted(absent.values()), dtype=np.int64)

    def write(self, keys: Sequence[str], tensors: Mapping[str, Sequence[NDArray] | NDArray]) -> None:
        """Add a chunk of rows; nothing of it is seen by a reader before all of it is on disk.

        Args:
            keys: of the rows, in order.
            tensors: name -> (n, ...) array, or n arrays that differ in their first dimension only.

        Raises:
            StoreError: the disk refused; what was written of the chunk is removed.
        """
        name = uuid.uuid4().hex
        index: dict = {"address": asdict(self.address), "keys": list(keys), "tensors": {}, "sha256": {}}
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            for tensor, rows in tensors.items():
                index["tensors"][tensor] = self._write_tensor(name, tensor, rows)
                index["sha256"][tensor] = sha256(self.folder / f"{name}.{tensor}.npy")
            partial = self.folder / f"{name}.partial"
            with partial.open("w") as file:
                json.dump(index, file)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(self.folder / f"{name}.json")
        except OSError as error:
            for left in self.folder.glob(f"{name}.*"):
                left.unlink(missing_ok=True)
            raise StoreError(
                f"writing {len(keys)} rows to {self.folder} failed: {error.strerror or error}. "
                "Free space there or choose another cache folder, then start again: what was complete is kept."
            ) from error
        self._add(name, index)

    def read(self, keys: Sequence[str]) -> dict[str, list[NDArray]]:
        """name -> one array per key, in order; views of the memory map, not copies.

        Raises:
            StoreError: a key that is not in the table.
        """
        try:
            places = [self._where[key] for key in keys]
        except KeyError as error:
            raise self._absent(error.args[0]) from None
        names = self._chunks[places[0][0]]["tensors"] if places else {}
        return {tensor: [self._row(chunk, tensor, row) for chunk, row in places] for tensor in names}

    def matrix(self, keys: Sequence[str], tensor: str) -> NDArray:
        """(n, ...) array of one tensor, a row per key in order: a copy, read chunk by chunk so that no more than
        one chunk of the map is in memory beside it.

        Raises:
            StoreError: a key that is not in the table.
        """
        by_chunk: dict[str, tuple[list[int], list[int]]] = {}
        for place, key in enumerate(keys):
            if key not in self._where:
                raise self._absent(key)
            chunk, row = self._where[key]
            places, rows = by_chunk.setdefault(chunk, ([], []))
            places.append(place)
            rows.append(row)
        out: NDArray | None = None
        for chunk, (places, rows) in by_chunk.items():
            flat = self._open(chunk, tensor)  # not kept: its pages would stay in memory
            if out is None:
                out = np.empty((len(keys), *flat.shape[1:]), flat.dtype)
            out[places] = flat[rows]
        return np.empty((0,), self.dtype) if out is None else out

    def _absent(self, key: str) -> StoreError:
        return StoreError(
            f"row {key!r} is not among the {len(self)} rows of {self.folder}; write what missing() lists first."
        )

    def _write_tensor(self, name: str, tensor: str, rows: Sequence[NDArray] | NDArray) -> list[int] | None:
        ragged = not isinstance(rows, np.ndarray)
        flat = np.concatenate(list(rows)) if ragged else rows
        with (self.folder / f"{name}.{tensor}.npy").open("wb") as file:
            np.save(file, flat.astype(self.dtype, copy=False) if flat.dtype.kind == "f" else flat)
            file.flush()
            os.fsync(file.fileno())
        return np.cumsum([0, *(len(row) for row in rows)]).tolist() if ragged else None

    def _row(self, chunk: str, tensor: str, row: int) -> NDArray:
        offsets = self._chunks[chunk]["tensors"][tensor]
        flat = self._map(chunk, tensor)
        return flat[row] if offsets is None else flat[offsets[row] : offsets[row + 1]]

    def _map(self, chunk: str, tensor: str) -> NDArray:
        if (chunk, tensor) not in self._maps:
            self._maps[chunk, tensor] = self._open(chunk, tensor)
        return self._maps[chunk, tensor]

    def _open(self, chunk: str, tensor: str) -> NDArray:
        path = self.folder / f"{chunk}.{tensor}.npy"
        try:
            return np.load(path, mmap_mode="r")
        except (OSError, ValueError) as error:
            raise StoreError(
                f"stored outputs cannot be read any more ({path}: {error}): they were removed or damaged meanwhile; "
                "start again, what is missing is computed anew."
            ) from None

    def _refresh(self) -> None:
        for path in sorted(self.folder.glob(CHUNKS)):
            if path.stem not in self._chunks:
                self._add(path.stem, json.loads(path.read_text()))

    def _add(self, name: str, index: dict) -> None:
        self._chunks[name] = index
        for row, key in enumerate(index["keys"]):
            self._where.setdefault(key, (name, row))


def sha256(path: Path) -> str:
    """Of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
