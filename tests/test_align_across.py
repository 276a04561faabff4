"""Ways to a target without labels, on data whose truth is known."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from headstart.adapt.across import NORMS, Own, across, offered
from headstart.adapt.probe import Ask
from headstart.adapt.ways import ROOTS, STEPS, Sides, answered, nothing, standardised, ways
from headstart.errors import DataError, UsageError
from headstart.heads.linear import own_folds
from headstart.mismatch.coral import standardise_each

ASK = Ask("classes", "accuracy", 4)


def clouds(n, seed, *, scale=1.0, shift=0.0, classes=4, spread=1.0):
    """Four clouds in 12 dimensions; the target's features are stretched and moved, each by its own."""
    draw = np.random.default_rng(seed)
    y = np.arange(n) % classes
    x = spread * draw.normal(size=(n, 12)) + 2.5 * np.eye(12)[y]
    return (x * scale + shift).astype(np.float32), y


MOVE = {"scale": np.linspace(0.3, 3, 12), "shift": np.random.default_rng(9).normal(0, 4, 12)}


def right(way, x, y):
    return (way.head.scores(x).argmax(1) == y).mean()


def sides(**move):
    a, y = clouds(200, 0)
    b, truth = clouds(240, 1, **(move or MOVE))
    return Sides(a, y, b, ASK), truth


def test_standardising_each_undoes_a_change_of_units_exactly():
    """On the same rows in other units it gives the source's own answers."""
    a, y = clouds(200, 0)
    moved = (a * MOVE["scale"] + MOVE["shift"]).astype(np.float32)
    here = Sides(a, y, moved, ASK)
    start = nothing(here)
    way = standardised(here, start)
    np.testing.assert_allclose(way.head.scores(moved), start.head.scores(a), atol=1e-2)
    np.testing.assert_allclose(way.on_source(a), start.head.scores(a), atol=1e-4)


def test_standardising_each_is_the_head_of_standardised_rows():
    here, _ = sides()
    start = nothing(here)
    _, zb = standardise_each(here.a, here.b)
    head = replace(start.head, mean=np.zeros(12), scale=np.ones(12))
    np.testing.assert_allclose(standardised(here, start).head.scores(here.b), head.scores(zb), atol=1e-3)


@pytest.mark.parametrize("name", [*ROOTS, *STEPS])
def test_every_way_finds_the_classes_again_that_no_adaptation_misses(name):
    here, truth = sides()
    assert right(nothing(here), here.b, truth) < 0.6
    found = ways(here, [name])[name]
    if name != "nothing":
        assert right(found, here.b, truth) > 0.85
    held, y = clouds(100, 5)
    assert (found.on_source(held).argmax(1) == y).mean() > 0.8


@pytest.mark.parametrize("name", [*ROOTS, *STEPS])
def test_a_way_is_the_same_twice_and_leaves_random_numbers_and_inputs_alone(name):
    here, _ = sides()
    a, b, state = here.a.copy(), here.b.copy(), torch.random.get_rng_state()
    one, two = (ways(replace(here), [name])[name].head for _ in range(2))
    assert np.array_equal(one.weight, two.weight)
    assert np.array_equal(here.a, a)
    assert np.array_equal(here.b, b)
    assert torch.equal(state, torch.random.get_rng_state())


def test_surer_ways_are_surer():
    here, _ = sides(spread=1.5, **MOVE)
    found = ways(here, ["standardised", "confusion", "entropy"])
    sure = {name: way.head.probabilities(here.b).max(1).mean() for name, way in found.items()}
    assert sure["confusion"] > sure["standardised"]
    assert sure["entropy"] > sure["standardised"]


def test_learning_its_own_answers_stops_where_they_no_longer_change():
    here, _ = sides()
    once = answered(here, standardised(here, nothing(here)))
    again = answered(here, once)
    assert (once.head.scores(here.b).argmax(1) == again.head.scores(here.b).argmax(1)).mean() > 0.99


def test_balance_gives_rare_classes_their_weight():
    a, y = clouds(400, 0, spread=1.6)
    keep = (y != 0) | (np.arange(400) % 40 == 0)
    b, _ = clouds(240, 1, spread=1.6, **MOVE)
    found = [
        ways(Sides(a[keep], y[keep], b, replace(ASK, balance=balance)), ["confusion"])["confusion"]
        for balance in (False, True)
    ]
    said = [(way.head.scores(b).argmax(1) == 0).mean() for way in found]
    assert said[1] > said[0]


def find(a, y, b, **given):
    return across(a, y, b, ASK, own_folds(y, 0), **given)


def test_across_adapts_where_the_target_has_moved_and_says_why():
    here, truth = sides()
    found = find(here.a, here.y, here.b)
    assert found.adapted
    assert right(found, here.b, truth) > 0.85
    assert (found.plain.scores(here.b).argmax(1) == truth).mean() < 0.6
    assert "was chosen" in found.rule
    assert "No label of the target was seen" in found.rule
    assert [each.key for each in found.tried] == list(offered("classes", False))
    assert not next(each for each in found.tried if each.name == found.way).refused


@pytest.mark.parametrize("seed", range(3))
def test_across_leaves_the_head_where_both_sets_are_alike(seed):
    a, y = clouds(160, 2 * seed)
    b, _ = clouds(160, 2 * seed + 1)
    found = find(a, y, b)
    assert not found.adapted
    assert found.norms is None
    np.testing.assert_array_equal(found.head.scores(b), found.plain.scores(b))
    assert found.way == "no adaptation"
    assert "kept as it is" in found.rule


def test_across_does_no_harm_where_the_target_is_noise():
    """Nothing can be right there; the head that comes out must still be one, and the source's rows still answered."""
    a, y = clouds(200, 0)
    b = np.random.default_rng(3).normal(size=(150, 12)).astype(np.float32)
    found = find(a, y, b)
    chosen = next(each for each in found.tried if each.name == found.way)
    assert chosen.source >= found.tried[0].source - 0.01
    assert np.isfinite(found.head.scores(b)).all()


def test_classes_that_the_target_lacks_do_not_stop_it():
    a, y = clouds(200, 0)
    b, truth = clouds(200, 1, **MOVE)
    few = truth < 3
    found = find(a, y, b[few])
    assert right(found, b[few], truth[few]) >= (found.plain.scores(b[few]).argmax(1) == truth[few]).mean()


def test_the_networks_own_norms_are_handed_on_where_they_were_chosen_and_only_there():
    a, y = clouds(200, 0)
    b, truth = clouds(240, 1, shift=100 * np.random.default_rng(2).normal(size=(240, 12)))  # a view with nothing in it
    own = Own(clouds(240, 1)[0], {"tail.block.running_mean": np.ones(3)})
    found = find(a, y, b, own=own, way=NORMS + "nothing")
    assert found.norms == own.norms
    assert right(found, own.b, truth) > 0.9
    np.testing.assert_array_equal(found.head.weight, found.plain.weight)
    assert find(a, y, b, own=own, way="standardised").norms is None


def test_one_way_can_be_asked_for_and_an_unknown_one_is_named_with_those_there_are():
    here, _ = sides()
    found = find(here.a, here.y, here.b, way="recoloured")
    assert found.way == "CORAL"
    assert found.rule == "recoloured was asked for."
    with pytest.raises(UsageError, match="way 'magic' is not there for classes; use one of nothing, standardised"):
        find(here.a, here.y, here.b, way="magic")
    with pytest.raises(UsageError, match=r"norms\+nothing' is not there"):
        find(here.a, here.y, here.b, way=NORMS + "nothing")
    with pytest.raises(DataError, match="source has 12 features and target has 5"):
        find(here.a, here.y, here.b[:, :5])


@pytest.mark.parametrize("task", ["labels", "numbers"])
def test_other_tasks_change_nothing_unless_asked(task):
    a, k = clouds(200, 0)
    y = (k[:, None] == [0, 1]).astype(float) if task == "labels" else a[:, :2].astype(float)
    moved = (a * MOVE["scale"] + MOVE["shift"]).astype(np.float32)
    ask = Ask(task, "macro_f1" if task == "labels" else "r2", 2)
    found = across(a, y, moved, ask, own_folds(k, 0))
    assert not found.adapted
    assert "Ways that can be asked for: standardised, recoloured" in found.rule
    asked = across(a, y, moved, ask, own_folds(k, 0), way="standardised")
    np.testing.assert_allclose(asked.head.scores(moved), found.plain.scores(a), rtol=0.02, atol=0.02)
    with pytest.raises(UsageError, match=f"'confusion' is not there for {task}; use one of nothing, standardised, rec"):
        across(a, y, moved, ask, own_folds(k, 0), way="confusion")


def test_heavy_libraries_come_with_their_ways_alone():
    code = (
        "import sys, headstart.adapt.across, headstart.adapt.validators, headstart.mismatch.transport\n"
        "assert not {'torch', 'ot', 'sklearn'} & set(sys.modules), set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_without_the_package_of_optimal_transport_the_other_ways_are_tried(monkeypatch):
    monkeypatch.setattr("headstart.adapt.across.find_spec", lambda name: None)
    here, _ = sides()
    found = find(here.a, here.y, here.b)
    assert [each.key for each in found.tried] == [name for name in offered("classes", False) if name != "transported"]
    assert found.adapted
