"""Numbers as people read them, and the sentences that say what a run was worth."""

from __future__ import annotations

import math
from collections.abc import Sequence

from headstart.report.record import Foretold, Record, Rival, Score

SHARES = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "macro F1",
    "micro_f1": "micro F1",
    "f1": "F1",
    "precision": "precision",
    "recall": "recall",
    "auc": "area under ROC",
    "average_precision": "average precision",
    "exact_match": "exact match",
    "right": "share of right answers",
}
MEASURES = {"rmse": "root mean square error", "mae": "mean absolute error", "r2": "R²", "log_loss": "log loss"}
LOWER_IS_BETTER = {"rmse", "mae", "mse", "log_loss", "error"}
UNITS = {"image": ("picture", "pictures"), "text": ("text", "texts")}
DASH, MINUS = "\N{EN DASH}", "\N{MINUS SIGN}"
FEW = 200  # test examples below which the interval of an accuracy is wider than about ten points


def metric_name(metric: str) -> str:
    """As it stands in a sentence."""
    return SHARES.get(metric) or MEASURES.get(metric) or metric.replace("_", " ")


def number(value: float | None) -> str:
    """Three significant digits; a dash where there is none."""
    if value is None or not math.isfinite(value):
        return DASH
    if value == 0:
        return "0"
    places = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:,.{places}f}".replace("-", MINUS)


def bare(metric: str, value: float | None) -> str:
    """A figure without its unit: 93.2 for a share of 0.932."""
    if value is None or not math.isfinite(value):
        return DASH
    return f"{100 * value:.1f}".replace("-", MINUS) if metric in SHARES else number(value)


def figure(metric: str, value: float | None) -> str:
    """A figure with its unit: 93.2 %."""
    text = bare(metric, value)
    return f"{text} %" if metric in SHARES and text != DASH else text


def interval(metric: str, low: float | None, high: float | None) -> str:
    """[90.1, 95.4], or nothing where it was not measured."""
    if low is None or high is None or not (math.isfinite(low) and math.isfinite(high)):
        return ""
    return f"[{bare(metric, low)}, {bare(metric, high)}]"


def with_interval(metric: str, value: float | None, low: float | None, high: float | None) -> str:
    """93.2 % [90.1, 95.4]"""
    return f"{figure(metric, value)} {interval(metric, low, high)}".rstrip()


def percent(share: float | None) -> str:
    """A probability in whole per cent; never 100 % for what is less than certain."""
    if share is None or not math.isfinite(share):
        return DASH
    if 0.995 <= share < 1:
        return "> 99 %"
    return "< 1 %" if 0 < share < 0.005 else f"{100 * share:.0f} %"


def duration(seconds: float | None) -> str:
    """0.42 s, 6.1 s, 61 s, 4 min 10 s, 2 h 5 min."""
    if seconds is None or not math.isfinite(seconds):
        return DASH
    if seconds < 0.995:
        return f"{seconds:.2f} s" if seconds else "0 s"
    if seconds < 119.5:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


def size(count: float) -> str:
    """Bytes in the largest unit that leaves at least one: 18.8 MB."""
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= scale:
            return f"{number(count / scale)} {unit}"
    return f"{count:.0f} bytes"


def foretold(record: Record) -> str:
    """Two of three came as foretold."""
    told = [each for each in record.foretold if each.held is not None]
    return f"{sum(bool(each.held) for each in told)} of {len(told)} came as foretold"


def foretold_name(record: Record, told: Foretold) -> str:
    """What a foretold number is of."""
    score = metric_name(record.score.metric) if record.score else "score"
    return {"score": score, "seconds": "time", "memory_mb": "memory", "joules": "energy"}[told.name]


def foretold_value(record: Record, told: Foretold, value: float | None) -> str:
    """A foretold number in its unit."""
    if value is None:
        return DASH
    if told.name == "score":
        return figure(record.score.metric if record.score else "", value)
    if told.name == "seconds":
        return duration(value)
    return size(1e6 * value) if told.name == "memory_mb" else f"{value:,.0f} J"


def count_of(record: Record, count: int) -> str:
    """250 pictures, 1 text, 3,000 rows."""
    one, many = UNITS.get(record.data.modality, ("row", "rows"))
    return f"{count:,} {one if count == 1 else many}"


def kind_of_data(record: Record) -> str:
    """250 pictures in 2 classes"""
    classes = len(record.data.classes)
    what = {
        "classes": f" in {classes} classes",
        "labels": f" with any of {classes} labels",
        "numbers": " with a number",
    }
    return count_of(record, record.data.rows) + (
        what.get(record.data.task, "") if classes or "num" in record.data.task else ""
    )


def measured(score: Score) -> str:
    """By 5-fold cross-validation; on the held-out test part, 50 examples."""
    if not score.where:
        return ""
    how = f"by {score.where}" if "cross" in score.where else f"on the {score.where.removeprefix('the ')}"
    return f"{how}, {score.n:,} examples" if score.n else how


def headline(record: Record) -> str:
    """What stands beside the large figure, as one sentence about it."""
    score = record.score
    if score is None:
        return "No score was measured in this run."
    many = UNITS.get(record.data.modality, ("row", "rows"))[1]
    held_out = "cross" not in score.where
    seen = f"of {score.n:,} new {many}" if held_out and score.n else f"of {many} it had not seen"
    return {
        "accuracy": f"{seen} get the right answer.",
        "exact_match": f"{seen} get exactly the right labels.",
        "mae": f"is how far an answer is off on average, over {seen[3:]}.",
        "rmse": f"is how far an answer is off as root mean square, over {seen[3:]}.",
        "r2": f"is the share of the variation explained (R²), on {seen[3:]}.",
    }.get(score.metric, f"{metric_name(score.metric)}, on {seen[3:]}.")


def gain(score: Score, rival: Rival) -> float:
    """How much better the score is; positive is better in every metric."""
    return (rival.value - score.value) if score.metric in LOWER_IS_BETTER else (score.value - rival.value)


def standing(score: Score, rival: Rival) -> str:
    """better or worse where the two intervals do not touch; level otherwise, and where one is missing."""
    if score.low is None or score.high is None or rival.low is None or rival.high is None:
        return "level"
    if score.low <= rival.high and rival.low <= score.high:
        return "level"
    return "better" if gain(score, rival) > 0 else "worse"


def difference(metric: str, amount: float) -> str:
    """12.4 points, or 0.31 for a metric that is no share."""
    return f"{100 * abs(amount):.1f} points" if metric in SHARES else number(abs(amount))


def best_rival(score: Score, against: Sequence[Rival]) -> Rival | None:
    """The rival that comes closest, or is furthest ahead."""
    return min((r for r in against if math.isfinite(r.value)), key=lambda r: gain(score, r), default=None)


def verdict(record: Record) -> str:
    """What the score is worth: against the best of the other ways, in one sentence."""
    score = record.score
    rival = best_rival(score, record.against) if score else None
    if score is None or rival is None:
        return ""
    amount = gain(score, rival)
    by = difference(score.metric, amount)
    stands = standing(score, rival)
    if stands == "better":
        return f"The head start is worth {by} over {rival.name}, the best of the other ways tried."
    if stands == "worse":
        return f"{rival.name} is better by {by}: here the pretrained network is not worth its cost."
    if amount == 0:
        return f"It is level with {rival.name}."
    way = "better" if amount > 0 else "worse"
    return f"It is {by} {way} than {rival.name}, but the intervals overlap: this much data does not prove a difference."


def limits(record: Record) -> tuple[str, ...]:
    """What the score does not say, in whole sentences."""
    score, data = record.score, record.data
    told = []
    if score is not None:
        told.append(
            "The score holds for data like this data: same origin, same way of taking it, same labels. "
            "Other cameras, writers, places or years can be harder."
        )
        if 0 < score.n < FEW:
            told.append(f"It rests on {count_of(record, score.n)}, so the interval matters more than the figure.")
    small = [c.name for c in data.classes if c.train + c.test < 10]
    if small:
        names = ", ".join(small[:5]) + (f" and {len(small) - 5} more" if len(small) > 5 else "")
        told.append(f"Fewer than 10 examples were there for {names}: nothing can be said of these alone.")
    if record.calibration is not None and record.calibration.error > 0.1:
        told.append("Its confidences are off by more than 10 points on average: do not act on them as probabilities.")
    if data.task == "classes":
        told.append("It answers with one of its classes always, also for an input that belongs to none of them.")
    if data.left_out:
        told.append(f"{count_of(record, len(data.left_out))} could not be used and count nowhere in the figures.")
    return tuple(told)


def licence(record: Record) -> str:
    """Which terms the result stands under, and who says so."""
    source = record.source
    if source is None:
        return "No pretrained network was used."
    by = f", asserted by {source.asserted_by}" if source.asserted_by else ", asserted by nobody we know of"
    return (
        f"The pretrained weights are under {source.licence or 'an unknown licence'}{by}"
        f"{f' (upstream: {source.upstream})' if source.upstream else ''}. What was learned here derives from them "
        "and from your data: both sets of terms apply to the result. This is no legal advice."
    )
