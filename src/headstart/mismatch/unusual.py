"""How unusual each example is beside the rows of a reference."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from headstart.errors import DataError
from headstart.heads.solve import inverse_root
from headstart.mismatch import checks
from headstart.mismatch.covariance import gaussian
from headstart.mismatch.distances import squared_distances

_HELD = 3  # one reference row in so many is held out, to rank by
_BLOCK = 1024  # rows compared with all others at once


@dataclass(frozen=True, eq=False)
class Unusual:
    """Distances of examples, and the same as ranks, which compare between measures and data sets.

    Attributes:
        distance: (m,) in standard deviations of the reference, at least 0.
        rank: (m,) share of held-out reference rows that are nearer, 0 to just below 1. For a row of the reference's
            kind the chance of a rank of 1 - a or more is at most a.
    """

    distance: NDArray[np.float64]
    rank: NDArray[np.float64]


def by_covariance(reference: ArrayLike, rows: ArrayLike, *, seed: int) -> Unusual:
    """Mahalanobis distance from the mean of the reference, ranked among held-out rows of it.

    Features are standardised and the covariance shrunk (`gaussian`), so fewer rows than features will do.

    Args:
        reference: (n, d) rows of what is usual, at least six.
        rows: (m, d) examples that are not among them.
        seed: of the third of the reference that is held out.

    Raises:
        DataError: features that cannot be compared, or all rows of the reference equal.

    Reference:
        Lee et al., 2018, arXiv:1807.03888, equation 2 (without classes).
    """
    learned, held, rows = _parts(reference, rows, seed)
    known = gaussian(learned)
    # rows of two kinds only are not shrunk at all, and leave directions without variance
    covariance = known.covariance + 1e-9 * np.eye(len(known.mean))
    return _ranked(*(mahalanobis(part, known.mean, covariance) for part in (held, rows)))


def by_neighbours(reference: ArrayLike, rows: ArrayLike, *, seed: int, k: int = 5) -> Unusual:
    """Distance to the k-th nearest row of the reference, ranked among held-out rows of it.

    Follows a reference of several clusters, which one covariance cannot.

    Args:
        reference, rows, seed: as of `by_covariance`; distances are over the root of the number of features.
        k: neighbours, fewer than two thirds of the reference.

    Raises:
        DataError: as `by_covariance`, or more neighbours than rows.

    Reference:
        Sun et al., 2022, arXiv:2204.06507, section 3 (here standardised features instead of unit length).
    """
    learned, held, rows = _parts(reference, rows, seed)
    root = np.sqrt(learned.shape[1])
    return _ranked(*(neighbour_distance(part, learned, k) / root for part in (held, rows)))


def mahalanobis(rows: NDArray, mean: NDArray, covariance: NDArray) -> NDArray[np.float64]:
    """(m,) distances of (m, d) rows from the mean (d,), in deviations by the positive definite covariance (d, d)."""
    return np.linalg.norm((rows - mean) @ inverse_root(covariance).T, axis=1)


def neighbour_distance(rows: NDArray, reference: NDArray, k: int) -> NDArray[np.float64]:
    """(m,) Euclidean distances of (m, d) rows to their k-th nearest of (n, d).

    Raises:
        DataError: k outside 1..n.
    """
    if not 1 <= k <= len(reference):
        raise DataError(f"k={k} is outside 1..{len(reference)}, the rows to be compared with; use about 5.")
    parts = [
        np.partition(squared_distances(rows[start : start + _BLOCK], reference), k - 1, axis=1)[:, k - 1]
        for start in range(0, len(rows), _BLOCK)
    ]
    return np.sqrt(np.concatenate(parts))


def rank_among(distances: NDArray, held: NDArray) -> NDArray[np.float64]:
    """(m,) share of (h,) held-out distances that are smaller, with the row itself among the held-out ones."""
    return np.searchsorted(np.sort(held), distances, side="left") / (len(held) + 1)


def _parts(reference: ArrayLike, rows: ArrayLike, seed: int) -> tuple[NDArray, NDArray, NDArray]:
    """Reference rows to learn from, those held out, and the examples, in deviations of those learned from."""
    reference, rows = checks.features(reference, "reference", 2 * _HELD), checks.features(rows, "rows", 1)
    if reference.shape[1] != rows.shape[1]:
        raise DataError(
            f"reference has {reference.shape[1]} features and rows has {rows.shape[1]}; "
            "give both from the same layer of the same network."
        )
    order = np.random.default_rng([seed, 15]).permutation(len(reference))
    held, learned = np.split(reference[order].astype(np.float64), [len(order) // _HELD])
    checks.varied(learned, name="reference")
    mean, scale = learned.mean(0), learned.std(0)
    still = scale <= 1e-7 * np.abs(mean) + 1e-30
    # a unit that never moved and now does counts as one of the others does
    scale[still] = np.median(scale[~still]) if not still.all() else 1.0
    return (learned - mean) / scale, (held - mean) / scale, (rows - mean) / scale


def _ranked(held: NDArray, distances: NDArray) -> Unusual:
    return Unusual(distances, rank_among(distances, held))
