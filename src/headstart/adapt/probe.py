"""Linear probes on pooled outputs of held blocks: which layer, or which layers joined, suit the data."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from headstart.adapt.held import Held, Progress, Reader
from headstart.core.store import Table
from headstart.data.dataset import Dataset
from headstart.heads.linear import Fitted, fit_head
from headstart.heads.logistic import sigmoid, softmax
from headstart.heads.metrics import higher_is_better, mean_interval, score
from headstart.heads.quick import loo

Folds = Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]]

_LOOK = 1000  # rows that layers are compared on
WIDEST = 6000  # joined features beyond this cost more than they gave


class Outputs(Protocol):
    """Pooled outputs for the rows of one data set: of one network (`Features`), or of several side by side."""

    @property
    def held(self) -> Reader: ...
    @property
    def data(self) -> Dataset: ...
    @property
    def taps(self) -> Mapping[str, int]: ...
    @property
    def last(self) -> tuple[str, ...]: ...
    def joins(self) -> list[tuple[str, ...]]: ...
    def read(self, rows: NDArray[np.int64], progress: Progress | None = None) -> None: ...
    def matrix(self, rows: NDArray[np.int64], taps: Sequence[str], progress: Progress | None = None) -> NDArray: ...


@dataclass(frozen=True)
class Features:
    """Pooled outputs of held blocks, computed for the rows that are asked for and kept in the store.

    Attributes:
        held: the network.
        data: all examples.
        table: of the store.
    """

    held: Held
    data: Dataset
    table: Table

    @property
    def taps(self) -> Mapping[str, int]:
        """Name -> width, nearest the input first."""
        return dict(zip(self.held.taps, self.held.widths, strict=True))

    @property
    def last(self) -> tuple[str, ...]:
        """The tap that a head reads where nothing says otherwise."""
        return self.held.taps[-1:]

    def joins(self) -> list[tuple[str, ...]]:
        """Every tap, and joins of taps, that a head may read."""
        return candidates(self.taps)

    def read(self, rows: NDArray[np.int64], progress: Progress | None = None) -> None:
        """Run these rows through the network, but for those that are in the table already."""
        self.held.fill(self.data.take(rows), self.table, progress=progress)

    def matrix(self, rows: NDArray[np.int64], taps: Sequence[str], progress: Progress | None = None) -> NDArray:
        """(rows, sum of widths) float32: these taps side by side."""
        keys = [self.data.keys[row] for row in rows]
        if not self.table.has(keys):
            self.read(rows, progress)
        if len(taps) == 1:
            return self.table.matrix(keys, taps[0])
        return np.concatenate([self.table.matrix(keys, tap) for tap in taps], axis=1)


@dataclass(frozen=True)
class Ask:
    """What a head is asked for: the same for every rung of one fit.

    Attributes:
        task: classes, labels or numbers.
        metric: that decides.
        columns: of the head: classes, labels or numbers.
        balance: whether classes weigh the same however many rows they have.
        seed: of every random draw.
        apart: whether folds keep groups together or go forward in time, so that rows are not exchangeable.
    """

    task: str
    metric: str
    columns: int
    balance: bool = False
    seed: int = 0
    apart: bool = False

    def better(self, a: float, b: float) -> bool:
        """Whether score a beats score b."""
        return a > b if higher_is_better(self.metric) else a < b

    def score(self, scores: NDArray, y: NDArray) -> float:
        """The metric of (n, c) scores, as a head gives them."""
        if self.task == "numbers":
            return score(self.metric, scores, y, self.task)
        return score(self.metric, softmax(scores) if self.task == "classes" else sigmoid(scores), y, self.task)


@dataclass(frozen=True)
class Rung:
    """One step of the way down, as measured on validation folds.

    Attributes:
        name: for the report.
        depth: blocks that learned.
        taps: whose pooled outputs the head reads.
        scores: of each validation fold.
        seconds: that it took.
        beside: score of the rung above on the same rows, where the two were compared.
    """

    name: str
    depth: int
    taps: tuple[str, ...]
    scores: tuple[float, ...]
    seconds: float
    beside: float | None = None

    @property
    def score(self) -> float:
        """Mean over the folds."""
        return float(np.mean(self.scores))

    @property
    def interval(self) -> tuple[float, float] | tuple[None, None]:
        """95 % of the mean over the folds (Student's t); none with one fold."""
        return mean_interval(self.scores)[1:]


def candidates(taps: Mapping[str, int]) -> list[tuple[str, ...]]:
    """Single layers from the last to the first, then joins that end in the last: two, four and all."""
    names = tuple(taps)
    single = [(name,) for name in reversed(names)]
    joins = [names[-k:] for k in (2, 4, len(names)) if 1 < k <= len(names)]
    narrow = [join for join in dict.fromkeys(joins) if sum(taps[name] for name in join) <= WIDEST]
    return single + narrow


def look(
    features: Outputs,
    rows: NDArray[np.int64],
    y: NDArray,
    folds: Folds,
    ask: Ask,
    *,
    also: tuple[str, ...] | None = None,
) -> list[Rung]:
    """Every candidate of layers, compared by ridge regression on the same rows, best first.

    Each row is scored by a model without it, in closed form. Where the folds keep groups together or go forward in
    time that would be too kind, and one model per fold is fitted instead.

    Args:
        rows: that may be looked at.
        y: targets of those rows.
        folds: positions within `rows`.
        also: taps that are looked at beside the candidates.
    """
    chosen = np.random.default_rng([ask.seed, 1]).permutation(len(rows))[:_LOOK]
    place = np.full(len(rows), -1)
    place[chosen] = np.arange(len(chosen))
    parts = [(place[train][place[train] >= 0], place[test][place[test] >= 0]) for train, test in folds]
    parts = [(train, test) for train, test in parts if len(train) > 1 and len(test)]
    rungs = []
    wanted = features.joins()
    if also and also not in wanted:
        wanted.append(also)
    for taps in wanted:
        start = time.perf_counter()
        x = features.matrix(rows[chosen], taps)
        scores = _held_out(x, y[chosen], parts, ask)
        name = " + ".join(taps) if len(taps) < len(features.taps) or len(taps) == 1 else "all layers"
        rungs.append(Rung(f"probe of {name}", 1, taps, scores, time.perf_counter() - start))
    return sorted(rungs, key=lambda rung: -rung.score if higher_is_better(ask.metric) else rung.score)


def _held_out(x: NDArray, y: NDArray, parts: Folds, ask: Ask) -> tuple[float, ...]:
    """The metric on each part's tested rows."""
    outs = held_out(x, y, parts, ask)
    return tuple(ask.score(out, y[test]) for out, (_, test) in zip(outs, parts, strict=True))


def held_out(x: NDArray, y: NDArray, parts: Folds, ask: Ask) -> list[NDArray]:
    """(tested, c) scores of each part's tested rows, by a model that did not see them."""
    if ask.apart:
        heads = [fit_head(x[a], y[a], task=ask.task, balance=ask.balance, classes=ask.columns).head for a, _ in parts]
        return [head.scores(x[test]) for head, (_, test) in zip(heads, parts, strict=True)]
    _, out = loo(x, y, task=ask.task, classes=ask.columns, balance=ask.balance)
    return [out[test] for _, test in parts]


def fit_probe(
    features: Outputs, rows: NDArray[np.int64], y: NDArray, folds: Folds, ask: Ask, taps: Sequence[str]
) -> Fitted:
    """The head on these taps, its strength chosen by the folds."""
    return fit_head(
        features.matrix(rows, taps),  # without a name here, so that its memory is free once it is standardised
        y,
        task=ask.task,
        folds=folds,
        balance=ask.balance,
        metric=ask.metric,
        seed=ask.seed,
        classes=ask.columns,
    )
