"""`compare`: paired arms on nested budgets, each outcome done once, and an honest last sentence."""

import json

import numpy as np
import pytest
from networks import small_encoder, write_pictures, write_table

from headstart.data.read import read
from headstart.data.split import some, split
from headstart.errors import UsageError
from headstart.heads.baselines import majority
from headstart.study.units import Outcome, Unit
from headstart.verbs import compare as module
from headstart.verbs.compare import compare
from headstart.verbs.fit import fit
from headstart.verbs.settings import Settings


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A cache, a table and a network."""
    root = tmp_path_factory.mktemp("compare")
    return root, write_table(root / "films.csv", 90, seed=2), small_encoder(root / "net")


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
    assert len(list((tmp_path / "c" / "outcomes").iterdir())) == 12
    monkeypatch.setattr(module._Work, "do", lambda *_: pytest.fail("a unit was done again"))
    assert compare(table, tmp_path / "c", cache=root, **asked) == first


def outcomes(scores, draws=None):
    """Outcomes of arm -> score of each seed; each seed's draws over test rows beside it, or none."""
    return [
        Outcome(Unit(arm, 32, seed), value, 1.0, 1, (value,) * 4 if draws is None else tuple(draws[arm][seed]))
        for arm, own in scores.items()
        for seed, value in enumerate(own)
    ]


def test_the_gain_is_paired_and_its_interval_is_students_over_the_seeds():
    scores = {"probe": (0.8, 0.9, 0.85), "classical": (0.7, 0.75, 0.8), "scratch": (0.5, 0.5, 0.5)}
    done = outcomes(scores)
    (worth,) = module._worth(done, module._points(done), higher=True)
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
    (worth,) = module._worth(done, module._points(done), higher=True)
    assert worth.gain == pytest.approx(0.1)
    assert worth.high - worth.gain == pytest.approx(1.96 * 0.03 * np.sqrt(2), rel=0.05)
    (point,) = (point for point in module._points(done) if point.arm == "probe")
    assert point.score - point.low == pytest.approx(1.96 * np.hypot(0.2, 0.03), rel=0.05)


def test_it_says_so_where_the_network_did_not_help():
    done = outcomes({"probe": (0.7, 0.7), "classical": (0.8, 0.8)})
    (worth,) = module._worth(done, module._points(done), higher=True)
    assert module._in_words(worth).startswith("32 labels: the pretrained network did not help: probe has -10.0 points")


def test_labels_saved_are_read_off_the_best_curve_without_the_network():
    values = {"probe": {16: 0.8, 64: 0.9}, "classical": {16: 0.6, 64: 0.8}, "scratch": {16: 0.5, 64: 0.6}}
    done = [
        Outcome(Unit(arm, n, 0), v, 1.0, 1, (v - 0.3, v + 0.3) if arm == "probe" else (v, v))
        for arm, curve in values.items()
        for n, v in curve.items()
    ]
    few, many = module._worth(done, module._points(done), higher=True)
    assert few.needed == pytest.approx(64)
    assert "without the network it takes about 64 labels to come as far. That may be chance." in module._in_words(few)
    assert "it takes more labels than there are" in module._in_words(many)


def test_what_cannot_be_compared_is_one_sentence(place, tmp_path):
    root, table, source = place
    for asked, said in (
        ({"arms": ("probe", "guess")}, "arm guess is unknown; use some of majority, classical, scratch, probe, chosen"),
        ({"arms": ()}, "arm none is unknown; use some of"),
        ({"metric": "mae"}, "metric 'mae' does not suit classes; use one of accuracy, "),
        ({"seeds": 0}, "seeds=0 must be from 1 to 100; write for example --seeds 3"),
        ({"labels": (5000,)}, r"5000 labels cannot be learned from; give from 4 to \d+ with --labels"),
    ):
        with pytest.raises(UsageError, match=said):
            compare(table, tmp_path / "c", source=source, cache=root, **asked)
    pictures = write_pictures(tmp_path / "pictures", 12)
    with pytest.raises(UsageError, match=r"reads texts and the data holds pictures; name another: `headstart models`"):
        compare(pictures, tmp_path / "c", source=source, cache=root)


def test_the_command_prints_scores_seconds_and_what_follows(place, tmp_path, capsys):
    from headstart.cli.main import main

    root, table, source = place
    asked = ["compare", str(table), "-o", str(tmp_path / "c"), "--arms", "classical,probe", "--labels", "16,40"]
    main([*asked, "--seeds", "2", "--source", source, "--cache", str(root)])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["accuracy,", "labels:", "16", "40"]
    assert [line.split()[0] for line in lines[1:3]] == ["classical", "probe"]
    assert any(line.startswith("16 labels: ") for line in lines)
    with pytest.raises(SystemExit) as end:
        main([*asked[:-1], "many", "--source", source, "--cache", str(root)])
    assert end.value.code == 2
    assert "--labels 'many' is not a number of rows" in capsys.readouterr().err
