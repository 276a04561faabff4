"""Of what kind a mismatch is: of the input, of the features, of the labels, or none that can be told.

    none     no layer tells the sets apart better than sides dealt by chance
    output   with the classes drawn as often in both sets, no layer does: only the shares of the classes differ
    input    what the eye sees first has moved far more than what the last layers say: noise, blur, light, broken words
    feature  the last layers have moved too: other subjects, another domain, another style
    unclear  the sets differ, but too little, or on too few rows, to say how

Nothing is decided by the size of a distance alone: that of matched sets is not 0, and grows with the features.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray

from headstart.errors import DataError
from headstart.mismatch.layered import Layered, layered
from headstart.mismatch.shares import answers_differ, differ

LEAST = 20  # rows of a side
ALPHA = 0.025  # share of matched sets that are called different
STRICT = 0.01  # of the test within classes: it has to be silent, and a true label shift must not fail it often
RATIO = 10.0  # of `Ratio.value`, above which a mismatch is of the input; chosen by bench/mismatch.py on sets for that
SMALL = 0.02  # squared move, in variances, of what has no kind yet: a seventh of a deviation
_BOOTSTRAP = 200

Layers = Mapping[str, NDArray]


@dataclass(frozen=True, eq=False)
class Strata:
    """Classes of the rows, as far as they are known.

    Attributes:
        source: (n,) classes, 0..c-1.
        target: (m,) classes; None where they were only estimated.
        shares: (c,) of the classes in the target.
        answers: (n, k) and (m, k) what heads say of rows that they did not learn from (`shares.crossed`).
    """

    source: NDArray[np.int64]
    target: NDArray[np.int64] | None
    shares: NDArray[np.float64]
    answers: tuple[NDArray, NDArray] | None = None


@dataclass(frozen=True)
class Ratio:
    """Where a mismatch begins: the largest squared move of a column of the surface over that of the last layers.

    Attributes:
        surface: largest squared difference of means of a column, in variances within a set.
        late: mean of the same over features and over the last third of the layers.
        value: surface / late.
        input: share of bootstrap draws with a ratio above RATIO, 0..1.
    """

    surface: float
    late: float
    value: float
    input: float


@dataclass(frozen=True)
class Kind:
    """The kind, and what says so.

    Attributes:
        name: none, input, feature, output or unclear.
        p: that the sets differ at all: of the layers and of the labels, corrected for there being two tests.
        test: of all layers together.
        labels_p: that the classes, or what heads answer, differ; None where A has no classes.
        within: the same with the classes as often in both sets; None where they are not known or too rare.
        beside: the test on as many rows as `within`, drawn without regard to classes.
        ratio: None where no difference was found.
        unseen: whether only the surface differs and the network does not see it.
    """

    name: str
    p: float
    test: Layered
    labels_p: float | None
    within: Layered | None
    beside: Layered | None
    ratio: Ratio | None
    unseen: bool

    @property
    def sure(self) -> float:
        """Share of bootstrap draws that say the same of input or feature; 1 for the other kinds."""
        if self.ratio is None or self.name not in ("input", "feature"):
            return 1.0
        return self.ratio.input if self.name == "input" else 1 - self.ratio.input


def kind_of(
    source: Layers, target: Layers, *, strata: Strata | None = None, seed: int = 0, permutations: int = 500
) -> Kind:
    """Tests first, then the layers in which the sets differ.

    Args:
        source, target: layer -> (n, d) and (m, d), the surface first, then the network's, input first, at least four.
        strata: classes, where some are known.
        seed: of every draw.
        permutations: of each test.

    Raises:
        DataError: fewer than LEAST rows of a side, fewer than four layers, or features that cannot be compared.
    """
    n, m = (len(next(iter(part.values()))) for part in (source, target))
    if min(n, m) < LEAST or len(source) < 4:
        raise DataError(
            f"{n} and {m} rows in {len(source)} layers are too few to tell a mismatch from chance; "
            f"give at least {LEAST} rows of each set and four layers."
        )
    asked = {"seed": seed, "permutations": permutations}
    test = layered(source, target, **asked)
    labels = None if strata is None else _labels_differ(strata, **asked)
    p = test.p if labels is None else min(1.0, 2 * min(test.p, labels))
    within = beside = None
    if p > ALPHA:
        return Kind("none", p, test, labels, None, None, None, False)
    rows = alike(strata, m, seed) if strata is not None else None
    if rows is not None and len(rows[0]) >= LEAST:
        part, other = _take(source, rows[0]), _take(target, rows[1])
        within = layered(part, other, **asked)
        draw = np.random.default_rng([seed, 17])
        count = len(rows[0])
        beside = layered(
            _take(source, draw.permutation(n)[:count]), _take(target, draw.permutation(m)[:count]), **asked
        )
        if within.p > STRICT and min(beside.p, 1.0 if labels is None else 2 * labels) <= ALPHA:
            return Kind("output", p, test, labels, within, beside, None, False)
        source, target = part, other
    ratio = ratio_of(source, target, seed)
    taps = list(source)[1:]
    unseen = layered(*({name: part[name] for name in taps} for part in (source, target)), **asked).p > ALPHA
    return Kind(_begins(ratio, unseen), p, test, labels, within, beside, ratio, unseen)


def _begins(ratio: Ratio, unseen: bool) -> str:
    """input or feature; unclear where what differs is too little for either."""
    if max(ratio.surface, ratio.late) < SMALL:
        return "unclear"
    return "input" if unseen or ratio.value > RATIO else "feature"


def alike(strata: Strata, count: int, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows of source and target with the same classes equally often, as many as there are.

    Where the target's classes are known, as many of each as the rarer side has; else rows of the source in the
    estimated shares, and as many of the target as they come.

    Args:
        count: rows of the target.
    """
    draw = np.random.default_rng([seed, 18])
    there = np.bincount(strata.source, minlength=len(strata.shares))
    if strata.target is not None:
        wanted = np.minimum(there, np.bincount(strata.target, minlength=len(there)))
        mine, theirs = (_drawn(y, wanted, draw) for y in (strata.source, strata.target))
        return draw.permutation(mine), draw.permutation(theirs)
    asked = strata.shares > 0.5 / count  # of the others not one row is expected
    most = min(count, int(np.min(there[asked] / strata.shares[asked])))
    # whole rows of a class: what is left over goes by chance, so that rare classes are not always lost
    wanted = np.minimum(there, np.floor(most * strata.shares + draw.random(len(there))).astype(np.int64))
    mine = _drawn(strata.source, wanted, draw)
    size = min(len(mine), count)
    return draw.permutation(mine)[:size], draw.permutation(count)[:size]


def ratio_of(source: Layers, target: Layers, seed: int) -> Ratio:
    """The surface's largest move over that of the last layers, with a bootstrap of the rows."""
    names = list(source)
    late = names[-ceil((len(names) - 1) / 3) :]
    n, m = (len(part[names[0]]) for part in (source, target))
    draw = np.random.default_rng([seed, 19])
    # the rows as they are come first; drawn ones differ from their own by chance once more
    one, two = (np.concatenate([np.ones((1, k)), draw.multinomial(k, np.full(k, 1 / k), _BOOTSTRAP)]) for k in (n, m))
    chance = np.where(np.arange(_BOOTSTRAP + 1) > 0, 2.0, 1.0) * (1 / n + 1 / m)
    surface = _squared(source[names[0]], target[names[0]], one, two).max(1) - chance
    last = np.mean([_squared(source[name], target[name], one, two).mean(1) for name in late], axis=0) - chance
    above = float(np.mean(surface[1:] > RATIO * last[1:]))
    return Ratio(float(surface[0]), float(last[0]), float(surface[0] / max(last[0], 1e-6)), above)


def _squared(a: NDArray, b: NDArray, one: NDArray, two: NDArray) -> NDArray[np.float64]:
    """(draws, d) squared differences of means in variances within a set, for (draws, n) counts of the rows."""
    middle = np.concatenate([a, b]).mean(0, dtype=np.float64)
    moments = []
    for x, count in ((a - middle, one), (b - middle, two)):
        mean = count @ x / len(x)
        moments.append((mean, (count @ x**2 / len(x) - mean**2) * len(x) / (len(x) - 1)))
    within = (moments[0][1] + moments[1][1]) / 2
    moves = within > 1e-18
    return np.where(moves, (moments[0][0] - moments[1][0]) ** 2 / np.where(moves, within, 1), 0)


def effects(source: NDArray, target: NDArray) -> NDArray[np.float64]:
    """(d,) differences of the means of (n, d) and (m, d), in deviations within a set; 0 for constant columns."""
    a, b = source.astype(np.float64), target.astype(np.float64)
    within = np.sqrt((a.var(0, ddof=1) + b.var(0, ddof=1)) / 2)
    moved = b.mean(0) - a.mean(0)
    return np.where(within > 1e-9, moved / np.maximum(within, 1e-9), 0.0)


def _labels_differ(strata: Strata, seed: int, permutations: int) -> float | None:
    """p of the classes where they are known, else of what heads answer; None where neither is."""
    if strata.target is not None:
        return differ(strata.source, strata.target, len(strata.shares), seed=seed, permutations=permutations)
    if strata.answers is None:
        return None
    return answers_differ(*strata.answers, seed=seed, permutations=permutations)


def _take(layers: Layers, rows: NDArray) -> dict[str, NDArray]:
    return {name: values[rows] for name, values in layers.items()}


def _drawn(y: NDArray, wanted: NDArray, draw: np.random.Generator) -> NDArray[np.int64]:
    rows = [draw.permutation(np.flatnonzero(y == k))[:many] for k, many in enumerate(wanted)]
    return np.concatenate(rows) if rows else np.zeros(0, np.int64)
