"""How often each class occurs among rows without labels, where only the classes' shares have changed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from headstart.errors import DataError
from headstart.mismatch import checks

_LEAST = 1e-3  # of the confusion's smallest singular value: below, noise would be multiplied a thousand times
_STEPS = 2000


@dataclass(frozen=True, eq=False)
class LabelShift:
    """Shares of the classes in the target.

    Attributes:
        proportions: (c,) at least 0, summing to 1.
        low, high: (c,) 95 % interval of each, by bootstrap.
        weights: (c,) target share over source share: what a source row of the class counts in the target.
    """

    proportions: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    weights: NDArray[np.float64]


def bbse(held: ArrayLike, y: ArrayLike, target: ArrayLike, *, seed: int, draws: int = 200) -> LabelShift:
    """Shares of classes from how often each is answered and how often answers are wrong. Needs no calibration.

    The bootstrap draws held-out rows within their class, and target rows.

    Args:
        held: (n, c) probabilities of source rows that the classifier did not learn from.
        y: (n,) their classes, 0..c-1, each at least once.
        target: (m, c) probabilities of the rows without labels.
        seed: of the bootstrap.
        draws: of the bootstrap.

    Raises:
        DataError: probabilities or classes that do not fit, or a classifier that cannot tell some classes apart.

    Reference:
        Lipton et al., 2018, arXiv:1802.03916 (BBSE-hard).
    """
    held, target = _pair(held, target)
    c = held.shape[1]
    y = checks.classes(y, len(held), c)
    count = np.bincount(y, minlength=c)
    confusion = np.zeros((c, c))
    np.add.at(confusion, (held.argmax(1), y), 1)
    confusion /= count
    answered = np.bincount(target.argmax(1), minlength=c) / len(target)
    weakest = float(np.linalg.svd(confusion, compute_uv=False)[-1])
    if weakest < _LEAST:
        raise DataError(
            f"the confusion matrix has a singular value of {weakest:.2g} and at least {_LEAST:g} is needed: the "
            "classifier cannot tell some classes apart; merge them, or use em with calibrated probabilities."
        )
    prior = count / len(y)
    draw = np.random.default_rng([seed, 13])
    # drawing rows again is drawing their answers: a multinomial for each class, and one for the target
    again = np.stack(
        [
            shares_of(
                draw.multinomial(count, confusion.T).T / count,
                draw.multinomial(len(target), answered) / len(target),
                prior,
            )
            for _ in range(_positive(draws))
        ]
    )
    return _with_interval(shares_of(confusion, answered, prior), again, prior)


def shares_of(confusion: NDArray, answered: NDArray, prior: NDArray) -> NDArray[np.float64]:
    """The (c,) shares of classes q under which confusion q = answered, the nearest on the simplex.

    Args:
        confusion: (c, c) share of the rows of class j that are answered i, at [i, j].
        answered: (c,) share of the target's rows answered each class.
        prior: (c,) shares kept in directions that the confusion says nothing of.
    """
    normal = confusion.T @ confusion + 1e-12 * np.eye(len(prior))
    return on_simplex(prior + np.linalg.solve(normal, confusion.T @ (answered - confusion @ prior)))


def on_simplex(q: NDArray) -> NDArray[np.float64]:
    """The nearest (c,) point with values of at least 0 that sum to 1.

    Reference:
        Duchi et al., 2008, doi:10.1145/1390156.1390191, figure 1.
    """
    falling = np.sort(q)[::-1]
    excess = (np.cumsum(falling) - 1) / np.arange(1, len(q) + 1)
    return np.maximum(q - excess[np.flatnonzero(falling > excess)[-1]], 0)


def em(prior: ArrayLike, target: ArrayLike, *, seed: int, draws: int = 200) -> LabelShift:
    """Shares of classes of highest likelihood, from calibrated probabilities. Needs no held-out rows.

    Narrower than `bbse` where probabilities are calibrated, biased where they are not. The bootstrap draws target
    rows: what is uncertain about the probabilities is not in the interval.

    Args:
        prior: (c,) shares of the classes among the rows learned from, each above 0.
        target: (m, c) probabilities of the rows without labels.
        seed: of the bootstrap.
        draws: of the bootstrap.

    Raises:
        DataError: probabilities or shares that do not fit.

    Reference:
        Saerens et al., 2002, doi:10.1162/089976602753284446, equation 2.9.
    """
    target = checks.probabilities(target, "target")
    share = checks.numbers(prior, "prior").astype(np.float64)
    m, c = target.shape
    if share.shape != (c,) or share.min() <= 0:
        raise DataError(
            f"prior has the shape {share.shape} and {share.min(initial=np.inf):.4g} as its least; "
            f"give the share, above 0, of each of the {c} classes."
        )
    share = share / share.sum()
    ratio = target / share
    draw = np.random.default_rng([seed, 14])
    best = likeliest(ratio, np.full(m, 1 / m), share, 1e-10)
    # near the answer, but with a little of every class: a share of 0 could not grow again
    start = 0.9 * best + 0.1 * share
    counts = draw.multinomial(m, np.full(m, 1 / m), size=_positive(draws))
    again = np.stack([likeliest(ratio, count / m, start, 1e-6) for count in counts])
    return _with_interval(best, again, share)


def likeliest(ratio: NDArray, weight: NDArray, start: NDArray, close: float) -> NDArray[np.float64]:
    """The (c,) shares q that maximise the weighted sum of log(ratio q), by expectation maximisation.

    Args:
        ratio: (m, c) probabilities over the shares learned from.
        weight: (m,) of the rows, summing to 1.
        start: (c,) first shares.
        close: largest change of a share at which to stop.
    """
    q = start
    for _ in range(_STEPS):
        # a row without weight whose only classes have died out would be 0 / 0
        before, q = q, q * ((weight / np.maximum(ratio @ q, 1e-300)) @ ratio)
        if np.abs(q - before).max() < close:
            break
    return q / q.sum()


def _pair(held: ArrayLike, target: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    held, target = checks.probabilities(held, "held"), checks.probabilities(target, "target")
    if held.shape[1] != target.shape[1]:
        raise DataError(
            f"held has {held.shape[1]} classes and target has {target.shape[1]}; give both from the same classifier."
        )
    return held, target


def _positive(draws: int) -> int:
    if draws < 1:
        raise DataError(f"draws={draws}; give at least 1, and about 200 for an interval.")
    return draws


def _with_interval(best: NDArray, again: NDArray, prior: NDArray) -> LabelShift:
    low, high = np.quantile(again, [0.025, 0.975], axis=0)
    return LabelShift(best, np.minimum(low, best), np.maximum(high, best), best / prior)
