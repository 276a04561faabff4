"""How well a held network suits labelled rows: what a head on its best layers would score on rows like them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headstart.adapt.probe import Ask, Folds, Outputs, Rung, held_out, look
from headstart.data.dataset import Dataset
from headstart.data.split import choice_folds, within
from headstart.heads import metrics
from headstart.heads.logistic import sigmoid, softmax

Rows = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Suits:
    """Answers of heads for rows that they did not learn from.

    Attributes:
        features: of the network.
        ask: task, metric and seed.
        rows: that were looked at.
        layers: single ones and joins, best first.
        tested: positions in the data of the rows that were answered; where folds are dealt anew, some come again.
        out: (tested, c) probabilities, or numbers.
    """

    features: Outputs
    ask: Ask
    rows: Rows
    layers: tuple[Rung, ...]
    tested: Rows
    out: NDArray

    @property
    def score(self) -> float:
        """The metric on all tested rows."""
        return metrics.score(self.ask.metric, self.out, self._y, self.ask.task)

    @property
    def interval(self) -> tuple[float, float]:
        """95 % of it for other rows, or other groups, of the kind."""
        return metrics.interval(
            self.ask.metric, self.out, self._y, self.ask.task, groups=self._units, seed=self.ask.seed
        )

    def draws(self, count: int) -> NDArray[np.float64]:
        """(count,) the metric on rows drawn with replacement, the same for all networks on the same rows."""
        return metrics.resampled(
            self.ask.metric, self.out, self._y, self.ask.task, groups=self._units, seed=self.ask.seed, draws=count
        )

    @property
    def _y(self) -> NDArray:
        return targets(self.features.data, self.tested)

    @property
    def _units(self) -> NDArray:
        """What is drawn as a whole: a group's rows, or all answers for one row."""
        groups = self.features.data.groups
        return self.tested if groups is None else groups[self.tested]


def suits(features: Outputs, rows: Rows, ask: Ask) -> Suits:
    """Every row answered by a head that did not learn from it, on layers that were chosen without it.

    The score of the best of many layers flatters: each fold is answered on the layers that the others call the best.

    Args:
        rows: of the data, which must have answers.
    """
    data = features.data
    folds = within(choice_folds(data, rows, seed=ask.seed), rows)
    y = targets(data, rows)
    layers = look(features, rows, y, folds, ask)
    scores = np.concatenate(_by_fold(features, rows, y, layers, folds, ask))
    return Suits(
        features, ask, rows, tuple(layers), rows[np.concatenate([b for _, b in folds])], _answers(scores, ask.task)
    )


def targets(data: Dataset, rows: Rows) -> NDArray:
    """Of these rows."""
    assert data.y is not None
    return data.y[rows]


def _by_fold(
    features: Outputs, rows: Rows, y: NDArray, layers: Sequence[Rung], folds: Folds, ask: Ask
) -> list[NDArray]:
    """Scores of each fold's tested rows."""
    sign = 1 if metrics.higher_is_better(ask.metric) else -1
    by_taps: dict[tuple[str, ...], list[NDArray]] = {}
    out = []
    for k in range(len(folds)):
        elsewhere = [sign * float(np.mean(np.delete(rung.scores, k))) for rung in layers]
        taps = layers[int(np.argmax(elsewhere)) if len(folds) > 1 else 0].taps
        if taps not in by_taps:
            by_taps[taps] = held_out(features.matrix(rows, taps), y, folds, ask)
        out.append(by_taps[taps][k])
    return out


def _answers(scores: NDArray, task: str) -> NDArray:
    if task == "numbers":
        return scores
    return softmax(scores) if task == "classes" else sigmoid(scores)
