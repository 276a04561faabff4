"""`fit`: from data to a skill, with a report of what it is worth."""

from __future__ import annotations

import json
import re
import time
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from headstart.adapt.across import known_way
from headstart.adapt.costs import Costs, memory_of_rows
from headstart.adapt.held import Progress, Reader, open_reader
from headstart.adapt.interrupted import Interrupted
from headstart.adapt.learn import Learned, Learner
from headstart.adapt.probe import Ask, Folds, Outputs
from headstart.adapt.scratch import from_scratch
from headstart.adapt.toward import PENALTIES, Toward
from headstart.core import skill as skills
from headstart.core.memory import free_memory
from headstart.core.skill import Skill
from headstart.data.check import Finding, check, repeats
from headstart.data.dataset import Dataset, Options
from headstart.data.near import look
from headstart.data.read import read
from headstart.data.split import Split, choice_folds, split, within
from headstart.data.talks_or_labels import language_of
from headstart.errors import DataError, UsageError
from headstart.places import cache_cap, cache_folder
from headstart.quiet import hush
from headstart.report import record as told
from headstart.report.record import Record
from headstart.sources.card import Card
from headstart.sources.fetch import pull
from headstart.sources.find import find
from headstart.units import human
from headstart.verbs.adapted import Target, adapted, target_of
from headstart.verbs.against import against
from headstart.verbs.cache import keep
from headstart.verbs.energy import open_meter
from headstart.verbs.kept import kept_of
from headstart.verbs.machine import enough_memory
from headstart.verbs.memory import memory_of
from headstart.verbs.old import keeper_of, old_of
from headstart.verbs.plan_of import plan_of
from headstart.verbs.planfile import lined, options_of, other_data, same_network, suits_network, taps_chosen_here
from headstart.verbs.prepared import ask_of, fits, outputs_of, without
from headstart.verbs.record import Measured, Rival, record_of
from headstart.verbs.settings import Settings
from headstart.verbs.threads import at_most
from headstart.verbs.watch import Silent, Teller, Watch, peak_memory
from headstart.version import __version__

DEFAULT_SOURCE = {"image": "efficientnet-lite0", "text": "minilm-l6"}


def fit(
    data: str | Path,
    out: str | Path | None = None,
    *,
    options: Options | None = None,
    settings: Settings | None = None,
    cache: Path | None = None,
    teller: Teller | None = None,
    command: str = "",
) -> Skill:
    """Learn from data and write a skill: one that answers with labels, or, of talks and texts, one that writes.

    Args:
        data: folder or table.
        out: of the skill; None takes NAME.skill in the current folder.
        options: columns and task of the data; what is None is detected.
        settings: everything else that a user decides; `settings_of` gives those of a plan.
        cache: folder of networks and stored activations; None takes the user's.
        teller: of words and progress.
        command: as typed, for the report.

    Raises:
        HeadstartError: what is wrong with the data, the network or the disk, in one sentence.
    """
    settings = settings or Settings()
    hush(settings.threads)
    watch = Watch(teller or Silent(), open_meter("cuda" if settings.device == "cuda" else "cpu"))
    cache, cap, began = cache or cache_folder(), cache_cap(), time.time()
    place = Path(out) if out else Path(f"{_name(data)}.skill")
    why = language_of(Path(data), options_of(settings, options))
    with at_most(settings.threads):
        if why:
            from headstart.verbs.teach import teach_fit  # brings transformers in

            watch.teller.say(f"{why}: a language model learns to write it (--task classes, labels or numbers else)")
            skill = teach_fit(data, place, options, settings, cache, watch, command)
        else:
            skill = _fit(data, place, options, settings, cache, watch, command)
    _tidy(cache, cap, began, watch.teller)
    return skill


def _fit(
    data: str | Path,
    place: Path,
    options: Options | None,
    settings: Settings,
    cache: Path,
    watch: Watch,
    command: str,
) -> Skill:
    skills.ready(place)
    with lined(settings, "source"):
        card = find(settings.source, cache) if settings.source else None  # a name that is not known is said at once
    with watch.stage("read the data"):
        options = options_of(settings, options)
        examples = read(data, options)
        with lined(settings, "metric"):
            ask = ask_of(examples, settings.metric, balance=settings.balance or False, seed=settings.seed or 0)
        for reason in examples.because.values():
            watch.teller.say(reason)
    with watch.stage("check the data"):
        looked = look(examples.pictures, threads=settings.threads or 2) if examples.modality == "image" else None
        again = repeats(examples, looked=looked)
        parts = split(examples, seed=settings.seed or 0, repeats=again.near)
        findings = check(examples, parts, looked=looked, again=again)
        _tell(watch.teller, examples, parts, findings)
    with watch.stage("open the network"):
        card = card or find(DEFAULT_SOURCE[examples.modality], cache)
        fits(card, examples)
        if card.beside and settings.scratch is not None:
            raise UsageError(f"{card.name} are networks side by side, which --scratch cannot train; name one of them.")
        same_network(settings, card)
        pull(card, cache, watch.teller.say)
        held = open_reader(card, cache, threads=settings.threads, device=settings.device, told=watch.teller.say)
        suits_network(settings, held.taps, card.name)
        enough_memory(held.widths, len(parts.train), free_memory())
    thumbnails = None if looked is None else looked.thumbnails
    if looked is not None and looked.broken:
        examples, parts, thumbnails = without(examples, parts, looked, np.array(sorted(looked.broken)))
    if different := other_data(settings, examples):
        watch.teller.say(different)
    features = outputs_of(held, examples, cache)
    learner, target = _learner(examples, parts, held, features, ask, cache, settings), None
    if settings.guarded:
        with watch.stage("read the old task"):
            learner = replace(learner, keeper=keeper_of(settings, held, examples.modality, cache))
    if settings.adapt_to is not None:
        with watch.stage("read the target"):
            target = target_of(settings.adapt_to, examples, watch.teller.say)
        learner = _toward(learner, target, settings.adapt_by)
    decides = {"data": examples.fingerprint, "network": card.digest, **settings.decides}
    unfinished = Interrupted.of(cache, place, decides, resume=settings.resume, say=watch.teller.say)
    job = Job(examples, parts, ask, watch, settings, replace(learner, interrupted=unfinished), options)
    with watch.stage("read through the network") as progress:
        features.read(parts.train, progress)  # the test part is read when it is its turn, by what was chosen
    learned = job.learn()
    measured = job.measure(learned)
    adaptation = None
    if target is not None:
        with watch.stage("adapt to the target") as progress:
            learned, adaptation = job.adapt(learned, target, progress)
    kept = job.kept(learned)
    rivals = job.rivals(thumbnails)
    with watch.stage("gather the report"):
        record = record_of(
            examples,
            parts,
            card,
            learned,
            measured,
            findings,
            ask,
            rivals=rivals,
            blocks=(*held.taps, "head"),
            shown=settings.examples,
        )
        record = replace(
            record,
            command=command,
            adaptation=adaptation,
            kept=kept,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
        )
    skill = _write(place, job, card, learned, record)
    unfinished.over()
    return skill


@dataclass(frozen=True)
class Job:
    """One fit's fixed parts."""

    data: Dataset
    parts: Split
    ask: Ask
    watch: Watch
    settings: Settings
    learner: Learner
    options: Options

    def learn(self) -> Learned:
        """What the skill is made of."""
        with self.watch.stage("learn") as progress:
            learner = replace(self.learner, progress=progress)
            return learner.learn(self.parts.train, self._folds(self.parts.train))

    def measure(self, learned: Learned) -> Measured:
        """Answers for rows that no choice has seen."""
        if self.parts.test is not None:
            with self.watch.stage("measure on the test part") as progress:
                return Measured(self.parts.test, learned.answers(self.parts.test, progress), "held-out test part")
        rows, out = [], []
        count = len(self.parts.folds)
        # layers that a plan chose on these very rows would flatter them: every fold chooses its own
        flattered = taps_chosen_here(self.settings, self.data)
        learner = replace(self.learner, taps=None) if flattered else self.learner
        with self.watch.stage("measure by nested cross-validation") as progress:
            for k, (train, test) in enumerate(self.parts.folds):
                found = learner.learn(train, self._folds(train), last=False)
                rows.append(test)
                out.append(found.answers(test))
                progress(k + 1, count)
        return Measured(np.concatenate(rows), np.concatenate(out), f"{count}-fold nested cross-validation")

    def adapt(self, learned: Learned, target: Target, progress: Progress) -> tuple[Learned, told.Adaptation]:
        """The head made for a target without labels."""
        rows, way = self.parts.train, self.settings.adapt_by if learned.depth == 1 else None
        found = adapted(self.learner, learned, rows, self._folds(rows), target, way=way, progress=progress)
        self.watch.teller.say(found.record.rule)
        return found.learned, found.record

    def kept(self, learned: Learned) -> told.Kept | None:
        """What the network kept of what it could do before; held blocks cannot forget."""
        if learned.depth == 1:
            if self.settings.guarded:
                self.watch.teller.say("a new head alone leaves the network as it was: nothing of the old task is lost")
            return None
        keeper, settings = self.learner.keeper, self.settings
        with self.watch.stage("measure what was kept"):
            cache = self.learner.cache
            old = keeper.old if keeper else old_of(settings, self.learner.held, self.data.modality, cache)
            found = kept_of(self.learner.features, self.parts.train, learned, old, self.ask, cache)
        return replace(found, limit=settings.forget_at_most, path=str(settings.keep or ""))

    def rivals(self, thumbnails: NDArray[np.uint8] | None) -> tuple[Rival, ...]:
        """The classical way, the majority and, where it was asked for, the network from scratch."""
        with self.watch.stage("compare with the classical way"):
            found = against(self.data, self.parts, self.ask, thumbnails)
        if self.learner.held.card.writes:
            found = (self.encoder(), *found)
        if self.settings.scratch is None:
            return found
        with self.watch.stage("train the same network from scratch"):
            return (*found, self.scratch(self.settings.scratch))

    def encoder(self) -> Rival:
        """A new head on the default encoder: what a language model as a classifier is to be compared with."""
        start, own = time.perf_counter(), self.learner
        card = find(DEFAULT_SOURCE["text"], own.cache)
        pull(card, own.cache, self.watch.teller.say)
        held = open_reader(card, own.cache, threads=self.settings.threads, told=self.watch.teller.say)
        features = outputs_of(held, self.data, own.cache)
        alone = Learner(self.data, held, features, self.ask, own.cache, depth=1)
        job = replace(self, learner=alone, watch=Watch(Silent()))
        answers = job.measure(job.learn()).out
        return Rival(f"a new head on {card.name}", "an encoder, read once", answers, time.perf_counter() - start)

    def scratch(self, budget: float) -> Rival:
        """The same network from random weights, on the rows that the skill was measured on."""
        held, start = self.learner.held, time.perf_counter()
        folds = self.parts.folds if self.parts.test is None else ((self.parts.train, self.parts.test),)
        out = [
            from_scratch(
                held.card,
                len(held.taps) + 1,
                self.data,
                train,
                test,
                self.ask,
                self.learner.cache,
                fast=held.precision == "bf16",
                budget=budget / len(folds),
                threads=held.threads,
            )
            for train, test in folds
        ]
        what = f"{held.card.architecture} from random weights"
        return Rival("the same network from scratch", what, np.concatenate(out), time.perf_counter() - start)

    def _folds(self, rows: NDArray[np.int64]) -> Folds:
        """Folds for choices among these rows, as positions within them."""
        given = self.parts.test is not None
        folds = self.parts.folds if given else choice_folds(self.data, rows, seed=self.ask.seed)
        return within(folds, rows)


def _learner(
    data: Dataset, parts: Split, held: Reader, features: Outputs, ask: Ask, cache: Path, settings: Settings
) -> Learner:
    budget, depth = settings.budget, settings.depth or (None if settings.adapt_to is None else 1)
    if budget is not None and parts.test is None:
        budget /= len(parts.folds) + 1  # nested cross-validation learns once for every fold, and once for all
    return Learner(
        data, held, features, ask, cache, depth, budget, settings.taps, settings.rates, update=settings.update or "all"
    )


def _toward(learner: Learner, target: Target, by: str | None) -> Learner:
    """The learner whose tail, where it has one, is brought near the target.

    Raises:
        UsageError: a way, or a penalty, that there is not.
    """
    if learner.depth != 1:
        return replace(learner, toward=Toward(target.data, by or PENALTIES[0]))
    if by:
        known_way(by, learner.ask.task, own=True)
    return learner


def _tell(teller: Teller, data: Dataset, parts: Split, findings: tuple[Finding, ...]) -> None:
    teller.say(parts.how)
    for finding in findings:
        teller.say(f"{finding.severity}: {finding.text}")
    for problem in data.problems[:5]:
        teller.say(f"left out: {problem.name}: {problem.why}")
    if len(data.problems) > 5:
        teller.say(f"left out: {len(data.problems) - 5} more, all in the report")
    errors = [finding.text for finding in findings if finding.severity == "error"]
    if errors:
        raise DataError(errors[0])


def _write(place: Path, job: Job, card: Card, learned: Learned, record: Record) -> Skill:
    from headstart.report.card import card as model_card
    from headstart.report.page import page

    manifest = {
        "headstart": __version__,
        "name": place.name.removesuffix(".skill"),
        "modality": job.data.modality,
        "task": job.data.task,
        "classes": list(job.data.classes),
        "metric": job.ask.metric,
        "source": asdict(card),
        "depth": learned.depth,
        "taps": list(learned.taps),
        "data": job.data.fingerprint,
    }
    with job.watch.stage("keep moments"):
        memory = memory_of(learned, job.data, job.parts.train, job.settings, job.watch.teller.say)
    stages = tuple(told.Stage(stage.name, stage.seconds, stage.memory_mb) for stage in job.watch.stages)
    record = replace(record, stages=stages, seconds=job.watch.seconds, memory_mb=peak_memory())
    if job.watch.meter:
        record = replace(record, joules=job.watch.joules, energy=job.watch.meter.known)
    record = replace(record, foretold=_happened(job, record))
    _note_memory(job, card, learned)
    texts = {
        "plan.toml": plan_of(job.data, job.options, job.ask, job.settings, card, learned),
        "metrics.json": json.dumps(record.to_json(), indent=1, ensure_ascii=False),
        "report.html": page(record),
        "README.md": model_card(record) + (memory.card if memory else ""),
        **(memory.files() if memory else {}),
    }
    return skills.write(place, manifest, {**learned.head.arrays(), **learned.tail}, texts)


def _note_memory(job: Job, card: Card, learned: Learned) -> None:
    """The peak of this fit, for plans: where it was an ordinary one, and this process had not been larger before."""
    peak, settings = peak_memory(), job.settings
    if settings.scratch is None and settings.adapt_to is None and peak > job.watch.memory_mb:
        kept = memory_of_rows(job.learner.held.widths) * len(job.parts.train)
        costs = Costs.of(job.learner.cache, card.digest, settings.threads)
        costs.note(**{f"memory {learned.depth}": peak - kept})


def _happened(job: Job, record: Record) -> tuple[told.Foretold, ...]:
    """What the plan that was followed foretold, beside what came of it; it spoke of an ordinary fit of its data."""
    followed, settings = job.settings.followed, job.settings
    other = settings.scratch is not None or settings.adapt_to is not None
    if followed is None or followed.data != job.data.fingerprint or record.score is None or other:
        return ()
    came = {
        "score": record.score.value,
        "seconds": record.seconds,
        "memory_mb": record.memory_mb,
        "joules": record.joules,
    }
    return tuple(replace(each, happened=came.get(each.name)) for each in followed.foretold)


def _tidy(cache: Path, cap: int, began: float, teller: Teller) -> None:
    """Keep the cache below its cap; a skill that is written is not lost to a disk that refuses that."""
    try:
        freed, over = keep(cap, cache, since=began - 1)  # some file systems count in whole seconds
    except OSError as error:
        teller.say(f"the cache could not be kept below {human(cap)} ({error.strerror}); see `headstart cache`")
        return
    if freed:
        teller.say(f"{human(freed)} that were longest unused left the cache, to keep it below {human(cap)}")
    if over:
        teller.say(f"what this run used is {human(over)} above the cap of {human(cap)} and was kept")


def _name(data: str | Path) -> str:
    stem = Path(data).absolute().name
    return re.sub(r"\.[A-Za-z0-9]+$", "", stem) or "data"
