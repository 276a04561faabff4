"""LEEP: the likelihood of labels given what a source network's own classes say."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from headstart.errors import DataError
from headstart.rank.checks import classes_of, finite_rows, one_hot


def leep(probabilities: NDArray, labels: NDArray) -> float:
    """Mean log likelihood of the labels when each source class z votes with P(label | z); higher transfers better.

    P(y, z) is the mean over rows of label y of their probability of z; LEEP = mean log sum_z P(y | z) p_z.

    Args:
        probabilities: (n, z) of the source's own classes, rows sum to 1.
        labels: (n,) int in 0..c-1, at least two classes.

    Returns:
        In nats per row, at most 0; 0 where each source class goes with one label.

    Raises:
        DataError: rows that are not probabilities, or arrays that cannot be scored.

    Reference:
        Nguyen et al., 2020, arXiv:2002.12462, equation 2.
    """
    p = finite_rows(probabilities, "probabilities")
    y = classes_of(labels, len(p))
    if p.min() < 0 or np.abs(p.sum(1) - 1).max() > 1e-3:
        raise DataError(
            f"probabilities have a least value of {p.min():.3g} and rows that sum to {p.sum(1).min():.3g}.."
            f"{p.sum(1).max():.3g}; give values of at least 0 that sum to 1 in each row, such as a softmax."
        )
    joint = one_hot(y).T @ p
    total = joint.sum(0)
    given = joint / np.where(total > 0, total, 1)
    # each row's own votes are in `given`, so no sum is 0
    return float(np.log(np.einsum("nz,nz->n", p, given[y])).mean())
