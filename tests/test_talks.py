"""Talks: every format gives the same turns, with groups, references and the reason."""

import gzip
import json

import pytest
from said import as_lines, both, delimited, dialogue, messages, parquet, put, sharegpt, turns_of

from headstart.data.talks import Turn
from headstart.data.talks_read import read_talks

# one question and one answer each: commas, quotes, line breaks, a sign that JSON escapes, and one beyond 16 bits
THREE = [
    ("What is the capital of France?", "Paris, of course."),
    ('Say "hello"\nin two lines.', "Grüß Gott,\nhello \u2028 there"),
    ("3 + 4", "7 \U0001f600"),
]
LONG = [
    ("system", "Be brief."),
    ("user", "Hi"),
    ("assistant", "Hello. What now?"),
    ("user", "A joke"),
    ("assistant", "No."),
]


def columns(asked, answered, **more):
    return [{asked: question, answered: answer, **more} for question, answer in THREE]


FORMATS = {
    "messages.jsonl": as_lines(messages(both(*pair)) for pair in THREE),
    "messages.json": json.dumps([messages(both(*pair)) for pair in THREE], indent=2),
    "list.jsonl": json.dumps([messages(both(*pair)) for pair in THREE]),
    "lines.json": as_lines(messages(both(*pair)) for pair in THREE),
    "packed.jsonl.gz": gzip.compress(as_lines(messages(both(*pair)) for pair in THREE).encode()),
    "utf16.jsonl": as_lines(messages(both(*pair)) for pair in THREE).encode("utf-16"),
    "blank_lines.jsonl": "\n\n" + as_lines(messages(both(*pair)) for pair in THREE).replace("\n", "\r\n\r\n"),
    "parts.jsonl": as_lines(
        {"messages": [{"role": role, "content": [{"type": "text", "text": text}]} for role, text in both(*pair)]}
        for pair in THREE
    ),
    "messages.parquet": parquet({"messages": [messages(both(*pair))["messages"] for pair in THREE]}),
    "sharegpt.jsonl": as_lines(sharegpt(both(*pair)) for pair in THREE),
    "sharegpt.json": json.dumps([sharegpt(both(*pair)) for pair in THREE]),
    "alpaca.json": json.dumps(columns("instruction", "output", input="")),
    "alpaca.jsonl": as_lines(columns("instruction", "output")),
    "roles.jsonl": as_lines({"conversations": messages(both(*pair))["messages"]} for pair in THREE),
    "dialogues.json": json.dumps([dialogue(place, both(*pair)) for place, pair in enumerate(THREE)]),
    "prompt.csv": delimited([("prompt", "completion"), *THREE]),
    "semicolons.csv": delimited([("Question", "Answer"), *THREE], ";"),
    "latin.csv": delimited([("id", "input", "response"), *((i, *pair) for i, pair in enumerate(THREE))]).encode(
        "utf-16"
    ),
    "user.tsv": delimited([("user", "assistant"), *THREE], "\t"),
    "question.jsonl": as_lines(columns("question", "reply", n=1)),
    "columns.json": json.dumps({"prompt": [pair[0] for pair in THREE], "answer": [pair[1] for pair in THREE]}),
    "instruction.parquet": parquet({"instruction": [q for q, _ in THREE], "answer": [a for _, a in THREE]}),
}


PAPERS = [
    {"source": ["We do A.", "It is good."], "target": ["A works.", "Good."], "paper_id": "x1", "title": "A"},
    {"source": ["We do B, which is new."], "target": ["", "B is new."], "paper_id": "x2", "title": "B"},
]


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_reads_to_the_same_turns(tmp_path, name):
    talks = read_talks(put(tmp_path, name, FORMATS[name]))
    assert turns_of(talks) == [both(*pair) for pair in THREE]
    assert (talks.kind, len(talks), talks.part, talks.references, talks.problems) == ("chat", 3, None, None, ())
    assert talks.because["kind"]


@pytest.mark.parametrize("write", [messages, sharegpt])
def test_talks_of_many_turns(tmp_path, write):
    talks = read_talks(put(tmp_path, "a.jsonl", as_lines([write(LONG), write(LONG[1:4])])))
    assert turns_of(talks) == [LONG, LONG[1:4]]
    assert [talk.name for talk in talks.talks] == ["line 1", "line 2"]


def test_parquet_keeps_turns_of_many_lengths(tmp_path):
    file = put(
        tmp_path, "a.parquet", parquet({"messages": [messages(LONG)["messages"], messages(LONG[1:3])["messages"]]})
    )
    talks = read_talks(file)
    assert turns_of(talks) == [LONG, LONG[1:3]]
    assert [talk.name for talk in talks.talks] == ["row 1", "row 2"]


def test_dialogues_are_grouped_by_their_services_and_called_by_their_ids(tmp_path):
    talks = read_talks(put(tmp_path, "a.json", json.dumps([dialogue(place, LONG[1:]) for place in range(3)])))
    assert turns_of(talks) == [LONG[1:]] * 3
    assert [talk.name for talk in talks.talks] == ["9_00000", "9_00001", "9_00002"]
    assert talks.groups is not None
    assert talks.groups.tolist() == ["Hotels_2", "Hotels_2, Taxi_1", "Hotels_2, Taxi_1"]
    assert talks.because["kind"].endswith("as Schema-Guided Dialogue writes talks")


def test_one_object_over_several_lines_is_one_talk(tmp_path):
    talks = read_talks(put(tmp_path, "a.json", json.dumps(messages(LONG), indent=1)))
    assert turns_of(talks) == [LONG]
    tagged = messages(LONG) | {"tags": ["a", "b", "c", "d", "e"]}  # as many as turns, and no column of a table
    assert turns_of(read_talks(put(tmp_path, "b.json", json.dumps(tagged)))) == [LONG]


def test_alpacas_input_and_a_context_go_below_what_is_asked(tmp_path):
    alpaca = [{"instruction": "Translate", "input": "Hund", "output": "dog"}]
    alpaca += [{"instruction": f"Say {n}", "output": f"{n}"} for n in range(3)]  # most leave the input out
    wanted = [both("Translate\n\nHund", "dog"), *(both(f"Say {n}", f"{n}") for n in range(3))]
    talks = read_talks(put(tmp_path, "a.jsonl", as_lines(alpaca)))
    assert turns_of(talks) == wanted
    assert talks.because["kind"] == (
        "there are the columns 'instruction', 'input' and 'output', and 'input' goes below 'instruction'"
    )
    dolly = [
        {"instruction": row["instruction"], "context": row.get("input"), "response": row["output"]} for row in alpaca
    ]
    assert turns_of(read_talks(put(tmp_path, "b.jsonl", as_lines(dolly)))) == wanted


def test_a_system_turn_goes_only_where_there_is_none(tmp_path):
    file = put(tmp_path, "a.jsonl", as_lines([messages(LONG), messages(LONG[1:3])]))
    talks = read_talks(file, system=" Answer in French. ")
    assert turns_of(talks) == [LONG, [("system", "Answer in French."), *LONG[1:3]]]
    orca = [{"system_prompt": "Be kind.", "question": "Hi", "response": "Hello"}]
    orca += [{"system_prompt": "", "question": "Hi", "response": "Hello"}]
    talks = read_talks(put(tmp_path, "b.jsonl", as_lines(orca)), system="Be brief.")
    assert [talk.turns[0] for talk in talks.talks] == [Turn("system", "Be kind."), Turn("system", "Be brief.")]


def test_columns_named_by_hand(tmp_path):
    file = put(
        tmp_path, "a.csv", delimited([("text", "prompt", "reply", "note"), ("t", "p", "r", "n"), ("u", "q", "s", "m")])
    )
    assert turns_of(read_talks(file, prompt="Text", answer="note")) == [both("t", "n"), both("u", "m")]
    assert turns_of(read_talks(file, answer="note", task="chat")) == [both("p", "n"), both("q", "m")]
    assert turns_of(read_talks(file, prompt="text")) == [both("t", "r"), both("u", "s")]
    bare = put(tmp_path, "b.csv", delimited([("1", "one"), ("2", "two")]))
    assert turns_of(read_talks(bare, prompt="column_1", answer="column_2")) == [both("1", "one"), both("2", "two")]


def test_papers_have_several_summaries_and_the_first_is_learned(tmp_path):
    talks = read_talks(put(tmp_path, "a.jsonl", as_lines(PAPERS)))
    assert turns_of(talks) == [both("We do A. It is good.", "A works."), both("We do B, which is new.", "B is new.")]
    assert talks.kind == "summaries"
    assert talks.references == (("A works.", "Good."), ("B is new.",))
    assert talks.because["kind"] == (
        "there are the columns 'source' and 'target'; of several texts in 'target' the first is learned; 'paper_id',"
        " 'title' are not read"
    )
    chat = read_talks(tmp_path / "a.jsonl", task="chat")
    assert (turns_of(chat), chat.kind, chat.references) == (turns_of(talks), "chat", None)


@pytest.mark.parametrize("asked", ["document", "text", "article", "abstract", "dialogue"])
@pytest.mark.parametrize("answered", ["summary", "highlights", "target", "tldr"])
def test_documents_with_summaries(tmp_path, asked, answered):
    rows = [(asked.title(), answered), ("A long story about a dog.", "A dog."), ("Another one, of a cat.", "A cat.")]
    talks = read_talks(put(tmp_path, "a.csv", delimited(rows)))
    assert turns_of(talks) == [both(*row) for row in rows[1:]]
    assert (talks.kind, talks.references) == ("summaries", (("A dog.",), ("A cat.",)))


def test_task_says_which_of_two_pairs_is_read(tmp_path):
    file = put(
        tmp_path, "a.jsonl", as_lines([{"question": "Who?", "answer": "Me", "text": "It is me.", "summary": "Me."}])
    )
    assert turns_of(read_talks(file, task="chat")) == [both("Who?", "Me")]
    assert turns_of(read_talks(file, task="summaries")) == [both("It is me.", "Me.")]
    short = put(tmp_path, "b.jsonl", as_lines([messages(both("A long text", "short"))]))
    talks = read_talks(short, task="summaries")
    assert (talks.kind, talks.references) == ("summaries", (("short",),))


def test_a_stray_field_does_not_decide_the_form(tmp_path):
    rows = [{"prompt": "a", "answer": "b"}] * 3 + [{"question": "c", "messages": [], "answer": "d"}]
    talks = read_talks(put(tmp_path, "a.jsonl", as_lines(rows)))
    assert turns_of(talks) == [both("a", "b")] * 3
    assert [(problem.name, problem.why) for problem in talks.problems] == [("line 4", "column 'prompt' is empty")]


def test_halves_of_characters_can_be_written_again(tmp_path):
    talks = read_talks(put(tmp_path, "a.jsonl", '{"prompt": "cut \\ud83d", "answer": 42}\n'))
    assert turns_of(talks) == [both("cut \ufffd", "42")]
