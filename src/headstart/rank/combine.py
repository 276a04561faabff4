"""Several estimates and blind priors taken together: weights learned on data sets whose outcome is known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headstart.errors import DataError

STRENGTHS = (1.0, 3.0, 10.0, 30.0, 100.0)

# (data set, data sets whose outcome must not be used) -> (networks, p) estimates, higher is better
Columns = Callable[[int, frozenset[int]], NDArray]


@dataclass(frozen=True)
class Weights:
    """What each estimate counts.

    Attributes:
        weights: (p,) of estimates that are standardised over the networks of a data set.
        strength: of the ridge penalty that was chosen.
    """

    weights: NDArray[np.float64]
    strength: float

    def of(self, columns: NDArray) -> NDArray[np.float64]:
        """(networks,) the combined estimate, in deviations of the outcome over networks.

        Args:
            columns: (networks, p) estimates, in the order in which the weights were learned.
        """
        return standardised(columns) @ self.weights


def standardised(columns: NDArray) -> NDArray[np.float64]:
    """(networks, p) each column less its mean, over its deviation; one that does not vary says nothing and is 0."""
    columns = np.asarray(columns, np.float64)
    deviation = columns.std(axis=0)
    varies = deviation > 1e-12 * np.abs(columns).max(axis=0, initial=1e-300)
    return np.where(varies, (columns - columns.mean(axis=0)) / np.where(varies, deviation, 1), 0)


def learn(
    sets: Sequence[int], columns: Columns, truth: Callable[[int], NDArray], strengths: Sequence[float] = STRENGTHS
) -> Weights:
    """Ridge regression of the outcome on the estimates, each standardised within its data set.

    The strength is that of least squared error on data sets left out one at a time; what is computed from outcomes,
    as a mean over other data sets is, never sees the one that is left out.

    Args:
        sets: data sets whose outcome is known.
        columns: estimates for a data set's networks, made without the outcomes of some data sets.
        truth: a data set -> (networks,) outcomes.
        strengths: penalties; a data set with n networks counts as n rows.

    Raises:
        DataError: fewer than two data sets.
    """
    if len(sets) < 2:
        raise DataError(f"{len(sets)} data sets with known outcomes were given; weights need at least 2.")
    errors = np.zeros(len(strengths))
    for left in sets:
        rest = [other for other in sets if other != left]
        x, y = standardised(columns(left, frozenset({left}))), standardised(truth(left)[:, None])[:, 0]
        for place, strength in enumerate(strengths):
            errors[place] += float(((x @ _fit(rest, columns, truth, strength, frozenset({left})) - y) ** 2).sum())
    best = strengths[int(errors.argmin())]
    return Weights(_fit(sets, columns, truth, best, frozenset()), best)


def _fit(
    sets: Sequence[int], columns: Columns, truth: Callable[[int], NDArray], strength: float, without: frozenset[int]
) -> NDArray[np.float64]:
    x = np.concatenate([standardised(columns(each, without | {each})) for each in sets])
    y = np.concatenate([standardised(truth(each)[:, None])[:, 0] for each in sets])
    return np.asarray(np.linalg.solve(x.T @ x + strength * np.eye(x.shape[1]), x.T @ y), np.float64)
