"""What the learner reads, tries and leaves behind, on small local networks."""

import json
from dataclasses import replace

import numpy as np
import pytest
from networks import sentences, small_convnet, small_encoder, write_pictures, write_table

from headstart.adapt.held import open_held
from headstart.adapt.probe import Features
from headstart.core.store import Store
from headstart.data.read import read
from headstart.sources.find import find
from headstart.verbs.fit import Settings, fit
from headstart.verbs.predict import predict


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    root = tmp_path_factory.mktemp("learn")
    return root, small_encoder(root / "encoder")


class Counting:
    """An engine that remembers how many rows it ran."""

    def __init__(self, engine):
        self.engine, self.rows = engine, 0
        self.outputs, self.widths, self.precision, self.version = (
            engine.outputs,
            engine.widths,
            engine.precision,
            engine.version,
        )

    def run(self, batches):
        for rows, values in self.engine.run(batches):
            self.rows += len(rows)
            yield rows, values


def test_features_are_computed_once_and_only_for_the_rows_that_are_asked_for(place, tmp_path):
    root, source = place
    data = read(write_table(root / "count.csv", 60))
    held = open_held(find(source, root / "cache"), root / "cache")
    engine = Counting(held.network)
    counted = replace(held, network=engine)
    features = Features(counted, data, counted.table(Store(tmp_path)))
    last = held.taps[-1:]
    some = np.array([5, 3, 40])
    x = features.matrix(some, last)
    assert engine.rows == 3
    features.matrix(np.array([3, 40, 5]), held.taps)
    assert engine.rows == 3
    every = features.matrix(np.arange(60), last)
    assert engine.rows == len(set(data.keys))
    np.testing.assert_array_equal(every[some], x)
    np.testing.assert_allclose(every, held.read(data)[-1], atol=1e-5)


def test_a_tail_that_is_not_kept_leaves_no_network_behind(place):
    root, source = place
    table = write_table(root / "easy.csv", 120)  # a probe answers all of it: no tail can be worth it
    before = {path.name for path in (root / "cache" / "networks").glob("*")}
    skill = fit(table, root / "easy.skill", settings=Settings(source=source, budget=60), cache=root / "cache")
    told = json.loads((skill.folder / "metrics.json").read_text("utf8"))
    assert skill.manifest["depth"] == 1
    assert [rung["depth"] > 1 for rung in told["depth"]["curve"]] == [False, True]
    assert {path.name for path in (root / "cache" / "networks").glob("*")} == before


def test_pytorch_alone_learns_the_same_tail_as_the_engine_serves(place):
    root, source = place
    table = write_table(root / "deep.csv", 80, seed=2)
    settings = Settings(source=source, depth=3, device="eager")
    skill = fit(table, root / "eager.skill", settings=settings, cache=root / "cache")
    assert skill.manifest["depth"] == 3
    told = json.loads((skill.folder / "metrics.json").read_text("utf8"))
    words = sentences(40, seed=9)
    said = predict(skill, [text for text, _ in words], cache=root / "cache")
    right = np.mean([row.label == kind for row, (_, kind) in zip(said, words, strict=True)])
    assert right >= told["score"]["low"]


def test_a_budget_that_is_too_short_for_any_tail_is_said_and_nothing_is_tried(place):
    root, source = place
    table = write_table(root / "short.csv", 120)
    skill = fit(table, root / "short.skill", settings=Settings(source=source, budget=6), cache=root / "cache")
    told = json.loads((skill.folder / "metrics.json").read_text("utf8"))
    assert [rung["depth"] for rung in told["depth"]["curve"]] == [1]
    assert "was not tried: 1.0 s for each tail" in told["depth"]["rule"]  # five folds and the whole


def test_two_trials_of_one_tail_do_not_share_a_folder(tmp_path):
    from headstart.adapt.costs import folder_of
    from headstart.adapt.held import forget, open_tuned, settle
    from headstart.adapt.tune import tail_of
    from headstart.sources.load import load

    cache = tmp_path / "cache"
    card = find(small_convnet(tmp_path / "net"), cache)
    stack = load(card, cache, outputs=2)
    tail = tail_of(stack, 3)
    one, two = (open_tuned(card, tail, lambda: stack, cache, aside=True) for _ in range(2))
    assert one.weights != two.weights
    forget(one)
    data = read(write_pictures(tmp_path / "pictures", 8))
    before = two.read(data)[0]
    settled = settle(two)
    assert folder_of(cache, settled.weights).is_dir()
    assert not [path for path in (cache / "networks").iterdir() if "-aside-" in path.name]
    again = open_tuned(card, tail, lambda: pytest.fail("it was made anew"), cache)
    assert np.allclose(again.read(data)[0], before, atol=1e-5)
