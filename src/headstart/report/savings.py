"""The sentences of a comparison: what the pretrained network saved, or why it may not have helped."""

from __future__ import annotations

import math
from collections.abc import Sequence

from headstart.report.comparison import Comparison
from headstart.report.wording import LOWER_IS_BETTER, SHARES, difference, duration, figure, number, percent
from headstart.study.points import Point, Worth
from headstart.study.transfer import Saved, Transfer

WAYS = {
    "majority": "the most frequent answer, whatever is asked",
    "classical": "features made by hand with a linear model",
    "scratch": "the same network from random weights",
    "probe": "a new head on the pretrained network",
    "chosen": "as deep as pays, as headstart fit does it",
    "whole": "all of the pretrained network tuned",
}
_LEAST = 0.01  # seconds or joules; less is said to be less
_ROUND = 0.005  # of a share, below which it would be shown as nothing


def joules(value: float | None) -> str:
    """< 0.01 J, 0.42 J, 61.0 J, 1.20 kJ, 3.41 MJ."""
    if value is None or not math.isfinite(value):
        return number(None)
    if 0 < value < _LEAST:
        return f"< {_LEAST} J"
    for unit, scale in (("MJ", 1e6), ("kJ", 1e3)):
        if value >= scale:
            return f"{number(value / scale)} {unit}"
    return f"{number(value)} J"


def labelled(found: Comparison) -> str:
    """measured, estimated, or both where machines differ."""
    return " and ".join(sorted({known.partition(":")[0] for known in found.energy}))


def name_of(what: str, found: Comparison) -> str:
    """labels, time, or energy with whether it is measured."""
    return {"labels": "labels", "seconds": "time"}.get(what) or f"energy, {labelled(found)}"


def amount(what: str, value: float) -> str:
    """So many labels, or that much time or energy."""
    if what == "labels":
        return f"{value:,.0f}" if math.isfinite(value) else "more than there are"
    if what == "joules":
        return joules(value)
    return f"< {_LEAST} s" if 0 < value < _LEAST else duration(value)


def less(what: str, share: float) -> str:
    """A share that was saved: 93 % fewer, 2.4 times as many, the same; not reached for minus infinity."""
    if share == -math.inf:
        return "not reached"
    if abs(share) < _ROUND:
        return "the same"
    fewer, much = ("fewer", "many") if what == "labels" else ("less", "much")
    return f"{percent(share)} {fewer}" if share > 0 else f"{_times(share)} times as {much}"


def _times(share: float) -> str:
    return f"{1 - share:.1f}" if 1 - share < 9.95 else f"{1 - share:,.0f}"


def span(saved: Saved) -> str:
    """The interval of a share: 85 to 96 % less; from 20 % less to 1.4 times as much."""
    ends = [less(saved.what, share) for share in (saved.low, saved.high)]
    if ends[0] == ends[1]:
        return ends[0]
    if saved.low >= _ROUND:
        return f"{percent(saved.low).removesuffix(' %')} to {ends[1]}"
    if -math.inf < saved.low and saved.high <= -_ROUND:
        return f"{_times(saved.high)} to {ends[0]}"
    return f"from {ends[1]} to {ends[0]}"


def standing(transfer: Transfer) -> str:
    """saved: fewer labels beyond the noise; open: fewer, which may be chance; none: no fewer."""
    labels = transfer.saved[0]
    if labels.share < _ROUND:
        return "none"
    return "saved" if labels.low >= _ROUND else "open"


def headline(found: Comparison) -> str:
    """What the network saved, or that it did not, in one sentence."""
    transfer = found.transfer
    if transfer is None:
        return "Nothing was compared: it takes an arm with the pretrained network and one without it."
    labels = transfer.saved[0]
    own, rival = amount("labels", labels.own), amount("labels", labels.rival)
    pair = f"{transfer.arm} is as good with {own} as {transfer.rival} with {rival}"
    stands, helped = standing(transfer), [worth.labels for worth in found.worth if worth.low > 0]
    if stands == "saved":
        return f"The pretrained network saved {percent(labels.share)} of the labels: {pair}."
    if stands == "open":
        return f"The pretrained network may have saved labels, which this comparison cannot tell from chance: {pair}."
    if helped and len(helped) == len(found.worth):
        return (
            "The pretrained network helped on every budget of labels; how many it saved cannot be told, for without "
            "it more labels brought nothing."
        )
    if helped:
        return (
            f"The pretrained network helped beyond chance with {_listed(helped)} labels only: {transfer.rival} has "
            f"{figure(found.metric, transfer.score)} without it and with {rival}."
        )
    own = [point.score for point in found.points if point.arm == transfer.arm]
    most = min(own) if found.metric in LOWER_IS_BETTER else max(own)
    return (
        f"The pretrained network did not help beyond chance: {transfer.rival} has "
        f"{figure(found.metric, transfer.score)} without it (labels: {rival}), {transfer.arm} "
        f"{figure(found.metric, most)} at best."
    )


def costs(found: Comparison) -> str:
    """Labels, time and energy, each with its interval, in one sentence."""
    if found.transfer is None:
        return ""
    told = [
        f"{name_of(saved.what, found)}: {amount(saved.what, saved.own)}, not {amount(saved.what, saved.rival)} "
        f"({less(saved.what, saved.share)}; 95 %: {span(saved)})"
        for saved in found.transfer.saved
        if math.isfinite(saved.own)
    ]
    transfer = found.transfer
    aim = f"For {figure(found.metric, transfer.score)}, {transfer.arm} in place of {transfer.rival}: "
    return f"{aim}{'; '.join(told)}." if told else ""


def reasons(found: Comparison) -> tuple[str, ...]:
    """Why the network may not have helped, from what was seen; none where it did."""
    transfer = found.transfer
    if transfer is None or standing(transfer) == "saved" or not found.worth:
        return ()
    last = {point.arm: point for point in found.points if point.labels == found.worth[-1].labels}
    told = [_simple(found, last), _enough(found, last), _far(found, last), _hard(found, last), _few_rows(found)]
    return tuple(filter(None, told)) or ("Why cannot be seen from these arms.",)


def _simple(found: Comparison, last: dict[str, Point]) -> str:
    worth, way = found.worth[-1], last.get("classical")
    if way is None or worth.low > 0 or worth.rival != "classical":
        return ""
    kind = "edges of small pictures" if found.made.modality == "image" else "counts of words"
    return f"The data may be simple: {kind} with a linear model come to {figure(found.metric, way.score)}."


def _enough(found: Comparison, last: dict[str, Point]) -> str:
    worth, way = found.worth[-1], last.get("scratch")
    if way is None or worth.low > 0 or worth.rival != "scratch":
        return ""
    return (
        f"There may be labels enough: with {way.labels:,} of them the same network comes to "
        f"{figure(found.metric, way.score)} from random weights."
    )


def _far(found: Comparison, last: dict[str, Point]) -> str:
    """A head on the features gains less than half of what others gain over the most frequent answer."""
    if "majority" not in last or "probe" not in last:
        return ""
    sign = -1 if found.metric in LOWER_IS_BETTER else 1
    gains = {arm: sign * (point.score - last["majority"].score) for arm, point in last.items()}
    others = max((gains[arm] for arm in ("classical", "scratch", "whole") if arm in gains), default=0.0)
    if not others > 2 * gains["probe"]:
        return ""
    return (
        f"The data may be far from what the network saw ({found.made.source.trained_on}): a head on its features gains "
        f"{_points(found.metric, gains['probe'])} over the most frequent answer, another arm "
        f"{_points(found.metric, others)}."
    )


def _hard(found: Comparison, last: dict[str, Point]) -> str:
    """No arm is clear of the most frequent answer."""
    least = last.get("majority")
    others = [point for arm, point in last.items() if arm != "majority"]
    if least is None or not others or any(_clear(point, least, found.metric) for point in others):
        return ""
    return (
        f"The labels may be too few or too hard to tell apart: with {least.labels:,} of them no arm is clear of "
        f"the most frequent answer, {figure(found.metric, least.score)}."
    )


def _clear(point: Point, of: Point, metric: str) -> bool:
    """Whether the whole interval is better than another's score."""
    return point.high < of.score if metric in LOWER_IS_BETTER else point.low > of.score


def _few_rows(found: Comparison) -> str:
    worth = found.worth[-1]
    if not worth.low <= 0 <= worth.high:
        return ""
    seeds = seeded(found)
    return (
        f"There may be too little to tell: {found.test:,} test rows and {seeds} leave {worth.arm} against "
        f"{worth.rival} open by {difference(found.metric, (worth.high - worth.low) / 2)} either way."
    )


def seeded(found: Comparison) -> str:
    """one seed, 3 seeds."""
    return "one seed" if found.seeds == 1 else f"{found.seeds} seeds"


def notes(found: Comparison) -> tuple[str, ...]:
    """What the figures do not say."""
    told = []
    by_arm = {(point.arm, point.labels): point for point in found.points}
    most = max((point.labels for point in found.points), default=0)
    scratch, majority = by_arm.get(("scratch", most)), by_arm.get(("majority", most))
    if scratch and majority and not _clear(scratch, majority, found.metric):
        told.append(
            f"scratch had {duration(found.made.scratch)} for each training and came no further than majority: it tells "
            "what random weights give in that time, not what they could; --scratch gives more."
        )
    elif scratch or ("whole", most) in by_arm:
        told.append(f"scratch and whole had {duration(found.made.scratch)} for each training; --scratch gives more.")
    if found.seeds == 1:
        told.append("One seed: the intervals hold other test rows, not other rows to learn from.")
    if found.seen:
        told.append(
            f"{', '.join(found.seen)}: the plan was made on this data, so that it has seen more labels than the small "
            "budgets have."
        )
    told += [f"Energy is {known}." for known in found.energy]
    return tuple(told)


def on_budget(worth: Worth, metric: str) -> str:
    """What the network was worth on one budget."""
    gain = f"{_points(metric, worth.gain)} (95 %: {_signed(metric, worth.low)} to {_signed(metric, worth.high)})"
    if worth.gain <= 0:
        return (
            f"{worth.labels} labels: the pretrained network did not help: {worth.arm} has {gain} against {worth.rival}."
        )
    needed = "more labels than there are" if worth.needed == float("inf") else f"about {worth.needed:.0f} labels"
    doubt = "" if worth.low > 0 else " That may be chance."
    return (
        f"{worth.labels} labels: {worth.arm} has {gain} against {worth.rival}; "
        f"without the network it takes {needed} to come as far.{doubt}"
    )


def _signed(metric: str, value: float) -> str:
    return f"{100 * value:+.1f}" if metric in SHARES else f"{value:+.3g}"


def _points(metric: str, value: float) -> str:
    return f"{_signed(metric, value)} points" if metric in SHARES else _signed(metric, value)


def _listed(counts: Sequence[int]) -> str:
    told = [f"{count:,}" for count in counts]
    return told[0] if len(told) == 1 else f"{', '.join(told[:-1])} and {told[-1]}"
