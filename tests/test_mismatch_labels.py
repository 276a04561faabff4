"""Shares of classes without labels: exact where the confusion is known, true where shares were made."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import binom

from headstart.errors import DataError
from headstart.mismatch.label_shift import bbse, em, likeliest, on_simplex, shares_of

MEANS = np.array([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0]])
PRIOR = np.array([0.5, 0.3, 0.2])
TRUE = np.array([0.1, 0.3, 0.6])


def made(n, shares, seed):
    """Rows of three Gaussians, and their exact probabilities under PRIOR."""
    draw = np.random.default_rng(seed)
    y = draw.choice(3, size=n, p=shares)
    x = MEANS[y] + draw.normal(size=(n, 2))
    joint = PRIOR * np.exp(-((x[:, None] - MEANS) ** 2).sum(-1) / 2)
    return joint / joint.sum(1, keepdims=True), y


# --- confusion


def test_a_known_confusion_gives_the_shares_exactly():
    confusion = np.array([[0.7, 0.2, 0.1], [0.2, 0.7, 0.3], [0.1, 0.1, 0.6]])
    np.testing.assert_allclose(shares_of(confusion, confusion @ TRUE, PRIOR), TRUE, atol=1e-9)


def test_bbse_equals_the_solution_of_joint_confusion_and_answers():
    held, y = made(400, PRIOR, 0)
    target, _ = made(300, TRUE, 1)
    joint = np.array([[np.mean((held.argmax(1) == i) & (y == j)) for j in range(3)] for i in range(3)])
    answered = np.array([np.mean(target.argmax(1) == i) for i in range(3)])
    weights = np.linalg.solve(joint, answered)
    found = bbse(held, y, target, seed=0, draws=5)
    np.testing.assert_allclose(found.weights, weights, rtol=1e-6)
    np.testing.assert_allclose(found.proportions, weights * np.bincount(y) / 400, rtol=1e-6)


def test_a_classifier_without_mistakes_only_counts():
    target = np.eye(3)[[0, 1, 1, 2, 2, 2, 2, 2]]
    found = bbse(np.eye(3)[[0, 0, 1, 2]], [0, 0, 1, 2], target, seed=0)
    np.testing.assert_allclose(found.proportions, [1 / 8, 2 / 8, 5 / 8], atol=1e-9)
    np.testing.assert_allclose(found.weights, [1 / 4, 1, 5 / 2], atol=1e-8)


def test_answers_that_no_shares_give_land_on_the_simplex():
    """Fewer rows are answered 1 than even a target without class 1 would have."""
    confusion = np.array([[0.8, 0.3], [0.2, 0.7]])
    np.testing.assert_allclose(shares_of(confusion, np.array([0.95, 0.05]), np.array([0.5, 0.5])), [1, 0], atol=1e-9)


def test_nearest_point_of_the_simplex():
    draw = np.random.default_rng(0)
    for _ in range(10):
        q = draw.normal(size=4)
        expected = minimize(
            lambda p, q=q: ((p - q) ** 2).sum(),
            np.full(4, 0.25),
            bounds=[(0, 1)] * 4,
            constraints={"type": "eq", "fun": lambda p: p.sum() - 1},
            tol=1e-13,
        ).x
        np.testing.assert_allclose(on_simplex(q), expected, atol=1e-5)
    np.testing.assert_allclose(on_simplex(TRUE), TRUE)


# --- likelihood


def test_em_ends_where_shares_equal_the_mean_of_corrected_probabilities():
    target, _ = made(500, TRUE, 0)
    found = em(PRIOR, target, seed=0, draws=2)
    corrected = target * found.weights
    corrected /= corrected.sum(1, keepdims=True)
    np.testing.assert_allclose(found.proportions, corrected.mean(0), atol=1e-8)
    np.testing.assert_allclose(found.weights, found.proportions / PRIOR)


def test_em_is_where_the_likelihood_is_largest():
    target, _ = made(200, [0.6, 0.4, 0.0], 3)
    ratio = target / PRIOR
    grid = [np.array([a, b, 1 - a - b]) for a in np.linspace(0, 1, 101) for b in np.linspace(0, 1 - a, 101)]
    best = max(np.log(ratio @ q).sum() for q in grid)
    q = likeliest(ratio, np.full(200, 1 / 200), PRIOR, 1e-9)
    assert np.log(ratio @ q).sum() >= best - 1e-9
    assert q.sum() == pytest.approx(1)


def test_a_row_that_counts_twice_is_two_rows():
    target, _ = made(30, TRUE, 0)
    ratio = target / PRIOR
    count = np.random.default_rng(0).integers(0, 3, size=30)
    again = np.repeat(ratio, count, axis=0)
    once = likeliest(again, np.full(len(again), 1 / len(again)), PRIOR, 1e-10)
    np.testing.assert_allclose(likeliest(ratio, count / count.sum(), PRIOR, 1e-10), once, atol=1e-8)


# --- both


def test_both_recover_shares_that_were_made():
    held, y = made(20_000, PRIOR, 0)
    target, _ = made(20_000, TRUE, 1)
    np.testing.assert_allclose(bbse(held, y, target, seed=0, draws=2).proportions, TRUE, atol=0.02)
    np.testing.assert_allclose(em(PRIOR, target, seed=0, draws=2).proportions, TRUE, atol=0.02)


@pytest.mark.parametrize("method", [bbse, em])
def test_intervals_hold_the_truth_about_as_often_as_they_say(method):
    inside = 0
    for r in range(60):
        held, y = made(200, PRIOR, [r, 0])
        target, _ = made(200, TRUE, [r, 1])
        given = (held, y, target) if method is bbse else (PRIOR, target)
        found = method(*given, seed=r, draws=100)
        inside += int(np.sum((found.low <= TRUE) & (found.high >= TRUE)))
    # 180 intervals, three of one draw alike: as good as 60; percentile intervals of 100 draws are a little narrow
    assert binom.cdf(inside // 3, 60, 0.93) > 0.005


def test_the_interval_of_a_classifier_without_mistakes_is_that_of_a_count():
    sure = np.eye(2)[np.arange(100) % 5 // 4]  # one in five
    low, high = binom.ppf([0.025, 0.975], 100, 0.2) / 100
    for found in (bbse(sure, sure.argmax(1), sure, seed=0, draws=2000), em([0.5, 0.5], sure, seed=0, draws=2000)):
        assert found.low[1] == pytest.approx(low, abs=0.011)
        assert found.high[1] == pytest.approx(high, abs=0.011)


def test_more_rows_narrow_the_interval():
    widths = []
    for n in (100, 400, 1600):
        held, y = made(n, PRIOR, 0)
        found = bbse(held, y, made(n, TRUE, 1)[0], seed=0)
        widths.append(float((found.high - found.low).sum()))
    assert widths[0] > 1.5 * widths[1] > 2 * widths[2]


# --- what cannot be used


def test_messages():
    held, y = made(50, PRIOR, 0)
    blind = np.tile([0.5, 0.3, 0.2], (50, 1))
    with pytest.raises(
        DataError,
        match=r"^the confusion matrix has a singular value of 0 and at least 0\.001 is needed: the classifier cannot "
        r"tell some classes apart; merge them, or use em with calibrated probabilities\.$",
    ):
        bbse(blind, y, held, seed=0)
    with pytest.raises(DataError, match=r"^held has 3 classes and target has 2; give both from the same classifier\.$"):
        bbse(held, y, [[0.5, 0.5]], seed=0)
    with pytest.raises(
        DataError, match=r"^class 2 has no held-out row; give at least one row of each of the 3 classes\.$"
    ):
        bbse(held, np.minimum(y, 1), held, seed=0)
    with pytest.raises(DataError, match=r"^classes run from 1 to 3; give 0\.\.2, as the probabilities have columns\.$"):
        bbse(held, y + 1, held, seed=0)
    with pytest.raises(
        DataError,
        match=r"^target holds values from -1 and rows that sum to 0\.\.2; "
        r"give probabilities of at least 0 that sum to 1, not scores\.$",
    ):
        em([0.5, 0.5], [[-1.0, 1.0], [1.0, 1.0]], seed=0)
    with pytest.raises(
        DataError,
        match=r"^prior has the shape \(3,\) and 0 as its least; give the share, above 0, of each of the 3 classes\.$",
    ):
        em([0.5, 0.5, 0], held, seed=0)
    with pytest.raises(DataError, match=r"^draws=0; give at least 1, and about 200 for an interval\.$"):
        em(PRIOR, held, seed=0, draws=0)
