"""Weights of estimates: ridge in closed form, and never a look at the outcome that is foretold."""

import numpy as np
import pytest

from headstart.errors import DataError
from headstart.rank.combine import learn, standardised


def made(seed, sets=6, networks=9, weights=(1.0, 0.4, 0.0)):
    """Estimates of which the outcome is a known mixture, with noise."""
    draw = np.random.default_rng(seed)
    x = draw.normal(size=(sets, networks, len(weights)))
    return x, x @ np.array(weights) + 0.1 * draw.normal(size=(sets, networks))


def test_columns_are_standardised_and_constant_ones_say_nothing():
    x = np.array([[1.0, 5.0], [2.0, 5.0], [3.0, 5.0]])
    assert np.allclose(standardised(x), [[-np.sqrt(1.5), 0], [0, 0], [np.sqrt(1.5), 0]])


def test_weights_are_those_of_ridge_regression():
    x, y = made(0)
    got = learn(range(6), lambda each, _: x[each], lambda each: y[each], strengths=(3.0,))
    a = np.concatenate([(v - v.mean(0)) / v.std(0) for v in x])
    b = np.concatenate([(v - v.mean()) / v.std() for v in y])
    # ridge as least squares with a row of sqrt(strength) for every weight
    wide = np.concatenate([a, np.sqrt(3.0) * np.eye(3)])
    by_hand = np.linalg.lstsq(wide, np.concatenate([b, np.zeros(3)]), rcond=None)[0]
    assert np.allclose(got.weights, by_hand)
    assert np.allclose(got.of(x[0]), (x[0] - x[0].mean(0)) / x[0].std(0) @ by_hand)


def test_the_strength_is_that_of_least_error_on_sets_left_out():
    x, y = made(1, weights=(0.0, 0.0, 0.0))  # nothing to learn: the more shrinkage the better
    strengths = (1.0, 10.0, 1000.0)
    assert learn(range(6), lambda each, _: x[each], lambda each: y[each], strengths).strength == 1000
    x, y = made(2)
    assert learn(range(6), lambda each, _: x[each], lambda each: y[each], strengths).strength == 1


def test_estimates_made_from_outcomes_never_see_the_one_that_is_left_out():
    x, y = made(3)
    asked = []

    def columns(each, without):
        asked.append((each, without))
        return x[each]

    learn(range(6), columns, lambda each: y[each], strengths=(1.0,))
    assert all(each in without for each, without in asked)
    # while one set is left out, neither its own estimates nor those of the others may use its outcome
    for left in range(6):
        assert {each for each, without in asked if without == frozenset({each, left})} == set(range(6))


def test_one_data_set_is_too_few():
    x, y = made(4)
    with pytest.raises(DataError, match="1 data sets with known outcomes were given; weights need at least 2"):
        learn([0], lambda each, _: x[each], lambda each: y[each])
