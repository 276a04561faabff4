"""--group: a column, or a field beside the turns, says which talks stay together."""

import json

import pytest
from said import as_lines, both, delimited, dialogue, messages, parquet, put

from headstart.data.talks_read import read_talks
from headstart.data.talks_split import parted
from headstart.errors import DataError, UsageError

NAMES = ["ann", "bob", "ann", "", "cid", "cid"]
ROWS = [(f"question {place}", f"answer {place}", name) for place, name in enumerate(NAMES)]
TALKS = [messages(both(asked, answered)) | {"who": name} for asked, answered, name in ROWS]
FILES = {
    "a.csv": delimited([("prompt", "answer", "who"), *ROWS]),
    "a.jsonl": as_lines({"prompt": asked, "answer": answered, "who": name} for asked, answered, name in ROWS),
    "a.parquet": parquet(dict(zip(("prompt", "answer", "who"), map(list, zip(*ROWS, strict=True)), strict=True))),
    "chat.jsonl": as_lines(TALKS),
    "few.jsonl": as_lines({name: cell for name, cell in talk.items() if cell} for talk in TALKS),
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("said", ["who", "WHO"])
def test_its_values_are_the_groups(tmp_path, name, said):
    talks = read_talks(put(tmp_path, name, FILES[name]), group=said)
    assert talks.groups is not None
    assert talks.groups.tolist() == NAMES
    assert "'who'" not in talks.because["kind"]  # it is read
    assert talks.because["group"] == f"talks of the same '{said}' stay together, as --group says"
    for seed in range(8):
        parts = parted(talks, seed=seed)
        train, test = parts.train.groups, parts.test.groups
        assert train is not None
        assert test is not None
        assert not set(train) & set(test) - {""}


def test_a_column_of_groups_is_no_question(tmp_path):
    rows = delimited([("prompt", "answer", "user"), *ROWS])
    with pytest.raises(UsageError, match="could each be meant"):
        read_talks(put(tmp_path, "a.csv", rows))
    groups = read_talks(put(tmp_path, "a.csv", rows), group="user").groups
    assert groups is not None
    assert groups.tolist() == NAMES


def test_texts_and_other_values(tmp_path):
    cells = [1, None, "x", ["a", "b"], {"a": 1}]
    file = put(tmp_path, "a.jsonl", as_lines({"text": f"text {k}", "by": cell} for k, cell in enumerate(cells)))
    groups = read_talks(file, task="text", group="by").groups
    assert groups is not None
    assert groups.tolist() == ["1", "", "x", "a b", "{'a': 1}"]


def test_it_goes_before_what_a_form_calls_a_group(tmp_path):
    file = put(tmp_path, "a.json", json.dumps([dialogue(k, both("q", f"a {k}")) for k in range(3)]))
    groups = read_talks(file, group="dialogue_id").groups
    assert groups is not None
    assert groups.tolist() == ["9_00000", "9_00001", "9_00002"]


def test_where_there_is_none_the_sentence_says_what_there_is(tmp_path):
    chat = put(tmp_path, "chat.jsonl", as_lines([messages(both("a", "b"))]))
    sentences = {
        put(tmp_path, "a.csv", FILES["a.csv"]): (
            "there is no column 'x' for --group; the columns are prompt, answer, who. Name one of them."
        ),
        chat: f"--group needs a column, and '{chat}' has none beside 'messages'; drop it.",
        (text := put(tmp_path, "a.txt", "once")): (
            f"--group needs a column, and '{text}' holds plain text, which has none; drop it."
        ),
    }
    for file, sentence in sentences.items():
        with pytest.raises((DataError, UsageError)) as raised:
            read_talks(file, group="x")
        assert str(raised.value) == sentence
    for option in ("prompt", "answer"):
        with pytest.raises(UsageError, match=f"^--{option} and --group both name 'x'; name two columns\\.$"):
            read_talks(chat, group="x", **{option: "x"})
