"""Which files of a path hold talks, and the part that their names or folders say."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from headstart.data.folders import PART_NAMES, TABLES, files_below
from headstart.data.talks_forms import plain
from headstart.data.talks_records import suffix_of
from headstart.errors import DataError

WRITTEN = frozenset({".txt", ".md"})
ABOUT = frozenset({"readme", "license", "licence", "copying", "notice", "changelog", "citation"})
_LISTED = 5


@dataclass(frozen=True)
class Files:
    """Files that are read together.

    Attributes:
        path: the file or the folder, as the user named it.
        parts: file -> train, val or test, or "" where nothing says so.
        written: whether they are plain texts.
        because: what was passed over.
    """

    path: Path
    parts: dict[Path, str]
    written: bool
    because: dict[str, str]

    def name(self, file: Path) -> str:
        """What a person calls one of the files."""
        return plain(file.relative_to(self.path).as_posix() if self.path != file else file.name)

    def row(self, file: Path, row: str) -> str:
        """What a person calls a row of one of the files."""
        return row if self.path == file else f"{self.name(file)} {row}"


def find_files(path: Path, task: str | None = None) -> Files:
    """The files to read: tables and lists of talks where there are any, else plain texts.

    Args:
        path: a file or a folder.
        task: text reads the plain texts of a folder although tables lie beside them.

    Raises:
        DataError: no file of a kind that is read.
    """
    kinds = f"{', '.join(sorted(TABLES))}, {' or '.join(sorted(WRITTEN))}"
    files = [file for file, _ in files_below(path)] if path.is_dir() else [path]
    talks = [file for file in files if suffix_of(file) in TABLES]
    texts = [file for file in files if suffix_of(file) in WRITTEN]
    if not talks and not texts:
        what = "holds no file of talks or text" if path.is_dir() else f"is of type '{suffix_of(path)}'"
        raise DataError(f"'{path}' {what}; give files that end in {kinds}.")
    written = not talks or (task == "text" and not all(is_about(file) for file in texts))
    chosen = texts if written else talks
    beside = [plain(file.relative_to(path).as_posix()) for file in files if file not in set(chosen)]
    because = {"files": f"{_listed(beside)} beside them {'was' if len(beside) == 1 else 'were'} not read"}
    parts = {file: part_of(file.relative_to(path)) if path.is_dir() else "" for file in chosen}
    return Files(path, parts, written, because if beside else {})


def is_about(file: Path) -> bool:
    """Whether a file tells of the data beside it, as a README or a licence does."""
    return file.stem.lower() in ABOUT


def part_of(file: Path) -> str:
    """The part that a folder on the way to a file is called after, else one the first or last word of its name says."""
    for folder in file.parent.parts:
        if folder.lower() in PART_NAMES:
            return PART_NAMES[folder.lower()]
    words = re.findall(r"[^\W\d_]+", file.name.split(".")[0].lower())
    return next((PART_NAMES[word] for word in (*words[:1], *words[-1:]) if word in PART_NAMES), "")


def _listed(names: list[str]) -> str:
    shown = [f"'{name}'" for name in names[:_LISTED]]
    return ", ".join(shown) + (f" and {len(names) - _LISTED} more" if len(names) > _LISTED else "")
