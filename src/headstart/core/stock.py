"""What a store holds, for people: listed, checked, cleared, and kept below a size; and compiled networks likewise."""

from __future__ import annotations

import json
import shutil
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from headstart.core.store import CHUNKS, sha256

_OLD = 3600.0  # seconds after which a file without an index is no longer somebody's unfinished write


@dataclass(frozen=True)
class Entry:
    """One table of a store.

    Attributes:
        folder: of the table.
        address: what its rows depend on, as JSON.
        rows: in it.
        bytes: on disk.
        used: seconds since 1970 of the last read or write.
    """

    folder: Path
    address: dict
    rows: int
    bytes: int
    used: float


def entries(root: Path) -> list[Entry]:
    """All tables under this folder, the longest unused first."""
    return sorted(map(_entry, _folders(root)), key=lambda entry: entry.used)


def damaged(root: Path) -> list[Path]:
    """Files of the store whose bytes are not as they were written, or that are missing."""
    wrong = []
    for folder in _folders(root):
        for path in sorted(folder.glob(CHUNKS)):
            for tensor, digest in json.loads(path.read_text("utf8"))["sha256"].items():
                file = folder / f"{path.stem}.{tensor}.npy"
                if not file.is_file() or sha256(file) != digest:
                    wrong.append(file)
    return wrong


def clear(root: Path) -> int:
    """Remove every table; what is cleared is computed again when it is needed. Returns the bytes that became free."""
    return sum(_remove(entry) for entry in entries(root))


def keep_below(root: Path, cap: int, *, since: float = float("inf")) -> int:
    """Remove leftovers of killed writes, then the longest unused tables until the store has at most `cap` bytes.

    The table used last stays, whatever its size: it is the one that this run reads.

    Args:
        since: seconds since 1970; what was used from then on stays too.

    Returns:
        Bytes that became free.
    """
    held = entries(root)  # before anything is removed: that would count as use
    return sum(_remove_leftovers(entry.folder) for entry in held) + _shrink(held, cap, since)


def keep_networks_below(root: Path, cap: int, *, since: float = float("inf")) -> int:
    """Remove the longest unused compiled networks until they have at most `cap` bytes; they are compiled again.

    Args:
        root: their folder, with a folder for each.
        since: as of `keep_below`, and the one used last stays likewise.

    Returns:
        Bytes that became free.
    """
    held = [Entry(folder, {}, 0, _size(folder), folder.stat().st_mtime) for folder in _folders(root)]
    return _shrink(sorted(held, key=lambda entry: entry.used), cap, since)


def _shrink(held: list[Entry], cap: int, since: float) -> int:
    """Remove the first of these until they have at most `cap` bytes together, but neither the last nor newer ones."""
    freed, size = 0, sum(entry.bytes for entry in held)
    for entry in held[:-1]:
        if size - freed <= cap or entry.used >= since:
            break
        freed += _remove(entry)
    return freed


def _folders(root: Path) -> Iterator[Path]:
    return (path for path in sorted(root.glob("*")) if path.is_dir())


def _entry(folder: Path) -> Entry:
    chunks = [json.loads(path.read_text("utf8")) for path in folder.glob(CHUNKS)]
    address = chunks[0]["address"] if chunks else {}
    rows = sum(len(chunk["keys"]) for chunk in chunks)
    return Entry(folder, address, rows, _size(folder), folder.stat().st_mtime)


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _remove(entry: Entry) -> int:
    # under another name first: a reader that looks at this moment finds no table rather than a part of one
    aside = entry.folder.with_name(f"{entry.folder.name}.{uuid.uuid4().hex}.removed")
    try:
        entry.folder.rename(aside)
    except FileNotFoundError:  # another process was quicker
        return 0
    shutil.rmtree(aside, ignore_errors=True)
    return entry.bytes


def _remove_leftovers(folder: Path) -> int:
    whole = {path.stem for path in folder.glob(CHUNKS)}
    freed = 0
    for path in [*folder.glob("*.npy"), *folder.glob("*.partial")]:
        stat = path.stat()
        if path.name.split(".")[0] not in whole and time.time() - stat.st_mtime > _OLD:
            freed += stat.st_size
            path.unlink(missing_ok=True)
    return freed
