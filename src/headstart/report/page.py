"""One page of HTML about a run: it needs no network, no scripts and no other file."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from headstart.report import figures, kept, trade, wording
from headstart.report.html import document
from headstart.report.record import ClassCount, Example, Record

SHOWN_EXAMPLES = 12  # cards of a kind; a page is looked at, the whole list is in metrics.json
SHOWN_TEXT = 420  # letters of one example
FEW_CLASSES = 12  # have rows of bars and counts in the heat map; more classes become a skyline
SHOWN_CONFUSION = 30  # classes of a heat map; more become a list of pairs
SHOWN_PAIRS = 10
CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f]")  # all but the new line
OURS = "this model"
PICTURE = re.compile(r"data:image/(png|jpeg|webp|gif);base64,[A-Za-z0-9+/=\s]+")


@dataclass(frozen=True)
class Track:
    """One row of the comparison. name: of the way; svg: its dot; figure: 93.2 % [90.1, 95.4]; ours: it is the score."""

    name: str
    what: str
    svg: str
    value: str
    spread: str
    seconds: str
    ours: bool


@dataclass(frozen=True)
class Pair:
    """Two classes that are taken for each other. share: of the truth's examples, 0..1."""

    truth: str
    answer: str
    count: int
    share: float

    @property
    def total(self) -> int:
        """Examples of the truth."""
        return round(self.count / self.share) if self.share else 0


def page(record: Record) -> str:
    """The report of a run as one HTML document.

    Args:
        record: what is known of the run; parts that are None or empty are left out with their headings.

    Returns:
        The document; letters that cannot be written in UTF-8 are replaced, so that it always can be.
    """
    values = {
        "r": record,
        "words": wording,
        "figures": figures,
        "kept": kept,
        "trade": trade,
        "view": view(record),
    }
    return document("page.html.jinja", values)


def view(record: Record) -> Mapping[str, object]:
    """What the template shows and the record does not say in so many words."""
    classes = len(record.data.classes)
    return {
        "tracks": tracks(record),
        "samples": shown(record.data.samples),
        "mistakes": shown(record.mistakes),
        "suspicious": shown(record.suspicious),
        "pairs": confused(record)[:SHOWN_PAIRS],
        "hardest": hardest(record)[:SHOWN_PAIRS],
        "heat": heat(record),
        "axis": comparison_axis(record),
        "cell": 76 if classes <= 4 else 44 if classes <= 7 else 36 if classes <= FEW_CLASSES else 22,
        "few": classes <= FEW_CLASSES,
        "largest_class": max((c.train + c.test for c in record.data.classes), default=0) or 1,
        "by_size": sorted(record.data.classes, key=lambda c: c.train + c.test, reverse=True),
        "metric": record.score.metric if record.score else "",
        "memory": any(stage.memory_mb is not None for stage in record.stages),
        "layers": sum(len(rung.taps) == 1 for rung in record.depth.layers) if record.depth else 0,
        "join": next((rung for rung in record.depth.layers if len(rung.taps) > 1), None) if record.depth else None,
        "tapped": set(record.depth.taps) if record.depth else set(),
        "versions": ", ".join(f"{name} {version}" for name, version in record.machine.versions.items()),
    }


def tracks(record: Record) -> tuple[Track, ...]:
    """The score and its rivals, best first, on one axis."""
    score = record.score
    if score is None:
        return ()
    axis = comparison_axis(record)

    def track(name: str, what: str, point: figures.Point, seconds: float | None, ours: bool = False) -> Track:
        svg = figures.interval_row(axis, score.metric, point, "ours" if ours else "other")
        value, spread = wording.figure(score.metric, point[0]), wording.interval(score.metric, point[1], point[2])
        return Track(name, what, svg, value, spread, "" if seconds is None else wording.duration(seconds), ours)

    rivals = sorted(record.against, key=lambda rival: wording.gain(score, rival))
    rows = [track(r.name, r.what, (r.value, r.low, r.high), r.seconds) for r in rivals]
    ahead = sum(wording.gain(score, rival) < 0 for rival in rivals)
    rows.insert(ahead, track(OURS, "", (score.value, score.low, score.high), record.seconds, ours=True))
    return tuple(rows)


def comparison_axis(record: Record) -> figures.Axis:
    """A range that holds the score and every rival with its interval."""
    score = record.score
    if score is None:
        return figures.Axis(0.0, 1.0)
    points = [(score.value, score.low, score.high), *((r.value, r.low, r.high) for r in record.against)]
    return figures.value_axis(score.metric, [value for point in points for value in point])


def shown(examples: Sequence[Example]) -> tuple[Example, ...]:
    """The first few, with texts cut and with only such pictures as carry their bytes in themselves."""
    return tuple(
        replace(
            example,
            text=None if example.text is None else cut(example.text),
            picture=example.picture if example.picture and PICTURE.fullmatch(example.picture) else None,
        )
        for example in examples[:SHOWN_EXAMPLES]
    )


def cut(text: str, most: int = SHOWN_TEXT) -> str:
    """The text's beginning, with an ellipsis if there was more; control characters are shown as spaces."""
    clean = CONTROL.sub(" ", text.strip())
    return clean if len(clean) <= most else clean[: most - 1].rstrip() + "…"


def confused(record: Record) -> list[Pair]:
    """Pairs of classes by how often the second was answered for the first."""
    names = [c.name for c in record.data.classes]
    found = [
        Pair(names[truth], names[answer], count, count / sum(row))
        for truth, row in enumerate(record.confusion or ())
        for answer, count in enumerate(row)
        if count and truth != answer
    ]
    return sorted(found, key=lambda pair: (pair.count, pair.share), reverse=True)


def hardest(record: Record) -> list[Pair]:
    """Classes by the share of their examples that is answered right, lowest first; none without a miss."""
    names = [c.name for c in record.data.classes]
    found = [
        Pair(names[truth], names[truth], row[truth], row[truth] / sum(row))
        for truth, row in enumerate(record.confusion or ())
        if sum(row) > row[truth]
    ]
    return sorted(found, key=lambda pair: pair.share)


def heat(record: Record) -> tuple[tuple[ClassCount, tuple[tuple[int, float], ...]], ...]:
    """Rows of the heat map: a class with (count, share of its row, 0..1) for each answer; none for many classes."""
    rows = record.confusion or ()
    if not rows or len(rows) > SHOWN_CONFUSION:
        return ()
    return tuple(
        (counted, tuple((count, count / (sum(row) or 1)) for count in row))
        for counted, row in zip(record.data.classes, rows, strict=True)
    )
