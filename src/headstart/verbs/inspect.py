"""`inspect`: what a data set is, how it would be divided and what is wrong with it; no network is opened."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from headstart.data.check import Finding, Repeats, check, repeats
from headstart.data.dataset import Dataset, Options, Problem
from headstart.data.near import Look, look
from headstart.data.read import read
from headstart.data.split import Split, split
from headstart.errors import DataError
from headstart.verbs.watch import Silent, Teller


@dataclass(frozen=True)
class Count:
    """A class or a label: rows to learn from, and rows of the test part (0 where there is none)."""

    name: str
    train: int
    test: int


@dataclass(frozen=True)
class Range:
    """Least, median and largest of a number, over all rows."""

    name: str
    low: float
    median: float
    high: float


@dataclass(frozen=True)
class Inspection:
    """What is known of a data set before anything is learned from it.

    Attributes:
        path: as it was given.
        fingerprint: sha256 of inputs and targets.
        modality: image or text.
        task: classes, labels or numbers.
        rows: that can be used.
        classes: with their counts; empty for numbers.
        ranges: of the targets where they are numbers, and of the inputs' size.
        because: what was detected -> one sentence of why.
        split: one sentence of how it would be divided; empty where it cannot be.
        train, test: rows of each part; test is 0 where all rows are tested in folds.
        findings: errors first.
        problems: rows and files that were left out, each with its reason.
    """

    path: str
    fingerprint: str
    modality: str
    task: str
    rows: int
    classes: tuple[Count, ...]
    ranges: tuple[Range, ...]
    because: dict[str, str]
    split: str
    train: int
    test: int
    findings: tuple[Finding, ...]
    problems: tuple[Problem, ...]

    @property
    def usable(self) -> bool:
        """Whether `fit` would start: no finding is an error."""
        return all(finding.severity != "error" for finding in self.findings)


def inspect(
    data: str | Path, *, options: Options | None = None, seed: int = 0, teller: Teller | None = None
) -> Inspection:
    """Look at labelled data as `fit` does before it learns.

    Args:
        data: folder or table.
        options: columns and task of the data; what is None is detected.
        seed: of the division into parts.

    Raises:
        DataError: data that cannot be read at all.
        UsageError: an option that the data cannot follow, or doubt that an option would settle.
    """
    teller = teller or Silent()
    teller.progress("read the data", 0, 2)
    examples = read(data, options)
    looked = look(examples.pictures) if examples.modality == "image" else None
    teller.progress("check the data", 1, 2)
    again = repeats(examples, looked=looked)
    parts, first = _divided(examples, seed, again)
    findings = (*first, *check(examples, parts, looked=looked, again=again))
    teller.progress("check the data", 2, 2)
    return Inspection(
        path=str(data),
        fingerprint=examples.fingerprint,
        modality=examples.modality,
        task=examples.task,
        rows=len(examples) - (len(looked.broken) if looked else 0),
        classes=_counts(examples, parts),
        ranges=(*_targets(examples), *_inputs(examples, looked)),
        because=dict(examples.because),
        split=parts.how if parts else "",
        train=len(parts.train) if parts else len(examples),
        test=0 if parts is None or parts.test is None else len(parts.test),
        findings=findings,
        problems=(*examples.problems, *_broken(examples, looked)),
    )


def _divided(data: Dataset, seed: int, again: Repeats) -> tuple[Split | None, tuple[Finding, ...]]:
    """The division, or why there is none."""
    try:
        return split(data, seed=seed, repeats=again.near), ()
    except DataError as error:
        return None, (Finding("error", "split", str(error)),)


def _counts(data: Dataset, parts: Split | None) -> tuple[Count, ...]:
    if data.task == "numbers" or data.y is None:
        return ()
    on = np.eye(len(data.classes), dtype=np.int64)[data.y] if data.task == "classes" else data.y
    test = np.zeros(len(data), bool)
    if parts is not None and parts.test is not None:
        test[parts.test] = True
    pairs = zip(data.classes, on[~test].sum(0), on[test].sum(0), strict=True)
    return tuple(Count(name, int(train), int(held)) for name, train, held in pairs)


def _targets(data: Dataset) -> Iterator[Range]:
    if data.task == "numbers" and data.y is not None:
        for name, column in zip(data.classes, data.y.T, strict=True):
            yield _range(name, column)


def _inputs(data: Dataset, looked: Look | None) -> Iterator[Range]:
    if looked is None:
        yield _range("characters of a text", np.array([len(text) for text in data.texts]))
        return
    sizes = looked.sizes[looked.sizes.min(axis=1) > 0]
    if len(sizes):
        yield _range("pixels of the shorter side", sizes.min(axis=1))


def _range(name: str, values: NDArray) -> Range:
    return Range(name, float(values.min()), float(np.median(values)), float(values.max()))


def _broken(data: Dataset, looked: Look | None) -> Iterator[Problem]:
    if looked:
        yield from (Problem(data.names[row], why) for row, why in sorted(looked.broken.items()))
