"""Earlier versions of a skill: each is a whole skill, in a folder of its number below the one that serves."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from headstart.errors import SkillError

VERSIONS = "versions"
NUMBER = "version"  # of a manifest; the first one need not say it
MANIFEST = "skill.json"


def number_of(manifest: Mapping[str, Any]) -> int:
    """Which version of its skill this is, from 1.

    Raises:
        SkillError: a manifest that says something else.
    """
    number = manifest.get(NUMBER, 1)
    if type(number) is not int or number < 1:
        raise SkillError(f"a manifest says {NUMBER} = {number!r}, which is no number from 1; restore it or fit again.")
    return number


def versions_of(folder: Path) -> dict[int, Path]:
    """Number -> folder of each version that is kept beside the one that serves, in order."""
    places = [path.parent for path in folder.glob(f"{VERSIONS}/*/{MANIFEST}")]
    found = {int(place.name): place for place in places if place.name.isdecimal()}
    return dict(sorted(found.items()))


def bring_along(former: Path, new: Path, number: int, own: int) -> None:
    """Put a skill and the versions that it keeps below `new`, which is not in use yet.

    Files are linked where the disk allows it: they are never written again, only replaced.

    Args:
        number: of the former skill.
        own: number of the new one; an earlier copy of it stays behind.

    Raises:
        OSError: the disk refuses.
    """
    for path in _files(former):
        parts = path.relative_to(former).parts
        if len(parts) == 1 or parts[0] != VERSIONS:
            parts = (VERSIONS, str(number), *parts)
        if parts[1] == str(own):
            continue
        place = new.joinpath(*parts)
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(path, place)
        except OSError:  # this disk has no links, or they reach no further
            shutil.copy2(path, place)


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            yield from _files(path)
        else:
            yield path
