"""How often each class occurs in a target: counted, or estimated by a head that learned on the source."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headstart.errors import DataError
from headstart.heads.linear import fit_head, own_folds
from headstart.mismatch.label_shift import LabelShift, bbse, em

_FEW = 10  # classes, and rows of the rarest, that a confusion matrix can be measured with


@dataclass(frozen=True, eq=False)
class Answers:
    """What heads that learned on the source say of rows that they did not learn from.

    Attributes:
        source, target: (n, k) and (m, k) probabilities of the classes that have rows.
        classes: (k,) which these are, of 0..c-1.
        y: (n,) the true classes of the source rows, as positions in `classes`.
    """

    source: NDArray[np.float64]
    target: NDArray[np.float64]
    classes: NDArray[np.int64]
    y: NDArray[np.int64]


def crossed(source: NDArray, y: NDArray[np.int64], target: NDArray, *, seed: int, folds: int = 3) -> Answers:
    """Each source row answered by the head of the other folds, each target row by one of these heads, dealt by chance.

    A head answers rows of both sides that it has not seen: without a mismatch the two sides are alike.

    Args:
        source, target: (n, d) and (m, d) features.
        y: (n,) classes.
        seed: of the folds and of the heads of target rows.

    Raises:
        DataError: fewer than two classes of two rows.
    """
    classes, count = np.unique(y, return_counts=True)
    if np.sum(count > 1) < 2:
        raise DataError(f"{np.sum(count > 1)} class has two rows or more; give two rows of at least two classes.")
    place = np.searchsorted(classes, y)
    draw = np.random.default_rng([seed, 26])
    turn = draw.permutation(len(target)) % folds
    mine, theirs = (np.full((len(part), len(classes)), np.nan) for part in (source, target))
    for k, (learn, held) in enumerate(own_folds(place, seed, folds)):
        head = fit_head(source[learn], place[learn], task="classes", classes=len(classes), seed=seed).head
        mine[held], theirs[turn == k] = head.probabilities(source[held]), head.probabilities(target[turn == k])
    known = np.isfinite(mine[:, 0])  # the only row of a class is always learned from
    return Answers(mine, theirs, classes, place) if known.all() else _without(mine, theirs, classes, place, known)


def _without(mine: NDArray, theirs: NDArray, classes: NDArray, place: NDArray, known: NDArray) -> Answers:
    """Rows that no head has not seen get the mean of all answers: nothing is said by them."""
    return Answers(np.where(known[:, None], mine, mine[known].mean(0)), theirs, classes, place)


def estimated(answers: Answers, c: int, *, seed: int) -> LabelShift:
    """Shares of the classes among target rows without labels.

    By the confusion matrix where there are few classes of many rows (`bbse`), else by likelihood (`em`). Both take it
    that only the shares have changed: where more has, the estimate is of no use, and `kind_of` finds that out.

    Args:
        answers: of heads that learned on the source.
        c: classes; those without source rows get the share 0.
        seed: of the bootstrap.
    """
    count = np.bincount(answers.y)
    found: LabelShift | None = None
    if len(count) <= _FEW <= count.min():
        try:
            found = bbse(answers.source, answers.y, answers.target, seed=seed)
        except DataError:  # classes that the head takes for each other: likelihood still tells their sum
            found = None
    found = found or em(count / len(answers.y), answers.target, seed=seed)
    parts = (found.proportions, found.low, found.high, found.weights)
    return LabelShift(*(_spread(part, answers.classes, c) for part in parts))


def differ(
    source: NDArray[np.int64], target: NDArray[np.int64], c: int, *, seed: int, permutations: int = 500
) -> float:
    """p of counted shares that differ: rows dealt anew to the two sides are as far apart, by chi square.

    Args:
        source, target: (n,) and (m,) classes in 0..c-1.
    """
    counts = np.stack([np.bincount(part, minlength=c) for part in (source, target)]).astype(np.int64)
    total = counts.sum(0)
    draw = np.random.default_rng([seed, 20])
    dealt = draw.multivariate_hypergeometric(total, len(source), size=permutations)
    expected = np.maximum(total * len(source) / total.sum(), 1e-12)
    # with the totals given, the source's half of chi square decides
    far = [np.sum((part - expected) ** 2 / expected / np.maximum(1 - len(source) / total.sum(), 1e-12), axis=-1)
           for part in (counts[0], dealt)]  # fmt: skip
    return float((1 + np.sum(far[1] >= far[0] - 1e-9)) / (permutations + 1))


def answers_differ(source: NDArray, target: NDArray, *, seed: int, permutations: int = 500) -> float:
    """p that heads answer otherwise on the two sides: rows dealt anew have mean answers as far apart.

    Args:
        source, target: (n, k) and (m, k) probabilities, as `crossed` gives them.
    """
    both = np.concatenate([source, target])
    z = (both - both.mean(0)) / np.maximum(both.std(0), 1e-9)
    draw = np.random.default_rng([seed, 27])
    side = np.repeat([1.0 / len(source), -1.0 / len(target)], [len(source), len(target)])
    dealt = np.stack([side, *(draw.permutation(side) for _ in range(permutations))])
    far = np.sum((dealt @ z) ** 2, axis=1)
    return float((1 + np.sum(far[1:] >= far[0] - 1e-12)) / (permutations + 1))


def _spread(values: NDArray, there: NDArray, c: int) -> NDArray[np.float64]:
    out = np.zeros(c)
    out[there] = values
    return out
