"""A classifier that tells two sets apart: against one refitted by hand, and calibrated without a difference."""

import numpy as np
import pytest
from scipy.stats import binom, binomtest
from sklearn.covariance import LedoitWolf

from headstart.errors import DataError
from headstart.heads.metrics import wilson
from headstart.mismatch.two_sample import held_out, proxy_distance, two_sample


def rows(n, d, seed, shift=0.0):
    return np.random.default_rng(seed).normal(size=(n, d)) + shift


@pytest.mark.parametrize("d", [3, 40])
def test_scores_equal_a_discriminant_fitted_without_the_fold(d):
    z, fold = rows(24, d, 0), np.tile(np.arange(12) % 3, 2)
    sides = np.repeat([-1.0, 1.0], 12)
    other = sides.copy()
    other[[0, 12]] *= -1  # rows of one fold change sides
    found = held_out(z, np.stack([sides, other], axis=1), fold)
    for column, side in enumerate((sides, other)):
        for k in range(3):
            learn, held = fold != k, fold == k
            known = LedoitWolf().fit(z[learn])
            apart = z[learn & (side > 0)].mean(0) - z[learn & (side < 0)].mean(0)
            scores = (z[held] - known.location_) @ np.linalg.solve(known.covariance_, apart)
            # both up to a factor
            ratio = found[held, column] / scores
            np.testing.assert_allclose(ratio, ratio[0], rtol=1e-5)
            assert ratio[0] > 0


@pytest.mark.parametrize(("n", "m", "d"), [(10, 10, 30), (16, 11, 4)])
def test_matched_halves_raise_no_more_false_alarms_than_nominal(n, m, d):
    p = np.array(
        [two_sample(rows(n, d, [r, 0]), rows(m, d, [r, 1]), seed=r, permutations=99, folds=5).p for r in range(200)]
    )
    for level in (0.05, 0.2):
        assert binom.sf(int((p <= level).sum()) - 1, 200, level) > 0.01
    assert 0.4 < p.mean() < 0.65  # nor is it afraid of its shadow


def test_rows_with_long_tails_raise_no_false_alarms_either():
    draw = np.random.default_rng(0)
    p = np.array(
        [
            two_sample(draw.standard_t(1.5, (10, 20)), draw.standard_t(1.5, (10, 20)), seed=r, permutations=99).p
            for r in range(200)
        ]
    )
    assert binom.sf(int((p <= 0.05).sum()) - 1, 200, 0.05) > 0.01


def test_a_shift_is_found_with_fewer_rows_than_features():
    found = two_sample(rows(30, 60, 0), rows(30, 60, 1, 0.5), seed=0, permutations=99)
    assert found.p == 0.01
    assert found.accuracy > 0.8
    assert found.low > 0.5


def test_accuracy_nears_that_of_the_best_rule():
    """Two unit Gaussians 2 apart: the best rule is right with the chance of a normal deviate below 1, 0.8413."""
    shift = np.zeros(3)
    shift[1] = 2
    found = two_sample(rows(500, 3, 0), rows(500, 3, 1) + shift, seed=0, permutations=0)
    assert found.low < 0.8413 < found.high
    assert found.distance == pytest.approx(2 * (1 - 2 * (1 - found.accuracy)))


def test_sides_apart_are_told_apart_always():
    found = two_sample(rows(20, 3, 0), rows(20, 3, 1, 50.0), seed=0, permutations=99)
    assert (found.accuracy, found.distance, found.p, found.high) == (1, 2, 0.01, 1)


def test_the_larger_side_is_cut_to_the_smaller():
    """A classifier that always names the larger side would be right in nine of ten."""
    found = two_sample(rows(180, 5, 0), rows(20, 5, 1), seed=0, permutations=0)
    assert found.rows == 20
    assert found.low < 0.5 < found.high
    assert two_sample(rows(50, 5, 0), rows(50, 5, 1), seed=0, permutations=0, most=15).rows == 15


def test_features_that_are_constant_or_in_other_units_change_nothing():
    source, target = rows(30, 4, 0), rows(30, 4, 1, 0.5)
    unit = np.array([1.0, 8.0, 1 / 64, 512.0])
    plain = two_sample(source, target, seed=0, permutations=49)
    other = two_sample(source * unit, target * unit, seed=0, permutations=49)
    assert (other.accuracy, other.p) == (plain.accuracy, plain.p)
    still = np.full((30, 9), 3.0)
    padded = two_sample(np.c_[source, still], np.c_[target, still], seed=0, permutations=49)
    assert (padded.accuracy, padded.p) == (plain.accuracy, plain.p)


@pytest.mark.parametrize(("right", "n"), [(0, 10), (7, 10), (50, 100), (100, 100)])
def test_interval_is_wilsons(right, n):
    expected = binomtest(right, n).proportion_ci(method="wilson")
    np.testing.assert_allclose(wilson(right, n), (expected.low, expected.high), atol=1e-9)


def test_proxy_distance_by_hand():
    assert [proxy_distance(error) for error in (0, 0.25, 0.5, 0.6)] == [2, 1, 0, 0]


def test_settings_and_rows_that_are_too_few():
    with pytest.raises(
        DataError,
        match=r"^folds=1, permutations=0 and most=9; give at least 2 folds, 0 permutations and two rows per fold\.$",
    ):
        two_sample(rows(9, 2, 0), rows(9, 2, 1), seed=0, folds=1, permutations=0, most=9)
    with pytest.raises(DataError, match=r"^target has 9 rows; give at least 10\.$"):
        two_sample(rows(30, 2, 0), rows(9, 2, 1), seed=0)
