"""What is known of one comparison, as plain frozen values: all that its page and its words are made from."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from headstart.report.record import Machine, Source
from headstart.study.points import Point, Worth
from headstart.study.transfer import Transfer


@dataclass(frozen=True)
class Made:
    """How a comparison was made.

    Attributes:
        headstart, created, command: version, ISO 8601 time and what was typed.
        machine: of the last process; others may have done units too.
        source: the pretrained network of the arms that no plan gives another.
        fingerprint, modality, task, rows: of the data.
        split: in words, which rows are asked about.
        scratch: seconds of each training of the whole network, from random weights or not.
    """

    headstart: str
    created: str
    command: str
    machine: Machine
    source: Source
    fingerprint: str
    modality: str
    task: str
    rows: int
    split: str
    scratch: float


@dataclass(frozen=True)
class Comparison:
    """Arms over budgets of labels.

    Attributes:
        path, source, metric: what was compared, with which network, by what.
        seeds: how many.
        test: rows that every arm was asked about, for each seed.
        points: arm after arm, few labels first.
        worth: for each budget; empty while units are missing.
        folder: of the outcomes, one file each, and of the page.
        transfer: what the network saved; None while units are missing, or without arms to compare.
        missing: units that other parts have not done yet.
        energy: how the joules are known, each way once; empty where none are.
        plans: arm -> plan file.
        seen: plans made on this very data.
        made: how.
        page: comparison.html; None while units are missing.
    """

    path: str
    source: str
    metric: str
    seeds: int
    test: int
    points: tuple[Point, ...]
    worth: tuple[Worth, ...]
    folder: Path
    transfer: Transfer | None
    missing: int
    energy: tuple[str, ...]
    plans: dict[str, str]
    seen: tuple[str, ...]
    made: Made = field(compare=False)
    page: Path | None = None

    @property
    def arms(self) -> tuple[str, ...]:
        """In their order."""
        return tuple(dict.fromkeys(point.arm for point in self.points))

    @property
    def words(self) -> tuple[str, ...]:
        """What the network saved or why it may not have, a sentence for each budget, and what they do not say."""
        from headstart.report.savings import costs, headline, notes, on_budget, reasons

        first = (headline(self), costs(self), *reasons(self)) if self.transfer else ()
        told = (on_budget(worth, self.metric) for worth in self.worth)
        return tuple(filter(None, (*first, *told, *notes(self))))
