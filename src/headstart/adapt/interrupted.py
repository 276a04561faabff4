"""What an interrupted fit left: the points of its tails, kept until the fit has come to its end."""

from __future__ import annotations

import hashlib
import json
import shutil
import uuid
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from headstart.core.plan import Plan
from headstart.errors import UsageError

if TYPE_CHECKING:
    from headstart.core.checkpoint import Checkpoint

RUNS = "runs"  # folder of the cache
_JOB = "job.json"
_DECIDED = "decided.json"

Say = Callable[[str], None]


@dataclass(frozen=True)
class Interrupted:
    """The folder of one fit.

    Attributes:
        folder: named by the place of the skill.
        resume: whether to go on from what is there.
        say: told of a disk that is full.
    """

    folder: Path
    resume: bool
    say: Say

    @classmethod
    def of(cls, cache: Path, place: Path, job: Mapping[str, Any], *, resume: bool, say: Say) -> Interrupted:
        """That of the fit that ends in a skill at this place. Without `resume` an earlier one is forgotten.

        Args:
            job: JSON values that decide the fit, by what a user calls them.

        Raises:
            UsageError: what is there is of another fit.
        """
        folder = cache / RUNS / hashlib.sha256(str(place.absolute()).encode()).hexdigest()[:16]
        found = _read(folder / _JOB) if resume else None
        if resume and found is None:
            say(f"there is no interrupted fit of {place}: it starts from the beginning")
        if not resume or found is None:
            shutil.rmtree(folder, ignore_errors=True)
            _write(folder / _JOB, job)
            return cls(folder, False, say)
        for name, value in json.loads(json.dumps(job)).items():
            if found.get(name) != value:
                raise UsageError(
                    f"the interrupted fit of {place} had {name} {_short(found.get(name))} and now {name} is "
                    f"{_short(value)}; give what it had, or start anew without --resume."
                )
        return cls(folder, True, say)

    def tail(self, *what: str) -> Unfinished:
        """The part of it that these words name, and no others do."""
        name = hashlib.sha256("\n".join(what).encode()).hexdigest()[:16]
        return Unfinished(self.folder / name, self)

    def over(self) -> None:
        """The fit has come to its end: nothing is left."""
        shutil.rmtree(self.folder, ignore_errors=True)


@dataclass(frozen=True)
class Unfinished:
    """One tail of an interrupted fit."""

    folder: Path
    run: Interrupted

    @property
    def decided(self) -> tuple[Plan, NDArray[np.int64] | None] | None:
        """The plan and the rows (None is all) that the time of that machine allowed; None where it had not begun."""
        said = _read(self.folder / _DECIDED) if self.run.resume else None
        if said is None:
            return None
        rows = said["rows"]
        return Plan(**said["plan"]), None if rows is None else np.array(rows, np.int64)

    def decide(self, plan: Plan, rows: NDArray[np.int64] | None) -> None:
        """Keep what was decided: who resumes trains by that, however fast the machine is then."""
        _write(self.folder / _DECIDED, {"plan": asdict(plan), "rows": None if rows is None else rows.tolist()})

    @property
    def checkpoint(self) -> Checkpoint:
        """Where the loop keeps its points."""
        from headstart.core.checkpoint import Checkpoint

        return Checkpoint(self.folder, resume=self.run.resume, say=self.run.say)


def _read(path: Path) -> dict[str, Any] | None:
    try:
        return json.loads(path.read_text("utf8"))
    except (OSError, ValueError):
        return None


def _write(path: Path, said: Mapping[str, Any]) -> None:
    """Whole or not at all; a cache that cannot be written to keeps nothing to go on from."""
    partial = path.with_name(f"{path.name}.{uuid.uuid4().hex}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(json.dumps(said), "utf8")
        partial.replace(path)
    except OSError:
        partial.unlink(missing_ok=True)


def _short(value: object) -> str:
    text = "not given" if value is None else value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 40 else f"{text[:40]}…"
