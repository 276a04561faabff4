"""Talks that cannot be used: each is left out with its own sentence."""

import pytest
from said import as_lines, both, dialogue, messages, put, turns_of

from headstart.data.talks_read import read_talks
from headstart.errors import DataError

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
    "role_steers_a_terminal": (
        turns(("user", "a"), ("\x1b[31m\u202ered\n" + "x" * 500, "b")),
        "turn 2 is by '\\x1b[31m\\u202ered\\n" + "x" * 30 + "...', and the roles known here are system, user, human,"
        " assistant, gpt",
    ),
    "long_weight": (
        {"messages": [{"role": "user", "content": "a", "weight": "\x1b" + "9" * 500}]},
        'turn 1 has the weight "\\u001b' + "9" * 33 + "..., and only 0 (not to be learned) and 1 are read",
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
    "half_a_weight": (
        {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b", "weight": 0.5}]},
        "turn 2 has the weight 0.5, and only 0 (not to be learned) and 1 are read",
    ),
    "weight_in_words": (
        {"messages": [{"role": "user", "content": "a", "weight": "none"}]},
        'turn 1 has the weight "none", and only 0 (not to be learned) and 1 are read',
    ),
    "weights_of_0": (
        {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b", "weight": 0}]},
        "every answer has the weight 0, so there is nothing to learn",
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
    "empty_text": ({"text": " \n"}, "column 'text' is empty"),
    "object_as_text": ({"text": {"a": 1}}, "column 'text' holds an object, and only text can be learned"),
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
