"""How unusual each example is: distances against SciPy's, ranks against their definition."""

import numpy as np
import pytest
from scipy.spatial import cKDTree
from scipy.spatial.distance import mahalanobis as one_distance
from scipy.stats import binom
from sklearn.covariance import LedoitWolf

from headstart.errors import DataError
from headstart.mismatch import unusual
from headstart.mismatch.unusual import by_covariance, by_neighbours, mahalanobis, neighbour_distance, rank_among


def rows(n, d, seed, shift=0.0):
    return np.random.default_rng(seed).normal(size=(n, d)) + shift


def test_mahalanobis_is_scipys():
    x, mix = rows(50, 80, 0), rows(80, 80, 1)
    covariance = mix @ mix.T / 80 + 0.1 * np.eye(80)
    mean = x[0] / 2
    expected = [one_distance(row, mean, np.linalg.inv(covariance)) for row in x]
    np.testing.assert_allclose(mahalanobis(x, mean, covariance), expected, rtol=1e-8)


def test_neighbour_distance_is_that_of_a_tree_in_one_block_or_many(monkeypatch):
    x, reference = rows(30, 4, 0), rows(40, 4, 1)
    expected, _ = cKDTree(reference).query(x, k=[3])
    np.testing.assert_allclose(neighbour_distance(x, reference, 3), expected[:, 0], rtol=1e-9)
    monkeypatch.setattr(unusual, "_BLOCK", 7)
    np.testing.assert_allclose(neighbour_distance(x, reference, 3), expected[:, 0], rtol=1e-9)


def test_rank_is_the_share_of_held_out_rows_that_are_nearer():
    assert rank_among(np.array([0.5, 1, 2.5, 9]), np.array([3.0, 1, 2, 2])).tolist() == [0, 0, 3 / 5, 4 / 5]


def test_the_covariance_is_of_standardised_rows_that_are_not_held_out():
    reference, x = rows(30, 5, 0) * [1, 10, 100, 1, 1] + 7, rows(6, 5, 1) * [1, 10, 100, 1, 1] + 7
    found = by_covariance(reference, x, seed=4)
    learned = reference[np.random.default_rng([4, 15]).permutation(30)][10:]
    mean, scale = learned.mean(0), learned.std(0)
    known = LedoitWolf().fit((learned - mean) / scale)
    inverse = np.linalg.inv(known.covariance_ * 20 / 19)
    expected = [one_distance((row - mean) / scale, known.location_, inverse) for row in x]
    np.testing.assert_allclose(found.distance, expected, rtol=1e-7)


@pytest.mark.parametrize("measure", [by_covariance, by_neighbours])
@pytest.mark.parametrize("d", [4, 50])
def test_ranks_of_rows_like_the_reference_are_uniform(measure, d):
    """With fewer rows than features too, where distances of rows learned from are far too small."""
    above = {0.8: 0, 0.5: 0}
    for r in range(200):
        rank = measure(rows(30, d, [r, 0]), rows(1, d, [r, 1]), seed=r).rank
        for level in above:
            above[level] += int((rank >= level).sum())
    for level, count in above.items():
        # of ten held-out rows eleven places: a rank of at least level has the chance of the places above
        chance = (11 - np.ceil(level * 11)) / 11
        assert chance <= 1 - level
        assert 0.001 < binom.cdf(count, 200, chance) < 0.999


@pytest.mark.parametrize("measure", [by_covariance, by_neighbours])
def test_farther_rows_are_more_unusual(measure):
    x = np.outer([0, 1, 2, 4, 8], np.ones(3))
    found = measure(rows(300, 3, 0), x, seed=0)
    assert (np.diff(found.distance) > 0).all()
    assert (np.diff(found.rank) >= 0).all()
    assert found.rank[0] < 0.2
    assert found.rank[-1] == 100 / 101


def test_neighbours_see_the_gap_between_two_clusters_and_the_covariance_does_not():
    reference = np.concatenate([rows(150, 2, 0, -8), rows(150, 2, 1, 8)])
    gap = np.zeros((1, 2))
    assert by_neighbours(reference, gap, seed=0).rank[0] == 100 / 101
    assert by_covariance(reference, gap, seed=0).rank[0] < 0.05


def test_correlated_features_make_a_small_step_across_unusual():
    x = rows(300, 2, 0) @ np.array([[1, 1], [0, 0.05]])  # the second follows the first
    across, along = by_covariance(x, [[1.0, -1.0], [1.0, 1.0]], seed=0).rank
    assert across == 100 / 101
    assert along < 0.9


@pytest.mark.parametrize("measure", [by_covariance, by_neighbours])
def test_a_unit_that_never_moved_is_unusual_when_it_does(measure):
    reference = np.c_[rows(90, 3, 0), np.full(90, 0.1)]
    x = np.r_[[[0, 0, 0, 0.1]], [[0, 0, 0, 9.0]]]
    still, moves = measure(reference, x, seed=0).rank
    assert still < 0.5
    assert moves == 30 / 31


@pytest.mark.parametrize("measure", [by_covariance, by_neighbours])
def test_a_reference_of_two_kinds_of_rows_ranks_a_third_kind(measure):
    reference = np.tile([[0.0, 1, 2], [1, 0, 5]], (30, 1))
    assert measure(reference, [[5.0, 5, 5]], seed=0).rank[0] == 20 / 21


def test_rows_that_cannot_be_ranked():
    with pytest.raises(DataError, match=r"^reference has 5 rows; give at least 6\.$"):
        by_covariance(rows(5, 2, 0), rows(1, 2, 1), seed=0)
    with pytest.raises(
        DataError,
        match=r"^reference has 2 features and rows has 3; give both from the same layer of the same network\.$",
    ):
        by_covariance(rows(9, 2, 0), rows(1, 3, 1), seed=0)
    with pytest.raises(DataError, match=r"^k=5 is outside 1\.\.4, the rows to be compared with; use about 5\.$"):
        by_neighbours(rows(6, 2, 0), rows(1, 2, 1), seed=0)
    with pytest.raises(
        DataError,
        match=r"^all 6 rows of reference are equal; give features that differ between rows: "
        r"check that the inputs were read and that the layer is not dead\.$",
    ):
        by_covariance(np.ones((9, 2)), rows(1, 2, 1), seed=0)
