"""`headstart`: the verbs as commands. Exit codes: 0 done, 1 data or run, 2 usage, 130 interrupted."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from typing import Annotated, cast

import typer

from headstart.cli import choose, keeping, look, manage, planning, shelf, skills, speak
from headstart.errors import DepthError, HeadstartError, UsageError
from headstart.version import __version__

NAME = "headstart"
INTERRUPTED = 130

# the class of all usage errors is inside typer or inside click, by the version of typer: it is reached from its child
_Mistake: type[Exception] = typer.BadParameter.mro()[1]

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Transfer learning on the machine you have: from a little data to a working model, with proof.",
)
for command in (
    look.inspect,
    choose.rank,
    planning.plan,
    choose.compare,
    skills.fit,
    skills.evaluate,
    skills.predict,
    speak.generate,
    speak.chat,
    speak.summarize,
    skills.export,
    keeping.update,
    keeping.rollback,
    skills.demo,
):
    app.command()(command)
app.add_typer(manage.models, name="models")
app.add_typer(manage.cache, name="cache")
app.add_typer(shelf.skills, name="skills")


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.", is_eager=True)] = False,
) -> None:
    """Transfer learning on the machine you have: from a little data to a working model, with proof."""
    if version:
        print(f"{NAME} {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        print(context.get_help())
        raise typer.Exit(2)


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point: every expected error is one sentence on standard error.

    Args:
        arguments: of the command line; None takes the process's own.

    Raises:
        SystemExit: always but when all went well.
    """
    _never_fail_to_print()
    try:
        code = _run(list(sys.argv[1:] if arguments is None else arguments))
        sys.stdout.flush()  # here a reader that is gone can be noticed in peace; at exit it is a traceback
    except BrokenPipeError:
        # who reads the pipe has seen enough: nothing more can be said to them
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    if code:
        sys.exit(code)


def _run(arguments: list[str]) -> int:
    """The exit code of these arguments."""
    try:
        code = app(arguments, prog_name=NAME, standalone_mode=False, obj=tuple(arguments)) or 0
    except KeyboardInterrupt:
        code = INTERRUPTED
    except typer.Abort:
        code = INTERRUPTED
    except _Mistake as mistake:
        return _refuse(_sentence(cast("typer.BadParameter", mistake)), 2)
    except (UsageError, DepthError) as error:
        return _refuse(str(error), 2)
    except HeadstartError as error:
        return _refuse(str(error), 1)
    if code == INTERRUPTED:
        return _refuse("interrupted; what was finished before is kept, and a fit goes on with --resume.", INTERRUPTED)
    return code


def _refuse(sentence: str, code: int) -> int:
    print(f"{NAME}: {' '.join(sentence.split())}", file=sys.stderr)
    return code


def _sentence(mistake: typer.BadParameter) -> str:
    """What typer says of arguments that do not fit, with the place where the right ones are listed."""
    said = " ".join(mistake.format_message().split()).rstrip(".")
    command = mistake.ctx.command_path if mistake.ctx else NAME
    said = f"{said[:1].lower()}{said[1:]}"
    return f"{said} See `{command} --help`." if said.endswith("?") else f"{said}; see `{command} --help`."


def _never_fail_to_print() -> None:
    """Names of files may hold bytes that no encoding knows: they are printed as escapes."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
