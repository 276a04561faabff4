"""Optimal transport: each source row moved to the target rows that it goes to at least cost in all."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from headstart.errors import DataError
from headstart.mismatch import checks

_ROUNDS = 10  # tangents to the term of the classes
_STEPS = 300  # of each plan's scaling
_SMALL = 0.02  # blur below which exp(-cost / blur) loses its digits


@dataclass(frozen=True, eq=False)
class Transport:
    """A map of source features to the target's.

    Attributes:
        source: (n, d) rows that the plan was made for.
        moved: (n, d) where each goes: the mean of the target rows, weighed by the plan.
        plan: (n, m) mass that goes from each source row to each target row; sums to 1.
    """

    source: NDArray[np.float64]
    moved: NDArray[np.float64]
    plan: NDArray[np.float64]

    def __call__(self, x: ArrayLike) -> NDArray[np.float64]:
        """(k, d) rows moved as the nearest source row of the plan was moved.

        Raises:
            DataError: no features, other than the map is made for, or values that are not finite.

        Reference:
            Ferradans et al., 2014, arXiv:1307.5551, section 6 (out of sample).
        """
        x = checks.features(x, "x", 1).astype(np.float64)
        if x.shape[1] != self.source.shape[1]:
            raise DataError(
                f"x has {x.shape[1]} features and the map was made for {self.source.shape[1]}; "
                "give features of the same layer."
            )
        near = _squared(x, self.source).argmin(1)
        return x + self.moved[near] - self.source[near]


def transport(
    source: ArrayLike, target: ArrayLike, y: ArrayLike | None = None, *, blur: float = 0.05, together: float = 2.0
) -> Transport:
    """The map of least squared distance in all, blurred so that it is smooth, source classes kept apart if given.

    With M the squared distances over their largest value, and q_jk the share of target row j's mass that comes from
    class k, the plan G >= 0 with equal mass for each row minimises <G, M> + blur sum G log G + together mean_j sum_k
    (q_jk + 1/2)^(1/2): a target row then takes its mass from one class rather than from several. The last term is
    concave, and is brought down by solving for its tangent some times over.

    Args:
        source, target: (n, d) and (m, d), at least two rows each; memory grows with n m.
        y: (n,) int classes of the source rows; None leaves classes out.
        blur: above 0; near 0 the plan is that of least cost, and numerically hard below about 0.001.
        together: at least 0.

    Raises:
        DataError: features that cannot be compared, classes that do not fit, numbers outside their range, a plan that
            cannot be had at this blur, or a Python without the package POT.

    Reference:
        Courty et al., 2017, arXiv:1507.00504, equations 11 and 13, p = 1/2, here in shares of a row's mass and
        smooth at 0; Cuturi, 2013, arXiv:1306.0895.
    """
    if not blur > 0 or not together >= 0:
        raise DataError(
            f"blur={blur} and together={together}; give a blur above 0, as 0.05, and together of at least 0."
        )
    source, target = (part.astype(np.float64) for part in checks.pair(source, target))
    checks.varied(source, target, name="source and target")
    cost = _squared(source, target)
    cost /= cost.max()
    plan = _plan(cost, _classes(y, len(source)), blur, together)
    mass = plan.sum(1, keepdims=True)
    if not np.isfinite(plan).all() or mass.min() < 0.5 / len(source):
        raise DataError(f"blur={blur} leaves source rows without a place in the target; use a larger blur, as 0.05.")
    return Transport(source, plan @ target / mass, plan)


def _plan(cost: NDArray, y: NDArray[np.int64] | None, blur: float, together: float) -> NDArray[np.float64]:
    try:
        import ot
    except ImportError as error:
        raise DataError(
            "optimal transport needs the package POT, which is not installed; run pip install headstart[adapt]."
        ) from error
    a, b = (np.full(n, 1 / n) for n in cost.shape)
    method = "sinkhorn" if blur >= _SMALL else "sinkhorn_log"

    def solved(cost: NDArray) -> NDArray[np.float64]:
        with warnings.catch_warnings():  # it warns where it stops before it is exact; what is unusable is refused after
            warnings.simplefilter("ignore")
            return np.asarray(ot.sinkhorn(a, b, cost, blur, method=method, numItermax=_STEPS))

    plan = solved(cost)
    if y is None or not together:
        return plan
    for _ in range(_ROUNDS):
        share = np.stack([plan[y == k].sum(0) for k in range(int(y.max()) + 1)]) * len(b)
        plan = solved(cost + together * (0.5 * (share + 0.5) ** -0.5)[y])
    return plan


def _classes(y: ArrayLike | None, n: int) -> NDArray[np.int64] | None:
    if y is None:
        return None
    y = np.asarray(y)
    if y.shape != (n,) or y.dtype.kind not in "iu":
        raise DataError(f"classes have the shape {y.shape} and the type {y.dtype}; give {n} whole numbers.")
    return y.astype(np.int64)


def _squared(x: NDArray, z: NDArray) -> NDArray[np.float64]:
    """(n, m) squared distances of rows, at least 0."""
    far = (x**2).sum(1)[:, None] + (z**2).sum(1) - 2 * x @ z.T
    return np.maximum(far, 0, out=far)
