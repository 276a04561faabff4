"""N-LEEP: LEEP with the components of a mixture of Gaussians in place of source classes."""

from __future__ import annotations

from numpy.typing import NDArray

from headstart.errors import DataError
from headstart.rank.checks import rows_and_classes
from headstart.rank.leep import leep
from headstart.rank.mixture import responsibilities
from headstart.rank.spectrum import principal

_SHARE = 0.8  # of the variance kept
_PER_CLASS, _ROWS_EACH = 5, 5


def n_leep(features: NDArray, labels: NDArray, *, components: int | None = None, seed: int = 0) -> float:
    """LEEP of a mixture of Gaussians fitted to the features' principal components; higher transfers better.

    The components that hold 80 % of the variance are kept. Covariances are diagonal: a full one of 64 numbers a side
    asks for more rows per Gaussian than small data has.

    Args:
        features: (n, d) float.
        labels: (n,) int in 0..c-1, at least two classes.
        components: Gaussians; None takes five per class, and one per class at the least where that would leave
            fewer than five rows to each.
        seed: of the rows that the mixture begins with.

    Returns:
        In nats per row, at most 0.

    Raises:
        DataError: components outside 1..n, or arrays that cannot be scored.

    Reference:
        Li et al., 2021, arXiv:2011.11200, section 4.
    """
    x, y = rows_and_classes(features, labels)
    if components is not None and not 1 <= components <= len(x):
        raise DataError(f"components={components} is outside 1..{len(x)}; give at most one Gaussian per row.")
    classes = int(y.max()) + 1
    count = components or max(classes, min(_PER_CLASS * classes, len(x) // _ROWS_EACH))
    return leep(responsibilities(principal(x, share=_SHARE), count, seed=seed), y)
