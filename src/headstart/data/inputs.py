"""What a finished model is asked about: files, folders, tables and lines, without answers, none of them lost."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from headstart.data.columns import find_inputs, need, picture_files
from headstart.data.dataset import Dataset, Options, Problem, Source
from headstart.data.encoding import decode, lines_of, mended, read_text
from headstart.data.folders import PICTURES, TABLES, TEXTS, files_below
from headstart.data.labelled import text_of
from headstart.data.labels import missing
from headstart.data.tables import Table, read_table
from headstart.errors import DataError

STDIN = "-"


@dataclass
class Asked:
    """Everything asked about, in order: (name, input) or (name, why it cannot be read)."""

    modality: str
    column: str | None
    several: bool
    names: list[str] = field(default_factory=list)
    found: list[Source | None] = field(default_factory=list)
    why: dict[int, str] = field(default_factory=dict)

    def row(self, path: str, place: int) -> str:
        """What a person calls a row: several tables may have one of each number."""
        return f"{path} row {place}" if self.several else f"row {place}"

    def add(self, name: str, source: Source) -> None:
        """One that can be read."""
        self.names.append(name)
        self.found.append(source)

    def lose(self, name: str, why: str) -> None:
        """One that cannot."""
        self.why[len(self.names)] = why
        self.names.append(name)
        self.found.append(None)


def read_inputs(paths: Sequence[str | Path], *, modality: str, column: str | None = None) -> Dataset:
    """Unlabelled inputs for a finished model.

    Args:
        paths: files, folders (read to the bottom), tables, .npz, or "-" for lines of standard input, which are texts
            or paths of pictures. For texts a .txt file is one text, and what has blanks and is no path is itself one.
        modality: "image" or "text".
        column: of tables; None finds it.

    Returns:
        `y`, `part`, `groups` and `times` are None. What cannot be read is among the problems, with `at`, its place
        among everything asked about; `every_input` gives both in order.

    Raises:
        DataError: nothing was asked about, not one path exists, or the only one is a table that cannot be read.
        UsageError: the named column does not exist, or none looks like the inputs.
    """
    if not paths:
        raise DataError("no input was given; name pictures, folders or tables, or - for standard input.")
    asked = Asked(modality, column, len(paths) > 1)
    for path in paths:
        try:
            _ask(str(path), asked)
        except DataError as error:
            if len(paths) == 1:
                raise
            asked.lose(str(path), str(error))
    if not asked.names:
        raise DataError(f"'{paths[0]}' holds nothing; give one text or one path of a picture per line.")
    problems = tuple(Problem(asked.names[at], why, at) for at, why in asked.why.items())
    if problems and len(problems) == len(paths) == len(asked.names) and all(p.why == ABSENT for p in problems):
        raise DataError(f"'{paths[0]}' {ABSENT}; give a picture, a text, a folder or a table that does.")
    rows = [row for row, source in enumerate(asked.found) if source is not None]
    return Dataset(
        path=Path(str(paths[0])),
        modality=modality,
        task="classes",
        inputs=tuple(source for source in asked.found if source is not None),
        names=tuple(asked.names[row] for row in rows),
        y=None,
        classes=(),
        part=None,
        groups=None,
        times=None,
        because={},
        problems=problems,
    )


ABSENT = "does not exist"
READABLE = PICTURES | TABLES | TEXTS | {".npz", ".gz"}


def every_input(data: Dataset) -> Iterator[tuple[str, int | None, str]]:
    """Every input that was asked about, in order: its name, its row in the data or None, and why it has none."""
    lost = {problem.at: problem for problem in data.problems if problem.at is not None}
    row = 0
    for at in range(len(data) + len(lost)):
        if at in lost:
            yield lost[at].name, None, lost[at].why
        else:
            yield data.names[row], row, ""
            row += 1


def _ask(path: str, asked: Asked) -> None:
    if path == STDIN:
        _lines(lines_of(decode(sys.stdin.buffer.read())[0]), asked)
        return
    if not path.strip():
        asked.lose(path, "nothing is named")
        return
    file = Path(path)
    try:
        exists = file.exists()
    except (OSError, ValueError):  # a whole sentence can be too long for a path
        exists = False
    suffix = file.suffix.lower()
    if not exists and asked.modality == "text" and len(path.split()) > 1 and suffix not in READABLE:
        asked.add(path, mended(path))
    elif not exists:
        asked.lose(path, ABSENT)
    elif file.is_dir():
        _folder(file, asked)
    elif suffix in TABLES or (suffix == ".gz" and file.with_suffix("").suffix.lower() in TABLES):
        _table(file, asked)
    elif suffix == ".npz":
        _arrays(file, asked)
    else:
        _file(file, path, asked)


def _file(file: Path, name: str, asked: Asked) -> None:
    try:
        size = file.stat().st_size
        if not size:
            asked.lose(name, "the file is empty (0 bytes)")
        elif asked.modality == "image":
            asked.add(name, file)  # whatever its ending says: the decoder looks at the bytes
        elif file.suffix.lower() in PICTURES:
            asked.lose(name, "it is a picture, and texts are read")
        else:
            _text(read_text(file)[0], name, asked)
    except OSError as error:
        asked.lose(name, f"cannot be opened ({error.strerror})")


def _text(text: str, name: str, asked: Asked) -> None:
    if text.strip():
        asked.add(name, text.strip())
    else:
        asked.lose(name, "the text is empty")


def _lines(lines: list[str], asked: Asked) -> None:
    for place, line in enumerate(lines, 1):
        if asked.modality == "text":
            _text(line, asked.row(STDIN, place), asked)
        elif line.strip():
            file = Path(line.strip())
            if file.is_file():
                _file(file, line.strip(), asked)
            else:
                asked.lose(line.strip(), ABSENT)


def _folder(folder: Path, asked: Asked) -> None:
    wanted = PICTURES if asked.modality == "image" else TEXTS
    files = [file for file, _ in files_below(folder) if file.suffix.lower() in wanted]
    for file in files:
        _file(file, str(file), asked)
    if not files:
        asked.lose(str(folder), f"the folder holds no {'pictures' if asked.modality == 'image' else '.txt files'}")


def _table(file: Path, asked: Asked) -> None:
    table = read_table(file, [asked.column] if asked.column else [])
    rows = dict(zip(table.rows, _cells(table, file, asked), strict=True))
    broken = {int(problem.name.rsplit(" ", 1)[-1]): problem.why for problem in table.problems}
    for place in sorted({*rows, *broken}):
        name = asked.row(str(file), place)
        if place in broken:
            asked.lose(name, broken[place])
            continue
        source, why = rows[place]
        if source is None:
            asked.lose(name, why)
        else:
            asked.add(str(source) if isinstance(source, Path) else name, source)


def _cells(table: Table, file: Path, asked: Asked) -> list[tuple[Source | None, str]]:
    """Each row's picture or text, or None and why."""
    image = asked.modality == "image"
    column = (
        need(table, asked.column, "--column")
        or find_inputs(table, file.parent, Options(), modality=asked.modality).column
    )
    cells = table.columns[column]
    if not image:
        return [(text_of(cell) or None, "the text is empty") for cell in cells]
    files = picture_files(cells, file.parent)
    named = ["" if missing(cell) else str(cell).strip() for cell in cells]
    return [(files.get(name), f"there is no picture '{name}'" if name else "no picture is named") for name in named]


def _arrays(file: Path, asked: Asked) -> None:
    from headstart.data.arrays import read_pictures

    for place, picture in enumerate(read_pictures(file), 1):
        if isinstance(picture, str):
            _text(picture, asked.row(str(file), place), asked)
        else:
            asked.add(asked.row(str(file), place), picture)
