"""Penalised logistic regression for many problems at once: all folds share each pass over the features."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from headstart.heads.solve import inverse_root

ABSENT = -1e4  # score of a class that had no row to learn from
_KEPT = 10  # past steps that shape the next direction
_STEPS = 200
_TRIES = 10  # of a step's length

Solve = Callable[[NDArray], NDArray]


@dataclass(frozen=True, eq=False)
class Problems:
    """P logistic regressions on the same rows that differ in the rows' weights or in the targets.

    Parameters are (q, P, r + 1) with the biases last, scores (q, P, n): sums over classes then run along memory.

    Attributes:
        u: (n, r) features, about centred.
        y: with q > 1: (n,) int64 classes of all problems. With q = 1: (P, n) of 0 and 1.
        weight: (P, n) non-negative; each row sums to 1. An example of weight 0 is not learned from.
        q: scores per problem: the number of classes, or 1 for yes or no.
        lone: with q = 1, the size of the score where all rows are yes or all are no; None takes the log odds that
            half a row of the other kind would give.
    """

    u: NDArray
    y: NDArray
    weight: NDArray
    q: int
    lone: float | None = None
    floor: NDArray = field(init=False)

    def __post_init__(self) -> None:
        learned = self.weight > 0
        floor = np.zeros((self.q, len(self.weight)))
        weight = self.weight
        if self.q > 1:
            seen = np.eye(self.q, dtype=np.float32)[self.y].T @ learned.T.astype(np.float32)
            floor[seen == 0] = ABSENT
        else:
            rows, yes = learned.sum(1), (learned & (self.y > 0)).sum(1)
            size = np.log(2 * rows + 1) if self.lone is None else self.lone
            one_sided = (yes == 0) | (yes == rows)
            floor[0] = np.where(one_sided, np.where(yes > 0, size, -size), 0)
            # without weight nothing pulls: such a problem stays at its floor instead of running to infinity
            weight = np.where(one_sided[:, None], 0, weight)
        object.__setattr__(self, "weight", weight.astype(self.u.dtype))
        object.__setattr__(self, "floor", floor.astype(self.u.dtype))

    def start(self) -> NDArray:
        """(q, P, r + 1) zeros."""
        return np.zeros((self.q, len(self.weight), self.u.shape[1] + 1), self.u.dtype)

    def scores(self, w: NDArray) -> NDArray:
        """(q, P, n), classes without a row at `ABSENT`."""
        return self.along(w) + self.floor[:, :, None]

    def along(self, w: NDArray) -> NDArray:
        """(q, P, n) what w alone gives; linear in w."""
        flat = w[:, :, :-1].reshape(-1, self.u.shape[1]) @ self.u.T
        return flat.reshape(*w.shape[:2], -1) + w[:, :, -1:]

    def pull(self, scores: NDArray) -> tuple[NDArray, NDArray]:
        """Derivative of the mean loss by the scores (q, P, n), and the probabilities."""
        if self.q == 1:
            p = sigmoid(scores)
            return (p - self.y) * self.weight, p
        p = scores - scores.max(0)
        np.exp(p, out=p)
        p /= p.sum(0)
        off = p * self.weight
        off[self.y, :, np.arange(len(self.u))] -= self.weight.T
        return off, p

    def gradient(self, pulled: NDArray, w: NDArray, penalty: float) -> NDArray:
        """Of mean loss + penalty/2 * squared weights, (q, P, r + 1)."""
        out = np.empty_like(w)
        flat = pulled.reshape(-1, len(self.u)) @ self.u
        out[:, :, :-1] = flat.reshape(*w.shape[:2], -1) + penalty * w[:, :, :-1]
        out[:, :, -1] = pulled.sum(2)
        return out


def minimise(problems: Problems, penalty: float, gram: NDArray, start: NDArray, *, tolerance: float = 1e-6) -> NDArray:
    """Weights and biases (q, P, r + 1) that minimise mean loss + penalty/2 * squared weights of each problem.

    L-BFGS in the metric of the curvature that all rows would have if their probabilities were alike, which takes
    10-20 steps where the plain method takes hundreds. Scores are linear along a step, so its length is searched
    without another pass over the features. The bias is not penalised.

    Args:
        gram: (r, r) u'u / n.
        start: where to begin, from `Problems.start` or of a neighbouring penalty.
        tolerance: nats that another step would gain at most.

    Reference:
        Nocedal and Wright, Numerical Optimization, 2006, algorithms 7.4 and 7.5.
    """
    w = start.copy()
    scores = problems.scores(w)
    pulled, p = problems.pull(scores)
    precondition = _metric(gram, penalty, p)
    g = problems.gradient(pulled, w, penalty)
    past: list[tuple[NDArray, NDArray, NDArray]] = []
    size = np.ones(w.shape[1])
    for _ in range(_STEPS):
        step = -_direction(g, past, precondition, size)
        slope = _dot(g, step)
        if not (moving := -slope > 2 * tolerance).any():
            break
        step[:, ~moving] = 0
        slope[~moving] = 0
        length, scores, pulled = _advance(problems, scores, w, step, slope, penalty)
        if not past:  # how far the first step should have gone tells the scale of the curvature
            size = length
        step *= length.astype(w.dtype)[:, None]
        w += step
        before, g = g, problems.gradient(pulled, w, penalty)
        change = g - before
        bend = _dot(step, change)
        true = bend > 1e-12 * np.sqrt(_dot(step, step) * _dot(change, change))
        past = [*past[1 - _KEPT :], (step, change, np.where(true, 1 / np.where(true, bend, 1), 0))]
    return w


def _dot(a: NDArray, b: NDArray) -> NDArray[np.float64]:
    """(P,) inner products of (q, P, m)."""
    return np.einsum("qpm,qpm->p", a, b).astype(np.float64)


def _metric(gram: NDArray, penalty: float, p: NDArray) -> Solve:
    """Inverse of (curvature * gram + penalty) on weights and of the curvature on biases."""
    bend = max(float((p * (1 - p)).mean()), 1e-4)
    blend = bend * gram
    # a metric need not be exact, but must be safe to factor in single precision
    blend[np.diag_indices(len(gram))] += max(penalty, 100 * np.finfo(gram.dtype).eps * bend * float(np.trace(gram)))
    root = inverse_root(blend)

    def solve(g: NDArray) -> NDArray:
        out = np.empty_like(g)
        flat = g[:, :, :-1].reshape(-1, len(gram))
        out[:, :, :-1] = ((flat @ root.T) @ root).reshape(*g.shape[:2], -1)
        out[:, :, -1] = g[:, :, -1] / bend
        return out

    return solve


def _direction(g: NDArray, past: list[tuple[NDArray, NDArray, NDArray]], precondition: Solve, size: NDArray) -> NDArray:
    """The inverse curvature, as past steps have shown it, times g."""
    kind, g = g.dtype, g.copy()
    shares = []
    for step, change, inverse in reversed(past):
        share = (inverse * _dot(step, g)).astype(kind)
        g -= share[:, None] * change
        shares.append(share)
    out = precondition(g) * size.astype(kind)[:, None]
    for (step, change, inverse), share in zip(past, reversed(shares), strict=True):
        out += (share - inverse * _dot(change, out)).astype(kind)[:, None] * step
    return out


def _advance(
    problems: Problems, scores: NDArray, w: NDArray, step: NDArray, slope: NDArray, penalty: float
) -> tuple[NDArray, NDArray, NDArray]:
    """(P,) lengths at which the slope along the step has halved at least, the scores there and their pull.

    The loss is convex along a step, so its slope only grows and crosses 0 inside the bracket: secants, kept away
    from the bracket's ends.
    """
    along = problems.along(step)
    cross, square = penalty * _dot(w[..., :-1], step[..., :-1]), penalty * _dot(step[..., :-1], step[..., :-1])
    low, high, t = np.zeros(len(slope)), np.full(len(slope), np.inf), np.ones(len(slope))
    at_low, at_high = slope.copy(), np.full(len(slope), np.inf)
    for left in reversed(range(_TRIES)):
        there = scores + along * t.astype(along.dtype)[:, None]
        pulled = problems.pull(there)[0]
        now = _dot(pulled, along) + cross + t * square
        done = np.abs(now) <= -0.5 * slope
        if done.all() or not left:
            return t, there, pulled
        short = now < 0
        low, at_low = np.where(short, t, low), np.where(short, now, at_low)
        high, at_high = np.where(short, high, t), np.where(short, at_high, now)
        # the secant through both ends of the bracket; while it is open, through 0 and its low end
        closed = np.isfinite(high)
        top = np.where(closed, high, 8 * low)
        gap, rise = (
            np.where(closed, high - low, low),
            np.where(closed, at_high, at_low) - np.where(closed, at_low, slope),
        )
        guess = np.where(rise > 0, low - at_low * gap / np.where(rise > 0, rise, 1), top)
        edge = 0.05 * (top - low)
        t = np.where(done, t, np.clip(guess, low + edge, top - edge))
    raise AssertionError("the last try returns")


def sigmoid(z: NDArray) -> NDArray:
    """1 / (1 + exp(-z)) without overflow."""
    e = np.exp(-np.abs(z))
    return np.where(z >= 0, 1, e) / (1 + e)


def softmax(z: NDArray) -> NDArray:
    """Shares of exp(z) along the last axis."""
    e = np.exp(z - z.max(-1, keepdims=True))
    e /= e.sum(-1, keepdims=True)
    return e
