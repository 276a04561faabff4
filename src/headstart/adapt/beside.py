"""Two or three pretrained networks side by side: their pooled outputs joined under one head."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headstart.adapt.held import Broken, Held, Progress
from headstart.adapt.probe import WIDEST, Features
from headstart.core.store import Store
from headstart.data.dataset import Dataset
from headstart.sources.card import Card

_JOINS = (1, 2, 4)  # last taps of each network that are joined


@dataclass(frozen=True)
class Beside:
    """Networks that read the same examples one after the other: an `adapt.held.Reader`.

    Attributes:
        card: of all together.
        parts: the networks.
    """

    card: Card
    parts: tuple[Held, ...]

    @property
    def taps(self) -> tuple[str, ...]:
        """NETWORK/TAP of each network in turn."""
        return tuple(name for part in self.parts for name in _named(part))

    @property
    def widths(self) -> tuple[int, ...]:
        """Of the taps."""
        return tuple(width for part in self.parts for width in part.widths)

    @property
    def precision(self) -> str:
        """What the engine of the first network multiplies in."""
        return self.parts[0].precision

    @property
    def pace(self) -> float | None:
        """Examples a second through all of them; None where one never read many."""
        paces = [part.pace for part in self.parts]
        return None if None in paces else 1 / sum(1 / pace for pace in paces if pace)

    @property
    def threads(self) -> int:
        """Of the CPU; 0 takes all."""
        return self.parts[0].threads

    @property
    def device(self) -> str:
        """As of `open_held`."""
        return self.parts[0].device

    def read(
        self, data: Dataset, *, view: int = 0, progress: Progress | None = None, broken: Broken | None = None
    ) -> list[NDArray]:
        """As `Held.read`, the taps of all networks."""
        out: list[NDArray] = []
        for place, part in enumerate(self.parts):
            told = _share(progress, place, len(self.parts))
            out += part.read(data, view=view, progress=told, broken=broken if place == 0 else _unheard)
        return out


@dataclass(frozen=True)
class SideBySide:
    """Pooled outputs of several networks for the same examples: `adapt.probe.Outputs`.

    Attributes:
        held: the networks.
        data: all examples.
        parts: outputs of each network, which the store keeps for each by itself.
    """

    held: Beside
    data: Dataset
    parts: tuple[Features, ...]

    @property
    def taps(self) -> Mapping[str, int]:
        """Name -> width, network after network."""
        return dict(zip(self.held.taps, self.held.widths, strict=True))

    @property
    def last(self) -> tuple[str, ...]:
        """The last tap of each network."""
        return tuple(_named(part)[-1] for part in self.held.parts)

    def joins(self) -> list[tuple[str, ...]]:
        """The last tap of each network, the last two, the last four, and all, where they are not too wide."""
        names = [_named(part) for part in self.held.parts]
        longest = max(len(each) for each in names)
        joins = [tuple(tap for each in names for tap in each[-k:]) for k in (*_JOINS, longest)]
        return [join for join in dict.fromkeys(joins) if join == self.last or self._width(join) <= WIDEST]

    def read(self, rows: NDArray[np.int64], progress: Progress | None = None) -> None:
        """Run these rows through every network, but for those that are in the store already."""
        for place, part in enumerate(self.parts):
            part.read(rows, _share(progress, place, len(self.parts)))

    def matrix(self, rows: NDArray[np.int64], taps: Sequence[str], progress: Progress | None = None) -> NDArray:
        """(rows, sum of widths) float32: these taps side by side."""
        found = []
        for held, part in zip(self.held.parts, self.parts, strict=True):
            own = dict(zip(_named(held), held.taps, strict=True))
            wanted = [own[tap] for tap in taps if tap in own]
            if wanted:
                found.append(part.matrix(rows, wanted, progress))
        return np.concatenate(found, axis=1)

    def _width(self, taps: Sequence[str]) -> int:
        return sum(self.taps[tap] for tap in taps)


def side_by_side(held: Beside, data: Dataset, store: Store) -> SideBySide:
    """The outputs of these networks, computed when they are asked for."""
    return SideBySide(held, data, tuple(Features(part, data, part.table(store)) for part in held.parts))


def _named(part: Held) -> tuple[str, ...]:
    return tuple(f"{part.card.name}/{tap}" for tap in part.taps)


def _unheard(row: int, why: str) -> None:
    """What the first network could not read is told once."""


def _share(progress: Progress | None, place: int, count: int) -> Progress | None:
    if progress is None:
        return None
    return lambda done, total: progress(place * total + done, count * total)
