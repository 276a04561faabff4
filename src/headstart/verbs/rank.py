"""`rank`: which of several pretrained networks suits the data best, before anything is trained."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from headstart.adapt.suits import Suits, targets
from headstart.core.archive import opened
from headstart.data.dataset import Dataset, Options
from headstart.errors import DataError, HeadstartError, UsageError
from headstart.heads import metrics
from headstart.places import cache_folder, skills_folder
from headstart.quiet import hush
from headstart.rank.estimators import ESTIMATORS, EVERY_TASK
from headstart.sources.card import Card
from headstart.sources.catalog import CATALOG
from headstart.sources.fetch import on_disk
from headstart.sources.find import SKILL, find, known, skill_folder
from headstart.verbs.contest import Contest
from headstart.verbs.fit import DEFAULT_SOURCE
from headstart.verbs.predict import open_predictor
from headstart.verbs.prepared import ask_of, fits, prepared
from headstart.verbs.threads import at_most
from headstart.verbs.watch import Silent, Teller

MOST = 1000  # rows that are looked at where nothing is said


@dataclass(frozen=True)
class Ranked:
    """What is to be expected of one network.

    Attributes:
        name: as a user types it.
        score: of a linear probe on its best layers, each row scored by a model without it.
        low, high: 95 % of it for other rows of the kind.
        taps: the layers.
        layers: name of each layer or join -> its score, best first.
        best: probability that it is the best of those ranked.
        regret: expected loss of the metric against the best, where it is chosen.
        rows: that were looked at.
        as_it_is: score of an earlier skill that knows these labels, with no training at all.
        rate: examples a second through the network on this machine.
        adapt: seconds of reading all rows to learn from, which is nearly all that a new head takes.
        bytes: of its files.
        licence: of its weights.
        estimates: name -> value of each estimator of transferability that was asked for.
    """

    name: str
    score: float
    low: float
    high: float
    taps: tuple[str, ...]
    layers: Mapping[str, float]
    best: float
    regret: float
    rows: int
    as_it_is: float | None
    rate: float
    adapt: float
    bytes: int
    licence: str
    estimates: Mapping[str, float]


@dataclass(frozen=True)
class Ranking:
    """Networks for a data set, the best first.

    Attributes:
        path: of the data.
        fingerprint: of the data.
        metric: that is foretold.
        networks: best first.
        alike: names among which the best is, with 95 % probability.
        failed: name -> why a network could not be ranked.
        seconds: of the whole ranking.
    """

    path: str
    fingerprint: str
    metric: str
    networks: tuple[Ranked, ...]
    alike: tuple[str, ...]
    failed: Mapping[str, str]
    seconds: float

    @property
    def words(self) -> str:
        """One sentence of what follows."""
        first = self.networks[0]
        if len(self.networks) == 1:
            return f"{first.name} is the only one that was ranked."
        if len(self.alike) == 1:
            return f"{first.name} is the best of these with {100 * first.best:.0f} % probability."
        return (
            f"{' and '.join(self.alike)} cannot be told apart on {first.rows} examples; "
            f"choosing {first.name} is expected to cost {100 * first.regret:.1f} points against the best of them."
        )


def rank(
    data: str | Path,
    sources: Sequence[str] = (),
    *,
    options: Options | None = None,
    metric: str | None = None,
    rows: int = MOST,
    estimates: bool = False,
    seed: int = 0,
    threads: int = 0,
    device: str = "auto",
    cache: Path | None = None,
    teller: Teller | None = None,
) -> Ranking:
    """Rank pretrained networks for labelled data by what a head on their best layers would score.

    Each example is read once per network, on rows to learn from alone: no test row is seen. What was read is kept,
    so that a second ranking, or a fit, goes on from there.

    Args:
        data: folder or table.
        sources: names of networks and earlier skills; none takes those on disk that read such data.
        options: columns and task of the data; what is None is detected.
        metric: None takes the task's default.
        rows: examples that are looked at, at most.
        estimates: whether published estimators of transferability are computed too, on the last layer.
        seed: of every random draw.
        threads, device, cache, teller: as of `fit`.

    Raises:
        UsageError: a network that reads another kind of data, or a number that does not fit.
        DataError: data that `fit` would refuse.
        SourceError: no network that could be ranked.
    """
    if rows < 20:
        raise UsageError(f"rows={rows} are too few to rank by; write for example --rows {MOST}.")
    start, teller, cache = time.perf_counter(), teller or Silent(), cache or cache_folder()
    hush(threads)
    with at_most(threads):
        teller.progress("read the data", 0, 1)
        ready = prepared(data, options, seed=seed, threads=threads)
        examples, train = ready.data, ready.parts.train
        ask = ask_of(examples, metric, seed=seed)
        cards = cards_of(sources, examples, cache, teller)
        job = _Job(Contest(examples, train, ask, cache, threads, device, teller))
        return replace(job.rank(cards, rows, estimates), path=str(data), seconds=time.perf_counter() - start)


@dataclass(frozen=True)
class _Job:
    contest: Contest

    def rank(self, cards: Sequence[Card], most: int, estimates: bool) -> Ranking:
        """The networks, the best first; those that could not win come last."""
        standing, contest = self.contest.standing(cards, most), self.contest
        ranked = [self._ranked(each, standing.chance[name], estimates) for name, each in standing.seen.items()]
        sign = -1 if metrics.higher_is_better(contest.ask.metric) else 1
        ranked.sort(key=lambda each: (np.isnan(each.regret), sign * each.score))
        return Ranking(
            "", contest.data.fingerprint, contest.ask.metric, tuple(ranked), standing.alike, standing.failed, 0.0
        )

    def _ranked(self, each: Suits, chance: tuple[float, float], estimates: bool) -> Ranked:
        card, (low, high) = each.features.held.card, each.interval
        rate = self.contest.pace(each)
        return Ranked(
            name=card.name,
            score=each.score,
            low=low,
            high=high,
            taps=each.layers[0].taps,
            layers={" + ".join(rung.taps): rung.score for rung in each.layers},
            best=chance[0],
            regret=chance[1],
            rows=len(each.rows),
            as_it_is=self._as_it_is(card, each.rows),
            rate=rate,
            adapt=len(self.contest.train) / rate,
            bytes=card.bytes,
            licence=card.licence,
            estimates=self._estimates(each) if estimates else {},
        )

    def _estimates(self, each: Suits) -> dict[str, float]:
        """Published estimators on the last layer; those that these rows do not allow are left out."""
        card = each.features.held.card
        x = each.features.matrix(each.rows, each.features.last)
        found = {}
        for name, estimator in ESTIMATORS.items():
            if self.contest.ask.task != "classes" and name not in EVERY_TASK:
                continue
            try:
                found[name] = float(estimator(x, targets(self.contest.data, each.rows)))
            except DataError as error:
                self.contest.teller.say(f"{card.name}: no {name}: {error}")
        return found

    def _as_it_is(self, card: Card, rows: NDArray[np.int64]) -> float | None:
        """The score of a skill whose labels are those of the data, untouched."""
        if not card.name.startswith(SKILL) or self.contest.ask.task == "numbers":
            return None
        skill = opened(skill_folder(card.name.removeprefix(SKILL)), self.contest.cache)
        data, ask = self.contest.data, self.contest.ask
        if skill.manifest["task"] != ask.task:
            return None
        theirs = {str(name).strip().lower(): place for place, name in enumerate(skill.manifest["classes"])}
        wanted = [theirs.get(name.strip().lower(), -1) for name in data.classes]
        if -1 in wanted:
            return None
        predictor = open_predictor(skill, cache=self.contest.cache, threads=self.contest.threads)
        out = predictor.answers(data.take(rows))[:, wanted]
        if ask.task == "classes":
            out = out / np.maximum(out.sum(axis=1, keepdims=True), 1e-12)
        return metrics.score(ask.metric, out, targets(data, rows), ask.task)


def cards_of(sources: Sequence[str], data: Dataset, cache: Path, teller: Teller) -> list[Card]:
    """Cards of what was named, or of all that is on disk; the smallest first."""
    named = [find(name, cache) for name in dict.fromkeys(sources)]
    for card in named:
        fits(card, data)
    if not named:
        there = [card for card in known(cache) if on_disk(card, cache)]
        fit = [card for card in [*there, *_own(cache, teller)] if card.modality == data.modality]
        named = [card for card in fit if not card.writes]  # a language model takes its time: it is looked at by name
    return sorted(named or [CATALOG[DEFAULT_SOURCE[data.modality]]], key=lambda card: card.bytes)


def _own(cache: Path, teller: Teller) -> list[Card]:
    """The user's skills that can be read."""
    cards = []
    for path in sorted(skills_folder().glob("*.skill")):
        try:
            cards.append(find(f"{SKILL}{path}", cache))
        except HeadstartError as error:
            teller.say(f"left out: {error}")
    return cards
