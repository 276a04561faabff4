"""Which way to the target is taken, without a label of it: in doubt, none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from headstart.adapt import validators
from headstart.heads import metrics

_LOSS = 0.01  # of the metric on the source, that a way may cost there
_MARGIN = (0.03, 0.1)  # of trust above no adaptation that a way needs, least and most; set on few data sets, with
_LEFT = 0.6  # their test rows in view: between both, this share of what no adaptation lacks of full trust
_ROWS = 1000  # that validators with a table of all pairs, or a head of their own, look at


@dataclass(frozen=True, eq=False)
class Seen:
    """What a way gave on each judged part of the source.

    Attributes:
        key: short name.
        name: for the report.
        source: metric on the labelled rows that the part held out.
        chances: per part (m, c) probabilities of all rows of the target; empty for numbers.
    """

    key: str
    name: str
    source: list[float] = field(default_factory=list)
    chances: list[NDArray] = field(default_factory=list)


@dataclass(frozen=True)
class Judged:
    """A way as it looks without target labels.

    Attributes:
        key: short name.
        name: for the report.
        source: metric on held-out rows of the source.
        agreement: share of target rows answered as most ways answer, 0..1.
        information: mutual information of row and answer, as a share of the most, 0..1.
        reverse: balanced accuracy on the source of what the target's answers teach, 0..1.
        neighbourhood: soft neighbourhood density in nats; shown, not used.
        gain: rows more that agree with most ways than with no adaptation, in deviations of chance.
        refused: why it may not be chosen; empty where it may.
    """

    key: str
    name: str
    source: float
    agreement: float
    information: float
    reverse: float
    neighbourhood: float
    gain: float
    refused: str = ""

    @property
    def trust(self) -> float:
        """Mean of agreement and information, 0..1."""
        return (self.agreement + self.information) / 2


def judge(seen: Sequence[Seen], a: NDArray, y: NDArray, b: NDArray, least: NDArray, metric: str) -> list[Judged]:
    """Every way of classes by validators that need no target labels; the first is no adaptation.

    Args:
        a, y: source rows and their classes, for the reverse direction.
        b: (m, d) features of the target.
        least: (c,) share of each class in the target at the least.
        metric: of `Seen.source`.
    """
    parts = range(len(seen[0].chances))
    with_most = [validators.majority([each.chances[part].argmax(1) for each in seen]) for part in parts]
    some = np.linspace(0, len(b) - 1, min(_ROWS, len(b))).astype(int)
    few = np.linspace(0, len(a) - 1, min(_ROWS, len(a))).astype(int)
    found = []
    for place, each in enumerate(seen):
        said = each.chances[0].argmax(1)
        found.append(
            Judged(
                each.key,
                each.name,
                float(np.mean(each.source)),
                float(np.mean([agrees[place].mean() for agrees in with_most])),
                float(np.mean([validators.information(p) for p in each.chances])),
                validators.reverse(b[some], said[some], a[few], y[few]),
                validators.neighbourhood(each.chances[0][some]),
                float(np.mean([_gain(agrees[place], agrees[0]) for agrees in with_most])),
                _refusal(each, seen[0], least, metric),
            )
        )
    return found


def choose(tried: Sequence[Judged]) -> Judged:
    """The way of most trust among those that are not refused, beat no adaptation clearly and agree no less with most.

    Args:
        tried: as `judge` gives them, no adaptation first.
    """
    nothing, *others = tried
    least = nothing.trust + float(np.clip(_LEFT * (1 - nothing.trust), *_MARGIN))
    fit = [each for each in others if not each.refused and each.gain >= 0 and each.trust > least]
    return max(fit, key=lambda each: each.trust, default=nothing)


def _gain(way: NDArray, nothing: NDArray) -> float:
    """Rows that agree with one alone, one less the other, over the root of their number (McNemar)."""
    more, fewer = int((way & ~nothing).sum()), int((nothing & ~way).sum())
    return (more - fewer) / max(1.0, (more + fewer) ** 0.5)


def _refusal(way: Seen, nothing: Seen, least: NDArray, metric: str) -> str:
    sign = 1 if metrics.higher_is_better(metric) else -1
    lost = sign * (np.mean(nothing.source) - np.mean(way.source))
    if lost > _LOSS + 1e-12:
        return f"costs {100 * lost:.1f} points on held-out rows of the source"
    gone = {k for p in way.chances for k in validators.vanished(p.argmax(1), least)}
    if gone:
        return f"answers {len(gone)} of {len(least)} classes hardly ever that occur in the target"
    return ""
