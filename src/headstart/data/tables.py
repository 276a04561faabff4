"""Tables as named columns of cells: CSV, TSV, JSON lines, JSON records and Parquet."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from headstart.data.dataset import Problem
from headstart.data.encoding import decode, lines_of, mended, read_text
from headstart.data.labels import Value, number
from headstart.errors import DataError

LONGEST_CELL = 2**31 - 1
PICTURE_STARTS = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"RIFF", b"II*\0", b"MM\0*")


@dataclass
class Table:
    """Columns of equal length, in the order of the file.

    Attributes:
        columns: name -> cells.
        rows: the number of each row as a person counts, from 1, without the header.
        because: notes on how the file was read.
        problems: rows that were left out.
    """

    columns: dict[str, list[Value]]
    rows: list[int]
    because: dict[str, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def read_table(path: Path, named: Sequence[str] = ()) -> Table:
    """A table from a file; its form follows from the suffix.

    Args:
        path: .csv, .tsv, .jsonl, .ndjson, .json, .parquet or .pq; text formats may be gzipped.
        named: columns the user asks for; a first line that holds one of them is a header.

    Raises:
        DataError: not readable, without rows, or a kind of data that is out of scope.
    """
    suffix = path.with_suffix("").suffix.lower() if path.suffix.lower() == ".gz" else path.suffix.lower()
    if suffix in (".parquet", ".pq"):
        table = _read_parquet(path)
    else:
        text, encoding = read_text(path)
        if suffix in (".jsonl", ".ndjson"):
            table = _from_json_lines(text)
        elif suffix == ".json":
            table = _from_json(path, text)
        else:
            table = from_delimited(text, tabs=suffix == ".tsv", named=named)
        if encoding != "utf-8":
            table.because["encoding"] = f"the file is not plain UTF-8 and was read as {encoding}"
    if not table.rows:
        raise DataError(f"'{path}' holds no rows; give a table with a header and at least one row per class.")
    return table


def from_delimited(text: str, *, tabs: bool, named: Sequence[str] = ()) -> Table:
    """A table from CSV or TSV text: separator, quotes and header are found."""
    mark = "\t" if tabs else _separator(text)
    lines = _split(text, mark)
    if not lines:
        return Table({}, [])
    width = len(lines[0]) if lines else 0
    if tabs or len({len(line) for line in lines[:200]}) > 1:
        width = max(width, Counter(len(line) for line in lines).most_common(1)[0][0])
    header = _is_header(lines, named)
    names = _unique(lines[0]) if header else [f"column_{place + 1}" for place in range(width)]
    names += [f"column_{place + 1}" for place in range(len(names), width)]
    table = Table({name: [] for name in names}, [])
    if not header:
        table.because["header"] = "the first line looks like data, so the columns are called column_1, column_2, ..."
    elif twice := _twice(lines[0]):
        again = [name for name, cell in zip(names, lines[0], strict=False) if cell.strip() == twice and name != twice]
        table.because["header"] = f"the header says '{twice}' more than once; the later are called {', '.join(again)}"
    _fill(table, lines[1 if header else 0 :], lines[0] if header else None)
    if mark != ("\t" if tabs else ","):
        table.because["separator"] = f"the columns are separated by {'tabs' if mark == chr(9) else repr(mark)}"
    return table


def _fill(table: Table, lines: list[list[str]], header: list[str] | None) -> None:
    cells = list(table.columns.values())
    for place, line in enumerate(lines, 1):
        if len(line) != len(cells):
            why = f"it has {len(line)} cells and the table has {len(cells)} columns"
            table.problems.append(Problem(f"row {place}", why))
        elif header is not None and line == header:
            table.problems.append(Problem(f"row {place}", "it repeats the header"))
        else:
            table.rows.append(place)
            for column, cell in zip(cells, line, strict=True):
                column.append(cell)


def _separator(text: str) -> str:
    """The mark that splits most lines into the same number of cells, more than one; a comma in doubt.

    It must split the first line too: decimal commas split every line but the header.
    """
    best = (",", 0.0)
    for mark in ",;\t|":
        lines = _parse(text[:20000], mark, csv.QUOTE_MINIMAL)[:50]
        if not lines or len(lines[0]) == 1:
            continue
        width, count = Counter(len(line) for line in lines).most_common(1)[0]
        steady = count / len(lines)
        if width > 1 and steady > best[1] + 0.1:
            best = (mark, steady)
    return best[0]


def _split(text: str, mark: str) -> list[list[str]]:
    """Lines of cells, blank lines dropped; quotes are text where taking them as quotes tears or swallows lines."""
    quoted = _parse(text, mark, csv.QUOTE_MINIMAL)
    if '"' not in text:
        return quoted
    torn = _torn(quoted)
    if not torn and _is_quoted_well(text, mark):
        return quoted
    plain = _parse(text, mark, csv.QUOTE_NONE)
    return plain if (_torn(plain), -len(plain)) < (torn, -len(quoted)) else quoted


def _parse(text: str, mark: str, quoting: int, *, strict: bool = False) -> list[list[str]]:
    before = csv.field_size_limit(LONGEST_CELL)  # a whole book may be one cell
    try:
        source = io.StringIO(text, newline="")
        # typeshed takes the constants of csv for any int
        reader = csv.reader(source, delimiter=mark, quoting=quoting, strict=strict)  # pyright: ignore[reportArgumentType]
        return [line for line in reader if any(line)]
    finally:
        csv.field_size_limit(before)


def _is_quoted_well(text: str, mark: str) -> bool:
    """Whether each closing quote ends its cell; one inside a text does not."""
    try:
        _parse(text, mark, csv.QUOTE_MINIMAL, strict=True)
    except csv.Error:
        return False
    return True


def _torn(lines: list[list[str]]) -> int:
    widths = Counter(len(line) for line in lines)
    return len(lines) - max(widths.values(), default=0)


def _is_header(lines: list[list[str]], named: Sequence[str]) -> bool:
    """Whether the first line names the columns: no cell of it is a number or comes again in its own column.

    A single column must be named in one or two words, or the first of many texts would be lost as its name.
    """
    first = [cell.strip() for cell in lines[0]]
    if {name.lower() for name in named} & {cell.lower() for cell in first}:
        return True
    if len(first) == 1 and len(first[0].split()) > 2:
        return False
    if first == [str(place) for place in range(len(first))] or len(lines) == 1:
        return True
    body = [line for line in lines[1:2001] if line != lines[0] and len(line) == len(first)]
    for place, cell in enumerate(first):
        if cell and (number(cell) is not None or any(line[place].strip() == cell for line in body)):
            return False
    return True


def _unique(header: list[str]) -> list[str]:
    """Column names without blanks around them, numbered where one is missing or comes twice."""
    names: list[str] = []
    for place, cell in enumerate(header):
        name = cell.strip() or f"unnamed_{place + 1}"
        names.append(name if name not in names else f"{name}_{place + 1}")
    return names


def _twice(header: list[str]) -> str:
    """The first name that comes again in a header, or nothing."""
    cells = [cell.strip() for cell in header]
    return next((cell for cell in cells if cell and cells.count(cell) > 1), "")


def from_records(records: Sequence[Value | dict], numbers: Sequence[int] | None = None) -> Table:
    """A table from objects with named fields; a field that a record lacks is None."""
    numbers = numbers or range(1, len(records) + 1)
    table = Table({}, [])
    good = [(place, record) for place, record in zip(numbers, records, strict=True) if isinstance(record, dict)]
    table.problems += [
        Problem(f"row {place}", "it is no object with named fields")
        for place, record in zip(numbers, records, strict=True)
        if not isinstance(record, dict)
    ]
    names = list(dict.fromkeys(str(name) for _, record in good for name in record))
    table.columns = {name: [_cell(record.get(name)) for _, record in good] for name in names}
    table.rows = [place for place, _ in good]
    return table


def _cell(value: Value | dict) -> Value:
    if isinstance(value, str):
        return mended(value)
    return json.dumps(value) if isinstance(value, dict) else value


def _from_json_lines(text: str) -> Table:
    records, places, problems = [], [], []
    for place, line in enumerate((line for line in lines_of(text) if line.strip()), 1):
        try:
            records.append(json.loads(line))
            places.append(place)
        except (ValueError, RecursionError):
            problems.append(Problem(f"row {place}", "it is no valid JSON"))
    table = from_records(records, places)
    table.problems += problems
    return table


def _from_json(path: Path, text: str) -> Table:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        lines = _from_json_lines(text)
        if len(lines.rows) > len(lines.problems):
            return lines
        raise DataError(f"'{path}' is no valid JSON ({error}); write it again, or as one object per line.") from error
    if isinstance(value, dict) and {"annotations", "images"} <= set(value):
        raise DataError(
            f"'{path}' holds 'images' and 'annotations' as COCO files for detection and segmentation do, which is out"
            " of scope; give one folder per class, or a table with a column of pictures and one of labels."
        )
    if isinstance(value, dict) and value and all(isinstance(column, list) for column in value.values()):
        columns = {str(name): [_cell(cell) for cell in column] for name, column in value.items()}
        if len({len(column) for column in columns.values()}) == 1:
            return Table(columns, list(range(1, len(next(iter(columns.values()))) + 1)))
    if isinstance(value, list):
        return from_records(value)
    raise DataError(f"'{path}' is JSON of another form; give a list of objects with named fields, or JSON lines.")


def _read_parquet(path: Path) -> Table:
    import polars

    try:
        frame = polars.read_parquet(path)
    except (polars.exceptions.PolarsError, OSError) as error:
        raise DataError(
            f"'{path}' cannot be read as Parquet ({str(error).splitlines()[0]}); write it again."
        ) from error
    columns = {name: [_from_arrow(cell, name) for cell in frame[name].to_list()] for name in frame.columns}
    return Table(columns, list(range(1, frame.height + 1)))


def _from_arrow(value: object, column: str) -> Value:
    if value is None or isinstance(value, str | int | float | bool | list):
        return value
    raw = value.get("bytes") if isinstance(value, dict) else value
    if isinstance(raw, bytes):
        if raw.startswith(PICTURE_STARTS):
            raise DataError(
                f"column '{column}' holds the bytes of pictures inside the table, which are not read; save each as a"
                " file and give a column of their paths."
            )
        return decode(raw)[0]
    return str(value)
