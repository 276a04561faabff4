"""Batch norms with the statistics of given rows, against a layer-by-layer computation."""

import copy

import numpy as np
import pytest
import torch
from networks import small_convnet, write_pictures
from stacks import examples, make
from torch import nn

from headstart.adapt.held import open_tuned
from headstart.adapt.inputs import pictures_of
from headstart.adapt.norms import norms_of, swap_
from headstart.core.evaluate import outputs
from headstart.core.examples import from_arrays
from headstart.core.skill import TAIL
from headstart.core.stack import Stack, on_h
from headstart.data.read import read
from headstart.errors import DataError
from headstart.sources.find import find
from headstart.sources.load import load, with_tail


def deep():
    """Three norms one behind the other, with dropout between."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Stack(
            {
                "one": on_h(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU())),
                "two": on_h(nn.Sequential(nn.Conv2d(4, 5, 3), nn.BatchNorm2d(5), nn.Dropout(0.5), nn.ReLU())),
                "pool": on_h(nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.BatchNorm1d(5))),
                "head": on_h(nn.Linear(5, 3)),
            }
        )


def by_hand(stack, x):
    """Each norm's moments over all rows at once, the norms before it using theirs: one layer after the other."""
    found, h = {}, torch.from_numpy(x)
    with torch.no_grad():
        for block in stack.names[:-1]:
            for place, module in enumerate(stack.blocks[block].module):
                if isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d):
                    axes = [axis for axis in range(h.ndim) if axis != 1]
                    mean, var = h.mean(axes), h.var(axes)
                    found[f"{TAIL}{block}.module.{place}.running_mean"] = mean.numpy()
                    found[f"{TAIL}{block}.module.{place}.running_var"] = var.numpy()
                    shape = [1, -1] + [1] * (h.ndim - 2)
                    # a norm in evaluation mode divides by the unbiased variance that it keeps
                    h = (h - mean.view(shape)) / (var.view(shape) + module.eps).sqrt()
                    h = h * module.weight.view(shape) + module.bias.view(shape)
                elif not isinstance(module, nn.Dropout):
                    h = module(h)
    return found


def pictures(n, seed=2):
    return np.random.default_rng(seed).normal(2, 3, (n, 3, 8, 8)).astype("float32")


@pytest.mark.parametrize("batch", [3, 7, 64])
def test_enough_rounds_give_each_layer_the_moments_of_all_rows(batch):
    stack, x = deep(), pictures(20)
    want = by_hand(stack, x)
    got = norms_of(stack, from_arrays(x), batch=batch, rounds=4)
    assert sorted(got) == sorted(want)
    for name, values in want.items():
        np.testing.assert_allclose(got[name], values, rtol=1e-4, atol=1e-5, err_msg=name)


def test_one_batch_of_all_rows_needs_one_round_but_for_the_unbiased_variance():
    stack, x = deep(), pictures(64)
    want, got = by_hand(stack, x), norms_of(stack, from_arrays(x), batch=64, rounds=1)
    for name, values in want.items():
        np.testing.assert_allclose(got[name], values, rtol=0.02, atol=2e-3, err_msg=name)


def test_the_second_round_goes_most_of_the_way():
    stack, x = deep(), pictures(60)
    want = by_hand(stack, x)
    far = [
        max(np.abs(got[name] - want[name]).max() for name in want)
        for got in (norms_of(stack, from_arrays(x), batch=4, rounds=rounds) for rounds in (1, 2, 4))
    ]
    assert far[1] < 0.5 * far[0]
    assert far[2] < 1e-4


def test_the_stack_is_left_as_it_was():
    stack = deep().train()
    before, modes = copy.deepcopy(stack.state_dict()), [module.training for module in stack.modules()]
    state = torch.random.get_rng_state()
    norms_of(stack, from_arrays(pictures(12)))
    assert all(torch.equal(a, before[name]) for name, a in stack.state_dict().items())
    assert modes == [module.training for module in stack.modules()]
    assert torch.equal(state, torch.random.get_rng_state())
    assert not any(module._forward_pre_hooks for module in stack.modules())


def test_swapping_twice_is_the_identity_and_once_changes_the_answers():
    stack, data = deep().eval(), from_arrays(pictures(12))
    before, plain = copy.deepcopy(stack.state_dict()), outputs(stack, data)
    arrays = norms_of(stack, data)
    former = swap_(stack, arrays)
    assert not torch.allclose(outputs(stack, data), plain, atol=1e-2)
    again = swap_(stack, former)
    assert all(torch.equal(a, before[name]) for name, a in stack.state_dict().items())
    assert all(np.array_equal(again[name], arrays[name]) for name in arrays)


def test_rows_that_are_what_the_network_saw_leave_its_statistics():
    stack, data = deep(), from_arrays(pictures(40))
    arrays = norms_of(stack, data, rounds=4)
    swap_(stack, arrays)
    for name, values in norms_of(stack, data, rounds=4).items():
        np.testing.assert_allclose(values, arrays[name], rtol=1e-4, atol=1e-5)


def test_a_part_of_the_rows_is_random_and_the_seed_decides():
    stack, data = deep(), from_arrays(pictures(60))
    few = [norms_of(stack, data, most=20, seed=seed)[f"{TAIL}one.module.1.running_mean"] for seed in (0, 0, 1)]
    assert np.array_equal(few[0], few[1])
    assert not np.array_equal(few[0], few[2])


def test_a_network_without_batch_norms_has_none():
    assert norms_of(make("table"), examples("table")) == {}


def test_what_cannot_be_is_refused():
    with pytest.raises(DataError, match="1 rows in batches of 64 have no variance"):
        norms_of(deep(), from_arrays(pictures(1)))
    with pytest.raises(DataError, match=r"tail\.other is no statistic of this network"):
        swap_(deep(), {"tail.other": np.zeros(3)})


def test_a_pretrained_network_is_opened_with_the_statistics(tmp_path):
    card = find(small_convnet(tmp_path / "net"), tmp_path / "cache")
    data = read(write_pictures(tmp_path / "pictures", 24))
    stack = load(card, tmp_path / "cache", outputs=2)
    arrays = norms_of(stack, pictures_of(data, card))
    held = open_tuned(
        card, arrays, lambda: with_tail(card, arrays, tmp_path / "cache"), tmp_path / "cache", device="eager"
    )
    got = held.read(data)[0]
    swap_(stack, arrays)
    with torch.no_grad():
        want = stack({"h": torch.from_numpy(pictures_of(data, card).read(np.arange(24))["h"])}, stop=len(stack) - 1)[
            "h"
        ]
    np.testing.assert_allclose(got, want.numpy(), rtol=1e-3, atol=1e-4)
