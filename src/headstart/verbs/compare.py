"""`compare`: what a pretrained network is worth on some data, over budgets of labels, against doing without it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from headstart.adapt.learn import Learned, Learner
from headstart.adapt.probe import Ask, Features
from headstart.adapt.scratch import from_scratch
from headstart.data.dataset import Options
from headstart.data.split import choice_folds, some, within
from headstart.errors import UsageError
from headstart.heads import metrics
from headstart.heads.baselines import majority
from headstart.places import cache_folder
from headstart.quiet import hush
from headstart.sources.find import find
from headstart.study.saved import labels_for
from headstart.study.units import Outcome, Shelf, Unit, budgets, run
from headstart.verbs.against import classical
from headstart.verbs.fit import DEFAULT_SOURCE
from headstart.verbs.prepared import Prepared, ask_of, opened, prepared
from headstart.verbs.threads import at_most
from headstart.verbs.watch import Silent, Teller
from headstart.version import __version__

ARMS = ("majority", "classical", "scratch", "probe", "chosen", "whole")
WITHOUT = ("majority", "classical", "scratch")  # arms that have no pretrained network

_DRAWS = 200
_NORMAL = 1.96  # deviations that hold 95 %

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Point:
    """One arm on one budget of labels.

    Attributes:
        arm, labels: which.
        score: mean over the seeds.
        low, high: 95 % of it, for other rows to learn from and other test rows.
        seconds: mean over the seeds, the reading through the network included.
        depths: that the seeds came to.
    """

    arm: str
    labels: int
    score: float
    low: float
    high: float
    seconds: float
    depths: tuple[int, ...]


@dataclass(frozen=True)
class Worth:
    """What the pretrained network was worth on one budget of labels.

    Attributes:
        labels: the budget.
        arm, rival: the best arm with the network and the best without it, on this budget.
        gain: of the metric, mean of the paired seeds; above 0 is better.
        low, high: 95 % of it, for other rows to learn from and other test rows.
        needed: labels that the best arm without it needs for the same score; infinity where all are not enough.
    """

    labels: int
    arm: str
    rival: str
    gain: float
    low: float
    high: float
    needed: float


@dataclass(frozen=True)
class Comparison:
    """Arms over budgets of labels.

    Attributes:
        path, source, metric: what was compared, with which network, by what.
        seeds: how many.
        test: rows that every arm was asked about, for each seed.
        points: arm after arm, few labels first.
        worth: for each budget.
        folder: of the outcomes, one file each.
    """

    path: str
    source: str
    metric: str
    seeds: int
    test: int
    points: tuple[Point, ...]
    worth: tuple[Worth, ...]
    folder: Path

    @property
    def words(self) -> tuple[str, ...]:
        """A sentence for each budget: whether the network helped, and how many labels it saved."""
        return tuple(map(_in_words, self.worth))


def compare(
    data: str | Path,
    out: str | Path | None = None,
    *,
    arms: Sequence[str] = ARMS,
    labels: Sequence[int] = (),
    seeds: int = 3,
    options: Options | None = None,
    source: str | None = None,
    metric: str | None = None,
    scratch: float = 20.0,
    threads: int = 0,
    cache: Path | None = None,
    teller: Teller | None = None,
) -> Comparison:
    """Learn in several ways from the same few rows, and ask all about the same others.

    Rows of a budget are among those of the next, each seed draws its own, and within a seed all arms learn from the
    same rows. Each outcome is a file: what was done is not done again, and an interrupted comparison goes on.

    Args:
        data: folder or table.
        out: folder of the outcomes; None takes NAME.comparison in the current folder.
        arms: of majority, classical, scratch, probe (depth 1), chosen (as deep as pays) and whole.
        labels: budgets of rows to learn from; none takes halves of all there are, down to two for each class.
        seeds: how many times everything is done with other rows.
        options: columns and task of the data.
        source: of the pretrained network; None takes the default of the modality.
        metric: None takes the task's default.
        scratch: seconds of training from random weights.
        threads, cache, teller: as of `fit`.

    Raises:
        UsageError: an arm that there is not, or budgets that the data does not have.
        DataError: data that `fit` would refuse.
    """
    unknown = [arm for arm in arms if arm not in ARMS]
    if unknown or not arms:
        raise UsageError(f"arm {', '.join(unknown) or 'none'} is unknown; use some of {', '.join(ARMS)}.")
    if not 1 <= seeds <= 100:
        raise UsageError(f"seeds={seeds} must be from 1 to 100; write for example --seeds 3.")
    teller, cache = teller or Silent(), cache or cache_folder()
    place = Path(out) if out else Path(f"{Path(data).absolute().stem}.comparison")
    hush(threads)
    with at_most(threads):
        ready = prepared(data, options, seed=0, threads=threads)
        card = find(source or DEFAULT_SOURCE[ready.data.modality], cache)
        ask = ask_of(ready.data, metric)
        features = opened(card, ready.data, cache, threads=threads, told=teller.say)
        work = _Work(ready, features, ask, cache, scratch, teller)
        units = work.units(arms, labels, seeds)
        shelf = Shelf(
            place / "outcomes", f"{ready.data.fingerprint} {card.digest} {ask.metric} {scratch:g} {__version__}"
        )
        outcomes = []
        for outcome in run(units, shelf, work.do):
            outcomes.append(outcome)
            teller.progress("compare", len(outcomes), len(units))
    higher = metrics.higher_is_better(ask.metric)
    points = _points(outcomes)
    worth = _worth(outcomes, points, higher)
    return Comparison(str(data), card.name, ask.metric, seeds, len(work.divided(0)[1]), points, worth, place)


@dataclass(frozen=True)
class _Work:
    ready: Prepared
    features: Features
    ask: Ask
    cache: Path
    scratch: float
    teller: Teller

    def divided(self, seed: int) -> tuple[Rows, Rows]:
        """Rows to learn from and rows to be asked about: the test part, or a fold for each seed."""
        parts = self.ready.parts
        return (parts.train, parts.test) if parts.test is not None else parts.folds[seed % len(parts.folds)]

    def units(self, arms: Sequence[str], labels: Sequence[int], seeds: int) -> list[Unit]:
        """Everything there is to do, quick arms first within a seed."""
        most = min(len(self.divided(seed)[0]) for seed in range(seeds))
        least = max(4, len(self.ready.data.classes) if self.ask.task == "classes" else 0)
        wrong = [count for count in labels if not least <= count <= most]
        if wrong:
            raise UsageError(f"{wrong[0]} labels cannot be learned from; give from {least} to {most} with --labels.")
        wanted = sorted(set(labels)) or budgets(most, len(self.ready.data.classes))
        order = [arm for arm in ARMS if arm in arms]
        return [Unit(arm, count, seed) for seed in range(seeds) for arm in order for count in wanted]

    def do(self, unit: Unit) -> Outcome:
        """One arm on some rows, asked about the test rows."""
        train, test = self.divided(unit.seed)
        data, ask = self.ready.data, replace(self.ask, seed=unit.seed)
        rows = some(data, train, unit.labels, seed=unit.seed)
        start = time.perf_counter()
        out, depth, reading = self._arm(unit.arm)(rows, test, ask)
        seconds = time.perf_counter() - start + reading
        assert data.y is not None
        y, groups = data.y[test], None if data.groups is None else data.groups[test]
        draws = metrics.resampled(ask.metric, out, y, ask.task, groups=groups, draws=_DRAWS)
        return Outcome(unit, metrics.score(ask.metric, out, y, ask.task), seconds, depth, tuple(draws.tolist()))

    def _arm(self, name: str) -> Callable[[Rows, Rows, Ask], tuple[NDArray, int, float]]:
        """(rows to learn from, rows to answer) -> answers, depth, seconds of reading that the store saved."""
        blocks = len(self.features.held.taps) + 1
        depths = {"probe": 1, "chosen": None, "whole": blocks}
        if name in depths:
            return lambda rows, test, ask: self._learned(rows, test, ask, depths[name])
        ways = {"majority": self._majority, "classical": self._classical, "scratch": self._scratch}
        return lambda rows, test, ask: (ways[name](rows, test, ask), 0 if name != "scratch" else blocks, 0.0)

    def _majority(self, rows: Rows, test: Rows, ask: Ask) -> NDArray:
        assert self.ready.data.y is not None
        return majority(self.ready.data.y[rows], len(test), task=ask.task, classes=ask.columns)

    def _classical(self, rows: Rows, test: Rows, ask: Ask) -> NDArray:
        return classical(self.ready.data, rows, test, ask, self.ready.thumbnails)

    def _scratch(self, rows: Rows, test: Rows, ask: Ask) -> NDArray:
        held, data = self.features.held, self.ready.data
        fast = held.network.precision == "bf16"
        blocks, budget = len(held.taps) + 1, self.scratch
        return from_scratch(
            held.card, blocks, data, rows, test, ask, self.cache, fast=fast, budget=budget, threads=held.threads
        )

    def _learned(self, rows: Rows, test: Rows, ask: Ask, depth: int | None) -> tuple[NDArray, int, float]:
        data, held = self.ready.data, self.features.held
        stage = f"read through {held.card.name}"
        start = time.perf_counter()
        # read before the clock starts, and counted at this machine's pace: another unit may have read them already
        self.features.read(np.concatenate([rows, test]), lambda done, all: self.teller.progress(stage, done, all))
        before = time.perf_counter() - start
        folds = within(choice_folds(data, rows, seed=ask.seed), rows)
        learner = Learner(data, held, self.features, ask, self.cache, depth)
        learned: Learned = learner.learn(rows, folds, last=False)
        pace = held.pace
        reading = (len(rows) + (len(test) if learned.depth == 1 else 0)) / pace - before if pace else 0.0
        return learned.answers(test), learned.depth, reading


def _points(outcomes: Sequence[Outcome]) -> tuple[Point, ...]:
    points = []
    for arm in dict.fromkeys(each.unit.arm for each in outcomes):
        for labels in sorted({each.unit.labels for each in outcomes}):
            own = [each for each in outcomes if (each.unit.arm, each.unit.labels) == (arm, labels)]
            score, low, high = _mean([each.score for each in own], [each.draws for each in own])
            seconds = float(np.mean([each.seconds for each in own]))
            points.append(Point(arm, labels, score, low, high, seconds, tuple(sorted({each.depth for each in own}))))
    return tuple(points)


def _worth(outcomes: Sequence[Outcome], points: Sequence[Point], higher: bool) -> tuple[Worth, ...]:
    """The best arm with the network against the best without it, on each budget."""
    sign = 1.0 if higher else -1.0
    by_unit = {each.unit: each for each in outcomes}
    seeds = sorted({each.unit.seed for each in outcomes})
    found = []
    for labels in sorted({point.labels for point in points}):
        here = [point for point in points if point.labels == labels]
        ours = max((p for p in here if p.arm not in WITHOUT), key=lambda p: sign * p.score, default=None)
        theirs = max((p for p in here if p.arm in WITHOUT), key=lambda p: sign * p.score, default=None)
        if ours is None or theirs is None:
            continue
        pairs = [(by_unit[Unit(ours.arm, labels, seed)], by_unit[Unit(theirs.arm, labels, seed)]) for seed in seeds]
        gains = [sign * (a.score - b.score) for a, b in pairs]
        draws = [sign * (np.array(a.draws) - np.array(b.draws)) for a, b in pairs]
        curves = {arm: [p for p in points if p.arm == arm] for arm in dict.fromkeys(p.arm for p in points)}
        needed = min(
            labels_for(ours.score, [p.labels for p in curve], [p.score for p in curve], higher=higher)
            for arm, curve in curves.items()
            if arm in WITHOUT
        )
        found.append(Worth(labels, ours.arm, theirs.arm, *_mean(gains, draws), needed))
    return tuple(found)


def _mean(values: Sequence[float], draws: Sequence[Sequence[float] | NDArray]) -> tuple[float, float, float]:
    """The mean over seeds and 95 % of it: Student's interval over the rows that were learned from, and the bootstrap's
    over the test rows, which all seeds may share; both errors are taken as independent.

    Args:
        values: of each seed.
        draws: of each seed, over resampled test rows.
    """
    mean, low, _ = metrics.mean_interval(values)
    test = np.mean(np.array(draws, float), axis=0)
    half = float(np.hypot(0.0 if low is None else mean - low, _NORMAL * np.nanstd(test)))
    return mean, mean - half, mean + half


def _in_words(worth: Worth) -> str:
    gain = f"{100 * worth.gain:+.1f} points (95 %: {100 * worth.low:+.1f} to {100 * worth.high:+.1f})"
    if worth.gain <= 0:
        return (
            f"{worth.labels} labels: the pretrained network did not help: {worth.arm} has {gain} against {worth.rival}."
        )
    needed = "more labels than there are" if worth.needed == float("inf") else f"about {worth.needed:.0f} labels"
    doubt = "" if worth.low > 0 else " That may be chance."
    return (
        f"{worth.labels} labels: {worth.arm} has {gain} against {worth.rival}; "
        f"without the network it takes {needed} to come as far.{doubt}"
    )
