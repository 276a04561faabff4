"""Moments of parts add up to those of all rows, whatever is done with their columns, and survive the disk."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from headstart.errors import DataError
from headstart.heads.moments import Moments

TASKS = ("classes", "labels", "numbers")
FIELDS = ("origin", "rows", "total", "gram", "count", "sums")
C = 4


def rows(task, n=300, d=7, seed=0):
    """Features with large offsets and unlike scales, and targets."""
    draw = np.random.default_rng(seed)
    x = draw.normal(size=(n, d)) @ draw.normal(size=(d, d)) * np.logspace(-2, 2, d) + 1000
    y = {
        "classes": draw.integers(0, C, n),
        "labels": draw.integers(0, 2, (n, C)).astype(np.float32),
        "numbers": x[:, :C] * 3 + 2000,
    }
    return x, y[task]


def same(a, b, rtol=1e-9):
    for name in FIELDS:
        scale = np.abs(vars(b)[name]).max(initial=0.0)
        assert_allclose(vars(a)[name], vars(b)[name], rtol=rtol, atol=1e-9 * scale, err_msg=name)


@pytest.mark.parametrize("task", TASKS)
def test_moments_of_two_parts_add_up_to_those_of_all_rows(task):
    x, y = rows(task)
    first = Moments.of(x[:110], y[:110], task, C)
    rest = Moments.of(x[110:], y[110:], task, C, first.origin)
    same(first.plus(rest), Moments.of(x, y, task, C, first.origin))
    same(rest.plus(first), first.plus(rest))


@pytest.mark.parametrize("task", TASKS)
def test_moments_are_the_mean_and_the_covariance_that_numpy_finds(task):
    x, y = rows(task)
    z = np.hstack([x, y]) if task == "numbers" else x
    found = Moments.of(x, y, task, C)
    assert_allclose(found.centre, z.mean(0))
    assert_allclose(found.spread, z.var(0))
    if task == "classes":
        by_class = sum(np.cov(x[y == k].T, bias=True) * (y == k).sum() for k in range(C))
        assert_allclose(found.within, by_class, rtol=1e-8, atol=1e-8 * np.abs(by_class).max())
    else:
        assert_allclose(found.within / len(x), np.cov(z.T, bias=True), rtol=1e-7, atol=1e-7 * z.var(0).max())


def test_sums_of_each_class_and_of_each_label_are_those_of_its_rows():
    x, y = rows("classes")
    found = Moments.of(x, y, "classes", C + 1)
    assert_array_equal(found.known, [True] * C + [False])
    for k in range(C):
        assert found.count[k] == (y == k).sum()
        assert_allclose(found.sums[k], (x[y == k] - found.origin).sum(0))
    x, y = rows("labels")
    y[:50, 0] = np.nan  # nobody asked
    found = Moments.of(x, y, "labels", C)
    for k, kind in enumerate((1, 0)):
        for label in range(C):
            mine = y[:, label] == kind
            assert found.count[k, label] == mine.sum()
            assert_allclose(found.sums[k, label], (x[mine] - found.origin).sum(0))
    assert found.count[:, 0].sum() == len(x) - 50


@pytest.mark.parametrize("task", TASKS)
def test_a_row_that_weighs_two_is_the_row_twice(task):
    x, y = rows(task)
    once = Moments.of(x, y, task, C)
    same(once.scaled(2.0), Moments.of(np.concatenate([x, x]), np.concatenate([y, y]), task, C, once.origin))


def test_classes_weigh_differently_with_their_means_and_what_lies_within_them_kept():
    x, y = rows("classes")
    whole, weight = Moments.of(x, y, "classes", C), np.array([1.0, 0.5, 0.0, 2.0])
    found = whole.scaled(weight)
    assert_allclose(found.count, weight * whole.count)
    for k in (0, 1, 3):
        assert_allclose(found.sums[k] / found.count[k] + found.origin, x[y == k].mean(0))
    assert_allclose(found.within / found.rows, whole.within / whole.rows, atol=1e-8 * np.abs(whole.within).max())
    assert_allclose(found.rows, found.count.sum())
    assert_allclose(found.total, found.sums.sum(0))
    assert_array_equal(found.known, [True, True, False, True])


@pytest.mark.parametrize("task", TASKS)
def test_columns_that_move_are_those_of_rows_whose_columns_moved(task):
    x, y = rows(task)
    places, c = [2, 0, 3, 1], C if task == "numbers" else C + 2
    if task == "classes":
        moved = np.array(places)[y]
    elif task == "numbers":
        moved = y[:, np.argsort(places)]
    else:
        moved = np.full((len(y), c), np.nan)
        moved[:, places] = y
    found = Moments.of(x, y, task, C).with_columns(places, c)
    same(found, Moments.of(x, moved, task, c))
    assert found.columns == c


@pytest.mark.parametrize("task", TASKS)
def test_what_is_read_again_is_what_was_stored_but_for_single_precision(task):
    x, y = rows(task)
    wrote = Moments.of(x, y, task, C)
    arrays = wrote.arrays()
    assert all(name.startswith("moments.") for name in arrays)
    assert arrays["moments.gram"].dtype == arrays["moments.sums"].dtype == np.float32
    w = len(wrote.origin)
    assert arrays["moments.gram"].shape == (w * (w + 1) // 2,)
    found = Moments.from_arrays({**arrays, "other": x}, task)
    same(found, wrote, rtol=1e-6)
    assert_array_equal(found.gram, found.gram.T)
    assert_array_equal(found.origin, wrote.origin)
    assert_array_equal(found.count, wrote.count)
    same(found.plus(Moments.of(x, y, task, C, found.origin)), wrote.scaled(2.0), rtol=1e-6)


def test_moments_that_are_not_alike_are_not_added():
    x, y = rows("classes")
    one = Moments.of(x, y, "classes", C)
    with pytest.raises(DataError, match="about the same origin"):
        one.plus(Moments.of(x + 1, y, "classes", C))
    with pytest.raises(DataError, match="5 columns and 7 features do not add to those of classes with 4 and 7"):
        one.plus(Moments.of(x, y, "classes", C + 1, one.origin))
    with pytest.raises(DataError, match="give each its own"):
        one.with_columns([0, 1, 2, 2], 5)
    with pytest.raises(DataError, match="give one weight"):
        Moments.of(*rows("numbers"), "numbers", C).scaled(np.array([1, 1, 1, 0.5]))


def test_moments_with_a_part_missing_are_refused():
    arrays = Moments.of(*rows("labels"), "labels", C).arrays()
    with pytest.raises(DataError, match=r"lack moments\.count"):
        Moments.from_arrays({name: value for name, value in arrays.items() if name != "moments.count"}, "labels")
    with pytest.raises(DataError, match="several sizes"):
        Moments.from_arrays({**arrays, "moments.origin": arrays["moments.origin"][1:]}, "labels")
