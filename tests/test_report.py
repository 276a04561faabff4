"""The page and the card say what the record says, escape what users wrote, and need nothing but themselves."""

import json
import math
import re
import subprocess
import sys
from dataclasses import replace
from xml.etree import ElementTree

import pytest
from pages import Outline

from headstart.errors import DataError
from headstart.report import figures, wording
from headstart.report.card import card
from headstart.report.page import FEW_CLASSES, SHOWN_EXAMPLES, SHOWN_TEXT, page
from headstart.report.record import (
    Also,
    Bin,
    Calibration,
    ClassCount,
    Data,
    Depth,
    Example,
    Finding,
    LeftOut,
    Machine,
    Record,
    Rival,
    Rung,
    Score,
    Source,
    Stage,
)

PIXEL = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"
HOSTILE = (
    "<script>alert('x')</script>\n\"quoted\" & <b>bold</b> "
    + "W" * 300
    + " \u202e\u05e9\u05dc\u05d5\u05dd 🙂 | `x` {{ 7 * 7 }}"
)


def full_record() -> Record:
    """A run on two classes of pictures with every part filled."""
    shown = Example("cat/a.png", "cat", "dog", 0.973, None, PIXEL)
    return Record(
        headstart="0.1.0",
        created="2026-01-02T03:04:05+00:00",
        command="headstart fit photos/ --seed 7",
        seed=7,
        machine=Machine("a processor", 2, 24.0, "3.11.7", "Linux", {"numpy": "2.1.0"}),
        data=Data(
            path="photos",
            name="photos",
            fingerprint="ab" * 32,
            modality="image",
            task="classes",
            rows=250,
            classes=(ClassCount("cat", 100, 25), ClassCount("dog", 100, 25)),
            because={"task": "Two folders hold pictures."},
            left_out=(LeftOut("empty.jpg", "zero bytes"),),
            findings=(Finding("warning", "near duplicates", "Two look the same."),),
            split="A fifth was held out.",
            samples=(shown,),
        ),
        source=Source(
            "lite0", "efficientnet", "Apache-2.0", "the uploader", "example.org", "ImageNet", 18826032, "Small."
        ),
        depth=Depth(
            chosen=1,
            blocks=("stem", "stage1", "head"),
            taps=("stage1",),
            rule="Deeper did not pay.",
            curve=(
                Rung("head on stage1", 1, 0.91, 1.25, 0.87, 0.94, ("stage1",), True),
                Rung("last block and head", 2, 0.915, 17.4, 0.88, 0.95),
            ),
        ),
        score=Score("accuracy", 0.932, 0.901, 0.954, 50, "held-out test part"),
        also=(Also("macro_f1", 0.927, 0.9, 0.951),),
        against=(
            Rival("majority class", 0.5, 0.36, 0.64, 0.0, "always answers the most frequent class"),
            Rival("HOG + linear", 0.741, 0.69, 0.79, 1.3),
        ),
        confusion=((23, 2), (1, 24)),
        calibration=Calibration(0.031, 1.2, (Bin(0.65, 0.6, 10), Bin(0.95, 0.98, 40))),
        mistakes=(shown,),
        suspicious=(replace(shown, name="dog/b.png", probability=0.999),),
        stages=(Stage("read", 0.4, 300.0), Stage("features", 1.2, 812.0)),
        seconds=6.13,
        memory_mb=812.0,
    )


def bare_record() -> Record:
    """Only what a record cannot do without."""
    whole = full_record()
    data = Data("x", "x", "f" * 64, "text", "classes", 10)
    return Record("0.1.0", "2026", "headstart fit x", 0, whole.machine, data)


@pytest.mark.parametrize("record", [full_record(), bare_record()], ids=["full", "bare"])
def test_a_record_comes_back_from_its_json(record):
    assert Record.from_json(json.loads(json.dumps(record.to_json(), allow_nan=False))) == record


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"format": 2}, "This record has format 2; this version reads 1. Use the version that wrote it."),
        ({"seed": "7"}, "record.seed is '7'; it must be of type int. Write the record again."),
        ({"seed": True}, "record.seed is 'True'; it must be of type int. Write the record again."),
        ({"score": {"metric": "accuracy"}}, "record.score lacks ['value'] and has [] beyond what is known"),
        ({"shiny": 1}, "record lacks [] and has ['shiny'] beyond what is known"),
        ({"confusion": [[1, 2]]}, "The confusion has lengths [1, 2]; give one row and one column for each"),
    ],
)
def test_a_wrong_record_is_refused_with_the_place(change, sentence):
    with pytest.raises(DataError, match=re.escape(sentence)):
        Record.from_json(full_record().to_json() | change)


@pytest.mark.parametrize(
    ("metric", "point", "text"),
    [
        ("accuracy", (0.932, 0.901, 0.954), "93.2 % [90.1, 95.4]"),
        ("accuracy", (1.0, 1.0, 1.0), "100.0 % [100.0, 100.0]"),
        ("macro_f1", (0.5, None, None), "50.0 %"),
        ("rmse", (3.2149, 3.0, 12345.6), "3.21 [3.00, 12,346]"),
        ("r2", (-0.0512, -0.1, 0.0), f"{wording.MINUS}0.0512 [{wording.MINUS}0.100, 0]"),
        ("accuracy", (math.nan, 0.1, 0.2), f"{wording.DASH} [10.0, 20.0]"),
    ],
)
def test_figures_read_as_agreed(metric, point, text):
    assert wording.with_interval(metric, *point) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (0.423, "0.42 s"),
        (6.13, "6.1 s"),
        (61.2, "61 s"),
        (119.6, "2 min 0 s"),
        (250, "4 min 10 s"),
        (7500, "2 h 5 min"),
    ],
)
def test_durations_read_as_agreed(seconds, text):
    assert wording.duration(seconds) == text


@pytest.mark.parametrize(
    ("share", "text"), [(0.973, "97 %"), (0.999, "> 99 %"), (1.0, "100 %"), (0.001, "< 1 %"), (None, wording.DASH)]
)
def test_a_probability_is_never_rounded_to_certainty(share, text):
    assert wording.percent(share) == text


@pytest.mark.parametrize(
    ("metric", "ours", "theirs", "sentence"),
    [
        ("accuracy", (0.9, 0.88, 0.92), (0.7, 0.6, 0.8), "The head start is worth 20.0 points over HOG"),
        (
            "accuracy",
            (0.9, 0.85, 0.95),
            (0.88, 0.8, 0.93),
            "It is 2.0 points better than HOG, but the intervals overlap",
        ),
        ("accuracy", (0.6, 0.55, 0.65), (0.7, 0.66, 0.8), "HOG is better by 10.0 points"),
        ("rmse", (3.0, 2.8, 3.2), (4.5, 4.0, 5.0), "The head start is worth 1.50 over HOG"),
        ("rmse", (4.5, 4.0, 5.0), (3.0, 2.8, 3.2), "HOG is better by 1.50"),
        (
            "accuracy",
            (0.9, None, None),
            (0.7, 0.6, 0.8),
            "It is 20.0 points better than HOG, but the intervals overlap",
        ),
    ],
)
def test_the_verdict_follows_the_intervals(metric, ours, theirs, sentence):
    record = replace(full_record(), score=Score(metric, *ours, 50, "test"), against=(Rival("HOG", *theirs),))
    assert wording.verdict(record).startswith(sentence)


def test_the_page_shows_the_numbers_of_the_record():
    text = Outline(page(full_record())).text
    for shown in (
        "93.2 % of 50 new pictures get the right answer.",
        "between 90.1 and 95.4 %",
        "The head start is worth 19.1 points over HOG + linear",
        "93.2 % [90.1, 95.4] 6.1 s",
        "74.1 % [69.0, 79.0] 1.3 s",
        "92.7 % [90.0, 95.1]",
        "head on stage1 (chosen) 91.0 % [87.0, 94.0] 1.2 s",
        "said dog 97 % truth cat",
        "looks like dog > 99 % labelled cat",
        "A confidence is off by 3.1 points on average.",
        "empty.jpg zero bytes",
        "features 1.2 s 812 MB",
        "headstart fit photos/ --seed 7",
        "ab" * 32,
        "Apache-2.0, asserted by the uploader (upstream: example.org)",
    ):
        assert shown in text


def test_the_heat_map_has_the_counts_in_their_places():
    cells = re.findall(
        r'<td style="--v:([\d.]+)" class="(\w+)[^"]*" title="(\w+) answered as (\w+): \d+">(\d+)', page(full_record())
    )
    assert cells == [
        ("0.920", "right", "cat", "cat", "23"),
        ("0.080", "miss", "cat", "dog", "2"),
        ("0.040", "miss", "dog", "cat", "1"),
        ("0.960", "right", "dog", "dog", "24"),
    ]


def test_dots_stand_where_the_formula_puts_them():
    depth, height = full_record().depth, 200.0
    svg = ElementTree.fromstring(figures.depth_curve(depth, "accuracy", height))
    # scores 0.87..0.95 get the round range 0.86..0.96; costs get a factor 1.6 at both ends
    left, right = math.log10(1.25 / 1.6), math.log10(17.4 * 1.6)
    for rung in depth.curve:
        (group,) = [g for g in svg.iter("g") if g.find("title").text.startswith(rung.name)]
        dot, whisker = group.find("circle"), group.find("line")
        x = 100 * (math.log10(rung.seconds) - left) / (right - left)
        assert float(dot.get("cx").rstrip("%")) == pytest.approx(x, abs=0.01)
        assert float(dot.get("cy")) == pytest.approx(height * (0.96 - rung.score) / 0.10, abs=0.06)
        assert float(whisker.get("y1")) == pytest.approx(height * (0.96 - rung.low) / 0.10, abs=0.06)
        assert float(whisker.get("y2")) == pytest.approx(height * (0.96 - rung.high) / 0.10, abs=0.06)
        assert (group.get("class") == "rung chosen") == rung.chosen


def test_an_interval_spans_its_ends_on_the_axis():
    svg = ElementTree.fromstring(figures.interval_row(figures.Axis(0.5, 1.0), "accuracy", (0.9, 0.8, 0.95), "ours"))
    (span,) = [line for line in svg.iter("line") if line.get("class") == "range"]
    assert (span.get("x1"), span.get("x2"), svg.find("circle").get("cx")) == ("60.00%", "90.00%", "80.00%")


def test_stages_fill_the_bar_in_proportion():
    svg = ElementTree.fromstring(figures.stage_bar((Stage("a", 1.0), Stage("b", 3.0))))
    assert [(r.get("x"), r.get("width")) for r in svg.iter("rect")] == [("0.000%", "25.000%"), ("25.000%", "75.000%")]


@pytest.mark.parametrize("low", [-3.7, 0.0, 0.011, 40.0])
@pytest.mark.parametrize("span", [0.004, 0.3, 1.0, 7.0, 9000.0])
def test_ticks_are_round_few_and_inside(low, span):
    axis = figures.value_axis("rmse", [low, low + span])
    ticks = axis.ticks()
    step = ticks[1] - ticks[0]
    assert axis.low <= low + 1e-9
    assert axis.high >= low + span - 1e-9
    assert 3 <= len(ticks) <= 8
    assert round(step / 10 ** math.floor(math.log10(step) + 1e-9), 6) in (1, 2, 5)
    assert all(axis.low - 1e-9 <= tick <= axis.high + 1e-9 for tick in ticks)


def test_reliability_starts_a_tenth_below_what_was_seen():
    assert figures.confidence_axis((Bin(0.55, 0.6, 1),)) == figures.Axis(0.5, 1.0)
    assert figures.confidence_axis((Bin(0.55, 0.5, 1),)).low == pytest.approx(0.4)
    assert figures.confidence_axis((Bin(0.05, 0.0, 1),)).low == 0.0


def hostile_record() -> Record:
    """Every text that a user can bring in is hostile."""
    whole = full_record()
    bad = Example(HOSTILE, HOSTILE, HOSTILE, 0.9, HOSTILE, f'" onerror="alert(1)" {HOSTILE}')
    data = replace(
        whole.data,
        name=HOSTILE,
        path=HOSTILE,
        classes=(ClassCount(HOSTILE, 3, 1), ClassCount("dog\ud800", 3, 1)),
        samples=(bad,),
        left_out=(LeftOut(HOSTILE, HOSTILE),),
        findings=(Finding(HOSTILE, HOSTILE, HOSTILE),),
        split=HOSTILE,
        because={HOSTILE: HOSTILE},
    )
    source = replace(whole.source, name=HOSTILE, licence=HOSTILE, asserted_by=HOSTILE, upstream=HOSTILE)
    rival = Rival(HOSTILE, 0.5, 0.4, 0.6, 1.0, HOSTILE)
    depth = replace(whole.depth, blocks=(HOSTILE, "head"), curve=(Rung(HOSTILE, 1, 0.9, 1.0, 0.8, 0.95, (), True),))
    stages = (Stage(HOSTILE, 1.0),)
    return replace(
        whole,
        data=data,
        source=source,
        depth=depth,
        against=(rival,),
        mistakes=(bad,),
        suspicious=(bad,),
        stages=stages,
        command=HOSTILE,
    )


def test_hostile_texts_stay_texts():
    outline = Outline(page(hostile_record()))
    assert "script" not in outline.tags
    assert "b" in outline.tags
    assert outline.handlers == []
    assert "img" not in outline.tags  # a picture that is no picture is not shown
    assert "bold" not in [tag for tag in outline.tags if tag not in Outline(page(full_record())).tags]
    assert "<script>alert('x')</script>" in outline.text
    assert "{{ 7 * 7 }}" in outline.text


def test_the_same_tags_stand_in_a_page_of_kind_and_of_hostile_texts():
    hostile = hostile_record()
    kind = json.loads(json.dumps(hostile.to_json()).replace(json.dumps(HOSTILE)[1:-1], "kind"))
    assert Outline(page(Record.from_json(kind))).tags == Outline(page(hostile)).tags


@pytest.mark.parametrize("record", [full_record(), bare_record(), hostile_record()], ids=["full", "bare", "hostile"])
def test_the_page_needs_no_network_and_no_script(record):
    text = page(record)
    outline = Outline(text)
    assert all(address.startswith("data:image/") for address in outline.addresses)
    assert not {"script", "link", "iframe", "object", "embed", "form", "base"} & set(outline.tags)
    style = text[text.index("<style>") : text.index("</style>")]
    assert "@import" not in style
    assert "url(" not in style
    assert "@font-face" not in style
    text.encode("utf8")


HEADINGS = {
    "source": "The network",
    "calibration": "Is it as sure as it should be",
    "mistakes": "Worst mistakes",
    "suspicious": "Labels to look at",
    "stages": "What it cost",
    "confusion": "What is taken for what",
}


@pytest.mark.parametrize("part", HEADINGS)
def test_a_missing_part_takes_its_heading_with_it(part):
    whole = full_record()
    gone = {part: () if isinstance(getattr(whole, part), tuple) else None} | (
        {"depth": None} if part == "source" else {}
    )
    assert HEADINGS[part] in Outline(page(whole)).text
    assert HEADINGS[part] not in Outline(page(replace(whole, **gone))).text


def test_a_bare_record_leaves_no_empty_section():
    text = page(bare_record())
    assert re.findall(r"<h2>([^<]+)</h2>", text) == ["Model card", "Do it again"]
    assert not re.search(r"<(ul|table|dl|tbody|p|h3)[^>]*>\s*</\1>", text)
    assert "No score was measured in this run." in text


def test_numbers_get_a_scatter_and_no_confusion():
    whole = full_record()
    record = replace(
        whole,
        data=replace(whole.data, task="numbers", classes=()),
        score=Score("mae", 3.214, 2.98, 3.47, 400, "held-out test part"),
        confusion=None,
        scatter=((0.0, 10.0), (100.0, 90.0)),
    )
    text = page(record)
    svg = ElementTree.fromstring(re.search(r'<svg class="figure plot scatter".*?</svg>', text, re.S).group())
    dots = [(d.get("cx"), d.get("cy")) for d in svg.iter("circle")]
    # the range is -4..104: four per cent of room at both ends, 320 pixels high
    assert dots == [("3.70%", f"{320 * (104 - 10) / 108:.1f}"), ("96.30%", f"{320 * (104 - 90) / 108:.1f}")]
    assert "3.21 is how far an answer is off on average, over 400 new pictures." in Outline(text).text


def many_classes(count: int) -> Record:
    """Each class is taken for the next one once in ten."""
    whole = full_record()
    rows = [[0] * count for _ in range(count)]
    for truth in range(count):
        rows[truth][truth], rows[truth][(truth + 1) % count] = 9, 1
    rows[3][5] = 7
    classes = tuple(ClassCount(f"class{k}", 90 + k, 10) for k in range(count))
    return replace(whole, data=replace(whole.data, classes=classes), confusion=tuple(map(tuple, rows)))


def test_many_classes_become_pairs_worst_first():
    outline = Outline(page(many_classes(77)))
    assert "Most often confused class3 taken for class5 7 of 17" in outline.text
    assert "Hardest classes class3 53 %" in outline.text
    assert "heat" not in page(many_classes(77)).split("</style>")[1]


@pytest.mark.parametrize("count", [2, FEW_CLASSES, FEW_CLASSES + 1, 30])
def test_up_to_thirty_classes_have_a_heat_map_with_a_cell_for_each_pair(count):
    record = many_classes(max(count, 6)) if count > 2 else full_record()
    assert len(re.findall(r'<td style="--v:', page(record))) == count**2


def test_a_page_stays_small_however_much_there_is_to_tell():
    whole = many_classes(150)
    long = tuple(Example(f"row {k}", "a", "b", 0.9, "word " * 5000) for k in range(500))
    dots = tuple((float(k), float(k % 97)) for k in range(50_000))
    record = replace(whole, mistakes=long, suspicious=long, data=replace(whole.data, samples=long), scatter=dots)
    text = page(record)
    assert text.count("<blockquote") == 3 * SHOWN_EXAMPLES
    assert max(len(quote) for quote in re.findall(r"<blockquote[^>]*>(.*?)</blockquote>", text, re.S)) <= SHOWN_TEXT
    assert len(text) < 400_000
    assert len(page(bare_record())) < 30_000


def test_without_examples_mistakes_are_a_table_of_names():
    whole = full_record()
    record = replace(whole, mistakes=tuple(replace(m, picture=None) for m in whole.mistakes))
    assert "cat/a.png cat dog 97 %" in Outline(page(record)).text


def test_the_card_says_what_a_user_must_know():
    text = card(full_record())
    front, body = text.split("---\n", 2)[1:]
    assert 'license: "apache-2.0"' in front.splitlines()
    assert "pipeline_tag: image-classification" in front.splitlines()
    for shown in (
        "| **this model** | 93.2 % [90.1, 95.4] |",
        "| HOG + linear | 74.1 % [69.0, 79.0] |",
        "Measured on the held-out test part, 50 examples.",
        "one of 2 classes with its probability: *cat*, *dog*",
        "asserted by the uploader",
        "headstart predict photos.skill",
        "It rests on 50 pictures",
        "trained on ImageNet",
        "ab" * 8,
    ):
        assert shown in body


def test_hostile_texts_cannot_shape_the_card():
    text = card(hostile_record())
    fenced = re.sub(r"```.*?```", "", text, flags=re.S)
    body = fenced.split("\n---\n", 1)[1]
    assert "<script" not in body
    assert "\u202e" not in text
    heads = [line for line in body.splitlines() if line.startswith("#")]
    assert len(heads) == 7
    rows = [line for line in body.splitlines() if line.startswith("|")]
    assert all(len(re.findall(r"(?<!\\)\|", row)) == 3 for row in rows)
    assert text.count("```") == 6
    for line in text.split("\n---\n", 1)[0].splitlines():
        if line.startswith("- "):
            json.loads(line[2:])


def test_a_page_is_made_without_heavy_imports():
    code = (
        "import sys, headstart.report.page, headstart.report.card as c\n"
        "assert 'jinja2' not in sys.modules\n"
        "heavy = {'torch', 'matplotlib', 'numpy', 'sklearn', 'PIL', 'transformers'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "from headstart.report.record import Data, Machine, Record\n"
        "r = Record('0', '2026', 'x', 0, Machine('c', 1, 1.0, '3', 'l'), Data('x', 'x', 'f', 'text', 'classes', 1))\n"
        "headstart.report.page.page(r)\n"
        "heavy = {'torch', 'matplotlib', 'numpy', 'sklearn', 'PIL', 'transformers'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
