"""What a verb tells while it works, and what each stage took."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from headstart.verbs.energy import Meter


class Teller(Protocol):
    """Where the words and the progress of a verb go."""

    def say(self, text: str) -> None:
        """One line for a person."""
        ...

    def progress(self, stage: str, done: int, total: int) -> None:
        """How far a stage is; called often, also with done == total."""
        ...


class Silent:
    """Tells nothing: the Python API's default."""

    def say(self, text: str) -> None:
        """Nothing."""

    def progress(self, stage: str, done: int, total: int) -> None:
        """Nothing."""


@dataclass(frozen=True)
class Stage:
    """What one stage took: wall seconds, and the process's peak memory at its end in MB."""

    name: str
    seconds: float
    memory_mb: float


@dataclass
class Watch:
    """Stages as they go by, and the energy of all together where there is a meter."""

    teller: Teller
    meter: Meter | None = None
    memory_mb: float = field(default_factory=lambda: peak_memory())  # that this process had come to before
    stages: list[Stage] = field(default_factory=list)
    started: float = field(default_factory=time.perf_counter)

    @contextmanager
    def stage(self, name: str) -> Iterator[Callable[[int, int], None]]:
        """Measure a stage; gives the function that its progress is told to."""
        start = time.perf_counter()
        yield lambda done, total: self.teller.progress(name, done, total)
        self.stages.append(Stage(name, time.perf_counter() - start, peak_memory()))

    @property
    def seconds(self) -> float:
        """Since the verb was called."""
        return time.perf_counter() - self.started

    @property
    def joules(self) -> float | None:
        """Since the meter was opened; None without one."""
        return self.meter.joules() if self.meter else None


def peak_memory() -> float:
    """Largest resident memory of this process so far, in MB; 0 where the system does not tell."""
    try:
        import resource
        import sys
    except ImportError:  # Windows has no such module
        return 0.0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20) if sys.platform == "darwin" else peak / 1024
