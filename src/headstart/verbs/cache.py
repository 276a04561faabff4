"""`cache`: what is kept on disk to save time, shown, verified and cleared."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from headstart.core import stock
from headstart.errors import StoreError, UsageError
from headstart.places import cache_folder
from headstart.sources import fetch

PARTS = ("store", "networks", "runs", "unpacked", "files")
_WHAT = {
    "store": "outputs of held blocks",
    "networks": "networks compiled for this machine",
    "runs": "fits that were interrupted",
    "unpacked": "skills that were used out of archives",
    "files": "pretrained weights",
}


@dataclass(frozen=True)
class Part:
    """One part of the cache: what it is, how many things are in it, and its size on disk."""

    name: str
    what: str
    things: int
    bytes: int


def show(cache: Path | None = None) -> list[Part]:
    """The parts of the cache with their sizes; all empty where there is no such folder yet."""
    root = _folder(cache)
    return [Part(name, _WHAT[name], _things(root / name), _size(root / name)) for name in PARTS]


def verify(cache: Path | None = None) -> list[Path]:
    """Files whose bytes are not as they were written.

    Stored outputs by their index, weights by their name, and what was converted from them by the hash beside it.
    """
    root = _folder(cache)
    files = sorted((root / "files").glob("*"))
    weights = [path for path in files if len(path.name) == 64 and stock.sha256(path) != path.name]
    converted = [*files, *sorted((root / "files").glob("*/*.safetensors"))]
    return stock.damaged(root / "store") + weights + [path for path in converted if fetch.changed(path)]


def clear(part: str, cache: Path | None = None) -> int:
    """Remove one part of the cache, or `all`; it is made or fetched again when it is needed. Returns bytes freed.

    Raises:
        UsageError: no such part.
        StoreError: files that cannot be removed.
    """
    root = _folder(cache)
    if part not in (*PARTS, "all"):
        raise UsageError(f"{part!r} is not a part of the cache; use {', '.join(PARTS)} or all.")
    freed = 0
    for name in PARTS if part == "all" else (part,):
        folder = root / name
        freed += _size(folder)
        try:
            if folder.exists():
                shutil.rmtree(folder)
        except OSError as error:
            raise StoreError(f"{folder} cannot be cleared: {error.strerror}; close what uses it.") from error
    return freed


def trim(cap: int, cache: Path | None = None) -> int:
    """Keep the outputs of held blocks below `cap` bytes, the longest unused go first. Returns bytes freed.

    The table used last stays, whatever its size.
    """
    return stock.keep_below(_folder(cache) / "store", cap)


def keep(cap: int, cache: Path, *, since: float) -> tuple[int, int]:
    """Keep the outputs of held blocks below `cap` bytes, and the compiled networks too.

    Args:
        since: seconds since 1970; what was used from then on stays, whatever its size.

    Returns:
        Bytes freed, and bytes that are still above the cap because they were just used.
    """
    parts = cache / "store", cache / "networks"
    freed = stock.keep_below(parts[0], cap, since=since) + stock.keep_networks_below(parts[1], cap, since=since)
    return freed, sum(max(0, _size(part) - cap) for part in parts)


def _folder(cache: Path | None) -> Path:
    """The cache folder, which need not be there yet.

    Raises:
        UsageError: it is a file.
    """
    root = cache or cache_folder()
    if root.exists() and not root.is_dir():
        raise UsageError(f"the cache folder '{root}' is a file; give a folder with --cache or HEADSTART_CACHE.")
    return root


def _things(folder: Path) -> int:
    return sum(path.suffix != ".sha256" for path in folder.glob("*"))  # a hash is no thing of its own


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
