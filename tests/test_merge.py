"""Skills of one network in one: side by side nothing is lost by construction, and a mean is the mean of the scores."""

import json
import re
from dataclasses import asdict, replace

import numpy as np
import pytest
from networks import sentences, small_encoder, write_table

from headstart.adapt.soup import soup
from headstart.core import skill as skills
from headstart.core.also import chosen, heads_of
from headstart.errors import DataError, SkillError, UsageError
from headstart.heads.average import average, ordered
from headstart.heads.linear import Linear
from headstart.sources.find import find
from headstart.verbs.merge import merge
from headstart.verbs.predict import evaluate, open_predictor, predict
from headstart.verbs.shelf import Shelf

TEXTS = [text for text, _ in sentences(12, seed=6)]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A cache, the card of a small network, and labelled data."""
    root = tmp_path_factory.mktemp("merge")
    return root, find(small_encoder(root / "net"), root / "cache"), write_table(root / "films.csv", 40)


def head_of(seed, d=32, c=2, task="classes", temperature=1.3):
    draw = np.random.default_rng(seed)
    mean, scale = draw.normal(0, 2, d).astype(np.float32), draw.uniform(0.5, 2, d).astype(np.float32)
    weight = draw.normal(0, 1, (d, c)).astype(np.float32)
    return Linear(mean, scale, weight, draw.normal(0, 1, c), temperature, task)


def made(folder, card, seed, *, classes=("bad", "good"), task="classes", taps=("layer2",), tail=None, depth=1, **rest):
    """A skill with a head of its own."""
    head = head_of(seed, 32 * len(taps), len(classes), task)
    manifest = {"name": folder.stem, "modality": "text", "task": task, "classes": list(classes), "depth": depth}
    metric = {"classes": "accuracy", "labels": "micro_f1", "numbers": "r2"}[task]
    manifest |= {"metric": metric, "source": asdict(card), "taps": list(taps), **rest}
    return skills.write(folder, manifest, {**head.arrays(), **(tail or {})}, {})


def tail_of(seed):
    """A learned last layer: one of its biases is another."""
    return {"tail.layer2.0.output.dense.bias": np.random.default_rng(seed).normal(0, 5, 32).astype(np.float32)}


def answers(skill, root, head=None):
    rows = predict(open_predictor(skill, head=head, cache=root / "cache"), TEXTS)
    return np.array([list(row.all.values()) for row in rows])


def test_heads_side_by_side_answer_bit_for_bit_as_they_do_alone(world, tmp_path):
    root, card, _ = world
    parts = [
        made(tmp_path / "tone.skill", card, 1),
        made(tmp_path / "topic.skill", card, 2, classes=("war", "love", "crime"), taps=("layer1", "layer2")),
        made(tmp_path / "tags.skill", card, 3, classes=("long", "old"), task="labels", taps=("layer1",)),
        made(tmp_path / "stars.skill", card, 4, classes=("stars",), task="numbers"),
    ]
    done = merge([part.folder for part in parts], tmp_path / "all.skill", cache=root / "cache")
    folder = done.skill.folder
    names = ("tone", "topic", "tags", "stars")
    assert heads_of(skills.read(folder)) == names
    assert "Nothing is lost" in done.about.said
    shelf = Shelf(cache=root / "cache")
    for part, name in zip(parts, names, strict=True):
        np.testing.assert_array_equal(answers(folder, root, name), answers(part, root))
        assert shelf.open(folder, name).classes == tuple(part.manifest["classes"])
        rows = predict(open_predictor(folder, head=name, cache=root / "cache"), TEXTS)
        assert rows == predict(part, TEXTS, cache=root / "cache")
    assert len(shelf.networks) == 1
    np.testing.assert_array_equal(answers(folder, root), answers(parts[0], root))
    with pytest.raises(UsageError, match="has no head 'tune'; use one of tone, topic, tags, stars"):
        open_predictor(folder, head="tune", cache=root / "cache")


def test_a_merged_skill_is_merged_further(world, tmp_path):
    root, card, _ = world
    parts = [made(tmp_path / f"{name}.skill", card, k) for k, name in enumerate("abc")]
    two = merge(parts[:2], tmp_path / "two.skill", cache=root / "cache").skill.folder
    again = made(tmp_path / "more" / "a.skill", card, 9)
    four = merge([parts[2], two, again], tmp_path / "four.skill", cache=root / "cache").skill.folder
    assert heads_of(skills.read(four)) == ("c", "a", "b", "a-2")
    for name, part in zip(("c", "a", "b", "a-2"), (parts[2], parts[0], parts[1], again), strict=True):
        np.testing.assert_array_equal(answers(four, root, name), answers(part, root))


def test_one_tail_is_kept_and_the_head_that_learned_without_it_is_measured(world, tmp_path):
    root, card, table = world
    deep = made(tmp_path / "deep.skill", card, 1, tail=tail_of(1), depth=2)
    flat = made(tmp_path / "flat.skill", card, 8)
    done = merge([flat, deep], tmp_path / "both.skill", data={"flat": table}, cache=root / "cache")
    folder = done.skill.folder
    # the same network with an output for every layer: the engine may round otherwise
    np.testing.assert_allclose(answers(folder, root, "deep"), answers(deep, root), atol=1e-5)
    truth = [kind for _, kind in sentences(40)]
    texts = [text for text, _ in sentences(40)]
    was = [row.label for row in predict(flat, texts, cache=root / "cache")]
    now = [row.label for row in predict(open_predictor(folder, head="flat", cache=root / "cache"), texts)]
    (loss,) = done.about.losses
    assert was != now
    assert loss.agreement == (np.mean([a == b for a, b in zip(was, now, strict=True)]),)
    assert loss.parts[0].value == np.mean([a == b for a, b in zip(was, truth, strict=True)])
    assert loss.merged.value == np.mean([a == b for a, b in zip(now, truth, strict=True)])
    assert loss.differences[0].value == pytest.approx(loss.merged.value - loss.parts[0].value)
    assert "The network is that of deep" in done.about.said
    assert "not measured" not in done.about.said
    unmeasured = merge([flat, deep], tmp_path / "other.skill", cache=root / "cache").about
    assert "For flat it was not measured: give --data NAME=PATH." in unmeasured.said
    assert unmeasured.score is None
    other = made(tmp_path / "other-tail.skill", card, 3, tail=tail_of(2), depth=2)
    with pytest.raises(UsageError, match="deep and other-tail learned different blocks below their heads"):
        merge([deep, other], tmp_path / "x.skill", cache=root / "cache")


@pytest.mark.parametrize("task", ["classes", "labels", "numbers"])
def test_the_mean_of_heads_gives_the_mean_of_their_scores(task):
    x = np.random.default_rng(0).normal(0, 2, (50, 32))
    hot = (1.0, 1.0, 1.0) if task == "numbers" else (0.7, 1.0, 2.2)
    heads = [replace(head_of(k, c=3, task=task, temperature=t), limit=1e6) for k, t in enumerate(hot)]
    merged = average(heads)
    by_hand = np.mean([head.scores(x) / head.temperature for head in heads], axis=0)
    np.testing.assert_allclose(merged.scores(x) / merged.temperature, by_hand, atol=2e-5)


def test_values_out_of_range_count_no_more_than_the_limit_in_a_mean_too():
    merged = average([head_of(1), head_of(2)])
    far = merged.mean + merged.scale * 10
    np.testing.assert_array_equal(merged.scores(far[None]), merged.scores(merged.mean[None] + 1e6 * merged.scale))


def test_the_mean_of_a_head_with_itself_is_that_head():
    for count in (1, 2, 3, 7):
        head = head_of(5, c=4)
        merged = average([head] * count)
        for name, values in head.arrays().items():  # the bias is in double precision, where thirds round
            exact = name != "head.bias"
            np.testing.assert_allclose(merged.arrays()[name], values, rtol=0 if exact else 1e-15)


def test_the_deviation_of_a_mean_is_that_of_the_rows_of_all_heads():
    draw = np.random.default_rng(1)
    rows = [draw.normal(k, 1 + k, (1000, 4)) for k in range(3)]
    heads = [
        replace(head_of(k, d=4), mean=each.mean(0).astype(np.float32), scale=each.std(0).astype(np.float32))
        for k, each in enumerate(rows)
    ]
    merged, every = average(heads), np.concatenate(rows)
    np.testing.assert_allclose(merged.mean, every.mean(0), rtol=1e-5)
    np.testing.assert_allclose(merged.scale, every.std(0), rtol=1e-5)


def test_heads_of_other_shapes_have_no_mean():
    with pytest.raises(DataError, match="heads of 2 kinds cannot be averaged"):
        average([head_of(1), head_of(2, c=3)])


def test_a_skill_averaged_with_itself_is_itself(world, tmp_path):
    root, card, _ = world
    for tail, depth in ((None, 1), (tail_of(4), 2)):
        skill = made(tmp_path / f"{depth}.skill", card, 1, tail=tail, depth=depth)
        done = merge([skill, skill], tmp_path / f"twice-{depth}.skill", how="average", cache=root / "cache")
        for name, values in skill.arrays.items():
            np.testing.assert_array_equal(done.skill.arrays[name], values)
        np.testing.assert_array_equal(answers(done.skill, root), answers(skill, root))


def test_classes_are_averaged_by_their_names_and_not_by_their_places(world, tmp_path):
    root, card, table = world
    skill = made(tmp_path / "a.skill", card, 1, classes=("x", "bad", "good"))
    head = ordered(head_of(1, c=3), [2, 0, 1])
    manifest = {**skill.manifest, "classes": ["good", "x", "bad"], "name": "b"}
    turned = skills.write(tmp_path / "b.skill", manifest, head.arrays(), {})
    done = merge([skill, turned], tmp_path / "c.skill", how="average", data=table, cache=root / "cache")
    np.testing.assert_array_equal(answers(done.skill, root), answers(skill, root))
    (loss,) = done.about.losses
    assert loss.agreement == (1.0, 1.0)
    assert [point.value for point in (*loss.parts, *loss.differences)] == [loss.merged.value] * 2 + [0, 0]
    assert loss.merged.value == evaluate(skill, table, cache=root / "cache")["scores"]["accuracy"]["value"]


def test_tails_are_averaged_value_by_value(world, tmp_path):
    root, card, _ = world
    tails = [tail_of(k) for k in range(3)]
    parts = [made(tmp_path / f"{k}.skill", card, k, tail=tail, depth=2) for k, tail in enumerate(tails)]
    done = merge(parts, tmp_path / "mean.skill", how="average", cache=root / "cache")
    (name,) = tails[0]
    np.testing.assert_allclose(done.skill.arrays[name], sum(t[name].astype(float) for t in tails) / 3, rtol=1e-6)
    assert "which may cost or bring something; nothing was measured" in done.about.said
    counted = [{"tail.a.num_batches_tracked": np.array(k)} for k in (3, 8, 5)]
    assert soup(counted)["tail.a.num_batches_tracked"] == 8
    with pytest.raises(SkillError, match="tails that learned other blocks"):
        soup([tails[0], {"tail.other": np.zeros(2, np.float32)}])


def test_data_that_a_part_learned_from_is_said_and_makes_no_score(world, tmp_path):
    from headstart.data.dataset import Options
    from headstart.data.read import read

    root, card, table = world
    seen = read(table, Options(task="classes", classes=("bad", "good"))).fingerprint
    fresh = [made(tmp_path / f"{k}.skill", card, k) for k in range(2)]
    taught = made(tmp_path / "taught.skill", card, 3, data=seen)
    first = merge(fresh, tmp_path / "a.skill", how="average", data=table, cache=root / "cache").about
    assert not first.losses[0].seen
    assert first.score["value"] == first.losses[0].merged.value
    second = merge([*fresh, taught], tmp_path / "b.skill", how="average", data=table, cache=root / "cache").about
    assert second.losses[0].seen
    assert second.score is None
    assert "which a part had learned from" in (tmp_path / "b.skill" / "README.md").read_text("utf8")


def test_what_is_written_is_what_is_known(world, tmp_path):
    root, card, _ = world
    score = {"metric": "accuracy", "value": 0.9, "low": 0.8, "high": 0.95, "n": 50, "where": "held-out test part"}
    parts = []
    for k, name in enumerate(("a", "b<script>")):
        part = made(tmp_path / f"{k}.skill", card, k, name=name)
        parts.append(
            skills.write(part.folder, part.manifest, part.arrays, {"metrics.json": json.dumps({"score": score})})
        )
    folder = merge(parts, tmp_path / "both.skill", cache=root / "cache").skill.folder
    about = json.loads((folder / "metrics.json").read_text("utf8"))
    assert about["score"] == score  # of the main head, which lost nothing
    assert [part["score"]["value"] for part in about["parts"]] == [0.9, 0.9]
    assert [part["delta"] for part in about["parts"]] == [p.manifest["files"]["delta.safetensors"] for p in parts]
    card_text = (folder / "README.md").read_text("utf8")
    assert "<script>" not in re.sub("```.*?```", "", card_text, flags=re.S)
    assert "accuracy 90.0 % [80.0, 95.0]" in card_text
    assert chosen(skills.read(folder), "b<script>").manifest["classes"] == ["bad", "good"]


REFUSED = {
    "one": ({}, 1, {}, "1 skill was given; merge two or more"),
    "another way": ({}, 2, {"how": "mix"}, "'mix' is no way to merge; use stack .* or average"),
    "other taps": ({"taps": ("layer1",)}, 2, {"how": "average"}, r"has taps \['layer2'\] and b has \['layer1'\]"),
    "other classes": (
        {"classes": ("bad", "fine")},
        2,
        {"how": "average"},
        r"the same classes \(fine, good\)",
    ),
    "another task": ({"task": "labels"}, 2, {"how": "average"}, "has task classes and b has labels"),
    "another depth": ({"depth": 2, "tail": tail_of(1)}, 2, {"how": "average"}, "has depth 1 and b has 2"),
    "data without a name": ({}, 2, {"data": "x.csv"}, "labelled data is given for a head by its name"),
    "data for no head": ({}, 2, {"data": {"c": "x.csv"}}, "as --data NAME=PATH; use a, b"),
    "data by name": ({}, 2, {"how": "average", "data": {"a": "x.csv"}}, "give one labelled set as --data PATH"),
}


@pytest.mark.parametrize(("other", "count", "options", "said"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_merged_is_refused_and_nothing_is_written(world, tmp_path, other, count, options, said):
    root, card, _ = world
    parts = [made(tmp_path / "a.skill", card, 1), made(tmp_path / "b.skill", card, 2, **other)][:count]
    with pytest.raises(UsageError, match=said):
        merge(parts, tmp_path / "x.skill", cache=root / "cache", **options)
    assert not (tmp_path / "x.skill").exists()


def test_skills_of_different_networks_are_not_merged(world, tmp_path):
    root, card, _ = world
    parts = [made(tmp_path / "a.skill", card, 1), made(tmp_path / "b.skill", replace(card, size=64), 2)]
    with pytest.raises(UsageError, match="are of different networks; merge skills of one network"):
        merge(parts, tmp_path / "x.skill", cache=root / "cache")


def test_a_list_of_heads_that_cannot_be_read_is_one_sentence(world, tmp_path):
    root, card, _ = world
    for also in ({}, ["a"], [{"name": "b"}], [{"name": 3}]):
        skill = made(tmp_path / "a.skill", card, 1, also=also or {"a": 1})
        with pytest.raises(SkillError, match="has a list of heads that cannot be read"):
            open_predictor(skill, head="b", cache=root / "cache")
