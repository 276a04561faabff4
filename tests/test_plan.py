"""A fit that follows a plan: the same bytes on the same data, and what was given beside the plan wins."""

import json
import tomllib

import numpy as np
import pytest
from networks import sentences, small_encoder, write_table
from typed import typing_in

from headstart.data.dataset import Options
from headstart.errors import SourceError, UsageError
from headstart.verbs.fit import fit
from headstart.verbs.planfile import options_of, settings_of
from headstart.verbs.settings import Settings


class Heard:
    """What a fit told."""

    def __init__(self):
        self.lines = []

    def say(self, text):
        self.lines.append(text)

    def progress(self, stage, done, total):
        pass


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A cache, a table, and a fit whose data decided the layers."""
    root = tmp_path_factory.mktemp("plan")
    settings = Settings(source=small_encoder(root / "net"), depth=1, seed=3, balance=True)
    fit(write_table(root / "films.csv", 120), root / "first.skill", settings=settings, cache=root / "cache")
    return root


def plan_of(skill):
    return tomllib.loads((skill / "plan.toml").read_text("utf8"))


def edited(place, folder, **changes):
    """The plan of the first fit with other values; None takes a key out."""
    said = {k: v for k, v in {**plan_of(place / "first.skill"), **changes}.items() if v is not None}
    said.pop("because")
    path = folder / "plan.toml"
    path.write_text("".join(f"{name} = {json.dumps(value)}\n" for name, value in said.items()))
    return path


def follow(place, folder, path, *, data=None, over=None, teller=None):
    settings = settings_of(path, over)
    return fit(data or place / "films.csv", folder / "x.skill", settings=settings, cache=place / "cache", teller=teller)


def test_a_followed_plan_gives_the_same_bytes_and_the_same_score(place, tmp_path):
    first, heard = place / "first.skill", Heard()
    again = follow(place, tmp_path, first / "plan.toml", teller=heard)
    assert (again.folder / "delta.safetensors").read_bytes() == (first / "delta.safetensors").read_bytes()
    # layers that were chosen on these rows do not flatter the score: every fold chooses its own, as it did before
    scores = [json.loads((folder / "metrics.json").read_text("utf8"))["score"] for folder in (first, again.folder)]
    assert scores[0] == scores[1]
    assert not any("plan" in line for line in heard.lines)


def test_what_the_plan_decided_is_said_to_come_from_it(place, tmp_path):
    before = plan_of(place / "first.skill")
    assert {name: each["from"] for name, each in before["because"].items()} == {
        "source": "user",
        "metric": "default",
        "depth": "user",
        "taps": "data",
        "balance": "user",
        "seed": "user",
        "guard": "default",
        "strength": "data",
    }
    after = plan_of(follow(place, tmp_path, place / "first.skill" / "plan.toml", over=Settings(seed=4)).folder)
    assert {name: each["from"] for name, each in after["because"].items()} == {
        **dict.fromkeys(("source", "metric", "depth", "taps", "balance", "guard"), "plan"),
        "seed": "user",
        "strength": "data",
    }
    kept = ("data", "source", "source_digest", "task", "metric", "depth", "taps", "balance")
    assert [after[name] for name in kept] == [before[name] for name in kept]
    assert (before["seed"], after["seed"]) == (3, 4)


@pytest.mark.parametrize("taps", [["layer1"], ["embed", "layer2"]])
def test_the_head_reads_the_taps_of_the_plan(place, tmp_path, taps):
    skill = follow(place, tmp_path, edited(place, tmp_path, taps=taps))
    assert skill.manifest["taps"] == taps
    assert skill.arrays["head.weight"].shape == (32 * len(taps), 2)
    mean = skill.arrays["head.mean"]  # of features: those of a fit that was told the same without a plan
    other = Settings(source=plan_of(skill.folder)["source"], depth=1, seed=3, balance=True, taps=tuple(taps))
    by_hand = fit(place / "films.csv", tmp_path / "y.skill", settings=other, cache=place / "cache")
    assert np.array_equal(mean, by_hand.arrays["head.mean"])
    assert by_hand.manifest["taps"] == taps


def test_what_is_given_beside_the_plan_wins(place, tmp_path):
    path = edited(place, tmp_path, budget=30)
    plain = settings_of(path)
    assert (plain.depth, plain.seed, plain.balance, plain.budget, plain.threads) == (1, 3, True, 30, 0)
    assert plain.taps == tuple(plan_of(place / "first.skill")["taps"])
    over = settings_of(path, Settings(seed=0, balance=False, metric="macro_f1", threads=2, examples=False))
    assert (over.seed, over.balance, over.metric, over.threads, over.examples) == (0, False, "macro_f1", 2, False)
    assert over.taps == plain.taps
    assert settings_of(path, Settings(depth=1, source=plain.source)).taps == plain.taps
    # layers of one network, or of one depth, say nothing of another
    assert settings_of(path, Settings(depth=3)).taps is None
    assert settings_of(path, Settings(source="minilm-l6")).taps is None
    assert settings_of(path, Settings(source="minilm-l6")).followed.source_digest == ""


def test_a_key_that_was_taken_out_is_decided_as_without_a_plan(place, tmp_path):
    settings = settings_of(edited(place, tmp_path, depth=None, taps=None, task=None, seed=None))
    assert (settings.depth, settings.taps, settings.seed, settings.followed.options.task) == (None, None, None, None)


def test_the_task_of_the_plan_is_followed_where_no_other_is_given(place, tmp_path):
    settings = settings_of(edited(place, tmp_path, task="labels"))
    assert options_of(settings, Options(label="x")) == Options(label="x", task="labels")
    assert options_of(settings, Options(task="classes")) == Options(task="classes")
    assert options_of(Settings(), Options(label="x")) == Options(label="x")


def test_the_columns_that_were_named_are_in_the_plan_and_followed(place, tmp_path):
    header, *rows = (place / "films.csv").read_text("utf8").splitlines()
    assert header == "text,label"
    table = tmp_path / "films.csv"
    lines = [f"{k % 7},{k // 12},{row}" for k, row in enumerate(rows)]
    table.write_text("\n".join(["label,who,words,said", *lines]), "utf8")
    settings = Settings(source=plan_of(place / "first.skill")["source"], depth=1)
    options = Options(text="words", label="said", group="who")
    skill = fit(table, tmp_path / "a.skill", options=options, settings=settings, cache=place / "cache")
    plan = plan_of(skill.folder)
    assert (plan["text"], plan["label"], plan["group"]) == ("words", "said", "who")
    again = follow(place, tmp_path, skill.folder / "plan.toml", data=table)
    assert (again.folder / "delta.safetensors").read_bytes() == (skill.folder / "delta.safetensors").read_bytes()
    assert plan_of(again.folder)["group"] == "who"
    assert options_of(settings_of(skill.folder / "plan.toml"), Options(label="label")) == Options(
        task="classes", text="words", label="label", group="who"
    )


def test_other_data_is_said_in_one_line_and_the_plan_is_used(place, tmp_path):
    heard = Heard()
    table = write_table(tmp_path / "other.csv", 60, seed=5)
    skill = follow(place, tmp_path, place / "first.skill" / "plan.toml", data=table, teller=heard)
    (line,) = (line for line in heard.lines if "plan" in line)
    before, after = plan_of(place / "first.skill"), plan_of(skill.folder)
    assert before["data"][:16] in line
    assert after["data"][:16] in line
    assert after["taps"] == before["taps"]


def test_other_weights_are_refused(place, tmp_path):
    with pytest.raises(UsageError, match=r"of digest 0000000000000000… and file:.* has .*take source_digest out"):
        follow(place, tmp_path, edited(place, tmp_path, source_digest="0" * 64))
    assert not (tmp_path / "x.skill").exists()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"taps": ["layer2", "layer9"]}, r"^line 9 of .* names layer9, which file:.* use embed, layer1, layer2\."),
        (
            {"depth": 9, "update": None, "taps": None},
            r"^line 7 of .* says depth = 9 and file:.* has 4 blocks; ",
        ),
        (
            {"taps": ["layer1"], "depth": 2, "update": None},
            r"taps layer1 were given with depth 2, where the head reads layer2 alone",
        ),
    ],
)
def test_taps_that_cannot_be_read_are_refused(place, tmp_path, changes, said):
    with pytest.raises((UsageError, SourceError), match=said):
        follow(place, tmp_path, edited(place, tmp_path, **changes))
    assert not (tmp_path / "x.skill").exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("seed = 1\ndepth = x", r"is not TOML \(Invalid value \(at line 2, column 9\)\)"),
        (b"\xff\xfe\x00", r"is not TOML \(.*can't decode"),
        ("dept = 1", r"^line 1 of the plan '.*' has an unknown key 'dept'; use format, data, source, .*, because\."),
        (
            'seed = 1\n\ndepth = "1"',
            r"^line 3 of .* says depth = '1' where a whole number from 1 to 1000000 is needed; write",
        ),
        ("depth = true", r"says depth = True where a whole number"),
        (
            "depth = 0",
            r"says depth = 0 where a whole number from 1 to 1000000 is needed; write for example depth = 1\.",
        ),
        ("seed = 1.5", r"says seed = 1\.5 where a whole number"),
        ("seed = -1", r"says seed = -1 where a whole number from 0 to 4294967295"),
        ("seed = 4294967296", r"says seed = 4294967296 where a whole number from 0 to 4294967295"),
        ("balance = 1", r"says balance = 1 where true or false is needed"),
        ("budget = nan", r"says budget = nan where a number above 0"),
        ("lr = 0", r"says lr = 0 where a number above 0, at most 1 is needed; write for example lr = 1e-3"),
        ("lr = 1e300", r"says lr = 1e\+300 where a number above 0, at most 1 is needed; write for example lr = 1e-3"),
        ("score = nan", r"says score = nan where a number is needed"),
        ("epochs = 0", r"says epochs = 0 where a whole number from 1 to 1000000"),
        ('update = "some"', r"says update = 'some' where one of head, tail, whole, norms, lora, all is needed"),
        ('depth = 3\nupdate = "head"', r"^line 2 of .* says update = 'head' and depth is 3; a head alone is depth 1"),
        ('guard = "wall"', r"says guard = 'wall' where one of none, l2sp, ewc, .* is needed"),
        ("format = 2", r"has format 2 and this version reads 1; make it anew with `headstart plan`"),
        ('taps = "layer1"', r"where a list of different texts is needed; write for example taps = \[\"layer5\""),
        ("taps = []", r"says taps = \[\] where a list of different texts"),
        ('taps = ["a", "a"]', r"where a list of different texts"),
        ("taps = [1]", r"where a list of different texts"),
        ('source = ""', r"says source = '' where a text is needed"),
        ('metric = "rightness"', r"says metric = 'rightness' where one of accuracy"),
        ("because = 1", r"says because = 1 where a table is needed; take because out\."),
    ],
)
def test_a_plan_that_cannot_be_followed_is_one_sentence(tmp_path, text, said):
    path = tmp_path / "plan.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UsageError, match=said) as caught:
        settings_of(path)
    assert len(str(caught.value).splitlines()) == 1


def test_a_plan_that_is_not_there_is_one_sentence(tmp_path):
    with pytest.raises(UsageError, match=r"no.toml' cannot be opened \(No such file.*\); give the plan.toml inside"):
        settings_of(tmp_path / "no.toml")
    with pytest.raises(UsageError, match=r"cannot be opened \(Is a directory\)"):
        settings_of(tmp_path)


def test_every_key_that_a_fit_writes_can_be_followed(place):
    path = place / "first.skill" / "plan.toml"
    assert settings_of(path).followed.decided == {"source", "metric", "depth", "taps", "balance", "seed", "guard"}


def test_options_of_the_command_line_win_over_the_plan(place, tmp_path, capsys, monkeypatch):
    run = typing_in(place, tmp_path, capsys, monkeypatch)
    plan = place / "first.skill" / "plan.toml"
    code, _, err = run("fit", place / "films.csv", "--plan", plan, "-o", "same")
    assert code == 0, err
    same = (tmp_path / "same" / "delta.safetensors").read_bytes()
    assert same == (place / "first.skill" / "delta.safetensors").read_bytes()
    code, _, err = run("fit", place / "films.csv", "--plan", plan, "--no-balance", "--seed", "0", "-o", "other")
    assert code == 0, err
    said = plan_of(tmp_path / "other")
    assert (said["balance"], said["seed"], said["depth"]) == (False, 0, 1)
    assert [said["because"][name]["from"] for name in ("balance", "seed", "depth")] == ["user", "user", "plan"]
    assert len(sentences(120)) == json.loads((tmp_path / "other" / "metrics.json").read_text("utf8"))["data"]["rows"]
