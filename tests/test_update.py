"""A finished skill learns from new rows without its old ones, takes over only where that is better, and can go back."""

import csv
import json
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
from networks import BAD, GOOD, OTHER, small_convnet, small_encoder, write_pictures
from numpy.testing import assert_allclose, assert_array_equal
from typed import typing_in

import headstart as hs
from headstart.adapt.probe import Ask
from headstart.adapt.renew import Lesson, Way, renewed
from headstart.core import skill as skills
from headstart.core.versions import versions_of
from headstart.data.dataset import Options
from headstart.data.named import matched, near, slips
from headstart.data.read import read, read_inputs
from headstart.errors import DataError, SkillError, UsageError
from headstart.heads import metrics
from headstart.heads.continual import discriminant, ridge
from headstart.heads.linear import Linear
from headstart.heads.moments import Moments
from headstart.heads.recall import recalled
from headstart.report.updated import sentences
from headstart.verbs.memory import FILE, WIDEST, recall
from headstart.verbs.predict import open_predictor
from headstart.verbs.settings import Settings

WORDS = {"bad": BAD, "good": GOOD, "odd": ("story", "end"), "plain": ("from", "to"), "also good": GOOD}


def told(kinds, n, seed):
    """n different texts of these kinds in turn: three words of the kind among five of any."""
    draw = np.random.default_rng(seed)
    rows = []
    for row in range(n):
        kind = kinds[row % len(kinds)]
        words = [*draw.choice(WORDS[kind], 3), *draw.choice(OTHER, 5)]
        rows.append((" ".join(draw.permutation(words)), kind))
    return rows


def table(path, rows, head=("text", "label")):
    with path.open("w", newline="", encoding="utf8") as file:
        csv.writer(file).writerows([head, *rows])
    return path


def everything(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A cache, a network, and a skill that tells bad from good."""
    root = tmp_path_factory.mktemp("update")
    source = small_encoder(root / "net")
    data = table(root / "first.csv", told(("bad", "good"), 120, 0))
    hs.fit(data, root / "first.skill", settings=Settings(source=source, depth=1), cache=root / "cache")
    return root


@pytest.fixture
def skill(place, tmp_path):
    """A copy of the skill."""
    return shutil.copytree(place / "first.skill", tmp_path / "mine.skill")


@pytest.fixture
def update(place, skill, tmp_path):
    """Update the copy with these rows."""

    def run(rows, head=("text", "label"), **asked):
        data = table(tmp_path / "new.csv", rows, head) if isinstance(rows, list) else rows
        return hs.update(skill, data, cache=place / "cache", **asked)

    return run


def features(place, skill, texts):
    predictor = open_predictor(skill, cache=place / "cache")
    taps = predictor.held.read(read_inputs(list(texts), modality="text"))
    return np.concatenate([taps[predictor.held.taps.index(name)] for name in predictor.skill.manifest["taps"]], axis=1)


def share_right(place, skill, rows):
    said = hs.predict(skill, [text for text, _ in rows], cache=place / "cache")
    return np.mean([row.label == kind for row, (_, kind) in zip(said, rows, strict=True)])


def test_new_classes_without_old_data_end_near_a_fit_on_all_data_at_once(place, skill, update, tmp_path):
    rows = told(("odd", "plain"), 120, 5)
    done = update(rows)
    assert (done.taken, done.version, done.added, done.copies) == (True, 2, ("odd", "plain"), 0)
    assert (done.learned, done.judged) == (96, 24)
    assert skills.read(skill).manifest["classes"] == ["bad", "good", "odd", "plain"]
    both = table(tmp_path / "all.csv", [*told(("bad", "good"), 120, 0), *rows])
    source = f"file:{place / 'net'}"
    whole = hs.fit(both, tmp_path / "all.skill", settings=Settings(source=source, depth=1), cache=place / "cache")
    fresh = told(("bad", "good", "odd", "plain"), 400, 9)
    assert share_right(place, skill, fresh) > share_right(place, whole, fresh) - 0.03


def test_the_moments_after_an_update_are_those_of_all_rows_that_were_learned_from(place, skill, update):
    first, rows = told(("bad", "good"), 120, 0), told(("good", "odd"), 100, 6)
    before = recall(skills.read(skill))
    assert update(rows).taken
    found = recall(skills.read(skill))
    new = [row for row in rows if found.knows(read_inputs([row[0]], modality="text").keys)[0]]
    assert len(new) == 80
    x = features(place, skill, [text for text, _ in (*first, *new)])
    y = np.array([("bad", "good", "odd").index(kind) for _, kind in (*first, *new)])
    wanted = Moments.of(x, y, "classes", 3, before.moments.origin)
    assert_allclose(found.moments.count, wanted.count)
    assert_allclose(found.moments.gram, wanted.gram, rtol=1e-4, atol=1e-5 * np.abs(wanted.gram).max())
    assert_allclose(discriminant(found.moments).scores(x), discriminant(wanted).scores(x), atol=0.02)


def test_a_head_that_learned_class_after_class_is_the_head_of_all_rows_at_once():
    draw = np.random.default_rng(0)
    y = np.repeat(np.arange(6), 50)
    x = draw.normal(size=(300, 10)) + draw.normal(0, 2, (6, 10))[y] + 5
    old, ask = Moments.of(x[:100], y[:100], "classes", 2), Ask("classes", "accuracy", 2)
    for c in (4, 6):
        lesson = Lesson(x[50 * (c - 2) : 50 * c], y[50 * (c - 2) : 50 * c], ask, old.with_columns(range(c - 2), c))
        lesson = Lesson(lesson.x, lesson.y, Ask("classes", "accuracy", c), lesson.old)
        old = lesson.moments()
    whole = discriminant(Moments.of(x, y, "classes", 6))
    assert_allclose(lesson.head(Way("moments")).scores(x), whole.scores(x), atol=1e-3)


def test_rows_in_another_order_end_in_the_same_bytes(place, skill, update, tmp_path):
    rows = told(("plain", "bad", "odd"), 90, 7)
    other = shutil.copytree(skill, tmp_path / "other.skill")
    update(rows)
    hs.update(other, table(tmp_path / "turned.csv", rows[::-1]), cache=place / "cache")
    for name in ("delta.safetensors", FILE):
        assert (skill / name).read_bytes() == (other / name).read_bytes()


@pytest.mark.parametrize(
    ("a", "b", "alike"),
    [
        ("dog", "Dog", True),
        ("hot dog", "hot-dog", True),
        ("cat", "cats", True),
        ("berry", "berries", True),
        ("brush", "brushes", True),
        ("pneumonia", "pnuemonia", True),
        ("meningioma", "meningoma", True),
        ("cat", "car", False),
        ("male", "female", False),
        ("positive", "negative", False),
        ("class 1", "class 2", False),
        ("1", "10", False),
        ("A", "B", False),
        ("a", "A", True),
    ],
)
def test_names_are_near_or_not(a, b, alike):
    assert near(a, b) == near(b, a) == alike


def test_slips_are_counted():
    assert [slips(a, b) for a, b in (("", "abc"), ("abc", "abc"), ("abc", "acb"), ("kitten", "sitting"))] == [
        3,
        0,
        1,
        3,
    ]


def test_a_near_spelling_is_asked_about(skill, update):
    before = everything(skill)
    rows = [(text, {"good": "Good"}.get(kind, kind)) for text, kind in told(("good", "odd"), 60, 3)]
    with pytest.raises(UsageError, match=r"has 'Good' where the skill knows 'good'.*--same 'Good=good'.*--new 'Good'"):
        update(rows)
    assert everything(skill) == before


def test_a_spelling_that_is_the_same_joins_and_one_that_is_new_does_not(place, skill, update, tmp_path):
    rows = [(text, {"good": "Good"}.get(kind, kind)) for text, kind in told(("good", "odd"), 60, 3)]
    other = shutil.copytree(skill, tmp_path / "other.skill")
    assert update(rows, same={"Good": "good"}).added == ("odd",)
    data = tmp_path / "new.csv"
    done = hs.update(other, data, new=["Good"], cache=place / "cache", forget_at_most=1)
    assert done.added == ("Good", "odd")
    for wrong, said in (
        ({"same": {"God": "good"}}, "speaks of 'God', and the data has Good, odd"),
        ({"same": {"Good": "god"}}, "speaks of 'god', and the skill knows bad, good"),
        ({"new": ["bad"]}, "not new: the skill knows it"),
        ({"new": ["God"]}, "not new: the data has Good, odd"),
    ):
        with pytest.raises(UsageError, match=said):
            hs.update(place / "first.skill", data, cache=place / "cache", **{"same": {"Good": "good"}, **wrong})


def test_all_near_spellings_are_asked_about_at_once():
    said = r"'Cat' where.*and 'dogs' where.*--same 'Cat=cat' --same 'dogs=dog', and.*--new"
    with pytest.raises(UsageError, match=said):
        matched(["Cat", "dogs", "horse", "cow"], ["cat", "dog"], {}, ["cow"])


def test_two_known_names_are_not_joined():
    with pytest.raises(UsageError, match="joins two names that the skill tells apart"):
        matched(["cat", "dog"], ["cat", "dog"], {"cat": "dog"})


def test_copies_of_what_was_learned_are_left_out_and_nothing_new_is_said(place, skill, update):
    with pytest.raises(DataError, match="nothing new: the skill has learned from all of its 120 rows"):
        update(place / "first.csv")
    done = update([*told(("bad", "good"), 120, 0)[:30], *told(("odd", "bad"), 70, 5)])
    assert (done.copies, done.rows, done.taken) == (30, 70, True)
    again = update(told(("odd", "bad"), 70, 5), dry_run=True)
    assert again.copies == done.learned
    assert again.rows == done.judged


def test_what_is_no_better_does_not_take_over(skill, update):
    before = everything(skill)
    draw = np.random.default_rng(1)
    rows = [(text, str(draw.choice(["bad", "good"]))) for text, _ in told(("bad", "good"), 60, 4)]
    done = update(rows)
    assert (done.taken, done.version) == (False, 1)
    assert sentences(done)[-1].startswith("Not taken over: ")
    assert everything(skill) == before


def test_what_would_forget_more_than_is_allowed_does_not_take_over(skill, update):
    before = everything(skill)
    rows = told(("also good",), 200, 4)  # as the good ones are, under another name
    done = update(rows)
    assert not done.taken
    assert done.gain.value > 0.5
    assert done.lost > 0.1
    assert "of what was known, where 1 are allowed" in done.reason
    by_name = {each.name: each for each in done.recalls}
    assert by_name["good"].before - by_name["good"].after > 0.3
    assert all(each.estimated for each in done.recalls)
    assert everything(skill) == before
    assert update(rows, forget_at_most=1).taken


def test_a_dry_run_says_the_same_and_writes_nothing(skill, update):
    before = everything(skill)
    rows = told(("odd", "plain"), 60, 5)
    dry = update(rows, dry_run=True)
    assert (dry.taken, dry.dry_run, dry.version) == (True, True, 1)
    assert everything(skill) == before
    wet = update(rows)
    assert (wet.after, wet.gain, wet.lost, wet.way) == (dry.after, dry.gain, dry.lost, dry.way)


def test_a_rollback_restores_every_byte_of_the_predictions_and_loses_nothing(place, skill, update):
    asked = [text for text, _ in told(("bad", "good", "odd"), 30, 8)]
    first, rows = hs.predict(skill, asked, cache=place / "cache"), told(("odd",), 60, 5)
    files = everything(skill)
    update(rows)
    second = hs.predict(skill, asked, cache=place / "cache")
    assert {name.removeprefix("versions/1/"): raw for name, raw in everything(skill).items() if "/1/" in name} == files
    assert hs.predict(skill / "versions" / "1", asked, cache=place / "cache") == first
    back = hs.rollback(skill)
    assert (back.version, back.before, back.versions) == (1, 2, (1, 2))
    assert hs.predict(skill, asked, cache=place / "cache") == first
    assert {name: raw for name, raw in everything(skill).items() if name in files and name != "skill.json"} == {
        name: raw for name, raw in files.items() if name != "skill.json"
    }
    with pytest.raises(UsageError, match=r"version 1 is the first of .*, one of 2"):
        hs.rollback(skill)
    hs.rollback(skill, to=2)
    assert hs.predict(skill, asked, cache=place / "cache") == second
    history = skills.read(skill).manifest["history"]
    assert [(each["version"], each["what"].split(":")[0]) for each in history] == [
        (1, "fit"),
        (2, "update"),
        (1, "rollback from version 2"),
        (2, "rollback from version 1"),
    ]
    assert [each["rows"] for each in history] == [120, 48, 0, 0]
    update(told(("plain",), 60, 5))
    assert skills.read(skill).manifest["version"] == 3
    assert list(versions_of(skill)) == [1, 2]
    shutil.copytree(skill / "versions" / "1", skill / "versions" / "1x")  # somebody's own
    assert list(versions_of(skill)) == [1, 2]


def test_without_history_there_is_nothing_to_go_back_to(skill, update):
    with pytest.raises(UsageError, match="never updated, so there is nothing to go back to"):
        hs.rollback(skill)
    update(told(("odd",), 60, 5))
    with pytest.raises(UsageError, match=r"version 2 of .* serves already; use --to with one of 1"):
        hs.rollback(skill, to=2)
    with pytest.raises(UsageError, match=r"version 7 of .* is not kept"):
        hs.rollback(skill, to=7)


def test_a_skill_that_was_written_anew_meanwhile_is_not_written_over(skill):
    former = skills.read(skill)
    skills.write(skill, {**former.manifest, "name": "other"}, former.arrays, {})
    with pytest.raises(SkillError, match="was written anew meanwhile"):
        skills.write(skill, {**former.manifest, "version": 2}, former.arrays, {}, former=former)
    assert skills.read(skill).manifest["name"] == "other"


KILLED = """
import os, shutil, signal, sys
from pathlib import Path
from headstart.core import skill as skills

skill, work = Path(sys.argv[1]), Path(sys.argv[2])
EVENTS = ("open", "os.mkdir", "os.link", "os.rename", "os.remove", "os.rmdir")
seen = []
for step in range(1000):
    place = work / "x.skill"
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(skill, place)
    child = os.fork()
    if not child:
        left = [step]
        former = skills.read(place)
        def killed(event, told):
            if event in EVENTS and str(work) in str(told):
                if not left[0]:
                    os.kill(os.getpid(), signal.SIGKILL)
                left[0] -= 1
        sys.addaudithook(killed)
        skills.write(place, {**former.manifest, "version": 3}, former.arrays, {"README.md": "new"}, former=former)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    found = skills.read(place)
    seen.append(found.manifest["version"])
    if found.manifest["version"] == 3:
        assert skills.read(found.folder / "versions" / "2").manifest["version"] == 2
    assert skills.read(found.folder / "versions" / "1").manifest.get("version", 1) == 1
    again = skills.read(place)  # whatever was left behind, the next one can be written
    skills.write(place, {**again.manifest, "version": 4}, again.arrays, {}, former=again)
    assert skills.read(place).manifest["version"] == 4 and place.is_dir()
    assert not list(work.glob("*.old"))
    if os.WIFEXITED(status):
        break
    assert os.WTERMSIG(status) == signal.SIGKILL
print(seen)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL") or sys.platform == "win32", reason="needs fork and kill -9")
def test_kill_9_at_any_step_of_taking_over_leaves_one_whole_skill(skill, update, tmp_path):
    update(told(("odd",), 60, 5))
    command = [sys.executable, "-c", KILLED, str(skill), str(tmp_path / "work")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    seen = json.loads(done.stdout)
    assert seen == sorted(seen)
    assert set(seen) == {2, 3}
    assert len(seen) > 30


def test_a_changed_byte_of_the_moments_is_found_and_a_prediction_does_not_read_them(place, skill, monkeypatch):
    def never(*_):
        raise AssertionError("a prediction read the moments")

    monkeypatch.setattr(Moments, "from_arrays", never)
    hs.predict(skill, ["a lovely film"], cache=place / "cache")
    raw = bytearray((skill / FILE).read_bytes())
    raw[-1] ^= 1
    (skill / FILE).write_bytes(raw)
    with pytest.raises(SkillError, match=r"moments\.safetensors is not as it was written"):
        hs.predict(skill, ["a lovely film"], cache=place / "cache")


def test_a_skill_without_moments_learns_from_rows_of_all_that_it_knows_alone(place, tmp_path):
    settings = Settings(source=f"file:{place / 'net'}", depth=1, remember=False)
    made = hs.fit(table(tmp_path / "few.csv", told(("bad", "good"), 12, 1)), tmp_path / "x.skill", settings=settings,
                  cache=place / "cache")  # fmt: skip
    assert FILE not in made.manifest["files"]
    data = table(tmp_path / "new.csv", told(("bad", "odd"), 60, 2))
    with pytest.raises(DataError, match=r"keeps no moments of its old rows \(it was made without.*and lack good"):
        hs.update(made.folder, data, cache=place / "cache")
    data = table(tmp_path / "new.csv", told(("bad", "odd", "good"), 120, 2))
    done = hs.update(made.folder, data, cache=place / "cache", forget_at_most=0.2)
    assert done.way == "a head of the new rows alone"
    assert done.taken
    assert {each.name: each.estimated for each in done.recalls} == {"bad": False, "good": False}


def test_features_that_are_too_wide_are_not_kept_and_that_is_said(place, skill, update, monkeypatch):
    opened = skills.read(skill)
    wide = {**opened.arrays, "head.mean": np.zeros(WIDEST + 1, np.float32)}
    skills.write(skill, opened.manifest, wide, {})
    from headstart.verbs.memory import why_none

    assert (
        why_none(skills.read(skill))
        == "its head reads 4,097 features, more than the 4,096 up to which moments are kept"
    )


def test_few_rows_are_each_judged_by_a_head_that_had_not_learned_from_them(update):
    done = update(told(("odd", "bad"), 12, 5))
    assert (done.rows, done.learned, done.judged) == (12, 12, 12)
    assert done.where == "each of 12 new rows was judged by a head that had not learned from it"
    with pytest.raises(DataError, match="none of 1 new rows can be spared"):
        update(told(("odd",), 1, 9))


def test_a_given_test_part_and_else_the_latest_rows_are_judged(skill, update):
    rows = [(text, kind, ("train", "test")[k % 4 == 0]) for k, (text, kind) in enumerate(told(("odd", "bad"), 80, 5))]
    done = update(rows, head=("text", "label", "split"), dry_run=True)
    assert (done.learned, done.judged) == (60, 20)
    rows = [(text, kind, 1000 - k) for k, (text, kind) in enumerate(told(("odd", "bad"), 80, 5))]
    done = update(rows, head=("text", "label", "when"), options=Options(time="when"))
    assert done.judged == 16
    learned = recall(skills.read(skill))
    keys = read_inputs([text for text, _, _ in rows], modality="text").keys
    assert_array_equal(learned.knows(keys), [k >= 16 for k in range(80)])


def test_rows_of_one_group_are_on_one_side(skill, update):
    rows = [(text, kind, f"writer {k % 11}") for k, (text, kind) in enumerate(told(("odd", "bad"), 88, 5))]
    done = update(rows, head=("text", "label", "who"), options=Options(group="who"))
    assert done.taken
    learned = recall(skills.read(skill)).knows(read_inputs([text for text, _, _ in rows], modality="text").keys)
    sides = [set(learned[k::11]) for k in range(11)]
    assert all(len(side) == 1 for side in sides)
    assert sum(side == {False} for side in sides) == 2


def test_a_network_that_was_tuned_is_held_and_its_tail_stays(place, tmp_path):
    data = table(tmp_path / "first.csv", told(("bad", "good"), 60, 0))
    settings = Settings(source=f"file:{place / 'net'}", depth=2, epochs=2)
    made = hs.fit(data, tmp_path / "x.skill", settings=settings, cache=place / "cache")
    before = recall(made).moments
    x = features(place, made.folder, [text for text, _ in told(("bad", "good"), 60, 0)])
    assert_allclose(before.centre, x.mean(0), atol=1e-5)
    assert hs.update(made.folder, table(tmp_path / "b.csv", told(("odd",), 60, 5)), cache=place / "cache").taken
    after = skills.read(made.folder)
    tail = [name for name in made.arrays if name.startswith("tail.")]
    assert tail
    for name in tail:
        assert_array_equal(after.arrays[name], made.arrays[name])
    assert share_right(place, made.folder, told(("bad", "good", "odd"), 90, 7)) > 0.9


def test_a_skill_travels_with_its_versions(place, skill, update, tmp_path):
    update(told(("odd",), 60, 5))
    hs.pack(skill, tmp_path / "mine.zip")
    hs.unpack(tmp_path / "mine.zip", tmp_path / "theirs.skill")
    assert hs.rollback(tmp_path / "theirs.skill").version == 1


def lesson(moved, n=120):
    """Old rows of two classes, and new ones of the same whose axis of difference may have turned."""
    draw = np.random.default_rng(2)
    y = np.arange(n) % 2
    apart = np.array([3.0, 0.0, 0.0]), np.array([-3.0 if moved else 3.0, 3.0, 0.0])
    old, new = (draw.normal(size=(n, 3)) + np.outer(y, way) for way in apart)
    return Lesson(new, y, Ask("classes", "accuracy", 2), Moments.of(old, y, "classes", 2))


def test_rows_from_a_moved_distribution_let_the_old_count_less():
    assert renewed(lesson(moved=False), lambda head: 0.0, 1.0).way == Way("moments", 1.0)
    assert renewed(lesson(moved=True), lambda head: 0.0, 1.0).way.weight < 1


def test_a_way_that_costs_more_of_the_old_than_is_allowed_is_not_taken():
    moved = lesson(moved=True)
    before = discriminant(moved.old)

    def cost(head):
        return float((recalled(before, moved.old) - recalled(head, moved.old)).mean())

    free, bound = (renewed(moved, cost, limit) for limit in (1.0, 0.25))
    assert cost(bound.head) <= 0.25 < cost(free.head)
    none = renewed(moved, cost, -1.0)
    assert cost(none.head) <= min(each.cost for each in none.tried) + 1e-9


def test_labels_that_come_later_are_learned_from_rows_that_were_asked(place, tmp_path):
    def tags(rows, known):
        return [(t, "|".join([k, *(["story"] if "story" in t and known else [])])) for t, k in rows]

    data = table(
        tmp_path / "first.csv",
        [(t, f"{k}|{'film' if 'film' in t else 'any'}") for t, k in told(("bad", "good"), 120, 0)],
    )
    settings = Settings(source=f"file:{place / 'net'}", depth=1)
    made = hs.fit(data, tmp_path / "x.skill", options=Options(task="labels"), settings=settings, cache=place / "cache")
    assert made.manifest["classes"] == ["any", "bad", "film", "good"]
    done = hs.update(made.folder, table(tmp_path / "new.csv", tags(told(("bad", "good"), 150, 3), True)),
                     cache=place / "cache")  # fmt: skip
    assert done.taken
    assert done.added == ("story",)
    moments = recall(skills.read(made.folder)).moments
    asked = moments.count.sum(0)
    assert_allclose(asked, [120, 120 + done.learned, 120, 120 + done.learned, done.learned])
    row = hs.predict(made.folder, ["a story story story and a story", "a film film it was"], cache=place / "cache")
    assert row[0].all["story"] > row[1].all["story"]


def numbers(n, seed, column="stars"):
    rows = told(("bad", "good"), n, seed)
    draw = np.random.default_rng(seed)
    return [(text, f"{2 + 2 * (kind == 'good') + draw.normal(0, 0.2):.3f}") for text, kind in rows], ("text", column)


def test_numbers_go_on_and_a_target_that_vanished_is_said(place, tmp_path):
    settings = Settings(source=f"file:{place / 'net'}", depth=1)
    few, head = numbers(20, 0)
    made = hs.fit(table(tmp_path / "a.csv", few, head), tmp_path / "x.skill", settings=settings, cache=place / "cache",
                  options=Options(label="stars"))  # fmt: skip
    assert made.manifest["task"] == "numbers"
    more, head = numbers(300, 1, "rating")
    data = table(tmp_path / "b.csv", more, head)
    with pytest.raises(UsageError, match=r"skill answers stars, which the data must have.*columns are text, rating"):
        hs.update(made.folder, data, cache=place / "cache")
    done = hs.update(made.folder, data, same={"rating": "stars"}, cache=place / "cache")
    assert done.taken
    assert done.gain.value > 0
    x = features(place, made.folder, [text for text, _ in more])
    found = recall(skills.read(made.folder)).moments
    assert found.rows == 20 + done.learned
    head = Linear.from_arrays(skills.read(made.folder).arrays, "numbers")
    assert_allclose(head.scores(x), ridge(found).scores(x), rtol=1e-3)


def test_data_of_another_kind_is_refused_in_words(update, tmp_path):
    with pytest.raises(DataError, match="holds pictures and this skill reads texts; give labelled texts"):
        update(write_pictures(tmp_path / "pictures", 12))


def test_pictures_of_one_new_class_in_one_folder_are_learned(tmp_path):
    source = small_convnet(tmp_path / "net")
    folder = write_pictures(tmp_path / "first", 40)
    made = hs.fit(folder, tmp_path / "x.skill", settings=Settings(source=source, depth=1), cache=tmp_path / "cache")
    new = write_pictures(tmp_path / "new", 60, seed=3, classes=("dark", "light", "white"))
    for name in ("dark", "light"):
        shutil.rmtree(new / name)
    (new / "white" / "broken.png").write_bytes(b"no picture")
    done = hs.update(made.folder, new, cache=tmp_path / "cache", forget_at_most=0.5)
    assert (done.added, done.rows) == (("white",), 20)
    assert "pictures that cannot be read were left out: 1" in done.notes


@pytest.mark.parametrize("task", ["labels", "numbers"])
def test_what_a_head_says_of_rows_that_are_gone_is_what_it_said_of_them(task):
    draw = np.random.default_rng(4)
    x = draw.normal(size=(20_000, 4)) @ draw.normal(size=(4, 4)) + 3
    truth = x @ draw.normal(size=(4, 2)) + draw.normal(0, 1, (20_000, 2))
    y = truth if task == "numbers" else (truth > truth.mean(0)).astype(float)
    moments = Moments.of(x, y, task, 2)
    other = Moments.of(x[:30], y[:30], task, 2)
    head = ridge(other) if task == "numbers" else discriminant(other)
    found = recalled(head, moments)
    for k in range(2):
        out = head.scores(x)[:, [k]]
        real = metrics.score("r2", out, y[:, [k]], task) if task == "numbers" else ((out[:, 0] > 0) == y[:, k]).mean()
        assert found[k] == pytest.approx(real, abs=1e-6 if task == "numbers" else 0.03)


def test_the_report_the_card_and_the_scores_tell_of_the_update(skill, update):
    done = update(told(("odd", "plain"), 60, 5))
    page, card = ((skill / name).read_text("utf8") for name in ("report.html", "README.md"))
    assert "took over as version 2" in page
    assert 'href="versions/1/report.html"' in page
    assert "## Updates" in card
    assert "| 2 |" in card
    record = json.loads((skill / "metrics.json").read_text("utf8"))
    assert record["score"]["value"] == done.after.value
    assert [c["name"] for c in record["data"]["classes"]] == ["bad", "good", "odd", "plain"]
    assert np.sum(record["confusion"]) == done.judged
    assert (skill / "plan.toml").read_text("utf8").startswith("# of version 1; ")


def test_names_in_the_report_cannot_be_mark_up(skill, update):
    rows = [(text, {"odd": "<script>alert(1)</script>"}.get(kind, kind)) for text, kind in told(("odd", "bad"), 60, 5)]
    assert update(rows).taken
    for name in ("report.html", "README.md"):
        assert "<script>" not in (skill / name).read_text("utf8")


def test_the_commands_say_what_was_decided(place, skill, tmp_path, capsys, monkeypatch):
    typed = typing_in(place, tmp_path, capsys, monkeypatch)
    table(tmp_path / "new.csv", told(("odd", "plain"), 60, 5))
    code, out, _ = typed("update", skill, "new.csv", "--dry-run")
    assert code == 0
    assert "would take over" in " ".join(out.split())
    code, out, _ = typed("update", skill, "new.csv", "--forget-at-most", "2%", "--json")
    said = json.loads(out)
    assert (code, said["taken"], said["version"], said["limit"]) == (0, True, 2, 0.02)
    draw = np.random.default_rng(1)
    table(tmp_path / "worse.csv", [(t, str(draw.choice(["bad", "good"]))) for t, _ in told(("bad", "good"), 60, 4)])
    code, out, _ = typed("update", skill, "worse.csv")
    assert code == 0
    assert "Not taken over: " in out
    assert typed("update", skill, "new.csv", "--same", "Odd")[0] == 2
    code, out, _ = typed("rollback", skill)
    assert (code, out.split()[:4]) == (0, ["version", "1", "of", str(skill)])
    code, out, err = typed("rollback", skill)
    assert (code, out) == (2, "")
    assert err.startswith("headstart: version 1 is the first of")


def test_an_update_needs_no_torch(place, skill, tmp_path):
    table(tmp_path / "new.csv", told(("odd", "plain"), 60, 5))
    code = f"""
import sys
import headstart as hs
from pathlib import Path
print(hs.update({str(skill)!r}, {str(tmp_path / "new.csv")!r}, cache=Path({str(place / "cache")!r})).version)
print(sorted({{"torch", "timm", "transformers"}} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.split("\n")[:2] == ["2", "[]"], done.stderr[-2000:]


def test_a_table_of_one_class_is_read_where_a_skill_goes_on(tmp_path):
    path = table(tmp_path / "one.csv", told(("odd",), 6, 0))
    with pytest.raises(DataError, match="one class"):
        read(path)
    found = read(path, Options(task="classes", more=True))
    assert (found.classes, len(found)) == (("odd",), 6)
