"""What is kept of rows so that a head can be made without them: counts, sums and second moments, which add up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from headstart.errors import DataError

PREFIX = "moments."
_ROWS = 1024  # in double precision at a time
_LARGE = ("gram", "sums")  # stored in single precision


@dataclass(frozen=True, eq=False)
class Moments:
    """Sums over rows of features, in double precision. Columns (classes, labels, targets) go by position.

    Everything is a sum over rows of z = x - origin, so that moments of disjoint rows add up to those of all of them.
    The origin is fixed once, near the rows: about 0 the squares of features with large offsets would lose all digits.
    For numbers a row is its features with its targets behind, so that what both have in common is a part of `gram`.

    Attributes:
        task: classes, labels or numbers.
        targets: of numbers, the last so many of the w columns of a row; else 0.
        origin: (w,) that rows are measured from, in digits of single precision.
        rows: how many; not whole where they were weighed.
        total: (w,) sum of z.
        gram: (w, w) sum of zz'.
        count: (c,) rows of each class; of labels (2, c) that say yes and that say no; of numbers (0,).
        sums: the sum of z over each of those, (c, w), (2, c, w) or (0, w).
    """

    task: str
    targets: int
    origin: NDArray[np.float64]
    rows: float
    total: NDArray[np.float64]
    gram: NDArray[np.float64]
    count: NDArray[np.float64]
    sums: NDArray[np.float64]

    @classmethod
    def of(cls, x: NDArray, y: NDArray, task: str, columns: int, origin: NDArray | None = None) -> Self:
        """The moments of these rows.

        Args:
            x: (n, d) features, finite.
            y: classes (n,) int64 below `columns`; labels (n, c) of 0 and 1, NaN where nobody asked; numbers (n, t).
            columns: classes, labels or targets.
            origin: of the moments that these will be added to; None takes the mean of these rows.

        Raises:
            DataError: no rows, or an origin of another width.
        """
        if not len(x) or len(x) != len(y):
            raise DataError(f"{len(x)} rows and {len(y)} targets have no moments; give one target for each row.")
        behind = np.asarray(y, np.float64).reshape(len(y), -1) if task == "numbers" else np.zeros((len(y), 0))
        width = x.shape[1] + behind.shape[1]
        if origin is None:
            origin = np.concatenate([x.mean(0, dtype=np.float64), behind.mean(0)])
        if origin.shape != (width,):
            raise DataError(f"rows of {width} values cannot be measured from an origin of {origin.shape}; give theirs.")
        origin = np.asarray(origin, np.float32).astype(np.float64)  # what is stored is what was used
        shape = {"classes": (columns,), "labels": (2, columns)}.get(task, (0,))
        total, gram = np.zeros(width), np.zeros((width, width))
        count, sums = np.zeros(shape), np.zeros((*shape, width))
        for start in range(0, len(x), _ROWS):
            part = slice(start, start + _ROWS)
            z = np.concatenate([x[part], behind[part]], axis=1) - origin
            total += z.sum(0)
            gram += z.T @ z
            on = _on(y[part], task, columns)
            count += on.sum(-1)
            sums += on @ z
        return cls(task, behind.shape[1], origin, float(len(x)), total, gram, count, sums)

    @property
    def columns(self) -> int:
        """Classes, labels or targets."""
        return self.targets or self.count.shape[-1]

    @property
    def width(self) -> int:
        """Features of a row, d."""
        return len(self.origin) - self.targets

    @property
    def known(self) -> NDArray[np.bool_]:
        """(columns,) whether any row told of it."""
        if self.task == "numbers":
            return np.full(self.targets, self.rows > 0)
        return self.count.reshape(-1, self.columns).sum(0) > 0

    @property
    def centre(self) -> NDArray[np.float64]:
        """(w,) mean of the rows."""
        return self.origin + self.total / self.rows

    @property
    def spread(self) -> NDArray[np.float64]:
        """(w,) variance of the rows."""
        return np.maximum(np.diag(self.gram) / self.rows - (self.total / self.rows) ** 2, 0)

    @property
    def within(self) -> NDArray[np.float64]:
        """(w, w) scatter of the rows about the mean of their class; for labels and numbers about that of all."""
        if self.task != "classes":
            return self.gram - np.outer(self.total, self.total) / self.rows
        return self.gram - self._between(self.count, self.sums)

    def plus(self, other: Moments) -> Moments:
        """The moments of both together.

        Raises:
            DataError: of another task, other columns, another width or another origin.
        """
        mine, theirs = ((m.task, m.columns, m.width) for m in (self, other))
        if mine != theirs or not np.array_equal(self.origin, other.origin):
            raise DataError(
                f"moments of {theirs[0]} with {theirs[1]} columns and {theirs[2]} features do not add to those of "
                f"{mine[0]} with {mine[1]} and {mine[2]}; make them alike, about the same origin."
            )
        summed = {name: vars(self)[name] + vars(other)[name] for name in ("rows", "total", "gram", "count", "sums")}
        return replace(self, **summed)

    def scaled(self, weight: float | NDArray) -> Moments:
        """The moments of the same rows, each counting as `weight` of a row.

        Where the columns weigh differently their means are those of their rows still; what lies within them, which
        is kept for all together, counts by the share of the rows that are left.

        Args:
            weight: 0 or above; of all, or (columns,) of the rows that told of each class or label.

        Raises:
            DataError: numbers whose targets weigh differently.
        """
        each = np.broadcast_to(np.asarray(weight, np.float64), (self.columns,))
        if (each == each[0]).all():
            summed = {name: each[0] * vars(self)[name] for name in ("rows", "total", "gram", "count", "sums")}
            return replace(self, **summed)
        if self.task == "numbers":
            raise DataError("all targets of numbers are of the same rows; give one weight.")
        count, sums = each * self.count, each[:, None] * self.sums
        if self.task == "labels":
            share = count.sum() / self.count.sum()
            scaled = {name: share * vars(self)[name] for name in ("rows", "total", "gram")}
            return replace(self, **scaled, count=count, sums=sums)
        gram = self.within * (count.sum() / self.rows) + self._between(count, sums)
        return replace(self, rows=float(count.sum()), total=sums.sum(0), gram=gram, count=count, sums=sums)

    def with_columns(self, places: Sequence[int], columns: int) -> Moments:
        """The same with each column at another place, and columns that nothing is known of.

        Args:
            places: of each column so far, among the new ones.
            columns: how many there are then.

        Raises:
            DataError: a place twice or beyond, or numbers with other columns than their rows had.
        """
        at = np.asarray(places, np.int64)
        fits = len(at) == self.columns == len(set(places)) and at.min(initial=0) >= 0 and at.max(initial=0) < columns
        if not fits or (self.task == "numbers" and columns != self.columns):
            raise DataError(f"{self.columns} columns cannot be put at {list(places)} of {columns}; give each its own.")
        if self.task == "numbers":
            order = np.concatenate([np.arange(self.width), self.width + np.argsort(at)])
            moved = {name: vars(self)[name][order] for name in ("origin", "total")}
            return replace(self, **moved, gram=self.gram[np.ix_(order, order)])
        count = np.zeros((*self.count.shape[:-1], columns))
        sums = np.zeros((*count.shape, len(self.origin)))
        count[..., at], sums[..., at, :] = self.count, self.sums
        return replace(self, count=count, sums=sums)

    def arrays(self) -> dict[str, NDArray]:
        """All that `from_arrays` needs beside the task; the large ones in single precision."""
        said = {part.name: np.atleast_1d(vars(self)[part.name]) for part in fields(self) if part.name != "task"}
        said["targets"] = said["targets"].astype(np.int64)
        said["gram"] = self.gram[np.tril_indices(len(self.gram))]
        # files hold memory as it lies: an array that is another one's transpose would come back turned
        kinds = {name: np.float32 if name in _LARGE else value.dtype for name, value in said.items()}
        return {PREFIX + name: np.ascontiguousarray(value, kinds[name]) for name, value in said.items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray], task: str) -> Self:
        """The moments that `arrays` gave, but for the digits that single precision lacks; other names are ignored.

        Raises:
            DataError: a part is missing or has another size.
        """
        names = [part.name for part in fields(cls) if part.name != "task"]
        missing = [PREFIX + name for name in names if PREFIX + name not in arrays]
        if missing:
            raise DataError(f"the stored moments lack {', '.join(missing)}; fit the skill again.")
        said = {name: np.asarray(arrays[PREFIX + name], np.float64) for name in names}
        width = len(said["origin"])
        if said["gram"].shape != (width * (width + 1) // 2,) or said["sums"].shape != (*said["count"].shape, width):
            raise DataError("the stored moments are of several sizes; fit the skill again.")
        gram = np.zeros((width, width))
        start = 0
        for row in range(width):  # by rows: the places of all at once would take more memory than the values
            gram[row, : row + 1] = gram[: row + 1, row] = said["gram"][start : start + row + 1]
            start += row + 1
        whole = {"gram": gram, "targets": int(said["targets"][0]), "rows": float(said["rows"][0])}
        return cls(task, **{**said, **whole})  # pyright: ignore[reportArgumentType]

    def _between(self, count: NDArray, sums: NDArray) -> NDArray[np.float64]:
        there = count > 0
        rooted = sums[there] / np.sqrt(count[there])[:, None]
        return rooted.T @ rooted


def _on(y: NDArray, task: str, columns: int) -> NDArray[np.float64]:
    """(..., n) which rows count for which column."""
    if task == "labels":
        return np.stack([y.T == 1, y.T == 0]).astype(np.float64)
    if task == "classes":
        return (y == np.arange(columns)[:, None]).astype(np.float64)
    return np.zeros((0, len(y)))
