"""A new version of a skill takes over, and `rollback`: an earlier one does again. Nothing is lost by either."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.core import skill as skills
from headstart.core.skill import Skill
from headstart.core.versions import NUMBER, number_of, versions_of
from headstart.errors import DataError, UsageError
from headstart.heads import metrics
from headstart.heads.linear import Linear
from headstart.report import record as told
from headstart.report.card import plain
from headstart.report.record import Record
from headstart.report.updated import Event, Updated, event_of, markdown, page
from headstart.verbs.judged import Judged
from headstart.verbs.memory import Memory
from headstart.version import __version__

HISTORY = "history"
_METRICS, _PLAN = "metrics.json", "plan.toml"
_OLD_PLAN = "# of version 1; what came later stands in skill.json, under history\n"
_HEAD = "head."
_WRITTEN = ("format", "files")  # of a manifest, by whoever writes it


@dataclass(frozen=True)
class RolledBack:
    """What a rollback did: which version serves now, which one did before, and which there are."""

    skill: str
    version: int
    before: int
    versions: tuple[int, ...]


def history_of(skill: Skill) -> tuple[Event, ...]:
    """What happened to a skill so far, its first fit first."""
    said = skill.manifest.get(HISTORY)
    if isinstance(said, list):
        return tuple(event_of(each) for each in said if isinstance(each, dict))
    record = _record_of(skill)
    score = record.score if record else None
    metric = str(skill.manifest["metric"])
    value, low, high = (score.value, score.low, score.high) if score else (None, None, None)
    rows = sum(c.train for c in record.data.classes) or record.data.rows if record else 0
    created, data = (record.created if record else ""), str(skill.manifest.get("data", ""))
    return (Event(number_of(skill.manifest), created, rows, "fit", metric, value, low, high, data),)


def next_version(skill: Skill) -> int:
    """The number of the version that comes next."""
    return max([number_of(skill.manifest), *versions_of(skill.folder)]) + 1


@dataclass(frozen=True, eq=False)
class Successor:
    """What takes over.

    Attributes:
        head: of all that was learned.
        classes: names of its columns.
        learned: (c,) new rows that it learned each from.
        judged: how it did.
        memory: of old and new rows; None keeps nothing.
    """

    head: Linear
    classes: tuple[str, ...]
    learned: NDArray[np.int64]
    judged: Judged
    memory: Memory | None


def take_over(place: Path, skill: Skill, found: Updated, new: Successor) -> Updated:
    """Write the new version; the one before is kept whole below it.

    Args:
        place: folder of the skill.
        found: what was decided.

    Raises:
        SkillError: the disk refuses, or the skill was written anew meanwhile; it then stays as it was.
    """
    score, what = found.after, f"update: {found.way}"
    event = Event(found.version, found.created, found.learned, what, score.metric, score.value, score.low, score.high)
    found = replace(found, history=(*found.history, replace(event, data=found.fingerprint)))
    manifest = {
        **_said(skill),
        "headstart": __version__,
        "classes": list(new.classes),
        NUMBER: found.version,
        HISTORY: [asdict(each) for each in found.history],
    }
    others = {name: array for name, array in skill.arrays.items() if not name.startswith(_HEAD)}
    files = {**_texts(skill, found, new), **(new.memory.files() if new.memory else {})}
    skills.write(place, manifest, {**new.head.arrays(), **others}, files, former=skill)
    return found


def rollback(skill: str | Path, *, to: int | None = None) -> RolledBack:
    """An earlier version of a skill takes over again; the one that served is kept as well.

    Args:
        skill: its folder.
        to: number of a version; None takes the one before.

    Raises:
        SkillError: no skill there, or a version that was changed.
        UsageError: no such version.
    """
    opened = skills.read(skill)
    serving, kept = number_of(opened.manifest), versions_of(opened.folder)
    if not kept:
        raise UsageError(f"{skill} has no other version: it was never updated, so there is nothing to go back to.")
    listed = ", ".join(map(str, kept))
    number = max((each for each in kept if each < serving), default=None) if to is None else to
    if number is None:
        raise UsageError(f"version {serving} is the first of {skill}; go to a later one with --to, one of {listed}.")
    if number not in kept:
        what = "serves already" if number == serving else "is not kept"
        raise UsageError(f"version {number} of {skill} {what}; use --to with one of {listed}.")
    target = skills.read(kept[number])
    contents = {name: skills.content(target, name) or b"" for name in target.manifest["files"]}
    history = history_of(opened)
    like = next((each for each in reversed(history) if each.version == number), history[0])
    now, what = datetime.now(UTC).isoformat(timespec="seconds"), f"rollback from version {serving}"
    event = replace(like, version=number, created=now, rows=0, what=what, data="")
    manifest = {**_said(target), NUMBER: number, HISTORY: [asdict(each) for each in (*history, event)]}
    skills.put(Path(skill), manifest, contents, opened)
    versions = tuple(sorted({*kept, serving}))
    return RolledBack(str(skill), number, serving, versions)


def _said(skill: Skill) -> dict[str, Any]:
    return {name: value for name, value in skill.manifest.items() if name not in _WRITTEN}


def _record_of(skill: Skill) -> Record | None:
    """What is told of the version that serves; None where nothing that can be read is."""
    raw = skills.content(skill, _METRICS)
    try:
        return None if raw is None else Record.from_json(json.loads(raw))
    except (ValueError, DataError):
        return None


def _texts(skill: Skill, found: Updated, new: Successor) -> dict[str, str | bytes]:
    """File name -> content, of the files beside: each tells of this version, the plan of the first."""
    from headstart.report.card import card

    name = str(skill.manifest.get("name", skill.folder.name))
    texts: dict[str, str | bytes] = {"report.html": page(found, name)}
    plan = skills.content(skill, _PLAN)
    if plan is not None:
        texts[_PLAN] = plan if plan.startswith(_OLD_PLAN.encode()) else _OLD_PLAN.encode() + plan
    record = _record_of(skill)
    keeps = new.memory.card if new.memory else ""
    if record is None:
        texts["README.md"] = f"# {plain(name)}\n\n{markdown(found)}{keeps}"
        return texts
    record = _renewed(record, found, new)
    texts[_METRICS] = json.dumps(record.to_json(), indent=1, ensure_ascii=False)
    texts["README.md"] = f"{card(record)}\n{markdown(found)}{keeps}"
    return texts


def _renewed(record: Record, found: Updated, new: Successor) -> Record:
    """The record of this version: what the first fit measured of itself is left to it."""
    ask, after = new.judged.ask, found.after
    y, _, out = new.judged.asked()
    crossed = found.judged + found.learned > found.rows
    where = "cross-validation of the new rows" if crossed else "held-out new rows"
    others = [name for name in metrics.suited(ask.task) if name not in ("auc", ask.metric)]
    classes = ask.task == "classes"
    return Record(
        headstart=__version__,
        created=found.created,
        command=found.command,
        seed=ask.seed,
        machine=record.machine,
        data=_data(record.data, found, new),
        source=record.source,
        depth=record.depth and replace(record.depth, rule=f"Updated: {found.way}.", curve=(), layers=()),
        score=told.Score(ask.metric, after.value, after.low, after.high, found.judged, where),
        also=tuple(_also(name, new.judged) for name in others),
        confusion=_confusion(out, y, len(new.classes)) if classes else None,
        calibration=_calibration(out, y, new.head) if classes else None,
        seconds=found.seconds,
    )


def _data(before: told.Data, found: Updated, new: Successor) -> told.Data:
    """Of all rows so far; the fingerprint is of the last ones, those of the others stand in the history."""
    columns = len(new.classes)
    old, held = {each.name: each.train for each in before.classes}, new.judged.counts(columns)
    if new.judged.ask.task == "labels":
        held = np.nansum(new.judged.y, axis=0).astype(np.int64)
    counts = tuple(
        told.ClassCount(name, old.get(name, 0) + int(new.learned[k]), int(held[k]))
        for k, name in enumerate(new.classes)
    )
    return replace(
        before,
        path=found.path,
        fingerprint=found.fingerprint,
        rows=before.rows + found.rows,
        classes=() if new.judged.ask.task == "numbers" else counts,
        because={},
        left_out=(),
        findings=(),
        split=f"The score is of new rows: {found.where}.",
        samples=(),
    )


def _also(name: str, judged: Judged) -> told.Also:
    y, _, out = judged.asked()
    low, high = metrics.interval(name, out, y, judged.ask.task, groups=judged.groups, seed=judged.ask.seed)
    return told.Also(name, metrics.score(name, out, y, judged.ask.task), low, high)


def _confusion(out: NDArray, y: NDArray, c: int) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(int(count) for count in row) for row in metrics.confusion(y, out.argmax(1), c))


def _calibration(out: NDArray, y: NDArray, head: Linear) -> told.Calibration:
    bins = tuple(told.Bin(sure, right, int(n)) for sure, right, n in metrics.calibration_bins(out, y))
    return told.Calibration(metrics.ece(out, y), head.temperature, bins)
