"""Linear heads on pooled features: logistic regression, shrinkage discriminants and ridge, with honest numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headstart.errors import DataError
from headstart.heads import metrics
from headstart.heads.choose import Trial, choose, trials
from headstart.heads.logistic import sigmoid, softmax
from headstart.heads.paths import DiscriminantPath, Folds, LogisticPath, Path, RidgePath
from headstart.heads.space import LIMIT, Space, space_of

_LOGISTIC_AT_MOST = 1.5e12  # multiplications beyond which logistic regression is left out
_DISCRIMINANT_AT_MOST = 1e11  # and beyond which no discriminant competes with it
_ROWS = 4096  # standardised at a time
_NAMES = ("mean", "scale", "weight", "bias", "temperature", "limit")


@dataclass(frozen=True, eq=False)
class Linear:
    """scores = clip((x - mean) / scale, -limit, limit) @ weight + bias.

    Attributes:
        mean, scale: (d,) of the features as they come; scale is above 0.
        weight: (d, c).
        bias: (c,).
        temperature: that scores are divided by to make probabilities, above 0.
        task: classes, labels or numbers.
        limit: deviations beyond which a value counts no more, above 0.
    """

    mean: NDArray
    scale: NDArray
    weight: NDArray
    bias: NDArray
    temperature: float
    task: str
    limit: float = LIMIT

    def scores(self, x: NDArray) -> NDArray[np.float64]:
        """(n, c) logits, or numbers in their own units.

        Raises:
            DataError: features of another width.
        """
        if x.ndim != 2 or x.shape[1] != len(self.mean):
            raise DataError(
                f"the features have the shape {x.shape} and this head reads (rows, {len(self.mean)}); "
                "give the features it was fitted on."
            )
        # the mean is taken off before the product: with large offsets the other order loses all digits
        out = np.empty((len(x), self.weight.shape[1]))
        for start in range(0, len(x), _ROWS):
            z = (x[start : start + _ROWS] - self.mean) / self.scale
            out[start : start + _ROWS] = np.clip(z, -self.limit, self.limit, out=z) @ self.weight
        return out + self.bias

    def probabilities(self, x: NDArray) -> NDArray[np.float64]:
        """(n, c) in 0..1: of each class, rows sum to 1; or of each label.

        Raises:
            DataError: a head for numbers, which has none.
        """
        if self.task == "numbers":
            raise DataError("a head for numbers has no probabilities; use scores, which are the numbers themselves.")
        hot = self.scores(x) / self.temperature
        return sigmoid(hot) if self.task == "labels" else softmax(hot)

    def arrays(self) -> dict[str, NDArray]:
        """All that `from_arrays` needs beside the task, under names that begin with `head.`."""
        return {f"head.{name}": np.atleast_1d(np.asarray(getattr(self, name))) for name in _NAMES}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray], task: str) -> Linear:
        """The head that `arrays` gave; other names are ignored.

        Raises:
            DataError: a part is missing.
        """
        missing = [f"head.{name}" for name in _NAMES if f"head.{name}" not in arrays]
        if missing:
            raise DataError(f"the stored head lacks {', '.join(missing)}; fit it again.")
        mean, scale, weight, bias, *rest = (arrays[f"head.{name}"] for name in _NAMES)
        temperature, limit = (float(np.asarray(value).reshape(-1)[0]) for value in rest)
        return cls(mean, scale, weight, bias, temperature, task, limit)


@dataclass(frozen=True, eq=False)
class Fitted:
    """A head and how it did on rows it had not seen.

    Attributes:
        head: of all rows.
        strength: of its penalty: for logistic and ridge against the mean loss, for discriminant the shrinkage 0..1.
        path: (strength, mean of the metric over the folds) of all that was tried.
        kind: logistic, discriminant or ridge.
        out_of_fold: (n, c) scores of each row by the fold models of this strength, mean over repeated folds;
            NaN where a row is in no tested part.
        cv_score: of the metric at this strength, mean over the folds.
    """

    head: Linear
    strength: float
    path: tuple[tuple[float, float], ...]
    kind: str
    out_of_fold: NDArray[np.float64]
    cv_score: float


def fit_head(
    x: NDArray,
    y: NDArray,
    *,
    task: str,
    folds: Folds = (),
    balance: bool = False,
    metric: str | None = None,
    seed: int = 0,
    classes: int | None = None,
    kind: str | None = None,
) -> Fitted:
    """A linear head whose strength the folds choose.

    Classes and labels: logistic regression and shrinkage discriminants compete on the same folds; where one of them
    would take long, the other stands alone. Numbers: ridge. Strength and family are those of least log loss after
    temperature scaling (for numbers of least squared error), the metric having a veto: see `choose`.
    Without folds, three are drawn and only the quicker family is tried.

    Features are standardised by all rows given: their means hold no labels, and the folds can share one rotation.

    Args:
        x: (n, d) features, finite.
        y: classes (n,) int64, labels (n, c) of 0 and 1, numbers (n, t).
        task: classes, labels or numbers.
        folds: (positions to learn from, positions to test on), any number of times over the rows.
        balance: whether classes (for each label yes and no) weigh the same in loss and calibration.
        metric: a name of `metrics.suited(task)`; None takes the default of the task.
        seed: of the folds that are drawn where none are given.
        classes: columns of the head, for rows that may lack the last classes; None takes the largest class + 1.
            A class without rows scores about -10,000.
        kind: logistic or discriminant, to have that alone; None chooses.

    Raises:
        DataError: shapes that do not fit, values that are not finite, a metric of another task.
    """
    metric = metric or metrics.default_metric(task)
    y, c = _targets(y, task, classes, len(x))
    if metric not in metrics.suited(task):
        raise DataError(f"metric {metric!r} does not suit {task}; use one of {', '.join(metrics.suited(task))}.")
    if kind not in (None, "logistic", "discriminant"):
        raise DataError(f"kind {kind!r} is unknown; use logistic, discriminant or None.")
    space = space_of(x, c)
    del x  # with many rows the features and their standardised copy would not fit into memory side by side
    parts = folds or own_folds(y, seed)
    families = _families(space, y, parts, task, c, balance, kind)
    if not folds:
        families = families[-1:]  # the quicker one
    tried = [trials(f, y, parts, task=task, metric=metric, c=c, balance=balance) for f in families]
    chosen = [choose(found, metric) for found in tried]
    best = int(np.argmin([trial.loss for trial in chosen]))
    trial, family = chosen[best], families[best]
    head = _head(space, family, trial.strength, trial.temperature, task)
    path = tuple((each.strength, each.value) for each in tried[best])
    return Fitted(head, trial.strength, path, family.kind, _pooled(trial, parts, len(y), c), trial.value)


def own_folds(y: NDArray, seed: int, count: int = 3) -> tuple[tuple[NDArray[np.int64], NDArray[np.int64]], ...]:
    """`count` folds of shuffled rows, with classes in proportion; a class of one row is always learned from.

    Where no row can be left out, one fold that tests on the rows it learned from.
    """
    order = np.random.default_rng([seed, len(y)]).permutation(len(y))
    if y.ndim == 1:
        order = order[np.argsort(y[order], kind="stable")]
    fold = np.empty(len(y), np.int64)
    fold[order] = np.arange(len(y)) % count
    if y.ndim == 1:
        fold[(np.bincount(y) == 1)[y]] = -1
    folds = [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(count)]
    every = np.arange(len(y))
    return tuple((train, test) for train, test in folds if len(train) and len(test)) or ((every, every),)


def _families(space: Space, y: NDArray, folds: Folds, task: str, c: int, balance: bool, kind: str | None) -> list[Path]:
    """The families that compete, the quicker one last."""
    if task == "numbers":
        return [RidgePath(space, y, folds)]
    both: list[Path] = [LogisticPath(space, y, folds, c, balance), DiscriminantPath(space, y, folds, c, balance)]
    if kind is not None:
        return [family for family in both if family.kind == kind]
    n, r = space.u.shape
    if c == 1 or 400.0 * n * r * c * len(folds) > _LOGISTIC_AT_MOST:
        return both[1:]
    return both if (2.0 * r**3 + n * r**2) * len(folds) < _DISCRIMINANT_AT_MOST else both[:1]


def _head(space: Space, family: Path, strength: float, temperature: float, task: str) -> Linear:
    weight, bias = family.final(strength)
    lifted = space.lift(weight.astype(space.u.dtype)).astype(np.float32)
    return Linear(space.mean, space.scale, lifted, bias.astype(np.float64), temperature, task)


def _pooled(trial: Trial, folds: Folds, n: int, c: int) -> NDArray[np.float64]:
    total, count = np.zeros((n, c)), np.zeros((n, 1))
    for out, (_, test) in zip(trial.scores, folds, strict=True):
        total[test] += out
        count[test] += 1
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _targets(y: NDArray, task: str, classes: int | None, n: int) -> tuple[NDArray, int]:
    """Targets in the form of the task, and the columns of the head."""
    y = np.asarray(y)
    if len(y) != n:
        raise DataError(f"{n} rows of features and {len(y)} targets were given; give one target for each row.")
    if task == "classes":
        if y.ndim != 1 or not np.issubdtype(y.dtype, np.integer) or y.min() < 0:
            raise DataError(f"classes come as (n,) whole numbers from 0, not {y.dtype} of shape {y.shape}.")
        c = max(classes or 0, int(y.max()) + 1)
        if classes is not None and c > classes:
            raise DataError(f"class {c - 1} is among the targets and classes={classes}; give at least {c}.")
        return y.astype(np.int64), c
    y = y[:, None] if y.ndim == 1 else y
    if not np.isfinite(y).all():
        raise DataError("some targets are not finite numbers; drop those rows.")
    if task == "labels" and not ((y == 0) | (y == 1)).all():
        raise DataError("labels come as (n, c) of 0 and 1; give 1 where a label applies and 0 where it does not.")
    return y.astype(np.float64), y.shape[1]
