"""Several documents in one row of tokens, so that little of a row is padding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headstart.errors import DataError

NOTHING = -100  # target of a place where nothing is to be told, as in torch


@dataclass(frozen=True, eq=False)
class Piece:
    """Tokens of one document.

    Attributes:
        ids: (t,) int64.
        told: (t,) which of them are to be learned: each is the target of the place before it.
    """

    ids: NDArray[np.int64]
    told: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.ids)


def packed(lengths: Sequence[int], width: int) -> list[list[int]]:
    """Positions of the documents of each row: the longest first, each into the fullest row that has room.

    Args:
        lengths: of the documents, 1..width.
        width: of a row.

    Returns:
        Rows in the order in which they were begun. Together they are at most 1.23 times as many as could be.

    Raises:
        DataError: a document that is longer than a row.

    Reference:
        Johnson, 1973, Near-optimal bin packing algorithms (best fit decreasing).
    """
    rows: list[list[int]] = []
    with_room: dict[int, list[int]] = {}  # room -> rows
    for at in sorted(range(len(lengths)), key=lambda k: (-lengths[k], k)):
        length = lengths[at]
        if not 1 <= length <= width:
            raise DataError(f"a document of {length} tokens does not fit a row of {width}; cut it first.")
        room = next((room for room in range(length, width) if with_room.get(room)), None)
        if room is None:
            rows.append([at])
            row, left = len(rows) - 1, width - length
        else:
            row, left = with_room[room].pop(0), room - length
            rows[row].append(at)
        if left:
            with_room.setdefault(left, []).append(row)
    return rows


def laid_out(pieces: Sequence[Piece], width: int) -> dict[str, NDArray[np.int64]]:
    """Rows of documents side by side, as a language model reads them.

    Args:
        pieces: the documents, of at most `width` tokens.
        width: of a row.

    Returns:
        `ids`, `doc` (1, 2, ... for the documents of a row, 0 for padding) and `next` (the token to be told at each
        place, or NOTHING), each (rows, width).
    """
    rows = packed([len(piece) for piece in pieces], width)
    ids, doc = np.zeros((len(rows), width), np.int64), np.zeros((len(rows), width), np.int64)
    following = np.full((len(rows), width), NOTHING, np.int64)
    for row, members in enumerate(rows):
        start = 0
        for number, at in enumerate(members, 1):
            piece = pieces[at]
            end = start + len(piece)
            ids[row, start:end], doc[row, start:end] = piece.ids, number
            following[row, start : end - 1] = np.where(piece.told[1:], piece.ids[1:], NOTHING)
            start = end
    return {"ids": ids, "doc": doc, "next": following}
