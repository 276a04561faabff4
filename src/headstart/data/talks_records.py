"""Records with named fields from a file: lines or a list of JSON, or the rows of a table."""

from __future__ import annotations

import gzip
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from headstart.data.dataset import Problem
from headstart.data.encoding import decode, lines_of, mended, read_text
from headstart.data.tables import Table, from_delimited, read_table
from headstart.errors import DataError

JSON = frozenset({".jsonl", ".ndjson", ".json"})
PARQUET = frozenset({".parquet", ".pq"})
HEADS = (2**20, 2**26)  # bytes of a file's beginning: the second where the first holds no whole record
BETWEEN = re.compile(r"[\s,]*")  # two values of JSON

Record = Mapping[str, object]


@dataclass
class Records:
    """Objects of one file in their order.

    Attributes:
        names: what a person calls each: "line 17" or "row 3".
        fields: the named fields of each.
        because: notes on how the file was read.
        problems: entries that are no objects, or rows that a table lost.
    """

    names: list[str] = field(default_factory=list)
    fields: list[Record] = field(default_factory=list)
    because: dict[str, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of fields that at least half of the records have."""
        counts: dict[str, int] = {}
        for record in self.fields:
            for name in record:
                counts[name] = counts.get(name, 0) + 1
        return tuple(name for name, count in counts.items() if 2 * count >= len(self.fields))


def suffix_of(path: Path) -> str:
    """The ending of a file's name in small letters, without the one that says it is gzipped."""
    return path.with_suffix("").suffix.lower() if path.suffix.lower() == ".gz" else path.suffix.lower()


def read_records(path: Path, named: Sequence[str] = ()) -> Records:
    """The records of a file; its form follows from the suffix, and that of JSON from its first sign.

    Args:
        path: JSON lines, JSON, CSV, TSV or Parquet; text formats may be gzipped.
        named: columns that may be there; a first line that holds one of them is a header.

    Raises:
        DataError: not readable, or without records.
    """
    if not path.stat().st_size:
        raise DataError(f"'{path}' is empty (0 bytes); give at least one talk.")
    if suffix_of(path) in PARQUET:
        found = _rows(read_table(path))
    else:
        text, encoding = read_text(path)
        if suffix_of(path) in JSON:
            found = _gathered(_values(path, text))
        else:
            found = _rows(from_delimited(text, tabs=suffix_of(path) == ".tsv", named=named))
        if encoding != "utf-8":
            found.because["encoding"] = f"the file is not plain UTF-8 and was read as {encoding}"
    if not found.fields:
        first = f"; the first problem is {found.problems[0].name}: {found.problems[0].why}" if found.problems else ""
        raise DataError(f"'{path}' holds no objects with named fields{first}; give at least one talk.")
    return found


def read_head(path: Path, most: int, named: Sequence[str] = ()) -> Records:
    """The first records of a file, for a look at it; what is broken or too far behind is passed over in silence.

    Args:
        path: as for `read_records`.
        most: records.
        named: as for `read_records`.

    Raises:
        DataError: no Parquet.
        OSError, EOFError, zlib.error: not readable, or gzipped and damaged.
        csv.Error: no table.
    """
    if suffix_of(path) in PARQUET:
        return _parquet_head(path, most)
    for size in HEADS:
        text, whole = _head(path, size)
        found = _first(path, text, most, whole=whole, named=named)
        if found.names or whole:
            return found
    return Records()


def _parquet_head(path: Path, most: int) -> Records:
    import polars

    try:
        rows = polars.read_parquet(path, n_rows=most).to_dicts()
    except (polars.exceptions.PolarsError, polars.exceptions.PanicException, OSError) as error:
        raise DataError(f"'{path}' cannot be read as Parquet ({error}); write it again.") from error
    return Records([f"row {row}" for row in range(1, len(rows) + 1)], list(rows))


def _head(path: Path, size: int) -> tuple[str, bool]:
    """Text of the first bytes of a file, unpacked when gzipped, and whether that is all of it."""
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        raw = gzip.GzipFile(fileobj=file).read(size + 1) if packed else file.read(size + 1)
    return decode(raw[:size])[0], len(raw) <= size


def _first(path: Path, text: str, most: int, *, whole: bool, named: Sequence[str]) -> Records:
    if suffix_of(path) in JSON:
        values = _values_one_by_one(text, most)
        if len(values) == 1 and isinstance(only := values[0][1], dict):
            values = _by_row(path, only, "row 1")
        return _gathered(values[:most])
    ended = text if whole else text[: text.rfind("\n") + 1]
    found = _rows(from_delimited(ended, tabs=suffix_of(path) == ".tsv", named=named))
    return Records(found.names[:most], found.fields[:most])


def _values_one_by_one(text: str, most: int) -> list[tuple[str, object]]:
    """(name, value) of lines or of a list, up to the first that is broken, as the last of a cut text is."""
    decoder, values = json.JSONDecoder(), []
    at = len(text) - len(text.lstrip())
    at += text[at : at + 1] == "["
    while len(values) < most:
        try:
            value, at = decoder.raw_decode(text, BETWEEN.match(text, at).end())  # pyright: ignore[reportOptionalMemberAccess]
        except (ValueError, RecursionError):
            break
        values.append((f"row {len(values) + 1}", value))
    return values


def _rows(table: Table) -> Records:
    cells = zip(*table.columns.values(), strict=True)
    fields: list[Record] = [dict(zip(table.columns, row, strict=True)) for row in cells]
    return Records([f"row {row}" for row in table.rows], fields, table.because, table.problems)


def text_of(value: object) -> str | None:
    """A value as text without blanks around it: sentences are joined, what is missing is empty, an object is None."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, str):
        return mended(value).strip()
    if isinstance(value, list | tuple):
        pieces = [_piece(piece) for piece in value]
        return None if None in pieces else mended(" ".join(piece for piece in pieces if piece)).strip()
    return None if isinstance(value, Mapping) else str(value)


def _piece(value: object) -> str | None:
    """A sentence of a list, or the text of a part that says it is text."""
    if isinstance(value, Mapping):
        value = value.get("text") if value.get("type") == "text" else None
        return value if isinstance(value, str) else None
    return None if isinstance(value, list | tuple) else text_of(value)


def _gathered(values: list[tuple[str, object]]) -> Records:
    found = Records()
    for name, value in values:
        if isinstance(value, Mapping):
            found.names.append(name)
            found.fields.append(value)
        else:
            found.problems.append(Problem(name, "it is no object with named fields"))
    return found


def _values(path: Path, text: str) -> list[tuple[str, object]]:
    """(name, value) of each entry of one JSON list, of each line, or of one object over several lines."""
    if text.lstrip().startswith("["):
        try:
            return [(f"row {row}", value) for row, value in enumerate(json.loads(text), 1)]
        except (ValueError, RecursionError) as error:
            raise DataError(
                f"'{path}' begins as a list and is no valid JSON ({error}); write it again, or as one object per line."
            ) from error
    values: list[tuple[str, object]] = []
    for place, line in enumerate(lines_of(text), 1):
        if not line.strip():
            continue
        try:
            values.append((f"line {place}", json.loads(line)))
        except (ValueError, RecursionError) as error:
            whole = None if values else _object(text)
            if whole is not None:
                return _by_row(path, whole, "row 1")
            why = f"{error.msg} at sign {error.colno}" if isinstance(error, json.JSONDecodeError) else str(error)
            raise DataError(
                f"line {place} of '{path}' is no JSON ({why}); write one object on each line, and correct or delete"
                " this one."
            ) from error
    if len(values) == 1 and isinstance(only := values[0][1], dict):
        return _by_row(path, only, values[0][0])
    return values


def _object(text: str) -> dict[str, object] | None:
    """One object over several lines, or None."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _by_row(path: Path, whole: Mapping[str, object], name: str) -> list[tuple[str, object]]:
    """The only object of a file: in .json it may hold a list of cells for each of its columns."""
    lists = [value for value in whole.values() if isinstance(value, list)]
    sizes = {len(cells) for cells in lists}
    nested = any(isinstance(cell, dict | list) for cells in lists for cell in cells)
    if suffix_of(path) != ".json" or len(lists) < max(2, len(whole)) or len(sizes) > 1 or nested:
        return [(name, whole)]
    rows = zip(*lists, strict=True)
    return [(f"row {row}", dict(zip(whole, cells, strict=True))) for row, cells in enumerate(rows, 1)]
