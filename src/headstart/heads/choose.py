"""Which strength of a head the folds ask for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headstart.heads import metrics
from headstart.heads.logistic import sigmoid, softmax
from headstart.heads.paths import Folds, Path, weights_of
from headstart.heads.temperature import temperature

_GAIN, _NATS = 0.005, 0.0005  # losses nearer than this are alike: half a percent, and a little for those near 0
_PATIENCE = 2  # strengths in a row without gain, after which weaker ones are not tried


@dataclass(frozen=True, eq=False)
class Trial:
    """One strength, as the folds see it.

    Attributes:
        strength: of the penalty.
        scores: per fold (tested rows, c).
        temperature: at which the scores of all folds have the least log loss; 1 for numbers.
        loss: that log loss in nats; for numbers the mean squared error over each target's variance.
        values: (folds,) the metric of each.
    """

    strength: float
    scores: tuple[NDArray, ...]
    temperature: float
    loss: float
    values: NDArray[np.float64]

    @property
    def value(self) -> float:
        """The metric, mean over the folds where it is defined."""
        known = self.values[np.isfinite(self.values)]
        return float(known.mean()) if len(known) else float("nan")


def trials(path: Path, y: NDArray, folds: Folds, *, task: str, metric: str, c: int, balance: bool) -> list[Trial]:
    """Strengths from strong to weak, until two in a row have not lowered the loss by half a percent.

    With fewer rows than features the loss hardly changes below some strength: the strongest of a plateau is meant.
    """
    found: list[Trial] = []
    best = 0
    for place, strength in enumerate(path.strengths):
        found.append(_trial(path, strength, y, folds, task, metric, c, balance))
        if place == 0 or found[-1].loss < found[best].loss * (1 - _GAIN) - _NATS:
            best = place
        elif place - best >= _PATIENCE:
            break
    return found


def choose(found: list[Trial], metric: str) -> Trial:
    """The strongest of the trials whose log loss is within half a percent of the least, the metric agreeing.

    Accuracy and its like move in steps of a row and pick strengths by luck; the log loss after temperature scaling
    uses every row's margin and, unlike the raw log loss, does not ask a strength to be calibrated as well. The
    metric has a veto: trials that the folds show more than one standard error below its best are left out.

    Reference:
        Berta et al., 2025, arXiv:2501.19195 (choose by what remains after calibration).
    """
    if not np.isfinite([trial.loss for trial in found]).all():  # too few rows to tell: the strongest
        return found[0]
    sign = 1.0 if metrics.higher_is_better(metric) else -1.0
    values = np.array([sign * trial.value for trial in found])
    if np.isfinite(values).any():
        top = found[int(np.nanargmax(values))]
        found = [trial for trial in found if not _worse(trial, top, sign)]
    least = min(trial.loss for trial in found)
    return next(trial for trial in found if trial.loss <= least * (1 + _GAIN) + _NATS)


def _worse(trial: Trial, top: Trial, sign: float) -> bool:
    """Whether the paired folds show `trial` more than one standard error below `top`; one fold shows nothing."""
    lost = sign * (top.values - trial.values)
    lost = lost[np.isfinite(lost)]
    return bool(len(lost) > 1 and lost.mean() > lost.std(ddof=1) / np.sqrt(len(lost)))


def _trial(
    path: Path, strength: float, y: NDArray, folds: Folds, task: str, metric: str, c: int, balance: bool
) -> Trial:
    scores = path.held_out(strength)
    if task == "numbers":
        spread = np.maximum(y.var(0), 1e-300)
        errors = np.concatenate([(out - y[test]) ** 2 for out, (_, test) in zip(scores, folds, strict=True)])
        values = [metrics.score(metric, out, y[test], task) for out, (_, test) in zip(scores, folds, strict=True)]
        return Trial(strength, tuple(scores), 1.0, float((errors / spread).mean()), np.array(values))
    t, loss = pooled_temperature(scores, y, folds, task, c, balance)
    values = [
        metrics.score(metric, sigmoid(out / t) if task == "labels" else softmax(out / t), y[test], task)
        for out, (_, test) in zip(scores, folds, strict=True)
    ]
    return Trial(strength, tuple(scores), t, loss, np.array(values))


def pooled_temperature(
    scores: list[NDArray], y: NDArray, folds: Folds, task: str, c: int, balance: bool
) -> tuple[float, float]:
    """Temperature and log loss of all folds' tested rows, but for those of a class that its fold never learned."""
    kept = []
    for out, (train, test) in zip(scores, folds, strict=True):
        known = np.isin(y[test], y[train]) if task == "classes" else np.ones(len(test), bool)
        kept.append((out[known], test[known]))
    rows = np.concatenate([test for _, test in kept])
    weight = weights_of(y, np.unique(rows), c, balance)[rows] if balance and len(rows) else None
    return temperature(np.concatenate([out for out, _ in kept]), y[rows], task, weight)
