"""`update`: a finished skill learns from new rows without its old ones, and only where that is better."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from headstart.adapt.probe import Ask, Folds
from headstart.adapt.renew import Lesson, Renewed, renewed
from headstart.core import skill as skills
from headstart.core.skill import Skill
from headstart.core.versions import number_of
from headstart.data.dataset import Options
from headstart.data.split import within
from headstart.errors import DataError, UsageError
from headstart.heads.recall import MEASURES
from headstart.places import cache_folder
from headstart.quiet import hush
from headstart.report.updated import Tried, Updated
from headstart.verbs.judged import ENOUGH, Judged, Past, answers, counted, decided, lost_of
from headstart.verbs.memory import Memory, recall, why_none
from headstart.verbs.newrows import Names, NewRows, new_rows
from headstart.verbs.planfile import options_of, settings_of
from headstart.verbs.predict import Predictor, open_predictor, want_labels
from headstart.verbs.prepared import outputs_of
from headstart.verbs.settings import Settings
from headstart.verbs.takeover import Successor, history_of, next_version, take_over
from headstart.verbs.threads import at_most
from headstart.verbs.watch import Silent, Teller

PLAN = "plan.toml"
_LISTED = 5


def update(
    skill: str | Path,
    data: str | Path,
    *,
    options: Options | None = None,
    same: Mapping[str, str] | None = None,
    new: Collection[str] = (),
    forget_at_most: float = 0.01,
    dry_run: bool = False,
    seed: int = 0,
    threads: int = 0,
    cache: Path | None = None,
    teller: Teller | None = None,
    command: str = "",
) -> Updated:
    """Learn from new rows, with new classes among them or not, and take over where that is better.

    The network stays as it is; the head is made anew from what the skill keeps of its old rows (`heads.moments`) and
    from the new ones. It takes over where rows that neither head learned from show it better, at least 4 of 5 draws of
    other such rows do not show it worse, and it loses no more of what was known than is allowed. Else the skill stays.

    Args:
        skill: its folder.
        data: new rows, labelled as the first ones were.
        options: columns; what is None is as in the skill's plan.
        same: name in the data -> name of the skill, where both are one.
        new: names in the data that are new, however near they are to one of the skill's.
        forget_at_most: of what was known before: share of right answers, or R² of numbers; 0 or above.
        dry_run: whether only to say what would happen.
        seed: of every random draw.
        threads, cache, teller: as of `fit`.
        command: as typed, for the report.

    Raises:
        SkillError: no skill there, or one that was changed.
        DataError: data that cannot be used, or brings nothing new.
        UsageError: names that need a word of the user's.
    """
    if not forget_at_most >= 0:
        raise UsageError(f"forget_at_most={forget_at_most:g} must be 0 or above; write --forget-at-most 1%.")
    hush(threads)
    start, teller, cache = time.perf_counter(), teller or Silent(), cache or cache_folder()
    with at_most(threads):
        opened = skills.read(skill)
        want_labels(opened)
        memory = recall(opened)
        plan = _plan_of(opened)
        asked = Asked(str(data), options_of(plan, options), forget_at_most, seed, threads, cache, command)
        names = Names(same or {}, new)
        rows = new_rows(data, opened, asked.options, names, memory, seed=seed, threads=threads)
        predictor = open_predictor(opened, cache=cache, threads=threads)
        x = _features(predictor, rows, cache, teller)
        job = _Job.of(predictor, rows, x, memory, asked, balance=plan.balance or False)
        teller.progress("make and judge new heads", 0, 1)
        found, judged = job.judge()
        told = replace(job.told(found, judged, start), skill=str(skill), dry_run=dry_run)
        if dry_run:
            return replace(told, version=number_of(opened.manifest))
        if not told.taken:
            return told
        return take_over(Path(skill), opened, told, job.successor(found, judged, memory))


@dataclass(frozen=True)
class Asked:
    """What was asked for: data, columns, limit of what may be lost, seed, threads, cache and what was typed."""

    path: str
    options: Options
    limit: float
    seed: int
    threads: int
    cache: Path
    command: str


def _plan_of(skill: Skill) -> Settings:
    """What the skill's plan says of the data's columns and of balance."""
    path = skill.folder / PLAN
    if PLAN not in skill.manifest["files"]:
        return Settings()
    plan = settings_of(path)
    if plan.followed is None:
        return plan
    # groups and times are of the rows and not of the answers: new rows may come without
    options = replace(plan.followed.options, group=None, time=None)
    return replace(plan, followed=replace(plan.followed, options=options))


def _features(predictor: Predictor, rows: NewRows, cache: Path, teller: Teller) -> NDArray:
    """(n, d) what the skill's head reads of every row."""
    outputs = outputs_of(predictor.held, rows.data, cache)
    stage = "read through the network"
    every = np.arange(len(rows.data))
    taps = predictor.skill.manifest["taps"]
    return outputs.matrix(every, taps, lambda done, total: teller.progress(stage, done, total))


@dataclass(frozen=True, eq=False)
class _Job:
    """One update's fixed parts.

    Attributes:
        skill: that serves.
        rows: that are new; lesson: all of them, with what is kept of the old.
        past: what was known.
        asked: for.
    """

    skill: Skill
    rows: NewRows
    lesson: Lesson
    past: Past
    asked: Asked

    @classmethod
    def of(
        cls, predictor: Predictor, rows: NewRows, x: NDArray, memory: Memory | None, asked: Asked, *, balance: bool
    ) -> _Job:
        """The parts.

        Raises:
            DataError: nothing is kept of the old rows, and the new ones do not speak of all that they spoke of.
        """
        data, skill = rows.data, predictor.skill
        assert data.y is not None
        known, columns = predictor.classes, len(data.classes)
        ask = Ask(data.task, skill.manifest["metric"], columns, balance, asked.seed)
        moments, sample = (None, None) if memory is None else (memory.moments, memory.sample)
        if moments is None:
            told = counted(data.y[rows.learn], data.task, len(known)) > 0
            lacking = [name for name, there in zip(known, told, strict=True) if not there]
            if lacking:
                more = f" and {len(lacking) - _LISTED} more" if len(lacking) > _LISTED else ""
                raise DataError(
                    f"the skill keeps no moments of its old rows ({why_none(skill)}), so the new ones must speak of all"
                    f" that it knows, and lack {', '.join(lacking[:_LISTED])}{more}; add rows of them, or fit again."
                )
        old = None if moments is None else moments.with_columns(range(len(known)), columns)
        past, lesson = Past(known, predictor.head, moments, asked.seed), Lesson(x, data.y, ask, old)
        if sample is not None:
            past = replace(past, kept=sample.half(judges=True))
            lesson = replace(lesson, kept=sample.half(judges=False).with_columns(columns))
        return cls(skill, rows, lesson, past, asked)

    def judge(self) -> tuple[Renewed, Judged]:
        """The new head, and how it did on rows that it had not learned from."""
        rows, lesson, ask = self.rows, self.lesson, self.lesson.ask
        if rows.judge is not None:
            found = self._renewed(rows.learn, rows.judge, within(rows.folds, rows.learn))
            parts = [(rows.judge, found)]
        else:
            # heads of the other rows are judged; that of all rows takes over
            parts = [(held, self._renewed(learned, held)) for learned, held in rows.folds]
            found = self._renewed(rows.learn, np.concatenate([held for held, _ in parts]))
        held = np.concatenate([part for part, _ in parts])
        after = np.concatenate([answers(each.head, lesson.x[part], ask.columns) for part, each in parts])
        before = answers(self.past.head, lesson.x[held], ask.columns)
        groups = None if rows.data.groups is None else rows.data.groups[held]
        return found, Judged(lesson.y[held], before, after, groups, ask)

    def told(self, found: Renewed, judged: Judged, start: float) -> Updated:
        """What was seen, measured and decided."""
        rows = self.rows
        before, after, gain, sure = judged.scores()
        recalls = self.past.recalls(found.head, judged)
        lost = lost_of(recalls)
        taken, reason = decided(gain, sure, lost, self.asked.limit, rows.data.task)
        serving = number_of(self.skill.manifest)
        return Updated(
            skill=str(self.skill.folder),
            version=next_version(self.skill) if taken else serving,
            taken=taken,
            dry_run=False,
            reason=reason,
            path=self.asked.path,
            fingerprint=rows.data.fingerprint,
            modality=rows.data.modality,
            task=rows.data.task,
            rows=len(rows.data),
            copies=rows.copies,
            learned=len(rows.learn),
            judged=len(judged.y),
            where=rows.how,
            added=rows.added,
            way=found.way.words,
            tried=tuple(Tried(t.way.words, t.value, t.cost, t.way == found.way) for t in found.tried),
            before=before,
            after=after,
            gain=gain,
            sure=sure,
            lost=lost,
            limit=self.asked.limit,
            measure=MEASURES[rows.data.task],
            recalls=recalls,
            history=history_of(self.skill),
            notes=rows.notes,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            command=self.asked.command,
            seconds=time.perf_counter() - start,
        )

    def successor(self, found: Renewed, judged: Judged, before: Memory | None) -> Successor:
        """What takes over; it remembers old and new rows as its head weighs them."""
        rows, lesson = self.rows, self.lesson.take(self.rows.learn)
        keys = [rows.data.keys[row] for row in rows.learn]
        memory = None if before is None else before.after(lesson, found.way, keys)
        columns = lesson.ask.columns
        learned = (
            np.nansum(lesson.y, axis=0) if rows.data.task == "labels" else counted(lesson.y, rows.data.task, columns)
        )
        return Successor(found.head, rows.data.classes, learned, judged, memory)

    def _renewed(self, learned: NDArray[np.int64], held: NDArray[np.int64], folds: Folds = ()) -> Renewed:
        """The head that these rows ask for; what enough held rows speak of is left to their judgement."""
        lesson = self.lesson
        enough = counted(lesson.y[held], lesson.ask.task, len(self.past.names)) >= ENOUGH
        return renewed(lesson.take(learned), lambda head: self.past.cost(head, enough), self.asked.limit, folds)
