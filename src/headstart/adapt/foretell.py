"""What a fit will take and give, from what was measured on this machine before it starts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from headstart.adapt.recipes import Recipe
from headstart.adapt.suits import Suits
from headstart.heads import metrics

_SHOWN = 0.05  # seconds from which on a part is told
_START = 4.0  # seconds that the import of PyTorch takes where it was never timed
_INNER = 0.8  # share of the rows that a fold of a nested cross-validation learns from
_NORMAL = 1.645  # deviations on both sides that hold 90 %
_GROWTH = (0.2, 0.15)  # exponent of the error's fall with the number of rows, mean and deviation
_HEADS = 1.5  # heads that a tail is judged and followed by take together, in fits of a head on its last layer
_OFF = 0.015  # deviation of a fitted head's score from its cross-validation, beyond that of rows and test rows


@dataclass(frozen=True)
class Range:
    """A number to be expected, the range that holds it with 90 %, and in words where it comes from."""

    value: float
    low: float
    high: float
    origin: str = ""


@dataclass(frozen=True)
class Shape:
    """What the fit will be asked to do.

    Attributes:
        rows: to learn from.
        test: rows that are answered at the end; with folds all rows are.
        folds: of a nested cross-validation; 0 where there is a test part.
        size: what a training epoch's time grows with, of one row: tokens of a text, 1 of a picture.
    """

    rows: int
    test: int
    folds: int
    size: float

    @property
    def rounds(self) -> float:
        """How many times all rows are learned from."""
        return 1 + _INNER * self.folds


@dataclass(frozen=True)
class Pieces:
    """Seconds of what every fit on this data takes, whatever is chosen.

    Attributes:
        before: reading and checking the data and opening the network.
        classical: the classical way beside it.
        after: report and skill.
    """

    before: float
    classical: float
    after: float = 0.3


def head_seconds(shape: Shape, pieces: Pieces, *, pace: float, there: int, head: float) -> dict[str, float]:
    """Part -> seconds of a fit at depth 1.

    Args:
        pace: rows a second through the network, or networks.
        there: rows whose outputs are in the store.
        head: seconds of choosing layers and fitting a head on all rows to learn from.
    """
    all_rows = shape.rows + (0 if shape.folds else shape.test)
    return {
        "before": pieces.before,
        "reading": max(0, all_rows - there) / pace,
        "learning": head * shape.rounds,
        "classical": pieces.classical,
        "after": pieces.after,
    }


def tail_seconds(
    shape: Shape, above: Mapping[str, float], recipe: Recipe, costs: Mapping[str, float], *, pace: float, head: float
) -> dict[str, float]:
    """Part -> seconds of a fit that tunes a tail.

    Args:
        above: of the same fit at depth 1, whose head is fitted too but reads no test row.
        costs: noted of this network on this machine (`adapt.costs`), with those of this depth among them.
        pace: rows a second through the network.
        head: seconds of fitting a head on the last layer.
    """
    depth = recipe.plan.depth
    learned = _INNER * shape.rows  # the others judge
    training = recipe.plan.epochs * learned * shape.size * costs[f"step {depth}"] + learned * costs[f"fill {depth}"]
    tail = costs[f"load {depth}"] + training + costs[f"tuned {depth}"] + shape.rows / pace + _HEADS * head
    answered = shape.rows if shape.folds else shape.test
    return {
        **above,
        "start": costs.get("start", _START),
        "tail": tail * shape.rounds,
        "answers": answered / pace,
    }


def by_factors(value: float, spread: float, origin: str) -> Range:
    """A number above 0 that is off by factors.

    Args:
        spread: deviation of the log of what came over what was foretold.
    """
    factor = float(np.exp(_NORMAL * spread))
    return Range(value, value / factor, value * factor, origin)


def seconds_of(parts: Mapping[str, float], spread: float, before: str = "") -> Range:
    """All parts together.

    Args:
        spread: as of `by_factors`.
        before: words before the list of the parts.
    """
    said = ", ".join(f"{name} {value:.1f} s" for name, value in parts.items() if value >= _SHOWN)
    return by_factors(sum(parts.values()), spread, before + said)


def score_of(suits: Suits, shape: Shape, gain: tuple[float, float] = (0.0, 0.0), also: str = "") -> Range:
    """The metric that the fit will report.

    The probe's score on the rows looked at; what more rows bring; what a tail brings, a share of what is left to gain;
    and the luck of the rows looked at and of the test rows.

    Args:
        gain: mean and deviation of that share, as tails gained on other data.
        also: words behind where it comes from.
    """
    ask, score = suits.ask, suits.score
    draws = suits.draws(200)
    higher = metrics.higher_is_better(ask.metric)
    error = 1 - score if higher else score
    more = max(1.0, shape.rows / len(suits.rows))
    falls = 1 - more ** -_GROWTH[0]
    expected = error * (1 - falls) * (1 - gain[0])
    luck = float(np.nanstd(draws))
    # rows of the test part are others than those looked at, as many as there are of them
    test = luck * np.sqrt(len(suits.rows) / max(shape.test, 1)) if not shape.folds else 0.0
    grown = error * _GROWTH[1] * np.log(more)
    off = _OFF if higher else _OFF * score
    deviation = float(np.sqrt(luck**2 + test**2 + grown**2 + (gain[1] * error) ** 2 + off**2))
    value = 1 - expected if higher else expected
    low, high = value - _NORMAL * deviation, value + _NORMAL * deviation
    low, high = max(low, 0.0) if ask.task != "numbers" else low, min(high, 1.0) if higher else high
    return Range(value, low, high, f"a head in nested cross-validation on {len(suits.rows)} rows{also}")
