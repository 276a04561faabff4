"""Commands for skills that are there: listed, removed, packed, unpacked, merged."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headstart.cli.manage import Place
from headstart.cli.options import Cache, Json, SkillPath, Threads, at_least
from headstart.cli.show import show, table, wrapped
from headstart.cli.tell import Console
from headstart.errors import UsageError
from headstart.units import human

if TYPE_CHECKING:
    from headstart.report.merged import Loss, Merged
    from headstart.verbs.skills import Listed

skills = typer.Typer(rich_markup_mode=None, help="Skills on disk: list, remove, pack into a file, unpack, merge.")

Folders = Annotated[list[Path] | None, typer.Argument(help="Folders of skills; none takes this one and your own.")]
Archive = Annotated[Path, typer.Argument(help="A .zip, .tar or .tar.gz file of a skill.")]
Several = Annotated[list[Path], typer.Argument(help="Skills of one network, two or more.")]
_AGES = ((86_400, "day"), (3600, "hour"), (60, "minute"))
_FEW = 3  # classes that are named


@skills.callback(invoke_without_command=True)
def bare(context: typer.Context, folder: Cache = None, as_json: Json = False) -> None:
    """Skills of this folder and of your own: task, score, network, size, age."""
    if context.invoked_subcommand is None:
        _list((), folder, as_json)


@skills.command("list")
def list_skills(context: typer.Context, folders: Folders = None, folder: Cache = None, as_json: Json = False) -> None:
    """List the skills in these folders, those of one network together."""
    place = Place(context, folder, as_json)
    _list(folders or (), place.folder, place.as_json)


@skills.command("remove")
def remove_skill(
    context: typer.Context,
    skill: SkillPath,
    sure: Annotated[bool, typer.Option("--yes", help="Needed: nothing brings it back.")] = False,
    as_json: Json = False,
) -> None:
    """Remove a skill; other files in its folder stay."""
    place = Place(context, None, as_json)
    from headstart.core.skill import about
    from headstart.sources.find import skill_folder
    from headstart.verbs.skills import remove as verb

    about(skill_folder(str(skill)))
    if not sure:
        raise UsageError(f"{skill_folder(str(skill))} would be gone for good; write --yes if it is to be removed.")
    gone = verb(skill)

    def words() -> str:
        left = [f"{len(gone.left)} files in it are none of the skill and stay"] if gone.left else []
        return "\n".join([f"{gone.folder} removed, {human(gone.bytes)} freed", *left])

    told = {"removed": str(gone.folder), "freed": gone.bytes, "left": [str(path) for path in gone.left]}
    show(told, place.as_json, words)


@skills.command("pack")
def pack_skill(
    context: typer.Context,
    skill: SkillPath,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="File to write; else NAME.zip here.")] = None,
    as_json: Json = False,
) -> None:
    """Write a skill as one .zip file, to be sent or kept."""
    place = Place(context, None, as_json)
    from headstart.verbs.skills import pack as verb

    file = verb(skill, out)
    size = file.stat().st_size
    show({"packed": str(file), "bytes": size}, place.as_json, lambda: f"{file}  {human(size)}")


@skills.command("unpack")
def unpack_skill(
    context: typer.Context,
    file: Archive,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Folder to make; else NAME.skill here.")] = None,
    as_json: Json = False,
) -> None:
    """Make a skill folder of a file, after all of it was looked through."""
    place = Place(context, None, as_json)
    from headstart.verbs.skills import unpack as verb

    skill = verb(file, out)
    show({"skill": str(skill.folder)}, place.as_json, lambda: str(skill.folder))


@skills.command("merge")
def merge_skills(
    context: typer.Context,
    skills: Several,
    out: Annotated[Path, typer.Option("--out", "-o", help="Skill folder to make.")],
    average: Annotated[
        bool | None, typer.Option("--average/--stack", help="One task: the mean. Several tasks: side by side.")
    ] = None,
    data: Annotated[
        list[str] | None, typer.Option(help="Labelled data to measure the loss on: PATH, or NAME=PATH of a head.")
    ] = None,
    threads: Threads = 0,
    folder: Cache = None,
    as_json: Json = False,
) -> None:
    """Make one skill of several that share a network."""
    at_least(0, threads=threads)
    place = Place(context, folder, as_json)
    if average is None:
        raise UsageError("say how to merge: --stack keeps a head for each task, --average takes the mean of one task.")
    sets = _named(data or ()) if not average else _single(data or ())
    from headstart.verbs.merge import merge as verb

    with Console() as teller:
        how = "average" if average else "stack"
        done = verb(skills, out, how=how, data=sets, cache=place.folder, threads=threads, teller=teller)
    show(
        {"skill": str(done.skill.folder), **asdict(done.about)},
        place.as_json,
        lambda: _merged(done.about, done.skill.folder),
    )


def _list(folders: Sequence[Path], cache: Path | None, as_json: bool) -> None:
    from headstart.verbs.skills import skills as verb

    found = verb(folders, cache=cache)
    show({"skills": [_plain(each) for each in found]}, as_json, lambda: "\n".join(_in_words(found)))


def _in_words(found: Sequence[Listed]) -> list[str]:
    """A table for each network, and below it what cannot be used."""
    if not found:
        return ["no skill is here; `headstart fit DATA` makes one"]
    head = ("name", "answers", "score", "depth", "size", "age", "folder")
    lines = []
    for _, same in groupby(found, lambda each: (each.source.name, each.source.digest) if each.source else ("", "")):
        group = list(same)
        source = group[0].source
        there = "on disk" if group[0].on_disk else "not on disk"
        lines += ["", f"{_line(source.name)} ({source.modality}, {there})" if source else "network not known"]
        good = [each for each in group if not each.problem]
        lines += [f"  {line}" for line in table([head, *map(_row, good)] if good else [], right=(3, 4))]
        lines += [line for each in group if each.problem for line in wrapped(_line(each.problem), indent=2)]
    return lines[1:]


def _row(each: Listed) -> tuple[str, ...]:
    score = each.score
    figure = "not measured"
    if score is not None:
        span = "" if score.low is None or score.high is None else f" [{score.low:.3f}, {score.high:.3f}]"
        figure = f"{_line(score.metric)} {score.value:.3f}{span}"
    names = ", ".join(_line(name) for name in each.classes[:_FEW]) + (", …" if len(each.classes) > _FEW else "")
    what = f"{len(each.classes)} {_line(each.task)}: {names}" if each.task != "numbers" else f"numbers: {names}"
    more = f", {1 + len(each.heads)} heads" if each.heads else ""
    return (
        _line(each.name),
        what + more,
        figure,
        str(each.depth),
        human(each.bytes),
        _age(each.written),
        str(each.folder),
    )


def _plain(each: Listed) -> dict[str, object]:
    source = None if each.source is None else {"name": each.source.name, "digest": each.source.digest}
    score = None if each.score is None else each.score.to_json()
    return {**vars(each), "folder": str(each.folder), "source": source, "score": score}


def _age(written: float) -> str:
    passed = time.time() - written
    for seconds, name in _AGES:
        count = int(passed // seconds)
        if count >= 1:
            return f"{count} {name}{'s' if count > 1 else ''}"
    return "just now"


def _merged(about: Merged, folder: Path) -> str:
    lines = wrapped(about.said)
    for loss in about.losses:
        lines += _loss(loss)
    return "\n".join([*lines, f"skill:  {folder}"])


def _loss(loss: Loss) -> list[str]:
    seen = ", which a skill had learned from" if loss.seen else ""
    rows = [
        (each.name, f"{each.value:.3f}", f"[{each.low:.3f}, {each.high:.3f}]")
        for each in (*loss.parts, loss.merged)
        if each.low is not None and each.high is not None
    ]
    rows = [*rows[:-1], ("merged", *rows[-1][1:])] if rows else []
    return [f"{loss.name}: {loss.metric} on {loss.rows} rows{seen}", *(f"  {line}" for line in table(rows))]


def _named(data: Sequence[str]) -> dict[str, str] | None:
    """NAME=PATH of each."""
    pairs = [given.partition("=") for given in data]
    if not all(name and path for name, _, path in pairs):
        raise UsageError(f"--data {data[0]} names no head; write --data NAME=PATH for each head of a stack.")
    return {name: path for name, _, path in pairs} or None


def _single(data: Sequence[str]) -> str | None:
    if len(data) > 1:
        raise UsageError(f"{len(data)} sets of data were given; an average is measured on one.")
    return data[0] if data else None


def _line(text: str) -> str:
    """Names from elsewhere: on one line, and nothing that a terminal would obey."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
