"""An earlier task of a network: the head that answered it, and data of it where there is some."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from headstart.adapt.probe import Outputs
from headstart.heads.linear import Linear

Rows = NDArray[np.int64]


def _none() -> Rows:
    return np.empty(0, np.int64)


@dataclass(frozen=True, eq=False)
class Old:
    """What a network could do before its last blocks learn something else.

    Attributes:
        name: of the head, in words.
        head: as it was fitted.
        taps: that it reads, side by side.
        metric: of its task.
        features: of its data as the network gave them, with targets in the order of the head's columns; None where
            there is no data of it.
        learn: rows that guards may learn from.
        choose: rows that guards and their strengths are chosen on.
        test: rows that neither has seen, for the report.
    """

    name: str
    head: Linear
    taps: tuple[str, ...]
    metric: str
    features: Outputs | None = None
    learn: Rows = field(default_factory=_none)
    choose: Rows = field(default_factory=_none)
    test: Rows = field(default_factory=_none)

    def answers(self, x: NDArray) -> NDArray:
        """(n, c) probabilities or numbers for (n, d) of its taps."""
        return self.head.scores(x) if self.head.task == "numbers" else self.head.probabilities(x)

    def y(self, rows: Rows) -> NDArray:
        """Targets of these rows of its data."""
        assert self.features is not None
        assert self.features.data.y is not None
        return self.features.data.y[rows]
