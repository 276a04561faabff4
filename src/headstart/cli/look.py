"""The command that only looks: data before anything is learned from it, alone or beside what was seen before."""

from __future__ import annotations

from collections import Counter
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
    Seed,
    Task,
    Text,
    Threads,
    Time,
    at_least,
    columns,
)
from headstart.cli.show import WIDTH, show, table, wrapped
from headstart.cli.tell import Console
from headstart.errors import UsageError

if TYPE_CHECKING:
    from headstart.verbs.inspect import Inspection

_CLASSES = 20  # that are listed one by one
_PROBLEMS = 10
_BAR = 24  # columns of the largest class's bar


Against = Annotated[
    Path | None, typer.Option("--against", help="Another data set, with labels or without: how does it differ?")
]
Source = Annotated[
    str | None,
    typer.Option("--source", help="Network that looks; without --against: how far is the data from its own?"),
]
Rows = Annotated[int, typer.Option("--rows", help="Examples of each set that a network looks at, at most.")]
Page = Annotated[Path | None, typer.Option("--out", "-o", help="Write an HTML page of the comparison.")]
NoExamples = Annotated[bool, typer.Option("--no-examples", help="Keep pictures and texts themselves out of the page.")]


def inspect(
    data: Data,
    against: Against = None,
    source: Source = None,
    out: Page = None,
    no_examples: NoExamples = False,
    rows: Rows = 500,
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
    """What the data is and what is wrong with it, in a moment. Exit code 1 when `fit` would refuse it.

    With --against or --source: how far it is from another data set, or from what a network was trained on, of what
    kind the mismatch is and what to do about it.
    """
    at_least(0, seed=seed, threads=threads)
    options = columns(task, text, image, label, group, time)
    if against is not None or source is not None:
        from headstart.cli.apart import Asked, compared, familiar

        asked = Asked(options, rows, not no_examples, seed, threads, cache, out)
        if against is not None:
            compared(data, against, source, asked, as_json)
        else:
            familiar(data, str(source), asked, as_json)
        return
    if out is not None or no_examples:
        raise UsageError("-o and --no-examples are of a comparison; name another data set with --against.")
    from headstart.verbs.inspect import inspect as verb

    with Console() as teller:
        found = verb(data, options=options, seed=seed, teller=teller)
    show({**asdict(found), "usable": found.usable}, as_json, lambda: in_words(found))
    if not found.usable:
        raise typer.Exit(1)


def in_words(found: Inspection) -> str:
    """Some screens of lines at most: the largest classes, the first problems, every finding."""
    from headstart.data.dataset import READS

    lines = [f"{found.path}: {found.rows:,} {READS[found.modality]}, {_task(found)}"]
    lines += ["", *_because(found)]
    if found.split:
        lines += wrapped(found.split, first="split: ")
    if found.classes:
        lines += ["", *_classes(found)]
    if found.ranges:
        rows = [("", "least", "median", "most")]
        rows += [(_short(r.name), f"{r.low:,.6g}", f"{r.median:,.6g}", f"{r.high:,.6g}") for r in found.ranges]
        lines += ["", *table(rows, right=(1, 2, 3))]
    lines += ["", *_findings(found)]
    if found.problems:
        lines += ["", *_problems(found)]
    return "\n".join(lines)


def _task(found: Inspection) -> str:
    if found.task == "numbers":
        names = [r.name for r in found.ranges[:-1]]
        return f"numbers ({', '.join(names)})"
    return f"{len(found.classes):,} {'classes' if found.task == 'classes' else 'labels, several per example'}"


def _because(found: Inspection) -> list[str]:
    return [line for what, why in found.because.items() for line in wrapped(why, first=f"{what}: ")]


def _classes(found: Inspection) -> list[str]:
    """The largest classes with a bar each."""
    order = sorted(found.classes, key=lambda count: -(count.train + count.test))
    most = max(1, order[0].train + order[0].test)
    rows = [("class" if found.task == "classes" else "label", "rows", *(["test"] if found.test else []), "")]
    for count in order[:_CLASSES]:
        every = count.train + count.test
        bar = "#" * max(1 if every else 0, round(_BAR * every / most))
        rows.append((_short(count.name), f"{every:,}", *([f"{count.test:,}"] if found.test else []), bar))
    lines = table(rows, right=(1, 2) if found.test else (1,))
    rest = order[_CLASSES:]
    if rest:
        lines.append(f"and {len(rest):,} more, of {rest[-1].train + rest[-1].test} rows and above; --json lists all")
    return lines


def _findings(found: Inspection) -> list[str]:
    if not found.findings:
        return ["nothing wrong was found"]
    return [line for finding in found.findings for line in wrapped(finding.text, first=f"{finding.severity}: ")]


def _problems(found: Inspection) -> list[str]:
    lines = [f"left out: {len(found.problems):,}"]
    for problem in found.problems[:_PROBLEMS]:
        lines += wrapped(f"{problem.name}: {problem.why}", indent=2)
    if len(found.problems) > _PROBLEMS:
        often = Counter(problem.why for problem in found.problems[_PROBLEMS:]).most_common(3)
        said = "; ".join(f"{times:,} because {why}" for why, times in often)
        lines += wrapped(f"and {len(found.problems) - _PROBLEMS:,} more ({said}); --json lists all", indent=2)
    return lines


def _short(name: str) -> str:
    """A name on one line, cut where it would break the columns."""
    name = " ".join(name.split())
    return name if len(name) <= WIDTH // 2 else name[: WIDTH // 2 - 1] + "…"
