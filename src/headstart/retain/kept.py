"""A sample of features that a skill keeps of its rows, and that goes on as rows come."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from headstart.errors import DataError
from headstart.retain.sample import Rows, quotas, reservoir

PREFIX = "sample."
_LARGEST = float(np.finfo(np.float16).max)
_CHUNK = 4096  # rows that are rounded at a time


@dataclass(frozen=True, eq=False)
class Sample:
    """Features of some rows of many, with their targets; about half of them judge, and are not to be learned from.

    Which rows are kept is left to chance, as it must be for those that judge: typical ones would flatter every head.
    Which of them judge is decided once, when they are taken in: of each two rows of a class one does, by a coin; of
    labels and numbers, of each two neighbours in the targets.

    Attributes:
        task: classes, labels or numbers.
        most: rows that are kept at most, 1 or more.
        z: (n, d) float16 of (x - origin) / scale: of x itself, large offsets would leave no digits.
        y: (n,) int64 classes, ascending; (n, c) labels of 0 and 1, NaN where nobody asked; or (n, t) numbers.
        judges: (n,) which rows do.
        origin: (d,) near the features' mean; scale: (d,) about their deviation, above 0. Both stay what they are.
    """

    task: str
    most: int
    z: NDArray[np.float16]
    y: NDArray
    judges: NDArray[np.bool_]
    origin: NDArray
    scale: NDArray[np.float32]

    @classmethod
    def empty(cls, task: str, most: int, *, columns: int, origin: NDArray, scale: NDArray) -> Self:
        """A sample of no rows yet, of so many classes, labels or numbers."""
        y = np.empty(0, np.int64) if task == "classes" else np.empty((0, columns))
        z, judges = np.empty((0, len(origin)), np.float16), np.empty(0, bool)
        return cls(task, most, z, y, judges, origin, np.asarray(scale, np.float32))

    def __len__(self) -> int:
        return len(self.y)

    @property
    def x(self) -> NDArray[np.float32]:
        """(n, d) the features, but for the digits that half precision lacks."""
        return (self.origin + self.z * self.scale.astype(np.float64)).astype(np.float32)

    def half(self, *, judges: bool) -> Sample:
        """The rows that judge, or those that may be learned from."""
        return self.take(np.flatnonzero(self.judges == judges))

    def take(self, rows: Rows) -> Sample:
        """The same of these rows alone."""
        return replace(self, z=self.z[rows], y=self.y[rows], judges=self.judges[rows])

    def with_columns(self, columns: int) -> Sample:
        """The same where more labels may come, which nobody asked these rows about; the first ones stay in place."""
        if self.task != "labels":
            return self
        more = np.full((len(self), columns - self.y.shape[1]), np.nan)
        return replace(self, y=np.concatenate([self.y, more], axis=1))

    def plus(self, x: NDArray, y: NDArray, stood: NDArray, *, seed: int) -> Sample:
        """The sample after these rows: `most` where there are as many.

        As many of each class as can be (see `quotas`); of a class that came before, old and new rows by what each stand
        for. Of labels and numbers all rows are as likely (see `reservoir`).

        Args:
            x: (m, d) features.
            y: targets, with the columns of this sample.
            stood: rows that those so far stand for: (c,) of each class, else of all. Rows of a class whose rows count
                nothing any more are dropped.
            seed: of the draws.

        Raises:
            DataError: `most` below 1.
        """
        z = self._rounded(x)
        kept, taken = self._by_class(y, stood, seed) if self.task == "classes" else self._by_chance(len(y), stood, seed)
        judges = np.concatenate([self.judges[kept], _halves(y[taken], self.task, seed)])
        both = np.concatenate([self.y[kept], y[taken]])
        order = np.argsort(both, kind="stable") if self.task == "classes" else np.arange(len(both))
        z = np.concatenate([self.z[kept], z[taken]])
        return replace(self, z=z[order], y=both[order], judges=judges[order])

    def arrays(self) -> dict[str, NDArray]:
        """All that `from_arrays` needs beside task and origin."""
        most = np.array([self.most], np.int64)
        said = {"x": self.z, "y": self.y, "judges": self.judges, "scale": self.scale, "most": most}
        return {PREFIX + name: np.ascontiguousarray(value) for name, value in said.items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray], task: str, columns: int, origin: NDArray) -> Self | None:
        """The sample that `arrays` gave; None where they hold none. Other names are ignored.

        Raises:
            DataError: a part is missing or has another size.
        """
        if PREFIX + "x" not in arrays:
            return None
        missing = [name for name in ("y", "judges", "scale", "most") if PREFIX + name not in arrays]
        if missing:
            raise DataError(f"the stored sample lacks {', '.join(missing)}; fit the skill again.")
        z, y, judges, scale, most = (arrays[PREFIX + name] for name in ("x", "y", "judges", "scale", "most"))
        wanted = (len(z),) if task == "classes" else (len(z), columns)
        fits = z.shape[1:] == scale.shape == origin.shape and y.shape == wanted and judges.shape == (len(z),)
        if not fits or (task == "classes" and not np.isin(y, np.arange(columns)).all()):
            raise DataError("the parts of the stored sample do not fit each other; fit the skill again.")
        return cls(task, int(most[0]), z, y, judges, origin, scale)

    def _rounded(self, x: NDArray) -> NDArray[np.float16]:
        z, origin = np.empty(x.shape, np.float16), self.origin.astype(np.float32)
        for start in range(0, len(x), _CHUNK):
            part = slice(start, start + _CHUNK)
            z[part] = np.clip((x[part] - origin) / self.scale, -_LARGEST, _LARGEST)
        return z

    def _by_class(self, y: NDArray, stood: NDArray, seed: int) -> tuple[Rows, Rows]:
        """Rows of this sample, and new rows."""
        draw, old = np.random.default_rng([seed, 45]), np.flatnonzero(stood[self.y] > 0)
        kept, taken = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
        both = np.concatenate([self.y[old], y])
        for rows, quota in quotas(both, self.most):
            mine, new = old[rows[rows < len(old)]], rows[rows >= len(old)] - len(old)
            before = round(float(stood[both[rows[0]]]))
            of_old = draw.hypergeometric(before, len(new), min(quota, before + len(new)))
            count = min(len(new), quota - min(len(mine), of_old))
            kept.append(self._some(mine, quota - count, draw))
            taken.append(draw.permutation(new)[:count])
        return np.concatenate(kept), np.concatenate(taken)

    def _some(self, rows: Rows, count: int, draw: np.random.Generator) -> Rows:
        """Random ones of these rows, as many that judge as others where there are."""
        halves = [draw.permutation(rows[self.judges[rows] == judges]) for judges in (False, True)]
        rank = np.concatenate([np.arange(len(half)) for half in halves])
        return np.sort(np.concatenate(halves)[np.argsort(rank, kind="stable")[:count]])

    def _by_chance(self, new: int, stood: NDArray, seed: int) -> tuple[Rows, Rows]:
        """Rows of this sample, and new rows, as many of each as one reservoir over all would hold."""
        before = round(float(stood))
        found = reservoir(before + new, self.most, seed=seed)
        draw = np.random.default_rng([seed, 43])
        kept = draw.permutation(len(self))[: int((found < before).sum())]
        return np.sort(kept), found[found >= before] - before


def _halves(y: NDArray, task: str, seed: int) -> NDArray[np.bool_]:
    """(n,) which rows judge: a random one of each two neighbours, and never a row without one."""
    draw, judges = np.random.default_rng([seed, 44]), np.zeros(len(y), bool)
    lines = [np.flatnonzero(y == label) for label in np.unique(y)] if task == "classes" else [np.lexsort(y.T[::-1])]
    for line in lines:
        pairs = line[: len(line) // 2 * 2].reshape(-1, 2)
        judges[pairs[np.arange(len(pairs)), draw.integers(0, 2, len(pairs))]] = True
    return judges
