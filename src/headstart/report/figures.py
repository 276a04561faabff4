"""Figures as small SVG text: places across are in per cent, so that a figure is as wide as its column and its letters
stay as large as the page's. Colours are classes, given by the page's style for light, dark and paper."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from xml.etree import ElementTree

from headstart.report.record import Bin, ClassCount, Depth, Rung, Stage
from headstart.report.wording import MINUS, SHARES, bare, duration, metric_name, number, with_interval

SHOWN_PAIRS = 1500  # dots of a scatter; more weigh and hide more than they show
Svg = ElementTree.Element
Point = tuple[float, float | None, float | None]  # a value with the low and the high end of its interval


@dataclass(frozen=True)
class Axis:
    """A range of values laid from 0 to 1, evenly or by powers of ten."""

    low: float
    high: float
    log: bool = False

    def at(self, value: float) -> float:
        """Where a value lies: 0 at low, 1 at high, held within them."""
        low, high, value = (math.log10(v) if self.log else v for v in (self.low, self.high, max(value, self.low)))
        return min((value - low) / (high - low), 1.0)

    def across(self, value: float) -> str:
        """The place as SVG wants it: 12.34%."""
        return f"{100 * self.at(value):.2f}%"

    def up(self, value: float, height: float) -> str:
        """The place from the top of a figure this high, in pixels."""
        return f"{height * (1 - self.at(value)):.1f}"

    def ticks(self) -> tuple[float, ...]:
        """Round values inside the range, three to eight of them."""
        if self.log:
            decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            steps = (1, 3) if len(decades) <= 4 else (1,)
            found = [step * 10.0**decade for decade in decades for step in steps]
            return tuple(v for v in found if self.low * 0.999 <= v <= self.high * 1.001)
        step = round_step((self.high - self.low) / 7)
        first = math.ceil(self.low / step - 1e-9)
        return tuple(round(k * step, 12) for k in range(first, math.floor(self.high / step + 1e-9) + 1))


def round_step(rough: float) -> float:
    """The smallest of 1, 2, 5, 10 times a power of ten that is not below `rough`."""
    power = 10.0 ** math.floor(math.log10(rough))
    return min(step * power for step in (1, 2, 5, 10) if step * power >= rough * 0.9999)


def value_axis(metric: str, values: Iterable[float | None]) -> Axis:
    """A range with round ends around these values; shares stay within 0..1."""
    known = [v for v in values if v is not None and math.isfinite(v)]
    low, high = (min(known), max(known)) if known else (0.0, 1.0)
    if high - low < 1e-9:
        low, high = low - (abs(low) * 0.1 or 0.5), high + (abs(high) * 0.1 or 0.5)
    step = round_step((high - low) / 5)
    low, high = math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step
    return Axis(max(low, 0.0), min(high, 1.0)) if metric in SHARES else Axis(low, high)


def canvas(height: float, label: str, name: str) -> Svg:
    """An empty figure, as wide as its column."""
    return ElementTree.Element(
        "svg", {"class": f"figure {name}", "width": "100%", "height": f"{height:g}", "role": "img", "aria-label": label}
    )


def draw(parent: Svg, tag: str, name: str, text: str = "", **places: str | float) -> Svg:
    """A shape of this style; for all but text, `text` is what a pointer resting on it shows."""
    attributes = {key: value if isinstance(value, str) else f"{value:g}" for key, value in places.items()}
    made = ElementTree.SubElement(parent, tag, {"class": name} | attributes)
    if tag == "text":
        made.text = text
    elif text:
        ElementTree.SubElement(made, "title").text = text
    return made


def markup(figure: Svg) -> str:
    """The figure as text; what stands in it is escaped."""
    return ElementTree.tostring(figure, encoding="unicode")


def tick_label(metric: str, value: float, ticks: Sequence[float]) -> str:
    """Short: whole per cents where the ticks are, else what `bare` gives."""
    if metric in SHARES:
        whole = all(abs(100 * t - round(100 * t)) < 1e-6 for t in ticks)
        return f"{100 * value:.0f} %" if whole else f"{bare(metric, value)} %"
    return f"{value:,g}".replace("-", MINUS)


def interval_row(axis: Axis, metric: str, point: Point, name: str) -> str:
    """A dot on its interval, over the gridlines of the axis."""
    value, low, high = point
    told = with_interval(metric, value, low, high)
    figure = canvas(44, told, f"track {name}")
    for tick in axis.ticks():
        draw(figure, "line", "grid", x1=axis.across(tick), x2=axis.across(tick), y1="0", y2="100%")
    if low is not None and high is not None:
        draw(figure, "line", "range", told, x1=axis.across(low), x2=axis.across(high), y1="50%", y2="50%")
    draw(figure, "circle", "dot", told, cx=axis.across(value), cy="50%", r=6)
    return markup(figure)


def axis_row(axis: Axis, metric: str) -> str:
    """The labels under a column of tracks."""
    figure = canvas(20, metric_name(metric), "axis")
    ticks = axis.ticks()
    for tick in ticks:
        draw(figure, "text", "tick middle", tick_label(metric, tick, ticks), x=axis.across(tick), y=14)
    return markup(figure)


def frame(figure: Svg, height: float, upright: tuple[Axis, str], flat: tuple[Axis, Sequence[str]]) -> None:
    """Gridlines and labels of a figure with two axes. upright: axis, metric; flat: axis, tick labels."""
    (axis, metric), ticks = upright, upright[0].ticks()
    for tick in ticks:
        y = axis.up(tick, height)
        draw(figure, "line", "grid", x1="0", x2="100%", y1=y, y2=y)
        draw(figure, "text", "tick end", tick_label(metric, tick, ticks), x=-10, y=float(y) + 4)
    for tick, label in zip(flat[0].ticks(), flat[1], strict=True):
        draw(figure, "line", "notch", x1=flat[0].across(tick), x2=flat[0].across(tick), y1=height, y2=height + 5)
        draw(figure, "text", "tick middle", label, x=flat[0].across(tick), y=height + 20)


def cost_axis(seconds: Iterable[float]) -> Axis:
    """Seconds by powers of ten, with room at both ends; nothing is below a hundredth."""
    known = [max(s, 0.01) for s in seconds if math.isfinite(s)] or [1.0]
    return Axis(min(known) / 1.6, max(known) * 1.6, log=True)


def depth_curve(depth: Depth, metric: str, height: float = 260) -> str:
    """Score against seconds, one numbered dot with its interval for each depth that was tried."""
    rungs = [rung for rung in depth.curve if math.isfinite(rung.score)]
    flat = cost_axis(rung.seconds for rung in rungs)
    upright = value_axis(metric, [v for rung in rungs for v in (rung.score, rung.low, rung.high)])
    figure = canvas(height, f"{metric_name(metric)} against seconds for {len(rungs)} depths", "plot curve")
    frame(figure, height, (upright, metric), (flat, [short_seconds(tick) for tick in flat.ticks()]))
    for rank, rung in sorted(enumerate(rungs, 1), key=lambda pair: pair[1].chosen):
        draw_rung(figure, rank, rung, (flat, upright), metric)
    return markup(figure)


def draw_rung(figure: Svg, rank: int, rung: Rung, axes: tuple[Axis, Axis], metric: str) -> None:
    """One numbered dot with its interval."""
    height = float(figure.attrib["height"])
    x, y = axes[0].across(rung.seconds), axes[1].up(rung.score, height)
    told = f"{rung.name}: {with_interval(metric, rung.score, rung.low, rung.high)}, {duration(rung.seconds)}"
    group = draw(figure, "g", "rung chosen" if rung.chosen else "rung", told)
    if rung.low is not None and rung.high is not None:
        draw(group, "line", "range", x1=x, x2=x, y1=axes[1].up(rung.low, height), y2=axes[1].up(rung.high, height))
    draw(group, "circle", "dot", cx=x, cy=y, r=10)
    draw(group, "text", "rank middle", str(rank), x=x, y=float(y) + 4)


def layer_profile(depth: Depth, metric: str, height: float = 160) -> str:
    """Score of a head on each single layer, from the input to the head; what the head reads stands out."""
    order = {name: place for place, name in enumerate(depth.blocks)}
    single = [r for r in depth.layers if len(r.taps) == 1 and r.taps[0] in order and math.isfinite(r.score)]
    single.sort(key=lambda rung: order[rung.taps[0]])
    read = {tap for rung in depth.layers if rung.chosen for tap in rung.taps}
    upright = value_axis(metric, [rung.score for rung in single])
    figure = canvas(height, f"{metric_name(metric)} of a head on each of {len(single)} layers", "plot layers")
    places = [f"{100 * (k + 0.5) / len(single):.2f}%" for k in range(len(single))]
    ticks = upright.ticks()
    for tick in ticks:
        y = upright.up(tick, height)
        draw(figure, "line", "grid", x1="0", x2="100%", y1=y, y2=y)
        draw(figure, "text", "tick end", tick_label(metric, tick, ticks), x=-10, y=float(y) + 4)
    for x, rung in zip(places, single, strict=True):
        told = f"{rung.name}: {with_interval(metric, rung.score, rung.low, rung.high)}"
        kind = "rung chosen" if rung.taps[0] in read else "rung"
        group = draw(figure, "g", kind, told)
        draw(group, "line", "stem", x1=x, x2=x, y1=height, y2=upright.up(rung.score, height))
        draw(group, "circle", "dot", cx=x, cy=upright.up(rung.score, height), r=6)
    for x, label in zip((places[0], places[-1]), (single[0].taps[0], single[-1].taps[0]), strict=True):
        draw(figure, "text", "tick middle", label, x=x, y=height + 20)
    return markup(figure)


def short_seconds(value: float) -> str:
    """0.3 s, 10 s, 5 min"""
    return f"{value:g} s" if value < 300 else f"{number(value / 60)} min"


def reliability(bins: Sequence[Bin], height: float = 240) -> str:
    """Share right against confidence, dots as large as their counts; on the diagonal a confidence is true."""
    whole = confidence_axis(bins)
    total = sum(b.count for b in bins) or 1
    figure = canvas(height, "share of right answers against confidence", "plot reliability")
    frame(figure, height, (whole, "accuracy"), (whole, [f"{100 * tick:.0f} %" for tick in whole.ticks()]))
    draw(figure, "line", "ideal", x1="0", x2="100%", y1=height, y2=0)
    for b in bins:
        told = f"{b.count:,} answers with a confidence of {100 * b.confidence:.0f} %: {100 * b.accuracy:.0f} % right"
        x = whole.across(b.confidence)
        draw(figure, "line", "gap", x1=x, x2=x, y1=whole.up(b.confidence, height), y2=whole.up(b.accuracy, height))
        radius = 3 + 11 * math.sqrt(b.count / total)
        draw(figure, "circle", "dot", told, cx=x, cy=whole.up(b.accuracy, height), r=round(radius, 1))
    return markup(figure)


def confidence_axis(bins: Sequence[Bin]) -> Axis:
    """From a tenth below the lowest confidence or share to 1: with two classes no answer is below one half."""
    lowest = min((value for b in bins for value in (b.confidence, b.accuracy)), default=0.0)
    return Axis(max(0.0, min(math.floor(10 * lowest - 0.2) / 10, 0.8)), 1.0)


def bin_counts(bins: Sequence[Bin], height: float = 44) -> str:
    """How many answers had which confidence, as bars that stand under the reliability figure."""
    whole, most = confidence_axis(bins), max((b.count for b in bins), default=0) or 1
    figure = canvas(height, "answers by confidence", "counts")
    for b in bins:
        x = whole.across(b.confidence)
        draw(figure, "line", "bar", f"{b.count:,}", x1=x, x2=x, y1=height, y2=height - (height - 4) * b.count / most)
    draw(figure, "line", "grid", x1="0", x2="100%", y1=height, y2=height)
    return markup(figure)


def scatter(pairs: Sequence[Sequence[float]], height: float = 320) -> str:
    """Answers against truths, both on one range; on the diagonal an answer is exact."""
    shown = pairs[:: max(1, math.ceil(len(pairs) / SHOWN_PAIRS))]
    values = [v for pair in pairs for v in pair if math.isfinite(v)] or [0.0]
    room = 0.04 * (max(values) - min(values)) or 1.0
    axis = Axis(min(values) - room, max(values) + room)
    figure = canvas(height, "answers against truths", "plot scatter")
    frame(figure, height, (axis, ""), (axis, [tick_label("", tick, axis.ticks()) for tick in axis.ticks()]))
    draw(figure, "line", "ideal", x1="0", x2="100%", y1=height, y2=0)
    for truth, answer in shown:
        draw(figure, "circle", "dot", cx=axis.across(truth), cy=axis.up(answer, height), r=3.5)
    return markup(figure)


def skyline(classes: Sequence[ClassCount], height: float = 72) -> str:
    """One bar for each of many classes, largest first."""
    ranked = sorted(classes, key=lambda c: c.train + c.test, reverse=True)
    most = max((c.train + c.test for c in ranked), default=0) or 1
    figure = canvas(height, f"examples of {len(ranked)} classes, largest first", "skyline")
    width = 100 / max(len(ranked), 1)
    fill = 0.8 if len(ranked) > 40 else 0.5
    for place, counted in enumerate(ranked):
        count = counted.train + counted.test
        tall = height * count / most
        wide = {"x": f"{place * width:.3f}%", "width": f"{fill * width:.3f}%"}
        draw(
            figure,
            "rect",
            "bar",
            f"{counted.name}: {count:,}",
            y=round(height - tall, 1),
            height=round(tall, 1),
            **wide,
        )
    return markup(figure)


def stage_bar(stages: Sequence[Stage], height: float = 28) -> str:
    """The run's time as one bar, a piece for each stage."""
    total = sum(stage.seconds for stage in stages) or 1.0
    figure = canvas(height, "share of time by stage", "stages")
    start = 0.0
    for place, stage in enumerate(stages):
        share = 100 * stage.seconds / total
        told = f"{stage.name}: {duration(stage.seconds)}"
        wide = {"x": f"{start:.3f}%", "width": f"{share:.3f}%", "height": "100%"}
        draw(figure, "rect", f"piece tone{place % 6}", told, y=0, **wide)
        start += share
    return markup(figure)
