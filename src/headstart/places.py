"""Where this user's files are and how many there may be: the only file that asks the environment."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from headstart.errors import UsageError
from headstart.units import BYTES, measured

_CAP = 20 * 10**9  # bytes


def cache_folder() -> Path:
    """Folder of all that can be made or fetched again: `HEADSTART_CACHE`, else the platform's own cache folder."""
    given = os.environ.get("HEADSTART_CACHE")
    if given:
        return Path(given).expanduser()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")) / "headstart" / "cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "headstart"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "headstart"


def skills_folder() -> Path:
    """Folder of skills that are known by name: the platform's own data folder."""
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")) / "headstart" / "skills"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "headstart" / "skills"
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "headstart" / "skills"


def cache_cap() -> int:
    """Bytes that the store may hold, and compiled networks as many: `HEADSTART_CACHE_CAP`, else 20 GB.

    Raises:
        UsageError: the variable is not a size.
    """
    given = os.environ.get("HEADSTART_CACHE_CAP")
    if not given:
        return _CAP
    number = measured(given, BYTES)
    if number is None or number < 0:
        raise UsageError(f"HEADSTART_CACHE_CAP={given!r} is not a size; set it for example to 5GB, or unset it.")
    return int(number)
