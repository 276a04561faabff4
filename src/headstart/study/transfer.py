"""What it took to be as good as the best without a pretrained network: labels, seconds and joules, with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headstart.study.points import WITHOUT, Point
from headstart.study.saved import labels_for
from headstart.study.units import Outcome, Unit

USUAL = "chosen"  # what a fit does where nothing is asked for: named before any outcome is seen
_DRAWS = 2000
_SHARES = (0.025, 0.975)


@dataclass(frozen=True)
class Taken:
    """What one arm takes for the score that is asked of all.

    Attributes:
        arm: which.
        labels: read off its curve; infinity where all are not enough.
        fewest: whether the smallest budget was enough, so that still fewer labels may be.
        seconds, joules: on that many labels; None where they are not known or the score is not reached.
    """

    arm: str
    labels: float
    fewest: bool
    seconds: float | None
    joules: float | None


@dataclass(frozen=True)
class Saved:
    """Something that the network saved, or cost.

    Attributes:
        what: labels, seconds or joules.
        rival, own: amounts of the arm without the network and of that with it, for the same score.
        share: 1 - own / rival; below 0 it costs more, minus infinity where the score is not reached.
        low, high: 95 % of the share, for other rows to learn from and other test rows.
    """

    what: str
    rival: float
    own: float
    share: float
    low: float
    high: float


@dataclass(frozen=True)
class Transfer:
    """The comparison in one question: what does each arm take to be as good as the best without the network?

    Attributes:
        score: the best of the arms without the network, over all budgets.
        arm, rival: the arm with the network that is spoken of, and the one that has that score.
        taken: by each arm, in the order of the arms.
        saved: labels, seconds and, where they are known, joules.
    """

    score: float
    arm: str
    rival: str
    taken: tuple[Taken, ...]
    saved: tuple[Saved, ...]


def transfer_of(outcomes: Sequence[Outcome], points: Sequence[Point], *, higher: bool) -> Transfer | None:
    """What the network saved; None where no arm has it, or none is without it.

    Args:
        outcomes: every arm on every budget with every seed.
        points: of these outcomes.
        higher: whether higher is better.
    """
    sign = 1.0 if higher else -1.0
    arms = tuple(dict.fromkeys(point.arm for point in points))
    ours = [arm for arm in arms if arm not in WITHOUT]
    theirs = [point for point in points if point.arm in WITHOUT]
    if not ours or not theirs:
        return None
    best = max(theirs, key=lambda point: (sign * point.score, -point.labels))
    arm = USUAL if USUAL in ours else max(ours, key=lambda name: sign * sum(p.score for p in points if p.arm == name))
    taken = {name: _taken(best.score, [p for p in points if p.arm == name], higher) for name in arms}
    own, rival = taken[arm], taken[best.arm]
    drawn = _Drawn(outcomes, higher)
    shares = drawn.shares(arm, best)
    saved = [_saved("labels", rival.labels, own.labels, shares["labels"])]
    if rival.seconds is not None:
        saved.append(_saved("seconds", rival.seconds, _amount(own.seconds), shares["seconds"]))
    if rival.joules is not None and "joules" in shares:
        saved.append(_saved("joules", rival.joules, _amount(own.joules), shares["joules"]))
    return Transfer(best.score, arm, best.arm, tuple(taken.values()), tuple(saved))


def _taken(score: float, own: Sequence[Point], higher: bool) -> Taken:
    counts = [point.labels for point in own]
    labels = labels_for(score, counts, [point.score for point in own], higher=higher)
    if labels == float("inf"):
        return Taken(own[0].arm, labels, False, None, None)
    seconds = cost_at(labels, counts, np.array([[point.seconds for point in own]]))[0]
    metered = [point.joules for point in own]
    joules = None if None in metered else float(cost_at(labels, counts, np.array([metered], float))[0])
    return Taken(own[0].arm, labels, labels == counts[0], float(seconds), joules)


def cost_at(labels: float | NDArray, counts: Sequence[int], costs: NDArray) -> NDArray[np.float64]:
    """(k,) cost with so many labels: straight lines over the logarithm of the labels; infinity for infinitely many.

    Args:
        labels: (k,) or one for all.
        counts: (b,) budgets, growing.
        costs: (k, b) on each budget.
    """
    wanted = np.broadcast_to(np.asarray(labels, float), len(costs))
    found = [np.interp(np.log(n), np.log(counts), own) for n, own in zip(wanted, costs, strict=True)]
    return np.where(np.isfinite(wanted), found, np.inf)


def _amount(value: float | None) -> float:
    return float("inf") if value is None else value


def _saved(what: str, rival: float, own: float, shares: NDArray) -> Saved:
    # the quantile is one of the draws: between a number and minus infinity there is nothing to interpolate
    low, high = np.quantile(shares, _SHARES, method="inverted_cdf") if len(shares) else (-np.inf, 1.0)
    return Saved(what, rival, own, 1 - own / rival if rival else float("-inf"), float(low), float(high))


class _Drawn:
    """Curves as they might have been: with other rows to learn from, by Student's distribution over the seeds, and
    other test rows, by the bootstrap that the outcomes hold; in one draw both are the same for every arm and budget."""

    def __init__(self, outcomes: Sequence[Outcome], higher: bool) -> None:
        self.by_unit = {each.unit: each for each in outcomes}
        self.seeds = sorted({each.unit.seed for each in outcomes})
        self.counts = sorted({each.unit.labels for each in outcomes})
        self.higher = higher
        draw, n = np.random.default_rng(5), len(self.seeds)
        spread = np.sqrt(draw.chisquare(n - 1, _DRAWS) / (n - 1)) if n > 1 else np.ones(_DRAWS)
        self.weights = draw.normal(size=(_DRAWS, n)) / (np.sqrt(n * max(1, n - 1)) * spread[:, None])
        self.picked = draw.integers(n, size=(_DRAWS, n))  # seeds, for costs: below 0 there are none

    def shares(self, arm: str, best: Point) -> dict[str, NDArray]:
        """Share saved by `arm` against the arm of `best` in each draw, of labels, seconds and joules."""
        own, rival = self.scores(arm), self.scores(best.arm)
        kept = np.isfinite(own).all(1) & np.isfinite(rival).all(1)  # test rows of one class have no AUC
        own, rival = own[kept], rival[kept]
        wanted = rival[:, self.counts.index(best.labels)]
        needed, there = (
            np.array([labels_for(s, self.counts, c, higher=self.higher) for s, c in zip(wanted, curve, strict=True)])
            for curve in (own, rival)
        )
        found = {"labels": 1 - needed / there}
        for what in ("seconds", "joules"):
            ours, theirs = self.costs(arm, what), self.costs(best.arm, what)
            if ours is not None and theirs is not None:
                least = np.finfo(float).eps  # the most frequent answer takes no time at all
                rest = np.maximum(cost_at(there, self.counts, theirs[kept]), least)
                found[what] = 1 - cost_at(needed, self.counts, ours[kept]) / rest
        return found

    def scores(self, arm: str) -> NDArray[np.float64]:
        """(draws, budgets) mean over the seeds, as it might have been."""
        columns = []
        for count in self.counts:
            own = [self.by_unit[Unit(arm, count, seed)] for seed in self.seeds]
            values = np.array([each.score for each in own])
            test = np.mean(np.array([each.draws for each in own]) - values[:, None], 0)
            columns.append(values.mean() + self.weights @ (values - values.mean()) + np.resize(test, _DRAWS))
        return np.stack(columns, 1)

    def costs(self, arm: str, what: str) -> NDArray[np.float64] | None:
        """(draws, budgets) mean over seeds drawn with replacement; None where some are not known."""
        columns = []
        for count in self.counts:
            own = [self.by_unit[Unit(arm, count, seed)] for seed in self.seeds]
            known = [each.seconds if what == "seconds" else each.joules for each in own]
            if None in known:
                return None
            columns.append(np.array(known, float)[self.picked].mean(1))
        return np.stack(columns, 1)
