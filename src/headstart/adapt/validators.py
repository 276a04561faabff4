"""How good answers on rows without labels look: each a number from arrays, none of them a proof."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from headstart.errors import DataError
from headstart.heads.linear import fit_head
from headstart.heads.logistic import softmax
from headstart.heads.space import standardise
from headstart.mismatch import checks


def information(p: ArrayLike) -> float:
    """Mutual information of row and answer, as a share of the most there can be: H(mean p) - mean H(p), over log c.

    High where each answer is sure and all classes occur; as high where sure answers are wrong.

    Args:
        p: (n, c) probabilities.

    Returns:
        0..1.

    Raises:
        DataError: no probabilities.

    Reference:
        Krause et al., 2010, NIPS 23, equation 3; as a validator: Musgrave et al., 2022, arXiv:2208.07360.
    """
    p = checks.probabilities(p, "p")
    return float(np.clip((_entropy(p.mean(0)) - _entropy(p).mean()) / np.log(p.shape[1]), 0, 1))


def neighbourhood(p: ArrayLike, *, temperature: float = 0.05) -> float:
    """Soft neighbourhood density: mean entropy of each row's likeness to the others, in nats; said to be better high.

    Answers that are nearly all alike are dense too: it mistakes collapse for order.

    Args:
        p: (n, c) probabilities, at least two rows; memory grows with n squared.
        temperature: of the likeness, above 0.

    Returns:
        0..log(n - 1).

    Raises:
        DataError: no probabilities, one row, or a temperature of 0.

    Reference:
        Saito et al., 2021, arXiv:2108.10860, equations 1 to 3.
    """
    p = checks.probabilities(p, "p")
    if len(p) < 2 or not temperature > 0:
        raise DataError(f"{len(p)} rows at temperature {temperature} have no density; give 2 rows, and 0.05.")
    z = p / np.linalg.norm(p, axis=1, keepdims=True)
    near = z @ z.T / temperature
    np.fill_diagonal(near, -np.inf)
    return float(_entropy(softmax(near)).mean())


def agreement(answers: Sequence[ArrayLike]) -> NDArray[np.float64]:
    """(ways,) share of rows on which each way answers as most ways do; of answers that tie each counts.

    Args:
        answers: per way (n,) int classes.

    Raises:
        DataError: no ways, or answers of different lengths.
    """
    return majority(answers).mean(1)


def majority(answers: Sequence[ArrayLike]) -> NDArray[np.bool_]:
    """(ways, n) whether each way answers each row as most ways do.

    Raises:
        DataError: no ways, or answers of different lengths.
    """
    said = [np.asarray(each) for each in answers]
    if not said or len({each.shape for each in said}) != 1 or said[0].ndim != 1 or not said[0].size:
        raise DataError(
            f"answers of the shapes {[each.shape for each in said]} were given; give one class for each row and way."
        )
    every = np.stack(said)
    votes = np.stack([(every == k).sum(0) for k in range(int(every.max()) + 1)])
    return np.take_along_axis(votes, every, axis=0) == votes.max(0)


def reverse(b: NDArray, answers: NDArray, a: NDArray, y: NDArray) -> float:
    """How well labelled rows are answered by what is learned from the target's answers: balanced accuracy.

    Both sets are standardised by themselves. A class that the target's answers do not hold is never right.

    Args:
        b: (m, d) features of the target.
        answers: (m,) its answered classes.
        a: (n, d) features of the source.
        y: (n,) its classes.

    Returns:
        0..1; 0 where a single class is answered.

    Reference:
        Zhong et al., 2010, Cross Validation Framework to Choose Amongst Models and Datasets for Transfer Learning,
        ECML PKDD, section 3.
    """
    if len(np.unique(answers)) < 2:
        return 0.0
    classes = int(max(answers.max(), y.max())) + 1
    head = fit_head(standardise(b)[2], answers, task="classes", classes=classes, kind="discriminant").head
    right = head.scores(standardise(a)[2]).argmax(1) == y
    return float(np.mean([right[y == k].mean() for k in np.unique(y)]))


def vanished(answers: NDArray, least: NDArray) -> list[int]:
    """Classes that are answered less than a tenth as often as they occur at the least.

    Args:
        answers: (n,) int classes.
        least: (c,) lower ends of the classes' shares, as `mismatch.label_shift` gives them.
    """
    share = np.bincount(answers, minlength=len(least)) / len(answers)
    return [int(k) for k in np.flatnonzero(share < least / 10)]


def _entropy(p: NDArray) -> NDArray[np.float64]:
    """Of the last axis, in nats; 0 log 0 is 0."""
    return -(p * np.log(np.where(p > 0, p, 1))).sum(-1)
