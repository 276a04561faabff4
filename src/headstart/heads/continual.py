"""Heads out of moments alone: classes that come later join those that were learned, whose rows are gone.

All classes are Gaussian with one covariance, which is shrunk: nothing but counts, sums and second moments is needed,
in whatever order the rows came.

Reference:
    Hayes and Kanan, 2020, arXiv:1909.01520 (streaming discriminants on held features); McDonnell et al., 2023,
    arXiv:2307.02251 (class means and second moments alone); Petit et al., 2023, arXiv:2211.13131 (pseudo features).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from headstart.errors import DataError
from headstart.heads.linear import Linear
from headstart.heads.logistic import ABSENT
from headstart.heads.moments import Moments
from headstart.heads.paths import RidgePath
from headstart.heads.solve import inverse_root

SHRINKAGES = (1.0, 0.9, 0.6, 0.3, 0.1, 0.03)  # a small path; 1 is the nearest class mean
_PSEUDO = 31  # of the draws of rows that never were


@dataclass(frozen=True, eq=False)
class Standard:
    """What moments say of rows whose features are standardised, as `heads.space` does it, but for its limit.

    Attributes:
        mean, scale: (d,) float32 of the features as they come; scale is 1 where a feature is constant.
        live: (d,) features that are not constant.
        covariance: (d, d) about the means of the classes, or of all rows; 0 where a feature is constant.
    """

    mean: NDArray[np.float32]
    scale: NDArray[np.float32]
    live: NDArray[np.bool_]
    covariance: NDArray[np.float64]

    @classmethod
    def of(cls, moments: Moments) -> Self:
        """The standard form of moments of some rows."""
        d = moments.width
        centre = moments.centre[:d]
        mean = centre.astype(np.float32)
        scale = np.sqrt(moments.spread[:d] + (centre - mean) ** 2)
        constant = scale <= 4 * np.finfo(np.float32).eps * np.abs(mean)
        constant |= (scale < 1e-6 * np.median(scale)) | (scale < 1e-30)
        scale = np.where(constant, 1.0, scale).astype(np.float32)
        inverse = np.where(constant, 0.0, 1 / scale.astype(np.float64))
        covariance = moments.within[:d, :d] / moments.rows
        covariance *= inverse
        covariance *= inverse[:, None]
        return cls(mean, scale, ~constant, covariance)

    def points(self, sums: NDArray, count: NDArray, origin: NDArray) -> NDArray[np.float64]:
        """(k, d) standardised means of the rows behind these sums; 0 where there are none."""
        d, there = len(self.mean), count > 0
        means = origin[:d] + sums[:, :d] / np.where(there, count, 1)[:, None]
        z = (means - self.mean) / self.scale
        return np.where(there[:, None] & self.live, z, 0.0)

    def shrunk(self, shrinkage: float) -> NDArray[np.float64]:
        """(d, d) the covariance, shrunk towards its mean variance, and safe to factor."""
        width = max(int(self.live.sum()), 1)
        # features have a variance of 1, so a level far below it is rows of a class that coincide
        level = max(float(np.trace(self.covariance)) / width, 1e-6)
        blend = (1 - shrinkage) * self.covariance
        blend[np.diag_indices(len(blend))] += shrinkage * level + np.finfo(np.float64).eps * level * len(blend)
        return blend

    def oas(self, freedom: float) -> float:
        """The shrinkage that the covariance's own trace asks for, among its features that are not constant."""
        return oas(self.covariance, freedom, int(self.live.sum()))


def oas(covariance: NDArray, freedom: float, width: int | None = None) -> float:
    """Share of the identity in a covariance of least mean squared error for Gaussian rows, in 0..1.

    ((1 - 2/p) tr S² + tr² S) / ((n + 1 - 2/p) (tr S² - tr² S / p)), at most 1, with n = freedom and p = width.

    Args:
        covariance: (d, d) as seen, S.
        freedom: rows less the means that were taken off.
        width: features that are not constant; None takes all.

    Reference:
        Chen, Wiesel, Eldar and Hero, 2010, Shrinkage algorithms for MMSE covariance estimation, IEEE Transactions on
        Signal Processing 58(10), equation 23.
    """
    p = width or len(covariance)
    square, trace = float((covariance**2).sum()), float(np.trace(covariance))
    spread = square - trace**2 / p
    if freedom <= 0 or spread <= 1e-12 * square:
        return 1.0
    return min(((1 - 2 / p) * square + trace**2) / ((freedom + 1 - 2 / p) * spread), 1.0)


def head_of(moments: Moments, *, strength: float | None = None, balance: bool = False) -> Linear:
    """The head of these moments: a discriminant for classes and labels, ridge for numbers; see there."""
    if moments.task == "numbers":
        return ridge(moments, strength=strength)
    return discriminant(moments, shrinkage=strength, balance=balance)


def discriminant(moments: Moments, *, shrinkage: float | None = None, balance: bool = False) -> Linear:
    """The head of Gaussian classes with one covariance, as `heads.closed.Discriminant` makes it from rows.

    Of labels each has a discriminant of its own; see there. The temperature is 1: moments do not tell how sure a head
    may be.

    Args:
        moments: of classes or labels.
        shrinkage: in 0..1; None takes `oas`, 1 answers with the nearest mean of standardised features.
        balance: whether all classes (of a label yes and no) are as likely; else as often as they were seen.

    Raises:
        DataError: moments of numbers.
    """
    if moments.task == "numbers":
        raise DataError("moments of numbers have no classes to tell apart; use ridge.")
    standard = Standard.of(moments)
    if shrinkage is None:
        means = int(moments.known.sum()) if moments.task == "classes" else 1
        shrinkage = standard.oas(moments.rows - means)
    root = inverse_root(standard.shrunk(shrinkage))
    make = _yes_no if moments.task == "labels" else _classes
    weight, bias = make(moments, standard, root, 1 - shrinkage, balance)
    return Linear(standard.mean, standard.scale, weight.astype(np.float32), bias, 1.0, moments.task)


def _classes(
    moments: Moments, standard: Standard, root: NDArray, kept: float, balance: bool
) -> tuple[NDArray, NDArray]:
    means = standard.points(moments.sums, moments.count, moments.origin)
    weight = root.T @ (root @ means.T)
    there = moments.known
    prior = there / there.sum() if balance else moments.count / moments.count.sum()
    bias = np.log(np.where(there, prior, 1)) - np.einsum("cd,dc->c", means, weight) / 2
    return np.where(there, weight, 0), np.where(there, bias, ABSENT)


def _yes_no(moments: Moments, standard: Standard, root: NDArray, kept: float, balance: bool) -> tuple[NDArray, NDArray]:
    """Each label's own discriminant, by the rank-one difference of its covariance to that of all rows.

    Exact where every row told of the label; else the rows that did are taken to lie as all do.
    """
    yes, asked = moments.count[0], moments.count.sum(0)
    up, down = (standard.points(moments.sums[k], moments.count[k], moments.origin) for k in (0, 1))
    share = yes / np.maximum(asked, 1e-12)
    both = (share > 0) & (share < 1)
    apart = np.where(both[:, None], up - down, 0).T
    weight = root.T @ (root @ apart)
    inside = np.einsum("dc,dc->c", apart, weight)
    weight /= np.maximum(1 - kept * share * (1 - share) * inside, 1e-3)
    half = 0.5 / np.maximum(asked, 1)
    prior = np.where(both & balance, 0.5, np.clip(share, half, 1 - half))
    middle = np.where(both[:, None], (up + down) / 2, 0)
    bias = np.log(prior / (1 - prior)) - np.einsum("cd,dc->c", middle, weight)
    return weight, np.where(moments.known, bias, ABSENT)


def ridge(moments: Moments, *, strength: float | None = None) -> Linear:
    """Least squares with strength/2 * squared weights against half the mean squared error, as `heads.paths.RidgePath`.

    Args:
        moments: of numbers.
        strength: above 0; None takes that of `RidgePath.strengths` with the greatest evidence: how likely the targets
            are where weights are Gaussian and the noise is as large as they leave it.

    Raises:
        DataError: moments of classes or labels.

    Reference:
        MacKay, 1992, Bayesian interpolation, Neural Computation 4(3), section 4.
    """
    if moments.task != "numbers":
        raise DataError(f"moments of {moments.task} have no numbers to learn; use discriminant.")
    d, standard = moments.width, Standard.of(moments)
    middle, spread = moments.centre[d:], np.sqrt(moments.spread[d:])
    spread = np.where(spread > 1e-12 * np.abs(middle), spread, 1.0)
    scatter = moments.within / moments.rows
    cross = np.where(standard.live[:, None], scatter[:d, d:] / standard.scale[:, None] / spread, 0)
    square = np.diag(scatter)[d:] / spread**2
    best, least = cross, np.inf
    for each in RidgePath.strengths if strength is None else (strength,):
        blend = standard.covariance.copy()
        blend[np.diag_indices(d)] += each
        root = inverse_root(blend)
        reached = root @ cross
        rest = np.maximum(square - (reached**2).sum(0), 1e-12)
        # twice the negative log evidence per target, but for what all strengths have in common
        surprise = (moments.rows - 1) * np.log(rest) - 2 * np.log(np.diag(root)).sum() - d * np.log(each)
        if surprise.sum() < least:
            best, least = root.T @ reached, surprise.sum()
    weight = best * spread
    bias = middle - ((moments.centre[:d] - standard.mean) / standard.scale) @ weight
    return Linear(standard.mean, standard.scale, weight.astype(np.float32), bias, 1.0, "numbers")


def pseudo(moments: Moments, rows: int | Sequence[int], *, seed: int = 0) -> tuple[NDArray[np.float32], NDArray]:
    """Rows that never were, as the moments say that rows of each class lie: Gaussian about its mean.

    Args:
        moments: of classes.
        rows: of each class that is known of, or (c,) of each class.
        seed: of the draws; those of a class do not depend on the others.

    Returns:
        (m, d) features and (m,) int64 classes, class after class.

    Raises:
        DataError: moments of labels or numbers.
    """
    if moments.task != "classes":
        raise DataError(f"rows are drawn for classes, and these moments are of {moments.task}; use their heads.")
    standard, known = Standard.of(moments), int(moments.known.sum())
    freedom = moments.rows - known
    root = np.linalg.cholesky(standard.shrunk(standard.oas(freedom)))
    if freedom > 0:  # the means took as many degrees of freedom as there are classes
        root *= np.sqrt(moments.rows / freedom)
    means = standard.points(moments.sums, moments.count, moments.origin)
    wanted = np.broadcast_to(rows, moments.known.shape)
    found: list[NDArray] = [np.zeros((0, moments.width))]
    y: list[np.int64] = []
    for each in np.flatnonzero(moments.known):
        draw = np.random.default_rng([seed, _PSEUDO, int(each)])
        z = means[each] + draw.standard_normal((int(wanted[each]), moments.width)) @ root.T
        found.append(standard.mean + np.where(standard.live, z, 0) * standard.scale)
        y += [each] * len(z)
    return np.concatenate(found).astype(np.float32), np.array(y, np.int64)
