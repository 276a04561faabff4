"""The page of a comparison says what was saved, or why nothing was, escapes names, and needs nothing but itself."""

import math
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from test_report import HOSTILE, Outline

from headstart.report import curves, savings
from headstart.report.compared import page, view
from headstart.report.comparison import Comparison, Made
from headstart.report.record import Machine, Source
from headstart.study.points import points_of, worth_of
from headstart.study.transfer import Saved, transfer_of
from headstart.study.units import Outcome, Unit

COUNTS = (16, 64, 256)
KNOWN = "estimated: 4 W for each second of a processor's thread"
SAVED = {
    "majority": (0.5, 0.5, 0.5),
    "classical": (0.6, 0.7, 0.8),
    "scratch": (0.5, 0.5, 0.6),
    "probe": (0.7, 0.8, 0.86),
    "chosen": (0.7, 0.9, 0.95),
}
LEVEL = {**SAVED, "probe": (0.62, 0.7, 0.79), "chosen": (0.62, 0.7, 0.79)}


def compared(curves_of, *, noise=0.004, joules=True, seeds=3, **changes) -> Comparison:
    """A comparison of arm -> score on each of COUNTS."""
    draw = np.random.default_rng(0)
    done = []
    for arm, curve in curves_of.items():
        for n, value in zip(COUNTS, curve, strict=True):
            for seed in range(seeds):
                score = value + noise * draw.normal()
                draws = tuple(score + noise * draw.normal(size=200))
                took = 0.0 if arm == "majority" else n / 50
                done.append(
                    Outcome(Unit(arm, n, seed), score, took, 1, draws, 8 * took if joules else None, KNOWN * joules)
                )
    points = points_of(done)
    machine = Machine("a processor", 2, 24.0, "3.11.7", "Linux", {"numpy": "2.1.0"})
    source = Source("lite0", "efficientnet", "Apache-2.0", "the uploader", "example.org", "ImageNet", 18826032)
    made = Made(
        "0.1.0",
        "2026-01-02T03:04:05+00:00",
        "headstart compare photos/",
        machine,
        source,
        "ab" * 32,
        "image",
        "classes",
        400,
        "A fifth was held out.",
        5.0,
    )
    found = Comparison(
        path="photos",
        source="lite0",
        metric="accuracy",
        seeds=seeds,
        test=80,
        points=points,
        worth=worth_of(done, points, higher=True),
        folder=Path("photos.comparison"),
        transfer=transfer_of(done, points, higher=True),
        missing=0,
        energy=(KNOWN,) if joules else (),
        plans={},
        seen=(),
        made=made,
    )
    return replace(found, **changes)


KINDS = {
    "saved": compared(SAVED),
    "level": compared(LEVEL),
    "one seed": compared(SAVED, seeds=1),
    "no energy": compared(SAVED, joules=False),
    "one kind": compared({"probe": SAVED["probe"]}),
    "hostile": compared({**SAVED, HOSTILE: SAVED["probe"]}, path=HOSTILE, plans={HOSTILE: HOSTILE}, seen=(HOSTILE,)),
}


@pytest.mark.parametrize("found", KINDS.values(), ids=KINDS)
def test_a_page_needs_nothing_but_itself(found):
    seen = Outline(page(found))
    assert seen.tags.count("h1") == 1
    assert seen.handlers == []
    assert not {"script", "iframe", "link", "object", "embed", "form", "base"} & set(seen.tags)
    assert seen.addresses == []
    assert "url(" not in page(found)
    assert "@import" not in page(found)


@pytest.mark.parametrize("found", KINDS.values(), ids=KINDS)
def test_figures_are_whole_and_inside(found):
    shown = view(found)
    assert [heading for heading, _, _ in shown["plots"]] == [
        "Against labels",
        "Against time",
        *(["Against energy, estimated"] if found.energy else []),
    ]
    for text in (*(svg for _, _, svg in shown["plots"]), *(row.sign for row in shown["rows"])):
        assert text in page(found)
        for shape in ElementTree.fromstring(text).iter():
            for name in ("x", "x1", "x2"):
                value = shape.attrib.get(name, "")
                if value.endswith("%"):
                    assert 0 <= float(value[:-1]) <= 100
            assert not {"nan", "inf"} & set(shape.attrib.values())


def test_hostile_names_stay_text():
    text = page(KINDS["hostile"])
    assert "<script>" not in text
    assert "<b>bold" not in text
    assert "&lt;script&gt;" in text


def test_the_first_sentence_says_what_was_saved_and_the_figures_agree():
    found = KINDS["saved"]
    text = Outline(page(found)).text
    labels, seconds, joules = found.transfer.saved
    assert savings.standing(found.transfer) == "saved"
    share = f"{100 * labels.share:.0f} %"
    assert f"The pretrained network saved {share} of the labels: chosen is as good with {labels.own:.0f}" in text
    assert "Energy, estimated" in text
    assert f"Energy is {KNOWN}." in text
    assert savings.span(seconds) in text
    assert savings.joules(joules.own) in text
    assert savings.reasons(found) == ()
    assert found.words[0] in text


def test_how_it_was_made_is_told():
    text = Outline(page(KINDS["saved"])).text
    for told in ("headstart compare photos/", "0.1.0", "2 cores of a processor", "0 to 2", "lite0", "Apache-2.0"):
        assert told in text
    assert "asserted by the uploader" in text
    assert "A fifth was held out." in text


def test_it_says_so_where_nothing_was_saved_and_shows_no_price_of_what_was_not_reached():
    found = compared({**SAVED, "probe": (0.6, 0.7, 0.75), "chosen": (0.6, 0.7, 0.75)})
    assert savings.headline(found).startswith("The pretrained network did not help beyond chance: classical has 80.")
    assert 'class="tiles"' not in page(found)
    assert savings.reasons(found)[0].startswith("The data may be simple: edges of small pictures with a linear model")


def test_reasons_follow_from_what_was_seen():
    scratch = {**SAVED, "classical": (0.5, 0.5, 0.55), "scratch": (0.5, 0.7, 0.9), "chosen": (0.6, 0.7, 0.8)}
    far = {**SAVED, "probe": (0.5, 0.5, 0.52), "chosen": (0.5, 0.5, 0.52)}
    hard = dict.fromkeys(SAVED, (0.5, 0.5, 0.5))
    for curves_of, noise, said in (
        (hard, 0.004, "The labels may be too few or too hard to tell apart: with 256 of them no arm is clear of"),
        (LEVEL, 0.004, "The data may be simple"),
        (scratch, 0.004, "There may be labels enough: with 256 of them the same network comes to 90."),
        (far, 0.004, "The data may be far from what the network saw (ImageNet): a head on its features gains"),
        (LEVEL, 0.1, "There may be too little to tell: 80 test rows and 3 seeds leave"),
    ):
        told = savings.reasons(compared(curves_of, noise=noise))
        assert any(reason.startswith(said) for reason in told), (said, told)
    assert not any(reason.startswith("There may be labels enough") for reason in savings.reasons(compared(LEVEL)))
    assert not any(reason.startswith("The data may be far") for reason in savings.reasons(compared(LEVEL)))


def test_few_labels_may_be_where_it_helped():
    curves_of = {**SAVED, "classical": (0.5, 0.6, 0.9), "probe": (0.7, 0.75, 0.8), "chosen": (0.7, 0.75, 0.8)}
    said = savings.headline(compared(curves_of))
    assert said.startswith("The pretrained network helped beyond chance with 16 and 64 labels only: classical has 90.")


def test_more_labels_that_bring_nothing_leave_open_how_many_were_saved():
    flat = {"classical": (0.7, 0.65, 0.6), "chosen": (0.8, 0.8, 0.8)}
    assert "helped on every budget of labels" in savings.headline(compared(flat))


def test_notes_say_what_the_figures_do_not():
    told = " ".join(savings.notes(compared({**SAVED, "scratch": (0.5, 0.5, 0.5)}, seeds=1, noise=0.02)))
    assert "scratch had 5.0 s for each training and came no further than majority" in told
    assert "One seed: the intervals hold other test rows" in told
    assert "scratch and whole had 5.0 s for each training" in " ".join(savings.notes(KINDS["saved"]))


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (0.85, 0.96, "85 to 96 % fewer"),
        (-0.4, 0.2, "from 20 % fewer to 1.4 times as many"),
        (-2.0, -1.0, "2.0 to 3.0 times as many"),
        (-math.inf, 0.9, "from 90 % fewer to not reached"),
        (-math.inf, -math.inf, "not reached"),
        (0.001, -0.001, "the same"),
    ],
)
def test_intervals_of_shares_are_said(low, high, said):
    assert savings.span(Saved("labels", 100, 50, 0.5, low, high)) == said


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "\N{EN DASH}"),
        (0, "0 J"),
        (0.004, "< 0.01 J"),
        (0.42, "0.420 J"),
        (61, "61.0 J"),
        (1000, "1.00 kJ"),
        (3.4e6, "3.40 MJ"),
    ],
)
def test_joules_are_said(value, said):
    assert savings.joules(value) == said


def test_an_arm_looks_the_same_whichever_others_are_there_and_no_two_alike():
    some = curves.looks(["probe", "chosen", "mine"], ("majority",))
    more = curves.looks(
        ["majority", "classical", "probe", "whole", "chosen", "mine", "other"], ("majority", "classical")
    )
    assert [some[arm].style for arm in some] == [more[arm].style for arm in some]
    assert len({look.mark for look in more.values()}) == len(more)
    assert {arm for arm, look in more.items() if "bare" in look.style} == {"majority", "classical"}


def test_places_on_the_axes_are_those_of_the_values():
    found = KINDS["saved"]
    looked = curves.looks(found.arms, ("majority", "classical", "scratch"))
    svg = ElementTree.fromstring(curves.curves(found.points, looked, "labels", "accuracy", None, None))
    (group,) = (each for each in svg.iter("g") if "arm4" in each.attrib["class"])
    places = [float(mark.attrib["x"][:-1]) for mark in group.iter("svg")]
    steps = np.diff(places)
    assert steps[0] == pytest.approx(steps[1], abs=0.02)  # 16, 64, 256 are even by factors
    own = [point for point in found.points if point.arm == "chosen"]
    heights = [float(mark.attrib["y"]) for mark in group.iter("svg")]
    slope = (heights[0] - heights[1]) / (own[1].score - own[0].score)
    assert (heights[1] - heights[2]) / (own[2].score - own[1].score) == pytest.approx(slope, rel=0.02)


def test_the_line_of_what_was_saved_goes_from_one_amount_to_the_other():
    found = KINDS["saved"]
    looked = curves.looks(found.arms, ())
    saved = found.transfer.saved[0]
    svg = ElementTree.fromstring(curves.curves(found.points, looked, "labels", "accuracy", saved, found.transfer.score))
    (level,) = (each for each in svg.iter("line") if each.attrib["class"] == "level")
    left, right = (float(level.attrib[name][:-1]) / 100 for name in ("x1", "x2"))
    width = math.log((256 * 1.25) / (16 / 1.25))
    assert right - left == pytest.approx(math.log(saved.rival / saved.own) / width, abs=1e-3)
