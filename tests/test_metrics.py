"""Metrics against scikit-learn, intervals against formulas, simulation and plain resampling."""

import numpy as np
import pytest
from scipy.stats import sem, t
from sklearn import metrics as theirs

from headstart.errors import DataError
from headstart.heads import metrics
from headstart.heads.metrics import METRICS, interval, paired_difference, score, suited, wilson

TASKS = ("classes", "labels", "numbers")


def answers(task, n=60, c=4, seed=0):
    """Answers with ties, and targets that they resemble."""
    draw = np.random.default_rng(seed)
    if task == "classes":
        y = draw.integers(c, size=n)
        out = draw.dirichlet(np.ones(c), size=n) + 0.4 * np.eye(c)[y]
        out = np.round(out / out.sum(1, keepdims=True), 2) + 1e-3
        return out / out.sum(1, keepdims=True), y
    y = (draw.random((n, c)) < 0.3).astype(np.float32)
    if task == "labels":
        return np.round(np.clip(draw.random((n, c)) * 0.7 + 0.3 * y, 0.01, 0.99), 2), y
    numbers = np.round(draw.normal(size=(n, 2)) * (1, 30) + (5, 100), 1)
    return numbers + np.round(draw.normal(size=(n, 2)), 1), numbers


def spearman(out, y):
    from scipy.stats import spearmanr

    return np.mean([np.asarray(spearmanr(a, b))[0] for a, b in zip(out.T, y.T, strict=True)])


REFERENCE = {
    ("accuracy", "classes"): lambda p, y: theirs.accuracy_score(y, p.argmax(1)),
    ("balanced_accuracy", "classes"): lambda p, y: theirs.balanced_accuracy_score(y, p.argmax(1)),
    ("macro_f1", "classes"): lambda p, y: theirs.f1_score(y, p.argmax(1), average="macro"),
    ("auc", "classes"): lambda p, y: theirs.roc_auc_score(y, p, multi_class="ovr"),
    ("log_loss", "classes"): lambda p, y: theirs.log_loss(y, p),
    ("micro_f1", "labels"): lambda p, y: theirs.f1_score(y, p >= 0.5, average="micro"),
    ("macro_f1", "labels"): lambda p, y: theirs.f1_score(y, p >= 0.5, average="macro"),
    ("auc", "labels"): lambda p, y: theirs.roc_auc_score(y, p, average="macro"),
    ("map", "labels"): lambda p, y: theirs.average_precision_score(y, p, average="macro"),
    ("log_loss", "labels"): lambda p, y: np.mean([theirs.log_loss(a, b) for a, b in zip(y.T, p.T, strict=True)]),
    ("r2", "numbers"): lambda p, y: theirs.r2_score(y, p),
    ("mae", "numbers"): lambda p, y: theirs.mean_absolute_error(y, p),
    ("rmse", "numbers"): lambda p, y: theirs.root_mean_squared_error(y, p),
    ("spearman", "numbers"): spearman,
}


def test_every_metric_has_a_reference():
    assert set(REFERENCE) == {(name, task) for name, metric in METRICS.items() for task in metric.task}


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(("metric", "task"), REFERENCE)
def test_equals_scikit_learn(metric, task, seed):
    out, y = answers(task, seed=seed)
    assert score(metric, out, y, task) == pytest.approx(REFERENCE[metric, task](out, y), abs=1e-12)


def test_binary_auc_is_of_class_1():
    out, y = answers("classes", c=2)
    assert score("auc", out, y, "classes") == pytest.approx(theirs.roc_auc_score(y, out[:, 1]), abs=1e-12)


@pytest.mark.parametrize(("metric", "task"), REFERENCE)
def test_counts_of_rows_equal_rows_written_out(metric, task):
    """What the bootstrap rests on: weighing a row k times is having it k times."""
    out, y = answers(task, n=80)
    rows = np.random.default_rng(5).integers(len(y), size=(3, len(y)))
    counts = np.stack([np.bincount(drawn, minlength=len(y)) for drawn in rows]).astype(float)
    expected = [score(metric, out[drawn], y[drawn], task) for drawn in rows]
    targets = y.astype(float) if task == "numbers" else y
    np.testing.assert_allclose(METRICS[metric].of(out, targets, task, counts), expected, atol=1e-12)


@pytest.mark.parametrize(("metric", "task"), REFERENCE)
def test_the_direction_is_the_one_in_which_perfect_answers_lie(metric, task):
    out, y = answers(task)
    perfect = np.eye(4)[y.astype(int)] if task == "classes" else y
    better, worse = score(metric, perfect, y, task), score(metric, out, y, task)
    assert (better > worse) == metrics.higher_is_better(metric)


@pytest.mark.parametrize("task", TASKS)
def test_the_default_is_first_of_the_suited(task):
    assert suited(task)[0] == metrics.default_metric(task)
    assert set(suited(task)) == {name for name, of in REFERENCE if of == task}


def test_undefined_values_are_nan():
    one_class = np.zeros(5, int)
    assert np.isnan(score("auc", np.full((5, 2), 0.5), one_class, "classes"))
    assert np.isnan(score("r2", np.zeros((5, 1)), np.ones((5, 1)), "numbers"))
    assert np.isnan(score("spearman", np.zeros((5, 1)), np.arange(5.0)[:, None], "numbers"))
    assert np.isnan(score("map", np.full((5, 2), 0.5), np.zeros((5, 2)), "labels"))
    assert np.isnan(score("accuracy", np.zeros((0, 2)), one_class[:0], "classes"))


def test_a_class_without_rows_is_left_out_of_class_means():
    out, y = answers("classes", c=3)
    wider = np.c_[out, np.zeros(len(y))]
    for metric in suited("classes"):
        assert score(metric, wider, y, "classes") == pytest.approx(score(metric, out, y, "classes"), abs=1e-12)


@pytest.mark.parametrize(("right", "n"), [(0, 10), (7, 10), (10, 10), (873, 1000)])
def test_wilson_ends_are_where_the_score_test_rejects(right, n):
    """The interval's definition: the shares p with |right/n - p| = z sqrt(p (1 - p) / n)."""
    low, high = wilson(right, n)
    for p in (low, high):
        inside = 0 < p < 1
        assert not inside or abs(right / n - p) == pytest.approx(1.959963984540054 * np.sqrt(p * (1 - p) / n))
    assert 0 <= low <= right / n <= high <= 1
    assert (low == 0) == (right == 0)
    assert (high == 1) == (right == n)


def test_accuracy_takes_wilson():
    out, y = answers("classes", c=2)
    assert interval("accuracy", out, y, "classes") == wilson(int((out.argmax(1) == y).sum()), len(y))


@pytest.mark.parametrize(("metric", "task"), [("mae", "numbers"), ("auc", "classes")])
def test_the_bootstrap_covers_the_truth(metric, task):
    """Of 95 % intervals of 80 rows about 95 % hold the value of endless rows; 5 sigma of 150 trials allowed."""
    draw = np.random.default_rng(0)

    def rows(n):
        if task == "numbers":
            return draw.exponential(size=(n, 1)), np.zeros((n, 1))
        y = draw.integers(2, size=n)
        up = 1 / (1 + np.exp(-(draw.normal(size=n) + 1.2 * y)))
        return np.c_[1 - up, up], y

    truth = 1.0 if task == "numbers" else score(metric, *rows(400_000), task)
    held = 0
    for trial in range(150):
        low, high = interval(metric, *rows(80), task, seed=trial, draws=300)
        held += low <= truth <= high
    assert 0.86 <= held / 150 <= 1.0


def test_draws_without_a_class_are_left_out():
    y = np.r_[np.zeros(30, int), 1]  # more than a third of the draws lack class 1
    out = np.c_[np.linspace(1, 0, 31), np.linspace(0, 1, 31)]
    # every draw that has both classes is ordered without a mistake: no spread, so Wilson's
    assert interval("auc", out, y, "classes") == wilson(31, 31)
    assert np.isnan(interval("auc", out, np.zeros(31, int), "classes")).all()


def test_intervals_depend_on_the_seed_alone():
    out, y = answers("labels")
    assert interval("map", out, y, "labels", seed=3) == interval("map", out, y, "labels", seed=3)
    assert interval("map", out, y, "labels", seed=3) != interval("map", out, y, "labels", seed=4)


def test_paired_difference_cancels_what_both_share():
    """Two answers that differ by a constant error: the difference is known although each mean is not."""
    draw = np.random.default_rng(0)
    y = draw.normal(size=(50, 1))
    off = np.abs(draw.normal(size=(50, 1))) + 0.1
    difference, low, high = paired_difference("mae", y + off + 0.2, y + off, y, "numbers")
    assert (difference, low, high) == pytest.approx((0.2, 0.2, 0.2))
    wide = interval("mae", y + off, y, "numbers")
    assert wide[1] - wide[0] > 0.2
    back, *ends = paired_difference("mae", y + off, y + off + 0.2, y, "numbers")
    assert (back, *ends) == pytest.approx((-0.2, -0.2, -0.2))


def test_confusion_counts_rows_by_truth():
    y, said = np.array([0, 0, 1, 2, 2]), np.array([0, 2, 1, 2, 0])
    np.testing.assert_array_equal(metrics.confusion(y, said, 3), theirs.confusion_matrix(y, said))
    assert metrics.confusion(y, said, 5).shape == (5, 5)


def test_calibration_bins_by_hand():
    out = np.array([[0.95, 0.05], [0.91, 0.09], [0.4, 0.6], [0.35, 0.65], [0.3, 0.7]])
    y = np.array([0, 1, 1, 0, 1])
    bins = metrics.calibration_bins(out, y)
    assert [count for *_, count in bins] == [1, 2, 2]  # 0.6 closes the step 0.5..0.6
    np.testing.assert_allclose([row[:2] for row in bins], [(0.6, 1), (0.675, 0.5), (0.93, 0.5)])
    assert metrics.ece(out, y) == pytest.approx((1 * 0.4 + 2 * 0.175 + 2 * 0.43) / 5)


def test_ece_of_honest_probabilities_is_small():
    draw = np.random.default_rng(0)
    out = draw.dirichlet(np.ones(3), size=40_000)
    y = (out.cumsum(1) < draw.random((40_000, 1))).sum(1)
    assert metrics.ece(out, y) < 0.01
    assert metrics.ece(out**2 / (out**2).sum(1, keepdims=True), y) > 0.05


def test_decide_gives_targets():
    np.testing.assert_array_equal(metrics.decide(np.array([[0.2, 0.8], [0.6, 0.4]]), "classes"), [1, 0])
    np.testing.assert_array_equal(metrics.decide(np.array([[0.5, 0.49]]), "labels"), [[1, 0]])
    np.testing.assert_array_equal(metrics.decide(np.array([[3.5]]), "numbers"), [[3.5]])


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: score("speed", np.eye(2), np.arange(2), "classes"), "metric 'speed' is unknown; use one of accuracy"),
        (lambda: score("r2", np.eye(2), np.arange(2), "classes"), "does not suit classes; use one of accuracy"),
        (lambda: score("accuracy", np.eye(2), np.arange(3), "classes"), "do not fit"),
        (lambda: score("accuracy", np.eye(2), np.array([0, 2]), "classes"), "answers for 0..1"),
        (lambda: score("mae", np.ones((2, 2)), np.ones((2, 1)), "numbers"), "do not fit"),
        (lambda: suited("music"), "task 'music' is unknown; use one of classes, labels, numbers"),
        (lambda: metrics.higher_is_better("speed"), "metric 'speed' is unknown"),
    ],
)
def test_errors_say_what_is_allowed(call, said):
    with pytest.raises(DataError, match=said):
        call()


def test_rows_of_one_group_count_as_one():
    draw = np.random.default_rng(0)
    right = draw.random(40) < 0.7  # 40 patients, each with five pictures that are all right or all wrong
    y, out = np.zeros(40, int), np.where(right[:, None], [0.9, 0.1], [0.1, 0.9])
    each = interval("accuracy", np.repeat(out, 5, 0), np.repeat(y, 5), "classes", groups=np.repeat(np.arange(40), 5))
    once = interval("accuracy", out, y, "classes")
    alone = interval("accuracy", np.repeat(out, 5, 0), np.repeat(y, 5), "classes")
    assert np.allclose(each, once, atol=0.03)
    assert alone[1] - alone[0] < 0.6 * (each[1] - each[0])


@pytest.mark.parametrize("metric", ["balanced_accuracy", "macro_f1", "auc"])
def test_three_rows_that_are_right_are_no_certainty(metric):
    out = np.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]])
    assert interval(metric, out, np.array([0, 1, 0]), "classes") == wilson(3, 3)


def test_the_interval_of_a_mean_is_students_and_never_narrower_with_many_values():
    values = np.random.default_rng(0).normal(size=30)
    for n in range(2, 31):
        mean, low, high = metrics.mean_interval(values[:n])
        expected = t.interval(0.95, n - 1, loc=values[:n].mean(), scale=sem(values[:n]))
        assert mean == pytest.approx(values[:n].mean())
        if n <= 11:
            assert (low, high) == pytest.approx(expected, rel=1e-3)
        else:
            assert low <= expected[0] < expected[1] <= high
    assert metrics.mean_interval([0.7]) == (0.7, None, None)
