"""Which examples teach, which choose and which are only looked at once, at the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headstart.data.dataset import Dataset
from headstart.errors import DataError

HELD_OUT_FROM = 500  # rows from which on a test part is held out
TEST_PART = 0.2
OUTER_FOLDS = 5
SMALL, LARGE = 200, 2000  # below: folds repeated; from: fewer folds
BINS = 10  # of a number, to spread its range over the folds

Rows = NDArray[np.int64]
Folds = tuple[tuple[Rows, Rows], ...]


@dataclass(frozen=True, eq=False)
class Split:
    """Rows by what they are for. All are positions in the data, sorted.

    Attributes:
        train: rows that may be learned from; with a given val part it is among them.
        test: rows that no choice may see, or None where all rows are used in nested cross-validation.
        folds: (rows to learn from, rows to score on). With a test they are folds of `train`, for choices;
            without one they are the outer folds whose scores are reported, and choices inside the first rows of
            each fold need `choice_folds` of their own.
        how: one sentence.
    """

    train: Rows
    test: Rows | None
    folds: Folds
    how: str


def split(data: Dataset, *, seed: int = 0, repeats: Sequence[Sequence[int]] = ()) -> Split:
    """Divide the data: as it is given, else by time, else by group, else stratified.

    Args:
        data: with answers.
        seed: of the shuffling; the same seed gives the same rows.
        repeats: groups of rows that are the same, exactly or nearly; where the division is not given, none is learned
            from while another of its group is tested.

    Raises:
        DataError: no answers, a given test without anything to learn from, or too few rows or groups.
    """
    if data.y is None:
        raise DataError("the data has no answers, so there is nothing to hold out; read it with a label.")
    if len(data) < 4:
        raise DataError(f"{len(data)} rows are too few to learn and to test; give at least 4, better 50 and more.")
    if data.part is not None and len(set(data.part)) > 1:
        return _given(data, seed)
    return apart(_drawn(data, seed), data, repeats)


def _drawn(data: Dataset, seed: int) -> Split:
    if data.times is not None:
        return _by_time(data)
    if len(data) < HELD_OUT_FROM:
        folds = _deal(data, np.arange(len(data)), OUTER_FOLDS, seed)
        how = f"{len(data)} rows are fewer than {HELD_OUT_FROM}, so each is tested once in {len(folds)} outer folds"
        return Split(np.arange(len(data)), None, folds, how + _kind(data))
    test = _hold_out(data, seed)
    train = np.setdiff1d(np.arange(len(data)), test)
    how = f"{len(test)} of {len(data)} rows were held out as the test" + _kind(data)
    return Split(train, test, choice_folds(data, train, seed=seed), how)


def choice_folds(data: Dataset, rows: Rows, *, seed: int = 0) -> Folds:
    """Folds of some rows, for choices among them: 5 folds twice below 200 rows, 5 below 2,000, else 3.

    Groups stay whole; with times, each fold scores on rows later than those it learns from.
    """
    if data.times is not None:
        return _forward(data, rows, 3)
    if len(rows) < SMALL:
        return _deal(data, rows, 5, seed) + _deal(data, rows, 5, seed + 1_000_003)
    return _deal(data, rows, 5 if len(rows) < LARGE else 3, seed)


def _given(data: Dataset, seed: int) -> Split:
    assert data.part is not None
    train, val, test = (np.flatnonzero(data.part == part) for part in ("train", "val", "test"))
    if not len(train):
        raise DataError(
            f"the data gives a {' and a '.join(sorted(set(data.part)))} part but none to train on; call one train."
        )
    if not len(test):
        how = f"the given val part ({len(val)} rows) is the only one held out, so it is the test"
        return Split(train, val, choice_folds(data, train, seed=seed), how)
    if len(val):
        how = f"train ({len(train)} rows), val ({len(val)}, for choices) and test ({len(test)}) are as given"
        return Split(np.union1d(train, val), test, ((train, val),), how)
    how = f"train ({len(train)} rows) and test ({len(test)}) are as given"
    return Split(train, test, choice_folds(data, train, seed=seed), how)


def _kind(data: Dataset) -> str:
    if data.groups is not None:
        return f", with all rows of one of the {len(np.unique(data.groups))} groups on the same side"
    return {"numbers": ", spread over the range of the answers", "labels": ", with each label in proportion"}.get(
        data.task, ", with each class in proportion"
    )


def _by_time(data: Dataset) -> Split:
    assert data.times is not None
    order = np.argsort(data.times, kind="stable")
    cut = data.times[order[int(len(data) * (1 - TEST_PART))]]
    train, test = np.flatnonzero(data.times < cut), np.flatnonzero(data.times >= cut)
    if not len(train):
        raise DataError("nearly all rows have the same time, so none is earlier than the test; drop --time.")
    how = f"the last fifth in time ({len(test)} of {len(data)} rows) is the test"
    if data.groups is not None:
        kept = train[~np.isin(data.groups[train], data.groups[test])]
        how += f"; {len(train) - len(kept)} earlier rows of groups that are in it were left out"
        train = kept
        if len(train) < 2:
            raise DataError("every group has rows in the last fifth of time, so none is left to learn from; drop one.")
    return Split(train, test, _forward(data, train, 3), how)


def _forward(data: Dataset, rows: Rows, count: int) -> Folds:
    """Folds that learn from everything before a moment and score on the stretch after it.

    Rows of the same time fall on the same side; earlier rows of a group that is scored are not learned from.
    """
    assert data.times is not None
    times = data.times
    stamps = np.unique(times[rows])
    if len(stamps) < 2:
        raise DataError("all rows to learn from have the same time, so no choice can be tested forward; drop --time.")
    ordered = np.sort(times[rows])
    marks = [ordered[int(len(rows) * part)] for part in np.linspace(0.4, 1.0, count + 1)[:-1]]
    marks = sorted({max(mark, stamps[1]) for mark in marks})
    ends = [*marks[1:], np.inf]
    folds = []
    for mark, end in zip(marks, ends, strict=True):
        learn = np.sort(rows[times[rows] < mark])
        score = np.sort(rows[(times[rows] >= mark) & (times[rows] < end)])
        if data.groups is not None:
            learn = learn[~np.isin(data.groups[learn], data.groups[score])]
        if len(learn):
            folds.append((learn, score))
    if not folds:
        raise DataError("no group ends before another begins, so no choice can be tested forward; drop --group.")
    return tuple(folds)


def strata(data: Dataset, rows: Rows) -> NDArray[np.int64]:
    """A number per row; rows of one number should be spread evenly.

    Classes are their own strata, of several labels a row's rarest one counts, numbers fall into equal bins.
    """
    assert data.y is not None
    y = data.y[rows]
    if data.task == "classes":
        return y
    if data.task == "labels":
        often = y.sum(axis=0)
        rarity = np.where(y > 0, often, np.inf)
        return np.where(y.any(axis=1), rarity.argmin(axis=1), y.shape[1])
    rank = np.argsort(np.argsort(y[:, 0], kind="stable"), kind="stable")
    return rank * min(BINS, max(1, len(rows) // 5)) // max(len(rows), 1)


def within(folds: Folds, rows: Rows) -> Folds:
    """The same folds as positions among these rows, of which they consist."""
    place = np.full(int(rows.max(initial=-1)) + 1, -1)
    place[rows] = np.arange(len(rows))
    return tuple((place[a], place[b]) for a, b in folds)


def some(data: Dataset, rows: Rows, most: int, *, seed: int = 0) -> Rows:
    """At most so many of the rows, every class by its share, sorted; fewer are always among more.

    Args:
        rows: positions in the data.
        most: how many.
        seed: of their order.
    """
    if len(rows) <= most:
        return np.sort(rows)
    order = np.random.default_rng([seed, 5]).permutation(len(rows))
    kinds = strata(data, rows)[order]
    turn = np.zeros(len(rows))
    for kind in np.unique(kinds):  # each class's rows at even distances, so that every beginning has its share
        own = np.flatnonzero(kinds == kind)
        turn[own] = (np.arange(len(own)) + 0.5) / len(own)
    return np.sort(rows[order[np.argsort(turn, kind="stable")[:most]]])


def _deal(data: Dataset, rows: Rows, count: int, seed: int) -> Folds:
    """Stratified folds, by group where there are groups; fewer than asked where a class has fewer rows."""
    draw = np.random.default_rng([seed, len(rows)])
    kinds = strata(data, rows)
    if data.groups is not None:
        groups = np.unique(data.groups[rows], return_inverse=True)[1]
        if groups.max() < 1:
            raise DataError("all rows to learn from belong to one group, so none can be held out; drop --group.")
        fold = _deal_groups(groups, kinds, min(count, int(groups.max()) + 1), draw)
    else:
        fold = _deal_rows(kinds, _fold_count(data, kinds, count), draw)
    return tuple((rows[fold != k], rows[fold == k]) for k in range(int(fold.max()) + 1))


def _fold_count(data: Dataset, kinds: NDArray[np.int64], count: int) -> int:
    """As many folds as the smallest class has rows, from 2 to `count`; classes of one row do not count."""
    sizes = np.unique(kinds, return_counts=True)[1]
    fewest = int(sizes[sizes > 1].min()) if data.task == "classes" and (sizes > 1).any() else len(kinds)
    return max(2, min(count, fewest))


def _deal_rows(kinds: NDArray[np.int64], count: int, draw: np.random.Generator) -> NDArray[np.int64]:
    """A fold per row: each stratum is shuffled and dealt out in turn, going on where the last one ended."""
    fold = np.empty(len(kinds), dtype=np.int64)
    at = 0
    for kind in np.unique(kinds):
        mine = draw.permutation(np.flatnonzero(kinds == kind))
        fold[mine] = (at + np.arange(len(mine))) % count
        at += len(mine)
    return fold


def _deal_groups(
    groups: NDArray[np.int64], kinds: NDArray[np.int64], count: int, draw: np.random.Generator
) -> NDArray[np.int64]:
    """A fold per row with groups whole: the largest group first, each where it evens out strata and sizes most."""
    names, kind = np.unique(kinds, return_inverse=True)
    table = np.zeros((groups.max() + 1, len(names)))
    np.add.at(table, (groups, kind), 1)
    weight = 1 / table.sum(axis=0)  # a rare stratum counts as much as a common one
    filled = np.zeros((count, len(names)))
    chosen = np.empty(len(table), dtype=np.int64)
    shuffled = draw.permutation(len(table))
    for group in shuffled[np.argsort(-table[shuffled].sum(axis=1), kind="stable")]:
        # the sum of squares grows least where the group's strata are still scarce
        cost = (((filled + table[group]) * weight) ** 2 - (filled * weight) ** 2).sum(axis=1)
        size = filled.sum(axis=1) / len(groups)
        chosen[group] = np.lexsort((size, np.round(cost, 9)))[0]
        filled[chosen[group]] += table[group]
    return chosen[groups]


def _hold_out(data: Dataset, seed: int) -> Rows:
    """A fifth of the rows, sorted: stratified by largest remainder, or whole groups."""
    rows = np.arange(len(data))
    if data.groups is not None:
        # not simply the first: the largest group, which may be most of the rows, is dealt to that one
        dealt = [score for _, score in _deal(data, rows, round(1 / TEST_PART), seed)]
        return min(dealt, key=lambda score: abs(len(score) - TEST_PART * len(data)))
    draw = np.random.default_rng([seed, len(data)])
    kinds = strata(data, rows)
    names, sizes = np.unique(kinds, return_counts=True)
    shares = largest_remainder(sizes, round(TEST_PART * len(data)))
    mine = [draw.permutation(np.flatnonzero(kinds == name))[:share] for name, share in zip(names, shares, strict=True)]
    return np.sort(np.concatenate(mine))


def largest_remainder(sizes: NDArray[np.int64], total: int) -> NDArray[np.int64]:
    """Shares of `total` in proportion to the sizes, rounded so that they add up (Hamilton's method).

    A size of 1 gets no share: its only row is needed to learn from.
    """
    quota = np.where(sizes > 1, sizes, 0) * (total / max(sizes.sum(), 1))
    shares = np.floor(quota).astype(np.int64)
    short = min(total, round(float(quota.sum()))) - int(shares.sum())
    most = np.argsort(-(quota - shares), kind="stable")[: max(short, 0)]
    shares[most] += 1
    return np.minimum(shares, np.maximum(sizes - 1, 0))


def apart(found: Split, data: Dataset, repeats: Sequence[Sequence[int]]) -> Split:
    """The same split in which no row is learned from that repeats one it is tested on.

    A test part and its folds lose the repeating rows from what is learned; where that would take a class away or
    leave nothing, they stay, and the checks say so.

    Args:
        repeats: groups of rows that are the same, exactly or nearly.
    """
    group = np.full(len(data), -1)
    for number, rows in enumerate(repeats):
        group[list(rows)] = number

    def kept(learn: Rows, score: Rows) -> Rows:
        left = learn[(group[learn] < 0) | ~np.isin(group[learn], group[score])]
        if len(left) < 2 or (data.task == "classes" and len(set(_y(data)[left])) < len(set(_y(data)[learn]))):
            return learn
        return left

    train = found.train if found.test is None else kept(found.train, found.test)
    pairs = (
        (kept(np.intersect1d(a, train), b), b if found.test is None else np.intersect1d(b, train))
        for a, b in found.folds
    )
    folds = tuple((a, b) for a, b in pairs if len(b))  # a fold whose scored rows all repeat test rows is gone
    lost = len(found.train) - len(train)
    how = found.how + (f"; {lost} that repeat a test row are not learned from" if lost else "")
    torn = any(np.isin(group[a][group[a] >= 0], group[b]).any() for a, b in folds)
    if found.test is None and len(repeats) and not torn:
        how += "; rows that repeat one another are never on both sides"
    return Split(train, found.test, folds, how)


def _y(data: Dataset) -> NDArray:
    assert data.y is not None
    return data.y
