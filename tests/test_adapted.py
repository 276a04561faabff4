"""`fit --adapt-to` and `predict --adapt`: a head for data without labels, and norms for one call."""

import json

import numpy as np
import pytest
from networks import sentences, small_convnet, small_encoder, write_pictures, write_table
from PIL import Image
from typed import typing_in

from headstart.adapt.across import across
from headstart.adapt.probe import Ask
from headstart.data.read import read, read_inputs
from headstart.data.split import choice_folds, split, within
from headstart.errors import UsageError
from headstart.heads.linear import Linear
from headstart.sources.find import find
from headstart.verbs.fit import fit
from headstart.verbs.predict import evaluate, predict
from headstart.verbs.prepared import opened
from headstart.verbs.settings import Settings


def shifted(folder, by):
    """The same pictures with other light: what a network of norms sees moved and scaled."""
    for path in folder.rglob("*.png"):
        pixels = np.asarray(Image.open(path).convert("RGB"), np.float64)
        Image.fromarray(np.clip(by(pixels), 0, 255).astype(np.uint8)).save(path)
    return folder


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A cache, a network of texts with data and a target, and a network of pictures with the same."""
    root = tmp_path_factory.mktemp("adapted")
    source = small_encoder(root / "net")
    table = write_table(root / "films.csv", 120)
    target = root / "target.csv"
    target.write_text("text\n" + "\n".join(text for text, _ in sentences(80, seed=7)), "utf8")
    convnet = small_convnet(root / "convnet")
    pictures = write_pictures(root / "pictures", 80)
    dark = shifted(write_pictures(root / "dark", 60, seed=5), lambda x: 20 + 0.3 * x)
    return root, source, table, target, convnet, pictures, dark


def test_the_head_is_the_one_that_across_makes_of_both(place, tmp_path):
    root, source, table, target, *_ = place
    settings = Settings(source=source, adapt_to=target, adapt_by="standardised", taps=("layer2",))
    skill = fit(table, tmp_path / "x.skill", settings=settings, cache=root / "cache")
    data, beside = read(table), read_inputs([target], modality="text", column=None)
    parts = split(data)
    folds = within(choice_folds(data, parts.train, seed=0), parts.train)
    card = find(source, root / "cache")
    a, b = (opened(card, each, root / "cache", threads=0, told=print) for each in (data, beside))
    a, b = a.matrix(parts.train, ("layer2",)), b.matrix(np.arange(len(beside)), ("layer2",))
    want = across(a, data.y[parts.train], b, Ask("classes", "accuracy", 2), folds, way="standardised").head
    found = Linear.from_arrays(dict(skill.arrays), "classes")
    assert np.allclose(found.mean, want.mean, atol=1e-5)
    assert np.allclose(found.weight, want.weight, atol=1e-4)
    # standardising each side by itself: the head reads the target in the target's own units
    assert np.allclose(found.mean, b.mean(0), atol=1e-5)


def test_the_labels_of_the_target_are_not_looked_at(place, tmp_path):
    root, source, table, *_ = place
    lines = sentences(80, seed=7)
    skills = []
    for name, swap in (("right", False), ("wrong", True)):
        other = {"good": "bad", "bad": "good"}
        rows = [f"{text},{other[label] if swap else label}" for text, label in lines]
        path = tmp_path / f"{name}.csv"
        path.write_text("\n".join(["text,label", *rows]), "utf8")
        settings = Settings(source=source, adapt_to=path)
        skills.append(fit(table, tmp_path / f"{name}.skill", settings=settings, cache=root / "cache"))
    one, two = ((skill.folder / "delta.safetensors").read_bytes() for skill in skills)
    assert one == two
    told = [json.loads((skill.folder / "metrics.json").read_text("utf8"))["adaptation"] for skill in skills]
    assert told[0]["after"]["value"] == pytest.approx(1 - told[1]["after"]["value"])
    scores = evaluate(skills[0], tmp_path / "right.csv", cache=root / "cache")["scores"]
    assert told[0]["after"]["value"] == pytest.approx(scores["accuracy"]["value"])
    assert "Adapted to other data" in (skills[0].folder / "report.html").read_text("utf8")


def test_norms_of_the_target_are_in_the_skill_and_are_read_with(place, tmp_path):
    root, _, _, _, convnet, pictures, dark = place
    settings = Settings(source=convnet, adapt_to=dark, adapt_by="norms+standardised")
    skill = fit(pictures, tmp_path / "x.skill", settings=settings, cache=root / "cache")
    norms = {name: array for name, array in skill.arrays.items() if name.endswith(("running_mean", "running_var"))}
    assert norms
    assert not [name for name in skill.arrays if name.startswith("tail.") and name not in norms]
    told = json.loads((skill.folder / "metrics.json").read_text("utf8"))["adaptation"]
    again = evaluate(skill, dark, cache=root / "cache")["scores"]["accuracy"]["value"]
    assert again == pytest.approx(told["after"]["value"], abs=0.02)
    # light that is scaled and moved is undone by norms and by units of its own
    assert told["after"]["value"] > told["before"]["value"] + 0.3


def test_norms_for_one_call_change_its_answers_and_nothing_else(place, tmp_path):
    root, _, _, _, convnet, pictures, dark = place
    skill = fit(pictures, tmp_path / "x.skill", settings=Settings(source=convnet, depth=1), cache=root / "cache")
    before = (skill.folder / "delta.safetensors").read_bytes()
    plain = predict(skill, dark, cache=root / "cache")
    normed = predict(skill, dark, adapt=True, cache=root / "cache")
    assert predict(skill, dark, cache=root / "cache") == plain
    assert (skill.folder / "delta.safetensors").read_bytes() == before
    truth = {str(path): path.parent.name for path in dark.rglob("*.png")}
    right = [np.mean([row.label == truth[row.input] for row in rows]) for rows in (plain, normed)]
    assert right[1] >= right[0]
    assert right[1] > 0.9


def test_what_cannot_be_adapted_to_is_one_sentence(place, tmp_path, capsys, monkeypatch):
    root, source, table, target, _, pictures, _ = place
    run = typing_in(root, tmp_path, capsys, monkeypatch)
    few = tmp_path / "few.csv"
    few.write_text("text\n" + "a film\n" * 5)
    for arguments, said in (
        (("--adapt-to", "nowhere.csv"), "'nowhere.csv' does not exist; give a folder"),
        (("--adapt-to", pictures), "holds pictures and the labelled data holds texts"),
        (("--adapt-to", table), "holds the very examples that are learned from"),
        (("--adapt-to", few), "examples that can be read; give at least 20"),
        (("--adapt-to", target, "--depth", "2", "--adapt-by", "entropy"), "a tail cannot be adapted by 'entropy'; use"),
        (("--adapt-to", target, "--adapt-by", "magic"), "way 'magic' is not there"),
        (("--adapt-by", "entropy"), "needs data to adapt to; add --adapt-to DATA"),
        (("--adapt-to", target, "--adapt-by", "norms+nothing"), "needs the held blocks of"),
    ):
        code, _, err = run("fit", table, "--source", source, *arguments, "-o", "x.skill")
        assert code in (1, 2)
        assert said in err, err
        assert not (tmp_path / "x.skill").exists()


def test_norms_need_pictures_enough_and_a_network_that_has_them(place, tmp_path):
    root, source, table, _, convnet, pictures, dark = place
    text = fit(table, tmp_path / "t.skill", settings=Settings(source=source, depth=1), cache=root / "cache")
    with pytest.raises(UsageError, match="is not one network of pictures, whose norms --adapt could set"):
        predict(text, table, adapt=True, cache=root / "cache")
    skill = fit(pictures, tmp_path / "p.skill", settings=Settings(source=convnet, depth=1), cache=root / "cache")
    with pytest.raises(UsageError, match="--adapt was given 3 pictures; give at least 16"):
        predict(skill, sorted(dark.rglob("*.png"))[:3], adapt=True, cache=root / "cache")


@pytest.mark.parametrize("by", ["dann", "deep-coral"])
def test_a_tail_is_brought_near_the_target(place, tmp_path, by):
    """The same tail without the target is another one, and what the skill answers is what the report says of it."""
    root, _, _, _, convnet, _, dark = place
    cache, pictures = root / "cache", tmp_path / "pictures"
    write_pictures(pictures / "train", 48)
    write_pictures(pictures / "test", 16, seed=1)
    plain = fit(pictures, tmp_path / "plain.skill", settings=Settings(source=convnet, depth=3), cache=cache)
    settings = Settings(source=convnet, depth=3, adapt_to=dark, adapt_by=by)
    near = fit(pictures, tmp_path / "near.skill", settings=settings, cache=cache)
    one, two = ({k: v for k, v in skill.arrays.items() if k.startswith("tail.")} for skill in (plain, near))
    assert set(one) == set(two)
    assert any(not np.allclose(one[name], two[name]) for name in one)
    told = json.loads((near.folder / "metrics.json").read_text("utf8"))["adaptation"]
    again = evaluate(near, dark, cache=cache)["scores"]["accuracy"]["value"]
    assert again == pytest.approx(told["after"]["value"], abs=0.02)
