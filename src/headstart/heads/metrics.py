"""How good answers are, with an interval: the metrics by name, confusion and calibration."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headstart.errors import DataError
from headstart.heads import measures

_DEFAULT = {"classes": "accuracy", "labels": "micro_f1", "numbers": "r2"}
_CLASSES, _LABELS, _NUMBERS = (frozenset({task}) for task in _DEFAULT)
_Z = 1.959963984540054  # two-sided 95 % of the normal distribution
_T95 = (12.71, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)  # Student's t, two-sided, by freedom
_AT_ONCE = 2_000_000  # counts of a bootstrap held in memory

Of = Callable[[NDArray, NDArray, str, NDArray], NDArray]


@dataclass(frozen=True)
class Metric:
    """A way to score answers.

    Attributes:
        task: the tasks that it suits.
        higher: whether higher is better.
        words: what it is, for a person.
        of: (answers, targets, task, (k, n) weights of rows) -> (k,) values.
    """

    task: frozenset[str]
    higher: bool
    words: str
    of: Of


METRICS: Mapping[str, Metric] = {
    "accuracy": Metric(_CLASSES, True, "share of rows answered right", measures.accuracy),
    "balanced_accuracy": Metric(
        _CLASSES, True, "accuracy within a class, mean over classes", measures.balanced_accuracy
    ),
    "macro_f1": Metric(_CLASSES | _LABELS, True, "F1, mean over classes or labels", measures.macro_f1),
    "auc": Metric(_CLASSES | _LABELS, True, "area under the ROC curve", measures.auc),
    "log_loss": Metric(_CLASSES | _LABELS, False, "log loss in nats", measures.log_loss),
    "micro_f1": Metric(_LABELS, True, "F1 of all yes-or-no answers together", measures.micro_f1),
    "map": Metric(_LABELS, True, "average precision, mean over labels", measures.average_precision),
    "r2": Metric(_NUMBERS, True, "share of the variance explained", measures.r2),
    "mae": Metric(_NUMBERS, False, "mean absolute error", measures.mae),
    "rmse": Metric(_NUMBERS, False, "root of the mean squared error", measures.rmse),
    "spearman": Metric(_NUMBERS, True, "rank correlation", measures.spearman),
}


def default_metric(task: str) -> str:
    """What decides where nothing is said: accuracy, micro_f1 or r2.

    Raises:
        DataError: an unknown task.
    """
    if task not in _DEFAULT:
        raise DataError(f"task {task!r} is unknown; use one of {', '.join(_DEFAULT)}.")
    return _DEFAULT[task]


def suited(task: str) -> tuple[str, ...]:
    """Names of the metrics of a task, the default first."""
    first = default_metric(task)
    return (first, *(name for name, metric in METRICS.items() if task in metric.task and name != first))


def higher_is_better(metric: str) -> bool:
    """Whether a larger value of this metric is the better one.

    Raises:
        DataError: an unknown metric.
    """
    return _metric(metric).higher


def score(metric: str, out: NDArray, y: NDArray, task: str) -> float:
    """The metric of these answers.

    Args:
        metric: one of `suited(task)`.
        out: (n, c) probabilities for classes and labels, (n, t) numbers in their own units. Logits of classes do
            for what only looks at the largest (accuracy, balanced accuracy, F1); F1 of labels and log loss read
            probabilities.
        y: classes (n,) int, labels (n, c) of 0 and 1, numbers (n, t).
        task: classes, labels or numbers.

    Returns:
        The value; NaN where it is not defined, as AUC on rows of one class.

    Raises:
        DataError: an unknown metric, one of another task, or shapes that do not fit.
    """
    out, y = _checked(metric, out, y, task)
    return float(METRICS[metric].of(out, y, task, np.ones((1, len(y))))[0]) if len(y) else float("nan")


def decide(out: NDArray, task: str) -> NDArray:
    """Answers in the form of targets: (n,) int64 classes, (n, c) float32 labels (on from 1/2), numbers as they are."""
    if task == "classes":
        return out.argmax(1)
    return (out >= 0.5).astype(np.float32) if task == "labels" else out


def interval(
    metric: str,
    out: NDArray,
    y: NDArray,
    task: str,
    *,
    groups: NDArray | None = None,
    seed: int = 0,
    draws: int = 1000,
) -> tuple[float, float]:
    """95 % interval of the metric for other rows of the same kind: Wilson's for accuracy, else a bootstrap over rows.

    Draws on which the metric is not defined are left out; (NaN, NaN) where all are. Where all draws agree, as on a
    few rows that are all right, a share has Wilson's interval instead: a few rows are no certainty.

    Args:
        metric, out, y, task: as of `score`.
        groups: (n,) of rows that belong together, such as one patient's; whole groups are then drawn.
        seed: of the draws.
        draws: of the bootstrap.

    Reference:
        Wilson, 1927, doi:10.1080/01621459.1927.10502953; Efron, 1979, doi:10.1214/aos/1176344552 (percentiles);
        Davison and Hinkley, Bootstrap Methods and their Application, 1997, section 3.8 (groups).
    """
    out, y = _checked(metric, out, y, task)
    if not len(y):
        return float("nan"), float("nan")
    if metric == "accuracy" and groups is None:
        return wilson(int((out.argmax(1) == y).sum()), len(y))
    low, high = _middle(resampled(metric, out, y, task, groups=groups, seed=seed, draws=draws))
    units = len(y) if groups is None else len(np.unique(groups))
    if low == high and 0 <= low <= 1 and task != "numbers" and higher_is_better(metric):
        return wilson(round(low * units), units)
    return low, high


def resampled(
    metric: str,
    out: NDArray,
    y: NDArray,
    task: str,
    *,
    groups: NDArray | None = None,
    seed: int = 0,
    draws: int = 1000,
) -> NDArray[np.float64]:
    """(draws,) the metric on rows drawn with replacement; the same rows for all that have as many and the same seed.

    Args:
        metric, out, y, task, groups, seed, draws: as of `interval`.
    """
    out, y = _checked(metric, out, y, task)
    group = np.arange(len(y)) if groups is None else np.unique(groups, return_inverse=True)[1]
    units = int(group.max()) + 1
    return np.concatenate([METRICS[metric].of(out, y, task, w[:, group]) for w in _resampled(units, draws, seed)])


def wilson(right: int, n: int) -> tuple[float, float]:
    """95 % interval of a share seen as `right` of `n` > 0."""
    p, z = right / n, _Z
    half = z * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    middle = p + z * z / (2 * n)
    low, high = (middle - half) / (1 + z * z / n), (middle + half) / (1 + z * z / n)
    return (0.0 if right == 0 else float(low)), (1.0 if right == n else float(high))


def mean_interval(values: Sequence[float]) -> tuple[float, float, float] | tuple[float, None, None]:
    """Mean and its 95 % interval (Student's t); no interval with one value. Beyond 11 values it is a little wide."""
    mean, freedom = float(np.mean(values)), len(values) - 1
    if not freedom:
        return mean, None, None
    half = _T95[min(freedom, len(_T95)) - 1] * float(np.std(values, ddof=1)) / len(values) ** 0.5
    return mean, mean - half, mean + half


def paired_difference(
    metric: str, out_a: NDArray, out_b: NDArray, y: NDArray, task: str, seed: int = 0, draws: int = 1000
) -> tuple[float, float, float]:
    """The metric of a minus that of b on the same rows, and its 95 % interval by a bootstrap that keeps them paired.

    Args:
        metric, y, task: as of `score`.
        out_a, out_b: answers for the same rows.
        seed, draws: of the bootstrap.
    """
    if not len(y):
        return float("nan"), float("nan"), float("nan")
    a, b = (resampled(metric, out, y, task, seed=seed, draws=draws) for out in (out_a, out_b))
    return score(metric, out_a, y, task) - score(metric, out_b, y, task), *_middle(a - b)


def confusion(y: NDArray, predicted: NDArray, c: int) -> NDArray[np.int64]:
    """(c, c) counts, rows by truth, columns by answer."""
    return np.bincount(np.asarray(y) * c + np.asarray(predicted), minlength=c * c).reshape(c, c)


def calibration_bins(out: NDArray, y: NDArray, bins: int = 10) -> tuple[tuple[float, float, int], ...]:
    """(mean confidence, share right, rows) of equal steps of confidence from 0 to 1, empty ones left out.

    Args:
        out: (n, c) probabilities of classes; the confidence is the largest of a row.
        y: (n,) int classes.
        bins: steps; each includes its upper end.
    """
    sure, right = out.max(1), out.argmax(1) == y
    place = np.clip(np.ceil(sure * bins).astype(int) - 1, 0, bins - 1)
    found = []
    for step in range(bins):
        mine = place == step
        if mine.any():
            found.append((float(sure[mine].mean()), float(right[mine].mean()), int(mine.sum())))
    return tuple(found)


def ece(out: NDArray, y: NDArray, bins: int = 10) -> float:
    """Expected calibration error in 0..1: distance of confidence and share right, mean over rows of the bins.

    Reference:
        Guo et al., 2017, arXiv:1706.04599, equation 3.
    """
    return sum(count * abs(sure - right) for sure, right, count in calibration_bins(out, y, bins)) / max(len(y), 1)


def _metric(name: str) -> Metric:
    if name not in METRICS:
        raise DataError(f"metric {name!r} is unknown; use one of {', '.join(METRICS)}.")
    return METRICS[name]


def _checked(metric: str, out: NDArray, y: NDArray, task: str) -> tuple[NDArray, NDArray]:
    """Answers in float64 and targets, both with the rows first and, for numbers, two axes."""
    if task not in _metric(metric).task:
        raise DataError(f"metric {metric!r} does not suit {task}; use one of {', '.join(suited(task))}.")
    out, y = np.asarray(out, np.float64), np.asarray(y)
    if task == "numbers":
        out, y = out.reshape(len(out), -1), y.reshape(len(y), -1).astype(np.float64)
    if len(out) != len(y) or out.ndim != 2 or (task != "classes" and out.shape != y.shape):
        raise DataError(f"answers of shape {out.shape} and targets of shape {y.shape} do not fit; give one for each.")
    if task == "classes" and len(y) and not 0 <= y.min() <= y.max() < out.shape[1]:
        raise DataError(f"classes are {y.min()}..{y.max()} and there are answers for 0..{out.shape[1] - 1}; give all.")
    return out, y


def _resampled(n: int, draws: int, seed: int) -> Iterator[NDArray[np.float64]]:
    """How often each row comes up when n are drawn with replacement, a few draws (k, n) at a time."""
    draw = np.random.default_rng([seed, n, 3])
    some = max(1, _AT_ONCE // n)
    for start in range(0, draws, some):
        k = min(some, draws - start)
        drawn = draw.integers(n, size=(k, n)) + n * np.arange(k)[:, None]
        yield np.bincount(drawn.reshape(-1), minlength=k * n).reshape(k, n).astype(np.float64)


def _middle(values: NDArray) -> tuple[float, float]:
    known = values[np.isfinite(values)]
    if not len(known):
        return float("nan"), float("nan")
    low, high = np.percentile(known, (2.5, 97.5))
    return float(low), float(high)
