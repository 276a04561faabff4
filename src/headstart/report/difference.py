"""What is known of two data sets side by side, as plain frozen values: what words and page are made from."""

from __future__ import annotations

from dataclasses import dataclass

from headstart.mismatch.kind import Kind
from headstart.mismatch.mmd import Mmd
from headstart.report.record import Example


@dataclass(frozen=True)
class Side:
    """One of the two data sets.

    Attributes:
        path: as it was given.
        fingerprint: of what was read of it.
        rows: that it has.
        seen: that were drawn and could be read.
        labelled: whether it says what its examples are.
    """

    path: str
    fingerprint: str
    rows: int
    seen: int
    labelled: bool


@dataclass(frozen=True)
class Mark:
    """One thing that the eye sees first: its mean in A and in B, and their difference in deviations within a set."""

    name: str
    a: float
    b: float
    effect: float


@dataclass(frozen=True)
class Share:
    """How often a class occurs.

    Attributes:
        name: of the class.
        a: share in A, 0..1.
        b: share in B as its labels say; None where they do not.
        estimate, low, high: share in B as a head learned on A says, with 95 % of it; None where it cannot.
        weight: what an example of this class in A counts in B; None where A has none.
    """

    name: str
    a: float
    b: float | None
    estimate: float | None
    low: float | None
    high: float | None
    weight: float | None


@dataclass(frozen=True)
class Odd:
    """How unusual one example of B is beside A, on the last layer.

    Attributes:
        name: of the example.
        distance, rank: Mahalanobis distance, and the share of A's own held-out rows that are nearer.
        near, near_rank: the same of the distance to the fifth nearest neighbour.
    """

    name: str
    distance: float
    rank: float
    near: float
    near_rank: float

    @property
    def both(self) -> float:
        """Mean of the two ranks, 0..1."""
        return (self.rank + self.near_rank) / 2


@dataclass(frozen=True)
class Difference:
    """Two data sets as one network sees them.

    Attributes:
        a, b: the data sets.
        modality: image or text.
        source: the network.
        norms: whether it has batch norms that can be measured anew.
        kind: of the mismatch, with the tests of all layers.
        marks: what the eye sees first, the farthest moved first.
        mmd: on the last layer.
        frechet: squared distance on the last layer; frechet_within: the same between two halves of A, of as many rows.
        shares: of the classes, where A has them.
        shares_p: that counted shares differ, by permutation; None where they were not counted.
        unusual: every example of B that was seen, the most unusual first.
        most, least: the first and the last of them, as they are shown.
        notes: what was left out or could not be done, each one sentence.
        seconds: that it took.
    """

    a: Side
    b: Side
    modality: str
    source: str
    norms: bool
    kind: Kind
    marks: tuple[Mark, ...]
    mmd: Mmd
    frechet: float
    frechet_within: float
    shares: tuple[Share, ...]
    shares_p: float | None
    unusual: tuple[Odd, ...]
    most: tuple[Example, ...]
    least: tuple[Example, ...]
    notes: tuple[str, ...]
    seconds: float
