"""From labelled rows of one set and rows without labels of another to a head for the other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

from headstart.adapt.chosen import Judged, Seen, choose, judge
from headstart.adapt.probe import Ask, Folds
from headstart.adapt.ways import LINEAR, ROOTS, STEPS, Sides, Way, ways
from headstart.errors import DataError, UsageError
from headstart.heads.linear import Linear, fit_head, own_folds
from headstart.heads.logistic import softmax
from headstart.mismatch import checks
from headstart.mismatch.label_shift import bbse

TRANSPORTED = "transported"  # the way that needs a package of its own
NORMS = "norms+"  # before the name of a way that reads the target with its own norms
_WITH_NORMS = ("nothing", "standardised", "confusion", "confusion+answers")
_HELD_OUT = 300  # source rows from which on no further part is held out: one of them is then a third of a point
_NO_VALIDATOR = (
    "The head is the source's as it is: without labels of the target nothing tells which way suits {task}. "
    "Ways that can be asked for: {ways}."
)


@dataclass(frozen=True, eq=False)
class Own:
    """The target as a network reads it whose batch norms have the target's own statistics.

    Attributes:
        b: (m, d) features of the target.
        norms: those statistics by name, as `adapt.norms.norms_of` gives them.
    """

    b: NDArray
    norms: Mapping[str, NDArray]


@dataclass(frozen=True, eq=False)
class Across:
    """A head for the target, and how it was come to.

    Attributes:
        head: for features of the target, read with `norms` in the network where there are some.
        norms: statistics of the network's batch norms; None where the network stays as it is.
        way: name of what was chosen.
        adapted: whether that is more than the source's head as it is.
        tried: every way, as it was judged without a label of the target.
        rule: in words, why.
        plain: the source's head as it is.
    """

    head: Linear
    norms: Mapping[str, NDArray] | None
    way: str
    adapted: bool
    tried: tuple[Judged, ...]
    rule: str
    plain: Linear


def across(
    a: NDArray, y: NDArray, b: NDArray, ask: Ask, folds: Folds, *, own: Own | None = None, way: str | None = None
) -> Across:
    """A head for rows without labels, learned from labelled rows of another set; its way is chosen, or asked for.

    Every way is made without a part of the source at a time and judged by what it answers on that part and on the
    target; the chosen one is made again of all rows. No label of the target is seen, as none is given.

    Args:
        a: (n, d) features of the source.
        y: their targets.
        b: (m, d) features of the target, of the same network.
        ask: task, metric and seed.
        folds: positions within the source's rows.
        own: the target again, as the network reads it with norms of the target's own.
        way: to have that alone: a name of `offered`.

    Raises:
        UsageError: a way that this task does not have.
        DataError: features that cannot be compared.
    """
    names = offered(ask.task, own is not None)
    if way is not None:
        known_way(way, ask.task, own=own is not None)
    sides = sides_of(a, y, b, ask, folds)
    if way is not None:
        return _made(sides, own, way, (), f"{way} was asked for.")
    if ask.task != "classes":
        return _made(sides, own, "nothing", (), _NO_VALIDATOR.format(task=ask.task, ways=", ".join(names[1:])))
    # optional: whoever asks for it by name is told what to install
    there = tuple(name for name in names if name != TRANSPORTED or find_spec("ot") is not None)
    tried = _judged(sides, own, there, folds)
    chosen = choose(tried)
    return _made(sides, own, chosen.key, tried, _rule(chosen, tried))


def sides_of(a: NDArray, y: NDArray, b: NDArray, ask: Ask, folds: Folds) -> Sides:
    """Both sets, with the source's own head, whose family and strength the folds choose.

    Raises:
        DataError: features that cannot be compared.
    """
    checks.pair(a, b)
    fitted = fit_head(
        a,
        y,
        task=ask.task,
        folds=folds,
        balance=ask.balance,
        metric=ask.metric,
        seed=ask.seed,
        classes=ask.columns if ask.task == "classes" else None,
    )
    return Sides(a, y, b, ask, None if ask.task == "numbers" else fitted.kind, fitted.head)


def offered(task: str, own: bool) -> tuple[str, ...]:
    """Names of the ways that a task has, no adaptation first.

    Args:
        own: whether the target was read with its own norms too.
    """
    names = (*LINEAR, *(name for name in (*ROOTS, *STEPS) if name not in LINEAR)) if task == "classes" else LINEAR
    return names + tuple(NORMS + name for name in names if own and name in _WITH_NORMS)


def known_way(way: str, task: str, *, own: bool) -> None:
    """Refuse a way that this task does not have.

    Raises:
        UsageError: its name is not among those of `offered`.
    """
    names = offered(task, own)
    if way not in names:
        raise UsageError(f"way {way!r} is not there for {task}; use one of {', '.join(names)}.")


def every_way(sides: Sides, own: Own | None, names: tuple[str, ...]) -> dict[str, tuple[Way, NDArray]]:
    """Each way, and the features of the target that it reads.

    Args:
        names: of `offered`.
    """
    plain = tuple(name for name in names if not name.startswith(NORMS))
    made = {name: (way, sides.b) for name, way in ways(sides, plain).items()}
    if own is not None:
        head = made["nothing"][0].head if "nothing" in made else sides.head
        renormed = replace(sides, b=own.b, head=head)
        wanted = tuple(name.removeprefix(NORMS) for name in names if name.startswith(NORMS))
        for name, way in ways(renormed, wanted).items():
            made[NORMS + name] = (replace(way, name=f"norms of the target, {way.name}"), own.b)
    return made


def _judged(sides: Sides, own: Own | None, names: tuple[str, ...], folds: Folds) -> tuple[Judged, ...]:
    """Every way by what it answers on the target, and on the parts of the source that it did not learn from."""
    ask, seen = sides.ask, {}
    parts = _parts(sides.y, folds, ask.seed)
    chances, held = [], []
    for learn, test in parts:
        made = every_way(replace(sides, a=sides.a[learn], y=sides.y[learn], head=None), own, names)
        for name, (way, b) in made.items():
            each = seen.setdefault(name, Seen(name, way.name))
            each.source.append(ask.score(way.on_source(sides.a[test]), sides.y[test]))
            each.chances.append(way.head.probabilities(b))
        held.append(softmax(made["nothing"][0].on_source(sides.a[test])))
        chances.append(sides.y[test])
    found = list(seen.values())
    least = _least(np.concatenate(held), np.concatenate(chances), [found[0], seen["standardised"]], ask.seed)
    return tuple(judge(found, sides.a, sides.y, sides.b, least, ask.metric))


def _made(sides: Sides, own: Own | None, key: str, tried: tuple[Judged, ...], rule: str) -> Across:
    """The way of this name, of all rows of the source."""
    assert sides.head is not None
    way, _ = every_way(sides, own, (key,))[key]
    norms = own.norms if own is not None and key.startswith(NORMS) else None
    return Across(way.head, norms, way.name, key != "nothing", tried, rule, sides.head)


def _parts(y: NDArray, folds: Folds, seed: int) -> Folds:
    """Folds in turn until they hold out enough rows to see a point."""
    parts, rows = [], 0
    for learn, test in folds or own_folds(y, seed):
        parts.append((learn, test))
        rows += len(test)
        if rows >= _HELD_OUT:
            break
    return parts


def _least(held: NDArray, y: NDArray, views: list[Seen], seed: int) -> NDArray:
    """(c,) share of each class in the target at the least, as two heads that learned nothing from the target see it."""
    try:
        low = [bbse(held, y, np.concatenate(view.chances), seed=seed).low for view in views]
    except DataError:  # classes without a held-out row, or that the head cannot tell apart: nothing is known of them
        return np.zeros(held.shape[1])
    return np.minimum(*low)


def _rule(chosen: Judged, tried: tuple[Judged, ...]) -> str:
    nothing = tried[0]
    if chosen is nothing:
        return (
            "The source's head was kept as it is: no way to the target looked clearly better (answers that are sure, "
            "over all classes, and those of most ways) and kept what held-out rows of the source show."
        )
    return (
        f"{chosen.name[0].upper()}{chosen.name[1:]} was chosen: on {100 * chosen.agreement:.0f} % of the target's rows "
        f"it answers as most ways do (without adaptation {100 * nothing.agreement:.0f} %), its answers are "
        f"{100 * chosen.information:.0f} % as sure and spread as can be ({100 * nothing.information:.0f} %), and "
        f"held-out rows of the source are answered as well ({_points(chosen, nothing)}). No label of the target was "
        "seen, so how right it is there is not known."
    )


def _points(chosen: Judged, nothing: Judged) -> str:
    return f"{100 * chosen.source:.1f} and {100 * nothing.source:.1f}"
