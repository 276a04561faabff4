"""A head for data without labels, from labelled data: the part of `fit --adapt-to` that is not `fit`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from headstart.adapt.across import NORMS, Across, Own, across, offered
from headstart.adapt.held import Held, open_tuned, settle
from headstart.adapt.learn import Learned, Learner
from headstart.adapt.probe import Folds
from headstart.data.dataset import READS, Dataset
from headstart.data.near import readable
from headstart.errors import DataError, UsageError
from headstart.heads import metrics
from headstart.heads.linear import Linear
from headstart.report import record as told
from headstart.verbs.pair import read_either
from headstart.verbs.prepared import outputs_of

_FEW = 128  # examples that norms are estimated from, at most: a pass in full precision is slow
_LEAST = 20  # examples below which nothing is to be learned of the target

Progress = Callable[[int, int], None]
Say = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class Adapted:
    """A head for the target, and what the report says of it."""

    learned: Learned
    record: told.Adaptation


@dataclass(frozen=True, eq=False)
class Target:
    """Data of the same kind as the labelled data.

    Attributes:
        path: as it was given.
        data: all of it that can be read.
        labels: (m,) classes as the labelled data numbers them, for the report alone; None where it has none, or others.
    """

    path: str | Path
    data: Dataset
    labels: NDArray | None


def adapted(
    learner: Learner,
    learned: Learned,
    rows: NDArray[np.int64],
    folds: Folds,
    target: Target,
    *,
    way: str | None = None,
    progress: Progress | None = None,
) -> Adapted:
    """The head for another data set of the same kind, whose labels are not looked at where it has some.

    Where it has labels under the same names, the report says how right the head is there: nothing was chosen by it.

    Args:
        learner: of the labelled data.
        learned: its own head, on the network as it is or with a tuned tail.
        rows: to learn from.
        folds: positions within them.
        target: as `target_of` gives it.
        way: name of a way; None lets validators that need no labels choose.
        progress: told examples that were read.

    Raises:
        UsageError: a way that there is not.
    """
    assert learner.data.y is not None
    a, b = learned.read(rows, None), _features(learner, learned, target.data, progress)
    own = _own(learner, learned, target.data, way)
    found = across(a, learner.data.y[rows], b, learner.ask, folds, own=own, way=way)
    read = b if found.norms is None or own is None else own.b
    record = _record(target, found, learner, (b, read))
    fitted = replace(learned.fitted, head=found.head)
    return Adapted(replace(learned, fitted=fitted, tail=found.norms or learned.tail), record)


def target_of(to: str | Path, data: Dataset, say: Say) -> Target:
    """The target without what cannot be read.

    Args:
        data: that is learned from.

    Raises:
        DataError: data of another kind, or too little.
        UsageError: the data that is learned from.
    """
    target, notes = read_either(to, None)
    for note in notes:
        say(note)
    if target.modality != data.modality:
        raise DataError(
            f"'{to}' holds {READS[target.modality]} and the labelled data holds {READS[data.modality]}; "
            "give a target of the same kind."
        )
    target = readable(target)
    if len(target) < _LEAST:
        raise DataError(f"'{to}' has {len(target)} examples that can be read; give at least {_LEAST}, better hundreds.")
    if set(target.keys) == set(data.keys):
        raise UsageError(f"'{to}' holds the very examples that are learned from; give others after --adapt-to.")
    return Target(to, target, _labels(target, data))


def _features(learner: Learner, learned: Learned, target: Dataset, progress: Progress | None) -> NDArray:
    """(m, d) what the head reads of the target."""
    if learned.depth > 1:
        return learned.held.read(target, progress=progress)[0]
    features, every = outputs_of(learner.held, target, learner.cache), np.arange(len(target))
    features.read(every, progress)
    return features.matrix(every, learned.taps)


def _labels(target: Dataset, data: Dataset) -> NDArray | None:
    """(m,) classes of the target as the source numbers them; None where it has none, or others."""
    if target.y is None or target.task != "classes" or data.task != "classes":
        return None
    place = {name.strip().lower(): k for k, name in enumerate(data.classes)}
    numbers = [place.get(name.strip().lower()) for name in target.classes]
    if None in numbers:
        return None
    return np.array(numbers, np.int64)[target.y]


def _own(learner: Learner, learned: Learned, target: Dataset, way: str | None) -> Own | None:
    """The target as the network reads it with norms of the target's own; only where such a way was asked for."""
    if way is None or not way.startswith(NORMS):
        return None
    held = learner.held
    if target.modality != "image" or held.card.beside or learned.depth > 1:
        raise UsageError(f"way {way!r} needs the held blocks of one network of pictures; use one of {_names(learner)}.")
    from headstart.adapt.inputs import pictures_of
    from headstart.adapt.norms import norms_of
    from headstart.sources.load import load, with_tail

    stack = load(held.card, learner.cache, outputs=2)
    norms = norms_of(stack, pictures_of(target, held.card, threads=held.threads), most=_FEW, batch=32)
    if not norms:
        raise UsageError(f"{held.card.name} has no batch norms, which {way!r} needs; use one of {_names(learner)}.")

    tuned = open_tuned(
        held.card,
        norms,
        lambda: with_tail(held.card, norms, learner.cache),
        learner.cache,
        threads=held.threads,
        device=held.device,
        last=False,
        aside=True,
    )
    return Own(_joined(settle(tuned), target, learned.taps), norms)


def _names(learner: Learner) -> str:
    return ", ".join(offered(learner.ask.task, own=False))


def _joined(held: Held, data: Dataset, taps: tuple[str, ...]) -> NDArray:
    values = dict(zip(held.taps, held.read(data), strict=True))
    return np.concatenate([values[tap] for tap in taps], axis=1)


def _record(target: Target, found: Across, learner: Learner, read: tuple[NDArray, NDArray]) -> told.Adaptation:
    """What the report says.

    Args:
        read: features of the target as the plain head and as the found head read them.
    """
    ask, labels = learner.ask, target.labels

    def score(head: Linear, x: NDArray) -> told.Also | None:
        if labels is None:
            return None
        out = head.probabilities(x)
        low, high = metrics.interval(ask.metric, out, labels, ask.task, seed=ask.seed)
        return told.Also(ask.metric, metrics.score(ask.metric, out, labels, ask.task), low, high)

    ways = tuple(
        told.Way(each.name, each.source, each.agreement, each.information, each.refused, each.name == found.way)
        for each in found.tried
    )
    return told.Adaptation(
        path=str(target.path),
        rows=len(target.data),
        way=found.way,
        adapted=found.adapted,
        rule=found.rule,
        ways=ways,
        before=score(found.plain, read[0]),
        after=score(found.head, read[1]),
    )
