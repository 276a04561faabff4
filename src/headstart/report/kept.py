"""What a fit that goes deeper than the head kept of what the network could do: sentences, and all that was measured."""

from __future__ import annotations

import math
from dataclasses import dataclass

from headstart.report.record import Also, Guarded, Kept, Mix
from headstart.report.wording import DASH, LOWER_IS_BETTER, MINUS, SHARES, bare, metric_name, number, percent

_UNGUARDED = ("", "mix")  # nothing in training: mixing comes after it
Way = Mix | Guarded


@dataclass(frozen=True)
class Spot:
    """One set of weights, by what it lost and what it gained.

    Attributes:
        name: in words.
        lost: points of the old task, or what its metric is in; above 0 is worse.
        gained: of the new task over a new head alone, likewise; above 0 is better.
        old, new: the scores behind it.
        share: of the weights after tuning, where it is on the way of the chosen guard; None for other guards.
        seconds: that it took, where known.
        chosen: whether the skill has these weights.
    """

    name: str
    lost: float
    gained: float
    old: Also
    new: Also
    share: float | None = None
    seconds: float | None = None
    chosen: bool = False


def headline(kept: Kept) -> str:
    """What was gained and what was lost, in one sentence; empty where neither was measured."""
    told = []
    if kept.gain is not None:
        told.append(f"gained {_measured(kept.gain)} on the new task over a new head alone")
    if kept.lost is not None:
        which = "one" if told else "task"
        told.append(f"lost {_measured(kept.lost)} of the old {which}{_doubt(kept.lost)}")
    return f"Going deeper {' and '.join(told)}." if told else ""


def _measured(found: Also) -> str:
    """2.3 points (0.9 to 3.7)"""
    value, *ends = (
        None if v is None else amount(found.metric, scale(found.metric) * v)
        for v in (found.value, found.low, found.high)
    )
    told = f"{value} {'' if found.metric in SHARES else 'of '}{unit(found.metric)}"
    return told if None in ends else f"{told} ({ends[0]} to {ends[1]})"


def _doubt(lost: Also) -> str:
    """Where the interval holds 0."""
    if lost.low is None or lost.high is None or not lost.low <= 0 <= lost.high:
        return ""
    return ", which may be chance"


def guard(kept: Kept) -> str:
    """What guarded the old task, and why, in whole sentences."""
    if kept.guard in _UNGUARDED:
        told = ["Nothing guarded the old task in training."]
    else:
        told = [f"The old task was guarded by {_named(kept.guard, kept.strength)}."]
    return " ".join((*told, kept.rule.strip())).strip()


def answers(kept: Kept) -> str:
    """What the old head answers now, beside what it answered before, in one sentence; empty where it was not asked."""
    told = []
    if kept.before is not None and kept.after is not None:
        name, before, after = metric_name(kept.after.metric), _figure(kept.before), _figure(kept.after)
        told.append(f"had {before} {name} on the old task and has {after}")
    on = [(kept.agreement, "the new data"), (kept.probe_agreement, "the built-in probe set")]
    same = [f"{percent(share)} of {where}" for share, where in on if share is not None]
    if same:
        told.append(f"answers {' and '.join(same)} as it did before")
    named = f" ({kept.old_head})" if kept.old_head else ""
    return f"The old head{named} {'; it '.join(told)}." if told else ""


def _figure(also: Also) -> str:
    return f"{bare(also.metric, also.value)}{' %' if also.metric in SHARES else ''}"


def spots(kept: Kept) -> tuple[Spot, ...]:
    """All that was measured on both tasks: the way of the chosen guard by its shares, then other guards.

    The chosen weights stand where `lost` and `gain` put them, and all others beside them by the difference of their
    scores. None where the old task was not measured.
    """
    final, over = _final(kept), gained(kept)
    if final is None or final.old is None or kept.lost is None or over is None:
        return ()
    found = []
    for way in (*sorted(kept.mixes, key=lambda mix: mix.share), *kept.tried):
        # the chosen guard is a dot on its own way already
        if way.old is None or (way.chosen and way is not final):
            continue
        lost = kept.lost.value + worse(way.old.metric, final.old.value, way.old.value)
        gain = over.value + worse(way.new.metric, way.new.value, final.new.value)
        if math.isfinite(lost) and math.isfinite(gain):
            units = scale(kept.lost.metric) * lost, scale(over.metric) * gain
            share, seconds = _share(way), _seconds(kept, way, way is final)
            found.append(Spot(_name(kept, way, way is final), *units, way.old, way.new, share, seconds, way is final))
    return tuple(found)


def _final(kept: Kept) -> Way | None:
    """The weights of the skill."""
    return next((way for way in (*kept.mixes, *kept.tried) if way.chosen), None)


def gained(kept: Kept) -> Also | None:
    """`gain`; where that was not measured, the chosen weights' score over that of the weights before."""
    final = _final(kept)
    start = next((mix.new for mix in kept.mixes if mix.share == 0), None)
    if kept.gain is not None or final is None or start is None:
        return kept.gain
    return Also(start.metric, worse(start.metric, final.new.value, start.value))


def _share(way: Way) -> float | None:
    return way.share if isinstance(way, Mix) else None


def _seconds(kept: Kept, way: Way, final: bool) -> float | None:
    if isinstance(way, Guarded):
        return way.seconds
    return next((tried.seconds for tried in kept.tried if tried.chosen), None) if final else None


def _name(kept: Kept, way: Way, final: bool) -> str:
    if isinstance(way, Guarded):
        return _named(way.name, way.strength)
    told = {0.0: "before", 1.0: "all the way"}.get(way.share, f"{100 * way.share:.0f} % of the way")
    return f"{_named(kept.guard, kept.strength)}, {told}" if final and kept.guard not in _UNGUARDED else told


def _named(name: str, strength: float) -> str:
    """lwf 4"""
    return "no guard" if not name else f"{name} {strength:g}"


def worse(metric: str, before: float, after: float) -> float:
    """How much worse the second figure is, in the metric; below 0 where it is better."""
    return after - before if metric in LOWER_IS_BETTER else before - after


def scale(metric: str) -> float:
    """From a metric to what is told of its differences: points of shares, others as they are."""
    return 100.0 if metric in SHARES else 1.0


def unit(metric: str) -> str:
    """Of differences of a metric."""
    return "points" if metric in SHARES else metric_name(metric)


def amount(metric: str, value: float) -> str:
    """A difference in its unit: 1.2, or 0.0312 for what is no share."""
    if not math.isfinite(value):
        return DASH
    # plus 0.0: what rounds to nothing has no sign
    return f"{round(value, 1) + 0.0:.1f}".replace("-", MINUS) if metric in SHARES else number(value)
