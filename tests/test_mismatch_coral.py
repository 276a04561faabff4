"""Alignment of moments, and what every distance asks of its arrays."""

import numpy as np
import pytest
from scipy.linalg import sqrtm

from headstart.errors import DataError
from headstart.mismatch import checks
from headstart.mismatch.coral import coral, standardise_each
from headstart.mismatch.covariance import gaussian, root_of


def rows(n, d, seed):
    draw = np.random.default_rng(seed)
    return draw.normal(size=(n, d)) @ draw.normal(size=(d, d)) + 5 * draw.normal(size=d)


def test_recoloured_source_has_the_targets_mean_and_covariance():
    source, target = rows(40, 5, 0), rows(60, 5, 1)
    recoloured = coral(source, target, shrink=0)(source)
    np.testing.assert_allclose(recoloured.mean(0), target.mean(0), atol=1e-9)
    np.testing.assert_allclose(np.cov(recoloured.T), np.cov(target.T), rtol=1e-7, atol=1e-9)


def test_the_matrix_is_that_of_the_paper():
    source, target = rows(40, 5, 0), rows(60, 5, 1)
    expected = np.linalg.inv(sqrtm(np.cov(source.T)).real) @ sqrtm(np.cov(target.T)).real
    np.testing.assert_allclose(coral(source, target, shrink=0).matrix, expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("n", [8, 400])
def test_shrunk_covariances_are_carried_onto_each_other(n):
    source, target = rows(n, 20, 0), rows(n, 20, 1)
    found = coral(source, target)
    moved = found.matrix.T @ gaussian(source).covariance @ found.matrix
    np.testing.assert_allclose(moved, gaussian(target).covariance, rtol=1e-7, atol=1e-7)


def test_equal_sides_leave_features_as_they_are():
    source = rows(9, 15, 0)
    np.testing.assert_allclose(coral(source, source)(source), source, atol=1e-8)


def test_a_full_sphere_only_moves_and_stretches():
    source, target = rows(10, 3, 0), rows(12, 3, 1)
    stretch = np.sqrt(target.var(0, ddof=1).sum() / source.var(0, ddof=1).sum())
    expected = (source - source.mean(0)) * stretch + target.mean(0)
    np.testing.assert_allclose(coral(source, target, shrink=1)(source), expected, atol=1e-9)


def test_a_discriminant_survives_a_change_of_all_moments():
    """Classes lie along one axis; the target is the same data mixed by a symmetric matrix, which coral undoes."""
    draw = np.random.default_rng(0)
    y = draw.integers(2, size=(2, 500))
    x = draw.normal(size=(2, 500, 3)) * [0.3, 1, 1] + np.array([1.0, 0, 0]) * (2 * y[..., None] - 1)
    mix = np.array([[0.2, 0, 0.1], [0, 3, 0], [0.1, 0, 1.0]])
    source, target = x[0], x[1] @ mix + 4

    def right(learned):
        means = [learned[y[0] == k].mean(0) for k in (0, 1)]
        weight = np.linalg.solve(np.cov(learned.T), means[1] - means[0])
        return np.mean(((target - sum(means) / 2) @ weight > 0) == y[1])

    assert right(source) < 0.7
    assert right(coral(source, target)(source)) > 0.9


def test_each_side_by_its_own_mean_and_deviation():
    source, target = rows(30, 4, 0), rows(20, 4, 1)
    source[:, 2] = 0.1  # thirty of them have a mean that is not quite theirs
    assert source[0, 2] != source[:, 2].mean(0)
    a, b = standardise_each(source, target)
    np.testing.assert_allclose(b, (target - target.mean(0)) / target.std(0))
    np.testing.assert_allclose(np.delete(a.std(0), 2), 1)
    np.testing.assert_array_equal(a[:, 2], 0)


def test_maps_that_cannot_be_made_or_used():
    with pytest.raises(
        DataError,
        match=r"^3 of 6 directions have no variance; give more rows than features, or a shrink above 0\.$",
    ):
        coral(rows(4, 6, 0), rows(9, 6, 1), shrink=0)
    with pytest.raises(
        DataError,
        match=r"^all 4 rows of target are equal; give features that differ between rows: "
        r"check that the inputs were read and that the layer is not dead\.$",
    ):
        coral(rows(4, 2, 0), np.ones((4, 2)))
    with pytest.raises(
        DataError, match=r"^x has 2 features and the map was made for 3; give features of the same layer\.$"
    ):
        coral(rows(9, 3, 0), rows(9, 3, 1))(rows(9, 2, 0))


# --- checks


def test_features_come_back_in_a_precision_that_holds_them():
    assert checks.features(np.ones((2, 3), np.float32), "source").dtype == np.float32
    for kind in (np.float16, np.int64, bool, np.float64):
        assert checks.features(np.ones((2, 3), kind), "source").dtype == np.float64


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (np.ones(4), r"source has the shape \(4,\); give \(rows, features\) with at least 1 feature\."),
        (np.ones((4, 0)), r"source has the shape \(4, 0\); give \(rows, features\) with at least 1 feature\."),
        (np.ones((1, 2)), r"source has 1 rows; give at least 2\."),
        (np.array([["a"], ["b"]]), r"source is of type <U1; give real numbers\."),
        (
            np.array([[1, np.nan], [np.inf, 1]]),
            r"source holds 2 of 4 values that are not finite; look for NaN or infinite values and drop those rows\.",
        ),
        (
            np.ones((4, 3)),
            r"source has 3 features and target has 2; give both from the same layer of the same network\.",
        ),
    ],
)
def test_messages(source, message):
    with pytest.raises(DataError, match=f"^{message}$"):
        checks.pair(source, np.ones((4, 2)))


def test_rows_vary_where_two_constant_sides_differ():
    checks.varied(np.zeros((3, 2)), np.ones((3, 2)), name="both")
    with pytest.raises(DataError, match=r"^all 6 rows of both are equal; "):
        checks.varied(np.ones((3, 2)), np.ones((3, 2)), name="both")


def test_probabilities_and_classes_that_are_none():
    with pytest.raises(DataError, match=r"^held has 1 class; give probabilities of at least 2\.$"):
        checks.probabilities([[1.0]], "held")
    with pytest.raises(
        DataError, match=r"^classes have the shape \(2,\) and the type float64; give 3 whole numbers\.$"
    ):
        checks.classes([0.0, 1.0], 3, 2)


def test_fewer_rows_than_features_take_the_short_way_to_the_same_map():
    draw = np.random.default_rng(3)
    source, target = draw.normal(0, 1, (20, 60)) * np.linspace(1, 3, 60), draw.normal(1, 2, (15, 60))
    found = coral(source, target)
    one, two = gaussian(source), gaussian(target)
    want = root_of(one.covariance, -0.5) @ root_of(two.covariance, 0.5)
    np.testing.assert_allclose(found.matrix, want, atol=1e-8)
