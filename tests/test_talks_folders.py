"""Talks: parts and plain texts in folders, and rows that stay in step."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from said import as_lines, both, dialogue, messages, put

from headstart.data.talks import Talk, Talks, Turn
from headstart.data.talks_read import read_talks
from headstart.errors import DataError, UsageError


def test_names_of_files_give_parts(tmp_path):
    for name in ("train_dialogues_002.json", "train_dialogues_001.json", "dev.json", "hotels-test.json"):
        put(tmp_path, name, json.dumps([dialogue(0, both(name, "yes"))]))
    put(tmp_path, "schema.json", json.dumps([{"service_name": "Hotels_2", "slots": []}]))
    put(tmp_path, "LICENSE.txt", "free")
    talks = read_talks(tmp_path)
    assert talks.part is not None
    asked = {talk.turns[0].text: part for talk, part in zip(talks.talks, talks.part, strict=True)}
    assert asked == {
        "dev.json": "val",
        "hotels-test.json": "test",
        "train_dialogues_001.json": "train",
        "train_dialogues_002.json": "train",
    }
    assert talks.talks[0].name == "dev.json 9_00000"
    assert talks.because["files"] == "'LICENSE.txt' beside them was not read"
    assert [(problem.name, problem.why) for problem in talks.problems] == [
        ("schema.json", "no talks are known with the fields service_name, slots")
    ]


@pytest.mark.parametrize(
    "words", [("train", "valid", "test"), ("Training", "validation", "testing"), ("train", "dev", "test")]
)
def test_names_of_folders_give_parts(tmp_path, words):
    for word in words:
        put(tmp_path, f"{word}/b.jsonl", as_lines([messages(both(f"{word}?", "yes"))]))
        put(tmp_path, f"{word}/a/0.jsonl", as_lines([messages(both(f"{word}!", "no"))]))
    talks = read_talks(tmp_path)
    assert talks.part is not None
    found = {talk.turns[0].text[:-1]: part for talk, part in zip(talks.talks, talks.part, strict=True)}
    assert (len(talks), [found[word] for word in words]) == (6, ["train", "val", "test"])


def test_files_without_parts_are_joined(tmp_path):
    for name in ("dialogues_001.json", "a_test_drive.json"):  # a word in the middle is no part
        put(tmp_path, name, json.dumps([dialogue(0, both(name, "yes"))]))
    talks = read_talks(tmp_path)
    assert (len(talks), talks.part) == (2, None)


def test_plain_texts(tmp_path):
    put(tmp_path, "b.md", "# Title\n\n  text  \n")
    put(tmp_path, "notes/a.txt", "Grüße".encode("cp1252"))
    put(tmp_path, "how_to_test.txt", "a test")  # a text about tests is no part
    put(tmp_path, "blank.txt", " \n")
    talks = read_talks(tmp_path)
    assert [(talk.name, talk.turns) for talk in talks.talks] == [
        ("b.md", (Turn("text", "# Title\n\n  text"),)),
        ("how_to_test.txt", (Turn("text", "a test"),)),
        ("notes/a.txt", (Turn("text", "Grüße"),)),
    ]
    assert (talks.kind, talks.part, talks.references) == ("text", None, None)
    assert talks.because["encoding"] == "'notes/a.txt' is not plain UTF-8 and was read as cp1252"
    assert [(problem.name, problem.why) for problem in talks.problems] == [("blank.txt", "the text is empty")]
    assert [talk.name for talk in read_talks(tmp_path / "b.md").talks] == ["b.md"]


def test_plain_texts_in_parts_and_beside_talks(tmp_path):
    for part in ("train", "valid", "test"):
        put(tmp_path, f"wiki.{part}.txt" if part == "test" else f"{part}.txt", part)
    with_test = read_talks(tmp_path)
    assert with_test.part is None  # wiki.test.txt begins with another word
    (tmp_path / "wiki.test.txt").rename(tmp_path / "wiki-test.txt")
    named = read_talks(tmp_path).part
    assert named is not None
    assert named.tolist() == ["train", "val", "test"]
    put(tmp_path, "a.jsonl", as_lines([messages(both("q", "a"))]))
    assert read_talks(tmp_path).kind == "chat"
    assert read_talks(tmp_path, task="text").kind == "text"


PAPER = {"source": ["We do A.", "It is good."], "target": ["A works.", "Good."]}


def test_take_keeps_every_column_in_step(tmp_path):
    for name in ("train.jsonl", "test.jsonl"):
        put(tmp_path, name, as_lines([PAPER, PAPER | {"target": ["Good."]}]))
    talks = replace(read_talks(tmp_path), groups=np.array(["a", "b", "c", "d"]))
    for rows in ([2, 0], np.array([True, False, True, False]), []):
        chosen = np.arange(4)[rows] if len(rows) else []
        taken = talks.take(rows)
        assert taken.talks == tuple(talks.talks[row] for row in chosen)
        columns = ((talks.references, taken.references), (talks.part, taken.part), (talks.groups, taken.groups))
        for column, kept in columns:
            assert column is not None
            assert kept is not None
            assert list(kept) == [column[row] for row in chosen]
        assert taken.keys == tuple(talks.keys[row] for row in chosen) == replace(taken).keys


def test_keys_follow_roles_and_texts_and_nothing_else():
    talk = Talk((Turn("user", "a"), Turn("assistant", "b")), "row 1")
    same = replace(talk, name="row 2")
    others = [
        Talk((Turn("system", "a"), Turn("assistant", "b")), "row 1"),
        Talk((Turn("user", "ab"), Turn("assistant", "")), "row 1"),
        Talk((Turn("user", "a"),), "row 1"),
    ]
    assert talk.key == same.key
    assert len({talk.key, *(other.key for other in others)}) == 4


def test_talks_refuse_what_cannot_be():
    talk = Talk((Turn("text", "a"),), "a.txt")
    with pytest.raises(DataError, match=r"^1 talks and 2 groups were given; give one for each\.$"):
        Talks(Path("a.txt"), "text", (talk,), None, np.array(["a", "b"]), None, {}, ())
    with pytest.raises(DataError, match=r"^the kind 'talk' is unknown; use one of chat, summaries, text\.$"):
        Talks(Path("a.txt"), "talk", (talk,), None, None, None, {}, ())
    with pytest.raises(DataError, match=r"^a turn has the role 'bot'; use one of system, user, assistant, text\.$"):
        Turn("bot", "a")
    with pytest.raises(UsageError, match=r"^--system is blank; write what every talk is to begin with, or drop it\.$"):
        read_talks(".", system=" ")
