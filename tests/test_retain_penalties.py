"""Guards against forgetting as penalties; those on weights against their formulas, and what defines each."""

import itertools
import math

import numpy as np
import pytest
import torch
from retained import kept, linear, moved, old_head, step_of
from stacks import KINDS, examples, make
from torch import nn
from torch.nn import functional as F
from torch.testing import assert_close

from headstart.core.examples import from_arrays
from headstart.core.fit import fit
from headstart.core.plan import Plan
from headstart.core.stack import Stack, on_h
from headstart.core.task import Classify, Contrast, Label, Regress
from headstart.errors import DataError, DepthError
from headstart.retain import ewc
from headstart.retain.ewc import EWC, fisher
from headstart.retain.l2sp import L2SP
from headstart.retain.lwf import LwF
from headstart.retain.old_head import OldHead, answers
from headstart.retain.replay import KEPT, Replay


def lwf(kind, weight, of):
    return LwF(answers(make(kind), examples(kind), of) + 1, of, weight)


def replay(kind, weight, of, alpha=None):
    logits = None if alpha is None else answers(make(kind), kept(kind), of) + 1
    return Replay(of, KEPT, weight, logits, alpha or 0.0)


GUARDS = {
    "l2sp": lambda kind, weight: L2SP(make(kind), len(make(kind)), 10 * weight),
    "ewc": lambda kind, weight: EWC(
        fisher(make(kind), examples(kind, 5), Classify(), len(make(kind))), make(kind), 1e3 * weight
    ),
    "lwf": lambda kind, weight: lwf(kind, weight, Classify()),
    "lwf of an old head": lambda kind, weight: lwf(kind, weight, old_head(kind)),
    "replay": lambda kind, weight: replay(kind, weight, Classify()),
    "replay of an old head": lambda kind, weight: replay(kind, weight, old_head(kind)),
    "der": lambda kind, weight: replay(kind, weight, Classify(), weight),
    "der of an old head": lambda kind, weight: replay(kind, weight, old_head(kind), weight),
}


def same(one, two):
    return all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), two.state_dict().values(), strict=True))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", GUARDS)
def test_a_weight_of_0_is_plain_training_bit_for_bit_and_another_is_not(name, kind):
    plan = Plan(depth=len(make(kind)), epochs=2, batch=8)
    plain, none, some = make(kind), make(kind), make(kind)
    fit(plain, examples(kind), Classify(), plan)
    for stack, weight in ((none, 0.0), (some, 1.0)):
        fit(stack, examples(kind), Classify(), plan, penalties=[GUARDS[name](kind, weight)], beside={KEPT: kept(kind)})
    assert same(plain, none)
    assert not same(plain, some)


@pytest.mark.parametrize("head", [False, True])
def test_l2sp_is_half_the_squared_distance_from_the_start(head):
    stack = make("table")
    penalty = L2SP(stack, 2, 0.7, head=head)
    start = {name: p.detach().clone() for name, p in stack.named_parameters()}
    moved(stack.learn(2))
    blocks = ("trunk", "head") if head else ("trunk",)
    by_hand = sum(
        ((p - start[name]) ** 2).sum().item() for name, p in stack.named_parameters() if name.split(".")[1] in blocks
    )
    assert penalty(step_of(stack, np.arange(4))).item() == pytest.approx(0.7 / 2 * by_hand, rel=1e-5)


def test_l2sp_is_0_at_the_start_and_not_after_a_step():
    seen, stack = [], make("table")
    penalty = L2SP(stack, 3)

    def look(step):
        seen.append(penalty(step).item())
        return step.out.new_zeros(())

    fit(stack, examples("table"), Classify(), Plan(3, epochs=1, batch=8), penalties=[look])
    assert seen[0] == 0
    assert min(seen[1:]) > 1e-4


@pytest.mark.parametrize("name", ["l2sp", "ewc"])
def test_more_weight_means_less_movement(name):
    start, distance = make("table"), []
    for weight in (0.0, 0.01, 0.1, 1.0, 10.0):
        stack = make("table")
        fit(
            stack, examples("table"), Classify(), Plan(3, epochs=15, lr=3e-3), penalties=[GUARDS[name]("table", weight)]
        )
        pairs = zip(list(stack.parameters())[:-2], list(start.parameters())[:-2], strict=True)
        distance.append(sum((a - b).pow(2).sum().item() for a, b in pairs))
    assert distance == sorted(distance, reverse=True)
    assert distance[-1] < 0.5 * distance[0]


def test_l2sp_is_refused_where_nothing_below_the_head_learns_and_where_more_learns_than_was_noted():
    with pytest.raises(DepthError, match="depth=1 leaves all blocks below the head as they are"):
        L2SP(make("table"), 1)
    stack = make("table")
    with pytest.raises(DepthError, match="depth=3 lets more blocks learn than the 2"):
        fit(stack, examples("table"), Classify(), Plan(3), penalties=[L2SP(stack, 2)])


def test_ewc_by_hand():
    stack = make("table")
    weights = {"trunk.module.0.weight": torch.rand(16, 16), "head.module.bias": torch.rand(3)}
    penalty = EWC(weights, stack, 3.0)
    start = {name: p.detach().clone() for name, p in stack.named_parameters()}
    moved(stack.learn(2))
    now = dict(stack.named_parameters())
    by_hand = sum(
        (weights[name] * (now[f"blocks.{name}"] - start[f"blocks.{name}"]) ** 2).sum().item() for name in weights
    )
    assert penalty(step_of(stack, np.arange(4))).item() == pytest.approx(3 / 2 * by_hand, rel=1e-5)


def network(c=3, depth=2):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        stack = Stack(
            {
                "first": on_h(nn.Sequential(nn.Linear(4, 5), nn.Tanh())),
                "second": on_h(nn.Sequential(nn.Linear(5, 6), nn.BatchNorm1d(6), nn.Tanh(), nn.Dropout(0.5))),
                "head": on_h(nn.Linear(6, c)),
            }
        )
    return stack.learn(depth)


def inputs(n=9, y=None):
    return from_arrays(np.random.default_rng(2).normal(size=(n, 4)).astype("float32"), y)


def squares_of_one(stack, row, surprise):
    """BLOCK.NAME -> squared gradient of the surprise at the answer to one row."""
    stack.zero_grad()
    surprise(stack({"h": torch.from_numpy(row[None])})["h"]).backward()
    return {name.removeprefix("blocks."): p.grad**2 for name, p in stack.named_parameters() if p.grad is not None}


def mean_of(parts):
    return {name: sum(share * part[name] for share, part in parts) for name in parts[0][1]}


TARGETS = {
    "classes": (Classify(), np.arange(9) % 3, lambda out, y: F.cross_entropy(out, y)),
    "labels": (
        Label(),
        np.random.default_rng(4).integers(0, 2, (9, 3)).astype("float32"),
        lambda out, y: F.binary_cross_entropy_with_logits(out, y, reduction="sum"),
    ),
    "numbers": (
        Regress(),
        np.random.default_rng(4).normal(size=(9, 3)).astype("float32"),
        lambda out, y: ((out - y) ** 2).sum() / 2,
    ),
}


@pytest.mark.parametrize("read_at_once", [1, 4, 64])
@pytest.mark.parametrize("task", TARGETS)
def test_fisher_is_the_mean_of_squared_gradients_of_single_rows_however_they_are_read(task, read_at_once, monkeypatch):
    monkeypatch.setattr(ewc, "_ROWS", read_at_once)
    kind, y, surprise = TARGETS[task]
    stack, data = network().eval(), inputs(y=y)
    x, targets = data.read(np.arange(9))["h"], torch.from_numpy(y)
    by_hand = mean_of(
        [(1 / 9, squares_of_one(stack, x[i], lambda out, i=i: surprise(out, targets[i : i + 1]))) for i in range(9)]
    )
    found = fisher(stack.train(), data, kind, 2, given=True)
    assert found.keys() == by_hand.keys()
    for name, values in found.items():
        assert_close(values, by_hand[name], rtol=1e-4, atol=1e-8)


@pytest.mark.parametrize("task", ["classes", "labels"])
def test_fisher_of_the_own_distribution_is_the_expectation_over_every_possible_answer(task):
    """All three classes, or all eight combinations of three labels, each weighed by its probability."""
    kind, _, surprise = TARGETS[task]
    stack, data = network().eval(), inputs()
    possible = [torch.tensor([k]) for k in range(3)]
    if task == "labels":
        possible = [torch.tensor([each], dtype=torch.float32) for each in itertools.product((0, 1), repeat=3)]
    parts = []
    for row in data.read(np.arange(9))["h"]:
        with torch.no_grad():
            out = stack({"h": torch.from_numpy(row[None])})["h"]
        shares = [math.exp(-surprise(out, y).item()) for y in possible]
        assert sum(shares) == pytest.approx(1, abs=1e-5)
        for share, y in zip(shares, possible, strict=True):
            parts.append((share / 9, squares_of_one(stack, row, lambda out, y=y: surprise(out, y))))
    by_hand = mean_of(parts)
    for name, values in fisher(stack, data, kind, 2).items():
        assert_close(values, by_hand[name], rtol=1e-4, atol=1e-8)


def test_fisher_of_numbers_is_the_sum_of_squared_derivatives_of_the_answers():
    stack, data = network().eval(), inputs()
    parts = [
        (1 / 9, squares_of_one(stack, row, lambda out, k=k: out[0, k]))
        for row in data.read(np.arange(9))["h"]
        for k in range(3)
    ]
    by_hand = mean_of(parts)
    for name, values in fisher(stack, data, Regress(), 2).items():
        assert_close(values, by_hand[name], rtol=1e-4, atol=1e-8)


@pytest.mark.parametrize("task", TARGETS)
def test_drawn_answers_give_the_exact_fisher_in_the_mean(task, monkeypatch):
    kind = TARGETS[task][0]
    stack, data = network(), inputs(3)
    exact = fisher(stack, data, kind, 1)["head.module.weight"]
    monkeypatch.setattr(ewc, "EXACT", 2)
    drawn = torch.stack([fisher(stack, data, kind, 1, seed=seed)["head.module.weight"] for seed in range(400)])
    error = drawn.std(0) / 20
    assert ((drawn.mean(0) - exact).abs() < 4.5 * error + 1e-7).all()
    assert torch.equal(drawn[0], fisher(stack, data, kind, 1, seed=0)["head.module.weight"])


def test_fisher_of_an_old_head_is_that_of_the_network_that_ends_in_it():
    head = linear(6, 3, limit=1e3)
    stack = network(depth=3)
    ends = network(depth=3)
    with torch.no_grad():
        weight = torch.from_numpy(head.weight / head.scale[:, None])
        ends.blocks["head"].module.weight.copy_(weight.T / head.temperature)
        shift = torch.from_numpy(head.bias) - torch.from_numpy(head.mean) @ weight
        ends.blocks["head"].module.bias.copy_(shift / head.temperature)
    found = fisher(stack, inputs(), OldHead(head, {"second": 6}), 2)
    want = fisher(ends, inputs(), Classify(), 2)
    assert found.keys() == {name for name in want if not name.startswith("head")}
    for name, values in found.items():
        assert_close(values, want[name], rtol=1e-4, atol=1e-7)


def test_fisher_leaves_the_stack_as_it_was_even_where_it_is_refused():
    stack, before = network(depth=1).train(), network().state_dict()
    fisher(stack, inputs(), Classify(), 3)
    with pytest.raises(DataError, match="Contrast gives no probabilities"):
        fisher(stack, inputs(), Contrast(), 2)
    with pytest.raises(DepthError, match="the old head reads first, which no learning block gives"):
        fisher(stack, inputs(), OldHead(linear(5), {"first": 5}), 2)
    with pytest.raises(DataError, match="9 examples without targets were given"):
        fisher(stack, inputs(), Classify(), 2, given=True)
    assert all(torch.equal(a, b) for a, b in zip(stack.state_dict().values(), before.values(), strict=True))
    assert stack.depth == 1
    assert stack.blocks["head"].training
    assert not stack.blocks["second"].training
    assert [p.requires_grad for p in stack.parameters()] == [False] * 6 + [True] * 2
