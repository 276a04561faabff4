"""Stored statistics against the target's: closed forms, and nothing but noise where nothing changed."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from headstart.errors import DataError
from headstart.mismatch.norms import Moved, by_depth, moved

MANY = 1e12  # so that nothing is left to correct


def layer(distance):
    return Moved(0.0, 0.0, distance, 1)


def test_a_shift_alone_has_its_closed_form():
    """Means move by 1/2 and 1 deviation: squares 0.25 and 1, and the same divergence as their variances are equal."""
    found = moved([0, 1], [4.0, 9.0], [1, 4], [4.0, 9.0], count=MANY, eps=1e-12)
    assert found.shift == pytest.approx((0.25 + 1) / 2)
    assert found.scale == pytest.approx(0, abs=1e-9)
    assert found.distance == pytest.approx((0.25 + 1) / 2)
    assert found.channels == 2


def test_a_change_of_scale_alone_has_its_closed_form():
    found = moved([3.0], [1.0], [3.0], [4.0], count=MANY, eps=1e-12)
    assert found.shift == pytest.approx(0, abs=1e-9)
    assert found.scale == pytest.approx(np.log(4) ** 2)
    assert found.distance == pytest.approx((4 + 1 / 4 - 2) / 2)


def test_distance_is_the_divergence_by_integration():
    one, two = norm(0.3, 1.5), norm(-0.4, 0.8)
    expected, _ = quad(lambda x: (one.pdf(x) - two.pdf(x)) * (one.logpdf(x) - two.logpdf(x)), -12, 12)
    assert moved([0.3], [1.5**2], [-0.4], [0.8**2], count=MANY, eps=1e-12).distance == pytest.approx(expected)


def draws_of(count, seed, shift=0.0, spread=1.0, channels=4000):
    """What is found of channels N(1, 4) from `count` values each, changed by shift and spread in deviations."""
    x = 1 + 2 * (shift + spread * np.random.default_rng(seed).normal(size=(count, channels)))
    stored = np.ones(channels), np.full(channels, 4.0)
    return moved(*stored, x.mean(0), x.var(0, ddof=1), count=count, eps=1e-9)


@pytest.mark.parametrize("count", [6, 12, 60])
def test_matched_data_are_at_zero_however_few(count):
    found = draws_of(count, 0)
    # four standard errors of means over 4,000 channels; uncorrected the shift alone would be 1 / count
    assert found.shift == pytest.approx(0, abs=4 * np.sqrt(2 / 4000) / count)
    assert found.scale == pytest.approx(0, abs=12 / (count - 3) / np.sqrt(4000))
    assert found.distance == pytest.approx(0, abs=16 / (count - 5) / np.sqrt(4000))


def test_a_true_change_is_found_without_bias_from_few_values():
    sizes = [draws_of(count, 1, 0.5, 1.3) for count in (12, 100)]
    ratio = 1.3**2
    for found in sizes:
        assert found.shift == pytest.approx(0.25, rel=0.08)
        assert found.scale == pytest.approx(np.log(ratio) ** 2, rel=0.15)
        assert found.distance == pytest.approx((ratio + 1 / ratio - 2 + 0.25 * (1 + 1 / ratio)) / 2, rel=0.08)


def test_more_noise_is_farther():
    found = [draws_of(50, 2, spread=np.sqrt(1 + noise**2)) for noise in (0, 0.5, 1, 2)]
    assert [one.distance for one in found] == sorted(one.distance for one in found)
    assert [one.scale for one in found] == sorted(one.scale for one in found)
    assert max(abs(one.shift) for one in found) < 0.02


def test_a_dead_channel_stays_quiet():
    """Variances of 1e-12 and 1e-9 are both nothing beside eps: the network's output is the same."""
    found = moved([0.0], [1e-12], [0.0], [1e-9], count=20, eps=1e-5)
    assert max(abs(found.shift), abs(found.scale), abs(found.distance)) < 1e-5


def test_thirds_of_the_depth():
    found = by_depth([layer(value) for value in (1, 3, 5, 5, 0, 1)])
    assert (found.first, found.middle, found.last, found.where) == (2, 5, 0.5, "middle")
    assert by_depth([layer(value) for value in (4, 1, 1, 0)]).where == "first"  # two, one and one
    assert by_depth([layer(value) for value in (0, 1, 2)]).last == 2
    with pytest.raises(DataError, match=r"^2 layers were given; give at least 3, so that each third has one\.$"):
        by_depth([layer(1.0), layer(2.0)])


def test_statistics_that_cannot_be_compared():
    with pytest.raises(
        DataError,
        match=r"^the statistics have the shapes mean \(2,\), var \(2,\), target_mean \(1,\), target_var \(2,\); "
        r"give one number per channel in each\.$",
    ):
        moved([0, 0], [1, 1], [0], [1, 1], count=9)
    with pytest.raises(DataError, match=r"^target_var has -1 as its least; give variances of at least 0\.$"):
        moved([0], [1], [0], [-1], count=9)
    with pytest.raises(DataError, match=r"^count=3 and eps=1e-05; give a count above 3 and an eps above 0\.$"):
        moved([0], [1], [0], [1], count=3)
