"""What a fit kept: its record, its sentences, and dots that stand where the figures put them."""

import json
import re
from dataclasses import replace
from itertools import combinations
from xml.etree import ElementTree

import numpy as np
import pytest
from test_report import HOSTILE, Outline, full_record

from headstart.errors import DataError
from headstart.report import kept as told
from headstart.report import labels, trade
from headstart.report.card import card
from headstart.report.page import page
from headstart.report.record import Also, Guarded, Kept, Layer, Mix, Record

SHARES = ((0.0, 0.85, 0.871), (0.5, 0.842, 0.9), (1.0, 0.79, 0.912))  # share, old task, new task


def of_guard(old_metric="accuracy", new_metric="accuracy", sign=1.0):
    """A fit under a guard of answers, half of the way; `sign` turns scores for metrics where less is better."""

    def mix(share, old, new):
        return Mix(share, Also(old_metric, sign * old), Also(new_metric, sign * new), share == 0.5)

    def guarded(name, strength, old, new, seconds):
        scores = Also(old_metric, sign * old), Also(new_metric, sign * new)
        return Guarded(name, strength, *scores, seconds, name == "lwf")

    return Kept(
        guard="lwf",
        strength=4.0,
        limit=0.02,
        rule="Most is gained within the limit. ",
        path="old/reviews.csv",
        rows=2000,
        before=Also(old_metric, 0.861, 0.84, 0.88),
        after=Also(old_metric, 0.852, 0.83, 0.87),
        lost=Also(old_metric, 0.009, 0.001, 0.0172),
        gain=Also(new_metric, 0.032, 0.018, 0.046),
        agreement=0.963,
        probe_agreement=0.984,
        old_head="skill reviews",
        layers=(Layer("stem", 1.0, 1.0), Layer("block1", 0.95, 0.98), Layer("block2", 0.87, 0.93)),
        mixes=tuple(mix(*row) for row in SHARES),
        tried=(
            guarded("", 0.0, 0.76, 0.915, 31.2),
            guarded("lwf", 4.0, 0.842, 0.9, 45.1),
            guarded("replay", 1.0, 0.835, 0.894, 58.0),
        ),
    )


def without_old_data():
    """The network's own head was there, data of its task was not."""
    gone = {"limit": None, "before": None, "after": None, "lost": None, "path": "", "rows": 0}
    return replace(of_guard(), guard="", strength=0.0, rule="", mixes=(), tried=(), **gone)


def drawn(svg, tag, kind):
    return [e for e in ElementTree.fromstring(svg).iter(tag) if kind in e.get("class", "").split()]


@pytest.mark.parametrize("kept", [of_guard(), without_old_data()], ids=["old data", "none"])
def test_a_record_of_what_was_kept_comes_back_from_its_json(kept):
    record = replace(full_record(), kept=kept)
    assert Record.from_json(json.loads(json.dumps(record.to_json(), allow_nan=False))) == record


def test_a_record_that_was_written_before_there_was_a_kept_is_read():
    old = {name: value for name, value in full_record().to_json().items() if name != "kept"}
    assert Record.from_json(json.loads(json.dumps(old))) == full_record()
    assert "What it kept" not in Outline(page(full_record())).text


def test_a_wrong_part_of_what_was_kept_is_refused_with_its_place():
    data = replace(full_record(), kept=of_guard()).to_json()
    data["kept"]["mixes"][1]["share"] = "half"
    with pytest.raises(DataError, match=re.escape("record.kept.mixes[1].share is 'half'; it must be of type float")):
        Record.from_json(data)


def test_the_page_shows_the_numbers_of_what_was_kept():
    text = Outline(page(replace(full_record(), kept=of_guard()))).text
    for shown in (
        "Going deeper gained 3.2 points (1.8 to 4.6) on the new task over a new head alone and lost 0.9 points "
        "(0.1 to 1.7) of the old one.",
        "The old head (skill reviews) had 86.1 % accuracy on the old task and has 85.2 %; it answers 96 % of the new "
        "data and 98 % of the built-in probe set as it did before.",
        "The old task was guarded by lwf 4. Most is gained within the limit.",
        "on 2,000 rows of old/reviews.csv",
        # 0.9 + 84.2 - 85.0 points, and 3.2 + 87.1 - 90.0
        "before 0.1 0.3 85.0 % 87.1 %",
        "lwf 4, 50 % of the way (chosen) 0.9 3.2 84.2 % 90.0 % 45 s",
        "all the way 6.1 4.4 79.0 % 91.2 %",
        "no guard 9.1 4.7 76.0 % 91.5 % 31 s",
        "replay 1 1.6 2.6 83.5 % 89.4 % 58 s",
        "limit 2.0",
    ):
        assert shown in text
    order = [text.index(part) for part in ("How deep", "What it kept", "What is taken for what")]
    assert order == sorted(order)


def test_dots_stand_by_what_was_lost_and_gained():
    kept = of_guard()
    svg = trade.trade(kept)
    way = [(0.9 + 84.2 - 100 * old, 3.2 + 100 * new - 90.0) for _, old, new in SHARES]
    others = [(0.9 + 84.2 - 76.0, 3.2 + 91.5 - 90.0), (0.9 + 84.2 - 83.5, 3.2 + 89.4 - 90.0)]
    # from 0 to all of it, the interval of the gain and a twentieth of the range at both ends
    (left, right), (low, high) = ((a - 0.05 * (b - a), b + 0.05 * (b - a)) for a, b in ((0, 9.1), (0, 4.7)))
    for dot, (lost, gained) in zip(drawn(svg, "circle", "dot"), [way[0], way[2], *others, way[1]], strict=True):
        assert float(dot.get("cx").rstrip("%")) == pytest.approx(100 * (lost - left) / (right - left), abs=0.01)
        assert float(dot.get("cy")) == pytest.approx(300 * (high - gained) / (high - low), abs=0.06)
    (line,) = drawn(svg, "line", "limit")
    assert float(line.get("x1").rstrip("%")) == pytest.approx(100 * (2.0 - left) / (right - left), abs=0.01)
    across, upright = drawn(svg, "line", "range")
    ends = [100 * (v - left) / (right - left) for v in (0.1, 1.72)]
    assert [float(across.get(x).rstrip("%")) for x in ("x1", "x2")] == pytest.approx(ends, abs=0.01)
    ends = [300 * (high - v) / (high - low) for v in (1.8, 4.6)]
    assert [float(upright.get(y)) for y in ("y1", "y2")] == pytest.approx(ends, abs=0.06)


def test_one_dot_is_chosen_though_its_guard_and_its_share_both_are():
    assert len(drawn(trade.trade(of_guard()), "circle", "chosen")) == 1
    assert [spot.name for spot in told.spots(of_guard()) if spot.chosen] == ["lwf 4, 50 % of the way"]


def test_errors_that_grow_are_lost_and_errors_that_shrink_are_gained():
    points, errors = told.spots(of_guard()), told.spots(of_guard("rmse", "mae", sign=-1.0))
    assert [100 * spot.lost for spot in errors] == pytest.approx([spot.lost for spot in points])
    assert [100 * spot.gained for spot in errors] == pytest.approx([spot.gained for spot in points])
    assert told.headline(of_guard("rmse", "mae")) == (
        "Going deeper gained 0.0320 of mean absolute error (0.0180 to 0.0460) on the new task over a new head alone "
        "and lost 0.00900 of root mean square error (0.00100 to 0.0172) of the old one."
    )


def test_without_a_judged_gain_all_is_gained_over_the_weights_before():
    kept = replace(of_guard(), gain=None)
    text = Outline(page(replace(full_record(), kept=kept))).text
    assert "Going deeper lost 0.9 points (0.1 to 1.7) of the old task." in text
    assert "before 0.1 0.0 85.0 % 87.1 % lwf 4, 50 % of the way (chosen) 0.9 2.9 84.2 % 90.0 %" in text
    assert len(drawn(trade.trade(kept), "line", "range")) == 1


@pytest.mark.parametrize(("low", "doubted"), [(-0.001, True), (0.001, False), (None, False)])
def test_a_loss_that_may_be_none_is_said_to_be_chance(low, doubted):
    kept = replace(of_guard(), lost=Also("accuracy", 0.009, low, 0.0172))
    assert ("may be chance" in told.headline(kept)) == doubted


def test_without_old_data_answers_and_layers_tell():
    text = page(replace(full_record(), kept=without_old_data()))
    shown = Outline(text).text
    assert "Going deeper gained 3.2 points (1.8 to 4.6) on the new task over a new head alone." in shown
    assert "The old head (skill reviews) answers 96 % of the new data and 98 % of the built-in probe set as" in shown
    assert "Nothing guarded the old task in training." in shown
    assert 'class="figure plot alike"' in text
    assert 'class="figure plot trade"' not in text


def test_layers_stand_at_their_alignment():
    svg = ElementTree.fromstring(trade.alike(of_guard().layers, 200.0))
    # values from 0.87 to 1 get the round range 0.85..1
    for kind, values in (("new", (1.0, 0.95, 0.87)), ("probe", (1.0, 0.98, 0.93))):
        (group,) = [g for g in svg.iter("g") if g.get("class") == kind]
        heights = [float(dot.get("cy")) for dot in group.iter("circle")]
        assert heights == pytest.approx([200 * (1 - value) / 0.15 for value in values], abs=0.06)
        assert [dot.get("cx") for dot in group.iter("circle")] == ["16.67%", "50.00%", "83.33%"]


def test_layers_without_a_probe_set_have_one_curve():
    svg = trade.alike(tuple(Layer(f"block{k}", 1 - k / 20, None) for k in range(12)))
    assert len(drawn(svg, "circle", "dot")) == 12
    assert "probe set" not in [text.text for text in ElementTree.fromstring(svg).iter("text")]


def test_the_card_has_one_sentence_of_what_was_kept():
    text = card(replace(full_record(), kept=of_guard()))
    assert text.count("and lost 0.9 points (0.1 to 1.7) of the old one.") == 1
    assert "Going deeper" not in card(full_record())


def hostile(kept):
    """Every text that a user can bring in is hostile."""
    return replace(
        kept,
        guard=HOSTILE,
        rule=HOSTILE,
        path=HOSTILE,
        old_head=HOSTILE,
        layers=tuple(replace(layer, name=HOSTILE) for layer in kept.layers),
        tried=tuple(replace(each, name=HOSTILE) for each in kept.tried),
    )


def test_hostile_names_stay_names():
    kind, bad = (page(replace(full_record(), kept=kept)) for kept in (of_guard(), hostile(of_guard())))
    outline = Outline(bad)
    assert "script" not in outline.tags
    assert outline.handlers == []
    assert "<script>alert('x')</script>" in outline.text
    assert "{{ 7 * 7 }}" in outline.text
    assert set(outline.tags) == set(Outline(kind).tags)


@pytest.mark.parametrize("seed", range(5))
def test_words_beside_dots_meet_neither_dots_nor_words(seed):
    draw, height = np.random.default_rng(seed), 300.0
    words = [("w" * int(draw.integers(3, 20)), *draw.uniform((0, 0), (1, height))) for _ in range(14)]
    taken = [(100.0, 0.0, 120.0, height)]
    sides = labels.places(words, height, taken)
    boxes = []
    for (text, x, y), side in zip(words, sides, strict=True):
        if side is not None:
            wide = 6.4 * len(text)
            left = 700 * x + side.dx - {"": 0, "end": wide, "middle": wide / 2}[side.anchor]
            boxes.append((left, y + side.dy - 12, left + wide, y + side.dy + 3))
    dots = [(700 * x - 8, y - 8, 700 * x + 8, y + 8) for _, x, y in words]
    assert len(boxes) >= 10
    pairs = [*combinations(boxes, 2), *((a, b) for a in boxes for b in (*dots, *taken))]
    met = [(a, b) for a, b in pairs if a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]]
    # words may touch their own dot's surroundings, never its middle
    assert all(b in dots and not (a[0] < b[0] + 8 < a[2] and a[1] < b[1] + 8 < a[3]) for a, b in met)


def test_the_first_word_has_its_place_and_what_may_be_crossed_is_crossed_last():
    dot = [("word", 0.5, 100.0)]
    right, left = labels.SIDES[:2]
    assert labels.places(dot, 300.0) == [right]
    middle = labels.WIDE / 2
    beside = [(middle + 10, 0.0, middle + 50, 300.0)]
    assert labels.places(dot, 300.0, crossed=beside) == [left]
    everywhere = [(0.0, 0.0, labels.WIDE, 300.0)]
    assert labels.places(dot, 300.0, crossed=everywhere) == [right]
    assert labels.places(dot, 300.0, taken=everywhere) == [None]
