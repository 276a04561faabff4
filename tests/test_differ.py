"""`inspect A --against B`: from two data sets on disk to a verdict, a page, or one sentence of what is wrong."""

import json
import re

import numpy as np
import pytest
from networks import BAD, GOOD, sentences, small_convnet, small_encoder, write_pictures, write_table
from PIL import Image, ImageFilter

import headstart
from headstart.adapt.held import Held
from headstart.cli.main import main
from headstart.errors import DataError, UsageError
from headstart.report import verdict
from headstart.report.apart import page
from headstart.verbs.differ import differ


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A cache with an untaught network of each modality."""
    root = tmp_path_factory.mktemp("differ")
    return root, small_convnet(root / "convnet"), small_encoder(root / "encoder")


@pytest.fixture(scope="module")
def blurred(place):
    """Pictures, and others of the same kind out of focus."""
    root, network, _ = place
    a, b = write_pictures(root / "a", 60, seed=1), write_pictures(root / "b", 60, seed=2)
    for path in b.rglob("*.png"):
        Image.open(path).filter(ImageFilter.GaussianBlur(2)).save(path)
    return a, b, differ(a, b, source=network, cache=root)


def shifted(path, good, bad, seed=0):
    """A table of so many good and bad reviews."""
    rows = sentences(6 * (good + bad), seed)
    kept = [row for row in rows if row[1] == "good"][:good] + [row for row in rows if row[1] == "bad"][:bad]
    path.write_text("text,label\n" + "\n".join(f"{text},{label}" for text, label in kept), "utf8")
    return path


def test_blurred_pictures_are_another_input(blurred):
    a, b, found = blurred
    assert found.kind.name == "input"
    assert found.kind.test.p < 0.01
    assert {mark.name for mark in found.marks[:3]} <= {"fine detail", "coarse detail", "noise", "contrast", "colour"}
    assert all(mark.effect < -2 for mark in found.marks[:2])
    assert found.frechet > found.frechet_within
    assert "of the input: pictures come through another channel" in verdict.headline(found)
    assert f"headstart fit {a} --adapt-to {b}" in " ".join(verdict.advice(found))


def test_every_example_of_b_has_a_place_and_the_odd_one_the_first(place, tmp_path):
    root, network, _ = place
    a, b = write_pictures(tmp_path / "a", 60, seed=1), write_pictures(tmp_path / "b", 40, seed=2)
    checks = np.kron(np.indices((5, 6)).sum(0) % 2, np.ones((8, 8)))[..., None] * [255, 0, 255]
    Image.fromarray(checks.astype(np.uint8)).save(b / "dark" / "odd.png")
    found = differ(a, b, source=network, cache=root)
    assert len(found.unusual) == 41
    assert found.unusual[0].name.endswith("odd.png")
    assert [each.both for each in found.unusual] == sorted((each.both for each in found.unusual), reverse=True)


def test_two_draws_of_one_kind_do_not_differ(place, tmp_path):
    root, network, _ = place
    a, b = write_pictures(tmp_path / "a", 60, seed=1), write_pictures(tmp_path / "b", 60, seed=2)
    found = differ(a, b, source=network, cache=root, seed=3)
    assert found.kind.name == "none"
    assert verdict.headline(found) == "No mismatch can be told."
    assert re.search(r"fewer than about 5\d % of them would not show", verdict.evidence(found)[1])


@pytest.mark.parametrize("labelled", [True, False])
def test_other_shares_of_the_labels_are_told_with_labels_of_b_or_without(place, tmp_path, labelled):
    root, _, network = place
    a, b = shifted(tmp_path / "a.csv", 150, 150, 1), shifted(tmp_path / "b.csv", 160, 20, 2)
    if not labelled:
        b = tmp_path / "b.txt.csv"
        b.write_text("text\n" + "\n".join(text for text, _ in shifted_rows(160, 20)), "utf8")
    found = differ(a, b, source=network, cache=root)
    assert found.kind.name == "output"
    shares = {share.name: share for share in found.shares}
    good = shares["good"].b if labelled else shares["good"].estimate
    assert good == pytest.approx(160 / 180, abs=0.001 if labelled else 0.1)
    assert shares["good"].a == pytest.approx(0.5)
    assert shares["good"].weight == pytest.approx(good / 0.5)
    assert (found.shares_p is None) != labelled
    assert found.b.labelled == labelled


def shifted_rows(good, bad):
    rows = sentences(6 * (good + bad), 2)
    return [row for row in rows if row[1] == "good"][:good] + [row for row in rows if row[1] == "bad"][:bad]


def test_what_was_read_once_is_not_read_again(blurred, place, monkeypatch):
    root, network, _ = place
    a, b, first = blurred
    monkeypatch.setattr(Held, "read", lambda *_, **__: pytest.fail("a row was read again"))
    again = differ(a, b, source=network, cache=root)
    assert again.kind == first.kind
    assert again.unusual == first.unusual


def test_labels_of_other_names_are_said_and_the_rest_is_compared(place, tmp_path):
    root, _, network = place
    a, b = write_table(tmp_path / "a.csv", 60, 1), write_table(tmp_path / "b.csv", 60, 2)
    b.write_text(b.read_text("utf8").replace(",good", ",yes").replace(",bad", ",no"), "utf8")
    found = differ(a, b, source=network, cache=root)
    assert found.kind.name == "none"
    assert found.shares == ()
    assert any("no name in common (bad, good against no, yes)" in note for note in found.notes)
    b.write_text(b.read_text("utf8").replace(",yes", ",Good"), "utf8")
    some = differ(a, b, source=network, cache=root)
    assert "only A has the labels bad." in some.notes
    assert "only B has the labels no." in some.notes
    assert {share.name: share.b for share in some.shares} == {"bad": 0, "good": 0.5, "no": 0.5}


def test_examples_of_both_sets_are_left_out_and_broken_ones_too(place, tmp_path):
    root, network, _ = place
    a, b = write_pictures(tmp_path / "a", 50, seed=1), write_pictures(tmp_path / "b", 50, seed=2)
    twice = next((a / "dark").glob("*.png"))
    (b / "dark" / "twice.png").write_bytes(twice.read_bytes())
    (b / "dark" / "broken.png").write_bytes(twice.read_bytes()[:90])
    found = differ(a, b, source=network, cache=root)
    assert found.b.seen == 50
    assert any(note.startswith("1 of the 52 examples of") for note in found.notes)


def test_bad_input_is_one_sentence(place, tmp_path):
    root, convnet, encoder = place
    pictures, texts = write_pictures(tmp_path / "pictures", 40), write_table(tmp_path / "texts.csv", 60)
    asked = {"cache": root}
    with pytest.raises(DataError, match=r"pictures' holds pictures and '.*texts\.csv' holds texts; give two data sets"):
        differ(pictures, texts, **asked)
    with pytest.raises(UsageError, match="are the same data; give another set after --against"):
        differ(texts, texts, **asked)
    copy = tmp_path / "copy.csv"
    copy.write_text(texts.read_text("utf8"), "utf8")
    with pytest.raises(UsageError, match="hold the same 60 examples; give another set after --against"):
        differ(texts, copy, **asked)
    few = write_table(tmp_path / "few.csv", 12, seed=4)
    with pytest.raises(
        DataError, match=r"has 60 examples and '.*few\.csv' has 12 that are not in it too; give at least 20"
    ):
        differ(texts, few, **asked)
    other = write_table(tmp_path / "other.csv", 60, seed=5)
    with pytest.raises(UsageError, match="reads pictures and the data holds texts; name another"):
        differ(texts, other, source=convnet, **asked)
    with pytest.raises(UsageError, match="rows=5 are too few to tell a mismatch from chance"):
        differ(texts, other, source=encoder, rows=5, **asked)
    with pytest.raises(DataError, match="'nowhere' does not exist"):
        differ(texts, "nowhere", **asked)


def test_inputs_that_all_look_the_same_are_said(place, tmp_path):
    root, _, network = place
    a, b = tmp_path / "a.csv", tmp_path / "b.csv"
    # words that the network does not know are all one to it
    a.write_text("text,label\n" + "\n".join(f"xq{k},{'uv'[k % 2]}" for k in range(40)), "utf8")
    b.write_text("text,label\n" + "\n".join(f"zq{k},{'uv'[k % 2]}" for k in range(40)), "utf8")
    with pytest.raises(DataError, match=r"all 80 examples look the same to .*: its last layer is constant; check"):
        differ(a, b, source=network, cache=root)


def test_the_page_stands_alone_and_hostile_texts_stay_texts(place, tmp_path):
    root, _, network = place
    a, b = write_table(tmp_path / "a.csv", 60, 1), tmp_path / "b.csv"
    hostile = "<script>alert(1)</script> film"
    rows = [f'"{hostile} {k} {GOOD[k % 4]} {BAD[k % 3]}",<b>x' for k in range(30)]
    b.write_text("text,label\n" + "\n".join([*rows, *(f"dull {k} story,good" for k in range(30))]), "utf8")
    made = page(differ(a, b, source=network, cache=root, examples=True))
    assert "<script" not in made
    assert "&lt;script&gt;alert(1)" in made
    assert "http" not in made.replace("http://www.w3.org/2000/svg", "")
    without = page(differ(a, b, source=network, cache=root, examples=False))
    assert "alert(1)" not in without
    assert re.search(r"<bdi>row \d+</bdi>", without)


def test_the_command_prints_a_verdict_a_page_and_one_json_object(blurred, place, tmp_path, capsys):
    root, network, _ = place
    a, b, _ = blurred
    typed = ["inspect", str(a), "--against", str(b), "--source", network, "--cache", str(root)]
    main([*typed, "-o", str(tmp_path / "page.html")])
    out = capsys.readouterr().out
    assert "The mismatch is of the input: pictures come through another channel." in out
    assert "what to do:\n1. " in out
    assert "data:image/jpeg;base64," in (tmp_path / "page.html").read_text("utf8")
    main([*typed, "-o", str(tmp_path / "without.html"), "--no-examples"])
    assert "data:image" not in (tmp_path / "without.html").read_text("utf8")
    capsys.readouterr()
    main([*typed, "--json"])
    told = json.loads(capsys.readouterr().out)
    assert told["kind"]["name"] == "input"
    assert len(told["unusual"]) == 60
    assert {"verdict", "evidence", "advice", "shares", "mmd", "frechet"} <= set(told)


def test_a_page_of_nothing_is_refused(place, capsys, tmp_path):
    table = write_table(tmp_path / "a.csv", 60)
    with pytest.raises(SystemExit) as left:
        main(["inspect", str(table), "--no-examples"])
    assert left.value.code == 2
    assert "name another data set with --against" in capsys.readouterr().err


def test_the_verbs_are_public():
    assert headstart.differ is differ
    assert callable(headstart.familiar)
