"""What holds for other examples of the same kind: means and shares with 95 % intervals."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headstart.errors import DataError

_AT_ONCE = 2_000_000  # counts of a bootstrap held in memory
_Z = 1.959963984540054  # two-sided 95 % of the normal distribution


@dataclass(frozen=True)
class Estimate:
    """A number for these examples, and where it lies for others of the same kind.

    Attributes:
        value: for these examples.
        low, high: ends of its 95 % interval; NaN where one example alone was drawn from.
        n: examples.
    """

    value: float
    low: float
    high: float
    n: int


def mean(values: Sequence[float] | NDArray, *, seed: int = 0, draws: int = 1000) -> Estimate:
    """Mean with the percentiles of a bootstrap; of differences of pairs it is the paired difference.

    Args:
        values: (n,) one number per example.
        seed, draws: of the bootstrap.

    Raises:
        DataError: no values, more than one axis, or a value that is no number.

    Reference:
        Efron, 1979, doi:10.1214/aos/1176344552.
    """
    column = finite(values, "values")
    return percentiles(
        float(column.mean()), resampled_sums(column[:, None], seed, draws)[:, 0] / len(column), len(column)
    )


def share(right: int, n: int) -> Estimate:
    """Share seen as `right` of `n`, with Wilson's interval.

    Raises:
        DataError: no examples, or more right ones than examples.

    Reference:
        Wilson, 1927, doi:10.1080/01621459.1927.10502953.
    """
    from scipy.stats import binomtest

    if not 0 <= right <= n or not n:
        raise DataError(f"{right} of {n} is no share; give a count between 0 and the number of examples, at least 1.")
    ends = binomtest(right, n).proportion_ci(method="wilson")
    return Estimate(right / n, float(ends.low), float(ends.high), n)


def share_lost(worse: int, better: int, n: int) -> Estimate:
    """Difference of two shares of the same examples, (worse - better) / n, with Tango's score interval.

    The interval holds every difference that a score test at 5 % does not reject, and has a width where nothing
    changed too: a bootstrap has none there.

    Args:
        worse: examples that were right before and are wrong after.
        better: the other way round.
        n: examples asked twice.

    Raises:
        DataError: no examples, or counts that do not fit into them.

    Reference:
        Tango, 1998, Statistics in Medicine 17:891-908.
    """
    if worse < 0 or better < 0 or not 1 <= max(worse + better, 1) <= n:
        raise DataError(
            f"{worse} lost and {better} won do not fit into {n} examples; give counts of the same examples."
        )
    seen = (worse - better) / n

    def beyond(gap: float, side: float) -> float:
        """Distance of what was seen from a true difference, less `side` standard errors under that difference."""
        b = (2 * n - worse + better) * gap - worse - better
        rest = (math.sqrt(max(b * b + 8 * n * better * gap * (1 - gap), 0.0)) - b) / (4 * n)
        return worse - better - n * gap - side * math.sqrt(max(n * (2 * rest + gap * (1 - gap)), 0.0))

    low = _crossing(lambda gap: beyond(gap, _Z), -1, seen)
    high = _crossing(lambda gap: beyond(gap, -_Z), seen, 1)
    return Estimate(seen, low, high, n)


def resampled_sums(columns: NDArray, seed: int, draws: int) -> NDArray[np.float64]:
    """(draws, k) sums over examples drawn with replacement; the same draws for all that have as many and the same seed.

    Args:
        columns: (n, k) numbers of each example.
        seed: of the draws.
        draws: at least 1.

    Raises:
        DataError: fewer than one draw.
    """
    if draws < 1:
        raise DataError(f"draws={draws} leaves nothing to take percentiles of; use 1000 or another number above 0.")
    n = len(columns)
    draw = np.random.default_rng([seed, n, 3])
    some = max(1, _AT_ONCE // n)
    parts = []
    for start in range(0, draws, some):
        k = min(some, draws - start)
        drawn = draw.integers(n, size=(k, n)) + n * np.arange(k)[:, None]
        parts.append(np.bincount(drawn.reshape(-1), minlength=k * n).reshape(k, n) @ columns)
    return np.concatenate(parts).astype(np.float64)


def percentiles(value: float, drawn: NDArray, n: int) -> Estimate:
    """The value with the 2.5 % and 97.5 % points of (draws,) values from n examples; NaN where n is 1."""
    low, high = np.percentile(drawn, (2.5, 97.5)) if n > 1 else (math.nan, math.nan)
    return Estimate(value, float(low), float(high), n)


def finite(values: Sequence[float] | NDArray, name: str) -> NDArray[np.float64]:
    """(n,) float64 of what was given.

    Raises:
        DataError: none, more than one axis, or a value that is no number.
    """
    column = np.asarray(values, np.float64)
    if column.ndim != 1 or not len(column):
        raise DataError(f"{name} have shape {column.shape}; give (n,), one number per example and at least one.")
    if not np.isfinite(column).all():
        at = int(np.flatnonzero(~np.isfinite(column))[0])
        raise DataError(f"{name} hold {column[at]} for example {at}; give finite numbers, or leave that example out.")
    return column


def _crossing(of: Callable[[float], float], low: float, high: float) -> float:
    """Where a function that falls from above 0 to below it crosses 0, by bisection."""
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if of(middle) > 0 else (low, middle)
    return (low + high) / 2
