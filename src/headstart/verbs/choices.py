"""Ways to a skill for some data, each with what it would take and give on this machine."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from headstart.adapt.costs import Costs, memory_of_rows
from headstart.adapt.foretell import Pieces, Range, Shape, head_seconds, score_of, seconds_of, tail_seconds
from headstart.adapt.learn import Learned, Learner
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
        joules: of energy; None where nothing measures or estimates it.
        why, chance, score_from, seconds_from, memory_from, joules_from: in words, where each comes from.
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
    score_from: str
    seconds_from: str
    memory_from: str
    joules: Range | None = None
    joules_from: str = ""

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
        """Choices: heads on every network that may be the best, on the best side by side, and tails of the best."""
        standing = self.contest.held(cards, most)
        going = sorted(
            (name for name, (best, _) in standing.chance.items() if best > 0),
            key=lambda name: -standing.chance[name][0],
        )
        pieces = self._pieces()
        first = standing.seen[going[0]]
        learned, head = self._timed_head(first)
        choices = [self._head(standing.seen[name], standing, pieces, head, first) for name in going]
        choices[0] = replace(choices[0], taps=learned.taps)
        choices += self._beside(standing, going, pieces, head, first)
        choices += self._tails(first, standing, choices[0], pieces, head)
        return choices

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
        train, ask = self.contest.train, self.contest.ask
        rows = some(self.contest.data, train, _HEADS, seed=ask.seed)
        suits.features.read(rows)
        learner = Learner(self.contest.data, suits.features.held, suits.features, ask, self.contest.cache, depth=1)
        start = time.perf_counter()
        learned = learner.learn(rows, self._folds(rows), last=False)
        return learned, (time.perf_counter() - start) * len(train) / len(rows)

    def _folds(self, rows: Rows) -> list[tuple[Rows, Rows]]:
        parts, data = self.ready.parts, self.contest.data
        whole = parts.test is not None and len(rows) == len(parts.train)
        return list(within(parts.folds if whole else choice_folds(data, rows, seed=self.contest.ask.seed), rows))

    def _head(self, suits: Suits, standing: Standing | None, pieces: Pieces, head: float, timed: Suits) -> Choice:
        """A new head on one network, or on several side by side.

        Args:
            head: seconds of a head on the network `timed`; wider ones take longer.
        """
        held, shape = suits.features.held, self._shape()
        wider = sum(held.widths) / sum(timed.features.held.widths)
        pace = held.pace or self._pace(suits)
        parts = head_seconds(shape, pieces, pace=pace, there=len(suits.rows), head=head * wider)
        seconds = seconds_of(parts, _SPREAD["head"])
        memory, memory_from = self._memory(suits, 1)
        return Choice(
            held.card,
            1,
            len(held.taps) + 1,
            suits.layers[0].taps,
            {},
            score_of(suits, shape),
            seconds,
            memory,
            "A new head on held blocks: nothing below it promises enough more.",
            _chance(held.card.name, standing),
            f"a head in nested cross-validation on {len(suits.rows)} rows",
            _parts_in_words(parts),
            memory_from,
        )

    def _beside(
        self, standing: Standing, going: Sequence[str], pieces: Pieces, head: float, timed: Suits
    ) -> Iterator[Choice]:
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
            yield replace(
                self._head(suits, None, pieces, head, timed),
                why=f"{count} networks side by side under one head promise more than each alone.",
                chance=f"{' and '.join(best[:count])} are the likeliest to be the best, and know different things",
            )

    def _tails(self, suits: Suits, standing: Standing, above: Choice, pieces: Pieces, head: float) -> Iterator[Choice]:
        """The last blocks of the best network tuned, where that may pay."""
        held, contest = suits.features.held, self.contest
        if held.card.beside:
            return
        ask = contest.ask
        blocks, count = len(held.taps) + 1, len(contest.train)
        tried = recipes(
            held.card,
            blocks,
            count,
            ask.columns,
            ask.task,
            precision=held.precision,
            seed=ask.seed,
            patient=True,
        )[:1]
        for recipe in tried:
            costs = Costs.of(contest.cache, held.card.digest, contest.threads)
            heard = self._rehearsed(suits, recipe, costs)
            shape = self._shape(self._size(suits))
            parts = head_seconds(shape, pieces, pace=held.pace or self._pace(suits), there=len(suits.rows), head=head)
            last = head * sum(suits.features.taps[tap] for tap in suits.features.last) / sum(held.widths)
            parts = tail_seconds(shape, parts, recipe, costs.known(), pace=held.pace or self._pace(suits), head=last)
            memory, memory_from = self._memory(suits, recipe.plan.depth)
            gained = 100 * recipe.gain[0] * (1 - above.score.value)
            yield replace(
                above,
                depth=recipe.plan.depth,
                taps=suits.features.last,
                rates={"epochs": recipe.plan.epochs, "lr": recipe.plan.lr, "batch": recipe.plan.batch},
                score=score_of(suits, shape, recipe.gain),
                seconds=seconds_of(parts, _SPREAD["tail"]),
                memory=memory,
                why=f"Tuning ({recipe.name}) took away {100 * recipe.gain[0]:.0f} % of a head's errors on other data, "
                f"{gained:.1f} points here.",
                chance=_chance(held.card.name, standing),
                score_from=f"{above.score_from}, and what such a tail gained on other data",
                seconds_from=f"{heard}: {_parts_in_words(parts)}",
                memory_from=memory_from,
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

    def _pace(self, suits: Suits) -> float:
        few = self.contest.data.take(suits.rows[:8])
        start = time.perf_counter()
        suits.features.held.read(few)
        return len(few) / (time.perf_counter() - start)

    def _memory(self, suits: Suits, depth: int) -> tuple[Range, str]:
        """Peak of a fit: what this process came to, and the features of rows that it did not hold."""
        held = suits.features.held
        noted = Costs.of(self.contest.cache, held.card.digest, self.contest.threads).known().get(f"memory {depth}")
        each = memory_of_rows(held.widths)
        rows = self._shape().rows
        if noted is not None:
            value, text = noted + each * rows, "the peak of earlier fits of this network here, and the features"
        else:
            value = peak_memory() + each * max(0, rows - len(suits.rows))
            text = "the peak of planning, and the features of the rows that it did not read"
        return Range(value, value * float(np.exp(-1.645 * _MEMORY)), value * float(np.exp(1.645 * _MEMORY))), text


def _chance(name: str, standing: Standing | None) -> str:
    if standing is None or name not in standing.chance:
        return "it was asked for"
    if len(standing.chance) == 1:
        return "the only network that was looked at"
    return f"{name} is the best of {len(standing.chance)} networks with {100 * standing.chance[name][0]:.0f} %"


def _parts_in_words(parts: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.1f} s" for name, value in parts.items() if value >= 0.05)
