"""Plain texts in a table: only where nothing else is in it, or the user said so."""

import json

import pytest
from said import as_lines, both, delimited, messages, parquet, put

from headstart.data.talks import Turn
from headstart.data.talks_read import read_talks
from headstart.errors import UsageError

TEXTS = ["Once upon a time,\nin a land", 'a "quoted" word', "Grüße \U0001f600"]
TABLES = {
    "a.jsonl": as_lines({"text": text} for text in TEXTS),
    "a.json": json.dumps([{"Text": text} for text in TEXTS]),
    "a.csv": delimited([("text",), *((text,) for text in TEXTS)]),
    "a.tsv": delimited([("TEXT",), *((text,) for text in TEXTS)], "\t"),
    "a.parquet": parquet({"text": TEXTS}),
}


def texts_of(talks):
    assert all(len(talk.turns) == 1 and talk.turns[0].role == "text" for talk in talks.talks)
    return [talk.turns[0].text for talk in talks.talks]


@pytest.mark.parametrize("task", [None, "text"])
@pytest.mark.parametrize("name", TABLES)
def test_a_column_of_texts_is_plain_text(tmp_path, name, task):
    talks = read_talks(put(tmp_path, name, TABLES[name]), task=task)
    assert texts_of(talks) == TEXTS
    assert (talks.kind, talks.references, talks.groups, talks.part, talks.problems) == ("text", None, None, None, ())
    assert talks.because["kind"].lower() == "the only column is 'text', and each text of it is read as one"
    assert talks.talks[1].name in ("line 2", "row 2")


def test_other_columns_beside_it_need_the_users_word(tmp_path):
    file = put(tmp_path, "a.jsonl", as_lines({"text": text, "label": "x"} for text in TEXTS))
    with pytest.raises(UsageError) as raised:
        read_talks(file)
    assert str(raised.value) == (
        f"'{file}' cannot be read as talks: no talks are known with the fields text, label (--task text reads 'text'"
        " and nothing else); give 'messages', 'conversations', 'text' alone or columns such as 'prompt' and 'answer',"
        " or name two columns with --prompt and --answer."
    )
    talks = read_talks(file, task="text")
    assert (texts_of(talks), talks.because["kind"]) == (
        TEXTS,
        "there is the column 'text', and each text of it is read as one",
    )
    one = put(tmp_path, "b.jsonl", as_lines([{"text": "a"}, {"text": "b"}, {"text": "c", "label": "x"}]))
    with pytest.raises(UsageError, match="no talks are known with the fields text"):
        read_talks(one)


def test_what_was_said_of_another_kind_is_refused(tmp_path):
    file = put(tmp_path, "a.jsonl", TABLES["a.jsonl"])
    sentences = {
        "system": f"--system needs talks or columns, and '{file}' holds plain text; drop it.",
        "prompt": "there is no column 'x' for --prompt; the columns are text. Name one of them.",
    }
    for option, sentence in sentences.items():
        with pytest.raises(UsageError) as raised:
            read_talks(file, **{option: "x"})
        assert str(raised.value) == sentence
    with pytest.raises(UsageError, match="no talks are known with the fields text"):
        read_talks(file, task="chat")


def test_parts_and_empty_texts(tmp_path):
    put(tmp_path, "train.jsonl", as_lines([{"text": "a"}, {"text": ""}, {"text": "b"}]))
    put(tmp_path, "test.jsonl", as_lines([{"text": "c"}, {"text": None}]))
    talks = read_talks(tmp_path)
    assert texts_of(talks) == ["c", "a", "b"]
    assert talks.part is not None
    assert talks.part.tolist() == ["test", "train", "train"]
    assert [(problem.name, problem.why) for problem in talks.problems] == [
        ("test.jsonl line 2", "column 'text' is empty"),
        ("train.jsonl line 2", "column 'text' is empty"),
    ]


def test_a_readme_beside_a_table_is_no_text_to_learn(tmp_path):
    put(tmp_path, "README.md", "These are texts.")
    put(tmp_path, "train.jsonl", TABLES["a.jsonl"])
    for task in (None, "text"):
        assert texts_of(read_talks(tmp_path, task=task)) == TEXTS
    put(tmp_path, "story.txt", "A story.")
    assert texts_of(read_talks(tmp_path)) == TEXTS
    assert texts_of(read_talks(tmp_path, task="text")) == ["These are texts.", "A story."]


def test_a_file_of_talks_has_no_texts_beside_one_of_texts(tmp_path):
    put(tmp_path, "a.jsonl", as_lines([messages(both("q", "a"))]))
    put(tmp_path, "b.jsonl", TABLES["a.jsonl"])
    talks = read_talks(tmp_path, task="text")
    assert texts_of(talks) == TEXTS
    assert [(problem.name, problem.why) for problem in talks.problems] == [
        ("a.jsonl", "there is no column 'text', and the fields are messages")
    ]
    assert talks.talks[0].turns == (Turn("text", TEXTS[0]),)
