"""The distance of means in a kernel's space, against double loops, and its p value."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from scipy.stats import binom

from headstart.errors import DataError
from headstart.mismatch.distances import squared_distances
from headstart.mismatch.mmd import mmd, rbf, squared_mmds


def rows(n, d, seed, shift=0.0):
    return np.random.default_rng(seed).normal(size=(n, d)) + shift


def kernel_of_one_pair(x, y, median):
    square = sum((a - b) ** 2 for a, b in zip(x, y, strict=True))
    return sum(np.exp(-square / (2 * (times * median) ** 2)) for times in (0.5, 1, 2)) / 3


def by_hand(source, target):
    both = [*source, *target]
    pairs = [np.linalg.norm(both[i] - both[j]) for i in range(len(both)) for j in range(i)]
    # of an even number of pairs the median distance and the root of the median square differ a little
    pairs = np.sort(np.square(pairs))
    median = np.sqrt((pairs[(len(pairs) - 1) // 2] + pairs[len(pairs) // 2]) / 2)
    n, m = len(source), len(target)
    within = sum(kernel_of_one_pair(source[i], source[j], median) for i in range(n) for j in range(n) if i != j)
    other = sum(kernel_of_one_pair(target[i], target[j], median) for i in range(m) for j in range(m) if i != j)
    across = sum(kernel_of_one_pair(x, y, median) for x in source for y in target)
    return within / (n * (n - 1)) + other / (m * (m - 1)) - 2 * across / (n * m), median


@pytest.mark.parametrize(("n", "m"), [(9, 9), (6, 11), (2, 5)])
def test_squared_distance_equals_the_double_loop(n, m):
    source, target = rows(n, 3, 0), rows(m, 3, 1, shift=0.5)
    found = mmd(source, target, seed=0, permutations=0)
    # rows are drawn in another order, which changes no sum
    squared, median = by_hand(source, target)
    assert found.squared == pytest.approx(squared, abs=1e-12)
    assert found.bandwidth == pytest.approx(median, rel=1e-9)
    assert found.p == 1
    assert found.rows == (n, m)


def test_each_permutation_is_the_distance_of_the_sets_it_makes():
    x = rows(12, 4, 2)
    kernel, _ = rbf(x)
    side = np.zeros((12, 6))
    draw = np.random.default_rng(0)
    for column in range(6):
        side[draw.permutation(12)[: 3 + column], column] = 1
    expected = []
    for column in side.T > 0:
        off = 1 - np.eye(12)
        count, other = column.sum(), (~column).sum()
        within = (kernel * off)[np.ix_(column, column)].sum() / (count * (count - 1))
        outside = (kernel * off)[np.ix_(~column, ~column)].sum() / (other * (other - 1))
        expected.append(within + outside - 2 * kernel[np.ix_(column, ~column)].mean())
    np.testing.assert_allclose(squared_mmds(kernel, side), expected, atol=1e-13)


def test_without_a_difference_p_is_uniform_and_the_distance_is_about_zero():
    found = [mmd(rows(12, 3, [r, 0]), rows(9, 3, [r, 1]), seed=r, permutations=99) for r in range(200)]
    p = np.array([one.p for one in found])
    for level in (0.05, 0.5):
        assert binom.cdf(int((p <= level).sum()), 200, level) > 0.001
        assert binom.sf(int((p <= level).sum()) - 1, 200, level) > 0.001
    squared = np.array([one.squared for one in found])
    assert abs(squared.mean()) < 4 * squared.std() / np.sqrt(200)
    assert (squared < 0).mean() > 0.3  # the unbiased estimate, not the one that is never below 0


def test_a_larger_shift_is_farther_and_its_p_the_least_there_is():
    found = [mmd(rows(40, 5, 0), rows(40, 5, 1, shift), seed=0, permutations=99) for shift in (0.0, 0.5, 1.0, 3.0)]
    assert [one.squared for one in found] == sorted(one.squared for one in found)
    assert found[0].p > 0.05
    assert found[2].p == found[3].p == 0.01


def test_a_difference_in_spread_alone_is_seen():
    assert mmd(rows(60, 4, 0), 3 * rows(60, 4, 1), seed=0, permutations=99).p == 0.01


def test_the_distance_changes_neither_with_the_sides_nor_with_place_and_unit():
    source, target = rows(15, 4, 0), rows(20, 4, 1, 0.4)
    one = mmd(source, target, seed=0, permutations=0)
    assert mmd(target, source, seed=3, permutations=0).squared == pytest.approx(one.squared, abs=1e-12)
    moved = mmd(1000 + 7 * source, 1000 + 7 * target, seed=0, permutations=0)
    assert moved.squared == pytest.approx(one.squared, abs=1e-9)
    assert moved.bandwidth == pytest.approx(7 * one.bandwidth)


def test_copies_of_few_rows_leave_a_bandwidth():
    """Most pairs are copies: the median of those that differ is taken."""
    source, target = np.zeros((10, 2)), np.zeros((10, 2))
    target[0] = 3, 4
    found = mmd(source, target, seed=0, permutations=99)
    assert found.bandwidth == pytest.approx(5)
    assert found.p == 1  # one row of twenty is always on one side


def test_no_more_rows_than_asked_for_are_used_and_the_seed_decides_which():
    source, target = rows(50, 3, 0), rows(8, 3, 1)
    found = mmd(source, target, seed=0, permutations=20, most=10)
    assert found.rows == (10, 8)
    assert found == mmd(source, target, seed=0, permutations=20, most=10)
    assert found.squared != mmd(source, target, seed=1, permutations=20, most=10).squared


def test_squared_distances_of_features_far_from_zero():
    a, b = 1e5 + rows(7, 3, 0), 1e5 + rows(5, 3, 1)
    np.testing.assert_allclose(squared_distances(a, b), cdist(a, b) ** 2, atol=1e-9)


def test_settings_that_cannot_be_followed():
    with pytest.raises(DataError, match=r"^most=1 and permutations=5; give at least 2 and at least 0\.$"):
        mmd(rows(4, 2, 0), rows(4, 2, 1), seed=0, permutations=5, most=1)
