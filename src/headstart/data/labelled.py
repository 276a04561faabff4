"""Tables with answers, as a Dataset."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from headstart.data.columns import Inputs, find_inputs, find_labels, need, parts_in
from headstart.data.dataset import Dataset, Options, Problem
from headstart.data.encoding import mended
from headstart.data.labels import Targets, Value, class_name, missing, number, refuse_thousands, targets
from headstart.data.tables import Table, read_table
from headstart.errors import DataError, UsageError

SLASHED = re.compile(r"\s*(\d{1,2})/\d{1,2}/\d{4}")  # a date; a first number above 12 shows that it is the day


def read_tables(path: Path, parts: dict[Path, str | None], options: Options) -> Dataset:
    """One Dataset of one table, or of several that are the given parts of it.

    Args:
        path: the file or the folder, as the user named it.
        parts: table -> train, val or test, or None for a table without a part.
        options: what the user said.

    Raises:
        DataError: answers cannot be used, or no row is left.
        UsageError: a column is missing, or doubt that an option would settle.
    """
    said = (options.text, options.image, options.label, *(options.label or "").split(","), options.group, options.time)
    named = [name.strip() for name in said if name and name.strip()]
    return read_joined(path, {file: read_table(file, named) for file in parts}, parts, options)


def read_joined(path: Path, tables: dict[Path, Table], parts: dict[Path, str | None], options: Options) -> Dataset:
    """As `read_tables`, of tables that are read already."""
    table, names, given = _join(tables, parts)
    folder = path if path.is_dir() else path.parent
    inputs = find_inputs(table, folder, options)
    columns, why = find_labels(table, inputs, options)
    found = make_targets(table, columns, options)
    group, time = need(table, options.group, "--group"), need(table, options.time, "--time")
    times, bad_times = _times(table, time)
    sources, bad_inputs = _sources(table, inputs, folder)
    left_out = bad_times | found.left_out | bad_inputs
    if group is not None:
        left_out |= {row: f"no group in column '{group}'" for row, v in enumerate(table.columns[group]) if missing(v)}
    kept = [row for row in range(len(table.rows)) if row not in left_out]
    if not kept:
        row, reason = next(iter(left_out.items()))
        raise DataError(f"no row of '{path}' can be used; the first problem is {names[row]}: {reason}; correct it.")
    rows = np.array(kept)
    y = found.y[np.searchsorted(found.kept, rows)]
    classes = found.classes
    if found.task == "classes" and options.classes is None and not options.more:
        classes, y = _classes_that_are_left(found, y)
    part, part_why = _given_parts(table, given, {inputs.column, *columns})
    because = (
        table.because
        | part_why
        | {
            inputs.modality: inputs.why,
            "task": found.why,
            "label": why,
        }
    )
    return Dataset(
        path=path,
        modality=inputs.modality,
        task=found.task,
        inputs=tuple(sources[row] for row in kept),
        names=tuple(_name(sources[row], names[row], folder) for row in kept),
        y=y,
        classes=classes,
        part=None if part is None else part[rows],
        groups=None if group is None else np.array([class_name(table.columns[group][row]) for row in kept]),
        times=None if times is None else times[rows],
        because=because,
        problems=(*table.problems, *(Problem(names[row], left_out[row]) for row in sorted(left_out))),
    )


def _classes_that_are_left(found: Targets, y: NDArray) -> tuple[tuple[str, ...], NDArray]:
    """Classes that have a row once unusable rows are out, and the targets among them."""
    left = np.unique(y)
    if len(left) < 2:
        raise DataError(
            f"of the rows that can be used every one is '{found.classes[y[0]]}': there is one class, and two are"
            " needed; add rows of another."
        )
    return tuple(found.classes[kind] for kind in left), np.searchsorted(left, y)


def _join(tables: dict[Path, Table], parts: dict[Path, str | None]) -> tuple[Table, list[str], list[str] | None]:
    """All tables as one, the name of each row, and the part of each row where the files give it."""
    if len(tables) == 1 and None in parts.values():
        table = next(iter(tables.values()))
        return table, [f"row {row}" for row in table.rows], None
    first, *others = tables.items()
    for file, other in others:
        if set(other.columns) != set(first[1].columns):
            raise DataError(
                f"'{first[0].name}' has the columns {', '.join(first[1].columns)} and '{file.name}' has"
                f" {', '.join(other.columns)}; give all parts the same columns."
            )
    joined = Table({name: [] for name in first[1].columns}, [])
    names, given = [], []
    for file, table in tables.items():
        for name, cells in joined.columns.items():
            cells.extend(table.columns[name])
        joined.rows += table.rows
        joined.because |= table.because
        joined.problems += [Problem(f"{file.name} {problem.name}", problem.why) for problem in table.problems]
        names += [f"{file.name} row {row}" for row in table.rows]
        given += [str(parts[file])] * len(table.rows)
    joined.because["part"] = f"the tables are called {', '.join(file.name for file in tables)}"
    return joined, names, given


def make_targets(table: Table, columns: tuple[str, ...], options: Options) -> Targets:
    """The targets of one column, or of several: 0/1 columns are labels, others are numbers.

    Raises:
        DataError: several columns without a row of numbers.
        UsageError: a task that several columns cannot be, or columns other than those a finished model knows.
    """
    if len(columns) == 1:
        return targets(
            columns[0], table.columns[columns[0]], task=options.task, known=options.classes, more=options.more
        )
    if options.classes is not None:
        if set(options.classes) != set(columns):
            raise UsageError(
                f"the columns {', '.join(columns)} are not those the model answers, {', '.join(options.classes)}; name"
                " these with --label."
            )
        columns = options.classes
    for name in columns:
        refuse_thousands(name, table.columns[name])
    cells = [[number(cell) for cell in table.columns[name]] for name in columns]
    left_out = {
        row: "no answer in column '" + columns[[cell is None for cell in row_cells].index(True)] + "'"
        for row, row_cells in enumerate(zip(*cells, strict=True))
        if None in row_cells
    }
    kept = np.array([row for row in range(len(table.rows)) if row not in left_out], dtype=np.int64)
    if not len(kept):
        raise DataError(f"no row has a number in each of the columns {', '.join(columns)}; name others with --label.")
    y = np.array([[np.nan if cell is None else cell for cell in column] for column in cells], dtype=np.float64).T[kept]
    if options.task == "classes":
        raise UsageError(f"--task classes takes one column, and {len(columns)} were named; name one with --label.")
    if options.task != "numbers" and np.isin(y, (0, 1)).all():
        return Targets("labels", y.astype(np.float32), columns, kept, left_out, "several columns hold only 0 and 1")
    if options.task == "labels":
        raise UsageError(
            f"--task labels needs columns of 0 and 1, and {', '.join(columns)} hold other numbers; say --task numbers."
        )
    return Targets("numbers", y, columns, kept, left_out, "several columns hold numbers")


def _sources(table: Table, inputs: Inputs, folder: Path) -> tuple[list[Path | str], dict[int, str]]:
    """Each row's picture file or text, and why rows have none."""
    sources: list[Path | str] = []
    left_out: dict[int, str] = {}
    for row, cell in enumerate(table.columns[inputs.column]):
        if inputs.files is not None:
            name = "" if missing(cell) else str(cell).strip()
            file = inputs.files.get(name)
            sources.append(file or name)
            if file is None:
                left_out[row] = f"there is no picture '{name}' in '{folder}'" if name else "no picture is named"
            elif not file.stat().st_size:
                left_out[row] = f"the file '{name}' is empty (0 bytes)"
        else:
            text = text_of(cell)
            sources.append(text)
            if not text:
                left_out[row] = "the text is empty"
    return sources, left_out


def text_of(cell: Value) -> str:
    """A cell as text: lists of sentences are joined, what is missing is empty."""
    if isinstance(cell, list):
        return mended(" ".join(str(piece) for piece in cell)).strip()
    return "" if cell is None or cell != cell else str(cell).strip()


def _name(source: Path | str, name: str, folder: Path) -> str:
    if not isinstance(source, Path):
        return name
    return source.relative_to(folder).as_posix() if source.is_relative_to(folder) else str(source)


def _given_parts(table: Table, given: list[str] | None, used: set[str]) -> tuple[NDArray | None, dict[str, str]]:
    """The part of each row: from the files' names, or from a column of nothing but known part names."""
    if given is not None:
        return np.array(given), {}
    for name, cells in table.columns.items():
        parts = None if name in used else parts_in(name, cells)
        if parts:
            return np.array(parts), {"part": f"column '{name}' says which part a row belongs to"}
    return None, {}


def _times(table: Table, column: str | None) -> tuple[NDArray | None, dict[int, str]]:
    if column is None:
        return None, {}
    cells = table.columns[column]
    day_first = any(int(found[1]) > 12 for cell in cells if (found := SLASHED.match(str(cell))))
    values = [when(cell, day_first=day_first) for cell in cells]
    left_out = {row: f"no time in column '{column}'" for row, value in enumerate(values) if value is None}
    if len(left_out) > len(values) / 2:
        raise DataError(
            f"column '{column}' holds no times in {len(left_out)} of {len(values)} rows (the first is"
            f" '{table.columns[column][next(iter(left_out))]}'); use numbers or dates such as 2024-05-31."
        )
    return np.array([np.nan if value is None else value for value in values]), left_out


def when(cell: Value, *, day_first: bool = False) -> float | None:
    """A number, or the seconds of a date: ISO first, then day.month.year, then month/day/year.

    Args:
        cell: a cell of a column of times.
        day_first: dates with slashes are day/month/year.
    """
    value = None if isinstance(cell, bool) else number(cell)
    if value is not None or cell is None:
        return value
    text = str(cell).strip()
    readers: list[Callable[[str], datetime]] = [datetime.fromisoformat]
    slashed = "%d/%m/%Y" if day_first else "%m/%d/%Y"
    for form in ("%d.%m.%Y", slashed, "%d.%m.%Y %H:%M", f"{slashed} %H:%M", "%a %b %d %H:%M:%S %z %Y"):
        readers.append(lambda text, form=form: datetime.strptime(text, form))
    for reader in readers:
        try:
            found = reader(text)
        except ValueError:
            continue
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    return None
