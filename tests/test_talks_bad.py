"""Talks that cannot be used: each is refused or left out with its own sentence."""

import json

import pytest
from said import as_lines, both, dialogue, messages, put, turns_of

from headstart.data.talks_read import read_talks
from headstart.errors import DataError, UsageError

GOOD = both("Hi", "Hello")


def turns(*said):
    return messages([(role, text) for role, text in said])


ROWS = {  # what one row holds -> why it is left out
    "two_users": (
        turns(("user", "a"), ("user", "b"), ("assistant", "c")),
        "roles in a wrong order: turns 1 and 2 are both the user's",
    ),
    "two_answers": (
        turns(("user", "a"), ("assistant", "b"), ("assistant", "c")),
        "roles in a wrong order: turns 2 and 3 are both the assistant's",
    ),
    "two_systems": (
        turns(("system", "a"), ("system", "b"), ("user", "c"), ("assistant", "d")),
        "roles in a wrong order: turns 1 and 2 are both the system's",
    ),
    "late_system": (
        turns(("user", "a"), ("system", "b"), ("assistant", "c")),
        "roles in a wrong order: turn 2 is the system's, and only the first may be",
    ),
    "assistant_first": (
        turns(("assistant", "a"), ("user", "b"), ("assistant", "c")),
        "roles in a wrong order: the assistant speaks before the user",
    ),
    "assistant_after_system": (
        turns(("system", "a"), ("assistant", "b"), ("user", "c")),
        "roles in a wrong order: the assistant speaks before the user",
    ),
    "assistant_alone": (turns(("assistant", "a")), "roles in a wrong order: the assistant speaks before the user"),
    "no_assistant": (turns(("user", "a")), "no turn is the assistant's, so there is nothing to learn"),
    "no_turns": (turns(), "no turn is the assistant's, so there is nothing to learn"),
    "empty_answer": (turns(("user", "a"), ("assistant", " \n")), "turn 2, the assistant's, is empty"),
    "empty_question": (turns(("user", ""), ("assistant", "b")), "turn 1, the user's, is empty"),
    "null_answer": (turns(("user", "a"), ("assistant", None)), "turn 2, the assistant's, is empty"),
    "unknown_role": (
        turns(("user", "a"), ("tool", "b")),
        "turn 2 is by 'tool', and the roles known here are system, user, human, assistant, gpt",
    ),
    "role_is_a_number": (
        turns((7, "a")),
        "turn 1 is by '7', and the roles known here are system, user, human, assistant, gpt",
    ),
    "picture": (
        turns(("user", [{"type": "image_url", "image_url": {"url": "x"}}])),
        "turn 1 holds something other than text, and only text can be learned",
    ),
    "object": (turns(("user", {"a": 1})), "turn 1 holds something other than text, and only text can be learned"),
    "no_role": ({"messages": [{"content": "a"}]}, "turn 1 is no object with 'role' and 'content'"),
    "strings": ({"messages": ["a", "b"]}, "turn 1 is no object with 'role' and 'content'"),
    "no_list": ({"messages": "a"}, "'messages' is no list of turns"),
    "null": ({"messages": None}, "'messages' is no list of turns"),
    "sharegpt_role": (
        {"conversations": [{"from": "bard", "value": "a"}]},
        "turn 1 is by 'bard', and the roles known here are system, user, human, assistant, gpt",
    ),
    "dialogue_role": (
        {"turns": [{"speaker": "AGENT", "utterance": "a"}]},
        "turn 1 is by 'AGENT', and the roles known here are user, system",
    ),
    "dialogue_order": (
        dialogue(0, both("a", "b") + both("c", "d")[1:]) | {"dialogue_id": None},
        "roles in a wrong order: turns 2 and 3 are both the assistant's",
    ),
    "no_prompt": ({"prompt": " ", "answer": "a"}, "column 'prompt' is empty"),
    "no_answer": ({"prompt": "a", "answer": None}, "the answer in column 'answer' is empty"),
    "no_output": ({"instruction": "a", "input": "b", "output": ""}, "the answer in column 'output' is empty"),
    "objects": (
        {"prompt": [{"role": "user", "content": "a"}], "completion": "b"},
        "column 'prompt' holds an object, and only text can be learned",
    ),
    "no_summary": ({"source": ["a b c"], "target": []}, "the answer in column 'target' is empty"),
    "long_summary": (
        {"text": "short", "summary": "longer than it"},
        "the summary has 14 characters, more than the 5 of its text; if it is no summary, say --task chat",
    ),
    "list_in_a_list": (
        {"source": [["a"]], "target": ["b"]},
        "column 'source' holds an object, and only text can be learned",
    ),
}


@pytest.mark.parametrize("name", ROWS)
def test_a_row_that_cannot_be_learned_is_left_out_with_its_reason(tmp_path, name):
    record, why = ROWS[name]
    file = put(tmp_path, "a.jsonl", "\n" + as_lines([record]))
    with pytest.raises(DataError) as raised:
        read_talks(file)
    assert str(raised.value) == (f"no talk of '{file}' can be used; the first problem is line 2: {why}; correct it.")


def test_good_rows_stay_and_the_others_are_listed(tmp_path):
    bad = [record for record, _ in ROWS.values() if "messages" in record]
    file = put(tmp_path, "a.jsonl", as_lines([turns(*GOOD), *bad, 5, turns(*GOOD)]))
    talks = read_talks(file)
    assert turns_of(talks) == [GOOD, GOOD]
    assert [talk.name for talk in talks.talks] == ["line 1", f"line {len(bad) + 3}"]
    wanted = {
        f"line {place}": ROWS[name][1] for place, name in enumerate([n for n in ROWS if "messages" in ROWS[n][0]], 2)
    }
    wanted[f"line {len(bad) + 2}"] = "it is no object with named fields"
    assert {problem.name: problem.why for problem in talks.problems} == wanted


def test_a_talk_of_many_turns_is_no_summary(tmp_path):
    file = put(tmp_path, "a.jsonl", as_lines([turns(*GOOD, *GOOD)]))
    with pytest.raises(DataError, match="it has 4 turns, and a summary has two, the document and its summary; correct"):
        read_talks(file, task="summaries")


def test_torn_rows_of_a_table_are_listed(tmp_path):
    file = put(tmp_path, "train.csv", "prompt,answer\na,b\nc\nd,e\n")
    talks = read_talks(file)
    assert [(problem.name, problem.why) for problem in talks.problems] == [
        ("row 2", "it has 1 cells and the table has 2 columns")
    ]
    put(tmp_path, "test.csv", "prompt,answer\nf,\ng,h\n")
    talks = read_talks(tmp_path)
    assert [(problem.name, problem.why) for problem in talks.problems] == [
        ("test.csv row 1", "the answer in column 'answer' is empty"),
        ("train.csv row 2", "it has 1 cells and the table has 2 columns"),
    ]


LINE = json.dumps(turns(*GOOD))
NONE_KNOWN = (
    "; give 'messages', 'conversations' or columns such as 'prompt' and 'answer', or name two columns with --prompt and"
    " --answer."
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
    "j.jsonl": (
        '{"text": "a"}\n',
        "'{path}' cannot be read as talks: no talks are known with the fields text" + NONE_KNOWN,
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
    ("a.jsonl", {"task": "text"}, "--task text reads .md and .txt files, and '{path}' has none; drop it."),
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
