"""How a tail learns something new and an earlier task is kept: guards, shares of the way, and what both cost."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from headstart.adapt.guards import MIX, STRENGTH, Guard
from headstart.adapt.old import Old
from headstart.adapt.probe import Outputs
from headstart.retain.measure import Lost, lost

if TYPE_CHECKING:
    from headstart.adapt.following import Following
    from headstart.adapt.tune import Tail, Tuned
    from headstart.sources.load import Pretrained

SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
_SURE = 0.95  # confidence with which a limit is kept, one-sided

Rows = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Scene:
    """The new task, as guards are chosen for it.

    Attributes:
        features: of its data.
        rows: of the data that may be looked at.
        learn, judge: positions within `rows`: a head learns from the ones and is scored on the others.
        score: (rows, d) features of all of them -> the metric on the judged ones, and (judged,) how well each of them
            is answered; above is better for both.
        alone: (rows, d) features of all of them for the head that learns where nothing deeper does.
        depth: blocks that learn.
        precision: of their arithmetic.
        cache: of the user.
        seed: of what is drawn.
    """

    features: Outputs
    rows: Rows
    learn: Rows
    judge: Rows
    score: Callable[[NDArray], tuple[float, NDArray]]
    alone: NDArray
    depth: int
    precision: str
    cache: Path
    seed: int


@dataclass(frozen=True, eq=False)
class Mixed:
    """A share of the way from the weights before to those after.

    Attributes:
        share: 0..1.
        new: score of the new task, above is better.
        fit: (judged,) how well each row of the new task is answered, above is better.
        old: what the old task lost.
    """

    share: float
    new: float
    fit: NDArray
    old: Lost | None


@dataclass(frozen=True, eq=False)
class Tried:
    """A guard at one strength.

    Attributes:
        name: of the guard; empty for none.
        strength: of it.
        mixes: shares of the way that were measured, from none of it to all.
        chosen: the best of them within the limit; None where none is.
        seconds: that it took.
    """

    name: str
    strength: float
    mixes: tuple[Mixed, ...]
    chosen: Mixed | None
    seconds: float


@dataclass(frozen=True, eq=False)
class Kept:
    """What was decided.

    Attributes:
        tail: the weights to use; None where nothing deeper than a head is within the limit.
        stack: the network with that tail.
        tried: guards, in their order; the first is none where a limit was to be kept.
        place: of the chosen one among them.
        rule: in words.
    """

    tail: Tail | None
    stack: Pretrained
    tried: tuple[Tried, ...]
    place: int
    rule: str

    @property
    def chosen(self) -> Tried:
        """The guard that was taken."""
        return self.tried[self.place]


@dataclass(frozen=True, eq=False)
class Keeper:
    """What is asked of a fit that goes deeper than the head.

    Attributes:
        old: the earlier task; None where the network has none.
        guard: one of GUARDS, or None to tune without one, or to let the limit choose.
        strength: of the guard; None takes STRENGTH.
        limit: share of the old task's right answers that may be lost, 0..1; None sets none.
    """

    old: Old | None = None
    guard: str | None = None
    strength: float | None = None
    limit: float | None = None

    def kept(self, tuner: Callable[[Guard | None], Tuned], scene: Scene) -> Kept:
        """Tune, guarded as it is asked for or as the limit needs it.

        Args:
            tuner: makes a tail under a guard.
            scene: the new task.
        """
        found: list[tuple[Tried, Tuned]] = []
        eyes: _Eyes | None = None
        for guard in self._guards(scene):
            start = time.perf_counter()
            tuned = tuner(guard)
            eyes = eyes or _Eyes(self.old, scene, tuned.stack)
            mixes = tuple(eyes.mixed(tuned, share) for share in self._shares())
            tried = Tried(*self._named(guard), mixes, self._best(mixes), time.perf_counter() - start)
            found.append((tried, tuned))
            if self._enough(tried):
                break
        rows = tuple(each for each, _ in found)
        place = best_of(rows)
        tried, tuned = found[place]
        if tried.chosen is None or (tried.chosen.share == 0 and self.limit is not None):
            return Kept(None, tuned.stack, rows, place, self._nothing(tried))
        if self.limit is not None and _clearly(scene.score(scene.alone)[1], tried.chosen.fit):
            return Kept(None, tuned.stack, rows, place, self._alone(rows, tried))
        return Kept(tuned.lay(tried.chosen.share), tuned.stack, rows, place, self._rule(rows, tried))

    def _guards(self, scene: Scene) -> Iterator[Guard | None]:
        """What is tried, one after another until one is enough."""

        def made(name: str, strength: float) -> Guard:
            return Guard(name, strength, self.old, scene.features, scene.rows[scene.learn], scene.cache, scene.seed)

        strength = STRENGTH if self.strength is None else self.strength
        if self.guard in (None, MIX):
            yield None
        else:
            yield made(self.guard, strength)
        if self.limit is None or self.strength is not None or self.old is None:
            return
        if self.guard is None:
            with_rows = self.old.features is not None
            for name, each in (("replay", 1.0), ("der", 1.0)) if with_rows else (("lwf", 1.0), ("lwf", 4.0)):
                yield made(name, each)
        elif self.guard != MIX:
            yield made(self.guard, 4 * strength)

    def _named(self, guard: Guard | None) -> tuple[str, float]:
        if guard is not None:
            return guard.name, guard.strength
        return (MIX, STRENGTH if self.strength is None else self.strength) if self.guard == MIX else ("", 0.0)

    def _shares(self) -> tuple[float, ...]:
        if self.guard == MIX and self.limit is None:
            asked = 1 - min(1.0, 0.5 if self.strength is None else self.strength)
            return tuple(sorted({*SHARES, asked}))
        return SHARES

    def _best(self, mixes: tuple[Mixed, ...]) -> Mixed | None:
        """The greatest share within the limit; without one all the way, or the share that was asked for.

        What the new task gains grows with the share, which some hundred judged rows are too few to show.
        """
        if self.limit is None:
            if self.guard != MIX:
                return mixes[-1]
            asked = 1 - min(1.0, 0.5 if self.strength is None else self.strength)
            return next(mix for mix in mixes if mix.share == asked)
        allowed = [mix for mix in mixes if mix.old is None or mix.share == 0 or mix.old.at_most <= self.limit]
        return max(allowed, key=lambda mix: mix.share, default=None)

    def _enough(self, tried: Tried) -> bool:
        """Whether no stronger guard need be tried: all the way is within the limit."""
        return self.limit is None or (tried.chosen is not None and tried.chosen.share == 1)

    def _nothing(self, tried: Tried) -> str:
        return (
            f"Nothing deeper than a head keeps the loss of the old task below {100 * (self.limit or 0):g} % "
            f"with {100 * _SURE:.0f} % confidence on the {_rows(tried)} rows it was judged on: the head alone loses "
            "nothing. "
        )

    def _alone(self, rows: tuple[Tried, ...], tried: Tried) -> str:
        assert tried.chosen is not None
        return (
            f"{self._rule(rows, tried).rstrip('. ')}; on {len(tried.chosen.fit)} rows that neither learned from a head "
            "alone is clearly better, and it loses nothing. "
        )

    def _rule(self, rows: tuple[Tried, ...], tried: Tried) -> str:
        if self.limit is None or tried.chosen is None:
            return ""
        how = f"guard {tried.name} at strength {tried.strength:g}" if tried.name else "no guard in training"
        said = f"To lose at most {100 * self.limit:g} %: {how}, {100 * tried.chosen.share:.0f} % of the way"
        seen = tried.chosen.old
        if seen is not None:
            said += f" ({100 * seen.value:+.1f} % lost on {seen.rows} rows, at most {100 * seen.at_most:.1f} %)"
        plain = [each.mixes[-1].new for each in rows if not each.name]
        if plain and plain[0] > tried.chosen.new:
            said += f"; it costs {100 * (plain[0] - tried.chosen.new):.1f} points of what plain tuning has"
        return f"{said}. "


class _Eyes:
    """The rows on which both tasks are followed while the weights change."""

    def __init__(self, old: Old | None, scene: Scene, stack: Pretrained) -> None:
        from headstart.adapt.following import Following

        def follow(features: Outputs, rows: Rows, taps: tuple[str, ...]) -> Following:
            return Following(features, rows, taps, stack, scene.depth, scene.cache, precision=scene.precision)

        self._scene, self._old = scene, old
        self._new = follow(scene.features, scene.rows, scene.features.last)
        self._known: Following | None = None
        self._before: NDArray | None = None
        if old is not None:
            # without data of the old task its answers to the new rows stand for it
            where = (
                (old.features, old.choose) if old.features is not None else (scene.features, scene.rows[scene.judge])
            )
            self._known = follow(where[0], where[1], old.taps)

    def mixed(self, tuned: Tuned, share: float) -> Mixed:
        """Both tasks with this share of the way."""
        tuned.lay(share)
        new, fit = self._scene.score(self._new(tuned.stack))
        if self._old is None or self._known is None:
            return Mixed(share, new, fit, None)
        return Mixed(share, new, fit, self._lost(self._known, tuned))

    def _lost(self, known: Following, tuned: Tuned) -> Lost:
        assert self._old is not None
        after = self._old.answers(known(tuned.stack))
        if self._before is None:  # the first share of all is none of the way
            self._before = after
        y = _own(self._before, self._old.head.task) if self._old.features is None else self._old.y(self._old.choose)
        return lost(self._before, after, y, self._old.head.task, confidence=_SURE)


def best_of(rows: tuple[Tried, ...]) -> int:
    """Place of the guard that goes farthest, or of one that answers the new task clearly better.

    How far a guard may go says what it keeps, and not what it leaves the new task: a strong one may go all the way and
    learn little.
    """
    mixes = {k: each.chosen for k, each in enumerate(rows) if each.chosen is not None}
    best = max(mixes, key=lambda k: (mixes[k].share, float(mixes[k].fit.mean())), default=0)
    for k, mix in mixes.items():
        if mix.share and _clearly(mix.fit, mixes[best].fit):
            best = k
    return best


def _clearly(a: NDArray, b: NDArray) -> bool:
    """Whether the same rows are answered better by a than by b, by more than a standard error of the difference."""
    gap = a - b
    return bool(len(gap) > 1 and gap.mean() > gap.std(ddof=1) / np.sqrt(len(gap)))


def _rows(tried: Tried) -> int:
    return next((mix.old.rows for mix in tried.mixes if mix.old is not None), 0)


def _own(answers: NDArray, task: str) -> NDArray:
    """Answers as if they were the truth."""
    return answers.argmax(1) if task == "classes" else answers > 0.5 if task == "labels" else answers
