"""Heads from moments are those from the rows, in whatever order these came; shrinkage and evidence by formula."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import multivariate_normal

from headstart.errors import DataError
from headstart.heads.closed import Discriminant, Ridge
from headstart.heads.continual import discriminant, head_of, oas, pseudo, ridge
from headstart.heads.moments import Moments
from headstart.heads.paths import RidgePath

C = 3


def rows(task, n=400, d=6, seed=0):
    """Features about unlike means, and targets that depend on them."""
    draw = np.random.default_rng(seed)
    kind = draw.integers(0, C, n)
    x = draw.normal(size=(n, d)) @ draw.normal(size=(d, d)) + draw.normal(0, 2, (C, d))[kind] + 100
    signal = (x - x.mean(0)) @ draw.normal(size=(d, 2)) + draw.normal(0, 1, (n, 2))
    y = {"classes": kind, "labels": (signal > signal.mean(0)).astype(np.float32), "numbers": 5 * signal + 2000}
    return x, y[task]


def columns(y):
    return C if y.ndim == 1 else y.shape[1]


def standardised(x):
    return (x - x.mean(0)) / x.std(0)


@pytest.mark.parametrize("shrinkage", [0.03, 0.4, 1.0])
@pytest.mark.parametrize("task", ["classes", "labels"])
def test_a_head_from_added_moments_is_the_closed_form_of_all_rows_at_once(task, shrinkage):
    x, y = rows(task)
    first = Moments.of(x[:150], y[:150], task, columns(y))
    head = discriminant(first.plus(Moments.of(x[150:], y[150:], task, columns(y), first.origin)), shrinkage=shrinkage)
    z = standardised(x)
    weight = np.full(len(x), 1 / len(x)) if task == "classes" else np.full(y.shape, 1 / len(x))
    wanted, bias = Discriminant(z, y, weight, columns(y), z.shape[1]).shrunk(shrinkage)
    assert_allclose(head.scores(x), z @ wanted + bias, atol=2e-4)


def test_numbers_from_added_moments_are_the_ridge_of_all_rows_at_once():
    x, y = rows("numbers")
    first = Moments.of(x[:150], y[:150], "numbers", 2)
    head = ridge(first.plus(Moments.of(x[150:], y[150:], "numbers", 2, first.origin)), strength=0.08)
    z = standardised(x)
    weight, bias = Ridge(z, standardised(y)).shrunk(0.08)
    assert_allclose(head.scores(x), (z @ weight + bias) * y.std(0) + y.mean(0), rtol=1e-6)


@pytest.mark.parametrize("task", ["classes", "labels", "numbers"])
def test_the_order_in_which_rows_and_columns_came_changes_nothing(task):
    x, y = rows(task)
    c = columns(y)
    whole = head_of(Moments.of(x, y, task, c))
    order = np.argsort(y, kind="stable") if task == "classes" else np.argsort(x[:, 0])  # one class after the other
    parts = np.array_split(order, 7)
    found = Moments.of(x[parts[0]], y[parts[0]], task, c)
    for part in parts[1:]:
        found = found.plus(Moments.of(x[part], y[part], task, c, found.origin))
    assert_allclose(head_of(found).scores(x), whole.scores(x), rtol=1e-5, atol=1e-5)
    places = np.roll(np.arange(c), 1)
    moved = head_of(found.with_columns(places, c)).scores(x)
    assert_allclose(moved[:, places], whole.scores(x), rtol=1e-5, atol=1e-5)


def test_with_full_shrinkage_the_nearest_mean_of_standardised_features_answers():
    x, y = rows("classes")
    z = standardised(x)
    means = np.stack([z[y == k].mean(0) for k in range(C)])
    nearest = ((z[:, None] - means) ** 2).sum(2).argmin(1)
    head = discriminant(Moments.of(x, y, "classes", C), shrinkage=1.0, balance=True)
    assert_array_equal(head.scores(x).argmax(1), nearest)


def test_the_prior_is_that_of_the_counts_or_equal():
    x, y = rows("classes")
    kept = np.flatnonzero((y > 0) | (np.arange(len(y)) % 10 == 0))
    moments = Moments.of(x[kept], y[kept], "classes", C)
    apart = discriminant(moments).bias - discriminant(moments, balance=True).bias
    assert_allclose(apart - apart[0], np.log(moments.count / moments.count[0]), atol=1e-9)


def test_a_class_that_nothing_is_known_of_is_never_answered():
    x, y = rows("classes")
    head = discriminant(Moments.of(x, y, "classes", C + 2))
    assert head.scores(x).argmax(1).max() < C
    label = discriminant(Moments.of(*rows("labels"), "labels", 2).with_columns([0, 1], 3))
    assert label.probabilities(x)[:, 2].max() < 1e-6


def test_a_constant_feature_has_no_say():
    x, y = rows("classes")
    still = np.hstack([x[:, :2], np.full((len(x), 1), 1e4 / 3), x[:, 2:]])
    head = discriminant(Moments.of(still, y, "classes", C))
    assert head.scale[2] == 1
    assert_array_equal(head.weight[2], 0)
    assert_allclose(head.scores(still), discriminant(Moments.of(x, y, "classes", C)).scores(x), atol=1e-4)


def test_oas_is_equation_23():
    draw = np.random.default_rng(1)
    x = draw.normal(size=(12, 20)) * np.linspace(0.5, 3, 20)
    s = x.T @ x / 12
    values = np.linalg.eigvalsh(s)
    n, p, square, trace = 12, 20, (values**2).sum(), values.sum()
    wanted = ((1 - 2 / p) * square + trace**2) / ((n + 1 - 2 / p) * (square - trace**2 / p))
    assert oas(s, 12) == pytest.approx(wanted)
    assert oas(np.eye(5), 100) == 1  # nothing to lose
    assert oas(s, 0) == 1  # nothing to tell


def test_oas_comes_near_the_oracle_and_falls_with_more_rows():
    """The oracle of the same paper, its equation 7, knows the covariance: an autoregressive one, as there."""
    p, found, oracle = 40, [], []
    sigma = 0.7 ** np.abs(np.subtract.outer(np.arange(p), np.arange(p)))
    root = np.linalg.cholesky(sigma)
    square, trace = (sigma**2).sum(), p
    for n in (10, 40, 160):
        draws = (np.random.default_rng([n, k]).normal(size=(n, p)) @ root.T for k in range(100))
        found.append(np.mean([oas(x.T @ x / n, n) for x in draws]))
        oracle.append(((1 - 2 / p) * square + trace**2) / ((n + 1 - 2 / p) * square + (1 - n / p) * trace**2))
    assert_allclose(found, oracle, rtol=0.15)
    assert found == sorted(found, reverse=True)


def test_the_strength_of_numbers_has_the_greatest_evidence():
    for noise, n in ((0.1, 60), (3.0, 30), (30.0, 25)):
        draw = np.random.default_rng(2)
        x = draw.normal(size=(n, 8))
        y = x @ draw.normal(size=(8, 1)) + draw.normal(0, noise, (n, 1))
        z, t = standardised(x), standardised(y)[:, 0]
        # rows without their mean lie in n - 1 directions, in which the density is an ordinary one
        basis = np.linalg.svd(np.eye(n) - 1 / n)[0][:, : n - 1]
        evidence = []
        for strength in RidgePath.strengths:
            cov = np.eye(n - 1) + basis.T @ z @ z.T @ basis / (n * strength)
            scale = (basis.T @ t) @ np.linalg.solve(cov, basis.T @ t) / (n - 1)
            evidence.append(multivariate_normal(np.zeros(n - 1), scale * cov).logpdf(basis.T @ t))
        best = RidgePath.strengths[int(np.argmax(evidence))]
        moments = Moments.of(x, y, "numbers", 1)
        assert_allclose(ridge(moments).weight, ridge(moments, strength=best).weight, rtol=1e-6)


def test_rows_that_never_were_have_the_means_and_the_covariance_of_those_that_were():
    draw = np.random.default_rng(3)
    y = draw.integers(0, C, 5000)
    mix = draw.normal(size=(4, 4))
    x = draw.normal(size=(5000, 4)) @ mix + draw.normal(0, 3, (C, 4))[y] + 50
    moments = Moments.of(x, y, "classes", C + 1)
    made, of = pseudo(moments, 20_000, seed=1)
    assert_array_equal(np.bincount(of, minlength=C + 1), [20_000] * C + [0])
    deviation = np.sqrt(np.diag(mix.T @ mix))
    for k in range(C):
        assert_allclose(made[of == k].mean(0), x[y == k].mean(0), atol=0.04 * deviation.max())
        rest = np.cov(made[of == k].T) - mix.T @ mix
        assert np.abs(rest / np.outer(deviation, deviation)).max() < 0.06


def test_rows_that_never_were_follow_the_seed_and_the_class_alone():
    x, y = rows("classes")
    moments = Moments.of(x, y, "classes", C)
    made, of = pseudo(moments, [5, 0, 7], seed=4)
    assert_array_equal(of, [0] * 5 + [2] * 7)
    assert_array_equal(made[5:], pseudo(moments, 7, seed=4)[0][14:])
    assert not np.array_equal(made, pseudo(moments, [5, 0, 7], seed=5)[0])


def test_moments_of_another_task_are_refused():
    labels = Moments.of(*rows("labels"), "labels", 2)
    numbers = Moments.of(*rows("numbers"), "numbers", 2)
    with pytest.raises(DataError, match="use ridge"):
        discriminant(numbers)
    with pytest.raises(DataError, match="use discriminant"):
        ridge(labels)
    with pytest.raises(DataError, match="these moments are of labels"):
        pseudo(labels, 3)
