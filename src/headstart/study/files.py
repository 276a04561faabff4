"""Files that are there whole or not at all."""

from __future__ import annotations

import uuid
from contextlib import suppress
from pathlib import Path

from headstart.errors import StoreError


def write_whole(place: Path, text: str) -> None:
    """Write a file, and its folder, whole or not at all.

    Raises:
        StoreError: the disk refuses.
    """
    partial = place.with_name(f"{place.name}.{uuid.uuid4().hex}.partial")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(text, "utf8")
        partial.replace(place)
    except OSError as error:
        with suppress(OSError):
            partial.unlink()
        raise StoreError(
            f"writing {place} failed: {error.strerror or error}; free space or choose another place with -o. "
            "What was done before is kept."
        ) from error


def ready(place: Path) -> None:
    """Refuse a file that `write_whole` could not write, before hours of work; nothing is left there.

    Raises:
        StoreError: it is a folder, or its disk refuses to be written to.
    """
    if place.is_dir():
        raise StoreError(f"{place} is a folder; name a file in it with -o.")
    above = next(path for path in place.absolute().parents if path.exists())
    trial = above / f"{place.name}.{uuid.uuid4().hex}.partial"
    try:
        trial.touch()
        trial.unlink()
    except OSError as error:
        raise StoreError(
            f"{place} cannot be written ({error.strerror or error}); choose another place with -o."
        ) from None
