"""SFDA: a regularised Fisher discriminant on rows that were drawn towards the other classes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from headstart.errors import DataError
from headstart.rank.checks import class_means, rows_and_classes


def sfda(features: NDArray, labels: NDArray, *, a: float = 5.0) -> float:
    """Mean log probability of the labels in a Fisher space, after hard rows were made harder; higher transfers better.

    The space is that of Fisher's discriminant with (1 - l) S_W + l I as the spread within classes,
    l = exp(-a s) and s the largest eigenvalue of S_W. Conf-mix: a row that has its own class with probability p
    becomes p times itself plus 1 - p times the mean of the rows of other classes, and the discriminant is fitted
    anew with the same l. With fewer rows than features and a small l any labels separate, and scores are near 0.

    Args:
        features: (n, d) float, not normalised: l follows their scale.
        labels: (n,) int in 0..c-1, at least two classes.
        a: how fast the regularisation falls with the spread within classes, above 0.

    Returns:
        In nats per row, at most 0.

    Raises:
        DataError: a that is not above 0, or arrays that cannot be scored.

    Reference:
        Shao et al., 2022, arXiv:2207.03036, section 4.
    """
    x, y = rows_and_classes(features, labels)
    if not a > 0:
        raise DataError(f"a={a} is not above 0; give how fast the regularisation falls, such as 5.")
    x = x - x.mean(0)
    within = _within(x, y)
    share = float(np.exp(-a * np.linalg.eigvalsh(within)[-1]))
    own = np.exp(_log_probabilities(x, y, within, share))
    means, count = class_means(x, y)
    # rows have mean 0, so what a class sums to is what the others lack
    others = -means * (count / (len(x) - count))[:, None]
    mixed = own[:, None] * x + (1 - own)[:, None] * others[y]
    return float(_log_probabilities(mixed, y, _within(mixed, y), share).mean())


def _within(x: NDArray, y: NDArray[np.int64]) -> NDArray[np.float64]:
    """(d, d) S_W, the mean over rows of the squared deviations from their class mean."""
    rest = x - class_means(x, y)[0][y]
    return rest.T @ rest / len(x)


def _log_probabilities(x: NDArray, y: NDArray[np.int64], within: NDArray, share: float) -> NDArray[np.float64]:
    """(n,) log probability of each row's own class, by the discriminant of these rows.

    The directions U of most spread between classes have U'WU = I for the regularised W. As class means differ
    along them alone, UU' does to those differences what the inverse of W does, and no eigenvectors are needed.
    """
    regular = (1 - share) * within
    # a little more than the share keeps the matrix positive definite where rounding would not
    slack = len(within) * np.finfo(np.float64).eps * max(float(np.trace(within)) / len(within), 1e-12)
    regular[np.diag_indices(len(regular))] += share + slack
    means, count = class_means(x, y)
    weight = np.linalg.solve(regular, means.T)
    score = x @ weight - np.einsum("cd,dc->c", means, weight) / 2 + np.log(count / len(x))
    top = score.max(1)
    return score[np.arange(len(y)), y] - top - np.log(np.exp(score - top[:, None]).sum(1))
