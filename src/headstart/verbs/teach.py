"""`fit` for talks, summaries and plain texts: a language model learns to write them."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from headstart.adapt.course import Course, course, has_room, window_of
from headstart.adapt.held_back import HeldBack, held_back
from headstart.adapt.interrupted import Interrupted
from headstart.adapt.lessons import Lessons, lessons
from headstart.adapt.teach import Taught, teach
from headstart.core import skill as skills
from headstart.core.skill import Skill
from headstart.core.store import Store
from headstart.data.dataset import Options
from headstart.data.personal import Found, found, masked_talks
from headstart.data.talks import Talk, Talks
from headstart.data.talks_read import read_talks
from headstart.data.talks_split import Parts, parted
from headstart.engine.openvino import fast_precision
from headstart.errors import DataError, UsageError
from headstart.language.general import general_texts
from headstart.report import spoken as told
from headstart.report.record import LeftOut, Stage
from headstart.sources.card import Card
from headstart.sources.find import find
from headstart.sources.language import Language, open_language
from headstart.sources.speaker import unknown_share
from headstart.sources.writer import Writer
from headstart.verbs.machine import machine
from headstart.verbs.planfile import lined, options_of, same_network
from headstart.verbs.settings import NO_GUARD, Settings
from headstart.verbs.sides import lead_of, recalled_of, samples_of, sides_of
from headstart.verbs.spoken import Judge, chosen_instruction, judge_of, prose_of
from headstart.verbs.watch import Watch, peak_memory
from headstart.version import __version__

DEFAULT = "smollm2-135m"
STRANGE = 0.05  # of tokens that stand for no whole character, from which on it is said
_LOOKED_AT = 200  # texts whose tokens are looked at for that
_VAL = 0.1  # of the training talks that choose, where something is to be chosen
_MOST_VAL = 40
_NOT_HERE = ("taps", "adapt_to", "scratch", "balance", "metric")  # settings that say nothing of writing


def teach_fit(
    data: str | Path, place: Path, options: Options | None, settings: Settings, cache: Path, watch: Watch, command: str
) -> Skill:
    """A skill that writes as the talks do; `verbs.fit.fit` comes here for data that is to be written.

    Raises:
        HeadstartError: what is wrong with the data, the network or the disk, in one sentence.
    """
    _refuse(settings)
    skills.ready(place)
    with lined(settings, "source"):
        card = find(settings.source or DEFAULT, cache)
    options = options_of(settings, options)
    with watch.stage("read the data"):
        talks, personal = _read(data, options, watch)
        parts = parted(talks, seed=settings.seed or 0)
        watch.teller.say(parts.how)
    with watch.stage("open the network"):
        same_network(settings, card)
        language = open_language(card, cache, cuts=())
    class_ = _Class(card, language, talks, parts, personal, options, settings, cache, watch, place)
    return class_.skill(command)


def _refuse(settings: Settings) -> None:
    """Refuse what has no meaning where texts are written.

    Raises:
        UsageError: such a setting was given.
    """
    wrong = next((name for name in _NOT_HERE if vars(settings)[name] not in (None, False)), None)
    if wrong is not None:
        raise UsageError(f"--{wrong.replace('_', '-')} is for labels and this data is to be written; leave it out.")
    if settings.guard not in (None, NO_GUARD, "mix"):
        raise UsageError(
            f"guard {settings.guard} is for labels; a language model keeps what it knew by --guard mix or by "
            "--forget-at-most 3%."
        )


def _read(data: str | Path, options: Options, watch: Watch) -> tuple[Talks, Found]:
    say = watch.teller.say
    talks = read_talks(data, system=options.system, task=options.task, prompt=options.prompt, answer=options.answer)
    for name, reason in talks.because.items():
        if name != "kind":  # that was said already
            say(reason)
    for problem in talks.problems[:5]:
        say(f"left out: {problem.name}: {problem.why}")
    if len(talks.problems) > 5:
        say(f"left out: {len(talks.problems) - 5} more, all in the report")
    if options.mask:
        talks, personal = masked_talks(talks)
    else:
        personal = found(turn.text for talk in talks.talks for turn in talk.turns)
    counts = ", ".join(f"{count} {kind}" for kind, count in personal.counts.items() if count)
    if counts:
        how = "they were masked" if options.mask else "the model may repeat them: --mask-personal replaces them"
        say(f"personal data was found ({counts}; names and addresses are not looked for); {how}")
    return talks, personal


@dataclass(frozen=True, eq=False)
class _Class:
    """One fit's fixed parts."""

    card: Card
    language: Language
    talks: Talks
    parts: Parts
    personal: Found
    options: Options
    settings: Settings
    cache: Path
    watch: Watch
    place: Path

    @property
    def seed(self) -> int:
        return self.settings.seed or 0

    def skill(self, command: str) -> Skill:
        settings, watch = self.settings, self.watch
        with watch.stage("prepare"):
            unknown = self._unknown()
            window = self._window()
            train, choosing = self._train()
            rows = lessons(self.language.speaker, train.talks, window)
            self._tell(rows, window)
            plan = self._course(rows)
            cuts = (self.language.stack.cut(plan.plan.depth),)
            self.language.stack.proved(cuts)
            judge = judge_of(
                self.language, self.parts.test, window, precision=plan.plan.precision, seed=self.seed, cache=self.cache
            )
            if choosing is not None:  # texts that choose do not judge
                judge = replace(judge, prose=lessons(self.language.speaker, prose_of(general_texts()[::2]), 256))
        with watch.stage("hear the network as it is") as progress:
            instruction = ""
            if self.talks.kind == "summaries":
                instruction = chosen_instruction(judge, train, progress)
            before = judge.hear(progress, untuned=True, instruction=instruction)
        decides = {"data": _fingerprint(self.talks), "network": self.card.digest, **settings.decides, "window": window}
        unfinished = Interrupted.of(self.cache, self.place, decides, resume=settings.resume, say=watch.teller.say)
        with watch.stage("learn") as progress:
            store = Store(self.cache / "store") if plan.stored else None
            taught = teach(
                self.language,
                rows,
                plan.plan,
                rank=plan.rank,
                store=store,
                budget=settings.budget or float("inf"),
                interrupted=unfinished,
                progress=progress,
            )
        guarded = None
        if choosing is not None:
            with watch.stage("hold back"):
                guarded = self._hold_back(taught, choosing, window)
        with watch.stage("hear the network as it is now") as progress:
            after = judge.hear(progress)
        with watch.stage("gather the report"):
            untuned, tuned, change = sides_of(judge, self.talks.kind, before, after)
            record = told.SpokenRecord(
                data=self._data(rows, unknown),
                voice=self._voice(taught, plan, window),
                untuned=untuned,
                tuned=tuned,
                change=change,
                lead=lead_of(judge) if self.talks.kind == "summaries" else {},
                instruction=instruction,
                recalled=recalled_of(judge, train, after),
                guarded=guarded,
                samples=samples_of(judge, before, after) if settings.examples else (),
                machine=machine(),
                headstart=__version__,
                seed=self.seed,
                created=datetime.now(UTC).isoformat(timespec="seconds"),
                command=command,
            )
        skill = self._write(record, taught, guarded.share if guarded else 1.0, judge, window)
        unfinished.over()
        return skill

    def _unknown(self) -> float:
        draw = np.random.default_rng([self.seed, 9])
        few = draw.permutation(len(self.parts.train))[:_LOOKED_AT]
        texts = [turn.text for row in few for turn in self.parts.train.talks[row].turns]
        share = unknown_share(self.language.speaker, texts)
        if share >= STRANGE:
            self.watch.teller.say(
                f"warning: {100 * share:.0f} % of the tokens of this data stand for no whole character: "
                f"{self.card.name} hardly knows its script; a network of that language will do better"
            )
        return share

    def _window(self) -> int:
        most = Writer(self.language.network, self.language.speaker).window
        asked = self.settings.window
        if asked is not None and most is not None and asked > most:
            raise UsageError(f"--window {asked} is more than the {most} tokens of {self.card.name}; give less.")
        if asked is not None:
            return asked
        draw = np.random.default_rng([self.seed, 9])
        some = [self.parts.train.talks[row] for row in draw.permutation(len(self.parts.train))[:_LOOKED_AT]]
        speaker = self.language.speaker
        lengths = [_length(speaker.spoken(talk, 1 << 30).pieces) for talk in some if _can_be_told(speaker, talk)]
        return window_of(lengths, most)

    def _train(self) -> tuple[Talks, Talks | None]:
        """Talks to learn from, and those that choose where something is to be chosen."""
        train, settings = self.parts.train, self.settings
        if settings.forget_at_most is None:
            return train, None
        if self.parts.val is not None:
            return train, self.parts.val.take(np.arange(min(_MOST_VAL, len(self.parts.val))))
        order = np.random.default_rng([self.seed, 10]).permutation(len(train))
        count = min(_MOST_VAL, max(1, round(_VAL * len(train))))
        if len(train) < 2:
            raise DataError("--forget-at-most needs two talks to learn from at least; give more.")
        return train.take(np.sort(order[count:])), train.take(order[:count])

    def _tell(self, rows: Lessons, window: int) -> None:
        say, shortened = self.watch.teller.say, int((rows.cut > 0).sum())
        share = 100 * rows.told.sum() / max(1, rows.tokens)
        say(f"{rows.tokens:,} tokens in rows of {window}, {share:.0f} % of them answers to be told")
        if shortened:
            say(
                f"{shortened} talks were longer than the window of {window} and lost {int(rows.cut.sum()):,} tokens: "
                "oldest exchanges first, then the beginning of the longest question"
            )
        for name, why in rows.left_out[:5]:
            say(f"left out: {name}: {why}")

    def _course(self, rows: Lessons) -> Course:
        settings, stack = self.settings, self.language.stack
        free = shutil.disk_usage(self.cache if self.cache.exists() else Path.cwd()).free
        width = self.language.network.get_input_embeddings().weight.shape[1]  # pyright: ignore
        found = course(
            len(stack),
            len(rows.arrays["ids"]),
            depth=settings.depth,
            update=settings.update,
            rates=settings.rates,
            precision="bfloat16" if fast_precision() == "bf16" or settings.device == "cuda" else "float32",
            seed=self.seed,
            room=has_room(rows.tokens, int(width), free),
        )
        self.watch.teller.say(found.rule)
        return found

    def _hold_back(self, taught: Taught, choosing: Talks, window: int) -> told.Guarded:
        limit, speaker = self.settings.forget_at_most, self.language.speaker
        assert limit is not None
        precision = taught.run.plan.precision
        prose, talks = lessons(speaker, prose_of(general_texts()[1::2]), 256), lessons(speaker, choosing.talks, window)
        found = held_back(taught, prose, talks, limit, precision=precision)
        rule = _rule(found, limit)
        self.watch.teller.say(rule)
        return told.Guarded(
            limit,
            found.share,
            {f"{share:g}": value for share, value in found.general.items()},
            {f"{share:g}": value for share, value in found.fit.items()},
            rule,
        )

    def _data(self, rows: Lessons, unknown: float) -> told.Spoken:
        talks = self.talks
        problems = [LeftOut(problem.name, problem.why) for problem in talks.problems]
        return told.Spoken(
            path=str(talks.path),
            kind=talks.kind,
            train=rows.count,
            test=len(self.parts.test),
            how=self.parts.how,
            tokens=rows.tokens,
            told=int(rows.told.sum()),
            shortened=int((rows.cut > 0).sum()),
            cut_tokens=int(rows.cut.sum()),
            personal=dict(self.personal.counts),
            masked=self.options.mask,
            unknown=unknown,
            fingerprint=_fingerprint(talks),
            left_out=(*problems, *(LeftOut(name, why) for name, why in rows.left_out)),
            because=dict(talks.because),
        )

    def _voice(self, taught: Taught, plan: Course, window: int) -> told.Voice:
        card, run = self.card, taught.run
        return told.Voice(
            source=card.name,
            architecture=card.architecture,
            licence=card.licence,
            asserted_by=card.asserted_by,
            upstream=card.upstream,
            trained_on=card.trained_on,
            digest=card.digest,
            depth=run.plan.depth,
            blocks=len(self.language.stack),
            update=run.plan.update,
            rank=plan.rank if run.plan.update == "lora" else None,
            parameters=run.learned + run.held,
            learned=run.learned,
            epochs=run.plan.epochs,
            lr=run.plan.lr,
            batch=run.plan.batch,
            window=window,
            precision=run.plan.precision,
            losses=run.losses,
            tokens_per_second=taught.told.tokens / max(1e-9, taught.told.seconds),
            stored=run.stored,
            seconds=taught.told.seconds,
            pieces=run.pieces,
            rule=plan.rule,
        )

    def _write(self, record: told.SpokenRecord, taught: Taught, share: float, judge: Judge, window: int) -> Skill:
        from headstart.report.speech import page
        from headstart.report.speech_card import card as model_card
        from headstart.verbs.course_of import course_of

        learned = taught.taken_out(share)
        manifest = {
            "headstart": __version__,
            "name": self.place.name.removesuffix(".skill"),
            "modality": "language",
            "task": "generate",
            "kind": self.talks.kind,
            "source": asdict(self.card),
            "depth": taught.run.plan.depth,
            "update": taught.run.plan.update,
            "rank": record.voice.rank,
            "window": window,
            "system": self.options.system,
            "max_new_tokens": judge.decoding.max_new_tokens,
            "data": record.data.fingerprint,
        }
        watch = self.watch
        stages = tuple(Stage(stage.name, stage.seconds, stage.memory_mb) for stage in watch.stages)
        record = replace(record, stages=stages, seconds=watch.seconds, memory_mb=peak_memory())
        if watch.meter:
            record = replace(record, joules=watch.joules, energy=watch.meter.known)
        texts = {
            "plan.toml": course_of(record, self.options, self.settings),
            "metrics.json": json.dumps(record.to_json(), indent=1, ensure_ascii=False),
            "report.html": page(record),
            "README.md": model_card(record),
        }
        return skills.write(self.place, manifest, learned, texts)


def _can_be_told(speaker, talk: Talk) -> bool:
    try:
        speaker.spoken(talk, 1 << 30)
    except DataError:
        return False
    return True


def _length(pieces) -> int:
    return sum(len(piece) for piece in pieces)


def _fingerprint(talks: Talks) -> str:
    import hashlib

    return hashlib.sha256(json.dumps([talks.kind, talks.keys]).encode()).hexdigest()


def _rule(found: HeldBack, limit: float) -> str:
    if found.share == 1.0:
        return f"all that was learned keeps the limit: other texts lose {100 * (found.general[1.0] - 1):.1f} %"
    if found.share:
        return (
            f"{100 * found.share:.0f} % of the way keeps the limit of {100 * limit:g} %: all of it would lose "
            f"{100 * (found.general[1.0] - 1):.1f} %"
        )
    return f"no share of the way keeps the limit of {100 * limit:g} %: the network stays as it was"
