"""Families of heads along a path of strengths: fold models for choosing, and the model of all rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from headstart.heads.closed import Discriminant, Ridge
from headstart.heads.logistic import ABSENT, Problems, minimise
from headstart.heads.space import Space

Folds = Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]]
Model = tuple[NDArray, NDArray]  # (r, c) weights in the space, (c,) biases


class Path(Protocol):
    """One family of heads.

    Attributes:
        kind: logistic, discriminant or ridge.
        strengths: from strong to weak; asked in this order.
    """

    kind: str
    strengths: tuple[float, ...]

    def held_out(self, strength: float) -> list[NDArray]:
        """Per fold the (tested rows, c) scores of the model that did not learn from them."""
        ...

    def final(self, strength: float) -> Model:
        """The model of all rows."""
        ...


def weights_of(y: NDArray, rows: NDArray[np.int64], c: int, balance: bool) -> NDArray:
    """Weight of each example in a mean over `rows`: (n,), or (n, c) for labels; 0 elsewhere, columns sum to 1.

    With balance, the classes in `rows` (of each label, yes and no) weigh the same.
    """
    out = np.zeros(y.shape)
    if not balance:
        out[rows] = 1 / len(rows)
        return out
    if y.ndim == 2:
        yes = y[rows].mean(0)
        out[rows] = np.where(y[rows] > 0, 1 / np.maximum(yes, 1e-12), 1 / np.maximum(1 - yes, 1e-12))
    else:
        count = np.bincount(y[rows], minlength=c)
        out[rows] = 1 / count[y[rows]]
    return out / out.sum(0)


class LogisticPath:
    """Logistic regression: multinomial for classes, one yes-or-no per label, all labels at the same strength.

    The penalty is strength/2 * squared weights against the mean loss in nats (scikit-learn's C = 1 / (n strength)).
    Of two classes the difference of their weights is penalised, as of a label's yes and no.
    """

    kind = "logistic"
    steps = (10.0, 2.5, 0.6, 0.15, 0.04, 0.01, 0.0025, 0.0006, 0.00015)  # for two classes

    def __init__(self, space: Space, y: NDArray, folds: Folds, c: int, balance: bool) -> None:
        self.space, self.y, self.folds, self.c, self.balance = space, y, folds, c, balance
        self.two = y.ndim == 1 and c == 2
        # a class with a c-th of the rows pulls, and bends, with a c-th of the force
        self.strengths = tuple(step * (2 / c if y.ndim == 1 else 1.0) for step in self.steps)
        self.problems = self._problems([train for train, _ in folds]) if folds else None
        self.at = self.problems.start() if self.problems else None

    def _problems(self, parts: Sequence[NDArray[np.int64]]) -> Problems:
        """One problem per part of the rows; for labels one per part and label, the label changing fastest."""
        u, kind = self.space.u, self.space.u.dtype
        weight = np.stack([weights_of(self.y, rows, self.c, self.balance).T for rows in parts])
        if self.y.ndim == 2:
            return Problems(u, np.tile(self.y.T, (len(parts), 1)).astype(kind), weight.reshape(-1, len(u)), 1)
        if self.two:
            return Problems(u, np.tile(self.y, (len(parts), 1)).astype(kind), weight, 1, lone=-2 * ABSENT)
        return Problems(u, self.y, weight, self.c)

    def _columns(self, values: NDArray, parts: int) -> NDArray:
        """(q, P, m) as (parts, m, c)."""
        if self.two:
            return np.stack([-values[0] / 2, values[0] / 2], axis=2)
        if self.y.ndim == 2:
            return values[0].reshape(parts, self.c, -1).transpose(0, 2, 1)
        return values.transpose(1, 2, 0)

    def held_out(self, strength: float) -> list[NDArray]:
        assert self.problems is not None
        assert self.at is not None
        # strengths that differ in the loss by less than these tolerances are taken for alike anyway
        near = 1e-4 if self.problems.q > 1 else 1e-5
        self.at = minimise(self.problems, strength, self.space.gram, self.at, tolerance=near)
        scores = self._columns(self.problems.scores(self.at), len(self.folds))
        return [scores[fold][test] for fold, (_, test) in enumerate(self.folds)]

    def final(self, strength: float) -> Model:
        problems = self._problems([np.arange(len(self.y))])
        tolerance = 1e-12 if self.space.u.dtype == np.float64 else 1e-7
        start = problems.start()
        if self.at is not None:  # the mean of the fold models is nearly there
            start = self.at.reshape(len(start), len(self.folds), *start.shape[1:]).mean(1)
        w = minimise(problems, strength, self.space.gram, start, tolerance=tolerance)
        model = self._columns(w, 1)[0]
        return model[:-1], model[-1] + self._columns(problems.floor[:, :, None], 1)[0, 0]


class DiscriminantPath:
    """Shrinkage discriminants; strength is the shrinkage in 0..1."""

    kind = "discriminant"
    strengths = (0.99, 0.95, 0.85, 0.7, 0.5, 0.3, 0.15, 0.06, 0.02)

    def __init__(self, space: Space, y: NDArray, folds: Folds, c: int, balance: bool) -> None:
        self.space, self.y, self.folds, self.c, self.balance = space, y, folds, c, balance
        self.models: list[Discriminant] = []

    def _model(self, rows: NDArray[np.int64]) -> Discriminant:
        weight = weights_of(self.y, rows, self.c, self.balance)[rows]
        return Discriminant(self.space.u[rows], self.y[rows], weight, self.c, len(self.space.mean))

    def held_out(self, strength: float) -> list[NDArray]:
        self.models = self.models or [self._model(train) for train, _ in self.folds]
        out = []
        for model, (_, test) in zip(self.models, self.folds, strict=True):
            weight, bias = model.shrunk(strength)
            out.append(self.space.u[test] @ weight.astype(self.space.u.dtype) + bias)
        return out

    def final(self, strength: float) -> Model:
        return self._model(np.arange(len(self.y))).shrunk(strength)


class RidgePath:
    """Ridge regression on targets in units of their own spread; strength/2 * squared weights against half the error."""

    kind = "ridge"
    strengths = (50.0, 10.0, 2.0, 0.4, 0.08, 0.016, 0.0032, 0.00064, 0.000128)

    def __init__(self, space: Space, y: NDArray, folds: Folds) -> None:
        self.space, self.folds = space, folds
        self.middle = y.mean(0)
        spread = y.std(0)
        self.spread = np.where(spread > 1e-12 * np.abs(self.middle), spread, 1.0)
        self.y = (y - self.middle) / self.spread
        self.models: list[Ridge] = []

    def held_out(self, strength: float) -> list[NDArray]:
        u, y = self.space.u, self.y
        self.models = self.models or [Ridge(u[train], y[train]) for train, _ in self.folds]
        out = []
        for model, (_, test) in zip(self.models, self.folds, strict=True):
            weight, bias = model.shrunk(strength)
            out.append((u[test] @ weight.astype(u.dtype) + bias) * self.spread + self.middle)
        return out

    def final(self, strength: float) -> Model:
        weight, bias = Ridge(self.space.u, self.y).shrunk(strength)
        return weight * self.spread, bias * self.spread + self.middle
