"""Points to go on from: everything that a run of training depends on, in one file that is whole or not there."""

from __future__ import annotations

import errno
import json
import os
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from headstart.errors import PlanError, TrainingError

POINT = "point.safetensors"
_FULL = (errno.ENOSPC, errno.EDQUOT)
_AGAIN = 5.0  # seconds between two tries on a full disk

Say = Callable[[str], None]


@dataclass
class Checkpoint:
    """A folder in which a run keeps its last point.

    Attributes:
        folder: of this run alone.
        about: what the run is, beside its plan and its examples; a point of another is refused.
        resume: whether to go on from a point that is there; without it such a point is another run's and is replaced.
        least: seconds between two points at least.
        share: of the time that saving may take; points are farther apart where it would take more.
        say: told of a disk that is full, while the run waits for room.
        pause: waits between two tries.
    """

    folder: Path
    about: Mapping[str, Any] = field(default_factory=dict)
    resume: bool = True
    least: float = 20.0
    share: float = 0.02
    say: Say = print
    pause: Callable[[float], None] = time.sleep
    _next: float = field(default=0.0, init=False)

    def start(self) -> None:
        """From now on time counts."""
        self._next = time.monotonic() + self.least

    @property
    def due(self) -> bool:
        """Whether it is time for another point."""
        return time.monotonic() >= self._next

    def save(self, tensors: Mapping[str, Tensor], said: Mapping[str, Any]) -> None:
        """Replace the point by this one. A full disk is waited for.

        Args:
            tensors: by name, on any device.
            said: JSON values; `run` among them tells runs apart.

        Raises:
            TrainingError: a disk that refuses for another reason than that it is full.
        """
        from safetensors.torch import save

        start = time.monotonic()
        whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        content = save(whole, {"said": json.dumps({**said, "about": dict(self.about)})})
        told = False
        while not self._written(content):
            if not told:
                self.say(
                    f"the disk of {self.folder} is full: training waits until {len(content) / 1e6:.0f} MB are free "
                    "there; interrupt it to stop, nothing is lost."
                )
            told = True
            self.pause(_AGAIN)
        if told:
            self.say("there is room on the disk again: training goes on.")
        now = time.monotonic()
        self._next = now + max(self.least, (now - start) / self.share)

    def load(self, run: Mapping[str, Any]) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """The last point and what was said with it; None where there is none to go on from.

        Args:
            run: what tells this run from others.

        Raises:
            PlanError: the point is of another run.
        """
        path = self.folder / POINT
        if not self.resume or not path.is_file():
            return None
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(path, "pt") as file:
                said = json.loads((file.metadata() or {})["said"])
                # clone: what is read lies in the file's memory map, and the file will be replaced
                tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
        except (SafetensorError, OSError, KeyError, ValueError):
            return None  # it was damaged after it was written: the run starts anew
        want, found = {**run, "about": dict(self.about)}, {**said["run"], "about": said["about"]}
        for name, value in json.loads(json.dumps(want)).items():
            if found.get(name) != value:
                raise PlanError(
                    f"the checkpoint in {self.folder} is of another run: {_difference(name, found.get(name), value)}; "
                    "give the same data and options as that run, or start anew without --resume."
                )
        return tensors, said

    def _written(self, content: bytes) -> bool:
        """Whether there was room."""
        partial = self.folder / f"{POINT}.{uuid.uuid4().hex}.partial"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with partial.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(self.folder / POINT)
        except OSError as error:
            partial.unlink(missing_ok=True)
            if error.errno in _FULL:
                return False
            raise TrainingError(
                f"no checkpoint can be written to {self.folder} ({error.strerror or error}); "
                "make it writable, or choose another --cache."
            ) from error
        return True


def _difference(name: str, found: object, wanted: object) -> str:
    """The first difference, where both are tables: the key that it is at."""
    if isinstance(found, Mapping) and isinstance(wanted, Mapping):
        for key in sorted({*found, *wanted}):
            if found.get(key) != wanted.get(key):
                return _difference(str(key), found.get(key), wanted.get(key))
    short = [text if len(text) <= 40 else f"{text[:40]}…" for text in (str(found), str(wanted))]
    return f"its {name} is {short[0]} and here it is {short[1]}"
