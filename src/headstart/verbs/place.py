"""Files that a verb writes beside skills: refused before the work where they cannot be, then written whole."""

from __future__ import annotations

import uuid
from pathlib import Path

from headstart.errors import UsageError


def writable(file: Path, what: str) -> None:
    """Refuse a place that cannot be written; nothing is left there.

    Args:
        what: is written, as the message calls it.

    Raises:
        UsageError: a folder, or a folder that is not there or may not be written to.
    """
    if file.is_dir():
        raise UsageError(f"{what} cannot be written to {file}, which is a folder; name a file in it.")
    trial = file.with_name(f"{file.name}.{uuid.uuid4().hex}.partial")
    try:
        trial.touch()
        trial.unlink()
    except OSError as error:
        raise UsageError(
            f"{what} cannot be written to {file} ({error.strerror or error}); name a file in another folder."
        ) from None


def write_text(file: Path, text: str, what: str) -> None:
    """The whole file or none.

    Raises:
        UsageError: the disk refuses.
    """
    partial = file.with_name(f"{file.name}.{uuid.uuid4().hex}.partial")
    try:
        partial.write_text(text, "utf8")
        partial.replace(file)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise UsageError(
            f"{what} cannot be written to {file} ({error.strerror or error}); choose another place."
        ) from None
