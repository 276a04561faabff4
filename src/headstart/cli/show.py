"""Results on standard output: one JSON object for a program, or lines for a person."""

from __future__ import annotations

import json
import math
import sys
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence

WIDTH = 100  # columns of all that is printed for a person


def show(value: Mapping[str, object], as_json: bool, words: Callable[[], str]) -> None:
    """Print a result: for a program, or for a person."""
    if not as_json:
        print(words())
        return
    # escapes in place of letters where standard output cannot hold them all: then it is still JSON
    plain = "utf" not in (sys.stdout.encoding or "utf-8").lower()
    print(json.dumps(finite(value), ensure_ascii=plain, indent=1, allow_nan=False))


def finite(value: object) -> object:
    """The same with null in place of infinity and of what is not a number: JSON knows neither."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(name): finite(part) for name, part in value.items()}
    if isinstance(value, str) or not isinstance(value, Iterable):
        return value
    return [finite(part) for part in value]


def table(rows: Sequence[Sequence[str]], *, right: Sequence[int] = ()) -> list[str]:
    """Lines with columns of equal width, two blanks between them.

    Args:
        right: columns that are set to the right, as numbers are.
    """
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))] if rows else []
    lines = []
    for row in rows:
        cells = (
            cell.rjust(width) if k in right else cell.ljust(width)
            for k, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        lines.append("  ".join(cells).rstrip())
    return lines


def wrapped(text: str, *, indent: int = 0, first: str = "") -> list[str]:
    """Lines of at most WIDTH columns, the first behind `first`, the others as far in.

    Words that are longer than a line, such as paths, stay whole: cut they could not be copied.
    """
    blank = " " * (indent + len(first))
    return textwrap.wrap(
        text, WIDTH, initial_indent=" " * indent + first, subsequent_indent=blank, break_long_words=False,
        break_on_hyphens=False,
    )  # fmt: skip
