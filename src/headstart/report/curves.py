"""Curves of a comparison as SVG: score against labels, seconds and joules, with one colour and mark for an arm.

Arms with the pretrained network are solid and filled, arms without it dashed and hollow: that is seen on paper too.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from headstart.report.figures import Axis, Svg, canvas, draw, markup, tick_label, value_axis
from headstart.report.savings import amount, less
from headstart.report.wording import metric_name, with_interval
from headstart.study.points import Point
from headstart.study.transfer import Saved

HEIGHT = 300.0
FIXED = {"majority": 0, "classical": 1, "scratch": 2, "probe": 3, "chosen": 4, "whole": 5}
_COLOURS = 10
_APART = 4.0  # pixels between the intervals of neighbours on one budget
_LEAST = {"seconds": 0.01, "joules": 0.1}  # what is less is drawn there
_WIDE = 0.2  # share of the axis from which on words under what was saved hide nothing
_ROOM = 1.25  # factor left at both ends of a logarithmic axis

# paths around 0, 0; the first are of the arms in FIXED, the others of plans
MARKS = (
    "M-6 0H6",
    "M-5-5H5V5H-5Z",
    "M0-6.5L6 4.5H-6Z",
    "M0-5.5A5.5 5.5 0 1 1 0 5.5A5.5 5.5 0 1 1 0-5.5Z",
    "M0-7L7 0L0 7L-7 0Z",
    "M0 6.5L6-4.5H-6Z",
    "M-5-5L5 5M-5 5L5-5",
    "M-6 0H6M0-6V6",
    "M-4-6H4L7 0L4 6H-4L-7 0Z",
    "M-6-3H6V3H-6Z",
)


@dataclass(frozen=True)
class Look:
    """How an arm is drawn. style: class of colour and line; mark: index in MARKS; place: among the arms."""

    style: str
    mark: int
    place: int


def looks(arms: Sequence[str], without: Iterable[str]) -> dict[str, Look]:
    """An arm has its colour whichever others are there; plans take those that are left, in turn."""
    bare, free = set(without), len(FIXED)
    found = {}
    for place, arm in enumerate(arms):
        mark = FIXED.get(arm)
        if mark is None:
            mark = len(FIXED) + (free - len(FIXED)) % (_COLOURS - len(FIXED))
            free += 1
        found[arm] = Look(f"arm arm{mark} {'bare' if arm in bare else 'with'}", mark, place)
    return found


def sign(look: Look) -> str:
    """The arm's line and mark, for the legend and the table."""
    box = canvas(18, "", "sign")
    box.attrib.update({"width": "40", "aria-hidden": "true"})
    group = draw(box, "g", look.style)
    draw(group, "line", "way", x1=0, x2=40, y1=9, y2=9)
    _mark(group, look, "20", 9.0, "")
    return markup(box)


def curves(
    points: Sequence[Point],
    looked: Mapping[str, Look],
    what: str,
    metric: str,
    saved: Saved | None,
    score: float | None,
) -> str:
    """Score against labels, seconds or joules, both with intervals.

    Args:
        points: arm after arm, few labels first.
        looked: arm -> how it is drawn.
        what: labels, seconds or joules.
        metric: of the scores.
        saved: what is marked between the two arms that the headline speaks of; None marks nothing.
        score: where it is marked.
    """
    shown = [point for point in points if _across(point, what) is not None]
    upright = value_axis(metric, _heights(shown))
    flat = _flat(shown, what)
    plot = canvas(HEIGHT, f"{metric_name(metric)} against {what}", f"plot curves {what}")
    _frame(plot, upright, metric, flat, _notches(shown, what, flat))
    for arm in dict.fromkeys(point.arm for point in shown):
        _curve(plot, [point for point in shown if point.arm == arm], looked[arm], (flat, upright), what, metric)
    if saved is not None and score is not None:
        _gap(plot, (flat, upright), saved, score)
    return markup(plot)


def _across(point: Point, what: str) -> float | None:
    value = {"labels": point.labels, "seconds": point.seconds, "joules": point.joules}[what]
    return None if value is None else max(float(value), _LEAST.get(what, 1.0))


def _heights(points: Sequence[Point]) -> list[float]:
    """All scores, and intervals as far as they do not squeeze the scores together."""
    scores = [point.score for point in points if math.isfinite(point.score)]
    if not scores:
        return []
    room = (max(scores) - min(scores)) / 3 or math.inf
    ends = [end for point in points for end in (point.low, point.high) if math.isfinite(end)]
    return scores + [min(max(end, min(scores) - room), max(scores) + room) for end in ends]


def _flat(points: Sequence[Point], what: str) -> Axis:
    known = [value for point in points if (value := _across(point, what)) is not None] or [1.0]
    return Axis(min(known) / _ROOM, max(known) * _ROOM, log=True)


def _notches(points: Sequence[Point], what: str, flat: Axis) -> dict[float, str]:
    """Where the flat axis is labelled: at the budgets, else at round values."""
    if what == "labels":
        return {float(point.labels): f"{point.labels:,}" for point in points}
    return {tick: _short(what, tick) for tick in flat.ticks()}


def _short(what: str, value: float) -> str:
    if what == "joules":
        return f"{value / 1000:g} kJ" if value >= 1000 else f"{value:g} J"
    return f"{value / 60:.3g} min" if value >= 120 else f"{value:g} s"


def _frame(plot: Svg, upright: Axis, metric: str, flat: Axis, notches: Mapping[float, str]) -> None:
    ticks = upright.ticks()
    for tick in ticks:
        y = upright.up(tick, HEIGHT)
        draw(plot, "line", "grid", x1="0", x2="100%", y1=y, y2=y)
        draw(plot, "text", "tick end", tick_label(metric, tick, ticks), x=-10, y=float(y) + 4)
    for tick, label in notches.items():
        draw(plot, "line", "notch", x1=flat.across(tick), x2=flat.across(tick), y1=HEIGHT, y2=HEIGHT + 5)
        draw(plot, "text", "tick middle", label, x=flat.across(tick), y=HEIGHT + 20)


def _gap(plot: Svg, axes: tuple[Axis, Axis], saved: Saved, score: float) -> None:
    """What lies between the two arms at the same score."""
    if not (math.isfinite(saved.own) and math.isfinite(saved.rival)) or min(saved.own, saved.rival) <= 0:
        return
    least = _LEAST.get(saved.what, 1.0)
    ends = sorted(max(value, least) for value in (saved.own, saved.rival))
    left, right, y = axes[0].across(ends[0]), axes[0].across(ends[1]), axes[1].up(score, HEIGHT)
    group = draw(plot, "g", "saved")
    draw(group, "line", "level", x1=left, x2=right, y1=y, y2=y)
    for end in (left, right):
        draw(group, "line", "end", x1=end, x2=end, y1=float(y) - 6, y2=float(y) + 6)
    if axes[0].at(ends[1]) - axes[0].at(ends[0]) > _WIDE:
        middle = f"{(float(left[:-1]) + float(right[:-1])) / 2:.2f}%"
        draw(group, "text", "middle", less(saved.what, saved.share), x=middle, y=float(y) + 24)


def _curve(plot: Svg, own: Sequence[Point], look: Look, axes: tuple[Axis, Axis], what: str, metric: str) -> None:
    """One arm: its line, and a mark on its interval for each budget."""
    flat, upright = axes
    # on the axis of labels all arms stand on the same places: each is moved a little, line and all
    shift = _APART * (look.place - 2.5) if what == "labels" else 0.0
    group = draw(plot, "g", look.style, transform=f"translate({shift:g} 0)")
    places = [(flat.across(value), point) for point in own if (value := _across(point, what)) is not None]
    for (x1, a), (x2, b) in pairwise(places):
        draw(group, "line", "way", x1=x1, x2=x2, y1=upright.up(a.score, HEIGHT), y2=upright.up(b.score, HEIGHT))
    for x, point in places:
        low, high = (min(max(end, upright.low), upright.high) for end in (point.low, point.high))
        draw(group, "line", "span", x1=x, x2=x, y1=upright.up(low, HEIGHT), y2=upright.up(high, HEIGHT))
        told = f"{point.arm}, {point.labels:,} labels: {with_interval(metric, point.score, point.low, point.high)}"
        if what != "labels":
            told += f", {amount(what, _across(point, what) or 0.0)}"
        _mark(group, look, x, float(upright.up(point.score, HEIGHT)), told)


def _mark(group: Svg, look: Look, x: str, y: float, told: str) -> None:
    """The arm's mark: a box of its own carries the place in per cent, which paths do not know."""
    box = draw(group, "svg", "mark", x=x, y=y, overflow="visible")
    draw(box, "path", "dot", told, d=MARKS[look.mark])
