"""The commands that choose: networks ranked before anything is trained, and ways compared over budgets of labels."""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headstart.cli.options import (
    Cache,
    Data,
    Group,
    Image,
    Json,
    Label,
    Metric,
    Seed,
    Task,
    Text,
    Threads,
    Time,
    at_least,
    columns,
    seconds,
)
from headstart.cli.show import show, table, wrapped
from headstart.cli.tell import Console
from headstart.errors import UsageError
from headstart.units import human

if TYPE_CHECKING:
    from headstart.report.comparison import Comparison
    from headstart.study.points import Point
    from headstart.verbs.rank import Ranked, Ranking

Sources = Annotated[
    str | None,
    typer.Option("--sources", help="Networks and skills (skill:PATH), with commas between; else those on disk."),
]
Rows = Annotated[int, typer.Option("--rows", help="Examples to look at, at most.")]
Out = Annotated[Path | None, typer.Option("--out", "-o", help="Folder of outcomes and page; default NAME.comparison.")]
Arms = Annotated[str, typer.Option("--arms", help="Some of them, with commas between.")]
Plans = Annotated[str | None, typer.Option("--plans", help="Plan files, each one arm more, with commas between.")]
Part = Annotated[str | None, typer.Option("--part", help="K/N: every N-th piece of work from the K-th on, no others.")]
Labels = Annotated[
    str | None, typer.Option("--labels", help="Rows to learn from, with commas between; else three up to 500.")
]
Seeds = Annotated[int, typer.Option("--seeds", help="Times that everything is done with other rows.")]
Source = Annotated[str | None, typer.Option(help="Pretrained network, as `headstart models` lists them.")]
Scratch = Annotated[str, typer.Option(help="Time for each training of the whole network: scratch and whole.")]
Estimates = Annotated[bool, typer.Option("--estimates", help="Add published estimators of transferability.")]


def rank(
    data: Data,
    sources: Sources = None,
    rows: Rows = 1000,
    metric: Metric = None,
    estimates: Estimates = False,
    task: Task = None,
    text: Text = None,
    image: Image = None,
    label: Label = None,
    group: Group = None,
    time: Time = None,
    seed: Seed = 0,
    threads: Threads = 0,
    cache: Cache = None,
    as_json: Json = False,
) -> None:
    """Which pretrained network suits the data, with cost and uncertainty, before anything is trained."""
    at_least(0, seed=seed, threads=threads)
    from headstart.verbs.rank import rank as verb

    with Console() as teller:
        found = verb(
            data,
            _names(sources),
            options=columns(task, text, image, label, group, time),
            metric=metric,
            rows=rows,
            estimates=estimates,
            seed=seed,
            threads=threads,
            cache=cache,
            teller=teller,
        )
    show({**asdict(found), "words": found.words}, as_json, lambda: in_words(found))


def in_words(found: Ranking) -> str:
    """A table, what follows from it, and the next step."""
    lines = table(
        [
            ("network", found.metric, "95 %", "best", "its layers", "reads", "a new head", "size", "licence"),
            *(_row(each) for each in found.networks),
        ],
        right=(1, 3, 5, 6, 7),
    )
    known = [each for each in found.networks if each.as_it_is is not None]
    lines += [f"{each.name} knows these labels: {each.as_it_is:.3f} with no training" for each in known]
    lines += [line for each in found.networks if each.estimates for line in _estimates(each.name, each.estimates)]
    for name, why in found.failed.items():
        lines += wrapped(why, first=f"{name} could not be ranked: ")
    lines += ["", *wrapped(found.words), f"`headstart fit {found.path} --source {found.networks[0].name}`"]
    return "\n".join(lines)


def _row(each: Ranked) -> tuple[str, ...]:
    """One network; `best` is the probability that it is the best of these."""
    return (
        each.name,
        f"{each.score:.3f}",
        f"{each.low:.3f} to {each.high:.3f}",
        "out" if math.isnan(each.regret) else f"{100 * each.best:.0f} %",
        _layers(each),
        f"{each.rate:,.0f}/s",
        f"{each.adapt:,.0f} s",
        human(each.bytes),
        each.licence,
    )


def _layers(each: Ranked) -> str:
    if len(each.taps) == 1:
        return each.taps[0]
    single = sum(" + " not in name for name in each.layers)
    return "all" if len(each.taps) == single else f"last {len(each.taps)}"


def _estimates(name: str, values: Mapping[str, float]) -> list[str]:
    return wrapped(", ".join(f"{key} {value:.4g}" for key, value in values.items()), first=f"{name}: ")


def compare(
    context: typer.Context,
    data: Data,
    out: Out = None,
    arms: Arms = "majority,classical,scratch,probe,chosen,whole",
    plans: Plans = None,
    labels: Labels = None,
    seeds: Seeds = 3,
    part: Part = None,
    source: Source = None,
    metric: Metric = None,
    scratch: Scratch = "5s",
    task: Task = None,
    text: Text = None,
    image: Image = None,
    label: Label = None,
    group: Group = None,
    time: Time = None,
    threads: Threads = 0,
    cache: Cache = None,
    as_json: Json = False,
) -> None:
    """What the pretrained network is worth: ways to learn, over budgets of labels, on the same rows.

    An interrupted comparison goes on where it was, and several machines may each do a part of it in one folder.
    """
    at_least(0, threads=threads)
    allowed = seconds(scratch, "--scratch") or 0.0
    from headstart.verbs.compare import compare as verb

    with Console() as teller:
        found = verb(
            data,
            out,
            arms=_names(arms),
            plans=_names(plans),
            labels=[_count(each) for each in _names(labels)],
            seeds=seeds,
            part=part,
            options=columns(task, text, image, label, group, time),
            source=source,
            metric=metric,
            scratch=allowed,
            threads=threads,
            cache=cache,
            teller=teller,
            command=f"headstart {shlex.join(context.obj)}",
        )
    paths = {"folder": str(found.folder), "page": str(found.page) if found.page else None}
    show({**asdict(found), **paths, "words": found.words}, as_json, lambda: compared(found))


def compared(found: Comparison) -> str:
    """Scores, seconds and joules by arm and budget, and what follows."""
    from headstart.report.savings import joules, name_of, seeded

    counts = sorted({point.labels for point in found.points})
    right = tuple(range(1, len(counts) + 1))
    by_arm = {arm: {p.labels: p for p in found.points if p.arm == arm} for arm in found.arms}

    def rows(head: str, cell: Callable[[Point], str]) -> list[tuple[str, ...]]:
        cells = [(arm, *(cell(own[n]) if n in own else "" for n in counts)) for arm, own in by_arm.items()]
        return [(head, *(f"{count:,}" for count in counts)), *cells]

    lines = [*table(rows(f"{found.metric}, labels:", _score), right=right), ""]
    lines += [*table(rows("seconds", lambda point: f"{point.seconds:.1f}"), right=right), ""]
    if found.energy:
        lines += [*table(rows(name_of("joules", found), lambda point: joules(point.joules)), right=right), ""]
    lines += [line for sentence in found.words for line in wrapped(sentence)]
    lines.append(f"{seeded(found)}, {found.test:,} test rows each, {found.source}; outcomes: {found.folder}")
    if found.missing:
        lines.append(f"{found.missing} pieces of work are missing: run the other parts, or the same without --part")
    else:
        lines.append(f"page: {found.page}")
    return "\n".join(lines)


def _score(point: Point) -> str:
    """Mean and half of its interval."""
    return f"{point.score:.3f} ±{point.score - point.low:.3f}"


def _names(given: str | None) -> list[str]:
    return [name.strip() for name in (given or "").split(",") if name.strip()]


def _count(given: str) -> int:
    if not given.isdecimal():
        raise UsageError(f"--labels {given!r} is not a number of rows; write for example --labels 32,64,128.")
    return int(given)
