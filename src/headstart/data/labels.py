"""What a column of answers is: one class, several labels, or numbers; and the array made of it."""

from __future__ import annotations

import ast
import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headstart.data.dataset import UNKNOWN
from headstart.errors import DataError, UsageError

MOST_INTEGER_CLASSES = 20  # more distinct integers than this are numbers
SEPARATORS = "|;,"
FEWEST_SETS = 20  # rows from which on there must be fewer labels than rows
UNDIVIDED = re.compile(r"""['"]\s+['"]""")  # two strings without a comma, which Python would join to one
MISSING = frozenset({"", "nan", "null", "n/a", "#n/a", "<na>", "nat"})
THOUSANDS = re.compile(r"[+-]?\d{1,3}(?:(?P<mark>[,.' ])\d{3})(?:(?P=mark)\d{3})*(?:[,.]\d+)?", re.ASCII)
WHOLE = re.compile(r"\+?(-?\d+)(?:\.0*)?", re.ASCII)  # a whole number as people and spreadsheets write it

Value = str | int | float | bool | None | list


@dataclass(frozen=True)
class Targets:
    """Answers as an array.

    Attributes:
        task: classes, labels or numbers.
        y: as in Dataset, without the rows that are not kept.
        classes: label names, or target names.
        kept: positions of the rows that have an answer.
        left_out: position -> why, for the others.
        why: one sentence.
    """

    task: str
    y: NDArray
    classes: tuple[str, ...]
    kept: NDArray[np.int64]
    left_out: dict[int, str]
    why: str


def missing(value: Value) -> bool:
    """Whether a cell holds no answer."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return True
    return isinstance(value, str) and (value.strip().lower() in MISSING or value.strip() == "NA")


def targets(
    column: str,
    values: Sequence[Value],
    *,
    task: str | None = None,
    known: tuple[str, ...] | None = None,
    more: bool = False,
) -> Targets:
    """The targets in one column.

    Args:
        column: its name, for messages.
        values: n cells.
        task: what the user says it is; None detects it.
        known: label names of a finished model; their order is kept.
        more: as of `Options`.

    Raises:
        DataError: no answer at all, unique identifiers, one class, or numbers that are no numbers.
        UsageError: it could be two tasks; the sentence says which words of --task settle it.
    """
    left_out = {row: f"no answer in column '{column}'" for row, value in enumerate(values) if missing(value)}
    rows = [row for row in range(len(values)) if row not in left_out]
    if not rows:
        raise DataError(f"column '{column}' holds no answer in any of {len(values)} rows; name another with --label.")
    cells = [values[row] for row in rows]
    if task is not None:
        why = f"you said --task {task}"
    elif known is not None and not any(isinstance(cell, list) for cell in cells):
        task, why = "classes", f"the {len(known)} classes are known already"
    else:
        task, why = _detect(column, cells)
    if task == "numbers":
        return _numbers(column, cells, rows, left_out, why)
    if more and known is None:  # names that are taken as they are need not be two, or differ from identifiers
        sets = _label_sets(cells) if task == "labels" else [[class_name(cell)] for cell in cells]
        known = in_order({name for names in sets for name in names})
    if task == "labels":
        return _labels(column, cells, rows, left_out, (why, known))
    return _classes(column, cells, rows, left_out, (why, known))


def _detect(column: str, cells: list) -> tuple[str, str]:
    """The task and the reason."""
    if any(isinstance(cell, list) for cell in cells) or all(_json_list(cell) is not None for cell in cells):
        return "labels", f"column '{column}' holds lists"
    numbers = [number(cell) for cell in cells]
    if all(value is not None for value in numbers) and not all(isinstance(cell, bool) for cell in cells):
        _refuse_commas(column, cells)
        return _detect_numbers(column, np.array(numbers, dtype=float))
    refuse_thousands(column, cells)
    texts = {str(cell).strip() for cell in cells}
    inside = {mark: _pieces(texts, mark) for mark in SEPARATORS if any(mark in text for text in texts)}
    for mark, pieces in inside.items():
        if len(pieces) < len(texts):
            return "labels", f"cells of column '{column}' hold several names with '{mark}' between them"
    if _differ(len(texts), len(cells)):
        _refuse_nearly_numbers(column, cells, numbers)
    refuse_identifiers(column, len(texts), len(cells))
    doubtful = [mark for mark in inside if mark != ","]
    if doubtful:
        raise UsageError(
            f"column '{column}' has '{doubtful[0]}' inside its {len(texts)} different values, which may be several"
            " labels or part of a name; say --task labels or --task classes."
        )
    return "classes", f"column '{column}' holds {len(texts)} different names"


def _pieces(texts: set[str], mark: str) -> set[str]:
    return {piece.strip() for text in texts for piece in text.split(mark)}


def _refuse_commas(column: str, cells: list) -> None:
    """Raise where "1,2" may be the labels 1 and 2 or the number 1.2."""
    texts = {str(cell).strip() for cell in cells}
    pieces = _pieces(texts, ",")
    doubtful = sorted(text for text in texts if "," in text)
    if doubtful and len(pieces) <= MOST_INTEGER_CLASSES and all(map(str.isdecimal, pieces)):
        raise UsageError(
            f"column '{column}' holds cells such as '{doubtful[0]}', which may be several labels or one number with a"
            " decimal comma; say --task labels or --task numbers."
        )


def refuse_thousands(column: str, cells: list) -> None:
    """Raise where numbers are written as 1,234.50: beside it, 1,234 would be read as little more than one.

    Raises:
        DataError: a cell that is no number but for its separators, all others being numbers.
    """
    marked = [cell for cell in cells if number(cell) is None and not missing(cell)]
    if marked and all(isinstance(cell, str) and THOUSANDS.fullmatch(cell.strip()) for cell in marked):
        raise DataError(
            f"column '{column}' holds numbers with marks between the thousands, such as '{marked[0].strip()}', which"
            " cannot be told from decimal marks; write them without, as 1234.5, or say --task classes for names."
        )


def _refuse_nearly_numbers(column: str, cells: list, numbers: list[float | None]) -> None:
    """Raise where more than half of the cells are numbers: the others are mistakes rather than all of them names."""
    strange = [str(cell).strip() for cell, value in zip(cells, numbers, strict=True) if value is None]
    if 0 < 2 * len(strange) < len(cells):
        raise UsageError(
            f"column '{column}' holds numbers but for {len(strange)} of {len(cells)} cells, such as '{strange[0]}';"
            " correct them, or say --task numbers to leave those rows out."
        )


def _detect_numbers(column: str, numbers: NDArray) -> tuple[str, str]:
    distinct = len(np.unique(numbers))
    if (numbers != np.round(numbers)).any():
        return "numbers", f"column '{column}' holds numbers with decimals"
    if distinct <= MOST_INTEGER_CLASSES:
        return "classes", f"column '{column}' holds {distinct} different whole numbers"
    if distinct == len(numbers) and (
        numbers.max() - numbers.min() == distinct - 1 or re.search(r"(^|[_\s-])(id|index|nr|no|key)$", column.lower())
    ):
        refuse_identifiers(column, distinct, len(numbers))
    return "numbers", (
        f"column '{column}' holds {distinct} different whole numbers, more than {MOST_INTEGER_CLASSES};"
        " if they are class numbers, say --task classes"
    )


def refuse_identifiers(column: str, distinct: int, rows: int) -> None:
    """Raise where nearly every row has a label of its own.

    Raises:
        DataError: every value differs (from 5 rows on), or more than half do (from 20 rows on).
    """
    if _differ(distinct, rows):
        raise DataError(
            f"column '{column}' has {distinct} different values in {rows} rows, so it looks like an identifier and"
            " cannot be learned; name the column of answers with --label."
        )


def _differ(distinct: int, rows: int) -> bool:
    """Whether nearly every row has a value of its own."""
    return (rows >= 5 and distinct == rows) or (rows >= 20 and distinct > rows / 2)


def number(cell: Value) -> float | None:
    """A cell as a finite number, or None. A comma is read as a decimal point; "1_000" is a name, not a thousand."""
    if isinstance(cell, list) or cell is None or (isinstance(cell, str) and "_" in cell):
        return None
    try:
        value = float(cell.replace(",", ".", 1) if isinstance(cell, str) else cell)
    except (ValueError, OverflowError):
        return None
    return value if math.isfinite(value) else None


def class_name(cell: Value) -> str:
    """The name of a class: whole numbers without ".0", so that 1 and 1.0 are one class."""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    name = str(cell).strip()
    match = WHOLE.fullmatch(name)
    keeps_zeros = match is not None and len(match[1]) > 1 and match[1].startswith("0")  # 007 is a code
    return name if match is None or keeps_zeros else match[1]


def _json_list(cell: Value) -> list | None:
    """A list, or what JSON or Python writes for one; not NumPy's, which leaves out the commas."""
    if not (isinstance(cell, str) and cell.strip().startswith("[") and cell.strip().endswith("]")):
        return cell if isinstance(cell, list) else None
    try:
        value = json.loads(cell)
    except ValueError:
        if UNDIVIDED.search(cell):
            return None
        try:
            value = ast.literal_eval(cell.strip())
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return None
    return value if isinstance(value, list) else None


def _numbers(column: str, cells: list, rows: list[int], left_out: dict[int, str], why: str) -> Targets:
    values = [number(cell) for cell in cells]
    bad = {row: f"'{cell}' is no number" for row, cell, value in zip(rows, cells, values, strict=True) if value is None}
    kept = [row for row in rows if row not in bad]
    if bad:
        refuse_thousands(column, cells)
    if not kept:
        raise UsageError(
            f"column '{column}' holds no numbers (the first is '{cells[0]}'), and numbers are to be learned; name"
            " another column with --label."
        )
    y = np.array([[value] for value in values if value is not None], dtype=np.float64)
    return Targets("numbers", y, (column,), np.array(kept), left_out | bad, why)


def _classes(
    column: str, cells: list, rows: list[int], left_out: dict[int, str], told: tuple[str, tuple[str, ...] | None]
) -> Targets:
    why, known = told
    names = [class_name(cell) for cell in cells]
    classes = known or in_order(set(names))
    if known is None:
        refuse_identifiers(column, len(classes), len(names))
        if len(classes) == 1:
            raise DataError(
                f"every row of column '{column}' says '{classes[0]}': there is one class, and two are needed; add rows"
                " of another or name another column with --label."
            )
    place = {name: index for index, name in enumerate(classes)}
    bad = {row: f"'{name}' {UNKNOWN}" for row, name in zip(rows, names, strict=True) if name not in place}
    kept = [row for row in rows if row not in bad]
    y = np.array([place[name] for name in names if name in place], dtype=np.int64)
    return Targets("classes", y, tuple(classes), np.array(kept, dtype=np.int64), left_out | bad, why)


def _labels(
    column: str, cells: list, rows: list[int], left_out: dict[int, str], told: tuple[str, tuple[str, ...] | None]
) -> Targets:
    why, known = told
    sets = dict(zip(rows, _label_sets(cells), strict=True))
    classes = known or in_order({name for names in sets.values() for name in names})
    if len(classes) < 2 and known is None:
        raise DataError(
            f"the only label in column '{column}' is '{''.join(classes)}'; give at least two, or name another column"
            " with --label."
        )
    if known is None and len(cells) >= FEWEST_SETS and len(classes) > len(cells):
        raise DataError(
            f"column '{column}' holds {len(classes)} different labels in {len(cells)} rows, so they cannot be learned;"
            " name the column of answers with --label."
        )
    place = {name: index for index, name in enumerate(classes)}
    strange = {row: next((name for name in names if name not in place), None) for row, names in sets.items()}
    bad = {row: f"'{name}' {UNKNOWN}" for row, name in strange.items() if name is not None}
    kept = [row for row in rows if row not in bad]
    y = np.zeros((len(kept), len(classes)), dtype=np.float32)
    for at, row in enumerate(kept):
        y[at, [place[name] for name in sets[row]]] = 1
    return Targets("labels", y, tuple(classes), np.array(kept, dtype=np.int64), left_out | bad, why)


def _label_sets(cells: list) -> list[list[str]]:
    """The names in each cell: of a list, or between the separator that the column uses most."""
    lists = [_json_list(cell) for cell in cells]
    texts = [str(cell) for cell, found in zip(cells, lists, strict=True) if found is None]
    mark = max(SEPARATORS, key=lambda mark: sum(mark in text for text in texts))
    split = [found if found is not None else str(cell).split(mark) for cell, found in zip(cells, lists, strict=True)]
    return [[class_name(name) for name in names if not missing(name)] for names in split]


def in_order(names: set[str]) -> tuple[str, ...]:
    """Names in the order people expect: whole numbers by size, then the others by letters."""
    return tuple(sorted(names, key=lambda name: (number(name) is None, number(name) or 0.0, name)))
