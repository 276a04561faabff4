"""Ways to a skill for some data, each with what it would take and give on this machine."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from headstart.adapt.costs import Costs, memory_of_rows
from headstart.adapt.foretell import Pieces, Range, Shape, by_factors, head_seconds, score_of, seconds_of, tail_seconds
from headstart.adapt.learn import Learned, Learner
from headstart.adapt.probe import Folds
from headstart.adapt.recipes import Recipe, recipes
from headstart.adapt.suits import Suits
from headstart.data.split import choice_folds, some, within
from headstart.errors import HeadstartError
from headstart.heads import metrics
from headstart.sources.card import Card, side_by_side
from headstart.verbs.against import classical
from headstart.verbs.contest import Contest, Standing
from headstart.verbs.prepared import Prepared
from headstart.verbs.watch import peak_memory

_HEADS = 2000  # rows that a head is timed on, at most
_CLASSICAL = 200  # rows that the classical way is timed on, at most
_REHEARSED = 200  # rows of a rehearsal
_NOTED = ("load", "step", "fill", "tuned", "memory")  # costs of a tail
_BESIDE = 0.02  # chance of being the best from which on a network is joined with others
_SPREAD = {"head": 0.15, "tail": 0.2}  # deviation of the log of what a fit takes against what was foretold
_MEMORY = 0.12  # the same of memory
_HEAD_MB = 400.0  # peak of fits of a head, their features left out, on the networks and data of bench/planned.py

Rows = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Choice:
    """One way to a skill.

    Attributes:
        card: of the network, or of several side by side.
        depth, blocks: that learn, and that there are.
        taps: that the head reads.
        rates: epochs, lr and batch of a tail; empty for a head.
        score: of the metric.
        seconds: of the whole fit.
        memory: peak of the process, in MB.
        why: it would be taken, in a sentence.
        chance: why this network, in words.
        layers: why these taps, in words.
        joules: of energy; None where nothing measures or estimates it.
    """

    card: Card
    depth: int
    blocks: int
    taps: tuple[str, ...]
    rates: Mapping[str, float]
    score: Range
    seconds: Range
    memory: Range
    why: str
    chance: str
    layers: str
    joules: Range | None = None

    @property
    def name(self) -> str:
        """For a table."""
        return f"{self.card.name}, depth {self.depth}"

    def worth(self, metric: str) -> float:
        """The expected score, more being better."""
        return self.score.value if metrics.higher_is_better(metric) else -self.score.value


@dataclass(frozen=True)
class Choices:
    """Looks at networks and foretells what each would take and give.

    Attributes:
        contest: of the networks.
        ready: the data.
        before: seconds that reading and checking it took.
    """

    contest: Contest
    ready: Prepared
    before: float

    def of(self, cards: Sequence[Card], most: int) -> list[Choice]:
        """Heads on every network that may be the best, on the best side by side, and a tail of the best."""
        standing = self.contest.standing(cards, most)
        going = sorted(
            (name for name, (best, _) in standing.chance.items() if best > 0),
            key=lambda name: -standing.chance[name][0],
        )
        first = standing.seen[going[0]]
        learned, head = self._timed_head(first)
        each = head / sum(first.features.held.widths)  # a wider head takes longer
        choices = [self._head(standing.seen[name], each, _chance(name, standing)) for name in going]
        choices[0] = replace(choices[0], taps=learned.taps)
        choices += self._beside(standing, going, each)
        if not first.features.held.card.beside:
            choices += self._tail(first, choices[0], each)
        return choices

    @cached_property
    def _pieces(self) -> Pieces:
        """What every fit takes here, the classical way scaled up from a few rows."""
        data, train = self.ready.data, self.contest.train
        few = some(data, train, _CLASSICAL, seed=self.contest.ask.seed)
        start = time.perf_counter()
        classical(data, few, few, self.contest.ask, self.ready.thumbnails)
        seconds = time.perf_counter() - start
        shape = self._shape()
        rows = shape.rows * shape.rounds + shape.test if shape.folds else shape.rows + shape.test
        return Pieces(self.before, seconds * rows / (2 * len(few)))

    def _shape(self, size: float = 1.0) -> Shape:
        parts = self.ready.parts
        test = len(parts.train) if parts.test is None else len(parts.test)
        return Shape(len(parts.train), test, 0 if parts.test is not None else len(parts.folds), size)

    def _timed_head(self, suits: Suits) -> tuple[Learned, float]:
        """A head as a fit would choose it, and the seconds that takes with all rows to learn from."""
        contest, features = self.contest, suits.features
        rows = some(contest.data, contest.train, _HEADS, seed=contest.ask.seed)
        features.read(rows)
        learner = Learner(contest.data, features.held, features, contest.ask, contest.cache, depth=1)
        start = time.perf_counter()
        learned = learner.learn(rows, self._folds(rows), last=False)
        return learned, (time.perf_counter() - start) * len(contest.train) / len(rows)

    def _folds(self, rows: Rows) -> Folds:
        parts, data = self.ready.parts, self.contest.data
        whole = parts.test is not None and len(rows) == len(parts.train)
        return within(parts.folds if whole else choice_folds(data, rows, seed=self.contest.ask.seed), rows)

    def _head(self, suits: Suits, each: float, chance: str) -> Choice:
        """A new head on one network, or on several side by side.

        Args:
            each: seconds of fitting a head, for each of its columns.
        """
        held, shape = suits.features.held, self._shape()
        head = each * sum(held.widths)
        parts = head_seconds(shape, self._pieces, pace=self.contest.pace(suits), there=len(suits.rows), head=head)
        return Choice(
            card=held.card,
            depth=1,
            blocks=len(held.taps) + 1,
            taps=suits.layers[0].taps,
            rates={},
            score=score_of(suits, shape),
            seconds=seconds_of(parts, _SPREAD["head"]),
            memory=self._memory(suits, 1),
            why="A new head on held blocks: nothing below it promises enough more.",
            chance=chance,
            layers=_layers(suits),
        )

    def _beside(self, standing: Standing, going: Sequence[str], each: float) -> Iterator[Choice]:
        """The two, and the three, most likely networks side by side."""
        best = [name for name in going if standing.chance[name][0] >= _BESIDE]
        for count in (2, 3):
            cards = [standing.seen[name].features.held.card for name in best[:count]]
            if len(cards) < count or any(card.beside for card in cards):
                return
            try:
                features = self.contest.open(side_by_side(cards))
                suits = self.contest.look(features, standing.seen[best[0]].rows)
            except HeadstartError as error:
                self.contest.teller.say(f"{' beside '.join(best[:count])}: {error}")
                return
            chance = f"{' and '.join(best[:count])} are the likeliest to be the best, and know different things"
            why = f"{count} networks side by side under one head promise more than each alone."
            yield replace(self._head(suits, each, chance), why=why)

    def _tail(self, suits: Suits, above: Choice, each: float) -> Iterator[Choice]:
        """The last blocks of a network tuned, where it has a recipe for that.

        Args:
            above: a head on it.
            each: as of `_head`.
        """
        held, contest, ask = suits.features.held, self.contest, self.contest.ask
        count, blocks = len(contest.train), len(held.taps) + 1
        found = recipes(
            held.card, blocks, count, ask.columns, ask.task, precision=held.precision, seed=ask.seed, patient=True
        )
        for recipe in found[:1]:  # deeper ones took longer and brought no more
            costs = Costs.of(contest.cache, held.card.digest, contest.threads)
            heard = self._rehearsed(suits, recipe, costs)
            shape, pace = self._shape(self._size(suits)), contest.pace(suits)
            head, last = each * sum(held.widths), each * sum(suits.features.taps[tap] for tap in suits.features.last)
            # the test part is read by the tuned network alone
            parts = head_seconds(replace(shape, test=0), self._pieces, pace=pace, there=len(suits.rows), head=head)
            parts = tail_seconds(shape, parts, recipe, costs.known(), pace=pace, head=last)
            score = score_of(suits, shape, recipe.gain, ", and what such a tail gained on other data")
            gained = abs(score.value - above.score.value)
            yield replace(
                above,
                depth=recipe.plan.depth,
                taps=suits.features.last,
                rates={"epochs": recipe.plan.epochs, "lr": recipe.plan.lr, "batch": recipe.plan.batch},
                score=score,
                seconds=seconds_of(parts, _SPREAD["tail"], f"{heard}: "),
                memory=self._memory(suits, recipe.plan.depth),
                why=f"Tuning ({recipe.name}) took away {100 * recipe.gain[0]:.0f} % of a head's errors on other data, "
                f"{gained:.3f} of {ask.metric} here, with {count} rows to learn from.",
                layers="what a tuned network's head reads",
            )

    def _rehearsed(self, suits: Suits, recipe: Recipe, costs: Costs) -> str:
        """Make sure that the costs of a tail of this depth are known; says where they come from."""
        depth = recipe.plan.depth
        known = costs.known()
        if all(f"{part} {depth}" in known for part in _NOTED):
            return "as earlier runs of this network took here"
        self.contest.teller.say(f"rehearsing {recipe.name} of {suits.features.held.card.name} on a few rows")
        from headstart.adapt.rehearse import rehearse

        data = self.contest.data
        rows = some(data, self.contest.train, _REHEARSED, seed=self.contest.ask.seed)
        rehearse(suits.features.held, data.take(rows), recipe, self.contest.cache, costs)
        kept = memory_of_rows(suits.features.held.widths) * len(suits.rows)
        costs.note(**{f"memory {depth}": peak_memory() - kept})
        return f"a rehearsal on {len(rows)} rows"

    def _size(self, suits: Suits) -> float:
        """Tokens of a text as the network cuts it, 1 for a picture."""
        if self.contest.data.modality == "image":
            return 1.0
        from headstart.adapt.inputs import texts_of

        data = self.contest.data
        few = data.take(some(data, self.contest.train, _REHEARSED, seed=self.contest.ask.seed))
        lengths = texts_of(few, suits.features.held.card, self.contest.cache)[0].lengths
        return 1.0 if lengths is None else float(lengths.sum()) / len(few)

    def _memory(self, suits: Suits, depth: int) -> Range:
        """Peak of a fit: what earlier ones came to, else what this process did, and the features."""
        held = suits.features.held
        noted = Costs.of(self.contest.cache, held.card.digest, self.contest.threads).known().get(f"memory {depth}")
        each, rows = memory_of_rows(held.widths), self._shape().rows
        if noted is not None:
            return by_factors(noted + each * rows, _MEMORY, "the peak of earlier fits of it, and the features")
        if depth == 1 and "torch" in sys.modules:  # this process has held what a fit of a head never does
            return by_factors(_HEAD_MB + each * rows, _MEMORY, "the peak of heads on other networks, and the features")
        peak = peak_memory() + each * max(0, rows - len(suits.rows))
        return by_factors(peak, _MEMORY, "the peak of planning, and the features of the rows that it did not read")


def _chance(name: str, standing: Standing) -> str:
    if len(standing.chance) == 1:
        return "the only network that was looked at"
    return f"{name} is the best of {len(standing.chance)} networks with {100 * standing.chance[name][0]:.0f} %"


def _layers(suits: Suits) -> str:
    """The score of a head on the best layers, and on the last alone, in cross-validation."""
    last = next(rung for rung in suits.layers if rung.taps == suits.features.last)
    best = suits.layers[0]
    return f"in cross-validation {' + '.join(best.taps)} has {best.score:.3f}, {' + '.join(last.taps)} {last.score:.3f}"
