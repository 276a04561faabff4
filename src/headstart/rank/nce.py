"""NCE: what a source's labels leave unknown about the target's."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from headstart.rank.checks import classes_of, whole_numbers


def nce(source_labels: NDArray, labels: NDArray) -> float:
    """Negative entropy of the labels given the source's label of the same row; higher transfers better.

    Args:
        source_labels: (n,) int, the label that the source gives each row, at least 0.
        labels: (n,) int in 0..c-1, at least two classes.

    Returns:
        -H(labels | source labels) in nats, from -log c to 0; 0 where the source's label decides.

    Raises:
        DataError: arrays that cannot be scored.

    Reference:
        Tran et al., 2019, arXiv:1908.08142, equation 6 and definition 1.
    """
    n = len(np.atleast_1d(np.asarray(source_labels)))
    source = whole_numbers(source_labels, n, "source labels")
    y = classes_of(labels, n)
    z = np.unique(source, return_inverse=True)[1]
    joint = np.zeros((int(z.max()) + 1, int(y.max()) + 1))
    np.add.at(joint, (z, y), 1 / n)
    total = np.broadcast_to(joint.sum(1, keepdims=True), joint.shape)
    on = joint > 0
    return float((joint[on] * np.log(joint[on] / total[on])).sum())
