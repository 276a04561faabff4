"""The arms of a comparison: ways to learn from the same few rows, with a pretrained network and without one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from headstart.adapt.held import Reader
from headstart.adapt.learn import Learner
from headstart.adapt.probe import Ask, Outputs
from headstart.adapt.scratch import from_scratch
from headstart.data.split import choice_folds, some, within
from headstart.errors import UsageError
from headstart.heads import metrics
from headstart.heads.baselines import majority
from headstart.study.units import Outcome, Unit, budgets
from headstart.verbs.against import classical
from headstart.verbs.energy import Clock, Meter, Spent
from headstart.verbs.prepared import Prepared
from headstart.verbs.watch import Teller

ARMS = ("majority", "classical", "scratch", "probe", "chosen", "whole")

_DRAWS = 200
_SAMPLE = 64  # rows that are read anew to learn what the reading of one takes
_WARM = 8  # rows before these: the first ones take longer

_IMPORTED = {
    "classical": ("sklearn.linear_model", "sklearn.feature_extraction.text"),
    "scratch": ("headstart.adapt.tune",),
    "whole": ("headstart.adapt.tune",),
}

Rows = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Way:
    """How an arm with a pretrained network learns.

    Attributes:
        features: of the network, for all rows.
        depth, taps, budget, rates: as of `Learner`.
        balance: whether classes weigh the same however many rows they have.
        about: what decides the outcomes beside the arm's name, where a name may stand for different things.
    """

    features: Outputs
    depth: int | None = None
    taps: tuple[str, ...] | None = None
    budget: float | None = None
    balance: bool = False
    rates: Mapping[str, float] = field(default_factory=dict)
    about: str = ""

    def learner(self, ask: Ask, cache: Path) -> Learner:
        """It, on whole data.

        Raises:
            UsageError: layers that a tail of this depth does not read.
        """
        asked = replace(ask, balance=self.balance)
        features, data = self.features, self.features.data
        return Learner(data, features.held, features, asked, cache, self.depth, self.budget, self.taps, self.rates)


@dataclass(frozen=True, eq=False)
class Work:
    """What the units of a comparison are done with.

    Attributes:
        ready: the data.
        ask: task and metric.
        cache: folder of networks and stored activations.
        scratch: seconds of training from random weights.
        meter: of energy; None where there is none.
        teller: of progress.
        ways: name -> arm with a pretrained network; the first says which architecture is trained from scratch.
    """

    ready: Prepared
    ask: Ask
    cache: Path
    scratch: float
    meter: Meter | None
    teller: Teller
    ways: Mapping[str, Way]
    _joules: dict[str, float] = field(default_factory=dict)

    def divided(self, seed: int) -> tuple[Rows, Rows]:
        """Rows to learn from and rows to be asked about: the test part, or a fold for each seed."""
        parts = self.ready.parts
        return (parts.train, parts.test) if parts.test is not None else parts.folds[seed % len(parts.folds)]

    def units(self, arms: Sequence[str], labels: Sequence[int], seeds: int) -> list[Unit]:
        """Everything there is to do, in the order of the arms within a seed.

        Raises:
            UsageError: budgets that the data does not have.
        """
        most = min(len(self.divided(seed)[0]) for seed in range(seeds))
        least = max(4, len(self.ready.data.classes) if self.ask.task == "classes" else 0)
        wrong = [count for count in labels if not least <= count <= most]
        if wrong:
            raise UsageError(f"{wrong[0]} labels cannot be learned from; give from {least} to {most} with --labels.")
        wanted = sorted(set(labels)) or budgets(most, len(self.ready.data.classes))
        return [Unit(arm, count, seed) for seed in range(seeds) for arm in arms for count in wanted]

    def do(self, unit: Unit) -> Outcome:
        """One arm on some rows, asked about the test rows."""
        train, test = self.divided(unit.seed)
        data, ask = self.ready.data, replace(self.ask, seed=unit.seed)
        rows = some(data, train, unit.labels, seed=unit.seed)
        for module in _IMPORTED.get(unit.arm, ()):  # the first unit of a process alone would pay for them
            import_module(module)
        if unit.arm in self.ways:
            out, depth, spent = self._learned(self.ways[unit.arm], rows, test, ask)
        else:
            out, depth, spent = self._without(unit.arm, rows, test, ask)
        assert data.y is not None
        y, groups = data.y[test], None if data.groups is None else data.groups[test]
        draws = metrics.resampled(ask.metric, out, y, ask.task, groups=groups, draws=_DRAWS)
        score = metrics.score(ask.metric, out, y, ask.task)
        known = self.meter.known if self.meter else ""
        return Outcome(unit, score, spent.seconds, depth, tuple(draws.tolist()), spent.joules, known)

    def _without(self, arm: str, rows: Rows, test: Rows, ask: Ask) -> tuple[NDArray, int, Spent]:
        """An arm that has no pretrained network."""
        data, clock = self.ready.data, Clock(self.meter)
        assert data.y is not None
        if arm == "majority":
            out = majority(data.y[rows], len(test), task=ask.task, classes=ask.columns)
            return out, 0, clock.spent()
        if arm == "classical":
            out = classical(data, rows, test, ask, self.ready.thumbnails)
            return out, 0, clock.spent()
        held = next(iter(self.ways.values())).features.held
        blocks, fast = len(held.taps) + 1, held.precision == "bf16"
        out = from_scratch(
            held.card, blocks, data, rows, test, ask, self.cache, fast=fast, budget=self.scratch, threads=held.threads
        )
        return out, blocks, clock.spent()

    def _learned(self, way: Way, rows: Rows, test: Rows, ask: Ask) -> tuple[NDArray, int, Spent]:
        """An arm with a pretrained network. Another unit may have read its rows already: reading is counted at this
        machine's pace, whoever did it, and not as it happened here."""
        features, held = way.features, way.features.held
        stage, reading = f"read through {held.card.name}", Clock(self.meter)
        features.read(np.concatenate([rows, test]), lambda done, all: self.teller.progress(stage, done, all))
        read = reading.spent()
        folds = within(choice_folds(self.ready.data, rows, seed=ask.seed), rows)
        clock = Clock(self.meter)
        learned = way.learner(ask, self.cache).learn(rows, folds, last=False)
        out = learned.answers(test)
        spent = clock.spent()
        counted = len(rows) + (len(test) if learned.depth == 1 else 0)
        return out, learned.depth, spent.plus(self._reading(held, counted, read))

    def _reading(self, held: Reader, count: int, read: Spent) -> Spent:
        """What it takes to read so many rows; what was taken just now where nothing else is known."""
        seconds = count / held.pace if held.pace else read.seconds
        if self.meter is None:
            return Spent(seconds, None)
        if held.card.digest not in self._joules:
            self._joules[held.card.digest] = self._joules_of_one(held)
        return Spent(seconds, count * self._joules[held.card.digest])

    def _joules_of_one(self, held: Reader) -> float:
        """Joules that the reading of one row takes, measured on some that are read anew."""
        rows = np.unique(np.linspace(0, len(self.ready.data) - 1, _SAMPLE, dtype=np.int64))
        held.read(self.ready.data.take(rows[:_WARM]))
        clock = Clock(self.meter)
        held.read(self.ready.data.take(rows))
        return (clock.spent().joules or 0.0) / len(rows)


def ways_of(features: Outputs, whole: float) -> dict[str, Way]:
    """The arms with the network of these features.

    Args:
        whole: seconds for tuning all of it.
    """
    blocks = len(features.held.taps) + 1
    return {
        "probe": Way(features, 1),
        "chosen": Way(features),
        "whole": Way(features, blocks, budget=whole, about=f"within {whole:g} s"),
    }
