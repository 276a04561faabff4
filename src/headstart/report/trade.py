"""Figures of what a fit kept: what it gained against what it lost, and how alike its layers are before and after."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from headstart.report.figures import Axis, Svg, canvas, draw, frame, markup, tick_label, value_axis
from headstart.report.kept import Spot, amount, gained, scale, spots, unit
from headstart.report.labels import WIDE, Box, places
from headstart.report.record import Also, Kept, Layer
from headstart.report.wording import duration, percent

_HEIGHT = 300.0
_LETTERS = 30  # of a name in a figure
_LABELLED = 10  # layers that have their names under the figure; of more only the first and the last
_ROOM = 0.05  # of the range, left at both ends of an axis
_STEPS = 20  # boxes along a piece of a line
_LINE = 16.0  # pixels between the words of two curves that end in one place
Plane = tuple[Axis, Axis]  # across, upright


def trade(kept: Kept) -> str:
    """Gain against loss: shares of the way are joined by a line, other guards are rings, the chosen one is filled.

    Returns:
        The figure; empty where `spots` has nothing to show.
    """
    shown, lost, gain = spots(kept), kept.lost, gained(kept)
    if not shown or lost is None or gain is None:
        return ""
    plane = flat, upright = (
        _axis(lost, [s.lost for s in shown], kept.limit),
        _axis(gain, [s.gained for s in shown]),
    )
    label = f"{unit(gain.metric)} gained on the new task against {unit(lost.metric)} lost of the old one"
    plot = canvas(_HEIGHT, label, "plot trade")
    _over(plot, kept, flat)
    ticks = flat.ticks()
    frame(plot, _HEIGHT, (upright, ""), (flat, [tick_label("", tick, ticks) for tick in ticks]))
    draw(plot, "line", "zero", x1=flat.across(0), x2=flat.across(0), y1=0, y2=_HEIGHT)
    draw(plot, "line", "zero", x1="0", x2="100%", y1=upright.up(0, _HEIGHT), y2=upright.up(0, _HEIGHT))
    draw(plot, "text", "title", _title(gain, "gained on the new task"), x=-36, y=-18)
    draw(plot, "text", "title end", _title(lost, "lost of the old task"), x="100%", y=_HEIGHT + 42)
    crossed = _way(plot, [spot for spot in shown if spot.share is not None], plane)
    line, *words = _limit(plot, kept, flat) or (None,)
    taken = [*words, *_bars(plot, kept, shown, plane)]
    _dots(plot, (lost.metric, gain.metric), shown, plane)
    _words(plot, shown, plane, taken, [*crossed, line] if line else crossed)
    return markup(plot)


def _title(measured: Also, what: str) -> str:
    told = f"{unit(measured.metric)} {what}"
    return told[0].upper() + told[1:]


def _axis(measured: Also, values: Sequence[float], limit: float | None = None) -> Axis:
    """From 0 to all values and the limit; the interval as far as it does not squeeze them together."""
    held = [0.0, *values, *([] if limit is None else [scale(measured.metric) * limit])]
    room = (max(held) - min(held)) / 2 or math.inf
    ends = [scale(measured.metric) * end for end in (measured.low, measured.high) if end is not None]
    clipped = [min(max(end, min(held) - room), max(held) + room) for end in ends if math.isfinite(end)]
    low, high = min(held + clipped), max(held + clipped)
    spare = _ROOM * (high - low) or 0.5
    return Axis(low - spare, high + spare)


def _over(plot: Svg, kept: Kept, flat: Axis) -> None:
    """A shade over all that loses more than the limit."""
    if kept.limit is None or kept.lost is None:
        return
    place = flat.at(scale(kept.lost.metric) * kept.limit)
    wide = {"x": f"{100 * place:.2f}%", "width": f"{100 * (1 - place):.2f}%"}
    draw(plot, "rect", "over", y=0, height=_HEIGHT, **wide)


def _way(plot: Svg, way: Sequence[Spot], plane: Plane) -> list[Box]:
    """A line through the shares of the way; small boxes along it."""
    flat, upright = plane
    boxes = []
    for one, two in pairwise(way):
        y1, y2 = (upright.up(spot.gained, _HEIGHT) for spot in (one, two))
        draw(plot, "line", "way", x1=flat.across(one.lost), x2=flat.across(two.lost), y1=y1, y2=y2)
        for k in range(_STEPS + 1):
            x = WIDE * (flat.at(one.lost) + k / _STEPS * (flat.at(two.lost) - flat.at(one.lost)))
            y = float(y1) + k / _STEPS * (float(y2) - float(y1))
            boxes.append((x - 1, y - 1, x + 1, y + 1))
    return boxes


def _limit(plot: Svg, kept: Kept, flat: Axis) -> list[Box]:
    """The line of the most that may be lost, with its words at the foot; the boxes of the line and the words."""
    if kept.limit is None or kept.lost is None:
        return []
    value = scale(kept.lost.metric) * kept.limit
    x, place = flat.across(value), WIDE * flat.at(value)
    draw(plot, "line", "limit", x1=x, x2=x, y1=0, y2=_HEIGHT)
    left = flat.at(value) > 0.85
    told = f"limit {amount(kept.lost.metric, value)}"
    draw(plot, "text", "limit end" if left else "limit", told, x=x, dx=-7 if left else 7, y=_HEIGHT - 9)
    return [(place - 3, 0.0, place + 3, _HEIGHT), (place - 80 * left, _HEIGHT - 24, place + 80 * (not left), _HEIGHT)]


def _bars(plot: Svg, kept: Kept, shown: Sequence[Spot], plane: Plane) -> list[Box]:
    """The intervals of the chosen weights on both tasks; the boxes that they take."""
    spot = next((each for each in shown if each.chosen), None)
    boxes: list[Box] = []
    if spot is None:
        return boxes
    flat, upright = plane
    x, y = flat.across(spot.lost), upright.up(spot.gained, _HEIGHT)
    lost, gain = (_ends(measured) for measured in (kept.lost, kept.gain))
    if lost:
        draw(plot, "line", "range", x1=flat.across(lost[0]), x2=flat.across(lost[1]), y1=y, y2=y)
        boxes.append((WIDE * flat.at(lost[0]), float(y) - 2, WIDE * flat.at(lost[1]), float(y) + 2))
    if gain:
        ends = [upright.up(end, _HEIGHT) for end in gain]
        draw(plot, "line", "range", x1=x, x2=x, y1=ends[0], y2=ends[1])
        boxes.append((WIDE * flat.at(spot.lost) - 2, float(ends[1]), WIDE * flat.at(spot.lost) + 2, float(ends[0])))
    return boxes


def _ends(measured: Also | None) -> tuple[float, float] | None:
    if measured is None or measured.low is None or measured.high is None:
        return None
    return scale(measured.metric) * measured.low, scale(measured.metric) * measured.high


def _dots(plot: Svg, metrics: tuple[str, str], shown: Sequence[Spot], plane: Plane) -> None:
    """The chosen one last, over all others. metrics: of the old and of the new task."""
    for spot in sorted(shown, key=lambda each: each.chosen):
        told = f"{spot.name}: {amount(metrics[0], spot.lost)} lost, {amount(metrics[1], spot.gained)} gained"
        told += "" if spot.seconds is None else f", {duration(spot.seconds)}"
        kind, radius = ("chosen", 7) if spot.chosen else ("guard", 5.5) if spot.share is None else ("share", 4)
        x, y = plane[0].across(spot.lost), plane[1].up(spot.gained, _HEIGHT)
        draw(plot, "circle", f"dot {kind}", told, cx=x, cy=y, r=radius)


def _words(plot: Svg, shown: Sequence[Spot], plane: Plane, taken: Sequence[Box], crossed: Sequence[Box]) -> None:
    """Names beside the dots as far as there is room: of the chosen one first, of shares within the way last."""
    order = sorted(shown, key=lambda s: (not s.chosen, s.share is not None, s.share not in (0.0, 1.0)))
    words = [(_word(s), plane[0].at(s.lost), float(plane[1].up(s.gained, _HEIGHT))) for s in order]
    for spot, (text, x, y), side in zip(order, words, places(words, _HEIGHT, taken, crossed), strict=True):
        if side is not None:
            name = f"name {'chosen ' if spot.chosen else ''}{side.anchor}".rstrip()
            draw(plot, "text", name, text, x=f"{100 * x:.2f}%", dx=side.dx, y=y + side.dy)


def _word(spot: Spot) -> str:
    """Of a share within the way its number alone."""
    if spot.share in (None, 0.0, 1.0) or spot.chosen:
        return short(spot.name)
    return percent(spot.share)


def short(name: str) -> str:
    """As much of a name as there is room for in a figure."""
    return name if len(name) <= _LETTERS else f"{name[: _LETTERS - 1].rstrip()}…"


def alike(layers: Sequence[Layer], height: float = 170) -> str:
    """Linear CKA of each layer before and after, on the new data and on the probe set, from the input to the head."""
    whole = value_axis("accuracy", [1.0, *(v for layer in layers for v in (layer.new, layer.probe))])
    figure = canvas(height, f"linear CKA before and after tuning of {len(layers)} layers", "plot alike")
    for tick in whole.ticks():
        y = whole.up(tick, height)
        draw(figure, "line", "grid", x1="0", x2="100%", y1=y, y2=y)
        draw(figure, "text", "tick end", f"{tick:g}", x=-10, y=float(y) + 4)
    across = [f"{100 * (k + 0.5) / len(layers):.2f}%" for k in range(len(layers))]
    curves = {"probe set": [layer.probe for layer in layers], "new data": [layer.new for layer in layers]}
    ends: dict[str, float] = {}
    for name, values in curves.items():
        known = [
            (x, layer.name, value)
            for x, layer, value in zip(across, layers, values, strict=True)
            if value is not None and math.isfinite(value)
        ]
        group = draw(figure, "g", name.partition(" ")[0])
        for (x1, _, a), (x2, _, b) in pairwise(known):
            draw(group, "line", "way", x1=x1, x2=x2, y1=whole.up(a, height), y2=whole.up(b, height))
        for x, layer, value in known:
            draw(group, "circle", "dot", f"{layer}, {name}: {value:.3f}", cx=x, cy=whole.up(value, height), r=4.5)
        if known:
            ends[name] = float(whole.up(known[-1][2], height))
    for name, y in _apart(ends).items():
        draw(figure, "text", f"name {name.partition(' ')[0]}", name, x=across[-1], dx=14, y=y + 4)
    named = range(len(layers)) if len(layers) <= _LABELLED else (0, len(layers) - 1)
    for k in named:
        inner = " inner" if 0 < k < len(layers) - 1 else ""
        draw(figure, "text", f"tick middle{inner}", short(layers[k].name), x=across[k], y=height + 20)
    return markup(figure)


def _apart(ends: dict[str, float]) -> dict[str, float]:
    """Heights of words, moved away from each other where they would meet."""
    if len(ends) < 2:
        return ends
    (one, a), (two, b) = sorted(ends.items(), key=lambda pair: pair[1])
    push = max(0.0, _LINE - (b - a)) / 2
    return {one: a - push, two: b + push}
