"""Whether it pays to go deeper: a tuned tail against the probe, on rows that neither learned from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headstart.adapt.probe import Ask
from headstart.heads import metrics

_WORTH = 0.005  # of the metric: less than this is not worth the time that a tuned network takes
_JUDGED = 1000  # rows that a rung is judged on, at most


@dataclass(frozen=True)
class Verdict:
    """What was seen of a rung on held-out rows, and what is to be expected of it.

    Attributes:
        gain: of the metric over the probe on the judged rows, above 0 is better.
        low, high: 95 % of it (paired bootstrap).
        rows: that were judged.
        expected: gain that is to be expected, what was seen and what is known of other data taken together.
        pays: whether to go there.
    """

    gain: float
    low: float
    high: float
    rows: int
    expected: float
    pays: bool

    @property
    def words(self) -> str:
        """One sentence, in points where the metric is a share."""
        return (
            f"{100 * self.gain:+.1f} points over the probe on {self.rows} held-out rows "
            f"(95 %: {100 * self.low:+.1f} to {100 * self.high:+.1f}), {100 * self.expected:+.1f} to be expected "
            "with what such a rung gained on other data"
        )


def verdict(ask: Ask, tuned: NDArray, probe: NDArray, y: NDArray, error: float, gain: tuple[float, float]) -> Verdict:
    """Weigh what the held-out rows say against what is known of such a rung.

    Both are taken as normal: the observed gain with its bootstrap error, and the gain on other data, which is a share
    of the probe's error. The rung pays when the mean of the posterior is above half a point; with few held-out rows
    what is known decides, with many what is seen.

    Args:
        tuned, probe: (m, c) probabilities or numbers for the same rows.
        y: their targets.
        error: of the probe: what is left to gain, in units of the metric.
        gain: mean and deviation of the share of that error which such a rung took away on other data.
    """
    sign = 1.0 if metrics.higher_is_better(ask.metric) else -1.0
    seen, low, high = (sign * v for v in metrics.paired_difference(ask.metric, tuned, probe, y, ask.task, ask.seed))
    low, high = min(low, high), max(low, high)
    noise = max((high - low) / 3.92, 1 / len(y) / 2)
    mean, deviation = gain[0] * error, max(gain[1] * error, 1e-6)
    if not np.isfinite(seen + noise):
        seen, noise = 0.0, 1e6
    weight = deviation**2 / (deviation**2 + noise**2)
    expected = float(weight * seen + (1 - weight) * mean)
    worth = _WORTH if metrics.higher_is_better(ask.metric) else _WORTH * error
    return Verdict(seen, low, high, len(y), expected, expected > worth)


def judged(n: int, folds_first: tuple[NDArray[np.int64], NDArray[np.int64]]) -> tuple[NDArray, NDArray]:
    """(rows to tune on, rows to judge on), positions: the first fold, with at most a fifth and 1,000 rows judged."""
    learn, test = folds_first
    most = min(_JUDGED, -(-n // 5))
    if len(test) <= most:
        return learn, test
    chosen = np.random.default_rng(n).permutation(len(test))
    kept, back = test[np.sort(chosen[:most])], test[chosen[most:]]
    return np.sort(np.concatenate([learn, back])), kept
