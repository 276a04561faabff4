"""timm networks of many families with random weights: every cut against the network's own forward."""

import numpy as np
import pytest
import timm
import torch
from torch import nn

from headstart.core.examples import from_arrays
from headstart.core.fit import fit
from headstart.core.plan import Plan
from headstart.core.store import Store
from headstart.core.task import Classify
from headstart.errors import SourceError
from headstart.sources.network import Network

FAMILIES = {  # the smallest of each, at a small size where the architecture allows another
    "resnet": ("resnet10t", 64, {}),
    "resnext": ("resnext26ts", 64, {}),
    "regnet": ("regnetx_002", 64, {}),
    "densenet": ("densenet121", 64, {}),
    "vgg": ("vgg11_bn", 64, {"mlp_ratio": 0.02}),
    "inception": ("inception_v3", 96, {}),
    "efficientnet": ("tf_efficientnet_lite0", 64, {}),
    "mobilenetv3": ("mobilenetv3_small_050", 64, {}),
    "mobilenetv4": ("mobilenetv4_conv_small_050", 64, {}),
    "convnext": ("convnext_atto", 64, {}),
    "convnextv2": ("convnextv2_atto", 64, {}),
    "vit": ("vit_tiny_patch16_224", 64, {"img_size": 64}),
    "deit": ("deit_tiny_patch16_224", 64, {"img_size": 64}),
    "deit distilled": ("deit_tiny_distilled_patch16_224", 64, {"img_size": 64}),
    "beit": ("beit_base_patch16_224", 64, {"img_size": 64, "depth": 3, "embed_dim": 96, "num_heads": 3}),
    "eva": ("eva02_tiny_patch14_224", 56, {"img_size": 56}),
    "dinov2": ("vit_small_patch14_dinov2", 56, {"img_size": 56, "depth": 4}),
    "swin": ("swin_tiny_patch4_window7_224", 56, {"img_size": 56}),
    "maxvit": ("maxvit_pico_rw_256", 256, {}),
    "coatnet": ("coatnet_pico_rw_224", 64, {"img_size": 64}),
    "mlp-mixer": ("mixer_s32_224", 224, {}),
    "ghostnet": ("ghostnet_050", 64, {}),
    "repvgg": ("repvgg_a0", 64, {}),
    "xception": ("xception41", 64, {}),
    "hrnet": ("hrnet_w18_small", 64, {}),
}
FEW = {"densenet": 5, "hrnet": 3, "maxvit": 5, "coatnet": 5}  # blocks where the architecture's lists cross finer cuts


def make(family):
    name, size, options = FAMILIES[family]
    torch.manual_seed(0)
    network = timm.create_model(name, num_classes=0, **options).eval()
    return network, Network(network, 5, size), torch.randn(2, 3, size, size)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_cut_equals_the_uncut_network(family):
    network, stack, x = make(family)
    assert len(stack) >= FEW.get(family, 6 if "depth" not in FAMILIES[family][2] else 4)
    with torch.no_grad():
        want = stack.head_linear(network(x))
        taps = stack.taps({"h": x}, range(1, len(stack)))
        for cut in range(len(stack) + 1):
            state = stack({"h": x}, stop=cut)
            torch.testing.assert_close(stack(state, start=cut)["h"], want, rtol=1e-5, atol=1e-5)
            if 1 <= cut < len(stack):
                torch.testing.assert_close(taps[cut - 1], stack.tap(state, cut), rtol=1e-5, atol=1e-5)
                assert taps[cut - 1].ndim == 2


@pytest.mark.parametrize("family", FAMILIES)
def test_every_parameter_belongs_to_one_block(family):
    network, stack, _ = make(family)
    mine = [id(p) for block in stack.blocks.values() for p in block.parameters()]
    assert len(mine) == len(set(mine))
    assert {id(p) for p in network.parameters()} == set(mine) - {id(p) for p in stack.head_linear.parameters()}


@pytest.mark.parametrize("family", ["resnet", "efficientnet", "vit", "swin", "convnext"])
def test_the_tail_learns_as_it_does_in_the_uncut_network(family):
    network, stack, x = make(family)
    stack.learn(3).train()
    cut = len(stack) - 3
    with torch.no_grad():
        state = stack({"h": x}, stop=cut)
    learning = [p for p in stack.parameters() if p.requires_grad]

    def gradients(run):
        torch.manual_seed(1)  # stochastic depth draws the same in both
        return torch.autograd.grad(run().square().sum(), learning)

    split = gradients(lambda: stack(state, start=cut)["h"])
    uncut = gradients(lambda: stack.head_linear(network(x)))
    for a, b in zip(split, uncut, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("family", ["resnet", "vit"])
def test_stored_equals_recomputed_on_the_final_weights(family, tmp_path):
    draw = np.random.default_rng(0)
    size = FAMILIES[family][1]
    data = from_arrays(draw.normal(size=(8, 3, size, size)).astype("float32"), draw.integers(0, 5, 8))
    weights = []
    for store in (None, Store(tmp_path)):
        _, stack, _ = make(family)
        fit(stack, data, Classify(), Plan(depth=3, epochs=2, batch=4), store=store)
        weights.append(torch.cat([p.detach().reshape(-1) for p in stack.parameters()]))
    torch.testing.assert_close(*weights, rtol=1e-5, atol=1e-6)


def test_another_batch_size_than_the_one_recorded_works():
    _, stack, _ = make("swin")
    x = torch.randn(5, 3, 56, 56)
    with torch.no_grad():
        for cut in range(1, len(stack)):
            state = stack({"h": x}, stop=cut)
            torch.testing.assert_close(stack(state, start=cut)["h"], stack({"h": x})["h"], rtol=1e-5, atol=1e-5)


def test_a_network_that_gives_maps_is_refused():
    with pytest.raises(SourceError, match="does not give one vector per picture"):
        Network(nn.Conv2d(3, 4, 3), 2, 16)
