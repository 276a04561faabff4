"""What heads rest on: the space, leave-one-out, temperature, suspicious rows."""

import numpy as np
import pytest
from blobs import blobs, folds_of
from scipy.special import log_softmax

from headstart.heads import metrics
from headstart.heads.linear import fit_head
from headstart.heads.quick import loo
from headstart.heads.solve import inverse_root
from headstart.heads.space import space_of
from headstart.heads.suspicious import suspicious
from headstart.heads.temperature import temperature


@pytest.mark.parametrize(("n", "d"), [(30, 8), (8, 30)])
def test_the_space_keeps_every_inner_product(n, d):
    x = np.random.default_rng(0).normal(size=(n, d)).astype(np.float32)
    space = space_of(x)
    z = (x - space.mean) / space.scale
    assert space.u.shape == (n, min(n, d))
    np.testing.assert_allclose(space.u @ space.u.T, z @ z.T, atol=1e-4)
    weight = space.u.T @ np.random.default_rng(1).normal(size=(n, 2))  # as every solution is
    np.testing.assert_allclose(z @ space.lift(weight), space.u @ weight, atol=1e-3)


@pytest.mark.parametrize("r", [1, 64, 150])
def test_inverse_root_squares_to_the_inverse(r):
    a = np.random.default_rng(0).normal(size=(r, 2 * r))
    a = a @ a.T / r + 0.1 * np.eye(r)
    root = inverse_root(a)
    np.testing.assert_allclose(root.T @ root, np.linalg.inv(a), rtol=1e-7, atol=1e-9)
    np.testing.assert_array_equal(root, np.tril(root))


# --- temperature


@pytest.mark.parametrize("factor", [0.2, 1.0, 6.0])
def test_temperature_undoes_a_factor(factor):
    draw = np.random.default_rng(0)
    z = 2 * draw.normal(size=(30_000, 3))
    share = np.exp(z) / np.exp(z).sum(1, keepdims=True)
    y = (share.cumsum(1) < draw.random((30_000, 1))).sum(1)
    found, loss = temperature(factor * z, y, "classes")
    assert found == pytest.approx(factor, rel=0.04)
    assert loss == pytest.approx(metrics.score("log_loss", share, y, "classes"), rel=0.01)
    on = (draw.random(z.shape) < 1 / (1 + np.exp(-z))).astype(float)
    assert temperature(factor * z, on, "labels")[0] == pytest.approx(factor, rel=0.04)


def test_temperature_is_where_the_loss_is_least():
    draw = np.random.default_rng(1)
    y = draw.integers(4, size=50)
    z = draw.normal(size=(50, 4)) * 5 + 4 * np.eye(4)[y]
    weight = draw.random(50)
    found, _ = temperature(z, y, "classes", weight)

    def loss(t):
        truth = np.eye(4)[y] * 50 / 51 + 1 / (4 * 51)
        return -(weight * (truth * log_softmax(z / t, axis=1)).sum(1)).sum()

    grid = np.exp(np.linspace(-5, 5, 5001))
    assert found == pytest.approx(grid[np.argmin([loss(t) for t in grid])], rel=2e-3)


def test_no_mistake_is_not_taken_for_certainty():
    """n rows right by far: a mistake is thought about as likely as one in n + 1."""
    z = np.tile([[100.0, 0.0]], (200, 1))
    found, _ = temperature(z, np.zeros(200, int), "classes")
    wrong = 1 / (1 + np.exp(100 / found))
    assert wrong == pytest.approx(0.5 / 201, rel=0.01)


# --- leave one out


@pytest.mark.parametrize(("n", "d"), [(30, 6), (14, 40)])
@pytest.mark.parametrize("balance", [False, True])
def test_loo_equals_refitting_without_each_row(n, d, balance):
    x, y = blobs(n, d, 3)
    y[:4] = 0
    weight = 1 / np.bincount(y)[y] if balance else np.ones(n)
    weight = weight / weight.sum()
    u, target = space_of(x).u, 2.0 * np.eye(3)[y] - 1
    errors, outs = {}, {}
    for strength in (1.0, 0.1, 0.01):
        out = np.empty((n, 3))
        for row in range(n):
            kept = np.arange(n) != row
            # the bias as one more feature, free of penalty
            a, w = np.c_[u[kept], np.ones(n - 1)], weight[kept, None]
            normal = a.T @ (w * a) + np.diag([*[strength] * u.shape[1], 0])
            out[row] = np.r_[u[row], 1] @ np.linalg.solve(normal, a.T @ (w * target[kept]))
        outs[strength], errors[strength] = out, (weight[:, None] * (out - target) ** 2).sum()
    strength, out = loo(x, y, balance=balance, strengths=(1.0, 0.1, 0.01))
    assert strength == min(errors, key=lambda s: errors[s])
    np.testing.assert_allclose(out, outs[strength], atol=1e-8)


def test_loo_of_labels_and_numbers_is_that_of_their_columns():
    x, kind = blobs(50, 6, 3)
    _, classes = loo(x, kind, strengths=(0.1,))
    _, labels = loo(x, np.eye(3)[kind], task="labels", strengths=(0.1,))
    _, numbers = loo(x, 2 * np.eye(3)[kind] - 1, task="numbers", strengths=(0.1,))
    np.testing.assert_allclose(classes, labels)
    np.testing.assert_allclose(classes, numbers)


def test_loo_does_not_see_the_row_itself():
    """Labels without meaning: leave-one-out is near chance where the fit itself is perfect."""
    draw = np.random.default_rng(0)
    x, y = draw.normal(size=(100, 300)).astype(np.float32), draw.integers(2, size=100)
    _, out = loo(x, y, strengths=(1e-4,))
    assert (out.argmax(1) == y).mean() < 0.65


# --- suspicious rows


def test_wrong_labels_are_found_and_right_ones_left():
    x, y = blobs(600, 6, 3, seed=1)
    draw = np.random.default_rng(0)
    flipped = draw.permutation(len(y))[:30]
    given = y.copy()
    given[flipped] = (y[flipped] + draw.integers(1, 3, size=30)) % 3

    def out_of_sample(labels):
        fitted = fit_head(3 * x, labels, task="classes", folds=folds_of(labels))
        return np.exp(fitted.out_of_fold) / np.exp(fitted.out_of_fold).sum(1, keepdims=True)

    x = x + 4 * np.eye(6)[y].astype(np.float32)  # well apart
    found = suspicious(out_of_sample(given), given, 3)
    assert np.isin(found, flipped).mean() >= 0.8
    assert np.isin(flipped, found).mean() >= 0.6
    assert len(suspicious(out_of_sample(y), y, 3)) == 0
    np.testing.assert_array_equal(suspicious(out_of_sample(given), given, 3, limit=5), found[:5])


def test_suspicion_by_hand():
    """Thresholds are 0.6 and 0.7; row 2 says 1 with 0.8, row 4 says 0 with 0.65; row 3 stays below 0's."""
    out = np.array([[0.9, 0.1], [0.7, 0.3], [0.2, 0.8], [0.55, 0.45], [0.65, 0.35], [0.0, 1.0], [0.0, 1.0]])
    y = np.array([0, 0, 0, 1, 1, 1, 1])
    assert suspicious(out, y, 2).tolist() == [2, 4]
