"""What is known of one update of a skill, as plain frozen values, and the words and the page that tell it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headstart.report import figures, wording
from headstart.report.card import plain
from headstart.report.html import document
from headstart.report.record import Also

_LISTED = 8


@dataclass(frozen=True)
class Recall:
    """How one class, label or number that was known before is answered.

    Attributes:
        name: of it.
        before, after: share answered right, or R² of a number, by the head before and by the new one.
        rows: that were judged; 0 where it was estimated.
        share: of it in what was known, 0..1.
        estimated: whether from the moments of rows that are gone.
        kept: whether on old rows that were kept, and not on new ones.
    """

    name: str
    before: float
    after: float
    rows: int
    share: float
    estimated: bool
    kept: bool = False


@dataclass(frozen=True)
class Tried:
    """A way to a new head. value: the metric on rows to learn from that it had not learned from; lost: of the old."""

    way: str
    value: float
    lost: float
    chosen: bool


@dataclass(frozen=True)
class Event:
    """One line of a skill's history.

    Attributes:
        version: that served from then on.
        created: ISO 8601 time.
        rows: that were learned from.
        what: was done.
        metric, value, low, high: of the version, on rows that it had not learned from.
        data: fingerprint of the rows; empty where none came.
    """

    version: int
    created: str
    rows: int
    what: str
    metric: str
    value: float | None
    low: float | None
    high: float | None
    data: str = ""


@dataclass(frozen=True)
class Updated:
    """One update.

    Attributes:
        skill: folder.
        version: that serves now.
        taken: whether the new head took over; dry_run: whether it only would have.
        reason: why, or why not.
        path, fingerprint, modality, task: of the new data.
        rows: of it that are new and could be used; copies: that the skill had learned from already.
        learned, judged: rows of each kind; where: how they were divided.
        added: names that are new.
        way: to the new head.
        tried: all ways.
        before, after: scores of the head before and of the new one on the judged rows.
        gain: of the new one, above 0 is better in every metric; sure: share of the bootstrap's draws that do not show
            it worse.
        lost: of what was known before, above 0 is worse; None where it could not be estimated; limit: that is allowed.
        measure: what `recalls` count.
        recalls: one for each class, label or number that was known.
        history: of the skill, the first version first.
        notes: what was left out or could not be done.
        created, command, seconds: of the update.
    """

    skill: str
    version: int
    taken: bool
    dry_run: bool
    reason: str
    path: str
    fingerprint: str
    modality: str
    task: str
    rows: int
    copies: int
    learned: int
    judged: int
    where: str
    added: tuple[str, ...]
    way: str
    tried: tuple[Tried, ...]
    before: Also
    after: Also
    gain: Also
    sure: float
    lost: float | None
    limit: float
    measure: str
    recalls: tuple[Recall, ...]
    history: tuple[Event, ...]
    notes: tuple[str, ...]
    created: str
    command: str
    seconds: float


def event_of(said: Mapping[str, Any]) -> Event:
    """A line of a manifest's history; what it lacks is empty."""
    known = {name: said.get(name) for name in Event.__dataclass_fields__}
    words = {name: str(known[name] or "") for name in ("created", "what", "metric", "data")}
    numbers = {name: known[name] if isinstance(known[name], int | float) else None for name in ("value", "low", "high")}
    return Event(int(known["version"] or 0), rows=int(known["rows"] or 0), **words, **numbers)  # pyright: ignore[reportArgumentType]


def headline(u: Updated) -> str:
    """What was decided."""
    if u.taken and u.dry_run:
        return f"The new head would take over: {u.reason}."
    if u.taken:
        return f"The new head took over as version {u.version}: {u.reason}."
    return f"Not taken over: {u.reason}. Version {u.version} keeps serving."


def seen(u: Updated) -> str:
    """What came in."""
    one, many = wording.UNITS.get(u.modality, ("row", "rows"))
    said = f"{u.rows:,} new {one if u.rows == 1 else many}"
    copies = "copy" if u.copies == 1 else "copies"
    said += f", {u.copies:,} {copies} of what it had learned from left out" if u.copies else ""
    what = {"classes": "class", "labels": "label"}.get(u.task, "number")
    if u.added:
        many = what if len(u.added) == 1 else {"class": "classes", "label": "labels"}.get(what, "numbers")
        said += f"; {len(u.added)} new {many}: {', '.join(u.added[:_LISTED])}"
        said += f" and {len(u.added) - _LISTED} more" if len(u.added) > _LISTED else ""
    return f"{said}. {u.where[:1].upper()}{u.where[1:]}."


def scores(u: Updated) -> str:
    """Old and new score on the same rows, and their difference."""
    name, metric = wording.metric_name(u.before.metric), u.before.metric
    old, new = (wording.with_interval(metric, each.value, each.low, each.high) for each in (u.before, u.after))
    by = wording.difference(metric, u.gain.value)
    way = "better" if u.gain.value > 0 else "worse" if u.gain.value < 0 else "of difference"
    spread = wording.interval(metric, u.gain.low, u.gain.high)
    return (
        f"On {u.judged:,} rows that neither learned from, {name} was {old} before and is {new} now: {by} {way} "
        f"{spread}".rstrip()
        + "."
    )


def forgotten(u: Updated) -> str:
    """What is lost of what was known before, and how that is known."""
    if u.lost is None or not u.recalls:
        return "What it forgets of the old could not be estimated."
    unit = "" if u.task == "numbers" else " points"
    lost, allowed = (each if u.task == "numbers" else 100 * each for each in (u.lost, u.limit))
    limit = " point" if unit and allowed == 1 else unit
    done = f"loses {abs(lost):.3g}{unit}" if lost >= 0.05 * (0.01 if u.task == "numbers" else 1) else "loses nothing"
    return f"Of what was known before ({u.measure}) it {done}, where {allowed:g}{limit} may be lost; {_how(u.recalls)}."


def _how(recalls: Sequence[Recall]) -> str:
    """By which rows that is known, and of how many classes, labels or numbers, where they differ."""
    counted = {
        "judged on new rows of it": sum(not each.estimated and not each.kept for each in recalls),
        "judged on rows of it that were kept": sum(each.kept for each in recalls),
        "estimated from the moments of rows that are gone, which flatters a head of moments": sum(
            each.estimated for each in recalls
        ),
    }
    ways = {how: count for how, count in counted.items() if count}
    if len(ways) == 1:
        return next(iter(ways))
    return ", ".join(f"for {count} of {len(recalls)} {how}" for how, count in ways.items())


def sentences(u: Updated) -> tuple[str, ...]:
    """All that a person is told, the decision last."""
    return (seen(u), f"The new head is {u.way}.", scores(u), forgotten(u), *(f"{n}." for n in u.notes), headline(u))


def page(u: Updated, name: str) -> str:
    """The update as one HTML document; `name` is the skill's."""
    values = {"u": u, "words": wording, "view": view(u, name)}
    return document("updated.html.jinja", values)


def view(u: Updated, name: str) -> Mapping[str, object]:
    """What the template shows and the update does not say in so many words."""
    metric = u.before.metric
    points = [(p.value, p.low, p.high) for p in (u.after, u.before)]
    axis = figures.value_axis(metric, [v for point in points for v in point if v is not None])
    tracks = [
        (said, figures.interval_row(axis, metric, point, kind), wording.with_interval(metric, *point))
        for said, point, kind in zip(("this version", "the version before"), points, ("ours", "other"), strict=True)
    ]
    recalls = sorted(u.recalls, key=lambda each: each.after - each.before)
    return {
        "name": name,
        "big": wording.bare(metric, u.after.value),
        "unit": "%" if metric in wording.SHARES else "",
        "told": (seen(u), scores(u), forgotten(u)),
        "headline": headline(u),
        "tracks": tracks,
        "recalls": recalls[: 2 * _LISTED],
        "rest": max(0, len(recalls) - 2 * _LISTED),
        "history": rows(u.history),
        "former": [each.version for each in u.history if each.version != u.version],
    }


def rows(history: Sequence[Event]) -> list[tuple[str, str, str, str, str]]:
    """Version, day, rows, what was done and the score with its interval."""
    return [
        (
            str(each.version),
            each.created[:10],
            f"{each.rows:,}" if each.rows else "",
            each.what,
            f"{wording.metric_name(each.metric)} {wording.with_interval(each.metric, each.value, each.low, each.high)}"
            if each.value is not None
            else "",
        )
        for each in history
    ]


def markdown(u: Updated) -> str:
    """The section of a model card that tells of updates."""
    lines = ["## Updates", "", " ".join(plain(said) for said in (seen(u), scores(u), forgotten(u))), ""]
    lines += ["| version | day | rows | what | score |", "| ---: | --- | ---: | --- | --- |"]
    lines += [f"| {' | '.join(plain(cell) for cell in row)} |" for row in rows(u.history)]
    lines += [
        "",
        f"Earlier versions lie under `versions/`; `headstart rollback {Path(u.skill).name}` goes back to one.",
    ]
    return "\n".join(lines) + "\n"
