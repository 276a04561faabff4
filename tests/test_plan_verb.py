"""`plan`: choices with what they take and give, the one that is taken, and the fit that follows it."""

import json
import re
import tomllib
from types import SimpleNamespace

import pytest
from networks import small_convnet, small_encoder, write_pictures, write_table
from typed import typing_in

from headstart.adapt.foretell import Range
from headstart.adapt.held import open_held
from headstart.core.store import Store
from headstart.data.read import read
from headstart.data.split import split
from headstart.errors import StoreError, UsageError
from headstart.sources.find import find
from headstart.verbs import plan as planning
from headstart.verbs.choices import Choice
from headstart.verbs.fit import fit
from headstart.verbs.plan import Limits, plan
from headstart.verbs.planfile import settings_of
from headstart.verbs.settings import Settings


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A cache, a network, a table and its plan."""
    root = tmp_path_factory.mktemp("planned")
    source = small_encoder(root / "net")
    table = write_table(root / "films.csv", 120)
    return root, source, table, plan(table, root / "plan.toml", sources=[source], cache=root / "cache")


def choice(score, seconds, memory=100.0, name="a", depth=1):
    def range_of(value):
        return Range(value, 0.8 * value, 1.2 * value)

    return Choice(
        SimpleNamespace(name=name),
        depth,
        4,
        ("x",),
        {},
        range_of(score),
        range_of(seconds),
        range_of(memory),
        "why",
        "",
        "",
    )


def test_the_quickest_of_those_that_promise_as_much_is_taken():
    best, near, poor = choice(0.9, 50), choice(0.896, 10), choice(0.8, 1)
    assert planning._chosen([best, near, poor], ["", "", ""], "accuracy") is near
    assert planning._chosen([best, near, poor], ["", "much", ""], "accuracy") is best
    assert planning._chosen([best, near, poor], ["much", "much", ""], "accuracy") is poor
    low, high = choice(0.5, 50), choice(0.9, 1)
    assert planning._chosen([low, high], ["", ""], "rmse") is low


def test_limits_say_what_is_too_much():
    limits = Limits(seconds=20, memory=1e9)
    assert limits.over(choice(0.9, 10, 500)) == ""
    assert limits.over(choice(0.9, 50, 2000)) == "50 s of 20, 2.0 GB of 1.0 GB"
    with pytest.raises(UsageError, match="a limit of 0 for seconds must be above 0"):
        Limits(seconds=0)
    with pytest.raises(UsageError, match=r"no choice keeps these limits: the quickest, a, depth 1, takes 10 s of 5; "):
        planning._chosen([choice(0.9, 10)], [Limits(seconds=5).over(choice(0.9, 10))], "accuracy")


def test_what_has_no_room_is_refused_with_what_would_do(monkeypatch):
    big, small = choice(0.9, 10, 4000, "big"), choice(0.8, 5, 500, "small")
    monkeypatch.setattr(planning, "free_memory", lambda: int(1e9))
    planning._fits_memory(small, [big, small])
    with pytest.raises(UsageError, match=r"big, depth 1 needs about 4.0 GB .* 1.0 GB are free; small, depth 1"):
        planning._fits_memory(big, [big, small])
    monkeypatch.setattr(planning, "free_memory", lambda: int(1e8))
    with pytest.raises(UsageError, match="give fewer rows"):
        planning._fits_memory(big, [big, small])


def test_the_plan_is_followed_and_held_against_what_happens(place, tmp_path):
    root, source, _, found = place
    said = tomllib.loads(found.toml)
    assert (root / "plan.toml").read_text("utf8") == found.toml
    assert said["source"] == source
    settings = settings_of(root / "plan.toml")
    assert (settings.depth, settings.taps) == (found.chosen.depth, found.chosen.taps)
    one, two = (fit(place[2], tmp_path / name, settings=settings, cache=root / "cache") for name in ("a", "b"))
    assert (one.folder / "delta.safetensors").read_bytes() == (two.folder / "delta.safetensors").read_bytes()
    assert one.manifest["depth"] == found.chosen.depth
    record = json.loads((one.folder / "metrics.json").read_text("utf8"))
    told = {each["name"]: each for each in record["foretold"]}
    assert set(told) - {"joules"} == {"score", "seconds", "memory_mb"}
    for name, came in {"score": record["score"]["value"], **{k: record[k] for k in ("seconds", "memory_mb")}}.items():
        assert told[name]["happened"] == came
        assert told[name]["value"] == said[name]
        assert (told[name]["low"], told[name]["high"]) == (said["because"][name]["low"], said["because"][name]["high"])
    assert "What the plan foretold" in (one.folder / "report.html").read_text("utf8")
    # what was made for other data, or overruled, is not held against this fit
    other = fit(
        write_table(tmp_path / "other.csv", 60, seed=3), tmp_path / "c", settings=settings, cache=root / "cache"
    )
    assert json.loads((other.folder / "metrics.json").read_text("utf8"))["foretold"] == []


def test_every_choice_is_told_and_a_tail_is_rehearsed_once(place, tmp_path):
    root, source, table, found = place
    assert {each.depth for each in found.choices} == {1, 3}
    tail = next(each for each in found.choices if each.depth == 3)
    assert set(tail.rates) == {"epochs", "lr", "batch"}
    assert tail.seconds.origin.startswith("a rehearsal on 120 rows: ")
    again = plan(table, sources=[source], cache=root / "cache")
    assert next(each for each in again.choices if each.depth == 3).seconds.origin.startswith("as earlier runs of ")
    assert again.file is None


def test_a_tail_of_a_plan_trains_as_the_plan_says(place, tmp_path):
    root, _, table, found = place
    tail = next(each for each in found.choices if each.depth == 3)
    path = tmp_path / "plan.toml"
    lines = [f'source = "{tail.card.name}"', "depth = 3", 'update = "tail"', "epochs = 2", "lr = 2e-4", "batch = 16"]
    path.write_text("\n".join(lines))
    skill = fit(table, tmp_path / "x.skill", settings=settings_of(path), cache=root / "cache")
    said = tomllib.loads((skill.folder / "plan.toml").read_text("utf8"))
    assert (said["depth"], said["epochs"], said["lr"], said["batch"]) == (3, 2, 2e-4, 16)


def test_networks_side_by_side_are_a_choice(place, tmp_path):
    root, source, table, _ = place
    other = small_encoder(tmp_path / "other")
    names = {each.card.name for each in plan(table, sources=[source, other], cache=root / "cache").choices}
    assert names >= {source, other}
    assert any(each in names for each in (f"{source}+{other}", f"{other}+{source}"))


def test_no_row_of_the_test_part_is_read(place, tmp_path):
    root, source, _, _ = place
    table = write_table(tmp_path / "many.csv", 600, seed=31)
    plan(table, sources=[source], cache=root / "cache")
    data = read(table)
    parts = split(data)
    held = open_held(find(source, root / "cache"), root / "cache")
    stored = held.table(Store(root / "cache" / "store"))
    unseen = {data.keys[row] for row in parts.test} - {data.keys[row] for row in parts.train}
    assert len(stored.missing(sorted(unseen))) == len(unseen)


def test_pictures_are_planned_too(tmp_path):
    pictures = write_pictures(tmp_path / "pictures", 40)
    found = plan(pictures, sources=[small_convnet(tmp_path / "convnet")], cache=tmp_path / "cache")
    assert found.chosen.score.value > 0.9


def test_the_command_writes_the_plan_and_says_how_to_follow_it(place, tmp_path, capsys, monkeypatch):
    root, source, table, _ = place
    monkeypatch.chdir(tmp_path)
    run = typing_in(root, tmp_path, capsys, monkeypatch)
    code, out, err = run("plan", table, "-o", "p.toml", "--sources", source)
    assert code == 0, err
    assert "headstart fit" in out
    assert settings_of(tmp_path / "p.toml").source == source
    code, out, _ = run("plan", table, "--sources", source, "--json")
    assert code == 0
    assert json.loads(out)["choices"][0]["source"] == source


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--budget", "soon"), "--budget 'soon' is not a time"),
        (("--memory", "much"), "--memory 'much' is not a size"),
        (("--energy", "0J"), "--energy '0J' is not an energy above 0"),
        (("--rows", "5"), "rows=5 are too few to plan by"),
        (("--budget", "0.001s"), "no choice keeps these limits: the quickest,"),
        (("--device", "banana"), "device='banana' is not one of auto"),
        (("--metric", "rightness"), "metric 'rightness' does not suit classes"),
    ],
)
def test_what_cannot_be_planned_is_one_sentence(place, tmp_path, capsys, monkeypatch, options, said):
    root, source, table, _ = place
    run = typing_in(root, tmp_path, capsys, monkeypatch)
    code, _, err = run("plan", table, "--sources", source, *options)
    assert code == 2
    last = err.strip().splitlines()[-1]
    assert last.startswith("headstart: ")
    assert said in last


@pytest.mark.parametrize(
    ("name", "said"), [("films.csv/p.toml", "cannot be written (Not a directory)"), (".", "a folder")]
)
def test_a_place_that_cannot_be_written_is_said_before_any_work(place, tmp_path, monkeypatch, name, said):
    root, source, table, _ = place
    monkeypatch.setattr(planning, "prepared", lambda *_, **__: pytest.fail("work was done for nothing"))
    with pytest.raises(StoreError, match=re.escape(said)):
        plan(table, root / name, sources=[source], cache=root / "cache")


def test_features_that_have_no_room_are_refused_before_the_fit(place, tmp_path, monkeypatch):
    root, source, table, _ = place
    monkeypatch.setattr("headstart.verbs.fit.free_memory", lambda: 10_000)
    settings = Settings(source=source, depth=1)
    # 3 taps of 32, 12 bytes each: 1,152 bytes a row
    said = r"120 rows need about 138.2 kB of memory for their features and 10.0 kB are free; 8 rows would fit"
    with pytest.raises(UsageError, match=said):
        fit(table, tmp_path / "x.skill", settings=settings, cache=root / "cache")
    assert not (tmp_path / "x.skill").exists()
