"""Leave-one-out in closed form: many strengths, or many layers, compared for the price of one decomposition."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from headstart.heads.space import space_of

STRENGTHS = (10.0, 3.2, 1.0, 0.32, 0.1, 0.032, 0.01, 0.0032, 0.001)


def loo(
    x: NDArray,
    y: NDArray,
    *,
    task: str = "classes",
    classes: int | None = None,
    balance: bool = False,
    strengths: Sequence[float] = STRENGTHS,
) -> tuple[float, NDArray[np.float64]]:
    """Ridge on -1 and +1 targets: the strength of least leave-one-out error, and each row's scores without it.

    With H the hat matrix of weighted ridge with a free bias, the error of row i under the model fitted without it
    is (y_i - f_i) / (1 - H_ii): exact, with the standardisation of all rows.

    Args:
        x: (n, d) features.
        y: classes (n,) int64, labels (n, c) of 0 and 1, or numbers (n, t).
        task: classes, labels or numbers.
        classes: columns; None takes the largest class + 1.
        balance: whether classes weigh the same (for classes only).
        strengths: penalties, strength/2 * squared weights against half the weighted mean squared error.

    Returns:
        The strength whose leave-one-out scores have the least weighted squared error, and (n, c) those scores: near
        +1 for the right class and -1 elsewhere, not logits; numbers in their own units.

    Reference:
        Cook and Weisberg, Residuals and Influence in Regression, 1982, section 2.2; Rifkin and Lippert, 2007,
        Notes on Regularized Least Squares, MIT-CSAIL-TR-2007-025.
    """
    y = np.asarray(y)
    weight = np.full(len(y), 1 / len(y))
    if task == "numbers":
        target = np.asarray(y, np.float64).reshape(len(y), -1)
    elif task == "labels":
        target = 2.0 * y - 1
    else:
        target = 2.0 * np.eye(max(classes or 0, int(y.max()) + 1))[y] - 1
        if balance:
            weight = 1 / np.bincount(y)[y]
            weight /= weight.sum()
    return _best(space_of(x).u, target, weight, strengths)


def _best(
    u: NDArray, target: NDArray, weight: NDArray, strengths: Sequence[float]
) -> tuple[float, NDArray[np.float64]]:
    root = np.sqrt(weight)[:, None]
    centre, middle = weight @ u, weight @ target
    # with rows scaled by the root of their weight, weighted ridge is ridge, and the bias is the direction `root`
    a = root * (u - centre.astype(u.dtype))
    t = root * (target - middle)
    values, basis = np.linalg.eigh((a.T @ a).astype(np.float64))
    values = np.maximum(values, 0)
    turned = a @ basis.astype(a.dtype)
    cross = turned.T @ t
    best, answer, least = strengths[0], target, np.inf
    for strength in strengths:
        inverse = 1 / (values + strength)
        fitted = turned @ (inverse[:, None] * cross)
        hat = (turned**2) @ inverse + weight
        residual = (t - fitted) / np.maximum(1 - hat, 1e-12)[:, None]
        error = float((residual**2).sum())
        if error < least:
            best, answer, least = strength, target - residual / root, error
    return best, np.asarray(answer, np.float64)
