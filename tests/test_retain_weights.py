"""Weights between two sets, and a head whose new classes are as long as its old ones."""

import numpy as np
import pytest
import torch
from stacks import make
from torch.testing import assert_close

from headstart.errors import DataError
from headstart.retain.even import evened
from headstart.retain.interpolate import average, between


def weights(kind, seed=0, arrays=False):
    """Of a stack with batch norm, counters among them, with values that rounding would change."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        found = {name: t.detach().clone() for name, t in make(kind).state_dict().items()}
        for name, tensor in found.items():
            found[name] = torch.rand(tensor.shape) * 3 if tensor.is_floating_point() else tensor + seed
    first = next(name for name, t in found.items() if t.is_floating_point() and t.numel() > 3)
    found[first].view(-1)[:3] = torch.tensor([-0.0, float("inf"), 1e-41])
    return {name: t.numpy() for name, t in found.items()} if arrays else found


def bits(values):
    return np.asarray(values).tobytes()


@pytest.mark.parametrize("arrays", [False, True])
def test_both_ends_are_exact_to_the_bit_and_in_memory_of_their_own(arrays):
    old, new = weights("image", 0, arrays), weights("image", 1, arrays)
    for share, end in ((0, old), (1, new)):
        mixed = between(old, new, share)
        assert list(mixed) == list(old)
        for name, values in end.items():
            assert bits(mixed[name]) == bits(values)
            assert mixed[name].dtype == values.dtype
            assert mixed[name] is not values
        name = next(iter(mixed))
        mixed[name] += 1
        assert bits(end[name]) != bits(mixed[name])


@pytest.mark.parametrize("arrays", [False, True])
def test_in_between_it_is_the_formula_and_counters_are_those_of_the_new(arrays):
    old, new = weights("image", 0, arrays), weights("image", 1, arrays)
    mixed = between(old, new, 0.3)
    counters = [name for name in old if name.endswith("num_batches_tracked")]
    assert counters
    for name, values in mixed.items():
        assert type(values) is type(old[name])
        if name in counters:
            assert values == new[name] != old[name]
        else:
            by_hand = 0.7 * np.asarray(old[name], float) + 0.3 * np.asarray(new[name], float)
            np.testing.assert_allclose(np.asarray(values), by_hand, rtol=1e-6)


def test_weights_that_did_not_move_are_the_same_to_the_bit_at_every_share():
    old = {"a": torch.rand(500) * 10, "b": torch.rand(500).half()}
    for share in np.linspace(0, 1, 11):
        assert all(torch.equal(between(old, old, float(share))[name], old[name]) for name in old)


def test_an_average_weighs_each_set_and_one_of_weight_0_does_not_count():
    many = [{"a": np.full(3, value)} for value in (1.0, 2.0, 6.0, np.nan)]
    np.testing.assert_allclose(average(many[:3])["a"], 3)
    np.testing.assert_allclose(average(many[:3], [1, 1, 2])["a"], (1 + 2 + 12) / 4)
    np.testing.assert_allclose(average(many, [3, 1, 0, 0])["a"], (3 + 2) / 4)
    assert bits(average(many, [0, 5, 0, 0])["a"]) == bits(many[1]["a"])


def test_sets_that_cannot_be_mixed_are_refused():
    one = {"a": np.zeros(2)}
    with pytest.raises(DataError, match=r"share=1\.2 is outside 0\.\.1"):
        between(one, one, 1.2)
    with pytest.raises(DataError, match="b are in one set of weights only"):
        between(one, {**one, "b": np.zeros(1)}, 0)
    with pytest.raises(DataError, match=r"a has the shapes \(2,\) and \(3,\)"):
        between(one, {"a": np.zeros(3)}, 1)
    for many, shares in (([], None), ([one], [1, 2]), ([one, one], [0, 0]), ([one, one], [1, -1])):
        with pytest.raises(DataError, match="give at least one set, and for each a share"):
            average(many, shares)


def test_new_classes_are_shortened_to_the_mean_length_of_the_old_ones():
    weight = torch.tensor([[3.0, 4.0], [0.0, 1.0], [6.0, 0.0], [0.0, 12.0]])
    want = weight.clone()
    want[2:] *= ((5 + 1) / 2) / ((6 + 12) / 2)
    assert_close(evened(weight, 2), want)
    assert weight[3, 1] == 12


def test_new_classes_that_are_shorter_stay_and_so_does_a_head_without_new_ones():
    weight = torch.tensor([[3.0, 4.0], [0.0, 1.0]])
    assert torch.equal(evened(weight, 1), weight)
    assert torch.equal(evened(weight, 2), weight)


def test_heads_that_cannot_be_evened_are_refused():
    with pytest.raises(DataError, match=r"old=3 is outside 1\.\.2"):
        evened(torch.ones(2, 2), 3)
    with pytest.raises(DataError, match="the weights of all new classes are 0"):
        evened(torch.tensor([[1.0], [0.0]]), 1)
