"""H-score: how much of the features' spread lies between classes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from headstart.errors import DataError
from headstart.rank.checks import one_hot, rows_and_classes
from headstart.rank.spectrum import spectrum


def h_score(features: NDArray, labels: NDArray, *, shrinkage: float | None = None) -> float:
    """Spread of the class means relative to the spread of all rows; higher transfers better.

    tr(S_a^-1 (1 - a) B) with S the covariance of the rows, B that of their class means, a the shrinkage and
    S_a = (1 - a) S + a tr(S) / d I. Without shrinkage and with as many features as rows any labels reach c - 1.

    Args:
        features: (n, d) float.
        labels: (n,) int in 0..c-1, at least two classes.
        shrinkage: share of the identity in 0..1; None takes Ledoit and Wolf's, 0 the plain H-score, with the
            pseudo-inverse where S is singular.

    Returns:
        In 0..c-1; c - 1 where rows of a class coincide and nothing is shrunk.

    Raises:
        DataError: a shrinkage outside 0..1, or arrays that cannot be scored.

    Reference:
        Bao et al., 2019, doi:10.1109/ICIP.2019.8803726, definition 2; Ibrahim et al., 2021, arXiv:2110.06893,
        section 4 (shrinkage); Ledoit and Wolf, 2004, doi:10.1016/S0047-259X(03)00096-4.
    """
    x, y = rows_and_classes(features, labels)
    if shrinkage is not None and not 0 <= shrinkage <= 1:
        raise DataError(f"shrinkage={shrinkage} is outside 0..1; give a share, or None for Ledoit and Wolf's.")
    n, d = x.shape
    z = x - x.mean(0)
    values, vectors = spectrum(z)
    spread = values / n
    level = spread.sum() / d
    share = _ledoit_wolf(spread, z) if shrinkage is None else shrinkage
    # class means are the projection of the rows on the columns of the one-hot labels
    on = one_hot(y)
    between = ((on.T @ vectors) ** 2 / on.sum(0)[:, None]).sum(0)
    kept = (1 - share) * spread
    return float((between * kept / (kept + share * level)).sum())


def _ledoit_wolf(spread: NDArray, z: NDArray) -> float:
    """Share of the identity in 0..1 that is expected to bring a covariance nearest to the true one.

    Args:
        spread: (r,) eigenvalues of the covariance of z, those above 0.
        z: (n, d) of mean 0.

    Reference:
        Ledoit and Wolf, 2004, doi:10.1016/S0047-259X(03)00096-4, section 3.2.
    """
    n, d = z.shape
    square = float((spread**2).sum())
    distance = square - float(spread.sum()) ** 2 / d
    noise = float((np.einsum("nd,nd->n", z, z) ** 2).sum()) / n**2 - square / n
    return min(noise / distance, 1.0) if distance > 0 else 1.0
