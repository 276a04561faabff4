"""Where this user's files are: the only file that asks the environment."""

from __future__ import annotations

import os
import sys
from pathlib import Path


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
