"""Heads for a skill that goes on learning: ways to one that knows old and new, and which of them the new rows ask for.

The ways are made from the new rows and from what is kept of the old (`heads.moments`). Rows may have changed since:
then the old count less where the new speak of the same classes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from headstart.adapt.probe import Ask, Folds
from headstart.heads import metrics
from headstart.heads.continual import SHRINKAGES, head_of, pseudo
from headstart.heads.linear import Linear, fit_head, own_folds
from headstart.heads.logistic import sigmoid, softmax
from headstart.heads.moments import Moments
from headstart.heads.temperature import temperature
from headstart.retain.kept import Sample

WEIGHTS = (1.0, 0.3, 0.1, 0.0)  # of old rows where new ones speak of the same
_MOST = 2000  # rows that the old ones count as for a head that is not of moments, all classes together
_FEWEST = 6  # rows below which the ways are not compared
_DRAWS = 200  # of the bootstrap by which ways are alike
_NOISE = 2.0  # standard errors: with several ways beside the simplest, one is often better by a single one
_CALIBRATED = 10  # rows from which on a temperature is fitted
Cost = Callable[[Linear], float]


@dataclass(frozen=True)
class Way:
    """One way to a head.

    Attributes:
        kind: moments, logistic, replayed or rows.
        weight: of old rows of what the new ones speak of too.
        strength: of its shrinkage; None takes that of the moments.
    """

    kind: str
    weight: float = 1.0
    strength: float | None = None

    @property
    def words(self) -> str:
        """What it is, for a person."""
        if self.kind == "rows":
            return "a head of the new rows alone"
        if self.kind == "logistic":
            return "a logistic head of the new rows and of rows drawn as the old ones lay"
        if self.kind == "replayed":
            return "a head of the new rows and of old ones that were kept, each counting as the rows it stands for"
        less = "" if self.weight == 1 else f", the old counting {self.weight:g} where the new speak of the same"
        more = "" if self.strength is None else f", shrinkage {self.strength:g}"
        return f"a head of the moments of old and new{less}{more}"


@dataclass(frozen=True, eq=False)
class Lesson:
    """New rows, and what is kept of the old.

    Attributes:
        x: (n, d) features that the skill's head reads.
        y: their targets, with the columns of the new head; NaN for labels that nobody asked about.
        ask: task, metric, columns and seed.
        old: of the rows before, with the same columns; None where nothing is kept.
        kept: some of those rows to learn from again, with the same columns; None where none were.
    """

    x: NDArray
    y: NDArray
    ask: Ask
    old: Moments | None
    kept: Sample | None = None

    def take(self, rows: NDArray[np.int64]) -> Lesson:
        """The same with these rows alone."""
        return replace(self, x=self.x[rows], y=self.y[rows])

    def moments(self, weight: float = 1.0) -> Moments:
        """Of old and new rows together, the old ones weighing less where the new speak of the same."""
        ask, old = self.ask, self.old
        fresh = Moments.of(self.x, self.y, ask.task, ask.columns, None if old is None else old.origin)
        if old is None:
            return fresh
        return old.scaled(np.where(fresh.known, weight, 1.0)).plus(fresh)

    def head(self, way: Way) -> Linear:
        """The head that a way makes of all rows."""
        ask = self.ask
        if way.kind == "moments":
            return head_of(self.moments(way.weight), strength=way.strength, balance=ask.balance)
        if way.kind == "replayed":
            return self._replayed()
        x, y = self.x, self.y
        if way.kind == "logistic" and self.old is not None:
            drawn, of = pseudo(self.old, np.ceil(_counted(self.old)).astype(np.int64).tolist(), seed=ask.seed)
            x, y = np.concatenate([drawn, x]), np.concatenate([of, y])
        kind = "logistic" if way.kind == "logistic" else None
        asked = {"task": ask.task, "metric": ask.metric, "classes": ask.columns}
        return fit_head(x, y, balance=ask.balance, seed=ask.seed, kind=kind, **asked).head

    def ways(self) -> tuple[Way, ...]:
        """That are worth a comparison, the simplest first."""
        if self.old is None:
            return (Way("rows"),)
        fresh = _told(self.y, self.ask)
        shared = bool((fresh & self.old.known).any())
        ways = tuple(Way("moments", weight) for weight in (WEIGHTS if shared else WEIGHTS[:1]))
        ways = (*ways, Way("logistic")) if self.ask.task == "classes" else ways
        return (*ways, Way("replayed")) if self._can_replay() else ways

    def _can_replay(self) -> bool:
        """Whether there are rows to replay, and each row tells of every label."""
        if self.kept is None or not len(self.kept):
            return False
        return self.ask.task == "classes" or bool(np.isfinite(self.y).all() and np.isfinite(self.kept.y).all())

    def _replayed(self) -> Linear:
        """The head of new rows and of kept ones, as often as they stand for rows; no fold learns what it tests."""
        assert self.old is not None
        assert self.kept is not None
        ask, kept = self.ask, self.kept
        x, y = np.concatenate([kept.x, self.x]), np.concatenate([kept.y, self.y])
        if ask.task == "classes":
            each = _counted(self.old)[kept.y] / np.bincount(kept.y)[kept.y]
            place = np.arange(len(kept)) - np.searchsorted(kept.y, kept.y)  # in its class: the rows lie class by class
        else:
            each, place = np.full(len(kept), min(self.old.rows, _MOST) / len(kept)), np.arange(len(kept))
        copies = np.maximum(np.rint((place + 1) * each) - np.rint(place * each), 1)  # in sum what they stand for
        copies = np.concatenate([copies, np.ones(len(self.x))]).astype(np.int64)
        row = np.repeat(np.arange(len(y)), copies)
        folds = [tuple(np.flatnonzero(np.isin(row, part)) for part in both) for both in own_folds(y, ask.seed)]
        kind = None if ask.task == "numbers" else "logistic"  # a discriminant has the moments
        asked = {"task": ask.task, "metric": ask.metric, "classes": ask.columns, "folds": folds, "kind": kind}
        return fit_head(x[row], y[row], balance=ask.balance, seed=ask.seed, **asked).head


@dataclass(frozen=True)
class Tried:
    """A way with the metric on rows that it did not learn from, NaN where there were too few, and what it costs."""

    way: Way
    value: float
    cost: float


@dataclass(frozen=True, eq=False)
class Renewed:
    """A head that knows old and new.

    Attributes:
        head: of all rows of the lesson.
        way: to it.
        tried: every way, the simplest first.
    """

    head: Linear
    way: Way
    tried: tuple[Tried, ...]


def renewed(lesson: Lesson, cost: Cost, limit: float, folds: Folds = ()) -> Renewed:
    """The head of the way that the new rows ask for, among those that cost no more of the old than is allowed.

    Each way learns from a part of the rows and answers the others. The simplest is taken that is not worse than the
    best by more than two standard errors of their paired difference; of a head from moments the shrinkage is chosen
    likewise afterwards. Where every way costs more than is allowed, the one that costs least.

    Args:
        cost: what a head loses of what was known, by a measure that no new row is needed for.
        limit: of the cost.
        folds: of the rows, where they must not be divided at random.
    """
    parts = list(folds) if len(folds) > 1 else list(own_folds(lesson.y, lesson.ask.seed))
    compared = len(lesson.x) >= _FEWEST and not any(np.isin(held, learned).any() for learned, held in parts)
    heads = {way: lesson.head(way) for way in lesson.ways()}
    costs = {way: cost(head) for way, head in heads.items()}
    # what is kept of the old is only an estimate of it: a hair's breadth above the least is the least
    allowed = [way for way in heads if costs[way] <= max(limit, min(costs.values()) + 1e-9)]
    seen = {way: _Seen.of(lesson, way, parts) for way in heads} if compared else {}
    best = _simplest([seen[way] for way in allowed]) if compared else None
    chosen = best.way if best else allowed[0]
    tried = [Tried(way, seen[way].value if compared else float("nan"), costs[way]) for way in heads]
    head = heads[chosen]
    if best and chosen.kind == "moments" and lesson.ask.task != "numbers":
        other = _simplest([best, *(_Seen.of(lesson, replace(chosen, strength=each), parts) for each in SHRINKAGES)])
        shrunk = lesson.head(other.way)
        if cost(shrunk) <= max(limit, costs[chosen]):
            best, chosen, head = other, other.way, shrunk
    if best and lesson.ask.task != "numbers" and chosen.kind not in ("rows", "replayed"):
        head = replace(head, temperature=best.temperature)
    return Renewed(head, chosen, tuple(tried))


@dataclass(frozen=True, eq=False)
class _Seen:
    """A way on rows that it did not learn from."""

    way: Way
    value: float
    draws: NDArray[np.float64]
    temperature: float
    higher: bool

    @classmethod
    def of(cls, lesson: Lesson, way: Way, parts: Folds) -> _Seen:
        """Each part's rows answered by a head of the others, temperature scaled, all scored together."""
        ask, scores, kept = lesson.ask, [], []
        for learned, held in parts:
            known = held[_can_be_known(lesson, learned, held)]
            if len(known):
                scores.append(lesson.take(learned).head(way).scores(lesson.x[known]))
                kept.append(known)
        higher = metrics.higher_is_better(ask.metric)
        if not kept:
            return cls(way, float("nan"), np.full(_DRAWS, np.nan), 1.0, higher)
        out, rows = np.concatenate(scores), np.concatenate(kept)
        y = lesson.y[rows]
        if ask.task == "labels":
            asked = ~np.isnan(y).any(0)
            out, y = out[:, asked], y[:, asked]
        hot = 1.0
        if ask.task != "numbers":
            hot = temperature(out, y, ask.task)[0] if len(y) >= _CALIBRATED else 1.0
            out = sigmoid(out / hot) if ask.task == "labels" else softmax(out / hot)
        value = metrics.score(ask.metric, out, y, ask.task)
        draws = metrics.resampled(ask.metric, out, y, ask.task, seed=ask.seed, draws=_DRAWS)
        return cls(way, value, draws, hot, higher)


def _simplest(seen: Sequence[_Seen]) -> _Seen:
    """The first that is not worse than the best by more than two standard errors; the first where none is defined."""
    sign = 1.0 if seen[0].higher else -1.0
    values = np.array([sign * each.value for each in seen])
    if not np.isfinite(values).any():
        return seen[0]
    top = seen[int(np.nanargmax(values))]
    for each in seen:
        lost = sign * (top.draws - each.draws)
        lost = lost[np.isfinite(lost)]
        if len(lost) and sign * (top.value - each.value) <= _NOISE * lost.std():
            return each
    return top


def _counted(old: Moments) -> NDArray[np.float64]:
    """(columns,) rows that the old ones of each class count as: in proportion, `_MOST` together at most."""
    return old.count * min(1.0, _MOST / max(1.0, float(old.count.sum())))


def _told(y: NDArray, ask: Ask) -> NDArray[np.bool_]:
    """(columns,) what the rows speak of."""
    if ask.task == "classes":
        return np.bincount(y, minlength=ask.columns) > 0
    return np.asarray(np.isfinite(y).any(axis=0))


def _can_be_known(lesson: Lesson, learned: NDArray[np.int64], held: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Rows of a class that was learned from, or is known from before."""
    if lesson.ask.task != "classes":
        return np.ones(len(held), bool)
    known = _told(lesson.y[learned], lesson.ask)
    if lesson.old is not None:
        known = known | lesson.old.known
    return known[lesson.y[held]]
