"""Texts and labels in two files, line by line: train_text.txt beside train_labels.txt, and so on."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from headstart.data.dataset import Dataset, Options
from headstart.data.encoding import lines_of, read_text
from headstart.data.folders import PART_NAMES
from headstart.data.labelled import read_joined
from headstart.data.tables import Table
from headstart.errors import DataError

NAME = re.compile(r"(?:([a-z]+)[_-])?(texts?|labels?)\.txt")


def find_pairs(files: Sequence[Path]) -> dict[str, tuple[Path, Path]]:
    """Part ("" where none is said) -> the file of texts and the file of labels."""
    found: dict[str, dict[str, Path]] = {}
    for file in files:
        match = NAME.fullmatch(file.name.lower())
        if match and (match[1] is None or match[1] in PART_NAMES):
            found.setdefault(PART_NAMES.get(match[1] or "", ""), {})[match[2].rstrip("s")] = file
    pairs = {part: (kinds["text"], kinds["label"]) for part, kinds in found.items() if len(kinds) == 2}
    return pairs if len(pairs) == 1 or "" not in pairs else {}


def read_pairs(path: Path, pairs: dict[str, tuple[Path, Path]], options: Options) -> Dataset:
    """The Dataset of such files; a mapping.txt of numbers and names gives the labels their names.

    Raises:
        DataError: files of different lengths, or as for tables.
    """
    names = _mapping(path / "mapping.txt")
    tables: dict[Path, Table] = {}
    for texts, labels in pairs.values():
        left, right = (lines_of(read_text(file)[0]) for file in (texts, labels))
        while len(left) != len(right) and not (longer := max(left, right, key=len))[-1].strip():
            longer.pop()  # blank lines at the end of one of them
        if len(left) != len(right):
            raise DataError(
                f"'{texts.name}' has {len(left)} lines and '{labels.name}' has {len(right)}; give one label per text."
            )
        answers = [names.get(label.strip(), label.strip()) for label in right]
        tables[texts] = Table({"text": list(left), "label": list(answers)}, list(range(1, len(left) + 1)))
    parts = {texts: part or None for part, (texts, _) in pairs.items()}
    return read_joined(path, tables, parts, options)


def _mapping(file: Path) -> dict[str, str]:
    if not file.is_file():
        return {}
    lines = [line.split(None, 1) for line in read_text(file)[0].splitlines()]
    return {line[0]: line[1].strip() for line in lines if len(line) == 2 and line[0].isdigit()}
