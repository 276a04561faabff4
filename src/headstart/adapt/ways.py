"""Ways to a head for rows without labels, from labelled rows of another set: features in, `Linear` out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial

import numpy as np
from numpy.typing import NDArray

from headstart.adapt.probe import Ask
from headstart.heads.closed import Discriminant
from headstart.heads.linear import Linear, fit_head
from headstart.heads.paths import weights_of
from headstart.heads.space import LIMIT, standardise
from headstart.mismatch.coral import coral

_SURE = 0.1  # weight of a penalty on rows of the target beside the source's own loss
_EPOCHS, _LEAST = 20, 100  # of the source rows, and steps of a run at least
_TURNS = 5  # of answers learned from answers
_LEFT = 0.1  # of the way that transported rows do not go: all rows of a class may be sent to one point
_MOVED = 1000  # rows of each set that optimal transport takes: its memory grows with their product


@dataclass(frozen=True, eq=False)
class Way:
    """A head for the target, and the same head as it reads the source.

    Attributes:
        name: for the report.
        head: for rows of the target.
        on_source: (n, d) rows of the source -> (n, c) scores, moved or standardised as the source is.
    """

    name: str
    head: Linear
    on_source: Callable[[NDArray], NDArray]


@dataclass(frozen=True, eq=False)
class Sides:
    """Labelled rows of the source and rows of the target, features of one network.

    Attributes:
        a: (n, d) of the source.
        y: their targets.
        b: (m, d) of the target.
        ask: task, metric, columns and seed.
        kind: of the heads, logistic or discriminant; None takes the quicker one.
        head: of the source rows, where it is fitted already.
    """

    a: NDArray
    y: NDArray
    b: NDArray
    ask: Ask
    kind: str | None = None
    head: Linear | None = None

    @cached_property
    def own_a(self) -> tuple[NDArray, NDArray, NDArray]:
        """Mean, scale and (n, d) rows of the source in its own units."""
        return standardise(self.a)

    @cached_property
    def own_b(self) -> tuple[NDArray, NDArray, NDArray]:
        """Mean, scale and (m, d) rows of the target in its own units."""
        return standardise(self.b)

    def fit(self, x: NDArray, y: NDArray) -> Linear:
        """A head as this fit asks for it."""
        ask = self.ask
        return fit_head(
            x,
            y,
            task=ask.task,
            balance=ask.balance,
            metric=ask.metric,
            seed=ask.seed,
            classes=ask.columns if ask.task == "classes" else None,
            kind=self.kind,
        ).head

    def each(self, name: str, head: Linear) -> Way:
        """A head for rows in units of their own set, of mean 0 and deviation 1, as a way."""
        return Way(name, _within(head, self.own_b), _within(head, self.own_a).scores)


def nothing(sides: Sides) -> Way:
    """The source's head as it is."""
    head = sides.head or sides.fit(sides.a, sides.y)
    return Way("no adaptation", head, head.scores)


def standardised(sides: Sides, start: Way) -> Way:
    """The source's head, each set less its own mean and over its own deviation."""
    return sides.each("each set standardised by itself", _unit(start.head))


def recoloured(sides: Sides) -> Way:
    """A head of source rows that were given the target's mean and covariance."""
    move = coral(sides.a, sides.b)
    head = sides.fit(move(sides.a).astype(np.float32), sides.y)
    return Way("CORAL", head, lambda x: head.scores(move(x)))


def transported(sides: Sides) -> Way:
    """A head of source rows that were moved to target rows by optimal transport, classes kept together.

    Raises:
        DataError: a Python without the package POT.
    """
    from headstart.mismatch.transport import transport

    (mean, scale, za), (_, _, zb) = sides.own_a, sides.own_b
    draw = np.random.default_rng([sides.ask.seed, 16])
    some, others = (np.sort(draw.permutation(len(z))[:_MOVED]) for z in (za, zb))
    move = transport(za[some], zb[others], sides.y[some])
    head = sides.fit(_part_way(za[some], move.moved), sides.y[some])

    def on_source(x: NDArray) -> NDArray:
        z = np.clip((x - mean) / scale, -LIMIT, LIMIT)
        return head.scores(_part_way(z, move(z)))

    return Way("optimal transport", _within(head, sides.own_b), on_source)


def surer(sides: Sides, start: Way, kind: str) -> Way:
    """The source's head, each set standardised, trained on to give sure answers on the target beside its own loss.

    Args:
        kind: confusion (minimum class confusion) or entropy (guarded entropy).
    """
    import torch

    from headstart.adapt.align.confusion import Confusion
    from headstart.adapt.align.entropy import Entropy
    from headstart.core.examples import from_arrays
    from headstart.core.fit import fit
    from headstart.core.plan import Plan
    from headstart.core.stack import Stack, on_h
    from headstart.core.task import Classify

    rows = _rows(sides)
    per_epoch = -(-len(rows) // 64)
    plan = Plan(1, epochs=max(_EPOCHS, -(-_LEAST // per_epoch)), batch=64, schedule="linear", seed=sides.ask.seed)
    unit = _unit(start.head)
    # empty, not random: the caller's random numbers are not drawn from
    linear = torch.nn.Linear(len(unit.mean), len(unit.bias), device="meta").to_empty(device="cpu")
    with torch.no_grad():
        linear.weight.copy_(torch.from_numpy(np.ascontiguousarray(unit.weight.T / unit.temperature)))
        linear.bias.copy_(torch.from_numpy(unit.bias / unit.temperature))
    penalty = Confusion(weight=_SURE) if kind == "confusion" else Entropy(weight=_SURE)
    source, target = from_arrays(sides.own_a[2][rows], sides.y[rows]), from_arrays(sides.own_b[2])
    fit(Stack({"head": on_h(linear)}), source, Classify(), plan, penalties=(penalty,), beside={"target": target})
    weight, bias = (values.detach().numpy().copy() for values in (linear.weight.T, linear.bias))
    name = "minimum class confusion" if kind == "confusion" else "guarded entropy"
    return sides.each(name, replace(unit, weight=weight, bias=bias.astype(np.float64), temperature=1.0))


def answered(sides: Sides, start: Way) -> Way:
    """A discriminant of the source's labels and the target's answers together, its answers learned again in turn.

    Each set is standardised by itself. Answers that no longer change end it.

    Reference:
        Amini and Gallinari, 2003, Semi-supervised learning with an explicit label-error model (classification
        expectation maximisation); here with the source's rows kept.
    """
    ask, (_, _, za), (_, _, zb) = sides.ask, sides.own_a, sides.own_b
    z, said = np.concatenate([za, zb]), start.head.scores(sides.b).argmax(1)
    labels = np.concatenate([sides.y, said])
    first = fit_head(
        z, labels, task="classes", balance=ask.balance, seed=ask.seed, classes=ask.columns, kind="discriminant"
    )
    head, rows = first.head, np.arange(len(z))
    for _ in range(_TURNS):
        labels = np.concatenate([sides.y, said])
        model = Discriminant(z, labels, weights_of(labels, rows, ask.columns, ask.balance), ask.columns, z.shape[1])
        weight, bias = model.shrunk(first.strength)
        head = replace(_unit(first.head), weight=weight.astype(np.float32), bias=bias)
        before, said = said, head.scores(zb).argmax(1)
        if (before == said).all():
            break
    return sides.each(f"{start.name}, then its own answers learned", head)


def _part_way(z: NDArray, moved: NDArray) -> NDArray[np.float32]:
    return (moved + _LEFT * (z - moved)).astype(np.float32)


def _rows(sides: Sides) -> NDArray[np.int64]:
    """Source rows of an epoch: each once, or with balance as many of each class."""
    every = np.arange(len(sides.y))
    if not sides.ask.balance:
        return every
    chance = weights_of(sides.y, every, sides.ask.columns, True)
    return np.random.default_rng([sides.ask.seed, 17]).choice(every, len(every), p=chance)


def _unit(head: Linear) -> Linear:
    """The head for features that are in units of their set already."""
    return replace(head, mean=np.zeros_like(head.mean), scale=np.ones_like(head.scale))


def _within(head: Linear, own: tuple[NDArray, NDArray, NDArray]) -> Linear:
    """A head for features in a set's own units, as a head for the features as they come."""
    mean, scale, _ = own
    return replace(head, mean=mean + scale * head.mean, scale=scale * head.scale)


ROOTS: dict[str, Callable[[Sides], Way]] = {
    "nothing": nothing,
    "recoloured": recoloured,
    "transported": transported,
}
STEPS: dict[str, tuple[str, Callable[[Sides, Way], Way]]] = {  # name -> the way that it starts from, and the step
    "standardised": ("nothing", standardised),
    "confusion": ("nothing", partial(surer, kind="confusion")),
    "entropy": ("nothing", partial(surer, kind="entropy")),
    "answers": ("standardised", answered),
    "confusion+answers": ("confusion", answered),
}
LINEAR = ("nothing", "standardised", "recoloured")  # what needs no classes


def ways(sides: Sides, names: Sequence[str]) -> dict[str, Way]:
    """These ways by name; one that several start from is made once.

    Args:
        names: of ROOTS and STEPS.
    """
    done: dict[str, Way] = {}

    def made(name: str) -> Way:
        if name not in done:
            if name in ROOTS:
                done[name] = ROOTS[name](sides)
            else:
                start, step = STEPS[name]
                done[name] = step(sides, made(start))
        return done[name]

    return {name: made(name) for name in names}
