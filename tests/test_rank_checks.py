"""What holds for every estimator: invariances, the order of better and worse, and what is refused."""

import numpy as np
import pytest
from blobs import blobs
from scipy.stats import ortho_group

from headstart.errors import DataError
from headstart.rank.estimators import ESTIMATORS, EVERY_TASK

SEEDED = {"n_leep", "probe"}  # draw rows by position
every = pytest.mark.parametrize("name", ESTIMATORS)


@every
def test_better_separated_classes_score_higher(name):
    """The same noise, class means further apart; SFDA needs more rows than features."""
    draw = np.random.default_rng(0)
    y = np.arange(120) % 4
    noise, means = draw.normal(size=(120, 8)), draw.normal(size=(4, 8))
    scores = [ESTIMATORS[name](noise + apart * means[y], y) for apart in (0.0, 0.5, 1.0, 2.0)]
    assert scores == sorted(scores)
    assert scores[-1] > scores[0] + 0.05


@every
def test_labels_that_were_shuffled_score_lower(name):
    x, y = blobs(120, 8, 3)
    shuffled = np.random.default_rng(1).permutation(y)
    assert ESTIMATORS[name](x, y) > ESTIMATORS[name](x, shuffled)


@pytest.mark.parametrize("name", [name for name in ESTIMATORS if name not in SEEDED])
def test_the_order_of_rows_does_not_matter(name):
    x, y = blobs(60, 8, 3, apart=0.5)
    order = np.random.default_rng(2).permutation(60)
    assert ESTIMATORS[name](x[order], y[order]) == pytest.approx(ESTIMATORS[name](x, y), rel=1e-6)


@pytest.mark.parametrize("name", [name for name in ESTIMATORS if name != "probe"])  # which standardises each feature
@pytest.mark.parametrize(("n", "d"), [(60, 8), (24, 30)])
def test_rotating_the_features_does_not_matter(name, n, d):
    x, y = blobs(n, d, 3, apart=0.5)
    turn = ortho_group.rvs(d, random_state=0)
    assert ESTIMATORS[name](x @ turn, y) == pytest.approx(ESTIMATORS[name](x, y), rel=1e-5, abs=1e-7)


@every
def test_naming_the_classes_otherwise_does_not_matter(name):
    """Other names in the same order, so that the folds are the same: two classes are without rows."""
    x, y = blobs(60, 8, 3, apart=0.5)
    assert ESTIMATORS[name](x, np.array([0, 2, 4])[y]) == ESTIMATORS[name](x, y)
    if name != "probe":
        assert ESTIMATORS[name](x, np.array([2, 0, 1])[y]) == pytest.approx(ESTIMATORS[name](x, y), rel=1e-9)


@every
def test_the_arrays_given_stay_as_they_are_and_two_calls_agree(name):
    x, y = blobs(60, 8, 3)
    before = x.copy(), y.copy()
    assert ESTIMATORS[name](x, y) == ESTIMATORS[name](x, y)
    np.testing.assert_array_equal(x, before[0])
    np.testing.assert_array_equal(y, before[1])


@pytest.mark.parametrize("name", EVERY_TASK)
def test_features_that_tell_more_of_labels_and_numbers_score_higher(name):
    draw = np.random.default_rng(0)
    hidden = draw.normal(size=(120, 3))
    noise = draw.normal(size=(120, 8))
    mix = draw.normal(size=(3, 8))
    for y in (hidden, (hidden > 0.3).astype(int)):
        scores = [ESTIMATORS[name](noise + much * hidden @ mix, y) for much in (0.0, 0.5, 2.0)]
        assert scores == sorted(scores)
        assert scores[-1] > scores[0] + 0.1


# --- what is refused

GOOD = np.arange(12.0).reshape(6, 2) % 5
TWO = np.array([0, 1, 0, 1, 0, 1])
HOLE = np.where(GOOD == 4, np.nan, GOOD)
REFUSED = {
    "one axis": (
        GOOD[0],
        TWO,
        "features are float64 of shape (2,); give numbers (rows, columns) with at least 2 rows and 1 column.",
    ),
    "not finite": (HOLE, TWO, "2 of 6 rows of features hold NaN or infinite values; drop those rows."),
    "constant": (
        np.ones((6, 2)),
        TWO,
        "all 6 rows of features are the same; give features that differ between examples, from another layer or "
        "network.",
    ),
    "lengths": (GOOD, TWO[:5], "there are 6 rows and 5 labels; give one for each row."),
    "below 0": (GOOD, TWO - 1, "labels go down to -1; classes are 0..c-1: drop rows without a class."),
    "more classes than rows": (
        GOOD,
        TWO * 9,
        "labels go up to 9, which makes 10 classes for 6 rows; number the classes 0..c-1 and give more rows than "
        "classes.",
    ),
    "one class": (GOOD, TWO * 0 + 3, "all 6 rows are of class 3; give rows of at least 2 classes."),
    "a class each": (
        GOOD,
        np.arange(6),
        "each of the 6 rows is the only one of its class; give at least 2 rows of some class.",
    ),
}


@every
@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_scored_is_refused(name, case):
    features, labels, message = REFUSED[case]
    with pytest.raises(DataError) as error:
        ESTIMATORS[name](features, labels)
    assert str(error.value) == message


@pytest.mark.parametrize("name", [name for name in ESTIMATORS if name not in EVERY_TASK])
def test_estimators_for_classes_refuse_labels_and_numbers(name):
    for labels, words in ((np.eye(2)[TWO], "float64 of shape (6, 2)"), (TWO / 2, "float64 of shape (6,)")):
        with pytest.raises(DataError) as error:
            ESTIMATORS[name](GOOD, labels)
        assert str(error.value) == f"labels are {words}; give a whole number 0..c-1 for each row, (n,) int."


@pytest.mark.parametrize("name", EVERY_TASK)
@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (
            np.array(["a", "b"] * 3)[:, None],
            "labels are <U1 of shape (6, 1); give classes (n,) int, labels (n, c) of 0 and 1 or numbers (n, t) float.",
        ),
        (
            np.c_[TWO, 2 * TWO],
            "labels (n, c) hold whole numbers from 0 to 2; give 0 and 1 for several labels, or convert numbers to "
            "float.",
        ),
        (
            np.c_[TWO, TWO / np.array([1, 1, 1, 0.5, 1, 1]) + [0, 0, 0, 0, 0, np.inf]],
            "1 of 6 rows of numbers hold NaN or infinite values; drop those rows.",
        ),
        (
            np.ones((6, 2)),
            "none of the 2 columns of labels varies over the 6 rows; add rows with other values.",
        ),
        (np.ones((5, 2)), "there are 6 rows and 5 labels; give one for each row."),
    ],
)
def test_estimators_for_every_task_refuse_other_targets(name, labels, message):
    with pytest.raises(DataError) as error:
        ESTIMATORS[name](GOOD, labels)
    assert str(error.value) == message
