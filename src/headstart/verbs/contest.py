"""Several networks looked at on the same rows: which is likely to be the best, and what choosing it may cost."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from headstart.adapt.probe import Ask, Outputs
from headstart.adapt.suits import Suits, suits
from headstart.data.dataset import Dataset
from headstart.data.split import some
from headstart.errors import HeadstartError, SourceError
from headstart.heads import metrics
from headstart.rank.chances import alike, chances
from headstart.sources.card import Card
from headstart.verbs.prepared import opened
from headstart.verbs.watch import Teller

_FIRST = 256  # rows on which networks that cannot win are found out
_HOPELESS = 0.01  # chance of being the best below which a network is not looked at further
_BEYOND = 0.017  # deviation of a tuned network's accuracy from its probe's, beyond that of the rows (bench/live.py)
_TIMED = 8  # rows that are read to time a network that never read many
_DRAWS = 400


@dataclass(frozen=True, eq=False)
class Standing:
    """What is known of the networks when all were looked at.

    Attributes:
        seen: name -> answers for rows that were not learned from, in the order of the cards.
        chance: name -> probability of being the best, and expected regret where it is chosen; those that could not
            win on the first rows have 0 and NaN.
        alike: names among which the best is, with 95 % probability.
        failed: name -> why a network could not be looked at.
    """

    seen: Mapping[str, Suits]
    chance: Mapping[str, tuple[float, float]]
    alike: tuple[str, ...]
    failed: Mapping[str, str]


@dataclass(frozen=True)
class Contest:
    """Networks read the same rows of one data set.

    Attributes:
        data: all of it.
        train: rows that may be looked at.
        ask: task, metric and seed.
        cache, threads, device, teller: as of `fit`.
    """

    data: Dataset
    train: NDArray[np.int64]
    ask: Ask
    cache: Path
    threads: int
    device: str
    teller: Teller

    def standing(self, cards: Sequence[Card], most: int) -> Standing:
        """Look at every network on some rows; those that cannot win are left after the first of them.

        Args:
            most: rows that are looked at, at most.

        Raises:
            SourceError: no network could be looked at.
        """
        rows = some(self.data, self.train, most, seed=self.ask.seed)
        first = rows if len(rows) <= 2 * _FIRST else some(self.data, rows, _FIRST, seed=self.ask.seed)
        seen: dict[str, Suits] = {}
        failed: dict[str, str] = {}
        for card in cards:
            try:
                seen[card.name] = self.look(self.open(card), first)
            except HeadstartError as error:
                failed[card.name] = str(error)
                self.teller.say(f"{card.name}: {error}")
        if not seen:
            raise SourceError(f"no network could be ranked; the first said: {next(iter(failed.values()))}")
        going = list(seen)
        if len(rows) > len(first):
            best, _ = self._chances(list(seen.values()))
            going = [name for name, chance in zip(seen, best, strict=True) if chance >= _HOPELESS]
            for name in going:
                seen[name] = self.look(seen[name].features, rows)
        best, regret = self._chances([seen[name] for name in going])
        chance = dict.fromkeys(seen, (0.0, float("nan")))
        chance.update(zip(going, zip(best.tolist(), regret.tolist(), strict=True), strict=True))
        return Standing(seen, chance, tuple(going[index] for index in alike(best)), failed)

    def open(self, card: Card) -> Outputs:
        """The network's outputs for this data."""
        return opened(card, self.data, self.cache, threads=self.threads, device=self.device, told=self.teller.say)

    def look(self, features: Outputs, rows: NDArray[np.int64]) -> Suits:
        """What a head on the network's best layers scores on these rows."""
        stage = f"read through {features.held.card.name}"
        features.read(rows, lambda done, total: self.teller.progress(stage, done, total))
        return suits(features, rows, self.ask)

    def pace(self, network: Suits) -> float:
        """Examples a second through it; timed on a few where it never read many."""
        held = network.features.held
        if held.pace:
            return held.pace
        few = self.data.take(network.rows[:_TIMED])
        start = time.perf_counter()
        held.read(few)
        return len(few) / (time.perf_counter() - start)

    def _chances(self, networks: Sequence[Suits]) -> tuple[NDArray, NDArray]:
        """Probability of being the best and expected regret of each."""
        spread = np.stack([each.draws(_DRAWS) for each in networks], axis=1)
        higher = metrics.higher_is_better(self.ask.metric)
        beyond = _BEYOND if higher else _BEYOND * float(np.nanmean(spread))
        return chances(spread, higher=higher, beyond=beyond, seed=self.ask.seed)
