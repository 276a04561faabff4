"""What is wrong or doubtful in the data, said before any training."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from headstart.data.dataset import Dataset
from headstart.data.near import Look, look, picture_twins, text_twins
from headstart.data.split import Split

IMBALANCE = 10  # times that the largest class is larger than the smallest
FEW = 50  # rows
FEW_OF_A_CLASS = 5
TINY = 32  # pixels of the shorter side
MAJORITY = 0.95  # of the rows

Groups = list[list[int]]


@dataclass(frozen=True)
class Finding:
    """One thing a person should know.

    Attributes:
        severity: "error" (training makes no sense), "warning" (the result may mislead) or "note".
        what: a short code, such as "leak" or "imbalance".
        text: one sentence: what was seen, what follows, what to do.
        rows: positions in the data that it is about.
    """

    severity: str
    what: str
    text: str
    rows: tuple[int, ...] = ()


@dataclass(frozen=True)
class Repeats:
    """Groups of rows that are the same: to the byte, and all that are so or nearly so."""

    same: Groups
    near: Groups


def repeats(data: Dataset, *, looked: Look | None = None, threads: int = 2) -> Repeats:
    """Rows that come more than once.

    Args:
        looked: as of `check`.
    """
    same = _equal_keys(data)
    if data.modality == "image":
        twins = picture_twins((looked or look(data.pictures, threads=threads)).thumbnails)
    else:
        twins = text_twins(data.texts)
    return Repeats(same, _joined([*twins.tolist(), *((group[0], row) for group in same for row in group[1:])]))


def check(
    data: Dataset,
    split: Split | None,
    *,
    looked: Look | None = None,
    again: Repeats | None = None,
    threads: int = 2,
) -> tuple[Finding, ...]:
    """Everything found, errors first.

    Args:
        data: the whole data.
        split: how it is divided; None looks at the data alone.
        looked: thumbnails where they are at hand; None decodes the pictures for them.
        again: rows that come more than once, where they are known; None looks for them.
        threads: that decode.
    """
    found = [*_left_out(data), *_answers(data), *_sizes(data), *_parts(data), *_unseen(data, split)]
    if data.modality == "image":
        looked = looked or look(data.pictures, threads=threads)
        found += _pictures(data, looked)
    else:
        found += _texts(data)
    again = again or repeats(data, looked=looked)
    found += _duplicates(data, split, again.same, again.near)
    order = {"error": 0, "warning": 1, "note": 2}
    return tuple(sorted(found, key=lambda finding: order[finding.severity]))


def _left_out(data: Dataset) -> Iterator[Finding]:
    if data.problems:
        reasons = Counter(problem.why for problem in data.problems)
        reason, often = reasons.most_common(1)[0]
        first = next(problem.name for problem in data.problems if problem.why == reason)
        share = len(data.problems) / (len(data.problems) + len(data))
        text = (
            f"{_count(len(data.problems), 'row or file', 'rows or files')} left out, {often} because {reason}"
            f" (first: {first}); correct them to use them."
        )
        yield Finding("warning" if share > 0.1 else "note", "left-out", text)


def _answers(data: Dataset) -> Iterator[Finding]:
    if data.y is None:
        return
    if data.task == "numbers":
        for column in np.flatnonzero(np.ptp(data.y, axis=0) == 0):
            text = f"'{data.classes[column]}' is {data.y[0, column]:g} in every row, so there is nothing to learn."
            yield Finding("error", "constant", text)
        return
    if data.task == "labels":
        yield from _label_columns(data)
        return
    sizes = np.bincount(data.y, minlength=len(data.classes))
    present = np.flatnonzero(sizes)
    if len(present) < 2:
        name = data.classes[present[0]] if len(present) else ""
        yield Finding("error", "constant", f"every row is '{name}', so there is nothing to learn; add another class.")
        return
    yield from _class_sizes(data, sizes, present)


def _label_columns(data: Dataset) -> Iterator[Finding]:
    assert data.y is not None
    often = data.y.sum(axis=0)
    constant = np.flatnonzero((often == 0) | (often == len(data)))
    if len(constant):
        names = _names([data.classes[column] for column in constant])
        all_of_them = len(constant) == data.y.shape[1]
        text = f"{names} are the same in every row and cannot be learned; leave them out or add other examples."
        yield Finding("error" if all_of_them else "warning", "constant", text)
    rare = np.flatnonzero(often == 1)
    if len(rare):
        text = (
            f"{_count(len(rare), 'label', 'labels')} with a single example ({_names([data.classes[c] for c in rare])})"
            " cannot be both learned and tested; add examples or leave them out."
        )
        yield Finding("warning", "single", text, _rows(data.y[:, rare].sum(axis=1) > 0))


def _class_sizes(data: Dataset, sizes: NDArray, present: NDArray) -> Iterator[Finding]:
    assert data.y is not None
    if len(present) > len(data) / 2 and len(data) >= 20:
        text = (
            f"{len(data)} rows have {len(present)} different labels, which looks like an identifier and cannot be"
            " learned; name the column of answers with --label."
        )
        yield Finding("error", "identifier", text)
        return
    single = present[sizes[present] == 1]
    if len(single):
        names = _names([data.classes[kind] for kind in single])
        text = (
            f"{_count(len(single), 'class', 'classes')} with a single example ({names}) cannot be both learned and"
            " tested; add examples or leave them out."
        )
        yield Finding("warning", "single", text, _rows(np.isin(data.y, single)))
    small = present[(sizes[present] > 1) & (sizes[present] < FEW_OF_A_CLASS)]
    if len(small):
        names = _names([f"{data.classes[kind]}: {sizes[kind]}" for kind in small])
        text = (
            f"{_count(len(small), 'class', 'classes')} with fewer than {FEW_OF_A_CLASS} examples ({names}): add some."
        )
        yield Finding("note", "few-of-a-class", text)
    most, least = present[sizes[present].argmax()], present[sizes[present].argmin()]
    ratio = sizes[most] / sizes[least]
    if ratio >= IMBALANCE or sizes[most] > MAJORITY * len(data):
        text = (
            f"'{data.classes[most]}' has {ratio:.0f} times as many examples as '{data.classes[least]}'"
            f" ({sizes[most]} and {sizes[least]}), so accuracy alone says little; look at balanced accuracy and try"
            " --balance."
        )
        yield Finding("warning", "imbalance", text)


def _sizes(data: Dataset) -> Iterator[Finding]:
    if len(data) < FEW:
        text = f"{len(data)} examples are few: the score will be uncertain by many points; give {FEW} or more."
        yield Finding("warning", "few", text)


def _parts(data: Dataset) -> Iterator[Finding]:
    if data.part is None:
        return
    learn, test = (np.isin(data.part, names) for names in (["train", "val"], ["test"]))
    if data.groups is not None:
        both = np.intersect1d(data.groups[learn], data.groups[test])
        if len(both):
            rows = _rows(test & np.isin(data.groups, both))
            text = (
                f"{_count(len(both), 'group', 'groups')} ({_names(both.tolist())}) in the given train part and also in"
                f" the test, with {len(rows)} test rows, so the score may be too good; divide by group."
            )
            yield Finding("warning", "group-leak", text, rows)
    if data.times is not None and learn.any() and test.any() and data.times[learn].max() > data.times[test].min():
        late = _rows(learn & (data.times > data.times[test].min()))
        text = (
            f"{_count(len(late), 'row', 'rows')} of the given train part are later than the first test row, so the"
            " score may be too good for a forecast; divide by time."
        )
        yield Finding("warning", "time-overlap", text, late)


def _unseen(data: Dataset, split: Split | None) -> Iterator[Finding]:
    if split is None or split.test is None or data.y is None or data.task != "classes":
        return
    unseen = np.setdiff1d(data.y[split.test], data.y[split.train])
    if len(unseen):
        rows = tuple(int(row) for row in split.test[np.isin(data.y[split.test], unseen)])
        text = (
            f"{_names([data.classes[kind] for kind in unseen])} in the test but not in what is learned from, so these"
            f" {len(rows)} rows will be wrong; add training examples."
        )
        yield Finding("warning", "unseen", text, rows)


def _pictures(data: Dataset, looked: Look) -> Iterator[Finding]:
    if looked.broken:
        first = min(looked.broken)
        text = (
            f"{_count(len(looked.broken), 'picture', 'pictures')} cannot be read and will be left out (first:"
            f" {data.names[first]}: {looked.broken[first]}); save them again or remove them."
        )
        yield Finding("warning", "unreadable", text, tuple(sorted(looked.broken)))
    shorter = looked.sizes.min(axis=1) if len(looked.sizes) else np.zeros(0)
    tiny = (shorter > 0) & (shorter < TINY)
    if tiny.any():
        text = (
            f"{_count(int(tiny.sum()), 'picture', 'pictures')} with a side of less than {TINY} pixels (smallest"
            f" {int(shorter[tiny].min())}) hold little that a network made for photographs can use."
        )
        yield Finding("note", "tiny", text, _rows(tiny))


def _texts(data: Dataset) -> Iterator[Finding]:
    blank = np.array([not str(text).strip() for text in data.inputs], dtype=bool)
    if blank.any():
        text = f"{_count(int(blank.sum()), 'text is', 'texts are')} empty and teach nothing; leave them out."
        yield Finding("warning", "empty", text, _rows(blank))


def _equal_keys(data: Dataset) -> Groups:
    """Rows of equal content. Files of a size of their own are not opened unless they were hashed before."""
    if "keys" not in data.__dict__ and data.inputs and isinstance(data.inputs[0], Path):
        sizes: dict[int, list[int]] = {}
        for row, source in enumerate(data.inputs):
            if isinstance(source, Path) and source.is_file():
                sizes.setdefault(source.stat().st_size, []).append(row)
        rows = [row for group in sizes.values() if len(group) > 1 for row in group]
        return [[rows[at] for at in group] for group in _alike(data.take(rows).keys)]
    return _alike(data.keys)


def _alike(keys: Iterable[str]) -> Groups:
    places: dict[str, list[int]] = {}
    for row, key in enumerate(keys):
        places.setdefault(key, []).append(row)
    return [group for group in places.values() if len(group) > 1]


def _joined(pairs: Iterable[tuple[int, int] | list[int]]) -> Groups:
    """Rows that hang together by pairs, sorted."""
    parent: dict[int, int] = {}

    def top(row: int) -> int:
        while (above := parent.setdefault(row, row)) != row:
            parent[row] = row = parent[above]
        return row

    for a, b in pairs:
        parent[top(a)] = top(b)
    groups: dict[int, list[int]] = {}
    for row in sorted(parent):
        groups.setdefault(top(row), []).append(row)
    return list(groups.values())


def _duplicates(data: Dataset, split: Split | None, same: Groups, near: Groups) -> Iterator[Finding]:
    things = "pictures" if data.modality == "image" else "texts"
    exact = {row for group in same for row in group}
    if split is not None and split.test is not None:
        learned = np.zeros(len(data), dtype=bool)
        learned[split.train] = True
        tested = np.zeros(len(data), dtype=bool)
        tested[split.test] = True
        leaks = [row for group in near if learned[group].any() for row in group if tested[row]]
        if leaks:
            equal = [row for group in same if learned[group].any() for row in group if tested[row]]
            text = (
                f"{len(leaks)} of {len(split.test)} test {things} are also among those learned from ({len(equal)}"
                f" exactly, {len(leaks) - len(equal)} nearly; first: {data.names[leaks[0]]}), so the score may be too"
                " good; remove one of each."
            )
            yield Finding("warning", "leak", text, tuple(leaks))
    rows = [row for group in near for row in group]
    if rows:
        whole = split is not None and split.test is None and _torn(split, len(data), near)
        extra = len(rows) - len(near)
        text = (
            f"{len(rows)} {things} come more than once ({len(exact)} exactly, the others nearly; first:"
            f" {data.names[rows[0]]})"
            + (", so one may be learned and its copy tested" if whole else "")
            + f"; removing {extra} would leave one of each."
        )
        yield Finding("warning" if whole else "note", "duplicates", text, tuple(rows))
    yield from _conflicts(data, same, near, things)


def _torn(split: Split, n: int, near: Groups) -> bool:
    """Whether a fold learns from a row and is scored on one that repeats it."""
    group = np.full(n, -1)
    for number, rows in enumerate(near):
        group[rows] = number
    return any(len(np.setdiff1d(np.intersect1d(group[a], group[b]), [-1])) for a, b in split.folds)


def _conflicts(data: Dataset, same: Groups, near: Groups, things: str) -> Iterator[Finding]:
    if data.y is None or data.task == "numbers":
        return
    y = data.y.reshape(len(data), -1)
    said: set[int] = set()
    for groups, word, severity in ((same, "the same", "warning"), (near, "nearly the same", "note")):
        groups_in_clash = [group for group in groups if (y[group] != y[group[0]]).any()]
        clash = [row for group in groups_in_clash if not said.issuperset(group) for row in group]
        said.update(clash)
        if clash:
            text = (
                f"{len(clash)} {things} are {word} as another and have different labels (first:"
                f" {data.names[clash[0]]}), so at least one of each is wrong or both apply; look at them."
            )
            yield Finding(severity, "conflict" if word == "the same" else "near-conflict", text, tuple(clash))


def _rows(mask: NDArray[np.bool_]) -> tuple[int, ...]:
    return tuple(int(row) for row in np.flatnonzero(mask))


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def _names(names: list[str]) -> str:
    shown = [f"'{name}'" for name in names[:4]]
    return ", ".join(shown) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
