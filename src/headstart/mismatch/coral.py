"""Maps that give source features the moments of the target, without labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from headstart.errors import DataError
from headstart.mismatch import checks
from headstart.mismatch.covariance import Gaussian, gaussian, root_of


@dataclass(frozen=True, eq=False)
class Recolour:
    """An affine map of features: (x - source_mean) matrix + target_mean.

    Attributes:
        source_mean, target_mean: (d,).
        matrix: (d, d).
    """

    source_mean: NDArray[np.float64]
    matrix: NDArray[np.float64]
    target_mean: NDArray[np.float64]

    def __call__(self, x: ArrayLike) -> NDArray[np.float64]:
        """(n, d) source features as the target would have them.

        Raises:
            DataError: no features, other than the map is made for, or values that are not finite.
        """
        x = checks.features(x, "x", 1)
        if x.shape[1] != len(self.source_mean):
            raise DataError(
                f"x has {x.shape[1]} features and the map was made for {len(self.source_mean)}; "
                "give features of the same layer."
            )
        return (x - self.source_mean) @ self.matrix + self.target_mean


def coral(source: ArrayLike, target: ArrayLike, *, shrink: float | None = None) -> Recolour:
    """The map that whitens source features and recolours them with the target's covariance, and moves their mean.

    With C and D the shrunk covariances of source and target the matrix is C^-1/2 D^1/2.

    Args:
        source, target: (n, d) and (m, d), at least two rows each.
        shrink: share of the sphere in both covariances, 0..1; None measures it for each (`gaussian`). 0 gives the
            target's covariance exactly and needs more source rows than features.

    Raises:
        DataError: features that cannot be compared, all rows of a side equal, or a covariance without full rank.

    Reference:
        Sun et al., 2016, arXiv:1511.05547, algorithm 1; here the means too, and a shrinkage in place of + I.
    """
    source, target = checks.pair(source, target)
    checks.varied(source, name="source")
    checks.varied(target, name="target")
    one, two = gaussian(source, shrink), gaussian(target, shrink)
    return Recolour(one.mean, _between(one, two, source, target), two.mean)


def _between(one: Gaussian, two: Gaussian, source: NDArray, target: NDArray) -> NDArray[np.float64]:
    """C^-1/2 D^1/2. With fewer rows than features both are spheres outside the span of the rows: the roots are taken
    inside it, which is the same and takes less time by the cube of the ratio.
    """
    d = len(one.mean)
    if len(source) + len(target) >= d or not one.shrink > 0 or not two.shrink > 0:
        return root_of(one.covariance, -0.5) @ root_of(two.covariance, 0.5)
    span = np.linalg.qr(np.concatenate([source - one.mean, target - two.mean]).T)[0]
    inside = root_of(span.T @ one.covariance @ span, -0.5) @ root_of(span.T @ two.covariance @ span, 0.5)
    spheres = [each.shrink * np.trace(each.covariance) / d for each in (one, two)]
    outside = float(np.sqrt(spheres[1] / spheres[0]))
    matrix = span @ (inside - outside * np.eye(len(inside))) @ span.T
    matrix.flat[:: d + 1] += outside
    return matrix


def standardise_each(source: ArrayLike, target: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(n, d) and (m, d) features, each set less its own mean and over its own deviation; constant ones are 0.

    Args:
        source, target: (n, d) and (m, d), at least two rows each.

    Raises:
        DataError: features that cannot be compared.
    """
    source, target = checks.pair(source, target)
    return _standard(source), _standard(target)


def _standard(x: NDArray) -> NDArray[np.float64]:
    mean = x.mean(0, dtype=np.float64)
    z = x - mean
    scale = np.sqrt((z**2).mean(0))
    # what a constant far from 0 leaves after its mean is taken off is rounding, not a signal
    still = scale <= 4 * np.finfo(x.dtype).eps * np.abs(mean)
    return np.where(still, 0, z / np.where(still, 1, scale))
