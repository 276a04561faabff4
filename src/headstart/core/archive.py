"""A skill as one file and back: what somebody sent is looked through from end to end before any of it is written."""

from __future__ import annotations

import gzip
import re
import shutil
import stat
import tarfile
import uuid
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from headstart.core.harmless import HEAD, runs
from headstart.core.members import BLOCK, LIMITS, Limits, Parts, members
from headstart.core.skill import MOST, Skill, about, manifest_of, read
from headstart.core.store import sha256
from headstart.core.versions import MANIFEST, VERSIONS
from headstart.errors import SkillError

UNPACKED = "unpacked"  # folder of a cache for skills that are used out of their archives
_TIME = (1980, 1, 1, 0, 0, 0)  # of every file in an archive: the same skill gives the same bytes
_NUMBER = re.compile("[0-9]+")
_DENSE = ".safetensors"  # numbers, which hardly shrink
_BROKEN = (tarfile.TarError, zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, EOFError, RuntimeError, UnicodeError)


def pack(folder: str | Path, archive: str | Path) -> Path:
    """Write a skill as one .zip file: its manifest, the files that it lists, and its earlier versions likewise.

    The same skill gives the same bytes (with the same zlib). What lies in the folder besides is left out.

    Args:
        archive: to write, ending in .zip; replaced whole or not at all.

    Raises:
        SkillError: no skill there, one that was changed, another ending, or a disk that refuses.
    """
    folder, archive = Path(folder), Path(archive)
    if archive.suffix.lower() != ".zip" or archive.is_dir():
        raise SkillError(f"{archive} is not a file that ends in .zip; write for example -o pets.zip.")
    read(folder)
    for version in _versions(folder):
        read(version)
    partial = archive.with_name(f"{archive.name}.{uuid.uuid4().hex}.partial")
    with _said(f"writing {archive}"):
        try:
            archive.parent.mkdir(parents=True, exist_ok=True)
            with zipfile.ZipFile(partial, "w") as target:
                for name in files_of(folder):
                    _add(target, folder / name, name)
            partial.replace(archive)
        finally:
            partial.unlink(missing_ok=True)
    return archive


def files_of(folder: Path) -> list[str]:
    """Paths of all files of a skill from its folder, with / between, in order: those of its versions too.

    Raises:
        SkillError: no skill there, or a manifest that cannot be read.
    """
    found = [MANIFEST, *about(folder)["files"]]
    for version in _versions(folder):
        found += [f"{VERSIONS}/{version.name}/{name}" for name in (MANIFEST, *about(version)["files"])]
    return sorted(found)


def unpack(archive: str | Path, place: str | Path, *, limits: Limits = LIMITS) -> Skill:
    """Write the skill of a .zip, .tar or .tar.gz file as a folder, whole or not at all.

    The archive is read from end to end twice: first every name, kind and size is looked at, with nothing written; then
    it goes to a folder beside the place, where every hash is checked, and which takes the place's name in the end.

    Args:
        place: of the skill's folder; it may not be there, or is empty.

    Raises:
        SkillError: no such archive, a place that is taken, or an archive that holds anything but one whole skill: paths
            that leave it, links, devices, two files of one name, files that are none of a skill or may run code,
            encrypted ones, more files or bytes than `limits` allow, or bytes that unpack to too many.
    """
    archive, place = Path(archive), Path(place).absolute()
    if place.exists() and (not place.is_dir() or any(place.iterdir())):
        raise SkillError(f"{place} exists; choose another place with -o, or remove it first.")
    with _said(f"unpacking {archive}"):
        if not archive.is_file():
            raise SkillError(f"{archive} is not there; give a .zip, .tar or .tar.gz file of a skill.")
        within = _looked(archive, limits)
        partial = place.with_name(f"{place.name}.{uuid.uuid4().hex}.partial")
        try:
            partial.mkdir(parents=True)
            _extract(archive, partial, within, limits)
            skill = read(partial)
            for version in _versions(partial):
                read(version)
            partial.rename(place)
        except SkillError as error:
            raise SkillError(str(error).replace(str(partial), str(archive))) from None
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return replace(skill, folder=place)


def opened(path: str | Path, cache: Path) -> Skill:
    """The skill in this folder, or in this archive: that is unpacked in the cache once, by its sha256.

    Raises:
        SkillError: as `read` and `unpack`.
    """
    path = Path(path)
    if not path.is_file():
        return read(path)
    with _said(f"reading {path}"):
        place = cache / UNPACKED / sha256(path)
    if place.is_dir():
        try:
            return read(place)
        except SkillError:  # what lies in a cache is made anew where it was damaged
            shutil.rmtree(place, ignore_errors=True)
    try:
        return unpack(path, place)
    except SkillError:
        if not (place / MANIFEST).is_file():
            raise
        return read(place)  # another process was quicker


def _versions(folder: Path) -> list[Path]:
    found = (path.parent for path in folder.glob(f"{VERSIONS}/*/{MANIFEST}"))
    return sorted(path for path in found if _NUMBER.fullmatch(path.name))


def _add(target: zipfile.ZipFile, path: Path, name: str) -> None:
    info = zipfile.ZipInfo(name, _TIME)
    info.create_system = 3  # Unix, whatever the system
    info.external_attr = (stat.S_IFREG | 0o644) << 16
    info.compress_type = zipfile.ZIP_STORED if name.endswith(_DENSE) else zipfile.ZIP_DEFLATED
    info.file_size = path.stat().st_size  # large ones need another header
    with path.open("rb") as source, target.open(info, "w") as content:
        shutil.copyfileobj(source, content, BLOCK)


def _looked(archive: Path, limits: Limits) -> dict[Parts, Parts]:
    """Path of each file in the archive -> in the skill, where all of it is as a skill is.

    Raises:
        SkillError: anything else.
    """
    files: list[Parts] = []
    folders: list[Parts] = []
    manifests: dict[Parts, bytes] = {}
    for member in members(archive, limits):
        if member.folder:
            folders.append(member.parts)
            continue
        *at, name = member.parts
        files.append(member.parts)
        kept, size = b"", 0
        for block in member.blocks:
            size += len(block)
            if len(kept) < (MOST + 1 if name == MANIFEST else HEAD):
                kept += block
        if name == MANIFEST:
            manifests[tuple(at)] = kept
            if sum(map(len, manifests.values())) > MOST:
                raise SkillError(f"{archive} has manifests of more than {MOST // 2**20} MB; do not use it.")
        elif why := runs(name, kept, size):
            raise SkillError(f"{archive} holds {member.name!r}, which may run code ({why}); do not use it.")
    k = _outer(files, archive)
    inner = {at[k:]: raw for at, raw in manifests.items()}
    _expect({parts[k:] for parts in files}, {parts[k:] for parts in folders}, inner, archive)
    return {parts: parts[k:] for parts in files}


def _outer(files: list[Parts], archive: Path) -> int:
    """1 where all lies in one folder, as when a folder was packed by hand, else 0."""
    if (MANIFEST,) in files:
        return 0
    tops = {parts[0] for parts in files}
    if len(tops) == 1 and (*tops, MANIFEST) in files:
        return 1
    raise SkillError(f"{archive} is not a skill: it has no {MANIFEST}; give what `headstart skills pack` wrote.")


def _expect(files: set[Parts], folders: set[Parts], manifests: Mapping[Parts, bytes], archive: Path) -> None:
    """Refuse other files than the manifests list, and fewer."""
    expected: set[Parts] = set()
    for at, raw in manifests.items():
        if at and not (len(at) == 2 and at[0] == VERSIONS and _NUMBER.fullmatch(at[1])):
            raise SkillError(f"{archive} holds a second skill in {'/'.join(at)!r}; pack each by itself.")
        listed = manifest_of(raw, archive.joinpath(*at, MANIFEST))["files"]
        expected |= {(*at, name) for name in (MANIFEST, *listed)}
    above = {parts[:k] for parts in expected for k in range(len(parts))}
    wild = sorted(files - expected) + sorted(folders - above)
    if wild:
        raise SkillError(f"{archive} holds {'/'.join(wild[0])!r}, which is no file of the skill; take it out.")
    lost = sorted(expected - files)
    if lost:
        raise SkillError(f"{archive} lacks {'/'.join(lost[0])!r}, which its manifest lists; pack the skill again.")


def _extract(archive: Path, folder: Path, within: Mapping[Parts, Parts], limits: Limits) -> None:
    for member in members(archive, limits):
        if member.folder:
            continue
        if member.parts not in within:  # it is not the file that was looked through
            raise SkillError(f"{archive} was changed while it was unpacked; start again.")
        place = folder.joinpath(*within[member.parts])
        place.parent.mkdir(parents=True, exist_ok=True)
        with place.open("xb") as file:
            for block in member.blocks:
                file.write(block)


@contextmanager
def _said(doing: str) -> Iterator[None]:
    """What the disk or the archive refuses inside is one sentence."""
    try:
        yield
    except _BROKEN as error:
        raise SkillError(f"{doing} failed: it is damaged, or no .zip, .tar or .tar.gz file ({error}).") from None
    except OSError as error:
        raise SkillError(
            f"{doing} failed: {error.strerror or error}; free space, choose another place with -o, or get it anew."
        ) from error
