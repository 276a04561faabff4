"""Answers with a weight of 0 are read, and not told."""

import hashlib
import json

import pytest
from said import as_lines, parquet, put

from headstart.data.talks import Talk, Turn
from headstart.data.talks_read import read_talks


def turn(role, text, **weight):
    return {"role": role, "content": text, **weight}


FOUR = [
    turn("user", "Hi"),
    turn("assistant", "wrong", weight=0),
    turn("user", "Really?"),
    turn("assistant", "right", weight=1),
]
TOLD = (Turn("user", "Hi"), Turn("assistant", "wrong", told=False), Turn("user", "Really?"), Turn("assistant", "right"))


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_an_answer_with_a_weight_of_0_is_not_told(tmp_path, kind):
    content = as_lines([{"messages": FOUR}]) if kind == "jsonl" else parquet({"messages": [FOUR]})
    talks = read_talks(put(tmp_path, f"a.{kind}", content))
    assert [talk.turns for talk in talks.talks] == [TOLD]
    assert talks.problems == ()


def test_sharegpt_may_have_weights_too_and_a_system_turn_leaves_them(tmp_path):
    said = [
        {"from": {"user": "human", "assistant": "gpt"}[each["role"]], "value": each["content"]}
        | {name: each[name] for name in ("weight",) if name in each}
        for each in FOUR
    ]
    file = put(tmp_path, "a.jsonl", as_lines([{"conversations": said, "system": "Be kind."}, {"conversations": said}]))
    talks = read_talks(file, system="Be brief.")
    assert [talk.turns for talk in talks.talks] == [
        (Turn("system", "Be kind."), *TOLD),
        (Turn("system", "Be brief."), *TOLD),
    ]


@pytest.mark.parametrize("weight", [1, 1.0, True, None])
def test_other_ways_to_say_that_it_is_told(tmp_path, weight):
    record = {"messages": [turn("user", "a", weight=0), turn("assistant", "b", weight=weight)]}
    talks = read_talks(put(tmp_path, "a.jsonl", as_lines([record])))
    assert talks.talks[0].turns == (Turn("user", "a"), Turn("assistant", "b"))


def test_a_weight_of_0_beside_the_turns_is_that_of_all_without_their_own(tmp_path):
    bare = [turn("user", "Hi"), turn("assistant", "no"), turn("user", "So?"), turn("assistant", "yes", weight=1)]
    records = [{"messages": bare, "weight": 0}, {"messages": bare[:2], "weight": 0}, {"messages": bare, "weight": 1}]
    talks = read_talks(put(tmp_path, "a.jsonl", as_lines([*records, {"messages": bare, "weight": 0.5}])))
    assert [[said.told for said in talk.turns] for talk in talks.talks] == [
        [True, False, True, True],
        [True] * 4,
        [True] * 4,
    ]
    assert [(problem.name, problem.why) for problem in talks.problems] == [
        ("line 2", "every answer has the weight 0, so there is nothing to learn")
    ]


def test_a_talk_of_which_nothing_is_told_is_left_out(tmp_path):
    none = {"messages": [each | {"weight": 0} for each in FOUR]}
    half = {"messages": [each | {"weight": 0.5} for each in FOUR]}
    talks = read_talks(put(tmp_path, "a.jsonl", as_lines([none, {"messages": FOUR}, half])))
    assert [talk.name for talk in talks.talks] == ["line 2"]
    assert [(problem.name, problem.why) for problem in talks.problems] == [
        ("line 1", "every answer has the weight 0, so there is nothing to learn"),
        ("line 3", "turn 1 has the weight 0.5, and only 0 (not to be learned) and 1 are read"),
    ]


def test_keys_without_weights_are_those_of_roles_and_texts():
    said = [["user", "Hi"], ["assistant", "Hello"]]
    plain = Talk(tuple(Turn(role, text) for role, text in said), "line 1")
    assert plain.key == hashlib.sha256(json.dumps(said).encode()).hexdigest()
    twice = said + said
    told = [
        Talk(tuple(Turn(*pair, told=at != quiet) for at, pair in enumerate(twice)), "line 1") for quiet in (1, 3, 9)
    ]
    assert told[2].key == hashlib.sha256(json.dumps(twice).encode()).hexdigest()
    assert len({talk.key for talk in told}) == 3
