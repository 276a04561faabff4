"""What ONNX Runtime and OpenVINO answer, against the pretrained network's own forward and a head in NumPy."""

import hashlib
import json
import sys
from dataclasses import asdict, replace

import numpy as np
import onnxruntime
import openvino as ov
import pytest
import torch
from test_sources import picture_folder
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import AutoConfig, AutoModel

from headstart.core import skill as skills
from headstart.errors import EngineError, SkillError, UsageError
from headstart.heads.linear import Linear
from headstart.sources.find import find
from headstart.verbs import export as verb
from headstart.verbs import whole
from headstart.verbs.export import export

WORDS = 50
TOLERANCE = 1e-4


def softmax(z):
    e = np.exp(z - z.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def head_of(width, task, columns=3):
    draw = np.random.default_rng(3)
    mean, scale = draw.normal(0, 1, width).astype(np.float32), draw.uniform(0.5, 2, width).astype(np.float32)
    weight = draw.normal(0, 2 / width**0.5, (width, columns)).astype(np.float32)
    return Linear(mean, scale, weight, draw.normal(0, 1, columns), 1.7, task)


def by_hand(head, x):
    """The head as its definition says it, in 64 bits."""
    z = (x.astype(np.float64) - head.mean) / head.scale @ head.weight.astype(np.float64) + head.bias
    if head.task == "numbers":
        return z
    z = z / head.temperature
    return softmax(z) if head.task == "classes" else 1 / (1 + np.exp(-z))


def write_skill(folder, card, head, taps, tail=None):
    manifest = {"name": "things", "modality": card.modality, "task": head.task, "classes": ["a", "b", "ä/c"]}
    manifest |= {"source": asdict(card), "taps": taps, "metric": "accuracy", "depth": 1, "headstart": "0"}
    return skills.write(folder, manifest, {**head.arrays(), **(tail or {})}, {"README.md": "# Things\n"})


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """A network of pictures with random weights, its card, and the folder of the cache."""
    root = tmp_path_factory.mktemp("pictures")
    network = picture_folder(root / "net")
    network.fc = torch.nn.Identity()
    return network, find(f"file:{root}/net", root / "cache"), root / "cache"


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    """An encoder with random weights, its card, and the folder of the cache."""
    root = tmp_path_factory.mktemp("texts")
    torch.manual_seed(1)
    sizes = {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 32}
    config = AutoConfig.for_model("bert", vocab_size=WORDS, max_position_embeddings=40, **sizes)
    network = AutoModel.from_config(config).eval()
    network.save_pretrained(root / "net")
    words = {"[UNK]": 0, **{f"word{n}": n for n in range(1, WORDS)}}
    Tokenizer(WordLevel(words, "[UNK]")).save(str(root / "net" / "tokenizer.json"))
    return network, find(f"file:{root}/net", root / "cache"), root / "cache"


def pooled_pictures(network, card, pixels):
    mean, std = (np.array(value).reshape(1, 1, 1, 3) for value in (card.mean, card.std))
    x = ((pixels / 255 - mean) / std).transpose(0, 3, 1, 2).astype(np.float32)
    with torch.no_grad():
        return network(torch.from_numpy(x)).numpy()


def pooled_texts(network, ids, mask, layers):
    """Mean over the tokens of what these layers give, side by side."""
    with torch.no_grad():
        inputs = {"input_ids": torch.from_numpy(ids), "attention_mask": torch.from_numpy(mask)}
        hidden = network(**inputs, output_hidden_states=True).hidden_states
    means = [[h[row, : m.sum()].numpy().mean(0) for row, m in enumerate(mask)] for h in (hidden[k] for k in layers)]
    return np.concatenate(means, axis=1)


def answer_onnx(path, inputs, output):
    return np.asarray(onnxruntime.InferenceSession(str(path)).run([output], inputs)[0])


def answer_openvino(folder, inputs, output):
    model = ov.Core().compile_model(folder / "model.xml", "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return np.asarray(model(inputs)[output])


@pytest.mark.parametrize("task", ["classes", "labels", "numbers"])
def test_pictures_are_answered_as_by_hand(pictures, tmp_path, task):
    network, card, cache = pictures
    head = head_of(512, task)
    taps = [load_names(card, cache)[-2]]
    write_skill(tmp_path / "s.skill", card, head, taps)
    export(tmp_path / "s.skill", onnx=tmp_path / "s.onnx", openvino=tmp_path / "ov", cache=cache)
    output = "numbers" if task == "numbers" else "probabilities"
    for count in (1, 3):
        pixels = np.random.default_rng(count).integers(0, 256, (count, 64, 64, 3), np.uint8)
        want = by_hand(head, pooled_pictures(network, card, pixels))
        np.testing.assert_allclose(
            answer_onnx(tmp_path / "s.onnx", {"pixels": pixels}, output), want, rtol=TOLERANCE, atol=TOLERANCE
        )
        np.testing.assert_allclose(
            answer_openvino(tmp_path / "ov", {"pixels": pixels}, output), want, rtol=TOLERANCE, atol=TOLERANCE
        )


def load_names(card, cache):
    from headstart.sources.load import load

    return load(card, cache, outputs=2).names


@pytest.mark.parametrize("layers", [[3], [3, 1]], ids=["last", "two, not in order"])
def test_texts_are_answered_as_by_hand(texts, tmp_path, layers):
    network, card, cache = texts
    head = head_of(16 * len(layers), "classes")
    write_skill(tmp_path / "s.skill", card, head, [f"layer{k}" for k in layers])
    export(tmp_path / "s.skill", onnx=tmp_path / "s.onnx", openvino=tmp_path / "ov", cache=cache)
    for count, length in ((1, 5), (3, 12), (3, 5), (1, 12)):
        draw = np.random.default_rng(length)
        mask = (np.arange(length) < draw.integers(1, length + 1, count)[:, None]).astype(np.int64)
        mask[0] = 1
        inputs = {"ids": draw.integers(0, WORDS, (count, length)) * mask, "mask": mask}
        want = by_hand(head, pooled_texts(network, inputs["ids"], mask, layers))
        for got in (
            answer_onnx(tmp_path / "s.onnx", inputs, "probabilities"),
            answer_openvino(tmp_path / "ov", inputs, "probabilities"),
        ):
            np.testing.assert_allclose(got, want, rtol=0, atol=TOLERANCE)


def test_padding_changes_no_answer(texts, tmp_path):
    _, card, cache = texts
    write_skill(tmp_path / "s.skill", card, head_of(16, "classes"), ["layer3"])
    export(tmp_path / "s.skill", onnx=tmp_path / "s.onnx", cache=cache)
    ids = np.random.default_rng(0).integers(1, WORDS, (2, 6))
    short = {"ids": ids, "mask": np.ones_like(ids)}
    padded = {name: np.pad(value, ((0, 0), (0, 9))) for name, value in short.items()}
    one, other = (answer_onnx(tmp_path / "s.onnx", inputs, "probabilities") for inputs in (short, padded))
    np.testing.assert_allclose(one, other, atol=1e-6)


def test_learned_blocks_are_in_what_is_written(texts, tmp_path):
    network, card, cache = texts
    head = head_of(16, "classes")
    wider = network.state_dict()["encoder.layer.2.output.dense.weight"] * 30
    write_skill(
        tmp_path / "s.skill", card, head, ["layer3"], {"tail.layer3.0.output.dense.weight": wider.numpy().copy()}
    )
    export(tmp_path / "s.skill", onnx=tmp_path / "s.onnx", cache=cache)
    ids = np.random.default_rng(0).integers(0, WORDS, (3, 8))
    got = answer_onnx(tmp_path / "s.onnx", {"ids": ids, "mask": np.ones_like(ids)}, "probabilities")
    before = by_hand(head, pooled_texts(network, ids, np.ones_like(ids), [3]))
    changed = AutoModel.from_config(network.config).eval()
    changed.load_state_dict({**network.state_dict(), "encoder.layer.2.output.dense.weight": wider})
    np.testing.assert_allclose(got, by_hand(head, pooled_texts(changed, ids, np.ones_like(ids), [3])), atol=TOLERANCE)
    assert np.abs(got - before).max() > 0.01


def test_what_is_beside_the_network_says_what_a_program_must_know(texts, tmp_path):
    _, card, cache = texts
    write_skill(tmp_path / "s.skill", card, head_of(16, "classes"), ["layer3"])
    done = export(tmp_path / "s.skill", onnx=tmp_path / "to" / "s.onnx", openvino=tmp_path / "ov", cache=cache)
    assert [path.name for path in done[0].files] == ["s.onnx", "s.onnx.json", "s.onnx.tokenizer.json"]
    assert [path.name for path in done[1].files] == ["model.xml", "model.bin", "tokenizer.json", "export.json"]
    for form, about in zip(done, ("s.onnx.json", "export.json"), strict=True):
        folder = form.files[0].parent
        assert sorted(folder.iterdir()) == sorted(form.files)
        said = json.loads((folder / about).read_text("utf8"))
        assert said["classes"] == ["a", "b", "ä/c"]
        assert said["licence"]["of_the_pretrained_weights"] == card.licence
        assert said["inputs"]["mask"] == {"shape": ["batch", "length"], "dtype": "int64"}
        assert said["parity"]["largest_difference"] == form.difference <= form.allowed
        tokenizer = Tokenizer.from_file(str(folder / said["preparation"]["tokenizer"]))
        assert tokenizer.encode("word7").ids == [7]
        assert set(said["sha256"]) == {path.name for path in form.files} - {about}
        for name, digest in said["sha256"].items():
            assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest


def test_pictures_say_how_they_are_prepared(pictures, tmp_path):
    _, card, cache = pictures
    write_skill(tmp_path / "s.skill", card, head_of(512, "classes"), [load_names(card, cache)[-2]])
    export(tmp_path / "s.skill", openvino=tmp_path / "ov", cache=cache)
    said = json.loads((tmp_path / "ov" / "export.json").read_text("utf8"))
    assert said["inputs"] == {"pixels": {"shape": ["batch", 64, 64, 3], "dtype": "uint8"}}
    wanted = {"size": 64, "crop": 0.875, "shorter_side": 73, "interpolation": "bicubic"}
    assert wanted.items() <= said["preparation"].items()
    assert said["preparation"]["inside_already"] == {"mean": [0.5, 0.4, 0.3], "std": [0.2, 0.2, 0.2]}


def off_by(amount, real):
    """A run whose answers are off by so much in one place."""

    def run(path, samples, output, threads):
        answers = real(path, samples, output, threads)
        answers[-1][-1, 0] += amount
        return answers

    return run


@pytest.mark.parametrize(("form", "place"), [("onnx", "s.onnx"), ("openvino", "ov")])
def test_another_answer_than_pytorchs_is_refused_and_nothing_is_left(texts, tmp_path, monkeypatch, form, place):
    _, card, cache = texts
    skill = write_skill(tmp_path / "s.skill", card, head_of(16, "classes"), ["layer3"])
    monkeypatch.setattr(whole, f"run_{form}", off_by(2e-4, getattr(whole, f"run_{form}")))
    with pytest.raises(
        EngineError, match=r"differs from PyTorch by 2\.0e-04 on a sample, .* 1e-04 and 1e-02 are allowed"
    ):
        export(skill, **{form: tmp_path / place}, cache=cache)
    assert [path.name for path in tmp_path.iterdir()] == ["s.skill"]


def test_a_small_probability_that_is_doubled_is_refused(texts, tmp_path, monkeypatch):
    _, card, cache = texts
    sure = replace(head_of(16, "classes"), weight=np.zeros((16, 3), np.float32), bias=np.array([-20.0, 0, 0]))
    skill = write_skill(tmp_path / "s.skill", card, sure, ["layer3"])
    monkeypatch.setattr(whole, "run_onnx", off_by(softmax(sure.bias[None] / 1.7)[0, 0], whole.run_onnx))
    with pytest.raises(EngineError, match=r"by 3\.9e-06 on a sample, 1\.0e\+00 of a probability"):
        export(skill, onnx=tmp_path / "s.onnx", cache=cache)


def test_an_earlier_export_is_replaced_and_anything_else_is_not(texts, tmp_path):
    _, card, cache = texts
    skill = write_skill(tmp_path / "s.skill", card, head_of(16, "classes"), ["layer3"])
    for _ in range(2):
        export(skill, openvino=tmp_path / "ov", onnx=tmp_path / "s.onnx", cache=cache)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "ov",
        "s.onnx",
        "s.onnx.json",
        "s.onnx.tokenizer.json",
        "s.skill",
    ]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    with pytest.raises(UsageError, match="exists and is not an earlier export"):
        export(skill, openvino=tmp_path / "mine", cache=cache)
    assert (tmp_path / "mine" / "letter.txt").read_text() == "dear"


def test_a_disk_that_refuses_is_one_sentence(texts, tmp_path):
    _, card, cache = texts
    skill = write_skill(tmp_path / "s.skill", card, head_of(16, "classes"), ["layer3"])
    (tmp_path / "file").write_text("")
    with pytest.raises(SkillError, match=r"writing .*/file/s\.onnx failed: .*; free space or choose another place"):
        export(skill, onnx=tmp_path / "file" / "s.onnx", cache=cache)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "s.skill"]


def test_a_tap_of_another_network_is_refused(texts, tmp_path):
    _, card, cache = texts
    skill = write_skill(tmp_path / "s.skill", card, head_of(16, "classes"), ["layer9"])
    with pytest.raises(SkillError, match=r"has no block 'layer9' \(embed, layer1, layer2, layer3\)"):
        export(skill, onnx=tmp_path / "s.onnx", cache=cache)


@pytest.mark.parametrize("name", ["onnx", "onnxruntime"])
def test_without_the_extra_it_says_what_to_install(texts, tmp_path, monkeypatch, name):
    _, card, cache = texts
    skill = write_skill(tmp_path / "s.skill", card, head_of(16, "classes"), ["layer3"])
    monkeypatch.setattr(verb, "find_spec", lambda asked: None if asked == name else sys.__spec__)
    with pytest.raises(EngineError, match=rf"^{name} must be there .*pip install 'headstart\[export\]'`"):
        export(skill, onnx=tmp_path / "s.onnx", cache=cache)
    assert export(skill, openvino=tmp_path / "ov", cache=cache)[0].kind == "OpenVINO"
