"""What a fit will take and give, against sums by hand and against outcomes that were drawn."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from headstart.adapt.costs import Costs, memory_of_rows
from headstart.adapt.foretell import Pieces, Shape, head_seconds, score_of, seconds_of, tail_seconds
from headstart.adapt.recipes import picture_recipe


def test_a_head_takes_its_parts():
    shape, pieces = Shape(rows=400, test=100, folds=0, size=1), Pieces(before=2.0, classical=1.5, after=0.5)
    parts = head_seconds(shape, pieces, pace=50, there=200, head=3.0)
    assert sum(parts.values()) == pytest.approx(2 + (400 + 100 - 200) / 50 + 3 + 1.5 + 0.5)
    # without a test part every row is among those to learn from, and each of five folds learns from four fifths
    folds = Shape(rows=400, test=400, folds=5, size=1)
    parts = head_seconds(folds, pieces, pace=50, there=400, head=3.0)
    assert sum(parts.values()) == pytest.approx(2 + 0 + 3 * (1 + 5 * 0.8) + 1.5 + 0.5)


def test_a_tail_takes_its_parts():
    recipe = picture_recipe(18, 400, 4, "classes", 4, seed=0)
    depth, epochs = recipe.plan.depth, recipe.plan.epochs
    costs = {"start": 3.0, f"load {depth}": 2.0, f"step {depth}": 0.01, f"fill {depth}": 0.02, f"tuned {depth}": 1.0}
    shape = Shape(rows=400, test=100, folds=0, size=1)
    parts = tail_seconds(shape, {"before": 5.0}, recipe, costs, pace=50, head=0.2)
    learned = 0.8 * 400
    want = 5 + 3 + (2 + epochs * learned * 0.01 + learned * 0.02 + 1 + 400 / 50 + 1.5 * 0.2) + 100 / 50
    assert sum(parts.values()) == pytest.approx(want)
    del costs["start"]
    assert tail_seconds(shape, {}, recipe, costs, pace=50, head=0.2)["start"] == 4.0


def test_the_range_of_seconds_holds_nine_of_ten():
    told = seconds_of({"a": 6.0, "b": 4.0}, 0.2)
    came = 10 * np.exp(np.random.default_rng(0).normal(0, 0.2, 20_000))
    assert told.value == 10
    assert np.mean((came > told.low) & (came < told.high)) == pytest.approx(0.9, abs=0.01)


class Probe:
    """A probe that was right on some of its rows, as `Suits` tells it."""

    def __init__(self, right):
        self.ask = SimpleNamespace(metric="accuracy", task="classes")
        self.right, self.rows = right, np.arange(len(right))
        self.score = float(right.mean())

    def draws(self, count):
        draw = np.random.default_rng(0)
        return np.array([draw.choice(self.right, len(self.right)).mean() for _ in range(count)])


def test_the_range_of_the_score_holds_the_luck_of_both_parts():
    """The truth is .85 for the probe and what it is a head for: drawn rows decide what is seen of it."""
    draw, held = np.random.default_rng(1), []
    for _ in range(300):
        told = score_of(Probe(draw.random(200) < 0.85), Shape(200, 100, 0, 1))
        came = (draw.random(100) < 0.85).mean()
        held.append(told.low <= came <= told.high)
    assert 0.88 <= np.mean(held) <= 0.97


def test_more_rows_and_a_tail_promise_more_and_fewer_test_rows_less_surely():
    probe = Probe(np.arange(200) < 160)
    plain = score_of(probe, Shape(200, 1000, 0, 1))
    assert plain.value == pytest.approx(0.8)
    tail = score_of(probe, Shape(200, 1000, 0, 1), gain=(0.1, 0.25))
    assert tail.value == pytest.approx(0.8 + 0.1 * 0.2)
    assert tail.high - tail.low > plain.high - plain.low
    assert score_of(probe, Shape(6400, 1000, 0, 1)).value == pytest.approx(1 - 0.2 * 32**-0.2)
    few = score_of(probe, Shape(200, 50, 0, 1))
    assert few.high - few.low > plain.high - plain.low


def test_noted_costs_come_back_and_damage_costs_nothing_else(tmp_path):
    costs = Costs.of(tmp_path, "abc", 2)
    costs.note(load=1.5)
    assert costs.known() == {}
    costs.file.parent.mkdir(parents=True)
    costs.note(load=1.5)
    costs.note(**{"step 4": 0.01})
    assert Costs.of(tmp_path, "abc", 2).known() == {"load": 1.5, "step 4": 0.01}
    assert Costs.of(tmp_path, "abc", 1).known() == {}
    with costs.timed("tuned 4"):
        pass
    assert 0 <= costs.known()["tuned 4"] < 1
    for text in ("{", "[1]", '{"a": "x"}', "\xff"):
        costs.file.write_bytes(text.encode("latin1"))
        assert costs.known() == {}
    costs.note(load=2.0)
    assert costs.known() == {"load": 2.0}


def test_only_the_first_import_is_noted(tmp_path, monkeypatch):
    costs = Costs(tmp_path / "costs.json")
    with costs.first("start", "json"):  # imported long ago
        pass
    with costs.first("start", "heavy"):  # not imported inside either
        pass
    assert costs.known() == {}
    with costs.first("start", "heavy"):
        monkeypatch.setitem(sys.modules, "heavy", sys)
    (noted,) = costs.known().values()
    with costs.first("start", "heavy"):
        pass
    assert costs.known() == {"start": noted}


def test_a_row_takes_the_memory_of_its_copies():
    assert memory_of_rows([100, 50]) == pytest.approx(150 * 12 / 1e6)
    assert memory_of_rows([5000, 5000]) == pytest.approx(6000 * 12 / 1e6)
