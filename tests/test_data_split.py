"""Splits: proportions by formula, groups whole, time forward, every row tested once."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from headstart.data.dataset import Dataset
from headstart.data.split import choice_folds, largest_remainder, split, within
from headstart.errors import DataError


def data_of(y, *, task="classes", part=None, groups=None, times=None):
    y = np.asarray(y)
    return Dataset(
        path=Path("x"),
        modality="text",
        task=task,
        inputs=tuple(f"text {row}" for row in range(len(y))),
        names=tuple(f"row {row + 1}" for row in range(len(y))),
        y=y,
        classes=tuple(str(kind) for kind in range(int(y.max()) + 1 if y.ndim == 1 else y.shape[1])),
        part=None if part is None else np.asarray(part),
        groups=None if groups is None else np.asarray(groups),
        times=None if times is None else np.asarray(times, dtype=float),
        because={},
        problems=(),
    )


def classes(sizes, seed=0):
    return np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))


def are_folds(folds, rows):
    """Each of the rows is scored once, and what is learned from is all the others."""
    assert sorted(np.concatenate([score for _, score in folds])) == sorted(rows)
    for learn, score in folds:
        assert set(learn) == set(rows) - set(score)
        assert len(learn)
        assert len(score)
        assert (np.diff(learn) > 0).all()
        assert (np.diff(score) > 0).all()


@pytest.mark.parametrize("sizes", [[40, 30, 30], [9, 81], [200, 150, 100, 49], [2, 2], [5] * 20, [1, 1, 1, 1], [1, 3]])
@pytest.mark.parametrize("seed", [0, 1])
def test_below_500_rows_each_is_tested_once_with_its_class_in_proportion(sizes, seed):
    y = classes(sizes)
    found = split(data_of(y), seed=seed)
    assert found.test is None
    assert found.train.tolist() == list(range(len(y)))
    are_folds(found.folds, range(len(y)))
    count = len(found.folds)
    for _, score in found.folds:
        for kind, size in enumerate(sizes):
            share = (y[score] == kind).sum()
            assert size // count <= share <= -(-size // count)
        assert len(y) // count <= len(score) <= -(-len(y) // count)
    several = [size for size in sizes if size > 1]
    assert count == min(5, max(2, min(several, default=len(y))))


@pytest.mark.parametrize("sizes", [[300, 200], [1000, 333, 7], [490, 10], [500, 1, 1], [250, 250, 250, 251], [2] * 250])
def test_from_500_rows_on_a_fifth_is_held_out_by_largest_remainder(sizes):
    y = classes(sizes)
    found = split(data_of(y))
    assert found.test is not None
    assert sorted([*found.train, *found.test]) == list(range(len(y)))
    are_folds(found.folds, found.train)
    for kind, size in enumerate(sizes):
        held, quota = (y[found.test] == kind).sum(), size * round(0.2 * len(y)) / len(y)
        assert held == 0 if size == 1 else np.floor(quota) <= held <= np.ceil(quota)
    quotas = [size * round(0.2 * len(y)) / len(y) for size in sizes if size > 1]
    assert len(found.test) == round(sum(quotas))


def test_largest_remainder_is_hamiltons_method():
    """By hand: floors first, then one more to the largest remainders until the total is met."""
    draw = np.random.default_rng(0)
    for _ in range(200):
        sizes = draw.integers(2, 60, draw.integers(1, 12))
        total = int(draw.integers(0, sizes.sum() // 2 + 1))
        quotas = sizes * total / sizes.sum()
        wanted = np.floor(quotas).astype(int)
        while wanted.sum() < total:
            wanted[np.argmax(quotas - wanted)] += 1
        np.testing.assert_array_equal(largest_remainder(sizes, total), wanted)


def test_numbers_are_spread_over_their_range():
    y = np.random.default_rng(0).lognormal(size=(700, 1))
    found = split(data_of(y, task="numbers"))
    bins = np.argsort(np.argsort(y[:, 0])) * 10 // len(y)
    assert np.bincount(bins[found.test]).tolist() == [14] * 10
    small = split(data_of(y[:103], task="numbers"))
    are_folds(small.folds, range(103))
    rank = np.argsort(np.argsort(y[:103, 0])) * 10 // 103
    for _, score in small.folds:
        assert np.bincount(rank[score], minlength=10).min() >= 2


def test_rare_labels_are_on_both_sides():
    y = np.zeros((600, 3), np.float32)
    y[:400, 0] = 1
    y[300:, 1] = 1
    y[::60, 2] = 1  # ten rows
    found = split(data_of(y, task="labels"))
    assert y[found.test, 2].sum() == 2
    assert abs(y[found.test, 0].mean() - y[:, 0].mean()) < 0.05


@pytest.mark.parametrize("n", [300, 900])
@pytest.mark.parametrize("seed", range(5))
def test_groups_are_never_torn(n, seed):
    draw = np.random.default_rng(seed)
    groups = draw.integers(0, 40, n)
    data = data_of(draw.integers(0, 3, n), groups=groups)
    found = split(data, seed=seed)
    pairs = list(found.folds)
    if found.test is not None:
        pairs.append((found.train, found.test))
        assert abs(len(found.test) - n / 5) < 0.05 * n
    else:
        are_folds(found.folds, range(n))
        pairs += choice_folds(data, found.folds[0][0])
    for learn, score in pairs:
        assert not set(groups[learn]) & set(groups[score])
        assert len(learn)
        assert len(score)


def test_groups_that_are_classes_of_patients_are_dealt_evenly():
    """60 patients of 10 rows, a third of them ill: each fold gets 12 patients, 4 of them ill."""
    groups = np.repeat(np.arange(60), 10)
    y = (groups % 3 == 0).astype(int)
    found = split(data_of(y, groups=groups), seed=3)
    assert len(set(groups[found.test])) == 12
    assert y[found.test].mean() == pytest.approx(1 / 3)


def test_a_group_of_most_rows_is_not_held_out():
    groups = np.r_[np.zeros(400, int), np.arange(1, 201)]
    found = split(data_of(np.arange(600) % 2, groups=groups))
    assert 0 not in groups[found.test]
    assert len(found.test) < 120


@pytest.mark.parametrize("n", [50, 1000])
def test_the_latest_fifth_is_the_test_and_choices_look_forward(n):
    draw = np.random.default_rng(0)
    times = draw.integers(0, n // 3, n)
    data = data_of(draw.integers(0, 2, n), times=times)
    found = split(data)
    assert times[found.train].max() < times[found.test].min()
    assert len(found.test) >= n / 5
    assert len(found.test) - n / 5 < np.bincount(times).max()
    for folds in (found.folds, choice_folds(data, found.train)):
        assert 1 <= len(folds) <= 3
        for learn, score in folds:
            assert set(learn) | set(score) <= set(found.train)
            assert times[learn].max() < times[score].min()


def test_groups_and_times_together_keep_both():
    draw = np.random.default_rng(0)
    times, groups = np.arange(300), draw.integers(0, 100, 300)
    data = data_of(draw.integers(0, 2, 300), times=times, groups=groups)
    found = split(data)
    for learn, score in [(found.train, found.test), *found.folds]:
        assert times[learn].max() < times[score].min()
        assert not set(groups[learn]) & set(groups[score])
    assert "groups" in found.how


def test_given_parts_are_followed():
    y = np.arange(100) % 2
    part = np.array(["train"] * 60 + ["val"] * 10 + ["test"] * 30)
    found = split(data_of(y, part=part))
    assert (found.train.tolist(), found.test.tolist()) == (list(range(70)), list(range(70, 100)))
    assert [(learn.tolist(), score.tolist()) for learn, score in found.folds] == [
        (list(range(60)), list(range(60, 70)))
    ]
    found = split(data_of(y, part=np.where(part == "val", "train", part)))
    assert found.test.tolist() == list(range(70, 100))
    are_folds(found.folds[:5], range(70))
    are_folds(found.folds[5:], range(70))
    found = split(data_of(y, part=np.where(part == "test", "val", part)))
    assert found.test.tolist() == list(range(60, 100))
    assert "is the only one held out, so it is the test" in found.how
    found = split(data_of(y, part=["train"] * 100))
    assert found.test is None
    with pytest.raises(DataError, match="gives a test and a val part but none to train on"):
        split(data_of(y, part=["val"] * 50 + ["test"] * 50))


@pytest.mark.parametrize(("rows", "count"), [(100, 10), (199, 10), (200, 5), (1999, 5), (2000, 3)])
def test_choice_folds_are_fewer_for_more_rows(rows, count):
    data = data_of(np.arange(3000) % 4)
    chosen = np.sort(np.random.default_rng(0).permutation(3000)[:rows])
    folds = choice_folds(data, chosen)
    assert len(folds) == count
    are_folds(folds[:5], chosen)
    if count == 10:
        are_folds(folds[5:], chosen)
        assert any(set(a[1]) != set(b[1]) for a, b in zip(folds[:5], folds[5:], strict=True))


@pytest.mark.parametrize("n", [60, 600])
def test_the_same_seed_gives_the_same_rows_and_another_seed_others(n):
    data = data_of(np.arange(n) % 3)

    def rows(seed):
        found = split(data, seed=seed)
        return [row.tolist() for fold in found.folds for row in fold]

    assert rows(1) == rows(1)
    assert rows(1) != rows(2)


def test_what_cannot_be_divided_is_refused():
    refused = {
        "3 rows are too few": data_of([0, 1, 0]),
        "belong to one group": data_of([0, 1] * 5, groups=["a"] * 10),
        "nearly all rows have the same time": data_of([0, 1] * 5, times=[3.0] * 10),
        "every group has rows in the last fifth": data_of([0, 1] * 5, times=range(10), groups=[0, 1] * 5),
        "so no choice can be tested forward": data_of([0, 1] * 5, times=[1] * 8 + [2, 3]),
    }
    for sentence, data in refused.items():
        with pytest.raises(DataError, match=sentence):
            split(data)
    with pytest.raises(DataError, match="has no answers"):
        split(replace(data_of([0, 1, 0, 1]), y=None))


@pytest.mark.parametrize("rows", [120, 700])
def test_rows_that_repeat_one_another_are_never_learned_from_and_tested(rows):
    y = np.arange(rows) % 2
    groups = [(0, 10, 50), (7, 90), *((k, k + 1) for k in range(20, 40, 2))]
    found = split(data_of(y), seed=1, repeats=groups)
    pairs = [*found.folds, *([] if found.test is None else [(found.train, found.test)])]
    for group in groups:
        assert all(not (set(group) & set(a) and set(group) & set(b)) for a, b in pairs)
    plain = split(data_of(y), seed=1)
    if found.test is None:
        tested = np.sort(np.concatenate([b for _, b in found.folds]))
        np.testing.assert_array_equal(tested, np.arange(rows))
    else:
        np.testing.assert_array_equal(found.test, plain.test)
        lost = set(plain.train) - set(found.train)
        repeating = {row for group in groups if set(group) & set(plain.test) for row in group}
        assert lost == repeating & set(plain.train)
        assert f"{len(lost)} that repeat a test row" in found.how


def test_a_given_test_part_is_kept_as_it_is():
    part = np.array(["train", "test"] * 60)
    plain, found = (split(data_of(np.arange(120) // 60, part=part), repeats=groups) for groups in ((), [(0, 1)]))
    np.testing.assert_array_equal(plain.train, found.train)
    np.testing.assert_array_equal(plain.test, found.test)


def test_repeats_that_cannot_be_parted_are_not_said_to_be():
    y = np.r_[np.zeros(60, int), np.ones(60, int)]
    found = split(data_of(y), repeats=[tuple(range(60))])  # all of a class: parting them would take it away
    assert any(0 in set(y[learn]) and 0 in set(y[score]) for learn, score in found.folds)
    assert "never on both sides" not in found.how


def test_folds_are_given_as_positions_among_their_rows():
    rows = np.array([9, 2, 5, 7])
    folds = ((np.array([9, 5]), np.array([2])), (np.array([2, 7]), np.array([9, 5])))
    for (a, b), (x, y) in zip(folds, within(folds, rows), strict=True):
        assert rows[x].tolist() == a.tolist()
        assert rows[y].tolist() == b.tolist()
