"""From what a fit did to the record that the report, the card and metrics.json are made from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headstart.adapt.learn import Learned
from headstart.adapt.probe import Ask, Rung
from headstart.data.check import Finding
from headstart.data.dataset import Dataset
from headstart.data.split import Split
from headstart.heads import metrics
from headstart.heads.suspicious import suspicious
from headstart.report import record as told
from headstart.report.record import Record
from headstart.sources.card import Card
from headstart.verbs.machine import machine
from headstart.verbs.shown import answer_of, confidence, examples
from headstart.version import __version__

_SHOWN = 12
_CURVES = 20  # classes up to which the area under ROC is told
_BESIDE = {
    "classes": ("accuracy", "balanced_accuracy", "macro_f1", "auc", "log_loss"),
    "labels": ("micro_f1", "macro_f1", "map"),
    "numbers": ("r2", "mae", "rmse", "spearman"),
}


@dataclass(frozen=True)
class Measured:
    """Answers for rows that no choice has seen.

    Attributes:
        rows: (m,) positions in the data.
        out: (m, c) probabilities, or (m, t) numbers.
        where: in words, which rows these are.
    """

    rows: NDArray[np.int64]
    out: NDArray
    where: str


@dataclass(frozen=True)
class Rival:
    """Another way to the same task, on the same rows as `Measured`."""

    name: str
    what: str
    out: NDArray
    seconds: float


def record_of(
    data: Dataset,
    parts: Split,
    card: Card,
    learned: Learned,
    measured: Measured,
    findings: Sequence[Finding],
    ask: Ask,
    *,
    rivals: Sequence[Rival] = (),
    blocks: tuple[str, ...] = (),
    shown: bool = True,
) -> Record:
    """The record of a fit, without its command, its time and its stages."""
    assert data.y is not None
    y = data.y[measured.rows]
    groups = None if data.groups is None else data.groups[measured.rows]
    return Record(
        headstart=__version__,
        created="",
        command="",
        seed=ask.seed,
        machine=machine(),
        data=_data(data, parts, findings, ask.seed, shown),
        source=source_of(card),
        depth=_depth(learned, blocks),
        score=_score(ask, measured, y, groups),
        also=tuple(_also(name, measured.out, y, data.task, groups) for name in _beside(data) if name != ask.metric),
        against=tuple(_rival(rival, y, ask, groups) for rival in rivals),
        confusion=_confusion(measured.out, y, data),
        scatter=_scatter(measured.out, y, data),
        calibration=_calibration(learned, measured.out, y, data),
        mistakes=examples(data, *_mistakes(measured, y, data), shown=shown),
        suspicious=examples(data, *_suspicious(measured, y, data), shown=shown),
    )


def _beside(data: Dataset) -> tuple[str, ...]:
    # one curve for each class: with many classes that takes longer than the fit and says little
    return tuple(name for name in _BESIDE[data.task] if name != "auc" or len(data.classes) <= _CURVES)


def _data(data: Dataset, parts: Split, findings: Sequence[Finding], seed: int, shown: bool) -> told.Data:
    few = np.sort(np.random.default_rng([seed, 2]).permutation(len(data))[:_SHOWN])
    return told.Data(
        path=str(data.path),
        name=data.path.absolute().name,
        fingerprint=data.fingerprint,
        modality=data.modality,
        task=data.task,
        rows=len(data),
        classes=_counts(data, parts),
        because=dict(data.because),
        left_out=tuple(told.LeftOut(problem.name, problem.why) for problem in data.problems),
        findings=tuple(told.Finding(f.severity, f.what, f.text) for f in findings),
        split=parts.how,
        samples=examples(data, few, None, shown=True) if shown else (),
    )


def _counts(data: Dataset, parts: Split) -> tuple[told.ClassCount, ...]:
    if data.task == "numbers" or data.y is None:
        return ()
    on = np.eye(len(data.classes))[data.y] if data.task == "classes" else data.y
    test = np.zeros(len(data), bool)
    if parts.test is not None:
        test[parts.test] = True
    counts = zip(data.classes, on[~test].sum(0), on[test].sum(0), strict=True)
    return tuple(told.ClassCount(name, int(train), int(held)) for name, train, held in counts)


def source_of(card: Card) -> told.Source:
    """The network as a report tells of it."""
    return told.Source(
        card.name, card.architecture, card.licence, card.asserted_by, card.upstream, card.trained_on, card.bytes
    )


def _depth(learned: Learned, blocks: tuple[str, ...]) -> told.Depth:
    def rung(found: Rung, chosen: bool) -> told.Rung:
        return told.Rung(
            found.name,
            found.depth,
            found.score,
            found.seconds,
            *found.interval,
            taps=found.taps,
            chosen=chosen,
            beside=found.beside,
        )

    curve = tuple(rung(found, found.depth == learned.depth) for found in learned.rungs)
    first = learned.rungs[0].taps
    layers = tuple(rung(found, found.taps == first) for found in learned.layers)
    return told.Depth(learned.depth, blocks, learned.taps, learned.rule, curve, layers)


def _score(ask: Ask, measured: Measured, y: NDArray, groups: NDArray | None) -> told.Score:
    value = metrics.score(ask.metric, measured.out, y, ask.task)
    low, high = metrics.interval(ask.metric, measured.out, y, ask.task, groups=groups, seed=ask.seed)
    return told.Score(ask.metric, value, low, high, len(y), measured.where)


def _also(name: str, out: NDArray, y: NDArray, task: str, groups: NDArray | None) -> told.Also:
    low, high = metrics.interval(name, out, y, task, groups=groups)
    return told.Also(name, metrics.score(name, out, y, task), low, high)


def _rival(rival: Rival, y: NDArray, ask: Ask, groups: NDArray | None) -> told.Rival:
    low, high = metrics.interval(ask.metric, rival.out, y, ask.task, groups=groups, seed=ask.seed)
    value = metrics.score(ask.metric, rival.out, y, ask.task)
    return told.Rival(rival.name, value, low, high, rival.seconds, rival.what)


def _confusion(out: NDArray, y: NDArray, data: Dataset) -> tuple[tuple[int, ...], ...] | None:
    if data.task != "classes":
        return None
    counts = metrics.confusion(y, out.argmax(1), len(data.classes))
    return tuple(tuple(int(count) for count in row) for row in counts)


def _scatter(out: NDArray, y: NDArray, data: Dataset) -> tuple[tuple[float, ...], ...] | None:
    if data.task != "numbers":
        return None
    few = np.random.default_rng(0).permutation(len(y))[:1000]
    return tuple((float(y[row].flat[0]), float(out[row].flat[0])) for row in few)


def _calibration(learned: Learned, out: NDArray, y: NDArray, data: Dataset) -> told.Calibration | None:
    if data.task != "classes":
        return None
    bins = tuple(told.Bin(c, a, int(n)) for c, a, n in metrics.calibration_bins(out, y))
    return told.Calibration(metrics.ece(out, y), learned.head.temperature, bins)


Chosen = tuple[NDArray[np.int64], NDArray]


def _mistakes(measured: Measured, y: NDArray, data: Dataset) -> Chosen:
    """The rows answered worst: wrong with the most confidence, or farthest off."""
    if data.task == "numbers":
        off = np.abs(measured.out - y).sum(1)
        worst = np.argsort(-off)[:_SHOWN]
    else:
        answers = np.array([answer_of(data.task, row) for row in measured.out])
        wrong = np.flatnonzero((answers != y).reshape(len(y), -1).any(1))
        sure = np.array([confidence(data.task, measured.out[row]) for row in wrong])
        worst = wrong[np.argsort(-sure)][:_SHOWN]
    return measured.rows[worst], measured.out[worst]


def _suspicious(measured: Measured, y: NDArray, data: Dataset) -> Chosen:
    if data.task != "classes":
        return measured.rows[:0], measured.out[:0]
    doubted = np.asarray(suspicious(measured.out, y, len(data.classes), limit=_SHOWN), np.int64)
    return measured.rows[doubted], measured.out[doubted]
