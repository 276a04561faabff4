"""`fit` for talks, summaries and plain texts: a language model learns to write them."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

from headstart.adapt.course import Course
from headstart.adapt.held_back import HeldBack, held_back
from headstart.adapt.interrupted import Interrupted
from headstart.adapt.lessons import lessons
from headstart.adapt.teach import Taught, teach
from headstart.core import skill as skills
from headstart.core.skill import LANGUAGE, Skill
from headstart.core.store import Store
from headstart.data.dataset import Options
from headstart.report import spoken as told
from headstart.report.record import LeftOut, Stage
from headstart.report.speech import page
from headstart.report.speech_card import card as model_card
from headstart.verbs.course_of import course_of
from headstart.verbs.lesson import Lesson, lesson_of
from headstart.verbs.machine import machine
from headstart.verbs.settings import Settings
from headstart.verbs.sides import lead_of, recalled_of, samples_of, sides_of
from headstart.verbs.spoken import Heard, Judge, chosen_instruction, kept_of
from headstart.verbs.watch import Watch, peak_memory
from headstart.version import __version__


def teach_fit(
    data: str | Path, place: Path, options: Options | None, settings: Settings, cache: Path, watch: Watch, command: str
) -> Skill:
    """A skill that writes as the talks do; `verbs.fit.fit` comes here for data that is to be written.

    Raises:
        HeadstartError: what is wrong with the data, the network or the disk, in one sentence.
    """
    skills.ready(place)
    lesson = lesson_of(data, options, settings, cache, watch)
    judge, instruction = lesson.judge, ""
    with watch.stage("hear the network as it is") as progress:
        if lesson.talks.kind == "summaries":
            instruction = chosen_instruction(judge, lesson.train, progress)
        before = judge.hear(progress, untuned=True, instruction=instruction)
    decides = {"data": lesson.fingerprint, "network": lesson.card.digest, **settings.decides, "window": lesson.window}
    unfinished = Interrupted.of(cache, place, decides, resume=settings.resume, say=watch.teller.say)
    with watch.stage("learn") as progress:
        taught = teach(
            lesson.language,
            lesson.rows,
            lesson.course.plan,
            rank=lesson.course.rank,
            store=Store(cache / "store") if lesson.course.stored else None,
            budget=settings.budget or float("inf"),
            interrupted=unfinished,
            progress=progress,
        )
    guarded = _hold_back(lesson, taught, watch)
    with watch.stage("hear the network as it is now") as progress:
        after = judge.hear(progress)
    with watch.stage("gather the report"):
        record = _record(lesson, taught, judge, before, after)
        record = replace(record, instruction=instruction, guarded=guarded, command=command)
    skill = _write(place, lesson, record, taught, judge, watch)
    unfinished.over()
    return skill


def _hold_back(lesson: Lesson, taught: Taught, watch: Watch) -> told.Guarded | None:
    """What was kept on purpose; None where nothing was to be."""
    limit, choosing = lesson.settings.forget_at_most, lesson.choosing
    if limit is None or choosing is None:
        return None
    with watch.stage("hold back"):
        talks = lessons(lesson.language.speaker, choosing.talks, lesson.window, keep=kept_of(lesson.talks.kind))
        found = held_back(taught, lesson.prose(1), talks, limit, precision=taught.run.plan.precision)
    rule = _rule(found, limit)
    watch.teller.say(rule)
    general, fit = ({f"{share:g}": value for share, value in each.items()} for each in (found.general, found.fit))
    return told.Guarded(limit, found.share, general, fit, rule)


def _rule(found: HeldBack, limit: float) -> str:
    lost = 100 * (found.general[1.0] - 1)
    if found.share == 1.0:
        return f"all that was learned keeps the limit of {100 * limit:g} %: other texts lose {lost:.1f} %"
    if found.share:
        return (
            f"{100 * found.share:.0f} % of the way keeps the limit of {100 * limit:g} %: all of it loses {lost:.1f} %"
        )
    return f"no share of the way keeps the limit of {100 * limit:g} %: the network stays as it was"


def _record(lesson: Lesson, taught: Taught, judge: Judge, before: Heard, after: Heard) -> told.SpokenRecord:
    kind = lesson.talks.kind
    untuned, tuned, change = sides_of(judge, kind, before, after)
    return told.SpokenRecord(
        data=_data(lesson),
        voice=_voice(lesson, taught, lesson.course),
        untuned=untuned,
        tuned=tuned,
        change=change,
        lead=lead_of(judge) if kind == "summaries" else {},
        instruction="",
        recalled=recalled_of(judge, lesson.train, after),
        guarded=None,
        samples=samples_of(judge, before, after) if lesson.settings.examples else (),
        machine=machine(),
        headstart=__version__,
        seed=lesson.seed,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _data(lesson: Lesson) -> told.Spoken:
    talks, rows = lesson.talks, lesson.rows
    problems = [LeftOut(problem.name, problem.why) for problem in talks.problems]
    return told.Spoken(
        path=str(talks.path),
        kind=talks.kind,
        train=rows.count,
        test=len(lesson.parts.test),
        how=lesson.parts.how,
        tokens=rows.tokens,
        told=int(rows.told.sum()),
        shortened=int((rows.cut > 0).sum()),
        cut_tokens=int(rows.cut.sum()),
        personal=dict(lesson.personal.counts),
        masked=lesson.options.mask,
        unknown=lesson.unknown,
        fingerprint=lesson.fingerprint,
        left_out=(*problems, *(LeftOut(name, why) for name, why in rows.left_out)),
        because=dict(talks.because),
    )


def _voice(lesson: Lesson, taught: Taught, course: Course) -> told.Voice:
    card, run = lesson.card, taught.run
    return told.Voice(
        source=card.name,
        architecture=card.architecture,
        licence=card.licence,
        asserted_by=card.asserted_by,
        upstream=card.upstream,
        trained_on=card.trained_on,
        digest=card.digest,
        depth=run.plan.depth,
        blocks=len(lesson.language.stack),
        update=run.plan.update,
        rank=course.rank if run.plan.update == "lora" else None,
        parameters=run.learned + run.held,
        learned=run.learned,
        epochs=run.plan.epochs,
        lr=run.plan.lr,
        batch=run.plan.batch,
        window=lesson.window,
        precision=run.plan.precision,
        losses=run.losses,
        tokens_per_second=taught.told.tokens / max(1e-9, taught.told.seconds),
        stored=run.stored,
        seconds=taught.told.seconds,
        pieces=run.pieces,
        rule=course.rule,
    )


def _write(place: Path, lesson: Lesson, record: told.SpokenRecord, taught: Taught, judge: Judge, watch: Watch) -> Skill:
    learned = taught.taken_out(record.guarded.share if record.guarded else 1.0)
    manifest = {
        "headstart": __version__,
        "name": place.name.removesuffix(".skill"),
        "modality": LANGUAGE,
        "task": "generate",
        "kind": lesson.talks.kind,
        "source": asdict(lesson.card),
        "depth": taught.run.plan.depth,
        "update": taught.run.plan.update,
        "rank": record.voice.rank,
        "window": lesson.window,
        "system": lesson.options.system,
        "max_new_tokens": judge.decoding.max_new_tokens,
        "data": lesson.fingerprint,
    }
    stages = tuple(Stage(stage.name, stage.seconds, stage.memory_mb) for stage in watch.stages)
    record = replace(record, stages=stages, seconds=watch.seconds, memory_mb=peak_memory())
    if watch.meter:
        record = replace(record, joules=watch.joules, energy=watch.meter.known)
    record = replace(record, foretold=_happened(lesson, record))
    texts = {
        "plan.toml": course_of(lesson, taught.run.plan),
        "metrics.json": json.dumps(record.to_json(), indent=1, ensure_ascii=False),
        "report.html": page(record),
        "README.md": model_card(record),
    }
    return skills.write(place, manifest, learned, texts)


def _happened(lesson: Lesson, record: told.SpokenRecord) -> tuple[told.Foretold, ...]:
    """What the plan that was followed foretold, beside what came of it."""
    followed = lesson.settings.followed
    if followed is None or followed.data != lesson.fingerprint:
        return ()
    came = {"seconds": record.seconds, "memory_mb": record.memory_mb, "joules": record.joules}
    return tuple(replace(each, happened=came.get(each.name)) for each in followed.foretold if each.name in came)
