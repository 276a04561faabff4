"""Which column of a table holds the texts or pictures, and which the answers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from headstart.data.dataset import Options
from headstart.data.folders import PART_NAMES, PICTURES, files_below
from headstart.data.labels import Value, missing, number
from headstart.data.tables import Table
from headstart.errors import DataError, UsageError

TEXT_NAMES = [
    "text",
    "sentence",
    "review",
    "comment",
    "content",
    "message",
    "tweet",
    "utterance",
    "question",
    "query",
    "document",
    "body",
    "article",
    "description",
    "abstract",
    "title",
    "headline",
    "post",
    "sms",
    "summary",
    "phrase",
    "prompt",
    "input",
]
IMAGE_NAMES = [
    "image",
    "image_path",
    "filepath",
    "file_path",
    "path",
    "filename",
    "file_name",
    "file",
    "img",
    "picture",
    "photo",
    "image_id",
    "image_name",
    "id",
]
LABEL_NAMES = [
    "label",
    "labels",
    "class",
    "classes",
    "category",
    "categories",
    "target",
    "targets",
    "y",
    "sentiment",
    "intent",
    "topic",
    "emotion",
    "tag",
    "tags",
    "genre",
    "genres",
    "diagnosis",
    "rating",
    "stars",
    "score",
    "answer",
    "output",
    "species",
    "breed",
    "result",
    "outcome",
]
BOXES = (
    {"xmin", "ymin", "xmax", "ymax"},
    {"x_min", "y_min", "x_max", "y_max"},
    {"x1", "y1", "x2", "y2"},
    {"bbox"},
    {"bbox_x", "bbox_y"},
    {"boundingbox"},
    {"bounding_box"},
    {"rle"},
    {"encodedpixels"},
    {"segmentation"},
    {"polygon"},
)
TAGS = {"ner_tags", "pos_tags", "bio_tags", "entities"}
PART_COLUMNS = {"split", "part", "set", "subset", "fold", "partition"}
SAMPLE = 200  # cells that are looked at to tell what a column is


@dataclass(frozen=True)
class Inputs:
    """The column of inputs: its name, its modality, one sentence of why, and for pictures the files by cell."""

    column: str
    modality: str
    why: str
    files: dict[str, Path] | None = None


def need(table: Table, name: str | None, option: str) -> str | None:
    """The column a user named, or None where none was.

    Raises:
        UsageError: there is no such column; the message lists those there are.
    """
    if name is None or name in table.columns:
        return name
    alike = [column for column in table.columns if column.lower() == name.lower()]
    if len(alike) == 1:
        return alike[0]
    raise UsageError(
        f"there is no column '{name}' for {option}; the columns are {', '.join(table.columns)}. Name one of them."
    )


def find_inputs(table: Table, folder: Path, options: Options, modality: str | None = None) -> Inputs:
    """The column of texts or pictures.

    Args:
        table: the whole table.
        folder: what picture paths are relative to.
        options: what the user said.
        modality: "image" or "text" where a finished model reads only that.

    Raises:
        UsageError: a named column does not exist, or no column looks like texts or pictures.
    """
    image, text = need(table, options.image, "--image"), need(table, options.text, "--text")
    if image is not None:
        return Inputs(image, "image", f"you said --image {image}", picture_files(table.columns[image], folder))
    if text is not None:
        return Inputs(text, "text", f"you said --text {text}")
    spoken = {
        need(table, options.group, "--group"),
        need(table, options.time, "--time"),
        *_named_labels(table, options),
    }
    free = {name: cells for name, cells in table.columns.items() if name not in spoken}
    pictures = None if modality == "text" else _find_pictures(free, folder)
    texts = None if modality == "image" or (pictures and pictures.files) else _find_text(free)
    if modality == "text" and texts is None and len(free) == 1:
        texts = Inputs(next(iter(free)), "text", "it is the only column")  # a finished model may be asked single words
    found = texts or pictures  # paths of pictures that are not there are worth reporting only where there is no text
    if found is None:
        raise UsageError(
            f"no column looks like texts or picture files; the columns are {', '.join(table.columns)}. Name one with"
            f" {'--text or --image' if modality is None else '--column'}."
        )
    return found


def _find_pictures(columns: dict[str, list[Value]], folder: Path) -> Inputs | None:
    """A column whose cells name picture files; with an ending anywhere, without one by a known name."""
    absent = None
    for name, cells in columns.items():
        sample = _sample(cells)
        if sample and sum(Path(cell).suffix.lower() in PICTURES for cell in sample) > len(sample) / 2:
            why = f"cells of column '{name}' name picture files, such as '{sample[0]}'"
            found = Inputs(name, "image", why, picture_files(cells, folder))
            if found.files:
                return found
            absent = absent or found
    known = sorted(
        (name for name in columns if name.lower() in IMAGE_NAMES), key=lambda n: IMAGE_NAMES.index(n.lower())
    )
    for name in known:
        sample = _sample(columns[name])
        if not sample or max(len(cell) for cell in sample) > 200:
            continue
        files = picture_files(columns[name], folder)
        if sum(cell in files for cell in sample) > len(sample) / 2:
            return Inputs(name, "image", f"picture files beside the table are called as in column '{name}'", files)
    return absent


def picture_files(cells: Sequence[Value], folder: Path) -> dict[str, Path]:
    """The file of each cell that names one: below the folder by path, else by name, with or without its ending."""
    asked = {str(cell).strip() for cell in cells if not missing(cell)}
    found = {cell: folder / cell for cell in asked if Path(cell).suffix and _is_file(folder / cell)}
    if len(found) == len(asked):
        return found
    by_name: dict[str, list[Path]] = {}
    for file, _ in files_below(folder):
        if file.suffix.lower() in PICTURES:
            for name in (file.name, file.stem):
                by_name.setdefault(name, []).append(file)
    for cell in asked - set(found):
        path = cell.replace("\\", "/")
        matches = by_name.get(path.rsplit("/", 1)[-1], [])
        if len(matches) > 1:
            endings = (f"/{path}", f"/{path}{matches[0].suffix}")  # a path may be written without its ending
            matches = [file for file in matches if file.as_posix().endswith(endings)]
        if len(matches) == 1:  # two files of one name in two folders would be a guess
            found[cell] = matches[0]
    return found


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a whole sentence is too long for a path
        return False


def _find_text(columns: dict[str, list[Value]]) -> Inputs | None:
    words = {name: _words(cells) for name, cells in columns.items()}
    for known in TEXT_NAMES:
        for name in columns:
            if name.lower() == known and words[name] > 0:
                return Inputs(name, "text", _others(f"column '{name}' is called so", name, words))
    best = max(words, key=lambda name: words[name], default=None)
    if best is None or words[best] < 2:
        return None
    return Inputs(best, "text", _others(f"cells of column '{best}' are the longest texts", best, words))


def _others(why: str, chosen: str, words: dict[str, float]) -> str:
    others = [f"'{name}'" for name, count in words.items() if count >= 4 and name != chosen]
    return f"{why}; {' and '.join(others)} also hold text and are not read, say --text to change" if others else why


def _words(cells: list[Value]) -> float:
    """Mean words per cell of a column that is text; 0 where most cells are numbers."""
    sample = _sample(cells)
    if not sample or sum(number(cell) is not None for cell in sample) > len(sample) / 2:
        return 0.0
    return sum(len(cell.split()) for cell in sample) / len(sample)


def _sample(cells: list[Value]) -> list[str]:
    """About SAMPLE cells that hold a text or a whole number, spread over the column."""
    step = max(1, len(cells) // SAMPLE)
    return [str(cell).strip() for cell in cells[::step] if isinstance(cell, str | int) and not missing(cell)]


def _named_labels(table: Table, options: Options) -> tuple[str, ...]:
    """The columns that --label names: one, or several with commas between."""
    if options.label is None:
        return ()
    names = [options.label] if options.label in table.columns else options.label.split(",")
    chosen = [need(table, name.strip(), "--label") for name in names]
    return tuple(dict.fromkeys(name for name in chosen if name))


def find_labels(table: Table, inputs: Inputs, options: Options) -> tuple[tuple[str, ...], str]:
    """The column or columns of answers and one sentence of why.

    Raises:
        DataError: boxes or entity tags are what is there.
        UsageError: a named column does not exist, or several could be meant.
    """
    if options.label is not None:
        return _named_labels(table, options), f"you said --label {options.label}"
    _refuse_other_work(table)
    used = {inputs.column, need(table, options.group, "--group"), need(table, options.time, "--time")}
    free = [
        name
        for name, cells in table.columns.items()
        if not (name in used or re.fullmatch(r"(unnamed.*|index|)", name.lower()) or parts_in(name, cells))
    ]
    for known in LABEL_NAMES:
        for name in free:
            if name.lower() == known:
                return (name,), f"column '{name}' is called so"
    if len(free) == 1:
        return (free[0],), f"column '{free[0]}' is the only other one"
    binary = [name for name in free if _is_binary(table.columns[name])]
    if len(binary) >= 2 and len(binary) >= len(free) - 1:
        return tuple(binary), f"columns {', '.join(binary)} hold only 0 and 1"
    fitting = [name for name in free if _repeats(table.columns[name])]
    if len(fitting) == 1:
        return (fitting[0],), f"column '{fitting[0]}' is the only one whose values come again and again"
    raise UsageError(
        f"which column holds the answers cannot be told; the columns are {', '.join(table.columns)}. Name one with"
        " --label."
    )


def _refuse_other_work(table: Table) -> None:
    names = {re.sub(r"\s", "_", name.lower()) for name in table.columns}
    if any(box <= names for box in BOXES):
        raise DataError(
            f"the columns {', '.join(table.columns)} hold boxes or masks; detection and segmentation are out of scope."
            " To learn whole pictures, name a column of classes with --label."
        )
    if names & TAGS:
        raise DataError(
            f"column '{min(names & TAGS)}' holds a tag for each word; entity tagging is out of scope. To learn whole"
            " texts, name a column of classes with --label."
        )


def _is_binary(cells: list[Value]) -> bool:
    return {number(cell) for cell in cells if not missing(cell)} in ({0.0}, {1.0}, {0.0, 1.0})


def parts_in(name: str, cells: Sequence[Value]) -> list[str] | None:
    """The part of each row where a column of a known name holds nothing but names of parts, else None."""
    if name.lower() not in PART_COLUMNS:
        return None
    parts = [PART_NAMES.get(str(cell).strip().lower()) for cell in cells]
    return [part for part in parts if part] if all(parts) else None


def _repeats(cells: list[Value]) -> bool:
    kept = [str(cell) for cell in cells if not missing(cell)]
    return 2 <= len(set(kept)) <= len(kept) / 2 and len(kept) > len(cells) / 2
