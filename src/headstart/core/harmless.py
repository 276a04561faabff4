"""Files that may run code when they are opened, told by their names and by how they begin; and plain names."""

from __future__ import annotations

import os
import re
import stat
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from headstart.errors import SkillError

HEAD = 1 << 16  # bytes at the start of a file that say what it is: the header of an array is inside
_MEMBERS = 1000  # of an archive beside a skill that are looked into

# of pickles, of networks that hold them, and of programs
CODE = (
    *(".pkl", ".pickle", ".joblib", ".dill", ".cloudpickle", ".pt", ".pth", ".pt2", ".ckpt", ".bin", ".mar"),
    *(".h5", ".hdf5", ".keras", ".py", ".pyc", ".pyd", ".pyw", ".pyz", ".ipynb", ".whl", ".egg", ".jar"),
    *(".so", ".dll", ".dylib", ".exe", ".com", ".msi", ".sh", ".bat", ".cmd", ".ps1", ".vbs", ".js", ".lnk"),
)
_PICKLES = tuple(bytes((0x80, protocol)) for protocol in range(2, 6))
_ARRAY, _ZIP, _TENSORS = b"\x93NUMPY", b"PK\x03\x04", ".safetensors"
_OBJECTS = re.compile(rb"'[|<>=]?O[0-9]*'")  # type of an array whose values are pickles

_PLAIN = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._ -]*[A-Za-z0-9_-])?")
_DEVICES = re.compile(
    r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\..*)?", re.IGNORECASE
)  # that some systems open instead


def plain(name: str) -> bool:
    """Whether this is the name of a file in a folder, on every system, and no way out of the folder."""
    return len(name) <= 200 and bool(_PLAIN.fullmatch(name)) and not _DEVICES.fullmatch(name)


def runs(name: str, head: bytes, size: int) -> str:
    """Why a file may run code when a program loads it; empty where nothing says so.

    Args:
        name: of the file.
        head: its first HEAD bytes, or all of it.
        size: of the whole file in bytes.
    """
    ending = next((each for each in CODE if name.lower().endswith(each)), "")
    if ending:
        return f"its name ends in {ending}"
    if name.lower().endswith(_TENSORS):
        # the first bytes are a length, which may look like a pickle's beginning: what follows it decides
        length = int.from_bytes(head[:8], "little")
        if head[8:9] == b"{" and 8 + length <= size:
            return ""
    if head.startswith(_PICKLES):
        return "it begins as a pickle"
    return "it is an array of pickles" if head.startswith(_ARRAY) and _OBJECTS.search(head) else ""


def refuse_code(folder: Path) -> None:
    """Refuse a folder with a file that may run code, with a link, or with what is neither file nor folder.

    Raises:
        SkillError: the first such file, by name.
    """
    for path, said in _files(folder):
        if stat.S_ISLNK(said.st_mode):
            raise SkillError(f"{path} is a link, and a skill holds files of its own alone; put the file in its place.")
        if not stat.S_ISREG(said.st_mode):
            raise SkillError(f"{path} is neither a file nor a folder; move it away, or do not use this skill.")
        with path.open("rb") as file:
            head = file.read(HEAD)
            why = runs(path.name, head, said.st_size) or (_inside(file) if head.startswith(_ZIP) else "")
        if why:
            raise SkillError(
                f"{path} may run code when it is opened ({why}); move it away if it is yours, "
                "else do not use this skill."
            )


def _inside(file: BinaryIO) -> str:
    """As `runs`, of the members of an archive: networks and arrays keep pickles in archives, under any name."""
    try:
        with zipfile.ZipFile(file) as opened:
            members = opened.infolist()
            if len(members) > _MEMBERS:
                return f"it is an archive of {len(members)} files"
            for member in members:
                if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                    return "it is an archive of an unusual kind"
                with opened.open(member) as content:
                    why = "" if member.is_dir() else runs(member.filename, content.read(HEAD), member.file_size)
                if why:
                    return f"of {member.filename} in it, {why}"
    except (zipfile.BadZipFile, zlib.error, RuntimeError, EOFError, OSError, ValueError):
        return "it is an archive that cannot be looked into"
    return ""


def _files(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Everything below the folder that is no folder, in order; links are among it and never followed."""
    with os.scandir(folder) as entries:
        found = sorted(entries, key=lambda entry: entry.name)
    for entry in found:
        said = entry.stat(follow_symlinks=False)
        if stat.S_ISDIR(said.st_mode):
            yield from _files(Path(entry.path))
        else:
            yield Path(entry.path), said
