"""Perplexity and intervals against formulas, simulation and the likelihood itself."""

import math
from statistics import NormalDist

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from headstart.errors import DataError
from headstart.language.score import perplexity, perplexity_ratio
from headstart.language.spread import mean, resampled_sums, share, share_lost


def test_a_blind_guess_has_the_size_of_its_vocabulary():
    tokens = np.array([3, 50, 7])
    found = perplexity(tokens * math.log(500), tokens)
    assert (found.value, found.low, found.high) == pytest.approx((500, 500, 500))
    assert perplexity([0.0, 0.0], [4, 2]).value == 1


def test_tokens_weigh_the_same():
    """By hand: 2 tokens of 1 nat and 8 of 3 nats."""
    found = perplexity([2.0, 24.0], [2, 8])
    assert found.value == pytest.approx(math.exp(2.6))
    assert (found.low, found.high) == pytest.approx((math.e, math.exp(3)))  # texts are drawn whole


def test_the_interval_of_perplexity_is_near_that_of_the_ratio_of_means():
    """The delta method: log perplexity has the standard error of mean(nats - r tokens) over the mean of tokens."""
    draw = np.random.default_rng(0)
    tokens = draw.integers(20, 200, 400)
    nats = tokens * draw.gamma(20, 0.15, 400)
    found = perplexity(nats, tokens, draws=4000)
    rate = nats.sum() / tokens.sum()
    error = np.std(nats - rate * tokens, ddof=1) / math.sqrt(400) / tokens.mean()
    assert math.log(found.low) == pytest.approx(rate - 1.96 * error, abs=0.15 * error)
    assert math.log(found.high) == pytest.approx(rate + 1.96 * error, abs=0.15 * error)


def test_a_ratio_is_that_of_the_perplexities_and_paired():
    """Every token costs 0.1 nats more: the ratio is certain although each perplexity is not."""
    draw = np.random.default_rng(0)
    tokens = draw.integers(20, 200, 40)
    before = tokens * draw.gamma(20, 0.15, 40)
    after = before + 0.1 * tokens
    found = perplexity_ratio(after, before, tokens)
    assert (found.value, found.low, found.high) == pytest.approx((math.exp(0.1),) * 3)
    noisy = after + draw.normal(size=40)
    expected = perplexity(noisy, tokens).value / perplexity(before, tokens).value
    found = perplexity_ratio(noisy, before, tokens)
    assert found.value == pytest.approx(expected)
    assert found.low < expected < found.high
    back = perplexity_ratio(before, noisy, tokens)
    assert (back.low, back.high) == pytest.approx((1 / found.high, 1 / found.low))


def test_drawn_sums_are_sums_of_as_many_examples():
    """Each drawn sum of ones is n; of one-hot rows it is how often a row came, on average once."""
    sums = resampled_sums(np.c_[np.ones(5), np.eye(5)], 0, 4000)
    assert (sums[:, 0] == 5).all()
    np.testing.assert_allclose(sums[:, 1:].mean(0), 1, atol=0.06)
    np.testing.assert_allclose(sums[:, 1:].var(0), 1 - 1 / 5, atol=0.08)


def test_draws_depend_on_the_seed_and_the_number_of_examples_alone(monkeypatch):
    one, other = np.arange(8.0)[:, None], np.arange(8.0)[::-1, None]
    np.testing.assert_array_equal(resampled_sums(one, 1, 90), 7 * 8 - resampled_sums(other, 1, 90))
    assert (resampled_sums(one, 1, 90) != resampled_sums(one, 2, 90)).any()
    whole = resampled_sums(one, 1, 90)
    monkeypatch.setattr("headstart.language.spread._AT_ONCE", 100)  # a few draws at a time are the same draws
    np.testing.assert_array_equal(resampled_sums(one, 1, 90), whole)


def test_the_interval_of_a_mean_covers_the_truth():
    draw = np.random.default_rng(0)
    held = 0
    for trial in range(200):
        found = mean(draw.exponential(size=80), seed=trial, draws=300)
        held += found.low <= 1 <= found.high
    assert 0.86 <= held / 200 <= 1


def test_one_example_has_no_interval():
    found = mean([0.4])
    assert found.value == 0.4
    assert math.isnan(found.low)
    assert math.isnan(found.high)


@pytest.mark.parametrize(("right", "n"), [(0, 10), (7, 10), (78, 78)])
def test_wilsons_ends_are_where_the_score_test_rejects(right, n):
    found, z = share(right, n), NormalDist().inv_cdf(0.975)
    for p in (found.low, found.high):
        if 1e-9 < p < 1 - 1e-9:
            assert abs(right / n - p) == pytest.approx(z * math.sqrt(p * (1 - p) / n))


@pytest.mark.parametrize(("worse", "better", "n"), [(9, 3, 78), (0, 0, 78), (5, 0, 40), (0, 7, 20), (20, 15, 50)])
def test_the_ends_of_a_paired_loss_are_where_the_score_test_rejects(worse, better, n):
    """At each end the standardised distance is 1.96, its variance at the likelihood's own maximum."""
    found = share_lost(worse, better, n)
    assert found.value == (worse - better) / n
    for gap in (found.low, found.high):

        def unlikely(won, gap=gap):
            cells = ((worse, won + gap), (better, won), (n - worse - better, 1 - 2 * won - gap))
            return -sum(count * math.log(max(chance, 1e-300)) for count, chance in cells if count)

        bounds = max(0.0, -gap), (1 - gap) / 2
        won = minimize_scalar(unlikely, bounds=bounds, method="bounded", options={"xatol": 1e-12}).x
        error = math.sqrt((2 * won + gap - gap**2) / n)
        assert abs(found.value - gap) / error == pytest.approx(1.959964, rel=1e-3)


@pytest.mark.parametrize(("worse", "better"), [(10, 0), (0, 10)])
def test_all_lost_ends_at_the_edge(worse, better):
    found = share_lost(worse, better, 10)
    assert abs(found.value) == 1
    assert max(abs(found.low), abs(found.high)) == pytest.approx(1)
    assert 0.4 < min(abs(found.low), abs(found.high)) < 1


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: perplexity([], []), r"losses have shape \(0,\); give \(n,\), one number per example"),
        (lambda: perplexity([1.0, 2.0], [3]), "2 losses and 1 token counts were given; give both for each text"),
        (lambda: perplexity([1.0, math.nan], [3, 3]), "losses hold nan for example 1; give finite numbers"),
        (lambda: perplexity([1.0, math.inf], [3, 3]), "losses hold inf for example 1"),
        (lambda: perplexity([1.0, 2.0], [3, 0]), "text 1 has 0 tokens; give a whole number above 0"),
        (lambda: perplexity([1.0], np.array([2.5])), "text 0 has 2.5 tokens"),
        (lambda: perplexity([-1.0], [3]), "text 0 has a loss of -1 nats over 3 tokens; give the sum over its tokens"),
        (lambda: perplexity(np.ones((1, 1)), [3]), r"losses have shape \(1, 1\)"),
        (lambda: perplexity_ratio([1.0], [1.0, 2.0], [3]), "2 losses and 1 token counts"),
        (lambda: perplexity([1.0, 2.0], [3, 4], draws=0), "draws=0 leaves nothing"),
        (lambda: mean([]), r"values have shape \(0,\)"),
        (lambda: share(3, 2), "3 of 2 is no share; give a count between 0 and the number of examples"),
        (lambda: share(0, 0), "0 of 0 is no share"),
        (lambda: share_lost(2, 2, 3), "2 lost and 2 won do not fit into 3 examples"),
        (lambda: share_lost(0, 0, 0), "0 lost and 0 won do not fit into 0 examples"),
    ],
)
def test_errors_say_what_is_allowed(call, said):
    with pytest.raises(DataError, match=said):
        call()
