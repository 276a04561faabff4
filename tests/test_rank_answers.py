"""Estimators that answer for held-out rows: nearest neighbours and the linear probe."""

import numpy as np
import pytest
from blobs import blobs
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import Ridge
from sklearn.metrics import r2_score, roc_auc_score

from headstart.errors import DataError
from headstart.heads.linear import own_folds
from headstart.heads.paths import DiscriminantPath, RidgePath
from headstart.rank.knn import knn
from headstart.rank.probe import probe


def neighbours(x, k):
    """Per row (cosine, position) of the k most similar others, one pair of rows at a time."""
    z = x.astype(float) - x.mean(0, dtype=float)
    found = []
    for i in range(len(z)):
        cosines = [(z[i] @ z[j] / np.linalg.norm(z[i]) / np.linalg.norm(z[j]), j) for j in range(len(z)) if j != i]
        found.append(sorted(cosines, reverse=True)[:k])
    return found


@pytest.mark.parametrize("k", [1, 2, 5, 300])
def test_knn_of_classes_by_hand(k):
    x, y = blobs(300, 6, 4)  # more rows than are compared at once
    right = 0
    for i, near in enumerate(neighbours(x, k)):
        votes = [(sum(y[j] == c for _, j in near), sum(s for s, j in near if y[j] == c), c) for c in range(4)]
        right += max(votes)[2] == y[i]
    assert knn(x, y, k=k) == pytest.approx(right / len(y))


def test_knn_of_labels_by_hand():
    x, y = blobs(60, 6, 3)
    on = np.c_[y == 0, y > 0, np.arange(60) % 2].astype(int)
    share = np.array([np.mean([on[j] for _, j in near], axis=0) for near in neighbours(x, 5)])
    assert knn(x, on) == pytest.approx(np.mean([roc_auc_score(on[:, c], share[:, c]) for c in range(3)]))


def test_knn_of_numbers_by_hand():
    draw = np.random.default_rng(0)
    x = draw.normal(size=(60, 3))
    y = np.c_[x[:, 0], draw.normal(size=60)]
    mean = np.array([np.mean([y[j] for _, j in near], axis=0) for near in neighbours(x, 4)])
    assert knn(x, y, k=4) == pytest.approx(r2_score(y, mean))


def test_knn_never_asks_the_row_itself():
    """Pairs of near-twins of different classes: with itself each row would be right, without it none is."""
    x = np.random.default_rng(0).normal(size=(10, 20))
    pairs = np.concatenate([x, x + 1e-3])
    assert knn(pairs, np.repeat([0, 1], 10), k=1) == 0


def test_knn_sees_angles_about_the_common_mean():
    x, y = blobs(80, 5, 3)
    x = x.astype(float)
    assert knn(1e4 + 7 * x, y) == knn(x, y)
    centred = x - x.mean(0)
    lengths = np.where(np.arange(80) % 2, 1.0, 3.0)[:, None]
    both = np.concatenate([lengths * centred, -lengths * centred])  # the mean stays 0
    assert knn(both, np.tile(y, 2)) == knn(np.concatenate([centred, -centred]), np.tile(y, 2))


def test_knn_refuses_no_neighbours():
    x, y = blobs(20)
    with pytest.raises(DataError) as error:
        knn(x, y, k=0)
    assert str(error.value) == "k=0 is below 1; give the number of neighbours, 1 or more."


# --- probe


def standardised(x):
    return (x - x.mean(0, dtype=float)) / x.std(0, dtype=float)


@pytest.mark.parametrize("shrinkage", [0.02, 0.3, 0.95])
@pytest.mark.parametrize(("n", "d"), [(120, 10), (40, 60)])
def test_probe_of_classes_equals_sklearn_on_the_same_folds(n, d, shrinkage):
    x, y = blobs(n, d, 3, apart=0.7)
    z, right = standardised(x), []
    for train, test in own_folds(y, 4, 3):
        model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=shrinkage).fit(z[train], y[train])
        right.append((model.predict(z[test]) == y[test]).mean())
    assert probe(x, y, seed=4, strength=shrinkage) == pytest.approx(np.mean(right))


def test_probe_of_labels_equals_sklearn_on_the_same_folds():
    x, y = blobs(150, 8, 3, apart=0.7)
    on = np.c_[y == 0, y != 1].astype(float)
    z, values = standardised(x), []
    for train, test in own_folds(on, 0, 3):
        for label in on.T:
            model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.0).fit(z[train], label[train])
            values.append(roc_auc_score(label[test], model.decision_function(z[test])))
    assert probe(x, on, strength=0.0) == pytest.approx(np.mean(values), abs=1e-6)


def ridge_trials(x, y, folds, seed):
    """(strength, mean squared error over variance, mean R2) of every strength, by scikit-learn."""
    z, out = standardised(x), []
    for strength in RidgePath.strengths:
        errors, values = [], []
        for train, test in own_folds(y, seed, folds):
            # its penalty stands against the sum of squares instead of half their mean, in units of the variance
            said = Ridge(alpha=strength * len(train)).fit(z[train], y[train]).predict(z[test]).reshape(len(test), -1)
            errors.extend(((said - y[test]) ** 2 / y.var(0)).mean(1))
            values.append(r2_score(y[test], said))
        out.append((strength, np.mean(errors), np.mean(values)))
    return out


def test_probe_of_numbers_equals_sklearn_on_the_same_folds():
    draw = np.random.default_rng(0)
    x = draw.normal(size=(90, 12))
    y = x @ draw.normal(size=(12, 2)) + draw.normal(size=(90, 2)) * [1, 6]
    tried = ridge_trials(x, y, 4, 7)
    for strength, _, value in tried:
        assert probe(x, y, folds=4, seed=7, strength=strength) == pytest.approx(value, abs=1e-6)
    least = min(error for _, error, _ in tried)
    alike = [value for _, error, value in tried if error <= least * 1.005 + 5e-4]
    assert probe(x, y, folds=4, seed=7) == pytest.approx(alike[0], abs=1e-6)  # the strongest of those alike


def test_probe_reports_one_of_its_strengths_and_not_a_poor_one():
    """Few rows and many features that say little: the weak end is worse than the strong one."""
    x, y = blobs(60, 80, 3, apart=0.4)
    values = [probe(x, y, strength=strength) for strength in DiscriminantPath.strengths]
    chosen = probe(x, y)
    assert min(abs(value - chosen) for value in values) < 1e-12
    assert chosen > min(values)


def test_probe_does_not_see_the_tested_rows():
    """Labels without meaning and more features than rows: a fit that saw its tests would be right on all."""
    draw = np.random.default_rng(0)
    assert probe(draw.normal(size=(200, 300)), draw.integers(2, size=200), strength=0.02) < 0.65


def test_probe_does_not_depend_on_the_units_of_a_feature():
    x, y = blobs(60, 5, 3, apart=0.5)
    units = np.array([1e-3, 1, 10, 1e3, 7], np.float32)
    assert probe(x * units, y) == pytest.approx(probe(x, y))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"folds": 1}, "folds=1 is outside 2..20; give at least 2 and at most one per row."),
        ({"strength": 2.0}, "strength=2.0 is outside 0..1; give a shrinkage, or None to have it chosen."),
    ],
)
def test_probe_refuses_options_outside_their_range(options, message):
    x, y = blobs(20)
    with pytest.raises(DataError) as error:
        probe(x, y, **options)
    assert str(error.value) == message


def test_probe_refuses_a_penalty_of_zero_and_rows_without_a_score():
    x = np.random.default_rng(0).normal(size=(4, 2))
    with pytest.raises(DataError) as error:
        probe(x, x[:, 0], strength=0.0)
    assert str(error.value) == "strength=0.0 is not above 0; give ridge's penalty, or None to have it chosen."
    with pytest.raises(DataError) as error:
        probe(x, x[:, 0], folds=4)
    assert str(error.value) == "no fold of 4 rows has a score; give more rows, or fewer than 4 folds."
