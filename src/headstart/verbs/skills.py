"""`skills`: those that are on disk, listed, removed, packed into one file and unpacked."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headstart.core import archive
from headstart.core.also import ALSO
from headstart.core.skill import DELTA, Skill, about
from headstart.core.versions import MANIFEST, VERSIONS
from headstart.errors import DataError, HeadstartError, SkillError
from headstart.places import cache_folder, skills_folder
from headstart.report.record import Score
from headstart.sources.card import Card, card_of
from headstart.sources.fetch import on_disk
from headstart.sources.find import skill_folder

METRICS = "metrics.json"
_MOST = 64 * 2**20  # bytes of a metrics.json that are read


@dataclass(frozen=True)
class Listed:
    """A skill as its folder tells of it; nothing but its manifest and its score was read.

    Attributes:
        name: that it was given, or of its folder.
        source: its network; None where the manifest does not say it.
        on_disk: whether all files of its network are.
        heads: names of the heads beside the main one.
        score: of its own fit; None where none was measured.
        bytes: of its folder.
        written: seconds since 1970.
        problem: why it cannot be used; empty where nothing was seen.
    """

    name: str
    folder: Path
    source: Card | None
    on_disk: bool
    modality: str
    task: str
    classes: tuple[str, ...]
    heads: tuple[str, ...]
    depth: int
    score: Score | None
    bytes: int
    written: float
    problem: str = ""


@dataclass(frozen=True)
class Removed:
    """A skill that is gone.

    Attributes:
        bytes: that became free.
        left: files in its folder that were none of it, and stay.
    """

    folder: Path
    bytes: int
    left: tuple[Path, ...]


def skills(folders: Sequence[str | Path] = (), *, cache: Path | None = None) -> list[Listed]:
    """Skills in these folders, those of one network together, by name.

    Args:
        folders: each a skill or a folder of skills; none takes the current folder and the user's folder of skills.
        cache: folder of networks; None takes the user's.

    Raises:
        SkillError: a folder that is not there.
    """
    root = cache or cache_folder()
    given = [Path(folder) for folder in folders]
    absent = [folder for folder in given if not folder.is_dir()]
    if absent:
        raise SkillError(f"{absent[0]} is no folder; give folders that hold skills, or none for those of this folder.")
    found: dict[Path, Listed] = {}
    for folder in given or [Path(), skills_folder()]:
        for path in [folder, *sorted(folder.glob("*"))]:
            if (path / MANIFEST).is_file() and path.resolve() not in found:
                found[path.resolve()] = _listed(path, root)
    return sorted(found.values(), key=_shelved)


def remove(skill: str | Path) -> Removed:
    """Remove a skill's own files, and its folder where nothing else is in it.

    Args:
        skill: its folder, with or without its ending, or its name in the user's folder of skills.

    Raises:
        SkillError: not a skill, or a disk that refuses; a second call goes on where a first one ended.
    """
    folder = skill_folder(str(skill))
    names = archive.files_of(folder)
    names.sort(key=lambda name: (name.endswith(MANIFEST), name == MANIFEST))  # the manifest last: it says what is left
    freed = 0
    try:
        for name in names:
            with suppress(FileNotFoundError):
                freed += (folder / name).lstat().st_size
                (folder / name).unlink()
        within = sorted({(folder / name).parent for name in names} | {folder / VERSIONS}, reverse=True)
        for each in within:
            with suppress(OSError):  # something else is in it, or it is gone
                each.rmdir()
        left = tuple(sorted(path for path in folder.rglob("*") if not path.is_dir())) if folder.exists() else ()
    except OSError as error:
        raise SkillError(f"{folder} cannot be removed ({error.strerror or error}); close what uses it.") from error
    return Removed(folder, freed, left)


def pack(skill: str | Path, file: str | Path | None = None) -> Path:
    """Write a skill as one .zip file. Returns its path.

    Args:
        skill: its folder, with or without its ending, or its name in the user's folder of skills.
        file: ending in .zip; None takes NAME.zip in the current folder.

    Raises:
        SkillError: as of `core.archive.pack`.
    """
    folder = skill_folder(str(skill))
    return archive.pack(folder, Path(file) if file else Path(f"{folder.absolute().name.removesuffix('.skill')}.zip"))


def unpack(file: str | Path, folder: str | Path | None = None) -> Skill:
    """Write the skill of a .zip, .tar or .tar.gz file as a folder, after all of it was looked through.

    Args:
        folder: that is not there yet; None takes NAME.skill in the current folder.

    Raises:
        SkillError: as of `core.archive.unpack`.
    """
    stem = Path(file).name
    for ending in (".gz", ".tgz", ".tar", ".zip", ".skill"):
        stem = stem.removesuffix(ending)
    return archive.unpack(file, Path(folder) if folder else Path(f"{stem}.skill"))


def score_of(folder: Path, head: str | None = None) -> Score | None:
    """What is known of a skill's score; None where nothing is, or where the file is of another form.

    Args:
        head: one of those beside the main head.
    """
    path = folder / METRICS
    try:
        if path.stat().st_size > _MOST:
            return None
        told = json.loads(path.read_text("utf8"))
        if head is None:
            return Score.from_json(told["score"])
        part = next(each for each in told["parts"] if each["name"] == head)
        return Score.from_json({**_bare(part["score"]), "metric": part["metric"]})
    except (OSError, ValueError, KeyError, TypeError, AttributeError, StopIteration, RecursionError, DataError):
        return None


def _shelved(each: Listed) -> tuple[str, ...]:
    """By network, those without one last, and then by name."""
    source = ("\U0010ffff", "") if each.source is None else (each.source.name, each.source.digest)
    return (*source, each.name, str(each.folder))


def _bare(point: Mapping[str, Any]) -> dict[str, Any]:
    return {name: point[name] for name in ("value", "low", "high")}


def _listed(folder: Path, cache: Path) -> Listed:
    said: Mapping[str, Any] = {}
    card, problem = None, ""
    try:
        said = about(folder)
        card = card_of(said["source"])
        if not (folder / DELTA).is_file():
            raise SkillError(f"{folder} lacks {DELTA}, which its manifest lists; restore it or fit again.")
    except KeyError:
        problem = f"{folder / MANIFEST} does not say its source; fit again or restore it."
    except HeadstartError as error:
        problem = str(error)
    others = said.get(ALSO, ())
    depth = said.get("depth")
    return Listed(
        name=str(said.get("name") or folder.absolute().name),
        folder=folder,
        source=card,
        on_disk=card is not None and on_disk(card, cache),
        modality=str(said.get("modality", "")),
        task=str(said.get("task", "")),
        classes=_words(said.get("classes")),
        heads=_words([each.get("name") for each in others if isinstance(each, dict)]),
        depth=depth if isinstance(depth, int) else 0,
        score=score_of(folder),
        bytes=sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_dir()),
        written=(folder / MANIFEST).stat().st_mtime,
        problem=problem,
    )


def _words(values: object) -> tuple[str, ...]:
    return tuple(str(value) for value in values) if isinstance(values, list) else ()
