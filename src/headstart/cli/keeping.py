"""Commands that keep a skill going: new rows for it, and the way back."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from typing import Annotated

import typer

from headstart.cli.options import (
    Cache,
    Data,
    Group,
    Image,
    Json,
    Label,
    Seed,
    SkillPath,
    Text,
    Threads,
    Time,
    at_least,
    columns,
    share,
)
from headstart.cli.show import show, wrapped
from headstart.cli.tell import Console
from headstart.errors import UsageError


def update(
    context: typer.Context,
    skill: SkillPath,
    data: Data,
    text: Text = None,
    image: Image = None,
    label: Label = None,
    group: Group = None,
    time: Time = None,
    same: Annotated[list[str] | None, typer.Option(help="NEW=OLD: two spellings of one name; may be repeated.")] = None,
    new: Annotated[list[str] | None, typer.Option(help="A name that is new, however near; may be repeated.")] = None,
    forget_at_most: Annotated[str, typer.Option(help="Of what it knows, such as 1%; else it stays as it is.")] = "1%",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would happen and write nothing.")] = False,
    seed: Seed = 0,
    threads: Threads = 0,
    cache: Cache = None,
    as_json: Json = False,
) -> None:
    """Let a skill learn from new rows without its old ones; it takes over only where that is better."""
    at_least(0, seed=seed, threads=threads)
    limit = share(forget_at_most, "--forget-at-most")
    spelled = dict(_spelling(pair) for pair in same or ())
    from headstart.report.updated import headline, sentences
    from headstart.verbs.update import update as verb

    with Console() as teller:
        done = verb(
            skill,
            data,
            options=columns(text=text, image=image, label=label, group=group, time=time),
            same=spelled,
            new=tuple(new or ()),
            forget_at_most=limit or 0.0,
            dry_run=dry_run,
            seed=seed,
            threads=threads,
            cache=cache,
            teller=teller,
            command=f"headstart {shlex.join(context.obj)}",
        )

    def words() -> str:
        return "\n".join(line for sentence in sentences(done) for line in wrapped(sentence))

    show({**asdict(done), "decision": headline(done)}, as_json, words)


def rollback(
    skill: SkillPath,
    to: Annotated[int | None, typer.Option(help="Version that serves again; else the one before.")] = None,
    as_json: Json = False,
) -> None:
    """Let an earlier version of a skill serve again; the one that served is kept as well."""
    from headstart.verbs.takeover import rollback as verb

    done = verb(skill, to=to)

    def words() -> str:
        others = ", ".join(str(each) for each in done.versions if each != done.version)
        return f"version {done.version} of {done.skill} serves again; kept beside it: {others}"

    show(asdict(done), as_json, words)


def _spelling(pair: str) -> tuple[str, str]:
    """NEW=OLD as two names.

    Raises:
        UsageError: another form.
    """
    name, mark, old = pair.partition("=")
    if not (mark and name.strip() and old.strip()):
        raise UsageError(f"--same {pair!r} is not of the form NEW=OLD; write for example --same Dogs=dog.")
    return name.strip(), old.strip()
