"""The commands that choose: networks ranked before anything is trained, and ways compared over budgets of labels."""

from __future__ import annotations

import math
from collections.abc import Mapping
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
    from headstart.verbs.compare import Comparison, Point
    from headstart.verbs.rank import Ranked, Ranking

Sources = Annotated[
    str | None,
    typer.Option("--sources", help="Networks and skills (skill:PATH), with commas between; else those on disk."),
]
Rows = Annotated[int, typer.Option("--rows", help="Examples to look at, at most.")]
Out = Annotated[Path | None, typer.Option("--out", "-o", help="Folder of the outcomes; default NAME.comparison.")]
Arms = Annotated[str, typer.Option("--arms", help="Some of them, with commas between.")]
Labels = Annotated[str | None, typer.Option("--labels", help="Rows to learn from, with commas between.")]
Seeds = Annotated[int, typer.Option("--seeds", help="Times that everything is done with other rows.")]
Source = Annotated[str | None, typer.Option(help="Pretrained network, as `headstart models` lists them.")]
Scratch = Annotated[str, typer.Option(help="Time for the same network from random weights.")]
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
    data: Data,
    out: Out = None,
    arms: Arms = "majority,classical,scratch,probe,chosen,whole",
    labels: Labels = None,
    seeds: Seeds = 3,
    source: Source = None,
    metric: Metric = None,
    scratch: Scratch = "20s",
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

    An interrupted comparison goes on where it was.
    """
    at_least(0, threads=threads)
    allowed = seconds(scratch, "--scratch") or 0.0
    from headstart.verbs.compare import compare as verb

    with Console() as teller:
        found = verb(
            data,
            out,
            arms=_names(arms),
            labels=[_count(each) for each in _names(labels)],
            seeds=seeds,
            options=columns(task, text, image, label, group, time),
            source=source,
            metric=metric,
            scratch=allowed,
            threads=threads,
            cache=cache,
            teller=teller,
        )
    told = {**asdict(found), "folder": str(found.folder), "words": list(found.words)}
    show(told, as_json, lambda: compared(found))


def compared(found: Comparison) -> str:
    """Scores and seconds by arm and budget, and what follows."""
    counts = sorted({point.labels for point in found.points})
    by_arm: dict[str, list[Point]] = {}
    for point in found.points:
        by_arm.setdefault(point.arm, []).append(point)
    right = tuple(range(1, len(counts) + 1))
    head = (f"{found.metric}, labels:", *(f"{count:,}" for count in counts))
    lines = table([head, *((arm, *map(_score, points)) for arm, points in by_arm.items())], right=right)
    times = [("seconds", *("" for _ in counts))]
    times += [(arm, *(f"{point.seconds:.1f}" for point in points)) for arm, points in by_arm.items()]
    lines += ["", *table(times, right=right), ""]
    lines += [line for sentence in found.words for line in wrapped(sentence)]
    asked = f"{found.seeds} seeds, {found.test:,} test rows each, {found.source}; outcomes: {found.folder}"
    return "\n".join([*lines, asked])


def _score(point: Point) -> str:
    """Mean and half of its interval."""
    return f"{point.score:.3f} ±{point.score - point.low:.3f}"


def _names(given: str | None) -> list[str]:
    return [name.strip() for name in (given or "").split(",") if name.strip()]


def _count(given: str) -> int:
    if not given.isdecimal():
        raise UsageError(f"--labels {given!r} is not a number of rows; write for example --labels 32,64,128.")
    return int(given)
