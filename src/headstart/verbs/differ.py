"""`inspect A --against B`: whether two data sets differ as a network sees them, how, and what to do about it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from headstart.adapt.held import Held, open_held
from headstart.adapt.seen import SURFACE, Seen, seen
from headstart.core.store import Store
from headstart.data.dataset import READS, Dataset, Options
from headstart.errors import DataError, UsageError
from headstart.mismatch.frechet import frechet
from headstart.mismatch.kind import LEAST, effects, kind_of
from headstart.mismatch.mmd import mmd
from headstart.mismatch.unusual import by_covariance, by_neighbours
from headstart.places import cache_folder
from headstart.quiet import hush
from headstart.report.difference import Difference, Mark, Odd, Side
from headstart.sources.card import Card
from headstart.sources.fetch import pull
from headstart.sources.find import find
from headstart.verbs.fit import DEFAULT_SOURCE
from headstart.verbs.pair import labels_of, pair_of
from headstart.verbs.prepared import fits
from headstart.verbs.shown import examples as cards
from headstart.verbs.threads import at_most
from headstart.verbs.watch import Silent, Teller

MOST = 500  # examples of each set that are looked at where nothing is said
_SHOWN = 6  # most unusual ones, and as many of the least


def differ(
    a: str | Path,
    b: str | Path,
    *,
    source: str | None = None,
    options: Options | None = None,
    rows: int = MOST,
    examples: bool = True,
    seed: int = 0,
    threads: int = 0,
    device: str = "auto",
    cache: Path | None = None,
    teller: Teller | None = None,
) -> Difference:
    """How B differs from A as a pretrained network sees them, with the kind of the mismatch.

    Both sides are read once and kept, so that a second look takes a moment. Of the labels only the names and shares
    are compared; B may have none.

    Args:
        a: what a network learned or would learn from: folder or table, or unlabelled inputs.
        b: what it would be used on: the same, of the same kind.
        source: network that looks; None takes the default of the modality.
        options: columns and task of A, and of B where it has them.
        rows: examples of each that are drawn, at most.
        examples: whether pictures and texts themselves may be in the result; their names always are.
        seed: of every random draw.
        threads, device, cache, teller: as of `fit`.

    Raises:
        DataError: data that cannot be read, of two kinds, or too few.
        UsageError: the same data twice, or a network that reads another kind of data.
        SourceError: a network that there is not.
    """
    if rows < LEAST:
        raise UsageError(f"rows={rows} are too few to tell a mismatch from chance; write for example --rows {MOST}.")
    start, teller, cache = time.perf_counter(), teller or Silent(), cache or cache_folder()
    hush(threads)
    with at_most(threads):
        teller.progress("read the data", 0, 1)
        both = pair_of(a, b, options, rows, seed)
        held = opened_for(source, both.a, cache, threads, device, teller)
        one, two = (look(held, data, cache, teller, path) for data, path in ((both.a, a), (both.b, b)))
        job = _Job(one, two, seed, examples)
        sides = tuple(
            Side(str(path), part.data.fingerprint, total, len(part.data), part.data.y is not None)
            for path, part, total in ((a, one, both.totals[0]), (b, two, both.totals[1]))
        )
        return job.difference((sides[0], sides[1]), held.card, both.notes, start)


def opened_for(source: str | None, data: Dataset, cache: Path, threads: int, device: str, teller: Teller) -> Held:
    """The network that looks at this data.

    Raises:
        UsageError: it reads another kind of data, or several stand side by side.
        SourceError: there is none of this name, or its files cannot be had.
    """
    card = find(source or DEFAULT_SOURCE[data.modality], cache)
    fits(card, data)
    if card.beside:
        raise UsageError(f"{card.name} are networks side by side; name one of them.")
    pull(card, cache, teller.say)
    return open_held(card, cache, threads=threads, device=device, told=teller.say)


def look(held: Held, data: Dataset, cache: Path, teller: Teller, path: str | Path) -> Seen:
    """These examples through the network.

    Raises:
        DataError: fewer than LEAST that can be read.
    """
    stage = f"read {path} through {held.card.name}"
    found = seen(held, data, Store(cache / "store"), lambda done, total: teller.progress(stage, done, total))
    if len(found.data) < LEAST:
        what = READS[data.modality]
        raise DataError(
            f"'{path}' has {len(found.data)} {what} that can be compared; "
            f"give at least {LEAST}, for a mismatch cannot be told from chance on fewer."
        )
    return found


@dataclass(frozen=True, eq=False)
class _Job:
    one: Seen
    two: Seen
    seed: int
    shown: bool

    def difference(self, sides: tuple[Side, Side], card: Card, notes: Sequence[str], start: float) -> Difference:
        """All of it."""
        last = list(self.one.layers)[-1]
        x, z = self.one.layers[last], self.two.layers[last]
        if (np.concatenate([x, z]) == x[0]).all():
            raise DataError(
                f"all {len(x) + len(z)} examples look the same to {card.name}: its last layer is constant; "
                "check that the inputs differ, or name another network with --source."
            )
        labels = labels_of(self.one, self.two, self.seed)
        found = kind_of(self.one.layers, self.two.layers, strata=labels.strata, seed=self.seed)
        odd = self._unusual(x, z)
        order = np.array(sorted(range(len(odd)), key=lambda row: (-odd[row].both, -odd[row].distance)))
        return Difference(
            a=sides[0],
            b=sides[1],
            modality=card.modality,
            source=card.name,
            norms=card.modality == "image",
            kind=found,
            marks=self._marks(),
            mmd=mmd(x, z, seed=self.seed),
            frechet=self._frechet(x, z),
            frechet_within=self._frechet(*self._halves(x)),
            shares=labels.shares,
            shares_p=labels.p,
            unusual=tuple(odd[row] for row in order),
            most=cards(self.two.data, order[:_SHOWN], None, shown=self.shown),
            least=cards(self.two.data, order[::-1][:_SHOWN], None, shown=self.shown),
            notes=(*notes, *labels.notes),
            seconds=time.perf_counter() - start,
        )

    def _marks(self) -> tuple[Mark, ...]:
        a, b = self.one.layers[SURFACE], self.two.layers[SURFACE]
        each = zip(self.one.columns, a.mean(0), b.mean(0), effects(a, b), strict=True)
        marks = [Mark(name, float(mine), float(theirs), float(effect)) for name, mine, theirs, effect in each]
        return tuple(
            sorted((mark for mark in marks if mark.effect or mark.a or mark.b), key=lambda mark: -abs(mark.effect))
        )

    def _halves(self, x: NDArray) -> tuple[NDArray, NDArray]:
        order = np.random.default_rng([self.seed, 21]).permutation(len(x))
        half = len(x) // 2
        return x[order[:half]], x[order[half : 2 * half]]

    def _frechet(self, x: NDArray, z: NDArray) -> float:
        """On as many rows as half of A, or all of B where that is less: the distance falls with their number."""
        count = min(len(self.one.data) // 2, len(self.two.data))
        draw = np.random.default_rng([self.seed, 22])
        return frechet(x[draw.permutation(len(x))[:count]], z[draw.permutation(len(z))[:count]])

    def _unusual(self, x: NDArray, z: NDArray) -> list[Odd]:
        """Every example of B, in the order of the data."""
        far, near = by_covariance(x, z, seed=self.seed), by_neighbours(x, z, seed=self.seed)
        columns = zip(self.two.data.names, far.distance, far.rank, near.distance, near.rank, strict=True)
        return [Odd(name, *(float(value) for value in values)) for name, *values in columns]
