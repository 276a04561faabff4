"""Shrunk covariances against scikit-learn's, the distance between Gaussians against closed forms."""

import numpy as np
import pytest
from scipy.linalg import sqrtm
from sklearn.covariance import LedoitWolf

from headstart.errors import DataError
from headstart.mismatch.covariance import gaussian, root_of, shrinkage
from headstart.mismatch.frechet import frechet, frechet_of


def rows(n, d, seed, mixed=True):
    draw = np.random.default_rng(seed)
    return draw.normal(size=(n, d)) @ (draw.normal(size=(d, d)) if mixed else np.eye(d)) + 2


def covariance(d, seed):
    return np.cov(rows(4 * d, d, seed).T)


# --- covariance


@pytest.mark.parametrize(("n", "d"), [(40, 6), (10, 25), (3, 4)])
def test_shrinkage_is_that_of_scikit_learn(n, d):
    x = rows(n, d, 0)
    reference = LedoitWolf().fit(x)
    found = gaussian(x)
    assert found.shrink == pytest.approx(reference.shrinkage_, abs=1e-10)
    # theirs divides by n
    np.testing.assert_allclose(found.covariance, reference.covariance_ * n / (n - 1), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found.mean, x.mean(0))


def test_shrinkage_needs_nothing_but_inner_products():
    x = rows(12, 30, 1)
    z = x - x.mean(0)
    inner = z @ z.T
    assert shrinkage(np.diag(inner), float((inner**2).sum()), 30) == pytest.approx(LedoitWolf().fit(x).shrinkage_)


def test_a_given_share_is_taken():
    x = rows(20, 4, 0)
    np.testing.assert_allclose(gaussian(x, 0.0).covariance, np.cov(x.T))
    np.testing.assert_allclose(gaussian(x, 1.0).covariance, np.trace(np.cov(x.T)) / 4 * np.eye(4), atol=1e-12)
    with pytest.raises(
        DataError,
        match=r"^shrink=1\.5 is outside 0\.\.1; use 0 for the plain covariance, None to have it measured\.$",
    ):
        gaussian(x, 1.5)


def test_roots_multiply_to_the_matrix_and_to_its_inverse():
    c = covariance(6, 3)
    np.testing.assert_allclose(root_of(c, 0.5) @ root_of(c, 0.5), c, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(root_of(c, -0.5) @ root_of(c, -0.5), np.linalg.inv(c), rtol=1e-7, atol=1e-9)


# --- distance


def test_isotropic_gaussians():
    """|m - m2|^2 + d (s - s2)^2."""
    d, m, m2 = 5, np.arange(5.0), np.ones(5)
    found = frechet_of(m, 4 * np.eye(d), m2, 9 * np.eye(d))
    assert found == pytest.approx(((m - m2) ** 2).sum() + d * (2 - 3) ** 2)


def test_one_dimension_from_the_rows():
    source, target = rows(30, 1, 0), 3 * rows(20, 1, 1)
    expected = (source.mean() - target.mean()) ** 2 + (source.std(ddof=1) - target.std(ddof=1)) ** 2
    assert frechet(source, target) == pytest.approx(expected)


def test_general_covariances_equal_the_matrix_root_of_their_product():
    c, c2 = covariance(6, 0), covariance(6, 1)
    expected = np.trace(c) + np.trace(c2) - 2 * np.trace(sqrtm(c @ c2).real)
    assert frechet_of(np.zeros(6), c, np.zeros(6), c2) == pytest.approx(expected, rel=1e-8)
    assert frechet_of(np.zeros(6), c2, np.zeros(6), c) == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize("rank", [2, 8])
def test_equal_gaussians_are_at_zero_with_and_without_full_rank(rank):
    half = np.random.default_rng(0).normal(size=(8, rank))
    c = half @ half.T
    assert frechet_of(np.ones(8), c, np.ones(8), c) == pytest.approx(0, abs=1e-10 * np.trace(c))


def test_what_is_zero_but_for_rounding_adds_nothing():
    """C and 4 C are tr(C) apart; roots of 58 eigenvalues near 1e-16 would be seen in the seventh digit."""
    half = np.random.default_rng(0).normal(size=(60, 2))
    c = half @ half.T
    assert frechet_of(np.zeros(60), c, np.zeros(60), 4 * c) == pytest.approx(np.trace(c), rel=1e-10)


def test_gaussians_on_lines_that_meet_at_a_right_angle_share_nothing():
    one, two = np.diag([4.0, 0, 0]), np.diag([0, 9.0, 0])
    assert frechet_of(np.zeros(3), one, np.zeros(3), two) == pytest.approx(13)


def test_more_rows_than_features_take_the_plain_covariance():
    source, target = rows(40, 4, 0), rows(30, 4, 1)
    expected = frechet_of(source.mean(0), np.cov(source.T), target.mean(0), np.cov(target.T))
    assert frechet(source, target) == pytest.approx(expected)


def test_fewer_rows_than_features_are_shrunk_and_matched_data_come_near():
    """Without shrinkage 20 rows of 100 features share hardly a direction, and matched data look far apart."""
    source, target = rows(20, 100, 0, mixed=False), rows(20, 100, 1, mixed=False)
    one, two = LedoitWolf().fit(source), LedoitWolf().fit(target)
    wider = 20 / 19
    expected = frechet_of(one.location_, wider * one.covariance_, two.location_, wider * two.covariance_)
    assert frechet(source, target) == pytest.approx(expected)
    plain = frechet_of(source.mean(0), np.cov(source.T), target.mean(0), np.cov(target.T))
    assert frechet(source, target) < plain / 3


def test_statistics_that_are_none():
    mean, c = np.zeros(2), np.eye(2)
    with pytest.raises(
        DataError, match=r"^the second mean has the shape \(2,\) and its covariance \(2,\); give \(d,\) and \(d, d\)\.$"
    ):
        frechet_of(mean, c, mean, np.ones(2))
    with pytest.raises(
        DataError,
        match=r"^the first mean has 2 features and the second has 3; give both from the same layer of the same "
        r"network\.$",
    ):
        frechet_of(mean, c, np.zeros(3), np.eye(3))
    with pytest.raises(
        DataError,
        match=r"^the first covariance is uneven by 0\.5 and has 1 on its diagonal; "
        r"give a symmetric one with variances of at least 0\.$",
    ):
        frechet_of(mean, [[1, 0.5], [0, 1]], mean, c)
