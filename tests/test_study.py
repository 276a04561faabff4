"""Units of a comparison: done once, kept whole; and the labels that a way saves."""

import json
import math
import subprocess
import sys
from dataclasses import replace

import pytest

from headstart.errors import StoreError, UsageError
from headstart.study.saved import labels_for
from headstart.study.turns import turn
from headstart.study.units import Outcome, Shelf, Unit, budgets, part_of, run

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


def test_what_decides_one_arm_alone_does_not_touch_the_others(tmp_path):
    before, after = Shelf(tmp_path, "data a"), Shelf(tmp_path, "data a", {"probe": "another plan"})
    for unit in UNITS:
        before.keep(outcome(unit))
    assert [after.find(unit) is None for unit in UNITS] == [unit.arm == "probe" for unit in UNITS]


def test_a_damaged_file_is_told_in_one_sentence_and_done_again(tmp_path):
    told = []
    shelf = Shelf(tmp_path, "data a", told=told.append)
    shelf.keep(outcome(UNITS[0]))
    (file,) = tmp_path.iterdir()
    whole = json.loads(file.read_text())
    assert whole["unit"] == {"arm": "probe", "labels": 16, "seed": 0}
    for damage, why in (
        ("", "it is not JSON"),
        ("{", "it is not JSON"),
        ("[1]", "it is no JSON object"),
        ('{"score": "much"}', "it has no draws"),
        (json.dumps({**whole, "score": "much"}), "could not convert string to float: 'much'"),
        (json.dumps({**whole, "draws": []}), "it is not of this unit"),
        (json.dumps({**whole, "unit": {"arm": "probe", "labels": 32, "seed": 0}}), "it is not of this unit"),
    ):
        file.write_text(damage)
        assert shelf.find(UNITS[0]) is None
        assert told.pop() == f"the outcome {file} is damaged ({why}); its unit counts as not done"
    assert list(run(UNITS[:1], shelf, outcome)) == [outcome(UNITS[0])]
    assert Shelf(tmp_path, "data a").find(UNITS[0]) == outcome(UNITS[0])


def test_files_without_joules_still_count(tmp_path):
    shelf, metered = Shelf(tmp_path, "data a"), replace(outcome(UNITS[0]), joules=12.5, known="estimated: so")
    shelf.keep(metered)
    assert shelf.find(UNITS[0]) == metered
    (file,) = tmp_path.glob("*.json")
    said = json.loads(file.read_text())
    del said["joules"], said["known"]
    file.write_text(json.dumps(said))
    assert shelf.find(UNITS[0]) == outcome(UNITS[0])


HOLDS = """
import sys
from pathlib import Path
from headstart.study.turns import turn
from headstart.study.units import Outcome, Shelf, Unit
unit, folder = Unit("probe", 16, 0), Path(sys.argv[1])
with turn(folder / "turns", "probe 16 0") as mine:
    print(mine, flush=True)
    if sys.stdin.readline():
        Shelf(folder, "data a").keep(Outcome(unit, 0.5, 1.0, 1, (0.5,)))
"""


@pytest.mark.parametrize("ends", ["done", "killed"])
def test_a_unit_that_another_process_is_at_comes_last_and_is_done_once(tmp_path, ends):
    did = []

    def do(unit):
        did.append(unit)
        return outcome(unit)

    with subprocess.Popen([sys.executable, "-c", HOLDS, str(tmp_path)], stdin=-1, stdout=-1, text=True) as other:
        assert other.stdin
        assert other.stdout
        assert other.stdout.readline() == "True\n"
        outcomes = run(UNITS, Shelf(tmp_path, "data a"), do)
        assert [next(outcomes).unit for _ in UNITS[1:]] == UNITS[1:]
        if ends == "done":
            other.stdin.write("go on\n")
            other.stdin.flush()
        else:
            other.kill()
        last = next(outcomes)
    assert last.unit == UNITS[0]
    assert last.score == (0.5 if ends == "done" else outcome(UNITS[0]).score)
    assert did == (UNITS[1:] if ends == "done" else [*UNITS[1:], UNITS[0]])


def test_turns_at_other_pieces_are_free_and_are_given_back(tmp_path):
    script = HOLDS.replace("print(mine, flush=True)", "print(mine, flush=True); sys.exit()")
    with turn(tmp_path / "turns", "scratch 16 0") as mine:
        done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True)
        assert (mine, done.stdout) == (True, "True\n")
    with turn(tmp_path / "turns", "probe 16 0") as mine:
        done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True)
        assert (mine, done.stdout) == (True, "False\n")
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True)
    assert done.stdout == "True\n"


def test_parts_are_everything_and_nothing_twice():
    for n in (1, 2, 3, 8, 100):
        parts = [part_of(UNITS, f"{k}/{n}") for k in range(1, n + 1)]
        assert sorted(UNITS.index(unit) for part in parts for unit in part) == list(range(len(UNITS)))
        assert max(map(len, parts)) - min(map(len, parts)) <= 1


@pytest.mark.parametrize("part", ["0/2", "3/2", "1/0", "2", "a/b", "-1/2", "1/2/3", "", "1.5/2"])
def test_a_part_out_of_range_is_one_sentence(part):
    with pytest.raises(UsageError, match=r"part '.*' is not K/N with K from 1 to N; write for example --part 2/8\."):
        part_of(UNITS, part)


def test_a_folder_is_tried_before_any_work(tmp_path):
    Shelf(tmp_path / "a" / "b", "data a").ready()
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(
        StoreError, match=r"file/b/outcome.json cannot be written \(Not a directory\); choose another place"
    ):
        Shelf(tmp_path / "file" / "b", "data a").ready()


def test_a_disk_that_refuses_is_one_sentence_and_leaves_nothing(tmp_path):
    place = tmp_path / "file"
    place.write_text("no folder")
    with pytest.raises(StoreError, match=r"writing .* failed: .*; free space or choose another place with -o"):
        Shelf(place, "data a").keep(outcome(UNITS[0]))
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(
    ("rows", "classes", "expected"),
    [
        (400, 2, (16, 80, 400)),
        (5000, 2, (16, 89, 500)),
        (64, 2, (16, 32, 64)),
        (40, 2, (16, 40)),
        (20, 2, (20,)),
        (300, 70, (140, 300)),
        (10, 3, (10,)),
        (5000, 400, (800,)),
    ],
)
def test_budgets_go_by_equal_factors_from_two_rows_of_a_class_to_500(rows, classes, expected):
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
