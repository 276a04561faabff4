"""Heads with a closed form: shrinkage discriminants for classes and labels, ridge for numbers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from headstart.heads.logistic import ABSENT
from headstart.heads.solve import inverse_root


class Discriminant:
    """Gaussian classes with one covariance, shrunk towards a multiple of the identity.

    Scores are log p(x | class) + log prior up to a constant, so they are logits. The moments are taken once; each
    shrinkage then costs one Cholesky factorisation.

    Args:
        u: (n, r) features.
        y: (n,) int64 classes below c, or (n, c) of 0 and 1: then each column is a discriminant of its own, all
            with the same covariance around the common mean, from which each one's own is derived exactly.
        weight: (n,) sums to 1; for labels (n, c), each column sums to 1.
        c: classes or labels.
        width: features before any rotation; directions that the rows do not span count as empty.
    """

    def __init__(self, u: NDArray, y: NDArray, weight: NDArray, c: int, width: int) -> None:
        self.labels = y.ndim == 2
        rows = weight.mean(1) if self.labels else weight
        self.width = width
        root = np.sqrt(rows).astype(u.dtype)[:, None]
        scaled = u * root  # one array times itself, which BLAS does in half the time
        scatter = scaled.T @ scaled
        if self.labels:
            self.prior = np.einsum("nc,nc->c", y, weight)
            self.centre = rows.astype(u.dtype) @ u
            up, down = weight * y, weight * (1 - y)
            self.means = np.stack([_means(u, up), _means(u, down)])
            scatter -= np.outer(self.centre, self.centre)
        else:
            on = np.zeros((len(u), c))
            on[np.arange(len(u)), y] = weight
            self.prior = on.sum(0)
            self.means = _means(u, on)
            scatter -= (self.means.T * self.prior.astype(u.dtype)) @ self.means
        self.scatter = scatter
        self.count = len(u)

    def shrunk(self, shrinkage: float) -> tuple[NDArray, NDArray]:
        """(r, c) weights and (c,) biases; shrinkage in 0..1 is the share of the identity."""
        # features have a variance of 1, so a level far below it is rows of a class that coincide
        level = max(float(np.trace(self.scatter)) / self.width, 1e-6)
        blend = (1 - shrinkage) * self.scatter
        blend[np.diag_indices(len(blend))] += shrinkage * level + np.finfo(blend.dtype).eps * level * len(blend)
        root = inverse_root(blend)
        if self.labels:
            return self._yes_no(root, 1 - shrinkage)
        weight = (root.T @ (root @ self.means.T)).astype(np.float64)
        absent = self.prior <= 0
        bias = np.where(absent, ABSENT, np.log(np.where(absent, 1, self.prior)))
        bias -= np.where(absent, 0, np.einsum("cr,rc->c", self.means, weight) / 2)
        weight[:, absent] = 0
        return weight, bias

    def _yes_no(self, root: NDArray, kept: float) -> tuple[NDArray, NDArray]:
        """Each label's own discriminant, by the rank-one difference between its scatter and the common one.

        With T the blend of the common scatter, d the difference of a label's means and p its prior, the blend of
        the scatter within that label is W = T - kept p (1 - p) dd', so W^-1 d = T^-1 d / (1 - kept p (1-p) d'T^-1 d).
        """
        up, down = self.means
        both = (self.prior > 0) & (self.prior < 1)
        apart = np.where(both[:, None], up - down, 0).T
        weight = (root.T @ (root @ apart)).astype(np.float64)
        inside = np.einsum("rc,rc->c", apart, weight)
        weight /= np.maximum(1 - kept * self.prior * (1 - self.prior) * inside, 1e-3)
        prior = np.clip(self.prior, 0.5 / self.count, 1 - 0.5 / self.count)
        middle = np.where(both[:, None], (up + down) / 2, self.centre)
        return weight, np.log(prior / (1 - prior)) - np.einsum("cr,rc->c", middle, weight)


def _means(u: NDArray, on: NDArray) -> NDArray:
    """(c, r) means with (n, c) weights; 0 where a class has none."""
    total = on.sum(0)
    return (on / np.where(total > 0, total, 1)).T.astype(u.dtype) @ u


class Ridge:
    """Least squares with strength/2 * squared weights against half the mean squared error; biases are free.

    The moments are taken once; each strength then costs one Cholesky factorisation.

    Args:
        u: (n, r) features.
        y: (n, t) targets.
    """

    def __init__(self, u: NDArray, y: NDArray) -> None:
        self.centre, self.middle = u.mean(0, dtype=np.float64), y.mean(0)
        rest = u - self.centre.astype(u.dtype)
        self.gram = (rest.T @ rest).astype(np.float64) / len(u)
        self.cross = (rest.T @ (y - self.middle).astype(u.dtype)).astype(np.float64) / len(u)

    def shrunk(self, strength: float) -> tuple[NDArray, NDArray]:
        """(r, t) weights and (t,) biases."""
        blend = self.gram.copy()
        blend[np.diag_indices(len(blend))] += strength
        root = inverse_root(blend)
        weight = root.T @ (root @ self.cross)
        return weight, self.middle - self.centre @ weight
