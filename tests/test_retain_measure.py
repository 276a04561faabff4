"""How much is left: alignment by its other formulas, agreement by hand, and limits that hold what they promise."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import binom

from headstart.errors import DataError
from headstart.retain.measure import agreement, cka, lost, right


def rows(n, d, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d))


def hsic(k, m):
    """Centred, by the double sum of its definition."""
    n = len(k)
    h = np.eye(n) - 1 / n
    a, b = h @ k @ h, h @ m @ h
    return sum(a[i, j] * b[j, i] for i in range(n) for j in range(n)) / (n - 1) ** 2


@pytest.mark.parametrize(("n", "d", "e"), [(40, 3, 5), (10, 20, 4), (10, 30, 40), (12, 12, 12)])
def test_cka_is_the_normalised_hsic_of_linear_kernels(n, d, e):
    x = rows(n, d) + 3
    y = rows(n, e, 1) + np.tanh(x) @ rows(d, e, 2)
    k, m = x @ x.T, y @ y.T
    assert cka(x, y) == pytest.approx(hsic(k, m) / math.sqrt(hsic(k, k) * hsic(m, m)))
    assert cka(x, y) == pytest.approx(cka(y, x))


@pytest.mark.parametrize("n", [8, 60])
def test_cka_is_1_for_itself_however_it_is_turned_scaled_or_shifted_and_less_for_another_map(n):
    x = rows(n, 12)
    turn, _ = np.linalg.qr(rows(12, 12, 3))
    assert cka(x, x) == pytest.approx(1)
    assert cka(x, 1e3 * x @ turn - 7) == pytest.approx(1)
    assert cka(x, x * np.arange(1, 13) ** 2) < 0.99
    assert cka(x.astype("float32") * 1e30, x) == pytest.approx(1)


def test_cka_of_noise_falls_as_rows_outnumber_features():
    for n in (20, 200, 2000):
        assert cka(rows(n, 20), rows(n, 20, 1)) == pytest.approx(20 / (n + 20), rel=0.2)


def test_features_that_cannot_be_aligned_are_refused():
    with pytest.raises(DataError, match=r"features of shapes \(3, 2\) and \(4, 2\)"):
        cka(rows(3, 2), rows(4, 2))
    with pytest.raises(DataError, match="the same in all rows of one side"):
        cka(np.ones((3, 2)), rows(3, 2))


def test_agreement_of_classes_and_labels_by_hand():
    before = np.array([[0.7, 0.3], [0.4, 0.6], [0.9, 0.1], [0.2, 0.8]])
    after = np.array([[0.6, 0.4], [0.6, 0.4], [0.8, 0.2], [0.1, 0.9]])
    assert agreement(before, after, "classes") == 3 / 4
    assert agreement(before, after, "labels") == 6 / 8
    assert agreement(np.log(before / (1 - before)), np.log(after / (1 - after)), "labels", yes=0) == 6 / 8


def test_agreement_of_numbers_sees_what_a_correlation_does_not():
    before = rows(50, 2)
    assert agreement(before, before, "numbers") == 1
    moved = before + np.array([0, 0.5])
    by_hand = 1 - 0.5**2 / before[:, 1].var()
    assert agreement(before, moved, "numbers") == pytest.approx((1 + by_hand) / 2)
    assert agreement(before, np.zeros((50, 2)) + before.mean(0), "numbers") == pytest.approx(0)
    still = np.ones((4, 1))
    assert agreement(still, still, "numbers") == 1
    assert agreement(still, still + 1, "numbers") == 0


def test_how_right_rows_are_by_hand():
    assert_allclose(right(np.array([[0.9, 0.1], [0.9, 0.1]]), np.array([0, 1]), "classes"), [1, 0])
    assert_allclose(right(np.array([[0.9, 0.1], [0.9, 0.8]]), np.array([[1, 0], [1, 0]]), "labels"), [1, 0.5])
    y = rows(200, 1)
    near = y + 0.3 * rows(200, 1, 1)
    assert right(near, y[:, 0], "numbers").mean() == pytest.approx(1 - ((near - y) ** 2).mean() / y.var(), abs=0.01)
    assert right(y + 100, y, "numbers").max() == 0


def answers(worse, better, both, neither):
    """Two answers to two classes of which so many rows are right before alone, after alone, twice and never."""
    before = np.repeat([1, 0, 1, 0], [worse, better, both, neither])
    after = np.repeat([0, 1, 1, 0], [worse, better, both, neither])
    one_hot = np.eye(2)
    return one_hot[before], one_hot[after], np.ones(len(before), int)


def test_what_was_lost_is_counted_on_the_same_rows():
    found = lost(*answers(6, 2, 80, 12), "classes")
    assert (found.rows, found.before, found.after) == (100, 0.86, 0.82)
    assert (found.worse, found.better) == (0.06, 0.02)
    assert found.value == pytest.approx(0.04)
    assert found.low < 0 < found.value < found.at_most < found.high


def test_before_and_after_changed_over_it_is_the_same_with_the_other_sign():
    one, other, y = answers(6, 2, 80, 12)
    there, back = lost(one, other, y, "classes"), lost(other, one, y, "classes")
    assert there.low == pytest.approx(-back.high)
    assert there.high == pytest.approx(-back.low)


@pytest.mark.parametrize("n", [1, 5, 30, 300])
def test_without_a_discordant_row_the_bound_is_that_of_no_case_in_n(n):
    found = lost(*answers(0, 0, n, 0), "classes")
    assert found.value == 0
    assert found.at_most == pytest.approx(1 - 0.05 ** (1 / n))
    assert (1 - found.at_most) ** n == pytest.approx(0.05)


def test_with_losses_alone_the_bound_is_clopper_and_pearsons():
    found = lost(*answers(4, 0, 50, 6), "classes", confidence=0.9)
    assert binom.cdf(4, 60, found.at_most) == pytest.approx(0.1)


def test_with_many_rows_the_interval_is_that_of_the_normal_for_paired_shares():
    n = 20_000
    found = lost(*answers(3000, 1000, 14_000, 2000), "classes")
    error = math.sqrt(0.15 + 0.05 - 0.1**2) / math.sqrt(n)
    assert found.low == pytest.approx(0.1 - 1.96 * error, abs=2e-4)
    assert found.high == pytest.approx(0.1 + 1.96 * error, abs=2e-4)
    assert found.at_most == pytest.approx(0.1 + 1.645 * error, abs=2e-4)


CASES = [(0.003, 0), (0.01, 0), (0.01, 0.01), (0.03, 0.01), (0.01, 0.03), (0.1, 0.1), (0.3, 0.05), (0.25, 0.25)]


@pytest.mark.parametrize("n", [10, 50, 300, 1000])
@pytest.mark.parametrize(("worse", "better"), CASES)
def test_limits_hold_the_truth_as_often_as_they_say(worse, better, n):
    """2,000 draws of discordant rows; the noise of so many is half a point."""
    draws = np.random.default_rng([n, round(1e4 * worse), round(1e4 * better)]).multinomial(
        n, [worse, better, 1 - worse - better], 2000
    )
    kinds, counts = np.unique(draws, axis=0, return_counts=True)
    bound = inside = 0
    for (a, b, rest), count in zip(kinds, counts, strict=True):
        found = lost(*answers(a, b, rest, 0), "classes")
        bound += count * (worse - better <= found.at_most + 1e-12)
        inside += count * (found.low - 1e-12 <= worse - better <= found.high + 1e-12)
    assert bound / 2000 >= 0.94
    assert inside / 2000 >= 0.935


@pytest.mark.parametrize("task", ["labels", "numbers"])
def test_limits_hold_where_rows_are_partly_right(task):
    draw, truth, caught = np.random.default_rng(0), [], 0

    def sample(n):
        y = draw.normal(size=(n, 2))
        out = y + 0.5 * draw.normal(size=(n, 2))
        hit = draw.random((n, 1)) < 0.05
        return out, np.where(hit, out + 2 * draw.normal(size=(n, 2)), out), y

    def measured(n):
        before, after, y = sample(n)
        if task == "labels":
            before, after, y = before > 0, after > 0, (y > 0).astype(float)
        return lost(before, after, y, task)

    truth = measured(400_000).value
    for _ in range(2000):
        caught += truth <= measured(40).at_most
    assert caught / 2000 >= 0.94


def test_what_cannot_be_compared_is_refused():
    one, other, y = answers(1, 1, 1, 1)
    with pytest.raises(DataError, match=r"confidence=1 is not between 0 and 1"):
        lost(one, other, y, "classes", confidence=1)
    with pytest.raises(DataError, match="task 'music' is unknown"):
        agreement(one, other, "music")
    with pytest.raises(DataError, match=r"shapes \(4,\) and \(3,\)"):
        lost(one, other, y[:3], "classes")
