"""Arms beside each other: what each came to on each budget, and the best with the network against the best without."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headstart.heads import metrics
from headstart.study.saved import labels_for
from headstart.study.units import Outcome, Unit

WITHOUT = ("majority", "classical", "scratch")  # arms that have no pretrained network

_NORMAL = 1.96  # deviations that hold 95 %


@dataclass(frozen=True)
class Point:
    """One arm on one budget of labels.

    Attributes:
        arm, labels: which.
        score: mean over the seeds.
        low, high: 95 % of it, for other rows to learn from and other test rows.
        seconds: mean over the seeds, the reading through the network included.
        depths: that the seeds came to.
        joules: mean over the seeds, the reading included; None where no seed has a figure.
    """

    arm: str
    labels: int
    score: float
    low: float
    high: float
    seconds: float
    depths: tuple[int, ...]
    joules: float | None = None


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


def points_of(outcomes: Sequence[Outcome]) -> tuple[Point, ...]:
    """Arm after arm, few labels first."""
    points = []
    for arm in dict.fromkeys(each.unit.arm for each in outcomes):
        for labels in sorted({each.unit.labels for each in outcomes}):
            own = [each for each in outcomes if (each.unit.arm, each.unit.labels) == (arm, labels)]
            if not own:  # another part of the comparison does them
                continue
            score, low, high = _mean([each.score for each in own], [each.draws for each in own])
            seconds, depths = float(np.mean([each.seconds for each in own])), tuple(sorted({e.depth for e in own}))
            metered = [each.joules for each in own if each.joules is not None]
            joules = float(np.mean(metered)) if metered else None
            points.append(Point(arm, labels, score, low, high, seconds, depths, joules))
    return tuple(points)


def worth_of(outcomes: Sequence[Outcome], points: Sequence[Point], *, higher: bool) -> tuple[Worth, ...]:
    """The best arm with the network against the best without it, on each budget.

    Args:
        outcomes: every arm on every budget with every seed.
        points: of these outcomes.
        higher: whether higher is better.
    """
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
        needed = _needed(ours.score, points, higher=higher)
        found.append(Worth(labels, ours.arm, theirs.arm, *_mean(gains, draws), needed))
    return tuple(found)


def _needed(score: float, points: Sequence[Point], *, higher: bool) -> float:
    """Labels that the best of the arms without the network needs for a score."""
    curves = [[p for p in points if p.arm == arm] for arm in dict.fromkeys(p.arm for p in points) if arm in WITHOUT]
    return min(labels_for(score, [p.labels for p in own], [p.score for p in own], higher=higher) for own in curves)


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
