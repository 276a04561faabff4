"""A skill on disk: JSON and safetensors, every file hashed in the manifest, replaced whole or not at all."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.core.harmless import plain, refuse_code
from headstart.core.store import sha256
from headstart.core.versions import MANIFEST, bring_along, number_of
from headstart.errors import SkillError

FORMAT = 1
DELTA = "delta.safetensors"
MOST = 16 * 2**20  # bytes of a manifest
_SHA256 = re.compile("[0-9a-f]{64}")
_ASIDE = re.compile("[.][0-9a-f]{32}[.]old")
LANGUAGE = "language"  # modality of skills that write
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


def writes(skill: Skill) -> bool:
    """Whether it is of a language model that writes, rather than answers with labels."""
    return skill.manifest.get("modality") == LANGUAGE


def write(
    folder: Path,
    manifest: Mapping[str, Any],
    arrays: Mapping[str, NDArray],
    texts: Mapping[str, str | bytes],
    *,
    former: Skill | None = None,
) -> Skill:
    """Write a skill, in place of an earlier one in that folder.

    Args:
        folder: of the skill.
        manifest: JSON values; `format` and `files` are added.
        arrays: what was learned.
        texts: file name -> content, of the files beside: plan, metrics, report, card, moments.
        former: the skill there as it was read, which is kept among the new one's versions; None keeps none of it.

    Raises:
        SkillError: the folder holds something else than a skill, or than the former one, or the disk refuses; an
            earlier skill stays whole.
    """
    from safetensors.numpy import save

    contents = {name: text.encode() if isinstance(text, str) else text for name, text in texts.items()}
    folder = folder.absolute()
    # safetensors writes the memory as it lies: columns first would be read as rows first
    delta = save({name: np.asarray(values, order="C") for name, values in arrays.items()})
    return Skill(folder, put(folder, manifest, {DELTA: delta, **contents}, former), dict(arrays))


def put(
    folder: Path, manifest: Mapping[str, Any], contents: Mapping[str, bytes], former: Skill | None = None
) -> dict[str, Any]:
    """As `write`, of files as they are; gives the whole manifest."""
    folder = folder.absolute()
    _refuse_other(folder)
    contents = dict(contents)
    files = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    whole = {"format": FORMAT, **manifest, "files": files}
    contents[MANIFEST] = (json.dumps(whole, indent=1, ensure_ascii=False, sort_keys=True) + "\n").encode()
    partial = folder.with_name(f"{folder.name}.{uuid.uuid4().hex}.partial")
    try:
        _put_back(folder)
        partial.mkdir(parents=True)
        for name, content in contents.items():
            (partial / name).write_bytes(content)
        if former is not None:
            if about(folder) != former.manifest:
                raise SkillError(f"{folder} was written anew meanwhile; nothing was changed: start again.")
            bring_along(folder, partial, number_of(former.manifest), number_of(manifest))
        _replace(partial, folder)
    except OSError as error:
        raise SkillError(
            f"writing {folder} failed: {error.strerror or error}; free space or choose another place with -o. "
            "Nothing that was there before was changed."
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return whole


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

    Files that the manifest does not list may lie beside, where they cannot run code; they are not read.

    Raises:
        SkillError: no skill there, one of a newer format, a file that is missing or was changed, a link, or a file
            that may run code when it is opened, listed or not.
    """
    folder = standing(Path(folder))
    try:
        if (folder / MANIFEST).is_file():
            refuse_code(folder)
        manifest = about(folder)
        for name, digest in manifest["files"].items():
            if not (folder / name).is_file():
                raise SkillError(f"{folder} lacks {name}, which its manifest lists; restore it or fit again.")
            if name != DELTA:
                _as_written(folder / name, sha256(folder / name), digest)
        # hashed as it is used: between two readings a file may change
        raw = (folder / DELTA).read_bytes()
    except OSError as error:
        raise SkillError(f"{folder} cannot be read ({error.strerror or error}); give one that you may read.") from error
    _as_written(folder / DELTA, hashlib.sha256(raw).hexdigest(), manifest["files"][DELTA])
    return Skill(folder, manifest, _arrays(raw, folder / DELTA))


def about(folder: Path) -> dict[str, Any]:
    """The manifest of the skill in this folder, checked for its form; no other file is opened.

    Raises:
        SkillError: no skill there, one of a newer format, or a manifest that cannot be one.
    """
    path = folder / MANIFEST
    try:
        if not path.is_file():
            raise SkillError(
                f"{folder} is not a skill: it has no {MANIFEST}; give a folder that `headstart fit` wrote."
            )
        with path.open("rb") as file:
            raw = file.read(MOST + 1)
    except OSError as error:
        raise SkillError(f"{path} cannot be read ({error.strerror or error}); give one that you may read.") from error
    return manifest_of(raw, path)


def manifest_of(raw: bytes, path: Path) -> dict[str, Any]:
    """What the bytes of a manifest say, checked for its form.

    Args:
        path: for messages.

    Raises:
        SkillError: more than MOST bytes, another form, a newer format, or files that are none of a skill.
    """
    if len(raw) > MOST:
        raise SkillError(f"{path} has more than {MOST // 2**20} MB, where a manifest has some kB; restore it.")
    damaged = SkillError(f"{path} cannot be read as a manifest: it was damaged; fit again or restore it.")
    try:
        manifest = json.loads(raw.decode("utf8"))
    except (ValueError, RecursionError):
        raise damaged from None
    if not isinstance(manifest, dict) or type(manifest.get("format")) is not int:
        raise damaged
    if manifest["format"] != FORMAT:
        raise SkillError(
            f"{path.parent} has format {manifest['format']} and this version reads format {FORMAT}: it was made by a "
            "newer headstart; upgrade with `pip install --upgrade headstart`."
        )
    files = manifest.get("files")
    if not isinstance(files, dict) or not all(isinstance(digest, str) for digest in files.values()):
        raise damaged
    wild = next((name for name in files if not plain(name) or name == MANIFEST), None)
    if wild is not None:
        raise SkillError(
            f"{path} lists the file {wild!r}, which leaves the folder or is no plain name; do not use this skill."
        )
    if DELTA not in files or not all(_SHA256.fullmatch(digest) for digest in files.values()):
        raise damaged
    return manifest


def content(skill: Skill, name: str) -> bytes | None:
    """A file of a skill, checked against its manifest; None where the manifest lists no such file.

    Raises:
        SkillError: it was changed, or is gone.
    """
    path, digest = skill.folder / name, skill.manifest["files"].get(name)
    if digest is None:
        return None
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise SkillError(f"{path} cannot be read ({error.strerror or error}); restore it or fit again.") from error
    _as_written(path, hashlib.sha256(raw).hexdigest(), digest)
    return raw


def standing(folder: Path) -> Path:
    """The folder of a skill, or where its skill lies if writing it anew was killed between two renamings."""
    if folder.exists():
        return folder
    return next((path for path in _aside(folder) if (path / MANIFEST).is_file()), folder)


def _aside(folder: Path) -> list[Path]:
    """Folders that `_replace` put out of the way of this one, and did not come to remove."""
    if not folder.name:
        return []
    beside = [path for path in folder.parent.glob("*.old") if path.name.startswith(folder.name)]
    return [path for path in beside if _ASIDE.fullmatch(path.name[len(folder.name) :])]


def _put_back(folder: Path) -> None:
    """Give a skill its name again where writing it anew was killed between two renamings; after both, tidy up."""
    found = standing(folder)
    if found != folder:
        found.rename(folder)
    for path in _aside(folder) if folder.exists() else ():
        shutil.rmtree(path, ignore_errors=True)


def _as_written(path: Path, found: str, digest: str) -> None:
    if found != digest:
        raise SkillError(f"{path} is not as it was written: its sha256 differs; restore it or fit again.")


def _arrays(raw: bytes, path: Path) -> dict[str, NDArray]:
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        return load(raw)
    except (SafetensorError, KeyError, TypeError, ValueError, OverflowError) as error:
        raise SkillError(f"{path} holds no arrays that can be read ({error}); restore it or fit again.") from None


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
