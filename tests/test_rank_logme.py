"""LogME against the evidence itself, maximised by brute force."""

import numpy as np
import pytest
from blobs import blobs
from scipy.optimize import minimize
from scipy.stats import multivariate_normal

from headstart.rank.logme import logme


def best_evidence(x, target):
    """Most log p(y) / n over alpha and beta, mean over targets: the density of y itself, by simplex search."""

    def minus(at, y):
        cov = np.eye(len(x)) / np.exp(at[1]) + x @ x.T / np.exp(at[0])
        return -multivariate_normal.logpdf(y, np.zeros(len(x)), cov)

    found = []
    for y in target.T:
        tries = [
            minimize(minus, start, args=(y,), method="Nelder-Mead", options={"xatol": 1e-4, "fatol": 1e-7})
            for start in ((0, 0), (3, 1))
        ]
        found.append(-min(each.fun for each in tries) / len(x))
    return np.mean(found)


@pytest.mark.parametrize(("n", "d"), [(40, 5), (25, 30)])
def test_classes_have_the_largest_evidence_there_is(n, d):
    x, y = blobs(n, d, 3, apart=2.0)
    assert logme(x, y) == pytest.approx(best_evidence(x.astype(float), np.eye(3)[y]), abs=1e-4)


def test_numbers_have_the_largest_evidence_there_is():
    draw = np.random.default_rng(0)
    x = draw.normal(size=(40, 6))
    y = x @ draw.normal(size=(6, 2)) + draw.normal(size=(40, 2)) * [0.3, 2.0]
    assert logme(x, y) == pytest.approx(best_evidence(x, y), abs=1e-4)
    assert logme(x, y[:, 0]) == pytest.approx(best_evidence(x, y[:, :1]), abs=1e-4)


def test_the_fixed_point_is_that_of_the_algorithm():
    """alpha and beta updated one after the other as the paper has it, with a full inverse instead of a spectrum."""
    x, kind = blobs(30, 4, 2, seed=2)
    x, found = x.astype(float), []
    n, d = x.shape
    for y in np.eye(2)[kind].T:
        alpha = beta = 1.0
        for _ in range(300):
            a = alpha * np.eye(d) + beta * x.T @ x
            m = beta * np.linalg.solve(a, x.T @ y)
            gamma = d - alpha * np.trace(np.linalg.inv(a))
            alpha, beta = gamma / (m @ m), (n - gamma) / ((x @ m - y) @ (x @ m - y))
        a = alpha * np.eye(d) + beta * x.T @ x
        m = beta * np.linalg.solve(a, x.T @ y)
        evidence = n / 2 * np.log(beta) + d / 2 * np.log(alpha) - n / 2 * np.log(2 * np.pi)
        evidence -= beta / 2 * ((x @ m - y) ** 2).sum() + alpha / 2 * m @ m + np.linalg.slogdet(a)[1] / 2
        found.append(evidence / n)
    assert logme(x, kind) == pytest.approx(np.mean(found), abs=1e-7)


def test_labels_that_exclude_each_other_are_classes():
    x, y = blobs(60, 8, 3)
    assert logme(x, np.eye(3, dtype=int)[y]) == pytest.approx(logme(x, y), abs=1e-12)


def test_a_label_that_never_varies_is_left_out():
    x, y = blobs(60, 8, 3)
    hot = np.eye(3)[y]
    assert logme(x, np.c_[hot, np.zeros(60)]) == pytest.approx(logme(x, hot), abs=1e-12)


def test_scaling_the_features_changes_nothing():
    """The prior's precision takes the scale up."""
    x, y = blobs(50, 6, 3)
    assert logme(1000.0 * x, y) == pytest.approx(logme(x, y), abs=1e-6)


def test_numbers_in_other_units_shift_by_the_log_of_the_unit():
    draw = np.random.default_rng(1)
    x = draw.normal(size=(40, 5))
    y = x @ draw.normal(size=(5, 1)) + draw.normal(size=(40, 1))
    assert logme(x, 10 * y) == pytest.approx(logme(x, y) - np.log(10), abs=1e-6)


def test_labels_without_signal_have_the_evidence_of_noise_alone():
    """Features orthogonal to y: alpha grows without end and y is N(0, I / beta)."""
    x = np.repeat(np.eye(4), 2, axis=0)
    y = np.tile([1.0, -1.0], 4)
    assert logme(x, y) == pytest.approx(-0.5 * (np.log(2 * np.pi) + 1), abs=1e-6)


def test_labels_without_noise_have_the_evidence_of_the_prior_alone():
    """As many directions as rows and labels that any weights reach: beta grows without end, y is N(0, FF' / alpha)."""
    x = np.diag([1.0, 2.0, 3.0, 4.0])
    y = np.array([1.0, -2.0, 3.0, -4.0])  # weights of 1 and -1: alpha = 1
    expected = multivariate_normal.logpdf(y, np.zeros(4), x @ x.T) / 4
    assert logme(x, y) == pytest.approx(expected, abs=1e-5)
