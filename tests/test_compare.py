"""`compare`: paired arms on nested budgets, each outcome done once, shared by processes, an honest sentence."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from itertools import count

import numpy as np
import pytest
from networks import small_encoder, write_pictures, write_table

from headstart.data.read import read
from headstart.data.split import some, split
from headstart.errors import StoreError, UsageError
from headstart.heads.baselines import majority
from headstart.report.savings import on_budget
from headstart.study import points as module
from headstart.study.units import Outcome, Unit
from headstart.verbs import arms as arms_module
from headstart.verbs import compare as verb
from headstart.verbs.compare import compare
from headstart.verbs.energy import Spent
from headstart.verbs.fit import fit
from headstart.verbs.settings import Settings


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A cache, a table and a network."""
    root = tmp_path_factory.mktemp("compare")
    return root, write_table(root / "films.csv", 90, seed=2), small_encoder(root / "net")


class Said:
    """A teller that keeps what is said."""

    def __init__(self):
        self.lines = []

    def say(self, text):
        self.lines.append(text)

    def progress(self, stage, done, total):
        pass


class Ticking:
    """A meter that gives one joule at every look."""

    known = "measured: by ticks"

    def __init__(self):
        self.ticks = count()

    def joules(self):
        return float(next(self.ticks))


def test_every_arm_is_what_it_says(place, tmp_path):
    root, table, source = place
    found = compare(table, tmp_path / "c", arms=("majority", "probe"), labels=(40,), seeds=1, source=source, cache=root)
    by_arm = {point.arm: point for point in found.points}
    data = read(table)
    train, test = split(data).folds[0]
    rows = some(data, train, 40, seed=0)
    constant = majority(data.y[rows], len(test), task="classes", classes=2).argmax(1)
    assert by_arm["majority"].score == pytest.approx(np.mean(constant == data.y[test]))
    # the probe is a fit at depth 1 on the same rows, asked about the same others
    lines = table.read_text("utf8").splitlines()
    for name, chosen in (("train", rows), ("test", test)):
        (tmp_path / "d").mkdir(exist_ok=True)
        (tmp_path / "d" / f"{name}.csv").write_text("\n".join([lines[0], *(lines[1 + row] for row in chosen)]), "utf8")
    skill = fit(tmp_path / "d", tmp_path / "s.skill", settings=Settings(source=source, depth=1), cache=root)
    told = json.loads((skill.folder / "metrics.json").read_text("utf8"))
    assert by_arm["probe"].score == pytest.approx(told["score"]["value"])
    assert by_arm["probe"].depths == (1,)
    assert by_arm["majority"].depths == (0,)


def test_rows_of_a_budget_are_among_those_of_the_next_and_hold_every_class(place):
    _, table, _ = place
    data, rows = read(table), np.arange(90)
    few, more = (set(some(data, rows, count, seed=3).tolist()) for count in (10, 30))
    assert few < more
    assert np.bincount(data.y[sorted(few)]).tolist() == [5, 5]
    assert few != set(some(data, rows, 10, seed=4).tolist())


def test_what_is_done_is_not_done_again(place, tmp_path, monkeypatch):
    root, table, source = place
    asked = {"arms": ("majority", "classical", "probe"), "labels": (16, 40), "seeds": 2, "source": source}
    first = compare(table, tmp_path / "c", cache=root, **asked)
    assert len(list((tmp_path / "c" / "outcomes").glob("*.json"))) == 12
    monkeypatch.setattr(arms_module.Work, "do", lambda *_: pytest.fail("a unit was done again"))
    assert compare(table, tmp_path / "c", cache=root, **asked) == first


def outcomes(scores, draws=None):
    """Outcomes of arm -> score of each seed; each seed's draws over test rows beside it, or none."""
    return [
        Outcome(Unit(arm, 32, seed), value, 1.0, 1, (value,) * 4 if draws is None else tuple(draws[arm][seed]))
        for arm, own in scores.items()
        for seed, value in enumerate(own)
    ]


def worth_of(done):
    return module.worth_of(done, module.points_of(done), higher=True)


def test_the_gain_is_paired_and_its_interval_is_students_over_the_seeds():
    scores = {"probe": (0.8, 0.9, 0.85), "classical": (0.7, 0.75, 0.8), "scratch": (0.5, 0.5, 0.5)}
    (worth,) = worth_of(outcomes(scores))
    gains = np.array(scores["probe"]) - np.array(scores["classical"])
    half = 4.303 * gains.std(ddof=1) / np.sqrt(3)
    expected = (gains.mean(), gains.mean() - half, gains.mean() + half)
    assert (worth.arm, worth.rival) == ("probe", "classical")
    assert (worth.gain, worth.low, worth.high) == pytest.approx(expected)
    assert worth.needed == float("inf")


def test_seeds_that_agree_by_chance_are_no_certainty():
    """Two seeds with the same gain: what the test rows leave open stays open, paired as they are."""
    draw = np.random.default_rng(0)
    shared = draw.normal(0, 0.2, 4000)  # rows that are hard for both arms do not count
    own = draw.normal(0, 0.03, (2, 4000))
    draws = {"probe": [0.8 + shared + own[0]] * 2, "classical": [0.7 + shared + own[1]] * 2}
    done = outcomes({"probe": (0.8, 0.8), "classical": (0.7, 0.7)}, draws)
    (worth,) = worth_of(done)
    assert worth.gain == pytest.approx(0.1)
    assert worth.high - worth.gain == pytest.approx(1.96 * 0.03 * np.sqrt(2), rel=0.05)
    (point,) = (point for point in module.points_of(done) if point.arm == "probe")
    assert point.score - point.low == pytest.approx(1.96 * np.hypot(0.2, 0.03), rel=0.05)


def test_it_says_so_where_the_network_did_not_help():
    (worth,) = worth_of(outcomes({"probe": (0.7, 0.7), "classical": (0.8, 0.8)}))
    said = on_budget(worth, "accuracy")
    assert said.startswith("32 labels: the pretrained network did not help: probe has -10.0 points")


def test_labels_saved_are_read_off_the_best_curve_without_the_network():
    values = {"probe": {16: 0.8, 64: 0.9}, "classical": {16: 0.6, 64: 0.8}, "scratch": {16: 0.5, 64: 0.6}}
    done = [
        Outcome(Unit(arm, n, 0), v, 1.0, 1, (v - 0.3, v + 0.3) if arm == "probe" else (v, v))
        for arm, curve in values.items()
        for n, v in curve.items()
    ]
    few, many = worth_of(done)
    assert few.needed == pytest.approx(64)
    said = on_budget(few, "accuracy")
    assert "without the network it takes about 64 labels to come as far. That may be chance." in said
    assert "it takes more labels than there are" in on_budget(many, "accuracy")
    assert "probe has +0.2 (95 %: " in on_budget(replace(few, gain=0.2), "spearman")


def test_what_cannot_be_compared_is_one_sentence_and_nothing_is_written(place, tmp_path):
    root, table, source = place
    for asked, said in (
        ({"arms": ("probe", "guess")}, "arm guess is unknown; use some of majority, classical, scratch, probe, chosen"),
        ({"arms": ()}, "arm none is unknown; use some of"),
        ({"metric": "mae"}, "metric 'mae' does not suit classes; use one of accuracy, "),
        ({"seeds": 0}, "seeds=0 must be from 1 to 100; write for example --seeds 3"),
        ({"labels": (5000,)}, r"5000 labels cannot be learned from; give from 4 to \d+ with --labels"),
        ({"part": "9/8"}, r"part '9/8' is not K/N with K from 1 to N; write for example --part 2/8"),
    ):
        with pytest.raises(UsageError, match=said):
            compare(table, tmp_path / "c", source=source, cache=root, **asked)
    pictures = write_pictures(tmp_path / "pictures", 12)
    with pytest.raises(UsageError, match=r"reads texts and the data holds pictures; name another: `headstart models`"):
        compare(pictures, tmp_path / "c", source=source, cache=root)
    assert not (tmp_path / "c").exists()


def test_a_folder_that_cannot_be_written_is_said_before_any_work(place, tmp_path, monkeypatch):
    root, table, source = place
    (tmp_path / "c").write_text("a file")
    monkeypatch.setattr(arms_module.Work, "do", lambda *_: pytest.fail("work was done for nothing"))
    with pytest.raises(StoreError, match=r"outcome.json cannot be written \(Not a directory\); choose another"):
        compare(table, tmp_path / "c", arms=("majority",), source=source, cache=root)


def test_a_damaged_outcome_is_told_and_done_again(place, tmp_path):
    root, table, source = place
    asked = {"arms": ("majority", "classical"), "labels": (16, 40), "seeds": 1, "source": source, "cache": root}
    first = compare(table, tmp_path / "c", **asked)
    (file,) = (tmp_path / "c" / "outcomes").glob("classical-40-0-*.json")
    file.write_text(file.read_text()[:40])
    said = Said()
    again = compare(table, tmp_path / "c", **asked, teller=said)
    assert [line for line in said.lines if "damaged" in line] == [
        f"the outcome {file} is damaged (it is not JSON); its unit counts as not done"
    ]
    assert [point.score for point in again.points] == [point.score for point in first.points]


PLAN = 'source = "{source}"\ndepth = 1\ntaps = ["layer1"]\nbalance = true\n'


def test_a_plan_is_an_arm_with_its_own_network_depth_and_layers(place, tmp_path):
    root, table, source = place
    other = small_encoder(tmp_path / "other")
    (tmp_path / "first layer.toml").write_text(PLAN.format(source=other))
    skill = tmp_path / "films.skill"
    skill.mkdir()
    (skill / "plan.toml").write_text("depth = 1\n")
    plans = (tmp_path / "first layer.toml", skill / "plan.toml")
    asked = {"labels": (16, 40), "seeds": 1, "source": source, "cache": root}
    found = compare(table, tmp_path / "c", arms=("majority", "probe"), plans=plans, **asked)
    assert found.arms == ("majority", "probe", "first layer", "films")
    scores = {arm: [point.score for point in found.points if point.arm == arm] for arm in found.arms}
    assert scores["films"] == scores["probe"]  # a plan that asks for depth 1 alone is the probe
    said = json.loads(next((tmp_path / "c" / "outcomes").glob("first layer-40-0-*.json")).read_text())
    assert said["about"].count("layer1") == 1
    # another plan under the same name is another arm: nothing of the first is taken for it
    (tmp_path / "first layer.toml").write_text(PLAN.format(source=other).replace("layer1", "layer2"))
    again = compare(table, tmp_path / "c", arms=("majority", "probe"), plans=plans, **asked)
    assert len(list((tmp_path / "c" / "outcomes").glob("first layer-40-0-*.json"))) == 2
    assert again.plans == {"first layer": str(plans[0]), "films": str(plans[1])}


def test_layers_that_were_chosen_on_rows_that_are_asked_about_are_chosen_anew(place, tmp_path):
    root, table, source = place
    (tmp_path / "own.toml").write_text(
        f'data = "{read(table).fingerprint}"\n' + PLAN.format(source=source).replace("balance = true\n", "")
    )
    asked = {"labels": (40,), "seeds": 1, "source": source, "cache": root}
    found = compare(table, tmp_path / "c", arms=("probe",), plans=(tmp_path / "own.toml",), **asked)
    probe, own = found.points
    assert own.score == probe.score
    assert found.seen == ("own",)


def test_a_plan_that_cannot_be_followed_is_one_sentence(place, tmp_path):
    root, table, source = place

    def plan(name, text):
        (tmp_path / name).write_text(text)
        return tmp_path / name

    (tmp_path / "b").mkdir()
    same = (plan("x.toml", "depth = 1\n"), plan("b/x.toml", "depth = 1\n"))
    for plans, error, said in (
        ((tmp_path / "none.toml",), UsageError, r"the plan '.*none.toml' cannot be opened \(No such file"),
        ((plan("nonsense.toml", "what?"),), UsageError, r"the plan '.*nonsense.toml' is not TOML"),
        ((plan("probe.toml", "depth = 1\n"),), UsageError, "would be a second arm 'probe'; give the file another name"),
        (same, UsageError, "would be a second arm 'x'; give the file another name"),
        (
            (plan("taps.toml", 'taps = ["layer9"]\n'),),
            UsageError,
            r"^line 1 of the plan .*taps.toml' names layer9, which .*; use .*layer2",
        ),
        (
            (plan("deep.toml", "depth = 9\n"),),
            UsageError,
            r"^line 1 of the plan .* says depth = 9 and .* has 4 blocks; write a number from 1 to 4",
        ),
        ((plan("other.toml", 'source_digest = "abc"\n'),), UsageError, "take source_digest out of the plan"),
    ):
        with pytest.raises(error, match=said):
            compare(table, tmp_path / "c", arms=("majority",), plans=plans, source=source, cache=root)
    assert not (tmp_path / "c").exists()


def test_reading_is_counted_in_joules_as_in_seconds_whoever_did_it(place, tmp_path, monkeypatch):
    """A row is 2 joules to read: the arm that finds its rows in the store takes as much as the one that read them."""
    _, table, source = place
    monkeypatch.setattr(verb, "open_meter", lambda: Ticking())
    monkeypatch.setattr(arms_module.Work, "_joules_of_one", lambda *_: 2.0)
    asked = {"arms": ("majority", "probe"), "labels": (16, 40), "seeds": 1, "source": source}
    found = compare(table, tmp_path / "c", cache=tmp_path / "cold", **asked)
    again = compare(table, tmp_path / "d", cache=tmp_path / "cold", **asked)
    for done in (found, again):
        by = {(point.arm, point.labels): point.joules for point in done.points}
        # a tick passes while an arm works, and 18 rows are asked about
        assert by == {("majority", 16): 1, ("majority", 40): 1, ("probe", 16): 1 + 2 * 34, ("probe", 40): 1 + 2 * 58}
    assert found.test == 18
    assert found.energy == ("measured: by ticks",)


def test_one_row_is_measured_on_rows_that_are_read_anew(place, tmp_path, monkeypatch):
    root, table, source = place
    read_rows = []

    class Meter:
        known = "measured: by rows"

        def joules(self):
            return 3.0 * sum(read_rows)

    work = None

    def caught(self, unit):
        nonlocal work
        work = self
        raise KeyboardInterrupt

    monkeypatch.setattr(verb, "open_meter", lambda: Meter())
    monkeypatch.setattr(arms_module.Work, "do", caught)
    with pytest.raises(KeyboardInterrupt):
        compare(table, tmp_path / "c", arms=("probe",), source=source, cache=root)
    held = work.ways["probe"].features.held
    monkeypatch.setattr(type(held), "read", lambda _, data, **__: read_rows.append(len(data)))
    assert work._joules_of_one(held) == pytest.approx(3.0)
    assert work._reading(held, 10, Spent(1.0, 99.0)).joules == pytest.approx(30.0)


def test_without_a_meter_there_is_one_hint_and_no_figure(place, tmp_path, monkeypatch):
    root, table, source = place
    monkeypatch.setattr(verb, "open_meter", lambda: None)
    said = Said()
    asked = {"arms": ("majority", "probe"), "labels": (16, 40), "seeds": 1, "source": source}
    found = compare(table, tmp_path / "c", cache=root, teller=said, **asked)
    assert sum("headstart[energy]" in line for line in said.lines) == 1
    assert all(point.joules is None for point in found.points)
    assert [saved.what for saved in found.transfer.saved] == ["labels", "seconds"]
    text = found.page.read_text("utf8")
    assert "Against energy" not in text
    assert found.energy == ()


PROCESS = """
import sys
from pathlib import Path
from headstart.verbs.compare import compare
data, out, source, cache, part = sys.argv[1:]
arms = ("majority", "probe", "whole")
found = compare(data, out, arms=arms, labels=(16,), seeds=2, source=source, cache=Path(cache), part=part or None)
print(found.missing)
"""


def test_processes_share_a_folder(place, tmp_path):
    """Two parts at once and one that does all beside them: all end well, and all is there once."""
    root, table, source = place
    out = tmp_path / "c"
    compare(table, tmp_path / "w", arms=("probe",), labels=(16,), seeds=1, source=source, cache=root)
    started = [
        subprocess.Popen(
            [sys.executable, "-c", PROCESS, str(table), str(out), source, str(root), part],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for part in ("1/2", "2/2", "")
    ]
    ended = [(*process.communicate(timeout=300), process.returncode) for process in started]
    assert [(err, code) for _, err, code in ended] == [("", 0)] * 3
    assert ended[2][0] == "0\n"
    files = sorted(path.name for path in (out / "outcomes").iterdir() if path.name != "turns")
    assert len(files) == 3 * 2
    assert all(re.fullmatch(r"\w+-\d+-\d-[0-9a-f]{12}\.json", name) for name in files)
    assert all(json.loads((out / "outcomes" / name).read_text())["draws"] for name in files)
    assert [path.name for path in out.iterdir() if path.is_file()] == ["comparison.html"]


def test_parts_do_their_share_and_without_one_all_is_gathered(place, tmp_path, monkeypatch):
    root, table, source = place
    asked = {"arms": ("majority", "classical"), "labels": (16, 40), "seeds": 3, "source": source, "cache": root}
    left = [compare(table, tmp_path / "c", part=f"{k}/5", **asked) for k in range(1, 6)]
    assert [found.missing for found in left] == [9, 6, 4, 2, 0]
    assert left[0].page is None
    assert left[0].worth == ()
    assert left[4].page.is_file()
    monkeypatch.setattr(arms_module.Work, "do", lambda *_: pytest.fail("a unit was done again"))
    assert compare(table, tmp_path / "c", **asked) == left[4]


def test_the_command_prints_scores_costs_and_what_follows(place, tmp_path, capsys):
    from headstart.cli.main import main

    root, table, source = place
    (tmp_path / "p.toml").write_text("depth = 1\n")
    asked = ["compare", str(table), "-o", str(tmp_path / "c"), "--arms", "classical,probe", "--labels", "16,40"]
    asked += ["--plans", str(tmp_path / "p.toml"), "--source", source, "--cache", str(root), "--seeds", "2"]
    main([*asked, "--part", "1/2"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "6 pieces of work are missing: run the other parts, or the same without --part"
    main(asked)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["accuracy,", "labels:", "16", "40"]
    assert [line.split()[0] for line in lines[1:4]] == ["classical", "probe", "p"]
    assert any(line.startswith("16 labels: ") for line in lines)
    assert any(line.startswith("The pretrained network ") for line in lines)
    assert lines[-1] == f"page: {tmp_path / 'c' / 'comparison.html'}"
    with pytest.raises(SystemExit) as end:
        main([*asked, "--labels", "many"])
    assert end.value.code == 2
    assert "--labels 'many' is not a number of rows" in capsys.readouterr().err
    (tmp_path / "file").write_text("no folder")
    for wrong, code in ((["--part", "3/2"], 2), (["--plans", "none.toml"], 2), (["-o", str(tmp_path / "file")], 1)):
        with pytest.raises(SystemExit) as end:
            main([*asked, *wrong])
        err = capsys.readouterr().err
        assert (end.value.code, len([line for line in err.splitlines() if line.startswith("headstart: ")])) == (code, 1)
        assert "Traceback" not in err


def test_the_json_has_everything(place, tmp_path, capsys):
    from headstart.cli.main import main

    root, table, source = place
    asked = ["compare", str(table), "-o", str(tmp_path / "c"), "--arms", "classical,probe", "--labels", "16,40"]
    main([*asked, "--source", source, "--cache", str(root), "--seeds", "2", "--json"])
    said = json.loads(capsys.readouterr().out)
    assert {"path", "source", "metric", "seeds", "test", "points", "worth", "transfer", "missing", "energy"} < set(said)
    assert {"plans", "seen", "made", "folder", "page", "words"} < set(said)
    assert set(said["points"][0]) == {"arm", "labels", "score", "low", "high", "seconds", "depths", "joules"}
    assert {each["what"] for each in said["transfer"]["saved"]} >= {"labels", "seconds"}
    assert said["made"]["command"].startswith("headstart compare ")
    assert said["made"]["machine"]["cores"] >= 1
    assert said["made"]["source"]["name"] == said["source"]
    assert said["words"][0].startswith("The pretrained network ")
