"""Validators without target labels, against formulas written out and what each must say of plain cases."""

import math

import numpy as np
import pytest

from headstart.adapt import validators
from headstart.adapt.chosen import Judged, Seen, choose, judge
from headstart.errors import DataError


def chances(n, c, seed=0):
    z = np.exp(2 * np.random.default_rng(seed).normal(size=(n, c)))
    return z / z.sum(1, keepdims=True)


def test_information_by_hand():
    p = chances(7, 3)
    mean = p.mean(0)
    by_hand = sum(p[i, k] * math.log(p[i, k] / mean[k]) for i in range(7) for k in range(3)) / 7 / math.log(3)
    assert validators.information(p) == pytest.approx(by_hand)


@pytest.mark.parametrize(
    ("p", "share"),
    [(np.eye(4)[[0, 1, 2, 3]], 1.0), (np.eye(4)[[2, 2, 2]], 0.0), (np.full((5, 4), 0.25), 0.0)],
)
def test_information_is_all_for_sure_answers_of_all_classes_and_none_for_collapse_or_doubt(p, share):
    assert validators.information(p) == pytest.approx(share, abs=1e-9)


def test_neighbourhood_by_hand():
    p, t = chances(6, 3), 0.05
    total = 0.0
    for i in range(6):
        near = [math.exp(p[i] @ p[j] / np.linalg.norm(p[i]) / np.linalg.norm(p[j]) / t) for j in range(6) if j != i]
        share = [each / sum(near) for each in near]
        total -= sum(each * math.log(each) for each in share)
    assert validators.neighbourhood(p) == pytest.approx(total / 6)


def test_neighbourhood_is_most_where_all_answers_are_alike():
    """Which is why it is shown and not used."""
    assert validators.neighbourhood(np.tile([0.9, 0.1], (20, 1))) == pytest.approx(math.log(19))
    assert validators.neighbourhood(np.eye(2)[np.arange(20) % 2]) < math.log(10)


def test_agreement_is_with_the_answer_of_most():
    said = [np.array([0, 1, 2, 2]), np.array([0, 1, 1, 0]), np.array([0, 2, 1, 2])]
    np.testing.assert_allclose(validators.agreement(said), [0.75, 0.75, 0.75])
    np.testing.assert_allclose(validators.agreement([said[0], said[0], 2 - said[0]]), [1, 1, 0.25])
    np.testing.assert_allclose(validators.agreement(said[:2]), [1, 1])


def clouds(n, seed, shift=0.0):
    draw = np.random.default_rng(seed)
    y = np.arange(n) % 3
    return draw.normal(size=(n, 8)) + 4 * np.eye(8)[y] + shift, y


def test_reverse_is_high_for_right_answers_low_for_others_and_0_for_one_class():
    a, y = clouds(90, 0)
    b, truth = clouds(120, 1, shift=5.0)
    assert validators.reverse(b, truth, a, y) > 0.95
    assert validators.reverse(b, (truth + 1) % 3, a, y) < 0.05
    assert validators.reverse(b, np.zeros(120, int), a, y) == 0
    two = np.where(truth == 2, 0, truth)
    assert validators.reverse(b, two, a, y) == pytest.approx(2 / 3, abs=0.1)


def test_reverse_does_not_hang_on_the_classes_shares():
    a, y = clouds(90, 0)
    b, truth = clouds(120, 1)
    few = np.concatenate([np.flatnonzero(y == 0)[:3], np.flatnonzero(y > 0)])
    assert validators.reverse(b, truth, a[few], y[few]) > 0.9


def test_vanished_classes_are_those_answered_less_than_a_tenth_as_often_as_they_must_occur():
    answers = np.repeat([0, 1, 2], [95, 4, 1])
    assert validators.vanished(answers, np.array([0.5, 0.3, 0.2])) == [2]
    assert validators.vanished(answers, np.array([0.5, 0.3, 0.0, 0.2])) == [3]
    assert validators.vanished(answers, np.zeros(3)) == []


@pytest.mark.parametrize("given", [[], [np.zeros(3), np.zeros(2)], [np.zeros((2, 2))]])
def test_answers_that_do_not_fit_are_refused(given):
    with pytest.raises(DataError, match="give one class for each row and way"):
        validators.agreement(given)


def test_scores_are_not_taken_for_probabilities():
    with pytest.raises(DataError, match="not scores"):
        validators.information(np.array([[2.0, -1.0]]))
    with pytest.raises(DataError, match=r"1 rows at temperature 0\.05 have no density"):
        validators.neighbourhood(np.array([[0.5, 0.5]]))


def judged(key, *, trust=0.9, gain=5.0, refused=""):
    return Judged(key, key, 0.9, trust, trust, 0.9, 3.0, gain, refused)


def test_the_most_trusted_is_chosen_and_in_doubt_none():
    nothing = judged("nothing", trust=0.5, gain=0.0)
    good, better = judged("good", trust=0.7), judged("better", trust=0.8)
    assert choose([nothing, good, better]) is better
    assert choose([nothing, good, judged("better", trust=0.8, refused="costs")]) is good
    assert choose([nothing, judged("doubt", gain=-0.1)]) is nothing
    assert choose([nothing, judged("near", trust=0.59)]) is nothing
    assert choose([nothing, judged("less", trust=0.4)]) is nothing
    assert choose([nothing]) is nothing


def seen(key, answers, source, c=3, sure=0.98):
    p = np.full((len(answers), c), (1 - sure) / (c - 1))
    p[np.arange(len(answers)), answers] = sure
    return Seen(key, key, [source], [p])


def test_what_costs_more_than_a_point_on_the_source_or_drops_classes_is_refused():
    a, y = clouds(90, 0)
    b, truth = clouds(120, 1)
    wrong = np.where(np.arange(120) < 60, 0, truth)
    ways = [
        seen("nothing", wrong, 0.9),
        seen("within", truth, 0.891),
        seen("costs", truth, 0.889),
        seen("drops", np.where(truth == 2, 0, truth), 0.9),
    ]
    found = judge(ways, a, y, b, np.full(3, 0.2), "accuracy")
    assert [bool(each.refused) for each in found] == [False, False, True, True]
    assert found[2].refused == "costs 1.1 points on held-out rows of the source"
    assert "1 of 3 classes" in found[3].refused
    assert choose(found).key == "within"


def test_a_metric_that_is_better_low_is_turned():
    a, y = clouds(90, 0)
    b, truth = clouds(120, 1)
    ways = [seen("nothing", truth, 0.2), seen("lower", truth, 0.1), seen("higher", truth, 0.3)]
    found = judge(ways, a, y, b, np.zeros(3), "log_loss")
    assert [bool(each.refused) for each in found] == [False, False, True]


def test_gain_is_that_of_mcnemar():
    a, y = clouds(90, 0)
    b, truth = clouds(120, 1)
    off = truth.copy()
    off[:16] = (off[:16] + 1) % 3
    ways = [seen("nothing", off, 0.9), seen("one", truth, 0.9), seen("two", truth, 0.9)]
    found = judge(ways, a, y, b, np.zeros(3), "accuracy")
    assert found[0].gain == 0
    assert found[1].gain == pytest.approx(16 / 4)
    assert found[1].agreement == 1
    assert found[0].agreement == pytest.approx(104 / 120)
