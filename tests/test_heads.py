"""Linear heads against scikit-learn and closed forms."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from blobs import blobs, folds_of
from sklearn.datasets import load_breast_cancer, load_digits, make_classification
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import cross_val_score
from sklearn.preprocessing import StandardScaler

import headstart
from headstart.errors import DataError
from headstart.heads import metrics
from headstart.heads.choose import Trial, choose
from headstart.heads.linear import Linear, fit_head
from headstart.heads.logistic import Problems, minimise
from headstart.heads.paths import DiscriminantPath, LogisticPath, RidgePath
from headstart.heads.space import LIMIT, space_of


def standard(head, x):
    return (x.astype(np.float64) - head.mean) / head.scale


# --- logistic regression


@pytest.mark.parametrize("balance", [False, True])
@pytest.mark.parametrize(("n", "d", "c"), [(90, 8, 2), (90, 8, 4), (40, 70, 2), (40, 70, 3)])
def test_logistic_regression_equals_scikit_learn(n, d, c, balance):
    x, y = blobs(n, d, c)
    y[: n // 5] = 0  # unequal classes
    fitted = fit_head(x, y, task="classes", folds=folds_of(y), kind="logistic", balance=balance)
    z = standard(fitted.head, x)
    weight = "balanced" if balance else None
    theirs = LogisticRegression(C=1 / (n * fitted.strength), tol=1e-10, max_iter=20_000, class_weight=weight).fit(z, y)
    np.testing.assert_allclose(
        fitted.head.probabilities(x),
        theirs.predict_proba(z) ** (1 / fitted.head.temperature)
        / (theirs.predict_proba(z) ** (1 / fitted.head.temperature)).sum(1, keepdims=True),
        atol=2e-4,
    )


def test_several_labels_are_logistic_regressions_of_their_own():
    x, kind = blobs(100, 6, 4)
    y = np.stack([kind == 0, kind > 1, (kind + np.arange(100)) % 3 == 0], axis=1).astype(np.float32)
    fitted = fit_head(x, y, task="labels", folds=folds_of(y), kind="logistic")
    z = standard(fitted.head, x)
    for column in range(3):
        theirs = LogisticRegression(C=1 / (100 * fitted.strength), tol=1e-10, max_iter=9999).fit(z, y[:, column])
        np.testing.assert_allclose(fitted.head.scores(x)[:, column], theirs.decision_function(z), atol=2e-3)


def test_fold_models_do_not_see_their_tested_rows():
    x, y = blobs(90, 5, 3)
    folds = folds_of(y)
    fitted = fit_head(x, y, task="classes", folds=folds, kind="logistic")
    z = standard(fitted.head, x)
    expected = np.empty((90, 3))
    for train, test in folds:
        theirs = LogisticRegression(C=1 / (len(train) * fitted.strength), tol=1e-10, max_iter=9999).fit(
            z[train], y[train]
        )
        expected[test] = theirs.predict_log_proba(z[test])
    shift = (fitted.out_of_fold - expected).mean(1, keepdims=True)
    # folds stop once 1e-4 nats are left to gain
    np.testing.assert_allclose(fitted.out_of_fold - shift, expected, atol=0.15)
    right = [(fitted.out_of_fold[test].argmax(1) == y[test]).mean() for _, test in folds]
    assert fitted.cv_score == pytest.approx(np.mean(right))


def test_many_problems_at_once_are_each_at_their_own_minimum():
    """The gradient of every problem vanishes, and another weighting is another problem."""
    x, y = blobs(80, 6, 3, apart=0.4)
    space = space_of(x)
    weight = np.random.default_rng(0).random((5, 80))
    weight[2, y == 1] = 0
    problems = Problems(space.u, y, weight / weight.sum(1, keepdims=True), 3)
    w = minimise(problems, 0.01, space.gram, problems.start(), tolerance=1e-14)
    gradient = problems.gradient(problems.pull(problems.scores(w))[0], w, 0.01)
    assert np.abs(gradient).max() < 1e-6
    assert np.abs(w[:, 0] - w[:, 1]).max() > 0.01
    assert (problems.scores(w)[1, 2] < -9000).all()


def test_more_strength_means_smaller_weights():
    x, y = blobs(60, 100, 2)
    path = LogisticPath(space_of(x), y, folds_of(y), 2, False)
    sizes = [np.linalg.norm(path.final(strength)[0]) for strength in path.strengths]
    assert sizes == sorted(sizes)


# --- discriminants and ridge


@pytest.mark.parametrize("shrinkage", [0.95, 0.3, 0.02])
@pytest.mark.parametrize(("n", "d"), [(60, 5), (30, 50)])
def test_discriminant_equals_scikit_learn(n, d, shrinkage):
    x, y = blobs(n, d, 3)
    y[:8] = 0
    space = space_of(x)
    weight, bias = DiscriminantPath(space, y, (), 3, False).final(shrinkage)
    z = (x.astype(np.float64) - space.mean) / space.scale
    theirs = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=shrinkage).fit(z, y).decision_function(z)
    ours = z @ space.lift(weight) + bias
    np.testing.assert_allclose(ours - ours[:, :1], theirs - theirs[:, :1], rtol=1e-3, atol=1e-3)


def test_discriminant_of_several_labels_solves_each_with_its_own_scatter():
    x, kind = blobs(80, 5, 4)
    y = np.stack([kind == 0, kind > 1], axis=1).astype(np.float64)
    space = space_of(x)
    weight, bias = DiscriminantPath(space, y, (), 2, False).final(0.3)
    z, total = space.u, np.cov(space.u.T, bias=True)
    for column in range(2):
        on = y[:, column] > 0
        up, down, p = z[on].mean(0), z[~on].mean(0), on.mean()
        within = 0.7 * (total - p * (1 - p) * np.outer(up - down, up - down)) + 0.3 * np.trace(total) / 5 * np.eye(5)
        direct = np.linalg.solve(within, up - down)
        np.testing.assert_allclose(weight[:, column], direct, rtol=1e-6)
        assert bias[column] == pytest.approx(np.log(p / (1 - p)) - direct @ (up + down) / 2, rel=1e-6)


@pytest.mark.parametrize(("n", "d"), [(80, 6), (40, 90)])
def test_numbers_equal_ridge_of_scikit_learn(n, d):
    draw = np.random.default_rng(0)
    x = draw.normal(size=(n, d)).astype(np.float32)
    y = np.stack([x[:, 0] + 0.3 * draw.normal(size=n) + 1e6, 1e-3 * x[:, 1]], axis=1)
    fitted = fit_head(x, y, task="numbers", folds=folds_of(y))
    z, spread = standard(fitted.head, x), y.std(0)
    theirs = Ridge(alpha=n * fitted.strength).fit(z, y / spread).predict(z) * spread
    np.testing.assert_allclose((fitted.head.scores(x) - theirs) / spread, 0, atol=1e-4)
    assert fitted.kind == "ridge"
    assert fitted.path[0][0] > fitted.path[-1][0]


def test_ridge_fold_models_equal_scikit_learn():
    draw = np.random.default_rng(0)
    x = draw.normal(size=(60, 5)).astype(np.float32)
    y = x[:, :1] + draw.normal(size=(60, 1)) + 7
    folds, space = folds_of(y), space_of(x)
    scores = RidgePath(space, y, folds).held_out(0.4)
    for out, (train, test) in zip(scores, folds, strict=True):
        theirs = Ridge(alpha=len(train) * 0.4).fit(space.u[train], y[train]).predict(space.u[test])
        np.testing.assert_allclose(out, theirs.reshape(-1, 1), atol=1e-8)


# --- what is chosen


@pytest.mark.parametrize("load", [load_breast_cancer, load_digits])
def test_within_a_point_of_the_best_of_scikit_learn(load):
    x, y = load(return_X_y=True)
    folds = folds_of(y, 5)
    z = StandardScaler().fit_transform(x)
    models = [LogisticRegression(C=c, max_iter=300, tol=1e-3) for c in (0.01, 0.1, 1.0)]
    best = max(cross_val_score(model, z, y, cv=folds).mean() for model in models)
    assert fit_head(x.astype(np.float32), y, task="classes", folds=folds).cv_score > best - 0.01


@pytest.mark.parametrize("folds", [True, False])
def test_noisy_wide_features_are_held_back(folds):
    """200 rows, 400 features, 5 of them useful: near what is possible, where no penalty loses 15 points."""
    x, y = map(
        np.asarray, make_classification(1200, 400, n_informative=5, n_redundant=0, class_sep=1.5, random_state=0)
    )
    x, train, test = x.astype(np.float32), np.arange(200), np.arange(200, 1200)
    given = folds_of(y[train]) if folds else ()
    fitted = fit_head(x[train], y[train], task="classes", folds=given)
    z = StandardScaler().fit(x[train])
    models = [LogisticRegression(C=c).fit(z.transform(x[train]), y[train]) for c in 10.0 ** np.arange(-5, 1)]
    reached = max(model.score(z.transform(x[test]), y[test]) for model in models)
    assert metrics.score("accuracy", fitted.head.probabilities(x[test]), y[test], "classes") > reached - 0.03


def test_the_path_stops_where_weaker_penalties_lose():
    x, y = map(np.asarray, make_classification(150, 300, n_informative=5, n_redundant=0, random_state=0))
    fitted = fit_head(x.astype(np.float32), y, task="classes", folds=folds_of(y), kind="logistic")
    assert [strength for strength, _ in fitted.path] == list(LogisticPath.steps[: len(fitted.path)])
    assert len(fitted.path) < len(LogisticPath.steps)
    assert dict(fitted.path)[fitted.strength] == fitted.cv_score


def trial(strength, loss, values):
    return Trial(strength, (), 1.0, loss, np.array(values))


def test_the_strongest_of_like_losses_is_chosen():
    found = [trial(1, 0.5, [0.8, 0.8]), trial(0.1, 0.4008, [0.8, 0.8]), trial(0.01, 0.4, [0.8, 0.8])]
    assert choose(found, "accuracy").strength == 0.1


def test_the_metric_has_a_veto_beyond_one_standard_error():
    low_loss = trial(1, 0.3, [0.7, 0.72, 0.71])
    assert choose([low_loss, trial(0.1, 0.4, [0.8, 0.82, 0.81])], "accuracy").strength == 0.1
    assert choose([low_loss, trial(0.1, 0.4, [0.9, 0.7, 0.6])], "accuracy").strength == 1
    assert choose([low_loss, trial(0.1, 0.4, [0.6, 0.6, 0.6])], "log_loss").strength == 0.1  # lower is better there


def test_repeated_folds_are_averaged_and_untested_rows_are_nan():
    x, y = blobs(60, 5, 2)
    (train, test), *_ = folds_of(y)
    other = np.setdiff1d(train, train[:20])
    fitted = fit_head(x, y, task="classes", folds=[(train, test), (other, test)], kind="discriminant")
    once = fit_head(x, y, task="classes", folds=[(train, test)], kind="discriminant")
    assert np.isnan(fitted.out_of_fold[train]).all()
    path = DiscriminantPath(space_of(x, 2), y, [(train, test), (other, test)], 2, False)
    np.testing.assert_allclose(fitted.out_of_fold[test], np.mean(path.held_out(fitted.strength), axis=0))
    assert np.isfinite(once.out_of_fold[test]).all()


@pytest.mark.parametrize("task", ["classes", "labels", "numbers"])
def test_the_same_call_gives_the_same_head(task):
    x, kind = blobs(70, 5, 3)
    y = {"classes": kind, "labels": np.eye(3)[kind], "numbers": x[:, :1] + kind[:, None]}[task]
    a, b = (fit_head(x, y, task=task, seed=3) for _ in range(2))
    for name, array in a.head.arrays().items():
        np.testing.assert_array_equal(array, b.head.arrays()[name])


def test_probabilities_of_new_rows_are_calibrated():
    x, y = blobs(3000, 40, 3, apart=0.45)
    fitted = fit_head(x[:250], y[:250], task="classes", folds=folds_of(y[:250]))
    assert metrics.ece(fitted.head.probabilities(x[250:]), y[250:]) < 0.05


# --- rows and features as they come


def test_a_class_without_rows_is_not_answered_and_changes_nothing():
    x, y = blobs(60, 5, 2)
    for kind in ("logistic", "discriminant"):
        two = fit_head(x, 2 * y, task="classes", classes=5, folds=folds_of(y), kind=kind).head
        p = two.probabilities(x)
        assert np.isfinite(two.scores(x)).all()
        assert p[:, [1, 3, 4]].max() == 0
        assert (p[:, [0, 2]].argmax(1) == y).mean() > 0.8


@pytest.mark.parametrize("c", [2, 3])
def test_a_class_that_a_fold_lacks_does_no_harm(c):
    x, y = blobs(60, 5, c, apart=2)
    alone = np.flatnonzero(y == c - 1)
    rest = np.flatnonzero(y != c - 1)
    folds = [(rest, alone), (np.r_[rest[::2], alone[::2]], np.r_[rest[1::2], alone[1::2]])]
    for kind in ("logistic", "discriminant"):
        fitted = fit_head(x, y, task="classes", folds=folds, kind=kind)
        assert 0.05 < fitted.head.temperature < 20
        assert (fitted.head.scores(x).argmax(1) == y).mean() > 0.8
        assert (fitted.out_of_fold[alone[1::2]].argmax(1) == c - 1).mean() < 0.5  # half of its models never saw it


@pytest.mark.parametrize("kind", ["logistic", "discriminant"])
def test_a_label_that_is_always_on_gets_its_odds(kind):
    x, y = blobs(40, 4, 2)
    labels = np.stack([y, np.ones_like(y), np.zeros_like(y)], axis=1).astype(np.float32)
    head = fit_head(x, labels, task="labels", folds=folds_of(labels), kind=kind).head
    np.testing.assert_allclose(head.weight[:, 1:], 0, atol=1e-6)
    np.testing.assert_allclose(head.scores(x)[:, 1], np.log(2 * 40), rtol=0.03)
    np.testing.assert_allclose(head.scores(x)[:, 2], -np.log(2 * 40), rtol=0.03)


def test_one_class_alone_is_always_answered():
    x, _ = blobs(20, 4, 2)
    np.testing.assert_allclose(fit_head(x, np.zeros(20, int), task="classes").head.probabilities(x), 1)


def test_two_rows_are_enough():
    x = np.array([[0.0, 1], [1, 0]], np.float32)
    assert (fit_head(x, np.array([0, 1]), task="classes").head.scores(x).argmax(1) == [0, 1]).all()
    assert np.isfinite(fit_head(x, np.array([[0.0], [4]]), task="numbers").head.scores(x)).all()


@pytest.mark.parametrize("task", ["classes", "numbers"])
def test_offsets_and_units_of_features_do_not_matter(task):
    x, y = blobs(80, 6, 2)
    y = y if task == "classes" else x[:, :1].astype(np.float64)
    folds = folds_of(y)
    plain = fit_head(x, y, task=task, folds=folds).head.scores(x)
    moved = (x * np.array([1, 10, 1e-3, 1, 1, 1]) + np.array([0, 5000, 0, -300, 0, 0])).astype(np.float32)
    np.testing.assert_allclose(fit_head(moved, y, task=task, folds=folds).head.scores(moved), plain, atol=0.02)


def test_constant_features_get_scale_1_and_do_not_move_the_answer():
    x, y = blobs(80, 4, 2)
    folds = folds_of(y)
    more = np.c_[x, np.full(80, 12345.678), np.zeros(80)].astype(np.float32)
    head = fit_head(more, y, task="classes", folds=folds, kind="logistic").head
    np.testing.assert_array_equal(head.scale[4:], 1)
    np.testing.assert_allclose(head.weight[4:], 0, atol=1e-7)
    plain = fit_head(x, y, task="classes", folds=folds, kind="logistic").head
    np.testing.assert_allclose(head.scores(more), plain.scores(x), atol=1e-2)


# --- the head itself


def test_arrays_and_back():
    x, y = blobs()
    head = fit_head(x, y, task="classes").head
    back = Linear.from_arrays({**head.arrays(), "tail.other": np.zeros(3)}, "classes")
    assert set(head.arrays()) == {
        f"head.{name}" for name in ("mean", "scale", "weight", "bias", "temperature", "limit")
    }
    np.testing.assert_array_equal(back.probabilities(x), head.probabilities(x))


def test_standardisation_folds_into_weight_and_bias():
    x, y = blobs(apart=2)
    head = replace(fit_head(x, y, task="classes").head, limit=np.inf)
    weight = head.weight / head.scale[:, None]
    np.testing.assert_allclose(x @ weight + (head.bias - head.mean @ weight), head.scores(x), atol=1e-4)


def test_a_unit_far_beyond_what_was_learned_from_moves_the_answer_no_further_than_the_limit():
    x, y = blobs(80, 4, 2)
    head = fit_head(x, y, task="classes").head
    far = np.repeat(head.mean[None] * 1.0, 3, 0)
    far[:, 0] += head.scale[0] * np.array([LIMIT, 100, 1e6], np.float32)
    scores = head.scores(far)
    np.testing.assert_allclose(scores[0], head.bias + LIMIT * head.weight[0], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(scores[1:], scores[[0, 0]], rtol=1e-4, atol=1e-4)


def test_probabilities_follow_the_scores():
    x = np.random.default_rng(0).normal(size=(5, 2)).astype(np.float32)
    parts = (np.zeros(2), np.ones(2), np.eye(2), np.array([0.5, -0.5]), 2.0)
    hot = (x + np.array([0.5, -0.5])) / 2
    np.testing.assert_allclose(Linear(*parts, "labels").probabilities(x), 1 / (1 + np.exp(-hot)), rtol=1e-6)
    share = np.exp(hot) / np.exp(hot).sum(1, keepdims=True)
    np.testing.assert_allclose(Linear(*parts, "classes").probabilities(x), share, rtol=1e-6)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda x, y: fit_head(x, y[:-1], task="classes"), "120 rows of features and 119 targets"),
        (lambda x, y: fit_head(x, y + 0.5, task="classes"), "whole numbers from 0"),
        (lambda x, y: fit_head(x, y, task="classes", classes=2), "classes=2; give at least 3"),
        (lambda x, y: fit_head(x, y, task="labels"), "labels come as"),
        (lambda x, y: fit_head(x, y, task="classes", metric="r2"), "does not suit classes"),
        (lambda x, y: fit_head(x, y, task="music"), "task 'music' is unknown"),
        (lambda x, y: fit_head(np.where(x > 4, np.nan, x), y, task="classes"), "not finite"),
        (lambda x, y: fit_head(x, np.where(y > 1, np.inf, y), task="numbers"), "targets are not finite"),
        (lambda x, y: fit_head(x[:1], y[:1], task="classes"), "at least 2 rows"),
        (lambda x, y: fit_head(x, y, task="classes", kind="forest"), "'forest' is unknown"),
        (lambda x, y: fit_head(x, y, task="classes").head.scores(x[:, 1:]), "this head reads"),
        (lambda x, y: fit_head(x, 1.0 * y, task="numbers").head.probabilities(x), "has no probabilities"),
        (lambda x, y: Linear.from_arrays({"head.mean": x}, "classes"), "lacks head.scale, head.weight"),
    ],
)
def test_errors_say_what_is_wrong(call, said):
    with pytest.raises(DataError, match=said):
        call(*blobs())


def test_heads_and_metrics_import_little():
    code = (
        "import sys, headstart.heads.linear, headstart.heads.metrics, headstart.heads.quick, headstart.heads.baselines;"
        "print([m for m in ('torch', 'sklearn', 'scipy.stats', 'scipy.optimize', 'scipy.linalg') if m in sys.modules])"
    )
    source = str(Path(headstart.__file__).parents[1])
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=source)
    assert run.stdout.strip() == "[]"
