"""Going deeper from a skill without losing what it could: guards, shares of the way, a limit, and what is measured."""

import csv
import json

import numpy as np
import pytest
from networks import sentences, small_convnet, small_encoder, write_pictures, write_table

import headstart as hs
from headstart.adapt.following import Following
from headstart.adapt.held import open_held
from headstart.adapt.keeper import Mixed, Tried, best_of
from headstart.adapt.probe import Features
from headstart.core.skill import DELTA, TAIL
from headstart.core.store import Store
from headstart.data.dataset import Options
from headstart.data.read import read
from headstart.errors import DataError, UsageError
from headstart.sources.find import find
from headstart.sources.load import load
from headstart.verbs.settings import Settings


def write_other(path, n=90, seed=5):
    """The same kind of sentences with other labels: whether there is a film in it."""
    with path.open("w", newline="", encoding="utf8") as file:
        writer = csv.writer(file)
        writer.writerow(("text", "label"))
        for text, _ in sentences(n, seed):
            writer.writerow((text, "film" if "film" in text.split() else "none"))
    return path


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A skill that tells good from bad, more data of that kind, and data of another task."""
    folder = tmp_path_factory.mktemp("keeper")
    source, cache = small_encoder(folder / "network"), folder / "cache"
    write_table(folder / "films.csv", 200)
    write_table(folder / "keep.csv", 400, seed=8)
    write_other(folder / "other.csv")
    old = Settings(source=source, depth=3, epochs=8, lr=1e-2, batch=16)
    hs.fit(folder / "films.csv", folder / "old.skill", settings=old, cache=cache)
    return folder


def learn(place, name, data="other.csv", **asked):
    settings = {"source": f"skill:{place / 'old.skill'}", "depth": 3, "epochs": 6, "lr": 1e-2, "batch": 16}
    settings = Settings(**{**settings, **asked})
    return hs.fit(place / data, place / f"{name}.skill", settings=settings, cache=place / "cache")


def said(skill):
    return json.loads((skill.folder / "metrics.json").read_text("utf8"))["kept"]


@pytest.fixture(scope="module")
def plain(place):
    return learn(place, "plain", keep=place / "keep.csv")


@pytest.mark.parametrize("guard", ["l2sp", "ewc", "lwf", "replay", "der", "mix"])
def test_a_strength_of_0_is_plain_tuning_bit_for_bit(place, plain, guard):
    skill = learn(place, f"{guard}-0", keep=place / "keep.csv", guard=guard, guard_strength=0.0)
    assert (skill.folder / DELTA).read_bytes() == (plain.folder / DELTA).read_bytes()


def test_the_whole_strength_of_mix_is_the_old_network(place):
    skill = learn(place, "mix-1", keep=place / "keep.csv", guard="mix", guard_strength=1.0)
    assert not [name for name in skill.arrays if name.startswith(TAIL)]
    kept = said(skill)
    assert kept["lost"]["value"] == 0
    assert kept["agreement"] == kept["probe_agreement"] == 1
    assert all(layer["new"] == pytest.approx(1) for layer in kept["layers"])


@pytest.mark.parametrize(("guard", "strengths"), [("lwf", (0, 1, 30)), ("l2sp", (0, 30, 3000)), ("ewc", (0, 10, 1000))])
def test_more_strength_keeps_more(place, guard, strengths):
    """Each guard by what it is about: the old answers, or the distance of the weights."""
    moved = []
    for strength in strengths:
        skill = learn(place, f"{guard}-{strength}", guard=guard, guard_strength=float(strength), epochs=3)
        moved.append(np.mean([1 - layer["new"] for layer in said(skill)["layers"]]))
    assert moved == sorted(moved, reverse=True)
    assert moved[2] < moved[0] / 2


@pytest.mark.parametrize("guard", ["replay", "der"])
def test_replay_keeps_the_old_task_where_plain_tuning_loses_it(place, plain, guard):
    skill = learn(place, guard, keep=place / "keep.csv", guard=guard, guard_strength=3.0)
    assert said(plain)["lost"]["value"] > 0.05
    assert said(skill)["lost"]["value"] < said(plain)["lost"]["value"] / 2


def test_before_is_what_evaluate_says_of_the_old_skill(place, plain):
    """The old head on the rows of the report, by the engine and without any of this code."""
    kept = said(plain)
    assert kept["old_head"] == "the skill old"
    assert kept["rows"] == 133
    scores = hs.evaluate(place / "old.skill", place / "keep.csv", cache=place / "cache")["scores"]["accuracy"]
    assert scores["low"] - 0.05 < kept["before"]["value"] < scores["high"] + 0.05
    assert kept["lost"]["value"] == pytest.approx(kept["before"]["value"] - kept["after"]["value"])


def test_a_limit_is_kept_and_the_guard_is_chosen_by_measurement(place, plain):
    write_other(place / "more.csv", 200)
    skill = learn(place, "limited", "more.csv", keep=place / "keep.csv", forget_at_most=0.05)
    kept = said(skill)
    assert kept["limit"] == 0.05
    assert kept["tried"][0]["name"] == ""
    assert len(kept["tried"]) > 1  # plain tuning loses more than that, so guards were tried
    assert sum(each["chosen"] for each in kept["tried"]) == 1
    assert kept["lost"]["value"] <= 0.05
    assert kept["rule"].startswith(("To lose at most 5 %", "Nothing deeper than a head"))


def guarded(name, *mixes):
    """A guard with shares of the way, each with how well it answers three rows; the last is within the limit."""
    mixed = tuple(Mixed(share, 0.0, np.array(fit), None) for share, fit in mixes)
    return Tried(name, 1.0, mixed, mixed[-1], 0.0)


def test_of_two_guards_the_one_that_goes_farther_is_taken_unless_it_learns_clearly_less():
    plain = guarded("", (0, [-9, -9, -9]), (0.5, [-1.0, -2.0, -1.5]))
    strong = [guarded("der", (1.0, fit)) for fit in ([-1.2, -1.9, -1.6], [-3.0, -4.0, -4.0])]
    assert best_of((plain, strong[0])) == 1  # .07 worse in the mean, of which the rows disagree by .09
    assert best_of((plain, strong[1])) == 0
    same = guarded("replay", (1.0, [-1.1, -1.8, -1.5]))
    assert best_of((plain, strong[0], same)) == 2
    none = Tried("ewc", 1.0, (), None, 0.0)
    assert best_of((none, plain)) == 1


def test_where_a_head_alone_is_clearly_better_it_is_taken(place):
    """A tail that forgets the old task and learns nothing: its rate is so high that it ends in noise."""
    asked = {"keep": place / "keep.csv", "forget_at_most": 0.9, "lr": 1.0, "epochs": 2}
    skill = learn(place, "noise", **asked)
    assert skill.manifest["depth"] == 1
    assert "a head alone is clearly better, and it loses nothing" in (skill.folder / "plan.toml").read_text("utf8")


def test_a_limit_that_nothing_keeps_leaves_a_new_head_alone(place):
    skill = learn(place, "strict", keep=place / "keep.csv", forget_at_most=1e-6)
    assert skill.manifest["depth"] == 1
    assert "Nothing deeper than a head keeps the loss" in (skill.folder / "plan.toml").read_text("utf8")


def test_without_old_data_the_old_answers_to_new_rows_stand_for_it(place):
    skill = learn(place, "answers", forget_at_most=0.5)
    kept = said(skill)
    assert kept["path"] == ""
    assert kept["rows"] == 0
    assert kept["lost"] is None
    assert kept["mixes"][0]["old"]["value"] == 1  # they agree with themselves


def test_old_data_alone_has_a_head_of_its_own(place):
    source = json.loads((place / "old.skill" / "skill.json").read_text())["source"]["name"]
    skill = learn(place, "bare", source=source, keep=place / "keep.csv", guard="lwf")
    assert said(skill)["old_head"] == "a head fitted on keep.csv"
    assert said(skill)["guard"] == "lwf"


def test_a_plan_holds_the_guard_and_following_it_gives_the_same_bytes(place):
    first = learn(place, "guarded", keep=place / "keep.csv", guard="lwf", guard_strength=2.0)
    asked = hs.settings_of(first.folder / "plan.toml", Settings(keep=place / "keep.csv"))
    assert (asked.guard, asked.guard_strength) == ("lwf", 2.0)
    again = hs.fit(place / "other.csv", place / "again.skill", settings=asked, cache=place / "cache")
    assert (again.folder / DELTA).read_bytes() == (first.folder / DELTA).read_bytes()


def test_a_guard_without_an_old_head_is_one_sentence(place):
    source = json.loads((place / "old.skill" / "skill.json").read_text())["source"]["name"]
    with pytest.raises(UsageError, match=r"guard lwf keeps the answers of an earlier head and .* has none; give data"):
        learn(place, "none", source=source, guard="lwf")
    with pytest.raises(UsageError, match="guard replay learns from rows of the old task; give them with --keep"):
        learn(place, "none", guard="replay")
    with pytest.raises(UsageError, match=r"--forget-at-most needs something that .* could do before"):
        learn(place, "none", source=source, forget_at_most=0.01)
    assert not (place / "none.skill").exists()


def test_old_data_with_other_labels_is_one_sentence(place):
    with pytest.raises(DataError, match=r"--keep: no row of .*other.csv.* the old head knows bad, good"):
        learn(place, "labels", keep=place / "other.csv")


def test_old_data_of_another_kind_is_one_sentence(place, tmp_path):
    write_pictures(tmp_path / "pictures", 40)
    with pytest.raises(DataError, match=r"--keep: .* has no pictures or texts in folders called bad, good"):
        learn(place, "kind", keep=tmp_path / "pictures")


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"guard": "wall"}, "guard 'wall' is unknown; use one of none, l2sp, ewc, lwf, replay, der, mix"),
        ({"guard_strength": 1.0}, "--strength 1 needs a guard; add for example --guard lwf"),
        ({"guard": "lwf", "guard_strength": -1.0}, "strength=-1 must be 0 or above"),
        ({"forget_at_most": 1.0}, "forget_at_most=1 must be a share between 0 and 1; write --forget-at-most 1%"),
        ({"keep": "nowhere.csv"}, "'nowhere.csv' does not exist; give labelled data of the old task after --keep"),
    ],
)
def test_what_cannot_be_asked_is_one_sentence(asked, told):
    with pytest.raises(UsageError, match=told):
        Settings(**asked)


@pytest.mark.parametrize("depth", [2, 3, 4])
def test_followed_features_are_those_of_the_engine(place, depth):
    """Held and learning taps, side by side in the order that is asked for, of texts of several chunks too."""
    source = json.loads((place / "old.skill" / "skill.json").read_text())["source"]["name"]
    cache, card = place / "cache", find(source, place / "cache")
    held = open_held(card, cache)
    data = read(place / "keep.csv", Options())
    long = data.take(range(8))
    long = type(long)(**{**vars(long), "inputs": tuple(" ".join([text] * 120) for text in long.texts)})
    for rows in (data.take(range(30)), long):
        features = Features(held, rows, held.table(Store(cache / "store")))
        taps = (held.taps[-1], held.taps[0], held.taps[1])
        eyes = Following(features, np.arange(len(rows)), taps, load(card, cache, outputs=2), depth, cache)
        want = np.concatenate([dict(zip(held.taps, held.read(rows), strict=True))[tap] for tap in taps], axis=1)
        got = eyes(load(card, cache, outputs=2))
        np.testing.assert_allclose(got, want, rtol=0.05, atol=0.02)  # the engine may multiply in bfloat16


def test_pictures_are_guarded_too(tmp_path):
    source, cache = small_convnet(tmp_path / "network"), tmp_path / "cache"
    write_pictures(tmp_path / "old", 60)
    write_pictures(tmp_path / "new", 60, seed=3, classes=("a", "b", "c"))
    asked = {"source": source, "depth": 1}
    hs.fit(tmp_path / "old", tmp_path / "old.skill", settings=Settings(**asked), cache=cache)
    asked = {"source": f"skill:{tmp_path / 'old.skill'}", "depth": 3, "epochs": 2}
    settings = Settings(**asked, keep=tmp_path / "old", guard="lwf")
    skill = hs.fit(tmp_path / "new", tmp_path / "new.skill", settings=settings, cache=cache)
    kept = said(skill)
    assert kept["old_head"] == "the skill old"
    assert kept["guard"] == "lwf"
    assert kept["before"]["value"] > 0.8
    assert len(kept["layers"]) == len(skill.manifest["taps"]) or kept["layers"][0]["new"] == pytest.approx(1)


def test_a_row_of_old_data_without_text_is_left_out(place, tmp_path):
    rows = (place / "keep.csv").read_text("utf8").splitlines()
    (tmp_path / "keep.csv").write_text("\n".join([*rows, ",good"]) + "\n", "utf8")
    assert said(learn(place, "empty", keep=tmp_path / "keep.csv", epochs=1))["rows"] == 133


def test_one_label_that_the_old_head_does_not_know_is_one_sentence(place, tmp_path):
    table = (place / "keep.csv").read_text("utf8") + "a story,middling\n"
    (tmp_path / "keep.csv").write_text(table, "utf8")
    with pytest.raises(
        DataError, match=r"--keep .*keep.csv: row 401: .*; the old head knows bad, good: give data with"
    ):
        learn(place, "label", keep=tmp_path / "keep.csv")
