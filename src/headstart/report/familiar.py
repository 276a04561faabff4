"""How far data is from what a network was trained on: plain frozen values, and the sentences that tell it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from headstart.mismatch.norms import Depths, Moved
from headstart.report.wording import number

NEAR = 1.5  # times as far as most ordinary sets
_THIRDS = ("first", "middle", "last")


@dataclass(frozen=True)
class Familiar:
    """Data beside the traces that a network keeps of its own.

    Attributes:
        path, fingerprint, modality, rows: of the data, and how many of its examples were looked at.
        source, trained_on: the network, and what its card says of the data behind it.
        reference: one sentence of what the data was compared with.
        layers: name -> how far each has moved, input first.
        depths: mean distances of the thirds of the network.
        low, high: 95 % of the mean of the thirds, by bootstrap of the examples.
        yardsticks: name of a known data set -> its thirds.
        ordinary: which of them are like what the network was trained on.
        odd: share of the examples that are more unusual than 95 % of the reference's own; None without such.
        blocks: of the network, the head included.
        notes: one sentence each.
        seconds: that it took.
    """

    path: str
    fingerprint: str
    modality: str
    rows: int
    source: str
    trained_on: str
    reference: str
    layers: Mapping[str, Moved]
    depths: Depths
    low: float
    high: float
    yardsticks: Mapping[str, tuple[float, float, float]]
    ordinary: tuple[str, ...]
    odd: float | None
    blocks: int
    notes: tuple[str, ...]
    seconds: float

    @property
    def distance(self) -> float:
        """Mean of the thirds, in nats per channel."""
        return (self.depths.first + self.depths.middle + self.depths.last) / 3

    @property
    def beside(self) -> tuple[float, float, float] | None:
        """Each third over that which three of four ordinary sets stay below; None where no yardstick is known."""
        known = [self.yardsticks[name] for name in self.ordinary]
        if not known:
            return None
        most = [sorted(each[k] for each in known)[(3 * len(known) - 1) // 4] for k in range(3)]
        one, two, three = (
            max(0.0, value) / max(top, 1e-6)
            for value, top in zip((self.depths.first, self.depths.middle, self.depths.last), most, strict=True)
        )
        return one, two, three

    @property
    def kind(self) -> str:
        """none, input, feature or both, from the thirds beside those of ordinary data; unknown without yardsticks."""
        beside = self.beside
        if beside is None:
            return "unknown"
        if max(beside) <= NEAR:
            return "none"
        first, last = beside[0], beside[2]
        if first > 2 * last:
            return "input"
        return "feature" if last > first else "both"


def headline(found: Familiar) -> str:
    """The verdict in one sentence."""
    return {
        "none": f"The data is as near to what {found.source} was trained on as ordinary data of its kind.",
        "input": f"The data is far from what {found.source} was trained on, in the first layers most: another input.",
        "feature": f"The data is far from what {found.source} was trained on, in the last layers most: other contents.",
        "both": f"The data is far from what {found.source} was trained on, in all layers.",
        "unknown": f"How far the data is from what {found.source} was trained on has no yardstick for this network.",
    }[found.kind]


def evidence(found: Familiar) -> tuple[str, ...]:
    """What says so."""
    d = found.depths
    told = [
        f"Compared with {found.reference}.",
        f"Its channels are {number(found.distance)} [{number(found.low)}, {number(found.high)}] nats apart: "
        f"{number(d.first)} in the first third of the network, {number(d.middle)} in the middle, "
        f"{number(d.last)} in the last.",
    ]
    if found.yardsticks:
        order = sorted(found.yardsticks.items(), key=lambda pair: sum(pair[1]))
        told.append("For comparison: " + "; ".join(f"{name} {number(sum(each) / 3)}" for name, each in order) + ".")
    if found.odd is not None:
        told.append(
            f"{100 * found.odd:.0f} % of the examples are more unusual than 95 % of the reference's own; "
            "by chance it would be 5 %."
        )
    return tuple(told)


def advice(found: Familiar) -> tuple[str, ...]:
    """What to do, the first thing first."""
    path = shlex.quote(found.path)
    rank = f"See whether another network suits the data better: `headstart rank {path}`."
    if found.kind == "none":
        return (f"A new head is the place to begin: `headstart fit {path} --source {found.source} --depth 1`.",)
    if found.kind == "unknown":
        return (rank,)
    depth = _depth(found)
    deep = f"Let the last {depth} of its {found.blocks} blocks learn: `headstart fit {path} --depth {depth}`."
    return (deep, rank)


def _depth(found: Familiar) -> int:
    """Blocks from the first third that is far, the head included, but no more than half of them: tails of half the
    network were the deepest that paid on a few hundred examples."""
    beside = found.beside or (0.0, 0.0, 0.0)
    far = next((k for k, value in enumerate(beside) if value > NEAR), 2)
    return max(2, min(found.blocks // 2, found.blocks - round(found.blocks * far / 3)))
