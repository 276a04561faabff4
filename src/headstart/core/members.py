"""What is in an archive that somebody sent, member by member, with nothing believed that the archive says of itself."""

from __future__ import annotations

import gzip
import re
import stat
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from headstart.core.harmless import plain
from headstart.errors import SkillError

BLOCK = 1 << 16  # bytes that are read at a time
_FREE = 10**6  # bytes up to which no ratio is a bomb
_HEADERS = 1 << 20  # bytes of a tar archive between two files, at most: they are held in memory
_END = 1024  # zeros that a tar archive ends with
_ENCRYPTED = 0x2041  # flags of a zip member
_DRIVE = re.compile("[A-Za-z]:")

Parts = tuple[str, ...]


@dataclass(frozen=True)
class Limits:
    """What is taken out of an archive at most.

    Attributes:
        files: in number, folders among them.
        bytes: of all files together, as they are read and not as the archive says.
        ratio: of these bytes to the archive's own; only what unpacks to more than 1 MB is held to it.
    """

    files: int = 2000
    bytes: int = 8 * 10**9
    ratio: float = 100.0


LIMITS = Limits()


@dataclass(frozen=True)
class Member:
    """A file or a folder of an archive.

    Attributes:
        name: as the archive says it.
        parts: of its path; plain names but for the first, which may be called as people call folders.
        folder: whether it is one.
        blocks: the bytes of a file, to be read before the next member comes.
    """

    name: str
    parts: Parts
    folder: bool
    blocks: Iterator[bytes]


def members(archive: Path, limits: Limits) -> Iterator[Member]:
    """Every member of a .zip, .tar or .tar.gz file in turn; how it begins says which it is, and not its name.

    Raises:
        SkillError: a path that leaves the archive or is no plain name, a link, a device, an encrypted member, two of
            one name in small or large letters, or more than the limits.
    """
    seen: set[str] = set()
    for number, member in enumerate(_every(archive, limits), 1):
        if number > limits.files:
            raise SkillError(f"{archive} holds more than {limits.files} files, the most that are unpacked.")
        told = "/".join(member.parts).casefold()
        if told in seen and not member.folder:
            raise SkillError(f"{archive} holds {member.name!r} twice, in small or in large letters; do not use it.")
        seen.add(told)
        yield member


def _every(archive: Path, limits: Limits) -> Iterator[Member]:
    count = _Count(archive, limits)
    with archive.open("rb") as file:
        start = file.read(2)
        file.seek(0)
        if start == b"PK":
            yield from _zipped(file, count)
        elif start == b"\x1f\x8b":
            with gzip.GzipFile(fileobj=file, mode="rb") as unzipped:
                yield from _tarred(_Counted(unzipped, count))
        else:
            yield from _tarred(_Counted(file, count))


class _Count:
    """Bytes that have come out of an archive, refused where they are too many."""

    def __init__(self, archive: Path, limits: Limits) -> None:
        self.archive = archive
        self.limits = limits
        self.size = archive.stat().st_size
        self.bytes = 0
        if self.size > limits.bytes:  # its list of members alone could fill the memory
            self.add(self.size)

    def add(self, count: int) -> None:
        """So many more."""
        self.bytes += count
        if self.bytes > self.limits.bytes:
            most = f"{self.limits.bytes / 1e6:,.0f} MB"
            raise SkillError(f"{self.archive} holds more than {most}, the most that is unpacked; do not use it.")
        if self.bytes > max(_FREE, self.limits.ratio * self.size):
            times = f"{self.limits.ratio:g} times its size"
            raise SkillError(f"{self.archive} unpacks to more than {times}, which no skill does; do not use it.")


class _Counted:
    """The bytes of a tar archive as its reader takes them, counted; headers are held to _HEADERS."""

    def __init__(self, file: IO[bytes] | gzip.GzipFile, count: _Count) -> None:
        self.file = file
        self.count = count
        self.last = b""  # the last _END bytes
        self.left: int | None = _HEADERS  # bytes until a file must have begun; None inside a file

    def read(self, size: int) -> bytes:
        """As of a file."""
        raw = self.file.read(size)
        self.count.add(len(raw))
        self.last = (self.last + raw)[-_END:]
        if self.left is not None:
            self.left -= len(raw)
            if self.left < 0:
                raise SkillError(f"{self.count.archive} has headers of more than 1 MB; do not use it.")
        return raw


def _zipped(file: IO[bytes], count: _Count) -> Iterator[Member]:
    archive = count.archive
    with zipfile.ZipFile(file) as opened:
        for info in opened.infolist():
            name = info.orig_filename  # `filename` ends at the first zero byte
            if info.flag_bits & _ENCRYPTED:
                raise SkillError(f"{archive} holds {name!r}, which is encrypted; pack the skill without a password.")
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise SkillError(f"{archive} holds {name!r}, packed in an unusual way; pack it as ordinary zip.")
            if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise _no_file(archive, name)
            parts = _parts(name, archive)
            with opened.open(info) as content:
                yield Member(name, parts, name.endswith("/"), _blocks(content, count))


def _tarred(file: _Counted) -> Iterator[Member]:
    archive = file.count.archive
    # as a stream: nothing is read twice or skipped uncounted
    with tarfile.open(fileobj=file, mode="r|") as opened:  # pyright: ignore[reportArgumentType, reportCallIssue]
        while True:
            file.left = _HEADERS
            info = opened.next()
            file.left = None
            if info is None:
                break
            if not (info.isreg() or info.isdir()) or info.issparse():
                raise _no_file(archive, info.name)
            content = None if info.isdir() else opened.extractfile(info)
            parts = _parts(info.name, archive)
            yield Member(info.name, parts, content is None, iter(()) if content is None else _blocks(content, None))
        rest = _blocks(opened.fileobj, None)  # a file that was cut off, or is damaged inside, says so there
        if any(block.strip(b"\0") for block in rest) or file.last != bytes(_END):
            raise SkillError(f"{archive} ends too early, or goes on after its end; get it anew.")


def _blocks(content: IO[bytes], count: _Count | None) -> Iterator[bytes]:
    while block := content.read(BLOCK):
        if count is not None:
            count.add(len(block))
        yield block


def _no_file(archive: Path, name: str) -> SkillError:
    return SkillError(f"{archive} holds {name!r}, a link or a device where a skill has files; do not use it.")


def _parts(name: str, archive: Path) -> Parts:
    """Of a path inside an archive.

    Raises:
        SkillError: one that may lead elsewhere.
    """
    parts = [part for part in name.rstrip("/").split("/") if part != "."]
    if name.startswith("/") or "\\" in name or _DRIVE.match(name) or ".." in parts:
        raise SkillError(f"{archive} holds {name!r}, a path that leaves the skill; do not use it.")
    wild = [part for part in parts[1:] if not plain(part)]
    if wild or not all(part and part.isprintable() for part in parts):
        raise SkillError(f"{archive} holds {name!r}, which is no name of a file in a skill; take it out.")
    return tuple(parts)
