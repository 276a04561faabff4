"""Units of a comparison: done once, kept whole; and the labels that a way saves."""

import json
import math

import pytest

from headstart.errors import StoreError
from headstart.study.saved import labels_for
from headstart.study.units import Outcome, Shelf, Unit, budgets, run

UNITS = [Unit(arm, labels, seed) for arm in ("probe", "scratch") for labels in (16, 32) for seed in (0, 1)]


def outcome(unit):
    return Outcome(unit, unit.labels / 100 + unit.seed / 1000, 1.5, 1, (0.1, 0.2))


def test_what_is_done_is_not_done_again(tmp_path):
    shelf, did = Shelf(tmp_path / "units", "data a"), []

    def do(unit):
        did.append(unit)
        if len(did) == 4:
            raise KeyboardInterrupt
        return outcome(unit)

    with pytest.raises(KeyboardInterrupt):
        list(run(UNITS, shelf, do))
    assert list(run(UNITS, shelf, do)) == [outcome(unit) for unit in UNITS]
    assert did == [*UNITS[:4], *UNITS[3:]]


def test_other_data_has_outcomes_of_its_own(tmp_path):
    Shelf(tmp_path, "data a").keep(outcome(UNITS[0]))
    assert Shelf(tmp_path, "data a").find(UNITS[0]) == outcome(UNITS[0])
    assert Shelf(tmp_path, "data b").find(UNITS[0]) is None
    assert Shelf(tmp_path, "data a").find(UNITS[1]) is None


def test_a_damaged_file_is_done_again(tmp_path):
    shelf = Shelf(tmp_path, "data a")
    shelf.keep(outcome(UNITS[0]))
    (file,) = tmp_path.iterdir()
    assert json.loads(file.read_text())["unit"] == {"arm": "probe", "labels": 16, "seed": 0}
    for damage in ("", "{", '{"score": "much"}', "[1]"):
        file.write_text(damage)
        assert shelf.find(UNITS[0]) is None


def test_a_disk_that_refuses_is_one_sentence_and_leaves_nothing(tmp_path):
    place = tmp_path / "file"
    place.write_text("no folder")
    with pytest.raises(StoreError, match=r"writing .* failed: .*; free space or choose another folder with -o"):
        Shelf(place, "data a").keep(outcome(UNITS[0]))
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(
    ("rows", "classes", "expected"),
    [(400, 2, (25, 50, 100, 200, 400)), (40, 2, (20, 40)), (20, 2, (20,)), (300, 70, (150, 300)), (10, 3, (10,))],
)
def test_budgets_go_by_halves_down_to_two_rows_of_a_class(rows, classes, expected):
    assert budgets(rows, classes) == expected


def test_labels_are_read_off_the_curve_over_their_logarithm():
    labels, scores = (16, 64, 256), (0.6, 0.7, 0.8)
    assert labels_for(0.65, labels, scores) == pytest.approx(math.sqrt(16 * 64))
    assert labels_for(0.7, labels, scores) == pytest.approx(64)
    assert labels_for(0.5, labels, scores) == 16
    assert labels_for(0.9, labels, scores) == math.inf
    assert labels_for(0.35, labels, (0.4, 0.3, 0.2), higher=False) == pytest.approx(math.sqrt(16 * 64))


def test_a_curve_that_falls_keeps_what_it_reached():
    assert labels_for(0.7, (16, 64, 256), (0.6, 0.72, 0.68)) == pytest.approx(16 * 4 ** (0.1 / 0.12))
