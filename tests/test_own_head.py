"""The classifier that a network came with answers on pooled features as the network with it does."""

import json
from dataclasses import replace

import numpy as np
import pytest
import timm
import torch
from networks import small_convnet, small_encoder
from safetensors.torch import load_file, save_file

from headstart.places import cache_folder
from headstart.sources.card import BESIDE, File
from headstart.sources.fetch import on_disk
from headstart.sources.find import find
from headstart.sources.load import load, tensors
from headstart.sources.own import own_head


def answers(card, cache, classes):
    """Logits of timm's own network with its classifier, and of the own head on the pooled features."""
    x = torch.randn(3, 3, card.size, card.size, generator=torch.Generator().manual_seed(0))
    whole = timm.create_model(card.architecture, num_classes=classes).eval()
    whole.load_state_dict(tensors(card, cache), strict=False)
    stack = load(card, cache, outputs=2).eval()
    weight, bias = own_head(card, cache)
    with torch.no_grad():
        pooled = stack.taps({"h": x}, [len(stack) - 1])[0].numpy()
        return whole(x).numpy(), pooled @ weight + bias, weight, bias


def written(folder, architecture, classes=4, without=()):
    """A network with random weights on disk, less the tensors whose names begin so."""
    torch.manual_seed(5)
    network = timm.create_model(architecture, num_classes=classes)
    folder.mkdir(parents=True)
    state = {name: t for name, t in network.state_dict().items() if not name.startswith(tuple(without))}
    save_file(state, folder / "model.safetensors")
    seen = {"input_size": [3, 64, 64], "mean": [0.5] * 3, "std": [0.25] * 3, "license": "mit"}
    (folder / "config.json").write_text(json.dumps({"architecture": architecture, "pretrained_cfg": seen}))
    return f"file:{folder}"


def test_the_own_head_on_pooled_features_is_the_network_with_its_classifier(tmp_path):
    card = find(small_convnet(tmp_path / "net"), tmp_path / "cache")
    wanted, got, weight, bias = answers(card, tmp_path / "cache", 4)
    assert (weight.shape, bias.shape) == ((512, 4), (4,))
    assert weight.dtype == bias.dtype == np.float32
    assert np.ptp(wanted) > 1e-3
    np.testing.assert_allclose(got, wanted, atol=1e-4)


def test_weights_of_half_precision_give_a_head_of_whole_precision(tmp_path):
    named = small_convnet(tmp_path / "net")
    path = tmp_path / "net/model.safetensors"
    whole = load_file(path)
    save_file({name: t.half() if t.is_floating_point() else t for name, t in whole.items()}, path)
    weight, bias = own_head(find(named, tmp_path / "cache"), tmp_path / "cache")
    assert weight.dtype == bias.dtype == np.float32
    np.testing.assert_array_equal(weight, whole["fc.weight"].half().float().numpy().T)


@pytest.mark.parametrize(
    ("architecture", "without"),
    [
        ("resnet10t", ["fc."]),  # weights of features alone
        ("resnet10t", ["fc.weight"]),
        ("resnetv2_18", []),  # its classifier is a convolution
        ("repvit_m0_9", []),  # two classifiers, each behind a norm
    ],
)
def test_a_network_without_one_linear_classifier_has_no_head(tmp_path, architecture, without):
    card = find(written(tmp_path / "net", architecture, without=without), tmp_path / "cache")
    assert own_head(card, tmp_path / "cache") is None


def test_a_classifier_without_bias_gets_one_of_0(tmp_path):
    card = find(written(tmp_path / "net", "resnet10t", without=["fc.bias"]), tmp_path / "cache")
    weight, bias = own_head(card, tmp_path / "cache")
    assert weight.shape == (512, 4)
    assert not bias.any()


def test_encoders_networks_side_by_side_and_skills_with_learned_blocks_have_no_head(tmp_path):
    cache = tmp_path / "cache"
    encoder = find(small_encoder(tmp_path / "encoder"), cache)
    one, two = (find(small_convnet(tmp_path / name), cache) for name in ("one", "two"))
    joined = replace(one, name=f"one{BESIDE}two", files={}, beside=(one, two))
    deep = replace(one, files={**one.files, "tail1": File("file:/nowhere", "0" * 64, 1)})
    assert [own_head(card, cache) for card in (encoder, joined, deep)] == [None, None, None]
    assert own_head(one, cache) is not None


def test_an_architecture_that_is_not_known_has_no_head(tmp_path):
    card = find(small_convnet(tmp_path / "net"), tmp_path / "cache")
    assert own_head(replace(card, architecture="no_such_network"), tmp_path / "cache") is None


@pytest.mark.parametrize("name", ["efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2"])
def test_networks_of_the_catalogue_came_with_a_head_of_1000_classes(name):
    cache = cache_folder()
    card = find(name, cache)
    if not on_disk(card, cache):
        pytest.skip("the network is not in the cache")
    wanted, got, weight, _ = answers(card, cache, 1000)
    assert weight.shape == (1280, 1000)
    np.testing.assert_allclose(got, wanted, atol=1e-4)
