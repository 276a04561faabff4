"""The command that only looks: data before anything is learned from it."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from headstart.cli.options import Data, Group, Image, Json, Label, Seed, Task, Text, Time, at_least, columns
from headstart.cli.show import WIDTH, show, table, wrapped
from headstart.cli.tell import Console

if TYPE_CHECKING:
    from headstart.verbs.inspect import Inspection

_CLASSES = 20  # that are listed one by one
_PROBLEMS = 10
_BAR = 24  # columns of the largest class's bar


def inspect(
    data: Data,
    task: Task = None,
    text: Text = None,
    image: Image = None,
    label: Label = None,
    group: Group = None,
    time: Time = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """What the data is and what is wrong with it, in a moment. Exit code 1 when `fit` would refuse it."""
    at_least(0, seed=seed)
    from headstart.verbs.inspect import inspect as verb

    with Console() as teller:
        found = verb(data, options=columns(task, text, image, label, group, time), seed=seed, teller=teller)
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
