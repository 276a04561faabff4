"""What is known of a skill that was merged from others: its metrics.json and its README.md."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from headstart.report import wording
from headstart.report.card import UNSEEN, plain, quoted

FORMAT = 1


@dataclass(frozen=True)
class Point:
    """A figure with its 95 % interval where that is known."""

    name: str
    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Part:
    """A head that went into a merged skill.

    Attributes:
        name: of the head in the merged skill where it has one of its own, else of the skill.
        delta: sha256 of what that skill had learned.
        score: that its own fit measured; None where nothing says so.
    """

    name: str
    task: str
    classes: tuple[str, ...]
    metric: str
    depth: int
    taps: tuple[str, ...]
    delta: str
    score: Point | None = None


@dataclass(frozen=True)
class Loss:
    """What the merge cost one task, on labelled data.

    Attributes:
        name: of the head or of the merged skill.
        rows: of the data.
        parts: scores of the skills that went in, on these rows.
        merged: score of what came of them.
        differences: merged minus part, for each part, on the same rows.
        agreement: share of rows that are answered as the part answers them, for each part; None for numbers.
        seen: whether a part learned from this very data: its score flatters then.
    """

    name: str
    metric: str
    rows: int
    parts: tuple[Point, ...]
    merged: Point
    differences: tuple[Point, ...]
    agreement: tuple[float | None, ...]
    seen: bool


@dataclass(frozen=True)
class Merged:
    """A merged skill, whole; `metrics.json` is made of it.

    Attributes:
        how: stack or average.
        said: what is lost, in whole sentences.
        modality: of the inputs.
        source, licence, asserted_by, upstream, trained_on: of the network that all parts share.
        score: of the main head, where it is known.
    """

    name: str
    how: str
    said: str
    modality: str
    source: str
    licence: str
    asserted_by: str
    upstream: str
    trained_on: str
    parts: tuple[Part, ...]
    headstart: str
    created: str
    losses: tuple[Loss, ...] = ()
    score: dict[str, object] | None = None
    format: int = FORMAT


def metrics(merged: Merged) -> str:
    """The text of metrics.json."""
    return json.dumps(asdict(merged), indent=1, ensure_ascii=False)


def card(merged: Merged) -> str:
    """The text of README.md: a model card in Markdown, every name escaped."""
    names = [plain(part.name) for part in merged.parts]
    ways = {
        "stack": f"{len(names)} heads on one network, each for a task of its own.",
        "average": f"the mean of {len(names)} skills for one task.",
    }
    sections = (
        _front(merged),
        f"# {plain(merged.name)}",
        f"Merged from {', '.join(names[:-1])} and {names[-1]}, skills of {plain(merged.source)}: {ways[merged.how]}",
        "## Heads" if merged.how == "stack" else "## Skills that went in",
        "\n".join(_table(merged.parts)),
        "## What was lost",
        plain(merged.said),
        *("\n".join(_losses(loss)) for loss in merged.losses),
        "## Predict",
        _predict(merged),
        "## Licence",
        plain(_licence(merged)),
        f"Made by headstart {plain(merged.headstart)} on {plain(merged.created[:10])}.",
    )
    return "\n\n".join(sections) + "\n"


def _front(merged: Merged) -> str:
    tags = ("headstart", "transfer-learning", "merged", merged.modality, merged.source)
    lines = [f"license: {quoted(merged.licence.lower() or 'unknown')}", "library_name: headstart", "tags:"]
    return "\n".join(("---", *lines, *(f"- {quoted(tag)}" for tag in tags), "---"))


def _licence(merged: Merged) -> str:
    by = merged.asserted_by or "nobody we know of"
    return (
        f"The pretrained weights are under {merged.licence or 'an unknown licence'}, asserted by {by} (upstream: "
        f"{merged.upstream or 'not stated'}); they were trained on {merged.trained_on or 'data that is not stated'}. "
        "What each skill learned derives from them and from its own data."
    )


def _table(parts: Sequence[Part]) -> list[str]:
    lines = ["| name | task | classes | depth | score of its own fit |", "| --- | --- | --- | ---: | --- |"]
    for part in parts:
        classes = ", ".join(plain(name) for name in part.classes[:8]) + (", …" if len(part.classes) > 8 else "")
        score = part.score
        said = "not known"
        if score is not None:
            figure = wording.with_interval(part.metric, score.value, score.low, score.high)
            said = f"{plain(wording.metric_name(part.metric))} {figure}"
        lines.append(f"| {plain(part.name)} | {part.task} | {classes} | {part.depth} | {said} |")
    return lines


def _losses(loss: Loss) -> list[str]:
    metric, rows = plain(wording.metric_name(loss.metric)), f"{loss.rows:,} rows"
    lines = [f"{plain(loss.name)}, {metric} on {rows}{', which a part had learned from' if loss.seen else ''}:", ""]
    unit = " in points" if loss.metric in wording.SHARES else ""
    lines += [f"| skill | alone | merged minus alone{unit} | same answers |", "| --- | --- | --- | ---: |"]
    for point, off, same in zip(loss.parts, loss.differences, loss.agreement, strict=True):
        alone = wording.with_interval(loss.metric, point.value, point.low, point.high)
        apart = f"{wording.bare(loss.metric, off.value)} {wording.interval(loss.metric, off.low, off.high)}"
        lines.append(f"| {plain(point.name)} | {alone} | {apart} | {'' if same is None else wording.percent(same)} |")
    point = loss.merged
    lines.append(f"| **merged** | {wording.with_interval(loss.metric, point.value, point.low, point.high)} | | |")
    return lines


def _predict(merged: Merged) -> str:
    folder = shlex.quote(" ".join(UNSEEN.sub(" ", merged.name).split()).replace("```", "") + ".skill")
    given = {"image": "new-photos/", "text": "new-texts.csv"}.get(merged.modality, "new-rows.csv")
    lines = [f"headstart predict {folder} {given}"]
    if merged.how == "stack":
        lines += [f"headstart predict {folder} {given} --head {_word(part.name)}" for part in merged.parts[1:]]
    return "```sh\n" + "\n".join(lines) + "\n```"


def _word(name: str) -> str:
    return shlex.quote(" ".join(UNSEEN.sub(" ", name).split()).replace("```", ""))
