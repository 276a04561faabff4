"""A new head beside the one that serves, on rows that neither learned from, and what it loses of what was known."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from headstart.adapt.probe import Ask
from headstart.heads import metrics
from headstart.heads.linear import Linear
from headstart.heads.moments import Moments
from headstart.heads.recall import Asking, recaller
from headstart.report.record import Also
from headstart.report.updated import Recall
from headstart.retain.kept import Sample

ENOUGH = 10  # judged rows of a class from which on it is judged by them, and not by an estimate
SURE = 0.8  # of the bootstrap's draws must not show the new head worse
_DRAWS = 1000


@dataclass(frozen=True, eq=False)
class Judged:
    """Two heads on the same rows.

    Attributes:
        y: (m,) classes, (m, c) labels with NaN where nobody asked, or (m, t) numbers.
        before, after: (m, c) answers; the head before gives 0 to what it does not know.
        groups: (m,) of rows that belong together; None where there are none.
        ask: task, metric and seed.
    """

    y: NDArray
    before: NDArray
    after: NDArray
    groups: NDArray | None
    ask: Ask

    def scores(self) -> tuple[Also, Also, Also, float]:
        """Scores before and after, the gain (above 0 is better), and the share of draws that do not show it worse."""
        ask, sign = self.ask, 1.0 if metrics.higher_is_better(self.ask.metric) else -1.0
        y, *both = self.asked()
        told = []
        for out in both:
            low, high = metrics.interval(ask.metric, out, y, ask.task, groups=self.groups, seed=ask.seed)
            told.append(Also(ask.metric, metrics.score(ask.metric, out, y, ask.task), low, high))
        old, new = (
            metrics.resampled(ask.metric, out, y, ask.task, groups=self.groups, seed=ask.seed, draws=_DRAWS)
            for out in both
        )
        gains = sign * (new - old)
        gains = gains[np.isfinite(gains)]
        low, high = np.percentile(gains, (2.5, 97.5)) if len(gains) else (float("nan"), float("nan"))
        gain = Also(ask.metric, sign * (told[1].value - told[0].value), float(low), float(high))
        return told[0], told[1], gain, float((gains >= -1e-12).mean()) if len(gains) else 0.0

    def asked(self) -> tuple[NDArray, NDArray, NDArray]:
        """Targets and answers before and after, without labels that the rows do not speak of."""
        if self.ask.task != "labels":
            return self.y, self.before, self.after
        there = np.isfinite(self.y).any(axis=0)
        return np.nan_to_num(self.y[:, there]), self.before[:, there], self.after[:, there]

    def counts(self, columns: int) -> NDArray[np.int64]:
        """(columns,) judged rows that speak of each."""
        return counted(self.y, self.ask.task, columns)


def counted(y: NDArray, task: str, columns: int) -> NDArray[np.int64]:
    """(columns,) rows that speak of each class, label or number."""
    if task == "classes":
        return np.bincount(y, minlength=columns)[:columns]
    return np.isfinite(y[:, :columns]).sum(axis=0)


def answers(head: Linear, x: NDArray, columns: int) -> NDArray[np.float64]:
    """(n, columns) probabilities or numbers, 0 for columns that the head does not have."""
    out = head.scores(x) if head.task == "numbers" else head.probabilities(x)
    return np.concatenate([out, np.zeros((len(out), columns - out.shape[1]))], axis=1)


@dataclass(frozen=True, eq=False)
class Past:
    """What was known before an update.

    Attributes:
        names: of its classes, labels or numbers, whose columns come first.
        head: that serves.
        moments: of its rows; None where none were kept.
        seed: of rows that are drawn.
        kept: some of its rows that no candidate learns from; None where none were.
    """

    names: tuple[str, ...]
    head: Linear
    moments: Moments | None
    seed: int
    kept: Sample | None = None

    @property
    def shares(self) -> NDArray[np.float64]:
        """(columns,) what each is of all that was known."""
        if self.moments is None or self.moments.task != "classes":
            return np.full(len(self.names), 1 / len(self.names))
        return self.moments.count / self.moments.count.sum()

    def cost(self, head: Linear, enough: NDArray[np.bool_]) -> float:
        """What a head loses of what has too few new rows to be judged by: on kept rows, else as estimated."""
        if self.moments is None or enough.all():
            return 0.0
        return float(np.nansum((self.shares * (self._before - self._ask(head)))[~enough]))

    @cached_property
    def _ask(self) -> Asking:
        """What a head would answer of the rows that are gone; NaN where nothing was kept of them."""
        if self.moments is None:
            return lambda head: np.full(len(self.names), np.nan)
        guess, kept, real = recaller(self.moments, seed=self.seed), self.kept, np.flatnonzero(self.judges)
        if kept is None or not len(real):
            return guess
        x = kept.x

        def ask(head: Linear) -> NDArray[np.float64]:
            found, out = guess(head), answers(head, x, head.weight.shape[1])
            found[real] = [_of_column(kept.y, out, kept.task, int(k)) for k in real]
            return found

        return ask

    @cached_property
    def judges(self) -> NDArray[np.int64]:
        """(columns,) kept rows that each is judged by in place of an estimate; 0 where they are too few."""
        columns = len(self.names)
        if self.kept is None:
            return np.zeros(columns, np.int64)
        rows = counted(self.kept.y, self.kept.task, columns)
        return np.where(rows >= ENOUGH, rows, 0)

    @cached_property
    def _before(self) -> NDArray[np.float64]:
        return self._ask(self.head)

    def recalls(self, head: Linear, judged: Judged) -> tuple[Recall, ...]:
        """How each is answered before and after: on rows where enough are new, or else were kept, else as estimated."""
        columns = len(self.names)
        rows, found = judged.counts(columns), []
        guess = np.stack([self._before, self._ask(head)])
        for k, (name, share) in enumerate(zip(self.names, self.shares, strict=True)):
            real = bool(rows[k] >= (ENOUGH if np.isfinite(guess[:, k]).all() else 1))
            task, both = judged.ask.task, (judged.before, judged.after)
            before, after = [_of_column(judged.y, out, task, k) for out in both] if real else guess[:, k]
            if np.isfinite([before, after]).all():
                judges = int(rows[k] if real else self.judges[k])
                kept = bool(judges) and not real
                found.append(Recall(name, float(before), float(after), judges, float(share), not judges, kept))
        return tuple(found)


def lost_of(recalls: tuple[Recall, ...]) -> float | None:
    """What is lost of what was known, each by its share; None where nothing can be told."""
    total = sum(each.share for each in recalls)
    return sum(each.share * (each.before - each.after) for each in recalls) / total if total else None


def _of_column(y: NDArray, out: NDArray, task: str, k: int) -> float:
    """Share right, or R², of one class, label or number."""
    if task == "classes":
        return float((out[y == k].argmax(1) == k).mean())
    if task == "labels":
        told = np.isfinite(y[:, k])
        return float(((out[told, k] >= 0.5) == y[told, k]).mean())
    return metrics.score("r2", out[:, [k]], y[:, [k]], "numbers")


def decided(gain: Also, sure: float, lost: float | None, limit: float, task: str) -> tuple[bool, str]:
    """Whether a new head takes over, and why, as the part of a sentence.

    It does where the judged rows show it better, at least 4 of 5 draws of other such rows do not show it worse, and it
    loses no more of what was known than is allowed.
    """
    if not gain.value > 0:
        return False, "it is not better on the rows that it was judged on"
    if sure < SURE:
        return False, f"the gain may be chance: {100 * (1 - sure):.0f} of 100 draws of such rows show it worse"
    if lost is not None and lost > limit:
        unit = (
            (f"{lost:.3g} of R²", f"{limit:g}")
            if task == "numbers"
            else (f"{100 * lost:.1f} points", f"{100 * limit:g}")
        )
        return False, f"it would lose {unit[0]} of what was known, where {unit[1]} are allowed (--forget-at-most)"
    kept = "" if lost is None else " and loses no more of what was known than is allowed"
    return True, f"it is better on rows that neither learned from{kept}"
