"""A skill on disk: JSON and safetensors, every file hashed in the manifest, replaced whole or not at all."""

from __future__ import annotations

import hashlib
import json
import shutil
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from headstart.errors import SkillError

FORMAT = 1
MANIFEST = "skill.json"
DELTA = "delta.safetensors"
TAIL = "tail."  # before the names of learned parameters below the head


@dataclass(frozen=True)
class Skill:
    """What a fit leaves behind.

    Attributes:
        folder: where it is.
        manifest: what it is: labels, source, preparation, licence, versions.
        arrays: what was learned, by name.
    """

    folder: Path
    manifest: Mapping[str, Any]
    arrays: Mapping[str, NDArray]


def write(folder: Path, manifest: Mapping[str, Any], arrays: Mapping[str, NDArray], texts: Mapping[str, str]) -> Skill:
    """Write a skill, in place of an earlier one in that folder.

    Args:
        folder: of the skill.
        manifest: JSON values; `format` and `files` are added.
        arrays: what was learned.
        texts: file name -> content, of the files beside: plan, metrics, report, card.

    Raises:
        SkillError: the folder holds something else than a skill, or the disk refuses; an earlier skill stays whole.
    """
    from safetensors.numpy import save

    folder = folder.absolute()
    _refuse_other(folder)
    contents = {DELTA: save(dict(arrays)), **{name: text.encode() for name, text in texts.items()}}
    files = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    whole = {"format": FORMAT, **manifest, "files": files}
    contents[MANIFEST] = (json.dumps(whole, indent=1, ensure_ascii=False, sort_keys=True) + "\n").encode()
    partial = folder.with_name(f"{folder.name}.{uuid.uuid4().hex}.partial")
    try:
        partial.mkdir(parents=True)
        for name, content in contents.items():
            (partial / name).write_bytes(content)
        _replace(partial, folder)
    except OSError as error:
        raise SkillError(
            f"writing {folder} failed: {error.strerror or error}; free space or choose another place with -o. "
            "Nothing that was there before was changed."
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return Skill(folder, whole, dict(arrays))


def ready(folder: Path) -> None:
    """Refuse a place where `write` would fail, before hours of work; nothing is left there.

    Raises:
        SkillError: the folder holds something else than a skill, or its disk refuses to be written to.
    """
    folder = folder.absolute()
    _refuse_other(folder)
    above = next(path for path in folder.parents if path.exists())
    trial = above / f"{folder.name}.{uuid.uuid4().hex}.partial"
    try:
        trial.mkdir()
        trial.rmdir()
    except OSError as error:
        raise SkillError(
            f"{folder} cannot be written ({error.strerror or error}); choose another place with -o."
        ) from None


def _refuse_other(folder: Path) -> None:
    if folder.exists() and not (folder / MANIFEST).is_file() and (not folder.is_dir() or any(folder.iterdir())):
        raise SkillError(f"{folder} exists and is not a skill; choose another place with -o, or move it away.")


def read(folder: str | Path) -> Skill:
    """The skill in this folder, every byte checked against its manifest.

    Raises:
        SkillError: no skill there, one of a newer format, or a file that is missing or was changed.
    """
    from safetensors.numpy import load

    folder = Path(folder)
    path = folder / MANIFEST
    if not path.is_file():
        raise SkillError(f"{folder} is not a skill: it has no {MANIFEST}; give a folder that `headstart fit` wrote.")
    try:
        manifest = json.loads(path.read_text("utf8"))
        found = manifest["format"]
        files = manifest["files"]
    except (ValueError, KeyError, TypeError):
        raise SkillError(f"{path} cannot be read as a manifest: it was damaged; fit again or restore it.") from None
    if found != FORMAT:
        raise SkillError(
            f"{folder} has format {found} and this version reads format {FORMAT}: it was made by a newer headstart; "
            "upgrade with `pip install --upgrade headstart`."
        )
    for name, digest in files.items():
        if "/" in name or "\\" in name or name.startswith("."):
            raise SkillError(f"{path} lists the file {name!r}, which leaves the folder; do not use this skill.")
        if not (folder / name).is_file():
            raise SkillError(f"{folder} lacks {name}, which its manifest lists; restore it or fit again.")
        if hashlib.sha256((folder / name).read_bytes()).hexdigest() != digest:
            raise SkillError(f"{folder / name} is not as it was written: its sha256 differs; restore it or fit again.")
    return Skill(folder, manifest, load((folder / DELTA).read_bytes()))


def _replace(new: Path, place: Path) -> None:
    """`new` takes the name of `place`; at every moment one of both is whole under a name."""
    old = place.with_name(f"{place.name}.{uuid.uuid4().hex}.old")
    if place.exists():
        place.rename(old)
    try:
        new.rename(place)
    except OSError:
        if old.exists():
            old.rename(place)
        raise
    shutil.rmtree(old, ignore_errors=True)
