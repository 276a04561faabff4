"""The probe against answers written by hand, right and wrong; its shares and losses against their definitions."""

import json
import re
from collections import Counter
from itertools import combinations
from pathlib import Path

import pytest
from scipy.stats import binom

from headstart.errors import DataError
from headstart.language import spread
from headstart.language.general import COUNT, general_texts
from headstart.language.instructions import kept, lost, probe, share
from headstart.language.rules import RULES

PROBE = probe()
ANSWERS = json.loads((Path(__file__).parent / "instructions_answers.json").read_text("utf8"))
RIGHT = [ANSWERS[instruction.id]["right"] for instruction in PROBE]
WRONG = [ANSWERS[instruction.id]["wrong"] for instruction in PROBE]


def passes(rule, answer, *told):
    texts = tuple(part for part in told if isinstance(part, str))
    return RULES[rule](answer, texts, tuple(part for part in told if isinstance(part, int)))


@pytest.mark.parametrize("instruction", PROBE, ids=lambda instruction: instruction.id)
def test_a_right_answer_passes_and_a_plausible_wrong_one_does_not(instruction):
    assert kept(ANSWERS[instruction.id]["right"], instruction)
    assert kept(f"\n {ANSWERS[instruction.id]['right']} \n", instruction)
    assert not kept(ANSWERS[instruction.id]["wrong"], instruction)


@pytest.mark.parametrize("instruction", PROBE, ids=lambda instruction: instruction.id)
def test_answers_that_do_not_answer_pass_nothing(instruction):
    for answer in ("", " \n", instruction.prompt, "...", f"{instruction.prompt} {instruction.prompt}"):
        assert not kept(answer, instruction)


def test_kinds_are_balanced_and_prompts_differ():
    kinds = Counter(instruction.kind for instruction in PROBE)
    assert len(PROBE) >= 72
    assert len(kinds) >= 9
    assert len(set(kinds.values())) == 1
    assert len({instruction.id for instruction in PROBE}) == len(PROBE) == len(ANSWERS)
    sets = [set(re.findall(r"\w+", instruction.prompt.lower())) for instruction in PROBE]
    assert max(len(a & b) / len(a | b) for a, b in combinations(sets, 2)) < 0.75
    assert max(len(instruction.prompt.split()) for instruction in PROBE) < 50


def test_every_rule_is_used_and_decides_somewhere():
    used = {check.rule for instruction in PROBE for check in instruction.checks}
    assert used == set(RULES)
    breaks = {
        check.rule
        for instruction, answer in zip(PROBE, [*WRONG], strict=True)
        for check in instruction.checks
        if not RULES[check.rule](answer, check.texts, check.numbers)
    }
    assert breaks == used


def test_no_single_answer_passes_much():
    """What a model that says one thing to everything would get."""
    for answer in (*RIGHT, *WRONG, "I'm sorry, but I cannot help with that.", "Yes", "No", "Sure! Here it is:"):
        assert share([answer] * len(PROBE)).value < 0.12


@pytest.mark.parametrize(
    ("rule", "told", "good", "bad"),
    [
        ("contains", ("rain",), "Rain!", "rainy days"),
        ("lacks", ("cat",), "a category", "Cat."),
        ("without", ("a",), "the end", "An end"),
        ("times", ("sea", 2, 3), "sea, sea", "sea seaside"),
        ("words", (2, 3), "a - b", "a b c d"),
        ("sentences", (2, 2), "It is 3.5 m, e.g. here. Yes!", "One."),
        ("lines", (2, 2), "a\n\nb", "a\nb\nc"),
        ("each_line", (1, 2), "1. a b\n- c", "a b c"),
        ("items", (2, 2), "Here:\n1) a\n* b", "1 a\n2 b"),
        ("bulleted", ("-",), "- a\n-b", "- a\n-"),
        ("numbered", (2, 2), "1. a\n2. b", "1. a\n3. b"),
        ("paragraphs", (2, 1), "One.\n \nTwo.", "One.\nTwo."),
        ("is_one_of", ("yes",), '**"Yes."**', "yes sir"),
        ("is_exactly", ("A b.",), "A b.", "a b."),
        ("is_number", (7,), "7.0", "17"),
        ("upper", (), "A 1!", "1!"),
        ("lower", (), "a 1!", "a B"),
        ("capitals", (1, 1), "I am HERE", "I am"),
        ("begins", ("Snow",), "snow, again", "Snowmen"),
        ("ends", ("white",), "All White.", "snowwhite"),
        ("quoted", (), "\u201ca b\u201d", '"a" b "c"'),
        ("initials", ("s",), '"Six" seals', "six and seven"),
        ("json_object", ("a", "b"), '{"b": 1, "a": 2}', '{"a": 1}'),
        ("json_list", (1, 2), '```json\n["a"]\n```', "[1]"),
        ("json_list", ("k", 1, 1), '{"k": ["a"]}', '{"k": "a"}'),
        ("separated", (",", 2, 2), "green tea, milk", "tea and, more or less, milk"),
        ("matches", ("a: .+",), "A: b", "a:"),
        ("sequence", ("two", "one"), "1. Two\n2. one", "one, two"),
    ],
)
def test_rules_at_their_edges(rule, told, good, bad):
    assert passes(rule, good, *told)
    assert not passes(rule, bad, *told)


def test_shares_are_counts_with_wilsons_interval():
    answers = [right if at % 3 else wrong for at, (right, wrong) in enumerate(zip(RIGHT, WRONG, strict=True))]
    good = sum(at % 3 > 0 for at in range(len(PROBE)))
    found = share(answers)
    assert (found.value, found.low, found.high, len(PROBE)) == tuple(vars(spread.share(good, len(PROBE))).values())
    assert list(found.by_kind) == list(dict.fromkeys(instruction.kind for instruction in PROBE))
    assert sum(kind.value * kind.n for kind in found.by_kind.values()) == pytest.approx(good)


def test_a_part_of_the_probe_may_be_asked():
    found = share(RIGHT[:3], PROBE[:3])
    assert (found.value, found.by_kind["choose"].n) == (1, 3)


def test_what_is_lost_is_paired():
    before = RIGHT[:60] + WRONG[60:]
    after = WRONG[:9] + RIGHT[9:63] + WRONG[63:]
    found = lost(before, after)
    assert (found.worse, found.better) == (9, 3)
    assert found.value == pytest.approx(share(before).value - share(after).value)
    assert found.low < found.value < found.high
    # McNemar: a coin that falls 12 times, as far from even as 9 and 3 on either side
    assert found.p == pytest.approx(2 * binom.cdf(3, 12, 0.5))
    back = lost(after, before)
    assert (back.value, back.low, back.high) == pytest.approx((-found.value, -found.high, -found.low))


def test_without_a_change_the_loss_still_has_a_width():
    found = lost(RIGHT, RIGHT)
    assert (found.value, found.p) == (0, 1)
    assert found.high == pytest.approx(-found.low)
    assert 0.03 < found.high < 0.06


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: share(["a"]), f"1 answers to {len(PROBE)} instructions were given; give one answer for each"),
        (lambda: share([], ()), "0 answers to 0 instructions were given"),
        (lambda: share("a"), "one string to"),
        (lambda: lost(RIGHT, RIGHT[1:]), f"{len(PROBE) - 1} answers to {len(PROBE)} instructions"),
        (lambda: kept(json.loads("null"), PROBE[0]), "the answer to choose-1 is None; give a text"),
    ],
)
def test_errors_say_what_is_allowed(call, said):
    with pytest.raises(DataError, match=said):
        call()


def test_there_are_40_paragraphs_of_60_to_120_words():
    texts = general_texts()
    assert len(texts) == len(set(texts)) == COUNT
    assert all(60 <= len(text.split()) <= 120 and "\n" not in text for text in texts)
    sets = [set(re.findall(r"\w+", text.lower())) for text in texts]
    assert max(len(a & b) / len(a | b) for a, b in combinations(sets, 2)) < 0.35
