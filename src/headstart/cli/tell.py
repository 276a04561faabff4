"""A verb's words and progress on standard error; a bar only for what takes longer than a moment."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_SOON = 1.0  # seconds before a bar appears


class Console:
    """Tells on standard error, so that standard output stays what was asked for.

    As a context manager it takes its bar away however the verb ends: a bar hides the terminal's cursor.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self.quiet = quiet
        self._stage = ""
        self._since = 0.0
        self._bar: tuple[Progress, TaskID] | None = None

    def __enter__(self) -> Console:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def say(self, text: str) -> None:
        """One line."""
        if not self.quiet:
            self.close()
            print(text, file=sys.stderr, flush=True)

    def progress(self, stage: str, done: int, total: int) -> None:
        """How far a stage is."""
        if self.quiet or not sys.stderr.isatty():
            return
        if stage != self._stage:
            self.close()
            self._stage, self._since = stage, time.perf_counter()
        if self._bar is None and time.perf_counter() - self._since > _SOON and done < total:
            self._bar = _bar(stage, done, total)
        if self._bar:
            bar, task = self._bar
            bar.update(task, completed=done, total=total)
        if done >= total:
            self.close()

    def close(self) -> None:
        """Take the bar away."""
        if self._bar:
            self._bar[0].stop()
        self._bar, self._stage = None, ""


def _bar(stage: str, done: int, total: int) -> tuple[Progress, TaskID]:
    from rich.console import Console as RichConsole
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    bar = Progress(*columns, console=RichConsole(stderr=True), transient=True)
    bar.start()
    return bar, bar.add_task(stage, completed=done, total=total)
