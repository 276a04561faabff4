"""The command that chooses: networks ranked for some data before anything is trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
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
)
from headstart.cli.show import show, table, wrapped
from headstart.cli.tell import Console
from headstart.units import human

if TYPE_CHECKING:
    from headstart.verbs.rank import Ranked, Ranking

Sources = Annotated[
    str | None,
    typer.Option("--sources", help="Networks and skills (skill:PATH), with commas between; else those on disk."),
]
Rows = Annotated[int, typer.Option("--rows", help="Examples to look at, at most.")]
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

    names = [name.strip() for name in (sources or "").split(",") if name.strip()]
    with Console() as teller:
        found = verb(
            data,
            names,
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
        f"{100 * each.best:.0f} %" if each.best == each.best and each.regret == each.regret else "out",
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
