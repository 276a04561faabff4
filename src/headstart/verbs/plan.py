"""`plan`: which network, how deep, and what that will take and give, before anything is trained."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from headstart.adapt.foretell import Range
from headstart.adapt.held import open_held
from headstart.core.memory import free_memory
from headstart.data.dataset import Options
from headstart.data.split import some
from headstart.data.talks_or_labels import language_of
from headstart.errors import HeadstartError, UsageError
from headstart.places import cache_folder
from headstart.quiet import hush
from headstart.report.familiar import headline
from headstart.study.files import ready as ready_to_write
from headstart.study.files import write_whole
from headstart.units import human
from headstart.verbs.choices import Choice, Choices
from headstart.verbs.contest import Contest
from headstart.verbs.energy import HINT, Clock, Meter, Spent, open_meter
from headstart.verbs.familiar import familiar_of
from headstart.verbs.planfile import FORETOLD, FORMAT, OPTIONS, Reason, update_of, written
from headstart.verbs.prepared import ask_of, prepared
from headstart.verbs.rank import MOST, cards_of
from headstart.verbs.settings import DEVICES, Settings
from headstart.verbs.threads import at_most
from headstart.verbs.watch import Silent, Teller, Watch

if TYPE_CHECKING:
    from headstart.verbs.foresee import Foreseen

NEAR = 0.005  # of the metric: a choice that promises no more than this beyond a cheaper one is not worth its cost
_LOOKED = 64  # examples that tell how far the data is from what the network was trained on
_POWER = 1.3  # factor by which the power of a fit may be off that of planning
_NOTES = {"score": "what is to be expected of a fit that follows this plan; it is compared with what happens"}


@dataclass(frozen=True)
class Limits:
    """What a fit may take at most; None is no limit.

    Attributes:
        seconds: of the whole fit.
        memory: bytes, at its peak.
        joules: of energy.
    """

    seconds: float | None = None
    memory: float | None = None
    joules: float | None = None

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value is not None and not 0 < value < float("inf"):
                raise UsageError(f"a limit of {value:g} for {name} must be above 0; write for example --budget 60s.")

    def over(self, choice: Choice) -> str:
        """What a choice takes too much of, in words; empty where it is within all limits."""
        found = [self.beyond(choice.seconds, choice.memory)]
        if self.joules is not None and choice.joules is not None and choice.joules.value > self.joules:
            found.append(f"{choice.joules.value:.0f} J of {self.joules:.0f}")
        return ", ".join(filter(None, found))

    def beyond(self, seconds: Range, memory: Range) -> str:
        """What is too much of time and of memory (MB), in words; empty where neither is."""
        found = []
        if self.seconds is not None and seconds.value > self.seconds:
            found.append(f"{seconds.value:.0f} s of {self.seconds:.0f}")
        if self.memory is not None and memory.value * 1e6 > self.memory:
            found.append(f"{human(memory.value * 1e6)} of {human(self.memory)}")
        return ", ".join(found)


@dataclass(frozen=True, eq=False)
class Planned:
    """Choices and the one that was made.

    Attributes:
        path: of the data.
        metric: that is foretold.
        rows: to learn from.
        choices: the best expected score first.
        chosen: the one that the plan is of.
        over: for each choice what it takes too much of; empty where it is within the limits.
        words: one sentence of why.
        toml: the plan.
        file: where it was written; None where it was not.
        seconds: that planning took.
    """

    path: str
    metric: str
    rows: int
    choices: tuple[Choice, ...]
    chosen: Choice
    over: tuple[str, ...]
    words: str
    toml: str
    file: Path | None
    seconds: float


def plan(
    data: str | Path,
    out: str | Path | None = None,
    *,
    sources: Sequence[str] = (),
    options: Options | None = None,
    metric: str | None = None,
    limits: Limits | None = None,
    rows: int = MOST,
    seed: int = 0,
    threads: int = 0,
    device: str = "auto",
    cache: Path | None = None,
    teller: Teller | None = None,
) -> Planned | Foreseen:
    """Foretell what several ways to a skill would take and give, choose one, and write it as a plan to be followed.

    Networks are ranked as `rank` does; the best ones side by side, and the best one with its last blocks tuned, are
    choices beside a new head. Time and memory are measured on this machine, a tail's in a rehearsal on a few rows
    where no fit has noted them yet. No test row is seen. For talks and texts to be written it is what teaching a
    language model takes, measured in a rehearsal too.

    Args:
        data: folder or table.
        out: file of the plan; None writes none.
        sources: names of networks and earlier skills; none takes those on disk that read such data.
        options: columns and task of the data; what is None is detected.
        metric: None takes the task's default.
        limits: of time, memory and energy.
        rows: examples that networks are ranked on, at most.
        seed, threads, device, cache, teller: as of `fit`.

    Raises:
        UsageError: limits that no choice keeps.
        StoreError: a place that cannot be written.
        DataError: data that `fit` would refuse.
        SourceError: no network that could be looked at.
    """
    start, teller, cache = time.perf_counter(), teller or Silent(), cache or cache_folder()
    limits, options, file = limits or Limits(), options or Options(), Path(out) if out else None
    if rows < 20:
        raise UsageError(f"rows={rows} are too few to plan by; write for example --rows {MOST}.")
    if device not in DEVICES:
        raise UsageError(f"device={device!r} is not one of {', '.join(DEVICES)}; write --device cpu.")
    if file:
        ready_to_write(file)
    hush(threads)
    why = language_of(Path(data), options)
    if why:
        from headstart.verbs.foresee import foresee  # brings transformers in

        teller.say(f"{why}: a language model learns to write it (--task classes, labels or numbers else)")
        if limits.joules is not None:
            raise UsageError("the energy of teaching a language model is not foretold; take --energy out.")
        asked = Settings(source=_one(sources), seed=seed, threads=threads, device=device)
        with at_most(threads):
            return foresee(data, file, options, asked, cache, Watch(teller), over=limits.beyond)
    meter = open_meter("cuda" if device == "cuda" else "cpu")
    if limits.joules is not None and meter is None:
        raise UsageError(f"a limit of energy cannot be kept: {HINT}.")
    with at_most(threads):
        teller.progress("read the data", 0, 1)
        ready = prepared(data, options, seed=seed, threads=threads)
        before = time.perf_counter() - start
        ask = ask_of(ready.data, metric, seed=seed)
        contest = Contest(ready.data, ready.parts.train, ask, cache, threads, device, teller)
        cards = cards_of(sources, ready.data, cache, teller)
        clock = Clock(meter)
        choices = Choices(contest, ready, before).of(cards, rows)
        choices = [_powered(each, clock.spent(), meter) for each in choices]
    choices.sort(key=lambda each: -each.worth(ask.metric))
    over = tuple(map(limits.over, choices))
    chosen = _chosen(choices, over, ask.metric)
    _fits_memory(chosen, choices)
    words = " ".join([_words(chosen, choices, over), *_far(contest, chosen)])
    values, because = _said(ready.data.fingerprint, options, contest, chosen, words)
    toml = written(values, because, _NOTES)
    if file:
        write_whole(file, toml)
    spent = time.perf_counter() - start
    count = len(ready.parts.train)
    return Planned(str(data), ask.metric, count, tuple(choices), chosen, over, words, toml, file, spent)


def _one(sources: Sequence[str]) -> str | None:
    """The network that is to be taught.

    Raises:
        UsageError: several.
    """
    if len(sources) > 1:
        raise UsageError(f"{', '.join(sources)} are several networks, and one is taught; name one of them.")
    return next(iter(sources), None)


def _powered(choice: Choice, spent: Spent, meter: Meter | None) -> Choice:
    """With the energy that it would take at the power that planning took."""
    if spent.joules is None or meter is None:
        return choice
    watts, told = spent.joules / spent.seconds, choice.seconds
    text = f"{watts:.1f} W, as planning took, for the seconds foretold; {meter.known}"
    joules = Range(watts * told.value, watts * told.low / _POWER, watts * told.high * _POWER, text)
    return replace(choice, joules=joules)


def _chosen(choices: Sequence[Choice], over: Sequence[str], metric: str) -> Choice:
    """The quickest of those that promise as much as the best, within the limits."""
    within = [each for each, much in zip(choices, over, strict=True) if not much]
    if not within:
        least = min(choices, key=lambda each: each.seconds.value)
        raise UsageError(
            f"no choice keeps these limits: the quickest, {least.name}, takes {over[choices.index(least)]}; "
            "give more, or name a smaller network with --sources."
        )
    top = within[0].worth(metric)
    return min((c for c in within if c.worth(metric) >= top - NEAR), key=lambda each: each.seconds.value)


def _fits_memory(chosen: Choice, choices: Sequence[Choice]) -> None:
    """Refuse what this machine has no room for, and say what would do.

    Raises:
        UsageError: the fit would need more memory than is free.
    """
    free = free_memory()
    if free is None or chosen.memory.value * 1e6 <= free:
        return
    small = min(choices, key=lambda each: each.memory.value)
    then = f"{small.name} needs {human(small.memory.value * 1e6)}: take it with --memory {human(free).replace(' ', '')}"
    if small.memory.value * 1e6 > free:
        then = "give fewer rows, or a machine with more"
    raise UsageError(
        f"{chosen.name} needs about {human(chosen.memory.value * 1e6)} of memory and {human(free)} are free; {then}."
    )


def _words(chosen: Choice, choices: Sequence[Choice], over: Sequence[str]) -> str:
    better = [
        (each, much)
        for each, much in zip(choices, over, strict=True)
        if much and choices.index(each) < choices.index(chosen)
    ]
    quickest = min(choices, key=lambda each: each.seconds.value)
    text = chosen.why
    if chosen is not quickest:
        text += f" It takes about {chosen.seconds.value:.0f} s; {quickest.name}, takes {quickest.seconds.value:.0f}."
    if better:
        text += f" {better[0][0].name} promises more and would take {better[0][1]}."
    return text


def _far(contest: Contest, chosen: Choice) -> tuple[str, ...]:
    """How far the data is from what the network was trained on, where that can be told."""
    card = chosen.card.beside[0] if chosen.card.beside else chosen.card
    few = contest.data.take(some(contest.data, contest.train, _LOOKED, seed=contest.ask.seed))
    held = open_held(card, contest.cache, threads=contest.threads, device=contest.device)
    try:
        found = familiar_of(few, held, "the data", contest.cache, seed=contest.ask.seed, teller=contest.teller)
    except HeadstartError:  # few rows, or a network without traces of its data: the plan does without
        return ()
    return () if found.kind == "unknown" else (headline(found),)


def _said(
    fingerprint: str, options: Options, contest: Contest, chosen: Choice, words: str
) -> tuple[dict[str, object], dict[str, Reason]]:
    """Values and reasons of the plan."""
    ask = contest.ask
    values: dict[str, object] = {
        "format": FORMAT,
        "data": fingerprint,
        "source": chosen.card.name,
        "source_digest": chosen.card.digest,
        "task": ask.task,
        **{name: vars(options)[name] for name in OPTIONS[1:]},
        "metric": ask.metric,
        "depth": chosen.depth,
        "update": update_of(chosen.depth, chosen.blocks),
        "taps": list(chosen.taps),
        "guard": "none",
        "balance": ask.balance,
        "seed": ask.seed,
        **chosen.rates,
    }
    because = {
        "source": Reason("data", chosen.chance),
        "depth": Reason("data", words),
        "taps": Reason("data", chosen.layers),
        "guard": Reason("source", "held blocks cannot forget; --guard or --forget-at-most guard a tail"),
        **{name: Reason("default", "what such a tail took on other data") for name in chosen.rates},
    }
    told = zip(FORETOLD, (chosen.score, chosen.seconds, chosen.memory, chosen.joules), (4, 1, 0, 0), strict=True)
    for name, expected, digits in told:
        if expected is not None:
            value, low, high = (round(each, digits) for each in (expected.value, expected.low, expected.high))
            values[name] = value
            because[name] = Reason("data" if name == "score" else "machine", expected.origin, low, high)
    return values, because
