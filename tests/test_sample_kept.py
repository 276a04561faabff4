"""A skill may keep features of some rows: an update learns from half of them again, and judges by the other half."""

import json
from pathlib import Path

import numpy as np
import pytest
from networks import small_encoder
from numpy.testing import assert_allclose, assert_array_equal
from safetensors.numpy import load, save
from scipy.stats import chisquare
from test_update import everything, features, table, told
from typed import typing_in

import headstart as hs
from headstart.adapt.probe import Ask
from headstart.adapt.renew import Lesson, Way, renewed
from headstart.core import skill as skills
from headstart.data.dataset import Options
from headstart.errors import DataError, SkillError, UsageError
from headstart.heads.linear import Linear, fit_head, own_folds
from headstart.heads.moments import Moments
from headstart.report.updated import forgotten
from headstart.retain.kept import Sample
from headstart.verbs.judged import ENOUGH, Past
from headstart.verbs.memory import FILE, recall
from headstart.verbs.settings import Settings

KEPT = 60


def empty(most, task="classes", columns=3, d=4):
    return Sample.empty(task, most, columns=columns, origin=np.zeros(d), scale=np.ones(d, np.float32))


def blobs(n, classes, seed=0, d=4):
    """n rows of each class about a mean of its own."""
    draw = np.random.default_rng(seed)
    y = np.repeat(classes, n)
    means = np.random.default_rng(9).normal(0, 3, (10, d))
    return (draw.normal(size=(len(y), d)) + means[y]).astype(np.float32), y


def fitted(place, name, sample, rows=120):
    data = table(place / f"{name}.csv", told(("bad", "good"), rows, 0))
    settings = Settings(source=f"file:{place / 'net'}", depth=1, sample=sample)
    return hs.fit(data, place / f"{name}.skill", settings=settings, cache=place / "cache").folder


@pytest.fixture
def place(tmp_path, network):
    """A folder with a network and a cache that are shared."""
    for name in ("net", "cache"):
        (tmp_path / name).symlink_to(network / name)
    return tmp_path


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    root = tmp_path_factory.mktemp("kept")
    small_encoder(root / "net")
    (root / "cache").mkdir()
    return root


def kept(folder):
    return recall(skills.read(folder)).sample


def test_features_keep_the_digits_of_half_precision_whatever_their_offset():
    x = np.random.default_rng(0).normal([1e4, 0, -3], [0.1, 1e6, 1e-9], (50, 3))
    found = Sample.empty("classes", 50, columns=1, origin=x.mean(0), scale=x.std(0)).plus(
        x, np.zeros(50, int), np.zeros(1), seed=0
    )
    apart = np.abs(np.sort(found.x, axis=0) - np.sort(x, axis=0)) - np.spacing(np.abs(x.astype(np.float32))).max(0)
    assert (apart <= 4 * 2.0**-11 * x.std(0)).all()
    again = Sample.from_arrays(load(save(found.arrays())), "classes", 1, found.origin)
    for name in ("z", "y", "judges", "scale", "x"):
        assert_array_equal(getattr(again, name), getattr(found, name))
    far = Sample.empty("classes", 1, columns=1, origin=np.zeros(1), scale=np.ones(1)).plus(
        np.full((1, 1), 1e30), np.zeros(1, int), np.zeros(1), seed=0
    )
    assert np.isfinite(far.x).all()


def test_each_row_of_a_class_is_kept_and_judges_as_often():
    x, y = np.arange(16.0)[:, None], np.repeat([0, 1], [6, 10])
    often, judged = np.zeros(16), np.zeros(16)
    for seed in range(1500):
        first = empty(8, columns=2, d=1).plus(x[:12], y[:12], np.zeros(2), seed=seed)
        both = first.plus(x[12:], y[12:], np.bincount(y[:12]), seed=seed + 10_000)
        for sample in (first, both):
            assert_array_equal(np.bincount(sample.y), [4, 4])
            assert_array_equal(y[sample.x[:, 0].astype(int)], sample.y)
        assert_array_equal(np.bincount(first.y[first.judges]), [2, 2])
        often[both.x[:, 0].astype(int)] += 1
        judged[both.x[both.judges, 0].astype(int)] += 1
    for rows in (y == 0, y == 1):
        assert chisquare(often[rows]).pvalue > 0.01
        assert chisquare(judged[rows]).pvalue > 0.01


def test_class_after_class_all_are_kept_alike_and_old_rows_keep_their_part():
    sample, seen = empty(60, columns=10), np.zeros(10)
    for turn in range(5):
        classes = (2 * turn, 2 * turn + 1)
        x, y = blobs(50, classes, seed=turn)
        before, sample = sample, sample.plus(x, y, seen, seed=turn)
        seen[list(classes)] = 50
        rows = np.bincount(sample.y, minlength=10)[: 2 * turn + 2]
        assert len(sample) == 60
        assert rows.max() - rows.min() <= 1
        judges = np.bincount(sample.y[sample.judges], minlength=10)[: 2 * turn + 2]
        assert (np.abs(2 * judges - rows) <= 1).all()
        old = sample.take(np.flatnonzero(sample.y < 2 * turn))
        there = {(tuple(z), judges) for z, judges in zip(before.z, before.judges, strict=True)}
        assert {(tuple(z), judges) for z, judges in zip(old.z, old.judges, strict=True)} <= there


@pytest.mark.parametrize(("stood", "old"), [(900, 9), (100, 5), (0, 0)])
def test_of_a_class_that_came_again_old_and_new_rows_are_kept_by_what_they_stand_for(stood, old):
    x, y = blobs(100, (0,))
    before, found = empty(10).plus(x, y, np.zeros(3), seed=0), []
    for seed in range(200):
        after = before.plus(x + 50, y, np.array([stood, 0, 0]), seed=seed)
        assert len(after) == 10
        found.append((after.x[:, 0] < 25).sum())
    assert np.mean(found) == pytest.approx(old, abs=0.4)


def test_without_classes_each_row_that_ever_came_is_kept_as_often():
    x, often = np.arange(12.0)[:, None], np.zeros(12)
    for seed in range(1500):
        first = empty(4, "numbers", 1, 1).plus(x[:7], x[:7], np.asarray(0.0), seed=seed)
        both = first.plus(x[7:], x[7:], np.asarray(7.0), seed=seed + 10_000)
        assert len(both) == len(first) == 4
        assert first.judges.sum() == 2
        often[both.y[:, 0].astype(int)] += 1
    assert chisquare(often).pvalue > 0.01


def test_kept_rows_count_as_the_rows_that_they_stand_for():
    """Where features say nothing, the answers are the shares of all rows that ever came."""
    draw = np.random.default_rng(3)
    y = np.repeat([0, 1], [3000, 1000])
    x = draw.normal(size=(4000, 3))
    old = Moments.of(x, y, "classes", 3)
    sample = empty(800, d=3).plus(x, y, np.zeros(3), seed=0).half(judges=False)
    assert_array_equal(np.bincount(sample.y), [200, 200])
    lesson = Lesson(draw.normal(size=(500, 3)), np.full(500, 2), Ask("classes", "accuracy", 3), old, sample)
    learned, each = np.concatenate([sample.x, lesson.x]), np.repeat([1500 / 200, 500 / 200, 1], [200, 200, 500])
    said = lesson.head(Way("replayed")).probabilities(learned)
    assert_allclose(np.average(said, axis=0, weights=each), [0.6, 0.2, 0.2], atol=0.02)


@pytest.mark.parametrize("task", ["classes", "numbers", "labels"])
def test_where_all_rows_were_kept_replay_is_the_ordinary_head_of_all_rows(task):
    x, y = blobs(30, (0, 1))
    targets = {"classes": y, "numbers": x[:, :1] + 1.0, "labels": np.stack([y, x[:, 0] > 0], axis=1).astype(float)}
    y, columns = targets[task], {"classes": 2, "numbers": 1, "labels": 2}[task]
    sample = empty(60, task, columns).plus(x, y, np.zeros(columns if task == "classes" else ()), seed=0)
    ask = Ask(task, {"classes": "accuracy", "numbers": "r2", "labels": "micro_f1"}[task], columns)
    lesson = Lesson(x[::3], y[::3], ask, Moments.of(x, y, task, columns), sample)
    assert lesson.ways()[-1] == Way("replayed")
    both = np.concatenate([sample.x, lesson.x]), np.concatenate([sample.y, lesson.y])
    kind = None if task == "numbers" else "logistic"
    asked = {"task": task, "metric": ask.metric, "classes": columns, "kind": kind}
    whole = fit_head(*both, folds=own_folds(both[1], 0), **asked).head
    assert_array_equal(lesson.head(Way("replayed")).scores(x), whole.scores(x))
    if task == "labels":
        unasked = np.where([True, False], np.nan, lesson.y)
        assert Way("replayed") not in Lesson(lesson.x, unasked, ask, lesson.old, sample).ways()


def two_heaps(n, seed):
    """Old rows: a line divides the classes, but half of the first one lies so far off that the means mislead."""
    draw = np.random.default_rng(seed)
    y = np.arange(n) % 2
    centre = np.where(y == 1, 1.0, np.where(draw.random(n) < 0.5, -1.0, -20.0))
    return np.stack([centre, np.zeros(n)], axis=1) + draw.normal(0, 0.2, (n, 2)), y


def test_where_moments_mislead_the_kept_rows_see_what_is_lost_and_their_head_loses_nothing():
    x, y = two_heaps(400, 0)
    old = Moments.of(x, y, "classes", 2)
    sample = empty(240, d=2).plus(x, y, np.zeros(2), seed=0)
    before = fit_head(x, y, task="classes", kind="logistic").head
    new = np.random.default_rng(5).normal((0, 8), 0.2, (60, 2))
    lesson = Lesson(new, np.full(60, 2), Ask("classes", "accuracy", 3), old.with_columns(range(2), 3))
    few = np.zeros(2, bool)
    blind = Past(("a", "b"), before, old, 0)
    seeing = Past(("a", "b"), before, old, 0, sample.half(judges=True))
    replaying = Lesson(lesson.x, lesson.y, lesson.ask, lesson.old, sample.half(judges=False))
    guessed = renewed(lesson, lambda head: blind.cost(head, few), 0.01)
    found = renewed(replaying, lambda head: seeing.cost(head, few), 0.01)
    fresh, kind = two_heaps(2000, 1)
    right = [float((head.scores(fresh).argmax(1) == kind).mean()) for head in (before, guessed.head, found.head)]
    assert right[0] > 0.99
    assert right[1] < 0.8
    assert right[2] > 0.99
    assert blind.cost(guessed.head, few) <= 0.01
    assert seeing.cost(guessed.head, few) == pytest.approx(right[0] - right[1], abs=0.08)
    assert found.way == Way("replayed")


def test_the_sample_goes_on_with_every_update(place):
    folder = fitted(place, "first", KEPT)
    assert kept(folder).most == KEPT
    assert_array_equal(np.bincount(kept(folder).y), [30, 30])
    for turn, kinds in enumerate((("odd",), ("plain", "odd"))):
        data = table(place / f"{turn}.csv", told(kinds, 90, 5 + turn))
        done = hs.update(folder, data, cache=place / "cache", forget_at_most=0.5)
        assert done.taken
        names = skills.read(folder).manifest["classes"]
        rows = np.bincount(kept(folder).y)
        assert (len(rows), rows.sum()) == (len(names), KEPT)
        assert rows.max() - rows.min() <= 1
        assert f"features of {KEPT} rows that it learned from" in (folder / "README.md").read_text("utf8")
    texts = [text for text, _ in told(("bad", "good"), 120, 0)]
    x, sample = features(place, folder, texts), kept(folder)
    for z in sample.x[sample.y < 2]:
        assert np.abs(x - z).max(1).min() < 0.01 * x.std()


def test_more_than_there_are_is_all_rows_until_there_are_more(place):
    folder = fitted(place, "first", 150, rows=80)
    assert len(kept(folder)) == 80
    data = table(place / "new.csv", told(("odd",), 60, 5))
    done = hs.update(folder, data, cache=place / "cache", forget_at_most=0.5)
    assert len(kept(folder)) == 80 + done.learned == 128
    done = hs.update(folder, table(place / "b.csv", told(("odd", "plain"), 90, 6)), cache=place / "cache",
                     forget_at_most=0.5)  # fmt: skip
    assert done.taken
    assert len(kept(folder)) == 150


def test_what_is_lost_is_counted_on_the_rows_that_judge(place):
    folder = fitted(place, "first", KEPT)
    before, sample = Linear.from_arrays(skills.read(folder).arrays, "classes"), kept(folder)
    done = hs.update(folder, table(place / "new.csv", told(("also good",), 200, 4)), cache=place / "cache",
                     forget_at_most=0.99)  # fmt: skip
    assert done.taken
    after = Linear.from_arrays(skills.read(folder).arrays, "classes")
    lost = 0.0
    for k, each in enumerate(done.recalls):
        mine = sample.x[sample.judges & (sample.y == k)]
        was, now = (float((head.scores(mine).argmax(1) == k).mean()) for head in (before, after))
        assert (each.before, each.after, each.rows, each.estimated) == (was, now, 15, False)
        lost += (was - now) / 2
    assert done.lost == pytest.approx(lost)
    assert done.lost > 0.1
    assert all(each.kept for each in done.recalls)
    assert forgotten(done).endswith(" may be lost; judged on rows of it that were kept.")


def test_too_few_judges_leave_it_to_the_estimate_and_new_rows_go_before_both(place):
    few = fitted(place, "few", 4 * ENOUGH - 1)
    data = table(place / "new.csv", told(("odd",), 90, 4))
    done = hs.update(few, data, cache=place / "cache", dry_run=True)
    assert [(each.name, each.rows, each.estimated) for each in done.recalls] == [("bad", 10, False), ("good", 0, True)]
    assert "; for 1 of 2 judged on rows of it that were kept, for 1 of 2 estimated from the moments" in forgotten(done)
    data = table(place / "more.csv", told(("bad", "odd"), 120, 4))
    done = hs.update(few, data, cache=place / "cache", dry_run=True)
    assert [(each.rows, each.estimated) for each in done.recalls] == [(12, False), (0, True)]
    assert "; for 1 of 2 judged on new rows of it, for 1 of 2 estimated from" in forgotten(done)
    assert done.measure == "share answered right"


def test_the_rows_that_judge_are_never_learned_from(place):
    folder, other = fitted(place, "first", KEPT), fitted(place, "other", KEPT)
    opened = skills.read(other)
    arrays = load((other / FILE).read_bytes())
    arrays["sample.y"] = np.where(arrays["sample.judges"], 1 - arrays["sample.y"], arrays["sample.y"])
    texts = {name: (other / name).read_bytes() for name in opened.manifest["files"] if name != "delta.safetensors"}
    skills.write(other, opened.manifest, opened.arrays, {**texts, FILE: save(arrays)})
    data = table(place / "new.csv", told(("odd",), 60, 5))
    samples = [kept(each).half(judges=False) for each in (folder, other)]
    one, two = (hs.update(each, data, cache=place / "cache", forget_at_most=1) for each in (folder, other))
    assert [each.before for each in one.recalls] != [each.before for each in two.recalls]
    assert [each.value for each in one.tried] == [each.value for each in two.tried]
    assert (folder / "delta.safetensors").read_bytes() == (other / "delta.safetensors").read_bytes()
    heads = [_replay(folder, place, sample) for sample in samples]
    for name, value in heads[0].arrays().items():
        assert_array_equal(value, heads[1].arrays()[name])


def _replay(folder, place, sample):
    new = [text for text, _ in told(("odd",), 60, 5)]
    old = recall(skills.read(folder)).moments
    lesson = Lesson(features(place, folder, new), np.full(60, 2), Ask("classes", "accuracy", 3), old, sample)
    return lesson.head(Way("replayed"))


def test_without_a_sample_nothing_is_another(place):
    plain, other = fitted(place, "plain", 0), fitted(place, "other", KEPT)
    files = [load((each / FILE).read_bytes()) for each in (plain, other)]
    assert not [name for name in files[0] if name.startswith("sample.")]
    for name, value in files[0].items():
        assert_array_equal(value, files[1][name])
    assert (plain / "delta.safetensors").read_bytes() == (other / "delta.safetensors").read_bytes()
    assert "Rows that it keeps" not in (plain / "README.md").read_text("utf8")
    data = table(place / "new.csv", told(("odd",), 60, 5))
    done = hs.update(plain, data, cache=place / "cache")
    assert [each.way for each in done.tried] == [Way("moments").words, Way("logistic").words]
    assert done.measure == "share answered right"
    assert all(each.estimated for each in done.recalls)
    assert kept(plain) is None


def test_numbers_and_labels_keep_a_sample_too(place):
    draw = np.random.default_rng(0)
    rows = [(text, f"{2 * (kind == 'good') + draw.normal(0, 0.2):.3f}") for text, kind in told(("bad", "good"), 90, 0)]
    settings = Settings(source=f"file:{place / 'net'}", depth=1, sample=40)
    made = hs.fit(table(place / "a.csv", rows[:30]), place / "x.skill", settings=settings, cache=place / "cache")
    assert len(kept(made.folder)) == 30
    done = hs.update(made.folder, table(place / "b.csv", rows[30:]), cache=place / "cache", forget_at_most=9)
    assert done.taken
    assert done.tried[-1].way == Way("replayed").words
    assert len(kept(made.folder)) == 40
    truth = np.array([float(value) for _, value in rows])
    assert np.isin(kept(made.folder).y[:, 0], truth).all()
    tags = [(text, f"{kind}|{'film' if 'film' in text else 'any'}") for text, kind in told(("bad", "good"), 120, 0)]
    made = hs.fit(table(place / "c.csv", tags), place / "y.skill", settings=settings, cache=place / "cache",
                  options=Options(task="labels"))  # fmt: skip
    more = [(text, f"{kind}|end") for text, kind in told(("bad", "good"), 90, 6)]
    done = hs.update(made.folder, table(place / "d.csv", [*more, *tags[:1]]), cache=place / "cache", forget_at_most=9)
    sample = kept(made.folder)
    assert (len(sample), sample.y.shape[1]) == (40, len(skills.read(made.folder).manifest["classes"]))
    assert done.taken == ("end" in skills.read(made.folder).manifest["classes"])


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("sample.y", None, "lacks y"),
        ("sample.y", np.zeros(3, np.int64), "do not fit each other"),
        ("sample.y", np.full(KEPT, 7), "do not fit each other"),
        ("sample.scale", np.ones(3, np.float32), "do not fit each other"),
    ],
)
def test_a_sample_that_is_not_whole_is_refused(place, name, value, said):
    folder = fitted(place, "first", KEPT)
    opened, arrays = skills.read(folder), load((folder / FILE).read_bytes())
    arrays = {each: array for each, array in {**arrays, name: value}.items() if array is not None}
    skills.write(folder, opened.manifest, opened.arrays, {FILE: save(arrays)})
    with pytest.raises(SkillError, match=said):
        recall(skills.read(folder))


def test_a_wish_that_cannot_be_is_one_sentence(place, capsys, monkeypatch):
    for asked, said in (
        ({"sample": -1}, r"sample=-1 must be 0 \(none\) or above"),
        ({"sample": 5, "remember": False}, "leave it or --no-moments out"),
        ({"sample": 5, "examples": False}, "where --no-examples wants none"),
    ):
        with pytest.raises(UsageError, match=said):
            Settings(**asked)
    with pytest.raises(DataError, match="keep=0 is below 1"):
        empty(0).plus(*blobs(3, (0,)), np.zeros(3), seed=0)
    typed = typing_in(place, place, capsys, monkeypatch)
    table(place / "data.csv", told(("bad", "good"), 40, 0))
    code, out, _ = typed("fit", "data.csv", "-o", "mine.skill", "--source", f"file:{place / 'net'}", "--depth", "1",
                         "--sample", "10", "--json")  # fmt: skip
    assert code == 0
    assert Path(json.loads(out)["skill"]).name == "mine.skill"
    assert len(kept(place / "mine.skill")) == 10
    assert everything(place / "mine.skill")["README.md"].count(b"features of 10 rows") == 1
