"""Words beside the dots of a figure, where they hide neither dots nor other words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

WIDE = 610.0  # pixels of a figure on a desk's screen; places across are in per cent, so that it is not known
_LETTER = 6.4  # pixels, mean of the page's letters
_HIGH = 15.0  # pixels of a line
_AWAY = 13.0  # from the middle of a dot to its words

Box = tuple[float, float, float, float]  # left, top, right, bottom


@dataclass(frozen=True)
class Side:
    """Where words stand beside their dot. anchor: class of the text (empty is its start); dx, dy: pixels."""

    anchor: str
    dx: float
    dy: float


SIDES = (
    Side("", _AWAY, 4),
    Side("end", -_AWAY, 4),
    Side("middle", 0, -_AWAY),
    Side("middle", 0, _AWAY + 10),
    Side("", 9, 21),
    Side("", 9, -11),
    Side("end", -9, -11),
    Side("end", -9, 21),
)


def places(
    words: Sequence[tuple[str, float, float]], height: float, taken: Sequence[Box] = (), crossed: Sequence[Box] = ()
) -> list[Side | None]:
    """A side for the words of each dot, those of the first dots first; None where all sides are taken.

    Args:
        words: text and the middle of its dot: share of the width from the left, pixels from the top.
        height: of the figure, in pixels; words stay inside it.
        taken: boxes that stay free.
        crossed: boxes that stay free where another side is.
    """
    full = [*taken, *(_around(x, y) for _, x, y in words)]
    found: list[Side | None] = []
    for text, x, y in words:
        boxes = [(side, _box(text, x, y, side)) for side in SIDES]
        free = [(side, box) for side, box in boxes if _inside(box, height) and not _meets(box, full, (x, y))]
        free.sort(key=lambda pair: _meets(pair[1], crossed, (x, y)))
        found.append(free[0][0] if free else None)
        full += [free[0][1]] if free else []
    return found


def _meets(box: Box, others: Sequence[Box], dot: tuple[float, float]) -> bool:
    """Whether a box meets one of the others, its own dot's left out."""
    own = _around(*dot)
    return any(
        box[0] < other[2] and other[0] < box[2] and box[1] < other[3] and other[1] < box[3]
        for other in others
        if other != own
    )


def _around(x: float, y: float) -> Box:
    return x * WIDE - 8, y - 8, x * WIDE + 8, y + 8


def _box(text: str, x: float, y: float, side: Side) -> Box:
    wide = _LETTER * len(text)
    left = x * WIDE + side.dx - {"": 0.0, "end": wide, "middle": wide / 2}[side.anchor]
    return left, y + side.dy - _HIGH + 3, left + wide, y + side.dy + 3


def _inside(box: Box, height: float) -> bool:
    return box[0] >= 0 and box[2] <= WIDE and box[1] >= 0 and box[3] <= height
