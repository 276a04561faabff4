"""From a path to a Dataset: the one place that decides which reader a path needs."""

from __future__ import annotations

import json
import re
from pathlib import Path

from headstart.data.dataset import WRITES, Dataset, Options
from headstart.data.encoding import is_text, lines_of, read_text
from headstart.data.folders import PART_NAMES, PHOTOS, PICTURES, TABLES, find_classes, listing, read_folder
from headstart.data.inputs import every_input, read_inputs
from headstart.data.labelled import read_tables
from headstart.data.lines import find_pairs, read_pairs
from headstart.data.talks_or_labels import language_of
from headstart.errors import DataError, UsageError

__all__ = ["every_input", "read", "read_inputs"]

LINES = frozenset({".jsonl", ".ndjson"})


def read(path: str | Path, options: Options | None = None) -> Dataset:
    """Read labelled data.

    Args:
        path: a folder of class folders (of pictures or .txt files, with or without train, val and test folders),
            a table (.csv, .tsv, .jsonl, .parquet, .json), a folder of tables called after their parts, or an .npz.
        options: what the user says of it; the rest is detected, with the reasons in `because`.

    Raises:
        DataError: there is nothing there, or it cannot be used as it is; the sentence says what to do.
        UsageError: an option that this data cannot follow, or doubt that an option would settle; the sentence
            names it.
    """
    path, options = Path(path), options or Options()
    if options.task in WRITES:
        raise UsageError(
            f"--task {options.task} is for a language model, which `headstart fit` and `headstart plan` teach; drop it"
            " here."
        )
    if not path.exists():
        raise DataError(
            f"'{path}' does not exist; give a folder of class folders, a table or an .npz file, or talks or a .txt file"
            " for a language model."
        )
    try:
        return _read_directory(path, options) if path.is_dir() else _read_file(path, options)
    except OSError as error:
        name = error.filename or path
        raise DataError(f"'{name}' cannot be opened ({error.strerror}); give a file that you may read.") from error
    except (DataError, UsageError) as error:
        if language_of(path, options) is None:
            raise
        more = "; it can be written instead: `headstart fit` or `headstart plan` teach a language model from it."
        raise type(error)(str(error).removesuffix(".") + more) from error


def _read_file(path: Path, options: Options) -> Dataset:
    suffix = path.with_suffix("").suffix.lower() if path.suffix.lower() == ".gz" else path.suffix.lower()
    if suffix == ".npz":
        from headstart.data.arrays import read_arrays

        _refuse_columns(path, options)
        return read_arrays(path, options)
    if suffix in TABLES:
        try:
            return read_tables(path, {path: None}, options)
        except DataError as error:
            if suffix in LINES and (why := _no_line_is_an_object(path)):
                raise DataError(why) from error
            raise
    kind = "a single picture" if suffix in PICTURES else f"of type '{suffix}'"
    raise DataError(
        f"'{path}' is {kind}; give a folder of class folders, an .npz, or a table ({', '.join(sorted(TABLES))})."
    )


def _no_line_is_an_object(path: Path) -> str | None:
    """What the first line of a file is where no line is an object or a list; else None."""
    text = read_text(path)[0]
    first = 0
    for place, line in enumerate(lines_of(text), 1):
        if not line.strip():
            continue
        first = first or place
        try:
            if isinstance(json.loads(line), dict | list):
                return None
        except (ValueError, RecursionError):
            continue
    what = "no JSON object" if is_text(text) else "binary and no JSON object"
    return f"line {first} of '{path}' is {what}, nor is any other; write one object on each line." if first else None


def _refuse_columns(path: Path, options: Options) -> None:
    for option in ("text", "image", "label", "group", "time"):
        if vars(options)[option] is not None:
            raise UsageError(f"--{option} names a column, and '{path}' holds arrays without columns; drop it.")


def _read_directory(path: Path, options: Options) -> Dataset:
    folders, files = listing(path)
    if not folders and not files:
        raise DataError(f"'{path}' is an empty folder; give one folder per class inside, or a table.")
    tables = [file for file in files if file.suffix.lower() in TABLES]
    if pairs := find_pairs(files):
        return read_pairs(path, pairs, options)
    if tables and (options.label or options.text or options.image or options.time):
        return read_tables(path, _parts_of(path, tables), options)
    found = find_classes(path, options.classes or ())
    classes = 1 if options.classes or options.more else 2  # a finished model may be tested on one
    if not tables or (len(found.classes) >= classes and not _are_shelves(found.classes)):
        return read_folder(path, found, options)
    return read_tables(path, _parts_of(path, tables), options)


def _are_shelves(names: tuple[str, ...]) -> bool:
    """Whether folders only hold the pictures that a table beside them names: images, train_images, test-photos."""
    words = [re.findall(r"[^\W\d_]+", name.lower()) for name in names]
    return all(each and set(each) <= {*PART_NAMES, *PHOTOS} for each in words)


def _parts_of(path: Path, tables: list[Path]) -> dict[Path, str | None]:
    if len(tables) == 1:
        return {tables[0]: None}
    parts = {table: PART_NAMES.get(table.stem.lower()) for table in tables}
    named = {table: part for table, part in parts.items() if part}
    if len({table.suffix.lower() for table in named}) != 1 or len(set(named.values())) != len(named):
        names = ", ".join(table.name for table in tables)
        raise DataError(f"'{path}' holds {len(tables)} tables ({names}); name one, or call them train, val and test.")
    return dict(named)
