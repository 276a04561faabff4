"""Estimators that read what a source's classes, or the components of a mixture, say: LEEP, NCE, N-LEEP."""

import numpy as np
import pytest
from blobs import blobs
from sklearn.metrics import log_loss, mutual_info_score
from sklearn.mixture import GaussianMixture

from headstart.errors import DataError
from headstart.rank.leep import leep
from headstart.rank.mixture import responsibilities
from headstart.rank.nce import nce
from headstart.rank.nleep import n_leep
from headstart.rank.spectrum import principal


def softmax_rows(n, z, seed=0):
    p = np.exp(np.random.default_rng(seed).normal(size=(n, z)))
    return p / p.sum(1, keepdims=True)


# --- LEEP


def leep_by_hand(p, y):
    n, z = p.shape
    joint = np.zeros((max(y) + 1, z))
    for i in range(n):
        for j in range(z):
            joint[y[i], j] += p[i, j] / n
    total = 0.0
    for i in range(n):
        total += np.log(sum(joint[y[i], j] / joint[:, j].sum() * p[i, j] for j in range(z) if joint[:, j].sum() > 0))
    return total / n


def test_leep_by_its_formula():
    p, y = softmax_rows(40, 7), np.arange(40) % 3
    p = np.c_[p, np.zeros(40)]  # a source class that is never said
    assert leep(p, y) == pytest.approx(leep_by_hand(p, y), rel=1e-12)


@pytest.mark.parametrize("source", [[0, 0, 1, 1, 2, 2], [4, 1, 2, 2, 0, 3]])
def test_leep_of_source_classes_that_decide_the_label_is_zero(source):
    assert leep(np.eye(5)[source], np.array([0, 0, 1, 1, 2, 2])) == pytest.approx(0)


def test_leep_of_a_source_that_always_says_the_same_is_the_entropy_of_the_labels():
    y = np.array([0, 0, 0, 1])
    assert leep(np.tile([0.2, 0.8], (4, 1)), y) == pytest.approx((3 * np.log(3 / 4) + np.log(1 / 4)) / 4)


def test_leep_of_a_sure_source_is_nce():
    draw = np.random.default_rng(1)
    z, y = draw.integers(5, size=60), draw.integers(3, size=60)
    assert leep(np.eye(5)[z], y) == pytest.approx(nce(z, y))


def test_leep_is_at_least_what_the_likeliest_source_class_alone_says():
    """One term of the sum over source classes bounds it from below."""
    p, y = softmax_rows(80, 4, seed=3) ** 3, np.arange(80) % 3
    p /= p.sum(1, keepdims=True)
    given = np.eye(3)[y].T @ p / p.sum(0)
    assert np.log(p.max(1) * given[y, p.argmax(1)]).mean() < leep(p, y) < 0


def test_leep_refuses_scores_that_are_no_probabilities():
    with pytest.raises(DataError) as error:
        leep(np.array([[2.0, -1.0], [0.5, 0.2], [0.5, 0.5]]), np.array([0, 1, 1]))
    assert str(error.value) == (
        "probabilities have a least value of -1 and rows that sum to 0.7..1; "
        "give values of at least 0 that sum to 1 in each row, such as a softmax."
    )


def test_leep_refuses_a_missing_row():
    with pytest.raises(DataError) as error:
        leep(softmax_rows(5, 3), np.array([0, 1, 1]))
    assert str(error.value) == "there are 5 rows and 3 labels; give one for each row."


# --- NCE


def test_nce_is_shared_information_less_the_entropy_of_the_labels():
    draw = np.random.default_rng(0)
    z, y = draw.integers(900, 906, size=100), draw.integers(4, size=100)  # a source may have many classes
    share = np.bincount(y) / 100
    assert nce(z, y) == pytest.approx(mutual_info_score(z, y) + (share * np.log(share)).sum())


def test_nce_of_a_map_is_zero_and_of_no_relation_the_entropy():
    y = np.tile([0, 1, 2], 8)
    assert nce(np.array([7, 3, 3])[np.array([0, 1, 1])[y]], (y > 0).astype(int)) == 0
    assert nce(np.repeat([0, 1], 12), y) == pytest.approx(-np.log(3))
    assert nce(np.zeros(24, int), y) == pytest.approx(-np.log(3))


def test_nce_is_the_best_log_loss_that_the_source_allows():
    draw = np.random.default_rng(2)
    z, y = draw.integers(3, size=50), draw.integers(2, size=50)
    given = np.array([np.bincount(y[z == k], minlength=2) / (z == k).sum() for k in range(3)])
    assert nce(z, y) == pytest.approx(-log_loss(y, given[z]))


def test_nce_refuses_source_labels_below_zero_and_of_another_kind():
    y = np.array([0, 1, 1])
    with pytest.raises(DataError) as error:
        nce(np.array([0, -1, 1]), y)
    assert str(error.value) == "source labels go down to -1; classes are 0..c-1: drop rows without a class."
    with pytest.raises(DataError) as error:
        nce(np.array([0.0, 1.0, 1.0]), y)
    assert str(error.value) == (
        "source labels are float64 of shape (3,); give a whole number 0..c-1 for each row, (n,) int."
    )


# --- the mixture and N-LEEP


def test_the_mixture_is_where_expectation_maximisation_stays():
    """Begun at our components, scikit-learn finds the same likelihood and the same shares."""
    x = blobs(200, 4, 3, apart=3.0)[0].astype(float)
    ours = responsibilities(x, 3, seed=0)
    count = ours.sum(0)
    means = ours.T @ x / count[:, None]
    variance = ours.T @ x**2 / count[:, None] - means**2
    theirs = GaussianMixture(
        3,
        covariance_type="diag",
        reg_covar=0,
        tol=1e-3,
        weights_init=count / len(x),
        means_init=means,
        precisions_init=1 / variance,
    ).fit(x)
    assert theirs.n_iter_ == 2  # the least it can take: the second step shows that nothing moves
    np.testing.assert_allclose(theirs.predict_proba(x), ours, atol=0.02)


def test_the_mixture_finds_clusters_and_shares_sum_to_one():
    x, y = blobs(90, 3, 3, seed=1, apart=30.0)
    shares = responsibilities(x.astype(float), 3, seed=5)
    np.testing.assert_allclose(shares.sum(1), 1)
    assert len({(k, int(shares[y == k].argmax(1)[0])) for k in range(3)}) == 3
    for k in range(3):
        np.testing.assert_allclose(shares[y == k], shares[y == k][:1].repeat(30, 0), atol=1e-6)


def test_fewer_distinct_rows_than_components_make_fewer_components():
    x = np.repeat([[0.0, 0.0], [5.0, 1.0]], 4, axis=0)
    shares = responsibilities(x, 6, seed=0)
    assert shares.shape == (8, 2)
    np.testing.assert_allclose(np.sort(shares, axis=1), [[0, 1]] * 8, atol=1e-9)


def test_n_leep_is_leep_of_the_mixture_on_the_components_with_four_fifths_of_the_variance():
    x, y = blobs(100, 8, 3, apart=0.5)
    z = principal(x.astype(float), share=0.8)
    assert n_leep(x, y, seed=3) == pytest.approx(leep_by_hand(responsibilities(z, 15, seed=3), y))
    assert n_leep(x[:60], y[:60], components=4) == pytest.approx(
        leep_by_hand(responsibilities(principal(x[:60].astype(float), share=0.8), 4, seed=0), y[:60])
    )


def test_n_leep_gives_each_gaussian_rows_but_each_class_a_gaussian():
    x, y = blobs(40, 8, 3)
    assert n_leep(x, y) == n_leep(x, y, components=8)
    assert n_leep(x[:10], y[:10]) == n_leep(x[:10], y[:10], components=3)


def test_n_leep_of_clusters_that_are_classes_is_zero_and_of_one_gaussian_the_entropy():
    x, y = blobs(60, 5, 3, apart=30.0)
    assert n_leep(x, y, components=3) == pytest.approx(0, abs=1e-6)
    assert n_leep(x, y, components=1) == pytest.approx(-np.log(3))


def test_n_leep_refuses_more_gaussians_than_rows():
    x, y = blobs(20)
    with pytest.raises(DataError) as error:
        n_leep(x, y, components=21)
    assert str(error.value) == "components=21 is outside 1..20; give at most one Gaussian per row."
