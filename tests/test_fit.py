"""The training loop against the properties that define it."""

import copy

import numpy as np
import pytest
import torch
from stacks import KINDS, depths, examples, make
from torch import nn

from headstart.core.evaluate import evaluate, outputs
from headstart.core.examples import Examples
from headstart.core.feed import fill
from headstart.core.fit import fit
from headstart.core.plan import Plan
from headstart.core.stack import Stack, on_h
from headstart.core.step import Step
from headstart.core.store import Store
from headstart.core.task import Classify, Regress
from headstart.errors import DataError, DepthError, PlanError, SharedError, StoreError


@pytest.mark.parametrize(("kind", "depth"), depths())
def test_a_stored_fit_ends_in_the_weights_of_a_recomputed_one(kind, depth, tmp_path):
    plain, stored = make(kind), make(kind)
    plan = Plan(depth=depth, epochs=3, batch=8)
    one = fit(plain, examples(kind), Classify(), plan)
    two = fit(stored, examples(kind), Classify(), plan, store=Store(tmp_path))
    assert one.losses == pytest.approx(two.losses, rel=1e-5)
    assert two.stored == (depth < len(plain))
    for (name, a), b in zip(plain.state_dict().items(), stored.state_dict().values(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6, msg=name)


@pytest.mark.parametrize(("kind", "depth"), depths())
def test_held_blocks_do_not_move_and_learning_ones_do(kind, depth):
    stack = make(kind)
    before = copy.deepcopy(stack.state_dict())
    fit(stack, examples(kind), Classify(), Plan(depth=depth, epochs=2, lr=0.1))
    moved = {name.split(".")[1] for name, t in stack.state_dict().items() if not torch.equal(t, before[name])}
    with_weights = {name.split(".")[1] for name in before}
    assert moved == set(stack.names[stack.cut(depth) :]) & with_weights


@pytest.mark.parametrize("kind", KINDS)
def test_every_cut_is_exact(kind):
    stack, data = make(kind).eval(), examples(kind)
    state = {name: torch.from_numpy(a) for name, a in data.read(np.arange(len(data))).items()}
    with torch.no_grad():
        whole = stack(state)["h"]
        for cut in range(len(stack) + 1):
            torch.testing.assert_close(stack(stack(state, stop=cut), start=cut)["h"], whole, rtol=0, atol=0)


def test_train_mode_does_not_wake_a_held_block():
    stack = make("image").learn(1)
    stack.train()
    norm = stack.blocks["stem"].module[1]
    mean = norm.running_mean.clone()
    stack({"h": torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))})
    assert torch.equal(mean, norm.running_mean)
    assert stack.blocks["head"].training


def test_filling_a_store_in_training_mode_stores_the_evaluated_states(tmp_path):
    data, stack = examples("image"), make("image").train()
    modes = [module.training for module in stack.modules()]
    table = fill(Store(tmp_path), stack, data, 2)
    assert modes == [module.training for module in stack.modules()]
    with torch.no_grad():
        want = make("image").eval()({"h": torch.from_numpy(data.read(np.arange(len(data)))["h"])}, stop=2)["h"]
    np.testing.assert_allclose(np.stack(table.read(data.keys)["h"]), want.numpy(), rtol=1e-5, atol=1e-6)


def test_a_block_held_again_stays_still_under_momentum():
    stack = make("table")
    optimizer = torch.optim.SGD(stack.parameters(), lr=0.1, momentum=0.9)
    state = {"h": torch.ones(4, 12)}
    for _ in range(2):
        stack(state)["h"].sum().backward()
        optimizer.step()
    stack.learn(1)
    before = stack.blocks["trunk"].module[0].weight.clone()
    stack(state)["h"].sum().backward()
    optimizer.step()
    assert torch.equal(before, stack.blocks["trunk"].module[0].weight)


def test_a_parameter_on_both_sides_of_the_cut_is_refused_with_both_names():
    shared = nn.Linear(4, 4, bias=False)
    stack = Stack({"embed": on_h(shared), "body": on_h(nn.Linear(4, 4)), "head": on_h(shared)})
    with pytest.raises(SharedError, match=r"embed\.module\.weight and head\.module\.weight"):
        stack.learn(1)
    assert stack.learn(3).depth == 3


@pytest.mark.parametrize("depth", [-1, 5, 99])
def test_a_wrong_depth_names_the_range_and_the_blocks(depth):
    with pytest.raises(DepthError, match=rf"depth={depth} is outside 0\.\.4: .*\(stem, body, pool, head\)"):
        make("image").cut(depth)


def test_random_views_are_refused_by_the_store(tmp_path):
    data = examples("table")
    live = Examples(data.keys, data.read, data.y, random=np.random.default_rng(0))
    with pytest.raises(StoreError, match="store=None"):
        fit(make("table"), live, Classify(), Plan(depth=1), store=Store(tmp_path))


def test_the_seed_decides_and_the_caller_keeps_its_random_numbers():
    torch.manual_seed(3)
    before = torch.random.get_rng_state()
    plan = Plan(depth=4, epochs=2, seed=7)
    one, two, other = make("image"), make("image"), make("image")
    fit(one, examples("image"), Classify(), plan)
    assert torch.equal(before, torch.random.get_rng_state())
    torch.rand(5)
    fit(two, examples("image"), Classify(), plan)
    fit(other, examples("image"), Classify(), Plan(depth=4, epochs=2, seed=8))
    assert all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), two.state_dict().values(), strict=True))
    assert not torch.equal(one.blocks["head"].module.weight, other.blocks["head"].module.weight)


def test_one_full_batch_step_is_adamw_by_hand():
    stack, data = make("table"), examples("table")
    head = stack.blocks["head"].module
    start = head.weight.detach().clone()
    out = outputs(stack, data)
    features = stack({"h": torch.from_numpy(data.read(np.arange(len(data)))["h"])}, stop=2)["h"].detach()
    gradient = (out.softmax(-1) - torch.eye(3)[torch.from_numpy(data.y)]).T @ features / len(data)
    fit(stack, data, Classify(), Plan(depth=1, epochs=1, batch=len(data), lr=0.01, weight_decay=0.1))
    by_hand = start * (1 - 0.01 * 0.1) - 0.01 * gradient / (gradient.abs() + 1e-8)
    torch.testing.assert_close(head.weight.detach(), by_hand, rtol=1e-4, atol=1e-6)


def test_a_penalty_sees_the_rows_of_its_batch_and_moves_the_weights():
    data, seen = examples("table"), []

    def pull(step: Step) -> torch.Tensor:
        assert torch.equal(step.y, torch.from_numpy(data.y)[torch.from_numpy(step.rows)])
        seen.extend(step.rows.tolist())
        return 100 * step.out.pow(2).mean()

    free, pulled = make("table"), make("table")
    plan = Plan(depth=3, epochs=4, lr=0.02)
    fit(free, data, Classify(), plan)
    fit(pulled, data, Classify(), plan, penalties=[pull])
    assert sorted(seen) == sorted(list(range(len(data))) * plan.epochs)
    assert outputs(pulled, data).pow(2).mean() < 0.2 * outputs(free, data).pow(2).mean()


def test_examples_without_targets_are_refused():
    data = examples("table")
    with pytest.raises(DataError, match="40 examples without targets"):
        fit(make("table"), Examples(data.keys, data.read), Classify(), Plan(depth=1))


@pytest.mark.parametrize(
    ("name", "value"), [("lr", 0.0), ("lr", float("nan")), ("epochs", -1), ("batch", 0), ("lr_decay", 1.5)]
)
def test_a_plan_refuses_what_cannot_be_and_says_what_can(name, value):
    with pytest.raises(PlanError, match=rf"{name}={value} must be .*; start from "):
        Plan(depth=1, **{name: value})


def test_regression_scores_are_the_textbook_ones():
    y = torch.tensor([[1.0], [2.0], [3.0]])
    assert Regress().score(y, y) == 1
    assert Regress().score(torch.full_like(y, 2.0), y) == 0
    assert Regress().loss(y + 2, y).item() == 4


@pytest.mark.parametrize("kind", KINDS)
def test_evaluation_is_the_share_of_right_answers_and_leaves_the_stack_as_it_was(kind):
    stack, data = make(kind).train(), examples(kind)
    modes = [module.training for module in stack.modules()]
    said = evaluate(stack, data, Classify(), batch=7)
    assert modes == [module.training for module in stack.modules()]
    answers = outputs(make(kind), data, batch=40).argmax(1).numpy()
    assert said == pytest.approx(np.mean(answers == data.y))


def test_evaluation_needs_targets():
    data = examples("table")
    with pytest.raises(DataError, match="40 examples without targets were given; a score needs"):
        evaluate(make("table"), Examples(data.keys, data.read), Classify())
