"""What is to be written, and what has labels."""

import gzip
import io
import json
import random
from itertools import product
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import polars
import pytest
from said import as_lines, both, delimited, dialogue, messages, parquet, put, sharegpt

from headstart.data.dataset import TASKS, Options
from headstart.data.talks_or_labels import language_of

NOTHING = Options()
ANSWERS = [f"the answer to {place} is long" for place in range(6)]
TALK = messages(both("q", "a"))


def said(**given):
    """What the user said, of tasks that labelled data does not have too."""
    return SimpleNamespace(**dict.fromkeys(("task", "label", "text", "image", "time")) | given)


def pairs(asked, answered, answers, **more):
    return [{asked: f"question {place}", answered: answer, **more} for place, answer in enumerate(answers)]


def parts(name, records):
    return {f"{name}/{part}.jsonl": as_lines(records) for part in ("train", "test")}


OPENAI = "the records hold 'messages' with 'role' and 'content', as OpenAI writes talks"
PAIRS = "there are the columns 'prompt' and 'answer'; the answers are mostly different texts"
TEXT = "the only column is 'text', and each text of it is read as one"
LANGUAGE = {  # what is looked at -> files, and why a language model should learn to write it
    "a.txt": ({"a.txt": "once"}, "a .txt file is plain text"),
    "a.md": ({"a.md": "# once"}, "a .md file is plain text"),
    "empty.txt": ({"empty.txt": ""}, "a .txt file is plain text"),
    "a.txt.gz": ({"a.txt.gz": gzip.compress(b"once")}, "a .txt file is plain text"),
    "texts": ({"texts/a.txt": "a", "texts/b.md": "b"}, "the folder holds .md and .txt files, which are plain text"),
    "read": ({"read/README.md": "a", "read/b.md": "b"}, "the folder holds .md files, which are plain text"),
    "a.jsonl": ({"a.jsonl": as_lines([TALK])}, OPENAI),
    "a.json": ({"a.json": json.dumps([TALK] * 3, indent=1)}, OPENAI),
    "one.json": ({"one.json": json.dumps(TALK, indent=1)}, OPENAI),
    "packed.jsonl.gz": ({"packed.jsonl.gz": gzip.compress(as_lines([TALK]).encode())}, OPENAI),
    "utf16.jsonl": ({"utf16.jsonl": as_lines([TALK]).encode("utf-16")}, OPENAI),
    "a.parquet": ({"a.parquet": parquet({"messages": [TALK["messages"]] * 3})}, OPENAI),
    "labelled.jsonl": ({"labelled.jsonl": as_lines([TALK | {"label": "x"}])}, OPENAI),
    "end.jsonl": ({"end.jsonl": as_lines([TALK] * 200) + "no JSON"}, OPENAI),
    "sharegpt.json": (
        {"sharegpt.json": json.dumps([sharegpt(both("q", "a"))])},
        "the records hold 'conversations' with 'from' and 'value', as ShareGPT writes talks",
    ),
    "dialogues": (
        {
            "dialogues/train_1.json": json.dumps([dialogue(0, both("q", "a"))]),
            "dialogues/dev_1.json": json.dumps([dialogue(0, both("q", "a"))]),
            "dialogues/all.json": json.dumps([{"service_name": "Hotels_2"}]),
            "dialogues/LICENSE.txt": "free",
        },
        "the records hold 'turns' with 'speaker' and 'utterance', as Schema-Guided Dialogue writes talks",
    ),
    "parts": (parts("parts", [TALK]), OPENAI),
    "folders": ({f"folders/{part}/a.jsonl": as_lines([TALK]) for part in ("train", "valid")}, OPENAI),
    "more": ({"more/a.jsonl": "{", "more/b.jsonl": as_lines([TALK])}, OPENAI),
    "pairs.jsonl": ({"pairs.jsonl": as_lines(pairs("prompt", "answer", ANSWERS))}, PAIRS),
    "pairs.json": (
        {"pairs.json": json.dumps({"prompt": ["a", "b"], "answer": ["yes it is", "no it is not"]}, indent=1)},
        PAIRS,
    ),
    "pairs.csv": ({"pairs.csv": delimited([("prompt", "answer"), *enumerate(ANSWERS)])}, PAIRS),
    "pairs.parquet": ({"pairs.parquet": parquet({"prompt": ANSWERS, "answer": ANSWERS})}, PAIRS),
    "pairs": (parts("pairs", pairs("prompt", "answer", ANSWERS)), PAIRS),
    "half.jsonl": (
        {"half.jsonl": as_lines(pairs("prompt", "answer", [*ANSWERS, *["yes please"] * 4, "", None]))},
        PAIRS,
    ),
    "dolly.jsonl": (
        {"dolly.jsonl": as_lines(pairs("instruction", "response", ANSWERS, category="open_qa"))},
        "there are the columns 'instruction' and 'response'; 'category' is not read; the answers are mostly different"
        " texts",
    ),
    "chinese.jsonl": (
        {"chinese.jsonl": as_lines(pairs("prompt", "answer", ["今天天气很好", "我不知道答案"]))},
        PAIRS,
    ),
    "papers.jsonl": (
        {"papers.jsonl": as_lines({"source": [text], "target": [text, "b"]} for text in ANSWERS)},
        "there are the columns 'source' and 'target'; of several texts in 'target' the first is learned; the answers"
        " are mostly different texts",
    ),
    "doubt.jsonl": (
        {"doubt.jsonl": as_lines(pairs("prompt", "output", ANSWERS, question="?"))},
        "there are questions, and column 'output' answers with mostly different texts",
    ),
    "text.jsonl": ({"text.jsonl": as_lines({"text": text} for text in ANSWERS)}, TEXT),
    "no_turns.jsonl": (
        {"no_turns.jsonl": as_lines([{"messages": []}] * 3)},
        "the records hold 'messages' with 'role' and 'content', as OpenAI writes talks",
    ),
    "text.csv": ({"text.csv": delimited([("text",), ("a b c",), ("d, e",)])}, TEXT),
    "text.parquet": ({"text.parquet": parquet({"text": ANSWERS})}, TEXT),
}


def written(folder, files):
    for name, content in files.items():
        put(folder, name, content)


@pytest.mark.parametrize("name", LANGUAGE)
def test_what_is_to_be_written_is_found_with_its_reason(tmp_path, name):
    files, why = LANGUAGE[name]
    written(tmp_path, files)
    assert language_of(tmp_path / name, NOTHING) == why
    for given in ({"label": "answer"}, {"text": "prompt"}, {"image": "x"}, {"time": "x"}):
        assert language_of(tmp_path / name, Options(**given)) is None


def arrays():
    out = io.BytesIO()
    np.savez(out, x=np.zeros((4, 8, 8)), y=np.arange(4) % 2)
    return out.getvalue()


MOODS = ["joy", "anger", "joy", "fear"]
WIDE = [f"{place / 7:.5f}" for place in range(6)]  # numbers are different, and no texts
LABELLED = {  # what is looked at -> files that the reader of labelled data has to see
    "missing": {},
    "empty": {"empty/.hidden": ""},
    "a.npz": {"a.npz": arrays()},
    "a.docx": {"a.docx": "x"},
    "a.png": {"a.png": b"\x89PNG"},
    "classes": {f"classes/{kind}/1.txt": kind for kind in MOODS},
    "parts": {f"parts/{part}/{kind}/1.txt": kind for part, kind in product(("train", "test"), MOODS)},
    "pictures": {f"pictures/{kind}/1.jpg": b"x" for kind in MOODS} | {"pictures/README.md": "a", "pictures/b.txt": "b"},
    "texts_below": {"texts_below/a.txt": "a", "texts_below/cats/deep/1.md": "b"},
    "flat": {"flat/1.jpg": b"x", "flat/notes.txt": "a"},
    "about": {"about/README.md": "a", "about/LICENSE.txt": "b"},
    "arrays": {"arrays/a.npz": arrays(), "arrays/notes.md": "a"},
    "lines": {"lines/train_text.txt": "a\nb", "lines/train_labels.txt": "0\n1", "lines/mapping.txt": "0 a\n1 b"},
    "a.csv": {"a.csv": delimited([("text", "label"), *zip(ANSWERS, MOODS, strict=False)])},
    "bare.tsv": {"bare.tsv": delimited([*zip(ANSWERS, "0101", strict=False)], "\t")},
    "tables": {f"tables/{part}.csv": "text,label\na b,x\nc d,y\n" for part in ("train", "test")},
    # what is to be told may have no labels
    "told": {"told/train.csv": "text,label\na b,x\nc d,y\n", "told/test.csv": "text\na b\nc d\n"},
    "shelf": {"shelf/data.csv": "image,label\nimages/1.jpg,x\n", "shelf/images/1.jpg": b"x", "shelf/readme.md": "a"},
    "words.jsonl": {"words.jsonl": as_lines(pairs("question", "answer", MOODS * 3))},
    "names.jsonl": {"names.jsonl": as_lines(pairs("question", "answer", ["Paris", "Rome", "Bonn"]))},
    "two_words.jsonl": {"two_words.jsonl": as_lines(pairs("question", "answer", ["not sure", "very sure"] * 4))},
    "numbers.csv": {"numbers.csv": delimited([("text", "target"), *zip(ANSWERS, WIDE, strict=True)])},
    "no_answers.jsonl": {"no_answers.jsonl": as_lines(pairs("prompt", "answer", ["", None]))},
    "judged.jsonl": {"judged.jsonl": as_lines(pairs("question", "answer", ANSWERS, label=1))},
    "doubt.jsonl": {"doubt.jsonl": as_lines(pairs("prompt", "output", MOODS * 3, question="?"))},
    "no_turns.jsonl": {"no_turns.jsonl": as_lines([{"messages": [], "label": "x"}] * 3)},
    "more.jsonl": {"more.jsonl": as_lines({"text": text, "label": "x"} for text in ANSWERS)},
    "sms.csv": {"sms.csv": "messages,label\nhello you,ham\nwin now,spam\n"},
    "turns.csv": {"turns.csv": "turns,winner\n17,white\n30,black\n"},
    "intents.json": {"intents.json": json.dumps({"train": [["a b", "x"], ["c d", "y"]], "val": [["e f", "x"]]})},
    "list.json": {"list.json": json.dumps(["a", "b"])},
    "lists.jsonl": {"lists.jsonl": "[1, 2]\n[3]\n"},
    "broken.jsonl": {"broken.jsonl": "Hello\n" + as_lines([TALK])},
    "broken.parquet": {"broken.parquet": b"PAR1 no"},
    "damaged.csv.gz": {"damaged.csv.gz": b"\x1f\x8bx"},
    "picture.jsonl": {"picture.jsonl": b"\x89PNG\r\n\x1a\n\0\0"},
    "empty.jsonl": {"empty.jsonl": ""},
    "empty.csv": {"empty.csv": ""},
    "deep.jsonl": {"deep.jsonl": '{"messages": ' + "[" * 100_000},
}


@pytest.mark.parametrize("name", LABELLED)
def test_what_has_labels_or_cannot_be_read_is_left_to_their_reader(tmp_path, name):
    written(tmp_path, LABELLED[name])
    assert language_of(tmp_path / name, NOTHING) is None


@pytest.mark.parametrize("name", ["a.npz", "classes", "a.csv", "missing", "words.jsonl"])
def test_the_task_that_was_said_decides(tmp_path, name):
    written(tmp_path, LABELLED[name])
    for task in ("chat", "summaries", "text"):
        assert language_of(tmp_path / name, said(task=task)) == f"--task {task} was given"
    put(tmp_path, "talks.jsonl", as_lines([TALK]))
    for task in TASKS:
        assert language_of(tmp_path / "talks.jsonl", Options(task=task)) is None


def test_a_long_first_record_is_read(tmp_path):
    long = "word " * 1_000_000
    assert language_of(put(tmp_path, "a.jsonl", as_lines([messages(both(long, long))])), NOTHING) == OPENAI
    assert language_of(put(tmp_path, "a.json", json.dumps([messages(both(long, "a"))])), NOTHING) == OPENAI
    assert language_of(put(tmp_path, "a.csv", delimited([("prompt", "answer"), (long, "b c")])), NOTHING) == PAIRS


@pytest.mark.parametrize("suffix", ["jsonl", "json", "csv", "tsv", "parquet", "jsonl.gz", "txt", "npz"])
def test_no_damage_raises(tmp_path, suffix):
    draw = random.Random(0)
    frame = io.BytesIO()
    polars.DataFrame({"prompt": ANSWERS, "answer": ANSWERS}).write_parquet(frame)
    whole = [as_lines([TALK]).encode(), b'prompt,answer\r\na,"b\nc"\r\n', gzip.compress(b'{"text": "a"}'), b'[{"a":']
    whole += [frame.getvalue()] if suffix == "parquet" else []
    for content, _ in product(whole, range(20)):
        signs = bytearray(content)
        for _ in range(draw.choice((1, 3, 20))):
            signs[draw.randrange(len(signs))] = draw.randrange(256)
        file = put(tmp_path, f"a.{suffix}", bytes(signs[: draw.randrange(len(signs) + 1)]))
        why = language_of(file, NOTHING)
        assert why is None or (why and suffix != "npz")


def test_the_first_records_decide_and_no_table_is_read_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "read_bytes", lambda file: pytest.fail(f"{file} was read whole"))
    for suffix, write in {"jsonl": as_lines, "json": lambda records: json.dumps(list(records))}.items():
        file = put(tmp_path, f"a.{suffix}", write(pairs("prompt", "answer", [*(ANSWERS * 20), *MOODS * 20])))
        assert language_of(file, NOTHING) is None
    different = [f"answer number {place}" for place in range(200)]
    rows = [("prompt", "answer"), *enumerate([*different, *["no"] * 300_000])]
    assert language_of(put(tmp_path, "a.csv", delimited(rows)), NOTHING) == PAIRS


SETS = Path(__file__).parents[2] / "shared" / "data"


@pytest.mark.skipif(not SETS.is_dir(), reason="the data sets beside the project are not here")
def test_the_sets_beside_the_project():
    found = {file.name for file in SETS.iterdir() if file.is_dir() and language_of(file, NOTHING)}
    assert found == {name for name in ("scitldr", "sgd") if (SETS / name).is_dir()}
