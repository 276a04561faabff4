"""`headstart skills`: listed, packed, unpacked, merged and removed, for a person and for a program."""

import json
import os
import shutil
from pathlib import Path

import pytest
from typed import small_world, typing_in

import headstart as hs
from headstart.core import skill as skills
from headstart.verbs import skills as verbs


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A cache, a table, a folder of pictures, and a skill."""
    return small_world(tmp_path_factory.mktemp("skills"))


@pytest.fixture
def run(place, capsys, monkeypatch, tmp_path):
    """Type a command in an empty folder: (exit code, standard output, standard error)."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    (tmp_path / "here").mkdir()
    return typing_in(place, tmp_path / "here", capsys, monkeypatch)


@pytest.fixture
def two(place):
    """Two skills here: one as it is and one of another task."""

    def make():
        first = skills.read(place / "reviews.skill")
        shutil.copytree(first.folder, "tone.skill")
        manifest = {**first.manifest, "name": "topic", "classes": ["love", "war"]}
        skills.write(Path("topic.skill"), manifest, first.arrays, {"metrics.json": json.dumps({"score": SCORE})})

    return make


SCORE = {"metric": "accuracy", "value": 0.9, "low": 0.8, "high": 0.95, "n": 50, "where": "held-out test part"}


def test_skills_are_listed_by_network_with_what_is_known_of_them(run, place, two):
    two()
    code, out, err = run("skills", "--json")
    assert (code, err) == (0, "")
    found = json.loads(out)["skills"]
    assert [each["name"] for each in found] == ["reviews", "topic"]  # the copy keeps its name
    assert [each["folder"] for each in found] == ["tone.skill", "topic.skill"]
    assert [each["score"] for each in found] == [None, SCORE]
    assert {each["source"]["name"] for each in found} == {f"file:{place / 'net'}"}
    by_hand = sum(os.path.getsize(os.path.join("topic.skill", name)) for name in os.listdir("topic.skill"))
    assert found[1]["bytes"] == by_hand
    code, out, err = run("skills")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].startswith(f"file:{place / 'net'} (text, ")
    assert "2 classes: love, war" in lines[3]
    assert "accuracy 0.900 [0.800, 0.950]" in lines[3]
    assert "not measured" in lines[2]
    assert run("skills", "list", ".")[1] == out
    assert run("skills", "list", "topic.skill")[1].splitlines()[2].split()[0] == "topic"


def test_the_users_own_folder_is_listed_and_no_skill_twice(run, place, two, tmp_path):
    two()
    assert run("skills", "list", tmp_path / "here", ".", "tone.skill")[1].count("reviews") == 1
    own = tmp_path / "data" / "headstart" / "skills"
    shutil.copytree("tone.skill", own / "mine.skill")
    assert len(json.loads(run("skills", "--json")[1])["skills"]) == 3


def test_what_cannot_be_used_is_listed_with_the_reason(run, two):
    two()
    said = json.loads(Path("topic.skill/skill.json").read_text())
    broken = {"format": {**said, "format": 2}, "source": {**said, "source": {"name": "x"}}, "none": {}}
    for name, manifest in broken.items():
        os.makedirs(f"{name}.skill")
        Path(f"{name}.skill/skill.json").write_text(json.dumps(manifest))
    os.remove("tone.skill/delta.safetensors")
    code, out, _ = run("skills")
    assert code == 0
    for reason in ("was made by a newer", "this card cannot be read", "cannot be read as a manifest", "lacks delta"):
        assert reason in " ".join(out.split())
    assert max(len(line) for line in out.splitlines() if "/" not in line) <= 100


def test_nothing_there_is_said(run):
    assert run("skills") == (0, "no skill is here; `headstart fit DATA` makes one\n", "")
    assert json.loads(run("skills", "--json")[1]) == {"skills": []}


def test_a_name_that_a_terminal_would_obey_is_printed_plain(run, two):
    two()
    said = json.loads(Path("topic.skill/skill.json").read_text())
    Path("topic.skill/skill.json").write_text(json.dumps({**said, "name": "\x1b[31mred\n\u202e"}))
    out = run("skills")[1]
    assert "[31mred" in out
    assert not {"\x1b", "\u202e"} & set(out)


def test_a_skill_goes_through_a_file_and_answers_as_before(run, place, two):
    two()
    code, out, err = run("skills", "pack", "topic.skill")
    assert (code, out.split()[0], err) == (0, "topic.zip", "")
    code, out, _ = run("skills", "unpack", "topic.zip", "-o", "again.skill", "--json")
    assert json.loads(out)["skill"] == os.path.abspath("again.skill")
    asked = [run("predict", skill, place / "reviews.csv") for skill in ("topic.skill", "again.skill", "topic.zip")]
    assert asked[0][0] == 0
    assert asked[0] == asked[1] == asked[2]
    assert run("skills", "--json", "pack", "tone", "-o", "x/tone.zip")[0] == 0
    assert os.listdir("x") == ["tone.zip"]


def test_merged_heads_answer_by_name_and_are_evaluated_by_name(run, place, two):
    two()
    code, out, _ = run("skills", "merge", "tone.skill", "topic.skill", "-o", "both.skill", "--stack", "--json")
    said = json.loads(out)
    assert (code, said["how"]) == (0, "stack")
    assert [part["name"] for part in said["parts"]] == ["reviews", "topic"]
    table = place / "reviews.csv"
    topic = run("predict", "topic.skill", table, "--all")
    assert run("predict", "both.skill", table, "--head", "topic", "--all") == topic
    assert run("predict", "both.skill", table) == run("predict", "tone.skill", table)
    assert run("evaluate", "both.skill", table, "--head", "reviews") == run("evaluate", "tone.skill", table)
    code, out, _ = run("skills", "merge", "tone.skill", "tone.skill", "-o", "mean.skill", "--average", "--data", table)
    assert code == 0
    assert "reviews-2" in out
    assert "merged" in out
    assert run("predict", "mean.skill", table) == run("predict", "tone.skill", table)


def test_removing_needs_a_yes_and_leaves_what_is_none_of_the_skill(run, two):
    two()
    Path("tone.skill/notes.txt").write_text("mine")
    before = sorted(os.listdir("tone.skill"))
    code, out, err = run("skills", "remove", "tone.skill")
    assert (code, out) == (2, "")
    assert err == "headstart: tone.skill would be gone for good; write --yes if it is to be removed.\n"
    assert sorted(os.listdir("tone.skill")) == before
    code, out, _ = run("skills", "remove", "tone.skill", "--yes", "--json")
    assert code == 0
    assert json.loads(out)["left"] == ["tone.skill/notes.txt"]
    assert os.listdir("tone.skill") == ["notes.txt"]
    assert run("skills", "remove", "topic", "--yes")[0] == 0
    assert os.listdir() == ["tone.skill"]


def test_a_removal_that_was_interrupted_goes_on(run, two, monkeypatch):
    two()
    skills.write(Path("topic.skill/versions/1"), {}, {}, {"README.md": "once"})
    real, gone = os.unlink, []

    def refuse(path, *rest, **more):
        if len(gone) == 3:
            raise PermissionError(13, "Permission denied")
        gone.append(path)
        real(path, *rest, **more)

    monkeypatch.setattr(os, "unlink", refuse)
    code, _, err = run("skills", "remove", "topic.skill", "--yes")
    assert code == 1
    assert "cannot be removed (Permission denied)" in err
    monkeypatch.setattr(os, "unlink", real)
    assert verbs.remove("topic.skill").left == ()
    assert not os.path.exists("topic.skill")


MISTAKES = {
    "no such folder": (["skills", "list", "nowhere"], 1, "nowhere is no folder; give folders that hold skills"),
    "removing data": (["skills", "remove", "{data}", "--yes"], 1, "is not a skill: it has no skill.json"),
    "packing data": (["skills", "pack", "{data}", "-o", "x.zip"], 1, "is not a skill: it has no skill.json"),
    "packing into a folder": (["skills", "pack", "{skill}", "-o", "x"], 1, "is not a file that ends in .zip"),
    "unpacking nothing": (["skills", "unpack", "none.zip"], 1, "none.zip is not there"),
    "unpacking a table": (["skills", "unpack", "{table}", "-o", "x"], 1, "is damaged, or no .zip, .tar or .tar.gz"),
    "unpacking over a skill": (["skills", "unpack", "{table}", "-o", "{skill}"], 1, "exists; choose another place"),
    "merging in no way": (["skills", "merge", "{skill}", "{skill}", "-o", "x"], 2, "say how to merge: --stack keeps"),
    "merging one": (["skills", "merge", "{skill}", "-o", "x", "--stack"], 2, "1 skill was given; merge two or more"),
    "data of no head": (
        ["skills", "merge", "{skill}", "{skill}", "-o", "x", "--stack", "--data", "{table}"],
        2,
        "names no head; write --data NAME=PATH",
    ),
    "data twice": (
        ["skills", "merge", "{skill}", "{skill}", "-o", "x", "--average", "--data", "a", "--data", "b"],
        2,
        "2 sets of data were given; an average is measured on one",
    ),
    "no such head": (["predict", "{skill}", "{table}", "--head", "x"], 2, "has no head 'x'; use one of reviews"),
    "a table as a skill": (["predict", "{table}", "a text"], 1, "is damaged, or no .zip, .tar or .tar.gz file"),
}


@pytest.mark.parametrize(("arguments", "code", "said"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_one_sentence_and_nothing_is_written(run, place, arguments, code, said):
    names = {"data": place / "pictures", "skill": place / "reviews.skill", "table": place / "reviews.csv"}
    found, out, err = run(*(argument.format(**names) for argument in arguments))
    assert (found, out) == (code, "")
    assert err.startswith("headstart: ")
    assert said in err
    assert len(err.splitlines()) == 1
    assert os.listdir() == []


@pytest.mark.parametrize("command", ["list", "remove", "pack", "unpack", "merge"])
def test_every_command_has_help_that_fits_a_terminal(run, command):
    code, out, _ = run("skills", command, "--help")
    assert code == 0
    assert "--json" in out
    assert max(map(len, out.splitlines())) <= 100


def test_the_same_in_python(place, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert hs.skills is verbs.skills
    file = hs.pack(place / "reviews.skill", "a.zip")
    skill = hs.unpack(file)
    assert [each.name for each in hs.skills(["."], cache=place / "cache")] == ["reviews"]
    merged = hs.merge([skill, file], "both.skill", cache=place / "cache").skill
    assert hs.Shelf(cache=place / "cache").open(merged.folder, "reviews-2").classes == ("bad", "good")
