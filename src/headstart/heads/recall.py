"""What a head would say of rows that are gone, from their moments alone: an estimate of what it forgets."""

from __future__ import annotations

from collections.abc import Callable
from math import erf

import numpy as np
from numpy.typing import NDArray

from headstart.heads.continual import pseudo
from headstart.heads.linear import Linear
from headstart.heads.moments import Moments

MEASURES = {"classes": "share answered right", "labels": "share of yes and no answered right", "numbers": "R²"}
_ROWS, _MOST, _LEAST = 300, 6000, 20  # drawn of each class, and of all; of each at least

Asking = Callable[[Linear], NDArray[np.float64]]


def recalled(head: Linear, moments: Moments, *, seed: int = 0) -> NDArray[np.float64]:
    """As `recaller`, for one head."""
    return recaller(moments, seed=seed)(head)


def recaller(moments: Moments, *, seed: int = 0) -> Asking:
    """What tells how well a head answers rows that lie as the moments say, for each of their columns.

    Classes are asked about rows that are drawn (`continual.pseudo`). Of a label, whose scores are Gaussian where the
    features are, it follows from two means and a variance; of numbers from the second moments, whatever the
    distribution. The limit that a head sets to its features is left out in both.

    Args:
        moments: of the rows.
        seed: of the draws, which are the same for every head.

    Returns:
        Head of the same task -> (columns,) as `MEASURES` words it, at most 1; NaN for columns that the moments know
        nothing of. Columns of a head beyond those of the moments may only draw answers away.
    """
    if moments.task == "classes":
        return _asking(moments, seed)
    ask = _yes_no if moments.task == "labels" else _explained
    return lambda head: np.where(moments.known, ask(head, moments), np.nan)


def _asking(moments: Moments, seed: int) -> Asking:
    rows = min(_ROWS, max(_LEAST, _MOST // max(1, int(moments.known.sum()))))
    x, y = pseudo(moments, rows, seed=seed)

    def ask(head: Linear) -> NDArray[np.float64]:
        right = np.bincount(y[head.scores(x).argmax(1) == y], minlength=moments.columns)
        return np.where(moments.known, right / rows, np.nan)

    return ask


def _yes_no(head: Linear, moments: Moments) -> NDArray[np.float64]:
    """p P(score > 0 | yes) + (1 - p) P(score < 0 | no), each label's own variance by the rank-one difference."""
    c, count = moments.columns, moments.count
    weight = (head.weight / head.scale[:, None])[:, :c]
    means = moments.origin + moments.sums / np.maximum(count, 1e-12)[..., None]  # (2, c, d) of yes and no
    scores = np.einsum("kcd,dc->kc", means - head.mean, weight) + head.bias[:c]
    p = count[0] / np.maximum(count.sum(0), 1e-12)
    both = (p > 0) & (p < 1)
    spread = np.einsum("dc,dc->c", weight, moments.within @ weight) / moments.rows
    spread -= np.where(both, p * (1 - p) * (scores[0] - scores[1]) ** 2, 0)
    sure = scores / np.sqrt(np.maximum(spread, 1e-12))
    return p * _below(sure[0]) + (1 - p) * _below(-sure[1])


def _below(z: NDArray) -> NDArray[np.float64]:
    """Share of a standard normal distribution below z."""
    return np.array([0.5 + erf(each / 2**0.5) / 2 for each in z])


def _explained(head: Linear, moments: Moments) -> NDArray[np.float64]:
    """1 - E(answer - truth)² / variance of the truth; both are linear in a row with its targets behind."""
    d, t = moments.width, moments.targets
    error = np.concatenate([head.weight / head.scale[:, None], -np.eye(t)]).astype(np.float64)
    mean = (moments.centre[:d] - head.mean) @ error[:d] + head.bias - moments.centre[d:]
    square = np.einsum("wt,wt->t", error, moments.within @ error) / moments.rows + mean**2
    return 1 - square / np.maximum(moments.spread[d:], 1e-12)
