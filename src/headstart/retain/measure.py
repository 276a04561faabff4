"""How much of what was known is left: alike inside, alike in the answers, and right as often as before."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv

from headstart.errors import DataError

TASKS = ("classes", "labels", "numbers")


def cka(x: NDArray, y: NDArray) -> float:
    """Linear centred kernel alignment of two sets of features of the same rows, 0..1.

    |Y'X|^2 / (|X'X| |Y'Y|) of centred features, in Frobenius norms; the same number through the rows' inner products
    where there are fewer rows than features. Rotations and a common scale of either side change nothing. Few rows
    overstate it: of noise it is about d / (n + d).

    Args:
        x: (n, d) features before; y: (n, e) features after.

    Returns:
        1 for features that are alike up to rotation and scale, 0 for none in common.

    Raises:
        DataError: other rows on one side, fewer than two, or features that are the same in all rows.

    Reference:
        Kornblith et al., 2019, arXiv:1905.00414, equation 4 and section 3.
    """
    if x.ndim != 2 or y.ndim != 2 or len(x) != len(y) or len(x) < 2:
        raise DataError(f"features of shapes {x.shape} and {y.shape} were given; give (n, d) and (n, e), n at least 2.")
    a, b = (part.astype(np.float64) - part.mean(0, dtype=np.float64) for part in (x, y))
    if not a.any() or not b.any():
        raise DataError("features are the same in all rows of one side; their alignment is not defined.")
    a, b = a / np.abs(a).max(), b / np.abs(b).max()  # squares of squares would overflow
    if len(a) < max(a.shape[1], b.shape[1]):
        one, other = a @ a.T, b @ b.T
        common = (one * other).sum()
    else:
        one, other = a.T @ a, b.T @ b
        common = ((b.T @ a) ** 2).sum()
    return float(common / (np.linalg.norm(one) * np.linalg.norm(other)))


def agreement(before: NDArray, after: NDArray, task: str, *, yes: float = 0.5) -> float:
    """How far two answers to the same rows agree, at most 1.

    Args:
        before, after: (n, c) scores or probabilities, or numbers.
        task: classes, labels or numbers.
        yes: what a label's answer must exceed to be a yes: 0.5 for probabilities, 0 for scores.

    Returns:
        Classes: share of rows with the same first class. Labels: share of the same single yes or no. Numbers: the
        share of the variance of the answers before that those after tell, mean over columns (a correlation would not
        see answers that have all moved); below 0 where their mean would tell more; a column that does not vary
        counts 1 if it is unchanged and else 0.

    Raises:
        DataError: shapes that differ, no rows, or a task that is not one.
    """
    one, other = _pair(before, after, task)
    if task == "classes":
        return float((one.argmax(1) == other.argmax(1)).mean())
    if task == "labels":
        return float(((one > yes) == (other > yes)).mean())
    rest, spread = ((other - one) ** 2).sum(0), ((one - one.mean(0)) ** 2).sum(0)
    told = 1 - rest / np.where(spread > 0, spread, 1)
    return float(np.where(spread > 0, told, rest == 0).mean())


def right(out: NDArray, y: NDArray, task: str, *, yes: float = 0.5) -> NDArray[np.float64]:
    """(n,) how right each row is answered, 0..1.

    Classes: 1 where the first class is the right one. Labels: share of the labels. Numbers: 1 less the squared error
    over the variance of the target, not below 0, mean over targets; the mean over rows is the coefficient of
    determination where no error is beyond one standard deviation.

    Args:
        out: (n, c) answers.
        y: classes (n,), labels (n, c) of 0 and 1, or numbers (n, t).
        task: classes, labels or numbers.
        yes: as of `agreement`.

    Raises:
        DataError: as many answers as targets are needed, and a task that is one.
    """
    out, y = np.asarray(out, np.float64), np.asarray(y)
    if task == "classes":
        _pair(out[:, 0], y, task)
        return (out.argmax(1) == y).astype(np.float64)
    one, other = _pair(out, y.reshape(len(y), -1), task)
    if task == "labels":
        return ((one > yes) == (other > 0.5)).mean(1)
    spread = other.var(0)
    error = (one - other) ** 2 / np.where(spread > 0, spread, 1)
    return (1 - np.minimum(error, 1)).mean(1)


@dataclass(frozen=True)
class Lost:
    """How much less often rows are right after than before.

    Attributes:
        rows: that were answered twice.
        before, after: share of them that is right, 0..1.
        worse, better: how much was lost and won on the way: of classes the share of rows that were right before and
            are wrong after, and the other way round.
        low, high: of `value`, with the given confidence on both sides together.
        at_most: of `value`, with the given confidence on this side alone.
    """

    rows: int
    before: float
    after: float
    worse: float
    better: float
    low: float
    high: float
    at_most: float

    @property
    def value(self) -> float:
        """before - after, -1..1; below 0 where more was won than lost."""
        return self.worse - self.better


def lost(before: NDArray, after: NDArray, y: NDArray, task: str, *, yes: float = 0.5, confidence: float = 0.95) -> Lost:
    """How much was lost from one answer to the other on the same rows, with honest limits for few rows too.

    The limits come from those of the two discordant shares, Clopper's and Pearson's, joined by square-and-add with
    the correlation of the two (Newcombe's method 10 for paired shares, whose own limits are Wilson's; exact ones keep
    their word where discordant rows are rare). Without a discordant row the bound is that of the rule of three, about
    3 / n. A row that is partly right counts as that part of a row, which makes the limits wider than need be.

    Args:
        before, after: (n, c) answers to rows that neither learned from.
        y: targets, as of `right`.
        task: classes, labels or numbers.
        yes: as of `agreement`.
        confidence: of the limits, between 0 and 1.

    Raises:
        DataError: shapes that do not fit, no rows, or a confidence outside of 0..1.

    Reference:
        Newcombe, 1998, Statistics in Medicine 17:2635-2650; Clopper and Pearson, 1934, Biometrika 26:404-413.
    """
    if not 0 < confidence < 1:
        raise DataError(f"confidence={confidence} is not between 0 and 1; 0.95 is usual.")
    one, other = right(before, y, task, yes=yes), right(after, y, task, yes=yes)
    gap = one - other
    worse, better = float(np.maximum(gap, 0).mean()), float(np.maximum(-gap, 0).mean())
    half = (1 - confidence) / 2
    return Lost(
        len(gap),
        float(one.mean()),
        float(other.mean()),
        worse,
        better,
        -_at_most(better, worse, len(gap), half),
        _at_most(worse, better, len(gap), half),
        _at_most(worse, better, len(gap), 1 - confidence),
    )


def _at_most(p: float, q: float, n: int, alpha: float) -> float:
    """Upper limit of p - q, shares of the same n rows that exclude each other, wrong with a chance of alpha."""
    up = _clopper(p, n, alpha) - p
    down = q - (1 - _clopper(1 - q, n, alpha))
    apart = math.sqrt(p * q / ((1 - p) * (1 - q))) if p < 1 and q < 1 else 0.0  # less their correlation
    return min(1.0, p - q + math.sqrt(up * up + down * down + 2 * apart * up * down))


def _clopper(p: float, n: int, alpha: float) -> float:
    """Upper limit of a share of which p was seen in n rows."""
    # the count may be broken where rows are partly right: the beta distribution does not mind
    return 1.0 if p >= 1 else float(betaincinv(n * p + 1, n * (1 - p), 1 - alpha))


def _pair(one: NDArray, other: NDArray, task: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if task not in TASKS:
        raise DataError(f"task {task!r} is unknown; use one of {', '.join(TASKS)}.")
    if one.shape != other.shape or not len(one):
        raise DataError(
            f"shapes {one.shape} and {other.shape} were given; give answers to the same rows, at least one."
        )
    return np.asarray(one, np.float64), np.asarray(other, np.float64)
