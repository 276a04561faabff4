"""Which rows are kept: every row as likely, every class as often, every class mean as near as can be."""

import itertools

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy.stats import chisquare

from headstart.errors import DataError
from headstart.retain.sample import balanced, herding, quotas, reservoir


def test_a_reservoir_keeps_every_row_and_every_pair_of_rows_as_often():
    n, keep, draws = 12, 4, 6000
    rows, pairs = np.zeros(n), np.zeros((n, n))
    for seed in range(draws):
        found = reservoir(n, keep, seed=seed)
        assert len(set(found)) == keep
        rows[found] += 1
        pairs[np.ix_(found, found)] += 1
    assert chisquare(rows).pvalue > 0.01
    assert chisquare(pairs[np.triu_indices(n, 1)]).pvalue > 0.01


def test_a_reservoir_is_algorithm_r_row_by_row():
    """What it keeps of a longer stream differs from what it kept before by the rows that came since."""
    for n in range(5, 60):
        before, after = set(reservoir(n, 5, seed=3)), set(reservoir(n + 1, 5, seed=3))
        assert after - before <= {n}
        assert len(after) == 5


def test_few_rows_are_all_kept():
    assert_array_equal(reservoir(3, 5, seed=0), [0, 1, 2])
    assert_array_equal(reservoir(5, 5, seed=0), np.arange(5))
    assert_array_equal(balanced(np.array([1, 0, 1]), 5, seed=0), [0, 1, 2])
    assert sorted(herding(np.eye(3), np.array([1, 0, 1]), 5)) == [0, 1, 2]
    assert len(reservoir(0, 5, seed=0)) == len(balanced(np.empty(0, int), 5, seed=0)) == 0


@pytest.mark.parametrize(
    ("sizes", "keep", "want"),
    [
        ((10, 10, 10), 9, (3, 3, 3)),
        ((10, 10, 10), 11, (4, 4, 3)),
        ((1, 10, 10), 9, (1, 4, 4)),
        ((1, 2, 10), 12, (1, 2, 9)),
        ((10, 10, 10), 2, (1, 1, 0)),
    ],
)
def test_classes_are_kept_as_evenly_as_their_sizes_allow(sizes, keep, want):
    y = np.random.default_rng(0).permutation(np.repeat([3, 5, 9], sizes))
    assert tuple(count for _, count in quotas(y, keep)) == want
    for rows in (balanced(y, keep, seed=0), herding(np.random.default_rng(1).normal(size=(len(y), 2)), y, keep)):
        assert tuple((y[rows] == label).sum() for label in (3, 5, 9)) == want
        assert len(set(rows)) == keep


def test_balanced_rows_are_random_by_the_seed():
    y = np.arange(40) % 2
    assert_array_equal(balanced(y, 6, seed=1), balanced(y, 6, seed=1))
    counts = np.zeros(40)
    for seed in range(3000):
        counts[balanced(y, 6, seed=seed)] += 1
    assert chisquare(counts).pvalue > 0.01


def test_herding_takes_at_each_step_the_row_that_a_search_through_all_would_take():
    x = np.random.default_rng(0).normal(size=(24, 3))
    y = np.random.default_rng(1).integers(0, 2, 24)
    found = herding(x, y, 10)
    for label in (0, 1):
        chosen: list[int] = []
        for _ in range(5):
            rest = [row for row in np.flatnonzero(y == label) if row not in chosen]
            gaps = [np.linalg.norm(x[y == label].mean(0) - x[[*chosen, row]].mean(0)) for row in rest]
            chosen.append(rest[int(np.argmin(gaps))])
        assert_array_equal(found[y[found] == label], chosen)


def test_two_herded_rows_are_near_the_best_pair_and_many_far_nearer_than_random_ones():
    x, y = np.random.default_rng(5).normal(size=(200, 4)), np.zeros(200, int)

    def gap(rows):
        return np.linalg.norm(x[rows].mean(0) - x.mean(0))

    pairs = sorted(gap(list(pair)) for pair in itertools.combinations(range(200), 2))
    assert gap(herding(x, y, 2)) <= pairs[len(pairs) // 50]
    random = [gap(balanced(y, 20, seed=seed)) for seed in range(100)]
    assert gap(herding(x, y, 20)) < min(random) / 2


def test_fewer_herded_rows_are_the_first_of_more():
    x, y = np.random.default_rng(0).normal(size=(30, 3)), np.zeros(30, int)
    assert_array_equal(herding(x, y, 4), herding(x, y, 9)[:4])


def test_what_cannot_be_kept_is_refused():
    for keep in (lambda: reservoir(5, 0, seed=0), lambda: balanced(np.arange(3), 0, seed=0)):
        with pytest.raises(DataError, match="keep=0 is below 1"):
            keep()
    with pytest.raises(DataError, match=r"targets are float64 of shape \(4,\)"):
        balanced(np.ones(4), 2, seed=0)
    with pytest.raises(DataError, match="3 rows of features and 2 classes"):
        herding(np.ones((3, 1)), np.array([0, 1]), 2)
