"""The page of a comparison: one file that needs no network, no scripts and no other file."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from headstart.report import curves, savings, wording
from headstart.report.comparison import Comparison
from headstart.report.html import document
from headstart.report.savings import amount, less, span
from headstart.report.wording import figure, interval
from headstart.study.points import WITHOUT
from headstart.study.transfer import Saved, Taken

AXES = {
    "labels": ("Against labels", "labels to learn from"),
    "seconds": ("Against time", "learning and answering, the reading through the network included"),
    "joules": ("Against energy", "learning and answering, the reading through the network included"),
}


@dataclass(frozen=True)
class Tile:
    """One thing saved, in words, with the lengths of its two bars in per cent."""

    name: str
    share: str
    spread: str
    own: str
    rival: str
    own_bar: float
    rival_bar: float


@dataclass(frozen=True)
class Row:
    """An arm in the tables: its sign, what it is, a cell for each budget, and what it takes for the score."""

    name: str
    what: str
    sign: str
    scores: tuple[tuple[str, str], ...]
    seconds: tuple[str, ...]
    joules: tuple[str, ...]
    taken: tuple[str, ...]
    ours: bool


def page(found: Comparison) -> str:
    """A comparison as one HTML document.

    Args:
        found: whole, with no units missing.

    Returns:
        The document; letters that cannot be written in UTF-8 are replaced, so that it always can be.
    """
    values = {"c": found, "words": wording, "savings": savings, "view": view(found)}
    return document("comparison.html.jinja", values)


def view(found: Comparison) -> Mapping[str, object]:
    """What the template shows and the comparison does not say in so many words."""
    saved = found.transfer.saved if found.transfer else ()
    looked = curves.looks(found.arms, WITHOUT)
    one, many = wording.UNITS.get(found.made.modality, ("row", "rows"))
    return {
        "rows": tuple(_row(found, arm, looked[arm]) for arm in found.arms),
        "counts": sorted({point.labels for point in found.points}),
        # what an arm never reaches has no price
        "tiles": tuple(_tile(each, found) for each in saved if math.isfinite(each.own)),
        "stands": savings.standing(found.transfer) if found.transfer else "",
        "plots": _plots(found, looked),
        "energy": savings.name_of("joules", found) if found.energy else "",
        "what": f"{found.made.rows:,} {one if found.made.rows == 1 else many}",
        "name": Path(found.path).absolute().name,
        "versions": ", ".join(f"{name} {version}" for name, version in found.made.machine.versions.items()),
    }


def _plots(found: Comparison, looked: Mapping[str, curves.Look]) -> tuple[tuple[str, str, str], ...]:
    """(heading, below it, figure) of each axis that there are values for."""
    saved = {each.what: each for each in found.transfer.saved} if found.transfer else {}
    score = found.transfer.score if found.transfer else None
    there = ["labels", "seconds", *(["joules"] if any(p.joules is not None for p in found.points) else [])]
    return tuple(
        (
            f"{AXES[what][0]}, {savings.labelled(found)}" if what == "joules" else AXES[what][0],
            AXES[what][1],
            curves.curves(found.points, looked, what, found.metric, saved.get(what), score),
        )
        for what in there
    )


def _row(found: Comparison, arm: str, look: curves.Look) -> Row:
    own = [point for point in found.points if point.arm == arm]
    taken = {each.arm: each for each in found.transfer.taken} if found.transfer else {}
    return Row(
        arm,
        f"the plan {Path(found.plans[arm]).name}" if arm in found.plans else savings.WAYS.get(arm, ""),
        curves.sign(look),
        tuple((figure(found.metric, p.score), interval(found.metric, p.low, p.high)) for p in own),
        tuple(amount("seconds", p.seconds) for p in own),
        tuple(savings.joules(p.joules) for p in own),
        _takes(taken[arm]) if arm in taken else (),
        bool(found.transfer) and arm in (found.transfer.arm, found.transfer.rival),
    )


def _takes(taken: Taken) -> tuple[str, ...]:
    """Labels, seconds, joules for the score; a dash where it is not reached."""
    labels = f"{taken.labels:,.0f}{' or fewer' if taken.fewest else ''}" if taken.seconds is not None else "not reached"
    return labels, wording.duration(taken.seconds), savings.joules(taken.joules)


def _tile(saved: Saved, found: Comparison) -> Tile:
    most = max(saved.own, saved.rival) or 1.0
    return Tile(
        savings.name_of(saved.what, found).capitalize(),
        less(saved.what, saved.share),
        span(saved),
        amount(saved.what, saved.own),
        amount(saved.what, saved.rival),
        100 * saved.own / most,
        100 * saved.rival / most,
    )
