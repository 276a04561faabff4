"""Penalties against their formulas, and what defines each; the rows beside the training examples."""

import math

import numpy as np
import pytest
import torch
from stacks import KINDS, examples, make
from torch import nn

from headstart.adapt.align.confusion import Confusion, confusion_loss
from headstart.adapt.align.dann import Dann, reverse
from headstart.adapt.align.deep_coral import DeepCoral, coral_loss
from headstart.adapt.align.entropy import Entropy, guarded_entropy
from headstart.core.evaluate import outputs
from headstart.core.examples import Examples, from_arrays
from headstart.core.fit import fit
from headstart.core.plan import Plan
from headstart.core.stack import Stack, on_h
from headstart.core.step import Step
from headstart.core.store import Store
from headstart.core.task import Classify
from headstart.errors import DataError, DepthError
from headstart.mismatch.two_sample import two_sample


def scores(n, c, seed=0, scale=2.0):
    return scale * torch.randn(n, c, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def other(kind, n=30):
    data = examples(kind, n)
    return Examples(data.keys, data.read, lengths=data.lengths)


def dann(kind, weight):
    return Dann({"image": 8, "text": 8, "music": 8}.get(kind, 16), weight=weight)


PENALTIES = {
    "coral": lambda kind, weight: DeepCoral(weight=weight),
    "dann": dann,
    "confusion": lambda kind, weight: Confusion(weight=weight),
    "entropy": lambda kind, weight: Entropy(weight=weight),
}


def same(one, two):
    return all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), two.state_dict().values(), strict=True))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", PENALTIES)
def test_a_weight_of_0_is_plain_training_bit_for_bit_and_another_is_not(name, kind):
    plan = Plan(depth=len(make(kind)), epochs=2, batch=8)
    plain, none, some = make(kind), make(kind), make(kind)
    fit(plain, examples(kind), Classify(), plan)
    for stack, weight in ((none, 0.0), (some, 1.0)):
        penalty = PENALTIES[name](kind, weight)
        fit(stack, examples(kind), Classify(), plan, penalties=[penalty], beside={"target": other(kind)})
    assert same(plain, none)
    assert not same(plain, some)


@pytest.mark.parametrize("name", PENALTIES)
def test_a_set_beside_that_nobody_draws_from_changes_nothing(name, tmp_path):
    plan = Plan(depth=2, epochs=2, batch=8)
    plain, beside = make("image"), make("image")
    fit(plain, examples("image"), Classify(), plan)
    fit(beside, examples("image"), Classify(), plan, beside={"target": other("image")})
    assert same(plain, beside)


@pytest.mark.parametrize("kind", KINDS)
def test_draws_are_random_batches_of_the_set_at_the_cut(kind, tmp_path):
    """Every row once before any comes again, as many as a batch has, the same from a store as computed."""
    stack, target, seen = make(kind), other(kind, 24), []

    def look(step: Step) -> torch.Tensor:
        seen.append(step.draw("target").state)
        assert 0 <= step.done < 1
        passed = step.through(step.state)
        torch.testing.assert_close(passed.features.shape, step.features.shape)
        torch.testing.assert_close(passed.out.shape, step.out.shape)
        return step.out.new_zeros(())

    plan = Plan(depth=1, epochs=3, batch=8)
    fit(stack, examples(kind, 40), Classify(), plan, penalties=[look], beside={"target": target})
    computed, seen = seen, []
    fit(
        make(kind),
        examples(kind, 40),
        Classify(),
        plan,
        penalties=[look],
        beside={"target": target},
        store=Store(tmp_path),
    )
    for a, b in zip(computed, seen, strict=True):
        torch.testing.assert_close(a["h"], b["h"], rtol=1e-4, atol=1e-5)
    with torch.no_grad():
        read = {name: torch.from_numpy(array) for name, array in target.read(np.arange(24)).items()}
        want = make(kind).eval()(read, stop=len(stack) - 1)["h"]
    for start in range(0, len(seen) - 2, 3):
        drawn = torch.cat([state["h"] for state in seen[start : start + 3]])
        gap = torch.cdist(drawn, want)
        rows = gap.argmin(1)
        assert gap.min(1).values.max() < 1e-4
        assert len(drawn) == 24
        if len(torch.unique(want, dim=0)) == 24:
            assert sorted(rows.tolist()) == list(range(24))


def test_the_seed_decides_what_is_drawn():
    def drawn(seed):
        seen = []

        def look(step: Step) -> torch.Tensor:
            seen.append(step.draw("target").state["h"])
            return step.out.new_zeros(())

        plan = Plan(depth=1, epochs=1, batch=8, seed=seed)
        fit(make("table"), examples("table"), Classify(), plan, penalties=[look], beside={"target": other("table")})
        return torch.cat(seen)

    assert torch.equal(drawn(0), drawn(0))
    assert not torch.equal(drawn(0), drawn(1))


def test_a_set_that_is_not_beside_is_named():
    with pytest.raises(DataError, match="draws rows of 'target' and the sets beside are: none; pass beside="):
        fit(make("table"), examples("table"), Classify(), Plan(depth=1), penalties=[Confusion()])
    empty = other("table").take([])
    with pytest.raises(DataError, match="has 0 rows"):
        fit(
            make("table"),
            examples("table"),
            Classify(),
            Plan(depth=1),
            penalties=[Confusion()],
            beside={"target": empty},
        )


@pytest.mark.parametrize("penalty", [DeepCoral(), Dann(16)])
def test_what_acts_below_the_head_is_refused_where_nothing_learns_there(penalty):
    with pytest.raises(DepthError, match="depth=1 leaves all blocks below the head as they are"):
        fit(
            make("table"),
            examples("table"),
            Classify(),
            Plan(depth=1),
            penalties=[penalty],
            beside={"target": other("table")},
        )


def test_coral_by_hand():
    source, target = scores(9, 4), scores(7, 4, 1)
    a, b = np.cov(source.T.numpy()), np.cov(target.T.numpy())
    by_hand = sum((a[i, j] - b[i, j]) ** 2 for i in range(4) for j in range(4)) / (4 * 4**2)
    assert coral_loss(source, target).item() == pytest.approx(by_hand)


def test_coral_is_0_for_equal_second_moments_wherever_the_means_are():
    source = scores(9, 4)
    assert coral_loss(source, source.flip(0) + 5).item() == pytest.approx(0, abs=1e-20)
    assert coral_loss(source, 2 * source).item() > 0.01


def test_confusion_by_hand():
    out, n, c = scores(11, 4), 11, 4
    p = np.exp(out.numpy() / 2.5)
    p /= p.sum(1, keepdims=True)
    sure = [1 + math.exp(sum(p[i, k] * math.log(p[i, k]) for k in range(c))) for i in range(n)]
    weight = [n * s / sum(sure) for s in sure]
    table = [[sum(weight[i] * p[i, j] * p[i, k] for i in range(n)) for k in range(c)] for j in range(c)]
    by_hand = sum(table[j][k] / sum(table[j]) for j in range(c) for k in range(c) if j != k) / c
    assert confusion_loss(out, 2.5).item() == pytest.approx(by_hand)


def test_confusion_is_0_for_sure_answers_and_most_where_all_classes_are_alike():
    sure = 1e3 * torch.eye(3)[[0, 1, 2, 2]]
    assert confusion_loss(sure, 2.5).item() == pytest.approx(0, abs=1e-6)
    assert confusion_loss(torch.zeros(5, 3), 2.5).item() == pytest.approx(2 / 3)


def test_confusion_of_a_class_without_probability_is_finite():
    out = scores(6, 3).requires_grad_()
    loss = confusion_loss(out + torch.tensor([0.0, 0.0, -1e4]), 2.5)
    loss.backward()
    assert math.isfinite(loss.item())
    assert torch.isfinite(out.grad).all()


@pytest.mark.parametrize("shares", [None, (0.2, 0.5, 0.3)])
def test_guarded_entropy_by_hand(shares):
    out = scores(8, 3)
    p = out.softmax(1).numpy()
    wanted, mean = shares or (1 / 3,) * 3, p.mean(0)
    entropy = -sum(p[i, k] * math.log(p[i, k]) for i in range(8) for k in range(3)) / 8
    spread = sum(mean[k] * math.log(mean[k] / wanted[k]) for k in range(3))
    assert guarded_entropy(out, shares).item() == pytest.approx(entropy + spread)


def test_the_guard_makes_collapse_as_bad_as_knowing_nothing():
    collapsed = torch.tensor([[50.0, 0.0, 0.0]]).repeat(9, 1)
    spread = 50 * torch.eye(3).repeat(3, 1)
    assert guarded_entropy(collapsed).item() == pytest.approx(math.log(3), abs=1e-5)
    assert guarded_entropy(torch.zeros(9, 3)).item() == pytest.approx(math.log(3), abs=1e-5)
    assert guarded_entropy(spread).item() == pytest.approx(0, abs=1e-5)
    assert guarded_entropy(collapsed, (0.98, 0.01, 0.01)).item() < 0.03


def test_without_the_guard_all_rows_fall_into_one_class_and_with_it_they_do_not():
    """Two clouds that the head's threshold is beside of: sure answers alone are cheapest all in one class."""
    x = torch.cat([scores(60, 3, 0, 1.0) + 1, scores(60, 3, 1, 1.0) + 5])
    shares = []
    for guarded in (False, True):
        head = nn.Linear(3, 2, dtype=torch.float64)
        with torch.no_grad():
            head.weight.copy_(torch.tensor([[-0.2, 0, 0], [0.2, 0, 0]]))
            head.bias.zero_()
        optimizer = torch.optim.Adam(head.parameters(), 0.05)
        for _ in range(300):
            out = head(x)
            p = out.softmax(1)
            loss = guarded_entropy(out) if guarded else -(p * p.log()).sum(1).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        shares.append(head(x).argmax(1).double().mean().item())
    assert shares[0] > 0.99
    assert shares[1] == pytest.approx(0.5, abs=0.05)


def test_the_reversed_gradient_has_the_other_sign_and_the_value_none():
    x = scores(4, 3).requires_grad_()
    weight = scores(4, 3, 5)
    y = reverse(x, 0.7)
    assert torch.equal(y, x)
    (y * weight).sum().backward()
    torch.testing.assert_close(x.grad, -0.7 * weight)


def test_dann_by_hand_and_what_each_side_of_the_reversal_feels():
    penalty = Dann(4).double()
    source, target = scores(5, 4).requires_grad_(), scores(6, 4, 1).requires_grad_()
    loss = penalty.loss(source, target, 0.5)
    one, two = (penalty.classifier(x).sigmoid().detach().numpy() for x in (source, target))
    by_hand = (-np.log(one).mean() - np.log(1 - two).mean()) / 2
    assert loss.item() == pytest.approx(by_hand)
    loss.backward()
    felt, own = source.grad.clone(), [p.grad.clone() for p in penalty.parameters()]
    source.grad, target.grad = None, None
    penalty.zero_grad()
    said = nn.functional.binary_cross_entropy_with_logits
    plain = [penalty.classifier(x) for x in (source, target)]
    ((said(plain[0], torch.ones_like(plain[0])) + said(plain[1], torch.zeros_like(plain[1]))) / 2).backward()
    torch.testing.assert_close(felt, -0.5 * source.grad)
    for a, p in zip(own, penalty.parameters(), strict=True):
        torch.testing.assert_close(a, p.grad)


def test_danns_classifier_learns_and_its_first_weights_hang_on_the_seed_alone():
    torch.manual_seed(4)
    state = torch.random.get_rng_state()
    penalty, twin, third = Dann(16), Dann(16), Dann(16, seed=1)
    assert torch.equal(state, torch.random.get_rng_state())
    assert same(penalty, twin)
    assert not same(penalty, third)
    fit(
        make("table"),
        examples("table"),
        Classify(),
        Plan(2, epochs=2),
        penalties=[penalty],
        beside={"target": other("table")},
    )
    assert not same(penalty, twin)


def told_apart(stack, a, b):
    with torch.no_grad():
        one, two = (stack.eval()({"h": torch.from_numpy(x)}, stop=len(stack) - 1)["h"].numpy() for x in (a, b))
    return two_sample(one, two, seed=0, permutations=0).accuracy


def test_dann_makes_features_that_do_not_tell_the_sets_apart():
    draw = np.random.default_rng(0)
    y = np.arange(200) % 2
    a = draw.normal(size=(200, 6)).astype("float32") + np.outer(2 * y - 1, [2, 0, 0, 0, 0, 0]).astype("float32")
    b = a[draw.permutation(200)] + np.array([0, 0, 3, 0, 0, 0], "float32")
    plan, told = Plan(2, epochs=30, lr=0.01), []
    for weight in (0.0, 1.0):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            stack = Stack({"body": on_h(nn.Linear(6, 3)), "head": on_h(nn.Linear(3, 2))})
        penalties, beside = [Dann(3, weight=weight)], {"target": from_arrays(b)}
        fit(stack, from_arrays(a, y), Classify(), plan, penalties=penalties, beside=beside)
        told.append(told_apart(stack, a, b))
        assert (outputs(stack, from_arrays(a)).argmax(1).numpy() == y).mean() > 0.93
    assert told[0] > 0.8
    assert told[1] < 0.65
