"""Files and folders of talks that cannot be read: each is refused with its own sentence."""

import json

import pytest
from said import as_lines, both, messages, put, turns_of

from headstart.data.talks_read import read_talks
from headstart.errors import DataError, UsageError

LINE = json.dumps(messages(both("Hi", "Hello")))
NONE_KNOWN = (
    "; give 'messages', 'conversations', 'text' alone or columns such as 'prompt' and 'answer', or name two columns"
    " with --prompt and --answer."
)
FILES = {  # a file, its content, and the sentence
    "a.jsonl": (
        f"{LINE}\n\n{LINE[:-1]}\n",
        "line 3 of '{path}' is no JSON (Expecting ',' delimiter at sign 92); write one object on each line, and correct"
        " or delete this one.",
    ),
    "b.jsonl": (
        "Hello\n",
        "line 1 of '{path}' is no JSON (Expecting value at sign 1); write one object on each line, and correct or"
        " delete this one.",
    ),
    "c.json": (
        "[" + LINE,
        "'{path}' begins as a list and is no valid JSON (Expecting ',' delimiter: line 1 column 94 (char 93)); write it"
        " again, or as one object per line.",
    ),
    "d.json": ("[]", "'{path}' holds no objects with named fields; give at least one talk."),
    "e.json": (
        "[1, 2]",
        "'{path}' holds no objects with named fields; the first problem is row 1: it is no object with named fields;"
        " give at least one talk.",
    ),
    "f.jsonl": ("", "'{path}' is empty (0 bytes); give at least one talk."),
    "g.jsonl": ("\n \n", "'{path}' holds no objects with named fields; give at least one talk."),
    "h.csv": ("prompt,answer\n", "'{path}' holds no objects with named fields; give at least one talk."),
    "i.csv": ("a,b\nc,d\n", "'{path}' cannot be read as talks: no talks are known with the fields a, b" + NONE_KNOWN),
    "j.csv": (
        "text,label\na,b\n",
        "'{path}' cannot be read as talks: no talks are known with the fields text, label (--task text reads 'text' and"
        " nothing else)" + NONE_KNOWN,
    ),
    "k.csv": (
        "prompt,question,answer\na,b,c\n",
        "the columns 'prompt', 'question' could each be meant; name one with --prompt.",
    ),
    "l.csv": (
        "prompt,answer,reply\na,b,c\n",
        "the columns 'answer', 'reply' could each be meant; name one with --answer.",
    ),
    "m.csv": (
        "prompt,answer,article,summary\na,b,c d,e\n",
        "'prompt' with 'answer' or 'article' with 'summary' could be learned; say --task chat or --task summaries, or"
        " name both columns with --prompt and --answer.",
    ),
    "n.txt": (" \n", "no talk of '{path}' can be used; the first problem is n.txt: the text is empty; correct it."),
    "o.docx": (
        "x",
        "'{path}' is of type '.docx'; give files that end in .csv, .json, .jsonl, .ndjson, .parquet, .pq, .tsv, .md or"
        " .txt.",
    ),
    "lists.jsonl": (
        "[1, 2]\n[3, 4]\n",
        "'{path}' begins as a list and is no valid JSON (Extra data: line 2 column 1 (char 7)); write it again, or as"
        " one object per line.",
    ),
    "numbers.jsonl": (
        "1\n2.5\n",
        "'{path}' holds no objects with named fields; the first problem is line 1: it is no object with named fields;"
        " give at least one talk.",
    ),
    "picture.jsonl": (
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01",
        "line 1 of '{path}' is no JSON (Expecting value at sign 1); write one object on each line, and correct or"
        " delete this one.",
    ),
    "zeros.jsonl": (
        bytes(1000),
        "line 1 of '{path}' is no JSON (Expecting value at sign 1); write one object on each line, and correct or"
        " delete this one.",
    ),
    "empty.csv": ("", "'{path}' is empty (0 bytes); give at least one talk."),
    "empty.parquet": ("", "'{path}' is empty (0 bytes); give at least one talk."),
    "empty.md": ("", "no talk of '{path}' can be used; the first problem is empty.md: the text is empty; correct it."),
    "none_used.jsonl": (
        as_lines([{"prompt": "a", "answer": ""}, {"prompt": "", "answer": "b"}]),
        "no talk of '{path}' can be used; the first problem is line 1: the answer in column 'answer' is empty; correct"
        " it.",
    ),
    "p.jsonl.gz": (
        b"\x1f\x8bx",
        "'{path}' is gzipped and damaged (Compressed file ended before the end-of-stream marker was reached); fetch or"
        " pack it again.",
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_cannot_be_read_says_why(tmp_path, name):
    content, sentence = FILES[name]
    file = put(tmp_path, name, content)
    with pytest.raises((DataError, UsageError)) as raised:
        read_talks(file)
    assert str(raised.value) == sentence.format(path=file)


WISHES = [  # a file, what is said of it, and the sentence
    ("a.jsonl", {"task": "talk"}, "--task talk is unknown; use one of chat, summaries, text."),
    (
        "a.jsonl",
        {"task": "text"},
        "'{path}' cannot be read as plain text: there is no column 'text', and the fields are messages; give .md or"
        " .txt files or a column 'text', or drop --task text.",
    ),
    (
        "a.jsonl",
        {"task": "text", "system": "x"},
        "--system needs talks or columns, and '{path}' holds plain text; drop it.",
    ),
    ("a.jsonl", {"prompt": "x", "answer": "x"}, "--prompt and --answer both name 'x'; name two columns."),
    ("a.jsonl", {"prompt": "x"}, "there is no column 'x' for --prompt; the columns are messages. Name one of them."),
    ("a.txt", {"system": "x"}, "--system needs talks or columns, and '{path}' holds plain text; drop it."),
    ("a.txt", {"answer": "x"}, "--answer needs talks or columns, and '{path}' holds plain text; drop it."),
    (
        "a.txt",
        {"task": "chat"},
        "--task chat needs questions and answers, and '{path}' holds plain text; give a table or a file of talks, or"
        " drop it.",
    ),
]


@pytest.mark.parametrize(("name", "wishes", "sentence"), WISHES)
def test_an_option_that_a_file_cannot_follow_says_why(tmp_path, name, wishes, sentence):
    file = put(tmp_path, name, LINE)
    with pytest.raises(UsageError) as raised:
        read_talks(file, **wishes)
    assert str(raised.value) == sentence.format(path=file)


def test_folders_whose_files_do_not_fit_together(tmp_path):
    (tmp_path / "nothing").mkdir()
    put(tmp_path / "none", "a.docx", "x")
    put(tmp_path / "kinds", "a.jsonl", LINE)
    put(tmp_path / "kinds", "b.jsonl", json.dumps({"text": "a b", "summary": "a"}))
    put(tmp_path / "types", "a.jsonl", LINE)
    put(tmp_path / "types", "a.csv", "prompt,answer\na,b\n")
    put(tmp_path / "parts", "train.jsonl", LINE)
    put(tmp_path / "parts", "more.jsonl", LINE)
    put(tmp_path / "empty", "a.jsonl", "")
    put(tmp_path / "empty", "b.jsonl", "")
    sentences = {
        "nothing": "'{path}' holds no file of talks or text; give files that end in .csv, .json, .jsonl, .ndjson,"
        " .parquet, .pq, .tsv, .md or .txt.",
        "none": "'{path}' holds no file of talks or text; give files that end in .csv, .json, .jsonl, .ndjson,"
        " .parquet, .pq, .tsv, .md or .txt.",
        "kinds": "'a.jsonl' and 'b.jsonl' hold chat and summaries; give one kind, or say --task to read both as one.",
        "types": "'a.csv' and 'a.jsonl' are of two types and may hold the same talks; keep one type, or name one file.",
        "parts": "'train.jsonl' is called after a part and 'more.jsonl' is not; begin the names of all with train, val"
        " or test, or of none.",
        "empty": "'{path}/a.jsonl' cannot be read as talks: the file is empty (0 bytes)" + NONE_KNOWN,
        "missing": "'{path}' does not exist; give a file of talks, a .txt or .md file, or a folder of them.",
    }
    for name, sentence in sentences.items():
        with pytest.raises((DataError, UsageError)) as raised:
            read_talks(tmp_path / name)
        assert str(raised.value) == sentence.format(path=tmp_path / name)


def test_an_empty_file_beside_others_is_a_problem(tmp_path):
    put(tmp_path, "train.jsonl", LINE)
    put(tmp_path, "val.jsonl", "")
    talks = read_talks(tmp_path)
    assert talks.part is not None
    assert talks.part.tolist() == ["train"]
    assert [(problem.name, problem.why) for problem in talks.problems] == [("val.jsonl", "the file is empty (0 bytes)")]


def test_what_is_no_parquet_and_json_without_an_end(tmp_path):
    with pytest.raises(DataError, match="cannot be read as Parquet"):
        read_talks(put(tmp_path, "a.parquet", b"PAR1 no"))
    deep = put(tmp_path, "deep.jsonl", '{"messages": ' + "[" * 100_000)
    with pytest.raises(DataError, match=r"line 1 of .* is no JSON"):
        read_talks(deep)


def test_a_line_of_5_megabytes_is_fine(tmp_path):
    long = both("a" * 2_500_000, "b " * 1_250_000 + "c")
    talks = read_talks(put(tmp_path, "a.jsonl", as_lines([messages(long), messages(both("Hi", "Hello"))])))
    assert turns_of(talks) == [long, both("Hi", "Hello")]
    assert talks.problems == ()
