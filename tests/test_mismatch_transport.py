"""Optimal transport against answers that are known without it."""

import sys

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment
from scipy.special import logsumexp

from headstart.errors import DataError
from headstart.mismatch.transport import transport


def rows(n, d, seed):
    return np.random.default_rng(seed).normal(size=(n, d))


def test_rows_in_another_order_are_found_again():
    source = rows(40, 5, 0)
    order = np.random.default_rng(1).permutation(40)
    found = transport(source, source[order], blur=0.001)
    np.testing.assert_allclose(found.moved, source, atol=1e-3)
    np.testing.assert_array_equal(found.plan.argmax(1), np.argsort(order))


def test_with_little_blur_it_is_the_assignment_of_least_cost():
    source, target = rows(30, 3, 0), 2 * rows(30, 3, 1) + 4
    cost = ((source[:, None] - target[None]) ** 2).sum(2)
    best = linear_sum_assignment(cost)[1]
    found = transport(source, target, blur=0.0005)
    assert np.mean(found.plan.argmax(1) == best) > 0.9
    assert (found.plan * cost).sum() == pytest.approx(cost[np.arange(30), best].mean(), rel=0.01)


def test_gaussians_are_moved_by_the_map_of_their_moments():
    """In one dimension the map between Gaussians is linear: the ratio of deviations, and the means."""
    draw = np.random.default_rng(0)
    source, target = draw.normal(1, 1, (800, 1)), draw.normal(5, 3, (800, 1))
    found = transport(source, target, blur=0.001)
    by_moments = 5 + 3 * (source - 1)
    middle = np.abs(source[:, 0] - 1) < 1.5
    assert np.abs(found.moved - by_moments)[middle].mean() < 0.25


def test_the_plan_is_that_of_a_naive_scaling():
    source, target = rows(12, 4, 0), rows(9, 4, 1)
    cost = ((source[:, None] - target[None]) ** 2).sum(2)
    cost /= cost.max()
    f, g = np.zeros(12), np.zeros(9)
    for _ in range(2000):  # in logarithms, one side at a time
        f = -np.log(12) - logsumexp(g - cost / 0.05, axis=1)
        g = -np.log(9) - logsumexp(f[:, None] - cost / 0.05, axis=0)
    by_hand = np.exp(f[:, None] + g - cost / 0.05)
    found = transport(source, target, blur=0.05)
    np.testing.assert_allclose(found.plan, by_hand, rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(found.moved, by_hand @ target * 12, rtol=1e-4, atol=1e-5)


def mixed(plan, y):
    """Mean number of classes that a target row's mass comes from, as the exponential of an entropy."""
    share = np.stack([plan[y == k].sum(0) for k in np.unique(y)]) / plan.sum(0)
    return np.exp(-(share * np.log(np.maximum(share, 1e-300))).sum(0)).mean()


def objective(plan, cost, y, blur, together):
    share = np.stack([plan[y == k].sum(0) for k in np.unique(y)]) * plan.shape[1]
    return (plan * cost).sum() + blur * (plan * np.log(plan)).sum() + together * np.sqrt(share + 0.5).sum(0).mean()


def test_classes_bring_down_what_the_docstring_names_and_are_kept_apart():
    source, target, y = rows(40, 4, 0), rows(40, 4, 1), np.arange(40) % 3
    cost = ((source[:, None] - target[None]) ** 2).sum(2)
    cost /= cost.max()
    plain, kept = transport(source, target), transport(source, target, y, together=1.0)
    assert mixed(kept.plan, y) < mixed(plain.plan, y) - 0.2
    assert objective(kept.plan, cost, y, 0.05, 1.0) < objective(plain.plan, cost, y, 0.05, 1.0)
    np.testing.assert_allclose(kept.plan.sum(0), 1 / 40, atol=1e-6)


def test_together_of_nothing_is_the_plain_plan():
    source, target, y = rows(15, 3, 0), rows(20, 3, 1), np.arange(15) % 2
    plain, none = transport(source, target), transport(source, target, y, together=0)
    np.testing.assert_array_equal(plain.plan, none.plan)


def test_other_rows_move_as_the_nearest_of_the_plan():
    source, target = rows(20, 3, 0), rows(20, 3, 1) + 3
    found = transport(source, target)
    near = source[[4, 7]] + 1e-6
    np.testing.assert_allclose(found(near), found.moved[[4, 7]] + 1e-6, atol=1e-9)
    np.testing.assert_allclose(found(source), found.moved, atol=1e-9)


def test_a_missing_package_is_named_with_what_brings_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "ot", None)
    with pytest.raises(DataError, match=r"POT, which is not installed; run pip install headstart\[adapt\]"):
        transport(rows(5, 2, 0), rows(5, 2, 1))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"blur": 0}, "blur=0 and together=2.0; give a blur above 0"),
        ({"together": -1}, "blur=0.05 and together=-1; give"),
        ({"y": np.zeros(3, int)}, r"classes have the shape \(3,\) .* give 5 whole numbers"),
    ],
)
def test_what_cannot_be_is_refused(given, said):
    with pytest.raises(DataError, match=said):
        transport(rows(5, 2, 0), rows(6, 2, 1), **given)


def test_maps_are_for_the_features_they_were_made_of():
    with pytest.raises(DataError, match="x has 3 features and the map was made for 2"):
        transport(rows(5, 2, 0), rows(5, 2, 1))(rows(4, 3, 0))
