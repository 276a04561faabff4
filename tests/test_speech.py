"""The page and the card of a language model say what the record says, and nothing that users wrote is mark-up."""

import json
import math
import re
import subprocess
import sys
from dataclasses import replace
from xml.etree import ElementTree

import pytest
from pages import Outline

from headstart.report import speech_card as words
from headstart.report.page import SHOWN_TEXT
from headstart.report.record import Foretold, LeftOut, Machine, Stage
from headstart.report.speech import SHOWN_SAMPLES, page
from headstart.report.speech_card import card
from headstart.report.spoken import (
    Change,
    Figure,
    Guarded,
    Lengths,
    Recalled,
    Sample,
    Side,
    Spoken,
    SpokenRecord,
    Voice,
)
from headstart.report.wording import DASH, MINUS

TIMES = "\N{MULTIPLICATION SIGN}"
HOSTILE = (
    "<script>alert('x')</script>\n\"quoted\" & <b>bold</b> \x07\x1b[31m"
    + "W" * 300
    + " \u202e\u05e9\u05dc\u05d5\u05dd 🙂 | `x` {{ 7 * 7 }}"
)
NO_ENDS = [(None, None), (math.nan, math.nan)]


def chat() -> SpokenRecord:
    """Talks, with every part filled."""
    return SpokenRecord(
        data=Spoken(
            path="support/talks.jsonl",
            kind="chat",
            train=480,
            test=60,
            how="One talk in nine was held out, drawn by seed 7; no talk of one customer is on both sides.",
            tokens=182_400,
            told=61_300,
            shortened=14,
            cut_tokens=2_310,
            personal={"mail": 12, "phone": 1, "iban": 0},
            masked=False,
            unknown=0.003,
            fingerprint="ab" * 32,
            left_out=(LeftOut("line 17", "the answer is empty"), LeftOut("line 90", "no turn of the assistant")),
            because={"kind": "Each line has a list of turns with roles."},
        ),
        voice=Voice(
            source="smollm2-135m",
            architecture="llama, 30 blocks of 576",
            licence="Apache-2.0",
            asserted_by="the uploader",
            upstream="example.org",
            trained_on="2 T tokens of English web text",
            digest="cd" * 32,
            depth=6,
            blocks=30,
            update="all",
            rank=None,
            parameters=134_515_008,
            learned=21_240_000,
            epochs=3,
            lr=3e-4,
            batch=8,
            window=1024,
            precision="bfloat16",
            losses=(2.14, 1.41, 1.18),
            tokens_per_second=1_930.0,
            stored=True,
            seconds=283.0,
            pieces=2,
            rule="Six blocks, since two more won less than the noise on talks that chose.",
        ),
        untuned=Side(
            perplexity=Figure(13.02, 12.11, 14.03, 60),
            scores={"chrf": Figure(0.213, 0.19, 0.236, 60)},
            lengths=Lengths((84.0, 12.0, 128.0), 0.214, 0.183, 0.0167),
            general=Figure(22.1, 20.4, 23.9, 40),
            probe=Figure(0.62, 0.47, 0.75, 41),
        ),
        tuned=Side(
            perplexity=Figure(3.1, 2.9, 3.4, 60),
            scores={"chrf": Figure(0.341, 0.312, 0.37, 60)},
            lengths=Lengths((31.0, 8.0, 77.0), 0.021, 0.0, 0.0),
            general=Figure(22.8, 21.0, 24.7, 40),
            probe=Figure(0.59, 0.43, 0.72, 41),
        ),
        change=Change(
            perplexity=Figure(0.238, 0.22, 0.26, 60),
            general=Figure(1.031, 1.019, 1.044, 40),
            scores={"chrf": Figure(0.128, 0.1, 0.155, 60)},
            probe=Figure(0.03, -0.02, 0.08, 41),
        ),
        lead={},
        instruction="",
        recalled=Recalled(
            least=12,
            share=Figure(0.117, 0.058, 0.222, 60),
            reference=Figure(0.05, 0.017, 0.137, 60),
            copies=Figure(0.033, 0.009, 0.114, 60),
            longest=21,
            runs=(
                "please restart the router and wait until the second light is green before you try again",
                "you can send it back within thirty days at no cost from any post office",
            ),
        ),
        guarded=Guarded(
            limit=0.05,
            share=0.75,
            tried={"0": 1.0, "0.25": 0.998, "0.5": 1.006, "0.75": 1.029, "1.0": 1.071},
            fit={"0": 12.8, "0.25": 5.9, "0.5": 3.9, "0.75": 3.2, "1.0": 3.05},
            rule="The largest share that keeps the limit on texts that chose.",
        ),
        samples=(
            Sample(
                "line 12",
                "My router shows a red light since the storm last night. What can I do?",
                "Please switch it off, wait ten seconds and switch it on again. If the light stays red, tell us its "
                "serial number and we send a new one.",
                "I'm sorry to hear that. " * 6,
                "Please switch it off and wait ten seconds before you switch it on again. If it is still red, send us "
                "the serial number.",
            ),
            Sample(
                "line 31",
                "\u05e9\u05dc\u05d5\u05dd, \u05d0\u05d9\u05da \u05d0\u05e0\u05d9 \u05de\u05d7\u05d6\u05d9\u05e8 "
                "\u05de\u05d5\u05e6\u05e8?",
                "\u05d0\u05e4\u05e9\u05e8 \u05dc\u05d4\u05d7\u05d6\u05d9\u05e8 \u05ea\u05d5\u05da "
                "\u05e9\u05dc\u05d5\u05e9\u05d9\u05dd \u05d9\u05d5\u05dd.",
                "",
                "You can send it back within thirty days.",
            ),
            Sample(
                "line 47", "Tell me everything about your prices. " * 40, "It depends. " * 70, "Sure! " * 200, "Ok."
            ),
        ),
        machine=Machine("a processor", 2, 24.0, "3.11.7", "Linux", {"torch": "2.6.0", "transformers": "5.0.0"}),
        headstart="0.1.0",
        seed=7,
        stages=(Stage("read", 0.4, 300.0), Stage("store", 61.0, 1_210.0), Stage("learn", 222.0, 1_812.0)),
        seconds=412.0,
        memory_mb=1_812.0,
        joules=5_120.0,
        energy="estimated",
        created="2026-01-02T03:04:05+00:00",
        command="headstart fit support/talks.jsonl --seed 7",
        foretold=(
            Foretold("score", 3.3, 2.8, 3.9, 3.1),
            Foretold("seconds", 300.0, 200.0, 400.0, 412.0),
            Foretold("memory_mb", 1_700.0, 1_400.0, 2_100.0, 1_812.0),
        ),
    )


def summaries() -> SpokenRecord:
    """Documents with summaries; the gain is beyond chance, over the first sentence it is not."""
    whole = chat()
    names = ("rouge1", "rouge2", "rougeL", "chrf")

    def of(*values: float, wide: float = 0.02) -> dict[str, Figure]:
        return {name: Figure(v, v - wide, v + wide, 120) for name, v in zip(names, values, strict=False)}

    return replace(
        whole,
        data=replace(whole.data, path="notes.csv", kind="summaries", train=900, test=120, masked=True),
        untuned=replace(whole.untuned, perplexity=Figure(18.4, 17.0, 19.9, 120), scores=of(0.289, 0.081, 0.2, 0.27)),
        tuned=replace(whole.tuned, perplexity=Figure(9.7, 9.1, 10.4, 120), scores=of(0.342, 0.121, 0.251, 0.301)),
        change=replace(
            whole.change,
            perplexity=Figure(0.527, 0.5, 0.55, 120),
            scores=of(0.053, 0.04, 0.051, 0.005, wide=0.013),
        ),
        lead=of(0.32, 0.11, 0.229),
        instruction="Summarise in one sentence:",
        foretold=(Foretold("score", 0.33, 0.28, 0.39, 0.342),),
        samples=whole.samples[:1],
    )


def text() -> SpokenRecord:
    """Plain texts; nothing was written, no interval beyond one, no change that is shown."""
    whole = chat()
    quiet = {"scores": {}, "lengths": None, "probe": None}
    return replace(
        whole,
        data=replace(whole.data, kind="text", personal={}, left_out=(), because={}, unknown=0.12),
        untuned=replace(whole.untuned, perplexity=Figure(31.0, 25.0, 40.0, 12), **quiet),
        tuned=replace(whole.tuned, perplexity=Figure(30.0, 24.0, 39.0, 12), **quiet),
        change=Change(Figure(0.97, 0.9, 1.04, 12), Figure(1.0, 0.99, 1.01, 40), {}, None),
        voice=replace(whole.voice, update="lora", rank=8, losses=(3.4,), epochs=1, stored=False, depth=30),
        recalled=None,
        guarded=None,
        samples=(),
        stages=(),
        foretold=(),
    )


def hostile() -> SpokenRecord:
    """Every text that a user, a network or its card can bring in is hostile."""
    whole = chat()
    bad = Sample(HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE)
    return replace(
        whole,
        data=replace(
            whole.data,
            path=HOSTILE,
            how=HOSTILE,
            fingerprint=HOSTILE,
            personal={HOSTILE: 3},
            left_out=(LeftOut(HOSTILE, HOSTILE),),
            because={HOSTILE: HOSTILE},
        ),
        voice=replace(
            whole.voice,
            source=HOSTILE,
            architecture=HOSTILE,
            licence=HOSTILE,
            asserted_by=HOSTILE,
            upstream=HOSTILE,
            trained_on=HOSTILE,
            digest=HOSTILE,
            update=HOSTILE,
            precision=HOSTILE,
            rule=HOSTILE,
        ),
        recalled=replace(whole.recalled, runs=(HOSTILE,)),
        guarded=replace(whole.guarded, rule=HOSTILE),
        samples=(bad, bad),
        instruction=HOSTILE,
        stages=(Stage(HOSTILE, 1.0),),
        command=HOSTILE + "\n```\n# mine",
        created="\ud800",
    )


ALL = {"chat": chat(), "summaries": summaries(), "text": text(), "hostile": hostile()}


def shows(record: SpokenRecord) -> str:
    return Outline(page(record)).text


@pytest.mark.parametrize("record", [chat(), summaries(), text()], ids=["chat", "summaries", "text"])
def test_a_record_comes_back_from_its_json(record):
    assert SpokenRecord.from_json(json.loads(json.dumps(record.to_json(), allow_nan=False))) == record


def test_the_page_of_talks_shows_the_numbers_of_the_record():
    seen = shows(chat())
    for told in (
        f"4.2 {TIMES} as likely as before is each token of the answers in 60 new talks, on average.",
        "Perplexity 3.10 [2.90, 3.40] against 13.0 [12.1, 14.0] untuned; lower is better.",
        "it is between 3.8 and 4.5 times as likely",
        "What it writes by itself is 12.8 points of chrF closer to the references.",
        f"perplexity 13.0 [12.1, 14.0] 3.10 [2.90, 3.40] {TIMES} 0.24 [0.22, 0.26]",
        "chrF 21.3 [19.0, 23.6] 34.1 [31.2, 37.0] +12.8 [+10.0, +15.5]",
        "drawn by seed 7 and not picked",
        "is 3.1 % (1.9 to 4.4) higher, 22.8 against 22.1.",
        f"follows 59.0 %, before 62.0 %: 3.0 points ({MINUS}2.0 to 8.0) lost, which may be chance.",
        "At most 5.0 % more perplexity",
        "stands at 75 % of the way",
        "11.7 % (5.8 to 22.2) of its texts say 12 words or more in a row",
        "Of the references 5.0 % (1.7 to 13.7) do",
        "The longest run has 21 words.",
        "wait until the second light is green",
        "end in a loop 18.3 % 0.0 %",
        "words, 5 % to 95 % 12 to 128 8 to 77",
        "480 talks to learn from, 60 talks held out",
        "182,400, of which it learns to say 61,300 (34 %)",
        "14 talks, which lost 2,310 tokens",
        "12 mail addresses, 1 phone number , left as they are",
        "line 17 the answer is empty",
        "the last 6 of 30 blocks, with all of their weights; 21.2 million of 135 million parameters (16 %).",
        "1,930 tokens a second",
        "8 rows, in 2 pieces",
        "Held blocks ran once",
        "store 61 s 1.21 GB",
        "perplexity 3.30 2.80 to 3.90 3.10 as foretold",
        "time 5 min 0 s 3 min 20 s to 6 min 40 s 6 min 52 s outside",
        "Apache-2.0, asserted by the uploader (upstream: example.org)",
        "headstart fit support/talks.jsonl --seed 7",
        "ab" * 32,
    ):
        assert told in seen


def test_the_page_of_summaries_has_the_first_sentence_beside_them():
    seen = shows(summaries())
    for told in (
        "+5.3 points of ROUGE-1 over the untuned network, on 120 new documents.",
        "The first sentence of a document alone has 32.0 [30.0, 34.0]: the summaries are 2.2 points better, but the "
        "intervals overlap: that is no proof.",
        "untuned first sentence tuned change",
        "ROUGE-2 8.1 [6.1, 10.1] 11.0 [9.0, 13.0] 12.1 [10.1, 14.1] +4.0 [+2.7, +5.3]",
        f"+0.5 [{MINUS}0.8, +1.8] may be chance",
        "ROUGE-1 33.0 28.0 to 39.0 34.2 as foretold",
        "was told “ Summarise in one sentence: ”",
        "12 mail addresses, 1 phone number , replaced before it learned.",
    ):
        assert told in seen


@pytest.mark.parametrize(
    ("tuned", "lead", "sentence"),
    [
        ((0.4, 0.38, 0.42), (0.3, 0.28, 0.32), "the summaries are 10.0 points better."),
        ((0.3, 0.28, 0.32), (0.31, 0.29, 0.33), "the summaries are no better than that."),
        ((0.4, None, None), (0.3, 0.28, 0.32), "10.0 points better, without intervals to prove it."),
    ],
)
def test_summaries_are_held_against_the_first_sentence(tuned, lead, sentence):
    whole = summaries()
    after = replace(whole.tuned, scores={"rouge1": Figure(*tuned, 120)})
    assert sentence in shows(replace(whole, tuned=after, lead={"rouge1": Figure(*lead, 120)}))


def test_summaries_that_were_not_written_are_judged_by_perplexity():
    whole = summaries()
    seen = shows(replace(whole, tuned=replace(whole.tuned, scores={}), lead={}))
    assert f"1.90 {TIMES} as likely as before is each token of the summaries of 120 new documents" in seen


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            (0.97, 0.9, 1.04),
            f"1.03 {TIMES} as likely as before is each token of 12 new texts, on average: no gain that can",
        ),
        (
            (1.0, 1.0, 1.0),
            f"1.00 {TIMES} as likely as before is each token of 12 new texts, on average: no gain that can",
        ),
        ((1.3, 1.1, 1.6), f"0.77 {TIMES} as likely as before is each token of 12 new texts, on average: it got worse."),
        ((0.5, None, None), "on average: without an interval that proves nothing."),
    ],
)
def test_no_gain_is_said_where_the_interval_holds_no_change(change, said):
    whole = text()
    record = replace(whole, change=replace(whole.change, perplexity=Figure(*change, 12)))
    assert said in shows(record)
    assert said.split(", on average")[-1].rstrip(".") in card(record)


@pytest.mark.parametrize("ends", NO_ENDS)
def test_a_missing_interval_is_a_dash_and_proves_nothing(ends):
    whole = chat()
    alone = replace(
        whole,
        untuned=replace(whole.untuned, perplexity=Figure(13.0, *ends, 1)),
        tuned=replace(whole.tuned, perplexity=Figure(3.1, *ends, 1)),
        change=replace(whole.change, perplexity=Figure(0.238, *ends, 1)),
    )
    seen = shows(alone)
    assert f"perplexity 13.0 {DASH} 3.10 {DASH} {TIMES} 0.24 {DASH} no interval" in seen
    assert "nan" not in page(alone).lower()
    assert "Perplexity 3.10 against 13.0 untuned; lower is better." in seen


def test_numbers_that_are_none_are_dashes():
    nan, whole = Figure(math.nan, math.nan, math.nan, 0), chat()
    record = replace(
        whole,
        untuned=replace(whole.untuned, perplexity=nan, general=nan),
        tuned=replace(whole.tuned, perplexity=nan, general=nan, lengths=Lengths((math.nan,) * 3, None, 0.0, 1.0)),
        change=replace(whole.change, perplexity=nan, general=nan),
        guarded=replace(whole.guarded, tried={"0": math.nan}, fit={}),
    )
    seen = shows(record)
    assert f"perplexity {DASH} {DASH} {DASH} {DASH} {TIMES} {DASH} {DASH} no interval" in seen
    assert f"runs of four words said before 21.4 % {DASH} end in a loop" in seen
    assert "plain prose that no training saw" not in seen
    assert "nan" not in seen.lower()


HEADINGS = {
    "samples": "Side by side",
    "stages": "What it cost",
    "foretold": "What the plan foretold",
}


@pytest.mark.parametrize("part", HEADINGS)
def test_a_missing_part_takes_its_heading_with_it(part):
    whole = chat()
    assert HEADINGS[part] in shows(whole)
    assert HEADINGS[part] not in shows(replace(whole, **{part: ()}))


def test_what_was_not_measured_has_no_section():
    found = page(text())
    assert re.findall(r"<h2>([^<]+)</h2>", found) == [
        "What it learned",
        "What it kept",
        "The data",
        "How it learned",
        "Model card",
        "Do it again",
    ]
    assert not re.search(r"<(ul|table|dl|tbody|p|h3)[^>]*>\s*</\1>", found)
    assert "mean loss 3.40 nats" in shows(text())
    assert "adapters of rank 8" in shows(text())


def test_few_whole_characters_are_warned_of():
    assert "12.0 % of the tokens stand for no whole character" in shows(text())
    assert "stand for no whole character" not in shows(chat())


def test_hostile_texts_stay_texts():
    outline = Outline(page(hostile()))
    assert "<script>alert('x')</script>" in outline.text
    assert "{{ 7 * 7 }}" in outline.text
    assert outline.handlers == []
    assert not {"script", "img"} & set(outline.tags)
    page(hostile()).encode("utf8")


def test_the_same_tags_stand_in_a_page_of_kind_and_of_hostile_texts():
    kind = json.loads(json.dumps(hostile().to_json()).replace(json.dumps(HOSTILE)[1:-1], "kind"))
    assert Outline(page(SpokenRecord.from_json(kind))).tags == Outline(page(hostile())).tags


@pytest.mark.parametrize("name", ALL)
def test_texts_of_samples_choose_their_own_direction(name):
    quotes = re.findall(r"<blockquote[^>]*>", page(ALL[name]))
    assert all('dir="auto"' in quote for quote in quotes)


@pytest.mark.parametrize("name", ALL)
def test_the_page_needs_no_network_and_no_script(name):
    found = page(ALL[name])
    outline = Outline(found)
    assert outline.addresses == []
    assert not {"script", "link", "iframe", "object", "embed", "form", "base", "a"} & set(outline.tags)
    style = found[found.index("<style>") : found.index("</style>")]
    assert not {"@import", "url(", "@font-face"} & set(re.findall(r"@import|url\(|@font-face", style))


def test_a_page_stays_small_however_much_there_is_to_tell():
    long = tuple(Sample(f"line {k}", *("word " * 5000,) * 4) for k in range(500))
    gone = tuple(LeftOut(f"line {k}", "empty") for k in range(5000))
    whole = chat()
    found = page(replace(whole, samples=long, data=replace(whole.data, left_out=gone)))
    quotes = re.findall(r"<blockquote[^>]*>(.*?)</blockquote>", found, re.S)
    assert len(quotes) == 4 * SHOWN_SAMPLES
    assert max(map(len, quotes)) <= SHOWN_TEXT
    assert len(found) < 150_000
    assert "and 4988 more" in found


def test_dots_stand_where_the_shares_are():
    figure = ElementTree.fromstring(re.search(r'<svg class="figure plot trade".*?</svg>', page(chat()), re.S).group())
    dots = {d.get("cx"): (d.get("cy"), d.get("class")) for d in figure.iter("circle")}
    # the values 0.998 to 1.071 get the range 0.98 to 1.08; 150 pixels high
    high = {"0.00%": 1.0, "25.00%": 0.998, "50.00%": 1.006, "75.00%": 1.029, "100.00%": 1.071}
    assert {x: float(y) for x, (y, _) in dots.items()} == pytest.approx(
        {x: 150 * (1.08 - value) / 0.1 for x, value in high.items()}, abs=0.06
    )
    assert [x for x, (_, name) in dots.items() if name == "dot chosen"] == ["75.00%"]
    (limit,) = [line for line in figure.iter("line") if line.get("class") == "limit"]
    assert float(limit.get("y1")) == pytest.approx(150 * (1.08 - 1.05) / 0.1, abs=0.06)


@pytest.mark.parametrize(("value", "shown"), [(1.175, "1.18"), (4.21, "4.2"), (12.6, "13"), (math.inf, DASH)])
def test_factors_read_as_agreed(value, shown):
    assert words.times(value) == shown


@pytest.mark.parametrize(
    ("metric", "change", "standing"),
    [
        ("perplexity", (0.9, 0.8, 0.99), "better"),
        ("perplexity", (0.9, 0.8, 1.0), "level"),
        ("perplexity", (1.2, 1.1, 1.3), "worse"),
        ("chrf", (0.1, 0.05, 0.2), "better"),
        ("chrf", (0.1, 0.0, 0.2), "level"),
        ("chrf", (-0.1, -0.2, -0.05), "worse"),
        ("chrf", (0.1, math.nan, 0.2), "alone"),
    ],
)
def test_a_change_is_better_only_beyond_its_interval(metric, change, standing):
    assert words.standing(metric, Figure(*change, 9)) == standing


def test_the_card_states_licence_and_figures():
    front, body = card(summaries()).split("---\n", 2)[1:]
    assert 'license: "apache-2.0"' in front.splitlines()
    assert "pipeline_tag: summarization" in front.splitlines()
    assert [line for line in front.splitlines() if "rouge" in line] == ['- "rouge"']
    for told in (
        "+5.3 points of ROUGE-1 over the untuned network, on 120 new documents.",
        "| | untuned | first sentence | tuned | change |",
        "| perplexity | 18.4 [17.0, 19.9] |  | 9.70 [9.10, 10.4] | 0.53 [0.50, 0.55] |",
        "| ROUGE-1 | 28.9 [26.9, 30.9] | 32.0 [30.0, 34.0] | 34.2 [32.2, 36.2] | +5.3 [+4.0, +6.6] |",
        f"| +0.5 [{MINUS}0.8, +1.8] (may be chance) |",
        "The pretrained weights are under Apache-2.0, asserted by the uploader (upstream: example.org).",
        "was replaced; what they missed may be said again",
        "it says what is likely, not what is true",
        "headstart fit support/talks.jsonl --seed 7",
        "trained on 2 T tokens of English web text",
    ):
        assert told in body


def test_the_card_warns_of_personal_data_and_of_unknown_tokens():
    assert "(12 mail addresses, 1 phone number) may be said again word for word" in card(chat())
    assert "Patterns found no personal data." in card(text())
    assert "It reads 12 % of its tokens as pieces of characters" in card(text())


def test_what_is_recalled_is_a_limit_only_beyond_what_people_repeat():
    whole = chat()
    more = replace(whole, recalled=replace(whole.recalled, share=Figure(0.6, 0.47, 0.71, 60)))
    assert "It says training answers again word for word, in 60.0 % of its texts" in " ".join(words.limits(more))
    assert "It says training answers again" not in " ".join(words.limits(whole))


def test_hostile_texts_cannot_shape_the_card():
    found = card(hostile())
    body = re.sub(r"```.*?```", "", found, flags=re.S).split("\n---\n", 1)[1]
    assert "<script" not in body
    assert not re.search("[\u202e\x07\x1b]", found)
    assert len([line for line in body.splitlines() if line.startswith("#")]) == 6
    lines = [line for line in body.splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines} == {5}
    assert found.count("```") == 2
    for line in found.split("\n---\n", 1)[0].splitlines():
        if line.startswith("- "):
            json.loads(line[2:])


def test_a_page_is_made_without_heavy_imports():
    code = (
        "import sys, headstart.report.speech, headstart.report.speech_card\n"
        "heavy = {'torch', 'matplotlib', 'numpy', 'sklearn', 'PIL', 'transformers', 'jinja2'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
