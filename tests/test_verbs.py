"""From data to a skill and to predictions, on small local networks, against networks and heads run by hand."""

import csv
import json
import shutil
import subprocess
import sys
import tomllib

import numpy as np
import pytest
import torch
from networks import sentences, small_convnet, small_encoder, write_pictures, write_table
from PIL import Image
from tokenizers import Tokenizer

from headstart.adapt.held import open_held
from headstart.core.skill import read as read_skill
from headstart.data.dataset import Options
from headstart.data.read import read_inputs
from headstart.engine.openvino import cosine
from headstart.errors import DataError, EngineError, UsageError
from headstart.sources.find import find
from headstart.sources.load import load
from headstart.verbs.fit import Settings, fit
from headstart.verbs.predict import evaluate, predict


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A cache with both networks' compiled forms, shared by all tests here."""
    root = tmp_path_factory.mktemp("verbs")
    return root, small_encoder(root / "encoder"), small_convnet(root / "convnet")


@pytest.fixture(scope="module")
def texts(place):
    root, source, _ = place
    table = write_table(root / "films.csv", 120)
    return fit(table, root / "films.skill", settings=Settings(source=source, depth=1), cache=root / "cache")


@pytest.fixture(scope="module")
def pictures(place):
    root, _, source = place
    folder = write_pictures(root / "pictures")
    return fit(folder, root / "pictures.skill", settings=Settings(source=source, depth=1), cache=root / "cache")


def by_hand(skill, features):
    """Probabilities of the head, from its arrays alone."""
    a = {name.removeprefix("head."): array.astype(np.float64) for name, array in skill.arrays.items()}
    logits = ((features - a["mean"]) / a["scale"] @ a["weight"] + a["bias"]) / a["temperature"]
    e = np.exp(logits - logits.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def features_of_texts(root, source, skill, words):
    stack = load(find(source, root / "cache"), root / "cache", outputs=2).eval()
    tokenizer = Tokenizer.from_file(str(root / "encoder" / "tokenizer.json"))
    out = []
    for text in words:  # one at a time: nothing is padded
        ids = torch.tensor([tokenizer.encode(text).ids])
        state = {"ids": ids, "mask": torch.ones_like(ids, dtype=torch.bool)}
        taps = dict(zip(stack.names, [None], strict=False))
        with torch.no_grad():
            taps = dict(zip(stack.names[:-1], stack.taps(state, range(1, len(stack))), strict=True))
        out.append(np.concatenate([taps[name][0].numpy() for name in skill.manifest["taps"]]))
    return np.array(out)


def test_predictions_of_texts_are_those_of_the_network_and_head_by_hand(place, texts):
    root, source, _ = place
    words = [text for text, _ in sentences(9, seed=5)]
    wanted = by_hand(texts, features_of_texts(root, source, texts, words))
    got = predict(texts, words, cache=root / "cache")
    assert [row.input for row in got] == words
    for row, p in zip(got, wanted, strict=True):
        assert list(row.all) == ["bad", "good"]
        assert np.allclose(list(row.all.values()), p, atol=0.02)  # the engine may compute in bfloat16
        assert row.label == ("bad", "good")[p.argmax()] or abs(p[0] - p[1]) < 0.05


def test_predictions_of_pictures_are_those_of_the_network_and_head_by_hand(place, pictures):
    root, _, source = place
    folder = write_pictures(root / "new", 6, seed=9)
    paths = sorted(folder.rglob("*.png"))
    stack = load(find(source, root / "cache"), root / "cache", outputs=2).eval()
    rows = []
    for path in paths:
        with Image.open(path) as picture:  # 48 x 40: the shorter side becomes 32 and the middle is cut out
            small = picture.resize((38, 32), Image.Resampling.BICUBIC).crop((3, 0, 35, 32))
        x = (torch.from_numpy(np.asarray(small).copy()).permute(2, 0, 1)[None].float() / 255 - 0.5) / 0.25
        with torch.no_grad():
            taps = dict(zip(stack.names[:-1], stack.taps({"h": x}, range(1, len(stack))), strict=True))
        rows.append(np.concatenate([taps[name][0].numpy() for name in pictures.manifest["taps"]]))
    wanted = by_hand(pictures, np.array(rows))
    got = predict(pictures, paths, cache=root / "cache")
    assert np.allclose([list(row.all.values()) for row in got], wanted, atol=0.05)
    assert [row.label for row in got] == [path.parent.name for path in paths]


def test_a_broken_picture_has_its_place_among_the_answers(place, pictures):
    root, _, _ = place
    good = next((root / "pictures").rglob("*.png"))
    bad, gone = root / "bad.png", root / "gone.png"
    bad.write_bytes(b"not a picture")
    rows = predict(pictures, [good, bad, gone, good], cache=root / "cache")
    assert [row.error is None for row in rows] == [True, False, False, True]
    assert rows[0] == rows[3]
    assert "no picture" in rows[1].error
    assert rows[2].error == "does not exist"


def test_the_skill_evaluates_as_its_predictions_count(place, texts):
    root, _, _ = place
    table = write_table(root / "more.csv", 40, seed=3)
    result = evaluate(texts, table, cache=root / "cache")
    said = predict(texts, [text for text, _ in sentences(40, seed=3)], cache=root / "cache")
    right = np.mean([row.label == truth for row, (_, truth) in zip(said, sentences(40, seed=3), strict=True)])
    assert result["n"] == 40
    assert result["scores"]["accuracy"]["value"] == pytest.approx(right)


def test_data_of_another_kind_is_refused_in_words(place, texts, pictures):
    root, _, _ = place
    write_pictures(root / "others", 8, classes=("bad", "good"))
    (root / "scenes.csv").write_text("text,label\na cellar at night,dark\na beach at noon,light\n", "utf8")
    with pytest.raises(DataError, match="others' holds pictures and this skill reads texts; give labelled texts"):
        evaluate(texts, root / "others", cache=root / "cache")
    with pytest.raises(DataError, match=r"scenes.csv' holds texts and this skill reads pictures; give labelled pict"):
        evaluate(pictures, root / "scenes.csv", cache=root / "cache")


def test_every_row_is_measured_once_where_no_test_was_held_out(texts):
    told = json.loads((texts.folder / "metrics.json").read_text("utf8"))
    assert told["score"]["n"] == told["data"]["rows"] == 120
    assert np.sum(told["confusion"]) == 120
    right = np.trace(told["confusion"]) / 120
    assert told["score"]["value"] == pytest.approx(right)


def test_the_plan_says_what_decided_and_why(texts):
    plan = tomllib.loads((texts.folder / "plan.toml").read_text("utf8"))
    assert plan["depth"] == texts.manifest["depth"] == 1
    assert plan["taps"] == texts.manifest["taps"]
    assert plan["data"] == texts.manifest["data"]
    assert plan["because"]["depth"]["from"] == "user"
    assert plan["because"]["depth"]["text"].startswith("Depth 1 was asked for.")


def write_parts(folder, flip):
    """train.csv and test.csv; `flip` turns the test's labels around."""
    folder.mkdir()
    write_table(folder / "train.csv", 80)
    with (folder / "test.csv").open("w", newline="", encoding="utf8") as file:
        writer = csv.writer(file)
        writer.writerow(("text", "label"))
        writer.writerows((t, {"good": "bad", "bad": "good"}[y] if flip else y) for t, y in sentences(40, seed=8))
    return folder


@pytest.mark.parametrize("depth", [1, None])
def test_no_choice_sees_the_test_part(place, tmp_path, depth):
    root, source, _ = place
    skills = []
    for flip in (False, True):
        data = write_parts(tmp_path / f"data{flip}", flip)
        settings = Settings(source=source, depth=depth)
        skills.append(fit(data, tmp_path / f"{flip}.skill", settings=settings, cache=root / "cache"))
    a, b = skills
    assert a.manifest["taps"] == b.manifest["taps"]
    assert a.manifest["depth"] == b.manifest["depth"]
    for name in a.arrays:
        assert np.array_equal(a.arrays[name], b.arrays[name])
    scores = [json.loads((s.folder / "metrics.json").read_text("utf8"))["score"]["value"] for s in skills]
    assert scores[0] == pytest.approx(1 - scores[1])


def test_a_tuned_skill_predicts_as_its_network_by_hand(place):
    root, source, _ = place
    table = write_table(root / "deep.csv", 120, seed=2)
    skill = fit(table, root / "deep.skill", settings=Settings(source=source, depth=3), cache=root / "cache")
    assert skill.manifest["depth"] == 3
    stack = load(find(source, root / "cache"), root / "cache", outputs=2).eval()
    tail = {name.removeprefix("tail."): array for name, array in skill.arrays.items() if name.startswith("tail.")}
    assert {name.split(".")[0] for name in tail} == {"layer1", "layer2"}
    moved = 0
    for name, array in tail.items():
        block, _, key = name.partition(".")
        tensor = stack.blocks[block].state_dict()[key]
        moved += not np.array_equal(tensor.numpy(), array)
        tensor.copy_(torch.from_numpy(array))
    assert moved > len(tail) / 2
    tokenizer = Tokenizer.from_file(str(root / "encoder" / "tokenizer.json"))
    words = [text for text, _ in sentences(6, seed=5)]
    rows = []
    for text in words:
        ids = torch.tensor([tokenizer.encode(text).ids])
        with torch.no_grad():
            h = stack({"ids": ids, "mask": torch.ones_like(ids, dtype=torch.bool)}, stop=len(stack) - 1)["h"]
        rows.append(h[0].numpy())
    wanted = by_hand(skill, np.array(rows))
    got = predict(skill, words, cache=root / "cache")
    assert np.allclose([list(row.all.values()) for row in got], wanted, atol=0.05)


def test_a_tail_of_pictures_is_stored_and_predicts(place):
    root, _, source = place
    skill = fit(root / "pictures", root / "tail.skill", settings=Settings(source=source, depth=3), cache=root / "cache")
    assert skill.manifest["depth"] == 3
    paths = sorted((root / "pictures").rglob("*.png"))
    said = predict(skill, paths, cache=root / "cache")
    assert np.mean([row.label == path.parent.name for row, path in zip(said, paths, strict=True)]) > 0.9


def test_several_labels_and_numbers(place, tmp_path):
    root, source, _ = place
    words = sentences(90, seed=4)
    draw = np.random.default_rng(0)
    with (tmp_path / "tags.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("text", "label", "stars"))
        for text, kind in words:
            tags = [kind, *(["story"] if "story" in text else [])]
            writer.writerow((text, "|".join(tags), round(2.0 + 2 * (kind == "good") + draw.normal(0, 0.1), 3)))
    settings = Settings(source=source, depth=1)
    tags = fit(
        tmp_path / "tags.csv",
        tmp_path / "tags.skill",
        options=Options(label="label", task="labels"),
        settings=settings,
        cache=root / "cache",
    )
    assert tags.manifest["task"] == "labels"
    row = predict(tags, ["a lovely moving story", "very dull"], cache=root / "cache")[0]
    assert set(row.all) == {"bad", "good", "story"}
    stars = fit(
        tmp_path / "tags.csv",
        tmp_path / "stars.skill",
        options=Options(label="stars"),
        settings=settings,
        cache=root / "cache",
    )
    assert stars.manifest["task"] == "numbers"
    high, low = (
        float(row.label) for row in predict(stars, ["lovely clever film", "dull awful bore"], cache=root / "cache")
    )
    assert high > low


def test_no_examples_keeps_the_data_out_of_the_skill(place, tmp_path):
    root, source, _ = place
    settings = Settings(source=source, depth=1, examples=False)
    skill = fit(root / "films.csv", tmp_path / "x.skill", settings=settings, cache=root / "cache")
    written = "".join(path.read_text("utf8") for path in skill.folder.iterdir() if path.suffix != ".safetensors")
    assert not any(text in written for text, _ in sentences(120))


def test_a_second_fit_and_a_prediction_need_no_torch_and_no_network(place, texts):
    root, source, _ = place
    code = f"""
import socket, sys
def closed(*_, **__):
    raise OSError("no network in this test")
socket.socket.connect = closed
socket.create_connection = closed
from pathlib import Path
from headstart.verbs.fit import Settings, fit
from headstart.verbs.predict import predict
root = Path({str(root)!r})
settings = Settings(source={source!r}, depth=1)
skill = fit(root / "films.csv", root / "again.skill", settings=settings, cache=root / "cache")
print(predict(skill, ["a lovely film"], cache=root / "cache")[0].label)
print(sorted({{"torch", "timm", "transformers", "tensorflow"}} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.split("\n")[:2] == ["good", "[]"], done.stderr[-2000:]
    again = read_skill(root / "again.skill")
    assert all(np.array_equal(again.arrays[name], texts.arrays[name]) for name in texts.arrays)


def test_an_engine_that_disagrees_is_not_used_and_that_is_said(place, texts, tmp_path):
    root, source, _ = place
    card = find(source, root / "cache")
    shutil.copytree(root / "cache", tmp_path / "cache")
    (sample,) = (tmp_path / "cache" / "networks").glob(f"{card.digest}-*/sample.npz")
    with np.load(sample) as loaded:
        arrays = dict(loaded)
    arrays["out.layer2"] = arrays["out.layer2"][:, ::-1]  # as if PyTorch had said something else
    np.savez(sample, **arrays)
    with pytest.raises(EngineError, match="agrees with PyTorch by a cosine of"):
        open_held(card, tmp_path / "cache", device="cpu")
    said = []
    slow, fast = open_held(card, tmp_path / "cache", told=said.append), open_held(card, root / "cache")
    assert len(said) == 1
    assert "through PyTorch, which is slower" in said[0]
    assert slow.network.version.startswith("torch")
    data = read_inputs([text for text, _ in sentences(12, seed=7)], modality="text")
    for a, b in zip(slow.read(data), fast.read(data), strict=True):
        assert a.shape == b.shape
        assert cosine(a, b) > 0.99


def test_pictures_for_a_network_of_texts_are_refused(place, tmp_path):
    root, source, _ = place
    with pytest.raises(UsageError, match="reads texts and the data holds pictures"):
        fit(root / "pictures", tmp_path / "x.skill", settings=Settings(source=source), cache=root / "cache")
    assert not (tmp_path / "x.skill").exists()


def test_one_class_is_refused_before_any_network_is_opened(tmp_path):
    folder = write_pictures(tmp_path / "one", 10, classes=("dark",))
    with pytest.raises(DataError, match=r"one class|nothing to learn"):
        fit(folder, tmp_path / "x.skill", cache=tmp_path / "cache")
    assert not (tmp_path / "cache").exists()
