"""Units of work, each with its result in a file of its own: what is done stays done, and others may do the rest."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from headstart.errors import StoreError


@dataclass(frozen=True)
class Unit:
    """One arm on one budget of labels with one seed.

    Attributes:
        arm: name of the way.
        labels: rows to learn from.
        seed: of the rows that are drawn and of every draw in the arm.
    """

    arm: str
    labels: int
    seed: int


@dataclass(frozen=True)
class Outcome:
    """What a unit came to.

    Attributes:
        unit: what was done.
        score: the metric on the test rows.
        seconds: of learning and answering.
        depth: blocks that learned; 0 where there is no network.
        draws: the metric on test rows drawn with replacement, the same rows for every unit that has the same.
    """

    unit: Unit
    score: float
    seconds: float
    depth: int
    draws: tuple[float, ...]


@dataclass(frozen=True)
class Shelf:
    """A folder of outcomes.

    Attributes:
        folder: of the files.
        about: everything beside the unit that decides an outcome: data, network, metric, versions.
    """

    folder: Path
    about: str

    def find(self, unit: Unit) -> Outcome | None:
        """The outcome, where the unit was done; a file that cannot be read is as none."""
        try:
            said = json.loads(self._place(unit).read_text("utf8"))
            draws = tuple(float(each) for each in said["draws"])
            return Outcome(unit, float(said["score"]), float(said["seconds"]), int(said["depth"]), draws)
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def keep(self, outcome: Outcome) -> None:
        """Write an outcome whole or not at all.

        Raises:
            StoreError: the disk refuses.
        """
        place = self._place(outcome.unit)
        partial = place.with_name(f"{place.name}.{uuid.uuid4().hex}.partial")
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            partial.write_text(json.dumps({"about": self.about, **asdict(outcome)}, indent=1) + "\n", "utf8")
            partial.replace(place)
        except OSError as error:
            with suppress(OSError):
                partial.unlink()
            raise StoreError(
                f"writing {place} failed: {error.strerror or error}; free space or choose another folder with -o. "
                "What was done before is kept."
            ) from error

    def _place(self, unit: Unit) -> Path:
        digest = hashlib.sha256(json.dumps([self.about, asdict(unit)], sort_keys=True).encode()).hexdigest()
        return self.folder / f"{unit.arm}-{unit.labels}-{unit.seed}-{digest[:12]}.json"


def run(units: Sequence[Unit], shelf: Shelf, do: Callable[[Unit], Outcome]) -> Iterator[Outcome]:
    """Every unit's outcome in order; those that are on the shelf are not done again."""
    for unit in units:
        outcome = shelf.find(unit)
        if outcome is None:
            outcome = do(unit)
            shelf.keep(outcome)
        yield outcome


def budgets(rows: int, classes: int, *, most: int = 5) -> tuple[int, ...]:
    """Numbers of labels from few to all, each at most half of the next.

    Args:
        rows: there are to learn from.
        classes: of which each should have two rows.
        most: numbers.
    """
    least = min(rows, max(16, 2 * classes))
    found = [rows]
    while len(found) < most and found[-1] // 2 >= least:
        found.append(found[-1] // 2)
    return tuple(reversed(found))
