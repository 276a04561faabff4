"""Estimators that compare the spread between classes with the spread within: H-score, TransRate, SFDA, GBC."""

import numpy as np
import pytest
from blobs import blobs
from scipy.linalg import eigh
from scipy.special import log_softmax
from scipy.stats import norm
from sklearn.covariance import LedoitWolf
from sklearn.decomposition import PCA

from headstart.errors import DataError
from headstart.rank.gbc import gbc
from headstart.rank.hscore import h_score
from headstart.rank.sfda import sfda
from headstart.rank.spectrum import principal, spectrum
from headstart.rank.transrate import transrate

SHAPES = [(60, 6), (30, 45)]


def means_in_place(x, y):
    """(n, d) each row replaced by the mean of its class."""
    return np.array([x[y == k].mean(0) for k in y])


# --- the decomposition they share


@pytest.mark.parametrize(("n", "d"), SHAPES)
def test_spectrum_is_that_of_the_singular_value_decomposition(n, d):
    x = np.random.default_rng(0).normal(size=(n, d))
    x[:, 1] = x[:, 0]  # one direction fewer
    values, vectors = spectrum(x)
    left, singular, _ = np.linalg.svd(x, full_matrices=False)
    rank = min(n, d - 1)
    assert len(values) == rank
    np.testing.assert_allclose(values, singular[:rank] ** 2, rtol=1e-9)
    np.testing.assert_allclose(np.abs((vectors * left[:, :rank]).sum(0)), 1, rtol=1e-6)


@pytest.mark.parametrize(("n", "d"), SHAPES)
def test_principal_components_are_those_of_sklearn(n, d):
    x = blobs(n, d)[0].astype(float)
    expected = PCA(n_components=0.8, svd_solver="full").fit_transform(x)
    found = principal(x, share=0.8)
    assert found.shape == expected.shape
    np.testing.assert_allclose(np.abs(found), np.abs(expected), atol=1e-8)
    assert principal(x, most=2).shape == (n, 2)


# --- H-score


@pytest.mark.parametrize(("n", "d"), SHAPES)
def test_plain_h_score_by_its_formula(n, d):
    x, y = blobs(n, d)
    x = x.astype(float)
    expected = np.trace(np.linalg.pinv(np.cov(x.T), rcond=1e-10) @ np.cov(means_in_place(x, y).T))
    assert h_score(x, y, shrinkage=0) == pytest.approx(expected, rel=1e-7)


@pytest.mark.parametrize(("n", "d"), SHAPES)
def test_shrunk_h_score_by_its_formula(n, d):
    x, y = blobs(n, d)
    x = x.astype(float)
    wolf = LedoitWolf().fit(x)
    between = np.cov(means_in_place(x, y).T, bias=True)
    expected = np.trace(np.linalg.solve(wolf.covariance_, (1 - wolf.shrinkage_) * between))
    assert h_score(x, y) == pytest.approx(expected, rel=1e-7)
    assert h_score(x, y, shrinkage=wolf.shrinkage_) == pytest.approx(expected, rel=1e-7)


def test_h_score_of_classes_that_are_points_is_one_less_than_classes():
    y = np.arange(40) % 4
    assert h_score(10 * np.eye(4)[y], y, shrinkage=0) == pytest.approx(3)


def test_h_score_without_shrinkage_is_fooled_by_many_features_and_with_it_is_not():
    draw = np.random.default_rng(0)
    x, y = draw.normal(size=(40, 100)), np.arange(40) % 4
    assert h_score(x, y, shrinkage=0) == pytest.approx(3)
    assert h_score(x, y) < 0.4


def test_h_score_refuses_a_share_above_one():
    x, y = blobs(20)
    with pytest.raises(DataError) as error:
        h_score(x, y, shrinkage=1.5)
    assert str(error.value) == "shrinkage=1.5 is outside 0..1; give a share, or None for Ledoit and Wolf's."


# --- TransRate


@pytest.mark.parametrize(("n", "d"), SHAPES)
@pytest.mark.parametrize("distortion", [1e-4, 0.5])
def test_transrate_by_its_formula(n, d, distortion):
    x, y = blobs(n, d)
    y[:7] = 0  # classes of different sizes
    z = x.astype(float) - x.mean(0, dtype=float)

    def rate(part):
        return np.linalg.slogdet(np.eye(d) + part.T @ part / (len(part) * distortion))[1] / 2

    expected = rate(z) - sum((y == k).sum() / n * rate(z[y == k]) for k in range(3))
    assert transrate(x, y, distortion=distortion) == pytest.approx(expected, rel=1e-6)


def test_transrate_is_zero_where_classes_have_the_same_moments():
    x = np.random.default_rng(0).normal(size=(10, 4))
    x -= x.mean(0)
    assert transrate(np.concatenate([x, x[::-1], -x]), np.repeat([0, 1, 2], 10)) == pytest.approx(0, abs=1e-9)


def test_transrate_of_one_feature_in_closed_form():
    """Two classes of points at +1 and -1 about 0: all rows need what each class needs."""
    x = np.array([[2.0, 0.0], [2.0, 0.0], [0.0, 2.0], [0.0, 2.0]])
    # about the mean: +-(1, -1), second moments [[1, -1], [-1, 1]] for each class and for all
    assert transrate(x, np.array([0, 0, 1, 1])) == pytest.approx(0, abs=1e-9)
    x = np.array([[3.0], [3.0], [0.0], [0.0], [0.0], [0.0]])
    e = 0.1  # about the mean 1: 4 for the first class, 1 for the second, 2 for all
    expected = np.log(1 + 2 / e) / 2 - (np.log(1 + 4 / e) / 3 + 2 * np.log(1 + 1 / e) / 3) / 2
    assert transrate(x, np.array([0, 0, 1, 1, 1, 1]), distortion=e) == pytest.approx(expected)


def test_transrate_refuses_no_distortion():
    x, y = blobs(20)
    with pytest.raises(DataError) as error:
        transrate(x, y, distortion=0.0)
    assert str(error.value) == "distortion=0.0 is not above 0; give the squared error allowed, such as 1e-4."


# --- SFDA


def fisher(x, y, share):
    """Log probabilities in the space of the c - 1 directions of Fisher's discriminant, class by class."""
    c, d = y.max() + 1, x.shape[1]
    within, between = np.zeros((d, d)), np.zeros((d, d))
    for k in range(c):
        mine = x[y == k]
        within += (mine - mine.mean(0)).T @ (mine - mine.mean(0)) / len(x)
        between += len(mine) / len(x) * np.outer(mine.mean(0) - x.mean(0), mine.mean(0) - x.mean(0))
    if share is None:
        share = np.exp(-5 * np.linalg.eigvalsh(within).max())
    u = eigh(between, (1 - share) * within + share * np.eye(d))[1][:, -(c - 1) :]
    score = np.empty((len(x), c))
    for k in range(c):
        middle = u.T @ x[y == k].mean(0)
        score[:, k] = x @ u @ middle - middle @ middle / 2 + np.log((y == k).mean())
    return log_softmax(score, axis=1), share


@pytest.mark.parametrize("scale", [0.1, 0.5])
def test_sfda_by_its_formula(scale):
    x, y = blobs(60, 6)
    y[:9] = 0
    x = scale * x.astype(float)
    first, share = fisher(x, y, None)
    assert share > 1e-6  # or the regularisation would go untested
    mixed = np.empty_like(x)
    for i in range(len(x)):
        own = np.exp(first[i, y[i]])
        mixed[i] = own * x[i] + (1 - own) * x[y != y[i]].mean(0)
    second, _ = fisher(mixed, y, share)
    assert sfda(x, y) == pytest.approx(second[np.arange(60), y].mean(), rel=1e-6)


def test_sfda_of_features_that_say_nothing_is_the_entropy_of_the_classes():
    """All class means alike: no direction between classes, so the priors remain."""
    x = np.random.default_rng(0).normal(size=(10, 3))
    y = np.repeat([0, 1, 1], 10)
    assert sfda(np.tile(x, (3, 1)), y) == pytest.approx(np.log(1 / 3) / 3 + 2 * np.log(2 / 3) / 3)


def test_sfda_refuses_a_factor_of_zero():
    x, y = blobs(20)
    with pytest.raises(DataError) as error:
        sfda(x, y, a=0.0)
    assert str(error.value) == "a=0.0 is not above 0; give how fast the regularisation falls, such as 5."


# --- GBC


def overlap(means, variances):
    """Minus the sum over ordered pairs of the coefficients of Gaussians with these (d, d) covariances."""
    total = 0.0
    for i, (a, p) in enumerate(zip(means, variances, strict=True)):
        for j, (b, q) in enumerate(zip(means, variances, strict=True)):
            if i != j:
                both = (p + q) / 2
                apart = (a - b) @ np.linalg.solve(both, a - b) / 8
                apart += np.log(np.linalg.det(both) / np.sqrt(np.linalg.det(p) * np.linalg.det(q))) / 2
                total -= np.exp(-apart)
    return total


@pytest.mark.parametrize("covariance", ["spherical", "diagonal"])
def test_gbc_by_the_general_formula_of_the_distance(covariance):
    x, y = blobs(60, 6, apart=0.5)
    z = PCA().fit_transform(x.astype(float))
    spread = [z[y == k].var(0) for k in range(3)]
    if covariance == "spherical":
        spread = [np.full(6, each.mean()) for each in spread]
    expected = overlap([z[y == k].mean(0) for k in range(3)], [np.diag(each) for each in spread])
    assert gbc(x, y, covariance=covariance) == pytest.approx(expected, rel=1e-6)


def test_gbc_of_one_feature_is_the_integral_of_the_densities():
    x = np.array([-1.0, 1.0, -1.0, 1.0, 1.0, 5.0, 1.0, 5.0])[:, None]
    grid = np.linspace(-60, 60, 200_001)
    shared = np.sqrt(norm.pdf(grid, 0, 1) * norm.pdf(grid, 3, 2)).sum() * (grid[1] - grid[0])
    assert gbc(x, np.repeat([0, 1], 4)) == pytest.approx(-2 * shared, rel=1e-6)


def test_gbc_of_classes_that_are_the_same_counts_their_pairs():
    x = np.random.default_rng(0).normal(size=(10, 3))
    assert gbc(np.tile(x, (3, 1)), np.repeat([0, 1, 2], 10)) == pytest.approx(-6)


def test_gbc_looks_at_64_components():
    x, y = blobs(150, 80, apart=0.3)
    z = PCA(n_components=64, svd_solver="full").fit_transform(x.astype(float))
    spread = [np.eye(64) * z[y == k].var(0).mean() for k in range(3)]
    assert gbc(x, y) == pytest.approx(overlap([z[y == k].mean(0) for k in range(3)], spread), rel=1e-6)


def test_gbc_of_a_class_of_one_row_takes_a_small_variance_for_none():
    x, y = np.array([[0.0], [1.0], [2.0]]), np.array([0, 0, 1])
    least = 1e-4 * x.var()
    expected = overlap([np.array([0.5]), np.array([2.0])], [np.array([[0.25]]), np.array([[least]])])
    assert gbc(x, y) == pytest.approx(expected, rel=1e-6)


def test_gbc_refuses_other_covariances():
    x, y = blobs(20)
    with pytest.raises(DataError) as error:
        gbc(x, y, covariance="full")
    assert str(error.value) == "covariance 'full' is unknown; use spherical or diagonal."
