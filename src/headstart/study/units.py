"""Units of work, each with its result in a file of its own: what is done stays done, and others may do the rest."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from headstart.errors import UsageError
from headstart.study.files import ready, write_whole
from headstart.study.turns import turn


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
        joules: of learning and answering; None where nothing meters them.
        known: whether the joules are measured or estimated, and how; empty without them.
    """

    unit: Unit
    score: float
    seconds: float
    depth: int
    draws: tuple[float, ...]
    joules: float | None = None
    known: str = ""


@dataclass(frozen=True)
class Shelf:
    """A folder of outcomes, which several processes may fill: a file is there whole or not at all.

    Attributes:
        folder: of the files.
        about: everything beside the unit that decides an outcome: data, network, metric, versions.
        also: arm -> what else decides its outcomes, where there is such a thing.
        told: of a file that cannot be used, in one sentence.
    """

    folder: Path
    about: str
    also: Mapping[str, str] = field(default_factory=dict)
    told: Callable[[str], None] | None = None

    @property
    def turns(self) -> Path:
        """The file that the processes share their turns by."""
        return self.folder / "turns"

    def find(self, unit: Unit) -> Outcome | None:
        """The outcome, where the unit was done; a file that cannot be used is told and is as none."""
        place = self._place(unit)
        try:
            return _read(place.read_text("utf8"), unit)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            if self.told:
                self.told(f"the outcome {place} is damaged ({_why(error)}); its unit counts as not done")
            return None

    def ready(self) -> None:
        """Refuse a folder that cannot be written, before hours are spent.

        Raises:
            StoreError: it cannot.
        """
        ready(self.folder / "outcome.json")

    def keep(self, outcome: Outcome) -> None:
        """Write an outcome whole or not at all.

        Raises:
            StoreError: the disk refuses.
        """
        said = {"about": self._about(outcome.unit.arm), **asdict(outcome)}
        write_whole(self._place(outcome.unit), json.dumps(said, indent=1) + "\n")

    def _about(self, arm: str) -> str:
        return " ".join(filter(None, (self.about, self.also.get(arm))))

    def _place(self, unit: Unit) -> Path:
        said = json.dumps([self._about(unit.arm), asdict(unit)], sort_keys=True)
        digest = hashlib.sha256(said.encode()).hexdigest()
        return self.folder / f"{unit.arm}-{unit.labels}-{unit.seed}-{digest[:12]}.json"


def _read(text: str, unit: Unit) -> Outcome:
    said = json.loads(text)
    if not isinstance(said, dict):
        raise ValueError("it is no JSON object")
    draws = tuple(float(each) for each in said["draws"])
    joules = said.get("joules")  # files of earlier versions have none
    numbers = (float(said["score"]), float(said["seconds"]), int(said["depth"]))
    if said["unit"] != asdict(unit) or not draws or not math.isfinite(numbers[1]):
        raise ValueError("it is not of this unit")
    return Outcome(unit, *numbers, draws, None if joules is None else float(joules), str(said.get("known", "")))


def _why(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"it has no {error.args[0]}"
    return "it is not JSON" if isinstance(error, json.JSONDecodeError) else str(error)


def run(units: Sequence[Unit], shelf: Shelf, do: Callable[[Unit], Outcome]) -> Iterator[Outcome]:
    """Every unit's outcome, in order but for those that another process is at, which come last.

    What is on the shelf is not done again, and no two processes that fill it do the same unit at once.

    Raises:
        StoreError: the disk refuses.
    """
    left = []
    for unit in units:
        outcome = _one(unit, shelf, do, wait=False)
        if outcome is None:
            left.append(unit)
        else:
            yield outcome
    for unit in left:
        outcome = _one(unit, shelf, do, wait=True)
        assert outcome is not None
        yield outcome


def _one(unit: Unit, shelf: Shelf, do: Callable[[Unit], Outcome], *, wait: bool) -> Outcome | None:
    """A unit's outcome; None where another process is at it and is not waited for."""
    if outcome := shelf.find(unit):
        return outcome
    with turn(shelf.turns, f"{unit.arm} {unit.labels} {unit.seed}", wait=wait) as mine:
        if not mine:
            return None
        if outcome := replace(shelf, told=None).find(unit):  # another process was done in the meantime
            return outcome
        outcome = do(unit)
        shelf.keep(outcome)
    return outcome


def part_of(units: Sequence[Unit], part: str) -> list[Unit]:
    """Every N-th unit from the K-th on: what one of N machines does.

    Args:
        part: K/N, with K from 1 to N.

    Raises:
        UsageError: another form, or K out of range.
    """
    match = re.fullmatch(r"(\d{1,6})/(\d{1,6})", part, re.ASCII)
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise UsageError(f"part {part!r} is not K/N with K from 1 to N; write for example --part 2/8.")
    return list(units[int(match[1]) - 1 :: int(match[2])])


def budgets(rows: int, classes: int, *, most: int = 3, top: int = 500) -> tuple[int, ...]:
    """Numbers of labels from few to many, each the same times the one before, at least twice.

    Args:
        rows: there are to learn from.
        classes: of which each should have two rows.
        most: numbers.
        top: largest number, unless the classes need more.
    """
    least = min(rows, max(16, 2 * classes))
    rows = min(rows, max(top, least))
    count = min(most, 1 + int(math.log2(rows / least)))
    if count == 1:
        return (rows,)
    return tuple(round(rows * (least / rows) ** (step / (count - 1))) for step in reversed(range(count)))
