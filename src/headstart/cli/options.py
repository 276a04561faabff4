"""The options that several commands share, and how their values are read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headstart.errors import UsageError
from headstart.units import BYTES, JOULES, SECONDS, measured

if TYPE_CHECKING:
    from headstart.data.dataset import Options

Data = Annotated[
    Path, typer.Argument(help="A folder of class folders, a table (CSV, TSV, JSONL, Parquet), .npz or talks.")
]
SkillPath = Annotated[Path, typer.Argument(help="A skill folder that `headstart fit` wrote, or an archive of one.")]
Head = Annotated[str | None, typer.Option(help="Which of a merged skill's heads answers; else the first.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")]
Task = Annotated[
    str | None, typer.Option(help="classes, labels, numbers, or chat, summaries, text to be written; else detected.")
]
Text = Annotated[str | None, typer.Option(help="Column of the texts.")]
Image = Annotated[str | None, typer.Option(help="Column of the picture paths.")]
Label = Annotated[str | None, typer.Option(help="Column of the targets; several with commas between.")]
Group = Annotated[str | None, typer.Option(help="Column of groups that stay on one side of the split.")]
Time = Annotated[str | None, typer.Option(help="Column of times: the latest rows become the test.")]
Prompt = Annotated[str | None, typer.Option(help="Column of what is asked, for answers to be written.")]
Answer = Annotated[str | None, typer.Option(help="Column of what is answered.")]
Metric = Annotated[str | None, typer.Option(help="That decides and is reported first.")]
Seed = Annotated[int, typer.Option(help="Of every random draw.")]
Threads = Annotated[int, typer.Option(help="CPU threads; 0 takes all.")]
Cache = Annotated[Path | None, typer.Option("--cache", help="Folder of networks and stored activations.")]


def columns(
    task: str | None = None,
    text: str | None = None,
    image: str | None = None,
    label: str | None = None,
    group: str | None = None,
    time: str | None = None,
) -> Options:
    """What the user said of the data."""
    from headstart.data.dataset import Options

    return Options(task=task, text=text, image=image, label=label, group=group, time=time)


def at_least(least: int, **given: int) -> None:
    """Refuse an option below its least value, by name.

    Raises:
        UsageError: a value that is too small.
    """
    for name, value in given.items():
        if value < least:
            raise UsageError(f"--{name} {value} is too small; use {least} or above.")


def seconds(budget: str | None, option: str = "--budget") -> float | None:
    """60, 60s, 5m or 1h in seconds.

    Raises:
        UsageError: another form, or no time at all.
    """
    if budget is None:
        return None
    number = measured(budget, SECONDS)
    if number is None:
        raise UsageError(f"{option} {budget!r} is not a time; write for example 60s, 5m or 1h.")
    if number <= 0:
        raise UsageError(f"{option} {budget!r} must be above 0; write for example 60s, 5m or 1h.")
    return number


def size(cap: str, option: str = "--cap") -> int:
    """5GB, 500MB or a plain number in bytes.

    Raises:
        UsageError: another form, or below 0.
    """
    number = measured(cap, BYTES)
    if number is None or number < 0:
        more = ", 0 to keep next to nothing" if option == "--cap" else ""
        raise UsageError(f"{option} {cap!r} is not a size; write for example 500MB or 5GB{more}.")
    return int(number)


def energy(limit: str | None) -> float | None:
    """500, 500J, 5kJ or 1Wh in joules.

    Raises:
        UsageError: another form, or none at all.
    """
    if limit is None:
        return None
    number = measured(limit, JOULES)
    if number is None or number <= 0:
        raise UsageError(f"--energy {limit!r} is not an energy above 0; write for example 500J, 5kJ or 1Wh.")
    return number


def share(given: str | None, option: str) -> float | None:
    """1%, 1 % or 0.01 as a share.

    Raises:
        UsageError: another form, or not between 0 and 1.
    """
    if given is None:
        return None
    text = given.strip()
    number = measured(text.rstrip("% "), {"": 1})
    number = number / 100 if number is not None and text.endswith("%") else number
    if number is None or not 0 < number < 1:
        raise UsageError(f"{option} {given!r} is not a share between 0 and 1; write for example 1% or 0.01.")
    return number
