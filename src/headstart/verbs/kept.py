"""What a fit that went deeper than the head kept of what the network could do before, measured for the report."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from headstart.adapt.keeper import Mixed, Tried
from headstart.adapt.learn import Learned
from headstart.adapt.old import Old
from headstart.adapt.probe import Ask, Outputs
from headstart.data.dataset import Dataset
from headstart.heads import metrics
from headstart.report import record as told
from headstart.retain.measure import agreement, cka, lost
from headstart.retain.probes import probe_pictures, probe_texts
from headstart.verbs.old import short
from headstart.verbs.prepared import outputs_of

if TYPE_CHECKING:
    pass

_ROWS, _LETTERS = 128, 60_000  # of the new data that are followed through both networks, and of texts among them

Rows = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Twice:
    """Features of the same rows, side by side for some taps, from the network as it was and as it is."""

    taps: tuple[str, ...]
    widths: dict[str, int]
    before: NDArray
    after: NDArray

    def of(self, taps: tuple[str, ...]) -> tuple[NDArray, NDArray]:
        """Before and after, of these taps alone."""
        ends = np.cumsum([self.widths[tap] for tap in self.taps])
        places = {tap: np.arange(end - self.widths[tap], end) for tap, end in zip(self.taps, ends, strict=True)}
        columns = np.concatenate([places[tap] for tap in taps])
        return self.before[:, columns], self.after[:, columns]


def kept_of(features: Outputs, rows: Rows, learned: Learned, old: Old | None, ask: Ask, cache: Path) -> told.Kept:
    """The record of what was kept.

    Args:
        features: of the data, as the pretrained network gave them.
        rows: of it that were learned from.
        learned: deeper than the head.
        old: the earlier task; None where the network had none.
        ask: of the new task.
    """
    few = short(features.data, np.random.default_rng([ask.seed, 8]).permutation(rows)[:_ROWS], _LETTERS)
    every = tuple(features.taps)
    probes = outputs_of(features.held, _probes(features.data.modality), cache)
    with_rows = old is not None and old.features is not None
    sets: list[tuple[Outputs, Rows, tuple[str, ...]]] = [
        (features, few, every),
        (probes, np.arange(len(probes.data)), every),
    ]
    if old is not None and old.features is not None:
        sets.append((old.features, old.test, old.taps))
    seen = _twice(sets, learned, cache)
    kept = learned.kept
    chosen = kept.chosen if kept is not None and kept.tried else None
    tested = _tested(old, seen[2]) if with_rows and old is not None else (None, None, None)
    return told.Kept(
        guard=chosen.name if chosen else "",
        strength=chosen.strength if chosen else 0.0,
        limit=None,
        rule=kept.rule if kept is not None else "",
        path="",
        rows=len(old.test) if old is not None else 0,
        before=tested[0],
        after=tested[1],
        lost=tested[2],
        gain=_gain(learned, ask),
        agreement=_agreement(old, seen[0]),
        probe_agreement=_agreement(old, seen[1]),
        old_head=old.name if old is not None else "",
        layers=tuple(_layer(tap, seen) for tap in every),
        mixes=tuple(_mix(mix, chosen, ask) for mix in chosen.mixes) if chosen else (),
        tried=tuple(_guarded(each, each is chosen, ask) for each in kept.tried) if kept is not None else (),
    )


def _twice(sets: list[tuple[Outputs, Rows, tuple[str, ...]]], learned: Learned, cache: Path) -> list[Twice]:
    """Each set's features before and after."""
    from headstart.adapt.following import Following
    from headstart.sources.load import lay_over, load

    assert learned.plan is not None
    card, plan = learned.held.card, learned.plan
    stack = load(card, cache, outputs=2)
    eyes = [
        Following(features, rows, taps, stack, plan.depth, cache, precision=plan.precision)
        for features, rows, taps in sets
    ]
    before = [each(stack) for each in eyes]
    lay_over(stack, dict(learned.tail), card.name)
    widths = dict(sets[0][0].taps)
    return [Twice(each.taps, widths, then, each(stack)) for each, then in zip(eyes, before, strict=True)]


def _probes(modality: str) -> Dataset:
    inputs = probe_texts() if modality == "text" else tuple(probe_pictures())
    names = tuple(f"probe {k + 1}" for k in range(len(inputs)))
    return Dataset(Path("probes"), modality, "classes", inputs, names, None, (), None, None, None, {}, ())


def _tested(old: Old, seen: Twice) -> tuple[told.Also, told.Also, told.Also]:
    """Score of the old head before and after on rows of its task, and what was lost."""
    before, after = (old.answers(x) for x in seen.of(old.taps))
    y, task = old.y(old.test), old.head.task
    gone = lost(before, after, y, task)
    missed = told.Also("right", gone.value, gone.low, gone.high)
    return _also(old.metric, before, y, task), _also(old.metric, after, y, task), missed


def _also(metric: str, out: NDArray, y: NDArray, task: str) -> told.Also:
    low, high = metrics.interval(metric, out, y, task)
    return told.Also(metric, metrics.score(metric, out, y, task), low, high)


def _agreement(old: Old | None, seen: Twice) -> float | None:
    if old is None:
        return None
    before, after = (old.answers(x) for x in seen.of(old.taps))
    return agreement(before, after, old.head.task)


def _layer(tap: str, seen: list[Twice]) -> told.Layer:
    new, probe = (cka(*each.of((tap,))) for each in seen[:2])
    return told.Layer(tap, new, probe)


def _gain(learned: Learned, ask: Ask) -> told.Also | None:
    said = learned.gained
    return None if said is None else told.Also(ask.metric, said.gain, said.low, said.high)


def _mix(mix: Mixed, chosen: Tried, ask: Ask) -> told.Mix:
    where = chosen.chosen is not None and chosen.chosen.share == mix.share
    return told.Mix(mix.share, _old(mix), _new(mix, ask), where)


def _guarded(tried: Tried, chosen: bool, ask: Ask) -> told.Guarded:
    mix = tried.chosen or tried.mixes[0]
    return told.Guarded(tried.name, tried.strength, _old(mix), _new(mix, ask), tried.seconds, chosen)


def _new(mix: Mixed, ask: Ask) -> told.Also:
    return told.Also(ask.metric, mix.new if metrics.higher_is_better(ask.metric) else -mix.new)


def _old(mix: Mixed) -> told.Also | None:
    return None if mix.old is None else told.Also("right", mix.old.after)
