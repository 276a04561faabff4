"""The reader of labelled data says where other data belongs."""

import pytest
from said import as_lines, both, messages, put

from headstart.data.dataset import WRITES, Options
from headstart.data.read import read
from headstart.errors import DataError, UsageError

WRITTEN = "; it can be written instead: `headstart fit` or `headstart plan` teach a language model from it."


def sentence_of(path, options=None):
    with pytest.raises((DataError, UsageError)) as raised:
        read(path, options)
    return str(raised.value)


def test_what_a_language_model_learns_is_said_to_be_for_one(tmp_path):
    talks = put(tmp_path, "talks.jsonl", as_lines([messages(both("Hi", "Hello you"))]))
    put(tmp_path, "texts/a.txt", "once")
    for path in (talks, put(tmp_path, "book.txt", "once"), tmp_path / "texts"):
        assert sentence_of(path).endswith(WRITTEN)
        assert not sentence_of(path).removesuffix(WRITTEN).endswith(".")
    assert sentence_of(talks).startswith("no column looks like texts or picture files; the columns are messages.")
    assert "can be written" not in sentence_of(talks, Options(label="x"))
    assert "can be written" not in sentence_of(put(tmp_path, "a.csv", "text,label\na b,x\n"))


@pytest.mark.parametrize("task", WRITES)
def test_tasks_of_a_language_model_are_refused(tmp_path, task):
    assert sentence_of(put(tmp_path, "a.csv", "text,label\na,x\nb,y\n"), Options(task=task)) == (
        f"--task {task} is for a language model, which `headstart fit` and `headstart plan` teach; drop it here."
    )


def test_a_path_that_is_not_there(tmp_path):
    assert sentence_of(tmp_path / "a") == (
        f"'{tmp_path / 'a'}' does not exist; give a folder of class folders, a table or an .npz file, or talks or a"
        " .txt file for a language model."
    )


def test_lines_of_which_none_is_an_object(tmp_path):
    contents = {
        "Hello\nyou\n": "line 1 of '{path}' is no JSON object, nor is any other; write one object on each line.",
        "\n \n1\n'a'": "line 3 of '{path}' is no JSON object, nor is any other; write one object on each line.",
        b"\x89PNG\r\n\x1a\n\0\0": "line 1 of '{path}' is binary and no JSON object, nor is any other; write one object"
        " on each line.",
        "": "'{path}' holds no rows; give a table with a header and at least one row per class.",
    }
    for content, sentence in contents.items():
        path = put(tmp_path, "a.jsonl", content)
        assert sentence_of(path) == sentence.format(path=path)
    assert "nor is any other" not in sentence_of(put(tmp_path, "a.jsonl", 'Hello\n{"text": "a", "label": "x"}\n'))
