"""The command that chooses before anything is trained."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headstart.cli.choose import Rows, Sources
from headstart.cli.options import (
    Answer,
    Cache,
    Data,
    Group,
    Image,
    Json,
    Label,
    Metric,
    Prompt,
    Seed,
    Task,
    Text,
    Threads,
    Time,
    at_least,
    columns,
    energy,
    seconds,
    size,
)
from headstart.cli.show import show, table
from headstart.cli.tell import Console
from headstart.units import human

if TYPE_CHECKING:
    from headstart.adapt.foretell import Range
    from headstart.verbs.choices import Choice
    from headstart.verbs.foresee import Foreseen
    from headstart.verbs.plan import Planned


def plan(
    data: Data,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="File of the plan; else none is written.")] = None,
    sources: Sources = None,
    budget: Annotated[str | None, typer.Option(help="Time that the fit may take, such as 60s or 5m.")] = None,
    memory: Annotated[str | None, typer.Option(help="Memory that it may take, such as 2GB.")] = None,
    joules: Annotated[
        str | None, typer.Option("--energy", help="Energy that it may take, such as 500J or 1Wh.")
    ] = None,
    task: Task = None,
    text: Text = None,
    image: Image = None,
    label: Label = None,
    group: Group = None,
    time: Time = None,
    prompt: Prompt = None,
    answer: Answer = None,
    metric: Metric = None,
    rows: Rows = 1000,
    seed: Seed = 0,
    threads: Threads = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or eager.")] = "auto",
    cache: Cache = None,
    as_json: Json = False,
) -> None:
    """Which network and how deep, with what that will take and give: a file to read, edit and follow."""
    at_least(0, seed=seed, threads=threads)
    allowed, most, energy_most = seconds(budget), size(memory, "--memory") if memory else None, energy(joules)
    from headstart.verbs.plan import Limits, Planned
    from headstart.verbs.plan import plan as verb

    with Console() as teller:
        found = verb(
            data,
            out,
            sources=[name.strip() for name in sources.split(",") if name.strip()] if sources else (),
            options=replace(columns(task, text, image, label, group, time), prompt=prompt, answer=answer),
            metric=metric,
            limits=Limits(allowed, most, energy_most),
            rows=rows,
            seed=seed,
            threads=threads,
            device=device,
            cache=cache,
            teller=teller,
        )
    if isinstance(found, Planned):
        show(_plain(found), as_json, lambda: _in_words(found))
    else:
        plain = {**asdict(found), "file": str(found.file) if found.file else None}
        show(plain, as_json, lambda: _foreseen(found))


def _foreseen(found: Foreseen) -> str:
    """What goes where, and how to follow the plan."""
    rows = [(part, f"{seconds:,.0f} s") for part, seconds in found.parts.items() if seconds >= 1]
    rows += [("tokens a second", _range(found.tokens_per_second)), ("seconds", _range(found.seconds))]
    rows += [("memory", human(found.memory.value * 1e6))]
    return "\n".join([*table(rows), "", found.words, f"planned in {found.spent:.1f} s; {_follow(found)}"])


def _follow(found: Planned | Foreseen) -> str:
    return f"follow it with: headstart fit {found.path} --plan {found.file}" if found.file else "-o plan.toml writes it"


def _plain(found: Planned) -> dict[str, object]:
    choices = [
        {
            "source": each.card.name,
            **{name: value for name, value in asdict(each).items() if name != "card"},
            "over": over,
            "chosen": each is found.chosen,
        }
        for each, over in zip(found.choices, found.over, strict=True)
    ]
    rest = {name: getattr(found, name) for name in ("path", "metric", "rows", "words", "toml", "seconds")}
    return {**rest, "file": str(found.file) if found.file else None, "choices": choices}


def _in_words(found: Planned) -> str:
    rows = [("", f"{found.metric}, 90 %", "seconds", "memory", "network, depth")]
    rows += [_row(each, each is found.chosen, over) for each, over in zip(found.choices, found.over, strict=True)]
    widths = [max(len(row[k]) for row in rows) for k in range(5)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([*lines, "", found.words, f"planned in {found.seconds:.1f} s; {_follow(found)}"])


def _row(each: Choice, chosen: bool, over: str) -> tuple[str, str, str, str, str]:
    name = each.name + (f"  (too much: {over})" if over else "")
    score = f"{each.score.value:.3f} [{each.score.low:.3f}, {each.score.high:.3f}]"
    return "*" if chosen else "", score, _range(each.seconds), human(each.memory.value * 1e6), name


def _range(value: Range) -> str:
    return (
        f"{value.value:.0f} [{value.low:.0f}, {value.high:.0f}]"
        if value.value >= 10
        else (f"{value.value:.1f} [{value.low:.1f}, {value.high:.1f}]")
    )
