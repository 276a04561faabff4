"""The page of a run that taught a language model: it needs no network, no scripts and no other file."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

from headstart.report import figures, wording
from headstart.report import speech_card as words
from headstart.report.figures import Axis, canvas, draw, markup, tick_label, value_axis
from headstart.report.html import document
from headstart.report.page import cut
from headstart.report.record import Foretold
from headstart.report.speech_card import known, points, standing, told
from headstart.report.spoken import Figure, Lengths, Sample, SpokenRecord
from headstart.report.wording import DASH, number

SHOWN_SAMPLES = 20
SHOWN_RUNS = 5
WIDE = 8.0  # times from the least perplexity to the largest, from which on their axis goes by powers of ten
_HEIGHT = 150.0
_NONE = 0.0005  # of a share, below which it would be shown as nothing
_LABELLED = 6  # epochs that have their number under the curve; of more only the first and the last
ASKED = {"chat": "asked", "summaries": "document"}  # what a prompt is; of all else: the beginning
Point = tuple[float, float]


def page(record: SpokenRecord) -> str:
    """The report of a run as one HTML document.

    Args:
        record: what is known of the run; parts that are None or empty are left out with their headings.

    Returns:
        The document; letters that cannot be written in UTF-8 are replaced, so that it always can be.
    """
    return document(
        "speech.html.jinja", {"r": record, "words": words, "wording": wording, "figures": figures, "view": view(record)}
    )


def view(r: SpokenRecord) -> Mapping[str, object]:
    """What the template shows and the record does not say in so many words."""
    guarded = r.guarded
    return {
        "headline": words.headline(r),
        "verdict": verdict(r),
        "sides": sides(r),
        "tracks": tracks(r),
        "axis": figures.axis_row(axis(r), ""),
        "asked": ASKED.get(r.data.kind, "beginning"),
        "samples": samples(r),
        "share": share,
        "kept": kept(r),
        "tried": tried(guarded.tried, guarded.share, guarded.limit) if guarded else "",
        "fit": tried(guarded.fit, guarded.share, None) if guarded else "",
        "lengths": lengths(r.untuned.lengths, r.tuned.lengths),
        "runs": [cut(run, 200) for run in r.recalled.runs[:SHOWN_RUNS]] if r.recalled else [],
        "losses": losses(r.voice.losses),
        "foretold": [foretold(r, each) for each in r.foretold],
        "memory": any(stage.memory_mb is not None for stage in r.stages),
        "versions": ", ".join(f"{name} {version}" for name, version in r.machine.versions.items()),
    }


def sides(r: SpokenRecord) -> str:
    """The two figures behind the headline, and where the change lies, in whole sentences."""
    metric = words.measured(r)
    if metric == "perplexity":
        change = words.likelier(r.change.perplexity)
        after, before, better = r.tuned.perplexity, r.untuned.perplexity, "lower is better"
        low, high = words.times(change.low), f"{words.times(change.high)} times as likely"
    else:
        change = r.change.scores[metric]
        after, before, better = r.tuned.scores[metric], r.untuned.scores[metric], "higher is better"
        low, high = points(change.low, "+"), f"{points(change.high, '+')} points"
    name = words.SCORES.get(metric, metric.capitalize())
    said = f"{name} {told(metric, after)} against {told(metric, before)} untuned; {better}."
    return f"{said} With 95 % confidence it is between {low} and {high}." if known(change) else said


def verdict(r: SpokenRecord) -> str:
    """What the headline leaves open: the first sentence beside summaries, written answers beside likely ones."""
    lead, tuned, change = r.lead.get("rouge1"), r.tuned.scores.get("rouge1"), r.change.scores.get("chrf")
    if words.measured(r) == "rouge1":
        return over_lead(tuned, lead) if tuned and lead else ""
    if change is None:
        return ""
    by = f"{points(abs(change.value))} points of chrF"
    return {
        "better": f"What it writes by itself is {by} closer to the references.",
        "worse": f"What it writes by itself is {by} further from the references.",
    }.get(standing("chrf", change), "That what it writes by itself is closer to the references is not shown.")


def over_lead(tuned: Figure, lead: Figure) -> str:
    """Summaries against the first sentence of their documents, by whether the two intervals touch."""
    by, alone = points(abs(tuned.value - lead.value)), f"The first sentence of a document alone has {told('', lead)}"
    if not tuned.value > lead.value:
        return f"{alone}: the summaries are no better than that."
    doubt = ", but the intervals overlap: that is no proof"
    if known(tuned) and known(lead) and (tuned.low or 0) > (lead.high or 0):
        doubt = ""
    elif not (known(tuned) and known(lead)):
        doubt = ", without intervals to prove it"
    return f"{alone}: the summaries are {by} points better{doubt}."


def tracked(r: SpokenRecord) -> dict[str, Figure]:
    """What is compared in the headline's measure."""
    metric = words.measured(r)
    if metric == "perplexity":
        found = {"untuned": r.untuned.perplexity, "tuned": r.tuned.perplexity}
    else:
        sides = {"untuned": r.untuned.scores, "first sentence": r.lead, "tuned": r.tuned.scores}
        found = {name: scores[metric] for name, scores in sides.items() if metric in scores}
    return {name: figure for name, figure in found.items() if math.isfinite(figure.value)}


def drawn(r: SpokenRecord, figure: Figure) -> figures.Point:
    """A figure as it is drawn: scores of one hundred, no end that is no number."""
    scale = 1 if words.measured(r) == "perplexity" else 100
    low, high = (scale * end if end is not None and known(figure) else None for end in (figure.low, figure.high))
    return scale * figure.value, low, high


def axis(r: SpokenRecord) -> Axis:
    """A range that holds all of the tracks, by powers of ten where perplexities lie far apart."""
    ends = [end for figure in tracked(r).values() for end in drawn(r, figure) if end is not None]
    if words.measured(r) == "perplexity" and ends and 0 < WIDE * min(ends) < max(ends):
        return Axis(min(ends) / 1.2, 1.2 * max(ends), log=True)
    return value_axis("", ends)


def tracks(r: SpokenRecord) -> list[tuple[str, str, str, str]]:
    """Name, figure, value and interval of untuned, first sentence and tuned, best first."""
    metric, across, found = words.measured(r), axis(r), []
    for name, figure in sorted(tracked(r).items(), key=lambda item: item[1].value, reverse=metric != "perplexity"):
        svg = figures.interval_row(across, "", drawn(r, figure), "ours" if name == "tuned" else "other")
        found.append((name, svg, words.worth(metric, figure.value), words.span(metric, figure)))
    return found


def samples(r: SpokenRecord) -> list[Sample]:
    """The first few, with their texts cut."""
    return [
        Sample(s.name, cut(s.prompt), cut(s.reference), cut(s.untuned), cut(s.tuned)) for s in r.samples[:SHOWN_SAMPLES]
    ]


def kept(r: SpokenRecord) -> list[str]:
    """What it lost of what it could do before, a sentence for each that was measured."""
    found, general, probe = [], r.change.general, r.change.probe
    if math.isfinite(general.value):
        sign = 1 if general.value >= 1 else -1
        by = _amount([sign * (v - 1) for v in _values(general)], " %") + (" higher" if sign > 0 else " lower")
        way = "the same" if abs(general.value - 1) < _NONE else by
        sides = f"{number(r.tuned.general.value)} against {number(r.untuned.general.value)}"
        doubt = "" if way == "the same" else _chance("general", general)
        found.append(f"The perplexity of plain prose that no training saw is {way}, {sides}{doubt}.")
    if r.untuned.probe and r.tuned.probe:
        now, before = (f"{points(side.value)} %" for side in (r.tuned.probe, r.untuned.probe))
        asked = f"Of {r.tuned.probe.n:,} short instructions that a program can check it follows {now}, before {before}"
        lost = ""
        if probe is not None:
            sign = 1 if probe.value >= 0 else -1
            by = _amount([sign * v for v in _values(probe)], " points")
            lost = f": {by} {'lost' if sign > 0 else 'won'}{_chance('probe', probe)}"
        found.append(f"{asked}{lost}.")
    return found


def share(figure: Figure) -> str:
    """4.2 % (2.0 to 7.7)"""
    return _amount(_values(figure), " %")


def _values(figure: Figure) -> list[float]:
    """The value, then its interval if there is one."""
    ends = (figure.low, figure.high) if known(figure) else ()
    return [figure.value, *(end for end in ends if end is not None)]


def _amount(values: Sequence[float], unit: str) -> str:
    """3.1 % (1.9 to 4.4)"""
    ends = f" ({' to '.join(points(end) for end in sorted(values[1:]))})" if values[1:] else ""
    return f"{points(values[0])}{unit}{ends}"


def _chance(metric: str, change: Figure) -> str:
    return ", which may be chance" if standing(metric, change) == "level" else ""


def lengths(untuned: Lengths | None, tuned: Lengths | None) -> list[tuple[str, str, str]]:
    """What is counted of the texts of each network, both beside each other; none where none were generated."""
    both = [_counted(side) for side in (untuned, tuned)]
    if untuned is None and tuned is None:
        return []
    names = ("words, the median", "words, 5 % to 95 %", "runs of four words said before", "end in a loop", "empty")
    return list(zip(names, *both, strict=True))


def _counted(side: Lengths | None) -> list[str]:
    if side is None:
        return [DASH] * 5
    median, low, high = (f"{v:,.0f}" if math.isfinite(v) else DASH for v in side.words)
    shares = (side.repeated, side.looping, side.empty)
    return [median, f"{low} to {high}", *(f"{points(share)} %".replace(f"{DASH} %", DASH) for share in shares)]


def tried(found: Mapping[str, float], chosen: float, limit: float | None) -> str:
    """Perplexity against the share of the way, with the limit as a line; empty with fewer than two shares."""
    dots = sorted((float(share), value) for share, value in found.items() if math.isfinite(value))
    marks = [(k / 4, f"{25 * k} %") for k in range(5)]
    return curve(dots, Axis(0.0, 1.0), marks, chosen, None if limit is None else 1 + limit)


def losses(found: Sequence[float]) -> str:
    """Mean loss of each epoch; empty with fewer than two."""
    dots = [(float(epoch), loss) for epoch, loss in enumerate(found, 1) if math.isfinite(loss)]
    last = len(found)
    shown = range(1, last + 1) if last <= _LABELLED else (1, last)
    return curve(dots, Axis(1.0, max(last, 2)), [(float(k), str(k)) for k in shown], None, None)


def curve(
    dots: Sequence[Point], flat: Axis, marks: Sequence[tuple[float, str]], chosen: float | None, limit: float | None
) -> str:
    """Dots joined by a line, the chosen one filled; empty with fewer than two."""
    if len(dots) < 2:
        return ""
    upright = value_axis("", [*(y for _, y in dots), limit])
    figure = canvas(_HEIGHT, ", ".join(f"{number(x)}: {number(y)}" for x, y in dots), "plot trade")
    for tick in upright.ticks():
        y = upright.up(tick, _HEIGHT)
        draw(figure, "line", "grid", x1="0", x2="100%", y1=y, y2=y)
        draw(figure, "text", "tick end", tick_label("", tick, ()), x=-10, y=float(y) + 4)
    for x, mark in marks:
        draw(figure, "text", "tick middle", mark, x=flat.across(x), y=_HEIGHT + 20)
    if limit is not None:
        draw(figure, "line", "limit", x1="0", x2="100%", y1=upright.up(limit, _HEIGHT), y2=upright.up(limit, _HEIGHT))
    for (x1, y1), (x2, y2) in pairwise(dots):
        ends = {"x1": flat.across(x1), "x2": flat.across(x2)}
        draw(figure, "line", "way", y1=upright.up(y1, _HEIGHT), y2=upright.up(y2, _HEIGHT), **ends)
    for x, y in dots:
        own = chosen is not None and abs(x - chosen) < 1e-9
        name = "dot chosen" if own else "dot share"
        draw(figure, "circle", name, f"{number(x)}: {number(y)}", cx=flat.across(x), cy=upright.up(y, _HEIGHT), r=6)
    return markup(figure)


def foretold(r: SpokenRecord, each: Foretold) -> tuple[str, str, str, str, str]:
    """What was foretold: name, value, range, what came, and whether it is within."""
    score = words.SCORES.get(words.measured(r), words.measured(r))
    name = {"score": score, "seconds": "time", "memory_mb": "memory", "joules": "energy"}.get(each.name, each.name)
    value, low, high, came = (_foretold(r, each.name, v) for v in (each.value, each.low, each.high, each.happened))
    held = "" if each.held is None else "as foretold" if each.held else "outside"
    return name, value, f"{low} to {high}", came, held


def _foretold(r: SpokenRecord, name: str, value: float | None) -> str:
    if value is None or not math.isfinite(value):
        return DASH
    if name == "score":
        return words.worth(words.measured(r), value)
    return {"seconds": wording.duration(value), "memory_mb": wording.size(1e6 * value)}.get(name, f"{value:,.0f} J")
