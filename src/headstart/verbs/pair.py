"""Two data sets made ready to be compared: of one kind, without common examples, classes under one set of names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from headstart.adapt.seen import Seen
from headstart.data.dataset import READS, Dataset, Options
from headstart.data.read import read, read_inputs
from headstart.errors import DataError, HeadstartError, UsageError
from headstart.mismatch.kind import LEAST, Strata
from headstart.mismatch.shares import Answers, crossed, differ, estimated
from headstart.report.difference import Share

_BINS = 5  # of equal counts that numbers are compared in
_LISTED = 5  # names of classes in a sentence


@dataclass(frozen=True, eq=False)
class Pair:
    """Examples drawn of both sets; `totals` are the rows that each has, `notes` what was done to them."""

    a: Dataset
    b: Dataset
    totals: tuple[int, int]
    notes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Labels:
    """What is known of the classes of both sets; None and empty where A has none."""

    strata: Strata | None
    shares: tuple[Share, ...]
    p: float | None
    notes: tuple[str, ...]


def pair_of(a: str | Path, b: str | Path, options: Options | None, rows: int, seed: int) -> Pair:
    """Both sets read, what is in both left out of B, and at most so many rows of each drawn.

    Raises:
        DataError: data that cannot be read, of two kinds, or too few.
        UsageError: the same data twice.
    """
    if Path(a).exists() and Path(b).exists() and Path(a).resolve() == Path(b).resolve():
        raise UsageError(f"'{a}' and '{b}' are the same data; give another set after --against.")
    one, told = read_either(a, options)
    two, also = read_either(b, options)
    if one.modality != two.modality:
        raise DataError(
            f"'{a}' holds {READS[one.modality]} and '{b}' holds {READS[two.modality]}; give two data sets of one kind."
        )
    mine, theirs = set(one.keys), set(two.keys)
    if mine == theirs:
        raise UsageError(f"'{a}' and '{b}' hold the same {len(mine)} examples; give another set after --against.")
    notes = [*told, *also]
    both = np.array([key in mine for key in two.keys])
    if both.any():
        notes.append(f"{both.sum():,} of the {len(two):,} examples of '{b}' are in '{a}' too and were left out of B.")
    if len(one) < LEAST or (~both).sum() < LEAST:
        raise DataError(
            f"'{a}' has {len(one)} examples and '{b}' has {(~both).sum()} that are not in it too; "
            f"give at least {LEAST} of each, for a mismatch cannot be told from chance on fewer."
        )
    parts = []
    for name, data, free in (("A", one, np.arange(len(one))), ("B", two, np.flatnonzero(~both))):
        # another draw for each: two versions of one set must not be compared pair by pair
        drawn, note = drawn_of(data, free, rows, [seed, 23, len(parts)])
        parts.append(data.take(drawn))
        notes += [f"{name}: {note}"] if note else []
    return Pair(parts[0], parts[1], (len(one), len(two)), tuple(notes))


def read_either(path: str | Path, options: Options | None) -> tuple[Dataset, list[str]]:
    """Labelled data, or inputs alone where it says nothing of labels, with the reason as a note.

    Raises:
        DataError: neither.
    """
    try:
        return read(path, options), []
    except HeadstartError as error:
        if not Path(path).exists() or (isinstance(error, UsageError) and options and (options.label or options.task)):
            raise
        first = error
    options = options or Options()
    found: list[Dataset] = []
    for modality, column in (("image", options.image), ("text", options.text)):
        for name in dict.fromkeys((column, None)):
            try:
                found.append(read_inputs([path], modality=modality, column=name))
                break
            except HeadstartError:
                continue
    best = max(found, key=len, default=None)
    if best is None or not len(best):
        raise first
    return best, [f"'{path}' was read without labels: {str(first).rstrip('.')}."]


def labels_of(one: Seen, two: Seen, seed: int, *, also_estimated: bool = True) -> Labels:
    """Classes of both under one set of names; estimated where B says none, where A's can be learned.

    Args:
        also_estimated: whether shares are estimated where they are counted as well.
    """
    a, b = one.data, two.data
    if a.y is None or a.task == "labels":
        several = ("several labels per example are not compared.",) if a.task == "labels" and a.y is not None else ()
        return Labels(None, (), None, several)
    if a.task == "numbers":
        return _numbers(a, b, seed)
    known = b.y is not None and b.task == "classes"
    names, mine, theirs = _joined(a, b if known else replace(b, y=None, classes=()))
    notes: list[str] = []
    if known and not set(_plain(a.classes)) & set(_plain(b.classes)):
        known = False
        notes.append(
            f"the labels have no name in common ({_some(a.classes)} against {_some(b.classes)}), "
            "so only what the network sees is compared."
        )
        return Labels(None, (), None, tuple(notes))
    for label, here, there in (("A", a, b), ("B", b, a)):
        only = [name for name in here.classes if name.strip().lower() not in set(_plain(there.classes))]
        if known and only:
            notes.append(f"only {label} has the labels {_some(only)}.")
    answers = _answers(one, two, mine, seed) if also_estimated or not known else None
    found = None if answers is None else estimated(answers, len(names), seed=seed)
    guess = None if found is None else (found.proportions, found.low, found.high)
    counted = np.bincount(theirs, minlength=len(names)) / len(theirs) if known and theirs is not None else None
    share = np.bincount(mine, minlength=len(names)) / len(mine)
    target = counted if counted is not None else None if guess is None else guess[0]
    shares = tuple(
        Share(
            name,
            float(share[k]),
            None if counted is None else float(counted[k]),
            *((None,) * 3 if guess is None else (float(part[k]) for part in guess)),
            weight=None if target is None or not share[k] else float(target[k] / share[k]),
        )
        for k, name in enumerate(names)
    )
    p = differ(mine, theirs, len(names), seed=seed) if counted is not None and theirs is not None else None
    said = None if answers is None else (answers.source, answers.target)
    strata = None if target is None else Strata(mine, theirs if counted is not None else None, target, said)
    return Labels(strata, shares, p, tuple(notes))


def _answers(one: Seen, two: Seen, mine: NDArray, seed: int) -> Answers | None:
    """What heads on A's features say; None where A's classes cannot be learned."""
    try:
        return crossed(_joined_taps(one.layers), mine, _joined_taps(two.layers), seed=seed)
    except DataError:
        return None


def _joined_taps(layers: Mapping[str, NDArray]) -> NDArray:
    """The last layer; of a network whose layers are all as wide, which say different things, all of them."""
    taps = list(layers.values())[1:]
    return np.concatenate(taps, axis=1) if len({tap.shape[1] for tap in taps}) == 1 else taps[-1]


def _joined(a: Dataset, b: Dataset) -> tuple[tuple[str, ...], NDArray[np.int64], NDArray[np.int64] | None]:
    """Names of both, A's first, and the classes of both among them; capitals and blanks do not count."""
    assert a.y is not None
    place = {name: k for k, name in enumerate(_plain(a.classes))}
    names = [*a.classes, *(name for name in b.classes if name.strip().lower() not in place)]
    place = {name: k for k, name in reversed(list(enumerate(_plain(names))))}
    mine, theirs = (np.array([place[name] for name in _plain(data.classes)], np.int64) for data in (a, b))
    return tuple(names), mine[a.y], None if b.y is None else theirs[b.y]


def _numbers(a: Dataset, b: Dataset, seed: int) -> Labels:
    """Numbers in bins with as many rows of both together."""
    if b.y is None or b.task != "numbers" or len(a.classes) != 1 or a.classes != b.classes or a.y is None:
        return Labels(None, (), None, ("numbers are compared only where both sets have the same single one.",))
    both = np.concatenate([a.y[:, 0], b.y[:, 0]])
    edges = np.unique(np.quantile(both, np.linspace(0, 1, _BINS + 1)[1:-1]))
    mine, theirs = (np.searchsorted(edges, data.y[:, 0]) for data in (a, b) if data.y is not None)
    c = len(edges) + 1
    names = [f"{a.classes[0]} up to {edge:.4g}" for edge in edges] + [f"{a.classes[0]} above {edges[-1]:.4g}"]
    one, two = (np.bincount(part, minlength=c) / len(part) for part in (mine, theirs))
    shares = tuple(
        Share(name, float(x), float(z), None, None, None, float(z / x) if x else None)
        for name, x, z in zip(names, one, two, strict=True)
    )
    return Labels(Strata(mine, theirs, two), shares, differ(mine, theirs, c, seed=seed), ())


def drawn_of(data: Dataset, free: NDArray[np.int64], rows: int, seed: Sequence[int]) -> tuple[NDArray[np.int64], str]:
    """Rows at random, and a note; one of each group where there are groups enough, for rows of a group are alike."""
    order = np.random.default_rng(seed).permutation(free)
    note = ""
    if data.groups is not None:
        first = order[np.sort(np.unique(data.groups[order], return_index=True)[1])]
        if len(first) >= LEAST:
            note = f"one example of each of {len(first)} groups was looked at." if len(first) < len(order) else ""
            order = first
        else:
            note = f"its {len(first)} groups are too few to look at one example of each; rows of a group are alike, so "
            note += "the p values are too small."
    return np.sort(order[:rows]), note


def _plain(names: tuple[str, ...] | list[str]) -> list[str]:
    return [name.strip().lower() for name in names]


def _some(names: tuple[str, ...] | list[str]) -> str:
    rest = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + rest
